//! How `net restart` reaches the supervisor: a socket in the network's directory, one JSON line each
//! way.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use xchat_server::control::ShortPath;
use xchat_server::files as disk;

use super::broken;
use crate::failure::{Failure, exit};

const SOCKET: &str = "net.sock";
const LOCK: &str = "net.lock";

/// A request, or an answer, is no longer.
const MAX_LINE: u64 = 16 * 1024;

/// The supervisor gives up on a node before this.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Nodes whose supervisor is gone have ended by then, or something holds them up: more than they allow themselves.
const LEFT_NODES_END_WITHIN: Duration = Duration::from_secs(15);

/// How often it is looked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Requests that wait for the supervisor.
const WAITING: usize = 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Restart {
    restart: String,
}

/// What the supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// The node serves; its process.
    Pid(u32),
    /// No node has this name or id.
    Unknown,
    /// It did not come up; why.
    Failed(String),
}

/// A wish that reached the supervisor.
pub(super) struct Request {
    pub(super) node: String,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// The supervisor's end; removed when it is dropped.
pub(super) struct Requests {
    path: PathBuf,
    /// Held by the directory's supervisor and its nodes; it goes with the processes, however they end.
    lock: File,
    received: mpsc::Receiver<Request>,
}

impl Drop for Requests {
    fn drop(&mut self) {
        // A left-over is taken over by the next run.
        let _ = disk::remove(&self.path);
    }
}

impl Requests {
    /// Opens the socket; only one supervisor can have it.
    pub(super) async fn open(dir: &Path) -> Result<Self, Failure> {
        let lock = take(dir).await?;
        let path = dir.join(SOCKET);
        let short = ShortPath::to(dir, SOCKET).map_err(|error| broken(dir.display(), &error))?;
        let failed = |error: io::Error| broken(path.display(), &error);
        disk::remove(&path).map_err(failed)?;
        let listener = UnixListener::bind(short.socket()).map_err(failed)?;
        let (requests, received) = mpsc::channel(WAITING);
        tokio::spawn(serve(listener, requests));
        Ok(Self { path, lock, received })
    }

    /// Another handle to the directory's lock, for a node to hold.
    pub(super) fn lock(&self) -> io::Result<File> {
        self.lock.try_clone()
    }

    /// The next request; dropping the future loses none.
    pub(super) async fn next(&mut self) -> Request {
        match self.received.recv().await {
            Some(request) => request,
            // The listener's task has ended: nobody asks any more.
            None => std::future::pending().await,
        }
    }
}

/// Takes the directory. Not the socket decides: two that start at once would both find none, and both make the
/// directory's keys. Nodes hold the lock as well (see [`super::child::Node`]), so those that a killed supervisor has left,
/// which end by themselves, are waited for.
pub(super) async fn take(dir: &Path) -> Result<File, Failure> {
    take_from(dir, Who::MayStay).await
}

/// Who may have the directory's lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Also a supervisor that goes on: whose socket answers is not waited for.
    MayStay,
    /// Only one that ends by itself, its socket with it.
    IsEnding,
}

/// The same from somebody of whom so much is known.
pub(super) async fn take_from(dir: &Path, who: Who) -> Result<File, Failure> {
    let path = dir.join(LOCK);
    let failed = |error: io::Error| broken(path.display(), &error);
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(failed)?;
    let short = ShortPath::to(dir, SOCKET).map_err(|error| broken(dir.display(), &error))?;
    let end = Instant::now() + LEFT_NODES_END_WITHIN;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        let stays = who == Who::MayStay && UnixStream::connect(short.socket()).await.is_ok();
        if stays || Instant::now() >= end {
            let text = "the network in this directory is running already";
            return Err(Failure::new(exit::UNAVAILABLE, "already_running", text));
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn serve(listener: UnixListener, requests: mpsc::Sender<Request>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(timeout(ANSWER_WITHIN, answer(stream, requests.clone())));
            }
            // Out of descriptors: the pause lets some come back.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(mut stream: UnixStream, requests: mpsc::Sender<Request>) -> io::Result<()> {
    let mut line = Vec::new();
    (&mut stream).take(MAX_LINE).read_to_end(&mut line).await?;
    let Restart { restart: node } = serde_json::from_slice(&line).map_err(io::Error::other)?;
    let (answer, answered) = oneshot::channel();
    requests.send(Request { node, answer }).await.map_err(io::Error::other)?;
    let answer = answered.await.map_err(io::Error::other)?;
    stream.write_all(&serde_json::to_vec(&answer).map_err(io::Error::other)?).await
}

/// Asks the supervisor of a directory to start a node again; its new process.
pub(super) async fn restart(dir: &Path, node: &str) -> Result<u32, Failure> {
    let asking = timeout(ANSWER_WITHIN, ask(dir, node)).await;
    match asking.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(Answer::Pid(pid)) => Ok(pid),
        Ok(Answer::Unknown) => {
            let text = format!("no node of this network is called {node}");
            Err(Failure::new(exit::INVALID, "unknown_node", text).hint("see nodes.json"))
        }
        Ok(Answer::Failed(why)) => Err(Failure::new(exit::UNAVAILABLE, "node_failed", why)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            let text = "the network in this directory is not running";
            let failure = Failure::new(exit::UNAVAILABLE, "not_running", text);
            Err(failure.hint("start it: xchat net up --dir DIR"))
        }
        Err(error) => Err(broken("the network does not answer", &error)),
    }
}

async fn ask(dir: &Path, node: &str) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(ShortPath::to(dir, SOCKET)?.socket()).await?;
    let request = serde_json::to_vec(&Restart { restart: node.to_owned() })?;
    stream.write_all(&request).await?;
    stream.shutdown().await?;
    let mut line = Vec::new();
    stream.take(MAX_LINE).read_to_end(&mut line).await?;
    serde_json::from_slice(&line).map_err(io::Error::other)
}
