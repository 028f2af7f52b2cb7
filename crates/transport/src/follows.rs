//! Followed boxes: which stand registered, which are due, which are to be looked at.

mod followed;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use xchat_base::{Rng, Timestamp, random};
use xchat_directory::{NodeId, VerifiedDocument};
use xchat_pigeonhole::BoxId;
use xchat_sphinx::CollectorSession;

use crate::api::{NEXT, Urgency};
use crate::queue::backoff_slots;
use crate::tickets::{Doubt, Talk};
use followed::Followed;

/// Boxes that stand registered at once, at most: 192 registrations an hour are 5 % of the slots at
/// `desk`, and tickets take 7 % besides.
pub(crate) const READ_SET: usize = 192;

/// A followed box that may be the next one is looked at (an immediate read, where no slot is needed for more) when
/// nothing was heard of it for so long. It is what bounds the harm of a collector's or a store's restart, which
/// forgets registrations without a word.
pub(crate) const LOOK_AFTER: Duration = Duration::from_secs(160);

/// Talks in which something was found, that are remembered: more than are looked at meanwhile.
const MAX_FOUND: usize = READ_SET;

/// The second and third box of a lane at rest are registered within so long, and when those before them have arrived.
const NEXT_WITHIN: Duration = Duration::from_secs(20 * 60);

/// In a talk nothing is registered: tickets stand for it (see [`crate::tickets`]). When nothing has come for a time from this to that, drawn
/// for each box, the next ones are, for when the two talk again; but so long as its writer has tickets to begin that with, not before
/// that time is all that is left of them.
const QUIET: (Duration, Duration) = (Duration::from_secs(3 * 60), Duration::from_secs(30 * 60));

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
    /// Whether by this document the store keeps the box no longer, or would deliver it over a mix that is not listed any more.
    pub(crate) fn is_gone(&self, id: &BoxId, document: &VerifiedDocument) -> bool {
        !document.replicas(id.as_bytes()).contains(&self.store)
            || self.mixes.iter().any(|mix| document.node(mix).is_none())
    }

    /// Whether one of these nodes is to deliver, or to pass on what is delivered.
    pub(crate) fn needs(&self, nodes: &[NodeId]) -> bool {
        self.mixes.iter().chain([&self.store]).any(|node| nodes.contains(node))
    }
}

/// Whose a followed box is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose {
    pub(crate) is_decoy: bool,
    /// In whose talk it is awaited.
    pub(crate) talk: Option<Talk>,
    /// That talk goes on: its writer has tickets, or is about to have some.
    pub(crate) goes_on: bool,
    /// Until when it has enough of them to begin another one with.
    pub(crate) lasting: Option<Timestamp>,
}

/// Why a box is to be looked at, the most urgent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// It may have been lost long ago.
    Rest,
    /// The same in a talk.
    Talk,
    /// It may have been told to nobody.
    Untold,
    /// It may just have been lost, or is known to be.
    Lost,
}

/// What is to be registered next.
pub(crate) struct Next {
    /// A box to be registered at once: no store stands ready for it, and there is room, or it is active and a resting one
    /// can make room.
    pub(crate) new: Option<BoxId>,
    /// The box whose turn it is: of those due for renewal, or without room so far, the one that nothing was asked about
    /// for longest; those that others come before, and those of lanes in which next to nothing is written, come last.
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

/// All followed boxes. The owner bounds them; of them at most `capacity` (≤ [`READ_SET`]) stand registered.
pub(crate) struct Follows {
    own: BTreeMap<BoxId, Followed>,
    decoys: BTreeMap<BoxId, Followed>,
    /// Talks in which a look has found something: what comes next may not have been told either.
    found_in: BTreeSet<Talk>,
    /// Until then nothing is to be registered, unless something changes: in most slots nothing is.
    idle_until: Timestamp,
}

impl Follows {
    pub(crate) fn new() -> Self {
        let (own, decoys) = (BTreeMap::new(), BTreeMap::new());
        Self { own, decoys, found_in: BTreeSet::new(), idle_until: Timestamp::ZERO }
    }

