//! How a client's stream and what happens behind the mixes belong together.
//!
//! A packet that leaves a client at a time is at the store after three mixes; the density of that time is public (mean
//! delay and number of mixes stand in the network document). So for each client there is, at each moment, an expected
//! number of its packets that arrive just then, and whoever did something at a store has one more of them than
//! chance gives it.

use std::collections::BTreeMap;

use crate::signals::{Counts, FINE};

/// Seconds of a fine bin.
const BIN: f64 = 3_600.0 / FINE as f64;
/// What links add, in seconds, in the middle.
const LINKS: f64 = 0.13;
/// Mixes on a way.
const MIXES: i32 = 3;

/// Density of the time from a client to a store, a number for each fine bin of it.
pub(crate) fn kernel(mix_delay: f64) -> Vec<f32> {
    if mix_delay <= 0.0 {
        return vec![1.0, 0.2];
    }
    let density = |t: f64| {
        let x = (t - LINKS).max(0.0) / mix_delay;
        x.powi(MIXES - 1) * (-x).exp() / 2.0 / mix_delay
    };
    let bins = ((LINKS + 10.0 * mix_delay) / BIN).ceil().max(2.0) as usize;
    // Each bin in eight steps: short delays have most of their density in one.
    let within = |bin: usize| {
        (0..8).map(|step| density(BIN * (bin as f64 + (f64::from(step) + 0.5) / 8.0))).sum::<f64>()
    };
    (0..bins).map(|bin| (within(bin) / 8.0) as f32).collect()
}

/// For each client, and each fine bin, how many of its packets are expected there, less what chance gives.
pub(super) struct Expected(BTreeMap<u32, Vec<f32>>);

impl Expected {
    pub(super) fn new<'a>(
        clients: impl Iterator<Item = (u32, &'a Counts)>,
        kernel: &[f32],
    ) -> Self {
        Self(clients.map(|(client, counts)| (client, spread(&counts.out(), kernel))).collect())
    }

    /// Of one client at a bin; nothing if it is not looked at.
    pub(super) fn at(&self, client: u32, bin: usize) -> f32 {
        self.0.get(&client).and_then(|curve| curve.get(bin)).copied().unwrap_or(0.0)
    }

    /// Of all clients.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, &[f32])> {
        self.0.iter().map(|(client, curve)| (*client, &curve[..]))
    }

    /// For each client, events weighted by its own packets, in bins of a second.
    pub(super) fn weighted(&self, client: u32, events: &[(usize, f32)]) -> Vec<f32> {
        let mut seconds = vec![0.0; crate::signals::SECONDS];
        for &(bin, weight) in events {
            if let Some(second) = seconds.get_mut(bin * crate::signals::SECONDS / FINE) {
                *second += weight * self.at(client, bin);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_a_density() {
        for delay in [0.05, 0.3, 1.0] {
            let sum: f64 = kernel(delay).iter().map(|&x| f64::from(x) * BIN).sum();
            assert!((sum - 1.0).abs() < 0.05, "{delay}: {sum}");
        }
    }

    #[test]
    fn a_packet_is_expected_after_it_left() {
        let mut counts = Counts::default();
        counts.add(100_000_000, true, 2_000);
        let expected = Expected::new([(7, &counts)].into_iter(), &kernel(0.3));
        let bin = (100.0 / BIN) as usize;
        assert!(expected.at(7, bin + 3) > expected.at(7, bin - 3) + 0.3);
        assert_eq!(expected.at(8, bin), 0.0);
    }
}
