//! How much all of them say together, minute by minute, from what goes on between nodes.
//!
//! Client streams do not show it. Links between stores do, if they are used only when a box is copied, and so do
//! the packets that stores send of their own accord, if nothing pads those links.

use std::collections::BTreeMap;

use crate::learn::Table;
use crate::record::{HOUR, Kind, Micros, Observer, SECOND, Seen};
use crate::traffic::Traffic;

/// Minutes of an hour.
const MINUTES: usize = 60;
const MINUTE: Micros = 60 * SECOND;

/// Counts frames of each kind.
#[derive(Debug, Default)]
pub struct Activity {
    /// The first hour that is looked at.
    first: u64,
    /// For each minute from then on: of client links, of packets and of copies between nodes.
    minutes: Vec<[f64; 3]>,
}

impl Activity {
    /// Of so many hours of a run, after the first ones.
    pub fn new(warm_up: u32, hours: u32) -> Self {
        Self { first: warm_up.into(), minutes: vec![[0.0; 3]; hours as usize * MINUTES] }
    }

    /// A sample for each minute: frames, and messages written in it. Both as differences from their mean over the
    /// hour: that evenings are busier everybody knows. And of both what is beyond the share of those who are online
    /// in that minute: that more is said where there are more people to say it everybody knows too, and who is online no
    /// cover hides.
    pub fn samples(&self, traffic: &Traffic, seed: u64) -> Table {
        let mut present = Vec::new();
        let mut said = Vec::new();
        let mut frames = [const { Vec::new() }; 3];
        for (nth, minutes) in self.minutes.chunks(MINUTES).enumerate() {
            let start = (self.first + nth as u64) * HOUR;
            let at = |minute: usize| start + minute as u64 * MINUTE;
            present.extend(beyond_mean(minutes, |minute, _| online(traffic, at(minute))));
            let written = |minute, _: &_| traffic.between(at(minute), at(minute) + MINUTE).len();
            said.extend(beyond_mean(minutes, |minute, each| written(minute, each) as f64));
            for (kind, frames) in frames.iter_mut().enumerate() {
                frames.extend(beyond_mean(minutes, |_, counts| counts[kind]));
            }
        }
        beyond(&present, &mut said);
        for each in &mut frames {
            beyond(&present, each);
        }
        let mut table = Table::default();
        for (minute, said) in said.into_iter().enumerate() {
            table.add(frames.iter().map(|each| each[minute]).collect(), said, seed);
        }
        table
    }
}

/// Samples less the mean of the same minute of other runs. All runs begin alike: in the first minute everybody connects and
/// hardly anybody has said anything. That is the script's, and nobody's who is listened to.
pub fn beyond_script(others: &Table, these: &Table) -> Table {
    let script = script(others);
    let mut beyond = these.clone();
    for (index, minute) in minutes(these).into_iter().enumerate() {
        let Some((frames, said)) = script.get(minute) else { continue };
        beyond.labels[index] -= said;
        beyond.rows[index].iter_mut().zip(frames).for_each(|(seen, mean)| *seen -= mean);
    }
    beyond
}

/// Which minute of its run each sample is of.
fn minutes(table: &Table) -> Vec<usize> {
    let mut next: BTreeMap<u64, usize> = BTreeMap::new();
    let seeds = table.seeds.iter();
    seeds
        .map(|seed| {
            let next = next.entry(*seed).or_default();
            *next += 1;
            *next - 1
        })
        .collect()
}

/// The mean of each minute over runs: of frames, and of what was said.
fn script(table: &Table) -> Vec<(Vec<f64>, f64)> {
    let mut sums: Vec<(Vec<f64>, f64)> = Vec::new();
    let runs = table.runs().len() as f64;
    for (index, minute) in minutes(table).into_iter().enumerate() {
        let row = &table.rows[index];
        if sums.len() <= minute {
            sums.resize(minute + 1, (vec![0.0; row.len()], 0.0));
        }
        let (frames, said) = &mut sums[minute];
        frames.iter_mut().zip(row).for_each(|(sum, seen)| *sum += seen / runs);
        *said += table.labels[index] / runs;
    }
    sums
}

/// Something of each minute of an hour, as the difference from its mean.
fn beyond_mean(minutes: &[[f64; 3]], of: impl Fn(usize, &[f64; 3]) -> f64) -> Vec<f64> {
    let each: Vec<f64> =
        minutes.iter().enumerate().map(|(minute, counts)| of(minute, counts)).collect();
    let mean = each.iter().sum::<f64>() / each.len() as f64;
    each.into_iter().map(|value| value - mean).collect()
}

