//! One decoy: two people who talk to each other, and are both this client.
//!
//! It asks the network for what `xchat-engine` asks for when two people say the same at the same times (spec 04, 4.7 to
//! 4.11): their lanes are followed alike, what waits is put into one box, receipts go back, each acknowledged box is followed by a look
//! at the commit lane, and keys are renewed, with the run, the entry, the marker and the drains of a change of epoch.
//! The numbers are the engine's. Nothing is in the boxes.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use xchat_base::{Rng, Timestamp, random};
use xchat_pigeonhole::{BoxId, Handed, Ticket};

use super::lane::DecoyLane;
use super::side::{CHECK_PERIOD, Content, Side, check_after};
use crate::api::{NEXT, Urgency};
use crate::rhythm::{Line, Rhythm};

/// Boxes followed ahead of a lane in use, and of one at rest.
const AHEAD: (u8, u8) = (16, NEXT);

/// Of the boxes that are followed in a row, those that are registered.
pub(super) const REGISTERED: usize = NEXT as usize;

/// A lane rests after so long without a line.
const ACTIVE_FOR: Duration = Duration::from_secs(3600);

/// Boxes of one lane written but not acknowledged; what comes meanwhile goes into the next.
const MAX_UNACKNOWLEDGED: usize = 2;

/// A receipt waits this long at least, and at most so much longer.
const RECEIPT_DELAY: (Duration, Duration) =
    (Duration::from_millis(500), Duration::from_millis(2_500));

/// The same within [`TALK`] of another receipt.
const RECEIPT_DELAY_IN_A_TALK: (Duration, Duration) =
    (Duration::from_secs(5), Duration::from_secs(5));

/// So long after a receipt a talk goes on.
const TALK: Duration = Duration::from_secs(30);

/// After a start each side reads the next box that it writes, as a conversation does, which finds out by it whether it was put back from an
/// old copy. Not at once: stores do not see when a program starts.
const PROVEN_WITHIN: Duration = Duration::from_secs(3600);

/// No receipt waits longer than this.
const RECEIPT_WITHIN: Duration = Duration::from_secs(10);

/// Keys are renewed after so many boxes of one's own in an epoch, when it is one's turn; otherwise after twice as many.
const UPDATE_AFTER_BOXES: u64 = 48;

/// And with the first box of one's own after so long in one epoch, when it is one's turn.
const UPDATE_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Boxes of the run of a commit.
const RUN: usize = 3;

/// What is due for longer was due while the device slept.
const LATE: Duration = Duration::from_secs(300);

/// Counts that no decoy reaches.
const MOST: u64 = 1 << 32;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    /// A box of this side's lane in this epoch, at this place.
    Own(usize, u64, u64),
    Run,
    Entry,
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// The commit lane's next box, by this side in this epoch.
    Look(usize, u64),
    Run,
    /// The next box of the lane that this side reads, at this place.
    Drain(usize, u64),
    /// The next box of the lane that this side writes, after a start.
    Proof,
}

/// What a decoy wants.
pub(super) enum Ask {
    /// The box at this place of a lane.
    Write(DecoyLane, Wrote),
    Read(BoxId, Reads),
    /// By this side.
    Follow(BoxId, Urgency, usize),
    Unfollow(BoxId),
}

/// What has become of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Happened {
    Written(Wrote),
    /// And whether there was something.
    Read(Reads, bool),
    Arrived(BoxId),
}

/// A change of epoch, from the first box of its run on.
#[derive(Serialize, Deserialize)]
struct Change {
    by: usize,
    run: DecoyLane,
    /// Boxes of the run that are not written yet.
    unwritten: usize,
    /// Its writer knows that the entry stands, writes nothing more, and reads the other's lane to its end.
    stands: bool,
    /// The other one has found the entry.
    found: bool,
    /// Boxes of the run that the other one has not read. Then it writes nothing more either, and reads its lane to the end too.
    unread: usize,
    drained: [bool; 2],
}

