//! What a pace means, for somebody who chooses one.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use xchat_transport::Pace;
use xchat_transport::directory::Parameters;
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
    /// Half of all messages take no longer than this, while both sides are online at this pace.
    pub message_seconds: f64,
}

/// Mixes that a message meets: three to the store, three to the collector, three and three for the
/// packet that collects it (`spec/08-client-stream.md`, 8.8).
const MIXES_ON_THE_WAY: u32 = 12;

/// The mean delay of a mix in a network that is not known yet: the shortest that the network draws.
const USUAL_MIX_DELAY: Duration = Duration::from_millis(50);

/// Half of the sums of two exponential times of about one length stay below this share of their mean.
const MEDIAN_OF_TWO: f64 = 0.84;

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

/// The time that half of all messages take at most while both sides are online at this pace: two waits for a slot and
/// the mixes on the way, in seconds, to a tenth.
pub(crate) fn message_seconds(pace: Pace, parameters: &Parameters) -> f64 {
    let (write, collect) = waits(parameters.mean_gap(pace.mean_gap()));
    let mixes = parameters.mix_delay * MIXES_ON_THE_WAY;
    tenths(MEDIAN_OF_TWO * (write + collect).as_secs_f64() + mixes.as_secs_f64())
}

/// How long a text waits for its slot, and then for the other side's to collect it, on average: the table of
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
    }

    #[test]
    fn what_is_promised_is_within_15_percent_of_what_the_cores_were_measured_at() {
        // The medians of spec/08-client-stream.md, 8.8.
        for (choice, measured) in PaceChoice::usual().into_iter().zip([0.97, 2.6]) {
            let off = choice.message_seconds / measured;
            assert!((0.85..=1.15).contains(&off), "{choice:?}: measured {measured} s");
        }
    }

    #[test]
    fn longer_delays_at_the_mixes_take_longer() {
        let slow = Parameters { mix_delay: Duration::from_secs(1), ..Parameters::default() };
        let seconds = |parameters| message_seconds(Pace::Fast, parameters);
        assert!(seconds(&slow) > 12.0);
    }

    #[test]
    fn where_the_network_fixes_the_pace_all_are_one() {
        let parameters = Parameters { pace_override: Some(50_000), ..Parameters::default() };
        let fixed = PaceChoice::all(&parameters);
        assert!(fixed.iter().all(|choice| choice.packets_per_second == 50.0));
    }
}
