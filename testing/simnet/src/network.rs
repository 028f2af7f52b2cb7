//! Keys, document and cores of a network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use xchat_base::random::Rng;
use xchat_base::{Secret, Timestamp};
use xchat_directory::{
    AuthoritySecret, Descriptor, Document, DocumentHash, HopKeyPeriod, Incarnation, NetworkFile,
    NetworkId, NetworkName, NodeId, OperatorId, Parameters, Placement, PlacementEpoch, Role, Root,
    Token, VerifiedDocument,
};
use xchat_node::gateway::Limits;
use xchat_node::store::StoreSetup;
use xchat_node::{Gateway, HopSetup, Mix, Store};
use xchat_pigeonhole::AnswerKey;
use xchat_pigeonhole::register::MemoryTable;
use xchat_sphinx::HopSecret;

use crate::renewal::{Authorities, Renewal, SKEW};

/// How large a network is, and its parameters.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Number of gateways.
    pub gateways: usize,
    /// Number of mixes in each of the three layers.
    pub mixes_per_layer: usize,
    /// Number of stores.
    pub stores: usize,
    /// Packets per 1,000 seconds of each client, if the network fixes one rate for all.
    pub pace: Option<u32>,
    /// Mean delay of a mix.
    pub mix_delay: Duration,
    /// How hop keys and documents are renewed. Without, the first ones are good for longer than any run.
    pub renewal: Option<Renewal>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            gateways: 2,
            mixes_per_layer: 1,
            stores: 4,
            pace: Some(4_000),
            mix_delay: Duration::from_millis(50),
            renewal: None,
        }
    }
}

/// A node's core.
#[allow(clippy::large_enum_variant)] // A handful of them, each living as long as the world.
pub enum Core {
    /// Of a gateway.
    Gateway(Gateway),
    /// Of a mix.
    Mix(Mix),
    /// Of a store, over a table in memory.
    Store(Store<MemoryTable>),
}

/// A core, what else an insider knows, and when it wants to be woken.
pub struct Node {
    /// The core.
    pub core: Core,
    /// The secrets of its hop keys; none for a gateway.
    pub secrets: Vec<HopSecret>,
    /// When it wants to be woken.
    pub wake_at: Option<Timestamp>,
}

/// Everything a run starts with.
pub struct Founded {
    /// The root of trust.
    pub root: Root,
    /// Who renew its document, if anybody does.
    pub(crate) authorities: Option<Authorities>,
    /// Its first document.
    pub document: VerifiedDocument,
    /// Its nodes, each with the keys that the document lists.
    pub nodes: BTreeMap<NodeId, Node>,
}

/// The secrets of one node.
struct Keys {
    node: Secret<32>,
    hop: Vec<HopSecret>,
    incarnation: Incarnation,
}

/// Documents and keys that nobody renews never expire.
const VALID_FOR: Duration = Duration::from_secs(400 * 24 * 3600);

/// Founds a network.
pub fn found(shape: &Shape, now: Timestamp, rng: &mut Rng) -> Founded {
    let authorities: Vec<_> = (0..3).map(|_| AuthoritySecret::random(rng)).collect();
    let name = NetworkName::new("sim").expect("a valid name");
    let root = Root::new(name, authorities.iter().map(AuthoritySecret::public).collect(), 2)
        .expect("three authorities, two of whom sign");
    let mut nodes: Vec<(Descriptor, Keys)> = Vec::new();
    for _ in 0..shape.gateways {
        nodes.push(node(shape, rng, now, |_| Role::Gateway));
    }
    for layer in 1..=3 {
        for _ in 0..shape.mixes_per_layer {
            nodes.push(node(shape, rng, now, |_| Role::Mix { layer }));
        }
    }
    for _ in 0..shape.stores {
        nodes.push(node(shape, rng, now, |incarnation| Role::Store { incarnation }));
    }
    let stores = nodes.iter().filter(|(descriptor, _)| descriptor.is_store());
    let tokens = stores.map(|(descriptor, _)| (descriptor.id, Token::random(rng))).collect();
    let document = Document {
        network: NetworkId::from_bytes([0; 16]),
        epoch: 0,
        previous: DocumentHash::from_bytes([0; 32]),
        valid_from: now - SKEW,
        valid_until: now + shape.renewal.map_or(VALID_FOR, Renewal::valid_for),
        placement: Placement { epoch: PlacementEpoch(1), tokens, past: Vec::new() },
        descriptors: nodes.iter().map(|(descriptor, _)| descriptor.clone()).collect(),
        parameters: Parameters {
            mix_delay: shape.mix_delay,
            pace_override: shape.pace,
            ..Parameters::default()
        },
    };
    let file = NetworkFile::first(root.clone(), document, &authorities).expect("a valid document");
    let document = file.verify(now).expect("just signed");
    let nodes = nodes
        .into_iter()
        .map(|(descriptor, keys)| (descriptor.id, core(&descriptor, keys, &document, now, rng)))
        .collect();
    let authorities =
        shape.renewal.map(|renewal| Authorities { renewal, secrets: authorities, file });
    Founded { root, authorities, document, nodes }
}

