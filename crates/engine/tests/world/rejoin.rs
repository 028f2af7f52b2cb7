//! Coming back after a long absence, or with an old state: nothing twice, nothing silently lost.

use std::time::Duration;

use xchat_base::random;
use xchat_engine::{ConversationId, Direction, MessageState, Notice};

use crate::people::World;

const ALICE: usize = 0;
const BOB: usize = 1;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn pair(seed: u64) -> (World, [ConversationId; 2]) {
    let mut world = World::new(seed, &["alice", "bob"]);
    let conversations = world.meet(ALICE, BOB);
    (world, conversations)
}

/// Both write so many texts, over a time.
fn talk(world: &mut World, conversations: [ConversationId; 2], count: usize, span: Duration) {
    for _ in 0..count {
        let who = random::index(&mut world.rng, 2);
        say(world, conversations, who);
        let gap = span.mul_f64(random::unit(&mut world.rng) / count as f64);
        world.run_for(gap);
    }
}

fn say(world: &mut World, conversations: [ConversationId; 2], who: usize) {
    let number = world.people[who].said.len();
    let text = format!("{} {number}", world.people[who].name);
    world.send(who, conversations[who], &text);
}

fn all_delivered(world: &mut World) {
    world.run_until("everything delivered", |world| {
        world.people.iter().all(|person| person.all_sent_are(MessageState::Delivered))
    });
}

/// Everything that one ever said is on the other's disk, once and in order.
fn assert_all_heard(world: &World) {
    for (speaker, listener) in [(ALICE, BOB), (BOB, ALICE)] {
        assert_eq!(world.people[listener].texts(Direction::In), world.people[speaker].said);
    }
}

/// What is on the listener's disk is in the order in which it was said, nothing of it twice.
fn assert_in_order(world: &World, speaker: usize, listener: usize) {
    let mut said = world.people[speaker].said.iter();
    for heard in world.people[listener].texts(Direction::In) {
        assert!(said.any(|text| *text == heard), "{heard} came twice, or out of order");
    }
}

fn rejoins(world: &World, who: usize) -> usize {
    let notices = world.people[who].notices();
    let rejoined = |notice: &&Notice| !matches!(notice, Notice::Missing { .. });
    notices.iter().filter(rejoined).count()
}

fn assert_both_compare_again(world: &mut World, conversations: [ConversationId; 2]) {
    let numbers = [ALICE, BOB].map(|who| world.safety_number(who, conversations[who]));
    assert_eq!(numbers[0], numbers[1]);
    for person in &world.people {
        let contact = &person.contacts()[0];
        assert!(contact.rejoined && !contact.verified && !contact.rejoining);
    }
}

#[test]
fn a_recipient_offline_for_almost_fourteen_days_has_500_messages_waiting() {
    let (mut world, conversations) = pair(501);
    talk(&mut world, conversations, 6, HOUR);
    all_delivered(&mut world);
    world.stop(BOB);
    for _ in 0..500 {
        say(&mut world, conversations, ALICE);
        world.run_for((14 * DAY - HOUR) / 500);
    }
    world.start(BOB);
    all_delivered(&mut world);
    assert_all_heard(&world);
    assert_eq!((rejoins(&world, ALICE), rejoins(&world, BOB)), (0, 0), "nobody had to rejoin");
}

#[test]
fn one_who_was_away_for_longer_than_boxes_live_rejoins_and_hears_everything() {
    for (seed, away) in [(17, 17 * DAY), (40, 40 * DAY), (300, 300 * DAY)] {
        let (mut world, conversations) = pair(seed);
        talk(&mut world, conversations, 6, HOUR);
        all_delivered(&mut world);
        let before = world.safety_number(ALICE, conversations[ALICE]);
        world.stop(BOB);
        for _ in 0..500 {
            say(&mut world, conversations, ALICE);
            world.run_for(away / 500);
        }
        world.start(BOB);
        for _ in 0..5 {
            say(&mut world, conversations, BOB);
        }
        all_delivered(&mut world);
        assert_all_heard(&world);
        assert_eq!(world.people[BOB].notices(), [Notice::WeRejoined]);
        assert_eq!(world.people[ALICE].notices(), [Notice::TheyRejoined]);
        assert_ne!(world.safety_number(ALICE, conversations[ALICE]), before);
        assert_both_compare_again(&mut world, conversations);
        // And it goes on as any conversation.
        talk(&mut world, conversations, 200, HOUR);
        all_delivered(&mut world);
        assert_all_heard(&world);
    }
}

