//! Deliveries that may come: the keys of registrations, by delivery id.

use std::collections::{BTreeMap, BTreeSet};

use xchat_base::Timestamp;
use xchat_directory::NodeId;
use xchat_pigeonhole::{BoxId, DeliveryKey, Tell};

use crate::follows::READ_SET;

/// Keys kept at most: of the read set, its renewals that overlap, tickets, and what was registered for boxes that have
/// arrived since. Beyond it the one that lapses first is forgotten; its box is then found by a look.
pub(crate) const MAX_DELIVERIES: usize = 12 * READ_SET;

/// What a delivery must be.
pub(crate) enum Awaited {
    /// Of a box that was registered, at a store.
    Box { id: BoxId, store: NodeId, key: DeliveryKey },
    /// Of whatever its writer has used a ticket for.
    Ticket(Tell),
}

struct Delivery {
    awaited: Awaited,
    until: Timestamp,
}

/// All of them, at most [`MAX_DELIVERIES`].
#[derive(Default)]
pub(crate) struct Deliveries {
    by_id: BTreeMap<[u8; 16], Delivery>,
    lapsing: BTreeSet<(Timestamp, [u8; 16])>,
}

impl Deliveries {
    pub(crate) fn insert(&mut self, delivery_id: [u8; 16], awaited: Awaited, until: Timestamp) {
        if self.by_id.len() >= MAX_DELIVERIES
            && let Some((_, first)) = self.lapsing.pop_first()
        {
            self.by_id.remove(&first);
        }
        self.by_id.insert(delivery_id, Delivery { awaited, until });
        self.lapsing.insert((until, delivery_id));
    }

    /// The registration that a delivery answers. It stays, because what comes first may be forged.
    pub(crate) fn get(&self, delivery_id: &[u8; 16]) -> Option<&Awaited> {
        self.by_id.get(delivery_id).map(|delivery| &delivery.awaited)
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
    pub(crate) fn first_box(&self) -> Option<([u8; 16], DeliveryKey)> {
        self.by_id.iter().find_map(|(id, delivery)| match &delivery.awaited {
            Awaited::Box { key, .. } => Some((*id, key.clone())),
            Awaited::Ticket(_) => None,
        })
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
                Awaited::Box {
                    id: BoxId::from_bytes([1; 32]),
                    store: NodeId::from_bytes([2; 32]),
                    key: DeliveryKey::from_bytes([3; 32]),
                },
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