/// Two people who are both this client.
#[derive(Serialize, Deserialize)]
pub(super) struct Talk {
    sides: [Side; 2],
    epoch: u64,
    since: Timestamp,
    commits: DecoyLane,
    /// The box at its front.
    entry: BoxId,
    change: Option<Change>,
    rhythm: Rhythm,
    line: Line,
    /// Lines written so far.
    #[cfg(test)]
    #[serde(skip)]
    pub(super) lines: u64,
}

impl Talk {
    /// Two who have said nothing yet, and know each other for some time.
    pub(super) fn new(
        mut rhythm: Rhythm,
        now: Timestamp,
        rng: &mut Rng,
        out: &mut Vec<Ask>,
    ) -> Self {
        let lanes = [DecoyLane::new(rng), DecoyLane::new(rng)];
        let mut side = |own: usize| {
            let next_check = now + CHECK_PERIOD.mul_f64(random::unit(rng));
            Side::new(&lanes[own], &lanes[1 - own], next_check)
        };
        let sides = [side(0), side(1)];
        let line = rhythm.next(now, rng);
        let epoch = random::index(rng, 2) as u64;
        let commits = DecoyLane::new(rng);
        let mut talk = Self {
            sides,
            epoch,
            since: now,
            entry: commits.id(),
            commits,
            change: None,
            rhythm,
            line,
            #[cfg(test)]
            lines: 0,
        };
        (0..2).for_each(|side| talk.look_ahead(side, now, out));
        talk
    }

    /// It is not new: its keys are of any age.
    pub(super) fn has_been_going_on(&mut self, rng: &mut Rng) {
        self.since = self.since - UPDATE_AFTER.mul_f64(random::unit(rng));
    }

    /// Goes on after a start of the program, as a conversation does: what is at the front of its lanes is followed, the commit
    /// lane is looked at, and what had no answer is asked for again. Nobody has said anything meanwhile.
    pub(super) fn resume(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Ask>) {
        self.set_clock(now, rng);
        for own in 0..2 {
            let side = &mut self.sides[own];
            side.standing.clear();
            (side.look, side.look_again) = (None, false);
            side.followed = side.reading.clone();
            let ask = |(place, lane): (&u64, &DecoyLane)| {
                Ask::Write(lane.clone(), Wrote::Own(own, self.epoch, *place))
            };
            out.extend(side.under_way.iter().map(ask));
            let proof = now + PROVEN_WITHIN.mul_f64(random::unit(rng));
            side.proof_due = Some(proof);
            self.look_ahead(own, now, out);
        }
        if let Some(change) = &mut self.change {
            (change.found, change.unread, change.drained) = (false, RUN, [false; 2]);
            match change {
                Change { stands: true, by, .. } => {
                    let by = *by;
                    self.drain(by, out);
                }
                Change { unwritten: 0, .. } => {
                    out.push(Ask::Write(self.commits.clone(), Wrote::Entry));
                }
                Change { run, unwritten, .. } => {
                    *unwritten = RUN;
                    write_run(run, out);
                }
            }
        }
        (0..2).for_each(|side| self.look(side, out));
        self.pump(now, rng, out);
    }

    /// Whether it can be, once it was read from bytes.
    pub(super) fn is_sound(&self) -> bool {
        let counted = |side: &Side| {
            let indices = [&side.reading, &side.writing, &side.followed].map(DecoyLane::index);
            indices.into_iter().chain([side.texts as u64, side.receipts as u64]).all(|n| n < MOST)
        };
        let sides = self.sides.iter().all(counted) && self.line.side < 2;
        let changes = |change: &Change| change.by < 2 && change.unwritten.max(change.unread) <= RUN;
        self.change.as_ref().is_none_or(changes)
            && sides
            && self.epoch < MOST
            && self.rhythm.is_sound()
    }

    /// The clock may have been set back since, and who was to say something while the program was off has not said it.
    fn set_clock(&mut self, now: Timestamp, rng: &mut Rng) {
        self.since = self.since.min(now);
        for side in &mut self.sides {
            side.next_check = now + check_after(rng);
            side.last_activity = side.last_activity.map(|at| at.min(now));
            side.receipted_at = side.receipted_at.min(now);
            side.receipt_due = side.receipt_due.map(|due| due.min(now + RECEIPT_WITHIN));
        }
        if !self.rhythm.is_within_a_sitting(&self.line, now) {
            self.line = self.rhythm.begin_anew(now, rng);
        }
    }

