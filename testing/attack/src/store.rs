//! A hostile store: what it tells the other stores, and what it answers to requests.

use std::sync::Arc;

use rand_core::RngCore;
use tokio::sync::mpsc;
use xchat_base::{Secret, Timestamp, Wire, random};
use xchat_directory::{Descriptor, Role};
use xchat_pigeonhole::{Answer, AnswerKey, BoxId, Op, Refusal, Request, SignedAnswer};
use xchat_server::clock;
use xchat_sphinx::frame::{PACKET_ALPN, REPLICA_ALPN};
use xchat_sphinx::{NodeFrame, PACKET_LEN, Packet, ReplyBlock, Unwrapped, unwrap};

use crate::Attack;
use crate::place::{Frame, Place, named};
use crate::replica::{Body, Head, about_tables, any_ballot};
use crate::tally::Kind;
use crate::view::{Dice, flipped, rubbish};

/// Tells the other stores what no store may say, without being asked.
pub(crate) async fn assail(attack: Arc<Attack>, place: Arc<Place>, mut dice: Dice) {
    let own = incarnation(&attack, &place);
    while attack.beat.next().await {
        let Some(to) = attack.view.any(&mut dice, Descriptor::is_store).cloned() else { return };
        let draw = random::index(&mut dice, 1 << 16);
        let id = match dice.next_u32() % 3 {
            0 => attack.control.kept(draw).id(),
            1 => attack.control.free(draw),
            _ => BoxId::random(&mut dice),
        };
        let (kind, bytes) = match dice.next_u32() % 8 {
            0..=1 => (Kind::StoreFrame, rubbish(&mut dice, 2_048)),
            2..=3 => (Kind::StoreMessage, out_of_order(&mut dice, &attack, own, id)),
            4..=5 => (Kind::StoreForgedValue, forged_value(&mut dice, &attack, own, id)),
            6 => {
                let head = head(&mut dice, &attack, own, id);
                (Kind::StoreExpires, head.with(&Body::Expired.bytes()))
            }
            _ => {
                attack.tally.tried(Kind::StoreFrame);
                to_the_first_layer(&mut dice, &attack, &place).await;
                continue;
            }
        };
        attack.tally.tried(kind);
        place.send(&to, REPLICA_ALPN, bytes).await;
    }
}

/// A packet of rubbish, where answers enter the mixes.
async fn to_the_first_layer(dice: &mut Dice, attack: &Attack, place: &Place) {
    let Some(to) = attack.view.any(dice, |d| d.is_mix_of(1)).cloned() else { return };
    let mut bytes = vec![0; PACKET_LEN];
    dice.fill_bytes(&mut bytes);
    let packet = Packet::from_bytes(&bytes).expect("of a packet's length");
    place.send(&to, PACKET_ALPN, NodeFrame::to_node(packet).to_bytes()).await;
}

fn head(dice: &mut Dice, attack: &Attack, own: [u8; 16], id: BoxId) -> Head {
    Head { placement: attack.view.placement(), incarnation: own, id, attempt: dice.next_u64() }
}

fn out_of_order(dice: &mut Dice, attack: &Attack, own: [u8; 16], id: BoxId) -> Vec<u8> {
    let mut head = head(dice, attack, own, id);
    match dice.next_u32() % 4 {
        0 => head.incarnation = random::bytes(dice),
        1 => head.placement = dice.next_u32(),
        _ => {}
    }
    if dice.next_u32() & 3 == 0 {
        return about_tables(dice, &head);
    }
    let ballot = any_ballot(dice, attack.view.placement());
    let body = match dice.next_u32() % 6 {
        0 => Body::Prepare(ballot),
        1 => Body::Decided(ballot),
        2 => Body::State(None),
        3 => Body::Promise(None),
        4 => Body::Accepted,
        _ => Body::Preempted(ballot),
    };
    let bytes = head.with(&body.bytes());
    if dice.next_u32() & 7 == 0 { flipped(dice, &bytes, 0, bytes.len()) } else { bytes }
}

/// A value for the box that its key has not signed.
fn unsigned(dice: &mut Dice, attack: &Attack, id: BoxId) -> Vec<u8> {
    let kept = attack.control.kept(random::index(dice, 1 << 16));
    let mut bytes = kept.to_bytes();
    bytes[..BoxId::LEN].copy_from_slice(id.as_bytes());
    let last = bytes.len() - 1;
    bytes[last] ^= 0x40;
    bytes
}

