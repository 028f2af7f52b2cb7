//! Real processes for end-to-end tests: a local network, and people who use the command line.
#![allow(dead_code)] // Each test uses a part of it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const XCHAT: &str = env!("CARGO_BIN_EXE_xchat");

/// The program: where cargo built it, or where nextest says that it was moved to.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("NEXTEST_BIN_EXE_xchat").map_or_else(|| XCHAT.into(), PathBuf::from)
}

pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

/// Packets a second of each client, and milliseconds of each mix: fast, so that the tests are short,
/// with everything else as in production.
const RATE: &str = "50";
const MIX_DELAY: &str = "2";

/// At so many packets a second padding would take all of the machine; `padded_links.rs` has it on.
const LINK_RATE: &str = "0";

/// The nodes of a network of the default shape, in the order of its plan.
pub(crate) const NODES: [&str; 9] = [
    "gateway-1",
    "gateway-2",
    "mix-1-1",
    "mix-2-1",
    "mix-3-1",
    "store-1",
    "store-2",
    "store-3",
    "store-4",
];

/// How long the next line of a `listen` may take, on the slowest machine: then something is lost.
const PATIENCE: Duration = Duration::from_secs(120);

/// A local network: every node its own process.
pub(crate) struct Network {
    dir: PathBuf,
    /// If nobody else keeps it.
    _own: Option<TempDir>,
    options: Vec<String>,
    child: Option<Child>,
    events: Option<Receiver<Value>>,
}

impl Network {
    pub(crate) fn up() -> Self {
        Self::up_with(&[])
    }

    /// With more options of `net up`.
    pub(crate) fn up_with(options: &[&str]) -> Self {
        let own = TempDir::new().expect("a temporary directory");
        let mut network = Self {
            dir: own.path().to_owned(),
            _own: Some(own),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            child: None,
            events: None,
        };
        network.start();
        network
    }

    /// In a directory that outlives it.
    pub(crate) fn at(dir: &Path) -> Self {
        let dir = dir.to_owned();
        let mut network = Self { dir, _own: None, options: Vec::new(), child: None, events: None };
        network.start();
        network
    }

    /// Starts it again after [`Self::stop`] or [`Self::kill`]; returns when it serves.
    pub(crate) fn start(&mut self) {
        let mut child = Command::new(program())
            .args(["--json", "net", "up", "--dir"])
            .arg(&self.dir)
            .args(self.defaults())
            .args(&self.options)
            // A pipe that ends with the test, however that ends.
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("xchat starts");
        let stdout = child.stdout.take().expect("piped");
        self.child = Some(child);
        let mut lines = BufReader::new(stdout).lines();
        loop {
            let line = lines.next().expect("a ready line before the end").expect("utf-8");
            let event: Value = serde_json::from_str(&line).expect("one JSON object a line");
            if event["event"] == "ready" {
                break;
            }
        }
        let (send, events) = mpsc::channel();
        // The supervisor goes on writing events; they are read so that it never blocks.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("one JSON object a line");
                // Nobody asks for them any more.
                let _ = send.send(event);
            }
        });
        self.events = Some(events);
    }

    /// What the options say nothing about.
    fn defaults(&self) -> Vec<&str> {
        let defaults = [("--rate", RATE), ("--mix-delay", MIX_DELAY), ("--link-rate", LINK_RATE)];
        let said = |name: &str| self.options.iter().any(|option| option == name);
        let unsaid = defaults.into_iter().filter(|(name, _)| !said(name));
        unsaid.flat_map(|(name, value)| [name, value]).collect()
    }

    /// What the supervisor has told since it was asked last.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.events.iter().flat_map(Receiver::try_iter).collect()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join("network.json")
    }

    /// What each node of a role says about itself.
    pub(crate) fn status_of(&self, role: &str) -> Vec<Value> {
        let nodes = self.nodes();
        let of_role = nodes.iter().filter(|node| node["role"] == role);
        let status = of_role.map(|node| {
            let config = node["config"].as_str().expect("a path");
            let output = Command::new(program())
                .args(["--json", "node", "status", "--config", config])
                .output()
                .expect("xchat runs");
            assert!(output.status.success(), "{config}: {}", text(&output));
            serde_json::from_slice(&output.stdout).expect("one object")
        });
        status.collect()
    }

    /// The list of nodes, as it stands.
    pub(crate) fn nodes(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.join("nodes.json")).expect("a list");
        serde_json::from_str(&text).expect("JSON")
    }

    /// SIGTERM, and the end of all its processes.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        terminate(child.id());
        let status = child.wait().expect("it can be waited for");
        assert!(status.success(), "net up ended with {status}");
    }

    /// SIGKILL of the supervisor: its nodes are left to themselves.
    pub(crate) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().expect("ours");
        child.wait().expect("it can be waited for");
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            terminate(child.id());
            let _ = child.wait();
        }
    }
}

