//! A system, many seeds, all adversaries: from runs to findings.

mod days;
mod kept;
mod workers;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use serde::{Deserialize, Serialize};

use crate::adversary::one_store::EachStore;
use crate::adversary::store::{StoreSamples, Stores};
use crate::adversary::{
    Audience, Beside, Collectors, EveryLink, Gateway, Lens, Samples, Watch, WithCollectors,
    WithStores, one_store, store,
};
use crate::attack::activity::{Activity, beyond_script};
use crate::attack::chain::{self, Followed, Search};
use crate::attack::entropy::Unsure;
use crate::learn::{Goal, Table};
use crate::meter::Meter;
use crate::plan::{Limits, Plan};
use crate::record::HOUR;
use crate::stats::{self, Interval};
use crate::systems::{System, Truth, secs};
use crate::traffic::{Shape, Traffic};

use days::{Watcher, WholeDays};

pub use kept::Kept;

/// One box of so many is searched from: each search looks at hundreds.
const SEARCHED: usize = 2;

/// Hours of a day.
pub(crate) const DAY: u32 = 24;

/// Hours before the first day: at the pace of phones a read set is full after one and a half.
const BEFORE_DAYS: u32 = 3;

/// How much is run.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// People.
    pub clients: u32,
    /// Runs, one each seed; seeds count from 1.
    pub seeds: u64,
    /// Hours of a run that are looked at, and the hour of the day at which the first of them begins.
    pub hours: u32,
    /// See above.
    pub first_hour: u32,
    /// Sittings of a person, a day.
    pub sessions_a_day: f64,
    /// What is looked at in each.
    pub limits: Limits,
    /// Boxes of each class that stores are asked about in a run.
    pub boxes: usize,
}

impl Extent {
    /// A small one, an evening of people who talk much, for tests: seconds of computing.
    pub fn quick(seeds: u64) -> Self {
        Self {
            clients: 40,
            seeds,
            hours: 4,
            first_hour: 17,
            sessions_a_day: 16.0,
            limits: Limits { pairs: 40, people: 60, windows: &[1], warm_up: 0 },
            boxes: 150,
        }
    }

    /// The smallest, an hour of a few who talk all the time, for the production cores.
    pub fn small(seeds: u64) -> Self {
        Self { clients: 24, hours: 1, first_hour: 19, sessions_a_day: 48.0, ..Self::quick(seeds) }
    }

    /// Hours of people who talk much, after others in which sessions begin, read sets fill, and decoys are few and young; for
    /// the production cores at any size.
    pub fn evening(
        clients: u32,
        seeds: u64,
        hours: u32,
        warm_up: u32,
        sessions_a_day: f64,
    ) -> Self {
        // A hundred people give some fifty pairs and a hundred hours in two of these, a thousand ten times as many.
        let limits = Limits {
            pairs: 120.max(clients as usize / 2),
            people: 250.max(clients as usize),
            windows: &[1],
            warm_up,
        };
        Self {
            clients,
            hours,
            first_hour: 19,
            sessions_a_day,
            limits,
            boxes: 300,
            ..Self::quick(seeds)
        }
    }

    /// Whole days, from midnight on, after some hours of the one before: also windows of a day, and what needs days.
    pub fn days(clients: u32, seeds: u64, days: u32, sessions_a_day: f64) -> Self {
        let limits = Limits { pairs: 120, people: 250, windows: &[1, DAY], warm_up: BEFORE_DAYS };
        let whole = Self { hours: days * DAY, first_hour: 0, boxes: 200, ..Self::quick(seeds) };
        Self { clients, sessions_a_day, limits, ..whole }
    }

    /// Whether windows of a day are looked at, and what needs days.
    pub fn has_days(&self) -> bool {
        self.limits.windows.contains(&DAY)
    }

    fn shape(&self) -> Shape {
        let warm_up = self.limits.warm_up;
        let usual = Shape::talkative(self.clients, self.hours + warm_up);
        let first_hour = (24 + self.first_hour - warm_up % 24) % 24;
        Shape { first_hour, sessions_a_day: self.sessions_a_day, ..usual }
    }
}

