//! A conversation's MLS group (RFC 9420), as one of its members has it.
//!
//! **How to use it**: call a method, then [`Group::take_changes`], and store the changes in one
//! transaction with whatever follows from the call, before any of it is sent. A group loaded from
//! what was stored goes on exactly where it was. A call that fails has changed nothing.

mod commit;
mod error;
mod member;
mod suite;
#[cfg(test)]
mod tests;

use std::fmt;

use openmls::prelude::tls_codec::DeserializeBytes;
use openmls::prelude::{
    Credential, CredentialType, GroupContext, GroupId, KeyPackage, KeyPackageIn, LeafNodeIndex,
    Member, MlsGroup, MlsMessageBodyIn, MlsMessageIn, ProcessMessageError, ProcessedMessageContent,
    ProtocolMessage, ProtocolVersion, Sender, StagedWelcome, WelcomeError,
};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;
use xchat_base::{Rng, Secret};
use zeroize::Zeroize;

pub use error::{CommitError, GroupError, MessageError};
pub use member::PendingMember;
pub(crate) use suite::SUITE;

use crate::SafetyNumber;
use crate::provider::Provider;
use crate::signer::LeafSigner;
use crate::storage::Storage;
use member::Identity;

/// A message is at most this much longer than its plaintext, if that is shorter than 16 KiB: a
/// signature, a tag, and where the message belongs. Measured in a test.
pub const MESSAGE_OVERHEAD: usize = 146;

/// Members of the group of a pair.
const PAIR: usize = 2;

/// A conversation's MLS group, as one member has it.
pub struct Group {
    mls: MlsGroup,
    signer: LeafSigner,
    storage: Storage,
    rust: RustCrypto,
}

impl Group {
    /// Makes the group of a pair with the owner of a key package. It is in epoch 1 at once; the
    /// other joins it by the Welcome, which is returned.
    ///
    /// # Errors
    /// [`GroupError::PeerMalformed`] if the key package is not one of [`PendingMember::generate`].
    pub fn create(rng: &mut Rng, peer_key_package: &[u8]) -> Result<(Self, Vec<u8>), GroupError> {
        let storage = Storage::default();
        let rust = RustCrypto::default();
        let peer = read_key_package(&Provider::fixed(&storage, &rust), peer_key_package)?;
        let group_id = GroupId::from_slice(&xchat_base::random::bytes::<16>(rng));
        let identity = Identity::new(Secret::random(rng));
        let signer = identity.signer();
        let provider = Provider::drawing(&storage, &rust, rng);
        let mut mls = MlsGroup::builder()
            .with_group_id(group_id.clone())
            .ciphersuite(SUITE)
            .with_wire_format_policy(suite::config().wire_format_policy())
            .padding_size(0)
            .max_past_epochs(0)
            .number_of_resumption_psks(0)
            .use_ratchet_tree_extension(true)
            .sender_ratchet_configuration(suite::ratchet())
            .lifetime(suite::lifetime())
            .with_capabilities(suite::capabilities())
            .build(&provider, &signer, signer.credential())
            .map_err(|_| GroupError::Internal)?;
        let (_, welcome, _) =
            mls.add_members(&provider, &signer, &[peer]).map_err(|_| GroupError::PeerMalformed)?;
        mls.merge_pending_commit(&provider).map_err(|_| GroupError::Internal)?;
        let welcome = welcome.to_bytes().map_err(|_| GroupError::Internal)?;
        identity.store(&storage, Some(&group_id)).map_err(|_| GroupError::Internal)?;
        let group = Self { mls, signer, storage, rust };
        if group.is_pair() { Ok((group, welcome)) } else { Err(GroupError::PeerMalformed) }
    }

