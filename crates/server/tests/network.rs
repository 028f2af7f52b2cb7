//! Seven nodes in one process, over real links and real disks, and a client that speaks frames by
//! hand: the path of one request and its answer, and what survives a restart.

#[path = "network/client.rs"]
mod client;
#[path = "network/fixture.rs"]
mod fixture;

use std::time::{Duration, Instant};

use client::{Client, GATEWAY, STORES, endpoint_towards, gateway_status, link_from, sealed};
use fixture::{HOUR, Network, SOON, plan};
use rand_core::OsRng;
use tokio::time::{sleep, timeout};
use xchat_base::Wire;
use xchat_server::control::{self, Load};
use xchat_server::keys;
use xchat_server::link::{Endpoint, LinkConfig, LinkReceiver, LinkSecret, LinkSender, PeerId};
use xchat_server::node::cells::{CELL_LEN, CellReader};
use xchat_server::node::directory::{Document, HopKeyPeriod};
use xchat_server::node::pigeonhole::Answer;
use xchat_server::node::sphinx::frame::{CLIENT_ALPN, PACKET_ALPN};
use xchat_server::node::sphinx::{
    ClientFrame, GatewayFrame, HopSecret, NodeTag, PACKET_LEN, Packet, RefusalCode, ReplyTag,
};
use xchat_server::{RoleName, clock, files};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_is_written_and_read_and_survives_restarts() {
    let mut network = Network::up().await;
    let mut client = Client::connect(&network).await;
    let boxed = sealed(1);
    assert_eq!(client.read(&network, STORES[0], boxed.id()).await, Answer::Empty);
    assert_eq!(client.write(&network, STORES[0], &boxed).await, Answer::Stored);
    for store in STORES {
        assert_eq!(client.read(&network, store, boxed.id()).await, Answer::Found(boxed.clone()));
    }
    // Every store and every mix goes once, one after the other.
    for index in [1, 2, 3, 4, 5, 6] {
        network.stop(index).await;
        network.start(index);
        network.connected().await;
        let found = client.read(&network, STORES[1], boxed.id()).await;
        assert_eq!(found, Answer::Found(boxed.clone()), "after a restart of node {index}");
    }
    for index in 0..network.nodes.len() {
        network.stop(index).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_document_is_taken_from_the_file_and_given_to_clients() {
    let mut network = Network::up().await;
    let current = network.file.verify(clock::now()).expect("valid");
    // The same nodes and tokens for a little longer.
    let next =
        Document { valid_until: current.valid_until + HOUR / 2, ..Document::clone(&current) };
    network.file = network.file.next(next, &network.authority).expect("signs");
    network.write_file();
    network.taken(2).await;
    let mut client = Client::connect(&network).await;
    client.send(&ClientFrame::GetDocument { newer_than: 1 }).await;
    let GatewayFrame::Document(Some(bytes)) = client.recv().await else { panic!("a document") };
    assert_eq!(bytes, network.file.document.to_wire());
    client.send(&ClientFrame::GetDocument { newer_than: 2 }).await;
    assert_eq!(client.recv().await, GatewayFrame::Document(None));
}

/// Hop keys that an operator has put back, or that no document lists yet, lie beside the new ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_hop_key_is_taken_among_others() {
    let mut network = Network::up().await;
    for node in &mut network.nodes[1..] {
        let secrets: Vec<_> = (0..7).map(|_| HopSecret::random(&mut OsRng)).collect();
        for secret in &secrets {
            keys::write_hop(&node.config.dir, secret).expect("writes");
        }
        let (key, from) = (*secrets[3].public().as_bytes(), clock::now() - HOUR / 60);
        // Clients take the first that they find here.
        node.descriptor.hop_keys.insert(0, HopKeyPeriod { key, from, until: from + HOUR * 3 });
    }
    let current = network.file.verify(clock::now()).expect("valid");
    let descriptors = network.nodes.iter().map(|node| node.descriptor.clone()).collect();
    let next = Document { descriptors, ..Document::clone(&current) };
    network.file = network.file.next(next, &network.authority).expect("signs");
    network.write_file();
    network.taken(2).await;
    let mut client = Client::connect(&network).await;
    let boxed = sealed(1);
    for store in STORES {
        assert_eq!(client.write(&network, store, &boxed).await, Answer::Stored);
        assert_eq!(client.read(&network, store, boxed.id()).await, Answer::Found(boxed.clone()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_store_says_that_it_is_catching_up() {
    let mut network = Network::up().await;
    network.stop(STORES[2]).await;
    let dir = network.nodes[STORES[2]].config.dir.clone();
    std::fs::remove_dir_all(dir.join("boxes")).expect("wipes");
    network.start(STORES[2]);
    let asked = async {
        loop {
            match control::query(&dir).await {
                Ok(status) => return status,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let status = timeout(SOON, asked).await.expect("answers");
    assert!(status.catching_up && !status.serving);
    // The other two are a majority.
    let mut client = Client::connect(&network).await;
    let boxed = sealed(3);
    assert_eq!(client.write(&network, STORES[0], &boxed).await, Answer::Stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_may_not_speak_to_nodes_as_nodes() {
    use xchat_server::link::{CloseReason, LinkError};
    use xchat_server::node::sphinx::frame::PACKET_ALPN;

    let network = Network::up().await;
    let mix = network.descriptor(1);
    let config = LinkConfig::towards(LinkSecret::random(&mut OsRng), &mix.addresses);
    let endpoint = Endpoint::bind(config).await.expect("binds");
    let peer = PeerId::from_bytes(*mix.id.as_bytes());
    // The refusal may come before the dial is through, or after.
    let refused = match endpoint.connect(peer, &mix.addresses, PACKET_ALPN, SOON).await {
        Ok(link) => link.split().1.recv().await.map(drop),
        Err(error) => Err(error),
    };
    assert_eq!(refused, Err(LinkError::Closed(CloseReason::Refused)));
    let client = endpoint.connect(peer, &mix.addresses, CLIENT_ALPN, SOON).await;
    let error = client.expect_err("a mix serves no clients");
    assert_eq!(error, LinkError::ProtocolRefused { protocol: "/xchat/client/1".into() });
}

/// What the gateway says to the first mix, whose place the test takes.
struct AtTheMix {
    _endpoint: Endpoint,
    /// To drop it would look like an end of the link.
    _sender: LinkSender,
    receiver: LinkReceiver,
    reader: CellReader,
}

impl AtTheMix {
    async fn listen(network: &Network) -> Endpoint {
        let config = &network.nodes[1].config;
        let seed = keys::read(&keys::node_key_path(&config.dir)).expect("planned");
        let secret = LinkSecret::from_seed(seed);
        let config = LinkConfig::listening(secret, config.bind, &[PACKET_ALPN]);
        Endpoint::bind(config).await.expect("binds")
    }

    async fn accept(endpoint: Endpoint) -> Self {
        let link = timeout(SOON, endpoint.accept()).await.expect("in time").expect("a link");
        let (sender, receiver) = link.split();
        Self { _endpoint: endpoint, _sender: sender, receiver, reader: CellReader::default() }
    }

    /// The frames in the next cell.
    async fn cell(&mut self) -> usize {
        let cell = timeout(SOON, self.receiver.recv()).await.expect("in time");
        let cell = cell.expect("the link holds").expect("a cell");
        assert_eq!(cell.len(), CELL_LEN);
        self.reader.take(&cell).expect("a cell").len()
    }

    /// Passes over the cells that have come already.
    async fn catch_up(&mut self) {
        let mut asked = Instant::now();
        self.cell().await;
        while asked.elapsed() < Duration::from_millis(2) {
            asked = Instant::now();
            self.cell().await;
        }
    }
}

/// Cells come when they are due, one length each, as many a second whether a client says much or nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_between_nodes_is_padded_to_its_own_rate() {
    const RATE: u32 = 100;
    // Fewer than a gateway lets a new session have at once.
    const PACKETS: usize = 40;
    const ROUNDS: usize = 3;
    let mut network = Network::planned();
    network.nodes[GATEWAY].config.link_rate = RATE;
    let endpoint = AtTheMix::listen(&network).await;
    network.start(GATEWAY);
    let mut mix = AtTheMix::accept(endpoint).await;
    let first_hop = NodeTag::from_bytes(network.descriptor(1).tag());
    let mut clients = Vec::new();
    for _ in 0..ROUNDS {
        clients.push(Client::connect(&network).await);
    }

    let (mut at_rest, mut busy) = (Vec::new(), Vec::new());
    for mut client in clients {
        mix.catch_up().await;
        let start = Instant::now();
        let mut said = 0;
        for _ in 0..RATE {
            said += mix.cell().await;
        }
        let took = start.elapsed();
        // Nobody has said anything; one loop a second is the gateway's own.
        assert!(said <= 10, "{said} frames");
        // A busy machine may be late, and what is late may come together; early is nothing.
        assert!(took > Duration::from_millis(900), "{RATE} cells in {took:?}");
        at_rest.push(took / RATE);

        let start = Instant::now();
        for _ in 0..PACKETS {
            let announce = ReplyTag::random(&mut OsRng);
            let packet = Packet::from_bytes(&[7; PACKET_LEN]).expect("of its length");
            client.send(&ClientFrame::Packet { announce, first_hop, packet }).await;
        }
        // All at once they were said, one by one they leave.
        let (mut frames, mut cells) = (0, 0);
        while frames < PACKETS {
            frames += mix.cell().await;
            cells += 1;
        }
        assert!(cells as usize >= PACKETS, "{frames} frames in {cells} cells");
        busy.push(start.elapsed() / cells);
    }
    at_rest.sort();
    busy.sort();
    let ratio = busy[ROUNDS / 2].as_secs_f64() / at_rest[ROUNDS / 2].as_secs_f64();
    assert!((0.9..1.1).contains(&ratio), "busy {busy:?}, at rest {at_rest:?}");
}

#[tokio::test]
async fn a_node_that_cannot_start_says_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let gateway = plan(dir.path(), "gateway", RoleName::Gateway, 0);
    let error = xchat_server::run(gateway.config.clone(), std::future::pending()).await;
    let error = error.expect_err("no network file").to_string();
    assert!(error.contains("network.json"), "{error}");

    files::replace(&gateway.config.network, b"{\"version\": 9}", false).expect("writes");
    let error = xchat_server::run(gateway.config.clone(), std::future::pending()).await;
    let error = error.expect_err("another version").to_string();
    assert!(error.contains("version 9"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_say_nothing_keep_nobody_out_and_leave_nothing_behind() {
    const SILENT: usize = 60;
    let network = Network::up().await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        let endpoint = endpoint_towards(&network).await;
        let mut links = Vec::new();
        for number in 0..SILENT {
            let (mut sender, receiver) = link_from(&endpoint, &network).await;
            // Every third wants a session and does not work for it, every third says rubbish.
            match number % 3 {
                0 => sender.send(ClientFrame::Open.to_wire().into()).await.expect("sends"),
                1 => sender.send(vec![1].into()).await.expect("sends"),
                _ => {}
            }
            links.push((sender, receiver));
        }
        silent.push((endpoint, links));
    }
    let kept = 4 * SILENT as u64 * 2 / 3;
    let status = gateway_status(&network, |status| status.counters["opening"] == kept).await;
    assert_eq!(status.counters["malformed"], 4 * SILENT as u64 / 3, "rubbish ends a link");
    assert_eq!(status.counters["sessions"], 0);

    let mut client = Client::connect(&network).await;
    let id = sealed(5).id();
    assert_eq!(client.read(&network, STORES[0], id).await, Answer::Empty);
    drop(silent);
    let status = gateway_status(&network, |status| status.counters["opening"] == 0).await;
    assert_eq!(status.counters["sessions"], 1);
    assert_eq!(client.read(&network, STORES[0], id).await, Answer::Empty);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_floods_loses_its_session_and_nobody_else_does() {
    let network = Network::up().await;
    let mut honest = Client::connect(&network).await;
    let mut flooding = Client::connect(&network).await;
    let id = sealed(6).id();
    let first_hop = NodeTag::from_bytes(network.descriptor(1).tag());
    let packet = Packet::from_bytes(&[7; PACKET_LEN]).expect("the right length");
    // 150 packets of slack at `fast`, 32 that are dropped, and a good many more.
    for _ in 0..1_000 {
        let announce = ReplyTag::random(&mut OsRng);
        let frame = ClientFrame::Packet { announce, first_hop, packet: packet.clone() };
        if flooding.sender.send(frame.to_wire().into()).await.is_err() {
            break;
        }
    }
    assert_eq!(honest.read(&network, STORES[0], id).await, Answer::Empty);
    let refused = GatewayFrame::Refused { code: RefusalCode::TooFast, retry_after_secs: 0 };
    assert_eq!(flooding.recv().await, refused);
    let end = timeout(SOON, flooding.receiver.recv()).await.expect("in time");
    assert!(!matches!(end, Ok(Some(_))), "the link is over");

    let status = gateway_status(&network, |status| status.counters["sessions"] == 1).await;
    assert_eq!(status.counters["refused_too_fast"], 1);
    assert_eq!(status.counters["over_pace"], 32);
    assert!(status.counters["to_mixes"] < 250, "{:?}", status.counters);
    assert_eq!(honest.read(&network, STORES[0], id).await, Answer::Empty);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_lets_in_what_its_line_carries_and_says_how_much_of_it_is_promised() {
    let mut network = Network::planned();
    // Five packets a second for each at `fast`, 5,600 bytes each way for a packet: 224 kbit/s.
    network.nodes[GATEWAY].config.max_mbit_per_s = Some(1);
    for index in 0..network.nodes.len() {
        network.start(index);
    }
    network.connected().await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(Client::connect(&network).await);
    }
    let status = gateway_status(&network, |status| status.counters["sessions"] == 4).await;
    let Some(Load::Gateway { full, line: Some(line), .. }) = status.load else {
        unreachable!("a gateway's load, with a line")
    };
    assert!(full);
    assert_eq!((line.kbit_per_s, line.max_kbit_per_s), (896, 1_000));

    let endpoint = endpoint_towards(&network).await;
    let (mut sender, mut receiver) = link_from(&endpoint, &network).await;
    sender.send(ClientFrame::Open.to_wire().into()).await.expect("sends");
    let frame = timeout(SOON, receiver.recv()).await.expect("in time").expect("the link holds");
    let refused = GatewayFrame::Refused { code: RefusalCode::Busy, retry_after_secs: 5 };
    assert_eq!(GatewayFrame::from_wire(&frame.expect("a frame")), Ok(refused));
    // Those who are in are served, and when one goes the next comes in.
    let id = sealed(8).id();
    let mut last = clients.pop().expect("four");
    assert_eq!(last.read(&network, STORES[0], id).await, Answer::Empty);
    // A link that is lost leaves its seat taken for a while, one that is closed does not.
    let mut lost = clients.pop().expect("three");
    assert_eq!(lost.read(&network, STORES[0], id).await, Answer::Empty);
    lost.vanish();
    let left = |sessions, kept| {
        gateway_status(&network, move |status| {
            (status.counters["sessions"], status.counters["kept"]) == (sessions, kept)
        })
    };
    let status = left(3, 1).await;
    assert!(matches!(status.load, Some(Load::Gateway { full: true, .. })));
    clients.pop().expect("two").leave().await;
    left(2, 1).await;
    clients.push(Client::connect(&network).await);
    assert_eq!(last.read(&network, STORES[0], id).await, Answer::Empty);
}
