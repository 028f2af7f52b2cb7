//! Comparison: replicas of one placement find out what they have missed, also what nobody reads.
//!
//! At a constant rate a store takes the next stretch of ids, lists the boxes in it that it and a peer
//! both keep and of which it knows the decision, and sends a digest of the list. A peer whose list is
//! another answers with it, and what is missing here is asked for like a read: a value is taken over
//! from one who knows it to be chosen, an expiry only from two. On the way, whatever was accepted here
//! and never decided is settled.

use core::time::Duration;
use std::collections::BTreeMap;

use xchat_base::{Rng, Timestamp};

use crate::answer::StoreId;
use crate::boxes::BoxId;

use super::membership::Member;
use super::message::Attempt;
use super::placements::Placements;
use super::record::BoxRecord;
use super::succession::{Succession, TableEffect};
use super::table::BoxTable;
use super::table_message::{MAX_INVENTORY, Range, TableBody, TableMessage};

/// One stretch is compared so often, whatever there is to do: with three peers, a table of a million
/// boxes is through in 17 hours.
pub const COMPARE_EVERY: Duration = Duration::from_secs(10);
/// Records looked at for one stretch, here and at the peer.
const MAX_SCAN: usize = 512;
/// Boxes asked for after one comparison; those behind them are met again in the next one.
const MAX_MISSING: usize = 64;

const LAST: BoxId = BoxId::from_bytes([0xff; 32]);

/// Volatile: a restart begins a new round.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Comparison {
    own: Member,
    /// By peer, up to where the tables are known to agree in this round.
    cursors: BTreeMap<StoreId, BoxId>,
    last_peer: Option<StoreId>,
    asked: Option<Asked>,
    /// Up to where undecided boxes have been looked for.
    walked: Option<BoxId>,
    due: Timestamp,
    missed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    peer: StoreId,
    attempt: Attempt,
    range: Range,
}

/// What one call works with.
pub struct Tables<'a> {
    /// The placements known.
    pub placements: &'a dyn Placements,
    /// What this store may speak for.
    pub succession: &'a Succession,
    /// Its table.
    pub table: &'a mut dyn BoxTable,
    /// The time.
    pub now: Timestamp,
}

impl Comparison {
    /// Begins a round, a while from now.
    pub fn new(own: Member, now: Timestamp) -> Self {
        Self {
            own,
            cursors: BTreeMap::new(),
            last_peer: None,
            asked: None,
            walked: None,
            due: now + COMPARE_EVERY,
            missed: 0,
        }
    }

    /// When [`Self::on_timer`] is to be called.
    pub fn next_wake(&self) -> Timestamp {
        self.due
    }

    /// Boxes found to be missing here since the start.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Compares the next stretch with the next peer.
    pub fn on_timer(&mut self, tables: &mut Tables<'_>, rng: &mut Rng) -> Vec<TableEffect> {
        if tables.now < self.due {
            return Vec::new();
        }
        self.due = tables.now + COMPARE_EVERY;
        let placement = tables.placements.current();
        if tables.succession.sealed() != placement {
            return Vec::new();
        }
        let mut effects = self.walk(tables);
        let Some(peer) = self.next_peer(tables.placements) else { return effects };
        let after = self.cursors.get(&peer).copied();
        let (upto, ids) = self.settled(after, LAST, &peer, tables);
        let range = Range { after, upto };
        let attempt = Attempt(rng.next_u64());
        self.asked = Some(Asked { peer, attempt, range });
        let body = TableBody::Compare { range, digest: digest(&ids) };
        effects.push(self.send(peer, placement, attempt, body));
        effects
    }

    /// A message of another store about its table, if it is about comparing.
    pub fn on_message(
        &mut self,
        from: StoreId,
        message: TableMessage,
        tables: &mut Tables<'_>,
    ) -> Vec<TableEffect> {
        let TableMessage { placement, incarnation, attempt, body } = message;
        let sender = Member { store: from, incarnation };
        let current = placement == tables.placements.current()
            && placement == tables.succession.sealed()
            && tables.placements.lists(placement, &sender)
            && tables.placements.lists(placement, &self.own);
        if !current {
            return Vec::new();
        }
        match body {
            TableBody::Compare { range, digest: theirs } => {
                let (upto, ids) = self.settled(range.after, range.upto, &from, tables);
                let same = upto == range.upto && digest(&ids) == theirs;
                let body = if same { TableBody::Same } else { TableBody::Inventory { upto, ids } };
                vec![self.send(from, placement, attempt, body)]
            }
            TableBody::Same => {
                if let Some(asked) = self.take_asked(&from, attempt) {
                    self.agree(from, asked.range.upto);
                }
                Vec::new()
            }
            TableBody::Inventory { upto, ids } => match self.take_asked(&from, attempt) {
                Some(asked) => self.miss(from, &asked.range, upto, ids, tables),
                None => Vec::new(),
            },
            TableBody::Pull(_) | TableBody::Page { .. } => Vec::new(),
        }
    }

