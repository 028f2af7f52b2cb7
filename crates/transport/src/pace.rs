//! Paces: how many packets a client emits, whatever its owner does.

use core::time::Duration;

use xchat_directory::Parameters;
use xchat_sphinx::frame::CLIENT_PACKET_FRAME_LEN;

use crate::follows::READ_SET;

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
const LINK_BYTES_PER_PACKET: f64 = CLIENT_PACKET_FRAME_LEN as f64;

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

/// How the read set rotates: the same for every client of a pace on a network, whatever it follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rotation {
    /// Boxes that stand registered at most.
    pub(crate) capacity: usize,
    /// A registration is renewed after this.
    pub(crate) period: Duration,
    /// What a registration asks of the store: the period, and room for a renewal that has to wait.
    pub(crate) lifetime: Duration,
    /// Share of the slots that renewals may take.
    pub(crate) share: f64,
}

/// Renewals take no more of the stream than this; slow paces follow fewer boxes by registration.
const MAX_RENEWAL_SHARE: f64 = 0.25;

impl Rotation {
    pub(crate) fn of(pace: Pace, parameters: &Parameters) -> Self {
        let period = match pace {
            Pace::Fast => Duration::from_secs(30 * 60),
            Pace::Desk => Duration::from_secs(60 * 60),
            Pace::Phone | Pace::Thrift => Duration::from_secs(90 * 60),
        };
        // A registration cannot outlive the keys of its delivery block.
        let period = period.min(parameters.registration_lifetime * 3 / 4);
        let slots = period.as_secs_f64() / pace.mean_gap_on(parameters).as_secs_f64();
        let share = (READ_SET as f64 / slots).min(MAX_RENEWAL_SHARE);
        Self {
            capacity: ((share * slots).round() as usize).clamp(1, READ_SET),
            period,
            lifetime: parameters.registration_lifetime.min(period * 4 / 3),
            share,
        }
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
        assert_eq!(Pace::Desk.bytes_per_month() / 100_000_000, 63);
        assert_eq!(Pace::Thrift.bytes_per_month() / 1_000_000, 210);
    }

    #[test]
    fn the_read_set_takes_a_fixed_share_of_each_pace() {
        let parameters = Parameters::default();
        let of = |pace| {
            let rotation = Rotation::of(pace, &parameters);
            (rotation.capacity, rotation.period.as_secs(), (rotation.share * 1_000.0).round())
        };
        assert_eq!(of(Pace::Fast), (256, 1_800, 36.0));
        assert_eq!(of(Pace::Desk), (256, 3_600, 71.0));
        assert_eq!(of(Pace::Phone), (256, 5_400, 237.0));
        assert_eq!(of(Pace::Thrift), (45, 5_400, 250.0));
    }

    #[test]
    fn the_network_may_fix_the_rate() {
        let mut parameters = Parameters::default();
        assert_eq!(Pace::Phone.mean_gap_on(&parameters), Duration::from_secs(5));
        parameters.pace_override = Some(20_000);
        assert_eq!(Pace::Phone.mean_gap_on(&parameters), Duration::from_millis(50));
    }
}
