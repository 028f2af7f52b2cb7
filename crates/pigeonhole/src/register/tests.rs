//! The register among three replicas in memory.

mod bounds;
mod faults;
mod record;
mod rules;
mod schedules;
mod succession;

use core::time::Duration;
use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Secret, Timestamp};

use crate::answer::StoreId;
use crate::boxes::{BoxId, VerifiedBox};
use crate::lane::Lane;
use crate::request::Answer;

use super::{
    ClientOp, Incarnation, Member, MemoryTable, OpId, REPLICAS, RegisterEffect, RegisterInput,
    Replica, ReplicaMessage, ReplicaSet,
};

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

fn member(rank: usize) -> Member {
    let byte = u8::try_from(rank).expect("ranks are small");
    Member {
        store: StoreId::from_bytes([byte; 32]),
        incarnation: Incarnation::from_bytes([byte; 16]),
    }
}

fn replica_set() -> ReplicaSet {
    ReplicaSet::new(7, [0, 1, 2].map(member)).expect("distinct")
}

/// The n-th of some different values for one box.
fn value(n: u64) -> VerifiedBox {
    let keys = Lane::new(Secret::new([1; 32])).keys();
    let mut rng = ChaCha20Rng::seed_from_u64(n);
    let sealed = keys.seal(&mut rng, &n.to_be_bytes()).expect("it fits");
    sealed.verify().expect("own box")
}

fn box_id() -> BoxId {
    value(0).id()
}

/// A message on its way: from, to, what.
type Envelope = (usize, usize, ReplicaMessage);

/// Three replicas, their tables, and what is on its way between them.
struct Net {
    replicas: Vec<Replica>,
    tables: Vec<MemoryTable>,
    wake: Vec<Option<Timestamp>>,
    sent: Vec<Envelope>,
    answers: BTreeMap<u64, Answer>,
    /// By rank, how often the value was announced to standing reads.
    chosen: Vec<usize>,
    now: Timestamp,
    rng: ChaCha20Rng,
}

impl Net {
    fn new(seed: u64) -> Self {
        Self {
            replicas: (0..REPLICAS).map(|rank| Replica::new(member(rank))).collect(),
            tables: vec![MemoryTable::new(); REPLICAS],
            wake: vec![None; REPLICAS],
            sent: Vec::new(),
            answers: BTreeMap::new(),
            chosen: vec![0; REPLICAS],
            now: START,
            rng: ChaCha20Rng::seed_from_u64(seed),
        }
    }

    fn input(&mut self, rank: usize, input: RegisterInput) {
        let table = &mut self.tables[rank];
        for effect in self.replicas[rank].handle(input, table, self.now, &mut self.rng) {
            match effect {
                RegisterEffect::Send { to, message } => {
                    let message = ReplicaMessage::from_wire(&message.to_wire()).expect("own wire");
                    let to = replica_set().rank_of(&to).expect("a replica");
                    self.sent.push((rank, usize::from(to), message));
                }
                RegisterEffect::Answer { op, answer } => {
                    assert!(self.answers.insert(op.0, answer).is_none(), "answered twice");
                }
                RegisterEffect::Chosen(_) => self.chosen[rank] += 1,
                RegisterEffect::WakeAt(at) => self.wake[rank] = Some(at),
            }
        }
    }

    fn client(&mut self, op: u64, rank: usize, request: ClientOp) {
        let replicas = replica_set();
        self.input(rank, RegisterInput::Client { op: OpId(op), request, replicas });
    }

    fn write(&mut self, op: u64, rank: usize, n: u64) {
        self.client(op, rank, ClientOp::Write(value(n)));
    }

    fn read(&mut self, op: u64, rank: usize) {
        self.client(op, rank, ClientOp::Read(box_id()));
    }

    fn deliver(&mut self, (from, to, message): Envelope) {
        let from = member(from).store;
        let replicas = replica_set();
        self.input(to, RegisterInput::Peer { from, message, replicas });
    }

    /// Delivers everything, in order, except what `lose` says.
    fn settle_down(&mut self, lose: impl Fn(&Envelope) -> bool) {
        while !self.sent.is_empty() {
            let envelope = self.sent.remove(0);
            if !lose(&envelope) {
                self.deliver(envelope);
            }
        }
    }

    /// Time passes; timers fire when due; everything is delivered, except what `lose` says.
    fn pass(&mut self, span: Duration, lose: impl Fn(&Envelope) -> bool) {
        let until = self.now + span;
        loop {
            self.settle_down(&lose);
            let next = (0..REPLICAS).filter_map(|rank| Some((self.wake[rank]?, rank))).min();
            match next {
                Some((at, rank)) if at <= until => {
                    self.now = self.now.max(at);
                    self.wake[rank] = None;
                    self.input(rank, RegisterInput::Timer);
                }
                _ => break,
            }
        }
        self.now = until;
    }

    /// Everything but the table is lost.
    fn crash(&mut self, rank: usize) {
        self.replicas[rank] = Replica::new(member(rank));
        self.wake[rank] = None;
    }
}

fn nothing_lost(_: &Envelope) -> bool {
    false
}

/// Loses all to and from these ranks.
fn cut_off(ranks: &[usize]) -> impl Fn(&Envelope) -> bool + '_ {
    |(from, to, _)| ranks.contains(from) || ranks.contains(to)
}
