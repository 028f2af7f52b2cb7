//! The cores of a whole network and some people, on virtual time: effects become inputs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use xchat_base::{Timestamp, random};
use xchat_directory::{NodeId, Role};
use xchat_node::gateway::SessionId;
use xchat_node::{Gateway, Mix, Store, gateway, mix, store};
use xchat_pigeonhole::AnswerKey;
use xchat_pigeonhole::register::MemoryTable;
use xchat_sphinx::LinkKey;
use xchat_sphinx::work::Search;

use super::fixture::{Fixture, T0, rng};
use super::liar::Liar;
use super::person::Person;
use crate::{Effect, Input};

/// A client's link takes so long, always: what a transport emits must not hang on the network's dice.
const CLIENT_LINK: Duration = Duration::from_millis(1);

#[allow(clippy::large_enum_variant)] // A handful of them, each living as long as the test.
pub(super) enum Core {
    Gateway(Gateway),
    Mix(Mix),
    Store(Box<Store<MemoryTable>>),
    Liar(Liar),
}

enum Event {
    Packet {
        from: NodeId,
        bytes: Vec<u8>,
    },
    Replica {
        from: NodeId,
        bytes: Vec<u8>,
    },
    ClientOpened(SessionId, LinkKey),
    ClientClosed(SessionId),
    ClientLost(SessionId),
    ClientFrame(SessionId, Vec<u8>),
    NodeTimer,
    Person(Input),
    /// A frame over a session that may have ended.
    Arrives(SessionId, Vec<u8>),
    Connected(NodeId, SessionId, LinkKey),
    PersonTimer,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Node(NodeId),
    Person(usize),
}

pub(super) struct Network {
    pub(super) fixture: Fixture,
    pub(super) now: Timestamp,
    rng: ChaCha20Rng,
    pub(super) cores: BTreeMap<NodeId, Core>,
    pub(super) people: Vec<Person>,
    pub(super) down: BTreeSet<NodeId>,
    /// Gateways that take everything and give no packet back.
    pub(super) keeping: BTreeSet<NodeId>,
    /// Share of frames between nodes that are lost.
    pub(super) loss: f64,
    /// Nodes that lose so much of what they are sent.
    pub(super) dropping: BTreeMap<NodeId, f64>,
    /// Frames between nodes take up to so long, and overtake one another.
    pub(super) jitter: Duration,
    /// Every packet between nodes is sent twice, but those of mixes.
    pub(super) twice: bool,
    /// What a proof of work takes a person.
    pub(super) solving: Duration,
    limits: gateway::Limits,
    order: BinaryHeap<Reverse<(Timestamp, u64)>>,
    events: BTreeMap<u64, (Who, Event)>,
    next: u64,
    next_session: u64,
    sessions: BTreeMap<SessionId, usize>,
    timers: BTreeMap<Who, u64>,
}

impl Network {
    pub(super) fn new(fixture: Fixture, seed: u64) -> Self {
        Self::with_limits(fixture, seed, gateway::Limits { max_sessions: 100, effort: 16 })
    }

    pub(super) fn with_limits(fixture: Fixture, seed: u64, limits: gateway::Limits) -> Self {
        let mut network = Self {
            now: T0 + Duration::from_secs(60),
            rng: rng(seed),
            cores: BTreeMap::new(),
            people: Vec::new(),
            down: BTreeSet::new(),
            keeping: BTreeSet::new(),
            loss: 0.0,
            dropping: BTreeMap::new(),
            jitter: Duration::from_micros(200),
            twice: false,
            solving: Duration::from_millis(75),
            limits,
            order: BinaryHeap::new(),
            events: BTreeMap::new(),
            next: 0,
            next_session: 0,
            sessions: BTreeMap::new(),
            timers: BTreeMap::new(),
            fixture,
        };
        let ids: Vec<_> = network.fixture.nodes.iter().map(|node| node.id).collect();
        for id in ids {
            network.start(id);
        }
        network
    }

