//! Which stores leave out part of what they are asked.
//!
//! A lost packet does not say who lost it: one of six mixes, the store, or a link. So what each store was asked is held against
//! what others were asked at the same moments. There may be many packets to one store at one time and few at another, and
//! more of them in bad times, when everything is asked again: what a bad minute takes of all of them says nothing, and what it
//! takes of each among twenty that left one after the other does. A mix that drops what it is to give to one store, or gets from it, can
//! make that store look bad: so one is taken for bad only if it is without what passed any one of these mixes.
//!
//! One that answers nothing at all is found sooner, by [`Health`](crate::health::Health) and, if it is a collector, by
//! [`Collectors`](crate::collectors::Collectors).

use std::collections::BTreeMap;

use xchat_base::Timestamp;
use xchat_directory::{NodeId, VerifiedDocument};

use crate::beside::{Beside, Next, Own};
use crate::strikes::Strikes;

/// Packets that are held against each other, in the order in which they left.
const TABLE: u64 = 20;

/// What a store is asked for: one may leave out the one and not the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    /// Anything about a box.
    Box,
    /// What has been delivered.
    Items,
}

/// A packet to a store, and what became of it.
#[derive(Debug)]
struct One {
    store: NodeId,
    asked: Asked,
    next: Next,
    is_lost: Option<bool>,
}

/// By store; bounded by the stores of the document, and by the packets under way.
#[derive(Debug)]
pub(crate) struct Droppers {
    /// Packets to stores, ever.
    sent: u64,
    /// Twenty each, by the number of the first: those of which it is not yet known what became of all.
    open: BTreeMap<u64, Vec<One>>,
    beside: BTreeMap<(NodeId, Asked), Beside>,
    strikes: Strikes,
    /// What each that was struck was struck for.
    reasons: BTreeMap<NodeId, Asked>,
}

impl Droppers {
    pub(crate) const fn new() -> Self {
        Self {
            sent: 0,
            open: BTreeMap::new(),
            beside: BTreeMap::new(),
            strikes: Strikes::new(),
            reasons: BTreeMap::new(),
        }
    }

    /// A packet leaves that asks this store, and passes these mixes before and after it: the number by which it is known.
    pub(crate) fn sent(&mut self, store: NodeId, asked: Asked, next: Next) -> u64 {
        let number = self.sent;
        self.sent += 1;
        let one = One { store, asked, next, is_lost: None };
        self.open.entry(number - number % TABLE).or_default().push(one);
        number
    }

    /// What became of a packet.
    pub(crate) fn ended(&mut self, number: u64, is_lost: bool, now: Timestamp) {
        let first = number - number % TABLE;
        let Some(table) = self.open.get_mut(&first) else { return };
        if let Some(one) = table.get_mut((number - first) as usize) {
            one.is_lost = Some(is_lost);
        }
        let is_complete =
            table.len() as u64 == TABLE && table.iter().all(|one| one.is_lost.is_some());
        if is_complete && let Some(table) = self.open.remove(&first) {
            self.judge(&table, now);
        }
    }

    /// The session is over: nobody will know what became of what is under way.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
        self.sent = self.sent.next_multiple_of(TABLE);
    }

    fn judge(&mut self, table: &[One], now: Timestamp) {
        for one in table {
            self.beside.entry((one.store, one.asked)).or_default();
        }
        let mut dropping = Vec::new();
        for (&(store, asked), beside) in &mut self.beside {
            let own = table.iter().filter(|one| one.store == store && one.asked == asked);
            let own: Vec<_> =
                own.map(|one| Own { is_lost: one.is_lost(), next: one.next }).collect();
            // What it is asked besides is no measure of it.
            let others = table.iter().filter(|one| one.store != store);
            beside.note(&own, others.map(One::is_lost));
            if self.strikes.is_struck(&store, now) {
                continue;
            }
            if beside.more_are_lost() {
                dropping.push((store, asked));
            } else if beside.is_well() && self.reasons.get(&store) == Some(&asked) {
                self.strikes.forgive(&store);
            }
        }
        // Once for both, if it leaves out both.
        dropping.dedup_by_key(|(store, _)| *store);
        for (store, asked) in dropping {
            self.strikes.strike(&store, now);
            self.reasons.insert(store, asked);
            // It is judged by what it does from now on.
            self.beside.retain(|(of, _), _| *of != store);
        }
    }

    /// Stores that are avoided since this was asked last.
    pub(crate) fn newly_avoided(
        &mut self,
        document: &VerifiedDocument,
        now: Timestamp,
    ) -> Vec<NodeId> {
        let stores = document.stores().map(|store| store.id);
        self.strikes.newly(|strikes| strikes.among(stores, now))
    }

    /// Those of these that are to be avoided now, where one of them is to be asked: at most half, the worst first.
    pub(crate) fn avoided(
        &self,
        stores: impl Iterator<Item = NodeId>,
        now: Timestamp,
    ) -> Vec<NodeId> {
        self.strikes.among(stores, now)
    }

    pub(crate) fn follow_document(&mut self, document: &VerifiedDocument) {
        self.beside.retain(|(store, _), _| document.node(store).is_some());
        self.strikes.retain(|store| document.node(store).is_some());
        self.reasons.retain(|store, _| document.node(store).is_some());
    }
}

impl One {
    fn is_lost(&self) -> bool {
        self.is_lost == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::collections::VecDeque;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);
    const UNDER_WAY: usize = 50;

    fn store(n: u64) -> NodeId {
        NodeId::from_bytes([n as u8; 32])
    }

