//! A mix alone.

use std::time::Duration;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use xchat_base::Timestamp;
use xchat_directory::descriptor::MAX_HOP_KEYS;
use xchat_directory::{HopKeyPeriod, NodeId, Role};
use xchat_sphinx::{Delays, HopAddress, HopKey, HopSecret, NodeFrame, Packet, ReplyTag, Route};

use super::{Counters, Effect, Input, MAX_DELAYED, MAX_LATENESS, MIN_DELAY_LIMIT, Mix};
use crate::StartError;
use crate::hop::{HopSetup, KEY_GRACE, MAX_REPLAY_TAGS};
use crate::repeats::{MAX_REPEATS, REPEATING_FOR};
use crate::tests::fixture::{Fixture, T0, VALIDITY, rng, tag};
use crate::tests::peeled;

const DELAY: Duration = Duration::from_millis(70);
const DELAYS: Delays = [DELAY; 4];

struct Bench {
    fixture: Fixture,
    mix: Mix,
    layer: u8,
    rng: ChaCha20Rng,
    now: Timestamp,
}

impl Bench {
    /// The first mix of a layer.
    fn new(layer: u8) -> Self {
        Self::with_bounds(layer, MAX_DELAYED, MAX_REPLAY_TAGS)
    }

    fn with_bounds(layer: u8, max_delayed: usize, max_tags: usize) -> Self {
        let fixture = Fixture::new();
        let node = fixture.mix(layer, 0);
        let (id, setup) = (node.id, node.hop_setup());
        let (mix, _) =
            Mix::with_bounds(id, fixture.sign(), setup, T0, max_delayed, max_tags).expect("listed");
        Self { fixture, mix, layer, rng: rng(2), now: T0 }
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        self.mix.handle(input, self.now, &mut self.rng)
    }

    /// A packet as it arrives here, of the usual route changed by `change`.
    fn packet(&mut self, delays: &Delays, change: impl Fn(&Fixture, &mut Route)) -> Packet {
        let mut route = peeled::route(&self.fixture);
        change(&self.fixture, &mut route);
        let at = usize::from(self.layer - 1);
        peeled::packet(&self.fixture, &mut self.rng, (&route, delays), b"hi", at)
    }

    fn usual_packet(&mut self) -> Packet {
        self.packet(&DELAYS, |_, _| {})
    }

    /// Where packets for this mix come from.
    fn before(&self) -> NodeId {
        match self.layer {
            1 => self.fixture.gateway(0).id,
            layer => self.fixture.mix(layer - 1, 0).id,
        }
    }

    fn receive(&mut self, packet: &Packet) -> Vec<Effect> {
        let bytes = NodeFrame::to_node(packet.clone()).to_bytes();
        self.handle(Input::NodeFrame { from: self.before(), bytes })
    }

    /// The nodes to which packets go when all that waits is due.
    fn flush(&mut self, span: Duration) -> Vec<NodeId> {
        self.now = self.now + span;
        let sent = self.handle(Input::Timer).into_iter().filter_map(|effect| match effect {
            Effect::ToNode { to, .. } => Some(to),
            _ => None,
        });
        sent.collect()
    }
}

#[test]
fn a_packet_leaves_at_its_time_for_the_next_layer() {
    for (layer, next) in [(1, 0), (2, 0), (3, 0)] {
        let mut bench = Bench::new(layer);
        let packet = bench.usual_packet();
        let effects = bench.receive(&packet);
        let [Effect::RememberTags { key, tags }, Effect::WakeAt(due)] = &effects[..] else {
            panic!("remembered and queued: {effects:?}");
        };
        assert_eq!((*key, tags.len()), (bench.fixture.mix(layer, 0).hop_key(), 1));
        assert_eq!(*due, T0 + DELAY);
        assert!(bench.flush(DELAY - Duration::from_micros(1)).is_empty(), "not a moment early");
        let to = match layer {
            3 => bench.fixture.store(next).id,
            layer => bench.fixture.mix(layer + 1, next).id,
        };
        assert_eq!(bench.flush(Duration::from_micros(1)), [to]);
        assert!(bench.flush(DELAY).is_empty());
        assert_eq!(bench.mix.counters().forwarded, 1);
    }
}

