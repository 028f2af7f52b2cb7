//! Collectors: short queues of sealed items for anonymous sessions.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use xchat_base::Timestamp;
use xchat_sphinx::CollectorSession;

/// Sessions a store keeps. Each is a client that collects here; an empty one is about 150 bytes.
pub const MAX_COLLECTOR_SESSIONS: usize = 16_384;

/// Items one session holds: a client that was away comes back to 32 and reads the rest where they lie.
pub const MAX_ITEMS_PER_SESSION: usize = 32;

/// Items of all sessions. At 1.8 KB each, 30 MB.
pub const MAX_ITEMS: usize = 16_384;

/// A sealed delivery.
pub(super) struct Item {
    pub(super) id: [u8; 16],
    pub(super) sealed: Vec<u8>,
}

/// Why an item was not kept. Nothing is lost by it: the box can always be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotKept {
    /// Nobody collects for this session here.
    UnknownSession,
    /// [`MAX_ITEMS_PER_SESSION`] or [`MAX_ITEMS`].
    Full,
}

/// [`MAX_COLLECTOR_SESSIONS`] are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManySessions;

struct Session {
    items: VecDeque<Item>,
    last_collect: Timestamp,
}

/// All collector sessions of a store. Only a collect opens one: an item for a session nobody has
/// asked about is dropped, so deliveries alone cannot fill the table.
pub(super) struct Collectors {
    sessions: BTreeMap<CollectorSession, Session>,
    items: usize,
    max_sessions: usize,
    max_items: usize,
}

impl Collectors {
    pub(super) fn new(max_sessions: usize, max_items: usize) -> Self {
        Self { sessions: BTreeMap::new(), items: 0, max_sessions, max_items }
    }

    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn items(&self) -> usize {
        self.items
    }

    /// The oldest item of a session, which is opened if it is new.
    pub(super) fn collect(
        &mut self,
        session: CollectorSession,
        now: Timestamp,
    ) -> Result<Option<Item>, TooManySessions> {
        if !self.sessions.contains_key(&session) && self.sessions.len() >= self.max_sessions {
            return Err(TooManySessions);
        }
        let entry = self
            .sessions
            .entry(session)
            .or_insert_with(|| Session { items: VecDeque::new(), last_collect: now });
        entry.last_collect = now;
        let item = entry.items.pop_front();
        self.items -= usize::from(item.is_some());
        Ok(item)
    }

    /// Keeps an item. An id that waits already is kept once.
    pub(super) fn deliver(
        &mut self,
        session: &CollectorSession,
        item: Item,
    ) -> Result<(), NotKept> {
        let entry = self.sessions.get_mut(session).ok_or(NotKept::UnknownSession)?;
        if entry.items.iter().any(|waiting| waiting.id == item.id) {
            return Ok(());
        }
        if entry.items.len() >= MAX_ITEMS_PER_SESSION || self.items >= self.max_items {
            return Err(NotKept::Full);
        }
        entry.items.push_back(item);
        self.items += 1;
        Ok(())
    }

    /// Forgets sessions nobody has collected from for `lifetime`, with what they hold; how many.
    pub(super) fn expire(&mut self, now: Timestamp, lifetime: Duration) -> usize {
        let before = self.sessions.len();
        self.sessions.retain(|_, session| {
            let keep = now.since(session.last_collect) < lifetime;
            if !keep {
                self.items -= session.items.len();
            }
            keep
        });
        before - self.sessions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000);
    const LIFETIME: Duration = Duration::from_secs(3_600);

    fn session(n: u8) -> CollectorSession {
        CollectorSession::from_bytes([n; 32])
    }

    fn item(n: usize) -> Item {
        Item { id: (n as u128).to_be_bytes(), sealed: Vec::new() }
    }

    #[test]
    fn only_a_collect_opens_a_session_and_sessions_are_bounded() {
        let mut all = Collectors::new(1, 100);
        assert_eq!(all.deliver(&session(1), item(1)), Err(NotKept::UnknownSession));
        assert!(matches!(all.collect(session(1), T0), Ok(None)));
        assert!(all.collect(session(2), T0).is_err());
        assert_eq!(all.deliver(&session(1), item(1)), Ok(()));
        assert_eq!(all.expire(T0 + LIFETIME - Duration::from_micros(1), LIFETIME), 0);
        assert_eq!(all.expire(T0 + LIFETIME, LIFETIME), 1);
        assert_eq!((all.sessions(), all.items()), (0, 0));
        assert!(all.collect(session(2), T0).is_ok());
    }

    #[test]
    fn items_come_out_oldest_first_and_once() {
        let mut all = Collectors::new(1, 100);
        all.collect(session(1), T0).expect("room");
        for n in [1, 2, 2] {
            all.deliver(&session(1), item(n)).expect("room");
        }
        let order: Vec<_> = std::iter::from_fn(|| all.collect(session(1), T0).expect("open"))
            .map(|item| item.id)
            .collect();
        assert_eq!(order, [item(1).id, item(2).id]);
        assert_eq!(all.items(), 0);
    }

    #[test]
    fn a_session_and_the_store_hold_bounded_items() {
        let mut all = Collectors::new(2, MAX_ITEMS_PER_SESSION + 1);
        for n in [1, 2] {
            all.collect(session(n), T0).expect("room");
        }
        for n in 0..MAX_ITEMS_PER_SESSION {
            assert_eq!(all.deliver(&session(1), item(n)), Ok(()));
        }
        assert_eq!(
            all.deliver(&session(1), item(9_999)),
            Err(NotKept::Full),
            "the session's bound"
        );
        assert_eq!(all.deliver(&session(2), item(1)), Ok(()));
        assert_eq!(all.deliver(&session(2), item(2)), Err(NotKept::Full), "the store's bound");
    }
}