    /// Five mixes before a store and five after it.
    fn next(n: u64) -> Next {
        [Some(store(100 + n / 3 % 5)), Some(store(200 + n / 7 % 5))]
    }

    /// So many packets to six stores, of which the first is asked for items by the first packets of each hundred, and otherwise no more than others.
    /// A loss is known fifty packets later than an answer. After how many the first is struck, and never another.
    fn struck(packets: u64, items: u64, is_lost: impl Fn(u64, u64) -> bool) -> Option<u64> {
        let mut droppers = Droppers::new();
        let mut lost = VecDeque::new();
        (0..packets).find(|&n| {
            let is_for_items = n % 100 < items && n % 10 != 0;
            let (to, asked) = if is_for_items { (0, Asked::Items) } else { (n % 6, Asked::Box) };
            let number = droppers.sent(store(to), asked, next(n));
            if is_lost(n, to) {
                lost.push_back((n, number));
            } else {
                droppers.ended(number, false, NOW);
            }
            if let Some((_, number)) = lost.pop_front_if(|(then, _)| *then + UNDER_WAY as u64 <= n)
            {
                droppers.ended(number, true, NOW);
            }
            assert!(droppers.open.len() <= UNDER_WAY.div_ceil(TABLE as usize) + 1);
            assert!((1..6).all(|other| !droppers.strikes.is_struck(&store(other), NOW)), "{n}");
            droppers.strikes.is_struck(&store(0), NOW)
        })
    }

    #[test]
    fn one_that_leaves_out_half_is_struck() {
        let boxes = struck(4_000, 0, |n, to| to == 0 && n % 4 < 2);
        assert!(boxes.is_some_and(|n| n < 800), "{boxes:?}");
        let items = struck(4_000, 60, |n, to| to == 0 && n % 4 < 2);
        assert!(items.is_some_and(|n| n < 800), "{items:?}");
    }

    #[test]
    fn one_that_leaves_out_both_is_struck_once() {
        let mut droppers = Droppers::new();
        let found = (0..4_000).find(|&n| {
            // As many of both kinds, and the same of both is lost.
            let (to, asked) = match n % 10 {
                0 => (0, Asked::Box),
                1 => (0, Asked::Items),
                other => (other, Asked::Box),
            };
            let number = droppers.sent(store(to), asked, next(n));
            droppers.ended(number, to == 0 && n / 10 % 2 == 0, NOW);
            droppers.strikes.is_struck(&store(0), NOW)
        });
        assert!(found.is_some_and(|n| n < 1_000), "{found:?}");
        assert_eq!(droppers.strikes.count(&store(0)), 1);
    }

    /// A dead mix, or a bad minute, takes much of everything, when one store happens to be asked more than all others.
    #[test]
    fn nobody_is_struck_for_times_in_which_much_is_lost_of_all() {
        assert_eq!(struck(20_000, 60, |n, _| n % 100 < 60 && n % 7 < 4), None);
        assert_eq!(struck(20_000, 60, |n, _| n % 1_000 < 60), None);
    }

    /// It spares what goes elsewhere, and so is not found out itself.
    #[test]
    fn one_mix_cannot_have_a_store_struck() {
        for side in [0, 1] {
            let framing = next(0)[side];
            assert_eq!(struck(20_000, 0, |n, to| to == 0 && next(n)[side] == framing), None);
        }
    }

    /// Of a hundred stores each is asked once in five tables.
    #[test]
    fn one_of_a_hundred_is_struck_too() {
        let mut droppers = Droppers::new();
        let found = (0..20_000).find(|&n| {
            let number = droppers.sent(store(n % 100), Asked::Box, next(n));
            droppers.ended(number, n % 200 == 0, NOW);
            droppers.strikes.is_struck(&store(0), NOW)
        });
        assert!(found.is_some_and(|n| n < 6_000), "{found:?}");
        assert!((1..100).all(|other| !droppers.strikes.is_struck(&store(other), NOW)));
    }

    /// By what it was struck for, and not by what it does well all the while.
    #[test]
    fn one_is_forgiven_once_it_does_what_it_did_not() {
        let mut droppers = Droppers::new();
        droppers.strikes.strike(&store(0), NOW);
        droppers.reasons.insert(store(0), Asked::Items);
        let later = NOW + Duration::from_secs(7_200);
        let serve = |droppers: &mut Droppers, asked| {
            for n in 0..2_000 {
                let (to, asked) = if n % 6 == 0 { (0, asked) } else { (n % 6, Asked::Box) };
                let number = droppers.sent(store(to), asked, next(n));
                droppers.ended(number, false, later);
            }
        };
        serve(&mut droppers, Asked::Box);
        assert_eq!(droppers.strikes.count(&store(0)), 1);
        serve(&mut droppers, Asked::Items);
        assert_eq!(droppers.strikes.count(&store(0)), 0);
    }

    #[test]
    fn when_a_session_ends_what_is_under_way_says_nothing() {
        let mut droppers = Droppers::new();
        let ask = |droppers: &mut Droppers, n| droppers.sent(store(n % 6), Asked::Box, next(n));
        let before: Vec<_> = (0..TABLE).map(|n| ask(&mut droppers, n)).collect();
        droppers.clear();
        let after: Vec<_> = (0..TABLE).map(|n| ask(&mut droppers, n)).collect();
        for number in before {
            droppers.ended(number, true, NOW);
        }
        assert!(droppers.beside.is_empty());
        for number in after {
            droppers.ended(number, false, NOW);
        }
        assert_eq!((droppers.beside.len(), droppers.open.len()), (6, 0));
    }
}
