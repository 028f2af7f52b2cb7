//! A store's part in the registers of its boxes: acceptor for all, coordinator for those that its
//! clients ask about.

use core::time::Duration;
use std::collections::BTreeMap;

use xchat_base::{Rng, Timestamp};

use crate::answer::StoreId;
use crate::boxes::{BoxId, VerifiedBox};
use crate::request::{Answer, Refusal};

use super::acceptor::{self, Obstacle};
use super::ballot::Ballot;
use super::coordinator::Turn;
use super::membership::{Member, ReplicaSet};
use super::message::{Attempt, Body, ReplicaMessage};
use super::operation::Operation;
use super::record::Lifetimes;
use super::schedule::Schedule;
use super::table::BoxTable;

/// Operations a replica coordinates at a time, over all boxes; each holds at most three boxes
/// (4.6 KB), so together less than 20 MB. More are refused as busy.
pub const MAX_OPERATIONS: usize = 4096;
/// Operations on one box at a time: a group of readers, not a crowd.
pub const MAX_OPERATIONS_PER_BOX: usize = 32;
/// Boxes that wait to be settled; each is some 200 bytes. What does not fit is left to repair.
pub const MAX_UNSETTLED: usize = 4096;
/// A request that was not answered is sent again.
pub const RETRANSMIT_AFTER: Duration = Duration::from_millis(500);
/// After this an operation is given up with [`Refusal::NoMajority`].
pub const OP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an accepted value may stay undecided before the replica completes it by itself.
pub const SETTLE_AFTER: Duration = Duration::from_secs(15);

/// The driver's name for a client's operation; comes back in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// What a client wants of a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientOp {
    /// Store this value. Ends in `Stored`, `Exists`, `Expired` or `Refused`.
    Write(VerifiedBox),
    /// What is in it? Ends in `Found`, `Empty`, `Expired` or `Refused`.
    Read(BoxId),
}

/// All that can happen to a replica.
#[derive(Debug, Clone)]
pub enum RegisterInput {
    /// A client asked; answered exactly once by [`RegisterEffect::Answer`], unless the process ends.
    Client {
        /// For the answer.
        op: OpId,
        /// What is asked.
        request: ClientOp,
        /// The box's replicas by the current placement.
        replicas: ReplicaSet,
    },
    /// Another store's message arrived.
    Peer {
        /// Who sent it, authenticated by the link.
        from: StoreId,
        /// What it says.
        message: ReplicaMessage,
        /// The replicas, by the current placement, of the box that the message is about.
        replicas: ReplicaSet,
    },
    /// Find out what became of a box for which this replica holds an accepted value, or of which it has
    /// missed the decision (repair).
    Settle {
        /// The box.
        id: BoxId,
        /// Its replicas by the current placement.
        replicas: ReplicaSet,
    },
    /// This store has taken up another placement: nothing of an earlier one may be promised, accepted
    /// or decided here any more.
    Seal {
        /// The placement taken up.
        current: u32,
    },
    /// The time of a [`RegisterEffect::WakeAt`] has come.
    Timer,
}

/// What the driver has to do, after the table is synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterEffect {
    /// Send a message to another store.
    Send {
        /// To whom.
        to: StoreId,
        /// What.
        message: ReplicaMessage,
    },
    /// An operation has ended.
    Answer {
        /// Which.
        op: OpId,
        /// `Stored`, `Exists`, `Found`, `Empty`, `Expired` or `Refused`.
        answer: Answer,
    },
    /// This replica has learned a box's value: standing reads for it can be served. Once a box.
    Chosen(VerifiedBox),
    /// Call with [`RegisterInput::Timer`] then, or soon after. The latest replaces the earlier ones.
    WakeAt(Timestamp),
}

/// What can be broken on purpose, to see the model checker notice.
#[cfg(any(test, feature = "mutations"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// The acceptor accepts below its promise.
    IgnorePromise,
    /// A read answers `Empty` when this replica alone holds nothing.
    EmptyFromOne,
    /// A write answers `Stored` when one replica has accepted.
    StoredAfterOne,
    /// A replica serves a placement when it has read one replica of the one before, or none.
    ServeUnread,
    /// The seal is not on the disk: a store that restarts with an old document serves its placement.
    ForgetSeal,
    /// The first-ranked replica uses ballot 0 in a placement before which it has read nothing.
    ZeroUnread,
    /// Messages of a store that has lost its disk are taken as its former self's.
    IgnoreIncarnation,
    /// What was copied from the placement before counts as accepted in this one.
    CountCopies,
    /// One store's word that a box has expired is taken over as a tombstone.
    BelieveTombstone,
}

