//! Which store takes a collector's place.

use core::time::Duration;

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
    all.answered(&session, false, T0);
    assert_eq!(all.for_registrations().map(|one| one.store), Some(stores[0]));
    match why {
        Why::Fails => assert_eq!(all.leave(&stores[..1], T0), None),
        Why::IsDead => assert!(all.give_up(&session).is_some()),
    }
    let wishes = (&[][..], &stores[seldom]);
    all.refresh(&document, wishes, T0 + OVERLAP, T0, rng);
    for session in all.sessions() {
        all.answered(&session, false, T0);
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

/// By schedule a first one gives way to a second, which is found to fail soon after, when almost everything still names the first.
#[test]
fn one_that_fails_soon_leaves_the_one_before_it_in_use() {
    let document = Fixture::new(1).sign();
    let rng = &mut rng(1);
    let mut all = Collectors::new();
    let mut now = T0;
    let mut turn = |all: &mut Collectors, seldom: &[NodeId], span| {
        now = now + span;
        let mut lefts = Vec::new();
        for _ in 0..2 {
            lefts.extend(all.refresh(&document, (&[], seldom), now + OVERLAP, now, rng));
            for session in all.sessions() {
                all.answered(&session, false, now);
            }
        }
        (lefts, now)
    };
    turn(&mut all, &[], Duration::ZERO);
    let first = all.for_registrations().expect("one").clone();
    turn(&mut all, &[], OVERLAP * 3);
    let second = all.for_registrations().expect("another one").clone();
    assert_ne!(first.store, second.store);
    assert_eq!(all.leave(&[second.store], T0 + OVERLAP * 3), None);
    let (lefts, now) = turn(&mut all, &[second.store], Duration::from_secs(60));
    assert_eq!(lefts, [second.session]);
    let third = all.for_registrations().expect("a third one").clone();
    assert_ne!(third.store, second.store);
    assert_eq!(all.sessions(), [third.session, first.session]);
    assert_eq!(
        [&first, &second, &third].map(|one| all.is_left(&one.session)),
        [false, true, false]
    );
    // And if it turns out that the first fails too, what still names it is to name another one.
    assert_eq!(all.leave(&[first.store], now), Some(first.session));
    assert!(all.is_left(&first.session));
}

/// Where gateways' operators have all stores but one there is no other.
#[test]
fn the_only_one_there_is_goes_on_though_it_fails() {
    let document = Fixture::new(1).sign();
    let rng = &mut rng(1);
    let never: Vec<_> = document.stores().map(|store| store.operator).skip(1).collect();
    let mut all = Collectors::new();
    all.refresh(&document, (&never, &[]), T0, T0, rng);
    let only = all.sessions();
    all.answered(&only[0], false, T0);
    let store = all.for_registrations().expect("one").store;
    for minute in 1..10 {
        let now = T0 + Duration::from_secs(60 * minute);
        assert_eq!(all.leave(&[store], now), None);
        assert_eq!(all.refresh(&document, (&never, &[]), now + OVERLAP, now, rng), None);
        assert_eq!(all.sessions(), only);
    }
}
