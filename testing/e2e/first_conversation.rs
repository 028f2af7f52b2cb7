//! Two people, real processes, real QUIC, real disks, by the command line alone.

mod harness;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::{Network, Person};
use serde_json::Value;

/// Invite, accept, 100 messages each way, restart of everything, 50 messages to one who is offline.
#[test]
fn two_people_talk_restart_and_catch_up() {
    let mut network = Network::up();
    let alice = Person::new(&network, "alice");
    let bob = Person::new(&network, "bob");

    let link = alice.ok(&["invite"])[0]["link"].as_str().expect("a link").to_owned();
    let accepted = bob.ok(&["accept", &link]);
    assert_eq!(accepted[0]["name"], "alice");
    let contact = alice.wait_for_contact("bob");
    assert_eq!(contact["verified"], false);

    // A second use of the link is a clear error, and changes nothing.
    let used = bob.fail(&["accept", &link]);
    assert_eq!(used["error"]["code"], "used_link");
    let own = alice.ok(&["invite"])[0]["link"].as_str().expect("a link").to_owned();
    assert_eq!(alice.fail(&["accept", &own])["error"]["code"], "own_invitation");
    assert_eq!(bob.ok(&["contacts"]).len(), 1);

    // Both see one safety number.
    let number = alice.ok(&["verify", "bob"])[0]["safety_number"].clone();
    assert_eq!(number, bob.ok(&["verify", "alice"])[0]["safety_number"]);
    assert_eq!(number.as_str().expect("digits").split_whitespace().count(), 12);

    // 100 messages each way.
    // From the beginning, so that nothing depends on who is first, the sender or the listener.
    let mut at_alice = alice.listen("0");
    let mut at_bob = bob.listen("0");
    for n in 0..100 {
        alice.ok(&["send", "bob", &format!("to bob {n}"), "--no-wait"]);
        bob.ok(&["send", "alice", &format!("to alice {n}"), "--no-wait"]);
    }
    let expected: Vec<_> = (0..100).map(|n| format!("to bob {n}")).collect();
    assert_eq!(at_bob.texts_in(100), expected);
    let expected: Vec<_> = (0..100).map(|n| format!("to alice {n}")).collect();
    assert_eq!(at_alice.texts_in(100), expected);
    at_alice.wait_for_state("delivered", 100);
    let last = at_bob.last_id();
    drop((at_alice, at_bob));

    // Everything restarts: the people's apps and every node.
    alice.ok(&["stop"]);
    bob.ok(&["stop"]);
    network.restart();

    // 50 messages to one who is offline: stored means that they cannot be lost any more.
    for n in 0..50 {
        let sent = alice.ok(&["send", "bob", &format!("while offline {n}")]);
        assert_eq!(sent[0]["state"], "stored", "message {n}: {sent:?}");
    }
    let mut at_bob = bob.listen(&last);
    let expected: Vec<_> = (0..50).map(|n| format!("while offline {n}")).collect();
    assert_eq!(at_bob.texts_in(50), expected);

    // And one more, waiting for the receipt.
    let sent = bob.ok(&["send", "alice", "thanks", "--wait-delivered"]);
    assert_eq!(sent[0]["state"], "delivered");
    let history = bob.ok(&["read", "alice", "--limit", "0"]);
    assert_eq!(history.len(), 100 + 100 + 50 + 1);
    assert_eq!(history.last().expect("not empty")["text"], "thanks");

    // The state of the network and of oneself can be asked for.
    let status = &bob.ok(&["status"])[0];
    assert!(status["network"].as_str().is_some_and(|name| name.starts_with("local-")), "{status}");
    alice.ok(&["stop"]);
    bob.ok(&["stop"]);
    network.stop();
}

/// What a person can do wrong has an answer that says what to do.
#[test]
fn mistakes_get_clear_errors() {
    let mut network = Network::up();
    let alice = Person::new(&network, "alice");
    assert_eq!(alice.fail(&["accept", "xchat:nonsense"])["error"]["code"], "invalid_link");
    assert_eq!(alice.fail(&["send", "nobody", "hi"])["error"]["code"], "not_found");
    // A running daemon is opened by its token; a profile that is closed, by its passphrase.
    alice.ok(&["stop"]);
    let wrong = alice.fail_with_passphrase("not it", &["contacts"]);
    assert_eq!(wrong["error"]["code"], "wrong_passphrase");
    let link = alice.ok(&["invite"])[0]["link"].as_str().expect("a link").to_owned();
    let mut typo = link.clone();
    let last = if typo.pop() == Some('q') { 'p' } else { 'q' };
    typo.push(last);
    let bob = Person::new(&network, "bob");
    assert_eq!(bob.fail(&["accept", &typo])["error"]["code"], "invalid_link");
    alice.ok(&["stop"]);
    bob.ok(&["stop"]);
    network.stop();
}

