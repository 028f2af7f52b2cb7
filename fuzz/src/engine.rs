//! Two engines over boxes that lie, and an engine over a database that was changed.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::Timestamp;
use xchat_engine::{Change, Command, Effect, Engine, Input, Profile, Response, no_tickets};
use xchat_pigeonhole::outcome::{ReadOutcome, WriteOutcome};
use xchat_pigeonhole::{BoxId, SealedBox};

use crate::{Bytes, Target};

pub(crate) const ENGINE: Target =
    Target { name: "engine", body: engine, seeds: engine_seeds, tries: 60 };
pub(crate) const STORED: Target =
    Target { name: "stored", body: stored, seeds: stored_seeds, tries: 300 };

/// Turns of one input.
const MAX_TURNS: usize = 120;

/// Keys that a person's database may hold beside MLS': more than an input can ask for.
const MAX_KEYS: usize = 2_000;

type Disk = BTreeMap<Vec<u8>, Vec<u8>>;

struct Person {
    engine: Engine,
    disk: Disk,
    under_way: Vec<Effect>,
    followed: Vec<BoxId>,
    links: Vec<String>,
}

struct Watched {
    now: Timestamp,
    rng: ChaCha20Rng,
    people: [Person; 2],
    boxes: BTreeMap<BoxId, SealedBox>,
}

fn profile() -> Profile {
    Profile { name: "person".into(), network: "fuzz".into(), network_id: [7; 16] }
}

fn start(disks: [Disk; 2], boxes: BTreeMap<BoxId, SealedBox>) -> Watched {
    let mut rng = ChaCha20Rng::seed_from_u64(14);
    let now = Timestamp::from_secs(1_800_000_000);
    let mut first = Vec::new();
    let people = disks.map(|disk| {
        let state = disk.clone().into_iter().collect();
        let loaded = Engine::load(profile(), state, now, &mut rng);
        let (engine, effects) = loaded.expect("what it stored, it loads");
        first.push(effects);
        Person { engine, disk, under_way: Vec::new(), followed: Vec::new(), links: Vec::new() }
    });
    let mut watched = Watched { now, rng, people, boxes };
    for (who, effects) in first.into_iter().enumerate() {
        watched.people[who].carry_out(effects);
    }
    watched
}

impl Person {
    fn carry_out(&mut self, effects: Vec<Effect>) {
        for (n, effect) in effects.into_iter().enumerate() {
            match effect {
                Effect::Persist(changes) => {
                    assert_eq!(n, 0, "what persists comes first");
                    changes.into_iter().for_each(|change| self.persist(change));
                }
                Effect::Write(..) | Effect::Read(_) => self.under_way.push(effect),
                // Followed again with another urgency, it is followed once.
                Effect::Follow(id, ..) if self.followed.contains(&id) => {}
                Effect::Follow(id, ..) => self.followed.push(id),
                Effect::Unfollow(id) => self.followed.retain(|known| *known != id),
                Effect::Done { result: Ok(Response::Link(link)), .. } => self.links.push(link),
                _ => {}
            }
        }
        assert!(self.disk.len() <= MAX_KEYS, "{} keys", self.disk.len());
    }

    fn persist(&mut self, change: Change) {
        match change {
            Change::Put { key, value } => drop(self.disk.insert(key, value)),
            Change::Delete { key } => drop(self.disk.remove(&key)),
            Change::DeletePrefix { prefix } => {
                assert!(!prefix.is_empty(), "everything would be deleted");
                self.disk.retain(|key, _| !key.starts_with(&prefix));
            }
            Change::Message(_) | Change::MessageState { .. } | Change::MessageNumber { .. } => {}
        }
    }
}

impl Watched {
    fn handle(&mut self, who: usize, input: Input) {
        let effects =
            self.people[who].engine.handle(input, self.now, &mut self.rng, &mut no_tickets);
        self.people[who].carry_out(effects);
    }

    fn command(&mut self, who: usize, command: Command) {
        self.handle(who, Input::Command { tag: 0, command });
    }

    /// An operation is answered, as the boxes are.
    fn honest(&mut self, who: usize, at: usize) {
        let input = match self.people[who].under_way.remove(at) {
            Effect::Write(boxed, _) => {
                let id = boxed.id();
                let value = self.boxes.entry(id).or_insert_with(|| boxed.clone()).clone();
                let same = value == boxed;
                let outcome = if same { WriteOutcome::Stored } else { WriteOutcome::Exists(value) };
                Input::Written { id, outcome }
            }
            Effect::Read(id) => {
                let found = self.boxes.get(&id).cloned();
                Input::Read { id, outcome: found.map_or(ReadOutcome::Empty, ReadOutcome::Found) }
            }
            _ => return,
        };
        self.handle(who, input);
    }

    /// An operation is answered with a lie.
    fn lie(&mut self, who: usize, at: usize, input: &mut Bytes<'_>) {
        let other = self.any_box(input);
        let answer = match self.people[who].under_way.remove(at) {
            Effect::Write(boxed, _) => {
                let outcome = match (input.u8() % 3, other) {
                    (0, Some(other)) => WriteOutcome::Exists(other),
                    (1, _) => WriteOutcome::Stored,
                    _ => WriteOutcome::Expired,
                };
                Input::Written { id: boxed.id(), outcome }
            }
            Effect::Read(id) => {
                let outcome = match (input.u8() % 3, other) {
                    (0, Some(other)) => ReadOutcome::Found(other),
                    (1, _) => ReadOutcome::Empty,
                    _ => ReadOutcome::Expired,
                };
                Input::Read { id, outcome }
            }
            _ => return,
        };
        self.handle(who, answer);
    }

