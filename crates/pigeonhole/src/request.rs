//! What clients ask of stores and what stores answer. Both travel inside packets of one size.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xchat_base::Wire;

use crate::boxes::{BoxId, SealedBox};
use crate::delivery::DeliveryKey;
use crate::ticket::Tell;

/// What a packet carries at most (the packet format's `MESSAGE_LEN`): no request, answer or
/// delivery may be longer.
pub const MAX_MESSAGE_LEN: usize = 2031;

/// A request to a store, with the way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The reply block that carries the answer; opaque here.
    pub reply: Vec<u8>,
    /// What is asked.
    pub op: Op,
}

impl Wire for Request {
    const FORMAT: &'static str = "store request";
    const VERSION: u8 = 2;
    const MAX_LEN: usize = MAX_MESSAGE_LEN;
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Op {
    /// Write a box. Answers: `Stored`, `Exists`, `Expired`, `Refused`.
    Write {
        /// The placement epoch by which the client chose this store.
        placement: u32,
        /// The box.
        boxed: SealedBox,
        /// Whom to tell of it when it stands, beside those who have registered for it.
        tell: Tell,
    },
    /// Read a box. Answers: `Found`, `Empty`, `Expired`, `Refused`.
    Read {
        /// The placement epoch by which the client chose this store.
        placement: u32,
        /// The box.
        id: BoxId,
    },
    /// Deliver a box when it is written (a standing read). Answers: `Registered`, or as for `Read`.
    Register {
        /// The placement epoch by which the client chose this store.
        placement: u32,
        /// The box.
        id: BoxId,
        /// The delivery block that carries the box to the client's collector; opaque here.
        delivery: Vec<u8>,
        /// Which delivery this is, for the client: bound to the sealed delivery.
        delivery_id: [u8; 16],
        /// Seals the delivery, so that the collector learns nothing from it.
        seal_key: DeliveryKey,
        /// Seconds until the store forgets the registration.
        lifetime_secs: u32,
    },
    /// Hand out the oldest item of a collector session. Answers: `Item`, `NoItem`, `Refused`.
    Collect {
        /// The anonymous session.
        session: [u8; 32],
    },
}

/// What a store answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// The box holds exactly what was written.
    Stored,
    /// The box holds this other value.
    Exists(SealedBox),
    /// The box holds this value.
    Found(SealedBox),
    /// The box held nothing when the read began.
    Empty,
    /// The box was used and its lifetime is over.
    Expired,
    /// The delivery will be sent when the box is written.
    Registered {
        /// Drawn by the store when it started: with another one it has forgotten all registrations of before.
        life: u64,
    },
    /// The oldest item of the collector session.
    Item {
        /// Which delivery it is.
        id: [u8; 16],
        /// The sealed delivery.
        sealed: Vec<u8>,
    },
    /// The collector session holds nothing.
    NoItem,
    /// The store did not do what was asked. No claim about the box.
    Refused(Refusal),
}

/// Why a store did not do what was asked.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Error,
)]
#[non_exhaustive]
pub enum Refusal {
    /// The client chose by another placement than the store knows.
    #[error("another placement epoch is current: {current}")]
    WrongPlacement {
        /// The store's.
        current: u32,
    },
    /// The store is not among the box's replicas.
    #[error("not a replica of this box")]
    NotReplica,
    /// The store lost its disk or is new and does not answer for boxes yet.
    #[error("the store is catching up")]
    CatchingUp,
    /// A bound was reached; try another replica, or later.
    #[error("the store is busy")]
    Busy,
    /// The request could not be read, or its box's signature is wrong.
    #[error("the request is malformed")]
    Malformed,
    /// Too few replicas answered in time. A write may still take effect.
    #[error("too few replicas answered")]
    NoMajority,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xchat_base::{CodecError, Timestamp};

    use super::*;
    use crate::answer::SignedAnswer;
    use crate::boxes::SEALED_BOX_LEN;
    use crate::delivery::DELIVERY_LEN;

    /// The packet format's reply block and delivery block.
    const REPLY_BLOCK_LEN: usize = 396;
    const DELIVERY_BLOCK_LEN: usize = 444;

    fn boxed() -> SealedBox {
        SealedBox::from_bytes(&[0xff; SEALED_BOX_LEN]).expect("the length is right")
    }

    fn longest_requests() -> Vec<Op> {
        vec![
            Op::Write {
                placement: u32::MAX,
                boxed: boxed(),
                tell: crate::Ticket::from_bytes([0xff; 16]).tell(),
            },
            Op::Read { placement: u32::MAX, id: BoxId::from_bytes([0xff; 32]) },
            Op::Register {
                placement: u32::MAX,
                id: BoxId::from_bytes([0xff; 32]),
                delivery: vec![0xff; DELIVERY_BLOCK_LEN],
                delivery_id: [0xff; 16],
                seal_key: DeliveryKey::from_bytes([0xff; 32]),
                lifetime_secs: u32::MAX,
            },
            Op::Collect { session: [0xff; 32] },
        ]
    }

    #[test]
    fn the_longest_requests_fit_into_a_packet() {
        for op in longest_requests() {
            let request = Request { reply: vec![0xff; REPLY_BLOCK_LEN], op };
            let bytes = request.to_wire();
            assert!(bytes.len() <= MAX_MESSAGE_LEN, "{} bytes", bytes.len());
            assert_eq!(Request::from_wire(&bytes), Ok(request));
        }
    }

    #[test]
    fn the_longest_answers_fit_into_a_packet() {
        let longest = Timestamp::MAX;
        let key = crate::AnswerKey::from_seed(&xchat_base::Secret::new([1; 32]));
        let id = BoxId::from_bytes([0xff; 32]);
        for answer in [Answer::Exists(boxed()), Answer::Found(boxed())] {
            let bytes = SignedAnswer::sign(&key, id, answer, longest).to_wire();
            assert!(bytes.len() <= MAX_MESSAGE_LEN, "{} bytes", bytes.len());
        }
        let item = Answer::Item { id: [0xff; 16], sealed: vec![0xff; DELIVERY_LEN] };
        let bytes = SignedAnswer::unsigned(item, longest).to_wire();
        assert!(bytes.len() <= MAX_MESSAGE_LEN, "{} bytes", bytes.len());
    }

    #[test]
    fn another_version_is_named_in_the_error() {
        let request = Request { reply: vec![], op: Op::Collect { session: [0; 32] } };
        let mut bytes = request.to_wire();
        bytes[0] = 9;
        let error = Request::from_wire(&bytes).expect_err("version 9 is not ours");
        assert_eq!(error, CodecError::Version { format: "store request", got: 9, want: 2 });
    }

    #[test]
    fn the_delivery_key_is_not_printed() {
        let text = format!("{:?}", longest_requests()[2]);
        assert!(text.contains("seal_key: DeliveryKey,"), "{text}");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2100)) {
            let _ = Request::from_wire(&bytes);
            let _ = SignedAnswer::from_wire(&bytes);
        }
    }
}
