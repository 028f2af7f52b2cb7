//! Why a link could not be made or has ended.

use std::net::SocketAddr;

use iroh::endpoint::{
    ConnectError, ConnectWithOptsError, ConnectingError, ConnectionError, ReadError, VarInt,
    WriteError,
};
use thiserror::Error;

/// Why one side closed a link. The numbers are on the wire (QUIC application error codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// It has served its purpose.
    Done,
    /// The other program is stopping.
    Shutdown,
    /// The other side does not talk to this one: not a member, or not in this role.
    Refused,
    /// A frame was malformed or too big.
    BadFrame,
    /// The other side speaks another version of the link format.
    Version,
    /// The other side serves as many links as it can.
    Busy,
    /// A reason this version does not know.
    Other(u64),
}

impl CloseReason {
    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::Done => 0,
            Self::Shutdown => 1,
            Self::Refused => 2,
            Self::BadFrame => 3,
            Self::Version => 4,
            Self::Busy => 5,
            Self::Other(_) => 6,
        })
    }

    fn from_code(code: VarInt) -> Self {
        match code.into_inner() {
            0 => Self::Done,
            1 => Self::Shutdown,
            2 => Self::Refused,
            3 => Self::BadFrame,
            4 => Self::Version,
            5 => Self::Busy,
            other => Self::Other(other),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Shutdown => "the other side is stopping",
            Self::Refused => "the other side does not talk to this key",
            Self::BadFrame => "a frame was malformed or too big",
            Self::Version => "the other side speaks another version of the link format",
            Self::Busy => "the other side is busy",
            Self::Other(_) => "a reason this version does not know",
        }
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.words())
    }
}

/// Why a link could not be made or has ended.
///
/// No variant carries the peer's key or address, so that an error may be logged as it is; only
/// [`LinkError::Bind`] names an address, and that is our own.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The local address cannot be used.
    #[error("cannot listen on {address}: {reason}")]
    Bind {
        /// Ours.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// The endpoint could not be set up for a reason other than its address.
    #[error("cannot set up an endpoint: {reason}")]
    Setup {
        /// What iroh says.
        reason: String,
    },
    /// Caller's mistake: no address to dial, an impossible peer key, or one's own.
    #[error("cannot dial: {0}")]
    Dial(&'static str),
    /// Nobody answered in time.
    #[error("no answer in time")]
    TimedOut,
    /// Whoever answers at that address does not hold the expected key.
    #[error("the peer at this address does not hold the expected key")]
    WrongPeer,
    /// The peer does not speak this protocol, or another version of it.
    #[error("the peer does not speak {protocol}")]
    ProtocolRefused {
        /// The ALPN that was asked for.
        protocol: String,
    },
    /// The peer offers no hybrid post-quantum key exchange.
    #[error("the peer offers no X25519MLKEM768 key exchange")]
    NotPostQuantum,
    /// The peer's link format has another version.
    #[error("the peer's link format has version {got}, this program's has version {want}")]
    Version {
        /// What the peer said.
        got: u8,
        /// What this program speaks.
        want: u8,
    },
    /// The peer announced a frame longer than [`crate::MAX_FRAME`].
    #[error("a frame of {len} bytes exceeds the maximum of {max}")]
    FrameTooBig {
        /// What was announced or given.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// The stream ended within a frame.
    #[error("the link ended within a frame")]
    CutShort,
    /// The peer closed the link and said why.
    #[error("closed by the peer: {0}")]
    Closed(CloseReason),
    /// This side closed the link, or its endpoint is closed.
    #[error("the link is closed")]
    ClosedHere,
    /// The connection was lost.
    #[error("the connection was lost: {reason}")]
    Lost {
        /// What QUIC says.
        reason: String,
    },
}

/// The QUIC transport error of a server that takes no connection (RFC 9000, 20.1): an endpoint with too
/// many handshakes under way answers so.
const CONNECTION_REFUSED: u64 = 2;

/// TLS alerts (RFC 8446, 6) that have a name of their own here, as QUIC crypto error codes.
const ALERT_HANDSHAKE_FAILURE: u64 = 0x100 | 40;
const ALERT_NO_APPLICATION_PROTOCOL: u64 = 0x100 | 120;
/// Alerts 42..=49: everything that can be wrong with a certificate or raw key.
const ALERTS_CERTIFICATE: std::ops::RangeInclusive<u64> = (0x100 | 42)..=(0x100 | 49);
/// Alert 51, a handshake signature that does not verify.
const ALERT_DECRYPT_ERROR: u64 = 0x100 | 51;

impl From<ConnectionError> for LinkError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                Self::Closed(CloseReason::from_code(close.error_code))
            }
            ConnectionError::LocallyClosed => Self::ClosedHere,
            ConnectionError::TimedOut => Self::TimedOut,
            ConnectionError::TransportError(error) => {
                from_alert(u64::from(error.code)).unwrap_or_else(|| lost(&error))
            }
            ConnectionError::ConnectionClosed(close) => {
                from_alert(u64::from(close.error_code)).unwrap_or_else(|| lost(&close))
            }
            other => lost(&other),
        }
    }
}

fn lost(reason: &dyn std::fmt::Display) -> LinkError {
    LinkError::Lost { reason: reason.to_string() }
}

fn from_alert(code: u64) -> Option<LinkError> {
    match code {
        CONNECTION_REFUSED => Some(LinkError::Closed(CloseReason::Busy)),
        ALERT_HANDSHAKE_FAILURE => Some(LinkError::NotPostQuantum),
        ALERT_NO_APPLICATION_PROTOCOL => {
            Some(LinkError::ProtocolRefused { protocol: String::new() })
        }
        ALERT_DECRYPT_ERROR => Some(LinkError::WrongPeer),
        code if ALERTS_CERTIFICATE.contains(&code) => Some(LinkError::WrongPeer),
        _ => None,
    }
}

impl LinkError {
    /// Of a dial for `alpn`, which fills in what the alert alone does not say.
    pub(crate) fn dialling(error: ConnectError, alpn: &[u8]) -> Self {
        let error = match error {
            ConnectError::Connection { source, .. } => source.into(),
            ConnectError::Connecting { source, .. } => source.into(),
            ConnectError::Connect { source, .. } => match source {
                ConnectWithOptsError::SelfConnect { .. } => Self::Dial("the peer is this endpoint"),
                ConnectWithOptsError::EndpointClosed { .. } => Self::ClosedHere,
                other => lost(&other),
            },
            other => lost(&other),
        };
        match error {
            Self::ProtocolRefused { .. } => {
                Self::ProtocolRefused { protocol: String::from_utf8_lossy(alpn).into_owned() }
            }
            other => other,
        }
    }
}

impl From<ConnectingError> for LinkError {
    fn from(error: ConnectingError) -> Self {
        match error {
            ConnectingError::ConnectionError { source, .. } => source.into(),
            ConnectingError::HandshakeFailure { .. } => Self::WrongPeer,
            other => lost(&other),
        }
    }
}

impl From<ReadError> for LinkError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(source) => source.into(),
            ReadError::ClosedStream => Self::ClosedHere,
            other => lost(&other),
        }
    }
}

impl From<WriteError> for LinkError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(source) => source.into(),
            WriteError::ClosedStream => Self::ClosedHere,
            other => lost(&other),
        }
    }
}
