//! The thread that owns the core: gather, run, persist, let leave.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand_core::OsRng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use xchat_base::Timestamp;
use xchat_node::TagPrint;
use xchat_node::directory::{NodeId, VerifiedDocument};
use xchat_node::gateway::SessionId;
use xchat_node::sphinx::{HopKey, LinkKey};

use crate::clock;
use crate::error::NodeError;
use crate::journal::Journal;
use crate::keys;
use crate::links::{LinkStatus, Links};
use crate::queue::FrameQueue;
use crate::role::{Act, Input, Kind, Role, RoleStatus};

/// Events that wait for the core; whoever brings more waits too, and so do the links behind them.
pub(crate) const MAX_WAITING: usize = 1024;

/// Inputs to the core before what it wrote is made durable. One fdatasync carries all of them; more
/// would only make the first wait longer.
const MAX_BATCH: usize = 256;

/// With so many events still waiting after a batch the core is told that it is pressed, and with so
/// few that it no longer is. Far enough apart that it does not flap, and low enough that those who
/// bring events do not have to wait yet.
const PRESSED: (usize, usize) = (MAX_WAITING / 2, MAX_WAITING / 8);

/// How often the replay journals are synced.
const SYNC_JOURNAL_EVERY: Duration = Duration::from_secs(1);

/// How often a role looks at its disk. A table can pass its size by what comes in this time.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Without a request the core is not woken; this bounds the sleep, since the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What reaches the core.
pub(crate) enum Event {
    Frame { kind: Kind, from: NodeId, bytes: Vec<u8> },
    ClientOpened { session: SessionId, link: LinkKey, queue: Arc<FrameQueue> },
    ClientFrame { session: SessionId, bytes: Bytes },
    ClientClosed { session: SessionId, lost: bool },
    Document(VerifiedDocument),
    Status(oneshot::Sender<(RoleStatus, LinkStatus)>),
}

/// The core and everything it acts on.
pub(crate) struct Driver {
    pub(crate) role: Box<dyn Role>,
    pub(crate) journal: Journal,
    pub(crate) links: Links,
    /// Its own.
    pub(crate) id: NodeId,
    /// Where hop keys lie.
    pub(crate) dir: PathBuf,
    /// The hop keys that the core has, so that new files are noticed.
    pub(crate) hop_keys: BTreeSet<HopKey>,
    clients: BTreeMap<SessionId, Arc<FrameQueue>>,
    wake: Option<Timestamp>,
    pressed: bool,
}

impl Driver {
    pub(crate) fn new(
        role: Box<dyn Role>,
        journal: Journal,
        links: Links,
        id: NodeId,
        dir: PathBuf,
        hop_keys: BTreeSet<HopKey>,
    ) -> Self {
        Self {
            role,
            journal,
            links,
            id,
            dir,
            hop_keys,
            clients: BTreeMap::new(),
            wake: None,
            pressed: false,
        }
    }

    /// Runs until `stop`, or until something cannot be made durable; then nothing that depends on it
    /// has left.
    pub(crate) async fn run(
        mut self,
        document: &VerifiedDocument,
        started: Vec<Act>,
        mut events: mpsc::Receiver<Event>,
        mut stop: oneshot::Receiver<()>,
    ) -> Result<(), NodeError> {
        self.carry_out(started)?;
        self.links.follow(document);
        let mut next_sync = Instant::now() + SYNC_JOURNAL_EVERY;
        // The first look comes before the first request.
        let mut next_look = Instant::now();
        loop {
            let idle = self.role.has_idle_work();
            let until = self.sleep_until(idle);
            let first = tokio::select! {
                biased;
                _ = &mut stop => break,
                event = events.recv() => match event {
                    Some(event) => Some(event),
                    None => break,
                },
                () = sleep_until(until) => None,
            };
            let mut acts = Vec::new();
            if Instant::now() >= next_look {
                acts.extend(self.role.look(clock::now(), &mut OsRng)?);
                next_look = Instant::now() + LOOK_EVERY;
            }
            let mut next = first;
            let mut taken = 0;
            while let Some(event) = next {
                self.event(event, &mut acts)?;
                taken += 1;
                next = if taken < MAX_BATCH { events.try_recv().ok() } else { None };
            }
            self.timer(&mut acts);
            self.press(events.len(), &mut acts);
            if idle && taken < MAX_BATCH {
                acts.extend(self.role.idle(clock::now(), &mut OsRng)?);
            }
            self.carry_out(acts)?;
            if Instant::now() >= next_sync {
                self.journal.sync()?;
                next_sync = Instant::now() + SYNC_JOURNAL_EVERY;
            }
        }
        self.role.commit()?;
        self.journal.sync()
    }

