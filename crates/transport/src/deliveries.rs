//! Deliveries that may come: the keys of registrations, by delivery id.

use std::collections::{BTreeMap, BTreeSet};

use xchat_base::Timestamp;
use xchat_directory::NodeId;
use xchat_pigeonhole::{BoxId, DeliveryKey};

use crate::follows::READ_SET;

/// Keys kept at most: of the read set, its renewals that overlap, and what was registered for boxes that have
/// arrived since. Beyond it the one that lapses first is forgotten; its box is then found by a look.
pub(crate) const MAX_DELIVERIES: usize = 8 * READ_SET;

/// What a delivery must be.
pub(crate) struct Delivery {
    pub(crate) id: BoxId,
    pub(crate) store: NodeId,
    pub(crate) key: DeliveryKey,
    until: Timestamp,
}

/// All of them, at most [`MAX_DELIVERIES`].
#[derive(Default)]
pub(crate) struct Deliveries {
    by_id: BTreeMap<[u8; 16], Delivery>,
    lapsing: BTreeSet<(Timestamp, [u8; 16])>,
}

impl Deliveries {
    pub(crate) fn insert(
        &mut self,
        delivery_id: [u8; 16],
        id: BoxId,
        store: NodeId,
        key: DeliveryKey,
        until: Timestamp,
    ) {
        if self.by_id.len() >= MAX_DELIVERIES
            && let Some((_, first)) = self.lapsing.pop_first()
        {
            self.by_id.remove(&first);
        }
        self.by_id.insert(delivery_id, Delivery { id, store, key, until });
        self.lapsing.insert((until, delivery_id));
    }

    /// The registration that a delivery answers. It stays, because what comes first may be forged.
    pub(crate) fn get(&self, delivery_id: &[u8; 16]) -> Option<&Delivery> {
        self.by_id.get(delivery_id)
    }

    pub(crate) fn remove(&mut self, delivery_id: &[u8; 16]) {
        if let Some(delivery) = self.by_id.remove(delivery_id) {
            self.lapsing.remove(&(delivery.until, *delivery_id));
        }
    }

    /// Forgets what lapsed.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some(&(until, id)) = self.lapsing.first()
            && until <= now
        {
            self.lapsing.pop_first();
            self.by_id.remove(&id);
        }
    }
}

#[cfg(test)]
impl Deliveries {
    pub(crate) fn first(&self) -> Option<([u8; 16], DeliveryKey)> {
        self.by_id.iter().next().map(|(id, delivery)| (*id, delivery.key.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded_and_lapse() {
        let mut all = Deliveries::default();
        for n in 0..=MAX_DELIVERIES {
            all.insert(
                (n as u128).to_be_bytes(),
                BoxId::from_bytes([1; 32]),
                NodeId::from_bytes([2; 32]),
                DeliveryKey::from_bytes([3; 32]),
                Timestamp::from_secs(n as u64 + 1),
            );
        }
        assert_eq!(all.by_id.len(), MAX_DELIVERIES);
        assert!(all.get(&0u128.to_be_bytes()).is_none());
        assert!(all.get(&1u128.to_be_bytes()).is_some());
        all.remove(&1u128.to_be_bytes());
        all.expire(Timestamp::MAX);
        assert_eq!((all.by_id.len(), all.lapsing.len()), (0, 0));
    }
}
