//! A signed network of one operator a node, from a seed.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Secret, Timestamp};
use xchat_directory::{
    AuthoritySecret, Descriptor, Document, DocumentHash, HopKeyPeriod, Incarnation, NetworkName,
    NodeId, OperatorId, Parameters, Placement, PlacementEpoch, Role, Root, SignedDocument, Token,
    VerifiedDocument,
};
use xchat_pigeonhole::AnswerKey;
use xchat_sphinx::{HopKey, HopSecret, NodeTag};

use crate::hop::HopSetup;
use crate::store::StoreSetup;

/// When the tests begin.
pub(crate) const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

/// How long hop keys and documents of the fixture are good.
pub(crate) const VALIDITY: Duration = Duration::from_secs(40 * 24 * 3_600);

/// One node with its secrets.
pub(crate) struct FixtureNode {
    pub(crate) id: NodeId,
    pub(crate) role: Role,
    seed: [u8; 32],
    hop_secret: Secret<32>,
}

/// A network with all its secrets.
pub(crate) struct Fixture {
    root: Root,
    authority: AuthoritySecret,
    pub(crate) nodes: Vec<FixtureNode>,
    /// What the next [`Self::sign`] signs.
    pub(crate) document: Document,
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn tag(id: &NodeId) -> NodeTag {
    NodeTag::from_bytes(id.tag())
}

impl Fixture {
    /// Two gateways, two mixes in each layer, four stores.
    pub(crate) fn new() -> Self {
        let mut rng = rng(99);
        let mut roles = vec![Role::Gateway; 2];
        for layer in 1..=3 {
            roles.extend([Role::Mix { layer }; 2]);
        }
        roles.extend((0..4).map(|n| Role::Store { incarnation: Incarnation::from_bytes([n; 16]) }));
        let nodes: Vec<_> = (1..).zip(roles).map(|(n, role)| FixtureNode::new(n, role)).collect();
        let authority = AuthoritySecret::random(&mut rng);
        let name = NetworkName::new("test").expect("a name");
        let root = Root::new(name, vec![authority.public()], 1).expect("a root");
        let stores = nodes.iter().filter(|node| matches!(node.role, Role::Store { .. }));
        let tokens = stores.map(|store| (store.id, Token::random(&mut rng))).collect();
        let document = Document {
            network: root.id(),
            epoch: 1,
            previous: DocumentHash::from_bytes([0; 32]),
            valid_from: T0,
            valid_until: T0 + VALIDITY,
            placement: Placement { epoch: PlacementEpoch(1), tokens, past: Vec::new() },
            descriptors: nodes.iter().map(FixtureNode::descriptor).collect(),
            parameters: Parameters {
                mix_delay: Duration::from_millis(50),
                registration_lifetime: Duration::from_secs(3_600),
                collector_lifetime: Duration::from_secs(3_600),
                ..Parameters::default()
            },
        };
        Self { root, authority, nodes, document }
    }

    /// The document as it stands.
    pub(crate) fn sign(&self) -> VerifiedDocument {
        SignedDocument::sign(&self.document, &self.root, std::slice::from_ref(&self.authority))
            .expect("a document that keeps the rules")
            .dangerously_assume_timely(&self.root)
            .expect("signed by the only authority")
    }

    /// Makes `document` the successor of what was signed before.
    pub(crate) fn next_epoch(&mut self) {
        self.document.previous = self.sign().hash();
        self.document.epoch += 1;
    }

    fn nth(&self, n: usize, fits: impl Fn(&Role) -> bool) -> &FixtureNode {
        self.nodes.iter().filter(|node| fits(&node.role)).nth(n).expect("the fixture has it")
    }

    pub(crate) fn gateway(&self, n: usize) -> &FixtureNode {
        self.nth(n, |role| matches!(role, Role::Gateway))
    }

    pub(crate) fn mix(&self, layer: u8, n: usize) -> &FixtureNode {
        self.nth(n, |role| *role == Role::Mix { layer })
    }

    pub(crate) fn store(&self, n: usize) -> &FixtureNode {
        self.nth(n, |role| matches!(role, Role::Store { .. }))
    }

    /// The descriptor of a node, to change it before [`Self::sign`].
    pub(crate) fn descriptor_mut(&mut self, id: &NodeId) -> &mut Descriptor {
        let found = self.document.descriptors.iter_mut().find(|node| node.id == *id);
        found.expect("the fixture has it")
    }
}

impl FixtureNode {
    fn new(n: u8, role: Role) -> Self {
        let seed = [n; 32];
        let store = AnswerKey::from_seed(&Secret::new(seed)).store();
        Self {
            id: NodeId::from_bytes(*store.as_bytes()),
            role,
            seed,
            hop_secret: Secret::new([n.wrapping_add(100); 32]),
        }
    }

    pub(crate) fn hop_secret(&self) -> HopSecret {
        HopSecret::from_secret(&self.hop_secret)
    }

    pub(crate) fn hop_key(&self) -> HopKey {
        self.hop_secret().public()
    }

    pub(crate) fn hop_setup(&self) -> HopSetup {
        HopSetup { secrets: vec![self.hop_secret()], remembered: Vec::new() }
    }

    pub(crate) fn store_setup(&self) -> StoreSetup {
        let Role::Store { incarnation } = self.role else { panic!("not a store") };
        StoreSetup {
            id: self.id,
            answer_key: AnswerKey::from_seed(&Secret::new(self.seed)),
            incarnation,
            hop: self.hop_setup(),
        }
    }

    fn descriptor(&self) -> Descriptor {
        let period =
            HopKeyPeriod { key: *self.hop_key().as_bytes(), from: T0, until: T0 + VALIDITY };
        Descriptor {
            id: self.id,
            operator: OperatorId::from_bytes(self.seed),
            role: self.role,
            addresses: vec![([127, 0, 0, 1], 1).into()],
            hop_keys: if self.role == Role::Gateway { Vec::new() } else { vec![period] },
        }
    }
}
