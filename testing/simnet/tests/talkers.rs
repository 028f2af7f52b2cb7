//! Talkers ask the network for what people with engines ask for: over one script, pair beside pair.

use std::time::Duration;

use xchat_base::random;
use xchat_simnet::{Acquaintance, DecoyLanes, Links, Past, Shape, Totals, Transparent, World};
use xchat_transport::Pace;

const MINUTE: Duration = Duration::from_secs(60);

/// Something to say: a pause before it, who says it, how long it is.
type Line = (Duration, usize, usize);

/// Alone in its box each: the other side's receipts, and the checks, are over before the next is said.
fn slow(lines: usize, world: &mut World) -> Vec<Line> {
    let rng = &mut world.rng;
    let line = |n: usize| {
        let pause = Duration::from_secs(30).mul_f64(0.8 + 0.4 * random::unit(rng));
        (pause, n % 3 % 2, 20 + n % 200)
    };
    (0..lines).map(line).collect()
}

fn shape() -> Shape {
    Shape { gateways: 2, mixes_per_layer: 2, stores: 5, ..Shape::default() }
}

/// Without decoys, whose rhythm is each client's own and would be counted too.
fn world(seed: u64) -> World {
    let mut world = World::with_format(seed, &shape(), Links::good(), &Transparent);
    world.set_decoy_lanes(DecoyLanes::None);
    world
}

/// So long after everything that two need to settle.
fn settled(world: &mut World) -> Totals {
    world.run_for(20 * MINUTE);
    world.totals()
}

/// After so many lines one of the two, and then the other one, ends and starts again.
const RESTARTED_EVERY: usize = 30;

/// Who starts again before this line.
fn restarted(line: usize) -> Option<usize> {
    (line > 0 && line.is_multiple_of(RESTARTED_EVERY)).then_some(line / RESTARTED_EVERY % 2)
}

fn people(seed: u64, lines: usize, restarts: bool) -> (Totals, u64) {
    let mut world = world(seed);
    let (alice, bob) = (world.add("alice"), world.add("bob"));
    let conversations = world.meet(alice, bob);
    let before = settled(&mut world);
    for (n, (pause, who, length)) in slow(lines, &mut world).into_iter().enumerate() {
        world.run_for(pause);
        if let Some(who) = restarted(n).filter(|_| restarts) {
            world.stop([alice, bob][who]);
            world.start([alice, bob][who]);
        }
        world.send([alice, bob][who], conversations[who], &"x".repeat(length));
    }
    let after = settled(&mut world);
    let epochs = world.people[alice]
        .events
        .iter()
        .filter(|event| matches!(event, xchat_engine::Event::EpochChanged { .. }))
        .count();
    (after.since(&before), epochs as u64)
}

fn talkers(seed: u64, lines: usize, restarts: bool) -> (Totals, u64) {
    let mut world = world(seed);
    let clients = [(); 2].map(|()| world.add_talker(Pace::Desk));
    let pair: Acquaintance = world.acquaint(clients, world.now, true);
    clients.iter().for_each(|client| world.rouse(*client));
    let before = settled(&mut world);
    for (n, (pause, who, length)) in slow(lines, &mut world).into_iter().enumerate() {
        world.run_for(pause);
        if let Some(who) = restarted(n).filter(|_| restarts) {
            world.restart(clients[who]);
        }
        world.say(&pair, who, length);
    }
    let after = settled(&mut world);
    assert_eq!(world.unfinished(), 0, "all has arrived, and is known to be stored");
    (after.since(&before), world.talker(clients[0]).epochs()[0] - 1)
}

#[test]
fn talkers_ask_the_network_for_what_people_ask_for() {
    asks_are_alike(false);
}

#[test]
fn talkers_who_start_again_ask_for_what_people_who_do_ask_for() {
    let restarts = asks_are_alike(true);
    // The collector that the last program asked is not this one's: what it was to be told is registered anew.
    let without = talkers(1, LINES, false).0;
    assert!(restarts.registers > without.registers + 30, "{} registrations", restarts.registers);
}

