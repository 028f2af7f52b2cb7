//! Moving to the next epoch.

use super::*;

fn same_epoch(a: &Group, b: &Group, epoch: u64) {
    assert_eq!((a.epoch(), b.epoch()), (epoch, epoch));
    assert_eq!(a.export("lane", b""), b.export("lane", b""));
}

#[test]
fn either_side_renews_its_keys() {
    let mut rng = rng(20);
    let (mut a, mut b) = pair(&mut rng);
    let rejoin = a.export("rejoin", b"");
    for round in 0..6u64 {
        let (from, to) = if round % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        let commit = from.begin_update(&mut rng).expect("commits");
        assert!(from.has_pending());
        to.check_commit(&commit).expect("in order");
        to.apply_commit(&commit).expect("applies");
        from.merge_pending().expect("merges");
        assert!(!from.has_pending());
        tell(&mut rng, from, to, b"after");
        tell(&mut rng, to, from, b"after");
        same_epoch(&a, &b, round + 2);
    }
    assert_ne!(rejoin, a.export("rejoin", b""), "old secrets are gone with their epoch");
}

#[test]
fn while_a_commit_is_pending_messages_go_on_both_ways() {
    let mut rng = rng(21);
    let (mut a, mut b) = pair(&mut rng);
    let commit = a.begin_update(&mut rng).expect("commits");
    tell(&mut rng, &mut a, &mut b, b"still in the old epoch");
    tell(&mut rng, &mut b, &mut a, b"both of us");
    assert_eq!(a.begin_update(&mut rng), Err(GroupError::CommitPending));
    b.apply_commit(&commit).expect("applies");
    a.merge_pending().expect("merges");
    same_epoch(&a, &b, 2);
}

#[test]
fn a_commit_is_checked_then_the_old_lanes_are_drained_then_it_is_applied() {
    let mut rng = rng(22);
    let (mut a, mut b) = pair(&mut rng);
    let late: Vec<_> = (0..10u8).map(|i| a.encrypt(&mut rng, &[i]).expect("encrypts")).collect();
    let commit = a.begin_update(&mut rng).expect("commits");
    b.take_changes();
    b.check_commit(&commit).expect("in order");
    b.check_commit(&commit).expect("as often as one likes");
    assert!(b.take_changes().is_empty(), "checking changes nothing");
    for (i, message) in (0..10u8).zip(&late) {
        assert_eq!(b.decrypt(message), Ok((0, vec![i])));
    }
    tell(&mut rng, &mut b, &mut a, b"not knowing of it yet");
    b.check_commit(&commit).expect("still in order");
    b.apply_commit(&commit).expect("applies");
    a.merge_pending().expect("merges");
    same_epoch(&a, &b, 2);
    let gone = b.decrypt(&late[0]);
    assert_eq!(gone, Err(MessageError::WrongEpoch { got: 1, current: 2 }));
}

#[test]
fn when_both_commit_at_once_one_clears_and_applies() {
    for explicit in [true, false] {
        let mut rng = rng(23);
        let (mut a, mut b) = pair(&mut rng);
        let winner = a.begin_update(&mut rng).expect("commits");
        let loser = b.begin_update(&mut rng).expect("commits");
        b.check_commit(&winner).expect("in order, although one of ours is pending");
        if explicit {
            b.clear_pending();
            assert!(!b.has_pending());
        }
        b.apply_commit(&winner).expect("applies");
        assert!(!b.has_pending());
        a.merge_pending().expect("merges");
        same_epoch(&a, &b, 2);
        let old = Err(CommitError::WrongEpoch { got: 1, current: 2 });
        assert_eq!((a.check_commit(&loser), b.check_commit(&loser)), (old, old));
        let again = b.begin_update(&mut rng).expect("commits anew");
        a.apply_commit(&again).expect("applies");
        b.merge_pending().expect("merges");
        same_epoch(&a, &b, 3);
        tell(&mut rng, &mut a, &mut b, b"on we go");
    }
}

#[test]
fn the_own_pending_commit_may_be_applied_like_any_other() {
    let mut rng = rng(24);
    let (mut a, mut b) = pair(&mut rng);
    let commit = a.begin_update(&mut rng).expect("commits");
    a.check_commit(&commit).expect("in order");
    assert_eq!(a.epoch(), 1);
    a.apply_commit(&commit).expect("merges");
    b.apply_commit(&commit).expect("applies");
    same_epoch(&a, &b, 2);
}

#[test]
fn an_own_commit_that_was_cleared_is_lost() {
    let mut rng = rng(25);
    let (mut a, mut b) = pair(&mut rng);
    let commit = a.begin_update(&mut rng).expect("commits");
    a.clear_pending();
    assert_eq!(a.check_commit(&commit), Err(CommitError::OwnNotPending));
    assert_eq!(a.merge_pending(), Err(CommitError::NonePending));
    a.clear_pending();
    tell(&mut rng, &mut a, &mut b, b"nothing happened");
}

#[test]
fn a_commit_of_another_epoch_is_named() {
    let mut rng = rng(26);
    let (mut a, mut b) = pair(&mut rng);
    let first = a.begin_update(&mut rng).expect("commits");
    a.merge_pending().expect("merges");
    let second = a.begin_update(&mut rng).expect("commits");
    let early = Err(CommitError::WrongEpoch { got: 2, current: 1 });
    assert_eq!(b.check_commit(&second), early);
    assert_eq!(b.apply_commit(&second), early);
    b.apply_commit(&first).expect("applies");
    b.apply_commit(&second).expect("applies");
    a.merge_pending().expect("merges");
    let late = Err(CommitError::WrongEpoch { got: 1, current: 3 });
    assert_eq!(b.apply_commit(&first), late);
    same_epoch(&a, &b, 3);
}

#[test]
fn a_device_heals() {
    let mut rng = rng(27);
    let (mut a, mut b) = pair(&mut rng);
    let stolen = a.storage.pairs().into_iter().map(|(k, v)| (k, v.to_vec())).collect();
    let mut thief = Group::load(stolen).expect("loads");
    let commit = a.begin_update(&mut rng).expect("commits");
    b.apply_commit(&commit).expect("applies");
    a.merge_pending().expect("merges");
    assert!(thief.apply_commit(&commit).is_err());
    let answer = b.begin_update(&mut rng).expect("commits");
    a.apply_commit(&answer).expect("applies");
    b.merge_pending().expect("merges");
    assert!(thief.apply_commit(&answer).is_err());
    assert_ne!(thief.export("lane", b""), a.export("lane", b""));
}
