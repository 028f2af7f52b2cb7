//! One member, as the rule of epochs wants it: what is on its disk, and what is under way.

use super::{Commit, Entry, LaneBox, Mutation, Run};

/// How a message stands with its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Told {
    /// In the outbox.
    Waiting,
    /// It cannot be lost any more.
    Stored,
    /// The sender was removed before it was stored.
    NotDelivered,
}

/// An operation on a register: posted, and at some later moment decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pending<T> {
    /// It has not taken effect.
    Posted,
    /// It has, and the answer is on its way.
    Decided(T),
}

/// What survives a crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Disk {
    /// The commits that led to the present epoch.
    pub history: Vec<Commit>,
    /// Our messages, by sequence number from 1: what was said, and what we were told of it.
    pub outbox: Vec<(u8, Told)>,
    /// Messages up to this number were put into a box of this epoch.
    pub sealed: u8,
    /// A box of ours that is not acknowledged, and the message in it.
    pub flight: Option<LaneBox>,
    /// The next box of each lane.
    pub next: Vec<u8>,
    /// The next entry of the commit lane.
    pub next_entry: u8,
    /// By sender, the last number that was taken in.
    pub last_seq: Vec<u8>,
    /// By sender, what was taken in.
    pub received: Vec<Vec<u8>>,
    /// Our own commit, until one has won.
    pub pending: Option<Commit>,
    /// A commit without us was followed.
    pub removed: bool,
}

/// What a crash forgets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Memory {
    /// The valid commit that ends this epoch.
    pub closing: Option<Commit>,
    /// The write of the flight.
    pub append: Option<Pending<LaneBox>>,
    /// Up to which message our boxes were acknowledged.
    pub acknowledged: u8,
    /// A read of the commit lane's next box, and up to which message it will confirm.
    pub look: Option<(Pending<Option<Entry>>, u8)>,
    /// The write of our entry.
    pub entry: Option<Pending<Entry>>,
    /// By lane, a read of its next box.
    pub reads: Vec<Option<Pending<Option<LaneBox>>>>,
    /// By lane, a read that began after the entry was known came back empty.
    pub drained: Vec<bool>,
    /// Only a broken member stops.
    pub stopped: bool,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    pub(super) number: u8,
    pub(super) disk: Disk,
    pub(super) memory: Option<Memory>,
    /// Steps taken.
    pub(super) steps: usize,
}

impl Member {
    pub(super) fn new(number: u8, members: usize, lanes: usize) -> Self {
        let disk = Disk {
            history: Vec::new(),
            outbox: Vec::new(),
            sealed: 0,
            flight: None,
            next: vec![0; lanes],
            next_entry: 0,
            last_seq: vec![0; members],
            received: vec![Vec::new(); members],
            pending: None,
            removed: false,
        };
        let mut member = Self { number, disk, memory: None, steps: 0 };
        member.start();
        member
    }

    /// From what is on the disk: all that was under way is asked for again.
    pub(super) fn start(&mut self) {
        let lanes = self.disk.next.len();
        let mut memory =
            Memory { reads: vec![None; lanes], drained: vec![false; lanes], ..Memory::default() };
        if !self.disk.removed {
            memory.append = self.disk.flight.map(|_| Pending::Posted);
            memory.entry = self.disk.pending.map(|_| Pending::Posted);
            memory.acknowledged = self.disk.sealed - u8::from(self.disk.flight.is_some());
        }
        self.memory = Some(memory);
    }

    pub(super) fn lane(&self) -> usize {
        usize::from(self.number) % self.disk.next.len()
    }

    pub(super) fn is_open(&self) -> bool {
        let open = |memory: &Memory| memory.closing.is_none() && !memory.stopped;
        !self.disk.removed && self.memory.as_ref().is_some_and(open)
    }

    // --- sending --------------------------------------------------------------------------------

    pub(super) fn say(&mut self, text: u8, mutation: Option<Mutation>) {
        if self.disk.removed {
            return;
        }
        self.disk.outbox.push((text, Told::Waiting));
        self.pump(mutation);
    }

    /// Puts the next message into the next box of our lane, one at a time; and looks at the commit
    /// lane when a box was acknowledged.
    pub(super) fn pump(&mut self, mutation: Option<Mutation>) {
        if !self.is_open() {
            return;
        }
        let lane = self.lane();
        let Some(memory) = &mut self.memory else { return };
        let unsealed = usize::from(self.disk.sealed);
        if self.disk.flight.is_none() && unsealed < self.disk.outbox.len() {
            let boxed = LaneBox {
                at: self.disk.next[lane],
                sender: self.number,
                seq: self.disk.sealed + 1,
                text: self.disk.outbox[unsealed].0,
            };
            self.disk.flight = Some(boxed);
            self.disk.sealed += 1;
            memory.append = Some(Pending::Posted);
            if mutation == Some(Mutation::LookBeforeAck) && memory.look.is_none() {
                memory.look = Some((Pending::Posted, self.disk.sealed));
            }
        }
        let acknowledged = memory.acknowledged;
        if memory.look.is_none() && self.unconfirmed_up_to(acknowledged) {
            self.look(acknowledged);
        }
    }

    fn unconfirmed_up_to(&self, seq: u8) -> bool {
        let outbox = self.disk.outbox.iter().take(usize::from(seq));
        outbox.clone().any(|(_, told)| *told == Told::Waiting)
    }

    /// Reads the commit lane's next box.
    pub(super) fn look(&mut self, confirms: u8) {
        if let Some(memory) = &mut self.memory {
            memory.look = Some((Pending::Posted, confirms));
        }
    }

