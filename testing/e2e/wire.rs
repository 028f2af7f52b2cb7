//! A wire between two network namespaces, and what is seen on it.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::sandbox::run;

/// This end of the wire.
pub(crate) const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));
/// The other end, where the default route leads.
pub(crate) const THEIRS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 2));

const OURS_V6: &str = "fd99::1";
const THEIRS_V6: &str = "fd99::2";

/// Tells a process that it is the one which listens.
const LISTEN: &str = "XCHAT_E2E_LISTEN";

/// What a line of that process begins with.
const FRAME: &str = "frame ";

/// What it says once nothing escapes it.
const LISTENING: &str = "listening";

/// What names that are looked up on purpose begin with.
const ON_PURPOSE: &str = "on-purpose-";

/// A frame that was sent is on the wire by then, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// ETH_P_ALL (`linux/if_ether.h`) in network order.
const EVERY_PROTOCOL: i32 = 0x0003_u16.to_be() as i32;

/// The other end of the wire: a process in a network namespace of its own, where nothing else is.
pub(crate) struct FarEnd {
    child: Child,
    near: &'static str,
    lines: Receiver<String>,
}

impl FarEnd {
    /// A wire, and a command that will run at its other end once [`Self::go`] is called.
    pub(crate) fn new(near: &'static str, far: &'static str, command: &[&str]) -> Self {
        run("ip", &["link", "add", "name", near, "type", "veth", "peer", "name", far]);
        let script = format!(
            "read go && ip link set lo up && ip address add {THEIRS}/24 dev {far} && \
             ip address add {THEIRS_V6}/64 dev {far} nodad && ip link set {far} up && exec \"$@\""
        );
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", &script, "sh"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs");
        let lines = lines(&mut child);
        // It is in its namespace as soon as the wire's end can be seen to have gone there.
        let pid = child.id().to_string();
        for end in [near, far] {
            run("ip", &["link", "show", end]);
        }
        give(far, &pid);
        Self { child, near, lines }
    }

    /// A far end that only listens.
    pub(crate) fn capture(near: &'static str, far: &'static str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let listen = format!("{LISTEN}=1");
        let program = program.to_str().expect("utf-8");
        let arguments = ["--exact", "listens_on_the_wire", "--nocapture", "--test-threads=1"];
        Self::new(near, far, &[&["env", &listen, program][..], &arguments].concat())
    }

    /// The wire is up when this returns, and the command runs.
    pub(crate) fn go(&mut self) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(b"go\n").expect("it waits for this");
        let near = self.near;
        run("ip", &["address", "add", &format!("{OURS}/24"), "dev", near]);
        run("ip", &["address", "add", &format!("{OURS_V6}/64"), "dev", near, "nodad"]);
        run("ip", &["link", "set", near, "up"]);
        run("ip", &["route", "add", "default", "via", &THEIRS.to_string()]);
        run("ip", &["route", "add", "default", "via", THEIRS_V6]);
    }

    /// Waits for a line of the command's.
    pub(crate) fn wait_for(&self, wanted: impl Fn(&str) -> bool) {
        while !wanted(&self.lines.recv_timeout(PATIENCE).expect("a line in time")) {}
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Both ends and what leads there. They would go with the other namespace too, but the kernel clears
        // that away when it comes to it (`netns` work queue), and the next wire has the same addresses. It
        // may have come to it: there is nothing to take away then.
        let _ =
            Command::new("ip").args(["link", "delete", self.near]).stderr(Stdio::null()).status();
    }
}

