//! Copying from one placement to the next, and comparing within one.

use std::collections::BTreeSet;

use super::super::ballot::Ballot;
use super::super::message::Attempt;
use super::super::placements::{Listed, Placements};
use super::super::table_message::{Entry, TableBody};
use super::super::{
    BOX_LIFETIME, BoxRecord, BoxTable, COMPARE_EVERY, Comparison, MAX_PAGE, MAX_PULLS, PULL_AFTER,
    Succession, TableEffect, TableMessage, Tables,
};
use super::*;
use crate::request::Refusal;

/// A box with another secret for each number.
fn boxed(n: u8) -> VerifiedBox {
    let keys = Lane::new(Secret::new([n; 32])).keys();
    let mut rng = ChaCha20Rng::seed_from_u64(n.into());
    keys.seal(&mut rng, &[n]).expect("it fits").verify().expect("own box")
}

fn life(store: usize, life: u8) -> Member {
    let Member { store, .. } = member(store);
    Member { store, incarnation: Incarnation::from_bytes([16 * life + store.as_bytes()[0]; 16]) }
}

/// All boxes lie on the same three stores, another three in each placement; more may be listed.
struct Known {
    sets: Vec<[Member; 3]>,
    listed: Vec<BTreeMap<StoreId, Listed>>,
    current: u32,
}

impl Known {
    fn new(sets: Vec<[Member; 3]>, more: &[Member]) -> Self {
        let listed = sets.iter().map(|set| {
            let all = set.iter().chain(more);
            let listed = |member: &Member| Listed {
                incarnation: member.incarnation,
                operator: *member.store.as_bytes(),
            };
            all.map(|member| (member.store, listed(member))).collect()
        });
        Self { listed: listed.collect(), current: 1, sets }
    }
}

impl Placements for Known {
    fn current(&self) -> u32 {
        self.current
    }

    fn stores(&self, placement: u32) -> Option<&BTreeMap<StoreId, Listed>> {
        self.listed.get(placement.checked_sub(1)? as usize)
    }

    fn replicas(&self, placement: u32, _: &BoxId) -> Option<ReplicaSet> {
        let set = self.sets.get(placement.checked_sub(1)? as usize)?;
        ReplicaSet::new(placement, *set).ok()
    }
}

struct Store {
    own: Member,
    table: MemoryTable,
    succession: Succession,
}

/// Some stores, and what they have sent about their tables.
struct Bench {
    known: Known,
    stores: BTreeMap<StoreId, Store>,
    sent: Vec<(StoreId, StoreId, TableMessage)>,
    now: Timestamp,
    rng: ChaCha20Rng,
}

impl Bench {
    fn new(known: Known, members: &[Member]) -> Self {
        let rng = ChaCha20Rng::seed_from_u64(1);
        let mut bench = Self { known, stores: BTreeMap::new(), sent: Vec::new(), now: START, rng };
        for own in members {
            bench.start(*own, MemoryTable::new());
        }
        bench
    }

    fn start(&mut self, own: Member, table: MemoryTable) {
        let succession = Succession::new(own, &table);
        self.stores.insert(own.store, Store { own, table, succession });
        self.follow(own.store);
    }

    /// The process ends and begins again, over what its table holds.
    fn restart(&mut self, id: StoreId) {
        let Store { own, table, .. } = self.stores.remove(&id).expect("there");
        self.start(own, table);
    }

    fn follow(&mut self, id: StoreId) {
        let store = self.stores.get_mut(&id).expect("there");
        let effects =
            store.succession.follow(&self.known, &mut store.table, self.now, &mut self.rng);
        self.take(id, effects);
    }

    fn take(&mut self, from: StoreId, effects: Vec<TableEffect>) {
        for effect in effects {
            if let TableEffect::Send { to, message } = effect {
                let message = TableMessage::from_wire(&message.to_wire()).expect("own wire");
                self.sent.push((from, to, message));
            }
        }
    }

    fn take_up(&mut self, placement: u32) {
        self.known.current = placement;
        for id in self.stores.keys().copied().collect::<Vec<_>>() {
            self.follow(id);
        }
    }

    fn deliver(&mut self, from: StoreId, to: StoreId, message: TableMessage) {
        let Some(store) = self.stores.get_mut(&to) else { return };
        let effects = store.succession.on_message(
            from,
            message,
            &self.known,
            &mut store.table,
            self.now,
            &mut self.rng,
        );
        self.take(to, effects);
    }

