//! Records: what people and their apps say to each other inside an MLS message (spec/04, section 6).

use serde::{Deserialize, Serialize};
use xchat_base::{Timestamp, Wire, kdf};
use xchat_pigeonhole::{Dated, Handed, TICKET_LEN, Ticket};

/// Most bytes of an encoded [`Batch`] in one box.
///
/// A box takes 1,406 bytes; MLS framing, signature and AEAD of suite 0x004F add at most 160 (measured
/// 145–149). The rest is room for larger epochs and generations.
pub(crate) const MAX_BATCH_LEN: usize = 1_230;

/// Longest body of one record after its parts were put together: a text of 8 KB and its envelope.
pub(crate) const MAX_RECORD_LEN: usize = 9 * 1024;

/// Bytes that a record adds to its body in a batch: sequence number, kind, flag, length.
const RECORD_OVERHEAD: usize = 10 + 3 + 1 + 2;

/// What one record is about. Unknown numbers are kept, so it is not an enum on the wire.
pub(crate) mod kind {
    /// [`super::Profile`].
    pub(crate) const PROFILE: u16 = 1;
    /// [`super::Text`].
    pub(crate) const TEXT: u16 = 2;
    /// [`super::Receipt`].
    pub(crate) const RECEIPT: u16 = 3;
    /// No body, no sequence number: the sender moves on to the next epoch.
    pub(crate) const EPOCH_ENDED: u16 = 4;
    /// [`super::Gap`]: in the place of records that are not sent again.
    pub(crate) const GAP: u16 = 5;
    /// [`super::Taken`], no sequence number: how far the sender has read the other side.
    pub(crate) const TAKEN: u16 = 6;
    /// [`super::Tickets`], no sequence number: how the other side is to have boxes delivered.
    pub(crate) const TICKETS: u16 = 7;
}

/// The records of one box, in order: what waited for the same slot travels together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// At least one.
    pub(crate) records: Vec<Record>,
}

impl Wire for Batch {
    const FORMAT: &'static str = "record batch";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = MAX_BATCH_LEN;
}

/// One record, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Counts the sender's records over the whole conversation, from 1; epochs do not reset it. It
    /// is what makes delivery exactly-once. Zero for records that are only about their lane.
    pub(crate) seq: u64,
    /// See [`kind`].
    pub(crate) kind: u16,
    /// The body goes on in the record with the next sequence number.
    pub(crate) more: bool,
    /// The body, or a part of it.
    pub(crate) body: Vec<u8>,
}

impl Record {
    /// An upper bound of this record's share in a batch.
    pub(crate) fn encoded_len(&self) -> usize {
        RECORD_OVERHEAD + self.body.len()
    }

    /// Tells this record from another of the same number.
    pub(crate) fn digest(&self) -> [u8; 16] {
        let hash = kdf::derive(&self.to_wire(), "record digest", b"");
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.expose()[..16]);
        digest
    }
}

/// For the outbox on disk.
impl Wire for Record {
    const FORMAT: &'static str = "record";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = MAX_BATCH_LEN;
}

/// The sender's own name for themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) name: String,
}

impl Wire for Profile {
    const FORMAT: &'static str = "profile";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 512;
}

/// A text message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Text {
    /// The sender's clock, Unix milliseconds.
    pub(crate) sent_at: u64,
    pub(crate) text: String,
}

impl Wire for Text {
    const FORMAT: &'static str = "text";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = MAX_RECORD_LEN;
}

/// "Your records up to this one are on my disk."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) up_to: u64,
}

impl Wire for Receipt {
    const FORMAT: &'static str = "receipt";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 16;
}

/// "All numbers after the last record and up to this one are not sent again." After a rejoin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// How many messages were among them.
    pub(crate) lost: u64,
}

impl Wire for Gap {
    const FORMAT: &'static str = "gap";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 16;
}

/// Sequence numbers above this one are refused where a rejoin tells them: nobody ever says so much,
/// and our own could not go on from there.
pub(crate) const MAX_TOLD_SEQ: u64 = 1 << 48;

/// "I have your records up to this one, which was like this."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) seq: u64,
    /// [`Record::digest`] of the record of that number: two lives of one device, one of them restored
    /// from a backup, may have given a number to different records.
    pub(crate) digest: [u8; 16],
}

impl Wire for Taken {
    const FORMAT: &'static str = "records taken in";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 32;
}

/// "Have what you write delivered by these."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tickets {
    /// Those that were told before are used or void.
    only: bool,
    /// Each with the minute, since the Unix epoch, in which it is over.
    tickets: Vec<(Ticket, u32)>,
}

impl Wire for Tickets {
    const FORMAT: &'static str = "tickets";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 3 + MAX_HELD * TICKET_SHARE;
}

/// Tickets that one side holds, at most.
pub(crate) const MAX_HELD: usize = 16;

/// Tickets told with one box, at most.
const MAX_TICKETS: usize = 8;

/// Bytes of each: itself, and the minute as a varint.
const TICKET_SHARE: usize = TICKET_LEN + 5;

