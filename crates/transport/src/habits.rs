//! How a client's owner talks with people: what its decoys live by once there is enough of it (spec 8.10).
//!
//! A store that sees how people write and how decoys do tells them apart by how often two sit down, how long, how fast. So each
//! decoy draws from what one of the owner's conversations was like lately. It does not repeat any of it: the same pauses in the
//! same order a day later would be found by whoever keeps when boxes were written.
//!
//! What is kept of a conversation are counts, and when it was last spoken in. They fade: what was said a week ago counts half.

use core::f64::consts::{LN_2, TAU};
use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xchat_base::Timestamp;

use crate::rhythm::{Amount, BINS, LONGEST_PAUSE, Life, MOST_BY_DAY, MOST_NOTES, Manner};

/// A line that the owner has said or was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// In which conversation: any number, the same one each time.
    pub talk: u64,
    /// When, by the clock of whoever said it.
    pub at: Timestamp,
    /// Whether the owner said it.
    pub is_own: bool,
}

/// Conversations that are known; one more takes the place of the one that has been silent for longest.
const MAX_TALKS: usize = 64;

/// In so many days what was said counts half as much.
const HALF_LIFE: f64 = 7.0;

/// Counts fade in such steps.
const STEP: Duration = Duration::from_secs(3600);

/// With so many lines of a conversation half of the decoys that are like it have its pauses, and with so many of all half of all
/// decoys are like one of them.
const ENOUGH: f64 = 100.0;

/// What was said within less than this is taken for a day's.
const LEAST_DAYS: f64 = 1.0;

/// A conversation in which nobody said anything for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(56 * 24 * 3600);

const DAY: f64 = 24.0 * 3600.0;

/// What is known of one conversation.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Talked {
    last: Timestamp,
    was_own: bool,
    /// Lines since the last long pause.
    lines: u32,
    /// Single lines, and sittings.
    notes: f32,
    sittings: f32,
    /// How often sittings had how many lines, and pauses how many seconds, by [`Amount::bin`].
    lengths: [f32; BINS],
    go_on: [f32; BINS],
    answer: [f32; BINS],
}

/// The sum of the hours at which sittings and notes began, as points on a circle, and their number.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Hours {
    x: f64,
    y: f64,
    count: f64,
}

/// What is known of all.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Habits {
    talks: BTreeMap<u64, Talked>,
    hours: Hours,
    /// When something was first said.
    since: Timestamp,
    faded: Timestamp,
}

impl Habits {
    /// Something was said, and is known now.
    pub(crate) fn note(&mut self, said: Said, now: Timestamp) {
        if self.since == Timestamp::ZERO {
            (self.since, self.faded) = (now, now);
        }
        self.fade(now);
        self.make_room(said.talk);
        // The other one's clock may be wrong.
        let at = said.at.min(now);
        let talked = self.talks.entry(said.talk).or_insert_with(Talked::new);
        if talked.note(at, said.is_own) {
            self.hours.add(at);
        }
    }

    /// How much of it there is: the share of decoys that live by it.
    pub(crate) fn trust(&self) -> f64 {
        enough(self.talks.values().map(Talked::pauses).sum())
    }

    /// Lines a day of all conversations.
    pub(crate) fn lines_a_day(&self, now: Timestamp) -> f64 {
        self.talks.values().map(Talked::said).sum::<f64>() / self.days(now)
    }

    /// How two people live who are like those of one of the conversations, in which people sit down less often than in this share of
    /// all; none if there is none. What is not known of it is as usual.
    pub(crate) fn life(
        &self,
        rank: f64,
        doubt: f64,
        usual: Manner,
        now: Timestamp,
    ) -> Option<Life> {
        let mut talks: Vec<&Talked> = self.talks.values().collect();
        talks.sort_by(|one, other| one.often().total_cmp(&other.often()));
        let place = (rank * talks.len() as f64) as usize;
        let like = talks.get(place.min(talks.len().checked_sub(1)?))?;
        let manner = if doubt < enough(like.pauses()) { like.manner(usual) } else { usual };
        let sittings_a_day = like.often() / self.days(now);
        Some(Life { sittings_a_day, manner: self.hours.of(manner) })
    }

