//! Finding the profile's daemon, or starting one.

mod start;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::timeout;
use xchat_client::{Command, ErrorBody, Numbered, Passphrase, Profile, files};

use self::start::{Opening, start};
use super::API_VERSION;
use super::card::Card;
use super::http::{self, HttpError, Lines, Open};
use super::routes::PLACE_HEADER;
use crate::cli::failures::{failure, of_file};
use crate::failure::{Failure, exit};

/// A daemon answers whether it is there within this, on the busiest machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// A daemon that ends needs no longer than this.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Held while looking for a daemon and starting one, so that two commands start one daemon.
pub(super) struct StartLock(#[allow(dead_code)] File);

impl StartLock {
    pub(super) async fn take(profile: &Path) -> Result<Self, Failure> {
        let path = profile.join("start.lock");
        // Whoever holds it gives up after `START_TIMEOUT` at the latest.
        let taking = tokio::task::spawn_blocking(move || {
            let file = files::private_file(&path)?;
            file.lock()?;
            Ok::<_, std::io::Error>(file)
        });
        match taking.await {
            Ok(Ok(file)) => Ok(Self(file)),
            Ok(Err(error)) => Err(of_file("lock the profile", &error)),
            Err(_) => Err(Failure::new(exit::INTERNAL, "internal", "locking has panicked")),
        }
    }
}

/// A running daemon.
pub(crate) struct Daemon {
    card: Card,
    open: Open,
}

impl Daemon {
    /// The profile's running daemon, if there is one.
    ///
    /// # Errors
    /// There is no profile, or another program has it open, or a daemon of another version.
    pub(crate) async fn find(profile: &Path) -> Result<Option<Self>, Failure> {
        check_profile(profile)?;
        Self::find_here(profile).await
    }

    /// As [`Self::find`], but there need not be a profile: a page may be about to make it.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub(crate) async fn find_here(profile: &Path) -> Result<Option<Self>, Failure> {
        if !profile.exists() {
            return Ok(None);
        }
        let _lock = StartLock::take(profile).await?;
        find_locked(profile).await
    }

    /// The profile's running daemon, with the profile open, or a new one; `passphrase` is only asked for a profile
    /// that is not open.
    ///
    /// # Errors
    /// As [`Self::find`], and what keeps a new one from starting.
    pub(crate) async fn find_or_start(
        profile: &Path,
        passphrase: impl FnOnce() -> Result<Passphrase, Failure>,
    ) -> Result<Self, Failure> {
        match Self::find(profile).await? {
            Some(daemon) if daemon.open == Open::Yes => return Ok(daemon),
            _ => {}
        }
        // Not under the lock: a person who does not type holds nobody up, least of all `stop`.
        let passphrase = passphrase()?;
        let _lock = StartLock::take(profile).await?;
        match find_locked(profile).await? {
            Some(daemon) => daemon.unlocked(&passphrase).await,
            None => start(profile, &Opening::With(passphrase)).await,
        }
    }

    /// The running daemon, or a new one, for a page: the profile may be locked, or not be there yet. It is opened
    /// if there is one and a passphrase is given.
    ///
    /// # Errors
    /// As [`Self::find_or_start`].
    pub(crate) async fn for_page(
        profile: &Path,
        passphrase: Option<Passphrase>,
        network: Option<&Path>,
    ) -> Result<Self, Failure> {
        files::private_dir(profile).map_err(|error| of_file("make the directory", &error))?;
        let _lock = StartLock::take(profile).await?;
        let passphrase = passphrase.filter(|_| Profile::exists(profile));
        match (find_locked(profile).await?, passphrase) {
            (Some(daemon), Some(passphrase)) => daemon.unlocked(&passphrase).await,
            (Some(daemon), None) => Ok(daemon),
            (None, Some(passphrase)) => start(profile, &Opening::With(passphrase)).await,
            (None, None) => start(profile, &Opening::ByPage(network.map(Path::to_owned))).await,
        }
    }

    /// With the profile open.
    async fn unlocked(self, passphrase: &Passphrase) -> Result<Self, Failure> {
        if self.open == Open::Yes {
            return Ok(self);
        }
        let body = serde_json::json!({ "passphrase": passphrase.expose() }).to_string();
        let body = body.into_bytes();
        let (status, value) = http::ask(&self.card, "/v1/unlock", body).await.map_err(gone)?;
        if status.is_success() {
            Ok(Self { open: Open::Yes, ..self })
        } else {
            Err(error_in(value))
        }
    }

    /// The address at which a browser gets the page, once and soon. A new profile would be in this network.
    ///
    /// # Errors
    /// The daemon went away.
    pub(crate) async fn page(&self, network: Option<&Path>) -> Result<String, Failure> {
        #[derive(serde::Deserialize)]
        struct Given {
            code: String,
        }
        let body = serde_json::json!({ "network": network }).to_string().into_bytes();
        let (status, value) = http::ask(&self.card, "/v1/code", body).await.map_err(gone)?;
        if !status.is_success() {
            return Err(error_in(value));
        }
        let Given { code } = serde_json::from_value(value).map_err(|_| unreadable())?;
        Ok(format!("http://127.0.0.1:{}/#code={code}", self.card.port))
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// The command's own, or that the daemon went away.
    pub(crate) async fn command<T: DeserializeOwned>(
        &self,
        command: &Command,
        within: Option<Duration>,
    ) -> Result<T, Failure> {
        let path = match within {
            Some(within) => format!("/v1/command?timeout_ms={}", within.as_millis()),
            None => "/v1/command".to_owned(),
        };
        let body = serde_json::to_vec(command).expect("commands are texts and numbers");
        let (status, value) = http::ask(&self.card, &path, body).await.map_err(gone)?;
        if status.is_success() {
            return serde_json::from_value(value).map_err(|_| unreadable());
        }
        Err(error_in(value))
    }

    /// Stops it; returns when the profile is free.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let (status, value) = http::ask(&self.card, "/v1/stop", Vec::new()).await.map_err(gone)?;
        if status.is_success() { Ok(()) } else { Err(error_in(value)) }
    }

    /// Its events; `None` if it went away.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub(crate) async fn events(&self, from: Place) -> Result<Option<EventLines>, Failure> {
        let path = match from {
            Place { message: None, change: None } => "/v1/events".to_owned(),
            Place { message: Some(id), change: None } => format!("/v1/events?since={id}"),
            Place { message: None, change: Some(seq) } => format!("/v1/events?after={seq}"),
            Place { message: Some(id), change: Some(seq) } => {
                format!("/v1/events?since={id}&after={seq}")
            }
        };
        let sent = http::send(&self.card, Method::GET, &path, Vec::new()).await;
        let Ok(response) = sent else { return Ok(None) };
        if response.status().is_success() {
            let place = response.headers().get(PLACE_HEADER);
            let place = place.and_then(|place| place.to_str().ok()?.parse().ok());
            let change = place.ok_or_else(unreadable)?;
            return Ok(Some(EventLines { lines: Lines::new(response.into_body()), change }));
        }
        let mut lines = Lines::new(response.into_body());
        let value = lines.next().await.ok().flatten();
        Err(error_in(value.and_then(|line| serde_json::from_str(&line).ok()).unwrap_or_default()))
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.card.pid
    }
}

