//! Two people, real processes, real QUIC, real disks, by the command line alone.

mod harness;

use harness::{Network, Person};

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
