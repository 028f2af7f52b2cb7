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
#[cfg_attr(feature = "mutations", derive(Clone))]
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(4)
    }

    #[test]
    fn the_longest_run_fits_and_one_byte_more_does_not() {
        let value = vec![7; MAX_RUN_LEN];
        let (pointer, boxes) = RunPointer::seal(&mut rng(), &value).expect("just fits");
        assert_eq!((boxes.len(), pointer.box_count()), (MAX_RUN_BOXES, MAX_RUN_BOXES));
        let error = RunPointer::seal(&mut rng(), &vec![7; MAX_RUN_LEN + 1]).expect_err("too long");
        assert_eq!(error, RunError::TooLong { got: MAX_RUN_LEN + 1 });
    }

    #[test]
    fn a_pointer_that_promises_too_much_is_refused_before_anything_is_allocated() {
        let (pointer, _) = RunPointer::seal(&mut rng(), b"x").expect("fits");
        let mut bytes = pointer.to_bytes();
        bytes[32..36].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(RunPointer::from_bytes(&bytes), Err(RunError::TooLong { .. })));
        assert!(matches!(RunPointer::from_bytes(&bytes[1..]), Err(RunError::PointerLength { .. })));
    }

    #[test]
    fn foreign_boxes_change_nothing_and_a_wrong_hash_is_found() {
        let (pointer, boxes) = RunPointer::seal(&mut rng(), &[1; 2000]).expect("fits");
        let (_, others) =
            RunPointer::seal(&mut ChaCha20Rng::seed_from_u64(5), &[1; 10]).expect("fits");
        let mut bytes = pointer.to_bytes();
        bytes[67] ^= 1;
        let pointer = RunPointer::from_bytes(&bytes).expect("the form is right");
        let mut reader = RunReader::new(pointer);
        assert_eq!(reader.add(&others[0]), Err(RunError::ForeignBox));
        assert_eq!(reader.missing().len(), 2);
        reader.add(&boxes[1]).expect("its own");
        reader.add(&boxes[1]).expect("again");
        assert_eq!(reader.value(), Ok(None));
        reader.add(&boxes[0]).expect("its own");
        assert_eq!(reader.value(), Err(RunError::Hash));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_value_comes_back_from_boxes_in_any_order(
            value in prop::collection::vec(any::<u8>(), 0..6000),
            rotate in 0usize..5,
        ) {
            let (pointer, mut boxes) = RunPointer::seal(&mut rng(), &value).expect("fits");
            let pointer = RunPointer::from_bytes(&pointer.to_bytes()).expect("own encoding");
            prop_assert_eq!(pointer.ids(), boxes.iter().map(SealedBox::id).collect::<Vec<_>>());
            let rotate = rotate.min(boxes.len());
            boxes.rotate_left(rotate);
            let mut reader = RunReader::new(pointer);
            for sealed in &boxes {
                reader.add(sealed).expect("its own");
            }
            prop_assert!(reader.missing().is_empty());
            prop_assert_eq!(reader.value(), Ok(Some(value)));
        }
    }
}
