//! What a client learns of a box in the end: the register's answers without refusals, which the
//! transport retries by itself.

use crate::boxes::SealedBox;

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The box holds exactly the bytes that were written, now or by an earlier attempt.
    Stored,
    /// Another value was first; it is the box's value for ever.
    Exists(SealedBox),
    /// The box was used and its lifetime is over; what was written is not in it.
    Expired,
}

/// How a read ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOutcome {
    /// The box's value.
    Found(SealedBox),
    /// Nothing had been stored when the read began.
    Empty,
    /// The box was used and its lifetime is over.
    Expired,
}
