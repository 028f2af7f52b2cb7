//! Authorities: the keys that say what a network is.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use xchat_base::{Rng, Secret, identifier};

identifier!(
    /// An authority's Ed25519 public key.
    AuthorityKey,
    32
);

/// Keeps a document's signatures apart from whatever else an Ed25519 key may sign.
const SIGNATURE_CONTEXT: &[u8] = b"xchat/1 document\0";

impl AuthorityKey {
    /// Whether the bytes are a point of the curve, and not one of small order that would accept
    /// signatures nobody made.
    pub fn is_valid(&self) -> bool {
        VerifyingKey::from_bytes(self.as_bytes()).is_ok_and(|key| !key.is_weak())
    }

    /// Strict verification (RFC 8032, no malleability).
    pub(crate) fn verifies(&self, document: &[u8], signature: &[u8; 64]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(self.as_bytes()) else {
            return false;
        };
        key.verify_strict(&signed_bytes(document), &Signature::from_bytes(signature)).is_ok()
    }
}

/// An authority's secret key; wiped on drop.
pub struct AuthoritySecret(SigningKey);

impl AuthoritySecret {
    /// A fresh key.
    pub fn random(rng: &mut Rng) -> Self {
        Self::from_secret(&Secret::random(rng))
    }

    /// From its stored form.
    pub fn from_secret(secret: &Secret<32>) -> Self {
        Self(SigningKey::from_bytes(secret.expose()))
    }

    /// The form to store.
    pub fn to_secret(&self) -> Secret<32> {
        Secret::new(self.0.to_bytes())
    }

    /// The public half, for the root.
    pub fn public(&self) -> AuthorityKey {
        AuthorityKey::from_bytes(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn sign(&self, document: &[u8]) -> [u8; 64] {
        self.0.sign(&signed_bytes(document)).to_bytes()
    }
}

impl core::fmt::Debug for AuthoritySecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("AuthoritySecret")
    }
}

fn signed_bytes(document: &[u8]) -> Vec<u8> {
    [SIGNATURE_CONTEXT, document].concat()
}
