//! When a replica has to be woken, and for what.

use std::collections::BTreeSet;

use xchat_base::Timestamp;

/// Times and what is due at them, earliest first. Its size is that of the collections it serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Schedule<K: Ord>(BTreeSet<(Timestamp, K)>);

impl<K: Ord + Copy> Schedule<K> {
    pub(crate) fn new() -> Self {
        Self(BTreeSet::new())
    }

    pub(crate) fn add(&mut self, at: Timestamp, key: K) {
        self.0.insert((at, key));
    }

    pub(crate) fn remove(&mut self, at: Timestamp, key: K) {
        self.0.remove(&(at, key));
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes the earliest entry that is due.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<K> {
        let &(at, key) = self.0.first()?;
        (at <= now).then(|| {
            self.0.pop_first();
            key
        })
    }
}
