//! What was begun to be written, and not sent yet: one text a conversation.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use xchat_engine::ConversationId;

use super::{Store, StoreError, count};

impl Store {
    /// The draft of a conversation, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn draft(&self, conversation: ConversationId) -> Result<Option<String>, StoreError> {
        let mut query =
            self.conn.prepare_cached("SELECT text FROM drafts WHERE conversation = ?1")?;
        Ok(query.query_row([conversation.as_bytes()], |row| row.get(0)).optional()?)
    }

    /// How many drafts there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn draft_count(&self) -> Result<u64, StoreError> {
        let mut query = self.conn.prepare_cached("SELECT count(*) FROM drafts")?;
        Ok(query.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// Sets the draft of a conversation, or removes it if it is empty: on disk when this returns. False
    /// if it was the same before.
    ///
    /// # Errors
    /// [`StoreError`]; the database is as before.
    pub fn set_draft(
        &mut self,
        conversation: ConversationId,
        text: &str,
    ) -> Result<bool, StoreError> {
        if self.draft(conversation)?.unwrap_or_default() == text {
            return Ok(false);
        }
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if text.is_empty() {
            remove(&tx, conversation)?;
        } else {
            tx.prepare_cached(
                "INSERT OR REPLACE INTO drafts (conversation, text) VALUES (?1, ?2)",
            )?
            .execute(params![conversation.as_bytes(), text])?;
        }
        count(&tx, self.commits + 1)?;
        tx.commit()?;
        self.committed();
        Ok(true)
    }
}

/// Removes a draft; whether there was one.
pub(super) fn remove(conn: &Connection, conversation: ConversationId) -> Result<bool, StoreError> {
    let removed = conn
        .prepare_cached("DELETE FROM drafts WHERE conversation = ?1")?
        .execute([conversation.as_bytes()])?;
    Ok(removed > 0)
}