    /// What was said counts less, the longer ago it is.
    pub(crate) fn fade(&mut self, now: Timestamp) {
        if now < self.faded {
            // The clock was ahead, and has been set back.
            (self.since, self.faded) = (self.since.min(now), now);
            self.talks.values_mut().for_each(|talked| talked.last = talked.last.min(now));
        }
        let passed = now.since(self.faded);
        if passed < STEP {
            return;
        }
        self.faded = now;
        let left = (-passed.as_secs_f64() / DAY / HALF_LIFE).exp2();
        self.talks.values_mut().for_each(|talked| talked.fade(left as f32));
        self.talks.retain(|_, talked| now.since(talked.last) < FORGOTTEN_AFTER);
        let Hours { x, y, count } = self.hours;
        self.hours = Hours { x: x * left, y: y * left, count: count * left };
    }

    /// Of those that are known the one that has been silent for longest makes room for this one.
    fn make_room(&mut self, talk: u64) {
        if self.talks.len() < MAX_TALKS || self.talks.contains_key(&talk) {
            return;
        }
        let silent = self.talks.iter().min_by_key(|(_, talked)| talked.last);
        if let Some(silent) = silent.map(|(talk, _)| *talk) {
            self.talks.remove(&silent);
        }
    }

    /// In so many days as much would have been said as there is left of what was, if nothing faded.
    fn days(&self, now: Timestamp) -> f64 {
        let known = (now.since(self.since).as_secs_f64() / DAY).max(LEAST_DAYS);
        (1.0 - (-known / HALF_LIFE).exp2()) * HALF_LIFE / LN_2
    }

    /// Whether it can be, once it was read from bytes.
    pub(crate) fn is_sound(&self) -> bool {
        let Hours { x, y, count } = self.hours;
        self.talks.len() <= MAX_TALKS
            && self.talks.values().all(Talked::is_sound)
            && [x, y].into_iter().all(|sum| sum.abs() < f64::from(MOST))
            && (0.0..MOST.into()).contains(&count)
    }
}

/// Counts that nobody reaches.
const MOST: f32 = 1e9;

/// How much so many lines are to be trusted.
fn enough(lines: f64) -> f64 {
    lines / (lines + ENOUGH)
}

impl Talked {
    /// One in which nothing was said so far.
    fn new() -> Self {
        let none = [0.0; BINS];
        Self {
            last: Timestamp::ZERO,
            was_own: false,
            lines: 0,
            notes: 0.0,
            sittings: 0.0,
            lengths: none,
            go_on: none,
            answer: none,
        }
    }

