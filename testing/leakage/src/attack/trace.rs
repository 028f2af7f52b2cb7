//! Which client a packet at a store comes from, for the observer of every link who owns some of the mixes.
//!
//! At an honest mix every packet that it holds is as likely to be the one that leaves: delays are exponential, which has no
//! memory (Danezis, PET 2004). So a packet that leaves carries the mean of what the held ones carried, and the
//! mix is left with the rest. At a mix of the adversary's own a packet keeps what it carried.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::record::{Cast, Inside, Insight, Micros, Observer, Part, Party};
use crate::stats;

/// What it sees, in the words of the report.
pub const NAME: &str = "some of the mixes";

/// See [`crate::adversary::Lens::sees`].
pub const SEES: &str = "Every link, and besides, of a share of the mixes, which packet that comes in is which that goes out. \
    Each mix is its own with the given probability. It is asked of each packet that reaches a store which client it comes \
    from.";

/// Everything that mixes pass on in a stretch of time. What an adversary may use of it is decided afterwards.
#[derive(Debug)]
pub struct Trace {
    from: Micros,
    until: Micros,
    parts: Vec<Part>,
    clients: usize,
    way: (f64, (f64, f64)),
    /// The client of each packet that left a gateway.
    clients_of: BTreeMap<u64, u32>,
    mixed: Vec<Mixed>,
}

/// One packet at one mix.
#[derive(Debug, Clone, Copy)]
struct Mixed {
    mix: u16,
    to: Party,
    came_at: Micros,
    left_at: Micros,
    came: u64,
    left: u64,
}

/// Packets that are kept at most.
const MAX_MIXED: usize = 2_000_000;

/// Time at the beginning of which mixes are not yet full: nothing is asked about it.
const FILLING: Micros = 30_000_000;

/// What is left of a packet's origin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Traced {
    /// Bits about its client.
    pub bits: f64,
    /// How often the best guess is right.
    pub right: f64,
    /// Packets asked about.
    pub packets: usize,
}

/// What a packet, or all packets in a mix, may be: of each client, or none of them (an answer, a delivery).
#[derive(Debug, Clone)]
struct Mass {
    clients: Vec<f32>,
    other: f32,
}

impl Mass {
    fn none(clients: usize) -> Self {
        Self { clients: vec![0.0; clients], other: 0.0 }
    }

    fn scaled(&self, factor: f32) -> Self {
        Self {
            clients: self.clients.iter().map(|x| x * factor).collect(),
            other: self.other * factor,
        }
    }

    fn add(&mut self, more: &Self, sign: f32) {
        for (x, y) in self.clients.iter_mut().zip(&more.clients) {
            *x += sign * y;
        }
        self.other += sign * more.other;
    }
}

impl Trace {
    /// Of a stretch of a run.
    pub fn new(from: Micros, until: Micros) -> Self {
        let (parts, clients_of, mixed) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { from, until, parts, clients: 0, way: (0.0, (0.0, 0.0)), clients_of, mixed }
    }

    /// Mean delay of the network's mixes and what links add on a way to a store, in seconds.
    pub fn way(&self) -> (f64, (f64, f64)) {
        self.way
    }

    /// Asks about every packet that reaches a store, if each mix is the adversary's with a probability.
    pub fn ask(&self, share: f64, seed: u64) -> Option<Traced> {
        let mut dice = Dice::new(seed, 0x6d69_7865);
        let own: BTreeSet<u16> = (0..self.parts.len() as u16)
            .filter(|&node| {
                matches!(self.parts[usize::from(node)], Part::Mix(_)) && dice.chance(share)
            })
            .collect();
        // Arrivals (0) before departures (1) of the same moment.
        let mut events: Vec<(Micros, u8, usize)> = Vec::new();
        for (nth, mixed) in self.mixed.iter().enumerate() {
            events.push((mixed.came_at, 0, nth));
            events.push((mixed.left_at, 1, nth));
        }
        events.sort_unstable();
        let mut pools: BTreeMap<u16, (Mass, f32)> = BTreeMap::new();
        let mut carried: BTreeMap<u64, Mass> = BTreeMap::new();
        let mut origin: BTreeMap<u64, u32> = BTreeMap::new();
        let mut answer = Answer::default();
        for (at, what, nth) in events {
            let mixed = self.mixed[nth];
            let pool = pools.entry(mixed.mix).or_insert_with(|| (Mass::none(self.clients), 0.0));
            if what == 0 {
                let mass = carried.remove(&mixed.came).unwrap_or_else(|| self.fresh(mixed.came));
                if own.contains(&mixed.mix) {
                    carried.insert(mixed.came, mass);
                } else {
                    pool.0.add(&mass, 1.0);
                    pool.1 += 1.0;
                }
                continue;
            }
            let mass = if own.contains(&mixed.mix) {
                carried.remove(&mixed.came).unwrap_or_else(|| self.fresh(mixed.came))
            } else {
                let mass = pool.0.scaled(1.0 / pool.1.max(1.0));
                pool.0.add(&mass, -1.0);
                pool.1 -= 1.0;
                mass
            };
            let from =
                origin.remove(&mixed.came).or_else(|| self.clients_of.get(&mixed.came).copied());
            let to_store = matches!(mixed.to, Party::Node(node) if self.is_store(node));
            match from {
                Some(client) if to_store && at > self.from + FILLING => answer.add(&mass, client),
                Some(client) if !to_store => {
                    origin.insert(mixed.left, client);
                }
                _ => {}
            }
            if !to_store {
                carried.insert(mixed.left, mass);
            }
        }
        answer.mean()
    }

