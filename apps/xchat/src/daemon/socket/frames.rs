//! What page and daemon say to one another over the socket, one JSON object a frame.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use ts_rs::TS;
use xchat_client::{Command, ErrorBody, Numbered, PaceChoice, Passphrase};

/// What a page says.
#[derive(Debug, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ToDaemon {
    /// The first frame, and only that.
    Hello {
        /// From `POST /v1/session`.
        token: String,
        /// The last change that this page was told of; what changed since comes first.
        after: Option<u64>,
    },
    /// A command of the SDK.
    Command {
        /// Stands in the answer.
        id: u64,
        /// As it is.
        command: Command,
    },
    /// Make the profile, and go online.
    Create {
        /// Stands in the answer.
        id: u64,
        /// As contacts will see it.
        name: String,
        /// The passphrase to be.
        #[serde(deserialize_with = "passphrase")]
        #[ts(type = "string")]
        passphrase: Passphrase,
        /// The name of one of the paces in [`Welcome`].
        pace: String,
    },
    /// Open the profile, and go online.
    Unlock {
        /// Stands in the answer.
        id: u64,
        /// The profile's.
        #[serde(deserialize_with = "passphrase")]
        #[ts(type = "string")]
        passphrase: Passphrase,
    },
    /// Go offline, and forget the keys.
    Lock {
        /// Stands in the answer.
        id: u64,
    },
}

fn passphrase<'de, D: Deserializer<'de>>(from: D) -> Result<Passphrase, D::Error> {
    String::deserialize(from).map(Passphrase::new)
}

/// What the daemon says.
#[derive(Debug, Serialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum FromDaemon<'a> {
    /// After hello, and whenever the profile's state has changed.
    Welcome(&'a Welcome),
    /// A command went well.
    Response {
        /// The command's.
        id: u64,
        /// The SDK's response; for create, unlock and lock `{}`.
        #[ts(type = "Response")]
        response: &'a Value,
    },
    /// A command did not go well; or, without an id, this socket ends.
    Error {
        /// The command's.
        id: Option<u64>,
        /// Why.
        error: ErrorBody,
    },
    /// Something happened.
    Event {
        /// With its number.
        event: &'a Numbered,
    },
}

/// How things stand with the profile.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub(crate) struct Welcome {
    /// The program's version.
    pub(crate) version: String,
    /// Whether there is one, and whether it is open.
    pub(crate) profile: ProfileState,
    /// The person's name, if it is open.
    pub(crate) name: Option<String>,
    /// The last change before the first event, if it is open.
    pub(crate) place: Option<u64>,
    /// The network that a new profile would be in; `null` if the daemon was given none.
    pub(crate) network: Option<String>,
    /// What a new profile can choose from, fastest first.
    pub(crate) paces: Vec<PaceChoice>,
}

/// Whether there is a profile, and whether it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProfileState {
    /// There is none yet.
    Absent,
    /// It waits for its passphrase.
    Locked,
    /// It is online, or on its way there.
    Open,
}

/// `POST /v1/session`: a code for a token.
#[derive(Debug, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionRequest {
    /// From the address by which the page was opened.
    pub(crate) code: String,
}

/// The answer to [`SessionRequest`].
#[derive(Debug, Serialize, TS)]
pub(crate) struct SessionResponse {
    /// For hello.
    pub(crate) token: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_one_of_the_known_ones_and_shows_no_passphrase() {
        let read = |text: &str| serde_json::from_str::<ToDaemon>(text);
        let hello = read(r#"{"type":"hello","token":"t","after":null}"#);
        assert!(matches!(hello, Ok(ToDaemon::Hello { after: None, .. })));
        let command = r#"{"type":"command","id":1,"command":{"command":"contacts"}}"#;
        assert!(matches!(
            read(command),
            Ok(ToDaemon::Command { id: 1, command: Command::Contacts })
        ));
        for bad in [
            "",
            "null",
            "[]",
            r#"{"type":"format_disk"}"#,
            r#"{"type":"lock","id":-1}"#,
            r#"{"type":"lock","id":1,"more":2}"#,
            r#"{"type":"command","id":1,"command":{"command":"none"}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let unlock = read(r#"{"type":"unlock","id":1,"passphrase":"open sesame"}"#);
        let shown = format!("{:?}", unlock.expect("reads"));
        assert!(!shown.contains("sesame"), "{shown}");
    }
}
