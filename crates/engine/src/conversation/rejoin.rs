//! Coming back: the rejoin lane (spec/04, section 4.13).
//!
//! ```text
//!            the walk ends, and ...
//!   Idle ──── we must rejoin ────────────► Asking ──their answer──► a new group
//!     └────── they ask ── old lanes read ► Answering ──it is first──► a new group
//! ```
//!
//! Both sides walk the same write-once boxes in the same order, so both agree on who asks and who
//! answers, whatever crashes in between. A device that is found to be old writes nothing in its group;
//! it asks here, and both go on in a fresh one.

mod answering;
mod asking;
mod entry;
mod lanes;
mod numbers;
mod stage;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use std::collections::BTreeSet;
use std::time::Duration;

use xchat_base::{Secret, Timestamp};
use xchat_pigeonhole::outcome::WriteOutcome;
use xchat_pigeonhole::{BoxId, SealedBox};

use self::entry::Request;
pub(super) use self::lanes::Place;
use self::lanes::Walk;
use self::stage::{Reading, Stage};
use super::epoch::Epoch;
use super::stored::{LoadError, Parts};
use super::{Conversation, EpochGroup, Proof, Purpose};
use crate::api::{Event, Notice};
use crate::keys;
use crate::record::Taken;
use crate::turn::Turn;

/// Two rejoins of one conversation are so far apart at least: a contact who asks again and again, or two
/// devices on copies of one profile, cost a few boxes in ten minutes and no more.
const PAUSE: Duration = Duration::from_secs(600);

/// The rejoin lane as this device knows it.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) struct Rejoin<G> {
    /// Agreed at meeting, independent of epochs and groups, and never renewed: a backup of any age must
    /// find the lane.
    pub(super) secret: Secret<32>,
    /// Our leaf in the first group: who asks and who answers is told by it, whatever the groups since.
    pub(super) side: u32,
    /// Behind the entry that made the present group: what lies before is history.
    pub(super) since: Place,
    /// When that was.
    pub(super) last: Timestamp,
    /// This device's state is not to be used any more.
    pub(super) need: bool,
    walks: Vec<Walk>,
    /// The first request that nobody has answered yet.
    open: Option<Request>,
    reading: Option<Reading>,
    /// Boxes of the run that is being read: chosen by whoever wrote the entry, so apart from all others.
    run_ids: BTreeSet<BoxId>,
    stage: Stage<G>,
    /// The commit lane was asked because this group is to be left.
    draining: bool,
}

impl<G: EpochGroup> Rejoin<G> {
    pub(super) fn new(secret: Secret<32>, side: u32) -> Self {
        Self {
            secret,
            side,
            since: Place::default(),
            last: Timestamp::ZERO,
            need: false,
            walks: Vec::new(),
            open: None,
            reading: None,
            run_ids: BTreeSet::new(),
            stage: Stage::Idle,
            draining: false,
        }
    }

    /// Goes on with what was under way.
    pub(super) fn load_stage(&mut self, parts: &mut Parts) -> Result<(), LoadError> {
        self.stage = Stage::load(parts)?;
        Ok(())
    }

    pub(super) fn owns(&self, id: &BoxId) -> bool {
        self.run_ids.contains(id)
    }

    /// Nothing is under way that leads to another group.
    pub(super) fn is_quiet(&self) -> bool {
        !self.need && matches!(self.stage, Stage::Idle) && self.their_request().is_none()
    }

    /// Every entry that there is has been seen.
    pub(super) fn is_walked(&self) -> bool {
        !self.walks.is_empty() && self.walks.iter().all(|walk| walk.at_end)
    }

    /// How far we have read is told already: nothing more is read in the old group, or the number would
    /// not be true any more when the other side acts on it.
    pub(super) fn is_told(&self) -> bool {
        !matches!(self.stage, Stage::Idle)
    }

    /// We wait for the other side.
    pub(super) fn is_rejoining(&self) -> bool {
        self.need || matches!(self.stage, Stage::Asking(_))
    }

