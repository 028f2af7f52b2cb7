//! Runs: a value larger than a box, as boxes from a fresh secret.

use core::fmt;

use thiserror::Error;
use xchat_base::{Rng, Secret};
use zeroize::Zeroizing;

use crate::boxes::{BoxId, MAX_CONTENT_LEN, SealedBox};
use crate::lane::{BoxKeys, Lane};

/// The most boxes a run has: 703 KiB, enough for the commit that adds 100 members at once (268 KiB
/// measured with suite 0x004F) and small enough to hold in memory.
pub const MAX_RUN_BOXES: usize = 512;
/// The largest value a run holds, in bytes.
pub const MAX_RUN_LEN: usize = MAX_RUN_BOXES * MAX_CONTENT_LEN;
/// Length of an encoded [`RunPointer`].
pub const RUN_POINTER_LEN: usize = 32 + 4 + 32;

/// What can be wrong with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// More than a run holds.
    #[error("a run holds {MAX_RUN_LEN} bytes, not {got}")]
    TooLong {
        /// The value's length.
        got: usize,
    },
    /// Not the encoding of a pointer.
    #[error("a run pointer has {RUN_POINTER_LEN} bytes, not {got}")]
    PointerLength {
        /// What came.
        got: usize,
    },
    /// A box that is no part of this run, or does not open.
    #[error("the box does not belong to this run")]
    ForeignBox,
    /// All boxes opened, and together they are not what the pointer promised.
    #[error("the run's contents do not match its hash")]
    Hash,
}

/// All that is needed to find, open and check a run.
#[derive(Clone, PartialEq, Eq)]
pub struct RunPointer {
    secret: Secret<32>,
    len: u32,
    hash: [u8; 32],
}

impl RunPointer {
    /// Cuts a value into boxes of a fresh lane. The boxes may be written in any order; the pointer
    /// is to be published when all are stored.
    ///
    /// # Errors
    /// [`RunError::TooLong`]: more than [`MAX_RUN_LEN`] bytes.
    pub fn seal(rng: &mut Rng, value: &[u8]) -> Result<(Self, Vec<SealedBox>), RunError> {
        let too_long = RunError::TooLong { got: value.len() };
        if value.len() > MAX_RUN_LEN {
            return Err(too_long);
        }
        let len = u32::try_from(value.len()).map_err(|_| too_long)?;
        let pointer =
            Self { secret: Secret::random(rng), len, hash: *blake3::hash(value).as_bytes() };
        let boxes = pointer
            .keys()
            .iter()
            .zip(value.chunks(MAX_CONTENT_LEN))
            .map(|(keys, chunk)| keys.seal(rng, chunk).map_err(|_| too_long))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((pointer, boxes))
    }

    /// The value's length in bytes.
    pub fn value_len(&self) -> usize {
        self.len as usize
    }

    /// How many boxes the run has, at most [`MAX_RUN_BOXES`].
    pub fn box_count(&self) -> usize {
        self.value_len().div_ceil(MAX_CONTENT_LEN)
    }

    /// The boxes' ids, in order.
    pub fn ids(&self) -> Vec<BoxId> {
        self.keys().iter().map(BoxKeys::id).collect()
    }

    /// `secret (32) ‖ length (4, big-endian) ‖ BLAKE3 of the value (32)`. Secret: whoever has it
    /// reads the run.
    pub fn to_bytes(&self) -> [u8; RUN_POINTER_LEN] {
        let mut out = [0u8; RUN_POINTER_LEN];
        out[..32].copy_from_slice(self.secret.expose());
        out[32..36].copy_from_slice(&self.len.to_be_bytes());
        out[36..].copy_from_slice(&self.hash);
        out
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`RunError::PointerLength`], or [`RunError::TooLong`] if it promises more than a run holds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RunError> {
        let bytes: &[u8; RUN_POINTER_LEN] =
            bytes.try_into().map_err(|_| RunError::PointerLength { got: bytes.len() })?;
        let bytes = Zeroizing::new(*bytes);
        let malformed = RunError::PointerLength { got: bytes.len() };
        let (secret, rest) = bytes.split_first_chunk::<32>().ok_or(malformed)?;
        let (len, rest) = rest.split_first_chunk::<4>().ok_or(malformed)?;
        let hash = rest.first_chunk::<32>().ok_or(malformed)?;
        let len = u32::from_be_bytes(*len);
        if len as usize > MAX_RUN_LEN {
            return Err(RunError::TooLong { got: len as usize });
        }
        Ok(Self { secret: Secret::new(*secret), len, hash: *hash })
    }

    fn keys(&self) -> Vec<BoxKeys> {
        let mut lane = Lane::new(self.secret.clone());
        let mut keys = Vec::with_capacity(self.box_count());
        for _ in 0..self.box_count() {
            keys.push(lane.keys());
            lane.advance();
        }
        keys
    }
}

impl fmt::Debug for RunPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunPointer({} bytes)", self.len)
    }
}

/// Collects a run's boxes in any order. Bounded by the pointer's length.
pub struct RunReader {
    pointer: RunPointer,
    keys: Vec<BoxKeys>,
    chunks: Vec<Option<Vec<u8>>>,
}

impl RunReader {
    /// Nothing collected yet.
    pub fn new(pointer: RunPointer) -> Self {
        let keys = pointer.keys();
        let chunks = keys.iter().map(|_| None).collect();
        Self { pointer, keys, chunks }
    }

    /// Boxes not collected yet, in order.
    pub fn missing(&self) -> Vec<BoxId> {
        let open = self.keys.iter().zip(&self.chunks).filter(|(_, chunk)| chunk.is_none());
        open.map(|(keys, _)| keys.id()).collect()
    }

    /// Takes one box; taking it again changes nothing.
    ///
    /// # Errors
    /// [`RunError::ForeignBox`]; nothing is changed.
    pub fn add(&mut self, sealed: &SealedBox) -> Result<(), RunError> {
        let id = sealed.id();
        let at = self.keys.iter().position(|keys| keys.id() == id).ok_or(RunError::ForeignBox)?;
        let chunk = self.keys[at].open(sealed).map_err(|_| RunError::ForeignBox)?;
        self.chunks[at] = Some(chunk);
        Ok(())
    }

    /// A box with nothing in it for a missing part of this run. Whoever finds a part empty that its
    /// writer promised writes this one there: the register then decides once and for all readers
    /// whether the run is whole. `None` for a box that is not of this run.
    pub fn void(&self, rng: &mut Rng, id: &BoxId) -> Option<SealedBox> {
        let keys = self.keys.iter().find(|keys| keys.id() == *id)?;
        keys.seal(rng, b"").ok()
    }

    /// The value, once no box is missing; `None` before.
    ///
    /// # Errors
    /// [`RunError::Hash`]: whoever wrote the run did not write what the pointer says.
    pub fn value(&self) -> Result<Option<Vec<u8>>, RunError> {
        let mut value = Vec::with_capacity(self.pointer.value_len());
        for chunk in &self.chunks {
            let Some(chunk) = chunk else { return Ok(None) };
            value.extend_from_slice(chunk);
        }
        if value.len() != self.pointer.value_len()
            || blake3::hash(&value) != blake3::Hash::from_bytes(self.pointer.hash)
        {
            return Err(RunError::Hash);
        }
        Ok(Some(value))
    }
}

impl fmt::Debug for RunReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunReader({:?})", self.pointer)
    }
}
