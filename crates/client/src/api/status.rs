//! How things stand, for a person.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use xchat_base::Timestamp;
use xchat_transport::directory::{Document, Parameters};
use xchat_transport::sphinx::RefusalCode;
use xchat_transport::{CollectorHealth, GatewayState, Trouble as LinkTrouble};

use super::PaceChoice;
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
    /// What each pace costs and gives in this network, fastest first.
    #[serde(default)]
    pub paces: Vec<PaceChoice>,
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
    /// Whether so many of them are lost that somebody on the way drops or delays packets. What is lost goes out again.
    #[serde(default)]
    pub losing: bool,
    /// Mixes that let too few packets through: for a while this device's take other ways.
    #[serde(default)]
    pub avoided_mixes: usize,
    /// Stores that do not answer at present, or too rarely. What they keep lies on two others as well.
    #[serde(default)]
    pub avoided_stores: usize,
    /// Median time from a packet to its answer, in milliseconds.
    pub round_trip_ms: Option<u64>,
    /// Answers that did not verify, since the start.
    pub refused_answers: u64,
    /// Packets since the start that left later than their slot: the device was too busy for more than 50 ms.
    #[serde(default)]
    pub late_slots: u64,
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
    /// Half of all messages take no longer than this, while both sides are online at this pace; somewhat longer where both
    /// say much.
    #[serde(default)]
    pub message_seconds: f64,
}

/// Among how many one hides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Crowd {
    /// `sufficient` if each mix holds about thirty packets at any time, `small` if fewer, `unknown` where nothing tells.
    pub size: String,
    /// Whether the network is made for trying out: it fixes everybody's pace, mixes less than the rule asks for, or
    /// runs on one machine. Its parameters say nothing of how many are there.
    #[serde(default)]
    pub trial: bool,
    /// About how many devices are online, to a power of ten, as the public document tells everybody: `few`, `dozens`,
    /// `hundreds`, `thousands`; `unknown` where the network's operators have fixed the delay of its mixes, which otherwise
    /// says it.
    #[serde(default)]
    pub devices: String,
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
    /// How long the network keeps what nobody has fetched, in milliseconds.
    #[serde(default)]
    pub box_lifetime_ms: u64,
}

/// Between these the mean delay follows from the traffic: mixes want to hold thirty packets each. Where the traffic is
/// too thin for that within the longest, they hold fewer (design 4.4).
const SHORTEST_DELAY_MS: u64 = 50;
const LONGEST_DELAY_MS: u64 = 1_000;

/// What a mix holds where the rule can be kept.
const HELD: u64 = 30;

/// Mixes that a packet and its answer meet.
const MIXES_OF_A_PACKET: u64 = 6;

impl Crowd {
    pub(crate) fn of(document: &Document) -> Self {
        let Parameters { mix_delay, mix_delay_by_rule, pace_override, .. } = &document.parameters;
        let mix_delay_ms = millis(*mix_delay);
        let mixes = (1..=3).map(|layer| document.mixes(layer).count()).sum();
        let here = document
            .descriptors
            .iter()
            .all(|node| node.addresses.iter().all(|address| address.ip().is_loopback()));
        let trial = pace_override.is_some() || mix_delay_ms < SHORTEST_DELAY_MS || here;
        let (size, devices) = if trial {
            ("small", "few")
        } else if !mix_delay_by_rule {
            ("unknown", "unknown")
        } else if mix_delay_ms >= LONGEST_DELAY_MS {
            ("small", "few")
        } else {
            ("sufficient", devices(mix_delay_ms, mixes))
        };
        Self {
            size: size.to_owned(),
            trial,
            devices: devices.to_owned(),
            mix_delay_ms,
            gateways: document.gateways().count(),
            mixes,
            stores: document.stores().count(),
        }
    }
}

/// How many devices at `desk` (a packet a second) make mixes hold thirty packets with this mean delay. At the shortest
/// there may be more.
fn devices(mix_delay_ms: u64, mixes: usize) -> &'static str {
    let mixes = u64::try_from(mixes).unwrap_or(u64::MAX);
    let packets_a_second = HELD * 1_000 / mix_delay_ms.max(SHORTEST_DELAY_MS);
    match packets_a_second.saturating_mul(mixes) / MIXES_OF_A_PACKET {
        0..100 => "dozens",
        100..1_000 => "hundreds",
        _ => "thousands",
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::fixture::{Authority, now};

    const DAY: Duration = Duration::from_secs(86_400);

    /// What is said of a network with this mean delay, by rule, whose nodes are at this address.
    fn crowd(mix_delay_ms: u64, pace_override: Option<u32>, address: [u8; 4]) -> Crowd {
        crowd_of(mix_delay_ms, true, pace_override, address)
    }

    fn crowd_of(
        mix_delay_ms: u64,
        by_rule: bool,
        pace_override: Option<u32>,
        address: [u8; 4],
    ) -> Crowd {
        let authority = Authority::new();
        let file = authority.first(now() + DAY);
        let mut document = (*file.verify(now()).expect("a good file")).clone();
        document.parameters.mix_delay = Duration::from_millis(mix_delay_ms);
        document.parameters.mix_delay_by_rule = by_rule;
        document.parameters.pace_override = pace_override;
        for node in &mut document.descriptors {
            node.addresses = vec![(address, 9).into()];
        }
        Crowd::of(&document)
    }

    const ABROAD: [u8; 4] = [192, 0, 2, 1];

    #[test]
    fn the_longest_delay_says_that_few_are_there() {
        let crowd = crowd(1_000, None, ABROAD);
        assert_eq!((crowd.size.as_str(), crowd.devices.as_str()), ("small", "few"));
        assert!(!crowd.trial);
    }

    #[test]
    fn a_shorter_delay_says_how_many_to_a_power_of_ten() {
        // With three mixes, thirty packets in each: 30 a second at 999 ms, 600 a second at 50 ms.
        let said = [999, 149, 50].map(|ms| crowd(ms, None, ABROAD).devices);
        assert_eq!(said, ["dozens", "hundreds", "hundreds"]);
        assert_eq!(devices(50, 30), "thousands");
        assert_eq!(crowd(50, None, ABROAD).size, "sufficient");
    }

    #[test]
    fn a_delay_that_somebody_has_fixed_says_nothing_of_how_many_are_there() {
        for mix_delay_ms in [50, 999, 1_000] {
            let crowd = crowd_of(mix_delay_ms, false, None, ABROAD);
            assert_eq!((crowd.size.as_str(), crowd.devices.as_str()), ("unknown", "unknown"));
            assert!(!crowd.trial);
        }
        assert!(crowd_of(50, false, None, [127, 0, 0, 1]).trial);
    }

    #[test]
    fn a_network_for_trying_out_promises_no_crowd_whatever_its_delay() {
        for crowd in [
            crowd(100, Some(1_000), ABROAD),
            crowd(100, None, [127, 1, 0, 7]),
            crowd(0, None, ABROAD),
        ] {
            assert!(crowd.trial, "{crowd:?}");
            assert_eq!((crowd.size.as_str(), crowd.devices.as_str()), ("small", "few"));
        }
    }
}
