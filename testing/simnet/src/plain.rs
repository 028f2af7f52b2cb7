//! A group of two without MLS, for talkers. Equal histories have equal secrets, and everything that a conversation
//! puts into boxes has the size that it has with MLS, counted in boxes. It protects nothing.

use xchat_base::{Rng, Secret, kdf, random};
use xchat_e2ee::{CommitError, GroupError, MessageError};
use xchat_engine::EpochGroup;

/// Length of a commit, as with MLS in a pair: three boxes.
const COMMIT_LEN: usize = 3_929;

/// `epoch (8) ‖ leaf (4)` before a message or a commit.
const HEAD: usize = 12;

/// Under which a member's view is stored.
const KEY: &[u8] = b"plain";

/// One member's view.
pub struct PlainGroup {
    own_leaf: u32,
    epoch: u64,
    secret: Secret<32>,
    pending: Option<Vec<u8>>,
    /// Not stored as it is.
    changed: bool,
}

impl PlainGroup {
    /// The member of this leaf, 0 or 1, in the first epoch of a group with this secret.
    pub fn new(secret: Secret<32>, own_leaf: u32) -> Self {
        Self { own_leaf, epoch: 1, secret, pending: None, changed: true }
    }

    fn head(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&self.epoch.to_be_bytes());
        head[8..].copy_from_slice(&self.own_leaf.to_be_bytes());
        head
    }

    fn enter(&mut self, commit: &[u8]) {
        self.secret = kdf::derive(self.secret.expose(), "plain epoch", commit);
        self.epoch += 1;
        self.pending = None;
        self.changed = true;
    }

    /// `head ‖ secret ‖ pending commit`.
    fn stored(&self) -> Vec<u8> {
        let pending = self.pending.as_deref().unwrap_or_default();
        [&self.head(), &self.secret.expose()[..], pending].concat()
    }

    fn from_stored(bytes: &[u8]) -> Option<Self> {
        let (epoch, own_leaf, rest) = split(bytes)?;
        let (secret, pending) = rest.split_first_chunk::<32>()?;
        let (secret, pending) = (Secret::from_slice(secret)?, Some(pending.to_vec()));
        let pending = pending.filter(|pending| !pending.is_empty());
        Some(Self { own_leaf, epoch, secret, pending, changed: false })
    }
}

/// Epoch, leaf, and what follows.
fn split(bytes: &[u8]) -> Option<(u64, u32, &[u8])> {
    let (epoch, rest) = bytes.split_first_chunk::<8>()?;
    let (leaf, rest) = rest.split_first_chunk::<4>()?;
    Some((u64::from_be_bytes(*epoch), u32::from_be_bytes(*leaf), rest))
}

impl EpochGroup for PlainGroup {
    fn load(state: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, GroupError> {
        let stored = state.iter().find(|(key, _)| key == KEY);
        stored.and_then(|(_, value)| Self::from_stored(value)).ok_or(GroupError::Stored)
    }

    // Talkers are never away for so long that they would have to rejoin.

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
        vec![(KEY.to_vec(), self.stored())]
    }

