//! A node that could start: configuration, keys and document read and agreeing with each other.

use std::path::Path;

use xchat_base::{Rng, Secret};
use xchat_link::LinkSecret;
use xchat_node::directory::{Descriptor, Incarnation, NodeId, Role, Root, VerifiedDocument};
use xchat_node::sphinx::HopSecret;
use xchat_node::{HopSetup, StartError};

use crate::config::{NodeConfig, RoleName};
use crate::document;
use crate::error::NodeError;
use crate::journal::Journal;
use crate::keys;
use crate::table::DiskTable;

/// Everything that can be wrong with a node before it opens a socket has been looked at.
pub struct Prepared {
    pub(crate) config: NodeConfig,
    pub(crate) id: NodeId,
    pub(crate) seed: Secret<32>,
    pub(crate) hops: Vec<HopSecret>,
    pub(crate) root: Root,
    pub(crate) document: VerifiedDocument,
}

impl Prepared {
    /// Reads keys and network file and checks that the network knows this node as configured.
    ///
    /// # Errors
    /// [`NodeError`] with the reason; nothing was changed.
    pub fn load(config: NodeConfig) -> Result<Self, NodeError> {
        let seed = keys::read(&keys::node_key_path(&config.dir))?;
        let id = node_id(&seed);
        let (root, document) = document::read(&config.network)?;
        let own = document.node(&id).ok_or(StartError::NotListed { id })?;
        check_role(own, config.role)?;
        let hops = keys::read_hops(&config.dir, |key| keys::is_listed(key, own))?;
        if hops.is_empty() && config.role != RoleName::Gateway {
            return Err(StartError::NoHopKey { id }.into());
        }
        Ok(Self { id, seed, hops, root, document, config })
    }

    /// The node's id.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The network's name.
    pub fn network(&self) -> &str {
        self.root.name().as_str()
    }

    /// The document it would start with.
    pub fn document(&self) -> &VerifiedDocument {
        &self.document
    }

    /// The hop keys and what the journals remember of them.
    pub(crate) fn open_hop(&mut self) -> Result<(HopSetup, Journal), NodeError> {
        let secrets = std::mem::take(&mut self.hops);
        let known: Vec<_> = secrets.iter().map(HopSecret::public).collect();
        let (journal, remembered) = Journal::open(&self.config.dir, &known)?;
        Ok((HopSetup { secrets, remembered }, journal))
    }
}

/// The id of the node with this key.
pub fn node_id(seed: &Secret<32>) -> NodeId {
    NodeId::from_bytes(*LinkSecret::from_seed(seed.clone()).id().as_bytes())
}

/// Makes a store's table if there is none; the life of the table, for the directory.
///
/// # Errors
/// [`NodeError::Table`].
pub fn store_incarnation(dir: &Path, rng: &mut Rng) -> Result<Incarnation, NodeError> {
    Ok(DiskTable::open(dir, 1, rng)?.incarnation())
}

fn check_role(own: &Descriptor, wanted: RoleName) -> Result<(), StartError> {
    let fits = match wanted {
        RoleName::Gateway => matches!(own.role, Role::Gateway),
        RoleName::Mix => matches!(own.role, Role::Mix { .. }),
        RoleName::Store => matches!(own.role, Role::Store { .. }),
    };
    if fits {
        return Ok(());
    }
    Err(StartError::OtherRole { id: own.id, listed: own.role, wanted: wanted.as_str() })
}
