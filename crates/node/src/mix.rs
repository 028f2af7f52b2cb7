//! The mix: opens one layer of a packet, holds it for the time its sender drew, and passes it on.

mod delay;
#[cfg(test)]
mod tests;

use xchat_base::{Rng, Timestamp};
use xchat_directory::descriptor::LAYERS;
use xchat_directory::{Descriptor, NodeId, Role, VerifiedDocument};
use xchat_sphinx::{
    HopAddress, HopKey, HopSecret, NodeFrame, Packet, PacketFormat, ReplyTag, Unwrapped,
};

use crate::hop::{Dropped, Hop, HopSetup, MAX_REPLAY_TAGS, TagPrint};
use crate::start::{self, StartError};
use delay::{DelayQueue, Due, NotQueued};

pub use delay::{MAX_DELAY_MEANS, MAX_DELAYED, MAX_LATENESS, MIN_DELAY_LIMIT};

/// What can happen to a mix.
#[non_exhaustive]
pub enum Input {
    /// A peer sent a frame on a packet link.
    NodeFrame {
        /// The peer, as its link proved it.
        from: NodeId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// A newer document.
    Document(VerifiedDocument),
    /// The secret of a hop key that a coming document will list.
    AddSecret(HopSecret),
    /// The time of the last `WakeAt` has come.
    Timer,
}

/// What a mix wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Append to the replay journal of this key, before anything later in the batch and before any
    /// later batch.
    RememberTags {
        /// Under which key the packets came.
        key: HopKey,
        /// Their prints.
        tags: Vec<TagPrint>,
    },
    /// This key is over: erase its stored secret, then its replay journal.
    ForgetKey {
        /// Which.
        key: HopKey,
    },
    /// Send a frame on a packet link; where no link is, or its queue is full, drop it.
    ToNode {
        /// The peer.
        to: NodeId,
        /// One frame.
        bytes: Vec<u8>,
    },
    /// Hand in a `Timer` then; replaces the `WakeAt` before it.
    WakeAt(Timestamp),
}

/// What a mix has done since it started. Coarse by intent: nothing here tells one packet from
/// another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames that came.
    pub received: u64,
    /// Packets passed on.
    pub forwarded: u64,
    /// Frames from peers that are not of the layer before.
    pub unknown_peer: u64,
    /// Frames and packets that could not be read with any current key.
    pub unreadable: u64,
    /// Packets that came before.
    pub replays: u64,
    /// Frames of mixes that send packets twice, which are refused for a while.
    pub refused_peer: u64,
    /// Packets refused because the replay cache is full.
    pub cache_full: u64,
    /// Packets whose next hop is no node of the layer behind.
    pub bad_next_hop: u64,
    /// Packets that ask for more than [`MAX_DELAY_MEANS`] allows.
    pub delay_too_long: u64,
    /// Packets refused because [`MAX_DELAYED`] waited.
    pub queue_full: u64,
    /// Packets dropped because their time was long over.
    pub late: u64,
    /// Documents that did not follow from the one in use.
    pub refused_documents: u64,
    /// Packets that wait now.
    pub waiting: u64,
    /// Replay tags remembered now.
    pub remembered: u64,
}

/// Where a packet goes when its time has come.
struct Outgoing {
    to: NodeId,
    frame: NodeFrame,
}

/// A mix of one layer.
pub struct Mix {
    id: NodeId,
    document: VerifiedDocument,
    hop: Hop,
    queue: DelayQueue<Outgoing>,
    counters: Counters,
    woken_for: Option<Timestamp>,
}

impl Mix {
    /// A mix that starts, or starts again.
    ///
    /// # Errors
    /// [`StartError`]: the document does not know this node as a mix, or by other keys.
    pub fn new(
        id: NodeId,
        document: VerifiedDocument,
        setup: HopSetup,
        now: Timestamp,
    ) -> Result<(Self, Vec<Effect>), StartError> {
        Self::with_bounds(id, document, setup, now, MAX_DELAYED, MAX_REPLAY_TAGS)
    }

    fn with_bounds(
        id: NodeId,
        document: VerifiedDocument,
        setup: HopSetup,
        now: Timestamp,
        max_delayed: usize,
        max_tags: usize,
    ) -> Result<(Self, Vec<Effect>), StartError> {
        let own = start::own(&document, &id, "mix", |role| matches!(role, Role::Mix { .. }))?;
        let hop = Hop::new(setup, own, max_tags).ok_or(StartError::NoHopKey { id })?;
        let mut mix = Self {
            id,
            document,
            hop,
            queue: DelayQueue::new(max_delayed),
            counters: Counters::default(),
            woken_for: None,
        };
        let mut effects = Vec::new();
        mix.forget_ended(now, &mut effects);
        mix.wake(&mut effects);
        Ok((mix, effects))
    }

    /// With packets of another format, for simulations; before the first input.
    #[must_use]
    pub fn with_format(mut self, format: &'static dyn PacketFormat) -> Self {
        self.hop.format = format;
        self
    }

