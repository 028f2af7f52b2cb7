//! `store.mark`: how far the database has come, noted beside it.
//!
//! SQLite takes a damaged or missing write-ahead log for one that a crash has cut off, and opens the
//! state from before: silently, and with it a ratchet that has been used already. So the database counts
//! its commits, and this file says how many there have been. It is written after each commit and never
//! synced by itself: whatever a crash leaves of it, it never says more than the disk had confirmed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use crate::profile::files;

const MAGIC: [u8; 8] = *b"xcmark\0\x01";

/// Magic, count, and the count's complement: half a write is not a count.
const LEN: usize = 24;

/// The open file.
pub(super) struct Mark {
    file: File,
}

impl Mark {
    /// Where the mark of a database lies.
    pub(super) fn path(database: &Path) -> PathBuf {
        database.with_extension("mark")
    }

    /// Compares what the database says with what is noted.
    ///
    /// No mark, or none that can be read, means nothing: a database copied here from a backup has none,
    /// and a new one is made.
    pub(super) fn check(database: &Path, commits: u64) -> Result<Self, StoreError> {
        let path = Self::path(database);
        match noted(&path)? {
            Some(noted) if noted > commits => {
                return Err(StoreError::RolledBack { commits, noted });
            }
            Some(_) => {}
            None => files::replace_file(&path, &encode(commits)).map_err(io_error)?,
        }
        let file = File::options().write(true).open(&path).map_err(io_error)?;
        let mark = Self { file };
        mark.note(commits);
        Ok(mark)
    }

    /// Notes a commit that is on disk. If it fails the mark says too little, which harms nothing; the
    /// next commit will hear from the same disk.
    pub(super) fn note(&self, commits: u64) {
        if let Err(error) = self.file.write_all_at(&encode(commits), 0) {
            tracing::warn!(%error, "a commit could not be noted beside the database");
        }
    }
}

fn encode(commits: u64) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&commits.to_be_bytes());
    bytes[16..].copy_from_slice(&(!commits).to_be_bytes());
    bytes
}

fn noted(path: &Path) -> Result<Option<u64>, StoreError> {
    let mut bytes = [0; LEN];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut bytes, 0));
    match read {
        Ok(()) => Ok(decode(&bytes)),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) =>
        {
            Ok(None)
        }
        Err(error) => Err(io_error(error)),
    }
}

fn decode(bytes: &[u8; LEN]) -> Option<u64> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (count, rest) = rest.split_first_chunk::<8>()?;
    let count = u64::from_be_bytes(*count);
    (*magic == MAGIC && *rest == (!count).to_be_bytes()).then_some(count)
}

fn io_error(error: io::Error) -> StoreError {
    if files::is_full(&error) { StoreError::DiskFull } else { StoreError::Io(error.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_rubbish_is_no_count() {
        assert_eq!(decode(&encode(7)), Some(7));
        for at in 0..LEN {
            let mut bytes = encode(7);
            bytes[at] ^= 1;
            assert_eq!(decode(&bytes), None, "byte {at}");
        }
    }

    #[test]
    fn less_than_was_noted_is_refused_and_nothing_is_forgotten_by_that() {
        let dir = tempfile::tempdir().expect("a directory");
        let database = dir.path().join("store.db");
        let mark = Mark::check(&database, 3).expect("none before");
        mark.note(5);
        for _ in 0..2 {
            let refused = Mark::check(&database, 4).map(drop);
            assert!(matches!(refused, Err(StoreError::RolledBack { commits: 4, noted: 5 })));
        }
        Mark::check(&database, 5).expect("as noted");
        Mark::check(&database, 9).expect("a crash came before the note");
        assert!(Mark::check(&database, 8).is_err());
        std::fs::remove_file(Mark::path(&database)).expect("removes");
        Mark::check(&database, 1).expect("nothing is known");
    }
}
