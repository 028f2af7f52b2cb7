//! The placements that a store's document tells of, in the register's terms.

use std::collections::BTreeMap;

use xchat_directory::{PlacedStore, VerifiedDocument, View};
use xchat_pigeonhole::register::{Listed, Member, Placements, ReplicaSet};
use xchat_pigeonhole::{BoxId, StoreId};

use super::{member, store_id};

/// Made once for each document: a replica set is looked up for every message.
pub(super) struct Views {
    current: u32,
    views: BTreeMap<u32, (View, BTreeMap<StoreId, Listed>)>,
}

impl Views {
    pub(super) fn of(document: &VerifiedDocument) -> Self {
        let listed = |store: &PlacedStore| {
            let incarnation = member(&store.id, &store.incarnation).incarnation;
            (store_id(&store.id), Listed { incarnation, operator: *store.operator.as_bytes() })
        };
        let views = document.views().into_iter().map(|view| {
            let stores = view.stores.values().map(listed).collect();
            (view.epoch.0, (view, stores))
        });
        Self { current: document.placement.epoch.0, views: views.collect() }
    }
}

impl Placements for Views {
    fn current(&self) -> u32 {
        self.current
    }

    fn stores(&self, placement: u32) -> Option<&BTreeMap<StoreId, Listed>> {
        self.views.get(&placement).map(|(_, stores)| stores)
    }

    fn replicas(&self, placement: u32, id: &BoxId) -> Option<ReplicaSet> {
        let (view, _) = self.views.get(&placement)?;
        let replicas = view.replicas(id.as_bytes()).into_iter();
        let members: Vec<Member> =
            replicas.map(|store| member(&store.id, &store.incarnation)).collect();
        ReplicaSet::new(placement, members.try_into().ok()?).ok()
    }
}
