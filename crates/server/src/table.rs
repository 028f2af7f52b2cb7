//! A store's table of boxes on disk (fjall).
//!
//! Writes gather in one batch until [`DiskTable::commit`], which makes them durable with a single
//! fdatasync: group commit. A `get` sees them before that. The table carries its own incarnation, so
//! that a wiped table cannot pass for the one that the directory knows.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use thiserror::Error;
use xchat_base::{Rng, Timestamp};
use xchat_node::directory::Incarnation;
use xchat_node::pigeonhole::BoxId;
use xchat_node::pigeonhole::register::{BoxRecord, BoxTable, Lifetimes, Sweep};

/// The version of the table's layout.
const VERSION: u8 = 1;

/// The directory of the table, below the node's, and where one is made.
const DIR: &str = "boxes";
const NEW: &str = "boxes.new";

const META_VERSION: &str = "version";
const META_INCARNATION: &str = "incarnation";

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
        /// The table's directory.
        path: PathBuf,
    },
}

/// The table.
pub struct DiskTable {
    path: PathBuf,
    database: Database,
    boxes: Keyspace,
    due: Keyspace,
    incarnation: Incarnation,
    /// Written since the last commit; `None` is a removal.
    pending: BTreeMap<BoxId, Option<BoxRecord>>,
    /// The first failed read: [`BoxTable::get`] cannot tell, the next commit does.
    failed: OnceCell<TableError>,
}

impl DiskTable {
    /// Opens the table of a node's directory, and makes one with a fresh incarnation if there is none.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn open(dir: &Path, cache_mib: u32, rng: &mut Rng) -> Result<Self, TableError> {
        let path = dir.join(DIR);
        if is_missing(&path) {
            Self::make(dir, &path, rng)?;
        }
        Self::open_at(path, cache_mib, rng)
    }

    /// Makes a table beside its place and moves it there: the engine does not open one whose making was interrupted.
    fn make(dir: &Path, path: &Path, rng: &mut Rng) -> Result<(), TableError> {
        let new = dir.join(NEW);
        let disk = |error: io::Error| TableError::Disk { path: new.clone(), source: error.into() };
        match fs::remove_dir_all(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(error)),
            _ => {}
        }
        drop(Self::open_at(new.clone(), 1, rng)?);
        fs::rename(&new, path).map_err(disk)?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(disk)
    }

    fn open_at(path: PathBuf, cache_mib: u32, rng: &mut Rng) -> Result<Self, TableError> {
        let disk = |source| TableError::Disk { path: path.clone(), source };
        let database = Database::builder(&path)
            .cache_size(u64::from(cache_mib.max(1)) * 1024 * 1024)
            .worker_threads(1)
            .open()
            .map_err(disk)?;
        let keyspace =
            |name: &str| database.keyspace(name, KeyspaceCreateOptions::default).map_err(disk);
        let meta = keyspace("meta")?;
        let (boxes, due) = (keyspace("boxes")?, keyspace("due")?);
        let incarnation = match meta.get(META_VERSION).map_err(disk)?.as_deref() {
            None => {
                let incarnation = Incarnation::random(rng);
                let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
                batch.insert(&meta, META_INCARNATION, incarnation.as_bytes());
                batch.insert(&meta, META_VERSION, [VERSION]);
                batch.commit().map_err(disk)?;
                incarnation
            }
            Some([VERSION]) => {
                let stored = meta.get(META_INCARNATION).map_err(disk)?;
                stored
                    .and_then(|bytes| Incarnation::from_slice(&bytes))
                    .ok_or_else(|| TableError::Damaged { path: path.clone() })?
            }
            Some([got]) => return Err(TableError::Version { path, got: *got }),
            Some(_) => return Err(TableError::Damaged { path }),
        };
        Ok(Self {
            path,
            database,
            boxes,
            due,
            incarnation,
            pending: BTreeMap::new(),
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
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
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
        batch.commit().map_err(|source| self.disk(source))
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

    fn disk(&self, source: fjall::Error) -> TableError {
        TableError::Disk { path: self.path.clone(), source }
    }
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

/// An empty directory is as good as none.
fn is_missing(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()) || !path.exists()
}

fn due_key(due: Timestamp, id: &BoxId) -> [u8; DUE_KEY] {
    let mut key = [0; DUE_KEY];
    key[..8].copy_from_slice(&due.as_micros().to_be_bytes());
    key[8..].copy_from_slice(id.as_bytes());
    key
}

#[cfg(test)]
mod tests;
