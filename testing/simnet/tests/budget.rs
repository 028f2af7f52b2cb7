//! What a hundred conversations take of a client's stream, and how soon it notices a message: the table of spec 8.8.

mod spec;

use xchat_simnet::{Budget, budget};
use xchat_transport::Pace;

/// Of the stream, at `phone` and faster, for all that has to be done for a hundred conversations in which nothing is said.
const MOST: f64 = 0.30;

/// Looks take what nothing else needs, one slot in sixteen at most.
const LOOKS: f64 = 1.0 / 16.0;

fn check(pace: Pace) {
    let Budget { registrations, reads, noticed: [half, most] } = budget(pace, 100);
    println!("{}: {registrations:.3} {reads:.3} {half:.1} {most:.1}", pace.name());
    assert!(reads > LOOKS * 0.8, "the read set is full, and more is looked at: {reads}");
    let needed = registrations + (reads - LOOKS).max(0.0);
    assert!(needed <= MOST, "{}: {needed}", pace.name());

    let name = format!("`{}`, 100", pace.name());
    let row = spec::row("how soon it notices what is said", &name);
    let [of_registrations, of_reads, of_half, of_most] = row[..] else { unreachable!("four") };
    let near = |got: f64, wanted: f64, by: f64, what: &str| {
        let off = got / wanted;
        assert!((1.0 / by..=by).contains(&off), "{name}: {what}: {got}, not {wanted}");
    };
    near(100.0 * registrations, of_registrations, 1.1, "registrations");
    near(100.0 * reads, of_reads, 1.2, "reads");
    // Twenty of them: a median of so few is off by a third now and then.
    near(half, of_half, 1.4, "half are noticed");
    near(most, of_most, 2.0, "most are noticed");
}

#[test]
fn at_desk_a_hundred_conversations_take_what_the_table_says() {
    check(Pace::Desk);
}

#[test]
fn at_phone_a_hundred_conversations_take_what_the_table_says() {
    check(Pace::Phone);
}
