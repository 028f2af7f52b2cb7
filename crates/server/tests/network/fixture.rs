//! A network's nodes in one process, over real links and real disks.
#![allow(dead_code)] // Each test uses a part of it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand_core::OsRng;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use xchat_base::{Secret, random};
use xchat_server::control;
use xchat_server::node::directory::{
    AuthoritySecret, Descriptor, Document, DocumentHash, HopKeyPeriod, NetworkFile, NetworkId,
    NetworkName, OperatorId, Parameters, Placement, PlacementEpoch, Role, Root, Token,
};
use xchat_server::node::sphinx::{Hop, HopAddress, HopKey, HopSecret, NodeTag};
use xchat_server::prepared::{node_id, store_incarnation};
use xchat_server::{NodeConfig, NodeError, RoleName, clock, files, keys};

pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const PLACEMENT: u32 = 1;

pub(crate) struct Planned {
    pub(crate) config: NodeConfig,
    pub(crate) descriptor: Descriptor,
}

pub(crate) struct Running {
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

pub(crate) fn plan(dir: &Path, name: &str, role: RoleName, layer: u8) -> Planned {
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
    // Without padding, which would only make the tests slower; `padding.rs` has it on.
    let config = NodeConfig { link_rate: 0, ..NodeConfig::new(role, address, network, own) };
    Planned {
        config,
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
            past: Vec::new(),
        },
        descriptors: nodes.iter().map(|node| node.descriptor.clone()).collect(),
        parameters: Parameters { mix_delay: Duration::from_millis(1), ..Parameters::default() },
    }
}

pub(crate) struct Network {
    pub(crate) nodes: Vec<Planned>,
    running: Vec<Option<Running>>,
    pub(crate) authority: Vec<AuthoritySecret>,
    pub(crate) file: NetworkFile,
    _dir: tempfile::TempDir,
}

impl Network {
    pub(crate) async fn up() -> Self {
        let mut network = Self::planned();
        for index in 0..network.nodes.len() {
            network.start(index);
        }
        network.connected().await;
        network
    }

    /// Seven nodes that do not run yet: a gateway, a mix in each layer, three stores.
    pub(crate) fn planned() -> Self {
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
        let network = Self { nodes, running, authority, file, _dir: dir };
        network.write_file();
        network
    }

    pub(crate) fn write_file(&self) {
        let path = &self.nodes[0].config.network;
        files::replace(path, self.file.to_json().as_bytes(), false).expect("writes");
    }

    pub(crate) fn start(&mut self, index: usize) {
        self.running[index] = Some(Running::start(&self.nodes[index].config));
    }

    pub(crate) async fn stop(&mut self, index: usize) {
        self.running[index].take().expect("it runs").stop().await;
    }

    /// Until every node goes by the document of this epoch.
    pub(crate) async fn taken(&self, epoch: u64) {
        for node in &self.nodes {
            let dir = &node.config.dir;
            let taken = async {
                while !control::query(dir).await.is_ok_and(|status| status.epoch == epoch) {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(SOON, taken).await.expect("taken in time");
        }
    }

    /// Until every node that runs reaches every node that it should.
    pub(crate) async fn connected(&mut self) {
        let running = self.nodes.iter().zip(&self.running).filter(|(_, running)| running.is_some());
        let dirs: Vec<_> = running.map(|(node, _)| node.config.dir.clone()).collect();
        for dir in &dirs {
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

    pub(crate) fn descriptor(&self, index: usize) -> &Descriptor {
        &self.nodes[index].descriptor
    }

    pub(crate) fn hop(&self, index: usize) -> Hop {
        let node = self.descriptor(index);
        Hop {
            address: HopAddress::node(NodeTag::from_bytes(node.tag())),
            key: HopKey::from_bytes(node.hop_keys[0].key),
        }
    }
}
