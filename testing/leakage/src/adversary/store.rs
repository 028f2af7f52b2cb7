//! The stores, alone: which boxes belong together, and which of them somebody wrote.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::attack::chain::{Search, WITHIN};
use crate::dice::Dice;
use crate::learn::Table;
use crate::record::{Asked, HOUR, Inside, Insight, Micros, Observer, SECOND};
use crate::systems::{Boxed, Truth};

/// What all stores see, in the words of the report.
pub const NAME: &str = "stores";

/// See [`super::Lens::sees`].
pub const SEES: &str = "Each request, with the box it is about, its time, and the lifetime that a registration asks \
    for. No link, no client. At its worst: all stores are its own. It is asked of two boxes that were written one after \
    the other whether they are neighbours in one lane, of one box which of those written soon after is the next one of its lane, and of one \
    whether somebody wrote it or a decoy did.";

/// What is known of one box.
#[derive(Debug, Clone, Default)]
struct Known {
    written: Option<Micros>,
    /// What its reader may have registered for in place of it.
    told: u64,
    registered: Vec<Micros>,
    /// Reads before it was written, and afterwards.
    reads: (u32, u32),
    first_read: Option<Micros>,
    last_read: Option<Micros>,
}

/// The ticket of a box of which none is known.
pub(super) const NOBODYS: u64 = u64::MAX;

/// A day.
const DAY: Micros = 24 * HOUR;

/// Registrations of a box that are kept.
const KEPT: usize = 32;

/// Keeps what stores see of a run.
#[derive(Debug, Default)]
pub struct Stores {
    boxes: BTreeMap<u64, Known>,
}

/// Samples of one run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StoreSamples {
    /// Pairs of boxes: neighbours in a lane, or of two lanes.
    pub chained: Table,
    /// Boxes: written by somebody, or by a decoy.
    pub real: Table,
    /// Whether there were decoys at all; where there are none, every box is known to be somebody's.
    pub decoys: bool,
}

impl Observer for Stores {
    fn watches(&self, _client: u32, _hour: u32) -> bool {
        false
    }

    fn has_insiders(&self) -> bool {
        true
    }

    fn inside(&mut self, insight: &Insight) {
        if let Inside::Request(asked) = insight.inside {
            self.take(asked, insight.at_micros);
        }
    }
}

impl Stores {
    /// One more thing that a store was asked for.
    pub(super) fn take(&mut self, asked: Asked, at: Micros) {
        let (Asked::Write { id, .. } | Asked::Read(id) | Asked::Register { id, .. }) = asked else {
            return;
        };
        let known = self.boxes.entry(id).or_default();
        match asked {
            Asked::Write { told, .. } if known.written.is_none() => {
                (known.written, known.told) = (Some(at), told);
            }
            // A copy of it came first, without.
            Asked::Write { told, .. } if known.told == NOBODYS => known.told = told,
            Asked::Register { .. } if known.registered.len() < KEPT => {
                known.registered.push(at);
            }
            Asked::Read(_) => {
                let (before, after) = &mut known.reads;
                let count = if known.written.is_none() { before } else { after };
                *count += 1;
                known.first_read.get_or_insert(at);
                known.last_read = Some(at);
            }
            Asked::Write { .. } | Asked::Register { .. } | Asked::Collect { .. } => {}
        }
    }

    /// What the writer of a box had a ticket for has become known since.
    pub(super) fn learn_ticket(&mut self, id: u64, told: u64) {
        if let Some(known) = self.boxes.get_mut(&id) {
            known.told = told;
        }
    }

    /// What the writer of a box had a ticket for, as far as is known.
    #[cfg(test)]
    pub(super) fn told(&self, id: u64) -> Option<u64> {
        self.boxes.get(&id).map(|known| known.told)
    }

    /// When each box was written, by time.
    pub fn writes(&self) -> Vec<(Micros, u64)> {
        let mut writes: Vec<_> =
            self.boxes.iter().filter_map(|(id, known)| Some((known.written?, *id))).collect();
        writes.sort_unstable();
        writes
    }

    /// At most so many samples of each class, of boxes that were written after the first hours.
    pub fn samples(&self, truth: &Truth, warm_up: u32, count: usize, seed: u64) -> StoreSamples {
        let mut dice = Dice::new(seed, 0x7374_6f72);
        let (writes, mut order) = self.shuffled(truth, warm_up, &mut dice);
        let chained = self.chained(truth, &writes, &order, count, seed, &mut dice);
        dice.shuffle(&mut order);
        StoreSamples {
            chained,
            real: self.real(truth, &writes, &order, count, seed),
            decoys: truth.boxes.values().any(|one| one.decoy),
        }
    }

