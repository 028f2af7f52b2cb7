//! A person's commands. The contract is `docs/cli.md`.
//!
//! A command talks to the profile's daemon and starts one if none runs: going online only to send
//! would show when one sends.

mod background;
pub(crate) mod failures;
mod history;
mod open;
mod output;
mod passphrase;
mod people;
mod profile;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::Global;
use crate::daemon::Daemon;
use crate::failure::{Failure, exit};
use output::Output;

/// What a person can ask for.
#[derive(Debug, Subcommand)]
pub(crate) enum PersonCommand {
    /// Make a profile.
    Init(InitArgs),
    /// Make an invitation link for one person.
    Invite(Patience),
    /// List the open invitations, with their links.
    Invitations,
    /// Take an open invitation back.
    Withdraw {
        /// Its id, from `invitations`.
        invitation: String,
    },
    /// Accept an invitation.
    Accept {
        /// The link: `xchat:…`.
        link: String,
        #[command(flatten)]
        patience: Patience,
    },
    /// List contacts.
    Contacts {
        /// Wait until there is a contact of this name or id, and show only that one.
        #[arg(long, value_name = "CONTACT")]
        wait: Option<String>,
        #[command(flatten)]
        patience: Patience,
    },
    /// Show the safety number to compare with a contact.
    Verify {
        /// Name or id.
        contact: String,
        /// You have compared it and it is equal.
        #[arg(long)]
        equal: bool,
        /// Take that back.
        #[arg(long, conflicts_with = "equal")]
        undo: bool,
    },
    /// Send a text.
    Send(SendArgs),
    /// Show the last messages with a contact.
    Read {
        /// Name or id.
        contact: String,
        /// So many at most; 0 for all.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u64,
        /// Only messages before this one.
        #[arg(long, value_name = "ID")]
        before: Option<u64>,
    },
    /// Search the messages: those that have all the words, newest first.
    Search(SearchArgs),
    /// Show messages as they come, until interrupted.
    Listen {
        /// First those after this message; 0 for all.
        #[arg(long, value_name = "ID")]
        since: Option<u64>,
        /// Also what is not about messages.
        #[arg(long)]
        all: bool,
    },
    /// Show what the profile is connected to and what is queued.
    Status,
    /// Open the page in the browser. So does `xchat` alone.
    Open(OpenArgs),
    /// Stay online in the foreground.
    Serve(ServeArgs),
    /// Copy the profile to a new directory, while it is offline.
    Backup {
        /// Where nothing is yet.
        dir: PathBuf,
    },
    /// Go offline: end the profile's daemon.
    Stop,
}

impl PersonCommand {
    /// What `xchat` alone does.
    pub(crate) fn page() -> Self {
        Self::Open(OpenArgs { network: None, print: false })
    }
}

/// What `open` understands.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// The network file that a new profile begins with, from whoever runs the network.
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// Print the address instead of opening it: it works once, for a minute.
    #[arg(long)]
    print: bool,
}

/// What `serve` understands.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Without a passphrase: the page opens the profile, or makes it.
    #[arg(long)]
    locked: bool,
    /// The network file that a new profile begins with.
    #[arg(long, value_name = "FILE", requires = "locked")]
    network: Option<PathBuf>,
    /// Started by another command: passphrase on standard input, one line on standard output.
    #[arg(long, hide = true)]
    detached: bool,
}

/// What `init` understands.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The network file, from whoever runs the network.
    #[arg(long, value_name = "FILE")]
    network: PathBuf,
    /// Your name, as contacts will see it.
    #[arg(long)]
    name: String,
    /// How much this device sends, whatever you do.
    #[arg(long, value_enum, default_value_t = PaceArg::Desk)]
    pace: PaceArg,
}

/// A pace on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PaceArg {
    /// Four packets a second.
    Fast,
    /// One packet a second.
    Desk,
    /// One packet in five seconds.
    Phone,
    /// Two packets a minute.
    Thrift,
}

/// How long a command waits for the network.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Patience {
    /// Give up waiting after so long; what was begun goes on.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,
}

impl Patience {
    fn within(self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// What `send` understands.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Name or id.
    contact: String,
    /// The text; `-` takes it from standard input.
    text: String,
    /// Return at once; it goes out in its time.
    #[arg(long)]
    no_wait: bool,
    /// Wait until the other side has it.
    #[arg(long, conflicts_with = "no_wait")]
    wait_delivered: bool,
    #[command(flatten)]
    patience: Patience,
}

/// What `search` understands.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// What to look for; the last word may be the beginning of one.
    #[arg(required = true, value_name = "WORDS")]
    words: Vec<String>,
    /// Only in the conversation with this contact: name or id.
    #[arg(long, value_name = "NAME")]
    with: Option<String>,
    /// Only messages before this one.
    #[arg(long, value_name = "ID")]
    before: Option<u64>,
}

/// Carries out one command; the exit codes are those of `docs/cli.md`.
pub(crate) fn run(global: &Global, command: PersonCommand) -> ExitCode {
    if let PersonCommand::Serve(args) = command {
        return background::serve(global, args);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(carry_out(global, command)),
        Err(error) => Err(internal("cannot start", &error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(global.json),
    }
}

async fn carry_out(global: &Global, command: PersonCommand) -> Result<(), Failure> {
    let out = Output { json: global.json };
    let here = Here { global, profile: profile::dir(global)? };
    match command {
        PersonCommand::Init(args) => profile::init(&here, &args, out).await,
        PersonCommand::Invite(patience) => people::invite(&here, patience, out).await,
        PersonCommand::Invitations => people::invitations(&here, out).await,
        PersonCommand::Withdraw { invitation } => people::withdraw(&here, invitation, out).await,
        PersonCommand::Accept { link, patience } => {
            people::accept(&here, link, patience, out).await
        }
        PersonCommand::Contacts { wait: None, .. } => people::contacts(&here, out).await,
        PersonCommand::Contacts { wait: Some(name), patience } => {
            people::wait_for(&here, &name, patience, out).await
        }
        PersonCommand::Verify { contact, equal, undo } => {
            people::verify(&here, contact, equal, undo, out).await
        }
        PersonCommand::Send(args) => history::send(&here, args, out).await,
        PersonCommand::Read { contact, limit, before } => {
            history::read(&here, contact, limit, before, out).await
        }
        PersonCommand::Search(args) => history::search(&here, args, out).await,
        PersonCommand::Listen { since, all } => history::listen(&here, since, all, out).await,
        PersonCommand::Open(args) => open::open(&here, args, out).await,
        PersonCommand::Status => background::status(&here, out).await,
        PersonCommand::Backup { dir } => profile::back_up(&here, &dir, out),
        PersonCommand::Stop => background::stop(&here, out).await,
        // `run` takes it before it comes here.
        PersonCommand::Serve(_) => Ok(()),
    }
}

/// Which profile, and how to open it.
struct Here<'a> {
    global: &'a Global,
    profile: PathBuf,
}

impl Here<'_> {
    async fn daemon(&self) -> Result<Daemon, Failure> {
        Daemon::find_or_start(&self.profile, || passphrase::existing(self.global)).await
    }
}

fn internal(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::new(exit::INTERNAL, "internal", format!("{what}: {error}"))
}
