//! Conversations: sittings of two people in which one writes, the other answers, and a while later they do it again.

use std::collections::BTreeMap;

use crate::dice::Dice;
use crate::record::{HOUR, Micros, SECOND};

use super::presence::{Span, contains, hours, overlap};
use super::{Message, Shape};

/// How much people talk in each hour of the day, from midnight; only ratios matter.
const RHYTHM: [f64; 24] = [
    0.35, 0.2, 0.12, 0.08, 0.08, 0.12, 0.3, 0.6, 0.9, 1.0, 1.05, 1.1, 1.2, 1.15, 1.05, 1.05, 1.1,
    1.25, 1.4, 1.5, 1.6, 1.5, 1.1, 0.7,
];

/// Messages of one sitting.
const SITTING_MEDIAN: f64 = 30.0;
const SITTING_SIGMA: f64 = 0.8;
const SITTING_MOST: f64 = 250.0;

/// Of messages within a sitting, those that come from the other side than the one before.
const TURNS: f64 = 0.6;

/// Seconds until somebody goes on, and until the other one answers: medians and deviations of the logarithm.
const GO_ON: (f64, f64) = (7.0, 0.8);
const ANSWER: (f64, f64) = (18.0, 1.1);

/// Moments that are tried for a sitting of two who may be in one already.
const TRIES: usize = 20;

/// Single messages that do not begin a sitting, to each sitting. Their readers need not be online.
const NOTES: f64 = 1.5;

/// The moments at which the two sides of one lane write, without saying who: what a decoy replays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rhythm {
    /// In the order of time.
    pub moments: Vec<Micros>,
}

/// What two have said to each other before the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// For so long they have known each other, or have had their keys.
    pub known_for: Micros,
    /// How long before its beginning something was said, and whether by the one with the higher number; the earliest first.
    pub said: Vec<(Micros, bool)>,
    /// The same of what was said before they had those keys.
    pub before: Vec<(Micros, bool)>,
}

/// What was said before that is as if never said.
const REMEMBERED: Micros = 120 * HOUR;

/// Lines from one renewal of keys to the next, of two who talk alike. A run begins anywhere between the two.
const RENEWED_EVERY: usize = 50;

/// How much of what people say goes to each of those whom they know: most of it to few.
pub(super) fn closeness(contacts: &[(u32, u32)], dice: &mut Dice) -> Vec<f64> {
    contacts.iter().map(|_| dice.lognormal(1.0, 1.0)).collect()
}

/// How much more people talk in the hours of a run than in a whole day's.
pub(super) fn busyness(shape: Shape) -> f64 {
    let hours = (0..shape.hours).map(|hour| RHYTHM[(shape.first_hour + hour) as usize % 24]);
    let here = hours.sum::<f64>() / f64::from(shape.hours);
    here / (RHYTHM.iter().sum::<f64>() / 24.0)
}

/// What two have said before a run, who sit together so often a day.
pub(super) fn earlier(shape: Shape, sittings_a_day: f64, dice: &mut Dice) -> Earlier {
    let most = 1 + dice.index(RENEWED_EVERY);
    let (mut said, mut before) = (Vec::new(), 0);
    while before < REMEMBERED {
        before = one_before(shape, before, sittings_a_day * (1.0 + NOTES), dice);
        let mut turns = Turns::new(dice);
        let is_note = dice.chance(NOTES / (1.0 + NOTES));
        let lines = if is_note { 1 } else { lines(dice) };
        // The last one first: a sitting is the same backwards.
        for _ in 0..lines {
            said.push((before + turns.at, turns.is_other));
            turns.next(dice);
        }
        before += turns.at;
    }
    said.retain(|(before, _)| *before < REMEMBERED);
    let mut before = said.split_off(most.min(said.len()));
    let first = said.last().filter(|_| said.len() == most).map(|(before, _)| before + 1);
    said.reverse();
    before.reverse();
    Earlier { known_for: first.unwrap_or(REMEMBERED), said, before }
}

