//! A person's commands.

use std::process::ExitCode;

use clap::Subcommand;

use crate::Global;

/// What a person can ask for.
#[derive(Debug, Subcommand)]
pub enum PersonCommand {
    /// Show what the profile is connected to and what is queued.
    Status,
}

/// Carries out one command; the exit codes are those of `docs/cli.md`.
pub fn run(global: &Global, command: PersonCommand) -> ExitCode {
    let _ = (global, command);
    ExitCode::SUCCESS
}