fn lines(child: &mut Child) -> Receiver<String> {
    let output = BufReader::new(child.stdout.take().expect("piped")).lines();
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in output.map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Moves the wire's end to the process's namespace, once it has one of its own.
fn give(end: &str, pid: &str) {
    loop {
        run("ip", &["link", "set", end, "netns", pid]);
        // Moved to the namespace where it is already, if `unshare` was not that far yet.
        let here = Command::new("ip").args(["link", "show", end]).output().expect("ip runs");
        if !here.status.success() {
            return;
        }
        std::thread::yield_now();
    }
}

/// A process that listens, and what it has heard.
pub(crate) struct Capture {
    lines: Receiver<String>,
    _far: Option<FarEnd>,
    child: Option<Child>,
}

impl Capture {
    /// At the far end.
    pub(crate) fn of(mut far: FarEnd) -> Self {
        let (_, nothing) = mpsc::channel();
        let lines = std::mem::replace(&mut far.lines, nothing);
        Self { lines, _far: Some(far), child: None }.listening()
    }

    /// At this end.
    pub(crate) fn here() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "listens_on_the_wire", "--nocapture", "--test-threads=1"])
            .env(LISTEN, "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program runs");
        Self { lines: lines(&mut child), _far: None, child: Some(child) }.listening()
    }

    fn listening(self) -> Self {
        while !self.line().contains(LISTENING) {}
        self
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the wire shows what was sent")
    }

    /// Looks a name up and waits until the wire has shown that: what it has shown before.
    pub(crate) fn until_look_up(&mut self, moment: &str) -> Vec<Frame> {
        let name = format!("{ON_PURPOSE}{moment}");
        // It finds nothing, of course: nobody answers.
        let status = Command::new("getent").args(["hosts", &format!("{name}.invalid")]).status();
        assert!(!status.expect("getent, of libc-bin, runs").success());
        let mut frames = Vec::new();
        loop {
            let line = self.line();
            let Some((_, hex)) = line.split_once(FRAME) else { continue };
            let frame = Frame::from_hex(hex);
            if frame.asks_for(&name) {
                return frames;
            }
            // One look-up is several questions, and refusals that quote them.
            if !frame.asks_for(ON_PURPOSE) {
                frames.push(frame);
            }
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The body of the process that listens: every frame of the namespace but loopback's, a line each.
pub(crate) fn capture_until_killed() {
    if std::env::var_os(LISTEN).is_none() {
        return;
    }
    let every = Some(Protocol::from(EVERY_PROTOCOL));
    let mut socket = Socket::new(Domain::PACKET, Type::RAW, every).expect("root may listen here");
    let mut frame = vec![0; 65_536];
    let mut out = std::io::stdout().lock();
    writeln!(out, "{LISTENING}").expect("somebody listens to the listener");
    loop {
        let len = socket.read(&mut frame).expect("a frame");
        let frame = &frame[..len];
        // Loopback's frames have no addresses: twelve zeros.
        if frame.len() < 14 || frame[..12].iter().all(|byte| *byte == 0) {
            continue;
        }
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        if writeln!(out, "{FRAME}{hex}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// One Ethernet frame.
pub(crate) struct Frame(Vec<u8>);

const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const HOP_BY_HOP: u8 = 0;
const DNS: u16 = 53;

impl Frame {
    fn from_hex(hex: &str) -> Self {
        let byte = |pair: &[u8]| {
            let text = str::from_utf8(pair).expect("digits");
            u8::from_str_radix(text, 16).expect("hexadecimal")
        };
        Self(hex.trim().as_bytes().chunks_exact(2).map(byte).collect())
    }

    fn number(&self, at: usize) -> Option<u16> {
        let bytes = self.0.get(at..at + 2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Both ends of a UDP datagram over IPv4.
    fn datagram(&self) -> Option<(SocketAddr, SocketAddr)> {
        let ip = self.0.get(14..34).filter(|_| self.number(12) == Some(IPV4))?;
        if ip[9] != UDP {
            return None;
        }
        let ports = 14 + usize::from(ip[0] & 0x0f) * 4;
        let address = |at: usize| Ipv4Addr::new(ip[at], ip[at + 1], ip[at + 2], ip[at + 3]).into();
        let from = SocketAddr::new(address(12), self.number(ports)?);
        let to = SocketAddr::new(address(16), self.number(ports + 2)?);
        Some((from, to))
    }

    /// A datagram between one of our ports and one of these addresses, either way.
    pub(crate) fn is_between(&self, ours: IpAddr, theirs: &BTreeSet<SocketAddr>) -> bool {
        self.datagram().is_some_and(|(from, to)| {
            (from.ip() == ours && theirs.contains(&to))
                || (to.ip() == ours && theirs.contains(&from))
        })
    }

    /// A question for a name, or the refusal that quotes it.
    fn asks_for(&self, name: &str) -> bool {
        let dns = self.datagram().is_some_and(|(_, to)| to.port() == DNS);
        let quoted = self.number(12) == Some(IPV4) && self.0.get(23) == Some(&1);
        (dns || quoted) && self.0.windows(name.len()).any(|window| window == name.as_bytes())
    }

    /// What a Linux kernel sends on an interface that is up, though nobody sends anything: who has this
    /// address (ARP; IPv6 neighbour solicitation and advertisement, RFC 4861), is there a router (router
    /// solicitation), and which multicast groups are listened to (MLDv2, RFC 3810). None of these carries
    /// anything of a program's.
    pub(crate) fn is_the_kernels_own(&self) -> bool {
        match self.number(12) {
            Some(ARP) => true,
            Some(IPV6) => self.icmpv6().is_some_and(|kind| matches!(kind, 133 | 135 | 136 | 143)),
            _ => false,
        }
    }

    fn icmpv6(&self) -> Option<u8> {
        match *self.0.get(20)? {
            ICMPV6 => self.0.get(54).copied(),
            // MLD has a router alert before it: one header of eight bytes.
            HOP_BY_HOP if *self.0.get(54)? == ICMPV6 => self.0.get(62).copied(),
            _ => None,
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((from, to)) = self.datagram() {
            write!(f, "udp {from} -> {to}, ")?;
        }
        let head: String = self.0.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
        write!(f, "{} bytes: {head}", self.0.len())
    }
}
