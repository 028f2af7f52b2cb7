//! What each rule says, one case each.

use super::super::ballot::{Ballot, MAX_ROUND};
use super::super::message::{Attempt, Body, Glance};
use super::super::{OP_TIMEOUT, RETRANSMIT_AFTER, SETTLE_AFTER};
use super::*;
use crate::request::Refusal;

fn found(n: u64) -> Answer {
    Answer::Found(value(n).into_sealed())
}

fn exists(n: u64) -> Answer {
    Answer::Exists(value(n).into_sealed())
}

#[test]
fn the_common_case_takes_one_round() {
    let mut net = Net::new(1);
    net.write(1, 0, 1);
    assert_eq!(net.sent.len(), 2);
    let to_one = net.sent.remove(0);
    net.deliver(to_one);
    assert!(net.answers.is_empty());
    let accepted = net.sent.pop().expect("an acceptance");
    net.deliver(accepted);
    assert_eq!(net.answers[&1], Answer::Stored);
    net.settle_down(nothing_lost);
    assert_eq!(net.chosen, [1, 1, 1]);
}

#[test]
fn whatever_replica_is_contacted_the_first_value_stays() {
    for first in 0..3 {
        for second in 0..3 {
            let mut net = Net::new(1);
            net.write(1, first, 1);
            net.settle_down(nothing_lost);
            net.write(2, second, 2);
            net.write(3, second, 1);
            net.read(4, second);
            net.settle_down(nothing_lost);
            assert_eq!(net.answers[&1], Answer::Stored);
            assert_eq!(net.answers[&2], exists(1));
            assert_eq!(net.answers[&3], Answer::Stored, "the same value again");
            assert_eq!(net.answers[&4], found(1));
        }
    }
}

#[test]
fn an_empty_box_reads_empty_and_leaves_no_record() {
    let mut net = Net::new(1);
    net.read(1, 1);
    assert!(net.answers.is_empty(), "one replica is not enough");
    net.settle_down(nothing_lost);
    assert_eq!(net.answers[&1], Answer::Empty);
    assert!(net.tables.iter().all(MemoryTable::is_empty));
}

#[test]
fn one_dead_replica_is_no_obstacle() {
    for dead in 0..3 {
        let mut net = Net::new(1);
        let (a, b) = ((dead + 1) % 3, (dead + 2) % 3);
        net.read(1, a);
        net.settle_down(cut_off(&[dead]));
        net.write(2, a, 1);
        net.settle_down(cut_off(&[dead]));
        net.read(3, b);
        net.settle_down(cut_off(&[dead]));
        assert_eq!(net.answers[&1], Answer::Empty);
        assert_eq!(net.answers[&2], Answer::Stored);
        assert_eq!(net.answers[&3], found(1));
    }
}

#[test]
fn without_a_majority_nothing_is_claimed() {
    let mut net = Net::new(1);
    net.write(1, 0, 1);
    net.read(2, 0);
    net.pass(OP_TIMEOUT * 2, cut_off(&[1, 2]));
    assert_eq!(net.answers[&1], Answer::Refused(Refusal::NoMajority));
    assert_eq!(net.answers[&2], Answer::Refused(Refusal::NoMajority));
    assert_eq!(net.replicas[0].operation_count(), 0);
}

#[test]
fn what_was_accepted_by_one_is_completed_before_a_read_answers() {
    let mut net = Net::new(1);
    net.write(1, 0, 1);
    net.crash(0);
    net.sent.clear();
    // Only replica 0 has accepted. A reader that hears of it must not say Empty any more and then
    // see another value.
    net.read(2, 1);
    net.settle_down(cut_off(&[2]));
    assert_eq!(net.answers[&2], found(1));
    net.write(3, 2, 2);
    net.settle_down(cut_off(&[0]));
    assert_eq!(net.answers[&3], exists(1));
}

#[test]
fn a_lost_request_is_sent_again() {
    let mut net = Net::new(1);
    net.write(1, 0, 1);
    net.sent.clear();
    net.pass(RETRANSMIT_AFTER, nothing_lost);
    assert_eq!(net.answers[&1], Answer::Stored);
}

#[test]
fn a_replica_completes_by_itself_what_it_accepted() {
    let mut net = Net::new(1);
    net.write(1, 0, 1);
    let to_one = net.sent.remove(0);
    net.deliver(to_one);
    net.crash(0);
    net.sent.clear();
    net.pass(SETTLE_AFTER * 3, nothing_lost);
    assert_eq!(net.chosen[1], 1, "standing reads at replica 1 are served");
    net.read(2, 2);
    net.settle_down(nothing_lost);
    assert_eq!(net.answers[&2], found(1));
}

#[test]
fn writers_at_one_coordinator_do_not_outbid_each_other() {
    let mut net = Net::new(1);
    for op in 0..5 {
        net.write(op, 1, op);
    }
    assert_eq!(net.sent.len(), 2, "one proposer a box");
    net.settle_down(nothing_lost);
    assert_eq!(net.answers[&0], Answer::Stored);
    assert!((1..5).all(|op| net.answers[&op] == exists(0)));
}

#[test]
fn the_next_in_line_proposes_when_the_first_gives_up() {
    let mut net = Net::new(1);
    net.write(1, 0, 1);
    net.pass(OP_TIMEOUT / 2, cut_off(&[0]));
    net.write(2, 0, 2);
    net.pass(OP_TIMEOUT / 2, cut_off(&[0]));
    assert_eq!(net.answers.get(&1), Some(&Answer::Refused(Refusal::NoMajority)));
    net.pass(OP_TIMEOUT / 2, nothing_lost);
    assert_eq!(net.answers[&2], exists(1), "the first value had been accepted by one");
}

