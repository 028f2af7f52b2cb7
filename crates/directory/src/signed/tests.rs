use core::time::Duration;

use proptest::prelude::*;
use xchat_base::{CodecError, Secret};

use super::*;
use crate::document::MAX_NODES;
use crate::fixture::{HOUR, NOW, Network, START, authorities, mix, operator, store};
use crate::{HopKeyPeriod, Incarnation, NetworkName, PlacementEpoch, Role, Token};

/// What checking says about the fixture's document after a change, when authorities who do not check
/// have signed it all the same.
fn refusal(change: impl FnOnce(&mut Document)) -> DirectoryError {
    let net = Network::new();
    let mut document = net.document.clone();
    change(&mut document);
    signed_blindly(&net, &document.to_wire()).verify(&net.root, NOW).expect_err("refused")
}

fn signed_blindly(net: &Network, bytes: &[u8]) -> SignedDocument {
    let mut signed = SignedDocument { bytes: bytes.to_vec(), signatures: Vec::new() };
    for secret in &net.secrets {
        signed.add_signature(&net.root, secret).expect("an authority");
    }
    signed
}

fn invalid(change: impl FnOnce(&mut Document)) -> Invalid {
    match refusal(change) {
        DirectoryError::Invalid(invalid) => invalid,
        other => panic!("refused for another reason: {other}"),
    }
}

fn verified(net: &Network, change: impl FnOnce(&mut Document)) -> VerifiedDocument {
    let mut document = net.document.clone();
    change(&mut document);
    net.sign(&document).verify(&net.root, NOW).expect("good")
}

#[test]
fn a_good_document_is_accepted_and_found_through() {
    let net = Network::new();
    let signed = SignedDocument::from_wire(&net.sign(&net.document).to_wire()).expect("own bytes");
    let document = signed.verify(&net.root, NOW).expect("good");
    assert_eq!(*document, net.document);
    assert_eq!(document.signed(), &signed);
    for node in &net.document.descriptors {
        assert_eq!(document.node(&node.id), Some(node));
        assert_eq!(document.node_by_tag(&node.tag()), Some(node));
        assert_eq!(document.node(&NodeId::from_bytes([0x77; 32])), None);
        assert_eq!(node.hop_key(NOW).is_some(), !node.is_gateway());
    }
    assert_eq!(document.gateways().count(), 2);
    assert_eq!([1, 2, 3, 4].map(|layer| document.mixes(layer).count()), [2, 2, 2, 0]);
    assert_eq!(document.stores().count(), 5);
}

#[test]
fn its_time_is_checked_at_both_ends() {
    let net = Network::new();
    let signed = net.sign(&net.document);
    let tick = Duration::from_micros(1);
    assert!(signed.verify(&net.root, START).is_ok());
    assert!(signed.verify(&net.root, START + HOUR - tick).is_ok());
    let early = signed.verify(&net.root, START - tick).expect_err("early");
    assert_eq!(early, DirectoryError::NotYetValid { valid_from: START, now: START - tick });
    let now = START + HOUR;
    let late = signed.verify(&net.root, now).expect_err("late");
    assert_eq!(late, DirectoryError::Expired { valid_until: now, now });
    assert!(signed.verify(&net.root, NOW).expect("good").is_expired(now));
}

#[test]
fn an_unsigned_document_is_refused() {
    let net = Network::new();
    let signed = SignedDocument::sign(&net.document, &net.root, &[]).expect("well-formed");
    let refused = signed.verify(&net.root, NOW).expect_err("unsigned");
    assert_eq!(refused, DirectoryError::TooFewSignatures { got: 0, want: 4 });
}

#[test]
fn only_distinct_authorities_count() {
    let net = Network::new();
    let mut signed = SignedDocument::sign(&net.document, &net.root, &net.secrets[..3]).expect("ok");
    let refused = DirectoryError::TooFewSignatures { got: 3, want: 4 };
    assert_eq!(signed.verify(&net.root, NOW).expect_err("three"), refused);

    let mut twice = signed.clone();
    twice.signatures.push(signed.signatures[0].clone());
    assert_eq!(twice.verify(&net.root, NOW).expect_err("one twice"), refused);

    let mut renumbered = twice.clone();
    renumbered.signatures[3].authority = 4;
    assert_eq!(renumbered.verify(&net.root, NOW).expect_err("not its own"), refused);
    renumbered.signatures[3].authority = 200;
    assert_eq!(renumbered.verify(&net.root, NOW).expect_err("nobody's"), refused);

    signed.add_signature(&net.root, &net.secrets[1]).expect("again");
    assert_eq!(signed.signatures.len(), 3);
    signed.add_signature(&net.root, &net.secrets[4]).expect("the fourth");
    assert!(signed.verify(&net.root, NOW).is_ok());
}

