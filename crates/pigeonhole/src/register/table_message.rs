//! What stores say to one another about whole tables: copying between placements, and comparing.

use serde::{Deserialize, Serialize};
use xchat_base::{Timestamp, Wire};

use crate::answer::StoreId;
use crate::boxes::{BoxId, SEALED_BOX_LEN, SealedBox, VerifiedBox};

use super::ballot::Ballot;
use super::membership::Incarnation;
use super::message::{Attempt, MessageError};

/// Entries in one page: 26 KB, a few milliseconds of verifying and writing.
pub const MAX_PAGE: usize = 16;
/// Ids in one inventory: 16 KB.
pub const MAX_INVENTORY: usize = 512;

/// A message about a table. Whoever holds one knows that the boxes in it have been verified.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableMessage {
    /// The placement that the copying is for, or in which tables are compared.
    pub(crate) placement: u32,
    pub(crate) incarnation: Incarnation,
    /// Drawn at random for every request and repeated in its answer.
    pub(crate) attempt: Attempt,
    pub(crate) body: TableBody,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TableBody {
    /// Request: what you held in the placement before, of boxes that are mine in this one, behind this
    /// id.
    Pull(Option<BoxId>),
    /// Reply to a pull: everything up to this id; and whether that is all.
    Page { upto: BoxId, end: bool, entries: Vec<(BoxId, Entry)> },
    /// Request: are these the boxes that we both keep and know the decision of?
    Compare { range: Range, digest: [u8; 32] },
    /// Reply to a compare: they are.
    Same,
    /// Reply to a compare: they are not; here, up to this id, they are these.
    Inventory { upto: BoxId, ids: Vec<BoxId> },
}

/// A stretch of ids: behind the first, up to and with the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) after: Option<BoxId>,
    pub(crate) upto: BoxId,
}

/// What a source holds of a box.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Entry {
    /// Accepted and not known to be chosen.
    Accepted(Ballot, VerifiedBox, Timestamp),
    Chosen(VerifiedBox, Timestamp),
    /// Chosen and expired; to be forgotten then. `by`: who knows it at first hand, if not the source.
    Expired {
        by: Option<StoreId>,
        forget_at: Timestamp,
    },
}

impl TableMessage {
    /// The first byte of every such message; those about one box begin with another.
    pub const VERSION: u8 = MessageIn::VERSION;

    /// Versioned bytes, at most 32 KB.
    pub fn to_wire(&self) -> Vec<u8> {
        MessageIn::from(self.clone()).to_wire()
    }

    /// Reads a message and verifies the boxes in it.
    ///
    /// # Errors
    /// [`MessageError`]; the bytes are to be dropped.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, MessageError> {
        MessageIn::from_wire(bytes)?.check()
    }
}

/// The wire form, nothing checked.
#[derive(Serialize, Deserialize)]
struct MessageIn {
    placement: u32,
    incarnation: Incarnation,
    attempt: Attempt,
    body: BodyIn,
}

#[derive(Serialize, Deserialize)]
enum BodyIn {
    Pull(Option<BoxId>),
    Page { upto: BoxId, end: bool, entries: Vec<(BoxId, EntryIn)> },
    Compare { range: Range, digest: [u8; 32] },
    Same,
    Inventory { upto: BoxId, ids: Vec<BoxId> },
}

#[derive(Serialize, Deserialize)]
enum EntryIn {
    Accepted(Ballot, SealedBox, Timestamp),
    Chosen(SealedBox, Timestamp),
    Expired { by: Option<StoreId>, forget_at: Timestamp },
}

impl Wire for MessageIn {
    const FORMAT: &'static str = "table message";
    const VERSION: u8 = 2;
    /// A full page: of each entry the id, the box, a ballot, a time and tags; and what stands before.
    const MAX_LEN: usize = MAX_PAGE * (SEALED_BOX_LEN + 32 + 11 + 10 + 8) + 128;
}

impl MessageIn {
    fn check(self) -> Result<TableMessage, MessageError> {
        let body = match self.body {
            BodyIn::Pull(after) => TableBody::Pull(after),
            BodyIn::Page { upto, end, entries } => {
                if entries.len() > MAX_PAGE {
                    return Err(MessageError::TooMany);
                }
                let entries = entries.into_iter().map(|(id, entry)| Ok((id, entry.check(&id)?)));
                let entries = entries.collect::<Result<_, MessageError>>()?;
                TableBody::Page { upto, end, entries }
            }
            BodyIn::Compare { range, digest } => TableBody::Compare { range, digest },
            BodyIn::Same => TableBody::Same,
            BodyIn::Inventory { ids, .. } if ids.len() > MAX_INVENTORY => {
                return Err(MessageError::TooMany);
            }
            BodyIn::Inventory { upto, ids } => TableBody::Inventory { upto, ids },
        };
        let Self { placement, incarnation, attempt, .. } = self;
        Ok(TableMessage { placement, incarnation, attempt, body })
    }
}

impl EntryIn {
    fn check(self, id: &BoxId) -> Result<Entry, MessageError> {
        let check = |sealed: SealedBox| {
            if sealed.id() != *id {
                return Err(MessageError::WrongBox);
            }
            Ok(sealed.verify()?)
        };
        Ok(match self {
            Self::Accepted(ballot, sealed, until) => Entry::Accepted(ballot, check(sealed)?, until),
            Self::Chosen(sealed, until) => Entry::Chosen(check(sealed)?, until),
            Self::Expired { by, forget_at } => Entry::Expired { by, forget_at },
        })
    }
}

impl From<TableMessage> for MessageIn {
    fn from(message: TableMessage) -> Self {
        let body = match message.body {
            TableBody::Pull(after) => BodyIn::Pull(after),
            TableBody::Page { upto, end, entries } => {
                let entries = entries.into_iter().map(|(id, entry)| (id, entry.into())).collect();
                BodyIn::Page { upto, end, entries }
            }
            TableBody::Compare { range, digest } => BodyIn::Compare { range, digest },
            TableBody::Same => BodyIn::Same,
            TableBody::Inventory { upto, ids } => BodyIn::Inventory { upto, ids },
        };
        let TableMessage { placement, incarnation, attempt, .. } = message;
        Self { placement, incarnation, attempt, body }
    }
}

impl From<Entry> for EntryIn {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Accepted(ballot, boxed, until) => {
                Self::Accepted(ballot, boxed.into_sealed(), until)
            }
            Entry::Chosen(boxed, until) => Self::Chosen(boxed.into_sealed(), until),
            Entry::Expired { by, forget_at } => Self::Expired { by, forget_at },
        }
    }
}
