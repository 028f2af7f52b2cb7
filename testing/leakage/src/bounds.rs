//! What must be true of the findings.

use crate::adversary::{one_store, store};
use crate::campaign::{Attack, DAY, Figure, Finding, Findings};
use crate::report::attack_name;
use crate::systems::Expectation;

/// How far a system that is to hide something may be from hiding it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// AUC of pairs, for the observer of every link and for the gateway: the upper end of the interval.
    pub auc: f64,
    /// Correlation of volumes, for the same: the end of the interval that is further from zero.
    pub correlation: f64,
    /// AUC of pairs when gateway or observer collude with the stores; none: reported only.
    pub with_stores: Option<f64>,
    /// Correlation of what all say by the minute, for the observer of every link; none: reported only.
    pub activity: Option<f64>,
    /// AUC of stores that tell real boxes from decoys; none: reported only.
    pub decoys: Option<f64>,
    /// The same of a store that tells nobody and is told by nobody what others see.
    pub decoys_of_one: Option<f64>,
    /// AUC of stores that tell two boxes of one lane from two of two lanes: not what it is to be, but more than it is.
    pub chains: Option<f64>,
    /// How much must have been run, or no bound on pairs and volumes is met.
    pub least: Least,
}

/// How much a run must be to say that something is hidden: of too little every attack learns nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Least {
    /// Seeds: one is for training, another one for judging, at the very least.
    pub seeds: u64,
    /// Pairs of each class.
    pub pairs: usize,
    /// Hours of somebody.
    pub hours: usize,
}

impl Bounds {
    /// Those of a run in which nothing is judged by the first hours after all programs have started: then decoys are there.
    pub const fn after_hours(self) -> Self {
        Self { decoys_of_one: Some(0.53), ..self }
    }
}

/// What a bound says of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is kept.
    Met,
    /// It is not.
    Passed,
    /// As far as it goes it is, but it does not go far enough.
    TooFew,
}

/// The bounds of a full run.
pub const FULL: Bounds = Bounds {
    auc: 0.53,
    correlation: 0.05,
    with_stores: None,
    activity: None,
    decoys: None,
    decoys_of_one: None,
    chains: Some(0.72),
    least: Least { seeds: 20, pairs: 2_000, hours: 4_000 },
};

/// As much as there is of a small run.
const SMALL: Least = Least { seeds: 6, pairs: 40, hours: 80 };

/// Wider ones, for a run that is small.
pub const QUICK: Bounds = Bounds {
    auc: 0.68,
    correlation: 0.18,
    with_stores: Some(0.70),
    activity: Some(0.2),
    // Of the model, whose decoys have no habits: 0.82 to 0.845 by boosted trees. Without any rhythm it is more.
    decoys: Some(0.86),
    decoys_of_one: None,
    chains: None,
    least: SMALL,
};

/// Those of the production cores in a run that is smaller still.
pub const CORES: Bounds = Bounds {
    auc: 0.75,
    correlation: 0.35,
    with_stores: Some(0.85),
    activity: Some(0.2),
    decoys: Some(0.65),
    decoys_of_one: Some(0.65),
    chains: Some(0.80),
    least: SMALL,
};

/// What a baseline must leak at least, at the lower end of the interval, so that it is known that the attack works.
pub const WORKS: f64 = 0.9;

/// The adversaries that bounds are set for.
const BOUNDED: [&str; 2] = ["observer of every link", "gateway"];

