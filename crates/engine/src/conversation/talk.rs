//! One side of a conversation of two by itself: no person, no invitations, no other conversations around it.

use std::collections::BTreeMap;

use xchat_base::Timestamp;
use xchat_base::random::Rng;
use xchat_pigeonhole::BoxId;

use super::{Conversation, EpochGroup, Founding, LoadError, Parts};
use crate::api::{ConversationId, Effect, HandOut, Input};
use crate::turn::Turn;

/// One side of a conversation, over any group: what a simulation of thousands of people drives, to whom MLS says
/// nothing (`testing/simnet`). People have an [`crate::Engine`], which has one such conversation for each contact.
///
/// The invariant of use is the engine's.
pub struct Talk<G> {
    conversation: Conversation<G>,
    next_row: u64,
}

impl<G: EpochGroup> Talk<G> {
    /// Begins a conversation in its group's first common epoch, as of two who met at `since` and have said nothing yet.
    pub fn found(
        id: ConversationId,
        group: G,
        since: Timestamp,
        now: Timestamp,
        rng: &mut Rng,
    ) -> (Self, Vec<Effect>) {
        let founding = Founding { id, group, name: "peer".to_owned(), invitation: [0; 32] };
        let mut turn = Turn::new(since, rng, 1);
        let mut conversation = Conversation::found(&mut turn, founding);
        turn.now = now;
        conversation.resume(&mut turn);
        let mut talk = Self { conversation, next_row: 1 };
        let effects = talk.finish(turn);
        (talk, effects)
    }

    /// What a start of the program makes of all that [`Effect::Persist`] has stored, as [`crate::Engine::load`].
    ///
    /// # Errors
    /// [`LoadError`]: the stored state is damaged.
    pub fn load(
        id: ConversationId,
        disk: &BTreeMap<Vec<u8>, Vec<u8>>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<Effect>), LoadError> {
        let (parts, next_row) = Parts::of_one(disk)?;
        let mut conversation = Conversation::load(id, parts, now)?;
        let mut turn = Turn::new(now, rng, next_row);
        conversation.resume(&mut turn);
        let mut talk = Self { conversation, next_row };
        let effects = talk.finish(turn);
        Ok((talk, effects))
    }

    /// Says something; the row of the history that it is.
    pub fn say<'a>(
        &mut self,
        text: String,
        now: Timestamp,
        rng: &'a mut Rng,
        tickets: &'a mut HandOut<'a>,
    ) -> (u64, Vec<Effect>) {
        let mut turn = Turn::new(now, rng, self.next_row).with_tickets(tickets);
        let (row, _) = self.conversation.send_text(&mut turn, text);
        (row, self.finish(turn))
    }

    /// As [`crate::Engine::handle`]. Commands, and boxes of somebody else's, change nothing.
    pub fn handle<'a>(
        &mut self,
        input: Input,
        now: Timestamp,
        rng: &'a mut Rng,
        tickets: &'a mut HandOut<'a>,
    ) -> Vec<Effect> {
        let mut turn = Turn::new(now, rng, self.next_row).with_tickets(tickets);
        let conversation = &mut self.conversation;
        match input {
            Input::Written { id, outcome } if conversation.owns(&id) => {
                conversation.written(&mut turn, id, outcome);
            }
            Input::Read { id, outcome } if conversation.owns(&id) => {
                conversation.read(&mut turn, id, outcome);
            }
            Input::Arrived(boxed) if conversation.owns(&boxed.id()) => {
                conversation.arrived(&mut turn, boxed);
            }
            Input::Recalled { recalled, .. } => conversation.recalled(&mut turn, recalled),
            Input::Timer => conversation.timer(&mut turn),
            Input::Written { .. }
            | Input::Read { .. }
            | Input::Arrived(_)
            | Input::Command { .. } => {}
        }
        self.finish(turn)
    }

    /// Whether a box belongs to this conversation now.
    pub fn owns(&self, id: &BoxId) -> bool {
        self.conversation.owns(id)
    }

    /// The epoch that it is in.
    pub fn epoch(&self) -> u64 {
        self.conversation.epoch.number
    }

    fn finish(&mut self, mut turn: Turn<'_>) -> Vec<Effect> {
        self.conversation.save(&mut turn);
        let wake_at = self.conversation.next_wake(turn.now);
        let (effects, next_row) = turn.finish(Some(wake_at));
        self.next_row = next_row;
        effects
    }
}
