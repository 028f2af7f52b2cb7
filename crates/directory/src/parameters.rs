//! What all members of a network do alike.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Invalid;

/// The network's parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Encoded", into = "Encoded")]
pub struct Parameters {
    /// Mean of the exponential delay at each mix, drawn by the sender. Zero means no mixing: a
    /// pipeline for measurements. At most [`Parameters::MAX_MIX_DELAY`].
    pub mix_delay: Duration,
    /// Whether that follows from how much mixes have to do ([`Parameters::ruled_mix_delay`]). Where it does not, it says nothing of how
    /// many are there.
    pub mix_delay_by_rule: bool,
    /// Packets per 1,000 seconds for every client, whatever its pace: for local demonstrations and
    /// tests, where a network has no crowd to hide in. 1 to [`Parameters::MAX_PACE`].
    pub pace_override: Option<u32>,
    /// Share of a client's packets that are loops to itself, in percent; at most 50.
    pub loop_percent: u8,
    /// How long a standing read lasts at a store. It cannot outlive the hop keys of its delivery
    /// block, so it stays below half their overlap.
    pub registration_lifetime: Duration,
    /// How long a collector keeps a session that nobody collects from.
    pub collector_lifetime: Duration,
    /// How long a store keeps a box; at least [`Parameters::MIN_BOX_LIFETIME`].
    pub box_lifetime: Duration,
    /// How long a store remembers afterwards that there was one; at least
    /// [`Parameters::MIN_TOMBSTONE_LIFETIME`].
    pub tombstone_lifetime: Duration,
}

/// As they are in a document (spec 7.5). Durations are whole microseconds.
#[derive(Serialize, Deserialize)]
struct Encoded {
    #[serde(with = "micros")]
    mix_delay: Duration,
    pace_override: Option<u32>,
    /// The percentage, and whether the delay is by rule. So a document of before there was a rule reads as one that does not go by it.
    loops: u8,
    #[serde(with = "micros")]
    registration_lifetime: Duration,
    #[serde(with = "micros")]
    collector_lifetime: Duration,
    #[serde(with = "micros")]
    box_lifetime: Duration,
    #[serde(with = "micros")]
    tombstone_lifetime: Duration,
}

/// The bit that says so.
const BY_RULE: u8 = 0x80;

impl From<Encoded> for Parameters {
    fn from(encoded: Encoded) -> Self {
        Self {
            mix_delay: encoded.mix_delay,
            mix_delay_by_rule: encoded.loops & BY_RULE != 0,
            pace_override: encoded.pace_override,
            loop_percent: encoded.loops & !BY_RULE,
            registration_lifetime: encoded.registration_lifetime,
            collector_lifetime: encoded.collector_lifetime,
            box_lifetime: encoded.box_lifetime,
            tombstone_lifetime: encoded.tombstone_lifetime,
        }
    }
}

