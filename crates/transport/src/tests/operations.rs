//! Writes and reads end, once each, whatever the network does to packets.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use xchat_base::Secret;
use xchat_pigeonhole::{Lane, ReadOutcome, WriteOutcome};

use super::fixture::{Fixture, boxes, id_of, rng};
use super::network::Network;
use super::person::{read, secs, write};

#[test]
fn a_write_is_stored_and_read_by_another() {
    let mut net = Network::new(Fixture::new(2), 1);
    let (writer, reader) = (net.join(1), net.join(2));
    let boxed = boxes(1, 1).remove(0);
    net.tell(writer, write(&boxed));
    assert!(net.run_until(secs(10), |net| !net.people[writer].written().is_empty()));
    assert_eq!(net.people[writer].written(), [(boxed.id(), WriteOutcome::Stored)]);
    net.tell(reader, read(boxed.id()));
    net.tell(reader, read(id_of(1, 1)));
    assert!(net.run_until(secs(10), |net| net.people[reader].reads().len() == 2));
    let reads = net.people[reader].reads();
    assert!(reads.contains(&(boxed.id(), ReadOutcome::Found(boxed))));
    assert!(reads.contains(&(id_of(1, 1), ReadOutcome::Empty)));
}

#[test]
fn the_same_write_again_is_stored_and_another_value_exists() {
    let mut net = Network::new(Fixture::new(2), 2);
    let (one, two) = (net.join(1), net.join(2));
    let keys = Lane::new(Secret::new([9; 32])).keys();
    let first = keys.seal(&mut rng(1), b"first").expect("short");
    let second = keys.seal(&mut rng(2), b"second").expect("short");
    for wanted in 1..=2 {
        net.tell(one, write(&first));
        net.tell(one, write(&first));
        assert!(net.run_until(secs(10), |net| net.people[one].written().len() == wanted));
    }
    net.tell(two, write(&second));
    assert!(net.run_until(secs(10), |net| !net.people[two].written().is_empty()));
    let id = first.id();
    assert_eq!(net.people[one].written(), vec![(id, WriteOutcome::Stored); 2]);
    assert_eq!(net.people[two].written(), [(id, WriteOutcome::Exists(first))]);
}

#[test]
fn writes_first_leave_in_the_order_in_which_they_were_given() {
    let mut net = Network::new(Fixture::new(1), 3);
    net.jitter = Duration::ZERO;
    let person = net.join(1);
    net.run_for(secs(3));
    let own = boxes(1, 12);
    for boxed in &own {
        net.tell(person, write(boxed));
    }
    // With answers cut off, only first attempts leave: who was asked shows the order.
    net.loss = 1.0;
    net.run_for(secs(2));
    let asked = net.people[person].transport.writes_under_way();
    assert!(asked.len() > 4);
    let expected: Vec<_> = own.iter().map(|boxed| boxed.id()).take(asked.len()).collect();
    assert_eq!(asked, expected);
}

#[test]
fn an_empty_answer_is_never_about_a_time_before_the_last_asking() {
    let mut net = Network::new(Fixture::new(1), 4);
    let (reader, writer) = (net.join(1), net.join(2));
    let boxed = boxes(1, 1).remove(0);
    net.run_for(secs(2));
    // Asked before the write, and asked again after it: one answer, and not `Empty`.
    net.tell(reader, read(boxed.id()));
    net.run_for(Duration::from_millis(60));
    net.tell(writer, write(&boxed));
    while net.people[writer].written().is_empty() {
        net.tell(reader, read(boxed.id()));
        net.run_for(Duration::from_millis(20));
    }
    let before = net.people[reader].reads().len();
    net.tell(reader, read(boxed.id()));
    assert!(net.run_until(secs(20), |net| net.people[reader].reads().len() > before));
    let (_, last) = net.people[reader].reads().pop().expect("answered");
    assert_eq!(last, ReadOutcome::Found(boxed));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn every_operation_ends_once_under_loss_and_reordering(
        seed: u64,
        loss in 0.0f64..0.08,
        jitter_ms in 0u64..400,
        is_real in proptest::bool::weighted(0.3),
    ) {
        let fixture = Fixture::new(2);
        let fixture = if is_real { fixture } else { fixture.transparent() };
        let mut net = Network::new(fixture, seed);
        (net.loss, net.jitter) = (loss, Duration::from_millis(jitter_ms));
        let person = net.join(seed ^ 1);
        let (own, others) = (boxes(1, 25), boxes(2, 15));
        for boxed in &own {
            net.tell(person, write(boxed));
        }
        for boxed in &others {
            net.tell(person, read(boxed.id()));
        }
        net.run_for(secs(10));
        net.cut(person);
        let done = net.run_until(secs(600), |net| {
            let status = net.people[person].transport.status(net.now);
            status.queued_writes == 0 && status.queued_reads == 0
        });
        prop_assert!(done);
        net.run_for(secs(30));
        let written: Vec<_> = net.people[person].written();
        prop_assert!(written.iter().all(|(_, outcome)| *outcome == WriteOutcome::Stored));
        let ids: BTreeSet<_> = written.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!((ids.len(), written.len()), (own.len(), own.len()));
        let reads = net.people[person].reads();
        prop_assert!(reads.iter().all(|(_, outcome)| *outcome == ReadOutcome::Empty));
        prop_assert_eq!(reads.len(), others.len());
    }
}
