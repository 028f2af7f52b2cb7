//! Full-text search of the history.
//!
//! The index is an FTS5 table beside `messages`, which it reads the texts from. Triggers keep it: whatever
//! changes a row changes the index in the same transaction, and what is deleted is deleted from it too
//! (`secure-delete`), not only marked.

pub(super) mod fold;
mod snippet;

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, params};
use xchat_engine::{ContactId, ConversationId, Direction};

use super::messages::{direction, signed};
use super::{Store, StoreError};
use fold::folded;

pub use snippet::Snippet;

/// The longest search, in bytes of UTF-8: more than anybody types. It bounds the words in it, too.
pub(crate) const MAX_SEARCH_LEN: usize = 256;

/// What is sought: words that all have to be in a message, the last of them as the beginning of one.
///
/// Whatever a person types is words and nothing else: it never gets to be syntax of FTS5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(String);

/// Why there is nothing to search for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// Longer than a search may be.
    #[error("a search has at most {MAX_SEARCH_LEN} bytes, this one has {0}")]
    TooLong(usize),
    /// Nothing in it stands in the index.
    #[error("there is nothing to search for: a search has a letter or a digit")]
    Nothing,
}

impl Words {
    /// Takes what a person typed.
    ///
    /// # Errors
    /// [`WordsError`].
    pub fn new(typed: &str) -> Result<Self, WordsError> {
        if typed.len() > MAX_SEARCH_LEN {
            return Err(WordsError::TooLong(typed.len()));
        }
        let words: Vec<String> = typed
            // SQLite takes a NUL for the end of the search.
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| word.chars().any(char::is_alphanumeric))
            .map(|word| format!("\"{}\"", folded(word).replace('"', "\"\"")))
            .collect();
        if words.is_empty() { Err(WordsError::Nothing) } else { Ok(Self(words.join(" "))) }
    }

    /// The search as FTS5 reads it.
    fn expression(&self, conversation: Option<ConversationId>) -> String {
        let words = format!("text : ({} *)", self.0);
        match conversation {
            // A column of its own, so that a conversation's few finds are not looked for among all.
            Some(id) => format!("conversation : \"{}\" AND {words}", id.to_hex()),
            None => words,
        }
    }
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The row.
    pub id: u64,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Whose.
    pub contact: ContactId,
    /// Ours or theirs.
    pub direction: Direction,
    /// The sender's clock, Unix milliseconds.
    pub sent_at: u64,
    /// The part of it that was found.
    pub snippet: Snippet,
}

impl Store {
    /// The last `limit` messages before row `before` that have all the words (of one conversation, or of
    /// all), newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn search(
        &self,
        words: &Words,
        conversation: Option<ConversationId>,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Hit>, StoreError> {
        // The marks are bytes that no text has, as texts are UTF-8.
        let sql = "SELECT m.id, m.conversation, m.contact, m.direction, m.sent_at, m.text,
                   highlight(search, 0, CAST(x'ff' AS TEXT), CAST(x'fe' AS TEXT))
                   FROM search CROSS JOIN messages AS m ON m.id = search.rowid
                   WHERE search MATCH ?1 AND search.rowid < ?2
                   ORDER BY search.rowid DESC LIMIT ?3";
        let mut query = self.conn.prepare_cached(sql)?;
        let given = params![words.expression(conversation), signed(before), limit];
        let rows = query.query_map(given, |row| {
            let text: String = row.get(5)?;
            let highlighted = row.get_ref(6)?.as_bytes()?;
            Ok(Hit {
                id: row.get::<_, i64>(0)?.unsigned_abs(),
                conversation: ConversationId::from_bytes(row.get(1)?),
                contact: ContactId::from_bytes(row.get(2)?),
                direction: direction(row.get(3)?)?,
                sent_at: row.get::<_, i64>(4)?.unsigned_abs(),
                snippet: Snippet::of(&text, &snippet::marks(&text, highlighted)),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Gives a connection the function that the schema's triggers use. A connection without it can read the
/// history, and not write it.
pub(super) fn teach(conn: &Connection) -> Result<(), StoreError> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("folded", 1, flags, |context| {
        Ok(context.get::<Option<String>>(0)?.map(|text| folded(&text)))
    })?;
    Ok(())
}

#[cfg(test)]
mod tests;
