//! Which mixes let packets through, as far as the packets of one client or gateway tell it.
//!
//! Every packet passes six mixes (a loop three), and its answer says that all of them let it pass. A lost one says only
//! that one of them, or the store, or a link did not; so a mix is judged by many packets, and beside those of its
//! own layer: whatever else is wrong meets them all alike.

use std::collections::{BTreeMap, BTreeSet};

use crate::descriptor::{LAYERS, NodeId};
use crate::signed::VerifiedDocument;

/// A mix through which so many packets in a row had no answer, while others had, may be silent.
const SILENT_AFTER: u32 = 8;

/// It is taken for silent if that is less likely than this by chance, given how many of all packets were lost meanwhile:
/// a dead one of two takes three packets of four with it, and so does bad luck with the others.
const BY_CHANCE: f64 = 0.001;

/// One that was silent the last time is taken for silent again if its first losses are less likely than this by chance: it is as
/// likely to be still down as to be back, and trying costs people their packets.
const STILL_BY_CHANCE: f64 = 0.05;

/// A mix that loses so much more of the packets than the best of its layer is taken for a dropper, if it is far from chance.
const MORE_THAN_THE_BEST: f64 = 0.15;

/// Standard deviations between two shares of losses that are far from chance: with a dead mix in another layer half or
/// three quarters of all packets are lost, and two that are well differ by much while few have passed them.
const FAR_FROM_CHANCE: f64 = 4.0;

/// The same for one that was taken for a dropper the last time, and how much less is enough to judge it by: it is as likely to
/// drop still as not, and finding out costs people their packets.
const STILL_FAR_FROM_CHANCE: f64 = 2.5;
const LESS_IS_ENOUGH: f64 = 3.0;

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

/// What became of packets, each counting less with each later one.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    passed: f64,
    lost: f64,
    /// The sum of the squares of what each packet counts.
    squares: f64,
    packets: u64,
}

#[derive(Debug, Clone, Default)]
struct Record {
    tally: Tally,
    in_a_row: u32,
    /// All packets before the first of these; of one that was silent, before it was judged so.
    before: All,
    /// Until something comes through it.
    was_silent: bool,
    /// Until enough has come through it to say that it passes packets on.
    was_dropping: bool,
    /// What the others of its layer had come to when packets passed this one again: they are compared by what came later.
    /// While it was gone round they may have lost more or less, through no merit or fault of theirs.
    since: BTreeMap<NodeId, Tally>,
}

/// Packets over any mixes.
#[derive(Debug, Clone, Copy, Default)]
struct All {
    passed: u64,
    lost: u64,
}

impl Tally {
    fn count(&mut self, passed: f64, lost: f64, fading: f64) {
        self.passed = self.passed * fading + passed;
        self.lost = self.lost * fading + lost;
        self.squares = self.squares * fading * fading + 1.0;
        self.packets += 1;
    }

    /// Without what it had come to then.
    fn since(&self, then: &Self, fading: f64) -> Self {
        let packets = self.packets.saturating_sub(then.packets);
        let left = fading.powf(packets as f64);
        Self {
            passed: (self.passed - then.passed * left).max(0.0),
            lost: (self.lost - then.lost * left).max(0.0),
            squares: (self.squares - then.squares * left * left).max(0.0),
            packets,
        }
    }

    /// So many packets that all count the same would say as much (Kish's effective sample size).
    fn size(&self) -> f64 {
        self.weight() * self.weight() / self.squares.max(1.0)
    }

    /// Whether this one loses more than the best, by more than chance could do: the test of two proportions.
    fn loses_more_than(&self, best: &Self, deviations: f64) -> bool {
        let more = self.share() - best.share();
        let pooled = (self.lost + best.lost) / (self.weight() + best.weight());
        let variance = pooled * (1.0 - pooled) * (1.0 / self.size() + 1.0 / best.size());
        more > MORE_THAN_THE_BEST && more > deviations * variance.sqrt()
    }

    fn weight(&self) -> f64 {
        self.lost + self.passed
    }

    fn share(&self) -> f64 {
        self.lost / self.weight().max(1.0)
    }
}

/// By mix; bounded by the mixes that packets are sent through, those of documents, and those of each one's layer.
#[derive(Debug)]
pub struct MixHealth {
    memory: Memory,
    all: All,
    /// The last packets, the latest in the lowest bit: lost ones are ones.
    recent: u16,
    mixes: BTreeMap<NodeId, Record>,
}

impl MixHealth {
    /// Nothing is known yet.
    pub const fn new(memory: Memory) -> Self {
        Self { memory, all: All { passed: 0, lost: 0 }, recent: 0, mixes: BTreeMap::new() }
    }

