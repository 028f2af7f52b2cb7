//! The rule of epochs keeps its promises to two who talk, in every interleaving within these bounds,
//! and each way of breaking it on purpose is noticed.

use stateright::{Checker, HasDiscoveries, Model};
use xchat_engine::Mutation;
use xchat_proofs::pair::{
    Careless, Insider, NOBODY_LOST, NOTHING_LOST, ONCE_IN_ORDER, ONE_ORDER, PairModel, Scenario,
    Step,
};

const SAY: Step = Step::Say;
const RENEW: Step = Step::Renew;

/// These two, and nothing going wrong but late answers.
fn calm(one: &[Step], other: &[Step]) -> Scenario {
    Scenario {
        plans: [one.to_vec(), other.to_vec()],
        crashes: 0,
        insider: None,
        mutation: None,
        careless: None,
    }
}

/// Visits every world, depth first: beside fingerprints only what is still to be visited is kept, and level by level that is
/// more than a machine holds. Its figures are for the reader of `--no-capture`.
fn holds(scenario: Scenario) {
    let checker = PairModel::new(scenario).checker().spawn_dfs().join();
    println!(
        "{} worlds, {} steps, longest way {}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

/// Searches until one of the properties that may fail has failed.
fn is_noticed(properties: &[&'static str], scenario: Scenario) {
    let broken = format!("{:?} {:?}", scenario.mutation, scenario.careless);
    let search = PairModel::new(scenario).checker().finish_when(HasDiscoveries::AnyFailures);
    let checker = search.spawn_bfs().join();
    let failed =
        properties.iter().find_map(|name| checker.discovery(name).map(|path| (name, path)));
    let all: Vec<_> = checker.discoveries().into_keys().collect();
    let (name, path) = failed.unwrap_or_else(|| unreachable!("not noticed, only {all:?}"));
    println!(
        "{broken}: \"{name}\" fails after {} steps, {} worlds",
        path.into_actions().len(),
        checker.unique_state_count()
    );
}

#[test]
fn one_speaks_while_the_other_renews() {
    holds(calm(&[SAY], &[RENEW]));
}

#[test]
fn one_speaks_twice_with_a_crash() {
    holds(Scenario { crashes: 1, ..calm(&[SAY, SAY], &[]) });
}

#[test]
fn one_renews_with_a_crash() {
    holds(Scenario { crashes: 1, ..calm(&[], &[RENEW]) });
}

#[test]
fn both_renew_at_once() {
    holds(calm(&[RENEW], &[RENEW]));
}

#[test]
fn one_speaks_past_rubbish_in_the_commit_lane() {
    holds(Scenario { insider: Some(Insider::Rubbish), ..calm(&[SAY], &[]) });
}

#[test]
fn one_renews_past_rubbish_in_the_commit_lane() {
    holds(Scenario { insider: Some(Insider::Rubbish), ..calm(&[SAY, RENEW], &[]) });
}

#[test]
fn two_speak_while_a_run_comes_late() {
    holds(Scenario { insider: Some(Insider::LateRun), ..calm(&[SAY], &[]) });
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the rule of epochs, by ./x prove"]
fn one_speaks_while_the_other_renews_with_a_crash() {
    holds(Scenario { crashes: 1, ..calm(&[SAY], &[RENEW]) });
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the rule of epochs, by ./x prove"]
fn one_speaks_twice_while_the_other_renews() {
    holds(calm(&[SAY, SAY], &[RENEW]));
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the rule of epochs, by ./x prove"]
fn both_speak_while_a_run_comes_late() {
    holds(Scenario { insider: Some(Insider::LateRun), ..calm(&[SAY], &[SAY]) });
}

#[test]
fn a_look_before_the_acknowledgement_is_noticed() {
    let mutation = Some(Mutation::LookBeforeAck);
    is_noticed(&[NOTHING_LOST], Scenario { mutation, ..calm(&[SAY], &[RENEW]) });
}

#[test]
fn leaving_without_draining_is_noticed() {
    let mutation = Some(Mutation::NoDrain);
    is_noticed(&[NOTHING_LOST], Scenario { mutation, ..calm(&[SAY], &[RENEW]) });
}

#[test]
fn not_sending_again_is_noticed() {
    let mutation = Some(Mutation::NoResend);
    is_noticed(&[NOTHING_LOST], Scenario { mutation, ..calm(&[SAY], &[RENEW]) });
}

#[test]
fn an_entry_before_its_run_is_noticed() {
    let mutation = Some(Mutation::EntryBeforeRun);
    is_noticed(&[ONE_ORDER, NOTHING_LOST], Scenario { mutation, ..calm(&[SAY], &[RENEW]) });
}

#[test]
fn a_hole_left_open_is_noticed() {
    let (mutation, insider) = (Some(Mutation::LeaveHoles), Some(Insider::LateRun));
    is_noticed(&[ONE_ORDER, NOTHING_LOST], Scenario { mutation, insider, ..calm(&[SAY], &[SAY]) });
}

#[test]
fn taking_repeated_numbers_is_noticed() {
    let mutation = Some(Mutation::TakeRepeated);
    is_noticed(&[ONCE_IN_ORDER], Scenario { mutation, ..calm(&[SAY], &[RENEW]) });
}

#[test]
fn emitting_before_persisting_is_noticed() {
    // A commit that was sealed twice is taken for what it is, so it takes a message besides.
    let careless = Some(Careless::EmitFirst);
    let scenario = Scenario { careless, crashes: 1, ..calm(&[SAY, RENEW], &[]) };
    is_noticed(&[NOBODY_LOST, ONCE_IN_ORDER], scenario);
}

#[test]
fn a_batch_in_two_transactions_is_noticed() {
    let careless = Some(Careless::TornBatch);
    is_noticed(&[ONCE_IN_ORDER], Scenario { careless, crashes: 1, ..calm(&[SAY], &[]) });
}
