//! How much of the disk a table takes, and how much it may.
//!
//! The engine gives back the room of what was overwritten or removed when new records make it rewrite its
//! files. A store that has reached its size takes no new records: then the rewriting is asked for here.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use super::{DiskTable, TableError};

/// Below the operator's size by this part of it there is room again: a table at its size must not change its
/// mind with every box.
const PART: u64 = 16;

/// Blocks in which file systems count, whatever their own are (`st_blocks`, inode(7)).
const BLOCK: u64 = 512;

/// What a box that has expired gives back, at least: its content.
const PER_BOX: u64 = 1_408;

/// How a table's room is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the disk that the table's directory takes, at the last look.
    pub used: u64,
    /// Bytes that it may take, if the operator says so.
    pub most: Option<u64>,
    /// Whether new values are refused.
    pub full: bool,
}

/// Looks after the room of one table.
pub(crate) struct Rooms {
    room: Room,
    /// Boxes swept since the files were rewritten; all of them if nobody knows.
    swept: Option<u64>,
    rewriting: Option<Receiver<Result<(), fjall::Error>>>,
    /// Whether the operator was told that there is no room for a rewriting.
    told: bool,
}

impl Rooms {
    /// For a table that may take so many bytes.
    pub(crate) fn new(most: Option<u64>) -> Self {
        let room = Room { most, ..Room::default() };
        Self { room, swept: None, rewriting: None, told: false }
    }

    pub(crate) fn room(&self) -> Room {
        self.room
    }

    /// So many boxes were swept.
    pub(crate) fn swept(&mut self, boxes: usize) {
        if let Some(swept) = &mut self.swept {
            *swept += boxes as u64;
        }
    }

    /// Measures, and has the files rewritten when that is worth it and there is room for it. Returns whether
    /// the table is full.
    ///
    /// # Errors
    /// [`TableError`]: the disk cannot be read, or a rewriting has failed.
    pub(crate) fn look(&mut self, table: &DiskTable) -> Result<bool, TableError> {
        let file = |source| TableError::File { path: table.path.clone(), source };
        match self.rewriting.as_ref().map(Receiver::try_recv) {
            Some(Ok(Ok(()))) | Some(Err(TryRecvError::Disconnected)) => self.rewriting = None,
            Some(Ok(Err(source))) => return Err(table.disk(source)),
            Some(Err(TryRecvError::Empty)) | None => {}
        }
        self.room.used = bytes_below(&table.path).map_err(file)?;
        let Some(most) = self.room.most else { return Ok(false) };
        self.room.full = is_full(self.room.full, self.room.used, most);
        if self.room.full && self.rewriting.is_none() && self.is_worth_it(most) {
            self.rewrite(table)?;
        }
        Ok(self.room.full)
    }

    fn is_worth_it(&self, most: u64) -> bool {
        self.swept.is_none_or(|swept| swept.saturating_mul(PER_BOX) >= most / PART)
    }

    /// On a thread of its own: it takes as long as it takes to copy what is alive.
    fn rewrite(&mut self, table: &DiskTable) -> Result<(), TableError> {
        let file = |source: io::Error| TableError::File { path: table.path.clone(), source };
        let disk = rustix::fs::statvfs(&table.path).map_err(|error| file(error.into()))?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < self.room.used {
            if !std::mem::replace(&mut self.told, true) {
                tracing::warn!(
                    "the table has reached its size, and the disk has no room to rewrite it: what expires \
                     gives back nothing. Free as much as the table takes"
                );
            }
            return Ok(());
        }
        self.told = false;
        self.swept = Some(0);
        let (done, wait) = channel();
        let parts = [table.boxes.clone(), table.due.clone(), table.meta.clone()];
        let work = move || {
            let rewritten = parts.iter().try_for_each(|part| {
                // What is in memory and in journals goes into files first: then the journals can go, too.
                part.rotate_memtable_and_wait()?;
                part.major_compact()
            });
            // Nobody waits for it when the node stops.
            let _ = done.send(rewritten);
        };
        std::thread::Builder::new().name("rewrite".to_owned()).spawn(work).map_err(file)?;
        self.rewriting = Some(wait);
        Ok(())
    }
}

