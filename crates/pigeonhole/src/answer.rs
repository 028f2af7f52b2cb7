//! Signed answers: a store that says two things about one box can be shown to have done so.

use core::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use xchat_base::{Secret, Timestamp, Wire, id, identifier};

use crate::boxes::{BoxError, BoxId, SealedBox};
use crate::request::{Answer, MAX_MESSAGE_LEN};

const SIGNATURE_LABEL: &[u8] = b"xchat/1 answer\0";

identifier!(
    /// A store: its node id in the directory, an Ed25519 public key.
    StoreId,
    32
);

/// Why an answer is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// An answer about a box without a signature.
    #[error("the answer is not signed")]
    Unsigned,
    /// Not signed by the store that was asked.
    #[error("the answer's signature does not verify")]
    Signature,
    /// The answer is about another box than was asked for.
    #[error("the answer is about another box")]
    WrongBox,
    /// The box in it is not valid.
    #[error("the box in the answer is not valid")]
    Box(#[from] BoxError),
    /// An answer that does not belong to this kind of request.
    #[error("the answer does not fit the request")]
    WrongKind,
}

/// A store's signing key: its node key.
pub struct AnswerKey(SigningKey);

impl AnswerKey {
    /// The key pair of an Ed25519 private key (RFC 8032, 5.1.5).
    pub fn from_seed(seed: &Secret<32>) -> Self {
        Self(SigningKey::from_bytes(seed.expose()))
    }

    /// The store that signs with it.
    pub fn store(&self) -> StoreId {
        StoreId::from_bytes(self.0.verifying_key().to_bytes())
    }
}

impl fmt::Debug for AnswerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerKey")
    }
}

/// An answer as it travels; [`Self::verify`] or [`Self::collected`] gives what may be believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedAnswer {
    claim: Claim,
    signature: Option<SignatureBytes>,
}

impl Wire for SignedAnswer {
    const FORMAT: &'static str = "store answer";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = MAX_MESSAGE_LEN;
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    answer: Answer,
    box_id: Option<BoxId>,
    /// Unix milliseconds.
    at: u64,
}

impl Wire for Claim {
    const FORMAT: &'static str = "store claim";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = MAX_MESSAGE_LEN;
}

impl SignedAnswer {
    /// A store's claim about a box at a moment.
    pub fn sign(key: &AnswerKey, box_id: BoxId, answer: Answer, at: Timestamp) -> Self {
        let claim = Claim { answer, box_id: Some(box_id), at: at.as_millis() };
        let signature = key.0.sign(&claim.signed_bytes()).to_bytes();
        Self { claim, signature: Some(SignatureBytes(signature)) }
    }

    /// An answer that claims nothing about a box: to a collect, or a refusal of what could not be
    /// read.
    pub fn unsigned(answer: Answer, at: Timestamp) -> Self {
        Self { claim: Claim { answer, box_id: None, at: at.as_millis() }, signature: None }
    }

    /// When the store says it answered.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.claim.at)
    }

    /// The box that it says it has found, before any of it is believed: for who does not know beforehand which it is about.
    pub fn found(&self) -> Option<BoxId> {
        match &self.claim.answer {
            Answer::Found(boxed) => Some(boxed.id()),
            _ => None,
        }
    }

    /// The answer of `store` about `asked`, with any box in it verified. A refusal needs no
    /// signature: it claims nothing, and only the store could use the reply block.
    ///
    /// # Errors
    /// [`AnswerError`]: the answer proves nothing and is to be treated as none.
    pub fn verify(&self, store: &StoreId, asked: &BoxId) -> Result<Answer, AnswerError> {
        let answer = self.claim.answer.clone();
        if let (Answer::Refused(_), None) = (&answer, &self.signature) {
            return Ok(answer);
        }
        let signature = self.signature.as_ref().ok_or(AnswerError::Unsigned)?;
        if self.claim.box_id != Some(*asked) {
            return Err(AnswerError::WrongBox);
        }
        VerifyingKey::from_bytes(store.as_bytes())
            .and_then(|key| {
                let signature = Signature::from_bytes(&signature.0);
                key.verify_strict(&self.claim.signed_bytes(), &signature)
            })
            .map_err(|_| AnswerError::Signature)?;
        match &answer {
            Answer::Exists(boxed) | Answer::Found(boxed) => check_box(boxed, asked)?,
            Answer::Item { .. } | Answer::NoItem => return Err(AnswerError::WrongKind),
            Answer::Stored
            | Answer::Empty
            | Answer::Expired
            | Answer::Registered { .. }
            | Answer::Refused(_) => {}
        }
        Ok(answer)
    }

    /// The answer to a collect: an item, none, or a refusal.
    ///
    /// # Errors
    /// [`AnswerError::WrongKind`]: an answer about a box.
    pub fn collected(self) -> Result<Answer, AnswerError> {
        match self.claim.answer {
            answer @ (Answer::Item { .. } | Answer::NoItem | Answer::Refused(_)) => Ok(answer),
            _ => Err(AnswerError::WrongKind),
        }
    }
}

