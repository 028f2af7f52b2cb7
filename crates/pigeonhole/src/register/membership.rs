//! Who the replicas of a box are; computed by the driver from the network document.

use thiserror::Error;
use xchat_base::identifier;

use crate::answer::StoreId;

/// Replicas of a box.
pub const REPLICAS: usize = 3;
/// Replicas that make a majority.
pub(crate) const QUORUM: usize = 2;

identifier!(
    /// One life of a store's disk: a wiped store comes back as another incarnation, so that what
    /// its former self promised is not counted as its own.
    Incarnation,
    16
);

/// A store in one life of its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The store.
    pub store: StoreId,
    /// The life of its disk that the directory lists.
    pub incarnation: Incarnation,
}

/// Why stores are not a replica set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplicaSetError {
    /// One store twice.
    #[error("a store is listed twice in a replica set")]
    Duplicate,
}

/// The replicas of one box in one placement epoch, by rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaSet {
    placement: u32,
    members: [Member; REPLICAS],
    /// Whether ballot 0 may be used: nothing can have been chosen in an earlier placement, or this
    /// store has read what a majority of that placement's replicas held.
    zero: bool,
}

impl ReplicaSet {
    /// Ranked members of a placement epoch.
    ///
    /// # Errors
    /// [`ReplicaSetError::Duplicate`].
    pub fn new(placement: u32, members: [Member; REPLICAS]) -> Result<Self, ReplicaSetError> {
        let [a, b, c] = members.map(|member| member.store);
        if a == b || b == c || a == c {
            return Err(ReplicaSetError::Duplicate);
        }
        Ok(Self { placement, members, zero: true })
    }

    /// The same set, without the first-ranked replica's ballot 0: what an earlier placement may have
    /// chosen has first to be asked for.
    #[must_use]
    pub fn without_zero(self) -> Self {
        Self { zero: false, ..self }
    }

    /// Whether the first-ranked replica may use its ballot 0.
    pub(crate) fn may_use_zero(&self) -> bool {
        self.zero
    }

    /// Whether both have the same stores, in the same lives of their disks, whatever their ranks.
    pub fn has_members_of(&self, other: &Self) -> bool {
        self.members.iter().all(|member| other.members.contains(member))
    }

    /// The placement epoch.
    pub fn placement(&self) -> u32 {
        self.placement
    }

    /// The members, first rank first.
    pub fn members(&self) -> &[Member; REPLICAS] {
        &self.members
    }

    /// A store's rank, if it is a member.
    pub fn rank_of(&self, store: &StoreId) -> Option<u8> {
        (0u8..).zip(&self.members).find(|(_, member)| member.store == *store).map(|(rank, _)| rank)
    }

    /// A store's entry, if it is a member.
    pub(crate) fn member(&self, store: &StoreId) -> Option<&Member> {
        self.members.iter().find(|member| member.store == *store)
    }
}
