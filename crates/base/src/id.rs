//! Identifiers: one type per meaning, never a bare array.

/// Declares a fixed-size identifier: `Copy`, ordered, hex in text, raw bytes on the wire.
///
/// `Debug` prints the first four bytes only: enough to tell two apart in a test, too little to be a
/// record of anything in a log.
#[macro_export]
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// From raw bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// From a slice of exactly the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Some(Self(bytes.try_into().ok()?))
            }

            /// A fresh random identifier.
            pub fn random(rng: &mut $crate::Rng) -> Self {
                Self($crate::random::bytes(rng))
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Lower-case hexadecimal.
            pub fn to_hex(&self) -> String {
                $crate::id::hex(&self.0)
            }

            /// Reads what [`Self::to_hex`] wrote.
            pub fn from_hex(text: &str) -> Option<Self> {
                let mut out = [0u8; $len];
                $crate::id::unhex(text, &mut out)?;
                Some(Self(out))
            }
        }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                write!(f, "{}({}…)", stringify!($name), $crate::id::hex(&self.0[..4]))
            }
        }

        impl $crate::id::serde::Serialize for $name {
            fn serialize<S: $crate::id::serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() {
                    s.serialize_str(&self.to_hex())
                } else {
                    $crate::id::bytes_as_tuple(&self.0, s)
                }
            }
        }

        impl<'de> $crate::id::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::id::serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    let text = <String as $crate::id::serde::Deserialize>::deserialize(d)?;
                    Self::from_hex(&text).ok_or_else(|| {
                        $crate::id::serde::de::Error::custom(concat!(
                            stringify!($name),
                            ": wrong length or not hexadecimal"
                        ))
                    })
                } else {
                    $crate::id::tuple_as_bytes(d).map(Self)
                }
            }
        }
    };
}

pub use ::serde;
use ::serde::de::{Error as _, SeqAccess, Visitor};
use ::serde::ser::SerializeTuple;
use ::serde::{Deserializer, Serializer};

/// Lower-case hexadecimal of any bytes.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// Fills `out` from hexadecimal text of exactly twice its length.
pub fn unhex(text: &str, out: &mut [u8]) -> Option<()> {
    if text.len() != out.len() * 2 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(())
}

/// Serialises bytes as a fixed-size tuple: no length prefix on the wire.
pub fn bytes_as_tuple<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
    let mut tuple = s.serialize_tuple(bytes.len())?;
    for byte in bytes {
        tuple.serialize_element(byte)?;
    }
    tuple.end()
}

/// Reads what [`bytes_as_tuple`] wrote.
pub fn tuple_as_bytes<'de, const N: usize, D: Deserializer<'de>>(
    d: D,
) -> Result<[u8; N], D::Error> {
    struct Fixed<const N: usize>;

    impl<'de, const N: usize> Visitor<'de> for Fixed<N> {
        type Value = [u8; N];

        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            write!(f, "{N} bytes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
            let mut out = [0u8; N];
            for (i, byte) in out.iter_mut().enumerate() {
                *byte = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(i, &self))?;
            }
            Ok(out)
        }
    }

    d.deserialize_tuple(N, Fixed::<N>)
}

/// `#[serde(with = "xchat_base::id::array")]` for byte arrays longer than serde's own 32.
pub mod array {
    use super::{Deserializer, Serializer};

    /// See [`super::bytes_as_tuple`].
    pub fn serialize<const N: usize, S: Serializer>(
        bytes: &[u8; N],
        s: S,
    ) -> Result<S::Ok, S::Error> {
        super::bytes_as_tuple(bytes, s)
    }

    /// See [`super::tuple_as_bytes`].
    pub fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        d: D,
    ) -> Result<[u8; N], D::Error> {
        super::tuple_as_bytes(d)
    }
}

#[cfg(test)]
// The macro makes a public type for its users; here nobody else sees it, nor uses all of it.
#[expect(dead_code, unreachable_pub, clippy::wrong_self_convention)]
mod tests {
    crate::identifier!(
        /// For tests.
        TestId,
        5
    );

    #[test]
    fn hex_round_trips_and_rejects_what_is_not_hex() {
        let id = TestId::from_bytes([0, 1, 0xab, 0xff, 9]);
        assert_eq!(id.to_hex(), "0001abff09");
        assert_eq!(TestId::from_hex("0001abff09"), Some(id));
        assert_eq!(TestId::from_hex("0001abff0"), None);
        assert_eq!(TestId::from_hex("0001abff0g"), None);
        assert_eq!(TestId::from_hex("0001abff+9"), None);
    }

    #[test]
    fn the_wire_form_has_no_length_prefix() {
        let id = TestId::from_bytes([1, 2, 3, 4, 5]);
        let bytes = postcard::to_allocvec(&id).expect("encodes");
        assert_eq!(bytes, [1, 2, 3, 4, 5]);
        assert_eq!(postcard::from_bytes::<TestId>(&bytes).expect("decodes"), id);
    }

    #[test]
    fn debug_shows_a_prefix_only() {
        assert_eq!(format!("{:?}", TestId::from_bytes([1; 5])), "TestId(01010101…)");
    }
}
