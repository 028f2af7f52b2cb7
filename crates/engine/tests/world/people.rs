//! The world: boxes, people with databases, and a queue of what happens next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Timestamp, random};
use xchat_engine::{
    Change, Command, CommandError, Contact, Content, ConversationId, Direction, Effect, Engine,
    Event, Input, MessageRow, MessageState, Notice, OpenInvitation, Profile, Recalled, Response,
    no_tickets,
};
use xchat_pigeonhole::outcome::{ReadOutcome, WriteOutcome};
use xchat_pigeonhole::{BoxId, SealedBox};

/// Boxes can be read for so long, and are remembered for so long after that (spec/09).
const BOX_LIFETIME: Duration = Duration::from_secs(16 * 24 * 3600);
const TOMBSTONE_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Longest way from a person to the boxes or back.
const WAY: Duration = Duration::from_millis(400);

pub(crate) struct Person {
    pub(crate) name: &'static str,
    engine: Option<Engine>,
    kv: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) rows: BTreeMap<u64, MessageRow>,
    /// Everything they ever said, whatever their database remembers of it.
    pub(crate) said: Vec<String>,
    /// What was ever shown to them as stored.
    pub(crate) promised: BTreeSet<String>,
    pub(crate) events: Vec<Event>,
    pub(crate) done: BTreeMap<u64, Result<Response, CommandError>>,
    followed: BTreeSet<BoxId>,
    wake_at: Option<Timestamp>,
    /// Answers to an earlier life are dropped.
    life: u32,
}

/// A copy of a person's database.
#[derive(Clone)]
pub(crate) struct Backup {
    kv: BTreeMap<Vec<u8>, Vec<u8>>,
    rows: BTreeMap<u64, MessageRow>,
}

enum Happening {
    /// An operation reaches the boxes.
    Write(SealedBox),
    Read(BoxId),
    /// An answer, or a delivery, reaches the person.
    Answer(Input),
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) rng: ChaCha20Rng,
    /// With the time at which each was written.
    boxes: BTreeMap<BoxId, (SealedBox, Timestamp)>,
    pub(crate) people: Vec<Person>,
    queue: BTreeMap<(Timestamp, u64), (usize, u32, Happening)>,
    counter: u64,
    /// Chance of a crash after each batch, in percent.
    pub(crate) crash_percent: usize,
    pub(crate) crashes: u32,
}

