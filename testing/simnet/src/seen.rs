//! What observers are told: by the links, by nodes that share what they see, and by whoever knows the truth.
//!
//! Everything is handed over as it happens and kept by nobody here, so a run of any length takes the memory
//! that its observer takes.

use std::cell::RefCell;
use std::rc::Rc;

use xchat_base::Timestamp;
use xchat_pigeonhole::BoxId;
use xchat_sphinx::CollectorSession;

/// An end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A client, by the order in which they were added.
    Client(u32),
    /// A node, by its place in [`Cast::nodes`].
    Node(u16),
}

/// What an observer of links can tell of a frame without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A packet between a client and its gateway: they have one length each way.
    Client,
    /// A packet between nodes.
    Packet,
    /// Between the stores of a box.
    Replica,
    /// Between a client and its gateway, of another length than packets have: the session's beginning and end,
    /// and documents.
    Control,
}

/// One frame on one link, when it leaves. Whether it arrives, the link does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When, in microseconds since the Unix epoch.
    pub at_micros: u64,
    /// Who sends it.
    pub from: Party,
    /// Who is to get it.
    pub to: Party,
    /// Its length, without what the link adds.
    pub bytes: u16,
    /// Which kind of link it is on.
    pub kind: Kind,
}

/// Names a frame for those at its two ends: equal for a hostile sender and a hostile receiver, who see the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameId(pub u64);

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    /// To write a box.
    Write {
        /// Which.
        id: BoxId,
        /// What its reader may have registered for: the ticket that came with it.
        told: BoxId,
    },
    /// To read a box.
    Read(BoxId),
    /// To be handed a box when it is written.
    Register {
        /// Which.
        id: BoxId,
        /// For how long.
        lifetime_secs: u32,
    },
    /// For the next item of a collector session.
    Collect {
        /// Which.
        session: CollectorSession,
        /// Whether there was one.
        item: bool,
    },
}

/// What another store says to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Heard {
    /// To keep a box that was written there.
    Keep(BoxId),
    /// Whether this box is here, which somebody asks for there.
    Query(BoxId),
    /// That there is something for whoever registered for this.
    Told(BoxId),
}

/// What a hostile node sees inside and tells the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// A gateway passed a client's packet on.
    Up {
        /// The client.
        client: u32,
        /// As it came.
        came: FrameId,
        /// As it went to the first mix.
        left: FrameId,
    },
    /// A gateway passed a mix's packet on to a client.
    Down {
        /// The client.
        client: u32,
        /// As it came.
        came: FrameId,
        /// As it went to the client.
        left: FrameId,
    },
    /// A mix passed a packet on.
    Mixed {
        /// Who sent it.
        from: Party,
        /// Who gets it.
        to: Party,
        /// When it came, in microseconds; the record's own time is when it left.
        came_micros: u64,
        /// As it came.
        came: FrameId,
        /// As it left.
        left: FrameId,
    },
    /// A store was asked for something.
    Request {
        /// What.
        asked: Asked,
        /// In which frame.
        came: FrameId,
    },
    /// A store was told something by another one.
    Heard {
        /// By which, by its place in [`Cast::nodes`].
        from: u16,
        /// What.
        what: Heard,
    },
    /// A store answered.
    Answer {
        /// The frame of the request.
        came: FrameId,
        /// The frame of the answer.
        left: FrameId,
    },
    /// A store sent a box to somebody who had registered for it.
    Delivery {
        /// The box.
        id: BoxId,
        /// In which frame.
        left: FrameId,
    },
    /// An item came for a collector session.
    Item {
        /// Which.
        session: CollectorSession,
        /// In which frame.
        came: FrameId,
    },
}

/// One thing that a hostile node saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insight {
    /// When, in microseconds since the Unix epoch.
    pub at_micros: u64,
    /// Which node, by its place in [`Cast::nodes`].
    pub node: u16,
    /// What.
    pub inside: Inside,
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Clients connect to it.
    Gateway,
    /// Of this layer, 1 to 3.
    Mix(u8),
    /// Keeps boxes and collects.
    Store,
}

