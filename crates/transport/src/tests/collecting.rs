//! Which store takes a collector's place.

use xchat_directory::NodeId;

use super::fixture::{Fixture, T0, rng};
use crate::collectors::{Collectors, OVERLAP};

/// Why the first one of four is replaced.
#[derive(Clone, Copy, PartialEq)]
enum Why {
    Fails,
    IsDead,
}

/// Which store it is, by its place in the document, if these are to be avoided.
fn next(why: Why, seldom: core::ops::Range<usize>, seed: u64) -> usize {
    let document = Fixture::new(1).sign();
    let rng = &mut rng(seed);
    let stores: Vec<NodeId> = document.stores().map(|store| store.id).collect();
    let others: Vec<_> = document.stores().map(|store| store.operator).skip(1).collect();
    let mut all = Collectors::new();
    assert_eq!(all.refresh(&document, (&others, &[]), T0, T0, rng), None);
    let session = all.sessions()[0];
    all.answered(&session, T0);
    assert_eq!(all.for_registrations().map(|one| one.store), Some(stores[0]));
    match why {
        Why::Fails => all.leave(&stores[..1], T0),
        Why::IsDead => assert!(all.give_up(&session).is_some()),
    }
    let wishes = (&[][..], &stores[seldom]);
    all.refresh(&document, wishes, T0 + OVERLAP, T0, rng);
    for session in all.sessions() {
        all.answered(&session, T0);
    }
    let left = all.refresh(&document, wishes, T0 + OVERLAP, T0, rng);
    // What names one that fails is to name the new one, and it is asked on.
    assert_eq!(left, (why == Why::Fails).then_some(session));
    assert_eq!(all.sessions().len(), if why == Why::Fails { 2 } else { 1 });
    let now = all.for_registrations().expect("it answered").store;
    stores.iter().position(|store| *store == now).expect("it is listed")
}

#[test]
fn one_that_fails_is_replaced_by_one_that_does_not() {
    for seed in 0..10 {
        assert_eq!(next(Why::Fails, 0..3, seed), 3);
    }
}

#[test]
fn one_that_is_dead_is_not_chosen_again_while_others_answer_some() {
    for seed in 0..10 {
        assert_ne!(next(Why::IsDead, 1..4, seed), 0);
    }
}