/// A store loses its disk while messages wait in boxes; the others give it back what it held; then
/// another store dies for good. Every message is read, and new ones are stored.
#[test]
fn a_wiped_store_is_refilled_and_then_another_dies_for_good() {
    const WAITING: usize = 40;
    let mut network = Network::up();
    let alice = Person::new(&network, "alice");
    let bob = Person::new(&network, "bob");
    let link = alice.ok(&["invite"])[0]["link"].as_str().expect("a link").to_owned();
    bob.ok(&["accept", &link]);
    alice.wait_for_contact("bob");
    bob.ok(&["stop"]);
    for n in 0..WAITING {
        let sent = alice.ok(&["send", "bob", &format!("waiting {n}")]);
        assert_eq!(sent[0]["state"], "stored", "message {n}: {sent:?}");
    }

    let stores = ["store-1", "store-2", "store-3", "store-4"];
    let wiped = Node::of(&network, stores[0]);
    let before = wiped.status().expect("it runs")["table"].clone();
    wiped.kill();
    let boxes = PathBuf::from(wiped.field("dir")).join("boxes");
    std::fs::remove_dir_all(&boxes).expect("a store has a table");
    wiped.restart();
    for store in stores {
        let mut status = Value::Null;
        until(&format!("{store} has copied"), || {
            status = Node::of(&network, store).status().unwrap_or_default();
            status["table"]["placement"] == 2 && status["catching_up"] == false
        });
        assert_eq!((&status["serving"], &status["epoch"]), (&true.into(), &2.into()), "{status}");
        println!("{store}: {}", status["table"]);
        if store == stores[0] {
            assert_ne!(status["table"]["incarnation"], before["incarnation"]);
            assert!(status["table"]["refilled"].as_u64() > Some(0), "{status}");
        }
    }

    Node::of(&network, stores[1]).kill();
    let mut at_bob = bob.listen("0");
    let expected: Vec<_> = (0..WAITING).map(|n| format!("waiting {n}")).collect();
    assert_eq!(at_bob.texts_in(WAITING), expected);
    let sent = alice.ok(&["send", "bob", "with three stores"]);
    assert_eq!(sent[0]["state"], "stored", "{sent:?}");
    assert_eq!(at_bob.texts_in(1), ["with three stores"]);
    drop(at_bob);
    alice.ok(&["stop"]);
    bob.ok(&["stop"]);
    network.stop();
}

/// A node of the network, as `nodes.json` has it.
struct Node(Value, PathBuf);

impl Node {
    fn of(network: &Network, name: &str) -> Self {
        let list = network.file().with_file_name("nodes.json");
        let text = std::fs::read_to_string(&list).expect("written");
        let nodes: Vec<Value> = serde_json::from_str(&text).expect("a list");
        let node = nodes.into_iter().find(|node| node["name"] == name);
        Self(node.expect("a node of this name"), list)
    }

    fn field(&self, name: &str) -> &str {
        self.0[name].as_str().expect("a text")
    }

    fn status(&self) -> Option<Value> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xchat"));
        command.args(["--json", "node", "status", "--config", self.field("config")]);
        serde_json::from_slice(&command.output().expect("xchat runs").stdout).ok()
    }

    /// SIGKILL; returns when the supervisor knows.
    fn kill(&self) {
        let pid = self.0["pid"].as_u64().expect("it runs").to_string();
        let killed = Command::new("kill").args(["-KILL", &pid]).status().expect("kill runs");
        assert!(killed.success());
        until("the supervisor notices", || {
            let text = std::fs::read_to_string(&self.1).expect("written");
            let nodes: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
            nodes.iter().any(|node| node["name"] == self.0["name"] && node["pid"].is_null())
        });
    }

    fn restart(&self) {
        let command = Command::new("sh").args(["-c", self.field("restart")]).output();
        let output = command.expect("sh runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