    /// One more line; whether it begins a sitting, or is a note.
    fn note(&mut self, at: Timestamp, is_own: bool) -> bool {
        let pause = at.since(self.last);
        // What crosses a line of the other side, or comes late, has no pause before it that its writer knows of.
        let crosses = at < self.last;
        if self.lines == 0 || pause > LONGEST_PAUSE {
            match self.lines {
                0 => {}
                1 => self.notes += 1.0,
                lines => self.lengths[Amount::bin(lines.into())] += 1.0,
            }
            (self.last, self.was_own, self.lines) = (at, is_own, 1);
            return true;
        }
        if self.last.since(at) > LONGEST_PAUSE {
            return false;
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines == 2 {
            self.sittings += 1.0;
        }
        if !crosses {
            let pauses = if is_own == self.was_own { &mut self.go_on } else { &mut self.answer };
            pauses[Amount::bin(pause.as_secs_f64())] += 1.0;
            (self.last, self.was_own) = (at, is_own);
        }
        false
    }

    fn pauses(&self) -> f64 {
        f64::from(sum(&self.go_on) + sum(&self.answer))
    }

    /// Lines that are left: each has a pause before it, or begins something.
    fn said(&self) -> f64 {
        self.pauses() + f64::from(self.notes + self.sittings)
    }

    /// Sittings that are left; of a conversation of notes alone as many as its notes would be beside.
    fn often(&self) -> f64 {
        f64::from(self.sittings).max(f64::from(self.notes) / MOST_NOTES)
    }

    /// What there is says this; the lengths of sittings as usual, as long as none is known.
    fn manner(&self, usual: Manner) -> Manner {
        let (go_on, answer) = (f64::from(sum(&self.go_on)), f64::from(sum(&self.answer)));
        let counted = |bins: &[f32; BINS], usual: Amount| {
            if sum(bins) > 0.0 { Amount::Counted(*bins) } else { usual }
        };
        Manner {
            notes: f64::from(self.notes) / self.often().max(f64::MIN_POSITIVE),
            lines: counted(&self.lengths, usual.lines),
            turns: answer / (go_on + answer).max(f64::MIN_POSITIVE),
            go_on: counted(&self.go_on, usual.go_on),
            answer: counted(&self.answer, usual.answer),
            ..usual
        }
    }

    fn fade(&mut self, left: f32) {
        for bins in [&mut self.lengths, &mut self.go_on, &mut self.answer] {
            bins.iter_mut().for_each(|count| *count *= left);
        }
        self.notes *= left;
        self.sittings *= left;
    }

    fn is_sound(&self) -> bool {
        let bins = [&self.lengths, &self.go_on, &self.answer].into_iter().flatten();
        bins.chain([&self.notes, &self.sittings]).all(|count| (0.0..MOST).contains(count))
    }
}

impl Hours {
    /// A sitting or a note begins.
    fn add(&mut self, at: Timestamp) {
        let (sin, cos) = (at.as_millis() as f64 / 1_000.0 / DAY * TAU).sin_cos();
        (self.x, self.y, self.count) = (self.x + cos, self.y + sin, self.count + 1.0);
    }

