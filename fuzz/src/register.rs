//! Three replicas, two writers' values and any schedule of messages.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::time::Duration;
use xchat_base::{Secret, Timestamp};
use xchat_pigeonhole::register::{
    BoxRecord, ClientOp, Incarnation, MAX_OPERATIONS_PER_BOX, Member, MemoryTable, OpId, REPLICAS,
    RegisterEffect, RegisterInput, Replica, ReplicaMessage, ReplicaSet,
};
use xchat_pigeonhole::{Answer, BoxId, Lane, StoreId, VerifiedBox};

use crate::parsers::NOW;
use crate::{Bytes, Target};

pub(crate) const REGISTER: Target = Target { name: "register", body: register, seeds, tries: 800 };

/// Messages on their way at once; more are lost.
const MAX_IN_FLIGHT: usize = 64;

/// Operations of one input: a schedule longer than this shows nothing new and only takes its time.
const MAX_OPERATIONS: usize = 200;

struct Cluster {
    now: Timestamp,
    rng: ChaCha20Rng,
    id: BoxId,
    values: [VerifiedBox; 2],
    set: ReplicaSet,
    replicas: Vec<Replica>,
    tables: Vec<MemoryTable>,
    flying: Vec<(usize, usize, ReplicaMessage)>,
    /// By operation: whether a value had been reported when it began, and what it writes.
    begun: Vec<(bool, Option<usize>)>,
    reported: Option<usize>,
    /// Some message was not what its sender wrote: promises between replicas are off.
    forged: bool,
}

impl Cluster {
    fn new() -> Self {
        let keys = Lane::new(Secret::new([1; 32])).keys();
        let mut rng = ChaCha20Rng::seed_from_u64(8);
        let values = [b"zero", b"one."].map(|content| {
            keys.seal(&mut rng, content).expect("short").verify().expect("just sealed")
        });
        let members = [0, 1, 2].map(|rank| Member {
            store: StoreId::from_bytes([rank; 32]),
            incarnation: Incarnation::from_bytes([rank; 16]),
        });
        Self {
            now: NOW,
            rng,
            id: keys.id(),
            values,
            set: ReplicaSet::new(1, members).expect("distinct"),
            replicas: members.into_iter().map(Replica::new).collect(),
            tables: vec![MemoryTable::new(); REPLICAS],
            flying: Vec::new(),
            begun: Vec::new(),
            reported: None,
            forged: false,
        }
    }

    fn handle(&mut self, rank: usize, input: RegisterInput) {
        let (table, now) = (&mut self.tables[rank], self.now);
        for effect in self.replicas[rank].handle(input, table, now, &mut self.rng) {
            match effect {
                RegisterEffect::Send { to, message } => {
                    let to = self.set.rank_of(&to).map(usize::from).expect("a replica");
                    if self.flying.len() < MAX_IN_FLIGHT {
                        self.flying.push((rank, to, message));
                    }
                }
                RegisterEffect::Answer { op, answer } => self.told(op, &answer),
                _ => {}
            }
        }
        assert!(self.replicas[rank].operation_count() <= MAX_OPERATIONS_PER_BOX);
    }

    fn begin(&mut self, rank: usize, request: ClientOp) {
        let op = OpId(self.begun.len() as u64);
        let value = match &request {
            ClientOp::Write(value) => self.values.iter().position(|known| known == value),
            ClientOp::Read(_) => None,
        };
        self.begun.push((self.reported.is_some(), value));
        self.handle(rank, RegisterInput::Client { op, request, replicas: self.set });
    }

    fn told(&mut self, op: OpId, answer: &Answer) {
        let (after_value, written) = self.begun[op.0 as usize];
        let value = match answer {
            Answer::Stored => written,
            Answer::Exists(boxed) | Answer::Found(boxed) => {
                self.values.iter().position(|value| value.sealed() == boxed)
            }
            Answer::Empty if after_value => {
                assert!(self.forged, "empty after a value was reported");
                None
            }
            _ => None,
        };
        if let (Some(value), false) = (value, self.forged) {
            assert_eq!(*self.reported.get_or_insert(value), value, "two values were reported");
        }
    }

