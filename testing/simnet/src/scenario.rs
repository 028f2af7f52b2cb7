//! Scenarios: who is there, over which network, and who talks to whom when. Written in TOML, read strictly.
//!
//! ```toml
//! [run]
//! minutes = 60            # of virtual time, the warm-up included
//! warm_up_minutes = 5     # nobody talks yet
//!
//! [network]
//! gateways = 2
//! mixes_per_layer = 2
//! stores = 4
//! mix_delay_ms = 50
//! hostile = 0.0           # share of the nodes that tell what they see, drawn at random
//! dropping = 0.0          # share of the packets that these do not pass on to others
//! doubling = 0.0          # share of the packets that these pass on twice
//! new_hop_keys_every_h = 12   # of each node; without, the first ones are good for the whole run
//!
//! [links]
//! delay_ms = 5.0          # between nodes
//! jitter_ms = 5.0
//! loss = 0.0
//! client_delay_ms = 15.0
//! client_jitter_ms = 5.0
//!
//! [clients]
//! count = 100
//! pace = "desk"
//! join_within_s = 60      # they go online one after the other
//!
//! [contacts]
//! per_client = 3          # everybody knows so many, at random
//! talking = 0.5           # share of these pairs that talk in this run
//!
//! [[talk]]                # what those do who talk; shares add up to one
//! share = 1.0
//! sessions_per_hour = 2.0
//! messages = { median = 10.0, sigma = 0.8 }
//! gap_s = { median = 12.0, sigma = 1.0 }
//! turn = 0.6              # how often the next one is the other's
//! letters = { median = 40.0, sigma = 0.9 }
//! ```
//!
//! A talk may have `rhythm = "evening"` in place of sessions: it replays a shipped list of messages from a random
//! place on. `[days]` makes devices sleep (see [`Days`]).

mod check;
mod rhythm;

use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use xchat_transport::Pace;

use crate::links::Links;
use crate::network::Shape;
use crate::renewal::Renewal;

pub use rhythm::Beat;

/// Why a text is no scenario: its writer's mistake.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// Not TOML, a field that is not known, one that is missing, or a value of another kind.
    #[error("the scenario cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    /// A value that makes no sense.
    #[error("{field}: {why}")]
    Invalid {
        /// Which, as `table.field`.
        field: &'static str,
        /// What would make sense.
        why: String,
    },
}

/// A scenario that was read and checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// How long.
    pub run: Run,
    /// The nodes.
    pub network: Network,
    /// What is between them.
    pub links: LinkTimes,
    /// The clients.
    pub clients: Clients,
    /// Who knows whom.
    pub contacts: Contacts,
    /// What they do who talk.
    #[serde(default)]
    pub talk: Vec<Talk>,
    /// When devices sleep; never, without it.
    pub days: Option<Days>,
}

/// How long.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Virtual time, in minutes, the warm-up included.
    pub minutes: f64,
    /// So long at the beginning nobody talks.
    pub warm_up_minutes: f64,
}

/// The nodes, each of an operator of its own.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Number of gateways.
    pub gateways: usize,
    /// Number of mixes in each of the three layers.
    pub mixes_per_layer: usize,
    /// Number of stores.
    pub stores: usize,
    /// Mean delay of a mix.
    pub mix_delay_ms: f64,
    /// Share of the nodes that tell what they see.
    #[serde(default)]
    pub hostile: f64,
    /// Share of the packets that these do not pass on to other nodes.
    #[serde(default)]
    pub dropping: f64,
    /// Share of the packets that these pass on twice.
    #[serde(default)]
    pub doubling: f64,
    /// Cells a second on each link between two nodes; without, none.
    #[serde(default)]
    pub link_rate: u32,
    /// A new hop key of each node begins so often, in hours, and is good for two of them; documents follow one another twice as
    /// often. Without, the first ones are good for the whole run.
    pub new_hop_keys_every_h: Option<u32>,
}

