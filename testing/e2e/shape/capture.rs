//! What passes between a client and its gateway, written down by a process that listens in the client's own network.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use socket2::{Domain, Protocol, Socket, Type};

/// Tells a process that it is the one which listens.
const LISTEN: &str = "XCHAT_E2E_SHAPE_LISTEN";

/// What it says once nothing escapes it.
const LISTENING: &str = "listening";

/// What a line about a datagram begins with.
const SEEN: &str = "seen ";

/// ETH_P_ALL (`linux/if_ether.h`) in network order.
const EVERY_PROTOCOL: i32 = 0x0003_u16.to_be() as i32;

/// One datagram of QUIC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datagram {
    /// Whether the client has sent it.
    pub(crate) out: bool,
    /// Bytes of the IP packet.
    pub(crate) len: u16,
    /// Microseconds since the process began to listen.
    pub(crate) at: u64,
}

/// A process that listens.
pub(crate) struct Capture {
    child: Child,
    seen: Receiver<Datagram>,
}

impl Capture {
    /// Listens where `runner` runs things, at the machine with this address.
    pub(crate) fn at(runner: &[String], address: &str) -> Self {
        let mut child = Command::new(&runner[0])
            .args(&runner[1..])
            .arg(std::env::current_exe().expect("this program"))
            .args(["--exact", "listens", "--nocapture", "--test-threads=1"])
            .env(LISTEN, address)
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        while !lines.next().expect("it listens").expect("utf-8").contains(LISTENING) {}
        let (send, seen) = mpsc::channel();
        std::thread::spawn(move || {
            let datagrams = lines.map_while(Result::ok).filter_map(|line| read(&line));
            for datagram in datagrams {
                if send.send(datagram).is_err() {
                    return;
                }
            }
        });
        Self { child, seen }
    }

    /// What was seen since the last time.
    pub(crate) fn so_far(&self) -> Vec<Datagram> {
        self.seen.try_iter().collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(line: &str) -> Option<Datagram> {
    let mut words = line.split_once(SEEN)?.1.split_whitespace();
    let out = words.next()? == "out";
    Some(Datagram { out, len: words.next()?.parse().ok()?, at: words.next()?.parse().ok()? })
}

/// The body of the process that listens.
pub(crate) fn until_killed() {
    let Ok(address) = std::env::var(LISTEN) else { return };
    let own: std::net::Ipv4Addr = address.parse().expect("an address");
    let every = Some(Protocol::from(EVERY_PROTOCOL));
    let mut socket = Socket::new(Domain::PACKET, Type::RAW, every).expect("root may listen here");
    let mut frame = vec![0; 65_536];
    let mut out = std::io::stdout().lock();
    writeln!(out, "{LISTENING}").expect("somebody listens to the listener");
    let start = Instant::now();
    loop {
        let len = socket.read(&mut frame).expect("a frame");
        let at = start.elapsed().as_micros();
        // UDP over IPv4 over Ethernet, of this machine and not over loopback.
        let Some(ip) = frame[..len].get(14..34).filter(|_| frame[12..14] == [0x08, 0x00]) else {
            continue;
        };
        let (from, to) = (ip[12..16] == own.octets(), ip[16..20] == own.octets());
        if ip[9] != 17 || from == to {
            continue;
        }
        let way = if from { "out" } else { "in" };
        let line = writeln!(out, "{SEEN}{way} {} {at}", len - 14);
        if line.and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}
