//! Followed boxes: which stand registered, which are due, which are to be looked at.

use core::time::Duration;
use std::collections::BTreeMap;

use xchat_base::Timestamp;
use xchat_directory::NodeId;
use xchat_pigeonhole::BoxId;
use xchat_sphinx::CollectorSession;

use crate::api::Urgency;
use crate::queue::backoff_slots;

/// Boxes that stand registered at once, at most: 256 registrations an hour are 7 % of the slots at
/// `desk`.
pub(crate) const READ_SET: usize = 256;

/// A followed box is looked at (an immediate read, where no slot is needed for more) when nothing was heard
/// of it for so long. It is what bounds the harm of a collector's or a store's restart, which
/// forgets registrations without a word.
pub(crate) const LOOK_AFTER: Duration = Duration::from_secs(20);

/// A resting box is looked at so much more rarely than an active one.
const RESTING_PATIENCE: u32 = 8;

/// A store has promised to deliver the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) store: NodeId,
    /// Through which collector session.
    pub(crate) session: CollectorSession,
    /// From when on it is to be renewed, at another replica.
    pub(crate) renew_at: Timestamp,
    /// When the store forgets it.
    pub(crate) until: Timestamp,
}

struct Followed {
    urgency: Urgency,
    order: u64,
    standing: Option<Standing>,
    /// A registration is under way.
    in_flight: bool,
    /// Registrations tried: chooses the replica, so that they rotate.
    attempts: u32,
    refused: u32,
    not_before_slot: u64,
    /// When the last request about it was sent.
    looked_at: Timestamp,
}

/// All followed boxes. The owner bounds them; of them at most `capacity` (≤ [`READ_SET`]) stand registered.
pub(crate) struct Follows {
    boxes: BTreeMap<BoxId, Followed>,
    next_order: u64,
    /// The latest collect that had no answer: an item may have gone with it.
    lost_collect: Timestamp,
}

impl Follows {
    pub(crate) fn new() -> Self {
        Self { boxes: BTreeMap::new(), next_order: 0, lost_collect: Timestamp::ZERO }
    }

    pub(crate) fn follow(&mut self, id: BoxId, urgency: Urgency) {
        let order = self.next_order;
        self.next_order += 1;
        self.boxes
            .entry(id)
            .or_insert(Followed {
                urgency,
                order,
                standing: None,
                in_flight: false,
                attempts: 0,
                refused: 0,
                not_before_slot: 0,
                looked_at: Timestamp::ZERO,
            })
            .urgency = urgency;
    }

    /// Whether it was followed.
    pub(crate) fn remove(&mut self, id: &BoxId) -> bool {
        self.boxes.remove(id).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.boxes.len()
    }

    /// How many stand registered, of those for which this holds.
    pub(crate) fn standing_of(&self, now: Timestamp, of: impl Fn(&BoxId) -> bool) -> usize {
        self.boxes.iter().filter(|(id, followed)| followed.stands(now) && of(id)).count()
    }

    /// A box to be registered at once: no store stands ready for it, and there is room, or it is active and
    /// a resting one can make room.
    pub(crate) fn next_new(&self, now: Timestamp, slot: u64, capacity: usize) -> Option<BoxId> {
        let room = self.taken(now) < capacity;
        let displaceable =
            self.boxes.values().any(|f| f.urgency == Urgency::Resting && f.stands(now));
        self.boxes
            .iter()
            .filter(|(_, f)| f.can_register(slot) && !f.stands(now))
            .filter(|(_, f)| room || (f.urgency == Urgency::Active && displaceable))
            .min_by_key(|(_, f)| (f.urgency, f.order))
            .map(|(id, _)| *id)
    }

    /// The box whose turn it is: of those due for renewal, or without room so far, the one that
    /// nothing was asked about for longest.
    pub(crate) fn next_due(&self, now: Timestamp, slot: u64, capacity: usize) -> Option<BoxId> {
        let full = self.taken(now) >= capacity;
        let displaceable =
            |urgency| self.boxes.values().any(|f| f.urgency >= urgency && f.stands(now));
        let (active, resting) = (displaceable(Urgency::Active), displaceable(Urgency::Resting));
        self.boxes
            .iter()
            .filter(|(_, f)| f.can_register(slot))
            .filter(|(_, f)| match f.standing.filter(|standing| standing.until > now) {
                Some(standing) => standing.renew_at <= now,
                None => full && if f.urgency == Urgency::Active { active } else { resting },
            })
            .min_by_key(|(_, f)| (f.looked_at, f.order))
            .map(|(id, _)| *id)
    }