fn check_box(boxed: &SealedBox, asked: &BoxId) -> Result<(), AnswerError> {
    if boxed.id() != *asked {
        return Err(AnswerError::WrongBox);
    }
    boxed.verify()?;
    Ok(())
}

impl Claim {
    fn signed_bytes(&self) -> Vec<u8> {
        [SIGNATURE_LABEL, &self.to_wire()].concat()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SignatureBytes(#[serde(with = "id::array")] [u8; 64]);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::lane::Lane;
    use crate::request::Refusal;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn key(byte: u8) -> AnswerKey {
        AnswerKey::from_seed(&Secret::new([byte; 32]))
    }

    fn boxed(lane: u8) -> SealedBox {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        Lane::new(Secret::new([lane; 32])).keys().seal(&mut rng, b"content").expect("it fits")
    }

    #[test]
    fn what_the_store_signed_is_believed_and_comes_back() {
        let (key, id) = (key(1), boxed(1).id());
        for answer in [Answer::Stored, Answer::Empty, Answer::Expired, Answer::Found(boxed(1))] {
            let signed = SignedAnswer::sign(&key, id, answer.clone(), NOW);
            let signed = SignedAnswer::from_wire(&signed.to_wire()).expect("own encoding");
            assert_eq!(signed.at(), NOW);
            assert_eq!(signed.verify(&key.store(), &id), Ok(answer));
        }
    }

    #[test]
    fn another_store_another_box_and_no_signature_are_refused() {
        let id = boxed(1).id();
        let signed = SignedAnswer::sign(&key(1), id, Answer::Empty, NOW);
        assert_eq!(signed.verify(&key(2).store(), &id), Err(AnswerError::Signature));
        assert_eq!(signed.verify(&key(1).store(), &boxed(2).id()), Err(AnswerError::WrongBox));
        let unsigned = SignedAnswer::unsigned(Answer::Empty, NOW);
        assert_eq!(unsigned.verify(&key(1).store(), &id), Err(AnswerError::Unsigned));
    }

    #[test]
    fn the_box_in_an_answer_must_be_the_one_asked_for_and_valid() {
        let (key, id) = (key(1), boxed(1).id());
        let other = SignedAnswer::sign(&key, id, Answer::Found(boxed(2)), NOW);
        assert_eq!(other.verify(&key.store(), &id), Err(AnswerError::WrongBox));
        let mut bytes = boxed(1).to_bytes();
        bytes[40] ^= 1;
        let forged = SealedBox::from_bytes(&bytes).expect("the length is right");
        let forged = SignedAnswer::sign(&key, id, Answer::Exists(forged), NOW);
        let error = AnswerError::Box(BoxError::Signature);
        assert_eq!(forged.verify(&key.store(), &id), Err(error));
    }

    #[test]
    fn refusals_need_no_signature_and_collects_give_items_only() {
        let refused = Answer::Refused(Refusal::Malformed);
        let unsigned = SignedAnswer::unsigned(refused.clone(), NOW);
        assert_eq!(unsigned.verify(&key(1).store(), &boxed(1).id()), Ok(refused.clone()));
        assert_eq!(unsigned.collected(), Ok(refused));
        assert_eq!(SignedAnswer::unsigned(Answer::NoItem, NOW).collected(), Ok(Answer::NoItem));
        let claim = SignedAnswer::unsigned(Answer::Stored, NOW);
        assert_eq!(claim.collected(), Err(AnswerError::WrongKind));
        let item = SignedAnswer::sign(&key(1), boxed(1).id(), Answer::NoItem, NOW);
        let verified = item.verify(&key(1).store(), &boxed(1).id());
        assert_eq!(verified, Err(AnswerError::WrongKind));
    }

    proptest! {
        #[test]
        fn a_changed_bit_anywhere_is_noticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let (key, id) = (key(1), boxed(1).id());
            let signed = SignedAnswer::sign(&key, id, Answer::Found(boxed(1)), NOW);
            let mut bytes = signed.to_wire();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let believed = SignedAnswer::from_wire(&bytes)
                .is_ok_and(|changed| changed.verify(&key.store(), &id).is_ok());
            prop_assert!(!believed);
        }
    }
}
