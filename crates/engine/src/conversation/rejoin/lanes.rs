//! Walking the rejoin lanes: box after box, in an order that both sides share.

use serde::{Deserialize, Serialize};
use xchat_base::{Secret, Timestamp, Wire, kdf};
use xchat_pigeonhole::outcome::{ReadOutcome, WriteOutcome};
use xchat_pigeonhole::{BoxId, Lane, SealedBox};

use super::entry::{Entry, Request};
use super::stage::Stage;
use crate::api::{Alert, Urgency};
use crate::conversation::{Conversation, EpochGroup, Purpose};
use crate::turn::Turn;

/// There is a lane for each so long time, counted from 1970, and both sides look into the present one
/// and the one before. So a device needs to remember no position, however old its backup; a request,
/// which lives 16 days, always lies in one of the two.
const WINDOW_SECS: u64 = 32 * 24 * 3600;

/// Boxes of one such lane. Whoever fills them bars rejoining until the next lane, for the two of them.
pub(super) const MAX_ENTRIES: u64 = 256;

/// Leaves of a pair's first group: the accepter and the inviter.
const SIDES: u32 = 2;

/// A place in the rejoin lanes. They are in one order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::conversation) struct Place {
    pub(super) window: u64,
    pub(super) index: u64,
}

/// One lane, at the first box that we have not seen.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) struct Walk {
    pub(super) window: u64,
    pub(super) lane: Lane,
    /// That box was empty when we asked last.
    pub(super) at_end: bool,
    asked: bool,
}

impl Walk {
    fn new(secret: &Secret<32>, window: u64, since: Place) -> Self {
        let secret = kdf::derive(secret.expose(), "rejoin window", &window.to_be_bytes());
        let mut lane = Lane::new(secret);
        while window == since.window && lane.index() < since.index {
            lane.advance();
        }
        Self { window, lane, at_end: false, asked: false }
    }

    pub(super) fn has_room(&self) -> bool {
        self.lane.index() < MAX_ENTRIES
    }
}

/// The window of a time, and the first box of its lane.
#[cfg(test)]
pub(super) fn first_box(secret: &Secret<32>, now: Timestamp) -> (u64, xchat_pigeonhole::BoxId) {
    let window = window(now);
    let walk = Walk::new(secret, window, Place { window, index: 0 });
    (window, walk.lane.keys().id())
}

fn window(now: Timestamp) -> u64 {
    now.as_secs() / WINDOW_SECS
}

impl<G: EpochGroup> Conversation<G> {
    /// Looks whether something has come: at each start, and every day.
    pub(in crate::conversation) fn look_for_rejoin(&mut self, turn: &mut Turn<'_>) {
        if self.is_modelled() {
            return;
        }
        let (now, since) = (window(turn.now), self.rejoin.since);
        let wanted = now.saturating_sub(1).max(since.window)..=now.max(since.window);
        let (kept, gone) = std::mem::take(&mut self.rejoin.walks)
            .into_iter()
            .partition(|walk| wanted.contains(&walk.window));
        self.rejoin.walks = kept;
        let gone: Vec<Walk> = gone;
        for walk in gone {
            let id = walk.lane.keys().id();
            self.ids.remove(&id);
            turn.unfollow(id);
        }
        for window in wanted {
            if !self.rejoin.walks.iter().any(|walk| walk.window == window) {
                let walk = Walk::new(&self.rejoin.secret, window, since);
                self.rejoin.walks.push(walk);
            }
        }
        self.rejoin.walks.sort_by_key(|walk| walk.window);
        for walk in &mut self.rejoin.walks {
            walk.at_end = false;
        }
        self.walk_on(turn);
    }

    /// Asks for the next box, in order: an older lane is walked to its end first.
    fn walk_on(&mut self, turn: &mut Turn<'_>) {
        for walk in &mut self.rejoin.walks {
            walk.at_end |= !walk.has_room();
            if walk.at_end {
                continue;
            }
            if !std::mem::replace(&mut walk.asked, true) {
                let id = walk.lane.keys().id();
                self.ids.insert(id, Purpose::Rejoin(walk.window));
                turn.read(id);
            }
            return;
        }
    }

