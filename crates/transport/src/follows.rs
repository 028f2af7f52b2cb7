//! Followed boxes: which stand registered, which are due, which are to be looked at.

use core::time::Duration;
use std::collections::BTreeMap;

use xchat_base::{Rng, Timestamp, random};
use xchat_directory::NodeId;
use xchat_pigeonhole::BoxId;
use xchat_sphinx::CollectorSession;

use crate::api::Urgency;
use crate::queue::backoff_slots;

/// Boxes that stand registered at once, at most: 256 registrations an hour are 7 % of the slots at
/// `desk`.
pub(crate) const READ_SET: usize = 256;

/// A followed box that may be the next one is looked at (an immediate read, where no slot is needed for more) when
/// nothing was heard of it for so long. It is what bounds the harm of a collector's or a store's restart, which
/// forgets registrations without a word.
pub(crate) const LOOK_AFTER: Duration = Duration::from_secs(160);

/// And in the midst of a talk: so long after the one before it arrived. By silence, not by how long it has been registered, and
/// before all others, so that there are slots enough for every talk: of a decoy both lanes are looked at from here, of
/// two people's talk one, and boxes of decoys would be looked at half as often.
const LOOK_IN_A_TALK: Duration = Duration::from_secs(40);

/// A lane in which nothing arrived for so long is looked at no more often than one at rest: by the looks before a box is written a
/// store would see how soon people come back to each other, which is nobody's habit but theirs.
const TALK: Duration = Duration::from_secs(180);

/// A box of a lane in use is registered when at most so many are before it: a number drawn for each box, from 1 to this. So
/// the time between a box's registration and its writing is any part of what its lane takes for so many boxes, and
/// neither the box before it nor the one behind it was registered when it was.
const FARTHEST: usize = 15;

/// And then not at once, or boxes would be registered whenever another one of their lane has arrived: exponential, the
/// mean for each box that is still before it. People's lanes move on by a box in ten seconds and more.
const SPREAD: Duration = Duration::from_secs(8);

/// The second box of a lane at rest is registered within so long, and when the first one has arrived.
const SECOND_WITHIN: Duration = Duration::from_secs(20 * 60);

/// Each registration is renewed after the rotation's period times a random factor, from this on and as far above one: boxes
/// that were once registered together do not stay together.
const EARLIEST_RENEWAL: f64 = 0.75;

/// A store has promised to deliver the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) store: NodeId,
    /// Through which collector session.
    pub(crate) session: CollectorSession,
    /// Over which mixes.
    pub(crate) mixes: [NodeId; 3],
    /// From when on it is to be renewed, at another replica.
    pub(crate) renew_at: Timestamp,
    /// When the store forgets it.
    pub(crate) until: Timestamp,
}

impl Standing {
    /// Whether what is delivered passes one of these mixes.
    pub(crate) fn passes(&self, mixes: &[NodeId]) -> bool {
        self.mixes.iter().any(|mix| mixes.contains(mix))
    }
}

/// What is to be registered next.
pub(crate) struct Next {
    /// A box to be registered at once: no store stands ready for it, and there is room, or it is active and a resting one
    /// can make room.
    pub(crate) new: Option<BoxId>,
    /// The box whose turn it is: of those due for renewal, or without room so far, the one that nothing was asked about
    /// for longest.
    pub(crate) due: Option<BoxId>,
}

/// The first of those that are offered, by a key.
#[derive(Clone, Copy)]
struct Earliest<'a, K>(Option<(K, &'a BoxId)>);

impl<'a, K: Ord + Copy> Earliest<'a, K> {
    const fn new() -> Self {
        Self(None)
    }

    fn offer(&mut self, key: K, id: &'a BoxId) {
        if self.0.is_none_or(|(first, _)| key < first) {
            self.0 = Some((key, id));
        }
    }

    fn id(self) -> Option<BoxId> {
        self.0.map(|(_, id)| *id)
    }
}

struct Followed {
    urgency: Urgency,
    /// When something last arrived in its lane, as far as that was said: at a start nothing has.
    lane_heard: Timestamp,
    order: u64,
    /// Registered when at most so many boxes of its lane are before it.
    farthest: u8,
    /// Not registered before that; never, as long as it is too far ahead.
    due: Option<Timestamp>,
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
    own: BTreeMap<BoxId, Followed>,
    decoys: BTreeMap<BoxId, Followed>,
    next_order: u64,
    /// The latest collect that had no answer: an item may have gone with it.
    lost_collect: Timestamp,
}

