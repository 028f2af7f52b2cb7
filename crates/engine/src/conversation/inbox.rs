//! The others' lanes: boxes into records, records into history.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xchat_base::{Timestamp, Wire, random};
use xchat_pigeonhole::outcome::ReadOutcome;
use xchat_pigeonhole::{BoxId, Lane, SealedBox};

use super::mutation::Mutation;
use super::{Conversation, EpochGroup, Purpose};
use crate::api::{
    Alert, Content, Direction, Event, MAX_NAME_CHARS, MessageRow, MessageState, Notice, Urgency,
};
use crate::record::{Batch, Gap, MAX_RECORD_LEN, Profile, Receipt, Record, Text, kind};
use crate::turn::Turn;

/// Boxes followed ahead in a lane in use, and at rest. Three are registered at most; the others come by tickets (spec/08, 8.4).
const AHEAD_ACTIVE: u8 = 16;
const AHEAD_RESTING: u8 = NEXT;

/// Boxes of a lane that are registered, where any are: a writer without tickets may write so many before it has some.
const NEXT: u8 = 3;

/// A lane is in use for this long after the last message either way.
const ACTIVE_FOR: Duration = Duration::from_secs(3600);

/// A receipt waits this long at least, and up to so much longer: a prompt one tells when a phone is in a hand,
/// and one for many costs slots less.
const RECEIPT_DELAY: (Duration, Duration) =
    (Duration::from_millis(500), Duration::from_millis(2_500));

/// The same while a talk goes on. A receipt costs each side two slots, as many as a message.
const RECEIPT_DELAY_IN_A_TALK: (Duration, Duration) =
    (Duration::from_secs(5), Duration::from_secs(5));

/// So long after a receipt a talk goes on.
const TALK: Duration = Duration::from_secs(30);

/// A lane that we read.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) struct ReadLane {
    /// At the next box to be read.
    pub(super) lane: Lane,
    /// Boxes that came before their turn.
    pub(super) ahead: BTreeMap<u64, SealedBox>,
    /// Boxes below this index are followed.
    pub(super) followed: u64,
    /// Those of them that have not come, so that their ids are worked out once.
    waiting: BTreeMap<u64, BoxId>,
    /// While the epoch closes: the box whose linearizable read is under way.
    pub(super) draining: Option<u64>,
    /// While the epoch closes: the next box was `Empty` after the epoch's end was known.
    pub(super) drained: bool,
}

impl ReadLane {
    pub(super) fn new(lane: Lane) -> Self {
        let followed = lane.index();
        let (ahead, waiting) = (BTreeMap::new(), BTreeMap::new());
        Self { lane, ahead, followed, waiting, draining: None, drained: false }
    }
}

/// What we know of one sender's records.
#[derive(Default, Clone, Serialize, Deserialize)]
pub(super) struct Incoming {
    /// Records up to this number were taken in.
    pub(super) last_seq: u64,
    /// [`Record::digest`] of the last of them.
    pub(super) digest: [u8; 16],
    /// The parts of a record that goes on.
    pub(super) partial: Vec<u8>,
    /// Texts came since the last receipt; it is due then.
    pub(super) receipt_due: Option<Timestamp>,
}

impl<G: EpochGroup> Conversation<G> {
    /// Follows the next boxes of each lane.
    pub(super) fn follow_lanes(&mut self, turn: &mut Turn<'_>) {
        for lane in 0..self.epoch.reads.len() {
            self.follow_lane(turn, lane);
        }
    }

    /// Says of each box of the window how far ahead it is now, also of those that are followed already: when each is
    /// registered hangs on it.
    fn follow_lane(&mut self, turn: &mut Turn<'_>, number: usize) {
        let active = turn.now.since(self.last_activity) < ACTIVE_FOR;
        let window = if active { AHEAD_ACTIVE } else { AHEAD_RESTING };
        let reading = &mut self.epoch.reads[number];
        let next = reading.lane.index();
        reading.waiting.retain(|index, _| *index >= next && !reading.ahead.contains_key(index));
        let last = reading.ahead.last_key_value().map_or(0, |(index, _)| *index);
        for ahead in 0..window {
            let index = next + u64::from(ahead);
            if index >= reading.followed {
                let id = reading.lane.peek(ahead.into()).id();
                self.ids.insert(id, Purpose::Peer(number, index));
                reading.waiting.insert(index, id);
                reading.followed = index + 1;
            }
            if let Some(id) = reading.waiting.get(&index) {
                let urgency = if index < last { Urgency::Overdue } else { urgency(active, ahead) };
                turn.follow_told(*id, urgency, self.id);
            }
        }
    }

