//! How a client's stream and what happens behind the mixes belong together.
//!
//! A packet that leaves a client at a time is at a store after three mixes; the density of that time is public (the mean
//! delay stands in the network document, links can be measured). So for each client there is, at each moment, a
//! density of its packets arriving just then, and whoever did something at a store has one more of them than
//! chance gives it.

use std::collections::BTreeMap;

use crate::signals::{Counts, FINE, SECONDS};

/// Seconds of a fine bin.
const BIN: f64 = 3_600.0 / FINE as f64;
/// Mixes on a way.
const MIXES: i32 = 3;

/// The time from a client to a store.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Way {
    mix_delay: f64,
    links: (f64, f64),
}

impl Way {
    pub(crate) fn new(mix_delay: f64, links: (f64, f64)) -> Self {
        Self { mix_delay, links }
    }

    /// Its density, a second.
    pub(crate) fn density(&self, seconds: f64) -> f64 {
        let (low, high) = self.links;
        if self.mix_delay < 0.01 {
            let inside = (low..high).contains(&seconds);
            return if inside { 1.0 / (high - low) } else { 0.0 };
        }
        let x = (seconds - (low + high) / 2.0).max(0.0) / self.mix_delay;
        x.powi(MIXES - 1) * (-x).exp() / 2.0 / self.mix_delay
    }

    /// After so many seconds nothing comes any more.
    pub(crate) fn longest(&self) -> f64 {
        self.links.1 + 10.0 * self.mix_delay
    }

    /// Its density in fine bins.
    pub(crate) fn kernel(&self) -> Vec<f32> {
        let bins = (self.longest() / BIN).ceil().max(2.0) as usize;
        // Each bin in many steps: short ways have most of their density in one.
        let steps = 50;
        let within = |bin: usize| {
            let step =
                |n: i32| self.density(BIN * (bin as f64 + (f64::from(n) + 0.5) / f64::from(steps)));
            (0..steps).map(step).sum::<f64>() / f64::from(steps)
        };
        (0..bins).map(|bin| within(bin) as f32).collect()
    }
}

/// For each client, and each fine bin, how many of its packets are expected there, less what chance gives.
pub(super) struct Expected(BTreeMap<u32, Vec<f32>>);

impl Expected {
    pub(super) fn new<'a>(clients: impl Iterator<Item = (u32, &'a Counts)>, way: Way) -> Self {
        let kernel = way.kernel();
        Self(clients.map(|(client, counts)| (client, spread(&counts.out(), &kernel))).collect())
    }

    /// Of all clients.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, &[f32])> {
        self.0.iter().map(|(client, curve)| (*client, &curve[..]))
    }

    /// Events in fine bins, weighted by a client's own packets, in bins of a second.
    pub(super) fn weighted(&self, client: u32, events: &[usize]) -> Vec<f32> {
        let mut seconds = vec![0.0; SECONDS];
        let Some(curve) = self.0.get(&client) else { return seconds };
        for &bin in events {
            if let (Some(second), Some(weight)) =
                (seconds.get_mut(bin * SECONDS / FINE), curve.get(bin))
            {
                *second += weight;
            }
        }
        seconds
    }
}

fn spread(out: &[f32], kernel: &[f32]) -> Vec<f32> {
    let mut curve = vec![0.0f32; out.len()];
    for (bin, &count) in out.iter().enumerate().filter(|(_, count)| **count != 0.0) {
        for (sum, weight) in curve[bin..].iter_mut().zip(kernel) {
            *sum += count * weight;
        }
    }
    let mean = curve.iter().sum::<f32>() / curve.len().max(1) as f32;
    curve.iter_mut().for_each(|x| *x -= mean);
    curve
}

/// When packets left each client, to the microsecond, over an hour.
pub(super) struct Departures {
    way: Way,
    clients: Vec<u32>,
    /// When one left, and the place of its client, in the order of time.
    packets: Vec<(f64, u32)>,
}

impl Departures {
    pub(super) fn new<'a>(clients: impl Iterator<Item = (u32, &'a Counts)>, way: Way) -> Self {
        let (mut names, mut packets) = (Vec::new(), Vec::new());
        for (place, (client, counts)) in (0..).zip(clients) {
            names.push(client);
            packets.extend(counts.times.iter().map(|&time| (time, place)));
        }
        packets.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { way, clients: names, packets }
    }

    /// The clients, in the order of what [`Self::likely`] gives.
    pub(super) fn clients(&self) -> &[u32] {
        &self.clients
    }

    /// How likely it is each client's packet that did something at a store at a time (seconds of the hour): the
    /// density of its packets there, up to a factor that is the same for all. `floor` keeps it from being nothing.
    pub(super) fn likely(&self, at: f64, floor: f64) -> Vec<f64> {
        let longest = self.way.longest();
        let first = self.packets.partition_point(|&(time, _)| time < at - longest);
        let mut likely = vec![0.0; self.clients.len()];
        for &(time, place) in self.packets[first..].iter().take_while(|&&(time, _)| time < at) {
            likely[place as usize] += self.way.density(at - time);
        }
        likely.iter_mut().for_each(|density| *density += floor);
        likely
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_a_density() {
        for delay in [0.0, 0.05, 0.3, 1.0] {
            let kernel = Way::new(delay, (0.07, 0.24)).kernel();
            let sum: f64 = kernel.iter().map(|&x| f64::from(x) * BIN).sum();
            assert!((sum - 1.0).abs() < 0.05, "{delay}: {sum}");
        }
    }

    #[test]
    fn a_packet_is_expected_after_it_left() {
        let mut counts = Counts::default();
        counts.add(100_000_000, true, 2_000);
        let expected = Expected::new([(7, &counts)].into_iter(), Way::new(0.3, (0.1, 0.2)));
        let bin = (100.0 / BIN) as usize;
        let at = |bin| expected.weighted(7, &[bin]).iter().sum::<f32>();
        assert!(at(bin + 3) > at(bin - 3) + 0.3);
        assert_eq!(expected.weighted(8, &[bin]).iter().sum::<f32>(), 0.0);
    }

    #[test]
    fn whoever_sent_shortly_before_is_likelier() {
        let (mut one, other) = (Counts::default(), Counts::default());
        one.times.extend([50.0, 99.9, 200.0]);
        let departures =
            Departures::new([(1, &one), (2, &other)].into_iter(), Way::new(0.0, (0.05, 0.2)));
        let likely = departures.likely(100.0, 0.01);
        assert!(likely[0] > 100.0 * likely[1]);
    }
}
