//! Being the daemon.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use rand_core::OsRng;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use xchat_client::{Client, Passphrase, Profile};

use super::API_VERSION;
use super::card::Card;
use super::connect::StartLock;
use super::door;
use super::routes::{self, Shared};
use crate::cli::failures::{failure, of_file};
use crate::failure::{Failure, exit};

/// How long the end waits for answers to be read.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How the daemon was started, which decides how it says that it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreground {
    /// By a person, for whom it stays in the foreground.
    Person,
    /// By a script: one line of JSON.
    Script,
    /// By a command, which waits for one line of JSON and closes the pipe.
    Detached,
}

/// Serves a profile until it is stopped or told to by a signal.
///
/// # Errors
/// What keeps it from starting, and a client that ended by itself.
pub(crate) async fn serve(
    profile: &Path,
    passphrase: Passphrase,
    foreground: Foreground,
) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io_failure("wait for signals"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(io_failure("wait for signals"))?;
    let (shared, server) = start(profile, &passphrase, foreground).await?;
    drop(passphrase);
    tokio::select! {
        // First, because a client that was told to stop has also stopped.
        biased;
        () = shared.ended() => {}
        _ = interrupt.recv() => shared.stop().await,
        _ = terminate.recv() => shared.stop().await,
        () = died(&shared) => {
            Card::remove(profile);
            return Err(Failure::new(exit::INTERNAL, "internal", "the client ended by itself")
                .hint("This is a bug in xchat. Please report it."));
        }
    }
    // Whoever asked for the end gets their answer; whoever does not read it is not waited for.
    let _ = timeout(LAST_ANSWERS, server).await;
    Ok(())
}

/// Returns if the client ends without having been asked to.
async fn died(shared: &Shared) {
    shared.client.stopped().await;
    if shared.is_stopping() {
        std::future::pending().await
    }
}

/// Opens the profile, listens, and says so. The server runs on until the process ends.
async fn start(
    profile: &Path,
    passphrase: &Passphrase,
    foreground: Foreground,
) -> Result<(Shared, JoinHandle<()>), Failure> {
    // A command that starts a daemon holds this lock already, for its child.
    let _lock = match foreground {
        Foreground::Detached => None,
        _ if Profile::exists(profile) => Some(StartLock::take(profile).await?),
        _ => None,
    };
    let client = Client::open(profile, passphrase).await.map_err(|error| failure(&error.body()))?;
    Card::remove(profile);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.map_err(io_failure("listen on 127.0.0.1"))?;
    let port = listener.local_addr().map_err(io_failure("listen on 127.0.0.1"))?.port();
    let token = super::guard::new_token(&mut OsRng);
    let card = Card { api: API_VERSION, port, token, pid: std::process::id() };
    let shared = Shared::new(client, &card, profile.to_owned());
    let router = routes::router(shared.clone());
    let server = tokio::spawn(door::serve(listener, router, shared.clone()));
    card.write(profile).map_err(io_failure("write daemon.json"))?;
    announce(&card, profile, foreground);
    Ok((shared, server))
}

fn announce(card: &Card, profile: &Path, foreground: Foreground) {
    let line = match foreground {
        Foreground::Person => format!(
            "Online with {}. Leave this running; Ctrl-C or `xchat stop` goes offline.",
            profile.display()
        ),
        Foreground::Script | Foreground::Detached => {
            json!({ "event": "ready", "port": card.port, "pid": card.pid }).to_string()
        }
    };
    // Nobody reads it: then nobody waits for it.
    let _ = writeln!(io::stdout(), "{line}");
}

fn io_failure(what: &'static str) -> impl FnOnce(io::Error) -> Failure {
    move |error| of_file(what, &error)
}
