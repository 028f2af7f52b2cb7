//! What a transport asks to keep, and how the next one goes on from there.

use core::time::Duration;

use rand_core::OsRng;
use xchat_base::Timestamp;
use xchat_engine::{Content, ConversationId, Direction, MessageRow};
use xchat_transport::directory::{Root, VerifiedDocument};
use xchat_transport::{Effect, KeptDecoys, Pace, Said, Transport};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::profile::setting;
use crate::store::{Store, StoreError};

/// Of a history without decoys so many messages say how its owner talks: what was said before has faded for most people.
const LATELY: u32 = 4_000;

/// And of those none that is older: decoys forget it too.
const REMEMBERED: Duration = Duration::from_secs(56 * 24 * 3600);

/// What earlier transports of a profile asked to keep.
pub(super) struct Kept {
    transport: Option<Vec<u8>>,
    decoys: Option<Zeroizing<Vec<u8>>>,
    /// What was said lately, where there are no decoys that know how its owner talks: after a backup was restored, or they cannot be read.
    said: Vec<Said>,
}

/// What a transport calls a conversation.
pub(super) fn talk(conversation: &ConversationId) -> u64 {
    conversation.as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// What a transport is told of a message; nothing of what nobody said.
pub(super) fn said(row: &MessageRow) -> Option<Said> {
    let is_said = !matches!(row.content, Content::Notice(_));
    is_said.then_some(Said {
        talk: talk(&row.conversation),
        at: Timestamp::from_millis(row.sent_at),
        is_own: row.direction == Direction::Out,
    })
}

impl Kept {
    /// As it is in the store.
    pub(super) fn read(store: &Store) -> Result<Self, StoreError> {
        let transport = store.setting(setting::TRANSPORT)?;
        let decoys = store.setting(setting::DECOYS)?.map(Zeroizing::new);
        let lately = match &decoys {
            Some(decoys) if KeptDecoys::are_readable(decoys) => Ok(Vec::new()),
            _ => store.messages_before(None, u64::MAX, LATELY),
        };
        // Decoys can do without, and whoever reads the history next hears of it.
        let lately = lately.unwrap_or_else(|error| {
            tracing::warn!(%error, "decoys do not learn from the history");
            Vec::new()
        });
        let said = lately.iter().filter_map(|stored| said(&stored.row)).collect();
        Ok(Self { transport, decoys, said })
    }

    /// A transport that goes on from there.
    pub(super) fn transport(
        &self,
        root: Root,
        document: VerifiedDocument,
        pace: Pace,
        now: Timestamp,
    ) -> Result<(Transport, Vec<Effect>), Error> {
        let kept = self.transport.as_deref();
        let (mut transport, effects) = Transport::new(root, document, pace, kept, now, &mut OsRng)
            .map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()))?;
        let resumed = self.decoys.as_ref().map(|decoys| transport.resume_decoys(decoys));
        if let Some(Err(error)) = resumed {
            // They can be made anew, and nothing that was said is lost with them.
            tracing::warn!(%error, "decoys cannot be read, and are made anew");
        }
        // In the order in which this device saw them, each when it was there at the latest; what others say of their clocks may be wrong.
        let (since, mut seen) = (now - REMEMBERED, now - REMEMBERED);
        for said in self.said.iter().filter(|said| (since..=now).contains(&said.at)) {
            seen = seen.max(said.at);
            transport.said(*said, seen);
        }
        Ok((transport, effects))
    }
}