#[test]
fn replays_are_refused_also_after_a_restart() {
    let mut bench = Bench::new(1);
    let packet = bench.usual_packet();
    let effects = bench.receive(&packet);
    let Some(Effect::RememberTags { key, tags }) = effects.first() else {
        panic!("remembered first: {effects:?}");
    };
    assert!(bench.receive(&packet).is_empty());
    assert_eq!(bench.mix.counters().replays, 1);

    let node = bench.fixture.mix(1, 0);
    let remembered = vec![(*key, tags.clone())];
    let setup = HopSetup { remembered, ..node.hop_setup() };
    bench.mix = Mix::new(node.id, bench.fixture.sign(), setup, T0).expect("listed").0;
    assert!(!bench.receive(&packet).iter().any(|e| matches!(e, Effect::RememberTags { .. })));
    assert_eq!(bench.mix.counters().replays, 1);
    assert_eq!(bench.mix.counters().remembered, 1);
}

/// A mix sends a packet once; a gateway's clients may send one as often as they like.
#[test]
fn a_mix_that_sends_packets_twice_is_refused_for_an_hour_and_a_gateway_is_not() {
    for layer in 1..=3 {
        let mut bench = Bench::new(layer);
        let packet = bench.usual_packet();
        bench.receive(&packet);
        for _ in 0..MAX_REPEATS {
            assert!(bench.mix.repeating(bench.now).is_empty());
            bench.receive(&packet);
        }
        assert_eq!(bench.mix.repeating(bench.now), [bench.before()]);
        let other = bench.usual_packet();
        let is_taken = |effects: &[Effect]| {
            effects.iter().any(|effect| matches!(effect, Effect::RememberTags { .. }))
        };
        let taken = bench.receive(&other);
        assert_eq!(
            (is_taken(&taken), bench.mix.counters().refused_peer),
            (layer == 1, u64::from(layer != 1))
        );
        bench.flush(REPEATING_FOR);
        assert!(bench.mix.repeating(bench.now).is_empty());
        let other = bench.usual_packet();
        assert!(is_taken(&bench.receive(&other)), "layer {layer}");
    }
}

#[test]
fn frames_from_anywhere_but_the_layer_before_are_dropped() {
    let fixture = Fixture::new();
    let gateway = fixture.gateway(0).id;
    let store = fixture.store(0).id;
    let mix = |layer| fixture.mix(layer, 1).id;
    let stranger = NodeId::from_bytes([200; 32]);
    let cases = [
        (1, vec![gateway, store], vec![mix(1), mix(2), mix(3), stranger]),
        (2, vec![mix(1)], vec![gateway, store, mix(2), mix(3), stranger]),
        (3, vec![mix(2)], vec![gateway, store, mix(1), mix(3), stranger]),
    ];
    for (layer, welcome, unknown) in cases {
        let mut bench = Bench::new(layer);
        for from in welcome {
            let bytes = NodeFrame::to_node(bench.usual_packet()).to_bytes();
            assert!(!bench.handle(Input::NodeFrame { from, bytes }).is_empty());
        }
        assert_eq!(bench.mix.counters().unknown_peer, 0);
        for (count, from) in (1..).zip(unknown) {
            let bytes = NodeFrame::to_node(bench.usual_packet()).to_bytes();
            assert!(bench.handle(Input::NodeFrame { from, bytes }).is_empty());
            assert_eq!(bench.mix.counters().unknown_peer, count);
        }
    }
}

#[test]
fn packets_for_a_hop_that_does_not_follow_go_nowhere() {
    type Change = fn(&Fixture, &mut Route);
    fn node(id: &NodeId) -> HopAddress {
        HopAddress::node(tag(id))
    }
    fn client(id: &NodeId) -> HopAddress {
        HopAddress::client(tag(id), ReplyTag::from_bytes([3; 16]))
    }
    let cases: [(u8, Change); 9] = [
        (1, |f, route| route[1].address = node(&f.mix(1, 1).id)),
        (1, |f, route| route[1].address = node(&f.mix(3, 0).id)),
        (1, |f, route| route[1].address = node(&f.store(0).id)),
        (1, |f, route| route[1].address = client(&f.gateway(0).id)),
        (1, |f, route| route[1].address = client(&f.mix(2, 0).id)),
        (1, |_, route| route[1].address = node(&NodeId::from_bytes([200; 32]))),
        (3, |f, route| route[3].address = node(&f.gateway(0).id)),
        (3, |f, route| route[3].address = client(&f.store(0).id)),
        (3, |f, route| route[3].address = node(&f.mix(1, 0).id)),
    ];
    for (layer, change) in cases {
        let mut bench = Bench::new(layer);
        let packet = bench.packet(&DELAYS, change);
        bench.receive(&packet);
        assert!(bench.flush(DELAY).is_empty());
        assert_eq!(bench.mix.counters().bad_next_hop, 1);
    }
    let mut bench = Bench::new(3);
    let packet = bench.packet(&DELAYS, |f, route| route[3].address = client(&f.gateway(1).id));
    bench.receive(&packet);
    assert_eq!(bench.flush(DELAY), [bench.fixture.gateway(1).id]);
}

