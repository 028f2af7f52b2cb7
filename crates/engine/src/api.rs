//! The engine's whole door: what goes in, what comes out.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xchat_base::random::Rng;
use xchat_base::{Timestamp, identifier};
use xchat_pigeonhole::outcome::{ReadOutcome, WriteOutcome};
use xchat_pigeonhole::{BoxId, Handed, SealedBox, Ticket};

identifier!(
    /// One conversation, on this device only: never sent anywhere.
    ConversationId,
    16
);

identifier!(
    /// One person in this profile's contacts, on this device only: never sent anywhere.
    ContactId,
    8
);

identifier!(
    /// One invitation of ours, on this device only: never sent anywhere.
    InvitationId,
    16
);

/// Everything that can happen to the engine.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // Built and consumed at once; a box would cost more than it saves.
pub enum Input {
    /// The person wants something; the answer comes as [`Effect::Done`] with the same `tag`.
    Command {
        /// The driver's handle for the answer.
        tag: u64,
        /// What is wanted.
        command: Command,
    },
    /// An [`Effect::Write`] was answered.
    Written {
        /// The box.
        id: BoxId,
        /// What the register decided.
        outcome: WriteOutcome,
    },
    /// An [`Effect::Read`] was answered.
    Read {
        /// The box.
        id: BoxId,
        /// What the register said. `Empty` is linearizable: nobody had written when it was asked.
        outcome: ReadOutcome,
    },
    /// A followed box was written.
    Arrived(SealedBox),
    /// An [`Effect::Recall`] was answered from the history on disk.
    Recalled {
        /// Which conversation.
        conversation: ConversationId,
        /// What the history holds.
        recalled: Recalled,
    },
    /// The time of the last [`Effect::WakeAt`] has come.
    Timer,
}

/// What a person, through any face, can ask for.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Make a one-time invitation; answered with [`Response::Link`] once its boxes are stored.
    Invite,
    /// The invitations that somebody may still accept, and those being made; answered with
    /// [`Response::Invitations`].
    Invitations,
    /// Take an invitation back; answered with [`Response::Ok`] once that is kept on this disk. What
    /// became of it comes as [`Event::Invitation`]: somebody may have been faster.
    Withdraw {
        /// Which invitation.
        invitation: InvitationId,
    },
    /// Accept an invitation; answered with [`Response::Contact`] once the accept box is ours.
    Accept {
        /// The link as pasted.
        link: String,
    },
    /// Send a text; answered with [`Response::Message`] once it is in the outbox on disk.
    Send {
        /// To which conversation.
        conversation: ConversationId,
        /// The text: 1 to [`MAX_TEXT_LEN`] bytes of UTF-8.
        text: String,
    },
    /// All contacts; answered with [`Response::Contacts`].
    Contacts,
    /// The safety number of a conversation; answered with [`Response::SafetyNumber`].
    SafetyNumber {
        /// Which conversation.
        conversation: ConversationId,
    },
    /// The person has compared the safety numbers (or takes that back).
    SetVerified {
        /// Which conversation.
        conversation: ConversationId,
        /// Compared and equal.
        verified: bool,
    },
}

/// What the history holds of what we said in a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recalled {
    /// Our texts with a greater number than was asked for, by number: the last ones, if there are
    /// more than the limit.
    pub rows: Vec<MessageRow>,
    /// How many more there are, before these.
    pub older: u64,
    /// Texts of ours from before messages had numbers.
    pub unnumbered: u64,
}

/// Longest text of one message, in bytes of UTF-8. What is longer is a file (design 4.5).
pub const MAX_TEXT_LEN: usize = 8 * 1024;

/// Longest display name, in characters.
pub const MAX_NAME_CHARS: usize = 64;

/// Most invitations open at once: each holds a private init key and one followed box.
pub const MAX_OPEN_INVITATIONS: usize = 64;

/// Most conversations of one profile: what 16 GiB of boxes a day could never fill, and a bound.
pub const MAX_CONVERSATIONS: usize = 4_096;

/// How a command ended well.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// The invitation's link, ready to be handed over.
    Link(String),
    /// Open invitations, and those being made, oldest first.
    Invitations(Vec<OpenInvitation>),
    /// The new contact.
    Contact(Contact),
    /// The message's row.
    Message {
        /// Its id.
        id: u64,
        /// Its state now.
        state: MessageState,
    },
    /// All contacts, oldest first.
    Contacts(Vec<Contact>),
    /// The safety number, as both people see it.
    SafetyNumber {
        /// Twelve groups of five digits.
        digits: String,
    },
    /// Done, nothing to say.
    Ok,
}

