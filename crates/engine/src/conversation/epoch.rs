//! Epochs: how the members move to new keys together, and lose nothing on the way (spec/04, section 5).
//!
//! The first *valid* entry in the commit lane of epoch e makes epoch e + 1. Whoever learns of it stops
//! writing in e, drains the others' lanes of e to a linearizable `Empty`, and only then moves on.
//! A sender confirms a record when a read of the commit lane's next box, posted after the record's box
//! was acknowledged, comes back `Empty`: the box was there before the epoch ended, so every drain
//! finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xchat_base::{Timestamp, Wire};
use xchat_e2ee::CommitError;
use xchat_pigeonhole::outcome::{ReadOutcome, WriteOutcome};
use xchat_pigeonhole::{BoxId, Lane, RunPointer, RunReader, SealedBox};

use super::inbox::ReadLane;
use super::mutation::Mutation;
use super::own_lane::Flight;
use super::{Conversation, EpochGroup, Purpose};
use crate::api::{Alert, Event};
use crate::keys;
use crate::record::{Record, kind};
use crate::turn::Turn;

/// We renew our keys after this many boxes of our own in one epoch. A commit costs about six boxes,
/// so renewing is an eighth of what is written; a stolen device heals after an hour of talk.
pub(super) const UPDATE_AFTER_BOXES: u64 = 48;

/// And, when it is our turn, with the first message or receipt after this long in one epoch.
pub(super) const UPDATE_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Entries of one commit lane that may be invalid before the conversation is given up: each is the
/// work of an insider (outsiders cannot find the lane), and each costs every member a read.
const MAX_INVALID_ENTRIES: u64 = 64;

/// Boxes of one commit: three in a pair. More is invalid for all alike, or one contact could fill the
/// read queue that all conversations share.
pub(super) const MAX_COMMIT_BOXES: usize = 16;

/// One entry of the commit lane: where the commit lies.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CommitEntry {
    /// [`RunPointer`] in its fixed layout.
    pub(super) pointer: Vec<u8>,
}

impl Wire for CommitEntry {
    const FORMAT: &'static str = "commit entry";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 128;
}

/// The epoch that this device is in.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) struct Epoch {
    pub(super) number: u64,
    pub(super) since: Timestamp,
    pub(super) own: Lane,
    pub(super) flights: BTreeMap<u64, Flight>,
    pub(super) reads: Vec<ReadLane>,
    /// At the first entry that is not known to be invalid.
    pub(super) commits: Lane,
    /// Boxes of the run that is being read. Apart from all others, because whoever wrote the entry
    /// chose them: they may be boxes that are something else to us.
    pub(super) run_ids: BTreeSet<BoxId>,
    /// A read of the commit lane is under way; if it comes back `Empty`, our boxes and records up to
    /// these are safe.
    pub(super) check: Option<(u64, u64)>,
    pub(super) asked: bool,
    /// Somebody hinted at a commit while a read was under way that may be older than the hint.
    pub(super) ask_again: bool,
    pub(super) own_commit: Option<OwnCommit>,
    pub(super) phase: Phase,
}

/// A commit of ours that has not won yet.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) struct OwnCommit {
    pub(super) pointer: RunPointer,
    /// Boxes of the run that are not stored yet.
    pub(super) left: BTreeMap<BoxId, SealedBox>,
    /// The entry as sealed, once the whole run is stored.
    pub(super) entry: Option<SealedBox>,
}

#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) enum Phase {
    Open,
    /// The commit lane has an entry; its run is being read.
    Reading {
        reader: RunReader,
    },
    /// The entry is valid: `commit` is another's, or none if ours won.
    Closing {
        commit: Option<Vec<u8>>,
        marker: Marker,
    },
    /// The other side has asked for a new group: nothing is written in this one any more, and what
    /// they left in their lane is read.
    Leaving,
    /// This device cannot find the way to the next epoch any more: its boxes have expired, or an
    /// insider filled the commit lane with rubbish. Only rejoining helps; what we say is kept.
    Lost,
}

/// The "epoch ended" record of the winner.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// Another won: theirs to write.
    NotOurs,
    /// Ours, once our lane is known to be ours.
    Due,
    /// In this box of our lane.
    At(u64),
}

