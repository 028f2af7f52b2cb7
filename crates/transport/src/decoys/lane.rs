//! A lane of a decoy.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xchat_base::{Rng, Secret};
use xchat_pigeonhole::{BoxId, Lane, SealedBox};
use zeroize::Zeroizing;

/// A lane in which nothing is ever said: its writer and its reader are the same client.
#[derive(Clone)]
pub(super) struct DecoyLane(Lane);

impl DecoyLane {
    /// A new one.
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self(Lane::new(Secret::random(rng)))
    }

    /// How many boxes have been passed.
    pub(super) fn index(&self) -> u64 {
        self.0.index()
    }

    /// Passes one box.
    pub(super) fn advance(&mut self) {
        self.0.advance();
    }

    /// The box at this position.
    pub(super) fn id(&self) -> BoxId {
        self.0.keys().id()
    }

    /// The box so many positions further on.
    pub(super) fn id_ahead(&self, ahead: u16) -> BoxId {
        self.0.peek(ahead).id()
    }

    /// The box at this position, sealed: the same bytes each time, so that after a crash it is written again as a conversation
    /// writes its own.
    pub(super) fn sealed(&self) -> SealedBox {
        self.0.keys().seal_nothing()
    }
}

/// For the owner's encrypted database.
impl Serialize for DecoyLane {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.to_stored().expose().as_slice().serialize(to)
    }
}

impl<'de> Deserialize<'de> for DecoyLane {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes = Zeroizing::new(Vec::<u8>::deserialize(from)?);
        Lane::from_stored(&bytes).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_box_is_the_same_each_time_and_no_two_are_alike() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut lane = DecoyLane::new(&mut rng);
        let first = lane.sealed();
        assert_eq!(first, lane.clone().sealed());
        assert_eq!(first.id(), lane.id());
        let second = lane.id_ahead(1);
        lane.advance();
        assert_eq!(lane.sealed().id(), second);
        assert_ne!(lane.sealed().nonce(), first.nonce());
        assert_ne!(DecoyLane::new(&mut rng).sealed().nonce(), first.nonce());
    }
}