    /// So many messages arrive.
    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            if self.sent.is_empty() {
                return;
            }
            let (from, to, message) = self.sent.remove(0);
            self.deliver(from, to, message);
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        for id in self.stores.keys().copied().collect::<Vec<_>>() {
            let store = self.stores.get_mut(&id).expect("there");
            let effects =
                store.succession.on_timer(&self.known, &mut store.table, self.now, &mut self.rng);
            self.take(id, effects);
        }
        self.run(10_000);
    }

    fn admits(&mut self, member: Member, id: &BoxId) -> Result<(), Refusal> {
        let store = self.stores.get_mut(&member.store).expect("there");
        store.succession.admit(id, &self.known, &mut store.table, self.now).map(|_| ())
    }

    fn table(&mut self, member: Member) -> &mut MemoryTable {
        &mut self.stores.get_mut(&member.store).expect("there").table
    }

    fn state(&self, member: Member) -> super::super::TableState {
        self.stores[&member.store].succession.state(&self.known)
    }
}

fn abc() -> [Member; 3] {
    [life(0, 0), life(1, 0), life(2, 0)]
}

fn wiped() -> [Member; 3] {
    [life(0, 1), life(1, 0), life(2, 0)]
}

/// A store was wiped and listed anew; nobody has copied yet.
fn after_a_wipe(fill: impl Fn(&mut Bench)) -> Bench {
    let mut bench = Bench::new(Known::new(vec![abc(), wiped()], &[]), &abc());
    fill(&mut bench);
    bench.start(life(0, 1), MemoryTable::new());
    assert_eq!(bench.admits(life(0, 1), &boxed(1).id()), Err(Refusal::CatchingUp));
    bench.take_up(2);
    bench
}

const COUNT: u8 = 50;

fn fill_with_chosen(bench: &mut Bench) {
    for n in 0..COUNT {
        for holder in [life(1, 0), life(2, 0)] {
            let expires_at = START + Duration::from_secs(u64::from(n) + 100);
            let record = BoxRecord::Chosen { boxed: boxed(n), expires_at };
            bench.table(holder).put(boxed(n).id(), record);
        }
    }
}

#[test]
fn a_wiped_store_is_refilled_page_by_page_and_goes_on_after_a_restart() {
    let mut bench = after_a_wipe(fill_with_chosen);
    let own = life(0, 1);
    assert!(bench.stores.values().all(|store| !store.succession.state(&bench.known).complete));
    bench.run(9);
    let pages = bench.table(own).len();
    assert!((1..usize::from(COUNT)).contains(&pages), "{pages} boxes are half of it");
    // Killed in between: what was copied is there, and the rest is asked for.
    bench.sent.clear();
    bench.restart(own.store);
    bench.restart(life(1, 0).store);
    let (_, _, next) = &bench.sent[0];
    assert!(matches!(next.body, TableBody::Pull(Some(_))), "not from the beginning");
    for _ in 0..3 {
        bench.pass(PULL_AFTER);
    }
    let state = bench.state(own);
    assert!(state.complete && state.refilled == u64::from(COUNT), "{state:?}");
    let there = bench.table(life(1, 0)).clone();
    let mut refilled = bench.table(own).clone();
    refilled.put_standing(there.standing());
    assert_eq!(refilled, there, "the same records, with the same ends");
    for member in wiped() {
        assert_eq!(bench.admits(member, &boxed(1).id()), Ok(()));
    }
}

#[test]
fn what_was_sealed_stays_sealed_after_a_restart_with_an_old_document() {
    let mut bench = after_a_wipe(fill_with_chosen);
    let id = boxed(1).id();
    bench.known.current = 1;
    bench.restart(life(1, 0).store);
    assert_eq!(bench.admits(life(1, 0), &id), Err(Refusal::CatchingUp));
}

#[test]
fn nobody_hands_over_before_it_has_sealed_and_none_but_what_was_listed() {
    let mut bench = Bench::new(Known::new(vec![abc(), wiped()], &[]), &abc());
    fill_with_chosen(&mut bench);
    let pull = |incarnation| TableMessage {
        placement: 2,
        incarnation,
        attempt: Attempt(1),
        body: TableBody::Pull(None),
    };
    let (to, from) = (life(1, 0).store, life(0, 0).store);
    bench.deliver(from, to, pull(life(0, 1).incarnation));
    assert!(bench.sent.is_empty(), "not sealed");
    bench.known.current = 2;
    bench.follow(to);
    bench.sent.clear();
    bench.deliver(from, to, pull(life(0, 0).incarnation));
    assert!(bench.sent.is_empty(), "not this life of its disk");
    bench.deliver(from, to, pull(life(0, 1).incarnation));
    let (_, _, page) = &bench.sent[0];
    assert!(matches!(&page.body, TableBody::Page { entries, .. } if entries.len() == MAX_PAGE));
}

