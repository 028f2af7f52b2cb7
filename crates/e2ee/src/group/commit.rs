//! Commits: how a group moves to its next epoch.
//!
//! Making a commit changes nothing but what is pending; which of several commits for one epoch
//! counts is decided outside (the commit lane, spec/04). The winner's maker merges it, all others
//! apply it. A commit may be checked as often as one likes before it is applied.

use openmls::prelude::{
    LeafNodeParameters, MlsMessageBodyIn, ProcessMessageError, ProcessedMessageContent,
    ProtocolMessage, Sender, StageCommitError, StagedCommit,
};
use xchat_base::Rng;

use super::{CommitError, Group, GroupError, read};
use crate::provider::Provider;

/// A commit that is in order.
enum Checked {
    Theirs(Box<StagedCommit>),
    OwnPending,
}

impl Group {
    /// Makes a commit that renews this member's keys, and keeps it pending: what an attacker has
    /// of this device is worth nothing after it. Messages may be sent and received as before until
    /// it is merged or cleared.
    ///
    /// # Errors
    /// [`GroupError::CommitPending`] if one is pending already.
    pub fn begin_update(&mut self, rng: &mut Rng) -> Result<Vec<u8>, GroupError> {
        if self.has_pending() {
            return Err(GroupError::CommitPending);
        }
        let provider = Provider::drawing(&self.storage, &self.rust, rng);
        let (mls, signer) = (&mut self.mls, &self.signer);
        let result = self.storage.attempt(|| {
            mls.self_update(&provider, signer, LeafNodeParameters::default())
                .ok()
                .and_then(|bundle| bundle.into_commit().to_bytes().ok())
                .ok_or(GroupError::Internal)
        });
        result.inspect_err(|_| self.reload())
    }

    /// Whether this member may be led to the next epoch by this commit. Changes nothing. The own
    /// pending commit is in order, too.
    ///
    /// # Errors
    /// [`CommitError`]. All but [`CommitError::OwnNotPending`] and [`CommitError::Internal`] are
    /// the same for all members.
    pub fn check_commit(&mut self, commit: &[u8]) -> Result<(), CommitError> {
        self.stage(commit).map(drop)
    }

    /// Moves to the next epoch by a commit of another, or by the own pending one. What was pending
    /// is gone after it. Messages of the old epoch cannot be decrypted any more.
    ///
    /// # Errors
    /// As for [`Self::check_commit`]; nothing has changed then.
    pub fn apply_commit(&mut self, commit: &[u8]) -> Result<(), CommitError> {
        match self.stage(commit)? {
            Checked::OwnPending => self.merge_pending(),
            Checked::Theirs(staged) => {
                let provider = Provider::fixed(&self.storage, &self.rust);
                let mls = &mut self.mls;
                let result = self.storage.attempt(|| {
                    mls.merge_staged_commit(&provider, *staged).map_err(|_| CommitError::Internal)
                });
                result.inspect_err(|_| self.reload())
            }
        }
    }

    /// Moves to the next epoch by the own pending commit, once it has won.
    ///
    /// # Errors
    /// [`CommitError::NonePending`].
    pub fn merge_pending(&mut self) -> Result<(), CommitError> {
        if !self.has_pending() {
            return Err(CommitError::NonePending);
        }
        let provider = Provider::fixed(&self.storage, &self.rust);
        let mls = &mut self.mls;
        let result = self
            .storage
            .attempt(|| mls.merge_pending_commit(&provider).map_err(|_| CommitError::Internal));
        result.inspect_err(|_| self.reload())
    }

    /// Forgets the own pending commit, if there is one: another has won.
    pub fn clear_pending(&mut self) {
        let mls = &mut self.mls;
        let storage = &self.storage;
        if storage.attempt(|| mls.clear_pending_commit(storage)).is_err() {
            self.reload();
        }
    }

    /// Whether a commit of ours is pending.
    pub fn has_pending(&self) -> bool {
        self.mls.pending_commit().is_some()
    }

    fn stage(&mut self, commit: &[u8]) -> Result<Checked, CommitError> {
        let Some(MlsMessageBodyIn::PublicMessage(message)) = read(commit) else {
            return Err(CommitError::Malformed);
        };
        let message = ProtocolMessage::from(message);
        if message.group_id() != self.mls.group_id() {
            return Err(CommitError::Malformed);
        }
        let (got, current) = (message.epoch().as_u64(), self.epoch());
        if got != current {
            return Err(CommitError::WrongEpoch { got, current });
        }
        let provider = Provider::fixed(&self.storage, &self.rust);
        let mls = &mut self.mls;
        let processed =
            self.storage.attempt(|| mls.process_message(&provider, message).map_err(commit_error));
        let processed = processed.inspect_err(|_| self.reload())?;
        let sender = processed.sender().clone();
        match processed.into_content() {
            ProcessedMessageContent::OwnPendingCommit => Ok(Checked::OwnPending),
            ProcessedMessageContent::StagedCommitMessage(staged)
                if self.is_permitted(&sender, &staged) =>
            {
                Ok(Checked::Theirs(staged))
            }
            _ => Err(CommitError::NotPermitted),
        }
    }

    /// A member of a pair may renew its own keys, and nothing else: not who is in the group, not
    /// the group's parameters, and not its own signature key, which the safety number stands for.
    fn is_permitted(&self, sender: &Sender, staged: &StagedCommit) -> bool {
        let Sender::Member(leaf) = *sender else { return false };
        let (Some(old), Some(new)) = (self.member(leaf), staged.update_path_leaf_node()) else {
            return false;
        };
        let current = self.mls.public_group().leaf(leaf);
        staged.queued_proposals().next().is_none()
            && new.signature_key().as_slice() == old.signature_key
            && *new.credential() == old.credential
            && current.is_some_and(|current| current.capabilities() == new.capabilities())
            && new.extensions().iter().next().is_none()
    }
}

fn commit_error<E>(error: ProcessMessageError<E>) -> CommitError {
    match error {
        ProcessMessageError::InvalidCommit(StageCommitError::OwnCommitMismatch) => {
            CommitError::OwnNotPending
        }
        ProcessMessageError::StorageError(_) | ProcessMessageError::GroupStateError(_) => {
            CommitError::Internal
        }
        _ => CommitError::Malformed,
    }
}
