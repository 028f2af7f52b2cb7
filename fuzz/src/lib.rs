//! What every parser and every state machine must stand: any bytes at all.
//!
//! ```text
//!   corpus/<target>/*  ─┐
//!                       ├─▶ Target::body(&[u8])   panics when a promise is broken
//!   seeds, mutated     ─┘
//! ```
//!
//! A **target** is a body with seeds. A parser's body reads the bytes and holds what it read against
//! its own encoding. A state machine's body reads the bytes as a list of operations ([`Bytes`]), does
//! them, and looks after each at what must hold. `tests/replay.rs` runs all of them in `./x test`, over
//! the committed corpus and a few thousand blind mutations of the seeds; `XCHAT_FUZZ_ROUNDS` makes it more.
//! `./x fuzz` runs the same bodies under libFuzzer (`src/main.rs`), which is led by what an input reaches.
//!
//! Not here: the daemon's commands and the profile's header, whose crates bring a database and TLS
//! along; their own tests feed them rubbish.

mod bytes;
mod conversation;
mod engine;
mod gateway;
mod mix;
mod mls;
mod mutate;
mod packets;
mod parsers;
mod register;
mod store;
mod tables;
mod transport;
pub mod vectors;

pub use bytes::Bytes;
pub use mutate::mutate;

/// One thing to be fuzzed.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Takes any bytes; panics when a promise is broken.
    pub body: fn(&[u8]),
    /// Valid inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many mutated inputs the plain test tries: about two seconds' worth.
    pub tries: u32,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    parsers::CELLS,
    parsers::FRAMES,
    parsers::MESSAGES,
    parsers::BOXES,
    parsers::REPLICA_MESSAGES,
    parsers::TABLE_MESSAGES,
    parsers::DIRECTORY,
    parsers::INVITATIONS,
    packets::UNWRAP,
    packets::BLOCKS,
    mls::GROUP,
    register::REGISTER,
    tables::TABLES,
    gateway::GATEWAY,
    mix::MIX,
    store::STORE,
    transport::TRANSPORT,
    conversation::CONVERSATION,
    engine::ENGINE,
    engine::STORED,
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
