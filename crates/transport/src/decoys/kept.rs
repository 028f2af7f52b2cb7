//! What outlives the program: decoys go on when it starts again, as conversations do.
//!
//! Boxes that were followed before a start and are followed after it would otherwise be somebody's, and boxes that are
//! followed for the first time nobody's.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xchat_base::{CodecError, Wire};
use zeroize::Zeroizing;

use super::talk::Talk;
use crate::habits::Habits;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is kept of all decoys of a client.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) talks: BTreeMap<u32, Talk>,
    /// Those with a past that have not gone on yet since the program started.
    pub(super) waiting: BTreeMap<u32, Talk>,
    /// The number of the next one.
    pub(super) next: u32,
    /// When the day is busiest of whoever they are supposed to be.
    pub(super) noon: Duration,
    /// How the owner talks.
    pub(super) habits: Habits,
}

impl Wire for Kept {
    const FORMAT: &'static str = "kept decoys";
    const VERSION: u8 = 4;
    /// A read set holds 32 decoys, of some 600 bytes each; of the owner's conversations 64 are known, by some 160 bytes each.
    const MAX_LEN: usize = 256 * 1024;
}

impl Kept {
    /// None of them goes on for the time being.
    pub(super) fn put_off(&mut self) {
        self.waiting.append(&mut self.talks);
    }

    /// Reads what [`KeptDecoys::of`] wrote.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut kept = Self::from_wire(bytes)?;
        kept.put_off();
        let sound =
            kept.noon < DAY && kept.waiting.values().all(Talk::is_sound) && kept.habits.is_sound();
        sound.then_some(kept).ok_or(CodecError::Malformed { format: Self::FORMAT })
    }
}

/// The decoys of a client in the form for its encrypted database. Whoever has it can tell which boxes are theirs.
#[derive(Clone)]
pub struct KeptDecoys(Zeroizing<Vec<u8>>);

impl KeptDecoys {
    pub(super) fn of(kept: &Kept) -> Self {
        Self(Zeroizing::new(kept.to_wire()))
    }

    /// Whether [`crate::Transport::resume_decoys`] takes these bytes.
    pub fn are_readable(bytes: &[u8]) -> bool {
        Kept::read(bytes).is_ok()
    }

    /// The bytes, for [`crate::Transport::resume_decoys`].
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// The same, lent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
