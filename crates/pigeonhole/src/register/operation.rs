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
    /// To complete what this replica has accepted, or to learn what it has missed, for no client.
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
    /// The value is decided, as somebody knew who keeps it until then.
    Chosen(VerifiedBox, Timestamp),
    /// Two have accepted at this ballot: the value is decided, and this operation found out.
    Decided(Ballot, VerifiedBox),
    /// Two hold nothing.
    Empty,
    /// Two have known the decision, and its lifetime is over.
    Expired,
    /// Nothing can be found out, and a replica with a tombstone cannot propose.
    Stuck,
    /// Run Paxos for the candidate.
    Propose,
    /// Two have promised: phase 2 with this value.
    Accept(Ballot, VerifiedBox),
    /// Outbid: no majority is left that could go along.
    BackOff,
    /// The replica of this rank comes nearer by [`super::ballot::MAX_STEP`] with each request.
    Repeat(u8),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Operation {
    pub(crate) id: BoxId,
    pub(crate) goal: Goal,
    pub(crate) replicas: ReplicaSet,
    /// The coordinator's own rank.
    pub(crate) rank: u8,
    /// False in every product; see `Mutation`.
    pub(crate) counts_copies: bool,
    pub(crate) phase: Phase,
    pub(crate) attempt: Attempt,
    /// What this operation proposes if it is free to: the written value, or one that was seen.
    pub(crate) candidate: Option<VerifiedBox>,
    /// The highest ballot heard of.
    pub(crate) seen: Option<Ballot>,
    /// Who says, by rank, that the box has expired: votes, and else silence. Expiry does not pass,
    /// so a vote holds for all phases.
    pub(crate) expired: [bool; REPLICAS],
    /// Who has promised a higher ballot than that of this phase.
    pub(crate) refused: [bool; REPLICAS],
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
            && !self.expired[at]
            && match &self.phase {
                Phase::Asking(replies) | Phase::Preparing(_, replies) => replies[at].is_none(),
                Phase::Accepting(_, _, replies) => replies[at].is_none(),
                Phase::Waiting | Phase::BackingOff => false,
            }
    }

    /// Takes a reply to the current attempt. `own` is what this replica holds now; `None` when its
    /// own record has expired.
    pub(crate) fn take(&mut self, rank: u8, reply: Body, own: Option<Held>) -> Verdict {
        let at = usize::from(rank);
        let first = self.waits_for(rank);
        match (&mut self.phase, reply) {
            (_, Body::Chosen(boxed, until)) => return Verdict::Chosen(boxed, until),
            (_, Body::Expired) => self.expired[at] = true,
            (_, Body::State(Some((ballot, _))) | Body::Promise(Some((ballot, _))))
                if !ballot.is_possible(self.replicas.placement()) =>
            {
                return Verdict::Wait;
            }
            // The first reply of each counts: a copy that comes late must not undo a later state.
            (_, Body::State(_) | Body::Promise(_) | Body::Accepted) if !first => {
                return Verdict::Wait;
            }
            (Phase::Asking(replies), Body::State(held)) => replies[at] = Some(held),
            (Phase::Preparing(_, replies), Body::Promise(held)) => replies[at] = Some(held),
            (Phase::Accepting(_, _, replies), Body::Accepted) => replies[at] = Some(()),
            (
                Phase::Preparing(asked, _) | Phase::Accepting(asked, ..),
                Body::Preempted(promised),
            ) => {
                let placement = self.replicas.placement();
                if !promised.is_possible(placement) || promised.placement != placement {
                    return Verdict::Wait;
                }
                if promised < *asked {
                    return if first { Verdict::Repeat(rank) } else { Verdict::Wait };
                }
                self.seen = self.seen.max(Some(promised));
                self.refused[at] = first;
            }
            _ => return Verdict::Wait,
        }
        self.judge(own, QUORUM)
    }

    /// What the replies so far amount to.
    pub(crate) fn judge(&mut self, own: Option<Held>, quorum: usize) -> Verdict {
        self.expired[usize::from(self.rank)] = own.is_none();
        if self.expired.iter().filter(|expired| **expired).count() >= QUORUM {
            return Verdict::Expired;
        }
        match &self.phase {
            Phase::Asking(replies) => {
                let mut states = replies.clone();
                states[usize::from(self.rank)] = own;
                self.judge_states(states)
            }
            Phase::Preparing(ballot, promises) => {
                let granted = promises.iter().flatten().count();
                if granted < quorum {
                    return self.wait_or_back_off(granted);
                }
                // The rule that makes Paxos safe: the value accepted at the highest ballot, if
                // there is any, may have been chosen and is the only one that may be proposed.
                match highest(promises).map(|(_, boxed)| boxed).or_else(|| self.candidate.clone()) {
                    Some(boxed) => Verdict::Accept(*ballot, boxed),
                    None => Verdict::Empty,
                }
            }
            Phase::Accepting(ballot, boxed, replies) => {
                let granted = replies.iter().flatten().count();
                if granted < quorum {
                    return self.wait_or_back_off(granted);
                }
                Verdict::Decided(*ballot, boxed.clone())
            }
            Phase::Waiting | Phase::BackingOff => Verdict::Wait,
        }
    }

    /// One replica that refuses, or lies, does not end what the other two can finish.
    fn wait_or_back_off(&self, granted: usize) -> Verdict {
        let undecided = (0u8..)
            .zip(&self.refused)
            .filter(|(rank, refused)| self.waits_for(*rank) && !**refused);
        if granted + undecided.count() < QUORUM { Verdict::BackOff } else { Verdict::Wait }
    }

    /// Whether somebody has promised a higher ballot than that of this phase.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.iter().any(|refused| *refused)
    }

    fn judge_states(&mut self, states: Replies<Held>) -> Verdict {
        let held: Vec<_> = states.iter().flatten().flatten().collect();
        // What was copied from an earlier placement was not accepted by who holds it now: one
        // replica's minority value may have been copied by all three.
        let placement = self.replicas.placement();
        let agreed = held.iter().find(|(ballot, _)| {
            (ballot.placement == placement || self.counts_copies)
                && held.iter().filter(|(other, _)| other == ballot).count() >= QUORUM
        });
        if let Some((ballot, boxed)) = agreed {
            return Verdict::Decided(*ballot, boxed.clone());
        }
        let answers = states.iter().flatten().count();
        // To settle is to complete whatever there is; for a reader two empty answers are enough.
        let settles = self.goal == Goal::Settle && !held.is_empty();
        if answers < QUORUM {
            return Verdict::Wait;
        }
        // The others do not confirm its own tombstone, and by it the replica neither proposes nor
        // believes that the box is empty. Whoever asks the others does without it.
        if self.expired[usize::from(self.rank)] {
            return Verdict::Stuck;
        }
        if answers - held.len() >= QUORUM && !settles {
            return Verdict::Empty;
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
