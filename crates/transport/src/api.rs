//! The door: everything that can happen to a transport and everything that it can want.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;
use xchat_base::{CodecError, Secret, Timestamp};
use xchat_directory::{DirectoryError, NodeId, VerifiedDocument};
use xchat_pigeonhole::{BoxId, ReadOutcome, SealedBox, Ticket, WriteOutcome};
use xchat_sphinx::{LinkKey, Proof, Puzzle};

use crate::status::Status;

/// Everything that can happen.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// The owner wants something of a box.
    Command(Command),
    /// The link that [`Effect::Connect`] asked for is up.
    Online {
        /// The gateway at its other end.
        gateway: NodeId,
        /// The public key of our own end: that of the `session` of [`Effect::Connect`].
        link: LinkKey,
        /// The address from which the link goes. A session goes on over another link from the same address only: a
        /// gateway is not to learn that who was there is now here.
        from: Option<IpAddr>,
    },
    /// The link is gone, or could not be made.
    Offline,
    /// The link was refused, because the gateway has no room for another one.
    TurnedAway,
    /// What [`Effect::Solve`] asked for.
    Solved(Proof),
    /// A frame (`GatewayFrame`) from the gateway.
    Frame(Vec<u8>),
    /// The driver has a document from elsewhere; an older one than the present is ignored.
    Document(VerifiedDocument),
    /// The time of [`Effect::WakeAt`] has come. Early or repeated timers do no harm.
    Timer,
}

/// What the owner can want of a box. All are idempotent by box id, and all are kept while offline.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Command {
    /// Write this box; ends with one [`Event::Written`]. Boxes are first emitted in the order in
    /// which they were given.
    Write {
        /// The box.
        boxed: SealedBox,
        /// The ticket by which its reader is to be told of it, if there is one.
        ticket: Option<Ticket>,
    },
    /// Read this box now; ends with one [`Event::Read`]. Given again before its answer, it
    /// is one read, and an `Empty` is then about a time after the last of them.
    Read {
        /// The box.
        id: BoxId,
    },
    /// Hand this box over when somebody writes it; ends with one [`Event::Arrived`] (or, if the box
    /// was used and is over, with [`Event::Read`] and `Expired`). Given again, it sets the urgency: to be done
    /// whenever boxes before it in its lane have arrived. Given again when it has arrived, which its owner may not have
    /// taken in yet, it arrives again at once.
    Follow {
        /// The box.
        id: BoxId,
        /// What comes first when not all fit.
        urgency: Urgency,
        /// The conversation in which it is awaited, as in [`crate::Transport::hand_out`]. While that goes on, whoever writes in it uses
        /// tickets, and the box is not registered.
        talk: Option<u64>,
    },
    /// No longer.
    Unfollow {
        /// The box.
        id: BoxId,
    },
}

/// How soon a followed box is expected to be written. It decides when a box is registered, and which boxes stay so when
/// not all fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// One of the next boxes of a lane in use, before which so many others may come: registered at once.
    Active(u8),
    /// The next box of a lane, behind which others have arrived: it has been written, and is looked at.
    Overdue,
    /// The next box of a lane at rest: registered at once, after those.
    Resting,
    /// The next box of a lane in which next to nothing is ever written, and which its reader looks into now and then anyway: registered where
    /// the others leave room.
    Seldom,
    /// A box that cannot be written before others of its lane are, so many of them: the next ones are registered at times of their own,
    /// the others not at all.
    Ahead(u8),
}

/// Boxes of a lane that are registered, where any are: a writer without tickets may write so many before it has some.
pub(crate) const NEXT: u8 = 3;

impl Urgency {
    /// Of a box before which so many others of its lane are to be written.
    pub const fn of(active: bool, ahead: u8) -> Self {
        match (active, ahead) {
            (true, 0..NEXT) => Self::Active(ahead),
            (false, 0) => Self::Resting,
            _ => Self::Ahead(ahead),
        }
    }
}

/// The rhythm of decoy lanes. A client has [`DecoyLanes::People`] and can be told from others by anything else,
/// which is what the simulator uses the others for: to see that what they hide is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DecoyLanes {
    /// As people write: in bursts, by day more than by night.
    #[default]
    People,
    /// Without memory.
    Poisson,
    /// None at all.
    None,
}

/// Everything a transport can want of its driver, to be carried out in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Effect {
    /// Make a link to this gateway; the answer is [`Input::Online`], [`Input::Offline`] or
    /// [`Input::TurnedAway`].
    Connect {
        /// The gateway.
        gateway: NodeId,
        /// Where it listens, from the network document.
        addresses: Vec<SocketAddr>,
        /// The secret key of the link's own end: fresh for every session, so that the gateway
        /// cannot tell two sessions of one client from two clients.
        session: Secret<32>,
    },
    /// Close the link, or stop making it. No [`Input::Offline`] is expected for it.
    Disconnect,
    /// Search for the proof of this puzzle ([`xchat_sphinx::work::Search`]), on a thread of its own; the
    /// answer is [`Input::Solved`]. Nobody wants it any more after a [`Effect::Disconnect`] or when
    /// the link is gone.
    Solve(Puzzle),
    /// Send this frame (`ClientFrame`) to the gateway, after those before it.
    Send(Vec<u8>),
    /// Send this frame (`ClientFrame::Packet`) at the time of its slot, at most [`crate::SLOT_LEAD`] from now, as exactly
    /// as can be and whatever else the driver has to do then. What is to be sent after it waits for it.
    Packet {
        /// The frame.
        frame: Vec<u8>,
        /// When; not in the past, by the time given to [`crate::Transport::handle`].
        at: Timestamp,
    },
    /// Call again with [`Input::Timer`] at this time; replaces the last one.
    WakeAt(Timestamp),
    /// Something for the owner.
    Event(Event),
    /// Keep these bytes, in place of the last, for the next [`crate::Transport::new`]: the pinned
    /// gateways and the newest network document. Rare, and nothing secret is in it, but it names the gateways.
    Persist(Vec<u8>),
    /// Keep what [`crate::Transport::kept_decoys`] gives now, in place of the last, for
    /// [`crate::Transport::resume_decoys`], before the effects that follow are carried out. Whenever a decoy has asked for
    /// something.
    PersistDecoys,
}

/// What the owner learns.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A write ended.
    Written {
        /// The box.
        id: BoxId,
        /// How.
        outcome: WriteOutcome,
    },
    /// A read ended.
    Read {
        /// The box.
        id: BoxId,
        /// How.
        outcome: ReadOutcome,
    },
    /// A followed box was written. Its signature is checked; it is no longer followed.
    Arrived(SealedBox),
    /// The status changed in a way that a person may care about.
    Status(Box<Status>),
}

/// Why a transport cannot start.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// What was stored is not ours, or of another version. Starting without it would choose new
    /// gateways, which is for the person to decide.
    #[error("the stored gateways cannot be read: {0}")]
    Stored(#[from] CodecError),
    /// The stored network document is not of the network of this profile.
    #[error("the stored network document cannot be used: {0}")]
    Document(#[from] DirectoryError),
}
