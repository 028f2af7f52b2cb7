//! What fills a slot.

use xchat_base::{Rng, Timestamp, Wire};
use xchat_directory::descriptor::LAYERS;
use xchat_directory::{NodeId, OperatorId};
use xchat_pigeonhole::{BoxId, DeliveryKey, Op};
use xchat_sphinx::{ClientFrame, CollectorSession, SurbId};

use super::link::Link;
use super::{Transport, Writing};
use crate::api::{Command, Effect};
use crate::collectors::Collector;
use crate::decoys::Means;
use crate::deliveries::Awaited;
use crate::follows::{Follows, Need, Next};
use crate::outstanding::{Purpose, Sent};
use crate::pace::Rotation;
use crate::queue::Attempt;
use crate::routes::{Built, Routes};
use crate::tickets;

/// With more to do than slots, no kind of work waits longer than this many slots for one: whoever
/// sends a lot still receives, and the other way round.
const PATIENCE: u64 = 4;

/// The same for writes, which somebody waits for: also while decoys begin, when every kind of work is out of patience for minutes.
const WRITE_PATIENCE: u64 = 1;

/// The same for tickets when there are few and nothing has come lately: soon after a start somebody may need them.
const TICKET_PATIENCE: u64 = 2;

/// The same for collects when the last ones brought nothing.
const IDLE_COLLECT_PATIENCE: u64 = 8;

/// And when they brought something, or a collector is being opened: what comes next is read soon, whatever else there is to do.
/// With 1 no slot would be left for renewals and looks, which have no patience, while items come, and stores would see it.
const EAGER_COLLECT_PATIENCE: u64 = 2;

/// Looks at followed boxes take one slot in so many at most, where there is other work or collects. As many while a collector
/// brings items, when most of them find nothing: of a decoy both lanes' items come here, and of two people's talk one's, so
/// stores would see decoys looked at less.
const LOOK_EVERY: u64 = 16;

/// The same of what is talked in: with fewer, lanes of decoys would be looked at more rarely than others, of which two are in each talk.
const TALK_LOOK_EVERY: u64 = 10;

/// The same when an item may just have been lost, or is known to be, or may have been told to nobody.
const HURRIED_LOOK_EVERY: u64 = 3;

/// Such a look waits no longer for a slot than this after the last one, whatever else there is to do: where slots are few and people talk,
/// there always is something, and what nobody was told of would wait for the end of the talk.
const HURRIED_LOOK_PATIENCE: u64 = 8;

/// Renewals that slots full of writes have held back are made up for, to this many.
const MAX_RENEWAL_CREDIT: f64 = 4.0;

/// A collector that gave an item is asked more eagerly for so many slots: who has said a line mostly says another one soon.
const HOT_SLOTS: u64 = 16;

/// Seconds.
const DAY: f64 = 24.0 * 3600.0;

/// Who was served when: in slots since the start.
#[derive(Default)]
pub(super) struct Turns {
    pub(super) slot: u64,
    wrote: u64,
    registered: u64,
    read: u64,
    looked: u64,
    hurried: u64,
    collected: u64,
    /// None before the first.
    pub(super) last_item: Option<u64>,
    ticketed: u64,
    renewal_credit: f64,
    ticket_credit: f64,
}

/// The kinds of work, in the order of priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Loop,
    Write,
    NewFollow(BoxId),
    Renewal(BoxId),
    Read,
    Ticket,
    Look(BoxId, Need),
    Collect,
}