fn node(
    shape: &Shape,
    rng: &mut Rng,
    now: Timestamp,
    role: impl FnOnce(Incarnation) -> Role,
) -> (Descriptor, Keys) {
    let node = Secret::random(rng);
    let mut hop_keys = Vec::new();
    let hop = match shape.renewal {
        Some(renewal) => renewal.roll(&mut hop_keys, now, rng),
        None => vec![for_ever(&mut hop_keys, now, rng)],
    };
    let keys = Keys { node, hop, incarnation: Incarnation::random(rng) };
    let id = AnswerKey::from_seed(&keys.node).store();
    let role = role(keys.incarnation);
    if role == Role::Gateway {
        hop_keys.clear();
    }
    let descriptor = Descriptor {
        id: NodeId::from_bytes(*id.as_bytes()),
        operator: OperatorId::random(rng),
        role,
        addresses: vec![SocketAddr::from(([127, 0, 0, 1], 1))],
        hop_keys,
    };
    (descriptor, keys)
}

/// A key that nobody renews.
fn for_ever(keys: &mut Vec<HopKeyPeriod>, now: Timestamp, rng: &mut Rng) -> HopSecret {
    let secret = HopSecret::random(rng);
    let (from, until) = (now - Duration::from_secs(3600), now + VALID_FOR);
    keys.push(HopKeyPeriod { key: *secret.public().as_bytes(), from, until });
    secret
}

fn core(
    descriptor: &Descriptor,
    keys: Keys,
    document: &VerifiedDocument,
    now: Timestamp,
    rng: &mut Rng,
) -> Node {
    let id = descriptor.id;
    let mut secrets: Vec<_> = keys.hop.iter().map(again).collect();
    if descriptor.role == Role::Gateway {
        secrets.clear();
    }
    let hop = HopSetup { secrets: keys.hop, remembered: Vec::new() };
    let core = match descriptor.role {
        Role::Gateway => {
            // Little work, since nobody is to wait for it.
            let limits = Limits { effort: 16, ..Limits::default() };
            Core::Gateway(Gateway::new(id, document.clone(), limits).expect("listed as a gateway"))
        }
        Role::Mix { .. } => {
            let (mix, _) = Mix::new(id, document.clone(), hop, now).expect("listed as a mix");
            Core::Mix(mix)
        }
        Role::Store { .. } => {
            let setup = StoreSetup {
                id,
                answer_key: AnswerKey::from_seed(&keys.node),
                incarnation: keys.incarnation,
                hop,
            };
            let table = MemoryTable::default();
            let (store, _) = Store::new(setup, document.clone(), table, now, rng).expect("listed");
            Core::Store(store)
        }
        other => unreachable!("founded above without {other:?}"),
    };
    // Whatever a new core wants first, it does when it is woken.
    Node { core, secrets, wake_at: Some(now) }
}

/// The same secret once more.
pub(crate) fn again(secret: &HopSecret) -> HopSecret {
    HopSecret::from_secret(&secret.to_secret())
}
