//! The gateway: where clients connect. It knows addresses and a constant stream, and no more: it is
//! not a Sphinx hop, cannot open anything, and finds the client of a reply by a tag that the client drew.

mod session;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use xchat_base::{Rng, Timestamp, Wire};
use xchat_directory::{NodeId, Role, VerifiedDocument};
use xchat_sphinx::{
    ClientFrame, GatewayFrame, NodeFrame, NodeTag, Packet, RefusalCode, ReplyTag, SessionToken,
};

use crate::start::{self, StartError};
use session::Phase;
use tags::{NotAnnounced, Tags};

pub use session::SessionId;

/// Clients connected at once. One costs 2 KB; one whose replies are all lost, 50 KB of tags
/// ([`xchat_sphinx::frame::MAX_SESSION_TAGS`]).
pub const MAX_SESSIONS: usize = 10_000;

/// What can happen to a gateway.
#[non_exhaustive]
pub enum Input {
    /// A client connected.
    ClientOpened {
        /// The driver's number for the connection, never used again.
        session: SessionId,
    },
    /// A client sent a frame.
    ClientFrame {
        /// Which client.
        session: SessionId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// A client's connection is gone. Not needed after a `CloseClient`, and harmless.
    ClientClosed {
        /// Which client.
        session: SessionId,
    },
    /// A peer sent a frame on a packet link.
    NodeFrame {
        /// The peer, as its link proved it.
        from: NodeId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// A newer document.
    Document(VerifiedDocument),
    /// No timer is asked for yet; ignored.
    Timer,
}

/// What a gateway wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Send a frame to a client; where its queue is full, drop it.
    ToClient {
        /// Which client.
        session: SessionId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// Send a frame on a packet link; where no link is, or its queue is full, drop it.
    ToNode {
        /// The peer.
        to: NodeId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// Close a client's connection once what was sent to it is out.
    CloseClient {
        /// Which client.
        session: SessionId,
        /// Why; it has been told.
        reason: RefusalCode,
    },
    /// Hand in a `Timer` then; replaces the `WakeAt` before it.
    WakeAt(Timestamp),
}

/// What a gateway has done since it started. Coarse by intent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Packets handed to mixes.
    pub to_mixes: u64,
    /// Packets handed to clients.
    pub to_clients: u64,
    /// Packets whose tag no session has announced, or which was spent.
    pub unknown_tag: u64,
    /// Tags that were zero or somebody's already.
    pub refused_tags: u64,
    /// Frames from peers that are not mixes of the last layer.
    pub unknown_peer: u64,
    /// Packets for a first hop that is no mix of the first layer.
    pub unknown_mix: u64,
    /// Frames that could not be read, or not in their place.
    pub malformed: u64,
    /// Clients turned away because [`MAX_SESSIONS`] were there.
    pub full: u64,
    /// Documents given to clients.
    pub documents: u64,
    /// Documents that did not follow from the one in use.
    pub refused_documents: u64,
    /// Clients connected now.
    pub sessions: u64,
    /// Announced and unspent tags now.
    pub tags: u64,
}

/// A gateway.
pub struct Gateway {
    document: VerifiedDocument,
    sessions: BTreeMap<SessionId, Phase>,
    tags: Tags,
    counters: Counters,
    max_sessions: usize,
}

impl Gateway {
    /// A gateway without clients.
    ///
    /// # Errors
    /// [`StartError`]: the document does not know this node as a gateway.
    pub fn new(id: NodeId, document: VerifiedDocument) -> Result<Self, StartError> {
        start::own(&document, &id, "gateway", |role| matches!(role, Role::Gateway))?;
        Ok(Self {
            document,
            sessions: BTreeMap::new(),
            tags: Tags::default(),
            counters: Counters::default(),
            max_sessions: MAX_SESSIONS,
        })
    }

    /// The one door.
    pub fn handle(&mut self, input: Input, now: Timestamp, rng: &mut Rng) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::ClientOpened { session } => self.open(session, &mut effects),
            Input::ClientFrame { session, bytes } => {
                if let Some(phase) = self.sessions.get(&session).copied()
                    && let Err(reason) =
                        self.client_frame(session, phase, &bytes, now, rng, &mut effects)
                {
                    self.refuse(session, reason, &mut effects);
                }
            }
            Input::ClientClosed { session } => self.close(session),
            Input::NodeFrame { from, bytes } => self.node_frame(&from, &bytes, &mut effects),
            Input::Document(newer) => {
                if start::replace(&mut self.document, newer).is_err() {
                    self.counters.refused_documents += 1;
                }
            }
            Input::Timer => {}
        }
        effects
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        Counters {
            sessions: self.sessions.len() as u64,
            tags: self.tags.len() as u64,
            ..self.counters
        }
    }