    /// Boxes that are followed.
    pub(super) fn standing(&self) -> impl Iterator<Item = &BoxId> {
        self.sides.iter().flat_map(|side| side.standing.values())
    }

    /// Places of the read set that they take.
    pub(super) fn taken(&self) -> usize {
        self.sides.iter().map(|side| side.standing.len().min(REGISTERED)).sum()
    }

    /// How the two talk.
    pub(super) fn rhythm(&self) -> &Rhythm {
        &self.rhythm
    }

    /// Their rhythm becomes another. What they are at goes on, and what is due is said.
    pub(super) fn change(
        &mut self,
        other: impl FnOnce(&mut Rhythm),
        now: Timestamp,
        rng: &mut Rng,
    ) {
        let how_often = |rhythm: &Rhythm| (rhythm.sittings_a_day(), rhythm.lines_a_day_at_once());
        let before = how_often(&self.rhythm);
        other(&mut self.rhythm);
        let is_other = how_often(&self.rhythm) != before;
        if is_other && self.rhythm.begins() && self.line.at > now {
            self.line = self.rhythm.begin_anew(now, rng);
        }
    }

    /// When [`Self::tick`] wants to be called.
    pub(super) fn wake(&self) -> Timestamp {
        let due = self.sides.iter().flat_map(|side| [side.receipt_due, side.proof_due]);
        let checks = self.sides.iter().map(|side| side.next_check);
        due.flatten().chain(checks).fold(self.line.at, Timestamp::min)
    }

    /// What is due by the clock.
    pub(super) fn tick(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Ask>) {
        // Each at its time, and not at that of the slot: a talk would otherwise go on more slowly than its people, by as much for each line.
        while let Some(due) = self.next_said().filter(|due| due.at <= now) {
            // A line that was due while the device slept is said now, once, as whatever its owner typed.
            let at = if now.since(due.at) < LATE { due.at } else { now };
            if due == self.line {
                self.say(due.side, at, rng);
            } else {
                self.sides[due.side].receipt(at);
            }
            self.pump(at, rng, out);
        }
        for side in &mut self.sides {
            if side.proof_due.take_if(|due| *due <= now).is_some() {
                out.push(Ask::Read(side.writing.id(), Reads::Proof));
            }
        }
        for side in 0..2 {
            if self.sides[side].next_check <= now {
                self.sides[side].next_check = now + check_after(rng);
                self.look(side, out);
            }
        }
        self.pump(now, rng, out);
    }

    /// The next line or receipt, and whose it is.
    fn next_said(&self) -> Option<Line> {
        let due = |side: usize| self.sides[side].receipt_due.map(|at| Line { at, side });
        (0..2).filter_map(due).chain([self.line]).min_by_key(|due| due.at)
    }

    /// The line that is due, with the receipt that waits.
    fn say(&mut self, side: usize, at: Timestamp, rng: &mut Rng) {
        let side = &mut self.sides[side];
        if side.receipt_due.is_some() {
            side.receipt(at);
        }
        side.texts += 1;
        side.last_activity = Some(at);
        self.line = self.rhythm.next(at, rng);
        #[cfg(test)]
        {
            self.lines += 1;
        }
    }

    /// Something that was asked for has ended.
    pub(super) fn handle(
        &mut self,
        happened: Happened,
        now: Timestamp,
        rng: &mut Rng,
        out: &mut Vec<Ask>,
    ) {
        match happened {
            // Of the present epoch: what the last one still had under way counts no more.
            Happened::Written(Wrote::Own(side, epoch, place)) if epoch == self.epoch => {
                let one = &mut self.sides[side];
                one.under_way.remove(&place);
                one.told.remove(&place);
                if self.has_more(1 - side) {
                    self.read_on(1 - side, now, rng, out);
                }
            }
            Happened::Written(Wrote::Own(..)) => {}
            Happened::Written(Wrote::Run) => self.run_stored(out),
            Happened::Written(Wrote::Entry) => self.close(out),
            Happened::Read(Reads::Look(side, epoch), found) if epoch == self.epoch => {
                self.looked(side, found, out);
            }
            Happened::Read(Reads::Run, _) => self.run_read(out),
            Happened::Read(Reads::Drain(side, place), _) => self.drained(side, place, out),
            Happened::Read(Reads::Look(..) | Reads::Proof, _) => {}
            Happened::Arrived(id) => self.arrived(&id, now, rng, out),
        }
        self.pump(now, rng, out);
    }

