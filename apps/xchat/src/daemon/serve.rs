//! Being the daemon.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand_core::OsRng;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use xchat_client::{Error, ErrorBody, Passphrase, Profile, files};

use super::API_VERSION;
use super::card::Card;
use super::connect::StartLock;
use super::door;
use super::keeper::Keeper;
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

/// What the daemon begins with.
#[derive(Debug, Clone)]
pub(crate) enum First {
    /// An open profile.
    Open(Passphrase),
    /// A profile that is locked, or none: a page opens it, or makes it in the network of this file.
    Closed { network: Option<PathBuf> },
}

/// Serves a profile until it is stopped or told to by a signal.
///
/// # Errors
/// What keeps it from starting, and a client that ended by itself.
pub(crate) async fn serve(
    profile: &Path,
    first: First,
    foreground: Foreground,
) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io_failure("wait for signals"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(io_failure("wait for signals"))?;
    let (shared, server) = start(profile, first, foreground).await?;
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
    shared.keeper.died().await;
    if shared.is_stopping() {
        std::future::pending().await
    }
}

/// Holds the profile, opens it, listens, and says so. The server runs on until the process ends.
async fn start(
    profile: &Path,
    first: First,
    foreground: Foreground,
) -> Result<(Shared, JoinHandle<()>), Failure> {
    // A command that starts a daemon holds this lock already, for its child.
    let _lock = match foreground {
        Foreground::Detached => None,
        _ if profile.exists() => Some(StartLock::take(profile).await?),
        _ => None,
    };
    let is_open = matches!(first, First::Open(_));
    let keeper = keeper(profile, first).await.map_err(|error| failure(&error))?;
    Card::remove(profile);
    let listener = listen(profile).await.map_err(io_failure("listen on 127.0.0.1"))?;
    let port = listener.local_addr().map_err(io_failure("listen on 127.0.0.1"))?.port();
    let token = super::guard::new_token(&mut OsRng);
    let card = Card { api: API_VERSION, port, token, pid: std::process::id() };
    let shared = Shared::new(keeper, &card, profile.to_owned());
    let router = routes::router(shared.clone());
    let server = tokio::spawn(door::serve(listener, router, shared.clone()));
    remember_port(profile, port).map_err(io_failure("write the port"))?;
    // Last, and told of at once: whoever sees the card takes the daemon for one that has started.
    card.write(profile).map_err(io_failure("write daemon.json"))?;
    announce(&card, profile, foreground, is_open);
    Ok((shared, server))
}

async fn keeper(profile: &Path, first: First) -> Result<Keeper, ErrorBody> {
    if matches!(first, First::Open(_)) {
        // Nothing is made for a profile that is not there.
        Profile::find(profile).map_err(|error| Error::from(error).body())?;
    }
    let hold = Profile::hold(profile).map_err(|error| Error::from(error).body())?;
    Ok(match first {
        First::Open(passphrase) => {
            let keeper = Keeper::new(profile, hold, None);
            keeper.unlock(passphrase).await?;
            keeper
        }
        First::Closed { network } => Keeper::new(profile, hold, network),
    })
}

fn port_file(profile: &Path) -> PathBuf {
    profile.join("port")
}

/// At the port of the last time, so that an open page finds its daemon again; at another one if that is taken.
async fn listen(profile: &Path) -> io::Result<TcpListener> {
    let last = std::fs::read_to_string(port_file(profile));
    let last: Option<u16> = last.ok().and_then(|text| text.trim().parse().ok());
    if let Some(port) = last.filter(|port| *port >= FIRST_PORT)
        && let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
    {
        return Ok(listener);
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

/// Below it ports belong to the system's services.
const FIRST_PORT: u16 = 1024;

fn remember_port(profile: &Path, port: u16) -> io::Result<()> {
    files::replace_file(&port_file(profile), format!("{port}\n").as_bytes())
}

fn announce(card: &Card, profile: &Path, foreground: Foreground, is_open: bool) {
    let line = match foreground {
        Foreground::Person => {
            let state = if is_open { "Online with" } else { "`xchat open` opens the page for" };
            let profile = profile.display();
            format!("{state} {profile}. Leave this running; Ctrl-C or `xchat stop` goes offline.")
        }
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
