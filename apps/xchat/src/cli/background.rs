//! The daemon as a person sees it: staying online, going offline, how things stand.

use std::io::Write;
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;
use xchat_client::{Command, Status};

use super::output::Output;
use super::{Here, ServeArgs, internal, open, passphrase, profile, show};
use crate::daemon::Daemon;
use crate::daemon::serve::{First, Foreground, serve as run_daemon};
use crate::failure::{Failure, exit};
use crate::{Global, log};

/// Threads of the daemon's runtime: it waits for the network and for loopback, and the driver has a
/// thread of its own.
const WORKERS: usize = 2;

pub(super) fn serve(global: &Global, args: ServeArgs) -> ExitCode {
    let detached = args.detached;
    let foreground = match (detached, global.json) {
        (true, _) => Foreground::Detached,
        (_, true) => Foreground::Script,
        _ => Foreground::Person,
    };
    match try_serve(global, args, foreground) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if detached => {
            // Whoever started this reads its standard output.
            let error = json!({
                "error": { "code": failure.code, "message": failure.message, "hint": failure.hint }
            });
            // Nobody reads it: then nobody waits for it.
            let _ = writeln!(std::io::stdout(), "{error}");
            ExitCode::from(failure.exit)
        }
        Err(failure) => failure.report(global.json),
    }
}

fn try_serve(global: &Global, args: ServeArgs, foreground: Foreground) -> Result<(), Failure> {
    let profile = profile::dir(global)?;
    let detached = foreground == Foreground::Detached;
    if detached {
        // A session of its own: the terminal it was started from may close. It fails only for one
        // that leads a session already, which is as good.
        let _ = rustix::process::setsid();
    }
    let first = match (args.locked, detached) {
        (true, _) => First::Closed { network: open::network(args.network)? },
        (_, true) => First::Open(passphrase::from_stdin()?),
        _ => First::Open(passphrase::existing(global)?),
    };
    // Warnings and worse: a daemon has no operator.
    log::start(&["xchat", "xchat_client", "xchat_link"], LevelFilter::WARN)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| internal("cannot start", &error))?;
    runtime.block_on(run_daemon(&profile, first, foreground))
}

pub(super) async fn stop(here: &Here<'_>, out: Output) -> Result<(), Failure> {
    // Also one that waits for its profile to be made.
    let running = match Daemon::find_here(&here.profile).await? {
        None => Daemon::find(&here.profile).await?,
        running => running,
    };
    let stopped = match running {
        Some(daemon) => {
            daemon.stop().await?;
            true
        }
        None => false,
    };
    out.line(&json!({ "stopped": stopped }), || {
        if stopped { "Offline." } else { "It was not running." }.to_owned()
    })
}

pub(super) async fn status(here: &Here<'_>, out: Output) -> Result<(), Failure> {
    let daemon = here.daemon().await?;
    let whole: Value = daemon.command(&Command::Status, None).await?;
    let status: Status =
        Status::deserialize(&whole).map_err(|error| internal("no status", &error))?;
    out.line(&whole, || show::status(&status, daemon.pid()))?;
    match status.halted {
        Some(why) => Err(Failure::new(exit::UNAVAILABLE, "halted", why.message).hint(why.hint)),
        None => Ok(()),
    }
}
