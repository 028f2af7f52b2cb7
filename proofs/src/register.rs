//! The write-once register of one box: three replicas, clients, a hostile network, crashes.
//!
//! - **Network**: the set of all messages on their way. Any of them may be delivered at any time or
//!   never: loss and reordering without an action for each. Duplication is delivery without removal.
//! - **Crash**: a replica loses everything but its table, which every handled input has synced
//!   before its effects left (the driver's duty). Losing effects needs no action: see network.
//! - **Time** stands still, except that a proposer that was outbid may be woken. A retransmission is a
//!   duplicate of what was sent; giving up is a crash.
//! - **A broken clock**: a replica may have a tombstone from the start, for a box that nobody has used.
//!
//! Bounded are the clients' operations, the crashes, the duplicates, the wake-ups of outbid proposers
//! (each is a new ballot) and the settlements that a replica starts by itself. Messages that can have
//! no effect any more are dropped, see `Replica::has_spent`.

use std::collections::BTreeSet;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{self, CryptoRng, RngCore, SeedableRng};
use stateright::{Model, Property};
use xchat_base::{Secret, Timestamp};
use xchat_pigeonhole::register::{
    BoxRecord, BoxTable, ClientOp, Incarnation, Member, MemoryTable, Mutation, OpId, REPLICAS,
    RegisterEffect, RegisterInput, Replica, ReplicaMessage, ReplicaSet,
};
use xchat_pigeonhole::{Answer, BoxId, Lane, SealedBox, StoreId, VerifiedBox};

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
/// No two tables hold different decisions.
pub const REPLICAS_AGREE: &str = "the replicas agree on what was chosen";

/// What a client does, at which replica (by rank).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Write value 0 or 1.
    Write {
        /// The contacted replica.
        at: usize,
        /// Which value.
        value: usize,
    },
    /// Read.
    Read {
        /// The contacted replica.
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
    /// Each client's operations, one after the other; clients run concurrently.
    pub clients: Vec<Vec<Step>>,
    /// Crashes, over all replicas.
    pub crashes: u8,
    /// Deliveries after which the message is still on its way.
    pub duplicates: u8,
    /// Wake-ups of proposers that were outbid, over all replicas.
    pub wakeups: u8,
    /// Settlements that replicas start by themselves.
    pub settlements: u8,
    /// A replica whose clock ran ahead: it has a tombstone.
    pub tombstone: Option<usize>,
    /// What is broken on purpose.
    pub mutation: Option<Mutation>,
}

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Told {
    /// Its write is the box's value.
    Stored,
    /// The box's value is this one.
    Exists(usize),
    /// The box's value is this one.
    Found(usize),
    /// The box was empty.
    Empty,
    /// The box has expired.
    Expired,
    /// Anything else.
    Nothing,
}

/// One operation of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation {
    /// Whether any client had been told a value when it began.
    after_value: bool,
    told: Option<Told>,
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Envelope {
    from: usize,
    to: usize,
    message: ReplicaMessage,
}

/// The world at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    replicas: Vec<Replica>,
    tables: Vec<MemoryTable>,
    draws: Vec<u64>,
    network: BTreeSet<Envelope>,
    /// By client, the operations begun so far.
    operations: Vec<Vec<Operation>>,
    /// By client, whether the latest operation's coordinator crashed meanwhile.
    orphaned: Vec<bool>,
    crashes: u8,
    duplicates: u8,
    wakeups: u8,
    settlements: u8,
}

/// What can happen next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A client begins its next operation.
    Begin(usize),
    /// A message arrives.
    Deliver(Envelope),
    /// A message arrives and is still on its way.
    Duplicate(Envelope),
    /// A replica crashes and restarts over its table.
    Crash(usize),
    /// A proposer that was outbid tries again.
    Wake(usize),
    /// A replica looks after what it accepted.
    Settle(usize),
}

/// The model of one scenario.
pub struct RegisterModel {
    scenario: Scenario,
    id: BoxId,
    values: [VerifiedBox; 2],
    set: ReplicaSet,
}

