//! What a replica remembers of a box.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xchat_base::{CodecError, Timestamp, Wire};

use crate::answer::StoreId;
use crate::boxes::{SEALED_BOX_LEN, SealedBox, VerifiedBox};

use super::ballot::Ballot;

/// How long a box can be read: longer than the 14 days for which a person may be offline.
pub const BOX_LIFETIME: Duration = Duration::from_secs(16 * 24 * 3600);
/// How long a used box is then known to have been used: longer than any writer holds a message.
pub const TOMBSTONE_LIFETIME: Duration = Duration::from_secs(180 * 24 * 3600);

/// How long boxes and their tombstones are kept; the network document may say otherwise than
/// [`BOX_LIFETIME`] and [`TOMBSTONE_LIFETIME`], the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lifetimes {
    /// From the first acceptance until the box turns into a tombstone.
    pub boxed: Duration,
    /// From then until the box is forgotten.
    pub tombstone: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { boxed: BOX_LIFETIME, tombstone: TOMBSTONE_LIFETIME }
    }
}

/// A replica's record of one box. No record: nothing was ever promised or accepted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BoxRecord {
    /// Nothing is known to be chosen.
    Open {
        /// No proposal below this ballot is accepted any more.
        promised: Ballot,
        /// The proposal accepted last, and its ballot.
        accepted: Option<(Ballot, VerifiedBox)>,
        /// When the record may be dropped if nothing was accepted.
        expires_at: Timestamp,
    },
    /// The box's value for ever: two replicas accepted it at one ballot.
    Chosen {
        /// The value.
        boxed: VerifiedBox,
        /// When it turns into a tombstone.
        expires_at: Timestamp,
    },
    /// There was a chosen value. Never made from a value that was only accepted.
    Tombstone {
        /// When the box may be forgotten.
        forget_at: Timestamp,
    },
    /// One replica of an earlier placement says that there was a chosen value, and no other one has
    /// said so yet. Its word alone does not expire the box, and until it is refuted the box is not
    /// taken for unused.
    Doubtful {
        /// Who says so.
        by: StoreId,
        /// Who handed that on; the same, unless that one was in doubt itself.
        from: StoreId,
        /// The placement in which this replica began to doubt.
        since: u32,
        /// What was accepted, in case it is refuted.
        accepted: Option<(Ballot, VerifiedBox)>,
        /// When the box may be forgotten.
        forget_at: Timestamp,
    },
}

/// What to do with a record when a table is swept; see [`BoxRecord::sweep`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sweep {
    /// It stays.
    Keep,
    /// It is replaced by this one.
    Replace(BoxRecord),
    /// It is dropped.
    Remove,
    /// It has expired with an accepted value of which nobody knows whether it was chosen. It stays;
    /// the driver hands it to [`super::RegisterInput::Settle`].
    Settle,
}

/// Stored bytes that are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a stored box record")]
pub struct RecordError(#[from] CodecError);

impl BoxRecord {
    /// When it has to be looked at again by a sweep: the key of a driver's expiry index.
    pub fn due(&self) -> Timestamp {
        match self {
            Self::Open { expires_at, .. } | Self::Chosen { expires_at, .. } => *expires_at,
            Self::Tombstone { forget_at } | Self::Doubtful { forget_at, .. } => *forget_at,
        }
    }

    /// What a sweep does with it, with the default lifetimes.
    pub fn sweep(&self, now: Timestamp) -> Sweep {
        self.sweep_with(now, &Lifetimes::default())
    }

    /// What a sweep does with it.
    pub fn sweep_with(&self, now: Timestamp, lifetimes: &Lifetimes) -> Sweep {
        if now < self.due() {
            return Sweep::Keep;
        }
        match self {
            Self::Open { accepted: Some(_), .. } => Sweep::Settle,
            Self::Open { accepted: None, .. } | Self::Tombstone { .. } | Self::Doubtful { .. } => {
                Sweep::Remove
            }
            Self::Chosen { expires_at, .. } => {
                Sweep::Replace(Self::Tombstone { forget_at: *expires_at + lifetimes.tombstone })
            }
        }
    }

    /// For a table on disk: versioned bytes.
    pub fn to_stored(&self) -> Vec<u8> {
        match self.clone() {
            Self::Open { promised, accepted, expires_at } => Stored::Open {
                promised,
                accepted: accepted.map(|(ballot, boxed)| (ballot, boxed.into_sealed())),
                expires_at,
            },
            Self::Chosen { boxed, expires_at } => {
                Stored::Chosen { boxed: boxed.into_sealed(), expires_at }
            }
            Self::Tombstone { forget_at } => Stored::Tombstone { forget_at },
            Self::Doubtful { by, from, since, accepted, forget_at } => Stored::Doubtful {
                by,
                from,
                since,
                accepted: accepted.map(|(ballot, boxed)| (ballot, boxed.into_sealed())),
                forget_at,
            },
        }
        .to_wire()
    }

    /// Reads what [`Self::to_stored`] wrote. Boxes are not verified again: only this store's own
    /// disk may be read like this.
    ///
    /// # Errors
    /// [`RecordError`]: another version, or damaged.
    pub fn from_stored(bytes: &[u8]) -> Result<Self, RecordError> {
        Ok(match Stored::from_wire(bytes)? {
            Stored::Open { promised, accepted, expires_at } => Self::Open {
                promised,
                accepted: accepted
                    .map(|(ballot, sealed)| (ballot, VerifiedBox::assume_verified(sealed))),
                expires_at,
            },
            Stored::Chosen { boxed, expires_at } => {
                Self::Chosen { boxed: VerifiedBox::assume_verified(boxed), expires_at }
            }
            Stored::Tombstone { forget_at } => Self::Tombstone { forget_at },
            Stored::Doubtful { by, from, since, accepted, forget_at } => Self::Doubtful {
                by,
                from,
                since,
                accepted: accepted
                    .map(|(ballot, sealed)| (ballot, VerifiedBox::assume_verified(sealed))),
                forget_at,
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
enum Stored {
    Open {
        promised: Ballot,
        accepted: Option<(Ballot, SealedBox)>,
        expires_at: Timestamp,
    },
    Chosen {
        boxed: SealedBox,
        expires_at: Timestamp,
    },
    Tombstone {
        forget_at: Timestamp,
    },
    Doubtful {
        by: StoreId,
        from: StoreId,
        since: u32,
        accepted: Option<(Ballot, SealedBox)>,
        forget_at: Timestamp,
    },
}

impl Wire for Stored {
    const FORMAT: &'static str = "box record";
    const VERSION: u8 = 1;
    /// A box, two stores, two ballots of at most 11 bytes, numbers of at most 10, version and tags.
    const MAX_LEN: usize = SEALED_BOX_LEN + 64 + 48;
}
