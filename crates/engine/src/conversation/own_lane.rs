//! Our own lane: records into boxes, boxes to the network.

use xchat_base::Wire;
use xchat_e2ee::MessageError;
use xchat_pigeonhole::outcome::WriteOutcome;
use xchat_pigeonhole::{SealedBox, Ticket};

use super::epoch::Epoch;
use super::{Conversation, EpochGroup, Purpose};
use crate::api::Alert;
use crate::keys;
use crate::record::{self, Batch, Record, Tickets};
use crate::turn::Turn;

/// Boxes written but not acknowledged. Two, so that the second one travels while the first is being
/// answered, and what is typed meanwhile is coalesced into the next.
const MAX_UNACKNOWLEDGED: usize = 2;

/// Boxes acknowledged but not confirmed, and the rest: a bound when no check is answered for long.
const MAX_FLIGHTS: usize = 32;

/// A box of our own lane that is not confirmed yet.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) struct Flight {
    pub(super) boxed: SealedBox,
    /// Records up to this number lie in this box or before it.
    pub(super) last_seq: u64,
    pub(super) acknowledged: bool,
    /// By which its reader is to be told of it.
    pub(super) ticket: Option<Ticket>,
}

impl Flight {
    pub(super) fn to_stored(&self) -> Vec<u8> {
        let mut value = self.last_seq.to_be_bytes().to_vec();
        value.extend_from_slice(self.boxed.as_bytes());
        value.extend(self.ticket.iter().flat_map(Ticket::expose));
        value
    }
}

impl<G: EpochGroup> Conversation<G> {
    /// Moves everything on that can move: the renewal of keys, waiting records, the check.
    pub(super) fn pump(&mut self, turn: &mut Turn<'_>) {
        self.conclude(turn);
        self.rejoin_step(turn);
        self.advance_epoch(turn);
        self.begin_commit_if_due(turn);
        while self.may_seal() && self.outbox.unsealed().next().is_some() {
            let records = record::fill(self.outbox.unsealed());
            if !self.seal(turn, records) {
                break;
            }
        }
        self.check_if_unconfirmed(turn);
    }

    fn may_seal(&self) -> bool {
        let waiting = self.epoch.flights.values().filter(|flight| !flight.acknowledged).count();
        self.is_fit_to_write()
            && self.epoch.is_open()
            && waiting < MAX_UNACKNOWLEDGED
            && self.epoch.flights.len() < MAX_FLIGHTS
    }

    /// Encrypts records into the next box of our lane, keeps it, and sends it on its way. False if
    /// nothing can be encrypted: we were removed from the group. Records stay where they are.
    pub(super) fn seal(&mut self, turn: &mut Turn<'_>, mut records: Vec<Record>) -> bool {
        let handed = turn.hand_out(self.id, Tickets::room_beside(&records));
        if !handed.tickets.is_empty() {
            records.push(Tickets::new(handed).to_record());
        }
        let last_seq = records.iter().map(|record| record.seq).max().unwrap_or(0);
        let last_seq = last_seq.max(self.outbox.sealed_up_to);
        let batch = Batch { records }.to_wire();
        let Ok(message) = self.group.encrypt(turn.rng, &batch) else { return false };
        let lane = &mut self.epoch.own;
        let index = lane.index();
        let boxed = lane
            .keys()
            .seal(turn.rng, &message)
            .expect("MAX_BATCH_LEN leaves room for the MLS framing, as its test shows");
        lane.advance();
        self.outbox.sealed_up_to = last_seq;
        self.dirty = true;
        let ticket = self.held.take(turn.now);
        self.launch(turn, index, Flight { boxed, last_seq, acknowledged: false, ticket });
        true
    }

    fn launch(&mut self, turn: &mut Turn<'_>, index: u64, flight: Flight) {
        turn.put(keys::flight(self.id, index), flight.to_stored());
        self.ids.insert(flight.boxed.id(), Purpose::Own(index));
        turn.write_told(flight.boxed.clone(), flight.ticket.clone());
        self.epoch.flights.insert(index, flight);
    }

    /// After a restart: writes are idempotent, so all are asked for again.
    pub(super) fn resume_flights(&mut self, turn: &mut Turn<'_>) {
        for (index, flight) in &self.epoch.flights {
            self.ids.insert(flight.boxed.id(), Purpose::Own(*index));
            turn.write_told(flight.boxed.clone(), flight.ticket.clone());
        }
    }

    pub(super) fn own_box_written(
        &mut self,
        turn: &mut Turn<'_>,
        index: u64,
        outcome: WriteOutcome,
    ) {
        let Some(flight) = self.epoch.flights.get_mut(&index) else { return };
        match outcome {
            WriteOutcome::Stored => {
                flight.acknowledged = true;
                if self.doubt.is_some_and(|sure| flight.last_seq > sure) {
                    self.end_doubt(turn);
                }
            }
            // Another life of this device was here; or we were off for so long that nobody can say
            // whether the other side has read this box.
            WriteOutcome::Exists(other) if self.is_ours(index, &other) => self.must_rejoin(turn),
            WriteOutcome::Expired => self.must_rejoin(turn),
            WriteOutcome::Exists(_) => self.slot_taken(turn, index),
        }
    }

    /// Whether we, in another life, wrote this box of our lane.
    fn is_ours(&mut self, index: u64, boxed: &SealedBox) -> bool {
        // A driver that is broken on purpose is to be noticed by what is lost, not by this.
        if self.is_modelled() {
            return false;
        }
        let mut lane = Epoch::own_lane(&self.group);
        while lane.index() < index {
            lane.advance();
        }
        let message = lane.keys().open(boxed);
        message.is_ok_and(|message| self.group.decrypt(&message) == Err(MessageError::Own))
    }

    /// Somebody wrote into our lane. Only the other member can, and only against the protocol: a
    /// pair's lane has one writer. The box counts as passed, because a reader passes it; what we had
    /// sealed for it goes into a later one, under fresh numbers: boxes behind it may be read already.
    fn slot_taken(&mut self, turn: &mut Turn<'_>, index: u64) {
        self.alert(turn, Alert::Unreadable);
        let before = self.epoch.flights.range(..index).next_back();
        let confirmed = self.outbox.records.keys().next().map_or(self.outbox.last_seq, |s| s - 1);
        let before = before.map_or(confirmed, |(_, flight)| flight.last_seq);
        let Some(flight) = self.epoch.flights.get_mut(&index) else { return };
        let displaced = before + 1..=flight.last_seq;
        flight.acknowledged = true;
        flight.last_seq = flight.last_seq.min(before);
        turn.put(keys::flight(self.id, index), flight.to_stored());
        self.renumber(turn, displaced);
    }

    /// Up to which record, and box, our lane is acknowledged without a gap: a reader who drains the
    /// lane stops at the first empty box, so what lies behind a gap is not safe.
    pub(super) fn acknowledged_prefix(&self) -> Option<(u64, u64)> {
        self.epoch
            .flights
            .iter()
            .take_while(|(_, flight)| flight.acknowledged)
            .last()
            .map(|(index, flight)| (*index, flight.last_seq))
    }

    /// The check came back `Empty`: boxes up to `index` will be read by whoever ends this epoch.
    pub(super) fn confirm_boxes(&mut self, turn: &mut Turn<'_>, index: u64, seq: u64) {
        let rest = self.epoch.flights.split_off(&(index + 1));
        for (index, flight) in std::mem::replace(&mut self.epoch.flights, rest) {
            self.ids.remove(&flight.boxed.id());
            turn.delete(keys::flight(self.id, index));
        }
        self.confirm(turn, seq);
    }
}
