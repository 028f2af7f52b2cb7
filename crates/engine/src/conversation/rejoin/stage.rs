//! What is under way, in memory and on disk.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xchat_base::{Timestamp, Wire};
use xchat_pigeonhole::outcome::ReadOutcome;
use xchat_pigeonhole::{BoxId, RunPointer, RunReader, SealedBox};
use zeroize::Zeroizing;

use super::answering::Answering;
use super::asking::Asking;
use super::entry::Entry;
use super::{Place, Post};
use crate::conversation::stored::{LoadError, Parts, load_box};
use crate::conversation::{Conversation, EpochGroup, Purpose};
use crate::keys;
use crate::record::Taken;
use crate::turn::Turn;

#[allow(clippy::large_enum_variant)] // One a conversation.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) enum Stage<G> {
    Idle,
    Asking(Asking),
    Answering(Answering<G>),
}

/// A run of the other side that is being read.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) struct Reading {
    reader: RunReader,
    of: Of,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Request,
    /// And the place behind the answer.
    Answer(Place),
}

#[derive(Serialize, Deserialize)]
enum Stored {
    Asking {
        id: [u8; 16],
        member: Vec<u8>,
        asked_at: Timestamp,
        pointer: Vec<u8>,
        entry: Option<SealedBox>,
    },
    Answering {
        to: [u8; 16],
        taken: Taken,
        pointer: Vec<u8>,
        entry: Option<SealedBox>,
    },
}

impl Wire for Stored {
    const FORMAT: &'static str = "stored rejoin";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 64 * 1024;
}

impl<G: EpochGroup> Stage<G> {
    pub(super) fn post(&mut self) -> Option<&mut Post> {
        match self {
            Self::Idle => None,
            Self::Asking(asking) => Some(&mut asking.post),
            Self::Answering(answering) => Some(&mut answering.post),
        }
    }

    /// Our entry, encoded.
    pub(super) fn entry(&self, side: u32) -> Option<Vec<u8>> {
        let entry = match self {
            Self::Idle => return None,
            Self::Asking(Asking { id, post, .. }) => {
                Entry::Request { side, id: *id, run: post.pointer.to_bytes().to_vec() }
            }
            Self::Answering(Answering { to, post, .. }) => {
                Entry::Answer { side, to: *to, run: post.pointer.to_bytes().to_vec() }
            }
        };
        Some(entry.to_wire())
    }

    /// What the database holds of it.
    pub(super) fn load(parts: &mut Parts) -> Result<Self, LoadError> {
        let Some(bytes) = parts.rejoin.remove(&0) else { return Ok(Self::Idle) };
        let mut left = BTreeMap::new();
        for bytes in std::mem::take(&mut parts.rejoin).into_values() {
            let boxed = load_box(&bytes)?;
            left.insert(boxed.id(), boxed);
        }
        let post = |pointer: &[u8], entry: Option<SealedBox>| {
            let pointer = RunPointer::from_bytes(pointer)
                .map_err(|_| LoadError::Incomplete("rejoin pointer"))?;
            // Once there is an entry, the run is stored.
            let left = if entry.is_some() { BTreeMap::new() } else { left };
            Ok::<_, LoadError>(Post { left, pointer, entry, writing: None, placed: false })
        };
        Ok(match Stored::from_wire(&bytes)? {
            Stored::Asking { id, member, asked_at, pointer, entry } => {
                let member = Zeroizing::new(member);
                Self::Asking(Asking { id, member, asked_at, post: post(&pointer, entry)? })
            }
            Stored::Answering { to, taken, pointer, entry } => {
                let group = G::load(std::mem::take(&mut parts.next_mls))?;
                Self::Answering(Answering { to, taken, group, post: post(&pointer, entry)? })
            }
        })
    }
}

