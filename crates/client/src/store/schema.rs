//! The schema, and how older ones become it.
//!
//! Rules: a migration is never edited once released; a column's meaning never changes; tables are
//! STRICT; the version is SQLite's `user_version`. Every released version has a fixture in
//! `tests/fixtures`, made by the program that wrote it.

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;

/// `MIGRATIONS[n]` makes schema `n + 1` out of schema `n`.
pub(crate) const MIGRATIONS: &[&str] = &[V1, V2, V3, V4];

/// `kv` belongs to the engine, `settings` to this crate.
///
/// In `messages`, `kind` is NULL for text (in `text`) and otherwise the number of a content kind that
/// was unknown when it came (its bytes in `body`). `seq` counts every change of any row over the
/// whole profile, and `born` is the first `seq` of a row: what was missed since `n` are the rows with
/// `seq > n`.
const V1: &str = "
CREATE TABLE settings (
    name TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT;
CREATE TABLE kv (
    key BLOB PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY NOT NULL,
    conversation BLOB NOT NULL,
    contact BLOB NOT NULL,
    direction INTEGER NOT NULL,
    kind INTEGER,
    text TEXT,
    body BLOB,
    sent_at INTEGER NOT NULL,
    state INTEGER NOT NULL,
    born INTEGER NOT NULL,
    seq INTEGER NOT NULL UNIQUE
) STRICT;
CREATE INDEX messages_by_conversation ON messages (conversation, id);
CREATE INDEX messages_waiting ON messages (id) WHERE state = 0;
";

/// `number` is the sender's sequence number of a row's last record, 0 for rows that have none (all of
/// schema 1); by it, what we said is found again after a rejoin. `notice` is NULL for what somebody
/// said, otherwise the number of a kind of notice, and `count` belongs to some of them.
const V2: &str = "
ALTER TABLE messages ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN notice INTEGER;
ALTER TABLE messages ADD COLUMN count INTEGER;
CREATE INDEX messages_by_number ON messages (conversation, direction, number);
";

/// How far the person has seen each conversation: messages with greater ids are unread. What was there
/// before there was such a mark counts as seen.
const V3: &str = "
CREATE TABLE reading (
    conversation BLOB PRIMARY KEY NOT NULL,
    up_to INTEGER NOT NULL
) STRICT;
INSERT INTO reading (conversation, up_to)
    SELECT conversation, max(id) FROM messages GROUP BY conversation;
";

/// `search` is the index of the history's texts (`search.rs`): it holds the words and reads the texts
/// from `messages`. `folded` is a function of this program. Its prefixes make the first letters of a
/// common word as quick to find as the whole of it; it keeps no lengths, which only ranking would need.
/// `drafts` has what was begun to be written in each conversation.
const V4: &str = "
CREATE VIRTUAL TABLE search USING fts5(
    text, conversation,
    content = 'messages', content_rowid = 'id', prefix = '1 2', columnsize = 0,
    tokenize = \"unicode61 remove_diacritics 2 categories 'L* M* N* Co'\"
);
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
INSERT INTO search (rowid, text, conversation)
    SELECT id, folded(text), hex(conversation) FROM messages WHERE text IS NOT NULL;
CREATE TRIGGER search_insert AFTER INSERT ON messages WHEN new.text IS NOT NULL BEGIN
    INSERT INTO search (rowid, text, conversation)
        VALUES (new.id, folded(new.text), hex(new.conversation));
END;
CREATE TRIGGER search_delete AFTER DELETE ON messages WHEN old.text IS NOT NULL BEGIN
    INSERT INTO search (search, rowid, text, conversation)
        VALUES ('delete', old.id, folded(old.text), hex(old.conversation));
END;
CREATE TRIGGER search_update AFTER UPDATE OF id, text, conversation ON messages BEGIN
    INSERT INTO search (search, rowid, text, conversation)
        SELECT 'delete', old.id, folded(old.text), hex(old.conversation)
        WHERE old.text IS NOT NULL;
    INSERT INTO search (rowid, text, conversation)
        SELECT new.id, folded(new.text), hex(new.conversation) WHERE new.text IS NOT NULL;
END;
CREATE TABLE drafts (
    conversation BLOB PRIMARY KEY NOT NULL,
    text TEXT NOT NULL
) STRICT;
";

/// Brings the database to the schema that `migrations` lead to. Each step is one transaction: it
/// happens wholly or not at all.
pub(super) fn migrate(conn: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let (got, known) = (supported(conn, migrations)?, count(migrations));
    for (version, sql) in (1..=known).zip(migrations).skip(got as usize) {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

fn count(migrations: &[&str]) -> u32 {
    u32::try_from(migrations.len()).expect("a handful of migrations")
}

/// The schema of a database, unless it is later than what `migrations` lead to.
pub(super) fn supported(conn: &Connection, migrations: &[&str]) -> Result<u32, StoreError> {
    let (got, known) = (version(conn)?, count(migrations));
    if got > known { Err(StoreError::NewerSchema { got, known }) } else { Ok(got) }
}

/// The schema of a database; 0 if it is a new one.
pub(super) fn version(conn: &Connection) -> Result<u32, StoreError> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_fails_leaves_the_old_schema_as_it_was() {
        let mut conn = Connection::open_in_memory().expect("a database");
        migrate(&mut conn, &[V1]).expect("schema 1");
        let broken = "CREATE TABLE half (x INTEGER) STRICT; CREATE TABLE half (x INTEGER) STRICT;";
        migrate(&mut conn, &[V1, broken]).expect_err("the second table cannot be");
        assert_eq!(version(&conn).expect("reads"), 1);
        let half = "SELECT count(*) FROM sqlite_schema WHERE name = 'half'";
        let count: u32 = conn.query_row(half, [], |row| row.get(0)).expect("a count");
        assert_eq!(count, 0);
    }

    #[test]
    fn steps_run_once_and_in_order() {
        let steps = [V1, "CREATE TABLE two (x INTEGER) STRICT;", "DROP TABLE two;"];
        let mut conn = Connection::open_in_memory().expect("a database");
        migrate(&mut conn, &steps[..2]).expect("schema 2");
        migrate(&mut conn, &steps[..2]).expect("nothing to do");
        migrate(&mut conn, &steps).expect("schema 3");
        assert_eq!(version(&conn).expect("reads"), 3);
    }

    #[test]
    fn a_later_schema_is_named_and_left_alone() {
        let mut conn = Connection::open_in_memory().expect("a database");
        conn.pragma_update(None, "user_version", 9).expect("sets");
        let refused = migrate(&mut conn, MIGRATIONS);
        assert!(matches!(refused, Err(StoreError::NewerSchema { got: 9, known: 4 })));
    }
}
