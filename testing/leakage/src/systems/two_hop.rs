//! Two relays, none of which knows both ends, blocks of one size, no cover and no delay: as SimpleX does.
//!
//! SimpleX: a message goes to a relay that the sender chooses, from there to the relay that has the reader's queue, in
//! blocks of 16,384 bytes ("private message routing" and "SMP transport block", protocol documents of
//! `simplex-chat/simplexmq`). Every command has an answer of the same size. Receipts go the same way back.

use crate::dice::Dice;
use crate::record::{Cast, Observer, Part};
use crate::traffic::{Message, Traffic};

use super::latency::{Latency, WAY};
use super::{Expectation, Mail, System, Truth, Wire, carry, secs};

/// The baseline.
#[derive(Debug, Clone, Copy)]
pub struct TwoHop;

const BLOCK: u16 = 16_384;

/// Seconds between two keep-alives of a link.
const ALIVE_EVERY: f64 = 600.0;

/// How many relays there are.
const RELAYS: u16 = 8;

impl System for TwoHop {
    fn name(&self) -> &'static str {
        "two hops"
    }

    fn about(&self) -> &'static str {
        "two relays, blocks of 16 KB, no cover, no delay (SimpleX-like)"
    }

    fn expectation(&self) -> Expectation {
        Expectation::Leaks
    }

    fn run(&self, traffic: &Traffic, seed: u64, observer: &mut dyn Observer) -> Truth {
        let clients = traffic.shape.clients;
        let nodes = vec![Part::Gateway; usize::from(RELAYS)];
        let cast = Cast { nodes, clients, mix_delay_secs: 0.0, way_secs: WAY };
        let mut dice = Dice::new(seed, 101);
        let latency = Latency::new(clients, usize::from(RELAYS), &mut dice);
        // One relay to send through, another one to be reached at.
        let homes = (0..clients).map(|_| {
            let queue = dice.index(usize::from(RELAYS)) as u16;
            Home { queue, proxy: (queue + 1 + dice.index(usize::from(RELAYS) - 1) as u16) % RELAYS }
        });
        let homes = homes.collect();
        carry(traffic, &mut Relays { latency, dice, homes }, &mut Wire::new(observer, &cast))
    }
}

#[derive(Clone, Copy)]
struct Home {
    queue: u16,
    proxy: u16,
}

struct Relays {
    latency: Latency,
    dice: Dice,
    homes: Vec<Home>,
}

impl Relays {
    fn home(&self, client: u32) -> Home {
        self.homes[client as usize]
    }

    fn exchange(&mut self, at: f64, client: u32, node: u16, wire: &mut Wire<'_>) -> f64 {
        wire.up(at, client, node, BLOCK);
        let there = at + self.latency.access(client, node, &mut self.dice);
        wire.down(there, node, client, BLOCK);
        there
    }

    /// To the relay with the reader's queue.
    fn forward(&mut self, at: f64, from: u32, to: u32, wire: &mut Wire<'_>) -> f64 {
        let (proxy, queue) = (self.home(from).proxy, self.home(to).queue);
        let at_proxy = self.exchange(at, from, proxy, wire);
        if proxy == queue {
            return at_proxy;
        }
        wire.across(at_proxy, proxy, queue, BLOCK);
        let there = at_proxy + self.latency.across(proxy, queue, &mut self.dice);
        wire.across(there, queue, proxy, BLOCK);
        there
    }

    /// From there to the reader, who acknowledges it.
    fn hand_over(&mut self, at: f64, to: u32, wire: &mut Wire<'_>) -> f64 {
        let queue = self.home(to).queue;
        wire.down(at, queue, to, BLOCK);
        let there = at + self.latency.access(to, queue, &mut self.dice);
        self.exchange(there, to, queue, wire);
        there
    }
}

impl Mail for Relays {
    fn idle(&mut self, traffic: &Traffic, hour: u32, wire: &mut Wire<'_>) {
        for (client, spans) in wire.watched(traffic, hour) {
            for span in spans {
                let mut at = secs(span.from) + self.dice.between(0.0, ALIVE_EVERY);
                while at < secs(span.until) {
                    let home = self.home(client);
                    self.exchange(at, client, home.queue, wire);
                    self.exchange(at, client, home.proxy, wire);
                    at += ALIVE_EVERY;
                }
            }
        }
    }

    fn send(&mut self, message: &Message, wire: &mut Wire<'_>) -> f64 {
        self.forward(secs(message.at), message.from, message.to, wire)
    }

    fn deliver(&mut self, message: &Message, at: f64, wire: &mut Wire<'_>) -> f64 {
        let came = self.hand_over(at, message.to, wire);
        let receipt = self.forward(came, message.to, message.from, wire);
        self.hand_over(receipt, message.from, wire);
        came
    }
}
