//! Where the passphrase comes from: a file, the environment, or the person. Never from an argument,
//! which every user of the machine can read.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use xchat_client::Passphrase;

use crate::Global;
use crate::failure::{Failure, exit};

const VARIABLE: &str = "XCHAT_PASSPHRASE";

/// The passphrase of a profile that exists.
pub(super) fn existing(global: &Global) -> Result<Passphrase, Failure> {
    match given(global)? {
        Some(passphrase) => Ok(passphrase),
        None => ask("Passphrase: "),
    }
}

/// The passphrase of a profile to be made; a person types it twice.
pub(super) fn new(global: &Global) -> Result<Passphrase, Failure> {
    if let Some(passphrase) = given(global)? {
        return Ok(passphrase);
    }
    let first = ask("Choose a passphrase: ")?;
    let again = ask("Again: ")?;
    if first.expose() == again.expose() {
        return Ok(first);
    }
    let failure = Failure::new(exit::INVALID, "invalid", "the two passphrases differ");
    Err(failure.hint("Nothing was made. Try again."))
}

/// The first line of standard input: from the command that started this daemon.
pub(super) fn from_stdin() -> Result<Passphrase, Failure> {
    let mut line = zeroize::Zeroizing::new(String::new());
    io::stdin().lock().read_line(&mut line).map_err(|error| unreadable(&error))?;
    Ok(Passphrase::new(first_line(&line)))
}

/// The passphrase, if nobody has to be asked for it.
pub(super) fn given(global: &Global) -> Result<Option<Passphrase>, Failure> {
    if let Some(path) = &global.passphrase_file {
        return from_file(path).map(Some);
    }
    match std::env::var(VARIABLE) {
        Ok(text) => {
            let text = zeroize::Zeroizing::new(text);
            Ok(Some(Passphrase::new(first_line(&text))))
        }
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(unreadable(&error)),
    }
}

fn from_file(path: &Path) -> Result<Passphrase, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    let text = zeroize::Zeroizing::new(text);
    Ok(Passphrase::new(first_line(&text)))
}

fn first_line(text: &str) -> &str {
    let line = text.split('\n').next().unwrap_or_default();
    line.strip_suffix('\r').unwrap_or(line)
}

fn ask(prompt: &str) -> Result<Passphrase, Failure> {
    if !io::stdin().is_terminal() {
        let failure = Failure::new(exit::USAGE, "passphrase_needed", "a passphrase is needed");
        return Err(failure.hint(format!("Set {VARIABLE} or use --passphrase-file.")));
    }
    rpassword::prompt_password(prompt).map(Passphrase::new).map_err(|error| unreadable(&error))
}

fn unreadable(error: &dyn std::error::Error) -> Failure {
    let text = format!("the passphrase cannot be read: {error}");
    Failure::new(exit::UNAVAILABLE, "io", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_its_end_and_keeps_its_spaces() {
        assert_eq!(first_line("a b \r\nmore"), "a b ");
        assert_eq!(first_line("a"), "a");
        assert_eq!(first_line(""), "");
    }
}
