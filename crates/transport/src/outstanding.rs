//! Packets that have not been answered: their reply keys, and what each was for.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use xchat_base::Timestamp;
use xchat_directory::NodeId;
use xchat_pigeonhole::BoxId;
use xchat_sphinx::{CollectorSession, ReplyKey, SurbId};

use crate::droppers::Asked;
use crate::queue::Attempt;

/// Reply keys kept at most: all of four reply timeouts at any pace, at the longest mixing delay. Beyond it (a network
/// document with a rate for measurements) the oldest is forgotten, as if it had timed out.
pub(crate) const MAX_OUTSTANDING: usize = 4_096;

/// A packet is taken for lost after one reply timeout; its key is kept for so many, because a late
/// answer is as good as any.
const KEPT_TIMEOUTS: u32 = 4;

/// What a packet was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Cover, and a probe.
    Loop,
    /// Asking a collector.
    Collect { session: CollectorSession, store: NodeId },
    /// Writing a box.
    Write { attempt: Attempt, store: NodeId },
    /// The owner's read.
    Read { attempt: Attempt, store: NodeId },
    /// Our own look at a followed box.
    Check { id: BoxId, store: NodeId },
    /// A registration for a followed box.
    Register {
        id: BoxId,
        number: u32,
        store: NodeId,
        session: CollectorSession,
        /// Over which the store is to deliver.
        mixes: [NodeId; 3],
        /// After which time it is to be renewed.
        renew_after: Duration,
    },
    /// A registration for a ticket.
    Ticket {
        id: BoxId,
        store: NodeId,
        session: CollectorSession,
        /// Over which the store is to deliver.
        mixes: [NodeId; 3],
    },
}

impl Purpose {
    /// The store that was asked about a box.
    pub(crate) fn store(&self) -> Option<&NodeId> {
        match self {
            Self::Loop | Self::Collect { .. } => None,
            Self::Write { store, .. }
            | Self::Read { store, .. }
            | Self::Check { store, .. }
            | Self::Register { store, .. }
            | Self::Ticket { store, .. } => Some(store),
        }
    }

    /// The box about which a store was asked.
    pub(crate) fn id(&self) -> Option<&BoxId> {
        match self {
            Self::Loop | Self::Collect { .. } => None,
            Self::Write { attempt, .. } | Self::Read { attempt, .. } => Some(&attempt.id),
            Self::Check { id, .. } | Self::Register { id, .. } | Self::Ticket { id, .. } => {
                Some(id)
            }
        }
    }

    /// Which store is asked, and for what.
    pub(crate) fn asks(&self) -> Option<(NodeId, Asked)> {
        match self {
            Self::Collect { store, .. } => Some((*store, Asked::Items)),
            _ => self.store().map(|store| (*store, Asked::Box)),
        }
    }
}

/// What was sent, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) purpose: Purpose,
    pub(crate) at: Timestamp,
    /// The mixes on its way out and back.
    pub(crate) way: Vec<NodeId>,
    /// Among packets to stores, by the count of [`Droppers`](crate::droppers::Droppers).
    pub(crate) number: Option<u64>,
}

/// A packet under way.
pub(crate) struct Packet {
    pub(crate) key: ReplyKey,
    pub(crate) sent: Sent,
    /// It has been taken for lost.
    pub(crate) late: bool,
}

/// All packets under way, at most [`MAX_OUTSTANDING`].
#[derive(Default)]
pub(crate) struct Outstanding {
    packets: BTreeMap<SurbId, Packet>,
    /// When each is taken for lost, or, after that, forgotten.
    due: BTreeSet<(Timestamp, SurbId)>,
    sent: BTreeSet<(Timestamp, SurbId)>,
    due_of: BTreeMap<SurbId, Timestamp>,
}

impl Outstanding {
    /// Adds a packet; gives the oldest one if it had to make room while somebody still waits for it.
    pub(crate) fn insert(&mut self, key: ReplyKey, sent: Sent, timeout: Duration) -> Option<Sent> {
        let evicted = if self.packets.len() >= MAX_OUTSTANDING { self.evict() } else { None };
        let (id, at) = (key.id(), sent.at);
        self.packets.insert(id, Packet { key, sent, late: false });
        self.sent.insert((at, id));
        self.schedule(id, at + timeout);
        evicted
    }