impl World {
    pub(crate) fn new(seed: u64, names: &[&'static str]) -> Self {
        let mut world = Self {
            now: Timestamp::from_secs(1_800_000_000),
            rng: ChaCha20Rng::seed_from_u64(seed),
            boxes: BTreeMap::new(),
            people: Vec::new(),
            queue: BTreeMap::new(),
            counter: 0,
            crash_percent: 0,
            crashes: 0,
        };
        for name in names {
            world.people.push(Person {
                name,
                engine: None,
                kv: BTreeMap::new(),
                rows: BTreeMap::new(),
                said: Vec::new(),
                promised: BTreeSet::new(),
                events: Vec::new(),
                done: BTreeMap::new(),
                followed: BTreeSet::new(),
                wake_at: None,
                life: 0,
            });
            world.start(world.people.len() - 1);
        }
        world
    }

    /// Starts a person's app from their database.
    pub(crate) fn start(&mut self, who: usize) {
        let person = &mut self.people[who];
        person.life += 1;
        let profile = Profile {
            name: person.name.to_owned(),
            network: "test".to_owned(),
            network_id: [7; 16],
        };
        let state = person.kv.clone().into_iter().collect();
        let (engine, effects) = Engine::load(profile, state, self.now, &mut self.rng)
            .expect("what the engine stored, it loads");
        person.engine = Some(engine);
        self.carry_out(who, effects);
    }

    /// The app dies; its database stays.
    pub(crate) fn stop(&mut self, who: usize) {
        let person = &mut self.people[who];
        person.engine = None;
        person.life += 1;
        person.followed.clear();
        person.wake_at = None;
    }

    pub(crate) fn backup(&self, who: usize) -> Backup {
        let person = &self.people[who];
        Backup { kv: person.kv.clone(), rows: person.rows.clone() }
    }

    /// The app dies, and starts from a copy of its database.
    pub(crate) fn restore(&mut self, who: usize, backup: &Backup) {
        self.stop(who);
        self.people[who].kv = backup.kv.clone();
        self.people[who].rows = backup.rows.clone();
        self.start(who);
    }

    /// Boxes that were ever written.
    pub(crate) fn written(&self) -> usize {
        self.boxes.len()
    }

    /// What is in a box now.
    fn look(&self, id: &BoxId) -> ReadOutcome {
        let Some((boxed, written)) = self.boxes.get(id) else { return ReadOutcome::Empty };
        match self.now.since(*written) {
            age if age < BOX_LIFETIME => ReadOutcome::Found(boxed.clone()),
            age if age < BOX_LIFETIME + TOMBSTONE_LIFETIME => ReadOutcome::Expired,
            _ => ReadOutcome::Empty,
        }
    }

    pub(crate) fn command(&mut self, who: usize, command: Command) -> u64 {
        self.counter += 1;
        let tag = self.counter;
        self.handle(who, Input::Command { tag, command });
        tag
    }

    fn handle(&mut self, who: usize, input: Input) {
        let Some(engine) = self.people[who].engine.as_mut() else { return };
        let effects = engine.handle(input, self.now, &mut self.rng, &mut no_tickets);
        self.carry_out(who, effects);
        if random::index(&mut self.rng, 100) < self.crash_percent {
            self.crashes += 1;
            self.stop(who);
            self.start(who);
        }
    }

    fn carry_out(&mut self, who: usize, effects: Vec<Effect>) {
        for (n, effect) in effects.into_iter().enumerate() {
            match effect {
                Effect::Persist(changes) => {
                    assert_eq!(n, 0, "persist comes first");
                    self.people[who].persist(changes);
                    if random::index(&mut self.rng, 100) < self.crash_percent {
                        // The batch is on disk, and nothing else of it happens.
                        self.crashes += 1;
                        self.stop(who);
                        return self.start(who);
                    }
                }
                Effect::Write(boxed, _) => self.later(who, Happening::Write(boxed)),
                Effect::Read(id) => self.later(who, Happening::Read(id)),
                Effect::Follow(id, ..) => {
                    self.people[who].followed.insert(id);
                    match self.look(&id) {
                        ReadOutcome::Found(boxed) => self.deliver(who, boxed),
                        ReadOutcome::Empty => {}
                        // A box that was used and is over: whoever follows it is told.
                        outcome @ ReadOutcome::Expired => {
                            let told = Input::Read { id, outcome };
                            self.later(who, Happening::Answer(told));
                        }
                    }
                }
                Effect::Unfollow(id) => drop(self.people[who].followed.remove(&id)),
                Effect::Done { tag, result } => drop(self.people[who].done.insert(tag, result)),
                Effect::Event(event) => self.people[who].events.push(event),
                Effect::Recall { conversation, after, limit } => {
                    let recalled = self.people[who].recall(conversation, after, limit);
                    let answer = Input::Recalled { conversation, recalled };
                    self.later(who, Happening::Answer(answer));
                }
                Effect::WakeAt(at) => self.people[who].wake_at = Some(at),
            }
        }
    }

    fn later(&mut self, who: usize, happening: Happening) {
        let way = WAY.mul_f64(random::unit(&mut self.rng));
        self.counter += 1;
        let life = self.people[who].life;
        self.queue.insert((self.now + way, self.counter), (who, life, happening));
    }

    fn deliver(&mut self, who: usize, boxed: SealedBox) {
        self.later(who, Happening::Answer(Input::Arrived(boxed.clone())));
        if random::index(&mut self.rng, 10) == 0 {
            self.later(who, Happening::Answer(Input::Arrived(boxed)));
        }
    }

    /// One step: the next happening or timer. False when nothing is left before `until`.
    fn step(&mut self, until: Timestamp) -> bool {
        let next = self.queue.keys().next().map(|(at, _)| *at);
        let timer =
            (0..self.people.len()).filter_map(|who| Some((self.people[who].wake_at?, who))).min();
        if let Some((at, who)) = timer
            && next.is_none_or(|next| at < next)
        {
            if at > until {
                return false;
            }
            self.now = self.now.max(at);
            self.people[who].wake_at = None;
            self.handle(who, Input::Timer);
            return true;
        }
        let Some(((at, _), (who, life, happening))) = self.queue.pop_first() else { return false };
        if at > until {
            self.counter += 1;
            self.queue.insert((at, self.counter), (who, life, happening));
            return false;
        }
        self.now = self.now.max(at);
        self.happen(who, life, happening);
        true
    }

    fn happen(&mut self, who: usize, life: u32, happening: Happening) {
        match happening {
            Happening::Write(boxed) => {
                let id = boxed.id();
                boxed.verify().expect("engines write signed boxes");
                let outcome = match self.look(&id) {
                    ReadOutcome::Empty => {
                        self.boxes.insert(id, (boxed.clone(), self.now));
                        WriteOutcome::Stored
                    }
                    ReadOutcome::Found(before) if before == boxed => WriteOutcome::Stored,
                    ReadOutcome::Found(before) => WriteOutcome::Exists(before),
                    ReadOutcome::Expired => WriteOutcome::Expired,
                };
                if matches!(outcome, WriteOutcome::Stored) {
                    for reader in 0..self.people.len() {
                        if self.people[reader].followed.contains(&id) {
                            self.deliver(reader, boxed.clone());
                        }
                    }
                }
                if self.people[who].life == life {
                    self.later(who, Happening::Answer(Input::Written { id, outcome }));
                }
            }
            Happening::Read(id) => {
                let outcome = self.look(&id);
                if self.people[who].life == life {
                    self.later(who, Happening::Answer(Input::Read { id, outcome }));
                }
            }
            Happening::Answer(input) => {
                if self.people[who].life == life {
                    self.handle(who, input);
                }
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.step(until) {}
        self.now = until;
    }

    /// Lets time pass until something is true.
    pub(crate) fn run_until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let until = self.now + Duration::from_secs(3 * 3600);
        while !done(self) {
            assert!(self.step(until), "never happened: {what}");
        }
    }

    /// The answer of a command, once it comes.
    pub(crate) fn answer(&mut self, who: usize, tag: u64) -> Result<Response, CommandError> {
        self.run_until("an answer", |world| world.people[who].done.contains_key(&tag));
        self.people[who].done.remove(&tag).expect("just seen")
    }

    pub(crate) fn invite(&mut self, who: usize) -> String {
        let tag = self.command(who, Command::Invite);
        let answer = self.answer(who, tag);
        let Ok(Response::Link(link)) = answer else { unreachable!("invite: {answer:?}") };
        link
    }

    pub(crate) fn open_invitations(&mut self, who: usize) -> Vec<OpenInvitation> {
        let tag = self.command(who, Command::Invitations);
        let answer = self.answer(who, tag);
        let Ok(Response::Invitations(open)) = answer else { unreachable!("{answer:?}") };
        open
    }

    pub(crate) fn accept(&mut self, who: usize, link: &str) -> Result<Contact, CommandError> {
        let tag = self.command(who, Command::Accept { link: link.to_owned() });
        match self.answer(who, tag) {
            Ok(Response::Contact(contact)) => Ok(contact),
            Ok(other) => unreachable!("accept: {other:?}"),
            Err(error) => Err(error),
        }
    }

    /// Two people meet; their conversations.
    pub(crate) fn meet(&mut self, inviter: usize, accepter: usize) -> [ConversationId; 2] {
        let link = self.invite(inviter);
        let theirs = self.accept(accepter, &link).expect("a fresh link");
        let before: BTreeSet<_> =
            self.people[inviter].contacts().iter().map(|contact| contact.conversation).collect();
        self.run_until("the inviter's contact", |world| {
            world.people[inviter].contacts().len() > before.len()
        });
        let after = self.people[inviter].contacts();
        let ours = after.iter().find(|contact| !before.contains(&contact.conversation));
        [ours.expect("just seen").conversation, theirs.conversation]
    }

    pub(crate) fn send(&mut self, who: usize, conversation: ConversationId, text: &str) {
        let text = text.to_owned();
        self.people[who].said.push(text.clone());
        self.command(who, Command::Send { conversation, text });
    }

    pub(crate) fn safety_number(&mut self, who: usize, conversation: ConversationId) -> String {
        let tag = self.command(who, Command::SafetyNumber { conversation });
        match self.answer(who, tag) {
            Ok(Response::SafetyNumber { digits }) => digits,
            other => unreachable!("safety number: {other:?}"),
        }
    }
}

impl Person {
    fn persist(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put { key, value } => drop(self.kv.insert(key, value)),
                Change::Delete { key } => drop(self.kv.remove(&key)),
                Change::DeletePrefix { prefix } => {
                    self.kv.retain(|key, _| !key.starts_with(&prefix));
                }
                Change::Message(row) => {
                    let before = self.rows.insert(row.id, row);
                    assert!(before.is_none(), "a row id was used twice");
                }
                Change::MessageState { id, state } => {
                    let row = self.rows.get_mut(&id).expect("only known rows move on");
                    assert!(row.state <= state, "a state went back");
                    row.state = state;
                    if let (Content::Text(text), true) =
                        (&row.content, state >= MessageState::Stored)
                    {
                        self.promised.insert(text.clone());
                    }
                }
                Change::MessageNumber { id, number } => {
                    self.rows.get_mut(&id).expect("only known rows get numbers").number = number;
                }
            }
        }
    }