    /// The document in use.
    pub fn document(&self) -> &VerifiedDocument {
        &self.document
    }

    fn open(&mut self, session: SessionId, effects: &mut Vec<Effect>) {
        if self.sessions.len() >= self.max_sessions && !self.sessions.contains_key(&session) {
            self.counters.full += 1;
            self.refuse(session, RefusalCode::Busy, effects);
            return;
        }
        self.sessions.insert(session, Phase::Opened);
    }

    fn close(&mut self, session: SessionId) {
        self.sessions.remove(&session);
        self.tags.close(session);
    }

    /// Tells the client why, and closes.
    fn refuse(&mut self, session: SessionId, reason: RefusalCode, effects: &mut Vec<Effect>) {
        self.close(session);
        let bytes = GatewayFrame::Refused(reason).to_wire();
        effects.push(Effect::ToClient { session, bytes });
        effects.push(Effect::CloseClient { session, reason });
    }

    fn client_frame(
        &mut self,
        session: SessionId,
        phase: Phase,
        bytes: &[u8],
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) -> Result<(), RefusalCode> {
        let Ok(frame) = ClientFrame::from_wire(bytes) else {
            self.counters.malformed += 1;
            return Err(RefusalCode::Malformed);
        };
        match (phase, frame) {
            (Phase::Opened, ClientFrame::Hello { tags }) => {
                if self.document.is_expired(now) {
                    return Err(RefusalCode::NoDocument);
                }
                for tag in tags {
                    self.announce(session, tag)?;
                }
                self.sessions.insert(session, Phase::Welcomed);
                let welcome = GatewayFrame::Welcome { session: SessionToken::random(rng) };
                effects.push(Effect::ToClient { session, bytes: welcome.to_wire() });
                Ok(())
            }
            (Phase::Welcomed, ClientFrame::Packet { announce, first_hop, packet }) => {
                self.announce(session, announce)?;
                self.forward(first_hop, packet, effects)
            }
            (Phase::Welcomed, ClientFrame::GetDocument { newer_than }) => {
                effects.push(Effect::ToClient { session, bytes: self.newer_document(newer_than) });
                Ok(())
            }
            _ => {
                self.counters.malformed += 1;
                Err(RefusalCode::Malformed)
            }
        }
    }

    fn announce(&mut self, session: SessionId, tag: ReplyTag) -> Result<(), RefusalCode> {
        match self.tags.announce(session, tag) {
            Ok(()) => Ok(()),
            Err(NotAnnounced::Zero) => {
                self.counters.malformed += 1;
                Err(RefusalCode::Malformed)
            }
            // The first who announced it keeps it. Random tags do not meet; whoever announces
            // another's has seen it at a mix, and gains nothing.
            Err(NotAnnounced::Taken) => {
                self.counters.refused_tags += 1;
                Ok(())
            }
        }
    }

    fn forward(
        &mut self,
        first_hop: NodeTag,
        packet: Packet,
        effects: &mut Vec<Effect>,
    ) -> Result<(), RefusalCode> {
        let mix = self.document.node_by_tag(first_hop.as_bytes());
        let Some(mix) = mix.filter(|node| node.is_mix_of(1)) else {
            self.counters.unknown_mix += 1;
            return Err(RefusalCode::UnknownMix);
        };
        let bytes = NodeFrame::to_node(packet).to_bytes();
        effects.push(Effect::ToNode { to: mix.id, bytes });
        self.counters.to_mixes += 1;
        Ok(())
    }

    fn newer_document(&mut self, newer_than: u64) -> Vec<u8> {
        let newer = (self.document.epoch > newer_than).then(|| self.document.signed().to_wire());
        self.counters.documents += u64::from(newer.is_some());
        GatewayFrame::Document(newer).to_wire()
    }

    fn node_frame(&mut self, from: &NodeId, bytes: &[u8], effects: &mut Vec<Effect>) {
        let last = xchat_directory::descriptor::LAYERS;
        if !self.document.node(from).is_some_and(|peer| peer.is_mix_of(last)) {
            self.counters.unknown_peer += 1;
            return;
        }
        let Ok(NodeFrame { tag, packet }) = NodeFrame::from_bytes(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        let Some(session) = self.tags.spend(&tag) else {
            self.counters.unknown_tag += 1;
            return;
        };
        let bytes = GatewayFrame::Packet(packet).to_wire();
        effects.push(Effect::ToClient { session, bytes });
        self.counters.to_clients += 1;
    }
}
