//! `xchat demo`: a whole local network and two people on it, each with their own page.
//!
//! Everything is real: each node its own process, each person their own profile and daemon, and the
//! demo does only what a person could do with the command line.

mod person;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use clap::Args;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use self::person::Person;
use crate::failure::{Failure, exit};
use crate::signal::{self, Interrupts};

/// What `xchat demo` understands.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where network and people live; kept for the next run.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Forget the last run and start over.
    #[arg(long)]
    fresh: bool,
    /// Packets a second of each person: 4 is the pace "fast".
    #[arg(long, default_value_t = 4)]
    rate: u32,
    /// Cells a second on each link between two nodes, whether there is something to say or not.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    link_rate: u32,
    /// Print the addresses of the pages instead of opening them.
    #[arg(long)]
    print: bool,
}

/// Runs the demo until the person leaves it.
pub(crate) fn run(args: &DemoArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(demo(args));
            // A read of the terminal may still be under way, and nothing can end it.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(internal("cannot start", &error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(false),
    }
}

fn internal(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::new(exit::INTERNAL, "demo_failed", format!("{what}: {error}"))
}

async fn demo(args: &DemoArgs) -> Result<(), Failure> {
    let (dir, _lock) = directory(args).await?;
    let mut interrupts =
        Interrupts::new().map_err(|error| internal("cannot wait for signals", &error))?;
    println!("starting a local network: 2 gateways, 3 mixes, 4 stores …");
    let mut network = Network::up(&dir, args.rate, args.link_rate).await?;
    let pages = tokio::select! {
        result = pages(&dir, args.print) => result,
        () = interrupts.next() => Ok(()),
    };
    println!("\nstopping …");
    for name in NAMES {
        Person::at(&dir, name).stop().await;
    }
    network.down().await?;
    println!("stopped. The next `demo` goes on where this one ended; `--fresh` starts over.");
    pages
}

const NAMES: [&str; 2] = ["alice", "bob"];

/// In a directory of the demo. Whoever runs there holds its lock.
const MARKER: &str = "xchat-demo";

/// What the demo makes there besides, and all that `--fresh` deletes.
const NETWORK: &str = "network";
const INVITATION: &str = "invitation";

/// The directory, and its lock.
async fn directory(args: &DemoArgs) -> Result<(PathBuf, File), Failure> {
    let dir = match (&args.dir, std::env::var_os("HOME")) {
        (Some(dir), _) => dir.clone(),
        (None, Some(home)) => Path::new(&home).join(".local/share/xchat-demo"),
        (None, None) => {
            let failure = Failure::new(exit::USAGE, "no_directory", "where should the demo live?");
            return Err(failure.hint("pass --dir DIR"));
        }
    };
    let marker = dir.join(MARKER);
    if args.fresh && dir.exists() && !marker.exists() {
        let text = format!("{} was not made by the demo", dir.display());
        let failure = Failure::new(exit::INVALID, "not_a_demo", text);
        return Err(failure.hint("pass another --dir, or delete it yourself"));
    }
    std::fs::create_dir_all(&dir).map_err(|e| internal("cannot create the directory", &e))?;
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&marker);
    let lock = lock.map_err(|e| internal("cannot write there", &e))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let text = format!("a demo is running in {}", dir.display());
            let failure = Failure::new(exit::UNAVAILABLE, "already_running", text);
            return Err(failure.hint("end it with Ctrl-C, or pass another --dir"));
        }
        Err(TryLockError::Error(error)) => return Err(internal("cannot lock there", &error)),
    }
    // Whoever has the demo's lock is the only one who runs a network there: the last run's, if it was killed, ends just now.
    let network = dir.join(NETWORK);
    if network.exists() {
        crate::net::wait_until_stopped(&network).await?;
    }
    if args.fresh {
        forget(&dir).await?;
    }
    Ok((dir, lock))
}

/// Deletes what the last run has left. If it was killed, its daemons may still run.
async fn forget(dir: &Path) -> Result<(), Failure> {
    for name in NAMES {
        let person = Person::at(dir, name);
        person.stop().await;
        if person.is_online() {
            let text = format!("the last run's {name} cannot be stopped");
            return Err(Failure::new(exit::UNAVAILABLE, "already_running", text));
        }
    }
    let gone = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(internal("cannot delete the last run", &error))
        }
        _ => Ok(()),
    };
    for part in NAMES.into_iter().chain([NETWORK]) {
        gone(std::fs::remove_dir_all(dir.join(part)))?;
    }
    gone(std::fs::remove_file(dir.join(INVITATION)))
}

/// The local network: `xchat net up` as a child.
struct Network {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Network {
    async fn up(dir: &Path, rate: u32, link_rate: u32) -> Result<Self, Failure> {
        let mut child = Command::new(own_binary()?)
            .args(["--json", "net", "up", "--until-stdin-closes"])
            .args(["--mix-delay", "50", "--rate", &rate.to_string()])
            .args(["--link-rate", &link_rate.to_string()])
            .arg("--dir")
            .arg(dir.join(NETWORK))
            // Held until the demo ends, however it ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Its own group: Ctrl-C is for the demo, which stops the people first.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| internal("cannot start the network", &error))?;
        let stdout = child.stdout.take().expect("piped above");
        let mut lines = BufReader::new(stdout).lines();
        loop {
            let line = lines.next_line().await.map_err(|e| internal("the network's output", &e))?;
            let Some(line) = line else {
                return Err(Failure::new(
                    exit::UNAVAILABLE,
                    "network_failed",
                    "the local network did not start; its message is above",
                ));
            };
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["event"] == "ready" {
                return Ok(Self { child, lines });
            }
        }
    }

    async fn down(&mut self) -> Result<(), Failure> {
        if let Some(pid) = self.child.id() {
            signal::terminate(pid);
        }
        while let Ok(Some(_)) = self.lines.next_line().await {}
        let status = self.child.wait().await;
        let status = status.map_err(|error| internal("cannot wait for the network", &error))?;
        if status.success() {
            return Ok(());
        }
        let text = format!("the network ended with {status}");
        Err(Failure::new(exit::INTERNAL, "network_failed", text))
    }
}

fn own_binary() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| internal("cannot find the program itself", &error))
}

/// Two people in contact, and a page for each, until the input ends.
async fn pages(dir: &Path, print: bool) -> Result<(), Failure> {
    let people = NAMES.map(|name| Person::at(dir, name));
    for person in &people {
        person.init_if_new(&dir.join(NETWORK).join("network.json")).await?;
    }
    person::meet_if_strangers(&people, &dir.join(INVITATION)).await?;
    println!("running: 9 nodes and 2 people, each a process of its own ({})", dir.display());
    println!("what they write: page → gateway → mix → mix → mix → stores → mixes → page");
    println!("Enter opens both pages again; Ctrl-C ends everything");
    let mut typed = BufReader::new(tokio::io::stdin()).lines();
    loop {
        for person in &people {
            match person.open(print).await? {
                None => println!("{}: opened in the browser", person.name()),
                Some(address) => println!("{}: {address}", person.name()),
            }
        }
        let line = typed.next_line().await;
        if line.map_err(|error| internal("cannot read what you type", &error))?.is_none() {
            return Ok(());
        }
    }
}
