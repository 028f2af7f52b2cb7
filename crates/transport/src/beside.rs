//! Whether more packets of one kind are lost than of others that left at the same moments, and whether the packets themselves, and
//! not one of those who pass them on, are the reason.
//!
//! The test of Cochran, Mantel and Haenszel (N. Mantel, W. Haenszel, J. Natl. Cancer Inst. 22, 1959), with tables that count less
//! with each later one.

use std::collections::BTreeMap;
use std::ops::{AddAssign, MulAssign, Sub};

use xchat_directory::NodeId;

/// What a table counts after each later one of both kinds: half after seventy.
const FADING: f64 = 0.99;

/// Packets by which a difference is judged, weighed by how evenly the tables have both kinds. With fewer, and one packet in fifty
/// lost, a handful of lost ones looks far from chance.
const ENOUGH: f64 = 30.0;

/// So many of them must have passed other nodes than any single one.
const LEAST_REST: f64 = ENOUGH / 3.0;

/// So much greater a share of losses is not that of a store that is well.
const MORE: f64 = 0.15;

/// Standard deviations that are far from chance, though it is asked with every table.
const FAR_FROM_CHANCE: f64 = 4.0;

/// What passed a node is forgotten when it has come to less than this part of a packet: without it nothing would be different.
const LEAST: f64 = 0.25;

/// The nodes next to the store on a packet's way, which know that it goes there or comes from there.
pub(crate) type Next = [Option<NodeId>; 2];

/// A packet of the one kind.
pub(crate) struct Own {
    pub(crate) is_lost: bool,
    pub(crate) next: Next,
}

/// What a packet of the one kind, or many, add to the test.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// Lost ones beyond what is expected, and the variance of that.
    excess: f64,
    variance: f64,
    /// The common difference of the two shares of losses is the first of these over the second.
    apart: f64,
    weight: f64,
}

/// All tables so far; by node those parts of which one could be the reason instead. Bounded by the mixes of documents, and by
/// how many packets count yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside {
    all: Sums,
    over: BTreeMap<NodeId, Sums>,
}

impl Beside {
    /// One more table: packets of the one kind, and whether each of the others is lost.
    pub(crate) fn note(&mut self, own: &[Own], others: impl Iterator<Item = bool>) {
        let (mut theirs, mut their_lost) = (0.0, 0.0);
        for is_lost in others {
            theirs += 1.0;
            their_lost += f64::from(is_lost);
        }
        if own.is_empty() || theirs == 0.0 {
            return;
        }
        self.all *= FADING;
        for part in self.over.values_mut() {
            *part *= FADING;
        }
        let all = theirs + own.len() as f64;
        let lost = their_lost + own.iter().filter(|one| one.is_lost).count() as f64;
        for one in own {
            let is_lost = f64::from(one.is_lost);
            let sums = Sums {
                excess: is_lost - lost / all,
                variance: theirs * lost * (all - lost) / (all * all * (all - 1.0)),
                apart: (is_lost * theirs - their_lost) / all,
                weight: theirs / all,
            };
            self.all += sums;
            for node in one.next.into_iter().flatten() {
                *self.over.entry(node).or_default() += sums;
            }
        }
        self.over.retain(|_, part| part.weight >= LEAST);
    }

    /// Whether so many more of the one kind are lost that it is far from chance, also without what passed any one node.
    pub(crate) fn more_are_lost(&self) -> bool {
        self.all.weight >= ENOUGH
            && self.all.is_far_from_chance()
            && self.over.values().all(|part| {
                let rest = self.all - *part;
                rest.weight >= LEAST_REST && rest.is_far_from_chance()
            })
    }

    /// Whether it is known that no more are lost, or hardly more.
    pub(crate) fn is_well(&self) -> bool {
        self.all.weight >= ENOUGH && self.all.apart < MORE / 2.0 * self.all.weight
    }
}

