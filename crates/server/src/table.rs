//! A store's table of boxes on disk (fjall).
//!
//! Writes gather in one batch until [`DiskTable::commit`], which makes them durable with a single
//! fdatasync: group commit. A `get` sees them before that. The table carries its own incarnation, so
//! that a wiped table cannot pass for the one that the directory knows, and counts its commits, so that one
//! that has lost some cannot pass for the one that it was (see [`mark`]).

mod layout;
mod mark;
mod room;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use thiserror::Error;
use xchat_base::{Rng, Timestamp};
use xchat_node::directory::Incarnation;
use xchat_node::pigeonhole::BoxId;
use xchat_node::pigeonhole::register::{BoxRecord, BoxTable, Lifetimes, Standing, Sweep};

use layout::Layout;
use mark::{Mark, Noted};

pub use room::Room;
pub(crate) use room::Rooms;

/// The version of the table's layout.
const VERSION: u8 = 1;

/// The directory of the table, below the node's, and where one is made.
const DIR: &str = "boxes";
const NEW: &str = "boxes.new";

/// The keyspaces: what the table says about itself, the boxes, and when each is due.
const PARTS: [&str; 3] = ["meta", "boxes", "due"];

/// The count of commits in each part, behind every key that the part has otherwise: a part that has lost
/// commits shows it by itself.
const COUNT_KEY: [u8; DUE_KEY + 1] = [0xff; DUE_KEY + 1];

const META_VERSION: &str = "version";
const META_INCARNATION: &str = "incarnation";
const META_STANDING: &str = "standing";

/// Bytes of a key of the index by time: when, then which.
const DUE_KEY: usize = 8 + BoxId::LEN;

/// Why the table cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TableError {
    /// The disk, or what is on it.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The table's directory.
        path: PathBuf,
        /// What the engine says.
        source: fjall::Error,
    },
    /// It was written by another version of this program.
    #[error("{}: the table has version {got}, this program reads version {VERSION}", path.display())]
    Version {
        /// The table's directory.
        path: PathBuf,
        /// What it says.
        got: u8,
    },
    /// What it says about itself is not readable.
    #[error("{}: the table is damaged", path.display())]
    Damaged {
        /// The table's directory, or the file.
        path: PathBuf,
    },
    /// Part of it is not there.
    #[error("{}: the table lacks {what}", path.display())]
    Incomplete {
        /// The table's directory.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// It is whole and yet older than what this store has promised.
    #[error("{}: the table is at commit {commits}, and it has been at {noted}", path.display())]
    RolledBack {
        /// The table's directory.
        path: PathBuf,
        /// Commits that its most forgetful part knows of.
        commits: u64,
        /// Commits that were noted beside it, or that another part knows of.
        noted: u64,
    },
    /// It is not the table that was here.
    #[error("{}: this is another table than the one that this store had", path.display())]
    OtherTable {
        /// The table's directory.
        path: PathBuf,
    },
    /// A file beside it could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl TableError {
    /// Whether the table has lost something, as opposed to a disk that does not work now.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Damaged { .. }
            | Self::Incomplete { .. }
            | Self::RolledBack { .. }
            | Self::OtherTable { .. } => true,
            Self::Disk { source, .. } => engine_has_lost(source),
            Self::Version { .. } | Self::File { .. } => false,
        }
    }
}

/// What the engine says of files that are damaged, cut or missing.
fn engine_has_lost(error: &fjall::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return matches!(error.kind(), NotFound | UnexpectedEof | InvalidData);
        }
        cause = error.source();
    }
    !matches!(error, fjall::Error::Poisoned | fjall::Error::Locked)
}

/// The table.
pub struct DiskTable {
    path: PathBuf,
    database: Database,
    meta: Keyspace,
    boxes: Keyspace,
    due: Keyspace,
    incarnation: Incarnation,
    commits: u64,
    mark: Mark,
    /// Written since the last commit; `None` is a removal.
    pending: BTreeMap<BoxId, Option<BoxRecord>>,
    /// What the table says of itself, and whether that was written since the last commit.
    standing: Standing,
    standing_changed: bool,
    /// The first failed read: [`BoxTable::get`] cannot tell, the next commit does.
    failed: OnceCell<TableError>,
}

