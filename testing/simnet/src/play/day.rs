//! When a device is awake.

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use xchat_base::Timestamp;
use xchat_base::random::{self, Rng};

use super::draws;
use crate::scenario::{Days, Scenario};

const DAY: f64 = 86_400.0;

/// One client's device.
pub(super) struct Device {
    rng: ChaCha20Rng,
    days: Option<Days>,
    /// Midnight of the first day, which may lie before the run.
    midnight: Timestamp,
    /// Its owner's own hours.
    up_hour: f64,
    down_hour: f64,
    /// Days that are planned.
    planned: u32,
    awake: bool,
    /// When it turns from asleep to awake or back, in order, not before the run's beginning.
    turns: VecDeque<Timestamp>,
}

impl Device {
    pub(super) fn new(scenario: &Scenario, begin: Timestamp, mut rng: ChaCha20Rng) -> Self {
        let joins = begin + draws::seconds(scenario.clients.join_within_s * random::unit(&mut rng));
        let Some(days) = scenario.days.clone() else {
            return Self {
                rng,
                days: None,
                midnight: begin,
                up_hour: 0.0,
                down_hour: 0.0,
                planned: 0,
                awake: false,
                turns: [joins].into(),
            };
        };
        let own = |rng: &mut ChaCha20Rng, hour: f64| hour + draws::around(rng, days.spread_hours);
        let (up_hour, down_hour) = (own(&mut rng, days.up_hour), own(&mut rng, days.down_hour));
        let mut device = Self {
            rng,
            // A night that began on the day before may reach into the run.
            midnight: begin - draws::seconds(days.begins_hour * 3_600.0 + DAY),
            days: Some(days),
            up_hour,
            down_hour,
            planned: 0,
            awake: false,
            turns: VecDeque::new(),
        };
        // What lies before the run has happened; who is awake by then joins.
        loop {
            device.plan();
            while device.turns.front().is_some_and(|turn| *turn < begin) {
                device.turns.pop_front();
                device.awake = !device.awake;
            }
            if !device.turns.is_empty() {
                break;
            }
        }
        if std::mem::take(&mut device.awake) {
            // Who goes to sleep before joining joins with the next waking.
            if device.turns.front().is_some_and(|sleeps| *sleeps <= joins) {
                device.turns.pop_front();
            } else {
                device.turns.push_front(joins);
            }
        }
        device
    }

    /// When it turns next; never, if it has no days.
    pub(super) fn next(&mut self) -> Timestamp {
        if self.turns.is_empty() {
            self.plan();
        }
        self.turns.front().copied().unwrap_or(Timestamp::MAX)
    }

    /// It turns; whether it is awake now.
    pub(super) fn turn(&mut self) -> bool {
        self.turns.pop_front();
        self.awake = !self.awake;
        self.awake
    }

    /// Adds the turns of the next day: up, naps, down.
    fn plan(&mut self) {
        let Some(days) = &self.days else { return };
        let rng = &mut self.rng;
        let start = self.midnight + draws::seconds(DAY * f64::from(self.planned));
        self.planned += 1;
        let half = days.spread_hours / 2.0;
        let up = self.up_hour + draws::around(rng, half);
        let down = self.down_hour + draws::around(rng, half);
        // Bedtime may lie behind midnight.
        let down = if down <= up { down + 24.0 } else { down };
        let mut turns = vec![up * 3_600.0];
        let mut at = up * 3_600.0;
        loop {
            let to_next = nap_gap(rng, days.naps, (down - up) * 3_600.0);
            let nap = draws::spread(rng, &days.nap_minutes) * 60.0;
            // A minute at least between two turns.
            let (from, until) = (at + to_next.max(60.0), at + to_next.max(60.0) + nap.max(60.0));
            if until + 60.0 >= down * 3_600.0 {
                break;
            }
            turns.extend([from, until]);
            at = until;
        }
        turns.push(down * 3_600.0);
        self.turns.extend(turns.into_iter().map(|turn| start + draws::seconds(turn)));
    }
}

/// Seconds to the next nap, of so many a day.
fn nap_gap(rng: &mut Rng, naps: f64, day: f64) -> f64 {
    if naps == 0.0 {
        return f64::INFINITY;
    }
    random::exponential(rng, draws::seconds(day / naps)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn devices_sleep_at_night_and_turns_are_in_order() {
        let text = include_str!("../../scenarios/three-days.toml");
        let scenario = Scenario::from_toml(text).expect("a scenario");
        let begin = Timestamp::from_secs(1_800_000_000);
        let hour = |hours: f64| begin + draws::seconds((hours - 6.0) * 3_600.0);
        let mut naps = 0;
        for seed in 0..200 {
            let mut device = Device::new(&scenario, begin, ChaCha20Rng::seed_from_u64(seed));
            let mut last = begin;
            let mut awake_at = Vec::new();
            let mut from = begin;
            for _ in 0..200 {
                let at = device.next();
                assert!(at >= last, "{at:?} after {last:?}");
                last = at;
                if device.turn() {
                    from = at;
                } else {
                    awake_at.push((from, at));
                }
            }
            let is_awake = |at: Timestamp| awake_at.iter().any(|(f, u)| (*f..*u).contains(&at));
            // At three in the night of each of the first days everybody is asleep.
            assert!([3.0, 27.0, 51.0].iter().all(|night| !is_awake(hour(24.0 + night))));
            let day = awake_at.iter().filter(|(f, _)| (hour(24.0)..hour(48.0)).contains(f)).count();
            assert!(day >= 1);
            naps += day - 1;
        }
        let mean = naps as f64 / 200.0;
        // Naps do not run into the night, so a few of three are missing.
        assert!((2.0..3.2).contains(&mean), "{mean} naps a day");
    }

    #[test]
    fn without_days_a_device_joins_once_and_stays() {
        let text = include_str!("../../scenarios/desk-100.toml");
        let scenario = Scenario::from_toml(text).expect("a scenario");
        let begin = Timestamp::from_secs(1_800_000_000);
        let mut device = Device::new(&scenario, begin, ChaCha20Rng::seed_from_u64(1));
        assert!(device.next() <= begin + draws::seconds(60.0));
        assert!(device.turn());
        assert_eq!(device.next(), Timestamp::MAX);
    }
}
