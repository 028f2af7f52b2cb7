//! One client of the model: what fills its slots.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use crate::dice::Dice;
use crate::record::Micros;
use crate::traffic::Traffic;

use super::boxes::{AHEAD, DECOY, Decoy};
use super::micros;

/// A box to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub(super) from: u32,
    pub(super) to: u32,
    /// The message in it; none in a decoy.
    pub(super) message: Option<usize>,
}

/// What waits at a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    pub(super) at: Micros,
    pub(super) message: Option<usize>,
}

/// What a slot carries.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slot {
    Loop,
    Write(Write),
    /// For this box of this lane.
    Register((u32, u32), u32),
    Collect,
}

/// Of the boxes ahead of a lane at rest, those that are registered.
const RESTING: [bool; AHEAD] = {
    let mut two = [false; AHEAD];
    (two[0], two[1]) = (true, true);
    two
};

#[derive(Debug)]
pub(super) struct Client {
    pub(super) outbox: VecDeque<Write>,
    pub(super) items: BinaryHeap<Reverse<Item>>,
    pub(super) session: u64,
    session_until: f64,
    now: f64,
    /// Lanes that it follows: real and decoy.
    follows: Vec<(u32, u32)>,
    /// For each of them the next box, and which of it and those behind it are registered.
    standing: BTreeMap<(u32, u32), (u32, [bool; AHEAD])>,
    /// Registrations that a box's arrival has made due.
    fresh: VecDeque<((u32, u32), u32)>,
    /// Moments of decoy lanes, the next one last.
    decoys: Vec<(Micros, u32)>,
    number: u32,
}

impl Client {
    pub(super) fn new(traffic: &Traffic, number: u32, decoys: Vec<Decoy>) -> Self {
        let pairs = traffic.contacts.iter().filter(|&&(a, b)| a == number || b == number);
        let mut follows: Vec<_> =
            pairs.map(|&(a, b)| (if a == number { b } else { a }, number)).collect();
        let mut moments = Vec::new();
        for (nth, decoy) in (0u32..).zip(decoys) {
            follows.push((number, DECOY + nth));
            moments.extend(decoy.moments.into_iter().map(|at| (at, DECOY + nth)));
        }
        moments.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            outbox: VecDeque::new(),
            items: BinaryHeap::new(),
            session: 0,
            session_until: 0.0,
            now: 0.0,
            standing: follows.iter().map(|lane| (*lane, (0, RESTING))).collect(),
            follows,
            fresh: VecDeque::new(),
            decoys: moments,
            number,
        }
    }

    /// Decides what the slot at this time (seconds) carries.
    pub(super) fn fill(&mut self, at: f64, loops: f64, renewals: f64, dice: &mut Dice) -> Slot {
        self.now = at;
        while let Some((_, lane)) = self.decoys.pop_if(|(moment, _)| *moment <= micros(at)) {
            self.outbox.push_back(Write { from: self.number, to: lane, message: None });
        }
        if dice.chance(loops) {
            return Slot::Loop;
        }
        if let Some(write) = self.outbox.pop_front() {
            return Slot::Write(write);
        }
        if let Some((lane, number)) = self.fresh.pop_front() {
            return Slot::Register(lane, number);
        }
        if !self.follows.is_empty() && dice.chance(renewals) {
            let lane = self.follows[dice.index(self.follows.len())];
            if let Some((next, standing)) = self.standing.get(&lane) {
                let all: Vec<u32> =
                    (0..).zip(standing).filter(|(_, is)| **is).map(|(n, _)| n).collect();
                return Slot::Register(lane, next + all[dice.index(all.len())]);
            }
        }
        Slot::Collect
    }

    /// A lane that it follows has moved on by a box: each of those ahead is registered at a place of its own, the next two
    /// at the latest.
    pub(super) fn refresh(&mut self, lane: (u32, u32), dice: &mut Dice) {
        let Some((next, standing)) = self.standing.get_mut(&lane) else { return };
        *next += 1;
        standing.rotate_left(1);
        standing[AHEAD - 1] = false;
        for (ahead, stands) in (0..).zip(standing) {
            if !*stands && (ahead < 2 || dice.chance(1.0 / f64::from(ahead))) {
                *stands = true;
                self.fresh.push_back((lane, *next + ahead));
            }
        }
    }

    pub(super) fn has_items(&self) -> bool {
        !self.items.is_empty()
    }

    /// The oldest item that is there at a time.
    pub(super) fn take(&mut self, at: Micros) -> Option<Item> {
        let first = self.items.peek().is_some_and(|Reverse(item)| item.at <= at);
        if first { self.items.pop().map(|Reverse(item)| item) } else { None }
    }

    /// Begins a new session if the last one is over; says whether.
    pub(super) fn begin_session(&mut self, length: (f64, f64), dice: &mut Dice) -> bool {
        if self.now < self.session_until {
            return false;
        }
        self.session = dice.number();
        self.session_until = self.now + dice.between(length.0, length.1);
        true
    }
}
