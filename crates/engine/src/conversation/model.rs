//! One side of a conversation as the models in `proofs/` want it: it can be copied, compared and
//! broken on purpose, and everything else is the code that ships.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use xchat_base::random::Rng;
use xchat_base::{Timestamp, Wire};

use super::epoch::{Marker, Phase};
use super::{Conversation, EpochGroup, Founding, LoadError, Mutation, Parts, Purpose};
use crate::api::{ConversationId, Effect, Input};
use crate::turn::Turn;

/// A conversation of its own, without people, invitations or other conversations around it.
#[derive(Clone)]
pub struct Side<G> {
    conversation: Conversation<G>,
    next_row: u64,
    /// Of all that decides what it does next; two sides that have it in common are the same.
    fingerprint: [u8; 32],
}

/// Everything that can happen to a [`Side`].
pub enum SideInput {
    /// The person says something.
    Say(String),
    /// It is time for fresh keys.
    Renew,
    /// As of the engine; no commands.
    Engine(Input),
}

impl<G: EpochGroup + Hash> Side<G> {
    /// Begins a conversation with a group of two; the effects are to be carried out.
    pub fn found(
        group: G,
        mutation: Option<Mutation>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> (Self, Vec<Effect>) {
        let mut turn = Turn::new(now, rng, 1);
        let id = ConversationId::from_bytes([1; 16]);
        let founding = Founding { id, group, name: "peer".to_owned(), invitation: [0; 32] };
        let mut conversation = Conversation::found(&mut turn, founding);
        conversation.model(mutation);
        Self::started(conversation, turn)
    }

    /// What a restart makes of what was persisted.
    ///
    /// # Errors
    /// [`LoadError`], which would be a bug.
    pub fn load(
        disk: &BTreeMap<Vec<u8>, Vec<u8>>,
        mutation: Option<Mutation>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<Effect>), LoadError> {
        let (parts, next_row) = Parts::of_one(disk)?;
        let id = ConversationId::from_bytes([1; 16]);
        let mut conversation = Conversation::load(id, parts, now)?;
        conversation.model(mutation);
        Ok(Self::started(conversation, Turn::new(now, rng, next_row)))
    }

    fn started(mut conversation: Conversation<G>, mut turn: Turn<'_>) -> (Self, Vec<Effect>) {
        conversation.resume(&mut turn);
        conversation.save(&mut turn);
        let (effects, next_row) = turn.finish(None);
        let fingerprint = fingerprint(&conversation);
        (Self { conversation, next_row, fingerprint }, effects)
    }

    /// One turn, as of the engine.
    pub fn handle(&mut self, input: SideInput, now: Timestamp, rng: &mut Rng) -> Vec<Effect> {
        let mut turn = Turn::new(now, rng, self.next_row);
        let conversation = &mut self.conversation;
        match input {
            SideInput::Say(text) => drop(conversation.send_text(&mut turn, text)),
            SideInput::Renew => conversation.renew(&mut turn),
            SideInput::Engine(Input::Written { id, outcome }) if conversation.owns(&id) => {
                conversation.written(&mut turn, id, outcome);
            }
            SideInput::Engine(Input::Read { id, outcome }) if conversation.owns(&id) => {
                conversation.read(&mut turn, id, outcome);
            }
            SideInput::Engine(Input::Arrived(boxed)) if conversation.owns(&boxed.id()) => {
                conversation.arrived(&mut turn, boxed);
            }
            SideInput::Engine(Input::Timer) => conversation.timer(&mut turn),
            SideInput::Engine(_) => {}
        }
        conversation.save(&mut turn);
        let (effects, next_row) = turn.finish(None);
        self.next_row = next_row;
        self.fingerprint = fingerprint(&self.conversation);
        effects
    }

    /// The group.
    pub fn group(&self) -> &G {
        &self.conversation.group
    }

    /// Whether this side has given up: nothing but rejoining would help.
    pub fn is_lost(&self) -> bool {
        matches!(self.conversation.epoch.phase, Phase::Lost)
    }

    /// The commit lane's next box, for an insider who wants to spoil it.
    pub fn commit_lane(&self) -> xchat_pigeonhole::BoxKeys {
        self.conversation.epoch.commits.keys()
    }
}

impl<G: EpochGroup> Conversation<G> {
    /// The models' disks are never older ones, so the proof of that and the rejoin lanes are left out.
    fn model(&mut self, mutation: Option<Mutation>) {
        self.mutation = mutation;
        self.modelled = true;
        self.proof = super::Proof::Done;
    }

