//! Messages between two people: how long they take, and what they cost.

use std::time::{Duration, Instant};

use xchat_engine::MessageState;
use xchat_simnet::{Links, Shape, Transparent, World};
use xchat_testkit::{Direction, Ground, Person};
use xchat_transport::Pace;

use crate::cpu;
use crate::report::Row;

/// Messages without slots to wait for, and at each pace.
const MESSAGES: (usize, usize) = (100, 30);

/// How long the stream alone is watched.
const IDLE: Duration = Duration::from_secs(10);

/// As the network document of a local network has it.
const MIX_DELAY: Duration = Duration::from_millis(50);

/// How much faster than `phone` its real run is, so that it takes minutes.
const SCALE: u32 = 20;

/// Simulated pairs of people for each figure.
const PAIRS: u64 = 5;

/// Packets a second at which nothing waits for its slot.
const AT_ONCE: &str = "150";

pub(crate) fn run(args: &crate::Args) -> Vec<Row> {
    let mut rows = pipeline(args);
    // Somebody types; the pace carries 55 and 14 messages a minute before they are put together (spec 08, 8.8).
    for (name, pace, aim, every) in [("fast", Pace::Fast, 1.3, 2.5), ("desk", Pace::Desk, 3.5, 6.0)]
    {
        let (every, what) =
            (Duration::from_secs_f64(every), format!("delivery at `{name}`, D = 50 ms"));
        let [median, rare] = real(args, name, &["--mix-delay", "50"], every);
        let [simulated, _] = simulated(pace, None, MIX_DELAY, every);
        rows.push(
            Row::new(format!("{what}, median"), median, "s")
                .at_most(aim)
                .beside("simulator", simulated),
        );
        rows.push(Row::new("the same, 95 %", rare, "s"));
    }
    rows.extend(slow_paces(args));
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
        Row::new("a message, over all processes", each / 1e6, "ms CPU").at_most_of_cpu(5.0),
        Row::new(
            format!("two streams of {AT_ONCE} packets a second, all processes"),
            idle / 1e7,
            "% of a core",
        ),
    ]
}

/// `phone`, twenty times as fast, beside the simulator; and what that says of `phone` and `thrift` as they are.
fn slow_paces(args: &crate::Args) -> Vec<Row> {
    let every = Duration::from_secs(60) / SCALE;
    let scaled = ["--rate", "4", "--mix-delay", "3"];
    let [median, _] = real(args, "phone", &scaled, every);
    let [beside, _] = simulated(Pace::Phone, Some(4_000), Duration::from_millis(3), every);
    let what = "delivery at `phone`, twenty times as fast, D = 3 ms, median";
    let mut rows = vec![Row::new(what, median, "s").beside("simulator", beside)];
    for (name, pace, minutes) in [("phone", Pace::Phone, 1), ("thrift", Pace::Thrift, 10)] {
        let every = Duration::from_secs(60 * minutes);
        let [median, rare] = simulated(pace, None, MIX_DELAY, every);
        let what = format!("delivery at `{name}`, D = 50 ms, by the simulator alone, median");
        rows.push(Row::new(what, median, "s"));
        rows.push(Row::new("the same, 95 %", rare, "s"));
    }
    rows
}

/// On real processes: the median and the 95th percentile, in seconds.
fn real(args: &crate::Args, pace: &str, options: &[&str], every: Duration) -> [f64; 2] {
    let ground = Ground::up(&args.xchat, options);
    let (alice, bob) = acquainted(&ground, pace);
    let listening = bob.listen();
    let mut delays = talk(&alice, "bob", &listening, MESSAGES.1, every);
    [0.5, 0.95].map(|of| cpu::quantile(&mut delays, of) / 1_000.0)
}

/// The same on the production cores and virtual time, for a few pairs.
fn simulated(pace: Pace, rate: Option<u32>, mix_delay: Duration, every: Duration) -> [f64; 2] {
    let mut delays = Vec::new();
    for seed in 1..=PAIRS {
        let links = Links { cells: 100, ..Links::good() };
        let shape = Shape { pace: rate, mix_delay, ..Shape::default() };
        let mut world = World::with_format(seed, &shape, links, &Transparent);
        let [alice, bob] = ["alice", "bob"].map(|name| world.add_at(name, pace));
        let [conversation, _] = world.meet(alice, bob);
        for n in 0..MESSAGES.1 {
            world.send(alice, conversation, &format!("{n}"));
            world.run_for(every);
        }
        world.run_until("everything is delivered", every * 200, |world| {
            world.people[alice].all_sent_are(MessageState::Delivered)
        });
        let bob = &world.people[bob];
        let came = bob.rows.values().filter(|row| row.direction == xchat_engine::Direction::In);
        delays.extend(came.map(|row| {
            bob.seen_at[&row.id].as_millis().saturating_sub(row.sent_at) as f64 / 1_000.0
        }));
    }
    [0.5, 0.95].map(|of| cpu::quantile(&mut delays, of))
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
