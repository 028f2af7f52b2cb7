//! What can go wrong in a group, by blame.

use thiserror::Error;

/// Why a group could not be made, loaded or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The other's key package or Welcome is malformed, forged, or not of our one suite.
    #[error("the other side's key package or welcome is not valid")]
    PeerMalformed,
    /// A Welcome for another key package than the one at hand.
    #[error("this welcome is for another invitation")]
    ForeignWelcome,
    /// A commit of ours is waiting already.
    #[error("a commit of ours is pending already")]
    CommitPending,
    /// The stored state is incomplete or of another version.
    #[error("the stored group state cannot be read")]
    Stored,
    /// Our own bug, or the library's.
    #[error("internal error in the group state")]
    Internal,
}

/// Why a message was not decrypted. What a peer is told must not tell these apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Malformed or forged, a replay, or too far ahead or behind.
    #[error("the message cannot be decrypted")]
    Undecryptable,
    /// Of another epoch than the group's.
    #[error("the message is of epoch {got}, the group is in epoch {current}")]
    WrongEpoch {
        /// The message's.
        got: u64,
        /// The group's.
        current: u64,
    },
    /// Encrypted by this member itself.
    #[error("the message is our own")]
    Own,
    /// Our own bug, or the library's.
    #[error("internal error in the group state")]
    Internal,
}

/// Why a commit was refused. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Malformed or forged.
    #[error("the commit is malformed or forged")]
    Malformed,
    /// Well-formed, and more than members may do to one another.
    #[error("the commit does what a commit here may not do")]
    NotPermitted,
    /// Of another epoch than the group's.
    #[error("the commit is of epoch {got}, the group is in epoch {current}")]
    WrongEpoch {
        /// The commit's.
        got: u64,
        /// The group's.
        current: u64,
    },
    /// Made by this member, and its secrets are gone.
    #[error("the commit is our own and no longer pending")]
    OwnNotPending,
    /// There is no pending commit to merge.
    #[error("no commit of ours is pending")]
    NonePending,
    /// Our own bug, or the library's.
    #[error("internal error in the group state")]
    Internal,
}
