//! The driver: one task that owns the engine, the transport and the store.
//!
//! Every turn takes one input, hands it to a core, and carries out what follows, in this order: commit
//! what the engine wants kept, then everything else. Nothing of it waits for the network.
//!
//! When a commit fails (a full disk), nothing of its batch happens and the engine's memory is thrown
//! away: the client is *halted*. It tries to load the engine from the disk again until that works,
//! while the transport goes on sending as before; to the network the device looks the same.

mod clock;
mod kept;
mod requests;
mod session;
mod turn;

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use rand_core::OsRng;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use xchat_base::Timestamp;
use xchat_engine::{ConversationId, Engine, MessageState, Profile as EngineProfile};
use xchat_transport::directory::Root;
use xchat_transport::{Input as TransportInput, Transport};
use zeroize::Zeroizing;

use crate::api::{Contact, Event, Face, Numbered};
use crate::error::{Error, ErrorBody, ErrorKind};
use crate::network;
use crate::profile::{Profile, Reopen, Settings, setting};
use crate::store::Store;

use clock::Clock;
pub use clock::ClockState;
use kept::Kept;
use requests::Pending;
pub(crate) use requests::{Changed, Request};
use session::{MAX_UNREAD, Session, SessionEvent, What};

/// Events that a slow subscriber may be behind before it reads them from the store instead.
const MAX_UNHEARD: usize = 1_024;

/// The longest sleep: a machine that was suspended notices by then what it has missed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How long a halted client waits before it tries its disk again.
#[cfg(not(test))]
const HALT_PAUSE: Duration = Duration::from_secs(5);
#[cfg(test)]
const HALT_PAUSE: Duration = Duration::from_secs(2);

/// Callers that wait for a message to be stored or delivered, at most.
const MAX_WAITING_CALLERS: usize = 1_024;

/// The engine, if the disk lets it be.
#[allow(clippy::large_enum_variant)] // There is one.
enum State {
    Running { engine: Engine, store: Store },
    Halted { why: ErrorBody, kind: ErrorKind, retry_at: Timestamp },
}

pub(crate) struct Driver {
    state: State,
    transport: Transport,
    session: Option<Session>,
    sessions: u64,
    session_events: mpsc::Sender<SessionEvent>,
    events: broadcast::Sender<Numbered>,
    clock: Clock,
    settings: Settings,
    engine_profile: EngineProfile,
    root: Root,
    reopen: Reopen,
    contacts: BTreeMap<ConversationId, Contact>,
    /// Who waits for the engine's answer, by tag.
    pending: BTreeMap<u64, Pending>,
    next_tag: u64,
    /// Who waits for a message to move on.
    waiting: Vec<WaitingCaller>,
    engine_wake: Option<Timestamp>,
    transport_wake: Option<Timestamp>,
    /// What the transport wants kept and the disk has refused so far.
    unsaved: BTreeMap<&'static str, Zeroizing<Vec<u8>>>,
    /// The last change of a message that was told.
    seq: u64,
    /// The conversation whose draft is being sent, until that is on the disk.
    sending: Option<(ConversationId, Face)>,
}

struct WaitingCaller {
    id: u64,
    state: MessageState,
    reply: oneshot::Sender<Result<MessageState, Error>>,
}

/// Loads everything and starts the driver on a thread of its own: it waits for the disk, which is not
/// to hold up the runtime's other tasks.
pub(crate) fn start(profile: Profile, requests: mpsc::Receiver<Request>) -> Result<(), Error> {
    let runtime = Handle::current();
    let _within = runtime.enter();
    let (session_events, sessions) = mpsc::channel(MAX_UNREAD);
    let driver = Driver::load(profile, session_events)?;
    let runtime = runtime.clone();
    thread::Builder::new()
        .name("xchat-client".to_owned())
        .spawn(move || runtime.block_on(driver.run(requests, sessions)))
        .map_err(|_| Error::new(ErrorKind::Internal, "cannot start a thread"))?;
    Ok(())
}

impl Driver {
    fn load(profile: Profile, session_events: mpsc::Sender<SessionEvent>) -> Result<Self, Error> {
        let Profile { mut store, settings, reopen } = profile;
        let mut clock = Clock::start();
        let now = clock.now();
        let network::Start { root, document, newer } =
            network::start(&settings.network, settings.network_path.as_deref(), now)?;
        if let Some(text) = newer {
            store.set_settings(&[(setting::NETWORK, text.as_bytes())])?;
        }
        let kept = Kept::read(&store)?;
        let engine_profile = EngineProfile {
            name: settings.name.clone(),
            network: root.name().as_str().to_owned(),
            network_id: *root.id().as_bytes(),
        };
        let (engine, engine_effects) =
            Engine::load(engine_profile.clone(), store.state()?, now, &mut OsRng)
                .map_err(|error| requests::load_error(&error))?;
        let (transport, transport_effects) =
            kept.transport(root.clone(), document, settings.pace, now)?;
        let (events, _) = broadcast::channel(MAX_UNHEARD);
        let mut driver = Self {
            seq: store.last_seq(),
            state: State::Running { engine, store },
            transport,
            session: None,
            sessions: 0,
            session_events,
            events,
            clock,
            settings,
            engine_profile,
            root,
            reopen,
            contacts: BTreeMap::new(),
            pending: BTreeMap::new(),
            next_tag: 0,
            waiting: Vec::new(),
            engine_wake: None,
            transport_wake: None,
            unsaved: BTreeMap::new(),
            sending: None,
        };
        driver.carry_out_transport(transport_effects);
        driver.carry_out_engine(engine_effects);
        driver.refresh_contacts();
        Ok(driver)
    }

