//! Boxes that came by a ticket before anybody asked for them: of the keys that the two have just renewed, or of the renewal itself. And those that
//! somebody has had.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use xchat_base::Timestamp;
use xchat_pigeonhole::{BoxId, SealedBox};

/// Boxes kept at most, of 1.5 KB each: some renewals. Beyond it the first that came is forgotten, and read where it lies.
pub(crate) const MAX_UNCLAIMED: usize = 64;

/// Boxes that somebody has had already are not kept as if they had not, if they were among the last so many: what was registered for and has a
/// ticket comes twice. Their values are, of 1.5 KB each: see [`Unclaimed::again`].
const MAX_CLAIMED: usize = 256;

/// Nobody asks for what has lain for so long.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// So often it is told again within so long: who reads one box of a lane follows all that may come after it anew, and of sixteen that came at
/// once the last is followed fifteen times before it is read. Whose disk is full asks anew after each attempt to go on.
const TOLD_AGAIN: u8 = 32;
const TOLD_WITHIN: Duration = Duration::from_secs(60);

/// One that somebody has had.
struct Claimed {
    id: BoxId,
    /// None, if nobody asks for it again.
    boxed: Option<SealedBox>,
    /// How often it may be told again until then.
    left: u8,
    until: Timestamp,
}

/// All of them, at most [`MAX_UNCLAIMED`].
#[derive(Default)]
pub(crate) struct Unclaimed {
    boxes: BTreeMap<BoxId, (Timestamp, SealedBox)>,
    claimed: VecDeque<Claimed>,
}

impl Unclaimed {
    /// Somebody has it; its value, if they may ask again before they know.
    pub(crate) fn claimed(&mut self, id: BoxId, boxed: Option<SealedBox>) {
        if self.claimed.len() >= MAX_CLAIMED {
            self.claimed.pop_front();
        }
        self.claimed.push_back(Claimed { id, boxed, left: TOLD_AGAIN, until: Timestamp::ZERO });
    }

    /// Somebody asks for it who was told of it, and may not know yet: of boxes that come at once the second is awaited when the first is read. Not
    /// without an end, whatever they make of it.
    pub(crate) fn again(&mut self, id: &BoxId, now: Timestamp) -> Option<SealedBox> {
        let claimed = self.claimed.iter_mut().rfind(|claimed| claimed.id == *id)?;
        if now >= claimed.until {
            (claimed.left, claimed.until) = (TOLD_AGAIN, now + TOLD_WITHIN);
        }
        claimed.left = claimed.left.checked_sub(1)?;
        claimed.boxed.clone()
    }

    pub(crate) fn add(&mut self, boxed: SealedBox, now: Timestamp) {
        if self.claimed.iter().any(|claimed| claimed.id == boxed.id()) {
            return;
        }
        if self.boxes.len() >= MAX_UNCLAIMED
            && let Some(first) = self.boxes.iter().min_by_key(|(_, (came, _))| *came)
        {
            let first = *first.0;
            self.boxes.remove(&first);
        }
        self.boxes.insert(boxed.id(), (now, boxed));
    }

    /// Somebody asks for it now.
    pub(crate) fn take(&mut self, id: &BoxId) -> Option<SealedBox> {
        self.boxes.remove(id).map(|(_, boxed)| boxed)
    }

    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.boxes.retain(|_, (came, _)| now.since(*came) < KEPT_FOR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixture::boxes;

    #[test]
    fn they_are_bounded_and_forgotten() {
        let mut all = Unclaimed::default();
        let own = boxes(1, MAX_UNCLAIMED + 1);
        let at = |n: usize| Timestamp::from_secs(1_000 + n as u64);
        for (n, boxed) in own.iter().enumerate() {
            all.add(boxed.clone(), at(n));
        }
        assert_eq!(all.take(&own[0].id()), None);
        assert_eq!(all.take(&own[1].id()).as_ref(), Some(&own[1]));
        assert_eq!(all.take(&own[1].id()), None, "once");
        all.expire(at(2) + KEPT_FOR);
        assert_eq!((all.take(&own[2].id()), all.boxes.len()), (None, MAX_UNCLAIMED - 2));
        for _ in 0..=MAX_CLAIMED {
            all.claimed(own[0].id(), None);
        }
        assert_eq!(all.claimed.len(), MAX_CLAIMED);
        assert_eq!(all.again(&own[0].id(), at(4)), None, "a decoy's");
        all.claimed(own[1].id(), Some(own[1].clone()));
        for minute in 0..2 {
            let now = at(4) + TOLD_WITHIN * minute;
            for _ in 0..TOLD_AGAIN {
                assert_eq!(all.again(&own[1].id(), now).as_ref(), Some(&own[1]));
            }
            assert_eq!(all.again(&own[1].id(), now), None, "somebody asks without an end");
        }
        all.add(own[0].clone(), at(3));
        assert_eq!(all.take(&own[0].id()), None, "somebody had it");
    }
}
