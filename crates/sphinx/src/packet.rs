//! Packets, and how a sender makes one.

use core::fmt;
use core::time::Duration;

use serde::de::{Deserializer, Error as _, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use sphinx_packet::crypto::PrivateKey;
use sphinx_packet::header::delays::Delay;
use sphinx_packet::route::{Destination, DestinationAddressBytes, Node};
use sphinx_packet::version::{SINGLE_SEED_SURB_VERSION, Version};
use sphinx_packet::{SphinxPacket, SphinxPacketBuilder};
use thiserror::Error;
use xchat_base::{Rng, random};
use zeroize::Zeroizing;

use crate::address::{CollectorSession, HopAddress, SurbId};
use crate::geometry::{HEADER_LEN, HOPS, MESSAGE_LEN, PACKET_LEN, PAYLOAD_LEN};
use crate::key::HopKey;

/// The version that every header carries, whatever the packet is for. Every hop reads it, so a
/// second one would tell the mixes which packets are which.
pub(crate) const VERSION: Version = SINGLE_SEED_SURB_VERSION;

/// The destination that makes the last hop read the payload as a request to itself.
pub(crate) const REQUEST: [u8; 32] = [0; 32];

/// The destination that makes the last hop keep the payload sealed: a reply to itself.
pub(crate) const REPLY: [u8; 32] = [0xff; 32];

/// One hop of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// Where the hop before sends the packet.
    pub address: HopAddress,
    /// The key that opens its layer.
    pub key: HopKey,
}

/// Three mixes, and the one who opens the packet.
pub type Route = [Hop; HOPS];

/// How long each hop holds the packet before it sends it on. The last is ignored.
pub type Delays = [Duration; HOPS];

/// A packet as it travels: exactly [`PACKET_LEN`] bytes that look random to all but the next hop.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet(Box<[u8; PACKET_LEN]>);

/// Why a packet could not be made, or bytes are not one: the caller's mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Longer than [`MESSAGE_LEN`].
    #[error("a message of {len} bytes does not fit into a packet, which holds {MESSAGE_LEN}")]
    MessageTooLong {
        /// Its length.
        len: usize,
    },
    /// Not the length of a packet, reply block or delivery block.
    #[error("{got} bytes where {want} belong")]
    Length {
        /// What came.
        got: usize,
        /// What belongs there.
        want: usize,
    },
    /// A collector session or delivery identifier that has another meaning (all zeros, all ones).
    #[error("a reserved identifier")]
    Reserved,
    /// The library refused; with this crate's fixed geometry that is a bug.
    #[error("the packet could not be built")]
    Sphinx,
}

impl Packet {
    /// Takes bytes for a packet. Only the length is checked here; the rest is [`crate::unwrap()`]'s.
    ///
    /// # Errors
    /// [`BuildError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BuildError> {
        let array: &[u8; PACKET_LEN] = bytes
            .try_into()
            .map_err(|_| BuildError::Length { got: bytes.len(), want: PACKET_LEN })?;
        Ok(Self(Box::new(*array)))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; PACKET_LEN] {
        &self.0
    }

    pub(crate) fn from_sphinx(packet: &SphinxPacket) -> Result<Self, BuildError> {
        let (header, payload) = (packet.header.to_bytes(), packet.payload.as_bytes());
        if header.len() != HEADER_LEN || payload.len() != PAYLOAD_LEN {
            return Err(BuildError::Sphinx);
        }
        let mut bytes = Box::new([0u8; PACKET_LEN]);
        bytes[..HEADER_LEN].copy_from_slice(&header);
        bytes[HEADER_LEN..].copy_from_slice(payload);
        Ok(Self(bytes))
    }
}

/// Makes a packet that the last hop of `route` reads as [`crate::Unwrapped::Request`].
///
/// The same `rng` state gives the same keys, route and payload. The 68 bytes of padding in the last
/// hop's part of the header are the library's own draw: nothing reads them, but two runs with one seed
/// differ in bytes.
///
/// # Errors
/// [`BuildError::MessageTooLong`].
pub fn build(
    rng: &mut Rng,
    route: &Route,
    delays: &Delays,
    message: &[u8],
) -> Result<Packet, BuildError> {
    check_message(message)?;
    let secret = initial_secret(rng);
    let packet = SphinxPacketBuilder::new()
        .with_version(VERSION)
        .with_payload_size(PAYLOAD_LEN)
        .with_initial_secret(&secret)
        .build_packet(
            message,
            &sphinx_route(route),
            &destination(REQUEST, [0; 16]),
            &sphinx_delays(delays),
        )
        .map_err(|_| BuildError::Sphinx)?;
    Packet::from_sphinx(&packet)
}

pub(crate) fn check_message(message: &[u8]) -> Result<(), BuildError> {
    if message.len() > MESSAGE_LEN {
        return Err(BuildError::MessageTooLong { len: message.len() });
    }
    Ok(())
}

pub(crate) fn initial_secret(rng: &mut Rng) -> PrivateKey {
    PrivateKey::from(*Zeroizing::new(random::bytes::<32>(rng)))
}

pub(crate) fn destination(address: [u8; 32], id: [u8; 16]) -> Destination {
    Destination::new(DestinationAddressBytes::from_bytes(address), id)
}

pub(crate) fn check_session(session: CollectorSession, id: SurbId) -> Result<(), BuildError> {
    if [REQUEST, REPLY].contains(session.as_bytes()) || *id.as_bytes() == [0; 16] {
        return Err(BuildError::Reserved);
    }
    Ok(())
}

pub(crate) fn sphinx_route(route: &Route) -> Vec<Node> {
    route.iter().map(|hop| Node::new(hop.address.to_sphinx(), hop.key.to_sphinx())).collect()
}

pub(crate) fn sphinx_delays(delays: &Delays) -> Vec<Delay> {
    let last = HOPS - 1;
    let nanos = |span: &Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    delays
        .iter()
        .enumerate()
        .map(|(i, span)| Delay::new_from_nanos(if i == last { 0 } else { nanos(span) }))
        .collect()
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Packet")
    }
}

impl Serialize for Packet {
    /// As bytes with a length, because a tuple of 2,396 elements costs microseconds a packet.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(self.0.as_slice())
    }
}

impl<'de> Deserialize<'de> for Packet {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct PacketVisitor;

        impl Visitor<'_> for PacketVisitor {
            type Value = Packet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a packet of {PACKET_LEN} bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Packet, E> {
                Packet::from_bytes(bytes).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }

        d.deserialize_bytes(PacketVisitor).map_err(D::Error::custom)
    }
}
