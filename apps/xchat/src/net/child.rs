//! A node's process.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde_json::{Value, json};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, oneshot};

use super::broken;
use super::files::config_path;
use super::plan::PlannedNode;
use crate::failure::Failure;

const LOG: &str = "node.log";

/// Of a node's log, so much is shown when it fails.
const TAIL: u64 = 2_000;

/// The end of a node's process.
pub(super) struct Ended {
    /// Its place in the plan.
    pub(super) index: usize,
    pub(super) pid: u32,
    pub(super) status: io::Result<ExitStatus>,
}

/// A running node.
///
/// Its standard input is a pipe that only this process holds: however this process ends, the pipe
/// closes, and the node stops by itself. Its standard output, to which it writes nothing, is the lock of the network's
/// directory: for as long as a node lives, the directory is in use.
pub(super) struct Node {
    pub(super) pid: u32,
    stdin: Option<ChildStdin>,
    kill: Option<oneshot::Sender<()>>,
}

impl Node {
    /// Starts a node that holds `lock`, by way of `runner` if there is one; `ended` is told when it is over.
    pub(super) fn start(
        index: usize,
        planned: &PlannedNode,
        network: &Path,
        runner: Option<&Path>,
        lock: File,
        ended: mpsc::UnboundedSender<Ended>,
    ) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|error| broken("the program", &error))?;
        let path = log_path(&planned.dir(network));
        let log = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| broken(path.display(), &error))?;
        let mut command = match runner {
            None => Command::new(program),
            Some(runner) => {
                let mut command = Command::new(runner);
                command.arg(&planned.name).arg(program);
                command
            }
        };
        let mut child = command
            .args(["node", "--until-stdin-closes", "--config"])
            .arg(config_path(planned, network))
            .stdin(Stdio::piped())
            .stdout(lock)
            .stderr(log)
            // Its own group: Ctrl-C is for the supervisor, which stops the nodes in its own way.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| broken("a node cannot be started", &error))?;
        let stdin = child.stdin.take();
        let pid = child.id().expect("it was not waited for yet");
        let (kill, killed) = oneshot::channel();
        tokio::spawn(async move {
            let status = watch(child, killed).await;
            // Nobody listens once the supervisor is done.
            let _ = ended.send(Ended { index, pid, status });
        });
        Ok(Self { pid, stdin, kill: Some(kill) })
    }

    /// Asks it to stop; the answer is its end.
    pub(super) fn ask_to_stop(&mut self) {
        self.stdin = None;
    }

    /// Ends it by force.
    pub(super) fn kill(&mut self) {
        if let Some(kill) = self.kill.take() {
            // It has ended by itself.
            let _ = kill.send(());
        }
    }
}

async fn watch(mut child: Child, killed: oneshot::Receiver<()>) -> io::Result<ExitStatus> {
    tokio::select! {
        status = child.wait() => return status,
        // A dropped handle is no wish to kill.
        Ok(()) = killed => {}
    }
    child.start_kill()?;
    child.wait().await
}

/// What an exit says, for an event line.
pub(super) fn exit_fields(status: &io::Result<ExitStatus>) -> Value {
    match status {
        Ok(status) => json!({ "code": status.code(), "signal": status.signal() }),
        Err(error) => json!({ "code": null, "signal": null, "error": error.to_string() }),
    }
}

/// The last lines of a node's log.
pub(super) fn log_tail(dir: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log_path(dir))?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
        let mut text = Vec::new();
        file.take(TAIL).read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    };
    read().unwrap_or_default()
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join(LOG)
}
