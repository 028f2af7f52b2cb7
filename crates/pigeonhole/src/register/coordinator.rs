//! The coordinator: carries clients' operations, and its own, through the phases.

use core::time::Duration;

use xchat_base::{Rng, Timestamp, random};

use crate::boxes::{BoxId, VerifiedBox};
use crate::request::{Answer, Refusal};

use super::acceptor::{self, Obstacle};
use super::ballot::Ballot;
use super::membership::{QUORUM, REPLICAS, ReplicaSet};
use super::message::{Attempt, Body, Held, ReplicaMessage};
use super::operation::{Goal, Operation, Phase, Replies, Verdict};
use super::replica::{
    ClientOp, MAX_OPERATIONS, MAX_OPERATIONS_PER_BOX, MAX_UNSETTLED, OP_TIMEOUT, OpId, OpKey,
    RETRANSMIT_AFTER, RegisterEffect, Replica, SETTLE_AFTER, Unsettled, Wake,
};
use super::table::BoxTable;

/// The mean wait of a proposer that was outbid once; doubled with every further time. Longer than
/// a round between replicas, so that one of two duelling proposers gets through.
const BACKOFF_MEAN: Duration = Duration::from_millis(60);
const BACKOFF_DOUBLINGS: u8 = 5;
/// Not shorter, or a wake-up could fall on the moment at which it was asked for.
const BACKOFF_MIN: Duration = Duration::from_millis(5);
/// Operations under way above which nothing is settled: clients come first, and while a majority is
/// away, settling is only noise.
const MAX_SETTLING: usize = 256;

/// What one call of [`Replica::handle`] works with.
pub(crate) struct Turn<'a> {
    pub(crate) table: &'a mut dyn BoxTable,
    pub(crate) now: Timestamp,
    pub(crate) rng: &'a mut Rng,
    pub(crate) effects: Vec<RegisterEffect>,
}

impl Turn<'_> {
    pub(crate) fn answer(&mut self, op: OpId, answer: Answer) {
        self.effects.push(RegisterEffect::Answer { op, answer });
    }
}

impl Replica {
    pub(crate) fn start_client(
        &mut self,
        op: OpId,
        request: ClientOp,
        replicas: ReplicaSet,
        turn: &mut Turn<'_>,
    ) {
        let rank = match self.own_rank(&replicas) {
            Ok(rank) => rank,
            Err(refusal) => return turn.answer(op, Answer::Refused(refusal)),
        };
        let (id, goal, candidate) = match request {
            ClientOp::Write(boxed) => (boxed.id(), Goal::Write(op, boxed.clone()), Some(boxed)),
            ClientOp::Read(id) => (id, Goal::Read(op), None),
        };
        let operation_set = replicas;
        let operation = self.operation(id, goal, replicas, rank, candidate, turn.now);
        let state = match acceptor::look(turn.table, &id, turn.now) {
            Ok(state) => Some(state),
            Err(Obstacle::Chosen(boxed, _)) => return answer_chosen(&operation, &boxed, turn),
            Err(Obstacle::Doubtful) => {
                return turn.answer(op, Answer::Refused(Refusal::CatchingUp));
            }
            // Its own word alone, by its own clock, is one vote: the others are asked.
            Err(Obstacle::Expired | Obstacle::Preempted(_)) => None,
        };
        let on_box = self.keys_of(&id).count();
        if self.operations.len() >= MAX_OPERATIONS || on_box >= MAX_OPERATIONS_PER_BOX {
            return turn.answer(op, Answer::Refused(Refusal::Busy));
        }
        let is_write = matches!(operation.goal, Goal::Write(..));
        let Some(state) = state else {
            let key = self.insert(operation);
            return self.ask(key, turn);
        };
        if !is_write && state.held.is_none() && self.empty_from_one() {
            return turn.answer(op, Answer::Empty);
        }
        let key = self.insert(operation);
        if !is_write {
            self.ask(key, turn);
        } else if rank == 0
            && state.promised.is_none()
            && self.may_use_zero(&operation_set)
            && !self.is_proposing(&id)
        {
            self.accept_at_zero(key, turn);
        } else {
            self.propose(key, turn);
        }
    }

