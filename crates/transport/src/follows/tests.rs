//! What is registered when, what is looked at, and what goes when it is given up.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::followed::{
    LOOK_AFTER_A_TALK, LOOK_AT_FIRST, LOOK_AT_NEW_KEYS, LOOKS_AT_FIRST, OVERDUE,
};
use super::*;

const T0: Timestamp = Timestamp::from_secs(1_000);
const PERIOD: Duration = Duration::from_secs(100);

fn id(n: usize) -> BoxId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
    BoxId::from_bytes(bytes)
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn follow(follows: &mut Follows, id: BoxId, urgency: Urgency) {
    follow_at(follows, id, urgency, T0);
}

fn follow_at(follows: &mut Follows, id: BoxId, urgency: Urgency, now: Timestamp) {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(id.as_bytes()[7]));
    follows.follow(id, urgency, whose(false), now, &mut rng);
}

/// In no talk.
fn whose(is_decoy: bool) -> Whose {
    Whose { is_decoy, talk: None, goes_on: false, lasting: None }
}

fn next_look(follows: &Follows, now: Timestamp) -> Option<(BoxId, Need)> {
    follows.next_look(now, |_| Doubt::None, |_| true, &mut rng())
}

fn hurries(follows: &Follows, now: Timestamp) -> bool {
    follows.all().any(|(_, followed)| !followed.in_flight && followed.hurries(now))
}

fn look(follows: &Follows, now: Timestamp) -> Option<BoxId> {
    next_look(follows, now).map(|(id, _)| id)
}

fn standing(now: Timestamp) -> Standing {
    Standing {
        store: NodeId::from_bytes([1; 32]),
        session: CollectorSession::from_bytes([1; 32]),
        mixes: [2, 3, 4].map(|n| NodeId::from_bytes([n; 32])),
        renew_at: now + PERIOD,
        until: now + PERIOD * 2,
    }
}

fn register(follows: &mut Follows, id: BoxId, now: Timestamp, capacity: usize) {
    let number = follows.registering(&id, now, capacity, &mut rng());
    follows.registered(&id, number, standing(now));
}

#[test]
fn active_boxes_come_first_and_each_is_new_once() {
    let mut follows = Follows::new();
    follow(&mut follows, id(1), Urgency::Resting);
    follow(&mut follows, id(2), Urgency::Active(0));
    assert_eq!(follows.next(T0, 0, 10).new, Some(id(2)));
    register(&mut follows, id(2), T0, 10);
    assert_eq!(follows.next(T0, 0, 10).new, Some(id(1)));
    let number = follows.registering(&id(1), T0, 10, &mut rng());
    assert_eq!(follows.next(T0, 0, 10).new, None);
    follows.unanswered(&id(1), number);
    assert_eq!(follows.next(T0, 0, 10).new, Some(id(1)));
}

#[test]
fn a_registration_is_due_after_its_period_and_not_before() {
    let mut follows = Follows::new();
    follow(&mut follows, id(1), Urgency::Active(0));
    register(&mut follows, id(1), T0, 10);
    assert_eq!(follows.next(T0 + PERIOD - Duration::from_secs(1), 0, 10).due, None);
    assert_eq!(follows.next(T0 + PERIOD, 0, 10).due, Some(id(1)));
    assert_eq!(follows.next(T0 + PERIOD, 0, 10).new, None);
    assert_eq!(follows.next(T0 + PERIOD * 2, 0, 10).new, Some(id(1)), "it has lapsed");
}

#[test]
fn the_read_set_is_bounded_and_what_does_not_fit_takes_turns() {
    let mut follows = Follows::new();
    for n in 0..READ_SET + 50 {
        follow(&mut follows, id(n), Urgency::Resting);
    }
    while let Some(next) = follows.next(T0, 0, READ_SET).new {
        register(&mut follows, next, T0, READ_SET);
    }
    assert_eq!(follows.standing(T0, false), READ_SET);
    let mut seen = std::collections::BTreeSet::new();
    for second in 1..=50 {
        let now = T0 + Duration::from_secs(second);
        let next = follows.next(now, 0, READ_SET).due.expect("those outside take turns");
        assert!(seen.insert(next));
        register(&mut follows, next, now, READ_SET);
        assert_eq!(follows.standing(now, false), READ_SET);
    }
}

