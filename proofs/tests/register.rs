//! The write-once register keeps its promises in every interleaving within these bounds, and each
//! way of breaking it on purpose is noticed.

use stateright::{Checker, HasDiscoveries, Model};
use xchat_pigeonhole::register::Mutation;
use xchat_proofs::register::{
    Life, NEVER_EMPTY, NEVER_EXPIRED, ONE_VALUE, REPLICAS_AGREE, RegisterModel, STAYS_USED,
    Scenario, Step,
};

/// Three stores with their first disks.
const ABC: [Life; 3] = [Life(0, 0), Life(1, 0), Life(2, 0)];

const fn write(at: usize, value: usize) -> Step {
    Step::Write { at, value }
}

const fn read(at: usize) -> Step {
    Step::Read { at }
}

/// These clients, a network that loses and reorders, and nothing else going wrong.
fn calm(clients: &[&[Step]]) -> Scenario {
    let clients = clients.iter().map(|steps| steps.to_vec()).collect();
    Scenario {
        clients,
        crashes: 0,
        duplicates: 0,
        wakeups: 0,
        settlements: 0,
        wipes: Vec::new(),
        tombstones: Vec::new(),
        placements: vec![ABC],
        unsynced: false,
        old_documents: false,
        left_over: Vec::new(),
        departing_stay: false,
        taken_up: false,
        mutation: None,
    }
}