    /// At most so many boxes whose next one was written soon after them and after the first hours, each with all that were.
    pub fn searches(&self, truth: &Truth, warm_up: u32, count: usize, seed: u64) -> Vec<Search> {
        let mut dice = Dice::new(seed, 0x7365_6172);
        let (writes, order) = self.shuffled(truth, warm_up, &mut dice);
        let place = places(truth, &writes);
        let search = |index: usize| {
            let (at, id) = writes[index];
            let first = truth.boxes[&id];
            let next = *place.get(&(first.lane, first.number + 1))?;
            let end = writes.partition_point(|(then, _)| *then <= at + WITHIN);
            let strangers = (index + 1..end).filter(|i| is_strange(truth, &writes, *i, first));
            let known = &self.boxes[&writes[next].1];
            (index < next && next < end).then(|| Search {
                seed,
                next: self.pair_features(writes[index], writes[next]),
                others: strangers.map(|i| self.pair_features(writes[index], writes[i])).collect(),
                was_awaited: known.reads.0 > 0
                    || known.registered.first().is_some_and(|first| *first < writes[next].0),
            })
        };
        order.into_iter().filter_map(search).take(count).collect()
    }

    /// When each box was written, by time, of those that are known to be one; and the places of those written after the first hours, in any order.
    fn shuffled(
        &self,
        truth: &Truth,
        warm_up: u32,
        dice: &mut Dice,
    ) -> (Vec<(Micros, u64)>, Vec<usize>) {
        let from = u64::from(warm_up) * HOUR;
        let mut writes = self.writes();
        writes.retain(|(_, id)| truth.boxes.contains_key(id));
        let mut order: Vec<usize> = (0..writes.len()).filter(|at| writes[*at].0 >= from).collect();
        dice.shuffle(&mut order);
        (writes, order)
    }

    /// A box, its successor in the lane, and, as a negative, the box of another lane written next to the successor: so
    /// how much later it was written says nothing.
    fn chained(
        &self,
        truth: &Truth,
        writes: &[(Micros, u64)],
        order: &[usize],
        count: usize,
        seed: u64,
        dice: &mut Dice,
    ) -> Table {
        let place = places(truth, writes);
        let mut table = Table::default();
        for &index in order {
            if table.rows.len() >= 2 * count {
                break;
            }
            let first = truth.boxes[&writes[index].1];
            let Some(&next) = place.get(&(first.lane, first.number + 1)) else { continue };
            let Some(other) = beside(writes, truth, next, first, dice) else { continue };
            for (second, label) in [(next, 1.0), (other, 0.0)] {
                table.add(self.pair_features(writes[index], writes[second]), label, seed);
            }
        }
        table
    }

    fn real(
        &self,
        truth: &Truth,
        writes: &[(Micros, u64)],
        order: &[usize],
        count: usize,
        seed: u64,
    ) -> Table {
        let mut table = Table::default();
        let mut left = [count, count];
        for &index in order {
            let decoy = truth.boxes[&writes[index].1].decoy;
            let room = &mut left[usize::from(decoy)];
            if *room > 0 {
                *room -= 1;
                table.add(self.box_features(writes, index), f64::from(u8::from(!decoy)), seed);
            }
        }
        table
    }

    /// When somebody registered for what the writer of a box had a ticket for.
    fn ticket(&self, known: &Known) -> Option<Micros> {
        self.boxes.get(&known.told)?.registered.first().copied()
    }

    fn pair_features(&self, one: (Micros, u64), two: (Micros, u64)) -> Vec<f64> {
        let (known, other) = (&self.boxes[&one.1], &self.boxes[&two.1]);
        let (a, b) = (&known.registered, &other.registered);
        let apart = |a: Option<&Micros>, b: Option<&Micros>| match (a, b) {
            (Some(&a), Some(&b)) => signed_log(a, b),
            _ => 0.0,
        };
        // What one asked for next to what the other was asked for with.
        let nearest = a.iter().flat_map(|a| b.iter().map(move |b| a.abs_diff(*b))).min();
        let nearest = nearest.map_or(0.0, log_seconds);
        let stood = |at: Micros, registered: &[Micros]| {
            registered.first().map_or(20.0, |&first| signed_log(first, at))
        };
        let counts = [a.len(), b.len()].map(|n| n as f64);
        let reads = |known: &Known| f64::from(known.reads.0 + known.reads.1);
        let tickets = [self.ticket(known), self.ticket(other)];
        let age =
            |at: Micros, ticket: Option<Micros>| ticket.map_or(20.0, |then| signed_log(then, at));
        let ages = [age(one.0, tickets[0]), age(two.0, tickets[1])];
        vec![
            signed_log(one.0, two.0),
            apart(a.first(), b.first()),
            apart(a.last(), b.last()),
            apart(Some(&one.0), b.first()),
            apart(Some(&one.0), b.last()),
            nearest,
            counts[0],
            counts[1],
            (counts[0] - counts[1]).abs(),
            stood(one.0, a) - stood(two.0, b),
            (reads(known) - reads(other)).abs(),
            reads(known),
            reads(other),
            // Nobody looks at a box before the one before it has come.
            other.first_read.map_or(20.0, |first| signed_log(one.0, first)),
            other.first_read.map_or(20.0, |first| signed_log(first, two.0)),
            apart(tickets[0].as_ref(), tickets[1].as_ref()),
            ages[0],
            ages[1],
            (ages[0] - ages[1]).abs(),
        ]
    }

