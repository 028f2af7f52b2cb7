//! Three relays without delay, cells of one size, padding of idle links only: as Tor does.
//!
//! Cells of 514 bytes (tor-spec, "Cell packet format"). Client links are padded when they were idle for the larger of two
//! draws between 1.5 and 9.5 s at either end (padding-spec, "Connection-level padding"; here padding is not put
//! off by cells that carry something, which changes nothing for people who write less than once a second).

use crate::dice::Dice;
use crate::record::{Cast, Observer, Part};
use crate::traffic::{Message, Traffic};

use super::latency::{Latency, WAY};
use super::{Mail, System, Truth, Wire, carry, secs};

/// The baseline.
#[derive(Debug, Clone, Copy)]
pub struct ThreeHop;

const CELL: u16 = 514;

/// Cells of a text, and of a receipt.
const TEXT: u32 = 2;
const RECEIPT: u32 = 1;

/// Seconds that a link is idle before it is padded: each end draws twice and takes the larger.
const IDLE: (f64, f64) = (1.5, 9.5);

const GUARDS: u16 = 6;
const MIDDLES: u16 = 6;

impl System for ThreeHop {
    fn name(&self) -> &'static str {
        "three hops"
    }

    fn about(&self) -> &'static str {
        "three relays, cells of 514 bytes, idle links padded, no delay (Tor-like)"
    }

    fn run(&self, traffic: &Traffic, seed: u64, observer: &mut dyn Observer) -> Truth {
        let clients = traffic.shape.clients;
        let mut nodes = vec![Part::Gateway; usize::from(GUARDS)];
        nodes.resize(usize::from(GUARDS + MIDDLES), Part::Mix(1));
        let mut dice = Dice::new(seed, 102);
        let latency = Latency::new(clients, nodes.len(), &mut dice);
        let guards = (0..clients).map(|_| dice.index(usize::from(GUARDS)) as u16).collect();
        let cast = Cast { nodes, clients, mix_delay_secs: 0.0, way_secs: WAY };
        carry(traffic, &mut Circuits { latency, dice, guards }, &mut Wire::new(observer, &cast))
    }
}

struct Circuits {
    latency: Latency,
    dice: Dice,
    guards: Vec<u16>,
}

impl Circuits {
    fn guard(&self, client: u32) -> u16 {
        self.guards[client as usize]
    }

    /// The middle relay of a pair's circuit: the same all day.
    fn middle(&self, a: u32, b: u32) -> u16 {
        GUARDS + ((a ^ b) % u32::from(MIDDLES)) as u16
    }

    /// To the reader's guard.
    fn forward(&mut self, at: f64, from: u32, to: u32, cells: u32, wire: &mut Wire<'_>) -> f64 {
        let (guard, middle, last) = (self.guard(from), self.middle(from, to), self.guard(to));
        let mut there = at;
        for cell in 0..cells {
            let at = at + 0.0005 * f64::from(cell);
            wire.up(at, from, guard, CELL);
            let at = at + self.latency.access(from, guard, &mut self.dice);
            wire.across(at, guard, middle, CELL);
            let at = at + self.latency.across(guard, middle, &mut self.dice);
            wire.across(at, middle, last, CELL);
            there = at + self.latency.across(middle, last, &mut self.dice);
        }
        there
    }

    fn hand_over(&mut self, at: f64, to: u32, cells: u32, wire: &mut Wire<'_>) -> f64 {
        for cell in 0..cells {
            wire.down(at + 0.0005 * f64::from(cell), self.guard(to), to, CELL);
        }
        at + self.latency.access(to, self.guard(to), &mut self.dice)
    }

    fn idle_time(&mut self) -> f64 {
        let mut end = || self.dice.between(IDLE.0, IDLE.1).max(self.dice.between(IDLE.0, IDLE.1));
        end().min(end())
    }
}

impl Mail for Circuits {
    fn idle(&mut self, traffic: &Traffic, hour: u32, wire: &mut Wire<'_>) {
        for (client, spans) in wire.watched(traffic, hour) {
            let guard = self.guard(client);
            for span in spans {
                let mut at = secs(span.from) + self.idle_time();
                while at < secs(span.until) {
                    if self.dice.chance(0.5) {
                        wire.up(at, client, guard, CELL);
                    } else {
                        wire.down(at, guard, client, CELL);
                    }
                    at += self.idle_time();
                }
            }
        }
    }

    fn send(&mut self, message: &Message, wire: &mut Wire<'_>) -> f64 {
        self.forward(secs(message.at), message.from, message.to, TEXT, wire)
    }

    fn deliver(&mut self, message: &Message, at: f64, wire: &mut Wire<'_>) -> f64 {
        let came = self.hand_over(at, message.to, TEXT, wire);
        let receipt = self.forward(came, message.to, message.from, RECEIPT, wire);
        self.hand_over(receipt, message.from, RECEIPT, wire);
        came
    }
}
