//! The placements of the model: whoever knows the n-th knows all before it.

use std::collections::BTreeMap;

use xchat_pigeonhole::register::{Incarnation, Listed, Member, Placements, ReplicaSet};
use xchat_pigeonhole::{BoxId, StoreId};

/// A store in one life of its disk, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life(pub usize, pub u8);

impl Life {
    pub(super) fn member(self) -> Member {
        let Self(store, life) = self;
        let byte = u8::try_from(store).expect("there are few stores");
        Member {
            store: StoreId::from_bytes([byte; 32]),
            incarnation: Incarnation::from_bytes([16 * life + byte; 16]),
        }
    }
}

/// All placements, from the first.
pub(super) struct Placed {
    lives: Vec<[Life; 3]>,
    sets: Vec<ReplicaSet>,
    stores: Vec<BTreeMap<StoreId, Listed>>,
}

impl Placed {
    /// `departing`: stores that give their place for this box to others stay in the network, and what they hold may
    /// still be copied; otherwise they are gone with the placement.
    pub(super) fn new(lives: &[[Life; 3]], departing: bool) -> Self {
        let set = |(placement, lives): (u32, &[Life; 3])| {
            ReplicaSet::new(placement, lives.map(Life::member)).expect("distinct stores")
        };
        let mut known = BTreeMap::new();
        let listed = |lives: &[Life; 3]| {
            let listed = lives.iter().map(|life| {
                let Member { store, incarnation } = life.member();
                (store, Listed { incarnation, operator: *store.as_bytes() })
            });
            if !departing {
                known.clear();
            }
            known.extend(listed);
            known.clone()
        };
        Self {
            lives: lives.to_vec(),
            sets: (1..).zip(lives).map(set).collect(),
            stores: lives.iter().map(listed).collect(),
        }
    }

    /// How many stores there are, over all placements.
    pub(super) fn stores(&self) -> usize {
        self.lives.iter().flatten().map(|Life(store, _)| store + 1).max().unwrap_or(0)
    }

    pub(super) fn last(&self) -> u32 {
        self.sets.last().map_or(0, ReplicaSet::placement)
    }

    pub(super) fn set(&self, placement: u32) -> &ReplicaSet {
        &self.sets[placement as usize - 1]
    }

    pub(super) fn lives(&self, placement: u32) -> &[Life; 3] {
        &self.lives[placement as usize - 1]
    }

    /// What somebody knows whose document has this placement.
    pub(super) fn known(&self, current: u32) -> Known<'_> {
        Known { placed: self, current }
    }
}

pub(super) struct Known<'a> {
    placed: &'a Placed,
    current: u32,
}

impl Placements for Known<'_> {
    fn current(&self) -> u32 {
        self.current
    }

    fn stores(&self, placement: u32) -> Option<&BTreeMap<StoreId, Listed>> {
        let known = (1..=self.current).contains(&placement);
        known.then(|| &self.placed.stores[placement as usize - 1])
    }

    fn replicas(&self, placement: u32, _: &BoxId) -> Option<ReplicaSet> {
        (1..=self.current).contains(&placement).then(|| *self.placed.set(placement))
    }
}
