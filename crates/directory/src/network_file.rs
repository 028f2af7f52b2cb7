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
