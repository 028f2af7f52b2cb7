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
    /// Requests of this hour and the beginning of the next: when, and the box; of a written one also what its reader may have registered
    /// for in place of it.
    writes: Vec<(Micros, [u64; 2])>,
    registrations: Vec<(Micros, u64)>,
    /// For each box that is not written, who may have registered for it: the hour, and the second of it.
    registered: BTreeMap<u64, Vec<(u32, f64)>>,
    /// Registrations in there.
    remembered: usize,
    /// Of the hours so far.
    departures: BTreeMap<u32, Departures>,
}

/// Registrations that are remembered; beyond it those of the boxes with the lowest names are forgotten, which is any.
const MAX_REGISTRATIONS: usize = 20_000_000;

/// Density (packets a second) that is given to everybody: the way may have been longer than ways mostly are.
const FLOOR: f64 = 0.02;

impl WithStores {
    /// Together with the stores.
    pub fn new(beside: Beside) -> Self {
        Self {
            beside,
            way: Way::default(),
            writes: Vec::new(),
            registrations: Vec::new(),
            registered: BTreeMap::new(),
            remembered: 0,
            departures: BTreeMap::new(),
        }
    }

    /// Who may have registered for a box, or for its ticket, as shares of one. It is asked once, when the box is written: most never are.
    fn readers(&mut self, ids: [u64; 2]) -> Option<BTreeMap<u32, f64>> {
        let of_both = ids.map(|id| self.registered.remove(&id)).into_iter().flatten();
        let registrations: Vec<_> = of_both.flatten().collect();
        if registrations.is_empty() {
            return None;
        }
        self.remembered -= registrations.len();
        let mut logs: BTreeMap<u32, f32> = BTreeMap::new();
        for (hour, at) in registrations {
            let departures = self.departures.get(&hour)?;
            for (client, likely) in departures.clients().iter().zip(departures.likely(at, FLOOR)) {
                *logs.entry(*client).or_default() += likely.ln() as f32;
            }
        }
        let most = logs.values().copied().fold(f32::MIN, f32::max);
        let shares = logs.into_iter().map(|(client, log)| (client, f64::from(log - most).exp()));
        let shares: BTreeMap<u32, f64> = shares.collect();
        let sum: f64 = shares.values().sum();
        Some(shares.into_iter().map(|(client, share)| (client, share / sum)).collect())
    }

    fn remember(&mut self, id: u64, hour: u32, at: f64) {
        self.registered.entry(id).or_default().push((hour, at));
        self.remembered += 1;
        while self.remembered > MAX_REGISTRATIONS {
            let Some((_, forgotten)) = self.registered.pop_first() else { return };
            self.remembered -= forgotten.len();
        }
    }
}

/// The part of the records that lies in an hour, in seconds of it.
fn of_hour<T: Copy>(records: &mut Vec<(Micros, T)>, number: u32) -> Vec<(f64, T)> {
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
            Inside::Request(Asked::Write { id, told }) => {
                self.writes.push((insight.at_micros, [id, told]));
            }
            Inside::Request(Asked::Register { id, .. }) => {
                self.registrations.push((insight.at_micros, id))
            }
            _ => {}
        }
    }

    fn enrich(&mut self, hour: &mut Hour) {
        let counts = hour.clients.iter().map(|(client, (counts, _))| (*client, counts));
        let departures = Departures::new(counts, self.way);
        let order = departures.clients().to_vec();
        let place: BTreeMap<u32, usize> =
            order.iter().enumerate().map(|(n, client)| (*client, n)).collect();
        let chance = 1.0 / order.len().max(1) as f64;
        let mut curves = vec![[vec![0.0f32; SECONDS], vec![0.0f32; SECONDS]]; order.len()];
        for (at, id) in of_hour(&mut self.registrations, hour.number) {
            note(&mut curves, 1, at, &shares(&departures.likely(at, FLOOR)), chance);
            self.remember(id, hour.number, at);
        }
        self.departures.insert(hour.number, departures);
        let places = |&(a, b): &(u32, u32)| Some((*place.get(&a)?, *place.get(&b)?));
        let pairs: Vec<_> = hour.pairs.iter().map(places).collect();
        for (at, ids) in of_hour(&mut self.writes, hour.number) {
            let Some(departures) = self.departures.get(&hour.number) else { break };
            let writers = shares(&departures.likely(at, FLOOR));
            note(&mut curves, 0, at, &writers, chance);
            let Some(readers) = self.readers(ids) else { continue };
            let reader = |client| readers.get(client).copied().unwrap_or(0.0);
            let readers: Vec<f64> = order.iter().map(reader).collect();
            for (pair, evidence) in pairs.iter().zip(&mut hour.evidence) {
                let Some((a, b)) = *pair else { continue };
                let (ab, ba) = (writers[a] * readers[b], writers[b] * readers[a]);
                evidence[0] += ab + ba;
                evidence[1] += ab.max(ba).sqrt();
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
