//! `boxes.mark`: how far a store's table has come, noted beside it.
//!
//! The storage engine takes a damaged or missing journal for one that a crash has cut off, and a missing part
//! for one that was never made: it opens a table that has forgotten what it promised, under the incarnation of
//! one that has not. Two writers could win a box by that. So the table counts its commits, in each of its parts,
//! and this file says of which table and how many there have been. It is written after each commit and not synced
//! by itself: whatever a crash leaves of it, it never says more than the disk had confirmed.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xchat_node::directory::Incarnation;

use super::TableError;
use crate::files;

const FILE: &str = "boxes.mark";
const MAGIC: [u8; 8] = *b"xcboxes\x01";

/// Magic, incarnation, count, and the count's complement: half a write is not a count.
const LEN: usize = 8 + Incarnation::LEN + 8 + 8;

/// What is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) incarnation: Incarnation,
    pub(super) commits: u64,
}

impl Noted {
    /// What a node's directory says, if it says anything.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, TableError> {
        let path = dir.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(TableError::File { path, source }),
        };
        Self::from_bytes(&bytes).map(Some).ok_or(TableError::Damaged { path })
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let (incarnation, rest) = rest.split_at_checked(Incarnation::LEN)?;
        let (commits, rest) = rest.split_first_chunk::<8>()?;
        let commits = u64::from_be_bytes(*commits);
        let whole = *rest == (!commits).to_be_bytes();
        let incarnation = Incarnation::from_slice(incarnation)?;
        whole.then_some(Self { incarnation, commits })
    }

    fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let (head, counts) = bytes.split_at_mut(8 + Incarnation::LEN);
        head[..8].copy_from_slice(&MAGIC);
        head[8..].copy_from_slice(self.incarnation.as_bytes());
        counts[..8].copy_from_slice(&self.commits.to_be_bytes());
        counts[8..].copy_from_slice(&(!self.commits).to_be_bytes());
        bytes
    }
}

/// The open file.
pub(super) struct Mark {
    path: PathBuf,
    file: File,
}

impl Mark {
    /// Begins a mark, or goes on with it, in one durable step.
    pub(super) fn set(dir: &Path, noted: Noted) -> Result<Self, TableError> {
        let path = dir.join(FILE);
        let file_error = |source| TableError::File { path: path.clone(), source };
        if Noted::read(dir)? != Some(noted) {
            files::replace(&path, &noted.to_bytes(), true).map_err(file_error)?;
        }
        let file = File::options().write(true).open(&path).map_err(file_error)?;
        Ok(Self { path, file })
    }

    /// Notes a commit that is on disk.
    pub(super) fn note(&self, noted: Noted) -> Result<(), TableError> {
        self.file
            .write_all_at(&noted.to_bytes(), 0)
            .map_err(|source| TableError::File { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_rubbish_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Noted::read(dir.path()).expect("none yet"), None);
        let noted = Noted { incarnation: Incarnation::from_bytes([7; 16]), commits: 3 };
        let mark = Mark::set(dir.path(), noted).expect("writes");
        assert_eq!(Noted::read(dir.path()).expect("reads"), Some(noted));
        let later = Noted { commits: 4, ..noted };
        mark.note(later).expect("writes");
        assert_eq!(Noted::read(dir.path()).expect("reads"), Some(later));
        let whole = later.to_bytes();
        for at in (0..8).chain(8 + Incarnation::LEN..LEN) {
            let mut bytes = whole;
            bytes[at] ^= 1;
            fs::write(dir.path().join(FILE), bytes).expect("writes");
            assert!(matches!(Noted::read(dir.path()), Err(TableError::Damaged { .. })), "{at}");
        }
        fs::write(dir.path().join(FILE), &whole[..LEN - 1]).expect("writes");
        assert!(Noted::read(dir.path()).is_err());
    }
}
