//! Reply tags: which session a packet from the last mix layer belongs to.

use std::collections::{BTreeMap, VecDeque};

use xchat_sphinx::ReplyTag;
use xchat_sphinx::frame::MAX_SESSION_TAGS;

use super::SessionId;

/// Why a tag was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAnnounced {
    /// Somebody has announced this tag before; the first one keeps it.
    Taken,
    /// All zeros marks a packet to a node.
    Zero,
}

/// All tags of a gateway.
#[derive(Default)]
pub(super) struct Tags {
    owner: BTreeMap<ReplyTag, SessionId>,
    order: BTreeMap<SessionId, VecDeque<ReplyTag>>,
}

impl Tags {
    pub(super) fn len(&self) -> usize {
        self.owner.len()
    }

    /// Adds a tag; beyond [`MAX_SESSION_TAGS`] the session's oldest is forgotten.
    pub(super) fn announce(
        &mut self,
        session: SessionId,
        tag: ReplyTag,
    ) -> Result<(), NotAnnounced> {
        if tag == ReplyTag::NONE {
            return Err(NotAnnounced::Zero);
        }
        if self.owner.contains_key(&tag) {
            return Err(NotAnnounced::Taken);
        }
        let order = self.order.entry(session).or_default();
        if order.len() >= MAX_SESSION_TAGS
            && let Some(oldest) = order.pop_front()
        {
            self.owner.remove(&oldest);
        }
        order.push_back(tag);
        self.owner.insert(tag, session);
        Ok(())
    }

    /// The session a tag belongs to; the tag is spent by it.
    pub(super) fn spend(&mut self, tag: &ReplyTag) -> Option<SessionId> {
        let session = self.owner.remove(tag)?;
        if let Some(order) = self.order.get_mut(&session) {
            order.retain(|other| other != tag);
        }
        Some(session)
    }

    /// Forgets a session's tags.
    pub(super) fn close(&mut self, session: SessionId) {
        for tag in self.order.remove(&session).unwrap_or_default() {
            self.owner.remove(&tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: SessionId = SessionId::new(1);
    const TWO: SessionId = SessionId::new(2);

    fn tag(n: usize) -> ReplyTag {
        ReplyTag::from_bytes((n as u128 + 1).to_be_bytes())
    }

    #[test]
    fn a_tag_is_spent_once() {
        let mut tags = Tags::default();
        tags.announce(ONE, tag(0)).expect("new");
        assert_eq!(tags.spend(&tag(0)), Some(ONE));
        assert_eq!(tags.spend(&tag(0)), None);
        assert_eq!(tags.len(), 0);
    }

    #[test]
    fn another_session_cannot_take_a_tag_over() {
        let mut tags = Tags::default();
        tags.announce(ONE, tag(0)).expect("new");
        assert_eq!(tags.announce(TWO, tag(0)), Err(NotAnnounced::Taken));
        assert_eq!(tags.announce(TWO, ReplyTag::NONE), Err(NotAnnounced::Zero));
        assert_eq!(tags.spend(&tag(0)), Some(ONE));
    }

    #[test]
    fn a_session_holds_a_bounded_number_and_loses_its_oldest() {
        let mut tags = Tags::default();
        for n in 0..=MAX_SESSION_TAGS {
            tags.announce(ONE, tag(n)).expect("new");
        }
        assert_eq!(tags.len(), MAX_SESSION_TAGS);
        assert_eq!(tags.spend(&tag(0)), None);
        assert_eq!(tags.spend(&tag(1)), Some(ONE));
    }

    #[test]
    fn closing_a_session_leaves_nothing_of_it() {
        let mut tags = Tags::default();
        tags.announce(ONE, tag(0)).expect("new");
        tags.announce(TWO, tag(1)).expect("new");
        tags.close(ONE);
        assert_eq!((tags.spend(&tag(0)), tags.spend(&tag(1))), (None, Some(TWO)));
        assert_eq!(tags.order.len(), 1);
    }
}