#[test]
fn an_active_box_displaces_a_resting_one_at_once_and_never_the_other_way() {
    let mut follows = Follows::new();
    follow(&mut follows, id(1), Urgency::Resting);
    register(&mut follows, id(1), T0, 1);
    follow(&mut follows, id(2), Urgency::Active(0));
    assert_eq!(follows.next(T0, 0, 1).new, Some(id(2)));
    register(&mut follows, id(2), T0, 1);
    assert_eq!(follows.standing(T0, false), 1);
    assert_eq!(follows.next(T0, 0, 1).new, None);
    assert_eq!(follows.next(T0, 0, 1).due, None);
    let later = T0 + Duration::from_secs(3_600);
    follows.looked(&id(2), Need::Rest, later);
    assert_eq!(look(&follows, later), Some(id(1)), "it is looked at in its turn");
}

/// Of lanes by which a lost profile comes back each conversation has two: they must not keep from its place what somebody may write next.
#[test]
fn where_next_to_nothing_is_written_makes_room_for_the_next_box_of_a_lane() {
    const CAPACITY: usize = 3;
    let mut follows = Follows::new();
    follow(&mut follows, id(1), Urgency::Resting);
    for n in 2..7 {
        follow(&mut follows, id(n), Urgency::Seldom);
    }
    let mut now = T0;
    for _ in 0..CAPACITY {
        let new = follows.next(now, 0, CAPACITY).new.expect("there is room");
        register(&mut follows, new, now, CAPACITY);
    }
    assert!(follows.is_promised(&id(1), now), "it comes first");
    // It is renewed in time, however many of the others wait for longer.
    for _ in 0..20 {
        now = now + PERIOD / 4;
        let next = follows.next(now, 0, CAPACITY);
        assert_eq!(next.new, None);
        if let Some(due) = next.due {
            register(&mut follows, due, now, CAPACITY);
        }
        assert!(follows.is_promised(&id(1), now));
    }
    // Another one takes a place at its turn.
    follow_at(&mut follows, id(9), Urgency::Resting, now);
    assert_eq!(follows.next(now, 0, CAPACITY).due, Some(id(9)));
    register(&mut follows, id(9), now, CAPACITY);
    assert!(follows.is_promised(&id(1), now) && follows.is_promised(&id(9), now));
    assert_eq!(follows.standing(now, false), CAPACITY);
    // And is looked at, as they are not.
    let later = now + LOOK_AFTER;
    for looked in [id(1), id(9)] {
        follows.looked(&looked, Need::Rest, later);
    }
    assert_eq!(look(&follows, later), None);
}

#[test]
fn boxes_are_looked_at_when_nothing_was_heard_or_an_item_may_be_lost() {
    let mut follows = Follows::new();
    follow(&mut follows, id(1), Urgency::Active(0));
    register(&mut follows, id(1), T0, 10);
    let soon = T0 + Duration::from_secs(2);
    assert_eq!(look(&follows, soon), None);
    follows.collect_lost(T0 + Duration::from_secs(1));
    assert!(hurries(&follows, T0));
    assert_eq!(look(&follows, soon), Some(id(1)));
    follows.looked(&id(1), Need::Rest, soon);
    assert_eq!(look(&follows, soon), None);
    assert_eq!(look(&follows, soon + LOOK_AFTER), Some(id(1)));
}