    async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut sessions: mpsc::Receiver<SessionEvent>,
    ) {
        let stopped = loop {
            if self.clock.was_set_back() {
                self.start_over();
            }
            let wake = self.next_wake();
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request::Stop { reply }) => break Some(reply),
                    Some(request) => self.request(request),
                    None => break None,
                },
                // The driver itself holds a sender, so there is always another event to come.
                Some(event) = sessions.recv() => self.session_event(event),
                () = sleep_until(wake) => self.timers(),
            }
        };
        self.tell(Event::Stopping);
        let Self { state, session, reopen, .. } = self;
        if let Some(session) = session {
            // It may be waiting to say something.
            drop(sessions);
            session.close().await;
        }
        if let State::Running { store, .. } = state
            && let Err(error) = store.close()
        {
            tracing::warn!(%error, "the store was not closed cleanly");
        }
        drop(reopen);
        if let Some(reply) = stopped {
            // Whoever asked may be gone.
            let _ = reply.send(());
        }
    }

    fn now(&mut self) -> Timestamp {
        self.clock.now()
    }

    fn next_wake(&mut self) -> Instant {
        let now = self.now();
        let halted = match &self.state {
            State::Halted { retry_at, .. } => Some(*retry_at),
            State::Running { .. } => None,
        };
        let engine = self.engine_wake.filter(|_| self.clock_state(now) == ClockState::Right);
        let wakes = [engine, self.transport_wake, halted];
        let pause = wakes.into_iter().flatten().min().map_or(LONGEST_SLEEP, |at| at.since(now));
        Instant::now() + pause.min(LONGEST_SLEEP)
    }

    fn timers(&mut self) {
        let now = self.now();
        if self.transport_wake.is_some_and(|at| at <= now) {
            self.transport_wake = None;
            self.transport_input(TransportInput::Timer);
        }
        // By a clock that may be wrong by a year, invitations would end and receipts be due. What the
        // network answers is not held back: it answers nothing by a document that is not timely.
        let right = self.clock_state(now) == ClockState::Right;
        if right && self.engine_wake.is_some_and(|at| at <= now) {
            self.engine_wake = None;
            self.engine_input(xchat_engine::Input::Timer);
        }
        if matches!(&self.state, State::Halted { retry_at, .. } if *retry_at <= now) {
            self.try_again();
        }
    }

    /// What can be said of the clock.
    fn clock_state(&self, now: Timestamp) -> ClockState {
        ClockState::by(self.transport.document(), now)
    }

    /// The system's clock was set back: everything is loaded anew by the present one, as after a crash.
    fn start_over(&mut self) {
        tracing::warn!("the system's clock was set back");
        let kept = match &self.state {
            State::Running { store, .. } => Kept::read(store),
            State::Halted { .. } => self.reopen.store().and_then(|store| Kept::read(&store)),
        };
        self.session = None;
        self.clock = Clock::start();
        let now = self.now();
        let (root, document) = (self.root.clone(), self.transport.document().clone());
        let transport = kept
            .map_err(Error::from)
            .and_then(|kept| kept.transport(root, document, self.settings.pace, now));
        (self.engine_wake, self.transport_wake) = (None, None);
        let error = Error::new(ErrorKind::ClockWrong, "the system's clock was set back");
        self.state = State::Halted { why: error.body(), kind: error.kind(), retry_at: now };
        self.refuse_pending();
        match transport {
            Ok((transport, effects)) => {
                self.transport = transport;
                // Of the one before it.
                self.unsaved.remove(setting::DECOYS);
                self.carry_out_transport(effects);
            }
            Err(error) => {
                tracing::error!(%error, "what the transport kept cannot be read again");
                // It goes on with what it has, over a link by the right time.
                self.transport_input(TransportInput::Offline);
            }
        }
        self.try_again();
    }

    fn session_event(&mut self, event: SessionEvent) {
        if self.session.as_ref().map(|session| session.number) != Some(event.session) {
            return;
        }
        match event.what {
            What::Online { gateway, link, from } => {
                self.transport_input(TransportInput::Online { gateway, link, from });
            }
            What::Frame(frame) => self.transport_input(TransportInput::Frame(frame.into())),
            What::Solved(proof) => self.transport_input(TransportInput::Solved(proof)),
            What::Offline => {
                self.session = None;
                self.transport_input(TransportInput::Offline);
            }
            What::TurnedAway => {
                self.session = None;
                self.transport_input(TransportInput::TurnedAway);
            }
        }
    }

    /// Tells all subscribers; nobody listening is fine.
    fn tell(&self, event: Event) {
        let _ = self.events.send(Numbered { seq: self.seq, event });
    }
}

#[cfg(test)]
mod tests;
