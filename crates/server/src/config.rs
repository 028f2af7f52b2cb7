//! A node's configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xchat_node::gateway::MAX_SESSIONS;

use crate::files;

/// The version of the file's format.
const VERSION: u32 = 1;

/// No configuration is longer.
const MAX_LEN: usize = 64 * 1024;

/// What a store's cache of boxes may hold if the file does not say: enough for the boxes of an hour
/// on a small machine.
const DEFAULT_CACHE_MIB: u32 = 32;

/// Cells a second on each link to another node if the file does not say: some 2 Mbit/s a link, and five
/// milliseconds that a frame waits on average.
pub const DEFAULT_LINK_RATE: u32 = 100;

/// Beyond it a link's clock is finer than a machine's timers.
const MAX_LINK_RATE: u32 = 1_000;
/// What one packet of a client takes on the gateway's line, one way and once, with everything around it:
/// links' frames and headers, UDP, IPv6, and its share of acknowledgements. Measured (`docs/operate/node.md`), and rounded up.
pub const BYTES_PER_PACKET: u64 = 2_800;

/// A gateway hands every packet on: it comes in from the client and goes out to a mix, and its answer comes in
/// from a mix and goes out to the client.
const TIMES: u64 = 2;

/// Packets of clients in 1,000 seconds that a line carries.
pub(crate) fn packets(mbit_per_s: u32) -> u64 {
    u64::from(mbit_per_s) * 1_000_000 / 8 * 1_000 / (BYTES_PER_PACKET * TIMES)
}

/// The other way round: what so many packets in 1,000 seconds take, each way.
pub(crate) fn kbit_per_s(packets: u64) -> u64 {
    packets.saturating_mul(BYTES_PER_PACKET * TIMES * 8).div_ceil(1_000 * 1_000)
}

/// A role, as the configuration names it. A mix's layer and a store's tokens are the directory's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RoleName {
    /// Clients connect to it.
    Gateway,
    /// Delays and forwards packets.
    Mix,
    /// Holds boxes and collects.
    Store,
}

impl RoleName {
    /// As in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Mix => "mix",
            Self::Store => "store",
        }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A node's configuration; see `docs/operate/node.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// What it does.
    pub role: RoleName,
    /// Where it listens.
    pub bind: SocketAddr,
    /// The network file; read again whenever it changes.
    pub network: PathBuf,
    /// Keys, boxes, journals and the control socket.
    pub dir: PathBuf,
    /// A store's cache, in MiB.
    pub cache_mib: u32,
    /// A gateway's sessions at once, at least one.
    pub max_sessions: u32,
    /// Cells a second on each link to another node, whether there is something to say or not; zero sends what
    /// there is when it is there, for measurements and tests.
    pub link_rate: u32,
    /// What a gateway's sessions may take of its line, each way, in Mbit/s; no bound if `None`.
    pub max_mbit_per_s: Option<u32>,
    /// What a store's table may take of its disk, in MiB; no bound if `None`.
    pub max_disk_mib: Option<u32>,
    /// Where metrics are told, over HTTP; nowhere if `None`.
    pub metrics: Option<SocketAddr>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    role: RoleName,
    bind: SocketAddr,
    network: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dir: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_mib: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_sessions: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link_rate: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_mbit_per_s: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_disk_mib: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metrics: Option<SocketAddr>,
}

