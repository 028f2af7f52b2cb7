//! The production cores on virtual time.
//!
//! ```text
//!   Person = Engine + Transport + database ─┐
//!   Talker = Talk + Transport ──────────────┴─link── Gateway ── Mix ×3 ── Store ×n
//!                       every frame is an event in one agenda; time jumps from event to event
//! ```
//!
//! What is simulated is what surrounds a core: links (with delay, reordering and loss), disks, clocks,
//! and crashes. One seed gives one run. For many people and long times two things can be left out, each behind a
//! boundary of the crate that has it: MLS ([`Talker`]) and the cryptography of packets ([`Transparent`]), and
//! tests show that nothing else changes. A world in which nothing is left out is [`World::new`] with people.
//!
//! [`Scenario`] says who is there and who talks to whom, [`play()`] plays it, and an [`seen::Observer`] is told what
//! there is to see.

mod agenda;
mod budget;
mod core;
pub mod cost;
mod disk;
mod insider;
mod links;
pub mod network;
mod past;
mod person;
mod plain;
mod play;
mod renewal;
pub mod scenario;
pub mod seen;
pub mod steps;
mod talker;
mod world;

pub use budget::{Budget, budget};
pub use core::Totals;
pub use links::Links;
pub use network::Shape;
pub use past::Past;
pub use person::Person;
pub use plain::PlainGroup;
pub use play::{Report, play};
pub use renewal::Renewal;
pub use scenario::Scenario;
pub use talker::Talker;
pub use world::{Acquaintance, World};
pub use xchat_transparent::Transparent;
pub use xchat_transport::DecoyLanes;
