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
pub struct HopSecret {
    secret: PrivateKey,
    /// Kept, because a client asks for it with each packet and it costs 15 µs.
    public: HopKey,
}

impl HopSecret {
    /// A fresh key.
    pub fn random(rng: &mut Rng) -> Self {
        Self::from_secret(&Secret::random(rng))
    }

    /// From its stored form.
    pub fn from_secret(secret: &Secret<32>) -> Self {
        let secret = PrivateKey::from(*secret.expose());
        let public = HopKey::from_bytes(PublicKey::from(&secret).to_bytes());
        Self { secret, public }
    }

    /// The form to store.
    pub fn to_secret(&self) -> Secret<32> {
        Secret::new(*Zeroizing::new(self.secret.to_bytes()))
    }

    /// The public half.
    pub fn public(&self) -> HopKey {
        self.public
    }

    pub(crate) fn as_sphinx(&self) -> &PrivateKey {
        &self.secret
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

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use xchat_base::id::unhex;

    use super::*;

    #[test]
    fn the_public_half_is_that_of_rfc_7748() {
        // RFC 7748, section 6.1: Alice's keys.
        let mut bytes = [0u8; 32];
        unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", &mut bytes)
            .expect("hexadecimal");
        assert_eq!(
            HopSecret::from_secret(&Secret::new(bytes)).public().to_hex(),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
        );
    }

    #[test]
    fn a_stored_key_is_the_same_key() {
        let secret = HopSecret::random(&mut ChaCha20Rng::seed_from_u64(1));
        assert_eq!(HopSecret::from_secret(&secret.to_secret()).public(), secret.public());
        assert_eq!(format!("{secret:?}"), "HopSecret");
    }
}
