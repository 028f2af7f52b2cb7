//! Results as a person reads them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use xchat_client::{
    ClockState, Contact, ContactId, Crowd, Direction, Event, Found, Invitation, Message,
    MessageState, Notice, Online, Status, Trouble,
};

/// Contacts' names.
pub(super) type Names = BTreeMap<ContactId, String>;

/// Text from another person, for a terminal: what could move the cursor, change colours or turn
/// writing around shows as a replacement character.
pub(super) fn printable(text: &str) -> String {
    let hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    text.chars().map(|c| if hostile(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Lines of a message, the later ones indented below the first.
fn body(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n    ")
}

/// What to type for a contact.
pub(super) fn shell_word(contact: &Contact) -> String {
    let plain = contact.name.chars().all(|c| c.is_ascii_alphanumeric());
    if plain && !contact.name.is_empty() { contact.name.clone() } else { contact.contact.to_hex() }
}

/// The widest of some names, in characters.
pub(super) fn width<'a>(names: impl IntoIterator<Item = &'a str>) -> usize {
    names.into_iter().map(|name| name.chars().count()).max().unwrap_or(0)
}

pub(super) fn contact(contact: &Contact, width: usize) -> String {
    let verified = match contact {
        Contact { verified: true, .. } => "verified",
        Contact { rejoined: true, .. } => "rejoined, compare again",
        _ => "not compared yet",
    };
    let rejoining = if contact.rejoining { "; coming back, waits for the other side" } else { "" };
    let (name, id) = (printable(&contact.name), contact.contact.to_hex());
    format!("{name:width$}  {id}  {verified}{rejoining}")
}

/// An open invitation, and its link on a line of its own.
pub(super) fn invitation(invitation: &Invitation) -> String {
    let (id, until) = (invitation.invitation.to_hex(), time(invitation.expires_at));
    let link =
        invitation.link.as_deref().unwrap_or("[being made; its link comes when it is ready]");
    format!("{id}  open until {until}\n    {link}")
}

/// A message that was found, with what was found between the signs that mark strong words in plain text.
pub(super) fn found(found: &Found, names: &Names) -> String {
    let time = time(found.sent_at);
    let name = printable(names.get(&found.contact).map_or("?", String::as_str));
    let mut text = String::new();
    let starts = |at: u32| found.marks.iter().any(|(from, _)| *from == at);
    let ends = |at: u32| found.marks.iter().any(|(_, to)| *to == at);
    let mut at = 0;
    for c in found.snippet.chars() {
        if ends(at) {
            text.push('*');
        }
        if starts(at) {
            text.push('*');
        }
        text.push(c);
        at += 1;
    }
    if ends(at) {
        text.push('*');
    }
    let text = printable(&text);
    match found.direction {
        Direction::In => format!("{time}  {name}: {text}  [{}]", found.id),
        Direction::Out => format!("{time}  to {name}: {text}  [{}]", found.id),
    }
}

/// Three lines of four groups.
pub(super) fn safety_number(digits: &str) -> String {
    let groups: Vec<&str> = digits.split_whitespace().collect();
    groups.chunks(4).map(|line| line.join(" ")).collect::<Vec<_>>().join("\n")
}

pub(super) fn state(state: MessageState) -> &'static str {
    match state {
        MessageState::Waiting => "Queued: it goes out as its turn comes.",
        MessageState::Stored => "Stored: it cannot be lost any more.",
        MessageState::Delivered => "Delivered.",
        MessageState::Received => "Received.",
    }
}

pub(super) fn message(message: &Message, names: &Names) -> String {
    let time = time(message.sent_at);
    let name = names.get(&message.contact).map_or("?", String::as_str);
    let name = printable(name);
    if let Some(notice) = &message.notice {
        return format!("{time}  *** {}", self::notice(notice, &name));
    }
    let text = if message.needs_newer_version {
        "[needs a newer version of xchat]".to_owned()
    } else {
        body(&message.text)
    };
    match message.direction {
        Direction::In => format!("{time}  {name}: {text}"),
        Direction::Out => {
            format!("{time}  to {name}: {text}  ({})", message.state.as_str())
        }
    }
}

fn notice(notice: &Notice, name: &str) -> String {
    match notice {
        Notice::TheyRejoined => format!(
            "{name} has rejoined, after a long absence or from a backup; or somebody has their \
             backup. The safety number has changed: compare again."
        ),
        Notice::WeRejoined => format!(
            "You have rejoined the conversation with {name}. The safety number has changed: \
             compare again."
        ),
        Notice::Missing { count } => format!(
            "{count} of {name}'s messages are missing: they expired before this device read them."
        ),
        _ => "[needs a newer version of xchat]".to_owned(),
    }
}

pub(super) fn event(event: &Event, names: &Names) -> String {
    match event {
        Event::Message(row) => message(row, names),
        Event::MessageState { id, state, .. } => format!("message {id}: {}", state.as_str()),
        Event::Read { up_to, .. } => format!("read, up to message {up_to}"),
        Event::Draft { contact, text, .. } => {
            let name = printable(names.get(contact).map_or("?", String::as_str));
            format!("draft to {name}: {}", body(text))
        }
        Event::Invitation { invitation, state } => {
            format!("invitation {}: {}", invitation.to_hex(), state.as_str())
        }
        Event::Contact(contact) => format!("contact: {}", self::contact(contact, 0)),
        Event::InvitationFailed { reason } => format!("an invitation of yours ended: {reason}"),
        Event::AcceptFailed { error } => {
            format!("an invitation could not be accepted: {}", error.message)
        }
        Event::EpochChanged { .. } => "keys were renewed".to_owned(),
        Event::Alert { alert, .. } => format!("warning: {alert:?}"),
        Event::Status(status) => online(&status.online),
        _ => String::new(),
    }
}

/// How long a message takes, and what becomes of one for somebody who is away.
fn delivery(status: &Status) -> String {
    let seconds = status.pace.message_seconds;
    let days = Duration::from_millis(status.document.box_lifetime_ms).as_secs() / 86_400;
    let kept = if days > 0 { format!("{days} days") } else { "less than a day".to_owned() };
    format!(
        "half of them within {seconds} s while both are online at this pace, longer where much is said; kept {kept} for who is not"
    )
}

/// What the crowd means for whoever is in it.
fn crowd(crowd: &Crowd) -> String {
    match (crowd.trial, crowd.size.as_str(), crowd.devices.as_str()) {
        (true, ..) => "a network for trying out: it hides nobody from who watches all of it",
        (_, "unknown", _) => {
            "nobody knows how many: this network's operators have fixed what otherwise tells it"
        }
        (_, "small", _) => "few: who watches all links has few to guess among",
        (_, _, "dozens") => "dozens of devices: the more are online, the less a guess is worth",
        (_, _, "hundreds") => "hundreds of devices, about thirty packets in each mix at a time",
        _ => "thousands of devices, about thirty packets in each mix at a time",
    }
    .to_owned()
}

/// What some node does that it should not.
fn faults(status: &Status) -> Vec<String> {
    let mut faults = Vec::new();
    if status.losing {
        let percent = status.loop_loss.unwrap_or_default() * 100.0;
        faults.push(format!(
            "{percent:.0} % of the packets that test the way are lost: somebody may be dropping them; \
             what is lost goes out again"
        ));
    }
    match status.avoided_mixes {
        0 => {}
        1 => faults.push("a mix lets too few packets through; yours go round it".to_owned()),
        n => faults.push(format!("{n} mixes let too few packets through; yours go round them")),
    }
    match status.avoided_stores {
        0 => {}
        1 => faults.push(
            "a store answers too rarely, or not at all; two others keep what it keeps".to_owned(),
        ),
        n => faults.push(format!(
            "{n} stores answer too rarely, or not at all; what they keep lies elsewhere too"
        )),
    }
    if status.collector == "silent" {
        faults.push("the store where deliveries wait is silent; another takes over".to_owned());
    }
    if status.refused_answers > 0 {
        let answers = status.refused_answers;
        faults.push(format!("{answers} answers did not verify and were thrown away"));
    }
    faults
}

fn online(online: &Online) -> String {
    match online {
        Online::Online { since } => format!("online since {}", time(*since)),
        Online::Connecting { failed: 0, .. } => "connecting".to_owned(),
        Online::Connecting { failed, trouble, .. } => {
            let why = trouble.map_or("", trouble_text);
            let times = if *failed == 1 { "attempt" } else { "attempts" };
            format!("connecting, {failed} {times} failed{why}")
        }
        Online::Proving { attempts } => {
            format!("connecting: working off what the gateway asks for ({})", work(*attempts))
        }
        _ => "offline: no gateway can be tried".to_owned(),
    }
}

/// Behind "attempts failed".
fn trouble_text(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Unreachable => ": the gateway cannot be reached",
        Trouble::NoAnswer => ": the gateway does not answer",
        Trouble::Busy => ": the gateway is full; those who are there stay, and this goes on trying",
        Trouble::WorkTooHard => ": the gateway wants more work than this program does",
        Trouble::WorkTooSlow => ": the gateway's work takes this machine too long",
        Trouble::Silent => ": nothing came through the gateway any more",
        Trouble::TooFast => ": the gateway says that this device sent too fast",
        Trouble::NoDocument => ": the gateway has no valid network document",
        _ => ": the gateway refused",
    }
}

