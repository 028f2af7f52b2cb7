//! The gateway alone.

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use xchat_base::{Timestamp, Wire};
use xchat_sphinx::{
    ClientFrame, GatewayFrame, NodeFrame, PACKET_LEN, Packet, RefusalCode, ReplyTag,
};

use super::{Counters, Effect, Gateway, Input, SessionId};
use crate::StartError;
use crate::tests::fixture::{Fixture, T0, VALIDITY, rng, tag};

const ONE: SessionId = SessionId::new(1);
const TWO: SessionId = SessionId::new(2);

struct Bench {
    fixture: Fixture,
    gateway: Gateway,
    rng: ChaCha20Rng,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        let fixture = Fixture::new();
        let gateway = Gateway::new(fixture.gateway(0).id, fixture.sign()).expect("listed");
        Self { fixture, gateway, rng: rng(1), now: T0 }
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        self.gateway.handle(input, self.now, &mut self.rng)
    }

    fn client(&mut self, session: SessionId, frame: &ClientFrame) -> Vec<Effect> {
        self.handle(Input::ClientFrame { session, bytes: frame.to_wire() })
    }

    fn welcome(&mut self, session: SessionId, tags: Vec<ReplyTag>) {
        assert!(self.handle(Input::ClientOpened { session }).is_empty());
        let effects = self.client(session, &ClientFrame::Hello { tags });
        let [Effect::ToClient { session: to, bytes }] = &effects[..] else {
            panic!("one frame: {effects:?}");
        };
        assert_eq!(*to, session);
        assert!(matches!(GatewayFrame::from_wire(bytes), Ok(GatewayFrame::Welcome { .. })));
    }

    /// A packet from a mix with this reply tag.
    fn reply(&mut self, layer: u8, tag: ReplyTag) -> Vec<Effect> {
        let from = self.fixture.mix(layer, 0).id;
        let bytes = NodeFrame { tag, packet: packet() }.to_bytes();
        self.handle(Input::NodeFrame { from, bytes })
    }
}

fn packet() -> Packet {
    Packet::from_bytes(&[7; PACKET_LEN]).expect("the right length")
}

fn reply_tag(n: u8) -> ReplyTag {
    ReplyTag::from_bytes([n; 16])
}

fn refused(session: SessionId, reason: RefusalCode) -> [Effect; 2] {
    let bytes = GatewayFrame::Refused(reason).to_wire();
    [Effect::ToClient { session, bytes }, Effect::CloseClient { session, reason }]
}

#[test]
fn packets_go_to_the_mix_they_name_and_replies_to_the_session_of_their_tag() {
    let mut bench = Bench::new();
    bench.welcome(ONE, vec![reply_tag(1)]);
    bench.welcome(TWO, vec![reply_tag(2)]);
    let mix = bench.fixture.mix(1, 1).id;
    let frame =
        ClientFrame::Packet { announce: reply_tag(3), first_hop: tag(&mix), packet: packet() };
    let to_mix = Effect::ToNode { to: mix, bytes: NodeFrame::to_node(packet()).to_bytes() };
    assert_eq!(bench.client(TWO, &frame), [to_mix]);

    for (tag, session) in [(2, TWO), (1, ONE), (3, TWO)] {
        let bytes = GatewayFrame::Packet(packet()).to_wire();
        assert_eq!(bench.reply(3, reply_tag(tag)), [Effect::ToClient { session, bytes }]);
    }
    assert!(bench.reply(3, reply_tag(1)).is_empty(), "a tag is spent by its reply");
    assert!(bench.reply(3, ReplyTag::NONE).is_empty());
    assert!(bench.reply(2, reply_tag(1)).is_empty(), "not the last layer");
    let expected = Counters {
        to_mixes: 1,
        to_clients: 3,
        unknown_tag: 2,
        unknown_peer: 1,
        sessions: 2,
        ..Counters::default()
    };
    assert_eq!(bench.gateway.counters(), expected);
}

#[test]
fn a_first_hop_that_is_no_mix_of_the_first_layer_is_refused() {
    let fixture = Fixture::new();
    let others = [fixture.mix(2, 0).id, fixture.store(0).id, fixture.gateway(1).id];
    for other in others {
        let mut bench = Bench::new();
        bench.welcome(ONE, Vec::new());
        let first_hop = tag(&other);
        let frame = ClientFrame::Packet { announce: reply_tag(3), first_hop, packet: packet() };
        assert_eq!(bench.client(ONE, &frame), refused(ONE, RefusalCode::UnknownMix));
        let counters = bench.gateway.counters();
        assert_eq!((counters.unknown_mix, counters.sessions, counters.tags), (1, 0, 0));
    }
}

