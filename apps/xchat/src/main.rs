//! The one binary: a person's commands, the daemon, a network's nodes, and a whole local network.

mod cli;
mod failure;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// A messenger that leaves no record of whom you talk to, how often and when.
#[derive(Debug, Parser)]
#[command(name = "xchat", version, propagate_version = true)]
struct Xchat {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The person's data directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub profile: Option<PathBuf>,
    /// One JSON object a line on standard output; errors likewise on standard error.
    #[arg(long, global = true)]
    pub json: bool,
    /// Read the profile's passphrase from the first line of this file.
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Person(cli::PersonCommand),
}

fn main() -> ExitCode {
    let Xchat { global, command } = Xchat::parse();
    match command {
        Command::Person(command) => cli::run(&global, command),
    }
}
