//! Stores that copy their tables to one another and compare them, under any schedule of messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Secret, Timestamp};
use xchat_pigeonhole::register::{
    BOX_LIFETIME, BoxRecord, BoxTable, COMPARE_EVERY, Comparison, Incarnation, Listed, Member,
    MemoryTable, Placements, REPLICAS, ReplicaSet, Succession, TableEffect, TableMessage, Tables,
};
use xchat_pigeonhole::{BoxId, Lane, StoreId, VerifiedBox};

use crate::parsers::NOW;
use crate::{Bytes, Target};

pub(crate) const TABLES: Target = Target { name: "tables", body: tables, seeds, tries: 300 };

/// Messages on their way at once; more are lost.
const MAX_IN_FLIGHT: usize = 64;

/// Operations of one input.
const MAX_OPERATIONS: usize = 200;

/// The longest message between stores, as `TableMessage::to_wire` promises.
const MAX_MESSAGE: usize = 32 * 1024;

/// Boxes that the stores begin with; more than a page holds.
const BOXES: u8 = 20;

/// Who is listed in each placement: the second brings a store with another disk, the third another store.
fn listed(placement: u32) -> Option<[Member; REPLICAS]> {
    let member = |store: u8, life: u8| Member {
        store: StoreId::from_bytes([store; 32]),
        incarnation: Incarnation::from_bytes([16 * life + store; 16]),
    };
    Some(match placement {
        1 => [member(1, 0), member(2, 0), member(3, 0)],
        2 => [member(1, 1), member(2, 0), member(3, 0)],
        3 => [member(1, 1), member(2, 0), member(4, 0)],
        _ => return None,
    })
}

/// All boxes lie on all three stores of a placement.
struct Known {
    current: u32,
    stores: Vec<BTreeMap<StoreId, Listed>>,
}

impl Known {
    fn new() -> Self {
        let listed = |member: Member| {
            let Member { store, incarnation } = member;
            (store, Listed { incarnation, operator: *store.as_bytes() })
        };
        let stores = (1..).map_while(self::listed).map(|set| set.map(listed).into()).collect();
        Self { current: 1, stores }
    }
}

impl Placements for Known {
    fn current(&self) -> u32 {
        self.current
    }

    fn stores(&self, placement: u32) -> Option<&BTreeMap<StoreId, Listed>> {
        self.stores.get(placement.checked_sub(1)? as usize)
    }

    fn replicas(&self, placement: u32, _: &BoxId) -> Option<ReplicaSet> {
        ReplicaSet::new(placement, listed(placement)?).ok()
    }
}

struct Store {
    own: Member,
    table: MemoryTable,
    succession: Succession,
    comparison: Comparison,
}

struct Cluster {
    known: Known,
    stores: Vec<Store>,
    flying: Vec<(StoreId, StoreId, TableMessage)>,
    /// The decided boxes that each disk was seen to hold.
    held: BTreeMap<Incarnation, BTreeSet<BoxId>>,
    /// Some message was not what its sender wrote.
    forged: bool,
    now: Timestamp,
    rng: ChaCha20Rng,
}

fn boxed(n: u8) -> VerifiedBox {
    let keys = Lane::new(Secret::new([n; 32])).keys();
    let mut rng = ChaCha20Rng::seed_from_u64(n.into());
    keys.seal(&mut rng, &[n]).expect("short").verify().expect("just sealed")
}

impl Cluster {
    fn new() -> Self {
        let mut cluster = Self {
            known: Known::new(),
            stores: Vec::new(),
            flying: Vec::new(),
            held: BTreeMap::new(),
            forged: false,
            now: NOW,
            rng: ChaCha20Rng::seed_from_u64(12),
        };
        let [wiped, second, third] = listed(1).expect("the first");
        let [_, _, last] = listed(3).expect("the third");
        for own in [wiped, second, third, last] {
            cluster.start(own, MemoryTable::new());
        }
        for n in 0..BOXES {
            let boxed = boxed(n);
            let record = match n % 5 {
                4 => BoxRecord::Tombstone { forget_at: NOW + BOX_LIFETIME },
                _ => BoxRecord::Chosen { boxed: boxed.clone(), expires_at: NOW + BOX_LIFETIME },
            };
            // Decisions lie on two of three at least; the third may have missed one.
            for store in &mut cluster.stores[usize::from(n % 2)..REPLICAS] {
                store.table.put(boxed.id(), record.clone());
            }
        }
        cluster
    }

    fn start(&mut self, own: Member, table: MemoryTable) {
        let succession = Succession::new(own, &table);
        let comparison = Comparison::new(own, self.now);
        self.stores.retain(|store| store.own.store != own.store);
        self.stores.push(Store { own, table, succession, comparison });
        self.stores.sort_by_key(|store| store.own.store);
        let at = self.stores.iter().position(|store| store.own == own).expect("just added");
        self.follow(at);
    }

    fn follow(&mut self, at: usize) {
        let Store { table, succession, .. } = &mut self.stores[at];
        let effects = succession.follow(&self.known, table, self.now, &mut self.rng);
        self.take(at, effects);
    }

