//! One replica that lies, or whose clock is wrong, ends nothing that the other two can finish.

use super::super::ballot::{Ballot, MAX_ROUND, MAX_STEP};
use super::super::message::{Attempt, Body};
use super::super::{BOX_LIFETIME, BoxRecord, BoxTable, OP_TIMEOUT, RETRANSMIT_AFTER};
use super::*;
use crate::request::Refusal;

/// Of a store whose clock ran ahead, or that lies.
fn tombstone() -> BoxRecord {
    BoxRecord::Tombstone { forget_at: Timestamp::MAX }
}

fn ballot(round: u32, rank: u8) -> Ballot {
    Ballot { placement: 7, round, rank }
}

fn says(rank: usize, body: Body) -> ReplicaMessage {
    let incarnation = member(rank).incarnation;
    ReplicaMessage { placement: 7, incarnation, id: box_id(), attempt: Attempt(1), body }
}

fn promised(net: &Net, rank: usize) -> Option<Ballot> {
    match net.tables[rank].get(&box_id()) {
        Some(BoxRecord::Open { promised, .. }) => Some(promised),
        _ => None,
    }
}

/// Delivers everything; the replica of this rank answers every request with this.
fn with_liar(net: &mut Net, liar: usize, lie: impl Fn(&Body) -> Body) {
    while !net.sent.is_empty() {
        let (from, to, message) = net.sent.remove(0);
        let is_request = matches!(message.body, Body::Query | Body::Prepare(_) | Body::Accept(..));
        if from == liar {
            continue;
        }
        if to == liar && is_request {
            let body = lie(&message.body);
            let incarnation = member(liar).incarnation;
            net.deliver((liar, from, ReplicaMessage { incarnation, body, ..message }));
        } else if to != liar {
            net.deliver((from, to, message));
        }
    }
}

#[test]
fn one_tombstone_among_three_does_not_expire_a_box() {
    for broken in 0..3 {
        for writer in (0..3).filter(|rank| *rank != broken) {
            let mut net = Net::new(1);
            net.tables[broken].put(box_id(), tombstone());
            net.read(1, writer);
            net.settle_down(nothing_lost);
            assert_eq!(net.answers[&1], Answer::Empty);
            net.write(2, writer, 1);
            net.settle_down(nothing_lost);
            assert_eq!(net.answers[&2], Answer::Stored);
            for reader in 0..3 {
                net.read(3 + reader as u64, reader);
                net.settle_down(nothing_lost);
                let found = Answer::Found(value(1).into_sealed());
                assert_eq!(net.answers[&(3 + reader as u64)], found);
            }
        }
    }
}

#[test]
fn a_replica_that_alone_has_a_tombstone_says_neither_expired_nor_empty() {
    let mut net = Net::new(1);
    net.tables[0].put(box_id(), tombstone());
    net.read(1, 0);
    net.write(2, 0, 1);
    assert!(net.answers.is_empty(), "its own word is one vote");
    net.settle_down(nothing_lost);
    assert_eq!(net.answers[&1], Answer::Refused(Refusal::NoMajority));
    assert_eq!(net.answers[&2], Answer::Refused(Refusal::NoMajority));
    assert_eq!(net.tables[0].get(&box_id()), Some(tombstone()), "it accepts nothing over it");
}

#[test]
fn one_that_says_expired_destroys_nothing() {
    let mut net = Net::new(1);
    net.write(1, 0, 1);
    net.crash(0);
    net.sent.clear();
    // Replica 0 has accepted, nobody else has heard of it; replica 2 says that it has expired.
    let before = net.tables[0].clone();
    net.read(2, 0);
    let expired = |_: &Body| Body::Expired;
    net.sent.retain(|(_, to, _)| *to == 2);
    with_liar(&mut net, 2, expired);
    assert_eq!(net.tables[0], before);
    assert_eq!(net.answers.get(&2), None);
    net.pass(RETRANSMIT_AFTER, |(from, to, _)| *from == 2 || *to == 2);
    assert_eq!(net.answers[&2], Answer::Found(value(1).into_sealed()));
}

#[test]
fn two_that_say_expired_end_what_the_third_has_accepted() {
    let mut net = Net::new(1);
    net.write(1, 0, 1);
    net.sent.clear();
    net.read(2, 0);
    net.tables[1].put(box_id(), tombstone());
    net.tables[2].put(box_id(), tombstone());
    net.settle_down(nothing_lost);
    assert_eq!(net.answers[&1], Answer::Expired, "all operations on the box");
    assert_eq!(net.answers[&2], Answer::Expired);
    assert!(matches!(net.tables[0].get(&box_id()), Some(BoxRecord::Tombstone { .. })));
    assert_eq!(net.replicas[0].operation_count(), 0);
}

#[test]
fn what_is_chosen_outlasts_what_both_others_say() {
    let mut net = Net::new(1);
    net.write(1, 0, 1);
    net.settle_down(nothing_lost);
    net.tables[1].put(box_id(), tombstone());
    net.tables[2].put(box_id(), tombstone());
    net.now = net.now + BOX_LIFETIME / 2;
    net.read(2, 0);
    net.input(0, RegisterInput::Settle { id: box_id(), replicas: replica_set() });
    net.settle_down(nothing_lost);
    assert_eq!(net.answers[&2], Answer::Found(value(1).into_sealed()));
    assert!(matches!(net.tables[0].get(&box_id()), Some(BoxRecord::Chosen { .. })));
}

