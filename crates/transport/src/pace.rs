//! What a pace means for standing reads.

use core::time::Duration;

use xchat_directory::Parameters;
use xchat_sphinx::Pace;

use crate::collectors::OVERLAP;
use crate::follows::READ_SET;
use crate::tickets::TICKETS;

/// How the read set rotates: the same for every client of a pace on a network, whatever it follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rotation {
    /// Boxes that stand registered at most.
    pub(crate) capacity: usize,
    /// Tickets that lie ready at most, for how long each may, and the share of the slots that registering them may take.
    pub(crate) tickets: usize,
    pub(crate) ready: Duration,
    pub(crate) ticket_share: f64,
    /// A registration is renewed after this.
    pub(crate) period: Duration,
    /// What a registration asks of the store, of a box as of a ticket, or it could tell them apart: two periods, if it may. A box is registered anew
    /// before; a ticket is of use for all of it.
    pub(crate) lifetime: Duration,
    /// Share of the slots that renewals of boxes may take.
    pub(crate) share: f64,
}

/// All registrations take no more of the stream than this; slow paces follow fewer boxes by registration.
const MAX_SHARE: f64 = 0.28;

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
        let all = READ_SET + TICKETS;
        let part = (MAX_SHARE * slots / all as f64).min(1.0);
        let of = |count: usize| ((part * count as f64).round() as usize).clamp(1, count);
        // Nor the time for which its collector is asked.
        let lifetime = parameters.registration_lifetime.min(period * 2).min(OVERLAP);
        let ready = lifetime * 3 / 4;
        let periods = ready.as_secs_f64() / period.as_secs_f64();
        Self {
            capacity: of(READ_SET),
            tickets: (of(TICKETS) as f64 * periods).round() as usize,
            ready,
            ticket_share: part * TICKETS as f64 / slots,
            period,
            lifetime,
            share: part * READ_SET as f64 / slots,
        }
    }
}

/// Mixes that a message meets: three to the store, three to the collector, three with the answer to the reader. The packet that
/// asks the collector is on its way before.
const MIXES_ON_THE_WAY: u32 = 9;

/// Half of the sums of two exponential times of about one length stay below this share of their mean.
const MEDIAN_OF_TWO: f64 = 0.84;

/// The time that half of all messages take at most that are said now and then, while both sides are online at this pace: two waits
/// for a slot and the mixes on the way (spec 8.8). The simulator holds it to what the cores do (`testing/simnet/tests/times.rs`).
pub fn usual_message_time(pace: Pace, parameters: &Parameters) -> Duration {
    let gap = parameters.mean_gap(pace.mean_gap());
    // One slot in twenty is a loop's; what registrations, looks and decoys leave is collects'. Decoys are as busy at `phone` as at `desk`,
    // and take most of it there; at slower paces there is not room for so many.
    let collects = if gap < Duration::from_secs(2) {
        1.4
    } else if gap <= Duration::from_secs(10) {
        2.4
    } else {
        2.0
    };
    gap.mul_f64(MEDIAN_OF_TWO * (1.05 + collects)) + parameters.mix_delay * MIXES_ON_THE_WAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_read_set_takes_a_fixed_share_of_each_pace() {
        let parameters = Parameters::default();
        let of = |pace| {
            let rotation = Rotation::of(pace, &parameters);
            let share = rotation.share + rotation.ticket_share;
            let registered = (rotation.capacity, rotation.tickets);
            (registered, rotation.period.as_secs(), (share * 1_000.0).round())
        };
        assert_eq!(of(Pace::Fast), ((192, 384), 1_800, 62.0));
        assert_eq!(of(Pace::Desk), ((192, 384), 3_600, 124.0));
        assert_eq!(of(Pace::Phone), ((130, 173), 5_400, 280.0));
        assert_eq!(of(Pace::Thrift), ((22, 29), 5_400, 280.0));
    }
}