#[test]
fn away_for_long_without_a_word_is_no_reason_to_rejoin() {
    let (mut world, conversations) = pair(20);
    talk(&mut world, conversations, 6, HOUR);
    all_delivered(&mut world);
    world.run_for(Duration::from_secs(60));
    world.stop(BOB);
    world.run_for(20 * DAY);
    world.start(BOB);
    talk(&mut world, conversations, 6, HOUR);
    all_delivered(&mut world);
    assert_all_heard(&world);
    assert_eq!(rejoins(&world, ALICE) + rejoins(&world, BOB), 0);
}

#[test]
fn both_away_rejoin_at_once() {
    for seed in 0..8 {
        let (mut world, conversations) = pair(600 + seed);
        talk(&mut world, conversations, 6, HOUR);
        all_delivered(&mut world);
        // Each has said something that the other never read.
        world.stop(BOB);
        talk(&mut world, conversations, 0, HOUR);
        say(&mut world, conversations, ALICE);
        world.run_for(HOUR);
        world.stop(ALICE);
        world.start(BOB);
        world.stop(BOB);
        world.run_for(30 * DAY);
        world.start(ALICE);
        world.start(BOB);
        say(&mut world, conversations, BOB);
        say(&mut world, conversations, ALICE);
        all_delivered(&mut world);
        assert_all_heard(&world);
        assert_both_compare_again(&mut world, conversations);
        talk(&mut world, conversations, 20, HOUR);
        all_delivered(&mut world);
        assert_all_heard(&world);
    }
}

/// A copy of the database is made at some time, the conversation goes on, the copy is put back.
#[test]
fn a_restored_backup_never_sends_from_its_old_state() {
    for seed in 0..24 {
        let (mut world, conversations) = pair(700 + seed);
        let who = random::index(&mut world.rng, 2);
        talk(&mut world, conversations, 10, HOUR);
        let backup = world.backup(who);
        let more = 1 + random::index(&mut world.rng, 120);
        talk(&mut world, conversations, more, 2 * HOUR);
        // What was not shown as stored may go down with the disk.
        world.run_until("stored", |world| {
            world.people.iter().all(|person| {
                let mut sent = person.rows.values().filter(|r| r.direction == Direction::Out);
                sent.all(|row| row.state >= MessageState::Stored)
            })
        });
        world.restore(who, &backup);
        talk(&mut world, conversations, 20, HOUR);
        all_delivered(&mut world);
        assert_all_heard(&world);
        talk(&mut world, conversations, 60, HOUR);
        all_delivered(&mut world);
        assert_all_heard(&world);
        assert_eq!(world.people[who].alerts(), 0);
    }
}

#[test]
fn one_restored_while_the_other_is_away_loses_nothing_that_was_stored() {
    for seed in 0..12 {
        let (mut world, conversations) = pair(800 + seed);
        talk(&mut world, conversations, 10, HOUR);
        all_delivered(&mut world);
        let backup = world.backup(BOB);
        world.stop(ALICE);
        for _ in 0..1 + random::index(&mut world.rng, 80) {
            say(&mut world, conversations, BOB);
            world.run_for(Duration::from_secs(30));
        }
        world.run_for(Duration::from_secs(600));
        world.restore(BOB, &backup);
        for _ in 0..5 {
            say(&mut world, conversations, BOB);
        }
        world.run_for(2 * DAY);
        world.start(ALICE);
        say(&mut world, conversations, ALICE);
        all_delivered(&mut world);
        assert_all_heard(&world);
    }
}

