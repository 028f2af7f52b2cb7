//! The rule of epochs keeps its promises to groups of two and three, in every interleaving within
//! these bounds, and each way of breaking it on purpose is noticed.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use stateright::{Checker, HasDiscoveries, Model};
use xchat_proofs::group::{
    ALL_TOLD, GroupModel, Insider, Mutation, NOTHING_LOST, ONCE_IN_ORDER, ONE_ORDER, Scenario, Step,
};

const SAY: Step = Step::Say;
const RENEW: Step = Step::Commit(None);
const REMOVE_THIRD: Step = Step::Commit(Some(2));

/// These members, and nothing going wrong but late answers.
fn calm(plans: &[&[Step]], lanes: usize) -> Scenario {
    Scenario {
        plans: plans.iter().map(|steps| steps.to_vec()).collect(),
        lanes,
        crashes: 0,
        looks: 0,
        insider: None,
        ends: plans.iter().copied().flatten().filter(|step| **step != SAY).count(),
        mutation: None,
    }
}

/// Visits every world, depth first: beside fingerprints only what is still to be visited is kept, and level by level that is
/// more than a machine holds. Its figures are for the reader of `--no-capture`.
fn holds(scenario: Scenario) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = GroupModel::new(scenario).checker().threads(threads).spawn_dfs().join();
    println!(
        "{} worlds, {} steps, longest way {}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

/// Searches until one of the properties that may fail has failed.
fn is_noticed(mutation: Mutation, properties: &[&'static str], scenario: Scenario) {
    let model = GroupModel::new(Scenario { mutation: Some(mutation), ..scenario });
    let search = model.checker().finish_when(HasDiscoveries::AnyFailures);
    let checker = search.spawn_bfs().join();
    let failed =
        properties.iter().find_map(|name| checker.discovery(name).map(|path| (name, path)));
    let all: Vec<_> = checker.discoveries().into_keys().collect();
    let (name, path) = failed.unwrap_or_else(|| unreachable!("not noticed, only {all:?}"));
    println!("{mutation:?}: \"{name}\" fails after {} steps", path.into_actions().len());
}

/// Everything that can ever be on the members' disks at one moment, and what is there when all is at rest, by digest; and how many
/// worlds that took.
fn all_that_is_seen(model: &GroupModel) -> ([BTreeSet<u64>; 2], usize) {
    let digest = |what: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        what(&mut hasher);
        hasher.finish()
    };
    let (mut visited, mut next) = (BTreeSet::new(), model.init_states());
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    while let Some(world) = next.pop() {
        if !visited.insert(digest(&|hasher| world.hash(hasher))) {
            continue;
        }
        let disks = digest(&|hasher| world.disks().hash(hasher));
        seen[0].insert(disks);
        if model.at_rest(&world) {
            seen[1].insert(disks);
        }
        let mut actions = Vec::new();
        model.actions(&world, &mut actions);
        next.extend(actions.into_iter().filter_map(|action| model.next_state(&world, action)));
    }
    (seen, visited.len())
}

/// Worlds are merged by what nobody sees: the members come to the same, and to nothing else, whatever is left out on purpose.
fn settled_is_the_same(scenarios: impl IntoIterator<Item = Scenario>) {
    for scenario in scenarios {
        let (settled, few) = all_that_is_seen(&GroupModel::new(scenario.clone()));
        let (all, many) = all_that_is_seen(&GroupModel::unsettled(scenario.clone()));
        println!(
            "{few} worlds in place of {many}, {} disks, {} at rest",
            all[0].len(),
            all[1].len()
        );
        assert!(settled == all && few < many, "{scenario:?}");
    }
}

#[test]
fn settled_worlds_are_all_that_can_be_told_apart() {
    let each_other: [&[Step]; 3] = [&[Step::Commit(Some(1))], &[SAY, Step::Commit(Some(0))], &[]];
    let (late, rubbish) = (Some(Insider::LateRun), Some(Insider::Rubbish));
    settled_is_the_same([
        Scenario { crashes: 1, ..calm(&[&[SAY, RENEW], &[SAY]], 2) },
        Scenario { crashes: 1, looks: 1, ..calm(&[&[SAY], &[RENEW]], 1) },
        Scenario { insider: late, crashes: 1, ..calm(&[&[SAY], &[RENEW]], 2) },
        Scenario { insider: rubbish, crashes: 1, ..calm(&[&[SAY], &[RENEW]], 2) },
        Scenario { ends: 1, ..calm(&each_other, 1) },
        Scenario { crashes: 1, ..calm(&[&[REMOVE_THIRD], &[], &[SAY]], 1) },
        calm(&[&[REMOVE_THIRD], &[SAY], &[SAY]], 1),
    ]);
}

#[test]
fn settled_worlds_are_so_with_every_mutation() {
    let base = |mutation| {
        let (crashes, looks, insider, plans, lanes): (_, _, _, [&[Step]; 2], _) = match mutation {
            Mutation::DrainByOldReads => (0, 1, None, [&[SAY], &[RENEW]], 1),
            Mutation::LeaveHoles => (0, 0, Some(Insider::LateRun), [&[SAY], &[RENEW]], 2),
            Mutation::StopAtRubbish => (0, 0, Some(Insider::Rubbish), [&[SAY], &[RENEW]], 2),
            Mutation::EmitFirst | Mutation::NumberApart => (1, 0, None, [&[SAY], &[RENEW]], 2),
            _ => (0, 0, None, [&[SAY], &[RENEW]], 2),
        };
        Scenario { crashes, looks, insider, mutation: Some(mutation), ..calm(&plans, lanes) }
    };
    settled_is_the_same(
        [
            Mutation::LookBeforeAck,
            Mutation::NoDrain,
            Mutation::DrainByOldReads,
            Mutation::NoResend,
            Mutation::LeaveHoles,
            Mutation::StopAtRubbish,
            Mutation::TakeRepeated,
            Mutation::EmitFirst,
            Mutation::NumberApart,
        ]
        .map(base),
    );
}

#[test]
fn two_speak_and_renew_with_a_crash() {
    holds(Scenario { crashes: 1, ..calm(&[&[SAY, RENEW], &[SAY]], 2) });
}

#[test]
fn two_who_share_a_lane_with_a_crash() {
    holds(Scenario { crashes: 1, ..calm(&[&[SAY], &[SAY, RENEW]], 1) });
}

#[test]
fn two_who_renew_at_once_with_a_crash() {
    holds(Scenario { crashes: 1, ..calm(&[&[SAY, RENEW], &[RENEW]], 2) });
}

#[test]
fn two_with_rubbish_in_the_commit_lane() {
    holds(Scenario { crashes: 1, insider: Some(Insider::Rubbish), ..calm(&[&[SAY], &[RENEW]], 2) });
}

#[test]
fn two_with_an_entry_whose_run_comes_late() {
    holds(Scenario { insider: Some(Insider::LateRun), ..calm(&[&[SAY], &[SAY, RENEW]], 2) });
}

#[test]
fn three_who_share_a_lane_while_one_renews() {
    holds(calm(&[&[SAY], &[SAY], &[RENEW]], 1));
}

#[test]
fn one_of_three_is_removed_while_speaking() {
    holds(calm(&[&[REMOVE_THIRD], &[SAY], &[SAY]], 1));
}

#[test]
fn two_of_three_remove_each_other() {
    let plans: [&[Step]; 3] = [&[Step::Commit(Some(1))], &[SAY, Step::Commit(Some(0))], &[]];
    // Whoever is second is not there any more.
    holds(Scenario { ends: 1, ..calm(&plans, 1) });
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the rule of epochs, by ./x prove"]
fn one_of_three_is_removed_while_speaking_with_a_crash() {
    for lanes in 1..=2 {
        holds(Scenario { crashes: 1, ..calm(&[&[REMOVE_THIRD], &[SAY], &[SAY]], lanes) });
    }
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the rule of epochs, by ./x prove"]
fn one_of_three_with_lanes_of_their_own_is_removed_while_speaking() {
    holds(calm(&[&[REMOVE_THIRD], &[SAY], &[SAY]], 3));
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the rule of epochs, by ./x prove"]
fn two_removals_among_three() {
    let plans: [&[Step]; 3] = [&[REMOVE_THIRD, SAY], &[Step::Commit(Some(0))], &[SAY]];
    holds(calm(&plans, 1));
    holds(calm(&plans, 2));
}

#[test]
#[ignore = "minutes of CPU: for whoever changes the rule of epochs, by ./x prove"]
fn one_lags_by_two_epochs() {
    holds(Scenario { crashes: 1, ..calm(&[&[SAY, RENEW, RENEW], &[]], 2) });
    holds(calm(&[&[RENEW, RENEW, SAY], &[SAY]], 2));
    holds(calm(&[&[RENEW, SAY], &[RENEW], &[]], 1));
}

#[test]
fn a_look_before_the_acknowledgement_is_noticed() {
    is_noticed(Mutation::LookBeforeAck, &[NOTHING_LOST], calm(&[&[SAY], &[RENEW]], 2));
}

#[test]
fn leaving_without_draining_is_noticed() {
    is_noticed(Mutation::NoDrain, &[NOTHING_LOST], calm(&[&[SAY], &[RENEW]], 2));
}

#[test]
fn draining_by_an_old_read_is_noticed() {
    let scenario = Scenario { looks: 1, ..calm(&[&[SAY], &[RENEW]], 2) };
    is_noticed(Mutation::DrainByOldReads, &[NOTHING_LOST], scenario);
}

#[test]
fn not_sending_again_is_noticed() {
    is_noticed(Mutation::NoResend, &[NOTHING_LOST], calm(&[&[SAY], &[RENEW]], 2));
}

#[test]
fn a_hole_left_open_is_noticed() {
    let scenario = Scenario { insider: Some(Insider::LateRun), ..calm(&[&[SAY], &[SAY]], 2) };
    is_noticed(Mutation::LeaveHoles, &[ONE_ORDER, ALL_TOLD], scenario);
}

#[test]
fn stopping_at_an_invalid_entry_is_noticed() {
    let scenario = Scenario { insider: Some(Insider::Rubbish), ..calm(&[&[SAY], &[]], 2) };
    is_noticed(Mutation::StopAtRubbish, &[ALL_TOLD], scenario);
}

#[test]
fn taking_repeated_numbers_is_noticed() {
    is_noticed(Mutation::TakeRepeated, &[ONCE_IN_ORDER], calm(&[&[SAY], &[RENEW]], 2));
}

#[test]
fn emitting_before_persisting_is_noticed() {
    let scenario = Scenario { crashes: 1, ..calm(&[&[SAY, SAY], &[]], 2) };
    is_noticed(Mutation::EmitFirst, &[NOTHING_LOST], scenario);
}

#[test]
fn a_number_apart_from_its_message_is_noticed() {
    let scenario = Scenario { crashes: 1, ..calm(&[&[SAY], &[]], 2) };
    is_noticed(Mutation::NumberApart, &[ONCE_IN_ORDER], scenario);
}
