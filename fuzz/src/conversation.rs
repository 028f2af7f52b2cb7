//! A conversation whose other member says, writes and commits anything, and lies about nothing that
//! only the register can say.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::Timestamp;
use xchat_engine::{Change, Effect, EpochGroup, Input, Side, SideInput, commit_entry};
use xchat_pigeonhole::outcome::{ReadOutcome, WriteOutcome};
use xchat_pigeonhole::{BoxId, Lane, RunPointer, SealedBox};
use xchat_proofs::pair::ModelGroup;

use crate::{Bytes, Target};

pub(crate) const CONVERSATION: Target =
    Target { name: "conversation", body: conversation, seeds, tries: 400 };

/// Turns of one input; a longer one shows nothing new.
const MAX_TURNS: usize = 300;

/// What a conversation keeps on disk beside its history, whatever the other does: its own state (with
/// at most 9 KiB of a record that goes on), and what we said and is not confirmed.
const MAX_STORED: usize = 64 * 1024;

/// And for each text of ours, while it is not confirmed: its records, and the boxes they lie in.
const MAX_SAID: usize = 24 * 1024;

struct Watched {
    side: Side<ModelGroup>,
    /// The other member's group, with which everything can be said.
    other: ModelGroup,
    /// The lanes of the other's present epoch: their own, ours, and the commit lane.
    lanes: [Lane; 3],
    boxes: BTreeMap<BoxId, SealedBox>,
    followed: Vec<BoxId>,
    under_way: Vec<Effect>,
    disk: BTreeMap<Vec<u8>, Vec<u8>>,
    rng: ChaCha20Rng,
    now: Timestamp,
    said: u8,
}

fn lanes(group: &ModelGroup) -> [Lane; 3] {
    let leaf = |leaf: u32| Lane::new(group.export("lane", &leaf.to_be_bytes()));
    [leaf(1), leaf(0), Lane::new(group.export("commit lane", b""))]
}

fn start() -> Watched {
    let mut rng = ChaCha20Rng::seed_from_u64(13);
    let now = Timestamp::from_secs(1_800_000_000);
    let (side, effects) = Side::found(ModelGroup::new(0), None, now, &mut rng);
    let other = ModelGroup::new(1);
    let mut watched = Watched {
        side,
        lanes: lanes(&other),
        other,
        boxes: BTreeMap::new(),
        followed: Vec::new(),
        under_way: Vec::new(),
        disk: BTreeMap::new(),
        rng,
        now,
        said: 0,
    };
    watched.carry_out(effects);
    watched
}