#[test]
fn a_mix_that_a_packet_ends_at_drops_it() {
    let mut bench = Bench::new(1);
    let own = bench.fixture.mix(1, 0);
    let (address, key) = (HopAddress::node(tag(&own.id)), own.hop_key());
    let route = peeled::route(&bench.fixture);
    let [_, two, three, _] = route;
    let last = xchat_sphinx::Hop { address, key };
    let through = [xchat_sphinx::Hop { address: two.address, ..route[0] }, two, three, last];
    let packet = peeled::packet(&bench.fixture, &mut bench.rng, (&through, &DELAYS), b"hi", 3);
    bench.receive(&packet);
    assert!(bench.flush(DELAY).is_empty());
    assert_eq!(bench.mix.counters().bad_next_hop, 1);
}

#[test]
fn a_tagged_frame_is_not_for_a_mix() {
    let mut bench = Bench::new(1);
    let frame = NodeFrame { tag: ReplyTag::from_bytes([1; 16]), packet: bench.usual_packet() };
    let from = bench.before();
    assert!(bench.handle(Input::NodeFrame { from, bytes: frame.to_bytes() }).is_empty());
    assert_eq!(bench.mix.counters().unreadable, 1);
}

#[test]
fn queue_and_cache_are_bounded_and_delays_too() {
    let mut bench = Bench::with_bounds(1, 1, 3);
    for _ in 0..2 {
        let packet = bench.usual_packet();
        bench.receive(&packet);
    }
    let parked = bench.packet(&[MIN_DELAY_LIMIT + DELAY; 4], |_, _| {});
    bench.receive(&parked);
    let packet = bench.usual_packet();
    assert!(bench.receive(&packet).is_empty(), "nobody could tell a replay");
    assert_eq!(bench.flush(DELAY).len(), 1);
    let expected = Counters {
        received: 4,
        forwarded: 1,
        queue_full: 1,
        delay_too_long: 1,
        cache_full: 1,
        remembered: 3,
        ..Counters::default()
    };
    assert_eq!(bench.mix.counters(), expected);
}

#[test]
fn a_mix_that_was_suspended_does_not_send_what_is_late() {
    let mut bench = Bench::new(1);
    let packet = bench.usual_packet();
    bench.receive(&packet);
    assert!(bench.flush(DELAY + MAX_LATENESS + DELAY).is_empty());
    assert_eq!((bench.mix.counters().late, bench.mix.counters().waiting), (1, 0));
}

#[test]
fn keys_rotate_with_the_document() {
    let mut bench = Bench::new(1);
    let node = bench.fixture.mix(1, 0);
    let (id, old) = (node.id, node.hop_key());
    let half = VALIDITY / 2;
    let secret = HopSecret::random(&mut bench.rng);
    let new = secret.public();
    bench.handle(Input::AddSecret(secret));
    bench.fixture.next_epoch();
    bench.fixture.descriptor_mut(&id).hop_keys =
        [(old, T0, T0 + half), (new, T0 + DELAY, T0 + VALIDITY)]
            .map(|(key, from, until)| HopKeyPeriod { key: *key.as_bytes(), from, until })
            .to_vec();
    let document = bench.fixture.sign();
    bench.handle(Input::Document(document));

    let under = |bench: &mut Bench, key: HopKey| {
        let packet = bench.packet(&DELAYS, |_, route| route[0].key = key);
        match bench.receive(&packet).first() {
            Some(Effect::RememberTags { key, .. }) => Some(*key),
            _ => None,
        }
    };
    bench.now = T0 + half;
    assert_eq!(under(&mut bench, old), Some(old), "still within the grace");
    assert_eq!(under(&mut bench, new), Some(new));
    bench.now = T0 + half + KEY_GRACE;
    let effects = bench.handle(Input::Timer);
    assert!(effects.contains(&Effect::ForgetKey { key: old }), "{effects:?}");
    assert_eq!(under(&mut bench, old), None, "its secret is gone");
    assert_eq!(under(&mut bench, new), Some(new));
    assert_eq!(bench.mix.counters().remembered, 2, "and so is what was remembered under it");
}

