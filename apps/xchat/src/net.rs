//! `xchat net`: a whole local network, every node its own process.
//!
//! ```text
//!   net up ── plan (secrets.json) ── authority ──▶ network.json (signed, kept fresh)
//!     │                                └─────────▶ nodes/NAME/{node.toml, node.key, hop/}
//!     └── supervisor ── xchat node … ×9 ──▶ nodes.json
//!              ▲
//!   net restart┘ (control socket)
//! ```
//!
//! `net renew` does the authority's part alone, for nodes that somebody else starts.
//!
//! For one machine: all authorities' keys lie in one file, and every socket is bound to loopback, unless
//! `--bind-range` says otherwise.

mod addresses;
mod authority;
mod child;
mod files;
mod plan;
mod renew;
mod request;
mod supervisor;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use tokio::runtime::{Builder, Runtime};

use self::addresses::BindRange;
use crate::Global;
use crate::failure::{Failure, exit};

/// What `xchat net` understands.
#[derive(Debug, Args)]
pub(crate) struct NetArgs {
    #[command(subcommand)]
    command: NetCommand,
}

#[derive(Debug, Subcommand)]
enum NetCommand {
    /// Start a local network and stay in the foreground; a second run continues it.
    Up(UpArgs),
    /// Start one of its nodes again: one that died, or one that runs.
    Restart(RestartArgs),
    /// Make a network's keys and its next document, for nodes that are started elsewhere. Starts nothing.
    Renew(renew::RenewArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct UpArgs {
    /// Where the network lives.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Gateways, 1 to 32; 2 if the network is new.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) gateways: Option<u8>,
    /// Mixes in each of the three layers, 1 to 32; 1 if the network is new.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) mixes_per_layer: Option<u8>,
    /// Stores, 3 to 64; 4 if the network is new.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(3..=64))]
    pub(crate) stores: Option<u8>,
    /// Packets a second that every client sends, whatever its pace.
    #[arg(long, value_name = "R", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// Mean delay of a mix in milliseconds, 0 to 10000, or "auto": what makes a mix hold 30 packets, by the median of what
    /// the mixes pass on, with each new document; 50 if the network is new.
    #[arg(long, value_name = "MS", value_parser = mix_delay)]
    pub(crate) mix_delay: Option<MixDelay>,
    /// Sessions that each gateway takes, 1 to 10000; 10000 if the network is new.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_sessions: Option<u32>,
    /// Cells a second on each link between two nodes, 0 to 1000, whether there is something to say or not: at least
    /// twice the packets that all clients send a second. 100 if the network is new; 0 hides nothing on these links.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub(crate) link_rate: Option<u32>,
    /// Give each node an address of its own from this block (127.1.0.0/24) instead of 127.0.0.1; of a new network.
    #[arg(long, value_name = "BLOCK")]
    pub(crate) bind_range: Option<BindRange>,
    /// Start each node as "FILE NAME COMMAND…": to put it into a namespace or a control group, or under a
    /// profiler. FILE must become the command (exec).
    #[arg(long, value_name = "FILE")]
    pub(crate) runner: Option<PathBuf>,
    /// Stop when standard input closes: then no network outlives whoever started it.
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
}

#[derive(Debug, Args)]
struct RestartArgs {
    /// Where the network lives.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The node's name or id in nodes.json.
    #[arg(long, value_name = "NODE")]
    node: String,
}

/// The mean delay of a mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MixDelay {
    /// So many milliseconds.
    Fixed(u32),
    /// By the rule of the specification (7.5).
    ByRule,
}

fn mix_delay(text: &str) -> Result<MixDelay, String> {
    match text.parse::<u32>() {
        Ok(millis) if millis <= 10_000 => Ok(MixDelay::Fixed(millis)),
        _ if text == "auto" => Ok(MixDelay::ByRule),
        _ => Err("a number from 0 to 10000 is expected, or auto".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1_000.0).contains(&rate) => Ok(rate),
        _ => Err("a number from 0.001 to 1000 is expected".to_owned()),
    }
}

/// Runs the command.
pub(crate) fn run(global: &Global, args: NetArgs) -> ExitCode {
    let result = runtime().and_then(|runtime| match args.command {
        NetCommand::Up(args) => runtime.block_on(supervisor::up(&args)),
        NetCommand::Renew(args) => runtime.block_on(renew::renew(&args)),
        NetCommand::Restart(RestartArgs { dir, node }) => {
            let pid = runtime.block_on(request::restart(&dir, &node))?;
            println!("{}", serde_json::json!({ "event": "node_restarted", "pid": pid }));
            Ok(())
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(global.json),
    }
}

/// Waits until nothing runs in a network's directory whose supervisor was killed, or has lost whoever started it: it and its nodes end by
/// themselves.
pub(crate) async fn wait_until_stopped(dir: &Path) -> Result<(), Failure> {
    request::take_from(dir, request::Who::IsEnding).await.map(drop)
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from((exit::INTERNAL, "internal", error)))
}

/// Something about a file or a process that should have worked.
fn broken(what: impl std::fmt::Display, error: &dyn std::error::Error) -> Failure {
    Failure::new(exit::INTERNAL, "internal", format!("{what}: {error}"))
}
