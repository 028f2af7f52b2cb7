//! The replay cache: which packets a hop has seen under each of its keys.

use std::collections::{BTreeMap, BTreeSet};

use xchat_base::identifier;
use xchat_sphinx::{HopKey, ReplayTag};

identifier!(
    /// The first half of a packet's replay tag: what the cache and its journal hold.
    ///
    /// The tag is a hash: sixteen bytes of it collide with one of 2^22 remembered ones once in 2^106
    /// packets, and the price is one dropped packet, which is sent again.
    TagPrint,
    16
);

impl TagPrint {
    /// The print of a tag.
    pub fn of(tag: &ReplayTag) -> Self {
        let mut print = [0; Self::LEN];
        print.copy_from_slice(&tag.as_bytes()[..Self::LEN]);
        Self::from_bytes(print)
    }
}

/// Packets remembered per hop key. A key lives for hours; four million packets are a day at 48 a
/// second, an hour at 1,100, and about 100 MB. Beyond it a hop refuses packets: forgetting some
/// would let them in again.
pub const MAX_REPLAY_TAGS: usize = 1 << 22;

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

/// One set of prints for each hop key: a key's end empties its share in one step.
pub(crate) struct ReplayCache {
    prints: BTreeMap<HopKey, BTreeSet<TagPrint>>,
    bound: usize,
}

impl ReplayCache {
    pub(crate) fn new(bound: usize) -> Self {
        Self { prints: BTreeMap::new(), bound }
    }

    pub(crate) fn note(&mut self, key: HopKey, print: TagPrint) -> Seen {
        let prints = self.prints.entry(key).or_default();
        if prints.contains(&print) {
            return Seen::Replay;
        }
        if prints.len() >= self.bound {
            return Seen::Full;
        }
        prints.insert(print);
        Seen::Fresh
    }

    pub(crate) fn forget(&mut self, key: &HopKey) {
        self.prints.remove(key);
    }

    pub(crate) fn len(&self) -> usize {
        self.prints.values().map(BTreeSet::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(n: u8) -> TagPrint {
        TagPrint::from_bytes([n; 16])
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
}
