//! Carrying out what the cores want.

use std::collections::VecDeque;

use rand_core::OsRng;
use tokio::time::Instant;
use xchat_base::Rng;
use xchat_engine::{
    Alert as EngineAlert, Effect as EngineEffect, Engine, Event as EngineEvent,
    Input as EngineInput, InvitationFailure, MessageState,
};
use xchat_transport::{
    Command as TransportCommand, Effect as TransportEffect, Event as TransportEvent,
    Input as TransportInput,
};
use zeroize::Zeroizing;

use super::kept::{said, talk};
use super::session::Session;
use super::{Driver, HALT_PAUSE, State};
use crate::api::{Alert, Event};
use crate::error::Error;
use crate::profile::setting;
use crate::store::{Stamp, Store, StoreError};

/// What is still to do in this turn. A core's wish becomes the other core's input: a queue instead of
/// a recursion.
#[allow(clippy::large_enum_variant)] // Short-lived, and most are of the large kind.
enum Step {
    Engine(EngineInput),
    Transport(TransportInput),
}

impl Driver {
    pub(super) fn engine_input(&mut self, input: EngineInput) {
        self.work(VecDeque::from([Step::Engine(input)]));
    }

    pub(super) fn transport_input(&mut self, input: TransportInput) {
        self.work(VecDeque::from([Step::Transport(input)]));
    }

    pub(super) fn carry_out_engine(&mut self, effects: Vec<EngineEffect>) {
        let mut steps = VecDeque::new();
        self.engine_effects(effects, &mut steps);
        self.work(steps);
    }

    pub(super) fn carry_out_transport(&mut self, effects: Vec<TransportEffect>) {
        let mut steps = VecDeque::new();
        self.transport_effects(effects, &mut steps);
        self.work(steps);
    }

    fn work(&mut self, mut steps: VecDeque<Step>) {
        while let Some(step) = steps.pop_front() {
            let now = self.now();
            match step {
                Step::Engine(input) => {
                    // What comes while halted is asked for again after the reload.
                    let State::Running { engine, .. } = &mut self.state else { continue };
                    let transport = &mut self.transport;
                    let mut hand_out = |conversation, most, rng: &mut Rng| {
                        transport.hand_out(talk(&conversation), most, now, rng)
                    };
                    let effects = engine.handle(input, now, &mut OsRng, &mut hand_out);
                    self.engine_effects(effects, &mut steps);
                }
                Step::Transport(input) => {
                    let effects = self.transport.handle(input, now, &mut OsRng);
                    self.transport_effects(effects, &mut steps);
                }
            }
        }
    }

    fn engine_effects(&mut self, effects: Vec<EngineEffect>, steps: &mut VecDeque<Step>) {
        let mut stamps = VecDeque::new();
        for effect in effects {
            let command = match effect {
                EngineEffect::Persist(changes) => {
                    let State::Running { store, .. } = &mut self.state else { return };
                    match store.apply_sent(&changes, self.sending.as_ref().map(|(id, _)| *id)) {
                        Ok((new, was_draft)) => {
                            stamps.extend(new);
                            if was_draft {
                                self.draft_is_sent();
                            }
                        }
                        // Nothing else of the batch may happen.
                        Err(error) => return self.halt(error),
                    }
                    continue;
                }
                EngineEffect::Write(boxed, ticket) => TransportCommand::Write { boxed, ticket },
                EngineEffect::Read(id) => TransportCommand::Read { id },
                EngineEffect::Follow(id, urgency, conversation) => TransportCommand::Follow {
                    id,
                    urgency: transport_urgency(urgency),
                    talk: conversation.as_ref().map(talk),
                },
                EngineEffect::Unfollow(id) => TransportCommand::Unfollow { id },
                EngineEffect::Done { tag, result } => {
                    self.done(tag, result);
                    continue;
                }
                EngineEffect::Event(event) => {
                    self.engine_event(event, &mut stamps);
                    continue;
                }
                EngineEffect::Recall { conversation, after, limit } => {
                    let State::Running { store, .. } = &self.state else { return };
                    match store.recall(conversation, after, limit) {
                        Ok(recalled) => {
                            let input = EngineInput::Recalled { conversation, recalled };
                            steps.push_back(Step::Engine(input));
                        }
                        Err(error) => return self.halt(error),
                    }
                    continue;
                }
                EngineEffect::WakeAt(at) => {
                    self.engine_wake = Some(at);
                    continue;
                }
            };
            steps.push_back(Step::Transport(TransportInput::Command(command)));
        }
    }