/// How long before the run something is said, the last thing before another one: a process of Poisson whose rate goes with
/// the hour of the day, thinned from that of the busiest hour (Lewis and Shedler 1979).
fn one_before(shape: Shape, mut before: Micros, times_a_day: f64, dice: &mut Dice) -> Micros {
    let busiest = RHYTHM.iter().copied().fold(0.0, f64::max);
    let rate = times_a_day / 24.0 * busiest / (RHYTHM.iter().sum::<f64>() / 24.0);
    loop {
        before += hours(dice.exponential(1.0 / rate));
        // The day begins with the run's first hour, and runs backwards.
        let hours_before = (before / HOUR) as usize % 24;
        let hour = (shape.first_hour as usize + 23 - hours_before) % 24;
        if dice.chance(RHYTHM[hour] / busiest) {
            return before;
        }
    }
}

pub(super) fn messages(
    shape: Shape,
    contacts: &[(u32, u32)],
    closeness: &[f64],
    online: &[Vec<Span>],
    dice: &mut Dice,
) -> Vec<Message> {
    let mut messages = Vec::new();
    if contacts.is_empty() {
        return messages;
    }
    let days = f64::from(shape.hours) / 24.0;
    let sittings = (f64::from(shape.clients) * shape.sessions_a_day * days / 2.0).round() as usize;
    let mut sat: BTreeMap<(u32, u32), Vec<Span>> = BTreeMap::new();
    for _ in 0..sittings {
        let pair = contacts[dice.weighted(closeness)];
        let spans = (&online[pair.0 as usize][..], &online[pair.1 as usize][..]);
        let before = sat.entry(pair).or_default();
        if let Some(said) = one_more_sitting(shape, pair, spans, before, dice) {
            messages.extend(said);
        }
    }
    for _ in 0..(sittings as f64 * NOTES) as usize {
        let (one, other) = contacts[dice.weighted(closeness)];
        let (from, to) = if dice.chance(0.5) { (one, other) } else { (other, one) };
        let at = moment(shape, dice);
        if contains(&online[from as usize], at) {
            messages.push(Message { at, from, to });
        }
    }
    messages.sort_by_key(|message| (message.at, message.from, message.to));
    messages
}

/// Any moment of the run, by the hour of the day.
fn moment(shape: Shape, dice: &mut Dice) -> Micros {
    let weights: Vec<f64> = (0..shape.hours as usize)
        .map(|hour| RHYTHM[(hour + shape.first_hour as usize) % 24])
        .collect();
    let hour = dice.weighted(&weights) as u64;
    hour * HOUR + dice.index(HOUR as usize) as u64
}

/// A moment at which both are online; none if they hardly ever are.
fn common_moment(shape: Shape, spans: (&[Span], &[Span]), dice: &mut Dice) -> Option<Micros> {
    if overlap(spans.0, spans.1, 0, u64::from(shape.hours) * HOUR) < HOUR {
        return None;
    }
    (0..200).map(|_| moment(shape, dice)).find(|&at| contains(spans.0, at) && contains(spans.1, at))
}

/// At a time at which the two do not sit together anyway; none if they hardly ever are both there.
fn one_more_sitting(
    shape: Shape,
    pair: (u32, u32),
    spans: (&[Span], &[Span]),
    before: &mut Vec<Span>,
    dice: &mut Dice,
) -> Option<Vec<Message>> {
    for _ in 0..TRIES {
        let start = common_moment(shape, spans, dice)?;
        let said = sitting(pair, start, spans, dice);
        let span = Span { from: start, until: said.last()?.at };
        if before.iter().all(|other| span.until < other.from || other.until < span.from) {
            before.push(span);
            return Some(said);
        }
    }
    None
}

