//! The daemon: one profile's client, for every face on this machine.
//!
//! ```text
//! POST /v1/command    a Command in JSON, its answer in JSON       ?timeout_ms=N
//! GET  /v1/events     events as lines of JSON, without end        ?since=MESSAGE or ?after=SEQ
//! POST /v1/unlock     opens the profile
//! POST /v1/stop       goes offline, answers, ends
//! GET  /v1/alive      answers
//! POST /v1/code       a code that opens a page, once
//!
//! GET  /              the page
//! POST /v1/session    a token for a code
//! GET  /v1/socket     commands, answers and events in both directions
//! POST /v1/draft      what was being written in a page that goes away
//! ```
//!
//! It listens on 127.0.0.1 only, at a port that the system has chosen once. Who may ask for the first six is decided by a
//! token in `PROFILE/daemon.json`, which only the profile's owner can read; see [`guard`]. The page gets
//! tokens of its own; see [`sessions`].

mod card;
pub(crate) mod connect;
mod door;
mod guard;
mod http;
mod keeper;
mod page;
mod routes;
pub(crate) mod serve;
mod sessions;
mod socket;
#[cfg(test)]
mod typescript;

pub(crate) use connect::Daemon;

/// The version of the interface above. A command of another version asks for a restart.
pub(crate) const API_VERSION: u32 = 1;
