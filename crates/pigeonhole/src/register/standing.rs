//! What a table says about itself: which placement it has taken up, and how far it is with copying.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xchat_base::{CodecError, Wire};

use crate::answer::StoreId;
use crate::boxes::BoxId;

/// Kept with the table, and durable before anything that follows from it leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    /// The highest placement taken up: no promise, acceptance or answer is given in an earlier one.
    pub(crate) sealed: u32,
    /// Placements for which this table has read a majority of the one before, for all of its boxes.
    pub(crate) completed: BTreeSet<u32>,
    /// Copying under way: for each placement, by source.
    pub(crate) transfers: BTreeMap<u32, BTreeMap<StoreId, Progress>>,
    /// Boxes that copying has brought.
    pub(crate) refilled: u64,
}

/// How far the copying from one source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Progress {
    /// Everything up to this box, in the order of ids, has been copied.
    UpTo(BoxId),
    /// Everything has.
    Done,
}

/// Stored bytes that are not a standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not the stored standing of a table")]
pub struct StandingError(#[from] CodecError);

impl Wire for Standing {
    const FORMAT: &'static str = "table standing";
    const VERSION: u8 = 1;
    /// 16 transfers from 256 sources each, 66 bytes a source.
    const MAX_LEN: usize = 320 * 1024;
}

impl Standing {
    /// For a table on disk: versioned bytes.
    pub fn to_stored(&self) -> Vec<u8> {
        self.to_wire()
    }

    /// Reads what [`Self::to_stored`] wrote.
    ///
    /// # Errors
    /// [`StandingError`]: another version, or damaged.
    pub fn from_stored(bytes: &[u8]) -> Result<Self, StandingError> {
        Ok(Self::from_wire(bytes)?)
    }

    /// The highest placement taken up; 0 for a new table.
    pub fn sealed(&self) -> u32 {
        self.sealed
    }
}
