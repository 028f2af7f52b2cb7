//! Gateways' own loops, and what they show of somebody who meddles.

use std::collections::BTreeSet;
use std::time::Duration;

use xchat_base::random;
use xchat_directory::NodeId;
use xchat_sphinx::{Hop, HopAddress, HopSecret, NodeFrame, ReplyTag, Route, loop_packet};
use xchat_transparent::Transparent;

use super::fixture::{FixtureNode, tag};
use super::network::{Meddling, Network};
use crate::gateway::{LOOP_GAP, LoopReport};

const MINUTE: Duration = Duration::from_secs(60);

fn report(net: &Network, gateway: usize) -> LoopReport {
    net.gateway(&net.fixture.gateway(gateway).id).loop_report()
}

/// Sent, back and lost.
fn counts(net: &Network, gateway: usize) -> (u64, u64, u64) {
    let counters = net.gateway(&net.fixture.gateway(gateway).id).counters();
    (counters.loops, counters.loops_back, counters.loops_lost)
}

/// Seconds until the first gateway names a mix, at most `within`; whom it names then.
fn named_after(net: &mut Network, within: Duration) -> (Duration, Vec<NodeId>) {
    let begun = net.now;
    while report(net, 0).failing.is_empty() && net.now.since(begun) < within {
        net.run_for(Duration::from_secs(1));
    }
    (net.now.since(begun), report(net, 0).failing)
}

#[test]
fn loops_come_back_when_nobody_meddles_and_nobody_is_blamed() {
    let mut net = Network::with_loops(1);
    let quiet = LoopReport::default();
    for _ in 0..10 {
        net.run_for(MINUTE);
        assert_eq!((report(&net, 0), report(&net, 1)), (quiet.clone(), quiet.clone()));
    }
    for gateway in 0..2 {
        let (sent, back, lost) = counts(&net, gateway);
        let expected = 10 * 60 / LOOP_GAP.as_secs();
        assert!(sent.abs_diff(expected) < 5 * expected.isqrt(), "{sent} of {expected}");
        assert_eq!(lost, 0);
        assert!(sent - back < 8, "{back} of {sent} are back");
    }
}

/// An n−1 attack: nothing reaches a mix but what the attacker lets through, its own packets and the one that it follows.
#[test]
fn a_mix_from_which_the_packets_of_others_are_kept_is_named() {
    for layer in 1..=3 {
        let mut net = Network::with_loops(u64::from(layer));
        net.run_for(MINUTE);
        let victim = net.fixture.mix(layer, 0).id;
        let before: Vec<_> = if layer == 1 {
            vec![net.fixture.gateway(0).id]
        } else {
            (0..2).map(|n| net.fixture.mix(layer - 1, n).id).collect()
        };
        net.meddle(&before, &[victim], Meddling::Drop);
        let (after, named) = named_after(&mut net, 3 * MINUTE);
        assert_eq!(named, [victim], "layer {layer}");
        assert!(after <= MINUTE, "{after:?}");
        // And it stays named for as long as it goes on, and nobody else ever is.
        for _ in 0..120 {
            net.run_for(Duration::from_secs(2));
            assert_eq!(report(&net, 0).failing, [victim]);
        }
        assert!(report(&net, 0).losing);
    }
}

/// Loops through a mix that is down take two others with them each time.
#[test]
fn a_mix_that_is_down_from_the_start_is_named_and_no_other_and_not_for_long_when_it_is_back() {
    for seed in 20..28 {
        let mut net = Network::with_loops_of(seed, &Transparent);
        let down = net.fixture.mix(2, 0).id;
        net.take_down(down);
        for _ in 0..60 {
            net.run_for(Duration::from_secs(2));
            assert!([&[][..], &[down]].contains(&&report(&net, 0).failing[..]), "seed {seed}");
        }
        assert_eq!(report(&net, 0).failing, [down], "seed {seed}");
        net.bring_up(down);
        net.run_for(5 * MINUTE);
        assert_eq!(report(&net, 0), LoopReport::default(), "seed {seed}");
    }
}

#[test]
fn of_two_that_are_down_each_is_named_for_as_long_as_it_is() {
    for seed in 40..48 {
        let mut net = Network::with_loops_of(seed, &Transparent);
        net.run_for(MINUTE);
        let down = [net.fixture.mix(1, 0).id, net.fixture.mix(2, 0).id];
        down.into_iter().for_each(|mix| net.take_down(mix));
        net.run_for(5 * MINUTE);
        let named: BTreeSet<_> = report(&net, 0).failing.into_iter().collect();
        assert_eq!(named, BTreeSet::from(down), "seed {seed}");
        net.bring_up(down[0]);
        // One loop in four passes it and not the other one.
        net.run_for(10 * MINUTE);
        assert_eq!(report(&net, 0).failing, [down[1]], "seed {seed}");
    }
}

