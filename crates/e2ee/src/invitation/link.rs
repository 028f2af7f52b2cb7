//! The link that one person hands to another: `xchat:` and a bech32m string (BIP 350), as text or
//! as a QR code.

use core::fmt;
use core::str::FromStr;

use bech32::primitives::decode::UncheckedHrpstring;
use bech32::{Bech32m, Hrp};
use thiserror::Error;
use xchat_base::{Secret, Wire, kdf};
use zeroize::Zeroizing;

use super::meeting::{Bundle, BundleError};

/// The version that this program writes and reads: the payload's first byte.
pub const LINK_VERSION: u8 = 1;
/// The longest name of a network, in bytes: `xchat-directory` has the same bound.
pub const MAX_NETWORK_NAME_LEN: usize = 32;

const SCHEME: &str = "xchat:";
const HRP: Hrp = Hrp::parse_unchecked("xc");
/// Version, network id, length of the network's name, secret, hash; the name comes on top.
const FIXED_LEN: usize = 1 + 16 + 1 + 32 + 32;
/// Five bits a character, six characters of checksum, `xc` and `1`.
const MIN_TEXT_LEN: usize = (FIXED_LEN + 1).div_ceil(5) * 8 + 6 + 3;
/// No link of any version is longer: bech32's code can detect errors up to here (BIP 173).
const MAX_TEXT_LEN: usize = 1_023;

/// Why a text is no invitation link. Each says what its reader can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It does not look like one at all.
    #[error("this is not an invitation link: one begins with \"xchat:xc1\"")]
    NotALink,
    /// It begins like one and ends too early.
    #[error("this link is cut short: copy all of it")]
    Truncated,
    /// At least one character is wrong.
    #[error("this link has a typing error in it")]
    Checksum,
    /// A correct link of another version of this program.
    #[error("this link has version {got}, this program reads version {LINK_VERSION}")]
    Version {
        /// The link's version.
        got: u8,
    },
    /// The checksum is right and the contents are not: another program's fault.
    #[error("this link's contents are malformed")]
    Malformed,
}

/// A one-time invitation. Whoever holds it can accept it: its text is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationLink {
    /// The network's name for people: 1 to 32 characters of `[a-z0-9-]`.
    pub network: String,
    /// The network that the boxes lie in.
    pub network_id: [u8; 16],
    /// What the lanes are derived from.
    pub secret: Secret<32>,
    /// [`Bundle::hash`].
    pub bundle_hash: [u8; 32],
}

impl InvitationLink {
    /// The secret of the lane whose first boxes hold the inviter's [`Bundle`].
    pub fn bundle_lane_secret(&self) -> Secret<32> {
        kdf::derive(self.secret.expose(), "invitation bundle", &self.network_id)
    }

    /// The secret of the lane whose first box takes the [`super::AcceptEntry`].
    pub fn accept_lane_secret(&self) -> Secret<32> {
        kdf::derive(self.secret.expose(), "invitation accept", &self.network_id)
    }

    /// Reads what lay in the bundle lane, if it is what the inviter put there.
    ///
    /// # Errors
    /// [`BundleError`]: another's, or malformed.
    pub fn check_bundle(&self, bytes: &[u8]) -> Result<Bundle, BundleError> {
        // The hash is no secret: whoever can compare holds the link.
        if blake3::hash(bytes).as_bytes() != &self.bundle_hash {
            return Err(BundleError::Hash);
        }
        Ok(Bundle::from_wire(bytes)?)
    }

    /// The link in capitals: a QR code of them is a third smaller (ISO 18004, alphanumeric mode).
    pub fn to_qr_text(&self) -> String {
        self.to_string().to_ascii_uppercase()
    }

    fn payload(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(FIXED_LEN + self.network.len()));
        out.push(LINK_VERSION);
        out.extend_from_slice(&self.network_id);
        out.push(u8::try_from(self.network.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(self.network.as_bytes());
        out.extend_from_slice(self.secret.expose());
        out.extend_from_slice(&self.bundle_hash);
        out
    }

    fn from_payload(payload: &[u8]) -> Option<Self> {
        let (&[_version], rest) = payload.split_first_chunk::<1>()?;
        let (network_id, rest) = rest.split_first_chunk::<16>()?;
        let (&[name_len], rest) = rest.split_first_chunk::<1>()?;
        let (name, rest) = rest.split_at_checked(usize::from(name_len))?;
        let (secret, rest) = rest.split_first_chunk::<32>()?;
        let bundle_hash = rest.try_into().ok()?;
        let valid = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if name.is_empty() || name.len() > MAX_NETWORK_NAME_LEN || !name.iter().all(valid) {
            return None;
        }
        Some(Self {
            network: String::from_utf8(name.to_vec()).ok()?,
            network_id: *network_id,
            secret: Secret::from_slice(secret)?,
            bundle_hash,
        })
    }
}

impl fmt::Display for InvitationLink {
    /// The link itself, secret and all: for the person who asked for it, never for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        bech32::encode_lower_to_fmt::<Bech32m, _>(f, HRP, &self.payload()).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for InvitationLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationLink")
    }
}

impl FromStr for InvitationLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        // Mail programs wrap long lines, and people copy the space beside a link.
        let text: Zeroizing<String> = Zeroizing::new(text.split_whitespace().collect());
        let (scheme, body) = text.split_at_checked(SCHEME.len()).ok_or(LinkError::NotALink)?;
        let is_ours = body.get(..3).is_some_and(|hrp| hrp.eq_ignore_ascii_case("xc1"));
        if !scheme.eq_ignore_ascii_case(SCHEME) || !is_ours || body.len() > MAX_TEXT_LEN {
            return Err(LinkError::NotALink);
        }
        let wrong =
            if body.len() < MIN_TEXT_LEN { LinkError::Truncated } else { LinkError::Checksum };
        let checked = UncheckedHrpstring::new(body)
            .map_err(|_| wrong)?
            .validate_and_remove_checksum::<Bech32m>()
            .map_err(|_| wrong)?;
        let payload: Zeroizing<Vec<u8>> = Zeroizing::new(checked.byte_iter().collect());
        match payload.first() {
            Some(&LINK_VERSION) => Self::from_payload(&payload).ok_or(LinkError::Malformed),
            Some(&got) => Err(LinkError::Version { got }),
            None => Err(LinkError::Malformed),
        }
    }
}
