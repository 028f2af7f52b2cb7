//! The three kinds of nodes behind one door.

use std::mem;

use xchat_base::Timestamp;
use xchat_base::random::Rng;
use xchat_directory::{NodeId, VerifiedDocument};
use xchat_node::gateway::SessionId;
use xchat_node::{gateway, mix, store};
use xchat_sphinx::{HopSecret, LinkKey, PacketFormat};

use crate::network::Core;
use crate::seen::Part;

/// What can happen to a node.
pub(crate) enum In {
    Packet { from: NodeId, bytes: Vec<u8> },
    Replica { from: NodeId, bytes: Vec<u8> },
    Opened { session: SessionId, link: LinkKey },
    Client { session: SessionId, bytes: Vec<u8> },
    Closed { session: SessionId },
    AddSecret(HopSecret),
    Document(VerifiedDocument),
    Timer,
}

/// What a node wants.
pub(crate) enum Out {
    Packet { to: NodeId, bytes: Vec<u8> },
    Replica { to: NodeId, bytes: Vec<u8> },
    Client { session: SessionId, bytes: Vec<u8> },
    Close { session: SessionId },
    WakeAt(Timestamp),
}

impl Core {
    /// With packets of this format.
    pub(crate) fn with_format(self, format: &'static dyn PacketFormat) -> Self {
        match self {
            Self::Gateway(gateway) => Self::Gateway(gateway.with_format(format)),
            Self::Mix(mix) => Self::Mix(mix.with_format(format)),
            Self::Store(store) => Self::Store(store.with_format(format)),
        }
    }

    pub(crate) fn part(&self) -> Part {
        match self {
            Self::Gateway(_) => Part::Gateway,
            Self::Mix(mix) => Part::Mix(mix.layer().unwrap_or_default()),
            Self::Store(_) => Part::Store,
        }
    }

    /// One input; what has no business here is dropped, as a driver's routing would.
    pub(crate) fn take(&mut self, input: In, now: Timestamp, rng: &mut Rng) -> Vec<Out> {
        match self {
            Self::Gateway(core) => {
                let input = match input {
                    In::Packet { from, bytes } => gateway::Input::NodeFrame { from, bytes },
                    In::Opened { session, link } => gateway::Input::ClientOpened { session, link },
                    In::Client { session, bytes } => gateway::Input::ClientFrame { session, bytes },
                    In::Closed { session } => gateway::Input::ClientClosed { session },
                    In::Document(document) => gateway::Input::Document(document),
                    In::Timer => gateway::Input::Timer,
                    In::Replica { .. } | In::AddSecret(_) => return Vec::new(),
                };
                core.handle(input, now, rng).into_iter().filter_map(of_gateway).collect()
            }
            Self::Mix(core) => {
                let input = match input {
                    In::Packet { from, bytes } => mix::Input::NodeFrame { from, bytes },
                    In::AddSecret(secret) => mix::Input::AddSecret(secret),
                    In::Document(document) => mix::Input::Document(document),
                    In::Timer => mix::Input::Timer,
                    _ => return Vec::new(),
                };
                core.handle(input, now, rng).into_iter().filter_map(of_mix).collect()
            }
            Self::Store(core) => {
                let input = match input {
                    In::Packet { from, bytes } => store::Input::NodeFrame { from, bytes },
                    In::Replica { from, bytes } => store::Input::ReplicaFrame { from, bytes },
                    In::AddSecret(secret) => store::Input::AddSecret(secret),
                    In::Document(document) => store::Input::Document(document),
                    In::Timer => store::Input::Timer,
                    _ => return Vec::new(),
                };
                core.handle(input, now, rng).into_iter().filter_map(of_store).collect()
            }
        }
    }

    /// The document that it goes by.
    pub(crate) fn document(&self) -> &VerifiedDocument {
        match self {
            Self::Gateway(gateway) => gateway.document(),
            Self::Mix(mix) => mix.document(),
            Self::Store(store) => store.document(),
        }
    }

    /// Which nodes send packets twice, as far as this one has noticed.
    pub(crate) fn repeating(&self, now: Timestamp) -> Vec<NodeId> {
        match self {
            Self::Gateway(gateway) => gateway.repeating(now),
            Self::Mix(mix) => mix.repeating(now),
            Self::Store(store) => store.repeating(now),
        }
    }

