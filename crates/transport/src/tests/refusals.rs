//! Gateways that are full, that want work, that want too much of it.

use std::time::Duration;

use xchat_base::{Timestamp, Wire};
use xchat_node::gateway::{BASE_EFFORT, Limits};
use xchat_sphinx::work::{ChallengeSeed, MAX_EFFORT, SHARES, Search};
use xchat_sphinx::{
    Challenge, ClientFrame, GatewayFrame, LinkKey, Pace, Proof, RefusalCode, SessionToken,
};

use super::fixture::{Fixture, T0, boxes};
use super::network::Network;
use super::person::{Person, secs, write};
use crate::attempts::MAX_RETRY_AFTER;
use crate::{Effect, GatewayState, Input, Trouble};

fn state(net: &Network, person: usize) -> GatewayState {
    net.people[person].transport.status(net.now).gateway
}

fn is_online(net: &Network, person: usize) -> bool {
    matches!(state(net, person), GatewayState::Online { .. })
}

fn trouble(state: GatewayState) -> Option<Trouble> {
    match state {
        GatewayState::Connecting { trouble, .. } => trouble,
        _ => None,
    }
}

/// A transport by itself, whose link to a gateway is up.
struct Alone {
    person: Person,
    now: Timestamp,
}

impl Alone {
    fn new() -> Self {
        let now = T0 + secs(60);
        let mut alone = Self { person: Person::new(&Fixture::new(1), now, 1), now };
        let first = alone.person.first_effects();
        let gateway = first.iter().find_map(|effect| match effect {
            Effect::Connect { gateway, .. } => Some(*gateway),
            _ => None,
        });
        let link = LinkKey::from_bytes([9; 32]);
        let gateway = gateway.expect("tries one");
        let effects = alone.tell(Input::Online { gateway, link, from: None });
        assert_eq!(sent(&effects), [ClientFrame::Open]);
        alone
    }

    fn tell(&mut self, input: Input) -> Vec<Effect> {
        self.person.transport.handle(input, self.now, &mut self.person.rng)
    }

    fn hear(&mut self, frame: &GatewayFrame) -> Vec<Effect> {
        self.tell(Input::Frame(frame.to_wire()))
    }

    fn state(&self) -> GatewayState {
        self.person.transport.status(self.now).gateway
    }
}

fn sent(effects: &[Effect]) -> Vec<ClientFrame> {
    let frames = effects.iter().filter_map(|effect| match effect {
        Effect::Send(bytes) => Some(ClientFrame::from_wire(bytes).expect("our own frame")),
        _ => None,
    });
    frames.collect()
}

fn is_asked_to_solve(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Solve(_)))
}

fn challenge(effort: u32, within_secs: u16) -> GatewayFrame {
    let seed = ChallengeSeed::from_bytes([1; 32]);
    GatewayFrame::Challenge(Challenge { seed, effort, within_secs })
}

#[test]
fn a_full_gateway_is_left_for_the_other_and_the_oldest_stay() {
    let limits = Limits { max_sessions: 1, effort: 16 };
    let mut net = Network::with_limits(Fixture::new(1).transparent(), 1, limits);
    let people: Vec<_> = (0..4).map(|seed| net.join(seed)).collect();
    net.run_for(secs(120));
    let online: Vec<_> = people.iter().copied().filter(|p| is_online(&net, *p)).collect();
    assert_eq!(online.len(), 2, "two gateways with a place each");
    let before: Vec<_> = online.iter().map(|p| state(&net, *p)).collect();
    let waiting: Vec<_> = people.into_iter().filter(|p| !online.contains(p)).collect();
    for person in &waiting {
        let busy = matches!(trouble(state(&net, *person)), Some(Trouble::Busy { retry_after })
            if retry_after >= secs(5));
        assert!(busy, "{:?}", state(&net, *person));
        // Neither in a hurry nor asleep: two gateways, each every 5 to 10 s.
        let tried = net.people[*person].tried.len();
        assert!((15..60).contains(&tried), "{tried} attempts");
    }
    // Those who are in write as if nothing were the matter.
    for (lane, person) in (1..).zip(&online) {
        net.tell(*person, write(&boxes(lane, 1)[0]));
    }
    assert!(net.run_until(secs(20), |net| {
        online.iter().all(|person| net.people[*person].written().len() == 1)
    }));
    let now: Vec<_> = online.iter().map(|p| state(&net, *p)).collect();
    assert_eq!(now, before, "the same sessions");

    // One goes, and one of those who wait takes its place; nobody has to restart anything.
    net.leave_for_good(online[0]);
    assert!(net.run_until(secs(60), |net| waiting.iter().any(|person| is_online(net, *person))));
}

#[test]
fn a_session_costs_the_work_that_the_gateway_asks_for() {
    let limits = Limits { max_sessions: 100, effort: BASE_EFFORT };
    let mut net = Network::with_limits(Fixture::new(1).transparent(), 2, limits);
    net.solving = secs(3);
    let person = net.join(1);
    net.run_for(secs(2));
    let gateway = net.people[person].tried[0];
    let attempts = 16 * u64::from(BASE_EFFORT);
    assert_eq!(state(&net, person), GatewayState::Proving { gateway, attempts });
    assert!(net.people[person].packets.is_empty(), "nothing leaves before the welcome");
    net.run_for(secs(3));
    assert!(is_online(&net, person));
    assert_eq!(net.people[person].efforts, [BASE_EFFORT]);
}

