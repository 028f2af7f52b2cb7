//! The root of trust: a network's name, its authorities and how many of them must agree.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xchat_base::identifier;

use crate::authority::AuthorityKey;

identifier!(
    /// Names a network: the first 16 bytes of the hash of its root.
    NetworkId,
    16
);

/// A root names at most this many authorities: more signatures than this would make every document
/// a client fetches heavier without making a conspiracy harder.
pub const MAX_AUTHORITIES: usize = 32;

/// A network's name is at most this long: it goes into every invitation link.
pub const MAX_NAME_LEN: usize = 32;

/// A network's name for people: 1 to 32 characters of `a-z`, `0-9` and `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetworkName(String);

impl NetworkName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`RootError::Name`] when it is empty, too long, or uses other characters.
    pub fn new(name: &str) -> Result<Self, RootError> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if name.is_empty() || name.len() > MAX_NAME_LEN || !name.bytes().all(allowed) {
            return Err(RootError::Name);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NetworkName {
    type Error = RootError;

    fn try_from(name: String) -> Result<Self, RootError> {
        Self::new(&name)
    }
}

impl From<NetworkName> for String {
    fn from(name: NetworkName) -> Self {
        name.0
    }
}

impl FromStr for NetworkName {
    type Err = RootError;

    fn from_str(name: &str) -> Result<Self, RootError> {
        Self::new(name)
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkName({})", self.0)
    }
}

/// Why a root is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RootError {
    /// The name breaks the rules of [`NetworkName`].
    #[error("a network's name has 1 to {MAX_NAME_LEN} characters out of a-z, 0-9 and -")]
    Name,
    /// None, or more than [`MAX_AUTHORITIES`].
    #[error("a network has 1 to {MAX_AUTHORITIES} authorities, not {got}")]
    AuthorityCount {
        /// How many there were.
        got: usize,
    },
    /// One key twice: it would count as two opinions.
    #[error("an authority's key is listed twice")]
    DuplicateAuthority,
    /// Not an Ed25519 public key.
    #[error("authority {index} has no valid Ed25519 key")]
    AuthorityKey {
        /// Its place in the list.
        index: usize,
    },
    /// Below two thirds of the authorities, or above all of them.
    #[error(
        "{got} of {authorities} is no threshold: it must be at least two thirds and at most all"
    )]
    Threshold {
        /// What was asked for.
        got: u8,
        /// How many authorities there are.
        authorities: usize,
    },
}

/// What a client or node trusts from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    name: NetworkName,
    authorities: Vec<AuthorityKey>,
    threshold: u8,
}

impl Root {
    /// Checks and makes a root. The order of the authorities is part of it.
    ///
    /// # Errors
    /// [`RootError`]: too few or too many authorities, one twice, a bad key, a bad threshold.
    pub fn new(
        name: NetworkName,
        authorities: Vec<AuthorityKey>,
        threshold: u8,
    ) -> Result<Self, RootError> {
        let count = authorities.len();
        if count == 0 || count > MAX_AUTHORITIES {
            return Err(RootError::AuthorityCount { got: count });
        }
        if authorities.iter().collect::<BTreeSet<_>>().len() != count {
            return Err(RootError::DuplicateAuthority);
        }
        if let Some(index) = authorities.iter().position(|key| !key.is_valid()) {
            return Err(RootError::AuthorityKey { index });
        }
        let wanted = usize::from(threshold);
        if wanted > count || wanted * 3 < count * 2 {
            return Err(RootError::Threshold { got: threshold, authorities: count });
        }
        Ok(Self { name, authorities, threshold })
    }

    /// The network's name.
    pub fn name(&self) -> &NetworkName {
        &self.name
    }

    /// The authorities' keys, in the order in which signatures number them.
    pub fn authorities(&self) -> &[AuthorityKey] {
        &self.authorities
    }

    /// How many authorities must have signed a document.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The network's identifier: a hash over all of the above.
    pub fn id(&self) -> NetworkId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"xchat/1 root\0");
        hasher.update(&[self.name.0.len() as u8]);
        hasher.update(self.name.0.as_bytes());
        hasher.update(&[self.threshold, self.authorities.len() as u8]);
        for key in &self.authorities {
            hasher.update(key.as_bytes());
        }
        let mut id = [0u8; NetworkId::LEN];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..NetworkId::LEN]);
        NetworkId::from_bytes(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::authorities;

    fn keys(count: u8) -> Vec<AuthorityKey> {
        authorities(count).iter().map(|secret| secret.public()).collect()
    }

    fn name(text: &str) -> NetworkName {
        NetworkName::new(text).expect("a good name")
    }

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "local", "net-2", &"x".repeat(MAX_NAME_LEN)] {
            assert_eq!(name(good).to_string(), good);
        }
        for bad in ["", "Net", "a b", "ü", "a_b", &"x".repeat(MAX_NAME_LEN + 1)] {
            assert_eq!(NetworkName::new(bad), Err(RootError::Name), "{bad:?}");
        }
    }

    #[test]
    fn a_threshold_is_two_thirds_or_more() {
        for (count, lowest) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (32, 22)] {
            for threshold in 0..=count + 1 {
                let root = Root::new(name("n"), keys(count), threshold);
                assert_eq!(
                    root.is_ok(),
                    (lowest..=count).contains(&threshold),
                    "{threshold}/{count}"
                );
            }
        }
    }

    #[test]
    fn bad_lists_of_authorities_are_refused() {
        let new = |keys| Root::new(name("n"), keys, 1).expect_err("refused");
        assert_eq!(new(vec![]), RootError::AuthorityCount { got: 0 });
        assert_eq!(new(keys(33)), RootError::AuthorityCount { got: 33 });
        assert_eq!(new([keys(1), keys(1)].concat()), RootError::DuplicateAuthority);
        // The neutral element, and a string that is no point.
        for bad in [1, 2] {
            let mut bytes = [0u8; 32];
            bytes[0] = bad;
            let bad = AuthorityKey::from_bytes(bytes);
            assert_eq!(new(vec![keys(1)[0], bad]), RootError::AuthorityKey { index: 1 });
        }
    }

    #[test]
    fn every_part_of_the_root_names_another_network() {
        let new =
            |text, keys, threshold| Root::new(name(text), keys, threshold).expect("good").id();
        let root = new("n", keys(3), 2);
        assert_eq!(root, new("n", keys(3), 2));
        let mut swapped = keys(3);
        swapped.swap(0, 1);
        for other in
            [new("m", keys(3), 2), new("n", keys(3), 3), new("n", keys(2), 2), new("n", swapped, 2)]
        {
            assert_ne!(root, other);
        }
    }
}