/// All its hop keys have ended while it was suspended, and the next document comes before its timer does.
#[test]
fn a_mix_that_was_suspended_for_long_takes_the_keys_of_now() {
    let mut bench = Bench::new(1);
    let id = bench.fixture.mix(1, 0).id;
    let old = bench.fixture.mix(1, 0).hop_key();
    let period = |key: &HopKey, from, until| HopKeyPeriod { key: *key.as_bytes(), from, until };
    let mut listed = vec![period(&old, T0, T0 + VALIDITY)];
    let mut list = |bench: &mut Bench, count: usize, from: Timestamp| {
        for _ in 0..count {
            let secret = HopSecret::random(&mut bench.rng);
            listed.push(period(&secret.public(), from, from + VALIDITY));
            bench.handle(Input::AddSecret(secret));
        }
        bench.fixture.next_epoch();
        let all = bench.fixture.document.descriptors.iter_mut();
        all.flat_map(|node| &mut node.hop_keys).for_each(|key| key.until = from + VALIDITY);
        let last = listed.len() - MAX_HOP_KEYS.min(listed.len());
        bench.fixture.descriptor_mut(&id).hop_keys = listed[last..].to_vec();
        bench.fixture.document.valid_from = from;
        bench.fixture.document.valid_until = from + VALIDITY;
        let document = bench.fixture.sign();
        bench.handle(Input::Document(document));
        HopKey::from_bytes(listed[listed.len() - 1].key)
    };
    list(&mut bench, MAX_HOP_KEYS - 1, T0);
    bench.now = T0 + VALIDITY * 4;
    let now = bench.now;
    let new = list(&mut bench, MAX_HOP_KEYS, now);
    let packet = bench.packet(&DELAYS, |_, route| route[0].key = new);
    let effects = bench.receive(&packet);
    assert!(
        matches!(effects.first(), Some(Effect::RememberTags { key, .. }) if *key == new),
        "{effects:?}"
    );
}

#[test]
fn a_mix_that_the_document_moves_or_drops_follows() {
    let mut bench = Bench::new(1);
    let id = bench.fixture.mix(1, 0).id;
    bench.fixture.next_epoch();
    bench.fixture.descriptor_mut(&id).role = Role::Mix { layer: 2 };
    let document = bench.fixture.sign();
    bench.handle(Input::Document(document));
    assert_eq!(bench.mix.layer(), Some(2));
    let packet = bench.usual_packet();
    assert!(bench.receive(&packet).is_empty(), "gateways are not before layer 2");

    bench.fixture.next_epoch();
    bench.fixture.document.descriptors.retain(|node| node.id != id);
    let document = bench.fixture.sign();
    bench.handle(Input::Document(document));
    assert_eq!(bench.mix.layer(), None);
    assert!(bench.receive(&packet).is_empty());
    assert_eq!(bench.mix.counters().unknown_peer, 2);
}

#[test]
fn only_a_listed_mix_with_its_key_starts() {
    let fixture = Fixture::new();
    let start = |id, setup| Mix::new(id, fixture.sign(), setup, T0).err();
    let id = fixture.mix(1, 0).id;
    assert_eq!(start(id, HopSetup::default()), Some(StartError::NoHopKey { id }));
    let store = fixture.store(0);
    let other = start(store.id, store.hop_setup());
    assert!(matches!(other, Some(StartError::OtherRole { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_packets_never_panic_and_are_dropped(at in 0usize..2413, flip in 1u8.., cut: bool) {
        let mut bench = Bench::new(1);
        let mut bytes = NodeFrame::to_node(bench.usual_packet()).to_bytes();
        bytes[at] ^= flip;
        if cut {
            bytes.truncate(at);
        }
        let from = bench.before();
        bench.handle(Input::NodeFrame { from, bytes });
        let counters = bench.mix.counters();
        // A changed payload shows at the end of the route only: that is Sphinx.
        let header = 17 + 348;
        prop_assert_eq!(counters.unreadable, u64::from(cut || at < header));
    }
}