/// Whatever was going on, whoever is set back, again and again: what was shown as stored since the
/// listener's own backup arrives, nothing arrives twice, and the conversation works in the end.
#[test]
fn backups_of_both_sides_restored_at_random_points() {
    for seed in 0..16 {
        let (mut world, conversations) = pair(900 + seed);
        talk(&mut world, conversations, 5, HOUR);
        for _ in 0..4 {
            let who = random::index(&mut world.rng, 2);
            let backup = world.backup(who);
            let more = random::index(&mut world.rng, 60);
            talk(&mut world, conversations, more, HOUR);
            let pause = DAY.mul_f64(random::unit(&mut world.rng));
            let short = random::index(&mut world.rng, 2) == 0;
            world.run_for(if short { HOUR / 60 } else { pause });
            world.restore(who, &backup);
            let more = random::index(&mut world.rng, 10);
            talk(&mut world, conversations, more, HOUR);
        }
        world.run_for(HOUR);
        all_delivered(&mut world);
        assert_in_order(&world, ALICE, BOB);
        assert_in_order(&world, BOB, ALICE);
        talk(&mut world, conversations, 30, HOUR);
        all_delivered(&mut world);
        for (speaker, listener) in [(ALICE, BOB), (BOB, ALICE)] {
            assert_in_order(&world, speaker, listener);
            let (heard, said) =
                (world.people[listener].texts(Direction::In), &world.people[speaker].said);
            assert_eq!(heard.last(), said.last());
        }
    }
}

#[test]
fn crashes_at_any_point_of_a_rejoin_lose_and_double_nothing() {
    for seed in 0..16 {
        let (mut world, conversations) = pair(1_000 + seed);
        talk(&mut world, conversations, 10, HOUR);
        let backup = world.backup(BOB);
        talk(&mut world, conversations, 30, HOUR);
        all_delivered(&mut world);
        world.restore(BOB, &backup);
        world.crash_percent = 6;
        talk(&mut world, conversations, 20, HOUR);
        world.run_until("both in the new group", |world| {
            [ALICE, BOB].iter().all(|who| rejoins(world, *who) >= 1)
        });
        world.crash_percent = 0;
        all_delivered(&mut world);
        assert!(world.crashes > 0);
        assert_all_heard(&world);
        assert_eq!((rejoins(&world, ALICE), rejoins(&world, BOB)), (1, 1));
        assert_both_compare_again(&mut world, conversations);
    }
}

#[test]
fn it_can_happen_again_and_an_older_backup_still_finds_the_way() {
    let (mut world, conversations) = pair(1_100);
    talk(&mut world, conversations, 5, HOUR);
    all_delivered(&mut world);
    let oldest = world.backup(BOB);
    for round in 1..=4 {
        talk(&mut world, conversations, 20, HOUR);
        all_delivered(&mut world);
        world.run_for(HOUR);
        world.restore(BOB, &oldest);
        talk(&mut world, conversations, 5, HOUR);
        all_delivered(&mut world);
        assert_all_heard(&world);
        assert_eq!(rejoins(&world, ALICE), round);
    }
    // A copy that is older than every memory of the stores.
    world.run_for(250 * DAY);
    world.restore(BOB, &oldest);
    talk(&mut world, conversations, 5, HOUR);
    all_delivered(&mut world);
    assert_all_heard(&world);
}

#[test]
fn what_is_too_much_to_say_again_is_named() {
    let (mut world, conversations) = pair(1_200);
    talk(&mut world, conversations, 4, HOUR);
    all_delivered(&mut world);
    let heard = world.people[BOB].texts(Direction::In).len();
    world.stop(BOB);
    for _ in 0..1_100 {
        say(&mut world, conversations, ALICE);
        world.run_for(17 * DAY / 1_100);
    }
    world.start(BOB);
    all_delivered(&mut world);
    let notices = world.people[BOB].notices();
    assert_eq!(notices, [Notice::WeRejoined, Notice::Missing { count: 100 }]);
    let said = &world.people[ALICE].said;
    let expected: Vec<_> = said[..heard].iter().chain(&said[heard + 100..]).cloned().collect();
    assert_eq!(world.people[BOB].texts(Direction::In), expected);
}
