//! Sealed deliveries: what a registration sends to the client's collector, of one size and opaque
//! to it.

use core::fmt;

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use xchat_base::id::{bytes_as_tuple, tuple_as_bytes};
use xchat_base::{CodecError, Rng, Secret, Wire, random};

use crate::answer::SignedAnswer;

/// Plaintext bytes of every delivery: a signed `Found` (at most 1654) with its length, and room.
pub const DELIVERY_PLAINTEXT_LEN: usize = 1728;
/// `nonce (24) ‖ ciphertext ‖ tag (16)`.
pub const DELIVERY_LEN: usize = NONCE_LEN + DELIVERY_PLAINTEXT_LEN + TAG_LEN;

const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
const LENGTH_PREFIX: usize = 2;

/// Why a delivery cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The answer does not fit.
    #[error("a delivery holds {} bytes, not {got}", DELIVERY_PLAINTEXT_LEN - LENGTH_PREFIX)]
    TooLong {
        /// The answer's length.
        got: usize,
    },
    /// Not sealed with this key for this delivery.
    #[error("the delivery does not open")]
    Open,
    /// It opened and held no answer.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// The key that came with a registration. XChaCha20-Poly1305, the delivery's id as associated data.
#[derive(Clone, PartialEq, Eq)]
pub struct DeliveryKey(Secret<32>);

impl DeliveryKey {
    /// A fresh key: one a registration.
    pub fn random(rng: &mut Rng) -> Self {
        Self(Secret::random(rng))
    }

    /// From raw bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The raw bytes; secret.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The store's side: always [`DELIVERY_LEN`] bytes.
    ///
    /// # Errors
    /// [`DeliveryError::TooLong`]: not an answer that a delivery carries.
    pub fn seal(
        &self,
        rng: &mut Rng,
        delivery_id: &[u8; 16],
        answer: &SignedAnswer,
    ) -> Result<Vec<u8>, DeliveryError> {
        let encoded = answer.to_wire();
        let too_long = DeliveryError::TooLong { got: encoded.len() };
        let mut buffer = vec![0u8; DELIVERY_PLAINTEXT_LEN];
        let length = u16::try_from(encoded.len()).map_err(|_| too_long)?;
        buffer[..LENGTH_PREFIX].copy_from_slice(&length.to_be_bytes());
        buffer
            .get_mut(LENGTH_PREFIX..LENGTH_PREFIX + encoded.len())
            .ok_or(too_long)?
            .copy_from_slice(&encoded);
        let nonce: [u8; NONCE_LEN] = random::bytes(rng);
        let tag = self
            .cipher()
            .encrypt_in_place_detached(XNonce::from_slice(&nonce), delivery_id, &mut buffer)
            .expect("a delivery is far below the cipher's limit, its only error");
        Ok([nonce.as_slice(), &buffer, &tag].concat())
    }

    /// The client's side; the answer is then verified against the store and the box.
    ///
    /// # Errors
    /// [`DeliveryError::Open`] or [`DeliveryError::Codec`].
    pub fn open(
        &self,
        delivery_id: &[u8; 16],
        sealed: &[u8],
    ) -> Result<SignedAnswer, DeliveryError> {
        if sealed.len() != DELIVERY_LEN {
            return Err(DeliveryError::Open);
        }
        let (nonce, rest) = sealed.split_at(NONCE_LEN);
        let (body, tag) = rest.split_at(DELIVERY_PLAINTEXT_LEN);
        let mut buffer = body.to_vec();
        self.cipher()
            .decrypt_in_place_detached(
                XNonce::from_slice(nonce),
                delivery_id,
                &mut buffer,
                Tag::from_slice(tag),
            )
            .map_err(|_| DeliveryError::Open)?;
        let (length, rest) =
            buffer.split_first_chunk::<LENGTH_PREFIX>().ok_or(DeliveryError::Open)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let encoded = rest.get(..length).ok_or(DeliveryError::Open)?;
        Ok(SignedAnswer::from_wire(encoded)?)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.expose().into())
    }
}

impl fmt::Debug for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeliveryKey")
    }
}

impl Serialize for DeliveryKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        bytes_as_tuple(self.0.expose(), s)
    }
}

impl<'de> Deserialize<'de> for DeliveryKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        tuple_as_bytes(d).map(Self::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    use xchat_base::Timestamp;

    use super::*;
    use crate::answer::AnswerKey;
    use crate::boxes::{BoxId, SEALED_BOX_LEN, SealedBox};
    use crate::request::Answer;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(6)
    }

    fn answer(answer: Answer) -> SignedAnswer {
        let key = AnswerKey::from_seed(&Secret::new([1; 32]));
        SignedAnswer::sign(&key, BoxId::from_bytes([0xff; 32]), answer, Timestamp::MAX)
    }

    #[test]
    fn all_deliveries_have_one_size_and_open() {
        let key = DeliveryKey::random(&mut rng());
        let boxed = SealedBox::from_bytes(&[0xff; SEALED_BOX_LEN]).expect("the length is right");
        for answer in [answer(Answer::Found(boxed)), answer(Answer::Expired)] {
            let sealed = key.seal(&mut rng(), &[1; 16], &answer).expect("it fits");
            assert_eq!(sealed.len(), DELIVERY_LEN);
            assert_eq!(key.open(&[1; 16], &sealed), Ok(answer));
        }
    }

    #[test]
    fn the_delivery_is_bound_to_its_key_and_id() {
        let key = DeliveryKey::random(&mut rng());
        let sealed = key.seal(&mut rng(), &[1; 16], &answer(Answer::Empty)).expect("it fits");
        assert_eq!(key.open(&[2; 16], &sealed), Err(DeliveryError::Open));
        let other = DeliveryKey::from_bytes([9; 32]);
        assert_eq!(other.open(&[1; 16], &sealed), Err(DeliveryError::Open));
        assert_eq!(key.open(&[1; 16], &sealed[1..]), Err(DeliveryError::Open));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let item = Answer::Item { id: [0; 16], sealed: vec![0; DELIVERY_PLAINTEXT_LEN] };
        let error = DeliveryKey::random(&mut rng()).seal(&mut rng(), &[1; 16], &answer(item));
        assert!(matches!(error, Err(DeliveryError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn a_changed_bit_anywhere_is_noticed(at in 0..DELIVERY_LEN, bit in 0u8..8) {
            let key = DeliveryKey::random(&mut rng());
            let mut sealed = key.seal(&mut rng(), &[1; 16], &answer(Answer::Empty)).expect("fits");
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(key.open(&[1; 16], &sealed), Err(DeliveryError::Open));
        }
    }
}
