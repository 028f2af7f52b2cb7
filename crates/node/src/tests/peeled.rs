//! Packets as they arrive at one hop: the layers before it taken off with the fixture's secrets.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use xchat_directory::NodeId;
use xchat_pigeonhole::{Op, Request};
use xchat_sphinx::{
    CollectorSession, Delays, Hop, HopAddress, HopSecret, NodeFrame, Packet, ReplyKey, ReplyTag,
    Route, SurbId, Unwrapped, build, reply_block, unwrap,
};

use super::fixture::{Fixture, FixtureNode, tag};
use xchat_base::Wire;

fn hop(node: &FixtureNode) -> Hop {
    Hop { address: HopAddress::node(tag(&node.id)), key: node.hop_key() }
}

/// The first mix of each layer and the first store.
pub(crate) fn route(fixture: &Fixture) -> Route {
    let mixes = [1, 2, 3].map(|layer| hop(fixture.mix(layer, 0)));
    [mixes[0], mixes[1], mixes[2], hop(fixture.store(0))]
}

/// The packet as it arrives at hop `at` of a route through nodes of the fixture.
pub(crate) fn packet(
    fixture: &Fixture,
    rng: &mut ChaCha20Rng,
    (route, delays): (&Route, &Delays),
    message: &[u8],
    at: usize,
) -> Packet {
    let mut packet = build(rng, route, delays, message).expect("builds");
    for hop in &route[..at] {
        packet = peel(fixture, &packet, hop);
    }
    packet
}

fn peel(fixture: &Fixture, packet: &Packet, hop: &Hop) -> Packet {
    let node = fixture.nodes.iter().find(|node| node.hop_key() == hop.key).expect("known");
    match unwrap(&node.hop_secret(), packet).expect("for this hop").unwrapped {
        Unwrapped::Forward { packet, .. } => packet,
        other => panic!("not a mix's packet: {other:?}"),
    }
}

/// The frame that brings a message to the first store.
pub(crate) fn frame_to_store(fixture: &Fixture, rng: &mut ChaCha20Rng, message: &[u8]) -> Vec<u8> {
    let route = route(fixture);
    let packet = packet(fixture, rng, (&route, &[Duration::ZERO; 4]), message, 3);
    NodeFrame::to_node(packet).to_bytes()
}

/// A delivery block over the first mixes to the first store.
pub(crate) fn delivery_block(fixture: &Fixture, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let (session, id) = (CollectorSession::from_bytes([1; 32]), SurbId::random(rng));
    let block =
        xchat_sphinx::delivery_block(rng, &route(fixture), &[Duration::ZERO; 4], session, id);
    block.expect("builds").as_bytes().to_vec()
}

/// Who asked, with what it takes to read the answer.
pub(crate) struct Asker {
    hop: HopSecret,
    key: ReplyKey,
}

/// A request for the first store with its way back, and who can read the answer.
pub(crate) fn request(
    fixture: &Fixture,
    rng: &mut ChaCha20Rng,
    gateway: &NodeId,
    op: Op,
) -> (Vec<u8>, Asker) {
    let secret = HopSecret::random(rng);
    let mut back = route(fixture);
    let address = HopAddress::client(tag(gateway), ReplyTag::random(rng));
    back[3] = Hop { address, key: secret.public() };
    let (block, key) = reply_block(rng, &back, &[Duration::ZERO; 4]).expect("builds");
    let message = Request { reply: block.as_bytes().to_vec(), op }.to_wire();
    (message, Asker { hop: secret, key })
}

impl Asker {
    /// Reads an answer's packet as the store sends it to the first mix.
    pub(crate) fn read(&self, fixture: &Fixture, frame: &[u8]) -> Vec<u8> {
        let mut packet = NodeFrame::from_bytes(frame).expect("a frame").packet;
        for hop in &route(fixture)[..3] {
            packet = peel(fixture, &packet, hop);
        }
        match unwrap(&self.hop, &packet).expect("for the client").unwrapped {
            Unwrapped::Reply { payload, .. } => self.key.recover(payload).expect("sealed"),
            other => panic!("not a reply: {other:?}"),
        }
    }
}
