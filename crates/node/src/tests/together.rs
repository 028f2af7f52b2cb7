//! The roles together: what a client sees of a network.

use std::time::Duration;

use xchat_base::{Secret, Wire};
use xchat_directory::NodeId;
use xchat_pigeonhole::register::BoxRecord;
use xchat_pigeonhole::{Answer, BoxId, BoxKeys, DeliveryKey, Lane, Op, Refusal, SealedBox, Ticket};
use xchat_sphinx::CollectorSession;

use super::client::{Client, request};
use super::network::Network;

/// The keys of a box, its sealed content, its replicas by rank and a store that is none of them.
struct Boxed {
    keys: BoxKeys,
    sealed: SealedBox,
    replicas: [NodeId; 3],
    other: NodeId,
}

impl Boxed {
    fn new(net: &mut Network, secret: u8) -> Self {
        let keys = Lane::new(Secret::new([secret; 32])).keys();
        let sealed = keys.seal(&mut net.rng, b"hello").expect("fits");
        let replicas = net.fixture.document.replicas(keys.id().as_bytes());
        let replicas: [NodeId; 3] = replicas.try_into().expect("three");
        let mut stores = net.fixture.document.stores().map(|store| store.id);
        let other = stores.find(|store| !replicas.contains(store)).expect("a fourth store");
        Self { keys, sealed, replicas, other }
    }

    fn id(&self) -> BoxId {
        self.keys.id()
    }

    fn write(&self) -> Op {
        Op::Write {
            placement: 1,
            boxed: self.sealed.clone(),
            tell: Ticket::from_bytes([9; 16]).tell(),
        }
    }

    fn read(&self) -> Op {
        Op::Read { placement: 1, id: self.id() }
    }
}

#[test]
fn a_box_is_written_once_and_read_at_every_replica() {
    let mut net = Network::new(1);
    let mut client = Client::connect(&mut net, 1);
    let boxed = Boxed::new(&mut net, 1);
    let [first, second, third] = boxed.replicas;

    assert_eq!(client.ask_and_wait(&mut net, &third, boxed.read()), Answer::Empty);
    assert_eq!(client.ask_and_wait(&mut net, &first, boxed.write()), Answer::Stored);
    assert_eq!(client.ask_and_wait(&mut net, &second, boxed.write()), Answer::Stored, "the same");
    let rival = boxed.keys.seal(&mut net.rng, b"too late").expect("fits");
    let rival = Op::Write { placement: 1, boxed: rival, tell: Ticket::from_bytes([9; 16]).tell() };
    assert_eq!(client.ask_and_wait(&mut net, &second, rival), Answer::Exists(boxed.sealed.clone()));
    for replica in &boxed.replicas {
        let answer = client.ask_and_wait(&mut net, replica, boxed.read());
        assert_eq!(answer, Answer::Found(boxed.sealed.clone()));
    }
    assert_eq!(boxed.keys.open(&boxed.sealed).expect("own box"), b"hello");
}

#[test]
fn requests_that_no_replica_can_serve_are_refused_with_the_reason() {
    let mut net = Network::new(2);
    let mut client = Client::connect(&mut net, 1);
    let boxed = Boxed::new(&mut net, 2);

    let answer = client.ask_and_wait(&mut net, &boxed.other, boxed.read());
    assert_eq!(answer, Answer::Refused(Refusal::NotReplica));
    let stale = Op::Read { placement: 7, id: boxed.id() };
    let answer = client.ask_and_wait(&mut net, &boxed.replicas[0], stale);
    assert_eq!(answer, Answer::Refused(Refusal::WrongPlacement { current: 1 }));
    let mut bytes = boxed.sealed.to_bytes();
    *bytes.last_mut().expect("not empty") ^= 1;
    let broken = SealedBox::from_bytes(&bytes).expect("the right length");
    let write = Op::Write { placement: 1, boxed: broken, tell: Ticket::from_bytes([9; 16]).tell() };
    let answer = client.ask_and_wait(&mut net, &boxed.replicas[0], write);
    assert_eq!(answer, Answer::Refused(Refusal::Malformed));
}