    /// Joins the group that another made from our key package. The private keys of the key package
    /// are no part of the group's state any more: the stored form of `pending` is to be deleted
    /// together with storing the group, and not before.
    ///
    /// # Errors
    /// [`GroupError::ForeignWelcome`] if it answers another key package,
    /// [`GroupError::PeerMalformed`] if it is not what [`Group::create`] makes.
    pub fn join(pending: PendingMember, welcome: &[u8]) -> Result<Self, GroupError> {
        let PendingMember { storage, identity } = pending;
        let rust = RustCrypto::default();
        let signer = identity.signer();
        let provider = Provider::fixed(&storage, &rust);
        let MlsMessageBodyIn::Welcome(welcome) = read(welcome).ok_or(GroupError::PeerMalformed)?
        else {
            return Err(GroupError::PeerMalformed);
        };
        let staged = StagedWelcome::build_from_welcome(&provider, &suite::config(), welcome)
            .and_then(|builder| builder.skip_lifetime_validation().build())
            .map_err(|e| match e {
                WelcomeError::NoMatchingKeyPackage => GroupError::ForeignWelcome,
                _ => GroupError::PeerMalformed,
            })?;
        let plain = |context: &GroupContext| context.extensions().iter().next().is_none();
        if !plain(staged.group_context()) || staged.group_context().epoch().as_u64() != 1 {
            return Err(GroupError::PeerMalformed);
        }
        let mls = staged.into_group(&provider).map_err(|_| GroupError::Internal)?;
        identity.store(&storage, Some(mls.group_id())).map_err(|_| GroupError::Internal)?;
        let group = Self { mls, signer, storage, rust };
        if group.is_pair() { Ok(group) } else { Err(GroupError::PeerMalformed) }
    }

