//! The state struct and its door.

mod answers;
mod link;
mod slot;

use core::time::Duration;

use xchat_base::{CodecError, Rng, Timestamp, Wire};
use xchat_directory::{DirectoryError, NodeId, Root, SignedDocument, VerifiedDocument};
use xchat_pigeonhole::{BoxId, Handed, SealedBox, Tell};
use xchat_sphinx::pace::bytes_per_month;
use xchat_sphinx::{CollectorSession, Pace, PacketFormat, Sphinx};

use crate::api::{Command, DecoyLanes, Effect, Event, Input, StartError};
use crate::attempts::Attempts;
use crate::clock::Clock;
use crate::collectors::{Collectors, GivenUp};
use crate::decoys::{Decoys, KeptDecoys};
use crate::deliveries::Deliveries;
use crate::droppers::Droppers;
use crate::follows::{Follows, Standing, Whose};
use crate::guards::{Guards, Stored};
use crate::habits::Said;
use crate::health::Health;
use crate::measure::Measure;
use crate::mixes::Mixes;
use crate::outstanding::Outstanding;
use crate::pace::Rotation;
use crate::queue::Queue;
use crate::status::{CollectorHealth, GatewayState, Status, Trouble};
use crate::tickets::{Talk, Tickets, Way};
use crate::unclaimed::Unclaimed;
use link::{Link, Resumable};
use slot::Turns;

/// A packet without an answer after so many mean delays of a mix and [`REPLY_SLACK`] is taken for lost. Six mixes
/// hold it, three each way: of the sums of six such delays 2 % are longer.
const REPLY_DELAYS: u32 = 12;

/// What links, stores and their replicas may take besides.
const REPLY_SLACK: Duration = Duration::from_secs(3);

/// The client's side of the network. See the crate's documentation for the rules of use.
pub struct Transport {
    root: Root,
    document: VerifiedDocument,
    format: &'static dyn PacketFormat,
    pace: Pace,
    clock: Clock,
    link: Link,
    /// The last session, if it may go on over another link.
    resumable: Option<Resumable>,
    guards: Guards,
    attempts: Attempts,
    /// When the last session ended, to know how long it was offline.
    offline_since: Option<Timestamp>,
    ask_document_at: Timestamp,
    writes: Queue<Writing>,
    reads: Queue<()>,
    follows: Follows,
    decoys: Decoys,
    tickets: Tickets,
    unclaimed: Unclaimed,
    deliveries: Deliveries,
    collectors: Collectors,
    outstanding: Outstanding,
    health: Health,
    mixes: Mixes,
    droppers: Droppers,
    measure: Measure,
    turns: Turns,
    last_wake: Option<Timestamp>,
    reported: Option<Digest>,
}

/// A box on its way, and whom its store is to tell of it.
struct Writing {
    boxed: SealedBox,
    tell: Tell,
}

/// What a change of is worth an [`Event::Status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Digest {
    gateway: GatewayState,
    collector: u8,
    avoided_stores: usize,
    avoided_mixes: usize,
    epoch: u64,
    expired: bool,
    alarming: bool,
}

impl Transport {
    /// A transport on this network, with what an earlier one asked to keep. If the kept document is
    /// newer than `document` it is used in its place.
    ///
    /// # Errors
    /// [`StartError`]: what was stored cannot be used.
    pub fn new(
        root: Root,
        document: VerifiedDocument,
        pace: Pace,
        stored: Option<&[u8]>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<Effect>), StartError> {
        let (mut document, mut guards) = (document, Guards::new(Vec::new()));
        if let Some(bytes) = stored {
            let stored = Stored::from_wire(bytes)?;
            guards = Guards::new(stored.guards);
            // It was timely when it was stored. Whether it still is, every slot asks.
            let kept = stored.document.dangerously_assume_timely(&root)?;
            if kept.epoch > document.epoch {
                document = kept;
            }
        }
        let mut transport = Self {
            root,
            document,
            format: &Sphinx,
            pace,
            clock: Clock::new(rng),
            link: Link::Waiting { until: now },
            resumable: None,
            guards,
            attempts: Attempts::default(),
            offline_since: None,
            ask_document_at: now,
            writes: Queue::new(),
            reads: Queue::new(),
            follows: Follows::new(),
            decoys: Decoys::new(rng),
            tickets: Tickets::default(),
            unclaimed: Unclaimed::default(),
            deliveries: Deliveries::default(),
            collectors: Collectors::new(),
            outstanding: Outstanding::default(),
            health: Health::default(),
            mixes: Mixes::new(),
            droppers: Droppers::new(),
            measure: Measure::default(),
            turns: Turns::default(),
            last_wake: None,
            reported: None,
        };
        transport.tickets.unsettle(now);
        let mut out = Vec::new();
        if transport.guards.refresh(&transport.document, rng) || stored.is_none() {
            out.push(transport.persist());
        }
        transport.link_timer(now, rng, &mut out);
        transport.finish(true, now, &mut out);
        Ok((transport, out))
    }