    /// The packet that a reply belongs to.
    pub(crate) fn take(&mut self, id: &SurbId) -> Option<Packet> {
        let packet = self.packets.remove(id)?;
        self.sent.remove(&(packet.sent.at, *id));
        if let Some(due) = self.due_of.remove(id) {
            self.due.remove(&(due, *id));
        }
        Some(packet)
    }

    /// The packets that are now taken for lost, each once, oldest first. Their keys stay for some time.
    pub(crate) fn timed_out(&mut self, now: Timestamp, timeout: Duration) -> Vec<Sent> {
        let mut lost = Vec::new();
        while let Some(&(due, id)) = self.due.first()
            && due <= now
        {
            self.due.remove(&(due, id));
            let Some(packet) = self.packets.get_mut(&id) else { continue };
            if packet.late {
                self.take(&id);
                continue;
            }
            packet.late = true;
            lost.push(packet.sent.clone());
            let forget = packet.sent.at + timeout * KEPT_TIMEOUTS;
            self.schedule(id, forget);
        }
        lost
    }

    /// The session is over: no reply will find its way any more.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn schedule(&mut self, id: SurbId, at: Timestamp) {
        self.due.insert((at, id));
        self.due_of.insert(id, at);
    }

    fn evict(&mut self) -> Option<Sent> {
        let (_, id) = *self.sent.first()?;
        let packet = self.take(&id)?;
        (!packet.late).then_some(packet.sent)
    }
}

#[cfg(test)]
impl Outstanding {
    /// The boxes of the writes under way, in the order in which they left.
    pub(crate) fn writes(&self) -> Vec<BoxId> {
        let purposes = self.sent.iter().map(|(_, id)| &self.packets[id].sent.purpose);
        let writes = purposes.filter_map(|purpose| match purpose {
            Purpose::Write { attempt, .. } => Some(attempt.id),
            _ => None,
        });
        writes.collect()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    use xchat_sphinx::{Hop, HopAddress, HopSecret, NodeTag, reply_block};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(3);

    fn key(rng: &mut ChaCha20Rng) -> ReplyKey {
        let address = HopAddress::node(NodeTag::from_bytes([1; 16]));
        let hop = Hop { address, key: HopSecret::random(rng).public() };
        reply_block(rng, &[hop; 4], &[Duration::ZERO; 4]).expect("builds").1
    }

    fn sent(at: Timestamp) -> Sent {
        Sent { purpose: Purpose::Loop, at, way: Vec::new(), number: None }
    }

    #[test]
    fn a_packet_is_lost_once_and_its_late_answer_still_finds_it() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut packets = Outstanding::default();
        let key = key(&mut rng);
        let id = key.id();
        let at = Timestamp::from_secs(10);
        packets.insert(key, sent(at), TIMEOUT);
        assert!(packets.timed_out(at + TIMEOUT / 2, TIMEOUT).is_empty());
        assert_eq!(packets.timed_out(at + TIMEOUT, TIMEOUT), [sent(at)]);
        assert!(packets.timed_out(at + TIMEOUT * 2, TIMEOUT).is_empty());
        assert!(packets.take(&id).expect("kept").late);
        assert!(packets.take(&id).is_none());
    }

    #[test]
    fn keys_expire_after_four_timeouts() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut packets = Outstanding::default();
        packets.insert(key(&mut rng), sent(Timestamp::ZERO), TIMEOUT);
        packets.timed_out(Timestamp::ZERO + TIMEOUT, TIMEOUT);
        assert_eq!(packets.packets.len(), 1);
        packets.timed_out(Timestamp::ZERO + TIMEOUT * 4, TIMEOUT);
        assert_eq!((packets.packets.len(), packets.due.len(), packets.due_of.len()), (0, 0, 0));
    }

    #[test]
    fn keys_are_bounded_and_the_one_pushed_out_is_reported() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut packets = Outstanding::default();
        for n in 0..MAX_OUTSTANDING {
            let sent = sent(Timestamp::from_micros(n as u64));
            assert!(packets.insert(key(&mut rng), sent, TIMEOUT).is_none());
        }
        let pushed = packets.insert(key(&mut rng), sent(Timestamp::MAX), TIMEOUT);
        assert_eq!(pushed, Some(sent(Timestamp::ZERO)));
        assert_eq!(packets.packets.len(), MAX_OUTSTANDING);
    }
}