fn terminate(pid: u32) {
    signal("TERM", pid);
}

/// Sends a signal to a process that is there.
pub(crate) fn signal(name: &str, pid: u32) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status()
        .expect("kill runs");
    assert!(status.success(), "the process is there to be signalled");
}

/// A person: a profile directory and the command line.
pub(crate) struct Person {
    dir: TempDir,
    /// What each of their commands is run by: `nsenter` into their own network, or nothing.
    runner: Vec<String>,
}

impl Person {
    pub(crate) fn new(network: &Network, name: &str) -> Self {
        Self::new_in(Vec::new(), network, name)
    }

    /// Whose programs are all started by `runner`.
    pub(crate) fn new_in(runner: Vec<String>, network: &Network, name: &str) -> Self {
        let person = Self { dir: TempDir::new().expect("a temporary directory"), runner };
        let file = network.file();
        person.ok(&["init", "--network", path(&file), "--name", name]);
        person
    }

    /// With an empty place for a profile.
    pub(crate) fn without_profile() -> Self {
        Self { dir: TempDir::new().expect("a temporary directory"), runner: Vec::new() }
    }

    /// With the profile below `place`, which may be a disk of its own.
    pub(crate) fn on(network: &Network, name: &str, place: &Path) -> Self {
        let dir = TempDir::new_in(place).expect("a temporary directory");
        let person = Self { dir, runner: Vec::new() };
        person.ok(&["init", "--network", path(&network.file()), "--name", name]);
        person
    }

    pub(crate) fn profile(&self) -> PathBuf {
        self.dir.path().join("profile")
    }

    /// The process of the profile's daemon, which must be running.
    pub(crate) fn daemon(&self) -> u32 {
        let text = std::fs::read_to_string(self.profile().join("daemon.json")).expect("a daemon");
        let card: Value = serde_json::from_str(&text).expect("JSON");
        card["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a process")
    }

