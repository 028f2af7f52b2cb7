//! Packets that look alike: everything that travels through the mixes.
//!
//! ```text
//! request    client ─▶ gateway ─▶ mix 1 ─▶ mix 2 ─▶ mix 3 ─▶ store          build
//! reply      store ─▶ mix 1' ─▶ mix 2' ─▶ mix 3' ─▶ gateway ─▶ client       ReplyBlock (in the request)
//! delivery   store ─▶ mix 1" ─▶ mix 2" ─▶ mix 3" ─▶ collector               DeliveryBlock (registered before)
//! loop       client ─▶ gateway ─▶ mix 1 ─▶ mix 2 ─▶ mix 3 ─▶ gateway ─▶ client
//! ```
//!
//! Every packet is [`PACKET_LEN`] bytes, has four Sphinx hops and one version, so that a mix cannot
//! tell one kind from another. The gateway is not a hop: it is told the first mix beside the packet,
//! and finds the client of a reply by a [`ReplyTag`].
//!
//! The format is Sphinx (Danezis and Goldberg, IEEE S&P 2009) as the crate `sphinx-packet` has it;
//! its names appear nowhere in this crate's interface, so that a post-quantum format can take its
//! place. Normative text: `spec/06-packets.md`.
//!
//! This crate keeps no state: replay caches, delays, queues and routes are its callers'.

pub mod address;
pub mod format;
pub mod frame;
mod geometry;
pub mod key;
pub mod pace;
pub mod packet;
pub mod surb;
pub mod unwrap;
#[cfg(test)]
mod vectors;
pub mod work;

pub use address::{CollectorSession, HopAddress, NodeTag, ReplyTag, SurbId};
pub use format::{PacketFormat, Sphinx};
pub use frame::{ClientFrame, GatewayFrame, NodeFrame, RefusalCode, SessionToken, TAG_POOL};
pub use geometry::{
    DELIVERY_BLOCK_LEN, HOPS, MESSAGE_LEN, PACKET_LEN, PAYLOAD_LEN, REPLY_BLOCK_LEN, REPLY_KEY_LEN,
};
pub use key::{HopKey, HopSecret};
pub use pace::Pace;
pub use packet::{BuildError, Delays, Hop, Packet, Route, build};
pub use surb::{DeliveryBlock, ReplyBlock, ReplyKey, delivery_block, loop_packet, reply_block};
pub use unwrap::{Processed, ReplayTag, SealedReply, UnwrapError, Unwrapped, unwrap};
pub use work::{Challenge, LinkKey, Proof, Puzzle};
