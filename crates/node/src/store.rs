//! The store: last hop of requests, replica of boxes, keeper of standing reads, and collector.
//!
//! Every request is answered by one packet along its reply block, at once or as soon as the box's
//! register has decided. What cannot be read is dropped: there is nobody to answer.

mod collectors;
mod operations;
mod peers;
mod registrations;
mod tell;
#[cfg(test)]
mod tests;
mod views;

use std::collections::BTreeMap;
use std::time::Duration;

use xchat_base::{Rng, Timestamp};
use xchat_directory::{Incarnation, NodeId, Role, VerifiedDocument};
use xchat_pigeonhole::AnswerKey;
use xchat_pigeonhole::register::{
    self, BoxTable, Comparison, Lifetimes, Member, OpId, RegisterInput, Replica, Succession,
    TableState,
};
use xchat_pigeonhole::{BoxId, StoreId};
use xchat_sphinx::{HopKey, HopSecret, NodeFrame, PacketFormat, ReplyTag, Unwrapped};

use crate::hop::{Dropped, Hop, HopSetup, MAX_REPLAY_TAGS, TagPrint};
use crate::start::{self, StartError};
use collectors::Collectors;
use operations::Pending;
use registrations::Registrations;
use views::Views;

pub use collectors::{MAX_COLLECTOR_SESSIONS, MAX_ITEMS, MAX_ITEMS_PER_SESSION};
pub use registrations::{MAX_REGISTRATION_LIFETIME, MAX_REGISTRATIONS, MAX_REGISTRATIONS_PER_BOX};

/// How often the table is swept. A box that outlives its time by so little harms nobody (reads check the time
/// themselves), and a sweep costs a look at the expiry index.
pub const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// How often idle collector sessions and ended registrations are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(10);

