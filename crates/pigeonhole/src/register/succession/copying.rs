//! Copying: asking the replicas of the placement before, page by page.

use super::super::membership::{Member, QUORUM};
use super::super::placements::Placements;
use super::super::standing::Progress;
use super::super::table_message::{TableBody, TableMessage};
use super::merge::{Copied, Source};
use super::source::attempt;
use super::{MAX_PULLS, PULL_AFTER, Pull, Succession, TableEffect, Turn};
use crate::answer::StoreId;
use crate::boxes::BoxId;

impl Succession {
    /// From whom something is still to be copied, and for which placement: stores that have not lost
    /// their disk since.
    pub(super) fn sources<'a>(
        &'a self,
        placements: &'a dyn Placements,
    ) -> impl Iterator<Item = (u32, StoreId)> + 'a {
        let current = placements.current();
        self.standing.transfers.iter().flat_map(move |(placement, progress)| {
            let stores = placements.stores(placement - 1).into_iter().flatten();
            stores
                .filter(move |(store, listed)| {
                    let source = Member { store: **store, incarnation: listed.incarnation };
                    **store != self.own.store
                        && placements.lists(current, &source)
                        && progress.get(*store) != Some(&Progress::Done)
                })
                .map(|(store, _)| (*placement, *store))
        })
    }

    /// Asks those who were not asked yet, or did not answer: a few at a time, each in its turn.
    pub(super) fn ask(&mut self, turn: &mut Turn<'_>) {
        if turn.placements.current() != self.standing.sealed {
            return;
        }
        self.pulls.retain(|_, pull| pull.due > turn.now);
        let free = MAX_PULLS.saturating_sub(self.pulls.len());
        let idle = |key: &(u32, StoreId)| !self.pulls.contains_key(key);
        let (early, late): (Vec<_>, Vec<_>) = self
            .sources(turn.placements)
            .filter(idle)
            .partition(|key| Some(*key) <= self.last_asked);
        for key in late.into_iter().chain(early).take(free) {
            self.last_asked = Some(key);
            self.pull(key, turn);
        }
    }

    fn pull(&mut self, key: (u32, StoreId), turn: &mut Turn<'_>) {
        let (placement, to) = key;
        let attempt = attempt(turn);
        self.pulls.insert(key, Pull { attempt, due: turn.now + PULL_AFTER });
        let body = TableBody::Pull(self.cursor(placement, &to));
        let incarnation = self.own.incarnation;
        let message = TableMessage { placement, incarnation, attempt, body };
        turn.effects.push(TableEffect::Send { to, message });
    }

    #[cfg(any(test, feature = "mutations"))]
    pub(in super::super) fn awaited(
        &self,
        placement: u32,
        source: &StoreId,
    ) -> Option<super::super::message::Attempt> {
        self.pulls.get(&(placement, *source)).map(|pull| pull.attempt)
    }

    fn cursor(&self, placement: u32, source: &StoreId) -> Option<BoxId> {
        match self.standing.transfers.get(&placement)?.get(source)? {
            Progress::UpTo(id) => Some(*id),
            Progress::Done => None,
        }
    }

    /// What a source held. It counts as read when its last page is written.
    pub(super) fn on_page(&mut self, from: StoreId, message: TableMessage, turn: &mut Turn<'_>) {
        let TableMessage { placement, incarnation, attempt, body } = message;
        let TableBody::Page { upto, end, entries } = body else { return };
        let key = (placement, from);
        let source = Member { store: from, incarnation };
        let awaited = self.pulls.get(&key).is_some_and(|pull| pull.attempt == attempt)
            && (turn.placements.lists(placement - 1, &source) || self.ignores_incarnation());
        let cursor = self.cursor(placement, &from);
        let mut last = cursor;
        let in_order = entries.iter().all(|(id, _)| last.replace(*id) < Some(*id))
            && last <= Some(upto)
            && (end || cursor < Some(upto));
        // Whoever sends rubbish is asked again, as if it had been silent.
        if !awaited || !in_order {
            return;
        }
        self.pulls.remove(&key);
        for (id, entry) in entries {
            let Some(refuted) = self.takes(placement, &id, &source, turn.placements) else {
                continue;
            };
            let source = Source { placement, from, refuted };
            match self.merge(id, entry, &source, turn.table, turn.now) {
                Copied::Nothing => {}
                Copied::Written => self.standing.refilled += 1,
                Copied::Learned(boxed) => {
                    self.standing.refilled += 1;
                    turn.effects.push(TableEffect::Chosen(boxed));
                }
            }
        }
        let progress = if end { Progress::Done } else { Progress::UpTo(upto) };
        if let Some(sources) = self.standing.transfers.get_mut(&placement) {
            sources.insert(from, progress);
        }
        self.look_for_completion(turn.placements);
        self.write_standing(turn);
        if !end && self.standing.transfers.contains_key(&placement) {
            self.pull(key, turn);
        }
        self.ask(turn);
    }

    /// Whether a box is to be copied from that source for that placement; and if so, whether two other
    /// sources have been read already, who know nothing of an expiry.
    fn takes(
        &self,
        placement: u32,
        id: &BoxId,
        source: &Member,
        placements: &dyn Placements,
    ) -> Option<bool> {
        let before = placements.replicas(placement - 1, id)?;
        let now = placements.replicas(placement, id)?;
        let fits = before.member(&source.store).is_some() && now.rank_of(&self.own.store).is_some();
        fits.then(|| {
            let others = self.read_of(placement, id, placements);
            others.filter(|store| *store != source.store).count() >= QUORUM
        })
    }
}
