//! The network file: what a person gets to join a network.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xchat_base::{CodecError, Timestamp, Wire, id};

use crate::authority::{AuthorityKey, AuthoritySecret};
use crate::document::Document;
use crate::error::DirectoryError;
use crate::root::{NetworkName, Root, RootError};
use crate::signed::{SignError, SignedDocument, VerifiedDocument};

/// The version of the file format.
const VERSION: u32 = 1;

/// A network file is at most this long: the longest document in hexadecimal, and room for the rest.
pub const MAX_FILE_LEN: usize = 2 * SignedDocument::MAX_LEN + 8 * 1024;

/// `network.json`: the root of trust and the latest document known when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFile {
    /// The root of trust.
    pub root: Root,
    /// The document, not yet checked.
    pub document: SignedDocument,
}

/// Why a network file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetworkFileError {
    /// Longer than any network file.
    #[error("not a network file: it is longer than {MAX_FILE_LEN} bytes")]
    TooLong,
    /// Bytes that are no text.
    #[error("not a network file: it is not text")]
    NotText,
    /// Not JSON, or not with the fields of a network file.
    #[error("not a network file: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by another version of the program.
    #[error("the network file has version {got}, this program reads version {VERSION}")]
    Version {
        /// What the file says.
        got: u32,
    },
    /// The root is not one.
    #[error("the network file's root is not usable: {0}")]
    Root(#[from] RootError),
    /// The document is not hexadecimal.
    #[error("the network file's document is not hexadecimal")]
    NotHex,
    /// The document is not one.
    #[error("the network file's document is not readable: {0}")]
    Document(#[from] CodecError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    name: NetworkName,
    authorities: Vec<AuthorityKey>,
    threshold: u8,
    document: String,
}

/// Read before anything else, so that another version is named as such and not as a missing field.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl NetworkFile {
    /// Reads the file's text. The document in it is not yet checked: see [`Self::verify`].
    ///
    /// # Errors
    /// [`NetworkFileError`] with the reason.
    pub fn parse(text: &str) -> Result<Self, NetworkFileError> {
        if text.len() > MAX_FILE_LEN {
            return Err(NetworkFileError::TooLong);
        }
        let Versioned { version: got } = serde_json::from_str(text)?;
        if got != VERSION {
            return Err(NetworkFileError::Version { got });
        }
        let stored: Stored = serde_json::from_str(text)?;
        let root = Root::new(stored.name, stored.authorities, stored.threshold)?;
        let mut bytes = vec![0u8; stored.document.len() / 2];
        id::unhex(&stored.document, &mut bytes).ok_or(NetworkFileError::NotHex)?;
        Ok(Self { root, document: SignedDocument::from_wire(&bytes)? })
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let stored = Stored {
            version: VERSION,
            name: self.root.name().clone(),
            authorities: self.root.authorities().to_vec(),
            threshold: self.root.threshold(),
            document: id::hex(&self.document.to_wire()),
        };
        let mut text = serde_json::to_string_pretty(&stored)
            .expect("strings and numbers only: nothing in it can fail to serialise");
        text.push('\n');
        text
    }

    /// Checks the document against the root; see [`SignedDocument::verify`].
    ///
    /// # Errors
    /// [`DirectoryError`] with the reason.
    pub fn verify(&self, now: Timestamp) -> Result<VerifiedDocument, DirectoryError> {
        self.document.verify(&self.root, now)
    }

    /// For authorities: the first file of a network. `document.network` is filled in; epoch 1, no
    /// predecessor.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn first(
        root: Root,
        mut document: Document,
        secrets: &[AuthoritySecret],
    ) -> Result<Self, SignError> {
        document.network = root.id();
        document.epoch = 1;
        document.previous = crate::DocumentHash::from_bytes([0; 32]);
        let document = SignedDocument::sign(&document, &root, secrets)?;
        Ok(Self { root, document })
    }

    /// For authorities: the next file. Network, epoch and hash link are filled in from this file's
    /// document, which may have expired; validity, nodes, placement and parameters are the caller's.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn next(
        &self,
        mut document: Document,
        secrets: &[AuthoritySecret],
    ) -> Result<Self, SignError> {
        let current = self.document.dangerously_assume_timely(&self.root)?;
        document.network = self.root.id();
        document.epoch = current.epoch.saturating_add(1);
        document.previous = current.hash();
        let signed = SignedDocument::sign(&document, &self.root, secrets)?;
        VerifiedDocument::new(document, signed.clone()).follows(&current)?;
        Ok(Self { root: self.root.clone(), document: signed })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::PlacementEpoch;
    use crate::fixture::{HOUR, NOW, Network};

    fn file() -> (Network, NetworkFile) {
        let net = Network::new();
        let (root, document) = (net.root.clone(), net.document.clone());
        let file = NetworkFile::first(root, document, &net.secrets).expect("a good document");
        (net, file)
    }

    #[test]
    fn a_file_reads_what_it_wrote() {
        let (_, file) = file();
        let read = NetworkFile::parse(&file.to_json()).expect("own text");
        assert_eq!(read, file);
        let document = read.verify(NOW).expect("good");
        assert_eq!((document.epoch, document.previous.as_bytes()), (1, &[0; 32]));
    }

    #[test]
    fn every_way_to_be_no_network_file_is_named() {
        let text = file().1.to_json();
        let parse = |from: &str, to: &str| {
            assert!(text.contains(from));
            NetworkFile::parse(&text.replacen(from, to, 1)).expect_err("refused")
        };
        use NetworkFileError as E;
        assert!(matches!(NetworkFile::parse("hello"), Err(E::Json(_))));
        assert!(matches!(NetworkFile::parse("{}"), Err(E::Json(_))));
        assert!(matches!(parse("\"version\": 1", "\"version\": 2"), E::Version { got: 2 }));
        assert!(matches!(parse("\"name\"", "\"nam\""), E::Json(_)));
        assert!(matches!(parse("\"test\"", "\"Test\""), E::Json(_)));
        assert!(matches!(parse("\"threshold\": 4", "\"threshold\": 3"), E::Root(_)));
        assert!(matches!(parse("\"document\": \"", "\"document\": \"x"), E::NotHex));
        assert!(matches!(parse("\"document\": \"", "\"document\": \"xx"), E::NotHex));
        assert!(matches!(parse("\"document\": \"01", "\"document\": \"02"), E::Document(_)));
        let long = " ".repeat(MAX_FILE_LEN + 1);
        assert!(matches!(NetworkFile::parse(&long), Err(E::TooLong)));
        let message = parse("\"version\": 1", "\"version\": 2").to_string();
        assert_eq!(message, "the network file has version 2, this program reads version 1");
    }

    #[test]
    fn a_file_for_another_root_is_refused() {
        let (_, file) = file();
        let mut text = file.to_json();
        text = text.replacen("\"test\"", "\"toast\"", 1);
        let read = NetworkFile::parse(&text).expect("readable");
        assert!(matches!(read.verify(NOW), Err(DirectoryError::ForeignNetwork { .. })));
    }

    #[test]
    fn authorities_write_the_next_file_even_after_the_current_one_has_expired() {
        let (net, first) = file();
        let mut document = net.document.clone();
        document.valid_from = net.document.valid_from + HOUR;
        document.valid_until = net.document.valid_until + HOUR;
        let second = first.next(document.clone(), &net.secrets[..4]).expect("a good document");
        let later = NOW + HOUR;
        assert!(matches!(first.verify(later), Err(DirectoryError::Expired { .. })));
        let second = second.verify(later).expect("good");
        assert_eq!(second.epoch, 2);
        assert_eq!(second.follows(&first.verify(NOW).expect("good")), Ok(()));

        document.placement.epoch = PlacementEpoch(2);
        let refused =
            first.next(document.clone(), &net.secrets).expect_err("the placement goes back");
        assert!(matches!(
            refused,
            SignError::Predecessor(DirectoryError::PlacementRegressed { .. })
        ));
        document.descriptors.clear();
        assert!(matches!(first.next(document, &net.secrets), Err(SignError::Invalid(_))));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,200}", document in "[0-9a-f]{0,200}") {
            let _ = NetworkFile::parse(&text);
            let key = "ab".repeat(32);
            let text = format!(
                "{{\"version\":1,\"name\":\"n\",\"authorities\":[\"{key}\"],\"threshold\":1,\"document\":\"{document}\"}}"
            );
            let _ = NetworkFile::parse(&text);
        }
    }
}