/// What can happen to a store.
#[non_exhaustive]
pub enum Input {
    /// A peer sent a frame on a packet link.
    NodeFrame {
        /// The peer, as its link proved it.
        from: NodeId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// Another store sent a frame on a replica link.
    ReplicaFrame {
        /// The store, as its link proved it.
        from: NodeId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// A newer document.
    Document(VerifiedDocument),
    /// The secret of a hop key that a coming document will list.
    AddSecret(HopSecret),
    /// Boxes that a sweep found accepted and undecided; see
    /// [`xchat_pigeonhole::register::Sweep::Settle`].
    Settle(Vec<BoxId>),
    /// More waits for this store than it works off, or no longer. Until it hears otherwise it refuses
    /// new writes as busy, which costs no disk, and goes on with everything else.
    Pressed(bool),
    /// The table has reached the size that its operator gives it, or is below it again. Until it hears
    /// otherwise the store takes no value for a box of which it holds none: it refuses such writes as busy, is
    /// silent when another store proposes one, and does not ask for what it has missed. It reads and promises,
    /// and copies what a placement hands to it: others have answered for that.
    Full(bool),
    /// The time of the last `WakeAt` has come.
    Timer,
}

/// What a store wants done. The table is synced before the first of a batch leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Append to the replay journal of this key, before anything later in the batch and before any
    /// later batch.
    RememberTags {
        /// Under which key the packets came.
        key: HopKey,
        /// Their prints.
        tags: Vec<TagPrint>,
    },
    /// This key is over: erase its stored secret, then its replay journal.
    ForgetKey {
        /// Which.
        key: HopKey,
    },
    /// Send a frame on a packet link; where no link is, or its queue is full, drop it.
    ToNode {
        /// The peer.
        to: NodeId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// Send a frame on a replica link; where no link is, or its queue is full, drop it.
    ToReplica {
        /// The store.
        to: NodeId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// Sweep the table ([`register::BoxRecord::sweep_with`] and [`Store::lifetimes`] on every record
    /// that is due) and hand the boxes to be settled to [`Input::Settle`]. May take its time, as
    /// long as [`Store::may_sweep`].
    Sweep,
    /// Hand in a `Timer` then; replaces the `WakeAt` before it.
    WakeAt(Timestamp),
}

/// What a store has done since it started. Coarse by intent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames that came on packet links.
    pub received: u64,
    /// Requests to write.
    pub writes: u64,
    /// Requests to read.
    pub reads: u64,
    /// Requests for a standing read.
    pub registers: u64,
    /// Requests to collect.
    pub collects: u64,
    /// Answers sent.
    pub answered: u64,
    /// Of these, refusals.
    pub refused: u64,
    /// Of these, because there was more to do than could be done.
    pub refused_busy: u64,
    /// Of those that were refused as busy, because the table has reached its size.
    pub refused_full: u64,
    /// Proposals of other stores that were not taken because of that.
    pub untaken: u64,
    /// Deliveries handed to the stores at which readers have registered.
    pub tells: u64,
    /// Deliveries sent to collectors.
    pub deliveries_sent: u64,
    /// Deliveries that came for a session here.
    pub items_kept: u64,
    /// Deliveries for no session, or one that was full.
    pub items_dropped: u64,
    /// Frames from peers that have no business to send them.
    pub unknown_peer: u64,
    /// Frames, packets and requests that could not be read.
    pub unreadable: u64,
    /// Packets that came before.
    pub replays: u64,
    /// Frames of mixes that send packets twice, which are refused for a while.
    pub refused_peer: u64,
    /// Packets refused because the replay cache is full.
    pub cache_full: u64,
    /// Answers and deliveries whose block does not lead to a mix of the first layer.
    pub bad_reply_block: u64,
    /// Frames that came on replica links and were taken.
    pub replica_frames: u64,
    /// Frames on replica links about boxes that this store and the sender do not share.
    pub not_shared: u64,
    /// Documents that did not follow from the one in use.
    pub refused_documents: u64,
    /// Boxes that a comparison with another replica found to be missing.
    pub missed: u64,
    /// Operations under way now.
    pub pending: u64,
    /// Registrations held now.
    pub registrations: u64,
    /// Collector sessions open now.
    pub collector_sessions: u64,
    /// Items waiting now.
    pub items: u64,
    /// Replay tags remembered now.
    pub remembered: u64,
}

/// What a store is started with.
pub struct StoreSetup {
    /// Its node id.
    pub id: NodeId,
    /// The secret of its node key: signs answers.
    pub answer_key: AnswerKey,
    /// The life of its table: drawn when the table was made and kept with it.
    pub incarnation: Incarnation,
    /// Its hop keys.
    pub hop: HopSetup,
}

/// Its bounds; smaller in tests that hit them.
struct Bounds {
    tags: usize,
    registrations: usize,
    sessions: usize,
    items: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            tags: MAX_REPLAY_TAGS,
            registrations: MAX_REGISTRATIONS,
            sessions: MAX_COLLECTOR_SESSIONS,
            items: MAX_ITEMS,
        }
    }
}

/// A store over a table.
pub struct Store<T> {
    id: NodeId,
    incarnation: Incarnation,
    answer_key: AnswerKey,
    document: VerifiedDocument,
    views: Views,
    hop: Hop,
    table: T,
    replica: Replica,
    succession: Succession,
    comparison: Comparison,
    pending: BTreeMap<OpId, Pending>,
    next_op: u64,
    registrations: Registrations,
    /// Of this start: registrations do not outlive it, and clients are to notice.
    life: u64,
    collectors: Collectors,
    counters: Counters,
    pressed: bool,
    full: bool,
    register_wake: Option<Timestamp>,
    next_expire: Timestamp,
    next_sweep: Timestamp,
    woken_for: Option<Timestamp>,
}

impl<T: BoxTable> Store<T> {
    /// A store that starts, or starts again over the same table.
    ///
    /// # Errors
    /// [`StartError`]: the document does not know this node as a store, or by other keys. A table of
    /// another incarnation than the document's is no error: the store collects, and refuses
    /// requests about boxes until a document lists it and it has copied ([`Self::is_catching_up`]).
    pub fn new(
        setup: StoreSetup,
        document: VerifiedDocument,
        table: T,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<Effect>), StartError> {
        Self::with_bounds(setup, document, table, now, rng, &Bounds::default())
    }

