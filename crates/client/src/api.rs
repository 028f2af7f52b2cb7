//! Commands, responses and events, as they also stand in JSON (`docs/cli.md`).

mod found;
mod invitation;
pub(crate) mod pace;
pub(crate) mod status;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use ts_rs::TS;
use xchat_engine::{
    ContactId, Content, ConversationId, Direction, InvitationId, MessageRow, MessageState,
};

pub use found::Found;
pub use invitation::{Invitation, InvitationState};

pub use pace::PaceChoice;
pub use status::{Crowd, DocumentStatus, Online, PaceStatus, Queued, Status, Trouble};

/// What a person, through any face, can ask for. A contact is named by its id, by its conversation's
/// id, or by its name if only one contact has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Command {
    /// Make a one-time invitation.
    Invite,
    /// The invitations that somebody may still accept, with their links, and those being made.
    Invitations,
    /// Take an invitation back.
    Withdraw {
        /// Its id.
        invitation: String,
    },
    /// Accept one.
    Accept {
        /// The link as pasted.
        link: String,
    },
    /// List the contacts.
    Contacts,
    /// Show the safety number of the conversation with a contact.
    SafetyNumber {
        /// Whose.
        contact: String,
    },
    /// Say that the safety numbers were compared and are equal, or take that back.
    SetVerified {
        /// Whose.
        contact: String,
        /// Compared and equal.
        verified: bool,
    },
    /// Send a text.
    Send {
        /// To whom.
        contact: String,
        /// 1 to [`crate::MAX_TEXT_LEN`] bytes.
        text: String,
        /// When to answer.
        #[serde(default)]
        #[ts(optional, as = "Option<Wait>")]
        wait: Wait,
        /// It was the conversation's draft, which is removed by the same commit. The face that says so
        /// stands in the event, as with [`Command::SetDraft`].
        #[serde(default)]
        #[ts(optional)]
        from_draft: Option<Face>,
    },
    /// Keep what was begun to be written in a conversation; nothing, if it is empty.
    SetDraft {
        /// To whom.
        contact: String,
        /// At most [`crate::MAX_TEXT_LEN`] bytes.
        text: String,
        /// Who says so.
        face: Face,
    },
    /// The last messages, oldest first.
    Messages {
        /// Of one contact only.
        #[serde(default)]
        #[ts(optional)]
        contact: Option<String>,
        /// Only those with a smaller id.
        #[serde(default)]
        #[ts(optional)]
        before: Option<u64>,
        /// Only those with a greater id, and of these the first.
        #[serde(default)]
        #[ts(optional)]
        after: Option<u64>,
        /// At most so many; [`Command::DEFAULT_MESSAGES`] if not given, and never more than
        /// [`Command::MAX_MESSAGES`].
        #[serde(default)]
        #[ts(optional)]
        limit: Option<u32>,
    },
    /// The last messages that have all of these words, newest first.
    Search {
        /// As typed; the last of them may be the beginning of a word. At most
        /// [`Command::MAX_SEARCH_LEN`] bytes.
        words: String,
        /// In the conversation with one contact only.
        #[serde(default)]
        #[ts(optional)]
        contact: Option<String>,
        /// Only those with a smaller id.
        #[serde(default)]
        #[ts(optional)]
        before: Option<u64>,
        /// At most so many; [`Command::MAX_FOUND`] if not given, and never more than that.
        #[serde(default)]
        #[ts(optional)]
        limit: Option<u32>,
    },
    /// The conversations, the one with the newest message first; with their last message, and how many are unread.
    Conversations,
    /// The person has seen the messages of a conversation, up to this one.
    MarkRead {
        /// Whose.
        contact: String,
        /// The last message seen. Less than before changes nothing.
        up_to: u64,
    },
    /// How things stand.
    Status,
}

impl Command {
    /// As many messages as a page of history has.
    pub const DEFAULT_MESSAGES: u32 = 50;
    /// More than this is asked for in pages: one answer stays below 10 MiB.
    pub const MAX_MESSAGES: u32 = 1_000;
    /// As many finds as a page of them has; more are asked for with `before`.
    pub const MAX_FOUND: u32 = 50;
    /// The longest search, in bytes.
    pub const MAX_SEARCH_LEN: usize = crate::store::MAX_SEARCH_LEN;
    /// Conversations with a draft: with all of them, a list of conversations stays below 4 MiB.
    pub const MAX_DRAFTS: u64 = 256;
}