/// Where a stream of events begins: now, if nothing is said.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    /// Of the history, with what comes after this message.
    pub(crate) message: Option<u64>,
    /// With what changed after this change.
    pub(crate) change: Option<u64>,
}

/// A stream of events.
pub(crate) struct EventLines {
    lines: Lines,
    change: u64,
}

impl EventLines {
    /// The last change before the first event.
    pub(crate) fn begins_after(&self) -> u64 {
        self.change
    }

    /// The next event; `None` when the daemon has ended, by itself or not.
    pub(crate) async fn next(&mut self) -> Option<Numbered> {
        loop {
            let line = self.lines.next().await.ok()??;
            // An event of a kind that this version does not know is none for it.
            if let Ok(event) = serde_json::from_str(&line) {
                return Some(event);
            }
        }
    }
}

fn check_profile(profile: &Path) -> Result<(), Failure> {
    Profile::find(profile).map_err(|error| failure(&xchat_client::Error::from(error).body()))
}

/// A card counts only while somebody has the profile open: a card that a killed daemon has left may name
/// a port that is somebody else's by now.
async fn find_locked(profile: &Path) -> Result<Option<Daemon>, Failure> {
    if !is_open(profile)? {
        return Ok(None);
    }
    match Card::read(profile).map_err(|error| of_file("read daemon.json", &error))? {
        Some(card) if card.api != API_VERSION => {
            let text = format!(
                "the profile's daemon (process {}) is of another version of xchat",
                card.pid
            );
            Err(Failure::new(exit::UNAVAILABLE, "daemon_version", text)
                .hint("Stop it with the version that started it, or end the process."))
        }
        Some(card) => match answer(&card).await {
            Some(open) => Ok(Some(Daemon { card, open })),
            None => none_soon(profile).await,
        },
        None => none_soon(profile).await,
    }
}

