//! The client's side of the network: boxes to write, read and follow, at a constant rate, through
//! the mixes.
//!
//! ```text
//!  Write Read Follow │                                      ▲ Written Read Arrived Status
//!                    ▼                                      │
//!   ┌────────────── Transport ──────────────────────────────┴─┐
//!   │ writes ─┐                                                │
//!   │ reads ──┼─▶ slot (Poisson clock) ─▶ Sphinx packet        │
//!   │ follows ┤                            │  ▲ reply, checked │
//!   │ collect ┘                            │  │                │
//!   └──────────────────────────────────────┼──┼────────────────┘
//!                                     Send ▼  │ Frame
//!                                        gateway
//! ```
//!
//! **The invariant of use.** Call [`Transport::handle`] with every input and the present time, carry
//! out the effects in order, and call it again with [`Input::Timer`] at the time of the last
//! [`Effect::WakeAt`]. Nothing but a timer ever makes it emit a packet: when packets leave is the
//! business of a clock of its own, drawn when the transport starts, that no command, answer or delivery
//! can advance or hold back. Time must not run backwards between calls: a driver takes it from a monotonic clock
//! that it once set by the wall. What its owner does decides only what fills a slot.
//!
//! ```
//! use xchat_transport::{Pace, Status};
//! // What a pace costs, before anything is started:
//! assert_eq!(Pace::Desk.bytes_per_month() / 1_000_000_000, 6);
//! # let _: Option<Status> = None;
//! ```
//!
//! It does not know plaintext, contacts or conversations, it opens no connection (the driver does, with
//! the addresses and the fresh key of [`Effect::Connect`]), and it keeps nothing but
//! the pinned gateways, the newest network document and its decoys: what was asked of it before a restart, its
//! owner asks again. The normative description is `spec/08-client-stream.md`.

mod api;
mod attempts;
mod beside;
mod clock;
mod collectors;
mod decoys;
mod deliveries;
mod droppers;
mod follows;
mod guards;
mod habits;
mod health;
mod measure;
mod mixes;
mod outstanding;
mod pace;
mod queue;
mod rhythm;
mod routes;
mod status;
mod strikes;
#[cfg(test)]
mod tests;
mod tickets;
mod transport;
mod unclaimed;

pub use api::{Command, DecoyLanes, Effect, Event, Input, StartError, Urgency};
pub use clock::SLOT_LEAD;
pub use decoys::KeptDecoys;
pub use habits::Said;
pub use pace::usual_message_time;
pub use status::{CollectorHealth, GatewayState, Status, Trouble};
pub use transport::Transport;

pub use xchat_directory as directory;
pub use xchat_pigeonhole as pigeonhole;
pub use xchat_sphinx as sphinx;
pub use xchat_sphinx::Pace;
