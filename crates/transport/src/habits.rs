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
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};
use xchat_base::Timestamp;

use crate::rhythm::{Amount, BINS, LONGEST_PAUSE, Life, MOST_BY_DAY, MOST_NOTES, Manner, total};

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

/// With so many lines of a conversation half of the decoys that are like it live as it does, and with so many of all half of all decoys
/// are like one of them.
const ENOUGH: f64 = 100.0;

/// What was said in a conversation that is younger than so many days is taken for theirs: a first evening is no habit.
const LEAST_DAYS: f64 = 3.0;

/// Time that has passed is made up for by so much in a step: after a long absence habits do not change at once, and a clock that is far
/// ahead for a moment wipes out little.
const MOST_AT_ONCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// With less beginnings of sittings and notes their hours are chance.
const ENOUGH_HOURS: f64 = 20.0;

/// A conversation in which nobody said anything for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(56 * 24 * 3600);

const DAY: f64 = 24.0 * 3600.0;

/// A line, and whether the owner said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    at: Timestamp,
    is_own: bool,
}

/// What is known of one conversation.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Talked {
    /// When something was first said.
    since: Timestamp,
    last: Line,
    /// The line before it in the same sitting.
    before: Option<Line>,
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
    /// Until then everything has faded; before the first line that was never.
    faded: Timestamp,
}

impl Habits {
    /// Something was said, and is known now.
    pub(crate) fn note(&mut self, said: Said, now: Timestamp) {
        if self.faded == Timestamp::ZERO {
            self.faded = now;
        }
        self.fade(now);
        self.make_room(said.talk);
        // The other one's clock may be wrong.
        let line = Line { at: said.at.min(now), is_own: said.is_own };
        let begins = match self.talks.entry(said.talk) {
            Entry::Occupied(talked) => talked.into_mut().note(line),
            Entry::Vacant(free) => {
                free.insert(Talked::new(line));
                true
            }
        };
        if begins {
            self.hours.add(line.at);
        }
    }

    /// How much of it there is: the share of decoys that live by it.
    pub(crate) fn trust(&self) -> f64 {
        enough(self.talks.values().map(Talked::said).sum())
    }

    /// Lines a day of all conversations.
    pub(crate) fn lines_a_day(&self) -> f64 {
        self.talks.values().map(|talked| talked.said() / talked.days(self.faded)).sum()
    }

    /// How two people live who are like those of one of the conversations, in which people sit down less often than in this share of
    /// all; none if there is none. What is not known of it is as usual.
    pub(crate) fn life(&self, rank: f64, doubt: f64, usual: Manner) -> Option<Life> {
        let often = |talked: &Talked| talked.often() / talked.days(self.faded);
        let mut talks: Vec<&Talked> = self.talks.values().collect();
        talks.sort_by(|one, other| often(one).total_cmp(&often(other)));
        let place = (rank * talks.len() as f64) as usize;
        let like = talks.get(place.min(talks.len().checked_sub(1)?))?;
        let manner = if doubt < enough(like.said()) { like.manner(usual) } else { usual };
        Some(Life { sittings_a_day: often(like), manner })
    }

    /// The same manner at the owner's hours, once they are known.
    pub(crate) fn at_hours(&self, manner: Manner) -> Manner {
        self.hours.of(manner)
    }

    /// What was said counts less, the longer ago it is.
    pub(crate) fn fade(&mut self, now: Timestamp) {
        if now < self.faded {
            // The clock was ahead, and has been set back.
            self.faded = now;
            self.talks.values_mut().for_each(|talked| talked.set_back(now));
        }
        let passed = now.since(self.faded).min(MOST_AT_ONCE);
        if passed < STEP {
            return;
        }
        self.faded = self.faded + passed;
        let left = (-passed.as_secs_f64() / DAY / HALF_LIFE).exp2();
        self.talks.values_mut().for_each(|talked| talked.fade(left as f32));
        self.talks.retain(|_, talked| self.faded.since(talked.last.at) < FORGOTTEN_AFTER);
        let Hours { x, y, count } = self.hours;
        self.hours = Hours { x: x * left, y: y * left, count: count * left };
    }

