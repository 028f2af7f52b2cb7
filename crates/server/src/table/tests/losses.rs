//! A table that has lost anything is not opened as the one that it was: whatever is removed, cut, damaged or put
//! back from a backup.

use std::fs;

use super::super::*;
use super::{T, chosen, open};

const BOXES: u8 = 40;

/// A table with records in its files, in a sealed journal and in the one that is written to.
fn used(dir: &Path) {
    fs::create_dir_all(dir).expect("a directory");
    let mut table = open(dir);
    for n in 0..BOXES {
        let (id, record) = chosen(n, T);
        table.put(id, record);
        table.commit().expect("commits");
        if n == BOXES / 2 {
            for part in [&table.meta, &table.boxes, &table.due] {
                part.rotate_memtable_and_wait().expect("to its files");
            }
        }
    }
    drop(table);
    // The engine shortens its journals when it opens them; before, they are mostly zeros.
    drop(open(dir));
}

fn has_everything(table: &DiskTable) -> bool {
    (0..BOXES).map(|n| chosen(n, T)).all(|(id, record)| table.get(&id) == Some(record))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let copied = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            fs::copy(&path, &copied).expect("copies");
        }
    }
}

/// Everything in a directory, each path relative to it.
fn everything(dir: &Path, below: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(below).expect("a directory") {
        let path = entry.expect("an entry").path();
        found.push(path.strip_prefix(dir).expect("below").to_owned());
        if path.is_dir() {
            everything(dir, &path, found);
        }
    }
}

fn reopened(dir: &Path) -> Result<DiskTable, TableError> {
    DiskTable::open(dir, 1, &mut super::rng(9))
}

/// How a file can be spoilt.
type Spoiling = (&'static str, fn(&Path));

const SPOILINGS: [Spoiling; 4] = [
    ("removed", |path| {
        if path.is_dir() {
            fs::remove_dir_all(path).expect("removes");
        } else {
            fs::remove_file(path).expect("removes");
        }
    }),
    ("emptied", |path| change(path, Vec::clear)),
    ("cut in the middle", |path| change(path, |bytes| bytes.truncate(bytes.len() / 2))),
    ("changed in the middle", |path| {
        change(path, |bytes| {
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 0x10;
            }
        });
    }),
];

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    if path.is_dir() {
        return;
    }
    let mut bytes = fs::read(path).expect("reads");
    change(&mut bytes);
    fs::write(path, bytes).expect("writes");
}

#[test]
fn whatever_is_spoilt_it_is_refused_or_nothing_is_missing() {
    let root = tempfile::tempdir().expect("a directory");
    let pristine = root.path().join("pristine");
    used(&pristine);
    let incarnation = open(&pristine).incarnation();
    let boxes = pristine.join(DIR);
    let mut paths = Vec::new();
    everything(&boxes, &boxes, &mut paths);
    assert!(paths.len() > 12, "{paths:?}");
    let (mut refused, mut whole) = (0, 0);
    for path in &paths {
        for (how, spoil) in SPOILINGS {
            let place = root.path().join("spoilt");
            copy(&pristine, &place);
            spoil(&place.join(DIR).join(path));
            match reopened(&place) {
                Ok(table) => {
                    assert_eq!(table.incarnation(), incarnation, "{} {how}", path.display());
                    let whole_table = has_everything(&table) || table.failed.get().is_some();
                    assert!(whole_table, "{} {how}: boxes are missing", path.display());
                    whole += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
            }
            fs::remove_dir_all(&place).expect("removes");
        }
    }
    assert!(refused > paths.len(), "{refused} refused, {whole} whole");
}

#[test]
fn an_older_copy_is_refused_and_so_is_one_without_its_mark_or_of_another_store() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("store");
    used(&dir);
    let backup = root.path().join("backup");
    copy(&dir.join(DIR), &backup);
    let mut table = open(&dir);
    let (id, record) = chosen(200, T);
    table.put(id, record);
    table.commit().expect("commits");
    drop(table);
    let newest = root.path().join("newest");
    copy(&dir, &newest);

    fs::remove_dir_all(dir.join(DIR)).expect("removes");
    copy(&backup, &dir.join(DIR));
    let refused = reopened(&dir).map(drop).expect_err("an older copy");
    assert!(matches!(refused, TableError::RolledBack { .. }) && refused.is_loss(), "{refused}");

    let unmarked = root.path().join("unmarked");
    copy(&newest, &unmarked);
    fs::remove_file(unmarked.join("boxes.mark")).expect("removes");
    let refused = reopened(&unmarked).map(drop).expect_err("nobody can say how old it is");
    assert!(matches!(refused, TableError::OtherTable { .. }) && refused.is_loss(), "{refused}");

    let other = root.path().join("other");
    fs::create_dir_all(&other).expect("a directory");
    drop(DiskTable::open(&other, 1, &mut super::rng(5)).expect("makes one"));
    fs::remove_dir_all(other.join(DIR)).expect("removes");
    copy(&newest.join(DIR), &other.join(DIR));
    let refused = reopened(&other).map(drop).expect_err("another store's");
    assert!(matches!(refused, TableError::OtherTable { .. }), "{refused}");

    // The newest with its mark is the one that it was.
    assert!(has_everything(&reopened(&newest).expect("nothing is lost")));
    // And without anything a store begins anew, as another.
    let old = open(&newest).incarnation();
    fs::remove_dir_all(newest.join(DIR)).expect("wipes");
    assert_ne!(reopened(&newest).expect("a new table").incarnation(), old);
}

#[test]
fn a_making_that_was_cut_off_is_begun_anew() {
    let root = tempfile::tempdir().expect("a directory");
    let made = root.path().join("made");
    fs::create_dir_all(&made).expect("a directory");
    drop(open(&made));
    let boxes = made.join(DIR);
    let mut paths = Vec::new();
    everything(&boxes, &boxes, &mut paths);
    for keep in 0..=paths.len() {
        // It is made beside its place, and its mark may be there already.
        let place = root.path().join("place");
        copy(&made, &place);
        fs::rename(place.join(DIR), place.join(NEW)).expect("moves");
        for path in &paths[keep..] {
            let path = place.join(NEW).join(path);
            // It may have gone with the directory above it.
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
        let table = reopened(&place).expect("is made");
        assert!(table.get(&chosen(1, T).0).is_none());
        drop(table);
        fs::remove_dir_all(&place).expect("removes");
    }
}
