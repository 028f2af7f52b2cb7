//! What comes from outside, and from a member that does not keep to the rules.

use openmls::prelude::{
    BasicCredential, Capabilities, Extensions, LeafNodeParameters, Lifetime, NewSignerBundle,
};
use proptest::prelude::*;

use super::*;

#[test]
fn one_does_not_read_ones_own_messages() {
    let mut rng = rng(60);
    let (mut a, mut b) = pair(&mut rng);
    let message = a.encrypt(&mut rng, b"text").expect("encrypts");
    a.take_changes();
    assert_eq!(a.decrypt(&message), Err(MessageError::Own));
    assert!(a.take_changes().is_empty());
    assert!(b.decrypt(&message).is_ok());
}

#[test]
fn every_kind_of_message_in_the_place_of_another_is_refused() {
    let mut rng = rng(61);
    let (pending, key_package) = PendingMember::generate(&mut rng).expect("generates");
    let (mut a, welcome) = Group::create(&mut rng, &key_package).expect("creates");
    let mut b = Group::join(pending, &welcome).expect("joins");
    let message = a.encrypt(&mut rng, b"text").expect("encrypts");
    let commit = a.begin_update(&mut rng).expect("commits");
    b.take_changes();
    for other in [&key_package, &welcome, &commit] {
        assert_eq!(b.decrypt(other), Err(MessageError::Undecryptable));
    }
    for other in [&key_package, &welcome, &message] {
        assert_eq!(b.check_commit(other), Err(CommitError::Malformed));
        assert_eq!(b.apply_commit(other), Err(CommitError::Malformed));
    }
    for other in [&welcome, &commit, &message] {
        assert_eq!(Group::create(&mut rng, other).map(drop), Err(GroupError::PeerMalformed));
    }
    for other in [&key_package, &commit, &message] {
        let (pending, _) = PendingMember::generate(&mut rng).expect("generates");
        assert_eq!(Group::join(pending, other).map(drop), Err(GroupError::PeerMalformed));
    }
    assert!(b.take_changes().is_empty());
    b.decrypt(&message).expect("unharmed");
    b.apply_commit(&commit).expect("unharmed");
}

#[test]
fn a_welcome_for_another_invitation_is_named() {
    let mut rng = rng(62);
    let (_, key_package) = PendingMember::generate(&mut rng).expect("generates");
    let (other, _) = PendingMember::generate(&mut rng).expect("generates");
    let (_, welcome) = Group::create(&mut rng, &key_package).expect("creates");
    assert_eq!(Group::join(other, &welcome).map(drop), Err(GroupError::ForeignWelcome));
}

#[test]
fn messages_of_another_conversation_are_refused() {
    let mut rng = rng(63);
    let (mut a, mut b) = pair(&mut rng);
    let (mut c, mut d) = pair(&mut rng);
    let message = a.encrypt(&mut rng, b"text").expect("encrypts");
    assert_eq!(d.decrypt(&message), Err(MessageError::Undecryptable));
    let commit = c.begin_update(&mut rng).expect("commits");
    assert_eq!(b.check_commit(&commit), Err(CommitError::Malformed));
}

