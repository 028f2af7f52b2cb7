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
use xchat_node::HopSetup;
use xchat_node::store::StoreSetup;
use xchat_pigeonhole::{AnswerKey, BoxId, BoxKeys, Lane, SealedBox};
use xchat_sphinx::{HopSecret, PacketFormat, Sphinx};
use xchat_transparent::Transparent;

/// When the tests begin.
pub(super) const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
/// How long the document and its keys are good.
pub(super) const VALIDITY: Duration = Duration::from_secs(40 * 24 * 3_600);

pub(super) struct FixtureNode {
    pub(super) id: NodeId,
    pub(super) role: Role,
    seed: [u8; 32],
}

pub(super) struct Fixture {
    pub(super) root: Root,
    authority: AuthoritySecret,
    pub(super) nodes: Vec<FixtureNode>,
    /// What the next [`Self::sign`] signs.
    pub(super) document: Document,
    /// Of all packets.
    pub(super) format: &'static dyn PacketFormat,
}

pub(super) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Sealed boxes of one lane, and their ids.
pub(crate) fn boxes(lane: u8, count: usize) -> Vec<SealedBox> {
    let mut rng = rng(u64::from(lane));
    let mut lane = Lane::new(Secret::new([lane; 32]));
    let mut seal = |keys: &BoxKeys| keys.seal(&mut rng, b"content").expect("short");
    (0..count)
        .map(|_| {
            let sealed = seal(&lane.keys());
            lane.advance();
            sealed
        })
        .collect()
}

pub(super) fn id_of(lane: u8, index: usize) -> BoxId {
    boxes(lane, index + 1)[index].id()
}

impl Fixture {
    /// Two gateways, `mixes` in each layer, four stores; 20 slots a second, 20 ms of delay in a mix.
    pub(super) fn new(mixes: usize) -> Self {
        let mut rng = rng(99);
        let mut roles = vec![Role::Gateway; 2];
        for layer in 1..=3 {
            roles.extend(vec![Role::Mix { layer }; mixes]);
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
                mix_delay: Duration::from_millis(20),
                pace_override: Some(20_000),
                ..Parameters::default()
            },
        };
        Self { root, authority, nodes, document, format: &Sphinx }
    }

    /// With packets that cost nothing, where tens of thousands are sent: what the cores do does not hang on the format
    /// (`testing/simnet/tests/schedule.rs`).
    pub(super) fn transparent(self) -> Self {
        Self { format: &Transparent, ..self }
    }

    pub(super) fn sign(&self) -> VerifiedDocument {
        self.signed().dangerously_assume_timely(&self.root).expect("signed by the only authority")
    }

    pub(super) fn signed(&self) -> SignedDocument {
        SignedDocument::sign(&self.document, &self.root, std::slice::from_ref(&self.authority))
            .expect("a document that keeps the rules")
    }

    /// Makes `document` the successor of what was signed before.
    pub(super) fn next_epoch(&mut self) {
        self.document.previous = self.sign().hash();
        self.document.epoch += 1;
    }

    pub(super) fn node(&self, id: &NodeId) -> &FixtureNode {
        self.nodes.iter().find(|node| node.id == *id).expect("known")
    }

    pub(super) fn all(&self, fits: impl Fn(&Role) -> bool) -> Vec<NodeId> {
        self.nodes.iter().filter(|node| fits(&node.role)).map(|node| node.id).collect()
    }

    pub(super) fn stores(&self) -> Vec<NodeId> {
        self.all(|role| matches!(role, Role::Store { .. }))
    }
}

impl FixtureNode {
    fn new(n: u8, role: Role) -> Self {
        let seed = [n; 32];
        let store = AnswerKey::from_seed(&Secret::new(seed)).store();
        Self { id: NodeId::from_bytes(*store.as_bytes()), role, seed }
    }

    pub(super) fn hop_secret(&self) -> HopSecret {
        HopSecret::from_secret(&Secret::new(self.seed.map(|byte| byte ^ 0xa5)))
    }

    pub(super) fn hop_setup(&self) -> HopSetup {
        HopSetup { secrets: vec![self.hop_secret()], remembered: Vec::new() }
    }

    pub(super) fn answer_key(&self) -> AnswerKey {
        AnswerKey::from_seed(&Secret::new(self.seed))
    }

    pub(super) fn store_setup(&self) -> StoreSetup {
        let Role::Store { incarnation } = self.role else { panic!("not a store") };
        let (answer_key, hop) = (self.answer_key(), self.hop_setup());
        StoreSetup { id: self.id, answer_key, incarnation, hop }
    }

    fn descriptor(&self) -> Descriptor {
        let key = *self.hop_secret().public().as_bytes();
        let period = HopKeyPeriod { key, from: T0, until: T0 + VALIDITY };
        Descriptor {
            id: self.id,
            operator: OperatorId::from_bytes(self.seed),
            role: self.role,
            addresses: vec![([127, 0, 0, 1], 1).into()],
            hop_keys: if self.role == Role::Gateway { Vec::new() } else { vec![period] },
        }
    }
}
