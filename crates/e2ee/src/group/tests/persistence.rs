//! A group stored after every step and loaded before the next goes on as if nothing had been.

use std::collections::BTreeMap;

use super::*;

/// A member whose process ends after every step.
struct Stored(BTreeMap<Vec<u8>, Vec<u8>>);

impl Stored {
    fn new(mut group: Group) -> Self {
        let mut stored = Self(BTreeMap::new());
        stored.save(&mut group);
        stored
    }

    fn save(&mut self, group: &mut Group) {
        for (key, value) in group.take_changes() {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
    }

    fn load(&self) -> Group {
        Group::load(self.0.clone().into_iter().collect()).expect("loads")
    }

    fn step<T>(&mut self, step: impl FnOnce(&mut Group) -> T) -> T {
        let mut group = self.load();
        let result = step(&mut group);
        self.save(&mut group);
        result
    }
}

/// Members that live on, or are stored and loaded at every step.
trait Member {
    fn with<T>(&mut self, step: impl FnOnce(&mut Group) -> T) -> T;
}

impl Member for Group {
    fn with<T>(&mut self, step: impl FnOnce(&mut Group) -> T) -> T {
        step(self)
    }
}

impl Member for Stored {
    fn with<T>(&mut self, step: impl FnOnce(&mut Group) -> T) -> T {
        self.step(step)
    }
}

/// A conversation with everything in it; all that left either member, in order.
fn converse(rng: &mut ChaCha20Rng, a: &mut impl Member, b: &mut impl Member) -> Vec<Vec<u8>> {
    let mut log = Vec::new();
    for round in 0..4u8 {
        let held = a.with(|a| a.encrypt(rng, &[round, 1])).expect("encrypts");
        let next = a.with(|a| a.encrypt(rng, &[round, 2])).expect("encrypts");
        assert_eq!(b.with(|b| b.decrypt(&next)), Ok((0, vec![round, 2])));
        assert_eq!(b.with(|b| b.decrypt(&next)), Err(MessageError::Undecryptable));
        let winner = a.with(|a| a.begin_update(rng)).expect("commits");
        let loser = b.with(|b| b.begin_update(rng)).expect("commits");
        assert!(a.with(|a| a.has_pending()) && b.with(|b| b.has_pending()));
        b.with(|b| b.check_commit(&winner)).expect("in order");
        assert_eq!(b.with(|b| b.decrypt(&held)), Ok((0, vec![round, 1])));
        let answer = b.with(|b| b.encrypt(rng, &[round, 3])).expect("encrypts");
        assert_eq!(a.with(|a| a.decrypt(&answer)), Ok((1, vec![round, 3])));
        b.with(|b| b.clear_pending());
        b.with(|b| b.apply_commit(&winner)).expect("applies");
        a.with(|a| a.merge_pending()).expect("merges");
        assert!(a.with(|a| a.check_commit(&loser)).is_err());
        let exported = a.with(|a| a.export("lane", b""));
        assert_eq!(exported, b.with(|b| b.export("lane", b"")));
        assert_eq!(a.with(|a| a.epoch()), u64::from(round) + 2);
        log.extend([held, next, winner, loser, answer, exported.expose().to_vec()]);
    }
    log
}

#[test]
fn stored_and_loaded_at_every_step_it_is_the_uninterrupted_run() {
    let mut rng_1 = rng(40);
    let (mut a, mut b) = pair(&mut rng_1);
    let lived = converse(&mut rng_1, &mut a, &mut b);

    let mut rng_2 = rng(40);
    let (pending, key_package) = PendingMember::generate(&mut rng_2).expect("generates");
    let pending = PendingMember::from_stored(&pending.to_stored()).expect("loads");
    let (a, welcome) = Group::create(&mut rng_2, &key_package).expect("creates");
    let mut a = Stored::new(a);
    let mut b = Stored::new(Group::join(pending, &welcome).expect("joins"));
    let stored = converse(&mut rng_2, &mut a, &mut b);

    assert!(lived == stored);
    assert_eq!(a.load().safety_number(), b.load().safety_number());
}

#[test]
fn a_joined_group_keeps_nothing_of_its_key_package() {
    let mut rng = rng(41);
    let (pending, key_package) = PendingMember::generate(&mut rng).expect("generates");
    let slots =
        |group: &Group| group.storage.pairs().iter().map(|(key, _)| key[0]).collect::<Vec<_>>();
    let before: Vec<u8> = pending.storage.pairs().iter().map(|(key, _)| key[0]).collect();
    assert!(before.contains(&16), "the key package and its init key");
    let (_, welcome) = Group::create(&mut rng, &key_package).expect("creates");
    let group = Group::join(pending, &welcome).expect("joins");
    assert!(!slots(&group).contains(&16));
}

#[test]
fn a_restart_before_the_join_is_stored_does_not_burn_the_invitation() {
    let mut rng = rng(42);
    let (pending, key_package) = PendingMember::generate(&mut rng).expect("generates");
    let stored = pending.to_stored();
    let (mut a, welcome) = Group::create(&mut rng, &key_package).expect("creates");
    drop(Group::join(pending, &welcome).expect("joins"));
    let again = PendingMember::from_stored(&stored).expect("loads");
    assert_eq!(
        Group::join(again, b"rubbish that came first").map(drop),
        Err(GroupError::PeerMalformed)
    );
    let again = PendingMember::from_stored(&stored).expect("loads");
    let mut b = Group::join(again, &welcome).expect("joins again");
    tell(&mut rng, &mut a, &mut b, b"hello");
}

/// What the first version stored: a group with a commit pending, and a message that is still to be
/// read. Whatever OpenMLS becomes, people's conversations must load.
const FIRST_STATE: &[u8] = include_bytes!("state-1.bin");
const FIRST_MESSAGE: &[u8] = include_bytes!("message-1.bin");

#[test]
fn the_state_of_the_first_version_still_loads() {
    // The stored form of a `PendingMember` serves as the container.
    let container = PendingMember::from_stored(FIRST_STATE).expect("reads");
    let pairs = container.storage.pairs().into_iter().map(|(k, v)| (k, v.to_vec())).collect();
    let mut group = Group::load(pairs).expect("loads");
    assert_eq!((group.epoch(), group.own_leaf(), group.has_pending()), (2, 1, true));
    assert_eq!(group.decrypt(FIRST_MESSAGE), Ok((0, b"from the first version".to_vec())));
    group.merge_pending().expect("merges");
    assert_eq!(group.epoch(), 3);
}

/// Writes the two files above. To be run once, when a new version of the stored form begins, and
/// under new names: `cargo test -p xchat-e2ee --lib write_the_fixture -- --ignored`.
#[test]
#[ignore = "writes files of the source tree"]
#[allow(clippy::disallowed_methods)]
fn write_the_fixture() {
    let mut rng = rng(44);
    let (mut a, mut b) = pair(&mut rng);
    let commit = a.begin_update(&mut rng).expect("commits");
    b.apply_commit(&commit).expect("applies");
    a.merge_pending().expect("merges");
    tell(&mut rng, &mut b, &mut a, b"before");
    let message = a.encrypt(&mut rng, b"from the first version").expect("encrypts");
    b.begin_update(&mut rng).expect("commits");
    let (identity, _) = Identity::load(&b.storage).expect("reads");
    let container = PendingMember { storage: b.storage, identity };
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/group/tests");
    std::fs::write(format!("{dir}/state-1.bin"), container.to_stored()).expect("writes");
    std::fs::write(format!("{dir}/message-1.bin"), message).expect("writes");
}

#[test]
fn state_that_is_incomplete_or_of_another_version_does_not_load() {
    let mut rng = rng(43);
    let (a, _) = pair(&mut rng);
    let pairs: Vec<(Vec<u8>, Vec<u8>)> =
        a.storage.pairs().into_iter().map(|(k, v)| (k, v.to_vec())).collect();
    assert!(Group::load(pairs.clone()).is_ok());
    assert_eq!(Group::load(vec![]).map(drop), Err(GroupError::Stored));
    // The slots without which OpenMLS cannot build a group, and our own.
    for slot in [0, 1, 4, 6, 7, 8, 9, 10, 11, 12] {
        let mut missing = pairs.clone();
        missing.retain(|(key, _)| key[0] != slot);
        assert!(missing.len() < pairs.len(), "slot {slot}");
        assert_eq!(Group::load(missing).map(drop), Err(GroupError::Stored), "slot {slot}");
        let mut newer = pairs.clone();
        newer.iter_mut().filter(|(key, _)| key[0] == slot).for_each(|(_, value)| value[0] = 2);
        assert_eq!(Group::load(newer).map(drop), Err(GroupError::Stored), "slot {slot}");
    }
    let (pending, _) = PendingMember::generate(&mut rng).expect("generates");
    let stored = pending.to_stored();
    for cut in [0, 1, 3, 7, stored.len() - 1] {
        assert_eq!(
            PendingMember::from_stored(&stored[..cut]).map(drop),
            Err(GroupError::Stored),
            "{cut}"
        );
    }
}
