//! A local network for real: nine processes, real sockets, real signals.

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

const XCHAT: &str = env!("CARGO_BIN_EXE_xchat");

/// Far more than anything here takes on an idle machine.
const SOON: Duration = Duration::from_secs(60);

struct Network {
    dir: PathBuf,
    child: Child,
    events: mpsc::Receiver<Value>,
}

impl Network {
    fn start(dir: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(XCHAT)
            .args(["--json", "net", "up", "--dir"])
            .arg(dir)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("xchat starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { dir: dir.to_owned(), child, events: events(lines) }
    }

    fn up(dir: &Path, more: &[&str]) -> Self {
        let network = Self::start(dir, more);
        network.event("ready");
        network
    }

    /// The next event, which must be this one, but for a node's flight from another test's port.
    fn event(&self, name: &str) -> Value {
        let event = loop {
            let event = self.events.recv_timeout(SOON).expect("an event in time");
            if event["event"] != "node_moved" || name == "node_moved" {
                break event;
            }
        };
        assert_eq!(event["event"], name, "{event}");
        event
    }

    fn nodes(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.join("nodes.json")).expect("written");
        serde_json::from_str(&text).expect("a list")
    }

    fn node(&self, name: &str) -> Value {
        let found = self.nodes().into_iter().find(|node| node["name"] == name);
        found.expect("a node of this name")
    }

    fn pids(&self) -> Vec<u64> {
        self.nodes().iter().filter_map(|node| node["pid"].as_u64()).collect()
    }

    /// SIGTERM; it must end well, soon, and take every node with it.
    fn stop(mut self) {
        let pids = self.pids();
        signal("TERM", u64::from(self.child.id()));
        self.event("stopped");
        assert!(wait(&mut self.child), "it ends by itself and well");
        assert!(pids.iter().all(|pid| !is_alive(*pid)), "no node outlives it");
        assert!(self.events.recv().is_err(), "nothing comes after the end");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Only a failed test comes here with it running; its nodes follow by themselves.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn events(lines: Lines<BufReader<ChildStdout>>) -> mpsc::Receiver<Value> {
    let (events, received) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let event = serde_json::from_str(&line).expect("one JSON object a line");
            if events.send(event).is_err() {
                return;
            }
        }
    });
    received
}

fn signal(name: &str, pid: u64) {
    let kill = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status();
    assert!(kill.expect("sh runs").success(), "process {pid} is there");
}

fn is_alive(pid: u64) -> bool {
    // A zombie has no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn wait(child: &mut Child) -> bool {
    let mut status = None;
    until("the process ends", || {
        status = child.try_wait().expect("ours");
        status.is_some()
    });
    status.is_some_and(|status| status.success())
}

fn xchat(args: &[&str]) -> Output {
    Command::new(XCHAT).arg("--json").args(args).output().expect("xchat runs")
}

