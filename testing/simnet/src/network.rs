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
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            gateways: 2,
            mixes_per_layer: 1,
            stores: 4,
            pace: Some(4_000),
            mix_delay: Duration::from_millis(50),
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
    /// The secret of its hop key; none for a gateway.
    pub secret: Option<HopSecret>,
    /// When it wants to be woken.
    pub wake_at: Option<Timestamp>,
}

/// Everything a run starts with.
pub struct Founded {
    /// The root of trust.
    pub root: Root,
    /// Its first document.
    pub document: VerifiedDocument,
    /// Its nodes, each with the keys that the document lists.
    pub nodes: BTreeMap<NodeId, Node>,
}

/// The secrets of one node.
struct Keys {
    node: Secret<32>,
    hop: HopSecret,
    incarnation: Incarnation,
}

/// Documents of a simulation never expire: its people would have to be told how to renew them.
const VALID_FOR: Duration = Duration::from_secs(400 * 24 * 3600);

/// Founds a network.
pub fn found(shape: &Shape, now: Timestamp, rng: &mut Rng) -> Founded {
    let authorities: Vec<_> = (0..3).map(|_| AuthoritySecret::random(rng)).collect();
    let name = NetworkName::new("sim").expect("a valid name");
    let root = Root::new(name, authorities.iter().map(AuthoritySecret::public).collect(), 2)
        .expect("three authorities, two of whom sign");
    let mut nodes: Vec<(Descriptor, Keys)> = Vec::new();
    for _ in 0..shape.gateways {
        nodes.push(node(rng, now, |_| Role::Gateway));
    }
    for layer in 1..=3 {
        for _ in 0..shape.mixes_per_layer {
            nodes.push(node(rng, now, |_| Role::Mix { layer }));
        }
    }
    for _ in 0..shape.stores {
        nodes.push(node(rng, now, |incarnation| Role::Store { incarnation }));
    }
    let stores = nodes.iter().filter(|(descriptor, _)| descriptor.is_store());
    let tokens = stores.map(|(descriptor, _)| (descriptor.id, Token::random(rng))).collect();
    let document = Document {
        network: NetworkId::from_bytes([0; 16]),
        epoch: 0,
        previous: DocumentHash::from_bytes([0; 32]),
        valid_from: now - Duration::from_secs(60),
        valid_until: now + VALID_FOR,
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
    Founded { root, document, nodes }
}

fn node(
    rng: &mut Rng,
    now: Timestamp,
    role: impl FnOnce(Incarnation) -> Role,
) -> (Descriptor, Keys) {
    let keys = Keys {
        node: Secret::random(rng),
        hop: HopSecret::random(rng),
        incarnation: Incarnation::random(rng),
    };
    let id = AnswerKey::from_seed(&keys.node).store();
    let role = role(keys.incarnation);
    let hop_keys = if role == Role::Gateway {
        Vec::new()
    } else {
        let (from, until) = (now - Duration::from_secs(3600), now + VALID_FOR);
        vec![HopKeyPeriod { key: *keys.hop.public().as_bytes(), from, until }]
    };
    let descriptor = Descriptor {
        id: NodeId::from_bytes(*id.as_bytes()),
        operator: OperatorId::random(rng),
        role,
        addresses: vec![SocketAddr::from(([127, 0, 0, 1], 1))],
        hop_keys,
    };
    (descriptor, keys)
}

fn core(
    descriptor: &Descriptor,
    keys: Keys,
    document: &VerifiedDocument,
    now: Timestamp,
    rng: &mut Rng,
) -> Node {
    let id = descriptor.id;
    let secret = HopSecret::from_secret(&keys.hop.to_secret());
    let secret = (descriptor.role != Role::Gateway).then_some(secret);
    let hop = HopSetup { secrets: vec![keys.hop], remembered: Vec::new() };
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
    Node { core, secret, wake_at: Some(now) }
}
