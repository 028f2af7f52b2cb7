//! `xchat node`: one node of a network, in the foreground.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tracing_subscriber::filter::LevelFilter;
use xchat_server::control::{self, Load, NodeStatus, TableStatus};
use xchat_server::link::LinkError;
use xchat_server::{NodeConfig, NodeError, Prepared};

use crate::failure::{Failure, exit};
use crate::signal::Interrupts;
use crate::{Global, log};

/// A node that was told to stop has so long to do it by itself.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// What `xchat node` understands.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    command: Option<NodeCommand>,
    /// The node's configuration file.
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// Stop when standard input closes: then no node outlives whoever started it.
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// Look at configuration, keys and network file without starting anything.
    Check(ConfigArg),
    /// Ask the running node how it is.
    Status(ConfigArg),
}

#[derive(Debug, Args)]
struct ConfigArg {
    /// The node's configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs the command.
pub(crate) fn run(global: &Global, args: NodeArgs) -> ExitCode {
    let result = match (args.command, args.config) {
        (Some(NodeCommand::Check(ConfigArg { config })), _) => check(global, &config),
        (Some(NodeCommand::Status(ConfigArg { config })), _) => status(global, &config),
        (None, Some(config)) => serve(&config, args.until_stdin_closes),
        (None, None) => Err(Failure::new(exit::USAGE, "usage", "--config FILE is missing")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(global.json),
    }
}

fn serve(config: &Path, until_stdin_closes: bool) -> Result<(), Failure> {
    log_to_stderr()?;
    let config = NodeConfig::read(config).map_err(|error| failure(error.into()))?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::from((exit::INTERNAL, "internal", error)))?;
    let result = runtime.block_on(async {
        let mut interrupts = Interrupts::new()
            .map_err(|error| Failure::from((exit::INTERNAL, "internal", error)))?;
        let closed = stdin_closed(until_stdin_closes);
        let shutdown = async move {
            tokio::select! {
                () = interrupts.next() => {}
                () = closed => {}
            }
            // Whatever holds it up then is a bug, and must not keep a process alive.
            std::thread::spawn(|| {
                std::thread::sleep(STOP_WITHIN);
                std::process::exit(i32::from(exit::INTERNAL));
            });
        };
        xchat_server::run(config, shutdown).await.map_err(failure)
    });
    runtime.shutdown_background();
    result
}

/// Resolves when standard input ends; never, if nobody asked for that.
pub(crate) async fn stdin_closed(wanted: bool) {
    let (closed, told) = oneshot::channel::<()>();
    if wanted {
        std::thread::spawn(move || {
            let mut rest = [0u8; 64];
            while matches!(io::stdin().read(&mut rest), Ok(1..)) {}
            drop(closed);
        });
        let _ = told.await;
    } else {
        std::future::pending::<()>().await;
    }
}

fn check(global: &Global, config: &Path) -> Result<(), Failure> {
    let config = NodeConfig::read(config).map_err(|error| failure(error.into()))?;
    let role = config.role;
    let node = Prepared::load(config).map_err(failure)?;
    let document = node.document();
    if global.json {
        let found = json!({
            "ok": true,
            "role": role.as_str(),
            "id": node.id().to_hex(),
            "network": node.network(),
            "epoch": document.epoch,
            "valid_until": document.valid_until.as_millis(),
        });
        println!("{found}");
    } else {
        println!("{role} {} of {}: ready to start", node.id().to_hex(), node.network());
    }
    Ok(())
}

fn status(global: &Global, config: &Path) -> Result<(), Failure> {
    let config = NodeConfig::read(config).map_err(|error| failure(error.into()))?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from((exit::INTERNAL, "internal", error)))?;
    let status =
        runtime.block_on(control::query(&config.dir)).map_err(|error| not_running(&error))?;
    if global.json {
        println!("{}", serde_json::to_string(&status).expect("numbers and strings serialise"));
    } else {
        print_status(&status);
    }
    Ok(())
}

fn not_running(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            let failure = Failure::new(exit::UNAVAILABLE, "not_running", "the node does not run");
            failure.hint("start it: xchat node --config FILE")
        }
        io::ErrorKind::TimedOut => {
            Failure::new(exit::UNAVAILABLE, "no_answer", "the node runs and does not answer")
        }
        _ => Failure::new(exit::INTERNAL, "internal", format!("cannot ask the node: {error}")),
    }
}

