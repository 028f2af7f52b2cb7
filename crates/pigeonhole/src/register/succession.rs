//! Succession: how a replica set takes over from the one before it.
//!
//! A store that takes up a placement *seals* the earlier ones, durably: from then on it promises,
//! accepts and answers nothing in them. It serves a box only when it has read what two of the three
//! replicas of the placement before held after *they* had sealed it; its own table counts as one of
//! them if it was one. Since every value chosen earlier had been accepted by two, each replica of the
//! new placement then holds it, or a later proposal of it, and goes on with Paxos from there
//! (reconfiguration as in Lamport, Malkhi and Zhou, "Vertical Paxos", PODC 2009).
//!
//! A store whose disk was wiped comes back in the same way: the next placement lists its new
//! incarnation. Boxes that keep their replicas are not copied; their first-ranked replica has not read
//! a majority then, and does without its ballot 0.

mod copying;
mod merge;
mod source;

use core::time::Duration;
use std::collections::BTreeMap;

use xchat_base::{Rng, Timestamp};

use crate::answer::StoreId;
use crate::boxes::{BoxId, VerifiedBox};
use crate::request::Refusal;

use super::ballot::Ballot;
use super::membership::{Member, QUORUM, ReplicaSet};
use super::message::Attempt;
use super::placements::{FIRST_PLACEMENT, Placements};
use super::record::{BoxRecord, Lifetimes};
#[cfg(any(test, feature = "mutations"))]
use super::replica::Mutation;
use super::standing::{Progress, Standing};
use super::table::BoxTable;
use super::table_message::{TableBody, TableMessage};

/// Sources asked at a time; the answer of each is a page of 26 KB.
pub const MAX_PULLS: usize = 16;
/// A source that has not answered is asked again after this: it may not have taken up the placement
/// yet, or not be through with copying for the one before.
pub const PULL_AFTER: Duration = Duration::from_secs(2);
/// Placements whose completion is remembered: twice as many as a document tells of.
const MAX_COMPLETED: u32 = 32;

/// What the driver has to do, after the table is synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableEffect {
    /// Send a message to another store.
    Send {
        /// To whom.
        to: StoreId,
        /// What.
        message: TableMessage,
    },
    /// This replica has learned a box's value: standing reads for it can be served.
    Chosen(VerifiedBox),
    /// Hand this to the replica as [`super::RegisterInput::Settle`].
    Settle {
        /// The box.
        id: BoxId,
        /// Its replicas.
        replicas: ReplicaSet,
    },
}

/// How a table stands, for whoever looks after the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableState {
    /// The placement taken up.
    pub placement: u32,
    /// Whether all boxes of this store in that placement are served.
    pub complete: bool,
    /// Stores from which something is still to be copied.
    pub sources_left: usize,
    /// Boxes that copying has brought since the table was made.
    pub refilled: u64,
}

/// One store's part in the succession of placements. Begins anew over its table after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Succession {
    own: Member,
    lifetimes: Lifetimes,
    standing: Standing,
    /// Requests on their way, by the placement copied for and the source.
    pulls: BTreeMap<(u32, StoreId), Pull>,
    /// Who was asked last, so that all have their turn.
    last_asked: Option<(u32, StoreId)>,
    #[cfg(any(test, feature = "mutations"))]
    mutation: Option<Mutation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pull {
    attempt: Attempt,
    due: Timestamp,
}

/// What one call works with.
struct Turn<'a> {
    placements: &'a dyn Placements,
    table: &'a mut dyn BoxTable,
    now: Timestamp,
    rng: &'a mut Rng,
    effects: Vec<TableEffect>,
}

impl Succession {
    /// Over a table, new or not.
    pub fn new(own: Member, table: &dyn BoxTable) -> Self {
        Self {
            own,
            lifetimes: Lifetimes::default(),
            standing: table.standing(),
            pulls: BTreeMap::new(),
            last_asked: None,
            #[cfg(any(test, feature = "mutations"))]
            mutation: None,
        }
    }

    /// A broken one.
    #[cfg(any(test, feature = "mutations"))]
    pub fn with_mutation(own: Member, table: &dyn BoxTable, mutation: Option<Mutation>) -> Self {
        Self { mutation, ..Self::new(own, table) }
    }

    /// How long boxes and tombstones are kept, from now on.
    pub fn set_lifetimes(&mut self, lifetimes: Lifetimes) {
        self.lifetimes = lifetimes;
    }

