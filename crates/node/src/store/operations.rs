//! What clients ask: writes, reads, standing reads, collects; and what goes back.

use std::time::Duration;

use xchat_base::{Rng, Timestamp, Wire};
use xchat_pigeonhole::delivery::DELIVERY_LEN;
use xchat_pigeonhole::register::{BoxTable, ClientOp, OpId, RegisterInput, ReplicaSet};
use xchat_pigeonhole::{
    Answer, BoxId, Op, Refusal, Request, SealedBox, SignedAnswer, Tell, VerifiedBox,
};
use xchat_sphinx::{
    CollectorSession, DeliveryBlock, HopAddress, NodeFrame, Packet, PacketFormat, ReplyBlock,
    SurbId,
};

use super::collectors::Item;
use super::registrations::{DeliveryId, MAX_REGISTRATION_LIFETIME, Registration};
use super::{Effect, Store};

/// An operation whose register has not decided yet. There is one for each of the replica's own
/// operations, so [`xchat_pigeonhole::register::MAX_OPERATIONS`] bounds them.
pub(super) struct Pending {
    reply: ReplyBlock,
    id: BoxId,
    /// Set for a standing read: the read that comes before it.
    registering: Option<DeliveryId>,
    /// Set for a write: what is written, and whom to tell when it stands.
    telling: Option<(SealedBox, Tell)>,
}

impl<T: BoxTable> Store<T> {
    pub(super) fn request(
        &mut self,
        message: &[u8],
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        let Ok(Request { reply, op }) = Request::from_wire(message) else {
            self.counters.unreadable += 1;
            return;
        };
        let Ok(reply) = ReplyBlock::from_bytes(&reply) else {
            self.counters.unreadable += 1;
            return;
        };
        match op {
            Op::Write { placement, boxed, tell } => {
                self.counters.writes += 1;
                self.write(reply, placement, (boxed, tell), now, rng, effects);
            }
            Op::Read { placement, id } => {
                self.counters.reads += 1;
                match self.serves(placement, &id, now) {
                    Ok(replicas) => {
                        let pending = Pending { reply, id, registering: None, telling: None };
                        self.operate(pending, ClientOp::Read(id), replicas, now, rng, effects);
                    }
                    Err(refusal) => self.refuse(reply, refusal, now, effects),
                }
            }
            Op::Register { placement, id, delivery, delivery_id, seal_key, lifetime_secs } => {
                self.counters.registers += 1;
                let lifetime = Duration::from_secs(lifetime_secs.into())
                    .min(self.document.parameters.registration_lifetime)
                    .min(MAX_REGISTRATION_LIFETIME);
                let expires = now + lifetime;
                let registration = Registration { delivery, seal_key, expires, told: false };
                match self.stand(placement, id, delivery_id, registration, now) {
                    Ok(replicas) => {
                        let registering = Some(delivery_id);
                        let pending = Pending { reply, id, registering, telling: None };
                        self.operate(pending, ClientOp::Read(id), replicas, now, rng, effects);
                    }
                    Err(refusal) => self.refuse(reply, refusal, now, effects),
                }
            }
            Op::Collect { session } => {
                self.counters.collects += 1;
                self.collect(reply, CollectorSession::from_bytes(session), now, effects);
            }
            _ => self.refuse(reply, Refusal::Malformed, now, effects),
        }
    }

    fn write(
        &mut self,
        reply: ReplyBlock,
        placement: u32,
        (boxed, tell): (SealedBox, Tell),
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        if self.pressed {
            self.refuse(reply, Refusal::Busy, now, effects);
            return;
        }
        let id = boxed.id();
        if self.full && !self.holds(&id) {
            self.counters.refused_full += 1;
            self.refuse(reply, Refusal::Busy, now, effects);
            return;
        }
        // The cheap checks first: a signature check costs 30 µs.
        let checked = self
            .serves(placement, &id, now)
            .and_then(|replicas| Ok((replicas, boxed.verify().map_err(|_| Refusal::Malformed)?)));
        match checked {
            Ok((replicas, verified)) => {
                let telling = Some((boxed, tell));
                let pending = Pending { reply, id, registering: None, telling };
                self.operate(pending, ClientOp::Write(verified), replicas, now, rng, effects);
            }
            Err(refusal) => self.refuse(reply, refusal, now, effects),
        }
    }

    /// The replicas of a box, if this store is one of them and may answer.
    pub(super) fn serves(
        &mut self,
        placement: u32,
        id: &BoxId,
        now: Timestamp,
    ) -> Result<ReplicaSet, Refusal> {
        let current = self.document.placement.epoch.0;
        if placement != current {
            return Err(Refusal::WrongPlacement { current });
        }
        let replicas = self.succession.admit(id, &self.views, &mut self.table, now)?;
        // A wrong clock would let boxes expire.
        if self.may_sweep(now) { Ok(replicas) } else { Err(Refusal::CatchingUp) }
    }

    /// Notes a standing read. It stands from now on, before the box is looked at: a value that is
    /// chosen in between is delivered, and at worst answered as well.
    fn stand(
        &mut self,
        placement: u32,
        id: BoxId,
        delivery_id: DeliveryId,
        registration: Registration,
        now: Timestamp,
    ) -> Result<ReplicaSet, Refusal> {
        let replicas = self.serves(placement, &id, now)?;
        DeliveryBlock::from_bytes(&registration.delivery).map_err(|_| Refusal::Malformed)?;
        self.registrations.insert(id, delivery_id, registration).map_err(|_| Refusal::Busy)?;
        Ok(replicas)
    }

