//! What stores say to one another, and the replica that all requests about boxes go through.

use xchat_base::{Rng, Timestamp};
use xchat_directory::NodeId;
use xchat_pigeonhole::BoxId;
use xchat_pigeonhole::register::{BoxTable, RegisterEffect, RegisterInput, ReplicaMessage};

use super::{Effect, Store, store_id};

impl<T: BoxTable> Store<T> {
    pub(super) fn replica_frame(
        &mut self,
        from: &NodeId,
        bytes: &[u8],
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        if !self.document.node(from).is_some_and(|peer| peer.is_store()) || *from == self.id {
            self.counters.unknown_peer += 1;
            return;
        }
        let Ok(message) = ReplicaMessage::from_wire(bytes) else {
            self.counters.unreadable += 1;
            return;
        };
        // A table that has lost its promises must not vote, nor one whose clock is wrong.
        if !self.may_vote(now) {
            return;
        }
        let replicas = self.replicas(message.box_id()).filter(|replicas| {
            let (own, from) = (store_id(&self.id), store_id(from));
            replicas.rank_of(&own).is_some() && replicas.rank_of(&from).is_some()
        });
        let Some(replicas) = replicas else {
            self.counters.not_shared += 1;
            return;
        };
        self.counters.replica_frames += 1;
        let from = store_id(from);
        self.register(RegisterInput::Peer { from, message, replicas }, now, rng, effects);
    }

    pub(super) fn settle(
        &mut self,
        boxes: Vec<BoxId>,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        if !self.may_vote(now) {
            return;
        }
        for id in boxes {
            let replicas = self.replicas(&id);
            let own = store_id(&self.id);
            if let Some(replicas) = replicas.filter(|set| set.rank_of(&own).is_some()) {
                self.register(RegisterInput::Settle { id, replicas }, now, rng, effects);
            }
        }
    }

    /// Hands an input to the replica and carries out what it asks for.
    pub(super) fn register(
        &mut self,
        input: RegisterInput,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        for effect in self.replica.handle(input, &mut self.table, now, rng) {
            match effect {
                RegisterEffect::Send { to, message } => {
                    let to = NodeId::from_bytes(*to.as_bytes());
                    effects.push(Effect::ToReplica { to, bytes: message.to_wire() });
                }
                RegisterEffect::Answer { op, answer } => self.decided(op, answer, now, effects),
                RegisterEffect::Chosen(boxed) => self.deliver(&boxed, now, rng, effects),
                RegisterEffect::WakeAt(at) => self.register_wake = Some(at),
            }
        }
    }
}
