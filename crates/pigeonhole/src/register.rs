//! The write-once register: one box over its three replicas, linearizable.
//!
//! Single-decree Paxos per box (Lamport, "Paxos Made Simple", 2001). The replica that a client
//! contacted coordinates; the first-ranked one owns ballot 0 and needs one round for a box that
//! nobody has touched. `Stored`, `Exists` and `Found` are answered only for a value that two
//! replicas accepted at one ballot, `Empty` only after two replicas reported no accepted value
//! after the operation began; a value accepted and not yet chosen is completed first.
//!
//! **How to drive it.** One [`Replica`] a store. Call [`Replica::handle`] with one [`RegisterInput`]
//! after another; every call may `put` records into the [`BoxTable`]. Before any effect of a batch
//! of calls leaves, the table must be synced to disk: a promise or an acceptance that is answered
//! and then forgotten lets two writers both win. Effects may then leave in any order, be lost, or
//! arrive twice.

mod acceptor;
mod ballot;
mod comparison;
mod coordinator;
mod membership;
mod message;
mod operation;
mod placements;
mod record;
mod replica;
mod schedule;
#[cfg(any(test, feature = "mutations"))]
mod spent;
mod standing;
mod succession;
mod table;
mod table_message;

pub use ballot::Ballot;
pub use comparison::{COMPARE_EVERY, Comparison, Tables};
pub use membership::{Incarnation, Member, REPLICAS, ReplicaSet, ReplicaSetError};
pub use message::{Glance, MessageError, ReplicaMessage};
pub use placements::{FIRST_PLACEMENT, Listed, Placements};
pub use record::{BOX_LIFETIME, BoxRecord, Lifetimes, RecordError, Sweep, TOMBSTONE_LIFETIME};
pub use replica::{
    ClientOp, MAX_OPERATIONS, MAX_OPERATIONS_PER_BOX, MAX_UNSETTLED, OP_TIMEOUT, OpId,
    RETRANSMIT_AFTER, RegisterEffect, RegisterInput, Replica, SETTLE_AFTER,
};
pub use standing::{Standing, StandingError};
pub use succession::{MAX_PULLS, PULL_AFTER, Succession, TableEffect, TableState};
pub use table::{BoxTable, MemoryTable};
pub use table_message::{MAX_INVENTORY, MAX_PAGE, TableMessage};

#[cfg(any(test, feature = "mutations"))]
pub use replica::Mutation;

#[cfg(test)]
mod tests;
