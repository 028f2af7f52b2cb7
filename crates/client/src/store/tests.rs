use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;
use xchat_engine::{ContactId, Content, ConversationId, Direction, MessageRow, MessageState};

use super::*;

fn key() -> Secret<32> {
    Secret::new([7; 32])
}

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    (dir, path)
}

fn store() -> (TempDir, Store) {
    let (dir, path) = place();
    let store = Store::create(&path, &key()).expect("a store");
    (dir, store)
}

fn put(key: &[u8], value: &[u8]) -> Change {
    Change::Put { key: key.to_vec(), value: value.to_vec() }
}

fn row(id: u64, conversation: u8, text: &str) -> MessageRow {
    MessageRow {
        id,
        conversation: ConversationId::from_bytes([conversation; 16]),
        contact: ContactId::from_bytes([conversation; 8]),
        direction: Direction::Out,
        content: Content::Text(text.to_owned()),
        sent_at: 1_800_000_000_000 + id,
        state: MessageState::Waiting,
        number: id,
    }
}

#[test]
fn what_was_applied_is_there_after_reopening() {
    let (_dir, path) = place();
    let mut store = Store::create(&path, &key()).expect("a store");
    store.apply(&[put(b"a", b"1"), put(b"b", b"2"), put(b"b", b"3")]).expect("applies");
    store.apply(&[Change::Delete { key: b"a".to_vec() }]).expect("applies");
    store.close().expect("closes");
    let store = Store::open(&path, &key()).expect("opens");
    assert_eq!(store.state().expect("reads"), [(b"b".to_vec(), b"3".to_vec())]);
}

#[test]
fn nothing_readable_lies_on_the_disk() {
    let (dir, path) = place();
    let mut store = Store::create(&path, &key()).expect("a store");
    let planted = "the heron flies at midnight";
    store.apply(&[Change::Message(row(1, 1, planted)), put(planted.as_bytes(), b"")]).expect("ok");
    // Both in the log, while the store is open, and in the file afterwards.
    let find = || {
        std::fs::read_dir(dir.path()).expect("a directory").any(|entry| {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
            let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
            has(planted.as_bytes()) || has(b"SQLite format 3") || has(b"messages")
        })
    };
    assert!(!find());
    store.close().expect("closes");
    assert!(!find());
}

#[test]
fn a_batch_happens_wholly_or_not_at_all() {
    let (_dir, mut store) = store();
    store.apply(&[put(b"a", b"1")]).expect("applies");
    let unknown = Change::MessageState { id: 99, state: MessageState::Stored };
    let failed = store.apply(&[put(b"a", b"2"), Change::Message(row(1, 1, "x")), unknown]);
    assert!(matches!(failed, Err(StoreError::UnknownRow)));
    assert_eq!(store.state().expect("reads"), [(b"a".to_vec(), b"1".to_vec())]);
    assert_eq!(store.message(1).expect("reads"), None);
    assert_eq!(store.last_seq(), 0, "the number of a change that did not happen is free again");
}

#[test]
fn a_full_disk_is_named_and_changes_nothing() {
    let (_dir, mut store) = store();
    store.apply(&[put(b"a", b"1")]).expect("applies");
    store.limit_pages(2);
    let failed = store.apply(&[put(b"a", b"2"), put(b"big", &[9; 1 << 20])]);
    assert!(matches!(failed, Err(StoreError::DiskFull)), "{failed:?}");
    assert_eq!(store.state().expect("reads"), [(b"a".to_vec(), b"1".to_vec())]);
    store.limit_pages(1 << 20);
    store.apply(&[put(b"a", b"2"), put(b"big", &[9; 1 << 20])]).expect("there is room again");
}