    /// The other side's request, if it is our turn to answer.
    fn their_request(&self) -> Option<&Request> {
        self.open.as_ref().filter(|request| request.side != self.side)
    }

    /// When the next step may be taken. A time that lies ahead of `now` is from a wrong clock.
    fn not_before(&self, now: Timestamp) -> Timestamp {
        if self.last > now { now } else { self.last + PAUSE }
    }

    /// When something is due by the clock.
    pub(super) fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.stage {
            Stage::Asking(asking) => Some(asking.until()),
            Stage::Idle if self.need || self.their_request().is_some() => {
                Some(self.not_before(now)).filter(|at| *at > now)
            }
            Stage::Idle | Stage::Answering(_) => None,
        }
    }
}

impl<G: EpochGroup> Conversation<G> {
    /// This state is old, or cut off from the conversation: nothing is written from it any more.
    pub(super) fn must_rejoin(&mut self, turn: &mut Turn<'_>) {
        if !self.rejoin.need {
            self.rejoin.need = true;
            self.dirty = true;
            turn.event(Event::Contact(self.contact()));
        }
    }

    /// Whether this device may encrypt in the present group.
    pub(super) fn is_fit_to_write(&self) -> bool {
        self.proof.is_done() && self.recalling.is_none() && self.rejoin.is_quiet()
    }

    /// Takes the next step that can be taken.
    pub(super) fn rejoin_step(&mut self, turn: &mut Turn<'_>) {
        if !self.rejoin.is_walked() {
            return;
        }
        self.drop_what_does_not_fit(turn);
        match &self.rejoin.stage {
            Stage::Idle if turn.now < self.rejoin.not_before(turn.now) => {}
            Stage::Idle if self.rejoin.their_request().is_some() => self.work_on_request(turn),
            Stage::Idle if self.rejoin.reading.is_some() => {}
            Stage::Idle if self.rejoin.need => self.leave_group(turn),
            Stage::Idle => {
                self.rejoin.draining = false;
                self.epoch.stay();
            }
            Stage::Asking(_) | Stage::Answering(_) => self.place_entry(turn),
        }
    }

    fn drop_what_does_not_fit(&mut self, turn: &mut Turn<'_>) {
        let theirs = self.rejoin.their_request().map(|request| request.id);
        let fits = match &self.rejoin.stage {
            Stage::Idle => true,
            // They were first: it is our turn to answer.
            Stage::Asking(asking) => theirs.is_none() && turn.now < asking.until(),
            Stage::Answering(answering) => theirs == Some(answering.to),
        };
        if !fits {
            self.drop_stage(turn);
        }
    }

    /// Before the old group is given up, and before the other side is told how far we have read,
    /// everything that they stored there is read: a device restored from a backup does not hold it any
    /// more.
    fn leave_group(&mut self, turn: &mut Turn<'_>) {
        if self.epoch.is_left() {
            match self.rejoin.their_request() {
                Some(_) => self.answer(turn),
                None => self.ask(turn),
            }
        } else if !std::mem::replace(&mut self.rejoin.draining, true) {
            self.check_commit_lane(turn);
        }
    }

    /// The commit lane came back empty: whether the lanes are to be drained next.
    pub(super) fn wants_to_leave(&self) -> bool {
        self.rejoin.draining && matches!(self.rejoin.stage, Stage::Idle)
    }