#[test]
fn one_that_always_refuses_stops_nobody() {
    let lies = [
        Ballot { placement: 8, ..ballot(1, 2) },
        Ballot { placement: 6, ..ballot(1, 2) },
        ballot(MAX_ROUND + 1, 2),
        ballot(MAX_ROUND, 2),
        ballot(9, 2),
        ballot(9, 3),
        ballot(0, 1),
    ];
    for lie in lies {
        for writer in 0..2 {
            let mut net = Net::new(1);
            net.write(1, writer, 1);
            // The liar is quicker than the honest one.
            net.sent.sort_by_key(|(_, to, _)| *to != 2);
            with_liar(&mut net, 2, |_| Body::Preempted(lie));
            assert_eq!(net.answers[&1], Answer::Stored, "{lie:?}");
        }
    }
}

#[test]
fn one_that_claims_an_impossible_acceptance_is_not_heard() {
    for claimed in [Ballot { placement: 8, ..ballot(1, 2) }, ballot(MAX_ROUND + 1, 2)] {
        let mut net = Net::new(1);
        net.write(1, 1, 1);
        net.sent.sort_by_key(|(_, to, _)| *to != 2);
        with_liar(&mut net, 2, |_| Body::Promise(Some((claimed, value(2)))));
        assert_eq!(net.answers[&1], Answer::Stored);
    }
}

#[test]
fn a_proposer_that_nobody_else_answers_tries_again_above_the_refusal() {
    let mut net = Net::new(1);
    net.deliver((2, 0, says(2, Body::Prepare(ballot(5, 2)))));
    net.sent.clear();
    net.write(1, 1, 1);
    net.pass(RETRANSMIT_AFTER * 2, cut_off(&[2]));
    assert_eq!(net.answers[&1], Answer::Stored);
}

#[test]
fn a_promise_goes_up_by_steps() {
    let mut net = Net::new(1);
    for n in 1..=3 {
        net.deliver((2, 0, says(2, Body::Prepare(ballot(MAX_ROUND, 2)))));
        let reach = ballot(n * MAX_STEP, 2);
        assert_eq!(promised(&net, 0), Some(reach));
        let (_, _, reply) = net.sent.pop().expect("an answer");
        assert_eq!(reply.body, Body::Preempted(reach));
    }
    net.deliver((2, 0, says(2, Body::Accept(ballot(MAX_ROUND, 2), value(2)))));
    assert_eq!(promised(&net, 0), Some(ballot(4 * MAX_STEP, 2)), "and is not jumped by phase 2");
    let next = ballot(5 * MAX_STEP, 2);
    net.deliver((2, 0, says(2, Body::Prepare(next))));
    assert_eq!(net.sent.last().map(|(_, _, reply)| &reply.body), Some(&Body::Promise(None)));
}

/// A hostile replica drives one of the others far ahead; wherever the client then asks, the two
/// honest ones come together.
#[test]
fn replicas_that_were_driven_apart_come_together() {
    for writer in 0..2 {
        let mut net = Net::new(1);
        for _ in 0..5 {
            net.deliver((2, 0, says(2, Body::Prepare(ballot(MAX_ROUND, 2)))));
        }
        net.sent.clear();
        assert_eq!(promised(&net, 0), Some(ballot(5 * MAX_STEP, 2)));
        net.write(1, writer, 1);
        net.pass(OP_TIMEOUT, cut_off(&[2]));
        assert_eq!(net.answers[&1], Answer::Stored, "asked at {writer}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

    /// Whatever one replica answers, the other two find the box's one value, in time.
    #[test]
    fn no_answer_of_one_replica_stops_the_others(
        choices in proptest::collection::vec((0u8..6, 0u32..3000, 0u8..4, 0u64..3), 1..40),
        writer in 0usize..2,
    ) {
        let mut net = Net::new(1);
        net.write(1, writer, 1);
        let next = std::cell::Cell::new(0);
        let lie = |_: &Body| {
            let (kind, round, rank, n) = choices[next.get() % choices.len()];
            next.set(next.get() + 1);
            let claimed = ballot(round, rank);
            match kind {
                0 => Body::Expired,
                1 => Body::Preempted(claimed),
                2 => Body::Preempted(ballot(MAX_ROUND - round, rank)),
                3 => Body::Promise(Some((claimed, value(n)))),
                4 => Body::State(Some((claimed, value(n)))),
                _ => Body::Promise(None),
            }
        };
        with_liar(&mut net, 2, lie);
        net.pass(OP_TIMEOUT / 2, cut_off(&[2]));
        let told = matches!(net.answers.get(&1), Some(Answer::Stored | Answer::Exists(_)));
        proptest::prop_assert!(told, "{:?}", net.answers);
        net.read(2, 1 - writer);
        net.settle_down(cut_off(&[2]));
        proptest::prop_assert!(matches!(net.answers[&2], Answer::Found(_)));
    }
}
