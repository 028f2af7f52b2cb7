//! Placement: which stores hold a box, now and in the placements before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xchat_base::identifier;

use crate::descriptor::{Incarnation, NodeId, OperatorId, Role};
use crate::document::Document;

identifier!(
    /// A store's draw in the placement. The authorities draw it after the store has joined, so that
    /// nobody can choose a key that puts a store next to a known box.
    Token,
    32
);

/// A box has this many replicas (K): one may fail and a majority still answers.
pub const REPLICAS: usize = 3;

/// Counts changes of the placement. Requests name it, so that a store and a client with different
/// documents notice.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct PlacementEpoch(pub u32);

/// The stores' tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Grows by every change of the tokens.
    pub epoch: PlacementEpoch,
    /// One for each store of the document, and for nothing else.
    pub tokens: Vec<(NodeId, Token)>,
    /// The placements before this one, the latest first, each as its difference from the one after it;
    /// at most [`MAX_PAST`]. A store that has copied boxes for an earlier one goes on from there.
    pub past: Vec<Past>,
}

/// So many placements a document tells of besides its own. A store that was away for more changes
/// than these has to begin with an empty table.
pub const MAX_PAST: usize = 16;

/// How a placement differed from the one after it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Stores that were in it as they are not in the one after it.
    pub were: Vec<PlacedStore>,
    /// Stores that came with the one after it.
    pub came: Vec<NodeId>,
}

/// A store, as far as placement goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlacedStore {
    /// Its key.
    pub id: NodeId,
    /// Who runs it.
    pub operator: OperatorId,
    /// Its draw.
    pub token: Token,
    /// The life of its table.
    pub incarnation: Incarnation,
}

/// One placement, in use or past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Which.
    pub epoch: PlacementEpoch,
    /// Its stores.
    pub stores: BTreeMap<NodeId, PlacedStore>,
}

impl View {
    /// The replicas of a box, first-ranked first: [`REPLICAS`] stores of distinct operators, or fewer if
    /// there are not so many.
    ///
    /// Rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit
    /// rates", 1998): every store is scored by `BLAKE3(token ‖ box id)` and the highest scores win,
    /// so a store that comes or goes moves only the boxes it holds.
    pub fn replicas(&self, box_id: &[u8; 32]) -> Vec<&PlacedStore> {
        let mut ranked: Vec<_> =
            self.stores.values().map(|store| (score(&store.token, box_id), store)).collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        let mut operators = BTreeSet::new();
        let distinct = ranked.into_iter().filter(|(_, store)| operators.insert(store.operator));
        distinct.take(REPLICAS).map(|(_, store)| store).collect()
    }

    /// How this placement differs from the one after it.
    pub fn before(&self, after: &Self) -> Past {
        let was = |store: &&PlacedStore| after.stores.get(&store.id) != Some(*store);
        let came = |id: &&NodeId| !self.stores.contains_key(*id);
        Past {
            were: self.stores.values().filter(was).copied().collect(),
            came: after.stores.keys().filter(came).copied().collect(),
        }
    }

    /// The placement of which this one is the next, by how they differ.
    fn previous(&self, past: &Past) -> Option<Self> {
        let mut stores = self.stores.clone();
        stores.retain(|id, _| !past.came.contains(id));
        stores.extend(past.were.iter().map(|store| (store.id, *store)));
        let epoch = PlacementEpoch(self.epoch.0.checked_sub(1).filter(|epoch| *epoch > 0)?);
        Some(Self { epoch, stores })
    }
}

impl Placement {
    /// The replicas of a box, first-ranked first; see [`View::replicas`]. `doc` is the document this
    /// placement belongs to. Fewer than [`REPLICAS`] come back only from a document that was never
    /// checked.
    pub fn replicas(&self, box_id: &[u8; 32], doc: &Document) -> Vec<NodeId> {
        self.view(doc).replicas(box_id).into_iter().map(|store| store.id).collect()
    }

    /// This placement with its stores.
    pub fn view(&self, doc: &Document) -> View {
        let placed = self.tokens.iter().filter_map(|(id, token)| {
            let store = doc.descriptors.iter().find(|d| d.id == *id)?;
            let Role::Store { incarnation } = store.role else { return None };
            let (operator, token) = (store.operator, *token);
            Some((*id, PlacedStore { id: *id, operator, token, incarnation }))
        });
        View { epoch: self.epoch, stores: placed.collect() }
    }

