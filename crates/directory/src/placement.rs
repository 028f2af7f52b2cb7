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