fn ok(args: &[&str]) -> Value {
    let output = xchat(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn error(output: &Output) -> (Option<i32>, Value) {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().last().expect("an error");
    let error: Value = serde_json::from_str(line).expect("one JSON object");
    (output.status.code(), error["error"]["code"].clone())
}

fn config(node: &Value) -> &str {
    node["config"].as_str().expect("a path")
}

#[test]
fn a_network_comes_up_is_looked_after_and_goes_away() {
    let dir = tempfile::tempdir().expect("a directory");
    let network = Network::up(dir.path(), &["--rate", "20", "--mix-delay", "5"]);

    let nodes = network.nodes();
    let count = |role: &str| nodes.iter().filter(|node| node["role"] == role).count();
    assert_eq!((count("gateway"), count("mix"), count("store")), (2, 3, 4));
    for node in &nodes {
        assert!(is_alive(node["pid"].as_u64().expect("a pid")));
        assert!(
            node["restart"].is_string()
                && Path::new(node["dir"].as_str().expect("a path")).is_dir()
        );
        let address = node["address"].as_str().expect("an address");
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        let status = ok(&["node", "status", "--config", config(node)]);
        assert_eq!((&status["id"], &status["pid"]), (&node["id"], &node["pid"]));
        assert_eq!(status["serving"], true);
        assert_eq!(status["links_up"], status["links_wanted"]);
        let checked = ok(&["node", "check", "--config", config(node)]);
        assert_eq!((&checked["ok"], &checked["role"]), (&Value::Bool(true), &node["role"]));
    }

    // A node that dies is reported, stays dead, and comes back by its command.
    let store = network.node("store-2");
    let pid = store["pid"].as_u64().expect("a pid");
    signal("KILL", pid);
    let event = network.event("node_exited");
    assert_eq!((&event["node"], &event["signal"]), (&store["name"], &Value::from(9)));
    until("nodes.json says so", || network.node("store-2")["pid"].is_null());
    let (code, name) = error(&xchat(&["node", "status", "--config", config(&store)]));
    assert_eq!((code, name), (Some(4), "not_running".into()));
    let command = store["restart"].as_str().expect("a command");
    let restarted = Command::new("sh").arg("-c").arg(command).output().expect("sh runs");
    assert!(restarted.status.success(), "{}", String::from_utf8_lossy(&restarted.stderr));
    network.event("node_started");
    let again = network.node("store-2");
    assert_ne!(again["pid"].as_u64(), Some(pid));
    let status = ok(&["node", "status", "--config", config(&again)]);
    assert_eq!((&status["pid"], &status["catching_up"]), (&again["pid"], &Value::Bool(false)));

    // One that runs is stopped and started by the same command.
    let command = network.node("mix-2-1")["restart"].as_str().expect("a command").to_owned();
    assert!(Command::new("sh").arg("-c").arg(command).status().expect("sh runs").success());
    network.event("node_started");

    let dir_arg = dir.path().to_str().expect("UTF-8");
    let (code, name) = error(&xchat(&["net", "up", "--dir", dir_arg]));
    assert_eq!((code, name), (Some(4), "already_running".into()));
    let (code, name) = error(&xchat(&["net", "restart", "--dir", dir_arg, "--node", "nobody"]));
    assert_eq!((code, name), (Some(3), "unknown_node".into()));
    network.stop();
    let (code, name) = error(&xchat(&["net", "restart", "--dir", dir_arg, "--node", "store-1"]));
    assert_eq!((code, name), (Some(4), "not_running".into()));
}

#[test]
fn a_second_run_continues_the_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let shape = ["--gateways", "1", "--stores", "3"];
    let network = Network::up(dir.path(), &shape);
    let without_pids = |network: &Network| {
        let mut nodes = network.nodes();
        nodes.iter_mut().for_each(|node| node["pid"] = Value::Null);
        nodes
    };
    let first = without_pids(&network);
    assert_eq!(first.len(), 1 + 3 + 3);
    let epoch = |network: &Network| {
        ok(&["node", "status", "--config", config(&network.node("store-1"))])["epoch"].clone()
    };
    assert_eq!(epoch(&network), 1);
    network.stop();

    let dir_arg = dir.path().to_str().expect("UTF-8");
    let (code, name) = error(&xchat(&["net", "up", "--dir", dir_arg, "--stores", "4"]));
    assert_eq!((code, name), (Some(3), "other_shape".into()));

    // A directory's network is found again whatever way leads to it, and has its ports and keys.
    let network = Network::up(&dir.path().join("."), &[]);
    assert_eq!(without_pids(&network), first);
    assert_eq!(epoch(&network), 2);
    for store in ["store-1", "store-2", "store-3"] {
        let status = ok(&["node", "status", "--config", config(&network.node(store))]);
        assert_eq!(status["catching_up"], false);
    }
    network.stop();
}

#[test]
fn no_node_outlives_a_killed_supervisor() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut network = Network::up(dir.path(), &["--gateways", "1", "--stores", "3"]);
    let pids = network.pids();
    assert_eq!(pids.len(), 7);
    network.child.kill().expect("ours");
    network.child.wait().expect("ours");
    until("every node ends", || pids.iter().all(|pid| !is_alive(*pid)));
    // What it left behind is no hindrance.
    Network::up(dir.path(), &[]).stop();
}

#[test]
fn a_network_whose_supervisor_was_killed_starts_again_at_once_where_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut network = Network::up(dir.path(), &["--gateways", "1", "--stores", "3"]);
    let addresses = |network: &Network| -> Vec<Value> {
        network.nodes().iter().map(|node| node["address"].clone()).collect()
    };
    let before = addresses(&network);
    network.child.kill().expect("ours");
    network.child.wait().expect("ours");
    // Its nodes are ending: they are waited for, and their ports are not taken for somebody else's.
    let network = Network::up(dir.path(), &[]);
    assert_eq!(addresses(&network), before);
    network.stop();
}

#[test]
fn a_network_whose_making_was_killed_anywhere_is_made_by_the_next_start() {
    // What is written first, in this order: each is a moment in which it may die.
    for moment in [
        "secrets.json",
        "nodes/store-1/boxes.new",
        "nodes/store-1/boxes",
        "nodes/store-3/boxes",
        "nodes/gateway-1/node.toml",
        "nodes/mix-2-1/node.key",
        "network.json",
        "nodes/store-1/node.log",
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let shape = ["--gateways", "1", "--stores", "3"];
        let mut network = Network::start(dir.path(), &shape);
        let path = dir.path().join(moment);
        let end = Instant::now() + SOON;
        while !path.exists() {
            // Without a pause: the kill is to fall into the writing.
            assert!(Instant::now() < end, "{moment} is written");
        }
        network.child.kill().expect("ours");
        network.child.wait().expect("ours");
        let network = Network::up(dir.path(), &shape);
        for node in network.nodes() {
            let status = ok(&["node", "status", "--config", config(&node)]);
            assert_eq!((&status["serving"], &status["catching_up"]), (&true.into(), &false.into()));
        }
        network.stop();
    }
}

