//! Nothing phones home. In network namespaces with a default route into a wire that is listened to, the whole
//! program runs, and what comes over the wire is looked at, frame by frame.
//!
//! A look-up of a name, made on purpose from where the program runs, must be seen on the wire before and after:
//! or the test has not listened.

mod harness;
mod sandbox;
mod wire;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use harness::{Network, Person, XCHAT};
use sandbox::{inside, run};
use serde_json::Value;
use tempfile::TempDir;
use wire::{Capture, FarEnd, OURS, THEIRS, capture_until_killed};

/// Not a test of its own: what listens on the wire, in a process of its own. See [`Capture`].
#[test]
fn listens_on_the_wire() {
    capture_until_killed();
}

#[test]
fn nothing_leaves_but_the_links_of_the_network() {
    inside("nothing_leaves_but_the_links_of_the_network", &["--net"], || {
        let _names = names_are_asked_for_over_the_wire();
        run("ip", &["link", "set", "lo", "up"]);
        let place = TempDir::new().expect("a temporary directory");
        let network = place.path().join("network");
        let people = everything_on_this_machine(&network);
        nodes_elsewhere(&network, &people);
    });
}

/// `getent` asks the other end of the wire, as the program would if it asked anybody.
fn names_are_asked_for_over_the_wire() -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    let file = dir.path().join("resolv.conf");
    fs::write(&file, format!("nameserver {THEIRS}\noptions timeout:1 attempts:1\n"))
        .expect("writes");
    run("mount", &["--bind", file.to_str().expect("utf-8"), "/etc/resolv.conf"]);
    dir
}

/// Nodes, daemons and command line on one machine: the wire carries nothing at all.
fn everything_on_this_machine(network: &Path) -> [Person; 2] {
    let mut far = FarEnd::capture("near", "far");
    far.go();
    let mut capture = Capture::of(far);
    capture.until_look_up("before-everything");

    let mut net = Network::at(network);
    let alice = Person::new(&net, "alice");
    let bob = Person::new(&net, "bob");
    alice.meet(&bob);
    let mut at_bob = bob.listen_to_all("0");
    for n in 0..20 {
        alice.ok(&["send", "bob", &format!("{n}"), "--no-wait"]);
    }
    assert_eq!(at_bob.texts_in(20).len(), 20);
    alice.ok(&["send", "bob", "and the receipt", "--wait-delivered"]);
    drop(at_bob);
    every_command(&alice, network);
    alice.ok(&["stop"]);
    let copy = network.with_file_name("copy");
    alice.ok(&["backup", copy.to_str().expect("utf-8")]);
    bob.ok(&["stop"]);
    net.stop();
    nodes_with_addresses_of_their_own();
    demo();

    let frames = capture.until_look_up("after-everything");
    let strange: Vec<_> = frames.iter().filter(|frame| !frame.is_the_kernels_own()).collect();
    assert!(strange.is_empty(), "these left the machine: {strange:#?}");
    [alice, bob]
}

fn every_command(person: &Person, network: &Path) {
    let used = person.ok(&["invite"])[0]["link"].as_str().expect("a link").to_owned();
    person.fail(&["accept", &used]);
    person.fail(&["accept", "https://example.invalid/not-a-link"]);
    person.ok(&["contacts"]);
    person.ok(&["verify", "bob"]);
    person.ok(&["verify", "bob", "--equal"]);
    person.ok(&["verify", "bob", "--undo"]);
    person.ok(&["send", "bob", "no wait", "--no-wait"]);
    person.fail(&["send", "example.invalid", "hello"]);
    person.ok(&["read", "bob", "--limit", "0"]);
    person.ok(&["status"]);
    for node in nodes(network) {
        let config = node["config"].as_str().expect("a path");
        for command in ["check", "status"] {
            xchat(&["--json", "node", command, "--config", config]);
        }
    }
    let store = network.to_str().expect("utf-8");
    xchat(&["net", "restart", "--dir", store, "--node", "store-1"]);
    for text in ["--version", "--help", "help"] {
        xchat(&[text]);
    }
    // In the foreground as well.
    person.ok(&["stop"]);
    let mut serve = person.serve();
    person.ok(&["contacts"]);
    person.ok(&["stop"]);
    assert!(serve.wait().expect("ends").success());
}

