//! What every attacker knows: the network document. How packets are made from it, by the production
//! crates and without any of a client's manners.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use xchat_base::{Rng, random};
use xchat_directory::{
    Descriptor, NodeId, OperatorId, PlacementEpoch, VerifiedDocument, random_route,
};
use xchat_sphinx::{Delays, Hop, Route};
use xchat_testkit::hop;

/// The generator of one attacker.
pub(crate) type Dice = ChaCha20Rng;

/// The network, as somebody sees it who holds the places of some of its nodes.
pub(crate) struct View {
    pub(crate) document: VerifiedDocument,
    taken: Vec<NodeId>,
    taken_operators: Vec<OperatorId>,
}

impl View {
    pub(crate) fn new(document: VerifiedDocument, taken: &[NodeId]) -> Self {
        let operators = document.descriptors.iter().filter(|d| taken.contains(&d.id));
        let taken_operators = operators.map(|d| d.operator).collect();
        Self { document, taken: taken.to_vec(), taken_operators }
    }

    /// Whether a node's place is the attacker's.
    pub(crate) fn is_taken(&self, id: &NodeId) -> bool {
        self.taken.contains(id)
    }

    /// Nodes that are not the attacker's.
    pub(crate) fn honest(&self) -> impl Iterator<Item = &Descriptor> {
        self.document.descriptors.iter().filter(|d| !self.is_taken(&d.id))
    }

    /// Any of them that passes a filter.
    pub(crate) fn any(
        &self,
        rng: &mut Rng,
        wanted: impl Fn(&Descriptor) -> bool,
    ) -> Option<&Descriptor> {
        let found: Vec<_> = self.honest().filter(|d| wanted(d)).collect();
        found.get(random::index(rng, found.len())).copied()
    }

    /// The placement that boxes are placed by.
    pub(crate) fn placement(&self) -> u32 {
        let PlacementEpoch(epoch) = self.document.placement.epoch;
        epoch
    }

    /// A route over honest mixes to `last`, and its delays.
    pub(crate) fn route(&self, rng: &mut Rng, last: Hop) -> (Route, Delays) {
        let mixes = random_route(rng, &self.document, &self.taken_operators);
        let [one, two, three] = mixes.expect("an honest mix in each layer").map(hop);
        ([one, two, three, last], self.delays(rng))
    }

    pub(crate) fn delays(&self, rng: &mut Rng) -> Delays {
        let mean = self.document.parameters.mix_delay;
        let [a, b, c] = [(); 3].map(|()| random::exponential(rng, mean));
        [a, b, c, Duration::ZERO]
    }
}

/// Bytes of a random length up to `max`.
pub(crate) fn rubbish(rng: &mut Rng, max: usize) -> Vec<u8> {
    let mut bytes = vec![0; random::index(rng, max + 1)];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// The same bytes with one bit changed, between `from` and `to` (bytes).
pub(crate) fn flipped(rng: &mut Rng, bytes: &[u8], from: usize, to: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let at = from + random::index(rng, to - from);
    if let Some(byte) = changed.get_mut(at) {
        *byte ^= 1 << random::index(rng, 8);
    }
    changed
}
