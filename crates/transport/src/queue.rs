//! Operations that wait for a slot or for an answer: writes and immediate reads.

use std::collections::{BTreeMap, BTreeSet};

use xchat_pigeonhole::BoxId;

/// A refused operation waits at most so many slots: 8 seconds at `fast`, 16 minutes at `thrift`.
pub(crate) const MAX_BACKOFF_SLOTS: u64 = 32;

/// How many slots an operation waits after its `refused`-th refusal in a row: one for the first two, since
/// another replica may well do it, then twice as long each time.
pub(crate) fn backoff_slots(refused: u32) -> u64 {
    1u64.checked_shl(refused.saturating_sub(2)).unwrap_or(MAX_BACKOFF_SLOTS).min(MAX_BACKOFF_SLOTS)
}

/// One attempt at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The box.
    pub(crate) id: BoxId,
    /// Which asking of the owner it serves.
    pub(crate) serial: u64,
    /// Counts the attempts at it, from 0: chooses the replica.
    pub(crate) number: u32,
}

enum State {
    Ready,
    Waiting { until_slot: u64 },
    InFlight,
}

struct Operation<T> {
    value: T,
    /// Its place among the others: given once, when the owner first asked.
    order: u64,
    serial: u64,
    attempts: u32,
    refused: u32,
    state: State,
}