    pub(super) fn box_arrived(
        &mut self,
        turn: &mut Turn<'_>,
        number: usize,
        index: u64,
        boxed: SealedBox,
    ) {
        let reading = &mut self.epoch.reads[number];
        if index < reading.lane.index() {
            return;
        }
        reading.ahead.insert(index, boxed);
        self.read_on(turn, number);
    }

    /// Goes on reading where it was held up.
    pub(super) fn read_lanes(&mut self, turn: &mut Turn<'_>) {
        for number in 0..self.epoch.reads.len() {
            self.read_on(turn, number);
        }
    }

    /// Reads all boxes whose turn it is.
    fn read_on(&mut self, turn: &mut Turn<'_>, number: usize) {
        while !self.rejoin.is_told() {
            let reading = &mut self.epoch.reads[number];
            let next = reading.lane.index();
            let Some(boxed) = reading.ahead.remove(&next) else { break };
            let opened = reading.lane.keys().open(&boxed);
            reading.lane.advance();
            self.ids.remove(&boxed.id());
            self.dirty = true;
            match opened {
                Ok(message) => self.take_message(turn, &message),
                Err(_) => self.alert(turn, Alert::Unreadable),
            }
        }
        self.follow_lane(turn, number);
        self.drain(turn);
    }

    /// A linearizable read of a lane's next box, asked while the epoch closes.
    pub(super) fn drain_read(
        &mut self,
        turn: &mut Turn<'_>,
        number: usize,
        index: u64,
        outcome: ReadOutcome,
    ) {
        let reading = &mut self.epoch.reads[number];
        if reading.draining != Some(index) {
            // A followed box was there and is gone: we were away for longer than boxes live.
            if outcome == ReadOutcome::Expired && reading.lane.index() == index {
                self.lost(turn);
            }
            return;
        }
        reading.draining = None;
        match outcome {
            ReadOutcome::Found(boxed) => return self.box_arrived(turn, number, index, boxed),
            // The box came by another way while the answer was travelling.
            ReadOutcome::Empty if reading.lane.index() != index => {}
            ReadOutcome::Empty => reading.drained = true,
            // Gone before we came: passed, and told. What lies behind it may be there still.
            ReadOutcome::Expired => {
                reading.lane.advance();
                self.dirty = true;
                self.must_rejoin(turn);
                return self.read_on(turn, number);
            }
        }
        self.drain(turn);
    }

    /// One MLS message: from a lane's box, or the hello of a meeting.
    pub(crate) fn take_message(&mut self, turn: &mut Turn<'_>, message: &[u8]) {
        let decrypted = self.group.decrypt(message);
        let batch = decrypted
            .ok()
            .and_then(|(leaf, plaintext)| Some((leaf, Batch::from_wire(&plaintext).ok()?)));
        let Some((leaf, batch)) = batch else { return self.alert(turn, Alert::Unreadable) };
        for record in batch.records {
            if record.seq == 0 {
                self.lane_record(turn, &record);
            } else {
                self.sequenced_record(turn, leaf, record);
            }
        }
        self.dirty = true;
    }

    fn lane_record(&mut self, turn: &mut Turn<'_>, record: &Record) {
        match record.kind {
            kind::EPOCH_ENDED => self.check_commit_lane(turn),
            kind::TICKETS => self.take_tickets(record),
            _ => {}
        }
    }

    /// Takes a record in exactly once: numbers only grow.
    fn sequenced_record(&mut self, turn: &mut Turn<'_>, leaf: u32, record: Record) {
        let repeated = self.lacks(Mutation::TakeRepeated);
        let incoming = self.incoming.entry(leaf).or_default();
        if record.seq <= incoming.last_seq && !repeated {
            return;
        }
        if record.kind == kind::GAP {
            return self.take_gap(turn, leaf, &record);
        }
        let gap = record.seq != incoming.last_seq + 1;
        incoming.last_seq = record.seq;
        incoming.digest = record.digest();
        if gap {
            incoming.partial.clear();
        }
        let too_long = incoming.partial.len() + record.body.len() > MAX_RECORD_LEN;
        if too_long {
            incoming.partial.clear();
        } else {
            incoming.partial.extend_from_slice(&record.body);
        }
        let whole = (!record.more && !too_long).then(|| std::mem::take(&mut incoming.partial));
        if gap {
            self.alert(turn, Alert::Missed);
        }
        match whole {
            Some(body) => self.take_record(turn, leaf, record.kind, body),
            None if too_long => self.alert(turn, Alert::Unreadable),
            None => {}
        }
    }