    /// Moves everything on that can move.
    fn pump(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Ask>) {
        self.enter_next_epoch(now, rng, out);
        self.begin_commit_if_due(now, rng, out);
        for side in 0..2 {
            let one = &self.sides[side];
            let waits = one.texts + one.receipts > 0;
            if waits && self.writes(side) && one.under_way.len() < MAX_UNACKNOWLEDGED {
                self.seal(side, false, out);
            }
            let one = &self.sides[side];
            if one.look.is_none() && one.acknowledged() > one.confirmed {
                self.look(side, out);
            }
        }
    }

    /// Whether this side goes on writing in this epoch.
    fn writes(&self, side: usize) -> bool {
        let ended =
            |change: &Change| if side == change.by { change.stands } else { change.unread == 0 };
        !self.change.as_ref().is_some_and(ended)
    }

    /// Whether this side knows that the epoch has ended.
    fn is_closed(&self, side: usize) -> bool {
        let knows = |change: &Change| if side == change.by { change.stands } else { change.found };
        self.change.as_ref().is_some_and(knows)
    }

    /// The next box of a side's lane, with all that waits for it.
    fn seal(&mut self, side: usize, marker: bool, out: &mut Vec<Ask>) {
        let one = &mut self.sides[side];
        let (here, place) = (one.writing.clone(), one.writing.index());
        let (text, receipt) = (!marker && one.texts > 0, !marker && one.receipts > 0);
        one.written.insert(place, Content { text, receipt, marker, tickets: None });
        one.writing.advance();
        if !marker {
            one.last_text = if text { Some(place) } else { one.last_text };
            one.last_receipt = if receipt { Some(place) } else { one.last_receipt };
            (one.texts, one.receipts) = (0, 0);
        }
        out.push(Ask::Write(here.clone(), Wrote::Own(side, self.epoch, place)));
        one.under_way.insert(place, here);
    }

    /// A box of this side's is on its way: with it go tickets for the other, if it was sealed just now.
    pub(super) fn hand(&mut self, side: usize, place: u64, hand_out: impl FnOnce() -> Handed) {
        self.sides[side].hand(place, hand_out);
    }

    /// What is written takes one of those that the other has handed to its writer, the last that came.
    pub(super) fn take_ticket(&mut self, what: Wrote, now: Timestamp) -> Option<Ticket> {
        let (by, place) = match what {
            Wrote::Own(side, _, place) => (side, Some(place)),
            Wrote::Run | Wrote::Entry => (self.change.as_ref()?.by, None),
        };
        self.sides[by].take_ticket(place, now)
    }

    /// Reads the commit lane's next box, unless this side knows already what is there.
    fn look(&mut self, side: usize, out: &mut Vec<Ask>) {
        if self.is_closed(side) {
            return;
        }
        let one = &mut self.sides[side];
        if one.look.is_some() {
            one.look_again = true;
            return;
        }
        one.look = Some(one.acknowledged());
        out.push(Ask::Read(self.entry, Reads::Look(side, self.epoch)));
    }

    fn looked(&mut self, side: usize, found: bool, out: &mut Vec<Ask>) {
        let one = &mut self.sides[side];
        let Some(look) = one.look.take() else { return };
        let again = core::mem::take(&mut one.look_again);
        // One that stands without a run of ours is of a later life of this decoy, of which nothing was kept.
        let is_ours =
            self.change.as_ref().is_some_and(|change| change.stands || change.unwritten == 0);
        if found && is_ours {
            return self.entry_found(side, out);
        }
        one.confirmed = one.confirmed.max(look);
        if again {
            self.look(side, out);
        }
    }

    // --- reading --------------------------------------------------------------------------------

