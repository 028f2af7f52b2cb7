//! The SDK's error: opaque, with a kind that says what can be done about it.

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use xchat_engine::CommandError;

use crate::network::NetworkError;
use crate::profile::{HeaderError, ProfileError, files};
use crate::store::StoreError;

/// What went wrong, sorted by what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no profile.
    NoProfile,
    /// There is one already.
    ProfileExists,
    /// Others on this machine could read the profile.
    Exposed,
    /// The passphrase does not open the profile.
    WrongPassphrase,
    /// Another process has the profile open.
    Locked,
    /// The profile was written by a later program.
    NewerVersion,
    /// The profile's files are damaged.
    Corrupt,
    /// The profile's database is older than what the profile has done.
    RolledBack,
    /// The disk has no room left.
    DiskFull,
    /// Files cannot be read or written.
    Io,
    /// The network file cannot be used.
    BadNetwork,
    /// No gateway can be reached.
    NoNetwork,
    /// What was named does not exist.
    NotFound,
    /// What was named exists more than once.
    Ambiguous,
    /// What was given is not valid.
    Invalid,
    /// Not an invitation link, or a damaged one.
    InvalidLink,
    /// An invitation for another network.
    OtherNetwork,
    /// One's own invitation.
    OwnInvitation,
    /// The invitation was used before.
    UsedLink,
    /// The invitation's time is over.
    Expired,
    /// The invitation leads to something it did not promise.
    ForgedLink,
    /// As many as there may be.
    TooMany,
    /// It takes longer than the caller would wait.
    Timeout,
    /// This device's clock is not that of the network.
    ClockWrong,
    /// The client is stopping or has stopped.
    Stopped,
    /// A bug of ours.
    Internal,
}

impl ErrorKind {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::NoProfile,
        Self::ProfileExists,
        Self::Exposed,
        Self::WrongPassphrase,
        Self::Locked,
        Self::NewerVersion,
        Self::Corrupt,
        Self::RolledBack,
        Self::DiskFull,
        Self::Io,
        Self::BadNetwork,
        Self::NoNetwork,
        Self::NotFound,
        Self::Ambiguous,
        Self::Invalid,
        Self::InvalidLink,
        Self::OtherNetwork,
        Self::OwnInvitation,
        Self::UsedLink,
        Self::Expired,
        Self::ForgedLink,
        Self::TooMany,
        Self::Timeout,
        Self::ClockWrong,
        Self::Stopped,
        Self::Internal,
    ];

    /// Reads what [`Self::code`] gives.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Stable, for scripts.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoProfile => "no_profile",
            Self::ProfileExists => "profile_exists",
            Self::Exposed => "exposed",
            Self::WrongPassphrase => "wrong_passphrase",
            Self::Locked => "locked",
            Self::NewerVersion => "newer_version",
            Self::Corrupt => "corrupt",
            Self::RolledBack => "rolled_back",
            Self::DiskFull => "disk_full",
            Self::Io => "io",
            Self::BadNetwork => "bad_network",
            Self::NoNetwork => "no_network",
            Self::NotFound => "not_found",
            Self::Ambiguous => "ambiguous",
            Self::Invalid => "invalid",
            Self::InvalidLink => "invalid_link",
            Self::OtherNetwork => "other_network",
            Self::OwnInvitation => "own_invitation",
            Self::UsedLink => "used_link",
            Self::Expired => "expired",
            Self::ForgedLink => "forged_link",
            Self::TooMany => "too_many",
            Self::Timeout => "timeout",
            Self::ClockWrong => "clock_wrong",
            Self::Stopped => "stopped",
            Self::Internal => "internal",
        }
    }

    /// What to do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::NoProfile => "Make one with `xchat init`, or name another with --profile.",
            Self::ProfileExists => "Choose another directory with --profile.",
            Self::Exposed => "Make it yours alone: `chmod 700` the profile's directory.",
            Self::WrongPassphrase => {
                "Nothing was changed. Try again; nobody can reset it. If it is certainly right, \
                 `profile.json` is damaged: restore it from a backup."
            }
            Self::Locked => "Stop the other process first: `xchat stop`.",
            Self::NewerVersion => "Use a newer xchat. Nothing was changed.",
            Self::Corrupt => "Restore the profile from a backup; keep the damaged files.",
            Self::RolledBack => {
                "`store.db-wal` is damaged or missing, or an older copy lies here. Nothing was \
                 changed. Put the newest files back. Only if they are lost for good, remove \
                 `store.mark`: the older state then rejoins its conversations."
            }
            Self::DiskFull => "Free some space. Nothing that was confirmed is lost.",
            Self::Io => "Check that the directory exists, is yours and can be written to.",
            Self::BadNetwork => "Get a current network file from whoever runs the network.",
            Self::NoNetwork => "Check the connection. What was asked for stays queued.",
            Self::NotFound => {
                "`xchat contacts` lists the contacts, `xchat invitations` the open invitations."
            }
            Self::Ambiguous => "Use the contact's id from `xchat contacts`.",
            Self::Invalid => "",
            Self::InvalidLink => "Copy the whole link, from `xchat:` to its end.",
            Self::OtherNetwork => "Use a profile in that network.",
            Self::OwnInvitation => "Give it to somebody else.",
            Self::UsedLink | Self::Expired => "Ask for a new invitation.",
            Self::ForgedLink => {
                "Ask for a new invitation by another way: somebody may have tampered with this one."
            }
            Self::TooMany => "",
            Self::Timeout => "It goes on in the background; ask again later.",
            Self::ClockWrong => {
                "Set the clock of this machine right. Nothing is lost meanwhile, and nothing is sent."
            }
            Self::Stopped => "Run the command again.",
            Self::Internal => "This is a bug in xchat. Please report it.",
        }
    }
}