impl Post {
    /// Cuts a value into boxes, keeps them, and sends them on their way.
    pub(super) fn seal<G: EpochGroup>(
        conversation: &mut Conversation<G>,
        turn: &mut Turn<'_>,
        value: &[u8],
    ) -> Option<Self> {
        let (pointer, boxes) = RunPointer::seal(turn.rng, value).ok()?;
        let mut left = BTreeMap::new();
        for (number, boxed) in boxes.into_iter().enumerate() {
            turn.put(keys::rejoin(conversation.id, 1 + number as u64), boxed.to_bytes());
            conversation.ids.insert(boxed.id(), Purpose::RejoinRun);
            turn.write(boxed.clone());
            left.insert(boxed.id(), boxed);
        }
        Some(Self { left, pointer, entry: None, writing: None, placed: false })
    }
}

impl<G: EpochGroup> Conversation<G> {
    pub(super) fn save_stage(&mut self, turn: &mut Turn<'_>) {
        let stored = match &self.rejoin.stage {
            Stage::Idle => return,
            Stage::Asking(Asking { id, member, asked_at, post }) => Stored::Asking {
                id: *id,
                member: member.to_vec(),
                asked_at: *asked_at,
                pointer: post.pointer.to_bytes().to_vec(),
                entry: post.entry.clone(),
            },
            Stage::Answering(Answering { to, taken, post, .. }) => Stored::Answering {
                to: *to,
                taken: *taken,
                pointer: post.pointer.to_bytes().to_vec(),
                entry: post.entry.clone(),
            },
        };
        turn.put_wire(keys::rejoin(self.id, 0), &stored);
    }

    /// After a restart: the run again, and a look into the lanes, which say how things stand.
    pub(in crate::conversation) fn resume_rejoin(&mut self, turn: &mut Turn<'_>) {
        if let Some(post) = self.rejoin.stage.post() {
            for (id, boxed) in &post.left {
                self.ids.insert(*id, Purpose::RejoinRun);
                turn.write(boxed.clone());
            }
        }
        if let Some(after) = self.recalling {
            turn.recall(self.id, after, super::numbers::MAX_RECALLED);
        }
        self.look_for_rejoin(turn);
    }

    pub(super) fn read_request(&mut self, turn: &mut Turn<'_>, pointer: RunPointer) {
        self.begin_reading(turn, pointer, Of::Request);
    }

    pub(super) fn read_answer(&mut self, turn: &mut Turn<'_>, pointer: RunPointer, next: Place) {
        self.begin_reading(turn, pointer, Of::Answer(next));
    }

    fn begin_reading(&mut self, turn: &mut Turn<'_>, pointer: RunPointer, of: Of) {
        let reader = RunReader::new(pointer);
        self.rejoin.run_ids = reader.missing().into_iter().collect();
        for id in &self.rejoin.run_ids {
            turn.read(*id);
        }
        self.rejoin.reading = Some(Reading { reader, of });
    }

    /// Whatever is being read does not matter any more.
    pub(super) fn stop_reading(&mut self) {
        self.rejoin.reading = None;
        self.rejoin.run_ids.clear();
    }

    /// A box of the other side's run was read. They stored all of it before the entry, so it is there
    /// or never will be.
    pub(in crate::conversation) fn rejoin_run_read(
        &mut self,
        turn: &mut Turn<'_>,
        id: BoxId,
        outcome: ReadOutcome,
    ) {
        self.rejoin.run_ids.remove(&id);
        let Some(reading) = &mut self.rejoin.reading else { return };
        let value = match outcome {
            ReadOutcome::Found(boxed) => match reading.reader.add(&boxed) {
                Ok(()) => reading.reader.value(),
                Err(error) => Err(error),
            },
            ReadOutcome::Empty | ReadOutcome::Expired => Err(xchat_pigeonhole::run::RunError::Hash),
        };
        let value = match value {
            Ok(None) => return,
            Ok(Some(value)) => Some(value),
            Err(_) => None,
        };
        let of = reading.of;
        self.stop_reading();
        match of {
            Of::Request => self.request_read(turn, value.as_deref()),
            Of::Answer(next) => self.answer_read(turn, value.as_deref(), next),
        }
    }
}
