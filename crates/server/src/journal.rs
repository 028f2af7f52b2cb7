//! The replay journals: which packets a hop has seen, one file for each hop key.
//!
//! Prints are appended and never read before the next start. A batch is handed to the system before
//! its packets leave, so a killed process forgets nothing; what a crash of the whole machine can
//! take are the moments since the last sync, in which a replayed packet would be delayed and
//! forwarded once more.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use xchat_node::TagPrint;
use xchat_node::hop::{MAX_REPLAY_TAGS, Remembered};
use xchat_node::sphinx::HopKey;

use crate::error::NodeError;
use crate::files;

const DIR: &str = "replay";
const SUFFIX: &str = "tags";

/// The journals of one node.
pub(crate) struct Journal {
    dir: PathBuf,
    open: BTreeMap<HopKey, File>,
    unsynced: bool,
}

impl Journal {
    /// Opens a node's journals and reads what they remember. Those of keys that the node no longer
    /// has are removed.
    pub(crate) fn open(dir: &Path, keys: &[HopKey]) -> Result<(Self, Remembered), NodeError> {
        let dir = dir.join(DIR);
        files::private_dir(&dir).map_err(NodeError::file(&dir))?;
        let mut remembered = Remembered::new();
        for entry in fs::read_dir(&dir).map_err(NodeError::file(&dir))? {
            let path = entry.map_err(NodeError::file(&dir))?.path();
            let named = path.file_stem().and_then(|stem| stem.to_str()).and_then(HopKey::from_hex);
            let Some(key) = named.filter(|_| path.extension().is_some_and(|ext| ext == SUFFIX))
            else {
                continue;
            };
            if keys.contains(&key) {
                let (prints, bytes) = prints(&path).map_err(NodeError::file(&path))?;
                remembered.push((key, prints));
                trim(&path, bytes).map_err(NodeError::file(&path))?;
            } else {
                files::remove(&path).map_err(NodeError::file(&path))?;
            }
        }
        Ok((Self { dir, open: BTreeMap::new(), unsynced: false }, remembered))
    }

    fn path(&self, key: &HopKey) -> PathBuf {
        self.dir.join(key.to_hex()).with_extension(SUFFIX)
    }

    /// Hands prints to the system.
    pub(crate) fn append(&mut self, key: HopKey, tags: &[TagPrint]) -> Result<(), NodeError> {
        let path = self.path(&key);
        let file = match self.open.entry(key) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
                free.insert(file.map_err(NodeError::file(&path))?)
            }
        };
        let bytes: Vec<u8> = tags.iter().flat_map(|print| *print.as_bytes()).collect();
        self.unsynced = true;
        file.write_all(&bytes).map_err(NodeError::file(path))
    }

    /// To the disk itself; cheap when nothing was appended.
    pub(crate) fn sync(&mut self) -> Result<(), NodeError> {
        if std::mem::take(&mut self.unsynced) {
            for (key, file) in &self.open {
                let path = self.dir.join(key.to_hex());
                file.sync_data().map_err(NodeError::file(path))?;
            }
        }
        Ok(())
    }

    /// The key is over: so is its journal.
    pub(crate) fn forget(&mut self, key: &HopKey) -> Result<(), NodeError> {
        self.open.remove(key);
        let path = self.path(key);
        files::remove(&path).map_err(NodeError::file(path))
    }
}

/// What a journal remembers, at most [`MAX_REPLAY_TAGS`], and how many bytes it has. Read piece by piece: it may be large.
fn prints(path: &Path) -> io::Result<(Vec<TagPrint>, u64)> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let whole = usize::try_from(bytes).unwrap_or(usize::MAX) / TagPrint::LEN;
    let count = whole.min(MAX_REPLAY_TAGS);
    let mut prints = Vec::with_capacity(count);
    let mut reader = BufReader::new(file);
    let mut print = [0; TagPrint::LEN];
    for _ in 0..count {
        reader.read_exact(&mut print)?;
        prints.push(TagPrint::from_bytes(print));
    }
    Ok((prints, bytes))
}