/// The attacks of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Tells pairs that talk from pairs that do not, in a window of so many hours.
    Pairs(u32),
    /// Estimates how many messages somebody writes and gets in an hour.
    Volume,
    /// Estimates how much all say together, minute by minute.
    Activity,
    /// Who else could it have been.
    Entropy,
    /// Statistical disclosure over days.
    Disclosure,
    /// Which client a packet at a store comes from, for whom this share of the mixes (in percent) is its own.
    Trace(u32),
    /// Who wrote the boxes of a known lane.
    Thief,
    /// Tells neighbours in a lane from other boxes.
    Chaining,
    /// Tells boxes that somebody wrote from decoys.
    Decoys,
    /// Tells pairs that know each other from those that do not by when they are online.
    Presence,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Who.
    pub adversary: &'static str,
    /// What is done.
    pub attack: Attack,
    /// What it gives.
    pub figure: Figure,
}

/// What an attack gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    /// How well two classes are told apart, and samples of each.
    Auc(Interval, usize),
    /// Correlation of the estimated with the true number, and how many.
    Correlation(Interval, usize),
    /// Bits left.
    Bits(Unsure),
    /// Bits left about one end only, and how often the best guess is right.
    Left(f64, f64),
    /// Messages until a target is found, the median (none: never), of how many targets how many.
    Rounds {
        /// The median; none if most are never found.
        median: Option<u32>,
        /// Found.
        found: usize,
        /// Attacked.
        targets: usize,
        /// How many would be found among as many strangers as they have contacts: by luck.
        by_luck: usize,
    },
}

/// What a system costs its users.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Bytes a month online, both ways.
    pub bytes_a_month: f64,
    /// Seconds from writing to having come, of readers who are online: median and 95th percentile.
    pub latency: (f64, f64),
}

/// Everything about one system and size.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// Its name.
    pub system: &'static str,
    /// People.
    pub clients: u32,
    /// Seeds.
    pub seeds: u64,
    /// The lines.
    pub lines: Vec<Finding>,
    /// What it costs.
    pub cost: Cost,
}

/// All lenses that see something in a system.
fn lenses(system: &dyn System) -> Vec<Box<dyn Lens>> {
    let mut all: Vec<Box<dyn Lens>> = vec![Box::new(EveryLink::default()), Box::new(Gateway)];
    if system.has_stores() {
        all.push(Box::new(Collectors::default()));
        all.push(Box::new(WithStores::new(Beside::EveryLink)));
        all.push(Box::new(WithStores::new(Beside::Gateway)));
        all.push(Box::new(WithCollectors::default()));
    }
    all
}

/// Runs a system and everything against it. `say` is told what is being done. What is kept is not run again.
///
/// # Errors
/// What reading and writing of what is kept gives.
pub fn measure(
    system: &dyn System,
    extent: Extent,
    kept: Option<&Kept>,
    say: &mut dyn FnMut(&str),
) -> io::Result<Measured> {
    let title = format!("{}, {} clients", system.name(), extent.clients);
    let memory = system.memory(extent.clients, extent.hours + extent.limits.warm_up);
    let at_once = workers::at_once(memory);
    let runs = seeds(&title, extent.seeds, at_once, say, |seed| -> io::Result<Days> {
        let Some(kept) = kept else { return Ok(Days::of(system, extent, seed)) };
        if let Some(days) = kept.load(system, extent, seed)? {
            return Ok(days);
        }
        let days = Days::of(system, extent, seed);
        kept.store(system, extent, seed, &days)?;
        Ok(days)
    })?;
    let mut days = Days::default();
    runs.into_iter().for_each(|run| days.append(run));
    let mut lines = days.lines(system);
    lines.sort_by_key(|line| (line.adversary, line.attack));
    let cost = days.cost();
    let (system, clients, seeds) = (system.name(), extent.clients, extent.seeds);
    let findings = Findings { system, clients, seeds, lines, cost };
    Ok(Measured { findings, signs: days.signs() })
}

/// What was measured of a system.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The report's lines.
    pub findings: Findings,
    /// What stores go by; nothing where there are none.
    pub signs: Vec<Sign>,
}

/// How well one sign alone tells two classes apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sign {
    /// Whose.
    pub adversary: &'static str,
    /// Of which attack.
    pub attack: Attack,
    /// What is looked at; all of it together, if none.
    pub sign: Option<&'static str>,
    /// AUC.
    pub auc: Interval,
    /// Samples of each class.
    pub samples: usize,
}

