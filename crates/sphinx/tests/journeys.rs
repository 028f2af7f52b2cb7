//! Packets on their whole way, through the public interface alone.

// Clippy knows tests inside the crate, not the helpers of an integration test.
#![allow(clippy::panic)]

use core::time::Duration;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use xchat_sphinx::{
    BuildError, CollectorSession, DELIVERY_BLOCK_LEN, Delays, DeliveryBlock, HOPS, Hop, HopAddress,
    HopSecret, MESSAGE_LEN, NodeTag, PACKET_LEN, Packet, REPLY_BLOCK_LEN, ReplayTag, ReplyBlock,
    ReplyTag, Route, SurbId, UnwrapError, Unwrapped, build, delivery_block, loop_packet,
    reply_block, unwrap,
};

const DELAYS: Delays = [
    Duration::from_millis(50),
    Duration::from_nanos(1),
    Duration::from_secs(3),
    Duration::from_secs(1_000_000),
];

/// Three mixes and the one behind them.
struct Path {
    secrets: [HopSecret; HOPS],
    route: Route,
}

impl Path {
    fn new(rng: &mut ChaCha20Rng, last: HopAddress) -> Self {
        let secrets = [(); HOPS].map(|()| HopSecret::random(rng));
        let mut route = secrets.each_ref().map(|secret| Hop {
            address: HopAddress::node(NodeTag::random(rng)),
            key: secret.public(),
        });
        route[HOPS - 1].address = last;
        Self { secrets, route }
    }

    fn to_store(rng: &mut ChaCha20Rng) -> Self {
        let store = HopAddress::node(NodeTag::random(rng));
        Self::new(rng, store)
    }

    fn to_client(rng: &mut ChaCha20Rng) -> Self {
        let client = HopAddress::client(NodeTag::random(rng), ReplyTag::random(rng));
        Self::new(rng, client)
    }

    /// Through the three mixes: what the last hop gets, and everybody's replay tags. Checks on the
    /// way that each mix sees its own delay and the next hop's address, and no packet twice.
    fn travel(&self, packet: Packet) -> (Packet, Vec<ReplayTag>) {
        let mut packet = packet;
        let mut tags = Vec::new();
        for (hop, wait) in DELAYS.iter().enumerate().take(HOPS - 1) {
            let processed = unwrap(&self.secrets[hop], &packet).expect("a mix opens its layer");
            let Unwrapped::Forward { next, delay, packet: inner } = processed.unwrapped else {
                panic!("hop {hop} is not the last");
            };
            assert_eq!(next, self.route[hop + 1].address);
            assert_eq!(delay, *wait);
            assert_ne!(inner.as_bytes()[..348], packet.as_bytes()[..348]);
            assert_ne!(inner.as_bytes()[348..], packet.as_bytes()[348..]);
            tags.push(processed.replay_tag);
            packet = inner;
        }
        (packet, tags)
    }

    fn arrive(&self, packet: Packet) -> Result<Unwrapped, UnwrapError> {
        let (packet, mut tags) = self.travel(packet);
        let processed = unwrap(&self.secrets[HOPS - 1], &packet)?;
        tags.push(processed.replay_tag);
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), HOPS, "every hop has a tag of its own");
        Ok(processed.unwrapped)
    }
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

#[test]
fn a_request_reaches_the_store_and_its_answer_comes_back() {
    let rng = &mut rng(1);
    let (there, back) = (Path::to_store(rng), Path::to_client(rng));
    let (block, key) = reply_block(rng, &back.route, &DELAYS).expect("builds");
    let message = [block.as_bytes().as_slice(), b"what is in this box?"].concat();
    let packet = build(rng, &there.route, &DELAYS, &message).expect("builds");

    let Ok(Unwrapped::Request { message: arrived }) = there.arrive(packet) else {
        panic!("the store gets a request");
    };
    assert_eq!(arrived, message);

    let block = ReplyBlock::from_bytes(&arrived[..REPLY_BLOCK_LEN]).expect("the length is right");
    let (first, packet) = block.use_for(&[7; MESSAGE_LEN]).expect("fits");
    assert_eq!(first, back.route[0].address);
    let Ok(Unwrapped::Reply { id, payload }) = back.arrive(packet) else {
        panic!("the client gets a reply");
    };
    assert_eq!(id, key.id());
    assert_eq!(key.recover(payload).expect("it is the client's"), [7; MESSAGE_LEN]);
}

