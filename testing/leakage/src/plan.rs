//! Which pairs and which people the attacks are judged by.
//!
//! A **positive** is two people and a window in which each writes the other at least ten messages. A
//! **negative** is two people of the same run and window who do not know each other, matched to a positive: one
//! of its two stays, the other is replaced by somebody who talks as much (to others) and who is online
//! together with the first one for as long. So nothing about a single person, and nothing about presence,
//! tells the classes apart; only that these two talk to each other does.

use std::collections::BTreeMap;

use crate::dice::Dice;
use crate::record::{HOUR, Micros};
use crate::traffic::{Traffic, overlap};

/// Messages each way that make a pair of the window.
pub const EACH_WAY: u32 = 10;

/// How far a negative may differ from its positive: in what the replaced person writes and gets (a factor), and
/// in the time together online (a share of the window).
const VOLUME: f64 = 1.6;
const TOGETHER: f64 = 0.1;

/// A stretch of whole hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Its first hour.
    pub start: u32,
    /// How many.
    pub hours: u32,
}

impl Window {
    /// Its first moment and the first after it.
    pub fn span(&self) -> (Micros, Micros) {
        let start = u64::from(self.start) * HOUR;
        (start, start + u64::from(self.hours) * HOUR)
    }

    /// Whether it contains an hour.
    pub fn has(&self, hour: u32) -> bool {
        (self.start..self.start + self.hours).contains(&hour)
    }
}

/// Two people, a window, and whether they talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairSample {
    /// When.
    pub window: Window,
    /// The two, the lower number first.
    pub pair: (u32, u32),
    /// Whether they talk to each other.
    pub talks: bool,
}

/// One person, an hour, and how many messages were written or received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersonSample {
    /// Which hour.
    pub hour: u32,
    /// Who.
    pub client: u32,
    /// How many.
    pub messages: u32,
}

/// Everything that is looked at in one run.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Pairs, as many of each class.
    pub pairs: Vec<PairSample>,
    /// People.
    pub people: Vec<PersonSample>,
}

/// How much of a run is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Pairs of each class and length of window.
    pub pairs: usize,
    /// People's hours.
    pub people: usize,
    /// Lengths of windows, in hours.
    pub windows: &'static [u32],
    /// Hours before the first that is looked at: what only begins is not what goes on.
    pub warm_up: u32,
}

/// What somebody does in a window: written, received.
type Volumes = BTreeMap<u32, (u32, u32)>;

impl Plan {
    /// The plan for a run; the same for every system.
    pub fn new(traffic: &Traffic, limits: Limits, seed: u64) -> Self {
        let mut dice = Dice::new(seed, 0x706c_616e);
        let mut plan = Self::default();
        for &hours in limits.windows {
            let judged = traffic.shape.hours.saturating_sub(limits.warm_up);
            let starts = (0..judged / hours)
                .map(|nth| Window { start: limits.warm_up + nth * hours, hours });
            let mut found: Vec<_> =
                starts.flat_map(|window| matched(traffic, window, &mut dice)).collect();
            dice.shuffle(&mut found);
            found.truncate(limits.pairs);
            plan.pairs.extend(found.into_iter().flatten());
        }
        plan.people = people(traffic, limits, &mut dice);
        plan
    }