    /// Finds out what became of a box, unless an operation is already about to.
    pub(crate) fn start_settle(&mut self, id: BoxId, replicas: ReplicaSet, turn: &mut Turn<'_>) {
        let Ok(rank) = self.own_rank(&replicas) else { return };
        let busy = self.operations.len() >= MAX_SETTLING || self.keys_of(&id).next().is_some();
        if busy || acceptor::look(turn.table, &id, turn.now).is_err() {
            return;
        }
        let operation = self.operation(id, Goal::Settle, replicas, rank, None, turn.now);
        let key = self.insert(operation);
        self.ask(key, turn);
    }

    pub(crate) fn on_reply(&mut self, rank: u8, message: ReplicaMessage, turn: &mut Turn<'_>) {
        let attempt = message.attempt;
        let key = self.keys_of(&message.id).find(|key| {
            self.operations.get(key).is_some_and(|operation| operation.attempt == attempt)
        });
        let Some(key) = key else { return };
        let own = match acceptor::look(turn.table, &message.id, turn.now) {
            Ok(state) => Some(state.held),
            Err(Obstacle::Expired) => None,
            Err(obstacle) => return self.follow_obstacle(key, obstacle, turn),
        };
        let Some(operation) = self.operations.get_mut(&key) else { return };
        let verdict = operation.take(rank, message.body, own);
        self.follow(key, verdict, turn);
    }

    /// The time of an operation has come: give up, try again, or ask again.
    pub(crate) fn on_due(&mut self, key: OpKey, turn: &mut Turn<'_>) {
        let Some(operation) = self.operations.get(&key) else { return };
        if turn.now >= operation.deadline {
            return self.end(key, Answer::Refused(Refusal::NoMajority), turn);
        }
        match operation.phase {
            Phase::BackingOff => self.propose(key, turn),
            Phase::Waiting => self.reschedule(key, Timestamp::MAX),
            // Whoever could still have gone along has been silent for this long.
            Phase::Preparing(..) | Phase::Accepting(..) if operation.is_refused() => {
                self.propose(key, turn);
            }
            Phase::Asking(_) | Phase::Preparing(..) | Phase::Accepting(..) => {
                self.send_request(key, turn);
            }
        }
    }

    /// Records a decision and ends all operations on the box.
    pub(crate) fn learn(
        &mut self,
        boxed: &VerifiedBox,
        until: Option<Timestamp>,
        turn: &mut Turn<'_>,
    ) {
        let id = boxed.id();
        if acceptor::choose(turn.table, boxed, until, turn.now, &self.lifetimes) {
            turn.effects.push(RegisterEffect::Chosen(boxed.clone()));
        }
        self.forget_unsettled(&id);
        let keys: Vec<_> = self.keys_of(&id).collect();
        for key in keys {
            if let Some(operation) = self.remove(key) {
                answer_chosen(&operation, boxed, turn);
            }
        }
    }

    /// Remembers to look after a box that this replica has accepted a value for.
    pub(crate) fn watch(&mut self, id: BoxId, replicas: ReplicaSet, turn: &mut Turn<'_>) {
        if self.unsettled.len() >= MAX_UNSETTLED || self.unsettled.contains_key(&id) {
            return;
        }
        // By rank, so that the three do not outbid one another, and spread by the id, which is as
        // good as random, so that a burst of writes is not settled in one burst.
        let rank = replicas.rank_of(&self.own.store).unwrap_or(0);
        let spread = SETTLE_AFTER / 4 * u32::from(id.as_bytes()[0]) / 256;
        let due = turn.now + SETTLE_AFTER * (1 + u32::from(rank)) + spread;
        self.unsettled.insert(id, Unsettled { due, replicas });
        self.schedule.add(due, Wake::Settle(id));
    }

