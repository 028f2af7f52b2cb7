//! A client made by hand from `sphinx` and `pigeonhole`: no stream, no retries, no pace.

use std::collections::BTreeMap;
use std::time::Duration;

use xchat_base::{Wire, random};
use xchat_directory::{Descriptor, NodeId, random_route};
use xchat_pigeonhole::{Answer, BoxId, DeliveryKey, Op, Request, SignedAnswer, StoreId};
use xchat_sphinx::frame::GATEWAY_PACKET_FRAME_LEN;
use xchat_sphinx::work::Search;
use xchat_sphinx::{
    ClientFrame, CollectorSession, Delays, GatewayFrame, Hop, HopAddress, HopKey, HopSecret,
    LinkKey, Pace, Packet, Puzzle, ReplyKey, ReplyTag, Route, SurbId, TAG_POOL, Unwrapped, build,
    delivery_block, reply_block, unwrap,
};

use super::fixture::tag;
use super::network::Network;
use crate::gateway::SessionId;

/// A question that was sent: which store, about which box.
type Asked = (ReplyKey, NodeId, Option<BoxId>);

pub(super) struct Client {
    gateway: NodeId,
    session: SessionId,
    hop: HopSecret,
    /// Announced and unspent.
    tags: Vec<ReplyTag>,
    asked: BTreeMap<SurbId, Asked>,
}

impl Client {
    /// Connects and says hello.
    pub(super) fn connect(net: &mut Network, number: u64) -> Self {
        let gateway = net.fixture.gateway(0).id;
        let session = SessionId::new(number);
        let tags: Vec<_> = (0..TAG_POOL).map(|_| ReplyTag::random(&mut net.rng)).collect();
        let client = Self {
            gateway,
            session,
            hop: HopSecret::random(&mut net.rng),
            tags: tags.clone(),
            asked: BTreeMap::new(),
        };
        net.open(gateway, session);
        net.client_sends(gateway, session, ClientFrame::Open.to_wire());
        net.run_for(Duration::from_millis(1));
        let asked = net.inbox(session);
        let [Ok(GatewayFrame::Challenge(challenge))] =
            asked.iter().map(|bytes| GatewayFrame::from_wire(bytes)).collect::<Vec<_>>()[..]
        else {
            panic!("no challenge");
        };
        let own = LinkKey::from_bytes(*gateway.as_bytes());
        let puzzle = Puzzle::new(&own, &link_key(session), challenge);
        let proof = Search::new(puzzle).finish().expect("little work");
        let hello = ClientFrame::Hello { pace: Pace::Fast, tags, proof };
        net.client_sends(gateway, session, hello.to_wire());
        net.run_for(Duration::from_millis(1));
        let welcome = net.inbox(session);
        assert!(matches!(
            welcome.iter().map(|bytes| GatewayFrame::from_wire(bytes)).collect::<Vec<_>>()[..],
            [Ok(GatewayFrame::Welcome { .. })]
        ));
        client
    }

    /// Sends one packet with a request; the answer comes by [`Self::answers`].
    pub(super) fn ask(&mut self, net: &mut Network, store: &NodeId, op: Op) -> SurbId {
        let about = match &op {
            Op::Write { boxed, .. } => Some(boxed.id()),
            Op::Read { id, .. } | Op::Register { id, .. } => Some(*id),
            _ => None,
        };
        let tag_index = random::index(&mut net.rng, self.tags.len());
        let reply_tag = self.tags.swap_remove(tag_index);
        let own = Hop {
            address: HopAddress::client(tag(&self.gateway), reply_tag),
            key: self.hop.public(),
        };
        let (back, delays) = route(net, own);
        let (block, key) = reply_block(&mut net.rng, &back, &delays).expect("builds");
        let id = key.id();
        self.asked.insert(id, (key, *store, about));
        let message = Request { reply: block.as_bytes().to_vec(), op }.to_wire();
        let packet = request(net, store, &message);
        self.send(net, packet);
        id
    }