impl Epoch {
    /// The lanes of the group's present epoch, from its exporter.
    pub(super) fn enter<G: EpochGroup>(group: &G, now: Timestamp) -> Self {
        let own_leaf = group.own_leaf();
        let others = group.members().into_iter().filter(|leaf| *leaf != own_leaf);
        Self {
            number: group.epoch(),
            since: now,
            own: lane(group, own_leaf),
            flights: BTreeMap::new(),
            reads: others.map(|leaf| ReadLane::new(lane(group, leaf))).collect(),
            commits: Lane::new(group.export("commit lane", b"")),
            run_ids: BTreeSet::new(),
            check: None,
            asked: false,
            ask_again: false,
            own_commit: None,
            phase: Phase::Open,
        }
    }

    /// Our lane of the group's present epoch, from its first box on.
    pub(super) fn own_lane<G: EpochGroup>(group: &G) -> Lane {
        lane(group, group.own_leaf())
    }

    /// Whether new records may be written in this epoch.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Reading { .. })
    }

    /// Whether nothing is left to be read in this group.
    pub(super) fn is_left(&self) -> bool {
        match self.phase {
            Phase::Lost => true,
            Phase::Leaving => self.reads.iter().all(|reading| reading.drained),
            Phase::Open | Phase::Reading { .. } | Phase::Closing { .. } => false,
        }
    }

    /// Nobody asks for a new group any more.
    pub(super) fn stay(&mut self) {
        if matches!(self.phase, Phase::Leaving) {
            self.phase = Phase::Open;
        }
    }
}

fn lane<G: EpochGroup>(group: &G, leaf: u32) -> Lane {
    Lane::new(group.export("lane", &leaf.to_be_bytes()))
}

impl<G: EpochGroup> Conversation<G> {
    /// After a restart: the run and entry of our own commit, and one look at the commit lane.
    pub(super) fn resume_epoch(&mut self, turn: &mut Turn<'_>) {
        if let Some(own) = &self.epoch.own_commit {
            for (id, boxed) in &own.left {
                self.ids.insert(*id, Purpose::OwnRun);
                turn.write_told(boxed.clone(), self.held.take(turn.now));
            }
            if let Some(entry) = &own.entry {
                self.ids.insert(entry.id(), Purpose::Commit);
                turn.write_told(entry.clone(), self.held.take(turn.now));
            }
        }
        self.check_commit_lane(turn);
    }

    // --- looking at the commit lane -------------------------------------------------------------

    /// Reads the commit lane's next box, unless a commit is being worked on already.
    pub(super) fn check_commit_lane(&mut self, turn: &mut Turn<'_>) {
        if !matches!(self.epoch.phase, Phase::Open) {
            return;
        }
        if self.epoch.asked {
            self.epoch.ask_again = true;
            return;
        }
        let id = self.epoch.commits.keys().id();
        self.ids.insert(id, Purpose::Commit);
        self.epoch.asked = true;
        self.epoch.check = self.acknowledged_prefix();
        turn.read(id);
    }

    /// Asks for the check that lets acknowledged records be confirmed.
    pub(super) fn check_if_unconfirmed(&mut self, turn: &mut Turn<'_>) {
        if !self.epoch.asked && self.acknowledged_prefix().is_some() {
            self.check_commit_lane(turn);
        }
    }

    pub(super) fn commit_read(&mut self, turn: &mut Turn<'_>, outcome: ReadOutcome) {
        if !std::mem::take(&mut self.epoch.asked) || !matches!(self.epoch.phase, Phase::Open) {
            return;
        }
        let check = self.epoch.check.take();
        match outcome {
            ReadOutcome::Found(boxed) => self.entry_found(turn, &boxed),
            ReadOutcome::Empty => {
                let late = self.lacks(Mutation::LookBeforeAck);
                let check = if late { self.acknowledged_prefix() } else { check };
                if let Some((index, seq)) = check {
                    self.confirm_boxes(turn, index, seq);
                }
                self.commits_empty(turn);
                if std::mem::take(&mut self.epoch.ask_again) {
                    self.check_commit_lane(turn);
                } else if self.wants_to_leave() {
                    self.begin_draining(Phase::Leaving, turn);
                }
            }
            ReadOutcome::Expired => self.lost(turn),
        }
    }

