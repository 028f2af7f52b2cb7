//! An idealised version of this project's design: what attacks find in it is what they find by chance, or by what the
//! design says openly. It is **not** the program: no cryptography, no loss, no retries, nothing that a mistake in the
//! code could give away. What it is for: the attacks' null distribution, and to see that each part of
//! the design is needed, by leaving it out.
//!
//! ```text
//!   client: one Poisson stream, each packet a loop, a write, a registration or a collect
//!     ──▶ 3 mixes ──▶ store ──▶ 3 mixes ──▶ client       every packet is answered at once, by one
//!                       └ box written ─▶ 3 mixes ─▶ reader's collector, where a collect finds it
//! ```

mod boxes;
mod client;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::dice::Dice;
use crate::record::{
    Asked, Cast, HOUR, Inside, Insight, Kind, Micros, Observer, Part, Party, Seen,
};
use crate::traffic::Traffic;

use super::latency::{Latency, WAY};
use super::{Boxed, Expectation, System, Truth, micros, secs};
use boxes::{Decoy, box_id, decoys, replicas};
use client::{Client, Item, Slot, Write};

/// What writes into the lanes that lead from a client to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoys {
    /// Nothing: there are none.
    None,
    /// A clock without memory, as often as people write.
    Poisson,
    /// What somebody wrote on another day.
    Replayed,
}

/// The design, with its parts to be left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ideal {
    /// Whether packets are sent also when there is nothing to send.
    pub cover: bool,
    /// Whether a box waits at a collector until it is asked for; otherwise it goes straight to its reader's gateway.
    pub collector: bool,
    /// Mean delay at a mix, in seconds; none: by the size of the crowd.
    pub mix_delay: Option<f64>,
    /// What is written besides.
    pub decoys: Decoys,
    /// Whether links between nodes are padded to a constant rate.
    pub link_padding: bool,
}

impl Default for Ideal {
    fn default() -> Self {
        Self {
            cover: true,
            collector: true,
            mix_delay: None,
            decoys: Decoys::Replayed,
            link_padding: true,
        }
    }
}

/// Nobody has registered for it: in the model readers register for boxes alone.
const NOBODY: u64 = u64::MAX;

/// Mean gap of a stream, in seconds (pace `desk`).
const GAP: f64 = 1.0;
/// Share of loops, and of slots for registrations that are renewed (spec/08, 8.2 and 8.4).
const LOOPS: f64 = 0.05;
const RENEWALS: f64 = 0.071;
const LIFETIME_SECS: u32 = 4_800;
/// Bytes to a gateway, from it, and between stores.
const UP: u16 = 2_432;
const DOWN: u16 = 2_400;
const REPLICA: u16 = 1_700;

const GATEWAYS: u16 = 2;
const STORES: u16 = 6;
const LAYERS: u16 = 3;

/// Seconds that a collector session lasts.
const SESSION: (f64, f64) = (7_200.0, 21_600.0);

impl Ideal {
    /// Mixes of a layer: one more for each 250 clients, and two at least.
    pub(crate) fn mixes(clients: u32) -> u16 {
        (clients / 250).max(2) as u16
    }

    /// So that a mix holds 30 packets, within the bounds of the design.
    pub(crate) fn delay(&self, clients: u32) -> f64 {
        self.delay_at(clients, 1.0 / GAP)
    }

    /// The same of clients that send so many packets a second.
    pub(crate) fn delay_at(&self, clients: u32, rate: f64) -> f64 {
        let per_mix = 2.0 * f64::from(clients) * rate / f64::from(Self::mixes(clients));
        self.mix_delay.unwrap_or_else(|| (30.0 / per_mix).clamp(0.05, 1.0))
    }
}

impl System for Ideal {
    fn name(&self) -> &'static str {
        "idealised stream"
    }

    fn about(&self) -> &'static str {
        "a model of this design without its code: the attacks' null"
    }

    fn expectation(&self) -> Expectation {
        Expectation::Hides
    }

    fn has_stores(&self) -> bool {
        true
    }

    /// Of each hour of a client those who see links and stores keep when its packets left.
    fn memory(&self, clients: u32, hours: u32) -> u64 {
        200_000 * u64::from(clients) * u64::from(1 + hours)
    }

    fn run(&self, traffic: &Traffic, seed: u64, observer: &mut dyn Observer) -> Truth {
        let mut net = Net::new(*self, traffic, seed, observer);
        net.live(traffic);
        net.truth
    }
}

