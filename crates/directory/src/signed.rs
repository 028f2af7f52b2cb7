//! Signed documents, and what it takes to believe one.

use core::ops::Deref;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xchat_base::id::array;
use xchat_base::{Timestamp, Wire};

use crate::authority::AuthoritySecret;
use crate::descriptor::{Descriptor, NodeId};
use crate::document::{Document, DocumentHash, MAX_DOCUMENT_LEN};
use crate::error::{DirectoryError, Invalid};
use crate::placement::View;
use crate::root::{MAX_AUTHORITIES, Root};

/// A document as it travels: bytes and signatures, not yet believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedDocument {
    bytes: Vec<u8>,
    signatures: Vec<AuthoritySignature>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AuthoritySignature {
    authority: u8,
    #[serde(with = "array")]
    signature: [u8; 64],
}

impl Wire for SignedDocument {
    const FORMAT: &'static str = "signed network document";
    const VERSION: u8 = 1;
    // 4 for version and length prefixes, 65 for each signature.
    const MAX_LEN: usize = MAX_DOCUMENT_LEN + 8 + MAX_AUTHORITIES * 65;
}

/// Why a document cannot be signed: the caller's mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignError {
    /// Nobody would accept it.
    #[error("the document is not usable: {0}")]
    Invalid(#[from] Invalid),
    /// It names another network than the root's.
    #[error("the document names another network")]
    ForeignNetwork,
    /// The key is not one of the root's.
    #[error("the key is not an authority's of this network")]
    NotAnAuthority,
    /// The document that it should follow is not usable, or it does not follow from it.
    #[error("the document does not follow from the current one: {0}")]
    Predecessor(#[from] DirectoryError),
    /// The encoding exceeds [`MAX_DOCUMENT_LEN`].
    #[error("the document is {len} bytes long, {MAX_DOCUMENT_LEN} are allowed")]
    TooLong {
        /// Its length.
        len: usize,
    },
}

impl SignedDocument {
    /// Signs a document with the given authorities' keys. With fewer keys than the threshold the
    /// result is not yet valid: others add theirs with [`Self::add_signature`].
    ///
    /// # Errors
    /// [`SignError`]: a document nobody would accept, or a key that is not an authority's.
    pub fn sign(
        document: &Document,
        root: &Root,
        secrets: &[AuthoritySecret],
    ) -> Result<Self, SignError> {
        document.check()?;
        if document.network != root.id() {
            return Err(SignError::ForeignNetwork);
        }
        let bytes = document.to_wire();
        if bytes.len() > MAX_DOCUMENT_LEN {
            return Err(SignError::TooLong { len: bytes.len() });
        }
        let mut signed = Self { bytes, signatures: Vec::new() };
        for secret in secrets {
            signed.add_signature(root, secret)?;
        }
        Ok(signed)
    }

    /// Adds one authority's signature; replaces an earlier one of the same authority.
    ///
    /// # Errors
    /// [`SignError::NotAnAuthority`].
    pub fn add_signature(
        &mut self,
        root: &Root,
        secret: &AuthoritySecret,
    ) -> Result<(), SignError> {
        let public = secret.public();
        let index = root.authorities().iter().position(|key| *key == public);
        let authority =
            index.and_then(|i| u8::try_from(i).ok()).ok_or(SignError::NotAnAuthority)?;
        self.signatures.retain(|s| s.authority != authority);
        self.signatures.push(AuthoritySignature { authority, signature: secret.sign(&self.bytes) });
        self.signatures.sort_unstable_by_key(|s| s.authority);
        Ok(())
    }

    /// The hash that the next document's `previous` holds.
    pub fn hash(&self) -> DocumentHash {
        DocumentHash::from_bytes(*blake3::hash(&self.bytes).as_bytes())
    }

    /// Checks everything about the document but its predecessor: the network, the signatures, the
    /// rules every document keeps, and the time.
    ///
    /// # Errors
    /// [`DirectoryError`] with the reason.
    pub fn verify(&self, root: &Root, now: Timestamp) -> Result<VerifiedDocument, DirectoryError> {
        let verified = self.dangerously_assume_timely(root)?;
        let (valid_from, valid_until) = (verified.valid_from, verified.valid_until);
        if now < valid_from {
            return Err(DirectoryError::NotYetValid { valid_from, now });
        }
        if now >= valid_until {
            return Err(DirectoryError::Expired { valid_until, now });
        }
        Ok(verified)
    }

    /// [`Self::verify`] without the time: to compare with a document that was in use before, or to
    /// write the next one. Whoever routes by the result can be held in the past.
    ///
    /// # Errors
    /// [`DirectoryError`] with the reason.
    pub fn dangerously_assume_timely(
        &self,
        root: &Root,
    ) -> Result<VerifiedDocument, DirectoryError> {
        let document = Document::from_wire(&self.bytes)?;
        let want = root.id();
        if document.network != want {
            return Err(DirectoryError::ForeignNetwork { got: document.network, want });
        }
        let (got, want) = (self.valid_signatures(root), usize::from(root.threshold()));
        if got < want {
            return Err(DirectoryError::TooFewSignatures { got, want });
        }
        document.check()?;
        Ok(VerifiedDocument::new(document, self.clone()))
    }

    /// Valid signatures of distinct authorities of this root. At most [`MAX_AUTHORITIES`] are looked
    /// at: an honest document has no more, and each costs a verification.
    fn valid_signatures(&self, root: &Root) -> usize {
        let mut signers = BTreeSet::new();
        for AuthoritySignature { authority, signature } in
            self.signatures.iter().take(MAX_AUTHORITIES)
        {
            let Some(key) = root.authorities().get(usize::from(*authority)) else {
                continue;
            };
            if !signers.contains(authority) && key.verifies(&self.bytes, signature) {
                signers.insert(*authority);
            }
        }
        signers.len()
    }
}

/// A document that may be used. Cheap to clone.
#[derive(Debug, Clone)]
pub struct VerifiedDocument(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    document: Document,
    signed: SignedDocument,
    by_tag: BTreeMap<[u8; 16], usize>,
}

impl VerifiedDocument {
    pub(crate) fn new(document: Document, signed: SignedDocument) -> Self {
        let by_tag = document.descriptors.iter().enumerate().map(|(i, d)| (d.tag(), i)).collect();
        Self(Arc::new(Inner { document, signed, by_tag }))
    }

    /// The signed form, to store or to hand on.
    pub fn signed(&self) -> &SignedDocument {
        &self.0.signed
    }

    /// See [`SignedDocument::hash`].
    pub fn hash(&self) -> DocumentHash {
        self.0.signed.hash()
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.valid_until
    }

    /// Whether its time has not come yet. A document that was timely once shows by this that the clock
    /// is behind.
    pub fn is_early(&self, now: Timestamp) -> bool {
        now < self.valid_from
    }

    /// The node with this identifier.
    pub fn node(&self, id: &NodeId) -> Option<&Descriptor> {
        self.node_by_tag(&id.tag()).filter(|node| node.id == *id)
    }

    /// The node with this tag.
    pub fn node_by_tag(&self, tag: &[u8; 16]) -> Option<&Descriptor> {
        self.0.by_tag.get(tag).and_then(|index| self.0.document.descriptors.get(*index))
    }

    /// Whether this document may take the place of `previous`: the same network, a later epoch, the
    /// hash link where the epochs touch, and a placement that only goes forward. What is said of one
    /// placement epoch is the same in both: its stores, their operators, tokens and incarnations. An
    /// empty table in the place of one that has promised would let a box have two values.
    ///
    /// Where epochs were missed the link cannot be checked; the signatures then carry it alone.
    ///
    /// # Errors
    /// [`DirectoryError::ForeignNetwork`], [`DirectoryError::NotNewer`],
    /// [`DirectoryError::BrokenChain`], [`DirectoryError::PlacementRegressed`].
    pub fn follows(&self, previous: &Self) -> Result<(), DirectoryError> {
        let epoch = self.epoch;
        if self.network != previous.network {
            let (got, want) = (self.network, previous.network);
            return Err(DirectoryError::ForeignNetwork { got, want });
        }
        if epoch <= previous.epoch {
            return Err(DirectoryError::NotNewer { got: epoch, have: previous.epoch });
        }
        if epoch - 1 == previous.epoch && self.previous != previous.hash() {
            return Err(DirectoryError::BrokenChain { epoch });
        }
        let before = previous.views();
        let agrees = |view: &View| {
            before.iter().find(|old| old.epoch == view.epoch).is_none_or(|old| old == view)
        };
        let goes_back = self.placement.epoch < previous.placement.epoch;
        if goes_back || !self.views().iter().all(agrees) {
            return Err(DirectoryError::PlacementRegressed { epoch });
        }
        Ok(())
    }
}

impl Deref for VerifiedDocument {
    type Target = Document;

    fn deref(&self) -> &Document {
        &self.0.document
    }
}

impl PartialEq for VerifiedDocument {
    fn eq(&self, other: &Self) -> bool {
        self.0.signed.bytes == other.0.signed.bytes
    }
}

impl Eq for VerifiedDocument {}

#[cfg(test)]
mod tests;
