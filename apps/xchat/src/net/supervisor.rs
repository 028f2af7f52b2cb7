//! The supervisor: starts the nodes, watches them, keeps the document fresh, and stops them all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use xchat_base::Timestamp;
use xchat_server::control::{self, NodeStatus};
use xchat_server::node::directory::Incarnation;
use xchat_server::{RoleName, clock, files as disk};

use super::authority::RENEW_AFTER;
use super::child::{Ended, Node, exit_fields, log_tail};
use super::plan::Plan;
use super::request::{Answer, Request, Requests};
use super::{UpArgs, broken, files};
use crate::failure::{Failure, exit};
use crate::signal::Interrupts;

/// A node that does not serve by then has failed to start.
const START_WITHIN: Duration = Duration::from_secs(40);

/// A node that starts alone while others are away is let be after this, connected or not.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How many nodes may lose their ports to other programs while a network starts.
const MAX_MOVES: u32 = 8;

/// A node that was asked to stop is killed after this long.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How often nodes that start are asked whether they serve, and how long one may take to answer.
const ASK_EVERY: Duration = Duration::from_millis(50);
const ASK_TIMEOUT: Duration = Duration::from_millis(500);

/// How often the document's age is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Runs a network until it is told to stop.
pub(super) async fn up(args: &UpArgs) -> Result<(), Failure> {
    let mut interrupts = Interrupts::new().map_err(|error| broken("signals", &error))?;
    disk::private_dir(&args.dir).map_err(|error| broken(args.dir.display(), &error))?;
    // Commands in nodes.json and paths in configurations hold wherever they are used.
    let dir =
        std::fs::canonicalize(&args.dir).map_err(|error| broken(args.dir.display(), &error))?;
    let mut requests = Requests::open(&dir).await?;
    let lock = requests.lock().map_err(|error| broken("the lock", &error))?;
    let mut supervisor = Supervisor::prepare(dir, args, lock)?;
    let result = tokio::select! {
        result = supervisor.run(&mut requests, &mut interrupts) => result,
        () = crate::node::stdin_closed(args.until_stdin_closes) => Ok(()),
    };
    supervisor.stop().await;
    drop(requests);
    if result.is_ok() {
        emit(&json!({ "event": "stopped" }));
    }
    result
}

/// One line for whoever watches; that nobody does is no reason to stop.
fn emit(event: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{event}").and_then(|()| out.flush());
}

struct Supervisor {
    dir: PathBuf,
    plan: Plan,
    /// What starts the nodes, if they are not started directly.
    runner: Option<PathBuf>,
    /// The directory's lock, which every node holds as well.
    lock: File,
    slots: Vec<Slot>,
    ended: mpsc::UnboundedReceiver<Ended>,
    end: mpsc::UnboundedSender<Ended>,
    renewed: Timestamp,
    started: Timestamp,
    /// What each mix had passed on in all when it last told, and when that was.
    forwarded: BTreeMap<usize, (u64, Timestamp)>,
    /// Whether every node has served once.
    ready: bool,
    /// Nodes that have moved to another port since the start.
    moves: u32,
}

/// A node's place: whether it runs, and who waits for what.
#[derive(Default)]
struct Slot {
    node: Option<Node>,
    /// Since when it starts; `None` once it serves.
    starting: Option<Instant>,
    /// When it is killed, if it was asked to stop.
    stopping: Option<Instant>,
    /// Who wants it started again.
    waiting: Vec<oneshot::Sender<Answer>>,
}

impl Slot {
    fn answer(&mut self, answer: impl Fn() -> Answer) {
        for waiting in self.waiting.drain(..) {
            // Whoever asked may have gone.
            let _ = waiting.send(answer());
        }
    }
}

impl Supervisor {
    fn prepare(dir: PathBuf, args: &UpArgs, lock: File) -> Result<Self, Failure> {
        let mut plan = Plan::load_or_new(&dir, args)?;
        plan.save(&dir)?;
        files::make_tables(&mut plan, &dir)?;
        let renewed = clock::now();
        files::renew(&mut plan, &dir, renewed)?;
        let (end, ended) = mpsc::unbounded_channel();
        let slots = plan.nodes.iter().map(|_| Slot::default()).collect();
        let runner = args.runner.clone();
        Ok(Self {
            dir,
            plan,
            runner,
            lock,
            slots,
            ended,
            end,
            renewed,
            started: renewed,
            forwarded: BTreeMap::new(),
            ready: false,
            moves: 0,
        })
    }