/// The bound on one finding of a run of so many seeds, if there is one: how it is written, and what it says.
pub fn bound(
    expectation: Expectation,
    finding: &Finding,
    seeds: u64,
    bounds: Bounds,
) -> Option<(String, Verdict)> {
    let is_enough = |samples: usize, least: usize| seeds >= bounds.least.seeds && samples >= least;
    let below = |limit: f64, value: f64, is_enough: bool| {
        let verdict = match (value <= limit, is_enough) {
            (false, _) => Verdict::Passed,
            (true, false) => Verdict::TooFew,
            (true, true) => Verdict::Met,
        };
        Some((format!("≤ {limit}"), verdict))
    };
    let alone = BOUNDED.contains(&finding.adversary);
    match (expectation, finding.attack, &finding.figure) {
        (Expectation::Hides, Attack::Pairs(_), Figure::Auc(interval, samples)) if alone => {
            below(bounds.auc, interval.high, is_enough(*samples, bounds.least.pairs))
        }
        (Expectation::Hides, Attack::Volume, Figure::Correlation(interval, samples)) if alone => {
            below(bounds.correlation, interval.farther(), is_enough(*samples, bounds.least.hours))
        }
        (Expectation::Hides, Attack::Pairs(_), Figure::Auc(interval, _))
            if finding.adversary.contains("and stores") =>
        {
            bounds.with_stores.and_then(|limit| below(limit, interval.high, true))
        }
        (Expectation::Hides, Attack::Decoys, Figure::Auc(interval, _))
            if finding.adversary == store::NAME =>
        {
            bounds.decoys.and_then(|limit| below(limit, interval.high, true))
        }
        (Expectation::Hides, Attack::Decoys, Figure::Auc(interval, _))
            if finding.adversary == one_store::NAME =>
        {
            bounds.decoys_of_one.and_then(|limit| below(limit, interval.high, true))
        }
        (Expectation::Hides, Attack::Chaining, Figure::Auc(interval, _))
            if finding.adversary == store::NAME =>
        {
            bounds.chains.and_then(|limit| below(limit, interval.high, true))
        }
        (Expectation::Hides, Attack::Activity, Figure::Correlation(interval, _)) => {
            let is_enough = seeds >= bounds.least.seeds;
            bounds.activity.and_then(|limit| below(limit, interval.farther(), is_enough))
        }
        (Expectation::Leaks, Attack::Pairs(_), Figure::Auc(interval, _))
        | (Expectation::Leaks, Attack::Volume, Figure::Correlation(interval, _))
            if alone =>
        {
            let works = interval.low >= WORKS;
            Some((format!("≥ {WORKS}"), if works { Verdict::Met } else { Verdict::Passed }))
        }
        _ => None,
    }
}

/// Every bound that is not met, in words.
pub fn broken(expectation: Expectation, findings: &Findings, bounds: Bounds) -> Vec<String> {
    let words = |line: &Finding| {
        let (limit, verdict) = bound(expectation, line, findings.seeds, bounds)?;
        let what = match verdict {
            Verdict::Met => return None,
            Verdict::Passed => format!("{} is not {limit}", told(&line.figure)),
            Verdict::TooFew => format!(
                "{} of {} seeds is too little to say that it is {limit}",
                told(&line.figure),
                findings.seeds
            ),
        };
        let (system, clients, attack) =
            (findings.system, findings.clients, attack_name(line.attack));
        Some(format!("{system}, {clients} clients, {}, {attack}: {what}", line.adversary))
    };
    let mut faults: Vec<String> = findings.lines.iter().filter_map(words).collect();
    if expectation == Expectation::Hides {
        // Where there were no samples at all there is no line that could be held against anything.
        let is_judged = |adversary, is_wanted: fn(Attack) -> bool| {
            findings.lines.iter().any(|line| line.adversary == adversary && is_wanted(line.attack))
        };
        for adversary in BOUNDED {
            if !is_judged(adversary, |attack| matches!(attack, Attack::Pairs(_)))
                || !is_judged(adversary, |attack| attack == Attack::Volume)
            {
                let Findings { system, clients, .. } = findings;
                faults.push(format!(
                    "{system}, {clients} clients, {adversary}: nothing was measured"
                ));
            }
            // What only days give was asked for, and of the same days a day's windows.
            let has_days = findings.lines.iter().any(|line| line.attack == Attack::Presence);
            if has_days && !is_judged(adversary, |attack| attack == Attack::Pairs(DAY)) {
                let Findings { system, clients, .. } = findings;
                faults.push(format!(
                    "{system}, {clients} clients, {adversary}: no window of a day was looked at"
                ));
            }
        }
    }
    faults
}

