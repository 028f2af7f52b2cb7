//! Lanes: sequences of boxes from one secret, by a one-way ratchet.

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer, SigningKey};
use thiserror::Error;
use xchat_base::{Rng, Secret, kdf, random};
use zeroize::Zeroizing;

use crate::boxes::{BOX_PLAINTEXT_LEN, BoxId, MAX_CONTENT_LEN, SealedBox};

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
        let nonce = random::bytes(rng);
        let tag = self
            .cipher()
            .encrypt_in_place_detached(XNonce::from_slice(&nonce), self.id.as_bytes(), &mut buffer)
            .expect("1408 bytes are far below the cipher's limit, its only error");
        let ciphertext = [buffer.as_slice(), tag.as_slice()].concat();
        Ok(SealedBox::assemble(&self.id, &nonce, &ciphertext, |message| {
            self.signing.sign(message).to_bytes()
        }))
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
