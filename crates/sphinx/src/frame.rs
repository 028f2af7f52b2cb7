//! Frames: what a link carries between a client and its gateway, and between nodes.
//!
//! Each frame is one message of a link stream. All frames that carry a packet in one direction of one
//! kind of link have one length.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;
use xchat_base::{CodecError, Wire, identifier};

use crate::address::{NodeTag, ReplyTag};
use crate::geometry::PACKET_LEN;
use crate::pace::Pace;
use crate::packet::Packet;
use crate::work::{Challenge, Proof};

/// ALPN of links between a client and its gateway.
pub const CLIENT_ALPN: &[u8] = b"/xchat/client/1";
/// ALPN of links that carry packets between nodes.
pub const PACKET_ALPN: &[u8] = b"/xchat/packet/1";
/// ALPN of links between the stores of one box.
pub const REPLICA_ALPN: &[u8] = b"/xchat/replica/1";

/// A client keeps this many announced reply tags at its gateway: it spends a random one with each
/// packet and announces another, so that a reply cannot be paired with the packet it answers. 16 are
/// more than the packets that are on their way at once at any pace.
pub const TAG_POOL: usize = 16;

/// A gateway remembers at most this many announced and unspent tags of one session: those of the pool
/// and those of replies that are on their way or were lost. The oldest is forgotten first.
pub const MAX_SESSION_TAGS: usize = 1024;

/// Length of a [`ClientFrame::Packet`].
pub const CLIENT_PACKET_FRAME_LEN: usize = 1 + 1 + 16 + 16 + 2 + PACKET_LEN;
/// Length of a [`GatewayFrame::Packet`].
pub const GATEWAY_PACKET_FRAME_LEN: usize = 1 + 1 + 2 + PACKET_LEN;
/// Length of a [`NodeFrame`].
pub const NODE_FRAME_LEN: usize = 1 + 16 + PACKET_LEN;

identifier!(
    /// Lets a client whose link was lost go on with its session. It is drawn by the gateway, and whoever has it can take
    /// the session's seat.
    SessionToken,
    32
);

/// Client to gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientFrame {
    /// Answers [`GatewayFrame::Challenge`]: the session begins with it.
    Hello {
        /// How fast packets will come.
        pace: Pace,
        /// The first announced tags, at most [`TAG_POOL`].
        #[serde(deserialize_with = "pool")]
        tags: Vec<ReplyTag>,
        /// The proof of work.
        proof: Proof,
    },
    /// A packet for the mixes.
    Packet {
        /// One more tag for the pool.
        announce: ReplyTag,
        /// The mix to hand it to.
        first_hop: NodeTag,
        /// The packet.
        packet: Packet,
    },
    /// Asks for the network document.
    GetDocument {
        /// The epoch that the client has; 0 for none.
        newer_than: u64,
    },
    /// The first frame of a link: asks for a session.
    Open,
    /// In place of `Open`: goes on with a session whose link was lost, without the work. Answered like `Hello`, or, if
    /// the gateway does not know the token (any more), like `Open`.
    Resume {
        /// Of the last [`GatewayFrame::Welcome`]; good for one time.
        token: SessionToken,
        /// The first announced tags, at most [`TAG_POOL`]; those of the session before are forgotten.
        #[serde(deserialize_with = "pool")]
        tags: Vec<ReplyTag>,
    },
}

/// Gateway to client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GatewayFrame {
    /// Answers [`ClientFrame::Hello`] and [`ClientFrame::Resume`].
    Welcome {
        /// For [`ClientFrame::Resume`].
        session: SessionToken,
    },
    /// A packet for the client.
    Packet(Packet),
    /// The signed network document, or `None` when there is no newer one.
    Document(Option<Vec<u8>>),
    /// The gateway will not go on; the link closes after it.
    Refused {
        /// Why.
        code: RefusalCode,
        /// When it may be worth trying again; 0 where time alone changes nothing.
        retry_after_secs: u16,
    },
    /// Answers [`ClientFrame::Open`]: the work that a session takes.
    Challenge(Challenge),
}