fn sitting(
    (one, other): (u32, u32),
    start: Micros,
    spans: (&[Span], &[Span]),
    dice: &mut Dice,
) -> Vec<Message> {
    let mut said = Vec::new();
    let count = lines(dice);
    let mut turns = Turns::new(dice);
    for _ in 0..count {
        // Who leaves ends it.
        let at = start + turns.at;
        if !contains(spans.0, at) || !contains(spans.1, at) {
            break;
        }
        let (from, to) = if turns.is_other { (other, one) } else { (one, other) };
        said.push(Message { at, from, to });
        turns.next(dice);
    }
    said
}

/// Messages of one sitting.
fn lines(dice: &mut Dice) -> usize {
    dice.lognormal(SITTING_MEDIAN, SITTING_SIGMA).clamp(2.0, SITTING_MOST) as usize
}

/// Who of two says something, and how long after the first time: one answers the other, or goes on.
struct Turns {
    at: Micros,
    is_other: bool,
}

impl Turns {
    fn new(dice: &mut Dice) -> Self {
        Self { at: 0, is_other: !dice.chance(0.5) }
    }

    fn next(&mut self, dice: &mut Dice) {
        let turn = dice.chance(TURNS);
        let (median, sigma) = if turn { ANSWER } else { GO_ON };
        self.is_other ^= turn;
        self.at += (dice.lognormal(median, sigma).clamp(1.0, 600.0) * SECOND as f64) as Micros;
    }
}

impl Rhythm {
    /// A lane of somebody who lives on another day: the moments of one side of a pair.
    pub fn of_lane(messages: &[Message], from: u32, to: u32) -> Self {
        let lane = messages.iter().filter(|message| message.from == from && message.to == to);
        Self { moments: lane.map(|message| message.at).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decoys live by what was said before: were that flat over the day, people would stand out from them by the hour.
    #[test]
    fn what_was_said_before_follows_the_hours_of_the_day() {
        let shape = Shape { first_hour: 19, ..Shape::talkative(2, 4) };
        let mut dice = Dice::new(2, 1);
        let (times, mut before, mut of_hours) = (20_000, 0, [0.0; 24]);
        for _ in 0..times {
            before = one_before(shape, before, 6.0, &mut dice);
            let day = 24 * HOUR;
            let of_day = (19 * HOUR + day - before % day) % day;
            of_hours[(of_day / HOUR) as usize] += 1.0;
        }
        let days = before as f64 / (24 * HOUR) as f64;
        assert!((5.9..6.1).contains(&(f64::from(times) / days)), "{days}");
        let all: f64 = RHYTHM.iter().sum();
        for (hour, (found, share)) in of_hours.iter().zip(RHYTHM).enumerate() {
            let expected = f64::from(times) * share / all;
            assert!(
                (found - expected).abs() < 5.0 * expected.sqrt(),
                "{hour}: {found}, {expected}"
            );
        }
        assert!((busyness(Shape { hours: 24, ..shape }) - 1.0).abs() < 1e-9);
        let evening = of_hours[19..23].iter().sum::<f64>() / 4.0;
        let usual = f64::from(times) / 24.0;
        assert!((evening / usual / busyness(shape) - 1.0).abs() < 0.05, "{evening}, {usual}");
    }

    /// Nobody sits down with somebody with whom they sit already: their lines would come twice as fast as those of people.
    #[test]
    fn two_people_are_in_one_sitting_at_a_time() {
        let shape = Shape { first_hour: 19, ..Shape::talkative(2, 4) };
        let always = [Span { from: 0, until: 4 * HOUR }];
        let mut dice = Dice::new(1, 1);
        let (mut before, mut found) = (Vec::new(), 0);
        for _ in 0..40 {
            let said = one_more_sitting(shape, (0, 1), (&always, &always), &mut before, &mut dice);
            let Some(said) = said else { continue };
            found += 1;
            let span = before.last().expect("it is noted");
            assert!(said.iter().all(|message| (span.from..=span.until).contains(&message.at)));
        }
        assert_eq!(found, before.len());
        assert!((5..40).contains(&found), "as many as there is time for: {found}");
        before.sort_by_key(|span| span.from);
        assert!(before.windows(2).all(|two| two[0].until < two[1].from));
    }
}
