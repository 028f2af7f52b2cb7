//! A store's part in the registers of its boxes: acceptor for all, coordinator for those that its
//! clients ask about.

use core::time::Duration;

use xchat_base::{Rng, Timestamp};

use crate::answer::StoreId;
use crate::boxes::{BoxId, VerifiedBox};
use crate::request::{Answer, Refusal};

use super::membership::{Member, ReplicaSet};
use super::message::ReplicaMessage;
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
    /// Find out what became of a box for which this replica holds an accepted value (repair).
    Settle {
        /// The box.
        id: BoxId,
        /// Its replicas by the current placement.
        replicas: ReplicaSet,
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
}

/// One store's replica of all its boxes. Volatile: after a restart, begin with a new one over the
/// same table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Replica {
    own: Member,
}

impl Replica {
    /// A replica with no operation under way.
    pub fn new(own: Member) -> Self {
        Self { own }
    }

    /// Takes one input; see [`super`] for when its effects may leave.
    pub fn handle(
        &mut self,
        input: RegisterInput,
        table: &mut dyn BoxTable,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<RegisterEffect> {
        let _ = (&self.own, table, now, rng);
        match input {
            RegisterInput::Client { op, .. } => {
                vec![RegisterEffect::Answer { op, answer: Answer::Refused(Refusal::Busy) }]
            }
            _ => Vec::new(),
        }
    }
}