    /// The box to look at: not heard of for [`LOOK_AFTER`], or active and an item may just have been lost.
    pub(crate) fn next_look(&self, now: Timestamp) -> Option<BoxId> {
        self.boxes
            .iter()
            .filter(|(_, f)| !f.in_flight)
            .filter_map(|(id, f)| {
                let (age, patience) = match f.urgency {
                    Urgency::Active => (now.since(f.looked_at), 1),
                    Urgency::Resting => (now.since(f.looked_at), RESTING_PATIENCE),
                };
                let hurried = f.urgency == Urgency::Active && f.looked_at <= self.lost_collect;
                (age >= LOOK_AFTER * patience || hurried).then_some((age / patience, f.order, id))
            })
            .max_by_key(|(age, order, _)| (*age, core::cmp::Reverse(*order)))
            .map(|(.., id)| *id)
    }

    /// Whether a look is more urgent than usual.
    pub(crate) fn in_a_hurry(&self) -> bool {
        self.boxes.values().any(|f| {
            f.urgency == Urgency::Active && !f.in_flight && f.looked_at <= self.lost_collect
        })
    }

    /// A request about it that is not a registration leaves.
    pub(crate) fn looked(&mut self, id: &BoxId, now: Timestamp) {
        if let Some(followed) = self.boxes.get_mut(id) {
            followed.looked_at = now;
        }
    }

    /// A registration leaves; gives its number. If the read set is full, another box makes room: it is no
    /// longer renewed, and what a store still delivers for it is as welcome as before.
    pub(crate) fn registering(&mut self, id: &BoxId, now: Timestamp, capacity: usize) -> u32 {
        let renewal = self.boxes.get(id).is_some_and(|f| f.stands(now));
        if !renewal && self.taken(now) >= capacity {
            let oldest = self
                .boxes
                .iter()
                .filter(|(_, f)| f.stands(now))
                .max_by_key(|(_, f)| (f.urgency, core::cmp::Reverse(f.looked_at)))
                .map(|(id, _)| *id);
            if let Some(followed) = oldest.and_then(|id| self.boxes.get_mut(&id)) {
                followed.standing = None;
            }
        }
        let Some(followed) = self.boxes.get_mut(id) else { return 0 };
        followed.in_flight = true;
        followed.looked_at = now;
        followed.attempts = followed.attempts.wrapping_add(1);
        followed.attempts
    }

    /// The number of registrations tried so far.
    pub(crate) fn attempts(&self, id: &BoxId) -> u32 {
        self.boxes.get(id).map_or(0, |followed| followed.attempts)
    }

    /// A store stands ready.
    pub(crate) fn registered(&mut self, id: &BoxId, number: u32, standing: Standing) {
        let Some(followed) = self.boxes.get_mut(id) else { return };
        followed.standing = Some(standing);
        followed.refused = 0;
        if followed.attempts == number {
            followed.in_flight = false;
        }
    }

    /// A registration had no answer, or one that proves nothing.
    pub(crate) fn unanswered(&mut self, id: &BoxId, number: u32) {
        if let Some(followed) = self.boxes.get_mut(id).filter(|f| f.attempts == number) {
            followed.in_flight = false;
        }
    }

    /// A registration was refused.
    pub(crate) fn refused(&mut self, id: &BoxId, number: u32, slot: u64) {
        if let Some(followed) = self.boxes.get_mut(id).filter(|f| f.attempts == number) {
            followed.in_flight = false;
            followed.refused = followed.refused.saturating_add(1);
            followed.not_before_slot = slot + backoff_slots(followed.refused);
        }
    }

    /// A collect that was sent then had no answer.
    pub(crate) fn collect_lost(&mut self, sent: Timestamp) {
        self.lost_collect = self.lost_collect.max(sent);
    }

    /// Nothing that is in flight will be answered any more.
    pub(crate) fn all_unanswered(&mut self) {
        for followed in self.boxes.values_mut() {
            followed.in_flight = false;
        }
    }

    /// Registrations for which this does not hold are as good as gone.
    pub(crate) fn retain_standing(&mut self, keep: impl Fn(&BoxId, &Standing) -> bool) {
        for (id, followed) in &mut self.boxes {
            followed.standing = followed.standing.filter(|standing| keep(id, standing));
        }
    }

    /// Places of the read set that are taken: by a promise, or by a registration under way.
    fn taken(&self, now: Timestamp) -> usize {
        self.boxes.values().filter(|f| f.in_flight || f.stands(now)).count()
    }
}

