//! The delay queue of a mix: packets wait for the time their senders drew.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use xchat_base::Timestamp;

/// Packets that wait at once. A mix is meant to hold about 30 (the directory sets the mean delay so);
/// 8,192 packets of 2.4 KB are 20 MB, and more than a second of the fastest mix.
pub const MAX_DELAYED: usize = 8_192;

/// No packet waits longer than so many mean delays of the document. Honest senders cut their draws
/// there ([`xchat_base::random::exponential`]); whoever asks for more wants to park packets.
pub const MAX_DELAY_MEANS: u32 = 40;

/// [`MAX_DELAY_MEANS`] is not applied below this: a sender's document may be older than the mix's
/// and have a longer mean delay.
pub const MIN_DELAY_LIMIT: Duration = Duration::from_secs(10);

/// A packet this much after its time is dropped: its operation has been tried again, and a mix that was
/// suspended must not send all it held in one burst.
pub const MAX_LATENESS: Duration = Duration::from_secs(10);

/// Why a packet is not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotQueued {
    /// The sender asks for more than [`longest`].
    DelayTooLong,
    /// [`MAX_DELAYED`] packets wait already.
    Full,
}

/// The longest delay that a mix grants where the mean is `mean`.
pub(super) fn longest(mean: Duration) -> Duration {
    (mean * MAX_DELAY_MEANS).max(MIN_DELAY_LIMIT)
}

/// What comes out of the queue.
pub(super) enum Due<T> {
    /// Send it on.
    Now(T),
    /// More than [`MAX_LATENESS`] late.
    Late,
}

/// Items ordered by the moment they are due, those of one moment by arrival.
pub(super) struct DelayQueue<T> {
    order: BinaryHeap<Reverse<(Timestamp, u64)>>,
    items: BTreeMap<u64, T>,
    next: u64,
    bound: usize,
}

impl<T> DelayQueue<T> {
    pub(super) fn new(bound: usize) -> Self {
        Self { order: BinaryHeap::new(), items: BTreeMap::new(), next: 0, bound }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn push(
        &mut self,
        item: T,
        delay: Duration,
        mean: Duration,
        now: Timestamp,
    ) -> Result<(), NotQueued> {
        if delay > longest(mean) {
            return Err(NotQueued::DelayTooLong);
        }
        if self.items.len() >= self.bound {
            return Err(NotQueued::Full);
        }
        self.order.push(Reverse((now + delay, self.next)));
        self.items.insert(self.next, item);
        self.next += 1;
        Ok(())
    }

    /// When the next item is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.order.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes one item that is due.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Due<T>> {
        let due = self.next_due().filter(|due| *due <= now)?;
        let Reverse((_, number)) = self.order.pop()?;
        let item = self.items.remove(&number)?;
        Some(if now.since(due) > MAX_LATENESS { Due::Late } else { Due::Now(item) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000);
    const MEAN: Duration = Duration::from_millis(500);

    #[test]
    fn the_bounds_hold() {
        let longest = Duration::from_secs(20);
        let over = longest + Duration::from_micros(1);
        let mut queue = DelayQueue::new(2);
        assert_eq!(queue.push(0, over, MEAN, T0), Err(NotQueued::DelayTooLong));
        assert_eq!(queue.push(1, longest, MEAN, T0), Ok(()));
        assert_eq!(queue.push(2, MIN_DELAY_LIMIT, Duration::ZERO, T0), Ok(()));
        assert_eq!(queue.push(3, Duration::ZERO, MEAN, T0), Err(NotQueued::Full));
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn what_is_late_is_not_sent() {
        let mut queue = DelayQueue::new(2);
        queue.push(1, Duration::ZERO, MEAN, T0).expect("room");
        assert!(matches!(queue.pop_due(T0 + MAX_LATENESS), Some(Due::Now(1))));
        queue.push(2, Duration::ZERO, MEAN, T0).expect("room");
        let late = T0 + MAX_LATENESS + Duration::from_micros(1);
        assert!(matches!(queue.pop_due(late), Some(Due::Late)));
        assert_eq!(queue.len(), 0);
    }

    proptest! {
        #[test]
        fn items_come_out_at_their_time_in_order(delays in prop::collection::vec(0u64..5_000_000, 1..60)) {
            let mut queue = DelayQueue::new(MAX_DELAYED);
            for delay in &delays {
                queue.push(*delay, Duration::from_micros(*delay), MEAN, T0).expect("room");
            }
            let mut out = Vec::new();
            while let Some(due) = queue.next_due() {
                prop_assert!(queue.pop_due(due - Duration::from_micros(1)).is_none());
                if let Some(Due::Now(delay)) = queue.pop_due(due) {
                    prop_assert_eq!(T0 + Duration::from_micros(delay), due);
                    out.push(delay);
                }
            }
            let mut sorted = delays.clone();
            sorted.sort_unstable();
            prop_assert_eq!(out, sorted);
        }
    }
}
