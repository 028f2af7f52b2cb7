//! One rate for all attackers together, so that what is measured can be repeated.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Hands out moments, evenly spaced.
pub(crate) struct Beat {
    start: Instant,
    gap: Duration,
    next: AtomicU64,
    over: AtomicBool,
}

impl Beat {
    /// `rate` attempts a second, from now on.
    pub(crate) fn new(rate: u32) -> Self {
        let gap = Duration::from_secs(1) / rate.max(1);
        Self { start: Instant::now(), gap, next: AtomicU64::new(0), over: AtomicBool::new(false) }
    }

    /// Waits for the next moment; false once the attack is over. Who comes late does not wait, and
    /// what was missed while nobody came is made up for by at most a tenth of a second's worth.
    pub(crate) async fn next(&self) -> bool {
        let now = (Instant::now() - self.start).as_nanos() / self.gap.as_nanos();
        let behind = (Duration::from_millis(100).as_nanos() / self.gap.as_nanos()).max(1);
        let earliest = u64::try_from(now.saturating_sub(behind)).unwrap_or(u64::MAX);
        self.next.fetch_max(earliest, Ordering::Relaxed);
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let at = self.start + self.gap * u32::try_from(turn).unwrap_or(u32::MAX);
        sleep_until(at).await;
        !self.is_over()
    }

    /// The attack ends.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
