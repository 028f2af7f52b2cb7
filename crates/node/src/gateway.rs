//! The gateway: where clients connect. It knows addresses and a constant stream, and no more: it is
//! not a Sphinx hop, cannot open anything but its own loops, and finds the client of a reply by a tag that the
//! client drew.

mod clients;
mod door;
mod line;
mod loops;
mod pace;
mod seats;
mod session;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use xchat_base::{Rng, Timestamp, Wire};
use xchat_directory::{NodeId, Role, VerifiedDocument};
use xchat_sphinx::{GatewayFrame, LinkKey, NodeFrame, PacketFormat, RefusalCode, SessionToken};

use crate::repeats::{MAX_REPEATED_LOOPS, Repeats};
use crate::start::{self, StartError};
use door::Door;
use line::Line;
use loops::{Came, Loops};
use pace::{Rates, Session};
use seats::Seats;
use tags::Tags;

pub use door::{BASE_EFFORT, CHALLENGE_LIFETIME, MAX_OPENING, MAX_RAISE, RETRY_AFTER};
pub use line::LineLoad;
pub use loops::{LOOP_GAP, LOOP_SLACK, LoopReport, MAX_LOOPS};
pub use pace::{MAX_EXCESS, SILENCE, SILENT_GAPS, SLACK, STALL};
pub use seats::RESUME_FOR;
pub use session::SessionId;

/// Clients connected at once, if the operator sets no other number. One costs 2 KB; one whose replies
/// are all lost, 50 KB of tags ([`xchat_sphinx::frame::MAX_SESSION_TAGS`]).
pub const MAX_SESSIONS: usize = 10_000;

/// How often it looks for sessions that have fallen silent.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at once.
    pub max_sessions: usize,
    /// The effort of a challenge when there is no load; see [`BASE_EFFORT`].
    pub effort: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_sessions: MAX_SESSIONS, effort: BASE_EFFORT }
    }
}

/// How full a gateway is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Sessions now, and seats that are kept for clients whose links were lost.
    pub sessions: usize,
    /// Sessions at most.
    pub max_sessions: usize,
    /// How much of its line is promised, if the operator has set a bound.
    pub line: Option<LineLoad>,
    /// What the next session costs its client: hashes on average.
    pub proof_attempts: u64,
}

impl Load {
    /// Whether newcomers are turned away.
    pub fn is_full(&self) -> bool {
        self.sessions >= self.max_sessions || self.line.is_some_and(|line| line.is_full())
    }
}

