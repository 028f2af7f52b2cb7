//! Where the time of a message goes: its steps from being said to being read, as nodes that all tell what they see show them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use xchat_base::Timestamp;
use xchat_pigeonhole::BoxId;
use xchat_sphinx::CollectorSession;

use crate::seen::{Asked, FrameId, Inside, Insight, Observer, Said, Wrote};

/// One message's way, step by step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Steps {
    /// Until a slot takes it, and to the gateway.
    pub write: Duration,
    /// From the gateway over three mixes to the store.
    pub way_in: Duration,
    /// Until two of three stores have it, and the one that keeps the ticket has been told.
    pub stores: Duration,
    /// Over three mixes to the collector.
    pub to_collector: Duration,
    /// Until a collect comes.
    pub collect: Duration,
    /// Over three mixes and the gateway to the reader's history.
    pub way_back: Duration,
}

impl Steps {
    /// In their order.
    pub const fn all(&self) -> [Duration; 6] {
        [self.write, self.way_in, self.stores, self.to_collector, self.collect, self.way_back]
    }
}

/// What is known of a box that a client has written.
#[derive(Debug, Clone, Copy)]
struct Written {
    id: BoxId,
    /// Frames of nodes come in microseconds, what is said in milliseconds.
    left_micros: Option<u64>,
    asked_micros: Option<u64>,
    delivered_micros: Option<u64>,
    item_micros: Option<u64>,
    collected_micros: Option<u64>,
}

/// Watches one client that says things to another, each after the one before has arrived. All nodes must be hostile.
#[derive(Debug, Default)]
pub struct StepWatch {
    writer: u32,
    boxes: Vec<Written>,
    /// The box that a ticket, or the box itself, tells of.
    tells: BTreeMap<BoxId, usize>,
    /// When the packet in a frame left its client's gateway.
    began: BTreeMap<FrameId, u64>,
    /// The delivery in a frame.
    carried: BTreeMap<FrameId, BoxId>,
    /// What lies at collectors.
    items: BTreeMap<CollectorSession, VecDeque<Option<BoxId>>>,
    /// What has arrived, with the boxes that were written before it was said.
    said: Vec<Said>,
    /// Boxes written, when something was said.
    ahead: BTreeMap<u64, usize>,
}

impl StepWatch {
    /// Of what this client says.
    pub fn new(writer: u32) -> Self {
        Self { writer, ..Self::default() }
    }

    /// This message is about to be said.
    pub fn about_to_say(&mut self, number: u64) {
        self.ahead.insert(number, self.boxes.len());
    }

    /// How long each message took that has arrived, and its steps, if it came by a delivery.
    pub fn taken(&self) -> Vec<(Duration, Option<Steps>)> {
        let taken = |said: &Said| {
            let arrived = said.arrived?;
            let first = self.ahead.get(&said.number).and_then(|&first| self.boxes.get(first));
            let steps = first.and_then(|written| written.steps(said.at, arrived));
            Some((arrived.since(said.at), steps))
        };
        self.said.iter().filter_map(taken).collect()
    }

    fn of(&mut self, told: &BoxId) -> Option<&mut Written> {
        self.boxes.get_mut(*self.tells.get(told)?)
    }
}

impl Written {
    fn steps(&self, said: Timestamp, arrived: Timestamp) -> Option<Steps> {
        let between = |from: u64, until: u64| until.checked_sub(from).map(Duration::from_micros);
        let (left, asked) = (self.left_micros?, self.asked_micros?);
        let (delivered, item, collected) =
            (self.delivered_micros?, self.item_micros?, self.collected_micros?);
        Some(Steps {
            write: between(said.as_micros(), left)?,
            way_in: between(left, asked)?,
            stores: between(asked, delivered)?,
            to_collector: between(delivered, item)?,
            collect: between(item, collected)?,
            way_back: between(collected, arrived.as_micros())?,
        })
    }
}

impl Observer for StepWatch {
    fn inside(&mut self, insight: &Insight) {
        let at = insight.at_micros;
        match insight.inside {
            Inside::Up { left, .. } => {
                self.began.insert(left, at);
            }
            Inside::Mixed { came, left, .. } => {
                if let Some(began) = self.began.remove(&came) {
                    self.began.insert(left, began);
                }
                if let Some(carried) = self.carried.remove(&came) {
                    self.carried.insert(left, carried);
                }
            }
            Inside::Request { asked, came } => {
                let began = self.began.remove(&came);
                match asked {
                    Asked::Write { id, told } => {
                        let place = self.boxes.iter().position(|written| written.id == id);
                        let Some(place) = place else { return };
                        self.tells.extend([(id, place), (told, place)]);
                        let written = &mut self.boxes[place];
                        if written.asked_micros.is_none() {
                            (written.left_micros, written.asked_micros) = (began, Some(at));
                        }
                    }
                    Asked::Collect { session, item: true } => {
                        let told = self.items.entry(session).or_default().pop_front().flatten();
                        if let Some(written) = told.and_then(|told| self.of(&told)) {
                            written.collected_micros.get_or_insert(at);
                        }
                    }
                    _ => {}
                }
            }
            Inside::Delivery { id, left } => {
                if let Some(written) = self.of(&id) {
                    written.delivered_micros.get_or_insert(at);
                }
                self.carried.insert(left, id);
            }
            Inside::Item { session, came } => {
                let told = self.carried.remove(&came);
                self.items.entry(session).or_default().push_back(told);
                if let Some(written) = told.and_then(|told| self.of(&told)) {
                    written.item_micros.get_or_insert(at);
                }
            }
            _ => {}
        }
    }

    fn said(&mut self, said: &Said) {
        if said.from == self.writer {
            self.said.push(*said);
        }
    }

    fn wrote(&mut self, wrote: &Wrote) {
        if wrote.from == self.writer {
            self.boxes.push(Written {
                id: wrote.id,
                left_micros: None,
                asked_micros: None,
                delivered_micros: None,
                item_micros: None,
                collected_micros: None,
            });
        }
    }
}
