//! The replay cache: which packets a hop has seen under each of its keys, and from whom.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use xchat_base::kdf::derive;
use xchat_base::{Secret, identifier};
use xchat_directory::NodeId;
use xchat_sphinx::{HopKey, HopSecret, ReplayTag};

identifier!(
    /// Stands for a packet's replay tag: what the cache and its journal hold.
    ///
    /// Eight bytes collide with one of 2^25 remembered ones once in 2^39 packets, and the price is one dropped packet, which is sent
    /// again. Sender and hop know the tag, and the hop alone the key of its print, so nobody can look for packets that collide:
    /// with some dozens of them, sent through an honest mix, that mix would be taken for one that sends packets twice.
    TagPrint,
    8
);

/// Makes prints under one hop key; the same after a restart, as the journal needs it.
pub(crate) struct PrintKey(Secret<32>);

impl PrintKey {
    pub(crate) fn of(secret: &HopSecret) -> Self {
        Self(derive(secret.to_secret().expose(), "replay print", b""))
    }

    /// BLAKE3's keyed hash is a pseudorandom function (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, *BLAKE3*, 2020, section 2.3).
    pub(crate) fn print(&self, tag: &ReplayTag) -> TagPrint {
        let hash = blake3::keyed_hash(self.0.expose(), tag.as_bytes());
        let mut print = [0; TagPrint::LEN];
        print.copy_from_slice(&hash.as_bytes()[..TagPrint::LEN]);
        TagPrint::from_bytes(print)
    }
}

/// Packets that a hop remembers under all of its keys together. A key opens packets for a day or so; this many are a day at 388 a
/// second, and some 600 MB. Beyond it a hop refuses packets: forgetting some would let them in again.
pub const MAX_REPLAY_TAGS: usize = 1 << 25;

/// What the cache says about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Not seen before; it is remembered now.
    Fresh,
    /// Seen before.
    Replay {
        /// From the same peer.
        same: bool,
    },
    /// The cache is full, so nobody can tell.
    Full,
}

/// Stands for the peer that a packet came from first; two bytes, for there are many packets and few peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PeerNumber(u16);

/// Not known: it came before a restart, or there were more peers than numbers.
const NOBODY: PeerNumber = PeerNumber(0);

/// One map of prints for each hop key: a key's end empties its share in one step.
pub(crate) struct ReplayCache {
    prints: BTreeMap<HopKey, BTreeMap<u64, PeerNumber>>,
    bound: usize,
    /// At most as many as there are numbers; of nodes that documents listed since the start.
    peers: BTreeMap<NodeId, PeerNumber>,
}

impl ReplayCache {
    pub(crate) fn new(bound: usize) -> Self {
        Self { prints: BTreeMap::new(), bound, peers: BTreeMap::new() }
    }

    pub(crate) fn note(&mut self, key: HopKey, print: TagPrint, from: &NodeId) -> Seen {
        let from = self.number_of(from);
        let is_full = self.len() >= self.bound;
        let prints = self.prints.entry(key).or_default();
        let print = number(print);
        // One way through the map: it is large, and each place it is looked at is far from the last.
        match prints.entry(print) {
            Entry::Occupied(first) => Seen::Replay { same: *first.get() == from && from != NOBODY },
            Entry::Vacant(_) if is_full => Seen::Full,
            Entry::Vacant(place) => {
                place.insert(from);
                Seen::Fresh
            }
        }
    }

    fn number_of(&mut self, peer: &NodeId) -> PeerNumber {
        if let Some(number) = self.peers.get(peer) {
            return *number;
        }
        match u16::try_from(self.peers.len() + 1) {
            Ok(number) => *self.peers.entry(*peer).or_insert(PeerNumber(number)),
            Err(_) => NOBODY,
        }
    }

    /// What was seen before a restart: as [`Self::note`] of each, and much quicker.
    pub(crate) fn remember(&mut self, key: HopKey, prints: &[TagPrint]) {
        let room = self.bound.saturating_sub(self.len());
        let prints = prints.iter().take(room);
        let mut more = prints.map(|print| (number(*print), NOBODY)).collect();
        self.prints.entry(key).or_default().append(&mut more);
    }

