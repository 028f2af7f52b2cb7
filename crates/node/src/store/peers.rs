//! What stores say to one another, and the replica that all requests about boxes go through.

use xchat_base::{Rng, Timestamp, Wire};
use xchat_directory::NodeId;
use xchat_pigeonhole::register::{
    BoxRecord, BoxTable, MessageError, RegisterEffect, RegisterInput, ReplicaMessage, TableEffect,
    TableMessage, Tables,
};
use xchat_pigeonhole::{BoxId, Refusal, StoreId, Told};

use super::{Effect, Store, store_id};

/// What comes on a replica link: the first byte tells.
enum StoreMessage {
    Register(ReplicaMessage),
    Table(TableMessage),
    Told(Told),
}

impl<T: BoxTable> Store<T> {
    pub(super) fn replica_frame(
        &mut self,
        from: &NodeId,
        bytes: &[u8],
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        if !self.document.node(from).is_some_and(|peer| peer.is_store()) || *from == self.id {
            self.counters.unknown_peer += 1;
            return;
        }
        let known = match bytes.first() {
            Some(&TableMessage::VERSION) => TableMessage::from_wire(bytes).map(StoreMessage::Table),
            Some(&Told::VERSION) => {
                Told::from_wire(bytes).map(StoreMessage::Told).map_err(MessageError::from)
            }
            _ => ReplicaMessage::from_wire(bytes).map(StoreMessage::Register),
        };
        let Ok(message) = known else {
            self.counters.unreadable += 1;
            return;
        };
        // A clock that is wrong lets boxes expire that have not.
        if !self.may_sweep(now) {
            return;
        }
        let from = store_id(from);
        match message {
            StoreMessage::Register(message) => {
                let admitted =
                    self.succession.admit(message.box_id(), &self.views, &mut self.table, now);
                match admitted {
                    Ok(replicas) if replicas.rank_of(&from).is_some() => {
                        // To a proposer, silence is a lost frame: two others are enough.
                        if self.full && message.proposes() && !self.holds(message.box_id()) {
                            self.counters.untaken += 1;
                            return;
                        }
                        self.counters.replica_frames += 1;
                        let input = RegisterInput::Peer { from, message, replicas };
                        self.register(input, now, rng, effects);
                    }
                    Ok(_) | Err(Refusal::NotReplica) => self.counters.not_shared += 1,
                    // A table that has lost its promises, or not copied yet, must not vote.
                    Err(_) => {}
                }
            }
            StoreMessage::Table(message) => {
                self.counters.replica_frames += 1;
                self.table_message(from, message, now, rng, effects);
            }
            StoreMessage::Told(told) => {
                self.counters.replica_frames += 1;
                self.told(&told, now, effects);
            }
        }
    }

    fn table_message(
        &mut self,
        from: StoreId,
        message: TableMessage,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        let (views, table) = (&self.views, &mut self.table);
        let mut wanted =
            self.succession.on_message(from, message.clone(), views, &mut *table, now, rng);
        let mut tables = Tables { placements: views, succession: &self.succession, table, now };
        wanted.extend(self.comparison.on_message(from, message, &mut tables));
        self.table_effects(wanted, now, rng, effects);
    }

    /// Takes up the placement of the document, if it is another one.
    pub(super) fn take_up(&mut self, now: Timestamp, rng: &mut Rng, effects: &mut Vec<Effect>) {
        let lifetimes = self.lifetimes();
        self.replica.set_lifetimes(lifetimes);
        self.succession.set_lifetimes(lifetimes);
        let before = self.succession.sealed();
        let wanted = self.succession.follow(&self.views, &mut self.table, now, rng);
        let current = self.succession.sealed();
        if current != before {
            self.register(RegisterInput::Seal { current }, now, rng, effects);
        }
        self.table_effects(wanted, now, rng, effects);
    }

    /// Copying goes on, and the next stretch is compared.
    pub(super) fn table_timer(&mut self, now: Timestamp, rng: &mut Rng, effects: &mut Vec<Effect>) {
        // Records of a document that is over are not to be judged by this clock.
        let (views, table) = (&self.views, &mut self.table);
        let mut wanted = self.succession.on_timer(views, &mut *table, now, rng);
        let mut tables = Tables { placements: views, succession: &self.succession, table, now };
        wanted.extend(self.comparison.on_timer(&mut tables, rng));
        self.table_effects(wanted, now, rng, effects);
    }

    fn table_effects(
        &mut self,
        wanted: Vec<TableEffect>,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        // By a clock that is wrong nothing is asked, or told.
        if !self.may_sweep(now) {
            return;
        }
        for effect in wanted {
            match effect {
                TableEffect::Send { to, message } => {
                    let to = NodeId::from_bytes(*to.as_bytes());
                    effects.push(Effect::ToReplica { to, bytes: message.to_wire() });
                }
                TableEffect::Chosen(boxed) => self.deliver(&boxed, now, rng, effects),
                // A comparison finds it again when there is room.
                TableEffect::Settle { id, .. } if self.full && !self.holds(&id) => {}
                TableEffect::Settle { id, replicas } => {
                    self.register(RegisterInput::Settle { id, replicas }, now, rng, effects);
                }
            }
        }
    }

    /// Whether the table has a value for this box, or a trace of one that was: to keep another one of it takes
    /// no more room.
    pub(super) fn holds(&self, id: &BoxId) -> bool {
        !matches!(self.table.get(id), None | Some(BoxRecord::Open { accepted: None, .. }))
    }

    pub(super) fn settle(
        &mut self,
        boxes: Vec<BoxId>,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        if !self.may_sweep(now) {
            return;
        }
        for id in boxes {
            if let Ok(replicas) = self.succession.admit(&id, &self.views, &mut self.table, now) {
                self.register(RegisterInput::Settle { id, replicas }, now, rng, effects);
            }
        }
    }

    /// Hands an input to the replica and carries out what it asks for.
    pub(super) fn register(
        &mut self,
        input: RegisterInput,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        for effect in self.replica.handle(input, &mut self.table, now, rng) {
            match effect {
                RegisterEffect::Send { to, message } => {
                    let to = NodeId::from_bytes(*to.as_bytes());
                    effects.push(Effect::ToReplica { to, bytes: message.to_wire() });
                }
                RegisterEffect::Answer { op, answer } => {
                    self.decided(op, answer, now, rng, effects);
                }
                RegisterEffect::Chosen(boxed) => self.deliver(&boxed, now, rng, effects),
                RegisterEffect::WakeAt(at) => self.register_wake = Some(at),
            }
        }
    }
}
