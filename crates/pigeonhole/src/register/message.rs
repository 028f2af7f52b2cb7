//! What replicas say to one another about a box.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xchat_base::{CodecError, Timestamp, Wire};

use crate::boxes::{BoxError, BoxId, SEALED_BOX_LEN, SealedBox, VerifiedBox};

use super::ballot::Ballot;
use super::membership::Incarnation;

/// Why bytes from another replica were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Not an encoding of a message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The box in it is not valid.
    #[error(transparent)]
    Box(#[from] BoxError),
    /// The box in it is not the one that the message is about.
    #[error("the message carries another box than it is about")]
    WrongBox,
    /// More entries than a page or an inventory has.
    #[error("the message has too many entries")]
    TooMany,
}

/// One message between replicas. Whoever holds one knows that the box in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaMessage {
    pub(crate) placement: u32,
    pub(crate) incarnation: Incarnation,
    pub(crate) id: BoxId,
    pub(crate) attempt: Attempt,
    pub(crate) body: Body,
}

/// Drawn at random for every phase of every operation and repeated in the replies, so that a reply
/// to an earlier question is never taken for a new one, not even after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Attempt(pub(crate) u64);

/// The proposal that a replica accepted last, if any.
pub(crate) type Held = Option<(Ballot, VerifiedBox)>;

/// Requests come from a coordinator, replies from an acceptor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Body {
    /// Request: what do you hold? Changes nothing.
    Query,
    /// Request, phase 1: promise this ballot.
    Prepare(Ballot),
    /// Request, phase 2: accept this value at this ballot.
    Accept(Ballot, VerifiedBox),
    /// News without a reply: what you accepted at this ballot or a later one is chosen.
    Decided(Ballot),
    /// Reply to a query: nothing chosen that I know of, and this is what I accepted last.
    State(Held),
    /// Reply to a prepare: promised; and this is what I accepted last.
    Promise(Held),
    /// Reply to an accept: accepted.
    Accepted,
    /// Reply to a prepare or an accept: I have promised this higher ballot.
    Preempted(Ballot),
    /// Reply to any request: this is chosen, and kept here until then.
    Chosen(VerifiedBox, Timestamp),
    /// Reply to any request: something was chosen and has expired.
    Expired,
}

impl ReplicaMessage {
    /// Which box it is about: the driver needs it to find the replica set.
    pub fn box_id(&self) -> &BoxId {
        &self.id
    }

    /// Whether it asks for a value to be kept that the receiver may not hold yet.
    pub fn proposes(&self) -> bool {
        matches!(self.body, Body::Accept(..))
    }

    /// Versioned bytes, at most 1.7 KB.
    pub fn to_wire(&self) -> Vec<u8> {
        MessageIn::from(self.clone()).to_wire()
    }

    /// Reads a message and verifies the box in it.
    ///
    /// # Errors
    /// [`MessageError`]; the bytes are to be dropped.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, MessageError> {
        MessageIn::from_wire(bytes)?.check()
    }
}

/// What a message is about, for whoever looks on: nothing in it has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Which box.
    pub id: BoxId,
    /// Whether it asks what the receiver holds.
    pub asks: bool,
    /// Whether it asks for a value to be kept.
    pub proposes: bool,
}

impl Glance {
    /// Of a message's bytes.
    ///
    /// # Errors
    /// If they are not an encoding of a message.
    pub fn at(bytes: &[u8]) -> Result<Self, CodecError> {
        let MessageIn { id, body, .. } = MessageIn::from_wire(bytes)?;
        let (asks, proposes) = (matches!(body, BodyIn::Query), matches!(body, BodyIn::Accept(..)));
        Ok(Self { id, asks, proposes })
    }
}

/// The wire form, nothing checked.
#[derive(Serialize, Deserialize)]
struct MessageIn {
    placement: u32,
    incarnation: Incarnation,
    id: BoxId,
    attempt: Attempt,
    body: BodyIn,
}

#[derive(Serialize, Deserialize)]
enum BodyIn {
    Query,
    Prepare(Ballot),
    Accept(Ballot, SealedBox),
    Decided(Ballot),
    State(Option<(Ballot, SealedBox)>),
    Promise(Option<(Ballot, SealedBox)>),
    Accepted,
    Preempted(Ballot),
    Chosen(SealedBox, Timestamp),
    Expired,
}

impl Wire for MessageIn {
    const FORMAT: &'static str = "replica message";
    const VERSION: u8 = 1;
    /// A box, its id and an incarnation, a ballot of at most 11 bytes, three numbers and tags.
    const MAX_LEN: usize = SEALED_BOX_LEN + 32 + 16 + 11 + 32;
}

impl MessageIn {
    fn check(self) -> Result<ReplicaMessage, MessageError> {
        let id = self.id;
        let check = |sealed: SealedBox| {
            if sealed.id() != id {
                return Err(MessageError::WrongBox);
            }
            Ok(sealed.verify()?)
        };
        let check_held = |held: Option<(Ballot, SealedBox)>| {
            held.map(|(ballot, sealed)| Ok::<_, MessageError>((ballot, check(sealed)?))).transpose()
        };
        let body = match self.body {
            BodyIn::Query => Body::Query,
            BodyIn::Prepare(ballot) => Body::Prepare(ballot),
            BodyIn::Accept(ballot, sealed) => Body::Accept(ballot, check(sealed)?),
            BodyIn::Decided(ballot) => Body::Decided(ballot),
            BodyIn::State(held) => Body::State(check_held(held)?),
            BodyIn::Promise(held) => Body::Promise(check_held(held)?),
            BodyIn::Accepted => Body::Accepted,
            BodyIn::Preempted(ballot) => Body::Preempted(ballot),
            BodyIn::Chosen(sealed, until) => Body::Chosen(check(sealed)?, until),
            BodyIn::Expired => Body::Expired,
        };
        Ok(ReplicaMessage {
            placement: self.placement,
            incarnation: self.incarnation,
            id,
            attempt: self.attempt,
            body,
        })
    }
}

impl From<ReplicaMessage> for MessageIn {
    fn from(message: ReplicaMessage) -> Self {
        let held = |held: Held| held.map(|(ballot, boxed)| (ballot, boxed.into_sealed()));
        let body = match message.body {
            Body::Query => BodyIn::Query,
            Body::Prepare(ballot) => BodyIn::Prepare(ballot),
            Body::Accept(ballot, boxed) => BodyIn::Accept(ballot, boxed.into_sealed()),
            Body::Decided(ballot) => BodyIn::Decided(ballot),
            Body::State(accepted) => BodyIn::State(held(accepted)),
            Body::Promise(accepted) => BodyIn::Promise(held(accepted)),
            Body::Accepted => BodyIn::Accepted,
            Body::Preempted(ballot) => BodyIn::Preempted(ballot),
            Body::Chosen(boxed, until) => BodyIn::Chosen(boxed.into_sealed(), until),
            Body::Expired => BodyIn::Expired,
        };
        Self {
            placement: message.placement,
            incarnation: message.incarnation,
            id: message.id,
            attempt: message.attempt,
            body,
        }
    }
}