impl Transport {
    /// Fills the slot whose packet is due to be made, if one is, with exactly one packet.
    pub(super) fn slot(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Effect>) {
        let gap = self.mean_gap();
        let Some(slot) = self.clock.tick(now, gap) else { return };
        // All that follows is of the time at which the packet leaves.
        let now = slot.at;
        self.turns.slot += 1;
        self.measure.late_slots += u64::from(slot.late);
        self.deliveries.expire(now);
        self.unclaimed.expire(now);
        for lost in self.outstanding.timed_out(now, self.reply_timeout()) {
            self.lost(lost, now);
        }
        self.leave_failing_nodes(now, rng);
        self.tend_collectors(now, rng);
        let Rotation { share, ticket_share, tickets, .. } = self.rotation();
        let ticket_share = ticket_share * self.tickets.haste(tickets);
        let earn = |credit: f64, share: f64| (credit + share).min(MAX_RENEWAL_CREDIT);
        self.turns.renewal_credit = earn(self.turns.renewal_credit, share);
        self.turns.ticket_credit = earn(self.turns.ticket_credit, ticket_share);
        self.tickets.expire(now);
        let ended = self.tickets.take_ended(now);
        self.follows.uncover(&ended);
        let lost = self.tickets.take_lost();
        self.follows.suspect(&lost, now, rng);

        let timely = !self.document.is_expired(now) && !self.document.is_early(now);
        if timely && self.fill(slot.coin, now, rng, out) {
            self.measure.emitted += 1;
        } else {
            self.measure.empty_slots += 1;
        }
        // What decoys ask for is kept before it leaves, and no packet waits until it is: it is for the next slot.
        self.tend_decoys(now, rng, out);
    }

    /// Sends one packet, if there is a route for one.
    fn fill(&mut self, coin: f64, now: Timestamp, rng: &mut Rng, out: &mut Vec<Effect>) -> bool {
        let is_loop = coin * 100.0 < f64::from(self.document.parameters.loop_percent);
        let kind = if is_loop { Kind::Loop } else { self.choose(now, rng) };
        self.emit(kind, now, rng, out) || self.emit(Kind::Loop, now, rng, out)
    }

    /// What a node that has just been found to fail would deliver, or pass on, is registered anew, with others.
    fn leave_failing_nodes(&mut self, now: Timestamp, rng: &mut Rng) {
        let mut failing = self.mixes.newly_avoided(&self.document, now);
        failing.extend(self.droppers.newly_avoided(&self.document, now));
        if !failing.is_empty() {
            let slot = self.turns.slot;
            self.follows.anew(|_, standing| standing.needs(&failing), now, slot, rng);
            self.tickets.retain(|_, standing| !standing.needs(&failing));
            if let Some(left) = self.collectors.leave(&failing, now) {
                self.register_elsewhere(left, now, rng);
            }
        }
    }

    fn tend_collectors(&mut self, now: Timestamp, rng: &mut Rng) {
        let overlap_over = now + self.rotation().lifetime;
        let never = self.guards.operators(&self.document);
        let permitted = self.document.stores().filter(|store| !never.contains(&store.operator));
        let seldom = self.droppers.avoided(permitted.map(|store| store.id), now);
        let wishes = (&never[..], &seldom[..]);
        let left = self.collectors.refresh(&self.document, wishes, overlap_over, now, rng);
        if let Some(left) = left {
            self.register_elsewhere(left, now, rng);
        }
    }

    /// What names this collector's session.
    fn register_elsewhere(&mut self, left: CollectorSession, now: Timestamp, rng: &mut Rng) {
        let slot = self.turns.slot;
        self.follows.anew(|_, standing| standing.session == left, now, slot, rng);
        self.tickets.retain(|_, standing| standing.session != left);
    }

    /// What the owner's boxes leave of the read set is the decoys'.
    fn tend_decoys(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Effect>) {
        if !matches!(self.link, Link::Online { .. }) {
            return;
        }
        let Rotation { capacity, share, .. } = self.rotation();
        let room = capacity.saturating_sub(self.follows.wanted(now));
        let is_idle = self.decoys.are_waiting() && self.is_idle(capacity, now);
        let slots_a_day = DAY / self.mean_gap().as_secs_f64();
        let means = Means { room, share, slots_a_day };
        for command in self.decoys.tend(means, is_idle, &mut self.tickets, now, rng) {
            // It lay here, and has come by an earlier one of these.
            if let Command::Follow { id, .. } = &command
                && self.decoys.follower(id).is_none()
            {
                continue;
            }
            self.command(command, now, rng, out);
        }
    }

