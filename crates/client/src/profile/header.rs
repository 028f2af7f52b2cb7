//! `profile.json`: the one file of a profile that is not encrypted, and the way from a passphrase to
//! the database's key.
//!
//! The database has a random key. The header holds it wrapped under a key from the passphrase
//! (Argon2id, RFC 9106), in a list of slots: a second way in (a system keyring, a recovery phrase) is
//! another slot, and a new passphrase does not re-encrypt the database.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use xchat_base::{Rng, Secret, identifier};
use zeroize::Zeroizing;

use super::Passphrase;

/// The version of the file format.
const VERSION: u32 = 1;

/// A header is a few hundred bytes; a longer file is not one.
pub(super) const MAX_HEADER_LEN: u64 = 16 * 1024;

/// No header of ours asks for more memory: 2 GiB. A forged one shall not exhaust the machine.
const MAX_MEMORY_KIB: u32 = 2 * 1024 * 1024;

/// No header of ours asks for more passes.
const MAX_PASSES: u32 = 64;

/// No header of ours asks for more lanes.
const MAX_LANES: u32 = 16;

identifier!(
    /// Argon2id's salt.
    Salt,
    16
);

identifier!(
    /// The nonce of a wrapped key.
    WrapNonce,
    24
);

/// What one guess at the passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes computed side by side.
    pub lanes: u32,
}

impl Default for Cost {
    /// RFC 9106's second recommended option: 64 MiB, three passes, four lanes; a fifth of a second
    /// on a small machine.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 }
    }
}

impl Cost {
    /// Next to nothing: for tests and for machines that hold no secrets.
    pub const fn dangerously_cheap() -> Self {
        Self { memory_kib: 8, passes: 1, lanes: 1 }
    }

    fn check(self) -> Result<Self, HeaderError> {
        let bounded = self.memory_kib <= MAX_MEMORY_KIB
            && self.passes <= MAX_PASSES
            && self.lanes <= MAX_LANES;
        if bounded { Ok(self) } else { Err(HeaderError::Cost) }
    }
}

/// Why a header gives no key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not JSON, or not with the fields of a header.
    #[error("the profile's header is damaged")]
    Malformed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Longer than any header.
    #[error("the profile's header is damaged: it is longer than {MAX_HEADER_LEN} bytes")]
    TooLong,
    /// Written by another version of the program.
    #[error("the profile's header has version {got}, this program reads version {VERSION}")]
    Version {
        /// What the file says.
        got: u32,
    },
    /// The cost of a guess is out of all bounds.
    #[error("the profile's header asks for an impossible key derivation")]
    Cost,
    /// No slot opens with this passphrase.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
}

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    version: u32,
    slots: Vec<Slot>,
}

/// Read before anything else, so that another version is named as such and not as a missing field.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// One way to the database's key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Slot {
    Passphrase { argon2id: Cost, salt: Salt, nonce: WrapNonce, wrapped: WrappedKey },
}

identifier!(
    /// A 32-byte key under XChaCha20-Poly1305.
    WrappedKey,
    48
);

impl Header {
    /// A header for a new database, and the database's key.
    pub(super) fn create(
        passphrase: &Passphrase,
        cost: Cost,
        rng: &mut Rng,
    ) -> Result<(Self, Secret<32>), HeaderError> {
        let key = Secret::random(rng);
        let salt = Salt::random(rng);
        let nonce = WrapNonce::random(rng);
        let wrapping = stretch(passphrase, cost.check()?, &salt)?;
        let payload = Payload { msg: key.expose(), aad: &wrap_context() };
        let wrapped = XChaCha20Poly1305::new(wrapping.expose().into())
            .encrypt(XNonce::from_slice(nonce.as_bytes()), payload)
            .ok()
            .and_then(|bytes| WrappedKey::from_slice(&bytes))
            .expect("32 bytes encrypt to 48, and no limit of the cipher is near");
        let slot = Slot::Passphrase { argon2id: cost, salt, nonce, wrapped };
        Ok((Self { version: VERSION, slots: vec![slot] }, key))
    }

    pub(super) fn parse(text: &str) -> Result<Self, HeaderError> {
        let Versioned { version: got } = serde_json::from_str(text).map_err(malformed)?;
        if got != VERSION {
            return Err(HeaderError::Version { got });
        }
        serde_json::from_str(text).map_err(malformed)
    }

    pub(super) fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self)
            .expect("strings and numbers only: nothing in it can fail to serialise");
        text.push('\n');
        text
    }

    /// The database's key.
    pub(super) fn unlock(&self, passphrase: &Passphrase) -> Result<Secret<32>, HeaderError> {
        for slot in &self.slots {
            let Slot::Passphrase { argon2id, salt, nonce, wrapped } = slot;
            let wrapping = stretch(passphrase, argon2id.check()?, salt)?;
            let payload = Payload { msg: wrapped.as_bytes(), aad: &wrap_context() };
            let opened = XChaCha20Poly1305::new(wrapping.expose().into())
                .decrypt(XNonce::from_slice(nonce.as_bytes()), payload)
                .map(Zeroizing::new);
            if let Ok(key) = opened {
                return Secret::from_slice(&key).ok_or(HeaderError::WrongPassphrase);
            }
        }
        Err(HeaderError::WrongPassphrase)
    }
}

fn malformed(error: serde_json::Error) -> HeaderError {
    HeaderError::Malformed(error.into())
}

/// Binds a wrapped key to what it is for.
fn wrap_context() -> [u8; 18] {
    *b"xchat/1 profile \0\x01"
}

fn stretch(passphrase: &Passphrase, cost: Cost, salt: &Salt) -> Result<Secret<32>, HeaderError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32))
        .map_err(|_| HeaderError::Cost)?;
    let mut out = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose().as_bytes(), salt.as_bytes(), out.as_mut())
        .map_err(|_| HeaderError::Cost)?;
    Ok(Secret::new(*out))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_core::OsRng;

    use super::*;

    fn header() -> (Header, Secret<32>) {
        let passphrase = Passphrase::new("correct horse");
        Header::create(&passphrase, Cost::dangerously_cheap(), &mut OsRng).expect("a header")
    }

    #[test]
    fn the_right_passphrase_opens_it_and_no_other() {
        let (header, key) = header();
        let read = Header::parse(&header.to_json()).expect("own text");
        assert!(read.unlock(&Passphrase::new("correct horse")).expect("opens") == key);
        for wrong in ["", "correct horse ", "Correct horse"] {
            let refused = read.unlock(&Passphrase::new(wrong));
            assert!(matches!(refused, Err(HeaderError::WrongPassphrase)));
        }
    }

    #[test]
    fn an_impossible_cost_is_refused_before_it_is_paid() {
        let (header, _) = header();
        let text = header.to_json().replace("\"memory_kib\": 8", "\"memory_kib\": 4294967295");
        let refused = Header::parse(&text).expect("reads").unlock(&Passphrase::new("x"));
        assert!(matches!(refused, Err(HeaderError::Cost)));
    }

    #[test]
    fn another_version_is_named() {
        let refused = Header::parse("{\"version\": 7, \"later\": true}");
        assert!(matches!(refused, Err(HeaderError::Version { got: 7 })));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,200}") {
            let _ = Header::parse(&text);
        }
    }
}
