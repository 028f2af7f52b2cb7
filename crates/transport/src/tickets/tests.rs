//! Tickets: who has how many, and what is known of it.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_directory::NodeId;
use xchat_sphinx::CollectorSession;

use super::*;

const T0: Timestamp = Timestamp::from_secs(10_000);
const LIFE: Duration = Duration::from_secs(80 * 60);
const BOX: BoxId = BoxId::from_bytes([1; 32]);

fn standing(now: Timestamp) -> Standing {
    Standing {
        store: NodeId::from_bytes([1; 32]),
        session: CollectorSession::from_bytes([1; 32]),
        mixes: [2, 3, 4].map(|n| NodeId::from_bytes([n; 32])),
        renew_at: now + LIFE * 3 / 4,
        until: now + LIFE,
    }
}

fn add(tickets: &mut Tickets, count: usize, now: Timestamp, rng: &mut ChaCha20Rng) {
    for _ in 0..count {
        let ticket = Ticket::random(rng);
        let id = ticket.tell().id;
        tickets.asking(ticket, id);
        tickets.registered(&id, standing(now));
    }
}

#[test]
fn a_talk_gets_some_and_more_as_they_are_used() {
    let (mut tickets, mut rng) = (Tickets::default(), ChaCha20Rng::seed_from_u64(1));
    let talk = Talk::Own(7);
    assert!(tickets.hand_out(talk, 8, T0, &mut rng).tickets.is_empty(), "there are none");
    add(&mut tickets, 60, T0, &mut rng);
    let mut held = tickets.hand_out(talk, 8, T0, &mut rng).tickets;
    assert_eq!(held.len(), FIRST);
    assert!(tickets.hand_out(talk, 8, T0, &mut rng).tickets.is_empty(), "it has enough");
    assert!(!tickets.goes_on(talk, T0), "nothing has come");
    assert_eq!(tickets.lasting(talk, T0), Some(coarse(T0 + LIFE)));
    tickets.heard(talk, BOX, Way::Ticket, T0);
    assert!(tickets.goes_on(talk, T0));
    for _ in 0..12 {
        tickets.used(&held.pop().expect("topped up").ticket.tell().id, BOX);
        held.extend(tickets.hand_out(talk, 2, T0, &mut rng).tickets);
    }
    assert_eq!(held.len(), MOST);
    assert!(!tickets.goes_on(talk, T0 + TALK), "the talk is over");
    assert!(tickets.take_ended(T0 + TALK).is_empty());
    for (left, dated) in (0..MOST).rev().zip(held.drain(..).rev()) {
        assert_eq!(dated.until, coarse(T0 + LIFE));
        tickets.used(&dated.ticket.tell().id, BOX);
        let lasts = tickets.lasting(talk, T0).is_some();
        assert_eq!(lasts, left >= usize::from(NEXT), "{left}");
    }
    assert_eq!(tickets.lasting(talk, T0 + LIFE), None);
    assert_eq!(tickets.take_ended(T0), BTreeSet::from([talk]));
    // Used twice, or somebody's who is not known.
    tickets.used(&Ticket::from_bytes([0; 16]).tell().id, BOX);
    assert!(tickets.take_ended(T0).is_empty());
}

/// Its writer uses the last that came first: when one was used, those that were handed out before it are still there.
#[test]
fn whose_writer_may_have_used_its_last_one_is_known() {
    let (mut tickets, mut rng) = (Tickets::default(), ChaCha20Rng::seed_from_u64(8));
    let talk = Talk::Own(7);
    add(&mut tickets, 60, T0, &mut rng);
    let use_one = |tickets: &mut Tickets, dated: Option<Dated>| {
        tickets.used(&dated.expect("one").ticket.tell().id, BOX);
        tickets.heard(talk, BOX, Way::Ticket, T0);
    };
    let mut held = tickets.hand_out(talk, 8, T0, &mut rng).tickets;
    assert!(tickets.doubt(talk, T0) == Doubt::Great, "it may not have them yet");
    let mut under_way = Vec::new();
    for left in (0..FIRST).rev() {
        use_one(&mut tickets, held.pop());
        // What is on its way to it now says nothing of what it has.
        under_way.extend(tickets.hand_out(talk, 1, T0, &mut rng).tickets);
        assert_eq!(tickets.doubt(talk, T0) == Doubt::Great, left == 0, "{left}");
    }
    // One of them is there after all, and so are those before it.
    assert!(under_way.len() > 3);
    use_one(&mut tickets, under_way.get(2).cloned());
    assert!(tickets.doubt(talk, T0) == Doubt::None);
    assert!(tickets.doubt(talk, T0 + LIFE) == Doubt::Great, "they are over");
    use_one(&mut tickets, under_way.first().cloned());
    assert!(
        tickets.doubt(talk, T0) == Doubt::Great,
        "the others were sealed into a box that never came"
    );
}

