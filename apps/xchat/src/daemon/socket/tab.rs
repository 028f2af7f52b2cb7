//! A page that has shown its token.

use std::future::Future;
use std::pin::{Pin, pin};

use axum::extract::ws::{Message, WebSocket};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::value::to_value;
use serde_json::{Value, json};
use xchat_client::{ErrorBody, Event, Events, From as Since, Numbered, PaceChoice};

use super::super::routes::{Shared, unknown_field};
use super::frames::{FromDaemon, ToDaemon, Welcome};
use super::{GOING_AWAY, Gone, TOO_LONG, Why, close, refuse, send};

/// Commands of a tab that are under way. Beyond it they are refused: a page waits for answers.
const MAX_COMMANDS: usize = 64;

/// What comes of a command.
type Answer = (u64, Result<Value, ErrorBody>);

type Running = Pin<Box<dyn Future<Output = Answer> + Send>>;

pub(super) struct Tab<'a> {
    socket: &'a mut WebSocket,
    shared: &'a Shared,
    /// While the profile is open; with the number of its client.
    events: Option<Events>,
    client: Option<u64>,
    /// Where its events go on when the profile is opened again.
    place: Option<u64>,
    /// Those that begin earlier are handed to the client earlier.
    commands: FuturesUnordered<Running>,
}

/// What happens next.
enum Next {
    Ended,
    StateChanged,
    Frame(Option<Result<Message, axum::Error>>),
    Answer(Answer),
    Event(Result<Option<Numbered>, xchat_client::Error>),
}

impl<'a> Tab<'a> {
    pub(super) fn new(socket: &'a mut WebSocket, shared: &'a Shared, after: Option<u64>) -> Self {
        Self {
            socket,
            shared,
            events: None,
            client: None,
            place: after,
            commands: FuturesUnordered::new(),
        }
    }

    /// Until the page goes, or the daemon ends.
    pub(super) async fn run(mut self) -> Result<(), Gone> {
        let shared = self.shared;
        let mut opened = shared.keeper.opened();
        let mut ended = pin!(shared.ended());
        opened.mark_changed();
        loop {
            let next = tokio::select! {
                // The end comes last: what was said before is told before.
                biased;
                changed = opened.changed() => match changed {
                    Ok(()) => Next::StateChanged,
                    Err(_) => Next::Ended,
                },
                Some(answer) = self.commands.next() => Next::Answer(answer),
                event = next_event(&mut self.events) => Next::Event(event),
                frame = self.socket.recv() => Next::Frame(frame),
                () = &mut ended => Next::Ended,
            };
            match next {
                Next::StateChanged => {
                    opened.borrow_and_update();
                    self.welcome().await?;
                }
                Next::Frame(Some(Ok(frame))) => self.frame(frame).await?,
                // It breaks no rule by going away.
                Next::Frame(None) => return Ok(()),
                Next::Frame(Some(Err(_))) => return self.end(TOO_LONG).await,
                Next::Answer((id, answer)) => self.answer(id, answer).await?,
                Next::Event(event) => self.event(event).await?,
                Next::Ended => {
                    close(self.socket, GOING_AWAY).await;
                    return Ok(());
                }
            }
        }
    }

    /// Says how things stand, and begins with the events of an open profile.
    async fn welcome(&mut self) -> Result<(), Gone> {
        let shared = self.shared;
        let opened = shared.keeper.opened().borrow().clone();
        let name = opened.name().map(str::to_owned);
        match opened.client() {
            // It goes on: nothing of what it is saying just now may be missed.
            Some((number, _)) if self.client == Some(number) => {}
            Some((number, client)) => {
                let from = self.place.map_or(Since::Now, Since::Change);
                // A client that has just stopped has no events; there will be another state soon.
                self.events = client.events(from).await.ok();
                self.client = Some(number);
            }
            None => (self.events, self.client) = (None, None),
        }
        let place = self.events.as_ref().map(Events::seq);
        self.place = place.or(self.place);
        let described = if name.is_none() { shared.keeper.described() } else { None };
        let (network, paces) = match described {
            Some(described) => (Some(described.name), described.paces),
            None => (None, PaceChoice::usual()),
        };
        let welcome = Welcome {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            profile: shared.keeper.state(),
            name,
            place,
            network,
            paces,
        };
        send(self.socket, &FromDaemon::Welcome(&welcome)).await
    }

