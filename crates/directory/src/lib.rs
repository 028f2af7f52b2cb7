//! The directory: who is in a network, and how everybody knows it alike.
//!
//! ```text
//! Root (name, authority keys, threshold)          handed out with the program or by the operator
//!   └ SignedDocument ── verify(root, now) ──▶ VerifiedDocument ── follows(previous) ──▶ in use
//!                                               ├ descriptors   gateways, mixes by layer, stores
//!                                               ├ placement     which stores hold a box
//!                                               └ parameters    delays, lifetimes
//! ```
//!
//! Nothing in a [`SignedDocument`] can be read before it is checked: the only way to a
//! [`Document`]'s contents from bytes is [`SignedDocument::verify`]. Normative text:
//! `spec/07-directory.md`.
//!
//! [`mix_health`] judges the mixes of a document by what comes back through them, for clients and gateways alike.
//!
//! This crate does not fetch, store or agree on documents; it says whether one is good, and signs
//! one for those who hold authority keys.

pub mod authority;
pub mod descriptor;
pub mod document;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod mix_health;
pub mod network_file;
pub mod parameters;
pub mod placement;
pub mod root;
pub mod route;
pub mod signed;

pub use authority::{AuthorityKey, AuthoritySecret};
pub use descriptor::{Descriptor, HopKeyPeriod, Incarnation, NodeId, OperatorId, Role};
pub use document::{Document, DocumentHash};
pub use error::{DirectoryError, Invalid};
pub use network_file::{NetworkFile, NetworkFileError};
pub use parameters::Parameters;
pub use placement::{
    MAX_PAST, Past, PlacedStore, Placement, PlacementEpoch, REPLICAS, Token, View,
};
pub use root::{NetworkId, NetworkName, Root, RootError};
pub use route::{random_route, random_store};
pub use signed::{SignError, SignedDocument, VerifiedDocument};