#[test]
fn damage_is_named() {
    let (_dir, path) = place();
    let mut store = Store::create(&path, &key()).expect("a store");
    store.apply(&[put(b"a", &[1; 20_000])]).expect("applies");
    store.close().expect("closes");
    let mut bytes = std::fs::read(&path).expect("a file");
    let pristine = bytes.clone();
    // A bit in the middle of any page breaks that page's authentication.
    for at in (2_000..bytes.len()).step_by(4_096) {
        bytes[at] ^= 1;
    }
    std::fs::write(&path, &bytes).expect("writes");
    assert!(matches!(Store::open(&path, &key()).map(drop), Err(StoreError::Corrupt)));
    std::fs::write(&path, &pristine[..pristine.len() / 2]).expect("writes");
    let cut = Store::open(&path, &key()).and_then(|store| store.state());
    assert!(matches!(cut, Err(StoreError::Corrupt)), "{cut:?}");
    std::fs::write(&path, &pristine).expect("writes");
    let wrong = Store::open(&path, &Secret::new([8; 32])).map(drop);
    assert!(matches!(wrong, Err(StoreError::Corrupt)));
    Store::open(&path, &key()).expect("nothing was changed by all that");
}

/// SQLite would take these for a crash that cut the log off, and go on from an older state.
#[test]
fn a_log_that_is_damaged_cut_or_gone_is_noticed_and_left_as_it_is() {
    let (_dir, path) = place();
    Store::create(&path, &key()).expect("a store").close().expect("closes");
    let mut store = Store::open(&path, &key()).expect("opens");
    for n in 0..20u8 {
        store.apply(&[put(b"a", &[n; 9_000])]).expect("applies");
    }
    // As a killed process leaves it.
    drop(store);
    let log = path.with_extension("db-wal");
    let whole = std::fs::read(&log).expect("a log");
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        Some(bytes)
    };
    let damaged = [
        flipped(0),
        flipped(20),
        flipped(40),
        flipped(whole.len() / 2),
        flipped(whole.len() - 1),
        Some(whole[..whole.len() / 2].to_vec()),
        Some(whole[..whole.len() - 1].to_vec()),
        Some(Vec::new()),
        None,
    ];
    let database = std::fs::read(&path).expect("a file");
    for (case, bytes) in damaged.into_iter().enumerate() {
        match &bytes {
            Some(bytes) => std::fs::write(&log, bytes).expect("writes"),
            None => std::fs::remove_file(&log).expect("removes"),
        }
        let refused = Store::open(&path, &key()).map(drop);
        assert!(matches!(refused, Err(StoreError::RolledBack { .. })), "case {case}: {refused:?}");
        assert_eq!(std::fs::read(&path).expect("a file"), database, "case {case}");
        if let Some(bytes) = bytes {
            assert_eq!(std::fs::read(&log).expect("a log"), bytes, "case {case}");
        }
    }
    std::fs::write(&log, &whole).expect("writes");
    let store = Store::open(&path, &key()).expect("nothing was changed by all that");
    assert_eq!(store.state().expect("reads"), [(b"a".to_vec(), vec![19; 9_000])]);
}

#[test]
fn an_empty_file_is_no_database_and_its_log_is_kept() {
    let (_dir, path) = place();
    let mut store = Store::create(&path, &key()).expect("a store");
    store.apply(&[put(b"a", b"1")]).expect("applies");
    drop(store);
    let log = path.with_extension("db-wal");
    let whole = std::fs::read(&log).expect("a log");
    std::fs::write(&path, b"").expect("writes");
    assert!(matches!(Store::open(&path, &key()).map(drop), Err(StoreError::Corrupt)));
    assert_eq!(std::fs::read(&path).expect("a file"), b"");
    assert_eq!(std::fs::read(&log).expect("a log"), whole);
}

#[test]
fn a_later_schema_is_left_alone() {
    let (_dir, path) = place();
    let store = Store::create(&path, &key()).expect("a store");
    store.conn.pragma_update(None, "user_version", 99).expect("sets");
    store.close().expect("closes");
    let refused = Store::open(&path, &key()).map(drop);
    assert!(matches!(refused, Err(StoreError::NewerSchema { got: 99, .. })));
}

