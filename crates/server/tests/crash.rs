//! kill -9 in the middle of writing: what was confirmed is there, and nothing is there by half.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::Timestamp;
use xchat_server::files;
use xchat_server::node::pigeonhole::BoxId;
use xchat_server::node::pigeonhole::register::{Ballot, BoxRecord, BoxTable};
use xchat_server::table::DiskTable;

/// Tells the child that it is the child, what to write, and where.
const TASK: &str = "XCHAT_CRASH_TEST_TASK";
const PLACE: &str = "XCHAT_CRASH_TEST_PLACE";

/// How often each task is killed.
const ROUNDS: usize = 10;

fn open(dir: &Path) -> DiskTable {
    DiskTable::open(dir, 1, &mut ChaCha20Rng::seed_from_u64(1)).expect("opens")
}

/// A promise of a store, which it must never forget.
fn promise(n: u64) -> (BoxId, BoxRecord) {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    let record = BoxRecord::Open {
        promised: Ballot::zero((n % 3) as u32),
        accepted: None,
        expires_at: Timestamp::from_secs(2_000_000_000),
    };
    (BoxId::from_bytes(id), record)
}

/// Longer than a page, so that half of it would show.
fn content(n: u64) -> Vec<u8> {
    format!("{n}\n").repeat(2_000).into_bytes()
}

fn confirm(n: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "confirmed {n}").and_then(|()| out.flush()).expect("the parent reads");
}

/// Not a test of its own: what the children of the tests below run.
#[test]
fn writes_until_it_is_killed() {
    let (Ok(task), Some(place)) = (std::env::var(TASK), std::env::var_os(PLACE)) else { return };
    let place = Path::new(&place);
    match task.as_str() {
        "promises" => {
            let mut table = open(place);
            let first = (0..).find(|n| table.get(&promise(*n).0).is_none()).expect("it ends");
            for n in first.. {
                let (id, record) = promise(n);
                table.put(id, record);
                table.commit().expect("commits");
                confirm(n);
            }
        }
        "tables" => {
            let first = fs::read_dir(place).expect("reads").count() as u64;
            for n in first.. {
                let incarnation = open(&place.join(n.to_string())).incarnation();
                fs::write(place.join(format!("{n}/seen")), incarnation.as_bytes()).expect("writes");
                confirm(n);
            }
        }
        _ => {
            for n in 0.. {
                files::replace(&place.join("file"), &content(n), true).expect("replaces");
                confirm(n);
            }
        }
    }
}

/// Runs a task and kills it after `lines` confirmations, wherever it is by then; the numbers that it confirmed.
fn killed(task: &str, place: &Path, lines: usize) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "writes_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(TASK, task)
        .env(PLACE, place)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let output = BufReader::new(child.stdout.take().expect("piped")).lines();
    let numbers = output.map_while(Result::ok).filter_map(|line| {
        line.rsplit_once("confirmed ").map(|(_, n)| n.parse().expect("a number"))
    });
    let confirmed: Vec<_> = numbers.take(lines).collect();
    child.kill().expect("kills");
    child.wait().expect("ends");
    assert_eq!(confirmed.len(), lines, "it has written");
    confirmed
}

#[test]
fn what_a_store_has_promised_survives_kill_9() {
    let dir = tempfile::tempdir().expect("a directory");
    let incarnation = open(dir.path()).incarnation();
    for round in 0..ROUNDS {
        let confirmed = killed("promises", dir.path(), 3 + 7 * round);
        let table = open(dir.path());
        assert_eq!(table.incarnation(), incarnation, "the same table");
        let last = confirmed.last().copied().expect("at least one");
        for n in 0..=last {
            let (id, record) = promise(n);
            assert_eq!(table.get(&id), Some(record), "promise {n} of {last}");
        }
    }
}

#[test]
fn a_table_whose_making_was_killed_is_made_by_the_next_start_and_keeps_what_it_said() {
    let dir = tempfile::tempdir().expect("a directory");
    for round in 0..ROUNDS {
        let confirmed = killed("tables", dir.path(), 1 + round % 3);
        for n in &confirmed {
            let place = dir.path().join(n.to_string());
            let seen = fs::read(place.join("seen")).expect("confirmed");
            assert_eq!(open(&place).incarnation().as_bytes().as_slice(), seen);
        }
        // Also those that it was killed in, if it came so far.
        for entry in fs::read_dir(dir.path()).expect("reads") {
            open(&entry.expect("reads").path());
        }
    }
}

#[test]
fn a_file_that_is_replaced_is_whole_after_kill_9() {
    let dir = tempfile::tempdir().expect("a directory");
    for round in 0..ROUNDS {
        let confirmed = killed("file", dir.path(), 1 + 5 * round);
        let found = fs::read(dir.path().join("file")).expect("is there");
        let text = String::from_utf8(found.clone()).expect("digits");
        let n: u64 = text.lines().next().expect("a line").parse().expect("a number");
        assert!(confirmed.iter().all(|confirmed| *confirmed <= n), "{n} is older");
        assert_eq!(found, content(n), "whole");
    }
}
