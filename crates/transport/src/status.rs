//! What a transport says about itself, for a person and for tests.

use xchat_base::Timestamp;
use xchat_directory::NodeId;

use crate::pace::Pace;

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
    /// Share of recent packets without an answer, loops included, 0 to 1.
    pub packet_loss: Option<f64>,
    /// Median time of recent packets from slot to answer, in milliseconds.
    pub round_trip_ms: Option<u64>,
    /// Answers that did not verify, since the start: a store lied, or somebody tampered.
    pub refused_answers: u64,
    /// Stores that do not answer at present.
    pub silent_stores: usize,
    /// Epoch of the network document in use.
    pub document_epoch: u64,
    /// When that document ends. Past it, nothing is emitted until a newer one is there.
    pub document_valid_until: Timestamp,
    /// Packets emitted since the start.
    pub emitted: u64,
    /// Slots since the start that could not be filled, because the document offers no route or has expired.
    pub empty_slots: u64,
}

/// The link to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatewayState {
    /// No gateway of the document can be tried.
    None,
    /// A link is being made, or will be tried again soon.
    Connecting {
        /// The gateway.
        gateway: NodeId,
        /// Attempts without success since the last session.
        failed: u32,
    },
    /// Online.
    Online {
        /// The gateway.
        gateway: NodeId,
        /// Since when.
        since: Timestamp,
    },
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
