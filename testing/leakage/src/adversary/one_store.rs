//! One store: the same questions, asked of a store that tells nobody and is told by nobody what others see.

use std::collections::BTreeMap;

use crate::attack::chain::Search;
use crate::record::{Asked, Heard, Inside, Insight, Micros, Observer, SECOND};
use crate::systems::Truth;

use super::store::{NOBODYS, StoreSamples, Stores};

/// What one store sees, in the words of the report.
pub const NAME: &str = "a store";

/// See [`super::Lens::sees`].
pub const SEES: &str = "Each request to one store, and what other stores tell it: boxes that it is to keep as well, boxes that \
    somebody looks at or registers for there, and tickets that it is to deliver to. Which box such a ticket came with it is not told; it takes the \
    last one that the same store had it keep. The questions are those put to all stores, about the boxes that it keeps; each store of \
    a run is asked.";

/// Longer ago than that the other store would have told of the box's ticket.
const TOLD_WITHIN: Micros = SECOND;

/// What one of them has seen.
#[derive(Debug, Default)]
struct Own {
    seen: Stores,
    /// The box that each other store had it keep last, and when.
    kept: BTreeMap<u16, (u64, Micros)>,
}

/// Keeps, for each store, what it sees of a run.
#[derive(Debug, Default)]
pub struct EachStore {
    stores: BTreeMap<u16, Own>,
}

impl Observer for EachStore {
    fn watches(&self, _client: u32, _hour: u32) -> bool {
        false
    }

    fn has_insiders(&self) -> bool {
        true
    }

    fn inside(&mut self, insight: &Insight) {
        let at = insight.at_micros;
        let own = match insight.inside {
            Inside::Request(_) | Inside::Heard { .. } => {
                self.stores.entry(insight.node).or_default()
            }
            _ => return,
        };
        match insight.inside {
            Inside::Request(asked) => own.seen.take(asked, at),
            Inside::Heard { from, what: Heard::Keep(id) } => {
                own.seen.take(Asked::Write { id, told: NOBODYS }, at);
                own.kept.insert(from, (id, at));
            }
            Inside::Heard { what: Heard::Query(id), .. } => own.seen.take(Asked::Read(id), at),
            Inside::Heard { from, what: Heard::Told(ticket) } => {
                if let Some((id, since)) = own.kept.remove(&from)
                    && at - since <= TOLD_WITHIN
                {
                    own.seen.learn_ticket(id, ticket);
                }
            }
            _ => {}
        }
    }
}

impl EachStore {
    /// At most so many samples of each class from all of them together, and no more of one than of another.
    pub fn samples(&self, truth: &Truth, warm_up: u32, count: usize, seed: u64) -> StoreSamples {
        let each = count.div_ceil(self.stores.len().max(1));
        let mut all = StoreSamples::default();
        for own in self.stores.values() {
            let StoreSamples { chained, real, decoys } =
                own.seen.samples(truth, warm_up, each, seed);
            all.chained.append(chained);
            all.real.append(real);
            all.decoys |= decoys;
        }
        all
    }

    /// At most so many searches in all of them together, and no more in one than in another.
    pub fn searches(&self, truth: &Truth, warm_up: u32, count: usize, seed: u64) -> Vec<Search> {
        let each = count.div_ceil(self.stores.len().max(1));
        let of = |own: &Own| own.seen.searches(truth, warm_up, each, seed);
        self.stores.values().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::HOUR;
    use crate::systems::Boxed;

    fn see(stores: &mut EachStore, node: u16, seconds: u64, inside: Inside) {
        stores.inside(&Insight { at_micros: HOUR + seconds * SECOND, node, inside });
    }

    /// Boxes of two lanes by turns: those of one at this store, those of the other at the one beside it, and all copied to a third.
    #[test]
    fn a_store_is_asked_about_the_boxes_it_keeps_only() {
        let (mut stores, mut truth) = (EachStore::default(), Truth::default());
        see(&mut stores, 2, 0, Inside::Request(Asked::Read(178)));
        for number in 0..40 {
            for lane in 0..2_u32 {
                let id = u64::from(100 + 2 * number + lane);
                let boxed = Boxed { lane: (lane, 9), number, decoy: false };
                truth.boxes.insert(id, boxed);
                let (at, node) = (u64::from(60 * number + lane), lane as u16);
                let write = Asked::Write { id, told: 7 };
                see(&mut stores, node, at, Inside::Request(write));
                let what = Heard::Keep(id);
                see(&mut stores, 2, at, Inside::Heard { from: node, what });
            }
        }
        let samples = |node: u16| stores.stores[&node].seen.samples(&truth, 0, 10, 1);
        // Where there is one lane there is no box of another to tell from its next one.
        assert!(samples(0).chained.rows.is_empty() && samples(1).chained.rows.is_empty());
        assert_eq!(samples(2).chained.rows.len(), 20);
        let all = stores.samples(&truth, 0, 12, 1);
        assert_eq!((all.chained.rows.len(), all.real.rows.len()), (8, 12));

        // The next one is written a minute later: of another lane are one or two a minute, for a quarter of an hour.
        let searches = |node: u16| stores.stores[&node].seen.searches(&truth, 0, 100, 1);
        for (node, count, others, awaited) in [(0, 39, 0, 0), (2, 78, 15, 1)] {
            let searches = searches(node);
            let most = searches.iter().map(|search| search.others.len()).max();
            assert_eq!((searches.len(), most), (count, Some(others)));
            assert_eq!(searches.iter().filter(|search| search.was_awaited).count(), awaited);
        }
    }

    #[test]
    fn a_ticket_is_taken_for_that_of_the_box_kept_last_and_not_of_one_long_before() {
        let mut stores = EachStore::default();
        let heard = |what| Inside::Heard { from: 1, what };
        see(&mut stores, 0, 0, Inside::Request(Asked::Register { id: 5, lifetime_secs: 60 }));
        see(&mut stores, 0, 10, heard(Heard::Keep(20)));
        see(&mut stores, 0, 10, Inside::Heard { from: 2, what: Heard::Keep(21) });
        see(&mut stores, 0, 11, heard(Heard::Told(5)));
        see(&mut stores, 0, 20, heard(Heard::Keep(22)));
        see(&mut stores, 0, 22, heard(Heard::Told(5)));
        let told = |id: u64| stores.stores[&0].seen.told(id);
        assert_eq!([20, 21, 22].map(told), [Some(5), Some(NOBODYS), Some(NOBODYS)]);
    }
}
