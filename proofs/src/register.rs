//! The write-once register of one box: its stores, clients, a hostile network, crashes, lost disks, and
//! placements that follow one another.
//!
//! - **Network**: the set of all messages on their way. Any of them may be delivered at any time or
//!   never: loss, partition and reordering without an action for each. Duplication is delivery without
//!   removal.
//! - **Crash**: a store loses everything but its table, which every handled input has synced before its
//!   effects left (the driver's duty). Losing effects needs no action: see network.
//! - **Wipe**: a store loses its table too and draws a new incarnation, which a later placement lists.
//! - **Placements**: each store takes up the next ones in its own time, or skips some.
//! - **Time** stands still, except that a proposer that was outbid may be woken. A retransmission is a
//!   duplicate of what was sent; giving up is a crash.
//! - **Tombstones**: some stores may have one from the start: two, of a box that was used; or one whose
//!   clock is broken or that lies, for a box that nobody has used.
//! - **Repair**: any store may look after the box at any time, whatever it holds: what a comparison of
//!   tables leads to.
//!
//! Bounded are the clients' operations, the crashes, the wipes, the duplicates, the wake-ups of outbid
//! proposers (each is a new ballot) and the settlements that a replica starts by itself. Messages that
//! can have no effect any more are dropped, see `Replica::has_spent`.

mod placements;
mod world;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use stateright::{Model, Property};
use xchat_base::{Secret, Timestamp};
use xchat_pigeonhole::register::{Ballot, BoxRecord, BoxTable, MemoryTable, Mutation, ReplicaSet};
use xchat_pigeonhole::{BoxId, Lane, SealedBox, VerifiedBox};

pub use placements::Life;
use placements::Placed;
pub use world::{Action, Envelope, Told, World};

/// The moment at which everything happens.
const NOW: Timestamp = Timestamp::from_secs(1_000_000);

/// No two clients are told different values.
pub const ONE_VALUE: &str = "at most one value is ever reported";
/// Whoever reads after a value was reported finds it.
pub const NEVER_EMPTY: &str = "never empty after a value was reported";
/// A writer never hears that its own value is another's.
pub const SAME_VALUE: &str = "the same value again is stored";
/// One replica whose record has expired is not believed.
pub const NEVER_EXPIRED: &str = "nobody hears that the box has expired";
/// A box that was used and is over has no value any more, and is not empty.
pub const STAYS_USED: &str = "a used box is never found empty or written again";
/// No two tables hold different decisions.
pub const REPLICAS_AGREE: &str = "the replicas agree on what was chosen";

/// What a client does, at which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Write value 0 or 1.
    Write {
        /// The contacted store.
        at: usize,
        /// Which value.
        value: usize,
    },
    /// Read.
    Read {
        /// The contacted store.
        at: usize,
    },
}

impl Step {
    fn at(self) -> usize {
        match self {
            Self::Write { at, .. } | Self::Read { at } => at,
        }
    }
}

/// What is explored.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The replicas of the box by rank, in one placement after the other.
    pub placements: Vec<[Life; 3]>,
    /// Each client's operations, one after the other; clients run concurrently.
    pub clients: Vec<Vec<Step>>,
    /// Crashes, over all stores.
    pub crashes: u8,
    /// The stores that may lose their disk, each once and in this order.
    pub wipes: Vec<usize>,
    /// Deliveries after which the message is still on its way.
    pub duplicates: u8,
    /// Wake-ups of proposers that were outbid, over all stores.
    pub wakeups: u8,
    /// Settlements that stores start by themselves.
    pub settlements: u8,
    /// Stores that have a tombstone from the start.
    pub tombstones: Vec<usize>,
    /// A store that restarts may find an old document, that of the first placement.
    pub old_documents: bool,
    /// Stores that have accepted a value (0 or 1) at a ballot of their own, in the first placement and before
    /// anything is explored: each by a coordinator that died.
    pub left_over: Vec<(usize, usize)>,
    /// Stores that leave the box's replicas stay in the network, and what they hold is copied too.
    pub departing_stay: bool,
    /// Whether all stores have taken up the last placement before anything is explored.
    pub taken_up: bool,
    /// Crashes take what was written with them: nobody has waited for the disk.
    pub unsynced: bool,
    /// What is broken on purpose.
    pub mutation: Option<Mutation>,
}

/// The model of one scenario.
pub struct RegisterModel {
    scenario: Scenario,
    id: BoxId,
    values: [VerifiedBox; 2],
    placed: Placed,
}

