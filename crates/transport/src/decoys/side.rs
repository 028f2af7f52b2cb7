//! One of the two people of a decoy: what it has said, and what the other one is known to have of it (spec 04, 4.7 and 4.8).

use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xchat_base::{Rng, Timestamp, random};
use xchat_pigeonhole::{BoxId, Dated, Handed, Ticket};

use super::lane::DecoyLane;

/// A ticket that is over before this is not used: the box is under way for some time.
const USED_FOR: Duration = Duration::from_secs(60);

/// Tickets that one side holds, at most.
const MOST_HELD: usize = 16;

/// How often the commit lane is looked at although nothing points there.
pub(super) const CHECK_PERIOD: Duration = Duration::from_secs(12 * 3600);

/// When it is looked at again after that, as a conversation does.
pub(super) fn check_after(rng: &mut Rng) -> Duration {
    CHECK_PERIOD.mul_f64(0.5 + random::unit(rng))
}

/// What is in a box.
#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) text: bool,
    pub(super) receipt: bool,
    /// That the epoch has ended.
    pub(super) marker: bool,
    /// For the other one, once the box is on its way.
    pub(super) tickets: Option<Handed>,
}

/// One of the two.
#[derive(Serialize, Deserialize)]
pub(super) struct Side {
    /// The next box to be written, and what is in those that the other has not read.
    pub(super) writing: DecoyLane,
    pub(super) written: BTreeMap<u64, Content>,
    /// Boxes that are written and not acknowledged, by place: the lane as it was there.
    pub(super) under_way: BTreeMap<u64, DecoyLane>,
    /// A look at the commit lane is under way, and what it is to confirm: boxes before this place.
    #[serde(skip)]
    pub(super) look: Option<u64>,
    /// Another look is wanted after it.
    #[serde(skip)]
    pub(super) look_again: bool,
    /// Boxes before this place will be read by whoever ends the epoch: a look that came back empty began after they were
    /// acknowledged.
    pub(super) confirmed: u64,
    /// The places of the last text and the last receipt of this epoch.
    pub(super) last_text: Option<u64>,
    pub(super) last_receipt: Option<u64>,
    /// Texts and receipts that wait for a box.
    pub(super) texts: usize,
    pub(super) receipts: usize,
    /// The tickets of those under way: what is written again has the same.
    pub(super) told: BTreeMap<u64, Ticket>,
    /// What the other one has handed to this one, the last that came last.
    pub(super) held: Vec<Dated>,
    pub(super) receipt_due: Option<Timestamp>,
    pub(super) receipted_at: Timestamp,
    #[serde(skip)]
    pub(super) proof_due: Option<Timestamp>,
    /// The other one's lane, at the first box that has not arrived.
    pub(super) reading: DecoyLane,
    /// Boxes of it that are followed and have not arrived, by place.
    #[serde(skip)]
    pub(super) standing: BTreeMap<u64, BoxId>,
    /// The same lane at the first box that was never followed.
    pub(super) followed: DecoyLane,
    pub(super) last_activity: Option<Timestamp>,
    /// When the commit lane is looked at next although nothing points there.
    pub(super) next_check: Timestamp,
}

impl Side {
    /// One who has said nothing yet, writes the one lane and reads the other.
    pub(super) fn new(writing: &DecoyLane, reading: &DecoyLane, next_check: Timestamp) -> Self {
        Self {
            writing: writing.clone(),
            written: BTreeMap::new(),
            under_way: BTreeMap::new(),
            look: None,
            look_again: false,
            confirmed: 0,
            last_text: None,
            last_receipt: None,
            texts: 0,
            receipts: 0,
            told: BTreeMap::new(),
            held: Vec::new(),
            receipt_due: None,
            receipted_at: Timestamp::ZERO,
            proof_due: None,
            reading: reading.clone(),
            standing: BTreeMap::new(),
            followed: reading.clone(),
            last_activity: None,
            next_check,
        }
    }

    /// The receipt that is due goes into the next box.
    pub(super) fn receipt(&mut self, now: Timestamp) {
        self.receipt_due = None;
        self.receipted_at = now;
        self.receipts += 1;
    }

    /// With the box at this place go tickets for the other one, if it was sealed just now.
    pub(super) fn hand(&mut self, place: u64, hand_out: impl FnOnce() -> Handed) {
        if let Some(content @ Content { tickets: None, .. }) = self.written.get_mut(&place) {
            content.tickets = Some(hand_out());
        }
    }

    /// The other one has handed these to this one.
    pub(super) fn hold(&mut self, Handed { only, tickets }: Handed) {
        if only && !tickets.is_empty() {
            self.held.clear();
        }
        self.held.extend(tickets);
        let too_many = self.held.len().saturating_sub(MOST_HELD);
        self.held.drain(..too_many);
    }

    /// One for the box at this place of its lane, or for another: the one that it had before, or the last that came.
    pub(super) fn take_ticket(&mut self, place: Option<u64>, now: Timestamp) -> Option<Ticket> {
        if let Some(ticket) = place.and_then(|place| self.told.get(&place)) {
            return Some(ticket.clone());
        }
        self.held.retain(|dated| dated.until > now + USED_FOR);
        let ticket = self.held.pop()?.ticket;
        self.told.extend(place.map(|place| (place, ticket.clone())));
        Some(ticket)
    }

    /// The first of the boxes that are not acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.under_way.keys().next().copied().unwrap_or(self.writing.index())
    }

    /// The other one's receipt: what it has read is confirmed by it.
    pub(super) fn receipted(&mut self) {
        let is_read = |place: &mut u64| !self.written.contains_key(place);
        self.last_text.take_if(is_read);
        self.last_receipt.take_if(is_read);
    }

    /// What is not confirmed when the epoch ends is said again. Of what was read already the reader takes no notice.
    pub(super) fn unseal(&mut self) {
        let confirmed = self.confirmed;
        let is_lost = |place: &u64| *place >= confirmed;
        let text = self.last_text.take().filter(is_lost);
        let unread = text.is_some_and(|place| self.written.contains_key(&place));
        let other = text.or(self.last_receipt.take().filter(is_lost));
        if unread {
            self.texts += 1;
        } else if other.is_some() {
            self.receipts += 1;
        }
        self.last_receipt = None;
        self.written.clear();
        self.under_way.clear();
        self.told.clear();
        (self.look, self.look_again, self.confirmed) = (None, false, 0);
    }
}
