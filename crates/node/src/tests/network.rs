//! The cores of a whole network in one process, on virtual time: effects become inputs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use xchat_base::Timestamp;
use xchat_directory::{NodeId, Role};
use xchat_pigeonhole::BoxId;
use xchat_pigeonhole::register::{BoxRecord, BoxTable, MemoryTable};
use xchat_sphinx::{PacketFormat, Sphinx};

use super::client::link_key;
use super::fixture::{Fixture, T0, rng};
use crate::gateway::{Limits, SessionId};
use crate::{Gateway, Mix, Store, gateway, mix, store};

/// Every link takes so long.
const LINK: Duration = Duration::from_micros(200);

/// Little work for sessions.
const LIMITS: Limits = Limits { max_sessions: 100, effort: 16 };

#[allow(clippy::large_enum_variant)] // A handful of them, each living as long as the test.
enum Core {
    Gateway(Gateway),
    Mix(Mix),
    Store(Box<Store<MemoryTable>>),
}

enum Event {
    Packet { from: NodeId, bytes: Vec<u8> },
    Replica { from: NodeId, bytes: Vec<u8> },
    Client { session: SessionId, bytes: Vec<u8> },
    Open { session: SessionId },
    Timer,
}

/// What happens to the packets of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meddling {
    Drop,
    /// Of so many packets one.
    DropEvery(u64),
    Delay(Duration),
    /// Payloads are changed, headers are not.
    Tag,
    /// Each goes out a second time.
    Double,
}