/// A name that a face (a tab of the page) gives itself, to know its own words among the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Face(String);

impl Face {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Takes a name; `None` if it is longer than [`Self::MAX_LEN`].
    pub fn new(name: impl Into<String>) -> Option<Self> {
        Some(name.into()).filter(|name: &String| name.len() <= Self::MAX_LEN).map(Self)
    }
}

impl<'de> Deserialize<'de> for Face {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Self::new(name).ok_or_else(|| D::Error::custom("the name of a face has at most 64 bytes"))
    }
}

/// When a sent message is answered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Wait {
    /// Once it is in the outbox on this disk.
    No,
    /// Once it cannot be lost any more.
    #[default]
    Stored,
    /// Once the other side has it.
    Delivered,
}

impl Wait {
    /// The state that is waited for.
    pub const fn state(self) -> MessageState {
        match self {
            Self::No => MessageState::Waiting,
            Self::Stored => MessageState::Stored,
            Self::Delivered => MessageState::Delivered,
        }
    }
}

/// How a command ended well.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Response {
    /// To [`Command::Invite`].
    Link {
        /// Ready to be handed over.
        link: String,
    },
    /// To [`Command::Invitations`].
    Invitations {
        /// Oldest first.
        invitations: Vec<Invitation>,
    },
    /// To [`Command::Search`].
    Found {
        /// Newest first.
        found: Vec<Found>,
        /// Whether there may be more, before the last of these.
        more: bool,
    },
    /// To [`Command::Accept`] and [`Command::SetVerified`].
    Contact(Contact),
    /// To [`Command::Contacts`].
    Contacts {
        /// In no particular order that means anything.
        contacts: Vec<Contact>,
    },
    /// To [`Command::SafetyNumber`].
    SafetyNumber {
        /// Twelve groups of five digits.
        safety_number: String,
    },
    /// To [`Command::Send`]. If the time allowed ran out, the state is not the one waited for; the
    /// message is in the outbox all the same.
    Sent {
        /// The message's id.
        id: u64,
        /// Its state now.
        #[ts(type = "MessageState")]
        state: MessageState,
    },
    /// To [`Command::Messages`].
    Messages {
        /// Oldest first.
        messages: Vec<Message>,
    },
    /// To [`Command::Status`].
    Status(Box<Status>),
    /// To [`Command::Conversations`].
    Conversations {
        /// The one with the newest message first; those without any come last.
        conversations: Vec<Conversation>,
    },
    /// To [`Command::MarkRead`], [`Command::SetDraft`] and [`Command::Withdraw`]: it is on the disk.
    Done {},
}

/// A conversation, as a list of conversations shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Conversation {
    /// With whom.
    pub contact: Contact,
    /// The newest message, if there is one.
    pub last: Option<Message>,
    /// How many messages of the other side came after those that were seen.
    pub unread: u64,
    /// What was begun to be written in it, if anything was.
    pub draft: Option<String>,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Contact {
    /// The person, on this device.
    #[ts(type = "ContactId")]
    pub contact: ContactId,
    /// Their chosen name.
    pub name: String,
    /// The conversation with them.
    #[ts(type = "ConversationId")]
    pub conversation: ConversationId,
    /// The safety numbers were compared.
    pub verified: bool,
    /// One of the two has rejoined since they were compared last: compare again.
    #[serde(default)]
    pub rejoined: bool,
    /// This device is coming back, and waits until the other side is online.
    #[serde(default)]
    pub rejoining: bool,
}