#[test]
fn a_standing_read_is_delivered_to_the_collector_when_the_box_is_written() {
    let mut net = Network::new(3);
    let (mut reader, mut writer) = (Client::connect(&mut net, 1), Client::connect(&mut net, 2));
    let boxed = Boxed::new(&mut net, 3);
    let [first, second, _] = boxed.replicas;
    let session = CollectorSession::from_bytes([5; 32]);
    let collect = Op::Collect { session: *session.as_bytes() };
    let seal_key = DeliveryKey::random(&mut net.rng);
    let (surb, register) =
        Client::registration(&mut net, boxed.id(), &boxed.other, session, &seal_key);

    let answer = reader.ask_and_wait(&mut net, &boxed.other, collect.clone());
    assert_eq!(answer, Answer::NoItem);
    assert!(matches!(reader.ask_and_wait(&mut net, &second, register), Answer::Registered { .. }));
    assert_eq!(writer.ask_and_wait(&mut net, &first, boxed.write()), Answer::Stored);

    let Answer::Item { id, sealed } = reader.ask_and_wait(&mut net, &boxed.other, collect.clone())
    else {
        panic!("an item waits");
    };
    assert_eq!(&id, surb.as_bytes());
    let delivered = seal_key.open(&id, &sealed).expect("sealed for this registration");
    let store = xchat_pigeonhole::StoreId::from_bytes(*second.as_bytes());
    let answer = delivered.verify(&store, &boxed.id()).expect("signed by the replica");
    assert_eq!(answer, Answer::Found(boxed.sealed.clone()));
    let answer = reader.ask_and_wait(&mut net, &boxed.other, collect);
    assert_eq!(answer, Answer::NoItem, "delivered once");

    let (_, again) = Client::registration(&mut net, boxed.id(), &boxed.other, session, &seal_key);
    let answer = reader.ask_and_wait(&mut net, &second, again);
    assert_eq!(answer, Answer::Found(boxed.sealed.clone()), "what is there is answered at once");
    assert_eq!(net.store(&second).counters().registrations, 0);
}

/// Its reader has registered for something else, and told the writer what.
#[test]
fn a_box_that_nobody_registered_for_is_delivered_by_a_ticket_once() {
    let mut net = Network::new(4);
    let (mut reader, mut writer) = (Client::connect(&mut net, 1), Client::connect(&mut net, 2));
    let boxed = Boxed::new(&mut net, 3);
    let [first, second, _] = boxed.replicas;
    let session = CollectorSession::from_bytes([5; 32]);
    let collect = Op::Collect { session: *session.as_bytes() };
    // At a store that keeps the box too, and at one that does not.
    let at = |net: &Network, ticket: &Ticket| {
        net.fixture.document.replicas(ticket.tell().id.as_bytes())[0]
    };
    let ticket =
        (0..).map(|n| Ticket::from_bytes([n; 16])).find(|one| at(&net, one) == boxed.other);
    let ticket = ticket.expect("one store of four");
    let tell = ticket.tell();
    let collector = second;
    let unused = DeliveryKey::random(&mut net.rng);
    let (surb, register) = Client::registration(&mut net, tell.id, &collector, session, &unused);
    assert_eq!(reader.ask_and_wait(&mut net, &collector, collect.clone()), Answer::NoItem);
    let answer = reader.ask_and_wait(&mut net, &boxed.other, register);
    assert!(matches!(answer, Answer::Registered { .. }));

    let write = Op::Write { placement: 1, boxed: boxed.sealed.clone(), tell: tell.clone() };
    assert_eq!(writer.ask_and_wait(&mut net, &first, write.clone()), Answer::Stored);
    let Answer::Item { id, sealed } = reader.ask_and_wait(&mut net, &collector, collect.clone())
    else {
        panic!("an item waits");
    };
    assert_eq!(&id, surb.as_bytes());
    let delivered = tell.key.open(&tell.bound_to(), &sealed).expect("sealed by the ticket");
    let store = xchat_pigeonhole::StoreId::from_bytes(*first.as_bytes());
    let answer = delivered.verify(&store, &boxed.id()).expect("signed by who was asked to write");
    assert_eq!(answer, Answer::Found(boxed.sealed.clone()));
    // Its writer has not heard that it stands, and asks another replica.
    assert_eq!(writer.ask_and_wait(&mut net, &second, write), Answer::Stored);
    let answer = reader.ask_and_wait(&mut net, &collector, collect);
    assert_eq!(answer, Answer::NoItem, "delivered once");
    let counters = net.store(&boxed.other).counters();
    assert_eq!((counters.deliveries_sent, counters.registrations), (1, 1));
}

