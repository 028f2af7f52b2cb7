//! Why a profile could not be made or opened.

use std::path::PathBuf;

use thiserror::Error;

use super::header::HeaderError;
use crate::store::StoreError;

/// Why a profile could not be made or opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// There is none.
    #[error("there is no profile in {}", .0.display())]
    NotFound(PathBuf),
    /// There is one already.
    #[error("there is already a profile in {}", .0.display())]
    Exists(PathBuf),
    /// A backup goes where nothing is yet.
    #[error("there is something in {} already", .0.display())]
    Occupied(PathBuf),
    /// Its directory can be read by others.
    #[error("{} can be read by others on this machine", .0.display())]
    Exposed(PathBuf),
    /// Another process has it open.
    #[error("the profile is in use by another process")]
    Locked,
    /// The header says no.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The database says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The header is there and the database is not, or a setting is missing in it.
    #[error("the profile is incomplete: {0} is missing")]
    Incomplete(&'static str),
    /// Empty, too long, or with control characters.
    #[error("a name has 1 to 64 characters and no control characters")]
    Name,
    /// An empty passphrase protects nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// A file could not be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}