/// Operations by box, handed out oldest first. It holds what the owner asked for, so the owner bounds it.
pub(crate) struct Queue<T> {
    operations: BTreeMap<BoxId, Operation<T>>,
    ready: BTreeSet<(u64, BoxId)>,
    waiting: BTreeSet<(u64, u64, BoxId)>,
    next: u64,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            operations: BTreeMap::new(),
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            next: 0,
        }
    }

    /// How many there are, of those for which this holds.
    pub(crate) fn count_of(&self, of: impl Fn(&BoxId) -> bool) -> usize {
        self.operations.keys().filter(|id| of(id)).count()
    }

    pub(crate) fn get(&self, id: &BoxId) -> Option<&T> {
        self.operations.get(id).map(|operation| &operation.value)
    }

    /// Which asking of the owner an operation serves at present.
    pub(crate) fn serial(&self, id: &BoxId) -> Option<u64> {
        self.operations.get(id).map(|operation| operation.serial)
    }

    /// Adds an operation, or asks anew for one that is there: it keeps its place, and attempts under
    /// way no longer count as attempts at it.
    pub(crate) fn ask(&mut self, id: BoxId, value: T) {
        let serial = self.next;
        self.next += 1;
        match self.operations.get_mut(&id) {
            Some(operation) => {
                operation.value = value;
                operation.serial = serial;
                self.set(&id, State::Ready);
            }
            None => {
                self.operations.insert(
                    id,
                    Operation {
                        value,
                        order: serial,
                        serial,
                        attempts: 0,
                        refused: 0,
                        state: State::Ready,
                    },
                );
                self.ready.insert((serial, id));
            }
        }
    }

    /// Whether one could be emitted in this slot.
    pub(crate) fn has_ready(&mut self, slot: u64) -> bool {
        while let Some(&(until, order, id)) = self.waiting.first()
            && until <= slot
        {
            self.waiting.remove(&(until, order, id));
            if let Some(operation) = self.operations.get_mut(&id) {
                operation.state = State::Ready;
                self.ready.insert((order, id));
            }
        }
        !self.ready.is_empty()
    }

    /// Takes the oldest that is ready; it is then in flight.
    pub(crate) fn take(&mut self, slot: u64) -> Option<Attempt> {
        if !self.has_ready(slot) {
            return None;
        }
        let (_, id) = self.ready.pop_first()?;
        let operation = self.operations.get_mut(&id)?;
        let number = operation.attempts;
        operation.attempts = operation.attempts.wrapping_add(1);
        operation.state = State::InFlight;
        Some(Attempt { id, serial: operation.serial, number })
    }

    /// The attempt had no answer, or one that proves nothing: ready for the next.
    pub(crate) fn unanswered(&mut self, attempt: &Attempt) {
        if self.is_latest(attempt) {
            self.set(&attempt.id, State::Ready);
        }
    }

    /// The attempt was refused: it waits some slots.
    pub(crate) fn refused(&mut self, attempt: &Attempt, slot: u64) {
        if !self.is_latest(attempt) {
            return;
        }
        let Some(operation) = self.operations.get_mut(&attempt.id) else { return };
        operation.refused = operation.refused.saturating_add(1);
        let until_slot = slot + backoff_slots(operation.refused);
        self.set(&attempt.id, State::Waiting { until_slot });
    }

    /// Nothing that is in flight will be answered any more.
    pub(crate) fn all_unanswered(&mut self) {
        for (id, operation) in &mut self.operations {
            if matches!(operation.state, State::InFlight) {
                operation.state = State::Ready;
                self.ready.insert((operation.order, *id));
            }
        }
    }

    /// The operation ended.
    pub(crate) fn remove(&mut self, id: &BoxId) -> Option<T> {
        self.unlist(id);
        self.operations.remove(id).map(|operation| operation.value)
    }

    fn is_latest(&self, attempt: &Attempt) -> bool {
        self.operations.get(&attempt.id).is_some_and(|operation| {
            matches!(operation.state, State::InFlight)
                && operation.serial == attempt.serial
                && operation.attempts == attempt.number.wrapping_add(1)
        })
    }

    fn set(&mut self, id: &BoxId, state: State) {
        self.unlist(id);
        let Some(operation) = self.operations.get_mut(id) else { return };
        match state {
            State::Ready => {
                self.ready.insert((operation.order, *id));
            }
            State::Waiting { until_slot } => {
                self.waiting.insert((until_slot, operation.order, *id));
            }
            State::InFlight => {}
        }
        operation.state = state;
    }

    fn unlist(&mut self, id: &BoxId) {
        let Some(operation) = self.operations.get(id) else { return };
        match operation.state {
            State::Ready => {
                self.ready.remove(&(operation.order, *id));
            }
            State::Waiting { until_slot } => {
                self.waiting.remove(&(until_slot, operation.order, *id));
            }
            State::InFlight => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> BoxId {
        BoxId::from_bytes([n; 32])
    }

    #[test]
    fn first_attempts_are_handed_out_in_the_order_of_asking_and_retries_keep_their_place() {
        let mut queue = Queue::new();
        for n in [9, 3, 7] {
            queue.ask(id(n), ());
        }
        let first = queue.take(0).expect("ready");
        assert_eq!((first.id, first.number), (id(9), 0));
        assert_eq!(queue.take(0).expect("ready").id, id(3));
        queue.unanswered(&first);
        let again = queue.take(0).expect("ready");
        assert_eq!((again.id, again.number), (id(9), 1));
        queue.unanswered(&first);
        assert_eq!(queue.take(0).expect("ready").id, id(7), "an old attempt's end changes nothing");
    }

    #[test]
    fn refusals_back_off_in_slots_and_to_a_bound() {
        let mut queue = Queue::new();
        queue.ask(id(1), ());
        let mut slot = 0;
        for wait in [1, 1, 2, 4, 8, 16, 32, 32] {
            let attempt = queue.take(slot).expect("ready");
            queue.refused(&attempt, slot);
            assert!(queue.take(slot + wait - 1).is_none());
            slot += wait;
        }
        assert!(queue.has_ready(slot));
    }

    #[test]
    fn asking_again_makes_it_ready_and_older_attempts_no_longer_count() {
        let mut queue = Queue::new();
        queue.ask(id(1), ());
        let before = queue.take(0).expect("ready");
        queue.ask(id(1), ());
        assert_eq!(queue.count_of(|_| true), 1);
        let after = queue.take(0).expect("ready");
        assert_ne!(before.serial, after.serial);
        assert_eq!(queue.serial(&id(1)), Some(after.serial));
        queue.refused(&before, 0);
        assert!(!queue.has_ready(100), "it is still in flight");
    }

    proptest! {
        #[test]
        fn whatever_happens_no_operation_is_lost(steps in prop::collection::vec((0u8..5, 0u8..6), 0..200)) {
            let mut queue = Queue::new();
            let mut open = BTreeSet::new();
            let mut flying: Vec<Attempt> = Vec::new();
            for (slot, (what, n)) in steps.into_iter().enumerate() {
                let slot = slot as u64;
                match what {
                    0 => {
                        queue.ask(id(n), ());
                        open.insert(id(n));
                    }
                    1 => flying.extend(queue.take(slot)),
                    2 => flying.pop().into_iter().for_each(|a| queue.unanswered(&a)),
                    3 => flying.pop().into_iter().for_each(|a| queue.refused(&a, slot)),
                    _ => {
                        queue.remove(&id(n));
                        open.remove(&id(n));
                    }
                }
            }
            queue.all_unanswered();
            let mut seen = BTreeSet::new();
            while let Some(attempt) = queue.take(1_000) {
                prop_assert!(seen.insert(attempt.id));
            }
            prop_assert_eq!(seen, open);
        }
    }
}
