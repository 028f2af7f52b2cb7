//! Namespaces of a test's own: file systems, networks and processes that it may do anything to, and that
//! go with it. Needs no privileges beyond what `unshare` gives to everybody on a usual Linux; where that is
//! forbidden the tests fail and say so.
#![allow(dead_code)] // Each test uses a part of it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Tells the process inside that it is inside, and for which test.
const INSIDE: &str = "XCHAT_E2E_INSIDE";

/// Processes that were told to end are gone by then.
const SOON: Duration = Duration::from_secs(60);

/// Runs `body` of the test called `name` as root of namespaces of its own (users, mounts, processes and
/// `more`): this program once more, told to run that test alone. Nothing that it starts outlives it.
pub(crate) fn inside(name: &str, more: &[&str], body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == name) {
        return body();
    }
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"])
        .args(more)
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, name)
        .status()
        .expect("unshare, of the package util-linux, runs");
    assert!(
        status.success(),
        "{name} failed inside its namespaces, or they could not be made ({status}): \
         user namespaces must be allowed here"
    );
}

/// Runs a command that must succeed.
pub(crate) fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().expect(program);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {errors}");
}

/// A small file system in memory, mounted for the test alone.
pub(crate) struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    /// Only [`inside`] namespaces.
    pub(crate) fn new(mib: u32) -> Self {
        let disk = Self { dir: TempDir::new().expect("a temporary directory") };
        mount_at(disk.path(), mib);
        disk
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Takes what room there is.
    pub(crate) fn fill(&self) {
        fill(&self.ballast());
    }

    /// Gives it back.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("it was filled");
    }

    /// From now on it can be read only. The system refuses while a file is open for writing: it is asked
    /// until the last process that has one is gone.
    pub(crate) fn make_read_only(&self) {
        let end = Instant::now() + SOON;
        let remount = || {
            let mut command = Command::new("mount");
            command.args(["-o", "remount,ro", text(self.path())]).stderr(Stdio::null());
            command.status().expect("mount runs").success()
        };
        while !remount() {
            assert!(Instant::now() < end, "somebody writes there still");
            std::thread::yield_now();
        }
    }

    /// Takes that back.
    pub(crate) fn make_writable(&self) {
        run("mount", &["-o", "remount,rw", text(self.path())]);
    }
}

/// Mounts a small file system in memory at a directory that is there; only [`inside`] namespaces.
pub(crate) fn mount_at(path: &Path, mib: u32) {
    let options = format!("size={mib}m,mode=0700");
    run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", text(path)]);
}

/// Writes to a file until there is no room for one more page.
pub(crate) fn fill(ballast: &Path) {
    let mut file: File =
        OpenOptions::new().create(true).append(true).open(ballast).expect("an entry has room");
    for piece in [1 << 20, 1 << 16, 1 << 12, 1] {
        loop {
            let Err(error) = file.write_all(&vec![0x55; piece]) else { continue };
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            break;
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is utf-8")
}
