//! Where a command's results go.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::{Failure, exit};

/// Standard output, for a person or for a script.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub(super) json: bool,
}

impl Output {
    /// One result: a line of JSON, or the text for a person.
    pub(super) fn line(
        self,
        json: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let line = if self.json {
            serde_json::to_string(json).map_err(|error| super::internal("no JSON form", &error))?
        } else {
            text()
        };
        write(&line)
    }

    /// Something that only a person wants to know.
    pub(super) fn remark(self, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { Ok(()) } else { write(&text()) }
    }
}

fn write(line: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    written.map_err(|error| {
        Failure::new(exit::UNAVAILABLE, "io", format!("cannot write the output: {error}"))
    })
}
