//! The slot budget of spec 8.8: what following a hundred conversations takes of a client's stream.

use std::time::Duration;

use xchat_simnet::{Links, Shape, Transparent, World};
use xchat_transport::Pace;

/// Of the stream of a client with a hundred conversations in which nothing is said, at its pace: registrations and
/// reads, once its first registrations are made.
fn shares(pace: Pace, period: Duration) -> (f64, f64) {
    let mut world = World::with_format(
        7,
        &Shape { pace: None, ..Shape::default() },
        Links::good(),
        &Transparent,
    );
    let client = world.add_talker(pace);
    for number in 0..100u64 {
        let friend = world.add_talker(pace);
        let since = world.now - Duration::from_secs(7_200 + 120 * number);
        world.acquaint([client, friend], since, true);
    }
    // The friends' devices are off: what nodes are asked for, one client asks for.
    world.rouse(client);
    world.run_for(period * 4 / 3);
    let before = world.totals();
    world.run_for(period);
    let done = world.totals().since(&before);
    let share = |count: u64| count as f64 / done.packets_up as f64;
    println!("{}: {done:?}", pace.name());
    assert_eq!(done.refused, 0);
    (share(done.registers), share(done.reads))
}

#[test]
fn a_hundred_conversations_take_less_than_a_third_of_the_stream() {
    for (pace, minutes) in [(Pace::Fast, 30), (Pace::Desk, 60), (Pace::Phone, 90)] {
        let (registrations, reads) = shares(pace, Duration::from_secs(60 * minutes));
        println!("{}: {registrations:.3} registrations, {reads:.3} reads", pace.name());
        assert!(registrations <= 0.30, "{}: {registrations}", pace.name());
        // The read set is full, and its rotation goes on.
        let least = 200.0
            / (Duration::from_secs(60 * minutes).as_secs_f64() / pace.mean_gap().as_secs_f64());
        assert!(registrations >= least, "{}: {registrations} of {least}", pace.name());
        // Looks take what nothing else needs, one slot in sixteen at most. Besides, the commit lane and the rejoin lanes of
        // each conversation are read every six hours: less than once an hour in all.
        let checks = 100.0 * pace.mean_gap().as_secs_f64() / 3_600.0;
        assert!(reads <= 1.1 / 16.0 + checks, "{}: {reads}", pace.name());
    }
}