impl From<xchat_engine::Contact> for Contact {
    fn from(contact: xchat_engine::Contact) -> Self {
        let xchat_engine::Contact { contact, name, conversation, verified, rejoined, rejoining } =
            contact;
        Self { contact, name, conversation, verified, rejoined, rejoining }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Message {
    /// Increasing over the whole profile: the order in which this device saw messages.
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
    /// What it says; empty if only a newer version can read it.
    pub text: String,
    /// The sender's clock, Unix milliseconds.
    pub sent_at: u64,
    /// Where it stands.
    #[ts(type = "MessageState")]
    pub state: MessageState,
    /// It is of a kind that this version does not know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub needs_newer_version: bool,
    /// Nobody said it: it is what happened to the conversation at this point. The text is empty.
    // The generator of the types has no word for it and gets it from `apps/xchat/src/daemon/typescript.rs`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[ts(skip)]
    pub notice: Option<Notice>,
}

/// What happened to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "notice", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// The other side came back with another device state; the safety number has changed.
    TheyRejoined,
    /// This device came back; the safety number has changed.
    WeRejoined,
    /// Messages of the other side are gone for good.
    Missing {
        /// How many.
        count: u64,
    },
}

impl From<xchat_engine::Notice> for Notice {
    fn from(notice: xchat_engine::Notice) -> Self {
        match notice {
            xchat_engine::Notice::TheyRejoined => Self::TheyRejoined,
            xchat_engine::Notice::WeRejoined => Self::WeRejoined,
            xchat_engine::Notice::Missing { count } => Self::Missing { count },
        }
    }
}

impl From<MessageRow> for Message {
    fn from(row: MessageRow) -> Self {
        let (text, needs_newer_version, notice) = match row.content {
            Content::Text(text) => (text, false, None),
            Content::Unknown { .. } => (String::new(), true, None),
            Content::Notice(notice) => (String::new(), false, Some(notice.into())),
        };
        let MessageRow { id, conversation, contact, direction, sent_at, state, .. } = row;
        Self {
            id,
            conversation,
            contact,
            direction,
            text,
            sent_at,
            state,
            needs_newer_version,
            notice,
        }
    }
}

/// Something the person sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A message came or was written here.
    Message(Message),
    /// An outgoing message moved on.
    MessageState {
        /// The message.
        id: u64,
        /// Its conversation.
        #[ts(type = "ConversationId")]
        conversation: ConversationId,
        /// Its new state.
        #[ts(type = "MessageState")]
        state: MessageState,
    },
    /// Messages were seen, in this face or in another.
    Read {
        /// Where.
        #[ts(type = "ConversationId")]
        conversation: ConversationId,
        /// With whom.
        #[ts(type = "ContactId")]
        contact: ContactId,
        /// The last message that was seen.
        up_to: u64,
        /// How many of the other side's are still unread.
        unread: u64,
    },
    /// What is being written in a conversation, in this face or in another.
    Draft {
        /// Where.
        #[ts(type = "ConversationId")]
        conversation: ConversationId,
        /// To whom.
        #[ts(type = "ContactId")]
        contact: ContactId,
        /// So far; empty if it was sent, or is no more.
        text: String,
        /// Who said so: a face knows its own words by it.
        face: Face,
    },
    /// A contact is new, or has changed.
    Contact(Contact),
    /// An invitation of ours has moved on.
    Invitation {
        /// Which.
        #[ts(type = "InvitationId")]
        invitation: InvitationId,
        /// Where it stands now.
        state: InvitationState,
    },
    /// An invitation of ours ended without a contact.
    InvitationFailed {
        /// `expired`, `spoiled` or `withdrawn`.
        reason: String,
    },
    /// An acceptance that had begun before a restart ended without a contact.
    AcceptFailed {
        /// Why.
        error: crate::ErrorBody,
    },
    /// Keys were renewed.
    EpochChanged {
        /// Where.
        #[ts(type = "ConversationId")]
        conversation: ConversationId,
        /// The new epoch.
        epoch: u64,
    },
    /// Something is wrong with a conversation, and the person should know.
    Alert {
        /// Where.
        #[ts(type = "ConversationId")]
        conversation: ConversationId,
        /// What.
        alert: Alert,
    },
    /// How things stand has changed.
    Status(Box<Status>),
    /// The client is stopping because somebody asked it to; nothing follows.
    Stopping,
}

/// What can be wrong with a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Alert {
    /// The other side wrote something that cannot be read; it was skipped.
    Unreadable,
    /// Messages expired before this device came online.
    Missed,
    /// Something that this version has no word for.
    Other,
}