    /// The group as it was stored: all pairs of [`Self::take_changes`], the newest value of each.
    ///
    /// # Errors
    /// [`GroupError::Stored`] if something is missing or cannot be read.
    pub fn load(state: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, GroupError> {
        let storage = Storage::from_pairs(state);
        let (identity, group_id) = Identity::load(&storage).map_err(|_| GroupError::Stored)?;
        let group_id = group_id.ok_or(GroupError::Stored)?;
        let mls = load_mls(&storage, &group_id).ok_or(GroupError::Stored)?;
        let signer = identity.signer();
        let group = Self { mls, signer, storage, rust: RustCrypto::default() };
        if group.is_pair() { Ok(group) } else { Err(GroupError::Stored) }
    }

    /// What has changed since the last call: keys with their new values, or `None` where a key is
    /// gone. Values hold secrets; the caller's copies are the caller's to wipe.
    pub fn take_changes(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.storage.take_changes()
    }

    /// Everything that is stored of the group, whether it has changed or not, and as
    /// [`Self::take_changes`] nothing of it is a change any more.
    pub fn take_all(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.storage.take_changes();
        self.storage.pairs().into_iter().map(|(key, value)| (key, value.to_vec())).collect()
    }

    /// The group's epoch (RFC 9420's, a `GroupEpoch`). A conversation begins in epoch 1.
    pub fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    /// This member's leaf index. It stays the same for as long as the member is in the group.
    pub fn own_leaf(&self) -> u32 {
        self.mls.own_leaf_index().u32()
    }

    /// All members' leaf indices, ascending, this one's included.
    pub fn members(&self) -> Vec<u32> {
        self.mls.members().map(|member| member.index.u32()).collect()
    }

    /// A secret that the members share and nobody else knows, of the present epoch:
    /// `MLS-Exporter("xchat/1 " ‖ label, context, 32)` (RFC 9420, section 8.5).
    pub fn export(&self, label: &str, context: &[u8]) -> Secret<32> {
        let provider = Provider::fixed(&self.storage, &self.rust);
        let mut bytes = self
            .mls
            .export_secret(provider.crypto(), &format!("xchat/1 {label}"), context, 32)
            .expect(
                "32 bytes are a permitted length, and commits that remove a member are refused",
            );
        let secret = Secret::from_slice(&bytes).expect("as many bytes as were asked for");
        bytes.zeroize();
        secret
    }

    /// Encrypts for the present epoch, as a PrivateMessage: [`MESSAGE_OVERHEAD`] bytes more at most.
    ///
    /// # Errors
    /// [`GroupError::Internal`] only.
    pub fn encrypt(&mut self, rng: &mut Rng, plaintext: &[u8]) -> Result<Vec<u8>, GroupError> {
        let provider = Provider::drawing(&self.storage, &self.rust, rng);
        let (mls, signer) = (&mut self.mls, &self.signer);
        let result = self.storage.attempt(|| {
            let message = mls.create_message(&provider, signer, plaintext);
            message.ok().and_then(|message| message.to_bytes().ok()).ok_or(GroupError::Internal)
        });
        result.inspect_err(|_| self.reload())
    }

    /// Decrypts another member's message of the present epoch, and forgets its key: the sender's
    /// leaf, and the plaintext.
    ///
    /// # Errors
    /// [`MessageError`]; nothing has changed then.
    pub fn decrypt(&mut self, message: &[u8]) -> Result<(u32, Vec<u8>), MessageError> {
        let Some(MlsMessageBodyIn::PrivateMessage(message)) = read(message) else {
            return Err(MessageError::Undecryptable);
        };
        let message = ProtocolMessage::from(message);
        if message.group_id() != self.mls.group_id() {
            return Err(MessageError::Undecryptable);
        }
        let (got, current) = (message.epoch().as_u64(), self.epoch());
        if got != current {
            return Err(MessageError::WrongEpoch { got, current });
        }
        let provider = Provider::fixed(&self.storage, &self.rust);
        let mls = &mut self.mls;
        let result = self.storage.attempt(|| {
            let processed = mls.process_message(&provider, message).map_err(message_error)?;
            let Sender::Member(leaf) = *processed.sender() else {
                return Err(MessageError::Undecryptable);
            };
            match processed.into_content() {
                ProcessedMessageContent::ApplicationMessage(text) => {
                    Ok((leaf.u32(), text.into_bytes()))
                }
                ProcessedMessageContent::OwnPrivateMessage => Err(MessageError::Own),
                _ => Err(MessageError::Undecryptable),
            }
        });
        result.inspect_err(|_| self.reload())
    }

    /// The number that the two compare. It stays the same for as long as the conversation lasts.
    pub fn safety_number(&self) -> SafetyNumber {
        let group_id = self.mls.group_id().as_slice();
        let mut keys = self.mls.members().map(|member| member.signature_key);
        let pair = [keys.next().unwrap_or_default(), keys.next().unwrap_or_default()];
        SafetyNumber::of_pair(group_id, [&pair[0], &pair[1]])
    }

    /// Puts the group in memory back to what is stored, after an operation that was undone.
    fn reload(&mut self) {
        if let Some(mls) = load_mls(&self.storage, &self.mls.group_id().clone()) {
            self.mls = mls;
        }
    }

    fn member(&self, leaf: LeafNodeIndex) -> Option<Member> {
        self.mls.member_at(leaf)
    }

    /// What create, join and load all promise: two nameless members, and this one is who it should
    /// be.
    fn is_pair(&self) -> bool {
        let own = self.signer.credential();
        self.mls.is_active()
            && self.mls.ciphersuite() == SUITE
            && self.mls.members().count() == PAIR
            && self.mls.members().all(|member| is_nameless(&member.credential))
            && self
                .member(self.mls.own_leaf_index())
                .is_some_and(|member| member.signature_key == own.signature_key.as_slice())
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Group")
    }
}

fn load_mls(storage: &Storage, group_id: &GroupId) -> Option<MlsGroup> {
    MlsGroup::load(storage, group_id).ok().flatten().filter(|mls| mls.group_id() == group_id)
}

/// A leaf says a key and no name: names are told inside the conversation.
fn is_nameless(credential: &Credential) -> bool {
    credential.credential_type() == CredentialType::Basic
        && credential.serialized_content().is_empty()
}

/// Exactly one MLSMessage.
fn read(bytes: &[u8]) -> Option<MlsMessageBodyIn> {
    MlsMessageIn::tls_deserialize_exact_bytes(bytes).ok().map(MlsMessageIn::extract)
}

/// A key package that says what all of ours say, and nothing else.
fn read_key_package(provider: &Provider<'_>, bytes: &[u8]) -> Result<KeyPackage, GroupError> {
    let Some(MlsMessageBodyIn::KeyPackage(key_package)) = read(bytes) else {
        return Err(GroupError::PeerMalformed);
    };
    let key_package =
        KeyPackageIn::validate(key_package, provider.crypto(), ProtocolVersion::Mls10)
            .map_err(|_| GroupError::PeerMalformed)?;
    let leaf = key_package.leaf_node();
    let ours = key_package.ciphersuite() == SUITE
        && *key_package.life_time() == suite::lifetime()
        && *leaf.capabilities() == suite::capabilities()
        && is_nameless(leaf.credential())
        && leaf.extensions().iter().next().is_none()
        && key_package.extensions().iter().next().is_none();
    if ours { Ok(key_package) } else { Err(GroupError::PeerMalformed) }
}

fn message_error<E>(error: ProcessMessageError<E>) -> MessageError {
    match error {
        ProcessMessageError::StorageError(_) | ProcessMessageError::GroupStateError(_) => {
            MessageError::Internal
        }
        // OpenMLS reports some malformed ciphertexts as bugs of its own; to a caller all of these
        // are a message that does not open.
        _ => MessageError::Undecryptable,
    }
}
