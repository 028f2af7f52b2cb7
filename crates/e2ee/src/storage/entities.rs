//! OpenMLS's storage trait: which entity lies under which key.
//!
//! One state holds one group, so what belongs to the group has a key of one byte. The bytes are
//! part of the database's format: a new entity takes a new byte, an old byte is never reused.

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use serde::Serialize;

use super::{Storage, StorageError};

const CONFIG: u8 = 1;
const OWN_LEAF_NODES: u8 = 2;
const PROPOSALS: u8 = 3;
const TREE: u8 = 4;
const INTERIM_TRANSCRIPT_HASH: u8 = 5;
const CONTEXT: u8 = 6;
const CONFIRMATION_TAG: u8 = 7;
const GROUP_STATE: u8 = 8;
const MESSAGE_SECRETS: u8 = 9;
const RESUMPTION_PSKS: u8 = 10;
const OWN_LEAF_INDEX: u8 = 11;
pub(crate) const EPOCH_SECRETS: u8 = 12;
const SIGNATURE_KEY_PAIR: u8 = 13;
const ENCRYPTION_KEY_PAIR: u8 = 14;
const EPOCH_KEY_PAIRS: u8 = 15;
const KEY_PACKAGE: u8 = 16;
const PSK: u8 = 17;

/// The key of an entity that a group has many of.
fn keyed<K: Serialize>(slot: u8, key: &K) -> Result<Vec<u8>, StorageError> {
    let mut out = vec![slot];
    ciborium::into_writer(key, &mut out).map_err(|_| StorageError)?;
    Ok(out)
}

/// An entity that a group has one of: write, read, delete.
macro_rules! one {
    ($slot:expr, $entity:ident, $write:ident, $read:ident $(, $delete:ident)?) => {
        fn $write<G: traits::GroupId<V>, E: traits::$entity<V>>(
            &self,
            _: &G,
            value: &E,
        ) -> Result<(), StorageError> {
            self.put(vec![$slot], value)
        }

        fn $read<G: traits::GroupId<V>, E: traits::$entity<V>>(
            &self,
            _: &G,
        ) -> Result<Option<E>, StorageError> {
            self.get(&[$slot])
        }

        $(fn $delete<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), StorageError> {
            self.delete(vec![$slot]);
            Ok(())
        })?
    };
}

/// An entity under a key of its own: write, read, delete.
macro_rules! many {
    ($slot:expr, $key:ident, $entity:ident, $write:ident, $delete:ident) => {
        fn $write<K: traits::$key<V>, E: traits::$entity<V>>(
            &self,
            key: &K,
            value: &E,
        ) -> Result<(), StorageError> {
            self.put(keyed($slot, key)?, value)
        }

        fn $delete<K: traits::$key<V>>(&self, key: &K) -> Result<(), StorageError> {
            self.delete(keyed($slot, key)?);
            Ok(())
        }
    };
}

const V: u16 = CURRENT_VERSION;

impl StorageProvider<V> for Storage {
    type Error = StorageError;

    one!(
        CONFIG,
        MlsGroupJoinConfig,
        write_mls_join_config,
        mls_group_join_config,
        delete_group_config
    );
    one!(TREE, TreeSync, write_tree, tree, delete_tree);
    one!(
        INTERIM_TRANSCRIPT_HASH,
        InterimTranscriptHash,
        write_interim_transcript_hash,
        interim_transcript_hash,
        delete_interim_transcript_hash
    );
    one!(CONTEXT, GroupContext, write_context, group_context, delete_context);
    one!(
        CONFIRMATION_TAG,
        ConfirmationTag,
        write_confirmation_tag,
        confirmation_tag,
        delete_confirmation_tag
    );
    one!(
        MESSAGE_SECRETS,
        MessageSecrets,
        write_message_secrets,
        message_secrets,
        delete_message_secrets
    );
    one!(
        RESUMPTION_PSKS,
        ResumptionPskStore,
        write_resumption_psk_store,
        resumption_psk_store,
        delete_all_resumption_psk_secrets
    );
    one!(
        OWN_LEAF_INDEX,
        LeafNodeIndex,
        write_own_leaf_index,
        own_leaf_index,
        delete_own_leaf_index
    );
    one!(
        EPOCH_SECRETS,
        GroupEpochSecrets,
        write_group_epoch_secrets,
        group_epoch_secrets,
        delete_group_epoch_secrets
    );

    many!(
        SIGNATURE_KEY_PAIR,
        SignaturePublicKey,
        SignatureKeyPair,
        write_signature_key_pair,
        delete_signature_key_pair
    );
    many!(
        ENCRYPTION_KEY_PAIR,
        EncryptionKey,
        HpkeKeyPair,
        write_encryption_key_pair,
        delete_encryption_key_pair
    );
    many!(KEY_PACKAGE, HashReference, KeyPackage, write_key_package, delete_key_package);
    many!(PSK, PskId, PskBundle, write_psk, delete_psk);

