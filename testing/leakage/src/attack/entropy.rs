//! How many others it could have been: entropy of the sender given a receipt, and of the receiver given a sending.
//!
//! The adversary is told that a client got a message at a moment and asked from whom (or that one was sent, and
//! asked to whom). It knows, from other runs, how long messages of this system take, and takes for each client how
//! many of its frames lie so long before (after). Zero bits: it knows. The logarithm of the number of
//! clients: it knows nothing.

use serde::{Deserialize, Serialize};

use crate::record::Micros;
use crate::stats;
use crate::systems::Truth;
use crate::traffic::Traffic;

use super::ledger::Ledger;

/// What lies between sending and receipt is looked at in so many bins of so many bins of the ledger (quarters of a second): to ten seconds
/// one by one, to half a minute by five seconds, to two minutes, in which at `phone` 95 % have come too, by fifteen. The later,
/// the wider: of messages that take so long there are few in each quarter of a second, and few frames besides.
const LAGS: [(usize, usize); 3] = [(40, 1), (4, 20), (6, 60)];
const REACH: usize = 480;

/// Messages of a run that are asked about.
const ASKED: usize = 200;

/// How much is made of the signs, tried in turn: frames come in clusters, and what is counted twice must weigh less.
const WEIGHTS: [f64; 7] = [0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0];

/// Frames of all clients around one message, by client: those that a client's place in the question makes count.
type Frames = Vec<Vec<u16>>;

/// Questions about a run, for senders and for receivers: frames, and who it was.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Questions([Vec<(Frames, usize)>; 2]);

/// How often frames lie so long before a receipt, or after a sending: of the right one, and of the others.
#[derive(Debug, Clone)]
pub struct Delays {
    /// For senders and for receivers.
    signs: [Signs; 2],
}

/// Signs that have been learned.
#[derive(Debug, Clone)]
struct Signs {
    /// For each bin, what a frame in it says: a logarithm of odds.
    odds: Vec<f64>,
    weight: f64,
}

/// What has been found of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unsure {
    /// Bits about the sender, given the receipt.
    pub sender: f64,
    /// Bits about the receiver, given the sending.
    pub receiver: f64,
    /// How often the best guess of the sender is right.
    pub sender_right: f64,
    /// How often the best guess of the receiver is right.
    pub receiver_right: f64,
}

/// The messages that are asked about: evenly of those that were sent and came within the ledger's hours.
fn asked(ledger: &Ledger, traffic: &Traffic, truth: &Truth) -> Vec<(u32, u32, usize, usize)> {
    let both = traffic.messages.iter().zip(&truth.delivered);
    let one = |(message, came): (&crate::traffic::Message, &Option<Micros>)| {
        let (sent, came) = (ledger.bin(message.at)?, ledger.bin((*came)?)?);
        let near = came >= REACH && sent + REACH < ledger.bins() && came - sent < REACH;
        near.then_some((message.from, message.to, sent, came))
    };
    let all: Vec<_> = both.filter_map(one).collect();
    let step = (all.len() / ASKED).max(1);
    all.into_iter().step_by(step).take(ASKED).collect()
}

/// Which frames of whom: the sender's out before a receipt, or the receiver's in after a sending.
fn look(ledger: &Ledger, client: u32, backward: bool, at: usize) -> Vec<u16> {
    let frames = ledger.frames(client, backward);
    let count = |lag: usize| {
        let bin = if backward { at.checked_sub(lag) } else { Some(at + lag) };
        bin.and_then(|bin| frames.get(bin)).copied().unwrap_or(0)
    };
    let mut lags = 0..REACH;
    let widths = LAGS.iter().flat_map(|&(bins, width)| std::iter::repeat_n(width, bins));
    widths.map(|width| lags.by_ref().take(width).map(count).fold(0, u16::saturating_add)).collect()
}

/// A question: all clients' frames but those of the one that is known, and the place of the right one.
fn question(ledger: &Ledger, way: usize, (known, right, at): (u32, u32, usize)) -> (Frames, usize) {
    let others = (0..ledger.clients()).filter(|&client| client != known);
    let place = others.clone().position(|client| client == right).unwrap_or(0);
    (others.map(|client| look(ledger, client, way == 0, at)).collect(), place)
}

impl Questions {
    /// About a run of which everything is known.
    pub fn new(ledger: &Ledger, traffic: &Traffic, truth: &Truth) -> Self {
        let mut questions = Self::default();
        for (from, to, sent, came) in asked(ledger, traffic, truth) {
            questions.0[0].push(question(ledger, 0, (to, from, came)));
            questions.0[1].push(question(ledger, 1, (from, to, sent)));
        }
        questions
    }
}

impl Delays {
    /// What these runs teach.
    pub fn learned(runs: &[Questions]) -> Self {
        let of = |way: usize| {
            let known: Vec<_> = runs.iter().flat_map(|questions| &questions.0[way]).collect();
            Signs::of(&known)
        };
        Self { signs: [of(0), of(1)] }
    }