    /// Of those that are known the one that has been silent for longest makes room for this one.
    fn make_room(&mut self, talk: u64) {
        if self.talks.len() < MAX_TALKS || self.talks.contains_key(&talk) {
            return;
        }
        let silent = self.talks.iter().min_by_key(|(_, talked)| talked.last.at);
        if let Some(silent) = silent.map(|(talk, _)| *talk) {
            self.talks.remove(&silent);
        }
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
    /// One in which this was said first.
    fn new(line: Line) -> Self {
        let none = [0.0; BINS];
        Self {
            since: line.at,
            last: line,
            before: None,
            lines: 1,
            notes: 0.0,
            sittings: 0.0,
            lengths: none,
            go_on: none,
            answer: none,
        }
    }

    /// One more line; whether it begins a sitting, or is a note.
    fn note(&mut self, line: Line) -> bool {
        if line.at < self.last.at {
            self.cross(line);
            return false;
        }
        if line.at.since(self.last.at) > LONGEST_PAUSE {
            match self.lines {
                1 => self.notes += 1.0,
                lines => self.lengths[Amount::bin(lines.into())] += 1.0,
            }
            (self.last, self.before, self.lines) = (line, None, 1);
            return true;
        }
        self.one_more();
        self.count(self.last, line, 1.0);
        (self.before, self.last) = (Some(self.last), line);
        false
    }

    /// A line that was said before the last one, and comes after it: the two have crossed. What was taken for one pause is two. A line
    /// that is older still has no pause that is known, nor has one by a clock that is far behind.
    fn cross(&mut self, line: Line) {
        if self.last.at.since(line.at) > LONGEST_PAUSE {
            return;
        }
        self.one_more();
        let Some(before) = self.before.filter(|before| before.at <= line.at) else { return };
        self.count(before, self.last, -1.0);
        self.count(before, line, 1.0);
        self.count(line, self.last, 1.0);
        self.before = Some(line);
    }

    fn one_more(&mut self) {
        self.lines = self.lines.saturating_add(1);
        if self.lines == 2 {
            self.sittings += 1.0;
        }
    }

    fn count(&mut self, before: Line, after: Line, times: f32) {
        let pauses = if before.is_own == after.is_own { &mut self.go_on } else { &mut self.answer };
        let bin = &mut pauses[Amount::bin(after.at.since(before.at).as_secs_f64())];
        // What is taken back may have faded meanwhile.
        *bin = (*bin + times).max(0.0);
    }

    fn pauses(&self) -> f64 {
        total(&self.go_on) + total(&self.answer)
    }

    /// In so many days as much would have been said as there is left of what was, if nothing faded.
    fn days(&self, now: Timestamp) -> f64 {
        let known = (now.since(self.since).as_secs_f64() / DAY).max(LEAST_DAYS);
        (1.0 - (-known / HALF_LIFE).exp2()) * HALF_LIFE / LN_2
    }

    fn set_back(&mut self, now: Timestamp) {
        self.since = self.since.min(now);
        self.last.at = self.last.at.min(now);
        self.before = None;
    }

    /// Lines that are left, but for a few that have crossed: each has a pause before it, or begins something.
    fn said(&self) -> f64 {
        self.pauses() + f64::from(self.notes + self.sittings)
    }

    /// Sittings that are left; of a conversation of notes alone as many as its notes would be beside.
    fn often(&self) -> f64 {
        f64::from(self.sittings).max(f64::from(self.notes) / MOST_NOTES)
    }

    /// What there is says this; the lengths of sittings as usual, as long as none is known.
    fn manner(&self, usual: Manner) -> Manner {
        let counted = |bins: &[f32; BINS], usual: Amount| {
            if total(bins) > 0.0 { Amount::Counted(*bins) } else { usual }
        };
        let (go_on, answer) = (total(&self.go_on), total(&self.answer));
        let turns = if go_on + answer > 0.0 { answer / (go_on + answer) } else { usual.turns };
        Manner {
            notes: f64::from(self.notes) / self.often().max(f64::MIN_POSITIVE),
            lines: counted(&self.lengths, usual.lines),
            turns,
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

    /// A manner with these hours, if there are enough of them.
    fn of(&self, manner: Manner) -> Manner {
        let Self { x, y, count } = *self;
        if count < ENOUGH_HOURS {
            return manner;
        }
        // Of hours that mean nothing the square of the resultant is 1 / count.
        let square = ((x * x + y * y) / (count * count) - 1.0 / count).max(0.0);
        Manner {
            noon: y.atan2(x).rem_euclid(TAU) / TAU * DAY,
            by_day: (2.0 * square.sqrt()).min(MOST_BY_DAY),
            ..manner
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    use xchat_base::random;

    use super::*;
    use crate::rhythm::{Most, Rhythm};

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
            rhythm.live_by(*life, Most::NONE);
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
    fn life(habits: &Habits, rank: f64) -> Life {
        habits
            .life(rank, 0.0, Manner::shipped(Duration::ZERO))
            .map(|life| Life { manner: habits.at_hours(life.manner), ..life })
            .expect("a conversation")
    }

    fn share(bins: Amount, least: usize) -> f64 {
        let Amount::Counted(bins) = bins else { unreachable!("counted") };
        f64::from(bins[least..].iter().sum::<f32>()) / total(&bins)
    }

    /// Whoever draws from what is learned of people lives like them.
    #[test]
    fn whoever_lives_by_the_habits_of_others_lives_as_they_do() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let long = days(28.0);
        let first = learned(&[often(8.0)], long, &mut rng);
        assert!(first.trust() > 0.9, "{}", first.trust());
        let one = life(&first, 0.5);
        // Sittings and notes that meet are one.
        assert!((6.0..9.5).contains(&one.sittings_a_day), "{one:?} for 8");
        assert!((one.manner.turns - 0.6).abs() < 0.03, "{one:?}");
        assert!((one.manner.noon - NOON.as_secs_f64()).abs() < 3_600.0, "{one:?}");
        assert!((0.6..=MOST_BY_DAY).contains(&one.manner.by_day), "{one:?}");

        let second = learned(&[one], long, &mut rng);
        let other = life(&second, 0.5);
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
        let lines = second.lines_a_day() / first.lines_a_day();
        assert!((0.8..1.25).contains(&lines), "{lines}");
    }

    #[test]
    fn of_nothing_nothing_is_known_and_what_was_is_forgotten_in_silence() {
        let usual = Manner::shipped(NOON);
        let nothing = Habits::default();
        assert_eq!((nothing.trust(), nothing.lines_a_day()), (0.0, 0.0));
        assert!(nothing.life(0.5, 0.0, usual).is_none());
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut habits = learned(&[often(8.0)], days(14.0), &mut rng);
        assert!(habits.trust() > 0.9);
        // Not at once, or everything would change when the owner comes back.
        let (before, later) = (habits.lines_a_day(), T0 + days(14.0 + 49.0));
        habits.fade(later);
        assert!(habits.lines_a_day() > before / 3.0);
        (0..6).for_each(|_| habits.fade(later));
        assert!(habits.trust() < 0.3, "{}", habits.trust());
        (0..2).for_each(|_| habits.fade(later + days(8.0)));
        assert_eq!((habits.talks.len(), habits.trust()), (0, 0.0));
    }

    /// One in three is like the one that is spoken in least, and so on; and none is like what only another one has.
    #[test]
    fn each_is_like_one_of_the_conversations() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let slow = Manner { answer: Amount::Lognormal(90.0, 0.3), ..Manner::shipped(NOON) };
        let lives = [often(0.2), often(2.0), Life { sittings_a_day: 12.0, manner: slow }];
        let habits = learned(&lives, days(21.0), &mut rng);
        let [seldom, middle, most] = [0.0, 0.5, 1.0].map(|rank| life(&habits, rank));
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
        let life = habits.life(0.5, 0.2, usual).expect("a conversation");
        assert_eq!((life.manner.answer, life.manner.lines), (usual.answer, usual.lines));
    }

    /// What the other one says while one's own line is on its way stands where it was said.
    #[test]
    fn lines_that_cross_are_put_in_order() {
        let learned = |lines: &[(u64, bool)]| {
            let mut habits = Habits::default();
            for &(at, is_own) in lines {
                let now = T0 + Duration::from_secs(1_000);
                habits.note(Said { talk: 1, at: T0 + Duration::from_secs(at), is_own }, now);
            }
            let talked = habits.talks[&1];
            (talked.lines, talked.sittings, talked.go_on, talked.answer)
        };
        let in_order = learned(&[(100, true), (120, false), (160, true), (260, true)]);
        assert_eq!(learned(&[(100, true), (160, true), (120, false), (260, true)]), in_order);
        // What is far behind has no pause, and is one of the lines.
        let (lines, _, go_on, answer) = learned(&[(100, true), (160, true), (50, false)]);
        assert_eq!((lines, total(&go_on), total(&answer)), (3, 1.0, 0.0));
    }

    /// People who never sit down together have decoys that do not either.
    #[test]
    fn notes_alone_are_a_habit_too() {
        let mut habits = Habits::default();
        for n in 0..20 * 14u64 {
            let at = T0 + Duration::from_secs(n * 4_320);
            habits.note(Said { talk: 1, at, is_own: n % 2 == 0 }, at);
        }
        assert!(habits.trust() > 0.5, "{}", habits.trust());
        let life = habits.life(0.5, 0.0, Manner::shipped(NOON)).expect("a conversation");
        let mut rng = ChaCha20Rng::seed_from_u64(6);
        let mut rhythm = Rhythm::new(NOON, &mut rng);
        rhythm.live_by(life, Most::NONE);
        assert!((15.0..35.0).contains(&rhythm.lines_a_day()), "{}", rhythm.lines_a_day());
        assert!(life.sittings_a_day < 0.5, "{life:?}");
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
            let life = habits.life(0.7, 0.0, Manner::shipped(NOON));
            let most = Most { on_average: 500.0, at_once: f64::MAX };
            rhythm.live_by(life.unwrap_or(often(1.0)), most);
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
        let mut before = said(&[often(8.0)], days(30.0), &mut rng);
        let after = before.split_off(before.len() / 2);
        before.into_iter().for_each(|said| habits.note(said, said.at));
        habits.note(Said { talk: 0, at: ahead, is_own: true }, ahead);
        habits.fade(ahead);
        assert!(habits.trust() > 0.8, "little of it is lost: {}", habits.trust());
        after.into_iter().for_each(|said| habits.note(said, said.at));
        assert!(habits.trust() > 0.9, "{}", habits.trust());
        let rate = life(&habits, 0.5).sittings_a_day;
        assert!((5.0..11.0).contains(&rate), "{rate}");
    }
}