#[derive(Deserialize)]
struct Versioned {
    version: Option<u32>,
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not TOML, or not with these fields.
    #[error("{}: {}", path.display(), source.to_string().trim_end())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// A bound of nothing.
    #[error("{}: {key} = 0 would let nothing in", path.display())]
    Nothing {
        /// Which file.
        path: PathBuf,
        /// The field.
        key: &'static str,
    },
    /// A bound that this role cannot keep.
    #[error("{}: {key} is for a {of} only", path.display())]
    NotOfRole {
        /// Which file.
        path: PathBuf,
        /// The field.
        key: &'static str,
        /// Who has it.
        of: RoleName,
    },
    /// Nobody would know where the metrics are.
    #[error("{}: metrics needs an address with a port", path.display())]
    NoPort {
        /// Which file.
        path: PathBuf,
    },
    /// More cells a second than a link's clock can give.
    #[error("{}: link_rate = {got} is above {MAX_LINK_RATE} cells a second", path.display())]
    LinkRate {
        /// Which file.
        path: PathBuf,
        /// What it says.
        got: u32,
    },
    /// No version, or another one.
    #[error("{}: version = {VERSION} is what this program reads, the file {}", path.display(),
        got.map_or_else(|| "names none".to_owned(), |got| format!("has {got}")))]
    Version {
        /// Which file.
        path: PathBuf,
        /// What it says.
        got: Option<u32>,
    },
}

impl NodeConfig {
    /// Reads a file; relative paths in it are relative to it.
    ///
    /// # Errors
    /// [`ConfigError`] with the file and the line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = files::read_at_most(path, MAX_LEN)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let base = path.parent().unwrap_or(Path::new("."));
        // A relative path would change its meaning with the working directory.
        let base = std::path::absolute(base)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &base, path)
    }

    fn parse(text: &str, base: &Path, path: &Path) -> Result<Self, ConfigError> {
        let parse = |source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) };
        let Versioned { version } = toml::from_str(text).map_err(parse)?;
        if version != Some(VERSION) {
            return Err(ConfigError::Version { path: path.to_owned(), got: version });
        }
        let stored: Stored = toml::from_str(text).map_err(parse)?;
        stored.check(path)?;
        let link_rate = stored.link_rate.unwrap_or(DEFAULT_LINK_RATE);
        if link_rate > MAX_LINK_RATE {
            return Err(ConfigError::LinkRate { path: path.to_owned(), got: link_rate });
        }
        Ok(Self {
            role: stored.role,
            bind: stored.bind,
            network: base.join(stored.network),
            dir: stored.dir.map_or_else(|| base.to_owned(), |dir| base.join(dir)),
            cache_mib: stored.cache_mib.unwrap_or(DEFAULT_CACHE_MIB),
            max_sessions: stored.max_sessions.unwrap_or(MAX_SESSIONS as u32),
            link_rate,
            max_mbit_per_s: stored.max_mbit_per_s,
            max_disk_mib: stored.max_disk_mib,
            metrics: stored.metrics,
        })
    }

    /// The text of a file for this configuration, to lie in `dir`.
    pub fn to_toml(&self) -> String {
        let stored = Stored {
            version: VERSION,
            role: self.role,
            bind: self.bind,
            network: self.network.clone(),
            dir: None,
            cache_mib: Some(self.cache_mib),
            max_sessions: Some(self.max_sessions),
            link_rate: Some(self.link_rate),
            max_mbit_per_s: self.max_mbit_per_s,
            max_disk_mib: self.max_disk_mib,
            metrics: self.metrics,
        };
        toml::to_string(&stored).expect("numbers, addresses and UTF-8 paths serialise")
    }

    /// A configuration with what `docs/operate/node.md` calls the defaults.
    pub fn new(role: RoleName, bind: SocketAddr, network: PathBuf, dir: PathBuf) -> Self {
        let (cache_mib, max_sessions) = (DEFAULT_CACHE_MIB, MAX_SESSIONS as u32);
        let link_rate = DEFAULT_LINK_RATE;
        let (max_mbit_per_s, max_disk_mib, metrics) = (None, None, None);
        Self {
            role,
            bind,
            network,
            dir,
            cache_mib,
            max_sessions,
            link_rate,
            max_mbit_per_s,
            max_disk_mib,
            metrics,
        }
    }
}