#[test]
fn frames_out_of_place_end_the_session() {
    let hello = ClientFrame::Hello { tags: vec![reply_tag(1)] };
    let ask = ClientFrame::GetDocument { newer_than: 0 };

    let mut bench = Bench::new();
    bench.handle(Input::ClientOpened { session: ONE });
    assert_eq!(bench.client(ONE, &ask), refused(ONE, RefusalCode::Malformed), "before the hello");
    assert!(bench.client(ONE, &hello).is_empty(), "the session is gone");
    bench.welcome(TWO, Vec::new());
    assert_eq!(bench.client(TWO, &hello), refused(TWO, RefusalCode::Malformed), "a second hello");
    bench.handle(Input::ClientOpened { session: ONE });
    let zero = ClientFrame::Hello { tags: vec![ReplyTag::NONE] };
    assert_eq!(bench.client(ONE, &zero), refused(ONE, RefusalCode::Malformed), "the zero tag");
    assert_eq!((bench.gateway.counters().sessions, bench.gateway.counters().tags), (0, 0));
}

#[test]
fn sessions_are_bounded_and_leave_nothing_behind() {
    let mut bench = Bench::new();
    bench.gateway.max_sessions = 1;
    bench.welcome(ONE, vec![reply_tag(1)]);
    assert_eq!(bench.handle(Input::ClientOpened { session: TWO }), refused(TWO, RefusalCode::Busy));
    assert_eq!(bench.gateway.counters().full, 1);
    assert!(bench.handle(Input::ClientClosed { session: ONE }).is_empty());
    assert_eq!((bench.gateway.counters().sessions, bench.gateway.counters().tags), (0, 0));
    bench.welcome(TWO, vec![reply_tag(1)]);
}

#[test]
fn the_document_is_served_when_it_is_newer_and_replaced_by_its_successor_only() {
    let mut bench = Bench::new();
    bench.welcome(ONE, Vec::new());
    let served = |bench: &mut Bench, newer_than| match &bench
        .client(ONE, &ClientFrame::GetDocument { newer_than })[..]
    {
        [Effect::ToClient { bytes, .. }] => match GatewayFrame::from_wire(bytes) {
            Ok(GatewayFrame::Document(document)) => document,
            other => panic!("not a document: {other:?}"),
        },
        other => panic!("not one frame: {other:?}"),
    };
    let first = bench.fixture.sign();
    assert_eq!(served(&mut bench, 0), Some(first.signed().to_wire()));
    assert_eq!(served(&mut bench, 1), None);

    bench.handle(Input::Document(first));
    assert_eq!(bench.gateway.counters().refused_documents, 1);
    bench.fixture.next_epoch();
    let second = bench.fixture.sign();
    bench.handle(Input::Document(second.clone()));
    assert_eq!(bench.gateway.counters().refused_documents, 1);
    assert_eq!(served(&mut bench, 1), Some(second.signed().to_wire()));
}

#[test]
fn without_a_valid_document_nobody_is_welcome() {
    let mut bench = Bench::new();
    bench.now = T0 + VALIDITY;
    bench.handle(Input::ClientOpened { session: ONE });
    let hello = ClientFrame::Hello { tags: Vec::new() };
    assert_eq!(bench.client(ONE, &hello), refused(ONE, RefusalCode::NoDocument));
}

#[test]
fn only_a_listed_gateway_starts() {
    let fixture = Fixture::new();
    let start = |id| Gateway::new(id, fixture.sign()).err();
    assert!(matches!(start(fixture.mix(1, 0).id), Some(StartError::OtherRole { .. })));
    let stranger = xchat_directory::NodeId::from_bytes([200; 32]);
    assert!(matches!(start(stranger), Some(StartError::NotListed { .. })));
}

proptest! {
    #[test]
    fn arbitrary_frames_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), welcomed: bool) {
        let mut bench = Bench::new();
        bench.handle(Input::ClientOpened { session: ONE });
        if welcomed {
            bench.client(ONE, &ClientFrame::Hello { tags: Vec::new() });
        }
        let from = bench.fixture.mix(3, 0).id;
        bench.handle(Input::NodeFrame { from, bytes: bytes.clone() });
        bench.handle(Input::ClientFrame { session: ONE, bytes });
        prop_assert!(bench.gateway.counters().malformed >= 1);
    }
}