    fn recall(&self, conversation: ConversationId, after: u64, limit: u32) -> Recalled {
        let ours = self
            .rows
            .values()
            .filter(|row| row.direction == Direction::Out && row.conversation == conversation);
        let unnumbered = ours.clone().filter(|row| row.number == 0).count() as u64;
        let mut rows: Vec<_> = ours.filter(|row| row.number > after).cloned().collect();
        rows.sort_by_key(|row| row.number);
        let older = rows.len().saturating_sub(limit as usize);
        rows.drain(..older);
        Recalled { rows, older: older as u64, unnumbered }
    }

    /// What happened to the conversation, in the order of the history.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        let notices = self.rows.values().filter_map(|row| match row.content {
            Content::Notice(notice) => Some(notice),
            _ => None,
        });
        notices.collect()
    }

    /// Contacts that the running app knows, whoever told about them has died or not.
    pub(crate) fn contacts(&self) -> Vec<Contact> {
        self.engine.as_ref().map(Engine::contacts).unwrap_or_default()
    }

    /// Texts of one direction in the order of the history.
    pub(crate) fn texts(&self, direction: Direction) -> Vec<String> {
        let rows = self.rows.values().filter(|row| row.direction == direction);
        rows.filter_map(|row| match &row.content {
            Content::Text(text) => Some(text.clone()),
            Content::Unknown { kind, .. } => Some(format!("unknown kind {kind}")),
            Content::Notice(_) => None,
        })
        .collect()
    }

    pub(crate) fn all_sent_are(&self, state: MessageState) -> bool {
        let mut sent = self.rows.values().filter(|row| row.direction == Direction::Out);
        sent.all(|row| row.state == state)
    }

    pub(crate) fn epoch_changes(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::EpochChanged { .. })).count()
    }

    pub(crate) fn alerts(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Alert { .. })).count()
    }

    pub(crate) fn stored_keys(&self) -> usize {
        self.kv.len()
    }
}
