//! When somebody writes: bursts of lines with long pauses between them, by day more than by night.
//!
//! Decoy lanes live by it. Messages of people are not a Poisson process: the gaps within a talk are lognormal, and
//! talks are few and unevenly spread over people and hours (Malmgren, Stouffer, Motter, Amaral: "A Poissonian
//! explanation for heavy tails in e-mail communication", PNAS 2008; Wu, Zhou, Xiao, Kurths, Schellnhuber: "Evidence
//! for a bimodal distribution in human communication", PNAS 2010). The numbers here are of that shape; they were not fitted to
//! anybody's messages.

use core::f64::consts::TAU;
use core::time::Duration;

use xchat_base::{Rng, Timestamp, random};

const DAY: f64 = 24.0 * 3600.0;

/// Talks a day of a lane: lognormal over lanes, half of them below the median.
const TALKS_A_DAY: (f64, f64) = (0.4, 1.2);

/// No lane has more.
const MOST_TALKS_A_DAY: f64 = 20.0;

/// Lines of one side in a talk, on average, at least one: geometric.
const LINES_A_TALK: f64 = 5.0;

/// Seconds between two lines of a talk: lognormal.
const GAP: (f64, f64) = (25.0, 1.2);

/// Of a day's talks, how much more than the average falls on its busiest hour.
const BY_DAY: f64 = 0.9;

/// The rhythm of one lane.
#[derive(Debug, Clone)]
pub(crate) struct Rhythm {
    /// As many lines in all, without talks, hours or memory.
    poisson: bool,
    talks_a_day: f64,
    /// When the day of whoever it is supposed to be is busiest, in seconds after midnight.
    noon: f64,
    /// Lines left of the talk that is going on.
    left: u32,
}

impl Rhythm {
    /// Of somebody whose day is busiest at this time.
    pub(crate) fn new(noon: Duration, rng: &mut Rng) -> Self {
        let (median, spread) = TALKS_A_DAY;
        let talks_a_day = lognormal(rng, median, spread).min(MOST_TALKS_A_DAY);
        Self { poisson: false, talks_a_day, noon: noon.as_secs_f64(), left: 0 }
    }

    /// What a rhythm must not be.
    pub(crate) fn poisson(rng: &mut Rng) -> Self {
        Self { poisson: true, ..Self::new(Duration::ZERO, rng) }
    }

    /// When the next line is written, after one at `now`.
    pub(crate) fn next(&mut self, now: Timestamp, rng: &mut Rng) -> Timestamp {
        if self.poisson {
            let mean = Duration::from_secs_f64(DAY / (self.talks_a_day * LINES_A_TALK));
            return now + random::exponential(rng, mean);
        }
        if self.left > 0 {
            self.left -= 1;
            let (median, spread) = GAP;
            return now + Duration::from_secs_f64(lognormal(rng, median, spread).min(DAY));
        }
        self.left = geometric(rng, LINES_A_TALK);
        self.next_talk(now, rng)
    }

    /// A Poisson process whose rate goes with the hour, by thinning (Lewis and Shedler, 1979).
    fn next_talk(&self, now: Timestamp, rng: &mut Rng) -> Timestamp {
        let busiest = self.talks_a_day * (1.0 + BY_DAY);
        let mut at = now;
        loop {
            at = at + random::exponential(rng, Duration::from_secs_f64(DAY / busiest));
            let hour = (at.as_millis() as f64 / 1_000.0 - self.noon) / DAY;
            let rate = 1.0 + BY_DAY * (TAU * hour).cos();
            if random::unit(rng) * (1.0 + BY_DAY) < rate {
                return at;
            }
        }
    }
}

/// By the method of Box and Muller (1958).
fn lognormal(rng: &mut Rng, median: f64, spread: f64) -> f64 {
    let radius = (-2.0 * (1.0 - random::unit(rng)).ln()).sqrt();
    let normal = radius * (TAU * random::unit(rng)).cos();
    median * (spread * normal).exp()
}

/// How many more after the first, of a geometric number with this mean.
fn geometric(rng: &mut Rng, mean: f64) -> u32 {
    let stop = 1.0 / mean;
    let draws = (1.0 - random::unit(rng)).ln() / (1.0 - stop).ln();
    draws as u32
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn gaps(seed: u64, count: usize) -> Vec<f64> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut rhythm = Rhythm::new(Duration::ZERO, &mut rng);
        let mut now = Timestamp::from_secs(1_800_000_000);
        (0..count)
            .map(|_| {
                let next = rhythm.next(now, &mut rng);
                let gap = next.since(now).as_secs_f64();
                now = next;
                gap
            })
            .collect()
    }

    /// A Poisson process has a coefficient of variation of one.
    #[test]
    fn it_comes_in_bursts() {
        for seed in 0..10 {
            let gaps = gaps(seed, 2_000);
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let square =
                gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            assert!(square.sqrt() / mean > 1.5, "seed {seed}: {}", square.sqrt() / mean);
        }
    }

    #[test]
    fn most_is_written_by_day() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let noon = Duration::from_secs(12 * 3600);
        let mut rhythm =
            Rhythm { poisson: false, talks_a_day: 4.0, noon: noon.as_secs_f64(), left: 0 };
        let (mut now, mut by_day) = (Timestamp::from_secs(1_800_000_000), 0);
        for _ in 0..5_000 {
            now = rhythm.next(now, &mut rng);
            let hour = now.as_millis() / 3_600_000 % 24;
            by_day += usize::from((6..18).contains(&hour));
        }
        assert!((3_500..4_500).contains(&by_day), "{by_day} of 5000");
    }

    #[test]
    fn few_lanes_talk_much_and_most_little() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut rates: Vec<_> =
            (0..1_001).map(|_| Rhythm::new(Duration::ZERO, &mut rng).talks_a_day).collect();
        rates.sort_by(f64::total_cmp);
        assert!((0.35..0.45).contains(&rates[500]), "{}", rates[500]);
        assert!(rates[950] > 6.0 * rates[500]);
        assert!(rates[1_000] <= MOST_TALKS_A_DAY);
    }
}