/// Names an operation: its box and a serial number, so that the operations on a box are neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OpKey(pub(crate) BoxId, pub(crate) u64);

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Wake {
    Operation(OpKey),
    Settle(BoxId),
}

/// A box with a value that this replica has accepted and nobody has told it to be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Unsettled {
    pub(crate) due: Timestamp,
    pub(crate) replicas: ReplicaSet,
}

/// One store's replica of all its boxes. Volatile: after a restart, begin with a new one over the
/// same table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Replica {
    pub(crate) own: Member,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) operations: BTreeMap<OpKey, Operation>,
    pub(crate) unsettled: BTreeMap<BoxId, Unsettled>,
    pub(crate) schedule: Schedule<Wake>,
    pub(crate) next_serial: u64,
    announced: Option<Timestamp>,
    #[cfg(any(test, feature = "mutations"))]
    mutation: Option<Mutation>,
}

impl Replica {
    /// A replica with no operation under way.
    pub fn new(own: Member) -> Self {
        Self {
            own,
            lifetimes: Lifetimes::default(),
            operations: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            schedule: Schedule::new(),
            next_serial: 0,
            announced: None,
            #[cfg(any(test, feature = "mutations"))]
            mutation: None,
        }
    }

    /// A broken replica.
    #[cfg(any(test, feature = "mutations"))]
    pub fn with_mutation(own: Member, mutation: Option<Mutation>) -> Self {
        Self { mutation, ..Self::new(own) }
    }

    /// Takes over the lifetimes of the network document; for boxes accepted from now on.
    pub fn set_lifetimes(&mut self, lifetimes: Lifetimes) {
        self.lifetimes = lifetimes;
    }

    /// Operations under way: at most [`MAX_OPERATIONS`].
    pub fn operation_count(&self) -> usize {
        self.operations.len()
    }

    /// When [`RegisterInput::Timer`] is next due.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.schedule.next()
    }

    /// Takes one input; see [`super`] for when its effects may leave.
    pub fn handle(
        &mut self,
        input: RegisterInput,
        table: &mut dyn BoxTable,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<RegisterEffect> {
        let mut turn = Turn { table, now, rng, effects: Vec::new() };
        match input {
            RegisterInput::Client { op, request, replicas } => {
                self.start_client(op, request, replicas, &mut turn);
            }
            RegisterInput::Peer { from, message, replicas } => {
                self.on_message(from, message, &replicas, &mut turn);
            }
            RegisterInput::Settle { id, replicas } => self.start_settle(id, replicas, &mut turn),
            RegisterInput::Seal { current } => self.seal(current, &mut turn),
            RegisterInput::Timer => {
                self.announced = None;
                while let Some(wake) = self.schedule.pop_due(now) {
                    match wake {
                        Wake::Operation(key) => self.on_due(key, &mut turn),
                        Wake::Settle(id) => self.on_settle_due(id, &mut turn),
                    }
                }
            }
        }
        let next = self.schedule.next();
        if let Some(at) = next
            && next != self.announced
        {
            turn.effects.push(RegisterEffect::WakeAt(at));
        }
        self.announced = next;
        turn.effects
    }

    /// Ends everything that was under way among the replicas of an earlier placement. What they had
    /// accepted and not decided is found by repair, in the new one.
    fn seal(&mut self, current: u32, turn: &mut Turn<'_>) {
        for operation in core::mem::take(&mut self.operations).into_values() {
            if let Some(op) = operation.client() {
                turn.answer(op, Answer::Refused(Refusal::WrongPlacement { current }));
            }
        }
        self.unsettled.clear();
        self.schedule = Schedule::new();
    }

    /// Whether this store, in this life of its disk, may speak for the box.
    pub(crate) fn own_rank(&self, replicas: &ReplicaSet) -> Result<u8, Refusal> {
        let rank = replicas.rank_of(&self.own.store).ok_or(Refusal::NotReplica)?;
        if replicas.member(&self.own.store) != Some(&self.own) && !self.ignores_incarnation() {
            return Err(Refusal::CatchingUp);
        }
        Ok(rank)
    }

    /// The operations on a box: at most [`MAX_OPERATIONS_PER_BOX`] and one that settles.
    pub(crate) fn keys_of(&self, id: &BoxId) -> impl Iterator<Item = OpKey> + use<'_> {
        let range = OpKey(*id, 0)..=OpKey(*id, u64::MAX);
        self.operations.range(range).map(|(key, _)| *key)
    }

    pub(crate) fn message(
        &self,
        placement: u32,
        id: BoxId,
        attempt: Attempt,
        body: Body,
    ) -> ReplicaMessage {
        ReplicaMessage { placement, incarnation: self.own.incarnation, id, attempt, body }
    }

    /// Messages of another placement, of a former life of the sender's disk, or about ballots that
    /// are not the sender's, are dropped without a reply: nothing in them may be counted.
    fn on_message(
        &mut self,
        from: StoreId,
        message: ReplicaMessage,
        replicas: &ReplicaSet,
        turn: &mut Turn<'_>,
    ) {
        let Some(sender) = replicas.member(&from) else { return };
        let Some(rank) = replicas.rank_of(&from) else { return };
        let current = message.placement == replicas.placement()
            && (message.incarnation == sender.incarnation || self.ignores_incarnation())
            && from != self.own.store;
        if !current || self.own_rank(replicas).is_err() {
            return;
        }
        let (id, attempt) = (message.id, message.attempt);
        let reply = match message.body {
            Body::Query => match acceptor::look(turn.table, &id, turn.now) {
                Ok(state) => Some(Body::State(state.held)),
                Err(obstacle) => reply_obstacle(obstacle),
            },
            Body::Prepare(ballot) => {
                if !ballot.may_be_prepared_by(replicas, rank) {
                    return;
                }
                match acceptor::prepare(turn.table, &id, ballot, turn.now, &self.lifetimes) {
                    Ok(held) => Some(Body::Promise(held)),
                    Err(obstacle) => reply_obstacle(obstacle),
                }
            }
            Body::Accept(ballot, boxed) => {
                if !ballot.may_be_used_by(replicas, rank) {
                    return;
                }
                let ignore_promise = self.ignore_promise();
                match acceptor::accept(
                    turn.table,
                    ballot,
                    &boxed,
                    turn.now,
                    &self.lifetimes,
                    ignore_promise,
                ) {
                    Ok(()) => {
                        self.watch(id, *replicas, turn);
                        Some(Body::Accepted)
                    }
                    Err(obstacle) => reply_obstacle(obstacle),
                }
            }
            Body::Decided(ballot) => return self.on_decided(&id, ballot, turn),
            Body::State(_)
            | Body::Promise(_)
            | Body::Accepted
            | Body::Preempted(_)
            | Body::Chosen(..)
            | Body::Expired => return self.on_reply(rank, message, turn),
        };
        let Some(reply) = reply else { return };
        let message = self.message(replicas.placement(), id, attempt, reply);
        turn.effects.push(RegisterEffect::Send { to: from, message });
    }

    /// What was accepted at the ballot of the decision, or later, is the value decided: every
    /// proposal after a decision carries its value.
    fn on_decided(&mut self, id: &BoxId, ballot: Ballot, turn: &mut Turn<'_>) {
        if let Ok(state) = acceptor::look(turn.table, id, turn.now)
            && let Some((at, boxed)) = state.held
            && at >= ballot
        {
            self.learn(&boxed, None, turn);
        }
    }
}

