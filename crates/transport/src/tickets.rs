//! Tickets: registrations for nothing in particular, made at the same rate whatever is said, and handed to whoever writes
//! to us. In a talk nothing else is registered, so that stores do not see by registrations which boxes follow one another,
//! nor which are of conversations (spec 08, 8.4).

#[cfg(test)]
mod tests;

use core::ops::Range;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use xchat_base::{Rng, Timestamp, random};
use xchat_directory::VerifiedDocument;
use xchat_pigeonhole::{BoxId, Dated, Handed, Tell, Ticket};

use crate::api::NEXT;
use crate::follows::Standing;
use crate::queue::backoff_slots;

/// Tickets that are registered in a period of the rotation, at most. Those that lie ready are many more than are used in the time in which
/// they become old: those that are used are then of any age, in a talk as in another.
pub(crate) const TICKETS: usize = 256;

/// With fewer than so many new ones are registered before everything that can wait.
const FEW: usize = 16;

/// With fewer than a quarter of them they are registered so many times as fast.
const HASTE: f64 = 2.0;

/// Handed out and not used, of one talk at most. Who begins to talk has some, and more as they are used.
const MOST: usize = 12;
const FIRST: usize = 5;

/// One that is over before this is not counted on: its writer's clock may be another, and what it is used for is under way for some time.
const COUNTED_FOR: Duration = Duration::from_secs(5 * 60);

/// Times that the other side is told are multiples of this.
const COARSE: Duration = Duration::from_secs(5 * 60);

/// A talk goes on for so long after something has come: then tickets stand for registrations.
const TALK: Duration = Duration::from_secs(180);

/// Who has written to us and has none gets some with what we answer; if not so soon, boxes are registered.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// So long after a start, or after everything was void, most writers have tickets that are good for nothing. Who has none that is known to be good is
/// not waited for then.
const UNSETTLED: Duration = Duration::from_secs(10 * 60);

/// What was used in a talk counts for so long after something has come.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Talks that are known, at most. Beyond it none is handed to others, which are served by registrations.
pub(crate) const MAX_TALKS: usize = 4_096;

/// To whom tickets are handed: whoever writes to the owner in a conversation, or in a decoy to its one or other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Talk {
    Own(u64),
    Decoy(u32, usize),
}

/// How something came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Ticket,
    /// A store had promised to deliver the box. It may have been told by a ticket too, which comes later.
    Registration,
    Other,
}

/// Whether what is written next in a talk may be told to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    None,
    /// What came last was registered, which may have been sooner than its ticket.
    Some,
    Great,
}

/// A ticket for which a store stands ready. It is handed out as long as there is enough left of its time.
struct Ready {
    ticket: Ticket,
    id: BoxId,
    standing: Standing,
}

/// One that was handed out and was not used, as far as is known.
struct Out {
    id: BoxId,
    standing: Standing,
    /// Counts those of its talk, from 1.
    number: u64,
    /// Its writer does not have it any more, or never had, as far as is known.
    is_spent: bool,
}

/// What one talk has.
#[derive(Default)]
struct Known {
    tickets: Vec<Out>,
    /// How many were handed out, the number of the one by which something came last, and the highest of such numbers.
    count: u64,
    last: u64,
    top: u64,
    /// Used since the talk began.
    used: usize,
    heard: Timestamp,
    /// What came last, if it came without one: its writer had none, or none that is good, or the other way was the shorter one.
    untold: Option<(BoxId, Way)>,
    /// Some that its writer may still have are good for nothing, until then; the highest number of those.
    void_until: Timestamp,
    void: u64,
    /// Something has come and there were none: if there are none then, boxes are registered.
    missed_at: Option<Timestamp>,
}

impl Out {
    fn counts(&self, now: Timestamp) -> bool {
        !self.is_spent && self.standing.until > now + COUNTED_FOR
    }
}

impl Known {
    fn counted(&self, now: Timestamp) -> usize {
        self.tickets.iter().filter(|out| out.counts(now)).count()
    }

    /// The one that its writer is sure to have and would use first. It uses the last that came first (04, 4.7): when one was used, those that were
    /// handed out before it were there, and still are.
    fn left(&self, now: Timestamp) -> Option<&Out> {
        self.tickets.iter().rev().find(|out| out.number < self.last && out.counts(now))
    }

