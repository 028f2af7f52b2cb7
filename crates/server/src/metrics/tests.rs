//! The page against a strict reading of the format, its coarseness, and the door under bad manners.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::door::{CONNECTION_TIMEOUT, HEAD_TIMEOUT, MAX_CONNECTIONS, MAX_HEAD};
use super::*;
use crate::config::RoleName;
use crate::control::{LineStatus, Load, LoopStatus, TableStatus};

fn status(role: RoleName, counters: &[(&str, u64)]) -> NodeStatus {
    let load = match role {
        RoleName::Gateway => Some(Load::Gateway {
            sessions: 1_234,
            max_sessions: 10_000,
            full: true,
            proof_attempts: 600_000,
            line: Some(LineStatus { kbit_per_s: 12_345, max_kbit_per_s: 100_000 }),
        }),
        RoleName::Mix => None,
        RoleName::Store => Some(Load::Store { busy: false }),
    };
    let table = (role == RoleName::Store).then(|| TableStatus {
        incarnation: "00".repeat(16),
        placement: 3,
        refilled: 1_999,
        sources_left: 2,
        bytes: 100 * 1024 * 1024,
        max_bytes: Some(1 << 30),
        full: true,
    });
    NodeStatus {
        version: "0.1.0".to_owned(),
        role,
        id: "ab".repeat(32),
        pid: 4_711,
        serving: true,
        epoch: 17,
        valid_until: 1_900_000_000_123,
        links_wanted: 5,
        links_up: 4,
        frames_dropped: 2_001,
        catching_up: false,
        load,
        table,
        loops: (role == RoleName::Gateway)
            .then(|| LoopStatus { failing_mixes: vec!["cd".repeat(32)], losing: false }),
        repeating: vec!["ef".repeat(32)],
        counters: counters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
    }
}

/// Reads a page as the format is written down (prometheus.io, text format 0.0.4) and no looser: every family has its
/// help, its type and one sample, in this order and once; a sample's labels and its value.
fn read(page: &str) -> BTreeMap<String, (String, String, u64)> {
    let name_of = |name: &str| {
        let mut chars = name.chars();
        let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        assert!(first && chars.all(|c| c.is_ascii_alphanumeric() || c == '_'), "{name:?}");
        name.to_owned()
    };
    assert!(page.ends_with('\n') && !page.contains("\n\n") && page.is_ascii());
    let mut families = BTreeMap::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let help = line.strip_prefix("# HELP ").expect("a help line");
        let (name, text) = help.split_once(' ').expect("a text");
        assert!(!text.is_empty() && !text.contains('\\'), "{line}");
        let name = name_of(name);
        let kind = lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")));
        let kind = kind.expect("its type").to_owned();
        assert!(
            kind == "gauge" || (kind == "counter" && name.ends_with("_total")),
            "{name} {kind}"
        );
        let sample = lines.next().and_then(|line| line.strip_prefix(&name)).expect("a sample");
        let (labels, value) = sample.rsplit_once(' ').expect("a value");
        assert!(
            labels.is_empty() || (labels.starts_with('{') && labels.ends_with('}')),
            "{sample}"
        );
        let value = value.parse().expect("a number");
        let before = families.insert(name, (kind, labels.to_owned(), value));
        assert_eq!(before, None, "{line}: twice");
    }
    families
}

#[test]
fn a_page_is_read_by_a_strict_reader_and_names_nobody() {
    for role in [RoleName::Gateway, RoleName::Mix, RoleName::Store] {
        let status =
            status(role, &[("received", 5_999), ("waiting", 199), ("refused_documents", 3)]);
        let page = page::page(&status, &status);
        let families = read(&page);
        let labelled: Vec<_> =
            families.iter().filter(|(_, (_, labels, _))| !labels.is_empty()).collect();
        let info = format!("{{version=\"0.1.0\",role=\"{role}\"}}");
        assert_eq!(labelled, [(&"xchat_node_info".to_owned(), &("gauge".to_owned(), info, 1))]);
        for secret in [&status.id, "4711", "ab".repeat(4).as_str()] {
            assert!(!page.contains(secret), "{page}");
        }
        assert!(families.keys().all(|name| name.starts_with("xchat_node_")));
    }
}

#[test]
fn counts_are_coarse_and_what_is_public_is_exact() {
    let counters = [("received", 5_999), ("sessions", 1_299), ("refused_documents", 3)];
    let value = |role, name: &str| {
        let status = status(role, &counters);
        let page = read(&page::page(&status, &status));
        page.get(&format!("xchat_node_{name}")).map(|(_, _, value)| *value)
    };
    let (gateway, store) = (RoleName::Gateway, RoleName::Store);
    let expected = [
        (gateway, "received_total", 5_000),
        (gateway, "sessions", 1_200),
        (gateway, "refused_documents_total", 3),
        (gateway, "frames_dropped_total", 2_000),
        (gateway, "links_up", 4),
        (gateway, "document", 17),
        (gateway, "document_valid_until_seconds", 1_900_000_000),
        (gateway, "full", 1),
        (gateway, "line_max_bytes_per_second", 12_500_000),
        (store, "table_bytes", 96 * 1024 * 1024),
        (store, "table_max_bytes", 1 << 30),
        (store, "table_full", 1),
        (store, "refilled_total", 1_000),
    ];
    for (role, name, wanted) in expected {
        assert_eq!(value(role, name), Some(wanted), "{name}");
    }
    assert_eq!(value(gateway, "table_bytes"), None);
    assert_eq!(value(store, "proof_attempts"), None);
}

