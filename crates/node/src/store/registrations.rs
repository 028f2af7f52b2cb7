//! Standing reads: whom to tell when a box is written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use xchat_base::Timestamp;
use xchat_pigeonhole::{BoxId, DeliveryKey};

/// Registrations a store holds. One is about 700 bytes, so 138 MB when full; a client at desk keeps
/// about 900, spread over the stores. Beyond it a store answers `Busy`.
pub const MAX_REGISTRATIONS: usize = 196_608;

/// Registrations for one box. A box has as many readers as its lane: the members of a group with
/// their devices, one or two overlapping registrations each. It also bounds the burst that a write sets off.
pub const MAX_REGISTRATIONS_PER_BOX: usize = 256;

/// No registration lives longer, whatever the client and the document say: a delivery block is good for as
/// long as the mixes' keys, which is hours.
pub const MAX_REGISTRATION_LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// A registration: which delivery goes where, and under which key it is sealed.
pub(super) struct Registration {
    pub(super) delivery: Vec<u8>,
    pub(super) seal_key: DeliveryKey,
    pub(super) expires: Timestamp,
    /// Another store has had something delivered by it.
    pub(super) told: bool,
}

/// Which delivery of a client a registration is; chosen at random by the client.
pub(super) type DeliveryId = [u8; 16];

/// A bound was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// All registrations of a store, by box and by expiry.
pub(super) struct Registrations {
    boxes: BTreeMap<BoxId, BTreeMap<DeliveryId, Registration>>,
    expiry: BTreeSet<(Timestamp, BoxId, DeliveryId)>,
    bound: usize,
}

impl Registrations {
    pub(super) fn new(bound: usize) -> Self {
        Self { boxes: BTreeMap::new(), expiry: BTreeSet::new(), bound }
    }

    pub(super) fn len(&self) -> usize {
        self.expiry.len()
    }

    /// Adds a registration; one with the same delivery id is replaced (the client repeats a
    /// registration whose answer was lost).
    pub(super) fn insert(
        &mut self,
        id: BoxId,
        delivery_id: DeliveryId,
        registration: Registration,
    ) -> Result<(), Full> {
        self.remove(&id, &delivery_id);
        let of_box = self.boxes.get(&id).map_or(0, BTreeMap::len);
        if self.expiry.len() >= self.bound || of_box >= MAX_REGISTRATIONS_PER_BOX {
            return Err(Full);
        }
        self.expiry.insert((registration.expires, id, delivery_id));
        self.boxes.entry(id).or_default().insert(delivery_id, registration);
        Ok(())
    }

    pub(super) fn remove(&mut self, id: &BoxId, delivery_id: &DeliveryId) -> Option<Registration> {
        let of_box = self.boxes.get_mut(id)?;
        let registration = of_box.remove(delivery_id)?;
        if of_box.is_empty() {
            self.boxes.remove(id);
        }
        self.expiry.remove(&(registration.expires, *id, *delivery_id));
        Some(registration)
    }

    /// Takes all registrations for a box that was written.
    pub(super) fn take(&mut self, id: &BoxId) -> BTreeMap<DeliveryId, Registration> {
        let taken = self.boxes.remove(id).unwrap_or_default();
        for (delivery_id, registration) in &taken {
            self.expiry.remove(&(registration.expires, *id, *delivery_id));
        }
        taken
    }

    /// The delivery blocks of those for this that were not told before, for another store's delivery.
    pub(super) fn tell(&mut self, id: &BoxId, now: Timestamp) -> Vec<Vec<u8>> {
        let of_box = self.boxes.get_mut(id).into_iter().flat_map(BTreeMap::values_mut);
        let mut blocks = Vec::new();
        for registration in of_box.filter(|one| !one.told && one.expires > now) {
            registration.told = true;
            blocks.push(registration.delivery.clone());
        }
        blocks
    }

    /// Forgets what is over, silently; how many.
    pub(super) fn expire(&mut self, now: Timestamp) -> usize {
        let mut gone = 0;
        while let Some(&(expires, id, delivery_id)) = self.expiry.first()
            && expires <= now
        {
            self.remove(&id, &delivery_id);
            gone += 1;
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000);

    fn registration(secs: u64) -> Registration {
        Registration {
            delivery: Vec::new(),
            seal_key: DeliveryKey::from_bytes([0; 32]),
            expires: T0 + Duration::from_secs(secs),
            told: false,
        }
    }

    fn number(n: usize) -> DeliveryId {
        (n as u128).to_be_bytes()
    }

    #[test]
    fn a_box_and_the_store_are_bounded() {
        let one = BoxId::from_bytes([1; 32]);
        let mut all = Registrations::new(MAX_REGISTRATIONS_PER_BOX + 1);
        for n in 0..MAX_REGISTRATIONS_PER_BOX {
            assert_eq!(all.insert(one, number(n), registration(1)), Ok(()));
        }
        assert_eq!(all.insert(one, number(9_999), registration(1)), Err(Full));
        assert_eq!(all.insert(one, number(0), registration(2)), Ok(()), "a repeat replaces");
        assert_eq!(all.insert(BoxId::from_bytes([2; 32]), number(0), registration(1)), Ok(()));
        assert_eq!(all.insert(BoxId::from_bytes([3; 32]), number(0), registration(1)), Err(Full));
    }

    #[test]
    fn registrations_end_at_their_time_and_are_taken_once() {
        let [one, two] = [1, 2].map(|n| BoxId::from_bytes([n; 32]));
        let mut all = Registrations::new(10);
        all.insert(one, number(1), registration(10)).expect("room");
        all.insert(two, number(2), registration(20)).expect("room");
        assert_eq!(all.expire(T0 + Duration::from_secs(9)), 0);
        assert_eq!(all.expire(T0 + Duration::from_secs(10)), 1);
        assert!(all.take(&one).is_empty());
        assert_eq!(all.take(&two).len(), 1);
        assert!(all.take(&two).is_empty());
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn each_is_told_once_and_stands_for_its_own_store() {
        let one = BoxId::from_bytes([1; 32]);
        let mut all = Registrations::new(10);
        all.insert(one, number(1), registration(10)).expect("room");
        all.insert(one, number(2), registration(5)).expect("room");
        assert_eq!(all.tell(&BoxId::from_bytes([2; 32]), T0).len(), 0);
        assert_eq!(all.tell(&one, T0 + Duration::from_secs(5)).len(), 1, "one is over");
        assert_eq!(all.tell(&one, T0).len(), 1, "the other was told");
        assert_eq!(all.tell(&one, T0).len(), 0);
        assert_eq!(all.take(&one).len(), 2);
    }

    proptest! {
        #[test]
        fn both_indexes_agree(ops in prop::collection::vec((0u8..4, 0u8..3, 0usize..4, 0u64..50), 0..80)) {
            let mut all = Registrations::new(6);
            for (op, id, delivery, secs) in ops {
                let id = BoxId::from_bytes([id; 32]);
                match op {
                    0 | 1 => drop(all.insert(id, number(delivery), registration(secs))),
                    2 => drop(all.take(&id)),
                    _ => drop(all.expire(T0 + Duration::from_secs(secs))),
                }
                prop_assert!(all.len() <= 6);
                prop_assert_eq!(all.boxes.values().map(BTreeMap::len).sum::<usize>(), all.len());
                prop_assert!(all.boxes.values().all(|of_box| !of_box.is_empty()));
            }
        }
    }
}
