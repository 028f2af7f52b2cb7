//! The past of a new client's decoys.
//!
//! Decoys that have all just begun can be told from conversations by their youth, and few of them talk yet. So a client that has none
//! makes up what its decoys would have done in the day before it was there.
//!
//! It does not make up how they met: those of the made-up day have been going on, or all would renew their keys a day after it began, which is
//! when the client begins.

use core::time::Duration;
use std::collections::BTreeSet;

use xchat_base::{Rng, Timestamp};
use xchat_pigeonhole::BoxId;

use super::talk::{Ask, Happened, Talk};
use super::{Decoys, Means};

/// After so long most of those that talk much have been in use, and have pushed out others. Later there are fewer still.
const PAST: Duration = Duration::from_secs(24 * 3600);

/// In so long new ones fill an empty read set.
const FILLED_WITHIN: Duration = Duration::from_secs(3600);

/// Without a line to say, time passes in such steps.
const STEP: Duration = Duration::from_secs(60);

impl Decoys {
    /// What they did in the day before `until`, over a network that does everything at once.
    pub(super) fn make_up_a_day(&mut self, means: Means, until: Timestamp, rng: &mut Rng) {
        let mut now = until - PAST;
        let mut network = BTreeSet::new();
        while now < until {
            let line = self.kept.talks.values().map(Talk::wake).min().unwrap_or(until);
            let next = line.max(now + Duration::from_millis(1)).min(now + STEP).min(until);
            let share =
                means.room as f64 * next.since(now).as_secs_f64() / FILLED_WITHIN.as_secs_f64();
            now = next;
            let mut asks = Vec::new();
            let first = self.kept.next;
            self.live(Means { share, ..means }, now, rng, &mut asks);
            self.kept.talks.range_mut(first..).for_each(|(_, talk)| talk.has_been_going_on(rng));
            while !asks.is_empty() {
                for (key, ask) in core::mem::take(&mut asks) {
                    self.happened.extend(done(ask, &mut network).map(|what| (now, key, what)));
                }
                self.live(Means { share: 0.0, ..means }, now, rng, &mut asks);
            }
        }
        self.taken = 0;
        self.kept.put_off();
    }
}

/// What becomes of it, where the boxes are known that were written and have nobody yet who follows them, and those that are followed.
fn done(ask: Ask, network: &mut BTreeSet<(Is, BoxId)>) -> impl Iterator<Item = Happened> {
    let (ended, arrived) = match ask {
        Ask::Write(place, what) => {
            let id = place.id();
            let arrived = network.remove(&(Is::Followed, id));
            if !arrived {
                network.insert((Is::Written, id));
            }
            (Some(Happened::Written(what)), arrived.then_some(id))
        }
        Ask::Follow(id, ..) => {
            let arrived = network.remove(&(Is::Written, id));
            if !arrived {
                network.insert((Is::Followed, id));
            }
            (None, arrived.then_some(id))
        }
        Ask::Unfollow(id) => {
            network.remove(&(Is::Followed, id));
            (None, None)
        }
        Ask::Read(id, what) => {
            // What is read is followed by nobody, or arrives by itself.
            let found = network.contains(&(Is::Written, id));
            (Some(Happened::Read(what, found)), None)
        }
    };
    ended.into_iter().chain(arrived.map(Happened::Arrived))
}

/// What a box is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Is {
    Written,
    Followed,
}
