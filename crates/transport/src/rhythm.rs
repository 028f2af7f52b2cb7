//! When somebody writes, and which of the two: sittings of two people with long pauses between them, by day more than
//! by night.
//!
//! Decoys live by it. Messages of people are not a Poisson process: within a sitting the gaps are lognormal, shorter when
//! one goes on than when the other answers, and sittings are few and unevenly spread over people and hours (Malmgren, Stouffer, Motter, Amaral: "A
//! Poissonian explanation for heavy tails in e-mail communication", PNAS 2008; Wu, Zhou, Xiao, Kurths,
//! Schellnhuber: "Evidence for a bimodal distribution in human communication", PNAS 2010). Numbers of that shape
//! ship, which were not fitted to anybody's messages; once there is enough of it, those of the owner take their place
//! ([`crate::habits`]).

use core::f64::consts::TAU;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use xchat_base::{Rng, Timestamp, random};

const DAY: f64 = 24.0 * 3600.0;

/// Its fraction.
const GOLDEN_RATIO: f64 = 0.618_033_988_749_894_9;

/// Bins of [`Amount::Counted`]: the first from 1 to 2, each next one up to twice as much, the last without an end.
pub(crate) const BINS: usize = 10;

/// Something of which one is the least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Amount {
    /// Its logarithm is normal, with this median and this deviation.
    Lognormal(f64, f64),
    /// So often as much as each bin holds.
    Counted([f32; BINS]),
}

/// How people write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Manner {
    /// Single lines that begin no sitting, to each sitting.
    pub(crate) notes: f64,
    /// Lines of a sitting, of both.
    pub(crate) lines: Amount,
    /// Of the lines of a sitting, those that come from the other side than the one before.
    pub(crate) turns: f64,
    /// Seconds until the same one goes on.
    pub(crate) go_on: Amount,
    /// Seconds until the other one answers.
    pub(crate) answer: Amount,
    /// When the day is busiest, in seconds after midnight.
    pub(crate) noon: f64,
    /// Of a day's sittings, how much more than the average falls on its busiest hour.
    pub(crate) by_day: f64,
}

/// Sittings a day of two people of whom nothing is known: lognormal over pairs. Unequal, since people talk most with few of
/// those they know (Saramäki and others: "Persistence of social signatures in human communication", PNAS 2014), and
/// who is talked with often is met again while a lane is still in use.
const SITTINGS_A_DAY: (f64, f64) = (0.05, 1.8);

/// No pair has fewer sittings a day, none has more.
const BOUNDS_OF_SITTINGS: (f64, f64) = (0.001, 24.0);

/// Two people for whom there are not lines enough to live like those they are like do so for so long at a time, and say nothing for as long as
/// that takes: if they sat down less often instead, more of their boxes would be the first ones after a long pause, which stores see.
const SPELL: Duration = Duration::from_secs(6 * 3600);

/// In no smaller share of all spells; with fewer lines still they sit down less often.
const LEAST_SHARE: f64 = 0.05;

/// Lines of a sitting.
const BOUNDS_OF_LINES: (f64, f64) = (2.0, 250.0);

/// Seconds between two lines of a sitting.
const GAPS: (f64, f64) = (1.0, 600.0);

/// The longer one of them: after it a sitting is over.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(600);

impl Manner {
    /// Of people of whom nothing is known, whose day is busiest then.
    pub(crate) const fn shipped(noon: Duration) -> Self {
        Self {
            notes: 1.5,
            lines: Amount::Lognormal(30.0, 0.8),
            turns: 0.6,
            go_on: Amount::Lognormal(7.0, 0.8),
            answer: Amount::Lognormal(18.0, 1.1),
            noon: noon.as_secs_f64(),
            by_day: 0.9,
        }
    }

    /// Lines of a sitting and the notes beside it, on average.
    fn lines_a_sitting(&self) -> f64 {
        self.lines.mean(BOUNDS_OF_LINES) + self.notes
    }
}

/// How two people live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) sittings_a_day: f64,
    pub(crate) manner: Manner,
}

/// Lines a day that two people say, at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) on_average: f64,
    /// In a spell.
    pub(crate) at_once: f64,
}

impl Most {
    pub(crate) const NONE: Self = Self { on_average: f64::MAX, at_once: f64::MAX };
}

/// Nobody's day is more uneven.
pub(crate) const MOST_BY_DAY: f64 = 0.9;

/// Notes to a sitting.
pub(crate) const MOST_NOTES: f64 = 100.0;

