//! Packets that hide nothing and cost nothing: the sizes, the routes, the delays and the draws of the real ones,
//! and no cryptography.
//!
//! ```text
//! header   15 mark ‖ 1 hop ‖ 4 × 32 keys ‖ 3 × 32 addresses ‖ 3 × 8 delays ‖ 32 destination ‖ 16 identifier ‖ zeros
//! payload  2 length ‖ message ‖ zeros
//! ```
//!
//! A node opens only what names its key at the present hop. What nodes and clients do with a packet depends on
//! what is found in it and on draws, both of which are those of the real format: so one seed gives one
//! schedule with either (`testing/simnet/tests/schedule.rs`).

use std::time::Duration;

use xchat_base::{Rng, random};
use xchat_sphinx::{
    BuildError, CollectorSession, DELIVERY_BLOCK_LEN, Delays, DeliveryBlock, HOPS, HopAddress,
    HopKey, HopSecret, MESSAGE_LEN, PACKET_LEN, PAYLOAD_LEN, Packet, PacketFormat, Processed,
    REPLY_BLOCK_LEN, REPLY_KEY_LEN, ReplayTag, ReplyBlock, ReplyKey, Route, SealedReply, SurbId,
    UnwrapError, Unwrapped,
};

/// The stand-in. It is in no crate that ships.
#[derive(Debug, Clone, Copy)]
pub struct Transparent;

const HEADER: usize = PACKET_LEN - PAYLOAD_LEN;
const HOP_AT: usize = 15;
const KEYS_AT: usize = 16;
const ADDRESSES_AT: usize = KEYS_AT + 32 * HOPS;
const DELAYS_AT: usize = ADDRESSES_AT + 32 * (HOPS - 1);
const DESTINATION_AT: usize = DELAYS_AT + 8 * (HOPS - 1);
const IDENTIFIER_AT: usize = DESTINATION_AT + 32;
const _: () = assert!(IDENTIFIER_AT + 16 <= HEADER);
const _: () = assert!(PAYLOAD_LEN - MESSAGE_LEN >= 2);

/// As in the real format.
const REQUEST: [u8; 32] = [0; 32];
const REPLY: [u8; 32] = [0xff; 32];

type Header = [u8; HEADER];

/// A header, marked by what the real format would draw its keys from.
fn header(
    rng: &mut Rng,
    route: &Route,
    delays: &Delays,
    destination: &[u8; 32],
    identifier: &[u8; 16],
) -> Header {
    let drawn: [u8; 32] = random::bytes(rng);
    let mut header = [0; HEADER];
    header[..HOP_AT].copy_from_slice(&drawn[..HOP_AT]);
    for (n, hop) in route.iter().enumerate() {
        put(&mut header, KEYS_AT + 32 * n, hop.key.as_bytes());
        if let Some(before) = n.checked_sub(1) {
            put(&mut header, ADDRESSES_AT + 32 * before, hop.address.as_bytes());
            let nanos = u64::try_from(delays[before].as_nanos()).unwrap_or(u64::MAX);
            put(&mut header, DELAYS_AT + 8 * before, &nanos.to_be_bytes());
        }
    }
    put(&mut header, DESTINATION_AT, destination);
    put(&mut header, IDENTIFIER_AT, identifier);
    header
}

fn put(header: &mut Header, at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}

fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn packet(header: &[u8], message: &[u8]) -> Result<Packet, BuildError> {
    if message.len() > MESSAGE_LEN {
        return Err(BuildError::MessageTooLong { len: message.len() });
    }
    let mut bytes = [0; PACKET_LEN];
    bytes[..HEADER].copy_from_slice(header);
    bytes[HEADER..HEADER + 2].copy_from_slice(&(message.len() as u16).to_be_bytes());
    bytes[HEADER + 2..HEADER + 2 + message.len()].copy_from_slice(message);
    Packet::from_bytes(&bytes)
}

fn message(payload: &[u8; PAYLOAD_LEN]) -> Result<Vec<u8>, UnwrapError> {
    let length = usize::from(u16::from_be_bytes(get(payload, 0)));
    payload.get(2..2 + length).map(<[u8]>::to_vec).ok_or(UnwrapError::Payload)
}

