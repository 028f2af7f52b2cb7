//! The signature key of one member in one group.

use ed25519_dalek::{Signer as _, SigningKey};
use openmls::prelude::{BasicCredential, CredentialWithKey};
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use xchat_base::Secret;

/// An Ed25519 key pair (RFC 8032) that is used in one group only: nothing that it signs can be
/// held against its owner anywhere else.
pub(crate) struct LeafSigner(SigningKey);

impl LeafSigner {
    pub(crate) fn new(seed: &Secret<32>) -> Self {
        Self(SigningKey::from_bytes(seed.expose()))
    }

    /// What the leaf says about its owner: the key, and no name.
    pub(crate) fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(Vec::new()).into(),
            signature_key: self.0.verifying_key().as_bytes().as_slice().into(),
        }
    }
}

impl Signer for LeafSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
