//! `xchat-simnet SCENARIO.toml [--seed N] [--real]`: plays a scenario and prints what it came to and what it cost.
//! `xchat-simnet --budget`: prints the slot budget of spec 8.8.

use std::process::ExitCode;
use std::time::Instant;

use xchat_simnet::cost::{Cost, peak_memory};
use xchat_simnet::seen::Blind;
use xchat_simnet::{Budget, Scenario, Transparent, budget, play};
use xchat_sphinx::{PacketFormat, Sphinx};
use xchat_transport::Pace;

struct Arguments {
    file: String,
    seed: u64,
    real: bool,
}

fn main() -> ExitCode {
    if std::env::args().skip(1).eq(["--budget"]) {
        print_budget();
        return ExitCode::SUCCESS;
    }
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("xchat-simnet: {why}");
            eprintln!(
                "usage: xchat-simnet SCENARIO.toml [--seed N] [--real], or xchat-simnet --budget"
            );
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xchat-simnet: {}: {why}", arguments.file);
            ExitCode::FAILURE
        }
    }
}

fn print_budget() {
    println!(
        "| pace, conversations | registrations % | reads % | noticed within s, half | the slowest |"
    );
    for pace in Pace::ALL {
        for conversations in [10, 30, 100] {
            let Budget { registrations, reads, noticed: [half, most] } =
                budget(pace, conversations);
            let (registrations, reads) = (100.0 * registrations, 100.0 * reads);
            println!(
                "| `{}`, {conversations} | {registrations:.1} | {reads:.1} | {half:.1} | {most:.0} |",
                pace.name()
            );
        }
    }
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let (mut file, mut seed, mut real) = (None, 1, false);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--real" => real = true,
            "--seed" => {
                let number = given.next().and_then(|number| number.parse().ok());
                seed = number.ok_or("--seed takes a number")?;
            }
            _ if file.is_none() && !argument.starts_with('-') => file = Some(argument),
            _ => return Err(format!("\"{argument}\" is not understood")),
        }
    }
    let file = file.ok_or("which scenario?")?;
    Ok(Arguments { file, seed, real })
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let scenario = Scenario::from_toml(&std::fs::read_to_string(&arguments.file)?)?;
    let format: &'static dyn PacketFormat = if arguments.real { &Sphinx } else { &Transparent };
    let (began, before) = (Instant::now(), Cost::of_this_thread()?);
    let report = play(&scenario, arguments.seed, format, Box::new(Blind));
    let (cost, wall) = (Cost::of_this_thread()?.since(&before), began.elapsed());
    println!("{report}");
    println!("cost          {:.1} s of a core, {:.1} s of time", cost.secs(), wall.as_secs_f64());
    println!("memory        {} MB at its peak", peak_memory()? / 1_000_000);
    Ok(())
}