    fn take_changes(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.then(|| (KEY.to_vec(), Some(self.stored()))).into_iter().collect()
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn own_leaf(&self) -> u32 {
        self.own_leaf
    }

    fn members(&self) -> Vec<u32> {
        vec![0, 1]
    }

    fn export(&self, label: &str, context: &[u8]) -> Secret<32> {
        kdf::derive(self.secret.expose(), label, context)
    }

    fn encrypt(&mut self, _: &mut Rng, plaintext: &[u8]) -> Result<Vec<u8>, GroupError> {
        Ok([&self.head(), plaintext].concat())
    }

    fn decrypt(&mut self, message: &[u8]) -> Result<(u32, Vec<u8>), MessageError> {
        let (got, leaf, plaintext) = split(message).ok_or(MessageError::Undecryptable)?;
        let current = self.epoch;
        if got != current {
            return Err(MessageError::WrongEpoch { got, current });
        }
        if leaf == self.own_leaf {
            return Err(MessageError::Own);
        }
        Ok((leaf, plaintext.to_vec()))
    }

    fn begin_update(&mut self, rng: &mut Rng) -> Result<Vec<u8>, GroupError> {
        if self.pending.is_some() {
            return Err(GroupError::CommitPending);
        }
        let mut commit = [&self.head()[..], &random::bytes::<32>(rng)].concat();
        commit.resize(COMMIT_LEN, 0);
        self.pending = Some(commit.clone());
        self.changed = true;
        Ok(commit)
    }

    fn check_commit(&mut self, commit: &[u8]) -> Result<(), CommitError> {
        let (got, leaf, _) = split(commit).ok_or(CommitError::Malformed)?;
        let current = self.epoch;
        if got != current {
            return Err(CommitError::WrongEpoch { got, current });
        }
        if leaf == self.own_leaf && self.pending.as_deref() != Some(commit) {
            return Err(CommitError::OwnNotPending);
        }
        Ok(())
    }

    fn apply_commit(&mut self, commit: &[u8]) -> Result<(), CommitError> {
        self.check_commit(commit)?;
        self.enter(commit);
        Ok(())
    }

    fn merge_pending(&mut self) -> Result<(), CommitError> {
        let commit = self.pending.take().ok_or(CommitError::NonePending)?;
        self.enter(&commit);
        Ok(())
    }

    fn clear_pending(&mut self) {
        self.pending = None;
        self.changed = true;
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    use xchat_e2ee::Group;
    use xchat_engine::EpochGroup;
    use xchat_pigeonhole::RunPointer;

    use super::*;

    #[test]
    fn a_commit_takes_as_many_boxes_as_with_mls() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let boxes = |commit: &[u8]| {
            let rng = &mut ChaCha20Rng::seed_from_u64(2);
            RunPointer::seal(rng, commit).expect("short").1.len()
        };
        let (_, key_package) = <Group as EpochGroup>::pending(rng).expect("makes keys");
        let (mut real, _) = <Group as EpochGroup>::create(rng, &key_package).expect("a group");
        let real = EpochGroup::begin_update(&mut real, rng).expect("a commit");
        let plain = PlainGroup::new(Secret::random(rng), 0).begin_update(rng).expect("a commit");
        assert_eq!(boxes(&plain), boxes(&real), "{} bytes with MLS", real.len());
    }

    #[test]
    fn what_is_stored_goes_on_as_it_was() {
        let rng = &mut ChaCha20Rng::seed_from_u64(4);
        let mut one = PlainGroup::new(Secret::random(rng), 1);
        let load = |stored: Vec<(Vec<u8>, Option<Vec<u8>>)>| {
            let values = stored.into_iter().map(|(key, value)| (key, value.expect("a value")));
            PlainGroup::load(values.collect()).expect("what it stored")
        };
        let mut again = load(one.take_changes());
        assert!(one.take_changes().is_empty() && again.take_changes().is_empty());
        assert_eq!((again.epoch(), again.own_leaf(), again.pending.is_none()), (1, 1, true));
        let commit = one.begin_update(rng).expect("none is pending");
        let mut again = load(one.take_changes());
        again.apply_commit(&commit).expect("its own");
        one.merge_pending().expect("ours");
        let (a, b) = (one.export("lane", b""), load(again.take_changes()).export("lane", b""));
        assert_eq!(a.expose(), b.expose());
    }

    #[test]
    fn two_members_who_follow_the_same_commits_have_the_same_lanes() {
        let rng = &mut ChaCha20Rng::seed_from_u64(3);
        let secret = Secret::random(rng);
        let (mut one, mut two) = (PlainGroup::new(secret.clone(), 0), PlainGroup::new(secret, 1));
        let message = one.encrypt(rng, b"hello").expect("encrypts");
        assert_eq!(two.decrypt(&message), Ok((0, b"hello".to_vec())));
        assert_eq!(one.decrypt(&message), Err(MessageError::Own));
        let before = *one.export("lane", b"").expose();
        let commit = one.begin_update(rng).expect("none is pending");
        assert_eq!(two.check_commit(&commit), Ok(()));
        two.apply_commit(&commit).expect("checked");
        one.merge_pending().expect("ours");
        let (a, b) = (one.export("lane", b""), two.export("lane", b""));
        assert_eq!(a.expose(), b.expose());
        assert_ne!(*a.expose(), before);
        assert_eq!(two.decrypt(&message), Err(MessageError::WrongEpoch { got: 1, current: 2 }));
    }
}