    fn take(&mut self, at: usize, effects: Vec<TableEffect>) {
        let from = self.stores[at].own.store;
        for effect in effects {
            if let TableEffect::Send { to, message } = effect {
                assert!(to != from, "a store talks to others");
                assert!(message.to_wire().len() <= MAX_MESSAGE, "too long for a frame");
                if self.flying.len() < MAX_IN_FLIGHT {
                    self.flying.push((from, to, message));
                }
            }
        }
    }

    fn deliver(&mut self, from: StoreId, to: &StoreId, message: TableMessage) {
        let Some(at) = self.stores.iter().position(|store| store.own.store == *to) else { return };
        let Store { table, succession, comparison, .. } = &mut self.stores[at];
        let (known, now) = (&self.known, self.now);
        let mut effects =
            succession.on_message(from, message.clone(), known, table, now, &mut self.rng);
        let mut tables = Tables { placements: known, succession, table, now };
        effects.extend(comparison.on_message(from, message, &mut tables));
        self.take(at, effects);
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        for at in 0..self.stores.len() {
            let Store { table, succession, comparison, .. } = &mut self.stores[at];
            let (known, now) = (&self.known, self.now);
            let mut effects = succession.on_timer(known, table, now, &mut self.rng);
            let mut tables = Tables { placements: known, succession, table, now };
            effects.extend(comparison.on_timer(&mut tables, &mut self.rng));
            self.take(at, effects);
        }
    }

    fn act(&mut self, input: &mut Bytes<'_>) {
        let what = input.u8();
        let flying = self.flying.len();
        match what % 10 {
            0 => self.pass(Duration::from_millis(u64::from(input.u16()))),
            1 => self.pass(COMPARE_EVERY),
            2 => {
                self.known.current = (self.known.current + 1).min(3);
                // The first store has another disk from the second placement on.
                let own = listed(self.known.current).expect("one of three")[0];
                if self.stores[0].own != own {
                    self.start(own, MemoryTable::new());
                }
                (0..self.stores.len()).for_each(|at| self.follow(at));
            }
            3 => {
                let at = input.index(self.stores.len());
                let Store { own, table, .. } = self.stores.remove(at);
                self.start(own, table);
            }
            4 if flying > 0 => drop(self.flying.remove(input.index(flying))),
            5 if flying > 0 => {
                let (from, to, message) = self.flying[input.index(flying)].clone();
                let bytes = input.edit(&message.to_wire());
                if let Ok(message) = TableMessage::from_wire(&bytes) {
                    self.forged = true;
                    self.deliver(from, &to, message);
                }
            }
            6 if flying > 0 => {
                let (from, to, message) = self.flying[input.index(flying)].clone();
                self.deliver(from, &to, message);
            }
            _ if flying > 0 => {
                let (from, to, message) = self.flying.remove(input.index(flying));
                self.deliver(from, &to, message);
            }
            _ => {}
        }
    }

    /// No disk loses a decision before its time (an input spans hours), whatever others say; and no table has
    /// a box that nobody wrote, unless somebody says there was one.
    fn agree(&mut self) {
        for Store { own, table, .. } in &self.stores {
            let chosen = |record: &BoxRecord| matches!(record, BoxRecord::Chosen { .. });
            let held = self.held.entry(own.incarnation).or_default();
            let lost = held.iter().find(|id| !table.get(id).as_ref().is_some_and(chosen));
            assert!(lost.is_none(), "a decided box is gone");
            held.extend(table.iter().filter(|(_, record)| chosen(record)).map(|(id, _)| *id));
            let genuine = table.len() <= usize::from(BOXES);
            assert!(self.forged || genuine, "a table has what nobody wrote");
        }
    }
}

fn tables(input: &[u8]) {
    let mut input = Bytes::new(input);
    let mut cluster = Cluster::new();
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        cluster.act(&mut input);
        cluster.agree();
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let refill: Vec<u8> = [&[2][..], &[9u8, 0].repeat(40)].concat();
    let compare: Vec<u8> = [&[1][..], &[9u8, 0].repeat(12)].concat().repeat(3);
    let moved = [&refill[..], &[2, 3, 1], &[9u8, 0].repeat(20), &compare[..]].concat();
    let forged = [&[2, 5, 0, 1, 7, 9, 0, 5, 0, 2, 30][..], &[9u8, 0].repeat(10)].concat();
    vec![refill, compare, moved, forged]
}

/// Some messages of each kind, as bytes.
pub(crate) fn some_messages() -> Vec<Vec<u8>> {
    let mut cluster = Cluster::new();
    let mut messages = Vec::new();
    cluster.act(&mut Bytes::new(&[2]));
    for _ in 0..40 {
        if cluster.flying.is_empty() {
            cluster.pass(COMPARE_EVERY);
        }
        let Some((from, to, message)) = cluster.flying.pop() else { continue };
        messages.push(message.to_wire());
        cluster.deliver(from, &to, message);
    }
    messages.sort_by_key(Vec::len);
    messages.dedup_by_key(|bytes| bytes.len());
    messages
}
