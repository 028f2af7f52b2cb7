//! The epoch document: a network at one time.

mod check;

use serde::{Deserialize, Serialize};
use xchat_base::{Timestamp, Wire, identifier};

use crate::descriptor::{Descriptor, NodeId};
use crate::error::Invalid;
use crate::parameters::Parameters;
use crate::placement::Placement;
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

    /// Whether the document makes sense by itself: bounds, layers, keys, tokens. Authorities call it
    /// before they sign; [`crate::SignedDocument::verify`] calls it for everybody else.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Invalid> {
        check::check(self)
    }
}
