//! The production cores on virtual time.
//!
//! ```text
//!   Person = Engine + Transport + database ──link── Gateway ── Mix ×3 ── Store ×n
//!                       every frame is an event in one queue; time jumps from event to event
//! ```
//!
//! Nothing here is a stand-in: packets are Sphinx packets, boxes are signed, the register votes. What
//! is simulated is what surrounds a core: links (with delay, reordering and loss), disks, clocks,
//! and crashes. One seed gives one run.

mod links;
pub mod network;
mod person;
mod world;

pub use links::Links;
pub use network::Shape;
pub use person::Person;
pub use world::World;
