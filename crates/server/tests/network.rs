//! Seven nodes in one process, over real links and real disks, and a client that speaks frames by
//! hand: the path of one request and its answer, and what survives a restart.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand_core::OsRng;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use xchat_base::{Secret, Wire, random};
use xchat_server::control;
use xchat_server::link::{Endpoint, LinkConfig, LinkReceiver, LinkSecret, LinkSender, PeerId};
use xchat_server::node::directory::{
    AuthoritySecret, Descriptor, Document, DocumentHash, HopKeyPeriod, NetworkFile, NetworkId,
    NetworkName, OperatorId, Parameters, Placement, PlacementEpoch, Role, Root, Token,
};
use xchat_server::node::pigeonhole::{
    Answer, BoxId, Lane, Op, Request, SealedBox, SignedAnswer, StoreId,
};
use xchat_server::node::sphinx::frame::CLIENT_ALPN;
use xchat_server::node::sphinx::{
    ClientFrame, GatewayFrame, Hop, HopAddress, HopKey, HopSecret, NodeTag, ReplyTag, Unwrapped,
    build, reply_block, unwrap,
};
use xchat_server::prepared::{node_id, store_incarnation};
use xchat_server::{NodeConfig, NodeError, RoleName, clock, files, keys};

const SOON: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3600);
const PLACEMENT: u32 = 1;

struct Planned {
    config: NodeConfig,
    descriptor: Descriptor,
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), NodeError>>,
}

impl Running {
    fn start(config: &NodeConfig) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        Self { stop, task: tokio::spawn(xchat_server::run(config.clone(), shutdown)) }
    }

    async fn stop(self) {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("no panic").expect("a clean end");
    }
}

