//! Which mixes let packets through, as far as the packets of one client or gateway tell it.
//!
//! Every packet passes six mixes (a loop three), and its answer says that all of them let it pass. A lost one says only
//! that one of them, or the store, or a link did not; so a mix is judged by many packets, and beside those of its
//! own layer: whatever else is wrong meets them all alike.
//!
//! A mix that is avoided cannot be told from others by what a client sends: routes are drawn from the rest. At most half
//! of a layer is avoided, so that nobody can lead a client's packets to few mixes by dropping what goes to the others.

use core::time::Duration;
use std::collections::BTreeMap;

use xchat_base::Timestamp;

use crate::descriptor::{LAYERS, NodeId, OperatorId};
use crate::signed::VerifiedDocument;

/// A mix through which so many packets in a row had no answer, while others had, may be silent.
const SILENT_AFTER: u32 = 8;

/// It is taken for silent if that is less likely than this by chance, given how many of all packets were lost meanwhile:
/// a dead one of two takes three packets of four with it, and so does bad luck with the others.
const BY_CHANCE: f64 = 0.001;

/// A mix that loses so much more of the packets than the best of its layer is taken for a dropper.
const MORE_THAN_THE_BEST: f64 = 0.15;

/// Packets by which a share of losses is judged.
const ENOUGH: f64 = 60.0;

/// Older packets count less: half as much after some 140 of the mix's own.
const FADING: f64 = 0.995;

/// A mix is avoided for the first of these, doubled each time, at most the second.
const AVOIDED_FOR: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

#[derive(Debug, Clone, Default)]
struct Record {
    passed: f64,
    lost: f64,
    in_a_row: u32,
    /// All packets before the first of these.
    before: All,
    strikes: u32,
    avoided_until: Timestamp,
}

/// Packets over any mixes.
#[derive(Debug, Clone, Copy, Default)]
struct All {
    passed: u64,
    lost: u64,
}

impl Record {
    fn share(&self) -> f64 {
        self.lost / (self.lost + self.passed).max(1.0)
    }
}

/// By mix; bounded by the mixes of the document.
#[derive(Debug, Default)]
pub struct MixHealth {
    all: All,
    mixes: BTreeMap<NodeId, Record>,
}

impl MixHealth {
    /// A packet over these mixes was answered in time.
    pub fn answered(&mut self, way: &[NodeId]) {
        self.all.passed += 1;
        for mix in way {
            let record = self.mixes.entry(*mix).or_default();
            record.passed = record.passed * FADING + 1.0;
            record.lost *= FADING;
            record.in_a_row = 0;
            if record.passed >= ENOUGH {
                record.strikes = 0;
            }
        }
    }

    /// A packet over these mixes had no answer.
    pub fn lost(&mut self, way: &[NodeId], document: &VerifiedDocument, now: Timestamp) {
        let before = self.all;
        self.all.lost += 1;
        for mix in way {
            let record = self.mixes.entry(*mix).or_default();
            record.lost = record.lost * FADING + 1.0;
            record.passed *= FADING;
            if record.in_a_row == 0 {
                record.before = before;
            }
            record.in_a_row = record.in_a_row.saturating_add(1);
        }
        for mix in way {
            self.judge(mix, document, now);
        }
    }

    fn judge(&mut self, mix: &NodeId, document: &VerifiedDocument, now: Timestamp) {
        let Some(layer) = layer_of(document, mix) else { return };
        let best = document
            .mixes(layer)
            .filter_map(|other| self.mixes.get(&other.id))
            .filter(|record| record.lost + record.passed >= ENOUGH)
            .map(Record::share)
            .fold(f64::INFINITY, f64::min);
        let Some(record) = self.mixes.get_mut(mix) else { return };
        if record.avoided_until > now {
            return;
        }
        // When nothing at all is answered, no mix is to blame.
        let passed = (self.all.passed - record.before.passed) as f64;
        let lost = (self.all.lost - record.before.lost) as f64;
        let by_chance = (lost / (lost + passed).max(1.0)).powf(record.in_a_row.into());
        let silent = record.in_a_row >= SILENT_AFTER && by_chance <= BY_CHANCE;
        let drops =
            record.lost + record.passed >= ENOUGH && record.share() > best + MORE_THAN_THE_BEST;
        if silent || drops {
            let (first, longest) = AVOIDED_FOR;
            let pause = first.saturating_mul(1 << record.strikes.min(10)).min(longest);
            let strikes = record.strikes.saturating_add(1);
            // Tried again, it is judged by what it does then; one more silence is enough.
            let in_a_row = if silent { SILENT_AFTER - 1 } else { 0 };
            let avoided_until = now + pause;
            *record =
                Record { strikes, in_a_row, before: self.all, avoided_until, ..Record::default() };
        }
    }

    /// The mixes that are taken for silent or for droppers now.
    pub fn failing(&self, now: Timestamp) -> Vec<NodeId> {
        let failing = self.mixes.iter().filter(|(_, record)| record.avoided_until > now);
        failing.map(|(mix, _)| *mix).collect()
    }

    /// Whose mixes are to be avoided now: of each layer at most half of those that fail, those that were struck most.
    pub fn avoided(&self, document: &VerifiedDocument, now: Timestamp) -> Vec<OperatorId> {
        let mut avoided = Vec::new();
        for layer in 1..=LAYERS {
            let most = document.mixes(layer).count() / 2;
            let mut struck: Vec<_> = document
                .mixes(layer)
                .filter_map(|mix| Some((self.mixes.get(&mix.id)?, mix.operator)))
                .filter(|(record, _)| record.avoided_until > now)
                .collect();
            struck.sort_by_key(|(record, _)| core::cmp::Reverse(record.strikes));
            avoided.extend(struck.into_iter().take(most).map(|(_, operator)| operator));
        }
        avoided
    }

    /// Forgets mixes that are no more.
    pub fn follow_document(&mut self, document: &VerifiedDocument) {
        self.mixes.retain(|mix, _| layer_of(document, mix).is_some());
    }
}

fn layer_of(document: &VerifiedDocument, mix: &NodeId) -> Option<u8> {
    let node = document.node(mix)?;
    (1..=LAYERS).find(|layer| node.is_mix_of(*layer))
}
