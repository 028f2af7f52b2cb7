//! A contact that writes every minute and learns when that comes: does the delay say how busy somebody is with others?

use std::collections::{BTreeMap, BTreeSet};

use crate::dice::Dice;
use crate::learn::Table;
use crate::plan::Plan;
use crate::record::{HOUR, Micros, SECOND};
use crate::systems::{Truth, secs};
use crate::traffic::{Message, Traffic, overlap};

/// What it sees, in the words of the report.
pub const NAME: &str = "contact that probes";

/// See [`crate::adversary::Lens::sees`].
pub const SEES: &str = "What a contact sees: when the receipts of its own messages to somebody come. Besides, it is told when each of \
    them came there, to the microsecond, which no contact knows. It writes every minute for fifty minutes, and guesses from the delays of \
    both how much the other one talks with others. It sees no link and runs no node.";

/// Between two probes, and how many there are in an hour: the last ones have ten minutes to come.
const EVERY: Micros = 60 * SECOND;
const COUNT: u64 = 50;

/// Who probes whom in which hour, and the traffic with it.
pub struct Probes {
    /// What everybody does, and the probes.
    pub traffic: Traffic,
    /// For each probed person's hour: the places of the probes in the traffic, and how much it says to others.
    hours: Vec<(Vec<usize>, u32)>,
}

impl Probes {
    /// Adds probes in people's hours of a plan, from a contact that is online. Nobody probes two people in one hour, nor probes and is
    /// probed; each begins at a moment of its own.
    pub fn new(traffic: &Traffic, plan: &Plan, seed: u64) -> Self {
        let (mut busy, mut dice) = (BTreeSet::new(), Dice::new(seed, 0x7072_6f62));
        let mut all: Vec<(Message, Option<usize>)> =
            traffic.messages.iter().map(|message| (*message, None)).collect();
        let mut said = Vec::new();
        for sample in &plan.people {
            let (from, until) = (u64::from(sample.hour) * HOUR, u64::from(sample.hour + 1) * HOUR);
            let here = |client: u32| {
                let spans = &traffic.online[client as usize];
                overlap(spans, spans, from, until) == until - from
            };
            let contacts = traffic.contacts.iter().filter_map(|&(a, b)| match sample.client {
                client if client == a => Some(b),
                client if client == b => Some(a),
                _ => None,
            });
            let free = |client| here(client) && !busy.contains(&(sample.hour, client));
            if !free(sample.client) {
                continue;
            }
            let Some(prober) = contacts.into_iter().find(|&contact| free(contact)) else {
                continue;
            };
            busy.extend([prober, sample.client].map(|client| (sample.hour, client)));
            let first = from + dice.index(EVERY as usize) as Micros;
            let moments = (0..COUNT).map(|nth| first + nth * EVERY);
            let probe = |at| (Message { at, from: prober, to: sample.client }, Some(said.len()));
            all.extend(moments.map(probe));
            let with_others = traffic.between(from, until).iter().filter(|m| {
                let of = m.from == sample.client || m.to == sample.client;
                of && m.from != prober && m.to != prober
            });
            said.push(with_others.count() as u32);
        }
        all.sort_by_key(|(message, _)| message.at);
        let mut places: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, (_, hour)) in all.iter().enumerate() {
            if let Some(hour) = hour {
                places.entry(*hour).or_default().push(place);
            }
        }
        let messages = all.into_iter().map(|(message, _)| message).collect();
        let hours = said.into_iter().enumerate();
        let hours =
            hours.map(|(nth, said)| (places.remove(&nth).unwrap_or_default(), said)).collect();
        Self { traffic: Traffic { messages, ..traffic.clone() }, hours }
    }

    /// A sample for each probed hour: delays, and what was said with others.
    pub fn samples(&self, truth: &Truth, seed: u64) -> Table {
        let mut table = Table::default();
        for (places, said) in &self.hours {
            let said_at = |place: usize| secs(self.traffic.messages[place].at);
            let came = |&place: &usize| Some(secs(truth.delivered[place]?) - said_at(place));
            let known = |&place: &usize| {
                let at = truth.receipted.get(place).copied().flatten()?;
                Some(secs(at) - said_at(place))
            };
            // What the way back adds, beyond the way there.
            let back = |place: &usize| Some(known(place)? - came(place)?);
            let marks = [
                marks(places.iter().map(came)),
                marks(places.iter().map(known)),
                marks(places.iter().map(back)),
            ];
            table.add(marks.concat(), f64::from(*said), seed);
        }
        table
    }
}

/// Mean, spread, some quantiles, and how many there are none of.
fn marks(delays: impl Iterator<Item = Option<f64>>) -> Vec<f64> {
    let all: Vec<_> = delays.collect();
    let mut delays: Vec<f64> = all.iter().flatten().copied().collect();
    delays.sort_by(f64::total_cmp);
    let n = delays.len().max(1) as f64;
    let mean = delays.iter().sum::<f64>() / n;
    let spread = (delays.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n).sqrt();
    let at = |q: f64| crate::stats::quantile(&delays, q);
    let missing = (all.len() - delays.len()) as f64;
    vec![mean, spread, at(0.1), at(0.5), at(0.9), at(1.0), missing]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Limits;
    use crate::traffic::Shape;

    #[test]
    fn probes_are_in_the_traffic_where_the_samples_look_for_them() {
        let traffic = Traffic::new(Shape::talkative(30, 24), 2);
        let plan =
            Plan::new(&traffic, Limits { pairs: 0, people: 20, windows: &[], warm_up: 0 }, 2);
        let probes = Probes::new(&traffic, &plan, 2);
        assert!(probes.hours.len() >= 10);
        for (places, _) in &probes.hours {
            assert_eq!(places.len() as u64, COUNT);
            let of = |place: &usize| probes.traffic.messages[*place];
            assert!(places.iter().all(|place| of(place).to == of(&places[0]).to));
        }
        assert!(probes.traffic.messages.is_sorted_by_key(|m| m.at));
    }
}