fn print_status(status: &NodeStatus) {
    let state = match (status.serving, status.catching_up) {
        (true, _) => "serving",
        (false, true) => "catching up: it does not answer for all of its boxes yet",
        (false, false) => "not serving: the network document has expired",
    };
    println!("{} {}: {state}", status.role, status.id);
    println!("  process {}, version {}", status.pid, status.version);
    println!("  network document {}", status.epoch);
    if let Some(load) = &status.load {
        println!("  {}", load_text(load));
    }
    if let Some(table) = &status.table {
        println!("  table {} in placement {}", table.incarnation, table.placement);
        println!(
            "  boxes refilled {}, stores left to copy from {}",
            table.refilled, table.sources_left
        );
        println!("  {}", room_text(table));
    }
    println!("  links {} of {}", status.links_up, status.links_wanted);
    println!("  frames dropped {}", status.frames_dropped);
    if let Some(loops) = &status.loops {
        for mix in &loops.failing_mixes {
            println!("  mix {mix} fails: too few of this gateway's loops come back through it");
        }
        if loops.losing {
            println!(
                "  many loops are lost: somebody drops or delays packets, or keeps them from mixes"
            );
        }
    }
    for node in &status.repeating {
        println!(
            "  {node} sends packets twice: nothing of it is taken for an hour if it is a mix; if not, its clients may do it"
        );
    }
    for (name, count) in &status.counters {
        println!("  {} {count}", name.replace('_', " "));
    }
}

fn room_text(table: &TableStatus) -> String {
    let mib = |bytes: u64| bytes >> 20;
    let used = mib(table.bytes);
    match (table.max_bytes, table.full) {
        (None, _) => format!("{used} MiB on the disk"),
        (Some(most), false) => format!("{used} of {} MiB on the disk", mib(most)),
        (Some(most), true) => {
            format!("{used} of {} MiB on the disk: full, new boxes are refused", mib(most))
        }
    }
}

fn load_text(load: &Load) -> String {
    match load {
        Load::Gateway { sessions, max_sessions, full, proof_attempts, line } => {
            let state = if *full { "full, newcomers are turned away" } else { "open" };
            let millions = *proof_attempts as f64 / 1e6;
            let line = line.map_or_else(String::new, |line| {
                let (used, most) = (line.kbit_per_s / 1_000, line.max_kbit_per_s / 1_000);
                format!(", which may take {used} of {most} Mbit/s")
            });
            format!(
                "{state}: {sessions} of {max_sessions} sessions{line}; the next one costs its client \
                 {millions:.1} million hashes"
            )
        }
        Load::Store { busy: true } => {
            "busy: more waits than the disk or the processor works off; new writes are refused"
                .to_owned()
        }
        Load::Store { busy: false } => "keeping up".to_owned(),
        _ => "under a load that this program does not know".to_owned(),
    }
}

/// An operator's errors by what they can do about them.
pub(crate) fn failure(error: NodeError) -> Failure {
    let (exit, code, hint) = match &error {
        NodeError::Config(_) => (exit::INVALID, "config", "see docs/operate/node.md"),
        error if error.is_disk_full() => (
            exit::UNAVAILABLE,
            "disk_full",
            "free some space and start the node again; nothing that it has answered for is lost",
        ),
        NodeError::Key(_) => (
            exit::INVALID,
            "key",
            "restore the file from a backup: with another key it is another node",
        ),
        NodeError::NetworkFile { .. } => (exit::INVALID, "network_file", ""),
        NodeError::Document { .. } => {
            (exit::INVALID, "document", "get the network's current file from its operators")
        }
        NodeError::Start(_) => {
            (exit::INVALID, "not_listed", "ask the network's operators to list this node as it is")
        }
        NodeError::Link(LinkError::Bind { .. }) => {
            (exit::UNAVAILABLE, "address", "is another program, or another node, using it?")
        }
        NodeError::Metrics { .. } => (
            exit::UNAVAILABLE,
            "address",
            "does another program, or another node, use it? Is it this machine's?",
        ),
        NodeError::Running { .. } => (exit::UNAVAILABLE, "already_running", ""),
        NodeError::Table(error) if error.is_loss() => (
            exit::INVALID,
            "table_lost",
            "nothing was started. Put the newest `boxes` and `boxes.mark` back; if they are lost, move both \
             away: the store then begins as another incarnation, which the network must list",
        ),
        NodeError::Table(_) => (
            exit::UNAVAILABLE,
            "table",
            "is the disk whole, and not full? then start the node again",
        ),
        NodeError::File { .. } => {
            (exit::UNAVAILABLE, "file", "can the node's directory be read and written by its user?")
        }
        _ => (exit::INTERNAL, "internal", ""),
    };
    Failure::from((exit, code, error)).hint(hint)
}

/// Lines about the life of the process. `XCHAT_LOG` turns it up, and the log says so.
fn log_to_stderr() -> Result<(), Failure> {
    let level = log::start(&["xchat", "xchat_server"], LevelFilter::INFO)?;
    if level > LevelFilter::INFO {
        tracing::warn!(%level, "logging more than a node in service should");
    }
    Ok(())
}
