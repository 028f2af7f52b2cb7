//! Followed boxes arrive, each once, whatever happens to deliveries and collectors.

use std::collections::BTreeSet;
use std::time::Duration;

use xchat_base::Secret;
use xchat_directory::Role;
use xchat_pigeonhole::{AnswerKey, BoxId, ReadOutcome, SignedAnswer};

use super::fixture::{Fixture, boxes};
use super::network::Network;
use super::person::{follow, secs, write};
use crate::{CollectorHealth, Command, Event, Input, Urgency};

fn registered(net: &Network, person: usize) -> usize {
    net.people[person].transport.status(net.now).registered
}

#[test]
fn a_followed_box_arrives_soon_after_it_was_written() {
    let mut net = Network::new(Fixture::new(2).transparent(), 1);
    let (reader, writer) = (net.join(1), net.join(2));
    let own = boxes(1, 8);
    for boxed in &own {
        net.tell(reader, follow(boxed.id()));
    }
    assert!(net.run_until(secs(20), |net| registered(net, reader) == 8));
    for boxed in &own {
        net.tell(writer, write(boxed));
        net.run_for(secs(1));
    }
    // A delivery that comes to nothing is made up for by the next look, after 20 s.
    assert!(net.run_until(secs(60), |net| net.people[reader].arrived().len() == 8));
    let expected: BTreeSet<_> = own.iter().map(|boxed| boxed.id()).collect();
    let arrived = net.people[reader].arrived();
    assert_eq!(arrived.len(), 8);
    assert_eq!(arrived.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(net.people[reader].transport.status(net.now).followed, 0);
}

/// Two boxes come at once: who reads the first awaits the second, which has come too.
#[test]
fn what_is_asked_for_when_it_has_come_is_there_at_once_and_not_looked_for() {
    let mut net = Network::new(Fixture::new(2).transparent(), 14);
    let (reader, writer) = (net.join(1), net.join(2));
    let own = boxes(1, 1);
    net.tell(reader, follow(own[0].id()));
    net.tell(writer, write(&own[0]));
    assert!(net.run_until(secs(60), |net| net.people[reader].arrived().len() == 1));
    let followed = |net: &Network| net.people[reader].transport.status(net.now).followed;
    // Of many that came at once each but the first is followed again with each that is read.
    for times in 2..=33 {
        net.tell(reader, follow_in_talk(own[0].id(), 0));
        assert_eq!((net.people[reader].arrived().len(), followed(&net)), (times, 0), "at once");
    }
    // Not without an end: then it is followed as any, and found.
    net.tell(reader, follow_in_talk(own[0].id(), 0));
    assert_eq!(followed(&net), 1);
    assert!(net.run_until(secs(200), |net| net.people[reader].arrived().len() == 34));
}

fn follow_in_talk(id: BoxId, ahead: u8) -> Input {
    let urgency = Urgency::of(true, ahead);
    Input::Command(Command::Follow { id, urgency, talk: Some(7) })
}

/// In a talk nothing is registered but tickets, and what is written arrives as soon.
#[test]
fn what_is_written_in_a_talk_arrives_by_tickets_and_is_not_registered() {
    let mut net = Network::new(Fixture::new(2).transparent(), 11);
    let (reader, writer) = (net.join(1), net.join(2));
    let own = boxes(1, 9);
    net.tell(reader, follow_in_talk(own[0].id(), 0));
    let ready = |net: &Network| net.people[reader].transport.tickets_ready();
    assert!(net.run_until(secs(120), |net| ready(net) >= 12 && registered(net, reader) == 1));
    net.tell(writer, write(&own[0]));
    assert!(net.run_until(secs(20), |net| net.people[reader].arrived().len() == 1));
    let mut rng = super::fixture::rng(5);
    let now = net.now;
    let mut tickets = net.people[reader].transport.hand_out(7, 8, now, &mut rng).tickets;
    assert_eq!(tickets.len(), 5);
    for (n, boxed) in own.iter().enumerate().skip(1) {
        for ahead in 0..2 {
            let next = own.get(n + ahead).map(|boxed| follow_in_talk(boxed.id(), ahead as u8));
            next.into_iter().for_each(|follow| net.tell(reader, follow));
        }
        let ticket = Some(tickets.pop().expect("topped up").ticket);
        net.tell(writer, Input::Command(Command::Write { boxed: boxed.clone(), ticket }));
        assert!(net.run_until(secs(15), |net| net.people[reader].arrived().len() == n + 1), "{n}");
        assert_eq!(registered(&net, reader), 0);
        let now = net.now;
        tickets.extend(net.people[reader].transport.hand_out(7, 2, now, &mut rng).tickets);
    }
    let arrived = net.people[reader].arrived();
    assert_eq!(arrived, own.iter().map(|boxed| boxed.id()).collect::<Vec<_>>());
    assert_eq!(net.people[reader].transport.status(net.now).refused_answers, 0);
}

/// By the keys that two have just renewed something is written before its reader has them.
#[test]
fn what_comes_by_a_ticket_before_it_is_asked_for_is_there_when_it_is() {
    let mut net = Network::new(Fixture::new(2).transparent(), 12);
    let (reader, writer) = (net.join(1), net.join(2));
    let own = boxes(1, 2);
    assert!(net.run_until(secs(120), |net| net.people[reader].transport.tickets_ready() >= 8));
    let (now, mut rng) = (net.now, super::fixture::rng(5));
    let tickets = net.people[reader].transport.hand_out(7, 2, now, &mut rng).tickets;
    for (boxed, dated) in own.iter().zip(tickets) {
        let ticket = Some(dated.ticket);
        net.tell(writer, Input::Command(Command::Write { boxed: boxed.clone(), ticket }));
    }
    net.run_for(secs(20));
    assert_eq!(net.people[writer].written().len(), 2);
    assert!(net.people[reader].arrived().is_empty(), "nobody has asked for them");
    let emitted = net.people[reader].packets.len();
    net.tell(reader, follow_in_talk(own[0].id(), 0));
    net.tell(reader, super::person::read(own[1].id()));
    assert_eq!(net.people[reader].arrived(), [own[0].id()]);
    let found = ReadOutcome::Found(own[1].clone());
    assert_eq!(net.people[reader].reads(), [(own[1].id(), found)]);
    assert_eq!(net.people[reader].packets.len(), emitted, "no packet was needed for it");
}

/// Who loses the way by which tickets would be delivered registers what is awaited.
#[test]
fn when_tickets_are_void_boxes_are_registered_at_once() {
    let mut net = Network::new(Fixture::new(2).transparent(), 13);
    let (reader, writer) = (net.join(1), net.join(2));
    let own = boxes(1, 3);
    net.tell(reader, follow_in_talk(own[0].id(), 0));
    let ready = |net: &Network| net.people[reader].transport.tickets_ready();
    assert!(net.run_until(secs(120), |net| ready(net) >= 12 && registered(net, reader) == 1));
    net.tell(writer, write(&own[0]));
    assert!(net.run_until(secs(20), |net| net.people[reader].arrived().len() == 1));
    let (now, mut rng) = (net.now, super::fixture::rng(5));
    net.people[reader].transport.hand_out(7, 8, now, &mut rng);
    for (ahead, boxed) in own[1..].iter().enumerate() {
        net.tell(reader, follow_in_talk(boxed.id(), ahead as u8));
    }
    net.run_for(secs(20));
    assert_eq!(registered(&net, reader), 0);
    net.people[reader].transport.renew_all_registrations();
    assert!(net.run_until(secs(20), |net| registered(net, reader) == 2));
}

/// A registration fixes the way of its delivery, an hour ahead: a third of them goes over the mix that dies.
#[test]
fn what_would_be_delivered_over_a_mix_that_has_died_is_registered_anew() {
    let mut net = Network::new(Fixture::new(3).transparent(), 9);
    let (reader, writer) = (net.join(3), net.join(2));
    let own = boxes(1, 40);
    for boxed in &own {
        net.tell(reader, follow(boxed.id()));
    }
    assert!(net.run_until(secs(30), |net| registered(net, reader) == own.len()));
    let dead = net.fixture.all(|role| *role == Role::Mix { layer: 2 })[0];
    let over = |net: &Network| net.people[reader].transport.registered_over(&dead, net.now);
    let (all, before) = over(&net);
    assert!(before * 6 > all && before * 2 < all, "{before} of {all}");
    net.down.insert(dead);
    let avoids = |person: usize| {
        move |net: &Network| net.people[person].transport.avoided_mixes(net.now) == [dead]
    };
    assert!(net.run_until(secs(60), |net| avoids(reader)(net) && avoids(writer)(net)));
    let is_anew = |net: &Network| over(net).1 == 0 && registered(net, reader) == own.len();
    assert!(net.run_until(secs(30), is_anew), "{:?}, {}", over(&net), registered(&net, reader));
    // So all of it comes, and none of it waits for somebody to look. A collector keeps no more than 32 items.
    for boxed in &own {
        net.tell(writer, write(boxed));
        net.run_for(Duration::from_millis(250));
    }
    net.run_for(secs(15));
    assert_eq!(net.people[reader].arrived().len(), own.len());
}

#[test]
fn what_was_written_before_arrives_too_and_what_is_no_longer_followed_does_not() {
    let mut net = Network::new(Fixture::new(2).transparent(), 2);
    let (reader, writer) = (net.join(1), net.join(2));
    let own = boxes(1, 2);
    net.tell(writer, write(&own[0]));
    net.run_for(secs(5));
    net.tell(reader, follow(own[0].id()));
    net.tell(reader, follow(own[1].id()));
    assert!(net.run_until(secs(20), |net| net.people[reader].arrived() == [own[0].id()]));
    net.tell(reader, Input::Command(Command::Unfollow { id: own[1].id() }));
    net.tell(writer, write(&own[1]));
    net.run_for(secs(30));
    assert_eq!(net.people[reader].arrived(), [own[0].id()]);
}

#[test]
fn a_box_arrives_once_although_it_is_delivered_and_looked_at_many_times() {
    let mut net = Network::new(Fixture::new(2).transparent(), 3);
    net.twice = true;
    let (reader, writer) = (net.join(1), net.join(2));
    let own = boxes(1, 10);
    for boxed in &own {
        net.tell(reader, follow(boxed.id()));
    }
    assert!(net.run_until(secs(20), |net| registered(net, reader) == 10));
    // A break: everything is registered a second time, through a second collector; both deliver.
    net.cut(reader);
    net.run_for(secs(4));
    net.people[reader].transport.renew_all_registrations();
    net.run_for(secs(6));
    for boxed in &own {
        net.tell(writer, write(boxed));
    }
    net.run_for(secs(25));
    let arrived = net.people[reader].arrived();
    assert_eq!(arrived.len(), 10);
    assert_eq!(arrived.into_iter().collect::<BTreeSet<_>>().len(), 10);
}

#[test]
fn deliveries_survive_loss() {
    let mut net = Network::new(Fixture::new(2).transparent(), 4);
    net.loss = 0.05;
    let (reader, writer) = (net.join(1), net.join(2));
    let own = boxes(1, 30);
    for boxed in &own {
        net.tell(reader, follow(boxed.id()));
        net.tell(writer, write(boxed));
    }
    assert!(net.run_until(secs(300), |net| net.people[reader].arrived().len() == 30));
    net.run_for(secs(30));
    assert_eq!(net.people[reader].arrived().len(), 30);
}

#[test]
fn a_dead_collector_is_replaced_and_nothing_is_lost() {
    let mut net = Network::new(Fixture::new(2).transparent(), 5);
    let (reader, writer) = (net.join(1), net.join(2));
    let own = boxes(1, 20);
    for boxed in &own {
        net.tell(reader, follow(boxed.id()));
    }
    assert!(net.run_until(secs(20), |net| registered(net, reader) == 20));
    let dead = net.people[reader].transport.collector_store().expect("has one");
    net.down.insert(dead);
    for boxed in &own[..10] {
        net.tell(writer, write(boxed));
    }
    assert!(net.run_until(secs(60), |net| net.people[reader].arrived().len() == 10));
    let transport = &net.people[reader].transport;
    assert_ne!(transport.collector_store(), Some(dead));
    assert!(net.run_until(secs(60), |net| registered(net, reader) == 10));
    let health = net.people[reader].transport.status(net.now).collector;
    assert!(matches!(health, CollectorHealth::Answering { .. }));
    for boxed in &own[10..] {
        net.tell(writer, write(boxed));
    }
    assert!(net.run_until(secs(60), |net| net.people[reader].arrived().len() == 20));
}

#[test]
fn collectors_are_replaced_every_few_hours_with_overlap() {
    let mut fixture = Fixture::new(1).transparent();
    // Three slots a minute make hours affordable.
    fixture.document.parameters.pace_override = Some(50);
    let mut net = Network::new(fixture, 6);
    let (reader, writer) = (net.join(1), net.join(2));
    let own = boxes(1, 6);
    let first_of = |net: &Network| net.people[reader].transport.collector_store();
    net.tell(reader, follow(own[0].id()));
    assert!(net.run_until(secs(600), |net| first_of(net).is_some()));
    let first = first_of(&net);
    net.run_for(secs(7 * 3_600));
    assert_ne!(first_of(&net), first, "at most six hours");
    for boxed in &own {
        net.tell(writer, write(boxed));
        net.tell(reader, follow(boxed.id()));
    }
    assert!(net.run_until(secs(3_600), |net| net.people[reader].arrived().len() == 6));
}

#[test]
fn a_delivery_that_is_not_the_stores_is_refused_and_the_true_one_still_counts() {
    let mut net = Network::new(Fixture::new(2).transparent(), 7);
    let (reader, writer) = (net.join(1), net.join(2));
    let boxed = boxes(1, 1).remove(0);
    net.tell(reader, follow(boxed.id()));
    assert!(net.run_until(secs(20), |net| registered(net, reader) == 1));
    // Somebody who learnt the registration's key, but is not the store.
    let forger = AnswerKey::from_seed(&Secret::new([0xee; 32]));
    let answer = xchat_pigeonhole::Answer::Found(boxed.clone());
    let forged = SignedAnswer::sign(&forger, boxed.id(), answer, net.now);
    let mut rng = super::fixture::rng(1);
    let effects = net.people[reader].transport.take_forged_delivery(&forged, net.now, &mut rng);
    assert!(effects.is_empty());
    assert_eq!(net.people[reader].transport.status(net.now).refused_answers, 1);
    net.tell(writer, write(&boxed));
    assert!(net.run_until(secs(20), |net| net.people[reader].arrived() == [boxed.id()]));
}

/// Median time from the command to write until the box is with the reader.
fn median_delivery_ms(per_1000_secs: u32, every: u64, messages: usize) -> u64 {
    let mut fixture = Fixture::new(1).transparent();
    fixture.document.parameters.pace_override = Some(per_1000_secs);
    fixture.document.parameters.mix_delay = Duration::from_millis(50);
    let mut net = Network::new(fixture, 8);
    let (reader, writer) = (net.join(1), net.join(2));
    let own = boxes(1, messages + 8);
    for boxed in &own[..8] {
        net.tell(reader, follow(boxed.id()));
    }
    assert!(net.run_until(secs(120), |net| registered(net, reader) == 8));
    let mut took = Vec::new();
    for (n, boxed) in own[..messages].iter().enumerate() {
        net.run_for(secs(every));
        let started = net.now;
        net.tell(writer, write(boxed));
        assert!(net.run_until(secs(60), |net| net.people[reader].arrived().len() > n));
        let (at, _) = net.people[reader]
            .events
            .iter()
            .rev()
            .find(|(_, event)| matches!(event, Event::Arrived(arrived) if arrived == boxed))
            .expect("arrived");
        took.push(at.since(started).as_millis());
        net.tell(reader, follow(own[n + 8].id()));
    }
    took.sort_unstable();
    took[took.len() / 2] as u64
}

#[test]
fn delivery_is_as_quick_as_the_table_of_paces_says() {
    let fast = median_delivery_ms(4_000, 2, 60);
    assert!((800..=1_300).contains(&fast), "fast: {fast} ms");
    let desk = median_delivery_ms(1_000, 5, 60);
    assert!((2_000..=3_500).contains(&desk), "desk: {desk} ms");
}
