//! The gateway alone.

use std::time::Duration;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use xchat_base::{Timestamp, Wire};
use xchat_sphinx::work::{SHARES, Search};
use xchat_sphinx::{
    Challenge, ClientFrame, GatewayFrame, LinkKey, NodeFrame, PACKET_LEN, Pace, Packet, Proof,
    Puzzle, RefusalCode, ReplyTag, SessionToken,
};

use super::{
    CHALLENGE_LIFETIME, Counters, Effect, Gateway, Input, Limits, MAX_EXCESS, MAX_OPENING,
    RESUME_FOR, SILENCE, SessionId,
};
use crate::StartError;
use crate::tests::fixture::{Fixture, T0, VALIDITY, rng, tag};

const ONE: SessionId = SessionId::new(1);
const TWO: SessionId = SessionId::new(2);

/// Little work, and still one number in 16 only.
const LIMITS: Limits = Limits { max_sessions: 100, effort: 16 };

struct Bench {
    fixture: Fixture,
    gateway: Gateway,
    rng: ChaCha20Rng,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        Self::with(LIMITS)
    }

    fn with(limits: Limits) -> Self {
        let fixture = Fixture::new();
        let gateway = Gateway::new(fixture.gateway(0).id, fixture.sign(), limits).expect("listed");
        Self { fixture, gateway, rng: rng(1), now: T0 }
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        self.gateway.handle(input, self.now, &mut self.rng)
    }

    fn client(&mut self, session: SessionId, frame: &ClientFrame) -> Vec<Effect> {
        self.handle(Input::ClientFrame { session, bytes: frame.to_wire() })
    }

    /// A link, which wants a session.
    fn open(&mut self, session: SessionId) -> Vec<Effect> {
        let link = link(session);
        self.handle(Input::ClientOpened { session, link });
        self.client(session, &ClientFrame::Open)
    }

    fn challenge(&mut self, session: SessionId) -> Challenge {
        challenge_in(&self.open(session))
    }

    fn hello(&self, session: SessionId, tags: Vec<ReplyTag>, challenge: Challenge) -> ClientFrame {
        let gateway = LinkKey::from_bytes(*self.fixture.gateway(0).id.as_bytes());
        let puzzle = Puzzle::new(&gateway, &link(session), challenge);
        let proof = Search::new(puzzle).finish().expect("little work");
        ClientFrame::Hello { pace: Pace::Desk, tags, proof }
    }

    fn welcome(&mut self, session: SessionId, tags: Vec<ReplyTag>) -> Vec<Effect> {
        let challenge = self.challenge(session);
        let hello = self.hello(session, tags, challenge);
        let effects = self.client(session, &hello);
        assert_eq!(frames(&effects), ["welcome"], "{effects:?}");
        effects
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

fn link(session: SessionId) -> LinkKey {
    LinkKey::from_bytes(if session == ONE { [1; 32] } else { [2; 32] })
}

fn challenge_in(effects: &[Effect]) -> Challenge {
    let mut challenges = effects.iter().filter_map(|effect| match effect {
        Effect::ToClient { bytes, .. } => match GatewayFrame::from_wire(bytes) {
            Ok(GatewayFrame::Challenge(challenge)) => Some(challenge),
            _ => None,
        },
        _ => None,
    });
    challenges.next_back().unwrap_or_else(|| panic!("no challenge: {effects:?}"))
}

/// The frames to clients, by name; refusals with their code.
fn frames(effects: &[Effect]) -> Vec<String> {
    let named = effects.iter().filter_map(|effect| match effect {
        Effect::ToClient { bytes, .. } => Some(match GatewayFrame::from_wire(bytes) {
            Ok(GatewayFrame::Welcome { .. }) => "welcome".to_owned(),
            Ok(GatewayFrame::Challenge(_)) => "challenge".to_owned(),
            Ok(GatewayFrame::Document(_)) => "document".to_owned(),
            Ok(GatewayFrame::Packet(_)) => "packet".to_owned(),
            Ok(GatewayFrame::Refused { code, .. }) => format!("{code:?}"),
            Err(error) => panic!("our own frame: {error}"),
        }),
        _ => None,
    });
    named.collect()
}

fn refused(session: SessionId, code: RefusalCode) -> [Effect; 2] {
    let bytes = GatewayFrame::Refused { code, retry_after_secs: 0 }.to_wire();
    [Effect::ToClient { session, bytes }, Effect::CloseClient { session, reason: code }]
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
        welcomed: 2,
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
    let ask = ClientFrame::GetDocument { newer_than: 0 };
    let out_of_place = |bench: &mut Bench, frame: &ClientFrame, what: &str| {
        let effects = bench.client(ONE, frame);
        assert_eq!(effects[..2], refused(ONE, RefusalCode::Malformed), "{what}");
        assert!(bench.client(ONE, frame).is_empty(), "{what}: the session is gone");
        assert_eq!((bench.gateway.counters().sessions, bench.gateway.counters().tags), (0, 0));
    };

    let mut bench = Bench::new();
    bench.handle(Input::ClientOpened { session: ONE, link: link(ONE) });
    out_of_place(&mut bench, &ask, "a question without a session");

    bench.handle(Input::ClientOpened { session: ONE, link: link(ONE) });
    let proof = Proof::from_numbers([[0; 4]; SHARES]);
    let hello = ClientFrame::Hello { pace: Pace::Desk, tags: Vec::new(), proof };
    out_of_place(&mut bench, &hello, "a hello without a challenge");

    bench.challenge(ONE);
    out_of_place(&mut bench, &ClientFrame::Open, "a second challenge");

    let challenge = bench.challenge(ONE);
    let zero = bench.hello(ONE, vec![ReplyTag::NONE], challenge);
    out_of_place(&mut bench, &zero, "the zero tag");

    let challenge = bench.challenge(ONE);
    let hello = bench.hello(ONE, vec![reply_tag(1)], challenge);
    bench.client(ONE, &hello);
    out_of_place(&mut bench, &hello, "a second hello");
    assert_eq!(bench.gateway.counters().malformed, 5);
}

#[test]
fn a_session_costs_a_proof_of_work_that_was_made_for_this_link_and_in_time() {
    let mut bench = Bench::new();
    let (one, two) = (bench.challenge(ONE), bench.challenge(TWO));
    assert_ne!(one.seed, two.seed);
    let for_two = bench.hello(TWO, Vec::new(), two);
    let effects = bench.client(ONE, &for_two);
    assert_eq!(effects[..2], refused(ONE, RefusalCode::WrongProof), "another link's");
    assert_eq!(frames(&bench.client(TWO, &for_two)), ["welcome"]);

    // What opened a session once opens no other, by the same key either.
    bench.handle(Input::ClientClosed { session: TWO });
    bench.challenge(TWO);
    let effects = bench.client(TWO, &for_two);
    assert_eq!(effects[..2], refused(TWO, RefusalCode::WrongProof), "a replay");

    let challenge = bench.challenge(ONE);
    assert_eq!(u64::from(challenge.within_secs), CHALLENGE_LIFETIME.as_secs());
    let hello = bench.hello(ONE, Vec::new(), challenge);
    bench.now = T0 + CHALLENGE_LIFETIME;
    assert_eq!(bench.client(ONE, &hello)[..2], refused(ONE, RefusalCode::LateProof));
    let counters = bench.gateway.counters();
    assert_eq!((counters.refused_proof, counters.welcomed), (3, 1));
    assert_eq!((counters.sessions, counters.opening, counters.tags), (0, 0, 0));
}

#[test]
fn a_link_that_does_not_ask_or_does_not_answer_is_closed() {
    let mut bench = Bench::new();
    let effects = bench.handle(Input::ClientOpened { session: ONE, link: link(ONE) });
    assert_eq!(effects, [Effect::WakeAt(T0 + CHALLENGE_LIFETIME)]);
    bench.challenge(TWO);
    bench.now = T0 + CHALLENGE_LIFETIME;
    let effects = bench.handle(Input::Timer);
    assert_eq!(frames(&effects), ["LateProof", "LateProof"]);
    let counters = bench.gateway.counters();
    assert_eq!((counters.refused_silent, counters.refused_proof, counters.opening), (1, 1, 0));
}

#[test]
fn a_full_gateway_turns_newcomers_away_before_any_work_and_serves_whom_it_has() {
    let mut bench = Bench::with(Limits { max_sessions: 1, ..LIMITS });
    // Two may work for one place.
    let (one, two) = (bench.challenge(ONE), bench.challenge(TWO));
    let (one, two) = (bench.hello(ONE, vec![reply_tag(1)], one), bench.hello(TWO, Vec::new(), two));
    assert_eq!(frames(&bench.client(ONE, &one)), ["welcome"]);
    assert_eq!(frames(&bench.client(TWO, &two)), ["Busy"]);
    assert!(bench.gateway.load(T0).is_full());
    let effects = bench.open(TWO);
    let Some(Effect::ToClient { bytes, .. }) = effects.first() else { panic!("{effects:?}") };
    let Ok(GatewayFrame::Refused { code: RefusalCode::Busy, retry_after_secs }) =
        GatewayFrame::from_wire(bytes)
    else {
        panic!("not busy: {effects:?}");
    };
    assert_eq!(retry_after_secs, 5);
    assert_eq!(bench.gateway.counters().refused_busy, 2);

    // The one who is there is served as before.
    assert_eq!(frames(&bench.reply(3, reply_tag(1))), ["packet"]);
    let ask = ClientFrame::GetDocument { newer_than: 0 };
    assert_eq!(frames(&bench.client(ONE, &ask)), ["document"]);

    // And when it goes the next one comes in.
    bench.handle(Input::ClientClosed { session: ONE });
    assert_eq!((bench.gateway.counters().sessions, bench.gateway.counters().tags), (0, 0));
    bench.welcome(TWO, vec![reply_tag(1)]);
}

fn token_in(effects: &[Effect]) -> SessionToken {
    let frames = effects.iter().filter_map(|effect| match effect {
        Effect::ToClient { bytes, .. } => GatewayFrame::from_wire(bytes).ok(),
        _ => None,
    });
    let mut welcome = frames.filter_map(|frame| match frame {
        GatewayFrame::Welcome { session } => Some(session),
        _ => None,
    });
    welcome.next_back().expect("a welcome")
}

/// A packet of a session.
fn speak(bench: &mut Bench, session: SessionId, announce: ReplyTag) -> Vec<Effect> {
    let first_hop = tag(&bench.fixture.mix(1, 0).id);
    bench.client(session, &ClientFrame::Packet { announce, first_hop, packet: packet() })
}

/// A link that shows a token.
fn resume(bench: &mut Bench, session: SessionId, token: SessionToken) -> Vec<Effect> {
    let link = link(session);
    bench.handle(Input::ClientOpened { session, link });
    bench.client(session, &ClientFrame::Resume { token, tags: vec![reply_tag(9)] })
}

#[test]
fn a_lost_link_leaves_a_seat_that_its_token_takes_once_and_within_two_minutes() {
    let mut bench = Bench::with(Limits { max_sessions: 1, ..LIMITS });
    let token = token_in(&bench.welcome(ONE, vec![reply_tag(1)]));
    speak(&mut bench, ONE, reply_tag(2));
    bench.handle(Input::ClientLost { session: ONE });
    let counters = bench.gateway.counters();
    assert_eq!((counters.sessions, counters.kept, counters.tags), (0, 1, 0));
    assert_eq!(frames(&bench.open(SessionId::new(5))), ["Busy"], "the seat is taken");
    bench.now = bench.now + RESUME_FOR - Duration::from_secs(1);
    let second = token_in(&resume(&mut bench, TWO, token));
    assert_ne!(second, token);
    assert_eq!(frames(&bench.reply(3, reply_tag(9))), ["packet"], "it goes on");
    let counters = bench.gateway.counters();
    assert_eq!((counters.sessions, counters.kept, counters.resumed), (1, 0, 1));

    // The first token is worth nothing any more; the second is, until its time is over.
    speak(&mut bench, TWO, reply_tag(3));
    bench.handle(Input::ClientLost { session: TWO });
    assert_eq!(frames(&resume(&mut bench, SessionId::new(3), token)), ["Busy"]);
    bench.now = bench.now + RESUME_FOR;
    bench.handle(Input::Timer);
    assert_eq!((bench.gateway.counters().kept, bench.gateway.load(bench.now).sessions), (0, 0));
    assert_eq!(frames(&resume(&mut bench, SessionId::new(4), second)), ["challenge"], "anew");
}

#[test]
fn a_token_takes_the_session_over_from_a_link_that_nobody_has_noticed_to_be_dead() {
    let mut bench = Bench::with(Limits { max_sessions: 1, ..LIMITS });
    let token = token_in(&bench.welcome(ONE, vec![reply_tag(1)]));
    let effects = resume(&mut bench, TWO, token);
    assert!(effects.contains(&Effect::CloseClient { session: ONE, reason: RefusalCode::Silent }));
    token_in(&effects);
    assert_eq!(bench.gateway.counters().sessions, 1);
    // What the old link still says, and its end, change nothing.
    let ask = ClientFrame::GetDocument { newer_than: 0 };
    assert!(bench.client(ONE, &ask).is_empty());
    bench.handle(Input::ClientLost { session: ONE });
    assert_eq!((bench.gateway.counters().sessions, bench.gateway.counters().kept), (1, 0));
}

#[test]
fn no_seat_is_kept_for_whoever_sent_nothing_in_it() {
    let mut bench = Bench::with(Limits { max_sessions: 1, ..LIMITS });
    bench.welcome(ONE, Vec::new());
    bench.handle(Input::ClientLost { session: ONE });
    assert_eq!((bench.gateway.counters().sessions, bench.gateway.counters().kept), (0, 0));

    // Nor by coming back again and again.
    let token = token_in(&bench.welcome(TWO, Vec::new()));
    speak(&mut bench, TWO, reply_tag(4));
    bench.handle(Input::ClientLost { session: TWO });
    let three = SessionId::new(3);
    token_in(&resume(&mut bench, three, token));
    bench.handle(Input::ClientLost { session: three });
    assert_eq!((bench.gateway.counters().sessions, bench.gateway.counters().kept), (0, 0));
}

#[test]
fn a_resumed_session_is_held_to_the_pace_where_it_was() {
    let mut bench = Bench::new();
    let mut token = token_in(&bench.welcome(ONE, Vec::new()));
    let mut passed = 0;
    for n in 2..300 {
        let session = SessionId::new(n - 1);
        let effects = speak(&mut bench, session, ReplyTag::from_bytes(u128::from(n).to_be_bytes()));
        passed += u64::from(effects.iter().any(|effect| matches!(effect, Effect::ToNode { .. })));
        if bench.gateway.counters().sessions == 0 {
            break;
        }
        bench.handle(Input::ClientLost { session });
        token = token_in(&resume(&mut bench, SessionId::new(n), token));
    }
    assert_eq!(bench.gateway.counters().refused_too_fast, 1);
    assert_eq!(passed, bench.gateway.counters().to_mixes);
    assert!(passed <= 120, "{passed} packets at once, by losing the link after each");
}

#[test]
fn a_gateway_lets_in_no_more_than_its_line_carries() {
    let mut bench = Bench::new();
    // Two sessions at `desk`, 1,250 packets in 1,000 seconds each, with room for one at `fast` behind them.
    bench.gateway.limit_packets(2 * 1_250 + 5_000 - 1);
    let (one, two) = (bench.challenge(ONE), bench.challenge(TWO));
    let three = SessionId::new(3);
    let early = bench.challenge(three);
    for (session, challenge) in [(ONE, one), (TWO, two)] {
        let hello = bench.hello(session, Vec::new(), challenge);
        assert_eq!(frames(&bench.client(session, &hello)), ["welcome"]);
    }
    let load = bench.gateway.load(T0);
    assert!(load.is_full() && load.sessions < load.max_sessions);
    assert_eq!(load.line.expect("bounded").used, 2_500);

    // Who had begun to work hears it then, and the next one before any work.
    let hello = bench.hello(three, Vec::new(), early);
    assert_eq!(frames(&bench.client(three, &hello)), ["Busy"]);
    assert_eq!(frames(&bench.open(SessionId::new(4))), ["Busy"]);
    assert_eq!(bench.gateway.counters().refused_busy, 2);

    bench.handle(Input::ClientClosed { session: ONE });
    assert_eq!(bench.gateway.load(T0).line.expect("bounded").used, 1_250);
    bench.welcome(SessionId::new(5), Vec::new());
}

#[test]
fn links_without_a_session_are_bounded_and_the_oldest_gives_way() {
    let mut bench = Bench::new();
    bench.welcome(ONE, Vec::new());
    let last = 10 + MAX_OPENING as u64;
    for number in 10..last {
        assert!(bench.open(SessionId::new(number)).len() <= 2, "nobody has to go");
    }
    assert_eq!(bench.gateway.counters().opening, MAX_OPENING as u64);
    let effects = bench.open(SessionId::new(last));
    assert_eq!(frames(&effects), ["challenge"], "the newcomer is asked");
    let counters = bench.gateway.counters();
    assert_eq!((counters.opening, counters.refused_busy), (MAX_OPENING as u64, 1));
    assert_eq!(counters.sessions, 1, "whoever has a session keeps it");
    assert!(bench.client(SessionId::new(10), &ClientFrame::Open).is_empty(), "the oldest is gone");
}

#[test]
fn a_session_is_held_to_its_pace() {
    let mut bench = Bench::new();
    bench.welcome(ONE, Vec::new());
    bench.welcome(TWO, Vec::new());
    let first_hop = tag(&bench.fixture.mix(1, 0).id);
    let mut announced = 0u128;
    let mut send = |bench: &mut Bench, session| {
        announced += 1;
        let announce = ReplyTag::from_bytes(announced.to_be_bytes());
        bench.client(session, &ClientFrame::Packet { announce, first_hop, packet: packet() })
    };
    // The fixture's document has no override, so this is `desk`: see the tests of `pace`.
    let mut passed = 0;
    let end = loop {
        match &send(&mut bench, ONE)[..] {
            [Effect::ToNode { .. }] => passed += 1,
            [] => {}
            other => break other.to_vec(),
        }
    };
    assert_eq!(passed, 112);
    assert_eq!(end, refused(ONE, RefusalCode::TooFast));
    let counters = bench.gateway.counters();
    assert_eq!((counters.over_pace, counters.refused_too_fast), (u64::from(MAX_EXCESS), 1));
    assert_eq!((counters.sessions, counters.to_mixes), (1, 112));
    assert_eq!(send(&mut bench, TWO).len(), 1, "others are not affected");
}

#[test]
fn a_seat_is_for_those_who_send() {
    let mut bench = Bench::new();
    bench.welcome(ONE, Vec::new());
    bench.welcome(TWO, Vec::new());
    let first_hop = tag(&bench.fixture.mix(1, 0).id);
    let gap = Pace::Desk.mean_gap();
    let mut ended = Vec::new();
    // One sends, the other only keeps its link up.
    for n in 1..=(SILENCE.as_secs() / gap.as_secs() + 40) {
        bench.now = T0 + gap * u32::try_from(n).expect("small");
        let announce = ReplyTag::from_bytes([n as u8; 16]);
        let frame = ClientFrame::Packet { announce, first_hop, packet: packet() };
        ended.extend(frames(&bench.client(ONE, &frame)));
        ended.extend(frames(&bench.handle(Input::Timer)));
    }
    assert_eq!(ended, ["Silent"]);
    let counters = bench.gateway.counters();
    assert_eq!((counters.sessions, counters.refused_idle), (1, 1));

    // A gateway that was away itself, as on a machine that slept, has no reason to think ill of anybody.
    bench.now = bench.now + SILENCE * 10;
    assert!(frames(&bench.handle(Input::Timer)).is_empty());
    assert_eq!(bench.gateway.counters().sessions, 1);
}

#[test]
fn documents_are_not_given_in_a_flood() {
    let mut bench = Bench::new();
    bench.welcome(ONE, Vec::new());
    let ask = ClientFrame::GetDocument { newer_than: 0 };
    let given = (0..).take_while(|_| frames(&bench.client(ONE, &ask)) == ["document"]).count();
    assert_eq!(given, 8);
    assert_eq!(bench.gateway.counters().refused_too_fast, 1);
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
    assert_eq!(frames(&bench.open(ONE)), ["NoDocument"]);
}

#[test]
fn only_a_listed_gateway_starts() {
    let fixture = Fixture::new();
    let start = |id| Gateway::new(id, fixture.sign(), LIMITS).err();
    assert!(matches!(start(fixture.mix(1, 0).id), Some(StartError::OtherRole { .. })));
    let stranger = xchat_directory::NodeId::from_bytes([200; 32]);
    assert!(matches!(start(stranger), Some(StartError::NotListed { .. })));
}

proptest! {
    #[test]
    fn arbitrary_frames_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), welcomed: bool) {
        let mut bench = Bench::new();
        if welcomed {
            bench.welcome(ONE, Vec::new());
        } else {
            bench.handle(Input::ClientOpened { session: ONE, link: link(ONE) });
        }
        let from = bench.fixture.mix(3, 0).id;
        bench.handle(Input::NodeFrame { from, bytes: bytes.clone() });
        bench.handle(Input::ClientFrame { session: ONE, bytes });
        prop_assert!(bench.gateway.counters().malformed >= 1);
    }
}
