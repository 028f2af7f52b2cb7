//! Which mixes let packets through, as far as the packets of one client or gateway tell it.
//!
//! Every packet passes six mixes (a loop three), and its answer says that all of them let it pass. A lost one says only
//! that one of them, or the store, or a link did not; so a mix is judged by many packets, and beside those of its
//! own layer: whatever else is wrong meets them all alike.

use std::collections::BTreeMap;

use crate::descriptor::{LAYERS, NodeId};
use crate::signed::VerifiedDocument;

/// A mix through which so many packets in a row had no answer, while others had, may be silent.
pub const SILENT_AFTER: u32 = 8;

/// It is taken for silent if that is less likely than this by chance, given how many of all packets were lost meanwhile:
/// a dead one of two takes three packets of four with it, and so does bad luck with the others.
const BY_CHANCE: f64 = 0.001;

/// A mix that loses so much more of the packets than the best of its layer is taken for a dropper.
const MORE_THAN_THE_BEST: f64 = 0.15;

/// How much of the past counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    /// What a packet counts after each later one of the same mix.
    fading: f64,
    /// Packets by which a share of losses is judged.
    enough: f64,
}

impl Memory {
    /// A packet counts half after some 140 of the mix's own: for whoever goes round the mixes that fail, and so hears
    /// little of them.
    pub const LONG: Self = Self { fading: 0.995, enough: 60.0 };
    /// A packet counts half after 35: for whoever goes on through them, so that it is soon seen when one is well again.
    pub const SHORT: Self = Self { fading: 0.98, enough: 40.0 };
}

/// What is wrong with a mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// Nothing comes through it.
    Silent,
    /// It loses more than others of its layer.
    Drops,
}

#[derive(Debug, Clone, Default)]
struct Record {
    passed: f64,
    lost: f64,
    in_a_row: u32,
    /// All packets before the first of these.
    before: All,
}

/// Packets over any mixes.
#[derive(Debug, Clone, Copy, Default)]
struct All {
    passed: u64,
    lost: u64,
}

impl Record {
    fn weight(&self) -> f64 {
        self.lost + self.passed
    }

    fn share(&self) -> f64 {
        self.lost / self.weight().max(1.0)
    }
}

/// By mix; bounded by the mixes that packets are sent through, those of documents.
#[derive(Debug)]
pub struct MixHealth {
    memory: Memory,
    all: All,
    mixes: BTreeMap<NodeId, Record>,
}

impl MixHealth {
    /// Nothing is known yet.
    pub const fn new(memory: Memory) -> Self {
        Self { memory, all: All { passed: 0, lost: 0 }, mixes: BTreeMap::new() }
    }

    /// A packet over these mixes was answered in time.
    pub fn answered(&mut self, way: &[NodeId]) {
        self.all.passed += 1;
        for mix in way {
            let record = self.mixes.entry(*mix).or_default();
            record.passed = record.passed * self.memory.fading + 1.0;
            record.lost *= self.memory.fading;
            record.in_a_row = 0;
        }
    }

    /// A packet over these mixes had no answer.
    pub fn lost(&mut self, way: &[NodeId]) {
        let before = self.all;
        self.all.lost += 1;
        for mix in way {
            let record = self.mixes.entry(*mix).or_default();
            record.lost = record.lost * self.memory.fading + 1.0;
            record.passed *= self.memory.fading;
            if record.in_a_row == 0 {
                record.before = before;
            }
            record.in_a_row = record.in_a_row.saturating_add(1);
        }
    }

    /// What is wrong with a mix, if anything is known to be.
    pub fn failing(&self, mix: &NodeId, document: &VerifiedDocument) -> Option<Failing> {
        let record = self.mixes.get(mix)?;
        let layer = layer_of(document, mix)?;
        // When nothing at all is answered, no mix is to blame.
        let passed = (self.all.passed - record.before.passed) as f64;
        let lost = (self.all.lost - record.before.lost) as f64;
        let by_chance = (lost / (lost + passed).max(1.0)).powf(record.in_a_row.into());
        if record.in_a_row >= SILENT_AFTER && by_chance <= BY_CHANCE {
            return Some(Failing::Silent);
        }
        let best = document
            .mixes(layer)
            .filter_map(|other| self.mixes.get(&other.id))
            .filter(|record| record.weight() >= self.memory.enough)
            .map(Record::share)
            .fold(f64::INFINITY, f64::min);
        let drops =
            record.weight() >= self.memory.enough && record.share() > best + MORE_THAN_THE_BEST;
        drops.then_some(Failing::Drops)
    }

    /// Whether a share of losses could be told by what is known of this mix.
    pub fn is_well_known(&self, mix: &NodeId) -> bool {
        self.mixes.get(mix).is_some_and(|record| record.passed >= self.memory.enough)
    }

    /// A mix is judged by what it does from now on, and by so many losses in a row before.
    pub fn begin_anew(&mut self, mix: &NodeId, in_a_row: u32) {
        if let Some(record) = self.mixes.get_mut(mix) {
            *record = Record { in_a_row, before: self.all, ..Record::default() };
        }
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
