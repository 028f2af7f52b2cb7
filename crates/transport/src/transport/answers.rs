//! Answers: which packet each belongs to, whether it is to be believed, and what follows.

use xchat_base::{Timestamp, Wire};
use xchat_directory::{NodeId, VerifiedDocument};
use xchat_pigeonhole::{
    Answer, BoxId, ReadOutcome, Refusal, SealedBox, SignedAnswer, StoreId, WriteOutcome,
};
use xchat_sphinx::{CollectorSession, Packet, SealedReply, SurbId, Unwrapped};

use super::Transport;
use super::link::Link;
use crate::api::{Effect, Event};
use crate::deliveries::Awaited;
use crate::follows::Standing;
use crate::outstanding::{Purpose, Sent};
use crate::pace::Rotation;
use crate::queue::Attempt;
use crate::tickets::Way;

/// The answer is not to be believed, or not an answer to what was asked.
struct NotBelieved;

impl Transport {
    /// A packet from the gateway: a reply or one of our loops, or rubbish.
    pub(super) fn packet(&mut self, packet: &Packet, now: Timestamp, out: &mut Vec<Effect>) {
        let Link::Online { session, .. } = &self.link else { return };
        match self.format.unwrap(session.secret(), packet).map(|processed| processed.unwrapped) {
            Ok(Unwrapped::Reply { id, payload }) => self.reply(&id, payload, now, out),
            _ => self.measure.refused_answers += 1,
        }
    }

    fn reply(&mut self, id: &SurbId, payload: SealedReply, now: Timestamp, out: &mut Vec<Effect>) {
        // Twice the same, or long after: nothing is known of it any more, and nothing is lost by it.
        let Some(packet) = self.outstanding.take(id) else { return };
        let (sent, late) = (packet.sent, packet.late);
        let Ok(message) = self.format.recover(&packet.key, payload) else {
            self.not_believed(sent, late, now);
            return;
        };
        self.heard(now);
        self.measure.answered(sent.purpose == Purpose::Loop, late, sent.at, now);
        if !late {
            self.mixes.answered(&sent.way, &self.document, sent.at);
        }
        if sent.purpose == Purpose::Loop {
            return;
        }
        let believed = SignedAnswer::from_wire(&message)
            .map_err(|_| NotBelieved)
            .and_then(|signed| self.answer(sent.purpose.clone(), signed, now, out));
        match (believed, sent.number) {
            (Ok(()), Some(number)) if !late => self.droppers.ended(number, false, now),
            (Ok(()), _) => {}
            // A readable answer that nobody may have written is its store's fault, not a mix's.
            (Err(NotBelieved), _) => self.not_believed(Sent { way: Vec::new(), ..sent }, late, now),
        }
    }

    /// As good as no answer; whoever waits for one asks elsewhere.
    fn not_believed(&mut self, sent: Sent, late: bool, now: Timestamp) {
        self.measure.refused_answers += 1;
        if !late {
            self.lost(Sent { at: now, ..sent }, now);
        }
    }

