//! Nym with the defaults that its clients are published with.
//!
//! From `common/client-core/config-types` of `nymtech/nym` (`DEFAULT_AVERAGE_PACKET_DELAY` 15 ms, 50 ms before;
//! `DEFAULT_MESSAGE_STREAM_AVERAGE_DELAY` 20 ms; `DEFAULT_LOOP_COVER_STREAM_AVERAGE_DELAY` 200 ms) and
//! `common/nymsphinx/params` (a regular packet is 2,048 bytes and what Sphinx adds, an acknowledgement a small one).
//!
//! A client sends one Poisson stream, 50 packets a second, each of which is something real or a loop to itself, and a
//! second one of loops only, 5 a second. The last gateway hands each packet to its reader, and sends
//! the acknowledgement that came inside it back through the mixes. So loops come back as a packet and
//! an acknowledgement, and what is real as an acknowledgement only: the packet goes to somebody else.

use std::collections::VecDeque;

use crate::dice::Dice;
use crate::record::{Cast, HOUR, Observer, Part};
use crate::traffic::{Message, Traffic};

use super::latency::{Latency, WAY};
use super::{System, Truth, Wire, micros, secs};

/// The baseline.
#[derive(Debug, Clone, Copy)]
pub struct Nym;

const STREAM_GAP: f64 = 0.020;
const LOOP_GAP: f64 = 0.200;
const MIX_DELAY: f64 = 0.015;

/// Bytes of a packet and of an acknowledgement: what Sphinx adds is 348 and 16.
const PACKET: u16 = 2_048 + 364;
const ACKNOWLEDGED: u16 = 21 + 364;

const GATEWAYS: u16 = 4;
const LAYERS: u16 = 3;
const MIXES: u16 = 4;

impl System for Nym {
    fn name(&self) -> &'static str {
        "Nym defaults"
    }

    fn about(&self) -> &'static str {
        "three mixes of 15 ms, 55 packets a second of cover"
    }

    fn run(&self, traffic: &Traffic, seed: u64, observer: &mut dyn Observer) -> Truth {
        let clients = traffic.shape.clients;
        let mut nodes = vec![Part::Gateway; usize::from(GATEWAYS)];
        for layer in 1..=LAYERS {
            nodes.extend(vec![Part::Mix(layer as u8); usize::from(MIXES)]);
        }
        let mut dice = Dice::new(seed, 103);
        let latency = Latency::new(clients, nodes.len(), &mut dice);
        let gateways = (0..clients).map(|_| dice.index(usize::from(GATEWAYS)) as u16).collect();
        let cast = Cast { nodes, clients, mix_delay_secs: MIX_DELAY, way_secs: WAY };
        let mut wire = Wire::new(observer, &cast);
        let mut truth = Truth { delivered: vec![None; traffic.messages.len()], ..Truth::default() };
        let mut net = Net { latency, dice, gateways };
        let mut outboxes = vec![VecDeque::new(); clients as usize];
        let mut next = 0;
        for hour in 0..traffic.shape.hours {
            let until = u64::from(hour + 1) * HOUR;
            // Receipts of messages that are handed over in this hour wait for the next packets of the reader, so
            // messages go first, in order, and streams follow.
            while let Some(message) = traffic.messages.get(next).filter(|m| m.at < until) {
                truth.delivered[next] = net.message(traffic, message, &mut outboxes, &mut wire);
                next += 1;
            }
            net.streams(traffic, hour, &mut outboxes, &mut wire);
            wire.until(until);
        }
        truth
    }
}

/// Moments at which a packet of a client's stream carries something real.
type Outbox = VecDeque<f64>;

struct Net {
    latency: Latency,
    dice: Dice,
    gateways: Vec<u16>,
}

impl Net {
    fn gateway(&self, client: u32) -> u16 {
        self.gateways[client as usize]
    }

    /// Through three mixes to a gateway, from another one.
    fn mixed(&mut self, at: f64, from: u16, to: u16) -> f64 {
        let mut at = at;
        let mut node = from;
        for layer in 0..LAYERS {
            let mix = GATEWAYS + layer * MIXES + self.dice.index(usize::from(MIXES)) as u16;
            at += self.latency.across(node, mix, &mut self.dice) + self.dice.exponential(MIX_DELAY);
            node = mix;
        }
        at + self.latency.across(node, to, &mut self.dice)
    }