/// Outside the range from which the system gives ports to whoever asks for any: another test must
/// not sit on it when the node starts again.
fn free_address() -> SocketAddr {
    loop {
        let port = 10_240 + random::index(&mut OsRng, 20_000) as u16;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

fn plan(dir: &Path, name: &str, role: RoleName, layer: u8) -> Planned {
    let own = dir.join(name);
    files::private_dir(&own).expect("a directory");
    let seed = Secret::random(&mut OsRng);
    keys::write(&keys::node_key_path(&own), &seed).expect("writes");
    let mut hop_keys = Vec::new();
    if role != RoleName::Gateway {
        let secret = HopSecret::random(&mut OsRng);
        keys::write_hop(&own, &secret).expect("writes");
        hop_keys.push(HopKeyPeriod {
            key: *secret.public().as_bytes(),
            from: clock::now() - HOUR,
            until: clock::now() + HOUR * 2,
        });
    }
    let role_in_document = match role {
        RoleName::Gateway => Role::Gateway,
        RoleName::Mix => Role::Mix { layer },
        _ => Role::Store { incarnation: store_incarnation(&own, &mut OsRng).expect("a table") },
    };
    let address = free_address();
    let network: PathBuf = dir.join("network.json");
    Planned {
        config: NodeConfig::new(role, address, network, own),
        descriptor: Descriptor {
            id: node_id(&seed),
            operator: OperatorId::random(&mut OsRng),
            role: role_in_document,
            addresses: vec![address],
            hop_keys,
        },
    }
}

fn document(nodes: &[Planned]) -> Document {
    let stores = nodes.iter().filter(|node| node.config.role == RoleName::Store);
    Document {
        network: NetworkId::from_bytes([0; NetworkId::LEN]),
        epoch: 1,
        previous: DocumentHash::from_bytes([0; DocumentHash::LEN]),
        valid_from: clock::now() - Duration::from_secs(60),
        valid_until: clock::now() + HOUR,
        placement: Placement {
            epoch: PlacementEpoch(PLACEMENT),
            tokens: stores.map(|s| (s.descriptor.id, Token::random(&mut OsRng))).collect(),
        },
        descriptors: nodes.iter().map(|node| node.descriptor.clone()).collect(),
        parameters: Parameters { mix_delay: Duration::from_millis(1), ..Parameters::default() },
    }
}

struct Network {
    nodes: Vec<Planned>,
    running: Vec<Option<Running>>,
    authority: Vec<AuthoritySecret>,
    file: NetworkFile,
    _dir: tempfile::TempDir,
}

impl Network {
    async fn up() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut nodes = vec![plan(dir.path(), "gateway", RoleName::Gateway, 0)];
        for layer in 1..=3 {
            nodes.push(plan(dir.path(), &format!("mix-{layer}"), RoleName::Mix, layer));
        }
        for n in 1..=3 {
            nodes.push(plan(dir.path(), &format!("store-{n}"), RoleName::Store, 0));
        }
        let authority = vec![AuthoritySecret::random(&mut OsRng)];
        let name = NetworkName::new("test").expect("a name");
        let root = Root::new(name, vec![authority[0].public()], 1).expect("a root");
        let file = NetworkFile::first(root, document(&nodes), &authority).expect("signs");
        let running = nodes.iter().map(|_| None).collect();
        let mut network = Self { nodes, running, authority, file, _dir: dir };
        network.write_file();
        for index in 0..network.nodes.len() {
            network.start(index);
        }
        network.connected().await;
        network
    }

    fn write_file(&self) {
        let path = &self.nodes[0].config.network;
        files::replace(path, self.file.to_json().as_bytes(), false).expect("writes");
    }

    fn start(&mut self, index: usize) {
        self.running[index] = Some(Running::start(&self.nodes[index].config));
    }

    async fn stop(&mut self, index: usize) {
        self.running[index].take().expect("it runs").stop().await;
    }

    /// Until every node reaches every node that it should.
    async fn connected(&mut self) {
        for node in &self.nodes {
            let dir = &node.config.dir;
            let all_up = async {
                while !control::query(dir).await.is_ok_and(|status| status.is_connected()) {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            if timeout(SOON, all_up).await.is_err() {
                let status = control::query(dir).await;
                for running in self.running.iter_mut().flatten() {
                    if running.task.is_finished() {
                        let end = (&mut running.task).await;
                        unreachable!("a node has ended: {end:?}");
                    }
                }
                unreachable!("{}: {status:?}", dir.display());
            }
        }
    }

    fn descriptor(&self, index: usize) -> &Descriptor {
        &self.nodes[index].descriptor
    }

    fn hop(&self, index: usize) -> Hop {
        let node = self.descriptor(index);
        Hop {
            address: HopAddress::node(NodeTag::from_bytes(node.tag())),
            key: HopKey::from_bytes(node.hop_keys[0].key),
        }
    }
}

const GATEWAY: usize = 0;
const STORES: [usize; 3] = [4, 5, 6];

/// A client that does by hand what the transport does.
struct Client {
    _endpoint: Endpoint,
    sender: LinkSender,
    receiver: LinkReceiver,
    secret: HopSecret,
    tag: ReplyTag,
}

impl Client {
    async fn connect(network: &Network) -> Self {
        let gateway = network.descriptor(GATEWAY);
        let config = LinkConfig::towards(LinkSecret::random(&mut OsRng), &gateway.addresses);
        let endpoint = Endpoint::bind(config).await.expect("binds");
        let peer = PeerId::from_bytes(*gateway.id.as_bytes());
        let link = endpoint.connect(peer, &gateway.addresses, CLIENT_ALPN, SOON).await;
        let (sender, receiver) = link.expect("connects").split();
        let secret = HopSecret::random(&mut OsRng);
        let tag = ReplyTag::random(&mut OsRng);
        let mut client = Self { _endpoint: endpoint, sender, receiver, secret, tag };
        client.send(&ClientFrame::Hello { tags: vec![tag] }).await;
        assert!(matches!(client.recv().await, GatewayFrame::Welcome { .. }));
        client
    }

    async fn send(&mut self, frame: &ClientFrame) {
        self.sender.send(frame.to_wire().into()).await.expect("sends");
    }

    async fn recv(&mut self) -> GatewayFrame {
        let frame = timeout(SOON, self.receiver.recv()).await.expect("in time");
        GatewayFrame::from_wire(&frame.expect("the link holds").expect("a frame")).expect("a frame")
    }

    async fn ask(&mut self, network: &Network, store: usize, asked: BoxId, op: Op) -> Answer {
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

    async fn read(&mut self, network: &Network, store: usize, id: BoxId) -> Answer {
        self.ask(network, store, id, Op::Read { placement: PLACEMENT, id }).await
    }

    async fn write(&mut self, network: &Network, store: usize, boxed: &SealedBox) -> Answer {
        let op = Op::Write { placement: PLACEMENT, boxed: boxed.clone() };
        self.ask(network, store, boxed.id(), op).await
    }
}

fn sealed(n: u8) -> SealedBox {
    let lane = Lane::new(Secret::new([n; 32]));
    lane.keys().seal(&mut OsRng, b"what was written").expect("fits")
}

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
    for node in &network.nodes {
        let taken = async {
            while !control::query(&node.config.dir).await.is_ok_and(|status| status.epoch == 2) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, taken).await.expect("taken in time");
    }
    let mut client = Client::connect(&network).await;
    client.send(&ClientFrame::GetDocument { newer_than: 1 }).await;
    let GatewayFrame::Document(Some(bytes)) = client.recv().await else { panic!("a document") };
    assert_eq!(bytes, network.file.document.to_wire());
    client.send(&ClientFrame::GetDocument { newer_than: 2 }).await;
    assert_eq!(client.recv().await, GatewayFrame::Document(None));
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
