//! A person: the engine over the transport, as the client drives them, with a database that
//! survives a crash and nothing else that does.

use std::collections::{BTreeMap, VecDeque};

use xchat_base::Timestamp;
use xchat_base::random::Rng;
use xchat_directory::{NodeId, Root, VerifiedDocument};
use xchat_engine::{
    Change, Command, CommandError, Contact, Content, ConversationId, Direction, Engine, Event,
    Input, MessageRow, MessageState, Profile, Recalled, Response, Urgency,
};
use xchat_sphinx::{PacketFormat, Puzzle};
use xchat_transport::{DecoyLanes, KeptDecoys, Pace, Transport};

/// What a person's driver wants of the world.
pub(crate) enum Want {
    Connect(NodeId),
    Disconnect,
    Send(Vec<u8>),
    /// At the time of its slot.
    SendAt(Vec<u8>, Timestamp),
    Solve(Puzzle),
}

/// What is to be done, in order: as in a client's driver, all that follows from one input comes before what follows from that.
enum Step {
    Engine(Input),
    Transport(xchat_transport::Command),
}

/// What an event of a transport is to whoever has conversations.
pub(crate) fn told(event: xchat_transport::Event) -> Option<Input> {
    use xchat_transport::Event;
    match event {
        Event::Written { id, outcome } => Some(Input::Written { id, outcome }),
        Event::Read { id, outcome } => Some(Input::Read { id, outcome }),
        Event::Arrived(boxed) => Some(Input::Arrived(boxed)),
        _ => None,
    }
}

/// What whoever has conversations wants of a box, to a transport.
pub(crate) const fn wanted(urgency: Urgency) -> xchat_transport::Urgency {
    match urgency {
        Urgency::Active(boxes) => xchat_transport::Urgency::Active(boxes),
        Urgency::Overdue => xchat_transport::Urgency::Overdue,
        Urgency::Resting => xchat_transport::Urgency::Resting,
        Urgency::Seldom => xchat_transport::Urgency::Seldom,
        Urgency::Ahead(boxes) => xchat_transport::Urgency::Ahead(boxes),
    }
}

/// The running app.
struct App {
    engine: Engine,
    engine_wake: Option<Timestamp>,
    transport: Transport,
    transport_wake: Option<Timestamp>,
}

impl App {
    /// Hands an input to the engine.
    fn engine(&mut self, input: Input, now: Timestamp, rng: &mut Rng) -> Vec<xchat_engine::Effect> {
        let Self { engine, transport, .. } = self;
        let mut tickets = |conversation, most, rng: &mut Rng| {
            transport.hand_out(talk(&conversation), most, now, rng)
        };
        engine.handle(input, now, rng, &mut tickets)
    }
}

/// What a transport calls a conversation.
fn talk(conversation: &ConversationId) -> u64 {
    conversation.as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// One person.
pub struct Person {
    /// Their name.
    pub name: String,
    /// Their history, by row id.
    pub rows: BTreeMap<u64, MessageRow>,
    /// When each row was inserted here.
    pub seen_at: BTreeMap<u64, Timestamp>,
    /// Everything that their app told them.
    pub events: Vec<Event>,
    /// Answers of commands, by tag.
    pub done: BTreeMap<u64, Result<Response, CommandError>>,
    kv: BTreeMap<Vec<u8>, Vec<u8>>,
    pins: Option<Vec<u8>>,
    kept_decoys: Option<KeptDecoys>,
    /// Their device among the world's clients.
    pub(crate) client: u32,
    root: Root,
    document: VerifiedDocument,
    format: &'static dyn PacketFormat,
    device: Device,
    app: Option<App>,
}

/// How a person's device is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Device {
    pub(crate) pace: Pace,
    pub(crate) decoys: DecoyLanes,
}

impl Person {
    pub(crate) const fn pace(&self) -> Pace {
        self.device.pace
    }

    pub(crate) fn new(
        name: &str,
        client: u32,
        root: Root,
        document: VerifiedDocument,
        format: &'static dyn PacketFormat,
        device: Device,
    ) -> Self {
        Self {
            name: name.to_owned(),
            rows: BTreeMap::new(),
            seen_at: BTreeMap::new(),
            events: Vec::new(),
            done: BTreeMap::new(),
            kv: BTreeMap::new(),
            pins: None,
            kept_decoys: None,
            client,
            root,
            document,
            format,
            device,
            app: None,
        }
    }

