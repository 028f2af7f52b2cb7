//! What a node tells its operator, in every way that it has: the log at its most verbose, status and metrics. A
//! client is served meanwhile whose key, port, tags and boxes are known here, and none of it is to be found.

#[path = "network/client.rs"]
mod client;
#[path = "network/fixture.rs"]
mod fixture;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::{Client, GATEWAY, STORES, sealed};
use fixture::{Network, SOON};
use rand_core::OsRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;
use xchat_server::control;
use xchat_server::node::pigeonhole::Answer;
use xchat_server::node::sphinx::{ClientFrame, NodeTag, PACKET_LEN, Packet, ReplyTag};

const MIX: usize = 1;

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).expect("text")
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As the program logs (`apps/xchat/src/log.rs`), and more crates of it.
fn log_everything() -> Log {
    let log = Log::default();
    let writer = log.clone();
    let ours = ["xchat_server", "xchat_node", "xchat_link", "xchat_sphinx", "xchat_pigeonhole"];
    let ours = ours.map(|target| (target, LevelFilter::TRACE));
    let lines = tracing_subscriber::fmt::layer().json().with_writer(move || writer.clone());
    tracing_subscriber::registry()
        .with(lines.with_filter(Targets::new().with_targets(ours)))
        .init();
    log
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("bound")
}

async fn metrics(address: SocketAddr) -> String {
    let asked = async {
        loop {
            let mut text = String::new();
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.expect("sends");
            stream.read_to_string(&mut text).await.expect("an answer");
            if text.starts_with("HTTP/1.0 200 ") {
                return text;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, asked).await.expect("in time")
}

/// The ways in which bytes are written into logs; of a long value five bytes are enough, one more than
/// `docs/policy/logging.md` lets a debug line show.
fn spellings(bytes: &[u8]) -> Vec<String> {
    let short = &bytes[..bytes.len().min(5)];
    let hex: String = short.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = |between: &str| {
        let numbers: Vec<_> = short.iter().map(u8::to_string).collect();
        numbers.join(between)
    };
    vec![hex.to_uppercase(), hex, list(", "), list(",")]
}

fn found(said: &str, bytes: &[u8]) -> bool {
    spellings(bytes).iter().any(|spelling| said.contains(spelling.as_str()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_log_nor_status_nor_metrics_name_a_client_or_a_box() {
    let log = log_everything();
    let mut network = Network::planned();
    let watched = [GATEWAY, MIX, STORES[0]].map(|index| (index, free_port()));
    for (index, address) in watched {
        network.nodes[index].config.metrics = Some(address);
    }
    for index in 0..network.nodes.len() {
        network.start(index);
    }
    network.connected().await;

    let mut client = Client::connect(&network).await;
    let boxed = sealed(1);
    let tag = client.tag;
    assert_eq!(client.write(&network, STORES[0], &boxed).await, Answer::Stored);
    assert_eq!(client.read(&network, STORES[0], boxed.id()).await, Answer::Found(boxed.clone()));
    // What goes wrong is logged more often: rubbish from one client, a store that is away.
    let mut rude = Client::connect(&network).await;
    let first_hop = NodeTag::from_bytes([9; 16]);
    let packet = Packet::from_bytes(&[7; PACKET_LEN]).expect("the right length");
    let announce = ReplyTag::random(&mut OsRng);
    rude.send(&ClientFrame::Packet { announce, first_hop, packet }).await;
    network.stop(STORES[2]).await;
    let away = async {
        while !log.text().contains("a node cannot be reached") {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, away).await.expect("it is noticed");

    let mut said = log.text();
    for index in [GATEWAY, MIX, STORES[0], STORES[1]] {
        let status = control::query(&network.nodes[index].config.dir).await.expect("it runs");
        said += &serde_json::to_string(&status).expect("serialises");
    }
    for (index, address) in watched {
        let page = metrics(address).await;
        let status = control::query(&network.nodes[index].config.dir).await.expect("it runs");
        for name in status.counters.keys() {
            let shown = [format!("\nxchat_node_{name} "), format!("\nxchat_node_{name}_total ")];
            assert!(shown.iter().any(|line| page.contains(line)), "{name} is not on the page");
        }
        assert!(page.contains("\nxchat_node_serving 1\n"), "{page}");
        for node in &network.nodes {
            assert!(!found(&page, node.descriptor.id.as_bytes()), "a page names a node");
        }
        said += &page;
    }

    for expected in ["\"serving\"", "a node cannot be reached", "xchat_node_info{version="] {
        assert!(said.contains(expected), "{expected} is not there: is it the right text?");
    }
    assert!(
        found(&said, network.nodes[GATEWAY].descriptor.id.as_bytes()),
        "a status names its node"
    );
    let secrets = [
        ("the client's key", client.endpoint.id().as_bytes().to_vec()),
        ("the rude one's key", rude.endpoint.id().as_bytes().to_vec()),
        ("the box", boxed.id().as_bytes().to_vec()),
        ("a reply tag", tag.as_bytes().to_vec()),
        ("an announced tag", announce.as_bytes().to_vec()),
    ];
    for (what, bytes) in &secrets {
        assert!(!found(&said, bytes), "{what} was told");
        for spelling in spellings(bytes) {
            assert!(found(&format!("{said}{spelling}"), bytes), "it would have been seen");
        }
    }
    for endpoint in [&client.endpoint, &rude.endpoint] {
        let port = endpoint.local_addresses()[0].port();
        assert!(!said.contains(&format!(":{port}")), "a client's address was told");
    }
}
