//! Nodes that were found to fail, and until when each is gone round.
//!
//! At most half of those among which one is chosen: nobody can lead a client to few nodes by dropping what goes to the others.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use xchat_base::Timestamp;
use xchat_directory::NodeId;

/// A node is avoided for the first of these, doubled each time, at most the second.
const AVOIDED_FOR: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

#[derive(Debug, Clone, Copy)]
struct Struck {
    strikes: u32,
    until: Timestamp,
    /// Whether it is known what became of a packet that was sent over it after that.
    is_back: bool,
}

/// By node; bounded by the nodes of the document.
#[derive(Debug)]
pub(crate) struct Strikes {
    struck: BTreeMap<NodeId, Struck>,
    /// Struck since [`Self::newly`] was asked.
    fresh: BTreeSet<NodeId>,
}

impl Strikes {
    pub(crate) const fn new() -> Self {
        Self { struck: BTreeMap::new(), fresh: BTreeSet::new() }
    }

    pub(crate) fn strike(&mut self, node: &NodeId, now: Timestamp) {
        let (first, longest) = AVOIDED_FOR;
        let strikes = self.struck.get(node).map_or(0, |struck| struck.strikes);
        let until = now + first.saturating_mul(1 << strikes.min(10)).min(longest);
        let strikes = strikes.saturating_add(1);
        self.struck.insert(*node, Struck { strikes, until, is_back: false });
        self.fresh.insert(*node);
    }

    /// Whether its time is not yet over.
    pub(crate) fn is_struck(&self, node: &NodeId, now: Timestamp) -> bool {
        self.struck.get(node).is_some_and(|struck| struck.until > now)
    }

    /// Whether a packet that was sent then is the first of which one knows since its time is over.
    pub(crate) fn comes_back(&mut self, node: &NodeId, sent: Timestamp) -> bool {
        let Some(struck) = self.struck.get_mut(node) else { return false };
        let comes = !struck.is_back && struck.until <= sent;
        struck.is_back |= comes;
        comes
    }

    /// It is well: the next time counts as the first.
    pub(crate) fn forgive(&mut self, node: &NodeId) {
        if let Some(struck) = self.struck.get_mut(node) {
            struck.strikes = 0;
        }
    }

    /// Those of the avoided ones that were struck since this was asked last.
    pub(crate) fn newly(&mut self, avoided: impl FnOnce(&Self) -> Vec<NodeId>) -> Vec<NodeId> {
        let fresh = core::mem::take(&mut self.fresh);
        if fresh.is_empty() {
            return Vec::new();
        }
        let mut avoided = avoided(self);
        avoided.retain(|node| fresh.contains(node));
        avoided
    }

    /// Those of these nodes that are to be avoided now: at most half, those that were struck most, these first.
    pub(crate) fn among(&self, nodes: impl Iterator<Item = NodeId>, now: Timestamp) -> Vec<NodeId> {
        if self.struck.is_empty() {
            return Vec::new();
        }
        let nodes: Vec<_> = nodes.collect();
        let most = nodes.len() / 2;
        let mut struck: Vec<_> = nodes
            .into_iter()
            .filter_map(|node| Some((self.struck.get(&node)?, node)))
            .filter(|(struck, _)| struck.until > now)
            .collect();
        struck.sort_by_key(|(struck, _)| Reverse(struck.strikes));
        struck.into_iter().take(most).map(|(_, node)| node).collect()
    }

    /// Forgets nodes that are no more.
    pub(crate) fn retain(&mut self, is_listed: impl Fn(&NodeId) -> bool) {
        self.struck.retain(|node, _| is_listed(node));
    }
}

#[cfg(test)]
impl Strikes {
    /// How often it was struck since it was well.
    pub(crate) fn count(&self, node: &NodeId) -> u32 {
        self.struck.get(node).map_or(0, |struck| struck.strikes)
    }
}
