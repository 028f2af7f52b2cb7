//! What all members of a network do alike.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Invalid;

/// The network's parameters. Durations are whole microseconds on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Mean of the exponential delay at each mix, drawn by the sender. Zero means no mixing: a
    /// pipeline for measurements. At most [`Parameters::MAX_MIX_DELAY`].
    #[serde(with = "micros")]
    pub mix_delay: Duration,
    /// Packets per 1,000 seconds for every client, whatever its pace: for local demonstrations and
    /// tests, where a network has no crowd to hide in. 1 to [`Parameters::MAX_PACE`].
    pub pace_override: Option<u32>,
    /// Share of a client's packets that are loops to itself, in percent; at most 50.
    pub loop_percent: u8,
    /// How long a standing read lasts at a store. It cannot outlive the hop keys of its delivery
    /// block, so it stays below half their overlap.
    #[serde(with = "micros")]
    pub registration_lifetime: Duration,
    /// How long a collector keeps a session that nobody collects from.
    #[serde(with = "micros")]
    pub collector_lifetime: Duration,
    /// How long a store keeps a box; at least [`Parameters::MIN_BOX_LIFETIME`].
    #[serde(with = "micros")]
    pub box_lifetime: Duration,
    /// How long a store remembers afterwards that there was one; at least
    /// [`Parameters::MIN_TOMBSTONE_LIFETIME`].
    #[serde(with = "micros")]
    pub tombstone_lifetime: Duration,
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
    /// For a network whose crowd is still small: the longest mixing delay that section "mixing" of
    /// the specification allows.
    fn default() -> Self {
        Self {
            mix_delay: Duration::from_secs(1),
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
    fn the_network_may_fix_the_rate() {
        let five = Duration::from_secs(5);
        let mut parameters = Parameters::default();
        assert_eq!(parameters.mean_gap(five), five);
        parameters.pace_override = Some(20_000);
        assert_eq!(parameters.mean_gap(five), Duration::from_millis(50));
    }
}
