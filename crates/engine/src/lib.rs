//! Conversations as one deterministic state machine.
//!
//! ```text
//! Command, Written, Read, Arrived, Timer ──► Engine::handle(input, now, rng) ──► [Effect]
//! ```
//!
//! **The invariant of use:** the effects of one call are one atomic batch. The driver commits
//! [`Effect::Persist`] first, in one transaction, and only then carries out the rest. After a crash
//! it loads what was committed with [`Engine::load`], which asks again for every write, read and
//! followed box that was under way. So nothing leaves the device that its disk does not know.
//!
//! The engine knows people, conversations and keys. It does not know packets, nodes, slots or time
//! of day beyond the `now` it is handed: `transport` carries its boxes.

mod accept;
mod api;
mod conversation;
mod engine;
mod invite;
mod keys;
mod record;
mod redact;
mod turn;

pub use api::*;
pub use conversation::{EpochGroup, LoadError, Talk};
#[cfg(feature = "mutations")]
pub use conversation::{Mutation, Side, SideInput, commit_entry};
pub use engine::Engine;