    fn with_bounds(
        setup: StoreSetup,
        document: VerifiedDocument,
        table: T,
        now: Timestamp,
        rng: &mut Rng,
        bounds: &Bounds,
    ) -> Result<(Self, Vec<Effect>), StartError> {
        let StoreSetup { id, answer_key, incarnation, hop } = setup;
        let own = start::own(&document, &id, "store", |role| matches!(role, Role::Store { .. }))?;
        if answer_key.store() != store_id(&id) {
            return Err(StartError::AnswerKey { id });
        }
        let hop = Hop::new(hop, own, bounds.tags).ok_or(StartError::NoHopKey { id })?;
        let own = member(&id, &incarnation);
        let mut store = Self {
            id,
            incarnation,
            answer_key,
            views: Views::of(&document),
            document,
            hop,
            replica: Replica::new(own),
            succession: Succession::new(own, &table),
            comparison: Comparison::new(own, now),
            table,
            pending: BTreeMap::new(),
            next_op: 0,
            registrations: Registrations::new(bounds.registrations),
            life: rng.next_u64(),
            collectors: Collectors::new(bounds.sessions, bounds.items),
            counters: Counters::default(),
            pressed: false,
            full: false,
            register_wake: None,
            next_expire: now + EXPIRE_EVERY,
            next_sweep: now + SWEEP_EVERY,
            woken_for: None,
        };
        let mut effects = Vec::new();
        store.take_up(now, rng, &mut effects);
        if store.may_sweep(now) {
            effects.push(Effect::Sweep);
        }
        store.forget_ended(now, &mut effects);
        store.wake(&mut effects);
        Ok((store, effects))
    }

    /// With packets of another format, for simulations; before the first input.
    #[must_use]
    pub fn with_format(mut self, format: &'static dyn PacketFormat) -> Self {
        self.hop.format = format;
        self
    }