impl Sums {
    fn is_far_from_chance(&self) -> bool {
        self.apart > MORE * self.weight
            && self.excess > FAR_FROM_CHANCE * self.variance.max(0.0).sqrt()
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, more: Self) {
        self.excess += more.excess;
        self.variance += more.variance;
        self.apart += more.apart;
        self.weight += more.weight;
    }
}

impl Sub for Sums {
    type Output = Self;

    fn sub(self, part: Self) -> Self {
        Self {
            excess: self.excess - part.excess,
            variance: self.variance - part.variance,
            apart: self.apart - part.apart,
            weight: self.weight - part.weight,
        }
    }
}

/// What all of them count later.
impl MulAssign<f64> for Sums {
    fn mul_assign(&mut self, factor: f64) {
        self.excess *= factor;
        // Of a sum of packets that count less.
        self.variance *= factor * factor;
        self.apart *= factor;
        self.weight *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of which the first so many are lost, over as many mixes as there are.
    fn packets(all: u32, lost: u32) -> Vec<Own> {
        let own = |n: u32| Own {
            is_lost: n < lost,
            next: [Some(NodeId::from_bytes([n as u8; 32])), None],
        };
        (0..all).map(own).collect()
    }

    /// After how many tables, if at all, more of the one kind are taken for lost: three of twenty are of that kind, and the nth
    /// packet of its kind is lost where these say so.
    fn found(
        tables: u32,
        own_is_lost: impl Fn(u32) -> bool,
        other_is_lost: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let mut beside = Beside::default();
        (0..tables).find(|n| {
            let mix = |packet: u32| NodeId::from_bytes([(packet / 5 % 4) as u8; 32]);
            let own =
                |packet| Own { is_lost: own_is_lost(packet), next: [Some(mix(packet)), None] };
            let own: Vec<_> = (n * 3..n * 3 + 3).map(own).collect();
            beside.note(&own, (n * 17..n * 17 + 17).map(&other_is_lost));
            beside.more_are_lost()
        })
    }

    #[test]
    fn half_and_a_quarter_are_found_within_six_hundred_packets() {
        for share in [2, 4] {
            let after = found(1_000, |n| n % share == 0, |n| n % 50 == 0);
            assert!(after.is_some_and(|tables| tables < 30), "{share}: {after:?}");
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
            let (mine, lost) = if is_bad { (16, 8) } else { (1, 0) };
            let theirs = 20 - mine;
            let their_lost = if is_bad { theirs / 2 } else { 0 };
            beside.note(&packets(mine, lost), (0..theirs).map(|n| n < their_lost));
            assert!(!beside.more_are_lost(), "{n}");
        }
    }

    #[test]
    fn one_that_is_well_is_known_to_be() {
        let mut beside = Beside::default();
        let known = (0..100).position(|_| {
            beside.note(&packets(3, 0), [false; 17].into_iter());
            beside.is_well()
        });
        assert!(known.is_some_and(|tables| tables < 20), "{known:?}");
    }

    /// Whoever passes all of them on may be the reason.
    #[test]
    fn nothing_is_found_of_what_all_passes_one_node() {
        let mut beside = Beside::default();
        for n in 0..2_000 {
            let own =
                || Own { is_lost: n % 2 == 0, next: [Some(NodeId::from_bytes([1; 32])), None] };
            beside.note(&[own(), own(), own()], [false; 17].into_iter());
            assert!(!beside.more_are_lost(), "{n}");
        }
    }

    /// What passed a node long ago takes no room.
    #[test]
    fn nodes_are_forgotten() {
        let mut beside = Beside::default();
        for n in 0..100_000_u32 {
            let mut node = [0; 32];
            node[..4].copy_from_slice(&n.to_le_bytes());
            let own = Own { is_lost: false, next: [Some(NodeId::from_bytes(node)), None] };
            beside.note(&[own], [false; 19].into_iter());
        }
        assert!(beside.over.len() < 200, "{}", beside.over.len());
    }
}
