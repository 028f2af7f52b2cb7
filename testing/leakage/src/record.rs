//! What there is to see: by the links, by nodes that share what they see, and by whoever knows the truth.
//!
//! The same words as in `testing/simnet`, with plain numbers for boxes and sessions, so that the production cores
//! and the baselines can be measured by the same attacks. Everything is handed over as it happens and kept by
//! nobody here: a day of a thousand clients is 170 million frames.

/// Microseconds since the beginning of a run.
pub type Micros = u64;

/// A second.
pub const SECOND: Micros = 1_000_000;
/// An hour.
pub const HOUR: Micros = 3_600 * SECOND;

/// How far ahead of [`Observer::until`] a record's time may be: a reply is known when its packet leaves, and
/// has come back after six mixes at the latest.
pub const LEAD: Micros = 600 * SECOND;

/// An end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A client, by its number.
    Client(u32),
    /// A node, by its place in [`Cast::nodes`].
    Node(u16),
}

/// What an observer of links can tell of a frame without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Between a client and the node it is connected to, of the length that packets have there.
    Client,
    /// Between nodes.
    Packet,
    /// Between the stores of a box.
    Replica,
    /// Between a client and its node, of another length than packets have.
    Control,
}

/// One frame on one link, when it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at_micros: Micros,
    /// Who sends it.
    pub from: Party,
    /// Who is to get it.
    pub to: Party,
    /// Its length.
    pub bytes: u16,
    /// Which kind of link it is on.
    pub kind: Kind,
}

/// What a request asks a store for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    /// To write a box.
    Write {
        /// Which.
        id: u64,
        /// What its reader may have registered for in place of it.
        told: u64,
    },
    /// To read a box.
    Read(u64),
    /// To be handed a box when it is written.
    Register {
        /// Which.
        id: u64,
        /// For how long.
        lifetime_secs: u32,
    },
    /// For the next item of a collector session.
    Collect {
        /// Which.
        session: u64,
        /// Whether there was one.
        item: bool,
    },
}

/// What another store says to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Heard {
    /// To keep a box that was written there.
    Keep(u64),
    /// Whether this box is here, which somebody asks for there.
    Query(u64),
    /// That there is something for whoever registered for this.
    Told(u64),
}

/// What a hostile node sees inside and tells the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// A gateway passed a client's packet on.
    Up {
        /// The client.
        client: u32,
        /// Names the packet as it left, equally at both ends of a link.
        left: u64,
    },
    /// A mix passed a packet on.
    Mixed {
        /// Who gets it.
        to: Party,
        /// When it came; the record's own time is when it left.
        came_micros: Micros,
        /// The packet's name as it came.
        came: u64,
        /// As it left.
        left: u64,
    },
    /// A store was asked for something.
    Request(Asked),
    /// A store was told something by another one.
    Heard {
        /// By which.
        from: u16,
        /// What.
        what: Heard,
    },
    /// An item came for a collector session.
    Item {
        /// Which.
        session: u64,
    },
}

/// One thing that a hostile node saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insight {
    /// When.
    pub at_micros: Micros,
    /// Which node.
    pub node: u16,
    /// What.
    pub inside: Inside,
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Clients connect to it; in a baseline, a server or relay that knows its clients.
    Gateway,
    /// Passes packets on; of this layer, from 1.
    Mix(u8),
    /// Keeps boxes and collects.
    Store,
}

/// Who plays, and what everybody knows of the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Cast {
    /// The nodes, by number.
    pub nodes: Vec<Part>,
    /// How many clients there are.
    pub clients: u32,
    /// Mean delay at a mix, in seconds; zero where nothing is delayed. It stands in a public document.
    pub mix_delay_secs: f64,
    /// What links add to the way from a client to a store, in seconds: from, to. Whoever looks can measure it.
    pub way_secs: (f64, f64),
}

/// Somebody who is told what there is to see.
///
/// Records come in any order, none of a time before the last [`Observer::until`], and none more than
/// [`LEAD`] ahead of it and an hour.
pub trait Observer {
    /// Before everything else.
    fn cast(&mut self, _cast: &Cast) {}
    /// Whether it looks at the frames of this client in an hour of the run: those that nobody looks at need not be
    /// made where nothing else depends on them.
    fn watches(&self, _client: u32, _hour: u32) -> bool {
        true
    }
    /// Whether it is told what nodes see inside.
    fn has_insiders(&self) -> bool {
        false
    }
    /// Whether it is told, at a time, which packets gateways and mixes pass on.
    fn traces(&self, _at: Micros) -> bool {
        false
    }
    /// A frame left.
    fn seen(&mut self, _seen: &Seen) {}
    /// A hostile node saw something.
    fn inside(&mut self, _insight: &Insight) {}
    /// The truth about a collector session, for those who ask which of two given ones belong together.
    fn truth_of_session(&mut self, _session: u64, _client: u32) {}
    /// Nothing of an earlier time will come any more. Called at each full hour and at the end.
    fn until(&mut self, _at: Micros) {}
}
