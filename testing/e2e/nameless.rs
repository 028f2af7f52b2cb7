//! What two people say and who they are, looked for in everything that nodes and daemons write down at their most
//! verbose: real processes, by the command line alone.
//!
//! The keys of clients' links, which no command shows, are looked for in `crates/server/tests/nameless.rs`.

mod harness;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::{NODES, Network, PASSPHRASE, Person, program, signal};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;
use tempfile::TempDir;
use xchat_server::node::pigeonhole::register::BoxTable;
use xchat_server::table::DiskTable;

/// What should happen by itself has happened by then, on the slowest machine.
const SOON: Duration = Duration::from_secs(120);

const NAMES: [&str; 2] = ["Quittenbrot-Alma", "Zwetschgenmus-Benno"];
const TEXTS: [&str; 3] =
    ["the plum cake waits at the north gate", "bring Tante Hedwig's umbrella", "жду у моста"];

/// Starts every node at its most verbose, with metrics at an address of its own.
struct Verbose {
    dir: TempDir,
    metrics: Vec<(&'static str, SocketAddr)>,
}

impl Verbose {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        // Held until all are drawn, so that no two are the same.
        let free = NODES.map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
        let addresses = free.iter().map(|listener| listener.local_addr().expect("bound"));
        let metrics: Vec<_> = NODES.into_iter().zip(addresses).collect();
        let mut table = String::new();
        for (name, address) in &metrics {
            writeln!(table, "{name} {address}").expect("a string takes it");
        }
        fs::write(dir.path().join("metrics"), table).expect("writes");
        let script = format!(
            "#!/bin/sh\n\
             # NAME PROGRAM node --until-stdin-closes --config FILE\n\
             for file; do :; done\n\
             {{ cat \"$file\"; sed -n \"s/^$1 \\(.*\\)/metrics = '\\1'/p\" '{}'; }} >\"$file.verbose\"\n\
             XCHAT_LOG=trace XCHAT_LOG_FORMAT=json exec \"$2\" node --until-stdin-closes --config \"$file.verbose\"\n",
            dir.path().join("metrics").display(),
        );
        let path = dir.path().join("runner");
        fs::write(&path, script).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
        Self { dir, metrics }
    }

    fn runner(&self) -> PathBuf {
        self.dir.path().join("runner")
    }

    /// The pages of all nodes.
    fn pages(&self) -> String {
        let mut pages = String::new();
        for (name, address) in &self.metrics {
            let page = until(|| {
                let mut page = String::new();
                let mut stream = TcpStream::connect(address).ok()?;
                stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
                stream.read_to_string(&mut page).ok()?;
                page.starts_with("HTTP/1.0 200 ").then_some(page)
            });
            assert!(page.contains("\nxchat_node_serving 1\n"), "{name}: {page}");
            pages += &page;
        }
        pages
    }
}

/// The daemon of a person, at its most verbose, and what it has written.
struct Daemon {
    child: Child,
    dir: TempDir,
}

impl Daemon {
    fn of(person: &Person) -> Self {
        // `init` has left one.
        person.ok(&["stop"]);
        let dir = TempDir::new().expect("a temporary directory");
        let file = |name: &str| File::create(dir.path().join(name)).expect("makes it");
        let child = Command::new(program())
            .arg("--profile")
            .arg(person.profile())
            .args(["--json", "serve"])
            .env("XCHAT_PASSPHRASE", PASSPHRASE)
            .env("XCHAT_LOG", "trace")
            .env("XCHAT_LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("xchat starts");
        let daemon = Self { child, dir };
        until(|| daemon.said().contains("\"ready\"").then_some(()));
        daemon
    }

    fn said(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.dir.path().join(name)).expect("text");
        read("stdout") + &read("stderr")
    }

    /// The ports of its UDP sockets: what a gateway sees of a client.
    fn ports(&self) -> BTreeSet<u16> {
        let pid = self.child.id();
        let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
        let targets = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let sockets: BTreeSet<_> = targets
            .filter_map(|target| {
                let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
                Some(inode.to_owned())
            })
            .collect();
        let table = fs::read_to_string(format!("/proc/{pid}/net/udp")).expect("Linux");
        let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        let own = lines.filter(|fields| sockets.contains(fields[9]));
        own.map(|fields| {
            let (_, port) = fields[1].split_once(':').expect("address:port");
            u16::from_str_radix(port, 16).expect("hexadecimal")
        })
        .collect()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// Asks until there is an answer.
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + SOON;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "it does not come");
        std::thread::yield_now();
    }
}

/// The ways in which bytes are written into logs. Five bytes are one more than `docs/policy/logging.md` lets a
/// debug line show of an identifier.
fn spellings(bytes: &[u8]) -> Vec<String> {
    let short = &bytes[..bytes.len().min(5)];
    let hex: String = short.iter().map(|byte| format!("{byte:02x}")).collect();
    let numbers: Vec<_> = short.iter().map(u8::to_string).collect();
    vec![hex.to_uppercase(), hex, numbers.join(", "), numbers.join(",")]
}

/// What must be found nowhere, by what it is.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn text(&mut self, what: &str, text: &str) {
        assert!(text.chars().count() >= 4, "{what} is found everywhere");
        self.0.push((what.to_owned(), text.to_owned()));
        // As in Rust's debug form, and as bytes.
        let debug = format!("{text:?}");
        self.0.push((what.to_owned(), debug.trim_matches('"').to_owned()));
        self.bytes(what, text.as_bytes());
    }

    fn bytes(&mut self, what: &str, bytes: &[u8]) {
        self.0.extend(spellings(bytes).into_iter().map(|spelling| (what.to_owned(), spelling)));
    }

    /// The first that is there.
    fn found_in(&self, said: &str) -> Option<&(String, String)> {
        self.0.iter().find(|(_, text)| said.contains(text.as_str()))
    }
}