#[cfg(any(test, feature = "mutations"))]
impl Replica {
    pub(crate) fn ignore_promise(&self) -> bool {
        self.mutation == Some(Mutation::IgnorePromise)
    }

    pub(crate) fn empty_from_one(&self) -> bool {
        self.mutation == Some(Mutation::EmptyFromOne)
    }

    pub(crate) fn stored_after_one(&self) -> bool {
        self.mutation == Some(Mutation::StoredAfterOne)
    }

    pub(crate) fn ignores_incarnation(&self) -> bool {
        self.mutation == Some(Mutation::IgnoreIncarnation)
    }

    pub(crate) fn counts_copies(&self) -> bool {
        self.mutation == Some(Mutation::CountCopies)
    }

    pub(crate) fn may_use_zero(&self, replicas: &ReplicaSet) -> bool {
        replicas.may_use_zero() || self.mutation == Some(Mutation::ZeroUnread)
    }
}

#[cfg(not(any(test, feature = "mutations")))]
impl Replica {
    pub(crate) const fn ignore_promise(&self) -> bool {
        false
    }

    pub(crate) const fn empty_from_one(&self) -> bool {
        false
    }

    pub(crate) const fn stored_after_one(&self) -> bool {
        false
    }

    pub(crate) const fn ignores_incarnation(&self) -> bool {
        false
    }

    pub(crate) const fn counts_copies(&self) -> bool {
        false
    }

    pub(crate) fn may_use_zero(&self, replicas: &ReplicaSet) -> bool {
        replicas.may_use_zero()
    }
}

/// `None`: a replica in doubt is silent.
fn reply_obstacle(obstacle: Obstacle) -> Option<Body> {
    Some(match obstacle {
        Obstacle::Preempted(ballot) => Body::Preempted(ballot),
        Obstacle::Chosen(boxed, until) => Body::Chosen(boxed, until),
        Obstacle::Expired => Body::Expired,
        Obstacle::Doubtful => return None,
    })
}
