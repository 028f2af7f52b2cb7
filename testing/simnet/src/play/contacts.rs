//! Who knows whom, and who of them talks, and how.

use std::collections::BTreeSet;

use xchat_base::random::{self, Rng};

use crate::scenario::Scenario;

/// Tries before another way is taken: one in e^((d² − 1) / 4) random pairings of d places each has nobody twice.
const TRIES: usize = 100;

/// All pairs, and for those that talk the place of their talk in the scenario.
pub(super) fn draw(scenario: &Scenario, rng: &mut Rng) -> Vec<([u32; 2], Option<usize>)> {
    let pairs = pairs(scenario.clients.count, scenario.contacts.per_client, rng);
    let talking = (scenario.contacts.talking * pairs.len() as f64).round() as usize;
    let talks = shares(scenario, talking);
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    shuffle(&mut order, rng);
    let mut drawn: Vec<_> = pairs.into_iter().map(|pair| (pair, None)).collect();
    for (place, talk) in order.into_iter().zip(talks) {
        drawn[place].1 = Some(talk);
    }
    drawn
}

/// The talks of so many pairs, each in its share.
fn shares(scenario: &Scenario, pairs: usize) -> Vec<usize> {
    let mut talks = Vec::with_capacity(pairs);
    let mut sum = 0.0;
    for (place, talk) in scenario.talk.iter().enumerate() {
        sum += talk.share;
        let upto = ((sum * pairs as f64).round() as usize).min(pairs);
        talks.resize(upto, place);
    }
    talks
}

/// A random graph in which everybody knows so many others: places of everybody are paired at random, and what
/// pairs somebody with themselves or twice with another is changed by swaps with random pairs.
fn pairs(clients: u32, each: u32, rng: &mut Rng) -> Vec<[u32; 2]> {
    let mut places: Vec<u32> = (0..clients).flat_map(|c| (0..each).map(move |_| c)).collect();
    shuffle(&mut places, rng);
    let mut pairs: Vec<[u32; 2]> = places.chunks_exact(2).map(|two| [two[0], two[1]]).collect();
    for _ in 0..TRIES * pairs.len().max(1) {
        let Some(bad) = first_bad(&pairs) else { return sorted(pairs) };
        let other = random::index(rng, pairs.len());
        let (one, two) = (pairs[bad][1], pairs[other][1]);
        pairs[bad][1] = two;
        pairs[other][1] = one;
    }
    // Everybody knows nearly everybody, and swaps do not get there: what is left over is left out.
    let mut known = BTreeSet::new();
    pairs.retain(|pair| pair[0] != pair[1] && known.insert(in_order(*pair)));
    sorted(pairs)
}

fn first_bad(pairs: &[[u32; 2]]) -> Option<usize> {
    let mut known = BTreeSet::new();
    pairs.iter().position(|pair| pair[0] == pair[1] || !known.insert(in_order(*pair)))
}

fn in_order([a, b]: [u32; 2]) -> [u32; 2] {
    [a.min(b), a.max(b)]
}

fn sorted(pairs: Vec<[u32; 2]>) -> Vec<[u32; 2]> {
    let mut pairs: Vec<_> = pairs.into_iter().map(in_order).collect();
    pairs.sort_unstable();
    pairs
}

/// Fisher and Yates.
fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, random::index(rng, last + 1));
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn everybody_knows_as_many_others_as_asked_for_and_nobody_twice() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        for (clients, each) in [(2, 1), (100, 1), (100, 3), (1_000, 8), (10, 8)] {
            let pairs = pairs(clients, each, rng);
            assert_eq!(pairs.len() as u32, clients * each / 2, "{clients} × {each}");
            assert_eq!(pairs.iter().collect::<BTreeSet<_>>().len(), pairs.len());
            let mut known = vec![0; clients as usize];
            for [a, b] in pairs {
                assert_ne!(a, b);
                known[a as usize] += 1;
                known[b as usize] += 1;
            }
            assert!(known.iter().all(|known| *known == each), "{known:?}");
        }
    }
}