    fn transport_effects(&mut self, effects: Vec<TransportEffect>, steps: &mut VecDeque<Step>) {
        for effect in effects {
            match effect {
                TransportEffect::Connect { gateway, addresses, session } => {
                    self.sessions += 1;
                    let events = self.session_events.clone();
                    let number = self.sessions;
                    let session = Session::start(number, gateway, addresses, session, events);
                    self.session = Some(session);
                }
                TransportEffect::Disconnect => self.session = None,
                TransportEffect::Send(frame) => self.send(frame, None, steps),
                TransportEffect::Packet { frame, at } => {
                    let slot = Instant::now() + at.since(self.now());
                    self.send(frame, Some(slot), steps);
                }
                TransportEffect::Solve(puzzle) => {
                    if let Some(session) = &self.session {
                        session.solve(puzzle);
                    }
                }
                TransportEffect::WakeAt(at) => self.transport_wake = Some(at),
                TransportEffect::Persist(bytes) => self.keep(setting::TRANSPORT, bytes.into()),
                TransportEffect::PersistDecoys => {
                    self.keep(setting::DECOYS, self.transport.kept_decoys().into_bytes());
                }
                TransportEffect::Event(event) => self.transport_event(event, steps),
                _ => tracing::warn!("the transport wants something unknown"),
            }
        }
    }

    fn send(&mut self, frame: Vec<u8>, at: Option<Instant>, steps: &mut VecDeque<Step>) {
        if self.session.as_ref().is_some_and(|session| !session.send(frame, at)) {
            self.session = None;
            steps.push_back(Step::Transport(TransportInput::Offline));
        }
    }

    fn transport_event(&mut self, event: TransportEvent, steps: &mut VecDeque<Step>) {
        let input = match event {
            TransportEvent::Written { id, outcome } => EngineInput::Written { id, outcome },
            TransportEvent::Read { id, outcome } => EngineInput::Read { id, outcome },
            TransportEvent::Arrived(boxed) => EngineInput::Arrived(boxed),
            TransportEvent::Status(status) => {
                let now = self.now();
                let status = self.status(&status, now);
                return self.tell(Event::Status(Box::new(status)));
            }
            _ => return tracing::warn!("the transport says something unknown"),
        };
        steps.push_back(Step::Engine(input));
    }

    fn engine_event(&mut self, event: EngineEvent, stamps: &mut VecDeque<Stamp>) {
        let event = match event {
            EngineEvent::Message(row) => {
                self.advance(row.id, stamps);
                let now = self.now();
                if let Some(said) = said(&row) {
                    self.transport.said(said, now);
                }
                Event::Message(row.into())
            }
            EngineEvent::MessageState { id, conversation, state } => {
                self.advance(id, stamps);
                self.moved_on(id, state);
                Event::MessageState { id, conversation, state }
            }
            EngineEvent::Contact(contact) => {
                self.contacts.insert(contact.conversation, contact.clone().into());
                Event::Contact(contact.into())
            }
            EngineEvent::Invitation { invitation, state } => {
                Event::Invitation { invitation, state: state.into() }
            }
            EngineEvent::InvitationFailed { reason } => Event::InvitationFailed {
                reason: match reason {
                    InvitationFailure::Expired => "expired",
                    InvitationFailure::Withdrawn => "withdrawn",
                    _ => "spoiled",
                }
                .to_owned(),
            },
            EngineEvent::AcceptFailed { error } => {
                Event::AcceptFailed { error: Error::from(error).body() }
            }
            EngineEvent::EpochChanged { conversation, epoch } => {
                Event::EpochChanged { conversation, epoch }
            }
            EngineEvent::Alert { conversation, alert } => Event::Alert {
                conversation,
                alert: match alert {
                    EngineAlert::Unreadable => Alert::Unreadable,
                    EngineAlert::Missed => Alert::Missed,
                    _ => Alert::Other,
                },
            },
            _ => return tracing::warn!("the engine says something unknown"),
        };
        self.tell(event);
    }

