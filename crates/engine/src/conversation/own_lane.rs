//! Our own lane: records into boxes, boxes to the network.

use xchat_base::Wire;
use xchat_pigeonhole::SealedBox;
use xchat_pigeonhole::outcome::WriteOutcome;

use super::{Conversation, Purpose};
use crate::api::Alert;
use crate::keys;
use crate::record::{self, Batch, Record};
use crate::turn::Turn;

/// Boxes written but not acknowledged. Two, so that the second one travels while the first is being
/// answered, and what is typed meanwhile is coalesced into the next.
const MAX_UNACKNOWLEDGED: usize = 2;

/// Boxes acknowledged but not confirmed, and the rest: a bound when no check is answered for long.
const MAX_FLIGHTS: usize = 32;

/// A box of our own lane that is not confirmed yet.
pub(super) struct Flight {
    pub(super) boxed: SealedBox,
    /// Records up to this number lie in this box or before it.
    pub(super) last_seq: u64,
    pub(super) acknowledged: bool,
}

impl Conversation {
    /// Moves everything on that can move: the renewal of keys, waiting records, the check.
    pub(super) fn pump(&mut self, turn: &mut Turn<'_>) {
        self.advance_epoch(turn);
        self.begin_commit_if_due(turn);
        while self.may_seal() && self.outbox.unsealed().next().is_some() {
            let records = record::fill(self.outbox.unsealed());
            self.seal(turn, records);
        }
        self.check_if_unconfirmed(turn);
    }

    fn may_seal(&self) -> bool {
        let waiting = self.epoch.flights.values().filter(|flight| !flight.acknowledged).count();
        self.epoch.is_open()
            && waiting < MAX_UNACKNOWLEDGED
            && self.epoch.flights.len() < MAX_FLIGHTS
    }

    /// Encrypts records into the next box of our lane, keeps it, and sends it on its way.
    pub(super) fn seal(&mut self, turn: &mut Turn<'_>, records: Vec<Record>) {
        let last_seq = records.iter().map(|record| record.seq).max().unwrap_or(0);
        let last_seq = last_seq.max(self.outbox.sealed_up_to);
        let batch = Batch { records }.to_wire();
        let Ok(message) = self.group.encrypt(turn.rng, &batch) else {
            // Only a group that we were removed from cannot encrypt; records stay where they are.
            return;
        };
        let lane = &mut self.epoch.own;
        let index = lane.index();
        let boxed = lane
            .keys()
            .seal(turn.rng, &message)
            .expect("MAX_BATCH_LEN leaves room for the MLS framing, as its test shows");
        lane.advance();
        self.outbox.sealed_up_to = last_seq;
        self.dirty = true;
        self.launch(turn, index, Flight { boxed, last_seq, acknowledged: false });
    }

    fn launch(&mut self, turn: &mut Turn<'_>, index: u64, flight: Flight) {
        let mut value = flight.last_seq.to_be_bytes().to_vec();
        value.extend_from_slice(&flight.boxed.to_bytes());
        turn.put(keys::flight(self.id, index), value);
        self.ids.insert(flight.boxed.id(), Purpose::Own(index));
        turn.write(flight.boxed.clone());
        self.epoch.flights.insert(index, flight);
    }

    /// After a restart: writes are idempotent, so all are asked for again.
    pub(super) fn resume_flights(&mut self, turn: &mut Turn<'_>) {
        for (index, flight) in &self.epoch.flights {
            self.ids.insert(flight.boxed.id(), Purpose::Own(*index));
            turn.write(flight.boxed.clone());
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
            WriteOutcome::Stored => flight.acknowledged = true,
            // Expired: written long ago and acknowledged to a device state that was lost since;
            // the records go into a fresh box, and the reader drops what it has seen.
            WriteOutcome::Exists(_) | WriteOutcome::Expired => self.slot_taken(turn, index),
        }
    }

    /// Somebody wrote into our lane. Only the other member can, and only against the protocol: a
    /// pair's lane has one writer. What lay in this box and after it is sealed again further on.
    fn slot_taken(&mut self, turn: &mut Turn<'_>, index: u64) {
        self.alert(turn, Alert::Unreadable);
        let before = self.epoch.flights.range(..index).next_back();
        let confirmed = self.outbox.records.keys().next().map_or(self.outbox.last_seq, |s| s - 1);
        let sealed_up_to = before.map_or(confirmed, |(_, flight)| flight.last_seq);
        for (index, flight) in self.epoch.flights.split_off(&index) {
            self.ids.remove(&flight.boxed.id());
            turn.delete(keys::flight(self.id, index));
        }
        self.outbox.sealed_up_to = sealed_up_to;
        self.marker_lost(index);
        self.dirty = true;
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
