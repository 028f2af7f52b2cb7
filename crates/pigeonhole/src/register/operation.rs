//! One operation at its coordinator: the phase it is in, and what the replies amount to.

use xchat_base::Timestamp;

use crate::boxes::{BoxId, VerifiedBox};
use crate::request::Answer;

use super::ballot::Ballot;
use super::membership::{QUORUM, REPLICAS, ReplicaSet};
use super::message::{Attempt, Body, Held};
use super::replica::OpId;

/// Replies by rank.
pub(crate) type Replies<T> = [Option<T>; REPLICAS];

/// What an operation is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Goal {
    Write(OpId, VerifiedBox),
    Read(OpId),
    /// To complete what this replica has accepted, for no client.
    Settle,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// Reading what the others hold.
    Asking(Replies<Held>),
    /// Another operation of this replica is proposing for the same box.
    Waiting,
    /// Outbid; proposing again at `due`.
    BackingOff,
    /// Phase 1 of Paxos; the own promise is among the replies.
    Preparing(Ballot, Replies<Held>),
    /// Phase 2 of Paxos; the own acceptance is among the replies.
    Accepting(Ballot, VerifiedBox, Replies<()>),
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing yet.
    Wait,
    /// The value is decided, as somebody knew.
    Chosen(VerifiedBox),
    /// Two have accepted at this ballot: the value is decided, and this operation found out.
    Decided(Ballot, VerifiedBox),
    /// Two hold nothing.
    Empty,
    /// The box was used and has expired.
    Expired,
    /// Run Paxos for the candidate.
    Propose,
    /// Two have promised: phase 2 with this value.
    Accept(Ballot, VerifiedBox),
    /// Outbid.
    BackOff,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Operation {
    pub(crate) id: BoxId,
    pub(crate) goal: Goal,
    pub(crate) replicas: ReplicaSet,
    /// The coordinator's own rank.
    pub(crate) rank: u8,
    pub(crate) phase: Phase,
    pub(crate) attempt: Attempt,
    /// What this operation proposes if it is free to: the written value, or one that was seen.
    pub(crate) candidate: Option<VerifiedBox>,
    /// The highest ballot heard of.
    pub(crate) seen: Option<Ballot>,
    /// How often it was outbid.
    pub(crate) outbid: u8,
    pub(crate) deadline: Timestamp,
    pub(crate) due: Timestamp,
}

impl Operation {
    /// Whether it is the one operation of this replica that proposes for its box.
    pub(crate) fn is_proposing(&self) -> bool {
        match self.phase {
            Phase::Preparing(..) | Phase::Accepting(..) | Phase::BackingOff => true,
            Phase::Asking(_) | Phase::Waiting => false,
        }
    }

    /// The request of this phase.
    pub(crate) fn request(&self) -> Option<Body> {
        match &self.phase {
            Phase::Asking(_) => Some(Body::Query),
            Phase::Preparing(ballot, _) => Some(Body::Prepare(*ballot)),
            Phase::Accepting(ballot, boxed, _) => Some(Body::Accept(*ballot, boxed.clone())),
            Phase::Waiting | Phase::BackingOff => None,
        }
    }

    /// Whether the request of this phase is still to be answered by the replica of this rank.
    pub(crate) fn waits_for(&self, rank: u8) -> bool {
        let at = usize::from(rank);
        rank != self.rank
            && match &self.phase {
                Phase::Asking(replies) | Phase::Preparing(_, replies) => replies[at].is_none(),
                Phase::Accepting(_, _, replies) => replies[at].is_none(),
                Phase::Waiting | Phase::BackingOff => false,
            }
    }

