//! More people than the gateways hold, with real processes.

mod harness;

use std::time::{Duration, Instant};

use harness::{Network, Person};
use serde_json::Value;

/// Until something is so: far above what a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks for a person's status until it is as wanted; each asking is a process of its own.
fn status_when(person: &Person, wanted: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let status = person.ok(&["status"]).remove(0);
        if wanted(&status["online"]) {
            return status;
        }
        assert!(Instant::now() < until, "{status}");
    }
}

fn is_online(online: &Value) -> bool {
    online["state"] == "online"
}

/// Two gateways with one place each: the third person hears that they are full, the two go on as if
/// nothing were the matter, and when one of them leaves the third gets in. Nothing is restarted.
#[test]
fn whoever_comes_too_late_is_told_and_the_first_go_on_talking() {
    let mut network = Network::up_with(&["--gateways", "2", "--max-sessions", "1"]);
    let alice = Person::new(&network, "alice");
    let bob = Person::new(&network, "bob");
    let carol = Person::new(&network, "carol");
    status_when(&alice, is_online);
    let at_first = status_when(&bob, is_online)["online"].clone();
    let link = alice.ok(&["invite"])[0]["link"].as_str().expect("a link").to_owned();
    bob.ok(&["accept", &link]);
    alice.wait_for_contact("bob");

    let is_turned_away =
        |online: &Value| online["state"] == "connecting" && online["trouble"] == "busy";
    status_when(&carol, is_turned_away);
    let refused = carol.fail(&["invite", "--timeout", "1"]);
    assert_eq!(refused["error"]["code"], "no_network");
    assert_eq!(refused["error"]["message"], "the gateways are full");

    for n in 0..10 {
        let sent = alice.ok(&["send", "bob", &format!("message {n}"), "--wait-delivered"]);
        assert_eq!(sent[0]["state"], "delivered", "message {n}");
    }
    let gateways = network.status_of("gateway");
    assert_eq!(gateways.len(), 2);
    for gateway in &gateways {
        assert_eq!(gateway["load"]["of"], "gateway");
        assert_eq!(gateway["load"]["full"], true);
        assert_eq!(gateway["load"]["max_sessions"], 1);
        assert!(gateway["load"]["proof_attempts"].as_u64() > Some(500_000), "{gateway}");
        assert_eq!(gateway["counters"]["refused_too_fast"], 0);
        assert_eq!(gateway["counters"]["refused_proof"], 0);
    }
    let turned_away =
        |gateway: &Value| gateway["counters"]["refused_busy"].as_u64().expect("a count");
    assert!(gateways.iter().map(turned_away).sum::<u64>() >= 2, "each has turned carol away");

    // What bob says while alice is away waits in the stores, as always.
    alice.ok(&["stop"]);
    let sent = bob.ok(&["send", "alice", "see you"]);
    assert_eq!(sent[0]["state"], "stored");
    status_when(&carol, is_online);
    assert_eq!(status_when(&bob, is_online)["online"], at_first, "bob's session is the first one");
    let link = carol.ok(&["invite"])[0]["link"].as_str().expect("a link").to_owned();
    bob.ok(&["accept", &link]);
    carol.wait_for_contact("bob");
    let sent = bob.ok(&["send", "carol", "welcome", "--wait-delivered"]);
    assert_eq!(sent[0]["state"], "delivered");

    // And the other way round.
    status_when(&alice, is_turned_away);
    bob.ok(&["stop"]);
    status_when(&alice, is_online);
    let mut at_alice = alice.listen("0");
    assert_eq!(at_alice.texts_in(1), ["see you"]);
    drop(at_alice);
    alice.ok(&["stop"]);
    carol.ok(&["stop"]);
    network.stop();
}
