//! A mix of the first layer, real packets and everything else.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::Timestamp;
use xchat_directory::{Descriptor, NodeId};
use xchat_node::Mix;
use xchat_node::mix::{Effect, Input, MAX_DELAYED};
use xchat_simnet::network::{Core, Founded, Shape, found};
use xchat_sphinx::{HOPS, Hop, HopAddress, HopKey, NodeFrame, Packet, ReplyTag, Route, build};

use crate::gateway::tag;
use crate::parsers::NOW;
use crate::{Bytes, Target};

pub(crate) const MIX: Target = Target { name: "mix", body: mix, seeds, tries: 400 };

/// Packets that an input can name again.
const KEPT: usize = 16;

struct Watched {
    core: Mix,
    peers: Vec<Descriptor>,
    rng: ChaCha20Rng,
    now: Timestamp,
    sent: Vec<Packet>,
    /// Honest packets that were handed in, each counted once however often it came.
    genuine: u64,
    forwarded: u64,
}

/// The hop of a node, as the document has it.
pub(crate) fn hop_of(node: &Descriptor) -> Option<Hop> {
    let key = HopKey::from_bytes(node.hop_keys.first()?.key);
    Some(Hop { address: HopAddress::node(tag(&node.id)), key })
}

fn start() -> Watched {
    let mut rng = ChaCha20Rng::seed_from_u64(10);
    let shape = Shape { gateways: 1, stores: 3, ..Shape::default() };
    let Founded { document, nodes, .. } = found(&shape, NOW, &mut rng);
    let peers = document.descriptors.clone();
    let core = nodes.into_values().find_map(|node| match node.core {
        Core::Mix(core) if core.layer() == Some(1) => Some(core),
        _ => None,
    });
    let core = core.expect("every layer has one");
    Watched { core, peers, rng, now: NOW, sent: Vec::new(), genuine: 0, forwarded: 0 }
}

impl Watched {
    fn handle(&mut self, input: Input) {
        for effect in self.core.handle(input, self.now, &mut self.rng) {
            if let Effect::ToNode { to, bytes } = effect {
                self.forwarded += 1;
                let behind = self.core.document().node(&to).is_some_and(|node| node.is_mix_of(2));
                assert!(behind, "packets of the first layer go to the second");
                assert!(
                    NodeFrame::from_bytes(&bytes).is_ok_and(|frame| frame.tag == ReplyTag::NONE)
                );
            }
        }
        let counters = self.core.counters();
        assert!(counters.waiting <= MAX_DELAYED as u64);
        assert!(counters.remembered <= counters.received);
        assert!(self.forwarded <= self.genuine, "a packet left twice, or a forged one");
    }

    /// A packet along the real mixes; any of its hops may be another node than belongs there.
    fn genuine(&mut self, input: &mut Bytes<'_>) -> Option<Packet> {
        let mix = |layer| self.peers.iter().find(|node| node.is_mix_of(layer));
        let store = self.peers.iter().find(|node| node.is_store())?;
        let mut hops = [mix(1)?, mix(2)?, mix(3)?, store];
        if input.u8().is_multiple_of(4) {
            hops[1 + input.index(3)] = &self.peers[input.index(self.peers.len())];
        }
        let mut route = Vec::new();
        for node in hops {
            route.push(hop_of(node)?);
        }
        let route: Route = route.try_into().ok()?;
        let delays = [(); HOPS].map(|()| Duration::from_millis(u64::from(input.u16())));
        build(&mut self.rng, &route, &delays, b"through the mixes").ok()
    }

    fn act(&mut self, input: &mut Bytes<'_>) {
        let what = input.u8();
        let from = self.peers.get(input.index(self.peers.len() + 1)).map(|peer| peer.id);
        let from = from.unwrap_or_else(|| NodeId::from_bytes([0; 32]));
        match what % 6 {
            0 | 1 => {
                let Some(packet) = self.genuine(input) else { return };
                self.genuine += 1;
                if self.sent.len() < KEPT {
                    self.sent.push(packet.clone());
                }
                let bytes = NodeFrame::to_node(packet).to_bytes();
                self.handle(Input::NodeFrame { from, bytes });
            }
            2 | 3 if !self.sent.is_empty() => {
                // A replay, or one that was changed on its way: neither is forwarded once more.
                let packet = self.sent[input.index(self.sent.len())].clone();
                let bytes = input.edit(&NodeFrame::to_node(packet).to_bytes());
                self.handle(Input::NodeFrame { from, bytes });
            }
            4 => {
                let bytes = input.long().to_vec();
                self.handle(Input::NodeFrame { from, bytes });
            }
            _ => {
                self.now = self.now + Duration::from_millis(u64::from(input.u16()));
                self.handle(Input::Timer);
            }
        }
    }
}

fn mix(input: &[u8]) {
    let mut input = Bytes::new(input);
    let mut watched = start();
    while !input.is_empty() {
        watched.act(&mut input);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![
            0, 0, 1, 0, 9, 0, 9, 0, 9, 0, 9, 2, 0, 0, 0, 5, 0, 0, 60, 2, 0, 0, 1, 1, 200, 5, 5, 5,
            0, 200,
        ],
        vec![0, 0, 0, 1, 2, 0, 9, 0, 9, 0, 9, 0, 9, 4, 0, 0, 3, 1, 2, 3, 5, 0, 255, 255],
        vec![0, 0, 1, 255, 255, 0, 0, 0, 0, 0, 0, 5, 0, 255, 255, 2, 3, 0, 0],
    ]
}
