//! Messages between two people: how long they take, and what they cost.

use std::thread;
use std::time::{Duration, Instant};

use xchat_engine::MessageState;
use xchat_simnet::{Links, Shape, Transparent, World};
use xchat_testkit::{Direction, Ground, Person};
use xchat_transport::Pace;

use crate::cpu;
use crate::report::Row;

/// Messages without slots to wait for.
const MESSAGES: usize = 100;

/// A pace on real processes: so many messages, one every so often, that it is watched for 600 slots and more.
struct Watched {
    name: &'static str,
    pace: Pace,
    every: Duration,
    messages: usize,
}

// Somebody says something in every ten slots, twelve at `phone`; a pace carries about as many before they are put together
// (spec 08, 8.8).
const FAST: Watched =
    Watched { name: "fast", pace: Pace::Fast, every: Duration::from_millis(2_500), messages: 120 };
const DESK: Watched =
    Watched { name: "desk", pace: Pace::Desk, every: Duration::from_secs(10), messages: 60 };
/// Twenty times as fast as it is.
const PHONE: Watched =
    Watched { name: "phone", pace: Pace::Phone, every: Duration::from_secs(3), messages: 120 };

/// Messages of a simulated pair.
const SIMULATED: usize = 60;

/// How long the stream alone is watched.
const IDLE: Duration = Duration::from_secs(10);

/// As the network document of a local network has it.
const MIX_DELAY: Duration = Duration::from_millis(50);

/// Pairs of people for each figure, on real processes side by side: what somebody says waits for what was said before, so
/// delays of one pair hang together.
const PAIRS: u64 = 5;

/// Packets a second at which nothing waits for its slot.
const AT_ONCE: &str = "150";

pub(crate) fn run(args: &crate::Args) -> Vec<Row> {
    let mut rows = pipeline(args);
    for (watched, aim) in [(FAST, 1.3), (DESK, 3.5)] {
        let what = format!("delivery at `{}`, D = 50 ms", watched.name);
        let [median, rare] = real(args, &watched, &["--mix-delay", "50"]);
        let [beside, beside_rare] = simulated(watched.pace, None, MIX_DELAY, watched.every);
        rows.push(
            Row::new(format!("{what}, median"), median, "s").at_most(aim).beside_simulated(beside),
        );
        rows.push(Row::new("the same, 95 %", rare, "s").beside_simulated(beside_rare));
    }
    rows.extend(slow_paces(args));
    rows
}

/// Without delays and slots to wait for.
fn pipeline(args: &crate::Args) -> Vec<Row> {
    let ground =
        Ground::up(&args.xchat, &["--rate", AT_ONCE, "--mix-delay", "0", "--link-rate", "0"]);
    let (alice, bob) = acquainted(&ground, &["alice", "bob"].map(str::to_owned), "desk");
    let pids =
        || ground.nodes().into_iter().filter_map(|node| node.pid).chain([alice.pid(), bob.pid()]);
    let spent = || pids().map(cpu::of_process).sum::<u64>() as f64;

    let (before, start) = (spent(), Instant::now());
    thread::sleep(IDLE);
    let idle = (spent() - before) / start.elapsed().as_secs_f64();

    let listening = bob.listen();
    let (before, start) = (spent(), Instant::now());
    let mut delays = talk(&alice, "bob", &listening, MESSAGES, Duration::from_millis(100));
    let each = (spent() - before - idle * start.elapsed().as_secs_f64()) / MESSAGES as f64;
    vec![
        Row::new("one way without delays and slots, median", cpu::quantile(&mut delays, 0.5), "ms")
            .at_most_of_cpu(15.0)
            // Two streams of this rate leave little of two slow cores, and slower ones are waited for longer.
            .told_only(),
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
    let [median, _] = real(args, &PHONE, &["--rate", "4", "--mix-delay", "3"]);
    let [beside, _] = simulated(PHONE.pace, Some(4_000), Duration::from_millis(3), PHONE.every);
    let what = "delivery at `phone`, twenty times as fast, D = 3 ms, median";
    let mut rows = vec![Row::new(what, median, "s").beside_simulated(beside)];
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
fn real(args: &crate::Args, watched: &Watched, options: &[&str]) -> [f64; 2] {
    let ground = &Ground::up(&args.xchat, options);
    let pair = |number: u64| {
        let names = ["alice", "bob"].map(|name| format!("{name}{number}"));
        let (alice, bob) = acquainted(ground, &names, watched.name);
        let listening = bob.listen();
        talk(&alice, &names[1], &listening, watched.messages, watched.every)
    };
    let mut delays: Vec<f64> = thread::scope(|scope| {
        let pairs: Vec<_> = (0..PAIRS).map(|number| scope.spawn(move || pair(number))).collect();
        pairs.into_iter().flat_map(|one| one.join().expect("they talk")).collect()
    });
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
        for n in 0..SIMULATED {
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

fn acquainted(ground: &Ground, names: &[String; 2], pace: &str) -> (Person, Person) {
    let [alice, bob] = [0, 1].map(|one| Person::at_pace(ground, &names[one], pace));
    bob.ok(&["accept", &alice.invite()]);
    alice.ok(&["contacts", "--wait", &names[1]]);
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
        thread::sleep(next.saturating_sub(start.elapsed()));
        let text = format!("{to}, {n}");
        assert!(from.send(to, &text), "it is taken");
        said.push(text);
    }
    let Direction { lost, twice, delays, .. } = at.account(&said);
    assert_eq!((lost, twice), (0, 0), "a message was lost or came twice");
    delays.into_iter().map(|delay| delay.as_secs_f64() * 1_000.0).collect()
}