    /// Sends a packet with a fresh announced tag.
    pub(super) fn send(&mut self, net: &mut Network, (first, packet): (HopAddress, Packet)) {
        let announce = ReplyTag::random(&mut net.rng);
        self.tags.push(announce);
        let frame = ClientFrame::Packet { announce, first_hop: first.node_tag(), packet };
        net.client_sends(self.gateway, self.session, frame.to_wire());
    }

    /// Answers that came, each verified, by the question's id. A second answer to one question
    /// fails the test.
    pub(super) fn answers(&mut self, net: &mut Network) -> BTreeMap<SurbId, Answer> {
        let mut answers = BTreeMap::new();
        for bytes in net.inbox(self.session) {
            assert_eq!(bytes.len(), GATEWAY_PACKET_FRAME_LEN);
            let Ok(GatewayFrame::Packet(packet)) = GatewayFrame::from_wire(&bytes) else {
                panic!("only packets are expected");
            };
            let opened = unwrap(&self.hop, &packet).expect("for this session");
            let Unwrapped::Reply { id, payload } = opened.unwrapped else {
                panic!("only replies are expected");
            };
            let (key, store, about) = self.asked.remove(&id).expect("asked, and answered once");
            let message = key.recover(payload).expect("made by the store");
            let signed = SignedAnswer::from_wire(&message).expect("an answer");
            let answer = match about {
                Some(box_id) => signed.verify(&StoreId::from_bytes(*store.as_bytes()), &box_id),
                None => signed.collected(),
            };
            answers.insert(id, answer.expect("believable"));
        }
        answers
    }

    /// Asks one question and waits for its answer.
    pub(super) fn ask_and_wait(&mut self, net: &mut Network, store: &NodeId, op: Op) -> Answer {
        let id = self.ask(net, store, op);
        net.run_for(Duration::from_secs(15));
        self.answers(net).remove(&id).expect("answered")
    }

    /// A registration at a replica that delivers to `session` at `collector`.
    pub(super) fn registration(
        net: &mut Network,
        id: BoxId,
        collector: &NodeId,
        session: CollectorSession,
        seal_key: &DeliveryKey,
    ) -> (SurbId, Op) {
        let surb = SurbId::random(&mut net.rng);
        let (to, delays) = route(net, hop(net, collector));
        let delivery = delivery_block(&mut net.rng, &to, &delays, session, surb).expect("builds");
        let op = Op::Register {
            placement: 1,
            id,
            delivery: delivery.as_bytes().to_vec(),
            delivery_id: *surb.as_bytes(),
            seal_key: seal_key.clone(),
            lifetime_secs: 600,
        };
        (surb, op)
    }
}

/// The key of a client's end of its link.
pub(super) fn link_key(session: SessionId) -> LinkKey {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&session.number().to_be_bytes());
    LinkKey::from_bytes(key)
}

/// A packet with a message for a store.
pub(super) fn request(net: &mut Network, store: &NodeId, message: &[u8]) -> (HopAddress, Packet) {
    let (there, delays) = route(net, hop(net, store));
    let packet = build(&mut net.rng, &there, &delays, message).expect("builds");
    (there[0].address, packet)
}

fn hop(net: &Network, node: &NodeId) -> Hop {
    let node = net.fixture.document.descriptors.iter().find(|d| d.id == *node).expect("known");
    descriptor_hop(net, node)
}

fn descriptor_hop(net: &Network, node: &Descriptor) -> Hop {
    let key = node.hop_key(net.now).expect("a current key");
    Hop { address: HopAddress::node(tag(&node.id)), key: HopKey::from_bytes(key) }
}

fn route(net: &mut Network, last: Hop) -> (Route, Delays) {
    let document = net.fixture.document.clone();
    let mixes = random_route(&mut net.rng, &document, &[]).expect("there are routes");
    let [one, two, three] = mixes.map(|mix| descriptor_hop(net, mix));
    let mean = document.parameters.mix_delay;
    let [a, b, c] = [(); 3].map(|()| random::exponential(&mut net.rng, mean));
    ([one, two, three, last], [a, b, c, Duration::ZERO])
}
