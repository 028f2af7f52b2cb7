//! What becomes of a record when another replica's is copied onto it.

use xchat_base::Timestamp;

use super::super::ballot::{Ballot, MAX_ROUND};
use super::super::membership::REPLICAS;
use super::super::message::Held;
use super::super::record::BoxRecord;
use super::super::table::BoxTable;
use super::super::table_message::Entry;
use super::Succession;
use crate::answer::StoreId;
use crate::boxes::{BoxId, VerifiedBox};

/// Where a record comes from.
pub(super) struct Source {
    /// The placement copied for.
    pub(super) placement: u32,
    pub(super) from: StoreId,
    /// Whether two others have been read that know of no expiry.
    pub(super) refuted: bool,
}

/// What it changed.
pub(super) enum Copied {
    Nothing,
    Written,
    /// The value of the box is known now.
    Learned(VerifiedBox),
}

impl Succession {
    /// Values accepted keep the order of their ballots, and stand below every ballot of the placement
    /// copied for: whoever copies has not accepted there. No copy makes a box live longer than at the
    /// source that keeps it longest.
    pub(super) fn merge(
        &self,
        id: BoxId,
        entry: Entry,
        source: &Source,
        table: &mut dyn BoxTable,
        now: Timestamp,
    ) -> Copied {
        let longest = now + self.lifetimes.boxed;
        let own = table.get(&id);
        match entry {
            Entry::Chosen(boxed, until) => {
                let expires_at = until.min(longest);
                let kept = match own {
                    Some(BoxRecord::Tombstone { .. }) => return Copied::Nothing,
                    Some(BoxRecord::Chosen { expires_at: kept, .. }) if kept >= expires_at => {
                        return Copied::Nothing;
                    }
                    Some(BoxRecord::Chosen { boxed, .. }) => {
                        table.put(id, BoxRecord::Chosen { boxed, expires_at });
                        return Copied::Nothing;
                    }
                    Some(BoxRecord::Open { accepted: Some(_), expires_at, .. }) => Some(expires_at),
                    Some(BoxRecord::Open { .. } | BoxRecord::Doubtful { .. }) | None => None,
                };
                let expires_at = expires_at.max(kept.unwrap_or(expires_at));
                table.put(id, BoxRecord::Chosen { boxed: boxed.clone(), expires_at });
                Copied::Learned(boxed)
            }
            Entry::Accepted(ballot, boxed, until) => {
                let ballot = below(source.placement, ballot);
                let copied = (ballot, boxed, until.min(longest));
                accepted(id, copied, own, source.placement, table)
            }
            Entry::Expired { by, forget_at } => {
                let forget_at = forget_at.min(longest + self.lifetimes.tombstone);
                let by = by.unwrap_or(source.from);
                self.expired(id, by, forget_at, own, source, table)
            }
        }
    }

    fn expired(
        &self,
        id: BoxId,
        by: StoreId,
        forget_at: Timestamp,
        own: Option<BoxRecord>,
        source: &Source,
        table: &mut dyn BoxTable,
    ) -> Copied {
        let (from, since) = (source.from, source.placement);
        let accepted: Held = match own {
            Some(BoxRecord::Chosen { .. } | BoxRecord::Tombstone { .. }) => return Copied::Nothing,
            // Two say so who have not heard it from each other.
            Some(BoxRecord::Doubtful { by: first, from: via, forget_at: at, .. }) => {
                if [first, via].iter().any(|known| *known == by || *known == from) {
                    return Copied::Nothing;
                }
                table.put(id, BoxRecord::Tombstone { forget_at: forget_at.max(at) });
                return Copied::Written;
            }
            _ if self.believes_tombstones() => {
                table.put(id, BoxRecord::Tombstone { forget_at });
                return Copied::Written;
            }
            _ if source.refuted => return Copied::Nothing,
            // In use in this placement: two had been read before.
            Some(BoxRecord::Open { promised, .. }) if promised.placement >= since => {
                return Copied::Nothing;
            }
            Some(BoxRecord::Open { accepted, .. }) => accepted,
            None => None,
        };
        table.put(id, BoxRecord::Doubtful { by, from, since, accepted, forget_at });
        Copied::Written
    }
}

/// A ballot of the placement copied for, or above, becomes the last one of the placement before:
/// its value agrees with whatever had been chosen there.
fn below(placement: u32, ballot: Ballot) -> Ballot {
    if ballot.placement < placement {
        return ballot;
    }
    let rank = const { (REPLICAS - 1) as u8 };
    Ballot { placement: placement - 1, round: MAX_ROUND, rank }
}

/// A copied acceptance: the one at the highest ballot stays.
fn accepted(
    id: BoxId,
    (ballot, boxed, until): (Ballot, VerifiedBox, Timestamp),
    own: Option<BoxRecord>,
    placement: u32,
    table: &mut dyn BoxTable,
) -> Copied {
    let record = match own {
        Some(BoxRecord::Chosen { .. } | BoxRecord::Tombstone { .. }) => return Copied::Nothing,
        None => {
            BoxRecord::Open { promised: ballot, accepted: Some((ballot, boxed)), expires_at: until }
        }
        // In use in this placement: two had been read before.
        Some(BoxRecord::Open { promised, .. }) if promised.placement >= placement => {
            return Copied::Nothing;
        }
        Some(BoxRecord::Open { promised, accepted, expires_at }) => {
            if accepted.as_ref().is_some_and(|(held, _)| *held >= ballot) {
                return Copied::Nothing;
            }
            let expires_at = if accepted.is_some() { expires_at.max(until) } else { until };
            let accepted = Some((ballot, boxed));
            BoxRecord::Open { promised: promised.max(ballot), accepted, expires_at }
        }
        Some(BoxRecord::Doubtful { by, from, since, accepted, forget_at }) => {
            if accepted.as_ref().is_some_and(|(held, _)| *held >= ballot) {
                return Copied::Nothing;
            }
            let accepted = Some((ballot, boxed));
            BoxRecord::Doubtful { by, from, since, accepted, forget_at }
        }
    };
    table.put(id, record);
    Copied::Written
}