    /// Takes up the placement in use, if it is later than the one taken up before; then the replica
    /// must be given [`super::RegisterInput::Seal`] before anything else. Also to be called after a
    /// restart: copying goes on.
    pub fn follow(
        &mut self,
        placements: &dyn Placements,
        table: &mut dyn BoxTable,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<TableEffect> {
        let current = placements.current();
        if current < self.standing.sealed {
            return Vec::new();
        }
        self.standing.sealed = current;
        self.pulls.clear();
        // The first placement begins with empty tables.
        if placements.lists(FIRST_PLACEMENT, &self.own) || self.ignores_incarnation() {
            self.standing.completed.insert(FIRST_PLACEMENT);
        }
        let known = (FIRST_PLACEMENT + 1..=current)
            .rev()
            .take_while(|placement| placements.stores(placement - 1).is_some());
        for placement in known {
            let completed = self.standing.completed.contains(&placement);
            if placements.lists(placement, &self.own) && !completed {
                self.standing.transfers.entry(placement).or_default();
            }
        }
        self.standing.transfers.retain(|at, _| placements.stores(at - 1).is_some());
        self.standing.completed.retain(|at| at.saturating_add(MAX_COMPLETED) > current);
        let mut turn = Turn { placements, table, now, rng, effects: Vec::new() };
        self.look_for_completion(turn.placements);
        self.write_standing(&mut turn);
        self.ask(&mut turn);
        turn.effects
    }

    /// A message of another store about its table, if it is about copying.
    pub fn on_message(
        &mut self,
        from: StoreId,
        message: TableMessage,
        placements: &dyn Placements,
        table: &mut dyn BoxTable,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<TableEffect> {
        let mut turn = Turn { placements, table, now, rng, effects: Vec::new() };
        match message.body {
            TableBody::Pull(after) => {
                let sender = Member { store: from, incarnation: message.incarnation };
                if let Some(body) = self.page(message.placement, after, &sender, &turn) {
                    let TableMessage { placement, attempt, .. } = message;
                    let incarnation = self.own.incarnation;
                    let message = TableMessage { placement, incarnation, attempt, body };
                    turn.effects.push(TableEffect::Send { to: from, message });
                }
            }
            TableBody::Page { .. } => self.on_page(from, message, &mut turn),
            TableBody::Compare { .. } | TableBody::Same | TableBody::Inventory { .. } => {}
        }
        turn.effects
    }

    /// The time of [`Self::next_wake`] has come.
    pub fn on_timer(
        &mut self,
        placements: &dyn Placements,
        table: &mut dyn BoxTable,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<TableEffect> {
        let mut turn = Turn { placements, table, now, rng, effects: Vec::new() };
        self.ask(&mut turn);
        turn.effects
    }

    /// When [`Self::on_timer`] is to be called.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.pulls.values().map(|pull| pull.due).min()
    }

    /// Whether this store may speak for a box now, and with whom.
    ///
    /// # Errors
    /// [`Refusal`]: nothing may be promised, accepted or answered.
    pub fn admit(
        &self,
        id: &BoxId,
        placements: &dyn Placements,
        table: &mut dyn BoxTable,
        now: Timestamp,
    ) -> Result<ReplicaSet, Refusal> {
        let current = placements.current();
        let replicas = placements.replicas(current, id).ok_or(Refusal::NotReplica)?;
        let own = replicas.member(&self.own.store).ok_or(Refusal::NotReplica)?;
        let is_own = *own == self.own || self.ignores_incarnation();
        if current != self.standing.sealed || !is_own || !self.is_ready(current, id, placements) {
            return Err(Refusal::CatchingUp);
        }
        if let Some(BoxRecord::Doubtful { by, from, since, accepted, .. }) = table.get(id) {
            if !self.is_refuted(id, [by, from], since, placements) {
                return Err(Refusal::CatchingUp);
            }
            let expires_at = now + self.lifetimes.boxed;
            let promised = accepted
                .as_ref()
                .map_or(Ballot::zero(current.saturating_sub(1)), |(ballot, _)| *ballot);
            table.put(*id, BoxRecord::Open { promised, accepted, expires_at });
        }
        // What is served and has other replicas than before was read from a majority of those.
        let was_read = current == FIRST_PLACEMENT
            || self.is_moved(current, id, placements).is_some_and(|moved| moved);
        Ok(if was_read { replicas } else { replicas.without_zero() })
    }

    /// How it stands.
    pub fn state(&self, placements: &dyn Placements) -> TableState {
        let placement = self.standing.sealed;
        TableState {
            placement,
            complete: placement == placements.current()
                && placements.lists(placement, &self.own)
                && self.standing.completed.contains(&placement),
            sources_left: self.sources(placements).count(),
            refilled: self.standing.refilled,
        }
    }

    /// The highest placement taken up.
    pub fn sealed(&self) -> u32 {
        self.standing.sealed
    }

    /// Whether two of the three replicas of the placement before have been read for this box, this
    /// table among them if it was one of them.
    fn is_ready(&self, placement: u32, id: &BoxId, placements: &dyn Placements) -> bool {
        let mut placement = placement;
        while !self.standing.completed.contains(&placement) {
            if placement <= FIRST_PLACEMENT {
                return false;
            }
            match self.is_moved(placement, id, placements) {
                None => return false,
                Some(false) => placement -= 1,
                Some(true) => {
                    let read = self.read_of(placement, id, placements).count();
                    return read >= QUORUM || self.serves_unread();
                }
            }
        }
        true
    }

    /// Whether a box has other replicas than in the placement before; `None` if that is not known.
    fn is_moved(&self, placement: u32, id: &BoxId, placements: &dyn Placements) -> Option<bool> {
        let before = placements.replicas(placement.checked_sub(1)?, id)?;
        let now = placements.replicas(placement, id)?;
        Some(!now.has_members_of(&before))
    }

    /// The replicas of a box in the placement before that have been read.
    fn read_of(
        &self,
        placement: u32,
        id: &BoxId,
        placements: &dyn Placements,
    ) -> impl Iterator<Item = StoreId> {
        let before = placement.checked_sub(1).and_then(|at| placements.replicas(at, id));
        let members = before.map(|set| *set.members()).into_iter().flatten();
        members.filter(move |member| self.has_read(placement, member)).map(|member| member.store)
    }

    /// Whether a store of the placement before has been read. This table has read itself if it is
    /// through with copying for that placement.
    fn has_read(&self, placement: u32, source: &Member) -> bool {
        if *source == self.own {
            return self.standing.completed.contains(&placement.saturating_sub(1));
        }
        self.standing
            .transfers
            .get(&placement)
            .and_then(|sources| sources.get(&source.store))
            .is_some_and(|progress| *progress == Progress::Done)
    }

    /// Whether two replicas know nothing of what these say: that the box has expired.
    fn is_refuted(
        &self,
        id: &BoxId,
        who: [StoreId; 2],
        since: u32,
        placements: &dyn Placements,
    ) -> bool {
        let current = self.standing.sealed;
        // Who was in doubt before this placement is no witness against it.
        let own_counts = since == current;
        let witnesses = self
            .read_of(current, id, placements)
            .filter(|store| !who.contains(store) && (own_counts || *store != self.own.store));
        witnesses.count() >= QUORUM
    }

    /// Notes the placements for which all boxes are ready now, earlier ones first.
    fn look_for_completion(&mut self, placements: &dyn Placements) {
        let waiting: Vec<_> = self.standing.transfers.keys().copied().collect();
        for placement in waiting {
            if !self.standing.completed.contains(&placement)
                && self.is_complete(placement, placements)
            {
                self.standing.completed.insert(placement);
            }
        }
        let (completed, sealed) = (&self.standing.completed, self.standing.sealed);
        self.standing.transfers.retain(|at, _| *at == sealed || !completed.contains(at));
        let transfers = &self.standing.transfers;
        self.pulls.retain(|(at, _), _| transfers.contains_key(at));
    }

    /// All boxes are ready when what is missing cannot be two replicas of one box.
    fn is_complete(&self, placement: u32, placements: &dyn Placements) -> bool {
        let before = placement - 1;
        let Some(stores) = placements.stores(before) else { return false };
        if placements.lists(before, &self.own) && !self.standing.completed.contains(&before) {
            return false;
        }
        let mut missing = stores.iter().filter(|(store, listed)| {
            let member = Member { store: **store, incarnation: listed.incarnation };
            !self.has_read(placement, &member)
        });
        let first = missing.next().map(|(_, listed)| listed.operator);
        missing.all(|(_, listed)| Some(listed.operator) == first)
    }

    fn write_standing(&self, turn: &mut Turn<'_>) {
        if turn.table.standing() != self.standing {
            let mut standing = self.standing.clone();
            if self.forgets_seal() {
                standing.sealed = 0;
            }
            turn.table.put_standing(standing);
        }
    }
}

#[cfg(any(test, feature = "mutations"))]
impl Succession {
    fn ignores_incarnation(&self) -> bool {
        self.mutation == Some(Mutation::IgnoreIncarnation)
    }

    fn serves_unread(&self) -> bool {
        self.mutation == Some(Mutation::ServeUnread)
    }

    fn forgets_seal(&self) -> bool {
        self.mutation == Some(Mutation::ForgetSeal)
    }

    fn believes_tombstones(&self) -> bool {
        self.mutation == Some(Mutation::BelieveTombstone)
    }
}

#[cfg(not(any(test, feature = "mutations")))]
impl Succession {
    const fn ignores_incarnation(&self) -> bool {
        false
    }

    const fn serves_unread(&self) -> bool {
        false
    }

    const fn forgets_seal(&self) -> bool {
        false
    }

    const fn believes_tombstones(&self) -> bool {
        false
    }
}
