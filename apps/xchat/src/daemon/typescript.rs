//! The page's types, from the daemon's: `web/app/src/lib/api/types.ts` is what this makes, and nothing else.

use std::path::Path;

use ts_rs::{Config, TS};
use xchat_client::{
    Alert, ClockState, Command, Contact, Conversation, Crowd, Direction, DocumentStatus, ErrorBody,
    Event, Face, Found, Invitation, InvitationState, Message, MessageState, Notice, Numbered,
    Online, PaceChoice, PaceStatus, Queued, Response, Status, Trouble, Wait,
};

use super::socket::frames::{
    FromDaemon, ProfileState, SessionRequest, SessionResponse, ToDaemon, Welcome,
};

/// Set it, run the test, and the file is as it should be.
const WRITE: &str = "XCHAT_WRITE_TYPES";

const HEAD: &str = "\
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
";

fn file() -> String {
    let config = Config::new().with_large_int("number");
    let mut text = HEAD.to_owned();
    let mut add = |declaration: String, docs: Option<String>| {
        text.push('\n');
        text.push_str(docs.as_deref().unwrap_or_default().trim_start());
        text.push_str("export ");
        text.push_str(&declaration);
        text.push('\n');
    };
    macro_rules! declare {
        ($($type:ty),*) => { $(add(<$type>::decl(&config), <$type>::docs());)* };
    }
    let directions = [Direction::In, Direction::Out].map(json);
    add(union("Direction", &directions), None);
    let states = [
        MessageState::Waiting,
        MessageState::Stored,
        MessageState::Delivered,
        MessageState::Received,
    ];
    add(union("MessageState", &states.map(json)), None);
    declare!(
        Command,
        Face,
        Wait,
        Response,
        Conversation,
        Contact,
        Found,
        Invitation,
        InvitationState
    );
    // A notice lies in its message's own line, if there is one.
    let message = Message::decl(&config);
    let message = message.trim_end_matches([';', ' ']);
    let message = format!("{message} & (Notice | {{ notice?: undefined }});");
    add(message, Message::docs());
    declare!(Notice, Event, Alert);
    // By its name instead of once more in full.
    let numbered = Numbered::decl(&config).replace(&Event::inline(&config), "Event");
    add(numbered, Numbered::docs());
    declare!(ErrorBody, Status, Online, Trouble, PaceStatus, Crowd);
    declare!(Queued, DocumentStatus, ClockState, PaceChoice);
    declare!(ToDaemon, FromDaemon<'static>, Welcome, ProfileState, SessionRequest, SessionResponse);
    short_docs(&text)
}

/// A comment of one line stands in one.
fn short_docs(text: &str) -> String {
    let mut short = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/**\n * ") {
        short.push_str(before);
        let (comment, after) = after.split_once("\n */").unwrap_or((after, ""));
        if comment.contains('\n') {
            short.push_str("/**\n * ");
            short.push_str(comment);
            short.push_str("\n */");
        } else {
            short.push_str("/** ");
            short.push_str(comment);
            short.push_str(" */");
        }
        rest = after;
    }
    short.push_str(rest);
    short
}

fn union(name: &str, words: &[String]) -> String {
    format!("type {name} = {};", words.join(" | "))
}

fn json(word: impl serde::Serialize) -> String {
    serde_json::to_string(&word).expect("a word")
}

#[test]
fn the_pages_types_are_those_of_the_daemon() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/app/src/lib/api/types.ts");
    let made = file();
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, &made).expect("writes");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "{} is not what the Rust types say. Make it anew:\n    \
         XCHAT_WRITE_TYPES=1 cargo test -p xchat --bin xchat typescript\n\
         and change the page to what it says.",
        path.display()
    );
}