/// One is counted as used for what comes without; if that was told by one too, and a registration was sooner, nothing else is.
#[test]
fn what_comes_without_shows_that_there_was_none_unless_its_ticket_comes_later() {
    let (mut tickets, mut rng) = (Tickets::default(), ChaCha20Rng::seed_from_u64(9));
    let talk = Talk::Own(7);
    add(&mut tickets, 60, T0, &mut rng);
    let held = tickets.hand_out(talk, 8, T0, &mut rng).tickets;
    let id = |at: usize| held[at].ticket.tell().id;
    tickets.used(&id(4), BOX);
    tickets.heard(talk, BOX, Way::Ticket, T0);
    let another = BoxId::from_bytes([2; 32]);
    tickets.heard(talk, another, Way::Other, T0);
    assert!(tickets.doubt(talk, T0) == Doubt::Great);
    assert_eq!(tickets.lasting(talk, T0), None);
    tickets.used(&id(2), BOX);
    assert!(tickets.doubt(talk, T0) == Doubt::Great, "that was for another box");
    tickets.used(&id(3), another);
    assert!(tickets.doubt(talk, T0) == Doubt::None);
    // What is registered comes sooner so than by its ticket, time and again.
    let count = |tickets: &Tickets| tickets.talks[&talk].counted(T0);
    let before = count(&tickets);
    assert!(before >= 2);
    tickets.hand_out(talk, 8, T0, &mut rng);
    let more = count(&tickets);
    assert!(more > before + 2);
    (1..=2).for_each(|n| {
        tickets.heard(talk, another, Way::Registration, T0);
        assert_eq!((count(&tickets), tickets.doubt(talk, T0)), (more - n, Doubt::Some));
    });
    // Those that never reach it are counted out one by one, and others are handed out in their place.
    (1..=more - 2).for_each(|n| {
        tickets.heard(talk, another, Way::Other, T0);
        assert_eq!(count(&tickets), more - 2 - n);
    });
    assert!(tickets.hand_out(talk, 8, T0, &mut rng).only);
}

/// It has none of those that were handed out before one that it has used, if it writes without, and did before.
#[test]
fn what_never_arrived_is_given_up() {
    let (mut tickets, mut rng) = (Tickets::default(), ChaCha20Rng::seed_from_u64(10));
    let talk = Talk::Own(7);
    add(&mut tickets, 60, T0, &mut rng);
    tickets.heard(talk, BOX, Way::Ticket, T0);
    tickets.hand_out(talk, 8, T0, &mut rng);
    tickets.talks.get_mut(&talk).expect("known").used = MOST;
    let arrived = tickets.hand_out(talk, 4, T0, &mut rng).tickets;
    assert_eq!(arrived.len(), 4);
    let count = |tickets: &Tickets| tickets.talks[&talk].counted(T0);
    for dated in arrived.iter().rev() {
        tickets.used(&dated.ticket.tell().id, BOX);
        tickets.heard(talk, BOX, Way::Ticket, T0);
    }
    assert_eq!(count(&tickets), FIRST);
    tickets.heard(talk, BOX, Way::Other, T0);
    assert_eq!(count(&tickets), FIRST - 1, "it may be that its ticket only comes later");
    tickets.heard(talk, BOX, Way::Other, T0);
    assert_eq!(count(&tickets), 0);
    assert!(tickets.hand_out(talk, 8, T0, &mut rng).only);
}

/// As long as its writer may use those that are void, or has shown that it has none.
#[test]
fn what_may_not_be_good_does_not_last() {
    let (mut tickets, mut rng) = (Tickets::default(), ChaCha20Rng::seed_from_u64(6));
    let talk = Talk::Own(7);
    add(&mut tickets, 60, T0, &mut rng);
    let held = tickets.hand_out(talk, 8, T0, &mut rng).tickets;
    tickets.heard(talk, BOX, Way::Ticket, T0);
    assert!(tickets.lasting(talk, T0).is_some());
    tickets.heard(talk, BOX, Way::Other, T0);
    assert!(tickets.lasting(talk, T0).is_none() && tickets.doubt(talk, T0) == Doubt::Great);
    tickets.heard(talk, BOX, Way::Ticket, T0);
    assert!(tickets.lasting(talk, T0).is_some());
    let void = held[2].ticket.tell().id;
    tickets.retain(|id, _| *id != void);
    assert_eq!((tickets.take_lost().len(), tickets.lasting(talk, T0)), (1, None));
    // All are void: it is told to forget them.
    tickets.retain(|id, _| !held.iter().any(|dated| dated.ticket.tell().id == *id));
    assert!(tickets.hand_out(talk, 8, T0, &mut rng).only);
    assert!(tickets.lasting(talk, T0).is_some());
}

#[test]
fn who_has_none_is_answered_soon_or_boxes_are_registered() {
    let (mut tickets, mut rng) = (Tickets::default(), ChaCha20Rng::seed_from_u64(4));
    let (one, two) = (Talk::Own(1), Talk::Own(2));
    tickets.heard(one, BOX, Way::Ticket, T0);
    tickets.heard(two, BOX, Way::Ticket, T0 + ANSWERED_WITHIN / 2);
    assert!(!tickets.goes_on(one, T0), "there are none to be had");
    add(&mut tickets, 10, T0, &mut rng);
    assert!(tickets.goes_on(one, T0));
    assert_eq!(tickets.hand_out(two, 8, T0 + ANSWERED_WITHIN, &mut rng).tickets.len(), FIRST);
    assert!(tickets.take_ended(T0 + ANSWERED_WITHIN / 2).is_empty());
    let later = T0 + ANSWERED_WITHIN * 2;
    assert_eq!(tickets.take_ended(later), BTreeSet::from([one]));
    assert!(tickets.take_ended(later).is_empty(), "it is said once");
    tickets.heard(one, BOX, Way::Ticket, later);
    assert_eq!(tickets.take_ended(later + ANSWERED_WITHIN), BTreeSet::from([one]));
}