/// What a proof of work costs.
fn work(attempts: u64) -> String {
    format!("about {:.1} million hashes", attempts as f64 / 1e6)
}

pub(super) fn status(status: &Status, pid: u32) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:9} {value}");
    };
    row("name", printable(&status.name));
    row("network", format!("{}, {}", status.network, online(&status.online)));
    let pace = &status.pace;
    let gigabytes = pace.bytes_per_month as f64 / 1e9;
    let rate = pace.packets_per_second;
    row(
        "pace",
        format!("{}: {rate:.2} packets/s, {gigabytes:.1} GB a month each way, always", pace.name),
    );
    row("messages", delivery(status));
    row("crowd", crowd(&status.crowd));
    let Crowd { gateways, mixes, stores, mix_delay_ms, .. } = &status.crowd;
    row(
        "nodes",
        format!(
            "{gateways} gateways, {mixes} mixes ({mix_delay_ms} ms at each on average), {stores} stores"
        ),
    );
    let queued = status.queued;
    row(
        "queued",
        format!(
            "{} messages, {} boxes to write, {} to read",
            queued.messages, queued.writes, queued.reads
        ),
    );
    if status.rejoining > 0 {
        let waits = format!("{} conversations, waiting for the other side", status.rejoining);
        row("rejoining", waits);
    }
    row("watching", format!("{} of {} boxes", status.registered, status.followed));
    if let Some(ms) = status.round_trip_ms {
        row("answers", format!("after {ms} ms"));
    }
    if status.stores_busy {
        row("stores", "busy; what they refused goes out again by itself".to_owned());
    }
    for warning in faults(status) {
        row("warning", warning);
    }
    match status.clock {
        ClockState::Behind => {
            row(
                "warning",
                "this device's clock is behind the network's; nothing is sent".to_owned(),
            );
        }
        ClockState::Unsure => row(
            "warning",
            "the network document is over, or this device's clock is ahead; nothing is sent"
                .to_owned(),
        ),
        _ => {}
    }
    row("daemon", format!("process {pid}"));
    text.truncate(text.trim_end().len());
    text
}

