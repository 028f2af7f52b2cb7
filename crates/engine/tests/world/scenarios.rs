//! What must be true of two people who talk.

use std::time::Duration;

use xchat_base::random;
use xchat_engine::{
    Command, CommandError, Direction, Event, InvitationFailure, InvitationState, MAX_TEXT_LEN,
    MessageState, Response,
};

use crate::people::World;

const ALICE: usize = 0;
const BOB: usize = 1;

/// Both write `count` texts, at random times over `span`; then all must be delivered.
fn talk(
    world: &mut World,
    conversations: [xchat_engine::ConversationId; 2],
    count: usize,
    span: Duration,
) {
    let mut left = [count, count];
    while left != [0, 0] {
        let who = random::index(&mut world.rng, 2);
        if left[who] == 0 {
            continue;
        }
        let text = format!("{} {}", world.people[who].name, count - left[who]);
        world.send(who, conversations[who], &text);
        left[who] -= 1;
        let gap = span.mul_f64(random::unit(&mut world.rng) / count as f64);
        world.run_for(gap);
    }
    world.run_until("everything delivered", |world| {
        world.people.iter().all(|person| person.all_sent_are(MessageState::Delivered))
    });
}

fn assert_exactly_once_in_order(world: &World) {
    let [alice, bob] = [&world.people[ALICE], &world.people[BOB]];
    assert_eq!(alice.texts(Direction::Out), bob.texts(Direction::In));
    assert_eq!(bob.texts(Direction::Out), alice.texts(Direction::In));
    assert_eq!(alice.alerts() + bob.alerts(), 0);
}

#[test]
fn two_people_meet_and_every_message_arrives_once_and_in_order() {
    let mut world = World::new(1, &["alice", "bob"]);
    let conversations = world.meet(ALICE, BOB);
    assert_eq!(world.people[ALICE].contacts()[0].name, "bob");
    assert_eq!(world.people[BOB].contacts()[0].name, "alice");
    talk(&mut world, conversations, 500, Duration::from_secs(2_000));
    assert_exactly_once_in_order(&world);
    assert!(world.people[ALICE].epoch_changes() >= 4, "keys are renewed on the way");
    assert_eq!(world.people[ALICE].epoch_changes(), world.people[BOB].epoch_changes());
}

#[test]
fn crashes_at_any_point_lose_and_double_nothing() {
    for seed in 0..6 {
        let mut world = World::new(100 + seed, &["alice", "bob"]);
        let conversations = world.meet(ALICE, BOB);
        world.crash_percent = 2;
        talk(&mut world, conversations, 150, Duration::from_secs(600));
        assert!(world.crashes > 20);
        assert_exactly_once_in_order(&world);
    }
}

#[test]
fn crashes_while_meeting_do_not_burn_the_link() {
    for seed in 0..20 {
        let mut world = World::new(200 + seed, &["alice", "bob"]);
        let link = world.invite(ALICE);
        world.crash_percent = 15;
        // The command's answer may die with the app; the person asks again until there is a contact.
        for _ in 0..50 {
            if !world.people[BOB].contacts().is_empty() {
                break;
            }
            world.command(BOB, Command::Accept { link: link.clone() });
            world.run_for(Duration::from_secs(5));
        }
        world.crash_percent = 0;
        world.run_until("both have the contact", |world| {
            world.people.iter().all(|person| !person.contacts().is_empty())
        });
        let ids = [ALICE, BOB].map(|who| world.people[who].contacts()[0].conversation);
        talk(&mut world, ids, 3, Duration::from_secs(10));
        assert_exactly_once_in_order(&world);
    }
}

#[test]
fn one_who_was_away_walks_through_all_epochs() {
    let mut world = World::new(3, &["alice", "bob"]);
    let conversations = world.meet(ALICE, BOB);
    talk(&mut world, conversations, 5, Duration::from_secs(20));
    world.stop(BOB);
    for n in 0..400 {
        world.send(ALICE, conversations[ALICE], &format!("while you were away {n}"));
        world.run_for(Duration::from_secs(20));
    }
    assert!(
        world.people[ALICE].all_sent_are(MessageState::Stored) || {
            // The first five are delivered already.
            let waiting =
                world.people[ALICE].rows.values().filter(|r| r.state < MessageState::Stored);
            waiting.count() == 0
        }
    );
    assert!(world.people[ALICE].epoch_changes() >= 2, "she renews her keys alone");
    world.start(BOB);
    world.run_until("all delivered", |world| {
        world.people[ALICE].all_sent_are(MessageState::Delivered)
    });
    assert_exactly_once_in_order(&world);
    assert_eq!(world.people[ALICE].epoch_changes(), world.people[BOB].epoch_changes());
}