struct Net<'a> {
    design: Ideal,
    delay: f64,
    mixes: u16,
    observer: &'a mut dyn Observer,
    insiders: bool,
    latency: Latency,
    dice: Dice,
    clients: Vec<Client>,
    /// How many boxes each lane has, by writer and reader; decoys by a number above all clients.
    lanes: BTreeMap<(u32, u32), u32>,
    /// The next packet's name.
    packet: u64,
    /// Whether the observer is told what mixes do just now.
    tracing: bool,
    seed: u64,
    truth: Truth,
}

impl<'a> Net<'a> {
    fn new(design: Ideal, traffic: &Traffic, seed: u64, observer: &'a mut dyn Observer) -> Self {
        let count = traffic.shape.clients;
        let mixes = Ideal::mixes(count);
        let mut nodes = vec![Part::Gateway; usize::from(GATEWAYS)];
        nodes.extend(vec![Part::Store; usize::from(STORES)]);
        for layer in 1..=LAYERS {
            nodes.extend(vec![Part::Mix(layer as u8); usize::from(mixes)]);
        }
        let mut dice = Dice::new(seed, 110);
        let latency = Latency::new(count, nodes.len(), &mut dice);
        let delay = design.delay(count);
        observer.cast(&Cast { nodes, clients: count, mix_delay_secs: delay, way_secs: WAY });
        let lanes = decoys(traffic, design.decoys, seed);
        let client =
            |(number, decoys): (usize, Vec<Decoy>)| Client::new(traffic, number as u32, decoys);
        let clients = lanes.into_iter().enumerate().map(client).collect();
        let truth = Truth { delivered: vec![None; traffic.messages.len()], ..Truth::default() };
        let insiders = observer.has_insiders();
        Self {
            design,
            delay,
            mixes,
            observer,
            insiders,
            latency,
            dice,
            clients,
            lanes: BTreeMap::new(),
            packet: 0,
            tracing: false,
            seed,
            truth,
        }
    }

    /// Slot by slot, in the order of time.
    fn live(&mut self, traffic: &Traffic) {
        let mut slots = BinaryHeap::new();
        for client in 0..traffic.shape.clients {
            let first = traffic.online_from(client, 0).map(secs);
            if let Some(first) = first {
                slots.push(Reverse((micros(first + self.dice.exponential(GAP)), client)));
            }
        }
        let (mut next, mut hour) = (0, HOUR);
        while let Some(Reverse((at, client))) = slots.pop() {
            while hour <= at {
                self.observer.until(hour);
                hour += HOUR;
            }
            while let Some(message) = traffic.messages.get(next).filter(|message| message.at <= at)
            {
                let write = Write { from: message.from, to: message.to, message: Some(next) };
                self.clients[message.from as usize].outbox.push_back(write);
                next += 1;
            }
            match traffic.online_from(client, at) {
                Some(now) if now == at => {
                    self.slot(client, secs(at));
                    slots.push(Reverse((at + micros(self.dice.exponential(GAP)), client)));
                }
                Some(later) => {
                    slots.push(Reverse((later + micros(self.dice.exponential(GAP)), client)));
                }
                None => {}
            }
        }
        while hour <= traffic.end() {
            self.observer.until(hour);
            hour += HOUR;
        }
    }

