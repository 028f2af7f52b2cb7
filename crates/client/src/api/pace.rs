//! What a pace means, for somebody who chooses one.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use xchat_transport::directory::Parameters;
use xchat_transport::sphinx::pace::bytes_per_month;
use xchat_transport::{Pace, usual_message_time};

/// One of the paces, and what it costs and gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct PaceChoice {
    /// `fast`, `desk`, `phone` or `thrift`.
    pub name: String,
    /// Packets a second: the pace's, or what the network fixes for all.
    pub packets_per_second: f64,
    /// Bytes in a month of thirty days always online, each way.
    pub bytes_per_month: u64,
    /// Half of all messages take no longer than this, while both sides are online at this pace; somewhat longer where both
    /// say much.
    pub message_seconds: f64,
}

/// The mean delay of a mix in a network that is not known yet: the shortest that the network draws.
const USUAL_MIX_DELAY: Duration = Duration::from_millis(50);

impl PaceChoice {
    /// Each pace, fastest first, in a network with these parameters.
    pub(crate) fn all(parameters: &Parameters) -> Vec<Self> {
        let of = |pace: Pace| {
            let gap = parameters.mean_gap(pace.mean_gap());
            Self {
                name: pace.name().to_owned(),
                packets_per_second: 1.0 / gap.as_secs_f64(),
                bytes_per_month: bytes_per_month(gap),
                message_seconds: message_seconds(pace, parameters),
            }
        };
        Pace::ALL.into_iter().map(of).collect()
    }

    /// Each pace, fastest first, where no network is known yet.
    pub fn usual() -> Vec<Self> {
        Self::all(&Parameters { mix_delay: USUAL_MIX_DELAY, ..Parameters::default() })
    }
}

/// The time that half of all messages take at most while both sides are online at this pace, in seconds, to a tenth.
pub(crate) fn message_seconds(pace: Pace, parameters: &Parameters) -> f64 {
    tenths(usual_message_time(pace, parameters).as_secs_f64())
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
    }

    #[test]
    fn longer_delays_at_the_mixes_take_longer() {
        let slow = Parameters { mix_delay: Duration::from_secs(1), ..Parameters::default() };
        let seconds = |parameters| message_seconds(Pace::Fast, parameters);
        assert!(seconds(&slow) > 9.0);
    }

    #[test]
    fn where_the_network_fixes_the_pace_all_are_one() {
        let parameters = Parameters { pace_override: Some(50_000), ..Parameters::default() };
        let fixed = PaceChoice::all(&parameters);
        assert!(fixed.iter().all(|choice| choice.packets_per_second == 50.0));
    }
}
