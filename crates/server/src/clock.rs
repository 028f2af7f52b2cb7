//! The clock that drivers hand to cores.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use xchat_base::Timestamp;

/// The latest moment that this process has seen.
static LATEST: AtomicU64 = AtomicU64::new(0);

/// Now, by the system's clock, and never before what was returned earlier: a clock that is set back
/// stands still until it has caught up.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
    let before = LATEST.fetch_max(micros, Ordering::Relaxed);
    Timestamp::from_micros(before.max(micros))
}
