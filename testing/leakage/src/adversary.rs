//! Who looks on, and what of it.
//!
//! An adversary is a **lens**: it says which frames it sees, listens to the nodes that are its own, and makes of that,
//! at the end of each hour, further signals of single clients and evidence about pairs. Everything else is the same
//! for all of them and done by [`Watch`].

pub(crate) mod coupling;
mod every_link;
mod gateway;
pub mod one_store;
pub mod store;
mod with_collectors;
mod with_stores;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::attack::pair_features::{EVIDENCE, PairSums};
use crate::attack::person_features;
use crate::learn::Table;
use crate::plan::{Plan, Window};
use crate::record::{Cast, HOUR, Insight, Micros, Observer, Party, SECOND, Seen};
use crate::signals::{Counts, Signals, mask};
use crate::traffic::Span;

pub use every_link::EveryLink;
pub use gateway::Gateway;
pub use with_collectors::{Collectors, WithCollectors};
pub use with_stores::{Beside, WithStores};

/// What one adversary sees and makes of it.
pub trait Lens {
    /// Its name in the report.
    fn name(&self) -> &'static str;
    /// What it sees, in a paragraph.
    fn sees(&self) -> &'static str;
    /// The network, before everything else.
    fn cast(&mut self, _cast: &Cast) {}
    /// Whether a client's frames are seen.
    fn sees_clients(&self) -> bool {
        true
    }
    /// Whether nodes tell it what they see inside.
    fn has_insiders(&self) -> bool {
        false
    }
    /// Whether it needs the exact times at which clients send.
    fn needs_times(&self) -> bool {
        false
    }
    /// A frame between nodes.
    fn between_nodes(&mut self, _seen: &Seen) {}
    /// What a node of its own saw.
    fn inside(&mut self, _insight: &Insight) {}
    /// The truth about a session, for lenses that are asked about given sessions.
    fn truth_of_session(&mut self, _session: u64, _client: u32) {}
    /// Adds what it has made of an hour.
    fn enrich(&mut self, _hour: &mut Hour) {}
}

/// An hour of those who are looked at.
pub struct Hour {
    /// Which.
    pub number: u32,
    /// Frames and signals of each, and when it is online.
    pub clients: BTreeMap<u32, (Counts, Signals)>,
    /// Pairs that are looked at in this hour.
    pub pairs: Vec<(u32, u32)>,
    /// Evidence about them, in the same order.
    pub evidence: Vec<[f64; EVIDENCE]>,
}

/// Watches one run through a lens, for the pairs and people of a plan.
pub struct Watch<'a> {
    lens: Box<dyn Lens>,
    plan: &'a Plan,
    online: &'a [Vec<Span>],
    hour: u32,
    /// Whether exact times are kept.
    times: bool,
    counts: BTreeMap<u32, Counts>,
    /// Frames of the hours after this one.
    early: Vec<Seen>,
    /// Sums of the pairs' windows that are not over.
    open: BTreeMap<usize, PairSums>,
    seed: u64,
    /// Finished samples: by the length of the window, and of people.
    samples: Samples,
}

/// What a run has given.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Samples {
    /// Pairs, by the hours of their windows.
    pub pairs: BTreeMap<u32, Table>,
    /// People, as distances from the means of their hour.
    pub people: Table,
}

impl Samples {
    /// Adds those of another run.
    pub fn append(&mut self, other: Self) {
        for (hours, table) in other.pairs {
            self.pairs.entry(hours).or_default().append(table);
        }
        self.people.append(other.people);
    }
}

impl<'a> Watch<'a> {
    /// Looks at a run of this seed.
    pub fn new(lens: Box<dyn Lens>, plan: &'a Plan, online: &'a [Vec<Span>], seed: u64) -> Self {
        let (samples, counts) = (Samples::default(), BTreeMap::new());
        let times = lens.needs_times();
        let mut watch = Self {
            lens,
            plan,
            online,
            hour: 0,
            times,
            counts,
            early: Vec::new(),
            open: BTreeMap::new(),
            seed,
            samples,
        };
        watch.begin();
        watch
    }

    /// What it has found out, after the end of the run.
    pub fn into_samples(self) -> Samples {
        self.samples
    }

    fn begin(&mut self) {
        let watched = self.plan.watched(self.hour);
        self.counts = watched.into_iter().map(|client| (client, Counts::default())).collect();
        for seen in std::mem::take(&mut self.early) {
            self.count(&seen);
        }
    }

    fn count(&mut self, seen: &Seen) {
        let start = u64::from(self.hour) * HOUR;
        let (client, out) = match (seen.from, seen.to) {
            (Party::Client(client), _) => (client, true),
            (_, Party::Client(client)) => (client, false),
            _ => return,
        };
        if seen.at_micros >= start + HOUR {
            self.early.push(*seen);
        } else if let Some(counts) = self.counts.get_mut(&client) {
            let within = seen.at_micros.saturating_sub(start);
            counts.add(within, out, seen.bytes);
            if out && self.times {
                counts.times.push(within as f64 / SECOND as f64);
            }
        }
    }

