//! A node's disk fails: full, read only, damaged, older than it was. Real processes, real file systems.

mod harness;
mod sandbox;

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Network, Person, Refused, XCHAT, refusal};
use sandbox::{SmallDisk, fill, inside, mount_at, run};
use serde_json::Value;
use tempfile::TempDir;

/// What should happen by itself has happened by then, on the slowest machine.
const SOON: Duration = Duration::from_secs(60);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

/// A network's directory.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: TempDir::new().expect("a temporary directory") }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn node(&self, name: &str) -> PathBuf {
        self.path().join("nodes").join(name)
    }

    fn config(&self, name: &str) -> String {
        let path = self.node(name).join("node.toml");
        path.to_str().expect("utf-8").to_owned()
    }

    fn runs(&self, name: &str) -> bool {
        let Ok(text) = fs::read_to_string(self.path().join("nodes.json")) else { return false };
        let nodes: Vec<Value> = serde_json::from_str(&text).expect("a list");
        nodes.iter().any(|node| node["name"] == name && node["pid"].is_u64())
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.node(name).join("node.log")).unwrap_or_default()
    }

    fn restart(&self, name: &str) {
        let dir = self.path().to_str().expect("utf-8");
        run(XCHAT, &["net", "restart", "--dir", dir, "--node", name]);
    }

    /// One node alone, while its network is down: how it refuses.
    fn refuses(&self, name: &str) -> Refused {
        self.refused(&["node", "--config", &self.config(name)])
    }

    fn refused(&self, args: &[&str]) -> Refused {
        // A node that starts although it must not would run for ever.
        let output = Command::new("timeout")
            .args(["60", XCHAT, "--json"])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("xchat runs");
        refusal(&output)
    }
}

/// A store and a mix whose disks are full stop, and say why; nothing that was acknowledged is lost, the others go
/// on, and they work again once there is room and they are started.
#[test]
fn nodes_with_full_disks_stop_and_nothing_acknowledged_is_lost() {
    inside("nodes_with_full_disks_stop_and_nothing_acknowledged_is_lost", &[], || {
        let place = Place::new();
        for (name, mib) in [("store-1", 24), ("store-2", 24), ("mix-2-1", 4)] {
            fs::create_dir_all(place.node(name)).expect("a directory");
            mount_at(&place.node(name), mib);
        }
        let mut network = Network::at(place.path());
        let alice = Person::new(&network, "alice");
        let bob = Person::new(&network, "bob");
        alice.meet(&bob);
        let mut at_bob = bob.listen("0");
        let mut sent = Vec::new();
        let mut say = |text: String, more: &[&str]| {
            let line = alice.ok(&[&["send", "bob", text.as_str()], more].concat()).remove(0);
            sent.push(text);
            line
        };

        // One of four stores: two of every three go on.
        say("all is well".to_owned(), &[]);
        fill(&place.node("store-1").join("ballast"));
        until("the store stops", || {
            say("to a full store".to_owned(), &[]);
            !place.runs("store-1")
        });
        // Its log lies on the same disk: if there was room for it, it has the reason.
        let log = place.log("store-1");
        assert!(!log.contains("panicked"), "{log}");
        assert_eq!(say("with one store less".to_owned(), &[])["state"], "stored");
        fs::remove_file(place.node("store-1").join("ballast")).expect("room");
        place.restart("store-1");
        assert!(place.runs("store-1"));
        // It has what it had: now another one may go, and its answers count.
        fill(&place.node("store-2").join("ballast"));
        until("the other store stops", || {
            say("to the other store".to_owned(), &[]);
            !place.runs("store-2")
        });
        fs::remove_file(place.node("store-2").join("ballast")).expect("room");
        place.restart("store-2");

        // The one mix of its layer: nothing moves without it, and nothing is lost.
        fill(&place.node("mix-2-1").join("ballast"));
        until("the mix stops", || !place.runs("mix-2-1"));
        for n in 0..5 {
            say(format!("without a mix {n}"), &["--no-wait"]);
        }
        fs::remove_file(place.node("mix-2-1").join("ballast")).expect("room");
        place.restart("mix-2-1");
        assert_eq!(say("and back".to_owned(), &[])["state"], "stored");

        assert_eq!(at_bob.texts_in(sent.len()), sent, "once each, in order");
        assert_eq!(bob.texts_with("alice", "in"), sent);
        for person in [&alice, &bob] {
            person.ok(&["stop"]);
        }
        network.stop();

        // A disk that is read only is named at the start.
        let disk = SmallDisk::new(8);
        let copied = disk.path().join("node");
        copy(&place.node("mix-1-1"), &copied);
        move_config(&place, "mix-1-1", &copied);
        let config = copied.join("node.toml");
        disk.make_read_only();
        let refused = place.refused(&["node", "--config", config.to_str().expect("utf-8")]);
        assert_eq!(refused.code(), (4, "file"), "{refused:?}");
        assert!(refused.message().contains("Read-only file system"), "{refused:?}");
        assert!(!refused.hint().is_empty());
    });
}

