//! For the model checker only: who was outbid, and which messages can never have an effect again. Without dropping them
//! the number of worlds that differ by dead letters alone would hide those that matter.

use xchat_base::Timestamp;

use super::acceptor;
use super::message::{Body, ReplicaMessage};
use super::operation::Phase;
use super::replica::Replica;
use super::succession::Succession;
use super::table::BoxTable;
use super::table_message::TableMessage;
use crate::answer::StoreId;

impl Replica {
    /// Whether a message on its way to this replica is spent: delivering it, now or ever, changes no
    /// record and no operation and causes no message that is not spent. An acceptor's ballots only
    /// grow and attempts are never used twice, so what is spent stays spent. (It may set the timer
    /// for settling a box; the model settles at any time, timer or not.)
    pub fn has_spent(
        &self,
        message: &ReplicaMessage,
        sender: &Self,
        sender_rank: u8,
        table: &dyn BoxTable,
        now: Timestamp,
    ) -> bool {
        let state = acceptor::look(table, &message.id, now);
        match &message.body {
            Body::Query => !sender.awaits(message),
            Body::Prepare(ballot) => {
                let moves = state.is_ok_and(|state| state.promised < Some(*ballot));
                !sender.awaits(message) && !moves
            }
            Body::Accept(ballot, _) => {
                let moves = state.is_ok_and(|state| {
                    let held = state.held.map(|(at, _)| at);
                    (state.promised <= Some(*ballot) || self.ignore_promise())
                        && held != Some(*ballot)
                });
                !sender.awaits(message) && !moves
            }
            Body::Decided(_) => state.is_err(),
            Body::State(_) | Body::Promise(_) | Body::Accepted => {
                !self.awaits_from(message, sender_rank)
            }
            Body::Preempted(_) | Body::Chosen(..) | Body::Expired => !self.awaits(message),
        }
    }

    /// Whether an operation of this replica was refused by another that has promised a higher
    /// ballot: at its next wake-up it proposes again, above that one.
    pub fn is_outbid(&self) -> bool {
        self.operations.values().any(|operation| match operation.phase {
            Phase::BackingOff => true,
            Phase::Preparing(..) | Phase::Accepting(..) => operation.is_refused(),
            Phase::Asking(_) | Phase::Waiting => false,
        })
    }

    fn awaits(&self, message: &ReplicaMessage) -> bool {
        let mut operations = self.keys_of(&message.id).filter_map(|key| self.operations.get(&key));
        operations.any(|operation| operation.attempt == message.attempt)
    }

    fn awaits_from(&self, message: &ReplicaMessage, rank: u8) -> bool {
        let mut operations = self.keys_of(&message.id).filter_map(|key| self.operations.get(&key));
        operations
            .any(|operation| operation.attempt == message.attempt && operation.waits_for(rank))
    }
}

impl Succession {
    /// Whether this store waits for what that source answers to a request, if this message is the
    /// request or the answer.
    pub fn awaits(&self, source: &StoreId, message: &TableMessage) -> bool {
        self.awaited(message.placement, source) == Some(message.attempt)
    }
}

impl ReplicaMessage {
    /// The placement among whose replicas it is.
    pub fn placement(&self) -> u32 {
        self.placement
    }
}
