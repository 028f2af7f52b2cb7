//! A store alone; it together with others is in `crate::tests`.

use std::time::Duration;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use xchat_base::{Secret, Timestamp, Wire};
use xchat_directory::{Incarnation, NodeId, PlacementEpoch, Role};
use xchat_pigeonhole::delivery::DELIVERY_LEN;
use xchat_pigeonhole::register::{BoxTable, Lifetimes, MemoryTable};
use xchat_pigeonhole::{
    Answer, AnswerKey, BoxId, BoxKeys, DeliveryKey, Lane, Op, Refusal, Request, SignedAnswer,
    Ticket, Told,
};
use xchat_sphinx::{CollectorSession, DELIVERY_BLOCK_LEN, NodeFrame, REPLY_BLOCK_LEN, SurbId};

use super::{Bounds, Effect, Input, SWEEP_EVERY, Store, StoreSetup, store_id};
use crate::StartError;
use crate::hop::HopSetup;
use crate::tests::fixture::{Fixture, T0, VALIDITY, rng};
use crate::tests::peeled::{self, Asker};

struct Bench {
    fixture: Fixture,
    store: Store<MemoryTable>,
    rng: ChaCha20Rng,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        Self::with_bounds(&Bounds::default())
    }

    fn with_bounds(bounds: &Bounds) -> Self {
        let fixture = Fixture::new();
        let setup = fixture.store(0).store_setup();
        let store =
            Store::with_bounds(setup, fixture.sign(), MemoryTable::new(), T0, &mut rng(3), bounds);
        Self { store: store.expect("listed").0, fixture, rng: rng(3), now: T0 }
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        self.store.handle(input, self.now, &mut self.rng)
    }

    fn message(&mut self, message: &[u8]) -> Vec<Effect> {
        let bytes = peeled::frame_to_store(&self.fixture, &mut self.rng, message);
        self.handle(Input::NodeFrame { from: self.fixture.mix(3, 0).id, bytes })
    }

    /// Asks; the effects and who can read an answer in them.
    fn ask(&mut self, op: Op) -> (Vec<Effect>, Asker) {
        let gateway = self.fixture.gateway(0).id;
        let (message, asker) = peeled::request(&self.fixture, &mut self.rng, &gateway, op);
        (self.message(&message), asker)
    }

    /// Asks what is answered at once without a claim about a box.
    fn answer(&mut self, op: Op) -> Answer {
        let (effects, asker) = self.ask(op);
        let frame = effects.iter().find_map(|effect| match effect {
            Effect::ToNode { bytes, .. } => Some(bytes),
            _ => None,
        });
        let message = asker.read(&self.fixture, frame.expect("answered"));
        SignedAnswer::from_wire(&message).expect("an answer").collected().expect("no claim")
    }

    /// A box that this store holds (or not).
    fn keys(&self, replica: bool) -> BoxKeys {
        let own = self.fixture.store(0).id;
        (0..)
            .map(|n| Lane::new(Secret::new([n; 32])).keys())
            .find(|keys| {
                self.fixture.document.replicas(keys.id().as_bytes()).contains(&own) == replica
            })
            .expect("three of four stores hold a box")
    }

    fn register(id: BoxId, delivery_id: u8) -> Op {
        Op::Register {
            placement: 1,
            id,
            delivery: vec![1; DELIVERY_BLOCK_LEN],
            delivery_id: [delivery_id; 16],
            seal_key: DeliveryKey::from_bytes([1; 32]),
            lifetime_secs: u32::MAX,
        }
    }
}

fn collect(n: u8) -> Op {
    Op::Collect { session: [n; 32] }
}

fn to_replicas(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::ToReplica { .. })).count()
}

