//! Where and how the program logs: standard error, lines of its own only, as `docs/policy/logging.md` says.
//!
//! Two variables of the environment: `XCHAT_LOG` (off, error, warn, info, debug, trace) is the level,
//! `XCHAT_LOG_FORMAT` (text, json) how a line looks.

use std::io;

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::failure::{Failure, exit};

const LEVEL: &str = "XCHAT_LOG";
const FORMAT: &str = "XCHAT_LOG_FORMAT";

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// Starts logging what these crates say, at `default` if nobody asks for another level; gives the level.
///
/// # Errors
/// A variable says something that is not understood: whoever turns logging down must not find it up.
pub(crate) fn start(targets: &[&str], default: LevelFilter) -> Result<LevelFilter, Failure> {
    let level = level(variable(LEVEL)?.as_deref(), default)?;
    let format = format(variable(FORMAT)?.as_deref())?;
    // What libraries log names peers.
    let ours = targets.iter().fold(Targets::new(), |ours, target| ours.with_target(*target, level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        // A log that cannot be written (its disk is full) must not end the process, as it would by default.
        .log_internal_errors(false);
    let lines = match format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().boxed(),
    };
    // Fails only if there is one already.
    let _ = tracing_subscriber::registry().with(lines.with_filter(ours)).try_init();
    Ok(level)
}

fn variable(name: &str) -> Result<Option<String>, Failure> {
    match std::env::var_os(name) {
        None => Ok(None),
        Some(value) => match value.into_string() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(not_understood(name, "no text", "")),
        },
    }
}

fn level(asked: Option<&str>, default: LevelFilter) -> Result<LevelFilter, Failure> {
    let Some(asked) = asked else { return Ok(default) };
    // Numbers and nothing are levels, too, to the library: nobody would guess which.
    let word = !asked.is_empty() && asked.chars().all(char::is_alphabetic);
    let level = asked.parse().ok().filter(|_| word);
    level.ok_or_else(|| not_understood(LEVEL, asked, "one of off, error, warn, info, debug, trace"))
}

fn format(asked: Option<&str>) -> Result<Format, Failure> {
    match asked {
        None | Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        Some(asked) => Err(not_understood(FORMAT, asked, "one of text, json")),
    }
}

fn not_understood(name: &str, asked: &str, wanted: &str) -> Failure {
    Failure::new(exit::USAGE, "usage", format!("{name} is {asked:?}")).hint(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_no_level_and_no_format() {
        let read = |asked| level(asked, LevelFilter::WARN).map_err(|failure| failure.exit);
        assert_eq!(read(None), Ok(LevelFilter::WARN));
        assert_eq!(read(Some("off")), Ok(LevelFilter::OFF));
        assert_eq!(read(Some("TRACE")), Ok(LevelFilter::TRACE));
        for wrong in ["", "verbose", "5", "info,iroh=trace"] {
            assert_eq!(read(Some(wrong)), Err(exit::USAGE), "{wrong}");
        }
        assert_eq!(format(None).map_err(drop), Ok(Format::Text));
        assert_eq!(format(Some("json")).map_err(drop), Ok(Format::Json));
        let failure = format(Some("xml")).expect_err("not a format");
        assert_eq!(
            (failure.exit, failure.message.as_str()),
            (exit::USAGE, "XCHAT_LOG_FORMAT is \"xml\"")
        );
    }
}
