//! Lanes: sequences of boxes from one secret, by a one-way ratchet.

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer, SigningKey};
use thiserror::Error;
use xchat_base::{Rng, Secret, kdf, random};
use zeroize::Zeroizing;

use crate::boxes::{BOX_PLAINTEXT_LEN, BoxId, MAX_CONTENT_LEN, NONCE_LEN, SealedBox};

/// Length of a lane's stored form: version, index, secret.
pub const LANE_STORED_LEN: usize = 1 + 8 + 32;

const LANE_STORED_VERSION: u8 = 1;
const LENGTH_PREFIX: usize = BOX_PLAINTEXT_LEN - MAX_CONTENT_LEN;

/// The caller's mistake: content that no box holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a box holds {MAX_CONTENT_LEN} bytes, not {got}")]
pub struct ContentTooLong {
    /// How much was to be sealed.
    pub got: usize,
}

/// The box is not what its lane's owner sealed. Deliberately without a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the box does not open with this lane's key")]
pub struct OpenError;

/// Stored bytes that are not a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a stored lane of version {LANE_STORED_VERSION}")]
pub struct StoredLaneError;

/// A position in a sequence of boxes. Going forward forgets: the secrets of boxes passed are wiped.
#[derive(Clone)]
pub struct Lane {
    secret: Secret<32>,
    index: u64,
}

impl Lane {
    /// The lane of this secret, at its first box.
    pub fn new(secret: Secret<32>) -> Self {
        Self { secret, index: 0 }
    }

    /// How many boxes have been passed.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Keys of the box at this position.
    pub fn keys(&self) -> BoxKeys {
        BoxKeys::derive(&self.secret)
    }

    /// Passes one box; its secret is wiped and cannot be recomputed.
    pub fn advance(&mut self) {
        self.secret = next(&self.secret);
        self.index = self.index.saturating_add(1);
    }

    /// Keys of the box `ahead` positions further on (0: this one). Costs one hash a position.
    pub fn peek(&self, ahead: u16) -> BoxKeys {
        let mut lane = self.clone();
        for _ in 0..ahead {
            lane.advance();
        }
        lane.keys()
    }

    /// For the owner's encrypted database: `version (1) ‖ index (8, big-endian) ‖ secret (32)`.
    pub fn to_stored(&self) -> Secret<LANE_STORED_LEN> {
        let mut bytes = Zeroizing::new([0u8; LANE_STORED_LEN]);
        bytes[0] = LANE_STORED_VERSION;
        bytes[1..9].copy_from_slice(&self.index.to_be_bytes());
        bytes[9..].copy_from_slice(self.secret.expose());
        Secret::new(*bytes)
    }

    /// Reads what [`Self::to_stored`] wrote.
    ///
    /// # Errors
    /// [`StoredLaneError`]: another version or another length.
    pub fn from_stored(bytes: &[u8]) -> Result<Self, StoredLaneError> {
        let (&LANE_STORED_VERSION, rest) = bytes.split_first().ok_or(StoredLaneError)? else {
            return Err(StoredLaneError);
        };
        let (index, secret) = rest.split_first_chunk::<8>().ok_or(StoredLaneError)?;
        let secret = Secret::from_slice(secret).ok_or(StoredLaneError)?;
        Ok(Self { secret, index: u64::from_be_bytes(*index) })
    }
}

impl core::fmt::Debug for Lane {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Lane")
    }
}

fn next(secret: &Secret<32>) -> Secret<32> {
    kdf::derive(secret.expose(), "lane next", b"")
}

/// The keys of one box: it can be written, found and opened with them, and nothing else can.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub struct BoxKeys {
    signing: SigningKey,
    sealing: Secret<32>,
    id: BoxId,
}

impl BoxKeys {
    fn derive(lane_secret: &Secret<32>) -> Self {
        let seed = kdf::derive(lane_secret.expose(), "lane seed", b"");
        let signing = kdf::derive(seed.expose(), "box signing", b"");
        // An Ed25519 private key is any 32 bytes (RFC 8032, 5.1.5).
        let signing = SigningKey::from_bytes(signing.expose());
        let id = BoxId::from_bytes(signing.verifying_key().to_bytes());
        Self { signing, sealing: kdf::derive(seed.expose(), "box sealing", b""), id }
    }

    /// Where the box lies.
    pub fn id(&self) -> BoxId {
        self.id
    }

    /// Seals and signs content, padded so that all boxes have one size.
    ///
    /// The nonce is random, not fixed, because two devices may meet on one box with different
    /// contents, and a nonce used twice would reveal both.
    ///
    /// # Errors
    /// [`ContentTooLong`]: more than [`MAX_CONTENT_LEN`] bytes.
    pub fn seal(&self, rng: &mut Rng, content: &[u8]) -> Result<SealedBox, ContentTooLong> {
        if content.len() > MAX_CONTENT_LEN {
            return Err(ContentTooLong { got: content.len() });
        }
        let mut buffer = Zeroizing::new(vec![0u8; BOX_PLAINTEXT_LEN]);
        let length = u16::try_from(content.len()).expect("at most MAX_CONTENT_LEN, checked above");
        buffer[..LENGTH_PREFIX].copy_from_slice(&length.to_be_bytes());
        buffer[LENGTH_PREFIX..LENGTH_PREFIX + content.len()].copy_from_slice(content);
        Ok(self.sealed(&random::bytes(rng), &mut buffer))
    }

