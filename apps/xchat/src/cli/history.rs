//! Sending, reading, listening.

use std::io::Read;

use serde::Deserialize;
use serde_json::json;
use xchat_client::{
    Command, Contact, ErrorKind, Event, Found, Message, MessageState, Numbered, Status, Wait,
};

use super::failures::of_kind;
use super::output::Output;
use super::show;
use super::{Here, SendArgs};
use crate::daemon::Daemon;
use crate::daemon::connect::Place;
use crate::failure::{Failure, exit};

pub(super) async fn send(here: &Here<'_>, args: SendArgs, out: Output) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Sent {
        id: u64,
        state: MessageState,
    }
    let wait = match (args.no_wait, args.wait_delivered) {
        (true, _) => Wait::No,
        (_, true) => Wait::Delivered,
        _ => Wait::Stored,
    };
    let text = if args.text == "-" { from_stdin()? } else { args.text };
    let daemon = here.daemon().await?;
    let command = Command::Send { contact: args.contact, text, wait, from_draft: None };
    let Sent { id, state } = daemon.command(&command, Some(args.patience.within())).await?;
    out.line(&json!({ "id": id, "state": state }), || show::state(state).to_owned())?;
    if state >= wait.state() { Ok(()) } else { Err(late(&daemon, wait).await) }
}

/// Why a message is not as far as was asked for. It is in the outbox all the same.
async fn late(daemon: &Daemon, wait: Wait) -> Failure {
    let status: Result<Status, Failure> = daemon.command(&Command::Status, None).await;
    let wanted = wait.state().as_str();
    let why_not = status.map_or(Some("the network cannot be reached"), |s| s.online.why_not());
    match why_not {
        None => {
            let text = format!("the message is queued, but was not {wanted} in time");
            of_kind(ErrorKind::Timeout, text)
                .hint("It goes on in the background; do not send it again.")
        }
        Some(why) => of_kind(ErrorKind::NoNetwork, format!("the message is queued, but {why}"))
            .hint("It goes out as soon as the device is online; do not send it again."),
    }
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    // One byte more than allowed, so that the error is the usual one.
    let limit = xchat_client::MAX_TEXT_LEN as u64 + 1;
    let read = std::io::stdin().lock().take(limit).read_to_string(&mut text);
    read.map_err(|error| {
        Failure::new(exit::INVALID, "invalid", format!("the text cannot be read: {error}"))
    })?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

async fn page(
    daemon: &Daemon,
    contact: &str,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Message>, Failure> {
    #[derive(Deserialize)]
    struct Page {
        messages: Vec<Message>,
    }
    let contact = Some(contact.to_owned());
    let command = Command::Messages { contact, before, after: None, limit: Some(limit) };
    Ok(daemon.command::<Page>(&command, None).await?.messages)
}

pub(super) async fn read(
    here: &Here<'_>,
    contact: String,
    limit: u64,
    mut before: Option<u64>,
    out: Output,
) -> Result<(), Failure> {
    let daemon = here.daemon().await?;
    let mut left = if limit == 0 { u64::MAX } else { limit };
    // Newest page first.
    let mut pages = Vec::new();
    while left > 0 {
        let size = u64::from(Command::MAX_MESSAGES).min(left);
        let messages = page(&daemon, &contact, before, size as u32).await?;
        let Some(oldest) = messages.first() else { break };
        before = Some(oldest.id);
        left -= messages.len() as u64;
        let last = (messages.len() as u64) < size;
        pages.push(messages);
        if last {
            break;
        }
    }
    let names = names(&daemon).await?;
    for message in pages.into_iter().rev().flatten() {
        out.line(&Event::Message(message.clone()), || show::message(&message, &names))?;
    }
    Ok(())
}

pub(super) async fn search(
    here: &Here<'_>,
    args: super::SearchArgs,
    out: Output,
) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Page {
        found: Vec<Found>,
        more: bool,
    }
    let daemon = here.daemon().await?;
    let words = args.words.join(" ");
    let command = Command::Search { words, contact: args.with, before: args.before, limit: None };
    let Page { found, more } = daemon.command(&command, None).await?;
    let names = names(&daemon).await?;
    for each in &found {
        out.line(each, || show::found(each, &names))?;
    }
    match found.last() {
        None => out.remark(|| "Nothing found.".to_owned()),
        Some(last) if more => {
            out.remark(|| format!("There may be more: add --before {}.", last.id))
        }
        Some(_) => Ok(()),
    }
}

async fn names(daemon: &Daemon) -> Result<show::Names, Failure> {
    #[derive(Deserialize)]
    struct Listed {
        contacts: Vec<Contact>,
    }
    let listed: Listed = daemon.command(&Command::Contacts, None).await?;
    Ok(listed.contacts.into_iter().map(|c| (c.contact, c.name)).collect())
}

/// Goes on through the end of a daemon that was not stopped: it starts another and asks for what came
/// after the last change it was told of.
pub(super) async fn listen(
    here: &Here<'_>,
    since: Option<u64>,
    all: bool,
    out: Output,
) -> Result<(), Failure> {
    let place = Place { message: since, change: None };
    let mut listener = Listener { names: show::Names::new(), place, all, out };
    loop {
        let daemon = here.daemon().await?;
        if listener.listen(&daemon).await? {
            return Ok(());
        }
    }
}

struct Listener {
    names: show::Names,
    /// Where to go on from: the last message that was told, and the last change.
    place: Place,
    all: bool,
    out: Output,
}

impl Listener {
    /// Until the daemon ends; whether somebody stopped it.
    async fn listen(&mut self, daemon: &Daemon) -> Result<bool, Failure> {
        let Some(mut events) = daemon.events(self.place).await? else { return Ok(false) };
        // From here on nothing is missed, even if this daemon dies before it has told anything.
        self.place.change.get_or_insert(events.begins_after());
        match names(daemon).await {
            Ok(names) => self.names = names,
            // The events say whether somebody stopped it.
            Err(failure) if failure.code == "stopped" => {}
            Err(failure) => return Err(failure),
        }
        while let Some(Numbered { seq, event }) = events.next().await {
            if matches!(event, Event::Stopping) {
                return Ok(true);
            }
            self.tell(&event)?;
            if let Event::Message(message) = &event {
                self.place.message = Some(message.id);
            }
            // A row of the history has no number.
            if seq > 0 {
                self.place.change = Some(seq);
            }
        }
        Ok(false)
    }

    fn tell(&mut self, event: &Event) -> Result<(), Failure> {
        if let Event::Contact(contact) = event {
            self.names.insert(contact.contact, contact.name.clone());
        }
        let about_messages = matches!(event, Event::Message(_) | Event::MessageState { .. });
        if !about_messages && !self.all {
            return Ok(());
        }
        self.out.line(event, || show::event(event, &self.names))
    }
}