    /// One packet from a client, and the acknowledgement that comes back; returns when it is at the reader's gateway.
    fn packet(&mut self, at: f64, from: u32, to: u32, wire: &mut Wire<'_>) -> f64 {
        let (first, last) = (self.gateway(from), self.gateway(to));
        wire.up(at, from, first, PACKET);
        let at = at + self.latency.access(from, first, &mut self.dice);
        let there = self.mixed(at, first, last);
        let back = self.mixed(there, last, first);
        wire.down(back, first, from, ACKNOWLEDGED);
        there
    }

    /// A real packet, in the next slot of its sender's stream, which the stream will leave out; returns when it is there.
    fn real(
        &mut self,
        written: f64,
        (from, to): (u32, u32),
        outboxes: &mut [Outbox],
        wire: &mut Wire<'_>,
    ) -> f64 {
        let outbox = &mut outboxes[from as usize];
        let ready = outbox.back().copied().map_or(written, |last| written.max(last));
        let slot = ready + self.dice.exponential(STREAM_GAP);
        outbox.push_back(slot);
        self.packet(slot, from, to, wire)
    }

    /// A message and its receipt.
    fn message(
        &mut self,
        traffic: &Traffic,
        message: &Message,
        outboxes: &mut [Outbox],
        wire: &mut Wire<'_>,
    ) -> Option<u64> {
        let there = self.real(secs(message.at), (message.from, message.to), outboxes, wire);
        let at = secs(traffic.online_from(message.to, micros(there))?);
        // What waits for a reader who is away is handed over by its gateway, which no stream shows: only what comes
        // at once is told, for the rest lies beyond the hour that is being lived through.
        if at > there + 1.0 {
            return Some(micros(at));
        }
        wire.down(at, self.gateway(message.to), message.to, PACKET);
        let came = at + self.latency.access(message.to, self.gateway(message.to), &mut self.dice);
        let receipt = self.real(came, (message.to, message.from), outboxes, wire);
        wire.down(receipt, self.gateway(message.from), message.from, PACKET);
        Some(micros(came))
    }

    /// Everything that carries nothing, in an hour, of the clients that are looked at.
    fn streams(
        &mut self,
        traffic: &Traffic,
        hour: u32,
        outboxes: &mut [Outbox],
        wire: &mut Wire<'_>,
    ) {
        let end = secs(u64::from(hour + 1) * HOUR);
        for (client, spans) in wire.watched(traffic, hour) {
            for span in spans {
                let (from, until) = (secs(span.from), secs(span.until));
                self.stream(client, (from, until), &mut outboxes[client as usize], wire);
                self.loops(client, (from, until), LOOP_GAP, wire);
            }
        }
        for outbox in outboxes {
            while outbox.front().is_some_and(|&slot| slot < end) {
                outbox.pop_front();
            }
        }
    }

    /// The first stream between the slots that were taken by something real. A Poisson process has no memory: between
    /// a message's being written and its slot there is no other slot, and after it all goes on.
    fn stream(
        &mut self,
        client: u32,
        (from, until): (f64, f64),
        taken: &mut Outbox,
        wire: &mut Wire<'_>,
    ) {
        let mut at = from + self.dice.exponential(STREAM_GAP);
        while at < until {
            if let Some(&slot) = taken.front()
                && slot <= at
            {
                // This slot is the one that was taken.
                taken.pop_front();
            } else {
                self.cover(at, client, wire);
            }
            at += self.dice.exponential(STREAM_GAP);
        }
    }

    fn loops(&mut self, client: u32, (from, until): (f64, f64), gap: f64, wire: &mut Wire<'_>) {
        let mut at = from + self.dice.exponential(gap);
        while at < until {
            self.cover(at, client, wire);
            at += self.dice.exponential(gap);
        }
    }

    fn cover(&mut self, at: f64, client: u32, wire: &mut Wire<'_>) {
        let there = self.packet(at, client, client, wire);
        wire.down(there, self.gateway(client), client, PACKET);
    }
}
