//! What must lie in a table's directory before the storage engine is let near it: it makes new what it does
//! not find, and removes what it does not know.

use std::fs;
use std::io;
use std::path::Path;

use super::TableError;

/// The engine's names (fjall 3).
const VERSION: &str = "version";
const KEYSPACES: &str = "keyspaces";
const CURRENT: &str = "current";
const JOURNAL: &str = "jnl";

/// The engine's own keyspace, which knows the names of the others, and the three of a table.
const PARTS: usize = 1 + super::PARTS.len();

/// How a table's directory looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// There is none, or an empty one.
    Absent,
    /// Everything that a table begins with is there.
    Whole,
    /// Something is missing: this.
    Lacks(&'static str),
}

impl Layout {
    pub(super) fn of(table: &Path) -> Result<Self, TableError> {
        look(table).map_err(|source| TableError::File { path: table.to_owned(), source })
    }
}

fn look(table: &Path) -> io::Result<Layout> {
    let mut entries = match fs::read_dir(table) {
        Ok(entries) => entries.peekable(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Layout::Absent),
        Err(error) => return Err(error),
    };
    if entries.peek().is_none() {
        return Ok(Layout::Absent);
    }
    let mut journals = 0;
    for entry in entries {
        let path = entry?.path();
        journals += usize::from(path.extension().is_some_and(|ext| ext == JOURNAL));
    }
    if !table.join(VERSION).try_exists()? {
        return Ok(Layout::Lacks(VERSION));
    }
    if journals == 0 {
        return Ok(Layout::Lacks("a journal"));
    }
    let mut parts = 0;
    for entry in read_if_there(&table.join(KEYSPACES))? {
        let entry = entry?;
        let numbered = entry.file_name().to_str().is_some_and(|name| name.parse::<u64>().is_ok());
        if !numbered {
            return Ok(Layout::Lacks("order: something strange lies among its keyspaces"));
        }
        parts += usize::from(entry.path().join(CURRENT).try_exists()?);
    }
    Ok(if parts < PARTS { Layout::Lacks("a keyspace") } else { Layout::Whole })
}

fn read_if_there(path: &Path) -> io::Result<Vec<io::Result<fs::DirEntry>>> {
    match fs::read_dir(path) {
        Ok(entries) => Ok(entries.collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
