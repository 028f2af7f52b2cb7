//! What a pace means for standing reads.

use core::time::Duration;

use xchat_directory::Parameters;
use xchat_sphinx::Pace;

use crate::follows::READ_SET;

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
        let slots = period.as_secs_f64() / parameters.mean_gap(pace.mean_gap()).as_secs_f64();
        let share = (READ_SET as f64 / slots).min(MAX_RENEWAL_SHARE);
        Self {
            capacity: ((share * slots).round() as usize).clamp(1, READ_SET),
            period,
            lifetime: parameters.registration_lifetime.min(period * 4 / 3),
            share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