#[test]
fn messages_come_in_pages_and_by_change() {
    let (_dir, mut store) = store();
    for id in 1..=10 {
        let conversation = if id % 2 == 0 { 2 } else { 1 };
        let stamps = store.apply(&[Change::Message(row(id, conversation, "x"))]).expect("applies");
        assert_eq!(stamps, [Stamp { id, seq: id }]);
    }
    let ids = |rows: Vec<StoredMessage>| rows.iter().map(|m| m.row.id).collect::<Vec<_>>();
    let even = Some(ConversationId::from_bytes([2; 16]));
    assert_eq!(ids(store.messages_before(even, u64::MAX, 3).expect("reads")), [6, 8, 10]);
    assert_eq!(ids(store.messages_before(even, 6, 3).expect("reads")), [2, 4]);
    assert_eq!(ids(store.messages_before(None, 3, 9).expect("reads")), [1, 2]);
    assert_eq!(ids(store.messages_after(8, 9).expect("reads")), [9, 10]);
    assert_eq!(ids(store.messages_between(even, 3, u64::MAX, 3).expect("reads")), [4, 6, 8]);
    assert_eq!(ids(store.messages_between(even, 3, 7, 9).expect("reads")), [4, 6]);
    assert_eq!(ids(store.messages_between(None, 7, 9, 9).expect("reads")), [8]);
    assert_eq!(store.waiting().expect("counts"), 10);
    let stored = Change::MessageState { id: 4, state: MessageState::Stored };
    store.apply(&[stored]).expect("applies");
    assert_eq!(store.waiting().expect("counts"), 9);
    let changed = store.changed_after(9, 9).expect("reads");
    assert_eq!(
        changed.iter().map(|m| (m.row.id, m.born, m.seq)).collect::<Vec<_>>(),
        [(10, 10, 10), (4, 4, 11)]
    );
}

#[test]
fn which_row_was_the_last_one_at_a_change_is_found() {
    let (_dir, mut store) = store();
    let last_ids = |store: &Store, until: u64| -> Vec<u64> {
        (0..=until).map(|seq| store.last_id_at(seq).expect("reads")).collect()
    };
    assert_eq!(last_ids(&store, 1), [0, 0]);
    let said = |id: u64| Change::Message(row(id, 1, "x"));
    let stored = |id: u64| Change::MessageState { id, state: MessageState::Stored };
    let changes = [said(3), said(4), stored(3), said(9), stored(9), said(1_000), stored(4)];
    store.apply(&changes).expect("applies");
    assert_eq!(last_ids(&store, 8), [0, 3, 4, 4, 9, 9, 1_000, 1_000, 1_000]);
    assert_eq!(store.last_id().expect("reads"), 1_000);
}

