//! A gateway, its clients and its peers.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Timestamp, Wire};
use xchat_directory::{Descriptor, NodeId};
use xchat_node::Gateway;
use xchat_node::gateway::{Effect, Input, MAX_OPENING, SessionId};
use xchat_simnet::network::{Core, Founded, Shape, found};
use xchat_sphinx::frame::MAX_SESSION_TAGS;
use xchat_sphinx::work::{SHARES, Search};
use xchat_sphinx::{
    Challenge, ClientFrame, GatewayFrame, LinkKey, NodeFrame, NodeTag, PACKET_LEN, Pace, Packet,
    Proof, Puzzle, ReplyTag, SessionToken,
};

use crate::parsers::NOW;
use crate::{Bytes, Target};

pub(crate) const GATEWAY: Target = Target { name: "gateway", body: gateway, seeds, tries: 600 };

/// Links, and tags, that an input can name.
const NAMES: usize = 8;

/// Hellos with a genuine proof of one input: each costs a few hundred hashes.
const MAX_PROOFS: usize = 16;

/// The node tag of a node.
pub(crate) fn tag(id: &NodeId) -> NodeTag {
    NodeTag::from_slice(&id.as_bytes()[..16]).expect("16 bytes of 32")
}

/// Everything before it must know, and after it must keep.
struct Watched {
    core: Gateway,
    /// Nodes by place in the document.
    peers: Vec<Descriptor>,
    rng: ChaCha20Rng,
    now: Timestamp,
    id: NodeId,
    /// Links that are there, by name; a driver numbers them upwards.
    links: BTreeMap<usize, SessionId>,
    next: u64,
    challenges: BTreeMap<SessionId, Challenge>,
    /// The newest token of each name.
    tokens: BTreeMap<usize, SessionToken>,
    proofs: usize,
}

fn start() -> Watched {
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let shape = Shape { gateways: 1, stores: 3, ..Shape::default() };
    let Founded { document, nodes, .. } = found(&shape, NOW, &mut rng);
    let peers = document.descriptors.clone();
    let core = nodes.into_iter().find_map(|(id, node)| match node.core {
        Core::Gateway(core) => Some((id, core)),
        _ => None,
    });
    let (id, core) = core.expect("the shape has one");
    Watched {
        core,
        peers,
        rng,
        now: NOW + Duration::from_secs(1),
        id,
        links: BTreeMap::new(),
        next: 0,
        challenges: BTreeMap::new(),
        tokens: BTreeMap::new(),
        proofs: 0,
    }
}

