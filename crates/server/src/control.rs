//! The control socket: a running node tells its operator how it is.
//!
//! Whoever can enter the node's directory may ask; the answer is one JSON line and names no client, and of the
//! other nodes only mixes that fail.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use xchat_node::directory::{NodeId, VerifiedDocument};

use crate::clock;
use crate::config::RoleName;
use crate::core::Event;
use crate::error::NodeError;
use crate::files;

const SOCKET: &str = "control.sock";

/// A socket's path may not be longer (`sun_path` has 108 bytes, one of them zero).
const MAX_SOCKET_PATH: usize = 107;

/// A node that does not answer by then is stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// No status is longer.
const MAX_STATUS: u64 = 64 * 1024;

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The program's version.
    pub version: String,
    /// What it does.
    pub role: RoleName,
    /// Its id, in hexadecimal.
    pub id: String,
    /// Its process.
    pub pid: u32,
    /// Whether it does its work: the document is valid and, for a store, lists its table.
    pub serving: bool,
    /// The document it uses.
    pub epoch: u64,
    /// When that ends, in Unix milliseconds.
    pub valid_until: u64,
    /// Links it keeps to other nodes.
    pub links_wanted: u64,
    /// Of these, links that are up.
    pub links_up: u64,
    /// Frames that were dropped because a peer was away or slow.
    pub frames_dropped: u64,
    /// A store that does not answer for all of its boxes: the directory lists another table, or the boxes
    /// of an earlier placement's replicas are still being copied.
    pub catching_up: bool,
    /// How much of what it can do it is doing; mixes do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// A store's table.
    pub table: Option<TableStatus>,
    /// What a gateway's own loops say about the mixes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loops: Option<LoopStatus>,
    /// Ids of nodes that send packets twice, in hexadecimal. A mix is refused for an hour for that; what a gateway or a store sends
    /// twice may be their clients' doing.
    #[serde(default)]
    pub repeating: Vec<String>,
    /// What it has done since it started.
    pub counters: BTreeMap<String, u64>,
}

/// What loops that did not come back say. Mixes are public, and loops are nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopStatus {
    /// Ids of mixes that are silent, or lose more than others of their layer, in hexadecimal.
    pub failing_mixes: Vec<String>,
    /// Whether a quarter of the recent loops was lost, and more.
    pub losing: bool,
}

/// How a store's table is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStatus {
    /// Its life, in hexadecimal: another one after the disk was wiped.
    pub incarnation: String,
    /// The placement epoch that it has taken up.
    pub placement: u32,
    /// Boxes copied from other stores since the table was made.
    pub refilled: u64,
    /// Stores from which something is still to be copied.
    pub sources_left: u64,
    /// What the table takes on the disk, at the last look.
    #[serde(default)]
    pub bytes: u64,
    /// What it may take, if the operator says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Whether it has reached that: new boxes are refused.
    #[serde(default)]
    pub full: bool,
}

impl NodeStatus {
    /// Whether it serves, and reaches every node that it should.
    pub fn is_connected(&self) -> bool {
        self.serving && self.links_up == self.links_wanted
    }
}

/// How much of what it can do a node is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Load {
    /// A gateway's.
    Gateway {
        /// Sessions now.
        sessions: u64,
        /// Sessions at most.
        max_sessions: u64,
        /// Whether newcomers are turned away.
        full: bool,
        /// What the next session costs its client: hashes on average.
        proof_attempts: u64,
        /// Kilobits a second, each way, that these sessions may take at most, and that all may, if the operator
        /// says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<LineStatus>,
    },
    /// A store's.
    Store {
        /// Whether new writes are refused, because more waits than is worked off.
        busy: bool,
    },
}

/// How much of a gateway's line is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineStatus {
    /// Kilobits a second, each way, that the sessions there are may take at most.
    pub kbit_per_s: u64,
    /// That all may.
    pub max_kbit_per_s: u64,
}

/// What a status says that does not change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    pub(crate) role: RoleName,
    pub(crate) id: NodeId,
}

/// Asks the core how it is, for whoever wants to know.
#[derive(Clone)]
pub(crate) struct Reporter {
    pub(crate) about: About,
    pub(crate) document: watch::Receiver<VerifiedDocument>,
    pub(crate) events: mpsc::Sender<Event>,
}

