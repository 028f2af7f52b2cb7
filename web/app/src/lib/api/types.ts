// Made from the Rust types by `XCHAT_WRITE_TYPES=1 cargo test -p xchat --bin xchat typescript`.
// Do not edit: a test compares this file with what they say.
//
// Numbers that are 64 bits wide in Rust are `number` here. They are times in milliseconds, counters and
// bytes in a month: all of them stay below 2^53.

/** A person, on this device; hexadecimal. */
export type ContactId = string;

/** A conversation, on this device; hexadecimal. */
export type ConversationId = string;

/** An invitation of ours, on this device; hexadecimal. */
export type InvitationId = string;

export type Direction = "in" | "out";

export type MessageState = "waiting" | "stored" | "delivered" | "received";

/**
 * What a person, through any face, can ask for. A contact is named by its id, by its conversation's
 * id, or by its name if only one contact has it.
 */
export type Command = { "command": "invite" } | { "command": "invitations" } | { "command": "withdraw", 
/** Its id. */
invitation: string, } | { "command": "accept", 
/** The link as pasted. */
link: string, } | { "command": "contacts" } | { "command": "safety_number", 
/** Whose. */
contact: string, } | { "command": "set_verified", 
/** Whose. */
contact: string, 
/** Compared and equal. */
verified: boolean, } | { "command": "send", 
/** To whom. */
contact: string, 
/** 1 to [`crate::MAX_TEXT_LEN`] bytes. */
text: string, 
/** When to answer. */
wait?: Wait, 
/**
 * It was the conversation's draft, which is removed by the same commit. The face that says so
 * stands in the event, as with [`Command::SetDraft`].
 */
from_draft?: Face, } | { "command": "set_draft", 
/** To whom. */
contact: string, 
/** At most [`crate::MAX_TEXT_LEN`] bytes. */
text: string, 
/** Who says so. */
face: Face, } | { "command": "messages", 
/** Of one contact only. */
contact?: string, 
/** Only those with a smaller id. */
before?: number, 
/** Only those with a greater id, and of these the first. */
after?: number, 
/**
 * At most so many; [`Command::DEFAULT_MESSAGES`] if not given, and never more than
 * [`Command::MAX_MESSAGES`].
 */
limit?: number, } | { "command": "search", 
/**
 * As typed; the last of them may be the beginning of a word. At most
 * [`Command::MAX_SEARCH_LEN`] bytes.
 */
words: string, 
/** In the conversation with one contact only. */
contact?: string, 
/** Only those with a smaller id. */
before?: number, 
/** At most so many; [`Command::MAX_FOUND`] if not given, and never more than that. */
limit?: number, } | { "command": "conversations" } | { "command": "mark_read", 
/** Whose. */
contact: string, 
/** The last message seen. Less than before changes nothing. */
up_to: number, } | { "command": "status" };

/** A name that a face (a tab of the page) gives itself, to know its own words among the events. */
export type Face = string;

/** When a sent message is answered for. */
export type Wait = "no" | "stored" | "delivered";

/** How a command ended well. */
export type Response = { 
/** Ready to be handed over. */
link: string, } | { 
/** Oldest first. */
invitations: Array<Invitation>, } | { 
/** Newest first. */
found: Array<Found>, 
/** Whether there may be more, before the last of these. */
more: boolean, } | Contact | { 
/** In no particular order that means anything. */
contacts: Array<Contact>, } | { 
/** Twelve groups of five digits. */
safety_number: string, } | { 
/** The message's id. */
id: number, 
/** Its state now. */
state: MessageState, } | { 
/** Oldest first. */
messages: Array<Message>, } | Status | { 
/** The one with the newest message first; those without any come last. */
conversations: Array<Conversation>, } | Record<symbol, never>;

/** A conversation, as a list of conversations shows it. */
export type Conversation = { 
/** With whom. */
contact: Contact, 
/** The newest message, if there is one. */
last: Message | null, 
/** How many messages of the other side came after those that were seen. */
unread: number, 
/** What was begun to be written in it, if anything was. */
draft: string | null, };

/** One person. */
export type Contact = { 
/** The person, on this device. */
contact: ContactId, 
/** Their chosen name. */
name: string, 
/** The conversation with them. */
conversation: ConversationId, 
/** The safety numbers were compared. */
verified: boolean, 
/** One of the two has rejoined since they were compared last: compare again. */
rejoined: boolean, 
/** This device is coming back, and waits until the other side is online. */
rejoining: boolean, };

/** A message that was found. */
export type Found = { 
/** The message. */
id: number, 
/** Its conversation. */
conversation: ConversationId, 
/** With whom. */
contact: ContactId, 
/** Ours or theirs. */
direction: Direction, 
/** The sender's clock, Unix milliseconds. */
sent_at: number, 
/** The part of it around what was found, on one line, with an ellipsis where it was cut. */
snippet: string, 
/**
 * Where the words stand in the snippet: first character and the one after the last, counted in
 * characters (Unicode scalar values, not bytes and not UTF-16).
 */
marks: Array<[number, number]>, };

