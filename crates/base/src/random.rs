//! Randomness as an input.

use core::time::Duration;

pub use rand_core::{CryptoRng, CryptoRngCore, RngCore};

/// The generator a driver hands to a core: the operating system's in production, a seeded ChaCha in
/// tests and in the simulator.
pub type Rng = dyn CryptoRngCore;

/// `N` fresh random bytes.
pub fn bytes<const N: usize>(rng: &mut Rng) -> [u8; N] {
    let mut out = [0u8; N];
    rng.fill_bytes(&mut out);
    out
}

/// A uniform draw from `[0, 1)` with 53 bits of precision.
pub fn unit(rng: &mut Rng) -> f64 {
    // 2^-53: the spacing of doubles just below one, so every value is equally likely.
    const SCALE: f64 = 1.0 / 9_007_199_254_740_992.0;
    (rng.next_u64() >> 11) as f64 * SCALE
}

/// A uniform index below `len`; 0 if `len` is 0. Unbiased by rejection.
pub fn index(rng: &mut Rng, len: usize) -> usize {
    let len = len as u64;
    if len < 2 {
        return 0;
    }
    let zone = u64::MAX - u64::MAX % len;
    loop {
        let draw = rng.next_u64();
        if draw < zone {
            return (draw % len) as usize;
        }
    }
}

/// A draw from the exponential distribution with the given mean: the gap between the events of a
/// Poisson process, and the delay of a mix (Danezis, "The traffic analysis of continuous-time
/// mixes", PET 2004). Capped at 40 means, which is passed once in 10^17 draws.
pub fn exponential(rng: &mut Rng, mean: Duration) -> Duration {
    let draw = -(1.0 - unit(rng)).ln();
    Duration::from_secs_f64(mean.as_secs_f64() * draw.min(40.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tiny deterministic generator for tests of this module only (SplitMix64).
    struct Split(u64);

    impl RngCore for Split {
        fn next_u32(&mut self) -> u32 {
            (self.next_u64() >> 32) as u32
        }
        fn next_u64(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }
        fn fill_bytes(&mut self, dest: &mut [u8]) {
            rand_core::impls::fill_bytes_via_next(self, dest);
        }
        fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
            self.fill_bytes(dest);
            Ok(())
        }
    }

    impl CryptoRng for Split {}

    #[test]
    fn exponential_has_the_mean_it_was_asked_for() {
        let mut rng = Split(7);
        let mean = Duration::from_millis(50);
        let draws = 20_000;
        let total: Duration = (0..draws).map(|_| exponential(&mut rng, mean)).sum();
        let measured = total.as_secs_f64() / f64::from(draws);
        assert!((measured - 0.05).abs() < 0.0015, "mean was {measured}");
    }

    #[test]
    fn index_covers_its_range_and_never_leaves_it() {
        let mut rng = Split(1);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[index(&mut rng, 5)] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(index(&mut rng, 0), 0);
    }
}