    pub(crate) fn on_settle_due(&mut self, id: BoxId, turn: &mut Turn<'_>) {
        let Some(unsettled) = self.unsettled.remove(&id) else { return };
        if let Ok(state) = acceptor::look(turn.table, &id, turn.now)
            && state.held.is_some()
        {
            self.watch(id, unsettled.replicas, turn);
            self.start_settle(id, unsettled.replicas, turn);
        }
    }

    fn follow(&mut self, key: OpKey, verdict: Verdict, turn: &mut Turn<'_>) {
        match verdict {
            Verdict::Wait => {}
            Verdict::Chosen(boxed, until) => self.learn(&boxed, Some(until), turn),
            Verdict::Decided(ballot, boxed) => {
                self.announce(key, ballot, turn);
                self.learn(&boxed, None, turn);
            }
            Verdict::Empty => self.end(key, Answer::Empty, turn),
            Verdict::Expired => self.learn_expired(key, turn),
            Verdict::Stuck => self.end(key, Answer::Refused(Refusal::NoMajority), turn),
            Verdict::Propose => self.propose(key, turn),
            Verdict::Accept(ballot, boxed) => self.accept(key, ballot, boxed, turn),
            Verdict::BackOff => self.back_off(key, turn),
            Verdict::Repeat(rank) => self.repeat(key, rank, turn),
        }
    }

    /// Two replicas know that the box was decided and has expired; what this one has accepted need
    /// not be completed any more. That ends all operations on the box.
    fn learn_expired(&mut self, key: OpKey, turn: &mut Turn<'_>) {
        acceptor::expire(turn.table, &key.0, turn.now, &self.lifetimes);
        self.forget_unsettled(&key.0);
        let keys: Vec<_> = self.keys_of(&key.0).collect();
        for key in keys {
            if let Some(op) = self.remove(key).and_then(|operation| operation.client()) {
                turn.answer(op, Answer::Expired);
            }
        }
    }

    fn follow_obstacle(&mut self, key: OpKey, obstacle: Obstacle, turn: &mut Turn<'_>) {
        match obstacle {
            Obstacle::Chosen(boxed, until) => self.learn(&boxed, Some(until), turn),
            Obstacle::Expired | Obstacle::Doubtful => {
                self.end(key, Answer::Refused(Refusal::NoMajority), turn)
            }
            Obstacle::Preempted(ballot) => {
                if let Some(operation) = self.operations.get_mut(&key) {
                    operation.seen = operation.seen.max(Some(ballot));
                }
                self.back_off(key, turn);
            }
        }
    }

    fn ask(&mut self, key: OpKey, turn: &mut Turn<'_>) {
        self.enter(key, Phase::Asking(Replies::default()), turn);
    }

    /// The common case: the first-ranked replica, a box that nobody has touched, one round. Its
    /// own record shows after a restart that ballot 0 is used up.
    fn accept_at_zero(&mut self, key: OpKey, turn: &mut Turn<'_>) {
        let Some(operation) = self.operations.get(&key) else { return };
        let Some(boxed) = operation.candidate.clone() else { return };
        let ballot = Ballot::zero(operation.replicas.placement());
        self.accept(key, ballot, boxed, turn);
    }

