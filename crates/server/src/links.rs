//! The links this node dials, and keeps.
//!
//! A link carries frames one way, from the node that dialled it, in cells of one length that leave at the link's
//! own times ([`xchat_node::cells`]). Which peers a node dials follows from the document and its own role; a frame
//! for anybody else is dropped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rand_core::OsRng;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};
use xchat_base::random;
use xchat_link::{CloseReason, Endpoint, Link, PeerId};
use xchat_node::cells::CellWriter;
use xchat_node::directory::descriptor::LAYERS;
use xchat_node::directory::{Descriptor, NodeId, Role, VerifiedDocument};
use xchat_node::sphinx::frame::{PACKET_ALPN, REPLICA_ALPN};

use crate::queue::FrameQueue;
use crate::role::Kind;

/// Frames that wait for a peer that is away: 600 KiB of packets, two seconds of 128 a second. What
/// is older would be answered too late anyway.
const QUEUE: usize = 256;

/// A dial that takes longer has lost its first packets; the next try is sooner than their repeat.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// Pauses between dials grow from the first to the second of these.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How the links are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LinkStatus {
    pub(crate) wanted: u64,
    pub(crate) up: u64,
    pub(crate) dropped: u64,
}

/// All links out.
pub(crate) struct Links {
    own: NodeId,
    endpoint: Endpoint,
    runtime: Handle,
    alive: mpsc::Sender<()>,
    /// Cells a second on each link; zero for no clock.
    rate: u32,
    peers: BTreeMap<(Kind, NodeId), Peer>,
    /// Frames for nobody, and those that peers dropped who are gone.
    dropped: u64,
}

struct Peer {
    addresses: Vec<SocketAddr>,
    queue: Arc<FrameQueue>,
    up: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Links {
    /// Every task holds a clone of `alive` for as long as it holds the endpoint.
    pub(crate) fn new(
        own: NodeId,
        endpoint: Endpoint,
        runtime: Handle,
        alive: mpsc::Sender<()>,
        rate: u32,
    ) -> Self {
        Self { own, endpoint, runtime, alive, rate, peers: BTreeMap::new(), dropped: 0 }
    }

    /// Dials whom the document adds, lets go whom it drops.
    pub(crate) fn follow(&mut self, document: &VerifiedDocument) {
        let wanted = peers_of(&self.own, document);
        let gone: Vec<_> = self
            .peers
            .iter()
            .filter(|(key, peer)| wanted.get(key) != Some(&peer.addresses))
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            if let Some(peer) = self.peers.remove(&key) {
                peer.task.abort();
                self.dropped += peer.queue.dropped();
            }
        }
        for (key, addresses) in wanted {
            if !self.peers.contains_key(&key) {
                let peer = self.dial(key, addresses);
                self.peers.insert(key, peer);
            }
        }
    }

    fn dial(&self, (kind, peer): (Kind, NodeId), addresses: Vec<SocketAddr>) -> Peer {
        let queue = Arc::new(FrameQueue::new(QUEUE));
        let up = Arc::new(AtomicBool::new(false));
        let keeper = Keeper {
            endpoint: self.endpoint.clone(),
            peer: PeerId::from_bytes(*peer.as_bytes()),
            addresses: addresses.clone(),
            alpn: alpn(kind),
            queue: Arc::clone(&queue),
            up: Arc::clone(&up),
            rate: self.rate,
            _alive: self.alive.clone(),
        };
        let task = self.runtime.spawn(keeper.keep()).abort_handle();
        Peer { addresses, queue, up, task }
    }

    /// Hands a frame to a peer's link.
    pub(crate) fn send(&mut self, kind: Kind, to: NodeId, frame: Vec<u8>) {
        match self.peers.get(&(kind, to)) {
            Some(peer) => peer.queue.push(Bytes::from(frame)),
            None => self.dropped += 1,
        }
    }

    pub(crate) fn status(&self) -> LinkStatus {
        let up = self.peers.values().filter(|peer| peer.up.load(Ordering::Relaxed)).count();
        let dropped = self.peers.values().map(|peer| peer.queue.dropped()).sum::<u64>();
        LinkStatus {
            wanted: self.peers.len() as u64,
            up: up as u64,
            dropped: self.dropped + dropped,
        }
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for peer in self.peers.values() {
            peer.task.abort();
        }
    }
}

