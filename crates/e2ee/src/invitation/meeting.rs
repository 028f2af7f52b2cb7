//! What the boxes of an invitation hold.

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;
use xchat_base::{CodecError, Wire};

/// The longest name, in Unicode scalar values: a line on a phone.
pub const MAX_NAME_CHARS: usize = 64;
/// The largest key package in bytes: 2,666 in our one suite, and room for extensions.
pub const MAX_KEY_PACKAGE_LEN: usize = 4_096;
/// The largest Welcome in bytes: 5.5 KB for a pair; a group that one is introduced to has more.
pub const MAX_WELCOME_LEN: usize = 512 * 1_024;
/// The largest first message in bytes: it fits a box.
pub const MAX_HELLO_LEN: usize = 1_406;
/// Length of a run pointer in bytes: secret, length and hash (`xchat-pigeonhole`).
pub const RUN_POINTER_LEN: usize = 68;

/// Why an inviter's bundle was refused. All of it is the inviter's fault, or of whoever else holds
/// the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Not what the link promises.
    #[error("the invitation's boxes do not hold what its link promises")]
    Hash,
    /// What the link promises is no bundle, or of another version.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// The inviter's side of the meeting: who invites, and the key package to answer to. It lies in the
/// first boxes of the link's bundle lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// What the inviter is called: at most [`MAX_NAME_CHARS`] characters, no control characters.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// An MLS KeyPackage message (RFC 9420, section 10).
    #[serde(deserialize_with = "bounded::<_, MAX_KEY_PACKAGE_LEN>")]
    pub key_package: Vec<u8>,
}

impl Bundle {
    /// BLAKE3 of the encoded bundle: what the link holds.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.to_wire()).as_bytes()
    }
}

impl Wire for Bundle {
    const FORMAT: &'static str = "invitation bundle";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = MAX_KEY_PACKAGE_LEN + MAX_NAME_CHARS * 4 + 8;
}

/// The accepter's one box in the link's accept lane: where the [`Meeting`] lies. The first accept
/// entry wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptEntry {
    /// The pointer to the run that holds the [`Meeting`]: exactly [`RUN_POINTER_LEN`] bytes.
    #[serde(deserialize_with = "pointer")]
    pub run: Vec<u8>,
}

impl Wire for AcceptEntry {
    const FORMAT: &'static str = "accept entry";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = RUN_POINTER_LEN + 8;
}

/// The accepter's side of the meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meeting {
    /// An MLS Welcome message (RFC 9420, section 12.4.3.1).
    #[serde(deserialize_with = "bounded::<_, MAX_WELCOME_LEN>")]
    pub welcome: Vec<u8>,
    /// The accepter's first MLS message in epoch 1.
    #[serde(deserialize_with = "bounded::<_, MAX_HELLO_LEN>")]
    pub hello: Vec<u8>,
}

impl Wire for Meeting {
    const FORMAT: &'static str = "meeting";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = MAX_WELCOME_LEN + MAX_HELLO_LEN + 16;
}

fn name<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let name = String::deserialize(d)?;
    // A control character in a name could forge lines in a terminal.
    if name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(serde::de::Error::custom("name"));
    }
    Ok(name)
}

fn bounded<'de, D: Deserializer<'de>, const MAX: usize>(d: D) -> Result<Vec<u8>, D::Error> {
    let bytes = Vec::<u8>::deserialize(d)?;
    if bytes.len() > MAX {
        return Err(serde::de::Error::custom("too long"));
    }
    Ok(bytes)
}

fn pointer<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
    let bytes = Vec::<u8>::deserialize(d)?;
    if bytes.len() != RUN_POINTER_LEN {
        return Err(serde::de::Error::custom("length"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_bounded_and_hold_no_control_characters() {
        let bundle = |name: String| Bundle { name, key_package: vec![7; 2_666] };
        let good = bundle("ع".repeat(MAX_NAME_CHARS));
        assert_eq!(Bundle::from_wire(&good.to_wire()), Ok(good));
        let malformed = Err(CodecError::Malformed { format: "invitation bundle" });
        assert_eq!(Bundle::from_wire(&bundle("a".repeat(MAX_NAME_CHARS + 1)).to_wire()), malformed);
        assert_eq!(Bundle::from_wire(&bundle("a\u{1b}[2J".into()).to_wire()), malformed);
    }

    #[test]
    fn every_part_has_its_bound() {
        let bundle = Bundle { name: String::new(), key_package: vec![0; MAX_KEY_PACKAGE_LEN + 1] };
        assert!(Bundle::from_wire(&bundle.to_wire()).is_err());
        let meeting = Meeting { welcome: vec![], hello: vec![0; MAX_HELLO_LEN + 1] };
        assert!(Meeting::from_wire(&meeting.to_wire()).is_err());
        let meeting = Meeting { welcome: vec![0; MAX_WELCOME_LEN + 1], hello: vec![] };
        assert!(Meeting::from_wire(&meeting.to_wire()).is_err());
        for len in [RUN_POINTER_LEN - 1, RUN_POINTER_LEN + 1] {
            assert!(AcceptEntry::from_wire(&AcceptEntry { run: vec![1; len] }.to_wire()).is_err());
        }
        let entry = AcceptEntry { run: vec![1; RUN_POINTER_LEN] };
        assert_eq!(AcceptEntry::from_wire(&entry.to_wire()), Ok(entry));
        let largest = Meeting { welcome: vec![1; MAX_WELCOME_LEN], hello: vec![2; MAX_HELLO_LEN] };
        assert_eq!(Meeting::from_wire(&largest.to_wire()), Ok(largest));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Bundle::from_wire(&bytes);
            let _ = AcceptEntry::from_wire(&bytes);
            let _ = Meeting::from_wire(&bytes);
        }
    }
}
