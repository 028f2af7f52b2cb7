//! Sessions that go on over another link.

use std::net::Ipv4Addr;

use xchat_directory::Role;
use xchat_node::gateway::{Counters, Limits, RESUME_FOR};

use super::fixture::{Fixture, boxes};
use super::network::Network;
use super::person::{secs, write};

fn is_online(net: &Network, person: usize) -> bool {
    let state = net.people[person].transport.status(net.now).gateway;
    matches!(state, crate::GatewayState::Online { .. })
}

/// The link breaks, and there is a session again.
fn cut(net: &mut Network, person: usize) {
    net.cut(person);
    assert!(!is_online(net, person));
    assert!(net.run_until(secs(20), |net| is_online(net, person)));
}

fn added_up(net: &Network, of: impl Fn(Counters) -> u64) -> u64 {
    net.gateway_counters().into_iter().map(of).sum()
}

#[test]
fn a_session_whose_link_was_lost_goes_on_without_new_work() {
    let mut net = Network::new(Fixture::new(1).transparent(), 3);
    let person = net.join(1);
    net.run_for(secs(10));
    for times in 1..=5 {
        cut(&mut net, person);
        net.run_for(secs(10));
        assert_eq!(net.people[person].efforts.len(), 1, "the work of the beginning");
        assert_eq!(added_up(&net, |counters| counters.resumed), times);
    }
    let first = net.people[person].tried[0];
    assert!(net.people[person].tried.iter().all(|tried| *tried == first));
    net.tell(person, write(&boxes(1, 1)[0]));
    assert!(net.run_until(secs(20), |net| net.people[person].written().len() == 1));
}

#[test]
fn from_another_address_it_begins_anew() {
    let mut net = Network::new(Fixture::new(1).transparent(), 3);
    let person = net.join(1);
    net.run_for(secs(10));
    for (address, efforts) in [(Some(Ipv4Addr::new(10, 0, 0, 2).into()), 2), (None, 3), (None, 4)] {
        net.people[person].address = address;
        cut(&mut net, person);
        net.run_for(secs(10));
        assert_eq!(net.people[person].efforts.len(), efforts, "{address:?}");
    }
    assert_eq!(added_up(&net, |counters| counters.resumed), 0);
}

#[test]
fn after_two_minutes_away_it_begins_anew() {
    let mut net = Network::new(Fixture::new(1).transparent(), 3);
    let person = net.join(1);
    net.run_for(secs(10));
    let gateways = net.fixture.all(|role| matches!(role, Role::Gateway));
    net.cut(person);
    net.down.extend(gateways);
    net.run_for(RESUME_FOR + secs(1));
    net.down.clear();
    assert!(net.run_until(secs(180), |net| is_online(net, person)));
    assert_eq!(net.people[person].efforts.len(), 2);
    assert_eq!(added_up(&net, |counters| counters.resumed), 0);
    assert_eq!(added_up(&net, |counters| counters.kept), 0, "no seat is kept for ever");
}

#[test]
fn a_full_gateway_keeps_the_seat_of_a_lost_link_for_its_owner() {
    let limits = Limits { max_sessions: 1, effort: 16 };
    let mut net = Network::with_limits(Fixture::new(1).transparent(), 3, limits);
    let inside = [net.join(1), net.join(2)];
    assert!(net.run_until(secs(60), |net| inside.iter().all(|person| is_online(net, *person))));
    let outside = net.join(3);
    net.run_for(secs(60));
    for person in inside {
        cut(&mut net, person);
        net.run_for(secs(60));
        assert_eq!(net.people[person].efforts.len(), 1);
        assert!(!is_online(&net, outside), "there is no room");
    }
    net.leave_for_good(inside[0]);
    assert!(net.run_until(secs(300), |net| is_online(net, outside)), "now there is");
}