    /// With packets of another format, for simulations; before the first input. All nodes must have the same.
    #[must_use]
    pub fn with_format(mut self, format: &'static dyn PacketFormat) -> Self {
        self.format = format;
        self
    }

    /// With the decoys that an earlier one asked to keep ([`Effect::PersistDecoys`]), before the first input. Without, decoys
    /// are made anew.
    ///
    /// # Errors
    /// [`CodecError`]: what was kept is of another version, or damaged. Nothing has changed: new decoys are made.
    pub fn resume_decoys(&mut self, kept: &[u8]) -> Result<(), CodecError> {
        self.decoys = Decoys::restored(kept)?;
        Ok(())
    }

    /// The decoys as they are, and what they know of how the owner talks, some 20 kB. Secret: it tells decoys from conversations, and
    /// when the owner last talked in which.
    pub fn kept_decoys(&self) -> KeptDecoys {
        self.decoys.kept()
    }

    /// The owner has said a line in a conversation of two, or was told one: decoys live as their owner does. Nothing that
    /// is done at once depends on it.
    pub fn said(&mut self, said: Said, now: Timestamp) {
        self.decoys.note(said, now);
    }

    /// Tickets for whoever writes to the owner in this conversation, to be told to them with what the owner writes next: as
    /// many as they need, at most so many, and none if there are none. Each is handed out once.
    pub fn hand_out(&mut self, talk: u64, most: usize, now: Timestamp, rng: &mut Rng) -> Handed {
        self.tickets.hand_out(Talk::Own(talk), most, now, rng)
    }

    /// Takes one input; the effects are to be carried out in order.
    pub fn handle(&mut self, input: Input, now: Timestamp, rng: &mut Rng) -> Vec<Effect> {
        let mut out = Vec::new();
        let is_timer = matches!(input, Input::Timer);
        match input {
            Input::Command(command) => self.command(command, now, rng, &mut out),
            Input::Online { gateway, link, from } => {
                self.link_up(gateway, link, from, now, rng, &mut out);
            }
            Input::Offline => self.link_down(Trouble::Unreachable, now),
            Input::TurnedAway => {
                self.link_down(Trouble::Busy { retry_after: Duration::ZERO }, now);
            }
            Input::Solved(proof) => self.solved(&proof, now, &mut out),
            Input::Frame(bytes) => self.frame(&bytes, now, rng, &mut out),
            Input::Document(newer) => {
                // An older one is no error here: the driver rereads a file.
                let _ = self.adopt(newer, now, rng, &mut out);
            }
            Input::Timer => {
                self.notice_sleep(now);
                self.slot(now, rng, &mut out);
                self.link_timer(now, rng, &mut out);
            }
        }
        self.finish(is_timer, now, &mut out);
        out
    }

    /// For the simulator: see [`DecoyLanes`].
    pub fn set_decoy_lanes(&mut self, kind: DecoyLanes) {
        self.decoys.set_kind(kind);
    }

    /// The collector sessions in use, which nobody else may know; for a simulator that judges what can be found out
    /// about them.
    pub fn collector_sessions(&self) -> Vec<CollectorSession> {
        self.collectors.sessions()
    }

    /// How things stand.
    pub fn status(&self, now: Timestamp) -> Status {
        let gap = self.mean_gap();
        Status {
            pace: self.pace,
            slots_per_second: 1.0 / gap.as_secs_f64(),
            bytes_per_month: bytes_per_month(gap),
            gateway: self.gateway_state(),
            queued_writes: self.writes.count_of(|id| !self.decoys.own(id)),
            queued_reads: self.reads.count_of(|id| !self.decoys.own(id)),
            followed: self.follows.len() - self.decoys.followed(),
            registered: self.follows.standing(now, false),
            collector: self.collectors.health(),
            loop_loss: self.measure.loop_loss(),
            losing: self.measure.is_alarming(),
            packet_loss: self.measure.packet_loss(),
            round_trip_ms: self.measure.round_trip_ms(),
            refused_answers: self.measure.refused_answers,
            avoided_stores: self.failing_stores(now),
            avoided_mixes: self.mixes.avoided(&self.document, now).len(),
            stores_busy: self.measure.stores_are_busy(now),
            document_epoch: self.document.epoch,
            document_valid_until: self.document.valid_until,
            emitted: self.measure.emitted,
            empty_slots: self.measure.empty_slots,
            late_slots: self.measure.late_slots,
        }
    }

