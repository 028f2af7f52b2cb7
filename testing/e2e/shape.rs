//! What passes between a client and its gateway has one shape, whether its owner talks, is talked to, or does nothing.
//!
//! Three people on machines of their own (network namespaces), one of whom talks to another as fast as the program takes
//! it, while the third does nothing. What comes and goes at each of the three is written down, datagram by datagram,
//! and compared pair by pair: sizes, and times between one datagram and the next, each way, by their
//! Kolmogorov–Smirnov distance. Two clients without cover, on the same network, must be told apart by the same measure.

#[path = "shape/bare.rs"]
mod bare;
#[path = "shape/capture.rs"]
mod capture;
mod harness;
#[path = "shape/ks.rs"]
mod ks;
#[path = "faults/space.rs"]
#[allow(dead_code)] // Nothing is cut here.
mod space;

use std::time::{Duration, Instant};

use bare::Bare;
use capture::{Capture, Datagram};
use harness::{NODES, Network, Person, signal};
use space::{RANGE, Space};
use tempfile::TempDir;

/// People, and what they do.
const PEOPLE: [(&str, &str); 3] =
    [("alice", "talks"), ("bob", "is talked to"), ("carol", "does nothing")];

/// Clients without cover: how many seconds apart they say something, on average.
const BARE: [(&str, u32); 2] = [("quiet", 30), ("talker", 1)];

/// What is sure to come about does so within this, on the slowest machine.
const SOON: Duration = Duration::from_secs(90);

/// How often something is asked that no event tells.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Where the first person is; the others follow.
const FIRST_ADDRESS: usize = 129;

/// Not a test of its own: see [`Capture`].
#[test]
fn listens() {
    capture::until_killed();
}

/// Not a test of its own: see [`Bare`].
#[test]
fn talks_without_cover() {
    bare::until_killed();
}

#[test]
fn talking_does_not_show_on_the_wire() {
    // Twenty packets a second: three quarters of a minute. Of two samples of 1,500 of one distribution one pair in a
    // thousand is further apart than 0.071.
    compare(&["--rate", "20"], 1_500, 0.1);
}

/// `./x soak shape`: as people have it, for the length of 5,000 datagrams.
#[test]
#[ignore = "ten minutes: ./x soak shape"]
fn soak() {
    compare(&["--rate", "4", "--mix-delay", "50", "--link-rate", "100"], 5_000, 0.05);
}

/// Somebody's device sleeps for longer than a link lives, and wakes up.
#[test]
fn a_session_goes_on_when_the_device_wakes_up() {
    let mut net = Network::up();
    let alice = Person::new(&net, "alice");
    alice.ok(&["invite"]);
    for times in 1..=2 {
        signal("STOP", alice.daemon());
        until(|| counted(&net, "kept") == 1);
        signal("CONT", alice.daemon());
        until(|| counted(&net, "resumed") == times);
        // The invitation lies in the network: what the device asks for has its answer.
        alice.ok(&["invite"]);
        assert_eq!((counted(&net, "welcomed"), counted(&net, "sessions")), (1, 1));
    }
    net.stop();
}

/// Of all gateways.
fn counted(net: &Network, what: &str) -> u64 {
    let status = net.status_of("gateway");
    status.iter().map(|each| each["counters"][what].as_u64().expect("a number")).sum()
}

fn until(holds: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "not within {SOON:?}");
        std::thread::sleep(ASK_EVERY);
    }
}

/// Runs until every person's machine has seen `enough` datagrams each way.
fn compare(network: &[&str], enough: usize, bound: f64) {
    let dir = TempDir::new().expect("a temporary directory");
    let everybody = PEOPLE.map(|(name, _)| name).into_iter().chain(BARE.map(|(name, _)| name));
    let everybody: Vec<&str> = everybody.collect();
    let space = Space::new(&NODES.map(str::to_owned), &everybody);
    let runner = space.write_runner(dir.path());
    let places = ["--bind-range", RANGE, "--runner", runner.to_str().expect("utf-8")];
    let mut net = Network::up_with(&[network, &places].concat());
    let people = PEOPLE.map(|(name, _)| Person::new_in(space.runner(name), &net, name));
    let [alice, bob, carol] = &people;
    alice.meet(bob);
    alice.meet(carol);
    let file = net.file();

    let bare = BARE.map(|(name, mean)| Bare::at(&space.runner(name), &file, mean));

    let address = |n| format!("10.77.0.{}", FIRST_ADDRESS + n);
    let captures: Vec<_> = everybody
        .iter()
        .enumerate()
        .map(|(n, name)| Capture::at(&space.runner(name), &address(n)))
        .collect();
    let mut seen: Vec<Vec<Datagram>> = vec![Vec::new(); everybody.len()];
    let mut said = 0;
    while !seen[..PEOPLE.len()].iter().all(|each| ways(each).iter().all(|way| way.len() > enough)) {
        alice.ok(&["send", "bob", &format!("{said}")]);
        said += 1;
        for (each, capture) in seen.iter_mut().zip(&captures) {
            each.extend(capture.so_far());
        }
    }
    let mut at_bob = bob.listen("0");
    assert_eq!(at_bob.texts_in(said).len(), said, "what was said has been talked about");
    drop((at_bob, captures, bare));
    net.stop();

    println!("{said} messages, {enough} datagrams and more each way");
    let bare = PEOPLE.len();
    for (a, b) in [(0, 1), (0, 2), (1, 2), (bare, bare + 1)] {
        let (names, covered) = ([everybody[a], everybody[b]], b < bare);
        for (way, (one, other)) in
            ["in", "out"].iter().zip(ways(&seen[a]).iter().zip(&ways(&seen[b])))
        {
            let sizes = ks::distance(&lengths(one), &lengths(other));
            let times = ks::distance(&gaps(one), &gaps(other));
            println!(
                "{names:?} {way}: sizes {sizes:.3}, times {times:.3} ({}, {})",
                one.len(),
                other.len()
            );
            assert_eq!(sizes <= bound, covered, "{names:?} {way}: sizes {sizes}, bound {bound}");
            assert_eq!(times <= bound, covered, "{names:?} {way}: times {times}, bound {bound}");
        }
    }
}

/// What came in, and what went out.
fn ways(seen: &[Datagram]) -> [Vec<Datagram>; 2] {
    let (out, into) = seen.iter().partition(|datagram| datagram.out);
    [into, out]
}

fn lengths(way: &[Datagram]) -> Vec<f64> {
    way.iter().map(|datagram| f64::from(datagram.len)).collect()
}

/// Microseconds from each datagram to the next.
fn gaps(way: &[Datagram]) -> Vec<f64> {
    way.windows(2).map(|two| (two[1].at - two[0].at) as f64).collect()
}
