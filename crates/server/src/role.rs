//! One shape for the three cores, so that one loop drives them all.

mod gateway;
mod mix;
mod store;

use std::collections::BTreeMap;

use xchat_base::{Rng, Timestamp};
use xchat_node::TagPrint;
use xchat_node::directory::{NodeId, VerifiedDocument};
use xchat_node::gateway::SessionId;
use xchat_node::sphinx::{HopKey, HopSecret, LinkKey};

use crate::control::{Load, LoopStatus, TableStatus};
use crate::error::NodeError;

pub(crate) use gateway::GatewayRole;
pub(crate) use mix::MixRole;
pub(crate) use store::StoreRole;

/// The two kinds of links between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Packets.
    Packet,
    /// The register's messages between stores.
    Replica,
}

/// What can happen to a core.
pub(crate) enum Input {
    Frame { kind: Kind, from: NodeId, bytes: Vec<u8> },
    ClientOpened { session: SessionId, link: LinkKey },
    ClientFrame { session: SessionId, bytes: Vec<u8> },
    ClientClosed(SessionId),
    ClientLost(SessionId),
    Document(VerifiedDocument),
    AddSecret(HopSecret),
    Timer,
}

/// What a core wants done.
pub(crate) enum Act {
    Remember { key: HopKey, tags: Vec<TagPrint> },
    ForgetKey(HopKey),
    Send { kind: Kind, to: NodeId, bytes: Vec<u8> },
    ToClient { session: SessionId, bytes: Vec<u8> },
    CloseClient(SessionId),
    WakeAt(Timestamp),
}

/// What a core says about itself.
pub(crate) struct RoleStatus {
    pub(crate) catching_up: bool,
    pub(crate) load: Option<Load>,
    pub(crate) table: Option<TableStatus>,
    pub(crate) loops: Option<LoopStatus>,
    pub(crate) repeating: Vec<NodeId>,
    pub(crate) counters: BTreeMap<String, u64>,
}

/// A core and its table, if it has one.
pub(crate) trait Role: Send {
    /// The core's one door.
    fn handle(&mut self, input: Input, now: Timestamp, rng: &mut Rng) -> Vec<Act>;

    /// Makes what the core wrote durable, before anything of the batch leaves.
    fn commit(&mut self) -> Result<(), NodeError> {
        Ok(())
    }

    /// More waits for the core than it works off, or no longer.
    fn pressed(&mut self, _pressed: bool, _now: Timestamp, _rng: &mut Rng) -> Vec<Act> {
        Vec::new()
    }

    /// Every [`crate::core::LOOK_EVERY`]: how things stand on the disk.
    fn look(&mut self, _now: Timestamp, _rng: &mut Rng) -> Result<Vec<Act>, NodeError> {
        Ok(Vec::new())
    }

    /// Whether the core has work for [`Role::idle`].
    fn has_idle_work(&self) -> bool {
        false
    }

    /// A piece of work that may take its time.
    fn idle(&mut self, _now: Timestamp, _rng: &mut Rng) -> Result<Vec<Act>, NodeError> {
        Ok(Vec::new())
    }

    /// See [`RoleStatus`].
    fn status(&self, now: Timestamp) -> RoleStatus;
}

/// `counters!(value; field, field …)`: fields by name, for the status.
macro_rules! counters {
    ($value:expr; $($field:ident),+ $(,)?) => {{
        let value = $value;
        ::std::collections::BTreeMap::from([$((stringify!($field).to_owned(), value.$field)),+])
    }};
}
pub(crate) use counters;