#[test]
fn of_several_starts_at_once_in_a_new_directory_one_wins() {
    let dir = tempfile::tempdir().expect("a directory");
    let shape = ["--gateways", "1", "--stores", "3"];
    let racing: Vec<_> = (0..4).map(|_| Network::start(dir.path(), &shape)).collect();
    // The others say why they end, and the channel with them.
    let (winner, losers): (Vec<_>, Vec<_>) =
        racing.into_iter().partition(|network| network.events.recv_timeout(SOON).is_ok());
    let [winner] = winner.try_into().ok().expect("one network");
    for mut loser in losers {
        assert!(!wait(&mut loser.child), "a loser fails");
        assert_eq!(loser.child.wait().expect("ours").code(), Some(4));
    }
    winner.stop();
}

/// A program for `net up --runner`, without its last step.
fn write_runner(runner: &Path, script: &str) {
    let script = format!("#!/bin/sh\n{script}\nshift\nexec \"$@\"\n");
    std::fs::write(runner, script).expect("writes");
    std::fs::set_permissions(runner, std::fs::Permissions::from_mode(0o700)).expect("ours");
}

#[test]
fn a_node_whose_port_was_taken_at_the_last_moment_moves() {
    let dir = tempfile::tempdir().expect("a directory");
    let (runner, pipe) = (dir.path().join("runner"), dir.path().join("pipe"));
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    // One node waits, the first time, until something is written for it.
    let seen = dir.path().join("seen");
    let script = format!(
        "if [ $1 = mix-1-1 ] && mkdir {} 2>/dev/null; then read -r go <{}; fi",
        seen.display(),
        pipe.display(),
    );
    write_runner(&runner, &script);
    let path = runner.to_str().expect("UTF-8");
    let more = ["--gateways", "1", "--stores", "3", "--runner", path];
    let place = dir.path().join("network");
    let network = Network::start(&place, &more);

    // Opens when the node is at that point; its configuration is written by then.
    let mut go = std::fs::OpenOptions::new().write(true).open(&pipe).expect("the node waits");
    let text = std::fs::read_to_string(place.join("nodes/mix-1-1/node.toml")).expect("written");
    let listen = text.lines().find(|line| line.contains("127.0.0.1:")).expect("an address");
    let taken = listen.split('"').nth(1).expect("quoted").to_owned();
    let thief = std::net::UdpSocket::bind(&taken).expect("nobody has it yet");
    go.write_all(b"go\n").expect("it waits");

    let moved = network.event("node_moved");
    assert_eq!(moved["node"], "mix-1-1");
    network.event("ready");
    let node = network.node("mix-1-1");
    assert_ne!(node["address"], taken.as_str());
    // Every other node has found it at its new place.
    for node in network.nodes() {
        let status = ok(&["node", "status", "--config", config(&node)]);
        assert_eq!(status["links_up"], status["links_wanted"], "{status}");
    }
    drop(thief);
    network.stop();
}

#[test]
fn a_runner_starts_every_node_and_each_has_its_address() {
    let dir = tempfile::tempdir().expect("a directory");
    let runner = dir.path().join("runner");
    let seen = dir.path().join("seen");
    write_runner(&runner, &format!("echo $1 >>{}", seen.display()));
    let path = runner.to_str().expect("UTF-8");
    let more = ["--gateways", "1", "--stores", "3", "--bind-range", "127.9.0.0/28"];
    let network =
        Network::up(&dir.path().join("network"), &[&more[..], &["--runner", path]].concat());
    let nodes = network.nodes();
    for (n, node) in nodes.iter().enumerate() {
        let address = node["address"].as_str().expect("an address");
        assert!(address.starts_with(&format!("127.9.0.{}:", n + 1)), "{address}");
    }
    let names = std::fs::read_to_string(seen).expect("the runner ran");
    let count = |node: &Value| names.lines().filter(|name| node["name"] == *name).count();
    assert!(nodes.iter().all(|node| count(node) == 1), "{names}");
    network.stop();
}

#[test]
fn a_network_that_cannot_start_says_why_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let network = Network::up(dir.path(), &["--gateways", "1", "--stores", "3"]);
    let key = Path::new(network.node("mix-1-1")["dir"].as_str().expect("a path")).join("boxes");
    assert!(!key.exists(), "a mix keeps no boxes");
    let store = PathBuf::from(network.node("store-1")["dir"].as_str().expect("a path"));
    network.stop();

    // A table that is no table.
    std::fs::remove_dir_all(store.join("boxes")).expect("is there");
    std::fs::write(store.join("boxes"), "not a directory").expect("writes");
    let mut child = Command::new(XCHAT)
        .args(["--json", "net", "up", "--dir"])
        .arg(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xchat starts");
    let stderr: ChildStderr = child.stderr.take().expect("piped");
    assert!(!wait(&mut child));
    let line = BufReader::new(stderr).lines().map_while(Result::ok).last().expect("an error");
    let error: Value = serde_json::from_str(&line).expect("one JSON object");
    assert_eq!(error["error"]["code"], "node_failed", "{line}");
    assert!(error["error"]["message"].as_str().is_some_and(|text| text.contains("store-1")));
}
