//! Real processes for tools that test the whole: a local network, and people who use the command line.
//!
//! The end-to-end tests have a harness of their own (`testing/e2e/harness.rs`), which knows where cargo has put the
//! program and fails as a test does.

mod ground;
mod people;
mod session;

pub use ground::{Ground, Node, Taken, give_up, memory_of};
pub use people::{Arrival, Direction, Listening, PASSPHRASE, Person};
pub use session::{greet, hop, tag, without_cover};
