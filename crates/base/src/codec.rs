//! The wire codec: one version byte, then postcard (its wire format is specified and stable since
//! 1.0). Fixed-layout formats (boxes, packets, links of invitation) have their own codecs beside
//! their types; everything else goes through [`Wire`].

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Why bytes from outside were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The peer speaks another version of this format.
    #[error("{format}: version {got} is not supported, this program speaks version {want}")]
    Version {
        /// The format's name.
        format: &'static str,
        /// What the bytes say.
        got: u8,
        /// What this program speaks.
        want: u8,
    },
    /// Not a valid encoding, cut short, or with bytes left over.
    #[error("{format}: malformed")]
    Malformed {
        /// The format's name.
        format: &'static str,
    },
    /// Longer than this format ever is.
    #[error("{format}: {len} bytes exceed the maximum of {max}")]
    TooLong {
        /// The format's name.
        format: &'static str,
        /// What came.
        len: usize,
        /// The bound.
        max: usize,
    },
}

/// A versioned format on a wire or in a stored record.
pub trait Wire: Serialize + DeserializeOwned {
    /// The format's name in errors.
    const FORMAT: &'static str;
    /// Its version: the first byte.
    const VERSION: u8;
    /// No valid encoding is longer.
    const MAX_LEN: usize;

    /// Version byte and body.
    fn to_wire(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![Self::VERSION])
            .expect("writing to a Vec cannot fail, and no wire type has an unserialisable field")
    }

    /// Reads exactly one value; anything else is an error and nothing is guessed.
    ///
    /// # Errors
    /// [`CodecError`]: another version, too long, malformed, or bytes left over.
    fn from_wire(bytes: &[u8]) -> Result<Self, CodecError> {
        let format = Self::FORMAT;
        if bytes.len() > Self::MAX_LEN {
            return Err(CodecError::TooLong { format, len: bytes.len(), max: Self::MAX_LEN });
        }
        let (&got, body) = bytes.split_first().ok_or(CodecError::Malformed { format })?;
        if got != Self::VERSION {
            return Err(CodecError::Version { format, got, want: Self::VERSION });
        }
        match postcard::take_from_bytes::<Self>(body) {
            Ok((value, [])) => Ok(value),
            _ => Err(CodecError::Malformed { format }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Sample {
        n: u32,
        body: Vec<u8>,
    }

    impl Wire for Sample {
        const FORMAT: &'static str = "sample";
        const VERSION: u8 = 3;
        const MAX_LEN: usize = 64;
    }

    #[test]
    fn another_version_is_named_in_the_error() {
        let mut bytes = Sample { n: 1, body: vec![] }.to_wire();
        bytes[0] = 4;
        let err = Sample::from_wire(&bytes).expect_err("version 4 is not ours");
        assert_eq!(err, CodecError::Version { format: "sample", got: 4, want: 3 });
    }

    #[test]
    fn left_over_bytes_and_oversize_are_refused() {
        let mut bytes = Sample { n: 1, body: vec![] }.to_wire();
        bytes.push(0);
        assert_eq!(Sample::from_wire(&bytes), Err(CodecError::Malformed { format: "sample" }));
        assert!(matches!(Sample::from_wire(&[3; 65]), Err(CodecError::TooLong { .. })));
        assert_eq!(Sample::from_wire(&[]), Err(CodecError::Malformed { format: "sample" }));
    }

    proptest! {
        #[test]
        fn round_trips(n: u32, body in prop::collection::vec(any::<u8>(), 0..50)) {
            let value = Sample { n, body };
            prop_assert_eq!(Sample::from_wire(&value.to_wire()).expect("own encoding"), value);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Sample::from_wire(&bytes);
        }
    }
}
