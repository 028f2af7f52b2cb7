//! A network, three people who know one another, and what can be done to them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::ledger::{Ledger, pairs};
use super::plan::{Fault, GATEWAYS, MIXES_PER_LAYER, NAMES, PEOPLE, STORES, node_names};
use super::space::{RANGE, Space};
use crate::harness::{Network, Person, program, signal};

/// What is sure to come about does so within this, on the slowest machine.
const SOON: Duration = Duration::from_secs(90);

/// How often something is asked that no event tells.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Resident memory at the end of a schedule, after 500 messages and sixteen faults: twice what was seen.
const MAX_NODE_KIB: u64 = 64 * 1024;
const MAX_DAEMON_KIB: u64 = 80 * 1024;

/// The largest resident memory of a node and of a daemon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) node_kib: u64,
    pub(crate) daemon_kib: u64,
}

/// The whole of it. Dropping it ends all processes.
pub(crate) struct World {
    people: Vec<Arc<Person>>,
    /// Each person's `listen`, and the thread that reads what it says.
    listens: Vec<Option<(Child, JoinHandle<()>)>>,
    /// Whose conversation it is, for each person.
    conversations: Vec<Arc<BTreeMap<String, usize>>>,
    /// Each person's daemon, unless it was killed and another was not seen yet.
    daemons: [Option<u32>; PEOPLE],
    /// Processes that were killed on purpose.
    killed: Vec<u32>,
    frozen: Vec<u32>,
    network: Network,
    space: Option<Space>,
    _dir: TempDir,
}

