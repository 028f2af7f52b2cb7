//! The replay cache: which packets a hop has seen under each of its keys.

use std::collections::{BTreeMap, BTreeSet};

use xchat_base::identifier;
use xchat_sphinx::{HopKey, ReplayTag};

identifier!(
    /// The beginning of a packet's replay tag: what the cache and its journal hold.
    ///
    /// The tag is a hash, under a secret that sender and hop share. Eight bytes of it collide with one of 2^25
    /// remembered ones once in 2^39 packets, and the price is one dropped packet, which is sent again. Who looks for
    /// packets that collide finds them among those that it made itself, and loses its own.
    TagPrint,
    8
);

impl TagPrint {
    /// The print of a tag.
    pub fn of(tag: &ReplayTag) -> Self {
        let mut print = [0; Self::LEN];
        print.copy_from_slice(&tag.as_bytes()[..Self::LEN]);
        Self::from_bytes(print)
    }
}

/// Packets that a hop remembers under all of its keys together. A key opens packets for a day or so; this many are a day at 388 a
/// second, and some 500 MB. Beyond it a hop refuses packets: forgetting some would let them in again.
pub const MAX_REPLAY_TAGS: usize = 1 << 25;

/// What the cache says about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Not seen before; it is remembered now.
    Fresh,
    /// Seen before.
    Replay,
    /// The cache is full, so nobody can tell.
    Full,
}

/// One set of prints for each hop key: a key's end empties its share in one step. Sets in order, not hashed: who makes a packet
/// knows its print, and could choose prints that fall on one place.
pub(crate) struct ReplayCache {
    prints: BTreeMap<HopKey, BTreeSet<u64>>,
    bound: usize,
}

impl ReplayCache {
    pub(crate) fn new(bound: usize) -> Self {
        Self { prints: BTreeMap::new(), bound }
    }

    pub(crate) fn note(&mut self, key: HopKey, print: TagPrint) -> Seen {
        let is_full = self.len() >= self.bound;
        let prints = self.prints.entry(key).or_default();
        let print = number(print);
        // One way through the set where there is room: it is large, and each place it is looked at is far from the last.
        let is_fresh = if is_full { !prints.contains(&print) } else { prints.insert(print) };
        match (is_fresh, is_full) {
            (false, _) => Seen::Replay,
            (true, true) => Seen::Full,
            (true, false) => Seen::Fresh,
        }
    }

    /// What was seen before a restart: as [`Self::note`] of each, and much quicker.
    pub(crate) fn remember(&mut self, key: HopKey, prints: &[TagPrint]) {
        let room = self.bound.saturating_sub(self.len());
        let mut more = prints.iter().take(room).copied().map(number).collect();
        self.prints.entry(key).or_default().append(&mut more);
    }

    pub(crate) fn forget(&mut self, key: &HopKey) {
        self.prints.remove(key);
    }

    pub(crate) fn len(&self) -> usize {
        self.prints.values().map(BTreeSet::len).sum()
    }
}

fn number(print: TagPrint) -> u64 {
    u64::from_be_bytes(*print.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(n: u8) -> TagPrint {
        TagPrint::from_bytes([n; 8])
    }

    #[test]
    fn a_full_cache_refuses_instead_of_forgetting() {
        let key = HopKey::from_bytes([1; 32]);
        let mut cache = ReplayCache::new(2);
        assert_eq!(cache.note(key, print(1)), Seen::Fresh);
        assert_eq!(cache.note(key, print(2)), Seen::Fresh);
        assert_eq!(cache.note(key, print(3)), Seen::Full);
        assert_eq!(cache.note(key, print(1)), Seen::Replay);
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn keys_have_separate_shares() {
        let [one, two] = [1, 2].map(|n| HopKey::from_bytes([n; 32]));
        let mut cache = ReplayCache::new(8);
        assert_eq!(cache.note(one, print(1)), Seen::Fresh);
        assert_eq!(cache.note(two, print(1)), Seen::Fresh);
        cache.forget(&one);
        assert_eq!(cache.note(one, print(1)), Seen::Fresh);
        assert_eq!(cache.note(two, print(1)), Seen::Replay);
    }

    #[test]
    fn what_was_seen_before_a_restart_is_a_replay_and_counts() {
        let [one, two] = [1, 2].map(|n| HopKey::from_bytes([n; 32]));
        let mut cache = ReplayCache::new(4);
        cache.remember(one, &[print(1), print(2), print(1)]);
        cache.remember(one, &[print(2), print(3)]);
        assert_eq!(cache.len(), 3);
        assert_eq!(cache.note(one, print(3)), Seen::Replay);
        assert_eq!(cache.note(two, print(3)), Seen::Fresh);
        assert_eq!(cache.note(two, print(4)), Seen::Full, "all keys share one bound");
        let mut small = ReplayCache::new(2);
        small.remember(one, &[1, 2, 3, 4].map(print));
        assert_eq!((small.len(), small.note(two, print(9))), (2, Seen::Full));
        small.forget(&one);
        assert_eq!(small.note(two, print(9)), Seen::Fresh);
    }
}
