//! One client of the model: what fills its slots.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

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
    /// For the box so many ahead in this lane.
    Register((u32, u32), u32),
    Collect,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) outbox: VecDeque<Write>,
    pub(super) items: BinaryHeap<Reverse<Item>>,
    pub(super) session: u64,
    session_until: f64,
    now: f64,
    /// Lanes that it follows: real and decoy.
    follows: Vec<(u32, u32)>,
    /// The place of the rotation through them.
    turn: usize,
    /// Registrations that a box's arrival has made due.
    fresh: VecDeque<(u32, u32)>,
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
            follows,
            turn: number as usize,
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
        if let Some(lane) = self.fresh.pop_front() {
            return Slot::Register(lane, AHEAD - 1);
        }
        if !self.follows.is_empty() && dice.chance(renewals) {
            self.turn += 1;
            let lane = self.follows[self.turn % self.follows.len()];
            let ahead = (self.turn / self.follows.len()) as u32 % AHEAD;
            return Slot::Register(lane, ahead);
        }
        Slot::Collect
    }

    /// One box further along a lane that it follows.
    pub(super) fn refresh(&mut self, lane: (u32, u32)) {
        self.fresh.push_back(lane);
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