    /// This placement and those before it that the document tells of, the latest first.
    pub fn views(&self, doc: &Document) -> Vec<View> {
        let mut views = vec![self.view(doc)];
        for past in &self.past {
            match views.last().and_then(|view| view.previous(past)) {
                Some(view) => views.push(view),
                None => break,
            }
        }
        views
    }
}

fn score(token: &Token, box_id: &[u8; 32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(token.as_bytes());
    hasher.update(box_id);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{Network, operator, store};

    fn with_stores(count: u8) -> Document {
        let mut doc = Network::new().document;
        doc.descriptors.retain(|d| !d.is_store());
        doc.placement.tokens.clear();
        for i in 0..count {
            add(&mut doc, i);
        }
        doc
    }

    fn add(doc: &mut Document, i: u8) {
        let (node, token) = store(i);
        doc.placement.tokens.push((node.id, token));
        doc.descriptors.push(node);
    }

    fn box_id(n: u32) -> [u8; 32] {
        *blake3::hash(&n.to_be_bytes()).as_bytes()
    }

    #[test]
    fn boxes_spread_evenly() {
        let doc = with_stores(10);
        let mut first: BTreeMap<NodeId, u32> = BTreeMap::new();
        let mut all = first.clone();
        for n in 0..20_000 {
            let replicas = doc.replicas(&box_id(n));
            *first.entry(replicas[0]).or_default() += 1;
            for id in replicas {
                *all.entry(id).or_default() += 1;
            }
        }
        // Standard deviations: 42 of 2,000 and 65 of 6,000.
        assert!(
            first.len() == 10 && first.values().all(|n| (1_800..2_200).contains(n)),
            "{first:?}"
        );
        assert!(all.values().all(|n| (5_700..6_300).contains(n)), "{all:?}");
    }

    #[test]
    fn the_order_of_the_document_does_not_matter() {
        let doc = with_stores(8);
        let mut reversed = doc.clone();
        reversed.placement.tokens.reverse();
        reversed.descriptors.reverse();
        for n in 0..200 {
            assert_eq!(doc.replicas(&box_id(n)), reversed.replicas(&box_id(n)));
        }
    }

    #[test]
    fn a_store_that_goes_moves_only_its_own_boxes() {
        let doc = with_stores(8);
        let mut smaller = doc.clone();
        let gone = smaller.placement.tokens.remove(3).0;
        smaller.descriptors.retain(|d| d.id != gone);
        for n in 0..500 {
            let (before, after) = (doc.replicas(&box_id(n)), smaller.replicas(&box_id(n)));
            let kept: Vec<_> = before.iter().copied().filter(|id| *id != gone).collect();
            assert_eq!(after[..kept.len()], kept, "the others stay, in their order");
            assert_eq!(after.len(), REPLICAS);
        }
    }

    #[test]
    fn the_ranking_is_that_of_the_specification() {
        // As the specification has it: the hash of the concatenation, compared as big-endian numbers.
        let doc = with_stores(5);
        let ranked = doc.replicas(&[7; 32]);
        let mut scores: Vec<_> = doc
            .placement
            .tokens
            .iter()
            .map(|(id, token)| {
                (*blake3::hash(&[&token.as_bytes()[..], &[7; 32]].concat()).as_bytes(), *id)
            })
            .collect();
        scores.sort();
        let best: Vec<_> = scores.iter().rev().take(3).map(|(_, id)| *id).collect();
        assert_eq!(ranked, best);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn replicas_are_distinct_and_of_distinct_operators(id: [u8; 32], shared in 0u8..6) {
            let mut doc = with_stores(9);
            // Six operators: the last stores share theirs.
            for node in doc.descriptors.iter_mut().filter(|d| d.is_store()).skip(5) {
                node.operator = operator(200 + shared);
            }
            let replicas = doc.replicas(&id);
            let operators: BTreeSet<_> = replicas
                .iter()
                .filter_map(|id| doc.descriptors.iter().find(|d| d.id == *id))
                .map(|d| d.operator)
                .collect();
            prop_assert_eq!((replicas.len(), operators.len()), (REPLICAS, REPLICAS));
        }
    }
}
