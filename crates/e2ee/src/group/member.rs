//! Someone who has published a key package and is in no group yet; and who one is in a group.

use std::fmt;

use openmls::prelude::{GroupId, KeyPackage, MlsMessageOut};
use openmls_rust_crypto::RustCrypto;
use serde::{Deserialize, Serialize};
use xchat_base::{Rng, Secret};
use zeroize::{Zeroize, Zeroizing};

use super::{GroupError, suite};
use crate::provider::Provider;
use crate::signer::LeafSigner;
use crate::storage::{Storage, StorageError};

/// Where [`Identity`] lies in the state. OpenMLS's entities begin at 1.
const IDENTITY_KEY: &[u8] = &[0];

/// The first byte of a stored [`PendingMember`].
const STORED_VERSION: u8 = 1;

/// Who this member is: part of the group's key/value state.
pub(super) struct Identity {
    seed: Secret<32>,
}

#[derive(Serialize, Deserialize)]
struct StoredIdentity {
    seed: [u8; 32],
    /// None yet for a [`PendingMember`].
    group_id: Option<Vec<u8>>,
}

impl Drop for StoredIdentity {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl Identity {
    pub(super) fn new(seed: Secret<32>) -> Self {
        Self { seed }
    }

    pub(super) fn signer(&self) -> LeafSigner {
        LeafSigner::new(&self.seed)
    }

    pub(super) fn store(
        &self,
        storage: &Storage,
        group_id: Option<&GroupId>,
    ) -> Result<(), StorageError> {
        let group_id = group_id.map(|id| id.as_slice().to_vec());
        let stored = StoredIdentity { seed: *self.seed.expose(), group_id };
        storage.put(IDENTITY_KEY.to_vec(), &stored)
    }

    pub(super) fn load(storage: &Storage) -> Result<(Self, Option<GroupId>), StorageError> {
        let stored: StoredIdentity = storage.get(IDENTITY_KEY)?.ok_or(StorageError)?;
        let group_id = stored.group_id.as_deref().map(GroupId::from_slice);
        Ok((Self::new(Secret::new(stored.seed)), group_id))
    }
}

/// The private side of a published key package: an init key, a leaf key and a signature key, all
/// made for one invitation.
pub struct PendingMember {
    pub(super) storage: Storage,
    pub(super) identity: Identity,
}

impl PendingMember {
    /// Makes a key package (an MLSMessage, RFC 9420, section 10) and its private side. No two have
    /// anything in common but their form.
    ///
    /// # Errors
    /// [`GroupError::Internal`] only.
    pub fn generate(rng: &mut Rng) -> Result<(Self, Vec<u8>), GroupError> {
        let storage = Storage::default();
        let rust = RustCrypto::default();
        let identity = Identity::new(Secret::random(rng));
        let signer = identity.signer();
        let provider = Provider::drawing(&storage, &rust, rng);
        let bundle = KeyPackage::builder()
            .key_package_lifetime(suite::lifetime())
            .leaf_node_capabilities(suite::capabilities())
            .build(suite::SUITE, &provider, &signer, signer.credential())
            .map_err(|_| GroupError::Internal)?;
        identity.store(&storage, None).map_err(|_| GroupError::Internal)?;
        let message = MlsMessageOut::from(bundle.into_key_package());
        let bytes = message.to_bytes().map_err(|_| GroupError::Internal)?;
        Ok((Self { storage, identity }, bytes))
    }

    /// The stored form: secrets, for the encrypted store only.
    pub fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(vec![STORED_VERSION]);
        for (key, value) in self.storage.pairs() {
            for part in [key.as_slice(), value.as_slice()] {
                let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&len.to_be_bytes());
                out.extend_from_slice(part);
            }
        }
        out
    }

    /// Reads what [`Self::to_stored`] wrote.
    ///
    /// # Errors
    /// [`GroupError::Stored`].
    pub fn from_stored(bytes: &[u8]) -> Result<Self, GroupError> {
        let (&STORED_VERSION, mut rest) = bytes.split_first().ok_or(GroupError::Stored)? else {
            return Err(GroupError::Stored);
        };
        let mut pairs = Vec::new();
        while !rest.is_empty() {
            let key = take_part(&mut rest).ok_or(GroupError::Stored)?;
            let value = take_part(&mut rest).ok_or(GroupError::Stored)?;
            pairs.push((key.to_vec(), value.to_vec()));
        }
        let storage = Storage::from_pairs(pairs);
        let (identity, _) = Identity::load(&storage).map_err(|_| GroupError::Stored)?;
        Ok(Self { storage, identity })
    }
}

impl fmt::Debug for PendingMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingMember")
    }
}

fn take_part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, tail) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (part, tail) = tail.split_at_checked(len)?;
    *rest = tail;
    Some(part)
}