/// Whoever scrapes every ten seconds for an hour sees what clients do thirteen times, and sees at once that a link
/// is down.
#[test]
fn what_clients_do_is_shown_of_one_moment_in_five_minutes() {
    let start = Instant::now();
    let mut sample = Sample::default();
    let mut seen = BTreeSet::new();
    for n in 0..360 {
        let mut fresh = status(RoleName::Store, &[("writes", n * 1_000), ("items", n * 100)]);
        fresh.links_up = n % 5;
        let now = start + FRESH_EVERY * n as u32;
        let families = read(&page::page(&fresh, sample.at(&fresh, now)));
        let value = |name: &str| families[&format!("xchat_node_{name}")].2;
        assert_eq!(value("links_up"), n % 5);
        seen.insert((value("writes_total"), value("items")));
    }
    assert_eq!(seen.len(), 12);
}

/// A door with a page behind it.
struct House {
    address: SocketAddr,
    ready: watch::Sender<Option<Ready>>,
    task: JoinHandle<()>,
}

impl Drop for House {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl House {
    async fn new() -> Self {
        let Metrics { listener } =
            Metrics::bind((Ipv4Addr::LOCALHOST, 0).into()).await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let text = Bytes::from_static(b"a 1\n");
        let (ready, shown) = watch::channel(Some(Ready { text, at: Instant::now() }));
        Self { address, ready, task: tokio::spawn(door::serve(listener, shown)) }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connects")
    }

    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.expect("sends");
        rest(&mut stream).await
    }

    async fn scrape(&self) -> String {
        self.ask("GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n").await
    }
}

/// What comes until the connection is over, however it ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // Reset, if something was sent that nobody has read.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn the_page_is_given_to_whoever_asks_for_it_and_nothing_else_is() {
    let house = House::new().await;
    let answer = house.scrape().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\na 1\n"), "{answer}");
    for (request, wanted) in [
        ("GET / HTTP/1.1\r\nHost: node\r\n\r\n", "HTTP/1.1 404 "),
        ("POST /metrics HTTP/1.1\r\nHost: node\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 405 "),
        ("nonsense\r\n\r\n", "HTTP/1.1 400 "),
        ("GET /metrics HTTP/9.9\r\n\r\n", "HTTP/1.1 400 "),
        ("\0\u{1}\u{2}", ""),
    ] {
        let answer = house.ask(request).await;
        assert!(answer.starts_with(wanted), "{request:?}: {answer:?}");
        assert!(!answer.ends_with("a 1\n"), "{request:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_say_how_it_is_shows_no_old_page() {
    let house = House::new().await;
    sleep(STALE_AFTER).await;
    assert!(house.scrape().await.starts_with("HTTP/1.1 503 "));
    house.ready.send_replace(None);
    assert!(house.scrape().await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_before_it_is_kept() {
    let house = House::new().await;
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(4 * MAX_HEAD));
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1_000));
    for request in [long, many] {
        let answer = house.ask(&request).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    // One that never ends.
    let mut stream = house.connect().await;
    let mut sent = 0;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await.expect("sends");
    while stream.write_all(&[b'x'; 1_024]).await.is_ok() {
        sent += 1;
        assert!(sent < 64 * 1_024, "it takes 64 MiB of a head");
    }
    assert!(house.scrape().await.ends_with("a 1\n"));
}

#[tokio::test(start_paused = true)]
async fn whoever_drips_is_cut_off_and_whoever_does_not_read_too() {
    let house = House::new().await;
    let start = Instant::now();
    let mut stream = house.connect().await;
    for byte in b"GET /metrics HTTP/1.1\r\nX: a very long line that takes its time\r\n\r\n" {
        sleep(Duration::from_millis(300)).await;
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    assert_eq!(rest(&mut stream).await, "");
    assert!(start.elapsed() > HEAD_TIMEOUT);

    // Far more than what a socket takes by itself.
    let text = Bytes::from(vec![b'x'; 64 << 20]);
    house.ready.send_replace(Some(Ready { text, at: Instant::now() }));
    let mut stream = house.connect().await;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n").await.expect("sends");
    sleep(CONNECTION_TIMEOUT + Duration::from_secs(1)).await;
    assert!(rest(&mut stream).await.len() < 64 << 20, "it is cut off in the middle");
}

#[tokio::test]
async fn whoever_only_connects_keeps_nobody_out() {
    let house = House::new().await;
    let mut idle = Vec::new();
    for _ in 0..10 * MAX_CONNECTIONS {
        idle.push(house.connect().await);
    }
    assert!(house.scrape().await.ends_with("a 1\n"));
    // The first ones have made way.
    for stream in idle.iter_mut().take(9 * MAX_CONNECTIONS) {
        assert_eq!(rest(stream).await, "");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_named() {
    let house = House::new().await;
    for address in [house.address, SocketAddr::from(([192, 0, 2, 1], 9_464))] {
        let error = Metrics::bind(address).await.err().expect("taken, or somebody else's");
        assert!(error.to_string().starts_with(&format!("metrics at {address}: ")), "{error}");
    }
}
