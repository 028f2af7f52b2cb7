//! Links: authenticated, encrypted, ordered pipes of frames between two xchat endpoints.
//!
//! ```text
//!   Endpoint ──connect(peer, addresses, alpn)──▶ Link ──split──▶ LinkSender / LinkReceiver
//!      │                                          ▲
//!      └──accept()─────────────────────────────── ┘
//! ```
//!
//! A link is one bidirectional QUIC stream (RFC 9000, by iroh). Both ends are known by an Ed25519
//! key (raw public keys, RFC 7250) and the key exchange is X25519MLKEM768 and nothing else, so a
//! recorded link stays closed to a later quantum computer. Frames are length-delimited.
//!
//! It knows no relay, no discovery service and no name lookup: a peer is reached at the addresses
//! the caller gives, or not at all. It does not know what the frames mean, does not reconnect and
//! does not pad: that is for its users.
//!
//! ```no_run
//! # async fn run(secret: xchat_link::LinkSecret, peer: xchat_link::PeerId) -> Result<(), xchat_link::LinkError> {
//! use std::time::Duration;
//! use xchat_link::{Endpoint, LinkConfig};
//!
//! let addresses = ["127.0.0.1:4000".parse().expect("an address")];
//! let endpoint = Endpoint::bind(LinkConfig::towards(secret, &addresses)).await?;
//! let link = endpoint.connect(peer, &addresses, b"/xchat/packet/1", Duration::from_secs(5)).await?;
//! let (mut sender, mut receiver) = link.split();
//! sender.send(b"frame".as_slice().into()).await?;
//! let answer = receiver.recv().await?;
//! # Ok(()) }
//! ```

pub mod endpoint;
pub mod error;
mod handshake;
pub mod link;
mod quic;
mod sources;

pub use endpoint::{Endpoint, LinkConfig, LinkSecret, PeerId, wait_until_free};
pub use error::{CloseReason, LinkError};
pub use link::{Link, LinkReceiver, LinkSender, MAX_FRAME};
