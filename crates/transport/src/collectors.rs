//! Collectors: the stores that keep deliveries for us under anonymous sessions.

use core::time::Duration;

use xchat_base::{Rng, Timestamp, random};
use xchat_directory::{NodeId, OperatorId, VerifiedDocument, random_store};
use xchat_sphinx::CollectorSession;

use crate::status::CollectorHealth;

/// A collector is replaced after this, times a random factor between one half and three halves.
const LIFE: Duration = Duration::from_secs(4 * 3_600);

/// For so long at most one that was replaced goes on being asked: until the next is replaced, at the earliest.
pub(crate) const OVERLAP: Duration = Duration::from_secs(LIFE.as_secs() / 2);

/// A collector in use is given up after so many collects in a row without an answer, if others answer.
const SILENT_AFTER: u32 = 8;

/// One that never answered is given up sooner: nothing depends on it yet.
const PROBES: u32 = 4;

/// While two collectors are in use, every so-many-th collect goes to the one that needs it less.
const OTHER_EVERY: u64 = 4;

/// One session at one store.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    pub(crate) session: CollectorSession,
    pub(crate) store: NodeId,
    /// Its last answer; until the first one it may not know the session, and drops deliveries to it.
    answered: Option<Timestamp>,
    /// Its last answer was an item: there may be more.
    had_item: bool,
    unanswered: u32,
    /// When the first collect of those unanswered was sent.
    silent_since: Timestamp,
    /// Its store is found to leave out part of what it is asked.
    is_failing: bool,
}

/// The current collector, the next while it is being opened, the last while registrations still name it.
pub(crate) struct Collectors {
    current: Option<Collector>,
    next: Option<Collector>,
    previous: Option<(Collector, Timestamp)>,
    replace_at: Timestamp,
    collects: u64,
    /// The store that was given up last.
    given_up: Option<NodeId>,
}

/// Which registrations are void after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GivenUp(pub(crate) CollectorSession);

impl Collectors {
    pub(crate) fn new() -> Self {
        Self {
            current: None,
            next: None,
            previous: None,
            replace_at: Timestamp::ZERO,
            collects: 0,
            given_up: None,
        }
    }

    /// The one that new registrations name: only once it has answered, since a store drops deliveries to a session
    /// that nobody has asked about.
    pub(crate) fn for_registrations(&self) -> Option<&Collector> {
        self.current.as_ref().filter(|collector| collector.answered.is_some())
    }

    /// All that are in use.
    pub(crate) fn sessions(&self) -> Vec<CollectorSession> {
        let previous = self.previous.as_ref().map(|(collector, _)| collector);
        let all = [self.current.as_ref(), self.next.as_ref(), previous];
        all.into_iter().flatten().map(|collector| collector.session).collect()
    }

    /// Whether the current one has still to be opened.
    pub(crate) fn is_opening(&self) -> bool {
        self.for_registrations().is_none()
    }

    /// Makes sure that there is one, and replaces it when its time has come: by a store of none of these operators, and none of
    /// these stores if there is another. The session of one that was replaced because it fails: what is registered there had better be
    /// registered elsewhere.
    pub(crate) fn refresh(
        &mut self,
        document: &VerifiedDocument,
        (never, seldom): (&[OperatorId], &[NodeId]),
        overlap_over: Timestamp,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Option<CollectorSession> {
        let mut left = None;
        if self.previous.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.previous = None;
        }
        if let Some(next) = self.next.take_if(|next| next.answered.is_some()) {
            let last = self.current.replace(next);
            left = last.as_ref().filter(|last| last.is_failing).map(|last| last.session);
            // Of one that fails soon after it took over: more names the one before it.
            let is_well = self.previous.as_ref().is_some_and(|(before, _)| !before.is_failing);
            if left.is_none() || !is_well {
                self.previous = last.map(|last| (last, overlap_over));
            }
            self.replace_at = end_of_life(now, rng);
        }
        if self.current.is_none() {
            self.current = self.choose(document, never, seldom, rng);
            self.replace_at = end_of_life(now, rng);
        } else if self.next.is_none() && self.replace_at <= now {
            let next = self.choose(document, never, seldom, rng);
            match (&mut self.current, &next) {
                (Some(current), Some(next))
                    if current.is_failing && current.store == next.store =>
                {
                    // There is no other: one that answers some is better than none.
                    current.is_failing = false;
                    self.replace_at = end_of_life(now, rng);
                }
                _ => self.next = next,
            }
        }
        left
    }