/// Unix milliseconds as UTC. The civil date is Howard Hinnant's `civil_from_days`.
fn time(unix_ms: u64) -> String {
    let minutes = unix_ms / 60_000;
    let (days, hour, minute) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    // Days since 0000-03-01; eras of 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let date = day - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_civil() {
        assert_eq!(time(0), "1970-01-01 00:00 UTC");
        assert_eq!(time(951_782_400_000), "2000-02-29 00:00 UTC");
        assert_eq!(time(1_795_405_569_000), "2026-11-23 03:46 UTC");
    }

    #[test]
    fn a_message_cannot_move_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\u{202e}c\r"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}");
        assert_eq!(body("one\ntwo\x07"), "one\n    two\u{fffd}");
    }

    #[test]
    fn what_was_found_is_marked_where_it_stands() {
        let found = Found {
            id: 7,
            conversation: xchat_client::ConversationId::from_bytes([1; 16]),
            contact: ContactId::from_bytes([2; 8]),
            direction: Direction::In,
            sent_at: 0,
            snippet: "…نلتقي on the side".to_owned(),
            marks: vec![(1, 6), (14, 18)],
        };
        let names = Names::from([(found.contact, "Bob".to_owned())]);
        let shown = self::found(&found, &names);
        assert_eq!(shown, "1970-01-01 00:00 UTC  Bob: …*نلتقي* on the *side*  [7]");
    }

    #[test]
    fn a_safety_number_stands_in_three_lines() {
        let digits = ["12345"; 12].join(" ");
        assert_eq!(safety_number(&digits).lines().count(), 3);
    }

    fn quiet() -> Status {
        let paces = xchat_client::PaceChoice::usual();
        Status {
            name: "Alice".to_owned(),
            network: "nowhere".to_owned(),
            network_id: "00".repeat(16),
            online: Online::Online { since: 0 },
            pace: xchat_client::PaceStatus {
                name: paces[1].name.clone(),
                packets_per_second: paces[1].packets_per_second,
                bytes_per_month: paces[1].bytes_per_month,
                message_seconds: paces[1].message_seconds,
            },
            paces,
            crowd: Crowd {
                size: "sufficient".to_owned(),
                trial: false,
                devices: "hundreds".to_owned(),
                mix_delay_ms: 50,
                gateways: 2,
                mixes: 3,
                stores: 4,
            },
            queued: xchat_client::Queued { messages: 0, writes: 0, reads: 0 },
            followed: 0,
            registered: 0,
            collector: "answering".to_owned(),
            loop_loss: Some(0.0),
            losing: false,
            avoided_mixes: 0,
            avoided_stores: 0,
            round_trip_ms: None,
            refused_answers: 0,
            late_slots: 0,
            stores_busy: false,
            document: xchat_client::DocumentStatus {
                epoch: 1,
                valid_until: 0,
                expired: false,
                box_lifetime_ms: 16 * 86_400_000,
            },
            rejoining: 0,
            clock: ClockState::Right,
            halted: None,
        }
    }

    #[test]
    fn the_status_says_what_the_pace_costs_and_gives() {
        let text = status(&quiet(), 7);
        assert!(text.contains("desk: 1.00 packets/s, 6.3 GB a month each way"), "{text}");
        assert!(text.contains("half of them within 2.5 s"), "{text}");
        assert!(text.contains("kept 16 days"), "{text}");
        assert!(text.contains("hundreds of devices"), "{text}");
        assert!(!text.contains("warning"), "{text}");
    }

    #[test]
    fn the_status_promises_no_crowd_where_there_is_none() {
        let few = Crowd { size: "small".to_owned(), devices: "few".to_owned(), ..quiet().crowd };
        let text = |crowd: Crowd| status(&Status { crowd, ..quiet() }, 7);
        assert!(text(few.clone()).contains("few to guess among"));
        assert!(text(Crowd { trial: true, ..few }).contains("hides nobody"));
    }

    #[test]
    fn every_fault_of_a_node_is_a_warning_of_its_own() {
        let faulty = Status {
            losing: true,
            loop_loss: Some(0.4),
            avoided_mixes: 1,
            avoided_stores: 2,
            collector: "silent".to_owned(),
            refused_answers: 3,
            late_slots: 0,
            ..quiet()
        };
        let text = status(&faulty, 7);
        let warnings: Vec<&str> = text.lines().filter(|line| line.starts_with("warning")).collect();
        assert_eq!(warnings.len(), 5, "{text}");
        for said in ["40 %", "a mix lets", "2 stores", "deliveries wait", "3 answers"] {
            assert!(warnings.iter().any(|line| line.contains(said)), "{said}: {text}");
        }
    }
}
