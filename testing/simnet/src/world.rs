//! The world: nodes and clients, one agenda of events, and a clock that jumps from one to the next.

mod clients;
mod nodes;
mod people;
mod renewal;
mod talkers;

pub use talkers::Acquaintance;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Timestamp, random};
use xchat_directory::{NodeId, Root, VerifiedDocument};
use xchat_node::gateway::SessionId;
use xchat_sphinx::{HopSecret, LinkKey, PacketFormat, Proof, Sphinx};
use xchat_transport::DecoyLanes;

use crate::agenda::Agenda;
use crate::core::Totals;
use crate::insider::Insider;
use crate::links::{Links, Padded};
use crate::network::{Core, Founded, Shape, again, found};
use crate::person::Person;
use crate::renewal::Authorities;
use crate::seen::{Blind, Cast, FrameId, Inside, Insight, Kind, NodeCast, Observer, Pair, Party};
use crate::seen::{Said, Seen};
use crate::talker::Talker;

/// The moment at which every world begins.
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What happens at a moment.
enum Event {
    /// A frame on a packet link arrives.
    Packet { from: u16, to: u16, frame: FrameId, bytes: Vec<u8> },
    /// A frame on a replica link arrives.
    Replica { from: u16, to: u16, bytes: Vec<u8> },
    /// A client's link is up, at both ends.
    Opened { session: SessionId },
    /// A client has done the work for a session.
    Solved { session: SessionId, proof: Box<Proof> },
    /// The slot of a packet that a client has made.
    Slot { session: SessionId, bytes: Vec<u8> },
    /// A frame of a client arrives at its gateway.
    Up { session: SessionId, frame: FrameId, bytes: Vec<u8> },
    /// A frame for a client arrives.
    Down { session: SessionId, bytes: Vec<u8> },
    /// A node wanted to be woken.
    WakeNode(u16),
    /// A client wanted to be woken.
    WakeClient(u32),
    /// The authorities sign the next document.
    Renew,
    /// A node gets it.
    TakeDocument(u16),
}

/// A node in the world.
struct Seat {
    id: NodeId,
    core: Core,
    wake: Option<Timestamp>,
    down: bool,
    /// Of all its hop keys, for its insider.
    secrets: Vec<HopSecret>,
    /// Those that its core is to have with the next document.
    hop_secrets_to_come: Vec<HopSecret>,
    /// The core's own draws, and those of the links that leave it: what one node does moves nothing elsewhere.
    rng: ChaCha20Rng,
    weather: ChaCha20Rng,
    insider: Option<Insider>,
    /// Share of the packets that it does not pass on to other nodes.
    drops: f64,
    /// Share of those that it passes on twice.
    doubles: f64,
    /// Its links to other nodes, where they are padded.
    padded: BTreeMap<(u16, bool), Padded>,
}

/// Who sits at a client's device, by place among those of the kind.
#[derive(Clone, Copy)]
enum Who {
    Person(usize),
    Talker(usize),
}

/// A client in the world.
struct Client {
    who: Who,
    session: Option<SessionId>,
    wake: Option<Timestamp>,
    asleep: bool,
    rng: ChaCha20Rng,
    weather: ChaCha20Rng,
}

/// A client's link to its gateway.
struct Session {
    client: u32,
    gateway: u16,
    key: LinkKey,
    /// When it came up.
    since: Option<Timestamp>,
    /// When the last frame that was sent arrives, each way.
    up: Timestamp,
    down: Timestamp,
}

/// A network and its people.
pub struct World {
    /// Virtual time.
    pub now: Timestamp,
    /// For whoever writes the script; nothing inside draws from it.
    pub rng: ChaCha20Rng,
    /// The people, with engines.
    pub people: Vec<Person>,
    /// How frames travel; it may be changed at any time.
    pub links: Links,
    /// How often readers were told of a message: as many as were said, if each was told once.
    pub heard: u64,
    /// Frames that links lost.
    pub lost: u64,
    /// Packets that nodes did not pass on, because they drop some.
    pub dropped: u64,
    /// Packets that nodes passed on twice.
    pub doubled: u64,
    /// Frames that were sent.
    pub frames: u64,
    /// Events that have happened.
    pub events: u64,
    seed: u64,
    format: &'static dyn PacketFormat,
    root: Root,
    authorities: Option<Authorities>,
    /// The first one: what lies on a device that has got no other.
    founding: VerifiedDocument,
    /// The present one.
    document: VerifiedDocument,
    seats: Vec<Seat>,
    places: BTreeMap<NodeId, u16>,
    clients: Vec<Client>,
    talkers: Vec<Talker>,
    pairs: Vec<Pair>,
    sessions: HashMap<SessionId, Session>,
    agenda: Agenda<Event>,
    observer: Box<dyn Observer>,
    saying: BTreeMap<u64, Said>,
    said: u64,
    tags: u64,
    sessions_made: u64,
    decoys: DecoyLanes,
}