/// What can happen to a gateway.
#[non_exhaustive]
pub enum Input {
    /// A client connected.
    ClientOpened {
        /// The driver's number for the connection, never used again, and higher than all before it.
        session: SessionId,
        /// The key of the client's end, as the link's handshake has proven it.
        link: LinkKey,
    },
    /// A client sent a frame.
    ClientFrame {
        /// Which client.
        session: SessionId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// A client has ended its connection. Not needed after a `CloseClient`, and harmless.
    ClientClosed {
        /// Which client.
        session: SessionId,
    },
    /// A client's connection is gone without a word: its seat is kept for [`RESUME_FOR`].
    ClientLost {
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
    /// The time of the last `WakeAt` has come, or the node begins to work.
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
    /// Packets whose tag no session has announced, or which was spent; own loops that came too late.
    pub unknown_tag: u64,
    /// Tags that were zero or somebody's already.
    pub refused_tags: u64,
    /// Frames from peers that are not mixes of the last layer.
    pub unknown_peer: u64,
    /// Packets for a first hop that is no mix of the first layer.
    pub unknown_mix: u64,
    /// Frames that could not be read, or not in their place.
    pub malformed: u64,
    /// Sessions opened.
    pub welcomed: u64,
    /// Sessions that went on after their link was lost.
    pub resumed: u64,
    /// Clients turned away because there was no room.
    pub refused_busy: u64,
    /// Sessions ended because they went on faster than their pace.
    pub refused_too_fast: u64,
    /// Packets and questions for documents that came too fast and were dropped.
    pub over_pace: u64,
    /// Proofs of work that did not hold, or came too late.
    pub refused_proof: u64,
    /// Links on which nobody asked for a session in time.
    pub refused_silent: u64,
    /// Sessions ended because no packet came any more.
    pub refused_idle: u64,
    /// Documents given to clients.
    pub documents: u64,
    /// Documents that did not follow from the one in use.
    pub refused_documents: u64,
    /// Sessions now.
    pub sessions: u64,
    /// Seats kept now for clients whose links were lost.
    pub kept: u64,
    /// Links without a session now.
    pub opening: u64,
    /// Announced and unspent tags now.
    pub tags: u64,
    /// Its own loops that left.
    pub loops: u64,
    /// Those that came back whole and in time.
    pub loops_back: u64,
    /// Those that did not.
    pub loops_lost: u64,
    /// Those that came a second time.
    pub replays: u64,
    /// Frames of mixes that send packets twice, which are refused for a while.
    pub refused_peer: u64,
}

/// A gateway.
pub struct Gateway {
    document: VerifiedDocument,
    limits: Limits,
    door: Door,
    sessions: BTreeMap<SessionId, Session>,
    /// The sessions by their tokens.
    tokens: BTreeMap<SessionToken, SessionId>,
    seats: Seats,
    line: Line,
    rates: Rates,
    tags: Tags,
    loops: Loops,
    repeats: Repeats,
    counters: Counters,
    /// When it looks for silent sessions next, if it has any.
    look: Option<Timestamp>,
    woken_for: Option<Timestamp>,
}

impl Gateway {
    /// A gateway without clients. Its loops begin with the first `Timer`.
    ///
    /// # Errors
    /// [`StartError`]: the document does not know this node as a gateway.
    pub fn new(id: NodeId, document: VerifiedDocument, limits: Limits) -> Result<Self, StartError> {
        start::own(&document, &id, "gateway", |role| matches!(role, Role::Gateway))?;
        Ok(Self {
            document,
            limits,
            door: Door::new(LinkKey::from_bytes(*id.as_bytes()), limits.effort),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            seats: Seats::default(),
            line: Line::default(),
            rates: Rates::default(),
            tags: Tags::default(),
            loops: Loops::new(id),
            repeats: Repeats::new(MAX_REPEATED_LOOPS),
            counters: Counters::default(),
            look: None,
            woken_for: None,
        })
    }

    /// With packets of another format, for simulations; before the first input.
    #[must_use]
    pub fn with_format(mut self, format: &'static dyn PacketFormat) -> Self {
        self.loops.format = format;
        self
    }

    /// Lets sessions in only as long as all of them together may send so many packets in 1,000 seconds. Whoever is
    /// there stays, also if the bound or the network's rates have changed since.
    pub fn limit_packets(&mut self, packets: u64) {
        self.line.limit(packets);
    }

    /// The one door.
    pub fn handle(&mut self, input: Input, now: Timestamp, rng: &mut Rng) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::ClientOpened { session, link } => {
                // The oldest has had the most time to prove its work.
                if let Some(oldest) = self.door.enter(session, link, now) {
                    self.refuse(oldest, RefusalCode::Busy, now, &mut effects);
                }
            }
            Input::ClientFrame { session, bytes } => {
                self.client_frame(session, &bytes, now, rng, &mut effects);
            }
            Input::ClientClosed { session } => self.close(session),
            Input::ClientLost { session } => self.lose(session, now),
            Input::NodeFrame { from, bytes } => self.node_frame(&from, &bytes, now, &mut effects),
            Input::Document(newer) => self.follow(newer, now, &mut effects),
            Input::Timer => {
                self.woken_for = None;
                self.loops.begin(now, rng);
            }
        }
        self.let_go_of_the_late(now, &mut effects);
        self.let_go_of_the_silent(now, &mut effects);
        while let Some(seat) = self.seats.over(now) {
            self.line.leave(seat.pace);
        }
        if let Some((to, packet)) = self.loops.turn(&self.document, now, rng) {
            effects.push(Effect::ToNode { to, bytes: NodeFrame::to_node(packet).to_bytes() });
        }
        self.wake(&mut effects);
        effects
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        Counters {
            sessions: self.sessions.len() as u64,
            kept: self.seats.len() as u64,
            opening: self.door.len() as u64,
            tags: self.tags.len() as u64,
            loops: self.loops.counts.sent,
            loops_back: self.loops.counts.back,
            loops_lost: self.loops.counts.lost,
            ..self.counters
        }
    }

    /// How full it is.
    pub fn load(&self, now: Timestamp) -> Load {
        let (sessions, max_sessions) = (self.taken(), self.limits.max_sessions);
        let proof_attempts = self.door.attempts(self.fullness(now), max_sessions, now);
        let line = self.line.load(&self.rates, &self.document.parameters, now);
        Load { sessions, max_sessions, line, proof_attempts }
    }

    /// What its own loops say about the mixes.
    pub fn loop_report(&self) -> LoopReport {
        self.loops.report(&self.document)
    }

    /// Mixes that send its loops twice: nothing of them is taken for a while.
    pub fn repeating(&self, now: Timestamp) -> Vec<NodeId> {
        self.repeats.named(now)
    }

    /// The document in use.
    pub fn document(&self) -> &VerifiedDocument {
        &self.document
    }

    /// Places that nobody else can have.
    fn taken(&self) -> usize {
        self.sessions.len() + self.seats.len()
    }

    fn is_full(&self, now: Timestamp) -> bool {
        let line = self.line.load(&self.rates, &self.document.parameters, now);
        self.taken() >= self.limits.max_sessions || line.is_some_and(|line| line.is_full())
    }

    /// By whichever bound is nearer.
    fn fullness(&self, now: Timestamp) -> f64 {
        let seats = self.taken() as f64 / self.limits.max_sessions.max(1) as f64;
        let line = self.line.load(&self.rates, &self.document.parameters, now);
        seats.max(line.map_or(0.0, |line| line.used as f64 / line.most.max(1) as f64))
    }

