//! A client with a million messages.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use xchat_client::{
    ContactId, ConversationId, Direction, MessageState, Passphrase, Profile, Store,
};
use xchat_engine::{Change, Content, MessageRow};
use xchat_testkit::{Ground, PASSPHRASE, Person, memory_of};

use crate::cpu;
use crate::report::Row;

const MESSAGES: u64 = 1_000_000;

/// What is sought, and what kind of search that is. The third is the dearest that there is: every message has
/// the word, and more letters of it are given than the index has ready.
const SEARCHES: [(&str, &str); 4] = [
    ("a word that few have", "batch 77"),
    ("words that all have", "see you on the other side"),
    ("the beginning of a word that all have", "messag"),
    ("a word that none has", "heron"),
];

/// Rows in one transaction.
const BATCH: u64 = 10_000;

pub(crate) fn run(args: &crate::Args) -> Vec<Row> {
    let ground = Ground::up(&args.xchat, &["--rate", "20", "--mix-delay", "2", "--link-rate", "0"]);
    let (alice, bob) = (Person::new(&ground, "alice"), Person::new(&ground, "bob"));
    bob.ok(&["accept", &alice.invite()]);
    let contact = alice.ok(&["contacts", "--wait", "bob"]).remove(0);
    let id = |field: &str| contact[field].as_str().expect("an id").to_owned();
    let conversation = ConversationId::from_hex(&id("conversation")).expect("an id");
    let contact = ContactId::from_hex(&id("contact")).expect("an id");
    alice.ok(&["stop"]);

    let mut profile =
        Profile::open(alice.profile(), &Passphrase::new(PASSPHRASE)).expect("her profile");
    let seconds = fill(profile.store_mut(), contact, conversation);
    drop(profile);

    let start = Instant::now();
    alice.ok(&["status"]);
    let started = start.elapsed();
    let door = Door::of(&alice);
    let mut pages: Vec<f64> = (0..20).map(|n| page(&alice, MESSAGES - n * 40_000)).collect();
    let searches = SEARCHES.map(|(what, words)| {
        let mut times: Vec<f64> = (0..20).map(|_| search(&door, words)).collect();
        Row::new(
            format!("search among a million messages: {what}"),
            cpu::quantile(&mut times, 0.5),
            "ms",
        )
        .at_most_of_cpu(50.0)
    });
    let (resident, _) = memory_of(alice.pid()).expect("it runs");
    let mut rows = vec![
        Row::new(
            "writing a message to the history, in batches",
            seconds * 1e6 / MESSAGES as f64,
            "µs",
        ),
        Row::new("start with a million messages, passphrase included", started.as_secs_f64(), "s")
            .at_most_of_cpu(1.0),
        Row::new(
            "a page of 50 anywhere, with the command's own start",
            cpu::quantile(&mut pages, 0.5),
            "ms",
        ),
        Row::new("a client with a million messages, memory", resident as f64 / 1_024.0, "MiB")
            .at_most(120.0),
    ];
    rows.extend(searches);
    rows
}

fn fill(store: &mut Store, contact: ContactId, conversation: ConversationId) -> f64 {
    let last =
        store.messages_after(0, u32::MAX).expect("reads").last().map_or(0, |stored| stored.row.id);
    let start = Instant::now();
    for batch in 0..MESSAGES / BATCH {
        let row = |n: u64| MessageRow {
            id: last + 1 + batch * BATCH + n,
            conversation,
            contact,
            direction: if n.is_multiple_of(2) { Direction::In } else { Direction::Out },
            content: Content::Text(format!(
                "message {n} of batch {batch}: see you on the other side"
            )),
            sent_at: 1_800_000_000_000 + batch * BATCH + n,
            state: if n.is_multiple_of(2) {
                MessageState::Received
            } else {
                MessageState::Delivered
            },
            number: 0,
        };
        let changes: Vec<_> = (0..BATCH).map(|n| Change::Message(row(n))).collect();
        store.apply(&changes).expect("the disk works");
    }
    start.elapsed().as_secs_f64()
}

/// The daemon's door: a search is measured without the start of a command.
struct Door {
    port: u16,
    token: String,
}

impl Door {
    fn of(person: &Person) -> Self {
        let card = std::fs::read_to_string(person.profile().join("daemon.json")).expect("a card");
        let card: serde_json::Value = serde_json::from_str(&card).expect("JSON");
        Self {
            port: card["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port"),
            token: card["token"].as_str().expect("a token").to_owned(),
        }
    }
}

/// Milliseconds until the whole answer is there, over a connection of its own.
fn search(door: &Door, words: &str) -> f64 {
    let Door { port, token } = door;
    let body = serde_json::json!({ "command": "search", "words": words }).to_string();
    let length = body.len();
    let request = format!(
        "POST /v1/command HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let start = Instant::now();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).expect("it listens");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    start.elapsed().as_secs_f64() * 1_000.0
}

fn page(person: &Person, before: u64) -> f64 {
    let start = Instant::now();
    let lines = person.ok(&["read", "bob", "--limit", "50", "--before", &before.to_string()]);
    assert_eq!(lines.len(), 50);
    Duration::as_secs_f64(&start.elapsed()) * 1_000.0
}