impl RegisterModel {
    /// Two values for one box and three stores.
    pub fn new(scenario: Scenario) -> Self {
        let keys = Lane::new(Secret::new([1; 32])).keys();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let values = [b"zero", b"one."].map(|content| {
            let sealed = keys.seal(&mut rng, content).expect("four bytes fit into a box");
            sealed.verify().expect("sealed a line above")
        });
        let members = [0, 1, 2].map(|rank| Member {
            store: StoreId::from_bytes([rank; 32]),
            incarnation: Incarnation::from_bytes([rank; 16]),
        });
        let set = ReplicaSet::new(1, members).expect("the three stores are distinct");
        Self { scenario, id: keys.id(), values, set }
    }

    fn replica(&self, rank: usize) -> Replica {
        Replica::with_mutation(self.set.members()[rank], self.scenario.mutation)
    }

    fn step(&self, world: &mut World, rank: usize, input: RegisterInput, now: Timestamp) {
        let mut draws = Draws { replica: rank as u64, count: world.draws[rank] };
        let table = &mut world.tables[rank];
        let effects = world.replicas[rank].handle(input, table, now, &mut draws);
        world.draws[rank] = draws.count;
        for effect in effects {
            match effect {
                RegisterEffect::Send { to, message } => {
                    let to = self.set.rank_of(&to).map(usize::from);
                    let to = to.expect("replicas talk to replicas only");
                    world.network.insert(Envelope { from: rank, to, message });
                }
                RegisterEffect::Answer { op, answer } => self.tell(world, op, &answer),
                RegisterEffect::Chosen(_) | RegisterEffect::WakeAt(_) => {}
            }
        }
    }

    fn tell(&self, world: &mut World, op: OpId, answer: &Answer) {
        let told = match answer {
            Answer::Stored => Told::Stored,
            Answer::Exists(boxed) => Told::Exists(self.value(boxed)),
            Answer::Found(boxed) => Told::Found(self.value(boxed)),
            Answer::Empty => Told::Empty,
            Answer::Expired => Told::Expired,
            _ => Told::Nothing,
        };
        let (client, at) = (op.0 as usize / 16, op.0 as usize % 16);
        world.operations[client][at].told = Some(told);
    }

    fn value(&self, sealed: &SealedBox) -> usize {
        let position = self.values.iter().position(|value| value.sealed() == sealed);
        position.expect("only the two values are ever written")
    }

    fn begin(&self, world: &mut World, client: usize) {
        let at = world.operations[client].len();
        let step = self.scenario.clients[client][at];
        let after_value = self.reported(world).next().is_some();
        world.operations[client].push(Operation { after_value, told: None });
        world.orphaned[client] = false;
        let request = match step {
            Step::Write { value, .. } => ClientOp::Write(self.values[value].clone()),
            Step::Read { .. } => ClientOp::Read(self.id),
        };
        let op = OpId((client * 16 + at) as u64);
        let input = RegisterInput::Client { op, request, replicas: self.set };
        self.step(world, step.at(), input, NOW);
    }

    fn deliver(&self, world: &mut World, Envelope { from, to, message }: Envelope) {
        let from = self.set.members()[from].store;
        let input = RegisterInput::Peer { from, message, replicas: self.set };
        self.step(world, to, input, NOW);
    }

    fn drop_spent(&self, world: &mut World) {
        let World { network, replicas, tables, .. } = world;
        network.retain(|Envelope { from, to, message }| {
            let rank = u8::try_from(*from).expect("there are three ranks");
            !replicas[*to].has_spent(message, &replicas[*from], rank, &tables[*to], NOW)
        });
    }