    pub(in crate::conversation) fn rejoin_box_read(
        &mut self,
        turn: &mut Turn<'_>,
        window: u64,
        id: BoxId,
        outcome: ReadOutcome,
    ) {
        let walk = self.rejoin.walks.iter_mut().find(|walk| walk.window == window);
        let Some(walk) = walk.filter(|walk| walk.lane.keys().id() == id) else { return };
        walk.asked = false;
        match outcome {
            ReadOutcome::Empty => {
                walk.at_end = true;
                // Somebody waits for what comes here, or nobody expects anything.
                let is_idle = matches!(self.rejoin.stage, Stage::Idle);
                turn.follow(id, if is_idle { Urgency::Seldom } else { Urgency::Resting });
                self.walk_on(turn);
            }
            ReadOutcome::Found(boxed) => self.pass(turn, window, Some(&boxed)),
            ReadOutcome::Expired => self.pass(turn, window, None),
        }
    }

    pub(in crate::conversation) fn rejoin_box_written(
        &mut self,
        turn: &mut Turn<'_>,
        window: u64,
        id: BoxId,
        outcome: WriteOutcome,
    ) {
        let own = self.rejoin.stage.post().and_then(|post| post.entry.clone());
        let outcome = match (outcome, own.filter(|own| own.id() == id)) {
            (WriteOutcome::Stored, Some(own)) => ReadOutcome::Found(own),
            // Of a request or answer that was given up meanwhile: it stands there all the same.
            (WriteOutcome::Stored, None) => return self.look_for_rejoin(turn),
            (WriteOutcome::Exists(boxed), _) => ReadOutcome::Found(boxed),
            (WriteOutcome::Expired, _) => ReadOutcome::Expired,
        };
        self.rejoin_box_read(turn, window, id, outcome);
    }

    /// Takes the next box of a lane for what it is, and goes on behind it.
    fn pass(&mut self, turn: &mut Turn<'_>, window: u64, boxed: Option<&SealedBox>) {
        let walk = self.rejoin.walks.iter_mut().find(|walk| walk.window == window);
        let Some(walk) = walk else { return };
        let keys = walk.lane.keys();
        walk.lane.advance();
        (walk.at_end, walk.asked) = (false, false);
        let next = Place { window, index: walk.lane.index() };
        self.ids.remove(&keys.id());
        let own = self.rejoin.stage.post().and_then(|post| post.entry.as_ref());
        let is_own = own.is_some_and(|own| own.id() == keys.id() && boxed.is_none_or(|b| b == own));
        match boxed {
            Some(_) if is_own => self.own_entry_placed(turn, next),
            Some(boxed) => {
                let opened = keys.open(boxed).ok();
                match opened.and_then(|bytes| Entry::from_wire(&bytes).ok()) {
                    Some(entry) => self.take_entry(turn, entry, next),
                    None => self.alert(turn, Alert::Unreadable),
                }
            }
            // What stood there is gone, and may have been an answer: then the other side went on in a
            // group that we do not know.
            None => {
                if is_own {
                    self.drop_stage(turn);
                }
                self.must_rejoin(turn);
            }
        }
        self.walk_on(turn);
    }

    fn take_entry(&mut self, turn: &mut Turn<'_>, entry: Entry, next: Place) {
        let side = self.rejoin.side;
        match entry {
            Entry::Request { side: from, .. } | Entry::Answer { side: from, .. }
                if from >= SIDES =>
            {
                self.alert(turn, Alert::Unreadable);
            }
            Entry::Request { side: from, id, run } => {
                let first = self.rejoin.open.as_ref().is_none_or(|open| open.side == from);
                if from == side {
                    // Another life of this device has asked.
                    self.must_rejoin(turn);
                }
                if first {
                    self.rejoin.open = Some(Request::new(from, id, &run));
                    self.stop_reading();
                }
            }
            Entry::Answer { side: from, to, run } => {
                let answers = |open: &mut Request| open.id == to && open.side != from;
                if self.rejoin.open.take_if(answers).is_none() {
                    return;
                }
                let asked = match &self.rejoin.stage {
                    Stage::Asking(asking) => asking.id == to && from != side,
                    Stage::Idle | Stage::Answering(_) => false,
                };
                match Entry::answer_run(&run) {
                    Some(pointer) if asked => self.read_answer(turn, pointer, next),
                    // Answered by or for another life of this device, or with rubbish.
                    _ => {
                        self.drop_stage(turn);
                        self.must_rejoin(turn);
                    }
                }
            }
        }
    }
}
