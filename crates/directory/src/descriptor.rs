//! What the directory says about one node.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use xchat_base::{Timestamp, identifier};

identifier!(
    /// A node's Ed25519 public key: its link endpoint, and the key that signs a store's answers.
    NodeId,
    32
);

identifier!(
    /// Who runs a node. A route, a replica set and the pair gateway–collector use each operator at
    /// most once.
    OperatorId,
    32
);

identifier!(
    /// One life of a store's table. A store that lost its data draws a new one, and votes again only
    /// once the directory lists it.
    Incarnation,
    16
);

impl NodeId {
    /// The first 16 bytes: how packets name a node. A document in which two nodes share a tag is
    /// refused.
    pub fn tag(&self) -> [u8; 16] {
        let mut tag = [0u8; 16];
        tag.copy_from_slice(&self.as_bytes()[..16]);
        tag
    }
}

/// Mixes stand in this many layers.
pub const LAYERS: u8 = 3;
/// A node has at most this many addresses: IPv4 and IPv6, a few of each.
pub const MAX_ADDRESSES: usize = 8;
/// A node lists at most this many hop keys: the current one, its neighbours in time, one to spare.
pub const MAX_HOP_KEYS: usize = 4;

/// What a node does in the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Role {
    /// Clients connect to it.
    Gateway,
    /// Delays and forwards packets.
    Mix {
        /// 1, 2 or 3: the order in which a packet passes them.
        layer: u8,
    },
    /// Holds boxes, and collects what is delivered to clients.
    Store {
        /// The life of its table that the directory has admitted.
        incarnation: Incarnation,
    },
}

/// A Sphinx hop key (X25519 public) and when it may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopKeyPeriod {
    /// The key.
    pub key: [u8; 32],
    /// First moment.
    pub from: Timestamp,
    /// First moment at which it is no longer valid.
    pub until: Timestamp,
}

impl HopKeyPeriod {
    /// Whether packets may be made for this key at `now`.
    pub fn contains(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Its key.
    pub id: NodeId,
    /// Who runs it.
    pub operator: OperatorId,
    /// What it does.
    pub role: Role,
    /// Where it listens: 1 to [`MAX_ADDRESSES`].
    pub addresses: Vec<SocketAddr>,
    /// Its hop keys, at most [`MAX_HOP_KEYS`]; overlaps are meant to be. None for a gateway, which is
    /// not a Sphinx hop.
    pub hop_keys: Vec<HopKeyPeriod>,
}

impl Descriptor {
    /// The key to make packets for at `now`: of those valid, the one that came last, because a reply
    /// block made now must still be good when it is used. Within its validity a checked document has
    /// one for every mix and store.
    pub fn hop_key(&self, now: Timestamp) -> Option<[u8; 32]> {
        self.hop_keys
            .iter()
            .filter(|period| period.contains(now))
            .max_by_key(|period| (period.from, period.until))
            .map(|period| period.key)
    }

    /// See [`NodeId::tag`].
    pub fn tag(&self) -> [u8; 16] {
        self.id.tag()
    }

    /// Whether it is a gateway.
    pub fn is_gateway(&self) -> bool {
        matches!(self.role, Role::Gateway)
    }

    /// Whether it is a mix of this layer.
    pub fn is_mix_of(&self, layer: u8) -> bool {
        matches!(self.role, Role::Mix { layer: own } if own == layer)
    }

    /// Whether it is a store.
    pub fn is_store(&self) -> bool {
        matches!(self.role, Role::Store { .. })
    }
}
