//! Secrets: wiped on drop, compared in constant time, never printed.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::random::Rng;

/// `N` secret bytes, boxed so that a move leaves no copy behind.
///
/// It has no `Debug` contents, no `Serialize` and no `PartialEq` that leaks time. Storing a secret
/// is an explicit [`Secret::expose`] at the place that writes the stored form.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Takes over the bytes; the caller's copy is the caller's to wipe.
    pub fn new(bytes: [u8; N]) -> Self {
        Self(Box::new(bytes))
    }

    /// A fresh secret.
    pub fn random(rng: &mut Rng) -> Self {
        let mut secret = Self(Box::new([0u8; N]));
        rng.fill_bytes(secret.0.as_mut_slice());
        secret
    }

    /// The bytes. Every call is a place to review.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Reads a secret of exactly `N` bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self::new(bytes.try_into().ok()?))
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(other.0.as_slice()).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>")
    }
}

/// Wraps a value whose `Debug` must not show it: contacts, addresses, box ids in logs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sensitive<T>(pub T);

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> fmt::Display for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_size_and_nothing_else() {
        assert_eq!(format!("{:?}", Secret::new([7u8; 32])), "Secret<32>");
        assert_eq!(format!("{:?}", Sensitive("alice")), "[redacted]");
    }

    #[test]
    fn equality_compares_the_bytes() {
        assert_eq!(Secret::new([1u8; 4]), Secret::new([1u8; 4]));
        assert_ne!(Secret::new([1u8; 4]), Secret::new([2u8; 4]));
        assert!(Secret::<4>::from_slice(&[0; 5]).is_none());
    }
}
