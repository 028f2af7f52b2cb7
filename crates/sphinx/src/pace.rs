//! Paces: how many packets a client emits, whatever its owner does.

use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::frame::CLIENT_PACKET_FRAME_LEN;

/// The rate of a client's stream. It is the one choice that a gateway and an internet provider see:
/// a client names it when it opens a session, and the gateway holds it to that.
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
    /// All of them, fastest first; the place of each is its number on the wire.
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

    /// The mean time between two packets, where the network document fixes no other.
    pub const fn mean_gap(self) -> Duration {
        match self {
            Self::Fast => Duration::from_millis(250),
            Self::Desk => Duration::from_secs(1),
            Self::Phone => Duration::from_secs(5),
            Self::Thrift => Duration::from_secs(30),
        }
    }

    /// Packets per second, where the network document fixes no other rate.
    pub fn slots_per_second(self) -> f64 {
        1.0 / self.mean_gap().as_secs_f64()
    }

    /// Bytes on the link in a month of thirty days, each way, always online.
    pub fn bytes_per_month(self) -> u64 {
        bytes_per_month(self.mean_gap())
    }
}

/// Bytes on the link in a month of thirty days, each way, with this mean time between two packets.
pub fn bytes_per_month(mean_gap: Duration) -> u64 {
    (LINK_BYTES_PER_PACKET * MONTH_SECS / mean_gap.as_secs_f64()) as u64
}

impl Serialize for Pace {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u8(match self {
            Self::Fast => 0,
            Self::Desk => 1,
            Self::Phone => 2,
            Self::Thrift => 3,
        })
    }
}

impl<'de> Deserialize<'de> for Pace {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let number = u8::deserialize(d)?;
        let pace = Self::ALL.get(usize::from(number));
        pace.copied().ok_or_else(|| D::Error::custom("no pace has this number"))
    }
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
    fn numbers_round_trip() {
        for (number, pace) in (0u8..).zip(Pace::ALL) {
            assert_eq!(postcard::to_allocvec(&pace).expect("a byte"), [number]);
            assert_eq!(postcard::from_bytes::<Pace>(&[number]), Ok(pace));
        }
        assert!(postcard::from_bytes::<Pace>(&[4]).is_err());
    }

    #[test]
    fn a_packet_a_second_is_6_3_gigabytes_a_month() {
        assert_eq!(Pace::Desk.bytes_per_month() / 100_000_000, 63);
        assert_eq!(Pace::Thrift.bytes_per_month() / 1_000_000, 210);
    }
}
