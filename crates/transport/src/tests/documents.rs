//! Network documents: asked for on a schedule, checked, never taken back.

use std::time::Duration;

use xchat_base::Wire;
use xchat_directory::Role;
use xchat_node::gateway;
use xchat_sphinx::GatewayFrame;

use super::fixture::{Fixture, boxes};
use super::network::{Core, Network};
use super::person::{Person, follow, secs, write};
use crate::Input;

fn give_to_gateways(net: &mut Network) {
    let (document, now) = (net.fixture.sign(), net.now);
    for core in net.cores.values_mut() {
        if let Core::Gateway(core) = core {
            let mut rng = super::fixture::rng(1);
            core.handle(gateway::Input::Document(document.clone()), now, &mut rng);
        }
    }
}

#[test]
fn a_newer_document_is_fetched_from_the_gateway_and_kept() {
    let mut fixture = Fixture::new(1);
    fixture.document.parameters.pace_override = Some(200);
    let mut net = Network::new(fixture, 1);
    let person = net.join(1);
    net.run_for(secs(3));
    net.fixture.next_epoch();
    give_to_gateways(&mut net);
    net.run_for(secs(3_700));
    let someone = &net.people[person];
    assert_eq!(someone.transport.status(net.now).document_epoch, 2);
    // Started again with the old file, it does not go back.
    let mut old = Fixture::new(1);
    old.document.parameters = net.fixture.document.parameters.clone();
    let again = Person::with(&old, net.now, 5, someone.stored.as_deref());
    assert_eq!(again.transport.status(net.now).document_epoch, 2);
}

#[test]
fn older_foreign_and_broken_documents_are_refused() {
    let mut net = Network::new(Fixture::new(1), 2);
    let person = net.join(1);
    net.run_for(secs(3));
    let first = net.fixture.signed().to_wire();
    net.fixture.next_epoch();
    let second = net.fixture.signed().to_wire();
    let mut broken = second.clone();
    *broken.last_mut().expect("not empty") ^= 1;
    for (bytes, epoch) in [(broken, 1), (first.clone(), 1), (second, 2), (first, 2)] {
        let frame = GatewayFrame::Document(Some(bytes)).to_wire();
        net.tell(person, Input::Frame(frame));
        assert_eq!(net.people[person].transport.status(net.now).document_epoch, epoch);
    }
    assert_eq!(net.people[person].transport.status(net.now).refused_answers, 3);
}

/// A registration fixes the way of its delivery: over a mix that is listed no more nothing would come until it is renewed.
#[test]
fn what_would_be_delivered_over_a_mix_that_is_listed_no_more_is_registered_anew() {
    let mut net = Network::new(Fixture::new(2).transparent(), 4);
    let person = net.join(1);
    let own = boxes(1, 30);
    for boxed in &own {
        net.tell(person, follow(boxed.id()));
    }
    let over = |net: &Network, mix| net.people[person].transport.registered_over(&mix, net.now);
    let gone = net.fixture.all(|role| *role == Role::Mix { layer: 2 })[1];
    let registered = |net: &Network| net.people[person].transport.status(net.now).registered;
    assert!(net.run_until(secs(30), |net| registered(net) == own.len()));
    assert!(over(&net, gone).1 > 0);
    net.fixture.next_epoch();
    net.fixture.document.descriptors.retain(|node| node.id != gone);
    let newer = GatewayFrame::Document(Some(net.fixture.signed().to_wire())).to_wire();
    net.tell(person, Input::Frame(newer));
    assert_eq!(net.people[person].transport.status(net.now).document_epoch, 2);
    let is_anew = |net: &Network| registered(net) == own.len() && over(net, gone).1 == 0;
    assert!(net.run_until(secs(30), is_anew));
}

#[test]
fn nothing_is_emitted_on_an_expired_document_until_a_newer_one_comes() {
    let mut fixture = Fixture::new(1);
    fixture.document.valid_until = super::fixture::T0 + secs(120);
    let mut net = Network::new(fixture, 3);
    let person = net.join(1);
    net.run_for(secs(30));
    assert!(!net.people[person].packets.is_empty());
    net.run_for(secs(31));
    let before = net.people[person].packets.len();
    net.tell(person, write(&boxes(1, 1)[0]));
    net.run_for(secs(20));
    assert_eq!(net.people[person].packets.len(), before);
    assert!(net.people[person].transport.status(net.now).empty_slots > 0);

    net.fixture.next_epoch();
    net.fixture.document.valid_until = net.now + Duration::from_secs(86_400);
    give_to_gateways(&mut net);
    assert!(net.run_until(secs(60), |net| net.people[person].packets.len() > before));
}