/// The ids of all boxes that a store keeps; it must not run.
fn boxes(dir: &Path) -> BTreeSet<[u8; 32]> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let table = DiskTable::open(dir, 1, &mut rng).expect("the store has stopped");
    let mut boxes = BTreeSet::new();
    let mut last = None;
    loop {
        let some = table.after(last.as_ref(), 256);
        let Some((id, _)) = some.last() else { return boxes };
        last = Some(*id);
        boxes.extend(some.iter().map(|(id, _)| *id.as_bytes()));
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| unreachable!("{name} in {value}"))
}

/// Both gateways go and come back: then daemons and nodes have something to say.
fn trouble(network: &Network, daemons: &[&Daemon]) {
    let gateways: Vec<_> =
        network.nodes().into_iter().filter(|node| node["role"] == "gateway").collect();
    for gateway in &gateways {
        signal(
            "KILL",
            gateway["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("it runs"),
        );
    }
    for daemon in daemons {
        until(|| daemon.said().contains("no link to the gateway").then_some(()));
    }
    for gateway in &gateways {
        let restart = Command::new("sh").args(["-c", field(gateway, "restart")]).output();
        assert!(restart.expect("sh runs").status.success());
    }
}

#[test]
fn nodes_and_daemons_write_down_nobody_and_nothing_of_what_was_said() {
    let verbose = Verbose::new();
    let runner = verbose.runner();
    let mut network = Network::up_with(&["--runner", runner.to_str().expect("utf-8")]);
    let people = NAMES.map(|name| Person::new(&network, name));
    let [alma, benno] = &people;
    let mut daemons = [Daemon::of(alma), Daemon::of(benno)];
    let mut secrets = Secrets::default();

    let link = field(&alma.ok(&["invite"])[0], "link").to_owned();
    benno.ok(&["accept", &link]);
    alma.wait_for_contact(NAMES[1]);
    for text in TEXTS {
        let sent = alma.ok(&["send", NAMES[1], text, "--wait-delivered"]);
        assert_eq!(sent[0]["state"], "delivered");
        benno.ok(&["send", NAMES[0], &format!("{text}?"), "--wait-delivered"]);
        secrets.text("a text", text);
    }
    let ports: BTreeSet<_> = daemons.iter().flat_map(Daemon::ports).collect();
    assert!(ports.len() >= 2, "each has a socket: {ports:?}");
    let [first, second] = &daemons;
    trouble(&network, &[first, second]);
    alma.ok(&["send", NAMES[1], "and so to bed, Samuel", "--wait-delivered"]);
    let ports: BTreeSet<_> = daemons.iter().flat_map(Daemon::ports).chain(ports).collect();

    for name in NAMES {
        secrets.text("a name", name);
    }
    secrets.text("a text", "and so to bed, Samuel");
    secrets.text("the passphrase", PASSPHRASE);
    let payload = link.strip_prefix("xchat:").expect("a link");
    for start in (0..payload.len() - 12).step_by(6) {
        secrets.text("the invitation link", &payload[start..start + 12]);
    }
    for (person, contact) in [(alma, NAMES[1]), (benno, NAMES[0])] {
        let known = person.ok(&["contacts"]).remove(0);
        secrets.text("a contact's id", field(&known, "contact"));
        secrets.text("a conversation's id", field(&known, "conversation"));
        let number = person.ok(&["verify", contact]).remove(0);
        secrets.text("the safety number", field(&number, "safety_number"));
        let card = fs::read_to_string(person.profile().join("daemon.json")).expect("it runs");
        let card: Value = serde_json::from_str(&card).expect("JSON");
        secrets.text("the daemon's token", field(&card, "token"));
    }
    for port in ports {
        secrets.text("a client's address", &format!("127.0.0.1:{port}"));
    }

    let nodes = network.nodes();
    let metrics = verbose.pages();
    network.stop();
    daemons.iter_mut().for_each(Daemon::end);
    let mut kept = BTreeSet::new();
    let mut said = metrics.clone();
    for node in &nodes {
        let dir = PathBuf::from(field(node, "dir"));
        let log = fs::read_to_string(dir.join("node.log")).expect("a log");
        let lines = log.lines().map(serde_json::from_str::<Value>);
        let lines = lines.collect::<Result<Vec<_>, _>>().expect("JSON, every line");
        let messages: Vec<_> = lines.iter().map(|line| field(&line["fields"], "message")).collect();
        for expected in ["logging more than a node in service should", "serving", "stopping"] {
            assert!(messages.contains(&expected), "{expected} in {log}");
        }
        said += &log;
        if node["role"] == "store" {
            kept.append(&mut boxes(&dir));
        }
    }
    assert!(
        said.contains("a node cannot be reached"),
        "the gateways were away, and debug lines show"
    );
    assert!(kept.len() > 10, "{} boxes", kept.len());
    for id in &kept {
        secrets.bytes("a box", id);
    }
    for daemon in &daemons {
        let own = daemon.said();
        assert!(own.contains("no link to the gateway"), "{own}");
        // Which gateway it is stays out of a daemon's log.
        for node in &nodes {
            for public in [field(node, "id"), field(node, "address")] {
                assert!(!own.contains(&public[..public.len().min(16)]), "{public} in {own}");
            }
        }
        said += &own;
    }
    for event in network.events() {
        said += &event.to_string();
    }

    assert_eq!(secrets.found_in(&said), None);
    // Each of them would have been found.
    for (what, text) in &secrets.0 {
        let planted = format!("{said}…{text}…");
        assert!(secrets.found_in(&planted).is_some(), "{what}");
    }
}
