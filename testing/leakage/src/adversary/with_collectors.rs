//! The gateway together with the collectors, and collectors alone.

use std::collections::BTreeMap;

use crate::record::{Asked, Cast, HOUR, Inside, Insight};
use crate::signals::{Curve, FINE, SECONDS};

use super::coupling::{Expected, Way};
use super::{Hour, Lens};

/// When items came, and when somebody asked, of each session: bins since the start of the run.
#[derive(Default)]
struct Sessions {
    items: Vec<(u64, u64)>,
    collects: Vec<(u64, u64)>,
}

impl Sessions {
    fn note(&mut self, insight: &Insight) {
        let bin = insight.at_micros / (HOUR / FINE as u64);
        match insight.inside {
            Inside::Item { session } => self.items.push((bin, session)),
            Inside::Request(Asked::Collect { session, .. }) => self.collects.push((bin, session)),
            _ => {}
        }
    }

    /// Takes out what lies in an hour: by session, the bins in it.
    fn of_hour(records: &mut Vec<(u64, u64)>, number: u32) -> BTreeMap<u64, Vec<usize>> {
        let start = u64::from(number) * FINE as u64;
        let mut here: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        records.retain(|&(bin, session)| {
            if (start..start + FINE as u64).contains(&bin) {
                here.entry(session).or_default().push((bin - start) as usize);
            }
            bin >= start + FINE as u64
        });
        here
    }
}

/// Items of some sessions as a curve.
fn curve<'a>(sessions: impl Iterator<Item = &'a Vec<usize>>) -> Curve {
    let mut seconds = vec![0.0; SECONDS];
    for bin in sessions.flatten() {
        if let Some(second) = seconds.get_mut(bin * SECONDS / FINE) {
            *second += 1.0;
        }
    }
    Curve::from_seconds(seconds, &[true; SECONDS])
}

/// A session is taken for the client's whose packets fit best, if they fit by so many deviations.
const SURE: f64 = 4.0;

/// See [`Lens::sees`].
#[derive(Default)]
pub struct WithCollectors {
    way: Way,
    sessions: Sessions,
    /// For each session and client, how well they have fitted so far: sum and variance.
    fits: BTreeMap<u64, BTreeMap<u32, (f64, f64)>>,
}

impl Lens for WithCollectors {
    fn name(&self) -> &'static str {
        "gateway and collectors"
    }

    fn sees(&self) -> &'static str {
        "The links of its clients, and besides what every collector sees: for each anonymous session when items come and \
         when somebody asks for them. At its worst: both people are its clients and all collectors are its own. It \
         finds out which client each session belongs to, by comparing when a client's packets leave with when a session \
         is asked for, and then knows when something comes for whom."
    }

    fn cast(&mut self, cast: &Cast) {
        self.way = Way::new(cast.mix_delay_secs, cast.way_secs);
    }

    fn has_insiders(&self) -> bool {
        true
    }

    fn inside(&mut self, insight: &Insight) {
        self.sessions.note(insight);
    }

    fn enrich(&mut self, hour: &mut Hour) {
        let counts = hour.clients.iter().map(|(client, (counts, _))| (*client, counts));
        let expected = Expected::new(counts, self.way);
        let collects = Sessions::of_hour(&mut self.sessions.collects, hour.number);
        let variances: Vec<f64> = expected.all().map(|(_, curve)| variance(curve)).collect();
        for (session, bins) in &collects {
            let fits = self.fits.entry(*session).or_default();
            for ((client, curve), variance) in expected.all().zip(&variances) {
                let fit = fits.entry(client).or_default();
                fit.0 += bins.iter().map(|&bin| f64::from(curve[bin])).sum::<f64>();
                fit.1 += variance * bins.len() as f64;
            }
        }
        let items = Sessions::of_hour(&mut self.sessions.items, hour.number);
        let mut owners: BTreeMap<u32, Vec<&Vec<usize>>> = BTreeMap::new();
        for (session, bins) in &items {
            if let Some(owner) = self.fits.get(session).and_then(best) {
                owners.entry(owner).or_default().push(bins);
            }
        }
        for (client, (_, signals)) in &mut hour.clients {
            let mine = owners.get(client).into_iter().flatten().copied();
            signals.got = Some(curve(mine));
        }
        // A session that nobody asked for in this hour is over.
        self.fits.retain(|session, _| collects.contains_key(session));
    }
}

fn variance(curve: &[f32]) -> f64 {
    curve.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / curve.len() as f64
}

fn best(fits: &BTreeMap<u32, (f64, f64)>) -> Option<u32> {
    let score = |(&client, &(sum, variance)): (&u32, &(f64, f64))| {
        (client, sum / variance.sqrt().max(1e-9))
    };
    let best = fits.iter().map(score).max_by(|a, b| a.1.total_cmp(&b.1))?;
    (best.1 >= SURE).then_some(best.0)
}

/// See [`Lens::sees`].
#[derive(Default)]
pub struct Collectors {
    sessions: Sessions,
    owners: BTreeMap<u64, u32>,
}

impl Lens for Collectors {
    fn name(&self) -> &'static str {
        "collector"
    }

    fn sees(&self) -> &'static str {
        "For each anonymous session of its own when items come and when somebody asks for them. No link, no client, no box. \
         At its worst: the sessions of both people are always its own. It is asked of two given sessions whether they \
         talk to each other; whose they are it does not learn."
    }

    fn sees_clients(&self) -> bool {
        false
    }

    fn has_insiders(&self) -> bool {
        true
    }

    fn inside(&mut self, insight: &Insight) {
        self.sessions.note(insight);
    }

    fn truth_of_session(&mut self, session: u64, client: u32) {
        self.owners.insert(session, client);
    }

    fn enrich(&mut self, hour: &mut Hour) {
        let items = Sessions::of_hour(&mut self.sessions.items, hour.number);
        Sessions::of_hour(&mut self.sessions.collects, hour.number);
        let mut owners: BTreeMap<u32, Vec<&Vec<usize>>> = BTreeMap::new();
        for (session, bins) in &items {
            if let Some(&owner) = self.owners.get(session) {
                owners.entry(owner).or_default().push(bins);
            }
        }
        for (client, (_, signals)) in &mut hour.clients {
            signals.got = Some(curve(owners.get(client).into_iter().flatten().copied()));
        }
    }
}
