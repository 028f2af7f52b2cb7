//! The time that the cores are given.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use xchat_base::Timestamp;

/// The system's clock may be ahead of ours by this much before we follow it. Smaller corrections
/// are left alone; a machine that has slept is further behind.
const TOLERANCE: Duration = Duration::from_secs(60);

/// The wall clock at the start plus the time since: it never runs backwards, and it jumps only to
/// catch up after the machine has slept.
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
}