    fn start(&mut self, id: NodeId) {
        let (document, format) = (self.fixture.sign(), self.fixture.format);
        let node = self.fixture.node(&id);
        match node.role {
            Role::Gateway => {
                let gateway = Gateway::new(id, document, self.limits).expect("listed");
                self.cores.insert(id, Core::Gateway(gateway.with_format(format)));
            }
            Role::Mix { .. } => {
                let setup = node.hop_setup();
                let (mix, effects) = Mix::new(id, document, setup, self.now).expect("listed");
                self.cores.insert(id, Core::Mix(mix.with_format(format)));
                self.mix_effects(id, effects);
            }
            _ => {
                let setup = node.store_setup();
                let (store, effects) =
                    Store::new(setup, document, MemoryTable::new(), self.now, &mut rng(1))
                        .expect("listed");
                self.cores.insert(id, Core::Store(Box::new(store.with_format(format))));
                self.store_effects(id, effects);
            }
        }
    }

    /// A new person; the number to call it by.
    pub(super) fn join(&mut self, seed: u64) -> usize {
        let person = Person::new(&self.fixture, self.now, seed);
        self.enter(person)
    }

    pub(super) fn enter(&mut self, mut person: Person) -> usize {
        let effects = person.first_effects();
        self.people.push(person);
        let number = self.people.len() - 1;
        self.person_effects(number, effects);
        number
    }

    pub(super) fn tell(&mut self, person: usize, input: Input) {
        let who = &mut self.people[person];
        let effects = who.transport.handle(input, self.now, &mut who.rng);
        self.person_effects(person, effects);
    }

    /// The link of a person breaks.
    pub(super) fn cut(&mut self, person: usize) {
        if let Some((gateway, session)) = self.people[person].link.take() {
            self.schedule(CLIENT_LINK, Who::Node(gateway), Event::ClientLost(session));
            self.tell(person, Input::Offline);
        }
    }

    /// All stores have more to do than they can, or no longer.
    pub(super) fn press_stores(&mut self, pressed: bool) {
        for id in self.fixture.stores() {
            let Some(Core::Store(core)) = self.cores.get_mut(&id) else { continue };
            let effects = core.handle(store::Input::Pressed(pressed), self.now, &mut self.rng);
            self.store_effects(id, effects);
        }
    }

    pub(super) fn gateway_counters(&self) -> Vec<gateway::Counters> {
        let counters = self.cores.values().filter_map(|core| match core {
            Core::Gateway(core) => Some(core.counters()),
            _ => None,
        });
        counters.collect()
    }

    /// Requests that stores have refused as busy.
    pub(super) fn refused_busy(&self) -> u64 {
        let counts = self.cores.values().filter_map(|core| match core {
            Core::Store(core) => Some(core.counters().refused_busy),
            _ => None,
        });
        counts.sum()
    }

    /// A person goes, and does not come back: its app has ended.
    pub(super) fn leave_for_good(&mut self, person: usize) {
        if let Some((gateway, session)) = self.people[person].link.take() {
            self.schedule(CLIENT_LINK, Who::Node(gateway), Event::ClientClosed(session));
        }
        if let Some(timer) = self.timers.remove(&Who::Person(person)) {
            self.events.remove(&timer);
        }
    }

