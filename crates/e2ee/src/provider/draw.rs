//! The randomness of one operation, from the seed that its caller's generator gave
//! (docs/adr/0003-mls-randomness.md).

use core::convert::Infallible;
use core::sync::atomic::{AtomicU64, Ordering};

use openmls_traits::random::OpenMlsRand;
use thiserror::Error;
use x_wing::kem::common::rand_core::{TryCryptoRng, TryRng};
use xchat_base::{Rng, Secret, kdf};
use zeroize::{Zeroize, Zeroizing};

/// An operation drew that must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this operation was given no randomness")]
pub(crate) struct NoRandomness;

/// `block i = KDF(seed, "mls draw", i)`. Wiped when the operation ends.
pub(crate) struct Draw {
    seed: Option<Secret<32>>,
    // OpenMLS's traits draw through `&self`, and its crypto trait is shared between threads.
    next: AtomicU64,
}

impl Draw {
    pub(crate) fn seeded(rng: &mut Rng) -> Self {
        Self { seed: Some(Secret::random(rng)), next: AtomicU64::new(0) }
    }

    pub(crate) fn none() -> Self {
        Self { seed: None, next: AtomicU64::new(0) }
    }

    /// Randomness for one encapsulation, bound to all that is sealed with it.
    ///
    /// OpenMLS seals to the nodes of a path in parallel, in no fixed order: drawing in turn would
    /// make the result depend on the scheduler. Equal inputs under one seed are one ciphertext
    /// repeated, which tells nothing.
    pub(crate) fn for_encapsulation(&self, inputs: [&[u8]; 4]) -> Result<Stream, NoRandomness> {
        let seed = self.seed.as_ref().ok_or(NoRandomness)?;
        let mut hash = blake3::Hasher::new();
        for input in inputs {
            hash.update(&(input.len() as u64).to_be_bytes());
            hash.update(input);
        }
        let context = hash.finalize();
        let seed = kdf::derive(seed.expose(), "mls encapsulation", context.as_bytes());
        Ok(Stream { seed, next: 0 })
    }

    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        let seed = self.seed.as_ref().ok_or(NoRandomness)?;
        for chunk in out.chunks_mut(32) {
            block(seed, self.next.fetch_add(1, Ordering::Relaxed), chunk);
        }
        Ok(())
    }
}

/// Writes the block's beginning to a chunk of at most 32 bytes.
fn block(seed: &Secret<32>, index: u64, chunk: &mut [u8]) {
    let block = kdf::derive(seed.expose(), "mls draw", &index.to_be_bytes());
    chunk.copy_from_slice(&block.expose()[..chunk.len()]);
}

impl OpenMlsRand for Draw {
    type Error = NoRandomness;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        let mut out = [0u8; N];
        self.fill(&mut out).inspect_err(|_| out.zeroize())?;
        Ok(out)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, NoRandomness> {
        let mut out = Zeroizing::new(vec![0u8; len]);
        self.fill(&mut out)?;
        Ok(std::mem::take(&mut out))
    }
}

/// A generator for one encapsulation, in the form that x-wing takes.
pub(crate) struct Stream {
    seed: Secret<32>,
    next: u64,
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut out = [0u8; 4];
        self.try_fill_bytes(&mut out)?;
        Ok(u32::from_le_bytes(out))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut out = [0u8; 8];
        self.try_fill_bytes(&mut out)?;
        Ok(u64::from_le_bytes(out))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(32) {
            block(&self.seed, self.next, chunk);
            self.next += 1;
        }
        Ok(())
    }
}

impl TryCryptoRng for Stream {}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn no_two_draws_are_alike_and_no_seed_means_no_draw() {
        let draw = Draw::seeded(&mut ChaCha20Rng::seed_from_u64(1));
        let first = draw.random_vec(70).expect("seeded");
        let second = draw.random_vec(70).expect("seeded");
        let third: [u8; 32] = draw.random_array().expect("seeded");
        assert_ne!(first, second);
        assert_ne!(first[..32], first[32..64]);
        assert_ne!(first[..32], third);
        assert_eq!(Draw::none().random_vec(1), Err(NoRandomness));
        assert_eq!(Draw::none().random_array::<4>(), Err(NoRandomness));
        assert!(Draw::none().for_encapsulation([b""; 4]).is_err());
    }

    #[test]
    fn encapsulations_differ_by_each_of_their_inputs() {
        let draw = Draw::seeded(&mut ChaCha20Rng::seed_from_u64(1));
        let first = |inputs: [&[u8]; 4]| {
            let mut stream = draw.for_encapsulation(inputs).expect("seeded");
            let mut out = [0u8; 64];
            stream.try_fill_bytes(&mut out).expect("infallible");
            out
        };
        let base = first([b"a", b"b", b"c", b"d"]);
        assert_eq!(base, first([b"a", b"b", b"c", b"d"]));
        assert_ne!(base[..32], base[32..]);
        assert_ne!(base, first([b"ab", b"", b"c", b"d"]));
        assert_ne!(base, first([b"a", b"b", b"c", b"e"]));
        let other = Draw::seeded(&mut ChaCha20Rng::seed_from_u64(2));
        let mut stream = other.for_encapsulation([b"a", b"b", b"c", b"d"]).expect("seeded");
        let mut out = [0u8; 64];
        stream.try_fill_bytes(&mut out).expect("infallible");
        assert_ne!(base, out);
    }
}
