//! Peers that send a packet twice.
//!
//! An honest mix sends each packet once: what comes to it twice its own cache refuses. So whoever got the same packet twice
//! from one mix knows who has doubled it, and takes nothing of that mix for a while. Clients then lose what they send through
//! it, and go round it. A gateway's clients can send a packet twice, and a store's can register a block twice, so these are named
//! to the operator and not refused.

use core::time::Duration;
use std::collections::BTreeMap;

use xchat_base::Timestamp;
use xchat_directory::{NodeId, VerifiedDocument};

/// Packets that a peer has sent twice within [`REPEATING_FOR`] before it is named. One that was sent twice is refused anyway. By
/// fewer an honest mix might be named that lost its power, and with it the tags of the last moments.
pub const MAX_REPEATS: u32 = 32;

/// The same of a gateway's loops, of which few pass one mix in a moment.
pub const MAX_REPEATED_LOOPS: u32 = 4;

/// For so long it is named, and refused if it is a mix.
pub const REPEATING_FOR: Duration = Duration::from_secs(3_600);

#[derive(Debug, Clone, Copy)]
struct Repeated {
    packets: u32,
    /// Of the first one; of one that is named, since when it is.
    since: Timestamp,
}

/// By peer; bounded by the nodes of the document.
#[derive(Debug)]
pub(crate) struct Repeats {
    most: u32,
    peers: BTreeMap<NodeId, Repeated>,
}

impl Repeats {
    /// Names whoever has sent so many twice.
    pub(crate) fn new(most: u32) -> Self {
        Self { most, peers: BTreeMap::new() }
    }

    /// This peer, which the document lists, has sent a packet twice.
    pub(crate) fn note(&mut self, peer: NodeId, now: Timestamp) {
        let fresh = Repeated { packets: 0, since: now };
        let one = self.peers.entry(peer).or_insert(fresh);
        if now.since(one.since) >= REPEATING_FOR {
            *one = fresh;
        }
        one.packets = one.packets.saturating_add(1);
        if one.packets == self.most {
            one.since = now;
        }
    }

    pub(crate) fn is_named(&self, peer: &NodeId, now: Timestamp) -> bool {
        self.peers
            .get(peer)
            .is_some_and(|one| one.packets >= self.most && now.since(one.since) < REPEATING_FOR)
    }

    /// All that are named.
    pub(crate) fn named(&self, now: Timestamp) -> Vec<NodeId> {
        self.peers.keys().filter(|peer| self.is_named(peer, now)).copied().collect()
    }

    pub(crate) fn follow_document(&mut self, document: &VerifiedDocument) {
        self.peers.retain(|peer, _| document.node(peer).is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId::from_bytes([1; 32]);

    #[test]
    fn many_in_an_hour_name_a_peer_for_an_hour() {
        let mut repeats = Repeats::new(MAX_REPEATS);
        let start = Timestamp::from_secs(1_000_000);
        for _ in 1..MAX_REPEATS {
            repeats.note(PEER, start);
        }
        assert!(!repeats.is_named(&PEER, start));
        let last = start + REPEATING_FOR / 2;
        repeats.note(PEER, last);
        assert_eq!(repeats.named(last + REPEATING_FOR / 2), [PEER]);
        assert!(repeats.named(last + REPEATING_FOR).is_empty());
        // After that as many again.
        let again = last + REPEATING_FOR;
        repeats.note(PEER, again);
        assert!(!repeats.is_named(&PEER, again));
    }

    #[test]
    fn a_few_each_hour_name_nobody() {
        let mut repeats = Repeats::new(MAX_REPEATS);
        for hour in 0..100 {
            let now = Timestamp::from_secs(1_000_000) + REPEATING_FOR * hour;
            for _ in 1..MAX_REPEATS {
                repeats.note(PEER, now);
            }
            assert!(!repeats.is_named(&PEER, now), "hour {hour}");
        }
    }
}
