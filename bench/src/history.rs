//! A client with a million messages.

use std::time::{Duration, Instant};

use xchat_client::{
    ContactId, ConversationId, Direction, MessageState, Passphrase, Profile, Store,
};
use xchat_engine::{Change, Content, MessageRow};
use xchat_testkit::{Ground, PASSPHRASE, Person, memory_of};

use crate::cpu;
use crate::report::Row;

const MESSAGES: u64 = 1_000_000;

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
    let mut pages: Vec<f64> = (0..20).map(|n| page(&alice, MESSAGES - n * 40_000)).collect();
    let (resident, _) = memory_of(alice.pid()).expect("it runs");
    vec![
        Row::new(
            "writing a message to the history, in batches",
            seconds * 1e6 / MESSAGES as f64,
            "µs",
        ),
        Row::new("start with a million messages, passphrase included", started.as_secs_f64(), "s")
            .at_most(1.0),
        Row::new(
            "a page of 50 anywhere, with the command's own start",
            cpu::quantile(&mut pages, 0.5),
            "ms",
        ),
        Row::new("a client with a million messages, memory", resident as f64 / 1_024.0, "MiB")
            .at_most(120.0),
    ]
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

fn page(person: &Person, before: u64) -> f64 {
    let start = Instant::now();
    let lines = person.ok(&["read", "bob", "--limit", "50", "--before", &before.to_string()]);
    assert_eq!(lines.len(), 50);
    Duration::as_secs_f64(&start.elapsed()) * 1_000.0
}
