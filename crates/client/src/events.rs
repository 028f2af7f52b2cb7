//! The stream of events: what was missed first, then what happens, nothing twice and nothing lost.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::broadcast::{self, error::RecvError};
use xchat_engine::Direction;

use crate::api::{Event, Numbered};
use crate::client::Client;
use crate::driver::Changed;
use crate::error::{Error, ErrorKind};
use crate::store::StoredMessage;

/// Where a stream of events begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With what happens from now on.
    Now,
    /// With the messages whose id is greater.
    Message(u64),
    /// After the change with this [`Numbered::seq`]: new messages as those of the history, then changes of older ones. A
    /// message that changed several times since then is told once, as it stands.
    Change(u64),
    /// Where a receiver was cut off: with the messages whose id is greater than `message`, then with what has changed after
    /// `change`.
    History {
        /// The last message that it was told of.
        message: u64,
        /// The last change that it was told of; before that, [`Events::seq`] at its beginning.
        change: u64,
    },
}

/// What the driver gives to a new subscriber.
pub(crate) struct Subscription {
    pub(crate) live: broadcast::Receiver<Numbered>,
    /// The last change before the first event of `live`.
    pub(crate) seq: u64,
    /// The last row of the history.
    pub(crate) last_id: u64,
}

/// A stream of events. Dropping it ends it.
///
/// What is new to the receiver is handed over from the history, in the order of ids; then what became of messages that it
/// knows; then what happens. No change is handed over before all messages that there were at that time: whoever is
/// cut off loses nothing by going on after the last change that it was told of. Who began with [`From::Message`] and was
/// told of no change yet goes on with [`From::History`]: its beginning lies behind what it has not been told.
pub struct Events {
    client: Client,
    live: broadcast::Receiver<Numbered>,
    ready: VecDeque<Numbered>,
    source: Source,
    /// Everything up to this change was handed over, is ready, or lies before the beginning.
    reached: u64,
    /// The last change that was handed over.
    handed_over: u64,
    /// Messages up to this id were handed over from the history (or lie before the beginning), out of turn.
    told: u64,
    /// Messages of ours among them whose last change is still to come from the store, with that change: it is not told if
    /// it is the one after which they were told. What others wrote does not change.
    may_move_on: BTreeMap<u64, u64>,
    /// The client has stopped before all was read.
    cut_short: bool,
}

enum Source {
    /// Messages that are new after `reached`: where they begin is to be found.
    News,
    /// Messages of the history after `told`.
    History,
    /// Changes after `reached`.
    Missed,
    /// What happens.
    Live,
}

impl Events {
    pub(crate) fn new(client: Client, from: From, subscription: Subscription) -> Self {
        let Subscription { live, seq, last_id } = subscription;
        // Nothing comes after a change, or a message, that this profile has not seen yet: it was another profile's.
        let (source, seq, told) = match from {
            From::Now => (Source::Live, seq, 0),
            From::Message(id) => (Source::History, seq, id.min(last_id)),
            From::Change(since) => (Source::News, since.min(seq), 0),
            From::History { message, change } => {
                (Source::History, change.min(seq), message.min(last_id))
            }
        };
        let (ready, may_move_on) = (VecDeque::new(), BTreeMap::new());
        let (handed_over, cut_short) = (seq, false);
        Self {
            client,
            live,
            ready,
            source,
            reached: seq,
            handed_over,
            told,
            may_move_on,
            cut_short,
        }
    }

    /// The last change that lies before the next event, or before the beginning: where a receiver that is cut off goes on.
    pub fn seq(&self) -> u64 {
        self.handed_over
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
                self.handed_over = self.handed_over.max(event.seq);
                return Ok(Some(event));
            }
            let read = match self.source {
                Source::News => self.find_news().await,
                Source::History => self.read_history().await,
                Source::Missed => self.read_missed().await,
                Source::Live => match self.live.recv().await {
                    Ok(event) => {
                        self.take_live(event);
                        continue;
                    }
                    // The buffer has run over; the store has everything.
                    Err(RecvError::Lagged(_)) => {
                        self.source = Source::News;
                        continue;
                    }
                    Err(RecvError::Closed) => return Ok(None),
                },
            };
            self.unless_stopped(read)?;
        }
    }

    /// A client that stopped has said so among its last events. What became of messages meanwhile would lie beyond what
    /// was not read.
    fn unless_stopped(&mut self, read: Result<(), Error>) -> Result<(), Error> {
        match read {
            Err(error) if error.kind() == ErrorKind::Stopped => {
                (self.source, self.cut_short) = (Source::Live, true);
                Ok(())
            }
            other => other,
        }
    }

    #[cfg(test)]
    pub(crate) fn live_for_tests(&self) -> broadcast::Receiver<Numbered> {
        self.live.resubscribe()
    }

    async fn find_news(&mut self) -> Result<(), Error> {
        self.told = self.client.last_id_at(self.reached).await?;
        self.source = Source::History;
        Ok(())
    }

    async fn read_history(&mut self) -> Result<(), Error> {
        let rows = self.client.messages_after(self.told).await?;
        let Some(last) = rows.last() else {
            // Told messages may have moved on since the beginning.
            self.source = Source::Missed;
            return Ok(());
        };
        self.told = last.row.id;
        let own = |stored: &&StoredMessage| stored.row.direction == Direction::Out;
        for stored in rows.iter().filter(own).filter(|stored| stored.seq > self.reached) {
            self.may_move_on.insert(stored.row.id, stored.seq);
        }
        // No number to go on from: rows of the history come by their ids, not in the order in which
        // they last changed.
        self.ready.extend(
            rows.into_iter()
                .map(|stored| Numbered { seq: 0, event: Event::Message(stored.row.into()) }),
        );
        Ok(())
    }

    async fn read_missed(&mut self) -> Result<(), Error> {
        let Changed { rows, last_id } = self.client.changed_after(self.reached).await?;
        if last_id > self.told {
            self.source = Source::History;
            return Ok(());
        }
        let Some(last) = rows.last() else {
            self.source = Source::Live;
            self.may_move_on.clear();
            return Ok(());
        };
        self.reached = last.seq;
        let known = &self.may_move_on;
        let moved = rows.into_iter().filter(|StoredMessage { row, seq, .. }| {
            row.direction == Direction::Out && known.get(&row.id) != Some(seq)
        });
        self.ready.extend(moved.map(|StoredMessage { row, seq, .. }| {
            let (id, conversation, state) = (row.id, row.conversation, row.state);
            Numbered { seq, event: Event::MessageState { id, conversation, state } }
        }));
        Ok(())
    }

    fn take_live(&mut self, mut numbered: Numbered) {
        let of_message = matches!(numbered.event, Event::Message(_) | Event::MessageState { .. });
        // Those about messages have the numbers of their changes, one after the other; the others that of the last one.
        let next = self.reached + u64::from(of_message);
        if numbered.seq > next && !self.cut_short {
            // Something was stored of which nothing was said, as when the disk failed in the midst of it.
            self.source = Source::News;
        }
        if !of_message {
            // It may have waited while later changes were read, or come before earlier ones.
            numbered.seq = self.reached;
            self.ready.push_back(numbered);
        } else if numbered.seq == next && !self.cut_short {
            self.reached = next;
            self.ready.push_back(numbered);
        }
    }
}

#[cfg(test)]
mod tests;
