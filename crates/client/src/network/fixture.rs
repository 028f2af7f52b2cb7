//! A signed network of which no node is there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand_core::OsRng;
use xchat_base::{Timestamp, random};
use xchat_transport::directory::{
    AuthoritySecret, Descriptor, Document, DocumentHash, HopKeyPeriod, Incarnation, NetworkFile,
    NetworkId, NetworkName, NodeId, OperatorId, Parameters, Placement, PlacementEpoch, Role, Root,
    Token,
};

const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn now() -> Timestamp {
    Timestamp::ZERO + SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

pub(crate) struct Authority {
    pub(crate) root: Root,
    secrets: [AuthoritySecret; 1],
}

impl Authority {
    pub(crate) fn new() -> Self {
        let secret = AuthoritySecret::random(&mut OsRng);
        let name = NetworkName::new("nowhere").expect("a good name");
        let root = Root::new(name, vec![secret.public()], 1).expect("a good root");
        Self { root, secrets: [secret] }
    }

    /// The first file, valid until then.
    pub(crate) fn first(&self, valid_until: Timestamp) -> NetworkFile {
        let document = document(valid_until);
        NetworkFile::first(self.root.clone(), document, &self.secrets).expect("a good document")
    }

    /// The next file.
    pub(crate) fn next(&self, file: &NetworkFile, valid_until: Timestamp) -> NetworkFile {
        let mut document = document(valid_until);
        // Its stores are new ones.
        document.placement.epoch = PlacementEpoch(2);
        file.next(document, &self.secrets).expect("a good document")
    }
}

fn document(valid_until: Timestamp) -> Document {
    let store = || Role::Store { incarnation: Incarnation::random(&mut OsRng) };
    let mix = |layer| Role::Mix { layer };
    let roles = [Role::Gateway, mix(1), mix(2), mix(3), store(), store(), store()];
    let descriptors: Vec<Descriptor> =
        roles.into_iter().map(|role| node(role, valid_until)).collect();
    let stores = descriptors.iter().filter(|node| node.is_store());
    let tokens = stores.map(|node| (node.id, Token::random(&mut OsRng))).collect();
    Document {
        network: NetworkId::from_bytes([0; 16]),
        epoch: 0,
        previous: DocumentHash::from_bytes([0; 32]),
        valid_from: valid_until - 48 * HOUR,
        valid_until,
        placement: Placement { epoch: PlacementEpoch(1), tokens, past: Vec::new() },
        descriptors,
        parameters: Parameters::default(),
    }
}

fn node(role: Role, until: Timestamp) -> Descriptor {
    let mut rng = OsRng;
    let hop_keys = match role {
        Role::Gateway => vec![],
        _ => vec![HopKeyPeriod { key: random::bytes(&mut rng), from: until - 48 * HOUR, until }],
    };
    Descriptor {
        id: NodeId::random(&mut rng),
        operator: OperatorId::random(&mut rng),
        role,
        // The discard port: nobody is there.
        addresses: vec![([127, 0, 0, 1], 9).into()],
        hop_keys,
    }
}
