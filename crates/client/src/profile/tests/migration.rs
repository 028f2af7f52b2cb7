//! kill -9 in the middle of a migration: the profile is of the old schema or of the new one, and whole.
//!
//! A profile of the first schema is brought to the current one and one step further, by a step like
//! those that later versions bring. It is killed at points spread over what the migration writes.

use std::process::{Child, Command, Stdio};

use xchat_engine::Content;

use super::super::*;
use crate::store::schema::MIGRATIONS;

/// Tells the child that it is the child, and where to work.
const PLACE: &str = "XCHAT_MIGRATION_TEST_PROFILE";

/// Rewrites every message, and more than the page cache holds: much of it is in the log on disk before
/// the step is committed.
const STEP: &str = "
CREATE TABLE migrated (id INTEGER PRIMARY KEY NOT NULL, text TEXT) STRICT;
INSERT INTO migrated SELECT id, text FROM messages;
UPDATE messages SET text = 'new: ' || text WHERE text IS NOT NULL;
";

const ROWS: u64 = 3_000;
const ROUNDS: u64 = 12;

fn steps() -> Vec<&'static str> {
    MIGRATIONS.iter().copied().chain([STEP]).collect()
}

fn open(dir: &Path, migrations: &[&str]) -> Result<Store, StoreError> {
    let key = read_header(dir).and_then(|header| Ok(header.unlock(&Passphrase::new("fixture"))?));
    Store::open_with(&store_path(dir), &key.expect("the fixture's header"), migrations)
}

/// A copy of the fixture of schema 1 with many more messages, in that schema.
fn old_profile(dir: &Path) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1");
    copy(&fixture, dir);
    let store = open(dir, &MIGRATIONS[..1]).expect("opens");
    store.dangerously_execute(&format!(
        "WITH RECURSIVE number(id) AS (SELECT 100 UNION ALL SELECT id + 1 FROM number LIMIT {ROWS})
         INSERT INTO messages (id, conversation, contact, direction, text, sent_at, state, born, seq)
         SELECT id, zeroblob(16), zeroblob(8), 0, id || hex(zeroblob(250)), id, 3, id, id FROM number"
    ));
    store.close().expect("closes");
}

fn copy(from: &Path, to: &Path) {
    files::private_dir(to).expect("a directory");
    for name in ["profile.json", "store.db", "store.mark"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).expect("copies");
        }
    }
}

/// Not a test of its own: what the child of the test below runs.
#[test]
fn migrates_until_it_is_killed() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    drop(open(Path::new(&place), &steps()).expect("migrates"));
}

fn child(dir: &Path) -> Child {
    let test = "profile::tests::migration::migrates_until_it_is_killed";
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(PLACE, dir)
        .stdout(Stdio::null())
        .spawn()
        .expect("a child")
}

fn log_len(dir: &Path) -> u64 {
    std::fs::metadata(dir.join("store.db-wal")).map_or(0, |file| file.len())
}

fn texts(store: &Store) -> Vec<String> {
    let rows = store.messages_after(99, u32::MAX).expect("reads");
    let text = |content| match content {
        Content::Text(text) => text,
        Content::Unknown { .. } | Content::Notice(_) => String::new(),
    };
    rows.into_iter().map(|stored| text(stored.row.content)).collect()
}

#[test]
fn kill_9_during_a_migration_leaves_the_old_schema_or_the_new_one_whole() {
    let root = tempfile::tempdir().expect("a directory");
    let old = root.path().join("old");
    old_profile(&old);
    let before = texts(&{
        let copied = root.path().join("before");
        copy(&old, &copied);
        open(&copied, MIGRATIONS).expect("opens")
    });
    assert_eq!(before.len() as u64, ROWS);
    let after: Vec<String> = before.iter().map(|text| format!("new: {text}")).collect();

    // How much the migration writes, if it is let be.
    let whole = root.path().join("whole");
    copy(&old, &whole);
    assert!(child(&whole).wait().expect("ends").success());
    let written = log_len(&whole);
    assert!(written > 2_000_000, "the step is larger than the page cache: {written}");

    let mut interrupted = 0;
    for round in 0..ROUNDS {
        let dir = root.path().join(format!("round-{round}"));
        copy(&old, &dir);
        let mut child = child(&dir);
        while log_len(&dir) < round * written / ROUNDS && child.try_wait().expect("ours").is_none()
        {
            std::thread::yield_now();
        }
        child.kill().expect("kills");
        child.wait().expect("ends");
        // The program of before can still read it, or it is wholly of the new one.
        match open(&dir, MIGRATIONS) {
            Ok(store) => {
                assert_eq!(texts(&store), before, "round {round}");
                interrupted += 1;
            }
            Err(StoreError::NewerSchema { .. }) => {}
            Err(error) => panic!("round {round}: {error}"),
        }
        let store = open(&dir, &steps()).expect("migrates in the end");
        assert_eq!(texts(&store), after, "round {round}");
        assert_eq!(store.state().expect("reads"), [(b"key".to_vec(), b"value".to_vec())]);
    }
    assert!(interrupted >= ROUNDS / 3, "{interrupted} of {ROUNDS} were cut off");
}
