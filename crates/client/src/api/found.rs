//! What a search finds, as it stands in JSON.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use xchat_engine::{ContactId, ConversationId, Direction};

use crate::store::{Hit, Snippet};

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Found {
    /// The message.
    pub id: u64,
    /// Its conversation.
    #[ts(type = "ConversationId")]
    pub conversation: ConversationId,
    /// With whom.
    #[ts(type = "ContactId")]
    pub contact: ContactId,
    /// Ours or theirs.
    #[ts(type = "Direction")]
    pub direction: Direction,
    /// The sender's clock, Unix milliseconds.
    pub sent_at: u64,
    /// The part of it around what was found, on one line, with an ellipsis where it was cut.
    pub snippet: String,
    /// Where the words stand in the snippet: first character and the one after the last, counted in
    /// characters (Unicode scalar values, not bytes and not UTF-16).
    pub marks: Vec<(u32, u32)>,
}

impl From<Hit> for Found {
    fn from(hit: Hit) -> Self {
        let Hit { id, conversation, contact, direction, sent_at, snippet } = hit;
        let Snippet { text: snippet, marks } = snippet;
        Self { id, conversation, contact, direction, sent_at, snippet, marks }
    }
}