    /// Takes the number of the change that this event is about. The engine tells changes of messages
    /// in the order in which it wants them kept.
    fn advance(&mut self, id: u64, stamps: &mut VecDeque<Stamp>) {
        if let Some(at) = stamps.iter().position(|stamp| stamp.id == id)
            && let Some(stamp) = stamps.remove(at)
        {
            self.seq = self.seq.max(stamp.seq);
        }
    }

    fn moved_on(&mut self, id: u64, state: MessageState) {
        let (reached, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|caller| caller.id == id && caller.state <= state);
        self.waiting = waiting;
        let reached: Vec<super::WaitingCaller> = reached;
        for caller in reached {
            // Whoever asked may be gone.
            let _ = caller.reply.send(Ok(state));
        }
    }

    /// What the transport wants kept. If the disk refuses, it is tried again with the next, or after the halt.
    fn keep(&mut self, name: &'static str, bytes: Zeroizing<Vec<u8>>) {
        self.unsaved.insert(name, bytes);
        if let Err(error) = self.save_transport() {
            self.halt(error);
        }
    }

    fn save_transport(&mut self) -> Result<(), StoreError> {
        let State::Running { store, .. } = &mut self.state else { return Ok(()) };
        for (name, bytes) in std::mem::take(&mut self.unsaved) {
            let saved = store.set_settings(&[(name, &bytes)]);
            if saved.is_err() {
                self.unsaved.insert(name, bytes);
            }
            match saved {
                // Decoys that are kept too late do again what they have done: no reason to stop everything else.
                Err(StoreError::DiskFull) if name == setting::DECOYS => {}
                saved => saved?,
            }
        }
        Ok(())
    }

    pub(super) fn halt(&mut self, error: StoreError) {
        tracing::error!(%error, "halted: the store cannot be written");
        let error = Error::from(error);
        let (why, kind) = (error.body(), error.kind());
        let retry_at = self.now() + HALT_PAUSE;
        self.engine_wake = None;
        // The store goes with the engine: after a failed sync its memory may say more than its disk.
        self.state = State::Halted { why, kind, retry_at };
        self.refuse_pending();
        self.tell_status();
    }

    fn tell_status(&mut self) {
        let now = self.now();
        let status = self.status(&self.transport.status(now), now);
        self.tell(Event::Status(Box::new(status)));
    }

    /// Loads the engine from the disk again, as after a crash.
    pub(super) fn try_again(&mut self) {
        match self.reload() {
            Ok((engine, store, effects)) => {
                tracing::info!("the store works again");
                self.seq = self.seq.max(store.last_seq());
                self.state = State::Running { engine, store };
                // Before what came meanwhile, which may be here at once.
                self.tell_status();
                self.carry_out_engine(effects);
                self.refresh_contacts();
                if let Err(error) = self.save_transport() {
                    self.halt(error);
                }
            }
            Err(error) => {
                let (why, kind) = (error.body(), error.kind());
                let retry_at = self.now() + HALT_PAUSE;
                self.state = State::Halted { why, kind, retry_at };
            }
        }
    }

    fn reload(&mut self) -> Result<(Engine, Store, Vec<EngineEffect>), Error> {
        let mut store = self.reopen.store()?;
        // A write, because a full disk can still be read.
        store.set_settings(&[(setting::NAME, self.settings.name.as_bytes())])?;
        let now = self.now();
        let profile = self.engine_profile.clone();
        let (engine, effects) = Engine::load(profile, store.state()?, now, &mut OsRng)
            .map_err(|error| super::requests::load_error(&error))?;
        Ok((engine, store, effects))
    }
}

fn transport_urgency(urgency: xchat_engine::Urgency) -> xchat_transport::Urgency {
    match urgency {
        xchat_engine::Urgency::Active(boxes) => xchat_transport::Urgency::Active(boxes),
        xchat_engine::Urgency::Overdue => xchat_transport::Urgency::Overdue,
        xchat_engine::Urgency::Resting => xchat_transport::Urgency::Resting,
        xchat_engine::Urgency::Seldom => xchat_transport::Urgency::Seldom,
        xchat_engine::Urgency::Ahead(boxes) => xchat_transport::Urgency::Ahead(boxes),
    }
}
