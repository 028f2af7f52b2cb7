//! The box: a write-once record of one size that anybody can check and nobody can read.

use core::fmt;
use core::hash::{Hash, Hasher};
use std::sync::Arc;

use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use xchat_base::id::{bytes_as_tuple, tuple_as_bytes};
use xchat_base::identifier;

/// Plaintext bytes in every box, padding included.
pub const BOX_PLAINTEXT_LEN: usize = 1408;
/// The most content a box holds: the plaintext begins with the content's length in two bytes.
pub const MAX_CONTENT_LEN: usize = BOX_PLAINTEXT_LEN - 2;
/// Plaintext and Poly1305 tag.
pub const CIPHERTEXT_LEN: usize = BOX_PLAINTEXT_LEN + 16;
/// XChaCha20's nonce: long enough to be drawn at random (draft-irtf-cfrg-xchacha).
pub const NONCE_LEN: usize = 24;
/// An Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;
/// `id ‖ signature ‖ nonce ‖ ciphertext`.
pub const SEALED_BOX_LEN: usize = BoxId::LEN + SIGNATURE_LEN + NONCE_LEN + CIPHERTEXT_LEN;

/// Separates a box's signature from every other use of an Ed25519 key.
const SIGNATURE_LABEL: &[u8] = b"xchat/1 box\0";

const SIGNATURE_AT: usize = BoxId::LEN;
const NONCE_AT: usize = SIGNATURE_AT + SIGNATURE_LEN;
const CIPHERTEXT_AT: usize = NONCE_AT + NONCE_LEN;

identifier!(
    /// A box's id: the Ed25519 public key that verifies its signature (RFC 8032).
    BoxId,
    32
);

/// Why bytes are not a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BoxError {
    /// Every box has the same length.
    #[error("a box has {SEALED_BOX_LEN} bytes, not {got}")]
    Length {
        /// What came.
        got: usize,
    },
    /// The signature is not by the key that the id names.
    #[error("the box's signature does not verify under its id")]
    Signature,
}

/// A box as it travels: nobody has looked at its signature yet.
///
/// Cloning is cheap: the bytes are shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealedBox(Arc<[u8; SEALED_BOX_LEN]>);

impl SealedBox {
    /// Reads `id ‖ signature ‖ nonce ‖ ciphertext`.
    ///
    /// # Errors
    /// [`BoxError::Length`]: not exactly [`SEALED_BOX_LEN`] bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BoxError> {
        let array: [u8; SEALED_BOX_LEN] =
            bytes.try_into().map_err(|_| BoxError::Length { got: bytes.len() })?;
        Ok(Self(Arc::new(array)))
    }

    /// `id ‖ signature ‖ nonce ‖ ciphertext`.
    pub fn as_bytes(&self) -> &[u8; SEALED_BOX_LEN] {
        &self.0
    }

    /// A copy of [`Self::as_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// The box's id.
    pub fn id(&self) -> BoxId {
        BoxId::from_bytes(self.part::<{ BoxId::LEN }>(0))
    }

    /// The AEAD's nonce.
    pub fn nonce(&self) -> [u8; NONCE_LEN] {
        self.part(NONCE_AT)
    }

    /// The AEAD's output.
    pub fn ciphertext(&self) -> &[u8] {
        &self.0[CIPHERTEXT_AT..]
    }

    /// Checks the signature; strict (no small-order keys, no malleable encodings), so that all
    /// replicas agree on what is valid.
    ///
    /// # Errors
    /// [`BoxError::Signature`].
    pub fn verify(&self) -> Result<VerifiedBox, BoxError> {
        let key =
            VerifyingKey::from_bytes(self.id().as_bytes()).map_err(|_| BoxError::Signature)?;
        let signature = Signature::from_bytes(&self.part(SIGNATURE_AT));
        let message = signed_bytes(&self.id(), &self.nonce(), self.ciphertext());
        key.verify_strict(&message, &signature).map_err(|_| BoxError::Signature)?;
        Ok(VerifiedBox(self.clone()))
    }

    /// Puts a box together; `sign` is called with the bytes to be signed.
    pub(crate) fn assemble(
        id: &BoxId,
        nonce: &[u8; NONCE_LEN],
        ciphertext: &[u8],
        sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_LEN],
    ) -> Self {
        let signature = sign(&signed_bytes(id, nonce, ciphertext));
        let mut bytes = [0u8; SEALED_BOX_LEN];
        bytes[..SIGNATURE_AT].copy_from_slice(id.as_bytes());
        bytes[SIGNATURE_AT..NONCE_AT].copy_from_slice(&signature);
        bytes[NONCE_AT..CIPHERTEXT_AT].copy_from_slice(nonce);
        bytes[CIPHERTEXT_AT..].copy_from_slice(ciphertext);
        Self(Arc::new(bytes))
    }

    fn part<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut out = [0u8; N];
        out.copy_from_slice(&self.0[at..at + N]);
        out
    }
}

