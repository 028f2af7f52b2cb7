//! Paces: how many packets a client emits, whatever its owner does.

use core::time::Duration;

use xchat_directory::Parameters;

/// The rate of a client's stream. It is the one choice that a gateway and an internet provider see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Pace {
    /// Four packets a second.
    Fast,
    /// One packet a second.
    #[default]
    Desk,
    /// One packet every five seconds.
    Phone,
    /// Two packets a minute.
    Thrift,
}

/// A month of thirty days.
const MONTH_SECS: f64 = 30.0 * 86_400.0;

/// What a packet takes on the link, each way, without the link's own headers.
const LINK_BYTES_PER_PACKET: f64 = 2_430.0;

impl Pace {
    /// All of them, fastest first.
    pub const ALL: [Self; 4] = [Self::Fast, Self::Desk, Self::Phone, Self::Thrift];

    /// Its name: `fast`, `desk`, `phone`, `thrift`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Desk => "desk",
            Self::Phone => "phone",
            Self::Thrift => "thrift",
        }
    }

    /// Reads what [`Self::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pace| pace.name() == name)
    }

    /// The mean time between two slots.
    pub const fn mean_gap(self) -> Duration {
        match self {
            Self::Fast => Duration::from_millis(250),
            Self::Desk => Duration::from_secs(1),
            Self::Phone => Duration::from_secs(5),
            Self::Thrift => Duration::from_secs(30),
        }
    }

    /// The mean time between two slots on this network: the document's override wins.
    pub fn mean_gap_on(self, parameters: &Parameters) -> Duration {
        match parameters.pace_override {
            Some(per_1000_secs) => {
                Duration::from_secs_f64(1_000.0 / f64::from(per_1000_secs.max(1)))
            }
            None => self.mean_gap(),
        }
    }

    /// Slots per second at this pace, without an override.
    pub fn slots_per_second(self) -> f64 {
        1.0 / self.mean_gap().as_secs_f64()
    }

    /// Bytes on the link in a month of thirty days, each way, always online.
    pub fn bytes_per_month(self) -> u64 {
        bytes_per_month(self.mean_gap())
    }
}

/// Bytes on the link in a month of thirty days, each way, with this mean time between two packets.
pub(crate) fn bytes_per_month(mean_gap: Duration) -> u64 {
    (LINK_BYTES_PER_PACKET * MONTH_SECS / mean_gap.as_secs_f64()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for pace in Pace::ALL {
            assert_eq!(Pace::from_name(pace.name()), Some(pace));
        }
        assert_eq!(Pace::from_name("warp"), None);
    }

    #[test]
    fn a_packet_a_second_is_6_3_gigabytes_a_month() {
        assert_eq!(Pace::Desk.bytes_per_month() / 100_000_000, 62);
        assert_eq!(Pace::Thrift.bytes_per_month() / 1_000_000, 209);
    }

    #[test]
    fn the_network_may_fix_the_rate() {
        let mut parameters = Parameters::default();
        assert_eq!(Pace::Phone.mean_gap_on(&parameters), Duration::from_secs(5));
        parameters.pace_override = Some(20_000);
        assert_eq!(Pace::Phone.mean_gap_on(&parameters), Duration::from_millis(50));
    }
}
