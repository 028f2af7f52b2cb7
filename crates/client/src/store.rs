//! One person's database: the engine's state, the history of messages, and a few settings, in one
//! SQLCipher file under one key.
//!
//! A commit is on disk when it returns (`synchronous = FULL`, write-ahead log), so the driver can
//! keep the engine's rule: nothing leaves the device that its disk does not know. See
//! `docs/policy/durability.md`.

mod drafts;
mod error;
mod mark;
mod messages;
mod reading;
pub(crate) mod schema;
mod search;

use std::path::Path;

use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use xchat_base::{Secret, id};
use xchat_engine::{Change, ConversationId, Direction};
use zeroize::Zeroizing;

use mark::Mark;

pub use error::StoreError;
pub use messages::{Stamp, StoredMessage};
pub use reading::Seen;
pub(crate) use search::MAX_SEARCH_LEN;
pub use search::{Hit, Snippet, Words, WordsError};

/// A key of the engine's and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// An open database. It belongs to one process at a time: see [`crate::Profile`].
pub struct Store {
    conn: Connection,
    /// The next number of [`Stamp::seq`].
    next_seq: u64,
    /// How many commits there have been.
    commits: u64,
    mark: Mark,
}

/// For SQLite's backup: everything in one step.
const ALL_PAGES: i32 = -1;

/// The setting that counts commits.
const COMMITS: &str = "commits";

impl Store {
    /// Makes a new database; there must be none at `path`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn create(path: &Path, key: &Secret<32>) -> Result<Self, StoreError> {
        let conn = connect(path, key, OpenFlags::SQLITE_OPEN_CREATE)?;
        Self::settled(path, conn, schema::MIGRATIONS)
    }

    /// Opens a database and brings it to the current schema. What cannot be used is left as it is.
    ///
    /// # Errors
    /// [`StoreError`]; a wrong key looks like [`StoreError::Corrupt`], which is why the profile
    /// checks the key before.
    pub fn open(path: &Path, key: &Secret<32>) -> Result<Self, StoreError> {
        Self::open_with(path, key, schema::MIGRATIONS)
    }

    pub(crate) fn open_with(
        path: &Path,
        key: &Secret<32>,
        migrations: &[&str],
    ) -> Result<Self, StoreError> {
        // SQLite takes an empty file for a new database, and throws its write-ahead log away.
        if std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
            return Err(StoreError::Corrupt);
        }
        let conn = connect(path, key, OpenFlags::empty())?;
        if schema::version(&conn)? == 0 {
            return Err(StoreError::Corrupt);
        }
        Self::settled(path, conn, migrations)
    }

    fn settled(path: &Path, mut conn: Connection, migrations: &[&str]) -> Result<Self, StoreError> {
        let new = schema::supported(&conn, migrations)? == 0;
        settle(&conn)?;
        // Before anything is migrated: a state that is too old is left as it is.
        let commits = if new { 0 } else { commits(&conn)? };
        let mark = Mark::check(path, commits)?;
        schema::migrate(&mut conn, migrations)?;
        let last: Option<i64> =
            conn.query_row("SELECT max(seq) FROM messages", [], |row| row.get(0))?;
        let next_seq = last.map_or(1, |seq| seq.unsigned_abs() + 1);
        Ok(Self { conn, next_seq, commits, mark })
    }

    /// Everything the engine has stored, by key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn state(&self) -> Result<Vec<Entry>, StoreError> {
        let mut query = self.conn.prepare_cached("SELECT key, value FROM kv ORDER BY key")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Carries out one batch of changes in one transaction: all of them are on disk when this
    /// returns, or none. One stamp for each change of a message, in their order.
    ///
    /// # Errors
    /// [`StoreError`]; the database is as before.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Vec<Stamp>, StoreError> {
        Ok(self.apply_sent(changes, None)?.0)
    }

    /// The same; if something was said in conversation `sent`, its draft goes with it. Whether one has.
    ///
    /// # Errors
    /// [`StoreError`]; the database is as before.
    pub(crate) fn apply_sent(
        &mut self,
        changes: &[Change],
        sent: Option<ConversationId>,
    ) -> Result<(Vec<Stamp>, bool), StoreError> {
        let mut stamps = Vec::new();
        let mut next_seq = self.next_seq;
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for change in changes {
            match change {
                Change::Put { key, value } => {
                    tx.prepare_cached("INSERT OR REPLACE INTO kv (key, value) VALUES (?1, ?2)")?
                        .execute(params![key, value])?;
                }
                Change::Delete { key } => {
                    tx.prepare_cached("DELETE FROM kv WHERE key = ?1")?.execute([key])?;
                }
                Change::DeletePrefix { prefix } => delete_prefix(&tx, prefix)?,
                Change::Message(row) => {
                    messages::insert(&tx, row, next_seq)?;
                    stamps.push(Stamp { id: row.id, seq: next_seq });
                    next_seq += 1;
                }
                Change::MessageNumber { id, number } => messages::set_number(&tx, *id, *number)?,
                Change::MessageState { id, state } => {
                    messages::set_state(&tx, *id, *state, next_seq)?;
                    stamps.push(Stamp { id: *id, seq: next_seq });
                    next_seq += 1;
                }
            }
        }
        let was_draft = match sent.filter(|id| says_something(changes, *id)) {
            Some(conversation) => drafts::remove(&tx, conversation)?,
            None => false,
        };
        count(&tx, self.commits + 1)?;
        tx.commit()?;
        self.next_seq = next_seq;
        self.committed();
        Ok((stamps, was_draft))
    }

    /// A setting's value.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut query = self.conn.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
        Ok(query.query_row([name], |row| row.get(0)).optional()?)
    }

    /// Sets settings, all or none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_settings(&mut self, settings: &[(&str, &[u8])]) -> Result<(), StoreError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (name, value) in settings {
            tx.prepare_cached("INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)")?
                .execute(params![name, value])?;
        }
        count(&tx, self.commits + 1)?;
        tx.commit()?;
        self.committed();
        Ok(())
    }

    fn committed(&mut self) {
        self.commits += 1;
        self.mark.note(self.commits);
    }

    /// Runs statements of a schema that this program does not write any more.
    #[cfg(test)]
    pub(crate) fn dangerously_execute(&self, sql: &str) {
        self.conn.execute_batch(sql).expect("good statements");
    }

    /// From now on there is room for so many more pages only.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, more: u32) {
        let pages: u32 =
            self.conn.pragma_query_value(None, "page_count", |row| row.get(0)).expect("a count");
        let limit = pages.saturating_add(more);
        self.conn
            .pragma_update_and_check(None, "max_page_count", limit, |_| Ok(()))
            .expect("a limit");
    }

    /// From now on it can be read only.
    #[cfg(test)]
    pub(crate) fn make_read_only(&self) {
        self.conn.pragma_update(None, "query_only", true).expect("a switch");
    }

    /// Copies the database without one of its settings to a new file under the same key, and reads the copy through. It has no mark:
    /// it stands for itself.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Corrupt`] if what was copied does not hold together.
    pub(crate) fn copy_to(
        &self,
        path: &Path,
        key: &Secret<32>,
        without: &str,
    ) -> Result<(), StoreError> {
        let mut copy = connect(path, key, OpenFlags::SQLITE_OPEN_CREATE)?;
        Backup::new(&self.conn, &mut copy)?.step(ALL_PAGES)?;
        let verdict: String = copy.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
        if verdict != "ok" || commits(&copy)? != self.commits {
            return Err(StoreError::Corrupt);
        }
        copy.execute("DELETE FROM settings WHERE name = ?1", [without])?;
        copy.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        copy.close().map_err(|(_, error)| error.into())
    }

    /// Closes the file and folds the write-ahead log into it. A store that is dropped instead leaves
    /// its files as they are.
    ///
    /// # Errors
    /// [`StoreError`]; everything committed is on disk all the same.
    pub fn close(self) -> Result<(), StoreError> {
        self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        self.conn.close().map_err(|(_, error)| error.into())
    }
}

