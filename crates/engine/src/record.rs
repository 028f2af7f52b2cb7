//! Records: what people and their apps say to each other inside an MLS message (spec/04, section 6).

use serde::{Deserialize, Serialize};
use xchat_base::{Wire, kdf};

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
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
            let _ = Batch::from_wire(&bytes);
            let _ = Text::from_wire(&bytes);
            let _ = Profile::from_wire(&bytes);
            let _ = Receipt::from_wire(&bytes);
            let _ = Gap::from_wire(&bytes);
            let _ = Taken::from_wire(&bytes);
        }
    }
}
