//! Hop keys.

use sphinx_packet::crypto::{PrivateKey, PublicKey};
use xchat_base::{Rng, Secret, identifier};
use zeroize::Zeroizing;

identifier!(
    /// A hop's X25519 public key.
    HopKey,
    32
);

/// A hop's X25519 secret key (RFC 7748); wiped on drop.
///
/// A node has one for each period that the directory lists, a client one for each session.
pub struct HopSecret(PrivateKey);

impl HopSecret {
    /// A fresh key.
    pub fn random(rng: &mut Rng) -> Self {
        Self::from_secret(&Secret::random(rng))
    }

    /// From its stored form.
    pub fn from_secret(secret: &Secret<32>) -> Self {
        Self(PrivateKey::from(*secret.expose()))
    }

    /// The form to store.
    pub fn to_secret(&self) -> Secret<32> {
        Secret::new(*Zeroizing::new(self.0.to_bytes()))
    }

    /// The public half.
    pub fn public(&self) -> HopKey {
        HopKey::from_bytes(PublicKey::from(&self.0).to_bytes())
    }

    pub(crate) fn as_sphinx(&self) -> &PrivateKey {
        &self.0
    }
}

impl core::fmt::Debug for HopSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HopSecret")
    }
}

impl HopKey {
    pub(crate) fn to_sphinx(self) -> PublicKey {
        PublicKey::from(*self.as_bytes())
    }
}
