//! Draws that scenarios ask for.

use std::time::Duration;

use xchat_base::random::{self, Rng};

use crate::scenario::Spread;

/// From a normal distribution of mean 0 and deviation 1 (Box and Muller, 1958).
fn normal(rng: &mut Rng) -> f64 {
    let (radius, angle) = (1.0 - random::unit(rng), random::unit(rng));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// From a lognormal distribution.
pub(super) fn spread(rng: &mut Rng, spread: &Spread) -> f64 {
    spread.median * (spread.sigma * normal(rng)).exp()
}

/// From one, to be counted: at least 1.
pub(super) fn count(rng: &mut Rng, of: &Spread) -> usize {
    spread(rng, of).round().max(1.0) as usize
}

/// Of so many seconds, at most a year.
pub(super) fn seconds(seconds: f64) -> Duration {
    const YEAR: f64 = 365.0 * 86_400.0;
    Duration::from_secs_f64(seconds.clamp(0.0, YEAR))
}

/// Uniform, from `-most` to `most`.
pub(super) fn around(rng: &mut Rng, most: f64) -> f64 {
    most * (2.0 * random::unit(rng) - 1.0)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn half_of_a_spread_is_below_its_median_and_a_sixth_beyond_its_sigma() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let wide = Spread { median: 10.0, sigma: 0.8 };
        let draws: Vec<_> = (0..20_000).map(|_| spread(rng, &wide)).collect();
        let share = |limit: f64| draws.iter().filter(|draw| **draw < limit).count() as f64 / 2e4;
        assert!((share(10.0) - 0.5).abs() < 0.015, "{}", share(10.0));
        let sigma = share(10.0 * 0.8f64.exp());
        assert!((sigma - 0.841).abs() < 0.015, "{sigma}");
        let narrow = Spread { median: 7.0, sigma: 0.0 };
        assert_eq!(count(rng, &narrow), 7);
    }
}
