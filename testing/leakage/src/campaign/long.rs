//! Runs over days, for the attacks that need them, or that need few of them.

use crate::adversary::store::Stores;
use crate::adversary::{Audience, EveryLink, Lens, coupling};
use crate::attack::disclosure::Disclosure;
use crate::attack::entropy::{Delays, Unsure};
use crate::attack::ledger::Ledger;
use crate::attack::probes::{self, Probes};
use crate::attack::thief::{self, Guessed};
use crate::attack::trace::{Trace, Traced};
use crate::attack::{presence, trace};
use crate::learn::Table;
use crate::plan::{Limits, Plan};
use crate::record::{HOUR, Micros, SECOND};
use crate::systems::System;
use crate::traffic::{Shape, Traffic};

use super::{Attack, Figure, Finding, estimated, told_apart};

/// Hours of the ledger within a run: an evening.
const EVENING: (u32, u32) = (18, 3);

/// What mixes are looked at: some minutes of the evening.
const MIXES: (Micros, Micros) = (19 * HOUR, 19 * HOUR + 240 * SECOND);

/// Shares of the mixes that are the adversary's, in percent, and how often they are drawn in a run.
const SHARES: [u32; 4] = [0, 20, 50, 80];
const DRAWS: u64 = 4;

/// Hours of people who are probed, in a run.
const PROBED: usize = 60;

/// What the runs have given.
#[derive(Default)]
struct Long {
    delays: Delays,
    unsure: Vec<Unsure>,
    rounds: Vec<Option<u32>>,
    present: Table,
    traced: [Vec<Traced>; 4],
    guessed: Vec<Guessed>,
    probed: Table,
}

/// Runs them.
pub(super) fn measure(system: &dyn System, clients: u32, seeds: u64, hours: u32) -> Vec<Finding> {
    let mut long = Long::default();
    for nth in 0..seeds {
        // The first half teaches how long messages take, the second half is asked about.
        long.run(system, Shape::talkative(clients, hours), 1_001 + nth, nth < seeds / 2);
        long.probe(system, Shape::talkative(clients, 24), 2_001 + nth);
    }
    long.lines()
}

impl Long {
    fn run(&mut self, system: &dyn System, shape: Shape, seed: u64, learns: bool) {
        let traffic = Traffic::new(shape, seed);
        let mut ledger = Ledger::new(shape.clients, EVENING.0, EVENING.1);
        let mut disclosure = Disclosure::new(&traffic);
        let mut trace = Trace::new(MIXES.0, MIXES.1);
        let mut stores = Stores::default();
        let mut audience = Audience(vec![&mut ledger, &mut disclosure]);
        if system.has_stores() {
            audience.0.push(&mut trace);
            audience.0.push(&mut stores);
        }
        let truth = system.run(&traffic, seed, &mut audience);
        if learns {
            self.delays.learn(&ledger, &traffic, &truth);
        } else {
            self.unsure.extend(self.delays.ask(&ledger, &traffic, &truth));
        }
        self.rounds.extend(disclosure.judged(&traffic).rounds);
        self.present.append(presence::samples(&traffic, 100, seed));
        for (traced, share) in self.traced.iter_mut().zip(SHARES) {
            let draws = (0..DRAWS).map(|draw| seed * DRAWS + draw);
            traced.extend(draws.filter_map(|draw| trace.ask(f64::from(share) / 100.0, draw)));
        }
        let (delay, links) = trace.way();
        let kernel = coupling::Way::new(delay, links).kernel();
        self.guessed.extend(thief::ask(&stores, &ledger, &truth, &kernel, seed));
    }

    fn probe(&mut self, system: &dyn System, shape: Shape, seed: u64) {
        let traffic = Traffic::new(shape, seed);
        let plan = Plan::new(
            &traffic,
            Limits { pairs: 0, people: PROBED, windows: &[], warm_up: 0 },
            seed,
        );
        let probes = Probes::new(&traffic, &plan);
        let truth = system.run(&probes.traffic, seed, &mut Audience(Vec::new()));
        self.probed.append(probes.samples(&truth, seed));
    }

    fn lines(&self) -> Vec<Finding> {
        let observer = EveryLink::default().name();
        let line = |adversary, attack, figure| Finding { adversary, attack, figure };
        let mut lines = vec![
            line(observer, Attack::Disclosure, median_rounds(&self.rounds)),
            line(observer, Attack::Presence, told_apart(&self.present)),
            line(probes::NAME, Attack::Volume, estimated(&self.probed)),
        ];
        if let Some(unsure) = mean(&self.unsure) {
            lines.push(line(observer, Attack::Entropy, Figure::Bits(unsure)));
        }
        for (traced, share) in self.traced.iter().zip(SHARES) {
            let all = traced.iter().map(|one| (one.bits, one.right));
            if let Some((bits, right)) = means(all) {
                lines.push(line(trace::NAME, Attack::Trace(share), Figure::Left(bits, right)));
            }
        }
        if let Some((bits, right)) = means(self.guessed.iter().map(|one| (one.bits, one.right))) {
            lines.push(line(thief::NAME, Attack::Thief, Figure::Left(bits, right)));
        }
        lines
    }
}

fn median_rounds(rounds: &[Option<u32>]) -> Figure {
    let mut found: Vec<u32> = rounds.iter().flatten().copied().collect();
    found.sort_unstable();
    // Those who are never found count as later than all others.
    let median = found.get(rounds.len() / 2).copied();
    Figure::Rounds { median, found: found.len(), targets: rounds.len() }
}

fn means(all: impl Iterator<Item = (f64, f64)>) -> Option<(f64, f64)> {
    let (mut sums, mut n) = ((0.0, 0.0), 0.0);
    for (a, b) in all {
        sums = (sums.0 + a, sums.1 + b);
        n += 1.0;
    }
    (n > 0.0).then(|| (sums.0 / n, sums.1 / n))
}

fn mean(all: &[Unsure]) -> Option<Unsure> {
    let (sender, sender_right) = means(all.iter().map(|u| (u.sender, u.sender_right)))?;
    let (receiver, receiver_right) = means(all.iter().map(|u| (u.receiver, u.receiver_right)))?;
    Some(Unsure { sender, receiver, sender_right, receiver_right })
}
