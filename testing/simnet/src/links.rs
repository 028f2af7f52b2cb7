//! How frames travel.

use std::time::Duration;

use xchat_base::random::{self, Rng};

/// What links do to frames. Real links are QUIC streams, reliable and in order; these may do worse.
#[derive(Debug, Clone, Copy)]
pub struct Links {
    /// Shortest way.
    pub delay: Duration,
    /// Longest way is `delay + jitter`, uniform: frames overtake one another.
    pub jitter: Duration,
    /// Chance that a frame between nodes is lost, 0 to 1.
    pub loss: f64,
}

impl Links {
    /// A quiet data centre.
    pub fn good() -> Self {
        Self { delay: Duration::from_millis(1), jitter: Duration::from_millis(1), loss: 0.0 }
    }

    /// Everything overtakes, and one frame in fifty is lost.
    pub fn bad() -> Self {
        Self { delay: Duration::from_millis(5), jitter: Duration::from_millis(200), loss: 0.02 }
    }

    pub(crate) fn travel(&self, rng: &mut Rng) -> Option<Duration> {
        let lost = random::unit(rng) < self.loss;
        let way = self.delay + self.jitter.mul_f64(random::unit(rng));
        (!lost).then_some(way)
    }
}
