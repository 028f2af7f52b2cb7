//! What a transport asks to keep, and how the next one goes on from there.

use rand_core::OsRng;
use xchat_base::Timestamp;
use xchat_transport::directory::{Root, VerifiedDocument};
use xchat_transport::{Effect, Pace, Transport};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::profile::setting;
use crate::store::{Store, StoreError};

/// What earlier transports of a profile asked to keep.
pub(super) struct Kept {
    transport: Option<Vec<u8>>,
    decoys: Option<Zeroizing<Vec<u8>>>,
}

impl Kept {
    /// As it is in the store.
    pub(super) fn read(store: &Store) -> Result<Self, StoreError> {
        let transport = store.setting(setting::TRANSPORT)?;
        let decoys = store.setting(setting::DECOYS)?.map(Zeroizing::new);
        Ok(Self { transport, decoys })
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
        Ok((transport, effects))
    }
}
