//! The few statistics that the report is made of.

use crate::dice::Dice;

/// A figure with the ends of its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The figure.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// The larger one of the distances of its ends from zero.
    pub fn farther(&self) -> f64 {
        self.low.abs().max(self.high.abs())
    }
}

/// How often seeds are drawn anew for an interval.
const DRAWS: usize = 2_000;

/// Area under the ROC curve: how likely a positive has the higher score; ties count half. 0.5 if a class is empty.
pub fn auc(scores: &[f64], positive: &[bool]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut below, mut wins) = (0.0, 0.0);
    let mut start = 0;
    while start < order.len() {
        let tie = |i: &&usize| scores[**i].total_cmp(&scores[order[start]]).is_eq();
        let group: Vec<usize> = order[start..].iter().take_while(tie).copied().collect();
        let yes = group.iter().filter(|&&i| positive[i]).count() as f64;
        let no = group.len() as f64 - yes;
        wins += yes * (below + no / 2.0);
        below += no;
        start += group.len();
    }
    let yes = positive.iter().filter(|&&p| p).count() as f64;
    if yes == 0.0 || below == 0.0 { 0.5 } else { wins / (yes * below) }
}

/// Pearson's correlation; 0 where one of the two does not vary.
pub fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len().min(y.len()) as f64;
    if n < 2.0 {
        return 0.0;
    }
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        xy += (a - mean_x) * (b - mean_y);
        xx += (a - mean_x).powi(2);
        yy += (b - mean_y).powi(2);
    }
    if xx <= f64::EPSILON || yy <= f64::EPSILON { 0.0 } else { xy / (xx * yy).sqrt() }
}

/// Values as distances from their mean.
pub fn centred(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    values.iter().map(|value| value - mean).collect()
}

/// The mean of one figure a seed, and what it could have been with other seeds: seeds are drawn with replacement,
/// since what is of one seed belongs together.
pub fn bootstrap(by_seed: &[f64]) -> Interval {
    bootstrap_of(by_seed.len(), |seeds| {
        seeds.iter().map(|&seed| by_seed[seed]).sum::<f64>() / seeds.len().max(1) as f64
    })
}

/// The same for a figure that is computed of all drawn seeds together.
pub fn bootstrap_of(seeds: usize, figure: impl Fn(&[usize]) -> f64) -> Interval {
    let all: Vec<usize> = (0..seeds).collect();
    let value = figure(&all);
    let mut dice = Dice::new(1, 0x626f_6f74);
    let mut draws: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let drawn: Vec<usize> = all.iter().map(|_| dice.index(seeds)).collect();
            figure(&drawn)
        })
        .collect();
    draws.sort_by(f64::total_cmp);
    Interval { value, low: quantile(&draws, 0.025), high: quantile(&draws, 0.975) }
}

/// A quantile of sorted values; 0 of none.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((q * last as f64).round() as usize).copied().unwrap_or(0.0)
}

/// Shannon's entropy in bits, of weights that need not add up to one.
pub fn entropy(weights: &[f64]) -> f64 {
    let sum: f64 = weights.iter().sum();
    let one = |w: &f64| if *w > 0.0 { -w / sum * (w / sum).log2() } else { 0.0 };
    if sum > 0.0 { weights.iter().map(one).sum() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_of_known_orders() {
        let positive = [false, false, true, true];
        assert_eq!(auc(&[1.0, 2.0, 3.0, 4.0], &positive), 1.0);
        assert_eq!(auc(&[4.0, 3.0, 2.0, 1.0], &positive), 0.0);
        assert_eq!(auc(&[1.0, 1.0, 1.0, 1.0], &positive), 0.5);
        assert_eq!(auc(&[1.0, 3.0, 2.0, 4.0], &positive), 0.75);
        assert_eq!(auc(&[1.0], &[true]), 0.5);
    }

    #[test]
    fn correlation_of_known_lines() {
        assert!((correlation(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]) - 1.0).abs() < 1e-12);
        assert!((correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        assert_eq!(correlation(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
    }

    #[test]
    fn an_interval_holds_its_figure_and_narrows_with_seeds() {
        let mut dice = Dice::new(3, 0);
        let few: Vec<f64> = (0..10).map(|_| dice.normal()).collect();
        let many: Vec<f64> = (0..1000).map(|_| dice.normal()).collect();
        let (few, many) = (bootstrap(&few), bootstrap(&many));
        assert!(few.low < few.value && few.value < few.high);
        assert!(many.high - many.low < 0.2 && few.high - few.low > 0.6);
    }

    #[test]
    fn entropy_of_known_weights() {
        assert_eq!(entropy(&[1.0, 1.0, 1.0, 1.0]), 2.0);
        assert_eq!(entropy(&[5.0, 0.0]), 0.0);
        assert_eq!(entropy(&[]), 0.0);
    }
}
