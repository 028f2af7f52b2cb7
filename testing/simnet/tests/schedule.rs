//! What may be left out changes nothing: real and transparent packets give one schedule.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use xchat_simnet::seen::{
    Asked, Blind, Inside, Insight, Kind, Observer, Online, Party, Said, Seen,
};
use xchat_simnet::{Scenario, Transparent, play};
use xchat_sphinx::{PacketFormat, Sphinx};

/// Keeps everything.
#[derive(Default)]
struct All {
    seen: Vec<Seen>,
    inside: Vec<Insight>,
    said: Vec<Said>,
    online: Vec<Online>,
}

impl Observer for All {
    fn seen(&mut self, seen: &Seen) {
        self.seen.push(*seen);
    }

    fn inside(&mut self, insight: &Insight) {
        self.inside.push(*insight);
    }

    fn said(&mut self, said: &Said) {
        self.said.push(*said);
    }

    fn online(&mut self, online: &Online) {
        self.online.push(*online);
    }
}

fn scenario(changes: &[(&str, &str)]) -> Scenario {
    let mut text = include_str!("../scenarios/desk-100.toml").to_owned();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text = text.replace(from, to);
    }
    Scenario::from_toml(&text).expect("a scenario")
}

fn few() -> Scenario {
    scenario(&[
        ("minutes = 60.0", "minutes = 4.0"),
        ("warm_up_minutes = 5.0", "warm_up_minutes = 0.5"),
        ("count = 100", "count = 12"),
        ("join_within_s = 60.0", "join_within_s = 10.0"),
        ("mix_delay_ms = 50.0", "mix_delay_ms = 50.0\nhostile = 0.5"),
        ("client_delay_ms = 15.0", "client_delay_ms = 15.0\nloss = 0.02"),
        ("talking = 0.5", "talking = 1.0"),
        ("sessions_per_hour = 2.0", "sessions_per_hour = 60.0"),
    ])
}

fn run(scenario: &Scenario, seed: u64, format: &'static dyn PacketFormat) -> All {
    let all = Rc::new(RefCell::new(All::default()));
    play(scenario, seed, format, Box::new(Rc::clone(&all)));
    Rc::into_inner(all).expect("the world is gone").into_inner()
}

#[test]
fn real_and_transparent_packets_give_one_schedule_on_every_link_and_in_every_node() {
    let scenario = few();
    let (real, transparent) = (run(&scenario, 1, &Sphinx), run(&scenario, 1, &Transparent));
    let different = real.seen.iter().zip(&transparent.seen).position(|(a, b)| a != b);
    assert_eq!(different, None, "of {} and {}", real.seen.len(), transparent.seen.len());
    assert_eq!(real.seen.len(), transparent.seen.len());
    assert_eq!(real.inside, transparent.inside);
    assert_eq!(real.said, transparent.said);
    assert_eq!(real.online, transparent.online);

    // And it is a schedule of something.
    assert!(real.seen.len() > 20_000, "{} frames", real.seen.len());
    assert!(real.said.iter().filter(|said| said.arrived.is_some()).count() > 50);
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    real.seen.iter().for_each(|seen| *kinds.entry(seen.kind).or_default() += 1);
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    let of = |is: fn(&Inside) -> bool| real.inside.iter().any(|insight| is(&insight.inside));
    assert!(of(|inside| matches!(inside, Inside::Mixed { .. })));
    assert!(of(|inside| matches!(inside, Inside::Answer { .. })));
    assert!(of(|inside| matches!(inside, Inside::Delivery { .. })));
    assert!(of(|inside| matches!(inside, Inside::Request { asked: Asked::Write { .. }, .. })));
    assert!(of(|inside| {
        matches!(inside, Inside::Request { asked: Asked::Collect { item: true, .. }, .. })
    }));
    assert_ne!(run(&scenario, 2, &Transparent).seen, transparent.seen, "another seed, another run");
}

/// What a gateway and an internet provider see of a client is its own clock, whoever talks: the frames that leave
/// the clients, and when, are the same to the microsecond.
#[test]
fn what_leaves_the_clients_is_the_same_whether_they_talk_or_not() {
    let quiet = [("talking = 0.5", "talking = 0.0")];
    let changes = [
        ("minutes = 60.0", "minutes = 10.0"),
        ("count = 100", "count = 20"),
        ("warm_up_minutes = 5.0", "warm_up_minutes = 1.0"),
        ("sessions_per_hour = 2.0", "sessions_per_hour = 60.0"),
    ];
    let talking = run(&scenario(&changes), 3, &Transparent);
    let silent = run(&scenario(&[&changes[..], &quiet].concat()), 3, &Transparent);
    assert!(talking.said.len() > 100 && silent.said.is_empty());
    let up = |all: &All| -> Vec<Seen> {
        let from_client = |seen: &&Seen| matches!(seen.from, Party::Client(_));
        all.seen.iter().filter(from_client).copied().collect()
    };
    assert_eq!(up(&talking), up(&silent));
    let inner = |all: &All| all.seen.iter().filter(|seen| seen.kind == Kind::Replica).count();
    assert!(inner(&talking) > inner(&silent), "the stores do see something");
}

/// Spec 8.8 has 0.97 s and 2.6 s, of sixty messages each; 1,000 tell it to a tenth.
#[test]
fn a_message_takes_as_long_as_it_takes_people() {
    let near = "delay_ms = 5.0\njitter_ms = 5.0\nclient_delay_ms = 15.0\nclient_jitter_ms = 5.0";
    let good = "delay_ms = 1.0\njitter_ms = 1.0\nclient_delay_ms = 1.0\nclient_jitter_ms = 0.0";
    for (pace, often, minutes, clients, median) in
        [("fast", 240, 40, 10, 0.97), ("desk", 60, 90, 20, 2.6)]
    {
        let scenario = scenario(&[
            ("minutes = 60.0", &format!("minutes = {minutes}.0")),
            ("\"desk\"", &format!("\"{pace}\"")),
            (near, good),
            ("count = 100", &format!("count = {clients}")),
            ("per_client = 3", "per_client = 1"),
            ("talking = 0.5", "talking = 1.0"),
            ("sessions_per_hour = 2.0", &format!("sessions_per_hour = {often}.0")),
            ("median = 10.0, sigma = 0.8", "median = 1.0, sigma = 0.0"),
        ]);
        let report = play(&scenario, 4, &Transparent, Box::new(Blind));
        println!("{pace}\n{report}\n");
        assert!(report.arrived > 600, "{} messages", report.arrived);
        assert_eq!((report.totals.over_bounds, report.lost), (0, 0));
        let took = report.median.map_or(0.0, |took| took.as_secs_f64());
        assert!((took / median - 1.0).abs() < 0.12, "{pace}: {took} s, not {median} s");
    }
}
