//! Messages between two people: how long they take, and what they cost.

use std::time::{Duration, Instant};

use xchat_testkit::{Direction, Ground, Person};

use crate::cpu;
use crate::report::Row;

/// Messages without slots to wait for, and at each pace.
const MESSAGES: (usize, usize) = (100, 60);

/// How long the stream alone is watched.
const IDLE: Duration = Duration::from_secs(10);

/// Packets a second at which nothing waits for its slot.
const AT_ONCE: &str = "150";

pub(crate) fn run(args: &crate::Args) -> Vec<Row> {
    let mut rows = pipeline(args);
    // Somebody types; the pace carries 55 and 14 messages a minute before they are put together (spec 08, 8.8).
    for (pace, aim, every) in [("fast", 1.3, 2.5), ("desk", 3.5, 6.0)] {
        rows.extend(at_pace(args, pace, aim, Duration::from_secs_f64(every)));
    }
    rows
}

/// Without delays and slots to wait for.
fn pipeline(args: &crate::Args) -> Vec<Row> {
    let ground =
        Ground::up(&args.xchat, &["--rate", AT_ONCE, "--mix-delay", "0", "--link-rate", "0"]);
    let (alice, bob) = acquainted(&ground, "desk");
    let pids =
        || ground.nodes().into_iter().filter_map(|node| node.pid).chain([alice.pid(), bob.pid()]);
    let spent = || pids().map(cpu::of_process).sum::<u64>() as f64;

    let (before, start) = (spent(), Instant::now());
    std::thread::sleep(IDLE);
    let idle = (spent() - before) / start.elapsed().as_secs_f64();

    let listening = bob.listen();
    let (before, start) = (spent(), Instant::now());
    let mut delays = talk(&alice, "bob", &listening, MESSAGES.0, Duration::from_millis(100));
    let each = (spent() - before - idle * start.elapsed().as_secs_f64()) / MESSAGES.0 as f64;
    vec![
        Row::new("one way without delays and slots, median", cpu::quantile(&mut delays, 0.5), "ms")
            .at_most_of_cpu(15.0),
        Row::new("the same, 95 %", cpu::quantile(&mut delays, 0.95), "ms"),
        Row::new("a message, over all processes", (each / 1e6).max(0.0), "ms CPU")
            .at_most_of_cpu(5.0),
        Row::new(
            format!("two streams of {AT_ONCE} packets a second, all processes"),
            idle / 1e7,
            "% of a core",
        ),
    ]
}

/// As people have it, with mixes that hold packets for 50 ms.
fn at_pace(args: &crate::Args, pace: &str, aim: f64, every: Duration) -> Vec<Row> {
    let ground = Ground::up(&args.xchat, &["--mix-delay", "50"]);
    let (alice, bob) = acquainted(&ground, pace);
    let listening = bob.listen();
    let mut delays = talk(&alice, "bob", &listening, MESSAGES.1, every);
    let seconds = |of, delays: &mut [f64]| cpu::quantile(delays, of) / 1_000.0;
    vec![
        Row::new(
            format!("delivery at `{pace}`, D = 50 ms, median"),
            seconds(0.5, &mut delays),
            "s",
        )
        .at_most(aim),
        Row::new("the same, 95 %", seconds(0.95, &mut delays), "s"),
    ]
}

fn acquainted(ground: &Ground, pace: &str) -> (Person, Person) {
    let alice = Person::at_pace(ground, "alice", pace);
    let bob = Person::at_pace(ground, "bob", pace);
    bob.ok(&["accept", &alice.invite()]);
    alice.ok(&["contacts", "--wait", "bob"]);
    (alice, bob)
}

/// Says something every so often; the delays in milliseconds.
fn talk(
    from: &Person,
    to: &str,
    at: &xchat_testkit::Listening,
    count: usize,
    every: Duration,
) -> Vec<f64> {
    let start = Instant::now();
    let mut said = Vec::new();
    for n in 0..count {
        let next = every * u32::try_from(n).expect("few");
        std::thread::sleep(next.saturating_sub(start.elapsed()));
        let text = format!("{to}, {n}");
        assert!(from.send(to, &text), "it is taken");
        said.push(text);
    }
    let Direction { lost, twice, delays, .. } = at.account(&said);
    assert_eq!((lost, twice), (0, 0), "a message was lost or came twice");
    delays.into_iter().map(|delay| delay.as_secs_f64() * 1_000.0).collect()
}
