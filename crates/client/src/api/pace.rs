//! What a pace means, for somebody who chooses one.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use xchat_transport::Pace;
use xchat_transport::sphinx::pace::bytes_per_month;

/// One of the paces, and what it costs and gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct PaceChoice {
    /// `fast`, `desk`, `phone` or `thrift`.
    pub name: String,
    /// Packets a second: the pace's, or what the network fixes for all.
    pub packets_per_second: f64,
    /// Bytes in a month of thirty days always online, each way.
    pub bytes_per_month: u64,
    /// About how long a message takes while both sides are online at this pace.
    pub message_seconds: f64,
}

/// Mixes that a message meets: three to the store, three to the collector, three and three for the
/// packet that collects it (`spec/08-client-stream.md`, 8.8).
const MIXES_ON_THE_WAY: u32 = 12;

/// The mean delay of a mix in a network that is not known yet: the shortest that the network draws.
const USUAL_MIX_DELAY: Duration = Duration::from_millis(50);

impl PaceChoice {
    /// Each pace, fastest first, in a network with this mean delay at each mix, which may fix one mean time
    /// between two packets for everybody.
    pub(crate) fn all(mix_delay: Option<Duration>, fixed_gap: Option<Duration>) -> Vec<Self> {
        let delay = mix_delay.unwrap_or(USUAL_MIX_DELAY) * MIXES_ON_THE_WAY;
        let of = |pace: Pace| {
            let gap = fixed_gap.unwrap_or(pace.mean_gap());
            let (write, collect) = waits(gap);
            Self {
                name: pace.name().to_owned(),
                packets_per_second: 1.0 / gap.as_secs_f64(),
                bytes_per_month: bytes_per_month(gap),
                message_seconds: tenths((write + collect + delay).as_secs_f64()),
            }
        };
        Pace::ALL.into_iter().map(of).collect()
    }

    /// Each pace, fastest first, where no network is known yet.
    pub fn usual() -> Vec<Self> {
        Self::all(None, None)
    }
}

/// How long a text waits for its slot, and then for the other side's to collect it: the table of
/// `spec/08-client-stream.md`, 8.8, which gets dearer where registrations take more of the slots.
fn waits(gap: Duration) -> (Duration, Duration) {
    let collect = if gap <= Duration::from_secs(2) { gap.mul_f64(1.2) } else { gap.mul_f64(1.5) };
    (gap, collect)
}

fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slower_pace_costs_less_and_takes_longer() {
        let all = PaceChoice::usual();
        assert_eq!(all.len(), Pace::ALL.len());
        for pair in all.windows(2) {
            assert!(pair[0].bytes_per_month > pair[1].bytes_per_month);
            assert!(pair[0].message_seconds < pair[1].message_seconds);
        }
        // Measured on the cores: medians of 1.0 s and 2.6 s, of which the means are a little more.
        assert_eq!((all[0].message_seconds, all[1].message_seconds), (1.2, 2.8));
    }

    #[test]
    fn where_the_network_fixes_the_pace_all_are_one() {
        let fixed = PaceChoice::all(None, Some(Duration::from_millis(20)));
        assert!(fixed.iter().all(|choice| choice.packets_per_second == 50.0));
    }
}
