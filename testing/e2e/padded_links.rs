//! Two people talk over nodes whose links to one another carry cells at a constant rate, as they do by default.

mod harness;

use harness::{Network, Person};

/// A crowd of two at ten packets a second, and cells for five times what passes.
const SHAPE: [&str; 4] = ["--rate", "10", "--link-rate", "100"];

#[test]
fn two_people_talk_over_padded_links() {
    let mut network = Network::up_with(&SHAPE);
    let alice = Person::new(&network, "alice");
    let bob = Person::new(&network, "bob");
    alice.meet(&bob);
    let mut at_bob = bob.listen("0");
    for n in 0..10 {
        alice.ok(&["send", "bob", &format!("alice {n}")]);
        bob.ok(&["send", "alice", &format!("bob {n}")]);
    }
    assert_eq!(at_bob.texts_in(10).len(), 10);
    alice.ok(&["send", "bob", "alice 10", "--wait-delivered"]);
    assert_eq!(
        alice.texts_with("bob", "in"),
        (0..10).map(|n| format!("bob {n}")).collect::<Vec<_>>()
    );
    let roles = ["gateway", "mix", "store"];
    let all = roles.into_iter().flat_map(|role| network.status_of(role));
    for node in all {
        assert_eq!(node["links_up"], node["links_wanted"], "{node}");
        assert_eq!(node["frames_dropped"], 0, "the links carry it all: {node}");
    }
    drop(at_bob);
    network.stop();
}
