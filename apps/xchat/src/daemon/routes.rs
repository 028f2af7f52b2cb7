//! The daemon's requests.

mod entry;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use xchat_client::{Command, Error, ErrorBody, ErrorKind, Events, From as Since};

use super::card::Card;
use super::door::Counters;
use super::keeper::Keeper;
use super::sessions::Sessions;
use super::socket::frames::ProfileState;
use super::socket::{self, MAX_TABS};
use super::{guard, page};

/// A body is at most this long: the longest text, every byte of it escaped, and room for the rest.
pub(super) const MAX_BODY: usize = 6 * xchat_client::MAX_TEXT_LEN + 16 * 1024;

/// A body is there by then.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// In the head of a stream of events: the last change before its first event.
pub(super) const PLACE_HEADER: &str = "x-xchat-after";

/// In the head of `GET /v1/alive`: whether there is a profile, and whether it is open.
pub(super) const PROFILE_HEADER: &str = "x-xchat-profile";

/// Streams of events at once: more than anybody keeps open.
const MAX_STREAMS: usize = 64;

/// What every request needs.
#[derive(Clone)]
pub(super) struct Shared(Arc<Inner>);

/// See [`Shared`].
pub(super) struct Inner {
    pub(super) keeper: Keeper,
    pub(super) sessions: Sessions,
    pub(super) token: String,
    pub(super) port: u16,
    pub(super) profile: PathBuf,
    /// Becomes true when the client has stopped and the daemon is to end.
    ended: watch::Sender<bool>,
    /// Set before the client is told to stop.
    stopping: AtomicBool,
    streams: Arc<Semaphore>,
    /// Room for pages that have shown their token.
    pub(super) tabs: Arc<Semaphore>,
    pub(super) door: Counters,
}

impl std::ops::Deref for Shared {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Shared {
    pub(super) fn new(keeper: Keeper, card: &Card, profile: PathBuf) -> Self {
        Self(Arc::new(Inner {
            keeper,
            sessions: Sessions::load(&profile),
            token: card.token.clone(),
            port: card.port,
            profile,
            ended: watch::Sender::new(false),
            stopping: AtomicBool::new(false),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            tabs: Arc::new(Semaphore::new(MAX_TABS)),
            door: Counters::default(),
        }))
    }

    /// Goes offline and unlocks the profile. The card goes first: whoever finds the profile unlocked
    /// may start another daemon, whose card is then not ours to remove.
    pub(super) async fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        Card::remove(&self.profile);
        self.keeper.end().await;
        self.ended.send_replace(true);
    }

    /// Whether [`Self::stop`] was called.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Returns once [`Self::stop`] is done.
    pub(super) async fn ended(&self) {
        // The sender lives as long as `self`, so there is no other end to the waiting.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

pub(super) fn router(shared: Shared) -> Router {
    // What a page asks for before it has a token.
    let open = Router::new()
        .route("/v1/session", post(entry::session))
        .route("/v1/socket", get(socket::upgrade))
        .layer(from_fn_with_state(shared.clone(), guard::check_place));
    // What it says when its socket may be cut off before it is read.
    let parting = Router::new()
        .route("/v1/draft", post(entry::draft))
        .layer(from_fn_with_state(shared.clone(), guard::check_page));
    Router::new()
        .route("/v1/command", post(command))
        .route("/v1/events", get(events))
        .route("/v1/code", post(entry::code))
        .route("/v1/unlock", post(entry::unlock))
        .route("/v1/stop", post(stop))
        .route("/v1/alive", get(alive))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "no_such_request", "no such request"))
        .method_not_allowed_fallback(async || {
            refuse(StatusCode::METHOD_NOT_ALLOWED, "no_such_request", "another method is expected")
        })
        .layer(from_fn_with_state(shared.clone(), guard::check))
        .merge(open)
        .merge(parting)
        .layer(from_fn_with_state(shared.clone(), page::serve))
        .with_state(shared)
}

/// An error answer.
pub(super) fn refuse(status: StatusCode, code: &str, message: &str) -> (StatusCode, Json<Value>) {
    let error = json!({ "error": { "code": code, "message": message, "hint": "" } });
    (status, Json(error))
}

fn failed(error: &Error) -> Response {
    let status = match error.kind() {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::NoNetwork | ErrorKind::Stopped | ErrorKind::DiskFull => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Internal | ErrorKind::Corrupt | ErrorKind::RolledBack | ErrorKind::Io => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, Json(json!({ "error": error.body() }))).into_response()
}

/// What stands behind the question mark, as it is after axum has looked at it.
type Asked<T> = Result<Query<T>, QueryRejection>;