#[test]
fn when_nobody_talks_any_more_the_next_box_alone_is_looked_at_and_more_rarely() {
    let mut follows = Follows::new();
    for n in 0..2 {
        follow(&mut follows, id(n), Urgency::Active(n as u8));
        register(&mut follows, id(n), T0, 10);
    }
    let (least, most) = LOOK_AFTER_A_TALK;
    assert_eq!(look(&follows, T0 + least), None, "nothing has arrived yet");
    (0..2).for_each(|n| follow(&mut follows, id(n), Urgency::Active(n as u8)));
    assert_eq!(look(&follows, T0 + least / 2), None);
    let talking = T0 + most;
    assert_eq!(next_look(&follows, talking), Some((id(0), Need::Talk)));
    follows.looked(&id(0), Need::Rest, talking);
    assert_eq!(look(&follows, talking), None);
    // It arrives, and the other one, registered for long, is the next.
    follows.remove(&id(0));
    follow_at(&mut follows, id(1), Urgency::Active(0), talking);
    assert_eq!(look(&follows, talking + least / 2), None);
    assert_eq!(next_look(&follows, talking + most), Some((id(1), Need::Talk)));
    let silent = talking + most * 2;
    follows.looked(&id(1), Need::Rest, silent);
    assert_eq!(look(&follows, silent + LOOK_AFTER / 2), None);
    let later = silent + LOOK_AFTER;
    assert_eq!(next_look(&follows, later), Some((id(1), Need::Rest)));
}

/// If it is not what was lost, what comes after it is not either.
#[test]
fn of_what_may_be_lost_only_the_next_box_is_looked_at_and_the_one_after_what_is_found() {
    let (mut follows, mut rng) = (Follows::new(), rng());
    for n in 0..3 {
        follows.follow(id(n), Urgency::Active(n as u8), of_a_talk(false), T0, &mut rng);
        register(&mut follows, id(n), T0, 10);
    }
    let now = T0 + Duration::from_secs(10);
    follows.collect_lost(now);
    assert_eq!(look(&follows, now), Some(id(0)));
    follows.looked(&id(0), Need::Rest, now);
    assert!(!hurries(&follows, now));
    // It is found; and what is awaited next in another lane is not looked at for that.
    follows.found(&id(0));
    follows.remove(&id(0));
    let other = Whose { talk: Some(Talk::Own(2)), ..of_a_talk(false) };
    follows.follow(id(9), Urgency::Active(0), other, now, &mut rng);
    assert!(!hurries(&follows, now));
    follows.follow(id(1), Urgency::Active(0), of_a_talk(true), now, &mut rng);
    assert_eq!((look(&follows, now), hurries(&follows, now)), (Some(id(1)), true));
    follows.looked(&id(1), Need::Rest, now);
    // What others lie behind was not told either, but they were.
    follows.follow(id(1), Urgency::Overdue, of_a_talk(true), now, &mut rng);
    follows.found(&id(1));
    follows.remove(&id(1));
    follows.follow(id(2), Urgency::Active(0), of_a_talk(true), now, &mut rng);
    assert!(!hurries(&follows, now));
}

/// It came, and what was lost is what came after it. But it is not suspected for ever.
#[test]
fn what_arrives_while_it_is_doubted_has_the_next_one_looked_at_once() {
    let (mut follows, mut rng) = (Follows::new(), rng());
    let mut next = |follows: &mut Follows, n: usize, now: Timestamp| {
        follows.follow(id(n), Urgency::Ahead(1), of_a_talk(true), now, &mut rng);
        follows.follow(id(n), Urgency::Active(0), of_a_talk(true), now, &mut rng);
    };
    let at = |seconds| T0 + Duration::from_secs(seconds);
    // The first one came after the collect was sent that brought nothing.
    next(&mut follows, 0, at(7));
    follows.collect_lost(at(1));
    assert!(hurries(&follows, at(8)));
    assert_eq!(follows.arrived(&id(0)), Some(Some(Talk::Own(1))));
    next(&mut follows, 1, at(9));
    assert_eq!((look(&follows, at(9)), hurries(&follows, at(9))), (Some(id(1)), true));
    follows.looked(&id(1), Need::Rest, at(9));
    follows.arrived(&id(1));
    next(&mut follows, 2, at(12));
    assert!(!hurries(&follows, at(12)), "what was told has come");
    // Nothing was there when it was looked at.
    follows.collect_lost(at(20));
    follows.looked(&id(2), Need::Rest, at(21));
    follows.empty(&id(2));
    follows.arrived(&id(2));
    next(&mut follows, 3, at(30));
    assert!(!hurries(&follows, at(30)));
    follows.collect_lost(at(40));
    register(&mut follows, id(3), at(41), 10);
    assert!(!hurries(&follows, at(41)), "its store has said so");
}

