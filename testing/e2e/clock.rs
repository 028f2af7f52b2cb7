//! A clock that is wrong by a year destroys nothing: real processes whose clock is turned under them.

mod harness;

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Network, Person};
use serde_json::Value;
use tempfile::TempDir;

/// What a file says of the time, and programs that are told it instead of the machine's. Their
/// monotonic clock is left alone, as it is where somebody sets a machine's date.
struct Dial {
    dir: TempDir,
    library: PathBuf,
}

impl Dial {
    fn right() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let dial = Self { dir, library: library() };
        dial.turn("+0");
        dial
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("offset")
    }

    /// By this much, in the words of `faketime`.
    fn turn(&self, offset: &str) {
        let new = self.dir.path().join("new");
        fs::write(&new, offset).expect("writes");
        fs::rename(&new, self.file()).expect("moves");
    }

    /// The words before a command that shall live by it.
    fn runner(&self) -> Vec<String> {
        let show = |path: &Path| path.to_str().expect("utf-8").to_owned();
        vec![
            "env".to_owned(),
            format!("LD_PRELOAD={}", show(&self.library)),
            format!("FAKETIME_TIMESTAMP_FILE={}", show(&self.file())),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
            "FAKETIME_CACHE_DURATION=1".to_owned(),
        ]
    }
}

/// Where Debian's `faketime` has it: below the architecture's own directory.
fn library() -> PathBuf {
    let places = fs::read_dir("/usr/lib").expect("a system").filter_map(Result::ok);
    let mut found = places
        .map(|place| place.path().join("faketime/libfaketimeMT.so.1"))
        .filter(|path| path.exists());
    found.next().expect("the package faketime is installed; ./x setup does it")
}

fn wait_for_clock(person: &Person, state: &str) -> Value {
    // Each question takes as long as the daemon needs for its answer.
    loop {
        let status = person.ok(&["status"]).remove(0);
        if status["clock"] == state {
            return status;
        }
    }
}

fn invite(person: &Person) -> String {
    person.ok(&["invite"])[0]["link"].as_str().expect("a link").to_owned()
}

fn is_as_before(person: &Person, contact: &str) {
    let contacts = person.ok(&["contacts"]);
    let shown = contacts.iter().find(|shown| shown["name"] == contact).expect("still there");
    assert_eq!((&shown["rejoined"], &shown["rejoining"]), (&false.into(), &false.into()));
    let lines = person.ok(&["read", contact, "--limit", "0"]);
    let notices: Vec<_> = lines.iter().filter(|line| !line["notice"].is_null()).collect();
    assert!(notices.is_empty(), "nothing has happened: {notices:?}");
}

/// The date is set forward by a year and back under a daemon that runs, then set back by a year
/// between two starts.
#[test]
fn a_clock_that_is_wrong_by_a_year_destroys_nothing() {
    let mut network = Network::up();
    let dial = Dial::right();
    let alice = Person::new_in(dial.runner(), &network, "alice");
    let bob = Person::new(&network, "bob");
    let carol = Person::new(&network, "carol");
    alice.meet(&bob);
    alice.ok(&["send", "bob", "alice 0", "--wait-delivered"]);
    bob.ok(&["send", "alice", "bob 0", "--wait-delivered"]);
    let for_carol = invite(&alice);

    dial.turn("+365d");
    wait_for_clock(&alice, "unsure");
    let queued = alice.ok(&["send", "bob", "alice 1", "--no-wait"]);
    assert_eq!(queued[0]["state"], "waiting", "kept, not sent: {queued:?}");
    let sent = bob.ok(&["send", "alice", "bob 1"]);
    assert_eq!(sent[0]["state"], "stored");
    // A start by the wrong clock, as when a machine comes up with a flat battery.
    alice.ok(&["stop"]);
    wait_for_clock(&alice, "unsure");
    assert_eq!(alice.texts_with("bob", "in"), ["bob 0"]);

    dial.turn("+0");
    let mut at_alice = alice.listen("0");
    assert_eq!(at_alice.texts_in(2), ["bob 0", "bob 1"]);
    drop(at_alice);
    alice.ok(&["send", "bob", "alice 2", "--wait-delivered"]);
    assert_eq!(bob.texts_with("alice", "in"), ["alice 0", "alice 1", "alice 2"]);

    alice.ok(&["stop"]);
    dial.turn("-365d");
    wait_for_clock(&alice, "behind");
    let refused = alice.fail(&["invite"]);
    assert_eq!(refused["error"]["code"], "clock_wrong");
    alice.ok(&["send", "bob", "alice 3", "--no-wait"]);

    dial.turn("+0");
    alice.ok(&["send", "bob", "alice 4", "--wait-delivered"]);
    bob.ok(&["send", "alice", "bob 2", "--wait-delivered"]);
    assert_eq!(bob.texts_with("alice", "in").len(), 5, "once each, in order");
    assert_eq!(alice.texts_with("bob", "in"), ["bob 0", "bob 1", "bob 2"]);
    is_as_before(&alice, "bob");
    is_as_before(&bob, "alice");
    // By the wrong clock it was 351 days past its end.
    carol.ok(&["accept", &for_carol]);
    alice.wait_for_contact("carol");
    network.stop();
}
