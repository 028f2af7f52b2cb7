//! The door: links that have no session yet, what a session costs, and when to come again.

use std::collections::BTreeMap;
use std::time::Duration;

use xchat_base::{Rng, Timestamp};
use xchat_sphinx::work::{ChallengeSeed, SHARES};
use xchat_sphinx::{Challenge, LinkKey, Puzzle};

use super::SessionId;

/// Links without a session: each costs the gateway what a link costs and 200 bytes here. Beyond it the
/// one that has had the most time gives way, so that whoever only occupies links does not keep out
/// those who work.
pub const MAX_OPENING: usize = 1024;

/// A link without a session is closed after this: the largest work a gateway asks for takes a slow
/// phone half of it.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(60);

/// What a session costs at rest: 16 times as many attempts, 50 to 100 ms of a core.
pub const BASE_EFFORT: u32 = 1 << 15;

/// A gateway under load asks for so many times [`BASE_EFFORT`] at most.
pub const MAX_RAISE: u32 = 64;

/// From this share of its sessions on a gateway asks for more work, doubling it with every twelfth
/// of them, to [`MAX_RAISE`] when it is full.
const CROWDED: f64 = 0.5;

/// Sessions opened and links turned away count half after this.
const HALF_LIFE: Duration = Duration::from_secs(30);

/// More sessions than this share opened within about [`HALF_LIFE`] make the next ones dearer in
/// proportion.
const RUSH: f64 = 0.1;

/// Or more than this many, for a small gateway.
const RUSH_AT_LEAST: f64 = 16.0;

/// Who is turned away is told to come again after the first of these, and after up to the second if many are.
pub const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(120));

/// So many links turned away within about [`HALF_LIFE`] add a second to [`RETRY_AFTER`].
const TURNED_AWAY_PER_SECOND: f64 = 10.0;

/// Events, of which old ones count less and less.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    level: f64,
    at: Timestamp,
}

impl Recent {
    fn level(&self, now: Timestamp) -> f64 {
        let halvings = now.since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.level * (-halvings).exp2()
    }

    fn add(&mut self, now: Timestamp) {
        *self = Self { level: self.level(now) + 1.0, at: now.max(self.at) };
    }
}

/// A link that has no session yet.
pub(super) struct Opening {
    link: LinkKey,
    until: Timestamp,
    /// Once it asked for one.
    puzzle: Option<Puzzle>,
}

impl Opening {
    pub(super) fn puzzle(&self) -> Option<&Puzzle> {
        self.puzzle.as_ref()
    }

    pub(super) fn is_late(&self, now: Timestamp) -> bool {
        self.until <= now
    }
}

/// See the module.
pub(super) struct Door {
    own: LinkKey,
    /// By age: the driver's numbers rise.
    opening: BTreeMap<SessionId, Opening>,
    base_effort: u32,
    opened: Recent,
    turned_away: Recent,
}

impl Door {
    pub(super) fn new(own: LinkKey, base_effort: u32) -> Self {
        let (opened, turned_away) = (Recent::default(), Recent::default());
        Self { own, opening: BTreeMap::new(), base_effort, opened, turned_away }
    }

    pub(super) fn len(&self) -> usize {
        self.opening.len()
    }

    /// A link is there; the one that has to give way for it.
    pub(super) fn enter(
        &mut self,
        session: SessionId,
        link: LinkKey,
        now: Timestamp,
    ) -> Option<SessionId> {
        let over = self.opening.len() >= MAX_OPENING && !self.opening.contains_key(&session);
        let oldest = if over { self.opening.pop_first() } else { None };
        let until = now + CHALLENGE_LIFETIME;
        self.opening.insert(session, Opening { link, until, puzzle: None });
        oldest.map(|(session, _)| session)
    }

    pub(super) fn leave(&mut self, session: SessionId) -> Option<Opening> {
        self.opening.remove(&session)
    }

    pub(super) fn get(&self, session: SessionId) -> Option<&Opening> {
        self.opening.get(&session)
    }

