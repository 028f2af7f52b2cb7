//! Nodes: what arrives at them, and what they send.

use xchat_base::{Timestamp, random};
use xchat_node::gateway::SessionId;
use xchat_sphinx::frame::GATEWAY_PACKET_FRAME_LEN;

use super::{Event, World};
use crate::core::{In, Out};
use crate::insider::Insider;
use crate::seen::{Asked, FrameId, Inside, Kind, Party};

/// What a node acts upon, for its insider.
#[derive(Clone, Copy)]
enum Cause {
    /// A packet from a node.
    Packet(FrameId),
    /// A frame of a client.
    Client(u32, FrameId),
    Other,
}

impl World {
    pub(super) fn packet(&mut self, from: u16, to: u16, frame: FrameId, bytes: Vec<u8>) {
        let sender = self.seats[usize::from(from)].id;
        let (now, seat) = (self.now, &mut self.seats[usize::from(to)]);
        if seat.down {
            return;
        }
        let peek = |insider: &mut _| Insider::came(insider, Party::Node(from), frame, &bytes, now);
        let mut inside = seat.insider.as_mut().and_then(peek);
        let before = inside.map(|_| seat.core.items());
        let outs = seat.core.take(In::Packet { from: sender, bytes }, now, &mut seat.rng);
        if let Some(Inside::Request { asked: Asked::Collect { item, .. }, .. }) = &mut inside {
            *item = before.is_some_and(|before| seat.core.items() < before);
        }
        self.tell(to, inside);
        self.carry_out(to, outs, Cause::Packet(frame));
    }

    pub(super) fn replica(&mut self, from: u16, to: u16, bytes: Vec<u8>) {
        let seat = &self.seats[usize::from(to)];
        if !seat.down && seat.insider.is_some() {
            self.tell(to, Insider::heard(from, &bytes));
        }
        let from = self.seats[usize::from(from)].id;
        self.node(to, In::Replica { from, bytes }, Cause::Other);
    }

    /// A client's frame.
    pub(super) fn at_gateway(
        &mut self,
        gateway: u16,
        client: u32,
        session: SessionId,
        frame: FrameId,
        bytes: Vec<u8>,
    ) {
        self.node(gateway, In::Client { session, bytes }, Cause::Client(client, frame));
    }

    /// Something that no frame brought.
    pub(super) fn at_node(&mut self, place: u16, input: In) {
        self.node(place, input, Cause::Other);
    }

    pub(super) fn wake_node_at(&mut self, place: u16, at: Timestamp) {
        let seat = &mut self.seats[usize::from(place)];
        if seat.wake.replace(at) != Some(at) {
            self.agenda.plan(at.max(self.now), Event::WakeNode(place));
        }
    }

    pub(super) fn wake_node(&mut self, place: u16) {
        let seat = &mut self.seats[usize::from(place)];
        // It may have changed its mind since. A node that is down is woken when it is back.
        if seat.down || seat.wake.is_none_or(|at| at > self.now) {
            return;
        }
        seat.wake = None;
        self.node(place, In::Timer, Cause::Other);
    }

    fn node(&mut self, place: u16, input: In, cause: Cause) {
        let seat = &mut self.seats[usize::from(place)];
        if seat.down {
            return;
        }
        let outs = seat.core.take(input, self.now, &mut seat.rng);
        self.carry_out(place, outs, cause);
    }

    fn carry_out(&mut self, place: u16, outs: Vec<Out>, cause: Cause) {
        for out in outs {
            match out {
                Out::Packet { to, bytes } => {
                    let Some(to) = self.places.get(&to).copied() else { continue };
                    self.send_packet(place, to, bytes, cause);
                }
                Out::Replica { to, bytes } => {
                    let Some(to) = self.places.get(&to).copied() else { continue };
                    let (_, at) = self.leaves_padded(place, to, bytes.len(), Kind::Replica);
                    self.between(place, at, Event::Replica { from: place, to, bytes });
                }
                Out::Client { session, bytes } => self.send_down(place, session, bytes, cause),
                Out::Close { session } => self.closed_by_gateway(session),
                Out::WakeAt(at) => self.wake_node_at(place, at),
            }
        }
    }

    fn send_packet(&mut self, from: u16, to: u16, bytes: Vec<u8>, cause: Cause) {
        let seat = &mut self.seats[usize::from(from)];
        if seat.drops > 0.0 && random::unit(&mut seat.weather) < seat.drops {
            self.dropped += 1;
            return;
        }
        let (left, at) = self.leaves_padded(from, to, bytes.len(), Kind::Packet);
        if let Some(insider) = &mut self.seats[usize::from(from)].insider {
            let inside = match cause {
                Cause::Client(client, came) => Some(Inside::Up { client, came, left }),
                Cause::Packet(_) | Cause::Other => insider.left(Party::Node(to), left, &bytes),
            };
            self.tell(from, inside);
        }
        let seat = &mut self.seats[usize::from(from)];
        if seat.doubles > 0.0 && random::unit(&mut seat.weather) < seat.doubles {
            self.doubled += 1;
            let (frame, at) = self.leaves_padded(from, to, bytes.len(), Kind::Packet);
            self.between(from, at, Event::Packet { from, to, frame, bytes: bytes.clone() });
        }
        self.between(from, at, Event::Packet { from, to, frame: left, bytes });
    }

    fn send_down(&mut self, from: u16, session: SessionId, bytes: Vec<u8>, cause: Cause) {
        let Some(client) = self.sessions.get(&session).map(|session| session.client) else {
            return;
        };
        let kind =
            if bytes.len() == GATEWAY_PACKET_FRAME_LEN { Kind::Client } else { Kind::Control };
        let left = self.leaves(Party::Node(from), Party::Client(client), bytes.len(), kind);
        if let (Cause::Packet(came), Some(_)) = (cause, &self.seats[usize::from(from)].insider) {
            self.tell(from, Some(Inside::Down { client, came, left }));
        }
        self.towards_client(session, bytes);
    }

    /// A frame sets out from a node to another at this moment.
    fn between(&mut self, from: u16, at: Timestamp, event: Event) {
        match self.links.travel(&mut self.seats[usize::from(from)].weather) {
            Some(way) => self.agenda.plan(at + way, event),
            None => self.lost += 1,
        }
    }
}
