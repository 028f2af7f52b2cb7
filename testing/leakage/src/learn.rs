//! The attackers' learning: fits on some seeds, judges on others.
//!
//! Learners that fail in different ways: ridge regression, which adds up many weak signs, a random forest, which finds thresholds and
//! combinations, and, where signs are few, boosted trees, each of which learns what those before it got wrong. Which of them is used
//! is decided on seeds of the training set.

use serde::{Deserialize, Serialize};
use smartcore::ensemble::random_forest_regressor::{
    RandomForestRegressor, RandomForestRegressorParameters,
};
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::ridge_regression::{RidgeRegression, RidgeRegressionParameters};
use smartcore::xgboost::{XGRegressor, XGRegressorParameters};

use crate::stats;

type Matrix = DenseMatrix<f64>;

/// Samples with their labels, and the seed that each is of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Table {
    /// Features, equally many of each sample.
    pub rows: Vec<Vec<f64>>,
    /// What is to be guessed: 0 or 1 for classes.
    pub labels: Vec<f64>,
    /// The seed of the run that a sample is from.
    pub seeds: Vec<u64>,
}

/// How often the seeds are divided: a model learns from all parts but the one that it is judged by.
const FOLDS: usize = 4;

/// Trees of a forest, their depth, and the fewest samples at a leaf.
const TREES: usize = 80;
const DEPTH: u16 = 8;
const LEAF: usize = 8;

/// Boosted trees, their depth, how much of what is left each corrects, the share of the samples that it learns from, and the fewest at a leaf.
const STEPS: usize = 80;
const STEP_DEPTH: u16 = 5;
const RATE: f64 = 0.1;
const SHARE: f64 = 0.4;
const STEP_LEAF: usize = 20;

/// Of more columns boosting takes too long, and of one it finds no more than a forest.
const BOOSTED: std::ops::RangeInclusive<usize> = 2..=40;

/// Penalty of the ridge, for each sample.
const PENALTY: f64 = 0.05;

/// What a guess is worth: larger is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Telling two classes apart: AUC.
    Classes,
    /// Estimating a number: correlation.
    Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Learner {
    Ridge,
    Forest,
    Boosted,
}

/// A fitted model with the scaling that it was fitted under.
struct Model {
    kept: Vec<(usize, f64, f64)>,
    fitted: Fitted,
}

enum Fitted {
    Ridge(RidgeRegression<f64, f64, Matrix, Vec<f64>>),
    Forest(RandomForestRegressor<f64, f64, Matrix, Vec<f64>>),
    Boosted(XGRegressor<f64, f64, Matrix, Vec<f64>>),
    /// Where nothing varies, nothing can be learned.
    Nothing,
}

impl Table {
    /// Adds a sample.
    pub fn add(&mut self, row: Vec<f64>, label: f64, seed: u64) {
        self.rows.push(row);
        self.labels.push(label);
        self.seeds.push(seed);
    }

    /// Adds another table's samples.
    pub fn append(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.labels.extend(other.labels);
        self.seeds.extend(other.seeds);
    }

    /// The same samples with one of their features only.
    #[must_use]
    pub fn column(&self, place: usize) -> Self {
        let rows = self.rows.iter().map(|row| vec![row[place]]).collect();
        Self { rows, labels: self.labels.clone(), seeds: self.seeds.clone() }
    }

    /// The different seeds, in order.
    pub fn runs(&self) -> Vec<u64> {
        let mut runs = self.seeds.clone();
        runs.sort_unstable();
        runs.dedup();
        runs
    }