    /// The append was decided: our box, or another's that was first.
    pub(super) fn appended(&mut self, value: LaneBox, mutation: Option<Mutation>) {
        let lane = self.lane();
        let Some(memory) = &mut self.memory else { return };
        memory.append = None;
        let Some(mut flight) = self.disk.flight else { return };
        if value == flight {
            self.disk.flight = None;
            memory.acknowledged = flight.seq;
            self.disk.next[lane] = self.disk.next[lane].max(flight.at + 1);
        } else {
            self.take(lane, value, mutation);
            flight.at = self.disk.next[lane];
            if self.is_open() {
                self.disk.flight = Some(flight);
                if let Some(memory) = &mut self.memory {
                    memory.append = Some(Pending::Posted);
                }
            }
        }
        self.drain(mutation);
        self.pump(mutation);
    }

    // --- receiving ------------------------------------------------------------------------------

    /// The next box of a lane.
    pub(super) fn take(&mut self, lane: usize, value: LaneBox, mutation: Option<Mutation>) {
        if value.at != self.disk.next[lane] {
            return;
        }
        self.disk.next[lane] += 1;
        // A read of a box that came by another way does not count.
        if let Some(memory) = &mut self.memory {
            memory.reads[lane] = None;
        }
        let sender = usize::from(value.sender);
        let repeated = value.seq <= self.disk.last_seq[sender];
        if value.sender == self.number || (repeated && mutation != Some(Mutation::TakeRepeated)) {
            return;
        }
        self.disk.last_seq[sender] = value.seq;
        self.disk.received[sender].push(value.text);
    }

    // --- epochs ---------------------------------------------------------------------------------

    pub(super) fn commit(&mut self, commit: Commit) {
        if self.is_open() && self.disk.pending.is_none() {
            self.disk.pending = Some(commit);
            if let Some(memory) = &mut self.memory {
                memory.entry = Some(Pending::Posted);
            }
        }
    }

    /// The look was answered.
    pub(super) fn looked(
        &mut self,
        entry: Option<(Entry, Run)>,
        confirms: u8,
        mutation: Option<Mutation>,
    ) {
        let Some(memory) = &mut self.memory else { return };
        memory.look = None;
        match entry {
            _ if memory.closing.is_some() => {}
            Some((entry, run)) => self.entry_found(entry, run, mutation),
            None => {
                let late = mutation == Some(Mutation::LookBeforeAck);
                let confirms = if late { memory.acknowledged } else { confirms };
                for (_, told) in self.disk.outbox.iter_mut().take(usize::from(confirms)) {
                    *told = Told::Stored;
                }
                self.pump(mutation);
            }
        }
    }

    /// An entry of the commit lane: our own, another's, or rubbish.
    pub(super) fn entry_found(&mut self, entry: Entry, run: Run, mutation: Option<Mutation>) {
        let Some(memory) = &mut self.memory else { return };
        if memory.closing.is_some() || entry.at != self.disk.next_entry {
            return;
        }
        memory.entry = None;
        match entry.commit {
            Some(commit) if run == Run::Whole => self.close(commit, mutation),
            _ if mutation == Some(Mutation::StopAtRubbish) => memory.stopped = true,
            _ => {
                self.disk.next_entry += 1;
                memory.look = None;
                memory.entry = self.disk.pending.map(|_| Pending::Posted);
                self.pump(mutation);
            }
        }
    }

    fn close(&mut self, commit: Commit, mutation: Option<Mutation>) {
        let Some(memory) = &mut self.memory else { return };
        memory.closing = Some(commit);
        memory.look = None;
        if mutation != Some(Mutation::DrainByOldReads) {
            memory.reads.fill(None);
        }
        memory.drained.fill(mutation == Some(Mutation::NoDrain));
        self.drain(mutation);
    }

    /// Asks for each lane's next box until a read comes back empty; then moves on.
    pub(super) fn drain(&mut self, mutation: Option<Mutation>) {
        let Some(memory) = &mut self.memory else { return };
        let Some(commit) = memory.closing else { return };
        for (read, drained) in memory.reads.iter_mut().zip(&memory.drained) {
            if !drained && read.is_none() {
                *read = Some(Pending::Posted);
            }
        }
        if memory.drained.iter().all(|drained| *drained) {
            self.enter(commit, mutation);
        }
    }

    /// A read of a lane's next box was answered.
    pub(super) fn lane_read(
        &mut self,
        lane: usize,
        value: Option<LaneBox>,
        mutation: Option<Mutation>,
    ) {
        let Some(memory) = &mut self.memory else { return };
        memory.reads[lane] = None;
        match value {
            Some(value) => self.take(lane, value, mutation),
            None if memory.closing.is_some() => memory.drained[lane] = true,
            None => {}
        }
        self.drain(mutation);
    }

    fn enter(&mut self, commit: Commit, mutation: Option<Mutation>) {
        self.disk.history.push(commit);
        self.disk.pending = None;
        self.disk.flight = None;
        self.disk.next.fill(0);
        self.disk.next_entry = 0;
        let confirmed = self.disk.outbox.iter().take_while(|(_, told)| *told == Told::Stored);
        let confirmed = u8::try_from(confirmed.count()).expect("few messages");
        if mutation != Some(Mutation::NoResend) {
            self.disk.sealed = confirmed;
        }
        if commit.removes == Some(self.number) {
            self.disk.removed = true;
            for (_, told) in self.disk.outbox.iter_mut().skip(usize::from(confirmed)) {
                *told = Told::NotDelivered;
            }
        }
        self.start();
        self.pump(mutation);
    }
}
