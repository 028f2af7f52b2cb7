//! Nodes that drop packets or send them twice: clients go round them, and nothing that was said is lost.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use xchat_simnet::seen::{Blind, Cast, Observer, Part};
use xchat_simnet::{Report, Scenario, Transparent, play};

const SCENARIO: &str = r#"
    [run]
    minutes = 45
    warm_up_minutes = 5

    [network]
    gateways = 2
    mixes_per_layer = 3
    stores = 6
    mix_delay_ms = 50.0
    hostile = 0.06
    dropping = 0.5
    doubling = 0.0

    [links]
    delay_ms = 5.0
    jitter_ms = 5.0
    client_delay_ms = 15.0
    client_jitter_ms = 5.0

    [clients]
    count = 20
    pace = "desk"
    join_within_s = 60

    [contacts]
    per_client = 1
    talking = 1.0

    [[talk]]
    share = 1.0
    sessions_per_hour = 3.0
    messages = { median = 10.0, sigma = 0.8 }
    gap_s = { median = 12.0, sigma = 1.0 }
    turn = 0.6
    letters = { median = 40.0, sigma = 0.9 }
"#;

const DROPS_HALF: [&str; 2] = ["dropping = 0.5", "doubling = 0.0"];
const DOUBLES_A_TENTH: [&str; 2] = ["dropping = 0.0", "doubling = 0.1"];

/// Learns which nodes are hostile, and what they are.
struct Parts(Rc<RefCell<Vec<(u16, Part)>>>);

impl Observer for Parts {
    fn cast(&mut self, cast: &Cast) {
        let places = cast.nodes.iter().zip(0..);
        let hostile =
            places.filter(|(node, _)| node.hostile).map(|(node, place)| (place, node.part));
        *self.0.borrow_mut() = hostile.collect();
    }
}

/// A run whose one hostile node is such a one, and does this; which it is.
fn run(what: [&str; 2], is_wanted: impl Fn(Part) -> bool) -> (u16, Report) {
    let scenario = SCENARIO.replace("dropping = 0.5", what[0]).replace("doubling = 0.0", what[1]);
    let short = scenario.replace("minutes = 45", "minutes = 5");
    let scenario = Scenario::from_toml(&scenario).expect("a scenario");
    let short = Scenario::from_toml(&short).expect("a scenario");
    for seed in 1..100 {
        let hostile = Rc::new(RefCell::new(Vec::new()));
        play(&short, seed, &Transparent, Box::new(Parts(Rc::clone(&hostile))));
        if let [(place, part)] = hostile.borrow()[..]
            && is_wanted(part)
        {
            return (place, play(&scenario, seed, &Transparent, Box::new(Blind)));
        }
    }
    unreachable!("one node of seventeen is drawn at random");
}

fn answered(report: &Report) -> f64 {
    report.totals.packets_down as f64 / report.totals.packets_up as f64
}

/// All but what was said at the very end.
fn assert_all_arrives(report: &Report) {
    let Report { said, arrived, .. } = *report;
    assert!(said > 100 && arrived * 100 >= said * 96, "{arrived} of {said} have arrived");
}

#[test]
fn clients_go_round_a_mix_that_drops_half() {
    let (_, report) = run(DROPS_HALF, |part| matches!(part, Part::Mix(_)));
    println!("{report}");
    assert!(report.dropped > 100, "{} dropped", report.dropped);
    // One mix of three, passed twice by each packet and its answer: who does not notice loses 31 %, and who takes as long each time
    // that it is back to notice that it drops still, 10 %.
    assert!(answered(&report) > 0.92, "{} answered", answered(&report));
    // What would be delivered over it does not wait until somebody looks.
    assert!(report.ninety_five.is_some_and(|most| most < Duration::from_secs(30)));
    assert_all_arrives(&report);
}

#[test]
fn clients_go_round_a_store_that_drops_half() {
    let (_, report) = run(DROPS_HALF, |part| part == Part::Store);
    println!("{report}");
    assert!(report.dropped > 100, "{} dropped", report.dropped);
    // One store of six, and the collector of one client in six: who does not notice loses an answer in twelve.
    assert!(answered(&report) > 0.97, "{} answered", answered(&report));
    assert_all_arrives(&report);
}

/// The next hops refuse what such a mix sends, and clients notice that.
#[test]
fn a_mix_that_sends_packets_twice_is_named_and_gone_round() {
    for layer in [1, 2, 3] {
        let (place, report) = run(DOUBLES_A_TENTH, |part| part == Part::Mix(layer));
        println!("{report}");
        assert!(report.doubled > 100, "{} doubled", report.doubled);
        assert_eq!(report.repeating, BTreeSet::from([place]));
        // A tenth of what it passes on, and what it does not any more while few of the next ones have noticed.
        assert!(answered(&report) > 0.93, "{} answered", answered(&report));
        assert_all_arrives(&report);
    }
}
