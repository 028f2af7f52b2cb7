//! Seats of clients whose links are lost: kept for a while, for whoever shows the token.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use xchat_base::Timestamp;
use xchat_sphinx::SessionToken;

use super::pace::Session;

/// A seat is kept for so long after its link was lost. It counts as taken meanwhile, so there are never more seats and
/// sessions than the gateway has room for.
pub const RESUME_FOR: Duration = Duration::from_secs(120);

/// See the module.
#[derive(Default)]
pub(super) struct Seats {
    kept: BTreeMap<SessionToken, Session>,
    /// In the order in which they were left, which is that of their ends; some may have been taken again.
    ends: VecDeque<(Timestamp, SessionToken)>,
}

impl Seats {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn keep(&mut self, token: SessionToken, session: Session, now: Timestamp) {
        self.kept.insert(token, session);
        self.ends.push_back((now + RESUME_FOR, token));
    }

    /// The seat of this token, which is free then for whoever asked.
    pub(super) fn take(&mut self, token: &SessionToken) -> Option<Session> {
        let seat = self.kept.remove(token);
        if seat.is_some() {
            self.ends.retain(|(_, other)| other != token);
        }
        seat
    }

    /// A seat whose time is over.
    pub(super) fn over(&mut self, now: Timestamp) -> Option<Session> {
        let (_, token) = self.ends.pop_front_if(|(end, _)| *end <= now)?;
        self.kept.remove(&token)
    }

    /// When the next seat's time is over.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.ends.front().map(|(end, _)| *end)
    }
}
