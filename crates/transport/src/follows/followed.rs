//! One followed box: what is known of it, and when it is to be looked at.

use core::time::Duration;

use xchat_base::Timestamp;

use super::{LOOK_AFTER, Standing};
use crate::api::Urgency;
use crate::tickets::{Doubt, Talk};

/// And after a talk, before all others: a time from this to that after the one before it arrived, drawn for each box. Seldom sooner than
/// the next one comes, since only a box that comes next is ever looked at before it is written: by when it was looked at first
/// stores find the one before it.
pub(super) const LOOK_AFTER_A_TALK: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(140));

/// What was written without a ticket, because its writer had none yet or none any more, is told to nobody where it is not registered. So if what
/// came last was, what comes next is looked at so soon, and after twice that again, as often as its writer may take to have some; fewer times where
/// a registration may only have been sooner than a ticket.
pub(super) const LOOK_AT_FIRST: Duration = Duration::from_secs(3);
pub(super) const LOOKS_AT_FIRST: (u32, u32) = (2, 4);

/// And in the lane of new keys, whose writer has some as a rule, once after so long. By then what was written there at once has come: of two
/// people one has the new keys before the other, the two of a decoy have them together, and sooner more would be found there of decoys.
pub(super) const LOOK_AT_NEW_KEYS: Duration = Duration::from_secs(12);

/// Of a box behind which others have arrived the delivery is lost, if it does not come within the one; and it is looked at again after
/// the other, doubled each time.
pub(super) const OVERDUE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(4));

pub(super) struct Followed {
    pub(super) urgency: Urgency,
    /// When something last arrived in its lane, as far as that was said: at a start nothing has.
    pub(super) lane_heard: Timestamp,
    /// How often it was looked at since because it may have been told to nobody, and when last.
    pub(super) looks: u32,
    pub(super) early_at: Timestamp,
    /// It is the first one of its lane, which is new in a talk.
    pub(super) is_first: bool,
    /// Since when others behind it are known to be written, and how often it was looked at since: it may never be.
    pub(super) overdue: Option<Timestamp>,
    pub(super) overdue_looks: u32,
    /// Something may have been told of it in vain: it is to be looked at.
    pub(super) suspect: bool,
    /// The same of it or of what comes next, as long as no store has said that it was not there.
    pub(super) doubted: bool,
    /// Drawn anew for each registration: of boxes that are due since the same moment the lowest is registered first.
    pub(super) turn: u32,
    /// In whose talk it is awaited.
    pub(super) talk: Option<Talk>,
    /// Not registered before that; never, as long as it is too far ahead.
    pub(super) due: Option<Timestamp>,
    pub(super) standing: Option<Standing>,
    /// A registration is under way.
    pub(super) in_flight: bool,
    /// Registrations tried: chooses the replica, so that they rotate.
    pub(super) attempts: u32,
    pub(super) refused: u32,
    pub(super) not_before_slot: u64,
    /// When the last request about it was sent.
    pub(super) looked_at: Timestamp,
}

impl Followed {
    pub(super) fn stands(&self, now: Timestamp) -> bool {
        self.standing.is_some_and(|standing| standing.until > now)
    }

    pub(super) fn can_register(&self, now: Timestamp, slot: u64) -> bool {
        !self.in_flight && self.not_before_slot <= slot && self.is_due(now)
    }

    /// From when on it is to be registered, or registered anew, unless something becomes of it before.
    pub(super) fn wanted_from(&self, now: Timestamp) -> Timestamp {
        let stands = self.standing.filter(|standing| standing.until > now);
        let free = stands.map_or(Timestamp::ZERO, |standing| standing.renew_at.min(standing.until));
        match self.due {
            Some(due) if !self.in_flight => due.max(free),
            _ => Timestamp::MAX,
        }
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    pub(super) fn is_active(&self) -> bool {
        matches!(self.urgency, Urgency::Active(_) | Urgency::Overdue)
    }

    /// Not much longer ago than anybody is patient. Later it is looked at no more often than one at rest: by the looks before a box is
    /// written a store would see how soon people come back to each other, which is nobody's habit but theirs.
    pub(super) fn was_talked_in(&self, now: Timestamp) -> bool {
        self.is_active() && now.since(self.lane_heard) < LOOK_AFTER_A_TALK.1 * 5 / 4
    }

    /// For how long nothing has come in its lane and nothing was asked of it. Of what has been awaited in a talk alone, nothing was asked.
    pub(super) fn silent(&self, now: Timestamp) -> Duration {
        now.since(self.looked_at.max(self.lane_heard))
    }

    /// Whether it is known to be there, or may just have been lost.
    pub(super) fn hurries(&self, now: Timestamp) -> bool {
        let (late, again) = OVERDUE;
        if self.overdue.is_some_and(|since| now.since(since) >= late) {
            let again = (again * (1 << self.overdue_looks.min(8))).min(LOOK_AFTER);
            return now.since(self.looked_at) >= again;
        }
        self.suspect
    }

    /// Whether it may have been told to nobody, and was not looked at often enough for that.
    pub(super) fn is_early(&self, now: Timestamp, doubt: impl Fn(Talk) -> Doubt) -> bool {
        let is_next = self.urgency == Urgency::Active(0) && self.was_talked_in(now);
        let silent = self.silent(now).min(now.since(self.early_at));
        if !is_next || silent < LOOK_AT_FIRST || self.stands(now) {
            return false;
        }
        let (wanted, first) = match self.talk.map_or(Doubt::None, doubt) {
            Doubt::None => (u32::from(self.is_first), LOOK_AT_NEW_KEYS),
            Doubt::Some => (LOOKS_AT_FIRST.0, LOOK_AT_FIRST),
            Doubt::Great => (LOOKS_AT_FIRST.1, LOOK_AT_FIRST),
        };
        self.looks < wanted && silent >= first * (1 << self.looks)
    }

    /// For how long nothing has to have come before it is looked at in any case, where somebody talked.
    pub(super) fn patience(&self) -> Duration {
        let (least, most) = LOOK_AFTER_A_TALK;
        least + (most - least).mul_f64(f64::from(self.turn) / f64::from(u32::MAX))
    }

    /// The most urgent first.
    pub(super) fn class(&self) -> u8 {
        match self.urgency {
            Urgency::Active(_) | Urgency::Overdue => 0,
            Urgency::Resting => 1,
            Urgency::Ahead(_) | Urgency::Seldom => 2,
        }
    }
}
