//! OpenMLS's cryptography: RustCrypto for all that is a function, and ours for what draws.

use ed25519_dalek::SigningKey;
use hpke_rs::{Hpke, Mode};
use hpke_rs_crypto::types::{AeadAlgorithm, KdfAlgorithm, KemAlgorithm};
use hpke_rs_rust_crypto::HpkeRustCrypto;
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeAeadType, HpkeCiphertext,
    HpkeConfig, HpkeKdfType, HpkeKemType, HpkeKeyPair, KemOutput, SignatureScheme,
};
use tls_codec::SecretVLBytes;
use x_wing::EncapsulationKey;
use x_wing::kem::Encapsulate;
use zeroize::{Zeroize, Zeroizing};

use super::draw::Draw;
use crate::group::SUITE;

/// RustCrypto's own generator is never drawn from (docs/adr/0003-mls-randomness.md).
pub(crate) struct Crypto<'a> {
    rust: &'a RustCrypto,
    draw: Draw,
}

impl<'a> Crypto<'a> {
    pub(crate) fn new(rust: &'a RustCrypto, draw: Draw) -> Self {
        Self { rust, draw }
    }

    pub(crate) fn draw(&self) -> &Draw {
        &self.draw
    }
}

impl OpenMlsCrypto for Crypto<'_> {
    /// One suite: a key package, Welcome or group of any other is refused.
    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        if ciphersuite == SUITE { Ok(()) } else { Err(CryptoError::UnsupportedCiphersuite) }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        vec![SUITE]
    }

    fn signature_key_gen(&self, alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        if alg != SignatureScheme::ED25519 {
            return Err(CryptoError::UnsupportedSignatureScheme);
        }
        let mut seed: [u8; 32] =
            self.draw.random_array().map_err(|_| CryptoError::InsufficientRandomness)?;
        let key = SigningKey::from_bytes(&seed);
        seed.zeroize();
        Ok((key.as_bytes().to_vec(), key.verifying_key().as_bytes().to_vec()))
    }

    /// `SealBase` (RFC 9180, section 6.1) for X-Wing: `Encap` with our randomness, the rest is
    /// hpke-rs.
    fn hpke_seal(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        aad: &[u8],
        ptxt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        let HpkeConfig(
            HpkeKemType::XWingKemDraft6,
            HpkeKdfType::HkdfSha256,
            HpkeAeadType::AesGcm128,
        ) = config
        else {
            return Err(CryptoError::UnsupportedCiphersuite);
        };
        let key = EncapsulationKey::try_from(pk_r).map_err(|_| CryptoError::InvalidLength)?;
        let mut stream = self
            .draw
            .for_encapsulation([pk_r, info, aad, ptxt])
            .map_err(|_| CryptoError::InsufficientRandomness)?;
        let (kem_output, shared_secret) = key.encapsulate_with_rng(&mut stream);
        let shared_secret = Zeroizing::new(shared_secret.to_vec());
        let hpke = Hpke::<HpkeRustCrypto>::new(
            Mode::Base,
            KemAlgorithm::XWingDraft06,
            KdfAlgorithm::HkdfSha256,
            AeadAlgorithm::Aes128Gcm,
        );
        let ciphertext = hpke
            .key_schedule(&shared_secret, info, &[], &[])
            .and_then(|mut context| context.seal(aad, ptxt))
            .map_err(|_| CryptoError::HpkeEncryptionError)?;
        Ok(HpkeCiphertext { kem_output: kem_output.to_vec().into(), ciphertext: ciphertext.into() })
    }

    /// External commits and external senders, which we have none of.
    fn hpke_setup_sender_and_export(
        &self,
        _config: HpkeConfig,
        _pk_r: &[u8],
        _info: &[u8],
        _exporter_context: &[u8],
        _exporter_length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        Err(CryptoError::SenderSetupError)
    }

    // The rest are functions of their arguments.

    fn hkdf_extract(
        &self,
        hash_type: HashType,
        salt: &[u8],
        ikm: &[u8],
    ) -> Result<SecretVLBytes, CryptoError> {
        self.rust.hkdf_extract(hash_type, salt, ikm)
    }

    fn hmac(
        &self,
        hash_type: HashType,
        key: &[u8],
        message: &[u8],
    ) -> Result<SecretVLBytes, CryptoError> {
        self.rust.hmac(hash_type, key, message)
    }

    fn hkdf_expand(
        &self,
        hash_type: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        self.rust.hkdf_expand(hash_type, prk, info, okm_len)
    }

    fn hash(&self, hash_type: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.rust.hash(hash_type, data)
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.rust.aead_encrypt(alg, key, data, nonce, aad)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.rust.aead_decrypt(alg, key, ct_tag, nonce, aad)
    }

    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        pk: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.rust.verify_signature(alg, data, pk, signature)
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.rust.sign(alg, data, key)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        sk_r: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.rust.hpke_open(config, input, sk_r, info, aad)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        sk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        self.rust.hpke_setup_receiver_and_export(
            config,
            enc,
            sk_r,
            info,
            exporter_context,
            exporter_length,
        )
    }

    fn derive_hpke_keypair(
        &self,
        config: HpkeConfig,
        ikm: &[u8],
    ) -> Result<HpkeKeyPair, CryptoError> {
        self.rust.derive_hpke_keypair(config, ikm)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn what_we_seal_the_library_opens_and_the_other_way_round() {
        let rust = RustCrypto::default();
        let ours = Crypto::new(&rust, Draw::seeded(&mut ChaCha20Rng::seed_from_u64(3)));
        let config = || SUITE.hpke_config();
        let pair = rust.derive_hpke_keypair(config(), &[7; 32]).expect("derives");
        let sealed =
            ours.hpke_seal(config(), &pair.public, b"info", b"aad", b"text").expect("seals");
        let opened = rust.hpke_open(config(), &sealed, &pair.private, b"info", b"aad");
        assert_eq!(opened.expect("opens"), b"text");
        let sealed =
            rust.hpke_seal(config(), &pair.public, b"info", b"aad", b"text").expect("seals");
        let opened = ours.hpke_open(config(), &sealed, &pair.private, b"info", b"aad");
        assert_eq!(opened.expect("opens"), b"text");
        let other = ours.hpke_open(config(), &sealed, &pair.private, b"info", b"other");
        assert!(other.is_err());
        assert!(ours.hpke_seal(config(), &pair.public[1..], b"", b"", b"").is_err());
    }

    #[test]
    fn without_randomness_nothing_is_sealed() {
        let rust = RustCrypto::default();
        let pair = rust.derive_hpke_keypair(SUITE.hpke_config(), &[7; 32]).expect("derives");
        let ours = Crypto::new(&rust, Draw::none());
        let sealed = ours.hpke_seal(SUITE.hpke_config(), &pair.public, b"", b"", b"text");
        assert!(sealed.is_err());
        assert!(ours.signature_key_gen(SignatureScheme::ED25519).is_err());
    }
}