    fn write_group_state<E: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        _: &G,
        value: &E,
    ) -> Result<(), StorageError> {
        self.put(vec![GROUP_STATE], value)
    }

    fn group_state<E: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        _: &G,
    ) -> Result<Option<E>, StorageError> {
        self.get(&[GROUP_STATE])
    }

    fn delete_group_state<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), StorageError> {
        self.delete(vec![GROUP_STATE]);
        Ok(())
    }

    fn signature_key_pair<K: traits::SignaturePublicKey<V>, E: traits::SignatureKeyPair<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, StorageError> {
        self.get(&keyed(SIGNATURE_KEY_PAIR, key)?)
    }

    fn encryption_key_pair<E: traits::HpkeKeyPair<V>, K: traits::EncryptionKey<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, StorageError> {
        self.get(&keyed(ENCRYPTION_KEY_PAIR, key)?)
    }

    fn key_package<K: traits::HashReference<V>, E: traits::KeyPackage<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, StorageError> {
        self.get(&keyed(KEY_PACKAGE, key)?)
    }

    fn psk<E: traits::PskBundle<V>, K: traits::PskId<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, StorageError> {
        self.get(&keyed(PSK, key)?)
    }

    fn write_encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        K: traits::EpochKey<V>,
        E: traits::HpkeKeyPair<V>,
    >(
        &self,
        _: &G,
        epoch: &K,
        leaf_index: u32,
        key_pairs: &[E],
    ) -> Result<(), StorageError> {
        self.put(keyed(EPOCH_KEY_PAIRS, &(epoch, leaf_index))?, &key_pairs)
    }

    fn encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        K: traits::EpochKey<V>,
        E: traits::HpkeKeyPair<V>,
    >(
        &self,
        _: &G,
        epoch: &K,
        leaf_index: u32,
    ) -> Result<Vec<E>, StorageError> {
        Ok(self.get(&keyed(EPOCH_KEY_PAIRS, &(epoch, leaf_index))?)?.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<G: traits::GroupId<V>, K: traits::EpochKey<V>>(
        &self,
        _: &G,
        epoch: &K,
        leaf_index: u32,
    ) -> Result<(), StorageError> {
        self.delete(keyed(EPOCH_KEY_PAIRS, &(epoch, leaf_index))?);
        Ok(())
    }

    fn append_own_leaf_node<G: traits::GroupId<V>, E: traits::LeafNode<V>>(
        &self,
        group: &G,
        leaf_node: &E,
    ) -> Result<(), StorageError> {
        let old: Vec<E> = self.own_leaf_nodes(group)?;
        self.put(vec![OWN_LEAF_NODES], &old.iter().chain([leaf_node]).collect::<Vec<_>>())
    }

    fn own_leaf_nodes<G: traits::GroupId<V>, E: traits::LeafNode<V>>(
        &self,
        _: &G,
    ) -> Result<Vec<E>, StorageError> {
        Ok(self.get(&[OWN_LEAF_NODES])?.unwrap_or_default())
    }

    fn delete_own_leaf_nodes<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), StorageError> {
        self.delete(vec![OWN_LEAF_NODES]);
        Ok(())
    }

    // Proposals of their own never enter a group here (only commits do), so these are kept simple:
    // one list of pairs, each side encoded by itself.

    fn queue_proposal<
        G: traits::GroupId<V>,
        R: traits::ProposalRef<V>,
        Q: traits::QueuedProposal<V>,
    >(
        &self,
        group: &G,
        proposal_ref: &R,
        proposal: &Q,
    ) -> Result<(), StorageError> {
        let old: Vec<(R, Q)> = self.queued_proposals(group)?;
        let new: Vec<(&R, &Q)> =
            old.iter().map(|(r, q)| (r, q)).chain([(proposal_ref, proposal)]).collect();
        self.put(vec![PROPOSALS], &new)
    }

    fn queued_proposals<
        G: traits::GroupId<V>,
        R: traits::ProposalRef<V>,
        Q: traits::QueuedProposal<V>,
    >(
        &self,
        _: &G,
    ) -> Result<Vec<(R, Q)>, StorageError> {
        Ok(self.get(&[PROPOSALS])?.unwrap_or_default())
    }

    fn queued_proposal_refs<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
    ) -> Result<Vec<R>, StorageError> {
        let pairs: Vec<(R, ciborium::Value)> = self.get(&[PROPOSALS])?.unwrap_or_default();
        Ok(pairs.into_iter().map(|(proposal_ref, _)| proposal_ref).collect())
    }

    fn remove_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
        proposal_ref: &R,
    ) -> Result<(), StorageError> {
        let removed = ciborium::Value::serialized(proposal_ref).map_err(|_| StorageError)?;
        let mut pairs: Vec<(ciborium::Value, ciborium::Value)> =
            self.get(&[PROPOSALS])?.unwrap_or_default();
        pairs.retain(|(proposal_ref, _)| *proposal_ref != removed);
        self.put(vec![PROPOSALS], &pairs)
    }

    fn clear_proposal_queue<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
    ) -> Result<(), StorageError> {
        self.delete(vec![PROPOSALS]);
        Ok(())
    }
}
