//! Presence alone: who is online when, and nothing else. No cover hides it.

use crate::dice::Dice;
use crate::learn::Table;
use crate::record::{HOUR, SECOND};
use crate::traffic::{Span, Traffic, overlap};

/// How close in time two comings or goings have to be to count as together.
const TOGETHER: u64 = 300 * SECOND;

/// Pairs who know each other, and as many that do not, not matched in presence: matching would take away what is
/// measured here.
pub fn samples(traffic: &Traffic, count: usize, seed: u64) -> Table {
    let mut dice = Dice::new(seed, 0x7072_6573);
    let mut table = Table::default();
    let mut known = traffic.contacts.clone();
    dice.shuffle(&mut known);
    for (a, b) in known.into_iter().take(count) {
        table.add(features(traffic, a, b), 1.0, seed);
        let stranger = (0..200).map(|_| dice.index(traffic.online.len()) as u32);
        if let Some(other) =
            stranger.into_iter().find(|&other| other != a && !traffic.know(a, other))
        {
            table.add(features(traffic, a, other), 0.0, seed);
        }
    }
    table
}

fn features(traffic: &Traffic, a: u32, b: u32) -> Vec<f64> {
    let (a, b) = (&traffic.online[a as usize], &traffic.online[b as usize]);
    let end = traffic.end();
    let length =
        |spans: &[Span]| spans.iter().map(|s| s.until - s.from).sum::<u64>() as f64 / HOUR as f64;
    let (la, lb, both) = (length(a), length(b), overlap(a, b, 0, end) as f64 / HOUR as f64);
    let edges = |pick: fn(&Span) -> u64| {
        let inner = |at: &u64| *at > 0 && *at < end;
        let count = |spans: &[Span]| spans.iter().map(pick).filter(inner).collect::<Vec<_>>();
        let (a, b) = (count(a), count(b));
        a.iter().filter(|at| b.iter().any(|other| at.abs_diff(*other) < TOGETHER)).count() as f64
    };
    let chance = la * lb / (end as f64 / HOUR as f64);
    vec![
        both,
        both - chance,
        both / la.min(lb).max(0.1),
        la.min(lb),
        edges(|s| s.from),
        edges(|s| s.until),
    ]
}
