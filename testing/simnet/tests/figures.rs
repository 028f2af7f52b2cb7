//! What the simulator costs: a hundred clients for an hour in less than a minute of a core.

use xchat_simnet::cost::{Cost, peak_memory};
use xchat_simnet::seen::Blind;
use xchat_simnet::{Scenario, Transparent, play};

/// Three times what it takes here without optimisation for the last bit: machines differ.
const MOST_SECS: f64 = 90.0;

#[test]
fn a_hundred_clients_for_an_hour_take_less_than_a_minute_and_a_half_of_a_core() {
    let scenario = Scenario::from_toml(include_str!("../scenarios/desk-100.toml"));
    let scenario = scenario.expect("a scenario");
    let before = Cost::of_this_thread().expect("Linux counts");
    let report = play(&scenario, 1, &Transparent, Box::new(Blind));
    let secs = Cost::of_this_thread().expect("Linux counts").since(&before).secs();
    let memory = peak_memory().expect("Linux counts") / 1_000_000;
    println!("{report}\ncost          {secs} s of a core\nmemory        {memory} MB");

    // Each of a hundred clients sends a packet a second, and each is answered.
    let packets = report.totals.packets_up;
    assert!((350_000..370_000).contains(&packets), "{packets} packets");
    let answered = report.totals.packets_down as f64 / packets as f64;
    assert!(answered > 0.999, "{answered} of the packets were answered");
    assert!(report.said > 1_000 && report.unfinished < 20, "{} messages", report.said);
    assert_eq!((report.totals.over_bounds, report.totals.refused, report.lost), (0, 0, 0));
    assert!(secs < MOST_SECS, "{secs} s of a core");
    assert!(memory < 400, "{memory} MB");
}