#[test]
fn a_row_keeps_everything() {
    let (_dir, path) = place();
    let mut store = Store::create(&path, &key()).expect("a store");
    let content = Content::Unknown { kind: 0, body: vec![0, 255] };
    let strange = MessageRow {
        direction: Direction::In,
        content,
        state: MessageState::Received,
        ..row(5, 3, "")
    };
    store.apply(&[Change::Message(strange.clone())]).expect("applies");
    store.close().expect("closes");
    let store = Store::open(&path, &key()).expect("opens");
    let read = store.message(5).expect("reads").expect("is there");
    assert_eq!(read, StoredMessage { row: strange, born: 1, seq: 1 });
    assert_eq!(store.last_seq(), 1, "the count goes on");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The store beside a map: keys share prefixes, and some are all ones.
    #[test]
    fn the_store_is_a_map(ops in prop::collection::vec(
        (0u8..3, prop::collection::vec(prop::sample::select(vec![0u8, 1, 255]), 1..4)), 1..40,
    )) {
        let (_dir, mut store) = store();
        let mut map = std::collections::BTreeMap::new();
        for (n, (kind, key)) in ops.into_iter().enumerate() {
            let value = n.to_be_bytes().to_vec();
            match kind {
                0 => {
                    store.apply(&[Change::Put { key: key.clone(), value: value.clone() }])?;
                    map.insert(key, value);
                }
                1 => {
                    store.apply(&[Change::Delete { key: key.clone() }])?;
                    map.remove(&key);
                }
                _ => {
                    store.apply(&[Change::DeletePrefix { prefix: key.clone() }])?;
                    map.retain(|k: &Vec<u8>, _| !k.starts_with(&key));
                }
            }
        }
        prop_assert_eq!(store.state()?, map.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_we_said_is_recalled_by_its_number() {
    let (_dir, mut store) = store();
    let said = |id, conversation, number| {
        Change::Message(MessageRow { number, ..row(id, conversation, "said") })
    };
    let heard = MessageRow { direction: Direction::In, number: 4, ..row(9, 1, "heard") };
    let changes = [
        said(1, 1, 0),
        said(2, 1, 1),
        said(3, 1, 2),
        said(4, 2, 3),
        said(5, 1, 9),
        said(6, 1, 5),
        Change::Message(heard),
        Change::MessageNumber { id: 5, number: 3 },
    ];
    store.apply(&changes).expect("applies");
    let recall = |after, limit| {
        let recalled = store.recall(ConversationId::from_bytes([1; 16]), after, limit);
        let recalled = recalled.expect("reads");
        let numbers: Vec<_> = recalled.rows.iter().map(|row| row.number).collect();
        (numbers, recalled.older, recalled.unnumbered)
    };
    assert_eq!(recall(0, 9), (vec![1, 2, 3, 5], 0, 1));
    assert_eq!(recall(1, 2), (vec![3, 5], 1, 1));
    assert_eq!(recall(5, 9), (vec![], 0, 1));
    let unknown = store.apply(&[Change::MessageNumber { id: 99, number: 1 }]);
    assert!(matches!(unknown, Err(StoreError::UnknownRow)));
}

#[test]
fn how_far_a_conversation_was_seen_is_kept_and_never_goes_back() {
    let (_dir, path) = place();
    let mut store = Store::create(&path, &key()).expect("a store");
    let heard = |id, conversation| {
        let row = row(id, conversation, "heard");
        Change::Message(MessageRow { direction: Direction::In, ..row })
    };
    let happened = MessageRow {
        direction: Direction::In,
        content: Content::Notice(xchat_engine::Notice::WeRejoined),
        ..row(6, 1, "")
    };
    let said = Change::Message(row(2, 1, "said"));
    let changes = [heard(1, 1), said, heard(3, 1), heard(4, 2), heard(5, 1)];
    store.apply(&changes).expect("applies");
    store.apply(&[Change::Message(happened)]).expect("applies");
    let (one, two) = (ConversationId::from_bytes([1; 16]), ConversationId::from_bytes([2; 16]));
    let unread = |store: &Store, conversation| store.seen(conversation).expect("reads").unread;
    assert_eq!((unread(&store, one), unread(&store, two)), (3, 1), "ours and notices do not count");
    let seen = store.mark_read(one, 3).expect("marks");
    assert_eq!(seen, Some(Seen { up_to: 3, unread: 1 }));
    assert_eq!(store.mark_read(one, 2).expect("reads"), None, "it does not go back");
    assert_eq!(store.mark_read(one, 3).expect("reads"), None);
    store.close().expect("closes");
    let mut store = Store::open(&path, &key()).expect("opens");
    assert_eq!(store.seen(one).expect("reads"), Seen { up_to: 3, unread: 1 });
    assert_eq!(unread(&store, two), 1, "each conversation for itself");
    // Nobody has seen what is yet to come.
    let seen = store.mark_read(one, u64::MAX).expect("marks");
    assert_eq!(seen, Some(Seen { up_to: 6, unread: 0 }));
    store.apply(&[heard(7, 1)]).expect("applies");
    assert_eq!(unread(&store, one), 1);
    let nobody = ConversationId::from_bytes([9; 16]);
    assert_eq!(store.mark_read(nobody, 7).expect("reads"), None);
}

#[test]
fn a_mark_that_finds_no_room_is_none() {
    let (_dir, mut store) = store();
    let heard = MessageRow { direction: Direction::In, ..row(1, 1, "heard") };
    store.apply(&[Change::Message(heard)]).expect("applies");
    store.make_read_only();
    let one = ConversationId::from_bytes([1; 16]);
    store.mark_read(one, 1).expect_err("cannot be written");
    assert_eq!(store.seen(one).expect("reads"), Seen { up_to: 0, unread: 1 });
}

#[test]
fn a_draft_is_kept_replaced_and_removed() {
    let (_dir, path) = place();
    let mut store = Store::create(&path, &key()).expect("a store");
    let (one, two) = (ConversationId::from_bytes([1; 16]), ConversationId::from_bytes([2; 16]));
    assert!(store.set_draft(one, "half a sen").expect("keeps"));
    assert!(store.set_draft(two, "مس").expect("keeps"));
    assert!(!store.set_draft(one, "half a sen").expect("the same"));
    assert!(store.set_draft(one, "half a sentence").expect("keeps"));
    store.close().expect("closes");
    let mut store = Store::open(&path, &key()).expect("opens");
    assert_eq!(store.draft(one).expect("reads").as_deref(), Some("half a sentence"));
    assert_eq!(store.draft_count().expect("counts"), 2);
    assert!(store.set_draft(one, "").expect("removes"));
    assert!(!store.set_draft(one, "").expect("there is none"));
    assert_eq!(store.draft(one).expect("reads"), None);
    assert_eq!(store.draft_count().expect("counts"), 1);
}

#[test]
fn a_draft_goes_with_the_commit_that_sends_it_and_with_no_other() {
    let (_dir, mut store) = store();
    let (one, two) = (ConversationId::from_bytes([1; 16]), ConversationId::from_bytes([2; 16]));
    store.set_draft(one, "hello").expect("keeps");
    store.set_draft(two, "there").expect("keeps");
    let draft = |store: &Store| store.draft(one).expect("reads");
    let sent = |id| [Change::Message(row(id, 1, "hello"))];
    let heard = MessageRow { direction: Direction::In, ..row(1, 1, "hi") };
    assert!(!store.apply_sent(&[Change::Message(heard)], Some(one)).expect("applies").1);
    assert!(!store.apply_sent(&[Change::Message(row(2, 2, "x"))], Some(one)).expect("applies").1);
    store.apply(&sent(3)).expect("applies");
    assert!(draft(&store).is_some(), "it was said by another face");
    let unknown = Change::MessageState { id: 99, state: MessageState::Stored };
    let batch = [sent(4).to_vec(), vec![unknown]].concat();
    store.apply_sent(&batch, Some(one)).expect_err("an unknown row");
    assert!(draft(&store).is_some(), "nothing was said");
    assert!(store.apply_sent(&sent(4), Some(one)).expect("applies").1);
    assert_eq!(draft(&store), None);
    assert!(store.draft(two).expect("reads").is_some());
    assert!(!store.apply_sent(&sent(5), Some(one)).expect("applies").1, "there is none any more");
}

#[test]
fn a_copy_holds_the_index_and_the_drafts() {
    let (dir, mut store) = store();
    let one = ConversationId::from_bytes([1; 16]);
    store.apply(&[Change::Message(row(1, 1, "the heron"))]).expect("applies");
    store.set_draft(one, "half").expect("keeps");
    let copy = dir.path().join("copy.db");
    store.copy_to(&copy, &key(), "what is not copied").expect("it holds together");
    let mut store = Store::open(&copy, &key()).expect("opens");
    let words = Words::new("heron").expect("a word");
    assert_eq!(store.search(&words, None, u64::MAX, 9).expect("searches").len(), 1);
    assert_eq!(store.draft(one).expect("reads").as_deref(), Some("half"));
    store.apply(&[Change::Message(row(2, 1, "another heron"))]).expect("applies");
    assert_eq!(store.search(&words, None, u64::MAX, 9).expect("searches").len(), 2);
}