impl Watched {
    fn handle(&mut self, input: SideInput) {
        let effects = self.side.handle(input, self.now, &mut self.rng);
        self.carry_out(effects);
    }

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
                _ => {}
            }
        }
        let stored: usize = self.disk.iter().map(|(key, value)| key.len() + value.len()).sum();
        let said = usize::from(self.said) * MAX_SAID;
        assert!(stored <= MAX_STORED + said, "{stored} bytes are kept");
        assert!(self.followed.len() <= 512, "{} boxes are followed", self.followed.len());
    }

    fn persist(&mut self, change: Change) {
        match change {
            Change::Put { key, value } => drop(self.disk.insert(key, value)),
            Change::Delete { key } => drop(self.disk.remove(&key)),
            Change::DeletePrefix { prefix } => {
                self.disk.retain(|key, _| !key.starts_with(&prefix));
            }
            Change::Message(_) | Change::MessageState { .. } | Change::MessageNumber { .. } => {}
        }
    }

    /// Writes a box, as the other member can any box of the epoch's lanes.
    fn put(&mut self, lane: usize, content: &[u8]) {
        let Ok(boxed) = self.lanes[lane].keys().seal(&mut self.rng, content) else { return };
        self.lanes[lane].advance();
        self.boxes.entry(boxed.id()).or_insert(boxed);
    }

    fn operation(&mut self, at: usize) {
        match self.under_way.remove(at) {
            Effect::Write(boxed, _) => {
                let id = boxed.id();
                let value = self.boxes.entry(id).or_insert_with(|| boxed.clone()).clone();
                let outcome =
                    if value == boxed { WriteOutcome::Stored } else { WriteOutcome::Exists(value) };
                self.handle(SideInput::Engine(Input::Written { id, outcome }));
            }
            Effect::Read(id) => {
                let found = self.boxes.get(&id).cloned();
                let outcome = found.map_or(ReadOutcome::Empty, ReadOutcome::Found);
                self.handle(SideInput::Engine(Input::Read { id, outcome }));
            }
            _ => {}
        }
    }

    fn expire(&mut self, at: usize) {
        let input = match self.under_way.remove(at) {
            Effect::Write(boxed, _) => {
                Input::Written { id: boxed.id(), outcome: WriteOutcome::Expired }
            }
            Effect::Read(id) => Input::Read { id, outcome: ReadOutcome::Expired },
            _ => return,
        };
        self.handle(SideInput::Engine(input));
    }

    fn act(&mut self, input: &mut Bytes<'_>) {
        let under_way = self.under_way.len();
        match input.u8() % 16 {
            0 => {
                self.said = self.said.saturating_add(1);
                self.handle(SideInput::Say("x".repeat(1 + usize::from(input.u8()) * 32)));
            }
            1 => self.handle(SideInput::Renew),
            2 => {
                // A batch of the fuzzer's own making, in a message that opens.
                let message = self.other.encrypt(&mut self.rng, input.long()).expect("no limit");
                self.put(0, &message);
            }
            3 => self.put(0, input.long()),
            4 => self.put(1, input.long()),
            5 => self.put(2, input.short()),
            6 => {
                // An entry whose run holds what it says, and may not be a commit.
                let value = input.long().to_vec();
                if let Ok((pointer, run)) = RunPointer::seal(&mut self.rng, &value) {
                    let missing = input.index(4);
                    let kept = run.into_iter().enumerate().filter(|(n, _)| n + 1 != missing);
                    self.boxes.extend(kept.map(|(_, boxed)| (boxed.id(), boxed)));
                    self.put(2, &commit_entry(&pointer));
                }
            }
            7 => {
                let commit = ModelGroup::foreign_commit(self.other.epoch());
                let (pointer, run) = RunPointer::seal(&mut self.rng, &commit).expect("short");
                self.boxes.extend(run.into_iter().map(|boxed| (boxed.id(), boxed)));
                self.put(2, &commit_entry(&pointer));
                if self.other.apply_commit(&commit).is_ok() {
                    self.lanes = lanes(&self.other);
                }
            }
            8 if under_way > 0 => self.expire(input.index(under_way)),
            9 | 10 => {
                let ready = self.followed.iter().position(|id| self.boxes.contains_key(id));
                if let Some(at) = ready {
                    let id = self.followed.swap_remove(at);
                    let boxed = self.boxes[&id].clone();
                    self.handle(SideInput::Engine(Input::Arrived(boxed)));
                }
            }
            11 => {
                self.now = self.now + std::time::Duration::from_secs(u64::from(input.u16()));
                self.handle(SideInput::Engine(Input::Timer));
            }
            12 => self.restart(),
            _ if under_way > 0 => self.operation(input.index(under_way)),
            _ => {}
        }
    }

    /// What was persisted loads, and is the same but for what a crash may forget.
    fn restart(&mut self) {
        self.under_way.clear();
        self.followed.clear();
        let loaded = Side::<ModelGroup>::load(&self.disk, None, self.now, &mut self.rng);
        let (side, effects) = loaded.expect("what was stored, loads");
        assert_eq!(side.group().history(), self.side.group().history());
        self.side = side;
        self.carry_out(effects);
    }
}

fn conversation(input: &[u8]) {
    let mut input = Bytes::new(input);
    let mut watched = start();
    for _ in 0..MAX_TURNS {
        if input.is_empty() {
            break;
        }
        watched.act(&mut input);
    }
}

/// A text of the other's, as a batch: version, one record with `seq`, kind text, whole.
fn batch(seq: u8, more: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u8::try_from(body.len()).expect("short");
    let batch: Vec<u8> = [&[1, 1, seq, kind, more, len][..], body].concat();
    let len = u16::try_from(batch.len()).expect("short").to_be_bytes();
    [&[2][..], &len, &batch].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let text = [&[1, 5, 3][..], b"hey"].concat();
    let receive = [9u8, 9, 9];
    vec![
        [&batch(1, 0, 2, &text)[..], &receive, &batch(2, 0, 3, &[1, 1]), &receive].concat(),
        [
            &[0, 1][..],
            &[13u8, 0].repeat(12),
            &[1],
            &[13u8, 0].repeat(20),
            &[12],
            &[13u8, 0].repeat(9),
        ]
        .concat(),
        [&[0, 1, 7][..], &[13u8, 0].repeat(20), &batch(1, 1, 2, &text), &receive, &[12, 13, 0]]
            .concat(),
        [
            &[5, 3, 1, 2, 3, 0, 1][..],
            &[13u8, 0].repeat(9),
            &[6, 0, 4, 1, 2, 3, 4, 1],
            &[13u8, 0].repeat(9),
        ]
        .concat(),
        [
            &batch(0, 0, 4, &[])[..],
            &receive,
            &[13, 0, 8, 0, 11, 255, 255, 4, 0, 1, 7, 0, 0],
            &[13u8, 0].repeat(6),
        ]
        .concat(),
    ]
}