impl Follows {
    pub(crate) fn new() -> Self {
        Self {
            own: BTreeMap::new(),
            decoys: BTreeMap::new(),
            next_order: 0,
            lost_collect: Timestamp::ZERO,
        }
    }

    pub(crate) fn follow(
        &mut self,
        id: BoxId,
        urgency: Urgency,
        is_decoy: bool,
        now: Timestamp,
        rng: &mut Rng,
    ) {
        let order = self.next_order;
        self.next_order += 1;
        // Followed again when one before it has arrived, in order or not.
        // Whose it is was said when it was first followed: a decoy that is given up has commands under way.
        let is_decoy = self.decoys.contains_key(&id) || is_decoy && !self.own.contains_key(&id);
        let boxes = if is_decoy { &mut self.decoys } else { &mut self.own };
        let again = boxes.contains_key(&id);
        let followed = boxes.entry(id).or_insert_with(|| Followed {
            urgency,
            lane_heard: Timestamp::ZERO,
            order,
            farthest: 1 + random::index(rng, FARTHEST) as u8,
            due: None,
            standing: None,
            in_flight: false,
            attempts: 0,
            refused: 0,
            not_before_slot: 0,
            looked_at: Timestamp::ZERO,
        });
        followed.urgency = urgency;
        if again {
            followed.lane_heard = now;
        }
        match urgency {
            Urgency::Active(_) | Urgency::Resting => followed.due = Some(Timestamp::ZERO),
            Urgency::Ahead(_) if followed.due.is_some() => {}
            Urgency::Ahead(1) => {
                followed.due = Some(now + SECOND_WITHIN.mul_f64(random::unit(rng)));
            }
            Urgency::Ahead(places) if places <= followed.farthest => {
                let mean = SPREAD * u32::from(places);
                followed.due = Some(now + random::exponential(rng, mean));
            }
            Urgency::Ahead(_) => {}
        }
    }

    /// After which time, in periods of the rotation, the present registration of a box is to be renewed.
    pub(crate) fn renewal(rng: &mut Rng) -> f64 {
        EARLIEST_RENEWAL + 2.0 * (1.0 - EARLIEST_RENEWAL) * random::unit(rng)
    }

    /// Whether it was followed.
    pub(crate) fn remove(&mut self, id: &BoxId) -> bool {
        self.own.remove(id).or_else(|| self.decoys.remove(id)).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.own.len() + self.decoys.len()
    }

    /// How many of the owner's, or of the decoys', stand registered.
    pub(crate) fn standing(&self, now: Timestamp, decoys: bool) -> usize {
        let boxes = if decoys { &self.decoys } else { &self.own };
        boxes.values().filter(|f| f.stands(now)).count()
    }

    /// How many of the owner's are registered or to be.
    pub(crate) fn wanted(&self, now: Timestamp) -> usize {
        self.own.values().filter(|f| f.is_due(now)).count()
    }

    /// What is to be registered next, in one pass: this is asked in each slot.
    pub(crate) fn next(&self, now: Timestamp, slot: u64, capacity: usize) -> Next {
        let mut taken = 0;
        let mut displaceable = false;
        // The least urgent class of which one stands: it makes room for its own and for those above it.
        let mut least = None;
        let (mut new, mut new_active) = (Earliest::new(), Earliest::new());
        let mut renewal = Earliest::new();
        let mut waiting = [Earliest::new(), Earliest::new(), Earliest::new()];
        for (id, followed) in self.all() {
            let (stands, class) = (followed.stands(now), followed.class());
            taken += usize::from(stands || followed.in_flight);
            if stands {
                displaceable |= !followed.is_active();
                least = least.max(Some(class));
            }
            if !followed.can_register(now, slot) {
                continue;
            }
            let turn = (followed.looked_at, followed.order);
            if stands {
                if followed.standing.is_some_and(|standing| standing.renew_at <= now) {
                    renewal.offer(turn, id);
                }
                continue;
            }
            waiting[usize::from(class)].offer(turn, id);
            let urgency = (class, followed.due, followed.order);
            new.offer(urgency, id);
            if followed.is_active() {
                new_active.offer(urgency, id);
            }
        }
        let has_room = taken < capacity;
        let new = match (has_room, displaceable) {
            (true, _) => new,
            (false, true) => new_active,
            (false, false) => Earliest::new(),
        };
        let least = least.filter(|_| !has_room);
        for (class, earliest) in (0..).zip(waiting) {
            if let Some((turn, id)) =
                earliest.0.filter(|_| least.is_some_and(|least| class <= least))
            {
                renewal.offer(turn, id);
            }
        }
        Next { new: new.id(), due: renewal.id() }
    }