/// A writer that has some which are void may use those.
#[test]
fn where_some_tickets_are_void_boxes_are_registered_as_without_any() {
    let (mut follows, mut rng) = (Follows::new(), rng());
    let lasting = Some(T0 + Duration::from_secs(7_200));
    for ahead in 0..3 {
        let urgency = Urgency::of(true, ahead as u8);
        let whose = Whose { lasting, ..of_a_talk(true) };
        follows.follow(id(ahead), urgency, whose, T0, &mut rng);
    }
    let due = |follows: &Follows, after| follows.own.values().all(|f| f.is_due(T0 + after));
    assert!(!due(&follows, QUIET.1));
    follows.suspect(&BTreeSet::from([Talk::Own(2)]), T0, &mut rng);
    assert!(!due(&follows, QUIET.1));
    follows.suspect(&BTreeSet::from([Talk::Own(1)]), T0, &mut rng);
    assert!(due(&follows, QUIET.1));
}

#[test]
fn talks_in_which_something_was_found_are_bounded() {
    let (mut follows, mut rng) = (Follows::new(), rng());
    for n in 0..MAX_FOUND + 9 {
        let whose = Whose { talk: Some(Talk::Own(n as u64)), ..of_a_talk(false) };
        follows.follow(id(n), Urgency::Active(0), whose, T0, &mut rng);
        follows.found(&id(n));
    }
    assert_eq!(follows.found_in.len(), MAX_FOUND);
}

#[test]
fn what_may_be_lost_is_looked_at_before_all_that_has_waited_for_long() {
    let mut follows = Follows::new();
    for n in 0..110 {
        follow(&mut follows, id(n), Urgency::Resting);
    }
    for n in 110..118 {
        follow(&mut follows, id(n), Urgency::Active(0));
    }
    let now = T0 + Duration::from_secs(3_600);
    (110..118).for_each(|n| follows.looked(&id(n), Need::Rest, now));
    follows.collect_lost(now);
    for _ in 110..118 {
        assert!(hurries(&follows, T0));
        let next = look(&follows, now).expect("late ones");
        follows.looked(&next, Need::Lost, now + Duration::from_secs(1));
    }
    assert!(!hurries(&follows, T0));
}

/// Of a talk that goes on and one that is over.
fn of_a_talk(goes_on: bool) -> Whose {
    Whose { is_decoy: false, talk: Some(Talk::Own(1)), goes_on, lasting: None }
}

#[test]
fn in_a_talk_nothing_is_registered_until_it_has_been_quiet_for_some_time() {
    let mut quiet = Vec::new();
    for seed in 0..100 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (mut follows, mut now) = (Follows::new(), T0);
        let mut follow = |follows: &mut Follows, next: usize, goes_on: bool, now: Timestamp| {
            for ahead in 0..16 {
                let urgency = Urgency::of(true, ahead as u8);
                follows.follow(id(next + ahead), urgency, of_a_talk(goes_on), now, &mut rng);
            }
        };
        // Before the first has arrived the next three are registered as ever.
        follow(&mut follows, 0, false, now);
        for _ in 0..3 {
            let next = follows.next(now, 0, 100).new.expect("at once");
            assert!((0..3).any(|n| next == id(n)));
            register(&mut follows, next, now, 100);
        }
        assert_eq!(follows.next(now, 0, 100).new, None);
        for next in 1..30 {
            now = now + Duration::from_secs(20);
            follows.remove(&id(next - 1));
            follow(&mut follows, next, true, now);
            let soon = now + Duration::from_secs(179);
            assert_eq!(follows.next(soon, 0, 100).new, None, "tickets stand for it");
        }
        for _ in 0..3 {
            let due = (0..2_000).map(|n| now + Duration::from_secs(n));
            let due = due.into_iter().find_map(|at| Some((at, follows.next(at, 0, 100).new?)));
            let (at, next) = due.expect("in the end");
            assert!((29..32).any(|n| next == id(n)), "the next three, in any order");
            follows.remove(&next);
            quiet.push(at.since(now).as_secs_f64());
        }
    }
    quiet.sort_by(f64::total_cmp);
    assert!(quiet[0] >= 180.0 && quiet[299] <= 1_801.0, "{} to {}", quiet[0], quiet[299]);
    assert!((900.0..1_080.0).contains(&quiet[150]), "{}", quiet[150]);
}

