//! What is going to happen, in the order of time; what is planned for one moment, in the order of planning.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use xchat_base::Timestamp;

/// Events by time. The heap holds places, not events: events are large, and a heap moves what it holds.
///
/// Nothing is ever taken back. Who has planned something else meanwhile knows by what it planned last, and
/// lets the old one pass.
pub(crate) struct Agenda<T> {
    order: BinaryHeap<Reverse<(Timestamp, u64, u32)>>,
    events: Vec<Option<T>>,
    free: Vec<u32>,
    planned: u64,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self { order: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), planned: 0 }
    }

    pub(crate) fn plan(&mut self, at: Timestamp, event: T) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            u32::try_from(self.events.len() - 1).expect("fewer than four billion events at once")
        });
        self.events[place as usize] = Some(event);
        self.order.push(Reverse((at, self.planned, place)));
        self.planned += 1;
    }

    /// The next event, if its time is not after `until`.
    pub(crate) fn next(&mut self, until: Timestamp) -> Option<(Timestamp, T)> {
        let Reverse((at, _, place)) = *self.order.peek()?;
        if at > until {
            return None;
        }
        self.order.pop();
        self.free.push(place);
        self.events[place as usize].take().map(|event| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_the_order_of_time_and_then_of_planning() {
        let mut agenda = Agenda::new();
        for (at, what) in [(3, 'd'), (1, 'a'), (2, 'b'), (2, 'c')] {
            agenda.plan(Timestamp::from_secs(at), what);
        }
        assert_eq!(agenda.next(Timestamp::ZERO), None);
        let mut seen = Vec::new();
        while let Some((at, what)) = agenda.next(Timestamp::from_secs(2)) {
            seen.push((at.as_secs(), what));
        }
        assert_eq!(seen, [(1, 'a'), (2, 'b'), (2, 'c')]);
        assert_eq!(agenda.next(Timestamp::MAX), Some((Timestamp::from_secs(3), 'd')));
    }

    #[test]
    fn places_are_used_again() {
        let mut agenda = Agenda::new();
        for second in 0..1_000 {
            agenda.plan(Timestamp::from_secs(second), second);
            agenda.plan(Timestamp::from_secs(second), second);
            assert!(agenda.next(Timestamp::MAX).is_some());
            assert!(agenda.next(Timestamp::MAX).is_some());
        }
        assert_eq!(agenda.events.len(), 2);
    }
}
