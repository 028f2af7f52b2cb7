//! Nodes that drop packets: clients go round them, and nothing that was said is lost.

use std::cell::RefCell;
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

/// Learns what the hostile nodes are.
struct Parts(Rc<RefCell<Vec<Part>>>);

impl Observer for Parts {
    fn cast(&mut self, cast: &Cast) {
        let hostile = cast.nodes.iter().filter(|node| node.hostile).map(|node| node.part);
        *self.0.borrow_mut() = hostile.collect();
    }
}

/// A run whose one hostile node is such a one.
fn run(is_wanted: impl Fn(Part) -> bool) -> Report {
    let scenario = Scenario::from_toml(SCENARIO).expect("a scenario");
    let short = SCENARIO.replace("minutes = 45", "minutes = 5");
    let short = Scenario::from_toml(&short).expect("a scenario");
    for seed in 1..100 {
        let hostile = Rc::new(RefCell::new(Vec::new()));
        play(&short, seed, &Transparent, Box::new(Parts(Rc::clone(&hostile))));
        if let [part] = hostile.borrow()[..]
            && is_wanted(part)
        {
            return play(&scenario, seed, &Transparent, Box::new(Blind));
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
    let report = run(|part| matches!(part, Part::Mix(_)));
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
fn nothing_is_lost_by_a_store_that_drops_half() {
    let report = run(|part| part == Part::Store);
    println!("{report}");
    assert!(report.dropped > 100, "{} dropped", report.dropped);
    assert_all_arrives(&report);
}
