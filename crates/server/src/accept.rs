//! The links others dial: peers and clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use xchat_link::{CloseReason, Endpoint, Link, LinkError, LinkReceiver, LinkSender};
use xchat_node::cells::CellReader;
use xchat_node::directory::{NodeId, VerifiedDocument};
use xchat_node::gateway::{MAX_OPENING, SessionId};
use xchat_node::sphinx::LinkKey;
use xchat_node::sphinx::frame::CLIENT_ALPN;

use crate::core::Event;
use crate::links::alpn;
use crate::queue::FrameQueue;
use crate::role::Kind;

/// Frames that wait for a client that does not read: 150 KiB.
const CLIENT_QUEUE: usize = 64;

/// A client that takes nothing for so long is let go, whatever its link says.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// What was sent last to a client that is let go has so long to arrive.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(3);

/// Links of clients that are being told to go, above those with a session and those without one yet.
const LEAVING: usize = 64;

/// Takes links until the endpoint is closed. Whatever holds one holds a clone of `alive`.
pub(crate) async fn accept(
    endpoint: Endpoint,
    document: watch::Receiver<VerifiedDocument>,
    events: mpsc::Sender<Event>,
    max_sessions: usize,
    alive: mpsc::Sender<()>,
) {
    let mut acceptor = Acceptor {
        document,
        events,
        alive,
        peers: BTreeMap::new(),
        next_session: 0,
        clients: Arc::new(Semaphore::new(max_links(max_sessions))),
    };
    while let Some(link) = endpoint.accept().await {
        acceptor.take(link);
    }
}

/// Links of clients at once.
fn max_links(max_sessions: usize) -> usize {
    max_sessions.saturating_add(MAX_OPENING + LEAVING).min(Semaphore::MAX_PERMITS)
}

struct Acceptor {
    document: watch::Receiver<VerifiedDocument>,
    events: mpsc::Sender<Event>,
    alive: mpsc::Sender<()>,
    /// One link of each kind from each peer: the newest.
    peers: BTreeMap<(Kind, NodeId), AbortHandle>,
    next_session: u64,
    clients: Arc<Semaphore>,
}

impl Acceptor {
    fn take(&mut self, link: Link) {
        if link.alpn() == CLIENT_ALPN {
            let Ok(slot) = Arc::clone(&self.clients).try_acquire_owned() else {
                return link.close(CloseReason::Busy);
            };
            let session = SessionId::new(self.next_session);
            self.next_session += 1;
            let (events, alive) = (self.events.clone(), self.alive.clone());
            tokio::spawn(async move {
                serve_client(link, session, events, slot).await;
                drop(alive);
            });
            return;
        }
        let kind =
            [Kind::Packet, Kind::Replica].into_iter().find(|kind| alpn(*kind) == link.alpn());
        let from = NodeId::from_bytes(*link.peer_id().as_bytes());
        let member = self.document.borrow().node(&from).is_some();
        let Some(kind) = kind.filter(|_| member) else {
            return link.close(CloseReason::Refused);
        };
        self.peers.retain(|_, reader| !reader.is_finished());
        let (events, alive) = (self.events.clone(), self.alive.clone());
        let reader = tokio::spawn(async move {
            read_peer(link, kind, from, events).await;
            drop(alive);
        });
        let reader = reader.abort_handle();
        // A peer that dials again has lost the link before, even if we have not noticed yet.
        if let Some(before) = self.peers.insert((kind, from), reader) {
            before.abort();
        }
    }
}

async fn read_peer(link: Link, kind: Kind, from: NodeId, events: mpsc::Sender<Event>) {
    // The sending half is kept: to drop it would look like an end to the other side.
    let (_sender, mut receiver) = link.split();
    let mut reader = CellReader::default();
    while let Ok(Some(cell)) = receiver.recv().await {
        let Ok(frames) = reader.take(&cell) else {
            return receiver.close(CloseReason::BadFrame);
        };
        for bytes in frames {
            if events.send(Event::Frame { kind, from, bytes }).await.is_err() {
                return;
            }
        }
    }
}

async fn serve_client(
    link: Link,
    session: SessionId,
    events: mpsc::Sender<Event>,
    _slot: OwnedSemaphorePermit,
) {
    let queue = Arc::new(FrameQueue::new(CLIENT_QUEUE));
    let key = LinkKey::from_bytes(*link.peer_id().as_bytes());
    let opened = Event::ClientOpened { session, link: key, queue: Arc::clone(&queue) };
    if events.send(opened).await.is_err() {
        return;
    }
    let (sender, receiver) = link.split();
    let lost = tokio::select! {
        // Told to go, or the link is stuck.
        () = write_client(sender, &queue) => !queue.is_closed(),
        ended = read_client(receiver, session, &queue, &events) => ended == Ended::Lost,
    };
    queue.close();
    let _ = events.send(Event::ClientClosed { session, lost }).await;
}

/// Ends when the queue is closed and its last frame has arrived, or the link is gone or stuck.
async fn write_client(mut sender: LinkSender, queue: &FrameQueue) {
    while let Some(frame) = queue.pop().await {
        let patience = if queue.is_closed() { FAREWELL_TIMEOUT } else { SEND_TIMEOUT };
        if !matches!(timeout(patience, sender.send(frame)).await, Ok(Ok(()))) {
            return;
        }
    }
    let _ = timeout(FAREWELL_TIMEOUT, sender.finish()).await;
}

/// Ends when the link does. When it is over is the core's to say, also for a link on which nothing comes
/// or half a frame.
async fn read_client(
    mut receiver: LinkReceiver,
    session: SessionId,
    queue: &FrameQueue,
    events: &mpsc::Sender<Event>,
) -> Ended {
    loop {
        let bytes = match receiver.recv().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) | Err(LinkError::Closed(_) | LinkError::FrameTooBig { .. }) => {
                return Ended::Closed;
            }
            Err(_) => return Ended::Lost,
        };
        if queue.is_closed() {
            // Told to go: what it still says interests nobody, and fills its window only.
            return std::future::pending().await;
        }
        if forward(bytes, session, events).await.is_none() {
            return Ended::Closed;
        }
    }
}

/// How a client's link has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// By the client's wish, by its fault or by ours.
    Closed,
    /// Without a word: the network is gone, or the client's machine.
    Lost,
}

async fn forward(bytes: Bytes, session: SessionId, events: &mpsc::Sender<Event>) -> Option<()> {
    events.send(Event::ClientFrame { session, bytes }).await.ok()
}