/// A node of the cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeCast {
    /// What it is for.
    pub part: Part,
    /// Whether it tells what it sees.
    pub hostile: bool,
}

/// Who plays: known to everybody but for the pairs, which are the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    /// The nodes, by number.
    pub nodes: Vec<NodeCast>,
    /// How many clients there are.
    pub clients: u32,
    /// Who knows whom. Truth: observers are judged by it.
    pub pairs: Vec<Pair>,
}

/// Two who know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The two.
    pub clients: [u32; 2],
    /// Whether they are going to talk in this run, or only know each other.
    pub talks: bool,
}

/// What was said, by whom, and what became of it. Truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Counts what is said, from 0.
    pub number: u64,
    /// Who said it.
    pub from: u32,
    /// To whom.
    pub to: u32,
    /// When.
    pub at: Timestamp,
    /// When the writer knew that it cannot be lost; none by the end of the run.
    pub stored: Option<Timestamp>,
    /// When it was in the reader's history; none by the end of the run.
    pub arrived: Option<Timestamp>,
}

/// When the writer of a message knew that its reader has it. It may be later than [`Said`], or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipted {
    /// Its number.
    pub number: u64,
    /// When.
    pub at: Timestamp,
}

/// When a client was online, from its gateway's welcome on. Truth, and visible to whoever watches its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Online {
    /// The client.
    pub client: u32,
    /// From.
    pub from: Timestamp,
    /// Until.
    pub until: Timestamp,
}

/// A box that a client writes for a conversation. Truth: any other that it writes is a decoy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrote {
    /// The box.
    pub id: BoxId,
    /// Who writes it.
    pub from: u32,
    /// For whom.
    pub to: u32,
    /// How many the one has written for the other before.
    pub number: u32,
}

/// A client begins to use a collector session. Truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses {
    /// The client.
    pub client: u32,
    /// The session.
    pub session: CollectorSession,
}

/// Somebody who is told what there is to see. Frames and insights come in the order of time; what was said comes
/// when it has arrived and is known to be stored, or at the end of the run.
pub trait Observer {
    /// Before everything else.
    fn cast(&mut self, _cast: &Cast) {}
    /// A frame left.
    fn seen(&mut self, _seen: &Seen) {}
    /// A hostile node saw something.
    fn inside(&mut self, _insight: &Insight) {}
    /// The truth about a message.
    fn said(&mut self, _said: &Said) {}
    /// The truth about a receipt.
    fn receipted(&mut self, _receipted: &Receipted) {}
    /// The truth about a time online, when it ends.
    fn online(&mut self, _online: &Online) {}
    /// The truth about a box, when its write is asked for.
    fn wrote(&mut self, _wrote: &Wrote) {}
    /// The truth about a collector session.
    fn uses(&mut self, _uses: &Uses) {}
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Blind;

impl Observer for Blind {}

/// An observer that its owner looks at while, or after, the world has it.
impl<T: Observer> Observer for Rc<RefCell<T>> {
    fn cast(&mut self, cast: &Cast) {
        self.borrow_mut().cast(cast);
    }

    fn seen(&mut self, seen: &Seen) {
        self.borrow_mut().seen(seen);
    }

    fn inside(&mut self, insight: &Insight) {
        self.borrow_mut().inside(insight);
    }

    fn said(&mut self, said: &Said) {
        self.borrow_mut().said(said);
    }

    fn receipted(&mut self, receipted: &Receipted) {
        self.borrow_mut().receipted(receipted);
    }

    fn online(&mut self, online: &Online) {
        self.borrow_mut().online(online);
    }

    fn wrote(&mut self, wrote: &Wrote) {
        self.borrow_mut().wrote(wrote);
    }

    fn uses(&mut self, uses: &Uses) {
        self.borrow_mut().uses(uses);
    }
}
