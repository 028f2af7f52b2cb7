//! What the demo shows: one line for each thing that happens.

use std::collections::{BTreeMap, VecDeque};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc;

use super::person::Event;

/// After the end of the input, how long the last messages may take to arrive.
const LAST_WAIT: Duration = Duration::from_secs(60);

/// The terminal.
pub(super) struct Screen {
    names: [&'static str; 2],
    writer: usize,
    /// It is a terminal: with colours and a prompt.
    colour: bool,
    /// When the texts of each writer that have not arrived yet were typed, oldest first.
    typed: [VecDeque<Instant>; 2],
    /// Texts of outgoing messages, by writer and id, until they are delivered.
    sent: BTreeMap<(usize, u64), String>,
}

impl Screen {
    pub(super) fn new(names: [&'static str; 2]) -> Self {
        let colour = std::io::stdout().is_terminal();
        Self { names, writer: 0, colour, typed: Default::default(), sent: BTreeMap::new() }
    }

    pub(super) fn welcome(&self, dir: &Path) {
        println!();
        println!("running: 9 nodes and 2 people, each a process of its own ({})", dir.display());
        println!("every message goes: app → gateway → mix → mix → mix → stores → mixes → app");
        println!("type a message and press Enter; /switch to be the other one; Ctrl-C to stop");
        println!();
        self.prompt();
    }

    pub(super) fn prompt(&self) {
        if !self.colour {
            return;
        }
        print!("{} ▸ ", self.painted(self.writer));
        let _ = std::io::stdout().flush();
    }

    pub(super) fn writer(&self) -> usize {
        self.writer
    }

    pub(super) fn switch(&mut self) {
        self.writer = 1 - self.writer;
        self.prompt();
    }

    /// A text was typed and is on its way.
    pub(super) fn typed(&mut self) {
        self.typed[self.writer].push_back(Instant::now());
        self.prompt();
    }

    /// Shows an event of one person's `listen`.
    pub(super) fn show(&mut self, who: usize, event: &Value) {
        if event["event"] == "failed" {
            return self.line(&format!("! {}", event["message"].as_str().unwrap_or_default()));
        }
        let id = event["id"].as_u64().unwrap_or(0);
        let text = event["text"].as_str().unwrap_or_default();
        let state = event["state"].as_str().unwrap_or_default();
        match event["event"].as_str() {
            Some("message") if event["direction"] == "in" => self.arrived(who, text),
            Some("message") => drop(self.sent.insert((who, id), text.to_owned())),
            Some("message_state") => self.moved(who, id, state),
            _ => {}
        }
    }

    fn arrived(&mut self, who: usize, text: &str) {
        let typed = self.typed[1 - who].pop_front();
        let took = typed.map(|at| format!("   ({:.1} s)", at.elapsed().as_secs_f64()));
        let took = took.unwrap_or_default();
        let (name, from) = (self.painted(who), self.painted(1 - who));
        self.line(&format!("    {name} sees ◂ {from}: {text}{took}"));
    }

    fn moved(&mut self, who: usize, id: u64, state: &str) {
        // Of the two states that matter to a person, one is enough on a busy screen.
        if state == "delivered"
            && let Some(text) = self.sent.remove(&(who, id))
        {
            let name = self.painted(who);
            self.line(&format!("    {name}: ✓✓ delivered: {text}"));
        }
    }

    /// Waits for what was typed and has not arrived yet.
    pub(super) async fn drain(&mut self, events: &mut mpsc::Receiver<Event>) {
        let wait = async {
            while self.typed.iter().any(|typed| !typed.is_empty()) {
                let Some((who, event)) = events.recv().await else { break };
                self.show(who, &event);
            }
        };
        if tokio::time::timeout(LAST_WAIT, wait).await.is_err() {
            println!("\nnot everything has arrived; it will with the next run");
        }
    }

    fn line(&self, text: &str) {
        if self.colour {
            // Over the prompt, and a new prompt below.
            println!("\r{text}\x1b[K");
            self.prompt();
        } else {
            println!("{text}");
        }
    }

    fn painted(&self, who: usize) -> String {
        let text = self.names[who];
        if !self.colour {
            return text.to_owned();
        }
        let code = if who == 0 { 36 } else { 35 };
        format!("\x1b[1;{code}m{text}\x1b[0m")
    }
}