fn forged_value(dice: &mut Dice, attack: &Attack, own: [u8; 16], id: BoxId) -> Vec<u8> {
    let head = head(dice, attack, own, id);
    let value = unsigned(dice, attack, id);
    let ballot = any_ballot(dice, attack.view.placement());
    let body = match dice.next_u32() % 4 {
        0 => Body::Accept(ballot, &value),
        1 => Body::State(Some((ballot, &value))),
        2 => Body::Promise(Some((ballot, &value))),
        _ => Body::Chosen(&value, dice.next_u64()),
    };
    head.with(&body.bytes())
}

fn incarnation(attack: &Attack, place: &Place) -> [u8; 16] {
    let listed = attack.view.document.node(&place.taken.node.id).map(|node| node.role);
    match listed {
        Some(Role::Store { incarnation }) => *incarnation.as_bytes(),
        _ => [0; 16],
    }
}

/// Answers whom it should serve: stores with lies that nobody has signed, clients with everything
/// but an answer.
pub(crate) async fn answer(
    attack: Arc<Attack>,
    place: Arc<Place>,
    mut frames: mpsc::Receiver<Frame>,
    mut dice: Dice,
) {
    let own = incarnation(&attack, &place);
    let stranger = AnswerKey::from_seed(&Secret::random(&mut dice));
    while let Some(frame) = frames.recv().await {
        if frame.alpn == REPLICA_ALPN {
            let Some((kind, bytes)) = to_a_store(&mut dice, &attack, own, &frame.bytes) else {
                continue;
            };
            attack.tally.tried(kind);
            if let Some(to) = attack.view.document.node(&frame.from) {
                place.send(to, REPLICA_ALPN, bytes).await;
            }
            continue;
        }
        let Ok(NodeFrame { packet, .. }) = NodeFrame::from_bytes(&frame.bytes) else { continue };
        let opened = place.taken.hops.iter().find_map(|secret| unwrap(secret, &packet).ok());
        let Some(Unwrapped::Request { message }) = opened.map(|o| o.unwrapped) else { continue };
        let Ok(Request { reply, op }) = Request::from_wire(&message) else { continue };
        attack.tally.tried(Kind::StoreAnswers);
        let Some(answer) = to_a_client(&mut dice, &stranger, &op) else { continue };
        let block = ReplyBlock::from_bytes(&reply);
        let Ok(Ok((first, packet))) = block.map(|block| block.use_for(&answer)) else { continue };
        if let Some(to) = named(&attack.view, &first.node_tag()) {
            place.send(to, PACKET_ALPN, NodeFrame::to_node(packet).to_bytes()).await;
        }
    }
}

/// A lie in reply to a store's question, under the question's own attempt.
fn to_a_store(
    dice: &mut Dice,
    attack: &Attack,
    own: [u8; 16],
    question: &[u8],
) -> Option<(Kind, Vec<u8>)> {
    let (mut head, body) = Head::read(question)?;
    let is_request = body.first().is_some_and(|tag| *tag <= 2);
    if !is_request {
        return None;
    }
    head.incarnation = own;
    let value = unsigned(dice, attack, head.id);
    let ballot = any_ballot(dice, attack.view.placement());
    let (kind, body) = match dice.next_u32() % 6 {
        0 => (Kind::StoreForgedValue, Body::Chosen(&value, dice.next_u64())),
        1 => (Kind::StoreForgedValue, Body::State(Some((ballot, &value)))),
        2 => (Kind::StoreForgedValue, Body::Promise(Some((ballot, &value)))),
        3 => (Kind::StoreExpires, Body::Expired),
        4 => (Kind::StoreMessage, Body::Preempted(ballot)),
        _ => (Kind::StoreMessage, Body::Promise(None)),
    };
    Some((kind, head.with(&body.bytes())))
}

/// `None` is silence.
fn to_a_client(dice: &mut Dice, stranger: &AnswerKey, op: &Op) -> Option<Vec<u8>> {
    let about = match op {
        Op::Write { boxed, .. } => Some(boxed.id()),
        Op::Read { id, .. } | Op::Register { id, .. } => Some(*id),
        _ => None,
    };
    let now: Timestamp = clock::now();
    let claim = match (op, dice.next_u32() & 1) {
        (Op::Write { .. }, _) => Answer::Stored,
        (_, 0) => Answer::Empty,
        _ => Answer::Expired,
    };
    Some(match dice.next_u32() % 6 {
        0 => return None,
        1 => rubbish(dice, 1_900),
        2 => SignedAnswer::unsigned(claim, now).to_wire(),
        3 => SignedAnswer::sign(stranger, about?, claim, now).to_wire(),
        4 => SignedAnswer::sign(stranger, BoxId::random(dice), claim, now).to_wire(),
        _ => SignedAnswer::unsigned(Answer::Refused(Refusal::Busy), now).to_wire(),
    })
}
