//! What clients send: how a session begins, and what may come in it.

use xchat_base::{Rng, Timestamp, Wire};
use xchat_sphinx::{
    ClientFrame, GatewayFrame, NodeFrame, NodeTag, Pace, Packet, Proof, RefusalCode, ReplyTag,
    SessionToken,
};

use super::pace::{Session, Verdict};
use super::tags::NotAnnounced;
use super::{Effect, Gateway, SessionId};

impl Gateway {
    pub(super) fn client_frame(
        &mut self,
        session: SessionId,
        bytes: &[u8],
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        let known = self.sessions.contains_key(&session);
        if !known && self.door.get(session).is_none() {
            return; // It was told to go, and has not heard it yet.
        }
        let taken = match ClientFrame::from_wire(bytes) {
            Ok(ClientFrame::Open) if !known => self.challenge(session, now, rng, effects),
            Ok(ClientFrame::Resume { token, tags }) if !known => {
                self.resume(session, token, tags, now, rng, effects)
            }
            Ok(ClientFrame::Hello { pace, tags, proof }) if !known => {
                self.hello(session, pace, tags, &proof, now, rng, effects)
            }
            Ok(ClientFrame::Packet { announce, first_hop, packet }) if known => {
                self.packet(session, announce, first_hop, packet, now, effects)
            }
            Ok(ClientFrame::GetDocument { newer_than }) if known => {
                self.send_document(session, newer_than, now, effects)
            }
            _ => Err(RefusalCode::Malformed),
        };
        if let Err(code) = taken {
            match code {
                RefusalCode::Malformed => self.counters.malformed += 1,
                RefusalCode::TooFast => self.counters.refused_too_fast += 1,
                RefusalCode::WrongProof | RefusalCode::LateProof => {
                    self.counters.refused_proof += 1;
                }
                RefusalCode::UnknownMix => self.counters.unknown_mix += 1,
                // Counted where they are sent, or not worth a count.
                _ => {}
            }
            self.refuse(session, code, now, effects);
        }
    }

    /// Somebody wants a session: what it costs. Whoever cannot have one hears so before any work.
    fn challenge(
        &mut self,
        session: SessionId,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) -> Result<(), RefusalCode> {
        self.may_enter(now)?;
        let (fullness, capacity) = (self.fullness(now), self.limits.max_sessions);
        let challenge = self.door.challenge(session, fullness, capacity, now, rng);
        let challenge = challenge.ok_or(RefusalCode::Malformed)?;
        let bytes = GatewayFrame::Challenge(challenge).to_wire();
        effects.push(Effect::ToClient { session, bytes });
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // A frame's fields, and what every call has.
    fn hello(
        &mut self,
        session: SessionId,
        pace: Pace,
        tags: Vec<ReplyTag>,
        proof: &Proof,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) -> Result<(), RefusalCode> {
        let opening = self.door.get(session).ok_or(RefusalCode::Malformed)?;
        let puzzle = opening.puzzle().ok_or(RefusalCode::Malformed)?;
        if opening.is_late(now) {
            return Err(RefusalCode::LateProof);
        }
        if !puzzle.is_solved_by(proof) {
            return Err(RefusalCode::WrongProof);
        }
        self.may_enter(now)?;
        self.door.opened(now);
        self.line.enter(pace);
        self.counters.welcomed += 1;
        let held = Session::new(pace, SessionToken::random(rng), now);
        self.welcome(session, held, tags, effects)
    }

    /// Somebody goes on with a session whose link was lost, which may not have been noticed here yet.
    fn resume(
        &mut self,
        session: SessionId,
        token: SessionToken,
        tags: Vec<ReplyTag>,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) -> Result<(), RefusalCode> {
        if self.door.get(session).is_none_or(|opening| opening.puzzle().is_some()) {
            return Err(RefusalCode::Malformed);
        }
        let before = self.tokens.get(&token).copied();
        let held = match before {
            Some(before) => self.end(before),
            None => self.seats.take(&token),
        };
        if let Some(before) = before {
            effects.push(Effect::CloseClient { session: before, reason: RefusalCode::Silent });
        }
        let Some(mut held) = held else { return self.challenge(session, now, rng, effects) };
        self.counters.resumed += 1;
        held.resume(SessionToken::random(rng), now);
        self.welcome(session, held, tags, effects)
    }

    fn welcome(
        &mut self,
        session: SessionId,
        held: Session,
        tags: Vec<ReplyTag>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), RefusalCode> {
        self.door.leave(session);
        self.tokens.insert(held.token, session);
        self.sessions.insert(session, held);
        for tag in tags {
            self.announce(session, tag)?;
        }
        let welcome = GatewayFrame::Welcome { session: held.token };
        effects.push(Effect::ToClient { session, bytes: welcome.to_wire() });
        Ok(())
    }

    fn may_enter(&self, now: Timestamp) -> Result<(), RefusalCode> {
        if self.is_full(now) {
            return Err(RefusalCode::Busy);
        }
        if self.document.is_expired(now) {
            return Err(RefusalCode::NoDocument);
        }
        Ok(())
    }

    fn packet(
        &mut self,
        session: SessionId,
        announce: ReplyTag,
        first_hop: NodeTag,
        packet: Packet,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Result<(), RefusalCode> {
        let Some(held) = self.sessions.get(&session) else { return Ok(()) };
        let gap = self.rates.gap(held.pace, &self.document.parameters, now);
        if !self.in_time(session, |held| held.packet(gap, now))? {
            return Ok(());
        }
        self.announce(session, announce)?;
        self.forward(first_hop, packet, effects)
    }

    fn send_document(
        &mut self,
        session: SessionId,
        newer_than: u64,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Result<(), RefusalCode> {
        if self.in_time(session, |held| held.document(now))? {
            effects.push(Effect::ToClient { session, bytes: self.newer_document(newer_than) });
        }
        Ok(())
    }

    /// Whether something came in its time; if not, it is dropped.
    fn in_time(
        &mut self,
        session: SessionId,
        measure: impl FnOnce(&mut Session) -> Verdict,
    ) -> Result<bool, RefusalCode> {
        match self.sessions.get_mut(&session).map(measure) {
            Some(Verdict::Pass) => Ok(true),
            Some(Verdict::Drop) => {
                self.counters.over_pace += 1;
                Ok(false)
            }
            Some(Verdict::End) => Err(RefusalCode::TooFast),
            None => Ok(false),
        }
    }

    fn announce(&mut self, session: SessionId, tag: ReplyTag) -> Result<(), RefusalCode> {
        match self.tags.announce(session, tag) {
            Ok(()) => Ok(()),
            Err(NotAnnounced::Zero) => Err(RefusalCode::Malformed),
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
        let mix = mix.filter(|node| node.is_mix_of(1)).ok_or(RefusalCode::UnknownMix)?;
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
}
