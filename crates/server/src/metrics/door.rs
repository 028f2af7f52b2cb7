//! Who may ask for the metrics, how long it may take, and what is answered.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::{Ready, STALE_AFTER};

/// Connections at once. A scrape takes milliseconds, and the oldest makes way for the next: whoever only
/// connects keeps nobody out.
pub(super) const MAX_CONNECTIONS: usize = 16;

/// The head of the request is there by then.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything is over by then, also for somebody who does not read.
pub(super) const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head: far more than any scraper sends. The least that hyper takes.
pub(super) const MAX_HEAD: usize = 8 * 1024;

/// Lines of it.
const MAX_HEADERS: usize = 64;

/// Out of descriptors: the pause lets some come back.
const PAUSE: Duration = Duration::from_millis(100);

/// The text format's type (prometheus.io, exposition formats).
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers for as long as it runs.
pub(super) async fn serve(listener: TcpListener, shown: watch::Receiver<Option<Ready>>) {
    let mut connections = JoinSet::new();
    let mut oldest: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let stream = tokio::select! {
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = stream else {
            sleep(PAUSE).await;
            continue;
        };
        oldest.retain(|task| !task.is_finished());
        if oldest.len() >= MAX_CONNECTIONS
            && let Some(task) = oldest.pop_front()
        {
            task.abort();
        }
        let answering = timeout(CONNECTION_TIMEOUT, answer_on(stream, shown.clone()));
        oldest.push_back(connections.spawn(async {
            // Whatever was wrong with it, the connection is over.
            let _ = answering.await;
        }));
    }
}

/// One request, one answer.
async fn answer_on(stream: TcpStream, shown: watch::Receiver<Option<Ready>>) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, shown.borrow().as_ref());
        async move { Ok::<_, Infallible>(answer) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn answer(request: &Request<Incoming>, ready: Option<&Ready>) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return short(StatusCode::NOT_FOUND, "the metrics are at /metrics\n");
    }
    if request.method() != Method::GET {
        let mut refusal = short(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        refusal
            .headers_mut()
            .insert(ALLOW, const { hyper::header::HeaderValue::from_static("GET") });
        return refusal;
    }
    match ready.filter(|ready| ready.at.elapsed() < STALE_AFTER) {
        Some(ready) => with_type(StatusCode::OK, ready.text.clone()),
        None => short(StatusCode::SERVICE_UNAVAILABLE, "the node does not say how it is\n"),
    }
}

fn short(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    with_type(status, Bytes::from_static(text.as_bytes()))
}

fn with_type(status: StatusCode, text: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, const { hyper::header::HeaderValue::from_static(TEXT) });
    response
}
