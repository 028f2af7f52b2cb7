//! What a conversation wants from its group, as a boundary: the rule of epochs (spec 4.7–4.9) says
//! nothing about MLS, so the models in `proofs/` drive it over a group that they can copy and compare.

use xchat_base::{Rng, Secret};
use xchat_e2ee::{CommitError, Group, GroupError, MessageError, PendingMember};

/// A member's view of the group of a conversation. [`Group`] is the one that ships; its methods of the
/// same names say what each does.
pub trait EpochGroup: Sized {
    /// See [`Group::load`].
    ///
    /// # Errors
    /// As there.
    fn load(state: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, GroupError>;
    /// See [`PendingMember::generate`]: the stored private side, and the key package.
    ///
    /// # Errors
    /// As there.
    fn pending(rng: &mut Rng) -> Result<(Vec<u8>, Vec<u8>), GroupError>;
    /// See [`Group::create`].
    ///
    /// # Errors
    /// As there.
    fn create(rng: &mut Rng, peer_key_package: &[u8]) -> Result<(Self, Vec<u8>), GroupError>;
    /// See [`Group::join`]; `pending` as [`Self::pending`] gave it.
    ///
    /// # Errors
    /// As there.
    fn join(pending: &[u8], welcome: &[u8]) -> Result<Self, GroupError>;
    /// See [`Group::take_all`].
    fn take_all(&mut self) -> Vec<(Vec<u8>, Vec<u8>)>;
    /// See [`Group::take_changes`].
    fn take_changes(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)>;
    /// See [`Group::epoch`].
    fn epoch(&self) -> u64;
    /// See [`Group::own_leaf`].
    fn own_leaf(&self) -> u32;
    /// See [`Group::members`].
    fn members(&self) -> Vec<u32>;
    /// See [`Group::export`].
    fn export(&self, label: &str, context: &[u8]) -> Secret<32>;
    /// See [`Group::encrypt`].
    ///
    /// # Errors
    /// As there.
    fn encrypt(&mut self, rng: &mut Rng, plaintext: &[u8]) -> Result<Vec<u8>, GroupError>;
    /// See [`Group::decrypt`].
    ///
    /// # Errors
    /// As there.
    fn decrypt(&mut self, message: &[u8]) -> Result<(u32, Vec<u8>), MessageError>;
    /// See [`Group::begin_update`].
    ///
    /// # Errors
    /// As there.
    fn begin_update(&mut self, rng: &mut Rng) -> Result<Vec<u8>, GroupError>;
    /// See [`Group::check_commit`].
    ///
    /// # Errors
    /// As there.
    fn check_commit(&mut self, commit: &[u8]) -> Result<(), CommitError>;
    /// See [`Group::apply_commit`].
    ///
    /// # Errors
    /// As there.
    fn apply_commit(&mut self, commit: &[u8]) -> Result<(), CommitError>;
    /// See [`Group::merge_pending`].
    ///
    /// # Errors
    /// As there.
    fn merge_pending(&mut self) -> Result<(), CommitError>;
    /// See [`Group::clear_pending`].
    fn clear_pending(&mut self);
}

impl EpochGroup for Group {
    fn load(state: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, GroupError> {
        Self::load(state)
    }
    fn pending(rng: &mut Rng) -> Result<(Vec<u8>, Vec<u8>), GroupError> {
        let (member, key_package) = PendingMember::generate(rng)?;
        Ok((member.to_stored().to_vec(), key_package))
    }
    fn create(rng: &mut Rng, peer_key_package: &[u8]) -> Result<(Self, Vec<u8>), GroupError> {
        Self::create(rng, peer_key_package)
    }
    fn join(pending: &[u8], welcome: &[u8]) -> Result<Self, GroupError> {
        Self::join(PendingMember::from_stored(pending)?, welcome)
    }
    fn take_all(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.take_all()
    }
    fn take_changes(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.take_changes()
    }
    fn epoch(&self) -> u64 {
        self.epoch()
    }
    fn own_leaf(&self) -> u32 {
        self.own_leaf()
    }
    fn members(&self) -> Vec<u32> {
        self.members()
    }
    fn export(&self, label: &str, context: &[u8]) -> Secret<32> {
        self.export(label, context)
    }
    fn encrypt(&mut self, rng: &mut Rng, plaintext: &[u8]) -> Result<Vec<u8>, GroupError> {
        self.encrypt(rng, plaintext)
    }
    fn decrypt(&mut self, message: &[u8]) -> Result<(u32, Vec<u8>), MessageError> {
        self.decrypt(message)
    }
    fn begin_update(&mut self, rng: &mut Rng) -> Result<Vec<u8>, GroupError> {
        self.begin_update(rng)
    }
    fn check_commit(&mut self, commit: &[u8]) -> Result<(), CommitError> {
        self.check_commit(commit)
    }
    fn apply_commit(&mut self, commit: &[u8]) -> Result<(), CommitError> {
        self.apply_commit(commit)
    }
    fn merge_pending(&mut self) -> Result<(), CommitError> {
        self.merge_pending()
    }
    fn clear_pending(&mut self) {
        self.clear_pending();
    }
}
