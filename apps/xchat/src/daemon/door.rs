//! The daemon's door: how many may stand in it, how long, and how much they may carry.
//!
//! Every program on this machine can connect. One that has not shown the token yet is a *stranger*: there
//! is room for few of them, they have little time, and the oldest makes way for the next, so that a crowd of
//! them keeps nobody out who has the token at hand. The numbers are in `spec/09-parameters.md`.

use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::ws::WebSocket;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use super::routes::Shared;
use super::socket;

/// Connections that have not shown the token: a request on this machine takes milliseconds.
pub(super) const MAX_STRANGERS: usize = 64;

/// Connections that have: streams of events, commands that wait, and idle ones.
pub(super) const MAX_CALLERS: usize = 256;

/// The head of a request is there by then, also the next one of an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a request's head: a token and what browsers send by themselves.
const MAX_HEAD: usize = 16 * 1024;

/// Lines of it.
const MAX_HEADERS: usize = 64;

/// What has come to the door since the daemon started.
#[derive(Default)]
pub(super) struct Counters {
    open: AtomicU64,
    refused: AtomicU64,
    made_way: AtomicU64,
}

/// [`Counters`] at a moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct DoorStatus {
    /// Connections now.
    open: u64,
    /// Requests with a wrong or no token, or of a foreign host or origin.
    refused: u64,
    /// Strangers that were cut off for the next.
    made_way: u64,
}

impl Counters {
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn status(&self) -> DoorStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DoorStatus {
            open: read(&self.open),
            refused: read(&self.refused),
            made_way: read(&self.made_way),
        }
    }
}

/// Who is at the other end of a connection.
pub(super) struct Caller {
    room: Arc<Semaphore>,
    proven: OnceLock<OwnedSemaphorePermit>,
    /// Set when the connection is to become a socket.
    socket: Mutex<Option<oneshot::Receiver<WebSocket>>>,
}

impl Caller {
    /// The caller has shown the token. False if there are too many who have.
    pub(super) fn prove(&self) -> bool {
        if self.is_proven() {
            return true;
        }
        match Arc::clone(&self.room).try_acquire_owned() {
            // A connection has one request at a time.
            Ok(permit) => self.proven.set(permit).is_ok(),
            Err(_) => false,
        }
    }

    /// The connection becomes a socket, which comes by the other end of this. It stays the connection's own task,
    /// with its place at the door.
    pub(super) fn becomes(&self, socket: oneshot::Receiver<WebSocket>) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    }

    fn taken_socket(&self) -> Option<oneshot::Receiver<WebSocket>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_proven(&self) -> bool {
        self.proven.get().is_some()
    }
}

/// Serves until the daemon ends, and until those who have asked before that have their answers.
pub(super) async fn serve(listener: TcpListener, router: Router, shared: Shared) {
    let room = Arc::new(Semaphore::new(MAX_CALLERS));
    let mut strangers: VecDeque<(Arc<Caller>, AbortHandle)> = VecDeque::new();
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = shared.ended() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener) => accepted,
        };
        strangers.retain(|(caller, task)| !caller.is_proven() && !task.is_finished());
        if strangers.len() >= MAX_STRANGERS
            && let Some((_, task)) = strangers.pop_front()
        {
            task.abort();
            shared.door.made_way.fetch_add(1, Ordering::Relaxed);
        }
        let caller = Arc::new(Caller {
            room: Arc::clone(&room),
            proven: OnceLock::new(),
            socket: Mutex::new(None),
        });
        let serving = connection(stream, Arc::clone(&caller), router.clone(), shared.clone());
        strangers.push_back((caller, connections.spawn(serving)));
    }
    while connections.join_next().await.is_some() {}
}

/// The next connection. Without descriptors for it (other parts of this process use some too) it waits for
/// one to come back.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_the_connections_own(&error) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn is_the_connections_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// Counts a connection for as long as it is there, however it ends.
struct Open(Shared);

impl Open {
    fn new(shared: Shared) -> Self {
        shared.door.open.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.door.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection(stream: TcpStream, caller: Arc<Caller>, router: Router, shared: Shared) {
    let open = Open::new(shared);
    let service = TowerToHyperService::new(router.layer(Extension(Arc::clone(&caller))));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        // What is wrong with it is the caller's: it is closed.
        ended = serving.as_mut() => ended,
        () = open.0.ended() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if ended.is_ok()
        && let Some(socket) = caller.taken_socket()
        && let Ok(socket) = socket.await
    {
        socket::serve(socket, &caller, &open.0).await;
    }
}
