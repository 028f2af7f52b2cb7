//! When clients are online. It follows their owners' days, and never what they talk about.

use crate::dice::Dice;
use crate::record::{HOUR, Micros};

use super::Shape;

/// A time online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From.
    pub from: Micros,
    /// Until, excluded.
    pub until: Micros,
}

/// How a device is used.
#[derive(Clone, Copy)]
enum Habit {
    /// A machine that stays on: what the daemon does by default.
    Always,
    /// From morning to night.
    Days,
    /// On and off, hours at a time.
    Patches,
}

pub(super) fn contains(spans: &[Span], at: Micros) -> bool {
    spans.iter().any(|span| span.from <= at && at < span.until)
}

/// For how long, of a stretch of time, all of these are online.
pub fn overlap(a: &[Span], b: &[Span], from: Micros, until: Micros) -> Micros {
    let mut both = 0;
    for one in a {
        for other in b {
            let start = one.from.max(other.from).max(from);
            let end = one.until.min(other.until).min(until);
            both += end.saturating_sub(start);
        }
    }
    both
}

pub(super) fn presence(shape: Shape, dice: &mut Dice) -> Vec<Vec<Span>> {
    (0..shape.clients).map(|_| of_one(shape, dice)).collect()
}

fn of_one(shape: Shape, dice: &mut Dice) -> Vec<Span> {
    let end = u64::from(shape.hours) * HOUR;
    let earlier = |at: Micros| at.saturating_sub(u64::from(shape.first_hour) * HOUR);
    let habit = [Habit::Always, Habit::Days, Habit::Patches][dice.weighted(&[0.6, 0.25, 0.15])];
    let spans = match habit {
        Habit::Always => vec![Span { from: 0, until: end }],
        Habit::Days => days((shape.first_hour + shape.hours).div_ceil(24), dice)
            .into_iter()
            .map(|span| Span { from: earlier(span.from), until: earlier(span.until) })
            .collect(),
        Habit::Patches => patches(f64::from(shape.hours), dice),
    };
    let cut = |span: Span| Span { from: span.from.min(end), until: span.until.min(end) };
    let spans: Vec<_> = spans.into_iter().map(cut).filter(|span| span.until > span.from).collect();
    // Somebody who never comes is nobody.
    if spans.is_empty() { vec![Span { from: 0, until: end }] } else { spans }
}

fn days(count: u32, dice: &mut Dice) -> Vec<Span> {
    let (rises, sleeps) = (dice.between(6.0, 10.0), dice.between(21.0, 23.9));
    let mut one = |day: u32| {
        let start = 24.0 * f64::from(day);
        let from = hours(start + (rises + 0.5 * dice.normal()).clamp(4.0, 12.0));
        Span { from, until: hours(start + (sleeps + 0.4 * dice.normal()).clamp(18.0, 24.0)) }
    };
    (0..count).map(&mut one).collect()
}

fn patches(length: f64, dice: &mut Dice) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = dice.exponential(2.0);
    while at < length {
        let until = at + dice.between(0.7, 4.0);
        spans.push(Span { from: hours(at), until: hours(until) });
        at = until + 0.2 + dice.exponential(2.0);
    }
    spans
}

pub(super) fn hours(hours: f64) -> Micros {
    (hours * HOUR as f64) as Micros
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_sorted_apart_and_within_the_run() {
        let shape = Shape::talkative(200, 72);
        for spans in presence(shape, &mut Dice::new(1, 1)) {
            assert!(spans.windows(2).all(|w| w[0].until < w[1].from));
            assert!(spans.iter().all(|s| s.from < s.until && s.until <= 72 * HOUR));
        }
    }

    #[test]
    fn overlap_counts_what_is_shared() {
        let span = |from, until| Span { from, until };
        assert_eq!(overlap(&[span(0, 10), span(20, 30)], &[span(5, 25)], 0, 100), 10);
        assert_eq!(overlap(&[span(0, 10)], &[span(0, 10)], 4, 6), 2);
        assert_eq!(overlap(&[span(0, 10)], &[span(10, 20)], 0, 100), 0);
    }
}