    /// The one door.
    pub fn handle(&mut self, input: Input, now: Timestamp, rng: &mut Rng) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::NodeFrame { from, bytes } => {
                self.node_frame(&from, &bytes, now, rng, &mut effects);
            }
            Input::ReplicaFrame { from, bytes } => {
                self.replica_frame(&from, &bytes, now, rng, &mut effects);
            }
            Input::Document(newer) => self.follow(newer, now, rng, &mut effects),
            Input::AddSecret(secret) => {
                // Of a node that was suspended for long, those whose time is over have all the places.
                self.forget_ended(now, &mut effects);
                self.hop.add_secret(secret);
                self.hop.follow(&self.document, &self.id);
            }
            Input::Settle(boxes) => self.settle(boxes, now, rng, &mut effects),
            Input::Pressed(pressed) => self.pressed = pressed,
            Input::Full(full) => self.full = full,
            Input::Timer => self.timer(now, rng, &mut effects),
        }
        self.wake(&mut effects);
        effects
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        Counters {
            missed: self.comparison.missed(),
            pending: self.pending.len() as u64,
            registrations: self.registrations.len() as u64,
            collector_sessions: self.collectors.sessions() as u64,
            items: self.collectors.items() as u64,
            remembered: self.hop.remembered() as u64,
            ..self.counters
        }
    }

    /// Whether there are boxes for which it neither votes nor answers: the directory lists another life
    /// of its table, or the replicas of an earlier placement are still to be copied.
    pub fn is_catching_up(&self) -> bool {
        !self.table_state().complete
    }

    /// How far its table is.
    pub fn table_state(&self) -> TableState {
        self.succession.state(&self.views)
    }

    /// The life of its table.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Whether records may be swept: not by a clock that the document says is wrong, or by a
    /// document that is over. What a sweep has dropped does not come back when the clock does.
    pub fn may_sweep(&self, now: Timestamp) -> bool {
        self.document.valid_from <= now && now < self.document.valid_until
    }

    /// How long boxes and tombstones are kept, by the document in use.
    pub fn lifetimes(&self) -> Lifetimes {
        let parameters = &self.document.parameters;
        Lifetimes { boxed: parameters.box_lifetime, tombstone: parameters.tombstone_lifetime }
    }

    /// The table: to sync it, or to sweep it.
    pub fn table_mut(&mut self) -> &mut T {
        &mut self.table
    }

    /// Mixes that send packets twice: nothing of them is taken for a while.
    pub fn repeating(&self, now: Timestamp) -> Vec<NodeId> {
        self.hop.repeating(now)
    }

    /// The document in use.
    pub fn document(&self) -> &VerifiedDocument {
        &self.document
    }

    fn node_frame(
        &mut self,
        from: &NodeId,
        bytes: &[u8],
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        self.counters.received += 1;
        let last = xchat_directory::descriptor::LAYERS;
        if !self.document.node(from).is_some_and(|peer| peer.is_mix_of(last)) {
            self.counters.unknown_peer += 1;
            return;
        }
        if self.hop.is_repeating(from, now) {
            self.counters.refused_peer += 1;
            return;
        }
        let Ok(NodeFrame { tag: ReplyTag::NONE, packet }) = NodeFrame::from_bytes(bytes) else {
            self.counters.unreadable += 1;
            return;
        };
        let opened = match self.hop.open(from, &packet, now) {
            Ok(opened) => opened,
            Err(dropped) => {
                match dropped {
                    Dropped::Unreadable => self.counters.unreadable += 1,
                    Dropped::Replay => self.counters.replays += 1,
                    Dropped::CacheFull => self.counters.cache_full += 1,
                }
                return;
            }
        };
        effects.push(Effect::RememberTags { key: opened.key, tags: vec![opened.print] });
        match opened.unwrapped {
            Unwrapped::Request { message } => self.request(&message, now, rng, effects),
            Unwrapped::Delivery { session, id, message } => self.item(&session, id, message),
            _ => self.counters.unreadable += 1,
        }
    }

    fn follow(
        &mut self,
        newer: VerifiedDocument,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        if start::replace(&mut self.document, newer).is_err() {
            self.counters.refused_documents += 1;
            return;
        }
        self.views = Views::of(&self.document);
        self.hop.follow(&self.document, &self.id);
        self.take_up(now, rng, effects);
        self.forget_ended(now, effects);
    }

    fn timer(&mut self, now: Timestamp, rng: &mut Rng, effects: &mut Vec<Effect>) {
        self.woken_for = None;
        self.forget_ended(now, effects);
        if self.next_expire <= now {
            self.next_expire = now + EXPIRE_EVERY;
            self.registrations.expire(now);
            self.collectors.expire(now, self.document.parameters.collector_lifetime);
        }
        if self.next_sweep <= now {
            self.next_sweep = now + SWEEP_EVERY;
            if self.may_sweep(now) {
                effects.push(Effect::Sweep);
            }
        }
        if self.register_wake.is_some_and(|at| at <= now) {
            self.register_wake = None;
            self.register(RegisterInput::Timer, now, rng, effects);
        }
        self.table_timer(now, rng, effects);
    }

    fn forget_ended(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let ended = self.hop.forget_ended(now);
        effects.extend(ended.into_iter().map(|key| Effect::ForgetKey { key }));
    }

    fn wake(&mut self, effects: &mut Vec<Effect>) {
        let times = [
            Some(self.next_expire),
            Some(self.next_sweep),
            self.register_wake,
            self.succession.next_wake(),
            Some(self.comparison.next_wake()),
            self.hop.next_end(),
        ];
        let next = times.into_iter().flatten().min();
        if let Some(next) = next.filter(|_| next != self.woken_for) {
            self.woken_for = Some(next);
            effects.push(Effect::WakeAt(next));
        }
    }
}

fn store_id(id: &NodeId) -> StoreId {
    StoreId::from_bytes(*id.as_bytes())
}

fn member(id: &NodeId, incarnation: &Incarnation) -> Member {
    let incarnation = register::Incarnation::from_bytes(*incarnation.as_bytes());
    Member { store: store_id(id), incarnation }
}
