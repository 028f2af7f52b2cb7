//! Hop keys and documents that are renewed while people talk: nothing is lost by it, and nothing waits for it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use xchat_simnet::seen::{Inside, Insight, Kind, Observer, Party, Seen};
use xchat_simnet::{Links, Renewal, Report, Scenario, Shape, Transparent, World, play};
use xchat_transport::Pace;

/// Half a day, with a new key of each node every four hours and a new document every two.
const SCENARIO: &str = r#"
    [run]
    minutes = 800
    warm_up_minutes = 5

    [network]
    gateways = 2
    mixes_per_layer = 1
    stores = 4
    mix_delay_ms = 50.0
    hostile = 1.0
    new_hop_keys_every_h = 4

    [links]
    delay_ms = 5.0
    jitter_ms = 5.0
    client_delay_ms = 15.0
    client_jitter_ms = 5.0

    [clients]
    count = 2
    pace = "phone"
    join_within_s = 60

    [contacts]
    per_client = 1
    talking = 1.0

    [[talk]]
    share = 1.0
    sessions_per_hour = 2.0
    messages = { median = 8.0, sigma = 0.6 }
    gap_s = { median = 20.0, sigma = 1.0 }
    turn = 0.6
    letters = { median = 40.0, sigma = 0.9 }
"#;

const HOUR: u64 = 3_600_000_000;

/// Counts, by the hour.
#[derive(Default)]
struct Hours {
    begin: Option<u64>,
    /// Packets of clients that gateways have seen.
    packets: [u64; 14],
    /// What stores were asked for, and what mixes have passed on, as far as one who has all their keys can tell.
    requests: [u64; 14],
    mixed: [u64; 14],
    /// Documents that gateways have sent to clients.
    documents: u64,
}

struct Counting(Rc<RefCell<Hours>>);

impl Hours {
    fn hour(&mut self, at_micros: u64) -> usize {
        ((at_micros - *self.begin.get_or_insert(at_micros)) / HOUR) as usize
    }
}

impl Observer for Counting {
    fn seen(&mut self, seen: &Seen) {
        let mut hours = self.0.borrow_mut();
        let hour = hours.hour(seen.at_micros);
        match (seen.kind, seen.from, seen.to) {
            (Kind::Client, Party::Client(_), _) => hours.packets[hour] += 1,
            (Kind::Control, _, Party::Client(_)) if seen.bytes > 1_000 => hours.documents += 1,
            _ => {}
        }
    }

    fn inside(&mut self, insight: &Insight) {
        let mut hours = self.0.borrow_mut();
        let hour = hours.hour(insight.at_micros);
        match insight.inside {
            Inside::Request { .. } => hours.requests[hour] += 1,
            Inside::Mixed { .. } => hours.mixed[hour] += 1,
            _ => {}
        }
    }
}

fn run(text: &str) -> (Report, Hours) {
    let scenario = Scenario::from_toml(text).expect("a scenario");
    let hours = Rc::new(RefCell::new(Hours::default()));
    let report = play(&scenario, 1, &Transparent, Box::new(Counting(Rc::clone(&hours))));
    (report, hours.take())
}

#[test]
fn nothing_is_lost_and_nothing_waits_when_keys_are_renewed() {
    let (report, hours) = run(SCENARIO);
    println!("{report}\n{:?}\n{:?}", hours.packets, hours.requests);
    let Report { said, arrived, totals, .. } = report;
    assert!(said > 100 && arrived + 3 >= said, "{arrived} of {said} have arrived");
    // Nothing comes under a key that its node has not, or has no more.
    assert_eq!((totals.dropped, totals.over_bounds, totals.refused), (0, 0, 0));
    assert_eq!(totals.items_dropped, 0);
    assert!(totals.packets_down * 1_000 > totals.packets_up * 998, "all are answered");
    // The keys change at 4, 8 and 12 h. No hour has fewer packets than another beyond chance, nor fewer that their stores can open.
    for counts in [&hours.packets, &hours.requests, &hours.mixed] {
        let counts = &counts[1..13];
        let mean = counts.iter().sum::<u64>() as f64 / 12.0;
        let spread = 5.0 * mean.sqrt();
        assert!(counts.iter().all(|count| (*count as f64 - mean).abs() < spread), "{counts:?}");
    }

    let (before, _) = run(&SCENARIO.replace("new_hop_keys_every_h = 4", ""));
    let late = |report: &Report| report.ninety_five.expect("messages have arrived").as_secs_f64();
    assert!(late(&report) < 1.3 * late(&before), "{} s, {} s", late(&report), late(&before));
    // Each of the two has asked for each of the six documents, and got it once.
    assert_eq!(hours.documents, 2 * 6);
}

/// Off for a while, and for a dozen times as long as from one hop key to the next: no key that they know opens anything any more, and their
/// documents are over. The only mix of a layer and all stores were off too.
fn come_back(hours_off: u32, starts_again: bool) {
    let hour = Duration::from_secs(3600);
    let renewal = Some(Renewal { hop_keys_every: 4 * hour });
    let shape = Shape { renewal, ..Shape::default() };
    let mut world = World::with_format(1, &shape, Links::good(), &Transparent);
    let clients = [(); 2].map(|()| world.add_talker(Pace::Desk));
    let pair = world.acquaint(clients, world.now, true);
    let talk = |world: &mut World| {
        for line in 0..10 {
            world.run_for(hour / 120);
            world.say(&pair, line % 2, 30);
        }
        world.run_until("all has arrived", hour / 4, |world| world.unfinished() == 0);
    };
    clients.iter().for_each(|client| world.rouse(*client));
    talk(&mut world);
    // Said, and not gone when the device goes off.
    world.say(&pair, 0, 30);
    clients.iter().for_each(|client| world.sleep(*client));
    let nodes: Vec<_> = world.stores().into_iter().chain([world.mixes()[1]]).collect();
    nodes.iter().for_each(|node| world.set_down(*node, true));
    world.run_for(hours_off * hour);
    nodes.iter().for_each(|node| world.set_down(*node, false));
    let before = world.totals();
    for client in clients {
        world.rouse(client);
        if starts_again {
            world.restart(client);
        }
    }
    talk(&mut world);
    assert_eq!(world.heard, 21, "each once");
    assert_eq!(world.totals().since(&before).dropped, 0, "{hours_off} h: all that comes opens");
    // Documents follow one another every two hours.
    let epoch = u64::from(1 + hours_off / 2);
    for client in clients {
        assert_eq!(world.talker(client).document_epoch(), Some(epoch), "{hours_off} h");
    }
}

#[test]
fn devices_and_nodes_that_were_off_come_back() {
    for hours_off in [5, 9, 49] {
        come_back(hours_off, false);
    }
}

#[test]
fn programs_that_start_after_days_come_back() {
    come_back(49, true);
}

#[test]
fn keys_shorter_than_what_is_made_for_them_are_refused() {
    let text = SCENARIO.replace("new_hop_keys_every_h = 4", "new_hop_keys_every_h = 3");
    let why = Scenario::from_toml(&text).expect_err("registrations live longer").to_string();
    assert!(why.contains("new_hop_keys_every_h"), "{why}");
}