    /// Clients ask for documents on a schedule. A placement that changes is told to all of them at once,
    /// since requests by the old one are refused; none could be told apart by asking sooner.
    fn follow(&mut self, newer: VerifiedDocument, now: Timestamp, effects: &mut Vec<Effect>) {
        let (before, until) = (self.document.parameters.clone(), self.document.valid_until);
        let placement = self.document.placement.epoch;
        if start::replace(&mut self.document, newer).is_err() {
            self.counters.refused_documents += 1;
            return;
        }
        if self.document.placement.epoch != placement {
            let bytes = GatewayFrame::Document(Some(self.document.signed().to_wire())).to_wire();
            for session in self.sessions.keys() {
                self.counters.documents += 1;
                effects.push(Effect::ToClient { session: *session, bytes: bytes.clone() });
            }
        }
        self.rates.replaced(before, until, now);
        self.loops.follow(&self.document);
        self.repeats.follow_document(&self.document);
    }

    fn let_go_of_the_late(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some((session, opening)) = self.door.late(now) {
            if opening.puzzle().is_none() {
                self.counters.refused_silent += 1;
            } else {
                self.counters.refused_proof += 1;
            }
            self.refuse(session, RefusalCode::LateProof, now, effects);
        }
    }

    /// A link is kept alive for next to nothing; a seat at the gateway is not.
    fn let_go_of_the_silent(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if let Some(look) = self.look.filter(|look| *look <= now) {
            // It was not there itself, or its clock was set: that says nothing about anybody.
            if now.since(look) > LOOK_EVERY {
                self.sessions.values_mut().for_each(|session| session.hear(now));
            }
            let parameters = &self.document.parameters;
            let silent = |session: &Session| {
                let gap = self.rates.longest_gap(session.pace, parameters, now);
                session.is_silent(gap, now)
            };
            let silent = self.sessions.iter().filter(|(_, session)| silent(session));
            let silent: Vec<_> = silent.map(|(id, _)| *id).collect();
            for session in silent {
                self.counters.refused_idle += 1;
                self.refuse(session, RefusalCode::Silent, now, effects);
            }
            self.look = None;
        }
        if self.look.is_none() && !self.sessions.is_empty() {
            self.look = Some(now + LOOK_EVERY);
        }
    }

    fn wake(&mut self, effects: &mut Vec<Effect>) {
        let ends = [self.door.next_end(), self.seats.next_end(), self.look, self.loops.next()];
        let next = ends.into_iter().flatten().min();
        if next != self.woken_for {
            self.woken_for = next;
            effects.extend(next.map(Effect::WakeAt));
        }
    }

    fn close(&mut self, session: SessionId) {
        if let Some(held) = self.end(session) {
            self.line.leave(held.pace);
        }
    }

    /// As [`Self::close`], but the seat of whoever used it stays taken.
    fn lose(&mut self, session: SessionId, now: Timestamp) {
        match self.end(session) {
            Some(held) if held.has_spoken() => self.seats.keep(held.token, held, now),
            Some(held) => self.line.leave(held.pace),
            None => {}
        }
    }

    fn end(&mut self, session: SessionId) -> Option<Session> {
        self.door.leave(session);
        self.tags.close(session);
        let held = self.sessions.remove(&session)?;
        self.tokens.remove(&held.token);
        Some(held)
    }

    /// Tells the client why, and closes.
    fn refuse(
        &mut self,
        session: SessionId,
        code: RefusalCode,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.close(session);
        let retry_after_secs = if code == RefusalCode::Busy {
            self.counters.refused_busy += 1;
            self.door.turn_away(now)
        } else {
            0
        };
        let bytes = GatewayFrame::Refused { code, retry_after_secs }.to_wire();
        effects.push(Effect::ToClient { session, bytes });
        effects.push(Effect::CloseClient { session, reason: code });
    }

    fn node_frame(
        &mut self,
        from: &NodeId,
        bytes: &[u8],
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let last = xchat_directory::descriptor::LAYERS;
        if !self.document.node(from).is_some_and(|peer| peer.is_mix_of(last)) {
            self.counters.unknown_peer += 1;
            return;
        }
        if self.repeats.is_named(from, now) {
            self.counters.refused_peer += 1;
            return;
        }
        let Ok(NodeFrame { tag, packet }) = NodeFrame::from_bytes(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        match self.loops.came(from, &tag, &packet, &self.document) {
            Came::Back => return,
            Came::Again => {
                self.counters.replays += 1;
                self.repeats.note(*from, now);
                return;
            }
            Came::NoLoop => {}
        }
        let Some(session) = self.tags.spend(&tag) else {
            self.counters.unknown_tag += 1;
            return;
        };
        let bytes = GatewayFrame::Packet(packet).to_wire();
        effects.push(Effect::ToClient { session, bytes });
        self.counters.to_clients += 1;
    }
}
