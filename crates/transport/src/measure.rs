//! Measurements: losses, round trips, counts.

use core::time::Duration;
use std::collections::VecDeque;

use xchat_base::Timestamp;

/// Recent packets and loops that count.
const WINDOW: usize = 128;
/// Before so many, a share says nothing.
const ENOUGH: usize = 8;
/// From this share of lost loops on, somebody drops or delays packets, and a person is told.
const ALARM: f64 = 0.25;

/// Booleans of the last [`WINDOW`] events.
#[derive(Default)]
struct Share(VecDeque<bool>);

impl Share {
    fn add(&mut self, lost: bool) {
        if self.0.len() >= WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(lost);
    }

    fn value(&self) -> Option<f64> {
        let lost = self.0.iter().filter(|lost| **lost).count();
        (self.0.len() >= ENOUGH).then(|| lost as f64 / self.0.len() as f64)
    }
}

/// What a transport measures of its own packets.
#[derive(Default)]
pub(crate) struct Measure {
    loops: Share,
    packets: Share,
    round_trips: VecDeque<Duration>,
    /// When anything at all was last answered.
    pub(crate) last_answer: Timestamp,
    /// When a store last refused because it had too much to do.
    busy_at: Option<Timestamp>,
    /// Answers that did not verify.
    pub(crate) refused_answers: u64,
    /// Packets emitted.
    pub(crate) emitted: u64,
    /// Slots that could not be filled.
    pub(crate) empty_slots: u64,
    pub(crate) late_slots: u64,
}

/// A refusal as busy is news for so long: longer than a refused operation waits at most paces.
const BUSY_FOR: Duration = Duration::from_secs(60);

impl Measure {
    /// A store had too much to do.
    pub(crate) fn busy(&mut self, now: Timestamp) {
        self.busy_at = Some(now);
    }

    /// Whether one had, lately.
    pub(crate) fn stores_are_busy(&self, now: Timestamp) -> bool {
        self.busy_at.is_some_and(|at| now.since(at) < BUSY_FOR)
    }

    pub(crate) fn lost(&mut self, is_loop: bool) {
        self.packets.add(true);
        if is_loop {
            self.loops.add(true);
        }
    }

    /// An answer came. A late one has been counted as lost: a node that delays is as bad as one that drops.
    pub(crate) fn answered(&mut self, is_loop: bool, late: bool, sent: Timestamp, now: Timestamp) {
        self.last_answer = now;
        if self.round_trips.len() >= WINDOW {
            self.round_trips.pop_front();
        }
        self.round_trips.push_back(now.since(sent));
        if late {
            return;
        }
        self.packets.add(false);
        if is_loop {
            self.loops.add(false);
        }
    }

    pub(crate) fn loop_loss(&self) -> Option<f64> {
        self.loops.value()
    }

    pub(crate) fn packet_loss(&self) -> Option<f64> {
        self.packets.value()
    }

    pub(crate) fn is_alarming(&self) -> bool {
        self.loop_loss().is_some_and(|share| share >= ALARM)
    }

    pub(crate) fn round_trip_ms(&self) -> Option<u64> {
        let mut all: Vec<_> = self.round_trips.iter().collect();
        all.sort_unstable();
        all.get(all.len() / 2).map(|median| u64::try_from(median.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
impl Measure {
    pub(crate) fn loops_seen(&self) -> usize {
        self.loops.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loop_loss_is_a_share_of_the_recent_ones_and_late_ones_are_lost() {
        let mut measure = Measure::default();
        for n in 0..WINDOW {
            assert_eq!(measure.loop_loss().is_some(), n >= ENOUGH);
            measure.answered(true, false, Timestamp::ZERO, Timestamp::from_millis(700));
        }
        assert_eq!((measure.loop_loss(), measure.round_trip_ms()), (Some(0.0), Some(700)));
        for _ in 0..WINDOW / 2 {
            measure.lost(true);
            measure.answered(true, true, Timestamp::ZERO, Timestamp::from_secs(9));
        }
        assert_eq!(measure.loop_loss(), Some(0.5));
        assert!(measure.is_alarming());
        assert_eq!(measure.packets.0.len(), WINDOW);
    }
}
