//! Mutations without coverage: what the plain test tries.

use xchat_base::random::{self, Rng};

/// Numbers at the edges of what integers and lengths can be.
const EDGES: [u8; 6] = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff];

/// Changes an input in one to four ways; `other` is a second input to borrow from.
pub fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random::index(rng, 4) {
        let at = random::index(rng, bytes.len() + 1);
        let len = random::index(rng, 1 + (bytes.len() - at).min(64));
        match random::index(rng, 8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..at + len)),
            2 => {
                let piece = bytes[at..at + len].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => {
                let from = random::index(rng, other.len() + 1);
                let piece = other[from..(from + 64).min(other.len())].to_vec();
                bytes.splice(at..at + len, piece);
            }
            4 => {
                let fresh: [u8; 16] = random::bytes(rng);
                let count = random::index(rng, fresh.len());
                bytes.splice(at..at, fresh[..count].iter().copied());
            }
            5 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = EDGES[random::index(rng, EDGES.len())];
                }
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random::index(rng, 8);
                }
            }
        }
    }
}