    async fn event(
        &mut self,
        event: Result<Option<Numbered>, xchat_client::Error>,
    ) -> Result<(), Gone> {
        let event = match event {
            Ok(Some(event)) => event,
            // The client has stopped: it was locked, or the daemon ends.
            Ok(None) => {
                self.events = None;
                return Ok(());
            }
            // The page comes back and asks again from where it was.
            Err(error) => {
                let frame = FromDaemon::Error { id: None, error: error.body() };
                send(self.socket, &frame).await?;
                return Err(Gone);
            }
        };
        self.place = self.events.as_ref().map(Events::seq).or(self.place);
        if matches!(event.event, Event::Stopping) && !self.shared.is_stopping() {
            // Only locked, which the next welcome says.
            return Ok(());
        }
        send(self.socket, &FromDaemon::Event { event: &event }).await
    }

    async fn answer(&mut self, id: u64, answer: Result<Value, ErrorBody>) -> Result<(), Gone> {
        match answer {
            Ok(response) => {
                send(self.socket, &FromDaemon::Response { id, response: &response }).await
            }
            Err(error) => send(self.socket, &FromDaemon::Error { id: Some(id), error }).await,
        }
    }

    async fn frame(&mut self, frame: Message) -> Result<(), Gone> {
        let text = match frame {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Binary(_) => return self.end(("invalid", "frames are text")).await,
            Message::Close(_) => return Err(Gone),
        };
        match read(text.as_str()) {
            Ok(frame) => self.begin(frame).await,
            // The page may be of another version than the daemon.
            Err((Some(id), why)) => {
                let error = body("invalid", &format!("not a frame: {why}"));
                self.answer(id, Err(error)).await
            }
            Err((None, _)) => self.end(("invalid", "that is not a frame")).await,
        }
    }

    async fn begin(&mut self, frame: ToDaemon) -> Result<(), Gone> {
        let shared = self.shared.clone();
        let running: (u64, Running) = match frame {
            ToDaemon::Hello { .. } => return self.end(("invalid", "hello was said before")).await,
            ToDaemon::Command { id, command } => (
                id,
                Box::pin(async move {
                    let answer = match shared.keeper.client() {
                        Ok(client) => client.command(command, None).await.map_err(|e| e.body()),
                        Err(error) => Err(error),
                    };
                    (id, answer.map(|response| raw(&response)))
                }),
            ),
            ToDaemon::Create { id, name, passphrase, pace } => (
                id,
                Box::pin(async move {
                    (id, shared.keeper.create(name, passphrase, &pace).await.map(|()| empty()))
                }),
            ),
            ToDaemon::Unlock { id, passphrase } => (
                id,
                Box::pin(
                    async move { (id, shared.keeper.unlock(passphrase).await.map(|()| empty())) },
                ),
            ),
            ToDaemon::Lock { id } => (
                id,
                Box::pin(async move {
                    shared.keeper.lock().await;
                    (id, Ok(empty()))
                }),
            ),
        };
        let (id, running) = running;
        if self.commands.len() >= MAX_COMMANDS {
            let error = body("too_many", "too many commands are under way");
            return self.answer(id, Err(error)).await;
        }
        self.commands.push(running);
        Ok(())
    }

    async fn end(&mut self, why: Why) -> Result<(), Gone> {
        refuse(self.socket, why).await;
        Err(Gone)
    }
}

/// The next event, if there are any to come.
async fn next_event(events: &mut Option<Events>) -> Result<Option<Numbered>, xchat_client::Error> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

/// A frame, and nothing that is not in it; otherwise its id, if it has one, and what is wrong.
fn read(text: &str) -> Result<ToDaemon, (Option<u64>, String)> {
    let given: Value = serde_json::from_str(text).unwrap_or_default();
    let id = given.get("id").and_then(Value::as_u64);
    let wrong = |why: String| (id, why);
    let frame = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if let ToDaemon::Command { command, .. } = &frame
        && let Some(field) = unknown_field(command, &given["command"])
    {
        return Err(wrong(format!("unknown field `{field}`")));
    }
    Ok(frame)
}

fn body(code: &str, message: &str) -> ErrorBody {
    ErrorBody { code: code.to_owned(), message: message.to_owned(), hint: String::new() }
}

fn raw(response: &xchat_client::Response) -> Value {
    to_value(response).expect("responses are numbers, texts and identifiers")
}

fn empty() -> Value {
    json!({})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_frame_is_said_under_its_id_if_it_has_one() {
        let wrong = |text| read(text).err().map(|(id, _)| id);
        assert_eq!(wrong(r#"{"type":"lock","id":3}"#), None);
        assert_eq!(wrong(r#"{"type":"hang","id":3}"#), Some(Some(3)));
        let more = r#"{"type":"command","id":4,"command":{"command":"contacts","and":1}}"#;
        assert_eq!(wrong(more), Some(Some(4)));
        for text in ["", "[1]", "{}", r#"{"id":-1}"#, r#"{"type":"lock"}"#] {
            assert_eq!(wrong(text), Some(None), "{text}");
        }
    }
}
