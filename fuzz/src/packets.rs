//! Sphinx packets and blocks.

use std::sync::OnceLock;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Rng, Secret};
use xchat_sphinx::{
    CollectorSession, DELIVERY_BLOCK_LEN, Delays, DeliveryBlock, HOPS, Hop, HopAddress, HopKey,
    HopSecret, MESSAGE_LEN, NodeTag, PACKET_LEN, Packet, REPLY_BLOCK_LEN, ReplyBlock, Route,
    SurbId, Unwrapped, build, delivery_block, reply_block, unwrap,
};

use crate::{Bytes, Target};

/// Held up nowhere.
pub(crate) const AT_ONCE: Delays = [Duration::ZERO; HOPS];

pub(crate) fn hop(n: u8) -> HopSecret {
    HopSecret::from_secret(&Secret::new([n; 32]))
}

fn address(n: u8) -> HopAddress {
    HopAddress::node(NodeTag::from_bytes([n; 16]))
}

/// Three hops of our own, and this one.
fn route_to(last: Hop) -> Route {
    let own = |n| Hop { address: address(n), key: hop(n).public() };
    [own(1), own(2), own(3), last]
}

/// A packet with this message as it reaches the hop whose key this is.
pub(crate) fn at_last_hop(
    rng: &mut Rng,
    to: HopAddress,
    key: HopKey,
    message: &[u8],
) -> Option<Packet> {
    let route = route_to(Hop { address: to, key });
    let mut packet = build(rng, &route, &AT_ONCE, message).ok()?;
    for n in 1..=3 {
        let Unwrapped::Forward { packet: inner, .. } = unwrap(&hop(n), &packet).ok()?.unwrapped
        else {
            return None;
        };
        packet = inner;
    }
    Some(packet)
}

/// A reply block through these mixes, whose replies lead nowhere.
pub(crate) fn block(rng: &mut Rng, route: &Route) -> ReplyBlock {
    reply_block(rng, route, &AT_ONCE).expect("builds").0
}

// --- unwrapping -----------------------------------------------------------------------------------

pub(crate) const UNWRAP: Target =
    Target { name: "unwrap", body: unwrap_any, seeds: unwrap_seeds, tries: 3_000 };

fn unwrap_any(input: &[u8]) {
    let mut input = Bytes::new(input);
    let secret = hop(1 + input.u8() % 4);
    let mut bytes = input.rest().to_vec();
    let fits = bytes.len() == PACKET_LEN;
    assert_eq!(Packet::from_bytes(&bytes).is_ok(), fits);
    bytes.resize(PACKET_LEN, 0);
    let packet = Packet::from_bytes(&bytes).expect("resized");
    let Ok(opened) = unwrap(&secret, &packet) else { return };
    match opened.unwrapped {
        Unwrapped::Request { message } | Unwrapped::Delivery { message, .. } => {
            assert!(message.len() <= MESSAGE_LEN);
        }
        Unwrapped::Forward { .. } | Unwrapped::Reply { .. } => {}
    }
    let again = unwrap(&secret, &packet).expect("it opened before");
    assert_eq!(again.replay_tag, opened.replay_tag, "a replay is known by its tag");
}

fn unwrap_seeds() -> Vec<Vec<u8>> {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let last = Hop { address: address(4), key: hop(4).public() };
    let route = route_to(last);
    let whole = build(&mut rng, &route, &AT_ONCE, b"a request").expect("builds");
    let peeled = at_last_hop(&mut rng, last.address, last.key, b"a request").expect("builds");
    let session = CollectorSession::from_bytes([7; 32]);
    let id = SurbId::from_bytes([8; 16]);
    let delivery = delivery_block(&mut rng, &route, &AT_ONCE, session, id).expect("builds");
    let (_, delivery) = delivery.use_for(b"an item").expect("fits");
    let (_, reply) = block(&mut rng, &route).use_for(b"an answer").expect("fits");
    let seed = |n: u8, packet: &Packet| [&[n - 1][..], packet.as_bytes()].concat();
    vec![seed(1, &whole), seed(4, &peeled), seed(1, &delivery), seed(1, &reply)]
}

// --- blocks ---------------------------------------------------------------------------------------

pub(crate) const BLOCKS: Target =
    Target { name: "blocks", body: blocks, seeds: block_seeds, tries: 5_000 };

fn blocks(input: &[u8]) {
    let mut input = Bytes::new(input);
    let kind = input.u8();
    let message = input.short().to_vec();
    let mut bytes = input.rest().to_vec();
    let made = if kind.is_multiple_of(2) {
        bytes.resize(REPLY_BLOCK_LEN, 0);
        ReplyBlock::from_bytes(&bytes).expect("resized").use_for(&message)
    } else {
        bytes.resize(DELIVERY_BLOCK_LEN, 0);
        DeliveryBlock::from_bytes(&bytes).expect("resized").use_for(&message)
    };
    if let Ok((_, packet)) = made {
        let _ = unwrap(&hop(1), &packet);
    }
}

fn block_seeds() -> Vec<Vec<u8>> {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let made = SEEDS.get_or_init(|| {
        let mut rng = ChaCha20Rng::seed_from_u64(6);
        let route = route_to(Hop { address: address(4), key: hop(4).public() });
        let session = CollectorSession::from_bytes([7; 32]);
        let id = SurbId::from_bytes([8; 16]);
        let reply = block(&mut rng, &route);
        let delivery = delivery_block(&mut rng, &route, &AT_ONCE, session, id).expect("builds");
        vec![
            [&[0, 2, 1, 1][..], reply.as_bytes()].concat(),
            [&[1, 2, 1, 1][..], delivery.as_bytes()].concat(),
        ]
    });
    made.clone()
}
