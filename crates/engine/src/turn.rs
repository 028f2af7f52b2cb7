//! One turn of the engine: what a single `handle` call collects.

use xchat_base::random::Rng;
use xchat_base::{Timestamp, Wire};
use xchat_pigeonhole::{BoxId, Handed, SealedBox, Ticket};

use crate::api::{
    Change, CommandError, ConversationId, Effect, Event, HandOut, MessageRow, MessageState,
    Response, Urgency,
};
use crate::conversation::EpochGroup;
use crate::keys;

/// The inputs and the growing outputs of one `handle` call.
pub(crate) struct Turn<'a> {
    pub(crate) now: Timestamp,
    pub(crate) rng: &'a mut Rng,
    tickets: Option<&'a mut HandOut<'a>>,
    /// The next free row id of the history.
    next_row: u64,
    rows_taken: bool,
    changes: Vec<Change>,
    effects: Vec<Effect>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(now: Timestamp, rng: &'a mut Rng, next_row: u64) -> Self {
        let (changes, effects) = (Vec::new(), Vec::new());
        Self { now, rng, tickets: None, next_row, rows_taken: false, changes, effects }
    }

    /// With somebody who hands out tickets; without, there are none.
    pub(crate) fn with_tickets(mut self, tickets: &'a mut HandOut<'a>) -> Self {
        self.tickets = Some(tickets);
        self
    }

    /// Tickets to be told to the other side of a conversation with the next box.
    pub(crate) fn hand_out(&mut self, conversation: ConversationId, most: usize) -> Handed {
        match &mut self.tickets {
            Some(tickets) if most > 0 => tickets(conversation, most, self.rng),
            _ => Handed::default(),
        }
    }

    /// Takes the next row id.
    pub(crate) fn row_id(&mut self) -> u64 {
        let id = self.next_row;
        self.next_row += 1;
        self.rows_taken = true;
        id
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.push(Change::Put { key, value });
    }

    pub(crate) fn put_wire(&mut self, key: Vec<u8>, value: &impl Wire) {
        self.put(key, value.to_wire());
    }

    pub(crate) fn delete(&mut self, key: Vec<u8>) {
        self.changes.push(Change::Delete { key });
    }

    pub(crate) fn delete_prefix(&mut self, prefix: Vec<u8>) {
        self.changes.push(Change::DeletePrefix { prefix });
    }

    /// Adds to the history and tells the person.
    pub(crate) fn message(&mut self, row: MessageRow) {
        self.changes.push(Change::Message(row.clone()));
        self.event(Event::Message(row));
    }

    /// Moves a row of the history on and tells the person.
    pub(crate) fn message_state(
        &mut self,
        conversation: ConversationId,
        id: u64,
        state: MessageState,
    ) {
        self.changes.push(Change::MessageState { id, state });
        self.event(Event::MessageState { id, conversation, state });
    }

    /// Gives a row of the history another number.
    pub(crate) fn message_number(&mut self, id: u64, number: u64) {
        self.changes.push(Change::MessageNumber { id, number });
    }

    /// Asks for what we said, from the history.
    pub(crate) fn recall(&mut self, conversation: ConversationId, after: u64, limit: u32) {
        self.effects.push(Effect::Recall { conversation, after, limit });
    }

    /// Keeps what OpenMLS changed in its storage.
    pub(crate) fn save_group(&mut self, conversation: ConversationId, group: &mut impl EpochGroup) {
        for (key, value) in group.take_changes() {
            let key = keys::mls(conversation, &key);
            match value {
                Some(value) => self.put(key, value),
                None => self.delete(key),
            }
        }
    }

    pub(crate) fn write(&mut self, boxed: SealedBox) {
        self.effects.push(Effect::Write(boxed, None));
    }

    /// The same of a box whose reader may have handed us a ticket for it.
    pub(crate) fn write_told(&mut self, boxed: SealedBox, ticket: Option<Ticket>) {
        self.effects.push(Effect::Write(boxed, ticket));
    }

    pub(crate) fn read(&mut self, id: BoxId) {
        self.effects.push(Effect::Read(id));
    }

    pub(crate) fn follow(&mut self, id: BoxId, urgency: Urgency) {
        self.effects.push(Effect::Follow(id, urgency, None));
    }

    /// The same of a box for which its writer has tickets.
    pub(crate) fn follow_told(&mut self, id: BoxId, urgency: Urgency, by: ConversationId) {
        self.effects.push(Effect::Follow(id, urgency, Some(by)));
    }

    pub(crate) fn unfollow(&mut self, id: BoxId) {
        self.effects.push(Effect::Unfollow(id));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.effects.push(Effect::Event(event));
    }

    pub(crate) fn done(&mut self, tag: u64, result: Result<Response, CommandError>) {
        self.effects.push(Effect::Done { tag, result });
    }

    /// Closes the turn: the batch, and the next free row id.
    pub(crate) fn finish(mut self, wake_at: Option<Timestamp>) -> (Vec<Effect>, u64) {
        if self.rows_taken {
            self.put(keys::next_row(), self.next_row.to_be_bytes().to_vec());
        }
        let mut batch = Vec::with_capacity(self.effects.len() + 2);
        if !self.changes.is_empty() {
            batch.push(Effect::Persist(self.changes));
        }
        batch.append(&mut self.effects);
        batch.extend(wake_at.map(Effect::WakeAt));
        (batch, self.next_row)
    }
}
