//! What is looked at of one person in one hour, to guess how many messages were written and received.

use crate::signals::{Curve, Signals};

/// The features, always as many.
pub fn features(signals: &Signals) -> Vec<f64> {
    let none = Curve::default();
    let curves = [
        &signals.out,
        &signals.into,
        &signals.out_large,
        &signals.into_large,
        &signals.into_small,
        &signals.net,
        signals.wrote.as_ref().unwrap_or(&none),
        signals.got.as_ref().unwrap_or(&none),
    ];
    let mut all = Vec::new();
    for curve in curves {
        all.push(squashed(curve.total));
        all.extend(curve.dispersion.map(squashed));
        all.push(squashed(curve.peak));
    }
    all
}

fn squashed(x: f64) -> f64 {
    x.asinh()
}