#[test]
fn pages_that_were_not_asked_for_or_are_out_of_order_change_nothing() {
    let mut bench = after_a_wipe(|_| {});
    let own = life(0, 1);
    let asked =
        bench.sent.iter().find(|(from, to, _)| (*from, *to) == (own.store, life(1, 0).store));
    let attempt = asked.expect("asked").2.attempt;
    let mut ids: Vec<u8> = (1..4).collect();
    ids.sort_by_key(|n| core::cmp::Reverse(boxed(*n).id()));
    let entries: Vec<_> =
        ids.iter().map(|n| (boxed(*n).id(), Entry::Chosen(boxed(*n), START))).collect();
    let page = |attempt, entries, incarnation| TableMessage {
        placement: 2,
        incarnation,
        attempt,
        body: TableBody::Page { upto: BoxId::from_bytes([0xff; 32]), end: true, entries },
    };
    let right = life(1, 0).incarnation;
    let mut sorted = entries.clone();
    sorted.reverse();
    for wrong in [
        page(attempt, entries, right),
        page(Attempt(77), sorted.clone(), right),
        page(attempt, sorted.clone(), life(1, 1).incarnation),
    ] {
        bench.deliver(life(1, 0).store, own.store, wrong);
        assert!(bench.table(own).is_empty());
    }
    bench.deliver(life(1, 0).store, own.store, page(attempt, sorted, right));
    assert_eq!(bench.table(own).len(), 3);
}

#[test]
fn one_store_that_says_expired_is_refuted_by_two_and_believed_with_one() {
    let id = boxed(1).id();
    let tombstone = BoxRecord::Tombstone { forget_at: START + BOX_LIFETIME };
    let abd = [life(0, 0), life(1, 0), life(3, 0)];
    for (holders, expected) in [(1, None), (2, Some(tombstone.clone()))] {
        let all = [life(0, 0), life(1, 0), life(2, 0), life(3, 0)];
        let mut bench = Bench::new(Known::new(vec![abc(), abd], &[life(2, 0)]), &all);
        for holder in &all[..holders] {
            bench.table(*holder).put(id, tombstone.clone());
        }
        // The third source is silent at first.
        let silent = life(2, 0).store;
        bench.take_up(2);
        bench.sent.retain(|(_, to, _)| *to != silent);
        bench.run(100);
        let admitted = bench.admits(life(3, 0), &id);
        if holders == 1 {
            assert_eq!(admitted, Err(Refusal::CatchingUp), "in doubt");
            assert_eq!(bench.admits(life(3, 0), &boxed(2).id()), Ok(()), "this box only");
        }
        bench.pass(PULL_AFTER);
        bench.pass(PULL_AFTER);
        assert_eq!(bench.admits(life(3, 0), &id), Ok(()));
        let record = bench.table(life(3, 0)).get(&id);
        let record = record.filter(|record| matches!(record, BoxRecord::Tombstone { .. }));
        assert_eq!(record, expected);
    }
}

#[test]
fn what_is_accepted_in_the_new_placement_is_copied_as_of_the_old_one() {
    let id = boxed(1).id();
    let mut bench = after_a_wipe(|_| {});
    for holder in [life(1, 0), life(2, 0)] {
        let record = BoxRecord::Open {
            promised: Ballot { placement: 2, round: 1, rank: 1 },
            accepted: Some((Ballot { placement: 2, round: 1, rank: 1 }, boxed(1))),
            expires_at: START,
        };
        bench.table(holder).put(id, record);
    }
    bench.run(100);
    let Some(BoxRecord::Open { promised, accepted, expires_at }) = bench.table(life(0, 1)).get(&id)
    else {
        panic!("an open record");
    };
    assert!(promised < Ballot::zero(2));
    assert_eq!(
        accepted.map(|(ballot, boxed)| (ballot < Ballot::zero(2), boxed)),
        Some((true, boxed(1)))
    );
    assert_eq!(expires_at, START);
}