#[test]
fn a_day_later_keys_are_renewed_with_the_next_message() {
    let mut world = World::new(4, &["alice", "bob"]);
    let conversations = world.meet(ALICE, BOB);
    talk(&mut world, conversations, 1, Duration::from_secs(5));
    world.run_for(Duration::from_secs(25 * 3600));
    talk(&mut world, conversations, 1, Duration::from_secs(5));
    world.run_for(Duration::from_secs(60));
    assert!(world.people[ALICE].epoch_changes() >= 1);
    assert_exactly_once_in_order(&world);
}

/// One of them only ever has receipts to send. Both began a renewal with every line, if it were nobody's turn.
#[test]
fn two_who_seldom_talk_renew_their_keys_by_turns_and_never_both_at_once() {
    let mut world = World::new(14, &["alice", "bob"]);
    let conversations = world.meet(ALICE, BOB);
    talk(&mut world, conversations, 1, Duration::from_secs(5));
    world.run_for(Duration::from_secs(60));
    for day in 1..=6 {
        world.run_for(Duration::from_secs(25 * 3600));
        let before = world.written();
        world.send(ALICE, conversations[ALICE], &format!("day {day}"));
        world.run_for(Duration::from_secs(300));
        let written = world.written() - before;
        println!("day {day}: {written} boxes");
        // The text and its receipt, twice if they were not confirmed when the epoch ended; the run, the entry and the marker.
        assert!((7..10).contains(&written), "{written} boxes on day {day}");
        assert_eq!([ALICE, BOB].map(|who| world.people[who].epoch_changes()), [day; 2]);
    }
    assert_exactly_once_in_order(&world);
}

#[test]
fn a_long_text_travels_in_parts() {
    let mut world = World::new(5, &["alice", "bob"]);
    let conversations = world.meet(ALICE, BOB);
    let long = "ابجد ".repeat(MAX_TEXT_LEN / 9);
    world.send(ALICE, conversations[ALICE], &long);
    world.send(ALICE, conversations[ALICE], "short");
    world.run_until("delivered", |world| world.people[ALICE].all_sent_are(MessageState::Delivered));
    assert_eq!(world.people[BOB].texts(Direction::In), [long, "short".to_owned()]);
    let tag = world.command(
        ALICE,
        Command::Send { conversation: conversations[ALICE], text: "x".repeat(MAX_TEXT_LEN + 1) },
    );
    assert_eq!(world.answer(ALICE, tag), Err(CommandError::TextLength(MAX_TEXT_LEN + 1)));
}

#[test]
fn a_link_works_once_and_never_for_its_owner() {
    let mut world = World::new(6, &["alice", "bob", "carol"]);
    let link = world.invite(ALICE);
    assert_eq!(world.accept(ALICE, &link).err(), Some(CommandError::OwnInvitation));
    world.accept(BOB, &link).expect("a fresh link");
    assert_eq!(world.accept(2, &link).err(), Some(CommandError::InvitationUsed));
    assert_eq!(world.accept(BOB, &link).err(), Some(CommandError::InvitationUsed));
    assert!(world.people[2].contacts().is_empty());
    assert!(world.people[2].stored_keys() <= 1, "a refused link leaves nothing behind");
}

#[test]
fn two_who_race_for_a_link_have_one_winner_and_a_clear_loser() {
    for seed in 0..8 {
        let mut world = World::new(300 + seed, &["alice", "bob", "carol"]);
        let link = world.invite(ALICE);
        let tags = [1, 2].map(|who| world.command(who, Command::Accept { link: link.clone() }));
        let answers = [world.answer(1, tags[0]), world.answer(2, tags[1])];
        let winners = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(winners, 1, "{answers:?}");
        assert!(answers.contains(&Err(CommandError::InvitationUsed)));
    }
}

#[test]
fn an_invitation_expires_after_fourteen_days() {
    let mut world = World::new(7, &["alice"]);
    world.invite(ALICE);
    world.run_for(Duration::from_secs(14 * 24 * 3600 + 60));
    assert!(world.people[ALICE].events.iter().any(|e| matches!(e, Event::InvitationFailed { .. })));
}

#[test]
fn an_acceptance_stands_although_the_inviter_was_away_until_it_expired() {
    let mut world = World::new(71, &["alice", "bob"]);
    let link = world.invite(ALICE);
    world.stop(ALICE);
    world.run_for(Duration::from_secs(6 * 24 * 3600));
    let contact = world.accept(BOB, &link).expect("within its time");
    world.send(BOB, contact.conversation, "are you there?");
    world.run_for(Duration::from_secs(9 * 24 * 3600));
    world.start(ALICE);
    world.run_until("delivered", |world| world.people[BOB].all_sent_are(MessageState::Delivered));
    assert_eq!(world.people[ALICE].texts(Direction::In), ["are you there?"]);
}

#[test]
fn one_who_comes_too_late_is_told_so_and_has_no_dead_contact() {
    let mut world = World::new(72, &["alice", "bob"]);
    let link = world.invite(ALICE);
    world.run_for(Duration::from_secs(14 * 24 * 3600 + 60));
    assert_eq!(world.accept(BOB, &link).err(), Some(CommandError::InvitationExpired));
    assert!(world.people[BOB].contacts().is_empty());
    assert!(world.people[ALICE].stored_keys() == 0, "the init keys are gone");
}

