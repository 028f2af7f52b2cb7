//! A group of two without cryptography: what the rule of epochs takes for granted of MLS. Equal
//! histories have equal secrets, a message opens once and in its epoch only, a commit is in order for
//! everybody in its epoch, and for its maker as long as it is pending.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use xchat_base::{Rng, Secret, Wire, kdf, random};
use xchat_e2ee::{CommitError, GroupError, MessageError};
use xchat_engine::EpochGroup;

/// One member's view of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelGroup {
    own_leaf: u32,
    /// The commits that made each epoch after the first.
    history: Vec<Vec<u8>>,
    /// Messages of ours in this epoch.
    generation: u64,
    /// Messages of the other's in this epoch that were opened: their keys are gone.
    opened: BTreeSet<u64>,
    pending: Option<Vec<u8>>,
    changed: bool,
}

#[derive(Serialize, Deserialize)]
struct Message {
    epoch: u64,
    leaf: u32,
    generation: u64,
    plaintext: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Commit {
    epoch: u64,
    leaf: u32,
    nonce: u64,
}

impl ModelGroup {
    /// The member of this leaf, 0 or 1, in the first epoch.
    pub fn new(own_leaf: u32) -> Self {
        Self {
            own_leaf,
            history: Vec::new(),
            generation: 0,
            opened: BTreeSet::new(),
            pending: None,
            changed: true,
        }
    }

    /// The commits that this member has followed, in order.
    pub fn history(&self) -> &[Vec<u8>] {
        &self.history
    }

    /// A commit for this epoch that is in order for everybody: an insider's.
    pub fn foreign_commit(epoch: u64) -> Vec<u8> {
        Commit { epoch, leaf: u32::MAX, nonce: 0 }.to_wire()
    }

    fn enter(&mut self, commit: Vec<u8>) {
        self.history.push(commit);
        self.generation = 0;
        self.opened.clear();
        self.pending = None;
        self.changed = true;
    }
}

/// A message is no more than MLS' own overhead longer than its plaintext, or a box would not hold it.
impl Wire for Message {
    const FORMAT: &'static str = "model message";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 1 << 14;
}

impl Wire for Commit {
    const FORMAT: &'static str = "model commit";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 64;
}

impl Wire for ModelGroup {
    const FORMAT: &'static str = "model group";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 1 << 20;
}

impl EpochGroup for ModelGroup {
    fn load(state: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, GroupError> {
        let (_, bytes) = state.first().ok_or(GroupError::Stored)?;
        Self::from_wire(bytes).map_err(|_| GroupError::Stored)
    }

    // Nobody rejoins in the models.

    fn pending(_: &mut Rng) -> Result<(Vec<u8>, Vec<u8>), GroupError> {
        Err(GroupError::Internal)
    }

    fn create(_: &mut Rng, _: &[u8]) -> Result<(Self, Vec<u8>), GroupError> {
        Err(GroupError::Internal)
    }

    fn join(_: &[u8], _: &[u8]) -> Result<Self, GroupError> {
        Err(GroupError::Internal)
    }

    fn take_all(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        Vec::new()
    }

    fn take_changes(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        if !std::mem::take(&mut self.changed) {
            return Vec::new();
        }
        vec![(b"group".to_vec(), Some(self.to_wire()))]
    }

    fn epoch(&self) -> u64 {
        1 + self.history.len() as u64
    }

    fn own_leaf(&self) -> u32 {
        self.own_leaf
    }

    fn members(&self) -> Vec<u32> {
        vec![0, 1]
    }

    fn export(&self, label: &str, context: &[u8]) -> Secret<32> {
        kdf::derive(&self.history.concat(), label, context)
    }

    fn encrypt(&mut self, _: &mut Rng, plaintext: &[u8]) -> Result<Vec<u8>, GroupError> {
        self.generation += 1;
        self.changed = true;
        let (epoch, leaf, generation) = (self.epoch(), self.own_leaf, self.generation);
        Ok(Message { epoch, leaf, generation, plaintext: plaintext.to_vec() }.to_wire())
    }

    fn decrypt(&mut self, message: &[u8]) -> Result<(u32, Vec<u8>), MessageError> {
        let message = Message::from_wire(message).map_err(|_| MessageError::Undecryptable)?;
        let (got, current) = (message.epoch, self.epoch());
        if got != current {
            return Err(MessageError::WrongEpoch { got, current });
        }
        if message.leaf == self.own_leaf {
            return Err(MessageError::Own);
        }
        // Leaves are authenticated, and a pair has two.
        if message.leaf > 1 || !self.opened.insert(message.generation) {
            return Err(MessageError::Undecryptable);
        }
        self.changed = true;
        Ok((message.leaf, message.plaintext))
    }

    fn begin_update(&mut self, rng: &mut Rng) -> Result<Vec<u8>, GroupError> {
        if self.pending.is_some() {
            return Err(GroupError::CommitPending);
        }
        let nonce = u64::from_be_bytes(random::bytes(rng));
        let commit = Commit { epoch: self.epoch(), leaf: self.own_leaf, nonce }.to_wire();
        self.pending = Some(commit.clone());
        self.changed = true;
        Ok(commit)
    }

    fn check_commit(&mut self, commit: &[u8]) -> Result<(), CommitError> {
        let parsed = Commit::from_wire(commit).map_err(|_| CommitError::Malformed)?;
        let (got, current) = (parsed.epoch, self.epoch());
        if got != current {
            return Err(CommitError::WrongEpoch { got, current });
        }
        if parsed.leaf == self.own_leaf && self.pending.as_deref() != Some(commit) {
            return Err(CommitError::OwnNotPending);
        }
        Ok(())
    }

    fn apply_commit(&mut self, commit: &[u8]) -> Result<(), CommitError> {
        self.check_commit(commit)?;
        self.enter(commit.to_vec());
        Ok(())
    }

    fn merge_pending(&mut self) -> Result<(), CommitError> {
        let commit = self.pending.take().ok_or(CommitError::NonePending)?;
        self.enter(commit);
        Ok(())
    }

    fn clear_pending(&mut self) {
        self.changed |= self.pending.take().is_some();
    }
}
