//! What must be true of the findings.

use crate::adversary::store;
use crate::campaign::{Attack, Figure, Finding, Findings};
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
}

/// The bounds of a full run.
pub const FULL: Bounds =
    Bounds { auc: 0.53, correlation: 0.05, with_stores: None, activity: None, decoys: None };

/// Wider ones, for a run that is small.
pub const QUICK: Bounds = Bounds {
    auc: 0.68,
    correlation: 0.18,
    with_stores: Some(0.80),
    activity: Some(0.2),
    decoys: Some(0.82),
};

/// Those of the production cores in a run that is smaller still.
pub const CORES: Bounds = Bounds {
    auc: 0.75,
    correlation: 0.35,
    with_stores: Some(0.85),
    activity: Some(0.2),
    decoys: Some(0.65),
};

/// What a baseline must leak at least, at the lower end of the interval, so that it is known that the attack works.
pub const WORKS: f64 = 0.9;

/// The adversaries that bounds are set for.
const BOUNDED: [&str; 2] = ["observer of every link", "gateway"];

/// The bound on one finding, if there is one: how it is written, and whether it is met.
pub fn bound(
    expectation: Expectation,
    finding: &Finding,
    bounds: Bounds,
) -> Option<(String, bool)> {
    let below = |limit: f64, value: f64| Some((format!("≤ {limit}"), value <= limit));
    let alone = BOUNDED.contains(&finding.adversary);
    match (expectation, finding.attack, &finding.figure) {
        (Expectation::Hides, Attack::Pairs(_), Figure::Auc(interval, _)) if alone => {
            below(bounds.auc, interval.high)
        }
        (Expectation::Hides, Attack::Volume, Figure::Correlation(interval, _)) if alone => {
            below(bounds.correlation, interval.low.abs().max(interval.high.abs()))
        }
        (Expectation::Hides, Attack::Pairs(_), Figure::Auc(interval, _))
            if finding.adversary.contains("and stores") =>
        {
            bounds.with_stores.and_then(|limit| below(limit, interval.high))
        }
        (Expectation::Hides, Attack::Decoys, Figure::Auc(interval, _))
            if finding.adversary == store::NAME =>
        {
            bounds.decoys.and_then(|limit| below(limit, interval.high))
        }
        (Expectation::Hides, Attack::Activity, Figure::Correlation(interval, _)) => bounds
            .activity
            .and_then(|limit| below(limit, interval.low.abs().max(interval.high.abs()))),
        (Expectation::Leaks, Attack::Pairs(_), Figure::Auc(interval, _))
        | (Expectation::Leaks, Attack::Volume, Figure::Correlation(interval, _))
            if alone =>
        {
            Some((format!("≥ {WORKS}"), interval.low >= WORKS))
        }
        _ => None,
    }
}

/// Every bound that is not met, in words.
pub fn broken(expectation: Expectation, findings: &Findings, bounds: Bounds) -> Vec<String> {
    let words = |line: &Finding| {
        let (limit, met) = bound(expectation, line, bounds)?;
        let who = (findings.system, findings.clients, line.adversary, line.attack);
        (!met).then(|| {
            format!(
                "{}, {} clients, {}, {:?}: {:?} is not {limit}",
                who.0, who.1, who.2, who.3, line.figure
            )
        })
    };
    findings.lines.iter().filter_map(words).collect()
}
