//! The world at one moment, and what can happen next.

use std::collections::BTreeSet;

use rand_chacha::rand_core::{self, CryptoRng, RngCore};
use xchat_base::Timestamp;
use xchat_pigeonhole::register::{
    ClientOp, MemoryTable, OpId, RegisterEffect, RegisterInput, Replica, ReplicaMessage,
    ReplicaSet, Succession, TableEffect, TableMessage,
};
use xchat_pigeonhole::{Answer, StoreId};

use super::placements::{Life, Placed};
use super::{NOW, RegisterModel, Step};

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
pub(super) struct Operation {
    /// Whether any client had been told a value when it began.
    pub(super) after_value: bool,
    pub(super) told: Option<Told>,
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Envelope {
    from: usize,
    to: usize,
    message: Message,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Message {
    Register(ReplicaMessage),
    Table(TableMessage),
}

/// One store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct StoreState {
    replica: Replica,
    succession: Succession,
    pub(super) table: MemoryTable,
    /// The placement of its document.
    document: u32,
    life: u8,
    draws: u64,
}

/// The world at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub(super) stores: Vec<StoreState>,
    network: BTreeSet<Envelope>,
    /// By client, the operations begun so far.
    pub(super) operations: Vec<Vec<Operation>>,
    /// By client, whether the latest operation's coordinator crashed meanwhile.
    orphaned: Vec<bool>,
    crashes: u8,
    wiped: usize,
    duplicates: u8,
    pub(super) wakeups: u8,
    settlements: u8,
}

impl World {
    pub(super) fn all_operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().flatten()
    }

    pub(super) fn has_last_placement(&self, placed: &Placed) -> bool {
        self.stores.iter().any(|store| store.document == placed.last())
    }
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
    /// A store crashes and restarts over its table.
    Crash(usize),
    /// A store loses its disk and begins anew.
    Wipe(usize),
    /// A store gets the document with this placement.
    TakeUp(usize, u32),
    /// A proposer that was outbid tries again.
    Wake(usize),
    /// A store looks after the box.
    Settle(usize),
}

fn store_id(store: usize) -> StoreId {
    Life(store, 0).member().store
}

fn store_number(id: &StoreId) -> usize {
    usize::from(id.as_bytes()[0])
}

impl RegisterModel {
    pub(super) fn world(&self, tables: Vec<MemoryTable>) -> World {
        let clients = self.scenario.clients.len();
        let mut world = World {
            stores: Vec::new(),
            network: BTreeSet::new(),
            operations: vec![Vec::new(); clients],
            orphaned: vec![false; clients],
            crashes: 0,
            wiped: 0,
            duplicates: 0,
            wakeups: 0,
            settlements: 0,
        };
        for (store, table) in tables.into_iter().enumerate() {
            let member = Life(store, 0).member();
            let mutation = self.scenario.mutation;
            world.stores.push(StoreState {
                replica: Replica::with_mutation(member, mutation),
                succession: Succession::with_mutation(member, &table, mutation),
                table,
                document: 1,
                life: 0,
                draws: 0,
            });
            if self.scenario.taken_up {
                world.stores[store].document = self.placed.last();
            }
            self.follow(&mut world, store);
        }
        world
    }

    /// A process that starts, over whatever its table is.
    fn start(&self, world: &mut World, store: usize) {
        let state = &mut world.stores[store];
        let member = Life(store, state.life).member();
        let mutation = self.scenario.mutation;
        state.replica = Replica::with_mutation(member, mutation);
        state.succession = Succession::with_mutation(member, &state.table, mutation);
        self.follow(world, store);
    }

    fn follow(&self, world: &mut World, store: usize) {
        let state = &mut world.stores[store];
        let mut draws = Draws::of(store, state, self.placed.stores());
        let known = self.placed.known(state.document);
        let effects = state.succession.follow(&known, &mut state.table, NOW, &mut draws);
        state.draws = draws.count;
        self.table_effects(world, store, effects);
    }

    fn table_effects(&self, world: &mut World, from: usize, effects: Vec<TableEffect>) {
        for effect in effects {
            if let TableEffect::Send { to, message } = effect {
                let (to, message) = (store_number(&to), Message::Table(message));
                world.network.insert(Envelope { from, to, message });
            }
        }
    }

