//! All that OpenMLS remembers, as key/value pairs in memory.
//!
//! OpenMLS writes through its storage trait in the middle of an operation. Here nothing leaves
//! before the operation has succeeded: [`Storage::attempt`] undoes the writes of one that failed,
//! and what the rest changed is collected by [`Storage::take_changes`] for the driver's database.

mod entities;

#[cfg(test)]
pub(crate) use entities::EPOCH_SECRETS;

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use zeroize::Zeroizing;

/// The first byte of every value: the version of how values are encoded.
const VALUE_VERSION: u8 = 1;

/// A stored value that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a stored value of the group state cannot be read")]
pub(crate) struct StorageError;

/// The changes since the last look: key, and the new value or its end.
pub(crate) type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

type Value = Zeroizing<Vec<u8>>;

/// For each key that was changed: the value before, and whether it was dirty.
type Undo = BTreeMap<Vec<u8>, (Option<Value>, bool)>;

/// The state of one group, or of one member that has not joined yet.
///
/// OpenMLS's traits write through `&self`, hence the cell. No borrow outlives a call, and no value's
/// encoding calls back.
#[derive(Default)]
pub(crate) struct Storage(RefCell<Inner>);

#[derive(Default)]
struct Inner {
    values: BTreeMap<Vec<u8>, Value>,
    dirty: BTreeSet<Vec<u8>>,
    /// What was there before the attempt under way.
    undo: Option<Undo>,
}

impl Storage {
    pub(crate) fn from_pairs(pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        let values = pairs.into_iter().map(|(key, value)| (key, Zeroizing::new(value))).collect();
        Self(RefCell::new(Inner { values, ..Inner::default() }))
    }

    /// All pairs, for a stored form.
    pub(crate) fn pairs(&self) -> Vec<(Vec<u8>, Value)> {
        self.inner().values.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// What has changed since the last call. The caller's copies are the caller's to wipe.
    pub(crate) fn take_changes(&self) -> Changes {
        let mut inner = self.inner();
        let dirty = std::mem::take(&mut inner.dirty);
        dirty
            .into_iter()
            .map(|key| {
                let value = inner.values.get(&key).map(|value| value.to_vec());
                (key, value)
            })
            .collect()
    }

    /// Runs an operation; if it fails, the storage is as it was.
    pub(crate) fn attempt<T, E>(&self, operation: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.inner().undo = Some(Undo::new());
        let result = operation();
        let mut inner = self.inner();
        let undo = inner.undo.take().unwrap_or_default();
        if result.is_err() {
            inner.undo_all(undo);
        }
        result
    }

    pub(crate) fn get<V: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<V>, StorageError> {
        let inner = self.inner();
        let Some(bytes) = inner.values.get(key) else { return Ok(None) };
        let (&VALUE_VERSION, mut body) = bytes.split_first().ok_or(StorageError)? else {
            return Err(StorageError);
        };
        let value = ciborium::from_reader(&mut body).map_err(|_| StorageError)?;
        if body.is_empty() { Ok(Some(value)) } else { Err(StorageError) }
    }

    pub(crate) fn put<V: Serialize>(&self, key: Vec<u8>, value: &V) -> Result<(), StorageError> {
        let mut bytes = Zeroizing::new(vec![VALUE_VERSION]);
        ciborium::into_writer(value, &mut *bytes).map_err(|_| StorageError)?;
        self.inner().replace(key, Some(bytes));
        Ok(())
    }

    pub(crate) fn delete(&self, key: Vec<u8>) {
        self.inner().replace(key, None);
    }

    fn inner(&self) -> RefMut<'_, Inner> {
        self.0.borrow_mut()
    }
}

impl Inner {
    fn replace(&mut self, key: Vec<u8>, value: Option<Value>) {
        // OpenMLS writes back much that it has not changed; the database need not hear of it.
        if self.values.get(&key) == value.as_ref() {
            return;
        }
        let old = match value {
            Some(value) => self.values.insert(key.clone(), value),
            None => self.values.remove(&key),
        };
        let was_dirty = !self.dirty.insert(key.clone());
        if let Some(undo) = &mut self.undo {
            undo.entry(key).or_insert((old, was_dirty));
        }
    }

    fn undo_all(&mut self, undo: Undo) {
        for (key, (old, was_dirty)) in undo {
            if !was_dirty {
                self.dirty.remove(&key);
            }
            match old {
                Some(value) => self.values.insert(key, value),
                None => self.values.remove(&key),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(storage: &Storage, key: &[u8]) -> Option<u32> {
        storage.get(key).expect("readable")
    }

    #[test]
    fn a_failed_attempt_leaves_no_trace() {
        let storage = Storage::default();
        storage.put(b"kept".to_vec(), &1u32).expect("encodes");
        storage.put(b"saved".to_vec(), &2u32).expect("encodes");
        storage.take_changes();
        storage.put(b"kept".to_vec(), &3u32).expect("encodes");
        let failed: Result<(), ()> = storage.attempt(|| {
            storage.put(b"kept".to_vec(), &4u32).map_err(drop)?;
            storage.put(b"new".to_vec(), &5u32).map_err(drop)?;
            storage.delete(b"saved".to_vec());
            Err(())
        });
        assert_eq!(failed, Err(()));
        assert_eq!(get(&storage, b"kept"), Some(3));
        assert_eq!(get(&storage, b"new"), None);
        assert_eq!(get(&storage, b"saved"), Some(2));
        let changes = storage.take_changes();
        assert_eq!(changes.len(), 1, "only what was changed before the attempt");
        assert_eq!(changes[0].0, b"kept");
    }

    #[test]
    fn only_real_changes_leave() {
        let storage = Storage::default();
        storage.put(b"a".to_vec(), &1u32).expect("encodes");
        assert_eq!(storage.take_changes().len(), 1);
        storage.put(b"a".to_vec(), &1u32).expect("encodes");
        storage.delete(b"never there".to_vec());
        assert!(storage.take_changes().is_empty());
        storage.delete(b"a".to_vec());
        assert_eq!(storage.take_changes(), [(b"a".to_vec(), None)]);
    }

    #[test]
    fn values_of_another_version_or_with_bytes_left_over_are_refused() {
        for bytes in [vec![], vec![2, 1], vec![VALUE_VERSION], vec![VALUE_VERSION, 1, 1]] {
            let storage = Storage::from_pairs(vec![(b"a".to_vec(), bytes)]);
            assert_eq!(storage.get::<u32>(b"a"), Err(StorageError));
        }
    }
}
