//! The store's core and its table in the common shape.

use xchat_base::{Rng, Timestamp};
use xchat_node::store::{Effect, Input as StoreInput, Store};

use super::{Act, Input, Kind, Role, RoleStatus, counters};
use crate::control::{Load, TableStatus};
use crate::error::NodeError;
use crate::table::{DiskTable, Rooms, SweepCursor};

/// Records swept at once: a few milliseconds between two batches of packets.
const SWEEP_PIECE: usize = 256;

pub(crate) struct StoreRole {
    store: Store<DiskTable>,
    /// Where the sweep under way goes on.
    sweep: Option<SweepCursor>,
    rooms: Rooms,
    pressed: bool,
}

impl StoreRole {
    /// Takes over a store and what it wanted when it started; its table may take `most` bytes.
    pub(crate) fn new(
        store: Store<DiskTable>,
        effects: Vec<Effect>,
        most: Option<u64>,
    ) -> (Self, Vec<Act>) {
        let mut role = Self { store, sweep: None, rooms: Rooms::new(most), pressed: false };
        let acts = role.acts(effects);
        (role, acts)
    }

    fn acts(&mut self, effects: Vec<Effect>) -> Vec<Act> {
        effects.into_iter().filter_map(|effect| self.act(effect)).collect()
    }

    fn act(&mut self, effect: Effect) -> Option<Act> {
        Some(match effect {
            Effect::RememberTags { key, tags } => Act::Remember { key, tags },
            Effect::ForgetKey { key } => Act::ForgetKey(key),
            Effect::ToNode { to, bytes } => Act::Send { kind: Kind::Packet, to, bytes },
            Effect::ToReplica { to, bytes } => Act::Send { kind: Kind::Replica, to, bytes },
            Effect::WakeAt(at) => Act::WakeAt(at),
            Effect::Sweep => {
                // One that is still under way comes to what is due by itself.
                self.sweep.get_or_insert(SweepCursor::START);
                return None;
            }
            _ => return None,
        })
    }
}

impl Role for StoreRole {
    fn handle(&mut self, input: Input, now: Timestamp, rng: &mut Rng) -> Vec<Act> {
        let input = match input {
            Input::Frame { kind: Kind::Packet, from, bytes } => {
                StoreInput::NodeFrame { from, bytes }
            }
            Input::Frame { kind: Kind::Replica, from, bytes } => {
                StoreInput::ReplicaFrame { from, bytes }
            }
            Input::Document(document) => StoreInput::Document(document),
            Input::AddSecret(secret) => StoreInput::AddSecret(secret),
            Input::Timer => StoreInput::Timer,
            // No clients.
            _ => return Vec::new(),
        };
        let effects = self.store.handle(input, now, rng);
        self.acts(effects)
    }

    fn commit(&mut self) -> Result<(), NodeError> {
        Ok(self.store.table_mut().commit()?)
    }

    fn pressed(&mut self, pressed: bool, now: Timestamp, rng: &mut Rng) -> Vec<Act> {
        self.pressed = pressed;
        let effects = self.store.handle(StoreInput::Pressed(pressed), now, rng);
        self.acts(effects)
    }

    fn look(&mut self, now: Timestamp, rng: &mut Rng) -> Result<Vec<Act>, NodeError> {
        let before = self.rooms.room().full;
        let full = self.rooms.look(self.store.table_mut())?;
        if full == before {
            return Ok(Vec::new());
        }
        let effects = self.store.handle(StoreInput::Full(full), now, rng);
        Ok(self.acts(effects))
    }

    fn has_idle_work(&self) -> bool {
        self.sweep.is_some()
    }

    fn idle(&mut self, now: Timestamp, rng: &mut Rng) -> Result<Vec<Act>, NodeError> {
        let Some(from) = self.sweep.take() else { return Ok(Vec::new()) };
        // A clock that has jumped would end boxes whose time has not come.
        if !self.store.may_sweep(now) {
            return Ok(Vec::new());
        }
        let lifetimes = self.store.lifetimes();
        let table = self.store.table_mut();
        let before = table.waiting();
        let (settle, next) = table.sweep(from, now, &lifetimes, SWEEP_PIECE)?;
        self.rooms.swept(table.waiting().saturating_sub(before));
        self.sweep = next;
        if settle.is_empty() {
            return Ok(Vec::new());
        }
        let effects = self.store.handle(StoreInput::Settle(settle), now, rng);
        Ok(self.acts(effects))
    }

    fn status(&self, now: Timestamp) -> RoleStatus {
        let counters = counters!(self.store.counters(); received, writes, reads, registers, collects,
            answered, refused, refused_busy, refused_full, untaken, deliveries_sent, items_kept, items_dropped, unknown_peer, unreadable,
            replays, refused_peer, cache_full, bad_reply_block, replica_frames, not_shared, refused_documents,
            missed, pending, registrations, collector_sessions, items, remembered);
        let (state, room) = (self.store.table_state(), self.rooms.room());
        let table = TableStatus {
            incarnation: self.store.incarnation().to_hex(),
            placement: state.placement,
            refilled: state.refilled,
            sources_left: state.sources_left as u64,
            bytes: room.used,
            max_bytes: room.most,
            full: room.full,
        };
        let load = Some(Load::Store { busy: self.pressed });
        let repeating = self.store.repeating(now);
        RoleStatus {
            catching_up: !state.complete,
            table: Some(table),
            load,
            loops: None,
            repeating,
            counters,
        }
    }
}