    /// Features and labels as distances from their means in their run.
    #[must_use]
    pub fn centred(&self) -> Self {
        let mut all = self.clone();
        for run in self.runs() {
            let mine: Vec<usize> = (0..self.rows.len()).filter(|&i| self.seeds[i] == run).collect();
            let labels: Vec<f64> = mine.iter().map(|&i| self.labels[i]).collect();
            for (&i, label) in mine.iter().zip(stats::centred(&labels)) {
                all.labels[i] = label;
            }
            for column in 0..self.rows.first().map_or(0, Vec::len) {
                let values: Vec<f64> = mine.iter().map(|&i| self.rows[i][column]).collect();
                for (&i, value) in mine.iter().zip(stats::centred(&values)) {
                    all.rows[i][column] = value;
                }
            }
        }
        all
    }

    fn of(&self, seeds: &[u64]) -> Self {
        let mut some = Self::default();
        for (row, (&label, &seed)) in self.rows.iter().zip(self.labels.iter().zip(&self.seeds)) {
            if seeds.contains(&seed) {
                some.add(row.clone(), label, seed);
            }
        }
        some
    }

    fn judged(&self, scores: &[f64], goal: Goal) -> f64 {
        match goal {
            Goal::Classes => {
                let positive: Vec<bool> = self.labels.iter().map(|&label| label > 0.5).collect();
                stats::auc(scores, &positive)
            }
            Goal::Number => stats::correlation(scores, &self.labels),
        }
    }

    /// A score for each sample, by a model that has seen no sample of the same seed.
    pub fn cross_fitted(&self, goal: Goal) -> Vec<f64> {
        self.cross_fitted_beyond(goal, |_, these| these.clone())
    }

    /// The same of samples (the second argument of `beyond`) from which it takes what those that are learned from (its first
    /// argument) have in common.
    pub fn cross_fitted_beyond(
        &self,
        goal: Goal,
        beyond: impl Fn(&Self, &Self) -> Self,
    ) -> Vec<f64> {
        self.judging(self, goal, beyond)
    }

    /// A score for each of other samples of the same runs, by a model that has learned from these, and from none of the same seed.
    pub fn judge(&self, others: &Self, goal: Goal) -> Vec<f64> {
        self.judging(others, goal, |_, these| these.clone())
    }

    fn judging(
        &self,
        others: &Self,
        goal: Goal,
        beyond: impl Fn(&Self, &Self) -> Self,
    ) -> Vec<f64> {
        let runs = self.runs();
        let folds = FOLDS.min(runs.len());
        let mut scores = vec![0.0; others.rows.len()];
        for fold in 0..folds {
            let test: Vec<u64> = runs.iter().copied().skip(fold).step_by(folds).collect();
            let train: Vec<u64> =
                runs.iter().copied().filter(|seed| !test.contains(seed)).collect();
            let train = self.of(&train);
            let model = best(&beyond(&train, &train), goal);
            let judged = beyond(&train, &others.of(&test));
            let rows: Vec<&[f64]> = judged.rows.iter().map(Vec::as_slice).collect();
            let mine = (0..others.rows.len()).filter(|&i| test.contains(&others.seeds[i]));
            for (index, score) in mine.zip(model.scores(&rows)) {
                scores[index] = score;
            }
        }
        scores
    }

    /// For each seed, how well the scores of its samples tell the classes apart.
    pub fn auc_by_seed(&self, scores: &[f64]) -> Vec<f64> {
        let one = |seed: u64| {
            let mine: Vec<usize> =
                (0..self.rows.len()).filter(|&i| self.seeds[i] == seed).collect();
            let scores: Vec<f64> = mine.iter().map(|&i| scores[i]).collect();
            let positive: Vec<bool> = mine.iter().map(|&i| self.labels[i] > 0.5).collect();
            stats::auc(&scores, &positive)
        };
        self.runs().into_iter().map(one).collect()
    }
}