    /// Whose frames have to be looked at in an hour; before the first hour that is judged, those of everybody who is judged later:
    /// what is done then leads to what is done in the next one.
    pub fn watched(&self, hour: u32) -> Vec<u32> {
        let starts = self.pairs.iter().map(|sample| sample.window.start);
        let first = starts.chain(self.people.iter().map(|sample| sample.hour)).min();
        let early = first.is_some_and(|first| hour < first);
        let pairs = self.pairs.iter().filter(|sample| early || sample.window.has(hour));
        let pairs = pairs.flat_map(|sample| [sample.pair.0, sample.pair.1]);
        let people = self.people.iter().filter(|sample| early || sample.hour == hour);
        let people = people.map(|sample| sample.client);
        let mut all: Vec<u32> = pairs.chain(people).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether anybody looks at this client at all.
    pub fn watches(&self, client: u32) -> bool {
        self.pairs.iter().any(|s| s.pair.0 == client || s.pair.1 == client)
            || self.people.iter().any(|s| s.client == client)
    }
}

/// All positives of a window that have a match, each with it.
fn matched(traffic: &Traffic, window: Window, dice: &mut Dice) -> Vec<[PairSample; 2]> {
    let (from, until) = window.span();
    let mut directions: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    let mut volumes = Volumes::new();
    for message in traffic.between(from, until) {
        *directions.entry((message.from, message.to)).or_default() += 1;
        volumes.entry(message.from).or_default().0 += 1;
        volumes.entry(message.to).or_default().1 += 1;
    }
    let talks = |pair: (u32, u32)| {
        let way = |a, b| directions.get(&(a, b)).copied().unwrap_or(0);
        way(pair.0, pair.1) >= EACH_WAY && way(pair.1, pair.0) >= EACH_WAY
    };
    let positives = traffic.contacts.iter().copied().filter(|&pair| talks(pair));
    let mut uses: BTreeMap<u32, u32> = BTreeMap::new();
    let mut one = |pair: (u32, u32)| {
        let (stays, leaves) = if dice.chance(0.5) { pair } else { (pair.1, pair.0) };
        let other = stand_in(traffic, window, &volumes, (stays, leaves), &uses)?;
        *uses.entry(other).or_default() += 1;
        let sample =
            |a: u32, b: u32, talks| PairSample { window, pair: (a.min(b), a.max(b)), talks };
        Some([sample(pair.0, pair.1, true), sample(stays, other, false)])
    };
    positives.filter_map(&mut one).collect()
}

/// Who can stand in for the one who leaves a pair: the closest match, and among equals whoever did it least often.
fn stand_in(
    traffic: &Traffic,
    window: Window,
    volumes: &Volumes,
    (stays, leaves): (u32, u32),
    uses: &BTreeMap<u32, u32>,
) -> Option<u32> {
    let (from, until) = window.span();
    let length = (until - from) as f64;
    let together = |client: u32| {
        let spans = (&traffic.online[stays as usize], &traffic.online[client as usize]);
        overlap(spans.0, spans.1, from, until) as f64 / length
    };
    let (wanted, wanted_together) = (volumes.get(&leaves)?, together(leaves));
    let distance = |client: u32, volume: &(u32, u32)| {
        let apart = |a: u32, b: u32| ((f64::from(a) + 1.0) / (f64::from(b) + 1.0)).ln().abs();
        let volume = apart(volume.0, wanted.0).max(apart(volume.1, wanted.1));
        let presence = (together(client) - wanted_together).abs();
        let fits = volume <= VOLUME.ln() && presence <= TOGETHER;
        let used = f64::from(uses.get(&client).copied().unwrap_or(0));
        fits.then_some(volume / VOLUME.ln() + presence / TOGETHER + used)
    };
    let fit = |(&client, volume): (&u32, &(u32, u32))| {
        let stranger = client != stays && client != leaves && !traffic.know(client, stays);
        let talks = volume.0 >= EACH_WAY && volume.1 >= EACH_WAY;
        if stranger && talks { distance(client, volume).map(|d| (client, d)) } else { None }
    };
    volumes.iter().filter_map(fit).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(client, _)| client)
}

