//! The proof of work that opens a session with a gateway.
//!
//! A hash puzzle in the manner of Hashcash (Back, 2002) on BLAKE3, cut into [`SHARES`] small ones so
//! that the time it takes varies little (Juels and Brainard, "Client Puzzles", NDSS 1999): each share
//! needs `effort` attempts on average, all of them together `16 × effort` with a standard deviation
//! of a quarter of that. Any effort can be asked for, not powers of two only (Tor proposal 327). The
//! puzzle names both ends of the link and a seed of the gateway's, so that it cannot be computed
//! ahead, used twice, or be handed on by a gateway to its own clients.
//!
//! Checking costs the gateway 17 short hashes, about two microseconds.

use serde::{Deserialize, Serialize};
use xchat_base::identifier;

/// Small puzzles in one.
pub const SHARES: usize = 16;

/// The largest effort that a client makes: 16 times as many attempts, some ten seconds of a
/// desktop's core. An honest gateway asks for half of it at most.
pub const MAX_EFFORT: u32 = 1 << 22;

/// Domain of the puzzle's key.
const CONTEXT: &str = "xchat 2026-11-24 session proof of work v1";

identifier!(
    /// The public key of one end of a link, as the link's handshake has proven it. A node's is its id.
    LinkKey,
    32
);

identifier!(
    /// What makes a challenge different from all others: fresh random bytes of the gateway.
    ChallengeSeed,
    32
);

/// What a gateway asks of whoever wants a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Used for one link.
    pub seed: ChallengeSeed,
    /// Attempts that a share takes on average.
    pub effort: u32,
    /// The proof is to be there so many seconds after the challenge was sent.
    pub within_secs: u16,
}

impl Challenge {
    /// How many attempts all shares together take on average.
    pub fn attempts(&self) -> u64 {
        SHARES as u64 * u64::from(self.effort)
    }
}

/// The solution: a number for each share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof([[u8; 4]; SHARES]);

impl Proof {
    /// From the numbers, each big-endian.
    pub const fn from_numbers(numbers: [[u8; 4]; SHARES]) -> Self {
        Self(numbers)
    }
}

/// A challenge on its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Puzzle {
    key: [u8; 32],
    challenge: Challenge,
}

impl Puzzle {
    /// Both sides make it from what they know for sure: their own key and the one that the other has
    /// proven.
    pub fn new(gateway: &LinkKey, client: &LinkKey, challenge: Challenge) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(gateway.as_bytes());
        hasher.update(client.as_bytes());
        hasher.update(challenge.seed.as_bytes());
        Self { key: *hasher.finalize().as_bytes(), challenge }
    }

    /// The challenge in it.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Whether every share is solved.
    pub fn is_solved_by(&self, proof: &Proof) -> bool {
        (0u8..).zip(&proof.0).all(|(share, number)| self.hits(share, *number))
    }

    fn hits(&self, share: u8, number: [u8; 4]) -> bool {
        let [a, b, c, d] = number;
        let hash = blake3::keyed_hash(&self.key, &[share, a, b, c, d]);
        let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = *hash.as_bytes();
        let value = u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
        // Of 2^64 values, one in `effort`.
        value <= u64::MAX / u64::from(self.challenge.effort.max(1))
    }
}

/// The search for a proof, in pieces, so that whoever runs it can stop between two of them. Numbers
/// are tried from zero on by everybody: a proof says nothing about who made it.
#[derive(Debug, Clone)]
pub struct Search {
    puzzle: Puzzle,
    found: Vec<[u8; 4]>,
    next: u32,
}

impl Search {
    /// Not begun.
    pub fn new(puzzle: Puzzle) -> Self {
        Self { puzzle, found: Vec::with_capacity(SHARES), next: 0 }
    }

    /// Makes at most so many attempts.
    pub fn work(&mut self, attempts: u32) -> Progress {
        for _ in 0..attempts {
            let (share, number) = (self.found.len() as u8, self.next.to_be_bytes());
            if self.puzzle.hits(share, number) {
                self.found.push(number);
                self.next = 0;
                if let Ok(numbers) = <[[u8; 4]; SHARES]>::try_from(self.found.as_slice()) {
                    return Progress::Found(Proof(numbers));
                }
                continue;
            }
            match self.next.checked_add(1) {
                Some(next) => self.next = next,
                None => return Progress::Impossible,
            }
        }
        Progress::Working
    }

    /// Works until the end; for tests and measurements.
    pub fn finish(mut self) -> Option<Proof> {
        const PIECE: u32 = 1 << 16;
        loop {
            match self.work(PIECE) {
                Progress::Found(proof) => return Some(proof),
                Progress::Working => {}
                Progress::Impossible => return None,
            }
        }
    }
}

