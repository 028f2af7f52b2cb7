//! kill -9 in the middle of writing: what was confirmed is there, and no batch is there by half.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use xchat_base::Secret;
use xchat_client::Store;
use xchat_engine::Change;

/// Tells the child that it is the child, and where to write.
const PLACE: &str = "XCHAT_CRASH_TEST_STORE";

/// Both keys always hold the same number, and the padding makes a batch span many pages.
fn batch(n: u64) -> Vec<Change> {
    let number = n.to_be_bytes().to_vec();
    let put = |key: &[u8], value: Vec<u8>| Change::Put { key: key.to_vec(), value };
    vec![
        put(b"first", number.clone()),
        put(b"padding", vec![n as u8; 60_000]),
        put(b"second", number),
    ]
}

fn key() -> Secret<32> {
    Secret::new([3; 32])
}

/// Not a test of its own: what the child of the test below runs.
#[test]
fn writes_until_it_is_killed() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let mut store = Store::open(Path::new(&place), &key()).expect("opens");
    let from = read(&store).map_or(0, |(first, _)| first) + 1;
    for n in from.. {
        store.apply(&batch(n)).expect("applies");
        println!("confirmed {n}");
    }
}

fn read(store: &Store) -> Option<(u64, u64)> {
    let state = store.state().expect("reads");
    let number = |key: &[u8]| {
        let (_, value) = state.iter().find(|(k, _)| k == key)?;
        Some(u64::from_be_bytes(value.as_slice().try_into().expect("eight bytes")))
    };
    Some((number(b"first")?, number(b"second")?))
}

#[test]
fn confirmed_batches_survive_kill_9_and_none_is_there_by_half() {
    let dir = tempfile::tempdir().expect("a directory");
    let place = dir.path().join("store.db");
    Store::create(&place, &key()).expect("a store").close().expect("closes");
    let program = std::env::current_exe().expect("this test");
    let mut confirmed = 0;
    for round in 0..12 {
        let mut child = Command::new(&program)
            .args(["--exact", "writes_until_it_is_killed", "--nocapture", "--test-threads=1"])
            .env(PLACE, &place)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // The kill falls somewhere into the batches after the last line read.
        for line in lines.take(6 + 5 * round) {
            let line = line.expect("text");
            if let Some((_, n)) = line.rsplit_once("confirmed ") {
                confirmed = n.parse().expect("a number");
            }
        }
        child.kill().expect("kills");
        child.wait().expect("ends");
        let store = Store::open(&place, &key()).expect("opens after a crash");
        let (first, second) = read(&store).expect("at least one batch");
        assert_eq!(first, second, "a batch is there by half");
        assert!(first >= confirmed, "{confirmed} was confirmed, {first} is there");
    }
    assert!(confirmed > 100, "the children had time to write");
}
