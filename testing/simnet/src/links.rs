//! How frames travel.

use std::time::Duration;

use xchat_base::Timestamp;
use xchat_base::random::{self, Rng};

/// What links do to frames. Real links are QUIC streams, reliable and in order; those between nodes may do worse
/// here, those of clients keep the order and lose nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Links {
    /// Shortest way.
    pub delay: Duration,
    /// Longest way between nodes is `delay + jitter`, uniform: frames overtake one another.
    pub jitter: Duration,
    /// Chance that a frame between nodes is lost, 0 to 1.
    pub loss: f64,
    /// Shortest way between a client and its gateway.
    pub client_delay: Duration,
    /// The longest one is longer by this, but for frames that wait for those before them.
    pub client_jitter: Duration,
}

impl Links {
    /// A quiet data centre.
    pub fn good() -> Self {
        let delay = Duration::from_millis(1);
        Self { delay, jitter: delay, loss: 0.0, client_delay: delay, client_jitter: Duration::ZERO }
    }

    /// Everything overtakes, and one frame in fifty is lost.
    pub fn bad() -> Self {
        let delay = Duration::from_millis(5);
        Self {
            delay,
            jitter: Duration::from_millis(200),
            loss: 0.02,
            client_delay: delay,
            client_jitter: Duration::ZERO,
        }
    }

    pub(crate) fn travel(&self, rng: &mut Rng) -> Option<Duration> {
        let lost = random::unit(rng) < self.loss;
        let way = self.delay + self.jitter.mul_f64(random::unit(rng));
        (!lost).then_some(way)
    }

    /// When a frame of a client's link arrives; `last` is when the one before it does.
    pub(crate) fn travel_in_order(
        &self,
        now: Timestamp,
        last: &mut Timestamp,
        rng: &mut Rng,
    ) -> Timestamp {
        let way = self.client_delay + self.client_jitter.mul_f64(random::unit(rng));
        *last = (*last).max(now + way);
        *last
    }
}