    fn deliver(&mut self, at: usize, message: ReplicaMessage) {
        let (from, to, _) = self.flying[at];
        let from = self.set.members()[from].store;
        self.handle(to, RegisterInput::Peer { from, message, replicas: self.set });
    }

    fn act(&mut self, input: &mut Bytes<'_>) {
        let (what, rank) = (input.u8(), input.index(REPLICAS));
        let flying = self.flying.len();
        match what % 12 {
            0 | 1 => {
                let value = self.values[usize::from(what % 2)].clone();
                self.begin(rank, ClientOp::Write(value));
            }
            2 => self.begin(rank, ClientOp::Read(self.id)),
            3 => {
                self.now = self.now + Duration::from_millis(u64::from(input.u16()));
                self.handle(rank, RegisterInput::Timer);
            }
            4 => {
                self.replicas[rank] = Replica::new(self.set.members()[rank]);
            }
            5 => self.handle(rank, RegisterInput::Settle { id: self.id, replicas: self.set }),
            6 if flying > 0 => drop(self.flying.remove(input.index(flying))),
            7 if flying > 0 => {
                let at = input.index(flying);
                self.deliver(at, self.flying[at].2.clone());
            }
            8 if flying > 0 => {
                let at = input.index(flying);
                let bytes = input.edit(&self.flying[at].2.to_wire());
                if let Ok(message) = ReplicaMessage::from_wire(&bytes) {
                    self.forged |= message != self.flying[at].2;
                    self.deliver(at, message);
                }
            }
            _ if flying > 0 => {
                let at = input.index(flying);
                let message = self.flying[at].2.clone();
                self.deliver(at, message);
                self.flying.remove(at);
            }
            _ => {}
        }
    }

    fn agree(&self) {
        let records = self.tables.iter().flat_map(MemoryTable::iter);
        let mut chosen = records.filter_map(|(_, record)| match record {
            BoxRecord::Chosen { boxed, .. } => Some(boxed),
            _ => None,
        });
        if let Some(first) = chosen.next() {
            assert!(self.forged || chosen.all(|other| other == first), "two values were chosen");
        }
    }
}

fn register(input: &[u8]) {
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
    // Two writers, a reader, and deliveries oldest first; then with a crash, a timer and a duplicate.
    let calm: Vec<u8> = [&[0, 0, 1, 1, 2, 2][..], &[9u8, 0, 0].repeat(40)].concat();
    let trouble: Vec<u8> =
        [&[0, 1, 9, 0, 0, 7, 0, 0, 4, 1, 1, 2][..], &[9u8, 0, 0].repeat(6)].concat();
    let later: Vec<u8> =
        [&trouble[..], &[3, 0, 8, 0, 3, 2, 8, 0, 5, 0], &[9u8, 0, 0].repeat(20)].concat();
    vec![calm, trouble, later]
}

/// One of each message, as they come in a calm run, and the records that are left.
pub(crate) fn some_messages_and_records() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut cluster = Cluster::new();
    cluster.begin(1, ClientOp::Write(cluster.values[0].clone()));
    cluster.begin(2, ClientOp::Read(cluster.id));
    let mut messages = Vec::new();
    while !cluster.flying.is_empty() && messages.len() < 40 {
        let message = cluster.flying[0].2.clone();
        messages.push(message.to_wire());
        cluster.deliver(0, message);
        cluster.flying.remove(0);
    }
    let mut records: Vec<_> = cluster.tables.iter().flat_map(MemoryTable::iter).collect();
    let tombstone = BoxRecord::Tombstone { forget_at: NOW };
    records.push((&cluster.id, &tombstone));
    let records = records.into_iter().map(|(_, record)| record.to_stored()).collect();
    messages.dedup_by_key(|bytes| bytes.len());
    (messages, records)
}