impl Amount {
    /// The bin of so much.
    pub(crate) fn bin(amount: f64) -> usize {
        (amount.max(1.0).log2() as usize).min(BINS - 1)
    }

    fn draw(&self, rng: &mut Rng, bounds: (f64, f64)) -> f64 {
        match self {
            Self::Lognormal(median, spread) => {
                (median * (spread * normal(rng)).exp()).clamp(bounds.0, bounds.1)
            }
            Self::Counted(bins) => {
                let mut left = random::unit(rng) * total(bins);
                let is_it = |count: &f32| {
                    left -= f64::from(*count);
                    left < 0.0
                };
                let bin = bins.iter().position(is_it).unwrap_or(0);
                // Even in the logarithm.
                let (least, most) = edges(bin, bounds);
                least * (most / least).powf(random::unit(rng))
            }
        }
    }

    /// Of what [`Self::draw`] gives.
    fn mean(&self, bounds: (f64, f64)) -> f64 {
        match self {
            Self::Lognormal(median, spread) => {
                (median * (spread * spread / 2.0).exp()).clamp(bounds.0, bounds.1)
            }
            Self::Counted(bins) => {
                let of = |(bin, count): (usize, &f32)| {
                    let (least, most) = edges(bin, bounds);
                    f64::from(*count) * (most - least) / (most / least).ln()
                };
                bins.iter().enumerate().map(of).sum::<f64>() / total(bins)
            }
        }
    }
}

/// How much bins hold together.
pub(crate) fn total(bins: &[f32; BINS]) -> f64 {
    bins.iter().map(|count| f64::from(*count)).sum()
}

/// What is in a bin, within bounds: of what is beyond them, what is next to them.
fn edges(bin: usize, (least, most): (f64, f64)) -> (f64, f64) {
    let (from, until) = ((bin as f64).exp2(), (bin as f64 + 1.0).exp2());
    if from >= most {
        (most / 2.0, most)
    } else {
        (from.max(least), until.clamp(least * 1.01, most))
    }
}

/// The next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    /// Whose it is: 0 or 1.
    pub(crate) side: usize,
}

/// Lines of a Poisson rhythm in the time of a sitting and its notes.
const POISSON_LINES: f64 = 43.0;

fn usual() -> Manner {
    Manner::shipped(Duration::ZERO)
}

const fn always() -> f64 {
    1.0
}

/// The rhythm of two people.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rhythm {
    /// As many lines in all, without sittings, hours or memory.
    poisson: bool,
    /// What it was before a start they are told anew.
    #[serde(skip, default = "usual")]
    manner: Manner,
    /// How much more often than others they sit down, in deviations of the logarithm.
    rank: f64,
    /// They live as people do of whom nothing is known, until habits are trusted more than this.
    doubt: f64,
    /// In a spell in which they live as those they are like.
    sittings_a_day: f64,
    /// Of all spells those are so many.
    #[serde(skip, default = "always")]
    share: f64,
    /// The next line begins a sitting, or is a note.
    begins: bool,
    /// Lines left of the sitting that is going on.
    left: u32,
    side: usize,
}

impl Rhythm {
    /// Any two people of whom nothing is known.
    pub(crate) fn new(noon: Duration, rng: &mut Rng) -> Self {
        let (rank, doubt) = (normal(rng), random::unit(rng));
        let manner = Manner::shipped(noon);
        let mut rhythm = Self {
            poisson: false,
            manner,
            rank,
            doubt,
            sittings_a_day: 0.0,
            share: always(),
            begins: true,
            left: 0,
            side: 0,
        };
        rhythm.live_by(rhythm.usual(noon), Most::NONE);
        rhythm
    }

    /// From now on they live like this, with no more than so many lines; hardly any, if that is none.
    pub(crate) fn live_by(&mut self, life: Life, most: Most) {
        let bounds = BOUNDS_OF_SITTINGS;
        self.manner = life.manner;
        let lines = self.lines_a_sitting();
        let wanted = life.sittings_a_day.min(most.at_once / lines).clamp(bounds.0, bounds.1);
        let left = (most.on_average / lines).max(bounds.0);
        self.share = (left / wanted).clamp(LEAST_SHARE, 1.0);
        self.sittings_a_day = wanted.min(left / self.share);
    }

    /// On average.
    pub(crate) const fn sittings_a_day(&self) -> f64 {
        self.sittings_a_day * self.share
    }