/// What stores learn of a system.
#[derive(Debug, Clone, PartialEq)]
pub struct StoresLearn {
    /// What they go by.
    pub signs: Vec<Sign>,
    /// How well each adversary follows a lane from box to box.
    pub followed: Vec<(&'static str, Followed)>,
}

/// What stores learn of a system, and nothing else.
pub fn stores(system: &dyn System, extent: Extent, say: &mut dyn FnMut(&str)) -> StoresLearn {
    let title = format!("{}, stores", system.name());
    let memory = system.memory(extent.clients, extent.hours + extent.limits.warm_up);
    let at_once = workers::at_once(memory);
    let Ok(runs) = seeds(&title, extent.seeds, at_once, say, |seed| -> Result<_, Infallible> {
        let traffic = Traffic::new(extent.shape(), seed);
        let (mut all, mut each) = (Stores::default(), EachStore::default());
        let truth = system.run(&traffic, seed, &mut Audience(vec![&mut all, &mut each]));
        let (warm_up, boxes) = (extent.limits.warm_up, extent.boxes);
        let samples =
            (all.samples(&truth, warm_up, boxes, seed), each.samples(&truth, warm_up, boxes, seed));
        let searches = boxes / SEARCHED;
        let searches = (
            all.searches(&truth, warm_up, searches, seed),
            each.searches(&truth, warm_up, searches, seed),
        );
        Ok((samples, searches))
    });
    let (samples, searches): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
    let (stores, one_store) = samples.into_iter().unzip();
    let (all, each): (Vec<_>, Vec<_>) = searches.into_iter().unzip();
    let follow = |name, searches: Vec<Vec<Search>>| {
        let searches = searches.into_iter().flatten().collect::<Vec<_>>();
        chain::follow(&searches).into_iter().map(move |followed| (name, followed))
    };
    StoresLearn {
        signs: Days { stores, one_store, ..Days::default() }.signs(),
        followed: follow(one_store::NAME, each).chain(follow(store::NAME, all)).collect(),
    }
}

/// What a contact that probes learns of a system, and nothing else.
pub fn probes(system: &dyn System, extent: Extent, say: &mut dyn FnMut(&str)) -> Finding {
    let title = format!("{}, probes", system.name());
    let at_once = workers::at_once(system.memory(extent.clients, days::PROBES_HOURS));
    let Ok(runs) = seeds(&title, extent.seeds, at_once, say, |seed| -> Result<_, Infallible> {
        let mut whole = WholeDays::default();
        whole.probe(system, extent.shape(), seed);
        Ok(whole)
    });
    let mut all = WholeDays::default();
    runs.into_iter().for_each(|one| all.append(one));
    all.probed()
}

/// One run for each seed, so many at a time; what they give, in the order of seeds. After the first failure none is begun.
fn seeds<T: Send, E: Send>(
    title: &str,
    count: u64,
    at_once: usize,
    say: &mut dyn FnMut(&str),
    run: impl Fn(u64) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let (next, runs) = (AtomicU64::new(1), Mutex::new(BTreeMap::new()));
    let (begun, begins) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..at_once {
            let (next, runs, run, begun) = (&next, &runs, &run, begun.clone());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > count {
                        break;
                    }
                    // Whoever is told may be gone.
                    let _ = begun.send(seed);
                    let given = run(seed);
                    if given.is_err() {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                    }
                    runs.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, given);
                }
            });
        }
        drop(begun);
        for seed in begins {
            say(&format!("{title}, seed {seed} of {count}"));
        }
    });
    runs.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// What the runs of days or evenings have given.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Days {
    /// By the adversary's name.
    samples: BTreeMap<String, Samples>,
    /// Of all stores together, and of each alone.
    stores: Vec<StoreSamples>,
    one_store: Vec<StoreSamples>,
    activity: Table,
    bytes: Vec<f64>,
    latencies: Vec<f64>,
    whole: WholeDays,
}

impl Days {
    /// Of one run, and of the probes that belong to it.
    fn of(system: &dyn System, extent: Extent, seed: u64) -> Self {
        let mut days = Self::watched(system, extent, seed);
        if extent.has_days() {
            days.whole.probe(system, extent.shape(), seed);
        }
        days
    }

