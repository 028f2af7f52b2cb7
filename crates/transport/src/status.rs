//! What a transport says about itself, for a person and for tests.

use core::time::Duration;

use xchat_base::Timestamp;
use xchat_directory::NodeId;
use xchat_sphinx::{Pace, RefusalCode};

/// The state of a transport. Counts and rates; no box, route or contact is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The device's pace.
    pub pace: Pace,
    /// Slots per second in force: the pace's, or what the network document fixes.
    pub slots_per_second: f64,
    /// What that makes in a month of thirty days always online, each way, in bytes.
    pub bytes_per_month: u64,
    /// Whether a gateway is there.
    pub gateway: GatewayState,
    /// Writes without an answer yet.
    pub queued_writes: usize,
    /// Immediate reads without an answer yet.
    pub queued_reads: usize,
    /// Boxes followed.
    pub followed: usize,
    /// Of these, how many a store has confirmed to stand ready for.
    pub registered: usize,
    /// The collector.
    pub collector: CollectorHealth,
    /// Share of recent loops that did not come back, 0 to 1; `None` before the first ones are due.
    pub loop_loss: Option<f64>,
    /// Whether so many loops are lost that somebody drops or delays packets: a person is to be told.
    pub losing: bool,
    /// Share of recent packets without an answer, loops included, 0 to 1.
    pub packet_loss: Option<f64>,
    /// Median time of recent packets from slot to answer, in milliseconds.
    pub round_trip_ms: Option<u64>,
    /// Answers that did not verify, since the start: a store lied, or somebody tampered.
    pub refused_answers: u64,
    /// Stores that do not answer at present, or leave out part of what they are asked. Others are asked first.
    pub avoided_stores: usize,
    /// Mixes that lost packets and are avoided at present.
    pub avoided_mixes: usize,
    /// Whether a store lately refused something because it had too much to do. It is asked for again.
    pub stores_busy: bool,
    /// Epoch of the network document in use.
    pub document_epoch: u64,
    /// When that document ends. Past it, nothing is emitted until a newer one is there.
    pub document_valid_until: Timestamp,
    /// Packets emitted since the start.
    pub emitted: u64,
    /// Slots since the start that could not be filled, because the document offers no route or has expired.
    pub empty_slots: u64,
    /// Slots since the start whose packet was made so late that it left later than it was drawn.
    pub late_slots: u64,
}

/// The link to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatewayState {
    /// No gateway of the document can be tried.
    None,
    /// A session is being made, or will be tried again soon.
    Connecting {
        /// The gateway that is being tried, or was tried last.
        gateway: NodeId,
        /// Attempts without success since the last session.
        failed: u32,
        /// Why the last of them failed.
        trouble: Option<Trouble>,
        /// When the next one begins; `None` while one is under way.
        retry_at: Option<Timestamp>,
    },
    /// The gateway wants a proof of work, which is being searched for.
    Proving {
        /// The gateway.
        gateway: NodeId,
        /// How many attempts it takes on average.
        attempts: u64,
    },
    /// Online.
    Online {
        /// The gateway.
        gateway: NodeId,
        /// Since when.
        since: Timestamp,
    },
}

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// No link could be made.
    Unreachable,
    /// There was a link, and no answer in time.
    NoAnswer,
    /// The gateway has no room.
    Busy {
        /// When it says that it may be worth trying again; zero if it did not say.
        retry_after: Duration,
    },
    /// The gateway wants more work than a client does.
    WorkTooHard {
        /// How many attempts it would have taken on average.
        attempts: u64,
    },
    /// The proof of work was not found in time.
    WorkTooSlow {
        /// How many attempts it takes on average.
        attempts: u64,
    },
    /// The session was there, and nothing came through it any more.
    Silent,
    /// The gateway refused for another reason.
    Refused(RefusalCode),
}

/// The collector of standing reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CollectorHealth {
    /// None chosen, or not asked yet.
    Unknown,
    /// It answers.
    Answering {
        /// Its last answer.
        last: Timestamp,
    },
    /// Collects go unanswered.
    Silent {
        /// How many in a row.
        unanswered: u32,
    },
}