#[test]
fn frames_from_peers_without_business_are_dropped() {
    let mut bench = Bench::new();
    let fixture = Fixture::new();
    let stranger = NodeId::from_bytes([200; 32]);
    let own = fixture.store(0).id;
    let packet = peeled::frame_to_store(&fixture, &mut bench.rng, b"hi");
    for from in [stranger, fixture.gateway(0).id, fixture.mix(2, 0).id, fixture.store(1).id] {
        assert!(bench.handle(Input::NodeFrame { from, bytes: packet.clone() }).is_empty());
    }
    let keys = bench.keys(true);
    let (effects, _) = bench.ask(Op::Read { placement: 1, id: keys.id() });
    let Some(Effect::ToReplica { bytes, .. }) =
        effects.iter().find(|effect| matches!(effect, Effect::ToReplica { .. }))
    else {
        panic!("the other replicas are asked: {effects:?}");
    };
    for from in [stranger, fixture.gateway(0).id, fixture.mix(3, 0).id, own] {
        assert!(bench.handle(Input::ReplicaFrame { from, bytes: bytes.clone() }).is_empty());
    }
    assert_eq!(bench.store.counters().unknown_peer, 8);

    let outsider = fixture
        .document
        .stores()
        .map(|store| store.id)
        .find(|id| !fixture.document.replicas(keys.id().as_bytes()).contains(id));
    let from = outsider.expect("the fourth store");
    assert!(bench.handle(Input::ReplicaFrame { from, bytes: bytes.clone() }).is_empty());
    assert_eq!(bench.store.counters().not_shared, 1);
}

#[test]
fn a_packet_is_served_once() {
    let mut bench = Bench::new();
    let gateway = bench.fixture.gateway(0).id;
    let (message, _) = peeled::request(&bench.fixture, &mut bench.rng, &gateway, collect(1));
    let bytes = peeled::frame_to_store(&bench.fixture, &mut bench.rng, &message);
    let from = bench.fixture.mix(3, 0).id;
    let effects = bench.handle(Input::NodeFrame { from, bytes: bytes.clone() });
    assert!(matches!(effects[..], [Effect::RememberTags { .. }, Effect::ToNode { .. }]));
    assert!(bench.handle(Input::NodeFrame { from, bytes }).is_empty());
    assert_eq!((bench.store.counters().replays, bench.store.counters().collects), (1, 1));
}

#[test]
fn another_life_of_the_table_neither_answers_nor_votes() {
    let mut bench = Bench::new();
    let node = bench.fixture.store(0);
    let id = node.id;
    let incarnation = Incarnation::from_bytes([77; 16]);
    let setup = StoreSetup { incarnation, ..node.store_setup() };
    let document = bench.fixture.sign();
    bench.store =
        Store::new(setup, document, MemoryTable::new(), T0, &mut rng(3)).expect("listed").0;
    assert!(bench.store.is_catching_up());
    let keys = bench.keys(true);
    let read = Op::Read { placement: 1, id: keys.id() };
    assert_eq!(bench.answer(read.clone()), Answer::Refused(Refusal::CatchingUp));
    let boxed = keys.seal(&mut bench.rng, b"hi").expect("fits");
    let write = Op::Write { placement: 1, boxed, tell: Ticket::from_bytes([9; 16]).tell() };
    assert_eq!(bench.answer(write), Answer::Refused(Refusal::CatchingUp));
    assert_eq!(bench.answer(Bench::register(keys.id(), 1)), Answer::Refused(Refusal::CatchingUp));
    assert_eq!(bench.answer(collect(1)), Answer::NoItem, "a collector needs no table");

    let mut other = Bench::new();
    let replicas = bench.fixture.document.replicas(keys.id().as_bytes());
    let (n, from) = (1..4)
        .map(|n| (n, bench.fixture.store(n).id))
        .find(|(_, id)| replicas.contains(id))
        .expect("two other replicas");
    let setup = other.fixture.store(n).store_setup();
    let document = other.fixture.sign();
    other.store =
        Store::new(setup, document, MemoryTable::new(), T0, &mut rng(3)).expect("listed").0;
    let gateway = bench.fixture.gateway(0).id;
    let (message, _) = peeled::request(&bench.fixture, &mut bench.rng, &gateway, read.clone());
    let mut effects = Vec::new();
    other.store.request(&message, T0, &mut other.rng, &mut effects);
    let question = effects.into_iter().find_map(|effect| match effect {
        Effect::ToReplica { to, bytes } if to == id => Some(bytes),
        _ => None,
    });
    let bytes = question.expect("asked");
    assert!(bench.handle(Input::ReplicaFrame { from, bytes }).is_empty(), "no vote");

    // Listed in the placement in which its former life has promised: a document that contradicts
    // the one before.
    bench.fixture.next_epoch();
    bench.fixture.descriptor_mut(&id).role = Role::Store { incarnation };
    let document = bench.fixture.sign();
    bench.handle(Input::Document(document));
    assert_eq!(bench.store.counters().refused_documents, 1);
    assert!(bench.store.is_catching_up());
}