    /// Asks about a run.
    pub fn ask(&self, questions: &Questions) -> Option<Unsure> {
        if questions.0[0].is_empty() {
            return None;
        }
        let of = |way: usize| {
            let (mut bits, mut guessed) = (0.0, 0.0);
            for (frames, right) in &questions.0[way] {
                let likely = self.signs[way].likely(frames);
                bits += stats::entropy(&likely);
                let best = likely
                    .iter()
                    .enumerate()
                    .max_by(|a, b| a.1.total_cmp(b.1))
                    .map(|(place, _)| place);
                // Where all are alike the first is as good a guess as any.
                guessed += f64::from(u8::from(best == Some(*right)));
            }
            let count = questions.0[way].len() as f64;
            (bits / count, guessed / count)
        };
        let ((sender, sender_right), (receiver, receiver_right)) = (of(0), of(1));
        Some(Unsure { sender, receiver, sender_right, receiver_right })
    }
}

impl Signs {
    /// What the answered questions teach. A bin counts if it differs by three deviations: what is within chance says
    /// nothing.
    fn of(known: &[&(Frames, usize)]) -> Self {
        let n = known.len().max(1) as f64;
        let mut odds = vec![0.0; LAGS.iter().map(|(bins, _)| bins).sum()];
        for (bin, odds) in odds.iter_mut().enumerate() {
            let right: f64 =
                known.iter().map(|(frames, place)| f64::from(frames[*place][bin])).sum::<f64>() / n;
            let all = |(frames, _): &&(Frames, usize)| {
                frames.iter().map(|f| f64::from(f[bin])).sum::<f64>() / frames.len() as f64
            };
            let chance = known.iter().map(all).sum::<f64>() / n;
            if (right - chance).abs() > 3.0 * ((right + chance) / n).sqrt() {
                *odds = ((right + 1.0 / n) / (chance + 1.0 / n)).ln();
            }
        }
        let mut signs = Self { odds, weight: 0.0 };
        let fit = |weight: f64| {
            let with = Self { odds: signs.odds.clone(), weight };
            let of_one = |(frames, place): &&(Frames, usize)| {
                let likely = with.likely(frames);
                (likely[*place] / likely.iter().sum::<f64>()).max(1e-12).ln()
            };
            known.iter().map(of_one).sum::<f64>()
        };
        let best = WEIGHTS
            .into_iter()
            .map(|weight| (weight, fit(weight)))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        signs.weight = best.map_or(0.0, |(weight, _)| weight);
        signs
    }

    /// How likely each is, up to a factor.
    fn likely(&self, frames: &Frames) -> Vec<f64> {
        let score = |frames: &Vec<u16>| {
            frames.iter().zip(&self.odds).map(|(count, odds)| f64::from(*count) * odds).sum::<f64>()
        };
        let scores: Vec<f64> = frames.iter().map(|frames| self.weight * score(frames)).collect();
        let most = scores.iter().copied().fold(f64::MIN, f64::max);
        scores.into_iter().map(|score| (score - most).exp()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;
    use crate::record::{HOUR, Observer, Party, SECOND, Seen};
    use crate::signals::SMALL;
    use crate::traffic::Shape;

    /// A packet in five seconds from everybody, and one more with each message, which comes after half a minute or two: what a phone would
    /// do that had no cover.
    fn asked_of_slow_messages(seed: u64) -> Questions {
        let shape = Shape { sessions_a_day: 48.0, ..Shape::talkative(20, 3) };
        let traffic = Traffic::new(shape, seed);
        let (mut ledger, mut dice) = (Ledger::new(20, 0, 3), Dice::new(seed, 1));
        let send = |ledger: &mut Ledger, client: u32, at_micros: Micros| {
            let (from, to) = (Party::Client(client), Party::Node(0));
            let kind = crate::record::Kind::Client;
            ledger.seen(&Seen { at_micros, from, to, bytes: SMALL, kind });
        };
        for client in 0..20 {
            let mut at = 0.0;
            while at < 3.0 * HOUR as f64 {
                at += dice.exponential(5.0) * SECOND as f64;
                send(&mut ledger, client, at as Micros);
            }
        }
        let mut truth = Truth::default();
        for message in &traffic.messages {
            send(&mut ledger, message.from, message.at);
            let took = dice.lognormal(30.0, 0.8) * SECOND as f64;
            truth.delivered.push(Some(message.at + took as Micros));
        }
        Questions::new(&ledger, &traffic, &truth)
    }

    #[test]
    fn senders_of_messages_that_take_half_a_minute_are_found_by_one_packet_more() {
        let taught: Vec<_> = (1..=8).map(asked_of_slow_messages).collect();
        let delays = Delays::learned(&taught);
        let unsure: Vec<_> =
            (9..=12).filter_map(|seed| delays.ask(&asked_of_slow_messages(seed))).collect();
        assert_eq!(unsure.len(), 4);
        let mean = |of: fn(&Unsure) -> f64| unsure.iter().map(of).sum::<f64>() / 4.0;
        let (bits, right) = (mean(|one| one.sender), mean(|one| one.sender_right));
        assert!(bits < 19f64.log2() - 0.1 && right > 2.0 / 19.0, "{bits} bits, {right}");
    }
}