    fn arrived(&mut self, id: &BoxId, now: Timestamp, rng: &mut Rng, out: &mut Vec<Ask>) {
        for reader in 0..2 {
            let side = &mut self.sides[reader];
            let before = side.standing.len();
            side.standing.retain(|_, followed| followed != id);
            if side.standing.len() < before {
                self.read_on(reader, now, rng, out);
            }
        }
    }

    /// Whether the next box of the lane that this side reads has arrived. After a crash it may have before its writer knows of it,
    /// who then writes it again.
    fn has_more(&self, reader: usize) -> bool {
        let (side, writer) = (&self.sides[reader], &self.sides[1 - reader]);
        let place = side.reading.index();
        place < side.followed.index()
            && !side.standing.contains_key(&place)
            && place < writer.writing.index()
    }

    /// Reads the boxes that have arrived, up to the first that has not.
    fn read_on(&mut self, reader: usize, now: Timestamp, rng: &mut Rng, out: &mut Vec<Ask>) {
        while self.has_more(reader) {
            let place = self.sides[reader].reading.index();
            self.sides[reader].reading.advance();
            let content = self.sides[1 - reader].written.remove(&place);
            let side = &mut self.sides[reader];
            let Some(Content { text, receipt, marker, tickets }) = content else { continue };
            side.hold(tickets.unwrap_or_default());
            if text {
                let in_a_talk = now.since(side.receipted_at) < TALK;
                let (least, spread) =
                    if in_a_talk { RECEIPT_DELAY_IN_A_TALK } else { RECEIPT_DELAY };
                let delay = least + spread.mul_f64(random::unit(rng));
                side.receipt_due.get_or_insert(now + delay);
                side.last_activity = Some(now);
            }
            if receipt {
                side.receipted();
            }
            if marker {
                self.look(reader, out);
            }
        }
        self.look_ahead(reader, now, out);
    }

    /// Follows as many boxes ahead of the reader as the lane's use wants, and says how far ahead each is now.
    fn look_ahead(&mut self, reader: usize, now: Timestamp, out: &mut Vec<Ask>) {
        let side = &mut self.sides[reader];
        let active = side.last_activity.is_some_and(|last| now.since(last) < ACTIVE_FOR);
        let window = if active { AHEAD.0 } else { AHEAD.1 };
        let next = side.reading.index();
        // The last of those that have come before their turn.
        let early = |place: &u64| !side.standing.contains_key(place);
        let arrived = (next..side.followed.index()).rev().find(early).unwrap_or(0);
        for ahead in 0..window {
            let place = next + u64::from(ahead);
            let urgency =
                if place < arrived { Urgency::Overdue } else { Urgency::of(active, ahead) };
            if place >= side.followed.index() {
                side.standing.insert(place, side.followed.id());
                side.followed.advance();
            }
            out.extend(side.standing.get(&place).map(|id| Ask::Follow(*id, urgency, reader)));
        }
    }

    // --- renewing keys --------------------------------------------------------------------------

    fn begin_commit_if_due(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Ask>) {
        if self.change.is_some() {
            return;
        }
        let old = now.since(self.since) >= UPDATE_AFTER;
        let due = |side: usize| {
            let one = &self.sides[side];
            let ours = (self.epoch + side as u64).is_multiple_of(2);
            let after = if ours { UPDATE_AFTER_BOXES } else { 2 * UPDATE_AFTER_BOXES };
            one.writing.index() >= after || (old && ours && one.texts + one.receipts > 0)
        };
        let Some(by) = (0..2).find(|side| due(*side)) else { return };
        let run = DecoyLane::new(rng);
        write_run(&run, out);
        self.change = Some(Change {
            by,
            run,
            unwritten: RUN,
            stands: false,
            found: false,
            unread: RUN,
            drained: [false; 2],
        });
    }

    fn run_stored(&mut self, out: &mut Vec<Ask>) {
        let Some(change @ Change { unwritten: 1.., .. }) = &mut self.change else { return };
        change.unwritten -= 1;
        if change.unwritten == 0 {
            out.push(Ask::Write(self.commits.clone(), Wrote::Entry));
        }
    }