#[test]
fn another_placement_than_the_first_is_not_served() {
    let mut bench = Bench::new();
    let keys = bench.keys(true);
    let read = |placement| Op::Read { placement, id: keys.id() };
    let (effects, _) = bench.ask(read(1));
    assert_eq!(to_replicas(&effects), 2);
    let question = effects.into_iter().find_map(|effect| match effect {
        Effect::ToReplica { to, bytes } => Some((to, bytes)),
        _ => None,
    });
    let (to, bytes) = question.expect("asked");
    let node = bench.fixture.nodes.iter().find(|node| node.id == to).expect("known");
    let setup = node.store_setup();
    let started = Store::new(setup, bench.fixture.sign(), MemoryTable::new(), T0, &mut rng(3));
    let mut other = started.expect("listed").0;
    let from = bench.fixture.store(0).id;
    let frame = || Input::ReplicaFrame { from, bytes: bytes.clone() };
    assert_eq!(to_replicas(&other.handle(frame(), T0, &mut bench.rng)), 1);

    bench.fixture.next_epoch();
    bench.fixture.document.placement.epoch = PlacementEpoch(2);
    let document = bench.fixture.sign();
    bench.handle(Input::Document(document.clone()));
    other.handle(Input::Document(document), T0, &mut bench.rng);
    assert!(bench.store.is_catching_up());
    assert_eq!(bench.answer(read(2)), Answer::Refused(Refusal::CatchingUp));
    assert_eq!(bench.answer(read(1)), Answer::Refused(Refusal::WrongPlacement { current: 2 }));
    assert_eq!(to_replicas(&other.handle(frame(), T0, &mut bench.rng)), 0, "no vote");
}

#[test]
fn a_clock_outside_the_document_neither_sweeps_nor_votes() {
    let mut bench = Bench::new();
    let keys = bench.keys(true);
    let read = Op::Read { placement: 1, id: keys.id() };
    let own = store_id(&bench.fixture.store(0).id);
    for wrong in [T0 - SWEEP_EVERY, T0 + VALIDITY] {
        // Requests could not even be opened, by the hop keys' times: so asked behind the packet.
        assert!(!bench.store.may_sweep(wrong));
        let refused = bench.store.serves(1, &keys.id(), wrong);
        assert_eq!(refused.err(), Some(Refusal::CatchingUp));
        let settle = Input::Settle(vec![keys.id()]);
        let effects = bench.store.handle(settle, wrong, &mut bench.rng);
        assert_eq!(to_replicas(&effects), 0);
    }
    let served = bench.store.serves(1, &keys.id(), T0).expect("the clock is right again");
    assert!(served.rank_of(&own).is_some());
    bench.now = T0 + VALIDITY - Duration::from_secs(1);
    assert!(bench.handle(Input::Timer).contains(&Effect::Sweep));
    bench.now = T0 + VALIDITY + SWEEP_EVERY;
    assert!(!bench.handle(Input::Timer).contains(&Effect::Sweep));
    let effects = bench.ask(read).0;
    assert_eq!(to_replicas(&effects), 0);

    let setup = bench.fixture.store(0).store_setup();
    let started =
        Store::new(setup, bench.fixture.sign(), MemoryTable::new(), bench.now, &mut rng(3));
    assert!(!started.expect("listed").1.contains(&Effect::Sweep));
}

#[test]
fn boxes_live_as_long_as_the_document_in_use_says() {
    let mut bench = Bench::new();
    let day = Duration::from_secs(24 * 3_600);
    assert_eq!(bench.store.lifetimes(), Lifetimes::default());
    bench.fixture.next_epoch();
    bench.fixture.document.parameters.box_lifetime = day;
    bench.fixture.document.parameters.tombstone_lifetime = 60 * day;
    let document = bench.fixture.sign();
    bench.handle(Input::Document(document));
    assert_eq!(bench.store.lifetimes(), Lifetimes { boxed: day, tombstone: 60 * day });

    let keys = (0..)
        .map(|n| Lane::new(Secret::new([n; 32])).keys())
        .find(|keys| {
            let replicas = bench.fixture.document.replicas(keys.id().as_bytes());
            replicas[0] == bench.fixture.store(0).id
        })
        .expect("it ranks first for a fourth of all");
    let boxed = keys.seal(&mut bench.rng, b"hi").expect("fits");
    bench.ask(Op::Write { placement: 1, boxed, tell: Ticket::from_bytes([9; 16]).tell() });
    let record = bench.store.table_mut().get(&keys.id()).expect("accepted");
    assert_eq!(record.due(), T0 + day);
}