impl Reporter {
    /// `None` when the core is gone.
    pub(crate) async fn status(&self) -> Option<NodeStatus> {
        let (answer, asked) = oneshot::channel();
        self.events.send(Event::Status(answer)).await.ok()?;
        let (core, links) = asked.await.ok()?;
        let (epoch, valid_until, expired) = {
            let document = self.document.borrow();
            let valid_until = document.valid_until;
            (document.epoch, valid_until.as_millis(), document.is_expired(clock::now()))
        };
        Some(NodeStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: self.about.role,
            id: self.about.id.to_hex(),
            pid: std::process::id(),
            serving: !expired && !core.catching_up,
            epoch,
            valid_until,
            links_wanted: links.wanted,
            links_up: links.up,
            frames_dropped: links.dropped,
            catching_up: core.catching_up,
            load: core.load,
            table: core.table,
            loops: core.loops,
            repeating: core.repeating.iter().map(NodeId::to_hex).collect(),
            counters: core.counters,
        })
    }
}

/// The socket; removed when it is dropped.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Control {
    fn drop(&mut self) {
        // A left-over is recognised as such by the next start.
        let _ = files::remove(&self.path);
    }
}

impl Control {
    /// Opens the socket. That of a node which was killed is taken over, that of a live one is not.
    pub(crate) async fn bind(dir: &Path) -> Result<Self, NodeError> {
        let path = dir.join(SOCKET);
        let short = ShortPath::new(dir).map_err(NodeError::file(dir))?;
        if UnixStream::connect(short.socket()).await.is_ok() {
            return Err(NodeError::Running { path });
        }
        files::remove(&path).map_err(NodeError::file(&path))?;
        let listener = UnixListener::bind(short.socket()).map_err(NodeError::file(&path))?;
        Ok(Self { listener, path })
    }

    /// Answers until the core is gone.
    pub(crate) async fn serve(self, reporter: Reporter) {
        loop {
            // Out of descriptors: the pause lets some come back.
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Some(status) = reporter.status().await else { return };
            // One at a time is enough; whoever does not read its answer does not hold up the next.
            let _ = timeout(Duration::from_secs(1), write(stream, &status)).await;
        }
    }
}

async fn write(mut stream: UnixStream, status: &NodeStatus) -> io::Result<()> {
    let mut line = serde_json::to_vec(status).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.shutdown().await
}

/// Asks the node that serves from this directory.
///
/// # Errors
/// What the system says: [`io::ErrorKind::NotFound`] or [`io::ErrorKind::ConnectionRefused`] if it
/// does not run, [`io::ErrorKind::TimedOut`] if it does not answer.
pub async fn query(dir: &Path) -> io::Result<NodeStatus> {
    let asking = async {
        let stream = UnixStream::connect(ShortPath::new(dir)?.socket()).await?;
        let mut line = Vec::new();
        stream.take(MAX_STATUS).read_to_end(&mut line).await?;
        serde_json::from_slice(&line).map_err(io::Error::other)
    };
    timeout(ANSWER_TIMEOUT, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A way to the socket that fits into a socket address however deep the directory lies.
pub struct ShortPath {
    path: PathBuf,
    /// Held open while the path through it is in use.
    _dir: Option<File>,
}

impl ShortPath {
    /// For the control socket in this directory.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn new(dir: &Path) -> io::Result<Self> {
        Self::to(dir, SOCKET)
    }

    /// For a socket of any name.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn to(dir: &Path, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        if path.as_os_str().len() <= MAX_SOCKET_PATH {
            return Ok(Self { path, _dir: None });
        }
        let open = File::open(dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", open.as_raw_fd()));
        Ok(Self { path, _dir: Some(open) })
    }

    /// The path.
    pub fn socket(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deep_directory_has_a_socket_too() {
        let root = tempfile::tempdir().expect("a directory");
        let dir = root.path().join("d".repeat(120));
        files::private_dir(&dir).expect("makes it");
        assert_eq!(query(&dir).await.expect_err("nobody").kind(), io::ErrorKind::NotFound);

        let control = Control::bind(&dir).await.expect("binds");
        assert!(matches!(Control::bind(&dir).await, Err(NodeError::Running { .. })));
        drop(control);
        Control::bind(&dir).await.expect("binds again");
    }

    #[tokio::test]
    async fn the_socket_of_a_killed_node_is_taken_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let left_over = std::os::unix::net::UnixListener::bind(dir.path().join(SOCKET));
        drop(left_over.expect("binds"));
        assert_eq!(
            query(dir.path()).await.expect_err("nobody").kind(),
            io::ErrorKind::ConnectionRefused
        );
        Control::bind(dir.path()).await.expect("takes it over");
    }
}
