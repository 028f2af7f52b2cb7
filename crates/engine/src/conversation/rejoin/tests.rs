//! What a contact, or a thief of a backup, can do in the rejoin lanes.

use xchat_base::Wire;
use xchat_e2ee::PendingMember;
use xchat_pigeonhole::RunPointer;

use super::entry::{Entry, RequestBody};
use super::lanes::MAX_ENTRIES;
use super::*;
use crate::conversation::tests::Pair;
use crate::record::MAX_TOLD_SEQ;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Somebody who knows the secret writes into the next box of the newest lane.
fn slip_in(pair: &mut Pair, content: &[u8]) {
    let walk = pair.sides[0].rejoin.walks.last().expect("walked");
    let boxed = walk.lane.keys().seal(&mut pair.rng, content).expect("short");
    pair.put(boxed);
}

/// A request in the name of one side.
fn request(pair: &mut Pair, side: u32, seq: u64) -> Vec<u8> {
    let (_, key_package) = PendingMember::generate(&mut pair.rng).expect("keys");
    let body = RequestBody { key_package, taken: Taken { seq, digest: [0; 16] } };
    let (pointer, run) = RunPointer::seal(&mut pair.rng, &body.to_wire()).expect("fits");
    for boxed in run {
        pair.put(boxed);
    }
    let id = xchat_base::random::bytes(&mut pair.rng);
    Entry::Request { side, id, run: pointer.to_bytes().to_vec() }.to_wire()
}

fn notices(pair: &Pair, who: usize) -> usize {
    pair.texts(who).iter().filter(|text| text.contains("Rejoined")).count()
}

/// One side finds that it has to come back.
fn come_back(pair: &mut Pair, who: usize) {
    pair.act(who, |side, turn| {
        side.must_rejoin(turn);
        side.pump(turn);
    });
}

/// Time passes, and both apps see to what is due.
fn later(pair: &mut Pair, time: Duration) {
    pair.now = pair.now + time;
    for who in [0, 1] {
        pair.act(who, |side, turn| side.timer(turn));
    }
}

#[test]
fn rubbish_in_the_rejoin_lane_is_skipped_and_one_can_still_come_back() {
    let mut pair = Pair::new();
    let pointer =
        |len| RunPointer::seal(&mut rng(), &vec![7; len]).expect("fits").0.to_bytes().to_vec();
    let entries = [
        b"no entry at all".to_vec(),
        Vec::new(),
        Entry::Answer { side: 1, to: [9; 16], run: pointer(3_000) }.to_wire(),
        Entry::Answer { side: 7, to: [9; 16], run: pointer(3_000) }.to_wire(),
        Entry::Request { side: 2, id: [9; 16], run: pointer(3_000) }.to_wire(),
    ];
    for entry in entries {
        slip_in(&mut pair, &entry);
    }
    pair.send(0, "unmoved");
    assert_eq!(pair.texts(1), ["unmoved"]);
    assert_eq!(notices(&pair, 0), 0);
    come_back(&mut pair, 1);
    pair.send(1, "back");
    assert_eq!(pair.texts(0), ["TheyRejoined", "back"]);
}

#[test]
fn a_request_that_leads_nowhere_is_refused_and_one_behind_it_is_not() {
    let mut pair = Pair::new();
    let pointer =
        |len| RunPointer::seal(&mut rng(), &vec![7; len]).expect("fits").0.to_bytes().to_vec();
    for run in [pointer(3_000), pointer(0), pointer(100_000), vec![1; 20]] {
        let entry = Entry::Request { side: 1, id: [8; 16], run }.to_wire();
        pair.followed[1].clear();
        slip_in(&mut pair, &entry);
    }
    assert_eq!(notices(&pair, 0), 0);
    assert_eq!(pair.alerts(0).len(), 4);
    come_back(&mut pair, 1);
    pair.send(1, "back");
    assert!(pair.texts(0).contains(&"back".to_owned()));
}

fn rng() -> rand_chacha::ChaCha20Rng {
    rand_chacha::rand_core::SeedableRng::seed_from_u64(2)
}

#[test]
fn a_request_that_counts_too_far_is_refused() {
    let mut pair = Pair::new();
    // Its author is side 1 itself, whose program does not act on it.
    let entry = request(&mut pair, 1, MAX_TOLD_SEQ + 1);
    pair.followed[1].clear();
    slip_in(&mut pair, &entry);
    assert_eq!(notices(&pair, 0), 0);
    let entry = request(&mut pair, 1, MAX_TOLD_SEQ);
    slip_in(&mut pair, &entry);
    assert_eq!(notices(&pair, 0), 1);
    pair.send(0, "still there");
    assert_eq!(pair.sides[0].outbox.last_seq, MAX_TOLD_SEQ + 1);
}

/// Who has the secret can ask in a contact's name: it is loud, verified is gone, and the contact itself
/// comes back by asking again.
#[test]
fn one_who_has_stolen_the_secret_is_seen_and_can_be_pushed_out() {
    let mut pair = Pair::new();
    pair.act(0, |side, turn| side.set_verified(turn, true));
    let entry = request(&mut pair, 1, 0);
    slip_in(&mut pair, &entry);
    assert_eq!(notices(&pair, 0), 1);
    let seen = pair.sides[0].contact();
    assert!(seen.rejoined && !seen.verified);
    assert!(pair.sides[1].contact().rejoining, "they find that somebody asked in their name");
    pair.send(0, "to whom?");
    later(&mut pair, PAUSE);
    pair.send(1, "it was not me");
    assert_eq!(notices(&pair, 0), 2);
    assert!(pair.texts(0).contains(&"it was not me".to_owned()));
    assert!(pair.texts(1).contains(&"to whom?".to_owned()), "nothing said to a thief is lost");
}

#[test]
fn one_who_asks_again_and_again_gets_a_group_in_ten_minutes() {
    let mut pair = Pair::new();
    for _ in 0..20 {
        let entry = request(&mut pair, 1, 0);
        slip_in(&mut pair, &entry);
    }
    assert_eq!(notices(&pair, 0), 1);
    later(&mut pair, PAUSE);
    assert_eq!(notices(&pair, 0), 2, "the last one asked is answered");
}

#[test]
fn a_full_lane_bars_the_way_until_the_next_one() {
    let mut pair = Pair::new();
    for _ in 0..MAX_ENTRIES {
        slip_in(&mut pair, b"rubbish");
    }
    assert!(pair.sides.iter().all(|side| side.rejoin.walks.last().is_some_and(|w| !w.has_room())));
    come_back(&mut pair, 1);
    pair.send(1, "kept");
    assert!(pair.texts(0).is_empty());
    assert!(pair.sides[1].contact().rejoining);
    later(&mut pair, 33 * DAY);
    later(&mut pair, DAY);
    assert!(pair.texts(0).contains(&"kept".to_owned()));
}