fn asked<T>(query: Asked<T>) -> Result<T, (StatusCode, Json<Value>)> {
    query.map(|Query(query)| query).map_err(|why| {
        let message = format!("not what this can be asked: {}", why.body_text());
        refuse(StatusCode::BAD_REQUEST, "invalid", &message)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandQuery {
    timeout_ms: Option<u64>,
}

async fn command(State(shared): State<Shared>, query: Asked<CommandQuery>, body: Body) -> Response {
    let query = match asked(query) {
        Ok(query) => query,
        Err(refusal) => return refusal.into_response(),
    };
    let body = match whole(body).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let command = match parse(&body) {
        Ok(command) => command,
        Err(why) => {
            let message = format!("not a command: {why}");
            return refuse(StatusCode::BAD_REQUEST, "invalid", &message).into_response();
        }
    };
    let within = query.timeout_ms.map(Duration::from_millis);
    let about_door = matches!(command, Command::Status);
    let client = match shared.keeper.client() {
        Ok(client) => client,
        Err(error) => return not_open(error),
    };
    match client.command(command, within).await {
        Ok(response) if about_door => status(&shared, &response),
        Ok(response) => Json(response).into_response(),
        Err(error) => failed(&error),
    }
}

/// A command, and nothing that is not in it: of a command without fields serde lets others pass.
fn parse(body: &[u8]) -> Result<Command, String> {
    let command: Command = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let given: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    match unknown_field(&command, &given) {
        Some(field) => Err(format!("unknown field `{field}`")),
        None => Ok(command),
    }
}

/// A field of what was given that the command which was read from it does not have.
pub(super) fn unknown_field(command: &Command, given: &Value) -> Option<String> {
    let known = serde_json::to_value(command).unwrap_or_default();
    let mut fields = given.as_object().into_iter().flat_map(|object| object.keys());
    fields.find(|field| known.get(field.as_str()).is_none()).cloned()
}

/// What a command of a profile that is not open gets.
fn not_open(error: ErrorBody) -> Response {
    (StatusCode::CONFLICT, Json(json!({ "error": error }))).into_response()
}

/// A body in JSON.
async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Response> {
    let body = whole(body).await?;
    serde_json::from_slice(&body).map_err(|error| {
        let message = format!("not what this takes: {error}");
        refuse(StatusCode::BAD_REQUEST, "invalid", &message).into_response()
    })
}

/// A body that is short enough and comes in time.
async fn whole(body: Body) -> Result<Bytes, Response> {
    let refusal = |status, code, message| {
        ([(header::CONNECTION, "close")], refuse(status, code, message)).into_response()
    };
    match timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        // Or it broke off, and nobody reads this.
        Ok(Err(_)) => {
            Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "too_long", "the body is too long"))
        }
        Err(_) => Err(refusal(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body took too long")),
    }
}

/// How things stand, and at the daemon's door.
fn status(shared: &Shared, response: &xchat_client::Response) -> Response {
    match serde_json::to_value(response) {
        Ok(mut value) => {
            value["door"] = json!(shared.door.status());
            Json(value).into_response()
        }
        Err(_) => {
            let message = "the status has no JSON form";
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal", message).into_response()
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    since: Option<u64>,
    after: Option<u64>,
}

async fn events(State(shared): State<Shared>, query: Asked<EventsQuery>) -> Response {
    let query = match asked(query) {
        Ok(query) => query,
        Err(refusal) => return refusal.into_response(),
    };
    let from = match (query.since, query.after) {
        (None, None) => Since::Now,
        (Some(message), None) => Since::Message(message),
        (None, Some(seq)) => Since::Change(seq),
        (Some(message), Some(change)) => Since::History { message, change },
    };
    let Ok(permit) = Arc::clone(&shared.streams).try_acquire_owned() else {
        let message = "too many streams of events are open";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "too_many", message).into_response();
    };
    let client = match shared.keeper.client() {
        Ok(client) => client,
        Err(error) => return not_open(error),
    };
    let events = match client.events(from).await {
        Ok(events) => events,
        Err(error) => return failed(&error),
    };
    let place = events.seq();
    let lines = stream::unfold((events, permit), async |(mut events, permit)| {
        let line = next_line(&mut events).await?;
        Some((line, (events, permit)))
    });
    let head = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (HeaderName::from_static(PLACE_HEADER), place.to_string()),
    ];
    (head, Body::from_stream(lines)).into_response()
}

async fn next_line(events: &mut Events) -> Option<Result<Bytes, Error>> {
    match events.next().await {
        Ok(event) => {
            let mut line = serde_json::to_vec(&event?)
                .expect("events are numbers, texts and identifiers: all of them have a JSON form");
            line.push(b'\n');
            Some(Ok(line.into()))
        }
        // It cuts the stream off; the receiver asks again from where it was.
        Err(error) => Some(Err(error)),
    }
}

async fn alive(State(shared): State<Shared>) -> Response {
    let state = match shared.keeper.state() {
        ProfileState::Absent => "absent",
        ProfileState::Locked => "locked",
        ProfileState::Open => "open",
    };
    ([(HeaderName::from_static(PROFILE_HEADER), state)], StatusCode::NO_CONTENT).into_response()
}

async fn stop(State(shared): State<Shared>) -> Response {
    // Whoever asked may go away before the answer: what was begun is ended all the same.
    let stopping = tokio::spawn(async move { shared.stop().await });
    let _ = stopping.await;
    ([(header::CONNECTION, "close")], Json(json!({ "stopped": true }))).into_response()
}