#[test]
fn a_pressed_store_refuses_new_writes_before_its_disk_and_goes_on_with_the_rest() {
    let mut bench = Bench::new();
    let keys = bench.keys(true);
    let boxed = keys.seal(&mut bench.rng, b"hi").expect("fits");
    let write = || Op::Write {
        placement: 1,
        boxed: boxed.clone(),
        tell: Ticket::from_bytes([9; 16]).tell(),
    };
    bench.handle(Input::Pressed(true));
    assert_eq!(bench.answer(write()), Answer::Refused(Refusal::Busy));
    assert_eq!(bench.store.table_mut().get(&keys.id()), None);
    assert_eq!((bench.store.counters().refused_busy, bench.store.counters().pending), (1, 0));
    let (effects, _) = bench.ask(Op::Read { placement: 1, id: keys.id() });
    assert_eq!(to_replicas(&effects), 2, "it reads");
    assert_eq!(bench.answer(collect(1)), Answer::NoItem);

    bench.handle(Input::Pressed(false));
    bench.ask(write());
    assert!(bench.store.table_mut().get(&keys.id()).is_some(), "accepted here");
}

#[test]
fn registrations_are_bounded_and_so_is_their_life() {
    let mut bench = Bench::with_bounds(&Bounds { registrations: 1, ..Bounds::default() });
    let keys = bench.keys(true);
    let (effects, _) = bench.ask(Bench::register(keys.id(), 1));
    assert_eq!(to_replicas(&effects), 2, "the box is looked at first");
    assert_eq!(bench.answer(Bench::register(keys.id(), 2)), Answer::Refused(Refusal::Busy));
    assert_eq!(bench.store.counters().registrations, 1);

    bench.now = T0 + bench.fixture.document.parameters.registration_lifetime;
    bench.handle(Input::Timer);
    assert_eq!(bench.store.counters().registrations, 0);
}

/// What other stores say of a registration does not use it up, however often and whatever they say.
#[test]
fn a_registration_is_told_once_by_others_and_stands() {
    let mut bench = Bench::new();
    let keys = bench.keys(true);
    let block = peeled::delivery_block(&bench.fixture, &mut bench.rng);
    let Op::Register { placement, id, delivery_id, seal_key, lifetime_secs, .. } =
        Bench::register(keys.id(), 1)
    else {
        panic!("a registration");
    };
    let register =
        Op::Register { placement, id, delivery: block, delivery_id, seal_key, lifetime_secs };
    bench.ask(register);
    let told = |sealed: usize| Told { id, sealed: vec![7; sealed] }.to_wire();
    let (store, mix) = (bench.fixture.store(1).id, bench.fixture.mix(1, 0).id);
    let packets = |effects: Vec<Effect>| {
        effects.iter().filter(|effect| matches!(effect, Effect::ToNode { .. })).count()
    };
    let mut tell = |from, bytes| packets(bench.handle(Input::ReplicaFrame { from, bytes }));
    assert_eq!(tell(mix, told(DELIVERY_LEN)), 0, "no store");
    assert_eq!(tell(store, told(DELIVERY_LEN - 1)), 0, "no delivery");
    let other = Told { id: BoxId::from_bytes([3; 32]), sealed: vec![7; DELIVERY_LEN] };
    assert_eq!(tell(store, other.to_wire()), 0, "nobody has registered for it");
    assert_eq!(tell(store, told(DELIVERY_LEN)), 1);
    assert_eq!(tell(store, told(DELIVERY_LEN)), 0, "once");
    let counters = bench.store.counters();
    assert_eq!((counters.deliveries_sent, counters.registrations), (1, 1));
    assert_eq!((counters.unknown_peer, counters.unreadable), (1, 1));
}

#[test]
fn a_registration_whose_delivery_cannot_be_sent_is_refused() {
    let mut bench = Bench::new();
    let keys = bench.keys(true);
    let Op::Register { placement, id, delivery_id, seal_key, lifetime_secs, .. } =
        Bench::register(keys.id(), 1)
    else {
        panic!("a registration");
    };
    let delivery = vec![1; DELIVERY_BLOCK_LEN - 1];
    let short = Op::Register { placement, id, delivery, delivery_id, seal_key, lifetime_secs };
    assert_eq!(bench.answer(short), Answer::Refused(Refusal::Malformed));
    assert_eq!(bench.store.counters().registrations, 0);
}

