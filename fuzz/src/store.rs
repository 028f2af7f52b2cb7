//! A store, whatever lies in its packets and whatever other stores say.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Secret, Timestamp, Wire};
use xchat_directory::{Descriptor, NodeId};
use xchat_node::Store;
use xchat_node::store::{Effect, Input};
use xchat_pigeonhole::register::{MemoryTable, ReplicaMessage, TableMessage};
use xchat_pigeonhole::{DeliveryKey, Lane, Op, Request, SealedBox, Ticket};
use xchat_simnet::network::{Core, Founded, Shape, found};
use xchat_sphinx::{
    CollectorSession, Hop, NodeFrame, Packet, ReplyTag, Route, SurbId, delivery_block,
};

use crate::mix::hop_of;
use crate::packets::{AT_ONCE, at_last_hop, block};
use crate::parsers::{NOW, id};
use crate::{Bytes, Target};

pub(crate) const STORE: Target = Target { name: "store", body: store, seeds, tries: 150 };

/// Boxes that an input can name.
const BOXES: u8 = 4;

/// Messages of other stores that an input can come back to.
const KEPT: usize = 32;

struct Watched {
    core: Store<MemoryTable>,
    own: Descriptor,
    peers: Vec<Descriptor>,
    rng: ChaCha20Rng,
    now: Timestamp,
    /// What it said to other stores.
    said: Vec<(NodeId, Vec<u8>)>,
    requests: u64,
}

fn start() -> Watched {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let shape = Shape { gateways: 1, stores: 3, ..Shape::default() };
    let Founded { document, nodes, .. } = found(&shape, NOW, &mut rng);
    let peers = document.descriptors.clone();
    let found = nodes.into_iter().find_map(|(id, node)| match node.core {
        Core::Store(core) => Some((id, core)),
        _ => None,
    });
    let (id, core) = found.expect("the shape has three");
    let own = document.node(&id).expect("it is listed").clone();
    Watched { core, own, peers, rng, now: NOW, said: Vec::new(), requests: 0 }
}

/// Two contents of a box, each always the same bytes.
fn boxed(n: u8, content: u8) -> SealedBox {
    let keys = Lane::new(Secret::new([n; 32])).keys();
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(content % 2));
    keys.seal(&mut rng, &[content % 2]).expect("short")
}

impl Watched {
    fn handle(&mut self, input: Input) {
        for effect in self.core.handle(input, self.now, &mut self.rng) {
            match effect {
                Effect::ToNode { to, bytes } => {
                    let first =
                        self.core.document().node(&to).is_some_and(|node| node.is_mix_of(1));
                    assert!(first, "answers go to mixes of the first layer");
                    assert!(NodeFrame::from_bytes(&bytes).is_ok());
                }
                Effect::ToReplica { to, bytes } => {
                    assert!(to != self.own.id, "a store talks to others");
                    let readable = ReplicaMessage::from_wire(&bytes).is_ok()
                        || TableMessage::from_wire(&bytes).is_ok();
                    assert!(readable, "another store cannot read this");
                    if self.said.len() < KEPT {
                        self.said.push((to, bytes));
                    }
                }
                _ => {}
            }
        }
        let counters = self.core.counters();
        assert!(counters.answered <= self.requests, "more answers than questions");
        assert!(counters.pending <= self.requests && counters.registrations <= self.requests);
        assert!(counters.items <= counters.items_kept);
    }

    fn mixes(&self) -> Option<Route> {
        let mix = |layer| self.peers.iter().find(|node| node.is_mix_of(layer));
        let store = self.peers.iter().find(|node| node.is_store() && node.id != self.own.id);
        let hops = [mix(1)?, mix(2)?, mix(3)?, store?].map(hop_of);
        let [Some(a), Some(b), Some(c), Some(d)] = hops else { return None };
        Some([a, b, c, d])
    }

    fn last_mix(&self) -> NodeId {
        let mix = self.peers.iter().find(|node| node.is_mix_of(3));
        mix.expect("every layer has one").id
    }

    fn packet(&mut self, message: &[u8]) -> Option<Packet> {
        let Hop { address, key } = hop_of(&self.own)?;
        at_last_hop(&mut self.rng, address, key, message)
    }