    /// How many items wait at a collector.
    pub(crate) fn items(&self) -> u64 {
        match self {
            Self::Store(store) => store.counters().items,
            _ => 0,
        }
    }
}

fn of_gateway(effect: gateway::Effect) -> Option<Out> {
    Some(match effect {
        gateway::Effect::ToClient { session, bytes } => Out::Client { session, bytes },
        gateway::Effect::ToNode { to, bytes } => Out::Packet { to, bytes },
        gateway::Effect::CloseClient { session, .. } => Out::Close { session },
        gateway::Effect::WakeAt(at) => Out::WakeAt(at),
        _ => return None,
    })
}

fn of_mix(effect: mix::Effect) -> Option<Out> {
    Some(match effect {
        mix::Effect::ToNode { to, bytes } => Out::Packet { to, bytes },
        mix::Effect::WakeAt(at) => Out::WakeAt(at),
        // Nodes do not crash here, so the journal is the core's own memory.
        _ => return None,
    })
}

fn of_store(effect: store::Effect) -> Option<Out> {
    Some(match effect {
        store::Effect::ToNode { to, bytes } => Out::Packet { to, bytes },
        store::Effect::ToReplica { to, bytes } => Out::Replica { to, bytes },
        store::Effect::WakeAt(at) => Out::WakeAt(at),
        // Boxes outlive any run.
        _ => return None,
    })
}

/// What all nodes have done, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests to write.
    pub writes: u64,
    /// Requests to read.
    pub reads: u64,
    /// Registrations.
    pub registers: u64,
    /// Collects.
    pub collects: u64,
    /// Deliveries sent to collectors.
    pub deliveries: u64,
    /// Items that collectors kept.
    pub items: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Packets that clients sent and gateways passed on.
    pub packets_up: u64,
    /// Packets that gateways handed to clients.
    pub packets_down: u64,
    /// Packets that mixes and stores dropped because a bound was reached: a run in which there are any says
    /// nothing about a network in which there are none.
    pub over_bounds: u64,
    /// Frames and packets that were dropped for any other reason.
    pub dropped: u64,
    /// Deliveries for a session that was full, or not open: of a device that was off for long, say.
    pub items_dropped: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, core: &Core) {
        match core {
            Core::Gateway(gateway) => {
                let counters = gateway.counters();
                self.packets_up += counters.to_mixes;
                self.packets_down += counters.to_clients;
                self.over_bounds += counters.over_pace;
                self.dropped += counters.unknown_tag
                    + counters.unknown_mix
                    + counters.malformed
                    + counters.replays
                    + counters.refused_peer;
            }
            Core::Mix(mix) => {
                let counters = mix.counters();
                self.over_bounds += counters.cache_full + counters.queue_full;
                self.dropped += counters.unreadable
                    + counters.replays
                    + counters.refused_peer
                    + counters.bad_next_hop
                    + counters.delay_too_long
                    + counters.late;
            }
            Core::Store(store) => {
                let counters = store.counters();
                self.writes += counters.writes;
                self.reads += counters.reads;
                self.registers += counters.registers;
                self.collects += counters.collects;
                self.deliveries += counters.deliveries_sent;
                self.items += counters.items_kept;
                self.refused += counters.refused;
                self.over_bounds += counters.cache_full + counters.refused_busy;
                self.dropped += counters.unreadable + counters.replays + counters.refused_peer;
                self.items_dropped += counters.items_dropped;
            }
        }
    }

    /// What was done since an earlier count.
    #[must_use]
    pub fn since(mut self, before: &Self) -> Self {
        let less = |after: &mut u64, before: u64| *after = mem::take(after) - before;
        less(&mut self.writes, before.writes);
        less(&mut self.reads, before.reads);
        less(&mut self.registers, before.registers);
        less(&mut self.collects, before.collects);
        less(&mut self.deliveries, before.deliveries);
        less(&mut self.items, before.items);
        less(&mut self.refused, before.refused);
        less(&mut self.packets_up, before.packets_up);
        less(&mut self.packets_down, before.packets_down);
        less(&mut self.over_bounds, before.over_bounds);
        less(&mut self.dropped, before.dropped);
        less(&mut self.items_dropped, before.items_dropped);
        self
    }
}
