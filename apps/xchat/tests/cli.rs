//! The command line as `docs/cli.md` promises it, as far as no network is needed: real processes, real
//! profiles, a network file of which no node is there.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand_core::OsRng;
use serde_json::{Value, json};
use tempfile::TempDir;
use xchat_base::{Timestamp, random};
use xchat_server::node::directory::{
    AuthoritySecret, Descriptor, Document, DocumentHash, HopKeyPeriod, Incarnation, NetworkFile,
    NetworkId, NetworkName, NodeId, OperatorId, Parameters, Placement, PlacementEpoch, Role, Root,
    Token,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn now() -> Timestamp {
    Timestamp::ZERO + SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

fn node(role: Role, until: Timestamp) -> Descriptor {
    let mut rng = OsRng;
    let hop_keys = match role {
        Role::Gateway => vec![],
        _ => vec![HopKeyPeriod { key: random::bytes(&mut rng), from: until - 48 * HOUR, until }],
    };
    Descriptor {
        id: NodeId::random(&mut rng),
        operator: OperatorId::random(&mut rng),
        role,
        // The discard port: nobody is there.
        addresses: vec![([127, 0, 0, 1], 9).into()],
        hop_keys,
    }
}

fn network_file(until: Timestamp) -> String {
    let secret = AuthoritySecret::random(&mut OsRng);
    let name = NetworkName::new("nowhere").expect("a good name");
    let root = Root::new(name, vec![secret.public()], 1).expect("a good root");
    let store = || Role::Store { incarnation: Incarnation::random(&mut OsRng) };
    let mix = |layer| Role::Mix { layer };
    let roles = [Role::Gateway, mix(1), mix(2), mix(3), store(), store(), store()];
    let descriptors: Vec<Descriptor> = roles.into_iter().map(|role| node(role, until)).collect();
    let stores = descriptors.iter().filter(|node| node.is_store());
    let tokens = stores.map(|node| (node.id, Token::random(&mut OsRng))).collect();
    let document = Document {
        network: NetworkId::from_bytes([0; 16]),
        epoch: 0,
        previous: DocumentHash::from_bytes([0; 32]),
        valid_from: until - 48 * HOUR,
        valid_until: until,
        placement: Placement { epoch: PlacementEpoch(1), tokens, past: Vec::new() },
        descriptors,
        parameters: Parameters::default(),
    };
    NetworkFile::first(root, document, &[secret]).expect("a good document").to_json()
}

/// A person with a directory; their daemon ends with them.
struct Person {
    dir: TempDir,
}

impl Person {
    fn without_profile() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("network.json"), network_file(now() + HOUR))
            .expect("a file");
        Self { dir }
    }

    fn new() -> Self {
        let person = Self::without_profile();
        person.json(&["init", "--network", "network.json", "--name", "Alice"]);
        person
    }

    fn profile(&self) -> PathBuf {
        self.dir.path().join("alice")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xchat"));
        command
            .args(["--json", "--profile", "alice"])
            .args(args)
            .current_dir(&self.dir)
            .env("XCHAT_PASSPHRASE", "open sesame")
            .stdin(Stdio::null());
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("runs")
    }

    /// The one line of a command that succeeds.
    fn json(&self, args: &[&str]) -> Value {
        let output = self.output(args);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {errors}");
        serde_json::from_slice(&output.stdout).expect("one line of JSON")
    }

    /// The exit code and the error's code of a command that fails.
    fn refused(&self, args: &[&str]) -> (i32, String) {
        refusal(&self.output(args))
    }

    fn card(&self) -> Value {
        let text = std::fs::read_to_string(self.profile().join("daemon.json")).expect("a daemon");
        serde_json::from_str(&text).expect("JSON")
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // Whatever the test left running; it may have no profile at all.
        let _ = self.command(&["stop"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn refusal(output: &Output) -> (i32, String) {
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    let error: Value = serde_json::from_slice(&output.stderr).expect("one line of JSON");
    let error = &error["error"];
    assert!(!error["message"].as_str().expect("a message").is_empty());
    assert!(error["hint"].is_string());
    (
        output.status.code().expect("an exit code"),
        error["code"].as_str().expect("a code").to_owned(),
    )
}

fn first_line(child: &mut Child) -> Value {
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    serde_json::from_str(&line).expect("JSON")
}

fn refused(code: i32, name: &str) -> (i32, String) {
    (code, name.to_owned())
}

#[test]
fn init_makes_a_profile_once() {
    let alice = Person::without_profile();
    let init = ["init", "--network", "network.json", "--name", "Alice"];
    let made = alice.json(&init);
    assert_eq!(made["name"], "Alice");
    assert_eq!(made["network"], "nowhere");
    assert_eq!(Path::new(made["profile"].as_str().expect("a path")), alice.profile());
    assert_eq!(alice.refused(&init), refused(3, "profile_exists"));
}

#[test]
fn init_refuses_what_does_not_hold_and_makes_nothing() {
    let alice = Person::without_profile();
    let init = |file: &str, name: &str| alice.refused(&["init", "--network", file, "--name", name]);
    let expired = network_file(now() - HOUR);
    std::fs::write(alice.dir.path().join("expired.json"), expired).expect("a file");
    let whole = std::fs::read_to_string(alice.dir.path().join("network.json")).expect("a file");
    let forged = whole.replacen("\"document\": \"01", "\"document\": \"02", 1);
    std::fs::write(alice.dir.path().join("forged.json"), forged).expect("a file");
    for file in ["expired.json", "forged.json", "none.json"] {
        assert_eq!(init(file, "Alice"), refused(3, "bad_network"), "{file}");
    }
    assert_eq!(init("network.json", ""), refused(3, "invalid"));
    let mut empty = alice.command(&["init", "--network", "network.json", "--name", "A"]);
    let empty = empty.env("XCHAT_PASSPHRASE", "").output().expect("runs");
    assert_eq!(refusal(&empty), refused(3, "invalid"));
    assert!(!alice.profile().exists());
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let alice = Person::without_profile();
    assert_eq!(alice.output(&["fly"]).status.code(), Some(2));
    assert_eq!(alice.output(&["send", "Bob"]).status.code(), Some(2));
    let both = ["send", "Bob", "x", "--no-wait", "--wait-delivered"];
    assert_eq!(alice.output(&both).status.code(), Some(2));
}

#[test]
fn the_passphrase_comes_from_a_file_or_the_environment_and_must_be_right() {
    let alice = Person::new();
    let without = |args: &[&str]| {
        let mut command = alice.command(args);
        refusal(&command.env_remove("XCHAT_PASSPHRASE").output().expect("runs"))
    };
    assert_eq!(without(&["contacts"]), refused(2, "passphrase_needed"));
    std::fs::write(alice.dir.path().join("wrong"), "sesame\n").expect("a file");
    let wrong = ["contacts", "--passphrase-file", "wrong"];
    assert_eq!(alice.refused(&wrong), refused(5, "wrong_passphrase"));
    std::fs::write(alice.dir.path().join("right"), "open sesame\nmore\n").expect("a file");
    let mut right = alice.command(&["contacts", "--passphrase-file", "right"]);
    assert!(right.env_remove("XCHAT_PASSPHRASE").status().expect("runs").success());
}

#[test]
fn commands_share_one_daemon_until_stop() {
    let alice = Person::new();
    assert_eq!(alice.json(&["stop"]), json!({ "stopped": false }));
    let started: Vec<Child> = (0..4)
        .map(|_| alice.command(&["status"]).stdout(Stdio::piped()).spawn().expect("runs"))
        .collect();
    for child in started {
        assert!(child.wait_with_output().expect("ends").status.success());
    }
    let card = alice.card();
    let status = alice.json(&["status"]);
    assert_eq!(alice.card(), card, "the same daemon");
    assert_eq!(status["name"], "Alice");
    assert_eq!(status["network"], "nowhere");
    assert_eq!(status["pace"]["name"], "desk");
    assert_ne!(status["online"]["state"], "online");
    assert_eq!(status["queued"], json!({ "messages": 0, "writes": 0, "reads": 0 }));
    assert_eq!(status["crowd"]["size"], "small");
    assert_eq!(status["pace"]["bytes_per_month"], status["paces"][1]["bytes_per_month"]);
    assert!(status["pace"]["message_seconds"].as_f64() > Some(0.0));
    assert_eq!((&status["losing"], &status["avoided_mixes"]), (&json!(false), &json!(0)));
    assert_eq!(alice.json(&["stop"]), json!({ "stopped": true }));
    assert!(!alice.profile().join("daemon.json").exists());
    assert_eq!(alice.json(&["stop"]), json!({ "stopped": false }));
}

#[test]
fn a_profile_whose_making_was_killed_is_made_by_the_next_init_or_is_there() {
    for moment in ["lock", "store.db", "store.db-wal", "profile.new", "profile.json"] {
        let alice = Person::without_profile();
        let init = ["init", "--network", "network.json", "--name", "Alice"];
        let mut making = alice.command(&init).stdout(Stdio::null()).spawn().expect("runs");
        // Some of these are there for a moment only: then it dies where it is, or is done.
        while making.try_wait().expect("ours").is_none() {
            if alice.profile().join(moment).exists() {
                making.kill().expect("ours");
                break;
            }
        }
        making.wait().expect("ours");
        if !alice.profile().join("profile.json").exists() {
            alice.json(&init);
        }
        assert_eq!(alice.json(&["status"])["name"], "Alice", "killed at {moment}");
    }
}

#[test]
fn a_killed_daemon_is_replaced() {
    let alice = Person::new();
    alice.json(&["status"]);
    let first = alice.card();
    let pid = first["pid"].to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().expect("kills").success());
    // At once, while the system may still be cleaning up after it.
    alice.json(&["status"]);
    assert_ne!(alice.card()["pid"], first["pid"]);
    assert_ne!(alice.card()["token"], first["token"]);
}

#[test]
fn serve_stays_in_the_foreground_and_locks_the_profile() {
    let alice = Person::new();
    let mut serve = alice.command(&["serve"]).stdout(Stdio::piped()).spawn().expect("runs");
    let ready = first_line(&mut serve);
    assert_eq!(ready["event"], "ready");
    assert_eq!(ready["pid"], serve.id());
    assert_eq!(alice.refused(&["serve"]), refused(6, "locked"));
    alice.json(&["status"]);
    assert_eq!(alice.card()["pid"], serve.id(), "commands use it");
    let terminated = Command::new("kill").args(["-TERM", &serve.id().to_string()]).status();
    assert!(terminated.expect("kills").success());
    assert!(serve.wait().expect("ends").success());
    assert!(!alice.profile().join("daemon.json").exists());
}

#[test]
fn without_a_network_commands_say_so_in_time() {
    let alice = Person::new();
    assert_eq!(alice.refused(&["invite", "--timeout", "0"]), refused(7, "no_network"));
    let waiting = ["contacts", "--wait", "Bob", "--timeout", "0"];
    assert_eq!(alice.refused(&waiting), refused(12, "timeout"));
}

#[test]
fn mistakes_have_their_own_codes() {
    let alice = Person::new();
    for args in [["send", "Bob", "x"].as_slice(), &["read", "Bob"], &["verify", "Bob"]] {
        assert_eq!(alice.refused(args), refused(8, "not_found"), "{args:?}");
    }
    for link in ["hello", "xchat:xc1qqqq", "https://example.org"] {
        assert_eq!(alice.refused(&["accept", link]), refused(9, "invalid_link"), "{link}");
    }
    let nobody = alice.output(&["status", "--profile", "nobody"]);
    assert_eq!(refusal(&nobody), refused(8, "no_profile"));
    assert!(alice.output(&["contacts"]).stdout.is_empty(), "no contacts, no lines");
}

#[test]
fn listen_ends_when_the_daemon_is_stopped() {
    let alice = Person::new();
    let mut listen =
        alice.command(&["listen", "--all"]).stdout(Stdio::piped()).spawn().expect("runs");
    // It is listening: the attempt to connect that has failed is an event.
    assert_eq!(first_line(&mut listen)["event"], "status");
    alice.json(&["stop"]);
    assert!(listen.wait().expect("ends").success());
}

#[test]
fn errors_for_people_are_a_sentence_and_a_hint() {
    let alice = Person::without_profile();
    let output = Command::new(env!("CARGO_BIN_EXE_xchat"))
        .args(["--profile", "nobody", "status"])
        .current_dir(&alice.dir)
        .output()
        .expect("runs");
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.starts_with("xchat: there is no profile in "), "{text}");
    assert!(text.contains("xchat init"), "{text}");
}

#[test]
fn a_profile_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let alice = Person::new();
    let open_to_all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(alice.profile(), open_to_all).expect("opens it up");
    assert_eq!(alice.refused(&["contacts"]), refused(3, "exposed"));
}
