//! What is compared of two people: the features of the pair classifier.
//!
//! Each is a correlation over a window, in standard deviations of what chance gives: of what one sends with what
//! the other gets some time later, of what both send, of what both get; at several widths and lags, both
//! ways. Both ways become their sum and the smaller one, since a pair has no order.

use crate::plan::Window;
use crate::signals::{Curve, Signals, product};

/// One comparison: which curves, at which scale, over which lags.
#[derive(Clone, Copy)]
struct Comparison {
    name: &'static str,
    of: Pick,
    with: Pick,
    /// 0 for fine bins, otherwise the coarse scale's number and one.
    scale: usize,
    /// First and last lag, in bins.
    lags: (isize, isize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pick {
    Out,
    In,
    OutLarge,
    InLarge,
    InSmall,
    Net,
    Wrote,
    Got,
}

const fn compare(
    name: &'static str,
    of: Pick,
    with: Pick,
    scale: usize,
    lags: (isize, isize),
) -> Comparison {
    Comparison { name, of, with, scale, lags }
}

const COMPARISONS: &[Comparison] = &[
    compare("out-in 0.25 s", Pick::Out, Pick::In, 0, (0, 12)),
    compare("out-in 1 s", Pick::OutLarge, Pick::InLarge, 1, (0, 15)),
    compare("out-ack 1 s", Pick::OutLarge, Pick::InSmall, 1, (0, 3)),
    compare("out-in 5 s", Pick::Out, Pick::In, 2, (-2, 6)),
    compare("out-in 30 s", Pick::Out, Pick::In, 3, (-1, 2)),
    compare("out-in 300 s", Pick::Out, Pick::In, 4, (0, 0)),
    compare("out-out 30 s", Pick::Out, Pick::Out, 3, (0, 1)),
    compare("out-out 300 s", Pick::Out, Pick::Out, 4, (0, 0)),
    compare("in-in 5 s", Pick::In, Pick::In, 2, (0, 2)),
    compare("in-in 30 s", Pick::In, Pick::In, 3, (0, 1)),
    compare("in-in 300 s", Pick::In, Pick::In, 4, (0, 0)),
    compare("net 1 s", Pick::Net, Pick::Net, 1, (-1, 1)),
    compare("net 5 s", Pick::Net, Pick::Net, 2, (-6, 6)),
    compare("net 30 s", Pick::Net, Pick::Net, 3, (-2, 2)),
    compare("net 300 s", Pick::Net, Pick::Net, 4, (0, 0)),
    compare("wrote-got 1 s", Pick::Wrote, Pick::Got, 1, (0, 15)),
    compare("wrote-got 5 s", Pick::Wrote, Pick::Got, 2, (-2, 6)),
    compare("wrote-wrote 30 s", Pick::Wrote, Pick::Wrote, 3, (-1, 2)),
    compare("wrote-wrote 300 s", Pick::Wrote, Pick::Wrote, 4, (0, 0)),
    compare("got-got 5 s", Pick::Got, Pick::Got, 2, (-6, 6)),
    compare("got-got 30 s", Pick::Got, Pick::Got, 3, (-2, 2)),
    compare("got-got 300 s", Pick::Got, Pick::Got, 4, (0, 0)),
];

/// What is compared in windows of more than an hour besides: messages that take minutes, of which an hour has too few.
const SLOW: &[Comparison] = &[
    compare("out-in 30 s, later", Pick::Out, Pick::In, 3, (3, 5)),
    compare("wrote-got 30 s", Pick::Wrote, Pick::Got, 3, (-1, 4)),
    compare("wrote-got 300 s", Pick::Wrote, Pick::Got, 4, (0, 0)),
];

/// All that is compared in a window.
fn comparisons(window: Window) -> impl Iterator<Item = &'static Comparison> {
    let slow = if window.hours > 1 { SLOW } else { &[] };
    COMPARISONS.iter().chain(slow)
}

/// Evidence about a pair that is not a correlation of curves, summed over a window.
pub const EVIDENCE: usize = 4;

impl Comparison {
    fn bins<'a>(&self, curve: &'a Curve) -> &'a [f32] {
        match self.scale {
            0 => &curve.fine,
            scale => &curve.coarse[scale - 1],
        }
    }

    fn lags(&self) -> usize {
        (self.lags.1 - self.lags.0 + 1) as usize
    }
}

fn pick(signals: &Signals, which: Pick) -> Option<&Curve> {
    match which {
        Pick::Out => Some(&signals.out),
        Pick::In => Some(&signals.into),
        Pick::OutLarge => Some(&signals.out_large),
        Pick::InLarge => Some(&signals.into_large),
        Pick::InSmall => Some(&signals.into_small),
        Pick::Net => Some(&signals.net),
        Pick::Wrote => signals.wrote.as_ref(),
        Pick::Got => signals.got.as_ref(),
    }
}

/// Sums of one comparison in one direction over the hours of a window.
#[derive(Clone, Default)]
struct Sums {
    products: Vec<f64>,
    squares: (f64, f64),
    bins: f64,
}

