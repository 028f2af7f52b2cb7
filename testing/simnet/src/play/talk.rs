//! When two who talk say something, and who of them.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use xchat_base::{Timestamp, random};

use super::draws;
use crate::scenario::{Beat, Spread, Talk};

/// The next thing to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) who: usize,
    pub(super) letters: usize,
}

/// One conversation's way through time.
pub(super) struct Conversation {
    rng: ChaCha20Rng,
    way: Way,
}

enum Way {
    Sessions(Sessions),
    Rhythm { beats: Vec<Beat>, place: usize },
}

struct Sessions {
    per_hour: f64,
    messages: Spread,
    gap_s: Spread,
    turn: f64,
    letters: Spread,
    /// Messages of this session that are still to come, the next one included.
    left: usize,
    who: usize,
}

impl Conversation {
    /// A conversation that begins at `from`, and when its first message is due.
    pub(super) fn new(talk: &Talk, from: Timestamp, mut rng: ChaCha20Rng) -> (Self, Timestamp) {
        let way = match talk.beats() {
            Some(beats) => {
                let place = random::index(&mut rng, beats.len());
                Way::Rhythm { beats, place }
            }
            None => Way::Sessions(Sessions::of(talk)),
        };
        let mut conversation = Self { rng, way };
        let first = conversation.begin(from);
        (conversation, first)
    }

    pub(super) fn next(&mut self) -> Next {
        match &self.way {
            Way::Sessions(sessions) => {
                let letters = draws::count(&mut self.rng, &sessions.letters).min(8_000);
                Next { who: sessions.who, letters }
            }
            Way::Rhythm { beats, place } => {
                let Beat { who, letters, .. } = beats[*place];
                Next { who, letters }
            }
        }
    }

    /// It was said; when the next thing is due.
    pub(super) fn after(&mut self, now: Timestamp) -> Timestamp {
        let rng = &mut self.rng;
        match &mut self.way {
            Way::Rhythm { beats, place } => {
                *place = (*place + 1) % beats.len();
                now + draws::seconds(beats[*place].gap_s)
            }
            Way::Sessions(sessions) => {
                sessions.left -= 1;
                if sessions.left == 0 {
                    return self.begin(now);
                }
                if random::unit(rng) < sessions.turn {
                    sessions.who = 1 - sessions.who;
                }
                now + draws::seconds(draws::spread(rng, &sessions.gap_s))
            }
        }
    }

    /// Whose turn it is was not there: a session is over, a rhythm goes on.
    pub(super) fn broken_off(&mut self, now: Timestamp) -> Timestamp {
        match self.way {
            Way::Sessions(_) => self.begin(now),
            Way::Rhythm { .. } => self.after(now),
        }
    }

    /// When the next session begins; for a rhythm, when its present message is due, some way into its gap.
    fn begin(&mut self, now: Timestamp) -> Timestamp {
        let rng = &mut self.rng;
        match &mut self.way {
            Way::Sessions(sessions) => {
                sessions.left = draws::count(rng, &sessions.messages);
                sessions.who = random::index(rng, 2);
                let mean = Duration::from_secs_f64(3_600.0 / sessions.per_hour);
                now + random::exponential(rng, mean)
            }
            Way::Rhythm { beats, place } => {
                now + draws::seconds(beats[*place].gap_s * random::unit(rng))
            }
        }
    }
}

impl Sessions {
    fn of(talk: &Talk) -> Self {
        let there = "a scenario is checked: without a rhythm, these are there";
        Self {
            per_hour: talk.sessions_per_hour.expect(there),
            messages: talk.messages.expect(there),
            gap_s: talk.gap_s.expect(there),
            turn: talk.turn.expect(there),
            letters: talk.letters.expect(there),
            left: 0,
            who: 0,
        }
    }
}