    fn press(&mut self, waiting: usize, acts: &mut Vec<Act>) {
        let (above, below) = PRESSED;
        let pressed = if self.pressed { waiting > below } else { waiting >= above };
        if pressed != self.pressed {
            self.pressed = pressed;
            acts.extend(self.role.pressed(pressed, clock::now(), &mut OsRng));
        }
    }

    fn sleep_until(&self, idle: bool) -> Instant {
        if idle {
            return Instant::now();
        }
        let wait = self.wake.map_or(LONGEST_SLEEP, |wake| wake.since(clock::now()));
        Instant::now() + wait.min(LONGEST_SLEEP)
    }

    fn input(&mut self, input: Input, acts: &mut Vec<Act>) {
        let mut wanted = self.role.handle(input, clock::now(), &mut OsRng);
        // The wish of this moment replaces earlier ones, also those of the same batch.
        wanted.retain(|act| match act {
            Act::WakeAt(at) => {
                self.wake = Some(*at);
                false
            }
            _ => true,
        });
        acts.append(&mut wanted);
    }

    fn timer(&mut self, acts: &mut Vec<Act>) {
        if self.wake.is_some_and(|wake| wake <= clock::now()) {
            self.wake = None;
            self.input(Input::Timer, acts);
        }
    }

    fn event(&mut self, event: Event, acts: &mut Vec<Act>) -> Result<(), NodeError> {
        let input = match event {
            Event::Frame { kind, from, bytes } => Input::Frame { kind, from, bytes },
            Event::ClientOpened { session, link, queue } => {
                self.clients.insert(session, queue);
                Input::ClientOpened { session, link }
            }
            Event::ClientFrame { session, bytes } => {
                Input::ClientFrame { session, bytes: bytes.into() }
            }
            Event::ClientClosed { session, lost } => {
                self.clients.remove(&session);
                if lost { Input::ClientLost(session) } else { Input::ClientClosed(session) }
            }
            Event::Document(document) => return self.document(document, acts),
            Event::Status(answer) => {
                // Whoever asked may have gone.
                let _ = answer.send((self.role.status(clock::now()), self.links.status()));
                return Ok(());
            }
        };
        self.input(input, acts);
        Ok(())
    }

    /// New keys first, so that the core knows them when the document gives them their time. No others: what lies there and is not listed (any
    /// more) would take their places.
    fn document(
        &mut self,
        document: VerifiedDocument,
        acts: &mut Vec<Act>,
    ) -> Result<(), NodeError> {
        let is_new = |key: &HopKey| {
            let is_listed = document.node(&self.id).is_some_and(|own| keys::is_listed(key, own));
            is_listed && !self.hop_keys.contains(key)
        };
        for secret in keys::read_hops(&self.dir, is_new)? {
            self.hop_keys.insert(secret.public());
            self.input(Input::AddSecret(secret), acts);
        }
        self.links.follow(&document);
        self.input(Input::Document(document), acts);
        Ok(())
    }

    /// What persists first, then one sync for all of it, then what leaves.
    fn carry_out(&mut self, acts: Vec<Act>) -> Result<(), NodeError> {
        let mut remember: BTreeMap<HopKey, Vec<TagPrint>> = BTreeMap::new();
        let mut forget = Vec::new();
        let mut leaving = Vec::with_capacity(acts.len());
        for act in acts {
            match act {
                Act::Remember { key, mut tags } => {
                    remember.entry(key).or_default().append(&mut tags)
                }
                Act::ForgetKey(key) => forget.push(key),
                Act::WakeAt(at) => self.wake = Some(at),
                other => leaving.push(other),
            }
        }
        for (key, tags) in remember {
            self.journal.append(key, &tags)?;
        }
        for key in forget {
            keys::remove_hop(&self.dir, &key)?;
            self.journal.forget(&key)?;
            self.hop_keys.remove(&key);
        }
        self.role.commit()?;
        for act in leaving {
            self.let_leave(act);
        }
        Ok(())
    }

    fn let_leave(&mut self, act: Act) {
        match act {
            Act::Send { kind, to, bytes } => self.links.send(kind, to, bytes),
            Act::ToClient { session, bytes } => {
                if let Some(queue) = self.clients.get(&session) {
                    queue.push(Bytes::from(bytes));
                }
            }
            Act::CloseClient(session) => {
                if let Some(queue) = self.clients.remove(&session) {
                    queue.close();
                }
            }
            Act::Remember { .. } | Act::ForgetKey(_) | Act::WakeAt(_) => {}
        }
    }
}
