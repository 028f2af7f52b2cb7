//! Handing over: what a replica of the placement before gives to one of the next.

use super::super::membership::Member;
use super::super::message::Attempt;
use super::super::record::BoxRecord;
use super::super::table_message::{Entry, MAX_PAGE, TableBody};
use super::{Succession, Turn};
use crate::boxes::BoxId;

/// Records looked at for one page: what is not the other's costs a few microseconds each.
const MAX_SCAN: usize = 256;

/// Behind every id.
const LAST: BoxId = BoxId::from_bytes([0xff; 32]);

impl Succession {
    /// The next page for a store of that placement; `None` if this table must not hand over yet, or not
    /// to that store.
    pub(super) fn page(
        &self,
        placement: u32,
        after: Option<BoxId>,
        to: &Member,
        turn: &Turn<'_>,
    ) -> Option<TableBody> {
        let (before, placements) = (placement.checked_sub(1)?, turn.placements);
        // By what it read itself, this table is as good as a majority of the placement before that
        // one; and the disk is the one that promised.
        let may = self.standing.sealed >= placement
            && placements.lists(before, &self.own)
            && self.standing.completed.contains(&before)
            && placements.lists(placement, to);
        if !may {
            return None;
        }
        let records = turn.table.after(after.as_ref(), MAX_SCAN);
        let mut end = records.len() < MAX_SCAN;
        let mut upto = None;
        let mut entries = Vec::new();
        for (id, record) in records {
            if entries.len() == MAX_PAGE {
                end = false;
                break;
            }
            upto = Some(id);
            if !self.is_due(placement, &id, to, turn) {
                continue;
            }
            entries.extend(self.entry(record).map(|entry| (id, entry)));
        }
        let upto = if end { LAST } else { upto? };
        Some(TableBody::Page { upto, end, entries })
    }

    /// Whether this store hands that box over to that one.
    fn is_due(&self, placement: u32, id: &BoxId, to: &Member, turn: &Turn<'_>) -> bool {
        let (Some(before), Some(now)) =
            (turn.placements.replicas(placement - 1, id), turn.placements.replicas(placement, id))
        else {
            return false;
        };
        before.members().contains(&self.own)
            && now.members().contains(to)
            && !now.has_members_of(&before)
    }

    fn entry(&self, record: BoxRecord) -> Option<Entry> {
        Some(match record {
            BoxRecord::Open { accepted: None, .. } => return None,
            BoxRecord::Open { accepted: Some((ballot, boxed)), expires_at, .. } => {
                Entry::Accepted(ballot, boxed, expires_at)
            }
            BoxRecord::Chosen { boxed, expires_at } => Entry::Chosen(boxed, expires_at),
            BoxRecord::Tombstone { forget_at } => Entry::Expired { by: None, forget_at },
            // What it has only been told it hands on as that. A value that it accepted before it began
            // to doubt it does not: whoever takes the doubt over stays silent.
            BoxRecord::Doubtful { by, forget_at, .. } => Entry::Expired { by: Some(by), forget_at },
        })
    }
}

/// A fresh attempt.
pub(super) fn attempt(turn: &mut Turn<'_>) -> Attempt {
    Attempt(turn.rng.next_u64())
}