impl From<Parameters> for Encoded {
    fn from(parameters: Parameters) -> Self {
        // More than a hundred percent is refused before and after.
        let percent = parameters.loop_percent.min(BY_RULE - 1);
        Self {
            mix_delay: parameters.mix_delay,
            pace_override: parameters.pace_override,
            loops: percent | if parameters.mix_delay_by_rule { BY_RULE } else { 0 },
            registration_lifetime: parameters.registration_lifetime,
            collector_lifetime: parameters.collector_lifetime,
            box_lifetime: parameters.box_lifetime,
            tombstone_lifetime: parameters.tombstone_lifetime,
        }
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Parameters {
    /// Above this a mix would hold packets longer than people wait for an answer.
    pub const MAX_MIX_DELAY: Duration = Duration::from_secs(10);
    /// 1,000 packets a second: far above every pace, and still a number a mix survives.
    pub const MAX_PACE: u32 = 1_000_000;
    /// Below this boxes are gone before what waits for them has come through the mixes.
    pub const MIN_BOX_LIFETIME: Duration = HOUR;
    /// Below this a used box is empty again while writers still hold messages for it.
    pub const MIN_TOMBSTONE_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// What a mix holds on average by the rule for its delay.
    pub const HELD: u32 = 30;
    /// The ends of the rule.
    pub const RULED_MIX_DELAY: (Duration, Duration) =
        (Duration::from_millis(50), Duration::from_secs(1));

    /// The mean delay by rule: 30 divided by the packets a second that a mix gets, from 0.05 s to 1 s. What a mix gets is the
    /// median (the lower of two) of what mixes report, so that no minority of them moves it beyond what
    /// others say. Without reports, or where nothing comes: the longest.
    pub fn ruled_mix_delay(reports: &[f64]) -> Duration {
        let (shortest, longest) = Self::RULED_MIX_DELAY;
        let mut reports: Vec<f64> =
            reports.iter().copied().filter(|rate| rate.is_finite() && *rate >= 0.0).collect();
        reports.sort_by(f64::total_cmp);
        let median = reports.get(reports.len().saturating_sub(1) / 2).copied().unwrap_or(0.0);
        let by_rule = f64::from(Self::HELD) / median;
        if by_rule.is_finite() && by_rule < longest.as_secs_f64() {
            Duration::from_secs_f64(by_rule).max(shortest)
        } else {
            longest
        }
    }

    /// The mean time between two packets of a client whose pace has this one: the override wins.
    pub fn mean_gap(&self, of_pace: Duration) -> Duration {
        match self.pace_override {
            Some(per_1000_secs) => {
                Duration::from_secs_f64(1_000.0 / f64::from(per_1000_secs.max(1)))
            }
            None => of_pace,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let lifetimes = [
            self.registration_lifetime,
            self.collector_lifetime,
            self.box_lifetime,
            self.tombstone_lifetime,
        ];
        // Ten years: beyond it arithmetic on times is all that could go wrong.
        let sane = |span: &Duration| !span.is_zero() && *span <= 3_650 * DAY;
        if self.mix_delay > Self::MAX_MIX_DELAY
            || self.loop_percent > 50
            || self.pace_override.is_some_and(|pace| pace == 0 || pace > Self::MAX_PACE)
            || !lifetimes.iter().all(sane)
            || self.box_lifetime < Self::MIN_BOX_LIFETIME
            || self.tombstone_lifetime < Self::MIN_TOMBSTONE_LIFETIME
        {
            return Err(Invalid::Parameters);
        }
        Ok(())
    }
}

impl Default for Parameters {
    /// For a network whose crowd is still small: the longest mixing delay of the rule.
    fn default() -> Self {
        Self {
            mix_delay: Self::RULED_MIX_DELAY.1,
            mix_delay_by_rule: false,
            pace_override: None,
            loop_percent: 5,
            registration_lifetime: 2 * HOUR,
            collector_lifetime: 4 * HOUR,
            box_lifetime: 16 * DAY,
            tombstone_lifetime: 180 * DAY,
        }
    }
}

/// A [`Duration`] as whole microseconds.
mod micros {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_follows_the_median_of_what_mixes_report() {
        let millis = |reports: &[f64]| Parameters::ruled_mix_delay(reports).as_millis();
        assert_eq!(millis(&[]), 1_000);
        assert_eq!(millis(&[0.0, 0.0, 0.0]), 1_000);
        assert_eq!(millis(&[20.0, 20.0, 20.0]), 1_000);
        assert_eq!(millis(&[100.0, 110.0, 90.0]), 300);
        assert_eq!(millis(&[5_000.0, 6_000.0, 7_000.0]), 50);
        // A minority of liars stays without effect, whatever it says; of two the one that makes it longer counts.
        for lie in [0.0, 1e12, f64::INFINITY, f64::NAN, -5.0] {
            assert!((272..=334).contains(&millis(&[100.0, 110.0, 90.0, 95.0, lie])), "{lie}");
        }
        assert_eq!(millis(&[100.0, 1e9]), 300);
    }

    #[test]
    fn the_network_may_fix_the_rate() {
        let five = Duration::from_secs(5);
        let mut parameters = Parameters::default();
        assert_eq!(parameters.mean_gap(five), five);
        parameters.pace_override = Some(20_000);
        assert_eq!(parameters.mean_gap(five), Duration::from_millis(50));
    }
}
