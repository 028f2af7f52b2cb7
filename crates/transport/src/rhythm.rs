//! When somebody writes, and which of the two: sittings of two people with long pauses between them, by day more than
//! by night.
//!
//! Decoys live by it. Messages of people are not a Poisson process: within a sitting the gaps are lognormal, shorter when
//! one goes on than when the other answers, and sittings are few and unevenly spread over people and hours (Malmgren, Stouffer, Motter, Amaral: "A
//! Poissonian explanation for heavy tails in e-mail communication", PNAS 2008; Wu, Zhou, Xiao, Kurths,
//! Schellnhuber: "Evidence for a bimodal distribution in human communication", PNAS 2010). The numbers here are of that
//! shape; they were not fitted to anybody's messages.

use core::f64::consts::TAU;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use xchat_base::{Rng, Timestamp, random};

const DAY: f64 = 24.0 * 3600.0;

/// Sittings a day of two people: lognormal over pairs, half of them below the median. Unequal, since people talk most with few of
/// those they know (Saramäki and others: "Persistence of social signatures in human communication", PNAS 2014), and
/// who is talked with often is met again while a lane is still in use. Few: their lines must not be more than a slow
/// pace can carry beside its owner's.
const SITTINGS_A_DAY: (f64, f64) = (0.05, 1.8);

/// No pair has fewer.
const FEWEST_SITTINGS_A_DAY: f64 = 0.001;

/// No pair has more.
const MOST_SITTINGS_A_DAY: f64 = 12.0;

/// Single lines that begin no sitting, to each sitting.
const NOTES: f64 = 1.5;

/// Lines of a sitting, of both: lognormal, and at most so many.
const LINES: (f64, f64) = (30.0, 0.8);
const MOST_LINES: f64 = 250.0;

/// Of the lines of a sitting, those that come from the other side than the one before.
const TURNS: f64 = 0.6;

/// Seconds until the same one goes on, and until the other one answers: lognormal, within bounds.
const GO_ON: (f64, f64) = (7.0, 0.8);
const ANSWER: (f64, f64) = (18.0, 1.1);
const GAPS: (f64, f64) = (1.0, 600.0);

/// Of a day's sittings, how much more than the average falls on its busiest hour.
const BY_DAY: f64 = 0.9;

/// The next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    /// Whose it is: 0 or 1.
    pub(crate) side: usize,
}

/// The rhythm of two people.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rhythm {
    /// As many lines in all, without sittings, hours or memory.
    poisson: bool,
    sittings_a_day: f64,
    /// When the day of whoever it is supposed to be is busiest, in seconds after midnight.
    noon: f64,
    /// Lines left of the sitting that is going on.
    left: u32,
    side: usize,
}

impl Rhythm {
    /// Of people whose day is busiest at this time.
    pub(crate) fn new(noon: Duration, rng: &mut Rng) -> Self {
        let (median, spread) = SITTINGS_A_DAY;
        let sittings_a_day = lognormal(rng, median, spread).min(MOST_SITTINGS_A_DAY);
        Self { poisson: false, sittings_a_day, noon: noon.as_secs_f64(), left: 0, side: 0 }
    }

    /// With no more than so many sittings a day; hardly any, if that is none.
    pub(crate) fn at_most(self, sittings_a_day: f64) -> Self {
        Self {
            sittings_a_day: self.sittings_a_day.min(sittings_a_day).max(FEWEST_SITTINGS_A_DAY),
            ..self
        }
    }

    pub(crate) const fn sittings_a_day(&self) -> f64 {
        self.sittings_a_day
    }

    /// What a rhythm must not be.
    pub(crate) fn poisson(rng: &mut Rng) -> Self {
        Self { poisson: true, ..Self::new(Duration::ZERO, rng) }
    }

    /// Whether it can be, once it was read from bytes.
    pub(crate) fn is_sound(&self) -> bool {
        let rates = FEWEST_SITTINGS_A_DAY..=MOST_SITTINGS_A_DAY;
        self.side < 2 && rates.contains(&self.sittings_a_day) && (0.0..=DAY).contains(&self.noon)
    }

    /// Whether this line, the next one, may be of a sitting that is going on.
    pub(crate) fn is_within_a_sitting(&self, line: &Line, now: Timestamp) -> bool {
        let (_, longest) = GAPS;
        !self.poisson && line.at > now && line.at <= now + Duration::from_secs_f64(longest)
    }

    /// The next line, whatever was going on. Between sittings that is as good as the one drawn before: they have no memory.
    pub(crate) fn begin_anew(&mut self, now: Timestamp, rng: &mut Rng) -> Line {
        self.left = 0;
        self.next(now, rng)
    }

