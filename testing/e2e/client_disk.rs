//! A person's disk fails: full, read only, damaged, in use. Real processes, real file systems.

mod harness;
mod sandbox;

use std::collections::BTreeMap;
use std::path::Path;

use harness::{Network, Person};
use sandbox::{SmallDisk, inside};

/// `send` says `disk_full`, `status` says it too; what was accepted is there and arrives, what was refused
/// does not, and what came meanwhile comes later. The daemon goes on by itself when there is room.
#[test]
fn a_full_disk_refuses_loses_nothing_and_goes_on_by_itself() {
    inside("a_full_disk_refuses_loses_nothing_and_goes_on_by_itself", &[], || {
        let mut network = Network::up();
        let disk = SmallDisk::new(32);
        let alice = Person::on(&network, "alice", disk.path());
        let bob = Person::new(&network, "bob");
        alice.meet(&bob);
        let daemon = alice.daemon();
        let mut at_alice = alice.listen_to_all("0");
        let mut at_bob = bob.listen("0");
        // Who begins to listen when the disk is full is refused.
        bob.ok(&["send", "alice", "there is room yet"]);
        assert_eq!(at_alice.texts_in(1), ["there is room yet"]);

        // Up to the last page, and beyond: some may still fit into what the database has already.
        let mut accepted = Vec::new();
        for n in 0.. {
            assert!(n < 200, "a full disk takes no message after message");
            disk.fill();
            let text = format!("until it is full {n}");
            match alice.try_run(&["send", "bob", &text, "--no-wait"]) {
                Ok(_) => accepted.push(text),
                Err(refused) => {
                    assert_eq!(refused.code(), (4, "disk_full"), "{refused:?}");
                    assert!(!refused.hint().is_empty());
                    break;
                }
            }
        }
        let halted = at_alice.until(|event| event["halted"].is_object());
        assert_eq!(halted["halted"]["code"], "disk_full");
        let status = alice.try_run(&["status"]).expect_err("it is halted");
        assert_eq!(status.code(), (4, "halted"));
        assert_eq!(alice.fail(&["invite"])["error"]["code"], "disk_full");
        assert_eq!(alice.fail(&["read", "bob"])["error"]["code"], "disk_full");
        for n in 0..5 {
            bob.ok(&["send", "alice", &format!("meanwhile {n}")]);
        }

        disk.free();
        at_alice.until(|event| event["event"] == "status" && event["halted"].is_null());
        let meanwhile: Vec<_> = (0..5).map(|n| format!("meanwhile {n}")).collect();
        assert_eq!(at_alice.texts_in(5), meanwhile);
        accepted.push("there is room again".to_owned());
        let sent = alice.ok(&["send", "bob", "there is room again"]);
        assert_eq!(sent[0]["state"], "stored");
        assert_eq!(at_bob.texts_in(accepted.len()), accepted);
        assert_eq!(alice.daemon(), daemon, "the same process all the time");
        assert_eq!(bob.texts_with("alice", "in"), accepted, "once each, and no refused one");
        assert_eq!(alice.texts_with("bob", "out"), accepted);

        a_start_without_room(&disk, &alice);
        alice.ok(&["stop"]);
        bob.ok(&["stop"]);
        network.stop();
    });
}

fn a_start_without_room(disk: &SmallDisk, alice: &Person) {
    let history = alice.ok(&["read", "bob", "--limit", "0"]);
    alice.ok(&["stop"]);
    disk.fill();
    let refused = alice.try_run(&["contacts"]).expect_err("a daemon needs room");
    assert_eq!(refused.code(), (4, "disk_full"), "{refused:?}");
    assert!(!refused.hint().is_empty());
    disk.free();
    assert_eq!(alice.ok(&["read", "bob", "--limit", "0"]), history);
}

/// Refused with a reason, nothing changed; and it works when it can be written again. (While a daemon runs
/// the system itself refuses to make its disk read only; what an error of the disk does then is in the
/// driver's own tests.)
#[test]
fn a_read_only_disk_is_named_and_works_again() {
    inside("a_read_only_disk_is_named_and_works_again", &[], || {
        let mut network = Network::up();
        let disk = SmallDisk::new(32);
        let alice = Person::on(&network, "alice", disk.path());
        alice.ok(&["invite"]);
        alice.ok(&["stop"]);
        let before = contents(&alice.profile());
        disk.make_read_only();
        for command in [&["contacts"][..], &["send", "bob", "x"], &["serve"], &["stop"]] {
            let refused = alice.try_run(command).expect_err("nothing can be written");
            assert_eq!(refused.code(), (4, "io"), "{refused:?}");
            assert!(refused.message().contains("Read-only file system"), "{refused:?}");
            assert!(!refused.hint().is_empty());
        }
        assert_eq!(contents(&alice.profile()), before);
        disk.make_writable();
        alice.ok(&["contacts"]);
        alice.ok(&["stop"]);
        network.stop();
    });
}