#[test]
fn more_signatures_than_authorities_are_not_even_looked_at() {
    let net = Network::new();
    let mut signed = net.sign(&net.document);
    let good = signed.signatures.clone();
    let junk = AuthoritySignature { authority: 4, signature: [1; 64] };
    signed.signatures = vec![junk; MAX_AUTHORITIES];
    signed.signatures.extend(good);
    assert!(matches!(
        signed.verify(&net.root, NOW),
        Err(DirectoryError::TooFewSignatures { got: 0, .. })
    ));
}

#[test]
fn a_changed_document_has_no_signatures() {
    let net = Network::new();
    let mut signed = net.sign(&net.document);
    let last = signed.bytes.len() - 1;
    signed.bytes[last] ^= 1;
    assert!(matches!(
        signed.verify(&net.root, NOW),
        Err(DirectoryError::TooFewSignatures { got: 0, .. })
    ));
}

#[test]
fn a_foreign_document_is_named_as_such() {
    let net = Network::new();
    let keys = net.root.authorities().to_vec();
    let name = NetworkName::new("other").expect("a good name");
    let other = Root::new(name, keys, 4).expect("good");
    let refused = net.sign(&net.document).verify(&other, NOW).expect_err("foreign");
    let (got, want) = (net.root.id(), other.id());
    assert_eq!(refused, DirectoryError::ForeignNetwork { got, want });
    let refused = SignedDocument::sign(&net.document, &other, &net.secrets).expect_err("foreign");
    assert_eq!(refused, SignError::ForeignNetwork);
}

#[test]
fn bytes_that_are_no_document_are_malformed() {
    let net = Network::new();
    let good = net.document.to_wire();
    let malformed = |bytes: &[u8]| match signed_blindly(&net, bytes).verify(&net.root, NOW) {
        Err(DirectoryError::Malformed(codec)) => codec,
        other => panic!("not malformed: {other:?}"),
    };
    assert!(matches!(malformed(&good[..good.len() - 1]), CodecError::Malformed { .. }));
    assert!(matches!(malformed(&[&good[..], &[0]].concat()), CodecError::Malformed { .. }));
    assert!(matches!(malformed(&[]), CodecError::Malformed { .. }));
    assert!(matches!(malformed(&vec![1; MAX_DOCUMENT_LEN + 1]), CodecError::TooLong { .. }));
    let newer = [&[2], &good[1..]].concat();
    assert!(matches!(malformed(&newer), CodecError::Version { got: 2, want: 1, .. }));
}

#[test]
fn every_node_has_a_tag_of_its_own() {
    let shared = |d: &mut Document| {
        let mut id = *d.descriptors[0].id.as_bytes();
        id[31] ^= 1;
        d.descriptors[3].id = NodeId::from_bytes(id);
    };
    assert!(matches!(invalid(shared), Invalid::DuplicateTag { .. }));
    let same = invalid(|d| d.descriptors[3].id = d.descriptors[0].id);
    assert!(matches!(same, Invalid::DuplicateTag { .. }));
    let zero = invalid(|d| d.descriptors[3].id = NodeId::from_bytes([0; 32]));
    assert!(matches!(zero, Invalid::DuplicateTag { .. }));
}

#[test]
fn a_network_without_a_part_is_refused() {
    for layer in 1..=3 {
        let empty = invalid(|d| d.descriptors.retain(|node| !node.is_mix_of(layer)));
        assert_eq!(empty, Invalid::EmptyLayer { layer });
    }
    assert_eq!(invalid(|d| d.descriptors.retain(|n| !n.is_gateway())), Invalid::NoGateway);
    let one_operator = invalid(|d| {
        for node in d.descriptors.iter_mut().filter(|node| node.is_store()).skip(1) {
            node.operator = operator(99);
        }
    });
    assert_eq!(one_operator, Invalid::TooFewStores { operators: 2 });
}

#[test]
fn tokens_belong_to_exactly_the_stores() {
    let (extra, token) = store(20);
    assert_eq!(invalid(|d| d.placement.tokens.push((extra.id, token))), Invalid::Tokens);
    assert_eq!(invalid(|d| d.placement.tokens.truncate(4)), Invalid::Tokens);
    assert_eq!(invalid(|d| d.placement.tokens.push(d.placement.tokens[0])), Invalid::Tokens);
    let twice = invalid(|d| d.placement.tokens[1].1 = d.placement.tokens[0].1);
    assert_eq!(twice, Invalid::Tokens);
    let again = |d: &mut Document| {
        d.placement.tokens.push((d.placement.tokens[0].0, Token::from_bytes([1; 32])))
    };
    assert_eq!(invalid(again), Invalid::Tokens);
}