    /// Whether nothing waits for a slot but renewals and collects.
    fn is_idle(&mut self, capacity: usize, now: Timestamp) -> bool {
        let slot = self.turns.slot;
        let asked = self.writes.has_ready(slot) || self.reads.has_ready(slot);
        !asked && self.follows.next(now, slot, capacity).new.is_none()
    }

    /// Work by priority, unless a kind has run out of patience.
    fn choose(&mut self, now: Timestamp, rng: &mut Rng) -> Kind {
        let capacity = self.rotation().capacity;
        let slot = self.turns.slot;
        // Deliveries to a session that was never asked about are dropped: first open, then register.
        let ((new, due), (ticket, few)) = if self.collectors.is_opening() {
            ((None, None), (false, false))
        } else {
            let Next { new, due } = self.follows.next(now, slot, capacity);
            ((new, due), self.tickets.wanted(self.rotation().tickets, slot))
        };
        let (writes, reads) = (self.writes.has_ready(slot), self.reads.has_ready(slot));
        let last_item = self.turns.last_item;
        let is_hot = last_item.is_some_and(|last| slot.saturating_sub(last) <= HOT_SLOTS);
        let ticket_patience = if is_hot { PATIENCE } else { TICKET_PATIENCE };
        let collect_patience = if self.collectors.is_opening() || is_hot {
            EAGER_COLLECT_PATIENCE
        } else {
            IDLE_COLLECT_PATIENCE
        };

        let doubt = |talk| self.tickets.doubt(talk, now);
        let since_hurried = slot.saturating_sub(self.turns.hurried);
        let hurried_look = if since_hurried >= HURRIED_LOOK_PATIENCE {
            self.follows.next_look(now, doubt, |need| need >= Need::Untold, rng)
        } else {
            None
        };

        // A kind without work has nothing to be impatient about.
        for (has_work, served) in [
            (writes, &mut self.turns.wrote),
            (new.is_some(), &mut self.turns.registered),
            (reads, &mut self.turns.read),
            (few, &mut self.turns.ticketed),
        ] {
            if !has_work {
                *served = slot;
            }
        }
        let waited = |served: u64| slot.saturating_sub(served);
        // The one that has waited longest beyond its patience.
        let impatient = [
            writes.then_some((Kind::Write, self.turns.wrote, WRITE_PATIENCE)),
            new.map(|id| (Kind::NewFollow(id), self.turns.registered, PATIENCE)),
            reads.then_some((Kind::Read, self.turns.read, PATIENCE)),
            few.then_some((Kind::Ticket, self.turns.ticketed, ticket_patience)),
            Some((Kind::Collect, self.turns.collected, collect_patience)),
            hurried_look.map(|(id, need)| {
                (Kind::Look(id, need), self.turns.hurried, HURRIED_LOOK_PATIENCE)
            }),
        ]
        .into_iter()
        .flatten()
        .filter_map(|(kind, served, patience)| Some((waited(served).checked_sub(patience)?, kind)))
        .reduce(|most, next| if next.0 > most.0 { next } else { most });
        if let Some((_, kind)) = impatient {
            return kind;
        }
        if writes {
            return Kind::Write;
        }
        if let Some(id) = new {
            return Kind::NewFollow(id);
        }
        if let Some(id) = due.filter(|_| self.turns.renewal_credit >= 1.0) {
            return Kind::Renewal(id);
        }
        if reads {
            return Kind::Read;
        }
        if ticket && self.turns.ticket_credit >= 1.0 {
            return Kind::Ticket;
        }
        let (looked, hurried) = (waited(self.turns.looked), waited(self.turns.hurried));
        let may = |need| match need {
            Need::Rest => looked >= LOOK_EVERY,
            Need::Talk => looked >= TALK_LOOK_EVERY,
            Need::Untold | Need::Lost => hurried >= HURRIED_LOOK_EVERY,
        };
        if (looked >= TALK_LOOK_EVERY || hurried >= HURRIED_LOOK_EVERY)
            && let Some((id, need)) = self.follows.next_look(now, doubt, may, rng)
        {
            return Kind::Look(id, need);
        }
        Kind::Collect
    }

