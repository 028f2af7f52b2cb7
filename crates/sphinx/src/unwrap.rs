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
pub struct SealedReply(Box<[u8; PAYLOAD_LEN]>);

impl SealedReply {
    /// Takes a packet's payload for one.
    pub fn from_bytes(payload: &[u8; PAYLOAD_LEN]) -> Self {
        Self(Box::new(*payload))
    }

    /// The payload as it arrived.
    pub fn as_bytes(&self) -> &[u8; PAYLOAD_LEN] {
        &self.0
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
/// knowing any hop's key: its group element has small order (RFC 7748, section 6.1).
const NO_SECRET: ReplayTag = ReplayTag::from_bytes([
    0xc0, 0xe8, 0xdd, 0x91, 0x04, 0xe1, 0xc0, 0xf9, 0x0b, 0xb4, 0xe2, 0xf4, 0xb9, 0xf5, 0xf8, 0x71,
    0x6a, 0xdd, 0xad, 0xc1, 0xf1, 0xbc, 0x5a, 0x96, 0x6a, 0x54, 0xe4, 0xac, 0xa6, 0x05, 0xee, 0x54,
]);

/// Takes one layer off.
///
/// # Errors
/// [`UnwrapError`]. A packet that is refused leaves nothing to remember.
pub fn unwrap(secret: &HopSecret, packet: &Packet) -> Result<Processed, UnwrapError> {
    let packet = SphinxPacket::from_bytes(packet.as_bytes()).map_err(|_| UnwrapError::Header)?;
    let expanded = packet.header.compute_expanded_shared_secret(secret.as_sphinx());
    let replay_tag = ReplayTag::from_bytes(*expanded.replay_tag());
    if replay_tag == NO_SECRET {
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
    let id = SurbId::from_bytes(identifier);
    if destination == REPLY {
        let payload = payload.as_bytes().try_into().map_err(|_| UnwrapError::Payload)?;
        return Ok(Unwrapped::Reply { id, payload: SealedReply::from_bytes(payload) });
    }
    let message = payload.recover_plaintext().map_err(|_| UnwrapError::Payload)?;
    if destination == REQUEST {
        return Ok(Unwrapped::Request { message });
    }
    Ok(Unwrapped::Delivery { session: CollectorSession::from_bytes(destination), id, message })
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use hkdf::Hkdf;
    use hkdf::hmac::{Hmac, Mac};
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use sha2::Sha256;
    use sphinx_packet::SphinxPacketBuilder;
    use sphinx_packet::constants::EXPANDED_SHARED_SECRET_HKDF_INFO;
    use sphinx_packet::crypto::PublicKey;
    use sphinx_packet::version::{
        PAYLOAD_KEYS_SEEDS_VERSION, Version, X25519_WITH_EXPLICIT_PAYLOAD_KEYS_VERSION,
    };

    use super::*;
    use crate::address::NodeTag;
    use crate::packet::{self, Hop, Route};
    use crate::{HOPS, PACKET_LEN};

    fn route(rng: &mut ChaCha20Rng) -> ([HopSecret; HOPS], Route) {
        let secrets = [(); HOPS].map(|()| HopSecret::random(rng));
        let hops = secrets.each_ref().map(|secret| Hop {
            address: HopAddress::node(NodeTag::random(rng)),
            key: secret.public(),
        });
        (secrets, hops)
    }

    fn packet(rng: &mut ChaCha20Rng) -> (HopSecret, Packet) {
        let ([first, ..], route) = route(rng);
        let delays = [Duration::from_millis(7); HOPS];
        let packet = packet::build(rng, &route, &delays, b"hello").expect("builds");
        (first, packet)
    }

    fn changed(packet: &Packet, at: usize, mask: u8) -> Packet {
        let mut bytes = *packet.as_bytes();
        bytes[at] ^= mask;
        Packet::from_bytes(&bytes).expect("the length is right")
    }

    /// The library's key schedule, written down a second time.
    fn expand(shared: &[u8; 32]) -> [u8; 288] {
        let mut out = [0u8; 288];
        Hkdf::<Sha256>::new(None, shared)
            .expand(EXPANDED_SHARED_SECRET_HKDF_INFO, &mut out)
            .expect("short enough");
        out
    }

    /// What a sender can do who writes headers of its own: change the first hop's routing part
    /// (a stream cipher) and authenticate the change.
    fn forged(secret: &HopSecret, packet: &Packet, at: usize, mask: u8) -> Packet {
        let mut bytes = *packet.as_bytes();
        let alpha: [u8; 32] = bytes[..32].try_into().expect("32 bytes");
        let shared = secret.as_sphinx().diffie_hellman(&PublicKey::from(alpha)).to_bytes();
        bytes[48 + at] ^= mask;
        let mut mac = Hmac::<Sha256>::new_from_slice(&expand(&shared)[16..32]).expect("any key");
        mac.update(&bytes[48..348]);
        bytes[32..48].copy_from_slice(&mac.finalize().into_bytes()[..16]);
        Packet::from_bytes(&bytes).expect("the length is right")
    }

    #[test]
    fn a_replay_has_the_same_tag_and_another_packet_has_not() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (secrets, route) = route(&mut rng);
        let delays = [Duration::ZERO; HOPS];
        let one = packet::build(&mut rng, &route, &delays, b"m").expect("builds");
        let two = packet::build(&mut rng, &route, &delays, b"m").expect("builds");
        let tag = |packet: &Packet| unwrap(&secrets[0], packet).expect("opens").replay_tag;
        assert_eq!(tag(&one), tag(&one.clone()));
        assert_ne!(tag(&one), tag(&two));
    }

    #[test]
    fn a_replay_in_disguise_has_the_same_tag() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let (secret, packet) = packet(&mut rng);
        let tag = unwrap(&secret, &packet).expect("opens").replay_tag;
        // X25519 ignores the top bit of the group element (RFC 7748, section 5), and the payload is
        // authenticated by the last hop alone.
        for disguised in [changed(&packet, 31, 0x80), changed(&packet, 2000, 1)] {
            assert_ne!(disguised, packet);
            assert_eq!(unwrap(&secret, &disguised).expect("opens").replay_tag, tag);
        }
    }

    #[test]
    fn another_version_is_refused_whatever_its_keys() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let (secrets, route) = route(&mut rng);
        for version in [PAYLOAD_KEYS_SEEDS_VERSION, X25519_WITH_EXPLICIT_PAYLOAD_KEYS_VERSION] {
            let packet = SphinxPacketBuilder::new()
                .with_version(version)
                .with_payload_size(PAYLOAD_LEN)
                .build_packet(
                    b"m",
                    &packet::sphinx_route(&route),
                    &packet::destination(REQUEST, [0; 16]),
                    &packet::sphinx_delays(&[Duration::ZERO; HOPS]),
                )
                .expect("builds");
            let packet = Packet::from_sphinx(&packet).expect("the sizes are ours");
            let refused = unwrap(&secrets[0], &packet).expect_err("not our version");
            assert_eq!(refused, UnwrapError::Version { got: version.value() });
        }
        assert_eq!(VERSION, Version::new(260));
    }

