//! Boxes and lanes of the model: names without cryptography, and the lanes that clients write to themselves.

use crate::dice::Dice;
use crate::record::{HOUR, Micros};
use crate::traffic::{Rhythm, Traffic};

use super::{Decoys, GATEWAYS, STORES, micros, secs};

/// Lanes that a client follows, in use or not: 256 boxes, eight of each.
pub(super) const FOLLOWED: usize = 32;
pub(super) const AHEAD: u32 = 8;

/// The number of a decoy lane's far end is above all clients' numbers.
pub(super) const DECOY: u32 = 1 << 24;

/// A lane that a client writes to itself, and when.
#[derive(Debug, Clone)]
pub(super) struct Decoy {
    pub(super) moments: Vec<Micros>,
}

/// A box's name: says nothing to whoever does not know the lane.
pub(super) fn box_id(seed: u64, lane: (u32, u32), number: u32) -> u64 {
    let mut x = seed ^ (u64::from(lane.0) << 32) ^ u64::from(lane.1);
    for word in [u64::from(number), 0x626f_7865] {
        // The finaliser of splitmix64, twice.
        x = x.wrapping_add(word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
    }
    x
}

/// The three stores of a box, the first one first.
pub(super) fn replicas(id: u64) -> [u16; 3] {
    let stores = u64::from(STORES);
    let first = id % stores;
    let second = (first + 1 + (id >> 8) % (stores - 1)) % stores;
    let mut third = (id >> 16) % stores;
    while third == first || third == second {
        third = (third + 1) % stores;
    }
    [first, second, third].map(|store| GATEWAYS + store as u16)
}

/// Every client's decoys: as many as fill what it follows.
pub(super) fn decoys(traffic: &Traffic, kind: Decoys, seed: u64) -> Vec<Vec<Decoy>> {
    let mut dice = Dice::new(seed, 111);
    // People of another day, whose lanes are replayed.
    let others = Traffic::new(traffic.shape, seed ^ 0x6465_636f_7973);
    let lanes: Vec<Rhythm> = others
        .contacts
        .iter()
        .flat_map(|&(a, b)| [(a, b), (b, a)])
        .map(|(from, to)| Rhythm::of_lane(&others.messages, from, to))
        .collect();
    let mut of_one = |client: u32| -> Vec<Decoy> {
        let real = traffic.contacts.iter().filter(|&&(a, b)| a == client || b == client).count();
        let wanted = if kind == Decoys::None { 0 } else { FOLLOWED.saturating_sub(real) };
        let mut one = || {
            let rhythm = &lanes[dice.index(lanes.len())];
            let end = traffic.end();
            match kind {
                Decoys::Replayed => {
                    // By whole days, so that the hour of the day stays, and half an hour more or less; what leaves the
                    // run at one end comes in at the other.
                    let shift = end - HOUR / 2 + dice.index(HOUR as usize) as u64;
                    let mut moments: Vec<_> =
                        rhythm.moments.iter().map(|at| (at + shift) % end).collect();
                    moments.sort_unstable();
                    Decoy { moments }
                }
                _ => {
                    let count = rhythm.moments.len();
                    let mut moments: Vec<_> =
                        (0..count).map(|_| micros(dice.between(0.0, secs(end)))).collect();
                    moments.sort_unstable();
                    Decoy { moments }
                }
            }
        };
        (0..wanted).map(|_| one()).collect()
    };
    (0..traffic.shape.clients).map(&mut of_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_three_stores() {
        for number in 0..2_000 {
            let [a, b, c] = replicas(box_id(1, (2, 3), number));
            assert!(a != b && b != c && a != c);
            assert!([a, b, c].iter().all(|node| (GATEWAYS..GATEWAYS + STORES).contains(node)));
        }
    }
}
