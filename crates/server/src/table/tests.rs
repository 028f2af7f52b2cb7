//! The table on a real disk.

mod losses;

use std::time::Duration;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use xchat_base::Secret;
use xchat_node::pigeonhole::Lane;
use xchat_node::pigeonhole::register::Ballot;
use xchat_node::pigeonhole::register::MemoryTable;

use super::*;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn open(dir: &Path) -> DiskTable {
    DiskTable::open(dir, 1, &mut rng(1)).expect("opens")
}

fn chosen(n: u8, expires_at: Timestamp) -> (BoxId, BoxRecord) {
    let lane = Lane::new(Secret::new([n; 32]));
    let boxed = lane.keys().seal(&mut rng(u64::from(n)), b"content").expect("fits");
    let boxed = boxed.verify().expect("own");
    (boxed.id(), BoxRecord::Chosen { boxed, expires_at })
}

fn promised(n: u8, expires_at: Timestamp) -> (BoxId, BoxRecord) {
    let record = BoxRecord::Open { promised: Ballot::zero(0), accepted: None, expires_at };
    (BoxId::from_bytes([n; 32]), record)
}

const T: Timestamp = Timestamp::from_secs(1_000_000);

#[test]
fn what_was_committed_survives_and_what_was_not_does_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let (committed, uncommitted) = (chosen(1, T), chosen(2, T));
    let mut table = open(dir.path());
    let incarnation = table.incarnation();
    table.put(committed.0, committed.1.clone());
    assert_eq!(table.get(&committed.0).as_ref(), Some(&committed.1), "visible at once");
    table.commit().expect("commits");
    table.put(uncommitted.0, uncommitted.1);
    drop(table);

    let table = open(dir.path());
    assert_eq!(table.get(&committed.0), Some(committed.1));
    assert_eq!(table.get(&uncommitted.0), None);
    assert_eq!(table.incarnation(), incarnation);
}

/// Seal and progress are in the batch of the records that they speak of: a crash takes both or none.
#[test]
fn what_a_table_says_of_itself_is_committed_with_its_records() {
    let dir = tempfile::tempdir().expect("a directory");
    let standing = |sealed| {
        let bytes = [&[1, sealed][..], &[0, 0, 0]].concat();
        Standing::from_stored(&bytes).expect("a version, a placement, and nothing else")
    };
    let (first, second) = (chosen(1, T), chosen(2, T));
    let mut table = open(dir.path());
    assert_eq!(table.standing(), Standing::default());
    table.put(first.0, first.1);
    table.put_standing(standing(2));
    table.commit().expect("commits");
    table.put(second.0, second.1);
    table.put_standing(standing(3));
    drop(table);

    let table = open(dir.path());
    assert_eq!(table.standing().sealed(), 2);
    let ids: Vec<_> = table.after(None, 10).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [first.0]);
}

#[test]
fn a_wiped_table_is_another_incarnation() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = open(dir.path()).incarnation();
    std::fs::remove_dir_all(dir.path().join(DIR)).expect("wipes");
    let table = DiskTable::open(dir.path(), 1, &mut rng(2)).expect("opens");
    assert_ne!(table.incarnation(), first);
}

#[test]
fn another_version_of_the_layout_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let table = open(dir.path());
    let meta = table.database.keyspace("meta", KeyspaceCreateOptions::default).expect("opens");
    meta.insert(META_VERSION, [9]).expect("writes");
    drop((meta, table));
    let error = DiskTable::open(dir.path(), 1, &mut rng(1)).err().expect("version 9");
    assert!(error.to_string().ends_with("has version 9, this program reads version 1"), "{error}");
}

#[test]
fn a_sweep_takes_what_is_due_in_pieces() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut table = open(dir.path());
    for n in 0..5 {
        let (id, record) = promised(n, T);
        table.put(id, record);
    }
    let (kept, record) = promised(9, T + Duration::from_secs(1));
    table.put(kept, record);
    let (old, record) = chosen(10, T);
    table.put(old, record);
    table.commit().expect("commits");

    let (mut cursor, mut pieces) = (Some(SweepCursor::START), 0);
    while let Some(from) = cursor {
        let (settle, next) = table.sweep(from, T, &Lifetimes::default(), 2).expect("sweeps");
        assert!(settle.is_empty());
        table.commit().expect("commits");
        (cursor, pieces) = (next, pieces + 1);
    }
    assert!(pieces >= 3);
    assert!((0..5).all(|n| table.get(&promised(n, T).0).is_none()));
    assert!(table.get(&kept).is_some());
    assert!(matches!(table.get(&old), Some(BoxRecord::Tombstone { .. })));
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u64),
    Commit,
    Reopen,
    Sweep(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..6, 0u64..50).prop_map(|(n, at)| Step::Put(n, at)),
        3 => Just(Step::Commit),
        1 => Just(Step::Reopen),
        2 => (0u64..50).prop_map(Step::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The table and the one in memory are the same table; a reopening takes back the uncommitted.
    #[test]
    fn it_does_what_the_table_in_memory_does(steps in prop::collection::vec(step(), 1..40)) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut table = open(dir.path());
        let (mut model, mut durable) = (MemoryTable::new(), MemoryTable::new());
        for step in steps {
            match step {
                Step::Put(n, at) => {
                    let (id, record) = promised(n, Timestamp::from_secs(at));
                    table.put(id, record.clone());
                    model.put(id, record);
                }
                Step::Commit => {
                    table.commit().expect("commits");
                    durable = model.clone();
                }
                Step::Reopen => {
                    drop(table);
                    table = open(dir.path());
                    model = durable.clone();
                }
                Step::Sweep(at) => {
                    let now = Timestamp::from_secs(at);
                    table.commit().expect("commits");
                    table.sweep(SweepCursor::START, now, &Lifetimes::default(), 1000).expect("sweeps");
                    table.commit().expect("commits");
                    model.sweep(now);
                    durable = model.clone();
                }
            }
            for limit in 1..4 {
                for after in [None, Some(promised(2, T).0)] {
                    let records = table.after(after.as_ref(), limit);
                    prop_assert_eq!(records, model.after(after.as_ref(), limit));
                }
            }
            for n in 0..6 {
                let id = promised(n, T).0;
                prop_assert_eq!(table.get(&id), model.get(&id));
            }
        }
    }
}
