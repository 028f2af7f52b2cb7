//! The systems that are measured: what each of them sends when people do what [`Traffic`] says.

mod direct;
mod ideal;
mod latency;
mod nym;
mod three_hop;
mod two_hop;
mod xchat;

use std::collections::BTreeMap;

use crate::record::{Cast, HOUR, Kind, Micros, Observer, Party, SECOND, Seen};
use crate::traffic::{Message, Span, Traffic};

pub use direct::Direct;
pub use ideal::{Decoys, Ideal};
pub use nym::Nym;
pub use three_hop::ThreeHop;
pub use two_hop::TwoHop;
pub use xchat::Xchat;

/// One system under the same traffic.
pub trait System: Sync + std::fmt::Debug {
    /// Its name in the report.
    fn name(&self) -> &'static str;
    /// What it is, in a sentence.
    fn about(&self) -> &'static str;
    /// What is expected of it.
    fn expectation(&self) -> Expectation {
        Expectation::None
    }
    /// Whether it has stores and collectors that tell what they see.
    fn has_stores(&self) -> bool {
        false
    }
    /// Bytes of memory that a run of so many people and hours takes, if it is much.
    fn memory(&self, _clients: u32, _hours: u32) -> u64 {
        0
    }
    /// Lives through the traffic, tells the observer what there is to see, and returns the truth.
    fn run(&self, traffic: &Traffic, seed: u64, observer: &mut dyn Observer) -> Truth;
}

/// What is expected of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// That it hides who talks to whom and how much: what passes a bound is a fault.
    Hides,
    /// That it does not: if the attack finds nothing here, the attack is broken.
    Leaks,
    /// Nothing; it is reported.
    None,
}

/// What became of the messages, and other things that only whoever made the run can know.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// For each message of the traffic, in its order: when it came, if it did.
    pub delivered: Vec<Option<Micros>>,
    /// When its writer had a receipt, if it did; empty where receipts are not looked at.
    pub receipted: Vec<Option<Micros>>,
    /// What each written box was, where stores tell what they see.
    pub boxes: BTreeMap<u64, Boxed>,
}

/// Where a box belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boxed {
    /// Its lane, by writer and reader.
    pub lane: (u32, u32),
    /// Its place in it.
    pub number: u32,
    /// Whether nobody wrote it.
    pub decoy: bool,
}

/// Hands frames over, and counts what goes through clients' links.
pub(crate) struct Wire<'a> {
    observer: &'a mut dyn Observer,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(observer: &'a mut dyn Observer, cast: &Cast) -> Self {
        observer.cast(cast);
        Self { observer }
    }

    fn frame(&mut self, at: f64, from: Party, to: Party, bytes: u16, kind: Kind) {
        let at_micros = micros(at);
        self.observer.seen(&Seen { at_micros, from, to, bytes, kind });
    }

    /// A packet of a client to its node, at a time in seconds.
    pub(crate) fn up(&mut self, at: f64, client: u32, node: u16, bytes: u16) {
        self.frame(at, Party::Client(client), Party::Node(node), bytes, Kind::Client);
    }

    /// A packet of a node to its client.
    pub(crate) fn down(&mut self, at: f64, node: u16, client: u32, bytes: u16) {
        self.frame(at, Party::Node(node), Party::Client(client), bytes, Kind::Client);
    }

    /// A packet between nodes.
    pub(crate) fn across(&mut self, at: f64, from: u16, to: u16, bytes: u16) {
        self.frame(at, Party::Node(from), Party::Node(to), bytes, Kind::Packet);
    }

    /// Clients that are online at some time of an hour, and looked at.
    pub(crate) fn watched<'t>(&'t self, traffic: &'t Traffic, hour: u32) -> Vec<(u32, Vec<Span>)> {
        let (from, until) = (u64::from(hour) * HOUR, u64::from(hour + 1) * HOUR);
        let one = |client: u32| {
            let spans = traffic.online[client as usize].iter();
            let spans = spans.map(|s| Span { from: s.from.max(from), until: s.until.min(until) });
            (client, spans.filter(|s| s.from < s.until).collect())
        };
        let all = (0..traffic.shape.clients).filter(|&c| self.observer.watches(c, hour)).map(one);
        all.filter(|(_, spans): &(u32, Vec<Span>)| !spans.is_empty()).collect()
    }

    pub(crate) fn until(&mut self, at: Micros) {
        self.observer.until(at);
    }
}

/// Seconds of a run as its microseconds.
pub(crate) fn micros(seconds: f64) -> Micros {
    (seconds * SECOND as f64) as Micros
}

/// Microseconds of a run as its seconds.
pub(crate) fn secs(at: Micros) -> f64 {
    at as f64 / SECOND as f64
}

/// A system in which messages go through one by one: what it does for each of them.
pub(crate) trait Mail {
    /// Whatever is sent in an hour though nobody writes.
    fn idle(&mut self, traffic: &Traffic, hour: u32, wire: &mut Wire<'_>);
    /// Carries a message to the last node before its reader, and returns when it is there, in seconds.
    fn send(&mut self, message: &Message, wire: &mut Wire<'_>) -> f64;
    /// Hands it to its reader, who is online, and returns when it is there, in seconds.
    fn deliver(&mut self, message: &Message, at: f64, wire: &mut Wire<'_>) -> f64;
}

/// Lives through the traffic, hour by hour. A message whose reader is away waits for it.
pub(crate) fn carry(traffic: &Traffic, mail: &mut dyn Mail, wire: &mut Wire<'_>) -> Truth {
    let mut truth = Truth { delivered: vec![None; traffic.messages.len()], ..Truth::default() };
    let mut waiting: Vec<(Micros, usize)> = Vec::new();
    let mut next = 0;
    for hour in 0..traffic.shape.hours {
        let until = u64::from(hour + 1) * HOUR;
        mail.idle(traffic, hour, wire);
        while let Some(message) = traffic.messages.get(next).filter(|message| message.at < until) {
            let there = micros(mail.send(message, wire));
            if let Some(at) = traffic.online_from(message.to, there) {
                waiting.push((at, next));
            }
            next += 1;
        }
        waiting.sort_unstable();
        let due = waiting.partition_point(|&(at, _)| at < until);
        for (at, index) in waiting.drain(..due) {
            let came = mail.deliver(&traffic.messages[index], secs(at), wire);
            truth.delivered[index] = Some(micros(came));
        }
        wire.until(until);
    }
    truth
}
