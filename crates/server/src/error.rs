//! Why a node cannot start, or had to stop.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error as ThisError;
use xchat_link::LinkError;
use xchat_node::StartError;
use xchat_node::directory::{DirectoryError, NetworkFileError};

use crate::config::ConfigError;
use crate::keys::KeyError;
use crate::table::TableError;

/// Why a node cannot start, or had to stop. All of it is the operator's to mend.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum NodeError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The network file is not one.
    #[error("{}: {source}", path.display())]
    NetworkFile {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: NetworkFileError,
    },
    /// The network document in it is refused.
    #[error("{}: {source}", path.display())]
    Document {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: DirectoryError,
    },
    /// The network does not know this node as what it is configured to be.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The table of boxes.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Sockets.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The address of the metrics.
    #[error("metrics at {address}: {source}")]
    Metrics {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Another process serves from this directory.
    #[error("{}: another process is serving this node", path.display())]
    Running {
        /// Its control socket.
        path: PathBuf,
    },
    /// The thread that owns the core ended without saying why: a bug.
    #[error("the core has stopped unexpectedly")]
    CoreStopped,
}

impl NodeError {
    /// Whether the cause of it all is that a disk has no room.
    pub fn is_disk_full(&self) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = cause {
            let full = |error: &io::Error| {
                matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            };
            if error.downcast_ref().is_some_and(full) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