    /// Seals nothing, to the same bytes each time. Only for lanes of which nothing else is ever sealed: the nonce follows from
    /// the key, and is used twice only for the same content.
    pub fn seal_nothing(&self) -> SealedBox {
        let derived = kdf::derive(self.sealing.expose(), "box nothing", b"");
        let mut nonce = [0u8; NONCE_LEN];
        nonce.copy_from_slice(&derived.expose()[..NONCE_LEN]);
        self.sealed(&nonce, &mut [0u8; BOX_PLAINTEXT_LEN])
    }

    fn sealed(&self, nonce: &[u8; NONCE_LEN], buffer: &mut [u8]) -> SealedBox {
        let tag = self
            .cipher()
            .encrypt_in_place_detached(XNonce::from_slice(nonce), self.id.as_bytes(), buffer)
            .expect("1408 bytes are far below the cipher's limit, its only error");
        let ciphertext = [&*buffer, tag.as_slice()].concat();
        SealedBox::assemble(&self.id, nonce, &ciphertext, |message| {
            self.signing.sign(message).to_bytes()
        })
    }

    /// Opens a box of this id. The AEAD authenticates it; its signature is for those without the
    /// keys and was checked on the way.
    ///
    /// # Errors
    /// [`OpenError`]: another box, or not sealed with these keys.
    pub fn open(&self, sealed: &SealedBox) -> Result<Vec<u8>, OpenError> {
        if sealed.id() != self.id {
            return Err(OpenError);
        }
        let (body, tag) = sealed.ciphertext().split_at(BOX_PLAINTEXT_LEN);
        let mut buffer = Zeroizing::new(body.to_vec());
        self.cipher()
            .decrypt_in_place_detached(
                XNonce::from_slice(&sealed.nonce()),
                self.id.as_bytes(),
                &mut buffer,
                Tag::from_slice(tag),
            )
            .map_err(|_| OpenError)?;
        unpad(&buffer)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.sealing.expose().into())
    }
}

impl core::fmt::Debug for BoxKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("BoxKeys")
    }
}

