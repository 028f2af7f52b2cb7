//! A whole mix node, beside the unwrapping alone.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_packet::crypto::{PrivateKey, PublicKey};
use sphinx_packet::header::delays::generate_from_average_duration;
use sphinx_packet::route::{Destination, DestinationAddressBytes, Node, NodeAddressBytes};
use sphinx_packet::{SphinxPacket, SphinxPacketBuilder};
use xchat_directory::{Descriptor, VerifiedDocument};
use xchat_link::{Endpoint, LinkConfig, PeerId};
use xchat_server::clock;
use xchat_server::node::cells::CellWriter;
use xchat_sphinx::frame::PACKET_ALPN;
use xchat_sphinx::{
    Hop, HopAddress, HopKey, NodeFrame, NodeTag, PACKET_LEN, PAYLOAD_LEN, Packet, build,
};
use xchat_testkit::{Ground, give_up};

use crate::cpu;
use crate::report::Row;

const PACKETS: usize = 10_000;

/// Packets under way at once: the node's queues hold far more.
const WINDOW: usize = 500;

pub(crate) fn run(args: &crate::Args) -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let node = runtime.expect("a runtime starts").block_on(whole_node(args));
    let raw = unwrapping();
    vec![
        Row::new("a mix node, for each packet", node, "µs CPU")
            .at_most_of_cpu(100.0)
            .beside("sphinx-packet alone", raw),
    ]
}

/// `sphinx-packet` on packets of our size and number of hops.
pub(crate) fn unwrapping() -> f64 {
    let keys: Vec<_> = (1u8..=4).map(x25519).collect();
    let route: Vec<_> = keys
        .iter()
        .zip(1u8..)
        .map(|((_, public), n)| Node::new(NodeAddressBytes::from_bytes([n; 32]), *public))
        .collect();
    let delays = generate_from_average_duration(route.len(), Duration::from_millis(50));
    let last = Destination::new(DestinationAddressBytes::from_bytes([9; 32]), [8; 16]);
    let packet = SphinxPacketBuilder::new()
        .with_payload_size(PAYLOAD_LEN)
        .build_packet(vec![7; PAYLOAD_LEN - 64], &route, &last, &delays)
        .expect("a good route");
    let bytes = packet.to_bytes();
    assert_eq!(bytes.len(), PACKET_LEN, "the packets of the network");
    let turn = |_| {
        let packet = SphinxPacket::from_bytes(&bytes).expect("its own bytes");
        black_box(packet.process(&keys[0].0).expect("for this key"));
    };
    cpu::micros_each(500, turn);
    cpu::micros_each(3_000, turn)
}

fn x25519(seed: u8) -> (PrivateKey, PublicKey) {
    let secret = PrivateKey::from([seed; 32]);
    let public = PublicKey::from(&secret);
    (secret, public)
}

async fn whole_node(args: &crate::Args) -> f64 {
    let ground =
        Ground::up(&args.xchat, &["--rate", "0.1", "--mix-delay", "0", "--link-rate", "0"]);
    let document = ground.document();
    // The place of a gateway, which is where a first mix gets its packets from.
    let place = ground.take("gateway-2");
    let endpoint = Endpoint::bind(LinkConfig::listening(
        place.link_secret(),
        place.node.address,
        &[PACKET_ALPN],
    ));
    let endpoint = endpoint.await.expect("the taken node's address is free");
    let mix = node(&document, |node| node.is_mix_of(1));
    let packets = packets(&document);
    let peer = PeerId::from_bytes(*mix.id.as_bytes());
    let link = endpoint.connect(peer, &mix.addresses, PACKET_ALPN, Duration::from_secs(10)).await;
    let (mut sender, _receiver) = link.expect("the mix takes the link").split();

    let pid = ground.nodes().into_iter().find(|node| node.id == mix.id).and_then(|node| node.pid);
    let pid = pid.expect("it runs");
    // A packet's frame fills one cell.
    let mut writer = CellWriter::default();
    let passed = || ground.counters_of(&mix.id).get("forwarded").copied().unwrap_or(0) as usize;
    let (before, first) = (cpu::of_process(pid), passed());
    let end = Instant::now() + Duration::from_secs(120);
    for chunk in packets.chunks(WINDOW) {
        let wanted = passed() + chunk.len();
        for packet in chunk {
            let frame = NodeFrame::to_node(packet.clone()).to_bytes();
            let mut frames = std::iter::once(frame);
            sender.send(writer.cell(|| frames.next()).into()).await.expect("sends");
        }
        // Asking costs the node something too, a hundred times in all.
        while passed() < wanted {
            if Instant::now() > end {
                give_up("the mix does not pass the packets on");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let spent = cpu::of_process(pid) - before;
    spent as f64 / 1_000.0 / (passed() - first) as f64
}

/// Over the three layers to a store, which cannot read what is in them.
fn packets(document: &VerifiedDocument) -> Vec<Packet> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let layers = [1, 2, 3].map(|layer| hop(node(document, |node| node.is_mix_of(layer))));
    let [one, two, three] = layers;
    let route = [one, two, three, hop(node(document, Descriptor::is_store))];
    let delays = [Duration::ZERO; 4];
    (0..PACKETS)
        .map(|_| build(&mut rng, &route, &delays, b"bench").expect("a good route"))
        .collect()
}

fn node(document: &VerifiedDocument, wanted: impl Fn(&Descriptor) -> bool) -> &Descriptor {
    document.descriptors.iter().find(|node| wanted(node)).expect("the network has every role")
}

fn hop(node: &Descriptor) -> Hop {
    let mut name = [0; NodeTag::LEN];
    name.copy_from_slice(&node.id.as_bytes()[..NodeTag::LEN]);
    let key = node.hop_key(clock::now()).expect("a valid document has a key for now");
    Hop { address: HopAddress::node(NodeTag::from_bytes(name)), key: HopKey::from_bytes(key) }
}
