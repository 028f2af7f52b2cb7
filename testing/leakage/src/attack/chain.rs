//! Following a lane: of all boxes that were written soon after one, which is the next one of its lane.
//!
//! AUC says how well two boxes are told apart that were written at the same time. Whoever follows a lane has to name one of all, and the next one after that: so
//! this says how often that is right, and what of it is already said by the times at which boxes are written.

use std::collections::BTreeMap;

use crate::dice::Dice;
use crate::learn::{Goal, Table};
use crate::record::{HOUR, Micros};
use crate::stats::{self, Interval};

/// The next one is looked for among all boxes that were written so soon after.
pub const WITHIN: Micros = HOUR / 4;

/// Boxes of other lanes from which is learned, for each next one: any of all, and those written at nearly the same time as it.
const ANY: usize = 10;
const NEAR: usize = 3;

/// With fewer runs too little is learned to say that nothing is found.
const LEAST_RUNS: usize = 6;

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
    /// By everything that is seen, in whichever of three ways is right most often: by the time alone, by one model of everything, or by the odds of
    /// the time and those of everything besides.
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

/// Where the next box is among all that it was looked for among.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// How many are more likely, and how many as likely.
    before: f64,
    beside: f64,
}

impl Place {
    fn rank(self) -> f64 {
        1.0 + self.before + self.beside / 2.0
    }

    /// How likely the best guess is right; of several that are as likely any may be taken.
    fn right(self) -> f64 {
        if self.before > 0.0 { 0.0 } else { 1.0 / (1.0 + self.beside) }
    }
}

/// Searches of all runs, by what was learned of other runs; nothing of too few runs.
pub fn follow(searches: &[Search]) -> Vec<Followed> {
    if table(searches, |_| Vec::new()).runs().len() < LEAST_RUNS {
        return Vec::new();
    }
    let (time, besides) = (by_time(searches), besides_time(searches));
    let both: Vec<f64> = time.iter().zip(besides).map(|(time, besides)| time + besides).collect();
    let ways = [time, both, together(searches)].map(|scores| places(searches, &scores));
    let mut all = Vec::new();
    for awaited in [None, Some(false), Some(true)] {
        let mine: Vec<usize> = (0..searches.len())
            .filter(|at| awaited.is_none_or(|is| searches[*at].was_awaited == is))
            .collect();
        if mine.is_empty() {
            continue;
        }
        let of = |by, places: &[Place]| followed(by, awaited, searches, places, &mine);
        let better = |one: Followed, next: Followed| {
            if next.right.value > one.right.value { next } else { one }
        };
        let best = ways.iter().map(|places| of(By::Everything, places)).reduce(better);
        all.push(of(By::Time, &ways[0]));
        all.extend(best);
    }
    all
}

fn followed(
    by: By,
    awaited: Option<bool>,
    searches: &[Search],
    places: &[Place],
    mine: &[usize],
) -> Followed {
    let mut runs: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for &at in mine {
        let (right, count) = runs.entry(searches[at].seed).or_default();
        (*right, *count) = (*right + places[at].right(), *count + 1.0);
    }
    let runs: Vec<(f64, f64)> = runs.into_values().collect();
    let right = stats::bootstrap_of(runs.len(), |drawn| {
        let right: f64 = drawn.iter().map(|run| runs[*run].0).sum();
        right / drawn.iter().map(|run| runs[*run].1).sum::<f64>().max(1.0)
    });
    let median = |values: &mut dyn Iterator<Item = f64>| {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        stats::quantile(&values, 0.5)
    };
    let rank = median(&mut mine.iter().map(|&at| places[at].rank()));
    let among = median(&mut mine.iter().map(|&at| searches[at].others.len() as f64 + 1.0));
    Followed { by, awaited, right, rank: (rank, among), count: mine.len() }
}

/// Where each next one is, by the scores of all, which [`table`] has put into one row.
fn places(searches: &[Search], scores: &[f64]) -> Vec<Place> {
    let mut left = scores;
    let place = |search: &Search| {
        let (mine, others) = left.split_at(search.others.len() + 1);
        left = others;
        let count = |is: fn(&f64, &f64) -> bool| {
            mine[1..].iter().filter(|score| is(score, &mine[0])).count() as f64
        };
        Place { before: count(|one, next| one > next), beside: count(|one, next| one == next) }
    };
    searches.iter().map(place).collect()
}

/// By when each box was written, how likely it is the next one: the logarithm of its odds.
fn by_time(searches: &[Search]) -> Vec<f64> {
    let mut dice = Dice::new(searches.len() as u64, 0x6368_6169);
    let learned = table(searches, |search| any(search, &mut dice)).column(TIME);
    odds(&learned.judge(&table(searches, all).column(TIME), Goal::Classes))
}

/// The same by everything else: learned from boxes of others that were written when the next one was.
fn besides_time(searches: &[Search]) -> Vec<f64> {
    odds(&table(searches, near).judge(&table(searches, all), Goal::Classes))
}

/// By everything at once.
fn together(searches: &[Search]) -> Vec<f64> {
    let mut dice = Dice::new(searches.len() as u64, 0x746f_6765);
    let learned = table(searches, |search| [any(search, &mut dice), near(search)].concat());
    learned.judge(&table(searches, all), Goal::Classes)
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

fn any(search: &Search, dice: &mut Dice) -> Vec<usize> {
    let count = search.others.len();
    (0..ANY.min(count)).map(|_| dice.index(count)).collect()
}

fn near(search: &Search) -> Vec<usize> {
    let apart = |at: &usize| (search.others[*at][TIME] - search.next[TIME]).abs();
    let mut near = all(search);
    near.sort_by(|a, b| apart(a).total_cmp(&apart(b)));
    near.truncate(NEAR);
    near
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
    }

    /// The next one comes soon, and besides something else grows with the time, as it does for boxes that are asked for at any time.
    #[test]
    fn what_goes_with_the_time_takes_nothing_from_it() {
        let mut searches = searches(0.0);
        for search in &mut searches {
            search.next[TIME] *= 0.02;
            for row in search.others.iter_mut().chain([&mut search.next]) {
                row[1] = 3.0 * row[TIME];
            }
        }
        let all = follow(&searches);
        let by_time = found(&all, By::Time, None);
        assert!(by_time.rank.0 < 5.0 && by_time.right.value > 0.2, "{by_time:?}");
        assert!(found(&all, By::Everything, None).right.value >= by_time.right.value);
    }

    #[test]
    fn of_ties_any_is_guessed_and_few_runs_say_nothing() {
        let mut same = searches(0.0);
        for search in &mut same {
            search.next = vec![1.0, 1.0];
            search.others = vec![search.next.clone(); 3];
        }
        let chance = found(&follow(&same), By::Everything, None);
        assert_eq!((chance.right.value, chance.rank), (0.25, (2.5, 4.0)));
        let few: Vec<_> = searches(9.0).into_iter().filter(|search| search.seed < 5).collect();
        assert_eq!(follow(&few), Vec::new());
        assert_eq!(follow(&[]), Vec::new());
    }
}