impl DiskTable {
    /// Opens the table of a node's directory, and makes one with a fresh incarnation if there is none. One
    /// that has lost something is refused and not made anew.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn open(dir: &Path, cache_mib: u32, rng: &mut Rng) -> Result<Self, TableError> {
        let path = dir.join(DIR);
        match Layout::of(&path)? {
            Layout::Absent => Self::make(dir, &path, rng)?,
            Layout::Whole => {}
            Layout::Lacks(what) => return Err(TableError::Incomplete { path, what }),
        }
        Self::open_at(dir, path, cache_mib)
    }

    /// Makes a table beside its place and moves it there: what lies in its place is whole, or has lost something.
    fn make(dir: &Path, path: &Path, rng: &mut Rng) -> Result<(), TableError> {
        let new = dir.join(NEW);
        let file = |source: io::Error| TableError::File { path: new.clone(), source };
        match fs::remove_dir_all(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file(error)),
            _ => {}
        }
        let incarnation = Incarnation::random(rng);
        let (database, parts) = open_database(&new, 1)?;
        let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&parts[0], META_INCARNATION, incarnation.as_bytes());
        batch.insert(&parts[0], META_VERSION, [VERSION]);
        for part in &parts {
            batch.insert(part, COUNT_KEY, 0u64.to_be_bytes());
        }
        batch.commit().map_err(|source| TableError::Disk { path: new.clone(), source })?;
        drop((database, parts));
        Mark::set(dir, Noted { incarnation, commits: 0 })?;
        fs::rename(&new, path).map_err(file)?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(file)
    }

    fn open_at(dir: &Path, path: PathBuf, cache_mib: u32) -> Result<Self, TableError> {
        let disk = |source| TableError::Disk { path: path.clone(), source };
        let noted = Noted::read(dir)?;
        let (database, parts) = open_database(&path, cache_mib)?;
        let meta = &parts[0];
        let incarnation = match meta.get(META_VERSION).map_err(disk)?.as_deref() {
            Some([VERSION]) => {
                let stored = meta.get(META_INCARNATION).map_err(disk)?;
                stored
                    .and_then(|bytes| Incarnation::from_slice(&bytes))
                    .ok_or_else(|| TableError::Damaged { path: path.clone() })?
            }
            Some([got]) => return Err(TableError::Version { path, got: *got }),
            _ => return Err(TableError::Damaged { path }),
        };
        let damaged = |_| TableError::Damaged { path: path.clone() };
        let standing = match meta.get(META_STANDING).map_err(disk)? {
            Some(bytes) => Standing::from_stored(&bytes).map_err(damaged)?,
            None => Standing::default(),
        };
        let mut counts = [None; PARTS.len()];
        for (count, part) in counts.iter_mut().zip(&parts) {
            let stored = part.get(COUNT_KEY).map_err(disk)?;
            *count = stored.and_then(|bytes| Some(u64::from_be_bytes((*bytes).try_into().ok()?)));
        }
        let commits = check_counts(&path, counts, incarnation, noted)?;
        let mark = Mark::set(dir, Noted { incarnation, commits })?;
        let [meta, boxes, due] = parts;
        Ok(Self {
            path,
            database,
            meta,
            boxes,
            due,
            incarnation,
            commits,
            mark,
            pending: BTreeMap::new(),
            standing,
            standing_changed: false,
            failed: OnceCell::new(),
        })
    }

    /// The life of this table.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Makes everything written so far durable; cheap when there is nothing.
    ///
    /// # Errors
    /// [`TableError`]: nothing that depends on the writes may leave then, and the table must not be
    /// used any more.
    pub fn commit(&mut self) -> Result<(), TableError> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        if self.pending.is_empty() && !self.standing_changed {
            return Ok(());
        }
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        // In one batch with the records: what counts as copied is there.
        if std::mem::take(&mut self.standing_changed) {
            batch.insert(&self.meta, META_STANDING, self.standing.to_stored());
        }
        for (id, record) in std::mem::take(&mut self.pending) {
            let before = self.stored(&id)?;
            let (was, is) = (before.map(|r| r.due()), record.as_ref().map(BoxRecord::due));
            if let Some(was) = was.filter(|was| Some(*was) != is) {
                batch.remove(&self.due, due_key(was, &id));
            }
            match record {
                Some(record) => {
                    if was != is {
                        batch.insert(&self.due, due_key(record.due(), &id), []);
                    }
                    batch.insert(&self.boxes, id.as_bytes(), record.to_stored());
                }
                None => batch.remove(&self.boxes, id.as_bytes()),
            }
        }
        let commits = self.commits + 1;
        for part in [&self.meta, &self.boxes, &self.due] {
            batch.insert(part, COUNT_KEY, commits.to_be_bytes());
        }
        batch.commit().map_err(|source| self.disk(source))?;
        self.commits = commits;
        self.mark.note(Noted { incarnation: self.incarnation, commits })
    }

    /// Records written or removed since the last commit.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Sweeps records that are due, at most `limit` of them and none before `from`; the boxes to be
    /// settled, and where to go on if there is more. The changes wait for the next commit.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn sweep(
        &mut self,
        from: SweepCursor,
        now: Timestamp,
        lifetimes: &Lifetimes,
        limit: usize,
    ) -> Result<(Vec<BoxId>, Option<SweepCursor>), TableError> {
        let end = due_key(now + std::time::Duration::from_micros(1), &BoxId::from_bytes([0; 32]));
        let mut keys = Vec::with_capacity(limit.min(1024));
        for guard in self.due.range(from.0..end).take(limit) {
            keys.push(guard.key().map_err(|source| self.disk(source))?);
        }
        let mut settle = Vec::new();
        for key in &keys {
            let Some(id) = key.get(8..).and_then(BoxId::from_slice) else {
                return Err(TableError::Damaged { path: self.path.clone() });
            };
            match self.get(&id).map(|record| record.sweep_with(now, lifetimes)) {
                Some(Sweep::Replace(record)) => self.put(id, record),
                Some(Sweep::Remove) => {
                    self.pending.insert(id, None);
                }
                Some(Sweep::Settle) => settle.push(id),
                _ => {}
            }
        }
        let more = (keys.len() == limit).then(|| keys.last()).flatten();
        let next = more.and_then(|key| <[u8; DUE_KEY]>::try_from(&**key).ok());
        Ok((settle, next.map(|key| SweepCursor(key).after())))
    }

    fn stored(&self, id: &BoxId) -> Result<Option<BoxRecord>, TableError> {
        let bytes = self.boxes.get(id.as_bytes()).map_err(|source| self.disk(source))?;
        let damaged = |_| TableError::Damaged { path: self.path.clone() };
        bytes.map(|bytes| BoxRecord::from_stored(&bytes).map_err(damaged)).transpose()
    }

    /// The records on disk, with what waits for the next commit laid over them.
    fn stored_after(
        &self,
        after: Option<&BoxId>,
        limit: usize,
    ) -> Result<Vec<(BoxId, BoxRecord)>, TableError> {
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found: BTreeMap<BoxId, BoxRecord> = BTreeMap::new();
        let from = behind.map(|id| id.as_bytes().to_vec());
        let mut more = false;
        // Pending removals may take some of them away.
        let mut stored = self.boxes.range((from, Bound::Excluded(COUNT_KEY.to_vec())));
        for _ in 0..limit + self.pending.len() {
            let Some(guard) = stored.next() else { break };
            let (key, bytes) = guard.into_inner().map_err(|source| self.disk(source))?;
            let damaged = || TableError::Damaged { path: self.path.clone() };
            let id = BoxId::from_slice(&key).ok_or_else(damaged)?;
            found.insert(id, BoxRecord::from_stored(&bytes).map_err(|_| damaged())?);
            more = found.len() == limit + self.pending.len();
        }
        let last = if more { found.keys().next_back().copied() } else { None };
        for (id, record) in self.pending.range::<BoxId, _>((behind, Bound::Unbounded)) {
            match record {
                // Behind the last one looked at there may be others on disk.
                Some(_) if last.is_some_and(|last| *id > last) => break,
                Some(record) => {
                    found.insert(*id, record.clone());
                }
                None => {
                    found.remove(id);
                }
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    fn disk(&self, source: fjall::Error) -> TableError {
        TableError::Disk { path: self.path.clone(), source }
    }
}

fn open_database(
    path: &Path,
    cache_mib: u32,
) -> Result<(Database, [Keyspace; PARTS.len()]), TableError> {
    let disk = |source| TableError::Disk { path: path.to_owned(), source };
    let database = Database::builder(path)
        .cache_size(u64::from(cache_mib.max(1)) * 1024 * 1024)
        .worker_threads(1)
        .open()
        .map_err(disk)?;
    let part = |name: &str| database.keyspace(name, KeyspaceCreateOptions::default).map_err(disk);
    let parts = [part(PARTS[0])?, part(PARTS[1])?, part(PARTS[2])?];
    Ok((database, parts))
}

/// How many commits a table has had, if nothing of them is lost.
fn check_counts(
    path: &Path,
    counts: [Option<u64>; PARTS.len()],
    incarnation: Incarnation,
    noted: Option<Noted>,
) -> Result<u64, TableError> {
    let other = || TableError::OtherTable { path: path.to_owned() };
    // A table of before there were counts, and marks.
    if counts == [None; PARTS.len()] && noted.is_none() {
        return Ok(0);
    }
    // One with counts has a mark: without it nobody can say whether it is the newest.
    let noted = noted.ok_or_else(other)?;
    if noted.incarnation != incarnation {
        return Err(other());
    }
    let known = counts.map(Option::unwrap_or_default);
    let least = known.into_iter().fold(u64::MAX, u64::min);
    let noted = known.into_iter().fold(noted.commits, u64::max);
    if least < noted {
        return Err(TableError::RolledBack { path: path.to_owned(), commits: least, noted });
    }
    Ok(least)
}

impl BoxTable for DiskTable {
    fn get(&self, id: &BoxId) -> Option<BoxRecord> {
        match self.pending.get(id) {
            Some(pending) => pending.clone(),
            // To call a box empty because the disk failed could let two writers win. What the core
            // makes of the `None` never leaves: the commit of this batch fails.
            None => self.stored(id).unwrap_or_else(|error| {
                let _ = self.failed.set(error);
                None
            }),
        }
    }

    fn put(&mut self, id: BoxId, record: BoxRecord) {
        self.pending.insert(id, Some(record));
    }

    fn after(&self, after: Option<&BoxId>, limit: usize) -> Vec<(BoxId, BoxRecord)> {
        self.stored_after(after, limit).unwrap_or_else(|error| {
            // As with `get`: what the core makes of it never leaves.
            let _ = self.failed.set(error);
            Vec::new()
        })
    }

    fn standing(&self) -> Standing {
        self.standing.clone()
    }

    fn put_standing(&mut self, standing: Standing) {
        self.standing = standing;
        self.standing_changed = true;
    }
}

/// Where a sweep goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepCursor([u8; DUE_KEY]);

impl SweepCursor {
    /// The beginning.
    pub const START: Self = Self([0; DUE_KEY]);

    /// The key right behind.
    fn after(mut self) -> Self {
        for byte in self.0.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        self
    }
}

fn due_key(due: Timestamp, id: &BoxId) -> [u8; DUE_KEY] {
    let mut key = [0; DUE_KEY];
    key[..8].copy_from_slice(&due.as_micros().to_be_bytes());
    key[8..].copy_from_slice(id.as_bytes());
    key
}

#[cfg(test)]
mod tests;