    /// Whom to ask in this slot.
    pub(crate) fn ask(&mut self) -> Option<(CollectorSession, NodeId)> {
        self.collects += 1;
        let current = self.current.as_ref()?;
        let previous = self.previous.as_ref().map(|(last, _)| last);
        let second = self.next.as_ref().or(previous).unwrap_or(current);
        let (first, other, every) = if second.is_failing {
            (current, second, OTHER_EVERY * 2)
        } else if self.next.is_some() || (current.had_item && !second.had_item) {
            (current, second, OTHER_EVERY)
        } else if second.had_item && !current.had_item {
            // Asked by turns, what lies there would wait twice as long while the other one has nothing.
            (second, current, OTHER_EVERY)
        } else {
            // Of tickets that were handed out before, many name the last one.
            (current, second, OTHER_EVERY / 2)
        };
        let chosen = if self.collects.is_multiple_of(every) { other } else { first };
        Some((chosen.session, chosen.store))
    }

    pub(crate) fn answered(&mut self, session: &CollectorSession, had_item: bool, now: Timestamp) {
        if let Some(collector) = self.find(session) {
            collector.answered = Some(now);
            collector.had_item = had_item;
            collector.unanswered = 0;
        }
    }

    /// A collect that was sent then had no answer. `last_answer`: when anything at all was last answered; if nothing
    /// was, the collector is not to blame.
    pub(crate) fn unanswered(
        &mut self,
        session: &CollectorSession,
        sent: Timestamp,
        last_answer: Timestamp,
    ) -> Option<GivenUp> {
        let collector = self.find(session)?;
        if collector.answered.is_some_and(|at| at >= sent) {
            return None;
        }
        if collector.unanswered == 0 {
            collector.silent_since = sent;
        }
        collector.unanswered += 1;
        // One that does not answer is asked no more often for what it had before.
        collector.had_item = false;
        let others_answer = last_answer > collector.silent_since;
        let dead = match collector.answered {
            None => collector.unanswered >= PROBES,
            Some(_) => collector.unanswered >= SILENT_AFTER && others_answer,
        };
        if dead { self.give_up(session) } else { None }
    }

    /// It will not have us, or the document no longer lists it.
    pub(crate) fn give_up(&mut self, session: &CollectorSession) -> Option<GivenUp> {
        let of = |collector: &mut Collector| collector.session == *session;
        let gone = self
            .current
            .take_if(of)
            .or_else(|| self.next.take_if(of))
            .or_else(|| self.previous.take_if(|(last, _)| of(last)).map(|(last, _)| last))?;
        if self.current.is_none() {
            self.current = self.next.take();
        }
        self.given_up = Some(gone.store);
        Some(GivenUp(gone.session))
    }

    /// These nodes are found to fail: if one of them is the collector, another one takes over now. What comes to it meanwhile is asked for
    /// there, where some of it can be had. The session of the one before, if that is it: what names it had better name another one.
    pub(crate) fn leave(&mut self, failing: &[NodeId], now: Timestamp) -> Option<CollectorSession> {
        let fails = |one: &Collector| failing.contains(&one.store);
        self.next.take_if(|next| fails(next));
        if let Some(current) = self.current.as_mut().filter(|current| fails(current)) {
            current.is_failing = true;
            self.replace_at = now;
        }
        let (last, _) = self.previous.as_mut().filter(|(last, _)| fails(last))?;
        last.is_failing = true;
        Some(last.session)
    }

    /// Whether nothing had better be delivered there any more: it was replaced because it fails, or is not asked at all.
    pub(crate) fn is_left(&self, session: &CollectorSession) -> bool {
        let of = |collector: &&Collector| collector.session == *session;
        let last = self.previous.as_ref().map(|(last, _)| last);
        self.current.as_ref().filter(of).is_none()
            && last.filter(of).is_none_or(|last| last.is_failing)
    }

    /// Gives up those whose stores are not in the document.
    pub(crate) fn follow_document(&mut self, document: &VerifiedDocument) -> Vec<GivenUp> {
        let listed = |store: &NodeId| document.node(store).is_some_and(|node| node.is_store());
        let unlisted: Vec<_> = [&self.current, &self.next]
            .into_iter()
            .flatten()
            .chain(self.previous.as_ref().map(|(last, _)| last))
            .filter(|collector| !listed(&collector.store))
            .map(|collector| collector.session)
            .collect();
        unlisted.iter().filter_map(|session| self.give_up(session)).collect()
    }

