//! Metrics for Prometheus, over HTTP, where the operator wants them.
//!
//! They say what `node status` says, from the same source, and less of it. Whoever reads fine counters often
//! enough has a log of traffic, which a node must not keep: so counts are rounded, and what depends on
//! clients changes once in [`COARSE_EVERY`] ([`page`]). A request is answered from the page that lies ready; it
//! never reaches the core.

mod door;
mod page;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::control::{NodeStatus, Reporter};
use crate::error::NodeError;

/// How things stand with the node itself is asked so often: a scrape sees what is at most so old.
const FRESH_EVERY: Duration = Duration::from_secs(10);

/// What clients do shows in the numbers of one moment in every so long, and of no other: five minutes are far
/// longer than a message is on its way, and short enough to see a day's course.
const COARSE_EVERY: Duration = Duration::from_secs(300);

/// A core that does not say how it is for so long is stuck, and the page is not given out any more.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// What lies ready, and since when.
#[derive(Clone)]
struct Ready {
    text: Bytes,
    at: Instant,
}

/// The socket of the metrics.
pub(crate) struct Metrics {
    listener: TcpListener,
}

impl Metrics {
    /// Opens it.
    ///
    /// # Errors
    /// [`NodeError::Metrics`]: the address is taken, or not this machine's.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, NodeError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| NodeError::Metrics { address, source })?;
        if !address.ip().is_loopback() {
            tracing::warn!(
                "metrics can be read from other machines, by whoever reaches the address"
            );
        }
        Ok(Self { listener })
    }

    /// Answers until the core is gone.
    pub(crate) async fn serve(self, reporter: Reporter) {
        let (ready, shown) = watch::channel(None);
        tokio::select! {
            () = door::serve(self.listener, shown) => {}
            () = keep(reporter, ready) => {}
        }
    }
}

/// Keeps the page fresh.
async fn keep(reporter: Reporter, ready: watch::Sender<Option<Ready>>) {
    let mut ticks = interval(FRESH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sample = Sample::default();
    loop {
        ticks.tick().await;
        match timeout(STALE_AFTER, reporter.status()).await {
            Ok(Some(fresh)) => {
                let at = Instant::now();
                let text = Bytes::from(page::page(&fresh, sample.at(&fresh, at)));
                ready.send_replace(Some(Ready { text, at }));
            }
            Ok(None) => return,
            // Stuck: the page ages.
            Err(_) => {}
        }
    }
}

/// The status of the moment whose numbers are shown.
#[derive(Default)]
struct Sample {
    taken: Option<(Instant, NodeStatus)>,
}

impl Sample {
    /// What to show at a time.
    fn at(&mut self, fresh: &NodeStatus, now: Instant) -> &NodeStatus {
        let due = |(at, _): &(Instant, NodeStatus)| now.duration_since(*at) >= COARSE_EVERY;
        if self.taken.as_ref().is_none_or(due) {
            self.taken = None;
        }
        &self.taken.get_or_insert_with(|| (now, fresh.clone())).1
    }
}