/// An event and its place: [`crate::From::Change`] with this number gives what came after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Numbered {
    /// Counts the changes of all messages of the profile. Events that change no message carry the
    /// number of the last change before them. 0 for a row of the history: go on after its id too.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_event_stands_in_json_as_documented() {
        let event = Event::Message(Message {
            id: 7,
            conversation: ConversationId::from_bytes([1; 16]),
            contact: ContactId::from_bytes([2; 8]),
            direction: Direction::Out,
            text: "hello".to_owned(),
            sent_at: 1_800_000_000_000,
            state: MessageState::Waiting,
            needs_newer_version: false,
            notice: None,
        });
        let json = serde_json::to_value(&event).expect("serialises");
        let documented = serde_json::json!({
            "event": "message", "id": 7, "conversation": "01".repeat(16),
            "contact": "02".repeat(8), "direction": "out", "text": "hello",
            "sent_at": 1_800_000_000_000_u64, "state": "waiting",
        });
        assert_eq!(json, documented);
        let numbered = serde_json::to_string(&Numbered { seq: 3, event: event.clone() });
        let read: Numbered =
            serde_json::from_str(&numbered.expect("serialises")).expect("reads back");
        assert_eq!(read, Numbered { seq: 3, event });
    }

    #[test]
    fn a_notice_stands_in_the_line_of_its_message() {
        let message = Message {
            id: 8,
            conversation: ConversationId::from_bytes([1; 16]),
            contact: ContactId::from_bytes([2; 8]),
            direction: Direction::In,
            text: String::new(),
            sent_at: 1,
            state: MessageState::Received,
            needs_newer_version: false,
            notice: Some(Notice::Missing { count: 3 }),
        };
        let json = serde_json::to_value(&message).expect("serialises");
        assert_eq!((&json["notice"], &json["count"]), (&"missing".into(), &3.into()));
        assert_eq!(serde_json::from_value::<Message>(json).expect("reads back"), message);
        let said = Message { notice: None, ..message };
        let json = serde_json::to_value(&said).expect("serialises");
        assert!(json.get("notice").is_none());
        assert_eq!(serde_json::from_value::<Message>(json).expect("reads back"), said);
    }

    #[test]
    fn a_command_reads_with_its_defaults_and_nothing_unknown() {
        let send: Command =
            serde_json::from_str(r#"{"command":"send","contact":"Bob","text":"hi"}"#)
                .expect("reads");
        let text = "hi".to_owned();
        let contact = "Bob".to_owned();
        assert_eq!(send, Command::Send { contact, text, wait: Wait::Stored, from_draft: None });
        let unknown = r#"{"command":"send","contact":"Bob","text":"hi","urgent":true}"#;
        serde_json::from_str::<Command>(unknown).expect_err("an unknown field is no guess");
        serde_json::from_str::<Command>(r#"{"command":"explode"}"#).expect_err("unknown");
    }

    proptest! {
        #[test]
        fn a_damaged_command_is_an_error_or_a_command_that_reads_back(
            which in 0usize..6,
            edits in prop::collection::vec((0usize..120, any::<u8>()), 0..6),
        ) {
            let texts = [
                r#"{"command":"send","contact":"Bob","text":"hi","wait":"delivered"}"#,
                r#"{"command":"messages","contact":null,"before":18446744073709551615,"limit":7}"#,
                r#"{"command":"accept","link":"xchat:xc1qqqq"}"#,
                r#"{"command":"search","words":"a b","contact":"Bob","before":9,"limit":50}"#,
                r#"{"command":"set_draft","contact":"Bob","text":"half a sen","face":"7"}"#,
                r#"{"command":"set_verified","contact":"Bob","verified":true}"#,
            ];
            let mut bytes = texts[which].as_bytes().to_vec();
            for (at, byte) in edits {
                if let Some(old) = bytes.get_mut(at) {
                    *old = byte;
                }
            }
            if let Ok(command) = serde_json::from_slice::<Command>(&bytes) {
                let text = serde_json::to_string(&command).expect("serialises");
                let again: Command = serde_json::from_str(&text).expect("its own text");
                prop_assert_eq!(again, command);
            }
        }
    }
}
