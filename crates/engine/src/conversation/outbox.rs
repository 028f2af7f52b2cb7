//! The outbox: what we said, until it cannot be lost any more.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use xchat_base::Wire;

use super::{Conversation, EpochGroup};
use crate::api::{Content, Direction, MessageRow, MessageState};
use crate::keys;
use crate::record::{self, Record, Text};
use crate::turn::Turn;

/// What we said and do not know to be safe, by sender sequence number.
#[derive(Default)]
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) struct Outbox {
    /// The last sequence number given out.
    pub(super) last_seq: u64,
    /// Not yet confirmed. A record leaves when a read of the commit lane that was posted after its
    /// box was acknowledged came back `Empty`.
    pub(super) records: BTreeMap<u64, Record>,
    /// Records up to this number lie in a box of the present epoch.
    pub(super) sealed_up_to: u64,
    /// Rows of the history that are not yet known to be delivered, by their last sequence number.
    pub(super) unreceipted: BTreeMap<u64, u64>,
}

impl Outbox {
    /// Records that still need a box, in order.
    pub(super) fn unsealed(&self) -> impl Iterator<Item = &Record> {
        self.records.range(self.sealed_up_to + 1..).map(|(_, record)| record)
    }

    /// After a change of epoch, everything unconfirmed needs a box again.
    pub(super) fn unseal_all(&mut self) {
        self.sealed_up_to = self.records.keys().next().map_or(self.last_seq, |first| first - 1);
    }
}

impl<G: EpochGroup> Conversation<G> {
    /// Adds a text to history and outbox; its row and state.
    pub(super) fn queue_text(&mut self, turn: &mut Turn<'_>, text: String) -> (u64, MessageState) {
        let sent_at = turn.now.as_millis();
        let body = Text { sent_at, text: text.clone() }.to_wire();
        let seqs = self.queue(turn, record::kind::TEXT, &body);
        let row = MessageRow {
            id: turn.row_id(),
            conversation: self.id,
            contact: self.contact,
            direction: Direction::Out,
            content: Content::Text(text),
            sent_at,
            state: MessageState::Waiting,
            number: *seqs.end(),
        };
        let (id, state) = (row.id, row.state);
        turn.put(keys::unreceipted(self.id, *seqs.end()), id.to_be_bytes().to_vec());
        self.outbox.unreceipted.insert(*seqs.end(), id);
        turn.message(row);
        (id, state)
    }

    /// Adds a record, in as many parts as it needs; the sequence numbers it took.
    pub(super) fn queue(
        &mut self,
        turn: &mut Turn<'_>,
        kind: u16,
        body: &[u8],
    ) -> RangeInclusive<u64> {
        let first = self.outbox.last_seq + 1;
        for record in record::split(first, kind, body) {
            self.outbox.last_seq = record.seq;
            turn.put_wire(keys::outgoing(self.id, record.seq), &record);
            self.outbox.records.insert(record.seq, record);
        }
        self.dirty = true;
        first..=self.outbox.last_seq
    }

    /// Gives unconfirmed records fresh numbers at the end, so that they get another box. There may be
    /// none: a box can hold nothing but a hint, or what a receipt has confirmed already.
    pub(super) fn renumber(&mut self, turn: &mut Turn<'_>, displaced: RangeInclusive<u64>) {
        if displaced.is_empty() {
            return;
        }
        // All are taken out before any is put back: new numbers may be old ones of others.
        let seqs: Vec<u64> = self.outbox.records.range(displaced).map(|(seq, _)| *seq).collect();
        let mut moved = Vec::new();
        for old in seqs {
            let Some(record) = self.outbox.records.remove(&old) else { continue };
            turn.delete(keys::outgoing(self.id, old));
            let row = self.outbox.unreceipted.remove(&old);
            if row.is_some() {
                turn.delete(keys::unreceipted(self.id, old));
            }
            moved.push((record, row));
        }
        for (mut record, row) in moved {
            self.outbox.last_seq += 1;
            record.seq = self.outbox.last_seq;
            turn.put_wire(keys::outgoing(self.id, record.seq), &record);
            if let Some(row) = row {
                turn.put(keys::unreceipted(self.id, record.seq), row.to_be_bytes().to_vec());
                turn.message_number(row, record.seq);
                self.outbox.unreceipted.insert(record.seq, row);
            }
            self.outbox.records.insert(record.seq, record);
        }
        self.dirty = true;
    }

    /// Records up to `seq` cannot be lost any more.
    pub(super) fn confirm(&mut self, turn: &mut Turn<'_>, seq: u64) {
        while let Some(entry) = self.outbox.records.first_entry() {
            if *entry.key() > seq {
                break;
            }
            let done = entry.remove().seq;
            turn.delete(keys::outgoing(self.id, done));
            if let Some(row) = self.outbox.unreceipted.get(&done) {
                turn.message_state(self.id, *row, MessageState::Stored);
            }
        }
        self.dirty = true;
    }

    /// The other side says that it has our records up to `seq`. While a later life of this device may
    /// have said other things under the same numbers, it is believed up to the last sure one.
    pub(super) fn receipt_came(&mut self, turn: &mut Turn<'_>, seq: u64) {
        let seq = seq.min(self.outbox.last_seq);
        let sure = self.doubt.unwrap_or(u64::MAX);
        if seq > sure {
            self.early_receipt = self.early_receipt.max(seq);
        }
        self.receipted(turn, seq.min(sure));
    }

    /// A box of our lane holds what we sealed: no later life of this device has been here.
    pub(super) fn end_doubt(&mut self, turn: &mut Turn<'_>) {
        self.doubt = None;
        self.dirty = true;
        let early = std::mem::take(&mut self.early_receipt);
        self.receipted(turn, early);
    }

    /// The other side has our records up to `seq`.
    pub(super) fn receipted(&mut self, turn: &mut Turn<'_>, seq: u64) {
        let seq = seq.min(self.outbox.last_seq);
        // What they have can no longer be lost, whatever our own check would say.
        self.confirm(turn, seq);
        self.outbox.sealed_up_to = self.outbox.sealed_up_to.max(seq);
        while let Some(entry) = self.outbox.unreceipted.first_entry() {
            if *entry.key() > seq {
                break;
            }
            let (done, row) = entry.remove_entry();
            turn.delete(keys::unreceipted(self.id, done));
            turn.message_state(self.id, row, MessageState::Delivered);
        }
    }
}