#[test]
fn bounds_of_a_node_are_kept() {
    let bad = |change: fn(&mut Descriptor)| invalid(|d| change(&mut d.descriptors[2]));
    assert!(matches!(
        bad(|mix| mix.role = Role::Mix { layer: 0 }),
        Invalid::Layer { layer: 0, .. }
    ));
    assert!(matches!(
        bad(|mix| mix.role = Role::Mix { layer: 4 }),
        Invalid::Layer { layer: 4, .. }
    ));
    assert!(matches!(bad(|mix| mix.addresses.clear()), Invalid::Addresses { .. }));
    let address = |i: u16| ([127, 0, 0, 1], i).into();
    let nine = invalid(|d| d.descriptors[2].addresses = (1..=9).map(address).collect());
    assert!(matches!(nine, Invalid::Addresses { .. }));
    assert!(matches!(bad(|mix| mix.role = Role::Gateway), Invalid::HopKeys { .. }));
    assert!(matches!(bad(|mix| mix.hop_keys.clear()), Invalid::HopKeys { .. }));
    assert!(matches!(bad(|mix| mix.hop_keys = vec![mix.hop_keys[0]; 5]), Invalid::HopKeys { .. }));
    assert!(matches!(bad(|mix| mix.hop_keys[0].from = START + HOUR), Invalid::HopKeys { .. }));
    let shared = invalid(|d| d.descriptors[2].hop_keys[0].key = d.descriptors[3].hop_keys[0].key);
    assert!(matches!(shared, Invalid::HopKeys { .. }));
}

#[test]
fn hop_keys_cover_the_validity_without_a_gap_and_the_newest_is_used() {
    let net = Network::new();
    let half = START + HOUR / 2;
    let period = |key, from, until| HopKeyPeriod { key: [key; 32], from, until };
    let overlap = Duration::from_secs(60);
    let document = verified(&net, |d| {
        d.descriptors[2].hop_keys =
            vec![period(102, half - overlap, START + HOUR), period(101, START, half)];
    });
    let node = &document.descriptors[2];
    assert_eq!(node.hop_key(START), Some([101; 32]));
    assert_eq!(node.hop_key(half - overlap), Some([102; 32]));
    assert_eq!(node.hop_key(START + HOUR), None);

    let gap = invalid(|d| {
        let tick = Duration::from_micros(1);
        d.descriptors[2].hop_keys =
            vec![period(101, START, half), period(102, half + tick, START + HOUR)];
    });
    assert!(matches!(gap, Invalid::HopKeys { .. }));
    let backwards = invalid(|d| d.descriptors[2].hop_keys.push(period(103, half, half)));
    assert!(matches!(backwards, Invalid::HopKeys { .. }));
}

#[test]
fn other_rules_of_a_document() {
    assert_eq!(invalid(|d| d.epoch = 0), Invalid::Epoch);
    assert_eq!(invalid(|d| d.valid_until = d.valid_from), Invalid::Validity);
    assert_eq!(invalid(|d| d.parameters.loop_percent = 51), Invalid::Parameters);
    assert_eq!(invalid(|d| d.parameters.pace_override = Some(0)), Invalid::Parameters);
    assert_eq!(invalid(|d| d.parameters.pace_override = Some(1_000_001)), Invalid::Parameters);
    assert_eq!(
        invalid(|d| d.parameters.mix_delay = 11 * Duration::from_secs(1)),
        Invalid::Parameters
    );
    const MICRO: Duration = Duration::from_micros(1);
    let bad = Invalid::Parameters;
    assert_eq!(invalid(|d| d.parameters.box_lifetime = Duration::ZERO), bad);
    assert_eq!(invalid(|d| d.parameters.box_lifetime = HOUR - MICRO), bad);
    assert_eq!(invalid(|d| d.parameters.tombstone_lifetime = 30 * 24 * HOUR - MICRO), bad);
    let crowd = invalid(|d| {
        let one = mix(1, 0);
        d.descriptors = (0..=MAX_NODES)
            .map(|i| Descriptor {
                id: NodeId::from_bytes([i as u8; 32]),
                hop_keys: vec![],
                addresses: vec![],
                ..one.clone()
            })
            .collect();
    });
    assert_eq!(crowd, Invalid::TooManyNodes { got: MAX_NODES + 1 });
}

#[test]
fn the_largest_network_fits_into_a_document() {
    let net = Network::new();
    let mut document = net.document.clone();
    for i in document.descriptors.len()..MAX_NODES {
        let wide = *blake3::hash(&i.to_be_bytes()).as_bytes();
        let role = if i % 4 == 0 {
            document.placement.tokens.push((NodeId::from_bytes(wide), Token::from_bytes(wide)));
            Role::Store { incarnation: Incarnation::from_bytes([i as u8; 16]) }
        } else {
            Role::Mix { layer: (i % 3) as u8 + 1 }
        };
        let key = |salt: u8| {
            let mut key = wide;
            key[0] ^= salt;
            HopKeyPeriod { key, from: START - HOUR, until: START + 2 * HOUR }
        };
        document.descriptors.push(Descriptor {
            id: NodeId::from_bytes(wide),
            role,
            hop_keys: vec![key(1), key(2)],
            ..document.descriptors[2].clone()
        });
    }
    let signed = SignedDocument::sign(&document, &net.root, &net.secrets).expect("it fits");
    assert!(signed.verify(&net.root, NOW).is_ok());
    for node in &mut document.descriptors {
        node.addresses = vec![([1u16; 8], 9).into(); 8];
    }
    let refused = SignedDocument::sign(&document, &net.root, &net.secrets).expect_err("too long");
    assert!(matches!(refused, SignError::TooLong { .. }));
}