fn told(figure: &Figure) -> String {
    match figure {
        Figure::Auc(interval, _) | Figure::Correlation(interval, _) => {
            format!("{:.3} [{:.3}, {:.3}]", interval.value, interval.low, interval.high)
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Cost;
    use crate::stats::Interval;

    fn verdict(high: f64, seeds: u64, samples: usize) -> Verdict {
        let figure = Figure::Auc(Interval { value: 0.5, low: 0.49, high }, samples);
        let finding = Finding { adversary: BOUNDED[0], attack: Attack::Pairs(1), figure };
        bound(Expectation::Hides, &finding, seeds, FULL).expect("it has one").1
    }

    #[test]
    fn a_run_that_is_too_small_meets_no_bound() {
        assert_eq!(verdict(0.52, 20, 2_000), Verdict::Met);
        assert_eq!(verdict(0.54, 20, 2_000), Verdict::Passed);
        assert_eq!(verdict(0.52, 19, 2_000), Verdict::TooFew);
        assert_eq!(verdict(0.52, 20, 1_999), Verdict::TooFew);
        assert_eq!(verdict(0.54, 1, 10), Verdict::Passed);
    }

    #[test]
    fn what_stores_tell_is_bounded_and_of_one_store_once_decoys_are_there() {
        let verdict = |adversary, attack, high, bounds| {
            let figure = Figure::Auc(Interval { value: 0.5, low: 0.49, high }, 100);
            let finding = Finding { adversary, attack, figure };
            bound(Expectation::Hides, &finding, 1, bounds).map(|(_, verdict)| verdict)
        };
        let chained = |high| verdict(store::NAME, Attack::Chaining, high, FULL);
        assert_eq!((chained(0.69), chained(0.73)), (Some(Verdict::Met), Some(Verdict::Passed)));
        assert_eq!(verdict(one_store::NAME, Attack::Decoys, 0.56, FULL), None);
        let later = |high| verdict(one_store::NAME, Attack::Decoys, high, FULL.after_hours());
        assert_eq!((later(0.52), later(0.54)), (Some(Verdict::Met), Some(Verdict::Passed)));
    }

    #[test]
    fn what_was_not_measured_at_all_is_not_met() {
        let cost = Cost { bytes_a_month: 0.0, latency: (0.0, 0.0) };
        let empty = Findings { system: "it", clients: 2, seeds: 20, lines: Vec::new(), cost };
        assert_eq!(broken(Expectation::Hides, &empty, FULL).len(), BOUNDED.len());
        assert!(broken(Expectation::Leaks, &empty, FULL).is_empty());
        // Hours alone are not what days were run for.
        let figure = Figure::Auc(Interval { value: 0.5, low: 0.49, high: 0.51 }, 5_000);
        let line = |adversary, attack| Finding { adversary, attack, figure: figure.clone() };
        let hours = |adversary| [Attack::Pairs(1), Attack::Volume].map(|it| line(adversary, it));
        let mut lines: Vec<_> = BOUNDED.into_iter().flat_map(hours).collect();
        let of = |lines: &Vec<Finding>| Findings { lines: lines.clone(), ..empty.clone() };
        assert!(broken(Expectation::Hides, &of(&lines), FULL).is_empty());
        lines.push(line(BOUNDED[0], Attack::Presence));
        assert_eq!(broken(Expectation::Hides, &of(&lines), FULL).len(), BOUNDED.len());
        lines.extend(BOUNDED.map(|adversary| line(adversary, Attack::Pairs(DAY))));
        assert!(broken(Expectation::Hides, &of(&lines), FULL).is_empty());
    }
}
