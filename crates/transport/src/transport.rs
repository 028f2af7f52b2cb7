//! The state struct and its door.

use xchat_base::{Rng, Timestamp};
use xchat_directory::{Root, VerifiedDocument};

use crate::api::{Effect, Input, StartError};
use crate::pace::Pace;
use crate::status::Status;

/// The client's side of the network. See the crate's documentation for the rules of use.
pub struct Transport {}

impl Transport {
    /// A transport on this network, with what an earlier one asked to keep. If the kept document is newer
    /// than `document` it is used in its place.
    ///
    /// # Errors
    /// [`StartError`]: what was stored cannot be used.
    pub fn new(
        root: Root,
        document: VerifiedDocument,
        pace: Pace,
        stored: Option<&[u8]>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<Effect>), StartError> {
        let _ = (root, document, pace, stored, now, rng);
        Ok((Self {}, Vec::new()))
    }

    /// Takes one input; the effects are to be carried out in order.
    pub fn handle(&mut self, input: Input, now: Timestamp, rng: &mut Rng) -> Vec<Effect> {
        let _ = (input, now, rng);
        Vec::new()
    }

    /// How things stand.
    pub fn status(&self, now: Timestamp) -> Status {
        let _ = now;
        unreachable!("skeleton")
    }
}
