//! The write-once register keeps its promises in every interleaving within these bounds, and each
//! way of breaking it on purpose is noticed.

use stateright::{Checker, HasDiscoveries, Model};
use xchat_pigeonhole::register::Mutation;
use xchat_proofs::register::{
    NEVER_EMPTY, ONE_VALUE, REPLICAS_AGREE, RegisterModel, Scenario, Step,
};

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
        tombstone: None,
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

/// Searches until one of the properties that may fail has failed.
fn is_noticed(mutation: Mutation, properties: &[&'static str], scenario: Scenario) {
    let model = RegisterModel::new(Scenario { mutation: Some(mutation), ..scenario });
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
    holds(Scenario { tombstone: Some(2), crashes: 1, wakeups: 1, ..calm(&clients) });
}

#[test]
fn a_first_rank_with_a_tombstone_of_a_broken_clock() {
    let clients: [&[Step]; 2] = [&[write(0, 0), write(1, 0)], &[write(2, 1), read(0)]];
    holds(Scenario { tombstone: Some(0), crashes: 1, wakeups: 1, ..calm(&clients) });
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