#[test]
fn a_mix_that_drops_a_third_is_named_for_most_of_the_time() {
    let mut net = Network::with_loops(30);
    let (dropper, next) = (net.fixture.mix(2, 1).id, [0, 1].map(|n| net.fixture.mix(3, n).id));
    net.meddle(&[dropper], &next, Meddling::DropEvery(3));
    let (after, named) = named_after(&mut net, 5 * MINUTE);
    assert_eq!(named, [dropper], "after {after:?}");
    let mut named = 0;
    for _ in 0..150 {
        net.run_for(Duration::from_secs(2));
        let failing = report(&net, 0).failing;
        assert!([&[][..], &[dropper]].contains(&&failing[..]));
        named += failing.len();
    }
    assert!(named >= 120, "{named} of 150");
}

/// The attacker's other half alone: a flood that replaces nothing. It harms nobody, and nobody is blamed for it.
#[test]
fn a_flood_that_keeps_nothing_from_a_mix_is_no_alarm() {
    let mut net = Network::with_loops(9);
    let (attacker, victim) = (net.fixture.gateway(1).id, net.fixture.mix(1, 0).id);
    let own = HopSecret::random(&mut net.rng);
    let hop =
        |node: &FixtureNode| Hop { address: HopAddress::node(tag(&node.id)), key: node.hop_key() };
    for _ in 0..120 * 20 {
        let back = HopAddress::client(tag(&attacker), ReplyTag::random(&mut net.rng));
        let end = Hop { address: back, key: own.public() };
        let layers = [1, 2, 3].map(|layer| hop(net.fixture.mix(layer, 0)));
        let [a, b, c] = layers;
        let route: Route = [a, b, c, end];
        let mean = Duration::from_millis(50);
        let mut draw = || random::exponential(&mut net.rng, mean);
        let delays = [draw(), draw(), draw(), Duration::ZERO];
        let (_, packet, _) = loop_packet(&mut net.rng, &route, &delays).expect("a loop");
        net.packet(attacker, victim, NodeFrame::to_node(packet).to_bytes());
        net.run_for(Duration::from_millis(50));
    }
    assert_eq!(report(&net, 0), LoopReport::default());
    assert_eq!(counts(&net, 0).2, 0, "and no loop is lost");
}

#[test]
fn a_mix_that_delays_or_changes_packets_is_named() {
    for how in [Meddling::Delay(Duration::from_secs(4)), Meddling::Tag] {
        let mut net = Network::with_loops(4);
        let (liar, next) = (net.fixture.mix(2, 1).id, [0, 1].map(|n| net.fixture.mix(3, n).id));
        net.meddle(&[liar], &next, how);
        let (after, named) = named_after(&mut net, 3 * MINUTE);
        assert_eq!(named, [liar], "{how:?} after {after:?}");
    }
}

/// Whoever gets its packets refuses them, and so the gateways name it too.
#[test]
fn a_mix_that_sends_packets_twice_is_refused_by_the_next_and_named() {
    for layer in 1..=3 {
        let mut net = Network::with_loops(60 + u64::from(layer));
        net.run_for(MINUTE);
        let liar = net.fixture.mix(layer, 1).id;
        let gateways = [0, 1].map(|n| net.fixture.gateway(n).id);
        let next = match layer {
            3 => gateways.to_vec(),
            _ => [0, 1].map(|n| net.fixture.mix(layer + 1, n).id).to_vec(),
        };
        net.meddle(&[liar], &next, Meddling::Double);
        let (after, named) = named_after(&mut net, 5 * MINUTE);
        assert_eq!(named, [liar], "layer {layer} after {after:?}");
        for node in next {
            let who = match layer {
                3 => net.gateway(&node).repeating(net.now),
                _ => net.mix(&node).repeating(net.now),
            };
            assert_eq!(who, [liar], "layer {layer}");
        }
    }
}

#[test]
fn with_a_whole_layer_gone_no_mix_is_named_and_the_loss_is_told() {
    let mut net = Network::with_loops_of(5, &Transparent);
    net.run_for(MINUTE);
    for n in 0..2 {
        let mix = net.fixture.mix(2, n).id;
        net.take_down(mix);
    }
    net.run_for(2 * MINUTE);
    assert_eq!(report(&net, 0), LoopReport { failing: Vec::new(), losing: true });
}
