//! A small network for the tests of this crate.

use core::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use xchat_base::{Secret, Timestamp};

use crate::{
    AuthoritySecret, Descriptor, Document, DocumentHash, HopKeyPeriod, Incarnation, NetworkName,
    NodeId, OperatorId, Parameters, Placement, PlacementEpoch, Role, Root, SignedDocument, Token,
};

/// The fixture's document is valid for an hour from here.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_700_000_000);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// A moment within its validity.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_060);

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn authorities(count: u8) -> Vec<AuthoritySecret> {
    (1..=count).map(|i| AuthoritySecret::from_secret(&Secret::new([i; 32]))).collect()
}

pub(crate) fn operator(i: u8) -> OperatorId {
    OperatorId::from_bytes([i; 32])
}

fn node(role: Role, i: u8) -> Descriptor {
    let hop_keys = match role {
        Role::Gateway => vec![],
        Role::Mix { .. } | Role::Store { .. } => {
            vec![HopKeyPeriod { key: [i; 32], from: START - HOUR, until: START + 2 * HOUR }]
        }
    };
    Descriptor {
        id: NodeId::from_bytes([i; 32]),
        operator: operator(i),
        role,
        addresses: vec![([127, 0, 0, 1], 4000 + u16::from(i)).into()],
        hop_keys,
    }
}

pub(crate) fn mix(layer: u8, i: u8) -> Descriptor {
    node(Role::Mix { layer }, i)
}

/// Store number `i` of at most 50, with its token.
pub(crate) fn store(i: u8) -> (Descriptor, Token) {
    let role = Role::Store { incarnation: Incarnation::from_bytes([i; 16]) };
    (node(role, 200 + i), Token::from_bytes([200 + i; 32]))
}

/// Five authorities of which four sign, two gateways, three layers of two mixes, five stores.
pub(crate) struct Network {
    pub(crate) secrets: Vec<AuthoritySecret>,
    pub(crate) root: Root,
    pub(crate) document: Document,
}

impl Network {
    pub(crate) fn new() -> Self {
        let secrets = authorities(5);
        let keys = secrets.iter().map(AuthoritySecret::public).collect();
        let name = NetworkName::new("test").expect("a good name");
        let root = Root::new(name, keys, 4).expect("a good root");
        let mut descriptors = vec![node(Role::Gateway, 1), node(Role::Gateway, 2)];
        for layer in 1..=3 {
            descriptors.extend([mix(layer, 10 * layer), mix(layer, 10 * layer + 1)]);
        }
        let mut tokens = Vec::new();
        for (descriptor, token) in (0..5).map(store) {
            tokens.push((descriptor.id, token));
            descriptors.push(descriptor);
        }
        let document = Document {
            network: root.id(),
            epoch: 7,
            previous: DocumentHash::from_bytes([9; 32]),
            valid_from: START,
            valid_until: START + HOUR,
            placement: Placement { epoch: PlacementEpoch(3), tokens, past: Vec::new() },
            descriptors,
            parameters: Parameters::default(),
        };
        Self { secrets, root, document }
    }

    /// Signed by the threshold.
    pub(crate) fn sign(&self, document: &Document) -> SignedDocument {
        SignedDocument::sign(document, &self.root, &self.secrets[..4]).expect("a good document")
    }
}