/** An invitation of ours that has not ended. */
export type Invitation = { 
/** Which, on this device. */
invitation: InvitationId, 
/** Ready to be handed over; `null` while it is being made. */
link: string | null, 
/** When it was made, Unix milliseconds. */
made_at: number, 
/** When it ends by itself, Unix milliseconds. */
expires_at: number, };

/** Where an invitation of ours stands. */
export type InvitationState = "making" | "open" | "closing" | "accepted" | "expired" | "withdrawn" | "spoiled";

/** One message. */
export type Message = { 
/** Increasing over the whole profile: the order in which this device saw messages. */
id: number, 
/** Its conversation. */
conversation: ConversationId, 
/** With whom. */
contact: ContactId, 
/** Ours or theirs. */
direction: Direction, 
/** What it says; empty if only a newer version can read it. */
text: string, 
/** The sender's clock, Unix milliseconds. */
sent_at: number, 
/** Where it stands. */
state: MessageState, 
/** It is of a kind that this version does not know. */
needs_newer_version?: boolean, } & (Notice | { notice?: undefined });

/** What happened to a conversation. */
export type Notice = { "notice": "they_rejoined" } | { "notice": "we_rejoined" } | { "notice": "missing", 
/** How many. */
count: number, };

/** Something the person sees. */
export type Event = { "event": "message" } & Message | { "event": "message_state", 
/** The message. */
id: number, 
/** Its conversation. */
conversation: ConversationId, 
/** Its new state. */
state: MessageState, } | { "event": "read", 
/** Where. */
conversation: ConversationId, 
/** With whom. */
contact: ContactId, 
/** The last message that was seen. */
up_to: number, 
/** How many of the other side's are still unread. */
unread: number, } | { "event": "draft", 
/** Where. */
conversation: ConversationId, 
/** To whom. */
contact: ContactId, 
/** So far; empty if it was sent, or is no more. */
text: string, 
/** Who said so: a face knows its own words by it. */
face: Face, } | { "event": "contact" } & Contact | { "event": "invitation", 
/** Which. */
invitation: InvitationId, 
/** Where it stands now. */
state: InvitationState, } | { "event": "invitation_failed", 
/** `expired`, `spoiled` or `withdrawn`. */
reason: string, } | { "event": "accept_failed", 
/** Why. */
error: ErrorBody, } | { "event": "epoch_changed", 
/** Where. */
conversation: ConversationId, 
/** The new epoch. */
epoch: number, } | { "event": "alert", 
/** Where. */
conversation: ConversationId, 
/** What. */
alert: Alert, } | { "event": "status" } & Status | { "event": "stopping" };

/** What can be wrong with a conversation. */
export type Alert = "unreadable" | "missed" | "other";

/** An event and its place: [`crate::From::Change`] with this number gives what came after it. */
export type Numbered = { 
/**
 * Counts the changes of all messages of the profile. Events that change no message carry the
 * number of the last change before them. 0 for a row of the history: go on after its id too.
 */
seq: number, } & (Event);

/** An error in JSON. */
export type ErrorBody = { 
/** Stable, for scripts: [`ErrorKind::code`]. */
code: string, 
/** One sentence. */
message: string, 
/** What to do about it; may be empty. */
hint: string, };

/** How things stand. */
export type Status = { 
/** The person's name. */
name: string, 
/** The network's name. */
network: string, 
/** The network's id, hexadecimal. */
network_id: string, 
/** Whether the device is online, and since when. */
online: Online, 
/** What the device sends, whatever its owner does. */
pace: PaceStatus, 
/** What each pace costs and gives in this network, fastest first. */
paces: Array<PaceChoice>, 
/** Among how many one hides. */
crowd: Crowd, 
/** What waits for its slot. */
queued: Queued, 
/** Boxes that are watched for messages. */
followed: number, 
/** Of these, how many a store has confirmed to stand ready for. */
registered: number, 
/** Whether deliveries are being collected: `answering`, `silent` or `unknown`. */
collector: string, 
/** Share of packets sent to oneself that did not come back, 0 to 1. */
loop_loss: number | null, 
/** Whether so many of them are lost that somebody on the way drops or delays packets. What is lost goes out again. */
losing: boolean, 
/** Mixes that let too few packets through: for a while this device's take other ways. */
avoided_mixes: number, 
/** Stores that do not answer at present, or too rarely. What they keep lies on two others as well. */
avoided_stores: number, 
/** Median time from a packet to its answer, in milliseconds. */
round_trip_ms: number | null, 
/** Answers that did not verify, since the start. */
refused_answers: number, 
/** Packets since the start that left later than their slot: the device was too busy for more than 50 ms. */
late_slots: number, 
/** Whether a store lately refused something because it had too much to do. It goes out again by itself. */
stores_busy: boolean, 
/** The network document in use. */
document: DocumentStatus, 
/** Conversations in which this device is coming back and waits for the other side. */
rejoining: number, 
/** What can be said of this device's clock: by a wrong one nothing is sent and nothing expires. */
clock: ClockState, 
/** Why nothing can be stored at present; the client tries again by itself. */
halted?: ErrorBody, };

