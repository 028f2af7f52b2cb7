//! One of the two: a side, its disk, and the operations it has under way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_engine::{
    Change, Content, Direction, Effect, EpochGroup, Input, Mutation, Side, SideInput,
};
use xchat_pigeonhole::outcome::WriteOutcome;
use xchat_pigeonhole::{BoxId, BoxKeys, SealedBox};

use super::group::ModelGroup;
use super::{NOW, is_stored, read_outcome};

/// The commit lane is looked at every twelve.
const SOME_HOURS: Duration = Duration::from_secs(13 * 3600);

/// What a driver of the engine can do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Careless {
    /// The effects of a batch leave before the batch is persisted.
    EmitFirst,
    /// A batch is persisted in two transactions, the history first: what a message is and how far
    /// its sender has been read are on the disk apart.
    TornBatch,
}

/// An operation on a box, on its way there or back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// A write that has not taken effect.
    Write(SealedBox),
    /// A read that has not taken effect.
    Read(BoxId),
    /// The answer to a write.
    Written(BoxId, Decided),
    /// The answer to a read.
    Found(BoxId, Option<SealedBox>),
}

/// How a write ended: its own value stands, or this one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decided(Option<SealedBox>);

impl From<WriteOutcome> for Decided {
    fn from(outcome: WriteOutcome) -> Self {
        match outcome {
            WriteOutcome::Exists(boxed) => Self(Some(boxed)),
            WriteOutcome::Stored | WriteOutcome::Expired => Self(None),
        }
    }
}

impl Operation {
    /// What the side is told; nothing before it took effect.
    pub(super) fn into_input(self) -> Option<SideInput> {
        let input = match self {
            Self::Write(_) | Self::Read(_) => return None,
            Self::Written(id, Decided(other)) => {
                let outcome = other.map_or(WriteOutcome::Stored, WriteOutcome::Exists);
                Input::Written { id, outcome }
            }
            Self::Found(id, found) => Input::Read { id, outcome: read_outcome(found) },
        };
        Some(SideInput::Engine(input))
    }
}

/// What survives a crash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Disk {
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The history, in order: direction, text, whether it is known to be stored.
    rows: Vec<(u64, bool, String, bool)>,
}

/// One of the two people.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Person {
    leaf: u32,
    mutation: Option<Mutation>,
    careless: Option<Careless>,
    side: Option<Arc<Side<ModelGroup>>>,
    disk: Arc<Disk>,
    lives: u64,
    /// How often hours have passed.
    wakes: u32,
    steps: usize,
    operations: Vec<Operation>,
    orphans: BTreeSet<SealedBox>,
    followed: BTreeSet<BoxId>,
}

impl Person {
    pub(super) fn new(leaf: u32, mutation: Option<Mutation>, careless: Option<Careless>) -> Self {
        let mut person = Self {
            leaf,
            mutation,
            careless,
            side: None,
            disk: Arc::default(),
            lives: 0,
            wakes: 0,
            steps: 0,
            operations: Vec::new(),
            orphans: BTreeSet::new(),
            followed: BTreeSet::new(),
        };
        let mut rng = person.rng(1);
        let (side, effects) = Side::found(ModelGroup::new(leaf), mutation, NOW, &mut rng);
        person.side = Some(Arc::new(side));
        person.carry_out(effects, true);
        person
    }