/// Cuts off half a print that a crash left at the end, or what follows would be misread.
fn trim(path: &Path, len: u64) -> io::Result<()> {
    let odd = len % TagPrint::LEN as u64;
    if odd == 0 {
        return Ok(());
    }
    OpenOptions::new().write(true).open(path)?.set_len(len - odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_survive_a_torn_write_and_end_with_their_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let [one, two] = [1, 2].map(|n| HopKey::from_bytes([n; 32]));
        let tag = |n: u8| TagPrint::from_bytes([n; 8]);
        let (mut journal, remembered) = Journal::open(dir.path(), &[one, two]).expect("opens");
        assert!(remembered.is_empty());
        journal.append(one, &[tag(1), tag(2)]).expect("appends");
        journal.append(two, &[tag(3)]).expect("appends");
        journal.sync().expect("syncs");
        let path = journal.path(&one);
        drop(journal);
        let mut torn = OpenOptions::new().append(true).open(&path).expect("opens");
        torn.write_all(&[9; 5]).expect("writes");
        drop(torn);

        let (mut journal, remembered) = Journal::open(dir.path(), &[one, two]).expect("opens");
        assert_eq!(remembered.iter().map(|(_, prints)| prints.len()).sum::<usize>(), 3);
        journal.append(one, &[tag(4)]).expect("appends");
        drop(journal);
        let (mut journal, remembered) = Journal::open(dir.path(), &[one]).expect("opens");
        assert_eq!(remembered, [(one, vec![tag(1), tag(2), tag(4)])]);
        journal.forget(&one).expect("forgets");
        drop(journal);
        let (_, remembered) = Journal::open(dir.path(), &[one, two]).expect("opens");
        assert!(remembered.is_empty());
    }

    const PLACE: &str = "XCHAT_CRASH_TEST_JOURNAL";

    fn numbered(n: u64) -> TagPrint {
        TagPrint::from_bytes(n.to_be_bytes())
    }

    /// Not a test of its own: what the child of the test below runs.
    #[test]
    fn appends_until_it_is_killed() {
        let Some(place) = std::env::var_os(PLACE) else { return };
        let key = HopKey::from_bytes([1; 32]);
        let (mut journal, remembered) = Journal::open(Path::new(&place), &[key]).expect("opens");
        let remembered: usize = remembered.iter().map(|(_, prints)| prints.len()).sum();
        for n in remembered as u64.. {
            // Two at a time, and never synced: a dying process needs no sync.
            journal.append(key, &[numbered(2 * n), numbered(2 * n + 1)]).expect("appends");
            println!("confirmed {n}");
        }
    }

    #[test]
    fn a_print_whose_packet_may_have_left_survives_kill_9() {
        use std::io::{BufRead, BufReader};
        use std::process::{Command, Stdio};

        let dir = tempfile::tempdir().expect("a directory");
        let key = HopKey::from_bytes([1; 32]);
        for round in 0..8 {
            let mut child = Command::new(std::env::current_exe().expect("this test"))
                .args(["--exact", "journal::tests::appends_until_it_is_killed", "--nocapture"])
                .env(PLACE, dir.path())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a child");
            let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            let confirmed = lines.map_while(Result::ok).filter_map(|line| {
                line.rsplit_once("confirmed ").map(|(_, n)| n.parse::<u64>().expect("a number"))
            });
            let confirmed: Vec<_> = confirmed.take(5 + 20 * round).collect();
            child.kill().expect("kills");
            child.wait().expect("ends");
            let (_, remembered) = Journal::open(dir.path(), &[key]).expect("opens");
            for n in confirmed {
                for print in [numbered(2 * n), numbered(2 * n + 1)] {
                    let all = &remembered[0];
                    assert!(all.0 == key && all.1.contains(&print), "{n}");
                }
            }
        }
    }
}