/// How a command failed. The caller's mistake, the link's, or ours; never a silent retry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No invitation that could be taken back has this id.
    #[error("there is no such open invitation")]
    UnknownInvitation,
    /// It was taken back while it was being made.
    #[error("this invitation was withdrawn before it was ready")]
    InvitationWithdrawn,
    /// No conversation has this id.
    #[error("there is no such conversation")]
    UnknownConversation,
    /// Empty, or longer than [`MAX_TEXT_LEN`].
    #[error("a message has 1 to {MAX_TEXT_LEN} bytes, this one has {0}")]
    TextLength(usize),
    /// The link does not parse; the text says why.
    #[error("{0}")]
    InvalidLink(String),
    /// The link belongs to another network.
    #[error("this invitation is for the network “{theirs}”, this profile is in “{ours}”")]
    OtherNetwork {
        /// The link's network.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// The person pasted an invitation of their own.
    #[error("this is your own invitation")]
    OwnInvitation,
    /// Somebody, perhaps this profile, accepted it before.
    #[error("this invitation was already used")]
    InvitationUsed,
    /// Its boxes are gone, or its key package's time is over.
    #[error("this invitation has expired")]
    InvitationExpired,
    /// Its boxes hold something that the link did not promise.
    #[error("this invitation is damaged or forged")]
    InvitationForged,
    /// [`MAX_OPEN_INVITATIONS`] or [`MAX_CONVERSATIONS`] reached.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// A broken invariant of ours.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

/// Everything the engine can want. One `handle` call gives one atomic batch: the driver commits all
/// changes of [`Effect::Persist`] in one transaction before it carries out anything else.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // As above.
pub enum Effect {
    /// Commit these, all or none. At most one per batch, and the first.
    Persist(Vec<Change>),
    /// Write this box, and have its reader told of it by this ticket; repeat until [`Input::Written`].
    Write(SealedBox, Option<Ticket>),
    /// Read this box now; repeat until [`Input::Read`].
    Read(BoxId),
    /// Hand this box over when somebody writes it: in this conversation, if its writer has tickets for it ([`HandOut`]).
    Follow(BoxId, Urgency, Option<ConversationId>),
    /// No longer.
    Unfollow(BoxId),
    /// Read what we said from the history, and answer with [`Input::Recalled`].
    Recall {
        /// In which conversation.
        conversation: ConversationId,
        /// Rows whose [`MessageRow::number`] is greater.
        after: u64,
        /// At most so many, the last ones.
        limit: u32,
    },
    /// A command's answer.
    Done {
        /// The command's tag.
        tag: u64,
        /// How it ended.
        result: Result<Response, CommandError>,
    },
    /// Something the person sees.
    Event(Event),
    /// Call again with [`Input::Timer`] at this time; replaces the last one.
    WakeAt(Timestamp),
}

/// Gives out tickets for whoever writes to us in a conversation, at most so many: each is told to them once, with what we write next. The
/// driver asks the transport.
pub type HandOut<'a> = dyn FnMut(ConversationId, usize, &mut Rng) -> Handed + 'a;

/// There are none: a [`HandOut`] for who has no transport.
pub fn no_tickets(_: ConversationId, _: usize, _: &mut Rng) -> Handed {
    Handed::default()
}

/// How soon a followed box is expected to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// One of the next boxes of a lane in use, before which so many others may come.
    Active(u8),
    /// The next box of a lane, behind which others have arrived: it has been written.
    Overdue,
    /// The next box of a lane at rest.
    Resting,
    /// The next box of a lane in which next to nothing is ever written, and which its reader looks into now and then anyway.
    Seldom,
    /// It is written after so many others of its lane. Followed again, with another urgency, as these arrive.
    Ahead(u8),
}

/// One change of what must survive.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// Set a key.
    Put {
        /// The key.
        key: Vec<u8>,
        /// Its value; it may hold secrets.
        value: Vec<u8>,
    },
    /// Remove a key.
    Delete {
        /// The key.
        key: Vec<u8>,
    },
    /// Remove every key that starts with these bytes.
    DeletePrefix {
        /// The prefix, never empty.
        prefix: Vec<u8>,
    },
    /// Insert a row of the history.
    Message(MessageRow),
    /// Move a row on to a new state.
    MessageState {
        /// The row.
        id: u64,
        /// Its new state.
        state: MessageState,
    },
    /// Give a row another number.
    MessageNumber {
        /// The row.
        id: u64,
        /// Its new [`MessageRow::number`].
        number: u64,
    },
}