    /// The commit lane's next box has a value.
    fn entry_found(&mut self, turn: &mut Turn<'_>, boxed: &SealedBox) {
        let own = self.epoch.own_commit.as_ref().and_then(|own| own.entry.as_ref());
        if own == Some(boxed) {
            return self.close(turn, None);
        }
        let opened = self.epoch.commits.keys().open(boxed).ok();
        let pointer = opened
            .and_then(|bytes| CommitEntry::from_wire(&bytes).ok())
            .and_then(|entry| RunPointer::from_bytes(&entry.pointer).ok());
        let pointer =
            pointer.filter(|pointer| (1..=MAX_COMMIT_BOXES).contains(&pointer.box_count()));
        let Some(pointer) = pointer else { return self.entry_invalid(turn) };
        // Sealed anew, but for the same commit.
        if self.epoch.own_commit.as_ref().is_some_and(|own| own.pointer == pointer) {
            return self.close(turn, None);
        }
        let reader = RunReader::new(pointer);
        for id in reader.missing() {
            turn.read(id);
            self.epoch.run_ids.insert(id);
        }
        self.epoch.phase = Phase::Reading { reader };
    }

    /// All members skip it alike: what makes an entry invalid is the same for all of them.
    fn entry_invalid(&mut self, turn: &mut Turn<'_>) {
        self.alert(turn, Alert::Unreadable);
        self.ids.retain(|_, purpose| !matches!(purpose, Purpose::Commit));
        self.epoch.run_ids.clear();
        self.epoch.phase = Phase::Open;
        self.dirty = true;
        if self.epoch.commits.index() >= MAX_INVALID_ENTRIES {
            return self.lost(turn);
        }
        self.epoch.commits.advance();
        let had_entry =
            self.epoch.own_commit.as_mut().is_some_and(|own| own.entry.take().is_some());
        if had_entry {
            self.write_entry(turn);
        }
        self.check_commit_lane(turn);
    }

    /// There is no way on in this group.
    pub(super) fn lost(&mut self, turn: &mut Turn<'_>) {
        self.epoch.phase = Phase::Lost;
        self.must_rejoin(turn);
    }

    // --- reading the commit ---------------------------------------------------------------------

    pub(super) fn run_read(&mut self, turn: &mut Turn<'_>, id: BoxId, outcome: ReadOutcome) {
        let leave_holes = self.lacks(Mutation::LeaveHoles);
        let Phase::Reading { reader } = &mut self.epoch.phase else { return };
        match outcome {
            ReadOutcome::Found(boxed) => {
                self.epoch.run_ids.remove(&id);
                match reader.add(&boxed) {
                    Ok(()) => self.run_progress(turn),
                    Err(_) => self.entry_invalid(turn),
                }
            }
            // The writer must store the run before its entry. A box that is still empty is filled
            // with nothing, so that it is empty for every member: nobody can change it later.
            ReadOutcome::Empty if leave_holes => self.entry_invalid(turn),
            ReadOutcome::Empty => match reader.void(turn.rng, &id) {
                Some(void) => turn.write(void),
                None => self.entry_invalid(turn),
            },
            ReadOutcome::Expired => self.lost(turn),
        }
    }

    pub(super) fn void_written(&mut self, turn: &mut Turn<'_>, id: BoxId, outcome: WriteOutcome) {
        match outcome {
            WriteOutcome::Stored => self.entry_invalid(turn),
            WriteOutcome::Expired => self.lost(turn),
            WriteOutcome::Exists(boxed) => self.run_read(turn, id, ReadOutcome::Found(boxed)),
        }
    }

    fn run_progress(&mut self, turn: &mut Turn<'_>) {
        let Phase::Reading { reader } = &self.epoch.phase else { return };
        match reader.value() {
            Ok(None) => {}
            Ok(Some(commit)) => match self.group.check_commit(&commit) {
                Ok(()) => self.close(turn, Some(commit)),
                // Of a later life of this device, whose secrets we do not have.
                Err(CommitError::OwnNotPending | CommitError::Internal) => self.lost(turn),
                Err(_) => self.entry_invalid(turn),
            },
            Err(_) => self.entry_invalid(turn),
        }
    }

    // --- closing the epoch ----------------------------------------------------------------------

    /// A valid commit stands: no more records in this epoch, and the others' lanes are drained.
    fn close(&mut self, turn: &mut Turn<'_>, commit: Option<Vec<u8>>) {
        let marker = if commit.is_none() { Marker::Due } else { Marker::NotOurs };
        self.begin_draining(Phase::Closing { commit, marker }, turn);
    }

