//! Starting a daemon.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command as Process;
use tokio::time::timeout;
use xchat_client::{Passphrase, files};

use super::{Daemon, error_in, find_locked};
use crate::cli::failures::of_file;
use crate::failure::{Failure, exit};

/// A daemon that is not ready by then will not be: it has keys to derive and a database to read.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How a new daemon's profile is opened.
pub(super) enum Opening {
    With(Passphrase),
    /// In this network, if it is still to be made.
    ByPage(Option<PathBuf>),
}

/// A daemon that was killed before it had said a word says nothing about the next: so many are started.
const TRIES: u32 = 3;

/// Starts a daemon as a process of its own, which outlives this one and its terminal.
pub(super) async fn start(profile: &Path, opening: &Opening) -> Result<Daemon, Failure> {
    for _ in 0..TRIES {
        if let Some(daemon) = start_once(profile, opening).await? {
            return Ok(daemon);
        }
    }
    Err(not_started(profile))
}

/// `None` if somebody has killed it meanwhile.
async fn start_once(profile: &Path, opening: &Opening) -> Result<Option<Daemon>, Failure> {
    let program =
        std::env::current_exe().map_err(|error| of_file("find the program itself", &error))?;
    let log = log_file(profile).map_err(|error| of_file("write daemon.log", &error))?;
    let mut command = Process::new(program);
    command.arg("--json").arg("--profile").arg(profile).args(["serve", "--detached"]);
    if let Opening::ByPage(network) = opening {
        command.arg("--locked");
        if let Some(network) = network {
            command.arg("--network").arg(network);
        }
    }
    let mut child = command
        .env_remove("XCHAT_PASSPHRASE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|error| of_file("start the daemon", &error))?;
    let mut stdin = child.stdin.take().expect("piped above");
    let stdout = child.stdout.take().expect("piped above");
    if let Opening::With(passphrase) = opening {
        let mut secret = zeroize::Zeroizing::new(passphrase.expose().as_bytes().to_vec());
        secret.push(b'\n');
        // If the child is gone, its output says why.
        let _ = stdin.write_all(&secret).await;
    }
    drop(stdin);
    let mut line = String::new();
    let mut stdout = BufReader::new(stdout);
    let read = timeout(START_TIMEOUT, stdout.read_line(&mut line)).await;
    match read {
        // The end of its output: it has ended, or is about to.
        Ok(Ok(0)) => {
            let status = child.wait().await;
            let killed = status.is_ok_and(|status| status.signal().is_some());
            return if killed { Ok(None) } else { Err(not_started(profile)) };
        }
        Ok(Ok(_)) => {}
        _ => {
            let _ = child.kill().await;
            return Err(not_started(profile));
        }
    }
    let value: Value = serde_json::from_str(&line).map_err(|_| not_started(profile))?;
    if value["event"] != "ready" {
        return Err(error_in(value));
    }
    find_locked(profile).await
}

fn log_path(profile: &Path) -> PathBuf {
    profile.join("daemon.log")
}

/// A new log for a new daemon: it does not grow from start to start.
fn log_file(profile: &Path) -> std::io::Result<File> {
    let file = files::private_file(&log_path(profile))?;
    file.set_len(0)?;
    Ok(file)
}

fn not_started(profile: &Path) -> Failure {
    let hint = format!("{} may say why.", log_path(profile).display());
    Failure::new(exit::UNAVAILABLE, "daemon_failed", "the daemon did not start").hint(hint)
}
