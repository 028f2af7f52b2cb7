//! A session with a gateway that is no client's: what is sent in it, and when, is up to whoever has it.

use std::path::Path;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::time::{Instant, sleep_until, timeout};
use xchat_base::{Wire, random};
use xchat_directory::{Descriptor, NetworkFile, NodeId, VerifiedDocument, random_route};
use xchat_link::{Endpoint, Link, LinkConfig, LinkReceiver, LinkSecret, LinkSender, PeerId};
use xchat_server::clock;
use xchat_sphinx::frame::CLIENT_ALPN;
use xchat_sphinx::work::Search;
use xchat_sphinx::{
    ClientFrame, GatewayFrame, Hop, HopAddress, HopKey, HopSecret, LinkKey, NodeTag, Pace, Puzzle,
    ReplyTag, loop_packet,
};

/// How long a link or a frame of the greeting may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks for a session on a link, does the work for it and is welcomed; `None` if the gateway will not have it.
pub async fn greet(
    own: LinkKey,
    link: Link,
    gateway: &Descriptor,
    tags: Vec<ReplyTag>,
) -> Option<(LinkSender, LinkReceiver)> {
    let (mut sender, mut receiver) = link.split();
    sender.send(ClientFrame::Open.to_wire().into()).await.ok()?;
    let GatewayFrame::Challenge(challenge) = heard(&mut receiver).await? else { return None };
    let puzzle = Puzzle::new(&LinkKey::from_bytes(*gateway.id.as_bytes()), &own, challenge);
    let proof = tokio::task::spawn_blocking(|| Search::new(puzzle).finish()).await.ok()??;
    // The document fixes one rate for all, so it does not matter which pace is named.
    let hello = ClientFrame::Hello { pace: Pace::Fast, tags, proof };
    sender.send(hello.to_wire().into()).await.ok()?;
    let welcomed = matches!(heard(&mut receiver).await?, GatewayFrame::Welcome { .. });
    welcomed.then_some((sender, receiver))
}

async fn heard(receiver: &mut LinkReceiver) -> Option<GatewayFrame> {
    let bytes = timeout(PATIENCE, receiver.recv()).await.ok()?.ok()??;
    GatewayFrame::from_wire(&bytes).ok()
}

/// A gateway ends sessions in which nothing comes for two minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(100);

/// A client without cover: one packet at the times of a Poisson process of this mean gap, as somebody says something,
/// and else nothing. For as long as the process lives.
pub fn without_cover(network: &Path, mean: Duration) {
    let text = std::fs::read_to_string(network).expect("a network file");
    let file = NetworkFile::parse(&text).expect("a network file");
    let document = file.document.verify(&file.root, clock::now()).expect("a timely document");
    tokio::runtime::Runtime::new().expect("a runtime").block_on(talk(&document, mean));
}

async fn talk(document: &VerifiedDocument, mean: Duration) {
    let mut dice = ChaCha20Rng::from_seed(random::bytes(&mut rand_core::OsRng));
    let gateway = document.gateways().next().expect("a gateway");
    let config = LinkConfig::towards(LinkSecret::random(&mut dice), &gateway.addresses);
    let endpoint = Endpoint::bind(config).await.expect("an endpoint");
    let peer = PeerId::from_bytes(*gateway.id.as_bytes());
    let link = endpoint.connect(peer, &gateway.addresses, CLIENT_ALPN, PATIENCE).await;
    let own = LinkKey::from_bytes(*endpoint.id().as_bytes());
    let greeted = greet(own, link.expect("a link"), gateway, Vec::new()).await;
    let (mut sender, mut receiver) = greeted.expect("a session");
    tokio::spawn(async move { while let Ok(Some(_)) = receiver.recv().await {} });

    let home = HopSecret::random(&mut dice);
    let mut next = Instant::now();
    loop {
        next += random::exponential(&mut dice, mean).min(LONGEST_PAUSE);
        sleep_until(next).await;
        let mixes = random_route(&mut dice, document, &[gateway.operator]).expect("three mixes");
        let [one, two, three] = mixes.map(hop);
        let announce = ReplyTag::random(&mut dice);
        let address = HopAddress::client(tag(&gateway.id), announce);
        let route = [one, two, three, Hop { address, key: home.public() }];
        let made = loop_packet(&mut dice, &route, &[Duration::ZERO; 4]);
        let (first, packet, _) = made.expect("a good route");
        let frame = ClientFrame::Packet { announce, first_hop: first.node_tag(), packet };
        sender.send(frame.to_wire().into()).await.expect("the gateway is there");
    }
}

/// A listed node as a hop.
pub fn hop(node: &Descriptor) -> Hop {
    let key = node.hop_key(clock::now()).expect("a valid document has a key for now");
    Hop { address: HopAddress::node(tag(&node.id)), key: HopKey::from_bytes(key) }
}

/// A node's name in packets.
pub fn tag(id: &NodeId) -> NodeTag {
    let mut bytes = [0; NodeTag::LEN];
    bytes.copy_from_slice(&id.as_bytes()[..NodeTag::LEN]);
    NodeTag::from_bytes(bytes)
}
