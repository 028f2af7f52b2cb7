//! Guards: the two gateways that a client keeps to for months, and what is kept between runs.

use serde::{Deserialize, Serialize};
use xchat_base::{Rng, Wire, random};
use xchat_directory::{Descriptor, NodeId, OperatorId, SignedDocument, VerifiedDocument};

/// Gateways a client pins. Every gateway ever used learns the client's address, so it uses few, and
/// the second only when the first does not answer.
pub(crate) const GUARDS: usize = 2;

/// The pinned gateways, first choice first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guards(Vec<NodeId>);

/// What is kept between runs.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) guards: Vec<NodeId>,
    pub(crate) document: SignedDocument,
}

impl Wire for Stored {
    const FORMAT: &'static str = "stored transport";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = SignedDocument::MAX_LEN + 8 + GUARDS * NodeId::LEN;
}

impl Guards {
    pub(crate) fn new(pinned: Vec<NodeId>) -> Self {
        Self(pinned)
    }

    /// Replaces those that the network no longer has and fills up to [`GUARDS`], of different operators. Whether
    /// anything changed.
    pub(crate) fn refresh(&mut self, document: &VerifiedDocument, rng: &mut Rng) -> bool {
        let before = self.clone();
        self.0.truncate(GUARDS);
        self.0.retain(|id| document.node(id).is_some_and(Descriptor::is_gateway));
        while self.0.len() < GUARDS {
            let operators = self.operators(document);
            let others: Vec<_> =
                document.gateways().filter(|g| !operators.contains(&g.operator)).collect();
            let Some(chosen) = others.get(random::index(rng, others.len())) else { break };
            self.0.push(chosen.id);
        }
        before != *self
    }

    /// The gateway for the next attempt, after so many that failed: the next in turn of those that may
    /// be tried.
    pub(crate) fn choose(&self, failed: u32, may: impl Fn(&NodeId) -> bool) -> Option<NodeId> {
        let turn = usize::try_from(failed).ok()?.checked_rem(self.0.len())?;
        let (before, from) = self.0.split_at(turn);
        from.iter().chain(before).find(|id| may(id)).copied()
    }

    pub(crate) fn contains(&self, gateway: &NodeId) -> bool {
        self.0.contains(gateway)
    }

    /// The operators of the pinned gateways: none of them may run our collector.
    pub(crate) fn operators(&self, document: &VerifiedDocument) -> Vec<OperatorId> {
        self.0.iter().filter_map(|id| document.node(id)).map(|node| node.operator).collect()
    }

    pub(crate) fn stored(&self, document: &VerifiedDocument) -> Vec<u8> {
        Stored { guards: self.0.clone(), document: document.signed().clone() }.to_wire()
    }
}