/// A member's own OpenMLS calls, outside the rules that [`Group`] keeps.
fn rogue<T>(
    rng: &mut ChaCha20Rng,
    group: &mut Group,
    act: impl FnOnce(&mut MlsGroup, &Provider<'_>, &LeafSigner) -> T,
) -> T {
    let provider = Provider::drawing(&group.storage, &group.rust, rng);
    act(&mut group.mls, &provider, &group.signer)
}

#[test]
fn commits_that_do_more_than_renew_keys_are_not_permitted() {
    let mut rng = rng(64);
    let (_, key_package) = PendingMember::generate(&mut rng).expect("generates");

    let (mut a, mut b) = pair(&mut rng);
    let third =
        read_key_package(&Provider::fixed(&a.storage, &a.rust), &key_package).expect("reads");
    let adds = rogue(&mut rng, &mut a, |mls, provider, signer| {
        let (commit, _, _) = mls.add_members(provider, signer, &[third]).expect("commits");
        commit.to_bytes().expect("encodes")
    });
    assert_eq!(b.check_commit(&adds), Err(CommitError::NotPermitted));
    assert_eq!(b.apply_commit(&adds), Err(CommitError::NotPermitted));

    let (mut a, mut b) = pair(&mut rng);
    let removes = rogue(&mut rng, &mut a, |mls, provider, signer| {
        let (commit, _, _) =
            mls.remove_members(provider, signer, &[LeafNodeIndex::new(1)]).expect("commits");
        commit.to_bytes().expect("encodes")
    });
    assert_eq!(b.apply_commit(&removes), Err(CommitError::NotPermitted));

    let (mut a, mut b) = pair(&mut rng);
    let renames = rogue(&mut rng, &mut a, |mls, provider, signer| {
        let mut credential = signer.credential();
        credential.credential = BasicCredential::new(b"another".to_vec()).into();
        let parameters = LeafNodeParameters::builder().with_credential_with_key(credential).build();
        let bundle = mls.self_update(provider, signer, parameters).expect("commits");
        bundle.into_commit().to_bytes().expect("encodes")
    });
    assert_eq!(b.apply_commit(&renames), Err(CommitError::NotPermitted));
    tell(&mut rng, &mut a, &mut b, b"nothing has changed");
    assert_eq!(b.epoch(), 1);

    // Another signature key would be another safety number.
    let (mut a, mut b) = pair(&mut rng);
    let new = Identity::new(Secret::random(&mut rng)).signer();
    let rekeys = rogue(&mut rng, &mut a, |mls, provider, signer| {
        let bundle = NewSignerBundle { signer: &new, credential_with_key: new.credential() };
        let parameters = LeafNodeParameters::default();
        let bundle = mls.self_update_with_new_signer(provider, signer, bundle, parameters);
        bundle.expect("commits").into_commit().to_bytes().expect("encodes")
    });
    assert_eq!(b.apply_commit(&rekeys), Err(CommitError::NotPermitted));

    let (mut a, mut b) = pair(&mut rng);
    let grows = rogue(&mut rng, &mut a, |mls, provider, signer| {
        let parameters =
            LeafNodeParameters::builder().with_capabilities(Capabilities::default()).build();
        let bundle = mls.self_update(provider, signer, parameters).expect("commits");
        bundle.into_commit().to_bytes().expect("encodes")
    });
    assert_eq!(b.apply_commit(&grows), Err(CommitError::NotPermitted));
}

#[test]
fn a_proposal_outside_a_commit_is_not_permitted() {
    let mut rng = rng(65);
    let (mut a, mut b) = pair(&mut rng);
    let proposal = rogue(&mut rng, &mut a, |mls, provider, signer| {
        let (message, _) =
            mls.propose_remove_member(provider, signer, LeafNodeIndex::new(1)).expect("proposes");
        message.to_bytes().expect("encodes")
    });
    b.take_changes();
    assert_eq!(b.check_commit(&proposal), Err(CommitError::NotPermitted));
    assert_eq!(b.apply_commit(&proposal), Err(CommitError::NotPermitted));
    assert!(b.take_changes().is_empty());
    assert!(b.begin_update(&mut rng).is_ok());
}

#[test]
fn key_packages_that_differ_in_form_are_refused() {
    let mut rng = rng(66);
    let mut build = |lifetime: Lifetime, capabilities: Capabilities, name: &[u8]| {
        let storage = Storage::default();
        let rust = RustCrypto::default();
        let signer = Identity::new(Secret::random(&mut rng)).signer();
        let mut credential = signer.credential();
        credential.credential = BasicCredential::new(name.to_vec()).into();
        let provider = Provider::drawing(&storage, &rust, &mut rng);
        let bundle = KeyPackage::builder()
            .key_package_lifetime(lifetime)
            .leaf_node_capabilities(capabilities)
            .leaf_node_extensions(Extensions::default())
            .build(SUITE, &provider, &signer, credential)
            .expect("builds");
        let message = openmls::prelude::MlsMessageOut::from(bundle.into_key_package());
        message.to_bytes().expect("encodes")
    };
    let good = build(suite::lifetime(), suite::capabilities(), b"");
    let named = build(suite::lifetime(), suite::capabilities(), b"name");
    let dated = build(Lifetime::init(0, u64::MAX - 1), suite::capabilities(), b"");
    let able = build(suite::lifetime(), Capabilities::default(), b"");
    let mut rng = self::rng(67);
    assert!(Group::create(&mut rng, &good).is_ok());
    for other in [named, dated, able] {
        assert_eq!(Group::create(&mut rng, &other).map(drop), Err(GroupError::PeerMalformed));
    }
}

#[test]
fn groups_may_move_between_threads() {
    fn movable<T: Send>() {}
    movable::<Group>();
    movable::<PendingMember>();
}

#[test]
fn nothing_of_a_group_shows_in_debug_output() {
    let mut rng = rng(68);
    let (pending, _) = PendingMember::generate(&mut rng).expect("generates");
    let (group, _) = pair(&mut rng);
    let text = format!("{pending:?} {group:?} {:?}", group.safety_number());
    assert_eq!(text, "PendingMember Group SafetyNumber");
}

/// Every byte string is an error, never a panic, and leaves the group as it was.
fn feed(bytes: &[u8], group: &mut Group, rng: &mut ChaCha20Rng) {
    assert!(group.decrypt(bytes).is_err());
    assert!(group.check_commit(bytes).is_err());
    assert!(group.apply_commit(bytes).is_err());
    assert!(group.take_changes().is_empty());
    assert!(Group::create(rng, bytes).is_err());
    let (pending, _) = PendingMember::generate(rng).expect("generates");
    assert!(Group::join(pending, bytes).is_err());
    let _ = PendingMember::from_stored(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600), kind in 1u8..6) {
        let mut rng = rng(69);
        let (_, mut group) = pair(&mut rng);
        group.take_changes();
        feed(&bytes, &mut group, &mut rng);
        // With the head of an MLSMessage of each kind (RFC 9420, section 6), to get past it.
        feed(&[&[0, 1, 0, kind][..], &bytes].concat(), &mut group, &mut rng);
    }

    #[test]
    fn damaged_messages_never_panic(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut rng = rng(70);
        let (pending, key_package) = PendingMember::generate(&mut rng).expect("generates");
        let (mut a, welcome) = Group::create(&mut rng, &key_package).expect("creates");
        let stored = pending.to_stored();
        let mut b = Group::join(pending, &welcome).expect("joins");
        let message = a.encrypt(&mut rng, b"text").expect("encrypts");
        let commit = a.begin_update(&mut rng).expect("commits");
        b.take_changes();
        for whole in [&key_package, &welcome, &message, &commit] {
            let mut bytes = whole.clone();
            bytes[at.index(whole.len())] ^= flip;
            feed(&bytes, &mut b, &mut rng);
            feed(&whole[..at.index(whole.len())], &mut b, &mut rng);
            let pending = PendingMember::from_stored(&stored).expect("loads");
            prop_assert!(Group::join(pending, &bytes).is_err());
        }
        let mut damaged = stored.to_vec();
        damaged[at.index(stored.len())] ^= flip;
        if let Ok(pending) = PendingMember::from_stored(&damaged) {
            let _ = Group::join(pending, &welcome);
        }
        prop_assert!(b.decrypt(&message).is_ok());
        prop_assert!(b.apply_commit(&commit).is_ok());
    }

    #[test]
    fn damaged_state_never_panics(
        at in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let mut rng = rng(71);
        let (mut a, b) = pair(&mut rng);
        let mut pairs: Vec<(Vec<u8>, Vec<u8>)> =
            b.storage.pairs().into_iter().map(|(k, v)| (k, v.to_vec())).collect();
        let value = &mut at.get_mut(&mut pairs).1;
        *byte.get_mut(value) ^= flip;
        if let Ok(mut group) = Group::load(pairs) {
            let message = a.encrypt(&mut rng, b"text").expect("encrypts");
            let _ = group.decrypt(&message);
            let _ = group.encrypt(&mut rng, b"text");
            let _ = group.begin_update(&mut rng);
        }
    }
}