    /// Builds and sends a packet of this kind; `false` if there is no route for it, and nothing has changed.
    fn emit(&mut self, kind: Kind, now: Timestamp, rng: &mut Rng, out: &mut Vec<Effect>) -> bool {
        let slot = self.turns.slot;
        match kind {
            Kind::Loop => {
                let built = self.routes(now).and_then(|mut routes| routes.looped(rng));
                self.send(built, Purpose::Loop, now, out)
            }
            Kind::Write => {
                self.turns.wrote = slot;
                let Some(attempt) = self.writes.take(slot) else { return false };
                let sent = self.emit_write(attempt, now, rng, out);
                if !sent {
                    self.writes.unanswered(&attempt);
                }
                sent
            }
            Kind::Read => {
                self.turns.read = slot;
                let Some(attempt) = self.reads.take(slot) else { return false };
                let sent = self.emit_read(attempt, now, rng, out);
                if !sent {
                    self.reads.unanswered(&attempt);
                }
                sent
            }
            Kind::NewFollow(id) => {
                self.turns.registered = slot;
                self.emit_registration(id, now, rng, out)
            }
            Kind::Renewal(id) => {
                self.turns.renewal_credit -= 1.0;
                self.emit_registration(id, now, rng, out)
            }
            Kind::Ticket => {
                self.turns.ticketed = slot;
                // What is urgent is made up for, and no more than renewals.
                self.turns.ticket_credit =
                    (self.turns.ticket_credit - 1.0).max(-MAX_RENEWAL_CREDIT);
                self.emit_ticket(now, rng, out)
            }
            Kind::Look(id, need) => {
                let turn = match need {
                    Need::Untold | Need::Lost => &mut self.turns.hurried,
                    Need::Talk | Need::Rest => &mut self.turns.looked,
                };
                *turn = slot;
                self.emit_look(id, need, now, rng, out)
            }
            Kind::Collect => {
                self.turns.collected = slot;
                self.emit_collect(now, rng, out)
            }
        }
    }

    fn emit_write(
        &mut self,
        attempt: Attempt,
        now: Timestamp,
        rng: &mut Rng,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(Writing { boxed, tell }) = self.writes.get(&attempt.id) else { return false };
        let (boxed, tell) = (boxed.clone(), tell.clone());
        let Some(store) = self.replica(&attempt.id, attempt.number, None, now) else {
            return false;
        };
        let op = Op::Write { placement: self.document.placement.epoch.0, boxed, tell };
        let built = self.routes(now).and_then(|mut routes| routes.request(&store, op, rng));
        self.send(built, Purpose::Write { attempt, store }, now, out)
    }

    fn emit_read(
        &mut self,
        attempt: Attempt,
        now: Timestamp,
        rng: &mut Rng,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(store) = self.replica(&attempt.id, attempt.number, None, now) else {
            return false;
        };
        let op = Op::Read { placement: self.document.placement.epoch.0, id: attempt.id };
        let built = self.routes(now).and_then(|mut routes| routes.request(&store, op, rng));
        self.send(built, Purpose::Read { attempt, store }, now, out)
    }

    fn emit_look(
        &mut self,
        id: BoxId,
        need: Need,
        now: Timestamp,
        rng: &mut Rng,
        out: &mut Vec<Effect>,
    ) -> bool {
        // Another replica than the one that holds the registration, which may be the one that fails.
        let turn = self.follows.attempts(&id).wrapping_add(self.turns.slot as u32);
        let Some(store) = self.looked_at(&id, turn, now) else { return false };
        let op = Op::Read { placement: self.document.placement.epoch.0, id };
        let built = self.routes(now).and_then(|mut routes| routes.request(&store, op, rng));
        self.follows.looked(&id, need, now);
        self.send(built, Purpose::Check { id, store }, now, out)
    }