    pub(super) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(&Reverse((at, number))) = self.order.peek() {
            if at > end {
                break;
            }
            self.order.pop();
            self.now = self.now.max(at);
            let Some((who, event)) = self.events.remove(&number) else { continue };
            match who {
                Who::Person(person) => self.person_event(person, event),
                Who::Node(node) if !self.down.contains(&node) => self.node_event(node, event),
                Who::Node(_) => {}
            }
        }
        self.now = end;
    }

    /// Runs until it holds, at most for so long; whether it does.
    pub(super) fn run_until(&mut self, most: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + most;
        while !holds(self) && self.now < end {
            self.run_for(Duration::from_millis(200));
        }
        holds(self)
    }

    fn schedule(&mut self, after: Duration, to: Who, event: Event) {
        self.order.push(Reverse((self.now + after, self.next)));
        self.events.insert(self.next, (to, event));
        self.next += 1;
    }

    fn wake_at(&mut self, at: Timestamp, who: Who, event: Event) {
        if let Some(replaced) = self.timers.insert(who, self.next) {
            self.events.remove(&replaced);
        }
        self.order.push(Reverse((at.max(self.now), self.next)));
        self.events.insert(self.next, (who, event));
        self.next += 1;
    }

    fn person_event(&mut self, person: usize, event: Event) {
        let input = match event {
            Event::Person(input) => input,
            Event::PersonTimer => Input::Timer,
            Event::Connected(gateway, session, link) => {
                self.people[person].link = Some((gateway, session));
                Input::Online { gateway, link, from: self.people[person].address }
            }
            Event::Arrives(session, bytes) => {
                if self.people[person].link.is_none_or(|(_, current)| current != session) {
                    return;
                }
                Input::Frame(bytes)
            }
            _ => panic!("for nodes"),
        };
        self.tell(person, input);
    }

    fn person_effects(&mut self, number: usize, effects: Vec<Effect>) {
        let now = self.now;
        for effect in self.people[number].note(effects, now) {
            match effect {
                Effect::Connect { gateway, session: secret, .. } => {
                    if self.down.contains(&gateway) {
                        let offline = Event::Person(Input::Offline);
                        self.schedule(CLIENT_LINK, Who::Person(number), offline);
                        continue;
                    }
                    self.next_session += 1;
                    let session = SessionId::new(self.next_session);
                    self.sessions.insert(session, number);
                    // As the link crate derives it.
                    let key = *AnswerKey::from_seed(&secret).store().as_bytes();
                    let key = LinkKey::from_bytes(key);
                    let opened = Event::ClientOpened(session, key);
                    self.schedule(Duration::ZERO, Who::Node(gateway), opened);
                    let connected = Event::Connected(gateway, session, key);
                    self.schedule(CLIENT_LINK, Who::Person(number), connected);
                }
                Effect::Disconnect => {
                    if let Some((gateway, session)) = self.people[number].link.take() {
                        let closed = Event::ClientClosed(session);
                        self.schedule(CLIENT_LINK, Who::Node(gateway), closed);
                    }
                }
                Effect::Send(bytes) => {
                    let (gateway, session) = self.people[number].link.expect("online");
                    let frame = Event::ClientFrame(session, bytes);
                    self.schedule(CLIENT_LINK, Who::Node(gateway), frame);
                }
                Effect::Packet { frame, at } => {
                    let (gateway, session) = self.people[number].link.expect("online");
                    let frame = Event::ClientFrame(session, frame);
                    self.schedule(at.since(now) + CLIENT_LINK, Who::Node(gateway), frame);
                }
                Effect::Solve(puzzle) => {
                    let effort = puzzle.challenge().effort;
                    self.people[number].efforts.push(effort);
                    let Some(proof) = Search::new(puzzle).finish() else { continue };
                    let solved = Event::Person(Input::Solved(proof));
                    self.schedule(self.solving, Who::Person(number), solved);
                }
                Effect::WakeAt(at) => self.wake_at(at, Who::Person(number), Event::PersonTimer),
                Effect::Event(_) | Effect::Persist(_) | Effect::PersistDecoys => panic!("noted"),
            }
        }
    }

    fn node_event(&mut self, to: NodeId, event: Event) {
        if self.keeping.contains(&to) && matches!(event, Event::Packet { .. }) {
            return;
        }
        let (now, rng) = (self.now, &mut self.rng);
        match self.cores.get_mut(&to).expect("known") {
            Core::Gateway(core) => {
                let input = match event {
                    Event::Packet { from, bytes } => gateway::Input::NodeFrame { from, bytes },
                    Event::ClientFrame(session, bytes) => {
                        gateway::Input::ClientFrame { session, bytes }
                    }
                    Event::ClientOpened(session, link) => {
                        gateway::Input::ClientOpened { session, link }
                    }
                    Event::ClientClosed(session) => gateway::Input::ClientClosed { session },
                    Event::ClientLost(session) => gateway::Input::ClientLost { session },
                    _ => gateway::Input::Timer,
                };
                let effects = core.handle(input, now, rng);
                self.gateway_effects(to, effects);
            }
            Core::Mix(core) => {
                let input = match event {
                    Event::Packet { from, bytes } => mix::Input::NodeFrame { from, bytes },
                    _ => mix::Input::Timer,
                };
                let effects = core.handle(input, now, rng);
                self.mix_effects(to, effects);
            }
            Core::Store(core) => {
                let input = match event {
                    Event::Packet { from, bytes } => store::Input::NodeFrame { from, bytes },
                    Event::Replica { from, bytes } => store::Input::ReplicaFrame { from, bytes },
                    _ => store::Input::Timer,
                };
                let effects = core.handle(input, now, rng);
                self.store_effects(to, effects);
            }
            Core::Liar(liar) => {
                if let Event::Packet { bytes, .. } = event {
                    let sent = liar.packet(&bytes, now, rng);
                    sent.into_iter().for_each(|(next, bytes)| self.packet(to, next, bytes));
                }
            }
        }
    }

    fn gateway_effects(&mut self, from: NodeId, effects: Vec<gateway::Effect>) {
        for effect in effects {
            match effect {
                gateway::Effect::ToClient { session, bytes } => {
                    let Some(person) = self.sessions.get(&session) else { continue };
                    let who = Who::Person(*person);
                    self.schedule(CLIENT_LINK, who, Event::Arrives(session, bytes));
                }
                gateway::Effect::ToNode { to, bytes } => self.packet(from, to, bytes),
                gateway::Effect::CloseClient { session, .. } => {
                    let Some(person) = self.sessions.remove(&session) else { continue };
                    self.schedule(CLIENT_LINK, Who::Person(person), Event::Person(Input::Offline));
                }
                _ => {}
            }
        }
    }

    fn mix_effects(&mut self, from: NodeId, effects: Vec<mix::Effect>) {
        for effect in effects {
            match effect {
                mix::Effect::ToNode { to, bytes } => self.packet(from, to, bytes),
                mix::Effect::WakeAt(at) => self.wake_at(at, Who::Node(from), Event::NodeTimer),
                _ => {}
            }
        }
    }

    fn store_effects(&mut self, from: NodeId, effects: Vec<store::Effect>) {
        for effect in effects {
            match effect {
                store::Effect::ToNode { to, bytes } => self.packet(from, to, bytes),
                store::Effect::ToReplica { to, bytes } => {
                    self.between_nodes(to, &Event::Replica { from, bytes });
                }
                store::Effect::WakeAt(at) => self.wake_at(at, Who::Node(from), Event::NodeTimer),
                _ => {}
            }
        }
    }

    fn packet(&mut self, from: NodeId, to: NodeId, bytes: Vec<u8>) {
        self.between_nodes(to, &Event::Packet { from, bytes });
    }

    fn between_nodes(&mut self, to: NodeId, event: &Event) {
        // A mix that does so is refused by whoever gets it.
        let may = !matches!(event, Event::Packet { from, .. } if matches!(self.cores[from], Core::Mix(_)));
        for _ in 0..if self.twice && may { 2 } else { 1 } {
            let copy = match event {
                Event::Packet { from, bytes } => {
                    Event::Packet { from: *from, bytes: bytes.clone() }
                }
                Event::Replica { from, bytes } => {
                    Event::Replica { from: *from, bytes: bytes.clone() }
                }
                _ => panic!("nodes send packets and replica frames"),
            };
            let loss = self.dropping.get(&to).copied().unwrap_or(self.loss);
            if random::unit(&mut self.rng) >= loss {
                let takes = self.jitter.mul_f64(random::unit(&mut self.rng));
                self.schedule(takes, Who::Node(to), copy);
            }
        }
    }
}