    /// Begins a commit, unless one is under way.
    fn renew(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.epoch.phase, Phase::Open) && self.epoch.own_commit.is_none() {
            self.begin_commit(turn);
        }
        self.pump(turn);
    }
}

/// An entry of the commit lane, as any member can write one.
pub fn commit_entry(pointer: &xchat_pigeonhole::RunPointer) -> Vec<u8> {
    super::epoch::CommitEntry { pointer: pointer.to_bytes().to_vec() }.to_wire()
}

impl<G> PartialEq for Side<G> {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl<G> Eq for Side<G> {}

impl<G> Hash for Side<G> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl<G> std::fmt::Debug for Side<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Side({:02x}{:02x}…)", self.fingerprint[0], self.fingerprint[1])
    }
}

/// Feeds a hash, so that whatever is `Hash` has a digest too wide for chance to meet.
struct Digest(blake3::Hasher);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the whole digest is taken")
    }
}

/// A digest of everything that decides what a conversation does next. Fields that follow from these
/// (urgency, names, times that stand still in a model) are left out.
fn fingerprint<G: EpochGroup + Hash>(conversation: &Conversation<G>) -> [u8; 32] {
    let Conversation { outbox, epoch, ids, group, next_check, .. } = conversation;
    let mut digest = Digest(blake3::Hasher::new());
    let to = &mut digest;
    conversation.to_stored().hash(to);
    group.hash(to);
    next_check.hash(to);
    (outbox.last_seq, outbox.sealed_up_to, &outbox.unreceipted).hash(to);
    for record in outbox.records.values() {
        record.to_wire().hash(to);
    }
    for (id, purpose) in ids {
        let (kind, lane, index) = match *purpose {
            Purpose::Own(index) => (0, 0, index),
            Purpose::Peer(lane, index) => (1, lane, index),
            Purpose::Commit => (2, 0, 0),
            Purpose::OwnRun => (3, 0, 0),
            Purpose::OwnNext => (4, 0, 0),
            Purpose::Rejoin(window) => (5, 0, window),
            Purpose::RejoinRun => (6, 0, 0),
        };
        (id, kind, lane, index).hash(to);
    }
    for (index, flight) in &epoch.flights {
        (index, &flight.boxed, flight.last_seq, flight.acknowledged).hash(to);
    }
    for reading in &epoch.reads {
        (reading.followed, reading.draining, reading.drained).hash(to);
        for (index, boxed) in &reading.ahead {
            (index, boxed).hash(to);
        }
    }
    (&epoch.run_ids, epoch.check, epoch.asked, epoch.ask_again).hash(to);
    if let Some(own) = &epoch.own_commit {
        own.pointer.to_bytes().hash(to);
        for id in own.left.keys() {
            id.hash(to);
        }
        own.entry.hash(to);
    }
    match &epoch.phase {
        Phase::Open => 0.hash(to),
        Phase::Reading { reader } => (1, reader.missing()).hash(to),
        Phase::Closing { commit, marker } => {
            let marker = match marker {
                Marker::NotOurs => None,
                Marker::Due => Some(u64::MAX),
                Marker::At(index) => Some(*index),
            };
            (2, commit, marker).hash(to);
        }
        Phase::Lost => 3.hash(to),
        Phase::Leaving => 4.hash(to),
    }
    *digest.0.finalize().as_bytes()
}