impl Followed {
    fn stands(&self, now: Timestamp) -> bool {
        self.standing.is_some_and(|standing| standing.until > now)
    }

    fn can_register(&self, slot: u64) -> bool {
        !self.in_flight && self.not_before_slot <= slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000);
    const PERIOD: Duration = Duration::from_secs(100);

    fn id(n: usize) -> BoxId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
        BoxId::from_bytes(bytes)
    }

    fn standing(now: Timestamp) -> Standing {
        Standing {
            store: NodeId::from_bytes([1; 32]),
            session: CollectorSession::from_bytes([1; 32]),
            renew_at: now + PERIOD,
            until: now + PERIOD * 2,
        }
    }

    fn register(follows: &mut Follows, id: BoxId, now: Timestamp, capacity: usize) {
        let number = follows.registering(&id, now, capacity);
        follows.registered(&id, number, standing(now));
    }

    #[test]
    fn active_boxes_come_first_and_each_is_new_once() {
        let mut follows = Follows::new();
        follows.follow(id(1), Urgency::Resting);
        follows.follow(id(2), Urgency::Active);
        assert_eq!(follows.next_new(T0, 0, 10), Some(id(2)));
        register(&mut follows, id(2), T0, 10);
        assert_eq!(follows.next_new(T0, 0, 10), Some(id(1)));
        let number = follows.registering(&id(1), T0, 10);
        assert_eq!(follows.next_new(T0, 0, 10), None);
        follows.unanswered(&id(1), number);
        assert_eq!(follows.next_new(T0, 0, 10), Some(id(1)));
    }

    #[test]
    fn a_registration_is_due_after_its_period_and_not_before() {
        let mut follows = Follows::new();
        follows.follow(id(1), Urgency::Active);
        register(&mut follows, id(1), T0, 10);
        assert_eq!(follows.next_due(T0 + PERIOD - Duration::from_secs(1), 0, 10), None);
        assert_eq!(follows.next_due(T0 + PERIOD, 0, 10), Some(id(1)));
        assert_eq!(follows.next_new(T0 + PERIOD, 0, 10), None);
        assert_eq!(follows.next_new(T0 + PERIOD * 2, 0, 10), Some(id(1)), "it has lapsed");
    }

    #[test]
    fn the_read_set_is_bounded_and_what_does_not_fit_takes_turns() {
        let mut follows = Follows::new();
        for n in 0..READ_SET + 50 {
            follows.follow(id(n), Urgency::Resting);
        }
        while let Some(next) = follows.next_new(T0, 0, READ_SET) {
            register(&mut follows, next, T0, READ_SET);
        }
        assert_eq!(follows.standing_of(T0, |_| true), READ_SET);
        let mut seen = std::collections::BTreeSet::new();
        for second in 1..=50 {
            let now = T0 + Duration::from_secs(second);
            let next = follows.next_due(now, 0, READ_SET).expect("those outside take turns");
            assert!(seen.insert(next));
            register(&mut follows, next, now, READ_SET);
            assert_eq!(follows.standing_of(now, |_| true), READ_SET);
        }
    }

    #[test]
    fn an_active_box_displaces_a_resting_one_at_once_and_never_the_other_way() {
        let mut follows = Follows::new();
        follows.follow(id(1), Urgency::Resting);
        register(&mut follows, id(1), T0, 1);
        follows.follow(id(2), Urgency::Active);
        assert_eq!(follows.next_new(T0, 0, 1), Some(id(2)));
        register(&mut follows, id(2), T0, 1);
        assert_eq!(follows.standing_of(T0, |_| true), 1);
        assert_eq!(follows.next_new(T0, 0, 1), None);
        assert_eq!(follows.next_due(T0, 0, 1), None);
        let later = T0 + Duration::from_secs(3_600);
        follows.looked(&id(2), later);
        assert_eq!(follows.next_look(later), Some(id(1)), "it is looked at in its turn");
    }

    #[test]
    fn boxes_are_looked_at_when_nothing_was_heard_or_an_item_may_be_lost() {
        let mut follows = Follows::new();
        follows.follow(id(1), Urgency::Active);
        register(&mut follows, id(1), T0, 10);
        let soon = T0 + Duration::from_secs(2);
        assert_eq!(follows.next_look(soon), None);
        follows.collect_lost(T0 + Duration::from_secs(1));
        assert!(follows.in_a_hurry());
        assert_eq!(follows.next_look(soon), Some(id(1)));
        follows.looked(&id(1), soon);
        assert_eq!(follows.next_look(soon), None);
        assert_eq!(follows.next_look(soon + LOOK_AFTER), Some(id(1)));
    }
}
