//! Which mixes are gone round.
//!
//! A mix that is avoided cannot be told from others by what a client sends: routes are drawn from the rest. At most half
//! of a layer is avoided, so that nobody can lead a client's packets to few mixes by dropping what goes to the others.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use xchat_base::Timestamp;
use xchat_directory::descriptor::LAYERS;
use xchat_directory::mix_health::{Failing, Memory, MixHealth};
use xchat_directory::{Descriptor, NodeId, OperatorId, VerifiedDocument};

/// A mix is avoided for the first of these, doubled each time, at most the second.
const AVOIDED_FOR: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

#[derive(Debug, Clone, Copy)]
struct Struck {
    strikes: u32,
    until: Timestamp,
    /// Whether it is known what became of a packet that was sent over it after that.
    is_back: bool,
}

/// What is known of mixes, and which were struck; bounded by the mixes of the document.
#[derive(Debug)]
pub(crate) struct Mixes {
    health: MixHealth,
    struck: BTreeMap<NodeId, Struck>,
    /// Struck since [`Self::newly_avoided`] was asked.
    fresh: BTreeSet<NodeId>,
}

impl Mixes {
    pub(crate) const fn new() -> Self {
        Self {
            health: MixHealth::new(Memory::LONG),
            struck: BTreeMap::new(),
            fresh: BTreeSet::new(),
        }
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
        for mix in way {
            if let Some(struck) = self.struck.get_mut(mix)
                && self.health.is_well_known(mix)
            {
                struck.strikes = 0;
            }
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
            if self.struck.get(mix).is_some_and(|struck| struck.until > now) {
                continue;
            }
            if let Some(how) = self.health.failing(mix, document) {
                self.strike(mix, how, now);
            }
        }
    }

    fn take_back(&mut self, way: &[NodeId], document: &VerifiedDocument, sent: Timestamp) {
        for mix in way {
            if let Some(struck) = self.struck.get_mut(mix)
                && !struck.is_back
                && struck.until <= sent
            {
                struck.is_back = true;
                self.health.is_back(mix, document);
            }
        }
    }

    fn strike(&mut self, mix: &NodeId, how: Failing, now: Timestamp) {
        let (first, longest) = AVOIDED_FOR;
        let strikes = self.struck.get(mix).map_or(0, |struck| struck.strikes);
        let until = now + first.saturating_mul(1 << strikes.min(10)).min(longest);
        let strikes = strikes.saturating_add(1);
        self.struck.insert(*mix, Struck { strikes, until, is_back: false });
        self.health.begin_anew(mix, how);
        self.fresh.insert(*mix);
    }

    /// Mixes that are avoided since this was asked last.
    pub(crate) fn newly_avoided(
        &mut self,
        document: &VerifiedDocument,
        now: Timestamp,
    ) -> Vec<NodeId> {
        let fresh = core::mem::take(&mut self.fresh);
        if fresh.is_empty() {
            return Vec::new();
        }
        let mut avoided = self.avoided_mixes(document, now);
        avoided.retain(|mix| fresh.contains(mix));
        avoided
    }

    /// Mixes that are to be avoided now: of each layer at most half, those that were struck most.
    pub(crate) fn avoided_mixes(&self, document: &VerifiedDocument, now: Timestamp) -> Vec<NodeId> {
        self.avoided_nodes(document, now).map(|mix| mix.id).collect()
    }

    /// Whose these are.
    pub(crate) fn avoided(&self, document: &VerifiedDocument, now: Timestamp) -> Vec<OperatorId> {
        self.avoided_nodes(document, now).map(|mix| mix.operator).collect()
    }

    fn avoided_nodes<'a>(
        &'a self,
        document: &'a VerifiedDocument,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Descriptor> {
        (1..=LAYERS).flat_map(move |layer| {
            let most = document.mixes(layer).count() / 2;
            let mut struck: Vec<_> = document
                .mixes(layer)
                .filter_map(|mix| Some((self.struck.get(&mix.id)?, mix)))
                .filter(|(struck, _)| struck.until > now)
                .collect();
            struck.sort_by_key(|(struck, _)| core::cmp::Reverse(struck.strikes));
            struck.into_iter().take(most).map(|(_, mix)| mix)
        })
    }

    pub(crate) fn follow_document(&mut self, document: &VerifiedDocument) {
        self.health.follow_document(document);
        self.struck.retain(|mix, _| document.node(mix).is_some());
    }
}
