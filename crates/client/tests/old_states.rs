//! Every released format of a profile opens in this version.
//!
//! `fixtures/vN` was made by the program that first wrote schema N: `make_the_fixture` below, run with
//! `--ignored` at that commit. Never remake an old one.

use std::path::{Path, PathBuf};

use xchat_client::{Cost, NewProfile, Pace, Passphrase, Profile};
use xchat_engine::{
    Change, ContactId, Content, ConversationId, Direction, MessageRow, MessageState, Notice,
};

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

fn passphrase() -> Passphrase {
    Passphrase::new("fixture")
}

fn changes() -> Vec<Change> {
    let row = |id, direction, content, state| {
        Change::Message(MessageRow {
            id,
            conversation: ConversationId::from_bytes([4; 16]),
            contact: ContactId::from_bytes([5; 8]),
            direction,
            content,
            sent_at: 1_795_000_000_000 + id,
            state,
            number: 0,
        })
    };
    let text = |text: &str| Content::Text(text.to_owned());
    vec![
        Change::Put { key: b"key".to_vec(), value: b"value".to_vec() },
        row(1, Direction::Out, text("hello"), MessageState::Waiting),
        row(2, Direction::In, text("مرحبا"), MessageState::Received),
        row(3, Direction::In, Content::Unknown { kind: 9, body: vec![1] }, MessageState::Received),
        Change::MessageState { id: 1, state: MessageState::Delivered },
    ]
}

/// What schema 2 added.
fn changes_of_2() -> Vec<Change> {
    let mut changes = changes();
    let Some(Change::Message(first)) = changes.get_mut(1) else { unreachable!("a message") };
    first.number = 7;
    let told = MessageRow {
        id: 4,
        direction: Direction::In,
        content: Content::Notice(Notice::Missing { count: 3 }),
        state: MessageState::Received,
        number: 0,
        ..first.clone()
    };
    changes.push(Change::Message(told));
    changes.push(Change::MessageNumber { id: 1, number: 8 });
    changes
}

/// A copy, because opening may bring it to a later schema.
fn open(version: &str) -> (tempfile::TempDir, Profile) {
    let dir = tempfile::tempdir().expect("a directory");
    let copy = dir.path().join("profile");
    xchat_client::files::private_dir(&copy).expect("a directory");
    for file in std::fs::read_dir(fixture(version)).expect("the fixture is there") {
        let file = file.expect("an entry");
        std::fs::copy(file.path(), copy.join(file.file_name())).expect("copies");
    }
    let profile = Profile::open(&copy, &passphrase()).expect("opens");
    (dir, profile)
}

/// What schema 4 added: an index, also of what was there before it, and drafts.
fn is_searchable(store: &xchat_client::Store) {
    let found = |typed: &str| -> Vec<u64> {
        let words = xchat_client::Words::new(typed).expect("a word");
        let hits = store.search(&words, None, u64::MAX, 9).expect("searches");
        hits.into_iter().map(|hit| hit.id).collect()
    };
    assert_eq!((found("hel"), found("مرحبا"), found("missing")), (vec![1], vec![2], vec![]));
}

#[test]
fn schema_4_opens_with_everything_in_it() {
    let (_dir, profile) = open("v4");
    let store = profile.store();
    assert_eq!(store.messages_after(0, 9).expect("reads").len(), 4);
    is_searchable(store);
    let draft = store.draft(ConversationId::from_bytes([4; 16])).expect("reads");
    assert_eq!(draft.as_deref(), Some("half a sen"));
}

#[test]
fn schema_3_opens_with_everything_in_it() {
    let (_dir, profile) = open("v3");
    let store = profile.store();
    assert_eq!(store.messages_after(0, 9).expect("reads").len(), 4);
    let seen = store.seen(ConversationId::from_bytes([4; 16])).expect("reads");
    assert_eq!((seen.up_to, seen.unread), (2, 1));
    is_searchable(store);
}

#[test]
fn schema_2_opens_with_everything_in_it() {
    let (_dir, profile) = open("v2");
    let rows = profile.store().messages_after(0, 9).expect("reads");
    assert_eq!(rows.len(), 4);
    assert_eq!((rows[0].row.number, rows[0].row.state), (8, MessageState::Delivered));
    assert_eq!(rows[3].row.content, Content::Notice(Notice::Missing { count: 3 }));
    let seen = profile.store().seen(ConversationId::from_bytes([4; 16])).expect("reads");
    assert_eq!((seen.up_to, seen.unread), (4, 0), "what was there before counts as seen");
    is_searchable(profile.store());
}

#[test]
fn schema_1_opens_with_everything_in_it() {
    let (_dir, profile) = open("v1");
    assert_eq!(profile.name(), "Old Alice");
    let store = profile.store();
    assert_eq!(store.state().expect("reads"), [(b"key".to_vec(), b"value".to_vec())]);
    let rows = store.messages_after(0, 9).expect("reads");
    let expected: Vec<_> = changes()
        .into_iter()
        .filter_map(|change| match change {
            Change::Message(row) => Some(row),
            _ => None,
        })
        .collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0].row, MessageRow { state: MessageState::Delivered, ..expected[0].clone() });
    assert_eq!((rows[0].born, rows[0].seq), (1, 4));
    assert_eq!(rows[1].row, expected[1]);
    assert_eq!(rows[2].row, expected[2]);
    is_searchable(store);
}

#[test]
#[ignore = "makes the fixture of the current version, once"]
fn make_the_fixture() {
    let dir = fixture("v4");
    assert!(!dir.exists(), "an old fixture is never remade");
    let new = NewProfile {
        name: "Old Alice".to_owned(),
        network: "{}".to_owned(),
        network_path: None,
        pace: Pace::Desk,
        cost: Cost::dangerously_cheap(),
    };
    Profile::create(&dir, &new, &passphrase()).expect("makes a profile");
    let mut profile = Profile::open(&dir, &passphrase()).expect("opens");
    profile.store_mut().apply(&changes_of_2()).expect("applies");
    let conversation = ConversationId::from_bytes([4; 16]);
    profile.store_mut().mark_read(conversation, 2).expect("marks");
    profile.store_mut().set_draft(conversation, "half a sen").expect("keeps");
    drop(profile);
    for beside in ["lock", "store.mark"] {
        std::fs::remove_file(dir.join(beside)).expect("it is there while a profile is used");
    }
}
