//! The vectors of `spec/vectors/packets.json`: fixed packets, because a header's padding makes no two
//! alike, against which another implementation or another version of the library can be held.

use core::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use xchat_base::{Secret, id};

use crate::surb::ReplyKey;
use crate::*;

const TEXT: &str = include_str!("../../../spec/vectors/packets.json");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/packets.json");
const DELAYS: Delays =
    [Duration::from_millis(50), Duration::from_nanos(1), Duration::from_secs(3), Duration::ZERO];

#[derive(Debug, Serialize, Deserialize)]
struct Vectors {
    hop_secrets: [String; HOPS],
    addresses: [HopAddress; HOPS],
    delays_ns: [u64; 3],
    request: Journey,
    reply_block: String,
    /// Identifier and the four seeds.
    reply_key: String,
    reply: Journey,
    session: CollectorSession,
    delivery_id: SurbId,
    delivery_block: String,
    delivery: Journey,
}

#[derive(Debug, Serialize, Deserialize)]
struct Journey {
    message: String,
    packet: String,
    replay_tags: [ReplayTag; HOPS],
}

fn bytes(text: &str) -> Vec<u8> {
    let mut out = vec![0; text.len() / 2];
    id::unhex(text, &mut out).expect("hexadecimal");
    out
}

fn secrets(vectors: &Vectors) -> [HopSecret; HOPS] {
    vectors
        .hop_secrets
        .each_ref()
        .map(|text| HopSecret::from_secret(&Secret::from_slice(&bytes(text)).expect("32 bytes")))
}

/// What the last hop finds, and the hops' replay tags.
fn travel(secrets: &[HopSecret; HOPS], packet: &Packet) -> (Unwrapped, [ReplayTag; HOPS]) {
    let mut packet = packet.clone();
    let mut tags = Vec::new();
    for secret in secrets {
        let Processed { replay_tag, unwrapped } = unwrap(secret, &packet).expect("opens");
        tags.push(replay_tag);
        match unwrapped {
            Unwrapped::Forward { packet: inner, .. } => packet = inner,
            last => return (last, tags.try_into().expect("four hops")),
        }
    }
    panic!("four hops and not at its end");
}

#[test]
fn the_packets_of_the_specification_open_as_it_says() {
    let vectors: Vectors = serde_json::from_str(TEXT).expect("the file is good");
    let secrets = secrets(&vectors);
    let arrive = |journey: &Journey| {
        let packet = Packet::from_bytes(&bytes(&journey.packet)).expect("the length is right");
        let (last, tags) = travel(&secrets, &packet);
        assert_eq!(tags, journey.replay_tags);
        last
    };
    let Unwrapped::Forward { next, delay, .. } =
        unwrap(&secrets[1], &second_hop(&secrets, &vectors)).expect("opens").unwrapped
    else {
        panic!("the second hop is a mix");
    };
    assert_eq!(next, vectors.addresses[2]);
    assert_eq!(delay, Duration::from_nanos(vectors.delays_ns[1]));

    let Unwrapped::Request { message } = arrive(&vectors.request) else { panic!("a request") };
    assert_eq!(message, bytes(&vectors.request.message));
    let Unwrapped::Reply { id, payload } = arrive(&vectors.reply) else { panic!("a reply") };
    let key = ReplyKey::from_bytes(&bytes(&vectors.reply_key)).expect("the length is right");
    assert_eq!(id, key.id());
    assert_eq!(key.recover(payload).expect("its key"), bytes(&vectors.reply.message));
    let Unwrapped::Delivery { session, id, message } = arrive(&vectors.delivery) else {
        panic!("a delivery")
    };
    assert_eq!((session, id), (vectors.session, vectors.delivery_id));
    assert_eq!(message, bytes(&vectors.delivery.message));
}

fn second_hop(secrets: &[HopSecret; HOPS], vectors: &Vectors) -> Packet {
    let packet = Packet::from_bytes(&bytes(&vectors.request.packet)).expect("the length is right");
    match unwrap(&secrets[0], &packet).expect("opens").unwrapped {
        Unwrapped::Forward { packet, .. } => packet,
        _ => panic!("the first hop is a mix"),
    }
}

#[test]
fn blocks_make_exactly_the_packets_of_the_specification() {
    let vectors: Vectors = serde_json::from_str(TEXT).expect("the file is good");
    let reply = ReplyBlock::from_bytes(&bytes(&vectors.reply_block)).expect("the length is right");
    let made = reply.use_for(&bytes(&vectors.reply.message)).expect("fits");
    assert_eq!((made.0, id::hex(made.1.as_bytes())), (vectors.addresses[0], vectors.reply.packet));
    let delivery = bytes(&vectors.delivery_block);
    let delivery = DeliveryBlock::from_bytes(&delivery).expect("the length is right");
    let made = delivery.use_for(&bytes(&vectors.delivery.message)).expect("fits");
    let expected = (vectors.addresses[0], vectors.delivery.packet);
    assert_eq!((made.0, id::hex(made.1.as_bytes())), expected);
}

#[test]
#[ignore = "writes spec/vectors/packets.json anew"]
#[allow(clippy::disallowed_methods)]
fn write_the_vectors() {
    let rng = &mut ChaCha20Rng::seed_from_u64(6);
    let secrets = [(); HOPS].map(|()| HopSecret::random(rng));
    let mut route = secrets.each_ref().map(|secret| Hop {
        address: HopAddress::node(NodeTag::random(rng)),
        key: secret.public(),
    });
    route[HOPS - 1].address = HopAddress::client(NodeTag::random(rng), ReplyTag::random(rng));
    let journey = |message: &[u8], packet: &Packet| Journey {
        message: id::hex(message),
        packet: id::hex(packet.as_bytes()),
        replay_tags: travel(&secrets, packet).1,
    };
    let request = build(rng, &route, &DELAYS, b"a request").expect("fits");
    let (block, key) = reply_block(rng, &route, &DELAYS).expect("builds");
    let reply_block = id::hex(block.as_bytes());
    let reply = block.use_for(b"its reply").expect("fits").1;
    let (session, delivery_id) = (CollectorSession::random(rng), SurbId::random(rng));
    let block = delivery_block(rng, &route, &DELAYS, session, delivery_id).expect("builds");
    let delivery_block = id::hex(block.as_bytes());
    let delivery = block.use_for(b"an item").expect("fits").1;
    let vectors = Vectors {
        hop_secrets: secrets.each_ref().map(|secret| id::hex(secret.to_secret().expose())),
        addresses: route.map(|hop| hop.address),
        delays_ns: [0, 1, 2].map(|i: usize| DELAYS[i].as_nanos() as u64),
        request: journey(b"a request", &request),
        reply_block,
        reply_key: id::hex(&key.recovery_bytes()),
        reply: journey(b"its reply", &reply),
        session,
        delivery_id,
        delivery_block,
        delivery: journey(b"an item", &delivery),
    };
    let text = serde_json::to_string_pretty(&vectors).expect("plain strings");
    std::fs::write(FILE, text + "\n").expect("the file can be written");
}