#[test]
fn collector_sessions_are_bounded() {
    let mut bench = Bench::with_bounds(&Bounds { sessions: 1, ..Bounds::default() });
    assert_eq!(bench.answer(collect(1)), Answer::NoItem);
    assert_eq!(bench.answer(collect(2)), Answer::Refused(Refusal::Busy));
    assert_eq!(bench.answer(collect(1)), Answer::NoItem);
}

#[test]
fn items_have_one_length_and_need_a_session() {
    let mut bench = Bench::new();
    let session = CollectorSession::from_bytes([1; 32]);
    let id = SurbId::from_bytes([2; 16]);
    let sealed = vec![3; DELIVERY_LEN];
    bench.store.item(&session, id, sealed.clone());
    assert_eq!(bench.answer(collect(1)), Answer::NoItem, "nobody had asked yet");
    bench.store.item(&session, id, vec![3; DELIVERY_LEN + 1]);
    bench.store.item(&session, id, sealed.clone());
    assert_eq!(bench.answer(collect(1)), Answer::Item { id: [2; 16], sealed });
    assert_eq!(bench.answer(collect(1)), Answer::NoItem);
    let counters = bench.store.counters();
    assert_eq!((counters.items_kept, counters.items_dropped), (1, 2));
}

#[test]
fn the_replay_cache_is_bounded() {
    let mut bench = Bench::with_bounds(&Bounds { tags: 1, ..Bounds::default() });
    assert_eq!(bench.answer(collect(1)), Answer::NoItem);
    assert!(bench.ask(collect(1)).0.is_empty());
    assert_eq!(bench.store.counters().cache_full, 1);
}

#[test]
fn the_table_is_swept_at_the_start_and_now_and_then() {
    let fixture = Fixture::new();
    let setup = fixture.store(0).store_setup();
    let (mut store, effects) =
        Store::new(setup, fixture.sign(), MemoryTable::new(), T0, &mut rng(3)).expect("listed");
    assert!(effects.contains(&Effect::Sweep));
    let mut rng = rng(1);
    let early = store.handle(Input::Timer, T0 + SWEEP_EVERY - Duration::from_secs(1), &mut rng);
    assert!(!early.contains(&Effect::Sweep));
    let due = store.handle(Input::Timer, T0 + SWEEP_EVERY, &mut rng);
    assert!(due.contains(&Effect::Sweep));
    let next = due.iter().filter(|effect| matches!(effect, Effect::WakeAt(_))).count();
    assert_eq!(next, 1);
}

#[test]
fn only_a_listed_store_with_its_keys_starts() {
    let fixture = Fixture::new();
    let start =
        |setup| Store::new(setup, fixture.sign(), MemoryTable::new(), T0, &mut rng(3)).err();
    let node = fixture.store(0);
    let id = node.id;
    let answer_key = AnswerKey::from_seed(&Secret::new([1; 32]));
    let foreign = StoreSetup { answer_key, ..node.store_setup() };
    assert_eq!(start(foreign), Some(StartError::AnswerKey { id }));
    let keyless = StoreSetup { hop: HopSetup::default(), ..node.store_setup() };
    assert_eq!(start(keyless), Some(StartError::NoHopKey { id }));
    let mix = StoreSetup { id: fixture.mix(1, 0).id, ..node.store_setup() };
    assert!(matches!(start(mix), Some(StartError::OtherRole { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn arbitrary_messages_and_frames_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        reply in prop::collection::vec(any::<u8>(), REPLY_BLOCK_LEN),
    ) {
        let mut bench = Bench::new();
        bench.message(&bytes);
        // A reply block of the right length that leads nowhere.
        let request = Request { reply, op: collect(1) };
        bench.message(&request.to_wire());
        let (mix, store) = (bench.fixture.mix(3, 0).id, bench.fixture.store(1).id);
        bench.handle(Input::NodeFrame { from: mix, bytes: bytes.clone() });
        bench.handle(Input::ReplicaFrame { from: store, bytes: bytes.clone() });
        let mut frame = bytes;
        frame.resize(xchat_sphinx::frame::NODE_FRAME_LEN, 0);
        frame[0] = NodeFrame::VERSION;
        bench.handle(Input::NodeFrame { from: mix, bytes: frame });
        let counters = bench.store.counters();
        prop_assert_eq!((counters.unreadable, counters.bad_reply_block), (4, 1));
        prop_assert_eq!(counters.answered, 0);
    }
}