/// Each kind of damage has its code and its advice, and the damaged file is left as it was.
#[test]
fn damage_is_named_and_what_is_left_is_not_overwritten() {
    let mut network = Network::up();
    let alice = Person::new(&network, "alice");
    let bob = Person::new(&network, "bob");
    alice.meet(&bob);
    for n in 0..20 {
        alice.ok(&["send", "bob", &format!("{n} {}", "x".repeat(3_000)), "--no-wait"]);
    }
    let history = alice.texts_with("bob", "out");

    // As a killed daemon leaves it: much of it is in the write-ahead log.
    alice.kill_daemon();
    let killed = contents(&alice.profile());
    for (what, damage) in LOG_DAMAGE {
        restore(&alice.profile(), &killed);
        change(&alice.profile(), "store.db-wal", *damage);
        refuses(&alice, what, "rolled_back");
    }
    restore(&alice.profile(), &killed);
    assert_eq!(alice.texts_with("bob", "out"), history, "all that was confirmed is there");
    alice.ok(&["stop"]);

    let whole = contents(&alice.profile());
    for (what, file, damage, code) in DAMAGE {
        restore(&alice.profile(), &whole);
        change(&alice.profile(), file, *damage);
        refuses(&alice, what, code);
    }
    // An older copy, put where the profile has gone on.
    let mut older = whole.clone();
    restore(&alice.profile(), &whole);
    alice.ok(&["send", "bob", "one more", "--no-wait"]);
    alice.ok(&["stop"]);
    let newest = contents(&alice.profile());
    older.insert("store.mark".to_owned(), newest["store.mark"].clone());
    restore(&alice.profile(), &older);
    refuses(&alice, "an older copy", "rolled_back");

    // A wrong passphrase changes nothing either, nor does a second process.
    restore(&alice.profile(), &newest);
    let wrong = alice.fail_with_passphrase("not it", &["contacts"]);
    assert_eq!(wrong["error"]["code"], "wrong_passphrase");
    assert_eq!(files(&alice.profile()), files_of(&newest));
    alice.ok(&["contacts"]);
    assert_eq!(alice.try_run(&["serve"]).expect_err("one at a time").code(), (6, "locked"));
    let last = alice.texts_with("bob", "out");
    assert_eq!(last[..history.len()], history);
    assert_eq!(last.len(), history.len() + 1);
    for person in [&alice, &bob] {
        person.ok(&["stop"]);
    }
    network.stop();
}

type Damage = fn(&mut Vec<u8>);

const PAGE: usize = 4_096;

const LOG_DAMAGE: &[(&str, Damage)] = &[
    ("a bit of the log's header", |bytes| bytes[20] ^= 1),
    ("a bit in the middle of the log", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }),
    ("a log cut off", |bytes| bytes.truncate(bytes.len() / 2)),
    ("an empty log", Vec::clear),
];

const DAMAGE: &[(&str, &str, Damage, &str)] = &[
    ("the database's first bytes", "store.db", |bytes| bytes[..16].fill(0), "corrupt"),
    ("a bit of its first page", "store.db", |bytes| bytes[100] ^= 1, "corrupt"),
    (
        "every page but the first",
        "store.db",
        |bytes| {
            for page in bytes.chunks_mut(PAGE).skip(1) {
                page[PAGE / 2..PAGE / 2 + 16].fill(0x5a);
            }
        },
        "corrupt",
    ),
    (
        "a database cut in the middle",
        "store.db",
        |bytes| bytes.truncate(bytes.len() / 2),
        "corrupt",
    ),
    ("a database of one page", "store.db", |bytes| bytes.truncate(PAGE), "corrupt"),
    ("an empty database", "store.db", Vec::clear, "corrupt"),
    ("rubbish", "store.db", |bytes| bytes.fill(7), "corrupt"),
    ("an empty header", "profile.json", Vec::clear, "corrupt"),
    ("a header cut in the middle", "profile.json", |bytes| bytes.truncate(60), "corrupt"),
    ("a header that is no text", "profile.json", |bytes| bytes.fill(0xff), "corrupt"),
    ("a header without end", "profile.json", |bytes| bytes.resize(1 << 20, b' '), "corrupt"),
    (
        "a header of a later program",
        "profile.json",
        |bytes| *bytes = b"{\"version\": 2, \"keys\": []}".to_vec(),
        "newer_version",
    ),
    (
        "a header that would cost all memory",
        "profile.json",
        |bytes| replace(bytes, "\"memory_kib\": 65536", "\"memory_kib\": 4294967295"),
        "corrupt",
    ),
    (
        "another key",
        "profile.json",
        |bytes| replace(bytes, "\"wrapped\": \"", "\"wrapped\": \"00\", \"was\": \""),
        "corrupt",
    ),
];

fn replace(bytes: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(bytes.clone()).expect("text");
    assert!(text.contains(from), "{from} in {text}");
    *bytes = text.replace(from, to).into_bytes();
}

/// Starting a daemon fails with this code, and no file of the profile's has changed by that.
fn refuses(person: &Person, what: &str, code: &str) {
    let before = files(&person.profile());
    let refused = person.try_run(&["contacts"]).expect_err(what);
    assert_eq!(refused.code(), (13, code), "{what}: {refused:?}");
    assert!(!refused.hint().is_empty(), "{what}");
    let after = files(&person.profile());
    for (name, bytes) in before {
        assert!(after.get(&name) == Some(&bytes), "{what}: {name} was changed");
    }
}

fn change(profile: &Path, name: &str, damage: Damage) {
    let path = profile.join(name);
    let mut bytes = std::fs::read(&path).expect("a file");
    damage(&mut bytes);
    std::fs::write(&path, bytes).expect("writes");
}

fn contents(profile: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(profile).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .map(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            (name.to_owned(), std::fs::read(&path).expect("a file"))
        })
        .collect()
}

/// What a start may write in any case: its own log, and locks.
fn is_of_the_daemon(name: &str) -> bool {
    name.starts_with("daemon.") || name.ends_with("lock")
}

fn files_of(contents: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let own = contents.iter().filter(|(name, _)| !is_of_the_daemon(name));
    own.map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
}

fn files(profile: &Path) -> BTreeMap<String, Vec<u8>> {
    files_of(&contents(profile))
}

fn restore(profile: &Path, contents: &BTreeMap<String, Vec<u8>>) {
    for name in files(profile).keys() {
        std::fs::remove_file(profile.join(name)).expect("removes");
    }
    for (name, bytes) in files_of(contents) {
        std::fs::write(profile.join(name), bytes).expect("writes");
    }
}
