//! One session with a gateway: a link and the task that serves it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use xchat_base::Secret;
use xchat_link::{CloseReason, Endpoint, LinkConfig, LinkError, LinkSecret, PeerId};
use xchat_transport::directory::NodeId;
use xchat_transport::sphinx::frame::CLIENT_ALPN;
use xchat_transport::sphinx::work::{Progress, Search};
use xchat_transport::sphinx::{LinkKey, Proof, Puzzle};

/// A gateway that has not answered by then counts as not reachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A gateway that has not confirmed the end of a link by then will find out by itself.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Frames that wait for the link. At the fastest pace that is many seconds of them: a link that is
/// so far behind is dead.
const MAX_UNSENT: usize = 64;

/// Attempts at a proof of work between two looks at whether anybody still wants it: milliseconds.
const SEARCH_PIECE: u32 = 1 << 14;

/// Frames that wait for the driver; beyond, the gateway has to wait.
pub(super) const MAX_UNREAD: usize = 64;

/// What a session tells the driver.
pub(super) struct SessionEvent {
    /// Which session: what an earlier one still says is ignored.
    pub(super) session: u64,
    pub(super) what: What,
}

/// See [`SessionEvent`].
pub(super) enum What {
    Online {
        gateway: NodeId,
        link: LinkKey,
        /// The address from which it goes.
        from: Option<IpAddr>,
    },
    Frame(Bytes),
    Solved(Proof),
    Offline,
    /// The gateway takes no more links.
    TurnedAway,
}

/// A frame on its way out, after those before it.
struct Outgoing {
    frame: Bytes,
    /// Not before that. This task keeps the time, because the driver's thread may be waiting for its disk then.
    at: Option<Instant>,
}

/// A session, from the attempt to connect on. Dropping it closes the link.
pub(super) struct Session {
    pub(super) number: u64,
    frames: mpsc::Sender<Outgoing>,
    task: JoinHandle<()>,
    events: mpsc::Sender<SessionEvent>,
    /// Tells a search for a proof of work that nobody wants it any more.
    gone: Arc<AtomicBool>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

impl Session {
    pub(super) fn start(
        number: u64,
        gateway: NodeId,
        addresses: Vec<SocketAddr>,
        secret: Secret<32>,
        events: mpsc::Sender<SessionEvent>,
    ) -> Self {
        let (frames, unsent) = mpsc::channel(MAX_UNSENT);
        let tell = Tell { session: number, events: events.clone() };
        let task = tokio::spawn(async move {
            if let Err(error) = serve(gateway, &addresses, secret, unsent, &tell).await {
                // The error names no peer and no address (see `LinkError`). If the endpoint could
                // not be made, the driver has not heard of it yet; twice does no harm.
                tracing::info!(%error, "no link to the gateway");
                tell.say(What::Offline).await;
            }
        });
        Self { number, frames, task, events, gone: Arc::default() }
    }

    /// Searches for a proof of work on a thread of its own, for as long as the session lives.
    pub(super) fn solve(&self, puzzle: Puzzle) {
        let tell = Tell { session: self.number, events: self.events.clone() };
        let gone = Arc::clone(&self.gone);
        tokio::task::spawn_blocking(move || {
            let mut search = Search::new(puzzle);
            while !gone.load(Ordering::Relaxed) {
                match search.work(SEARCH_PIECE) {
                    Progress::Found(proof) => return tell.say_blocking(What::Solved(proof)),
                    Progress::Working => {}
                    Progress::Impossible => return,
                }
            }
        });
    }

    /// Hands over a frame, to be sent at once or at a time; false if the link is hopelessly behind or gone.
    pub(super) fn send(&self, frame: Vec<u8>, at: Option<Instant>) -> bool {
        self.frames.try_send(Outgoing { frame: frame.into(), at }).is_ok()
    }

    /// Closes the link and waits until the gateway knows.
    pub(super) async fn close(mut self) {
        // The task ends when nobody can hand it frames any more.
        self.frames = mpsc::channel(1).0;
        // Its only failure is a panic, which has been reported already.
        let _ = (&mut self.task).await;
    }
}

struct Tell {
    session: u64,
    events: mpsc::Sender<SessionEvent>,
}

impl Tell {
    async fn say(&self, what: What) {
        // Nobody listens any more: the client is stopping.
        let _ = self.events.send(SessionEvent { session: self.session, what }).await;
    }

    fn say_blocking(&self, what: What) {
        // As above.
        let _ = self.events.blocking_send(SessionEvent { session: self.session, what });
    }
}

async fn serve(
    gateway: NodeId,
    addresses: &[SocketAddr],
    secret: Secret<32>,
    unsent: mpsc::Receiver<Outgoing>,
    tell: &Tell,
) -> Result<(), LinkError> {
    let config = LinkConfig::towards(LinkSecret::from_seed(secret), addresses);
    let from = config.bind.first().map(SocketAddr::ip);
    let endpoint = Endpoint::bind(config).await?;
    let served = talk(&endpoint, (gateway, addresses), from, unsent, tell).await;
    // First, because another link can be made while this one is being closed.
    let turned_away = matches!(served, Err(LinkError::Closed(CloseReason::Busy)));
    tell.say(if turned_away { What::TurnedAway } else { What::Offline }).await;
    // Past that, the gateway is told by its own timeout.
    let _ = timeout(CLOSE_TIMEOUT, endpoint.close()).await;
    served
}

async fn talk(
    endpoint: &Endpoint,
    (gateway, addresses): (NodeId, &[SocketAddr]),
    from: Option<IpAddr>,
    mut unsent: mpsc::Receiver<Outgoing>,
    tell: &Tell,
) -> Result<(), LinkError> {
    let peer = PeerId::from_bytes(*gateway.as_bytes());
    let link = tokio::select! {
        link = endpoint.connect(peer, addresses, CLIENT_ALPN, CONNECT_TIMEOUT) => link?,
        () = closed(&mut unsent) => return Ok(()),
    };
    let (mut sender, mut receiver) = link.split();
    let own = LinkKey::from_bytes(*endpoint.id().as_bytes());
    tell.say(What::Online { gateway, link: own, from }).await;
    let mut held: Option<(Instant, Bytes)> = None;
    loop {
        tokio::select! {
            frame = slot(&mut held) => sender.send(frame).await?,
            next = unsent.recv(), if held.is_none() => match next {
                Some(Outgoing { frame, at: Some(at) }) => held = Some((at, frame)),
                Some(Outgoing { frame, at: None }) => sender.send(frame).await?,
                None => {
                    sender.close(CloseReason::Done);
                    return Ok(());
                }
            },
            frame = receiver.recv() => match frame? {
                Some(frame) => tell.say(What::Frame(frame)).await,
                None => return Ok(()),
            },
        }
    }
}

/// Waits for the slot of what is held, which it then gives; for ever if nothing is.
async fn slot(held: &mut Option<(Instant, Bytes)>) -> Bytes {
    let Some((at, frame)) = held else { return std::future::pending().await };
    sleep_until(*at).await;
    let frame = frame.clone();
    *held = None;
    frame
}

/// Waits until the driver has let go of the session. Before the link is up it sends nothing.
async fn closed(unsent: &mut mpsc::Receiver<Outgoing>) {
    while unsent.recv().await.is_some() {}
}