    fn watched(system: &dyn System, extent: Extent, seed: u64) -> Self {
        let mut days = Self::default();
        let traffic = Traffic::new(extent.shape(), seed);
        let plan = Plan::new(&traffic, extent.limits, seed);
        let mut watches: Vec<(&'static str, Watch<'_>)> = lenses(system)
            .into_iter()
            .map(|lens| (lens.name(), Watch::new(lens, &plan, &traffic.online, seed)))
            .collect();
        let mut meter = Meter::new(&plan);
        let (mut stores, mut each) = (Stores::default(), EachStore::default());
        let warm_up = extent.limits.warm_up;
        let mut activity = Activity::new(warm_up, extent.hours);
        let mut audience = Audience(vec![&mut meter, &mut activity]);
        audience.0.extend(watches.iter_mut().map(|(_, watch)| watch as _));
        if system.has_stores() {
            audience.0.push(&mut stores);
            audience.0.push(&mut each);
        }
        let mut watcher = extent.has_days().then(|| Watcher::new(&traffic, warm_up));
        if let Some(watcher) = &mut watcher {
            audience.0.extend(watcher.observers(system.has_stores()));
        }
        let truth = system.run(&traffic, seed, &mut audience);
        if let Some(watcher) = watcher {
            days.whole = watcher.finish(&traffic, &truth, &stores, seed);
        }
        for (name, watch) in watches {
            days.samples.entry(name.to_owned()).or_default().append(watch.into_samples());
        }
        if system.has_stores() {
            days.stores.push(stores.samples(&truth, warm_up, extent.boxes, seed));
            days.one_store.push(each.samples(&truth, warm_up, extent.boxes, seed));
        }
        days.activity.append(activity.samples(&traffic, seed));
        days.bytes.extend(meter.bytes_an_hour());
        days.latencies.extend(latencies(&traffic, warm_up, &truth));
        days
    }

    fn append(&mut self, other: Self) {
        for (name, samples) in other.samples {
            self.samples.entry(name).or_default().append(samples);
        }
        self.stores.extend(other.stores);
        self.one_store.extend(other.one_store);
        self.activity.append(other.activity);
        self.bytes.extend(other.bytes);
        self.latencies.extend(other.latencies);
        self.whole.append(other.whole);
    }

    fn lines(&self, system: &dyn System) -> Vec<Finding> {
        let mut lines = Vec::new();
        for lens in lenses(system) {
            let adversary = lens.name();
            let Some(samples) = self.samples.get(adversary) else { continue };
            for (&hours, table) in &samples.pairs {
                lines.push(Finding {
                    adversary,
                    attack: Attack::Pairs(hours),
                    figure: told_apart(table),
                });
            }
            lines.push(Finding {
                adversary,
                attack: Attack::Volume,
                figure: estimated(&samples.people),
            });
        }
        let (adversary, figure) = (EveryLink::default().name(), heard(&self.activity));
        lines.push(Finding { adversary, attack: Attack::Activity, figure });
        for (adversary, samples) in self.keepers() {
            let chained = told_apart(&joined(samples, |one| &one.chained));
            // Where there are no decoys, whoever sees a box knows that somebody wrote it.
            let certain = Figure::Auc(Interval { value: 1.0, low: 1.0, high: 1.0 }, 0);
            let decoys = samples.iter().any(|one| one.decoys);
            let real = if decoys { told_apart(&joined(samples, |one| &one.real)) } else { certain };
            lines.push(Finding { adversary, attack: Attack::Chaining, figure: chained });
            lines.push(Finding { adversary, attack: Attack::Decoys, figure: real });
        }
        lines.extend(self.whole.lines());
        lines
    }

    /// Whoever keeps boxes, if anybody does.
    fn keepers(&self) -> impl Iterator<Item = (&'static str, &[StoreSamples])> {
        let both = [(one_store::NAME, &self.one_store), (store::NAME, &self.stores)];
        both.into_iter()
            .map(|(name, samples)| (name, samples.as_slice()))
            .filter(|(_, samples)| !samples.is_empty())
    }

    /// All signs of an attack together, then each alone.
    fn signs(&self) -> Vec<Sign> {
        let of = |adversary, attack: Attack, table: &Table, names: &[&'static str]| {
            let one = |sign: Option<&'static str>, table: &Table| match told_apart(table) {
                Figure::Auc(auc, samples) => Some(Sign { adversary, attack, sign, auc, samples }),
                _ => None,
            };
            let mut all: Vec<Sign> = one(None, table).into_iter().collect();
            for (place, name) in names.iter().enumerate() {
                let column = table.column(place);
                // What is the same of all was not looked at in these runs.
                if column.rows.windows(2).any(|two| two[0] != two[1]) {
                    all.extend(one(Some(name), &column));
                }
            }
            all
        };
        let mut all = Vec::new();
        for (adversary, samples) in self.keepers() {
            let chained = joined(samples, |one| &one.chained);
            all.extend(of(adversary, Attack::Chaining, &chained, &store::OF_PAIRS));
            if samples.iter().any(|one| one.decoys) {
                let real = joined(samples, |one| &one.real);
                all.extend(of(adversary, Attack::Decoys, &real, &store::OF_BOXES));
            }
        }
        all
    }

    fn cost(&self) -> Cost {
        let hours = 365.25 * 24.0 / 12.0;
        let bytes_an_hour = self.bytes.iter().sum::<f64>() / (self.bytes.len().max(1) as f64);
        let mut latencies = self.latencies.clone();
        latencies.sort_by(f64::total_cmp);
        Cost {
            bytes_a_month: bytes_an_hour * hours,
            latency: (stats::quantile(&latencies, 0.5), stats::quantile(&latencies, 0.95)),
        }
    }
}