    /// Phase 1, at a ballot above everything heard of. The own promise, written first, makes sure
    /// that this ballot is never used again, whatever happens to this process.
    fn propose(&mut self, key: OpKey, turn: &mut Turn<'_>) {
        let Some(operation) = self.operations.get_mut(&key) else { return };
        let (id, rank) = (operation.id, operation.rank);
        let (seen, placement) = (operation.seen, operation.replicas.placement());
        // One proposer a box: operations of one replica must not outbid each other.
        let others = self.keys_of(&id).filter(|other| *other != key);
        if others.filter_map(|other| self.operations.get(&other)).any(Operation::is_proposing) {
            return self.wait(key);
        }
        let state = match acceptor::look(turn.table, &id, turn.now) {
            Ok(state) => state,
            Err(obstacle) => return self.follow_obstacle(key, obstacle, turn),
        };
        let above = Ballot::above(seen.max(state.promised), placement, rank);
        let Some(ballot) = above.map(|ballot| ballot.within_reach(state.promised)) else {
            return self.end(key, Answer::Refused(Refusal::NoMajority), turn);
        };
        match acceptor::prepare(turn.table, &id, ballot, turn.now, &self.lifetimes) {
            Ok(held) => {
                let mut promises: Replies<Held> = Replies::default();
                promises[usize::from(rank)] = Some(held);
                self.enter(key, Phase::Preparing(ballot, promises), turn);
            }
            Err(obstacle) => self.follow_obstacle(key, obstacle, turn),
        }
    }

    /// Phase 2; this replica accepts first.
    fn accept(&mut self, key: OpKey, ballot: Ballot, boxed: VerifiedBox, turn: &mut Turn<'_>) {
        let Some(operation) = self.operations.get(&key) else { return };
        let rank = operation.rank;
        let ignore_promise = self.ignore_promise();
        if let Err(obstacle) =
            acceptor::accept(turn.table, ballot, &boxed, turn.now, &self.lifetimes, ignore_promise)
        {
            return self.follow_obstacle(key, obstacle, turn);
        }
        let mut accepted: Replies<()> = Replies::default();
        accepted[usize::from(rank)] = Some(());
        self.enter(key, Phase::Accepting(ballot, boxed, accepted), turn);
        if self.stored_after_one()
            && let Some(operation) = self.operations.get_mut(&key)
        {
            let verdict = operation.judge(Some(None), QUORUM - 1);
            self.follow(key, verdict, turn);
        }
    }

    fn back_off(&mut self, key: OpKey, turn: &mut Turn<'_>) {
        let Some(operation) = self.operations.get_mut(&key) else { return };
        let mean = BACKOFF_MEAN * (1 << operation.outbid.min(BACKOFF_DOUBLINGS));
        operation.outbid = operation.outbid.saturating_add(1);
        operation.phase = Phase::BackingOff;
        let wait = BACKOFF_MIN + random::exponential(turn.rng, mean);
        self.reschedule(key, turn.now + wait);
    }

    fn wait(&mut self, key: OpKey) {
        if let Some(operation) = self.operations.get_mut(&key) {
            operation.phase = Phase::Waiting;
        }
        self.reschedule(key, Timestamp::MAX);
    }

    /// Enters a phase that asks the others something, under a fresh attempt.
    fn enter(&mut self, key: OpKey, phase: Phase, turn: &mut Turn<'_>) {
        if let Some(operation) = self.operations.get_mut(&key) {
            operation.phase = phase;
            operation.refused = Default::default();
            operation.attempt = Attempt(turn.rng.next_u64());
        }
        self.send_request(key, turn);
    }

    /// Sends the phase's request to all that have not answered it.
    fn send_request(&mut self, key: OpKey, turn: &mut Turn<'_>) {
        for rank in (0u8..).take(REPLICAS) {
            self.repeat(key, rank, turn);
        }
        self.reschedule(key, turn.now + RETRANSMIT_AFTER);
    }

    /// Sends the phase's request to one that has not answered it.
    fn repeat(&self, key: OpKey, rank: u8, turn: &mut Turn<'_>) {
        let Some(operation) = self.operations.get(&key) else { return };
        let (replicas, id) = (&operation.replicas, operation.id);
        if let Some(body) = operation.request()
            && operation.waits_for(rank)
            && let Some(member) = replicas.members().get(usize::from(rank))
        {
            let message = self.message(replicas.placement(), id, operation.attempt, body);
            turn.effects.push(RegisterEffect::Send { to: member.store, message });
        }
    }