    /// When the next link's time is over.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.opening.first_key_value().map(|(_, opening)| opening.until)
    }

    /// A link whose time is over.
    pub(super) fn late(&mut self, now: Timestamp) -> Option<(SessionId, Opening)> {
        let first = self.opening.first_entry()?;
        first.get().is_late(now).then(|| first.remove_entry())
    }

    /// The challenge for a link; `None` if it has one already, or is not here.
    pub(super) fn challenge(
        &mut self,
        session: SessionId,
        fullness: f64,
        capacity: usize,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Option<Challenge> {
        let effort = self.effort(fullness, capacity, now);
        let opening = self.opening.get_mut(&session).filter(|opening| opening.puzzle.is_none())?;
        let left = opening.until.since(now).as_secs();
        let within_secs = u16::try_from(left).unwrap_or(u16::MAX);
        let challenge = Challenge { seed: ChallengeSeed::random(rng), effort, within_secs };
        opening.puzzle = Some(Puzzle::new(&self.own, &opening.link, challenge));
        Some(challenge)
    }

    /// A session was opened. Only that makes the next ones dearer: whoever wants to raise the price for
    /// others pays it.
    pub(super) fn opened(&mut self, now: Timestamp) {
        self.opened.add(now);
    }

    /// The effort of a challenge now.
    pub(super) fn effort(&self, fullness: f64, capacity: usize, now: Timestamp) -> u32 {
        let crowd = ((fullness - CROWDED) / (1.0 - CROWDED)).clamp(0.0, 1.0);
        let crowd = f64::from(MAX_RAISE).powf(crowd);
        let rush = self.opened.level(now) / (capacity as f64 * RUSH).max(RUSH_AT_LEAST);
        let raise = (crowd * rush.max(1.0)).min(f64::from(MAX_RAISE));
        // Saturating: an operator's base may be anything.
        (f64::from(self.base_effort) * raise) as u32
    }

    /// The mean attempts of a challenge now.
    pub(super) fn attempts(&self, fullness: f64, capacity: usize, now: Timestamp) -> u64 {
        SHARES as u64 * u64::from(self.effort(fullness, capacity, now))
    }

    /// Somebody is turned away; how many seconds later they may try again.
    pub(super) fn turn_away(&mut self, now: Timestamp) -> u16 {
        self.turned_away.add(now);
        let (least, most) = RETRY_AFTER;
        let wait = least.as_secs_f64() + self.turned_away.level(now) / TURNED_AWAY_PER_SECOND;
        wait.min(most.as_secs_f64()) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);
    const KEY: LinkKey = LinkKey::from_bytes([1; 32]);

    fn door() -> Door {
        Door::new(KEY, 100)
    }

    #[test]
    fn work_is_dearer_the_fuller_a_gateway_is_and_never_above_its_bound() {
        let door = door();
        let effort = |fullness| door.effort(fullness, 10_000, NOW);
        assert_eq!([0.0, 0.5, 0.75, 1.0, 9.0].map(effort), [100, 100, 800, 6_400, 6_400]);
        let mut rushed = Door::new(KEY, u32::MAX);
        for _ in 0..100_000 {
            rushed.opened(NOW);
        }
        assert_eq!(rushed.effort(1.0, 100, NOW), u32::MAX);
    }

    #[test]
    fn a_rush_makes_work_dearer_and_passes_by_itself() {
        let mut door = door();
        for _ in 0..1_000 {
            door.opened(NOW);
        }
        assert_eq!(door.effort(0.1, 10_000, NOW), 100, "a tenth of its sessions is no rush");
        for _ in 0..9_000 {
            door.opened(NOW);
        }
        assert_eq!(door.effort(0.1, 10_000, NOW), 1_000);
        assert_eq!(door.effort(0.1, 10_000, NOW + HALF_LIFE), 500);
        assert_eq!(door.effort(0.1, 10_000, NOW + HALF_LIFE * 4), 100);
        for _ in 0..1_000_000 {
            door.opened(NOW);
        }
        assert_eq!(door.effort(0.1, 10_000, NOW), 100 * MAX_RAISE);
    }

    #[test]
    fn the_wait_grows_with_those_who_wait_and_is_bounded() {
        let mut door = door();
        assert_eq!(door.turn_away(NOW), 5);
        let last = (0..100).map(|_| door.turn_away(NOW)).last();
        assert_eq!(last, Some(15));
        let last = (0..1_000_000).map(|_| door.turn_away(NOW)).last();
        assert_eq!(last, Some(120));
        assert_eq!(door.turn_away(NOW + HALF_LIFE * 40), 5);
    }
}
