//! A transport with what its driver would keep.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use xchat_base::{Timestamp, Wire};
use xchat_directory::NodeId;
use xchat_node::gateway::SessionId;
use xchat_pigeonhole::{BoxId, ReadOutcome, SealedBox, WriteOutcome};
use xchat_sphinx::ClientFrame;

use super::fixture::{Fixture, rng};
use crate::{Command, Effect, Event, Input, KeptDecoys, Pace, SLOT_LEAD, Transport, Urgency};

pub(super) struct Person {
    pub(super) transport: Transport,
    pub(super) rng: ChaCha20Rng,
    /// From where its links go.
    pub(super) address: Option<IpAddr>,
    /// Its link, once it is up.
    pub(super) link: Option<(NodeId, SessionId)>,
    pub(super) events: Vec<(Timestamp, Event)>,
    /// When packets left, and the length of their frames.
    pub(super) packets: Vec<(Timestamp, usize)>,
    /// When documents were asked for.
    pub(super) asked: Vec<Timestamp>,
    /// Gateways in the order in which they were tried.
    pub(super) tried: Vec<NodeId>,
    /// What was asked for in proofs of work.
    pub(super) efforts: Vec<u32>,
    pub(super) stored: Option<Vec<u8>>,
    pub(super) kept_decoys: Option<KeptDecoys>,
    first: Vec<Effect>,
}

impl Person {
    pub(super) fn new(fixture: &Fixture, now: Timestamp, seed: u64) -> Self {
        Self::with(fixture, now, seed, None)
    }

    pub(super) fn with(
        fixture: &Fixture,
        now: Timestamp,
        seed: u64,
        stored: Option<&[u8]>,
    ) -> Self {
        let mut rng = rng(seed);
        let (root, document) = (fixture.root.clone(), fixture.sign());
        let (transport, first) =
            Transport::new(root, document, Pace::Desk, stored, now, &mut rng).expect("starts");
        Self {
            transport: transport.with_format(fixture.format),
            rng,
            address: Some(Ipv4Addr::LOCALHOST.into()),
            link: None,
            events: Vec::new(),
            packets: Vec::new(),
            asked: Vec::new(),
            tried: Vec::new(),
            efforts: Vec::new(),
            stored: None,
            kept_decoys: None,
            first,
        }
    }

    /// What it wanted when it started.
    pub(super) fn first_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.first)
    }

    /// Keeps what is not the network's business; gives back the rest.
    pub(super) fn note(&mut self, effects: Vec<Effect>, now: Timestamp) -> Vec<Effect> {
        effects
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Event(event) => {
                    self.events.push((now, event));
                    None
                }
                Effect::Persist(bytes) => {
                    self.stored = Some(bytes);
                    None
                }
                Effect::PersistDecoys => {
                    self.kept_decoys = Some(self.transport.kept_decoys());
                    None
                }
                Effect::Send(bytes) => {
                    match ClientFrame::from_wire(&bytes).expect("our own frame") {
                        ClientFrame::Packet { .. } => panic!("a packet without its slot"),
                        ClientFrame::GetDocument { .. } => self.asked.push(now),
                        ClientFrame::Open
                        | ClientFrame::Resume { .. }
                        | ClientFrame::Hello { .. } => {}
                    }
                    Some(Effect::Send(bytes))
                }
                Effect::Packet { frame, at } => {
                    assert!(at >= now && at <= now + SLOT_LEAD, "handed over in time");
                    self.packets.push((at, frame.len()));
                    Some(Effect::Packet { frame, at })
                }
                Effect::Connect { gateway, .. } => {
                    self.tried.push(gateway);
                    Some(effect)
                }
                other => Some(other),
            })
            .collect()
    }

    pub(super) fn arrived(&self) -> Vec<BoxId> {
        let arrived = self.events.iter().filter_map(|(_, event)| match event {
            Event::Arrived(boxed) => Some(boxed.id()),
            _ => None,
        });
        arrived.collect()
    }

    pub(super) fn written(&self) -> Vec<(BoxId, WriteOutcome)> {
        let written = self.events.iter().filter_map(|(_, event)| match event {
            Event::Written { id, outcome } => Some((*id, outcome.clone())),
            _ => None,
        });
        written.collect()
    }

    pub(super) fn reads(&self) -> Vec<(BoxId, ReadOutcome)> {
        let reads = self.events.iter().filter_map(|(_, event)| match event {
            Event::Read { id, outcome } => Some((*id, outcome.clone())),
            _ => None,
        });
        reads.collect()
    }

    /// When it had this answer to a write.
    pub(super) fn written_at(&self, wanted: BoxId) -> Option<Timestamp> {
        self.events.iter().find_map(|(at, event)| match event {
            Event::Written { id, .. } if *id == wanted => Some(*at),
            _ => None,
        })
    }
}

pub(super) fn write(boxed: &SealedBox) -> Input {
    Input::Command(Command::Write { boxed: boxed.clone(), ticket: None })
}

pub(super) fn read(id: BoxId) -> Input {
    Input::Command(Command::Read { id })
}

pub(super) fn follow(id: BoxId) -> Input {
    Input::Command(Command::Follow { id, urgency: Urgency::Active(0), talk: None })
}

pub(super) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