    fn drop_stage(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.rejoin.stage, Stage::Idle) {
            return;
        }
        self.forget_stage(turn);
        // What comes in the old group counts again.
        self.epoch.stay();
        self.rejoin.draining = false;
        self.read_lanes(turn);
    }

    fn forget_stage(&mut self, turn: &mut Turn<'_>) {
        self.rejoin.stage = Stage::Idle;
        self.stop_reading();
        self.ids.retain(|_, purpose| *purpose != Purpose::RejoinRun);
        turn.delete_prefix(keys::rejoins(self.id));
        turn.delete_prefix(keys::next_group(self.id));
    }

    /// A box of the run of our request or answer was decided.
    pub(super) fn rejoin_run_written(
        &mut self,
        turn: &mut Turn<'_>,
        id: BoxId,
        outcome: &WriteOutcome,
    ) {
        self.ids.remove(&id);
        if *outcome == WriteOutcome::Expired {
            // Off for so long that boxes of it are gone: begun anew.
            self.drop_stage(turn);
        } else if let Some(post) = self.rejoin.stage.post() {
            // The run's secret is fresh, so the value there is ours.
            post.left.remove(&id);
        }
    }

    /// Puts our entry into the next box, once its run is stored.
    fn place_entry(&mut self, turn: &mut Turn<'_>) {
        let Some(bytes) = self.rejoin.stage.entry(self.rejoin.side) else { return };
        let Some(walk) = self.rejoin.walks.last().filter(|walk| walk.has_room()) else { return };
        let (keys, window) = (walk.lane.keys(), walk.window);
        let Some(post) = self.rejoin.stage.post() else { return };
        if !post.left.is_empty() || post.placed || post.writing == Some(keys.id()) {
            return;
        }
        let sealed_here = post.entry.as_ref().is_some_and(|entry| entry.id() == keys.id());
        if !sealed_here {
            let boxed = keys.seal(turn.rng, &bytes).expect("an entry is smaller than a box");
            post.entry = Some(boxed);
        }
        post.writing = Some(keys.id());
        if let Some(entry) = post.entry.clone() {
            self.ids.insert(entry.id(), Purpose::Rejoin(window));
            turn.write(entry);
        }
        if !sealed_here {
            self.save_stage(turn);
        }
    }

    /// Our entry stands in the lane.
    fn own_entry_placed(&mut self, turn: &mut Turn<'_>, next: Place) {
        match &mut self.rejoin.stage {
            Stage::Asking(asking) => {
                asking.post.placed = true;
                let request = asking.request(self.rejoin.side);
                if self.rejoin.their_request().is_none() {
                    self.rejoin.open = Some(request);
                }
            }
            Stage::Answering(_) => self.answer_won(turn, next),
            Stage::Idle => {}
        }
    }

    /// Goes on in a fresh group: nothing of the old one is left but what was said.
    fn adopt(&mut self, turn: &mut Turn<'_>, mut group: G, theirs: Taken, fresh: Adoption) {
        self.forget_stage(turn);
        self.leave_lanes(turn);
        turn.delete_prefix(keys::group(self.id));
        for (key, value) in group.take_all() {
            turn.put(keys::mls(self.id, &key), value);
        }
        let known = std::mem::take(&mut self.incoming).into_values().next().unwrap_or_default();
        let other = group.members().into_iter().find(|leaf| *leaf != group.own_leaf());
        self.incoming.extend(other.map(|leaf| (leaf, known)));
        self.group = group;
        self.epoch = Epoch::enter(&self.group, turn.now);
        self.proof = Proof::Done;
        self.synced = turn.now;
        (self.verified, self.rejoined) = (false, true);
        self.rejoin.since = fresh.next;
        self.rejoin.last = turn.now;
        self.rejoin.need = false;
        self.rejoin.open = None;
        self.rejoin.draining = false;
        self.dirty = true;
        self.notice(turn, fresh.notice);
        turn.event(Event::Contact(self.contact()));
        self.reconcile(turn, theirs);
        self.follow_lanes(turn);
        self.check_commit_lane(turn);
        self.pump(turn);
    }
}

/// How a fresh group came about.
struct Adoption {
    /// Behind the answer's place.
    next: Place,
    notice: Notice,
}

#[cfg_attr(feature = "mutations", derive(Clone))]
/// A run and the entry that points to it, on their way into boxes.
struct Post {
    /// Boxes of the run that are not stored yet.
    left: std::collections::BTreeMap<BoxId, SealedBox>,
    /// Where the run lies.
    pointer: xchat_pigeonhole::RunPointer,
    /// The entry as sealed last.
    entry: Option<SealedBox>,
    /// The box that it was last given to the network for, in this life.
    writing: Option<BoxId>,
    /// It stands in the lane.
    placed: bool,
}