    fn doubt(&self, now: Timestamp) -> Doubt {
        let is_void = |number: u64| self.void > number && self.void_until > now;
        let is_good = self.left(now).is_some_and(|out| !is_void(out.number));
        match self.untold {
            Some((_, Way::Other)) => Doubt::Great,
            Some(_) => Doubt::Some,
            None if is_good => Doubt::None,
            None => Doubt::Great,
        }
    }

    /// One was used, but which? If none is sure to have been there, some may be lost, or on their way to be used last.
    fn spend(&mut self, now: Timestamp) {
        let sure = self.left(now).map(|out| out.number);
        let mut others = self.tickets.iter_mut().filter(|out| out.counts(now));
        if let Some(used) = others.find(|out| sure.is_none_or(|number| out.number == number)) {
            used.is_spent = true;
        }
    }

    /// Its writer has none of these.
    fn give_up(&mut self, numbers: Range<u64>) {
        for out in self.tickets.iter_mut().filter(|out| numbers.contains(&out.number)) {
            out.is_spent = true;
        }
    }

    fn is_out(&self) -> bool {
        self.tickets.iter().all(|out| out.is_spent)
    }
}

/// All tickets of a client.
#[derive(Default)]
pub(crate) struct Tickets {
    ready: Vec<Ready>,
    asked: BTreeMap<BoxId, Ticket>,
    talks: BTreeMap<Talk, Known>,
    /// Whose each is that was handed out.
    owners: BTreeMap<BoxId, Talk>,
    /// Talks that have none any more, and those that have lost some.
    ended: BTreeSet<Talk>,
    lost: BTreeSet<Talk>,
    /// Refused in a row, and the slot before which none is registered therefore.
    refused: u32,
    not_before_slot: u64,
    unsettled_until: Timestamp,
}

impl Tickets {
    /// Whether there are fewer than there ought to be, and whether that is urgent.
    pub(crate) fn wanted(&self, most: usize, slot: u64) -> (bool, bool) {
        let count = self.ready.len() + self.asked.len();
        let may = slot >= self.not_before_slot;
        (may && count < most, may && count < FEW.min(most))
    }

    /// How much faster than usual they are registered: in a long talk before there are few, so that they become old in it too.
    pub(crate) fn haste(&self, most: usize) -> f64 {
        let count = self.ready.len() + self.asked.len();
        if count * 4 < most { HASTE } else { 1.0 }
    }

    /// A new one is to be registered.
    pub(crate) fn asking(&mut self, ticket: Ticket, id: BoxId) {
        self.asked.insert(id, ticket);
    }

    /// A store stands ready.
    pub(crate) fn registered(&mut self, id: &BoxId, standing: Standing) {
        self.refused = 0;
        let asked = self.asked.remove(id);
        self.ready.extend(asked.map(|ticket| Ready { ticket, id: *id, standing }));
    }

    /// It was not registered, as far as is known: another one will be.
    pub(crate) fn failed(&mut self, id: &BoxId) {
        self.asked.remove(id);
    }

    /// A store has refused one, or there is none that could be asked: another one is tried after some slots.
    pub(crate) fn refused(&mut self, id: Option<&BoxId>, slot: u64) {
        if let Some(id) = id {
            self.failed(id);
        }
        self.refused = self.refused.saturating_add(1);
        self.not_before_slot = slot + backoff_slots(self.refused);
    }

    /// Nothing that is asked for will be answered any more.
    pub(crate) fn all_failed(&mut self) {
        self.asked.clear();
    }

