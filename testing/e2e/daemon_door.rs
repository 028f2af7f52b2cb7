//! Whatever a program on the same machine throws at the daemon's door: refused with a reason, bounded, and the
//! owner is served meanwhile.

mod harness;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::{Duration, Instant};

use harness::{Network, Person};
use serde_json::{Value, json};

/// `MAX_STRANGERS`, `MAX_CALLERS` and `MAX_STREAMS` of spec/09-parameters.md.
const MAX_STRANGERS: usize = 64;
const MAX_CALLERS: usize = 256;
const MAX_STREAMS: usize = 64;

/// What the daemon uses besides: its files, its network, its runtime.
const OTHER_DESCRIPTORS: usize = 64;

/// An answer that has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(60);

struct Door {
    port: u16,
    token: String,
    pid: u32,
}

impl Door {
    fn of(person: &Person) -> Self {
        let text = std::fs::read_to_string(person.profile().join("daemon.json")).expect("a card");
        let card: Value = serde_json::from_str(&text).expect("JSON");
        Self {
            port: u16::try_from(card["port"].as_u64().expect("a port")).expect("a port"),
            token: card["token"].as_str().expect("a token").to_owned(),
            pid: person.daemon(),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Sends bytes as they are; the answer's status and its body.
    fn throw(&self, bytes: &[u8]) -> (u16, String) {
        let mut stream = self.connect();
        // It may hang up in the middle of what it does not want to hear.
        let _ = stream.write_all(bytes);
        answer(&mut stream)
    }

    /// A request with the right host, and these lines in its head.
    fn ask(&self, request: &str, lines: &[&str], body: &[u8]) -> (u16, String) {
        self.throw(&self.request(request, lines, body))
    }

    fn request(&self, request: &str, lines: &[&str], body: &[u8]) -> Vec<u8> {
        let mut text = format!("{request} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", self.port);
        for line in lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        [text.as_bytes(), body].concat()
    }

    fn authorised(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }

    fn command(&self, body: &[u8]) -> (u16, String) {
        self.ask("POST /v1/command", &[&self.authorised(), "Connection: close"], body)
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid)).expect("ours").count()
    }

    /// KiB of memory in use.
    fn memory(&self) -> usize {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("ours");
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
        line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number")
    }
}

/// Status 0 if the connection was closed without an answer.
fn answer(stream: &mut TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "no answer: {error}");
                break;
            }
        }
        if is_whole(&bytes) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let status = text.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.to_ascii_lowercase();
    let length =
        length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