    /// The network document in use.
    pub fn document(&self) -> &VerifiedDocument {
        &self.document
    }

    fn command(&mut self, command: Command, now: Timestamp, rng: &mut Rng, out: &mut Vec<Effect>) {
        let asked = match &command {
            Command::Read { id } | Command::Follow { id, .. } => Some(*id),
            Command::Write { .. } | Command::Unfollow { .. } => None,
        };
        match command {
            Command::Write { boxed, ticket } => {
                let id = boxed.id();
                if self.writes.get(&id).map(|writing| &writing.boxed) != Some(&boxed) {
                    let tell = ticket.map_or_else(|| Tell::nobody(rng), |ticket| ticket.tell());
                    self.writes.ask(id, Writing { boxed, tell });
                }
            }
            Command::Read { id } => self.reads.ask(id, ()),
            Command::Follow { id, .. } if self.has_had(&id, now, out) => return,
            Command::Follow { id, urgency, talk } => {
                let decoy = self.decoys.follower(&id);
                let (is_decoy, talk) = (decoy.is_some(), decoy.or(talk.map(Talk::Own)));
                let goes_on = talk.is_some_and(|talk| self.tickets.goes_on(talk, now));
                let lasting = talk.and_then(|talk| self.tickets.lasting(talk, now));
                let whose = Whose { is_decoy, talk, goes_on, lasting };
                self.follows.follow(id, urgency, whose, now, rng);
            }
            Command::Unfollow { id } => {
                self.follows.remove(&id);
            }
        }
        if let Some(boxed) = asked.and_then(|id| self.unclaimed.take(&id)) {
            self.came(boxed, Way::Ticket, now, out);
        }
    }

    /// Whether the owner has been told of it, and now is again: of what is not on its way any more nothing else would come, and it would be
    /// looked at as if nobody had been told.
    fn has_had(&mut self, id: &BoxId, now: Timestamp, out: &mut Vec<Effect>) -> bool {
        let boxed = self.unclaimed.again(id, now);
        let has_had = boxed.is_some();
        out.extend(boxed.map(|boxed| Effect::Event(Event::Arrived(boxed))));
        has_had
    }

    /// Takes a newer document over.
    fn adopt(
        &mut self,
        newer: VerifiedDocument,
        now: Timestamp,
        rng: &mut Rng,
        out: &mut Vec<Effect>,
    ) -> Result<(), DirectoryError> {
        newer.follows(&self.document)?;
        self.document = newer;
        self.guards.refresh(&self.document, rng);
        self.health.follow_document(&self.document);
        self.mixes.follow_document(&self.document);
        self.droppers.follow_document(&self.document);
        for gone in self.collectors.follow_document(&self.document) {
            self.void_registrations(gone);
        }
        let document = &self.document;
        let is_gone = |id: &BoxId, standing: &Standing| standing.is_gone(id, document);
        self.follows.anew(is_gone, now, self.turns.slot, rng);
        self.tickets.follow_document(document);
        self.ask_document_at = now + self.document_period();
        out.push(self.persist());
        Ok(())
    }

    /// From a gateway: bytes that prove nothing yet.
    fn adopt_bytes(
        &mut self,
        bytes: &[u8],
        now: Timestamp,
        rng: &mut Rng,
        out: &mut Vec<Effect>,
    ) -> Result<(), DirectoryError> {
        let newer = SignedDocument::from_wire(bytes)?.verify(&self.root, now)?;
        self.adopt(newer, now, rng, out)
    }

    /// Stores that do not answer, or leave out part of what they are asked.
    fn failing_stores(&self, now: Timestamp) -> usize {
        let avoided = self.avoided_stores(now);
        avoided.len() + self.health.silent(now).filter(|store| !avoided.contains(store)).count()
    }