    /// A manner with these hours, if they say more than chance.
    fn of(&self, manner: Manner) -> Manner {
        let Self { x, y, count } = *self;
        // Of hours that mean nothing the square of the resultant is 1 / count.
        let square = (x * x + y * y) / (count * count).max(1.0) - 1.0 / count.max(1.0);
        Manner {
            noon: y.atan2(x).rem_euclid(TAU) / TAU * DAY,
            by_day: (2.0 * square.max(0.0).sqrt()).min(MOST_BY_DAY),
            ..manner
        }
    }
}

fn sum(bins: &[f32; BINS]) -> f32 {
    bins.iter().sum()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    use xchat_base::random;

    use super::*;
    use crate::rhythm::Rhythm;

    const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
    const NOON: Duration = Duration::from_secs(9 * 3_600);

    fn days(days: f64) -> Duration {
        Duration::from_secs_f64(days * DAY)
    }

    /// What people say in so many days who live like this, each pair in a conversation of its own.
    fn said(lives: &[Life], until: Duration, rng: &mut ChaCha20Rng) -> Vec<Said> {
        let mut all = Vec::new();
        for (talk, life) in (0..).zip(lives) {
            let mut rhythm = Rhythm::new(NOON, rng);
            rhythm.live_by(*life, f64::MAX);
            let mut at = T0;
            while at < T0 + until {
                let line = rhythm.next(at, rng);
                at = line.at;
                all.push(Said { talk, at, is_own: line.side == 0 });
            }
        }
        all.sort_by_key(|said| said.at);
        all
    }

    fn learned(lives: &[Life], until: Duration, rng: &mut ChaCha20Rng) -> Habits {
        let mut habits = Habits::default();
        said(lives, until, rng).into_iter().for_each(|said| habits.note(said, said.at));
        habits
    }

    fn often(sittings_a_day: f64) -> Life {
        Life { sittings_a_day, manner: Manner::shipped(NOON) }
    }

    /// That of the conversation which this share of all are less busy than.
    fn life(habits: &Habits, rank: f64, now: Timestamp) -> Life {
        habits.life(rank, 0.0, Manner::shipped(Duration::ZERO), now).expect("a conversation")
    }

    fn share(bins: Amount, least: usize) -> f64 {
        let Amount::Counted(bins) = bins else { unreachable!("counted") };
        f64::from(bins[least..].iter().sum::<f32>() / sum(&bins))
    }

    /// Whoever draws from what is learned of people lives like them.
    #[test]
    fn whoever_lives_by_the_habits_of_others_lives_as_they_do() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (long, now) = (days(28.0), T0 + days(28.0));
        let first = learned(&[often(8.0)], long, &mut rng);
        assert!(first.trust() > 0.9, "{}", first.trust());
        let one = life(&first, 0.5, now);
        // Sittings and notes that meet are one.
        assert!((6.0..9.5).contains(&one.sittings_a_day), "{one:?} for 8");
        assert!((one.manner.turns - 0.6).abs() < 0.03, "{one:?}");
        assert!((one.manner.noon - NOON.as_secs_f64()).abs() < 3_600.0, "{one:?}");
        assert!((0.6..=MOST_BY_DAY).contains(&one.manner.by_day), "{one:?}");

        let second = learned(&[one], long, &mut rng);
        let other = life(&second, 0.5, now);
        let pauses =
            [(one.manner.go_on, other.manner.go_on), (one.manner.answer, other.manner.answer)];
        for (one, other) in pauses {
            // How many are of 8 s and more, of 32 s and more.
            for bin in [3, 5] {
                assert!((share(one, bin) - share(other, bin)).abs() < 0.05, "{one:?} {other:?}");
            }
        }
        assert!((share(one.manner.lines, 5) - share(other.manner.lines, 5)).abs() < 0.15);
        let ratio = other.sittings_a_day / one.sittings_a_day;
        assert!((0.8..1.2).contains(&ratio), "{ratio}");
        let lines = second.lines_a_day(now) / first.lines_a_day(now);
        assert!((0.8..1.25).contains(&lines), "{lines}");
    }

    #[test]
    fn of_nothing_nothing_is_known_and_what_was_is_forgotten_in_silence() {
        let usual = Manner::shipped(NOON);
        let nothing = Habits::default();
        assert_eq!((nothing.trust(), nothing.lines_a_day(T0)), (0.0, 0.0));
        assert!(nothing.life(0.5, 0.0, usual, T0).is_none());
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut habits = learned(&[often(8.0)], days(14.0), &mut rng);
        assert!(habits.trust() > 0.9);
        habits.fade(T0 + days(14.0 + 49.0));
        assert!(habits.trust() < 0.2, "{}", habits.trust());
        habits.fade(T0 + days(14.0 + 57.0));
        assert_eq!((habits.talks.len(), habits.trust()), (0, 0.0));
    }

