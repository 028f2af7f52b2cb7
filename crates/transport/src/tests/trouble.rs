//! Nodes that lie, die or fall silent.

use xchat_base::Wire;
use xchat_directory::Role;

use super::fixture::{Fixture, boxes};
use super::liar::{Liar, Lie};
use super::network::{Core, Network};
use super::person::{Person, follow, read, secs, write};
use crate::GatewayState;

#[test]
fn forged_answers_are_refused_and_counted_and_another_replica_answers() {
    for lie in [Lie::OtherKey, Lie::Unsigned, Lie::OtherBox, Lie::ForgedBox, Lie::Rubbish] {
        let fixture = Fixture::new(1);
        let liar = fixture.stores()[0];
        let mut net = Network::new(fixture, 1);
        let core = Core::Liar(Liar::new(&net.fixture, &liar, lie));
        net.cores.insert(liar, core);
        let person = net.join(1);
        let (own, others) = (boxes(1, 12), boxes(2, 12));
        for (own, other) in own.iter().zip(&others) {
            net.tell(person, write(own));
            net.tell(person, read(other.id()));
            net.tell(person, follow(own.id()));
        }
        let done = |net: &Network| {
            let someone = &net.people[person];
            let (written, reads) = (someone.written().len(), someone.reads().len());
            (written, reads, someone.arrived().len()) == (12, 12, 12)
        };
        assert!(net.run_until(secs(120), done), "{lie:?}");
        let status = net.people[person].transport.status(net.now);
        assert!(status.refused_answers > 0, "{lie:?}");
    }
}

#[test]
fn a_dead_store_delays_operations_and_is_avoided_afterwards() {
    let mut net = Network::new(Fixture::new(1).transparent(), 2);
    let person = net.join(1);
    net.run_for(secs(5));
    let dead = net.fixture.stores()[1];
    net.down.insert(dead);
    for boxed in boxes(1, 20) {
        net.tell(person, write(&boxed));
    }
    assert!(net.run_until(secs(60), |net| net.people[person].written().len() == 20));
    assert_eq!(net.people[person].transport.status(net.now).avoided_stores, 1);
    // What comes now does not wait for the dead one.
    let started = net.now;
    let late = boxes(2, 20);
    for boxed in &late {
        net.tell(person, write(boxed));
    }
    assert!(net.run_until(secs(60), |net| net.people[person].written().len() == 40));
    let within_3s = late
        .iter()
        .filter_map(|boxed| net.people[person].written_at(boxed.id()))
        .filter(|at| at.since(started) < secs(3))
        .count();
    assert!(within_3s >= 18, "{within_3s} of 20");
}

#[test]
fn the_second_gateway_is_used_when_the_first_does_not_answer() {
    let mut net = Network::new(Fixture::new(1).transparent(), 3);
    let person = net.join(1);
    net.run_for(secs(3));
    let (first, _) = net.people[person].link.expect("online");
    // Its link stays up; nothing comes back.
    net.down.insert(first);
    assert!(net.run_until(secs(180), |net| {
        net.people[person].link.is_some_and(|(gateway, _)| gateway != first)
    }));
    net.tell(person, write(&boxes(1, 1)[0]));
    assert!(net.run_until(secs(20), |net| net.people[person].written().len() == 1));
    assert_eq!(net.people[person].tried[0], first);
}

#[test]
fn a_gateway_that_sends_rubbish_in_place_of_answers_is_left_for_the_other() {
    let mut net = Network::new(Fixture::new(1), 7);
    let person = net.join(1);
    net.run_for(secs(3));
    let (first, _) = net.people[person].link.expect("online");
    net.keeping.insert(first);
    let rubbish =
        xchat_sphinx::Packet::from_bytes(&[7; xchat_sphinx::PACKET_LEN]).expect("as long");
    let rubbish = xchat_sphinx::GatewayFrame::Packet(rubbish).to_wire();
    let elsewhere = |net: &Network| net.people[person].link.is_some_and(|(at, _)| at != first);
    for _ in 0..45 {
        net.tell(person, crate::Input::Frame(rubbish.clone()));
        net.run_for(secs(1));
    }
    assert!(elsewhere(&net), "a minute of rubbish, and still there");
    net.tell(person, write(&boxes(1, 1)[0]));
    assert!(net.run_until(secs(20), |net| net.people[person].written().len() == 1));
}

