//! The nodes' side of the network: one sans-IO core per role.
//!
//! ```text
//!            Gateway ──▶ Mix 1 ──▶ Mix 2 ──▶ Mix 3 ──▶ Store ◀─ReplicaFrame─▶ Store
//!  client ◀─▶   ▲                              │          │
//!               └────────── replies ───────────┘          └──▶ Mix 1   (by reply block)
//! ```
//!
//! Each core is one struct with one door: `handle(input, now, rng) -> Vec<Effect>`. The driver (crate
//! `server`, or a simulator) carries out the effects **in order**, and what persists before what
//! sends: a batch is atomic. For a store this means that the table is synced before any effect of
//! the batch leaves; for every Sphinx hop, that `RememberTags` is in the journal before packets of that batch leave.
//!
//! `WakeAt` asks for an [`mix::Input::Timer`] at that moment and replaces the request before it; a
//! timer that comes early or twice does no harm.
//!
//! A frame from a peer that has no business to send it is dropped and counted, never answered. No
//! core keeps a record of who sent what: counters are all there is, and of each packet that a hop has opened, in memory, which node it
//! came from, to know one that sends it again ([`repeats`]).
//!
//! What a core does not do: it opens no connections (it names the peer and the driver dials), it
//! does not verify documents (a [`directory::VerifiedDocument`] is the proof that somebody did). Links are padded by [`cells`],
//! which a driver puts between the cores and each link to another node.

pub mod cells;
pub mod gateway;
pub mod hop;
pub mod mix;
pub mod repeats;
mod start;
pub mod store;
#[cfg(test)]
mod tests;

pub use gateway::Gateway;
pub use hop::{HopSetup, TagPrint};
pub use mix::Mix;
pub use start::StartError;
pub use store::Store;

pub use xchat_directory as directory;
pub use xchat_pigeonhole as pigeonhole;
pub use xchat_sphinx as sphinx;
