//! The authorities' part of a network alone, and nodes that somebody else starts.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const XCHAT: &str = env!("CARGO_BIN_EXE_xchat");

/// Far more than anything here takes on an idle machine.
const SOON: Duration = Duration::from_secs(60);

const NODES: [&str; 7] =
    ["gateway-1", "mix-1-1", "mix-2-1", "mix-3-1", "store-1", "store-2", "store-3"];
const SHAPE: [&str; 6] = ["--gateways", "1", "--mixes-per-layer", "1", "--stores", "3"];

fn renew(dir: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(XCHAT);
    command.args(["--json", "net", "renew", "--dir"]).arg(dir).args(more);
    command.output().expect("xchat runs")
}

fn renewed(dir: &Path, more: &[&str]) -> u64 {
    let output = renew(dir, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(line["event"], "renewed");
    line["epoch"].as_u64().expect("a number")
}

fn refused(dir: &Path, more: &[&str]) -> (Option<i32>, String) {
    let output = renew(dir, more);
    let error: Value = serde_json::from_slice(&output.stderr).expect("an error object");
    (output.status.code(), error["error"]["code"].as_str().expect("a code").to_owned())
}

/// A node that ends with its test.
struct Node(Child);

impl Node {
    fn start(dir: &Path, name: &str) -> Self {
        let child = Command::new(XCHAT)
            .args(["node", "--until-stdin-closes", "--config"])
            .arg(dir.join("nodes").join(name).join("node.toml"))
            .stdin(Stdio::piped())
            .spawn();
        Self(child.expect("xchat starts"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a node's status is as wanted.
fn status_when(dir: &Path, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let config = dir.join("nodes").join(name).join("node.toml");
    let end = Instant::now() + SOON;
    loop {
        let asked = Command::new(XCHAT)
            .args(["--json", "node", "status", "--config"])
            .arg(&config)
            .output()
            .expect("xchat runs");
        let status: Value = serde_json::from_slice(&asked.stdout).unwrap_or_default();
        if wanted(&status) {
            return status;
        }
        assert!(Instant::now() < end, "{name}: {status}");
    }
}

/// Places for all nodes, outside the range from which the system gives ports to whoever asks for any.
fn addresses() -> Vec<String> {
    let first = std::process::id() % 20_000;
    let ports = (0..20_000).map(|n| 10_240 + (first + n) as u16 % 20_000);
    let free = ports.filter(|port| UdpSocket::bind(("127.0.0.1", *port)).is_ok());
    let named = NODES.iter().zip(free).map(|(name, port)| format!("{name}=127.0.0.1:{port}"));
    named.flat_map(|address| ["--address".to_owned(), address]).collect()
}

#[test]
fn nodes_that_were_started_elsewhere_take_the_documents_that_are_made_for_them() {
    let place = tempfile::tempdir().expect("a directory");
    let dir = place.path().join("net");
    let addresses = addresses();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    assert_eq!(renewed(&dir, &[&SHAPE[..], &["--mix-delay", "2"], &addresses].concat()), 1);
    let mut nodes: Vec<_> = NODES.iter().map(|name| Node::start(&dir, name)).collect();
    for name in NODES {
        let status = status_when(&dir, name, |status| {
            status["serving"] == true && status["links_up"] == status["links_wanted"]
        });
        assert_eq!(status["epoch"], 1, "{name}");
    }
    // The ports are in use, and stay where they are.
    assert_eq!(renewed(&dir, &[]), 2);
    for name in NODES {
        status_when(&dir, name, |status| status["epoch"] == 2 && status["serving"] == true);
    }

    // A store whose disk was lost serves when its new table is listed.
    drop(nodes.pop());
    let own = dir.join("nodes/store-3");
    fs::remove_dir_all(own.join("boxes")).expect("wipes");
    fs::remove_file(own.join("boxes.mark")).expect("wipes");
    nodes.push(Node::start(&dir, "store-3"));
    let status = status_when(&dir, "store-3", |status| status["catching_up"] == true);
    let table = status["table"]["incarnation"].as_str().expect("hexadecimal");
    let table = format!("store-3={table}");
    assert_eq!(renewed(&dir, &["--table", &table]), 3);
    let status = status_when(&dir, "store-3", |status| status["serving"] == true);
    assert_eq!(status["table"]["placement"], 2);
    // To say it twice is no second loss.
    assert_eq!(renewed(&dir, &["--table", &table]), 4);
    let status = status_when(&dir, "store-3", |status| status["epoch"] == 4);
    assert_eq!(status["table"]["placement"], 2);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let dir = place.path().join("net");
    assert_eq!(renewed(&dir, &SHAPE), 1);
    let read = |name: &str| fs::read(dir.join(name)).expect("is there");
    let before = (read("secrets.json"), read("network.json"));
    let table = format!("mix-1-1={}", "0".repeat(32));
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--address", "mix-9-9=192.0.2.1:4000"], 3, "no_such_node"),
        (
            &["--address", "mix-1-1=192.0.2.1:4000", "--address", "store-1=192.0.2.1:4000"],
            3,
            "same_address",
        ),
        (&["--table", &table], 3, "not_a_store"),
        (&["--table", "store-9=00000000000000000000000000000000"], 3, "no_such_node"),
        (&["--stores", "5"], 3, "other_shape"),
    ];
    for (more, exit, code) in cases {
        assert_eq!(refused(&dir, more), (Some(exit), code.to_owned()), "{more:?}");
    }
    for wrong in ["mix-1-1", "mix-1-1=localhost", "mix-1-1=0.0.0.0:4000", "mix-1-1=192.0.2.1:0"] {
        assert_eq!(renew(&dir, &["--address", wrong]).status.code(), Some(2), "{wrong}");
    }
    assert_eq!(before, (read("secrets.json"), read("network.json")));
}

#[test]
fn the_mix_delay_is_set_by_what_mixes_report() {
    let place = tempfile::tempdir().expect("a directory");
    let dir = place.path();
    let delay = |more: &[&str]| {
        let output = renew(dir, more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let line: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        line["mix_delay_ms"].as_u64().expect("a number")
    };
    let auto = ["--mix-delay", "auto"];
    let first = [SHAPE.as_slice(), &auto].concat();
    assert_eq!(delay(&first), 1_000, "nobody has reported");
    let reports = ["--report", "100", "--report", "120", "--report", "9000"];
    assert_eq!(delay(&[auto.as_slice(), &reports].concat()), 250);
    assert_eq!(delay(&["--report", "1000"]), 50, "it goes on by the rule");
    assert_eq!(delay(&[]), 50, "and stays, if nobody reports");
    assert_eq!(delay(&["--mix-delay", "80"]), 80);
    let (status, code) = refused(dir, &["--report", "100"]);
    assert_eq!((status, code.as_str()), (Some(3), "fixed_mix_delay"));
}
