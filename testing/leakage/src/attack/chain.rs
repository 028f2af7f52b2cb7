//! Following a lane: of all boxes that were written soon after one, which is the next one of its lane.
//!
//! AUC says how well two boxes are told apart that were written at the same time. Whoever follows a lane has to name one of all, and the next one after that: so
//! this says how often that is right, and what of it is already said by the times at which boxes are written.

use crate::dice::Dice;
use crate::learn::{Goal, Table};
use crate::record::{HOUR, Micros};
use crate::stats::{self, Interval};

/// The next one is looked for among all boxes that were written so soon after.
pub const WITHIN: Micros = HOUR / 4;

/// Boxes of other lanes from which is learned, for each next one.
const LEARNED: usize = 10;

/// The place of the time between two boxes among what is looked at of them.
const TIME: usize = 0;

/// One box whose next one is looked for.
#[derive(Debug, Clone)]
pub struct Search {
    /// The run.
    pub seed: u64,
    /// What is seen of it and of the next one of its lane.
    pub next: Vec<f64>,
    /// Of it and of each box of other people's lanes that was written within [`WITHIN`].
    pub others: Vec<Vec<f64>>,
    /// Somebody had asked for the next one before it was written.
    pub was_awaited: bool,
}

/// By what is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By the time between two boxes, which no system hides that brings them at once.
    Time,
    /// By everything that is seen.
    Everything,
}

/// How well lanes are followed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Followed {
    /// By what.
    pub by: By,
    /// Only where the next box was asked for before it was written, or only where it was not; all, if none.
    pub awaited: Option<bool>,
    /// How often the best guess is right.
    pub right: Interval,
    /// With how many guesses it is found, and of how many: medians.
    pub rank: (f64, f64),
    /// Searches.
    pub count: usize,
}

/// Searches of all runs, by what was learned of other runs.
pub fn follow(searches: &[Search]) -> Vec<Followed> {
    let mut all = Vec::new();
    for by in [By::Time, By::Everything] {
        let ranks = ranks(searches, by);
        for awaited in [None, Some(false), Some(true)] {
            let these: Vec<_> = searches
                .iter()
                .zip(&ranks)
                .filter(|(search, _)| awaited.is_none_or(|is| search.was_awaited == is))
                .collect();
            if !these.is_empty() {
                all.push(followed(by, awaited, &these));
            }
        }
    }
    all
}

fn followed(by: By, awaited: Option<bool>, these: &[(&Search, &f64)]) -> Followed {
    let mut seeds: Vec<u64> = these.iter().map(|(search, _)| search.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let of_seed = |seed: &u64| {
        let mine = these.iter().filter(|(search, _)| search.seed == *seed);
        let (mut right, mut count) = (0.0, 0.0);
        for (_, rank) in mine {
            right += f64::from(u8::from(**rank < 1.5));
            count += 1.0;
        }
        (right, count)
    };
    let runs: Vec<(f64, f64)> = seeds.iter().map(of_seed).collect();
    let right = stats::bootstrap_of(runs.len(), |drawn| {
        let right: f64 = drawn.iter().map(|run| runs[*run].0).sum();
        right / drawn.iter().map(|run| runs[*run].1).sum::<f64>().max(1.0)
    });
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        stats::quantile(&values, 0.5)
    };
    let rank = median(these.iter().map(|(_, rank)| **rank).collect());
    let among = median(these.iter().map(|(search, _)| search.others.len() as f64 + 1.0).collect());
    Followed { by, awaited, right, rank: (rank, among), count: these.len() }
}

/// The place of each next one among all, the likeliest first; of those that are as likely half come before it.
fn ranks(searches: &[Search], by: By) -> Vec<f64> {
    let scores = match by {
        By::Time => by_time(searches),
        By::Everything => {
            let beside = besides_time(searches);
            by_time(searches).iter().zip(beside).map(|(time, beside)| time + beside).collect()
        }
    };
    let mut left = scores.as_slice();
    let rank = |search: &Search| {
        let (mine, others) = left.split_at(search.others.len() + 1);
        left = others;
        let (next, others) = mine.split_first()?;
        let before = others.iter().filter(|score| *score > next).count() as f64;
        let beside = others.iter().filter(|score| *score == next).count() as f64;
        Some(1.0 + before + beside / 2.0)
    };
    searches.iter().map(rank).map(|rank| rank.unwrap_or(f64::MAX)).collect()
}

