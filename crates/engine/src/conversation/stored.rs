//! A conversation's stored form, and its way back from the database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xchat_base::{CodecError, Secret, Timestamp, Wire};
use xchat_pigeonhole::{Lane, RunPointer, SEALED_BOX_LEN, SealedBox, Ticket};

use super::epoch::{Epoch, OwnCommit};
use super::held::Held;
use super::inbox::{Incoming, ReadLane};
use super::outbox::Outbox;
use super::own_lane::Flight;
use super::proof::Proof;
use super::rejoin::{Place, Rejoin};
use super::{Conversation, EpochGroup};
use crate::api::{ContactId, ConversationId};
use crate::keys::{self, Key, Part};
use crate::record::Record;

/// Why a stored conversation could not be loaded: the database is from another version, or damaged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A record of another version, or damaged.
    #[error("stored state: {0}")]
    Codec(#[from] CodecError),
    /// OpenMLS does not find its group.
    #[error("stored group: {0}")]
    Group(#[from] xchat_e2ee::GroupError),
    /// A part is missing or does not belong to the others.
    #[error("stored state is incomplete: {0}")]
    Incomplete(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Stored {
    contact: ContactId,
    name: String,
    verified: bool,
    invitation: [u8; 32],
    rejoined: bool,
    rejoin: StoredRejoin,
    synced: Timestamp,
    doubt: Option<u64>,
    early_receipt: u64,
    recalling: Option<u64>,
    last_seq: u64,
    sealed_up_to: u64,
    incoming: BTreeMap<u32, Incoming>,
    epoch: u64,
    since: Timestamp,
    own: Vec<u8>,
    reads: Vec<Vec<u8>>,
    commits: Vec<u8>,
    own_commit: Option<StoredCommit>,
    last_activity: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct StoredRejoin {
    secret: Vec<u8>,
    side: u32,
    since: Place,
    last: Timestamp,
    need: bool,
}

/// Its boxes are kept under keys of their own.
#[derive(Serialize, Deserialize)]
struct StoredCommit {
    pointer: Vec<u8>,
    entry_sealed: bool,
}

impl Wire for Stored {
    const FORMAT: &'static str = "stored conversation";
    const VERSION: u8 = 2;
    const MAX_LEN: usize = 1 << 20;
}

/// What the database holds of one conversation.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) state: Option<Vec<u8>>,
    pub(crate) mls: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) outgoing: BTreeMap<u64, Vec<u8>>,
    pub(crate) flights: BTreeMap<u64, Vec<u8>>,
    pub(crate) unreceipted: BTreeMap<u64, Vec<u8>>,
    pub(crate) commit: BTreeMap<u64, Vec<u8>>,
    pub(crate) rejoin: BTreeMap<u64, Vec<u8>>,
    pub(crate) next_mls: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) tickets: Option<Vec<u8>>,
}

impl Parts {
    /// Those of a conversation that has a database for itself, and the next free row of its history.
    pub(super) fn of_one(disk: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(Self, u64), LoadError> {
        let (mut parts, mut next_row) = (Self::default(), 1);
        for (key, value) in disk {
            let value = value.clone();
            match keys::parse(key) {
                Some(Key::NextRow) => {
                    let row = value.try_into().map_err(|_| LoadError::Incomplete("row counter"))?;
                    next_row = u64::from_be_bytes(row);
                }
                Some(Key::Conversation(_, part)) => parts.add(part, value),
                _ => return Err(LoadError::Incomplete("an unknown key")),
            }
        }
        Ok((parts, next_row))
    }

    /// Takes one stored value in.
    pub(crate) fn add(&mut self, part: Part, value: Vec<u8>) {
        match part {
            Part::State => self.state = Some(value),
            Part::Mls(key) => self.mls.push((key, value)),
            Part::Outgoing(seq) => drop(self.outgoing.insert(seq, value)),
            Part::Flight(index) => drop(self.flights.insert(index, value)),
            Part::Unreceipted(seq) => drop(self.unreceipted.insert(seq, value)),
            Part::Commit(number) => drop(self.commit.insert(number, value)),
            Part::Rejoin(number) => drop(self.rejoin.insert(number, value)),
            Part::NextMls(key) => self.next_mls.push((key, value)),
            Part::Tickets => self.tickets = Some(value),
        }
    }
}

impl<G: EpochGroup> Conversation<G> {
    pub(super) fn to_stored(&self) -> Vec<u8> {
        let lane = |lane: &Lane| lane.to_stored().expose().to_vec();
        Stored {
            contact: self.contact,
            name: self.name.clone(),
            verified: self.verified,
            invitation: self.invitation,
            rejoined: self.rejoined,
            rejoin: StoredRejoin {
                secret: self.rejoin.secret.expose().to_vec(),
                side: self.rejoin.side,
                since: self.rejoin.since,
                last: self.rejoin.last,
                need: self.rejoin.need,
            },
            synced: self.synced,
            doubt: self.doubt,
            early_receipt: self.early_receipt,
            recalling: self.recalling,
            last_seq: self.outbox.last_seq,
            sealed_up_to: self.outbox.sealed_up_to,
            incoming: self.incoming.clone(),
            epoch: self.epoch.number,
            since: self.epoch.since,
            own: lane(&self.epoch.own),
            reads: self.epoch.reads.iter().map(|reading| lane(&reading.lane)).collect(),
            commits: lane(&self.epoch.commits),
            own_commit: self.epoch.own_commit.as_ref().map(|own| StoredCommit {
                pointer: own.pointer.to_bytes().to_vec(),
                entry_sealed: own.entry.is_some(),
            }),
            last_activity: self.last_activity,
        }
        .to_wire()
    }

    /// Puts a conversation together from what the database holds. Call [`Self::resume`] next.
    pub(crate) fn load(
        id: ConversationId,
        mut parts: Parts,
        now: Timestamp,
    ) -> Result<Self, LoadError> {
        let state = parts.state.take().ok_or(LoadError::Incomplete("no conversation state"))?;
        let group = G::load(std::mem::take(&mut parts.mls))?;
        let stored = match state.first() {
            Some(&v1::VERSION) => v1::read(&state, group.own_leaf())?,
            _ => Stored::from_wire(&state)?,
        };
        let rejoin = load_rejoin(&stored.rejoin, &mut parts)?;
        if group.epoch() != stored.epoch {
            return Err(LoadError::Incomplete("the group is in another epoch"));
        }
        let mut epoch = Epoch::enter(&group, stored.since);
        epoch.own = load_lane(&stored.own)?;
        epoch.commits = load_lane(&stored.commits)?;
        epoch.reads = stored
            .reads
            .iter()
            .map(|bytes| load_lane(bytes).map(ReadLane::new))
            .collect::<Result<_, _>>()?;
        for (index, value) in parts.flights {
            epoch.flights.insert(index, load_flight(&value)?);
        }
        epoch.own_commit = match &stored.own_commit {
            Some(own) => Some(load_commit(own, parts.commit)?),
            None => None,
        };
        let held = Held::from_stored(parts.tickets.as_deref());
        let outbox = load_outbox(&stored, parts.outgoing, parts.unreceipted)?;
        Ok(Self {
            id,
            contact: stored.contact,
            name: stored.name,
            verified: stored.verified,
            invitation: stored.invitation,
            rejoined: stored.rejoined,
            rejoin,
            proof: Proof::BEGIN,
            synced: stored.synced,
            doubt: stored.doubt,
            early_receipt: stored.early_receipt,
            recalling: stored.recalling,
            group,
            outbox,
            held,
            incoming: stored.incoming,
            epoch,
            ids: BTreeMap::new(),
            // Drawn by `resume`.
            next_check: now,
            next_rejoin_check: now,
            last_activity: stored.last_activity,
            receipted_at: Timestamp::ZERO,
            dirty: false,
            #[cfg(feature = "mutations")]
            mutation: None,
            #[cfg(feature = "mutations")]
            modelled: false,
        })
    }
}

fn load_lane(bytes: &[u8]) -> Result<Lane, LoadError> {
    Lane::from_stored(bytes).map_err(|_| LoadError::Incomplete("lane"))
}

fn load_rejoin<G: EpochGroup>(
    stored: &StoredRejoin,
    parts: &mut Parts,
) -> Result<Rejoin<G>, LoadError> {
    let secret =
        Secret::from_slice(&stored.secret).ok_or(LoadError::Incomplete("rejoin secret"))?;
    let mut rejoin = Rejoin::new(secret, stored.side);
    rejoin.since = stored.since;
    rejoin.last = stored.last;
    rejoin.need = stored.need;
    rejoin.load_stage(parts)?;
    Ok(rejoin)
}

pub(super) fn load_box(bytes: &[u8]) -> Result<SealedBox, LoadError> {
    SealedBox::from_bytes(bytes).map_err(|_| LoadError::Incomplete("box"))
}

pub(super) fn load_flight(value: &[u8]) -> Result<Flight, LoadError> {
    let (last_seq, boxed) =
        value.split_first_chunk::<8>().ok_or(LoadError::Incomplete("flight"))?;
    let (boxed, ticket) = boxed.split_at_checked(SEALED_BOX_LEN).unwrap_or((boxed, &[]));
    let ticket = match ticket.try_into() {
        Ok(ticket) => Some(Ticket::from_bytes(ticket)),
        Err(_) if ticket.is_empty() => None,
        Err(_) => return Err(LoadError::Incomplete("flight")),
    };
    let (boxed, last_seq) = (load_box(boxed)?, u64::from_be_bytes(*last_seq));
    Ok(Flight { boxed, last_seq, acknowledged: false, ticket })
}

/// All boxes of the run are written again: it is idempotent, and which were stored is not kept.
fn load_commit(
    stored: &StoredCommit,
    mut boxes: BTreeMap<u64, Vec<u8>>,
) -> Result<OwnCommit, LoadError> {
    let pointer = RunPointer::from_bytes(&stored.pointer)
        .map_err(|_| LoadError::Incomplete("commit pointer"))?;
    let entry = boxes.remove(&0).map(|bytes| load_box(&bytes)).transpose()?;
    let entry = if stored.entry_sealed { entry } else { None };
    let mut left = BTreeMap::new();
    if entry.is_none() {
        for bytes in boxes.values() {
            let boxed = load_box(bytes)?;
            left.insert(boxed.id(), boxed);
        }
    }
    Ok(OwnCommit { pointer, left, entry })
}

fn load_outbox(
    stored: &Stored,
    outgoing: BTreeMap<u64, Vec<u8>>,
    unreceipted: BTreeMap<u64, Vec<u8>>,
) -> Result<Outbox, LoadError> {
    let mut records = BTreeMap::new();
    for (seq, value) in outgoing {
        records.insert(seq, Record::from_wire(&value)?);
    }
    let mut rows = BTreeMap::new();
    for (seq, value) in unreceipted {
        let row = value.try_into().map_err(|_| LoadError::Incomplete("row"))?;
        rows.insert(seq, u64::from_be_bytes(row));
    }
    Ok(Outbox {
        last_seq: stored.last_seq,
        records,
        sealed_up_to: stored.sealed_up_to,
        unreceipted: rows,
    })
}

/// What the first version wrote. Nobody could rejoin then, so the present group is the first.
mod v1 {
    use super::*;

    pub(super) const VERSION: u8 = 1;

    #[derive(Serialize, Deserialize)]
    struct StoredV1 {
        contact: ContactId,
        name: String,
        verified: bool,
        invitation: [u8; 32],
        rejoin: Vec<u8>,
        last_seq: u64,
        sealed_up_to: u64,
        incoming: BTreeMap<u32, IncomingV1>,
        epoch: u64,
        since: Timestamp,
        own: Vec<u8>,
        reads: Vec<Vec<u8>>,
        commits: Vec<u8>,
        own_commit: Option<StoredCommit>,
        last_activity: Timestamp,
    }

    #[derive(Serialize, Deserialize)]
    struct IncomingV1 {
        last_seq: u64,
        partial: Vec<u8>,
        receipt_due: Option<Timestamp>,
    }

    impl Wire for StoredV1 {
        const FORMAT: &'static str = "stored conversation";
        const VERSION: u8 = VERSION;
        const MAX_LEN: usize = Stored::MAX_LEN;
    }

    pub(super) fn read(bytes: &[u8], own_leaf: u32) -> Result<Stored, CodecError> {
        let old = StoredV1::from_wire(bytes)?;
        let incoming = |(leaf, old): (u32, IncomingV1)| {
            let IncomingV1 { last_seq, partial, receipt_due } = old;
            (leaf, Incoming { last_seq, digest: [0; 16], partial, receipt_due })
        };
        Ok(Stored {
            contact: old.contact,
            name: old.name,
            verified: old.verified,
            invitation: old.invitation,
            rejoined: false,
            rejoin: StoredRejoin {
                secret: old.rejoin,
                side: own_leaf,
                since: Place::default(),
                last: Timestamp::ZERO,
                need: false,
            },
            // The last thing that is known to have happened with the network's help.
            synced: old.last_activity.max(old.since),
            doubt: None,
            early_receipt: 0,
            recalling: None,
            last_seq: old.last_seq,
            sealed_up_to: old.sealed_up_to,
            incoming: old.incoming.into_iter().map(incoming).collect(),
            epoch: old.epoch,
            since: old.since,
            own: old.own,
            reads: old.reads,
            commits: old.commits,
            own_commit: old.own_commit,
            last_activity: old.last_activity,
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_the_first_version_stored_is_read() {
            let contact = ContactId::from_bytes([3; 8]);
            let incoming = IncomingV1 { last_seq: 9, partial: vec![1], receipt_due: None };
            let old = StoredV1 {
                contact,
                name: "old".into(),
                verified: true,
                invitation: [4; 32],
                rejoin: vec![5; 32],
                last_seq: 6,
                sealed_up_to: 6,
                incoming: BTreeMap::from([(0, incoming)]),
                epoch: 2,
                since: Timestamp::from_secs(70),
                own: vec![],
                reads: vec![],
                commits: vec![],
                own_commit: None,
                last_activity: Timestamp::from_secs(80),
            };
            let read = read(&old.to_wire(), 1).expect("reads");
            assert!(read.contact == contact && read.verified && !read.rejoined);
            assert_eq!((read.rejoin.secret, read.rejoin.side), (vec![5; 32], 1));
            assert_eq!((read.last_seq, read.incoming[&0].last_seq), (6, 9));
            assert_eq!(read.synced, Timestamp::from_secs(80));
        }
    }
}
