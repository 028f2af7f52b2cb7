//! The acceptor: what a replica promises and accepts, for others and for itself.
//!
//! Every function reads the record, and writes it before it returns what may be told to others.

use xchat_base::Timestamp;

use crate::boxes::{BoxId, VerifiedBox};

use super::ballot::Ballot;
use super::message::Held;
use super::record::{BoxRecord, Lifetimes};
use super::table::BoxTable;

/// Why an acceptor does not do what a proposer wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It has promised this ballot: a higher one, or a lower one if what was asked is out of its
    /// reach as yet ([`Ballot::within_reach`]).
    Preempted(Ballot),
    /// The decision is known, and kept until then.
    Chosen(VerifiedBox, Timestamp),
    /// This replica has known the decision, and its lifetime is over.
    Expired,
    /// One store of an earlier placement says that the box has expired, and nobody has confirmed it:
    /// this replica says nothing.
    Doubtful,
}

/// An undecided box, as this replica sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undecided {
    /// The highest ballot promised or accepted; `None` if the box was never touched.
    pub(crate) promised: Option<Ballot>,
    /// The proposal accepted last.
    pub(crate) held: Held,
    expires_at: Option<Timestamp>,
}

/// What this replica knows of a box.
pub(crate) fn look(
    table: &dyn BoxTable,
    id: &BoxId,
    now: Timestamp,
) -> Result<Undecided, Obstacle> {
    let untouched = Undecided { promised: None, held: None, expires_at: None };
    match table.get(id) {
        None => Ok(untouched),
        Some(BoxRecord::Open { promised, accepted, expires_at }) => {
            Ok(Undecided { promised: Some(promised), held: accepted, expires_at: Some(expires_at) })
        }
        Some(BoxRecord::Chosen { boxed, expires_at }) if now < expires_at => {
            Err(Obstacle::Chosen(boxed, expires_at))
        }
        Some(BoxRecord::Chosen { .. }) => Err(Obstacle::Expired),
        Some(BoxRecord::Tombstone { forget_at }) if now < forget_at => Err(Obstacle::Expired),
        Some(BoxRecord::Doubtful { forget_at, .. }) if now < forget_at => Err(Obstacle::Doubtful),
        Some(BoxRecord::Tombstone { .. } | BoxRecord::Doubtful { .. }) => Ok(untouched),
    }
}

/// Phase 1: from now on nothing below `ballot` is accepted. Promising the same ballot again is
/// harmless: its proposer uses it once.
pub(crate) fn prepare(
    table: &mut dyn BoxTable,
    id: &BoxId,
    ballot: Ballot,
    now: Timestamp,
    lifetimes: &Lifetimes,
) -> Result<Held, Obstacle> {
    let box_state = look(table, id, now)?;
    if let Some(promised) = box_state.promised
        && ballot < promised
    {
        return Err(Obstacle::Preempted(promised));
    }
    let reach = ballot.within_reach(box_state.promised);
    if box_state.promised != Some(reach) {
        promise(table, id, reach, &box_state, now, lifetimes);
    }
    if reach < ballot {
        return Err(Obstacle::Preempted(reach));
    }
    Ok(box_state.held)
}

fn promise(
    table: &mut dyn BoxTable,
    id: &BoxId,
    ballot: Ballot,
    box_state: &Undecided,
    now: Timestamp,
    lifetimes: &Lifetimes,
) {
    let expires_at = box_state.expires_at.unwrap_or(now + lifetimes.boxed);
    let accepted = box_state.held.clone();
    table.put(*id, BoxRecord::Open { promised: ballot, accepted, expires_at });
}

/// Phase 2: accepts unless a higher ballot was promised. `ignore_promise` is false in every
/// product; see `Mutation`.
pub(crate) fn accept(
    table: &mut dyn BoxTable,
    ballot: Ballot,
    boxed: &VerifiedBox,
    now: Timestamp,
    lifetimes: &Lifetimes,
    ignore_promise: bool,
) -> Result<(), Obstacle> {
    let id = boxed.id();
    let box_state = look(table, &id, now)?;
    if let Some(promised) = box_state.promised
        && ballot < promised
        && !ignore_promise
    {
        return Err(Obstacle::Preempted(promised));
    }
    match (&box_state.held, box_state.promised) {
        // A proposer has one value a ballot. Whoever sends a second one is broken or lies.
        (Some((at, held)), Some(promised)) if *at == ballot && held != boxed => {
            return Err(Obstacle::Preempted(promised));
        }
        (Some((at, _)), _) if *at == ballot => return Ok(()),
        _ => {}
    }
    let reach = ballot.within_reach(box_state.promised);
    if reach < ballot {
        promise(table, &id, reach, &box_state, now, lifetimes);
        return Err(Obstacle::Preempted(reach));
    }
    // The lifetime counts from the first acceptance: being completed later does not prolong it.
    let expires_at = match (&box_state.held, box_state.expires_at) {
        (Some(_), Some(expires_at)) => expires_at,
        _ => now + lifetimes.boxed,
    };
    let accepted = Some((ballot, boxed.clone()));
    table.put(id, BoxRecord::Open { promised: ballot, accepted, expires_at });
    Ok(())
}

/// Records the decision. `until`: how long another replica that knew of it keeps the box; to learn of
/// it late does not prolong it. True if it was news.
pub(crate) fn choose(
    table: &mut dyn BoxTable,
    boxed: &VerifiedBox,
    until: Option<Timestamp>,
    now: Timestamp,
    lifetimes: &Lifetimes,
) -> bool {
    let id = boxed.id();
    let Ok(box_state) = look(table, &id, now) else { return false };
    let expires_at = match (&box_state.held, box_state.expires_at) {
        (Some(_), Some(expires_at)) => expires_at,
        _ => until.unwrap_or(Timestamp::MAX).min(now + lifetimes.boxed),
    };
    table.put(id, BoxRecord::Chosen { boxed: boxed.clone(), expires_at });
    true
}

/// Records that the box was decided and has expired, as both other replicas know: what was promised
/// or accepted here would otherwise be completed after they have forgotten it, and what was missed
/// here would be missing when one of them is lost. One replica's word is not enough, and no word is
/// when the decision is known here.
pub(crate) fn expire(table: &mut dyn BoxTable, id: &BoxId, now: Timestamp, lifetimes: &Lifetimes) {
    if look(table, id, now).is_ok() {
        table.put(*id, BoxRecord::Tombstone { forget_at: now + lifetimes.tombstone });
    }
}