    pub(crate) fn follow(
        &mut self,
        id: BoxId,
        urgency: Urgency,
        whose: Whose,
        now: Timestamp,
        rng: &mut Rng,
    ) {
        self.idle_until = Timestamp::ZERO;
        // Followed again when one before it has arrived, in order or not.
        // Whose it is was said when it was first followed: a decoy that is given up has commands under way.
        let Whose { is_decoy, talk, goes_on, lasting } = whose;
        let is_decoy = self.decoys.contains_key(&id) || is_decoy && !self.own.contains_key(&id);
        let boxes = if is_decoy { &mut self.decoys } else { &mut self.own };
        let again = boxes.contains_key(&id);
        let followed = boxes.entry(id).or_insert_with(|| Followed {
            urgency,
            lane_heard: Timestamp::ZERO,
            looks: 0,
            early_at: Timestamp::ZERO,
            is_first: false,
            overdue: None,
            overdue_looks: 0,
            suspect: false,
            doubted: false,
            turn: rng.next_u32(),
            talk,
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
            (followed.lane_heard, followed.looks, followed.is_first) = (now, 0, false);
        } else if goes_on && urgency == Urgency::Active(0) {
            // Of the lane of new keys. Something may be there already.
            (followed.lane_heard, followed.is_first) = (now, true);
        }
        if urgency == Urgency::Overdue {
            followed.overdue.get_or_insert(now);
        }
        if urgency == Urgency::Active(0) {
            followed.suspect |= talk.is_some_and(|talk| self.found_in.remove(&talk));
        }
        followed.due = match urgency {
            Urgency::Ahead(places) if places >= NEXT => None,
            // It has been written: to be told when it is, is too late.
            Urgency::Overdue => None,
            _ if goes_on => {
                let quiet = drawn(rng);
                let before = lasting.map_or(Timestamp::ZERO, |until| until - quiet);
                Some(before.max(now + quiet))
            }
            Urgency::Active(_) | Urgency::Resting | Urgency::Seldom => Some(Timestamp::ZERO),
            Urgency::Ahead(_) => {
                let drawn = now + NEXT_WITHIN.mul_f64(random::unit(rng));
                Some(followed.due.unwrap_or(drawn))
            }
        };
    }

    /// The writers in these talks have no tickets any more.
    pub(crate) fn uncover(&mut self, talks: &BTreeSet<Talk>) {
        if talks.is_empty() {
            return;
        }
        for (_, followed) in self.all_mut() {
            let is_one = followed.talk.is_some_and(|talk| talks.contains(&talk));
            followed.due = followed.due.map(|due| if is_one { Timestamp::ZERO } else { due });
        }
    }

    /// The writers in these talks have lost some tickets, by which something may have been told already: what is awaited next is looked at.
    /// And what is written there later may be told by those: they are registered as after a talk without any.
    pub(crate) fn suspect(&mut self, talks: &BTreeSet<Talk>, now: Timestamp, rng: &mut Rng) {
        if talks.is_empty() {
            return;
        }
        for (_, followed) in self.all_mut() {
            if followed.talk.is_some_and(|talk| talks.contains(&talk)) {
                let is_next = followed.urgency == Urgency::Active(0);
                followed.suspect |= is_next;
                followed.doubted |= is_next;
                let quiet = now + drawn(rng);
                followed.due = followed.due.map(|due| due.min(quiet));
            }
        }
    }

    /// After which time, in periods of the rotation, the present registration of a box is to be renewed.
    pub(crate) fn renewal(rng: &mut Rng) -> f64 {
        EARLIEST_RENEWAL + 2.0 * (1.0 - EARLIEST_RENEWAL) * random::unit(rng)
    }

    /// It has arrived; in whose talk, if it was followed. If it was what may have been lost, what comes next may be too.
    pub(crate) fn arrived(&mut self, id: &BoxId) -> Option<Option<Talk>> {
        if self.get(id).is_some_and(|followed| followed.doubted) {
            self.found(id);
        }
        self.remove(id)
    }

    /// It is followed no more; in whose talk it was, if it was.
    pub(crate) fn remove(&mut self, id: &BoxId) -> Option<Option<Talk>> {
        let followed = self.own.remove(id).or_else(|| self.decoys.remove(id));
        followed.map(|followed| followed.talk)
    }

    /// Whether a store has promised to deliver it.
    pub(crate) fn is_promised(&self, id: &BoxId, now: Timestamp) -> bool {
        self.get(id).is_some_and(|followed| followed.stands(now))
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
        // Also in a talk, or decoys would come and go with it.
        let is_next = |f: &&Followed| f.is_due(now) || f.due.is_some() && f.talk.is_some();
        self.own.values().filter(is_next).count()
    }

    /// What is to be registered next; this is asked in each slot. Boxes that are due since the same moment come in random
    /// order, another one each time: stores see neither which are of one lane nor which are of one client.
    pub(crate) fn next(&mut self, now: Timestamp, slot: u64, capacity: usize) -> Next {
        if now >= self.idle_until {
            self.idle_until = self.earliest(now);
        }
        if now < self.idle_until {
            Next { new: None, due: None }
        } else {
            self.first(now, slot, capacity)
        }
    }

    /// When the next box is to be registered or registered anew by the time alone; not after `now` if one is already.
    fn earliest(&self, now: Timestamp) -> Timestamp {
        let mut earliest = Timestamp::MAX;
        for (_, followed) in self.all() {
            earliest = earliest.min(followed.wanted_from(now));
            if earliest <= now {
                break;
            }
        }
        earliest
    }

    fn first(&self, now: Timestamp, slot: u64, capacity: usize) -> Next {
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
            // The next box of a lane first: or its registration would lapse while others take their turns, and be made anew beyond the
            // rotation's share.
            let turn = (class > 1, followed.looked_at, followed.turn);
            if stands {
                if followed.standing.is_some_and(|standing| standing.renew_at <= now) {
                    renewal.offer(turn, id);
                }
                continue;
            }
            waiting[usize::from(class)].offer(turn, id);
            let urgency = (class, followed.due, followed.turn);
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

    /// The box to look at, and how urgently: one behind which others have arrived, or the next one of a lane in use when an item may just have
    /// been lost; then what may have been told to nobody ([`followed::LOOKS_AT_FIRST`]); then the next one of a lane that was talked in after
    /// [`followed::LOOK_AFTER_A_TALK`], or the next one of any lane after [`LOOK_AFTER`]. Any of them that was not waited for half as long as another: of
    /// the one that was waited for longest stores would see when the one before it came. Never one that others come before, for the same reason;
    /// and only for what `may` be looked at now.
    pub(crate) fn next_look(
        &self,
        now: Timestamp,
        doubt: impl Fn(Talk) -> Doubt,
        may: impl Fn(Need) -> bool,
        rng: &mut Rng,
    ) -> Option<(BoxId, Need)> {
        self.all()
            .filter(|(_, f)| !f.in_flight)
            .filter_map(|(id, f)| {
                let silent = f.silent(now);
                let need = match f.urgency {
                    _ if f.hurries(now) => Need::Lost,
                    _ if f.is_early(now, &doubt) => Need::Untold,
                    Urgency::Active(0) if f.was_talked_in(now) => {
                        (silent >= f.patience()).then_some(Need::Talk)?
                    }
                    Urgency::Active(0) | Urgency::Resting if silent >= LOOK_AFTER => Need::Rest,
                    _ => return None,
                };
                may(need).then(|| (need, silent.mul_f64(0.5 + random::unit(rng) / 2.0), id))
            })
            .max()
            .map(|(need, _, id)| (*id, need))
    }

    /// A look at it leaves.
    pub(crate) fn looked(&mut self, id: &BoxId, need: Need, now: Timestamp) {
        let Some(followed) = self.find(id) else { return };
        if need == Need::Untold {
            // What may have been lost is looked at all the same.
            (followed.looks, followed.early_at) = (followed.looks + 1, now);
            return;
        }
        followed.looked_at = now;
        followed.suspect = false;
        followed.overdue_looks += u32::from(followed.overdue.is_some());
    }

    /// A look has found nothing.
    pub(crate) fn empty(&mut self, id: &BoxId) {
        if let Some(followed) = self.find(id) {
            followed.doubted = false;
        }
    }

    /// A registration leaves; gives its number. If the read set is full, another box makes room: it is no
    /// longer renewed, and what a store still delivers for it is as welcome as before.
    pub(crate) fn registering(
        &mut self,
        id: &BoxId,
        now: Timestamp,
        capacity: usize,
        rng: &mut Rng,
    ) -> u32 {
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
        followed.turn = rng.next_u32();
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
        // Its store has said that it is not there.
        (followed.suspect, followed.doubted) = (false, false);
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

    /// A collect that was sent then had no answer: an item may have gone with it. Only what is awaited next is looked at for that; if it
    /// is found, what comes after it too.
    pub(crate) fn collect_lost(&mut self, sent: Timestamp) {
        for (_, followed) in self.all_mut() {
            // Of what nothing was ever asked about nothing is lost, but in a talk, by a ticket.
            let by_ticket = followed.talk.is_some() && followed.lane_heard > Timestamp::ZERO;
            let was_told = followed.looked_at > Timestamp::ZERO || by_ticket;
            let is_next = followed.urgency == Urgency::Active(0);
            let is_doubted = is_next && was_told && followed.looked_at <= sent;
            followed.suspect |= is_doubted;
            followed.doubted |= is_doubted;
        }
    }

    /// This box was there, and of that nothing was told. (Of what lies behind one that was overdue something was.)
    pub(crate) fn found(&mut self, id: &BoxId) {
        let found = self.get(id).filter(|followed| followed.urgency != Urgency::Overdue);
        let talk = found.and_then(|followed| followed.talk);
        self.found_in.extend(talk);
        if self.found_in.len() > MAX_FOUND {
            self.found_in.pop_first();
        }
    }

    /// Nothing that is in flight will be answered any more.
    pub(crate) fn all_unanswered(&mut self) {
        for (_, followed) in self.all_mut() {
            followed.in_flight = false;
        }
    }

    /// Registrations for which this does not hold are as good as gone: the boxes are due, all since the same moment.
    pub(crate) fn retain_standing(&mut self, keep: impl Fn(&Standing) -> bool) {
        for (_, followed) in self.all_mut() {
            let gone = followed.standing.take_if(|standing| !keep(standing));
            followed.due =
                followed.due.map(|due| if gone.is_some() { Timestamp::ZERO } else { due });
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
        for (id, followed) in self.all_mut() {
            if is_gone(id, followed) {
                followed.standing = None;
                followed.not_before_slot = slot + random::index(rng, 2 * count) as u64;
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = (&BoxId, &Followed)> {
        self.own.iter().chain(&self.decoys)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = (&BoxId, &mut Followed)> {
        self.idle_until = Timestamp::ZERO;
        self.own.iter_mut().chain(&mut self.decoys)
    }

    fn get(&self, id: &BoxId) -> Option<&Followed> {
        self.own.get(id).or_else(|| self.decoys.get(id))
    }

    fn get_mut(&mut self, id: &BoxId) -> Option<&mut Followed> {
        self.idle_until = Timestamp::ZERO;
        self.find(id)
    }

    /// For what does not change when it is to be registered.
    fn find(&mut self, id: &BoxId) -> Option<&mut Followed> {
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
    /// Boxes of decoys: all that are followed, or those that stand registered at a time.
    pub(crate) fn decoys(&self, standing: Option<Timestamp>) -> std::collections::BTreeSet<BoxId> {
        let these = |followed: &Followed| standing.is_none_or(|now| followed.stands(now));
        self.decoys.iter().filter(|(_, followed)| these(followed)).map(|(id, _)| *id).collect()
    }

    pub(crate) fn registered_over(&self, mix: &NodeId, now: Timestamp) -> (usize, usize) {
        let standing = self.all().filter(|(_, followed)| followed.stands(now));
        let all: Vec<_> = standing.filter_map(|(_, followed)| followed.standing).collect();
        let over = all.iter().filter(|standing| standing.needs(&[*mix])).count();
        (all.len(), over)
    }
}

/// For how long nothing more has to have come after a talk before what comes next is registered.
fn drawn(rng: &mut Rng) -> Duration {
    let (least, most) = QUIET;
    least + (most - least).mul_f64(random::unit(rng))
}
