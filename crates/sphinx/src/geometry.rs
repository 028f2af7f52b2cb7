//! The sizes of everything, in one place.

use sphinx_packet::constants::{
    DESTINATION_ADDRESS_LENGTH, IDENTIFIER_LENGTH, NODE_ADDRESS_LENGTH, PAYLOAD_KEY_SEED_SIZE,
};
use sphinx_packet::header::HEADER_SIZE;
use sphinx_packet::payload::PAYLOAD_OVERHEAD_SIZE;

/// Sphinx hops of every packet: three mixes and the one who opens it.
pub const HOPS: usize = 4;

/// Length of a packet's payload: a box of 1,544 bytes with a reply block and room to answer.
pub const PAYLOAD_LEN: usize = 2048;

/// Length of every packet.
pub const PACKET_LEN: usize = HEADER_SIZE + PAYLOAD_LEN;

/// The longest message that a packet carries; shorter ones are padded to it.
pub const MESSAGE_LEN: usize = PAYLOAD_LEN - PAYLOAD_OVERHEAD_SIZE;

/// Length of a [`crate::ReplyBlock`]: header, first hop, one payload key seed.
pub const REPLY_BLOCK_LEN: usize = HEADER_SIZE + NODE_ADDRESS_LENGTH + PAYLOAD_KEY_SEED_SIZE;

/// Length of a [`crate::DeliveryBlock`]: header, first hop, a payload key seed for each hop.
pub const DELIVERY_BLOCK_LEN: usize =
    HEADER_SIZE + NODE_ADDRESS_LENGTH + HOPS * PAYLOAD_KEY_SEED_SIZE;

/// Length of a [`crate::ReplyKey`]: identifier, a payload key seed for each hop.
pub const REPLY_KEY_LEN: usize = IDENTIFIER_LENGTH + HOPS * PAYLOAD_KEY_SEED_SIZE;

pub(crate) const HEADER_LEN: usize = HEADER_SIZE;

// The wire formats depend on these; another version of the library must not change them unnoticed.
const _: () = assert!(HEADER_SIZE == 348 && PACKET_LEN == 2396 && MESSAGE_LEN == 2031);
const _: () = assert!(REPLY_BLOCK_LEN == 396 && DELIVERY_BLOCK_LEN == 444);
const _: () = assert!(NODE_ADDRESS_LENGTH == 32 && DESTINATION_ADDRESS_LENGTH == 32);
const _: () = assert!(IDENTIFIER_LENGTH == 16);