    /// Takes a reply to the current attempt. `own` is what this replica holds now.
    pub(crate) fn take(&mut self, rank: u8, reply: Body, own: Held) -> Verdict {
        let at = usize::from(rank);
        let first = self.waits_for(rank);
        match (&mut self.phase, reply) {
            (_, Body::Chosen(boxed)) => return Verdict::Chosen(boxed),
            (_, Body::Expired) => return Verdict::Expired,
            // The first reply of each counts: a copy that comes late must not undo a later state.
            (_, Body::State(_) | Body::Promise(_) | Body::Accepted) if !first => {
                return Verdict::Wait;
            }
            (Phase::Asking(replies), Body::State(held)) => replies[at] = Some(held),
            (Phase::Preparing(_, replies), Body::Promise(held)) => replies[at] = Some(held),
            (Phase::Accepting(_, _, replies), Body::Accepted) => replies[at] = Some(()),
            (Phase::Preparing(..) | Phase::Accepting(..), Body::Preempted(ballot)) => {
                self.seen = self.seen.max(Some(ballot));
                return Verdict::BackOff;
            }
            _ => return Verdict::Wait,
        }
        self.judge(own, QUORUM)
    }

    /// What the replies so far amount to.
    pub(crate) fn judge(&mut self, own: Held, quorum: usize) -> Verdict {
        match &self.phase {
            Phase::Asking(replies) => {
                let mut states = replies.clone();
                states[usize::from(self.rank)] = Some(own);
                self.judge_states(states)
            }
            Phase::Preparing(ballot, promises) => {
                if promises.iter().flatten().count() < quorum {
                    return Verdict::Wait;
                }
                // The rule that makes Paxos safe: the value accepted at the highest ballot, if
                // there is any, may have been chosen and is the only one that may be proposed.
                match highest(promises).map(|(_, boxed)| boxed).or_else(|| self.candidate.clone()) {
                    Some(boxed) => Verdict::Accept(*ballot, boxed),
                    None => Verdict::Empty,
                }
            }
            Phase::Accepting(ballot, boxed, replies) => {
                if replies.iter().flatten().count() < quorum {
                    return Verdict::Wait;
                }
                Verdict::Decided(*ballot, boxed.clone())
            }
            Phase::Waiting | Phase::BackingOff => Verdict::Wait,
        }
    }

    fn judge_states(&mut self, states: Replies<Held>) -> Verdict {
        let held: Vec<_> = states.iter().flatten().flatten().collect();
        let agreed = held
            .iter()
            .find(|(ballot, _)| held.iter().filter(|(other, _)| other == ballot).count() >= QUORUM);
        if let Some((ballot, boxed)) = agreed {
            return Verdict::Decided(*ballot, boxed.clone());
        }
        let answers = states.iter().flatten().count();
        // To settle is to complete whatever there is; for a reader two empty answers are enough.
        let settles = self.goal == Goal::Settle && !held.is_empty();
        if answers - held.len() >= QUORUM && !settles {
            return Verdict::Empty;
        }
        if answers < QUORUM {
            return Verdict::Wait;
        }
        let Some((ballot, boxed)) = highest(&states) else { return Verdict::Wait };
        self.seen = self.seen.max(Some(ballot));
        self.candidate = Some(boxed);
        Verdict::Propose
    }

    /// What a client is told when the box's value is `boxed`.
    pub(crate) fn answer_chosen(&self, boxed: &VerifiedBox) -> Option<(OpId, Answer)> {
        let sealed = || boxed.sealed().clone();
        match &self.goal {
            Goal::Write(op, written) if written == boxed => Some((*op, Answer::Stored)),
            Goal::Write(op, _) => Some((*op, Answer::Exists(sealed()))),
            Goal::Read(op) => Some((*op, Answer::Found(sealed()))),
            Goal::Settle => None,
        }
    }

    /// Whom the answer is for.
    pub(crate) fn client(&self) -> Option<OpId> {
        match self.goal {
            Goal::Write(op, _) | Goal::Read(op) => Some(op),
            Goal::Settle => None,
        }
    }
}

/// The proposal accepted at the highest ballot.
fn highest(replies: &Replies<Held>) -> Held {
    replies.iter().flatten().flatten().max_by_key(|(ballot, _)| *ballot).cloned()
}
