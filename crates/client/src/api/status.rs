//! How things stand, for a person.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use xchat_base::Timestamp;
use xchat_transport::directory::{Document, Parameters};
use xchat_transport::sphinx::RefusalCode;
use xchat_transport::{CollectorHealth, GatewayState, Trouble as LinkTrouble};

use crate::driver::ClockState;

/// How things stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Status {
    /// The person's name.
    pub name: String,
    /// The network's name.
    pub network: String,
    /// The network's id, hexadecimal.
    pub network_id: String,
    /// Whether the device is online, and since when.
    pub online: Online,
    /// What the device sends, whatever its owner does.
    pub pace: PaceStatus,
    /// Among how many one hides.
    pub crowd: Crowd,
    /// What waits for its slot.
    pub queued: Queued,
    /// Boxes that are watched for messages.
    pub followed: usize,
    /// Of these, how many a store has confirmed to stand ready for.
    pub registered: usize,
    /// Whether deliveries are being collected: `answering`, `silent` or `unknown`.
    pub collector: String,
    /// Share of packets sent to oneself that did not come back, 0 to 1.
    pub loop_loss: Option<f64>,
    /// Median time from a packet to its answer, in milliseconds.
    pub round_trip_ms: Option<u64>,
    /// Answers that did not verify, since the start.
    pub refused_answers: u64,
    /// Whether a store lately refused something because it had too much to do. It goes out again by itself.
    #[serde(default)]
    pub stores_busy: bool,
    /// The network document in use.
    pub document: DocumentStatus,
    /// Conversations in which this device is coming back and waits for the other side.
    #[serde(default)]
    pub rejoining: usize,
    /// What can be said of this device's clock: by a wrong one nothing is sent and nothing expires.
    pub clock: ClockState,
    /// Why nothing can be stored at present; the client tries again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub halted: Option<crate::ErrorBody>,
}

/// The link to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Online {
    /// Online.
    Online {
        /// Since when, Unix milliseconds.
        since: u64,
    },
    /// A session is being made, or will be tried again soon.
    Connecting {
        /// Attempts without success since the last session.
        failed: u32,
        /// Why the last of them failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        trouble: Option<Trouble>,
        /// When the next one begins, Unix milliseconds; not there while one is under way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        retry_at: Option<u64>,
    },
    /// The gateway wants a proof of work, which this device is making.
    Proving {
        /// How many hashes it takes on average.
        attempts: u64,
    },
    /// No gateway can be tried.
    Offline,
}

impl Online {
    /// In a clause, why the device is not online; `None` if it is.
    pub fn why_not(&self) -> Option<&'static str> {
        Some(match self {
            Self::Online { .. } => return None,
            Self::Connecting { trouble: Some(Trouble::Busy), .. } => "the gateways are full",
            Self::Proving { .. } => "the gateway still waits for this device's proof of work",
            _ => "the network cannot be reached",
        })
    }
}

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trouble {
    /// The gateway cannot be reached.
    Unreachable,
    /// It was reached and did not answer in time.
    NoAnswer,
    /// It has no room.
    Busy,
    /// It wants more work than this program does.
    WorkTooHard,
    /// The work took too long.
    WorkTooSlow,
    /// Nothing came through it any more.
    Silent,
    /// It says that this device sent too fast.
    TooFast,
    /// It has no valid network document.
    NoDocument,
    /// It refused for another reason.
    Refused,
}

impl From<LinkTrouble> for Trouble {
    fn from(trouble: LinkTrouble) -> Self {
        match trouble {
            LinkTrouble::Unreachable => Self::Unreachable,
            LinkTrouble::NoAnswer => Self::NoAnswer,
            LinkTrouble::Busy { .. } => Self::Busy,
            LinkTrouble::WorkTooHard { .. } => Self::WorkTooHard,
            LinkTrouble::WorkTooSlow { .. } => Self::WorkTooSlow,
            LinkTrouble::Silent => Self::Silent,
            LinkTrouble::Refused(RefusalCode::TooFast) => Self::TooFast,
            LinkTrouble::Refused(RefusalCode::NoDocument) => Self::NoDocument,
            _ => Self::Refused,
        }
    }
}

/// What the device sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct PaceStatus {
    /// `fast`, `desk`, `phone` or `thrift`.
    pub name: String,
    /// Packets a second in force: the pace's, or what the network fixes.
    pub packets_per_second: f64,
    /// Bytes in a month of thirty days always online, each way.
    pub bytes_per_month: u64,
}

/// Among how many one hides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Crowd {
    /// `sufficient` if each mix holds about thirty packets at any time, `small` if fewer.
    pub size: String,
    /// Mean delay at each mix, in milliseconds.
    pub mix_delay_ms: u64,
    /// How many gateways the network has.
    pub gateways: usize,
    /// How many mixes.
    pub mixes: usize,
    /// How many stores.
    pub stores: usize,
}

/// What waits for its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Queued {
    /// Messages not yet stored.
    pub messages: u64,
    /// Boxes to write.
    pub writes: usize,
    /// Boxes to read.
    pub reads: usize,
}

/// The network document in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct DocumentStatus {
    /// Its number.
    pub epoch: u64,
    /// When it ends, Unix milliseconds.
    pub valid_until: u64,
    /// Whether that is over: nothing is sent until there is a newer one.
    pub expired: bool,
}

/// The longest mean delay the network draws: mixes want to hold thirty packets each, and where the
/// traffic is too thin for that within this time, they hold fewer (design 4.4).
const LONGEST_DELAY_MS: u64 = 1_000;

impl Crowd {
    pub(crate) fn of(document: &Document) -> Self {
        let Parameters { mix_delay, pace_override, .. } = &document.parameters;
        let mix_delay_ms = u64::try_from(mix_delay.as_millis()).unwrap_or(u64::MAX);
        // A network that fixes everybody's pace is a demonstration or a test.
        let small = pace_override.is_some() || mix_delay_ms >= LONGEST_DELAY_MS;
        Self {
            size: if small { "small" } else { "sufficient" }.to_owned(),
            mix_delay_ms,
            gateways: document.gateways().count(),
            mixes: (1..=3).map(|layer| document.mixes(layer).count()).sum(),
            stores: document.stores().count(),
        }
    }
}

impl From<GatewayState> for Online {
    fn from(state: GatewayState) -> Self {
        match state {
            GatewayState::Online { since, .. } => Self::Online { since: since.as_millis() },
            GatewayState::Connecting { failed, trouble, retry_at, .. } => Self::Connecting {
                failed,
                trouble: trouble.map(Trouble::from),
                retry_at: retry_at.map(Timestamp::as_millis),
            },
            GatewayState::Proving { attempts, .. } => Self::Proving { attempts },
            _ => Self::Offline,
        }
    }
}

pub(crate) fn collector_word(collector: CollectorHealth) -> &'static str {
    match collector {
        CollectorHealth::Answering { .. } => "answering",
        CollectorHealth::Silent { .. } => "silent",
        _ => "unknown",
    }
}
