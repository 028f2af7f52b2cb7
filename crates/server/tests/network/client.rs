//! A client that speaks frames by hand.
#![allow(dead_code)] // Each test uses a part of it.

use std::time::Duration;

use rand_core::OsRng;
use tokio::time::{sleep, timeout};
use xchat_base::{Secret, Wire};
use xchat_server::control::{self, NodeStatus};
use xchat_server::link::{
    CloseReason, Endpoint, LinkConfig, LinkReceiver, LinkSecret, LinkSender, PeerId,
};
use xchat_server::node::pigeonhole::{
    Answer, BoxId, Lane, Op, Request, SealedBox, SignedAnswer, StoreId, Ticket,
};
use xchat_server::node::sphinx::frame::CLIENT_ALPN;
use xchat_server::node::sphinx::work::Search;
use xchat_server::node::sphinx::{
    ClientFrame, GatewayFrame, Hop, HopAddress, HopSecret, LinkKey, NodeTag, Pace, Puzzle,
    ReplyTag, Unwrapped, build, reply_block, unwrap,
};

use crate::fixture::{Network, PLACEMENT, SOON};

pub(crate) const GATEWAY: usize = 0;
pub(crate) const STORES: [usize; 3] = [4, 5, 6];

/// A client that does by hand what the transport does.
pub(crate) struct Client {
    pub(crate) endpoint: Endpoint,
    pub(crate) sender: LinkSender,
    pub(crate) receiver: LinkReceiver,
    secret: HopSecret,
    /// The next one that it will announce.
    pub(crate) tag: ReplyTag,
}

/// An endpoint of a client's, with a key of its own.
pub(crate) async fn endpoint_towards(network: &Network) -> Endpoint {
    let addresses = &network.descriptor(GATEWAY).addresses;
    let config = LinkConfig::towards(LinkSecret::random(&mut OsRng), addresses);
    Endpoint::bind(config).await.expect("binds")
}

pub(crate) async fn link_from(
    endpoint: &Endpoint,
    network: &Network,
) -> (LinkSender, LinkReceiver) {
    let gateway = network.descriptor(GATEWAY);
    let peer = PeerId::from_bytes(*gateway.id.as_bytes());
    let link = endpoint.connect(peer, &gateway.addresses, CLIENT_ALPN, SOON).await;
    link.expect("connects").split()
}

/// Waits until the gateway's status is as wanted.
pub(crate) async fn gateway_status(
    network: &Network,
    wanted: impl Fn(&NodeStatus) -> bool,
) -> NodeStatus {
    let dir = &network.nodes[GATEWAY].config.dir;
    let asked = async {
        loop {
            let status = control::query(dir).await.expect("it runs");
            if wanted(&status) {
                return status;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, asked).await.expect("in time")
}

impl Client {
    pub(crate) async fn connect(network: &Network) -> Self {
        let gateway = network.descriptor(GATEWAY);
        let endpoint = endpoint_towards(network).await;
        let (sender, receiver) = link_from(&endpoint, network).await;
        let secret = HopSecret::random(&mut OsRng);
        let tag = ReplyTag::random(&mut OsRng);
        let own = LinkKey::from_bytes(*endpoint.id().as_bytes());
        let mut client = Self { endpoint, sender, receiver, secret, tag };
        client.send(&ClientFrame::Open).await;
        let GatewayFrame::Challenge(challenge) = client.recv().await else {
            unreachable!("no challenge")
        };
        let puzzle = Puzzle::new(&LinkKey::from_bytes(*gateway.id.as_bytes()), &own, challenge);
        let proof = Search::new(puzzle).finish().expect("solves it");
        let hello = ClientFrame::Hello { pace: Pace::Fast, tags: vec![tag], proof };
        client.send(&hello).await;
        assert!(matches!(client.recv().await, GatewayFrame::Welcome { .. }));
        client
    }

    /// Ends the session, and waits until the gateway knows.
    pub(crate) async fn leave(self) {
        self.sender.close(CloseReason::Done);
        self.endpoint.close().await;
    }

    /// Is gone without a word.
    pub(crate) fn vanish(self) {
        drop(self);
    }

    pub(crate) async fn send(&mut self, frame: &ClientFrame) {
        self.sender.send(frame.to_wire().into()).await.expect("sends");
    }

    pub(crate) async fn recv(&mut self) -> GatewayFrame {
        let frame = timeout(SOON, self.receiver.recv()).await.expect("in time");
        GatewayFrame::from_wire(&frame.expect("the link holds").expect("a frame")).expect("a frame")
    }

    pub(crate) async fn ask(
        &mut self,
        network: &Network,
        store: usize,
        asked: BoxId,
        op: Op,
    ) -> Answer {
        let delays = [Duration::from_millis(1); 4];
        let gateway = NodeTag::from_bytes(network.descriptor(GATEWAY).tag());
        let back =
            Hop { address: HopAddress::client(gateway, self.tag), key: self.secret.public() };
        let way_back = [network.hop(1), network.hop(2), network.hop(3), back];
        let (block, key) = reply_block(&mut OsRng, &way_back, &delays).expect("builds");
        let request = Request { reply: block.as_bytes().to_vec(), op };
        let way = [network.hop(1), network.hop(2), network.hop(3), network.hop(store)];
        let packet = build(&mut OsRng, &way, &delays, &request.to_wire()).expect("builds");
        self.tag = ReplyTag::random(&mut OsRng);
        let first_hop = NodeTag::from_bytes(network.descriptor(1).tag());
        self.send(&ClientFrame::Packet { announce: self.tag, first_hop, packet }).await;

        let GatewayFrame::Packet(packet) = self.recv().await else { unreachable!("no packet") };
        let opened = unwrap(&self.secret, &packet).expect("for this client");
        let Unwrapped::Reply { id, payload } = opened.unwrapped else { unreachable!("no reply") };
        assert_eq!(id, key.id());
        let answer = key.recover(payload).expect("recovers");
        let store = StoreId::from_bytes(*network.descriptor(store).id.as_bytes());
        let answer = SignedAnswer::from_wire(&answer).expect("an answer");
        answer.verify(&store, &asked).expect("signed by the store")
    }

    pub(crate) async fn read(&mut self, network: &Network, store: usize, id: BoxId) -> Answer {
        self.ask(network, store, id, Op::Read { placement: PLACEMENT, id }).await
    }

    pub(crate) async fn write(
        &mut self,
        network: &Network,
        store: usize,
        boxed: &SealedBox,
    ) -> Answer {
        let op = Op::Write {
            placement: PLACEMENT,
            boxed: boxed.clone(),
            tell: Ticket::from_bytes([9; 16]).tell(),
        };
        self.ask(network, store, boxed.id(), op).await
    }
}

pub(crate) fn sealed(n: u8) -> SealedBox {
    let lane = Lane::new(Secret::new([n; 32]));
    lane.keys().seal(&mut OsRng, b"what was written").expect("fits")
}
