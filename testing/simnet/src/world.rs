//! The world: one queue of events, and a clock that jumps from one to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Timestamp, random};
use xchat_directory::{NodeId, Root, VerifiedDocument};
use xchat_engine::{Command, CommandError, Contact, ConversationId, Response};
use xchat_node::gateway::SessionId;
use xchat_node::sphinx::work::Search;
use xchat_node::sphinx::{LinkKey, Proof};
use xchat_node::{gateway, mix, store};

use crate::links::Links;
use crate::network::{Core, Founded, Node, Shape, found};
use crate::person::{Person, Want};

/// What a proof of work takes a person.
const SOLVING: Duration = Duration::from_millis(75);

/// What arrives somewhere.
enum Arrival {
    /// A frame on a packet link between nodes.
    Packet { from: NodeId, to: NodeId, bytes: Vec<u8> },
    /// A frame on a replica link.
    Replica { from: NodeId, to: NodeId, bytes: Vec<u8> },
    /// A client's link is up, at both ends.
    Opened { session: SessionId },
    /// A person has done the work for a session.
    Solved { session: SessionId, proof: Proof },
    /// A frame of a client.
    Up { session: SessionId, bytes: Vec<u8> },
    /// A frame for a client.
    Down { session: SessionId, bytes: Vec<u8> },
}

/// A client's link to its gateway.
struct Session {
    person: usize,
    gateway: NodeId,
    key: LinkKey,
}

/// A network and its people.
pub struct World {
    /// Virtual time.
    pub now: Timestamp,
    /// The one source of randomness.
    pub rng: ChaCha20Rng,
    /// The people.
    pub people: Vec<Person>,
    /// How frames between nodes travel; it may be changed at any time.
    pub links: Links,
    /// Frames that links lost.
    pub lost: u64,
    root: Root,
    document: VerifiedDocument,
    nodes: BTreeMap<NodeId, Node>,
    down: Vec<NodeId>,
    sessions: BTreeMap<SessionId, Session>,
    queue: BTreeMap<(Timestamp, u64), Arrival>,
    counter: u64,
}