    async fn run(
        &mut self,
        requests: &mut Requests,
        interrupts: &mut Interrupts,
    ) -> Result<(), Failure> {
        for index in 0..self.slots.len() {
            self.start(index)?;
        }
        loop {
            let pause = if self.is_busy() { ASK_EVERY } else { LOOK_EVERY };
            tokio::select! {
                () = interrupts.next() => return Ok(()),
                Some(ended) = self.ended.recv() => self.on_end(ended)?,
                request = requests.next() => self.on_request(request)?,
                () = sleep(pause) => self.look().await?,
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.slots.iter().any(|slot| slot.starting.is_some() || slot.stopping.is_some())
    }

    fn start(&mut self, index: usize) -> Result<(), Failure> {
        let planned = &self.plan.nodes[index];
        let runner = self.runner.as_deref();
        let lock = self.lock.try_clone().map_err(|error| broken("the lock", &error))?;
        let node = Node::start(index, planned, &self.dir, runner, lock, self.end.clone())?;
        let slot = &mut self.slots[index];
        slot.node = Some(node);
        slot.starting = Some(Instant::now());
        slot.stopping = None;
        Ok(())
    }

    fn write_nodes(&self) -> Result<(), Failure> {
        let pids: Vec<_> =
            self.slots.iter().map(|slot| slot.node.as_ref().map(|node| node.pid)).collect();
        files::write_nodes(&self.plan, &self.dir, &pids)
    }

    fn node_event(&self, event: &str, index: usize, more: Value) -> Value {
        let node = &self.plan.nodes[index];
        let mut line = json!({
            "event": event,
            "node": node.name,
            "role": node.role.as_str(),
            "dir": node.dir(&self.dir),
        });
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        line
    }

    /// A node has ended: because it was asked to, or it is news.
    fn on_end(&mut self, ended: Ended) -> Result<(), Failure> {
        let Ended { index, pid, status } = ended;
        let slot = &mut self.slots[index];
        if slot.node.as_ref().is_none_or(|node| node.pid != pid) {
            return Ok(());
        }
        slot.node = None;
        if slot.stopping.take().is_some() {
            return self.start_again(index);
        }
        let starting = slot.starting.take().is_some();
        if starting && self.move_if_taken(index)? {
            return self.start(index);
        }
        let dir = self.plan.nodes[index].dir(&self.dir);
        let name = self.plan.nodes[index].name.clone();
        if starting {
            let why = format!("{name} did not start; its log ends with:\n{}", log_tail(&dir));
            if !self.ready {
                return Err(Failure::new(exit::UNAVAILABLE, "node_failed", why));
            }
            self.slots[index].answer(|| Answer::Failed(why.clone()));
        }
        let mut more = exit_fields(&status);
        more["pid"] = json!(pid);
        emit(&self.node_event("node_exited", index, more));
        self.write_nodes_if_ready()
    }

    /// Between the look at a port and the node's start another program may take it, such as another network
    /// that starts at the same time. Nobody has been told of the port before the network is ready: the node
    /// moves, and the next document lists its new place. Returns whether it has moved.
    fn move_if_taken(&mut self, index: usize) -> Result<bool, Failure> {
        if self.ready || self.moves >= MAX_MOVES || !self.plan.move_if_taken(index)? {
            return Ok(false);
        }
        self.moves += 1;
        self.renewed = clock::now();
        files::renew(&mut self.plan, &self.dir, self.renewed)?;
        emit(&self.node_event("node_moved", index, json!({})));
        Ok(true)
    }

    fn start_again(&mut self, index: usize) -> Result<(), Failure> {
        // Its directory may have been emptied; its keys are the plan's.
        let started = files::prepare(&self.plan.nodes[index], &self.dir, self.plan.tuning())
            .and_then(|()| self.start(index));
        if let Err(failure) = started {
            self.slots[index].answer(|| Answer::Failed(failure.message.clone()));
        }
        self.write_nodes_if_ready()
    }

    fn write_nodes_if_ready(&self) -> Result<(), Failure> {
        if self.ready { self.write_nodes() } else { Ok(()) }
    }

    fn on_request(&mut self, request: Request) -> Result<(), Failure> {
        let Request { node, answer } = request;
        let named = |planned: &super::plan::PlannedNode| {
            planned.name == node || planned.id().is_ok_and(|id| id.to_hex() == node)
        };
        let Some(index) = self.plan.nodes.iter().position(named) else {
            let _ = answer.send(Answer::Unknown);
            return Ok(());
        };
        let slot = &mut self.slots[index];
        slot.waiting.push(answer);
        match &mut slot.node {
            None => self.start_again(index),
            // One that starts already is waited for.
            Some(_) if slot.starting.is_some() => Ok(()),
            Some(running) => {
                running.ask_to_stop();
                slot.stopping.get_or_insert(Instant::now() + STOP_WITHIN);
                Ok(())
            }
        }
    }

    /// What time brings: nodes that serve now, nodes that will not stop, a document that ages.
    async fn look(&mut self) -> Result<(), Failure> {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if slot.stopping.is_some_and(|end| Instant::now() >= end)
                && let Some(node) = &mut slot.node
            {
                node.kill();
            }
            if let Some(since) = slot.starting {
                self.look_at(index, since).await?;
            }
        }
        if !self.ready && self.slots.iter().all(|slot| slot.starting.is_none()) {
            self.ready = true;
            self.write_nodes()?;
            emit(&json!({
                "event": "ready",
                "network": files::network_path(&self.dir),
                "nodes": self.slots.len(),
            }));
        }
        let now = clock::now();
        if now.since(self.renewed) >= RENEW_AFTER {
            let reports = self.reports(now).await;
            self.plan.rule_mix_delay(&reports);
            self.renewed = now;
            if let Err(failure) = files::renew(&mut self.plan, &self.dir, now) {
                // Half of the validity is left to mend it; the next renewal tries again.
                emit(&json!({ "event": "error", "message": failure.message }));
            }
        }
        Ok(())
    }

    /// The packets a second that each mix has passed on since it was last asked; of those that answer, and have run since
    /// then. The first time, since the network was started.
    async fn reports(&mut self, now: Timestamp) -> Vec<f64> {
        let mut reports = Vec::new();
        for index in 0..self.plan.nodes.len() {
            if self.plan.nodes[index].role != RoleName::Mix {
                continue;
            }
            let status = ask(&self.plan.nodes[index].dir(&self.dir)).await;
            let Some(forwarded) = status.and_then(|s| s.counters.get("forwarded").copied()) else {
                continue;
            };
            let (before, since) =
                self.forwarded.insert(index, (forwarded, now)).unwrap_or((0, self.started));
            reports.extend(rate(before, forwarded, now.since(since)));
        }
        reports
    }

    /// Asks a node that starts whether it serves.
    async fn look_at(&mut self, index: usize, since: Instant) -> Result<(), Failure> {
        let dir = self.plan.nodes[index].dir(&self.dir);
        let waited = since.elapsed();
        let status = ask(&dir).await;
        let pid = self.slots[index].node.as_ref().map(|node| node.pid);
        let status = status.filter(|status| Some(status.pid) == pid);
        let up = status.as_ref().is_some_and(|status| {
            let patient = self.ready && waited >= CONNECT_WITHIN;
            (status.serving || status.catching_up)
                && (status.links_up == status.links_wanted || patient)
        });
        if up && let Some(status) = &status {
            self.relist_if_wiped(index, status)?;
        }
        let slot = &mut self.slots[index];
        if up {
            slot.starting = None;
            if let Some(pid) = pid.filter(|_| self.ready) {
                slot.answer(|| Answer::Pid(pid));
                emit(&self.node_event("node_started", index, json!({ "pid": pid })));
                return self.write_nodes();
            }
        } else if waited >= START_WITHIN {
            slot.starting = None;
            let name = &self.plan.nodes[index].name;
            let why = format!("{name} does not serve; its log ends with:\n{}", log_tail(&dir));
            if !self.ready {
                return Err(Failure::new(exit::UNAVAILABLE, "node_failed", why));
            }
            slot.answer(|| Answer::Failed(why.clone()));
        }
        Ok(())
    }

    /// A store that came back with another table than the document lists was wiped, or is new: the next
    /// document lists that table, and the store copies its boxes from the others.
    fn relist_if_wiped(&mut self, index: usize, status: &NodeStatus) -> Result<(), Failure> {
        let planned = self.plan.nodes[index].store.as_ref().and_then(|store| store.incarnation);
        let table =
            status.table.as_ref().and_then(|table| Incarnation::from_hex(&table.incarnation));
        let Some(incarnation) = table.filter(|table| planned.is_some() && planned != Some(*table))
        else {
            return Ok(());
        };
        self.plan.relist(index, incarnation)?;
        self.renewed = clock::now();
        files::renew(&mut self.plan, &self.dir, self.renewed)?;
        let placement = json!({ "placement": self.plan.placement });
        emit(&self.node_event("store_relisted", index, placement));
        Ok(())
    }

    /// Stops every node; returns when the last has ended.
    async fn stop(&mut self) {
        for slot in &mut self.slots {
            slot.answer(|| Answer::Failed("the network is stopping".to_owned()));
            if let Some(node) = &mut slot.node {
                node.ask_to_stop();
            }
        }
        if timeout(STOP_WITHIN, self.all_ended()).await.is_err() {
            for node in self.slots.iter_mut().filter_map(|slot| slot.node.as_mut()) {
                node.kill();
            }
            self.all_ended().await;
        }
    }

    async fn all_ended(&mut self) {
        while self.slots.iter().any(|slot| slot.node.is_some()) {
            // This struct holds a sender: the channel cannot end.
            let Some(Ended { index, .. }) = self.ended.recv().await else { return };
            self.slots[index].node = None;
        }
    }
}

/// Nothing of a node that has started again meanwhile, which counts from nothing.
fn rate(before: u64, after: u64, between: Duration) -> Option<f64> {
    let seconds = between.as_secs_f64();
    after.checked_sub(before).filter(|_| seconds > 0.0).map(|count| count as f64 / seconds)
}

async fn ask(dir: &Path) -> Option<NodeStatus> {
    timeout(ASK_TIMEOUT, control::query(dir)).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_time_since_the_last_answer_and_of_one_life() {
        let hours = |n: u64| Duration::from_secs(3_600 * n);
        assert_eq!(rate(0, 36_000, hours(1)), Some(10.0));
        // A mix that did not answer in between: over twice the time.
        assert_eq!(rate(36_000, 108_000, hours(2)), Some(10.0));
        assert_eq!(rate(36_000, 1_000, hours(1)), None);
        assert_eq!(rate(0, 1, Duration::ZERO), None);
    }
}