#[test]
fn when_its_writer_has_no_tickets_any_more_the_next_boxes_are_registered_at_once() {
    let (mut follows, mut rng) = (Follows::new(), rng());
    for ahead in 0..5 {
        follows.follow(id(ahead), Urgency::of(true, ahead as u8), of_a_talk(true), T0, &mut rng);
    }
    follows.follow(id(9), Urgency::Resting, of_a_talk(true), T0, &mut rng);
    follows.uncover(&BTreeSet::new());
    follows.uncover(&BTreeSet::from([Talk::Own(2)]));
    assert_eq!(follows.next(T0, 0, 10).new, None);
    follows.uncover(&BTreeSet::from([Talk::Own(1)]));
    for _ in 0..4 {
        let next = follows.next(T0, 0, 10).new.expect("at once");
        register(&mut follows, next, T0, 10);
    }
    assert_eq!(follows.next(T0, 0, 10).new, None, "the others cannot be written yet");
}

#[test]
fn what_is_too_far_ahead_is_neither_registered_nor_looked_at() {
    let mut follows = Follows::new();
    follow(&mut follows, id(1), Urgency::Ahead(200));
    let later = T0 + Duration::from_secs(3_600);
    assert_eq!(follows.next(later, 0, 10).new, None);
    assert_eq!(look(&follows, later), None);
    follow(&mut follows, id(1), Urgency::Active(0));
    assert_eq!(follows.next(T0, 0, 10).new, Some(id(1)));
}

#[test]
fn a_decoy_that_is_given_up_with_commands_under_way_is_gone() {
    let (mut follows, mut rng) = (Follows::new(), ChaCha20Rng::seed_from_u64(1));
    follows.follow(id(1), Urgency::Resting, whose(true), T0, &mut rng);
    follows.follow(id(1), Urgency::Active(0), whose(false), T0, &mut rng);
    assert_eq!((follows.len(), follows.wanted(T0)), (1, 0));
    assert_eq!(follows.remove(&id(1)), Some(None));
    assert_eq!(follows.len(), 0);
    assert_eq!(follows.next(T0, 0, 10).new, None);
}

#[test]
fn renewals_are_spread_around_the_period() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let all: Vec<f64> = (0..1_000).map(|_| Follows::renewal(&mut rng)).collect();
    assert!(all.iter().all(|one| (0.75..1.25).contains(one)));
    let mean = all.iter().sum::<f64>() / 1_000.0;
    assert!((mean - 1.0).abs() < 0.02, "{mean}");
}