#[test]
fn what_is_void_or_over_is_not_counted_on() {
    let (mut tickets, mut rng) = (Tickets::default(), ChaCha20Rng::seed_from_u64(2));
    let talk = Talk::Decoy(1, 0);
    add(&mut tickets, 10, T0, &mut rng);
    assert_eq!(tickets.hand_out(talk, 8, T0, &mut rng).tickets.len(), FIRST);
    tickets.heard(talk, BOX, Way::Ticket, T0);
    tickets.retain(|_, standing| standing.session != CollectorSession::from_bytes([2; 32]));
    assert_eq!((tickets.ready(), tickets.take_ended(T0).len()), (5, 0));
    tickets.retain(|_, standing| standing.session != CollectorSession::from_bytes([1; 32]));
    assert_eq!(tickets.take_ended(T0), BTreeSet::from([talk]));
    assert_eq!((tickets.ready(), tickets.owners.len()), (0, 0));

    add(&mut tickets, 10, T0, &mut rng);
    assert_eq!(tickets.hand_out(talk, 8, T0, &mut rng).tickets.len(), FIRST);
    let late = T0 + LIFE - COUNTED_FOR;
    tickets.heard(talk, BOX, Way::Ticket, late);
    let ended = tickets.take_ended(late + ANSWERED_WITHIN);
    assert_eq!(ended.len(), 1, "their writer may not use them any more");
    tickets.expire(late);
    assert_eq!(tickets.ready(), 0, "too old to be handed out");
    tickets.expire(late + REMEMBERED);
    assert_eq!((tickets.talks.len(), tickets.owners.len()), (0, 0));
}

#[test]
fn stores_that_refuse_are_not_asked_in_each_slot() {
    let mut tickets = Tickets::default();
    let id = BoxId::from_bytes([1; 32]);
    let mut asked = Vec::new();
    for slot in 0..100 {
        if tickets.wanted(9, slot).0 {
            asked.push(slot);
            tickets.asking(Ticket::from_bytes([1; 16]), id);
            tickets.refused(Some(&id), slot);
        }
    }
    assert_eq!(asked, [0, 1, 2, 4, 8, 16, 32, 64, 96]);
    tickets.asking(Ticket::from_bytes([1; 16]), id);
    tickets.registered(&id, standing(T0));
    tickets.refused(None, 100);
    assert!(tickets.wanted(9, 101).0, "it begins with one slot");
}

/// What one is told of the time until which a ticket is good says little of when it was made.
#[test]
fn times_are_told_coarsely_and_something_is_left_of_them() {
    let (mut tickets, mut rng) = (Tickets::default(), ChaCha20Rng::seed_from_u64(5));
    for second in 0..900 {
        add(&mut tickets, 1, T0 + Duration::from_secs(second), &mut rng);
    }
    let now = T0 + LIFE - Duration::from_secs(15 * 60);
    tickets.ready.iter_mut().for_each(|ready| ready.standing.renew_at = Timestamp::MAX);
    for talk in 0..100 {
        for Dated { until, .. } in tickets.hand_out(Talk::Own(talk), 8, now, &mut rng).tickets {
            assert!(until > now + COUNTED_FOR * 2 && until.as_secs() % COARSE.as_secs() == 0);
        }
    }
}

#[test]
fn talks_and_tickets_are_bounded() {
    let (mut tickets, mut rng) = (Tickets::default(), ChaCha20Rng::seed_from_u64(3));
    (0..MAX_TALKS as u64).for_each(|n| tickets.heard(Talk::Own(n), BOX, Way::Ticket, T0));
    tickets.heard(Talk::Own(u64::MAX), BOX, Way::Ticket, T0);
    assert!(!tickets.goes_on(Talk::Own(u64::MAX), T0));
    add(&mut tickets, FIRST, T0, &mut rng);
    assert!(tickets.hand_out(Talk::Own(u64::MAX), 8, T0, &mut rng).tickets.is_empty());
    assert_eq!(tickets.hand_out(Talk::Own(1), 8, T0, &mut rng).tickets.len(), FIRST);
    assert_eq!((tickets.wanted(1, 0), tickets.wanted(0, 0)), ((true, true), (false, false)));
    tickets.asking(Ticket::from_bytes([1; 16]), BoxId::from_bytes([1; 32]));
    assert_eq!(tickets.wanted(1, 0), (false, false), "one is under way");
    tickets.failed(&BoxId::from_bytes([1; 32]));
    assert_eq!(tickets.wanted(1, 0), (true, true));
}