#[test]
fn a_gateway_that_welcomes_and_hangs_up_does_not_keep_a_client_to_itself() {
    let mut net = Network::new(Fixture::new(1).transparent(), 8);
    let person = net.join(1);
    let first = net.people[person].tried[0];
    net.keeping.insert(first);
    for _ in 0..4 {
        net.run_for(secs(4));
        if net.people[person].link.is_some_and(|(at, _)| at == first) {
            net.cut(person);
        }
    }
    assert!(net.people[person].link.is_some_and(|(at, _)| at != first));
    assert_eq!(net.people[person].tried.iter().filter(|tried| **tried == first).count(), 1);
    net.tell(person, write(&boxes(1, 1)[0]));
    assert!(net.run_until(secs(20), |net| net.people[person].written().len() == 1));
}

#[test]
fn gateways_are_pinned_across_runs() {
    let mut net = Network::new(Fixture::new(1).transparent(), 4);
    let person = net.join(1);
    net.run_for(secs(3));
    let stored = net.people[person].stored.clone().expect("kept");
    let first = net.people[person].tried[0];
    for seed in 10..20 {
        let again = Person::with(&net.fixture, net.now, seed, Some(&stored));
        let number = net.enter(again);
        assert_eq!(net.people[number].tried, [first]);
    }
    let rubbish = crate::Transport::new(
        net.fixture.root.clone(),
        net.fixture.sign(),
        crate::Pace::Desk,
        Some(&stored[..stored.len() - 1]),
        net.now,
        &mut super::fixture::rng(1),
    );
    assert!(rubbish.is_err(), "new gateways are not chosen behind a person's back");
}

#[test]
fn a_layer_that_drops_shows_in_the_loops() {
    let mut net = Network::new(Fixture::new(2).transparent(), 5);
    let person = net.join(1);
    net.run_for(secs(60));
    assert_eq!(net.people[person].transport.status(net.now).loop_loss, Some(0.0));
    // A whole layer: there is nobody to go round it by.
    for mix in net.fixture.all(|role| *role == Role::Mix { layer: 2 }) {
        net.dropping.insert(mix, 0.5);
    }
    net.run_for(secs(120));
    let status = net.people[person].transport.status(net.now);
    let loss = status.loop_loss.expect("many loops");
    assert!((0.2..0.8).contains(&loss), "half of the loops: {loss}");
    assert!(status.losing, "and a person is told");
    assert!(matches!(status.gateway, GatewayState::Online { .. }));
    // Nothing is stuck for it.
    net.tell(person, write(&boxes(1, 1)[0]));
    assert!(net.run_until(secs(60), |net| net.people[person].written().len() == 1));
}

#[test]
fn hostile_frames_do_no_harm() {
    let mut net = Network::new(Fixture::new(1), 6);
    let person = net.join(1);
    net.run_for(secs(3));
    for bytes in [vec![], vec![1], vec![0xff; 60], vec![1; 2_400], vec![2; 70_000]] {
        net.tell(person, crate::Input::Frame(bytes));
    }
    let link = xchat_sphinx::LinkKey::from_bytes([1; 32]);
    net.tell(person, crate::Input::Online { gateway: net.fixture.stores()[0], link, from: None });
    let proof = xchat_sphinx::Proof::from_numbers([[0; 4]; xchat_sphinx::work::SHARES]);
    net.tell(person, crate::Input::Solved(proof));
    net.tell(person, write(&boxes(1, 1)[0]));
    assert!(net.run_until(secs(20), |net| net.people[person].written().len() == 1));
    assert!(net.people[person].transport.status(net.now).refused_answers >= 4);
}

