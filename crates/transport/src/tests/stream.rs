//! The stream says nothing: when packets leave, how many, how long.

use xchat_sphinx::frame::CLIENT_PACKET_FRAME_LEN;

use super::fixture::{Fixture, boxes};
use super::network::Network;
use super::person::{Person, follow, read, secs, write};
use crate::Event;

#[test]
fn packets_leave_at_the_same_times_whether_their_owner_does_much_or_nothing() {
    let run = |busy: bool| {
        let mut net = Network::new(Fixture::new(2), 1);
        let person = net.join(7);
        let own = boxes(1, 60);
        for second in 0..30 {
            net.run_for(secs(1));
            if busy {
                for boxed in &own[second * 2..second * 2 + 2] {
                    net.tell(person, write(boxed));
                    net.tell(person, follow(boxed.id()));
                    net.tell(person, read(boxed.id()));
                }
            }
        }
        assert_eq!(net.people[person].written().len() > 20, busy);
        (net.people[person].packets.clone(), net.people[person].asked.clone())
    };
    let (idle, busy) = (run(false), run(true));
    assert!(idle.0.len() > 400, "20 a second for 30 seconds, not {}", idle.0.len());
    assert_eq!(idle, busy);
}

#[test]
fn a_slot_is_exactly_one_packet_and_all_have_one_length() {
    let mut net = Network::new(Fixture::new(1), 2);
    let person = net.join(3);
    for boxed in boxes(1, 20) {
        net.tell(person, write(&boxed));
    }
    net.run_for(secs(20));
    let packets = &net.people[person].packets;
    assert!(packets.windows(2).all(|pair| pair[0].0 < pair[1].0), "never two at once");
    assert!(packets.iter().all(|(_, len)| *len == CLIENT_PACKET_FRAME_LEN));
    let status = net.people[person].transport.status(net.now);
    assert_eq!((status.emitted, status.empty_slots), (packets.len() as u64, 0));
}

#[test]
fn a_twentieth_of_the_stream_is_loops_even_when_there_is_more_to_do_than_slots() {
    let mut net = Network::new(Fixture::new(1), 4);
    let person = net.join(5);
    for boxed in boxes(1, 1_000) {
        net.tell(person, write(&boxed));
    }
    net.run_for(secs(40));
    let status = net.people[person].transport.status(net.now);
    assert!(status.queued_writes > 100, "still busy");
    assert_eq!(status.loop_loss, Some(0.0));
    // 800 slots: 40 loops, give or take three standard deviations.
    let loops = net.people[person].transport.loops_seen();
    assert!((20..=60).contains(&loops), "{loops} loops");
}

#[test]
fn nothing_leaves_while_offline_and_what_was_asked_is_kept() {
    let mut net = Network::new(Fixture::new(1), 6);
    let person = net.join(8);
    net.run_for(secs(5));
    for gateway in net.fixture.all(|role| matches!(role, xchat_directory::Role::Gateway)) {
        net.down.insert(gateway);
    }
    net.cut(person);
    let before = net.people[person].packets.len();
    let own = boxes(1, 3);
    for boxed in &own {
        net.tell(person, write(boxed));
    }
    net.run_for(secs(300));
    assert_eq!(net.people[person].packets.len(), before);
    net.down.clear();
    assert!(net.run_until(secs(120), |net| net.people[person].written().len() == 3));
}

/// Decoy lanes are written, read and followed like the owner's boxes, and the owner hears nothing of it.
#[test]
fn decoy_lanes_are_nobodys_business() {
    let mut fixture = Fixture::new(2).transparent();
    fixture.document.parameters.pace_override = Some(500);
    let mut net = Network::new(fixture, 77);
    let person = net.join(1);
    let written = |net: &Network| net.people[person].transport.decoys_seen(net.now).0;
    net.run_for(secs(2 * 3_600));
    let before = written(&net);
    assert!(before > 0, "they have a past");
    assert!(net.run_until(secs(8 * 3_600), |net| written(net) > before), "and go on");
    let status = net.people[person].transport.status(net.now);
    assert_eq!((status.followed, status.queued_writes, status.queued_reads), (0, 0, 0));
    assert_eq!(status.registered, 0);
    let quiet = |(_, event): &(_, Event)| matches!(event, Event::Status(_));
    assert!(net.people[person].events.iter().all(quiet));
    let (_, standing) = net.people[person].transport.decoys_seen(net.now);
    assert!(standing > 128, "the read set is full of decoys: {standing}");
}

/// What stores are asked for by a program that has just started is what they were asked for by the one before it.
#[test]
fn a_program_that_starts_again_registers_the_boxes_of_its_decoys_again() {
    let mut net = Network::new(Fixture::new(2).transparent(), 78);
    let person = net.join(1);
    net.run_for(secs(1_800));
    let before = net.people[person].transport.decoys_followed();
    let (stored, kept) = {
        let person = &net.people[person];
        (person.stored.clone(), person.kept_decoys.clone().expect("kept"))
    };
    net.leave_for_good(person);
    net.run_for(secs(600));

    let mut again = Person::with(&net.fixture, net.now, 2, stored.as_deref());
    again.transport.resume_decoys(kept.as_bytes()).expect("its own");
    let again = net.enter(again);
    let registered = |net: &Network| {
        let standing = net.people[again].transport.decoys_registered(net.now);
        standing.intersection(&before).count()
    };
    // The first box of each lane at once, the second within 20 min.
    assert!(net.run_until(secs(200), |net| registered(net) >= 30), "{}", registered(&net));
    let (again, new) = (registered(&net), net.people[again].transport.decoys_registered(net.now));
    assert!(new.len() < again + 10, "{again} of {}", new.len());
}