    /// Asks for what the peer knows to be decided and this table does not.
    fn miss(
        &mut self,
        from: StoreId,
        range: &Range,
        upto: BoxId,
        ids: Vec<BoxId>,
        tables: &mut Tables<'_>,
    ) -> Vec<TableEffect> {
        let mut effects = Vec::new();
        let mut agreed = upto.min(range.upto);
        for id in ids {
            if Some(id) <= range.after || id > agreed || is_settled(tables.table.get(&id).as_ref())
            {
                continue;
            }
            if effects.len() == MAX_MISSING {
                agreed = before(id);
                break;
            }
            effects.extend(settle(&id, tables));
        }
        self.missed += effects.len() as u64;
        if Some(agreed) > range.after {
            self.agree(from, agreed);
        }
        effects
    }

    fn take_asked(&mut self, from: &StoreId, attempt: Attempt) -> Option<Asked> {
        self.asked.take_if(|asked| asked.peer == *from && asked.attempt == attempt)
    }

    fn agree(&mut self, peer: StoreId, upto: BoxId) {
        if upto == LAST {
            self.cursors.remove(&peer);
        } else {
            self.cursors.insert(peer, upto);
        }
    }

    fn next_peer(&mut self, placements: &dyn Placements) -> Option<StoreId> {
        let stores = placements.stores(placements.current())?;
        self.cursors.retain(|peer, _| stores.contains_key(peer));
        let others = || stores.keys().copied().filter(|peer| *peer != self.own.store);
        let next = others().find(|peer| Some(*peer) > self.last_peer).or_else(|| others().next());
        self.last_peer = next;
        next
    }

    /// The boxes of a stretch that both keep and of which this table knows the decision; and up to
    /// which id, if that is more than is looked at once.
    fn settled(
        &self,
        after: Option<BoxId>,
        upto: BoxId,
        peer: &StoreId,
        tables: &Tables<'_>,
    ) -> (BoxId, Vec<BoxId>) {
        let records = tables.table.after(after.as_ref(), MAX_SCAN);
        let cut = (records.len() == MAX_SCAN).then(|| records.last().map(|(id, _)| *id)).flatten();
        let upto = cut.map_or(upto, |cut| cut.min(upto));
        let placement = tables.placements.current();
        let shared = |id: &BoxId| {
            tables.placements.replicas(placement, id).is_some_and(|set| {
                set.rank_of(peer).is_some() && set.rank_of(&self.own.store).is_some()
            })
        };
        let ids = records
            .iter()
            .filter(|(id, record)| *id <= upto && is_settled(Some(record)) && shared(id))
            .map(|(id, _)| *id);
        (upto, ids.collect())
    }

    /// Looks for what was accepted here and never decided: since the last restart, or since another
    /// placement, nobody else may know of it.
    fn walk(&mut self, tables: &mut Tables<'_>) -> Vec<TableEffect> {
        let records = tables.table.after(self.walked.as_ref(), MAX_SCAN);
        self.walked = match records.last() {
            Some((id, _)) if records.len() == MAX_SCAN => Some(*id),
            _ => None,
        };
        let undecided = records
            .iter()
            .filter(|(_, record)| matches!(record, BoxRecord::Open { accepted: Some(_), .. }));
        let ids: Vec<_> = undecided.map(|(id, _)| *id).take(MAX_MISSING).collect();
        ids.iter().filter_map(|id| settle(id, tables)).collect()
    }

    fn send(&self, to: StoreId, placement: u32, attempt: Attempt, body: TableBody) -> TableEffect {
        let incarnation = self.own.incarnation;
        TableEffect::Send { to, message: TableMessage { placement, incarnation, attempt, body } }
    }
}

fn settle(id: &BoxId, tables: &mut Tables<'_>) -> Option<TableEffect> {
    let admitted = tables.succession.admit(id, tables.placements, tables.table, tables.now);
    admitted.ok().map(|replicas| TableEffect::Settle { id: *id, replicas })
}

/// Whether the decision about a box is known. Chosen or expired is one: clocks differ.
fn is_settled(record: Option<&BoxRecord>) -> bool {
    matches!(record, Some(BoxRecord::Chosen { .. } | BoxRecord::Tombstone { .. }))
}

fn digest(ids: &[BoxId]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"xchat/1 inventory\0");
    for id in ids {
        hasher.update(id.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// The id right below.
fn before(id: BoxId) -> BoxId {
    let mut bytes = *id.as_bytes();
    for byte in bytes.iter_mut().rev() {
        let borrow = *byte == 0;
        *byte = byte.wrapping_sub(1);
        if !borrow {
            break;
        }
    }
    BoxId::from_bytes(bytes)
}

/// A stretch has no more ids than an inventory.
const _: () = assert!(MAX_SCAN <= MAX_INVENTORY);