    fn answer(
        &mut self,
        purpose: Purpose,
        signed: SignedAnswer,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<(), NotBelieved> {
        match purpose {
            Purpose::Loop => Ok(()),
            Purpose::Collect { session, .. } => self.collected(session, signed, now, out),
            Purpose::Write { attempt, store } => {
                let answer = self.verified(&signed, &store, &attempt.id, now)?;
                self.written(&attempt, answer, now, out)
            }
            Purpose::Read { attempt, store } => {
                let answer = self.verified(&signed, &store, &attempt.id, now)?;
                self.read(&attempt, answer, now, out)
            }
            Purpose::Check { id, store } => {
                match self.verified(&signed, &store, &id, now)? {
                    Answer::Found(boxed) => {
                        self.follows.found(&id);
                        self.found(boxed, now, out);
                    }
                    Answer::Expired => self.expired(&id, now, out),
                    Answer::Empty => self.follows.empty(&id),
                    Answer::Refused(_) => {}
                    _ => return Err(NotBelieved),
                }
                Ok(())
            }
            Purpose::Register { id, number, store, session, mixes, renew_after } => {
                match self.verified(&signed, &store, &id, now)? {
                    Answer::Registered { life } => {
                        self.notice_life(store, life, now);
                        let (renew_at, until) = (now + renew_after, now + self.rotation().lifetime);
                        let mut standing = Standing { store, session, mixes, renew_at, until };
                        if self.is_over(&standing, &id, now) {
                            standing.renew_at = now;
                        }
                        self.follows.registered(&id, number, standing);
                    }
                    Answer::Found(boxed) => self.found(boxed, now, out),
                    Answer::Expired => self.expired(&id, now, out),
                    Answer::Refused(_) => self.follows.refused(&id, number, self.turns.slot),
                    _ => return Err(NotBelieved),
                }
                Ok(())
            }
            Purpose::Ticket { id, store, session, mixes } => {
                match self.verified(&signed, &store, &id, now)? {
                    Answer::Registered { life } => {
                        self.notice_life(store, life, now);
                        let Rotation { ready, lifetime, .. } = self.rotation();
                        let (renew_at, until) = (now + ready, now + lifetime);
                        let standing = Standing { store, session, mixes, renew_at, until };
                        if self.is_over(&standing, &id, now) {
                            self.tickets.failed(&id);
                        } else {
                            self.tickets.registered(&id, standing);
                        }
                    }
                    Answer::Refused(_) => self.tickets.refused(Some(&id), self.turns.slot),
                    // Nobody writes there.
                    _ => return Err(NotBelieved),
                }
                Ok(())
            }
        }
    }

    /// Whether a registration was in vain: meanwhile a mix was found to fail, or is listed no more, or the collector is left.
    fn is_over(&self, standing: &Standing, id: &BoxId, now: Timestamp) -> bool {
        standing.needs(&self.mixes.avoided_mixes(&self.document, now))
            || standing.is_gone(id, &self.document)
            || self.collectors.is_left(&standing.session)
    }

    /// The answer of this store about this box, with its signature and any box in it checked.
    fn verified(
        &mut self,
        signed: &SignedAnswer,
        store: &NodeId,
        id: &BoxId,
        now: Timestamp,
    ) -> Result<Answer, NotBelieved> {
        let key = StoreId::from_bytes(*store.as_bytes());
        let answer = signed.verify(&key, id).map_err(|_| NotBelieved)?;
        self.health.answered(store);
        if answer == Answer::Refused(Refusal::Busy) {
            self.measure.busy(now);
        }
        Ok(answer)
    }

    /// A store that has started again since has forgotten what was registered there.
    fn notice_life(&mut self, store: NodeId, life: u64, now: Timestamp) {
        if self.health.is_another(&store, life, now) {
            self.retain_registrations(|standing| standing.store != store);
        }
    }

    fn written(
        &mut self,
        attempt: &Attempt,
        answer: Answer,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<(), NotBelieved> {
        let id = attempt.id;
        let outcome = match answer {
            Answer::Stored => WriteOutcome::Stored,
            Answer::Exists(boxed) if self.is_written(&boxed) => WriteOutcome::Stored,
            Answer::Exists(boxed) => WriteOutcome::Exists(boxed),
            Answer::Expired => WriteOutcome::Expired,
            Answer::Refused(_) => {
                self.writes.refused(attempt, self.turns.slot);
                return Ok(());
            }
            _ => return Err(NotBelieved),
        };
        // A late answer to an earlier attempt is the answer too, unless other bytes were given since.
        if self.writes.serial(&id) == Some(attempt.serial) {
            self.writes.remove(&id);
            if !self.decoys.ended_write(&id, now) {
                out.push(Effect::Event(Event::Written { id, outcome }));
            }
        }
        Ok(())
    }

    /// Whether it is what was to be written.
    fn is_written(&self, boxed: &SealedBox) -> bool {
        self.writes.get(&boxed.id()).is_some_and(|writing| writing.boxed == *boxed)
    }

    fn read(
        &mut self,
        attempt: &Attempt,
        answer: Answer,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<(), NotBelieved> {
        let id = attempt.id;
        match answer {
            Answer::Found(boxed) => self.found(boxed, now, out),
            Answer::Expired => self.expired(&id, now, out),
            // An `Empty` counts for the asking that it answers, and not for a later one.
            Answer::Empty if self.reads.serial(&id) == Some(attempt.serial) => {
                self.end_read(id, ReadOutcome::Empty, now, out);
            }
            Answer::Empty => {}
            Answer::Refused(_) => self.reads.refused(attempt, self.turns.slot),
            _ => return Err(NotBelieved),
        }
        Ok(())
    }

    fn collected(
        &mut self,
        session: CollectorSession,
        signed: SignedAnswer,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<(), NotBelieved> {
        match signed.collected().map_err(|_| NotBelieved)? {
            Answer::Refused(_) => {
                if let Some(gone) = self.collectors.give_up(&session) {
                    self.void_registrations(gone);
                }
            }
            Answer::Item { id, sealed } => {
                self.collectors.answered(&session, true, now);
                self.turns.last_item = Some(self.turns.slot);
                self.delivered(&id, &sealed, now, out);
            }
            _ => self.collectors.answered(&session, false, now),
        }
        Ok(())
    }

    /// An item: opened with its registration's key, then believed as much as its store's signature says.
    pub(super) fn delivered(
        &mut self,
        delivery_id: &[u8; 16],
        sealed: &[u8],
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        // An item of a registration that lapsed, or the second copy of one.
        let Some(awaited) = self.deliveries.get(delivery_id) else { return };
        let (answer, ticket) = match awaited {
            Awaited::Box { id, store, key } => {
                let store = StoreId::from_bytes(*store.as_bytes());
                let signed = key.open(delivery_id, sealed).ok();
                (signed.and_then(|signed| signed.verify(&store, id).ok()), None)
            }
            Awaited::Ticket(tell) => {
                let signed = tell.key.open(&tell.bound_to(), sealed).ok();
                (signed.and_then(|signed| told(&signed, &self.document)), Some(tell.id))
            }
        };
        let Some(Answer::Found(boxed)) = answer else {
            self.measure.refused_answers += 1;
            return;
        };
        self.deliveries.remove(delivery_id);
        if let Some(id) = ticket {
            self.tickets.used(&id, boxed.id());
        }
        let way = if ticket.is_some() { Way::Ticket } else { Way::Registration };
        self.came(boxed, way, now, out);
    }

    /// A box's value, verified: everybody who waits for it has it now, and each once.
    fn found(&mut self, boxed: SealedBox, now: Timestamp, out: &mut Vec<Effect>) {
        let is_promised = self.follows.is_promised(&boxed.id(), now);
        let way = if is_promised { Way::Registration } else { Way::Other };
        self.came(boxed, way, now, out);
    }

    /// The same, by a ticket or otherwise. What nobody has asked for yet is kept for a while if it came by a ticket: it was sent to somebody.
    pub(super) fn came(
        &mut self,
        boxed: SealedBox,
        way: Way,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let id = boxed.id();
        let was_read = self.end_read(id, ReadOutcome::Found(boxed.clone()), now, out);
        let Some(talk) = self.follows.arrived(&id) else {
            if way == Way::Ticket && !was_read {
                self.unclaimed.add(boxed, now);
            }
            return;
        };
        if let Some(talk) = talk {
            self.tickets.heard(talk, id, way, now);
        }
        if self.decoys.arrived(&id, now) {
            return self.unclaimed.claimed(id, None);
        }
        self.unclaimed.claimed(id, Some(boxed.clone()));
        out.push(Effect::Event(Event::Arrived(boxed)));
    }

    /// The box was used and is over: whoever waits for it waits in vain.
    fn expired(&mut self, id: &BoxId, now: Timestamp, out: &mut Vec<Effect>) {
        let followed = self.follows.remove(id).is_some() && !self.decoys.arrived(id, now);
        let asked = self.end_read(*id, ReadOutcome::Expired, now, out);
        if followed && !asked {
            let outcome = ReadOutcome::Expired;
            out.push(Effect::Event(Event::Read { id: *id, outcome }));
        }
    }

    fn end_read(
        &mut self,
        id: BoxId,
        outcome: ReadOutcome,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> bool {
        let asked = self.reads.remove(&id).is_some();
        let found = outcome != ReadOutcome::Empty;
        if asked && !self.decoys.ended_read(&id, found, now) {
            out.push(Effect::Event(Event::Read { id, outcome }));
        }
        asked
    }
}

/// What a store has told of a box that it keeps: by its signature, whichever of the box's replicas it is.
fn told(signed: &SignedAnswer, document: &VerifiedDocument) -> Option<Answer> {
    let id = signed.found()?;
    let stores = document.replicas(id.as_bytes());
    let stores = stores.iter().map(|store| StoreId::from_bytes(*store.as_bytes()));
    stores.into_iter().find_map(|store| signed.verify(&store, &id).ok())
}
