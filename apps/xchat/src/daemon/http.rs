//! A small HTTP client for one peer: the profile's daemon.

use std::net::Ipv4Addr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::card::Card;
use super::routes::PROFILE_HEADER;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("the daemon does not answer: {0}")]
    Connect(#[from] std::io::Error),
    #[error("the daemon went away: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the daemon's answer is not JSON")]
    NotJson,
}

/// What the daemon says of its profile, if it answers. That its port takes connections says less: the system does that also for
/// a process that was just killed.
pub(super) async fn alive(card: &Card) -> Option<Open> {
    let answer = send(card, Method::GET, "/v1/alive", Vec::new()).await.ok()?;
    let state = answer.headers().get(PROFILE_HEADER).and_then(|state| state.to_str().ok());
    answer.status().is_success().then_some(match state {
        Some("absent" | "locked") => Open::NotYet,
        _ => Open::Yes,
    })
}

/// Whether a daemon's profile is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    Yes,
    NotYet,
}

/// Sends a request; the head of the answer is there when this returns.
pub(super) async fn send(
    card: &Card,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<Response<Incoming>, HttpError> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, card.port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its error is also the request's, or comes up in the body.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, format!("127.0.0.1:{}", card.port))
        .header(header::AUTHORIZATION, format!("Bearer {}", card.token))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .expect("method, path and headers are ours and valid");
    Ok(sender.send_request(request).await?)
}

/// Sends a request and reads the whole answer.
pub(super) async fn ask(
    card: &Card,
    path: &str,
    body: Vec<u8>,
) -> Result<(StatusCode, Value), HttpError> {
    let response = send(card, Method::POST, path, body).await?;
    let status = response.status();
    let bytes = response.into_body().collect().await?.to_bytes();
    let value = serde_json::from_slice(&bytes).map_err(|_| HttpError::NotJson)?;
    Ok((status, value))
}

/// A body read line by line.
pub(super) struct Lines {
    body: Incoming,
    unread: Vec<u8>,
}

impl Lines {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, unread: Vec::new() }
    }

    /// The next whole line; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<String>, HttpError> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = String::from_utf8(line).map_err(|_| HttpError::NotJson)?;
                return Ok(Some(line));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Some(data) = frame?.data_ref() {
                self.unread.extend_from_slice(data);
            }
        }
    }
}