impl RegisterModel {
    /// Two values for one box, and the stores of all placements.
    pub fn new(scenario: Scenario) -> Self {
        let keys = Lane::new(Secret::new([1; 32])).keys();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let values = [b"zero", b"one."].map(|content| {
            let sealed = keys.seal(&mut rng, content).expect("four bytes fit into a box");
            sealed.verify().expect("sealed a line above")
        });
        let placed = Placed::new(&scenario.placements, scenario.departing_stay);
        Self { scenario, id: keys.id(), values, placed }
    }

    fn set(&self, placement: u32) -> &ReplicaSet {
        self.placed.set(placement)
    }

    fn value(&self, sealed: &SealedBox) -> usize {
        let position = self.values.iter().position(|value| value.sealed() == sealed);
        position.expect("only the two values are ever written")
    }

    /// The values that clients were told to be the box's.
    fn reported<'a>(&'a self, world: &'a World) -> impl Iterator<Item = usize> + 'a {
        let clients = self.scenario.clients.iter().zip(&world.operations);
        clients.flat_map(|(steps, operations)| {
            steps.iter().zip(operations).filter_map(|(step, operation)| {
                match (step, operation.told?) {
                    (Step::Write { value, .. }, Told::Stored) => Some(*value),
                    (_, Told::Exists(value) | Told::Found(value)) => Some(value),
                    _ => None,
                }
            })
        })
    }

    fn one_value(&self, world: &World) -> bool {
        let mut reported = self.reported(world);
        let first = reported.next();
        reported.all(|value| Some(value) == first)
    }

    fn replicas_agree(world: &World) -> bool {
        let records = world.stores.iter().flat_map(|store| store.table.iter());
        let mut chosen = records.filter_map(|(_, record)| match record {
            BoxRecord::Chosen { boxed, .. } => Some(boxed),
            _ => None,
        });
        let first = chosen.next();
        chosen.all(|boxed| Some(boxed) == first)
    }

    /// No writer hears that somebody else wrote its own value.
    fn same_value_is_stored(&self, world: &World) -> bool {
        let mut clients = self.scenario.clients.iter().zip(&world.operations);
        clients.all(|(steps, operations)| {
            steps.iter().zip(operations).all(|(step, operation)| match (step, operation.told) {
                (Step::Write { value, .. }, Some(Told::Exists(other))) => *value != other,
                _ => true,
            })
        })
    }

    fn stays_used(&self, world: &World) -> bool {
        let was_used = self.scenario.tombstones.len() >= 2;
        let harmless = |told| matches!(told, None | Some(Told::Nothing | Told::Expired));
        !was_used || world.all_operations().all(|operation| harmless(operation.told))
    }

    fn never_expired(&self, world: &World) -> bool {
        let was_used = self.scenario.tombstones.len() >= 2;
        was_used || world.all_operations().all(|operation| operation.told != Some(Told::Expired))
    }
}

impl Model for RegisterModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut tables = vec![MemoryTable::new(); self.placed.stores()];
        for holder in &self.scenario.tombstones {
            tables[*holder].put(self.id, BoxRecord::Tombstone { forget_at: Timestamp::MAX });
        }
        for (holder, value) in &self.scenario.left_over {
            let rank = u8::try_from(*holder).expect("there are few stores");
            let ballot = Ballot { placement: 1, round: 1, rank };
            let accepted = Some((ballot, self.values[*value].clone()));
            let expires_at = Timestamp::MAX;
            tables[*holder]
                .put(self.id, BoxRecord::Open { promised: ballot, accepted, expires_at });
        }
        vec![self.world(tables)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.possible(world, actions);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        self.happen(&mut world, action)?;
        self.drop_spent(&mut world);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_VALUE, |model: &Self, world| model.one_value(world)),
            Property::always(NEVER_EMPTY, |_, world: &World| {
                world.all_operations().all(|operation| {
                    !(operation.after_value && operation.told == Some(Told::Empty))
                })
            }),
            Property::always(SAME_VALUE, |model: &Self, world| model.same_value_is_stored(world)),
            Property::always(NEVER_EXPIRED, |model: &Self, world| model.never_expired(world)),
            Property::always(STAYS_USED, |model: &Self, world| model.stays_used(world)),
            Property::always(REPLICAS_AGREE, |_, world| Self::replicas_agree(world)),
            Property::sometimes("an outbid proposer tries again", |model: &Self, world: &World| {
                model.scenario.wakeups == 0 || world.wakeups > 0
            }),
            Property::sometimes("all operations are answered", |model: &Self, world: &World| {
                let planned: usize = model.scenario.clients.iter().map(Vec::len).sum();
                let answered = world
                    .all_operations()
                    .filter(|operation| !matches!(operation.told, None | Some(Told::Nothing)));
                answered.count() == planned && world.has_last_placement(&model.placed)
            }),
        ]
    }
}