/// People's hours, none of a person next to each other: half of them such in which something was said.
fn people(traffic: &Traffic, limits: Limits, dice: &mut Dice) -> Vec<PersonSample> {
    let (hours, count) = (limits.warm_up..traffic.shape.hours, limits.people);
    let mut said: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    for message in &traffic.messages {
        let hour = (message.at / HOUR) as u32;
        *said.entry((message.from, hour)).or_default() += 1;
        *said.entry((message.to, hour)).or_default() += 1;
    }
    let here = |client: u32, hour: u32| {
        let (from, until) = Window { start: hour, hours: 1 }.span();
        let spans = &traffic.online[client as usize];
        overlap(spans, spans, from, until) == until - from
    };
    let all =
        (0..traffic.shape.clients).flat_map(|client| hours.clone().map(move |hour| (client, hour)));
    let mut all: Vec<_> = all.filter(|&(client, hour)| here(client, hour)).collect();
    dice.shuffle(&mut all);
    let (mut loud, mut quiet) = (Vec::new(), Vec::new());
    let mut taken = std::collections::BTreeSet::new();
    for (client, hour) in all {
        if (hour.saturating_sub(1)..=hour + 1).any(|near| taken.contains(&(client, near))) {
            continue;
        }
        let messages = said.get(&(client, hour)).copied().unwrap_or(0);
        let list = if messages > 0 { &mut loud } else { &mut quiet };
        if list.len() < count.div_ceil(2) {
            taken.insert((client, hour));
            list.push(PersonSample { hour, client, messages });
        }
    }
    loud.extend(quiet);
    loud.truncate(count);
    loud
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Shape;

    const LIMITS: Limits = Limits { pairs: 200, people: 200, windows: &[1, 24], warm_up: 0 };

    fn runs() -> Vec<(Traffic, Plan)> {
        let one = |seed| {
            let traffic = Traffic::new(Shape::talkative(100, 24), seed);
            let plan = Plan::new(&traffic, LIMITS, seed);
            (traffic, plan)
        };
        (1..4).map(one).collect()
    }

    #[test]
    fn a_warm_up_is_watched_and_not_judged() {
        let traffic = Traffic::new(Shape::talkative(100, 24), 1);
        let plan = Plan::new(&traffic, Limits { windows: &[1], warm_up: 20, ..LIMITS }, 1);
        assert!(
            plan.pairs.iter().all(|sample| sample.window.start >= 20) && !plan.pairs.is_empty()
        );
        assert!(plan.people.iter().all(|sample| sample.hour >= 20) && !plan.people.is_empty());
        let judged = (0..100).filter(|&client| plan.watches(client)).collect::<Vec<u32>>();
        assert_eq!(plan.watched(3), judged);
        assert!(plan.watched(22).len() < judged.len());
    }

    #[test]
    fn positives_talk_and_negatives_are_strangers() {
        for (traffic, plan) in runs() {
            for sample in &plan.pairs {
                let (from, until) = sample.window.span();
                let (a, b) = sample.pair;
                let said = traffic.between(from, until);
                let way = |x, y| said.iter().filter(|m| m.from == x && m.to == y).count();
                if sample.talks {
                    assert!(way(a, b) >= 10 && way(b, a) >= 10);
                } else {
                    assert!(!traffic.know(a, b) && way(a, b) + way(b, a) == 0);
                    for who in [a, b] {
                        assert!(said.iter().filter(|m| m.from == who).count() >= 10);
                        assert!(said.iter().filter(|m| m.to == who).count() >= 10);
                    }
                }
            }
        }
    }

    #[test]
    fn classes_are_as_large_and_alike_in_volume_and_presence() {
        let mut figures = [[0.0; 3]; 2];
        for (traffic, plan) in runs() {
            for sample in plan.pairs.iter().filter(|sample| sample.window.hours == 1) {
                let (from, until) = sample.window.span();
                let (a, b) = sample.pair;
                let said = traffic.between(from, until);
                let volume = said.iter().filter(|m| [a, b].contains(&m.from)).count();
                let spans = (&traffic.online[a as usize], &traffic.online[b as usize]);
                let together = overlap(spans.0, spans.1, from, until) as f64 / HOUR as f64;
                let of = &mut figures[usize::from(sample.talks)];
                *of = [of[0] + 1.0, of[1] + volume as f64, of[2] + together];
            }
        }
        let [no, yes] = figures;
        assert!(yes[0] >= 60.0 && (yes[0] - no[0]).abs() < 0.5, "{figures:?}");
        assert!((yes[1] / no[1] - 1.0).abs() < 0.12, "{figures:?}");
        assert!((yes[2] / no[2] - 1.0).abs() < 0.03, "{figures:?}");
    }

    #[test]
    fn peoples_hours_are_apart_from_one_another() {
        for (_, plan) in runs() {
            assert!(plan.people.len() >= 150);
            let mut seen: Vec<_> = plan.people.iter().map(|s| (s.client, s.hour)).collect();
            seen.sort_unstable();
            assert!(seen.windows(2).all(|w| w[0].0 != w[1].0 || w[0].1 + 1 < w[1].1));
        }
    }
}