/// A node's configuration names its directory.
fn move_config(place: &Place, name: &str, copy: &Path) {
    let text = fs::read_to_string(copy.join("node.toml")).expect("a configuration");
    let (old, new) = (place.node(name), copy.display().to_string());
    fs::write(copy.join("node.toml"), text.replace(old.to_str().expect("utf-8"), &new))
        .expect("writes");
}

/// A store that has lost part of its table does not start as the one that it was, and touches nothing.
#[test]
fn a_store_that_has_lost_something_does_not_start() {
    let place = Place::new();
    let mut network = Network::at(place.path());
    let alice = Person::new(&network, "alice");
    let bob = Person::new(&network, "bob");
    alice.meet(&bob);
    for n in 0..10 {
        alice.ok(&["send", "bob", &format!("{n}")]);
    }
    for person in [&alice, &bob] {
        person.ok(&["stop"]);
    }
    network.stop();
    let store = place.node("store-1");
    let backup = place.path().join("backup");
    copy(&store, &backup);

    // It goes on, and then somebody puts the backup of its boxes back.
    network = Network::at(place.path());
    // One of four stores does not keep a box: more than one, so that this store has something new.
    for n in 10..20 {
        alice.ok(&["send", "bob", &format!("{n}")]);
    }
    alice.ok(&["stop"]);
    network.stop();
    let newest = place.path().join("newest");
    copy(&store, &newest);
    let boxes = store.join("boxes");
    fs::remove_dir_all(&boxes).expect("removes");
    copy(&backup.join("boxes"), &boxes);
    loses(&place, "an older copy");

    for lost in [
        "boxes/version",
        "boxes/keyspaces/0",
        "boxes/keyspaces/1",
        "boxes/keyspaces/2",
        "boxes.mark",
    ] {
        put_back(&newest, &store);
        let path = store.join(lost);
        if path.is_dir() {
            fs::remove_dir_all(&path).expect("removes");
        } else {
            fs::remove_file(&path).expect("removes");
        }
        let before = listing(&store);
        loses(&place, lost);
        assert_eq!(listing(&store), before, "{lost}: nothing is made or removed");
    }
    put_back(&newest, &store);
    for entry in fs::read_dir(&boxes).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ext| ext == "jnl") {
            fs::remove_file(path).expect("removes");
        }
    }
    loses(&place, "its journals");

    // A key file that is no key, and a hop key under another's name.
    put_back(&newest, &store);
    let key = fs::read(store.join("node.key")).expect("a key");
    for rubbish in [&b""[..], b"00", b"\xff\xff", &key[..40]] {
        fs::write(store.join("node.key"), rubbish).expect("writes");
        let refused = place.refuses("store-1");
        assert_eq!(refused.code(), (3, "key"), "{refused:?}");
        assert!(!refused.hint().is_empty());
        assert_eq!(fs::read(store.join("node.key")).expect("a key"), rubbish);
    }
    fs::write(store.join("node.key"), &key).expect("writes");

    hostile_network_files(&place);

    // And whole again it serves, with everything.
    network = Network::at(place.path());
    let mut at_bob = bob.listen("0");
    assert_eq!(at_bob.texts_in(20).len(), 20);
    a_crowd_at_the_control_socket(&place);
    bob.ok(&["stop"]);
    network.stop();
}

