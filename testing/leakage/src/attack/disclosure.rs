//! Statistical disclosure (Danezis 2003; Mathewson and Dingledine 2004): whoever gets more than usual when one person sends,
//! again and again over days, is whom that person writes to.

use std::array::from_fn;
use std::collections::{BTreeMap, BTreeSet};

use crate::dice::Dice;
use crate::record::{HOUR, Micros, Observer, Party, SECOND, Seen};
use crate::signals::{SMALL, product};
use crate::traffic::{Message, Traffic};

/// Bins of five seconds, of an hour.
const BINS: usize = 720;
const BIN: Micros = HOUR / BINS as u64;

/// Bins from a sending to a receipt that is soon after, and to one of a pace at which messages take long.
const SOON: usize = 3;
const LATE: usize = 24;

/// People who are attacked in a run.
const TARGETS: usize = 20;

/// What the observer of every link sums up.
pub struct Disclosure {
    clients: usize,
    targets: Vec<u32>,
    /// The first hour that is looked at.
    first: u32,
    hour: u32,
    /// Frames out of and into each client in this hour, and those that are known ahead.
    out: Vec<Vec<f32>>,
    into: Vec<Vec<f32>>,
    early: Vec<Seen>,
    /// For each target and each client: by sendings and receipts soon after, and within two minutes, and by what each sends and does not get
    /// back.
    scores: Vec<Vec<[f64; 3]>>,
    /// For each target, hour by hour, the client that leads in each of the three.
    leaders: Vec<Vec<[u32; 3]>>,
}

/// What has been found.
#[derive(Debug, Clone, PartialEq)]
pub struct Disclosed {
    /// For each target: how many messages it had sent when somebody whom it writes to led for good; none if
    /// never.
    pub rounds: Vec<Option<u32>>,
    /// How many targets would be found among as many strangers.
    pub by_luck: usize,
}

impl Disclosure {
    /// Attacks those who write most after the first hours, of which nothing is looked at.
    pub fn new(traffic: &Traffic, warm_up: u32) -> Self {
        let mut sent: BTreeMap<u32, u32> = BTreeMap::new();
        for message in traffic.between(u64::from(warm_up) * HOUR, traffic.end()) {
            *sent.entry(message.from).or_default() += 1;
        }
        let mut order: Vec<(u32, u32)> =
            sent.into_iter().map(|(client, count)| (count, client)).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        let targets: Vec<u32> = order.into_iter().take(TARGETS).map(|(_, client)| client).collect();
        let clients = traffic.shape.clients as usize;
        let empty = vec![vec![0.0; BINS]; clients];
        Self {
            clients,
            first: warm_up,
            hour: 0,
            out: empty.clone(),
            into: empty,
            early: Vec::new(),
            scores: vec![vec![[0.0; 3]; clients]; targets.len()],
            leaders: vec![Vec::new(); targets.len()],
            targets,
        }
    }

    fn finish(&mut self) {
        if self.hour >= self.first {
            self.learn();
        }
        self.out.iter_mut().chain(&mut self.into).for_each(|curve| curve.fill(0.0));
    }

    fn learn(&mut self) {
        let centred = |curves: &[Vec<f32>]| -> Vec<Vec<f32>> {
            let one = |curve: &Vec<f32>| {
                let mean = curve.iter().sum::<f32>() / BINS as f32;
                curve.iter().map(|x| x - mean).collect()
            };
            curves.iter().map(one).collect()
        };
        let (out, into) = (centred(&self.out), centred(&self.into));
        let net = |client: usize| -> Vec<f32> {
            out[client].iter().zip(&into[client]).map(|(o, i)| o - i).collect()
        };
        let nets: Vec<Vec<f32>> = (0..self.clients).map(net).collect();
        for (nth, &target) in self.targets.iter().enumerate() {
            let target = target as usize;
            for client in (0..self.clients).filter(|&client| client != target) {
                let scale = |curve: &[f32]| product(curve, curve, 0).sqrt().max(1.0);
                let score = &mut self.scores[nth][client];
                let lags: [f64; LATE] =
                    from_fn(|lag| product(&out[target], &into[client], lag as isize));
                score[0] += lags[..SOON].iter().sum::<f64>() / scale(&into[client]);
                score[1] += lags.iter().sum::<f64>() / scale(&into[client]);
                score[2] -= product(&nets[target], &nets[client], 0) / scale(&nets[client]);
            }
            let leader = |which: usize| {
                let best = self.scores[nth]
                    .iter()
                    .enumerate()
                    .max_by(|a, b| a.1[which].total_cmp(&b.1[which]));
                best.map_or(0, |(client, _)| client as u32)
            };
            self.leaders[nth].push([0, 1, 2].map(leader));
        }
    }

    fn count(&mut self, seen: &Seen) {
        let start = u64::from(self.hour) * HOUR;
        if seen.at_micros >= start + HOUR {
            self.early.push(*seen);
            return;
        }
        let bin = (seen.at_micros.saturating_sub(start) / BIN) as usize;
        let curve = match (seen.from, seen.to) {
            (Party::Client(client), _) => &mut self.out[client as usize],
            (_, Party::Client(client)) => &mut self.into[client as usize],
            _ => return,
        };
        if let Some(count) = curve.get_mut(bin) {
            *count += 1.0;
        }
    }