/// Visits every world; its figures are for the reader of `--no-capture`.
fn holds(scenario: Scenario) {
    let checker = RegisterModel::new(scenario).checker().spawn_bfs().join();
    println!(
        "{} worlds, {} steps, depth {}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

/// As [`holds`], where answers may not come: a store in doubt is silent.
fn may_be_unanswered(scenario: Scenario) {
    let checker = RegisterModel::new(scenario).checker().spawn_bfs().join();
    println!("{} worlds, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_no_discovery(ONE_VALUE);
    checker.assert_no_discovery(NEVER_EXPIRED);
    checker.assert_no_discovery(STAYS_USED);
    checker.assert_no_discovery(NEVER_EMPTY);
    checker.assert_no_discovery(REPLICAS_AGREE);
}

/// Searches until one of the properties that may fail has failed.
fn is_noticed(mutation: Mutation, properties: &[&'static str], scenario: Scenario) {
    is_noticed_in(properties, Scenario { mutation: Some(mutation), ..scenario });
}

fn is_noticed_in(properties: &[&'static str], scenario: Scenario) {
    let mutation = scenario.mutation;
    let model = RegisterModel::new(scenario);
    let search = model.checker().finish_when(HasDiscoveries::AnyFailures);
    let checker = search.spawn_bfs().join();
    let failed =
        properties.iter().find_map(|name| checker.discovery(name).map(|path| (name, path)));
    let (name, path) = failed.expect("the model notices a broken register");
    println!("{mutation:?}: \"{name}\" fails after {} steps", path.into_actions().len());
}

#[test]
fn two_writers_and_a_reader_with_a_crash() {
    let clients: [&[Step]; 3] = [&[write(0, 0)], &[write(1, 1)], &[read(2)]];
    holds(Scenario { crashes: 1, ..calm(&clients) });
}

#[test]
fn two_writers_who_outbid_each_other_with_a_crash() {
    let clients: [&[Step]; 2] = [&[write(0, 0)], &[write(1, 1)]];
    holds(Scenario { crashes: 1, wakeups: 2, ..calm(&clients) });
}

#[test]
fn two_writers_of_lower_rank_with_a_crash_and_a_duplicate() {
    let clients: [&[Step]; 2] = [&[write(1, 0)], &[write(2, 1)]];
    holds(Scenario { crashes: 1, duplicates: 1, wakeups: 1, ..calm(&clients) });
}

#[test]
fn two_writers_with_crashes_and_a_duplicate() {
    let clients: [&[Step]; 2] = [&[write(0, 0)], &[write(1, 1)]];
    holds(Scenario { crashes: 2, duplicates: 1, wakeups: 1, ..calm(&clients) });
}

#[test]
fn two_writers_at_one_coordinator_and_a_reader() {
    let clients: [&[Step]; 3] = [&[write(0, 0)], &[write(0, 1)], &[read(1)]];
    holds(Scenario { crashes: 1, duplicates: 1, ..calm(&clients) });
}

#[test]
fn a_writer_who_tries_again_elsewhere_against_another() {
    let clients: [&[Step]; 2] = [&[write(0, 0), write(1, 0)], &[write(1, 1)]];
    holds(Scenario { crashes: 1, wakeups: 1, ..calm(&clients) });
}

#[test]
fn a_writer_who_tries_again_and_a_reader_who_looks_twice() {
    let clients: [&[Step]; 2] = [&[write(0, 0), write(1, 0)], &[read(2), read(0)]];
    holds(Scenario { crashes: 1, ..calm(&clients) });
}

#[test]
fn a_replica_settles_while_another_reads() {
    let clients: [&[Step]; 2] = [&[write(0, 0)], &[read(1)]];
    holds(Scenario { crashes: 1, settlements: 1, ..calm(&clients) });
}

#[test]
fn two_writers_and_a_reader_who_meet_a_tombstone_of_a_broken_clock() {
    let clients: [&[Step]; 3] = [&[write(0, 0)], &[write(1, 1)], &[read(1), read(2)]];
    holds(Scenario { tombstones: vec![2], crashes: 1, wakeups: 1, ..calm(&clients) });
}

#[test]
fn a_first_rank_with_a_tombstone_of_a_broken_clock() {
    let clients: [&[Step]; 2] = [&[write(0, 0), write(1, 0)], &[write(2, 1), read(0)]];
    holds(Scenario { tombstones: vec![0], crashes: 1, wakeups: 1, ..calm(&clients) });
}

/// Every choice of coordinators.
#[test]
#[ignore = "minutes of CPU: for whoever changes the register, by ./x prove"]
fn two_writers_and_a_reader_with_a_crash_wherever_they_ask() {
    for (a, b, c) in (0..27).map(|n| (n / 9, n / 3 % 3, n % 3)) {
        let clients: [&[Step]; 3] = [&[write(a, 0)], &[write(b, 1)], &[read(c)]];
        println!("writers at {a} and {b}, reader at {c}");
        holds(Scenario { crashes: 1, ..calm(&clients) });
    }
}

#[test]
fn accepting_below_a_promise_is_noticed() {
    let clients: [&[Step]; 2] = [&[write(0, 0)], &[write(1, 1)]];
    is_noticed(Mutation::IgnorePromise, &[ONE_VALUE, REPLICAS_AGREE], calm(&clients));
}

#[test]
fn empty_from_one_replica_is_noticed() {
    let clients: [&[Step]; 2] = [&[write(0, 0)], &[read(2)]];
    is_noticed(Mutation::EmptyFromOne, &[NEVER_EMPTY], calm(&clients));
}

#[test]
fn stored_after_one_acceptance_is_noticed() {
    let clients: [&[Step]; 2] = [&[write(0, 0)], &[write(1, 1)]];
    is_noticed(Mutation::StoredAfterOne, &[ONE_VALUE, REPLICAS_AGREE], calm(&clients));
}

// Placements that follow one another.

/// The third store is replaced by a fourth.
const ABD: [Life; 3] = [Life(0, 0), Life(1, 0), Life(3, 0)];
/// The same, and the new one comes first.
const DAB: [Life; 3] = [Life(3, 0), Life(0, 0), Life(1, 0)];
/// Then the second by a fifth, and the new ones come first.
const DEA: [Life; 3] = [Life(3, 0), Life(4, 0), Life(0, 0)];
/// The first store has lost its disk.
const WIPED: [Life; 3] = [Life(0, 1), Life(1, 0), Life(2, 0)];

#[test]
fn a_writer_and_a_reader_while_one_store_replaces_another() {
    let clients: [&[Step]; 2] = [&[write(0, 0)], &[read(3)]];
    holds(Scenario { placements: vec![ABC, ABD], ..calm(&clients) });
}

#[test]
fn a_wiped_store_comes_back_while_one_writes_and_one_reads() {
    let clients: [&[Step]; 2] = [&[write(1, 0)], &[read(0)]];
    holds(Scenario { placements: vec![ABC, WIPED], wipes: vec![0], ..calm(&clients) });
}

#[test]
fn a_wiped_store_writes_what_another_wrote_before() {
    let clients: [&[Step]; 1] = [&[write(0, 0), write(0, 1)]];
    holds(Scenario { placements: vec![ABC, WIPED], wipes: vec![0], ..calm(&clients) });
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the register, by ./x prove"]
fn the_same_replicas_in_the_next_placement() {
    let clients: [&[Step]; 1] = [&[write(1, 0), write(0, 1)]];
    holds(Scenario { placements: vec![ABC, ABC], ..calm(&clients) });
}

#[test]
fn a_used_box_stays_used_when_a_store_that_knew_it_is_wiped() {
    let clients: [&[Step]; 1] = [&[write(0, 0)]];
    let scenario = Scenario { tombstones: vec![0, 1], settlements: 1, ..calm(&clients) };
    may_be_unanswered(Scenario { placements: vec![ABC, WIPED], wipes: vec![0], ..scenario });
}

#[test]
fn a_lying_store_expires_nothing_when_another_is_wiped() {
    let clients: [&[Step]; 1] = [&[write(0, 0)]];
    let scenario = Scenario { tombstones: vec![1], ..calm(&clients) };
    may_be_unanswered(Scenario { placements: vec![ABC, WIPED], wipes: vec![0], ..scenario });
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the register, by ./x prove"]
fn a_minority_value_of_the_placement_before() {
    holds(minority_value());
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the register, by ./x prove"]
fn a_store_that_restarts_with_an_old_document() {
    let clients: [&[Step]; 1] = [&[write(0, 0), read(3)]];
    let scenario = Scenario { crashes: 1, old_documents: true, ..calm(&clients) };
    holds(Scenario { placements: vec![ABC, ABD], ..scenario });
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the register, by ./x prove"]
fn two_placements_with_a_crash_and_a_repair() {
    let clients: [&[Step]; 2] = [&[write(0, 0)], &[read(3)]];
    let scenario = Scenario { crashes: 1, settlements: 1, ..calm(&clients) };
    holds(Scenario { placements: vec![ABC, ABD], ..scenario });
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the register, by ./x prove"]
fn two_writers_while_a_wiped_store_comes_back() {
    let clients: [&[Step]; 2] = [&[write(1, 0)], &[write(0, 1)]];
    holds(Scenario { placements: vec![ABC, WIPED], wipes: vec![0], ..calm(&clients) });
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the register, by ./x prove"]
fn three_placements_of_which_some_store_skips_one() {
    let clients: [&[Step]; 1] = [&[write(0, 0), read(3)]];
    holds(Scenario { placements: vec![ABC, ABD, DEA], ..calm(&clients) });
}

/// What a placement change must not do without.
fn one_write_then_another(first: Step, second: Step) -> Scenario {
    let clients = [[first, second]];
    let clients: Vec<&[Step]> = clients.iter().map(|steps| &steps[..]).collect();
    calm(&clients)
}

#[test]
fn forgetting_what_was_not_on_disk_is_noticed() {
    let clients: [&[Step]; 2] = [&[write(0, 0)], &[read(1), write(2, 1)]];
    let scenario = Scenario { crashes: 1, unsynced: true, ..calm(&clients) };
    is_noticed_in(&[ONE_VALUE, REPLICAS_AGREE, NEVER_EMPTY], scenario);
}

#[test]
fn a_lost_disk_under_its_old_incarnation_is_noticed() {
    let scenario = one_write_then_another(write(0, 0), write(0, 1));
    let scenario = Scenario { wipes: vec![0], ..scenario };
    is_noticed(Mutation::IgnoreIncarnation, &[ONE_VALUE, REPLICAS_AGREE], scenario);
}

#[test]
fn serving_without_having_read_a_majority_is_noticed() {
    let scenario = one_write_then_another(write(1, 0), write(0, 1));
    let scenario = Scenario { placements: vec![ABC, WIPED], wipes: vec![0], ..scenario };
    is_noticed(Mutation::ServeUnread, &[ONE_VALUE, NEVER_EMPTY, REPLICAS_AGREE], scenario);
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the register, by ./x prove"]
fn a_seal_that_a_restart_forgets_is_noticed() {
    let scenario = one_write_then_another(write(0, 0), read(3));
    let scenario = Scenario { crashes: 1, old_documents: true, ..scenario };
    let scenario = Scenario { placements: vec![ABC, ABD], ..scenario };
    is_noticed(Mutation::ForgetSeal, &[ONE_VALUE, NEVER_EMPTY, REPLICAS_AGREE], scenario);
}

#[test]
fn ballot_zero_without_having_read_is_noticed() {
    let scenario = one_write_then_another(write(1, 0), write(0, 1));
    let scenario = Scenario { placements: vec![ABC, ABC], ..scenario };
    is_noticed(Mutation::ZeroUnread, &[ONE_VALUE, REPLICAS_AGREE], scenario);
}

/// One store had accepted a value that was never chosen; the new one writes another, an old one reads.
fn minority_value() -> Scenario {
    let clients: [&[Step]; 2] = [&[write(3, 1)], &[read(0)]];
    let scenario = Scenario { left_over: vec![(1, 0)], taken_up: true, ..calm(&clients) };
    Scenario { placements: vec![ABC, DAB], ..scenario }
}

/// Two coordinators died in the placement before, each when one store had accepted its value. The new store has
/// copied one of them, and so has the store that holds the other; the third is leaving.
fn two_minority_values() -> Scenario {
    let clients: [&[Step]; 2] = [&[read(3)], &[read(0)]];
    let scenario = Scenario { left_over: vec![(1, 0), (2, 1)], taken_up: true, ..calm(&clients) };
    Scenario { placements: vec![ABC, DAB], departing_stay: true, ..scenario }
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the register, by ./x prove"]
fn two_minority_values_of_the_placement_before() {
    holds(two_minority_values());
}

#[test]
fn taking_copies_for_acceptances_is_noticed() {
    is_noticed(Mutation::CountCopies, &[ONE_VALUE, REPLICAS_AGREE], two_minority_values());
}

#[test]
fn believing_one_tombstone_is_noticed() {
    let clients: [&[Step]; 1] = [&[write(0, 0)]];
    let scenario = Scenario { tombstones: vec![1], ..calm(&clients) };
    let scenario = Scenario { placements: vec![ABC, WIPED], wipes: vec![0], ..scenario };
    is_noticed(Mutation::BelieveTombstone, &[NEVER_EXPIRED], scenario);
}
