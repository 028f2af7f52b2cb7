//! Which stores keep which boxes, now and before.

use std::collections::BTreeMap;

use crate::answer::StoreId;
use crate::boxes::BoxId;

use super::membership::{Incarnation, Member, ReplicaSet};

/// The first placement: it begins with empty tables, and nothing has to be copied for it.
pub const FIRST_PLACEMENT: u32 = 1;

/// What a placement says of one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Listed {
    /// The life of its disk.
    pub incarnation: Incarnation,
    /// Who runs it: two stores of one operator are never replicas of one box.
    pub operator: [u8; 32],
}

/// The placements, as far as the directory tells: the one in use and some before it. What they say of
/// one placement epoch never changes.
pub trait Placements {
    /// The placement in use.
    fn current(&self) -> u32;

    /// The stores of a placement; `None` if it is not known, or not any more.
    fn stores(&self, placement: u32) -> Option<&BTreeMap<StoreId, Listed>>;

    /// The replicas of a box in a placement.
    fn replicas(&self, placement: u32, id: &BoxId) -> Option<ReplicaSet>;

    /// Whether a placement lists this store in this life of its disk.
    fn lists(&self, placement: u32, member: &Member) -> bool {
        let listed = self.stores(placement).and_then(|stores| stores.get(&member.store));
        listed.is_some_and(|listed| listed.incarnation == member.incarnation)
    }
}
