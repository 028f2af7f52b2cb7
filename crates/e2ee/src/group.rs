//! A conversation's MLS group.

mod error;
mod member;

pub use error::{CommitError, GroupError, MessageError};
pub use member::PendingMember;
use xchat_base::{Rng, Secret};

use crate::SafetyNumber;

/// A conversation's MLS group, as one member has it.
pub struct Group {}

#[allow(unused_variables, clippy::unimplemented, missing_docs, clippy::missing_errors_doc)]
impl Group {
    pub fn create(rng: &mut Rng, peer_key_package: &[u8]) -> Result<(Self, Vec<u8>), GroupError> {
        unimplemented!()
    }
    pub fn join(pending: PendingMember, welcome: &[u8]) -> Result<Self, GroupError> {
        unimplemented!()
    }
    pub fn load(state: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, GroupError> {
        unimplemented!()
    }
    pub fn take_changes(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        unimplemented!()
    }
    pub fn epoch(&self) -> u64 {
        unimplemented!()
    }
    pub fn own_leaf(&self) -> u32 {
        unimplemented!()
    }
    pub fn members(&self) -> Vec<u32> {
        unimplemented!()
    }
    pub fn export(&self, label: &str, context: &[u8]) -> Secret<32> {
        unimplemented!()
    }
    pub fn encrypt(&mut self, rng: &mut Rng, plaintext: &[u8]) -> Result<Vec<u8>, GroupError> {
        unimplemented!()
    }
    pub fn decrypt(&mut self, message: &[u8]) -> Result<(u32, Vec<u8>), MessageError> {
        unimplemented!()
    }
    pub fn begin_update(&mut self, rng: &mut Rng) -> Result<Vec<u8>, GroupError> {
        unimplemented!()
    }
    pub fn check_commit(&mut self, commit: &[u8]) -> Result<(), CommitError> {
        unimplemented!()
    }
    pub fn apply_commit(&mut self, commit: &[u8]) -> Result<(), CommitError> {
        unimplemented!()
    }
    pub fn merge_pending(&mut self) -> Result<(), CommitError> {
        unimplemented!()
    }
    pub fn clear_pending(&mut self) {
        unimplemented!()
    }
    pub fn has_pending(&self) -> bool {
        unimplemented!()
    }
    pub fn safety_number(&self) -> SafetyNumber {
        unimplemented!()
    }
}
