//! Ballots: the numbers by which proposals for one box are ordered.

use serde::{Deserialize, Serialize};

use super::membership::{REPLICAS, ReplicaSet};

/// The number of a proposal, unique to one proposer.
///
/// The placement epoch comes first, so that replicas of a later placement always outbid those of an
/// earlier one and two sets never use one ballot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// The placement epoch of the proposer.
    pub placement: u32,
    /// The round: 0 only for the first-ranked replica's proposal without a prepare phase.
    pub round: u32,
    /// The proposer's rank in that placement: its ballots are its own.
    pub rank: u8,
}

/// No honest box comes near; beyond it lies no round that another could outbid.
pub(crate) const MAX_ROUND: u32 = 1 << 31;

/// So many rounds above its promise a replica goes at once, whatever it is asked. Honest proposers
/// outbid one another by one; one that lies needs 2^21 messages to use up the ballots of one box.
pub(crate) const MAX_STEP: u32 = 1024;

impl Ballot {
    /// The first-ranked replica's ballot for a box that nobody has touched.
    pub const fn zero(placement: u32) -> Self {
        Self { placement, round: 0, rank: 0 }
    }

    /// This ballot or, if its round is further above the promise than [`MAX_STEP`], its proposer's
    /// ballot that is just so far above it.
    pub(crate) fn within_reach(self, promised: Option<Self>) -> Self {
        let from = promised.filter(|promised| promised.placement == self.placement);
        let reach = from.map_or(0, |promised| promised.round).saturating_add(MAX_STEP);
        Self { round: self.round.min(reach), ..self }
    }

    /// Whether any replica can have promised or accepted it in this placement or an earlier one.
    pub(crate) fn is_possible(&self, placement: u32) -> bool {
        self.placement <= placement
            && self.round <= MAX_ROUND
            && usize::from(self.rank) < REPLICAS
            && (self.round > 0 || self.rank == 0)
    }

    /// This proposer's lowest prepared ballot above `seen`; `None` if the rounds are used up.
    pub(crate) fn above(seen: Option<Self>, placement: u32, rank: u8) -> Option<Self> {
        let round = match seen {
            Some(seen) if seen.placement == placement => seen.round.checked_add(1)?,
            Some(seen) if seen.placement > placement => return None,
            Some(_) | None => 1,
        };
        (round <= MAX_ROUND).then_some(Self { placement, round, rank })
    }

    /// Whether the proposer of this rank may ask for a promise of this ballot.
    pub(crate) fn may_be_prepared_by(&self, replicas: &ReplicaSet, rank: u8) -> bool {
        self.round > 0 && self.may_be_used_by(replicas, rank)
    }

    /// Whether this ballot belongs to the proposer of this rank.
    pub(crate) fn may_be_used_by(&self, replicas: &ReplicaSet, rank: u8) -> bool {
        self.placement == replicas.placement()
            && self.rank == rank
            && self.round <= MAX_ROUND
            && (self.round > 0 || rank == 0)
    }
}