    /// The line after one at `now`.
    pub(crate) fn next(&mut self, now: Timestamp, rng: &mut Rng) -> Line {
        if self.poisson {
            self.side = random::index(rng, 2);
            let (median, spread) = LINES;
            let a_sitting = median * (spread * spread / 2.0).exp() + NOTES;
            let mean = Duration::from_secs_f64(DAY / (self.sittings_a_day * a_sitting));
            return Line { at: now + random::exponential(rng, mean), side: self.side };
        }
        if self.left > 0 {
            self.left -= 1;
            let turn = random::unit(rng) < TURNS;
            self.side ^= usize::from(turn);
            let (median, spread) = if turn { ANSWER } else { GO_ON };
            let gap = lognormal(rng, median, spread).clamp(GAPS.0, GAPS.1);
            return Line { at: now + Duration::from_secs_f64(gap), side: self.side };
        }
        self.side = random::index(rng, 2);
        let is_note = random::unit(rng) * (1.0 + NOTES) < NOTES;
        self.left = if is_note { 0 } else { lines(rng) - 1 };
        Line { at: self.begin(now, rng), side: self.side }
    }

    /// When the next sitting or note is: a Poisson process whose rate goes with the hour, by thinning (Lewis and
    /// Shedler, 1979).
    fn begin(&self, now: Timestamp, rng: &mut Rng) -> Timestamp {
        let busiest = self.sittings_a_day * (1.0 + NOTES) * (1.0 + BY_DAY);
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

/// Lines of a sitting, two at least.
fn lines(rng: &mut Rng) -> u32 {
    let (median, spread) = LINES;
    lognormal(rng, median, spread).clamp(2.0, MOST_LINES) as u32
}

/// By the method of Box and Muller (1958).
fn lognormal(rng: &mut Rng, median: f64, spread: f64) -> f64 {
    let radius = (-2.0 * (1.0 - random::unit(rng)).ln()).sqrt();
    let normal = radius * (TAU * random::unit(rng)).cos();
    median * (spread * normal).exp()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn seeded(seed: u64) -> (ChaCha20Rng, Rhythm) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let rhythm = Rhythm::new(Duration::ZERO, &mut rng);
        (rng, rhythm)
    }

    fn lines_of(rng: &mut ChaCha20Rng, rhythm: &mut Rhythm, count: usize) -> Vec<Line> {
        let mut now = BEGIN;
        let mut next = || {
            let line = rhythm.next(now, rng);
            now = line.at;
            line
        };
        (0..count).map(|_| next()).collect()
    }

    /// A Poisson process has a coefficient of variation of one.
    #[test]
    fn it_comes_in_bursts() {
        for seed in 0..10 {
            let (mut rng, mut rhythm) = seeded(seed);
            let lines = lines_of(&mut rng, &mut rhythm, 2_000);
            let gaps: Vec<f64> =
                lines.windows(2).map(|two| two[1].at.since(two[0].at).as_secs_f64()).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let square =
                gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            assert!(square.sqrt() / mean > 1.5, "seed {seed}: {}", square.sqrt() / mean);
        }
    }

    #[test]
    fn both_write_and_in_turns() {
        let (mut rng, mut rhythm) = seeded(3);
        let lines = lines_of(&mut rng, &mut rhythm, 5_000);
        let of_first = lines.iter().filter(|line| line.side == 0).count();
        assert!((2_000..3_000).contains(&of_first), "{of_first} of 5000");
        let close = lines.windows(2).filter(|two| two[1].at.since(two[0].at).as_secs() < 600);
        let (mut turns, mut all) = (0.0, 0.0);
        for two in close {
            all += 1.0;
            turns += f64::from(u8::from(two[0].side != two[1].side));
        }
        assert!((0.55..0.65).contains(&(turns / all)), "{turns} of {all}");
    }

    #[test]
    fn most_is_written_by_day() {
        let (mut rng, mut rhythm) = seeded(1);
        rhythm.noon = 12.0 * 3600.0;
        let lines = lines_of(&mut rng, &mut rhythm, 20_000);
        let by_day = lines.iter().filter(|line| {
            let hour = line.at.as_millis() / 3_600_000 % 24;
            (6..18).contains(&hour)
        });
        let by_day = by_day.count();
        assert!((14_000..18_000).contains(&by_day), "{by_day} of 20000");
    }

    #[test]
    fn few_pairs_talk_much_and_most_little() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut rates: Vec<_> =
            (0..1_001).map(|_| Rhythm::new(Duration::ZERO, &mut rng).sittings_a_day).collect();
        rates.sort_by(f64::total_cmp);
        assert!((0.04..0.06).contains(&rates[500]), "{}", rates[500]);
        assert!(rates[950] > 12.0 * rates[500]);
        assert!(rates[1_000] <= MOST_SITTINGS_A_DAY);
        // Of all sittings most are of few pairs.
        let all: f64 = rates.iter().sum();
        let few: f64 = rates[900..].iter().sum();
        assert!((0.5..0.9).contains(&(few / all)), "{}", few / all);
    }
}
