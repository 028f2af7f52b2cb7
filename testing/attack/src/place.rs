//! The place of a node: its key and its address, and links to and from the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use xchat_directory::{Descriptor, NodeId};
use xchat_link::{Endpoint, Link, LinkConfig, LinkError, PeerId};
use xchat_server::node::cells::{CellReader, CellWriter};
use xchat_sphinx::NodeTag;
use xchat_sphinx::frame::{CLIENT_ALPN, PACKET_ALPN, REPLICA_ALPN};
use xchat_testkit::{Taken, tag};

use crate::view::View;

/// How long a dial or a frame may take: nodes that are flooded answer late.
const PATIENCE: Duration = Duration::from_secs(10);

/// Frames that wait for one peer.
const QUEUE: usize = 256;

/// A frame from another node.
pub(crate) struct Frame {
    pub(crate) from: NodeId,
    pub(crate) alpn: &'static [u8],
    pub(crate) bytes: Bytes,
}

/// Links out, by node and protocol.
type Links = BTreeMap<(NodeId, &'static [u8]), mpsc::Sender<Bytes>>;

/// The attacker in a node's place.
pub(crate) struct Place {
    pub(crate) taken: Taken,
    endpoint: Endpoint,
    out: Mutex<Links>,
}

impl Place {
    /// Listens where the node listened; what arrives on links of other nodes goes to `frames`, links
    /// of clients to `clients`.
    pub(crate) async fn occupy(
        taken: Taken,
        frames: mpsc::Sender<Frame>,
        clients: mpsc::Sender<Link>,
    ) -> Result<Arc<Self>, LinkError> {
        let alpns = [PACKET_ALPN, REPLICA_ALPN, CLIENT_ALPN];
        let config = LinkConfig::listening(taken.link_secret(), taken.node.address, &alpns);
        let endpoint = Endpoint::bind(config).await?;
        let place = Arc::new(Self { taken, endpoint, out: Mutex::default() });
        let listening = Arc::clone(&place);
        tokio::spawn(async move {
            while let Some(link) = listening.endpoint.accept().await {
                if link.alpn() == CLIENT_ALPN {
                    // Nobody looks at them: the link is dropped, which a client must bear too.
                    let _ = clients.try_send(link);
                    continue;
                }
                let alpn = if link.alpn() == REPLICA_ALPN { REPLICA_ALPN } else { PACKET_ALPN };
                tokio::spawn(read(link, alpn, frames.clone()));
            }
        });
        Ok(place)
    }

    /// Sends a frame to a node, dialling it if need be; false if it could not be handed over.
    pub(crate) async fn send(&self, to: &Descriptor, alpn: &'static [u8], bytes: Vec<u8>) -> bool {
        let mut out = self.out.lock().await;
        let queue = match out.get(&(to.id, alpn)) {
            Some(queue) if !queue.is_closed() => queue.clone(),
            _ => {
                let peer = PeerId::from_bytes(*to.id.as_bytes());
                let link = self.endpoint.connect(peer, &to.addresses, alpn, PATIENCE).await;
                let Ok(link) = link else { return false };
                let (queue, waiting) = mpsc::channel(QUEUE);
                tokio::spawn(write(link, waiting));
                out.insert((to.id, alpn), queue.clone());
                queue
            }
        };
        drop(out);
        queue.send(bytes.into()).await.is_ok()
    }
    /// Sends bytes that are no cell over a link of their own; whether the node has ended it, as it must. It
    /// ends the one before too, since a node keeps the newest of a peer's links.
    pub(crate) async fn break_a_link(&self, to: &Descriptor, alpn: &[u8], bytes: Vec<u8>) -> bool {
        let peer = PeerId::from_bytes(*to.id.as_bytes());
        let link = self.endpoint.connect(peer, &to.addresses, alpn, PATIENCE).await;
        // A node that is flooded may take no link now: then nothing was tried that could go wrong.
        let Ok(link) = link else { return true };
        let (mut sender, mut receiver) = link.split();
        if sender.send(bytes.into()).await.is_err() {
            return true;
        }
        matches!(timeout(PATIENCE, receiver.recv()).await, Ok(Err(_) | Ok(None)))
    }
}

async fn read(link: Link, alpn: &'static [u8], frames: mpsc::Sender<Frame>) {
    let from = NodeId::from_bytes(*link.peer_id().as_bytes());
    let (_sender, mut receiver) = link.split();
    let mut reader = CellReader::default();
    while let Ok(Some(cell)) = receiver.recv().await {
        for bytes in reader.take(&cell).expect("an honest node's cell") {
            if frames.send(Frame { from, alpn, bytes: bytes.into() }).await.is_err() {
                return;
            }
        }
    }
}

async fn write(link: Link, mut waiting: mpsc::Receiver<Bytes>) {
    let (mut sender, _receiver) = link.split();
    let mut writer = CellWriter::default();
    while let Some(bytes) = waiting.recv().await {
        let mut next = Some(bytes);
        while next.is_some() || writer.is_within_a_frame() {
            let cell = writer.cell(|| next.take().or_else(|| waiting.try_recv().ok()));
            if sender.send(cell.into()).await.is_err() {
                return;
            }
        }
    }
}

/// The node that a packet names.
pub(crate) fn named<'a>(view: &'a View, name: &NodeTag) -> Option<&'a Descriptor> {
    view.document.descriptors.iter().find(|node| tag(&node.id) == *name)
}