#[test]
fn a_delivery_reaches_the_collector_readable() {
    let rng = &mut rng(2);
    let path = Path::to_store(rng);
    let (session, id) = (CollectorSession::random(rng), SurbId::random(rng));
    let block = delivery_block(rng, &path.route, &DELAYS, session, id).expect("builds");
    assert_eq!(block.as_bytes().len(), DELIVERY_BLOCK_LEN);

    let block = DeliveryBlock::from_bytes(block.as_bytes()).expect("the length is right");
    let (first, packet) = block.use_for(b"sealed by the store").expect("fits");
    assert_eq!(first, path.route[0].address);
    let arrived = path.arrive(packet).expect("opens");
    let Unwrapped::Delivery { session: got_session, id: got_id, message } = arrived else {
        panic!("the collector gets a delivery");
    };
    assert_eq!((got_session, got_id), (session, id));
    assert_eq!(message, b"sealed by the store");
}

#[test]
fn a_loop_comes_back_as_a_reply() {
    let rng = &mut rng(3);
    let path = Path::to_client(rng);
    let (first, packet, key) = loop_packet(rng, &path.route, &DELAYS).expect("builds");
    assert_eq!(first, path.route[0].address);
    let Ok(Unwrapped::Reply { id, payload }) = path.arrive(packet) else {
        panic!("the client gets its loop");
    };
    assert_eq!(id, key.id());
    assert_eq!(key.recover(payload).expect("own"), b"");
}

#[test]
fn meanings_of_the_destination_cannot_be_mixed_up() {
    let rng = &mut rng(4);
    let path = Path::to_store(rng);
    let id = SurbId::random(rng);
    for session in [[0; 32], [0xff; 32]].map(CollectorSession::from_bytes) {
        let refused = delivery_block(rng, &path.route, &DELAYS, session, id);
        assert_eq!(refused.err(), Some(BuildError::Reserved));
    }
    let session = CollectorSession::random(rng);
    let zero = SurbId::from_bytes([0; 16]);
    let refused = delivery_block(rng, &path.route, &DELAYS, session, zero);
    assert_eq!(refused.err(), Some(BuildError::Reserved));
}

#[test]
fn a_changed_payload_is_refused_where_it_is_opened() {
    let rng = &mut rng(5);
    let tamper = |packet: &Packet| {
        let mut bytes = *packet.as_bytes();
        bytes[PACKET_LEN - 1] ^= 1;
        Packet::from_bytes(&bytes).expect("the length is right")
    };
    let path = Path::to_store(rng);
    let packet = build(rng, &path.route, &DELAYS, b"request").expect("builds");
    assert_eq!(path.arrive(tamper(&packet)).expect_err("garbage"), UnwrapError::Payload);

    let (session, id) = (CollectorSession::random(rng), SurbId::random(rng));
    let block = delivery_block(rng, &path.route, &DELAYS, session, id).expect("builds");
    let (_, packet) = block.use_for(b"item").expect("fits");
    assert_eq!(path.arrive(tamper(&packet)).expect_err("garbage"), UnwrapError::Payload);

    let path = Path::to_client(rng);
    let (_, packet, key) = loop_packet(rng, &path.route, &DELAYS).expect("builds");
    let Ok(Unwrapped::Reply { payload, .. }) = path.arrive(tamper(&packet)) else {
        panic!("sealed: the change shows when it is opened");
    };
    assert_eq!(key.recover(payload).expect_err("garbage"), UnwrapError::Payload);
}

#[test]
fn another_key_opens_neither_packet_nor_reply() {
    let rng = &mut rng(6);
    let path = Path::to_client(rng);
    let (_, packet, key) = loop_packet(rng, &path.route, &DELAYS).expect("builds");
    let (_, _, other) = loop_packet(rng, &path.route, &DELAYS).expect("builds");
    let wrong = unwrap(&path.secrets[1], &packet);
    assert_eq!(wrong.expect_err("not its layer"), UnwrapError::Header);
    let Ok(Unwrapped::Reply { id, payload }) = path.arrive(packet) else {
        panic!("the client gets its loop");
    };
    assert_eq!(id, key.id());
    assert_ne!(id, other.id());
    assert_eq!(other.recover(payload).expect_err("another block's"), UnwrapError::Payload);
}