    /// On average.
    pub(crate) fn lines_a_day(&self) -> f64 {
        self.sittings_a_day() * self.lines_a_sitting()
    }

    /// While they live as those they are like.
    pub(crate) fn lines_a_day_at_once(&self) -> f64 {
        self.sittings_a_day * self.lines_a_sitting()
    }

    fn lines_a_sitting(&self) -> f64 {
        if self.poisson { POISSON_LINES } else { self.manner.lines_a_sitting() }
    }

    /// Where nothing else is known of them, and their day is busiest then.
    pub(crate) fn usual(&self, noon: Duration) -> Life {
        let (median, spread) = SITTINGS_A_DAY;
        let sittings_a_day = median * (spread * self.rank).exp();
        Life { sittings_a_day, manner: Manner::shipped(noon) }
    }

    /// The share of all pairs who sit down less often. The logistic function, of this slope, is nowhere further than 0.01 from that of the
    /// normal distribution.
    pub(crate) fn rank(&self) -> f64 {
        1.0 / (1.0 + (-1.702 * self.rank).exp())
    }

    /// They live by habits that are trusted more than this.
    pub(crate) const fn doubt(&self) -> f64 {
        self.doubt
    }

    /// What a rhythm must not be.
    pub(crate) fn poisson(noon: Duration, rng: &mut Rng) -> Self {
        Self { poisson: true, ..Self::new(noon, rng) }
    }

    /// Whether it can be, once it was read from bytes.
    pub(crate) fn is_sound(&self) -> bool {
        let (fewest, most) = BOUNDS_OF_SITTINGS;
        self.side < 2
            && (fewest..=most).contains(&self.sittings_a_day)
            && self.rank.abs() < 100.0
            && (0.0..=1.0).contains(&self.doubt)
    }

    /// Whether the next line begins something: then it can be drawn anew at any time, since what goes before has no memory.
    pub(crate) const fn begins(&self) -> bool {
        self.begins
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
            let mean = Duration::from_secs_f64(DAY / self.lines_a_day());
            return Line { at: now + random::exponential(rng, mean), side: self.side };
        }
        self.begins = self.left == 0;
        if self.left > 0 {
            self.left -= 1;
            let turn = random::unit(rng) < self.manner.turns;
            self.side ^= usize::from(turn);
            let pauses = if turn { self.manner.answer } else { self.manner.go_on };
            let gap = pauses.draw(rng, GAPS);
            return Line { at: now + Duration::from_secs_f64(gap), side: self.side };
        }
        self.side = random::index(rng, 2);
        let notes = self.manner.notes;
        let is_note = random::unit(rng) * (1.0 + notes) < notes;
        let lines = self.manner.lines.draw(rng, BOUNDS_OF_LINES) as u32;
        self.left = if is_note { 0 } else { lines - 1 };
        Line { at: self.begin(now, rng), side: self.side }
    }

    /// When the next sitting or note is: a Poisson process whose rate goes with the hour, by thinning (Lewis and
    /// Shedler, 1979).
    fn begin(&self, now: Timestamp, rng: &mut Rng) -> Timestamp {
        let Manner { notes, noon, by_day, .. } = self.manner;
        let busiest = self.sittings_a_day * (1.0 + notes) * (1.0 + by_day);
        let mut at = now;
        loop {
            at = at + random::exponential(rng, Duration::from_secs_f64(DAY / busiest));
            let hour = (at.as_millis() as f64 / 1_000.0 - noon) / DAY;
            let rate = 1.0 + by_day * (TAU * hour).cos();
            if random::unit(rng) * (1.0 + by_day) < rate && self.is_in_a_spell(at) {
                return at;
            }
        }
    }

    /// Whether they live as those they are like then: always the same of one time, so that nothing of it need be remembered. By steps of the
    /// golden ratio a share of all spells is spread as evenly over all as it can be (Knuth, The Art of Computer Programming 3, 6.4); where that begins
    /// the last digits of a number say that was drawn for these two, or those who sit down often would be quiet together, of all clients.
    fn is_in_a_spell(&self, at: Timestamp) -> bool {
        let begins = (self.doubt * 1_048_576.0).fract();
        let spell = (at.as_millis() as f64 / 1_000.0 / SPELL.as_secs_f64() + self.doubt).floor();
        (begins + spell * GOLDEN_RATIO).fract() < self.share
    }
}