/// What is between nodes, and between clients and gateways. See [`Links`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkTimes {
    /// Shortest way between nodes.
    pub delay_ms: f64,
    /// Longest way beyond it.
    pub jitter_ms: f64,
    /// Share of frames that are lost.
    #[serde(default)]
    pub loss: f64,
    /// Shortest way between client and gateway.
    pub client_delay_ms: f64,
    /// Longest way beyond it.
    pub client_jitter_ms: f64,
}

/// The clients.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// How many.
    pub count: u32,
    /// Their pace, by its name.
    #[serde(deserialize_with = "pace")]
    pub pace: Pace,
    /// They go online one after the other within so many seconds.
    pub join_within_s: f64,
}

/// Who knows whom.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contacts {
    /// Everybody knows so many others; drawn at random, nobody twice. 1: everybody has one partner.
    pub per_client: u32,
    /// Share of the pairs that talk in this run; the others only know each other.
    pub talking: f64,
}

/// What a share of the talking pairs does: sessions at random times, or a rhythm.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Talk {
    /// Share of the talking pairs.
    pub share: f64,
    /// A shipped list of messages that is replayed, in place of everything below.
    pub rhythm: Option<String>,
    /// Sessions begin at the times of a Poisson process.
    pub sessions_per_hour: Option<f64>,
    /// Messages of a session.
    pub messages: Option<Spread>,
    /// Seconds between two of them.
    pub gap_s: Option<Spread>,
    /// How often the next message is the other one's.
    pub turn: Option<f64>,
    /// Letters of a message.
    pub letters: Option<Spread>,
}

/// A lognormal distribution.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Half of the draws are below.
    pub median: f64,
    /// Standard deviation of the logarithm; 0: always the median.
    pub sigma: f64,
}

/// When devices sleep. Each client draws its own times, and anew for each day.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Days {
    /// The hour of the day at which the run begins.
    pub begins_hour: f64,
    /// Devices wake up around this hour.
    pub up_hour: f64,
    /// And go to sleep around this one.
    pub down_hour: f64,
    /// A client's own hours differ from these by at most this, its days from its own hours by at most half of it.
    pub spread_hours: f64,
    /// How often a device sleeps in between, a day.
    pub naps: f64,
    /// For how long.
    pub nap_minutes: Spread,
}

fn pace<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Pace, D::Error> {
    let name = String::deserialize(d)?;
    Pace::from_name(&name).ok_or_else(|| {
        let names = Pace::ALL.map(Pace::name).join(", ");
        serde::de::Error::custom(format!("no pace is called \"{name}\": there are {names}"))
    })
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`], which names what is wrong.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Its network.
    pub fn shape(&self) -> Shape {
        Shape {
            gateways: self.network.gateways,
            mixes_per_layer: self.network.mixes_per_layer,
            stores: self.network.stores,
            pace: None,
            mix_delay: millis(self.network.mix_delay_ms),
            renewal: self.network.new_hop_keys_every_h.map(|hours| Renewal {
                hop_keys_every: Duration::from_secs(u64::from(hours) * 3600),
            }),
        }
    }

    /// Its links.
    pub fn links(&self) -> Links {
        Links {
            delay: millis(self.links.delay_ms),
            jitter: millis(self.links.jitter_ms),
            loss: self.links.loss,
            client_delay: millis(self.links.client_delay_ms),
            client_jitter: millis(self.links.client_jitter_ms),
            cells: self.network.link_rate,
        }
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.run.minutes * 60.0)
    }

    /// When the talking begins.
    pub fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.run.warm_up_minutes * 60.0)
    }
}

impl Talk {
    /// The messages of its rhythm, if it has one.
    pub(crate) fn beats(&self) -> Option<Vec<Beat>> {
        rhythm::named(self.rhythm.as_deref()?)
    }
}

fn millis(millis: f64) -> Duration {
    Duration::from_secs_f64(millis / 1_000.0)
}
