//! The one binary: a person's commands, the daemon, a network's nodes, and a whole local network.

mod cli;
mod daemon;
mod demo;
mod failure;
mod log;
mod net;
mod node;
mod signal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// A messenger that leaves no record of whom you talk to, how often and when.
#[derive(Debug, Parser)]
#[command(name = "xchat", version, propagate_version = true)]
struct Xchat {
    #[command(flatten)]
    global: Global,
    /// Without one: open the page.
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The person's data directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) profile: Option<PathBuf>,
    /// One JSON object a line on standard output; errors likewise on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Read the profile's passphrase from the first line of this file.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Person(cli::PersonCommand),
    /// Run one node of a network, or look after it.
    Node(node::NodeArgs),
    /// Run a whole local network.
    Net(net::NetArgs),
    /// A local network and two people on it, each with their own page.
    Demo(demo::DemoArgs),
}

fn main() -> ExitCode {
    let Xchat { global, command } = Xchat::parse();
    match command.unwrap_or(Command::Person(cli::PersonCommand::page())) {
        Command::Person(command) => cli::run(&global, command),
        Command::Node(args) => node::run(&global, args),
        Command::Net(args) => net::run(&global, args),
        Command::Demo(args) => demo::run(&args),
    }
}
