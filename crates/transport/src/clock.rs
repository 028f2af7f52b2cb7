//! The slot clock: when packets leave. It has a generator of its own, so that nothing the owner does
//! moves it.

use core::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Rng, Timestamp, random};

/// A packet is made so long before its slot, and handed over with the slot's time. What the owner does meanwhile (a
/// commit that waits for the disk, a search) holds up its making, but not its leaving.
pub const SLOT_LEAD: Duration = Duration::from_millis(50);

/// A Poisson process (independent exponential gaps) and the coins of its slots.
///
/// Its generator is seeded once, when the transport starts, and drawn from at slots and link events alone. A
/// shared generator would let the number of the owner's boxes shift every later slot.
pub(crate) struct Clock {
    rng: ChaCha20Rng,
    next: Option<Timestamp>,
}

/// What a slot has drawn for itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    /// When its packet leaves: at most [`SLOT_LEAD`] from now.
    pub(crate) at: Timestamp,
    /// Whether that is later than it was drawn, because nobody asked in time.
    pub(crate) late: bool,
    /// Uniform from `[0, 1)`: whether it is a loop.
    pub(crate) coin: f64,
}

impl Clock {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self { rng: ChaCha20Rng::from_seed(random::bytes(rng)), next: None }
    }

    /// Online: the first slot is one gap away.
    pub(crate) fn start(&mut self, now: Timestamp, mean_gap: Duration) {
        self.next = Some(now + self.gap(mean_gap));
    }

    /// Offline: no slots.
    pub(crate) fn stop(&mut self) {
        self.next = None;
    }

    /// The next slot.
    #[cfg(test)]
    fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// When the packet of the next slot is to be made.
    pub(crate) fn wake(&self) -> Option<Timestamp> {
        self.next.map(|next| next - SLOT_LEAD)
    }

    /// The slot whose packet is due to be made, if one is; at most one a call. After a sleep of the machine it goes on
    /// from the present: what was missed is not made up for by a burst.
    pub(crate) fn tick(&mut self, now: Timestamp, mean_gap: Duration) -> Option<Slot> {
        let drawn = self.next.filter(|next| *next - SLOT_LEAD <= now)?;
        let (at, late) = (drawn.max(now), drawn < now);
        let gap = self.gap(mean_gap);
        let next = drawn + gap;
        self.next = Some(if next > now { next } else { now + gap });
        Some(Slot { at, late, coin: random::unit(&mut self.rng) })
    }

    /// A uniform factor from `[0.5, 1.5)`, for waits that must not be in step between clients.
    pub(crate) fn jitter(&mut self) -> f64 {
        0.5 + random::unit(&mut self.rng)
    }

    fn gap(&mut self, mean: Duration) -> Duration {
        random::exponential(&mut self.rng, mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_millis(250);

    fn clock() -> Clock {
        Clock::new(&mut ChaCha20Rng::seed_from_u64(5))
    }

    #[test]
    fn slots_come_at_the_mean_rate_with_the_spread_of_a_poisson_process() {
        let mut clock = clock();
        clock.start(Timestamp::ZERO, GAP);
        let mut per_second = vec![0u32; 2_000];
        while let Some(at) = clock.next().filter(|at| at.as_secs() < 2_000) {
            clock.tick(at, GAP).expect("due");
            per_second[at.as_secs() as usize] += 1;
        }
        let mean = f64::from(per_second.iter().sum::<u32>()) / 2_000.0;
        let variance =
            per_second.iter().map(|n| (f64::from(*n) - mean).powi(2)).sum::<f64>() / 2_000.0;
        assert!((mean - 4.0).abs() < 0.2, "mean {mean}");
        assert!((variance / mean - 1.0).abs() < 0.15, "a Poisson count's variance is its mean");
    }

    #[test]
    fn a_packet_is_made_ahead_of_its_slot_and_leaves_when_it_was_drawn() {
        let mut clock = clock();
        clock.start(Timestamp::from_secs(10), GAP);
        for _ in 0..1_000 {
            let drawn = clock.next().expect("online");
            let wake = clock.wake().expect("online");
            assert!(clock.tick(wake - Duration::from_millis(1), GAP).is_none());
            let slot = clock.tick(wake + SLOT_LEAD / 2, GAP).expect("due");
            assert_eq!((slot.at, slot.late), (drawn, false));
        }
        let missed = clock.next().expect("online") + Duration::from_millis(2);
        let slot = clock.tick(missed, GAP).expect("due");
        assert_eq!((slot.at, slot.late), (missed, true));
    }

    #[test]
    fn a_machine_that_slept_makes_up_for_nothing() {
        let mut clock = clock();
        clock.start(Timestamp::ZERO, GAP);
        let awake = Timestamp::from_secs(3_600);
        assert!(clock.tick(awake, GAP).is_some());
        assert!(clock.next() > Some(awake));
        let next = clock.next().expect("online");
        assert!(clock.tick(awake, GAP).is_none_or(|slot| slot.at == next));
    }

    #[test]
    fn a_stopped_clock_has_no_slots() {
        let mut clock = clock();
        assert!(clock.tick(Timestamp::MAX, GAP).is_none());
        clock.start(Timestamp::ZERO, GAP);
        clock.stop();
        assert!(clock.tick(Timestamp::MAX, GAP).is_none());
    }
}