/// After a minute offline, or with a new collector, everything is registered anew: not in the order in which it was followed, which is that
/// of lanes, nor by anything that stores see, nor twice in one order, or they would see which boxes have one reader.
#[test]
fn what_is_registered_anew_comes_in_another_order_each_time() {
    let mut rng = rng();
    let mut follows = Follows::new();
    let count = 60;
    for n in 0..count {
        follows.follow(id(n), Urgency::Resting, whose(n % 2 == 0), T0, &mut rng);
    }
    let mut round = |now: Timestamp| {
        let mut order = Vec::new();
        while let Some(next) = follows.next(now, 0, count).new {
            let number = follows.registering(&next, now, count, &mut rng);
            follows.registered(&next, number, standing(now));
            order.push(usize::from(next.as_bytes()[7]));
        }
        follows.retain_standing(|_| false);
        order
    };
    let orders = [0, 10, 20].map(|later| round(T0 + Duration::from_secs(later)));
    for (first, second) in [(0, 1), (0, 2), (1, 2)] {
        let (first, second) = (&orders[first], &orders[second]);
        assert_eq!(first.len(), count);
        let place = |n: usize| second.iter().position(|other| *other == n).expect("all of them");
        let kept = first.windows(2).filter(|two| place(two[0]) < place(two[1])).count();
        assert!((15..45).contains(&kept), "{kept} of {count} in the order of the time before");
        let ascending = first.windows(2).filter(|two| two[0] < two[1]).count();
        assert!((15..45).contains(&ascending), "{ascending} of {count} as they were followed");
    }
}

/// In a slot in which nothing can be due nothing is looked for, and nothing is overlooked by it.
#[test]
fn nothing_that_is_due_is_overlooked_whatever_happened_before() {
    const CAPACITY: usize = 12;
    let (mut idle, mut busy) = (0, 0);
    for seed in 0..200 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (mut follows, mut now) = (Follows::new(), T0);
        for slot in 0..200 {
            now = now + PERIOD.mul_f64(random::unit(&mut rng) / 8.0);
            let one = id(random::index(&mut rng, 20));
            let number = follows.attempts(&one);
            match random::index(&mut rng, 30) {
                0 => follows.follow(one, Urgency::Active(0), whose(slot % 2 == 0), now, &mut rng),
                1 => follows.follow(one, Urgency::Ahead(3), whose(slot % 2 == 0), now, &mut rng),
                10 => follows.follow(one, Urgency::Resting, whose(slot % 2 == 0), now, &mut rng),
                11 => follows.follow(one, Urgency::Seldom, whose(slot % 2 == 0), now, &mut rng),
                2 => drop(follows.remove(&one)),
                3 => follows.refused(&one, number, slot),
                4 => follows.unanswered(&one, number),
                5 => follows.registered(&one, number, standing(now)),
                6 => follows.looked(&one, Need::Rest, now),
                7 if slot % 8 == 0 => follows.all_unanswered(),
                8 if slot % 8 == 0 => follows.retain_standing(|_| false),
                9 if slot % 8 == 0 => follows.anew(|_, _| true, now, slot, &mut rng),
                _ => {}
            }
            let first = follows.first(now, slot, CAPACITY);
            let next = follows.next(now, slot, CAPACITY);
            assert_eq!((next.new, next.due), (first.new, first.due), "seed {seed}, slot {slot}");
            if let Some(next) = next.new.or(next.due) {
                follows.registering(&next, now, CAPACITY, &mut rng);
                busy += 1;
            }
            idle += usize::from(now < follows.idle_until);
        }
    }
    assert!(idle > 5_000 && busy > 2_000, "{idle} idle slots, {busy} others");
}

/// What lies behind it has come: its own delivery is lost.
#[test]
fn a_box_behind_which_others_have_arrived_is_looked_at_soon_and_not_registered() {
    let (mut follows, mut rng) = (Follows::new(), rng());
    follows.follow(id(1), Urgency::Active(0), of_a_talk(true), T0, &mut rng);
    follows.follow(id(1), Urgency::Overdue, of_a_talk(true), T0, &mut rng);
    follows.uncover(&BTreeSet::from([Talk::Own(1)]));
    let (late, again) = OVERDUE;
    assert_eq!((look(&follows, T0), hurries(&follows, T0)), (None, false));
    // What arrives meanwhile does not put it off.
    follows.follow(id(1), Urgency::Overdue, of_a_talk(true), T0 + late / 2, &mut rng);
    let now = T0 + late;
    assert_eq!((look(&follows, now), hurries(&follows, now)), (Some(id(1)), true));
    // It may be a lie, or its writer may be gone: there are others to be looked at.
    let (mut now, mut wait) = (now, again);
    for _ in 0..12 {
        follows.looked(&id(1), Need::Rest, now);
        wait = (wait * 2).min(LOOK_AFTER);
        assert!(!hurries(&follows, now + wait - Duration::from_secs(1)), "{wait:?}");
        now = now + wait;
        assert!(hurries(&follows, now), "{wait:?}");
    }
    assert_eq!((wait, look(&follows, now)), (LOOK_AFTER, Some(id(1))));
    assert_eq!(follows.next(now, 0, 10).new, None, "it has been written");
}