/// The learner that does better on a quarter of the training seeds, fitted on all of them.
fn best(train: &Table, goal: Goal) -> Model {
    let runs = train.runs();
    let (inner, outer): (Vec<_>, Vec<_>) = runs.iter().partition(|&&seed| {
        let place = runs.iter().position(|&run| run == seed).unwrap_or(0);
        place % 4 != 3
    });
    let trial = |learner: Learner| {
        let (fit, judge) = (train.of(&inner), train.of(&outer));
        let rows: Vec<&[f64]> = judge.rows.iter().map(Vec::as_slice).collect();
        judge.judged(&Model::fit(&fit, learner).scores(&rows), goal)
    };
    if outer.is_empty() {
        return Model::fit(train, Learner::Ridge);
    }
    let columns = train.rows.first().map_or(0, Vec::len);
    let mut learners = vec![Learner::Ridge, Learner::Forest];
    learners.extend(BOOSTED.contains(&columns).then_some(Learner::Boosted));
    let judged = learners.iter().map(|&learner| (trial(learner), learner));
    let best = judged.reduce(|best, next| if next.0 > best.0 { next } else { best });
    Model::fit(train, best.map_or(Learner::Ridge, |(_, learner)| learner))
}

impl Model {
    fn fit(table: &Table, learner: Learner) -> Self {
        let kept = telling(varying(&table.rows), table);
        let mut model = Self { kept, fitted: Fitted::Nothing };
        let rows: Vec<&[f64]> = table.rows.iter().map(Vec::as_slice).collect();
        if let Some(matrix) = model.matrix(&rows) {
            model.fitted = fitted(&matrix, &table.labels, learner).unwrap_or(Fitted::Nothing);
        }
        model
    }

    /// The columns that vary, scaled; none if there are no rows or no such columns.
    fn matrix(&self, rows: &[&[f64]]) -> Option<Matrix> {
        let scaled = |row: &&[f64]| -> Vec<f64> {
            self.kept.iter().map(|&(column, mean, spread)| (row[column] - mean) / spread).collect()
        };
        let all: Vec<Vec<f64>> = rows.iter().map(scaled).collect();
        if self.kept.is_empty() { None } else { DenseMatrix::from_2d_vec(&all).ok() }
    }

    fn scores(&self, rows: &[&[f64]]) -> Vec<f64> {
        let predicted = self.matrix(rows).and_then(|matrix| match &self.fitted {
            Fitted::Ridge(model) => model.predict(&matrix).ok(),
            Fitted::Forest(model) => model.predict(&matrix).ok(),
            Fitted::Boosted(model) => model.predict(&matrix).ok(),
            Fitted::Nothing => None,
        });
        predicted.unwrap_or_else(|| vec![0.0; rows.len()])
    }
}

/// The columns that are not the same in all rows, with mean and deviation.
fn varying(rows: &[Vec<f64>]) -> Vec<(usize, f64, f64)> {
    let n = rows.len() as f64;
    let one = |column: usize| {
        let mean = rows.iter().map(|row| row[column]).sum::<f64>() / n;
        let square = rows.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / n;
        (square.sqrt() > 1e-9).then_some((column, mean, square.sqrt()))
    };
    (0..rows.first().map_or(0, Vec::len)).filter_map(one).collect()
}

