//! Starting a core, and taking over a new document.

use thiserror::Error;
use xchat_directory::{Descriptor, DirectoryError, NodeId, Role, VerifiedDocument};

/// Why a core cannot work with what it was started with: the operator's mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The network does not know this node.
    #[error("the network document does not list node {}", .id.to_hex())]
    NotListed {
        /// This node.
        id: NodeId,
    },
    /// The network knows it in another role.
    #[error("the network document lists node {} as {listed:?}, not as a {wanted}", .id.to_hex())]
    OtherRole {
        /// This node.
        id: NodeId,
        /// What the document says.
        listed: Role,
        /// What it was started as.
        wanted: &'static str,
    },
    /// None of the hop keys that the network knows is at hand.
    #[error("node {} has the secret of none of its hop keys in the network document", .id.to_hex())]
    NoHopKey {
        /// This node.
        id: NodeId,
    },
    /// The store's answers would be signed with a key that is not its node key.
    #[error("the answer key is not that of node {}", .id.to_hex())]
    AnswerKey {
        /// This node.
        id: NodeId,
    },
}

/// This node's descriptor, if it has the role that the core is for.
pub(crate) fn own<'a>(
    document: &'a VerifiedDocument,
    id: &NodeId,
    wanted: &'static str,
    fits: impl Fn(&Role) -> bool,
) -> Result<&'a Descriptor, StartError> {
    let own = document.node(id).ok_or(StartError::NotListed { id: *id })?;
    if !fits(&own.role) {
        return Err(StartError::OtherRole { id: *id, listed: own.role, wanted });
    }
    Ok(own)
}

/// Puts a newer document in the place of the current one.
///
/// # Errors
/// What [`VerifiedDocument::follows`] says; the current one then stays.
pub(crate) fn replace(
    current: &mut VerifiedDocument,
    newer: VerifiedDocument,
) -> Result<(), DirectoryError> {
    newer.follows(current)?;
    *current = newer;
    Ok(())
}