    /// The box to look at: active and an item may just have been lost, the next one of a talk after [`LOOK_IN_A_TALK`], or the
    /// next one of any lane after [`LOOK_AFTER`]. Never one that others come before: stores would see for how long it
    /// has been waited for.
    pub(crate) fn next_look(&self, now: Timestamp) -> Option<BoxId> {
        self.all()
            .filter(|(_, f)| !f.in_flight)
            .filter_map(|(id, f)| {
                let age = now.since(f.looked_at);
                let silent = now.since(f.looked_at.max(f.lane_heard));
                let need = match f.urgency {
                    _ if self.hurries(f) => 2,
                    Urgency::Active(0) if f.is_talked_in(now) && silent >= LOOK_IN_A_TALK => 1,
                    Urgency::Active(0) | Urgency::Resting if age >= LOOK_AFTER => 0,
                    _ => return None,
                };
                Some((need, age, f.order, id))
            })
            .max_by_key(|(need, age, order, _)| (*need, *age, core::cmp::Reverse(*order)))
            .map(|(.., id)| *id)
    }

    /// Whether a look is more urgent than usual.
    pub(crate) fn in_a_hurry(&self) -> bool {
        self.lost_collect > Timestamp::ZERO
            && self.all().any(|(_, f)| !f.in_flight && self.hurries(f))
    }

    fn hurries(&self, followed: &Followed) -> bool {
        // Of what nothing was ever asked about nothing is lost.
        let asked = followed.looked_at > Timestamp::ZERO;
        followed.is_active() && asked && followed.looked_at <= self.lost_collect
    }

    /// A request about it that is not a registration leaves.
    pub(crate) fn looked(&mut self, id: &BoxId, now: Timestamp) {
        if let Some(followed) = self.get_mut(id) {
            followed.looked_at = now;
        }
    }

    /// A registration leaves; gives its number. If the read set is full, another box makes room: it is no
    /// longer renewed, and what a store still delivers for it is as welcome as before.
    pub(crate) fn registering(&mut self, id: &BoxId, now: Timestamp, capacity: usize) -> u32 {
        let renewal = self.get(id).is_some_and(|f| f.stands(now));
        if !renewal && self.taken(now) >= capacity {
            let oldest = self
                .all()
                .filter(|(_, f)| f.stands(now))
                .max_by_key(|(id, f)| (f.class(), core::cmp::Reverse(f.looked_at), **id))
                .map(|(id, _)| *id);
            if let Some(followed) = oldest.and_then(|id| self.get_mut(&id)) {
                followed.standing = None;
            }
        }
        let Some(followed) = self.get_mut(id) else { return 0 };
        followed.in_flight = true;
        followed.looked_at = now;
        followed.attempts = followed.attempts.wrapping_add(1);
        followed.attempts
    }

    /// The number of registrations tried so far.
    pub(crate) fn attempts(&self, id: &BoxId) -> u32 {
        self.get(id).map_or(0, |followed| followed.attempts)
    }

    /// A store stands ready.
    pub(crate) fn registered(&mut self, id: &BoxId, number: u32, standing: Standing) {
        let Some(followed) = self.get_mut(id) else { return };
        followed.standing = Some(standing);
        followed.refused = 0;
        if followed.attempts == number {
            followed.in_flight = false;
        }
    }

    /// A registration had no answer, or one that proves nothing.
    pub(crate) fn unanswered(&mut self, id: &BoxId, number: u32) {
        if let Some(followed) = self.get_mut(id).filter(|f| f.attempts == number) {
            followed.in_flight = false;
        }
    }

