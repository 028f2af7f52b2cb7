//! What every xchat core shares: identifiers, secrets, the wire codec, and time and randomness as inputs.
//!
//! A core is a deterministic state machine. It never reads a clock and never draws from a global
//! generator: the driver hands it a [`Timestamp`] and an [`Rng`] with every call.

pub mod codec;
pub mod id;
pub mod kdf;
pub mod random;
pub mod secret;
pub mod time;

pub use codec::{CodecError, Wire};
pub use random::Rng;
pub use secret::Secret;
pub use time::Timestamp;
