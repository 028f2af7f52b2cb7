//! Two honest people and their app, by the command line.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::ground::{Ground, give_up};

/// Everybody's.
pub const PASSPHRASE: &str = "correct horse battery staple";

/// A message that has not arrived by then, after the end of the attack, is lost.
const PATIENCE: Duration = Duration::from_secs(180);

/// A person: a profile and the command line.
pub struct Person {
    xchat: PathBuf,
    profile: PathBuf,
}

impl Person {
    /// Makes a profile.
    pub fn new(ground: &Ground, name: &str) -> Self {
        Self::at_pace(ground, name, "desk")
    }

    /// Makes a profile for a device of this pace.
    pub fn at_pace(ground: &Ground, name: &str, pace: &str) -> Self {
        let person = Self { xchat: ground.xchat().to_owned(), profile: ground.dir().join(name) };
        let network = ground.network_path();
        person.ok(&["init", "--network", utf8(&network), "--name", name, "--pace", pace]);
        person
    }

    /// Their profile's directory.
    pub fn profile(&self) -> &Path {
        &self.profile
    }

    /// The process of their daemon, which must run.
    pub fn pid(&self) -> u32 {
        let card = std::fs::read(self.profile.join("daemon.json")).expect("a daemon");
        let card: Value = serde_json::from_slice(&card).expect("JSON");
        card["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a process")
    }

    /// Starts their daemon, if need be, and waits until it is online.
    pub fn wait_until_online(&self) {
        let end = SystemTime::now() + PATIENCE;
        while self.ok(&["status"])[0]["online"]["state"] != "online" {
            if SystemTime::now() > end {
                give_up("somebody does not come online");
            }
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.xchat);
        command.arg("--profile").arg(&self.profile).arg("--json").args(args);
        command.env("XCHAT_PASSPHRASE", PASSPHRASE).stdin(Stdio::null());
        command
    }

    /// The lines of a command that must succeed.
    pub fn ok(&self, args: &[&str]) -> Vec<Value> {
        let output = self.command(args).output().expect("xchat runs");
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            give_up(&format!("{args:?} failed: {text}"));
        }
        let lines = String::from_utf8(output.stdout).expect("utf-8");
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// A link for one person.
    pub fn invite(&self) -> String {
        self.ok(&["invite"])[0]["link"].as_str().expect("a link").to_owned()
    }

    /// Puts a message into the outbox; false if that could not be done.
    pub fn send(&self, to: &str, text: &str) -> bool {
        let sent = self.command(&["send", to, text, "--no-wait"]).output();
        sent.is_ok_and(|output| output.status.success())
    }

    /// Whatever the app's process has written to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.profile.join("daemon.log")).unwrap_or_default()
    }

    /// Hears what arrives from now on, and what has arrived before.
    pub fn listen(&self) -> Listening {
        let mut child = self
            .command(&["listen", "--since", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("xchat starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (send, arrivals) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let at = now_ms();
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if event["event"] == "message" && event["direction"] == "in" {
                    let text = event["text"].as_str().unwrap_or_default().to_owned();
                    let sent_at = event["sent_at"].as_u64().unwrap_or(at);
                    let delay = Duration::from_millis(at.saturating_sub(sent_at));
                    if send.send(Arrival { text, delay }).is_err() {
                        return;
                    }
                }
            }
        });
        Listening { child, arrivals }
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.command(&["stop"]).output();
    }
}

/// A message that somebody has got.
pub struct Arrival {
    /// What it says.
    pub text: String,
    /// From the sender's outbox to the other one's screen.
    pub delay: Duration,
}

/// A running `listen`.
pub struct Listening {
    child: Child,
    arrivals: mpsc::Receiver<Arrival>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What became of one direction of a conversation.
#[derive(Default)]
pub struct Direction {
    /// Messages that were sent.
    pub sent: u64,
    /// Of them, those that never came.
    pub lost: u64,
    /// That came more than once.
    pub twice: u64,
    /// That came after a later one.
    pub out_of_order: u64,
    /// How long each of those that came took.
    pub delays: Vec<Duration>,
}

impl Listening {
    /// Waits for all of `sent`, in their order.
    pub fn account(&self, sent: &[String]) -> Direction {
        let end = SystemTime::now() + PATIENCE;
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        let mut account = Direction { sent: sent.len() as u64, ..Direction::default() };
        let mut next = 0;
        while seen.len() < sent.len() {
            let left = end.duration_since(SystemTime::now()).unwrap_or_default();
            let Ok(arrival) = self.arrivals.recv_timeout(left) else { break };
            let Some(place) = sent.iter().position(|text| *text == arrival.text) else { continue };
            let times = seen.entry(arrival.text).or_default();
            *times += 1;
            if *times > 1 {
                account.twice += 1;
                continue;
            }
            if place < next {
                account.out_of_order += 1;
            }
            next = next.max(place + 1);
            account.delays.push(arrival.delay);
        }
        account.lost = sent.iter().filter(|text| !seen.contains_key(*text)).count() as u64;
        account
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("a temporary path is utf-8")
}
