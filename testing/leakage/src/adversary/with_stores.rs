//! Whoever sees clients' links, together with the stores.

use std::collections::BTreeMap;

use crate::record::{Asked, Cast, HOUR, Inside, Insight};
use crate::signals::{Curve, FINE, SECONDS};

use super::coupling::{Expected, kernel};
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
    kernel: Vec<f32>,
    clients: usize,
    /// Requests of this hour and the beginning of the next: bin since the start of the run, box.
    writes: Vec<(u64, u64)>,
    registrations: Vec<(u64, u64)>,
    /// For each box, how much more than chance each client was there when it was registered for.
    registered: BTreeMap<u64, Vec<f32>>,
}

/// Boxes whose registrations are remembered; beyond it the ones with the lowest names are forgotten, which is any.
const MAX_BOXES: usize = 200_000;

impl WithStores {
    /// Together with the stores.
    pub fn new(beside: Beside) -> Self {
        let (writes, registrations) = (Vec::new(), Vec::new());
        Self {
            beside,
            kernel: Vec::new(),
            clients: 0,
            writes,
            registrations,
            registered: BTreeMap::new(),
        }
    }
}

/// The part of the records that lies in an hour, with its bin in it.
fn of_hour(records: &mut Vec<(u64, u64)>, number: u32) -> Vec<(usize, u64)> {
    let start = u64::from(number) * FINE as u64;
    let later = records.iter().copied().filter(|&(bin, _)| bin >= start + FINE as u64).collect();
    let all = std::mem::replace(records, later);
    let here = all.into_iter().filter(|&(bin, _)| (start..start + FINE as u64).contains(&bin));
    here.map(|(bin, id)| ((bin - start) as usize, id)).collect()
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
        self.kernel = kernel(cast.mix_delay_secs);
        self.clients = cast.clients as usize;
    }

    fn has_insiders(&self) -> bool {
        true
    }

    fn inside(&mut self, insight: &Insight) {
        let bin = insight.at_micros / (HOUR / FINE as u64);
        match insight.inside {
            Inside::Request(Asked::Write(id)) => self.writes.push((bin, id)),
            Inside::Request(Asked::Register { id, .. }) => self.registrations.push((bin, id)),
            _ => {}
        }
    }

    fn enrich(&mut self, hour: &mut Hour) {
        let counts = hour.clients.iter().map(|(client, (counts, _))| (*client, counts));
        let expected = Expected::new(counts, &self.kernel);
        let registrations = of_hour(&mut self.registrations, hour.number);
        let writes = of_hour(&mut self.writes, hour.number);
        for &(bin, id) in &registrations {
            let of_box = self.registered.entry(id).or_insert_with(|| vec![0.0; self.clients]);
            for (client, curve) in expected.all() {
                of_box[client as usize] += curve[bin];
            }
        }
        while self.registered.len() > MAX_BOXES {
            self.registered.pop_first();
        }
        for &(bin, id) in &writes {
            let Some(readers) = self.registered.remove(&id) else { continue };
            let both =
                |writer: u32, reader: u32| expected.at(writer, bin) * readers[reader as usize];
            for (&(a, b), evidence) in hour.pairs.iter().zip(&mut hour.evidence) {
                evidence[0] += f64::from(both(a, b) + both(b, a));
                evidence[1] += f64::from(expected.at(a, bin) * expected.at(b, bin));
            }
        }
        let online = [true; SECONDS];
        let events = |records: &[(usize, u64)]| {
            records.iter().map(|&(bin, _)| (bin, 1.0)).collect::<Vec<_>>()
        };
        let (writes, registrations) = (events(&writes), events(&registrations));
        for (client, (_, signals)) in &mut hour.clients {
            signals.wrote = Some(Curve::from_seconds(expected.weighted(*client, &writes), &online));
            signals.got =
                Some(Curve::from_seconds(expected.weighted(*client, &registrations), &online));
        }
    }
}
