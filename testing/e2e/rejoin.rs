//! A profile is put back from a backup: real processes, real disks, by the command line alone.

mod harness;

use std::collections::BTreeMap;

use harness::{Listening, Network, Person};
use serde_json::Value;
use tempfile::TempDir;

/// Ends the daemon and copies the profile.
fn back_up(person: &Person) -> TempDir {
    let place = TempDir::new().expect("a temporary directory");
    let copy = place.path().join("copy");
    let copy = copy.to_str().expect("UTF-8");
    let busy = person.fail(&["backup", copy]);
    assert_eq!(busy["error"]["code"], "locked");
    person.ok(&["stop"]);
    assert!(person.ok(&["backup", copy])[0]["backup"].is_string());
    place
}

/// Ends the daemon; the profile is lost, and the copy is put in its place.
fn restore(person: &Person, backup: &TempDir) {
    person.ok(&["stop"]);
    std::fs::remove_dir_all(person.profile()).expect("the profile is there");
    std::fs::rename(backup.path().join("copy"), person.profile()).expect("moves");
}

fn wait_for_notice(listening: &mut Listening, kind: &str) {
    while listening.next()["notice"] != kind {}
}

fn texts(person: &Person, contact: &str, direction: &str) -> Vec<String> {
    let lines = person.ok(&["read", contact, "--limit", "0"]);
    let said = lines.iter().filter(|line| line["notice"].is_null());
    let said = said.filter(|line| line["direction"] == direction);
    said.map(|line| line["text"].as_str().expect("a text").to_owned()).collect()
}

fn notices(person: &Person, contact: &str) -> Vec<Value> {
    let lines = person.ok(&["read", contact, "--limit", "0"]);
    lines
        .into_iter()
        .map(|line| line["notice"].clone())
        .filter(|notice| !notice.is_null())
        .collect()
}

fn numbered(who: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("{who} {n}")).collect()
}

fn say(person: &Person, contact: &str, who: &str, numbers: std::ops::Range<usize>) {
    for text in numbered(who, numbers) {
        let sent = person.ok(&["send", contact, &text]);
        assert_eq!(sent[0]["state"], "stored", "{text}: {sent:?}");
    }
}

/// The copy is older than what was sent and received since: the next start finds that out, both sides
/// see it, and nothing that was stored is lost or comes twice.
#[test]
fn a_restored_backup_rejoins_and_nothing_is_lost_or_doubled() {
    let mut network = Network::up();
    let alice = Person::new(&network, "alice");
    let bob = Person::new(&network, "bob");
    let link = alice.ok(&["invite"])[0]["link"].as_str().expect("a link").to_owned();
    bob.ok(&["accept", &link]);
    alice.wait_for_contact("bob");
    let number = |person: &Person, contact: &str| {
        person.ok(&["verify", contact])[0]["safety_number"].as_str().expect("digits").to_owned()
    };
    let before = number(&alice, "bob");
    alice.ok(&["verify", "bob", "--equal"]);
    say(&alice, "bob", "alice", 0..10);
    say(&bob, "alice", "bob", 0..10);
    bob.listen("0").texts_in(10);

    // The conversation goes on behind the copy's back; the last ten of bob's lie in boxes that nobody
    // has read when the copy is put back.
    let backup = back_up(&bob);
    say(&bob, "alice", "bob", 10..20);
    say(&alice, "bob", "alice", 10..20);
    bob.listen("0").texts_in(20);
    alice.listen("0").texts_in(20);
    alice.ok(&["stop"]);
    say(&bob, "alice", "bob", 20..30);
    restore(&bob, &backup);

    // Bob says more at once, before anything can be known of the other side.
    for text in numbered("bob", 30..35) {
        bob.ok(&["send", "alice", &text, "--no-wait"]);
    }
    let mut at_alice = alice.listen("0");
    let mut at_bob = bob.listen("0");
    wait_for_notice(&mut at_alice, "they_rejoined");
    wait_for_notice(&mut at_bob, "we_rejoined");
    drop((at_alice, at_bob));

    for (person, contact) in [(&alice, "bob"), (&bob, "alice")] {
        let shown = &person.ok(&["contacts"])[0];
        assert_eq!((&shown["rejoined"], &shown["verified"]), (&true.into(), &false.into()));
        assert_eq!(shown["rejoining"], false);
        assert_eq!(notices(person, contact).len(), 1);
    }
    let after = number(&alice, "bob");
    assert_eq!(after, number(&bob, "alice"));
    assert_ne!(after, before);
    alice.ok(&["verify", "bob", "--equal"]);
    assert_eq!(alice.ok(&["contacts"])[0]["rejoined"], false);

    // And on it goes, as between any two.
    say(&alice, "bob", "alice", 20..30);
    say(&bob, "alice", "bob", 35..45);
    bob.ok(&["send", "alice", "bob 45", "--wait-delivered"]);
    alice.ok(&["send", "bob", "alice 30", "--wait-delivered"]);
    assert_eq!(texts(&alice, "bob", "in"), numbered("bob", 0..46), "once, and in order");
    assert_eq!(texts(&bob, "alice", "in"), numbered("alice", 0..31), "once, and in order");
    let mut ids = BTreeMap::new();
    for line in bob.ok(&["read", "alice", "--limit", "0"]) {
        *ids.entry(line["id"].as_u64()).or_insert(0) += 1;
    }
    assert!(ids.values().all(|count| *count == 1));
    alice.ok(&["stop"]);
    bob.ok(&["stop"]);
    network.stop();
}