    fn crash(&self, world: &mut World, rank: usize) {
        world.replicas[rank] = self.replica(rank);
        for (client, operations) in world.operations.iter().enumerate() {
            let last = operations.len().checked_sub(1);
            if let Some(last) = last
                && operations[last].told.is_none()
                && self.scenario.clients[client][last].at() == rank
            {
                world.orphaned[client] = true;
            }
        }
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

    fn all_operations(world: &World) -> impl Iterator<Item = &Operation> {
        world.operations.iter().flatten()
    }

    fn replicas_agree(world: &World) -> bool {
        let mut chosen = world.tables.iter().flat_map(MemoryTable::iter).filter_map(
            |(_, record)| match record {
                BoxRecord::Chosen { boxed, .. } => Some(boxed),
                _ => None,
            },
        );
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
}

impl Model for RegisterModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut tables = vec![MemoryTable::new(); REPLICAS];
        if let Some(broken) = self.scenario.tombstone {
            tables[broken].put(self.id, BoxRecord::Tombstone { forget_at: Timestamp::MAX });
        }
        vec![World {
            replicas: (0..REPLICAS).map(|rank| self.replica(rank)).collect(),
            tables,
            draws: vec![0; REPLICAS],
            network: BTreeSet::new(),
            operations: vec![Vec::new(); self.scenario.clients.len()],
            orphaned: vec![false; self.scenario.clients.len()],
            crashes: 0,
            duplicates: 0,
            wakeups: 0,
            settlements: 0,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (client, operations) in world.operations.iter().enumerate() {
            let idle = operations.last().is_none_or(|last| last.told.is_some());
            let more = operations.len() < self.scenario.clients[client].len();
            if more && (idle || world.orphaned[client]) {
                actions.push(Action::Begin(client));
            }
        }
        actions.extend(world.network.iter().cloned().map(Action::Deliver));
        if world.duplicates < self.scenario.duplicates {
            actions.extend(world.network.iter().cloned().map(Action::Duplicate));
        }
        for (rank, replica) in world.replicas.iter().enumerate() {
            if replica.is_outbid() && world.wakeups < self.scenario.wakeups {
                actions.push(Action::Wake(rank));
            }
            if replica.operation_count() > 0 && world.crashes < self.scenario.crashes {
                actions.push(Action::Crash(rank));
            }
            if !world.tables[rank].is_empty() && world.settlements < self.scenario.settlements {
                actions.push(Action::Settle(rank));
            }
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Begin(client) => self.begin(&mut world, client),
            Action::Deliver(envelope) => {
                world.network.remove(&envelope);
                self.deliver(&mut world, envelope);
            }
            Action::Duplicate(envelope) => {
                world.duplicates += 1;
                self.deliver(&mut world, envelope);
            }
            Action::Crash(rank) => {
                world.crashes += 1;
                self.crash(&mut world, rank);
            }
            Action::Wake(rank) => {
                world.wakeups += 1;
                let due = world.replicas[rank].next_wake()?;
                self.step(&mut world, rank, RegisterInput::Timer, due);
            }
            Action::Settle(rank) => {
                world.settlements += 1;
                let input = RegisterInput::Settle { id: self.id, replicas: self.set };
                self.step(&mut world, rank, input, NOW);
            }
        }
        self.drop_spent(&mut world);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_VALUE, |model: &Self, world| model.one_value(world)),
            Property::always(NEVER_EMPTY, |_, world| {
                Self::all_operations(world).all(|operation| {
                    !(operation.after_value && operation.told == Some(Told::Empty))
                })
            }),
            Property::always(SAME_VALUE, |model: &Self, world| model.same_value_is_stored(world)),
            Property::always(NEVER_EXPIRED, |_, world| {
                Self::all_operations(world).all(|operation| operation.told != Some(Told::Expired))
            }),
            Property::always(REPLICAS_AGREE, |_, world| Self::replicas_agree(world)),
            Property::sometimes("an outbid proposer tries again", |model: &Self, world: &World| {
                model.scenario.wakeups == 0 || world.wakeups > 0
            }),
            Property::sometimes("all operations are answered", |model: &Self, world| {
                let planned: usize = model.scenario.clients.iter().map(Vec::len).sum();
                let answered = Self::all_operations(world)
                    .filter(|operation| !matches!(operation.told, None | Some(Told::Nothing)));
                answered.count() == planned
            }),
        ]
    }
}

/// Draws that differ, are the same in every exploration, and are so small as numbers that a wait
/// drawn from them is the shortest possible.
struct Draws {
    replica: u64,
    count: u64,
}

impl RngCore for Draws {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.count += 1;
        self.count * REPLICAS as u64 + self.replica
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        rand_core::impls::fill_bytes_via_next(self, dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Draws {}
