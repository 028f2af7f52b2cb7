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
use crate::packet::Packet;

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
    /// Names a client's session to its gateway. It is drawn by the gateway.
    SessionToken,
    32
);

/// Client to gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientFrame {
    /// The first frame of a session.
    Hello {
        /// The first announced tags, at most [`TAG_POOL`].
        #[serde(deserialize_with = "pool")]
        tags: Vec<ReplyTag>,
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
}

/// Gateway to client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GatewayFrame {
    /// Answers [`ClientFrame::Hello`].
    Welcome {
        /// The session's name, with which it can be resumed.
        session: SessionToken,
    },
    /// A packet for the client.
    Packet(Packet),
    /// The signed network document, or `None` when there is no newer one.
    Document(Option<Vec<u8>>),
    /// The gateway will not go on; the link closes after it.
    Refused(RefusalCode),
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
    /// More packets than any pace allows.
    #[error("the gateway was sent packets faster than any pace")]
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