/// By the method of Box and Muller (1958).
fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random::unit(rng)).ln()).sqrt();
    radius * (TAU * random::unit(rng)).cos()
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

    /// What is counted is drawn as it was, and nothing of it more than once but for chance.
    #[test]
    fn an_amount_is_as_it_was_counted() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let mut bins = [0.0; BINS];
        (bins[2], bins[4], bins[9]) = (30.0, 60.0, 10.0);
        let amount = Amount::Counted(bins);
        let drawn: Vec<f64> = (0..10_000).map(|_| amount.draw(&mut rng, GAPS)).collect();
        let share = |bin| drawn.iter().filter(|n| Amount::bin(**n) == bin).count() as f64 / 1e4;
        for (bin, expected) in [(2, 0.3), (4, 0.6), (9, 0.1)] {
            assert!((share(bin) - expected).abs() < 0.02, "{} of {expected}", share(bin));
        }
        let mean = drawn.iter().sum::<f64>() / 1e4;
        assert!((amount.mean(GAPS) / mean - 1.0).abs() < 0.03, "{mean}");
        let mut sorted = drawn;
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|two| two[0] < two[1]), "no two alike");
        // What is beyond the bounds is within them.
        let lines = (0..1_000).map(|_| amount.draw(&mut rng, BOUNDS_OF_LINES));
        assert!(lines.into_iter().all(|n| (2.0..=250.0).contains(&n)));
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
        rhythm.manner.noon = 12.0 * 3600.0;
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
        assert!(rates[1_000] <= BOUNDS_OF_SITTINGS.1);
        // Of all sittings most are of few pairs.
        let all: f64 = rates.iter().sum();
        let few: f64 = rates[900..].iter().sum();
        assert!((0.5..0.9).contains(&(few / all)), "{}", few / all);
    }

    /// Stores see what begins after a long pause: of people who talk much that is little, and so it is of two who say a quarter of it.
    #[test]
    fn with_few_lines_two_talk_as_closely_and_on_fewer_days() {
        let days = 120.0;
        let lived = |at_most: f64, seed: u64| {
            let (mut rng, mut rhythm) = seeded(seed);
            let life = Life { sittings_a_day: 12.0, ..rhythm.usual(Duration::ZERO) };
            rhythm.live_by(life, Most { on_average: at_most, at_once: f64::MAX });
            let (mut now, mut lines, mut begun, mut soon) = (BEGIN, 0.0, 0.0, 0.0);
            while now.since(BEGIN).as_secs_f64() < days * DAY {
                let line = rhythm.next(now, &mut rng);
                let pause = line.at.since(now).as_secs_f64();
                lines += 1.0;
                begun += f64::from(u8::from(rhythm.begins()));
                soon += f64::from(u8::from(rhythm.begins() && pause < 7_200.0));
                now = line.at;
            }
            (lines / days, soon / begun)
        };
        for seed in 0..4 {
            let (all, close) = lived(f64::MAX, seed);
            let (few, as_close) = lived(all / 4.0, seed);
            assert!((few / all - 0.25).abs() < 0.08, "{few} lines a day of {all}");
            assert!(close > 0.75 && as_close > close - 0.15, "{as_close} of {close}");
        }
    }

    /// As many spells as they should, spread over all hours and days.
    #[test]
    fn spells_are_a_share_of_all() {
        for (seed, share) in (0..).zip([0.05, 0.3, 0.7, 1.0]) {
            let (_, mut rhythm) = seeded(seed);
            rhythm.share = share;
            let of = |hour: u64| {
                let at =
                    |day: u64| BEGIN + SPELL * (day as u32 * 4) + Duration::from_secs(hour * 3_600);
                (0..400).filter(|day| rhythm.is_in_a_spell(at(*day))).count() as f64 / 400.0
            };
            for hour in (0..24).step_by(5) {
                assert!((of(hour) - share).abs() < 0.03, "{} of {share} at {hour}", of(hour));
            }
        }
    }

    /// Those who sit down often are the ones that there are not lines enough for, at every client.
    #[test]
    fn who_sits_down_as_often_is_not_quiet_at_the_same_times() {
        let of = |seed| {
            let (_, mut rhythm) = seeded(seed);
            (rhythm.rank, rhythm.share) = (1.0, 0.5);
            rhythm
        };
        let all: Vec<_> = (0..100).map(of).collect();
        for day in 0..40 {
            let at = BEGIN + Duration::from_secs(day * 86_400);
            let talking = all.iter().filter(|rhythm| rhythm.is_in_a_spell(at)).count();
            assert!((25..=75).contains(&talking), "{talking} of 100 on day {day}");
        }
    }
}