    /// A packet over these mixes was answered in time.
    pub fn answered(&mut self, way: &[NodeId]) {
        self.answered_in_doubt(way);
        for mix in different(way) {
            let record = self.mixes.entry(mix).or_default();
            record.tally.count(1.0, 0.0, self.memory.fading);
            record.was_dropping &= record.tally.passed < self.memory.enough;
        }
    }

    /// The same of a packet of which nothing would have been counted, had it been lost: these mixes are not silent, and no more
    /// is known.
    pub fn answered_in_doubt(&mut self, way: &[NodeId]) {
        self.all.passed += 1;
        self.recent <<= 1;
        for mix in different(way) {
            if let Some(record) = self.mixes.get_mut(&mix) {
                record.in_a_row = 0;
                record.was_silent = false;
            }
        }
    }

    /// A packet over these mixes had no answer.
    pub fn lost(&mut self, way: &[NodeId]) {
        let before = self.all;
        self.all.lost += 1;
        self.recent = self.recent << 1 | 1;
        for mix in different(way) {
            let record = self.mixes.entry(mix).or_default();
            record.tally.count(0.0, 1.0, self.memory.fading);
            if record.in_a_row == 0 && !record.was_silent {
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
        let share = lost / (lost + passed).max(1.0);
        let is_silent = if record.was_silent {
            // That the device had no network a moment ago, or another mix has just died, is in the last few.
            let share = share.max(f64::from(self.recent.count_ones()) / f64::from(u16::BITS));
            record.in_a_row > 0 && share.powf(record.in_a_row.into()) <= STILL_BY_CHANCE
        } else {
            record.in_a_row >= SILENT_AFTER && share.powf(record.in_a_row.into()) <= BY_CHANCE
        };
        if is_silent {
            return Some(Failing::Silent);
        }
        let mut others = document.mixes(layer).filter(|other| other.id != *mix);
        let loses_more = others.any(|other| {
            let compared = self.mixes.get(&other.id).map(|one| {
                let (fading, mine, its) = (self.memory.fading, &record.tally, &one.tally);
                match (record.since.get(&other.id), one.since.get(mix)) {
                    (Some(then), _) => (*mine, its.since(then, fading)),
                    (None, Some(then)) => (mine.since(then, fading), *its),
                    (None, None) => (*mine, *its),
                }
            });
            let (enough, deviations) = if record.was_dropping {
                (self.memory.enough / LESS_IS_ENOUGH, STILL_FAR_FROM_CHANCE)
            } else {
                (self.memory.enough, FAR_FROM_CHANCE)
            };
            compared.is_some_and(|(mine, its)| {
                mine.weight() >= enough
                    && its.weight() >= enough
                    && mine.loses_more_than(&its, deviations)
            })
        });
        loses_more.then_some(Failing::Drops)
    }

    /// Whether a share of losses could be told by what is known of this mix.
    pub fn is_well_known(&self, mix: &NodeId) -> bool {
        self.mixes.get(mix).is_some_and(|record| record.tally.passed >= self.memory.enough)
    }

    /// A mix is judged by what it does from now on, and by what was wrong with it.
    pub fn begin_anew(&mut self, mix: &NodeId, was: Failing) {
        if let Some(record) = self.mixes.get_mut(mix) {
            *record = Record {
                was_silent: was == Failing::Silent,
                was_dropping: was == Failing::Drops,
                before: self.all,
                ..Record::default()
            };
        }
    }

    /// Packets pass this mix again: with the others of its layer it is compared by what happens from now on.
    pub fn is_back(&mut self, mix: &NodeId, document: &VerifiedDocument) {
        let Some(layer) = layer_of(document, mix) else { return };
        let others = document.mixes(layer).map(|other| other.id).filter(|other| other != mix);
        let since: BTreeMap<_, _> = others
            .filter_map(|other| {
                let record = self.mixes.get_mut(&other)?;
                record.since.remove(mix);
                Some((other, record.tally))
            })
            .collect();
        if let Some(record) = self.mixes.get_mut(mix) {
            // What was under way when it was judged is lost, and is no news.
            let Record { before, was_silent, was_dropping, .. } = *record;
            *record = Record { before, was_silent, was_dropping, since, ..Record::default() };
        }
    }

    /// Forgets mixes that are no more.
    pub fn follow_document(&mut self, document: &VerifiedDocument) {
        self.mixes.retain(|mix, _| layer_of(document, mix).is_some());
        for record in self.mixes.values_mut() {
            record.since.retain(|mix, _| layer_of(document, mix).is_some());
        }
    }
}

/// A packet that passes a mix twice, out and back, says once whether it lets packets through.
fn different(way: &[NodeId]) -> BTreeSet<NodeId> {
    way.iter().copied().collect()
}

fn layer_of(document: &VerifiedDocument, mix: &NodeId) -> Option<u8> {
    let node = document.node(mix)?;
    (1..=LAYERS).find(|layer| node.is_mix_of(*layer))
}
