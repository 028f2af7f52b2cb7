//! A local network of real processes, and the keys of its nodes, so that their places can be taken.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use xchat_base::{Secret, Timestamp};
use xchat_directory::{NetworkFile, NodeId, VerifiedDocument};
use xchat_link::LinkSecret;
use xchat_server::{clock, keys};
use xchat_sphinx::HopSecret;

/// A running `xchat net up`.
pub struct Ground {
    xchat: PathBuf,
    dir: TempDir,
    supervisor: Child,
}

/// One node of the network, as `nodes.json` has it.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name in the network.
    pub name: String,
    /// Its public key.
    pub id: NodeId,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process, if it runs.
    pub pid: Option<u32>,
    dir: PathBuf,
    config: PathBuf,
}

/// A node's place that was taken.
pub struct Taken {
    /// Whose, and where.
    pub node: Node,
    /// Its key.
    pub seed: Secret<32>,
    /// Its hop keys.
    pub hops: Vec<HopSecret>,
}

impl Ground {
    /// Starts the network, with these options of `net up`; returns when it serves.
    pub fn up(xchat: &Path, options: &[&str]) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let mut supervisor = Command::new(xchat)
            .args(["--json", "net", "up", "--until-stdin-closes", "--dir"])
            .arg(dir.path().join("net"))
            .args(options)
            // A pipe that ends with this process, however that ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| give_up(&format!("{}: {error}", xchat.display())));
        let stdout = supervisor.stdout.take().expect("piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let ready = lines.by_ref().any(|line| event(&line) == "ready");
        assert!(ready, "the network came up");
        // Read to its end, so that the supervisor never blocks on us.
        std::thread::spawn(move || lines.for_each(drop));
        Self { xchat: xchat.to_owned(), dir, supervisor }
    }

    /// The program.
    pub fn xchat(&self) -> &Path {
        &self.xchat
    }

    /// Where people's profiles go.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The network file.
    pub fn network_path(&self) -> PathBuf {
        self.dir.path().join("net/network.json")
    }

    /// The network document in force.
    pub fn document(&self) -> VerifiedDocument {
        let text = std::fs::read_to_string(self.network_path()).expect("the network file is there");
        let file = NetworkFile::parse(&text).expect("a network file");
        file.verify(clock::now()).expect("a valid document")
    }

    /// All nodes, as they are now.
    pub fn nodes(&self) -> Vec<Node> {
        let text = std::fs::read(self.dir.path().join("net/nodes.json")).expect("it is there");
        let list: Value = serde_json::from_slice(&text).expect("JSON");
        let list = list.as_array().or_else(|| list["nodes"].as_array()).expect("a list of nodes");
        list.iter().map(Node::read).collect()
    }

    /// Ends a node's process and takes its place.
    pub fn take(&self, name: &str) -> Taken {
        let node = self.nodes().into_iter().find(|node| node.name == name);
        let node = node.unwrap_or_else(|| give_up(&format!("no node {name}")));
        let pid = node.pid.expect("it runs");
        let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "{name} is there to be killed");
        while !has_ended(pid) {
            std::thread::yield_now();
        }
        let seed = keys::read(&keys::node_key_path(&node.dir)).expect("its key");
        let hops = keys::read_hops(&node.dir, |_| true).expect("its hop keys");
        Taken { node, seed, hops }
    }

    /// Memory of each running node: resident now, and at its highest, in KiB.
    pub fn memory(&self) -> BTreeMap<String, (u64, u64)> {
        let running = self.nodes().into_iter().filter_map(|node| Some((node.name, node.pid?)));
        running.filter_map(|(name, pid)| Some((name, memory_of(pid)?))).collect()
    }

    /// What each node that still runs counts, all fields added up over the nodes.
    pub fn counters(&self, taken: &[&str]) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for node in self.nodes().iter().filter(|node| !taken.contains(&node.name.as_str())) {
            for (name, count) in self.asked(node) {
                *sum.entry(name).or_default() += count;
            }
        }
        sum
    }

    /// What one node counts.
    pub fn counters_of(&self, id: &NodeId) -> BTreeMap<String, u64> {
        let node = self.nodes().into_iter().find(|node| node.id == *id);
        self.asked(&node.unwrap_or_else(|| give_up("there is no such node")))
    }

    fn asked(&self, node: &Node) -> BTreeMap<String, u64> {
        let asked = Command::new(&self.xchat)
            .args(["--json", "node", "status", "--config"])
            .arg(&node.config)
            .output()
            .expect("xchat runs");
        assert!(asked.status.success(), "{} does not answer its operator", node.name);
        let status: Value = serde_json::from_slice(&asked.stdout).expect("JSON");
        let counters = status["counters"].as_object().into_iter().flatten();
        counters.map(|(name, count)| (name.clone(), count.as_u64().unwrap_or(0))).collect()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.supervisor.id().to_string()).status();
        let _ = self.supervisor.wait();
    }
}

impl Node {
    fn read(value: &Value) -> Self {
        let text = |field: &str| value[field].as_str().expect("a string").to_owned();
        Self {
            name: text("name"),
            id: NodeId::from_hex(&text("id")).expect("a node id"),
            address: text("address").parse().expect("an address"),
            pid: value["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()),
            dir: text("dir").into(),
            config: text("config").into(),
        }
    }
}

impl Taken {
    /// The key that its links are made with.
    pub fn link_secret(&self) -> LinkSecret {
        LinkSecret::from_seed(self.seed.clone())
    }

    /// Its hop secret in force.
    pub fn hop(&self, document: &VerifiedDocument, now: Timestamp) -> &HopSecret {
        let descriptor = document.node(&self.node.id).expect("listed");
        let key = descriptor.hop_key(now).expect("a key in force");
        let held = self.hops.iter().find(|secret| secret.public().as_bytes() == &key);
        held.expect("the directory has the secret of each listed key")
    }
}

fn event(line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap_or_default();
    value["event"].as_str().unwrap_or_default().to_owned()
}

/// Whether nothing of a process is left but its status: a killed one has its files and sockets for a while yet.
fn has_ended(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    let Some((_, fields)) = stat.rsplit_once(')') else { return true };
    let fields: Vec<_> = fields.split_whitespace().collect();
    // proc_pid_stat(5): the third field is the state, the twentieth the number of threads.
    fields.first() == Some(&"Z") && fields.get(17) == Some(&"1")
}

/// Memory of a process: resident now, and at its highest, in KiB; `None` if it is gone.
pub fn memory_of(pid: u32) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

/// Ends a tool that cannot go on, because its ground is not what it must be.
///
/// # Panics
/// Always: that is what it is for.
#[expect(clippy::panic, reason = "a tool of the tests; nothing from outside reaches this")]
pub fn give_up(what: &str) -> ! {
    panic!("{what}")
}