impl Tickets {
    /// Minutes are rounded down.
    pub(crate) fn new(handed: Handed) -> Self {
        let minute = |at: Timestamp| u32::try_from(at.as_secs() / 60).unwrap_or(u32::MAX);
        let tickets = handed.tickets.into_iter().map(|one| (one.ticket, minute(one.until)));
        Self { only: handed.only, tickets: tickets.collect() }
    }

    /// As [`Self::new`] had them, at most [`MAX_HELD`].
    pub(crate) fn handed(self) -> Handed {
        let dated = |(ticket, minute)| Dated {
            ticket,
            until: Timestamp::from_secs(60 * u64::from(minute)),
        };
        let tickets = self.tickets.into_iter().take(MAX_HELD).map(dated).collect();
        Handed { only: self.only, tickets }
    }

    /// The record that tells them.
    pub(crate) fn to_record(&self) -> Record {
        Record { seq: 0, kind: kind::TICKETS, more: false, body: self.to_wire() }
    }

    /// How many a batch of these records has room for besides.
    pub(crate) fn room_beside(records: &[Record]) -> usize {
        let taken: usize = records.iter().map(Record::encoded_len).sum();
        let room = (MAX_BATCH_LEN - 4).saturating_sub(taken + RECORD_OVERHEAD + 3);
        (room / TICKET_SHARE).min(MAX_TICKETS)
    }
}

/// Splits a body into records that each fit a box of their own. `first_seq` numbers the first.
pub(crate) fn split(first_seq: u64, kind: u16, body: &[u8]) -> Vec<Record> {
    // 4: the batch's version byte and record count, with room to spare.
    const PART: usize = MAX_BATCH_LEN - RECORD_OVERHEAD - 4;
    let parts: Vec<&[u8]> = if body.is_empty() { vec![body] } else { body.chunks(PART).collect() };
    let last = parts.len() - 1;
    parts
        .into_iter()
        .enumerate()
        .map(|(i, part)| Record {
            seq: first_seq + i as u64,
            kind,
            more: i < last,
            body: part.to_vec(),
        })
        .collect()
}

/// Takes from the front what fits into one box; at least one record.
pub(crate) fn fill<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<Record> {
    let mut room = MAX_BATCH_LEN - 4;
    let mut taken = Vec::new();
    for record in records {
        if record.encoded_len() > room {
            break;
        }
        room -= record.encoded_len();
        taken.push(record.clone());
    }
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn split_parts_fit_a_box_and_join_to_the_body(
            body in prop::collection::vec(any::<u8>(), 0..MAX_RECORD_LEN),
            first in 1u64..u64::MAX / 2,
        ) {
            let records = split(first, kind::TEXT, &body);
            let joined: Vec<u8> = records.iter().flat_map(|r| r.body.clone()).collect();
            prop_assert_eq!(joined, body);
            for (i, record) in records.iter().enumerate() {
                prop_assert_eq!(record.seq, first + i as u64);
                prop_assert_eq!(record.more, i + 1 < records.len());
                let batch = Batch { records: vec![record.clone()] };
                let encoded = batch.to_wire();
                prop_assert!(encoded.len() <= MAX_BATCH_LEN);
            }
        }

        #[test]
        fn a_filled_batch_fits_a_box(lens in prop::collection::vec(0usize..400, 1..40)) {
            let records: Vec<Record> = lens
                .iter()
                .map(|len| Record { seq: u64::MAX, kind: u16::MAX, more: false, body: vec![7; *len] })
                .collect();
            let taken = fill(records.iter());
            prop_assert!(!taken.is_empty());
            let encoded = Batch { records: taken }.to_wire();
            prop_assert!(encoded.len() <= MAX_BATCH_LEN);
        }

        #[test]
        fn tickets_fit_beside_whatever_waits(lens in prop::collection::vec(0usize..400, 0..8)) {
            let records: Vec<Record> = lens
                .iter()
                .map(|len| Record { seq: u64::MAX, kind: u16::MAX, more: false, body: vec![7; *len] })
                .collect();
            let mut records = if records.is_empty() { records } else { fill(records.iter()) };
            let room = Tickets::room_beside(&records);
            let dated = |n| Dated { ticket: Ticket::from_bytes([n; 16]), until: Timestamp::MAX };
            let tickets = (0..room as u8).map(dated).collect();
            let tickets = Tickets::new(Handed { only: true, tickets });
            let expected = tickets.clone();
            if room > 0 {
                records.push(tickets.to_record());
            }
            let encoded = Batch { records: records.clone() }.to_wire();
            prop_assert!(encoded.len() <= MAX_BATCH_LEN, "{} bytes", encoded.len());
            if room > 0 {
                let read = Tickets::from_wire(&records[records.len() - 1].body);
                prop_assert_eq!(read, Ok(expected));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
            let _ = Batch::from_wire(&bytes);
            let _ = Text::from_wire(&bytes);
            let _ = Profile::from_wire(&bytes);
            let _ = Receipt::from_wire(&bytes);
            let _ = Gap::from_wire(&bytes);
            let _ = Taken::from_wire(&bytes);
            let _ = Tickets::from_wire(&bytes);
        }
    }
}
