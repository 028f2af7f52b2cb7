//! The demo as a person runs it: one process, its output, its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::Value;

const XCHAT: &str = env!("CARGO_BIN_EXE_xchat");

/// Far more than anything here takes on an idle machine.
const SOON: Duration = Duration::from_secs(120);

struct Demo {
    child: Child,
    typed: ChildStdin,
    lines: Receiver<String>,
}

impl Demo {
    fn command(dir: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(XCHAT);
        command
            .args(["demo", "--rate", "50", "--link-rate", "0", "--print", "--dir"])
            .arg(dir)
            .args(more);
        command
    }

    fn start(dir: &Path, more: &[&str]) -> Self {
        let mut child = Self::command(dir, more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("xchat starts");
        let typed = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            output.map_while(Result::ok).take_while(|line| send.send(line.clone()).is_ok()).count()
        });
        Self { child, typed, lines }
    }

    /// Reads until a line that holds this.
    fn shows(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(SOON).expect("more lines");
            if line.contains(text) {
                return line;
            }
        }
    }

    fn interrupt(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kills").success());
        assert!(self.child.wait().expect("ends").success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn person(dir: &Path, name: &str, args: &[&str]) -> Output {
    Command::new(XCHAT)
        .args(["--json", "--profile"])
        .arg(dir.join(name))
        .args(args)
        .env("XCHAT_PASSPHRASE", "demo")
        .output()
        .expect("xchat runs")
}

fn contacts(dir: &Path, name: &str) -> usize {
    String::from_utf8(person(dir, name, &["contacts"]).stdout).expect("utf-8").lines().count()
}

/// What a page does with its address.
fn redeem(line: &str) {
    let (_, address) = line.split_once(": ").expect("an address");
    let (place, code) = address.split_once("/#code=").expect("a code");
    let host = place.strip_prefix("http://").expect("an address");
    let body = format!("{{\"code\":\"{code}\"}}");
    let mut stream = TcpStream::connect(host).expect("it listens");
    let head = format!(
        "POST /v1/session HTTP/1.1\r\nHost: {host}\r\nOrigin: {place}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reads");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"token\""), "{answer}");
}

#[test]
fn a_meeting_that_was_interrupted_goes_on_and_makes_one_contact() {
    let dir = tempfile::tempdir().expect("a directory");
    for moment in ["alice invites bob", "running:"] {
        let demo = Demo::start(dir.path(), &[]);
        demo.shows(moment);
        if moment != "running:" {
            // The link is there, and is being accepted.
            let end = std::time::Instant::now() + SOON;
            while !dir.path().join("invitation").exists() {
                assert!(std::time::Instant::now() < end, "an invitation");
            }
        } else {
            assert_eq!((contacts(dir.path(), "alice"), contacts(dir.path(), "bob")), (1, 1));
        }
        demo.interrupt();
    }
    assert!(!dir.path().join("invitation").exists());
}

#[test]
fn a_fresh_start_leaves_a_running_demo_alone_and_ends_what_a_killed_one_has_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let own = dir.path().join("mine");
    std::fs::write(&own, "not the demo's").expect("writes");
    let mut demo = Demo::start(dir.path(), &[]);
    demo.shows("running:");
    for more in [&["--fresh"][..], &[]] {
        let second = Demo::command(dir.path(), more).output().expect("xchat runs");
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert_eq!(second.status.code(), Some(4), "{said}");
        assert!(said.contains("a demo is running in"), "{said}");
    }
    let first = demo.shows("bob: http://127.0.0.1:");
    demo.typed.write_all(b"\n").expect("typed");
    let again = demo.shows("bob: http://127.0.0.1:");
    assert_ne!(first, again, "an address works once, and there is always another");
    redeem(&again);

    demo.child.kill().expect("ours");
    demo.child.wait().expect("ours");
    let card = std::fs::read(dir.path().join("bob/daemon.json")).expect("bob is online");
    let card: Value = serde_json::from_slice(&card).expect("JSON");
    let fresh = Demo::start(dir.path(), &["--fresh"]);
    fresh.shows("running:");
    let old = format!("/proc/{}", card["pid"]);
    assert!(!Path::new(&old).exists(), "the old daemon has ended");
    assert_eq!(contacts(dir.path(), "bob"), 1);
    fresh.interrupt();
    assert!(own.exists(), "what is not the demo's stays");
}