/// Of one in three each way: two renewals of keys.
const LINES: usize = 220;

/// What talkers have asked for.
fn asks_are_alike(restarts: bool) -> Totals {
    let (of_people, epochs) = people(1, LINES, restarts);
    let (of_talkers, talkers_epochs) = talkers(1, LINES, restarts);
    println!(
        "people  {of_people:?}, {epochs} epochs\ntalkers {of_talkers:?}, {talkers_epochs} epochs"
    );
    assert_eq!(epochs, talkers_epochs);
    assert!(epochs >= 2);
    // Each line and each receipt is a box, and so is each part of a commit. A write whose answer is late is sent
    // once more, so the counts are not equal to the last one.
    let close = |a: u64, b: u64, share: f64| a.abs_diff(b) as f64 <= share * a.max(b) as f64;
    assert!(of_people.writes > 2 * LINES as u64);
    assert!(close(of_people.writes, of_talkers.writes, 0.03), "writes");
    assert!(close(of_people.reads, of_talkers.reads, 0.03), "reads, checks and looks");
    assert!(close(of_people.registers, of_talkers.registers, 0.03), "registrations");
    assert!(close(of_people.collects, of_talkers.collects, 0.03), "collects");
    assert!(close(of_people.deliveries, of_talkers.deliveries, 0.03), "deliveries");
    of_talkers
}

/// In the midst of everything, key changes included, with decoys, and one more often than the other.
#[test]
fn talkers_who_start_again_at_any_moment_lose_nothing() {
    let mut world = World::with_format(3, &shape(), Links::good(), &Transparent);
    let clients = [(); 2].map(|()| world.add_talker(Pace::Fast));
    let pair = world.acquaint(clients, world.now, true);
    clients.iter().for_each(|client| world.rouse(*client));
    for n in 0..240 {
        world.pause(4 * Duration::from_secs(1));
        let who = usize::from(random::unit(&mut world.rng) < 0.4);
        world.say(&pair, who, 30);
        if n % 5 == 0 {
            world.pause(2 * Duration::from_secs(1));
            world.restart(clients[usize::from(n % 3 == 0)]);
        }
    }
    world.run_for(20 * MINUTE);
    assert_eq!(world.unfinished(), 0, "all has arrived, and is known to be stored");
    assert_eq!(world.heard, 240, "each once");
    let epochs = clients.map(|client| world.talker(client).epochs()[0]);
    assert!(epochs[0] == epochs[1] && epochs[0] > 1, "{epochs:?}");
}

/// Three hundred lines in pauses of twelve seconds, of either at random, the last of them just now.
fn past(world: &mut World) -> Past {
    let since = world.now - 60 * MINUTE;
    let said = (0u32..300).map(|n| {
        let who = usize::from(random::unit(&mut world.rng) < 0.5);
        (since + 12 * n * Duration::from_secs(1), who)
    });
    Past { since, before: Vec::new(), said: said.collect() }
}

#[test]
fn talkers_with_a_past_are_in_the_midst_of_an_epoch_and_go_on() {
    let mut world = World::with_format(5, &shape(), Links::good(), &Transparent);
    let clients = [(); 2].map(|()| world.add_talker(Pace::Fast));
    let past = past(&mut world);
    let pair = world.acquaint_again(clients, &past, true);
    let epochs = |world: &World| clients.map(|client| world.talker(client).epochs()[0]);
    let before = epochs(&world);
    println!("{before:?} after {} lines", past.said.len());
    assert!(before[0] == before[1] && before[0] > 3, "{before:?}");
    clients.iter().for_each(|client| world.rouse(*client));
    for n in 0..100 {
        world.pause(4 * Duration::from_secs(1));
        world.say(&pair, n % 2, 30);
    }
    world.run_for(20 * MINUTE);
    assert_eq!((world.unfinished(), world.heard), (0, 100), "each once");
    let after = epochs(&world);
    assert!(after[0] == after[1] && after[0] > before[0], "{after:?}");
}