#[test]
fn everything_has_its_one_size() {
    let rng = &mut rng(7);
    let path = Path::to_store(rng);
    for len in [0, 1, 1000, MESSAGE_LEN] {
        let packet = build(rng, &path.route, &DELAYS, &vec![1; len]).expect("fits");
        assert_eq!(packet.as_bytes().len(), PACKET_LEN);
    }
    let long = vec![0; MESSAGE_LEN + 1];
    let refused = Some(BuildError::MessageTooLong { len: MESSAGE_LEN + 1 });
    assert_eq!(build(rng, &path.route, &DELAYS, &long).err(), refused);
    let (block, _) = reply_block(rng, &path.route, &DELAYS).expect("builds");
    assert_eq!(block.use_for(&long).err(), refused);

    let short = Some(BuildError::Length { got: 5, want: PACKET_LEN });
    assert_eq!(Packet::from_bytes(&[0; 5]).err(), short);
    assert!(ReplyBlock::from_bytes(&[0; REPLY_BLOCK_LEN + 1]).is_err());
    assert!(DeliveryBlock::from_bytes(&[0; DELIVERY_BLOCK_LEN - 1]).is_err());
}

#[test]
fn delays_beyond_the_format_are_cut_and_the_last_is_not_carried() {
    let rng = &mut rng(8);
    let path = Path::to_store(rng);
    let delays = [Duration::MAX; HOPS];
    let packet = build(rng, &path.route, &delays, b"").expect("builds");
    let processed = unwrap(&path.secrets[0], &packet).expect("opens");
    let Unwrapped::Forward { delay, .. } = processed.unwrapped else {
        panic!("the first hop is a mix");
    };
    assert_eq!(delay, Duration::from_nanos(u64::MAX));
}

#[test]
fn no_mix_can_tell_one_kind_of_packet_from_another() {
    // What a mix gets to see beside the ciphertext is its own unwrapped view: the same shape for all.
    let rng = &mut rng(9);
    let path = Path::to_client(rng);
    let (session, id) = (CollectorSession::random(rng), SurbId::random(rng));
    let request = build(rng, &path.route, &DELAYS, b"m").expect("builds");
    let (block, _) = reply_block(rng, &path.route, &DELAYS).expect("builds");
    let reply = block.use_for(b"m").expect("fits").1;
    let block = delivery_block(rng, &path.route, &DELAYS, session, id).expect("builds");
    let delivery = block.use_for(b"m").expect("fits").1;
    for packet in [request, reply, delivery] {
        // `unwrap` refuses every version but one, so passing all mixes means carrying it.
        let (last, tags) = path.travel(packet);
        assert_eq!((last.as_bytes().len(), tags.len()), (PACKET_LEN, HOPS - 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_message_arrives_as_it_was(
        seed: u64,
        message in prop::collection::vec(any::<u8>(), 0..=MESSAGE_LEN),
    ) {
        let rng = &mut rng(seed);
        let path = Path::to_store(rng);
        let packet = build(rng, &path.route, &DELAYS, &message).expect("fits");
        let Ok(Unwrapped::Request { message: arrived }) = path.arrive(packet) else {
            panic!("the store gets a request");
        };
        prop_assert_eq!(arrived, message);
    }

    #[test]
    fn arbitrary_blocks_never_panic(
        reply in prop::collection::vec(any::<u8>(), REPLY_BLOCK_LEN),
        delivery in prop::collection::vec(any::<u8>(), DELIVERY_BLOCK_LEN),
    ) {
        let rng = &mut rng(0);
        let secret = HopSecret::random(rng);
        let reply = ReplyBlock::from_bytes(&reply).expect("the length is right");
        let delivery = DeliveryBlock::from_bytes(&delivery).expect("the length is right");
        for (_, packet) in [reply.use_for(b"m").expect("fits"), delivery.use_for(b"m").expect("fits")] {
            prop_assert!(unwrap(&secret, &packet).is_err());
        }
    }
}