    fn emit_registration(
        &mut self,
        id: BoxId,
        now: Timestamp,
        rng: &mut Rng,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(collector) = self.collectors.for_registrations().cloned() else { return false };
        // A store must not be both: it would see which box a collector's item is.
        let avoid = self.document.node(&collector.store).map(|node| node.operator);
        let turn = self.follows.attempts(&id);
        let Some(store) = self.replica(&id, turn, avoid, now) else { return false };
        let rotation = self.rotation();
        let key = DeliveryKey::random(rng);
        let built = self.registration(&collector, &store, id, key.clone(), now, rng);
        let Some((built, delivery_id, mixes)) = built else { return false };
        let until = now + rotation.lifetime;
        let awaited = Awaited::Box { id, store, key };
        self.deliveries.insert(*delivery_id.as_bytes(), awaited, until);
        let number = self.follows.registering(&id, now, rotation.capacity, rng);
        let renew_after = rotation.period.mul_f64(Follows::renewal(rng));
        let session = collector.session;
        let purpose = Purpose::Register { id, number, store, session, mixes, renew_after };
        self.send(Some(built), purpose, now, out)
    }

    /// Registers a new ticket: to stores it is a box as any other.
    fn emit_ticket(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Effect>) -> bool {
        let Some(collector) = self.collectors.for_registrations().cloned() else { return false };
        let operator = |store: &NodeId| self.document.node(store).map(|node| node.operator);
        let avoid = operator(&collector.store);
        let may = |store: &NodeId| !self.health.is_silent(store, now) && operator(store) != avoid;
        let stores = self.document.stores().map(|store| store.id).filter(may);
        let droppers = self.droppers.avoided(stores, now);
        let is_avoided = |store: &NodeId| !may(store) || droppers.contains(store);
        let drawn = tickets::draw(&self.document, is_avoided, rng);
        let Some((ticket, tell, store)) = drawn else {
            self.tickets.refused(None, self.turns.slot);
            return false;
        };
        // Told by others, who seal by the ticket; this key is for the looks of it.
        let key = DeliveryKey::random(rng);
        let id = tell.id;
        let built = self.registration(&collector, &store, id, key, now, rng);
        let Some((built, delivery_id, mixes)) = built else { return false };
        let until = now + self.rotation().lifetime;
        self.deliveries.insert(*delivery_id.as_bytes(), Awaited::Ticket(tell), until);
        self.tickets.asking(ticket, id);
        let session = collector.session;
        self.send(Some(built), Purpose::Ticket { id, store, session, mixes }, now, out)
    }

    /// A packet that registers for this, with the delivery's identifier and the mixes on its way to the collector.
    fn registration(
        &mut self,
        collector: &Collector,
        store: &NodeId,
        id: BoxId,
        seal_key: DeliveryKey,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Option<(Built, SurbId, [NodeId; 3])> {
        let delivery_id = SurbId::random(rng);
        let placement = self.document.placement.epoch.0;
        let lifetime = self.rotation().lifetime;
        let lifetime_secs = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        let mut routes = self.routes(now)?;
        let (to, session) = (&collector.store, collector.session);
        let (block, mixes) = routes.delivery(store, to, session, delivery_id, rng)?;
        let op = Op::Register {
            placement,
            id,
            delivery: block.as_bytes().to_vec(),
            delivery_id: *delivery_id.as_bytes(),
            seal_key,
            lifetime_secs,
        };
        Some((routes.request(store, op, rng)?, delivery_id, mixes))
    }

    fn emit_collect(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Effect>) -> bool {
        let Some((session, store)) = self.collectors.ask() else { return false };
        let op = Op::Collect { session: *session.as_bytes() };
        let built = self.routes(now).and_then(|mut routes| routes.request(&store, op, rng));
        self.send(built, Purpose::Collect { session, store }, now, out)
    }

    /// The replica for a look: also one that leaves out some, since another one could say that nothing is there.
    fn looked_at(&self, id: &BoxId, turn: u32, now: Timestamp) -> Option<NodeId> {
        let ranked = self.document.replicas(id.as_bytes());
        let (second, first): (Vec<_>, Vec<_>) =
            ranked.into_iter().partition(|store| self.health.is_silent(store, now));
        [first, second].iter().find_map(|among| at_turn(among, turn))
    }

    /// The replica for the `turn`-th attempt at a box: by rank, silent ones and one that leaves out some only when there is no
    /// other, those of `avoid` only when there is none at all.
    fn replica(
        &self,
        id: &BoxId,
        turn: u32,
        avoid: Option<OperatorId>,
        now: Timestamp,
    ) -> Option<NodeId> {
        let ranked = self.document.replicas(id.as_bytes());
        let operator = |store: &NodeId| self.document.node(store).map(|node| node.operator);
        let (last, ranked): (Vec<_>, Vec<_>) =
            ranked.into_iter().partition(|store| avoid.is_some() && operator(store) == avoid);
        // One at most of three: who has the others set aside would else be the only one that is asked about a box.
        let droppers = self.droppers.avoided(ranked.iter().copied(), now);
        let (second, first): (Vec<_>, Vec<_>) = ranked
            .into_iter()
            .partition(|store| droppers.contains(store) || self.health.is_silent(store, now));
        [first, second, last].iter().find_map(|among| at_turn(among, turn))
    }

    fn routes(&mut self, now: Timestamp) -> Option<Routes<'_>> {
        let avoided = self.mixes.avoided(&self.document, now);
        match &mut self.link {
            Link::Online { session, .. } => {
                let (document, format) = (&self.document, self.format);
                Some(Routes { document, format, session, avoided, now })
            }
            _ => None,
        }
    }