/// Its writer may have no tickets: what it has written without may be the last that it says for long.
#[test]
fn what_may_have_been_told_to_nobody_is_looked_at_soon_some_times() {
    let (mut follows, mut draws) = (Follows::new(), rng());
    let untold = |follows: &Follows, now| {
        let doubt = |talk| if talk == Talk::Own(1) { Doubt::Great } else { Doubt::None };
        follows.next_look(now, doubt, |_| true, &mut rng())
    };
    let second = Duration::from_secs(1);
    follows.follow(id(1), Urgency::Ahead(3), of_a_talk(true), T0, &mut draws);
    follows.follow(id(1), Urgency::Active(0), of_a_talk(true), T0, &mut draws);
    let (mut now, mut wait) = (T0, LOOK_AT_FIRST);
    for n in 0..LOOKS_AT_FIRST.1 {
        assert_eq!(untold(&follows, now + wait - second), None, "{wait:?}");
        now = now + wait;
        assert_eq!(look(&follows, now), None, "its writer had some left");
        let some = follows.next_look(now, |_| Doubt::Some, |_| true, &mut rng());
        assert_eq!(some.is_some(), n < LOOKS_AT_FIRST.0, "{n}");
        assert_eq!(untold(&follows, now), Some((id(1), Need::Untold)), "{wait:?}");
        follows.looked(&id(1), Need::Untold, now);
        wait *= 2;
    }
    let (least, most) = LOOK_AFTER_A_TALK;
    assert!(now.since(T0) < least);
    assert_eq!(untold(&follows, T0 + least - second), None);
    assert_eq!(untold(&follows, T0 + most), Some((id(1), Need::Talk)), "no later than without");
    // Something has come.
    follows.follow(id(1), Urgency::Active(0), of_a_talk(true), now, &mut draws);
    assert_eq!(untold(&follows, now + LOOK_AT_FIRST), Some((id(1), Need::Untold)));
    // A look for another reason does not count.
    follows.suspect(&BTreeSet::from([Talk::Own(1)]), now, &mut draws);
    assert_eq!(untold(&follows, now), Some((id(1), Need::Lost)));
    follows.looked(&id(1), Need::Lost, now);
    assert_eq!(untold(&follows, now + LOOK_AT_FIRST), Some((id(1), Need::Untold)));
    // Where a store stands ready there is nothing to be hasty about.
    register(&mut follows, id(1), now, 10);
    assert_eq!(untold(&follows, now + LOOK_AT_FIRST), None);
}

#[test]
fn something_may_be_written_by_new_keys_before_the_reader_has_them() {
    let (mut follows, mut rng) = (Follows::new(), rng());
    follows.follow(id(1), Urgency::Active(0), of_a_talk(true), T0, &mut rng);
    let second = Duration::from_secs(1);
    assert_eq!(look(&follows, T0 + LOOK_AT_NEW_KEYS - second), None);
    // Unless its writer may have no tickets.
    let great = |now| follows.next_look(now, |_| Doubt::Great, |_| true, &mut rng);
    assert!({ great }(T0 + LOOK_AT_FIRST).is_some());
    let now = T0 + LOOK_AT_NEW_KEYS;
    assert_eq!(look(&follows, now), Some(id(1)));
    follows.looked(&id(1), Need::Untold, now);
    assert_eq!(look(&follows, now + LOOK_AT_NEW_KEYS * 2), None, "once");
}

