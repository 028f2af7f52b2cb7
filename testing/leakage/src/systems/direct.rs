//! One server that everybody is connected to; messages do not say who sent them (sealed sender), but links do.

use crate::dice::Dice;
use crate::record::{Cast, Observer, Part};
use crate::traffic::{Message, Traffic};

use super::latency::{Latency, WAY};
use super::{Expectation, Mail, System, Truth, Wire, carry, secs};

/// The baseline.
#[derive(Debug, Clone, Copy)]
pub struct Direct;

/// A sealed text or receipt with its envelope, an acknowledgement, a keep-alive.
const SEALED: u16 = 900;
const ACKNOWLEDGED: u16 = 120;
const ALIVE: u16 = 60;

/// Seconds between two keep-alives.
const ALIVE_EVERY: f64 = 30.0;

const SERVER: u16 = 0;

impl System for Direct {
    fn name(&self) -> &'static str {
        "direct"
    }

    fn about(&self) -> &'static str {
        "one server with sealed sender; a receipt for every message; no cover"
    }

    fn expectation(&self) -> Expectation {
        Expectation::Leaks
    }

    fn run(&self, traffic: &Traffic, seed: u64, observer: &mut dyn Observer) -> Truth {
        let clients = traffic.shape.clients;
        let cast = Cast { nodes: vec![Part::Gateway], clients, mix_delay_secs: 0.0, way_secs: WAY };
        let mut dice = Dice::new(seed, 100);
        let latency = Latency::new(clients, 1, &mut dice);
        carry(traffic, &mut Server { latency, dice }, &mut Wire::new(observer, &cast))
    }
}

struct Server {
    latency: Latency,
    dice: Dice,
}

impl Server {
    /// Something from a client to the server, which acknowledges it; returns when it is there.
    fn up(&mut self, at: f64, client: u32, wire: &mut Wire<'_>) -> f64 {
        wire.up(at, client, SERVER, SEALED);
        let there = at + self.latency.access(client, SERVER, &mut self.dice);
        wire.down(there, SERVER, client, ACKNOWLEDGED);
        there
    }

    /// And the other way.
    fn down(&mut self, at: f64, client: u32, wire: &mut Wire<'_>) -> f64 {
        wire.down(at, SERVER, client, SEALED);
        let there = at + self.latency.access(client, SERVER, &mut self.dice);
        wire.up(there, client, SERVER, ACKNOWLEDGED);
        there
    }
}

impl Mail for Server {
    fn idle(&mut self, traffic: &Traffic, hour: u32, wire: &mut Wire<'_>) {
        for (client, spans) in wire.watched(traffic, hour) {
            for span in spans {
                let mut at = secs(span.from) + self.dice.between(0.0, ALIVE_EVERY);
                while at < secs(span.until) {
                    wire.up(at, client, SERVER, ALIVE);
                    wire.down(
                        at + self.latency.access(client, SERVER, &mut self.dice),
                        SERVER,
                        client,
                        ALIVE,
                    );
                    at += ALIVE_EVERY;
                }
            }
        }
    }

    fn send(&mut self, message: &Message, wire: &mut Wire<'_>) -> f64 {
        self.up(secs(message.at), message.from, wire)
    }

    fn deliver(&mut self, message: &Message, at: f64, wire: &mut Wire<'_>) -> f64 {
        let came = self.down(at, message.to, wire);
        let receipt = self.up(came, message.to, wire);
        self.down(receipt, message.from, wire);
        came
    }
}
