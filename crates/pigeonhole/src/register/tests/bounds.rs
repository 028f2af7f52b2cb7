//! What others can make a replica hold is bounded.

use super::super::ballot::Ballot;
use super::super::message::{Attempt, Body};
use super::super::{MAX_OPERATIONS, MAX_OPERATIONS_PER_BOX, MAX_UNSETTLED};
use super::*;
use crate::boxes::{SEALED_BOX_LEN, SealedBox};
use crate::request::Refusal;

fn id(n: usize) -> BoxId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
    BoxId::from_bytes(bytes)
}

#[test]
fn operations_on_one_box_are_bounded() {
    let mut net = Net::new(1);
    let bound = MAX_OPERATIONS_PER_BOX as u64;
    for op in 0..=bound {
        net.read(op, 0);
    }
    assert_eq!(net.answers.len(), 1);
    assert_eq!(net.answers[&bound], Answer::Refused(Refusal::Busy));
    net.settle_down(nothing_lost);
    assert_eq!(net.answers.len(), MAX_OPERATIONS_PER_BOX + 1);
}

#[test]
fn operations_are_bounded() {
    let mut net = Net::new(1);
    for n in 0..=MAX_OPERATIONS {
        net.client(n as u64, 0, ClientOp::Read(id(n)));
        net.sent.clear();
    }
    assert_eq!(net.replicas[0].operation_count(), MAX_OPERATIONS);
    assert_eq!(net.answers[&(MAX_OPERATIONS as u64)], Answer::Refused(Refusal::Busy));
}

#[test]
fn boxes_to_be_settled_are_bounded() {
    let mut net = Net::new(1);
    for n in 0..=MAX_UNSETTLED {
        let mut bytes = [0; SEALED_BOX_LEN];
        bytes[..32].copy_from_slice(id(n).as_bytes());
        let sealed = SealedBox::from_bytes(&bytes).expect("the length is right");
        let message = ReplicaMessage {
            placement: 7,
            incarnation: member(0).incarnation,
            id: id(n),
            attempt: Attempt(1),
            body: Body::Accept(Ballot::zero(7), VerifiedBox::assume_verified(sealed)),
        };
        let (from, replicas) = (member(0).store, replica_set());
        let input = RegisterInput::Peer { from, message, replicas };
        let table = &mut net.tables[1];
        let effects = net.replicas[1].handle(input, table, START, &mut net.rng);
        let accepted = effects.iter().any(|effect| {
            matches!(effect, RegisterEffect::Send { message, .. } if message.body == Body::Accepted)
        });
        assert!(accepted, "the bound is on looking after boxes, not on accepting them");
    }
    assert_eq!(net.replicas[1].unsettled.len(), MAX_UNSETTLED);
}
