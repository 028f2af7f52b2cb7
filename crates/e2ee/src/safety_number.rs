//! Safety numbers: what two people compare to know that nobody stands between them.
//!
//! Whoever intercepted the link and answered it in another's stead has a group of his own with each
//! of the two, with other keys: the numbers differ. The construction is that of Signal's numeric
//! fingerprints (iterated SHA-512, thirty digits a side), over the keys of the leaves and the
//! group's id.

use core::fmt;

use sha2::{Digest, Sha512};

/// Makes each try at a look-alike key 5,200 hashes more expensive, about 12 bits (as Signal's).
const ITERATIONS: usize = 5_200;
/// Digits of one side: 10^30 is just below 2^100.
const SIDE_DIGITS: usize = 30;

const DOMAIN: &[u8] = b"xchat/1 safety number\0";

/// Sixty digits for the eye and the ear, 32 bytes for a QR code. The same on both sides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SafetyNumber {
    digits: [u8; 2 * SIDE_DIGITS],
    fingerprint: [u8; 32],
}

impl SafetyNumber {
    /// From the group's id and the signature keys of its two leaves, in any order.
    pub(crate) fn of_pair(group_id: &[u8], keys: [&[u8]; 2]) -> Self {
        let mut sides = keys.map(|key| side(group_id, key));
        sides.sort_unstable();
        let mut digits = [0u8; 2 * SIDE_DIGITS];
        for (side, out) in sides.iter().zip(digits.chunks_exact_mut(SIDE_DIGITS)) {
            for (chunk, out) in side.chunks_exact(5).zip(out.chunks_exact_mut(5)) {
                let number = chunk.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
                write_digits(number % 100_000, out);
            }
        }
        let hash = Sha512::new().chain_update(DOMAIN).chain_update(sides.concat()).finalize();
        let mut fingerprint = [0u8; 32];
        fingerprint.copy_from_slice(&hash[..32]);
        Self { digits, fingerprint }
    }

    /// The sixty digits, without spaces.
    pub fn digits(&self) -> String {
        self.digits.iter().copied().map(char::from).collect()
    }

    /// For a QR code: compared by machine, so in full.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

impl fmt::Display for SafetyNumber {
    /// Twelve groups of five digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, group) in self.digits.chunks_exact(5).enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            for digit in group {
                write!(f, "{}", char::from(*digit))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SafetyNumber")
    }
}

fn side(group_id: &[u8], key: &[u8]) -> [u8; 64] {
    let id_len = (group_id.len() as u64).to_be_bytes();
    let mut hash = Sha512::new()
        .chain_update(DOMAIN)
        .chain_update(id_len)
        .chain_update(group_id)
        .chain_update(key)
        .finalize();
    for _ in 1..ITERATIONS {
        hash = Sha512::new().chain_update(hash).chain_update(key).finalize();
    }
    hash.into()
}

fn write_digits(mut number: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_the_same_and_others_see_another() {
        let number = SafetyNumber::of_pair(b"group", [&[1; 32], &[2; 32]]);
        assert_eq!(number, SafetyNumber::of_pair(b"group", [&[2; 32], &[1; 32]]));
        for other in [
            SafetyNumber::of_pair(b"group", [&[1; 32], &[3; 32]]),
            SafetyNumber::of_pair(b"grouq", [&[1; 32], &[2; 32]]),
            SafetyNumber::of_pair(b"group", [&[1; 32], &[1; 32]]),
        ] {
            assert_ne!(number.digits(), other.digits());
            assert_ne!(number.fingerprint(), other.fingerprint());
        }
    }

    #[test]
    fn it_reads_as_twelve_groups_of_five() {
        let number = SafetyNumber::of_pair(b"group", [&[1; 32], &[2; 32]]);
        let text = number.to_string();
        assert_eq!(text.split(' ').map(str::len).collect::<Vec<_>>(), [5; 12]);
        assert_eq!(text.replace(' ', ""), number.digits());
        assert!(number.digits().bytes().all(|byte| byte.is_ascii_digit()));
    }

    /// The construction is part of the protocol: two versions must not show two numbers. Computed
    /// by hashlib from the text of spec/04.
    #[test]
    fn the_construction_does_not_change() {
        let number = SafetyNumber::of_pair(&[9; 16], [&[1; 32], &[2; 32]]);
        assert_eq!(
            number.to_string(),
            "50527 99074 34675 17277 60328 56308 35172 16928 12978 19660 35554 64448"
        );
        assert_eq!(
            xchat_base::id::hex(number.fingerprint()),
            "31befcd36be30a671b44e6a0a1466d0320ad36a4f96f98177cafd4d48029bb6a"
        );
    }
}
