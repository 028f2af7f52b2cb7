//! The frames of all clients in a few hours, for the attacks that ask "who else could it have been".

use crate::record::{HOUR, Micros, Observer, Party, Seen};
use crate::signals::SMALL;

/// Fine bins of a second.
const PER_SECOND: u64 = 4;

/// What the observer of every link keeps of some hours: for each client how many frames went each way, without small
/// ones (acknowledgements, keep-alives).
#[derive(Debug)]
pub struct Ledger {
    from: Micros,
    bins: usize,
    out: Vec<Vec<u16>>,
    into: Vec<Vec<u16>>,
}

impl Ledger {
    /// Of so many hours from one on.
    pub fn new(clients: u32, first: u32, hours: u32) -> Self {
        let bins = (u64::from(hours) * HOUR / 1_000_000 * PER_SECOND) as usize;
        let empty = vec![vec![0; bins]; clients as usize];
        Self { from: u64::from(first) * HOUR, bins, out: empty.clone(), into: empty }
    }

    /// The bin of a time; none outside the hours.
    pub fn bin(&self, at: Micros) -> Option<usize> {
        let bin = at.checked_sub(self.from)? * PER_SECOND / 1_000_000;
        usize::try_from(bin).ok().filter(|&bin| bin < self.bins)
    }

    /// Frames of a client out of or into it, in bins of a quarter of a second.
    pub fn frames(&self, client: u32, out: bool) -> &[u16] {
        let all = if out { &self.out } else { &self.into };
        &all[client as usize]
    }

    /// How many bins there are.
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// How many clients there are.
    pub fn clients(&self) -> u32 {
        self.out.len() as u32
    }
}

impl Observer for Ledger {
    fn watches(&self, _client: u32, hour: u32) -> bool {
        let at = u64::from(hour) * HOUR;
        at + HOUR >= self.from && at <= self.from + self.bins as u64 * 1_000_000 / PER_SECOND
    }

    fn seen(&mut self, seen: &Seen) {
        let Some(bin) = self.bin(seen.at_micros).filter(|_| seen.bytes >= SMALL) else { return };
        let count = match (seen.from, seen.to) {
            (Party::Client(client), _) => &mut self.out[client as usize][bin],
            (_, Party::Client(client)) => &mut self.into[client as usize][bin],
            _ => return,
        };
        *count = count.saturating_add(1);
    }
}