    /// The daemon in the foreground; returns when it is ready.
    pub(crate) fn serve(&self) -> Child {
        let mut command = self.command(PASSPHRASE, &["serve"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("xchat starts");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert!(line.contains("\"ready\""), "{line}");
        child
    }

    /// kill -9; returns when the process has let go of the profile.
    pub(crate) fn kill_daemon(&self) {
        let pid = self.daemon().to_string();
        assert!(Command::new("kill").args(["-9", &pid]).status().expect("kill runs").success());
        let lock = std::fs::File::open(self.profile().join("lock")).expect("a lock");
        lock.lock().expect("it is free in the end");
    }

    /// Two people meet.
    pub(crate) fn meet(&self, other: &Self) {
        let link = self.ok(&["invite"])[0]["link"].as_str().expect("a link").to_owned();
        let contact = other.ok(&["accept", &link]);
        assert_eq!(contact.len(), 1);
        let name = other.ok(&["status"])[0]["name"].as_str().expect("a name").to_owned();
        self.wait_for_contact(&name);
    }

    /// The texts with a contact, of one direction, oldest first.
    pub(crate) fn texts_with(&self, contact: &str, direction: &str) -> Vec<String> {
        let messages = self.ok(&["read", contact, "--limit", "0"]);
        let those = messages.iter().filter(|message| message["direction"] == direction);
        those.map(|message| message["text"].as_str().expect("a text").to_owned()).collect()
    }

    /// Runs a command: its lines, or how it failed.
    pub(crate) fn try_run(&self, args: &[&str]) -> Result<Vec<Value>, Refused> {
        let output = self.command(PASSPHRASE, args).output().expect("xchat runs");
        if !output.status.success() {
            return Err(refusal(&output));
        }
        let lines = str::from_utf8(&output.stdout).expect("utf-8").lines();
        Ok(lines.map(|line| serde_json::from_str(line).expect("JSON")).collect())
    }

    fn command(&self, passphrase: &str, args: &[&str]) -> Command {
        let mut command = match self.runner.split_first() {
            None => Command::new(program()),
            Some((runner, words)) => {
                let mut command = Command::new(runner);
                command.args(words).arg(program());
                command
            }
        };
        command
            .arg("--profile")
            .arg(self.profile())
            .arg("--json")
            .args(args)
            .env("XCHAT_PASSPHRASE", passphrase)
            .stdin(Stdio::null());
        command
    }

    /// A command that runs on, with its output piped.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.command(PASSPHRASE, args);
        command.stdout(Stdio::piped()).spawn().expect("xchat starts")
    }

    /// Runs a command that must succeed; its lines.
    pub(crate) fn ok(&self, args: &[&str]) -> Vec<Value> {
        let output = self.command(PASSPHRASE, args).output().expect("xchat runs");
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        let lines = String::from_utf8(output.stdout).expect("utf-8");
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Runs a command that must fail with an error object and a code that is not a crash.
    pub(crate) fn fail(&self, args: &[&str]) -> Value {
        self.fail_with_passphrase(PASSPHRASE, args)
    }

    pub(crate) fn fail_with_passphrase(&self, passphrase: &str, args: &[&str]) -> Value {
        let output = self.command(passphrase, args).output().expect("xchat runs");
        let code = output.status.code().expect("not ended by a signal");
        assert!(code > 1 && code < 100, "{args:?} ended with {code}: {}", text(&output));
        let stderr = String::from_utf8(output.stderr).expect("utf-8");
        let line = stderr.lines().last().expect("an error on standard error");
        let error: Value = serde_json::from_str(line).expect("an error object");
        for field in ["code", "message", "hint"] {
            assert!(error["error"][field].is_string(), "{field} in {error}");
        }
        error
    }

    /// The contact of this name, once the other side has accepted.
    pub(crate) fn wait_for_contact(&self, name: &str) -> Value {
        self.ok(&["contacts", "--wait", name]).pop().expect("the contact")
    }

    /// Starts `listen`, with all messages after one first.
    pub(crate) fn listen(&self, since: &str) -> Listening {
        self.listening(&["listen", "--since", since])
    }

    /// As [`Self::listen`], with the events that are not about messages.
    pub(crate) fn listen_to_all(&self, since: &str) -> Listening {
        self.listening(&["listen", "--all", "--since", since])
    }

    fn listening(&self, args: &[&str]) -> Listening {
        let mut child = self.spawn(args);
        let output = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (send, lines) = mpsc::channel();
        // A thread, so that a line which never comes is a failure and not a test without an end.
        std::thread::spawn(move || {
            for line in output.map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Listening { child, lines, seen: Vec::new() }
    }
}

impl Drop for Person {
    /// A daemon outlives the command that started it; it must not outlive its test.
    fn drop(&mut self) {
        let _ = self.command(PASSPHRASE, &["stop"]).output();
    }
}

/// How a command failed.
#[derive(Debug)]
pub(crate) struct Refused {
    exit: i32,
    error: Value,
}

/// What a command that failed says, last of all on standard error.
pub(crate) fn refusal(output: &Output) -> Refused {
    let exit = output.status.code().expect("not ended by a signal");
    assert!(exit > 1 && exit < 100, "ended with {exit}: {}", text(output));
    let errors = str::from_utf8(&output.stderr).expect("utf-8");
    let line = errors.lines().last().expect("an error on standard error");
    let error = serde_json::from_str(line).expect("an error object");
    Refused { exit, error }
}

impl Refused {
    /// The exit status and the error's code.
    pub(crate) fn code(&self) -> (i32, &str) {
        (self.exit, self.field("code"))
    }

    pub(crate) fn message(&self) -> &str {
        self.field("message")
    }

    pub(crate) fn hint(&self) -> &str {
        self.field("hint")
    }

    fn field(&self, name: &str) -> &str {
        self.error["error"][name].as_str().expect("an error object")
    }
}

/// A running `listen`.
pub(crate) struct Listening {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<Value>,
}

impl Listening {
    pub(crate) fn next(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line in time");
        let event: Value = serde_json::from_str(&line).expect("JSON");
        self.seen.push(event.clone());
        event
    }

    /// The next event that is wanted.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.next();
            if wanted(&event) {
                return event;
            }
        }
    }

    /// The texts of the next `count` incoming messages.
    pub(crate) fn texts_in(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            let event = self.next();
            let said = event["event"] == "message" && event["notice"].is_null();
            if said && event["direction"] == "in" {
                texts.push(event["text"].as_str().expect("a text").to_owned());
            }
        }
        texts
    }

    /// Waits until `count` messages have moved on to a state.
    pub(crate) fn wait_for_state(&mut self, state: &str, count: usize) {
        let reached = |seen: &[Value]| {
            let moved = seen
                .iter()
                .filter(|event| event["event"] == "message_state" && event["state"] == state);
            moved.map(|event| event["id"].as_u64()).collect::<BTreeSet<_>>().len()
        };
        while reached(&self.seen) < count {
            self.next();
        }
    }

    /// The id of the newest message seen.
    pub(crate) fn last_id(&self) -> String {
        let last = self.seen.iter().rev().find(|event| event["event"] == "message");
        match &last.expect("something was seen")["id"] {
            Value::String(id) => id.clone(),
            id => id.to_string(),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a temporary path is utf-8")
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}\n{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}
