//! Is the state that was loaded still the newest? A profile that was restored from a backup does not
//! know that it is old; the network does (spec/04, section 4.13).
//!
//! After each start, and before anything is encrypted, the next box of our own lane, the next box of
//! the commit lane and the rejoin lanes are read. Had a later life of this device done anything that
//! another can know of, one of them would not be empty.

use std::time::Duration;

use xchat_pigeonhole::outcome::ReadOutcome;

use super::{Conversation, EpochGroup, Purpose};
use crate::turn::Turn;

/// Stores remember that there was a box for at least 30 days after it has expired. Who was away for
/// longer than that may find a used box empty, and cannot prove anything. Two days are for clocks and
/// for what was under way.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(28 * 24 * 3600);

/// How exactly it is kept when the network was last known to be as we are.
const SYNC_STEP: Duration = Duration::from_secs(3600);

/// How far the proof has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// Which of the two boxes of the present epoch were empty.
    Under {
        own: bool,
        commits: bool,
    },
    Done,
}

impl Proof {
    pub(super) const BEGIN: Self = Self::Under { own: false, commits: false };

    pub(super) fn is_done(self) -> bool {
        self == Self::Done
    }

    /// Nobody has written our own lane's next box of this epoch.
    pub(super) fn own_lane(self) -> bool {
        matches!(self, Self::Done | Self::Under { own: true, .. })
    }
}

impl<G: EpochGroup> Conversation<G> {
    /// Begins the proof in the present epoch: at each start, and in each epoch that is entered before
    /// it is done.
    pub(super) fn prove(&mut self, turn: &mut Turn<'_>) {
        if self.proof.is_done() {
            return;
        }
        self.proof = Proof::BEGIN;
        let id = self.epoch.own.keys().id();
        self.ids.insert(id, Purpose::OwnNext);
        turn.read(id);
    }

    pub(super) fn own_next_read(&mut self, turn: &mut Turn<'_>, outcome: &ReadOutcome) {
        match (outcome, &mut self.proof) {
            (ReadOutcome::Empty, Proof::Under { own, .. }) => *own = true,
            (ReadOutcome::Empty, Proof::Done) => {}
            // A later life of this device has gone on from here.
            (ReadOutcome::Found(_) | ReadOutcome::Expired, _) => self.must_rejoin(turn),
        }
    }

    pub(super) fn commits_empty(&mut self, turn: &mut Turn<'_>) {
        match &mut self.proof {
            Proof::Under { commits, .. } => *commits = true,
            Proof::Done if turn.now.since(self.synced) >= SYNC_STEP => {
                self.synced = turn.now;
                self.dirty = true;
            }
            Proof::Done => {}
        }
    }

    /// Ends the proof when all of it is there.
    pub(super) fn conclude(&mut self, turn: &mut Turn<'_>) {
        let whole = self.proof == Proof::Under { own: true, commits: true };
        if !whole || !self.rejoin.is_walked() || !self.rejoin.is_quiet() {
            return;
        }
        // The time is right: an answer has just come, and none comes by a wrong clock.
        if turn.now.since(self.synced) >= FORGOTTEN_AFTER {
            return self.must_rejoin(turn);
        }
        self.proof = Proof::Done;
        if turn.now.since(self.synced) >= SYNC_STEP {
            self.synced = turn.now;
            self.dirty = true;
        }
    }
}