/// Everything that is summed about a pair and a window: additive over hours, so that no hour is kept.
#[derive(Clone)]
pub struct PairSums {
    window: Window,
    /// Each comparison, there and back.
    sums: Vec<[Sums; 2]>,
    /// Frames of each hour, of both.
    hours: Vec<(f64, f64)>,
    evidence: [f64; EVIDENCE],
}

impl PairSums {
    /// Nothing seen yet.
    pub fn new(window: Window) -> Self {
        let sums = vec![<[Sums; 2]>::default(); comparisons(window).count()];
        Self { window, sums, hours: Vec::new(), evidence: [0.0; EVIDENCE] }
    }

    /// Adds an hour of two people.
    pub fn add(&mut self, a: &Signals, b: &Signals, evidence: [f64; EVIDENCE]) {
        for (comparison, both) in comparisons(self.window).zip(&mut self.sums) {
            for (sums, (x, y)) in both.iter_mut().zip([(a, b), (b, a)]) {
                if let (Some(x), Some(y)) = (pick(x, comparison.of), pick(y, comparison.with)) {
                    add(sums, comparison, x, y);
                }
            }
        }
        self.hours.push((a.out.total + a.into.total, b.out.total + b.into.total));
        for (sum, more) in self.evidence.iter_mut().zip(evidence) {
            *sum += more;
        }
    }

    /// The features; the same number for every window of as many hours.
    pub fn features(&self) -> Vec<f64> {
        let mut features = Vec::new();
        for (comparison, [there, back]) in comparisons(self.window).zip(&self.sums) {
            let (there, back) =
                (summary(there, comparison.lags()), summary(back, comparison.lags()));
            for (x, y) in there.into_iter().zip(back) {
                features.push(squashed(x + y));
                features.push(squashed(x.min(y)));
            }
        }
        features.push(if self.window.hours > 1 { squashed(hourly(&self.hours)) } else { 0.0 });
        features.extend(self.evidence.map(squashed));
        features
    }

    /// Their names.
    pub fn names(window: Window) -> Vec<String> {
        let mut names = Vec::new();
        for comparison in comparisons(window) {
            for part in parts(comparison.lags()) {
                for way in ["both ways", "weaker way"] {
                    names.push(format!("{} {part} {way}", comparison.name));
                }
            }
        }
        names.push("hours".into());
        names.extend((0..EVIDENCE).map(|nth| format!("evidence {nth}")));
        names
    }
}

fn add(sums: &mut Sums, comparison: &Comparison, x: &Curve, y: &Curve) {
    let (x, y) = (comparison.bins(x), comparison.bins(y));
    sums.products.resize(comparison.lags(), 0.0);
    for (sum, lag) in sums.products.iter_mut().zip(comparison.lags.0..=comparison.lags.1) {
        *sum += product(x, y, lag);
    }
    sums.squares.0 += product(x, x, 0);
    sums.squares.1 += product(y, y, 0);
    sums.bins += x.len() as f64;
}

/// How many figures a comparison gives, by what they are.
fn parts(lags: usize) -> &'static [&'static str] {
    match lags {
        0..=3 => &["sum", "largest"],
        _ => &["sum", "largest", "first third", "second third", "last third"],
    }
}

/// The lags of one direction in few figures: a narrow answer shows in the largest, a wide one in the sums.
fn summary(sums: &Sums, lags: usize) -> Vec<f64> {
    let scale = (sums.squares.0 * sums.squares.1).sqrt();
    let z: Vec<f64> = if scale > 0.0 {
        sums.products.iter().map(|product| product / scale * sums.bins.sqrt()).collect()
    } else {
        vec![0.0; lags]
    };
    let sum = |z: &[f64]| z.iter().sum::<f64>() / (z.len().max(1) as f64).sqrt();
    let largest = z.iter().copied().fold(f64::MIN, f64::max);
    let mut all = vec![sum(&z), largest];
    if parts(lags).len() > 2 {
        let third = lags.div_ceil(3);
        all.extend(z.chunks(third).map(sum));
        all.resize(parts(lags).len(), 0.0);
    }
    all
}

/// Correlation of two people's frames over the hours of a window, times the root of their number.
fn hourly(hours: &[(f64, f64)]) -> f64 {
    let (x, y): (Vec<f64>, Vec<f64>) = hours.iter().copied().unzip();
    crate::stats::correlation(&x, &y) * (hours.len() as f64).sqrt()
}

/// Keeps very clear cases from deciding everything.
fn squashed(x: f64) -> f64 {
    x.asinh()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_a_name() {
        for hours in [1, 24] {
            let window = Window { start: 0, hours };
            assert_eq!(PairSums::new(window).features().len(), PairSums::names(window).len());
            let mut some = PairSums::new(window);
            let online = vec![true; crate::signals::SECONDS];
            let signals = Signals::new(&crate::signals::Counts::default(), &online);
            some.add(&signals, &signals, [0.0; EVIDENCE]);
            assert_eq!(some.features().len(), PairSums::names(window).len());
            assert!(some.features().iter().all(|x| x.is_finite()));
        }
    }
}
