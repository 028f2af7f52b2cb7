//! Two members, and everything that may happen between them.

mod attacks;
mod commits;
mod exporter;
mod persistence;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use xchat_base::Secret;

use super::*;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The accepter, who made the group, and the inviter, who joined it.
fn pair(rng: &mut ChaCha20Rng) -> (Group, Group) {
    let (pending, key_package) = PendingMember::generate(rng).expect("generates");
    let (accepter, welcome) = Group::create(rng, &key_package).expect("creates");
    let inviter = Group::join(pending, &welcome).expect("joins");
    (accepter, inviter)
}

/// One message, and what arrives.
fn tell(rng: &mut ChaCha20Rng, from: &mut Group, to: &mut Group, text: &[u8]) {
    let message = from.encrypt(rng, text).expect("encrypts");
    assert_eq!(to.decrypt(&message).expect("decrypts"), (from.own_leaf(), text.to_vec()));
}

#[test]
fn two_meet_in_epoch_one_with_shared_secrets() {
    let (accepter, inviter) = pair(&mut rng(1));
    for group in [&accepter, &inviter] {
        assert_eq!(group.epoch(), 1);
        assert_eq!(group.members(), [0, 1]);
        assert!(!group.has_pending());
    }
    assert_eq!((accepter.own_leaf(), inviter.own_leaf()), (0, 1));
    for (label, context) in [("rejoin", b"".as_slice()), ("lane", &[0, 0, 0, 1])] {
        assert_eq!(accepter.export(label, context), inviter.export(label, context));
    }
    assert_ne!(accepter.export("lane", &[0]), accepter.export("lane", &[1]));
    assert_ne!(accepter.export("lane", &[0]), accepter.export("lanf", &[0]));
    assert_ne!(accepter.export("lane", &[0]), Secret::new([0; 32]));
}

#[test]
fn two_hundred_messages_each_way() {
    let mut rng = rng(2);
    let (mut a, mut b) = pair(&mut rng);
    for i in 0..200u32 {
        tell(&mut rng, &mut a, &mut b, &i.to_be_bytes());
        tell(&mut rng, &mut b, &mut a, &i.to_le_bytes());
    }
}

#[test]
fn order_does_not_matter_within_the_tolerance_and_replays_are_refused() {
    let mut rng = rng(3);
    let (mut a, mut b) = pair(&mut rng);
    let tolerance = suite::OUT_OF_ORDER_TOLERANCE as usize;
    let messages: Vec<Vec<u8>> =
        (0..=tolerance).map(|i| a.encrypt(&mut rng, &i.to_be_bytes()).expect("encrypts")).collect();
    for (i, message) in messages.iter().enumerate().rev().take(tolerance) {
        assert_eq!(b.decrypt(message), Ok((0, i.to_be_bytes().to_vec())));
    }
    b.take_changes();
    for message in &messages {
        let refused = b.decrypt(message);
        assert_eq!(refused, Err(MessageError::Undecryptable), "a replay, or too far behind");
    }
    assert!(b.take_changes().is_empty(), "what was refused has changed nothing");
    tell(&mut rng, &mut a, &mut b, b"and on");
}

#[test]
fn gaps_up_to_the_bound_are_bridged_and_larger_ones_refused() {
    let mut rng = rng(4);
    let (mut a, mut b) = pair(&mut rng);
    let mut last = Vec::new();
    for _ in 0..suite::MAX_FORWARD_DISTANCE {
        last = a.encrypt(&mut rng, b"lost").expect("encrypts");
    }
    let beyond = (0..5).map(|_| a.encrypt(&mut rng, b"beyond").expect("encrypts")).last();
    assert_eq!(b.decrypt(&beyond.expect("five")), Err(MessageError::Undecryptable));
    assert!(b.decrypt(&last).is_ok());
}

#[test]
fn the_safety_number_is_theirs_alone_and_stays() {
    let mut rng = rng(5);
    let (mut a, mut b) = pair(&mut rng);
    let (c, d) = pair(&mut rng);
    assert_eq!(a.safety_number(), b.safety_number());
    assert_eq!(c.safety_number(), d.safety_number());
    assert_ne!(a.safety_number().digits(), c.safety_number().digits());
    let before = a.safety_number();
    let commit = a.begin_update(&mut rng).expect("commits");
    b.apply_commit(&commit).expect("applies");
    a.merge_pending().expect("merges");
    assert_eq!((a.safety_number(), b.safety_number()), (before, before));
}

/// Against the figures that the formats were designed with.
#[test]
fn sizes_are_as_measured() {
    let mut rng = rng(6);
    let (pending, key_package) = PendingMember::generate(&mut rng).expect("generates");
    let (mut a, welcome) = Group::create(&mut rng, &key_package).expect("creates");
    let mut b = Group::join(pending, &welcome).expect("joins");
    let message = a.encrypt(&mut rng, &[7; 256]).expect("encrypts");
    b.decrypt(&message).expect("decrypts");
    let first = a.begin_update(&mut rng).expect("commits");
    b.apply_commit(&first).expect("applies");
    a.merge_pending().expect("merges");
    let second = b.begin_update(&mut rng).expect("commits");
    a.apply_commit(&second).expect("applies");
    b.merge_pending().expect("merges");
    a.take_changes();
    a.encrypt(&mut rng, b"").expect("encrypts");
    let per_message: usize =
        a.take_changes().iter().map(|(k, v)| k.len() + v.as_ref().map_or(0, Vec::len)).sum();
    let state: usize = a.storage.pairs().iter().map(|(k, v)| k.len() + v.len()).sum();
    println!("key package        {:>6} B (2669 with a five-byte name)", key_package.len());
    println!("welcome            {:>6} B (5471)", welcome.len());
    println!("first self-update  {:>6} B", first.len());
    println!("next self-update   {:>6} B", second.len());
    println!("256 B message      {:>6} B (+145)", message.len());
    println!("stored state       {state:>6} B");
    println!("changed by sending {per_message:>6} B");
    assert!((2_600..=2_669).contains(&key_package.len()));
    assert!((5_300..=5_480).contains(&welcome.len()));
    assert!(first.len() <= 3_967 && second.len() <= 3_967);
}

#[test]
fn a_message_is_no_longer_than_promised() {
    let mut rng = rng(9);
    let (mut a, mut b) = pair(&mut rng);
    let mut largest = 0;
    for len in (0..1_500).chain([16_383 - MESSAGE_OVERHEAD]) {
        let message = a.encrypt(&mut rng, &vec![7; len]).expect("encrypts");
        largest = largest.max(message.len() - len);
    }
    assert_eq!(largest, MESSAGE_OVERHEAD);
    // And in an epoch that needs all of its eight bytes: they are of fixed length (RFC 9420, 6.3).
    let commit = a.begin_update(&mut rng).expect("commits");
    b.apply_commit(&commit).expect("applies");
    assert_eq!(b.encrypt(&mut rng, &[7; 256]).expect("encrypts").len(), 256 + MESSAGE_OVERHEAD);
}

#[test]
fn one_seed_gives_one_run() {
    let run = |seed: u64| {
        let mut rng = rng(seed);
        let (mut a, mut b) = pair(&mut rng);
        let message = a.encrypt(&mut rng, b"text").expect("encrypts");
        let commit = b.begin_update(&mut rng).expect("commits");
        a.apply_commit(&commit).expect("applies");
        (message, commit, a.export("lane", b""), rng.next_u64())
    };
    assert_eq!(run(7), run(7));
    let (message, commit, secret, _) = run(7);
    let other = run(8);
    assert!(message != other.0 && commit != other.1 && secret != other.2);
}