/// All replicas compare what they hold within this.
const A_ROUND: Duration = Duration::from_secs(300);

#[test]
fn a_store_that_has_reached_its_size_takes_nothing_new_and_fetches_it_when_there_is_room() {
    let mut net = Network::new(8);
    let mut client = Client::connect(&mut net, 1);
    let boxed = Boxed::new(&mut net, 8);
    let [first, second, full] = boxed.replicas;
    // Another box of the same three, from before.
    let before = (9..=255)
        .map(|n| Boxed::new(&mut net, n))
        .find(|other| other.replicas.contains(&full) && other.replicas.contains(&first));
    let before = before.expect("one of a few");
    assert_eq!(client.ask_and_wait(&mut net, &first, before.write()), Answer::Stored);
    net.run_for(Duration::from_secs(1));

    net.set_full(&full, true);
    let refused = Answer::Refused(Refusal::Busy);
    assert_eq!(client.ask_and_wait(&mut net, &full, boxed.write()), refused);
    assert_eq!(client.ask_and_wait(&mut net, &first, boxed.write()), Answer::Stored, "by two");
    net.run_for(A_ROUND);
    assert!(matches!(net.record(&second, &boxed.id()), Some(BoxRecord::Chosen { .. })));
    assert_eq!(net.record(&full, &boxed.id()), None, "neither proposed nor fetched");
    let counters = net.store(&full).counters();
    assert_eq!((counters.refused_full, counters.refused_busy), (1, 1));
    assert!(counters.untaken > 0 && counters.missed > 0, "{counters:?}");

    // It reads, and a write of what it holds is no new one.
    let found = Answer::Found(before.sealed.clone());
    assert_eq!(client.ask_and_wait(&mut net, &full, before.read()), found);
    assert_eq!(client.ask_and_wait(&mut net, &full, before.write()), Answer::Stored);

    net.set_full(&full, false);
    net.run_for(A_ROUND);
    assert!(matches!(net.record(&full, &boxed.id()), Some(BoxRecord::Chosen { .. })));
}

#[test]
fn a_full_store_answers_reads_of_what_it_did_not_take() {
    let mut net = Network::new(10);
    let mut client = Client::connect(&mut net, 1);
    let boxed = Boxed::new(&mut net, 10);
    let [first, _, full] = boxed.replicas;
    net.set_full(&full, true);
    assert_eq!(client.ask_and_wait(&mut net, &full, boxed.read()), Answer::Empty);
    assert_eq!(client.ask_and_wait(&mut net, &first, boxed.write()), Answer::Stored);
    let found = Answer::Found(boxed.sealed.clone());
    assert_eq!(client.ask_and_wait(&mut net, &full, boxed.read()), found);
}

#[test]
fn registrations_and_collector_sessions_end_silently() {
    let mut net = Network::new(4);
    let mut client = Client::connect(&mut net, 1);
    let boxed = Boxed::new(&mut net, 4);
    let session = CollectorSession::from_bytes([5; 32]);
    let seal_key = DeliveryKey::random(&mut net.rng);
    let (_, register) =
        Client::registration(&mut net, boxed.id(), &boxed.other, session, &seal_key);
    client.ask_and_wait(&mut net, &boxed.other, Op::Collect { session: *session.as_bytes() });
    client.ask_and_wait(&mut net, &boxed.replicas[1], register);
    assert_eq!(net.store(&boxed.replicas[1]).counters().registrations, 1);
    assert_eq!(net.store(&boxed.other).counters().collector_sessions, 1);

    net.run_for(Duration::from_secs(700));
    assert_eq!(net.store(&boxed.replicas[1]).counters().registrations, 0);
    assert_eq!(net.store(&boxed.other).counters().collector_sessions, 1);
    net.run_for(Duration::from_secs(3_600));
    assert_eq!(net.store(&boxed.other).counters().collector_sessions, 0);
    assert!(client.answers(&mut net).is_empty());
}