impl Hash for SealedBox {
    /// The id and the signature are enough to tell boxes apart in a hash table.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0[..NONCE_AT].hash(state);
    }
}

impl fmt::Debug for SealedBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBox({:?})", self.id())
    }
}

impl Serialize for SealedBox {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        bytes_as_tuple(self.0.as_slice(), s)
    }
}

impl<'de> Deserialize<'de> for SealedBox {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(tuple_as_bytes(d)?)))
    }
}

/// A box whose signature has been checked: the only kind that the register takes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifiedBox(SealedBox);

impl VerifiedBox {
    /// The box's id.
    pub fn id(&self) -> BoxId {
        self.0.id()
    }

    /// The box.
    pub fn sealed(&self) -> &SealedBox {
        &self.0
    }

    /// The box.
    pub fn into_sealed(self) -> SealedBox {
        self.0
    }

    /// For what was verified before it was written to this replica's own disk.
    pub(crate) fn assume_verified(sealed: SealedBox) -> Self {
        Self(sealed)
    }
}

impl fmt::Debug for VerifiedBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedBox({:?})", self.id())
    }
}

fn signed_bytes(id: &BoxId, nonce: &[u8; NONCE_LEN], ciphertext: &[u8]) -> Vec<u8> {
    [SIGNATURE_LABEL, id.as_bytes(), nonce, ciphertext].concat()
}

#[cfg(test)]
mod tests {
    use xchat_base::Secret;

    use super::*;
    use crate::lane::Lane;

    fn sealed() -> SealedBox {
        let mut rng =
            <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(1);
        Lane::new(Secret::new([1; 32])).keys().seal(&mut rng, b"x").expect("it fits")
    }

    #[test]
    fn the_length_is_that_of_the_specification() {
        assert_eq!(SEALED_BOX_LEN, 1544);
        assert_eq!(MAX_CONTENT_LEN, 1406);
    }

    #[test]
    fn only_the_right_length_is_a_box() {
        let bytes = sealed().to_bytes();
        assert_eq!(SealedBox::from_bytes(&bytes), Ok(sealed()));
        assert_eq!(SealedBox::from_bytes(&bytes[1..]), Err(BoxError::Length { got: 1543 }));
        assert_eq!(SealedBox::from_bytes(&[]), Err(BoxError::Length { got: 0 }));
    }

    #[test]
    fn ids_of_small_order_verify_nothing() {
        // The neutral element: with it as a key, a signature of zeros verifies for every message
        // unless verification is strict.
        let mut bytes = [0u8; SEALED_BOX_LEN];
        bytes[0] = 1;
        bytes[SIGNATURE_AT] = 1;
        let forged = SealedBox::from_bytes(&bytes).expect("the length is right");
        assert_eq!(forged.verify(), Err(BoxError::Signature));
    }

    #[test]
    fn debug_shows_the_start_of_the_id_only() {
        let text = format!("{:?} {:?}", sealed(), sealed().verify().expect("own box"));
        let prefix = &sealed().id().to_hex()[..8];
        assert_eq!(
            text,
            format!("SealedBox(BoxId({prefix}…)) VerifiedBox(SealedBox(BoxId({prefix}…)))")
                .replace("VerifiedBox(SealedBox(", "VerifiedBox(")
                .replace(")))", "))")
        );
    }
}