    /// Tells the others that what they have accepted is decided. Not repeated when lost: a replica
    /// that accepted asks by itself, one that did not is refilled by repair.
    fn announce(&self, key: OpKey, ballot: Ballot, turn: &mut Turn<'_>) {
        let Some(operation) = self.operations.get(&key) else { return };
        for (rank, member) in (0u8..).zip(operation.replicas.members()) {
            if rank != operation.rank {
                let (placement, id) = (operation.replicas.placement(), operation.id);
                let message = self.message(placement, id, operation.attempt, Body::Decided(ballot));
                turn.effects.push(RegisterEffect::Send { to: member.store, message });
            }
        }
    }

    /// Ends one operation without a decision; the next one that waits for the box proceeds.
    fn end(&mut self, key: OpKey, answer: Answer, turn: &mut Turn<'_>) {
        let Some(operation) = self.remove(key) else { return };
        if let Some(op) = operation.client() {
            turn.answer(op, answer);
        }
        let id = operation.id;
        if let Ok(state) = acceptor::look(turn.table, &id, turn.now)
            && state.held.is_some()
        {
            self.watch(id, operation.replicas, turn);
        }
        if !operation.is_proposing() {
            return;
        }
        let waiting = self
            .keys_of(&id)
            .find(|key| self.operations.get(key).is_some_and(|next| next.phase == Phase::Waiting));
        if let Some(next) = waiting {
            self.propose(next, turn);
        }
    }

    fn operation(
        &self,
        id: BoxId,
        goal: Goal,
        replicas: ReplicaSet,
        rank: u8,
        candidate: Option<VerifiedBox>,
        now: Timestamp,
    ) -> Operation {
        let deadline = now + OP_TIMEOUT;
        Operation {
            id,
            goal,
            replicas,
            rank,
            counts_copies: self.counts_copies(),
            phase: Phase::Waiting,
            attempt: Attempt(0),
            candidate,
            seen: None,
            expired: [false; REPLICAS],
            refused: [false; REPLICAS],
            outbid: 0,
            deadline,
            due: deadline,
        }
    }

    fn is_proposing(&self, id: &BoxId) -> bool {
        let mut operations = self.keys_of(id).filter_map(|key| self.operations.get(&key));
        operations.any(Operation::is_proposing)
    }

    fn insert(&mut self, operation: Operation) -> OpKey {
        let key = OpKey(operation.id, self.next_serial);
        self.next_serial = self.next_serial.wrapping_add(1);
        self.schedule.add(operation.due, Wake::Operation(key));
        self.operations.insert(key, operation);
        key
    }

    fn remove(&mut self, key: OpKey) -> Option<Operation> {
        let operation = self.operations.remove(&key)?;
        self.schedule.remove(operation.due, Wake::Operation(key));
        Some(operation)
    }

    fn reschedule(&mut self, key: OpKey, at: Timestamp) {
        if let Some(operation) = self.operations.get_mut(&key) {
            self.schedule.remove(operation.due, Wake::Operation(key));
            operation.due = at.min(operation.deadline);
            self.schedule.add(operation.due, Wake::Operation(key));
        }
    }

    fn forget_unsettled(&mut self, id: &BoxId) {
        if let Some(unsettled) = self.unsettled.remove(id) {
            self.schedule.remove(unsettled.due, Wake::Settle(*id));
        }
    }
}

/// All ranks but one's own are asked; with three replicas one of them makes a majority.
const _: () = assert!(QUORUM == REPLICAS / 2 + 1);

fn answer_chosen(operation: &Operation, boxed: &VerifiedBox, turn: &mut Turn<'_>) {
    if let Some((op, answer)) = operation.answer_chosen(boxed) {
        turn.answer(op, answer);
    }
}
