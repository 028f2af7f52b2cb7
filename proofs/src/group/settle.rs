//! Worlds that nothing can tell apart are one: what they differ in is never read again, or is decided already.
//!
//! Each rule here keeps what every member has on its disk and what can still happen to it, so that a property which fails in
//! some world fails in a settled one. `GroupModel::unsettled` leaves the rules out, and a test holds both beside each other.

use super::{LaneBox, Member, Orphan, Pending, World};

impl World {
    /// The one of its kind that is explored.
    pub(super) fn settle(&mut self, plans: &[usize]) {
        for (member, steps) in self.members.iter_mut().zip(plans) {
            // Who was removed says and commits nothing.
            if member.disk.removed {
                member.steps = *steps;
            }
        }
        self.forget_left_epochs();
        self.decide_what_is_decided();
    }

    /// Boxes are written once: what reads or writes one that is written has only one answer left to get, whenever it takes effect.
    fn decide_what_is_decided(&mut self) {
        let Self { members, boxes, entries, .. } = self;
        for member in members {
            let lane_of_ours = member.lane();
            let Member { disk, memory: Some(memory), .. } = member else { continue };
            let entry = entries.get(&(disk.history.clone(), disk.next_entry)).copied();
            if let Some(entry) = entry {
                if let Some((look, _)) = &mut memory.look
                    && *look == Pending::Posted
                {
                    *look = Pending::Decided(Some(entry));
                }
                if memory.entry == Some(Pending::Posted) {
                    memory.entry = Some(Pending::Decided(entry));
                }
            }
            let written = |lane, at| boxes.get(&(disk.history.clone(), lane, at)).copied();
            if let (Some(Pending::Posted), Some(LaneBox { at, .. })) = (memory.append, disk.flight)
                && let Some(value) = written(lane_of_ours, at)
            {
                memory.append = Some(Pending::Decided(value));
            }
            for (lane, read) in memory.reads.iter_mut().enumerate() {
                if *read == Some(Pending::Posted)
                    && let Some(value) = written(lane, disk.next[lane])
                {
                    *read = Some(Pending::Decided(Some(value)));
                }
            }
        }
        let Self { boxes, entries, orphans, .. } = self;
        orphans.retain(|orphan| match orphan {
            Orphan::Box(epoch, lane, boxed) => {
                !boxes.contains_key(&(epoch.clone(), *lane, boxed.at))
            }
            Orphan::Entry(epoch, entry) => !entries.contains_key(&(epoch.clone(), entry.at)),
        });
    }

    /// Epochs only follow one another: nobody looks any more into one that all who are left have left.
    fn forget_left_epochs(&mut self) {
        let Self { members, boxes, entries, orphans, .. } = self;
        let left: Vec<_> = members.iter().filter(|member| !member.disk.removed).collect();
        let is_ahead =
            |epoch: &[_]| left.iter().any(|member| epoch.starts_with(&member.disk.history));
        boxes.retain(|(epoch, ..), _| is_ahead(epoch));
        entries.retain(|(epoch, _), _| is_ahead(epoch));
        orphans.retain(|orphan| match orphan {
            Orphan::Box(epoch, ..) | Orphan::Entry(epoch, _) => is_ahead(epoch),
        });
    }
}