    fn finish(&mut self) {
        let number = self.hour;
        let counts = std::mem::take(&mut self.counts);
        let signals = |(client, mut counts): (u32, Counts)| {
            counts.times.sort_by(f64::total_cmp);
            let online = mask(&self.online[client as usize], number);
            let signals = Signals::new(&counts, &online);
            (client, (counts, signals))
        };
        let clients = counts.into_iter().map(signals).collect();
        let mine: Vec<usize> =
            (0..self.plan.pairs.len()).filter(|&i| self.plan.pairs[i].window.has(number)).collect();
        let pairs: Vec<_> = mine.iter().map(|&i| self.plan.pairs[i].pair).collect();
        let evidence = vec![[0.0; EVIDENCE]; pairs.len()];
        let mut hour = Hour { number, clients, pairs, evidence };
        self.lens.enrich(&mut hour);
        for (index, evidence) in mine.into_iter().zip(&hour.evidence) {
            self.add_pair(index, &hour, *evidence);
        }
        let mut people = Table::default();
        for sample in self.plan.people.iter().filter(|sample| sample.hour == number) {
            if let Some((_, signals)) = hour.clients.get(&sample.client) {
                let row = person_features::features(signals);
                people.add(row, f64::from(sample.messages), self.seed);
            }
        }
        // How much all say together changes with the hour and is no secret of anybody's.
        self.samples.people.append(people.centred());
    }

    fn add_pair(&mut self, index: usize, hour: &Hour, evidence: [f64; EVIDENCE]) {
        let sample = self.plan.pairs[index];
        let Window { start, hours } = sample.window;
        let sums = self.open.entry(index).or_insert_with(|| PairSums::new(sample.window));
        if let (Some((_, a)), Some((_, b))) =
            (hour.clients.get(&sample.pair.0), hour.clients.get(&sample.pair.1))
        {
            sums.add(a, b, evidence);
        }
        if hour.number + 1 == start + hours
            && let Some(sums) = self.open.remove(&index)
        {
            let label = f64::from(u8::from(sample.talks));
            self.samples.pairs.entry(hours).or_default().add(sums.features(), label, self.seed);
        }
    }
}

impl Observer for Watch<'_> {
    fn cast(&mut self, cast: &Cast) {
        self.lens.cast(cast);
    }

    fn watches(&self, client: u32, hour: u32) -> bool {
        // The plan is asked once for each hour; a model asks for every client.
        if hour == self.hour {
            self.counts.contains_key(&client)
        } else {
            self.plan.watches(client)
        }
    }

    fn has_insiders(&self) -> bool {
        self.lens.has_insiders()
    }

    fn seen(&mut self, seen: &Seen) {
        match (seen.from, seen.to) {
            (Party::Node(_), Party::Node(_)) => self.lens.between_nodes(seen),
            _ if self.lens.sees_clients() => self.count(seen),
            _ => {}
        }
    }

    fn inside(&mut self, insight: &Insight) {
        if self.lens.has_insiders() {
            self.lens.inside(insight);
        }
    }

    fn truth_of_session(&mut self, session: u64, client: u32) {
        self.lens.truth_of_session(session, client);
    }

    fn until(&mut self, at: Micros) {
        while u64::from(self.hour + 1) * HOUR <= at {
            self.finish();
            self.hour += 1;
            self.begin();
        }
    }
}

/// Several observers of one run.
pub struct Audience<'a>(pub Vec<&'a mut dyn Observer>);

impl Observer for Audience<'_> {
    fn cast(&mut self, cast: &Cast) {
        self.0.iter_mut().for_each(|one| one.cast(cast));
    }

    fn watches(&self, client: u32, hour: u32) -> bool {
        self.0.iter().any(|one| one.watches(client, hour))
    }

    fn has_insiders(&self) -> bool {
        self.0.iter().any(|one| one.has_insiders())
    }

    fn traces(&self, at: Micros) -> bool {
        self.0.iter().any(|one| one.traces(at))
    }

    fn seen(&mut self, seen: &Seen) {
        self.0.iter_mut().for_each(|one| one.seen(seen));
    }

    fn inside(&mut self, insight: &Insight) {
        self.0.iter_mut().for_each(|one| one.inside(insight));
    }

    fn truth_of_session(&mut self, session: u64, client: u32) {
        self.0.iter_mut().for_each(|one| one.truth_of_session(session, client));
    }

    fn until(&mut self, at: Micros) {
        self.0.iter_mut().for_each(|one| one.until(at));
    }
}