#[test]
fn strangers_cannot_sign() {
    let net = Network::new();
    let stranger = AuthoritySecret::from_secret(&Secret::new([77; 32]));
    let refused = SignedDocument::sign(&net.document, &net.root, &[stranger]);
    assert_eq!(refused.expect_err("refused"), SignError::NotAnAuthority);
    assert_eq!(format!("{:?}", authorities(1)), "[AuthoritySecret]");
}

#[test]
fn a_chain_only_goes_forward() {
    let net = Network::new();
    let first = verified(&net, |_| {});
    let second = verified(&net, |d| {
        d.epoch = 8;
        d.previous = first.hash();
    });
    assert_eq!(second.follows(&first), Ok(()));
    let older = DirectoryError::NotNewer { got: 7, have: 8 };
    assert_eq!(first.follows(&second), Err(older));
    assert_eq!(first.follows(&first), Err(DirectoryError::NotNewer { got: 7, have: 7 }));

    let fork = verified(&net, |d| d.epoch = 8);
    assert_eq!(fork.follows(&first), Err(DirectoryError::BrokenChain { epoch: 8 }));
    let after_a_gap = verified(&net, |d| d.epoch = 9);
    assert_eq!(after_a_gap.follows(&first), Ok(()));

    // The link is to the document, whoever signed it.
    let all = SignedDocument::sign(&first, &net.root, &net.secrets).expect("good");
    assert_ne!(&all, first.signed());
    assert_eq!(all.hash(), first.hash());
}

#[test]
fn a_document_of_another_network_follows_nothing() {
    let net = Network::new();
    let keys = net.root.authorities().to_vec();
    let root = Root::new(NetworkName::new("other").expect("good"), keys, 4).expect("good");
    let mut document = net.document.clone();
    document.network = root.id();
    document.epoch = 8;
    let other = SignedDocument::sign(&document, &root, &net.secrets).expect("good");
    let other = other.verify(&root, NOW).expect("good");
    let refused = other.follows(&verified(&net, |_| {})).expect_err("foreign");
    assert!(matches!(refused, DirectoryError::ForeignNetwork { .. }));
}

#[test]
fn a_placement_only_goes_forward() {
    let net = Network::new();
    let first = verified(&net, |_| {});
    let next = |change: fn(&mut Document)| {
        let second = verified(&net, |d| {
            d.epoch = 8;
            d.previous = first.hash();
            change(d);
        });
        second.follows(&first)
    };
    let refused = Err(DirectoryError::PlacementRegressed { epoch: 8 });
    assert_eq!(next(|d| d.placement.epoch = PlacementEpoch(2)), refused);
    assert_eq!(next(|d| d.placement.tokens[0].1 = Token::from_bytes([1; 32])), refused);
    let refused_life = next(|d| {
        d.descriptors.last_mut().expect("a store").role =
            Role::Store { incarnation: Incarnation::from_bytes([99; 16]) };
    });
    assert_eq!(refused_life, refused, "another disk is another placement");
    assert_eq!(next(|d| d.placement.tokens.reverse()), Ok(()));
    assert_eq!(
        next(|d| {
            d.placement.epoch = PlacementEpoch(4);
            d.placement.tokens[0].1 = Token::from_bytes([1; 32]);
            d.descriptors.last_mut().expect("a store").role =
                Role::Store { incarnation: Incarnation::from_bytes([99; 16]) };
        }),
        Ok(())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let net = Network::new();
        for bytes in [bytes.clone(), [&[1], &bytes[..]].concat()] {
            if let Ok(signed) = SignedDocument::from_wire(&bytes) {
                prop_assert!(signed.verify(&net.root, NOW).is_err());
            }
        }
    }

    #[test]
    fn a_careless_authority_makes_nobody_panic(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let net = Network::new();
        let mut bytes = net.document.to_wire();
        let (at, cut) = (at.index(bytes.len()), cut.index(bytes.len()));
        bytes[at] = byte;
        let _ = signed_blindly(&net, &bytes).verify(&net.root, NOW);
        let _ = signed_blindly(&net, &bytes[..cut]).verify(&net.root, NOW);
    }
}