/// By when each box was written, how likely it is the next one: the logarithm of its odds.
fn by_time(searches: &[Search]) -> Vec<f64> {
    let mut dice = Dice::new(searches.len() as u64, 0x6368_6169);
    let any = |search: &Search| -> Vec<usize> {
        let (count, all) = (LEARNED.min(search.others.len()), search.others.len());
        (0..count).map(|_| dice.index(all)).collect()
    };
    let learned = table(searches, any).column(TIME);
    odds(&learned.judge(&table(searches, all).column(TIME), Goal::Classes))
}

/// The same by everything else: learned from boxes of others that were written when the next one was.
fn besides_time(searches: &[Search]) -> Vec<f64> {
    let beside = |search: &Search| -> Vec<usize> {
        let apart = |i: &usize| (search.others[*i][TIME] - search.next[TIME]).abs();
        all(search).into_iter().min_by(|a, b| apart(a).total_cmp(&apart(b))).into_iter().collect()
    };
    odds(&table(searches, beside).judge(&table(searches, all), Goal::Classes))
}

/// The next box of each search, and after it some of the others.
fn table(searches: &[Search], mut some: impl FnMut(&Search) -> Vec<usize>) -> Table {
    let mut table = Table::default();
    for search in searches {
        table.add(search.next.clone(), 1.0, search.seed);
        for other in some(search) {
            table.add(search.others[other].clone(), 0.0, search.seed);
        }
    }
    table
}

fn all(search: &Search) -> Vec<usize> {
    (0..search.others.len()).collect()
}

/// Of estimated shares the logarithms of their odds.
fn odds(shares: &[f64]) -> Vec<f64> {
    let one = |share: &f64| {
        let share = share.clamp(0.001, 0.999);
        (share / (1.0 - share)).ln()
    };
    shares.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of ten times ten boxes of eight runs, in which the second sign of the next one is `shift` deviations from that of others.
    fn searches(shift: f64) -> Vec<Search> {
        let mut dice = Dice::new(7, 0);
        let mut all = Vec::new();
        for seed in 0..8 {
            for number in 0..10 {
                let mut row = |shift: f64| vec![dice.unit(), dice.normal() + shift];
                let next = row(shift);
                let others = (0..99).map(|_| row(0.0)).collect();
                all.push(Search { seed, next, others, was_awaited: number % 2 == 0 });
            }
        }
        all
    }

    fn found(all: &[Followed], by: By, awaited: Option<bool>) -> Followed {
        let is = |one: &&Followed| one.by == by && one.awaited == awaited;
        *all.iter().find(is).expect("it was asked")
    }

    #[test]
    fn what_tells_the_next_box_is_found_and_time_that_does_not_is_not() {
        let all = follow(&searches(9.0));
        assert_eq!(all.len(), 6);
        let by_everything = found(&all, By::Everything, None);
        assert!(by_everything.right.low > 0.9, "{by_everything:?}");
        assert_eq!((by_everything.rank, by_everything.count), ((1.0, 100.0), 80));
        let by_time = found(&all, By::Time, None);
        assert!(by_time.right.high < 0.1 && by_time.rank.0 > 20.0, "{by_time:?}");
    }

    #[test]
    fn where_nothing_tells_it_one_guess_in_a_hundred_is_right() {
        let all = follow(&searches(0.0));
        let nothing = found(&all, By::Everything, None);
        assert!(nothing.right.value < 0.08 && nothing.rank.0 > 25.0, "{nothing:?}");
    }

    #[test]
    fn boxes_that_were_awaited_are_counted_apart() {
        let mut searches = searches(9.0);
        for search in searches.iter_mut().filter(|search| !search.was_awaited) {
            search.next[1] -= 9.0;
        }
        let all = follow(&searches);
        let awaited = found(&all, By::Everything, Some(true));
        let not = found(&all, By::Everything, Some(false));
        assert!(awaited.right.low > 0.8 && awaited.count == 40, "{awaited:?}");
        assert!(not.right.high < 0.3 && not.count == 40, "{not:?}");
        assert_eq!(follow(&[]), Vec::new());
    }
}