#[test]
fn placements_that_were_missed_are_gone_through() {
    let cde = [life(3, 0), life(4, 0), life(2, 0)];
    let abd = [life(0, 0), life(3, 0), life(2, 0)];
    let all: Vec<_> = (0..5).map(|n| life(n, 0)).collect();
    let mut bench = Bench::new(Known::new(vec![abc(), abd, cde], &all), &all);
    for holder in [life(0, 0), life(1, 0)] {
        let record = BoxRecord::Chosen { boxed: boxed(1), expires_at: START + BOX_LIFETIME };
        bench.table(holder).put(boxed(1).id(), record);
    }
    bench.take_up(3);
    for _ in 0..4 {
        bench.pass(PULL_AFTER);
    }
    for member in cde {
        assert_eq!(bench.admits(member, &boxed(1).id()), Ok(()));
        assert!(matches!(bench.table(member).get(&boxed(1).id()), Some(BoxRecord::Chosen { .. })));
    }
}

#[test]
fn two_lost_disks_of_three_are_not_served() {
    let both = [life(0, 1), life(1, 1), life(2, 0)];
    let mut bench = Bench::new(Known::new(vec![abc(), both], &[]), &abc());
    bench.start(life(0, 1), MemoryTable::new());
    bench.start(life(1, 1), MemoryTable::new());
    bench.take_up(2);
    for _ in 0..4 {
        bench.pass(PULL_AFTER);
    }
    for member in both {
        assert_eq!(bench.admits(member, &boxed(1).id()), Err(Refusal::CatchingUp));
    }
}

#[test]
fn only_so_many_sources_are_asked_at_a_time() {
    let many: Vec<_> = (3..40).map(|n| life(n, 0)).collect();
    let mut bench = Bench::new(Known::new(vec![abc(), wiped()], &many), &[life(0, 1)]);
    bench.take_up(2);
    assert_eq!(bench.sent.len(), MAX_PULLS);
    let first: BTreeSet<_> = bench.sent.drain(..).map(|(_, to, _)| to).collect();
    bench.now = bench.now + PULL_AFTER;
    let store = bench.stores.get_mut(&life(0, 1).store).expect("there");
    let effects =
        store.succession.on_timer(&bench.known, &mut store.table, bench.now, &mut bench.rng);
    bench.take(life(0, 1).store, effects);
    assert_eq!(bench.sent.len(), MAX_PULLS);
    assert!(bench.sent.iter().all(|(_, to, _)| !first.contains(to)), "the others have their turn");
}

#[test]
fn a_comparison_finds_what_was_missed_and_what_is_undecided() {
    let mut bench = Bench::new(Known::new(vec![abc()], &[]), &abc());
    fill_with_chosen(&mut bench);
    let undecided = boxed(200);
    let record = BoxRecord::Open {
        promised: Ballot::zero(1),
        accepted: Some((Ballot::zero(1), undecided.clone())),
        expires_at: START + BOX_LIFETIME,
    };
    bench.table(life(0, 0)).put(undecided.id(), record);
    let mut comparisons: BTreeMap<_, _> =
        abc().map(|own| (own.store, Comparison::new(own, START))).into();
    let mut settled = BTreeSet::new();
    let mut sent = Vec::new();
    for _ in 0..2 {
        bench.now = bench.now + COMPARE_EVERY;
        let own = life(0, 0).store;
        let mut step = |id: StoreId, message: Option<(StoreId, TableMessage)>| {
            let store = bench.stores.get_mut(&id).expect("there");
            let comparison = comparisons.get_mut(&id).expect("there");
            let (placements, succession) = (&bench.known, &store.succession);
            let table = &mut store.table;
            let mut tables = Tables { placements, succession, table, now: bench.now };
            let effects = match message {
                Some((from, message)) => comparison.on_message(from, message, &mut tables),
                None => comparison.on_timer(&mut tables, &mut bench.rng),
            };
            for effect in effects {
                match effect {
                    TableEffect::Send { to, message } => sent.push((id, to, message)),
                    TableEffect::Settle { id, .. } => {
                        settled.insert(id);
                    }
                    TableEffect::Chosen(_) => {}
                }
            }
            std::mem::take(&mut sent)
        };
        for (from, to, message) in step(own, None) {
            for (from, to, message) in step(to, Some((from, message))) {
                assert!(step(to, Some((from, message))).is_empty());
            }
        }
    }
    let missed: BTreeSet<_> = (0..COUNT).map(|n| boxed(n).id()).chain([undecided.id()]).collect();
    assert_eq!(settled, missed);
}