/// One message of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// Increasing over the whole profile: the order in which this device saw messages.
    pub id: u64,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Whose.
    pub contact: ContactId,
    /// Ours or theirs.
    pub direction: Direction,
    /// What it says.
    pub content: Content,
    /// The sender's clock, Unix milliseconds.
    pub sent_at: u64,
    /// Where it stands.
    pub state: MessageState,
    /// The sender's sequence number of its last record; 0 for one that has none: a notice, or a row
    /// from before rows had numbers.
    pub number: u64,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// A kind this version does not know; kept, and shown as "needs a newer version".
    Unknown {
        /// Its kind.
        kind: u16,
        /// Its body.
        body: Vec<u8>,
    },
    /// Said by nobody: what happened to the conversation at this point of its history.
    Notice(Notice),
}

/// What happened to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// The other side came back through the rejoin lane: a new device state, a restored backup, a long
    /// absence, or somebody who has their rejoin secret. The safety number has changed.
    TheyRejoined,
    /// This device came back through the rejoin lane. The safety number has changed.
    WeRejoined,
    /// Messages of the other side are gone: they expired before this device read them, and the sender
    /// does not hold them any more.
    Missing {
        /// How many.
        count: u64,
    },
}

/// Ours or theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// Where a message stands. An outgoing one goes `Waiting` → `Stored` → `Delivered`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// In the outbox on this disk: it goes out as its slots come.
    Waiting,
    /// Written, and checked against a change of epoch: it cannot be lost any more.
    Stored,
    /// The other side has it.
    Delivered,
    /// An incoming message.
    Received,
}

impl MessageState {
    /// As written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Stored => "stored",
            Self::Delivered => "delivered",
            Self::Received => "received",
        }
    }
}

/// One person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The person, on this device.
    pub contact: ContactId,
    /// Their chosen name.
    pub name: String,
    /// The conversation with them.
    pub conversation: ConversationId,
    /// The safety numbers were compared.
    pub verified: bool,
    /// One of the two has rejoined since the safety numbers were last compared: compare again.
    pub rejoined: bool,
    /// This device is coming back through the rejoin lane, and waits for the other side to be online.
    pub rejoining: bool,
}

/// Something the person sees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message came or was written here.
    Message(MessageRow),
    /// An outgoing message moved on.
    MessageState {
        /// The row.
        id: u64,
        /// Its conversation.
        conversation: ConversationId,
        /// Its new state.
        state: MessageState,
    },
    /// A contact is new, or has changed.
    Contact(Contact),
    /// An invitation of ours has moved on.
    Invitation {
        /// Which.
        invitation: InvitationId,
        /// Where it stands now.
        state: InvitationState,
    },
    /// An invitation of ours ended without a contact.
    InvitationFailed {
        /// Why.
        reason: InvitationFailure,
    },
    /// An acceptance that had begun before a restart ended without a contact.
    AcceptFailed {
        /// Why.
        error: CommandError,
    },
    /// The conversation went on to a new epoch: keys were renewed.
    EpochChanged {
        /// Which conversation.
        conversation: ConversationId,
        /// The new epoch.
        epoch: u64,
    },
    /// Something is wrong with a conversation, and the person should know.
    Alert {
        /// Which conversation.
        conversation: ConversationId,
        /// What.
        alert: Alert,
    },
}

/// An invitation of ours that has not ended.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenInvitation {
    /// Which.
    pub invitation: InvitationId,
    /// What to hand over; none while its boxes are not stored yet.
    pub link: Option<String>,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// Where an invitation of ours stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvitationState {
    /// Its boxes are on their way.
    Making,
    /// Whoever has the link can accept it.
    Open,
    /// It is being closed, because its time is over or it was taken back. Somebody may be faster.
    Closing,
    /// Somebody has accepted it; what they wrote is being read.
    Accepted,
    /// It ended without a contact.
    Failed(InvitationFailure),
}

/// Why an invitation ended without a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvitationFailure {
    /// Nobody accepted it in 14 days.
    Expired,
    /// It was taken back before that.
    Withdrawn,
    /// Somebody who has the link wrote something that is not an acceptance.
    Spoiled,
}

/// What can be wrong with a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alert {
    /// The other side wrote something that cannot be read; it was skipped.
    Unreadable,
    /// Messages expired before this device came online.
    Missed,
}

/// What the driver knows about the profile.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The person's name, as contacts see it.
    pub name: String,
    /// The network's name, as it stands in invitations.
    pub network: String,
    /// The network's id.
    pub network_id: [u8; 16],
}