    /// Starts the app from the database.
    pub(crate) fn start(&mut self, now: Timestamp, rng: &mut Rng) -> Vec<Want> {
        let (root, document) = (self.root.clone(), self.document.clone());
        let pins = self.pins.as_deref();
        let (transport, first) = Transport::new(root, document, self.device.pace, pins, now, rng)
            .expect("what a transport kept, it reads");
        let mut transport = transport.with_format(self.format);
        if let Some(kept) = &self.kept_decoys {
            transport.resume_decoys(kept.as_bytes()).expect("what a transport kept, it reads");
        }
        transport.set_decoy_lanes(self.device.decoys);
        let profile = Profile {
            name: self.name.clone(),
            network: self.root.name().as_str().to_owned(),
            network_id: *self.root.id().as_bytes(),
        };
        let state = self.kv.clone().into_iter().collect();
        let (engine, effects) =
            Engine::load(profile, state, now, rng).expect("what the engine stored, it loads");
        self.app = Some(App { engine, engine_wake: None, transport, transport_wake: None });
        let mut wants = Vec::new();
        self.carry_out_transport(first, now, rng, &mut wants);
        self.carry_out_engine(effects, now, rng, &mut wants);
        wants
    }

    /// The app is gone, as by kill -9.
    pub(crate) fn stop(&mut self) {
        self.app = None;
    }

    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        let app = self.app.as_ref()?;
        [app.engine_wake, app.transport_wake].into_iter().flatten().min()
    }

    pub(crate) fn wake(&mut self, now: Timestamp, rng: &mut Rng) -> Vec<Want> {
        let mut wants = Vec::new();
        let Some(app) = &mut self.app else { return wants };
        if app.transport_wake.is_some_and(|at| at <= now) {
            app.transport_wake = None;
            let effects = app.transport.handle(xchat_transport::Input::Timer, now, rng);
            self.carry_out_transport(effects, now, rng, &mut wants);
        }
        if let Some(app) = &mut self.app
            && app.engine_wake.is_some_and(|at| at <= now)
        {
            app.engine_wake = None;
            let effects = app.engine(Input::Timer, now, rng);
            self.carry_out_engine(effects, now, rng, &mut wants);
        }
        wants
    }

    pub(crate) fn command(
        &mut self,
        tag: u64,
        command: Command,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<Want> {
        let mut wants = Vec::new();
        let app = self.app.as_mut().expect("commands are for a running app");
        let effects = app.engine(Input::Command { tag, command }, now, rng);
        self.carry_out_engine(effects, now, rng, &mut wants);
        wants
    }

    pub(crate) fn network(
        &mut self,
        input: xchat_transport::Input,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<Want> {
        let mut wants = Vec::new();
        let Some(app) = &mut self.app else { return wants };
        let effects = app.transport.handle(input, now, rng);
        self.carry_out_transport(effects, now, rng, &mut wants);
        wants
    }

    fn carry_out_engine(
        &mut self,
        effects: Vec<xchat_engine::Effect>,
        now: Timestamp,
        rng: &mut Rng,
        wants: &mut Vec<Want>,
    ) {
        let mut steps = VecDeque::new();
        self.engine_effects(effects, now, &mut steps);
        self.work(steps, now, rng, wants);
    }

    fn carry_out_transport(
        &mut self,
        effects: Vec<xchat_transport::Effect>,
        now: Timestamp,
        rng: &mut Rng,
        wants: &mut Vec<Want>,
    ) {
        let mut steps = VecDeque::new();
        self.transport_effects(effects, wants, &mut steps);
        self.work(steps, now, rng, wants);
    }

    fn work(
        &mut self,
        mut steps: VecDeque<Step>,
        now: Timestamp,
        rng: &mut Rng,
        wants: &mut Vec<Want>,
    ) {
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Engine(input) => {
                    let effects = self.app().engine(input, now, rng);
                    self.engine_effects(effects, now, &mut steps);
                }
                Step::Transport(order) => {
                    let input = xchat_transport::Input::Command(order);
                    let effects = self.app().transport.handle(input, now, rng);
                    self.transport_effects(effects, wants, &mut steps);
                }
            }
        }
    }

    fn engine_effects(
        &mut self,
        effects: Vec<xchat_engine::Effect>,
        now: Timestamp,
        steps: &mut VecDeque<Step>,
    ) {
        use xchat_engine::Effect;
        use xchat_transport::Command as Order;
        for effect in effects {
            let order = match effect {
                Effect::Persist(changes) => {
                    self.persist(changes, now);
                    continue;
                }
                Effect::Write(boxed, ticket) => Order::Write { boxed, ticket },
                Effect::Read(id) => Order::Read { id },
                Effect::Follow(id, urgency, told) => {
                    let urgency = wanted(urgency);
                    Order::Follow { id, urgency, talk: told.as_ref().map(talk) }
                }
                Effect::Unfollow(id) => Order::Unfollow { id },
                Effect::Done { tag, result } => {
                    self.done.insert(tag, result);
                    continue;
                }
                Effect::Event(event) => {
                    self.events.push(event);
                    continue;
                }
                Effect::WakeAt(at) => {
                    self.app().engine_wake = Some(at);
                    continue;
                }
                Effect::Recall { conversation, after, limit } => {
                    let recalled = self.recall(conversation, after, limit);
                    steps.push_back(Step::Engine(Input::Recalled { conversation, recalled }));
                    continue;
                }
            };
            steps.push_back(Step::Transport(order));
        }
    }

    fn transport_effects(
        &mut self,
        effects: Vec<xchat_transport::Effect>,
        wants: &mut Vec<Want>,
        steps: &mut VecDeque<Step>,
    ) {
        use xchat_transport::Effect;
        for effect in effects {
            match effect {
                Effect::Connect { gateway, .. } => wants.push(Want::Connect(gateway)),
                Effect::Disconnect => wants.push(Want::Disconnect),
                Effect::Send(bytes) => wants.push(Want::Send(bytes)),
                Effect::Packet { frame, at } => wants.push(Want::SendAt(frame, at)),
                Effect::Solve(puzzle) => wants.push(Want::Solve(puzzle)),
                Effect::WakeAt(at) => self.app().transport_wake = Some(at),
                Effect::Persist(pins) => self.pins = Some(pins),
                Effect::PersistDecoys => {
                    self.kept_decoys = Some(self.app().transport.kept_decoys());
                }
                Effect::Event(event) => steps.extend(told(event).map(Step::Engine)),
                _ => {}
            }
        }
    }

    fn app(&mut self) -> &mut App {
        self.app.as_mut().expect("effects are carried out while the app runs")
    }

    fn persist(&mut self, changes: Vec<Change>, now: Timestamp) {
        for change in changes {
            match change {
                Change::Put { key, value } => drop(self.kv.insert(key, value)),
                Change::Delete { key } => drop(self.kv.remove(&key)),
                Change::DeletePrefix { prefix } => {
                    self.kv.retain(|key, _| !key.starts_with(&prefix));
                }
                Change::Message(row) => {
                    self.seen_at.insert(row.id, now);
                    self.rows.insert(row.id, row);
                }
                Change::MessageState { id, state } => {
                    let row = self.rows.get_mut(&id).expect("only known rows move on");
                    row.state = state;
                }
                Change::MessageNumber { id, number } => {
                    let row = self.rows.get_mut(&id).expect("only known rows get numbers");
                    row.number = number;
                }
            }
        }
    }

    fn recall(&self, conversation: ConversationId, after: u64, limit: u32) -> Recalled {
        let ours = self
            .rows
            .values()
            .filter(|row| row.direction == Direction::Out && row.conversation == conversation);
        let mut rows: Vec<_> = ours.filter(|row| row.number > after).cloned().collect();
        rows.sort_by_key(|row| row.number);
        let older = rows.len().saturating_sub(limit as usize);
        rows.drain(..older);
        Recalled { rows, older: older as u64, unnumbered: 0 }
    }

    /// Contacts that the running app knows.
    pub fn contacts(&self) -> Vec<Contact> {
        self.app.as_ref().map(|app| app.engine.contacts()).unwrap_or_default()
    }

    /// Texts of one direction in the order of the history.
    pub fn texts(&self, direction: Direction) -> Vec<String> {
        let rows = self.rows.values().filter(|row| row.direction == direction);
        rows.filter_map(|row| match &row.content {
            Content::Text(text) => Some(text.clone()),
            Content::Unknown { .. } | Content::Notice(_) => None,
        })
        .collect()
    }

    /// Whether everything they said has reached a state.
    pub fn all_sent_are(&self, state: MessageState) -> bool {
        let mut sent = self.rows.values().filter(|row| row.direction == Direction::Out);
        sent.all(|row| row.state == state)
    }

    /// The transport's view of things, while the app runs.
    pub fn status(&self, now: Timestamp) -> Option<xchat_transport::Status> {
        self.app.as_ref().map(|app| app.transport.status(now))
    }
}
