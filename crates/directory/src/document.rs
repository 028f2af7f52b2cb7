//! The epoch document: a network at one time.

mod check;

use serde::{Deserialize, Serialize};
use xchat_base::{Timestamp, Wire, identifier};

use crate::descriptor::{Descriptor, NodeId};
use crate::error::Invalid;
use crate::parameters::Parameters;
use crate::placement::{Placement, View};
use crate::root::NetworkId;

identifier!(
    /// BLAKE3 of a document's bytes (without the signatures, which may come in any number).
    DocumentHash,
    32
);

/// A document lists at most this many nodes. It has to fit into one link frame, together with its
/// signatures.
pub const MAX_NODES: usize = 256;

/// An encoded document is at most this long, for the same reason.
pub const MAX_DOCUMENT_LEN: usize = 56 * 1024;

/// Everything the members of a network have to agree on, for one stretch of time.
///
/// This is the plain value that authorities write. What comes from outside is a
/// [`crate::SignedDocument`] and becomes readable by [`crate::SignedDocument::verify`] only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Whose network.
    pub network: NetworkId,
    /// Counts documents from 1.
    pub epoch: u64,
    /// The document of the epoch before; zeros in the first.
    pub previous: DocumentHash,
    /// First moment of its validity.
    pub valid_from: Timestamp,
    /// First moment at which it is no longer valid.
    pub valid_until: Timestamp,
    /// Which stores hold which boxes.
    pub placement: Placement,
    /// The nodes, at most [`MAX_NODES`].
    pub descriptors: Vec<Descriptor>,
    /// What all do alike.
    pub parameters: Parameters,
}

impl Wire for Document {
    const FORMAT: &'static str = "network document";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = MAX_DOCUMENT_LEN;
}

impl Document {
    /// The gateways.
    pub fn gateways(&self) -> impl Iterator<Item = &Descriptor> {
        self.descriptors.iter().filter(|d| d.is_gateway())
    }

    /// The mixes of one layer (1, 2 or 3).
    pub fn mixes(&self, layer: u8) -> impl Iterator<Item = &Descriptor> {
        self.descriptors.iter().filter(move |d| d.is_mix_of(layer))
    }

    /// The stores.
    pub fn stores(&self) -> impl Iterator<Item = &Descriptor> {
        self.descriptors.iter().filter(|d| d.is_store())
    }

    /// The replicas of a box; see [`Placement::replicas`].
    pub fn replicas(&self, box_id: &[u8; 32]) -> Vec<NodeId> {
        self.placement.replicas(box_id, self)
    }

    /// The placement and those before it, the latest first; see [`Placement::views`].
    pub fn views(&self) -> Vec<View> {
        self.placement.views(self)
    }

    /// Whether the document makes sense by itself: bounds, layers, keys, tokens. Authorities call it
    /// before they sign; [`crate::SignedDocument::verify`] calls it for everybody else.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Invalid> {
        check::check(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{HOUR, Network, START};
    use crate::{HopKeyPeriod, Incarnation, OperatorId, Past, PlacedStore, Role};

    /// An unsigned integer as the specification writes it: seven bits a byte, lowest first.
    fn varint(out: &mut Vec<u8>, mut n: u64) {
        while n > 0x7f {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
    }

    fn micros(out: &mut Vec<u8>, time: Timestamp) {
        varint(out, time.as_micros());
    }

    fn descriptor(out: &mut Vec<u8>, node: &Descriptor) {
        out.extend(node.id.as_bytes());
        out.extend(node.operator.as_bytes());
        match node.role {
            Role::Gateway => out.push(0),
            Role::Mix { layer } => out.extend([1, layer]),
            Role::Store { incarnation } => {
                out.push(2);
                out.extend(incarnation.as_bytes());
            }
        }
        varint(out, node.addresses.len() as u64);
        for address in &node.addresses {
            match address.ip() {
                std::net::IpAddr::V4(ip) => {
                    out.push(0);
                    out.extend(ip.octets());
                }
                std::net::IpAddr::V6(ip) => {
                    out.push(1);
                    out.extend(ip.octets());
                }
            }
            varint(out, address.port().into());
        }
        varint(out, node.hop_keys.len() as u64);
        for HopKeyPeriod { key, from, until } in &node.hop_keys {
            out.extend(key);
            micros(out, *from);
            micros(out, *until);
        }
    }

    #[test]
    fn the_layout_is_that_of_the_specification() {
        let mut doc = Network::new().document;
        doc.descriptors[0].addresses = vec![([1, 2, 3, 4, 5, 6, 7, 8], 65_000).into()];
        doc.descriptors[9].role = Role::Store { incarnation: Incarnation::from_bytes([5; 16]) };
        doc.parameters.pace_override = Some(4_000);
        doc.parameters.mix_delay_by_rule = true;
        let (id, token) = doc.placement.tokens[0];
        let (operator, incarnation) =
            (OperatorId::from_bytes([7; 32]), Incarnation::from_bytes([8; 16]));
        let were = vec![PlacedStore { id, operator, token, incarnation }];
        let came = vec![doc.placement.tokens[1].0];
        doc.placement.past = vec![Past { were, came }, Past::default()];

        let mut out = vec![1];
        out.extend(doc.network.as_bytes());
        out.push(7);
        out.extend([9; 32]);
        micros(&mut out, START);
        micros(&mut out, START + HOUR);
        out.push(3);
        varint(&mut out, doc.placement.tokens.len() as u64);
        for (id, token) in &doc.placement.tokens {
            out.extend(id.as_bytes());
            out.extend(token.as_bytes());
        }
        out.extend([2, 1]);
        for store in &doc.placement.past[0].were {
            out.extend(store.id.as_bytes());
            out.extend(store.operator.as_bytes());
            out.extend(store.token.as_bytes());
            out.extend(store.incarnation.as_bytes());
        }
        out.push(1);
        out.extend(doc.placement.past[0].came[0].as_bytes());
        out.extend([0, 0]);
        varint(&mut out, doc.descriptors.len() as u64);
        for node in &doc.descriptors {
            descriptor(&mut out, node);
        }
        let parameters = &doc.parameters;
        varint(&mut out, 1_000_000);
        out.push(1);
        varint(&mut out, 4_000);
        // By rule, and five in a hundred.
        out.push(0x85);
        for lifetime in [
            parameters.registration_lifetime,
            parameters.collector_lifetime,
            parameters.box_lifetime,
            parameters.tombstone_lifetime,
        ] {
            varint(&mut out, lifetime.as_secs() * 1_000_000);
        }
        assert_eq!(doc.to_wire(), out);
        assert_eq!(Document::from_wire(&out).expect("own bytes"), doc);
    }
}