/// Any of those whose time has come, and of a talk not always after the same time.
#[test]
fn which_box_is_looked_at_does_not_tell_which_was_waited_for_longest() {
    let (mut follows, mut rng) = (Follows::new(), rng());
    for n in 0..8 {
        let at = T0 + Duration::from_secs(n as u64);
        follow_at(&mut follows, id(n), Urgency::Resting, at);
        follows.looked(&id(n), Need::Rest, at);
    }
    let now = T0 + LOOK_AFTER * 2;
    let drawn: BTreeSet<_> = (0..200)
        .filter_map(|_| follows.next_look(now, |_| Doubt::None, |_| true, &mut rng))
        .collect();
    assert_eq!(drawn.len(), 8);
    // But none waits for twice as long as another.
    let now = T0 + LOOK_AFTER * 8;
    (1..8).for_each(|n| follows.looked(&id(n), Need::Rest, now - LOOK_AFTER * 3));
    let drawn: BTreeSet<_> = (0..200)
        .filter_map(|_| follows.next_look(now, |_| Doubt::None, |_| true, &mut rng))
        .collect();
    assert_eq!(drawn, BTreeSet::from([(id(0), Need::Rest)]));

    let mut follows = Follows::new();
    let (least, most) = LOOK_AFTER_A_TALK;
    for n in 0..50 {
        let urgency = Urgency::Active(0);
        follows.follow(id(n), urgency, of_a_talk(true), T0, &mut rng);
    }
    let after: BTreeSet<_> = follows.all().map(|(_, followed)| followed.patience()).collect();
    assert_eq!(after.len(), 50);
    assert!(after.iter().all(|after| (least..=most).contains(after)));
}

/// So long as a writer has tickets to begin with, boxes are not registered: neighbours would be known by it.
#[test]
fn after_a_talk_boxes_are_registered_when_its_tickets_are_almost_over() {
    let mut rng = rng();
    for minutes in [0, 20, 60, 100] {
        let mut follows = Follows::new();
        let until = T0 + Duration::from_secs(60 * minutes);
        let whose = Whose { lasting: (minutes > 0).then_some(until), ..of_a_talk(true) };
        follows.follow(id(1), Urgency::Active(1), whose, T0, &mut rng);
        let due = follows.own[&id(1)].due.expect("sometime");
        let (least, most) = QUIET;
        assert!(due >= (until - most).max(T0 + least), "{minutes}: {due:?}");
        assert!(due <= (until - least).max(T0 + most), "{minutes}: {due:?}");
    }
}

/// What decoys may have does not change with the owner's talks, or they would come and go with them.
#[test]
fn the_next_boxes_of_a_talk_count_as_ever_while_it_goes_on() {
    let (mut follows, mut rng) = (Follows::new(), rng());
    let mut wanted = Vec::new();
    for goes_on in [false, true, false] {
        for ahead in 0..16 {
            let urgency = Urgency::of(true, ahead as u8);
            follows.follow(id(ahead), urgency, of_a_talk(goes_on), T0, &mut rng);
        }
        wanted.push(follows.wanted(T0));
    }
    assert_eq!(wanted, [3, 3, 3]);
}

/// By a ticket that is void something may have been told.
#[test]
fn what_may_have_been_told_in_vain_is_looked_at_once() {
    let (mut follows, mut rng) = (Follows::new(), rng());
    for ahead in 0..3 {
        let urgency = Urgency::of(true, ahead as u8);
        follows.follow(id(ahead), urgency, of_a_talk(true), T0, &mut rng);
    }
    let now = T0 + Duration::from_secs(10);
    follows.looked(&id(0), Need::Rest, now);
    assert_eq!(look(&follows, now), None);
    follows.suspect(&BTreeSet::from([Talk::Own(1)]), now, &mut rng);
    assert_eq!((look(&follows, now), hurries(&follows, now)), (Some(id(0)), true));
    follows.looked(&id(0), Need::Rest, now);
    assert!(!hurries(&follows, now));
}
