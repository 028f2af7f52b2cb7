//! The time that the cores are given.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use xchat_base::Timestamp;
use xchat_transport::directory::VerifiedDocument;

/// The system's clock may be ahead of ours by this much before we follow it. Smaller corrections
/// are left alone; a machine that has slept is further behind.
const TOLERANCE: Duration = Duration::from_secs(60);

/// The wall clock at the start plus the time since: it never runs backwards, and it jumps only to
/// catch up after the machine has slept. Where the system's clock is set back by more than the
/// tolerance, the cores are loaded anew with another clock: their timers lie in a future that is none.
pub(super) struct Clock {
    wall: Timestamp,
    since: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { wall: wall_clock(), since: Instant::now() }
    }

    pub(super) fn now(&mut self) -> Timestamp {
        let elapsed = self.since.elapsed();
        let (now, jumped) = follow(self.wall + elapsed, wall_clock());
        if jumped {
            *self = Self { wall: now, since: Instant::now() };
        }
        now
    }

    #[cfg(test)]
    pub(super) fn run_ahead(&mut self, by: std::time::Duration) {
        self.wall = self.wall + by;
    }

    /// Whether the system's clock was set back.
    pub(super) fn was_set_back(&self) -> bool {
        is_behind(self.wall + self.since.elapsed(), wall_clock())
    }
}

fn is_behind(ours: Timestamp, wall: Timestamp) -> bool {
    ours.since(wall) > TOLERANCE
}

/// What the network document says about the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClockState {
    /// It is within the document's time.
    Right,
    /// The document is for a later time, and was valid once: the clock is behind.
    Behind,
    /// The document is over: the device was off for long, or the clock is ahead. A newer document will
    /// tell.
    Unsure,
}

impl ClockState {
    pub(super) fn by(document: &VerifiedDocument, now: Timestamp) -> Self {
        if document.is_early(now) {
            Self::Behind
        } else if document.is_expired(now) {
            Self::Unsure
        } else {
            Self::Right
        }
    }
}

fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::ZERO + since_epoch
}

/// Our next time, and whether it is a jump.
fn follow(ours: Timestamp, wall: Timestamp) -> (Timestamp, bool) {
    if wall.since(ours) > TOLERANCE { (wall, true) } else { (ours, false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_a_clock_that_is_far_ahead_and_no_other() {
        let ours = Timestamp::from_secs(1_000);
        assert_eq!(follow(ours, Timestamp::from_secs(1_030)), (ours, false));
        assert_eq!(follow(ours, Timestamp::from_secs(10)), (ours, false));
        let after_sleep = Timestamp::from_secs(5_000);
        assert_eq!(follow(ours, after_sleep), (after_sleep, true));
    }

    #[test]
    fn it_notices_a_clock_that_is_set_back_and_no_small_correction() {
        let ours = Timestamp::from_secs(1_000_000);
        assert!(!is_behind(ours, Timestamp::from_secs(999_950)));
        assert!(!is_behind(ours, Timestamp::from_secs(2_000_000)));
        assert!(is_behind(ours, Timestamp::from_secs(999_900)));
        assert!(!Clock::start().was_set_back());
    }
}