/// What a generator is for. Each has a stream of its own, so that one more draw here moves nothing there.
pub(crate) enum Stream {
    Founding,
    Script,
    /// Of who knows whom.
    Contacts,
    Node(u16),
    NodeLinks(u16),
    Client(u32),
    ClientLinks(u32),
    /// For how long pairs have known each other.
    Met,
    /// The secret of two who know each other.
    Pair(u32),
    /// When a client's device sleeps.
    Days(u32),
    /// When two talk, and what.
    Talk(u32),
    /// What the authorities draw for the document after the one of this epoch.
    Renewal(u64),
}

pub(crate) fn stream(seed: u64, stream: &Stream) -> ChaCha20Rng {
    let number = match *stream {
        Stream::Founding => 0,
        Stream::Script => 1,
        Stream::Met => 3,
        Stream::Contacts => 2,
        Stream::Node(n) => 1 << 32 | u64::from(n),
        Stream::NodeLinks(n) => 2 << 32 | u64::from(n),
        Stream::Client(n) => 3 << 32 | u64::from(n),
        Stream::ClientLinks(n) => 4 << 32 | u64::from(n),
        Stream::Pair(n) => 5 << 32 | u64::from(n),
        Stream::Days(n) => 6 << 32 | u64::from(n),
        Stream::Talk(n) => 7 << 32 | u64::from(n),
        Stream::Renewal(epoch) => 8 << 32 | epoch,
    };
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

impl World {
    /// A network of this shape with real packets, and with nobody in it.
    pub fn new(seed: u64, shape: &Shape, links: Links) -> Self {
        Self::with_format(seed, shape, links, &Sphinx)
    }

    /// The same with packets of this format.
    pub fn with_format(
        seed: u64,
        shape: &Shape,
        links: Links,
        format: &'static dyn PacketFormat,
    ) -> Self {
        let founded = found(shape, BEGIN, &mut stream(seed, &Stream::Founding));
        let Founded { root, authorities, document, nodes } = founded;
        let mut world = Self {
            now: BEGIN,
            rng: stream(seed, &Stream::Script),
            people: Vec::new(),
            links,
            heard: 0,
            lost: 0,
            dropped: 0,
            doubled: 0,
            frames: 0,
            events: 0,
            seed,
            format,
            root,
            authorities,
            founding: document.clone(),
            document,
            seats: Vec::new(),
            places: BTreeMap::new(),
            clients: Vec::new(),
            talkers: Vec::new(),
            pairs: Vec::new(),
            sessions: HashMap::new(),
            agenda: Agenda::new(),
            observer: Box::new(Blind),
            saying: BTreeMap::new(),
            said: 0,
            tags: 0,
            sessions_made: 0,
            decoys: DecoyLanes::default(),
        };
        // In the order of the document: gateways, mixes by layer, stores.
        let ids: Vec<_> = world.document.descriptors.iter().map(|node| node.id).collect();
        let mut nodes = nodes;
        for (place, id) in (0..).zip(ids) {
            let node = nodes.remove(&id).expect("the document lists the nodes that were founded");
            world.places.insert(id, place);
            world.seats.push(Seat {
                id,
                core: node.core.with_format(format),
                wake: None,
                down: false,
                secrets: node.secrets,
                hop_secrets_to_come: Vec::new(),
                rng: stream(seed, &Stream::Node(place)),
                weather: stream(seed, &Stream::NodeLinks(place)),
                insider: None,
                drops: 0.0,
                doubles: 0.0,
                padded: BTreeMap::new(),
            });
            if let Some(at) = node.wake_at {
                world.wake_node_at(place, at);
            }
        }
        world.plan_renewal();
        world
    }

    /// Has somebody watch all links from now on, and these nodes from inside. Call it when everybody has been added
    /// and before time passes; what happened before is not told.
    pub fn observe(&mut self, observer: Box<dyn Observer>, hostile: &BTreeSet<u16>) {
        self.observer = observer;
        for (place, seat) in (0..).zip(&mut self.seats) {
            let insider = || Insider::new(self.format, seat.secrets.iter().map(again).collect());
            seat.insider = hostile.contains(&place).then(insider);
        }
        let cast = self.cast();
        self.observer.cast(&cast);
    }

    /// What the clients that are added from now on write besides, in place of what ships.
    pub fn set_decoy_lanes(&mut self, decoys: DecoyLanes) {
        self.decoys = decoys;
    }

    /// Who plays.
    pub fn cast(&self) -> Cast {
        let node =
            |seat: &Seat| NodeCast { part: seat.core.part(), hostile: seat.insider.is_some() };
        Cast {
            nodes: self.seats.iter().map(node).collect(),
            clients: self.clients.len() as u32,
            pairs: self.pairs.clone(),
        }
    }

    /// Ids of all stores.
    pub fn stores(&self) -> Vec<NodeId> {
        self.document.stores().map(|store| store.id).collect()
    }

    /// Ids of all mixes, by layer.
    pub fn mixes(&self) -> Vec<NodeId> {
        let mixes = self.seats.iter().filter(|seat| matches!(seat.core, Core::Mix(_)));
        mixes.map(|seat| seat.id).collect()
    }

    /// Takes a node off the network, or puts it back with all that it remembered.
    pub fn set_down(&mut self, node: NodeId, down: bool) {
        let Some(place) = self.places.get(&node).copied() else { return };
        let seat = &mut self.seats[usize::from(place)];
        seat.down = down;
        if down {
            return;
        }
        if let Some(at) = seat.wake.take() {
            self.wake_node_at(place, at);
        }
        self.take_document(place);
    }

    /// Has these nodes drop such a share of all packets that they should pass on to other nodes, and pass on twice such a share
    /// of the others.
    pub fn set_hostile(&mut self, nodes: &BTreeSet<u16>, dropping: f64, doubling: f64) {
        for place in nodes {
            if let Some(seat) = self.seats.get_mut(usize::from(*place)) {
                (seat.drops, seat.doubles) = (dropping, doubling);
            }
        }
    }

    /// The nodes of which others say that they send packets twice.
    pub fn repeating(&self) -> BTreeSet<u16> {
        let named = self.seats.iter().flat_map(|seat| seat.core.repeating(self.now));
        named.filter_map(|id| self.places.get(&id).copied()).collect()
    }

    /// What all nodes have done so far.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.seats.iter().for_each(|seat| totals.add(&seat.core));
        totals
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_to(self.now + duration);
    }

    /// Lets time pass until this moment.
    pub fn run_to(&mut self, until: Timestamp) {
        while self.step(until) {}
        self.now = self.now.max(until);
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

    /// Ends the run: tells what has not been told yet.
    pub fn finish(&mut self) {
        for client in 0..self.clients.len() as u32 {
            self.end_session(client);
        }
        for said in std::mem::take(&mut self.saying).into_values() {
            self.observer.said(&said);
        }
    }

    fn step(&mut self, until: Timestamp) -> bool {
        let Some((at, event)) = self.agenda.next(until) else { return false };
        self.now = self.now.max(at);
        self.events += 1;
        match event {
            Event::Packet { from, to, frame, bytes } => self.packet(from, to, frame, bytes),
            Event::Replica { from, to, bytes } => self.replica(from, to, bytes),
            Event::Opened { session } => self.opened(session),
            Event::Solved { session, proof } => self.solved(session, *proof),
            Event::Slot { session, bytes } => self.slot(session, bytes),
            Event::Up { session, frame, bytes } => self.up(session, frame, bytes),
            Event::Down { session, bytes } => self.down(session, bytes),
            Event::WakeNode(place) => self.wake_node(place),
            Event::WakeClient(client) => self.wake_client(client),
            Event::Renew => self.renew(),
            Event::TakeDocument(place) => self.take_document(place),
        }
        true
    }

    /// A frame for another node waits for its cell. What an observer sees of a padded link is cells at times that were
    /// fixed when it came up, so it is told of none of them.
    fn leaves_padded(
        &mut self,
        from: u16,
        to: u16,
        length: usize,
        kind: Kind,
    ) -> (FrameId, Timestamp) {
        if self.links.cells == 0 {
            return (self.leaves(Party::Node(from), Party::Node(to), length, kind), self.now);
        }
        self.frames += 1;
        let (now, cells) = (self.now, self.links.cells);
        let seat = &mut self.seats[usize::from(from)];
        let weather = &mut seat.weather;
        let link = seat
            .padded
            .entry((to, kind == Kind::Replica))
            .or_insert_with(|| Padded::new(cells, now, weather));
        (FrameId(self.frames), link.leaves(now, length))
    }

    /// A frame leaves, and is seen.
    fn leaves(&mut self, from: Party, to: Party, length: usize, kind: Kind) -> FrameId {
        self.frames += 1;
        self.observer.seen(&Seen {
            at_micros: self.now.as_micros(),
            from,
            to,
            bytes: u16::try_from(length).unwrap_or(u16::MAX),
            kind,
        });
        FrameId(self.frames)
    }

    fn tell(&mut self, node: u16, inside: Option<Inside>) {
        if let Some(inside) = inside {
            self.observer.inside(&Insight { at_micros: self.now.as_micros(), node, inside });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_was_away_goes_on_by_its_own_clock() {
        let mut world = World::new(1, &Shape::default(), Links::good());
        let minute = Duration::from_secs(60);
        world.run_for(minute);
        let store = world.stores()[0];
        let place = usize::from(world.places[&store]);
        let due = world.seats[place].wake.expect("stores compare what they hold");
        world.set_down(store, true);
        world.run_for(minute);
        assert_eq!(world.seats[place].wake, Some(due), "it is not woken while it is away");
        assert!(due < world.now);
        world.set_down(store, false);
        world.run_for(Duration::from_secs(1));
        assert!(world.seats[place].wake.is_some_and(|next| next > world.now), "and is woken then");
    }
}
