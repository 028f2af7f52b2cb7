//! Whoever sees clients' links, together with the stores.

use std::collections::BTreeMap;

use crate::record::{Asked, Cast, HOUR, Inside, Insight, Micros, SECOND};
use crate::signals::{Curve, SECONDS};

use super::coupling::{Departures, Way};
use super::{Hour, Lens};

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// The observer of every link.
    EveryLink,
    /// The gateway.
    Gateway,
}

/// See [`Lens::sees`].
pub struct WithStores {
    beside: Beside,
    way: Way,
    /// Requests of this hour and the beginning of the next: when, and the box.
    writes: Vec<(Micros, u64)>,
    registrations: Vec<(Micros, u64)>,
    /// For each box, logarithms of how likely each client is the one that registered for it.
    registered: BTreeMap<u64, BTreeMap<u32, f32>>,
}

/// Boxes whose registrations are remembered; beyond it the ones with the lowest names are forgotten, which is any.
const MAX_BOXES: usize = 200_000;

/// Density (packets a second) that is given to everybody: the way may have been longer than ways mostly are.
const FLOOR: f64 = 0.02;

impl WithStores {
    /// Together with the stores.
    pub fn new(beside: Beside) -> Self {
        let (writes, registrations) = (Vec::new(), Vec::new());
        Self { beside, way: Way::default(), writes, registrations, registered: BTreeMap::new() }
    }

    /// Who may have registered for a box, as shares of one.
    fn readers(&mut self, id: u64) -> Option<BTreeMap<u32, f64>> {
        let logs = self.registered.remove(&id)?;
        let most = logs.values().copied().fold(f32::MIN, f32::max);
        let shares = logs.into_iter().map(|(client, log)| (client, f64::from(log - most).exp()));
        let shares: BTreeMap<u32, f64> = shares.collect();
        let sum: f64 = shares.values().sum();
        Some(shares.into_iter().map(|(client, share)| (client, share / sum)).collect())
    }
}

/// The part of the records that lies in an hour, in seconds of it.
fn of_hour(records: &mut Vec<(Micros, u64)>, number: u32) -> Vec<(f64, u64)> {
    let start = u64::from(number) * HOUR;
    let later = records.iter().copied().filter(|&(at, _)| at >= start + HOUR).collect();
    let all = std::mem::replace(records, later);
    let here = all.into_iter().filter(|&(at, _)| (start..start + HOUR).contains(&at));
    here.map(|(at, id)| ((at - start) as f64 / SECOND as f64, id)).collect()
}

impl Lens for WithStores {
    fn name(&self) -> &'static str {
        match self.beside {
            Beside::EveryLink => "observer and stores",
            Beside::Gateway => "gateway and stores",
        }
    }

    fn sees(&self) -> &'static str {
        match self.beside {
            Beside::EveryLink => {
                "Every link, and besides what every store sees: each request, with the box it is about and its \
                 time. At its worst: all stores are its own. It knows the mean delay of the mixes and weighs for each \
                 write and each registration whose packets may have been there just then. Boxes join the two ends: who \
                 may have written one with who may have registered for it."
            }
            Beside::Gateway => {
                "The links of its clients, and besides what every store sees: each request, with the box it is about \
                 and its time. At its worst: both people are its clients and all stores are its own. Otherwise as the \
                 observer with stores."
            }
        }
    }

    fn cast(&mut self, cast: &Cast) {
        self.way = Way::new(cast.mix_delay_secs, cast.way_secs);
    }

    fn has_insiders(&self) -> bool {
        true
    }

    fn needs_times(&self) -> bool {
        true
    }

    fn inside(&mut self, insight: &Insight) {
        match insight.inside {
            Inside::Request(Asked::Write(id)) => self.writes.push((insight.at_micros, id)),
            Inside::Request(Asked::Register { id, .. }) => {
                self.registrations.push((insight.at_micros, id))
            }
            _ => {}
        }
    }

    fn enrich(&mut self, hour: &mut Hour) {
        let counts = hour.clients.iter().map(|(client, (counts, _))| (*client, counts));
        let departures = Departures::new(counts, self.way);
        let order: Vec<u32> = departures.clients().collect();
        let place: BTreeMap<u32, usize> =
            order.iter().enumerate().map(|(n, client)| (*client, n)).collect();
        let chance = 1.0 / order.len().max(1) as f64;
        let mut curves = vec![[vec![0.0f32; SECONDS], vec![0.0f32; SECONDS]]; order.len()];
        for (at, id) in of_hour(&mut self.registrations, hour.number) {
            let likely = departures.likely(at, FLOOR);
            let of_box = self.registered.entry(id).or_default();
            for (client, likely) in order.iter().zip(&likely) {
                *of_box.entry(*client).or_default() += likely.ln() as f32;
            }
            note(&mut curves, 1, at, &shares(&likely), chance);
        }
        while self.registered.len() > MAX_BOXES {
            self.registered.pop_first();
        }
        for (at, id) in of_hour(&mut self.writes, hour.number) {
            let writers = shares(&departures.likely(at, FLOOR));
            note(&mut curves, 0, at, &writers, chance);
            let Some(readers) = self.readers(id) else { continue };
            let both = |writer: u32, reader: u32| {
                let writer = place.get(&writer).map_or(0.0, |&n| writers[n]);
                writer * readers.get(&reader).copied().unwrap_or(0.0)
            };
            for (&(a, b), evidence) in hour.pairs.iter().zip(&mut hour.evidence) {
                evidence[0] += both(a, b) + both(b, a);
                evidence[1] += both(a, b).max(both(b, a)).sqrt();
            }
        }
        let online = [true; SECONDS];
        for ((_, signals), [wrote, got]) in hour.clients.values_mut().zip(curves) {
            signals.wrote = Some(Curve::from_seconds(wrote, &online));
            signals.got = Some(Curve::from_seconds(got, &online));
        }
    }
}

fn shares(likely: &[f64]) -> Vec<f64> {
    let sum: f64 = likely.iter().sum();
    likely.iter().map(|x| x / sum).collect()
}

/// Adds to each client's curve by how much more than chance it may have been.
fn note(curves: &mut [[Vec<f32>; 2]], which: usize, at: f64, shares: &[f64], chance: f64) {
    for (curves, share) in curves.iter_mut().zip(shares) {
        if let Some(second) = curves[which].get_mut(at as usize) {
            *second += (share - chance) as f32;
        }
    }
}