    /// The entry stands: its writer says so in its lane, and reads the other's to the end.
    fn close(&mut self, out: &mut Vec<Ask>) {
        let Some(change @ Change { stands: false, .. }) = &mut self.change else { return };
        change.stands = true;
        let by = change.by;
        self.seal(by, true, out);
        self.drain(by, out);
    }

    /// A side has found the entry: its writer before it was told that it stands, or the other one, who reads the run.
    fn entry_found(&mut self, side: usize, out: &mut Vec<Ask>) {
        let Some(change) = &mut self.change else { return };
        if side == change.by {
            self.close(out);
        } else if !change.found {
            change.found = true;
            let run = |place| Ask::Read(change.run.id_ahead(place as u16), Reads::Run);
            out.extend((0..RUN).map(run));
        }
    }

    fn run_read(&mut self, out: &mut Vec<Ask>) {
        let Some(change @ Change { found: true, unread: 1.., .. }) = &mut self.change else {
            return;
        };
        change.unread -= 1;
        if change.unread == 0 {
            let other = 1 - change.by;
            self.drain(other, out);
        }
    }

    fn drain(&mut self, side: usize, out: &mut Vec<Ask>) {
        let reading = &self.sides[side].reading;
        out.push(Ask::Read(reading.id(), Reads::Drain(side, reading.index())));
    }

    fn drained(&mut self, side: usize, place: u64, out: &mut Vec<Ask>) {
        let further = self.sides[side].reading.index() != place;
        let Some(change) = &mut self.change else { return };
        change.drained[side] = !further;
        if further {
            self.drain(side, out);
        }
    }

    /// When all is read and the marker stands.
    fn enter_next_epoch(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Ask>) {
        let Some(Change { by, drained: [true, true], .. }) = self.change else { return };
        if !self.sides[by].under_way.is_empty() {
            return;
        }
        self.change = None;
        self.epoch += 1;
        self.since = now;
        self.commits = DecoyLane::new(rng);
        self.entry = self.commits.id();
        let lanes = [DecoyLane::new(rng), DecoyLane::new(rng)];
        for (own, side) in self.sides.iter_mut().enumerate() {
            let gone = core::mem::take(&mut side.standing).into_values();
            out.extend(gone.map(Ask::Unfollow));
            (side.writing, side.reading) = (lanes[own].clone(), lanes[1 - own].clone());
            side.followed = side.reading.clone();
            side.unseal();
        }
        (0..2).for_each(|side| self.look_ahead(side, now, out));
        (0..2).for_each(|side| self.look(side, out));
    }
}

/// What tests look at.
#[cfg(test)]
use xchat_pigeonhole::Dated;

#[cfg(test)]
impl Talk {
    /// The next box of each lane.
    pub(super) fn fronts(&self) -> [BoxId; 2] {
        [0, 1].map(|side: usize| self.sides[side].reading.id())
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// When the epoch began.
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    pub(super) fn next_line(&self) -> Timestamp {
        self.line.at
    }

    /// The other side has handed this one a ticket.
    pub(super) fn give(&mut self, side: usize, dated: Dated) {
        self.sides[side].held.push(dated);
    }

    /// Whose the next line is.
    pub(super) fn next_side(&self) -> usize {
        self.line.side
    }

    /// A side says one more line; its box.
    pub(super) fn say_for(
        &mut self,
        side: usize,
        now: Timestamp,
        rng: &mut Rng,
        out: &mut Vec<Ask>,
    ) -> BoxId {
        let id = self.sides[side].writing.id();
        self.sides[side].texts += 1;
        self.pump(now, rng, out);
        id
    }

    /// Whether the last box of a side has a text, and whether a receipt.
    pub(super) fn last_written(&self, side: usize) -> Option<(bool, bool)> {
        let last = self.sides[side].written.values().next_back()?;
        Some((last.text, last.receipt))
    }

    /// Who renews its keys.
    pub(super) fn renews(&self) -> Option<usize> {
        self.change.as_ref().map(|change| change.by)
    }
}

fn write_run(run: &DecoyLane, out: &mut Vec<Ask>) {
    let mut run = run.clone();
    for _ in 0..RUN {
        out.push(Ask::Write(run.clone(), Wrote::Run));
        run.advance();
    }
}