/// All nodes, all frames on their way, all clients' inboxes.
pub(super) struct Network {
    pub(super) fixture: Fixture,
    pub(super) now: Timestamp,
    pub(super) rng: ChaCha20Rng,
    cores: BTreeMap<NodeId, Core>,
    down: BTreeSet<NodeId>,
    /// What somebody on a link does to the packets on it.
    between: BTreeMap<(NodeId, NodeId), Meddling>,
    /// Packets on links where some are dropped.
    passed: u64,
    order: BinaryHeap<Reverse<(Timestamp, u64)>>,
    events: BTreeMap<u64, (NodeId, Event)>,
    next: u64,
    inboxes: BTreeMap<SessionId, Vec<Vec<u8>>>,
    /// The one timer of each node: a `WakeAt` replaces it.
    timers: BTreeMap<NodeId, u64>,
    /// Whether gateways have timers: without them they send no loops, and keep clients of whom nothing comes.
    gateways_wake: bool,
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self::with_format(seed, &Sphinx)
    }

    fn with_format(seed: u64, format: &'static dyn PacketFormat) -> Self {
        let fixture = Fixture::new();
        let mut network = Self {
            now: T0 + Duration::from_secs(60),
            rng: rng(seed),
            cores: BTreeMap::new(),
            down: BTreeSet::new(),
            between: BTreeMap::new(),
            passed: 0,
            order: BinaryHeap::new(),
            events: BTreeMap::new(),
            next: 0,
            inboxes: BTreeMap::new(),
            timers: BTreeMap::new(),
            gateways_wake: false,
            fixture,
        };
        let ids: Vec<_> = network.fixture.nodes.iter().map(|node| node.id).collect();
        for id in ids {
            network.start(id, format);
        }
        network
    }

    fn start(&mut self, id: NodeId, format: &'static dyn PacketFormat) {
        let document = self.fixture.sign();
        let node = self.fixture.nodes.iter().find(|node| node.id == id).expect("known");
        match node.role {
            Role::Gateway => {
                let gateway = Gateway::new(id, document, LIMITS).expect("listed");
                self.cores.insert(id, Core::Gateway(gateway.with_format(format)));
            }
            Role::Mix { .. } => {
                let setup = node.hop_setup();
                let (mix, effects) = Mix::new(id, document, setup, self.now).expect("listed");
                self.cores.insert(id, Core::Mix(mix.with_format(format)));
                self.mix_effects(id, effects);
            }
            _ => {
                let (table, setup) = (MemoryTable::new(), node.store_setup());
                let (store, effects) =
                    Store::new(setup, document, table, self.now, &mut self.rng).expect("listed");
                self.cores.insert(id, Core::Store(Box::new(store.with_format(format))));
                self.store_effects(id, effects);
            }
        }
    }

    /// A network whose gateways send loops.
    pub(super) fn with_loops(seed: u64) -> Self {
        Self::with_loops_of(seed, &Sphinx)
    }

    /// The same with packets of this format: one that costs nothing, where tens of thousands are sent.
    pub(super) fn with_loops_of(seed: u64, format: &'static dyn PacketFormat) -> Self {
        let mut network = Self { gateways_wake: true, ..Self::with_format(seed, format) };
        for gateway in 0..2 {
            let gateway = network.fixture.gateway(gateway).id;
            network.wake_at(network.now, gateway);
        }
        network
    }

    /// From now on nothing reaches or leaves this node.
    pub(super) fn take_down(&mut self, id: NodeId) {
        self.down.insert(id);
    }

    /// What was taken down is there again, with all that it knew.
    pub(super) fn bring_up(&mut self, id: NodeId) {
        self.down.remove(&id);
    }

    pub(super) fn open(&mut self, gateway: NodeId, session: SessionId) {
        self.inboxes.insert(session, Vec::new());
        self.schedule(self.now, gateway, Event::Open { session });
    }

    pub(super) fn client_sends(&mut self, gateway: NodeId, session: SessionId, bytes: Vec<u8>) {
        self.schedule(self.now + LINK, gateway, Event::Client { session, bytes });
    }

    /// Frames that came for a client since the last call.
    pub(super) fn inbox(&mut self, session: SessionId) -> Vec<Vec<u8>> {
        self.inboxes.get_mut(&session).map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn gateway(&self, id: &NodeId) -> &Gateway {
        match &self.cores[id] {
            Core::Gateway(gateway) => gateway,
            _ => panic!("not a gateway"),
        }
    }

    pub(super) fn mix(&self, id: &NodeId) -> &Mix {
        match &self.cores[id] {
            Core::Mix(mix) => mix,
            _ => panic!("not a mix"),
        }
    }

    pub(super) fn mixes(&self) -> impl Iterator<Item = &Mix> {
        self.cores.values().filter_map(|core| match core {
            Core::Mix(mix) => Some(mix),
            _ => None,
        })
    }

    pub(super) fn store(&self, id: &NodeId) -> &Store<MemoryTable> {
        match &self.cores[id] {
            Core::Store(store) => store,
            _ => panic!("not a store"),
        }
    }

    /// Tells a store that its table has reached its size, or is below it again.
    pub(super) fn set_full(&mut self, id: &NodeId, full: bool) {
        let Some(Core::Store(store)) = self.cores.get_mut(id) else { panic!("not a store") };
        let effects = store.handle(store::Input::Full(full), self.now, &mut self.rng);
        self.store_effects(*id, effects);
    }

    /// What a store's table has of a box.
    pub(super) fn record(&mut self, id: &NodeId, boxed: &BoxId) -> Option<BoxRecord> {
        let Some(Core::Store(store)) = self.cores.get_mut(id) else { panic!("not a store") };
        store.table_mut().get(boxed)
    }

    /// Lets time pass.
    pub(super) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(&Reverse((at, number))) = self.order.peek() {
            if at > end {
                break;
            }
            self.order.pop();
            self.now = self.now.max(at);
            let Some((to, event)) = self.events.remove(&number) else { continue };
            if !self.down.contains(&to) {
                self.happen(to, event);
            }
        }
        self.now = end;
    }

    fn schedule(&mut self, at: Timestamp, to: NodeId, event: Event) {
        self.order.push(Reverse((at, self.next)));
        self.events.insert(self.next, (to, event));
        self.next += 1;
    }

    fn wake_at(&mut self, at: Timestamp, node: NodeId) {
        if let Some(replaced) = self.timers.insert(node, self.next) {
            self.events.remove(&replaced);
        }
        self.schedule(at, node, Event::Timer);
    }

    fn happen(&mut self, to: NodeId, event: Event) {
        let (now, rng) = (self.now, &mut self.rng);
        match self.cores.get_mut(&to).expect("known") {
            Core::Gateway(core) => {
                let input = match event {
                    Event::Packet { from, bytes } => gateway::Input::NodeFrame { from, bytes },
                    Event::Client { session, bytes } => {
                        gateway::Input::ClientFrame { session, bytes }
                    }
                    Event::Open { session } => {
                        let link = link_key(session);
                        gateway::Input::ClientOpened { session, link }
                    }
                    Event::Timer => gateway::Input::Timer,
                    Event::Replica { .. } => panic!("replica links join stores"),
                };
                let effects = core.handle(input, now, rng);
                self.gateway_effects(to, effects);
            }
            Core::Mix(core) => {
                let input = match event {
                    Event::Packet { from, bytes } => mix::Input::NodeFrame { from, bytes },
                    Event::Timer => mix::Input::Timer,
                    _ => panic!("mixes have packet links only"),
                };
                let effects = core.handle(input, now, rng);
                self.mix_effects(to, effects);
            }
            Core::Store(core) => {
                let input = match event {
                    Event::Packet { from, bytes } => store::Input::NodeFrame { from, bytes },
                    Event::Replica { from, bytes } => store::Input::ReplicaFrame { from, bytes },
                    Event::Timer => store::Input::Timer,
                    _ => panic!("stores have no clients"),
                };
                let effects = core.handle(input, now, rng);
                self.store_effects(to, effects);
            }
        }
    }

    fn gateway_effects(&mut self, from: NodeId, effects: Vec<gateway::Effect>) {
        for effect in effects {
            match effect {
                gateway::Effect::ToClient { session, bytes } => {
                    self.inboxes.entry(session).or_default().push(bytes);
                }
                gateway::Effect::ToNode { to, bytes } => self.packet(from, to, bytes),
                gateway::Effect::WakeAt(at) if self.gateways_wake => self.wake_at(at, from),
                gateway::Effect::WakeAt(_) | gateway::Effect::CloseClient { .. } => {}
            }
        }
    }

    fn mix_effects(&mut self, from: NodeId, effects: Vec<mix::Effect>) {
        for effect in effects {
            match effect {
                mix::Effect::ToNode { to, bytes } => self.packet(from, to, bytes),
                mix::Effect::WakeAt(at) => self.wake_at(at, from),
                mix::Effect::RememberTags { .. } | mix::Effect::ForgetKey { .. } => {}
            }
        }
    }

    fn store_effects(&mut self, from: NodeId, effects: Vec<store::Effect>) {
        for effect in effects {
            match effect {
                store::Effect::ToNode { to, bytes } => self.packet(from, to, bytes),
                store::Effect::ToReplica { to, bytes } => {
                    self.schedule(self.now + LINK, to, Event::Replica { from, bytes });
                }
                store::Effect::WakeAt(at) => self.wake_at(at, from),
                store::Effect::Sweep => {
                    let Some(Core::Store(store)) = self.cores.get_mut(&from) else { continue };
                    let boxes = store.table_mut().sweep(self.now);
                    let input = store::Input::Settle(boxes);
                    let effects = store.handle(input, self.now, &mut self.rng);
                    self.store_effects(from, effects);
                }
                store::Effect::RememberTags { .. } | store::Effect::ForgetKey { .. } => {}
            }
        }
    }

    /// Somebody meddles with all links from and to these nodes.
    pub(super) fn meddle(&mut self, from: &[NodeId], to: &[NodeId], how: Meddling) {
        let links = from.iter().flat_map(|from| to.iter().map(|to| (*from, *to)));
        self.between.extend(links.map(|link| (link, how)));
    }

    pub(super) fn packet(&mut self, from: NodeId, to: NodeId, mut bytes: Vec<u8>) {
        let mut after = LINK;
        match self.between.get(&(from, to)) {
            Some(Meddling::Drop) => return,
            Some(Meddling::DropEvery(nth)) => {
                self.passed += 1;
                if self.passed.is_multiple_of(*nth) {
                    return;
                }
            }
            Some(Meddling::Delay(longer)) => after += *longer,
            Some(Meddling::Tag) => *bytes.last_mut().expect("not empty") ^= 1,
            Some(Meddling::Double) => {
                self.schedule(
                    self.now + 2 * after,
                    to,
                    Event::Packet { from, bytes: bytes.clone() },
                );
            }
            None => {}
        }
        self.schedule(self.now + after, to, Event::Packet { from, bytes });
    }
}