/// Why something could not be done.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error without a source.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// What went wrong, sorted by what can be done about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// As it stands in JSON.
    pub fn body(&self) -> ErrorBody {
        let mut message = self.message.clone();
        let mut source = self.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        ErrorBody { code: self.kind.code().to_owned(), message, hint: self.kind.hint().to_owned() }
    }

    fn wrap<E: StdError + Send + Sync + 'static>(kind: ErrorKind, error: E) -> Self {
        let message = error.to_string();
        // Its own words are the message; what lies below stays its source.
        struct Below(String);
        impl fmt::Debug for Below {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Display for Below {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl StdError for Below {}
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if text != message && causes.last() != Some(&text) {
                causes.push(text);
            }
            source = cause.source();
        }
        let source = (!causes.is_empty()).then(|| Box::new(Below(causes.join(": "))) as _);
        Self { kind, message, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ErrorBody {
    /// Stable, for scripts: [`ErrorKind::code`].
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::NewerSchema { .. } => ErrorKind::NewerVersion,
            StoreError::Corrupt => ErrorKind::Corrupt,
            StoreError::RolledBack { .. } => ErrorKind::RolledBack,
            StoreError::DiskFull => ErrorKind::DiskFull,
            StoreError::Io(_) => ErrorKind::Io,
            StoreError::Busy => ErrorKind::Locked,
            StoreError::UnknownRow | StoreError::Sqlite(_) => ErrorKind::Internal,
        };
        Self::wrap(kind, error)
    }
}

impl From<ProfileError> for Error {
    fn from(error: ProfileError) -> Self {
        let kind = match error {
            ProfileError::Store(error) => return error.into(),
            ProfileError::NotFound(_) => ErrorKind::NoProfile,
            ProfileError::Exists(_) => ErrorKind::ProfileExists,
            ProfileError::Exposed(_) => ErrorKind::Exposed,
            ProfileError::Locked => ErrorKind::Locked,
            ProfileError::Header(HeaderError::WrongPassphrase) => ErrorKind::WrongPassphrase,
            ProfileError::Header(HeaderError::Version { .. }) => ErrorKind::NewerVersion,
            ProfileError::Header(_) | ProfileError::Incomplete(_) => ErrorKind::Corrupt,
            ProfileError::Name | ProfileError::EmptyPassphrase | ProfileError::Occupied(_) => {
                ErrorKind::Invalid
            }
            ProfileError::Io { ref source, .. } if files::is_full(source) => ErrorKind::DiskFull,
            ProfileError::Io { .. } => ErrorKind::Io,
        };
        Self::wrap(kind, error)
    }
}

impl From<NetworkError> for Error {
    fn from(error: NetworkError) -> Self {
        Self::wrap(ErrorKind::BadNetwork, error)
    }
}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        let kind = match &error {
            CommandError::UnknownConversation | CommandError::UnknownInvitation => {
                ErrorKind::NotFound
            }
            CommandError::TextLength(_) | CommandError::InvitationWithdrawn => ErrorKind::Invalid,
            CommandError::InvalidLink(_) => ErrorKind::InvalidLink,
            CommandError::OtherNetwork { .. } => ErrorKind::OtherNetwork,
            CommandError::OwnInvitation => ErrorKind::OwnInvitation,
            CommandError::InvitationUsed => ErrorKind::UsedLink,
            CommandError::InvitationExpired => ErrorKind::Expired,
            CommandError::InvitationForged => ErrorKind::ForgedLink,
            CommandError::TooMany(_) => ErrorKind::TooMany,
            _ => ErrorKind::Internal,
        };
        Self::wrap(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_store_error_survives_the_way_up() {
        let full: Error = ProfileError::Store(StoreError::DiskFull).into();
        assert_eq!(full.kind(), ErrorKind::DiskFull);
        let newer: Error = StoreError::NewerSchema { got: 3, known: 1 }.into();
        assert_eq!(newer.body().code, "newer_version");
    }

    #[test]
    fn codes_are_distinct_and_read_back() {
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_code(kind.code()), Some(kind));
        }
    }

    #[test]
    fn causes_are_told_once() {
        let source = std::io::Error::other("no such device");
        let error: Error = ProfileError::Io { path: "/x".into(), source }.into();
        assert_eq!(error.body().message, "cannot use /x: no such device");
    }
}
