//! How far a person has seen their conversations.

use rusqlite::{OptionalExtension, TransactionBehavior, params};
use xchat_engine::ConversationId;

use super::messages::signed;
use super::{Store, StoreError, StoredMessage, count};

/// How far a conversation was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The last message that was.
    pub up_to: u64,
    /// How many of the other side's came after it.
    pub unread: u64,
}

impl Store {
    /// Remembers that a conversation was seen up to this message: on disk when this returns. `None` if it
    /// was seen as far before, also in the face of a later start.
    ///
    /// What has not come yet cannot have been seen: a number beyond the conversation's last message is
    /// taken for that one.
    ///
    /// # Errors
    /// [`StoreError`]; the database is as before.
    pub fn mark_read(
        &mut self,
        conversation: ConversationId,
        up_to: u64,
    ) -> Result<Option<Seen>, StoreError> {
        let last = self.last_message(conversation)?.map_or(0, |stored| stored.row.id);
        let up_to = up_to.min(last);
        if up_to <= self.seen(conversation)?.up_to {
            return Ok(None);
        }
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.prepare_cached("INSERT OR REPLACE INTO reading (conversation, up_to) VALUES (?1, ?2)")?
            .execute(params![conversation.as_bytes(), signed(up_to)])?;
        count(&tx, self.commits + 1)?;
        tx.commit()?;
        self.committed();
        self.seen(conversation).map(Some)
    }

    /// How far a conversation was seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn seen(&self, conversation: ConversationId) -> Result<Seen, StoreError> {
        let mut query =
            self.conn.prepare_cached("SELECT up_to FROM reading WHERE conversation = ?1")?;
        let up_to: Option<i64> =
            query.query_row([conversation.as_bytes()], |row| row.get(0)).optional()?;
        let up_to = up_to.unwrap_or(0);
        // Not what happened to the conversation: nobody said that.
        let mut query = self.conn.prepare_cached(
            "SELECT count(*) FROM messages
             WHERE conversation = ?1 AND id > ?2 AND direction = 0 AND notice IS NULL",
        )?;
        let unread: i64 =
            query.query_row(params![conversation.as_bytes(), up_to], |row| row.get(0))?;
        Ok(Seen { up_to: up_to.unsigned_abs(), unread: unread.unsigned_abs() })
    }

    /// The newest message of a conversation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_message(
        &self,
        conversation: ConversationId,
    ) -> Result<Option<StoredMessage>, StoreError> {
        Ok(self.messages_before(Some(conversation), u64::MAX, 1)?.pop())
    }
}
