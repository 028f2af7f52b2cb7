//! What whole days give besides, for the attacks that need them, or that need few of them.

use serde::{Deserialize, Serialize};

use crate::adversary::store::Stores;
use crate::adversary::{Audience, EveryLink, Lens, coupling};
use crate::attack::disclosure::Disclosure;
use crate::attack::entropy::{Delays, Questions, Unsure};
use crate::attack::ledger::Ledger;
use crate::attack::probes::{self, Probes};
use crate::attack::thief::{self, Guessed};
use crate::attack::trace::{Trace, Traced};
use crate::attack::{presence, trace};
use crate::learn::Table;
use crate::plan::{Limits, Plan};
use crate::record::{HOUR, Micros, Observer, SECOND};
use crate::systems::{System, Truth};
use crate::traffic::{Shape, Traffic};

use super::{Attack, Figure, Finding, estimated, told_apart};

/// Hours of a day, from midnight, in which the adversary asks who else it could have been: an evening.
const EVENING: (u32, u32) = (18, 3);

/// When mixes are looked at: the beginning of an hour of the evening, and for how long.
const MIXES: (u32, Micros) = (19, 240 * SECOND);

/// Shares of the mixes that are the adversary's, in percent, and how often they are drawn in a run.
const SHARES: [u32; 4] = [0, 20, 50, 80];
const DRAWS: u64 = 4;

/// Hours of an evening in which contacts probe, after some in which read sets fill; and of people who are probed, so few that
/// they are not busy with probes.
const PROBED_HOURS: u32 = 3;
const BEFORE_PROBES: u32 = 2;
pub(super) const PROBES_HOURS: u32 = BEFORE_PROBES + PROBED_HOURS;
const PROBED: usize = 24;

/// Pairs whose presence is looked at.
const PRESENT: usize = 100;

/// Probed runs are others than those that are only watched.
const PROBED_SEEDS: u64 = 2_000;

/// What the days have given, in the order of their seeds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct WholeDays {
    questions: Vec<Questions>,
    rounds: Vec<Option<u32>>,
    by_luck: usize,
    present: Table,
    /// For each share of the mixes.
    traced: [Vec<Traced>; 4],
    guessed: Vec<Guessed>,
    probed: Table,
}

/// Watches one day.
pub(super) struct Watcher {
    ledger: Ledger,
    disclosure: Disclosure,
    trace: Trace,
}

impl Watcher {
    /// Of a day that begins after so many hours of the run.
    pub(super) fn new(traffic: &Traffic, warm_up: u32) -> Self {
        let mixes = u64::from(warm_up + MIXES.0) * HOUR;
        Self {
            ledger: Ledger::new(traffic.shape.clients, warm_up + EVENING.0, EVENING.1),
            disclosure: Disclosure::new(traffic, warm_up),
            trace: Trace::new(mixes, mixes + MIXES.1),
        }
    }

    /// All that is to be told what there is to see.
    pub(super) fn observers(&mut self, has_stores: bool) -> Vec<&mut dyn Observer> {
        let mut all: Vec<&mut dyn Observer> = vec![&mut self.ledger, &mut self.disclosure];
        if has_stores {
            all.push(&mut self.trace);
        }
        all
    }

    /// What it gives in the end, with what stores have seen.
    pub(super) fn finish(
        self,
        traffic: &Traffic,
        truth: &Truth,
        stores: &Stores,
        seed: u64,
    ) -> WholeDays {
        let traced = SHARES.map(|share| {
            let draws = (0..DRAWS).map(|draw| seed * DRAWS + draw);
            draws.filter_map(|draw| self.trace.ask(f64::from(share) / 100.0, draw)).collect()
        });
        let (delay, links) = self.trace.way();
        let kernel = coupling::Way::new(delay, links).kernel();
        let disclosed = self.disclosure.judged(traffic);
        WholeDays {
            questions: vec![Questions::new(&self.ledger, traffic, truth)],
            rounds: disclosed.rounds,
            by_luck: disclosed.by_luck,
            present: presence::samples(traffic, PRESENT, seed),
            traced,
            guessed: thief::ask(stores, &self.ledger, truth, &kernel, seed).into_iter().collect(),
            probed: Table::default(),
        }
    }
}