impl World {
    /// Starts everything, and everybody meets everybody.
    pub(crate) fn new(partitions: bool) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let space = partitions.then(|| Space::new(&node_names(), &NAMES));
        let options = options(space.as_ref(), dir.path());
        let network = Network::up_with(&options.iter().map(String::as_str).collect::<Vec<_>>());
        let person = |name: &&str| {
            let runner = space.as_ref().map(|space| space.runner(name)).unwrap_or_default();
            Arc::new(Person::new_in(runner, &network, name))
        };
        let people: Vec<_> = NAMES.iter().map(person).collect();
        for (from, to) in pairs().filter(|(from, to)| from < to) {
            let link = people[from].ok(&["invite"])[0]["link"].as_str().expect("a link").to_owned();
            people[to].ok(&["accept", &link]);
            people[from].wait_for_contact(NAMES[to]);
        }
        let conversations = people.iter().map(|person| Arc::new(conversations(person))).collect();
        let listens = people.iter().map(|_| None).collect();
        let daemons = [None; PEOPLE];
        let (killed, frozen) = (Vec::new(), Vec::new());
        Self { people, listens, conversations, daemons, killed, frozen, network, space, _dir: dir }
    }

    pub(crate) fn person(&self, who: usize) -> Arc<Person> {
        self.people[who].clone()
    }

    /// Tells the ledger what a person's `listen` shows, from their first message on.
    pub(crate) fn listen(&mut self, who: usize, ledger: &Arc<Ledger>) {
        ledger.listens_anew(who);
        let mut child = self.people[who].spawn(&["listen", "--since", "0"]);
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (ledger, conversations) = (ledger.clone(), self.conversations[who].clone());
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).expect("one JSON object a line");
                let conversation = event["conversation"].as_str().unwrap_or_default();
                ledger.told(who, conversations[conversation], &event);
            }
            ledger.listen_ended(who);
        });
        self.listens[who] = Some((child, reader));
    }

    /// # Errors
    /// It cannot be done.
    pub(crate) fn inflict(&mut self, fault: &Fault, ledger: &Ledger) -> Result<(), String> {
        // One send may be under way when a daemon ends, and one begin while it does not move.
        let may_fail = |who: usize| ledger.change(|state| state.may_fail[who] += 2);
        match fault {
            Fault::KillDaemon(who, times) => {
                for _ in 0..*times {
                    may_fail(*who);
                    self.kill_daemon(*who)?;
                }
            }
            Fault::Away(who) => {
                may_fail(*who);
                // Whoever would start another is gone below.
                self.daemon(*who)?;
                ledger.change(|state| state.away[*who] = true);
                if let Some((mut listen, reader)) = self.listens[*who].take() {
                    listen.kill().expect("ours");
                    listen.wait().expect("ours");
                    reader.join().expect("it has understood every line");
                }
                self.kill_daemon(*who)?;
            }
            Fault::FreezeDaemon(who) => {
                // Each attempt gives up after seconds.
                ledger.change(|state| state.may_fail[*who] += 1000);
                let pid = self.daemon(*who)?;
                self.freeze(pid);
            }
            Fault::KillNode(name) => self.kill_node(name)?,
            Fault::WipeStore(name) => {
                self.kill_node(name)?;
                let dir = self.node(name)["dir"].as_str().expect("a path").to_owned();
                std::fs::remove_dir_all(Path::new(&dir).join("boxes")).expect("it has a table");
            }
            Fault::FreezeNode(name) => self.freeze(self.node_pid(name)),
            Fault::CutPerson(who) => self.space().cut(NAMES[*who]),
            Fault::CutNode(name) => self.space().cut(name),
            Fault::Split(names) => names.iter().for_each(|name| self.space().move_apart(name)),
            Fault::StopNetwork => {
                self.scan_nodes()?;
                self.network.stop();
            }
            Fault::KillNetwork => {
                self.scan_nodes()?;
                self.network.kill();
            }
        }
        Ok(())
    }

    /// Undoes a fault.
    ///
    /// # Errors
    /// It cannot be undone: then the product is at fault.
    pub(crate) fn mend(&mut self, fault: &Fault, ledger: &Arc<Ledger>) -> Result<(), String> {
        match fault {
            Fault::KillDaemon(..) => {}
            Fault::Away(who) => {
                self.listen(*who, ledger);
                ledger.change(|state| state.away[*who] = false);
            }
            Fault::FreezeDaemon(_) | Fault::FreezeNode(_) => self.thaw(),
            Fault::KillNode(name) => self.restart_node(name)?,
            Fault::WipeStore(name) => {
                self.restart_node(name)?;
                // Until then another store must not fail: it may hold the only other copy.
                until(&format!("{name} has refilled its table"), || {
                    self.node_status(name).is_some_and(|status| status["catching_up"] == false)
                })?;
            }
            Fault::CutPerson(who) => self.space().mend(NAMES[*who]),
            Fault::CutNode(name) => self.space().mend(name),
            Fault::Split(names) => names.iter().for_each(|name| self.space().move_back(name)),
            Fault::StopNetwork | Fault::KillNetwork => self.network.start(),
        }
        Ok(())
    }

    /// Waits until a fault has been noticed by those whom it must not escape.
    ///
    /// # Errors
    /// It was not.
    pub(crate) fn wait_until_noticed(&self, fault: &Fault) -> Result<(), String> {
        until(&format!("somebody notices: {fault}"), || match fault {
            Fault::CutPerson(who) => !self.is_online(*who),
            Fault::StopNetwork => (0..PEOPLE).all(|who| !self.is_online(who)),
            Fault::KillNode(name)
            | Fault::WipeStore(name)
            | Fault::FreezeNode(name)
            | Fault::CutNode(name) => self.lost_links(std::slice::from_ref(name)) > 0,
            Fault::Split(names) => self.lost_links(names) > 0,
            _ => true,
        })
    }

    /// Links that are down at the nodes other than these.
    fn lost_links(&self, except: &[String]) -> u64 {
        let others = node_names().into_iter().filter(|name| !except.contains(name));
        let lost = |status: Value| {
            status["links_wanted"].as_u64().unwrap_or(0) - status["links_up"].as_u64().unwrap_or(0)
        };
        others.filter_map(|name| self.node_status(&name)).map(lost).sum()
    }

    fn is_online(&self, who: usize) -> bool {
        let status = self.people[who].try_run(&["status"]).ok().and_then(|mut lines| lines.pop());
        status.is_some_and(|status| status["online"]["state"] == "online")
    }

    /// Nobody has died whom no fault has killed, and nobody has panicked.
    ///
    /// # Errors
    /// Somebody has.
    pub(crate) fn check_processes(&mut self) -> Result<(), String> {
        for event in self.network.events() {
            let pid = event["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
            let ours = pid.is_some_and(|pid| self.killed.contains(&pid));
            if event["event"] == "error" || (event["event"] == "node_exited" && !ours) {
                return Err(format!("the supervisor tells: {event}"));
            }
        }
        self.scan_nodes()?;
        for (who, name) in NAMES.iter().enumerate() {
            self.scan(&self.people[who].profile().join("daemon.log"))?;
            let Some(now) = self.daemon_pid(who).filter(|pid| !self.killed.contains(pid)) else {
                continue;
            };
            match self.daemons[who].replace(now) {
                Some(before) if before != now => {
                    return Err(format!("{name}'s daemon died by itself"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Everybody is well: every node serves and reaches all others, every person is online with nothing queued, and
    /// nobody has grown.
    ///
    /// # Errors
    /// Somebody is not.
    pub(crate) fn check_health(&mut self) -> Result<Memory, String> {
        self.check_processes()?;
        until("every node is well", || {
            node_names().iter().all(|name| {
                self.node_status(name).is_some_and(|status| {
                    status["serving"] == true && status["links_up"] == status["links_wanted"]
                })
            })
        })?;
        for person in &self.people {
            until("everybody is well", || {
                let Ok(lines) = person.try_run(&["status"]) else { return false };
                let status = &lines[0];
                let queued = &status["queued"]["messages"];
                status["online"]["state"] == "online" && queued == 0 && status["halted"].is_null()
            })?;
        }
        let largest = |pids: Vec<u32>| pids.into_iter().map(resident_kib).max().unwrap_or(0);
        let nodes = node_names().iter().map(|name| self.node_pid(name)).collect();
        let daemons = (0..PEOPLE).filter_map(|who| self.daemon_pid(who)).collect();
        let memory = Memory { node_kib: largest(nodes), daemon_kib: largest(daemons) };
        if memory.node_kib > MAX_NODE_KIB || memory.daemon_kib > MAX_DAEMON_KIB {
            return Err(format!("somebody has grown: {memory:?}"));
        }
        Ok(memory)
    }

    /// The histories, as `read` shows them: each pair has the same messages in the same order on both sides.
    ///
    /// # Errors
    /// They differ, or lack something that was accepted.
    pub(crate) fn check_histories(&self, ledger: &Ledger) -> Result<(), String> {
        let texts = |who: usize, other: usize, direction: &str| -> Vec<String> {
            let history = self.people[who].ok(&["read", NAMES[other], "--limit", "0"]);
            let wanted = history.iter().filter(|message| message["direction"] == direction);
            wanted.map(|message| message["text"].as_str().unwrap_or_default().to_owned()).collect()
        };
        for (from, to) in pairs() {
            let (sent, received) = (texts(from, to, "out"), texts(to, from, "in"));
            if sent != received {
                return Err(format!("{} to {}: histories differ", NAMES[from], NAMES[to]));
            }
            let accepted = &ledger.lock().directions[from][to].accepted;
            let lost =
                accepted.iter().find(|n| !received.contains(&super::ledger::text(from, to, **n)));
            if let Some(lost) = lost {
                return Err(format!("{} to {}: {lost} is not there", NAMES[from], NAMES[to]));
            }
        }
        Ok(())
    }

    /// What can be said about everybody when something is wrong.
    pub(crate) fn describe(&self) -> String {
        let people =
            self.people.iter().map(|person| format!("  {:?}", person.try_run(&["status"]).ok()));
        let nodes = node_names().into_iter().map(|name| format!("  {:?}", self.node_status(&name)));
        people.chain(nodes).collect::<Vec<_>>().join("\n")
    }

    fn space(&self) -> &Space {
        self.space.as_ref().expect("plans without namespaces have no partitions")
    }

    fn node(&self, name: &str) -> Value {
        let found = self.network.nodes().into_iter().find(|node| node["name"] == name);
        found.expect("a node of this name")
    }

    fn node_pid(&self, name: &str) -> u32 {
        self.node(name)["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default()
    }

    fn node_status(&self, name: &str) -> Option<Value> {
        let node = self.node(name);
        let pid = node["pid"].as_u64()?;
        // A frozen node does not answer, and is asked in vain for seconds.
        if self.frozen.iter().any(|frozen| u64::from(*frozen) == pid) {
            return None;
        }
        let config = node["config"].as_str().expect("a path");
        let asked =
            Command::new(program()).args(["--json", "node", "status", "--config", config]).output();
        serde_json::from_slice(&asked.expect("xchat runs").stdout).ok()
    }

    fn daemon_pid(&self, who: usize) -> Option<u32> {
        let card = std::fs::read(self.people[who].profile().join("daemon.json")).ok()?;
        let card: Value = serde_json::from_slice(&card).ok()?;
        u32::try_from(card["pid"].as_u64()?).ok()
    }

    /// The daemon, which may be starting after the last kill.
    fn daemon(&self, who: usize) -> Result<u32, String> {
        let running = || self.daemon_pid(who).filter(|pid| !self.killed.contains(pid));
        until(&format!("{} has a daemon", NAMES[who]), || running().is_some())?;
        Ok(running().expect("just seen"))
    }

    fn kill_daemon(&mut self, who: usize) -> Result<(), String> {
        let pid = self.daemon(who)?;
        self.scan(&self.people[who].profile().join("daemon.log"))?;
        self.killed.push(pid);
        self.daemons[who] = None;
        signal("KILL", pid);
        Ok(())
    }

    /// Returns when the supervisor has seen its end.
    fn kill_node(&mut self, name: &str) -> Result<(), String> {
        let pid = self.node_pid(name);
        self.killed.push(pid);
        self.scan_node(name)?;
        signal("KILL", pid);
        until(&format!("{name} has ended"), || self.node_pid(name) != pid)
    }

    fn restart_node(&self, name: &str) -> Result<(), String> {
        let restart = self.node(name)["restart"].as_str().expect("a command").to_owned();
        let output = Command::new("sh").args(["-c", &restart]).output().expect("sh runs");
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{name} does not restart: {}", String::from_utf8_lossy(&output.stderr)))
    }

    fn freeze(&mut self, pid: u32) {
        signal("STOP", pid);
        self.frozen.push(pid);
    }

    fn thaw(&mut self) {
        self.frozen.drain(..).for_each(|pid| signal("CONT", pid));
    }

    fn scan_nodes(&self) -> Result<(), String> {
        node_names().iter().try_for_each(|name| self.scan_node(name))
    }

    fn scan_node(&self, name: &str) -> Result<(), String> {
        let node = self.node(name);
        self.scan(&Path::new(node["dir"].as_str().expect("a path")).join("node.log"))
    }

    /// Has whoever writes this log panicked?
    fn scan(&self, log: &Path) -> Result<(), String> {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        if text.contains("panicked") {
            return Err(format!("{}:\n{text}", log.display()));
        }
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.thaw();
        for (mut listen, _) in self.listens.drain(..).flatten() {
            let _ = listen.kill();
            let _ = listen.wait();
        }
    }
}

fn options(space: Option<&Space>, dir: &Path) -> Vec<String> {
    let shape = [
        ("--gateways", GATEWAYS.to_string()),
        ("--mixes-per-layer", MIXES_PER_LAYER.to_string()),
        ("--stores", STORES.to_string()),
    ];
    let places = space.map(|space| {
        let runner = space.write_runner(dir).to_str().expect("utf-8").to_owned();
        [("--bind-range", RANGE.to_owned()), ("--runner", runner)]
    });
    let all = shape.into_iter().chain(places.into_iter().flatten());
    all.flat_map(|(option, value)| [option.to_owned(), value]).collect()
}

fn conversations(person: &Person) -> BTreeMap<String, usize> {
    let contacts = person.ok(&["contacts"]);
    let entry = |contact: &Value| {
        let who = NAMES.iter().position(|name| contact["name"] == *name).expect("one of them");
        (contact["conversation"].as_str().expect("an id").to_owned(), who)
    };
    contacts.iter().map(entry).collect()
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), String> {
    let end = Instant::now() + SOON;
    while !holds() {
        if Instant::now() > end {
            return Err(format!("waiting until {what}: in vain"));
        }
        std::thread::sleep(ASK_EVERY);
    }
    Ok(())
}
