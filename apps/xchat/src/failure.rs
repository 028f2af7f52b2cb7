//! How a command fails: a stable code, a sentence, a hint, and an exit code.

use std::io::Write;
use std::process::ExitCode;

/// Exit codes, as documented in `docs/cli.md`.
pub(crate) mod exit {
    /// Something inside failed that the caller could not prevent.
    pub(crate) const INTERNAL: u8 = 1;
    /// The command line itself is wrong (clap's own code).
    pub(crate) const USAGE: u8 = 2;
    /// What was given does not hold: a bad file, a bad link, an unknown contact.
    pub(crate) const INVALID: u8 = 3;
    /// What is needed is not there or not running.
    pub(crate) const UNAVAILABLE: u8 = 4;
}

/// An error for a person or a script.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Stable, lower case with underscores: what scripts match on.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// What to do about it; empty if nothing can be said.
    pub hint: String,
    /// The process's exit code.
    pub exit: u8,
}

impl Failure {
    /// A failure without a hint.
    pub(crate) fn new(exit: u8, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: String::new(), exit }
    }

    /// Says what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Prints it on standard error, as JSON if asked, and gives the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        // It may lie on the very disk that is full: then the exit code has to do.
        let mut stderr = std::io::stderr().lock();
        if json {
            let error = serde_json::json!({
                "error": { "code": self.code, "message": self.message, "hint": self.hint }
            });
            let _ = writeln!(stderr, "{error}");
        } else {
            let _ = writeln!(stderr, "xchat: {}", self.message);
            if !self.hint.is_empty() {
                let _ = writeln!(stderr, "  {}", self.hint);
            }
        }
        ExitCode::from(self.exit)
    }
}

impl<E: std::error::Error> From<(u8, &'static str, E)> for Failure {
    fn from((exit, code, error): (u8, &'static str, E)) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Transparent wrappers repeat their source word for word.
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self::new(exit, code, message)
    }
}