fn code((status, body): (u16, String)) -> (u16, String) {
    let value: Value = serde_json::from_str(&body).unwrap_or_default();
    (status, value["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn daemon_of(network: &Network) -> (Person, Door) {
    let alice = Person::new(network, "alice");
    alice.ok(&["contacts"]);
    let door = Door::of(&alice);
    (alice, door)
}

#[test]
fn what_does_not_belong_here_is_refused_with_a_reason() {
    let mut network = Network::up();
    let (alice, door) = daemon_of(&network);
    let (post, contacts) = ("POST /v1/command", br#"{"command":"contacts"}"#);
    let (token, close) = (door.authorised(), "Connection: close");
    let asked = |lines: &[&str]| code(door.ask(post, lines, contacts));
    assert_eq!(asked(&[&token, close]).0, 200, "the owner is served");

    // Who asks.
    assert_eq!(asked(&[close]), refusal(401, "wrong_token"));
    for wrong in ["", "Bearer", "Bearer ", "Basic x", "Bearer 00", &format!("{}0", &token[15..])] {
        let line = format!("Authorization: {wrong}");
        assert_eq!(asked(&[&line, close]), refusal(401, "wrong_token"), "{wrong}");
    }
    for origin in ["http://evil.example", "null", "file://", "https://127.0.0.1", "http://[::1]"] {
        let line = format!("Origin: {origin}");
        assert_eq!(asked(&[&token, &line, close]), refusal(403, "foreign_origin"), "{origin}");
    }
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:80", ""] {
        let head =
            format!("{post} HTTP/1.1\r\nHost: {host}\r\n{token}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(code(door.throw(head.as_bytes())), refusal(403, "foreign_host"), "{host}");
    }
    let without = format!("{post} HTTP/1.1\r\n{token}\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(code(door.throw(without.as_bytes())), refusal(403, "foreign_host"));

    // What is asked.
    let commands: [&[u8]; 9] = [
        b"",
        b"{",
        b"null",
        b"\xff\xfe",
        br#"{"command":"format_disk"}"#,
        br#"{"command":"contacts","and":1}"#,
        br#"{"command":"send","contact":"a"}"#,
        br#"{"command":"messages","limit":-1}"#,
        &[b'['; 50_000],
    ];
    for body in commands {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert_eq!(code(door.command(body)), refusal(400, "invalid"), "{shown}");
    }
    let authorised = [token.as_str(), close];
    let asked = |request: &str| code(door.ask(request, &authorised, b""));
    assert_eq!(asked("GET /nothing"), refusal(404, "no_such_request"));
    assert_eq!(asked("GET /v1/../../etc/passwd"), refusal(404, "no_such_request"));
    assert_eq!(asked("DELETE /v1/command"), refusal(405, "no_such_request"));
    for query in ["since=x", "since=-1", "since=", "after=1.5", "since=1&since=2", "sicne=1"] {
        assert_eq!(asked(&format!("GET /v1/events?{query}")), refusal(400, "invalid"), "{query}");
    }
    for query in ["timeout_ms=x", "timeout_ms=-1", "timeout_ms=99999999999999999999", "timeout=1"] {
        let refused = door.ask(&format!("{post}?{query}"), &authorised, contacts);
        assert_eq!(code(refused), refusal(400, "invalid"), "{query}");
    }
    let served = door.ask(&format!("{post}?timeout_ms=60000"), &authorised, contacts);
    assert_eq!(code(served).0, 200);

    // There is one web socket, for pages (`page_door.rs`): elsewhere an upgrade is not answered with one.
    let upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
    let refused = door.ask("GET /v1/events", &upgrade, b"");
    assert_eq!(code(refused), refusal(401, "wrong_token"));
    let with_token =
        [&upgrade[..], &["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", &token]].concat();
    assert_eq!(door.ask("GET /v1/alive", &with_token, b"").0, 204);

    // What is no request at all.
    for bytes in [
        &b"\0\0\0\0"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
    ] {
        assert!(matches!(door.throw(bytes).0, 0 | 400 | 505), "{bytes:?}");
    }
    assert!(alice.ok(&["contacts"]).is_empty(), "nothing was changed");
    let status = alice.ok(&["status"]).remove(0);
    assert!(status["door"]["refused"].as_u64().is_some_and(|n| n >= 18), "{status}");
    assert_eq!(alice.daemon(), door.pid);
    alice.ok(&["stop"]);
    network.stop();
}

#[test]
fn what_is_too_long_or_too_slow_is_cut_off() {
    let mut network = Network::up();
    let (alice, door) = daemon_of(&network);
    let before = door.memory();
    let (post, token) = ("POST /v1/command", door.authorised());

    // A head without end, in one line and in many.
    let line = format!("X-Long: {}", "x".repeat(1 << 20));
    assert!(matches!(door.ask(post, &[&token, &line], b"").0, 0 | 431));
    let lines = vec!["X-Many: x"; 10_000];
    assert!(matches!(door.ask(post, &lines, b"").0, 0 | 431));
    let path = format!("GET /{}", "a".repeat(1 << 20));
    assert!(matches!(door.ask(&path, &[&token], b"").0, 0 | 414 | 431));

    // A body without end, announced, and in pieces.
    let text =
        json!({ "command": "send", "contact": "x", "text": "y".repeat(1 << 20) }).to_string();
    let long = code(door.command(text.as_bytes()));
    assert!(long == refusal(413, "too_long") || long.0 == 0, "{long:?}");
    let mut pieces = format!(
        "{post} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{token}\r\nTransfer-Encoding: chunked\r\n\r\n",
        door.port
    );
    for _ in 0..256 {
        pieces.push_str(&format!("1000\r\n{}\r\n", "z".repeat(0x1000)));
    }
    let endless = code(door.throw(pieces.as_bytes()));
    assert!(endless == refusal(413, "too_long") || endless.0 == 0, "{endless:?}");

    // A head and a body that never end, while others are served.
    let mut slow_head = door.connect();
    slow_head.write_all(b"GET /v1/alive HTTP/1.1\r\nHo").expect("writes");
    let mut slow_body = door.connect();
    let begun = door.request(post, &[&token], &[b' '; 100]);
    slow_body.write_all(&begun[..begun.len() - 90]).expect("writes");
    let mut silent = door.connect();
    alice.ok(&["contacts"]);
    assert!(matches!(answer(&mut slow_head).0, 0 | 408));
    assert_eq!(code(answer(&mut slow_body)), refusal(408, "too_slow"));
    assert!(matches!(answer(&mut silent).0, 0 | 408));

    let grown = door.memory().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB more");
    alice.ok(&["stop"]);
    network.stop();
}

/// Thousands who connect and say nothing, or a little: they make way for one another, and the owner comes in.
#[test]
fn a_crowd_at_the_door_keeps_nobody_out_who_has_the_token() {
    let mut network = Network::up();
    let (alice, door) = daemon_of(&network);
    let before = door.memory();
    let mut crowd = Vec::new();
    for n in 0..3_000_usize {
        let mut stream = door.connect();
        match n % 3 {
            // Half closed, dripping, and silent.
            0 => drop(stream.shutdown(Shutdown::Write)),
            1 => drop(stream.write_all(b"POST /v1/comm")),
            _ => {}
        }
        crowd.push(stream);
        // The daemon has let go of them long ago; so that this process need not have so many either.
        if crowd.len() > 512 {
            crowd.remove(0);
        }
        if n % 250 == 249 {
            alice.ok(&["contacts"]);
            let bound = MAX_STRANGERS + MAX_CALLERS + OTHER_DESCRIPTORS;
            assert!(door.descriptors() <= bound, "{} descriptors", door.descriptors());
        }
    }
    let status = alice.ok(&["status"]).remove(0);
    assert!(status["door"]["made_way"].as_u64().is_some_and(|n| n > 500), "{status}");
    assert!(status["door"]["open"].as_u64().is_some_and(|n| n <= 66), "{status}");
    let grown = door.memory().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB more");
    drop(crowd);
    alice.ok(&["stop"]);
    network.stop();
}

/// Also whoever has the token has a measure: streams that nobody reads, and connections that idle.
#[test]
fn streams_and_connections_have_their_measure() {
    let mut network = Network::up();
    let (alice, door) = daemon_of(&network);
    let bob = Person::new(&network, "bob");
    alice.meet(&bob);
    let before = door.memory();
    let token = door.authorised();
    let events = door.request("GET /v1/events?since=0", &[&token], b"");
    let mut unread = Vec::new();
    for _ in 0..MAX_STREAMS {
        let mut stream = door.connect();
        stream.write_all(&events).expect("writes");
        // Its head has come: it is open. Nothing after that is read.
        let mut head = [0; 12];
        stream.read_exact(&mut head).expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 200");
        unread.push(stream);
    }
    assert_eq!(code(door.throw(&events)), refusal(503, "too_many"));
    for n in 0..100 {
        alice.ok(&["send", "bob", &format!("{n} {}", "x".repeat(8_000)), "--no-wait"]);
    }
    let grown = door.memory().saturating_sub(before);
    assert!(grown < 96 * 1024, "{grown} KiB more");
    drop(unread);
    listens_again(&door, &events);

    let alive = door.request("GET /v1/alive", &[&token], b"");
    let mut idle = Vec::new();
    let full = loop {
        assert!(idle.len() <= MAX_CALLERS, "there is a bound");
        let mut stream = door.connect();
        stream.write_all(&alive).expect("writes");
        match answer_head(&mut stream) {
            204 => idle.push(stream),
            status => break status,
        }
    };
    assert_eq!(full, 503);
    assert!(idle.len() > MAX_CALLERS / 2, "{} were let in", idle.len());
    drop(idle);
    let end = Instant::now() + PATIENCE;
    while door.ask("GET /v1/alive", &[&token, "Connection: close"], b"").0 != 204 {
        assert!(Instant::now() < end, "there is room again");
    }
    alice.ok(&["contacts"]);
    for person in [&alice, &bob] {
        person.ok(&["stop"]);
    }
    network.stop();
}

fn answer_head(stream: &mut TcpStream) -> u16 {
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer");
    String::from_utf8_lossy(&head[9..]).parse().expect("a status")
}

/// The daemon notices by itself that the readers have gone.
fn listens_again(door: &Door, events: &[u8]) {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut stream = door.connect();
        stream.write_all(events).expect("writes");
        if answer_head(&mut stream) == 200 {
            return;
        }
        assert!(Instant::now() < end, "there is room again");
    }
}