    /// One packet and its answer.
    fn slot(&mut self, client: u32, at: f64) {
        let what = self.clients[client as usize].fill(at, LOOPS, RENEWALS, &mut self.dice);
        let looks = self.observer.watches(client, (micros(at) / HOUR) as u32);
        let idle = matches!(what, Slot::Loop | Slot::Collect);
        if idle && !looks && !self.insiders && !self.clients[client as usize].has_items() {
            return;
        }
        let gateway = (client % u32::from(GATEWAYS)) as u16;
        let store = self.store_of(client, &what);
        let there = at + self.latency.access(client, gateway, &mut self.dice);
        self.tracing = self.observer.traces(micros(at));
        let packet = self.packet;
        let asked = self.mixed(there, gateway, store);
        if self.tracing {
            let inside = Inside::Up { client, left: packet };
            self.observer.inside(&Insight { at_micros: micros(there), node: gateway, inside });
        }
        let back = self.mixed(asked, store, gateway);
        let home = back + self.latency.access(client, gateway, &mut self.dice);
        let mut carries = true;
        match what {
            Slot::Loop => carries = false,
            Slot::Write(write) => self.write(store, asked, write),
            Slot::Register(lane, ahead) => self.register(store, asked, lane, ahead),
            Slot::Collect => carries = self.collect(client, store, asked, home),
        }
        if self.design.cover || carries {
            self.frame(at, Party::Client(client), Party::Node(gateway), UP, Kind::Client);
            self.frame(back, Party::Node(gateway), Party::Client(client), DOWN, Kind::Client);
        }
    }

    /// Where a packet goes.
    fn store_of(&mut self, client: u32, what: &Slot) -> u16 {
        match what {
            Slot::Write(write) => {
                let number = self.lanes.get(&(write.from, write.to)).copied().unwrap_or(0);
                replicas(box_id(self.seed, (write.from, write.to), number))[0]
            }
            Slot::Register(lane, ahead) => {
                let number = self.lanes.get(lane).copied().unwrap_or(0) + ahead;
                let which = self.dice.index(3);
                replicas(box_id(self.seed, *lane, number))[which]
            }
            Slot::Loop => GATEWAYS + self.dice.index(usize::from(STORES)) as u16,
            Slot::Collect => self.collector(client),
        }
    }

    /// Through three mixes.
    fn mixed(&mut self, at: f64, from: u16, to: u16) -> f64 {
        let (mut at, mut node) = (at, from);
        let first = GATEWAYS + STORES;
        let route = [0, 1, 2].map(|layer| {
            first + layer * self.mixes + self.dice.index(usize::from(self.mixes)) as u16
        });
        for (nth, mix) in route.into_iter().enumerate() {
            let came = at + self.latency.across(node, mix, &mut self.dice);
            at = came + if self.delay > 0.0 { self.dice.exponential(self.delay) } else { 0.0 };
            node = mix;
            if self.tracing {
                let next = Party::Node(route.get(nth + 1).copied().unwrap_or(to));
                let (came_micros, came) = (micros(came), self.packet);
                let inside = Inside::Mixed { to: next, came_micros, came, left: came + 1 };
                self.observer.inside(&Insight { at_micros: micros(at), node: mix, inside });
            }
            self.packet += 1;
        }
        self.packet += 1;
        at + self.latency.across(node, to, &mut self.dice)
    }

    fn write(&mut self, store: u16, at: f64, write: Write) {
        let lane = (write.from, write.to);
        let number = self.lanes.entry(lane).or_default();
        let id = box_id(self.seed, lane, *number);
        if self.insiders {
            let decoy = write.message.is_none();
            self.truth.boxes.insert(id, Boxed { lane, number: *number, decoy });
        }
        *number += 1;
        self.inside(at, store, Inside::Request(Asked::Write { id, told: NOBODY }));
        let [_, second, third] = replicas(id);
        let mut stored = at;
        for other in [second, third] {
            let there = at + self.latency.across(store, other, &mut self.dice);
            stored = stored.max(there + self.latency.across(store, other, &mut self.dice));
            if !self.design.link_padding {
                self.frame(at, Party::Node(store), Party::Node(other), REPLICA, Kind::Replica);
                self.frame(there, Party::Node(other), Party::Node(store), 100, Kind::Replica);
            }
        }
        self.deliver(id, stored, &write);
    }