    pub(crate) fn health(&self) -> CollectorHealth {
        match &self.current {
            Some(Collector { unanswered, .. }) if *unanswered >= PROBES => {
                CollectorHealth::Silent { unanswered: *unanswered }
            }
            Some(Collector { answered: Some(last), .. }) => {
                CollectorHealth::Answering { last: *last }
            }
            _ => CollectorHealth::Unknown,
        }
    }

    fn find(&mut self, session: &CollectorSession) -> Option<&mut Collector> {
        [self.current.as_mut(), self.next.as_mut(), self.previous.as_mut().map(|(last, _)| last)]
            .into_iter()
            .flatten()
            .find(|collector| collector.session == *session)
    }

    /// A random store, of none of these operators; another one than failed last and none of these stores, if there are such.
    fn choose(
        &self,
        document: &VerifiedDocument,
        never: &[OperatorId],
        seldom: &[NodeId],
        rng: &mut Rng,
    ) -> Option<Collector> {
        let last = self.current.as_ref().map(|collector| collector.store).or(self.given_up);
        let last = last.and_then(|store| document.node(&store)).map(|node| node.operator);
        let stricter: Vec<_> = never.iter().copied().chain(last).collect();
        let wishes: [(&[_], &[_]); 4] =
            [(&stricter, seldom), (&stricter, &[]), (never, seldom), (never, &[])];
        let store =
            wishes.into_iter().find_map(|(never, but)| random_store(rng, document, never, but))?;
        Some(Collector {
            session: CollectorSession::random(rng),
            store: store.id,
            answered: None,
            had_item: false,
            unanswered: 0,
            silent_since: Timestamp::ZERO,
            is_failing: false,
        })
    }
}

fn end_of_life(now: Timestamp, rng: &mut Rng) -> Timestamp {
    now + LIFE.mul_f64(0.5 + random::unit(rng))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(n: u8) -> Collector {
        Collector {
            session: CollectorSession::from_bytes([n; 32]),
            store: NodeId::from_bytes([n; 32]),
            answered: Some(Timestamp::ZERO),
            had_item: false,
            unanswered: 0,
            silent_since: Timestamp::ZERO,
            is_failing: false,
        }
    }

    /// How many of a hundred collects each of the two gets.
    fn asked(collectors: &mut Collectors) -> [usize; 2] {
        let asked: Vec<_> = (0..100).filter_map(|_| collectors.ask()).collect();
        [1, 2].map(|n| asked.iter().filter(|(session, _)| session.as_bytes()[0] == n).count())
    }

    #[test]
    fn of_two_the_one_that_has_items_is_asked_more_often() {
        let now = Timestamp::from_secs(1);
        let [current, last] = [collector(1), collector(2)];
        let sessions = [current.session, last.session];
        let mut collectors = Collectors::new();
        assert_eq!(collectors.ask(), None);
        collectors.current = Some(current);
        assert_eq!(asked(&mut collectors), [100, 0], "there is no other");
        collectors.previous = Some((last, now));
        for (had_item, share) in [
            ([false, false], [50, 50]),
            ([true, false], [75, 25]),
            ([false, true], [25, 75]),
            ([true, true], [50, 50]),
        ] {
            for (session, had_item) in sessions.iter().zip(had_item) {
                collectors.answered(session, had_item, now);
            }
            assert_eq!(asked(&mut collectors), share, "{had_item:?}");
        }
        collectors.answered(&sessions[0], false, now);
        let _ = collectors.unanswered(&sessions[1], now + Duration::from_secs(1), now);
        assert_eq!(asked(&mut collectors), [50, 50], "it may be dead");
        collectors.next = Some(collector(3));
        collectors.answered(&sessions[1], true, now);
        assert_eq!(asked(&mut collectors), [75, 0], "the next one is opened");
    }

    #[test]
    fn one_that_was_replaced_because_it_fails_is_asked_every_eighth_time() {
        let mut collectors = Collectors::new();
        collectors.current = Some(collector(1));
        let last = Collector { is_failing: true, had_item: true, ..collector(2) };
        collectors.previous = Some((last, Timestamp::from_secs(1)));
        assert_eq!(asked(&mut collectors), [88, 12]);
    }
}
