//! Which mixes are gone round.
//!
//! A mix that is avoided cannot be told from others by what a client sends: routes are drawn from the rest.

use xchat_base::Timestamp;
use xchat_directory::descriptor::LAYERS;
use xchat_directory::mix_health::{Memory, MixHealth};
use xchat_directory::{NodeId, OperatorId, VerifiedDocument};

use crate::strikes::Strikes;

/// What is known of mixes, and which were struck; bounded by the mixes of the document.
#[derive(Debug)]
pub(crate) struct Mixes {
    health: MixHealth,
    strikes: Strikes,
}

impl Mixes {
    pub(crate) const fn new() -> Self {
        Self { health: MixHealth::new(Memory::LONG), strikes: Strikes::new() }
    }

    /// A packet over these mixes was answered in time.
    pub(crate) fn answered(
        &mut self,
        way: &[NodeId],
        document: &VerifiedDocument,
        sent: Timestamp,
    ) {
        self.take_back(way, document, sent);
        self.health.answered(way);
        for mix in way.iter().filter(|mix| self.health.is_well_known(mix)) {
            self.strikes.forgive(mix);
        }
    }

    /// A packet over these mixes had no answer.
    pub(crate) fn lost(
        &mut self,
        way: &[NodeId],
        document: &VerifiedDocument,
        sent: Timestamp,
        now: Timestamp,
    ) {
        self.take_back(way, document, sent);
        self.health.lost(way);
        for mix in way {
            if self.strikes.is_struck(mix, now) {
                continue;
            }
            if let Some(how) = self.health.failing(mix, document) {
                self.strikes.strike(mix, now);
                self.health.begin_anew(mix, how);
            }
        }
    }

    fn take_back(&mut self, way: &[NodeId], document: &VerifiedDocument, sent: Timestamp) {
        for mix in way {
            if self.strikes.comes_back(mix, sent) {
                self.health.is_back(mix, document);
            }
        }
    }

    /// Mixes that are avoided since this was asked last.
    pub(crate) fn newly_avoided(
        &mut self,
        document: &VerifiedDocument,
        now: Timestamp,
    ) -> Vec<NodeId> {
        self.strikes.newly(|strikes| avoided(strikes, document, now))
    }

    /// Mixes that are to be avoided now: of each layer at most half, those that were struck most.
    pub(crate) fn avoided_mixes(&self, document: &VerifiedDocument, now: Timestamp) -> Vec<NodeId> {
        avoided(&self.strikes, document, now)
    }

    /// Whose these are.
    pub(crate) fn avoided(&self, document: &VerifiedDocument, now: Timestamp) -> Vec<OperatorId> {
        let avoided = self.avoided_mixes(document, now);
        avoided.iter().filter_map(|mix| Some(document.node(mix)?.operator)).collect()
    }

    pub(crate) fn follow_document(&mut self, document: &VerifiedDocument) {
        self.health.follow_document(document);
        self.strikes.retain(|mix| document.node(mix).is_some());
    }
}

fn avoided(strikes: &Strikes, document: &VerifiedDocument, now: Timestamp) -> Vec<NodeId> {
    let of = |layer| strikes.among(document.mixes(layer).map(|mix| mix.id), now);
    (1..=LAYERS).flat_map(of).collect()
}