    /// Stores that leave out part of what they are asked.
    pub(crate) fn avoided_stores(&self, now: Timestamp) -> Vec<NodeId> {
        self.droppers.avoided(self.document.stores().map(|store| store.id), now)
    }

    fn void_registrations(&mut self, GivenUp(session): GivenUp) {
        self.retain_registrations(|standing| standing.session != session);
    }

    /// Registrations for which this does not hold are good for nothing any more.
    fn retain_registrations(&mut self, keep: impl Fn(&Standing) -> bool) {
        self.follows.retain_standing(&keep);
        self.tickets.retain(|_, standing| keep(standing));
    }

    fn persist(&self) -> Effect {
        Effect::Persist(self.guards.stored(&self.document))
    }

    fn mean_gap(&self) -> Duration {
        self.document.parameters.mean_gap(self.pace.mean_gap())
    }

    fn rotation(&self) -> Rotation {
        Rotation::of(self.pace, &self.document.parameters)
    }

    pub(crate) fn reply_timeout(&self) -> Duration {
        self.document.parameters.mix_delay * REPLY_DELAYS + REPLY_SLACK
    }

    /// What every call ends with: a change worth telling, and when to be called again.
    fn finish(&mut self, is_timer: bool, now: Timestamp, out: &mut Vec<Effect>) {
        if self.decoys.take_unsaved() {
            out.push(Effect::PersistDecoys);
        }
        let digest = self.digest(now);
        if self.reported != Some(digest) {
            if self.reported.is_some() {
                out.push(Effect::Event(Event::Status(Box::new(self.status(now)))));
            }
            self.reported = Some(digest);
        }
        let wake = self.next_wake();
        if is_timer || wake != self.last_wake {
            out.extend(wake.map(Effect::WakeAt));
            self.last_wake = wake;
        }
    }

    fn digest(&self, now: Timestamp) -> Digest {
        Digest {
            gateway: self.gateway_state(),
            collector: match self.collectors.health() {
                CollectorHealth::Unknown => 0,
                CollectorHealth::Answering { .. } => 1,
                CollectorHealth::Silent { .. } => 2,
            },
            avoided_stores: self.failing_stores(now),
            avoided_mixes: self.mixes.avoided(&self.document, now).len(),
            epoch: self.document.epoch,
            expired: self.document.is_expired(now),
            alarming: self.measure.is_alarming(),
        }
    }
}

/// What tests of this crate look at.
#[cfg(test)]
impl Transport {
    pub(crate) fn loops_seen(&self) -> usize {
        self.measure.loops_seen()
    }

    /// The mixes that are avoided.
    pub(crate) fn avoided_mixes(&self, now: Timestamp) -> Vec<NodeId> {
        self.mixes.avoided_mixes(&self.document, now)
    }

    /// How many boxes stand registered, and of these, how many would be delivered over this mix.
    pub(crate) fn registered_over(&self, mix: &NodeId, now: Timestamp) -> (usize, usize) {
        self.follows.registered_over(mix, now)
    }

    /// Decoy boxes written, and those that stand registered.
    pub(crate) fn decoys_seen(&self, now: Timestamp) -> (u64, usize) {
        (self.decoys.lines(), self.follows.standing(now, true))
    }

    /// Boxes that decoys follow, and those of them that stand registered.
    pub(crate) fn decoys_followed(&self) -> std::collections::BTreeSet<BoxId> {
        self.follows.decoys(None)
    }

    pub(crate) fn decoys_registered(&self, now: Timestamp) -> std::collections::BTreeSet<BoxId> {
        self.follows.decoys(Some(now))
    }

    pub(crate) fn writes_under_way(&self) -> Vec<xchat_pigeonhole::BoxId> {
        self.outstanding.writes()
    }

    pub(crate) fn collector_store(&self) -> Option<xchat_directory::NodeId> {
        self.collectors.for_registrations().map(|collector| collector.store)
    }

    pub(crate) fn renew_all_registrations(&mut self) {
        self.retain_registrations(|_| false);
    }

    pub(crate) fn tickets_ready(&self) -> usize {
        self.tickets.ready()
    }

    pub(crate) fn take_forged_delivery(
        &mut self,
        forged: &xchat_pigeonhole::SignedAnswer,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<Effect> {
        let mut out = Vec::new();
        let (id, key) = self.deliveries.first_box().expect("registered");
        let sealed = key.seal(rng, &id, forged).expect("an answer");
        self.delivered(&id, &sealed, now, &mut out);
        out
    }
}