impl Stored {
    /// Bounds that let nothing in, and bounds that would not be kept: an operator must not rely on them.
    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let path = || path.to_owned();
        let bounds = [
            ("max_sessions", self.max_sessions, None),
            ("max_mbit_per_s", self.max_mbit_per_s, Some(RoleName::Gateway)),
            ("max_disk_mib", self.max_disk_mib, Some(RoleName::Store)),
        ];
        for (key, value, role) in bounds {
            if value == Some(0) {
                return Err(ConfigError::Nothing { path: path(), key });
            }
            if let Some(of) = role.filter(|of| value.is_some() && *of != self.role) {
                return Err(ConfigError::NotOfRole { path: path(), key, of });
            }
        }
        match self.metrics {
            Some(metrics) if metrics.port() == 0 => Err(ConfigError::NoPort { path: path() }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
version = 1
role = "mix"
bind = "127.0.0.1:4000"
network = "../network.json"
"#;

    fn parse(text: &str) -> Result<NodeConfig, ConfigError> {
        NodeConfig::parse(text, Path::new("/etc/xchat"), Path::new("/etc/xchat/node.toml"))
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = parse(GOOD).expect("good");
        assert_eq!(config.role, RoleName::Mix);
        assert_eq!(config.network, Path::new("/etc/xchat/../network.json"));
        assert_eq!(config.dir, Path::new("/etc/xchat"));
    }

    #[test]
    fn what_is_written_reads_back() {
        let config = parse(GOOD).expect("good");
        assert_eq!(parse(&config.to_toml()).expect("own"), config);
        let mut config = NodeConfig { role: RoleName::Gateway, ..config };
        config.max_mbit_per_s = Some(100);
        config.metrics = Some("127.0.0.1:9464".parse().expect("an address"));
        assert_eq!(parse(&config.to_toml()).expect("own"), config);
        let config = NodeConfig { role: RoleName::Store, max_mbit_per_s: None, ..config };
        let config = NodeConfig { max_disk_mib: Some(20_480), ..config };
        assert_eq!(parse(&config.to_toml()).expect("own"), config);
    }

    #[test]
    fn a_line_carries_so_many_packets_and_they_take_that_line() {
        // 5,600 bytes each way: 22.3 packets a second for a megabit.
        assert_eq!(packets(1), 22_321);
        assert_eq!(kbit_per_s(packets(100)), 100_000);
        assert_eq!(packets(u32::MAX), 95_869_805_691_964);
    }

    #[test]
    fn errors_name_the_file_and_the_mistake() {
        let cases = [
            (
                "version = 2\nrole = \"mix\"\n",
                "version = 1 is what this program reads, the file has 2",
            ),
            ("role = \"mix\"\n", "the file names none"),
            (&GOOD.replace("mix", "mixer"), "unknown variant `mixer`"),
            (&GOOD.replace("bind", "bin"), "unknown field `bin`"),
            (&GOOD.replace("127.0.0.1:4000", "localhost"), "invalid socket address syntax"),
            (&format!("{GOOD}max_sessions = 0\n"), "max_sessions = 0 would let nothing in"),
            (&format!("{GOOD}max_mbit_per_s = 10\n"), "max_mbit_per_s is for a gateway only"),
            (&format!("{GOOD}max_disk_mib = 10\n"), "max_disk_mib is for a store only"),
            (&format!("{GOOD}max_disk_mib = -1\n"), "invalid value"),
            (&format!("{GOOD}metrics = \"9464\"\n"), "invalid socket address syntax"),
            (&format!("{GOOD}metrics = \"127.0.0.1:0\"\n"), "needs an address with a port"),
            (&format!("{GOOD}link_rate = 1001\n"), "link_rate = 1001 is above 1000"),
            ("not toml", "/etc/xchat/node.toml"),
        ];
        for (text, wanted) in cases {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(wanted), "{error:?} lacks {wanted:?}");
            assert!(error.starts_with("/etc/xchat/node.toml: "), "{error:?}");
        }
    }
}
