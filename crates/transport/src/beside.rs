//! Whether more packets of one kind are lost than of others that left at the same moments.
//!
//! The test of Cochran, Mantel and Haenszel (N. Mantel, W. Haenszel, J. Natl. Cancer Inst. 22, 1959), with tables that count less
//! with each later one.

/// What a table counts after each later one: half after seventy.
const FADING: f64 = 0.99;

/// Packets by which a difference is judged, weighed by how evenly the tables have both kinds. With fewer, and one packet in fifty
/// lost, a handful of lost ones looks far from chance.
const ENOUGH: f64 = 30.0;

/// So much greater a share of losses is not that of a store that is well.
const MORE: f64 = 0.15;

/// Standard deviations that are far from chance, though it is asked with every table.
const FAR_FROM_CHANCE: f64 = 4.0;

/// Packets of one kind in one table.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Outcomes {
    pub(crate) passed: f64,
    pub(crate) lost: f64,
}

/// All tables so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Beside {
    /// Lost packets of the one kind beyond what is expected, and the variance of that.
    excess: f64,
    variance: f64,
    /// The common difference of the two shares of losses is the first of these over the second.
    apart: f64,
    weight: f64,
}

impl Beside {
    /// One more table: the one kind and the others.
    pub(crate) fn note(&mut self, [own, others]: [Outcomes; 2]) {
        self.excess *= FADING;
        self.variance *= FADING * FADING;
        self.apart *= FADING;
        self.weight *= FADING;
        let (mine, theirs) = (own.passed + own.lost, others.passed + others.lost);
        let (all, lost) = (mine + theirs, own.lost + others.lost);
        if mine == 0.0 || theirs == 0.0 {
            return;
        }
        self.excess += own.lost - mine * lost / all;
        self.variance += mine * theirs * lost * (all - lost) / (all * all * (all - 1.0));
        self.apart += (own.lost * theirs - others.lost * mine) / all;
        self.weight += mine * theirs / all;
    }

    /// Whether so many more of the one kind are lost that it is far from chance.
    pub(crate) fn more_are_lost(&self) -> bool {
        self.weight >= ENOUGH
            && self.apart > MORE * self.weight
            && self.excess > FAR_FROM_CHANCE * self.variance.sqrt()
    }

    /// Whether it is known that no more are lost, or hardly more.
    pub(crate) fn is_well(&self) -> bool {
        self.weight >= ENOUGH && self.apart < MORE / 2.0 * self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many tables, if at all, more of the one kind are taken for lost: three of twenty are of that kind, and the nth
    /// packet of its kind is lost where these say so.
    fn found(
        tables: u32,
        own_is_lost: impl Fn(u32) -> bool,
        other_is_lost: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let outcomes = |range: core::ops::Range<u32>, is_lost: &dyn Fn(u32) -> bool| {
            let all = f64::from(range.end - range.start);
            let lost = range.filter(|n| is_lost(*n)).count() as f64;
            Outcomes { passed: all - lost, lost }
        };
        let mut beside = Beside::default();
        (0..tables).find(|n| {
            let own = outcomes(n * 3..n * 3 + 3, &own_is_lost);
            beside.note([own, outcomes(n * 17..n * 17 + 17, &other_is_lost)]);
            beside.more_are_lost()
        })
    }

    #[test]
    fn half_and_a_quarter_are_found_within_four_hundred_packets() {
        for share in [2, 4] {
            let after = found(1_000, |n| n % share == 0, |n| n % 50 == 0);
            assert!(after.is_some_and(|tables| tables < 20), "{share}: {after:?}");
        }
    }

    #[test]
    fn what_is_lost_of_all_alike_is_not_found_however_much_it_is() {
        for every in [2, 3, 5, 50] {
            assert_eq!(found(2_000, |n| n % every == 0, |n| n % every == 1), None, "{every}");
        }
        // A minute in which everything is lost, each quarter of an hour.
        assert_eq!(found(2_000, |n| n % 150 < 10, |n| n % 850 < 56), None);
    }

    /// The one kind is asked for a lot when most is lost, and seldom when nothing is.
    #[test]
    fn nor_is_more_of_the_one_kind_when_all_is_bad() {
        let mut beside = Beside::default();
        for n in 0..2_000 {
            let is_bad = n % 100 < 20;
            let (mine, lost) = if is_bad { (16.0, 0.5) } else { (1.0, 0.0) };
            let of = |all: f64| Outcomes { passed: all - all * lost, lost: all * lost };
            beside.note([of(mine), of(20.0 - mine)]);
            assert!(!beside.more_are_lost(), "{n}");
        }
    }

    #[test]
    fn one_that_is_well_is_known_to_be() {
        let mut beside = Beside::default();
        let of = |passed: f64| Outcomes { passed, lost: 0.0 };
        let known = (0..100).position(|_| {
            beside.note([of(3.0), of(17.0)]);
            beside.is_well()
        });
        assert!(known.is_some_and(|tables| tables < 20), "{known:?}");
    }
}
