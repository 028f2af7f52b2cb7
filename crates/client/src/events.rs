//! The stream of events: what was missed first, then what happens, nothing twice and nothing lost.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::broadcast::{self, error::RecvError};
use xchat_engine::Direction;

use crate::api::{Event, Numbered};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::store::StoredMessage;

/// Where a stream of events begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With what happens from now on.
    Now,
    /// With the messages whose id is greater.
    Message(u64),
    /// After the change with this [`Numbered::seq`]. A message that changed several times since then
    /// is told once, as it stands.
    Change(u64),
    /// With the messages whose id is greater than `message`, which was the last one that a receiver was told of before
    /// it was cut off, and with what has changed after `change`, where that receiver began.
    History {
        /// The last message that it was told of.
        message: u64,
        /// [`Events::seq`] at its beginning.
        change: u64,
    },
}

/// What the driver gives to a new subscriber.
pub(crate) struct Subscription {
    pub(crate) live: broadcast::Receiver<Numbered>,
    /// The last change before the first event of `live`.
    pub(crate) seq: u64,
}

/// A stream of events. Dropping it ends it.
pub struct Events {
    client: Client,
    live: broadcast::Receiver<Numbered>,
    ready: VecDeque<Numbered>,
    source: Source,
    /// Everything up to this change was handed over (or lies before the beginning).
    seq: u64,
    /// Messages up to this id were handed over from history, out of turn.
    told: u64,
    /// Messages of ours that were handed over from the store and may move on before [`Source::Live`], with the change
    /// after which they stood so. What others wrote does not change.
    may_move_on: BTreeMap<u64, u64>,
}

enum Source {
    /// Messages of the history with a greater id.
    History(u64),
    /// Changes after `seq`; rows born after this change are news to the receiver.
    Missed { born_after: u64 },
    /// What happens.
    Live,
}

impl Events {
    pub(crate) fn new(client: Client, from: From, subscription: Subscription) -> Self {
        let Subscription { live, seq } = subscription;
        // Nothing comes after a change that this profile has not seen yet: it was another profile's.
        let within = |change: u64| change.min(seq);
        let (source, seq, told) = match from {
            From::Now => (Source::Live, seq, 0),
            From::Message(id) => (Source::History(id), seq, 0),
            From::Change(since) => {
                let since = within(since);
                (Source::Missed { born_after: since }, since, 0)
            }
            From::History { message, change } => {
                (Source::History(message), within(change), message)
            }
        };
        let (ready, may_move_on) = (VecDeque::new(), BTreeMap::new());
        Self { client, live, ready, source, seq, told, may_move_on }
    }

    /// The last change that lies before the next event, or before the beginning: where a receiver that is cut off goes on.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The next event; `None` once the client has stopped.
    ///
    /// Dropping the future loses nothing, so it may stand in a `select!`.
    ///
    /// # Errors
    /// [`Error`]: the store cannot be read. The stream can be asked again.
    pub async fn next(&mut self) -> Result<Option<Numbered>, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            match self.source {
                Source::History(after) => {
                    let read = self.read_history(after).await;
                    self.unless_stopped(read)?;
                }
                Source::Missed { born_after } => {
                    let read = self.read_missed(born_after).await;
                    self.unless_stopped(read)?;
                }
                Source::Live => match self.live.recv().await {
                    Ok(event) => self.take_live(event),
                    // The buffer has run over; the store has everything.
                    Err(RecvError::Lagged(_)) => {
                        self.source = Source::Missed { born_after: self.seq };
                    }
                    Err(RecvError::Closed) => return Ok(None),
                },
            }
        }
    }

    /// A client that stopped has said so among its last events.
    fn unless_stopped(&mut self, read: Result<(), Error>) -> Result<(), Error> {
        match read {
            Err(error) if error.kind() == ErrorKind::Stopped => {
                self.source = Source::Live;
                Ok(())
            }
            other => other,
        }
    }

    #[cfg(test)]
    pub(crate) fn live_for_tests(&self) -> broadcast::Receiver<Numbered> {
        self.live.resubscribe()
    }

    async fn read_history(&mut self, after: u64) -> Result<(), Error> {
        let rows = self.client.messages_after(after).await?;
        let Some(last) = rows.last() else {
            // Told messages may have moved on since the beginning.
            self.source = Source::Missed { born_after: self.seq };
            return Ok(());
        };
        self.told = last.row.id;
        self.source = Source::History(last.row.id);
        // Changes after the beginning come once more from `changed_after`.
        let beginning = self.seq;
        for stored in rows.iter().filter(|stored| stored.seq > beginning) {
            self.remember(stored);
        }
        // No number to go on from: rows of the history come by their ids, not in the order in which
        // they last changed.
        self.ready.extend(
            rows.into_iter()
                .map(|stored| Numbered { seq: 0, event: Event::Message(stored.row.into()) }),
        );
        Ok(())
    }

    async fn read_missed(&mut self, born_after: u64) -> Result<(), Error> {
        let rows = self.client.changed_after(self.seq).await?;
        let Some(last) = rows.last() else {
            self.source = Source::Live;
            self.may_move_on.clear();
            return Ok(());
        };
        self.seq = last.seq;
        for stored in rows {
            let event = self.missed(stored, born_after);
            self.ready.extend(event);
        }
        Ok(())
    }

    /// What a row that has changed is to the receiver: a message, another state of one, or nothing new.
    fn missed(&mut self, stored: StoredMessage, born_after: u64) -> Option<Numbered> {
        let before = self.may_move_on.get(&stored.row.id).copied();
        let is_news = stored.born > born_after && stored.row.id > self.told && before.is_none();
        if is_news {
            self.remember(&stored);
        }
        let StoredMessage { row, seq, .. } = stored;
        let event = match row.direction {
            _ if is_news => Event::Message(row.into()),
            Direction::Out if before != Some(seq) => {
                let (id, conversation, state) = (row.id, row.conversation, row.state);
                Event::MessageState { id, conversation, state }
            }
            _ => return None,
        };
        Some(Numbered { seq, event })
    }

    fn remember(&mut self, stored: &StoredMessage) {
        if stored.row.direction == Direction::Out {
            self.may_move_on.insert(stored.row.id, stored.seq);
        }
    }

    fn take_live(&mut self, numbered: Numbered) {
        let known = match &numbered.event {
            // It was read from the store before it came up here.
            Event::Message(message) => numbered.seq <= self.seq || message.id <= self.told,
            Event::MessageState { .. } => numbered.seq <= self.seq,
            _ => false,
        };
        self.seq = self.seq.max(numbered.seq);
        if !known {
            self.ready.push_back(numbered);
        }
    }
}

#[cfg(test)]
mod tests;