    /// Draws that differ from life to life and from epoch to epoch, and are the same in every
    /// exploration: no draw is part of the world.
    fn rng(&self, epoch: u64) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(u64::from(self.leaf) << 32 | self.lives << 16 | epoch)
    }

    // --- acting -------------------------------------------------------------------------------------

    pub(super) fn take_step(&mut self, input: SideInput) {
        self.steps += 1;
        self.handle(input);
    }

    /// So much time passes that the commit lane is looked at without any hint.
    pub(super) fn wake(&mut self) {
        self.wakes += 1;
        self.handle(SideInput::Engine(Input::Timer));
    }

    pub(super) fn handle(&mut self, input: SideInput) {
        let effects = self.turn(input);
        self.carry_out(effects, true);
    }

    fn turn(&mut self, input: SideInput) -> Vec<Effect> {
        let epoch = self.side.as_ref().map_or(0, |side| side.group().epoch());
        let mut rng = self.rng(epoch);
        let Some(side) = &mut self.side else { return Vec::new() };
        Arc::make_mut(side).handle(input, NOW + SOME_HOURS * self.wakes, &mut rng)
    }

    fn carry_out(&mut self, effects: Vec<Effect>, persist: bool) {
        for effect in effects {
            match effect {
                Effect::Persist(changes) if persist => self.persist(changes),
                Effect::Write(boxed, _) => self.post(Operation::Write(boxed)),
                Effect::Read(id) => self.post(Operation::Read(id)),
                Effect::Follow(id, ..) => drop(self.followed.insert(id)),
                Effect::Unfollow(id) => drop(self.followed.remove(&id)),
                _ => {}
            }
        }
    }

    fn persist(&mut self, changes: Vec<Change>) {
        let disk = Arc::make_mut(&mut self.disk);
        for change in changes {
            match change {
                Change::Put { key, value } => drop(disk.state.insert(key, value)),
                Change::Delete { key } => drop(disk.state.remove(&key)),
                Change::DeletePrefix { prefix } => {
                    disk.state.retain(|key, _| !key.starts_with(&prefix));
                }
                Change::Message(row) => {
                    let Content::Text(text) = row.content else { continue };
                    let stored = is_stored(row.state);
                    disk.rows.push((row.id, row.direction == Direction::In, text, stored));
                }
                Change::MessageNumber { .. } => {}
                Change::MessageState { id, state } => {
                    let row = disk.rows.iter_mut().find(|row| row.0 == id);
                    row.expect("only known rows move on").3 |= is_stored(state);
                }
            }
        }
    }

    pub(super) fn post(&mut self, operation: Operation) {
        let at = self.operations.partition_point(|other| *other < operation);
        self.operations.insert(at, operation);
    }

    pub(super) fn remove(&mut self, operation: &Operation) {
        let at = self.operations.iter().position(|other| other == operation);
        self.operations.remove(at.expect("it was offered"));
    }

    pub(super) fn unfollow(&mut self, id: &BoxId) {
        self.followed.remove(id);
    }

    // --- crashing -----------------------------------------------------------------------------------

    pub(super) fn crash(&mut self) {
        self.side = None;
        self.followed.clear();
        for operation in std::mem::take(&mut self.operations) {
            if let Operation::Write(boxed) = operation {
                self.orphans.insert(boxed);
            }
        }
    }

    /// The crash that a careless driver cannot stand: the turn's effects have left, or a part of its
    /// batch is on the disk, and nothing else of it.
    pub(super) fn crash_in_turn(&mut self, input: SideInput) {
        let effects = self.turn(input);
        match self.careless {
            Some(Careless::EmitFirst) => self.carry_out(effects, false),
            Some(Careless::TornBatch) => {
                let changes = effects.into_iter().filter_map(|effect| match effect {
                    Effect::Persist(changes) => Some(changes),
                    _ => None,
                });
                let history = changes.flatten().filter(|change| {
                    matches!(change, Change::Message(_) | Change::MessageState { .. })
                });
                self.persist(history.collect());
            }
            None => {}
        }
        self.crash();
    }

    pub(super) fn start(&mut self) {
        self.lives += 1;
        let mut rng = self.rng(0);
        let now = NOW + SOME_HOURS * self.wakes;
        let loaded = Side::load(&self.disk.state, self.mutation, now, &mut rng);
        let (side, effects) = loaded.expect("what a side stored, it loads");
        self.side = Some(Arc::new(side));
        self.carry_out(effects, true);
    }

    pub(super) fn remove_orphan(&mut self, boxed: &SealedBox) {
        self.orphans.remove(boxed);
    }

    // --- looking ------------------------------------------------------------------------------------

    pub(super) fn is_running(&self) -> bool {
        self.side.is_some()
    }

    pub(super) fn is_careless(&self) -> bool {
        self.careless.is_some()
    }

    /// Running, and with nothing under way.
    pub(super) fn is_idle(&self) -> bool {
        self.is_running() && self.operations.is_empty()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.side.as_ref().is_some_and(|side| side.is_lost())
    }

    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    pub(super) fn operations(&self) -> impl Iterator<Item = &Operation> {
        // A multiset in order: the same operation twice is offered once.
        let all = self.operations.iter().enumerate();
        all.filter(|(n, operation)| *n == 0 || self.operations[n - 1] != **operation)
            .map(|(_, operation)| operation)
    }

    pub(super) fn orphans(&self) -> impl Iterator<Item = &SealedBox> {
        self.orphans.iter()
    }

    pub(super) fn followed(&self) -> impl Iterator<Item = &BoxId> {
        self.followed.iter()
    }

    pub(super) fn commit_lane(&self) -> BoxKeys {
        self.side.as_ref().expect("it runs").commit_lane()
    }

    /// The texts of one direction, in the order of the history.
    pub(super) fn texts(&self, direction: Direction) -> Vec<String> {
        let incoming = direction == Direction::In;
        let rows = self.disk.rows.iter().filter(|row| row.1 == incoming);
        rows.map(|row| row.2.clone()).collect()
    }

    /// Whether everything that this person has said is known to be stored.
    pub(super) fn all_stored(&self) -> bool {
        self.disk.rows.iter().all(|(_, incoming, _, stored)| *incoming || *stored)
    }

    /// The commits that this person's running side has followed.
    pub(super) fn history(&self) -> &[Vec<u8>] {
        self.side.as_ref().map_or(&[], |side| side.group().history())
    }
}
