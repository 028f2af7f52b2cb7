//! Which stores answer, as far as our own packets tell.

use core::time::Duration;
use std::collections::BTreeMap;

use xchat_base::Timestamp;
use xchat_directory::{NodeId, VerifiedDocument};

/// A store is taken for silent after so many packets in a row without an answer, where few are lost on their way.
const SILENT_AFTER: u32 = 3;

/// Where many are, after as many as would all be lost by chance less often than this.
const BY_CHANCE: f64 = 0.003;

/// However many are lost, no more than this: where five in eight are, little is left to be said of any store.
const SILENT_AFTER_AT_MOST: u32 = 12;

/// A silent store is tried again after this.
const AVOIDED_FOR: Duration = Duration::from_secs(60);

struct Silence {
    unanswered: u32,
    is_silent: bool,
    since: Timestamp,
    last: Timestamp,
}

/// Silence by store; bounded by the stores of the document.
#[derive(Default)]
pub(crate) struct Health {
    stores: BTreeMap<NodeId, Silence>,
    lives: BTreeMap<NodeId, Life>,
}

/// What a store said last of its present life, and how much it is believed: by saying that it has started again, it has clients register anew.
struct Life {
    number: u64,
    believed: u32,
    since: Timestamp,
}

/// Starts of a store that are believed at once, and how often one more is.
const STARTS: u32 = 4;
const START_EVERY: Duration = Duration::from_secs(15 * 60);

impl Health {
    pub(crate) fn answered(&mut self, store: &NodeId) {
        self.stores.remove(store);
    }

    /// It says this of its life: whether that is another one than it said before.
    pub(crate) fn is_another(&mut self, store: &NodeId, life: u64, now: Timestamp) -> bool {
        let fresh = || Life { number: life, believed: STARTS, since: now };
        let known = self.lives.entry(*store).or_insert_with(fresh);
        if known.number == life {
            return false;
        }
        known.number = life;
        if now.since(known.since) >= START_EVERY {
            (known.believed, known.since) = ((known.believed + 1).min(STARTS), now);
        }
        let is_believed = known.believed > 0;
        known.believed = known.believed.saturating_sub(1);
        is_believed
    }

    /// A packet to it that was sent then had no answer. `last_answer`: when anything at all was last
    /// answered; `loop_loss`: the share of loops that are lost. Whether the store is from now on taken for silent.
    pub(crate) fn unanswered(
        &mut self,
        store: &NodeId,
        sent: Timestamp,
        last_answer: Timestamp,
        loop_loss: Option<f64>,
        now: Timestamp,
    ) -> bool {
        let begun = Silence { unanswered: 0, is_silent: false, since: sent, last: now };
        let silence = self.stores.entry(*store).or_insert(begun);
        if last_answer <= silence.since {
            return false; // Nobody answers: the store is not to blame.
        }
        silence.unanswered = silence.unanswered.saturating_add(1);
        silence.last = now;
        let was_silent = silence.is_silent;
        silence.is_silent |= silence.unanswered >= silent_after(loop_loss.unwrap_or(0.0));
        silence.is_silent && !was_silent
    }

    pub(crate) fn is_silent(&self, store: &NodeId, now: Timestamp) -> bool {
        self.stores
            .get(store)
            .is_some_and(|silence| silence.is_silent && now.since(silence.last) < AVOIDED_FOR)
    }

    /// The same until it answers, also when it is tried again.
    pub(crate) fn has_fallen_silent(&self, store: &NodeId) -> bool {
        self.stores.get(store).is_some_and(|silence| silence.is_silent)
    }

    pub(crate) fn has_any_fallen_silent(&self) -> bool {
        self.stores.values().any(|silence| silence.is_silent)
    }

    pub(crate) fn silent(&self, now: Timestamp) -> impl Iterator<Item = NodeId> {
        self.stores.keys().copied().filter(move |store| self.is_silent(store, now))
    }

    pub(crate) fn follow_document(&mut self, document: &VerifiedDocument) {
        self.stores.retain(|store, _| document.node(store).is_some());
        self.lives.retain(|store, _| document.node(store).is_some());
    }
}

/// What is asked and its answer pass twice as many links as a loop does.
fn silent_after(loop_loss: f64) -> u32 {
    let lost = 1.0 - (1.0 - loop_loss.clamp(0.0, 0.9)).powi(2);
    let enough = (BY_CHANCE.ln() / lost.ln()).ceil();
    (enough as u32).clamp(SILENT_AFTER, SILENT_AFTER_AT_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: NodeId = NodeId::from_bytes([1; 32]);

    #[test]
    fn a_store_is_silent_after_three_unanswered_packets_and_tried_again_later() {
        let mut health = Health::default();
        let (sent, now) = (Timestamp::from_secs(10), Timestamp::from_secs(14));
        let told: Vec<_> =
            (0..4).map(|_| health.unanswered(&STORE, sent, now, None, now)).collect();
        assert_eq!(told, [false, false, true, false]);
        assert!(health.is_silent(&STORE, now));
        assert!(!health.is_silent(&STORE, now + AVOIDED_FOR));
        health.answered(&STORE);
        assert!(!health.is_silent(&STORE, now));
    }

    #[test]
    fn where_many_packets_are_lost_a_store_is_silent_after_more_of_them() {
        for (loop_loss, after) in [(0.0, 3), (0.05, 3), (0.1, 4), (0.2, 6), (0.9, 12), (1.0, 12)] {
            let mut health = Health::default();
            let (sent, now) = (Timestamp::from_secs(10), Timestamp::from_secs(14));
            let told = (1..).find(|_| health.unanswered(&STORE, sent, now, Some(loop_loss), now));
            assert_eq!(told, Some(after), "{loop_loss}");
            // Losses that become less do not tell it once more.
            assert!(!health.unanswered(&STORE, sent, now, None, now));
        }
    }

    #[test]
    fn a_store_that_starts_again_is_noticed_once() {
        let mut health = Health::default();
        let now = Timestamp::from_secs(1_000);
        let noticed = [7, 7, 8, 8, 7].map(|life| health.is_another(&STORE, life, now));
        assert_eq!(noticed, [false, false, true, false, true]);
        // One that says so each time is not believed for long.
        let believed = (10..20).filter(|life| health.is_another(&STORE, *life, now)).count();
        assert_eq!(believed as u32, STARTS - 2);
        let later = now + START_EVERY;
        let believed = (20..30).filter(|life| health.is_another(&STORE, *life, later)).count();
        assert_eq!(believed, 1);
    }

    #[test]
    fn when_nobody_answers_no_store_is_blamed() {
        let mut health = Health::default();
        for second in 10..30 {
            let sent = Timestamp::from_secs(second);
            assert!(!health.unanswered(&STORE, sent, Timestamp::from_secs(9), None, sent));
        }
        assert!(!health.is_silent(&STORE, Timestamp::from_secs(30)));
    }
}
