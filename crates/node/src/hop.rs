//! What a mix and a store share: being a Sphinx hop. Keys by the document's periods, refusal of replays, and who sends them.

mod keys;
mod replay;

use xchat_base::Timestamp;
use xchat_directory::{Descriptor, NodeId, VerifiedDocument};
use xchat_sphinx::{HopKey, HopSecret, Packet, PacketFormat, Sphinx, Unwrapped};

pub use keys::{KEY_GRACE, MAX_HOP_SECRETS};
pub use replay::{MAX_REPLAY_TAGS, TagPrint};

use keys::HopKeys;
use replay::{ReplayCache, Seen};

use crate::repeats::{MAX_REPEATS, Repeats};

/// What `RememberTags` has journalled of each key.
pub type Remembered = Vec<(HopKey, Vec<TagPrint>)>;

/// What a hop starts with.
#[derive(Default)]
pub struct HopSetup {
    /// The secrets of its hop keys, at most [`MAX_HOP_SECRETS`]: those that the document lists and
    /// the one to be listed next.
    pub secrets: Vec<HopSecret>,
    /// Of keys that were not forgotten since.
    pub remembered: Remembered,
}

/// Why a packet went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// It opens with none of the current keys.
    Unreadable,
    /// Seen before.
    Replay,
    /// The replay cache is full.
    CacheFull,
}

/// A packet that was opened for the first time.
pub(crate) struct Opened {
    pub(crate) unwrapped: Unwrapped,
    /// To be journalled before anything of this packet leaves.
    pub(crate) key: HopKey,
    pub(crate) print: TagPrint,
}

/// A Sphinx hop.
pub(crate) struct Hop {
    pub(crate) format: &'static dyn PacketFormat,
    keys: HopKeys,
    seen: ReplayCache,
    repeats: Repeats,
}

impl Hop {
    /// `None` if no secret belongs to a key that the descriptor lists.
    pub(crate) fn new(setup: HopSetup, own: &Descriptor, max_tags: usize) -> Option<Self> {
        let keys = HopKeys::new(setup.secrets, own);
        if !keys.any_listed() {
            return None;
        }
        let mut seen = ReplayCache::new(max_tags);
        for (key, prints) in setup.remembered {
            seen.remember(key, &prints);
        }
        Some(Self { format: &Sphinx, keys, seen, repeats: Repeats::new(MAX_REPEATS) })
    }

    pub(crate) fn add_secret(&mut self, secret: HopSecret) -> bool {
        self.keys.add(secret)
    }

    /// Takes over the periods that a newer document gives this node's keys, and forgets peers that are no more.
    pub(crate) fn follow(&mut self, document: &VerifiedDocument, own: &NodeId) {
        self.keys.follow(document.node(own));
        self.repeats.follow_document(document);
    }

    /// Peers that send packets twice.
    pub(crate) fn repeating(&self, now: Timestamp) -> Vec<NodeId> {
        self.repeats.named(now)
    }

    /// Whether this one does.
    pub(crate) fn is_repeating(&self, peer: &NodeId, now: Timestamp) -> bool {
        self.repeats.is_named(peer, now)
    }

    pub(crate) fn remembered(&self) -> usize {
        self.seen.len()
    }

    pub(crate) fn open(
        &mut self,
        from: &NodeId,
        packet: &Packet,
        now: Timestamp,
    ) -> Result<Opened, Dropped> {
        let (key, processed) = self
            .keys
            .current(now)
            .find_map(|(key, secret)| Some((key, self.format.unwrap(secret, packet).ok()?)))
            .ok_or(Dropped::Unreadable)?;
        let print = self.keys.print(&key, &processed.replay_tag).ok_or(Dropped::Unreadable)?;
        match self.seen.note(key, print, from) {
            Seen::Fresh => Ok(Opened { unwrapped: processed.unwrapped, key, print }),
            Seen::Replay { same } => {
                if same {
                    self.repeats.note(*from, now);
                }
                Err(Dropped::Replay)
            }
            Seen::Full => Err(Dropped::CacheFull),
        }
    }

    /// Erases the secrets of keys whose time is over, and what was remembered under them; which.
    pub(crate) fn forget_ended(&mut self, now: Timestamp) -> Vec<HopKey> {
        let ended = self.keys.remove_ended(now);
        for key in &ended {
            self.seen.forget(key);
        }
        ended
    }

    /// When the next key is over.
    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        self.keys.next_end()
    }
}
