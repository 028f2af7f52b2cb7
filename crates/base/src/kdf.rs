//! Key derivation: HKDF-SHA256 (RFC 5869) with one labelled form for the whole project.

use hkdf::Hkdf;
use sha2::Sha256;

use crate::secret::Secret;

/// `HKDF(salt = none, ikm, info = "xchat/1 " ‖ label ‖ 0x00 ‖ context)`, 32 bytes.
///
/// The zero byte ends the label, so no two (label, context) pairs give one info string.
pub fn derive(ikm: &[u8], label: &str, context: &[u8]) -> Secret<32> {
    let mut info = Vec::with_capacity(8 + label.len() + 1 + context.len());
    info.extend_from_slice(b"xchat/1 ");
    info.extend_from_slice(label.as_bytes());
    info.push(0);
    info.extend_from_slice(context);
    let mut out = [0u8; 32];
    Hkdf::<Sha256>::new(None, ikm)
        .expand(&info, &mut out)
        .expect("32 bytes are less than 255 hash lengths, HKDF's only limit");
    let secret = Secret::new(out);
    zeroize::Zeroize::zeroize(&mut out);
    secret
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_contexts_separate() {
        let a = derive(b"ikm", "lane", b"1");
        assert_ne!(a, derive(b"ikm", "lane", b"2"));
        assert_ne!(a, derive(b"ikm", "lane1", b""));
        assert_eq!(a, derive(b"ikm", "lane", b"1"));
    }
}