    /// Judges what was found by the truth.
    pub fn judged(&self, traffic: &Traffic) -> Disclosed {
        let mut disclosed = Disclosed { rounds: Vec::new(), by_luck: 0 };
        for (nth, &target) in self.targets.iter().enumerate() {
            let sent = self.judged_messages(traffic, traffic.end()).filter(|m| m.from == target);
            let partners: BTreeSet<u32> = sent.map(|m| m.to).collect();
            let mut strangers: Vec<u32> = (0..self.clients as u32)
                .filter(|other| *other != target && !partners.contains(other))
                .collect();
            Dice::new(target.into(), 0x6c75_636b).shuffle(&mut strangers);
            let strangers = strangers.into_iter().take(partners.len()).collect();
            disclosed.rounds.push(self.rounds(nth, &partners, traffic));
            disclosed.by_luck += usize::from(self.rounds(nth, &strangers, traffic).is_some());
        }
        disclosed
    }

    fn judged_messages<'a>(
        &self,
        traffic: &'a Traffic,
        until: Micros,
    ) -> impl Iterator<Item = &'a Message> {
        traffic.between(u64::from(self.first) * HOUR, until).iter()
    }

    /// After how many messages of a target one of these led for good, if one does.
    fn rounds(&self, nth: usize, these: &BTreeSet<u32>, traffic: &Traffic) -> Option<u32> {
        let target = self.targets[nth];
        let sent = |until: Micros| {
            self.judged_messages(traffic, until).filter(|m| m.from == target).count() as u32
        };
        let all = sent(traffic.end());
        let found = |which: usize| {
            let hours = &self.leaders[nth];
            let wrong = hours.iter().rposition(|leaders| !these.contains(&leaders[which]));
            let first = wrong.map_or(0, |hour| hour + 1);
            // A person knows six of a hundred: one of them may lead by luck at the very end. Leading for good is
            // leading at least for the last quarter.
            (first < hours.len())
                .then(|| sent((u64::from(self.first) + first as u64 + 1) * HOUR))
                .filter(|&rounds| f64::from(rounds) <= 0.75 * f64::from(all))
        };
        [0, 1, 2].into_iter().filter_map(found).min()
    }
}

impl Observer for Disclosure {
    fn seen(&mut self, seen: &Seen) {
        // Keep-alives are regular: two people's would meet again and again.
        if seen.bytes >= SMALL {
            self.count(seen);
        }
    }

    fn until(&mut self, at: Micros) {
        while u64::from(self.hour + 1) * HOUR <= at {
            self.finish();
            self.hour += 1;
            for seen in std::mem::take(&mut self.early) {
                self.count(&seen);
            }
        }
    }
}

/// A bin in seconds.
pub const BIN_SECS: u64 = BIN / SECOND;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Kind;
    use crate::traffic::Shape;

    /// What a phone would do that had hardly any cover: besides a packet a minute each way one more with each message, which comes after half
    /// a minute or two. People write at any time, not in sittings, in which two people's rates rise together.
    #[test]
    fn whom_somebody_writes_to_is_found_where_messages_take_half_a_minute() {
        let shape = Shape { sessions_a_day: 16.0, ..Shape::talkative(30, 48) };
        let (mut traffic, mut dice) = (Traffic::new(shape, 1), Dice::new(1, 1));
        for message in &mut traffic.messages {
            message.at = dice.index(traffic.shape.hours as usize * HOUR as usize) as Micros;
        }
        traffic.messages.sort_by_key(|message| message.at);
        let mut disclosure = Disclosure::new(&traffic, 0);
        let mut frames: Vec<(Micros, Party, Party)> = Vec::new();
        let node = Party::Node(0);
        for client in (0..30).map(Party::Client) {
            for (from, to) in [(client, node), (node, client)] {
                let mut at = 0.0;
                while at < 48.0 * HOUR as f64 {
                    at += dice.exponential(60.0) * SECOND as f64;
                    frames.push((at as Micros, from, to));
                }
            }
        }
        for message in &traffic.messages {
            let took = (20.0 + dice.lognormal(15.0, 0.5)) * SECOND as f64;
            frames.push((message.at, Party::Client(message.from), node));
            frames.push((message.at + took as Micros, node, Party::Client(message.to)));
        }
        frames.sort_by_key(|(at, ..)| *at);
        for (at_micros, from, to) in frames {
            disclosure.until(at_micros - at_micros % HOUR);
            disclosure.seen(&Seen { at_micros, from, to, bytes: SMALL, kind: Kind::Client });
        }
        disclosure.until(traffic.end());
        let Disclosed { rounds, by_luck } = disclosure.judged(&traffic);
        let found = rounds.iter().flatten().count();
        println!("{found} of {}, {by_luck} by luck", rounds.len());
        assert!(found >= by_luck + 7, "{found} of {}, {by_luck} by luck", rounds.len());
    }
}