fn connect(path: &Path, key: &Secret<32>, extra: OpenFlags) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
    let conn = Connection::open_with_flags(path, flags)?;
    // Or a file that turns out to be damaged would be written to when it is closed.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    unlock(&conn, key)?;
    search::teach(&conn)?;
    Ok(conn)
}

fn commits(conn: &Connection) -> Result<u64, StoreError> {
    let mut query = conn.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
    let value: Option<[u8; 8]> = query.query_row([COMMITS], |row| row.get(0)).optional()?;
    // A database of before there was a count.
    Ok(value.map_or(0, u64::from_be_bytes))
}

fn count(conn: &Connection, commits: u64) -> Result<(), StoreError> {
    conn.prepare_cached("INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)")?
        .execute(params![COMMITS, commits.to_be_bytes()])?;
    Ok(())
}

/// Gives SQLCipher the raw key, so that it derives nothing by itself, and tries it.
fn unlock(conn: &Connection, key: &Secret<32>) -> Result<(), StoreError> {
    // SQLCipher prints on standard error by default, also what an error of ours says better.
    conn.execute_batch("PRAGMA cipher_log_level = NONE;")?;
    let digits = Zeroizing::new(id::hex(key.expose()));
    let mut statement = Zeroizing::new(String::with_capacity(96));
    statement.push_str("PRAGMA key = \"x'");
    statement.push_str(&digits);
    statement.push_str("'\";");
    conn.execute_batch(&statement)?;
    // Exclusive: the profile's lock admits one process, and the log's index stays in its memory. It
    // has to be said before the first look into the file.
    conn.execute_batch("PRAGMA locking_mode = EXCLUSIVE;")?;
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(())
}

fn settle(conn: &Connection) -> Result<(), StoreError> {
    conn.execute_batch(
        // Secure delete: a ratchet's old secret does not lie in a free page. Temporary tables never
        // reach the disk, where they would be plain.
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA foreign_keys = ON;",
    )?;
    Ok(())
}

/// Whether a batch holds something that was said here in a conversation.
fn says_something(changes: &[Change], conversation: ConversationId) -> bool {
    changes.iter().any(|change| {
        matches!(change, Change::Message(row)
            if row.conversation == conversation && row.direction == Direction::Out)
    })
}

fn delete_prefix(conn: &Connection, prefix: &[u8]) -> Result<(), StoreError> {
    match after_prefix(prefix) {
        Some(end) => conn
            .prepare_cached("DELETE FROM kv WHERE key >= ?1 AND key < ?2")?
            .execute(params![prefix, end])?,
        None => conn.prepare_cached("DELETE FROM kv WHERE key >= ?1")?.execute([prefix])?,
    };
    Ok(())
}

/// The first key after all that start with `prefix`; none if there is no such key.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests;