    /// The one door. `rng` is not drawn from: delays are the senders'.
    pub fn handle(&mut self, input: Input, now: Timestamp, _rng: &mut Rng) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::NodeFrame { from, bytes } => self.frame(&from, &bytes, now, &mut effects),
            Input::Document(newer) => self.follow(newer, now, &mut effects),
            Input::AddSecret(secret) => {
                // Of a node that was suspended for long, those whose time is over have all the places.
                self.forget_ended(now, &mut effects);
                self.hop.add_secret(secret);
                self.hop.follow(&self.document, &self.id);
            }
            Input::Timer => {
                self.woken_for = None;
                self.forget_ended(now, &mut effects);
            }
        }
        self.send_due(now, &mut effects);
        self.wake(&mut effects);
        effects
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        Counters {
            waiting: self.queue.len() as u64,
            remembered: self.hop.remembered() as u64,
            ..self.counters
        }
    }

    /// Its layer by the current document; `None` if that does not list it as a mix any more.
    pub fn layer(&self) -> Option<u8> {
        match self.document.node(&self.id)?.role {
            Role::Mix { layer } => Some(layer),
            _ => None,
        }
    }

    /// Peers that send packets twice: mixes, of which nothing is taken for that, and gateways and stores, whose clients may do it.
    pub fn repeating(&self, now: Timestamp) -> Vec<NodeId> {
        self.hop.repeating(now)
    }

    /// The document in use.
    pub fn document(&self) -> &VerifiedDocument {
        &self.document
    }

    fn frame(&mut self, from: &NodeId, bytes: &[u8], now: Timestamp, effects: &mut Vec<Effect>) {
        self.counters.received += 1;
        let Some(layer) = self.layer() else {
            self.counters.unknown_peer += 1;
            return;
        };
        let Some(peer) = self.document.node(from).filter(|peer| sends_to(peer, layer)) else {
            self.counters.unknown_peer += 1;
            return;
        };
        if matches!(peer.role, Role::Mix { .. }) && self.hop.is_repeating(from, now) {
            self.counters.refused_peer += 1;
            return;
        }
        // A tag belongs on the last link only; here it would be a mark.
        let packet = match NodeFrame::from_bytes(bytes) {
            Ok(NodeFrame { tag: ReplyTag::NONE, packet }) => packet,
            _ => {
                self.counters.unreadable += 1;
                return;
            }
        };
        let opened = match self.hop.open(from, &packet, now) {
            Ok(opened) => opened,
            Err(dropped) => {
                match dropped {
                    Dropped::Unreadable => self.counters.unreadable += 1,
                    Dropped::Replay => self.counters.replays += 1,
                    Dropped::CacheFull => self.counters.cache_full += 1,
                }
                return;
            }
        };
        effects.push(Effect::RememberTags { key: opened.key, tags: vec![opened.print] });
        let Unwrapped::Forward { next, delay, packet } = opened.unwrapped else {
            self.counters.bad_next_hop += 1;
            return;
        };
        let Some(outgoing) = self.outgoing(layer, next, packet) else {
            self.counters.bad_next_hop += 1;
            return;
        };
        match self.queue.push(outgoing, delay, self.document.parameters.mix_delay, now) {
            Ok(()) => {}
            Err(NotQueued::DelayTooLong) => self.counters.delay_too_long += 1,
            Err(NotQueued::Full) => self.counters.queue_full += 1,
        }
    }

    /// The next hop, if packets of this layer go there.
    fn outgoing(&self, layer: u8, next: HopAddress, packet: Packet) -> Option<Outgoing> {
        let node = self.document.node_by_tag(next.node_tag().as_bytes())?;
        let tag = next.reply_tag();
        let fits = match node.role {
            Role::Store { .. } => layer == LAYERS && tag.is_none(),
            Role::Gateway => layer == LAYERS && tag.is_some(),
            Role::Mix { layer: behind } => layer + 1 == behind && tag.is_none(),
            _ => false,
        };
        let frame = NodeFrame { tag: tag.unwrap_or(ReplyTag::NONE), packet };
        fits.then_some(Outgoing { to: node.id, frame })
    }

    fn send_due(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some(due) = self.queue.pop_due(now) {
            match due {
                Due::Now(Outgoing { to, frame }) => {
                    self.counters.forwarded += 1;
                    effects.push(Effect::ToNode { to, bytes: frame.to_bytes() });
                }
                Due::Late => self.counters.late += 1,
            }
        }
    }

    fn follow(&mut self, newer: VerifiedDocument, now: Timestamp, effects: &mut Vec<Effect>) {
        if start::replace(&mut self.document, newer).is_err() {
            self.counters.refused_documents += 1;
            return;
        }
        self.hop.follow(&self.document, &self.id);
        self.forget_ended(now, effects);
    }

    fn forget_ended(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let ended = self.hop.forget_ended(now);
        effects.extend(ended.into_iter().map(|key| Effect::ForgetKey { key }));
    }

    fn wake(&mut self, effects: &mut Vec<Effect>) {
        let next = [self.queue.next_due(), self.hop.next_end()].into_iter().flatten().min();
        if let Some(next) = next.filter(|_| next != self.woken_for) {
            self.woken_for = Some(next);
            effects.push(Effect::WakeAt(next));
        }
    }
}

/// Whether packets for a mix of this layer come from such a node: from the layer before; for the
/// first layer from gateways (clients' packets) and stores (answers).
fn sends_to(peer: &Descriptor, layer: u8) -> bool {
    match peer.role {
        Role::Gateway | Role::Store { .. } => layer == 1,
        Role::Mix { layer: before } => before + 1 == layer,
        _ => false,
    }
}
