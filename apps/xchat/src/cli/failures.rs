//! From the SDK's errors to exit codes.

use xchat_client::{ErrorBody, ErrorKind, files};

use crate::failure::{Failure, exit};

/// Exit codes of a person's commands, beside those of every command.
pub(crate) mod person {
    /// The passphrase does not open the profile.
    pub(crate) const WRONG_PASSPHRASE: u8 = 5;
    /// Another process has the profile open.
    pub(crate) const LOCKED: u8 = 6;
    /// No gateway can be reached.
    pub(crate) const NO_NETWORK: u8 = 7;
    /// No such profile, contact or message.
    pub(crate) const NOT_FOUND: u8 = 8;
    /// Not an invitation that this profile could ever accept.
    pub(crate) const INVALID_LINK: u8 = 9;
    /// The invitation was used before.
    pub(crate) const USED_LINK: u8 = 10;
    /// The invitation's time is over.
    pub(crate) const EXPIRED: u8 = 11;
    /// It takes longer than `--timeout`.
    pub(crate) const TIMEOUT: u8 = 12;
    /// The profile is damaged, too old, or of a later version.
    pub(crate) const UNREADABLE: u8 = 13;
}

/// The failure that belongs to an error of the SDK, or of the daemon, which passes them on.
pub(crate) fn failure(body: &ErrorBody) -> Failure {
    // What this version does not know is not the caller's mistake.
    let kind = ErrorKind::from_code(&body.code).unwrap_or(ErrorKind::Internal);
    Failure::new(exit_code(kind), kind.code(), body.message.clone()).hint(body.hint.clone())
}

/// A failure of this program that has the form of one of the SDK's.
pub(super) fn of_kind(kind: ErrorKind, message: impl Into<String>) -> Failure {
    Failure::new(exit_code(kind), kind.code(), message).hint(kind.hint())
}

/// The failure that belongs to a file that cannot be used.
pub(crate) fn of_file(what: &str, error: &std::io::Error) -> Failure {
    let kind = if files::is_full(error) { ErrorKind::DiskFull } else { ErrorKind::Io };
    of_kind(kind, format!("cannot {what}: {error}"))
}

fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::WrongPassphrase => person::WRONG_PASSPHRASE,
        ErrorKind::Locked => person::LOCKED,
        ErrorKind::NoNetwork => person::NO_NETWORK,
        ErrorKind::NoProfile | ErrorKind::NotFound | ErrorKind::Ambiguous => person::NOT_FOUND,
        ErrorKind::InvalidLink
        | ErrorKind::OtherNetwork
        | ErrorKind::OwnInvitation
        | ErrorKind::ForgedLink => person::INVALID_LINK,
        ErrorKind::UsedLink => person::USED_LINK,
        ErrorKind::Expired => person::EXPIRED,
        ErrorKind::Timeout => person::TIMEOUT,
        ErrorKind::NewerVersion | ErrorKind::Corrupt | ErrorKind::RolledBack => person::UNREADABLE,
        ErrorKind::ProfileExists
        | ErrorKind::Exposed
        | ErrorKind::BadNetwork
        | ErrorKind::Invalid
        | ErrorKind::TooMany => exit::INVALID,
        ErrorKind::DiskFull | ErrorKind::Io | ErrorKind::ClockWrong | ErrorKind::Stopped => {
            exit::UNAVAILABLE
        }
        _ => exit::INTERNAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_documentation_beside_its_exit_status() {
        let page = include_str!("../../../../docs/cli.md");
        for kind in ErrorKind::ALL {
            let row = format!("| {} |", exit_code(kind));
            let code = format!("`{}`", kind.code());
            let documented =
                page.lines().any(|line| line.starts_with(&row) && line.contains(&code));
            assert!(documented, "{code} is not documented with exit status {}", exit_code(kind));
        }
    }
}
