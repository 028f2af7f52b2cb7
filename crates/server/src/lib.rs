//! A node as a process: drives one core of `xchat-node` over links, with its disk and its clock.
//!
//! ```text
//!   links in ──▶ ┌────────── core thread ──────────┐ ──▶ queues ──▶ links out
//!   clients  ──▶ │ gather · run core · persist ·   │ ──▶ queues ──▶ clients
//!   network file │ then let effects leave          │
//!   timer    ──▶ └──────────────────────────────── ┘ ◀── control socket (`node status`)
//! ```
//!
//! One thread owns the core. It takes whatever waits, runs the core over all of it, makes what the
//! core wrote durable once for the whole batch (group commit), and only then lets a frame leave.
//! Everything around it is queues with bounds: a peer that is away costs its queue and no more.
//!
//! What it does not do: it decides nothing about packets, boxes or clients, it fetches no network
//! document (it reads the file that its operator keeps fresh), and it logs no peer and no client.

mod accept;
pub mod clock;
pub mod config;
pub mod control;
mod core;
mod document;
pub mod error;
pub mod files;
mod journal;
pub mod keys;
mod links;
mod metrics;
pub mod prepared;
mod queue;
mod role;
mod run;
pub mod table;

pub use config::{ConfigError, NodeConfig, RoleName};
pub use error::NodeError;
pub use prepared::Prepared;
pub use run::run;

pub use xchat_link as link;
pub use xchat_node as node;