impl WholeDays {
    /// An evening of as many sittings a day, in which contacts write every minute and watch when receipts come.
    pub(super) fn probe(&mut self, system: &dyn System, shape: Shape, seed: u64) {
        let warm_up = BEFORE_PROBES;
        let shape = Shape { first_hour: EVENING.0 - warm_up, hours: PROBES_HOURS, ..shape };
        let seed = PROBED_SEEDS + seed;
        let traffic = Traffic::new(shape, seed);
        let limits = Limits { pairs: 0, people: PROBED, windows: &[], warm_up };
        let probes = Probes::new(&traffic, &Plan::new(&traffic, limits, seed), seed);
        let truth = system.run(&probes.traffic, seed, &mut Audience(Vec::new()));
        self.probed.append(probes.samples(&truth, seed));
    }

    pub(super) fn append(&mut self, other: Self) {
        self.questions.extend(other.questions);
        self.rounds.extend(other.rounds);
        self.by_luck += other.by_luck;
        self.present.append(other.present);
        for (all, more) in self.traced.iter_mut().zip(other.traced) {
            all.extend(more);
        }
        self.guessed.extend(other.guessed);
        self.probed.append(other.probed);
    }

    /// What the contact learns.
    pub(super) fn probed(&self) -> Finding {
        let figure = estimated(&self.probed);
        Finding { adversary: probes::NAME, attack: Attack::Volume, figure }
    }

    /// The report's lines; none where no days were run.
    pub(super) fn lines(&self) -> Vec<Finding> {
        if self.rounds.is_empty() {
            return Vec::new();
        }
        let observer = EveryLink::default().name();
        let line = |adversary, attack, figure| Finding { adversary, attack, figure };
        let mut lines = vec![
            line(observer, Attack::Disclosure, median_rounds(&self.rounds, self.by_luck)),
            line(observer, Attack::Presence, told_apart(&self.present)),
            self.probed(),
        ];
        // The first half teaches how long messages take, the second half is asked about.
        let (taught, asked) = self.questions.split_at(self.questions.len() / 2);
        let delays = Delays::learned(taught);
        let unsure: Vec<Unsure> = asked.iter().filter_map(|one| delays.ask(one)).collect();
        if let Some(unsure) = mean(&unsure) {
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

fn median_rounds(rounds: &[Option<u32>], by_luck: usize) -> Figure {
    let mut found: Vec<u32> = rounds.iter().flatten().copied().collect();
    found.sort_unstable();
    // Those who are never found count as later than all others.
    let median = found.get(rounds.len() / 2).copied();
    Figure::Rounds { median, found: found.len(), targets: rounds.len(), by_luck }
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

#[cfg(test)]
mod tests {
    use crate::campaign::{Attack, Extent, Figure, measure};
    use crate::systems::Direct;

    #[test]
    fn a_day_of_a_direct_server_says_everything_that_is_asked_of_days() {
        let found = measure(&Direct, Extent::days(24, 4, 1, 24.0), None, &mut |_| {});
        let lines = found.expect("nothing is kept").findings.lines;
        let figure = |attack| lines.iter().find(|line| line.attack == attack).map(|l| &l.figure);
        let day = figure(Attack::Pairs(24));
        assert!(
            matches!(day, Some(Figure::Auc(auc, pairs)) if auc.low > 0.9 && *pairs > 20),
            "{day:?}"
        );
        let rounds = figure(Attack::Disclosure);
        assert!(
            matches!(rounds, Some(Figure::Rounds { found, targets: 80, by_luck, .. }) if *found > 40 && *by_luck < 20),
            "{rounds:?}"
        );
        let unsure = figure(Attack::Entropy);
        assert!(matches!(unsure, Some(Figure::Bits(bits)) if bits.sender < 4.0), "{unsure:?}");
        for attack in [Attack::Presence, Attack::Pairs(1)] {
            assert!(matches!(figure(attack), Some(Figure::Auc(_, 1..))), "{attack:?}");
        }
        // No stores, no mixes.
        assert_eq!(figure(Attack::Thief), None);
        assert_eq!(figure(Attack::Trace(20)), None);
    }
}