fn loses(place: &Place, what: &str) {
    let refused = place.refuses("store-1");
    assert_eq!(refused.code(), (3, "table_lost"), "{what}: {refused:?}");
    assert!(!refused.hint().is_empty());
}

/// Whatever a network file says: a clear refusal, for a node and for a person.
fn hostile_network_files(place: &Place) {
    let file = place.path().join("network.json");
    let whole = fs::read_to_string(&file).expect("a network file");
    let digits = whole.find("\"document\": \"").expect("a document") + 14;
    let changed = |at: usize, to: &str| {
        let mut text = whole.clone();
        text.replace_range(at..at + to.len(), to);
        text.into_bytes()
    };
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("no text", vec![0xff; 100]),
        ("nested", vec![b'['; 200_000]),
        ("nested objects", b"{\"version\":".repeat(20_000)),
        ("endless", vec![b' '; 64 << 20]),
        ("another version", whole.replace("\"version\": 1", "\"version\": 9").into_bytes()),
        ("half", whole.as_bytes()[..whole.len() / 2].to_vec()),
        ("an unknown field", whole.replacen('{', "{\"also\": 1,", 1).into_bytes()),
        ("no digits", changed(digits, "zz")),
        ("an odd digit", whole.replacen("\"document\": \"", "\"document\": \"0", 1).into_bytes()),
        ("another document", changed(digits + 400, "00000000")),
        ("no authorities", whole.replacen("\"threshold\": 2", "\"threshold\": 0", 1).into_bytes()),
        (
            "an impossible threshold",
            whole.replacen("\"threshold\": 2", "\"threshold\": 200", 1).into_bytes(),
        ),
    ];
    let config = place.config("store-1");
    let dir = TempDir::new().expect("a temporary directory");
    let profile = dir.path().join("profile");
    let path = file.to_str().expect("utf-8");
    for (what, bytes) in hostile {
        fs::write(&file, bytes).expect("writes");
        for command in [&["node", "check", "--config", &config][..], &["node", "--config", &config]]
        {
            let refused = place.refused(command);
            let (exit, code) = refused.code();
            assert_eq!(exit, 3, "{what}: {refused:?}");
            assert!(["network_file", "document"].contains(&code), "{what}: {refused:?}");
            assert!(refused.message().len() < 1_000, "{what}");
        }
        let init = [
            "--profile",
            profile.to_str().expect("utf-8"),
            "init",
            "--network",
            path,
            "--name",
            "x",
        ];
        assert_eq!(place.refused(&init).code(), (3, "bad_network"), "{what}");
        assert!(!profile.exists());
    }
    fs::write(&file, whole).expect("writes");
}

/// Many who ask a running node and do not read: it answers whoever does.
fn a_crowd_at_the_control_socket(place: &Place) {
    let socket = place.node("store-1").join("control.sock");
    let mut crowd = Vec::new();
    for _ in 0..200 {
        // Beyond what may wait at the socket the system makes us wait, so that it cannot be more.
        let mut stream = UnixStream::connect(&socket).expect("it listens");
        let _ = stream.write_all(&[b'x'; 4_096]);
        crowd.push(stream);
    }
    run(XCHAT, &["--json", "node", "status", "--config", &place.config("store-1")]);
}

fn copy(from: &Path, to: &Path) {
    let (from, to) = (from.to_str().expect("utf-8"), to.to_str().expect("utf-8"));
    run("cp", &["-r", "--sparse=always", from, to]);
}

fn put_back(newest: &Path, store: &Path) {
    fs::remove_dir_all(store).expect("removes");
    copy(newest, store);
}

fn listing(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut below = vec![dir.to_owned()];
    while let Some(dir) = below.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                below.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}
