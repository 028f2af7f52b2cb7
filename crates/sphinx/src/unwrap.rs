//! What a hop does with a packet.

use core::fmt;
use core::time::Duration;

use sphinx_packet::payload::Payload;
use sphinx_packet::{ProcessedPacketData, SphinxPacket};
use thiserror::Error;
use xchat_base::identifier;

use crate::address::{CollectorSession, HopAddress, SurbId};
use crate::geometry::PAYLOAD_LEN;
use crate::key::HopSecret;
use crate::packet::{Packet, REPLY, REQUEST, VERSION};

identifier!(
    /// The same for two packets exactly when one is a replay of the other at this hop. It is a hash
    /// of the shared secret: it says nothing about the packet before or after the hop.
    ReplayTag,
    32
);

/// A packet with this hop's layer taken off.
#[derive(Debug)]
pub struct Processed {
    /// To be looked up, and remembered for as long as the hop key is valid. A packet whose tag is
    /// known is dropped unseen.
    pub replay_tag: ReplayTag,
    /// What to do.
    pub unwrapped: Unwrapped,
}

/// What a hop finds under its layer.
#[derive(Debug)]
pub enum Unwrapped {
    /// Send it on.
    Forward {
        /// Where.
        next: HopAddress,
        /// After how long. Chosen by the sender and unchecked: the caller caps it.
        delay: Duration,
        /// What.
        packet: Packet,
    },
    /// A message for this hop: a store.
    Request {
        /// At most [`crate::MESSAGE_LEN`] bytes.
        message: Vec<u8>,
    },
    /// An item for a session that this hop collects for.
    Delivery {
        /// Which session.
        session: CollectorSession,
        /// Which of its registrations.
        id: SurbId,
        /// Opaque to a collector; at most [`crate::MESSAGE_LEN`] bytes.
        message: Vec<u8>,
    },
    /// An answer to this hop, or its own loop: a client.
    Reply {
        /// Tells which [`crate::ReplyKey`] opens it.
        id: SurbId,
        /// Still sealed.
        payload: SealedReply,
    },
}

/// A reply that only its [`crate::ReplyKey`] opens.
pub struct SealedReply(Payload);

impl SealedReply {
    pub(crate) fn into_payload(self) -> Payload {
        self.0
    }
}

impl fmt::Debug for SealedReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedReply")
    }
}

/// Why a packet is refused. All are the sender's or the network's fault, and a node tells none of
/// them to anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnwrapError {
    /// Not made for this key, or its header was changed.
    #[error("the header is not for this key or was changed")]
    Header,
    /// The header carries another version.
    #[error("packet version {got} is not supported")]
    Version {
        /// What it says.
        got: u16,
    },
    /// The payload was changed on its way, or the key is another block's.
    #[error("the payload was changed or is not for this key")]
    Payload,
}

/// The replay tag that an all-zero shared secret gives. A packet with such a secret was made without
/// knowing any hop's key (its group element has small order, RFC 7748 section 6.1).
const NO_SECRET: [u8; 32] = [0; 32];

/// Takes one layer off.
///
/// # Errors
/// [`UnwrapError`]. A packet that is refused leaves nothing to remember.
pub fn unwrap(secret: &HopSecret, packet: &Packet) -> Result<Processed, UnwrapError> {
    let packet = SphinxPacket::from_bytes(packet.as_bytes()).map_err(|_| UnwrapError::Header)?;
    let expanded = packet.header.compute_expanded_shared_secret(secret.as_sphinx());
    let replay_tag = ReplayTag::from_bytes(*expanded.replay_tag());
    if *replay_tag.as_bytes() == NO_SECRET {
        return Err(UnwrapError::Header);
    }
    let processed =
        packet.process_with_expanded_secret(&expanded).map_err(|_| UnwrapError::Header)?;
    if processed.version != VERSION {
        return Err(UnwrapError::Version { got: processed.version.value() });
    }
    let unwrapped = match processed.data {
        ProcessedPacketData::ForwardHop { next_hop_packet, next_hop_address, delay } => {
            Unwrapped::Forward {
                next: HopAddress::from_sphinx(next_hop_address),
                delay: delay.to_duration(),
                packet: Packet::from_sphinx(&next_hop_packet).map_err(|_| UnwrapError::Header)?,
            }
        }
        ProcessedPacketData::FinalHop { destination, identifier, payload } => {
            arrived(destination.as_bytes(), identifier, payload)?
        }
    };
    Ok(Processed { replay_tag, unwrapped })
}

fn arrived(
    destination: [u8; 32],
    identifier: [u8; 16],
    payload: Payload,
) -> Result<Unwrapped, UnwrapError> {
    debug_assert_eq!(payload.len(), PAYLOAD_LEN);
    let id = SurbId::from_bytes(identifier);
    if destination == REPLY {
        return Ok(Unwrapped::Reply { id, payload: SealedReply(payload) });
    }
    let message = payload.recover_plaintext().map_err(|_| UnwrapError::Payload)?;
    if destination == REQUEST {
        return Ok(Unwrapped::Request { message });
    }
    Ok(Unwrapped::Delivery { session: CollectorSession::from_bytes(destination), id, message })
}
