//! A client's session with a gateway, without the manners of a client: no stream, no pace of its own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use rand_core::RngCore;
use tokio::sync::mpsc;
use xchat_base::{Wire, random};
use xchat_directory::{Descriptor, NodeId};
use xchat_link::{Endpoint, Link, LinkConfig, LinkError, LinkSecret, LinkSender};
use xchat_pigeonhole::{Answer, BoxId, Op, Request, SignedAnswer, StoreId};
use xchat_sphinx::frame::CLIENT_ALPN;
use xchat_sphinx::{
    ClientFrame, GatewayFrame, Hop, HopAddress, HopSecret, LinkKey, Packet, ReplyKey, ReplyTag,
    SurbId, TAG_POOL, Unwrapped, build, loop_packet, reply_block, unwrap,
};
use xchat_testkit::{greet, hop, tag};

use crate::view::{Dice, View};

/// How long a link or a welcome may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Frames from the gateway that wait to be looked at.
const WAITING: usize = 1024;

/// Reply keys kept; the oldest is forgotten first.
const MAX_ASKED: usize = 4096;

/// What came back.
pub(crate) enum Arrived {
    /// What a reply key opened: which question, how often it has been answered now, and the message.
    Reply { id: SurbId, times: u32, store: Option<NodeId>, about: Option<BoxId>, message: Vec<u8> },
    /// A packet that its reply key does not open, or a frame that is no packet.
    Other,
}

struct Asked {
    key: ReplyKey,
    store: Option<NodeId>,
    about: Option<BoxId>,
    times: u32,
}

pub(crate) struct Session {
    /// Held open for as long as the session lasts.
    _endpoint: Endpoint,
    sender: LinkSender,
    incoming: mpsc::Receiver<Bytes>,
    gateway: NodeId,
    hop: HopSecret,
    tags: Vec<ReplyTag>,
    asked: BTreeMap<SurbId, Asked>,
    order: std::collections::VecDeque<SurbId>,
}

/// How many addresses hostile strangers have; the two people's is none of them. What one address may do is bounded.
const STRANGERS: u32 = 16;

/// An endpoint under a fresh key at a stranger's address.
pub(crate) async fn stranger(dice: &mut Dice) -> Result<Endpoint, LinkError> {
    let secret = LinkSecret::random(dice);
    let ip = Ipv4Addr::new(127, 66, 0, 1 + (dice.next_u32() % STRANGERS) as u8);
    Endpoint::bind(LinkConfig { secret, bind: vec![(ip, 0).into()], accept: Vec::new() }).await
}

/// Dials a gateway under a fresh key, and says nothing.
pub(crate) async fn dial(dice: &mut Dice, to: &Descriptor) -> Result<(Endpoint, Link), LinkError> {
    let endpoint = stranger(dice).await?;
    let peer = xchat_link::PeerId::from_bytes(*to.id.as_bytes());
    let link = endpoint.connect(peer, &to.addresses, CLIENT_ALPN, PATIENCE).await?;
    Ok((endpoint, link))
}