    #[test]
    fn a_group_element_of_small_order_is_refused() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let (secret, packet) = packet(&mut rng);
        let tag: [u8; 32] = expand(&[0; 32])[256..].try_into().expect("32 bytes");
        assert_eq!(NO_SECRET, ReplayTag::from_bytes(tag));
        let mut bytes = *packet.as_bytes();
        for element in [0u8, 1] {
            bytes[..32].fill(0);
            bytes[0] = element;
            // Authenticated under the key that everybody knows.
            let known = forged(&secret, &Packet::from_bytes(&bytes).expect("fits"), 0, 0);
            assert_eq!(unwrap(&secret, &known).expect_err("refused"), UnwrapError::Header);
        }
    }

    #[test]
    fn a_senders_own_header_may_be_refused_and_does_not_panic() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let (secret, packet) = packet(&mut rng);
        let undo = unwrap(&secret, &forged(&secret, &packet, 100, 0)).expect("nothing changed");
        assert!(matches!(undo.unwrapped, Unwrapped::Forward { .. }));
        // Flag, the three version bytes, and everything behind them.
        for at in 0..300 {
            for mask in [1, 0x80, 0xff] {
                let _ = unwrap(&secret, &forged(&secret, &packet, at, mask));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn arbitrary_bytes_never_panic(seed: u64, fill in prop::collection::vec(any::<u8>(), PACKET_LEN)) {
            let secret = HopSecret::random(&mut ChaCha20Rng::seed_from_u64(seed));
            let packet = Packet::from_bytes(&fill).expect("the length is right");
            prop_assert!(unwrap(&secret, &packet).is_err());
        }

        #[test]
        fn a_changed_header_is_refused(seed: u64, at in 0usize..348, mask in 1u8..) {
            let (secret, packet) = packet(&mut ChaCha20Rng::seed_from_u64(seed));
            // The one bit that X25519 ignores: see the replay in disguise.
            prop_assume!(!(at == 31 && mask == 0x80));
            let refused = unwrap(&secret, &changed(&packet, at, mask));
            prop_assert_eq!(refused.expect_err("refused"), UnwrapError::Header);
        }
    }
}