    fn begin_draining(&mut self, phase: Phase, turn: &mut Turn<'_>) {
        self.epoch.phase = phase;
        let drained = self.lacks(Mutation::NoDrain);
        for reading in &mut self.epoch.reads {
            reading.drained = drained;
            reading.draining = None;
        }
        self.dirty = true;
        self.drain(turn);
    }

    /// While the epoch closes: asks for each lane's next box until it is linearizably empty.
    pub(super) fn drain(&mut self, turn: &mut Turn<'_>) {
        if !matches!(self.epoch.phase, Phase::Closing { .. } | Phase::Leaving) {
            return;
        }
        for (number, reading) in self.epoch.reads.iter_mut().enumerate() {
            let next = reading.lane.index();
            if reading.drained || reading.draining == Some(next) {
                continue;
            }
            let id = reading.lane.keys().id();
            self.ids.insert(id, Purpose::Peer(number, next));
            reading.draining = Some(next);
            turn.read(id);
        }
    }

    /// Moves on when the present epoch is closed, drained and announced.
    pub(super) fn advance_epoch(&mut self, turn: &mut Turn<'_>) {
        self.write_marker(turn);
        let Phase::Closing { commit, marker } = &self.epoch.phase else { return };
        let announced = match marker {
            Marker::NotOurs => true,
            Marker::Due => false,
            // With all that lies before it, or a reader would wait at the hole and miss the hint.
            Marker::At(index) => self.epoch.flights.range(..=index).all(|(_, f)| f.acknowledged),
        };
        if !announced || self.epoch.reads.iter().any(|reading| !reading.drained) {
            return;
        }
        let moved = match commit {
            None => self.group.merge_pending(),
            Some(commit) => {
                let commit = commit.clone();
                self.group.clear_pending();
                self.group.apply_commit(&commit)
            }
        };
        if moved.is_err() {
            // check_commit has accepted the same bytes in the same epoch, so this is our bug; the
            // epoch stays closed and the person is told, rather than going on with wrong keys.
            return self.lost(turn);
        }
        self.leave_epoch(turn);
    }

    /// Says "epoch ended" in our lane: a hint, so not by a device whose state is old.
    fn write_marker(&mut self, turn: &mut Turn<'_>) {
        let Phase::Closing { commit: None, marker: Marker::Due } = &self.epoch.phase else {
            return;
        };
        let marker = if !self.rejoin.is_quiet() {
            Marker::NotOurs
        } else if self.proof.own_lane() {
            let index = self.epoch.own.index();
            let ended = Record { seq: 0, kind: kind::EPOCH_ENDED, more: false, body: Vec::new() };
            self.seal(turn, vec![ended]);
            Marker::At(index)
        } else {
            return;
        };
        self.epoch.phase = Phase::Closing { commit: None, marker };
    }

    /// Lets go of all lanes of the present epoch.
    pub(super) fn leave_lanes(&mut self, turn: &mut Turn<'_>) {
        self.ids.retain(|id, purpose| {
            if matches!(purpose, Purpose::Peer(..)) {
                turn.unfollow(*id);
            }
            matches!(purpose, Purpose::Rejoin(_) | Purpose::RejoinRun)
        });
        turn.delete_prefix(keys::flights(self.id));
        turn.delete_prefix(keys::commits(self.id));
    }

    fn leave_epoch(&mut self, turn: &mut Turn<'_>) {
        self.leave_lanes(turn);
        self.epoch = Epoch::enter(&self.group, turn.now);
        if !self.lacks(Mutation::NoResend) {
            self.outbox.unseal_all();
        }
        self.dirty = true;
        turn.event(Event::EpochChanged { conversation: self.id, epoch: self.epoch.number });
        self.follow_lanes(turn);
        self.prove(turn);
        // One who was away walks the epochs one by one; the next commit may be there already.
        self.check_commit_lane(turn);
    }

    // --- our own commits ------------------------------------------------------------------------