/// A block of loopback addresses, each node started by a program of ours, the links padded.
fn nodes_with_addresses_of_their_own() {
    let dir = TempDir::new().expect("a temporary directory");
    let runner = dir.path().join("runner");
    fs::write(&runner, "#!/bin/sh\nshift\nexec \"$@\"\n").expect("writes");
    fs::set_permissions(&runner, fs::Permissions::from_mode(0o755)).expect("ours");
    let runner = runner.to_str().expect("utf-8");
    let options = ["--bind-range", "127.9.0.0/28", "--runner", runner, "--link-rate", "50"];
    let mut net = Network::up_with(&options);
    let addresses: BTreeSet<_> =
        net.nodes().iter().map(|node| node["address"].to_string()).collect();
    assert!(addresses.iter().all(|address| address.contains("127.9.0.")), "{addresses:?}");
    net.stop();
}

/// The demo with nobody at the keyboard ends by itself.
fn demo() {
    let dir = TempDir::new().expect("a temporary directory");
    let dir = dir.path().join("demo");
    xchat(&["demo", "--rate", "50", "--link-rate", "0", "--dir", dir.to_str().expect("utf-8")]);
}

fn xchat(args: &[&str]) {
    run(XCHAT, args);
}

fn nodes(network: &Path) -> Vec<Value> {
    let text = fs::read_to_string(network.join("nodes.json")).expect("written");
    serde_json::from_str(&text).expect("a list")
}

/// The same nodes on another machine, at the far end of the wire: between it and the people there is nothing
/// but datagrams to and from the gateways.
fn nodes_elsewhere(network: &Path, [alice, bob]: &[Person; 2]) {
    let gateways = move_nodes(network);
    let dir = network.to_str().expect("utf-8");
    let mut far = FarEnd::new("near", "far", &[XCHAT, "--json", "net", "up", "--dir", dir]);
    // Before the wire is up, so that it hears everything.
    let mut capture = Capture::here();
    far.go();
    far.wait_for(|line| line.contains("\"ready\""));
    capture.until_look_up("before-the-people");

    let mut at_bob = bob.listen("0");
    assert_eq!(at_bob.texts_in(22).len(), 22, "what was said before");
    for n in 0..10 {
        alice.ok(&["send", "bob", &format!("from afar {n}")]);
    }
    assert_eq!(at_bob.texts_in(10).len(), 10);
    alice.ok(&["invite"]);
    alice.ok(&["stop"]);
    bob.ok(&["stop"]);

    let frames = capture.until_look_up("after-the-people");
    let links: Vec<_> = frames.iter().filter(|frame| frame.is_between(OURS, &gateways)).collect();
    assert!(links.len() > 500, "the people have talked: {}", links.len());
    let strange: Vec<_> = frames
        .iter()
        .filter(|frame| !frame.is_between(OURS, &gateways) && !frame.is_the_kernels_own())
        .collect();
    assert!(strange.is_empty(), "these went elsewhere: {strange:#?}");
}

/// Writes other addresses into the network's plan; those of the gateways.
fn move_nodes(network: &Path) -> BTreeSet<SocketAddr> {
    let file = network.join("secrets.json");
    let text = fs::read_to_string(&file).expect("a plan");
    let mut plan: Value = serde_json::from_str(&text).expect("JSON");
    let mut gateways = BTreeSet::new();
    for node in plan["nodes"].as_array_mut().expect("nodes") {
        let old: SocketAddr = node["address"].as_str().expect("text").parse().expect("an address");
        let new = SocketAddr::new(THEIRS, old.port());
        node["address"] = Value::String(new.to_string());
        if node["role"] == "gateway" {
            gateways.insert(new);
        }
    }
    assert_eq!(gateways.len(), 2);
    fs::write(&file, plan.to_string()).expect("writes");
    gateways
}