    fn op(&mut self, input: &mut Bytes<'_>) -> Option<Op> {
        let (what, n, content) = (input.u8(), input.u8() % BOXES, input.u8());
        let placement = if content < 250 { 1 } else { u32::from(content) };
        Some(match what % 5 {
            0 => Op::Write {
                placement,
                boxed: boxed(n, content),
                tell: Ticket::from_bytes([9; 16]).tell(),
            },
            1 => {
                let bytes = input.edit(boxed(n, content).as_bytes());
                Op::Write {
                    placement,
                    boxed: SealedBox::from_bytes(&bytes).ok()?,
                    tell: Ticket::from_bytes([9; 16]).tell(),
                }
            }
            2 => Op::Read { placement, id: id(n) },
            3 => {
                let route = self.mixes()?;
                let session = CollectorSession::from_bytes([1 + n; 32]);
                let surb = SurbId::from_bytes([content.max(1); 16]);
                let block = delivery_block(&mut self.rng, &route, &AT_ONCE, session, surb).ok()?;
                Op::Register {
                    placement,
                    id: id(n),
                    delivery: input.edit(block.as_bytes()),
                    delivery_id: *surb.as_bytes(),
                    seal_key: DeliveryKey::from_bytes([n; 32]),
                    lifetime_secs: u32::from(input.u16()),
                }
            }
            _ => Op::Collect { session: [1 + n; 32] },
        })
    }

    fn request(&mut self, op: Op, input: &mut Bytes<'_>) -> Option<()> {
        let route = self.mixes()?;
        let reply = input.edit(block(&mut self.rng, &route).as_bytes());
        let message = Request { reply, op }.to_wire();
        let packet = self.packet(&message)?;
        self.send(packet, input)
    }

    fn send(&mut self, packet: Packet, input: &mut Bytes<'_>) -> Option<()> {
        self.requests += 1;
        let bytes = input.edit(&NodeFrame { tag: ReplyTag::NONE, packet }.to_bytes());
        let from = self.last_mix();
        self.handle(Input::NodeFrame { from, bytes });
        Some(())
    }

    fn act(&mut self, input: &mut Bytes<'_>) -> Option<()> {
        match input.u8() % 8 {
            0..=2 => {
                let op = self.op(input)?;
                self.request(op, input)?;
            }
            3 => {
                let packet = self.packet(input.long())?;
                self.send(packet, input)?;
            }
            4 => {
                let from = self.peers[input.index(self.peers.len())].id;
                let bytes = input.long().to_vec();
                self.requests += 1;
                self.handle(Input::NodeFrame { from, bytes });
            }
            5 if !self.said.is_empty() => {
                // Its own words come back, changed, from one it said them to or from any node.
                let (to, bytes) = self.said[input.index(self.said.len())].clone();
                let from = if input.u8() < 200 { to } else { self.last_mix() };
                let bytes = input.edit(&bytes);
                self.handle(Input::ReplicaFrame { from, bytes });
            }
            6 => {
                let from = self.peers[input.index(self.peers.len())].id;
                let bytes = input.long().to_vec();
                self.handle(Input::ReplicaFrame { from, bytes });
            }
            _ => {
                self.now = self.now + Duration::from_millis(u64::from(input.u16()) * 16);
                self.handle(Input::Timer);
            }
        }
        Some(())
    }
}

fn store(input: &[u8]) {
    let mut input = Bytes::new(input);
    let mut watched = start();
    while !input.is_empty() {
        watched.act(&mut input);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![0, 0, 1, 0, 0, 0, 0, 2, 1, 0, 0, 0, 5, 0, 0, 0, 5, 1, 0, 0, 7, 4, 0, 0, 4, 1, 0, 0, 0],
        vec![0, 3, 2, 5, 0, 14, 16, 0, 0, 0, 4, 2, 0, 0, 0, 7, 255, 255, 0, 2, 2, 0, 0, 0],
        vec![
            3, 0, 4, 1, 2, 3, 4, 0, 4, 0, 0, 3, 9, 9, 9, 6, 9, 0, 3, 1, 1, 1, 0, 1, 1, 1, 1, 0, 9,
            3, 0, 0,
        ],
    ]
}
