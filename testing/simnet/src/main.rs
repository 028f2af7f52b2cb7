//! `xchat-simnet SCENARIO.toml [--seed N] [--real]`: plays a scenario and prints what it came to and what it cost.

use std::process::ExitCode;
use std::time::Instant;

use xchat_simnet::cost::{Cost, peak_memory};
use xchat_simnet::seen::Blind;
use xchat_simnet::{Scenario, Transparent, play};
use xchat_sphinx::{PacketFormat, Sphinx};

struct Arguments {
    file: String,
    seed: u64,
    real: bool,
}

fn main() -> ExitCode {
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("xchat-simnet: {why}");
            eprintln!("usage: xchat-simnet SCENARIO.toml [--seed N] [--real]");
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
