//! Tickets that the other side has handed to us, by which it is told of what we write (spec 08, 8.4).

use std::time::Duration;

use xchat_base::{Timestamp, Wire};
use xchat_pigeonhole::{Dated, Handed, Ticket};

use super::{Conversation, EpochGroup};
use crate::keys;
use crate::record::{MAX_HELD, Record, Tickets};
use crate::turn::Turn;

/// A ticket that is over before this is not used: the box is under way for some time.
const USED_FOR: Duration = Duration::from_secs(60);

/// Those that are not used, the last that came last; at most [`MAX_HELD`].
#[derive(Default)]
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) struct Held {
    tickets: Vec<Dated>,
    changed: bool,
}

impl Held {
    /// From what [`Conversation::save_held`] has kept. Who cannot read that does without.
    pub(super) fn from_stored(stored: Option<&[u8]>) -> Self {
        let tickets = stored.and_then(|bytes| Tickets::from_wire(bytes).ok());
        let handed = tickets.map(Tickets::handed).unwrap_or_default();
        Self { tickets: handed.tickets, changed: false }
    }

    /// One for the next box: the last that came, since those before may be of no use any more.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Ticket> {
        let before = self.tickets.len();
        self.tickets.retain(|dated| dated.until > now + USED_FOR);
        let taken = self.tickets.pop();
        self.changed |= self.tickets.len() < before;
        taken.map(|dated| dated.ticket)
    }

    fn all(&self) -> Handed {
        Handed { only: true, tickets: self.tickets.clone() }
    }

    fn add(&mut self, Handed { only, tickets }: Handed) {
        if only {
            self.tickets.clear();
        }
        self.tickets.extend(tickets);
        let too_many = self.tickets.len().saturating_sub(MAX_HELD);
        self.tickets.drain(..too_many);
        self.changed = true;
    }
}

impl<G: EpochGroup> Conversation<G> {
    /// The other side hands us some.
    pub(super) fn take_tickets(&mut self, record: &Record) {
        if let Ok(tickets) = Tickets::from_wire(&record.body) {
            self.held.add(tickets.handed());
        }
    }

    /// Keeps those that are left, if they are others than before: what is used twice is told once.
    pub(super) fn save_held(&mut self, turn: &mut Turn<'_>) {
        if std::mem::take(&mut self.held.changed) {
            turn.put_wire(keys::tickets(self.id), &Tickets::new(self.held.all()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(6_000);

    fn dated(n: u8, minutes: u64) -> Dated {
        Dated { ticket: Ticket::from_bytes([n; 16]), until: T0 + Duration::from_secs(60 * minutes) }
    }

    #[test]
    fn the_last_that_came_is_used_first_and_none_that_is_almost_over() {
        let mut held = Held::default();
        let more = |tickets| Handed { only: false, tickets };
        held.add(more((0..14).map(|n| dated(n, 30)).collect()));
        held.add(more((14..20).map(|n| dated(n, if n == 19 { 1 } else { 30 })).collect()));
        assert!(std::mem::take(&mut held.changed));
        assert_eq!(held.tickets.len(), MAX_HELD);
        assert_eq!(held.take(T0), Some(dated(18, 0).ticket));
        assert!(held.changed);
        let kept = Tickets::new(held.all()).to_wire();
        let mut again = Held::from_stored(Some(&kept));
        assert_eq!(again.take(T0), Some(dated(17, 0).ticket));
        assert_eq!(again.take(T0 + Duration::from_secs(29 * 60)), None);
        assert!(again.tickets.is_empty() && again.changed);
        // Who starts again has lost what it had to deliver by them.
        held.add(Handed { only: true, tickets: vec![dated(30, 30)] });
        assert_eq!(held.take(T0), Some(dated(30, 0).ticket));
        assert_eq!(held.take(T0), None);
        assert!(Held::from_stored(Some(b"rubbish")).tickets.is_empty());
        assert!(Held::from_stored(None).tickets.is_empty());
    }
}