    /// What the sender could not send again after a rejoin.
    fn take_gap(&mut self, turn: &mut Turn<'_>, leaf: u32, record: &Record) {
        let incoming = self.incoming.entry(leaf).or_default();
        let size = record.seq - incoming.last_seq;
        incoming.last_seq = record.seq;
        incoming.digest = record.digest();
        incoming.partial.clear();
        match Gap::from_wire(&record.body) {
            Ok(Gap { lost: 0 }) => {}
            Ok(Gap { lost }) => self.notice(turn, Notice::Missing { count: lost.min(size) }),
            Err(_) => self.alert(turn, Alert::Missed),
        }
    }

    /// Writes into the history what happened to the conversation.
    pub(super) fn notice(&mut self, turn: &mut Turn<'_>, notice: Notice) {
        let row = MessageRow {
            id: turn.row_id(),
            conversation: self.id,
            contact: self.contact,
            direction: Direction::In,
            content: Content::Notice(notice),
            sent_at: turn.now.as_millis(),
            state: MessageState::Received,
            number: 0,
        };
        turn.message(row);
    }

    fn take_record(&mut self, turn: &mut Turn<'_>, leaf: u32, kind: u16, body: Vec<u8>) {
        match kind {
            kind::TEXT => match Text::from_wire(&body) {
                Ok(text) => self.show(turn, leaf, Content::Text(text.text), text.sent_at),
                // A newer version of a kind that we know is like a kind that we do not know.
                Err(_) => self.show(turn, leaf, Content::Unknown { kind, body }, 0),
            },
            kind::RECEIPT => {
                if let Ok(receipt) = Receipt::from_wire(&body) {
                    self.receipt_came(turn, receipt.up_to);
                }
            }
            kind::PROFILE => {
                if let Ok(profile) = Profile::from_wire(&body) {
                    self.rename(turn, &profile.name);
                }
            }
            _ => self.show(turn, leaf, Content::Unknown { kind, body }, 0),
        }
    }

    fn show(&mut self, turn: &mut Turn<'_>, leaf: u32, content: Content, sent_at: u64) {
        let row = MessageRow {
            id: turn.row_id(),
            conversation: self.id,
            contact: self.contact,
            direction: Direction::In,
            content,
            sent_at: if sent_at == 0 { turn.now.as_millis() } else { sent_at },
            state: MessageState::Received,
            number: self.incoming.get(&leaf).map_or(0, |incoming| incoming.last_seq),
        };
        turn.message(row);
        self.last_activity = turn.now;
        let in_a_talk = turn.now.since(self.receipted_at) < TALK;
        let (least, spread) = if in_a_talk { RECEIPT_DELAY_IN_A_TALK } else { RECEIPT_DELAY };
        let delay = least + spread.mul_f64(random::unit(turn.rng));
        let incoming = self.incoming.entry(leaf).or_default();
        incoming.receipt_due.get_or_insert(turn.now + delay);
    }

    fn rename(&mut self, turn: &mut Turn<'_>, name: &str) {
        let name = clean_name(name);
        if !name.is_empty() && name != self.name {
            self.name = name;
            turn.event(Event::Contact(self.contact()));
        }
    }

    pub(super) fn receipt_due(&self) -> Option<Timestamp> {
        self.incoming.values().filter_map(|incoming| incoming.receipt_due).min()
    }

    /// Queues a receipt, if there is one for which this holds of its time.
    pub(super) fn queue_receipt(&mut self, turn: &mut Turn<'_>, now: impl Fn(Timestamp) -> bool) {
        let mut up_to = None;
        for incoming in self.incoming.values_mut() {
            if incoming.receipt_due.is_some_and(&now) {
                incoming.receipt_due = None;
                up_to = Some(incoming.last_seq);
            }
        }
        if let Some(up_to) = up_to {
            self.receipted_at = turn.now;
            self.queue(turn, kind::RECEIPT, &Receipt { up_to }.to_wire());
        }
    }
}

/// Of a box of a lane before which so many others are to come.
fn urgency(active: bool, ahead: u8) -> Urgency {
    match (active, ahead) {
        (true, 0..NEXT) => Urgency::Active(ahead),
        (false, 0) => Urgency::Resting,
        _ => Urgency::Ahead(ahead),
    }
}

/// A name as it may be shown: no control or direction characters that could imitate another line or
/// another person, trimmed and bounded.
pub(crate) fn clean_name(name: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let shown: String = name.chars().filter(|c| !hidden(*c)).take(MAX_NAME_CHARS).collect();
    shown.trim().to_owned()
}