    /// Some for whoever writes in this talk, any of those that lie ready, so that stores see by none when it was handed out: as many as
    /// are missing to what the talk needs, at most so many. A writer that should have none forgets those that it has: they are void.
    pub(crate) fn hand_out(
        &mut self,
        talk: Talk,
        most: usize,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Handed {
        self.expire(now);
        let Some(handed) = self.talk(talk) else { return Handed::default() };
        let only = handed.counted(now) == 0;
        // Who forgets what it has has none that are void.
        if only {
            (handed.void_until, handed.void) = (Timestamp::ZERO, 0);
        }
        let wanted =
            (FIRST + 2 * handed.used).min(MOST).saturating_sub(handed.counted(now)).min(most);
        let mut dated = Vec::new();
        // Of one whose time is rounded down too little may be left.
        let lasts = |one: &Ready| coarse(one.standing.until) > now + COUNTED_FOR * 2;
        while dated.len() < wanted {
            let lasting: Vec<_> =
                (0..self.ready.len()).filter(|n| lasts(&self.ready[*n])).collect();
            let Some(&at) = lasting.get(random::index(rng, lasting.len())) else { break };
            let Ready { ticket, id, mut standing } = self.ready.swap_remove(at);
            standing.until = coarse(standing.until);
            self.owners.insert(id, talk);
            dated.push(Dated { ticket, until: standing.until });
            if let Some(known) = self.talks.get_mut(&talk) {
                known.count += 1;
                known.tickets.push(Out { id, standing, number: known.count, is_spent: false });
            }
        }
        Handed { only, tickets: dated }
    }

    /// This box has come in a talk, by a ticket or otherwise. Its writer has used one for it in any case, if there was one.
    pub(crate) fn heard(&mut self, talk: Talk, id: BoxId, by: Way, now: Timestamp) {
        let Some(handed) = self.talk(talk) else { return };
        let again = handed.untold.is_some();
        (handed.heard, handed.untold) = (now, (by != Way::Ticket).then_some((id, by)));
        if by != Way::Ticket {
            handed.spend(now);
        }
        if by == Way::Other && again {
            // It has none of those before one that it has used: what told it of them was sealed anew, or was lost.
            handed.give_up(0..handed.top);
        }
        if handed.counted(now) == 0 {
            handed.missed_at.get_or_insert(now + ANSWERED_WITHIN);
        }
    }

    /// Whether a talk goes on: what is written next in it is told of by a ticket, unless [`Self::take_ended`] says otherwise.
    pub(crate) fn goes_on(&self, talk: Talk, now: Timestamp) -> bool {
        self.talks.get(&talk).is_some_and(|handed| {
            let waits = now >= self.unsettled_until && !self.ready.is_empty();
            let some = handed.counted(now) > 0 || waits;
            some && now.since(handed.heard) < TALK
        })
    }

    /// Until when whoever writes in this talk can begin with tickets as with boxes that are registered; nothing, if there are too few for
    /// that, or it may not have them yet, or others that are void.
    pub(crate) fn lasting(&self, talk: Talk, now: Timestamp) -> Option<Timestamp> {
        let known = self.talks.get(&talk)?;
        if known.untold.is_some() || known.void_until > now {
            return None;
        }
        let good = known.tickets.iter().filter(|out| !out.is_spent);
        let mut untils: Vec<_> = good.map(|out| out.standing.until).collect();
        untils.sort_unstable_by(|one, other| other.cmp(one));
        untils.get(NEXT as usize - 1).copied().filter(|until| *until > now + COUNTED_FOR)
    }

    /// Whether its writer may have none now, or none that is good: what came last came without, or by the last of those that it is known to have.
    pub(crate) fn doubt(&self, talk: Talk, now: Timestamp) -> Doubt {
        self.talks.get(&talk).map_or(Doubt::Great, |handed| handed.doubt(now))
    }

    fn talk(&mut self, talk: Talk) -> Option<&mut Known> {
        let is_known = self.talks.contains_key(&talk);
        (is_known || self.talks.len() < MAX_TALKS).then(|| self.talks.entry(talk).or_default())
    }

    /// One was used, for this box.
    pub(crate) fn used(&mut self, id: &BoxId, boxed: BoxId) {
        let Some(talk) = self.owners.remove(id) else { return };
        let Some(handed) = self.talks.get_mut(&talk) else { return };
        let at = handed.tickets.iter().position(|out| out.id == *id);
        let Some(out) = at.map(|at| handed.tickets.remove(at)) else { return };
        handed.last = out.number;
        // It would have used these first.
        handed.give_up(out.number..handed.top);
        handed.top = handed.top.max(out.number);
        if out.number < handed.void {
            handed.void = 0;
        }
        // It came sooner by a registration.
        handed.untold.take_if(|(untold, _)| *untold == boxed);
        handed.used = (handed.used + 1).min(MOST);
        if handed.is_out() {
            self.ended.insert(talk);
        }
    }

    /// The talks that have come to have none since this was asked last: their boxes are to be registered.
    pub(crate) fn take_ended(&mut self, now: Timestamp) -> BTreeSet<Talk> {
        for (talk, handed) in &mut self.talks {
            if !handed.is_out() && handed.counted(now) == 0 {
                // What is left of them is not enough.
                self.ended.insert(*talk);
                for out in handed.tickets.drain(..) {
                    self.owners.remove(&out.id);
                }
            }
            if handed.missed_at.take_if(|at| *at <= now).is_some() && handed.counted(now) == 0 {
                self.ended.insert(*talk);
            }
        }
        core::mem::take(&mut self.ended)
    }

    /// The talks that have lost some since this was asked last: by those something may have been told already.
    pub(crate) fn take_lost(&mut self) -> BTreeSet<Talk> {
        core::mem::take(&mut self.lost)
    }

    /// The program has started, or everything that was handed out before is void.
    pub(crate) fn unsettle(&mut self, now: Timestamp) {
        self.unsettled_until = now + UNSETTLED;
    }

    /// Those for which this does not hold are good for nothing any more.
    pub(crate) fn retain(&mut self, keep: impl Fn(&BoxId, &Standing) -> bool) {
        self.ready.retain(|ready| keep(&ready.id, &ready.standing));
        for (talk, handed) in &mut self.talks {
            let mut has_lost = false;
            handed.tickets.retain(|Out { id, standing, number, is_spent }| {
                let kept = keep(id, standing);
                if !kept {
                    self.owners.remove(id);
                }
                if !kept && !is_spent {
                    has_lost = true;
                    handed.void_until = handed.void_until.max(standing.until);
                    handed.void = handed.void.max(*number);
                }
                kept
            });
            if has_lost {
                let talks = if handed.is_out() { &mut self.ended } else { &mut self.lost };
                talks.insert(*talk);
            }
        }
    }

    /// The same of those at whose stores a document says that nobody looks for them, or whose mixes it lists no more.
    pub(crate) fn follow_document(&mut self, document: &VerifiedDocument) {
        self.retain(|id, standing| {
            let first = document.replicas(id.as_bytes()).first().copied();
            first == Some(standing.store) && !standing.is_gone(id, document)
        });
    }

    /// Forgets what is over, or too old to be handed out, and talks of which nothing is left.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.ready.retain(|ready| ready.standing.renew_at > now);
        self.talks.retain(|_, handed| {
            let owners = &mut self.owners;
            handed.tickets.retain(|out| {
                let lasts = out.standing.until > now;
                if !lasts {
                    owners.remove(&out.id);
                }
                lasts
            });
            let goes_on = now.since(handed.heard) < REMEMBERED;
            handed.used = if goes_on { handed.used } else { 0 };
            goes_on || !handed.tickets.is_empty()
        });
    }
}

/// What the other side is told of the time until which one is good: by the minute it would see when each was made, and so when
/// this program started, and by those of two contacts that they know one person.
fn coarse(until: Timestamp) -> Timestamp {
    let step = COARSE.as_secs();
    Timestamp::from_secs(until.as_secs() / step * step)
}

/// A fresh one at a store that will be told of it, if that is not one of those that are to be avoided.
pub(crate) fn draw(
    document: &VerifiedDocument,
    is_avoided: impl Fn(&xchat_directory::NodeId) -> bool,
    rng: &mut Rng,
) -> Option<(Ticket, Tell, xchat_directory::NodeId)> {
    // Each time one store of several is hit.
    for _ in 0..16 {
        let ticket = Ticket::random(rng);
        let tell = ticket.tell();
        let store = document.replicas(tell.id.as_bytes()).first().copied()?;
        if !is_avoided(&store) {
            return Some((ticket, tell, store));
        }
    }
    None
}

#[cfg(test)]
impl Tickets {
    /// Those that lie ready.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }
}