    fn step(&self, world: &mut World, store: usize, input: RegisterInput, now: Timestamp) {
        let state = &mut world.stores[store];
        let mut draws = Draws::of(store, state, self.placed.stores());
        let effects = state.replica.handle(input, &mut state.table, now, &mut draws);
        state.draws = draws.count;
        for effect in effects {
            match effect {
                RegisterEffect::Send { to, message } => {
                    let (to, message) = (store_number(&to), Message::Register(message));
                    world.network.insert(Envelope { from: store, to, message });
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

    /// The replicas, if this store may speak for the box.
    fn admit(&self, world: &mut World, store: usize) -> Option<ReplicaSet> {
        let state = &mut world.stores[store];
        let known = self.placed.known(state.document);
        state.succession.admit(&self.id, &known, &mut state.table, NOW).ok()
    }

    fn begin(&self, world: &mut World, client: usize) {
        let at = world.operations[client].len();
        let step = self.scenario.clients[client][at];
        let after_value = self.reported(world).next().is_some();
        world.operations[client].push(Operation { after_value, told: None });
        world.orphaned[client] = false;
        let Some(replicas) = self.admit(world, step.at()) else {
            world.operations[client][at].told = Some(Told::Nothing);
            return;
        };
        let request = match step {
            Step::Write { value, .. } => ClientOp::Write(self.values[value].clone()),
            Step::Read { .. } => ClientOp::Read(self.id),
        };
        let op = OpId((client * 16 + at) as u64);
        self.step(world, step.at(), RegisterInput::Client { op, request, replicas }, NOW);
    }

    fn deliver(&self, world: &mut World, Envelope { from, to, message }: Envelope) {
        let sender = store_id(from);
        match message {
            Message::Register(message) => {
                let Some(replicas) = self.admit(world, to) else { return };
                let input = RegisterInput::Peer { from: sender, message, replicas };
                self.step(world, to, input, NOW);
            }
            Message::Table(message) => {
                let state = &mut world.stores[to];
                let mut draws = Draws::of(to, state, self.placed.stores());
                let known = self.placed.known(state.document);
                let (succession, table) = (&mut state.succession, &mut state.table);
                let effects =
                    succession.on_message(sender, message, &known, table, NOW, &mut draws);
                state.draws = draws.count;
                self.table_effects(world, to, effects);
            }
        }
    }

    pub(super) fn drop_spent(&self, world: &mut World) {
        let World { network, stores, .. } = world;
        network.retain(|Envelope { from, to, message }| {
            let (sender, receiver) = (&stores[*from], &stores[*to]);
            match message {
                Message::Register(message) => {
                    let placement = message.placement();
                    let set = self.set(placement);
                    let rank = set.rank_of(&store_id(*from)).expect("replicas talk to replicas");
                    receiver.succession.sealed() <= placement
                        && !receiver.replica.has_spent(
                            message,
                            &sender.replica,
                            rank,
                            &receiver.table,
                            NOW,
                        )
                }
                Message::Table(message) => {
                    sender.succession.awaits(&store_id(*to), message)
                        || receiver.succession.awaits(&store_id(*from), message)
                }
            }
        });
    }

    /// Clients whose operation was under way at this store begin their next without an answer.
    fn orphan(&self, world: &mut World, store: usize) {
        for (client, operations) in world.operations.iter().enumerate() {
            let last = operations.len().checked_sub(1);
            if let Some(last) = last
                && operations[last].told.is_none()
                && self.scenario.clients[client][last].at() == store
            {
                world.orphaned[client] = true;
            }
        }
    }

    pub(super) fn possible(&self, world: &World, actions: &mut Vec<Action>) {
        let scenario = &self.scenario;
        for (client, operations) in world.operations.iter().enumerate() {
            let idle = operations.last().is_none_or(|last| last.told.is_some());
            let more = operations.len() < scenario.clients[client].len();
            if more && (idle || world.orphaned[client]) {
                actions.push(Action::Begin(client));
            }
        }
        actions.extend(world.network.iter().cloned().map(Action::Deliver));
        if world.duplicates < scenario.duplicates {
            actions.extend(world.network.iter().cloned().map(Action::Duplicate));
        }
        if let Some(store) = scenario.wipes.get(world.wiped) {
            actions.push(Action::Wipe(*store));
        }
        for (at, store) in world.stores.iter().enumerate() {
            if store.replica.is_outbid() && world.wakeups < scenario.wakeups {
                actions.push(Action::Wake(at));
            }
            let matters = store.replica.operation_count() > 0 || scenario.old_documents;
            if matters && world.crashes < scenario.crashes {
                actions.push(Action::Crash(at));
            }
            let may_know = !store.table.is_empty() || self.placed.last() > 1;
            if may_know && world.settlements < scenario.settlements {
                actions.push(Action::Settle(at));
            }
            for placement in store.document + 1..=self.placed.last() {
                // The directory lists a life of a disk only when it has begun.
                let lives = self.placed.lives(placement);
                if lives.iter().all(|Life(store, life)| world.stores[*store].life >= *life) {
                    actions.push(Action::TakeUp(at, placement));
                }
            }
        }
    }

    pub(super) fn happen(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Begin(client) => self.begin(world, client),
            Action::Deliver(envelope) => {
                world.network.remove(&envelope);
                self.deliver(world, envelope);
            }
            Action::Duplicate(envelope) => {
                world.duplicates += 1;
                self.deliver(world, envelope);
            }
            Action::Crash(store) => {
                world.crashes += 1;
                if self.scenario.unsynced {
                    world.stores[store].table = MemoryTable::new();
                }
                if self.scenario.old_documents {
                    world.stores[store].document = 1;
                }
                self.orphan(world, store);
                self.start(world, store);
            }
            Action::Wipe(store) => {
                world.wiped += 1;
                world.stores[store].table = MemoryTable::new();
                world.stores[store].life += 1;
                self.orphan(world, store);
                self.start(world, store);
            }
            Action::TakeUp(store, placement) => {
                world.stores[store].document = placement;
                self.follow(world, store);
                self.step(world, store, RegisterInput::Seal { current: placement }, NOW);
            }
            Action::Wake(store) => {
                world.wakeups += 1;
                let due = world.stores[store].replica.next_wake()?;
                self.step(world, store, RegisterInput::Timer, due);
            }
            Action::Settle(store) => {
                world.settlements += 1;
                let replicas = self.admit(world, store)?;
                self.step(world, store, RegisterInput::Settle { id: self.id, replicas }, NOW);
            }
        }
        Some(())
    }
}

/// Draws that differ, are the same in every exploration, and are so small as numbers that a wait
/// drawn from them is the shortest possible.
struct Draws {
    store: u64,
    stores: u64,
    count: u64,
}

impl Draws {
    fn of(store: usize, state: &StoreState, stores: usize) -> Self {
        Self { store: store as u64, stores: stores as u64, count: state.draws }
    }
}

impl RngCore for Draws {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.count += 1;
        self.count * self.stores + self.store
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
