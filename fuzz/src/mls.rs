//! A group and everything that its other member, or anybody, may send it.

use std::sync::OnceLock;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_e2ee::{Group, PendingMember};

use crate::{Bytes, Target};

pub(crate) const GROUP: Target = Target { name: "group", body: group, seeds, tries: 600 };

/// What a group has stored.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Two members after they met, and one of each thing that the second may send.
struct Met {
    pending: Vec<u8>,
    key_package: Vec<u8>,
    welcome: Vec<u8>,
    stored: Pairs,
    message: Vec<u8>,
    commit: Vec<u8>,
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

fn met() -> &'static Met {
    static MET: OnceLock<Met> = OnceLock::new();
    MET.get_or_init(|| {
        let mut rng = rng();
        let (member, key_package) = PendingMember::generate(&mut rng).expect("keys");
        let pending = member.to_stored().to_vec();
        let (mut ours, welcome) = Group::create(&mut rng, &key_package).expect("a group");
        let mut theirs = Group::join(member, &welcome).expect("joined");
        let changes = ours.take_changes().into_iter();
        let stored = changes.filter_map(|(key, value)| Some((key, value?))).collect();
        let message = theirs.encrypt(&mut rng, b"a message").expect("encrypts");
        let commit = theirs.begin_update(&mut rng).expect("commits");
        Met { pending, key_package, welcome, stored, message, commit }
    })
}

fn group(input: &[u8]) {
    let mut input = Bytes::new(input);
    let kind = input.u8();
    let bytes = input.rest();
    let met = met();
    match kind % 6 {
        0 => drop(Group::create(&mut rng(), bytes)),
        1 => {
            let pending = PendingMember::from_stored(&met.pending).expect("its own form");
            let _ = Group::join(pending, bytes);
        }
        2 => drop(PendingMember::from_stored(bytes)),
        3 => {
            let at = usize::from(bytes.first().copied().unwrap_or(0)) % met.stored.len();
            let mut stored = met.stored.clone();
            stored[at].1 = bytes.get(1..).unwrap_or_default().to_vec();
            let _ = Group::load(stored);
        }
        _ => refused_without_a_trace(kind, bytes),
    }
}

/// What does not open has changed nothing: not what is stored, and not what opens after it.
fn refused_without_a_trace(kind: u8, bytes: &[u8]) {
    let met = met();
    let mut group = Group::load(met.stored.clone()).expect("its own form");
    let _ = group.take_changes();
    let accepted = if kind.is_multiple_of(2) {
        group.decrypt(bytes).is_ok()
    } else {
        group.check_commit(bytes).is_ok() && group.apply_commit(bytes).is_ok()
    };
    if accepted {
        let genuine = bytes == met.message || bytes == met.commit;
        assert!(genuine, "a forged message or commit was accepted");
        return;
    }
    assert!(group.take_changes().is_empty(), "a refused message changed what is stored");
    let opened = group.decrypt(&met.message);
    assert_eq!(opened.map(|(_, text)| text).ok().as_deref(), Some(&b"a message"[..]));
}

fn seeds() -> Vec<Vec<u8>> {
    let met = met();
    let of = |kind: u8, bytes: &[u8]| [&[kind][..], bytes].concat();
    let stored = met
        .stored
        .iter()
        .enumerate()
        .map(|(at, (_, value))| [&[3, u8::try_from(at).expect("few")][..], value].concat());
    let mut seeds = vec![
        of(0, &met.key_package),
        of(1, &met.welcome),
        of(2, &met.pending),
        of(4, &met.message),
        of(5, &met.commit),
    ];
    seeds.extend(stored);
    seeds
}
