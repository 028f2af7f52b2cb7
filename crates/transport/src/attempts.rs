//! Attempts to get a session: which gateway is next, when, and what went wrong last.

use core::time::Duration;
use std::collections::BTreeMap;

use xchat_base::Timestamp;
use xchat_directory::NodeId;

use crate::guards::Guards;
use crate::status::Trouble;

/// The wait before the first new attempt; it doubles with every second one (once round the guards).
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait before a new attempt.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// A gateway that says when to come again is believed up to this.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// What is known since the last session.
#[derive(Default)]
pub(crate) struct Attempts {
    /// Attempts that failed.
    failed: u32,
    /// Of these, those whose gateway did not say when to come again.
    unexplained: u32,
    /// Gateways that said so; bounded by the guards.
    not_before: BTreeMap<NodeId, Timestamp>,
    trouble: Option<Trouble>,
}

impl Attempts {
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }

    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// There is a session.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// One failed; the wait before the next, of whichever gateway. `jitter` is uniform from 0.5 to 1.5.
    pub(crate) fn fail(
        &mut self,
        gateway: NodeId,
        trouble: Trouble,
        now: Timestamp,
        mut jitter: impl FnMut() -> f64,
    ) -> Duration {
        self.failed = self.failed.saturating_add(1);
        self.trouble = Some(trouble);
        match trouble {
            Trouble::Busy { retry_after } if !retry_after.is_zero() => {
                // Never earlier than it said, and not all who were told the same at once.
                let wait = retry_after.min(MAX_RETRY_AFTER).mul_f64(0.5 + jitter());
                self.not_before.insert(gateway, now + wait);
                RETRY_FIRST.mul_f64(jitter())
            }
            _ => {
                self.unexplained = self.unexplained.saturating_add(1);
                let doubled = RETRY_FIRST * (1 << (self.unexplained / 2).min(6));
                doubled.min(RETRY_MAX).mul_f64(jitter())
            }
        }
    }

    /// The wait before a new attempt after a session that worked.
    pub(crate) fn after_session(jitter: f64) -> Duration {
        RETRY_FIRST.mul_f64(jitter)
    }

    /// The gateway to try now, or when to ask again.
    pub(crate) fn next(&mut self, guards: &Guards, now: Timestamp) -> Result<NodeId, Timestamp> {
        self.not_before.retain(|gateway, until| *until > now && guards.contains(gateway));
        let not_before = &self.not_before;
        if let Some(gateway) = guards.choose(self.failed, |id| !not_before.contains_key(id)) {
            return Ok(gateway);
        }
        // Without gateways only a new document can help, and only the driver can bring one.
        Err(not_before.values().min().copied().unwrap_or(now + RETRY_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);
    const A: NodeId = NodeId::from_bytes([1; 32]);
    const B: NodeId = NodeId::from_bytes([2; 32]);

    fn busy(secs: u64) -> Trouble {
        Trouble::Busy { retry_after: Duration::from_secs(secs) }
    }

    #[test]
    fn a_busy_gateway_is_left_alone_for_as_long_as_it_said_and_the_other_tried_meanwhile() {
        let guards = Guards::new(vec![A, B]);
        let mut attempts = Attempts::default();
        assert_eq!(attempts.next(&guards, NOW), Ok(A));
        assert_eq!(attempts.fail(A, busy(20), NOW, || 0.5), Duration::from_millis(500));
        assert_eq!(attempts.next(&guards, NOW), Ok(B));
        attempts.fail(B, busy(10), NOW, || 0.5);
        let later = |secs| NOW + Duration::from_secs(secs);
        assert_eq!(attempts.next(&guards, NOW), Err(later(10)));
        assert_eq!(attempts.next(&guards, later(10)), Ok(B));
        assert_eq!(attempts.next(&guards, later(20)), Ok(A));
        // However long they are busy, the waits are those that they name.
        for _ in 0..100 {
            attempts.fail(A, busy(5), later(20), || 1.5);
        }
        assert_eq!(attempts.fail(A, busy(5), later(20), || 1.5), Duration::from_millis(1_500));
        assert_eq!(attempts.next(&guards, later(29)), Ok(B));
        assert_eq!(attempts.trouble(), Some(busy(5)));
    }

    #[test]
    fn nobody_is_told_to_stay_away_for_ever() {
        let guards = Guards::new(vec![A]);
        let mut attempts = Attempts::default();
        attempts.fail(A, busy(u64::from(u16::MAX)), NOW, || 1.5);
        let latest = NOW + MAX_RETRY_AFTER * 2;
        assert!(attempts.next(&guards, NOW).is_err_and(|at| at <= latest));
        assert_eq!(attempts.next(&guards, latest), Ok(A));
    }

    #[test]
    fn unexplained_failures_back_off_to_a_minute_and_take_turns() {
        let guards = Guards::new(vec![A, B]);
        let mut attempts = Attempts::default();
        let mut waits = Vec::new();
        for turn in 0..14 {
            assert_eq!(attempts.next(&guards, NOW), Ok(if turn % 2 == 0 { A } else { B }));
            waits.push(attempts.fail(A, Trouble::Unreachable, NOW, || 1.0).as_secs());
        }
        assert_eq!(waits, [1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32, 60, 60, 60]);
        assert_eq!((attempts.failed(), attempts.trouble()), (14, Some(Trouble::Unreachable)));
        attempts.succeeded();
        assert_eq!((attempts.failed(), attempts.trouble()), (0, None));
    }

    #[test]
    fn without_gateways_it_asks_again_later() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.next(&Guards::new(Vec::new()), NOW), Err(NOW + RETRY_MAX));
    }
}
