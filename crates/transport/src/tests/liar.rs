//! A store that answers everything with lies.

use xchat_base::{Rng, Secret, Timestamp, Wire};
use xchat_directory::NodeId;
use xchat_pigeonhole::{Answer, AnswerKey, Op, Request, SealedBox, SignedAnswer};
use xchat_sphinx::{HopSecret, NodeFrame, ReplyBlock, Unwrapped, unwrap};

use super::fixture::{Fixture, boxes};

/// How it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// The right claim, signed by somebody else.
    OtherKey,
    /// The right claim without a signature.
    Unsigned,
    /// A claim about another box.
    OtherBox,
    /// Its own signature under a box that its writer never signed.
    ForgedBox,
    /// Bytes that are no answer.
    Rubbish,
}

pub(super) struct Liar {
    hop: HopSecret,
    key: AnswerKey,
    lie: Lie,
    first_mixes: Vec<NodeId>,
}

impl Liar {
    pub(super) fn new(fixture: &Fixture, store: &NodeId, lie: Lie) -> Self {
        let node = fixture.node(store);
        let first_mixes = fixture.document.mixes(1).map(|mix| mix.id).collect();
        Self { hop: node.hop_secret(), key: node.answer_key(), lie, first_mixes }
    }

    pub(super) fn packet(
        &self,
        bytes: &[u8],
        now: Timestamp,
        _rng: &mut Rng,
    ) -> Option<(NodeId, Vec<u8>)> {
        let frame = NodeFrame::from_bytes(bytes).ok()?;
        let Unwrapped::Request { message } = unwrap(&self.hop, &frame.packet).ok()?.unwrapped
        else {
            return None;
        };
        let Request { reply, op } = Request::from_wire(&message).ok()?;
        let answer = self.answer(op, now)?;
        let (first, packet) = ReplyBlock::from_bytes(&reply).ok()?.use_for(&answer).ok()?;
        let mix = *self.first_mixes.iter().find(|id| id.tag() == *first.node_tag().as_bytes())?;
        Some((mix, NodeFrame::to_node(packet).to_bytes()))
    }

    fn answer(&self, op: Op, now: Timestamp) -> Option<Vec<u8>> {
        let (id, truth) = match op {
            Op::Write { boxed, .. } => (boxed.id(), Answer::Stored),
            Op::Read { id, .. } => (id, Answer::Empty),
            Op::Register { id, .. } => (id, Answer::Registered { life: 1 }),
            _ => return None,
        };
        let signed = match self.lie {
            Lie::OtherKey => {
                let other = AnswerKey::from_seed(&Secret::new([0xee; 32]));
                SignedAnswer::sign(&other, id, truth, now)
            }
            Lie::Unsigned => SignedAnswer::unsigned(truth, now),
            Lie::OtherBox => SignedAnswer::sign(&self.key, boxes(200, 1)[0].id(), truth, now),
            Lie::ForgedBox => {
                let mut bytes = boxes(200, 1)[0].to_bytes();
                bytes[..32].copy_from_slice(id.as_bytes());
                let forged = SealedBox::from_bytes(&bytes).ok()?;
                SignedAnswer::sign(&self.key, id, Answer::Found(forged), now)
            }
            Lie::Rubbish => return Some(vec![7; 100]),
        };
        Some(signed.to_wire())
    }
}
