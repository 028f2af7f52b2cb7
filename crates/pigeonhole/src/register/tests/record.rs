//! Lifetimes and the stored form.

use proptest::prelude::*;

use super::super::ballot::Ballot;
use super::super::{BOX_LIFETIME, BoxRecord, Lifetimes, Sweep, TOMBSTONE_LIFETIME};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_used_box_expires_and_is_not_empty_again_for_180_days() {
    let mut net = Net::new(1);
    net.write(1, 0, 1);
    net.settle_down(nothing_lost);
    net.now = START + BOX_LIFETIME - SECOND;
    net.read(2, 1);
    net.now = net.now + SECOND;
    net.read(3, 1);
    net.write(4, 2, 2);
    net.settle_down(nothing_lost);
    assert_eq!(net.answers[&2], Answer::Found(value(1).into_sealed()));
    assert_eq!(net.answers[&3], Answer::Expired);
    assert_eq!(net.answers[&4], Answer::Expired);
    for table in &mut net.tables {
        assert_eq!(table.sweep(net.now), []);
    }
    net.now = net.now + TOMBSTONE_LIFETIME - SECOND;
    net.read(5, 0);
    net.settle_down(nothing_lost);
    assert_eq!(net.answers[&5], Answer::Expired);
    for table in &mut net.tables {
        table.sweep(net.now + SECOND);
        assert!(table.is_empty());
    }
}

#[test]
fn the_network_document_may_set_other_lifetimes() {
    let lifetimes = Lifetimes { boxed: SECOND, tombstone: SECOND * 2 };
    let mut net = Net::new(1);
    net.replicas[0].set_lifetimes(lifetimes);
    net.write(1, 0, 1);
    net.settle_down(nothing_lost);
    let (_, record) = net.tables[0].iter().next().expect("one record");
    assert_eq!(record.due(), START + SECOND);
    let tombstone = BoxRecord::Tombstone { forget_at: START + SECOND * 3 };
    assert_eq!(record.sweep_with(START + SECOND, &lifetimes), Sweep::Replace(tombstone));
}

#[test]
fn expiry_known_elsewhere_is_learned() {
    let mut net = Net::new(1);
    net.write(1, 0, 1);
    net.settle_down(cut_off(&[2]));
    net.now = net.now + BOX_LIFETIME;
    net.write(2, 2, 2);
    net.settle_down(nothing_lost);
    assert_eq!(net.answers[&2], Answer::Expired);
}

#[test]
fn an_accepted_value_is_settled_before_it_may_expire() {
    let mut net = Net::new(1);
    net.write(1, 0, 1);
    net.crash(0);
    net.sent.clear();
    net.now = START + BOX_LIFETIME;
    assert_eq!(net.tables[0].sweep(net.now), [box_id()]);
    net.input(0, RegisterInput::Settle { id: box_id(), replicas: replica_set() });
    net.settle_down(nothing_lost);
    assert_eq!(net.tables[0].sweep(net.now), []);
    net.read(2, 0);
    net.settle_down(nothing_lost);
    assert_eq!(net.answers[&2], Answer::Found(value(1).into_sealed()), "the others have it newly");
    net.now = net.now + BOX_LIFETIME;
    net.read(3, 0);
    net.settle_down(nothing_lost);
    assert_eq!(net.answers[&3], Answer::Expired);
}

#[test]
fn a_promise_alone_is_dropped_in_the_end() {
    let record = BoxRecord::Open { promised: Ballot::zero(1), accepted: None, expires_at: START };
    assert_eq!(record.sweep(START - SECOND), Sweep::Keep);
    assert_eq!(record.sweep(START), Sweep::Remove);
}

fn any_ballot() -> impl Strategy<Value = Ballot> {
    any::<(u32, u32, u8)>().prop_map(|(placement, round, rank)| Ballot { placement, round, rank })
}

fn any_record() -> impl Strategy<Value = BoxRecord> {
    let time = || any::<u64>().prop_map(Timestamp::from_micros);
    let boxed = || (0u64..3).prop_map(value);
    prop_oneof![
        (any_ballot(), prop::option::of((any_ballot(), boxed())), time()).prop_map(
            |(promised, accepted, expires_at)| BoxRecord::Open { promised, accepted, expires_at }
        ),
        (boxed(), time()).prop_map(|(boxed, expires_at)| BoxRecord::Chosen { boxed, expires_at }),
        time().prop_map(|forget_at| BoxRecord::Tombstone { forget_at }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_come_back_from_their_stored_form(record in any_record()) {
        let stored = record.to_stored();
        prop_assert_eq!(BoxRecord::from_stored(&stored), Ok(record));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..1700)) {
        let _ = BoxRecord::from_stored(&bytes);
        let _ = ReplicaMessage::from_wire(&bytes);
    }
}