impl World {
    /// A network of this shape, with nobody in it.
    pub fn new(seed: u64, shape: &Shape, links: Links) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let now = Timestamp::from_secs(1_800_000_000);
        let Founded { root, document, nodes } = found(shape, now, &mut rng);
        Self {
            now,
            rng,
            people: Vec::new(),
            links,
            lost: 0,
            root,
            document,
            nodes,
            down: Vec::new(),
            sessions: BTreeMap::new(),
            queue: BTreeMap::new(),
            counter: 0,
        }
    }

    /// A new person, online.
    pub fn add(&mut self, name: &str) -> usize {
        self.people.push(Person::new(name, self.root.clone(), self.document.clone()));
        let who = self.people.len() - 1;
        self.start(who);
        who
    }

    /// Starts a person's app.
    pub fn start(&mut self, who: usize) {
        let wants = self.people[who].start(self.now, &mut self.rng);
        self.serve(who, wants);
    }

    /// Ends a person's app, as by kill -9.
    pub fn stop(&mut self, who: usize) {
        self.people[who].stop();
        self.disconnect(who);
    }

    /// Ids of all stores.
    pub fn stores(&self) -> Vec<NodeId> {
        self.document.stores().map(|store| store.id).collect()
    }

    /// Takes a node off the network, or puts it back with all that it remembered.
    pub fn set_down(&mut self, node: NodeId, down: bool) {
        self.down.retain(|known| *known != node);
        if down {
            self.down.push(node);
        }
    }

    /// Gives a command to a person's app; the tag of its answer.
    pub fn command(&mut self, who: usize, command: Command) -> u64 {
        self.counter += 1;
        let tag = self.counter;
        let wants = self.people[who].command(tag, command, self.now, &mut self.rng);
        self.serve(who, wants);
        tag
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.step(until) {}
        self.now = until;
    }

    /// Lets a random time pass, at most this.
    pub fn pause(&mut self, longest: Duration) {
        let pause = longest.mul_f64(random::unit(&mut self.rng));
        self.run_for(pause);
    }

    /// Lets time pass until something is true.
    ///
    /// # Panics
    /// When it is not after `within`: a test has failed.
    pub fn run_until(&mut self, what: &str, within: Duration, mut done: impl FnMut(&Self) -> bool) {
        let until = self.now + within;
        while !done(self) {
            assert!(self.step(until), "did not happen within {within:?}: {what}");
        }
    }

    /// The answer of a command, once it comes.
    ///
    /// # Errors
    /// The command's own.
    pub fn answer(&mut self, who: usize, tag: u64) -> Result<Response, CommandError> {
        self.run_until("an answer", Duration::from_secs(600), |world| {
            world.people[who].done.contains_key(&tag)
        });
        self.people[who].done.remove(&tag).expect("just seen")
    }

    /// Two people meet; their conversations.
    ///
    /// # Panics
    /// When they do not: a test has failed.
    pub fn meet(&mut self, inviter: usize, accepter: usize) -> [ConversationId; 2] {
        let tag = self.command(inviter, Command::Invite);
        let link = match self.answer(inviter, tag) {
            Ok(Response::Link(link)) => link,
            other => unreachable!("invite: {other:?}"),
        };
        let known = |person: &Person| -> BTreeSet<_> {
            person.contacts().iter().map(|contact| contact.conversation).collect()
        };
        let before = known(&self.people[inviter]);
        let tag = self.command(accepter, Command::Accept { link });
        let theirs: Contact = match self.answer(accepter, tag) {
            Ok(Response::Contact(contact)) => contact,
            other => unreachable!("accept: {other:?}"),
        };
        self.run_until("the inviter's contact", Duration::from_secs(600), |world| {
            known(&world.people[inviter]).len() > before.len()
        });
        let after = known(&self.people[inviter]);
        let ours = after.difference(&before).next().expect("just seen");
        [*ours, theirs.conversation]
    }

    /// Sends a text.
    pub fn send(&mut self, who: usize, conversation: ConversationId, text: &str) {
        self.command(who, Command::Send { conversation, text: text.to_owned() });
    }

    // --- events ---------------------------------------------------------------------------------

    fn step(&mut self, until: Timestamp) -> bool {
        let frame = self.queue.keys().next().map(|(at, _)| *at);
        let person = (0..self.people.len())
            .filter_map(|who| Some((self.people[who].next_wake()?, who)))
            .min();
        let node = self
            .nodes
            .iter()
            .filter(|(id, _)| !self.down.contains(id))
            .filter_map(|(id, node)| Some((node.wake_at?, *id)))
            .min();
        let times = [frame, person.map(|(at, _)| at), node.map(|(at, _)| at)];
        let Some(at) = times.into_iter().flatten().min() else { return false };
        if at > until {
            return false;
        }
        self.now = self.now.max(at);
        if frame == Some(at) {
            if let Some((_, arrival)) = self.queue.pop_first() {
                self.arrive(arrival);
            }
        } else if let Some((_, who)) = person.filter(|(time, _)| *time == at) {
            let wants = self.people[who].wake(self.now, &mut self.rng);
            self.serve(who, wants);
        } else if let Some((_, id)) = node {
            self.wake_node(id);
        }
        true
    }

    fn enqueue(&mut self, way: Duration, arrival: Arrival) {
        self.counter += 1;
        self.queue.insert((self.now + way, self.counter), arrival);
    }

    fn between_nodes(&mut self, arrival: Arrival) {
        match self.links.travel(&mut self.rng) {
            Some(way) => self.enqueue(way, arrival),
            None => self.lost += 1,
        }
    }

    fn serve(&mut self, who: usize, wants: Vec<Want>) {
        for want in wants {
            match want {
                Want::Connect(gateway) => {
                    self.disconnect(who);
                    self.counter += 1;
                    let session = SessionId::new(self.counter);
                    let key = LinkKey::random(&mut self.rng);
                    self.sessions.insert(session, Session { person: who, gateway, key });
                    self.enqueue(self.links.delay, Arrival::Opened { session });
                }
                Want::Disconnect => self.disconnect(who),
                Want::Solve(puzzle) => {
                    let session = self.sessions.iter().find(|(_, session)| session.person == who);
                    if let Some(session) = session.map(|(id, _)| *id)
                        && let Some(proof) = Search::new(puzzle).finish()
                    {
                        self.enqueue(SOLVING, Arrival::Solved { session, proof });
                    }
                }
                Want::Send(bytes) => {
                    let session = self.sessions.iter().find(|(_, session)| session.person == who);
                    if let Some(session) = session.map(|(id, _)| *id) {
                        // A client's link is one ordered stream: no jitter, no loss.
                        self.enqueue(self.links.delay, Arrival::Up { session, bytes });
                    }
                }
            }
        }
    }

    fn disconnect(&mut self, who: usize) {
        let gone: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.person == who)
            .map(|(id, session)| (*id, session.gateway))
            .collect();
        for (session, gateway) in gone {
            self.sessions.remove(&session);
            self.gateway(gateway, gateway::Input::ClientClosed { session });
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Packet { from, to, bytes } => self.packet(from, to, bytes),
            Arrival::Replica { from, to, bytes } => {
                self.store(to, store::Input::ReplicaFrame { from, bytes });
            }
            Arrival::Opened { session } => {
                let Some(Session { person, gateway, key }) = self.sessions.get(&session) else {
                    return;
                };
                let (person, gateway, link) = (*person, *gateway, *key);
                self.gateway(gateway, gateway::Input::ClientOpened { session, link });
                self.person(person, xchat_transport::Input::Online { gateway, link });
            }
            Arrival::Solved { session, proof } => {
                if let Some(Session { person, .. }) = self.sessions.get(&session) {
                    self.person(*person, xchat_transport::Input::Solved(proof));
                }
            }
            Arrival::Up { session, bytes } => {
                if let Some(Session { gateway, .. }) = self.sessions.get(&session) {
                    self.gateway(*gateway, gateway::Input::ClientFrame { session, bytes });
                }
            }
            Arrival::Down { session, bytes } => {
                if let Some(Session { person, .. }) = self.sessions.get(&session) {
                    self.person(*person, xchat_transport::Input::Frame(bytes));
                }
            }
        }
    }

    fn person(&mut self, who: usize, input: xchat_transport::Input) {
        let wants = self.people[who].network(input, self.now, &mut self.rng);
        self.serve(who, wants);
    }

    fn packet(&mut self, from: NodeId, to: NodeId, bytes: Vec<u8>) {
        match self.nodes.get(&to).map(|node| &node.core) {
            Some(Core::Gateway(_)) => self.gateway(to, gateway::Input::NodeFrame { from, bytes }),
            Some(Core::Mix(_)) => self.mix(to, mix::Input::NodeFrame { from, bytes }),
            Some(Core::Store(_)) => self.store(to, store::Input::NodeFrame { from, bytes }),
            None => {}
        }
    }

    fn wake_node(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.wake_at = None;
        match node.core {
            Core::Gateway(_) => self.gateway(id, gateway::Input::Timer),
            Core::Mix(_) => self.mix(id, mix::Input::Timer),
            Core::Store(_) => self.store(id, store::Input::Timer),
        }
    }

    fn gateway(&mut self, id: NodeId, input: gateway::Input) {
        if self.down.contains(&id) {
            return;
        }
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Core::Gateway(core) = &mut node.core else { return };
        for effect in core.handle(input, self.now, &mut self.rng) {
            match effect {
                gateway::Effect::ToClient { session, bytes } => {
                    self.enqueue(self.links.delay, Arrival::Down { session, bytes });
                }
                gateway::Effect::ToNode { to, bytes } => {
                    self.between_nodes(Arrival::Packet { from: id, to, bytes });
                }
                gateway::Effect::CloseClient { session, .. } => {
                    if let Some(session) = self.sessions.remove(&session) {
                        self.person(session.person, xchat_transport::Input::Offline);
                    }
                }
                gateway::Effect::WakeAt(at) => self.wake_at(id, at),
                _ => {}
            }
        }
    }

    fn mix(&mut self, id: NodeId, input: mix::Input) {
        if self.down.contains(&id) {
            return;
        }
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Core::Mix(core) = &mut node.core else { return };
        for effect in core.handle(input, self.now, &mut self.rng) {
            match effect {
                mix::Effect::ToNode { to, bytes } => {
                    self.between_nodes(Arrival::Packet { from: id, to, bytes });
                }
                mix::Effect::WakeAt(at) => self.wake_at(id, at),
                // Nodes do not crash here, so the journal is the core's own memory.
                _ => {}
            }
        }
    }

    fn store(&mut self, id: NodeId, input: store::Input) {
        if self.down.contains(&id) {
            return;
        }
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Core::Store(core) = &mut node.core else { return };
        for effect in core.handle(input, self.now, &mut self.rng) {
            match effect {
                store::Effect::ToNode { to, bytes } => {
                    self.between_nodes(Arrival::Packet { from: id, to, bytes });
                }
                store::Effect::ToReplica { to, bytes } => {
                    self.between_nodes(Arrival::Replica { from: id, to, bytes });
                }
                store::Effect::WakeAt(at) => self.wake_at(id, at),
                _ => {}
            }
        }
    }

    fn wake_at(&mut self, id: NodeId, at: Timestamp) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.wake_at = Some(at);
        }
    }
}