/// Why a gateway ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(from = "u8", into = "u8")]
#[non_exhaustive]
pub enum RefusalCode {
    /// It has no room for another client.
    #[error("the gateway is full")]
    Busy,
    /// A frame that it cannot read, or not in this place.
    #[error("the gateway did not understand a frame")]
    Malformed,
    /// More packets than the session's pace allows.
    #[error("the gateway was sent packets faster than the pace that was named")]
    TooFast,
    /// The first hop is not a mix of the first layer.
    #[error("the gateway does not know the first mix: the documents may differ")]
    UnknownMix,
    /// The gateway has no valid network document.
    #[error("the gateway has no valid network document")]
    NoDocument,
    /// It is going down.
    #[error("the gateway is going down")]
    ShuttingDown,
    /// The proof of work is not one for this link.
    #[error("the gateway did not accept the proof of work")]
    WrongProof,
    /// The proof of work came too late.
    #[error("the gateway had no proof of work in time")]
    LateProof,
    /// Nothing came any more.
    #[error("the gateway heard nothing for too long")]
    Silent,
    /// A reason that this version does not know.
    #[error("the gateway refused for a reason unknown to this version ({0})")]
    Other(u8),
}

impl From<u8> for RefusalCode {
    fn from(code: u8) -> Self {
        match code {
            1 => Self::Busy,
            2 => Self::Malformed,
            3 => Self::TooFast,
            4 => Self::UnknownMix,
            5 => Self::NoDocument,
            6 => Self::ShuttingDown,
            7 => Self::WrongProof,
            8 => Self::LateProof,
            9 => Self::Silent,
            other => Self::Other(other),
        }
    }
}

impl From<RefusalCode> for u8 {
    fn from(code: RefusalCode) -> Self {
        match code {
            RefusalCode::Busy => 1,
            RefusalCode::Malformed => 2,
            RefusalCode::TooFast => 3,
            RefusalCode::UnknownMix => 4,
            RefusalCode::NoDocument => 5,
            RefusalCode::ShuttingDown => 6,
            RefusalCode::WrongProof => 7,
            RefusalCode::LateProof => 8,
            RefusalCode::Silent => 9,
            RefusalCode::Other(other) => other,
        }
    }
}

impl Wire for ClientFrame {
    const FORMAT: &'static str = "client frame";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = CLIENT_PACKET_FRAME_LEN;

    fn from_wire(bytes: &[u8]) -> Result<Self, CodecError> {
        canonical(bytes)
    }
}

impl Wire for GatewayFrame {
    const FORMAT: &'static str = "gateway frame";
    const VERSION: u8 = 1;
    // A signed network document is the longest thing in it.
    const MAX_LEN: usize = 60 * 1024;

    fn from_wire(bytes: &[u8]) -> Result<Self, CodecError> {
        canonical(bytes)
    }
}

/// Reads one value and refuses any but its own encoding: postcard accepts integers that are longer
/// than they need be, and a frame's length must not be the sender's choice.
fn canonical<T: Wire>(bytes: &[u8]) -> Result<T, CodecError> {
    let format = T::FORMAT;
    if bytes.len() > T::MAX_LEN {
        return Err(CodecError::TooLong { format, len: bytes.len(), max: T::MAX_LEN });
    }
    let (&got, body) = bytes.split_first().ok_or(CodecError::Malformed { format })?;
    if got != T::VERSION {
        return Err(CodecError::Version { format, got, want: T::VERSION });
    }
    match postcard::from_bytes::<T>(body) {
        Ok(value) if value.to_wire() == bytes => Ok(value),
        _ => Err(CodecError::Malformed { format }),
    }
}

fn pool<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<ReplyTag>, D::Error> {
    let tags = Vec::<ReplyTag>::deserialize(d)?;
    if tags.len() > TAG_POOL {
        return Err(D::Error::invalid_length(tags.len(), &"at most 16 reply tags"));
    }
    Ok(tags)
}

