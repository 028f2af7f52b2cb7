//! Where a replica keeps its records.

use core::ops::Bound;
use std::collections::BTreeMap;

use xchat_base::Timestamp;

use crate::boxes::BoxId;

use super::record::{BoxRecord, Sweep};
use super::standing::Standing;

/// A replica's durable records.
///
/// A `get` sees every earlier `put`, synced or not. The driver syncs all `put`s of a batch before
/// any effect of that batch leaves.
pub trait BoxTable {
    /// The record, if there is one.
    fn get(&self, id: &BoxId) -> Option<BoxRecord>;
    /// Writes or overwrites the record.
    fn put(&mut self, id: BoxId, record: BoxRecord);
    /// The next records behind this id in the order of ids, at most so many.
    fn after(&self, after: Option<&BoxId>, limit: usize) -> Vec<(BoxId, BoxRecord)>;
    /// What the table says about itself; a new one says nothing.
    fn standing(&self) -> Standing;
    /// Writes that.
    fn put_standing(&mut self, standing: Standing);
}

/// A table in memory, for tests and simulations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MemoryTable {
    records: BTreeMap<BoxId, BoxRecord>,
    standing: Standing,
}

impl MemoryTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All records, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&BoxId, &BoxRecord)> {
        self.records.iter()
    }

    /// Turns what has expired into tombstones and drops what has been forgotten; returns the boxes
    /// to be settled (see [`Sweep::Settle`]).
    pub fn sweep(&mut self, now: Timestamp) -> Vec<BoxId> {
        let mut unsettled = Vec::new();
        self.records.retain(|id, record| {
            match record.sweep(now) {
                Sweep::Keep => {}
                Sweep::Replace(tombstone) => *record = tombstone,
                Sweep::Settle => unsettled.push(*id),
                Sweep::Remove => return false,
            }
            true
        });
        unsettled
    }
}

impl BoxTable for MemoryTable {
    fn get(&self, id: &BoxId) -> Option<BoxRecord> {
        self.records.get(id).cloned()
    }

    fn put(&mut self, id: BoxId, record: BoxRecord) {
        self.records.insert(id, record);
    }

    fn after(&self, after: Option<&BoxId>, limit: usize) -> Vec<(BoxId, BoxRecord)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.records.range((from, Bound::Unbounded)).take(limit);
        behind.map(|(id, record)| (*id, record.clone())).collect()
    }

    fn standing(&self) -> Standing {
        self.standing.clone()
    }

    fn put_standing(&mut self, standing: Standing) {
        self.standing = standing;
    }
}
