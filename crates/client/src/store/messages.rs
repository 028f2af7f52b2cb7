//! The history of messages as rows.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use xchat_engine::{
    ContactId, Content, ConversationId, Direction, MessageRow, MessageState, Notice, Recalled,
};

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
    "id, conversation, contact, direction, kind, text, body, sent_at, state, born,
     seq, number, notice, count";

pub(super) fn insert(conn: &Connection, row: &MessageRow, seq: u64) -> Result<(), StoreError> {
    let (kind, text, body) = match &row.content {
        Content::Text(text) => (None, Some(text), None),
        Content::Unknown { kind, body } => (Some(*kind), None, Some(body)),
        Content::Notice(_) => (None, None, None),
    };
    let notice = match &row.content {
        Content::Notice(notice) => Some(*notice),
        Content::Text(_) | Content::Unknown { .. } => None,
    };
    let count = match notice {
        Some(Notice::Missing { count }) => Some(signed(count)),
        Some(Notice::TheyRejoined | Notice::WeRejoined) | None => None,
    };
    let sql = "INSERT INTO messages (id, conversation, contact, direction, kind, text, body,
               sent_at, state, born, seq, number, notice, count)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12, ?13)";
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
        signed(row.number),
        notice.map(notice_number),
        count,
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

pub(super) fn set_number(conn: &Connection, id: u64, number: u64) -> Result<(), StoreError> {
    let changed = conn
        .prepare_cached("UPDATE messages SET number = ?2 WHERE id = ?1")?
        .execute(params![signed(id), signed(number)])?;
    if changed == 0 { Err(StoreError::UnknownRow) } else { Ok(()) }
}

impl Store {
    /// What we said in a conversation under greater numbers than `after`: the last `limit`, oldest
    /// first, and how many more there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn recall(
        &self,
        conversation: ConversationId,
        after: u64,
        limit: u32,
    ) -> Result<Recalled, StoreError> {
        const OURS: &str = "FROM messages WHERE conversation = ?1 AND direction = 1";
        let count = |condition: &str| -> Result<u64, StoreError> {
            let mut query =
                self.conn.prepare_cached(&format!("SELECT count(*) {OURS} AND {condition}"))?;
            let count = query
                .query_row(params![conversation.as_bytes(), signed(after)], |row| {
                    row.get::<_, i64>(0)
                })?;
            Ok(count.unsigned_abs())
        };
        let sql = format!("SELECT {COLUMNS} {OURS} AND number > ?2 ORDER BY number DESC LIMIT ?3");
        let found = self.collect(&sql, params![conversation.as_bytes(), signed(after), limit])?;
        let rows: Vec<_> = found.into_iter().rev().map(|stored| stored.row).collect();
        let older = count("number > ?2")?.saturating_sub(rows.len() as u64);
        Ok(Recalled { rows, older, unnumbered: count("number = 0 AND ?2 >= 0")? })
    }

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

    /// The first `limit` messages between the rows `after` and `before` (of one conversation, or of all),
    /// oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn messages_between(
        &self,
        conversation: Option<ConversationId>,
        after: u64,
        before: u64,
        limit: u32,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let (after, before) = (signed(after), signed(before));
        match conversation {
            Some(conversation) => {
                let sql = format!(
                    "SELECT {COLUMNS} FROM messages WHERE conversation = ?1 AND id > ?2 AND id < ?3
                     ORDER BY id LIMIT ?4"
                );
                self.collect(&sql, params![conversation.as_bytes(), after, before, limit])
            }
            None => {
                let sql = format!(
                    "SELECT {COLUMNS} FROM messages WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3"
                );
                self.collect(&sql, params![after, before, limit])
            }
        }
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

    /// The last row of the history; 0 if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_id(&self) -> Result<u64, StoreError> {
        let mut query = self.conn.prepare_cached("SELECT coalesce(max(id), 0) FROM messages")?;
        Ok(query.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// The last row that there was at change number `seq`; 0 if there was none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_id_at(&self, seq: u64) -> Result<u64, StoreError> {
        // Rows are born in the order of their ids. The last one that was born by then is between these two.
        let sql = "SELECT id, born FROM messages WHERE id > ?1 ORDER BY id LIMIT 1";
        let mut query = self.conn.prepare_cached(sql)?;
        let (mut least, mut most) = (0, self.last_id()?);
        while least < most {
            let middle = least + (most - least) / 2;
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
            let (id, born) = query.query_row([signed(middle)], row)?;
            if born.unsigned_abs() <= seq {
                least = id.unsigned_abs();
            } else {
                most = middle;
            }
        }
        Ok(least)
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
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read(row: &Row<'_>) -> Result<StoredMessage, rusqlite::Error> {
    let number = |at: usize| row.get::<_, i64>(at).map(i64::unsigned_abs);
    let content = match (row.get(12)?, row.get(4)?) {
        (Some(kind), _) => Content::Notice(notice(kind, row.get(13)?)?),
        (None, Some(kind)) => Content::Unknown { kind, body: row.get(6)? },
        (None, None) => Content::Text(row.get(5)?),
    };
    let row = MessageRow {
        id: number(0)?,
        conversation: ConversationId::from_bytes(row.get(1)?),
        contact: ContactId::from_bytes(row.get(2)?),
        direction: direction(row.get(3)?)?,
        content,
        sent_at: number(7)?,
        state: state(row.get(8)?)?,
        number: number(11)?,
    };
    Ok(StoredMessage { row, born: number(9)?, seq: number(10)? })
}

fn direction_number(direction: Direction) -> u8 {
    match direction {
        Direction::In => 0,
        Direction::Out => 1,
    }
}

pub(super) fn direction(number: u8) -> Result<Direction, rusqlite::Error> {
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

fn notice_number(notice: Notice) -> u8 {
    match notice {
        Notice::TheyRejoined => 1,
        Notice::WeRejoined => 2,
        Notice::Missing { .. } => 3,
    }
}

fn notice(number: u8, count: Option<i64>) -> Result<Notice, rusqlite::Error> {
    match (number, count) {
        (1, _) => Ok(Notice::TheyRejoined),
        (2, _) => Ok(Notice::WeRejoined),
        (3, Some(count)) => Ok(Notice::Missing { count: count.unsigned_abs() }),
        _ => Err(unknown(12, "notice")),
    }
}

fn unknown(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, what.into())
}