#[test]
fn open_invitations_and_their_links_are_there_after_a_restart() {
    let mut world = World::new(73, &["alice", "bob"]);
    let links = [world.invite(ALICE), world.invite(ALICE)];
    let open = world.open_invitations(ALICE);
    let shown: Vec<_> = open.iter().map(|each| each.link.clone().expect("it is ready")).collect();
    assert_eq!(shown, links);
    for each in &open {
        assert_eq!(each.expires_at.since(each.made_at), Duration::from_secs(14 * 24 * 3600));
    }
    world.stop(ALICE);
    world.start(ALICE);
    assert_eq!(world.open_invitations(ALICE), open);
    world.accept(BOB, &links[0]).expect("a fresh link");
    world.run_until("bob", |world| !world.people[ALICE].contacts().is_empty());
    let left: Vec<_> = world.open_invitations(ALICE).into_iter().map(|each| each.link).collect();
    assert_eq!(left, [Some(links[1].clone())]);
    let accepted =
        Event::Invitation { invitation: open[0].invitation, state: InvitationState::Accepted };
    assert!(world.people[ALICE].events.contains(&accepted));
}

#[test]
fn an_invitation_that_was_taken_back_is_of_no_use_and_leaves_nothing_behind() {
    let mut world = World::new(74, &["alice", "bob"]);
    let link = world.invite(ALICE);
    let invitation = world.open_invitations(ALICE)[0].invitation;
    let tag = world.command(ALICE, Command::Withdraw { invitation });
    assert_eq!(world.answer(ALICE, tag), Ok(Response::Ok));
    assert!(world.open_invitations(ALICE).is_empty());
    // It is being closed, which a crash does not undo.
    world.stop(ALICE);
    world.start(ALICE);
    let ended = Event::InvitationFailed { reason: InvitationFailure::Withdrawn };
    world.run_until("its end", |world| world.people[ALICE].events.contains(&ended));
    assert_eq!(world.people[ALICE].stored_keys(), 0, "the init keys are gone");
    assert_eq!(world.accept(BOB, &link).err(), Some(CommandError::InvitationExpired));
    assert!(world.people[BOB].contacts().is_empty());
    let tag = world.command(ALICE, Command::Withdraw { invitation });
    assert_eq!(world.answer(ALICE, tag), Err(CommandError::UnknownInvitation));
}

#[test]
fn one_that_is_taken_back_while_it_is_made_answers_whoever_waits_for_it() {
    let mut world = World::new(75, &["alice"]);
    let making = world.command(ALICE, Command::Invite);
    let open = world.open_invitations(ALICE);
    assert_eq!((open.len(), &open[0].link), (1, &None), "a link that leads nowhere is not shown");
    let tag = world.command(ALICE, Command::Withdraw { invitation: open[0].invitation });
    assert_eq!(world.answer(ALICE, tag), Ok(Response::Ok));
    assert_eq!(world.answer(ALICE, making), Err(CommandError::InvitationWithdrawn));
    assert_eq!(world.people[ALICE].stored_keys(), 0);
    world.run_for(Duration::from_secs(60));
    assert!(world.open_invitations(ALICE).is_empty());
}

#[test]
fn who_accepts_before_the_taking_back_is_written_has_won() {
    let mut met = 0;
    for seed in 0..12 {
        let mut world = World::new(400 + seed, &["alice", "bob"]);
        let link = world.invite(ALICE);
        let accepting = world.command(BOB, Command::Accept { link });
        // From before the accept box is written to after it.
        world.run_for(Duration::from_millis(300 * seed));
        let open = world.open_invitations(ALICE);
        if let Some(open) = open.first() {
            let tag = world.command(ALICE, Command::Withdraw { invitation: open.invitation });
            assert_eq!(world.answer(ALICE, tag), Ok(Response::Ok));
        }
        let accepted = world.answer(BOB, accepting);
        world.run_for(Duration::from_secs(600));
        let contacts = [ALICE, BOB].map(|who| world.people[who].contacts().len());
        match accepted {
            Ok(_) => {
                assert_eq!(contacts, [1, 1], "seed {seed}");
                met += 1;
            }
            Err(error) => {
                assert_eq!(error, CommandError::InvitationExpired, "seed {seed}");
                assert_eq!(contacts, [0, 0], "seed {seed}");
            }
        }
    }
    assert!((1..12).contains(&met), "both were faster at times: {met}");
}

#[test]
fn safety_numbers_agree_and_differ_between_pairs() {
    let mut world = World::new(8, &["alice", "bob", "carol"]);
    let with_bob = world.meet(ALICE, BOB);
    let with_carol = world.meet(ALICE, 2);
    let ours = world.safety_number(ALICE, with_bob[0]);
    assert_eq!(ours, world.safety_number(BOB, with_bob[1]));
    assert_ne!(ours, world.safety_number(ALICE, with_carol[0]));
}