impl Session {
    /// Opens a session as a client does; `None` if the gateway will not have it.
    pub(crate) async fn open(dice: &mut Dice, to: &Descriptor) -> Option<Self> {
        let (endpoint, link) = dial(dice, to).await.ok()?;
        let own = LinkKey::from_bytes(*endpoint.id().as_bytes());
        let tags: Vec<_> = (0..TAG_POOL).map(|_| ReplyTag::random(dice)).collect();
        let (sender, mut receiver) = greet(own, link, to, tags.clone()).await?;
        let (pass_on, incoming) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            while let Ok(Some(frame)) = receiver.recv().await {
                if pass_on.send(frame).await.is_err() {
                    return;
                }
            }
        });
        Some(Self {
            _endpoint: endpoint,
            sender,
            incoming,
            gateway: to.id,
            hop: HopSecret::random(dice),
            tags,
            asked: BTreeMap::new(),
            order: std::collections::VecDeque::new(),
        })
    }

    /// Sends bytes as a frame; false once the gateway has ended the session.
    pub(crate) async fn send(&mut self, frame: Vec<u8>) -> bool {
        matches!(tokio::time::timeout(PATIENCE, self.sender.send(frame.into())).await, Ok(Ok(())))
            && !self.incoming.is_closed()
    }

    /// Sends a packet, with a fresh tag announced.
    pub(crate) async fn send_packet(
        &mut self,
        dice: &mut Dice,
        first: HopAddress,
        packet: Packet,
    ) -> bool {
        let announce = ReplyTag::random(dice);
        self.tags.push(announce);
        let frame = ClientFrame::Packet { announce, first_hop: first.node_tag(), packet };
        self.send(frame.to_wire()).await
    }

    /// A loop: a packet that comes back to this session.
    pub(crate) fn loop_packet(
        &mut self,
        dice: &mut Dice,
        view: &View,
    ) -> (HopAddress, Packet, SurbId) {
        let last = self.own_hop(dice);
        let (route, delays) = view.route(dice, last);
        let (first, packet, key) = loop_packet(dice, &route, &delays).expect("a good route");
        let id = self.expect_reply(key, None, None);
        (first, packet, id)
    }

    /// Takes note of a reply key whose packet was made elsewhere.
    pub(crate) fn expect_reply(
        &mut self,
        key: ReplyKey,
        store: Option<NodeId>,
        about: Option<BoxId>,
    ) -> SurbId {
        let id = key.id();
        self.asked.insert(id, Asked { key, store, about, times: 0 });
        self.order.push_back(id);
        if self.order.len() > MAX_ASKED
            && let Some(oldest) = self.order.pop_front()
        {
            self.asked.remove(&oldest);
        }
        id
    }

    /// A hop that ends at this session; spends a tag.
    pub(crate) fn own_hop(&mut self, dice: &mut Dice) -> Hop {
        let spent = random::index(dice, self.tags.len());
        let reply_tag = self.tags.swap_remove(spent);
        if self.tags.is_empty() {
            // Without one announced the reply is lost, which an attacker can bear.
            self.tags.push(ReplyTag::random(dice));
        }
        Hop { address: HopAddress::client(tag(&self.gateway), reply_tag), key: self.hop.public() }
    }

    /// Asks a store; the question's id, if it left.
    pub(crate) async fn ask(
        &mut self,
        dice: &mut Dice,
        view: &View,
        store: &Descriptor,
        op: Op,
    ) -> Option<SurbId> {
        let about = match &op {
            Op::Write { boxed, .. } => Some(boxed.id()),
            Op::Read { id, .. } | Op::Register { id, .. } => Some(*id),
            _ => None,
        };
        let last = self.own_hop(dice);
        let (back, delays) = view.route(dice, last);
        let (block, key) = reply_block(dice, &back, &delays).expect("a good route");
        let id = self.expect_reply(key, Some(store.id), about);
        let message = Request { reply: block.as_bytes().to_vec(), op }.to_wire();
        self.send_message(dice, view, store, &message).await.then_some(id)
    }

    /// Sends any bytes to a store as a request.
    pub(crate) async fn send_message(
        &mut self,
        dice: &mut Dice,
        view: &View,
        store: &Descriptor,
        message: &[u8],
    ) -> bool {
        let (there, delays) = view.route(dice, hop(store));
        let packet = build(dice, &there, &delays, message).expect("a good route, a short message");
        self.send_packet(dice, there[0].address, packet).await
    }

    /// What has arrived and was not looked at yet.
    pub(crate) fn arrived(&mut self) -> Option<Arrived> {
        loop {
            let bytes = self.incoming.try_recv().ok()?;
            if let Some(arrived) = self.look(&bytes) {
                return Some(arrived);
            }
        }
    }

    /// The next that arrives, if any does within the time.
    pub(crate) async fn next(&mut self, within: Duration) -> Option<Arrived> {
        let end = tokio::time::Instant::now() + within;
        loop {
            let bytes = tokio::time::timeout_at(end, self.incoming.recv()).await.ok()??;
            if let Some(arrived) = self.look(&bytes) {
                return Some(arrived);
            }
        }
    }

    fn look(&mut self, bytes: &[u8]) -> Option<Arrived> {
        let packet = match GatewayFrame::from_wire(bytes).ok()? {
            GatewayFrame::Packet(packet) => packet,
            _ => return Some(Arrived::Other),
        };
        let opened = unwrap(&self.hop, &packet).ok()?;
        let Unwrapped::Reply { id, payload } = opened.unwrapped else { return None };
        let asked = self.asked.get_mut(&id)?;
        let Ok(message) = asked.key.recover(payload) else {
            return Some(Arrived::Other);
        };
        asked.times += 1;
        let (times, store, about) = (asked.times, asked.store, asked.about);
        Some(Arrived::Reply { id, times, store, about, message })
    }
}

/// An answer of a store, believed as a client believes it.
pub(crate) fn believed(
    store: Option<NodeId>,
    about: Option<BoxId>,
    message: &[u8],
) -> Option<Answer> {
    let signed = SignedAnswer::from_wire(message).ok()?;
    match about {
        Some(id) => signed.verify(&StoreId::from_bytes(*store?.as_bytes()), &id).ok(),
        None => signed.collected().ok(),
    }
}
