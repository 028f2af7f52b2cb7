//! The one suite, and the settings that follow from how boxes carry messages.

use openmls::prelude::{
    Capabilities, Ciphersuite, CredentialType, Lifetime, MlsGroupJoinConfig,
    PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProtocolVersion, SenderRatchetConfiguration,
};

/// 0x004F of draft-ietf-mls-pq-ciphersuites: ML-KEM-768 with X25519 (X-Wing), AES-128-GCM, SHA-256
/// and Ed25519. One suite per version of the protocol: nothing to negotiate, nothing to tell
/// people apart by.
pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519;

/// How far behind its sender's newest message one may arrive. A reader has at most a few boxes of a
/// lane under way at once, and this many keys of one sender in memory.
pub(crate) const OUT_OF_ORDER_TOLERANCE: u32 = 64;

/// How many messages of one sender may be missing before the next: each costs two hashes.
pub(crate) const MAX_FORWARD_DISTANCE: u32 = 1_000;

/// MLS's lifetimes are checked against the clock of the machine, which a core has not; they would
/// tell when an invitation was made, too. So all say the same, and what ends an invitation is the
/// lifetime of its boxes (docs/adr/0003-mls-randomness.md).
pub(crate) fn lifetime() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}

/// The same for everybody.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&[]),
        Some(&[]),
        Some(&[CredentialType::Basic]),
    )
}

/// Commits are PublicMessages: the boxes that carry them are sealed, and processing one leaves no
/// trace, so that it can be checked before the epoch is drained and applied after. No padding:
/// boxes pad. No past epochs: lanes are drained before an epoch ends.
pub(crate) fn config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .padding_size(0)
        .max_past_epochs(0)
        .number_of_resumption_psks(0)
        .use_ratchet_tree_extension(true)
        .sender_ratchet_configuration(ratchet())
        .build()
}

pub(crate) fn ratchet() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(OUT_OF_ORDER_TOLERANCE, MAX_FORWARD_DISTANCE)
}
