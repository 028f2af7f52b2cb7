//! The socket of a page: commands in, answers and events out. One tab has one.
//!
//! All tabs see the same events, because all of them are told what the driver says, after it is on the disk. A tab
//! that does not read is cut off; it comes back and names the last change that it was told of.

pub(crate) mod frames;
mod tab;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;
use xchat_client::ErrorBody;

use super::door::Caller;
use super::routes::{MAX_BODY, Shared};
use frames::{FromDaemon, ToDaemon};
use tab::Tab;

/// The protocol's name, also in the handshake.
const PROTOCOL: &str = "xchat.1";

/// A page says who it is as soon as it is connected.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// A tab takes a frame by then, or it is not there any more.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Tabs at a time: more than anybody keeps open.
pub(super) const MAX_TABS: usize = 32;

/// A frame from a page is at most as long as a request's body.
const MAX_FRAME: usize = MAX_BODY;

/// Takes a connection for a socket.
pub(super) async fn upgrade(
    Extension(caller): Extension<Arc<Caller>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    // Until hello it is a stranger, and makes way like one.
    let (sender, socket) = oneshot::channel();
    caller.becomes(socket);
    upgrade.protocols([PROTOCOL]).max_frame_size(MAX_FRAME).max_message_size(MAX_FRAME).on_upgrade(
        async move |socket| {
            // Its connection was cut off meanwhile: then nobody wants it.
            let _ = sender.send(socket);
        },
    )
}

/// Serves a socket to its end.
pub(super) async fn serve(mut socket: WebSocket, caller: &Caller, shared: &Shared) {
    match hello(&mut socket, caller, shared).await {
        Ok(Admitted { after, _room }) => {
            // A page that stops reading is let go of in the middle of whatever it is told.
            let _ = Tab::new(&mut socket, shared, after).run().await;
        }
        Err(None) => {}
        Err(Some(why)) => refuse(&mut socket, why).await,
    }
}

/// Why a socket ends.
type Why = (&'static str, &'static str);

const TOO_SLOW: Why = ("too_slow", "no hello came in time");
const TOO_MANY: Why = ("too_many", "too many pages are open");
const WRONG_TOKEN: Why = ("wrong_token", "the token is missing or wrong");
const NOT_HELLO: Why = ("invalid", "the first frame has to be a hello");

/// A page that has shown its token.
struct Admitted {
    after: Option<u64>,
    _room: OwnedSemaphorePermit,
}

/// Waits for the first frame. Without a reason, the page itself went away.
async fn hello(
    socket: &mut WebSocket,
    caller: &Caller,
    shared: &Shared,
) -> Result<Admitted, Option<Why>> {
    let first = tokio::select! {
        first = timeout(HELLO_TIMEOUT, first_frame(socket)) => first.map_err(|_| Some(TOO_SLOW))?,
        () = shared.ended() => return Err(None),
    };
    let Ok(ToDaemon::Hello { token, after }) = serde_json::from_str(&first?) else {
        return Err(Some(NOT_HELLO));
    };
    if !shared.sessions.knows(&token) {
        shared.door.refused();
        return Err(Some(WRONG_TOKEN));
    }
    let room = Arc::clone(&shared.tabs).try_acquire_owned();
    match room {
        Ok(room) if caller.prove() => Ok(Admitted { after, _room: room }),
        _ => Err(Some(TOO_MANY)),
    }
}

async fn first_frame(socket: &mut WebSocket) -> Result<String, Option<Why>> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(Some(NOT_HELLO)),
            Some(Ok(Message::Close(_))) | None => return Err(None),
            Some(Err(_)) => return Err(Some(TOO_LONG)),
        }
    }
}

const TOO_LONG: Why = ("invalid", "that is not a frame, or too long a one");

/// Says why, and closes.
async fn refuse(socket: &mut WebSocket, (code, message): Why) {
    let error =
        ErrorBody { code: code.to_owned(), message: message.to_owned(), hint: String::new() };
    let said = send(socket, &FromDaemon::Error { id: None, error }).await;
    if said.is_ok() {
        close(socket, POLICY).await;
    }
}

/// RFC 6455, 7.4.1.
const POLICY: u16 = 1008;
const GOING_AWAY: u16 = 1001;

async fn close(socket: &mut WebSocket, code: u16) {
    let frame = CloseFrame { code, reason: "".into() };
    // It may be gone already.
    let _ = timeout(SEND_TIMEOUT, socket.send(Message::Close(Some(frame)))).await;
}

/// The page is gone, or does not read.
struct Gone;

async fn send(socket: &mut WebSocket, frame: &FromDaemon<'_>) -> Result<(), Gone> {
    let text = serde_json::to_string(frame)
        .expect("frames are numbers, texts and identifiers: all of them have a JSON form");
    match timeout(SEND_TIMEOUT, socket.send(Message::Text(text.into()))).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Gone),
    }
}