    fn operate(
        &mut self,
        pending: Pending,
        request: ClientOp,
        replicas: ReplicaSet,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        let op = OpId(self.next_op);
        self.next_op += 1;
        self.pending.insert(op, pending);
        self.register(RegisterInput::Client { op, request, replicas }, now, rng, effects);
    }

    /// An operation has ended: tell the client.
    pub(super) fn decided(
        &mut self,
        op: OpId,
        answer: Answer,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        let Some(Pending { reply, id, registering, telling }) = self.pending.remove(&op) else {
            return;
        };
        let answer = match registering {
            None => answer,
            Some(delivery_id) => match answer {
                // Two replicas out of reach change nothing for a standing read: if the box is
                // written, this replica will hear of it.
                Answer::Empty | Answer::Refused(Refusal::NoMajority) => {
                    Answer::Registered { life: self.life }
                }
                other => {
                    self.registrations.remove(&id, &delivery_id);
                    other
                }
            },
        };
        if answer == Answer::Stored
            && let Some((boxed, tell)) = telling
        {
            self.tell(boxed, &tell, now, rng, effects);
        }
        match answer {
            Answer::Refused(refusal) => self.refuse(reply, refusal, now, effects),
            answer => {
                let signed = SignedAnswer::sign(&self.answer_key, id, answer, now);
                self.answer(reply, &signed, effects);
            }
        }
    }

    /// A box's value is known: serve the standing reads for it.
    pub(super) fn deliver(
        &mut self,
        boxed: &VerifiedBox,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        let taken = self.registrations.take(&boxed.id());
        if taken.is_empty() {
            return;
        }
        let found = Answer::Found(boxed.sealed().clone());
        let signed = SignedAnswer::sign(&self.answer_key, boxed.id(), found, now);
        for (delivery_id, registration) in taken {
            if registration.expires <= now {
                continue;
            }
            let format = self.hop.format;
            let built = delivery_packet(format, rng, &registration, &delivery_id, &signed);
            let Some(built) = built else {
                self.counters.bad_reply_block += 1;
                continue;
            };
            if self.send(built, effects) {
                self.counters.deliveries_sent += 1;
            }
        }
    }

    fn collect(
        &mut self,
        reply: ReplyBlock,
        session: CollectorSession,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        match self.collectors.collect(session, now) {
            Ok(item) => {
                let answer = match item {
                    Some(Item { id, sealed }) => Answer::Item { id, sealed },
                    None => Answer::NoItem,
                };
                self.answer(reply, &SignedAnswer::unsigned(answer, now), effects);
            }
            Err(_) => self.refuse(reply, Refusal::Busy, now, effects),
        }
    }

    /// A delivery for a session that collects here.
    pub(super) fn item(&mut self, session: &CollectorSession, id: SurbId, sealed: Vec<u8>) {
        let item = Item { id: *id.as_bytes(), sealed };
        // All deliveries have one length, and a longer one would not fit into an answer.
        if item.sealed.len() == DELIVERY_LEN && self.collectors.deliver(session, item).is_ok() {
            self.counters.items_kept += 1;
        } else {
            self.counters.items_dropped += 1;
        }
    }

    fn refuse(
        &mut self,
        reply: ReplyBlock,
        refusal: Refusal,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.counters.refused += 1;
        self.counters.refused_busy += u64::from(refusal == Refusal::Busy);
        self.answer(reply, &SignedAnswer::unsigned(Answer::Refused(refusal), now), effects);
    }

    fn answer(&mut self, reply: ReplyBlock, signed: &SignedAnswer, effects: &mut Vec<Effect>) {
        match self.hop.format.reply(reply, &signed.to_wire()) {
            Ok(built) => {
                if self.send(built, effects) {
                    self.counters.answered += 1;
                }
            }
            Err(_) => self.counters.bad_reply_block += 1,
        }
    }

    /// Sends a packet to the first mix of its route; only mixes of the first layer take packets.
    pub(super) fn send(
        &mut self,
        (first, packet): (HopAddress, Packet),
        effects: &mut Vec<Effect>,
    ) -> bool {
        let mix = self.document.node_by_tag(first.node_tag().as_bytes());
        let Some(mix) = mix.filter(|node| node.is_mix_of(1)) else {
            self.counters.bad_reply_block += 1;
            return false;
        };
        let bytes = NodeFrame::to_node(packet).to_bytes();
        effects.push(Effect::ToNode { to: mix.id, bytes });
        true
    }
}

/// The packet that carries a delivery to its collector, sealed for the client.
fn delivery_packet(
    format: &dyn PacketFormat,
    rng: &mut Rng,
    registration: &Registration,
    delivery_id: &DeliveryId,
    signed: &SignedAnswer,
) -> Option<(HopAddress, Packet)> {
    let sealed = registration.seal_key.seal(rng, delivery_id, signed).ok()?;
    format.deliver(DeliveryBlock::from_bytes(&registration.delivery).ok()?, &sealed).ok()
}
