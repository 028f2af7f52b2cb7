//! Why the store could not do what it was asked.

use rusqlite::ErrorCode;
use thiserror::Error;

/// What SQLite says, without its type.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the store could not do what it was asked. Nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database's schema is of a later program.
    #[error("the profile's database has schema {got}, this program knows {known}")]
    NewerSchema {
        /// What the file says.
        got: u32,
        /// The latest this program knows.
        known: u32,
    },
    /// The file is damaged, or it is not this profile's.
    #[error("the profile's database is damaged")]
    Corrupt,
    /// It is whole and yet older than what this profile has done: its write-ahead log is damaged or
    /// missing, or somebody has put an older copy in its place.
    #[error("the profile's database is at change {commits}, and it has been at {noted}")]
    RolledBack {
        /// Commits that the database knows of.
        commits: u64,
        /// Commits that were noted beside it.
        noted: u64,
    },
    /// The disk has no room left.
    #[error("the disk is full")]
    DiskFull,
    /// The file system refused.
    #[error("the profile's database cannot be read or written")]
    Io(#[source] Cause),
    /// Somebody else has the file open, although we hold the profile's lock.
    #[error("the profile's database is in use by another program")]
    Busy,
    /// A change names a row that is not there: a bug of ours.
    #[error("a change names a message that does not exist")]
    UnknownRow,
    /// Anything else SQLite can say: a bug of ours.
    #[error("the profile's database failed")]
    Sqlite(#[source] Cause),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
        ) {
            // A value that this program never writes.
            return Self::Corrupt;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt,
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied,
            ) => Self::Io(error.into()),
            _ => Self::Sqlite(error.into()),
        }
    }
}