    /// One in three is like the one that is spoken in least, and so on; and none is like what only another one has.
    #[test]
    fn each_is_like_one_of_the_conversations() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let slow = Manner { answer: Amount::Lognormal(90.0, 0.3), ..Manner::shipped(NOON) };
        let lives = [often(0.2), often(2.0), Life { sittings_a_day: 12.0, manner: slow }];
        let habits = learned(&lives, days(21.0), &mut rng);
        let now = T0 + days(21.0);
        let [seldom, middle, most] = [0.0, 0.5, 1.0].map(|rank| life(&habits, rank, now));
        let rates = [seldom, middle, most].map(|life| life.sittings_a_day);
        assert!(rates[0] < 0.8 && (1.0..4.0).contains(&rates[1]) && rates[2] > 5.0, "{rates:?}");
        // Longer than a minute are a few of the second's answers, and most of the third's.
        let [quick, slow] = [middle, most].map(|life| share(life.manner.answer, 6));
        assert!(quick < 0.3 && slow > 0.7, "{quick} {slow}");
    }

    /// Of one of which little is known what is usual goes on for most.
    #[test]
    fn a_few_lines_are_no_habit() {
        let mut habits = Habits::default();
        for n in 0..10 {
            let at = T0 + Duration::from_secs(n * 300);
            habits.note(Said { talk: 1, at, is_own: n % 2 == 0 }, at);
        }
        assert!(habits.trust() < 0.1, "{}", habits.trust());
        let usual = Manner::shipped(NOON);
        let life = habits.life(0.5, 0.2, usual, T0 + days(1.0)).expect("a conversation");
        assert_eq!((life.manner.answer, life.manner.lines), (usual.answer, usual.lines));
    }

    /// What the other one says while one's own line is on its way counts, and no pause is made of it.
    #[test]
    fn lines_that_cross_are_of_one_sitting() {
        let mut habits = Habits::default();
        let mut note = |at: u64, is_own| {
            let now = T0 + Duration::from_secs(1_000);
            habits.note(Said { talk: 1, at: T0 + Duration::from_secs(at), is_own }, now);
        };
        note(100, true);
        note(90, false);
        note(130, true);
        let talked = habits.talks[&1];
        assert_eq!((talked.lines, talked.sittings), (3, 1.0));
        assert_eq!((sum(&talked.go_on), sum(&talked.answer)), (1.0, 0.0));
    }

    #[test]
    fn there_is_a_bound_to_the_conversations_that_are_known() {
        let mut habits = Habits::default();
        for talk in 0..10 * MAX_TALKS as u64 {
            let at = T0 + Duration::from_secs(talk);
            habits.note(Said { talk, at, is_own: true }, at);
        }
        assert_eq!(habits.talks.len(), MAX_TALKS);
        assert!(habits.talks.contains_key(&(10 * MAX_TALKS as u64 - 1)), "the last ones");
        assert!(!habits.talks.contains_key(&0));
    }

    /// Others may say that they said something at any time, and the own clock may be wrong too.
    #[test]
    fn no_clock_makes_habits_that_nobody_can_have() {
        let mut habits = Habits::default();
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let moments = [Timestamp::ZERO, T0, Timestamp::MAX, T0 + days(1.0), T0 - days(400.0)];
        for n in 0..2_000 {
            let [at, now] = [0, 1].map(|_| moments[random::index(&mut rng, moments.len())]);
            habits.note(Said { talk: n % 3, at, is_own: n % 2 == 0 }, now);
            assert!(habits.is_sound(), "{habits:?}");
            let mut rhythm = Rhythm::new(NOON, &mut rng);
            let life = habits.life(0.7, 0.0, Manner::shipped(NOON), now);
            rhythm.live_by(life.unwrap_or(often(1.0)), 500.0);
            assert!(rhythm.is_sound() && rhythm.next(T0, &mut rng).at > T0, "{rhythm:?}");
            assert!((0.0..=1.0).contains(&habits.trust()));
        }
    }

    /// A clock that was years ahead for a moment is no reason to learn nothing for years.
    #[test]
    fn a_clock_that_is_set_back_is_followed() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let mut habits = Habits::default();
        let ahead = T0 + days(1_000.0);
        habits.note(Said { talk: 0, at: ahead, is_own: true }, ahead);
        let all = said(&[often(8.0)], days(14.0), &mut rng);
        all.into_iter().for_each(|said| habits.note(said, said.at));
        assert!(habits.trust() > 0.9, "{}", habits.trust());
        let rate = life(&habits, 0.5, T0 + days(14.0)).sittings_a_day;
        assert!((5.0..11.0).contains(&rate), "{rate}");
    }
}
