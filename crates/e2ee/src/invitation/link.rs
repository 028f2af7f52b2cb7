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
const MIN_TEXT_LEN: usize = ((FIXED_LEN + 1) * 8).div_ceil(5) + 6 + 3;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link() -> InvitationLink {
        InvitationLink {
            network: "demo".into(),
            network_id: [1; 16],
            secret: Secret::new([2; 32]),
            bundle_hash: [3; 32],
        }
    }

    fn parse(text: &str) -> Result<InvitationLink, LinkError> {
        text.parse()
    }

    /// From an encoder of BIP 350's reference text, not from this one.
    #[test]
    fn the_format_does_not_change() {
        let text = "xchat:xc1qyqszqgpqyqszqgpqyqszqgpqyqsger9d4hsyqszqgpqyqszqgpqyqszqgpqyqszqg\
                    pqyqszqgpqyqszqgpqyqsrqvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrqv25decw";
        assert_eq!(link().to_string(), text);
    }

    #[test]
    fn capitals_and_white_space_are_accepted_mixed_case_is_not() {
        let text = link().to_string();
        assert_eq!(parse(&text), Ok(link()));
        assert_eq!(parse(&link().to_qr_text()), Ok(link()));
        assert_eq!(parse(&format!("XCHAT:{}", &text[6..])), Ok(link()));
        assert_eq!(parse(&format!(" \u{a0}\t{text}\r\n")), Ok(link()));
        let (start, end) = text.split_at(70);
        assert_eq!(parse(&format!("{start}\r\n{end}")), Ok(link()), "wrapped by a mail program");
        let (start, end) = text.split_at(70);
        assert_eq!(parse(&format!("{start}{}", end.to_uppercase())), Err(LinkError::Checksum));
    }

    #[test]
    fn every_error_in_one_character_is_detected() {
        let text = link().to_string();
        let alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l1bio_-";
        for at in SCHEME.len()..text.len() {
            for wrong in alphabet.chars().filter(|c| !text[at..].starts_with(*c)) {
                let mut changed = text.clone();
                changed.replace_range(at..=at, &wrong.to_string());
                assert!(parse(&changed).is_err(), "{at} {wrong}");
            }
            let mut shorter = text.clone();
            let lost = shorter.remove(at);
            assert!(parse(&shorter).is_err(), "{at} removed");
            let mut doubled = text.clone();
            doubled.insert(at, lost);
            assert!(parse(&doubled).is_err(), "{at} doubled");
            if at + 1 < text.len() && text.as_bytes()[at] != text.as_bytes()[at + 1] {
                let mut swapped = shorter.clone();
                swapped.insert(at + 1, lost);
                assert!(parse(&swapped).is_err(), "{at} swapped");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let text = link().to_string();
        for other in ["", "xchat:", "hello", "https://x.test/1", "xchat:bc1qqqq", &text[6..]] {
            assert_eq!(parse(other), Err(LinkError::NotALink), "{other}");
        }
        assert_eq!(parse("xchat:عربي طويل بما يكفي"), Err(LinkError::NotALink));
        for len in [9, 20, MIN_TEXT_LEN] {
            assert_eq!(parse(&text[..len]), Err(LinkError::Truncated), "{len}");
        }
        assert_eq!(parse(&format!("{text}q")), Err(LinkError::Checksum));
        let long = format!("xchat:xc1{}", "q".repeat(MAX_TEXT_LEN));
        assert_eq!(parse(&long), Err(LinkError::NotALink));
    }

    fn text_of(payload: &[u8]) -> String {
        let body = bech32::encode::<Bech32m>(HRP, payload).expect("encodes");
        format!("{SCHEME}{body}")
    }

    #[test]
    fn another_version_is_named_whatever_it_holds() {
        let mut payload = link().payload();
        payload[0] = 2;
        assert_eq!(parse(&text_of(&payload)), Err(LinkError::Version { got: 2 }));
        payload.truncate(FIXED_LEN);
        assert_eq!(parse(&text_of(&payload)), Err(LinkError::Version { got: 2 }));
    }

    #[test]
    fn a_right_checksum_does_not_excuse_malformed_contents() {
        let payload = link().payload();
        let malformed = |payload: &[u8]| {
            assert_eq!(parse(&text_of(payload)), Err(LinkError::Malformed));
        };
        malformed(&payload[..payload.len() - 1]);
        malformed(&[payload.as_slice(), &[0]].concat());
        for name in ["", "Demo", "de mo", "démo", &"a".repeat(MAX_NETWORK_NAME_LEN + 1)] {
            malformed(&InvitationLink { network: name.into(), ..link() }.payload());
        }
        let longest = InvitationLink { network: "a".repeat(MAX_NETWORK_NAME_LEN), ..link() };
        assert_eq!(parse(&longest.to_string()), Ok(longest));
    }

    #[test]
    fn the_lanes_and_the_link_share_no_secret() {
        let link = link();
        assert_ne!(link.bundle_lane_secret(), link.accept_lane_secret());
        assert_ne!(link.bundle_lane_secret(), link.secret);
        let other = InvitationLink { network_id: [9; 16], ..link.clone() };
        assert_ne!(link.bundle_lane_secret(), other.bundle_lane_secret());
        assert_eq!(format!("{link:?}"), "InvitationLink");
    }

    #[test]
    fn a_bundle_is_read_only_if_the_link_promises_it() {
        let bundle = Bundle { name: "Amal".into(), key_package: vec![5; 100] };
        let link = InvitationLink { bundle_hash: bundle.hash(), ..link() };
        assert_eq!(link.check_bundle(&bundle.to_wire()), Ok(bundle.clone()));
        let other = Bundle { name: "Amaal".into(), ..bundle };
        assert_eq!(link.check_bundle(&other.to_wire()), Err(BundleError::Hash));
        assert_eq!(link.check_bundle(b""), Err(BundleError::Hash));
        let rubbish = b"rubbish".as_slice();
        let link = InvitationLink { bundle_hash: *blake3::hash(rubbish).as_bytes(), ..link };
        assert!(matches!(link.check_bundle(rubbish), Err(BundleError::Codec(_))));
    }

    proptest! {
        #[test]
        fn round_trips(network in "[a-z0-9-]{1,32}", network_id: [u8; 16], secret: [u8; 32],
                       bundle_hash: [u8; 32]) {
            let secret = Secret::new(secret);
            let link = InvitationLink { network, network_id, secret, bundle_hash };
            prop_assert_eq!(parse(&link.to_string()), Ok(link.clone()));
            prop_assert_eq!(parse(&link.to_qr_text()), Ok(link));
        }

        #[test]
        fn any_text_never_panics(text in "\\PC{0,300}", body in "[a-z0-9]{0,300}") {
            let _ = parse(&text);
            let _ = parse(&format!("xchat:{text}"));
            let forged = format!("xchat:xc1{body}");
            prop_assert!(parse(&forged).is_err());
        }
    }
}