    /// To the reader's collector; straight to the reader where there is none.
    fn deliver(&mut self, id: u64, stored: f64, write: &Write) {
        let reader = if write.message.is_none() { write.from } else { write.to };
        let from = replicas(id)[self.dice.index(3)];
        self.clients[reader as usize].refresh((write.from, write.to));
        if self.design.collector {
            let collector = self.collector(reader);
            let at = self.mixed(stored, from, collector);
            self.inside(
                at,
                collector,
                Inside::Item { session: self.clients[reader as usize].session },
            );
            self.clients[reader as usize]
                .items
                .push(Reverse(Item { at: micros(at), message: write.message }));
        } else {
            let gateway = (reader % u32::from(GATEWAYS)) as u16;
            let at = self.mixed(stored, from, gateway);
            self.frame(at, Party::Node(gateway), Party::Client(reader), DOWN, Kind::Client);
            if let Some(message) = write.message {
                let came = at + self.latency.access(reader, gateway, &mut self.dice);
                self.truth.delivered[message] = Some(micros(came));
            }
        }
    }

    fn register(&mut self, store: u16, at: f64, lane: (u32, u32), ahead: u32) {
        let number = self.lanes.get(&lane).copied().unwrap_or(0) + ahead;
        let id = box_id(self.seed, lane, number);
        self.inside(
            at,
            store,
            Inside::Request(Asked::Register { id, lifetime_secs: LIFETIME_SECS }),
        );
    }

    /// Whether there was something.
    fn collect(&mut self, client: u32, store: u16, at: f64, home: f64) -> bool {
        let session = self.clients[client as usize].session;
        let item = self.clients[client as usize].take(micros(at));
        if let Some(Item { message: Some(message), .. }) = item {
            self.truth.delivered[message] = Some(micros(home));
        }
        self.inside(at, store, Inside::Request(Asked::Collect { session, item: item.is_some() }));
        item.is_some()
    }

    /// A client's collector, drawn anew with each session.
    fn collector(&mut self, client: u32) -> u16 {
        let drawn = &mut self.clients[client as usize];
        if drawn.begin_session(SESSION, &mut self.dice) {
            let session = drawn.session;
            self.observer.truth_of_session(session, client);
        }
        GATEWAYS + (self.clients[client as usize].session % u64::from(STORES)) as u16
    }

    fn frame(&mut self, at: f64, from: Party, to: Party, bytes: u16, kind: Kind) {
        self.observer.seen(&Seen { at_micros: micros(at), from, to, bytes, kind });
    }

    fn inside(&mut self, at: f64, node: u16, inside: Inside) {
        if self.insiders {
            let at_micros: Micros = micros(at);
            self.observer.inside(&Insight { at_micros, node, inside });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::SECOND;
    use crate::traffic::Shape;

    #[derive(Default)]
    struct Tally {
        up: Vec<u64>,
        down: Vec<u64>,
    }

    impl Observer for Tally {
        fn cast(&mut self, cast: &Cast) {
            self.up = vec![0; cast.clients as usize];
            self.down = self.up.clone();
        }

        fn seen(&mut self, seen: &Seen) {
            match (seen.from, seen.to) {
                (Party::Client(client), _) => self.up[client as usize] += 1,
                (_, Party::Client(client)) => self.down[client as usize] += 1,
                _ => {}
            }
        }
    }

    #[test]
    fn every_packet_has_one_answer_and_the_rate_is_everybodys() {
        let traffic = Traffic::new(Shape::talkative(20, 6), 3);
        let mut tally = Tally::default();
        Ideal::default().run(&traffic, 3, &mut tally);
        assert_eq!(tally.up, tally.down);
        for (client, &count) in tally.up.iter().enumerate() {
            let online: u64 =
                traffic.online[client].iter().map(|s| (s.until - s.from) / SECOND).sum();
            let expected = online as f64;
            assert!(
                (count as f64 - expected).abs() < 5.0 * expected.sqrt(),
                "{count} of {expected}"
            );
        }
    }

    #[test]
    fn messages_arrive_within_seconds_of_an_online_reader() {
        let traffic = Traffic::new(Shape::talkative(20, 12), 3);
        let truth = Ideal::default().run(&traffic, 3, &mut Tally::default());
        let pairs = traffic.messages.iter().zip(&truth.delivered);
        let mut late: Vec<f64> =
            pairs.filter_map(|(m, d)| Some(secs((*d)?) - secs(m.at))).collect();
        late.sort_by(f64::total_cmp);
        assert!(late.len() * 10 > traffic.messages.len() * 9);
        assert!((1.0..20.0).contains(&late[late.len() / 2]), "{}", late[late.len() / 2]);
    }
}