/// Leaves of each value what a multiple of the other does not explain (least squares).
fn beyond(other: &[f64], values: &mut [f64]) {
    let both = values.iter().zip(other).map(|(value, other)| value * other).sum::<f64>();
    let share = both / other.iter().map(|other| other * other).sum::<f64>().max(1e-9);
    for (value, other) in values.iter_mut().zip(other) {
        *value -= share * other;
    }
}

/// How many are online in a minute, on average over some of its moments.
fn online(traffic: &Traffic, from: Micros) -> f64 {
    const MOMENTS: u64 = 6;
    let moments = (0..MOMENTS).map(|moment| from + moment * MINUTE / MOMENTS);
    let count =
        |at| (0..traffic.shape.clients).filter(|client| traffic.is_online(*client, at)).count();
    moments.map(count).sum::<usize>() as f64 / MOMENTS as f64
}

impl Observer for Activity {
    fn watches(&self, _client: u32, _hour: u32) -> bool {
        false
    }

    fn seen(&mut self, seen: &Seen) {
        let kind = match seen.kind {
            Kind::Client | Kind::Control => 0,
            Kind::Packet => 1,
            Kind::Replica => 2,
        };
        let Some(at) = seen.at_micros.checked_sub(self.first * HOUR) else { return };
        if let Some(minute) = self.minutes.get_mut((at / MINUTE) as usize) {
            minute[kind] += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;
    use crate::traffic::Shape;

    /// More is said where more are online, and they send more. Whoever sees only how many that are has not seen what they say.
    #[test]
    fn how_many_are_online_is_neither_what_is_seen_nor_what_is_said() {
        let (hours, seed) = (6, 3);
        let shape = Shape { first_hour: 17, ..Shape::talkative(60, hours) };
        let traffic = Traffic::new(shape, seed);
        let mut activity = Activity::new(0, hours);
        let mut dice = Dice::new(seed, 7);
        let here = |minute| online(&traffic, minute * MINUTE);
        for (minute, frames) in (0..).zip(&mut activity.minutes) {
            *frames = [60.0 * here(minute), 0.0, dice.unit()];
        }
        let table = activity.samples(&traffic, seed);
        let minutes = activity.minutes.len();
        assert_eq!(table.rows.len(), minutes);
        let means = |hour: usize| {
            (0..60).map(|minute| here((60 * hour + minute) as u64)).sum::<f64>() / 60.0
        };
        let present: Vec<f64> =
            (0..minutes).map(|minute| here(minute as u64) - means(minute / 60)).collect();
        let tells = |values: &mut dyn Iterator<Item = f64>| {
            let (mut both, mut size) = (0.0, 0.0);
            for (value, here) in values.zip(&present) {
                both += value * here;
                size += value * value;
            }
            (both, size)
        };
        let squares: f64 = present.iter().map(|here| here * here).sum();
        assert!(squares > 1.0, "people come and go: {squares}");
        let (told, said) = tells(&mut table.labels.iter().copied());
        assert!(said > 1.0 && told.abs() < 1e-6 * (said * squares).sqrt(), "{told}, {said}");
        let (_, of_clients) = tells(&mut table.rows.iter().map(|row| row[0]));
        assert!(of_clients < 1e-6, "their links show them and nothing else: {of_clients}");
        let (told, copies) = tells(&mut table.rows.iter().map(|row| row[2]));
        assert!(copies > 1.0 && told.abs() < 1e-6 * (copies * squares).sqrt(), "{told}, {copies}");
    }

    /// All runs begin with a crowd that connects and says nothing; beyond that, what is seen goes with what is said, or does not.
    #[test]
    fn what_all_runs_do_in_one_minute_is_the_scripts() {
        let runs = |told: f64| {
            let (mut table, mut dice) = (Table::default(), Dice::new(4, 9));
            for seed in 0..30 {
                for minute in 0..60 {
                    let begins = f64::from(u8::from(minute == 0));
                    let said = dice.normal() - 40.0 * begins;
                    table.add(vec![dice.normal() + told * said + 900.0 * begins], said, seed);
                }
            }
            let beyond = beyond_script(&table, &table);
            let of = |table: &Table| {
                let seen: Vec<f64> = table.rows.iter().map(|row| row[0]).collect();
                crate::stats::correlation(&seen, &table.labels)
            };
            (of(&table), of(&beyond))
        };
        let (as_it_is, beyond) = runs(0.0);
        assert!(as_it_is < -0.9 && beyond.abs() < 0.08, "{as_it_is}, {beyond}");
        assert!(runs(1.0).1 > 0.6);
    }
}