#[test]
fn a_reply_to_an_earlier_question_is_not_counted() {
    let mut net = Net::new(1);
    net.read(1, 0);
    let to_one = net.sent.remove(0);
    net.deliver(to_one);
    let late = net.sent.pop().expect("nothing held, said before the write");
    net.sent.clear();
    net.crash(0);
    net.write(2, 1, 1);
    net.settle_down(cut_off(&[0]));
    assert_eq!(net.answers[&2], Answer::Stored);
    net.read(3, 0);
    net.deliver(late);
    assert_eq!(net.answers.get(&3), None);
    net.settle_down(nothing_lost);
    assert_eq!(net.answers[&3], found(1));
}

#[test]
fn outsiders_and_wiped_stores_do_not_answer() {
    let mut net = Net::new(1);
    let outsider = Member { store: StoreId::from_bytes([9; 32]), ..member(0) };
    net.replicas[0] = Replica::new(outsider);
    net.read(1, 0);
    assert_eq!(net.answers[&1], Answer::Refused(Refusal::NotReplica));
    let wiped = Member { incarnation: Incarnation::from_bytes([9; 16]), ..member(0) };
    net.replicas[0] = Replica::new(wiped);
    net.read(2, 0);
    assert_eq!(net.answers[&2], Answer::Refused(Refusal::CatchingUp));
    net.read(3, 1);
    net.settle_down(cut_off(&[2]));
    assert_eq!(net.answers.get(&3), None, "the wiped store does not vote");
}

/// What replica 1 does with a message that claims to be from replica 0.
fn replies(message: ReplicaMessage) -> usize {
    let mut net = Net::new(1);
    net.deliver((0, 1, message));
    net.sent.len()
}

fn accept_at(ballot: Ballot) -> ReplicaMessage {
    ReplicaMessage {
        placement: 7,
        incarnation: member(0).incarnation,
        id: box_id(),
        attempt: Attempt(1),
        body: Body::Accept(ballot, value(1)),
    }
}

#[test]
fn messages_that_must_not_count_are_dropped() {
    let good = accept_at(Ballot { placement: 7, round: 1, rank: 0 });
    assert_eq!(replies(good.clone()), 1);
    assert_eq!(replies(ReplicaMessage { placement: 6, ..good.clone() }), 0);
    let other_life = Incarnation::from_bytes([9; 16]);
    assert_eq!(replies(ReplicaMessage { incarnation: other_life, ..good }), 0);
    // Ballots of another rank, of another placement, and above any honest round.
    assert_eq!(replies(accept_at(Ballot { placement: 7, round: 1, rank: 2 })), 0);
    assert_eq!(replies(accept_at(Ballot { placement: 8, round: 1, rank: 0 })), 0);
    assert_eq!(replies(accept_at(Ballot { placement: 7, round: MAX_ROUND + 1, rank: 0 })), 0);
    let zero = Ballot::zero(7);
    assert_eq!(replies(accept_at(zero)), 1);
    assert_eq!(replies(ReplicaMessage { body: Body::Prepare(zero), ..accept_at(zero) }), 0);
}

#[test]
fn a_second_value_at_one_ballot_is_not_accepted() {
    let mut net = Net::new(1);
    let zero = Ballot::zero(7);
    net.deliver((0, 1, accept_at(zero)));
    let second = ReplicaMessage { body: Body::Accept(zero, value(2)), ..accept_at(zero) };
    net.deliver((0, 1, second));
    let bodies: Vec<_> = net.sent.iter().map(|(_, _, message)| message.body.clone()).collect();
    assert_eq!(bodies, [Body::Accepted, Body::Preempted(zero)]);
}

#[test]
fn a_glance_tells_what_is_asked_without_checking_it() {
    let glance = |message: &ReplicaMessage| {
        let seen = Glance::at(&message.to_wire()).expect("a message");
        (seen.id, seen.asks, seen.proposes)
    };
    let accept = accept_at(Ballot::zero(7));
    let id = accept.id;
    assert_eq!(glance(&accept), (id, false, true));
    let query = ReplicaMessage { body: Body::Query, ..accept.clone() };
    assert_eq!(glance(&query), (id, true, false));
    let accepted = ReplicaMessage { body: Body::Accepted, ..accept };
    assert_eq!(glance(&accepted), (id, false, false));
    assert!(Glance::at(&[1, 2, 3]).is_err());
}

#[test]
fn messages_with_boxes_that_are_forged_or_foreign_are_refused() {
    use super::super::MessageError;
    use crate::boxes::{BoxError, SealedBox};

    let message = accept_at(Ballot::zero(7));
    let wire = message.to_wire();
    assert_eq!(ReplicaMessage::from_wire(&wire).as_ref(), Ok(&message));
    let mut forged = wire.clone();
    *forged.last_mut().expect("not empty") ^= 1;
    let error = ReplicaMessage::from_wire(&forged).expect_err("the signature covers it");
    assert_eq!(error, MessageError::Box(BoxError::Signature));
    let foreign = ReplicaMessage { id: BoxId::from_bytes([3; 32]), ..message };
    let error = ReplicaMessage::from_wire(&foreign.to_wire()).expect_err("another box");
    assert_eq!(error, MessageError::WrongBox);
    let longest = ReplicaMessage {
        placement: u32::MAX,
        attempt: Attempt(u64::MAX),
        body: Body::Promise(Some((
            Ballot { placement: u32::MAX, round: u32::MAX, rank: u8::MAX },
            VerifiedBox::assume_verified(
                SealedBox::from_bytes(value(1).sealed().as_bytes()).expect("a box"),
            ),
        ))),
        ..accept_at(Ballot::zero(7))
    };
    assert_eq!(ReplicaMessage::from_wire(&longest.to_wire()), Ok(longest));
}
