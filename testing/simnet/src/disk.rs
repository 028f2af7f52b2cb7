//! What a conversation has stored, which outlives the program.

use std::collections::BTreeMap;

use xchat_engine::Change;

/// Keys and values; the history is the world's.
#[derive(Default)]
pub(crate) struct Disk(BTreeMap<Vec<u8>, Vec<u8>>);

impl Disk {
    pub(crate) fn store(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put { key, value } => drop(self.0.insert(key, value)),
                Change::Delete { key } => drop(self.0.remove(&key)),
                Change::DeletePrefix { prefix } => {
                    self.0.retain(|key, _| !key.starts_with(&prefix));
                }
                Change::Message(_) | Change::MessageState { .. } | Change::MessageNumber { .. } => {
                }
            }
        }
    }

    pub(crate) const fn stored(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.0
    }
}