    fn send(
        &mut self,
        built: Option<Built>,
        purpose: Purpose,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(Built { announce, first_hop, packet, key, way }) = built else { return false };
        let frame = ClientFrame::Packet { announce, first_hop, packet }.to_wire();
        out.push(Effect::Packet { frame, at: now });
        let number = self.number(&purpose, &way);
        let sent = Sent { purpose, at: now, way, number };
        if let Some(lost) = self.outstanding.insert(key, sent, self.reply_timeout()) {
            self.lost(lost, now);
        }
        true
    }

    /// The number of a packet by which its store is judged. One that is asked about a box whose other stores are silent can decide nothing without
    /// them, and is not judged by that.
    fn number(&mut self, purpose: &Purpose, way: &[NodeId]) -> Option<u64> {
        let (store, asked) = purpose.asks()?;
        if let Some(id) = purpose.id()
            && self.health.has_any_fallen_silent()
        {
            let others = self.document.replicas(id.as_bytes()).into_iter();
            let mut others = others.filter(|replica| *replica != store).peekable();
            if others.peek().is_some() && others.all(|other| self.health.has_fallen_silent(&other))
            {
                return None;
            }
        }
        // The last mix before the store, and the first after it.
        let before = usize::from(LAYERS);
        let next = [before - 1, before].map(|place| way.get(place).copied());
        Some(self.droppers.sent(store, asked, next))
    }

    /// A packet had no answer in time.
    pub(super) fn lost(&mut self, sent: Sent, now: Timestamp) {
        let Sent { purpose, at: sent, way, number } = sent;
        self.measure.lost(purpose == Purpose::Loop);
        let (last_answer, loop_loss) = (self.measure.last_answer, self.measure.loop_loss());
        self.mixes.lost(&way, &self.document, sent, now);
        if let Some(number) = number {
            self.droppers.ended(number, true, now);
        }
        if let Some(store) = purpose.store()
            && self.health.unanswered(store, sent, last_answer, loop_loss, now)
        {
            // What it promised is worth nothing now.
            self.retain_registrations(|standing| standing.store != *store);
        }
        match purpose {
            Purpose::Loop | Purpose::Check { .. } => {}
            Purpose::Collect { session, .. } => {
                self.follows.collect_lost(sent);
                if let Some(gone) = self.collectors.unanswered(&session, sent, last_answer) {
                    self.void_registrations(gone);
                }
            }
            Purpose::Write { attempt, .. } => self.writes.unanswered(&attempt),
            Purpose::Read { attempt, .. } => self.reads.unanswered(&attempt),
            Purpose::Register { id, number, .. } => self.follows.unanswered(&id, number),
            Purpose::Ticket { id, .. } => self.tickets.failed(&id),
        }
    }
}

/// The one whose turn it is.
fn at_turn(stores: &[NodeId], turn: u32) -> Option<NodeId> {
    stores.get(usize::try_from(turn).ok()?.checked_rem(stores.len())?).copied()
}