/// Half of what passes a layer goes through the dead one, and three packets of four meet it on one way or the other.
#[test]
fn a_dead_mix_is_avoided_and_tried_again_when_it_is_back() {
    let mut net = Network::new(Fixture::new(2).transparent(), 21);
    let person = net.join(1);
    net.run_for(secs(20));
    let dead = net.fixture.all(|role| *role == Role::Mix { layer: 2 })[0];
    net.down.insert(dead);
    let avoids = |net: &Network| net.people[person].transport.status(net.now).avoided_mixes > 0;
    assert!(net.run_until(secs(60), avoids), "not noticed");
    assert_eq!(
        net.people[person].transport.avoided_mixes(net.now),
        [dead],
        "and nobody else is blamed"
    );
    // What is under way is lost still; then nothing is.
    net.run_for(secs(5));
    for (lane, boxed) in boxes(1, 40).iter().enumerate() {
        net.tell(person, write(boxed));
        net.run_for(secs(1));
        let written = net.people[person].written().len();
        assert!(written + 3 > lane, "{written} of {lane} written");
    }
    net.down.remove(&dead);
    let at_peace = |net: &Network| net.people[person].transport.status(net.now).avoided_mixes == 0;
    assert!(net.run_until(secs(3_700), at_peace), "never tried again");
    net.run_for(secs(120));
    assert!(at_peace(&net), "and it is good now");
}

/// Three packets of four are lost at once, while few have passed the others: chance makes them differ by much.
#[test]
fn with_a_mix_that_dies_early_no_other_is_blamed() {
    for seed in 30..38 {
        let mut net = Network::new(Fixture::new(2).transparent(), seed);
        let person = net.join(1);
        net.run_for(secs(2 * (seed % 8)));
        let dead = net.fixture.all(|role| *role == Role::Mix { layer: 1 })[0];
        net.down.insert(dead);
        for _ in 0..25 {
            net.run_for(secs(1));
            let avoided = net.people[person].transport.avoided_mixes(net.now);
            assert!([&[][..], &[dead]].contains(&&avoided[..]), "seed {seed}");
        }
        assert_eq!(net.people[person].transport.avoided_mixes(net.now), [dead], "seed {seed}");
    }
}

/// Everything begins to lose packets while a mix is gone round: it comes back to others who have good times behind them.
#[test]
fn a_mix_that_is_back_is_compared_by_what_happens_from_then_on() {
    for (seed, was) in [(50, 0.6), (51, 0.6), (52, 1.0)] {
        let mut net = Network::new(Fixture::new(3).transparent(), seed);
        let person = net.join(1);
        let dropper = net.fixture.all(|role| *role == Role::Mix { layer: 2 })[0];
        net.dropping.insert(dropper, was);
        let avoided = |net: &Network| net.people[person].transport.avoided_mixes(net.now);
        assert!(net.run_until(secs(120), |net| avoided(net) == [dropper]), "not noticed");
        net.dropping.clear();
        net.run_for(secs(50));
        net.loss = 0.03;
        net.run_until(secs(60), |net| avoided(net).is_empty());
        let mut again = 0;
        for _ in 0..16 {
            net.run_for(secs(5));
            again += avoided(&net).len();
        }
        assert_eq!(again, 0, "seed {seed}, was {was}");
    }
}

#[test]
fn a_mix_that_drops_a_third_is_found_out_by_many_packets() {
    let mut net = Network::new(Fixture::new(3).transparent(), 22);
    let person = net.join(1);
    let dropper = net.fixture.all(|role| *role == Role::Mix { layer: 3 })[1];
    net.dropping.insert(dropper, 0.33);
    let avoids = |net: &Network| net.people[person].transport.status(net.now).avoided_mixes > 0;
    assert!(net.run_until(secs(120), avoids), "not noticed");
    assert_eq!(net.people[person].transport.avoided_mixes(net.now), [dropper]);
}

/// With a loss that all links share nobody is to blame.
#[test]
fn losses_that_meet_all_alike_are_no_mixs_fault() {
    let mut net = Network::new(Fixture::new(3).transparent(), 23);
    net.loss = 0.02;
    let person = net.join(1);
    for _ in 0..60 {
        net.run_for(secs(10));
        assert_eq!(net.people[person].transport.status(net.now).avoided_mixes, 0);
    }
}

/// Too many answers come for it to be silent, and too few for it to be well.
#[test]
fn a_store_that_leaves_out_a_third_is_found_out_and_asked_only_where_there_is_no_other() {
    let mut net = Network::new(Fixture::new(3).transparent(), 40);
    let person = net.join(1);
    net.run_for(secs(10));
    let dropper = store_without_collector(&net, person);
    net.dropping.insert(dropper, 0.33);
    let mut lane = boxes(1, 600).into_iter();
    let found = |net: &Network| net.people[person].transport.avoided_stores(net.now) == [dropper];
    while !found(&net) {
        net.tell(person, write(&lane.next().expect("not noticed")));
        net.run_for(secs(1));
    }
    assert_eq!(net.people[person].transport.status(net.now).avoided_stores, 1);
    assert_eq!(net.people[person].transport.registered_over(&dropper, net.now).1, 0);
    // What is written now does not meet it: nothing has to be said twice.
    net.run_for(secs(5));
    let boxes = boxes(2, 30);
    let (before, started) = (net.people[person].written().len(), net.now);
    for boxed in &boxes {
        net.tell(person, write(boxed));
        net.run_for(secs(1));
    }
    assert!(net.now.since(started) < secs(60), "while it is avoided");
    assert!(net.people[person].written().len() >= before + 28);
}

