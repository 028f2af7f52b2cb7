//! The history of messages as rows.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use xchat_engine::{ContactId, Content, ConversationId, Direction, MessageRow, MessageState};

use super::Store;
use super::error::StoreError;

/// The number of one change of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The row.
    pub id: u64,
    /// Counts all changes of all rows of the profile, from 1.
    pub seq: u64,
}

/// A row as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// What the engine stored.
    pub row: MessageRow,
    /// The number of its first change: of its insertion.
    pub born: u64,
    /// The number of its last change.
    pub seq: u64,
}

const COLUMNS: &str =
    "id, conversation, contact, direction, kind, text, body, sent_at, state, born, seq";

pub(super) fn insert(conn: &Connection, row: &MessageRow, seq: u64) -> Result<(), StoreError> {
    let (kind, text, body) = match &row.content {
        Content::Text(text) => (None, Some(text), None),
        Content::Unknown { kind, body } => (Some(*kind), None, Some(body)),
    };
    let sql = "INSERT INTO messages (id, conversation, contact, direction, kind, text, body,
               sent_at, state, born, seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)";
    conn.prepare_cached(sql)?.execute(params![
        signed(row.id),
        row.conversation.as_bytes(),
        row.contact.as_bytes(),
        direction_number(row.direction),
        kind,
        text,
        body,
        signed(row.sent_at),
        state_number(row.state),
        signed(seq),
    ])?;
    Ok(())
}

pub(super) fn set_state(
    conn: &Connection,
    id: u64,
    state: MessageState,
    seq: u64,
) -> Result<(), StoreError> {
    let changed = conn
        .prepare_cached("UPDATE messages SET state = ?2, seq = ?3 WHERE id = ?1")?
        .execute(params![signed(id), state_number(state), signed(seq)])?;
    if changed == 0 { Err(StoreError::UnknownRow) } else { Ok(()) }
}

impl Store {
    /// The last `limit` messages before row `before` (of one conversation, or of all), oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn messages_before(
        &self,
        conversation: Option<ConversationId>,
        before: u64,
        limit: u32,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let mut rows = match conversation {
            Some(conversation) => {
                let sql = format!(
                    "SELECT {COLUMNS} FROM messages WHERE conversation = ?1 AND id < ?2
                     ORDER BY id DESC LIMIT ?3"
                );
                self.collect(&sql, params![conversation.as_bytes(), signed(before), limit])?
            }
            None => {
                let sql = format!(
                    "SELECT {COLUMNS} FROM messages WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
                );
                self.collect(&sql, params![signed(before), limit])?
            }
        };
        rows.reverse();
        Ok(rows)
    }

    /// The first `limit` messages after row `after`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn messages_after(&self, after: u64, limit: u32) -> Result<Vec<StoredMessage>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2");
        self.collect(&sql, params![signed(after), limit])
    }

    /// The first `limit` rows that changed after change number `seq`, in the order of their last
    /// changes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn changed_after(&self, seq: u64, limit: u32) -> Result<Vec<StoredMessage>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM messages WHERE seq > ?1 ORDER BY seq LIMIT ?2");
        self.collect(&sql, params![signed(seq), limit])
    }

    /// One message.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn message(&self, id: u64) -> Result<Option<StoredMessage>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM messages WHERE id = ?1");
        let mut query = self.conn.prepare_cached(&sql)?;
        Ok(query.query_row([signed(id)], read).optional()?)
    }

    /// How many messages wait in the outbox.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn waiting(&self) -> Result<u64, StoreError> {
        let mut query =
            self.conn.prepare_cached("SELECT count(*) FROM messages WHERE state = 0")?;
        Ok(query.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// The number of the last change of any message; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    fn collect(
        &self,
        sql: &str,
        params: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let mut query = self.conn.prepare_cached(sql)?;
        let rows = query.query_map(params, read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// SQLite's integers are signed; ours count up from 1 and stay below 2^63.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read(row: &Row<'_>) -> Result<StoredMessage, rusqlite::Error> {
    let number = |at: usize| row.get::<_, i64>(at).map(i64::unsigned_abs);
    let content = match row.get(4)? {
        Some(kind) => Content::Unknown { kind, body: row.get(6)? },
        None => Content::Text(row.get(5)?),
    };
    let row = MessageRow {
        id: number(0)?,
        conversation: ConversationId::from_bytes(row.get(1)?),
        contact: ContactId::from_bytes(row.get(2)?),
        direction: direction(row.get(3)?)?,
        content,
        sent_at: number(7)?,
        state: state(row.get(8)?)?,
    };
    Ok(StoredMessage { row, born: number(9)?, seq: number(10)? })
}

fn direction_number(direction: Direction) -> u8 {
    match direction {
        Direction::In => 0,
        Direction::Out => 1,
    }
}

fn direction(number: u8) -> Result<Direction, rusqlite::Error> {
    match number {
        0 => Ok(Direction::In),
        1 => Ok(Direction::Out),
        _ => Err(unknown(3, "direction")),
    }
}

fn state_number(state: MessageState) -> u8 {
    match state {
        MessageState::Waiting => 0,
        MessageState::Stored => 1,
        MessageState::Delivered => 2,
        MessageState::Received => 3,
    }
}

fn state(number: u8) -> Result<MessageState, rusqlite::Error> {
    match number {
        0 => Ok(MessageState::Waiting),
        1 => Ok(MessageState::Stored),
        2 => Ok(MessageState::Delivered),
        3 => Ok(MessageState::Received),
        _ => Err(unknown(8, "state")),
    }
}

fn unknown(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, what.into())
}