    pub(crate) fn forget(&mut self, key: &HopKey) {
        self.prints.remove(key);
    }

    pub(crate) fn len(&self) -> usize {
        self.prints.values().map(BTreeMap::len).sum()
    }
}

fn number(print: TagPrint) -> u64 {
    u64::from_be_bytes(*print.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId::from_bytes([1; 32]);
    const REPLAY: Seen = Seen::Replay { same: true };

    fn print(n: u8) -> TagPrint {
        TagPrint::from_bytes([n; 8])
    }

    #[test]
    fn prints_are_of_a_tag_and_a_hop_key_and_nobody_elses() {
        let [one, two] =
            [1, 2].map(|n| PrintKey::of(&HopSecret::from_secret(&Secret::new([n; 32]))));
        let [tag, other] = [3, 4].map(|n| ReplayTag::from_bytes([n; 32]));
        assert_eq!(one.print(&tag), one.print(&tag));
        assert_ne!(one.print(&tag), one.print(&other));
        assert_ne!(one.print(&tag), two.print(&tag));
    }

    #[test]
    fn a_full_cache_refuses_instead_of_forgetting() {
        let key = HopKey::from_bytes([1; 32]);
        let mut cache = ReplayCache::new(2);
        assert_eq!(cache.note(key, print(1), &PEER), Seen::Fresh);
        assert_eq!(cache.note(key, print(2), &PEER), Seen::Fresh);
        assert_eq!(cache.note(key, print(3), &PEER), Seen::Full);
        assert_eq!(cache.note(key, print(1), &PEER), REPLAY);
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn who_sends_what_somebody_else_has_sent_is_not_the_one_who_doubled_it() {
        let key = HopKey::from_bytes([1; 32]);
        let mut cache = ReplayCache::new(8);
        let other = NodeId::from_bytes([2; 32]);
        assert_eq!(cache.note(key, print(1), &PEER), Seen::Fresh);
        assert_eq!(cache.note(key, print(1), &other), Seen::Replay { same: false });
        assert_eq!(cache.note(key, print(1), &PEER), REPLAY);
        // With more peers than numbers nobody is blamed for what another did.
        for n in 0..70_000_u32 {
            let mut id = [9; 32];
            id[..4].copy_from_slice(&n.to_be_bytes());
            cache.note(key, print(1), &NodeId::from_bytes(id));
        }
        let late = NodeId::from_bytes([3; 32]);
        assert_eq!(cache.note(key, print(2), &late), Seen::Fresh);
        assert_eq!(cache.note(key, print(2), &late), Seen::Replay { same: false });
        assert_eq!(cache.peers.len(), usize::from(u16::MAX));
    }

    #[test]
    fn keys_have_separate_shares() {
        let [one, two] = [1, 2].map(|n| HopKey::from_bytes([n; 32]));
        let mut cache = ReplayCache::new(8);
        assert_eq!(cache.note(one, print(1), &PEER), Seen::Fresh);
        assert_eq!(cache.note(two, print(1), &PEER), Seen::Fresh);
        cache.forget(&one);
        assert_eq!(cache.note(one, print(1), &PEER), Seen::Fresh);
        assert_eq!(cache.note(two, print(1), &PEER), REPLAY);
    }

    #[test]
    fn what_was_seen_before_a_restart_is_a_replay_and_counts() {
        let [one, two] = [1, 2].map(|n| HopKey::from_bytes([n; 32]));
        let mut cache = ReplayCache::new(4);
        cache.remember(one, &[print(1), print(2), print(1)]);
        cache.remember(one, &[print(2), print(3)]);
        assert_eq!(cache.len(), 3);
        assert_eq!(cache.note(one, print(3), &PEER), Seen::Replay { same: false }, "from whom?");
        assert_eq!(cache.note(two, print(3), &PEER), Seen::Fresh);
        assert_eq!(cache.note(two, print(4), &PEER), Seen::Full, "all keys share one bound");
        let mut small = ReplayCache::new(2);
        small.remember(one, &[1, 2, 3, 4].map(print));
        assert_eq!((small.len(), small.note(two, print(9), &PEER)), (2, Seen::Full));
        small.forget(&one);
        assert_eq!(small.note(two, print(9), &PEER), Seen::Fresh);
    }
}