/// How far a search has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Not there yet.
    Working,
    /// Done.
    Found(Proof),
    /// No number solves a share: with [`MAX_EFFORT`] once in e^1024.
    Impossible,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: LinkKey = LinkKey::from_bytes([1; 32]);
    const CLIENT: LinkKey = LinkKey::from_bytes([2; 32]);

    fn challenge(seed: u8, effort: u32) -> Challenge {
        Challenge { seed: ChallengeSeed::from_bytes([seed; 32]), effort, within_secs: 60 }
    }

    fn solve(puzzle: &Puzzle) -> Proof {
        Search::new(puzzle.clone()).finish().expect("a small effort")
    }

    #[test]
    fn a_proof_holds_for_its_own_puzzle_only() {
        let puzzle = Puzzle::new(&GATEWAY, &CLIENT, challenge(3, 64));
        let proof = solve(&puzzle);
        assert!(puzzle.is_solved_by(&proof));
        let others = [
            Puzzle::new(&CLIENT, &CLIENT, challenge(3, 64)),
            Puzzle::new(&GATEWAY, &GATEWAY, challenge(3, 64)),
            Puzzle::new(&CLIENT, &GATEWAY, challenge(3, 64)),
            Puzzle::new(&GATEWAY, &CLIENT, challenge(4, 64)),
        ];
        for other in others {
            assert!(!other.is_solved_by(&proof));
        }
        // The same seed with more effort: what was found for less does not do.
        assert!(!Puzzle::new(&GATEWAY, &CLIENT, challenge(3, 1 << 20)).is_solved_by(&proof));
    }

    #[derive(Deserialize)]
    struct Vector {
        gateway: LinkKey,
        client: LinkKey,
        seed: ChallengeSeed,
        effort: u32,
        proof: String,
    }

    #[test]
    fn the_vectors_of_the_specification_hold() {
        let text = include_str!("../../../spec/vectors/work.json");
        let vectors: Vec<Vector> = serde_json::from_str(text).expect("the vectors");
        assert_eq!(vectors.len(), 5);
        for Vector { gateway, client, seed, effort, proof } in vectors {
            let challenge = Challenge { seed, effort, within_secs: 60 };
            let Proof(numbers) = solve(&Puzzle::new(&gateway, &client, challenge));
            assert_eq!(xchat_base::id::hex(numbers.as_flattened()), proof, "effort {effort}");
        }
    }

    #[test]
    fn every_share_has_to_be_solved() {
        let puzzle = Puzzle::new(&GATEWAY, &CLIENT, challenge(5, 256));
        let Proof(numbers) = solve(&puzzle);
        for share in 0..SHARES {
            let mut forged = numbers;
            // The search takes the first number that hits, so the one before does not.
            forged[share] = u32::from_be_bytes(forged[share]).wrapping_sub(1).to_be_bytes();
            let first = numbers[share] == [0; 4];
            assert!(first || !puzzle.is_solved_by(&Proof(forged)), "share {share}");
        }
    }

    #[test]
    fn a_search_in_pieces_finds_what_a_search_in_one_finds() {
        let puzzle = Puzzle::new(&GATEWAY, &CLIENT, challenge(6, 100));
        let mut search = Search::new(puzzle.clone());
        let mut pieces = 0;
        let proof = loop {
            pieces += 1;
            match search.work(7) {
                Progress::Found(proof) => break proof,
                Progress::Working => {}
                Progress::Impossible => unreachable!("a small effort"),
            }
        };
        assert_eq!(proof, solve(&puzzle));
        assert!(pieces > 10, "{pieces}");
    }

    #[test]
    fn the_attempts_are_as_many_as_the_challenge_says() {
        let effort = 50;
        let runs = 200u8;
        let mut attempts = 0u64;
        for seed in 0..runs {
            let Proof(numbers) = solve(&Puzzle::new(&GATEWAY, &CLIENT, challenge(seed, effort)));
            attempts += numbers.iter().map(|n| u64::from(u32::from_be_bytes(*n)) + 1).sum::<u64>();
        }
        let mean = attempts as f64 / f64::from(runs);
        let expected = challenge(0, effort).attempts() as f64;
        // 3,200 shares: the mean of all has a standard deviation of 1.8 %.
        assert!((mean / expected - 1.0).abs() < 0.08, "{mean} instead of {expected}");
    }

    #[test]
    fn no_effort_at_all_is_solved_by_anything() {
        let puzzle = Puzzle::new(&GATEWAY, &CLIENT, challenge(7, 0));
        assert_eq!(solve(&puzzle), Proof([[0; 4]; SHARES]));
    }
}