/// Node to node: `version ‖ reply tag ‖ packet`, fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFrame {
    /// [`ReplyTag::NONE`], except from a mix of the last layer to a gateway.
    pub tag: ReplyTag,
    /// The packet.
    pub packet: Packet,
}

impl NodeFrame {
    /// The version byte.
    pub const VERSION: u8 = 1;
    const FORMAT: &'static str = "node frame";

    /// A frame to a node itself.
    pub fn to_node(packet: Packet) -> Self {
        Self { tag: ReplyTag::NONE, packet }
    }

    /// The bytes, [`NODE_FRAME_LEN`] of them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(NODE_FRAME_LEN);
        bytes.push(Self::VERSION);
        bytes.extend_from_slice(self.tag.as_bytes());
        bytes.extend_from_slice(self.packet.as_bytes());
        bytes
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// [`CodecError`]: another version, or another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let format = Self::FORMAT;
        let malformed = CodecError::Malformed { format };
        let (&got, rest) = bytes.split_first().ok_or(malformed)?;
        if got != Self::VERSION {
            return Err(CodecError::Version { format, got, want: Self::VERSION });
        }
        let (tag, packet) = rest.split_at_checked(ReplyTag::LEN).ok_or(malformed)?;
        Ok(Self {
            tag: ReplyTag::from_slice(tag).ok_or(malformed)?,
            packet: Packet::from_bytes(packet).map_err(|_| malformed)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::work::{ChallengeSeed, SHARES};

    fn packet(fill: u8) -> Packet {
        Packet::from_bytes(&[fill; PACKET_LEN]).expect("the length is right")
    }

    fn client_packet(fill: u8) -> ClientFrame {
        ClientFrame::Packet {
            announce: ReplyTag::from_bytes([fill; 16]),
            first_hop: NodeTag::from_bytes([fill; 16]),
            packet: packet(fill),
        }
    }

    fn hello(tags: usize) -> ClientFrame {
        let tags = vec![ReplyTag::from_bytes([3; 16]); tags];
        ClientFrame::Hello { pace: Pace::Phone, tags, proof: Proof::from_numbers([[9; 4]; SHARES]) }
    }

    fn refused(code: RefusalCode, retry_after_secs: u16) -> GatewayFrame {
        GatewayFrame::Refused { code, retry_after_secs }
    }

    #[test]
    fn frames_of_packets_have_one_length() {
        for fill in [0, 1, 0x7f, 0x80, 0xff] {
            assert_eq!(client_packet(fill).to_wire().len(), CLIENT_PACKET_FRAME_LEN);
            let down = GatewayFrame::Packet(packet(fill)).to_wire();
            assert_eq!(down.len(), GATEWAY_PACKET_FRAME_LEN);
            assert_eq!(NodeFrame::to_node(packet(fill)).to_bytes().len(), NODE_FRAME_LEN);
        }
        assert_eq!(
            (CLIENT_PACKET_FRAME_LEN, GATEWAY_PACKET_FRAME_LEN, NODE_FRAME_LEN),
            (2432, 2400, 2413)
        );
    }

    #[test]
    fn frames_read_what_they_wrote() {
        for frame in [
            ClientFrame::Open,
            hello(TAG_POOL),
            client_packet(5),
            ClientFrame::GetDocument { newer_than: u64::MAX },
        ] {
            assert_eq!(ClientFrame::from_wire(&frame.to_wire()).expect("own"), frame);
        }
        for frame in [
            GatewayFrame::Welcome { session: SessionToken::from_bytes([1; 32]) },
            GatewayFrame::Packet(packet(6)),
            GatewayFrame::Document(None),
            GatewayFrame::Document(Some(vec![1; 50_000])),
            refused(RefusalCode::TooFast, 300),
            GatewayFrame::Challenge(Challenge {
                seed: ChallengeSeed::from_bytes([4; 32]),
                effort: 1 << 15,
                within_secs: 60,
            }),
        ] {
            assert_eq!(GatewayFrame::from_wire(&frame.to_wire()).expect("own"), frame);
        }
        let frame = NodeFrame { tag: ReplyTag::from_bytes([8; 16]), packet: packet(9) };
        assert_eq!(NodeFrame::from_bytes(&frame.to_bytes()).expect("own"), frame);
    }

    #[test]
    fn the_layouts_are_those_of_the_specification() {
        let frame = client_packet(0xaa).to_wire();
        assert_eq!(frame[..2], [1, 1]);
        assert_eq!(frame[2..34], [0xaa; 32]);
        assert_eq!(frame[34..36], [0xdc, 0x12]);
        assert_eq!(GatewayFrame::Packet(packet(0)).to_wire()[..4], [1, 1, 0xdc, 0x12]);
        assert_eq!(refused(RefusalCode::TooFast, 0).to_wire(), [1, 3, 3, 0]);
        assert_eq!(refused(RefusalCode::Busy, 300).to_wire(), [1, 3, 1, 0xac, 0x02]);
        assert_eq!(ClientFrame::Open.to_wire(), [1, 3]);
        let frame = hello(2).to_wire();
        assert_eq!(frame[..4], [1, 0, 2, 2]);
        assert_eq!(frame[4..36], [3; 32]);
        assert_eq!(frame[36..], [9; 64]);
        let seed = ChallengeSeed::from_bytes([4; 32]);
        let challenge = Challenge { seed, effort: 300, within_secs: 60 };
        let frame = GatewayFrame::Challenge(challenge).to_wire();
        assert_eq!(frame[..2], [1, 4]);
        assert_eq!(frame[2..34], [4; 32]);
        assert_eq!(frame[34..], [0xac, 0x02, 60]);
        assert_eq!(ClientFrame::GetDocument { newer_than: 300 }.to_wire(), [1, 2, 0xac, 0x02]);
    }

    #[test]
    fn more_tags_than_the_pool_are_refused() {
        let frame = hello(TAG_POOL + 1).to_wire();
        assert!(matches!(ClientFrame::from_wire(&frame), Err(CodecError::Malformed { .. })));
    }

    #[test]
    fn an_encoding_of_another_length_is_refused() {
        // The frame's kind written as a two-byte integer.
        let mut frame = GatewayFrame::Packet(packet(0)).to_wire();
        frame.splice(1..2, [0x81, 0x00]);
        assert!(matches!(GatewayFrame::from_wire(&frame), Err(CodecError::Malformed { .. })));
    }

    #[test]
    fn another_version_is_named() {
        let mut frame = client_packet(0).to_wire();
        frame[0] = 2;
        assert!(matches!(ClientFrame::from_wire(&frame), Err(CodecError::Version { got: 2, .. })));
        let mut frame = NodeFrame::to_node(packet(0)).to_bytes();
        frame[0] = 2;
        assert!(matches!(NodeFrame::from_bytes(&frame), Err(CodecError::Version { got: 2, .. })));
    }

    #[test]
    fn an_unknown_refusal_stays_what_it_is() {
        let frame = refused(RefusalCode::from(200), 1);
        assert_eq!(frame, refused(RefusalCode::Other(200), 1));
        assert_eq!(GatewayFrame::from_wire(&frame.to_wire()).expect("own"), frame);
        for code in 0..=u8::MAX {
            assert_eq!(u8::from(RefusalCode::from(code)), code);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            kind in 0u8..7,
            body in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..80),
                prop::collection::vec(any::<u8>(), 2390..2440),
            ],
        ) {
            let bytes = [&[1, kind][..], &body].concat();
            for bytes in [&bytes, &body] {
                if let Ok(frame) = ClientFrame::from_wire(bytes) {
                    prop_assert_eq!(&frame.to_wire(), bytes);
                }
                if let Ok(frame) = GatewayFrame::from_wire(bytes) {
                    prop_assert_eq!(&frame.to_wire(), bytes);
                }
                if let Ok(frame) = NodeFrame::from_bytes(bytes) {
                    prop_assert_eq!(&frame.to_bytes(), bytes);
                }
            }
        }
    }
}