#[test]
fn work_beyond_the_maximum_is_not_done_and_said() {
    let mut alone = Alone::new();
    let effects = alone.hear(&challenge(MAX_EFFORT + 1, 60));
    assert!(!is_asked_to_solve(&effects));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Disconnect)));
    let attempts = 16 * (u64::from(MAX_EFFORT) + 1);
    assert_eq!(trouble(alone.state()), Some(Trouble::WorkTooHard { attempts }));

    let mut alone = Alone::new();
    assert!(is_asked_to_solve(&alone.hear(&challenge(MAX_EFFORT, 60))));
}

#[test]
fn work_that_takes_too_long_is_given_up_by_the_gateways_time_and_by_ours() {
    for (within, given_up) in [(10, 10), (u16::MAX, 60)] {
        let mut alone = Alone::new();
        alone.hear(&challenge(1_000, within));
        alone.now = alone.now + secs(given_up) - Duration::from_micros(1);
        alone.tell(Input::Timer);
        assert!(matches!(alone.state(), GatewayState::Proving { .. }), "{within}");
        alone.now = alone.now + Duration::from_micros(1);
        alone.tell(Input::Timer);
        assert_eq!(trouble(alone.state()), Some(Trouble::WorkTooSlow { attempts: 16_000 }));
    }
}

#[test]
fn the_hello_names_the_pace_of_the_device() {
    let mut alone = Alone::new();
    let effects = alone.hear(&challenge(1, 60));
    let puzzle = effects.into_iter().find_map(|effect| match effect {
        Effect::Solve(puzzle) => Some(puzzle),
        _ => None,
    });
    let proof = Search::new(puzzle.expect("asked for")).finish().expect("no work at all");
    let frames = sent(&alone.tell(Input::Solved(proof)));
    assert!(matches!(frames[..], [ClientFrame::Hello { pace: Pace::Desk, .. }]), "{frames:?}");
}

#[test]
fn no_gateway_can_send_a_client_away_for_long() {
    for (code, retry_after_secs) in [
        (RefusalCode::Busy, u16::MAX),
        (RefusalCode::Busy, 0),
        (RefusalCode::TooFast, u16::MAX),
        (RefusalCode::Other(77), u16::MAX),
    ] {
        let mut alone = Alone::new();
        alone.hear(&GatewayFrame::Refused { code, retry_after_secs });
        let GatewayState::Connecting { failed: 1, retry_at: Some(at), .. } = alone.state() else {
            panic!("{:?}", alone.state());
        };
        // The other gateway is tried soon, and this one after its time, within our bound.
        assert!(at.since(alone.now) < secs(2), "{code:?}");
        alone.now = alone.now + MAX_RETRY_AFTER * 2;
        let effects = alone.tell(Input::Timer);
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Connect { .. })));
    }
}

#[test]
fn a_second_challenge_and_a_proof_nobody_asked_for_change_nothing() {
    let mut alone = Alone::new();
    alone.hear(&challenge(1_000, 60));
    let proving = alone.state();
    assert!(!is_asked_to_solve(&alone.hear(&challenge(2_000, 60))));
    let wrong = Proof::from_numbers([[7; 4]; SHARES]);
    assert!(sent(&alone.tell(Input::Solved(wrong))).is_empty());
    assert_eq!(alone.state(), proving);
}

#[test]
fn stores_that_cannot_keep_up_are_asked_less_and_less_and_nothing_is_lost() {
    let mut net = Network::new(Fixture::new(1).transparent(), 7);
    let person = net.join(1);
    net.run_for(secs(5));
    net.press_stores(true);
    let own = boxes(1, 5);
    for boxed in &own {
        net.tell(person, write(boxed));
    }
    net.run_for(secs(40));
    let status = net.people[person].transport.status(net.now);
    assert!(status.stores_busy);
    assert_eq!((status.queued_writes, net.people[person].written().len()), (5, 0));
    // Each is refused after 0, 1, 2, 4, 8, 16, 32 slots and then every 32 of them: of 800 slots, some 30 times.
    let refused = net.refused_busy();
    assert!((100..200).contains(&refused), "{refused} refusals");

    net.press_stores(false);
    assert!(net.run_until(secs(20), |net| net.people[person].written().len() == 5));
    net.run_for(secs(61));
    assert!(!net.people[person].transport.status(net.now).stores_busy);
}

#[test]
fn a_device_that_slept_does_not_blame_its_gateway_for_it() {
    let mut alone = Alone::new();
    let effects = alone.hear(&challenge(16, 60));
    let puzzle = effects.into_iter().find_map(|effect| match effect {
        Effect::Solve(puzzle) => Some(puzzle),
        _ => None,
    });
    let proof = Search::new(puzzle.expect("asked for")).finish().expect("little work");
    alone.tell(Input::Solved(proof));
    alone.hear(&GatewayFrame::Welcome { session: SessionToken::from_bytes([5; 32]) });
    assert!(matches!(alone.state(), GatewayState::Online { .. }));

    // An hour without a timer, and still there.
    alone.now = alone.now + secs(3_600);
    alone.tell(Input::Timer);
    assert!(matches!(alone.state(), GatewayState::Online { .. }));
    // Awake, and nothing comes back.
    let awake = alone.now;
    while matches!(alone.state(), GatewayState::Online { .. }) {
        alone.now = alone.now + secs(1);
        alone.tell(Input::Timer);
        assert!(alone.now.since(awake) < secs(60), "for ever");
    }
    assert!(alone.now.since(awake) > secs(5), "as long as without the sleep");
    assert_eq!(trouble(alone.state()), Some(Trouble::Silent));
}