fn is_full(was: bool, used: u64, most: u64) -> bool {
    let enough = if was { most - most / PART } else { most };
    used >= enough
}

/// What a directory and everything below it take on the disk. Files come and go meanwhile.
fn bytes_below(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0u64;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let own = metadata.blocks().saturating_mul(BLOCK);
        let below = if metadata.is_dir() { below_or_gone(&entry.path())? } else { 0 };
        bytes = bytes.saturating_add(own).saturating_add(below);
    }
    Ok(bytes)
}

fn below_or_gone(dir: &Path) -> io::Result<u64> {
    match bytes_below(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        bytes => bytes,
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use xchat_base::{Secret, Timestamp};
    use xchat_node::pigeonhole::register::{BoxRecord, BoxTable, Lifetimes};
    use xchat_node::pigeonhole::{Lane, VerifiedBox};

    use super::super::SweepCursor;
    use super::*;

    #[test]
    fn a_table_at_its_size_is_full_until_it_is_well_below() {
        let full = |was, used| is_full(was, used, 1_600);
        assert_eq!([false, true].map(|was| full(was, 1_600)), [true, true]);
        assert_eq!([false, true].map(|was| full(was, 1_599)), [false, true]);
        assert_eq!([false, true].map(|was| full(was, 1_499)), [false, false]);
    }

    /// So often the boxes are written, one over the other: the engine begins another journal after 64 MB.
    const ROUNDS: usize = 7;

    fn boxes(rng: &mut ChaCha20Rng) -> Vec<VerifiedBox> {
        let mut lane = Lane::new(Secret::new([1; 32]));
        let mut boxes = Vec::new();
        for _ in 0..6_500 {
            let sealed = lane.keys().seal(rng, b"content").expect("fits");
            boxes.push(sealed.verify().expect("own"));
            lane.advance();
        }
        boxes
    }

    /// Looks until the files have been rewritten; whether the table is full then.
    fn look(rooms: &mut Rooms, table: &DiskTable) -> bool {
        let mut full = rooms.look(table).expect("looks");
        while rooms.rewriting.is_some() {
            full = rooms.look(table).expect("looks");
            std::thread::yield_now();
        }
        full
    }

    #[test]
    fn what_has_expired_gives_its_room_back() {
        const T: Timestamp = Timestamp::from_secs(1_000_000);
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let dir = tempfile::tempdir().expect("a directory");
        let mut table = DiskTable::open(dir.path(), 1, &mut rng).expect("opens");
        let mut rooms = Rooms::new(Some(8 << 20));
        assert!(!look(&mut rooms, &table), "it is empty");
        let boxes = boxes(&mut rng);
        for _ in 0..ROUNDS {
            for boxed in &boxes {
                let record = BoxRecord::Chosen { boxed: boxed.clone(), expires_at: T };
                table.put(boxed.id(), record);
            }
            table.commit().expect("commits");
        }
        // What was written over goes, 50 MB of it, and what is alive is too much.
        assert!(look(&mut rooms, &table), "{:?}", rooms.room());
        assert!(rooms.room().used < 32 << 20, "{:?}", rooms.room());

        let lifetimes = Lifetimes::default();
        let mut from = Some(SweepCursor::START);
        while let Some(cursor) = from {
            let before = table.waiting();
            from = table.sweep(cursor, T, &lifetimes, 256).expect("sweeps").1;
            rooms.swept(table.waiting() - before);
        }
        table.commit().expect("commits");
        assert!(!look(&mut rooms, &table), "{:?}", rooms.room());
        assert!(table.get(&boxes[0].id()).is_some(), "that there was one is still known");
    }

    #[test]
    fn what_is_below_a_directory_is_counted_as_the_disk_counts_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let empty = bytes_below(dir.path()).expect("reads");
        fs::create_dir(dir.path().join("deep")).expect("makes it");
        fs::write(dir.path().join("deep/file"), vec![1; 1 << 20]).expect("writes");
        // Nothing of it is on the disk.
        fs::File::create(dir.path().join("holes"))
            .and_then(|file| file.set_len(1 << 30))
            .expect("makes it");
        let taken = bytes_below(dir.path()).expect("reads") - empty;
        assert!((1 << 20..1 << 21).contains(&taken), "{taken}");
    }
}
