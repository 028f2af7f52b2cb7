//! What two talkers have behind them when a world begins: conversations of which all were at the beginning of their first
//! epoch would renew their keys at other times than those that go on for long.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use xchat_base::random::Rng;
use xchat_base::{Secret, Timestamp};
use xchat_engine::{ConversationId, Effect, Input, Talk, no_tickets};
use xchat_pigeonhole::outcome::{ReadOutcome, WriteOutcome};
use xchat_pigeonhole::{BoxId, SealedBox};

use crate::disk::Disk;
use crate::plain::PlainGroup;

/// What two have said to each other before a world begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// When they met, or their keys were renewed.
    pub since: Timestamp,
    /// What was said before that, in the same form as `said`: their programs know how they talk, and nothing else of it.
    pub before: Vec<(Timestamp, usize)>,
    /// When one of the two said something, and which (0 or 1); sorted.
    pub said: Vec<(Timestamp, usize)>,
}

/// The production conversations of two over a network that does everything at once.
struct Two {
    sides: [Side; 2],
    written: BTreeMap<BoxId, SealedBox>,
    /// Boxes that are followed and not written, and by whom.
    followed: BTreeSet<(BoxId, usize)>,
}

struct Side {
    talk: Talk<PlainGroup>,
    disk: Disk,
    wake: Option<Timestamp>,
}

impl Past {
    /// What each of the two has stored at a moment, when their programs end.
    ///
    /// # Panics
    /// If it is not in the order of time and over by then.
    pub(crate) fn stored(
        &self,
        ids: [ConversationId; 2],
        secret: &Secret<32>,
        until: Timestamp,
        rng: &mut Rng,
    ) -> [Disk; 2] {
        let times: Vec<_> = self.said.iter().map(|(at, _)| *at).collect();
        let is_past = times.iter().all(|at| (self.since..until).contains(at));
        assert!(is_past && times.is_sorted(), "it has been said in the order of time");
        let mut first = Vec::new();
        let sides = [0, 1].map(|who: usize| {
            let group = PlainGroup::new(secret.clone(), who as u32);
            let (talk, effects) = Talk::found(ids[who], group, self.since, self.since, rng);
            first.extend(effects.into_iter().map(|effect| (who, effect)));
            Side { talk, disk: Disk::default(), wake: None }
        });
        let mut two = Two { sides, written: BTreeMap::new(), followed: BTreeSet::new() };
        two.carry_out(first, self.since, rng);
        for &(at, who) in &self.said {
            two.rest(at, rng);
            let (_, effects) =
                two.sides[who].talk.say("before".to_owned(), at, rng, &mut no_tickets);
            two.carry_out(effects.into_iter().map(|effect| (who, effect)), at, rng);
        }
        two.rest(until, rng);
        two.sides.map(|side| side.disk)
    }
}

impl Two {
    /// Everything that is due by the clock before this moment.
    fn rest(&mut self, until: Timestamp, rng: &mut Rng) {
        let next = |two: &Self| {
            let due = |who: usize| two.sides[who].wake.map(|at| (at, who));
            (0..2).filter_map(due).min().filter(|(at, _)| *at < until)
        };
        while let Some((at, who)) = next(self) {
            self.sides[who].wake = None;
            let effects = self.sides[who].talk.handle(Input::Timer, at, rng, &mut no_tickets);
            self.carry_out(effects.into_iter().map(|effect| (who, effect)), at, rng);
        }
    }

    fn carry_out(
        &mut self,
        effects: impl IntoIterator<Item = (usize, Effect)>,
        now: Timestamp,
        rng: &mut Rng,
    ) {
        let mut left: VecDeque<(usize, Effect)> = effects.into_iter().collect();
        while let Some((who, effect)) = left.pop_front() {
            for (who, input) in self.done(who, effect) {
                let effects = self.sides[who].talk.handle(input, now, rng, &mut no_tickets);
                left.extend(effects.into_iter().map(|effect| (who, effect)));
            }
        }
    }

    /// What comes of an effect.
    fn done(&mut self, who: usize, effect: Effect) -> Vec<(usize, Input)> {
        match effect {
            Effect::Write(boxed, _) => {
                let id = boxed.id();
                let first = self.written.entry(id).or_insert_with(|| boxed.clone());
                let outcome = if *first == boxed {
                    WriteOutcome::Stored
                } else {
                    WriteOutcome::Exists(first.clone())
                };
                let by = [0, 1].into_iter().filter(|by| self.followed.remove(&(id, *by)));
                let arrived: Vec<_> = by.map(|by| (by, Input::Arrived(boxed.clone()))).collect();
                [(who, Input::Written { id, outcome })].into_iter().chain(arrived).collect()
            }
            Effect::Read(id) => {
                let found = self.written.get(&id).cloned();
                let outcome = found.map_or(ReadOutcome::Empty, ReadOutcome::Found);
                vec![(who, Input::Read { id, outcome })]
            }
            Effect::Follow(id, ..) => match self.written.get(&id) {
                Some(boxed) => vec![(who, Input::Arrived(boxed.clone()))],
                None => {
                    self.followed.insert((id, who));
                    Vec::new()
                }
            },
            Effect::Unfollow(id) => {
                self.followed.remove(&(id, who));
                Vec::new()
            }
            Effect::WakeAt(at) => {
                self.sides[who].wake = Some(at);
                Vec::new()
            }
            Effect::Persist(changes) => {
                self.sides[who].disk.store(changes);
                Vec::new()
            }
            // Nobody listens.
            Effect::Event(_) | Effect::Done { .. } => Vec::new(),
            Effect::Recall { .. } => unreachable!("nobody has to rejoin"),
        }
    }
}