/** The link to the gateway. */
export type Online = { "state": "online", 
/** Since when, Unix milliseconds. */
since: number, } | { "state": "connecting", 
/** Attempts without success since the last session. */
failed: number, 
/** Why the last of them failed. */
trouble?: Trouble, 
/** When the next one begins, Unix milliseconds; not there while one is under way. */
retry_at?: number, } | { "state": "proving", 
/** How many hashes it takes on average. */
attempts: number, } | { "state": "offline" };

/** Why there is no session. */
export type Trouble = "unreachable" | "no_answer" | "busy" | "work_too_hard" | "work_too_slow" | "silent" | "too_fast" | "no_document" | "refused";

/** What the device sends. */
export type PaceStatus = { 
/** `fast`, `desk`, `phone` or `thrift`. */
name: string, 
/** Packets a second in force: the pace's, or what the network fixes. */
packets_per_second: number, 
/** Bytes in a month of thirty days always online, each way. */
bytes_per_month: number, 
/**
 * Half of all messages take no longer than this, while both sides are online at this pace; somewhat longer where both
 * say much.
 */
message_seconds: number, };

/** Among how many one hides. */
export type Crowd = { 
/** `sufficient` if each mix holds about thirty packets at any time, `small` if fewer, `unknown` where nothing tells. */
size: string, 
/**
 * Whether the network is made for trying out: it fixes everybody's pace, mixes less than the rule asks for, or
 * runs on one machine. Its parameters say nothing of how many are there.
 */
trial: boolean, 
/**
 * About how many devices are online, to a power of ten, as the public document tells everybody: `few`, `dozens`,
 * `hundreds`, `thousands`; `unknown` where the network's operators have fixed the delay of its mixes, which otherwise
 * says it.
 */
devices: string, 
/** Mean delay at each mix, in milliseconds. */
mix_delay_ms: number, 
/** How many gateways the network has. */
gateways: number, 
/** How many mixes. */
mixes: number, 
/** How many stores. */
stores: number, };

/** What waits for its slot. */
export type Queued = { 
/** Messages not yet stored. */
messages: number, 
/** Boxes to write. */
writes: number, 
/** Boxes to read. */
reads: number, };

/** The network document in use. */
export type DocumentStatus = { 
/** Its number. */
epoch: number, 
/** When it ends, Unix milliseconds. */
valid_until: number, 
/** Whether that is over: nothing is sent until there is a newer one. */
expired: boolean, 
/** How long the network keeps what nobody has fetched, in milliseconds. */
box_lifetime_ms: number, };

/** What the network document says about the clock. */
export type ClockState = "right" | "behind" | "unsure";

/** One of the paces, and what it costs and gives. */
export type PaceChoice = { 
/** `fast`, `desk`, `phone` or `thrift`. */
name: string, 
/** Packets a second: the pace's, or what the network fixes for all. */
packets_per_second: number, 
/** Bytes in a month of thirty days always online, each way. */
bytes_per_month: number, 
/**
 * Half of all messages take no longer than this, while both sides are online at this pace; somewhat longer where both
 * say much.
 */
message_seconds: number, };

/** What a page says. */
export type ToDaemon = { "type": "hello", 
/** From `POST /v1/session`. */
token: string, 
/** The last change that this page was told of; what changed since comes first. */
after: number | null, } | { "type": "command", 
/** Stands in the answer. */
id: number, 
/** As it is. */
command: Command, } | { "type": "create", 
/** Stands in the answer. */
id: number, 
/** As contacts will see it. */
name: string, 
/** The passphrase to be. */
passphrase: string, 
/** The name of one of the paces in [`Welcome`]. */
pace: string, } | { "type": "unlock", 
/** Stands in the answer. */
id: number, 
/** The profile's. */
passphrase: string, } | { "type": "lock", 
/** Stands in the answer. */
id: number, };

/** What the daemon says. */
export type FromDaemon = { "type": "welcome" } & Welcome | { "type": "response", 
/** The command's. */
id: number, 
/** The SDK's response; for create, unlock and lock `{}`. */
response: Response, } | { "type": "error", 
/** The command's. */
id: number | null, 
/** Why. */
error: ErrorBody, } | { "type": "event", 
/** With its number. */
event: Numbered, };

/** How things stand with the profile. */
export type Welcome = { 
/** The program's version. */
version: string, 
/** Whether there is one, and whether it is open. */
profile: ProfileState, 
/** The person's name, if it is open. */
name: string | null, 
/** The last change before the first event, if it is open. */
place: number | null, 
/** The network that a new profile would be in; `null` if the daemon was given none. */
network: string | null, 
/** What a new profile can choose from, fastest first. */
paces: Array<PaceChoice>, };

/** Whether there is a profile, and whether it is open. */
export type ProfileState = "absent" | "locked" | "open";

/** `POST /v1/session`: a code for a token. */
export type SessionRequest = { 
/** From the address by which the page was opened. */
code: string, };

/** The answer to [`SessionRequest`]. */
export type SessionResponse = { 
/** For hello. */
token: string, };
