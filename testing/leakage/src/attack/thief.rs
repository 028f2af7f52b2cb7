//! Whoever has stolen an invitation link, and besides watches every link.

use serde::{Deserialize, Serialize};

use crate::adversary::store::Stores;
use crate::dice::Dice;
use crate::signals::FINE;
use crate::stats;
use crate::systems::Truth;

use super::ledger::Ledger;

/// What it sees, in the words of the report.
pub const NAME: &str = "invitation thief";

/// See [`crate::adversary::Lens::sees`].
pub const SEES: &str = "The boxes of one lane, because it has the invitation link that leads to it: by reading them it learns \
    when each was written (here to a quarter of a second). Besides, every link. It asks who wrote the first six boxes in a lane, \
    as an invitation is accepted with, and weighs whose packets may have been at a store each time.";

/// Boxes of a Welcome and the accept box.
const BOXES: usize = 6;

/// Lanes that are asked about in a run.
const ASKED: usize = 100;

/// Bits left about the writer, and how often the best guess is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Guessed {
    /// Bits.
    pub bits: f64,
    /// Share.
    pub right: f64,
}

/// Asks about six boxes in a row of lanes that somebody writes, within the ledger's hours.
pub fn ask(
    stores: &Stores,
    ledger: &Ledger,
    truth: &Truth,
    kernel: &[f32],
    seed: u64,
) -> Option<Guessed> {
    let mut lanes: std::collections::BTreeMap<(u32, u32), Vec<usize>> =
        std::collections::BTreeMap::new();
    for (at, id) in stores.writes() {
        let Some(known) = truth.boxes.get(&id).filter(|known| !known.decoy) else { continue };
        if let Some(bin) = ledger.bin(at).filter(|&bin| bin > kernel.len()) {
            lanes.entry(known.lane).or_default().push(bin);
        }
    }
    let mut runs: Vec<(u32, Vec<usize>)> = lanes
        .into_iter()
        .filter(|(_, bins)| bins.len() >= BOXES)
        .map(|((writer, _), bins)| (writer, bins[..BOXES].to_vec()))
        .collect();
    Dice::new(seed, 0x7468_6965).shuffle(&mut runs);
    runs.truncate(ASKED);
    if runs.is_empty() {
        return None;
    }
    let (mut bits, mut right) = (0.0, 0.0);
    for (writer, bins) in &runs {
        let likely = |client: u32| -> f64 {
            bins.iter().map(|&bin| likelihood(ledger, client, bin, kernel)).product()
        };
        let weights: Vec<f64> = (0..ledger.clients()).map(likely).collect();
        bits += stats::entropy(&weights);
        let best =
            weights.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(who, _)| who as u32);
        right += f64::from(u8::from(best == Some(*writer)));
    }
    let n = runs.len() as f64;
    Some(Guessed { bits: bits / n, right: right / n })
}

/// How many of a client's packets are expected at a store at a bin, over how many there are on average.
fn likelihood(ledger: &Ledger, client: u32, bin: usize, kernel: &[f32]) -> f64 {
    let frames = ledger.frames(client, true);
    let count = |lag: usize| f64::from(frames[bin - lag]);
    let expected: f64 =
        kernel.iter().enumerate().map(|(lag, &weight)| f64::from(weight) * count(lag)).sum();
    // Over the two minutes before.
    let long = FINE / 30;
    let usual: f64 = (0..long.min(bin)).map(count).sum::<f64>() / long as f64;
    if usual > 0.0 { (expected / (usual * FINE as f64 / 3_600.0)).max(1e-6) } else { 0.0 }
}