    /// Renews our keys when it is time.
    pub(super) fn begin_commit_if_due(&mut self, turn: &mut Turn<'_>) {
        let written = self.epoch.own.index();
        // By turns, so that two who talk alike do not race for each entry; out of turn, later.
        let ours = (self.epoch.number + u64::from(self.group.own_leaf())).is_multiple_of(2);
        // With a box that would be written anyway, a receipt at least: one who is away for long misses nothing while
        // nothing is said. Out of turn never, since the other one will have something to write as soon as we have.
        let old = ours
            && self.outbox.unsealed().next().is_some()
            && turn.now.since(self.epoch.since) >= UPDATE_AFTER;
        let after = if ours { UPDATE_AFTER_BOXES } else { 2 * UPDATE_AFTER_BOXES };
        let due = written >= after || old;
        let free = matches!(self.epoch.phase, Phase::Open) && self.epoch.own_commit.is_none();
        if due && free && self.is_fit_to_write() {
            self.begin_commit(turn);
        }
    }

    pub(super) fn begin_commit(&mut self, turn: &mut Turn<'_>) {
        let Ok(commit) = self.group.begin_update(turn.rng) else {
            return self.alert(turn, Alert::Unreadable);
        };
        let Ok((pointer, boxes)) = RunPointer::seal(turn.rng, &commit) else {
            // A pair's commit is three boxes; only a group beyond any bound of ours gets here.
            self.group.clear_pending();
            return self.alert(turn, Alert::Unreadable);
        };
        let mut left = BTreeMap::new();
        for (number, boxed) in boxes.into_iter().enumerate() {
            turn.put(keys::commit(self.id, 1 + number as u64), boxed.to_bytes());
            self.ids.insert(boxed.id(), Purpose::OwnRun);
            // Their reader makes nothing of it. But boxes without tickets would be known to belong together.
            turn.write_told(boxed.clone(), self.held.take(turn.now));
            left.insert(boxed.id(), boxed);
        }
        self.epoch.own_commit = Some(OwnCommit { pointer, left, entry: None });
        self.dirty = true;
        if self.lacks(Mutation::EntryBeforeRun) {
            self.write_entry(turn);
        }
    }

    /// A box of our commit's run was decided. The run's secret is fresh, so nobody else can have
    /// written there: `Exists` could only be our own value from before a crash.
    pub(super) fn own_run_written(
        &mut self,
        turn: &mut Turn<'_>,
        id: BoxId,
        outcome: &WriteOutcome,
    ) {
        self.ids.remove(&id);
        if *outcome == WriteOutcome::Expired {
            return self.abandon_commit(turn);
        }
        let Some(own) = &mut self.epoch.own_commit else { return };
        own.left.remove(&id);
        if own.left.is_empty() && own.entry.is_none() {
            self.write_entry(turn);
        }
    }

    /// We were off for so long that boxes of our run are gone: nobody could read this commit.
    fn abandon_commit(&mut self, turn: &mut Turn<'_>) {
        self.ids.retain(|_, purpose| !matches!(purpose, Purpose::OwnRun));
        self.epoch.own_commit = None;
        self.group.clear_pending();
        turn.delete_prefix(keys::commits(self.id));
        self.dirty = true;
    }

    /// Puts our entry into the commit lane's next box.
    fn write_entry(&mut self, turn: &mut Turn<'_>) {
        let Some(own) = &mut self.epoch.own_commit else { return };
        let entry = CommitEntry { pointer: own.pointer.to_bytes().to_vec() }.to_wire();
        let keys = self.epoch.commits.keys();
        let boxed = keys.seal(turn.rng, &entry).expect("an entry is far smaller than a box");
        turn.put(keys::commit(self.id, 0), boxed.to_bytes());
        self.ids.insert(boxed.id(), Purpose::Commit);
        turn.write_told(boxed.clone(), self.held.take(turn.now));
        own.entry = Some(boxed);
        self.dirty = true;
    }

    pub(super) fn own_entry_written(&mut self, turn: &mut Turn<'_>, outcome: WriteOutcome) {
        if !matches!(self.epoch.phase, Phase::Open) {
            return;
        }
        let entry = self.epoch.own_commit.as_ref().and_then(|own| own.entry.clone());
        match (outcome, entry) {
            (WriteOutcome::Stored, Some(entry)) => self.entry_found(turn, &entry),
            (WriteOutcome::Exists(other), _) => self.entry_found(turn, &other),
            (WriteOutcome::Expired, _) => self.lost(turn),
            (WriteOutcome::Stored, None) => {}
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const MAX_INVALID_ENTRIES: u64 = super::MAX_INVALID_ENTRIES;

    pub(crate) fn entry(pointer: &RunPointer) -> Vec<u8> {
        CommitEntry { pointer: pointer.to_bytes().to_vec() }.to_wire()
    }
}