    fn box_features(&self, writes: &[(Micros, u64)], index: usize) -> Vec<f64> {
        let (at, id) = writes[index];
        let known = &self.boxes[&id];
        let Known { registered, reads, first_read, last_read, .. } = known;
        let gap = |other: Option<&(Micros, u64)>| {
            other.map_or(0.0, |(then, _)| log_seconds(at.abs_diff(*then)))
        };
        let within = |seconds: u64| {
            let from = writes.partition_point(|(then, _)| *then + seconds * SECOND < at);
            let until = writes.partition_point(|(then, _)| *then <= at + seconds * SECOND);
            (until - from) as f64
        };
        let since = |then: Option<&Micros>| then.map_or(20.0, |&then| signed_log(then, at));
        vec![
            since(registered.first()),
            since(registered.last()),
            registered.len() as f64,
            gap(writes.get(index.wrapping_sub(1))),
            gap(writes.get(index + 1)),
            within(10),
            within(60),
            within(600),
            reads.0.into(),
            reads.1.into(),
            since(first_read.as_ref()),
            since(last_read.as_ref()),
            since(self.ticket(known).as_ref()),
            // From the run's first one on. In a run of some hours it would say how old the run is; in one of one day it says both.
            if writes.last().is_some_and(|(last, _)| *last >= DAY / 2) {
                (at % DAY / HOUR) as f64
            } else {
                0.0
            },
        ]
    }
}

/// What is looked at of two boxes, in the order of the features.
pub const OF_PAIRS: [&str; 19] = [
    "time between the writes",
    "time between the first registrations",
    "time between the last registrations",
    "from the first one's write to the second one's first registration",
    "from the first one's write to the second one's last registration",
    "nearest registrations of the two",
    "registrations of the first one",
    "registrations of the second one",
    "difference of the numbers of registrations",
    "difference of the times from registration to write",
    "difference of the numbers of reads",
    "reads of the first one",
    "reads of the second one",
    "from the first one's write to the second one's first read",
    "from the second one's first read to its write",
    "time between the registrations of their tickets",
    "age of the first one's ticket",
    "age of the second one's ticket",
    "difference of the tickets' ages",
];

/// What is looked at of one box.
pub const OF_BOXES: [&str; 14] = [
    "time since the first registration",
    "time since the last registration",
    "registrations",
    "time since the write before, of any box",
    "time to the next write, of any box",
    "writes within 10 s, of any box",
    "writes within 60 s",
    "writes within 600 s",
    "reads before it was written",
    "reads afterwards",
    "time since the first read",
    "time since the last read",
    "age of its ticket",
    "hour of the run's day, in runs of days",
];

/// Where the box of a lane and number is.
fn places(truth: &Truth, writes: &[(Micros, u64)]) -> BTreeMap<((u32, u32), u32), usize> {
    let one = |(index, (_, id)): (usize, &(Micros, u64))| {
        ((truth.boxes[id].lane, truth.boxes[id].number), index)
    };
    writes.iter().enumerate().map(one).collect()
}

/// Whether a box is neither of the lane of another one nor of the same two people's other lane.
fn is_strange(truth: &Truth, writes: &[(Micros, u64)], index: usize, first: Boxed) -> bool {
    let lane = truth.boxes[&writes[index].1].lane;
    lane != first.lane && lane != (first.lane.1, first.lane.0)
}

/// A box of another lane that was written just before or after this one.
fn beside(
    writes: &[(Micros, u64)],
    truth: &Truth,
    next: usize,
    first: Boxed,
    dice: &mut Dice,
) -> Option<usize> {
    let steps: [isize; 2] = if dice.chance(0.5) { [1, -1] } else { [-1, 1] };
    let stranger = |index: &usize| is_strange(truth, writes, *index, first);
    let near = |step: isize| {
        (1..20)
            .filter_map(|n| next.checked_add_signed(step * n))
            .filter(|&i| i < writes.len())
            .find(stranger)
    };
    steps.into_iter().find_map(near)
}

/// Of a time between two events, its logarithm.
fn log_seconds(apart: Micros) -> f64 {
    (apart as f64 / SECOND as f64 + 0.1).ln()
}

/// The same with a sign: positive if `b` is later.
fn signed_log(a: Micros, b: Micros) -> f64 {
    let size = log_seconds(a.abs_diff(b)) - (0.1f64).ln();
    if b >= a { size } else { -size }
}
