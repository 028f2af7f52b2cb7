//! Network namespaces: every node and every person on a machine of their own, joined by a switch.
//!
//! ```text
//!   apart ═══╤═══      whole ═══╤════════╤═══════╤═══     two bridges in a namespace of their own
//!            │                  │        │       │
//!        gateway-2          gateway-1   …      alice      a namespace each: 10.77.0.N on a veth
//! ```
//!
//! A link that is taken down, or moved from one bridge to the other, is a partition: what is sent is gone, and nobody is
//! told. Everything lives in a user namespace, so no privilege is needed, and goes with the test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Addresses of the nodes, in the order of the network's plan: the first is .1.
pub(crate) const RANGE: &str = "10.77.0.0/25";

/// People's addresses begin behind those of the nodes.
const FIRST_PERSON: usize = 129;

/// Makes the switch and, for each word `NAME=ADDRESS`, a namespace that is plugged into it. Every holder ends with standard input.
const SET_UP: &str = r#"
set -e
exec 3<&0
own=$(readlink /proc/$$/ns/net)
ip link add whole type bridge
ip link add apart type bridge
ip link set whole up
ip link set apart up
for place in "$@"; do
    unshare -n cat <&3 >/dev/null &
    holder=$!
    while [ "$(readlink /proc/$holder/ns/net)" = "$own" ]; do kill -0 $holder; done
    ip link add "${place%=*}" type veth peer name eth0 netns $holder
    ip link set "${place%=*}" master whole up
    nsenter -t $holder -n sh -ec "ip addr add ${place#*=}/24 dev eth0; ip link set lo up; ip link set eth0 up"
    echo "${place%=*} $holder"
done
echo ready
exec cat <&3 >/dev/null
"#;

/// The namespaces.
pub(crate) struct Space {
    hub: Child,
    /// Processes that hold the namespaces, by name.
    holders: BTreeMap<String, u32>,
}

impl Space {
    /// Whether this machine lets us have namespaces. Where a build server runs the tests, nothing may be left out.
    pub(crate) fn is_possible() -> bool {
        let probe = "ip link add whole type bridge && ip link add one type veth peer name two && unshare -n true && nsenter --version";
        let made = Command::new("unshare").args(["-Urn", "sh", "-c", probe]).output();
        let possible = made.is_ok_and(|output| output.status.success());
        if !possible {
            let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!in_ci, "no network namespaces here: partitions cannot be tested");
            eprintln!("no network namespaces here (unshare -Urn, ip, nsenter): NO PARTITIONS");
        }
        possible
    }

    pub(crate) fn new(nodes: &[String], people: &[&str]) -> Self {
        let nodes = nodes.iter().enumerate().map(|(n, name)| (name.as_str(), n + 1));
        let people = people.iter().enumerate().map(|(n, name)| (*name, n + FIRST_PERSON));
        let places = nodes.chain(people).map(|(name, n)| format!("{name}=10.77.0.{n}"));
        let mut hub = Command::new("unshare")
            .args(["-Urn", "sh", "-c", SET_UP, "sh"])
            .args(places)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut holders = BTreeMap::new();
        let mut lines = BufReader::new(hub.stdout.take().expect("piped")).lines();
        loop {
            let line = lines.next().expect("it becomes ready").expect("utf-8");
            if line == "ready" {
                break;
            }
            let (name, pid) = line.split_once(' ').expect("a name and a process");
            holders.insert(name.to_owned(), pid.parse().expect("a number"));
        }
        Self { hub, holders }
    }

    /// The words that run a command at a place.
    pub(crate) fn runner(&self, name: &str) -> Vec<String> {
        enter(self.holders[name])
    }

    /// A program for `net up --runner`: it runs each node at its place.
    pub(crate) fn write_runner(&self, dir: &Path) -> PathBuf {
        let mut text = "#!/bin/sh\nname=$1\nshift\ncase $name in\n".to_owned();
        for (name, pid) in &self.holders {
            text += &format!("{name}) exec {} \"$@\" ;;\n", enter(*pid).join(" "));
        }
        text += "esac\nexit 1\n";
        let path = dir.join("at-its-place");
        std::fs::write(&path, text).expect("writes");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("ours");
        path
    }

    /// The link of a place is down.
    pub(crate) fn cut(&self, name: &str) {
        self.link(name, &["down"]);
    }

    pub(crate) fn mend(&self, name: &str) {
        self.link(name, &["up"]);
    }

    /// The place reaches only others that were moved as well.
    pub(crate) fn move_apart(&self, name: &str) {
        self.link(name, &["master", "apart"]);
    }

    pub(crate) fn move_back(&self, name: &str) {
        self.link(name, &["master", "whole"]);
    }

    fn link(&self, name: &str, change: &[&str]) {
        let words = enter(self.hub.id());
        let status = Command::new(&words[0])
            .args(&words[1..])
            .args(["ip", "link", "set", name])
            .args(change)
            .status();
        assert!(status.expect("nsenter runs").success(), "{name} {change:?}");
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        drop(self.hub.stdin.take());
        let _ = self.hub.wait();
    }
}

fn enter(pid: u32) -> Vec<String> {
    ["nsenter", "--preserve-credentials", "-U", "-n", "-t", &pid.to_string()]
        .map(str::to_owned)
        .to_vec()
}