/// `header ‖ first hop ‖ zeros`, as blocks are laid out.
fn block(header: &Header, route: &Route, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[..HEADER].copy_from_slice(header);
    bytes[HEADER..HEADER + 32].copy_from_slice(route[0].address.as_bytes());
    bytes
}

fn use_block(block: &[u8], message: &[u8]) -> Result<(HopAddress, Packet), BuildError> {
    let (header, rest) = block.split_at(HEADER);
    Ok((HopAddress::from_bytes(get(rest, 0)), packet(header, message)?))
}

impl PacketFormat for Transparent {
    fn build(
        &self,
        rng: &mut Rng,
        route: &Route,
        delays: &Delays,
        message: &[u8],
    ) -> Result<Packet, BuildError> {
        packet(&header(rng, route, delays, &REQUEST, &[0; 16]), message)
    }

    fn reply_block(
        &self,
        rng: &mut Rng,
        route: &Route,
        delays: &Delays,
    ) -> Result<(ReplyBlock, ReplyKey), BuildError> {
        let mut id = [0; 16];
        while id == [0; 16] {
            id = random::bytes(rng);
        }
        let header = header(rng, route, delays, &REPLY, &id);
        let mut key = [0; REPLY_KEY_LEN];
        key[..16].copy_from_slice(&id);
        let block = ReplyBlock::from_bytes(&block(&header, route, REPLY_BLOCK_LEN))?;
        Ok((block, ReplyKey::from_bytes(&key)?))
    }

    fn delivery_block(
        &self,
        rng: &mut Rng,
        route: &Route,
        delays: &Delays,
        session: CollectorSession,
        id: SurbId,
    ) -> Result<DeliveryBlock, BuildError> {
        if [REQUEST, REPLY].contains(session.as_bytes()) || *id.as_bytes() == [0; 16] {
            return Err(BuildError::Reserved);
        }
        let header = header(rng, route, delays, session.as_bytes(), id.as_bytes());
        DeliveryBlock::from_bytes(&block(&header, route, DELIVERY_BLOCK_LEN))
    }

    fn reply(&self, block: ReplyBlock, message: &[u8]) -> Result<(HopAddress, Packet), BuildError> {
        use_block(block.as_bytes(), message)
    }

    fn deliver(
        &self,
        block: DeliveryBlock,
        message: &[u8],
    ) -> Result<(HopAddress, Packet), BuildError> {
        use_block(block.as_bytes(), message)
    }

    fn unwrap(&self, secret: &HopSecret, packet: &Packet) -> Result<Processed, UnwrapError> {
        let bytes = packet.as_bytes();
        let hop = usize::from(bytes[HOP_AT]);
        if hop >= HOPS || HopKey::from_bytes(get(bytes, KEYS_AT + 32 * hop)) != secret.public() {
            return Err(UnwrapError::Header);
        }
        let mut tag = [0; 32];
        tag[..=HOP_AT].copy_from_slice(&bytes[..=HOP_AT]);
        let replay_tag = ReplayTag::from_bytes(tag);
        let unwrapped = if hop + 1 < HOPS {
            let mut inner = *bytes;
            inner[HOP_AT] += 1;
            Unwrapped::Forward {
                next: HopAddress::from_bytes(get(bytes, ADDRESSES_AT + 32 * hop)),
                delay: Duration::from_nanos(u64::from_be_bytes(get(bytes, DELAYS_AT + 8 * hop))),
                packet: Packet::from_bytes(&inner).map_err(|_| UnwrapError::Header)?,
            }
        } else {
            arrived(bytes)?
        };
        Ok(Processed { replay_tag, unwrapped })
    }

    fn recover(&self, _: &ReplyKey, sealed: SealedReply) -> Result<Vec<u8>, UnwrapError> {
        message(sealed.as_bytes())
    }
}

fn arrived(bytes: &[u8; PACKET_LEN]) -> Result<Unwrapped, UnwrapError> {
    let id = SurbId::from_bytes(get(bytes, IDENTIFIER_AT));
    let payload = &get::<PAYLOAD_LEN>(bytes, HEADER);
    Ok(match get(bytes, DESTINATION_AT) {
        REPLY => Unwrapped::Reply { id, payload: SealedReply::from_bytes(payload) },
        REQUEST => Unwrapped::Request { message: message(payload)? },
        session => Unwrapped::Delivery {
            session: CollectorSession::from_bytes(session),
            id,
            message: message(payload)?,
        },
    })
}