#[test]
fn one_store_down_stops_nothing_and_two_are_admitted() {
    for down in 0..3 {
        let mut net = Network::new(5);
        let mut client = Client::connect(&mut net, 1);
        let boxed = Boxed::new(&mut net, 5);
        net.take_down(boxed.replicas[down]);
        let [ask, last] = [(down + 1) % 3, (down + 2) % 3].map(|rank| boxed.replicas[rank]);

        assert_eq!(client.ask_and_wait(&mut net, &ask, boxed.read()), Answer::Empty);
        assert_eq!(client.ask_and_wait(&mut net, &ask, boxed.write()), Answer::Stored);
        let answer = client.ask_and_wait(&mut net, &last, boxed.read());
        assert_eq!(answer, Answer::Found(boxed.sealed.clone()));

        net.take_down(last);
        let unwritten = (10..)
            .map(|secret| Boxed::new(&mut net, secret))
            .find(|other| {
                let alive = [ask, boxed.other];
                other.replicas.contains(&ask)
                    && other.replicas.iter().filter(|id| alive.contains(id)).count() == 1
            })
            .expect("some box has only one replica left");
        let answer = client.ask_and_wait(&mut net, &ask, unwritten.write());
        assert_eq!(answer, Answer::Refused(Refusal::NoMajority));
    }
}

#[test]
fn every_packet_is_answered_by_exactly_one_of_the_same_size() {
    let mut net = Network::new(6);
    let mut client = Client::connect(&mut net, 1);
    let mut asked = std::collections::BTreeSet::new();
    for round in 0..40u8 {
        let boxed = Boxed::new(&mut net, round / 4);
        let op = match round % 4 {
            0 => boxed.read(),
            1 => Op::Collect { session: [9; 32] },
            _ => boxed.write(),
        };
        asked.insert(client.ask(&mut net, &boxed.replicas[usize::from(round % 3)], op));
        net.run_for(Duration::from_millis(100));
    }
    net.run_for(Duration::from_secs(20));
    let answers = client.answers(&mut net);
    assert!(answers.keys().eq(asked.iter()), "exactly the questions that were asked");

    let gateway = net.gateway(&net.fixture.gateway(0).id).counters();
    assert_eq!((gateway.to_mixes, gateway.to_clients), (40, 40));
    assert_eq!(gateway.tags, xchat_sphinx::TAG_POOL as u64, "as many tags as at the beginning");
    let forwarded: u64 = net.mixes().map(|mix| mix.counters().forwarded).sum();
    assert_eq!(forwarded, 40 * 6, "three mixes each way");
    assert!(net.mixes().all(|mix| mix.counters().waiting == 0));
}

#[test]
fn a_packet_that_comes_twice_is_served_once() {
    let mut net = Network::new(7);
    let mut client = Client::connect(&mut net, 1);
    let store = net.fixture.store(0).id;
    let message =
        xchat_pigeonhole::Request { reply: vec![0; 3], op: Op::Collect { session: [1; 32] } };
    let (first, packet) = request(&mut net, &store, &message.to_wire());
    for _ in 0..2 {
        client.send(&mut net, (first, packet.clone()));
    }
    net.run_for(Duration::from_secs(5));
    assert_eq!(net.mixes().map(|mix| mix.counters().replays).sum::<u64>(), 1);
    let counters = net.store(&store).counters();
    assert_eq!((counters.received, counters.unreadable, counters.answered), (1, 1, 0));
}
