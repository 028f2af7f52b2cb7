//! Placement: which stores hold a box.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use xchat_base::identifier;

use crate::descriptor::NodeId;
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
}

impl Placement {
    /// The replicas of a box, first-ranked first: [`REPLICAS`] stores of distinct operators.
    ///
    /// Rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit
    /// rates", 1998): every store is scored by `BLAKE3(token ‖ box id)` and the highest scores win,
    /// so a store that comes or goes moves only the boxes it holds. `doc` is the document this
    /// placement belongs to; it tells the operators. Fewer than [`REPLICAS`] come back only from a
    /// document that was never checked.
    pub fn replicas(&self, box_id: &[u8; 32], doc: &Document) -> Vec<NodeId> {
        let mut ranked: Vec<_> =
            self.tokens.iter().map(|(id, token)| (score(token, box_id), *id)).collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));

        let mut operators = BTreeSet::new();
        let mut replicas = Vec::with_capacity(REPLICAS);
        for (_, id) in ranked {
            let Some(store) = doc.descriptors.iter().find(|d| d.id == id) else {
                continue;
            };
            if operators.insert(store.operator) {
                replicas.push(id);
            }
            if replicas.len() == REPLICAS {
                break;
            }
        }
        replicas
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