impl Watched {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let effects = self.core.handle(input, self.now, &mut self.rng);
        for effect in &effects {
            match effect {
                Effect::ToClient { session, bytes } => {
                    let frame = GatewayFrame::from_wire(bytes).expect("a client can read it");
                    assert!(self.links.values().any(|link| link == session), "a frame for nobody");
                    let name = self.links.iter().find(|(_, link)| *link == session);
                    match (frame, name) {
                        (GatewayFrame::Challenge(challenge), _) => {
                            self.challenges.insert(*session, challenge);
                        }
                        (GatewayFrame::Welcome { session: token }, Some((name, _))) => {
                            self.tokens.insert(*name, token);
                        }
                        _ => {}
                    }
                }
                Effect::ToNode { to, bytes } => {
                    let first = self.core.document().node(to).is_some_and(|node| node.is_mix_of(1));
                    assert!(first, "clients' packets go to mixes of the first layer");
                    assert!(NodeFrame::from_bytes(bytes).is_ok(), "a mix cannot read this");
                }
                Effect::CloseClient { session, .. } => self.links.retain(|_, link| link != session),
                _ => {}
            }
        }
        let counters = self.core.counters();
        assert_eq!(counters.sessions + counters.opening, self.links.len() as u64);
        assert!(counters.opening <= MAX_OPENING as u64);
        assert!(counters.welcomed <= self.proofs as u64, "a session without a proof");
        assert!(counters.sessions + counters.kept <= counters.welcomed, "a seat without a proof");
        assert!(counters.tags <= counters.sessions * MAX_SESSION_TAGS as u64);
        effects
    }

    fn act(&mut self, input: &mut Bytes<'_>) {
        let (what, name) = (input.u8(), input.index(NAMES));
        match what % 12 {
            0 | 1 => self.open(name),
            2 => {
                if let Some(session) = self.links.remove(&name) {
                    let lost = input.u8() & 1 == 0;
                    self.handle(if lost {
                        Input::ClientLost { session }
                    } else {
                        Input::ClientClosed { session }
                    });
                }
            }
            3 => self.client(name, input.long().to_vec()),
            4 => match self.tokens.get(&input.index(2 * NAMES)).copied() {
                Some(token) => {
                    let tags = vec![reply_tag(input)];
                    self.client(name, ClientFrame::Resume { token, tags }.to_wire());
                }
                None => self.client(name, ClientFrame::Open.to_wire()),
            },
            5 | 6 => self.hello(name, input),
            7 => {
                let newer_than = u64::from(input.u8());
                self.client(name, ClientFrame::GetDocument { newer_than }.to_wire());
            }
            8 => {
                let announce = reply_tag(input);
                let first_hop = tag(&self.peers[input.index(self.peers.len())].id);
                let frame = ClientFrame::Packet { announce, first_hop, packet: packet(input) };
                self.client(name, frame.to_wire());
            }
            9 => {
                self.now = self.now + Duration::from_millis(u64::from(input.u16()));
                self.handle(Input::Timer);
            }
            10 => {
                let from = input.index(self.peers.len() + 1);
                let frame = NodeFrame { tag: reply_tag(input), packet: packet(input) };
                self.node(from, input.edit(&frame.to_bytes()));
            }
            _ => {
                let from = input.index(self.peers.len() + 1);
                self.node(from, input.long().to_vec());
            }
        }
    }

    fn open(&mut self, name: usize) {
        if self.links.contains_key(&name) {
            return;
        }
        self.next += 1;
        let session = SessionId::new(self.next);
        self.links.insert(name, session);
        self.handle(Input::ClientOpened { session, link: link_key(name) });
    }

    /// With a proof that holds, if a challenge came; or with any other.
    fn hello(&mut self, name: usize, input: &mut Bytes<'_>) {
        let pace = Pace::ALL[input.index(Pace::ALL.len())];
        let count = input.index(20);
        let tags = (0..count).map(|_| reply_tag(input)).collect();
        let forged = input.u8();
        let challenge = self.links.get(&name).and_then(|link| self.challenges.get(link).copied());
        let mut proof = Proof::from_numbers([[forged; 4]; SHARES]);
        if let Some(challenge) = challenge
            && forged < 200
            && self.proofs < MAX_PROOFS
        {
            self.proofs += 1;
            let gateway = LinkKey::from_bytes(*self.id.as_bytes());
            let puzzle = Puzzle::new(&gateway, &link_key(name), challenge);
            proof = Search::new(puzzle).finish().expect("next to no work");
        }
        self.client(name, ClientFrame::Hello { pace, tags, proof }.to_wire());
    }

    fn client(&mut self, name: usize, bytes: Vec<u8>) {
        let readable = ClientFrame::from_wire(&bytes).is_ok();
        let link = self.links.get(&name).copied();
        let session = link.unwrap_or_else(|| SessionId::new(u64::MAX));
        let effects = self.handle(Input::ClientFrame { session, bytes });
        let closed = effects.iter().any(
            |effect| matches!(effect, Effect::CloseClient { session: gone, .. } if *gone == session),
        );
        assert!(
            link.is_none() || readable || closed,
            "who sends what cannot be read is told to go"
        );
    }

    /// What a peer sends reaches at most one client, and never any other state than its tag.
    fn node(&mut self, from: usize, bytes: Vec<u8>) {
        let peer = self.peers.get(from);
        let known = peer.is_some_and(|peer| peer.is_mix_of(3));
        let from = peer.map_or_else(|| NodeId::from_bytes([0; 32]), |peer| peer.id);
        let before = self.core.counters();
        let effects = self.handle(Input::NodeFrame { from, bytes });
        let after = self.core.counters();
        let reached = effects.iter().filter(|effect| matches!(effect, Effect::ToClient { .. }));
        let reached = reached.count() as u64;
        assert_eq!(before.tags - after.tags, reached, "a tag is spent once");
        assert_eq!(after.to_clients - before.to_clients, reached);
        assert!(known || reached == 0, "only mixes of the last layer are heard");
    }
}

fn link_key(name: usize) -> LinkKey {
    LinkKey::from_bytes([u8::try_from(name).expect("below 8"); 32])
}

/// One of a few, so that announced ones are met again.
fn reply_tag(input: &mut Bytes<'_>) -> ReplyTag {
    ReplyTag::from_bytes([u8::try_from(input.index(4 * NAMES)).expect("below 32"); 16])
}

fn packet(input: &mut Bytes<'_>) -> Packet {
    Packet::from_bytes(&[input.u8(); PACKET_LEN]).expect("the length is right")
}

fn gateway(input: &[u8]) {
    let mut input = Bytes::new(input);
    let mut watched = start();
    while !input.is_empty() {
        watched.act(&mut input);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    // The gateway stands at place 0 of the document, a mix of the first layer at 1, one of the last at 3.
    let begin = |name: u8| [0, name, 4, name, 5, name, 0, 3, 1, 2, 3, 0];
    let packet = [8, 1, 4, 1, 7];
    vec![
        [&begin(1)[..], &packet, &[10, 0, 3, 1, 7, 0, 10, 0, 3, 1, 7, 0, 7, 1, 0]].concat(),
        [&begin(1)[..], &begin(2), &[2, 1, 10, 0, 3, 1, 1, 0, 9, 0, 40, 0], &packet].concat(),
        [&[0, 3, 4, 3, 5, 3, 1, 1, 5, 255, 0, 4, 9, 0, 255, 255, 9, 0, 255, 255][..], &begin(5)]
            .concat(),
        [&begin(1)[..], &packet.repeat(20), &[3, 1, 0, 2, 1, 1]].concat(),
    ]
}
