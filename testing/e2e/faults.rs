//! Three people talk while processes die, freeze and lose one another: everything that was accepted arrives exactly
//! once, in order.
//!
//! A schedule follows from its seed (`faults/plan.rs`): after so many arrivals, this goes wrong, until that. Its
//! moments are events of the conversation, never times. `./x soak` runs many, `./x soak --seed N` one again.

#[path = "faults/ledger.rs"]
mod ledger;
#[path = "faults/plan.rs"]
mod plan;
#[path = "faults/space.rs"]
mod space;
#[path = "faults/world.rs"]
mod world;

mod harness;

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger::Ledger;
use plan::{Fault, NAMES, PEOPLE, Plan, Step, Until};
use space::Space;
use world::{Memory, World};

/// Messages in a schedule of the soak, and in the long one of the tests.
const MANY: usize = 500;

/// Messages in the other schedules of the tests.
const FEW: usize = 150;

#[test]
fn five_hundred_messages_survive_every_kind_of_fault() {
    schedule(1, MANY);
}

#[test]
fn messages_survive_the_faults_of_seed_2() {
    schedule(2, FEW);
}

#[test]
fn messages_survive_the_faults_of_seed_3() {
    schedule(3, FEW);
}

#[test]
fn messages_survive_the_faults_of_seed_4() {
    schedule(4, FEW);
}

#[test]
fn messages_survive_the_faults_of_seed_5() {
    schedule(5, FEW);
}

/// `./x soak`: seeds from `XCHAT_SOAK_FIRST` on, `XCHAT_SOAK_COUNT` of them, with `XCHAT_SOAK_MESSAGES` messages each.
#[test]
#[ignore = "runs for hours: ./x soak"]
fn soak() {
    let number =
        |name, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (first, count) = (number("XCHAT_SOAK_FIRST", 1), number("XCHAT_SOAK_COUNT", 100));
    let run = |seed: &u64| catch_unwind(|| schedule(*seed, MANY)).is_err();
    let failed: Vec<_> = (first..first + count).filter(run).collect();
    assert!(failed.is_empty(), "{} of {count} schedules failed, seeds {failed:?}", failed.len());
}

/// Runs the schedule of a seed.
fn schedule(seed: u64, messages: usize) {
    let partitions = Space::is_possible();
    let plan = Plan::new(seed, messages, partitions);
    let began = Instant::now();
    let mut world = World::new(partitions);
    let met = began.elapsed();
    match run(&plan, &mut world) {
        Ok(memory) => println!(
            "seed {seed}: {} steps, {messages} messages in {:.0} s (after {:.0} s of meeting), {} MiB a node, {} MiB a daemon",
            plan.steps.len(),
            began.elapsed().as_secs_f64(),
            met.as_secs_f64(),
            memory.node_kib / 1024,
            memory.daemon_kib / 1024,
        ),
        Err(why) => {
            let state = world.describe();
            let again = format!("./x soak --seed {seed} --messages {messages}");
            assert!(why.is_empty(), "{plan}failed: {why}\n{state}\nagain: {again}");
        }
    }
}

fn run(plan: &Plan, world: &mut World) -> Result<Memory, String> {
    let ledger = Arc::new(Ledger::new(plan.messages));
    for who in 0..PEOPLE {
        world.listen(who, &ledger);
    }
    let senders: Vec<_> = (0..PEOPLE).map(|who| sender(who, world, &ledger)).collect();
    // Also a panic must end the senders, who hold people whose daemons would live on.
    let talking = AssertUnwindSafe(|| talk(plan, world, &ledger));
    let result = catch_unwind(talking).unwrap_or_else(|_| Err("a panic, see above".to_owned()));
    ledger.change(|state| state.over = true);
    let ended = senders.into_iter().map(std::thread::JoinHandle::join).filter(Result::is_err);
    if ended.count() > 0 {
        return Err("a sender has panicked".to_owned());
    }
    result
}

/// Sends what a person has to say, one command after the other.
fn sender(who: usize, world: &World, ledger: &Arc<Ledger>) -> std::thread::JoinHandle<()> {
    let (person, ledger) = (world.person(who), ledger.clone());
    std::thread::spawn(move || {
        while let Some((to, number)) = ledger.next(who) {
            let text = ledger::text(who, to, number);
            let answer = person.try_run(&["send", NAMES[to], &text, "--no-wait"]);
            let id = answer.map(|lines| lines[0]["id"].as_u64().expect("an id"));
            ledger.sent(who, to, number, id.map_err(|refused| refused.code().1.to_owned()));
        }
    })
}

/// A step, or the way to the next, that takes longer is told of.
const SLOW: Duration = Duration::from_secs(15);

fn talk(plan: &Plan, world: &mut World, ledger: &Arc<Ledger>) -> Result<Memory, String> {
    let mut since = Instant::now();
    let mut slow = |what: &str, step: &dyn Display| {
        let took = std::mem::replace(&mut since, Instant::now()).elapsed();
        if took > SLOW {
            println!("seed {}: {:.0} s {what} {step}", plan.seed, took.as_secs_f64());
        }
    };
    for step in &plan.steps {
        ledger.wait(&format!("{} have arrived", step.after), |state| {
            state.arrived >= step.after || state.nothing_to_come(&[])
        })?;
        slow("on the way to", step);
        world.check_processes()?;
        go_through(step, world, ledger).map_err(|why| format!("in “{step}”: {why}"))?;
        slow("in", step);
    }
    ledger.wait("everything has arrived and is known to have", ledger::State::all_settled)?;
    slow("until everything was", &"delivered");
    world.check_histories(ledger)?;
    world.check_health()
}

/// Inflicts the faults of a step, waits, and mends them.
fn go_through(step: &Step, world: &mut World, ledger: &Arc<Ledger>) -> Result<(), String> {
    let (accepted, arrived) = {
        let state = ledger.lock();
        (state.accepted, state.arrived)
    };
    if let Until::Accepted(count) = step.until {
        ledger.grant(count);
    }
    step.faults.iter().try_for_each(|fault| world.inflict(fault, ledger))?;
    let kept: Vec<_> = step.faults.iter().filter_map(Fault::person).collect();
    ledger.keep(&kept);
    match step.until {
        Until::Accepted(count) => ledger.wait(&format!("{count} more are accepted"), |state| {
            state.accepted >= accepted + count || state.all_begun(&kept)
        }),
        Until::Arrived(count) => ledger.wait(&format!("{count} more have arrived"), |state| {
            state.arrived >= arrived + count || state.nothing_to_come(&kept)
        }),
        Until::Noticed => step.faults.iter().try_for_each(|fault| world.wait_until_noticed(fault)),
    }?;
    step.faults.iter().try_for_each(|fault| world.mend(fault, ledger))?;
    ledger.keep(&[]);
    ledger.end_grant();
    Ok(())
}