    fn any_box(&self, input: &mut Bytes<'_>) -> Option<SealedBox> {
        let at = usize::from(input.u8());
        let boxed = self.boxes.values().nth(at % self.boxes.len().max(1))?;
        SealedBox::from_bytes(&input.edit(boxed.as_bytes())).ok()
    }

    fn arrive(&mut self, who: usize) -> bool {
        let person = &mut self.people[who];
        let ready = person.followed.iter().position(|id| self.boxes.contains_key(id));
        let Some(at) = ready else { return false };
        let id = person.followed.swap_remove(at);
        let boxed = self.boxes[&id].clone();
        self.handle(who, Input::Arrived(boxed));
        true
    }

    fn act(&mut self, input: &mut Bytes<'_>) {
        let (what, who) = (input.u8(), input.index(2));
        let under_way = self.people[who].under_way.len();
        match what % 12 {
            0 => self.say(who),
            1 => self.command(who, Command::Invite),
            2 => {
                let other = self.people[1 - who].links.last().cloned().unwrap_or_default();
                let link = String::from_utf8_lossy(&input.edit(other.as_bytes())).into_owned();
                self.command(who, Command::Accept { link });
            }
            3 => {
                self.now = self.now + Duration::from_secs(u64::from(input.u16()));
                self.handle(who, Input::Timer);
            }
            4 if under_way > 0 => self.lie(who, input.index(under_way), input),
            5 => {
                if let Some(boxed) = self.any_box(input) {
                    self.handle(who, Input::Arrived(boxed));
                }
            }
            6 => self.restart(who),
            7 | 8 => drop(self.arrive(who)),
            _ if under_way > 0 => self.honest(who, input.index(under_way)),
            _ => {}
        }
    }

    fn say(&mut self, who: usize) {
        let contacts = self.people[who].engine.contacts();
        if let Some(contact) = contacts.first() {
            let (conversation, text) = (contact.conversation, "something".to_owned());
            self.command(who, Command::Send { conversation, text });
        }
    }

    fn restart(&mut self, who: usize) {
        let person = &mut self.people[who];
        let state = person.disk.clone().into_iter().collect();
        let loaded = Engine::load(profile(), state, self.now, &mut self.rng);
        let (engine, effects) = loaded.expect("what it stored, it loads");
        person.engine = engine;
        person.under_way.clear();
        person.followed.clear();
        person.carry_out(effects);
    }

    /// Everything that is under way is answered honestly.
    fn settle(&mut self) {
        for _ in 0..400 {
            let mut moved = false;
            for who in [0, 1] {
                if !self.people[who].under_way.is_empty() {
                    self.honest(who, 0);
                    moved = true;
                }
                moved |= self.arrive(who);
            }
            if !moved {
                return;
            }
        }
    }
}

/// Two who have met, said something and have an invitation open.
fn met() -> &'static ([Disk; 2], BTreeMap<BoxId, SealedBox>) {
    static MET: OnceLock<([Disk; 2], BTreeMap<BoxId, SealedBox>)> = OnceLock::new();
    MET.get_or_init(|| {
        let mut world = start(Default::default(), BTreeMap::new());
        world.command(0, Command::Invite);
        world.settle();
        let link = world.people[0].links.last().cloned().expect("its boxes are stored");
        world.command(1, Command::Accept { link });
        world.settle();
        world.say(0);
        world.settle();
        world.command(0, Command::Invite);
        world.settle();
        // On its way, so that flights and outboxes are not empty.
        world.say(0);
        world.say(1);
        assert!(world.people.iter().all(|person| person.engine.contacts().len() == 1));
        let Watched { people: [a, b], boxes, .. } = world;
        ([a.disk, b.disk], boxes)
    })
}

fn engine(input: &[u8]) {
    let mut input = Bytes::new(input);
    let (disks, boxes) = met().clone();
    let mut world = start(disks, boxes);
    for _ in 0..MAX_TURNS {
        if input.is_empty() {
            break;
        }
        world.act(&mut input);
    }
}

fn engine_seeds() -> Vec<Vec<u8>> {
    let answers = [9u8, 0, 0, 9, 1, 0, 7, 0, 7, 1];
    vec![
        [&[0, 0, 0, 1][..], &answers.repeat(4), &[3, 0, 0, 4, 3, 1, 0, 4], &answers.repeat(3)]
            .concat(),
        [&[1, 0][..], &answers.repeat(3), &[2, 1, 0], &answers.repeat(4)].concat(),
        [&[0, 0, 4, 0, 0, 3, 0, 0, 4, 1, 0, 2, 0, 2, 5, 1, 4, 0, 6, 0][..], &answers.repeat(2)]
            .concat(),
    ]
}

/// One entry of the database holds something else: that is an error or a start, and no panic.
fn stored(input: &[u8]) {
    let mut input = Bytes::new(input);
    let ([mut disk, _], _) = met().clone();
    let at = usize::from(input.u8()) % disk.len();
    let key = disk.keys().nth(at).cloned().expect("within the length");
    disk.insert(key, input.rest().to_vec());
    let mut rng = ChaCha20Rng::seed_from_u64(15);
    let now = Timestamp::from_secs(1_800_000_000);
    let state = disk.into_iter().collect();
    if let Ok((mut engine, _)) = Engine::load(profile(), state, now, &mut rng) {
        engine.handle(Input::Timer, now + Duration::from_secs(60), &mut rng, &mut no_tickets);
    }
}

fn stored_seeds() -> Vec<Vec<u8>> {
    let ([disk, _], _) = met();
    let entries = disk.values().enumerate();
    entries.map(|(at, value)| [&[u8::try_from(at).unwrap_or(255)][..], value].concat()).collect()
}
