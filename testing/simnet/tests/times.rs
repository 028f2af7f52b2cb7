//! How long messages take at each pace, where the time goes, and whether people are told so.

mod spec;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use xchat_base::random;
use xchat_directory::Parameters;
use xchat_simnet::steps::{StepWatch, Steps};
use xchat_simnet::{Links, Shape, Transparent, World};
use xchat_transport::{Pace, usual_message_time};

const DELAY: Duration = Duration::from_millis(50);

/// Slots between two messages of somebody who says something now and then, on average.
const APART: f64 = 60.0;

/// What messages took, and their steps, where they came by a delivery: 120 of each of some people who say one after the other. A few
/// are not enough: what decoys that are drawn for them do decides a fifth of it.
fn taken(pace: Pace, delay: Duration) -> Vec<(Duration, Option<Steps>)> {
    let pairs = match pace {
        Pace::Fast | Pace::Desk => 8,
        Pace::Phone | Pace::Thrift => 4,
    };
    let mut all: Vec<_> = (1..=pairs).flat_map(|seed| said(pace, delay, seed)).collect();
    all.sort_by_key(|(taken, _)| *taken);
    all
}

fn said(pace: Pace, delay: Duration, seed: u64) -> Vec<(Duration, Option<Steps>)> {
    let shape = Shape { pace: None, mix_delay: delay, ..Shape::default() };
    let mut world = World::with_format(seed, &shape, Links::good(), &Transparent);
    let [writer, reader] = [0, 1].map(|_| world.add_talker(pace));
    let pair = world.acquaint([writer, reader], world.now, true);
    let watch = Rc::new(RefCell::new(StepWatch::new(writer)));
    world.observe(Box::new(Rc::clone(&watch)), &all_nodes(&world));
    [writer, reader].iter().for_each(|client| world.rouse(*client));
    world.run_for(pace.mean_gap() * 900);
    for _ in 0..120 {
        watch.borrow_mut().about_to_say(world.next_number());
        world.say(&pair, 0, 40);
        let pause = pace.mean_gap().mul_f64(APART * (0.5 + random::unit(&mut world.rng)));
        world.run_for(pause);
    }
    world.run_for(pace.mean_gap() * 600);
    let taken = watch.borrow().taken();
    assert_eq!(taken.len(), 120, "all have arrived");
    taken
}

fn all_nodes(world: &World) -> BTreeSet<u16> {
    (0..).zip(world.cast().nodes).map(|(place, _)| place).collect()
}

/// The value at this share of all, the smallest first.
fn at(taken: &[(Duration, Option<Steps>)], share: f64) -> f64 {
    taken[(taken.len() as f64 * share) as usize].0.as_secs_f64()
}

fn assert_near(got: f64, wanted: f64, what: &str) {
    assert!((0.85..=1.15).contains(&(got / wanted)), "{what}: {got} s, not {wanted} s");
}

/// What people are told, and what the specification says, is what happens.
fn check(pace: Pace) {
    let all = taken(pace, DELAY);
    // A few are told of by nothing, and wait for a look: the slowest tenth is left out of where the time of the others goes.
    let most = all[all.len() * 9 / 10].0;
    let prompt: Vec<Steps> =
        all.iter().filter(|(taken, _)| *taken <= most).filter_map(|(_, steps)| *steps).collect();
    assert!(prompt.len() * 10 >= all.len() * 8, "only {} of {}", prompt.len(), all.len());
    let mean = |of: usize| {
        prompt.iter().map(|steps| steps.all()[of].as_secs_f64()).sum::<f64>() / prompt.len() as f64
    };
    let steps: Vec<f64> = (0..6).map(mean).collect();
    println!("{}: {steps:.2?}, {:.2} {:.1}", pace.name(), at(&all, 0.5), at(&all, 0.95));
    let name = format!("`{}`", pace.name());
    let written = spec::row("Where the time of a message goes", &name);
    let [write, way_in, stores, way_out, collect, way_back, median] = written[..] else {
        unreachable!("six steps and the median")
    };
    assert_near(steps[0], write, "until it leaves");
    assert_near(steps[1], way_in, "to the store");
    assert!(steps[2] < 0.02 && stores < 0.02, "in the stores: {}", steps[2]);
    assert_near(steps[3], way_out, "to the collector");
    assert_near(steps[4], collect, "until a collect comes");
    assert_near(steps[5], way_back, "to the reader");
    assert_near(at(&all, 0.5), median, "the median");
    let parameters = Parameters { mix_delay: DELAY, ..Parameters::default() };
    let told = usual_message_time(pace, &parameters).as_secs_f64();
    assert_near(told, at(&all, 0.5), "what people are told");
}

#[test]
fn at_fast_a_message_takes_what_people_are_told() {
    check(Pace::Fast);
}

#[test]
fn at_desk_a_message_takes_what_people_are_told() {
    check(Pace::Desk);
}

#[test]
fn at_phone_a_message_takes_what_people_are_told() {
    check(Pace::Phone);
}

#[test]
fn at_thrift_a_message_takes_what_people_are_told() {
    check(Pace::Thrift);
}

/// Where mixes hold packets for long, nine of them are what a message takes.
#[test]
fn a_second_at_each_mix_is_nine_for_a_message() {
    let delay = Duration::from_secs(1);
    let median = at(&taken(Pace::Desk, delay), 0.5);
    let parameters = Parameters { mix_delay: delay, ..Parameters::default() };
    let told = usual_message_time(Pace::Desk, &parameters).as_secs_f64();
    println!("a second at each mix: {median} s");
    assert_near(told, median, "what people are told");
}