    /// A registration was refused.
    pub(crate) fn refused(&mut self, id: &BoxId, number: u32, slot: u64) {
        if let Some(followed) = self.get_mut(id).filter(|f| f.attempts == number) {
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
        for followed in self.own.values_mut().chain(self.decoys.values_mut()) {
            followed.in_flight = false;
        }
    }

    /// Registrations for which this does not hold are as good as gone.
    pub(crate) fn retain_standing(&mut self, keep: impl Fn(&Standing) -> bool) {
        for followed in self.own.values_mut().chain(self.decoys.values_mut()) {
            followed.standing = followed.standing.filter(&keep);
        }
    }

    /// Registrations for which this holds are good for nothing any more. The boxes are registered anew, not one after the other as
    /// they were followed: each after a random number of slots, at most twice as many as there are of them.
    pub(crate) fn anew(
        &mut self,
        is_gone: impl Fn(&BoxId, &Standing) -> bool,
        now: Timestamp,
        slot: u64,
        rng: &mut Rng,
    ) {
        let is_gone = |id: &BoxId, followed: &Followed| {
            followed.stands(now)
                && followed.standing.as_ref().is_some_and(|standing| is_gone(id, standing))
        };
        let count = self.all().filter(|(id, followed)| is_gone(id, followed)).count();
        for (id, followed) in self.own.iter_mut().chain(&mut self.decoys) {
            if is_gone(id, followed) {
                followed.standing = None;
                followed.not_before_slot = slot + random::index(rng, 2 * count) as u64;
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = (&BoxId, &Followed)> {
        self.own.iter().chain(&self.decoys)
    }

    fn get(&self, id: &BoxId) -> Option<&Followed> {
        self.own.get(id).or_else(|| self.decoys.get(id))
    }

    fn get_mut(&mut self, id: &BoxId) -> Option<&mut Followed> {
        match self.own.get_mut(id) {
            None => self.decoys.get_mut(id),
            own => own,
        }
    }

    /// Places of the read set that are taken: by a promise, or by a registration under way.
    fn taken(&self, now: Timestamp) -> usize {
        self.all().filter(|(_, f)| f.in_flight || f.stands(now)).count()
    }
}

/// What tests look at.
#[cfg(test)]
impl Follows {
    pub(crate) fn registered_over(&self, mix: &NodeId, now: Timestamp) -> (usize, usize) {
        let standing = self.all().filter(|(_, followed)| followed.stands(now));
        let all: Vec<_> = standing.filter_map(|(_, followed)| followed.standing).collect();
        let over = all.iter().filter(|standing| standing.passes(&[*mix])).count();
        (all.len(), over)
    }
}

impl Followed {
    fn stands(&self, now: Timestamp) -> bool {
        self.standing.is_some_and(|standing| standing.until > now)
    }

    fn can_register(&self, now: Timestamp, slot: u64) -> bool {
        !self.in_flight && self.not_before_slot <= slot && self.is_due(now)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    fn is_active(&self) -> bool {
        matches!(self.urgency, Urgency::Active(_))
    }

    fn is_talked_in(&self, now: Timestamp) -> bool {
        self.is_active() && now.since(self.lane_heard) < TALK
    }

    /// The most urgent first.
    fn class(&self) -> u8 {
        match self.urgency {
            Urgency::Active(_) => 0,
            Urgency::Resting => 1,
            Urgency::Ahead(_) => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000);
    const PERIOD: Duration = Duration::from_secs(100);

    fn id(n: usize) -> BoxId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
        BoxId::from_bytes(bytes)
    }

    fn follow(follows: &mut Follows, id: BoxId, urgency: Urgency) {
        follow_at(follows, id, urgency, T0);
    }

    fn follow_at(follows: &mut Follows, id: BoxId, urgency: Urgency, now: Timestamp) {
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(id.as_bytes()[7]));
        follows.follow(id, urgency, false, now, &mut rng);
    }

    fn standing(now: Timestamp) -> Standing {
        Standing {
            store: NodeId::from_bytes([1; 32]),
            session: CollectorSession::from_bytes([1; 32]),
            mixes: [2, 3, 4].map(|n| NodeId::from_bytes([n; 32])),
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
        follow(&mut follows, id(1), Urgency::Resting);
        follow(&mut follows, id(2), Urgency::Active(0));
        assert_eq!(follows.next(T0, 0, 10).new, Some(id(2)));
        register(&mut follows, id(2), T0, 10);
        assert_eq!(follows.next(T0, 0, 10).new, Some(id(1)));
        let number = follows.registering(&id(1), T0, 10);
        assert_eq!(follows.next(T0, 0, 10).new, None);
        follows.unanswered(&id(1), number);
        assert_eq!(follows.next(T0, 0, 10).new, Some(id(1)));
    }

    #[test]
    fn a_registration_is_due_after_its_period_and_not_before() {
        let mut follows = Follows::new();
        follow(&mut follows, id(1), Urgency::Active(0));
        register(&mut follows, id(1), T0, 10);
        assert_eq!(follows.next(T0 + PERIOD - Duration::from_secs(1), 0, 10).due, None);
        assert_eq!(follows.next(T0 + PERIOD, 0, 10).due, Some(id(1)));
        assert_eq!(follows.next(T0 + PERIOD, 0, 10).new, None);
        assert_eq!(follows.next(T0 + PERIOD * 2, 0, 10).new, Some(id(1)), "it has lapsed");
    }

    #[test]
    fn the_read_set_is_bounded_and_what_does_not_fit_takes_turns() {
        let mut follows = Follows::new();
        for n in 0..READ_SET + 50 {
            follow(&mut follows, id(n), Urgency::Resting);
        }
        while let Some(next) = follows.next(T0, 0, READ_SET).new {
            register(&mut follows, next, T0, READ_SET);
        }
        assert_eq!(follows.standing(T0, false), READ_SET);
        let mut seen = std::collections::BTreeSet::new();
        for second in 1..=50 {
            let now = T0 + Duration::from_secs(second);
            let next = follows.next(now, 0, READ_SET).due.expect("those outside take turns");
            assert!(seen.insert(next));
            register(&mut follows, next, now, READ_SET);
            assert_eq!(follows.standing(now, false), READ_SET);
        }
    }

    #[test]
    fn an_active_box_displaces_a_resting_one_at_once_and_never_the_other_way() {
        let mut follows = Follows::new();
        follow(&mut follows, id(1), Urgency::Resting);
        register(&mut follows, id(1), T0, 1);
        follow(&mut follows, id(2), Urgency::Active(0));
        assert_eq!(follows.next(T0, 0, 1).new, Some(id(2)));
        register(&mut follows, id(2), T0, 1);
        assert_eq!(follows.standing(T0, false), 1);
        assert_eq!(follows.next(T0, 0, 1).new, None);
        assert_eq!(follows.next(T0, 0, 1).due, None);
        let later = T0 + Duration::from_secs(3_600);
        follows.looked(&id(2), later);
        assert_eq!(follows.next_look(later), Some(id(1)), "it is looked at in its turn");
    }

    #[test]
    fn boxes_are_looked_at_when_nothing_was_heard_or_an_item_may_be_lost() {
        let mut follows = Follows::new();
        follow(&mut follows, id(1), Urgency::Active(0));
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

    #[test]
    fn when_nobody_talks_any_more_the_next_box_alone_is_looked_at_and_more_rarely() {
        let mut follows = Follows::new();
        for n in 0..2 {
            follow(&mut follows, id(n), Urgency::Active(n as u8));
            register(&mut follows, id(n), T0, 10);
        }
        assert_eq!(follows.next_look(T0 + LOOK_IN_A_TALK), None, "nothing has arrived yet");
        (0..2).for_each(|n| follow(&mut follows, id(n), Urgency::Active(n as u8)));
        assert_eq!(follows.next_look(T0 + LOOK_IN_A_TALK / 2), None);
        let talking = T0 + LOOK_IN_A_TALK;
        assert_eq!(follows.next_look(talking), Some(id(0)));
        follows.looked(&id(0), talking);
        assert_eq!(follows.next_look(talking), None);
        // It arrives, and the other one, registered for long, is the next.
        follows.remove(&id(0));
        follow_at(&mut follows, id(1), Urgency::Active(0), talking);
        assert_eq!(follows.next_look(talking + LOOK_IN_A_TALK / 2), None);
        assert_eq!(follows.next_look(talking + LOOK_IN_A_TALK), Some(id(1)));
        let silent = talking + TALK;
        follows.looked(&id(1), silent);
        assert_eq!(follows.next_look(silent + LOOK_AFTER / 2), None);
        let later = silent + LOOK_AFTER;
        assert_eq!(follows.next_look(later), Some(id(1)));
        // What may just have been lost is looked at whatever it is.
        follows.looked(&id(1), later);
        follow_at(&mut follows, id(2), Urgency::Active(1), later);
        follows.looked(&id(2), later);
        assert_eq!(follows.next_look(later + LOOK_AFTER), Some(id(1)));
        follows.looked(&id(1), later + LOOK_AFTER);
        assert_eq!(follows.next_look(later + LOOK_AFTER), None);
        follows.collect_lost(later + LOOK_AFTER - Duration::from_secs(1));
        assert_eq!(follows.next_look(later + LOOK_AFTER), Some(id(2)));
        follows.looked(&id(2), later + LOOK_AFTER);
        assert!(!follows.in_a_hurry());
    }

    #[test]
    fn what_may_be_lost_is_looked_at_before_all_that_has_waited_for_long() {
        let mut follows = Follows::new();
        for n in 0..110 {
            follow(&mut follows, id(n), Urgency::Resting);
        }
        for n in 110..118 {
            follow(&mut follows, id(n), Urgency::Active((n % 2) as u8));
        }
        let now = T0 + Duration::from_secs(3_600);
        (110..118).for_each(|n| follows.looked(&id(n), now));
        follows.collect_lost(now);
        for _ in 110..118 {
            assert!(follows.in_a_hurry());
            let next = follows.next_look(now).expect("late ones");
            follows.looked(&next, now + Duration::from_secs(1));
        }
        assert!(!follows.in_a_hurry());
    }

    /// A lane that moves on by a box every ten seconds, each registered as soon as it is due; for how many seconds each
    /// one stood when it was written, and when it was registered.
    fn lane(seed: u64, boxes: usize) -> Vec<(f64, Timestamp)> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut follows = Follows::new();
        let mut stood = vec![None; boxes + 16];
        let mut ages = Vec::new();
        let step = Duration::from_secs(10);
        for written in 0..boxes {
            let start = T0 + step * written as u32;
            for ahead in 0..16 {
                follows.follow(
                    id(written + ahead),
                    Urgency::of(true, ahead as u8),
                    false,
                    start,
                    &mut rng,
                );
            }
            for tenth in 0..100 {
                let now = start + step * tenth / 100;
                while let Some(next) = follows.next(now, 0, 100).new {
                    register(&mut follows, next, now, 100);
                    let place = (0..stood.len()).find(|place| id(*place) == next);
                    stood[place.expect("followed")] = Some(now);
                }
            }
            let since = stood[written].expect("the next box always stands");
            ages.push(((start + step).since(since).as_secs_f64(), since));
            follows.remove(&id(written));
        }
        // What was there at the beginning had no time of its own.
        ages.split_off(16)
    }

    #[test]
    fn boxes_of_a_lane_in_use_are_registered_each_at_a_time_of_its_own_and_never_too_late() {
        let mut ages: Vec<f64> = Vec::new();
        let mut out_of_order = 0;
        for seed in 0..30 {
            let lane = lane(seed, 60);
            out_of_order += lane.windows(2).filter(|two| two[0].1 > two[1].1).count();
            ages.extend(lane.iter().map(|(age, _)| *age));
        }
        ages.sort_by(f64::total_cmp);
        let at = |share: f64| ages[(share * (ages.len() - 1) as f64) as usize];
        assert!(at(0.0) >= 10.0, "never later than the box before it is written: {}", at(0.0));
        assert!((15.0..=40.0).contains(&at(0.25)), "{}", at(0.25));
        assert!((50.0..=120.0).contains(&at(0.75)), "{}", at(0.75));
        let share = out_of_order as f64 / ages.len() as f64;
        assert!(share > 0.3, "{share} were registered before the one before them");
    }

    #[test]
    fn what_is_too_far_ahead_is_neither_registered_nor_looked_at() {
        let mut follows = Follows::new();
        follow(&mut follows, id(1), Urgency::Ahead(200));
        let later = T0 + Duration::from_secs(3_600);
        assert_eq!(follows.next(later, 0, 10).new, None);
        assert_eq!(follows.next_look(later), None);
        follow(&mut follows, id(1), Urgency::Active(0));
        assert_eq!(follows.next(T0, 0, 10).new, Some(id(1)));
    }

    #[test]
    fn a_decoy_that_is_given_up_with_commands_under_way_is_gone() {
        let (mut follows, mut rng) = (Follows::new(), ChaCha20Rng::seed_from_u64(1));
        follows.follow(id(1), Urgency::Resting, true, T0, &mut rng);
        follows.follow(id(1), Urgency::Active(0), false, T0, &mut rng);
        assert_eq!((follows.len(), follows.wanted(T0)), (1, 0));
        assert!(follows.remove(&id(1)));
        assert_eq!(follows.len(), 0);
        assert_eq!(follows.next(T0, 0, 10).new, None);
    }

    #[test]
    fn renewals_are_spread_around_the_period() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let all: Vec<f64> = (0..1_000).map(|_| Follows::renewal(&mut rng)).collect();
        assert!(all.iter().all(|one| (0.75..1.25).contains(one)));
        let mean = all.iter().sum::<f64>() / 1_000.0;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
    }
}