/// One table of those of all runs.
fn joined(samples: &[StoreSamples], pick: fn(&StoreSamples) -> &Table) -> Table {
    let mut all = Table::default();
    samples.iter().for_each(|one| all.append(pick(one).clone()));
    all
}

/// Seconds from writing to having come, of messages whose reader was online when they were written.
fn latencies(traffic: &Traffic, warm_up: u32, truth: &Truth) -> Vec<f64> {
    let from = u64::from(warm_up) * HOUR;
    let both = traffic.messages.iter().zip(&truth.delivered);
    let here =
        both.filter(|(message, _)| message.at >= from && traffic.is_online(message.to, message.at));
    here.filter_map(|(message, came)| Some(secs((*came)?) - secs(message.at))).collect()
}

/// How well a classifier that is trained on other seeds tells the two classes apart.
fn told_apart(table: &Table) -> Figure {
    let scores = table.cross_fitted(Goal::Classes);
    let positives = table.labels.iter().filter(|&&label| label > 0.5).count();
    Figure::Auc(stats::bootstrap(&table.auc_by_seed(&scores)), positives)
}

/// How well an estimator that is trained on other seeds estimates. Within runs, also when it learns: what a run as a whole has
/// more of than another is nobody's in particular, and estimates of models that were trained on different seeds have no
/// common zero.
fn estimated(table: &Table) -> Figure {
    let table = &table.centred();
    let scores = table.cross_fitted(Goal::Number);
    Figure::Correlation(correlated(table, &scores), table.rows.len())
}

/// How well what all say by the minute is estimated, beyond what is so in that minute of every run.
fn heard(table: &Table) -> Figure {
    let scores = table.cross_fitted_beyond(Goal::Number, beyond_script);
    let said = beyond_script(table, table);
    Figure::Correlation(correlated(&said, &scores), table.rows.len())
}

/// Correlation of estimates with the truth, both as distances from their means in their run.
fn correlated(table: &Table, scores: &[f64]) -> Interval {
    let of_seed = |seed: u64| -> (Vec<f64>, Vec<f64>) {
        let mine = (0..table.rows.len()).filter(|&i| table.seeds[i] == seed);
        let (x, y): (Vec<f64>, Vec<f64>) = mine.map(|i| (scores[i], table.labels[i])).unzip();
        (stats::centred(&x), stats::centred(&y))
    };
    let runs: Vec<_> = table.runs().into_iter().map(of_seed).collect();
    stats::bootstrap_of(runs.len(), |drawn| {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for &run in drawn {
            x.extend_from_slice(&runs[run].0);
            y.extend_from_slice(&runs[run].1);
        }
        stats::correlation(&x, &y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    fn correlation(table: &Table) -> Interval {
        match estimated(table) {
            Figure::Correlation(interval, _) => interval,
            other => panic!("{other:?}"),
        }
    }

    /// Runs that differ as a whole in what is said and in what is seen, and people in whom nothing is seen.
    fn runs(seen_in_people: f64) -> Table {
        let (mut dice, mut table) = (Dice::new(5, 0), Table::default());
        for seed in 0..20 {
            let day = 3.0 * dice.normal();
            for _ in 0..60 {
                let said = dice.normal();
                let seen = day + seen_in_people * said + dice.normal();
                table.add(vec![seen], day + said, seed);
            }
        }
        table
    }

    #[test]
    fn a_loud_day_is_nobodys_volume() {
        let nothing = correlation(&runs(0.0));
        assert!(nothing.low < 0.0 && nothing.high > 0.0 && nothing.high < 0.12, "{nothing:?}");
        assert!(correlation(&runs(1.0)).low > 0.5);
    }
}