/// The protocol of a kind of link.
pub(crate) fn alpn(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Packet => PACKET_ALPN,
        Kind::Replica => REPLICA_ALPN,
    }
}

/// Whom a node of the document sends frames to, and where they are.
fn peers_of(
    own: &NodeId,
    document: &VerifiedDocument,
) -> BTreeMap<(Kind, NodeId), Vec<SocketAddr>> {
    let Some(role) = document.node(own).map(|own| own.role) else { return BTreeMap::new() };
    let packets = |peer: &Descriptor| match role {
        Role::Gateway | Role::Store { .. } => peer.is_mix_of(1),
        Role::Mix { layer: LAYERS } => peer.is_gateway() || peer.is_store(),
        Role::Mix { layer } => peer.is_mix_of(layer + 1),
        _ => false,
    };
    let replicas = |peer: &Descriptor| matches!(role, Role::Store { .. }) && peer.is_store();
    let mut peers = BTreeMap::new();
    for peer in document.descriptors.iter().filter(|peer| peer.id != *own) {
        if packets(peer) {
            peers.insert((Kind::Packet, peer.id), peer.addresses.clone());
        }
        if replicas(peer) {
            peers.insert((Kind::Replica, peer.id), peer.addresses.clone());
        }
    }
    peers
}

/// Keeps one link up.
struct Keeper {
    endpoint: Endpoint,
    peer: PeerId,
    addresses: Vec<SocketAddr>,
    alpn: &'static [u8],
    queue: Arc<FrameQueue>,
    up: Arc<AtomicBool>,
    rate: u32,
    /// The last field, so that the endpoint is dropped before it.
    _alive: mpsc::Sender<()>,
}

impl Keeper {
    async fn keep(self) {
        let mut pause = PAUSE.0;
        loop {
            let dialled =
                self.endpoint.connect(self.peer, &self.addresses, self.alpn, DIAL_TIMEOUT).await;
            match dialled {
                Ok(link) => {
                    self.up.store(true, Ordering::Relaxed);
                    pause = PAUSE.0;
                    self.pump(link).await;
                    self.up.store(false, Ordering::Relaxed);
                }
                // Who it is stays out of the log.
                Err(error) => tracing::debug!(%error, "a node cannot be reached"),
            }
            // Spread, or all who lost one node would come back to it at once.
            sleep(pause.mul_f64(0.5 + random::unit(&mut OsRng))).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Until the link ends.
    async fn pump(&self, link: Link) {
        let (mut sender, mut receiver) = link.split();
        let mut writer = CellWriter::default();
        let mut clock = clock(self.rate);
        loop {
            tokio::select! {
                () = self.next_cell(clock.as_mut(), &writer) => {
                    let cell = writer.cell(|| self.queue.try_pop());
                    if sender.send(cell.into()).await.is_err() {
                        return;
                    }
                }
                answer = receiver.recv() => {
                    // Nothing comes this way; whoever sends something speaks another protocol.
                    if let Ok(Some(_)) = answer {
                        receiver.close(CloseReason::BadFrame);
                    }
                    return;
                }
            }
        }
    }

    /// Returns when the next cell is due: at the link's own times, or, without a clock, as soon as there is
    /// something to carry.
    async fn next_cell(&self, clock: Option<&mut Interval>, writer: &CellWriter) {
        match clock {
            Some(clock) => {
                clock.tick().await;
            }
            None if writer.is_within_a_frame() => {}
            None => self.queue.filled().await,
        }
    }
}

/// The times of a link's cells: equal gaps, from a random moment on. A time that was missed, because the machine
/// was busy or the peer slow, is not made up for: a burst would tell.
fn clock(rate: u32) -> Option<Interval> {
    let gap = Duration::from_secs(1).checked_div(rate)?;
    let first = Instant::now() + gap.mul_f64(random::unit(&mut OsRng));
    let mut clock = interval_at(first, gap);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    Some(clock)
}