/// One content has one padding: anything else is refused, so that padding carries no message.
fn unpad(plaintext: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (length, rest) = plaintext.split_first_chunk::<LENGTH_PREFIX>().ok_or(OpenError)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (content, padding) = rest.split_at_checked(length).ok_or(OpenError)?;
    if padding.iter().any(|&byte| byte != 0) {
        return Err(OpenError);
    }
    Ok(content.to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::boxes::SEALED_BOX_LEN;

    fn rng(seed: u64) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(seed)
    }

    fn lane(byte: u8) -> Lane {
        Lane::new(Secret::new([byte; 32]))
    }

    #[derive(serde::Deserialize)]
    struct Vectors {
        lane_secret: String,
        boxes: Vec<Vector>,
    }

    #[derive(serde::Deserialize)]
    struct Vector {
        index: u16,
        id: String,
        content: String,
        #[serde(rename = "box")]
        sealed: String,
    }

    fn unhex(text: &str) -> Vec<u8> {
        let mut out = vec![0; text.len() / 2];
        xchat_base::id::unhex(text, &mut out).expect("vectors are hexadecimal");
        out
    }

    /// The vectors were made from the specification by a program that shares no code with this one.
    #[test]
    fn the_vectors_of_the_specification_are_found_verified_and_opened() {
        let text = include_str!("../../../spec/vectors/boxes.json");
        let vectors: Vectors = serde_json::from_str(text).expect("the file is JSON");
        let lane = Lane::new(Secret::from_slice(&unhex(&vectors.lane_secret)).expect("32 bytes"));
        assert_eq!(vectors.boxes.len(), 4);
        for vector in vectors.boxes {
            let sealed =
                SealedBox::from_bytes(&unhex(&vector.sealed)).expect("the length is right");
            let keys = lane.peek(vector.index);
            assert_eq!(keys.id().to_hex(), vector.id);
            assert!(sealed.verify().is_ok());
            assert_eq!(keys.open(&sealed), Ok(unhex(&vector.content)));
        }
    }

    #[test]
    fn peeking_is_advancing_without_forgetting() {
        let mut lane = lane(1);
        let ahead: Vec<_> = (0..20).map(|n| lane.peek(n).id()).collect();
        for id in ahead {
            assert_eq!(lane.keys().id(), id);
            lane.advance();
        }
        assert_eq!(lane.index(), 20);
    }

    #[test]
    fn a_lane_that_moved_on_does_not_hold_what_it_passed() {
        let mut lane = lane(1);
        let before = lane.to_stored();
        lane.advance();
        let after = lane.to_stored();
        let old_secret = &before.expose()[9..];
        assert!(!after.expose().windows(32).any(|window| window == old_secret));
        let restored = Lane::from_stored(after.expose()).expect("own form");
        assert_eq!(restored.keys().id(), lane.keys().id());
        assert_eq!(restored.index(), 1);
    }

    #[test]
    fn stored_forms_of_other_versions_and_lengths_are_refused() {
        let mut stored = *lane(1).to_stored().expose();
        assert!(Lane::from_stored(&stored[1..]).is_err());
        assert!(Lane::from_stored(&stored[..40]).is_err());
        assert!(Lane::from_stored(&[]).is_err());
        stored[0] = 2;
        assert!(Lane::from_stored(&stored).is_err());
    }

    #[test]
    fn content_that_does_not_fit_is_the_callers_mistake() {
        let too_long = vec![1; MAX_CONTENT_LEN + 1];
        let error = lane(1).keys().seal(&mut rng(0), &too_long).expect_err("one byte too many");
        assert_eq!(error, ContentTooLong { got: MAX_CONTENT_LEN + 1 });
    }

    #[test]
    fn padding_that_is_not_zero_is_refused() {
        let mut plaintext = vec![0; BOX_PLAINTEXT_LEN];
        plaintext[1] = 3;
        assert_eq!(unpad(&plaintext), Ok(vec![0; 3]));
        plaintext[BOX_PLAINTEXT_LEN - 1] = 1;
        assert_eq!(unpad(&plaintext), Err(OpenError));
        plaintext[..2].copy_from_slice(&u16::MAX.to_be_bytes());
        assert_eq!(unpad(&plaintext), Err(OpenError));
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?} {:?}", lane(7), lane(7).keys()), "Lane BoxKeys");
    }

    /// How many of the bits of two boxes differ, id, signature, nonce and ciphertext apart.
    fn differences(a: &SealedBox, b: &SealedBox) -> [f64; 4] {
        let (a, b) = (a.as_bytes(), b.as_bytes());
        [0..32, 32..96, 96..120, 120..SEALED_BOX_LEN].map(|part| {
            let bits = part.len() * 8;
            let differ: u32 = part.map(|i| (a[i] ^ b[i]).count_ones()).sum();
            f64::from(differ) / bits as f64
        })
    }

    /// A store sees neighbours of one lane exactly as it sees strangers: nothing in common but the
    /// size. (That it cannot compute more rests on HKDF and Ed25519, not on this test.)
    #[test]
    fn neighbours_of_a_lane_look_like_strangers() {
        let mut rng = rng(3);
        let mut neighbours = [0.0; 4];
        let mut strangers = [0.0; 4];
        let rounds = 64;
        for _ in 0..rounds {
            let mut one = Lane::new(Secret::random(&mut rng));
            let other = Lane::new(Secret::random(&mut rng));
            let first = one.keys().seal(&mut rng, b"same").expect("it fits");
            one.advance();
            let second = one.keys().seal(&mut rng, b"same").expect("it fits");
            let third = other.keys().seal(&mut rng, b"same").expect("it fits");
            for part in 0..4 {
                neighbours[part] += differences(&first, &second)[part] / f64::from(rounds);
                strangers[part] += differences(&first, &third)[part] / f64::from(rounds);
            }
        }
        for part in 0..4 {
            assert!((neighbours[part] - 0.5).abs() < 0.03, "part {part}: {neighbours:?}");
            assert!((strangers[part] - 0.5).abs() < 0.03, "part {part}: {strangers:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_all_boxes_have_one_size(
            content in prop::collection::vec(any::<u8>(), 0..=MAX_CONTENT_LEN),
            secret: [u8; 32],
            index in 0u16..40,
            seed: u64,
        ) {
            let lane = Lane::new(Secret::new(secret));
            let sealed = lane.peek(index).seal(&mut rng(seed), &content).expect("it fits");
            prop_assert_eq!(sealed.as_bytes().len(), SEALED_BOX_LEN);
            prop_assert!(sealed.verify().is_ok());
            prop_assert_eq!(lane.peek(index).open(&sealed), Ok(content));
            prop_assert_eq!(lane.peek(index + 1).open(&sealed), Err(OpenError));
        }

        #[test]
        fn a_changed_bit_anywhere_is_noticed(at in 0..SEALED_BOX_LEN, bit in 0u8..8, seed: u64) {
            let keys = lane(5).keys();
            let sealed = keys.seal(&mut rng(seed), b"content").expect("it fits");
            let mut bytes = sealed.to_bytes();
            bytes[at] ^= 1 << bit;
            let changed = SealedBox::from_bytes(&bytes).expect("the length is right");
            prop_assert!(changed.verify().is_err());
            // The signature is the replicas' business; all else is the reader's too.
            let in_signature = (32..96).contains(&at);
            prop_assert_eq!(keys.open(&changed).is_err(), !in_signature);
        }

        #[test]
        fn two_devices_that_meet_on_a_box_use_different_nonces(a: u64, b: u64) {
            prop_assume!(a != b);
            let keys = lane(5).keys();
            let one = keys.seal(&mut rng(a), b"one").expect("it fits");
            let other = keys.seal(&mut rng(b), b"other").expect("it fits");
            prop_assert_eq!(one.id(), other.id());
            prop_assert_ne!(one.nonce(), other.nonce());
        }
    }
}
