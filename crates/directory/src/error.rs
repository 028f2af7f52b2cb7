//! Why a document is refused.

use thiserror::Error;
use xchat_base::{CodecError, Timestamp};

use crate::descriptor::NodeId;
use crate::root::NetworkId;

/// Why a document is not taken into use. Nothing changes when this comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Its time is over: a newer one exists, or the authorities have stopped.
    #[error("the network document expired at {}s after the epoch, now is {}s", .valid_until.as_secs(), .now.as_secs())]
    Expired {
        /// When it expired.
        valid_until: Timestamp,
        /// The clock it was held against.
        now: Timestamp,
    },
    /// Its time has not come, or the local clock is slow.
    #[error("the network document is valid only from {}s after the epoch, now is {}s: is the clock right?", .valid_from.as_secs(), .now.as_secs())]
    NotYetValid {
        /// When it becomes valid.
        valid_from: Timestamp,
        /// The clock it was held against.
        now: Timestamp,
    },
    /// Not signed by enough of the network's authorities.
    #[error(
        "the network document carries {got} valid signatures of the network's authorities, {want} are needed"
    )]
    TooFewSignatures {
        /// Valid signatures of distinct authorities.
        got: usize,
        /// The root's threshold.
        want: usize,
    },
    /// A document of another network.
    #[error("the document is of network {}, not of {}", .got.to_hex(), .want.to_hex())]
    ForeignNetwork {
        /// What the document says.
        got: NetworkId,
        /// The root's.
        want: NetworkId,
    },
    /// Not a document, or one of another version.
    #[error("not a network document: {0}")]
    Malformed(#[from] CodecError),
    /// Signed, but it breaks a rule that every document keeps.
    #[error("the network document is not usable: {0}")]
    Invalid(#[from] Invalid),
    /// Not newer than the document in use.
    #[error("the document is of epoch {got}, epoch {have} is already in use")]
    NotNewer {
        /// The document's epoch.
        got: u64,
        /// The epoch in use.
        have: u64,
    },
    /// The next epoch, but not a successor of the document in use: the authorities have signed two
    /// histories.
    #[error("the document of epoch {epoch} does not follow from the one in use")]
    BrokenChain {
        /// The document's epoch.
        epoch: u64,
    },
    /// The placement went back, or changed without a new placement epoch.
    #[error("the placement of epoch {epoch} contradicts the one in use")]
    PlacementRegressed {
        /// The document's epoch.
        epoch: u64,
    },
}

/// A rule of every document that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Invalid {
    /// It ends before it begins.
    #[error("its validity is empty")]
    Validity,
    /// Epochs count from one.
    #[error("epoch 0 does not exist")]
    Epoch,
    /// More than [`crate::document::MAX_NODES`].
    #[error("{got} nodes are too many")]
    TooManyNodes {
        /// How many.
        got: usize,
    },
    /// No address, or too many.
    #[error("node {} has no address or too many", .id.to_hex())]
    Addresses {
        /// Which node.
        id: NodeId,
    },
    /// Not a layer.
    #[error("mix {} stands in layer {layer}, which does not exist", .id.to_hex())]
    Layer {
        /// Which node.
        id: NodeId,
        /// What it says.
        layer: u8,
    },
    /// Hop keys missing for a part of the document's validity, too many, shared with another node, or
    /// present where none belong.
    #[error("node {} has not the hop keys that its role needs for the document's whole validity", .id.to_hex())]
    HopKeys {
        /// Which node.
        id: NodeId,
    },
    /// Two nodes begin with the same 16 bytes, or a node's first 16 bytes are zero.
    #[error("the tag of node {} is zero or taken", .id.to_hex())]
    DuplicateTag {
        /// The later of the two.
        id: NodeId,
    },
    /// Nobody could connect.
    #[error("there is no gateway")]
    NoGateway,
    /// No route exists.
    #[error("mix layer {layer} is empty")]
    EmptyLayer {
        /// Which.
        layer: u8,
    },
    /// A box could not have three independent replicas.
    #[error("the stores have {operators} operators, a box needs 3")]
    TooFewStores {
        /// How many distinct operators there are.
        operators: usize,
    },
    /// Not exactly one distinct token for each store.
    #[error("the placement tokens do not match the stores")]
    Tokens,
    /// More past placements than [`crate::MAX_PAST`], or than there were; or more stores in one than
    /// a document has nodes.
    #[error("the past placements are not possible")]
    Past,
    /// Outside the allowed range.
    #[error("a parameter is out of range")]
    Parameters,
}