/// The most part of what is asked, at one store; how the others answer meanwhile is what it is compared with.
#[test]
fn a_collector_that_leaves_out_a_third_is_replaced() {
    let mut net = Network::new(Fixture::new(3).transparent(), 41);
    let person = net.join(1);
    net.run_for(secs(10));
    let collector = net.people[person].transport.collector_store().expect("one is open");
    net.dropping.insert(collector, 0.33);
    let lanes = boxes(1, 40);
    for boxed in &lanes {
        net.tell(person, follow(boxed.id()));
    }
    let is_left = |net: &Network| {
        net.people[person].transport.collector_store().is_some_and(|store| store != collector)
    };
    assert!(net.run_until(secs(600), is_left), "not noticed");
}

/// With a loss that all links share, and while nothing comes through at all, no store is to blame.
#[test]
fn losses_that_meet_all_alike_are_no_stores_fault() {
    let mut net = Network::new(Fixture::new(3).transparent(), 42);
    net.loss = 0.02;
    let person = net.join(1);
    net.run_for(secs(10));
    let collector = net.people[person].transport.collector_store();
    for minute in 0..20 {
        net.tell(person, write(&boxes(minute, 1)[0]));
        net.run_for(secs(60));
        assert!(net.people[person].transport.avoided_stores(net.now).is_empty(), "minute {minute}");
        if minute == 9 {
            let now = net.people[person].transport.collector_store();
            assert_eq!(now, collector, "nor is the collector");
        }
        if minute >= 9 {
            let (gateway, _) = net.people[person].link.expect("online");
            net.down.insert(gateway);
            net.run_for(secs(20));
            net.down.remove(&gateway);
        }
    }
}

/// Where two packets in five have no answer, three in a row are nothing.
#[test]
fn where_many_packets_are_lost_no_store_is_silent() {
    let mut wrongly = 0;
    for seed in 43..47 {
        let mut net = Network::new(Fixture::new(3).transparent(), seed);
        net.loss = 0.05;
        let person = net.join(1);
        // Until enough loops have been lost to know.
        net.run_for(secs(120));
        for minute in 0..30 {
            net.tell(person, write(&boxes(minute, 1)[0]));
            net.run_for(secs(60));
            wrongly += net.people[person].transport.status(net.now).avoided_stores;
        }
    }
    // With three in a row there would be some 130.
    assert!(wrongly <= 24, "{wrongly} in 120 minutes");
}

/// Alone no store can decide about a box: that it lets its askers wait is not its fault.
#[test]
fn a_store_whose_two_companions_are_dead_is_not_to_blame() {
    for seed in 60..63 {
        let mut net = Network::new(Fixture::new(3).transparent(), seed);
        let person = net.join(1);
        net.run_for(secs(10));
        let collector = net.people[person].transport.collector_store();
        let stores = net.fixture.stores().into_iter().filter(|store| Some(*store) != collector);
        let dead: Vec<_> = stores.take(2).collect();
        net.down.extend(&dead);
        for boxed in &boxes(1, 100) {
            net.tell(person, write(boxed));
            net.run_for(secs(6));
            let avoided = net.people[person].transport.avoided_stores(net.now);
            assert!(avoided.iter().all(|store| dead.contains(store)), "seed {seed}");
        }
        let now = net.people[person].transport.collector_store();
        assert!(now.is_some_and(|store| !dead.contains(&store)), "seed {seed}");
    }
}

fn store_without_collector(net: &Network, person: usize) -> xchat_directory::NodeId {
    let collector = net.people[person].transport.collector_store();
    let mut stores = net.fixture.stores().into_iter();
    stores.find(|store| Some(*store) != collector).expect("there are several")
}