/// A daemon that is ending has no card any more, or nobody is behind it.
async fn none_soon(profile: &Path) -> Result<Option<Daemon>, Failure> {
    if is_free_soon(profile).await {
        return Ok(None);
    }
    let error = xchat_client::Error::from(xchat_client::ProfileError::Locked);
    Err(failure(&error.body()))
}

/// A daemon that does not move (stopped by a signal, or swapped out) must not hold up every command.
async fn answer(card: &Card) -> Option<Open> {
    timeout(ANSWER_TIMEOUT, http::alive(card)).await.ok().flatten()
}

fn is_open(profile: &Path) -> Result<bool, Failure> {
    Profile::is_open(profile).map_err(|error| failure(&xchat_client::Error::from(error).body()))
}

/// Whether whoever has the profile open lets go of it within [`END_TIMEOUT`].
async fn is_free_soon(profile: &Path) -> bool {
    let profile = profile.to_owned();
    let (free, freed) = oneshot::channel();
    // A thread of its own, because nothing waits for it if it waits for too long.
    std::thread::spawn(move || {
        if Profile::wait_until_free(&profile).is_ok() {
            // Nobody listens any more: then it took too long.
            let _ = free.send(());
        }
    });
    matches!(timeout(END_TIMEOUT, freed).await, Ok(Ok(())))
}

fn gone(error: HttpError) -> Failure {
    let text = error.to_string();
    Failure::new(exit::UNAVAILABLE, "stopped", text)
        .hint("It may have been carried out: look with `xchat read` before you run it again.")
}

fn unreadable() -> Failure {
    Failure::new(exit::INTERNAL, "internal", "the daemon's answer cannot be read")
        .hint("Run `xchat stop`, then the command again.")
}

fn error_in(mut value: Value) -> Failure {
    match serde_json::from_value::<ErrorBody>(value["error"].take()) {
        Ok(body) => failure(&body),
        Err(_) => unreadable(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::TryLockError;

    use super::*;

    #[tokio::test]
    async fn nobody_waits_for_somebody_who_is_asked_for_the_passphrase() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("profile.json"), "{}").expect("writes");
        let path = dir.path().join("start.lock");
        let asked = || {
            let file = files::private_file(&path).expect("opens");
            let locked = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
            Err(Failure::new(exit::USAGE, if locked { "locked" } else { "free" }, ""))
        };
        let failure = Daemon::find_or_start(dir.path(), asked).await.err().expect("no passphrase");
        assert_eq!(failure.code, "free");
    }
}
