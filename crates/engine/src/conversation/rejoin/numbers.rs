//! Who has what of whom, after a rejoin: nothing twice, and nothing silently missing.

use xchat_base::Wire;

use crate::api::{Content, Direction, Recalled};
use crate::conversation::{Conversation, EpochGroup};
use crate::keys;
use crate::record::{self, Gap, Record, Taken, Text, kind};
use crate::turn::Turn;

/// Texts that are sent again at most; what lies before is told as a gap. It bounds what one rejoin adds to
/// the outbox: 8 MB at worst, a hundred boxes as people write.
pub(super) const MAX_RECALLED: u32 = 1_000;

impl<G: EpochGroup> Conversation<G> {
    /// How far we have read the other side.
    pub(super) fn taken(&self) -> Taken {
        let incoming = self.incoming.values().next();
        incoming.map_or(Taken { seq: 0, digest: [0; 16] }, |incoming| Taken {
            seq: incoming.last_seq,
            digest: incoming.digest,
        })
    }

    /// They have our records up to `theirs`. What they lack goes out again under its old number.
    pub(super) fn reconcile(&mut self, turn: &mut Turn<'_>, theirs: Taken) {
        // Numbers up to this one mean the same in every life of this device.
        let sure = self.doubt.take().unwrap_or(self.outbox.last_seq);
        self.early_receipt = 0;
        let known = self.outbox.records.get(&theirs.seq).map(Record::digest);
        if theirs.seq <= sure || known == Some(theirs.digest) {
            self.receipted(turn, theirs.seq);
        } else {
            // Another life of ours has given the numbers from there on to other records.
            self.receipted(turn, sure);
            let ours = sure + 1..=self.outbox.last_seq;
            self.outbox.last_seq = theirs.seq;
            self.renumber(turn, ours);
        }
        let held = self.outbox.records.range(theirs.seq + 1..).count() as u64;
        if theirs.seq + held < self.outbox.last_seq {
            self.recalling = Some(theirs.seq);
            turn.recall(self.id, theirs.seq, MAX_RECALLED);
        }
        self.outbox.unseal_all();
        self.dirty = true;
    }

    /// The history says what of it we hold: that goes into the outbox again, and what is missing
    /// between is named.
    pub(crate) fn recalled(&mut self, turn: &mut Turn<'_>, recalled: Recalled) {
        let Some(after) = self.recalling.take() else { return };
        for row in &recalled.rows {
            let Content::Text(text) = &row.content else { continue };
            if row.direction != Direction::Out || row.number > self.outbox.last_seq {
                continue;
            }
            let body = Text { sent_at: row.sent_at, text: text.clone() }.to_wire();
            let parts = record::split(0, kind::TEXT, &body).len() as u64;
            let Some(first) = (row.number + 1).checked_sub(parts) else { continue };
            for record in record::split(first, kind::TEXT, &body) {
                if record.seq > after && !self.outbox.records.contains_key(&record.seq) {
                    self.requeue(turn, record);
                }
            }
        }
        self.name_gaps(turn, after, recalled.older, recalled.unnumbered);
        self.outbox.unseal_all();
        self.dirty = true;
        self.pump(turn);
    }

    fn name_gaps(&mut self, turn: &mut Turn<'_>, after: u64, older: u64, unnumbered: u64) {
        let mut gaps = Vec::new();
        let mut expected = after + 1;
        let ends = self.outbox.records.range(expected..).map(|(seq, _)| *seq);
        for next in ends.chain([self.outbox.last_seq + 1]) {
            if next > expected {
                let size = next - expected;
                // All that is older lies before the first record that we hold.
                let lost = if gaps.is_empty() { older + unnumbered.min(size) } else { 0 };
                gaps.push((next - 1, lost.min(size)));
            }
            expected = next + 1;
        }
        for (seq, lost) in gaps {
            let body = Gap { lost }.to_wire();
            self.requeue(turn, Record { seq, kind: kind::GAP, more: false, body });
        }
    }

    fn requeue(&mut self, turn: &mut Turn<'_>, record: Record) {
        turn.put_wire(keys::outgoing(self.id, record.seq), &record);
        self.outbox.records.insert(record.seq, record);
    }
}
