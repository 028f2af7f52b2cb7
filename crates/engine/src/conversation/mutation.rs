//! What can be broken on purpose, to see the model checker notice (`proofs/`). In the program that
//! ships nothing is: without the feature every question here is a constant.

use super::Conversation;

/// A protection left out.
#[cfg_attr(not(feature = "mutations"), allow(unreachable_pub))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// Records are confirmed by a look at the commit lane that was posted before the acknowledgement.
    LookBeforeAck,
    /// The others' lanes are not drained before an epoch is left.
    NoDrain,
    /// What is not confirmed when an epoch ends is not sent again.
    NoResend,
    /// The commit's entry is written without waiting for its run.
    EntryBeforeRun,
    /// A reader that finds a hole in a run decides for itself, and leaves the hole to be filled.
    LeaveHoles,
    /// Records are taken in whatever their number.
    TakeRepeated,
}

impl<G> Conversation<G> {
    /// Whether this protection is left out.
    #[cfg(feature = "mutations")]
    pub(super) fn lacks(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether a model drives this conversation.
    #[cfg(feature = "mutations")]
    pub(super) fn is_modelled(&self) -> bool {
        self.modelled
    }

    /// It never does.
    #[cfg(not(feature = "mutations"))]
    #[allow(clippy::unused_self)]
    pub(super) const fn is_modelled(&self) -> bool {
        false
    }

    /// Nothing is left out.
    #[cfg(not(feature = "mutations"))]
    #[allow(clippy::unused_self)]
    pub(super) const fn lacks(&self, _: Mutation) -> bool {
        false
    }
}