    fn is_store(&self, node: u16) -> bool {
        self.parts.get(usize::from(node)) == Some(&Part::Store)
    }

    /// A packet that comes from a gateway, or from a store.
    fn fresh(&self, came: u64) -> Mass {
        let mut mass = Mass::none(self.clients);
        match self.clients_of.get(&came) {
            Some(&client) => mass.clients[client as usize] = 1.0,
            None => mass.other = 1.0,
        }
        mass
    }
}

#[derive(Default)]
struct Answer {
    bits: f64,
    right: f64,
    packets: usize,
}

impl Answer {
    fn add(&mut self, mass: &Mass, client: u32) {
        let weights: Vec<f64> = mass.clients.iter().map(|&x| f64::from(x.max(0.0))).collect();
        self.bits += stats::entropy(&weights);
        let best =
            weights.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(who, _)| who as u32);
        self.right += f64::from(u8::from(best == Some(client)));
        self.packets += 1;
    }

    fn mean(&self) -> Option<Traced> {
        let n = self.packets as f64;
        (self.packets > 0).then(|| Traced {
            bits: self.bits / n,
            right: self.right / n,
            packets: self.packets,
        })
    }
}

impl Observer for Trace {
    fn cast(&mut self, cast: &Cast) {
        self.parts = cast.nodes.clone();
        self.clients = cast.clients as usize;
        self.way = (cast.mix_delay_secs, cast.way_secs);
    }

    fn watches(&self, _client: u32, hour: u32) -> bool {
        let hour = u64::from(hour) * crate::record::HOUR;
        hour < self.until && self.from < hour + crate::record::HOUR
    }

    fn traces(&self, at: Micros) -> bool {
        (self.from..self.until).contains(&at)
    }

    fn inside(&mut self, insight: &Insight) {
        if self.mixed.len() >= MAX_MIXED || !self.traces(insight.at_micros) {
            return;
        }
        match insight.inside {
            Inside::Up { client, left } => {
                self.clients_of.insert(left, client);
            }
            Inside::Mixed { to, came_micros, came, left } => self.mixed.push(Mixed {
                mix: insight.node,
                to,
                came_at: came_micros,
                left_at: insight.at_micros,
                came,
                left,
            }),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clients' packets through one mix at the same time, to a store.
    fn trace() -> Trace {
        let mut trace = Trace::new(0, u64::MAX);
        trace.cast(&Cast {
            nodes: vec![Part::Mix(1), Part::Store],
            clients: 2,
            mix_delay_secs: 1.0,
            way_secs: (0.07, 0.24),
        });
        for client in 0..2u32 {
            let at = 40_000_000 + u64::from(client);
            let came = u64::from(client);
            let inside = Inside::Up { client, left: came };
            trace.inside(&Insight { at_micros: at, node: 9, inside });
            let inside =
                Inside::Mixed { to: Party::Node(1), came_micros: at + 10, came, left: 10 + came };
            trace.inside(&Insight { at_micros: at + 1_000, node: 0, inside });
        }
        trace
    }

    #[test]
    fn an_honest_mix_hides_which_of_two_it_was_and_one_of_ones_own_does_not() {
        let honest = trace().ask(0.0, 1).expect("two packets came");
        assert_eq!((honest.packets, honest.bits), (2, 1.0));
        let own = trace().ask(1.0, 1).expect("two packets came");
        assert_eq!((own.packets, own.bits, own.right), (2, 0.0, 1.0));
    }
}
