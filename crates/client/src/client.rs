//! The handle.

use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use xchat_engine::MessageState;

use crate::api::{Command, Response, Wait};
use crate::driver::{self, Changed, Request};
use crate::error::{Error, ErrorKind};
use crate::events::{Events, From};
use crate::profile::{Passphrase, Profile};
use crate::store::StoredMessage;

/// Requests that wait for the driver. It takes microseconds to milliseconds for each.
const MAX_REQUESTS: usize = 64;

/// A handle to a running client; clones are handles to the same one. When the last is dropped, the
/// client stops.
#[derive(Clone)]
pub struct Client {
    requests: mpsc::Sender<Request>,
}

impl Client {
    /// Opens a profile and goes online.
    ///
    /// It returns once everything stored is loaded; being online takes its own time and shows in the
    /// status. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error`]: the profile cannot be opened.
    pub async fn open(dir: &Path, passphrase: &Passphrase) -> Result<Self, Error> {
        let (dir, passphrase) = (dir.to_owned(), passphrase.clone());
        // A fifth of a second of key derivation, and files.
        let opening = tokio::task::spawn_blocking(move || Profile::open(&dir, &passphrase));
        let profile = opening
            .await
            .map_err(|_| Error::new(ErrorKind::Internal, "opening the profile has panicked"))??;
        Self::start(profile)
    }

    /// Goes online with an open profile. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error`]: what is stored cannot be used.
    pub fn start(profile: Profile) -> Result<Self, Error> {
        let (requests, inbox) = mpsc::channel(MAX_REQUESTS);
        driver::start(profile, inbox)?;
        Ok(Self { requests })
    }

    /// Carries out one command.
    ///
    /// With `within`, the answer comes by then: a sent message as it stands, anything else as
    /// [`ErrorKind::NoNetwork`] or [`ErrorKind::Timeout`]; what was begun goes on.
    ///
    /// # Errors
    /// [`Error`] with its kind.
    pub async fn command(
        &self,
        command: Command,
        within: Option<Duration>,
    ) -> Result<Response, Error> {
        if let Command::Send { wait, .. } = command {
            return match self.carry_out(command).await? {
                Response::Sent { id, state } => {
                    // It is in the outbox on disk. Whatever ends the waiting, saying that sending
                    // failed would make its owner send it twice.
                    let state = self.wait(id, wait, within).await.unwrap_or(state);
                    Ok(Response::Sent { id, state })
                }
                other => Ok(other),
            };
        }
        let answer = self.carry_out(command);
        let Some(within) = within else { return answer.await };
        match timeout(within, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(self.why_late().await),
        }
    }

    async fn carry_out(&self, command: Command) -> Result<Response, Error> {
        self.ask(|reply| Request::Command { command, reply }).await?
    }

    async fn why_late(&self) -> Error {
        let Ok(Response::Status(status)) = self.carry_out(Command::Status).await else {
            return Error::new(ErrorKind::Timeout, "there was no answer in time");
        };
        match status.online.why_not() {
            None => Error::new(ErrorKind::Timeout, "there was no answer in time"),
            Some(why) => Error::new(ErrorKind::NoNetwork, why),
        }
    }

    /// Waits until a message is at least in the state that `wait` names: its state in the end, which
    /// is an earlier one if `within` has passed.
    ///
    /// # Errors
    /// [`Error`]: no such message, or the client stopped.
    pub async fn wait(
        &self,
        id: u64,
        wait: Wait,
        within: Option<Duration>,
    ) -> Result<MessageState, Error> {
        let state = wait.state();
        let reached = self.ask(|reply| Request::Wait { id, state, reply });
        let Some(within) = within else { return reached.await? };
        match timeout(within, reached).await {
            Ok(reached) => reached?,
            Err(_) => {
                let state = MessageState::Waiting;
                self.ask(|reply| Request::Wait { id, state, reply }).await?
            }
        }
    }

    /// A stream of events.
    ///
    /// # Errors
    /// [`Error`]: the client has stopped.
    pub async fn events(&self, from: From) -> Result<Events, Error> {
        let subscription = self.ask(|reply| Request::Subscribe { reply }).await?;
        Ok(Events::new(self.clone(), from, subscription))
    }

    /// Goes offline, closes the store and unlocks the profile; returns when that is done. What was
    /// under way is on disk and goes on at the next start.
    pub async fn stop(&self) {
        // An error here means that it has stopped already.
        let _ = self.ask(|reply| Request::Stop { reply }).await;
    }

    /// Returns once the client has stopped, for whatever reason.
    pub async fn stopped(&self) {
        self.requests.closed().await;
    }

    pub(crate) async fn messages_after(&self, id: u64) -> Result<Vec<StoredMessage>, Error> {
        self.ask(|reply| Request::MessagesAfter { id, reply }).await?
    }

    pub(crate) async fn changed_after(&self, seq: u64) -> Result<Changed, Error> {
        self.ask(|reply| Request::ChangedAfter { seq, reply }).await?
    }

    pub(crate) async fn last_id_at(&self, seq: u64) -> Result<u64, Error> {
        self.ask(|reply| Request::LastIdAt { seq, reply }).await?
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Error> {
        let stopped = || Error::new(ErrorKind::Stopped, "the client has stopped");
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }
}