/// Of as many columns as samples or more, those that go with the labels most, half as many as samples: ridge regression takes no
/// more, and whoever has few samples is not thereby blind.
fn telling(mut columns: Vec<(usize, f64, f64)>, table: &Table) -> Vec<(usize, f64, f64)> {
    let most = table.rows.len() / 2;
    if columns.len() >= table.rows.len() {
        let goes_with = |&(column, ..): &(usize, f64, f64)| {
            let values: Vec<f64> = table.rows.iter().map(|row| row[column]).collect();
            stats::correlation(&values, &table.labels).abs()
        };
        let mut ranked: Vec<_> = columns.iter().map(|one| (goes_with(one), *one)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        columns = ranked.into_iter().take(most).map(|(_, one)| one).collect();
    }
    columns
}

fn fitted(matrix: &Matrix, labels: &Vec<f64>, learner: Learner) -> Option<Fitted> {
    match learner {
        Learner::Ridge => {
            let alpha = PENALTY * labels.len() as f64;
            let parameters =
                RidgeRegressionParameters::default().with_alpha(alpha).with_normalize(false);
            RidgeRegression::fit(matrix, labels, parameters).ok().map(Fitted::Ridge)
        }
        Learner::Forest => {
            let parameters = RandomForestRegressorParameters::default()
                .with_n_trees(TREES)
                .with_max_depth(DEPTH)
                .with_min_samples_leaf(LEAF)
                .with_seed(1);
            RandomForestRegressor::fit(matrix, labels, parameters).ok().map(Fitted::Forest)
        }
        Learner::Boosted => {
            let parameters = XGRegressorParameters::default()
                .with_n_estimators(STEPS)
                .with_max_depth(STEP_DEPTH)
                .with_learning_rate(RATE)
                .with_subsample(SHARE)
                .with_min_child_weight(STEP_LEAF)
                .with_seed(1);
            XGRegressor::fit(matrix, labels, parameters).ok().map(Fitted::Boosted)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    /// Two classes in `columns` features, the first of which says something by `shift` deviations.
    fn table(columns: usize, shift: f64) -> Table {
        let mut dice = Dice::new(4, 0);
        let mut table = Table::default();
        for seed in 0..8 {
            for sample in 0..60 {
                let label = f64::from(sample % 2);
                let mut row: Vec<f64> = (0..columns).map(|_| dice.normal()).collect();
                row[0] += shift * label;
                row.push(3.0);
                table.add(row, label, seed);
            }
        }
        table
    }

    #[test]
    fn fewer_samples_than_features_are_enough_for_what_is_plain() {
        let all = table(100, 6.0);
        let mut few = Table::default();
        for (place, row) in all.rows.iter().take(96).enumerate() {
            few.add(row.clone(), all.labels[place], place as u64 / 24);
        }
        assert!(measured(&few).value > 0.8, "{:?}", measured(&few));
    }

    fn measured(table: &Table) -> stats::Interval {
        stats::bootstrap(&table.auc_by_seed(&table.cross_fitted(Goal::Classes)))
    }

    #[test]
    fn what_is_there_is_found_among_noise() {
        let found = measured(&table(30, 2.0));
        assert!(found.low > 0.85, "{found:?}");
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let found = measured(&table(30, 0.0));
        assert!((0.42..0.58).contains(&found.value), "{found:?}");
    }

    /// Neither of two signs says anything without the other.
    #[test]
    fn what_two_signs_say_together_is_found() {
        let mut table = table(8, 0.0);
        for (row, label) in table.rows.iter_mut().zip(&table.labels) {
            let is_same = (row[1] > 0.0) == (row[2] > 0.0);
            row[2] *= if is_same == (*label > 0.5) { 1.0 } else { -1.0 };
        }
        assert!(measured(&table.column(2)).value < 0.6);
        // Of other seeds than those that it has learned from.
        let (known, judged) = (table.of(&[0, 1, 2, 3, 4, 5]), table.of(&[6, 7]));
        let rows: Vec<&[f64]> = judged.rows.iter().map(Vec::as_slice).collect();
        let boosted = Model::fit(&known, Learner::Boosted);
        let found = judged.judged(&boosted.scores(&rows), Goal::Classes);
        assert!(found > 0.85, "{found}");
    }

    #[test]
    fn a_threshold_in_the_middle_is_found() {
        // Symmetric around zero: no line finds it, a forest does.
        let mut table = table(3, 0.0);
        for (row, label) in table.rows.iter_mut().zip(&table.labels) {
            row[1] *= if *label > 0.5 { 4.0 } else { 0.5 };
        }
        assert!(measured(&table).low > 0.8);
    }

    #[test]
    fn numbers_are_estimated() {
        let mut table = table(10, 0.0);
        for (row, label) in table.rows.iter().zip(&mut table.labels) {
            *label = 3.0 * row[2] + row[3];
        }
        let scores = table.cross_fitted(Goal::Number);
        assert!(stats::correlation(&scores, &table.labels) > 0.9);
    }
}
