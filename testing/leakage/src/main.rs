//! `./x sim`: measures what adversaries learn, prints one table, and fails if a bound is passed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use xchat_leakage::bounds::{Bounds, FULL, QUICK, broken};
use xchat_leakage::campaign::{self, Extent, Kept, Measured, measure};
use xchat_leakage::report;
use xchat_leakage::systems::{Direct, Expectation, Ideal, Nym, System, ThreeHop, TwoHop, Xchat};
use xchat_transport::Pace;

/// Sittings of a person and day, of evenings in which people talk much.
const SITTINGS: f64 = 24.0;

/// Measures what adversaries learn of who talks to whom.
#[derive(Parser)]
struct Args {
    /// Seeds of each size, in place of 44 of a hundred people and 20 of a thousand.
    #[arg(long)]
    seeds: Option<u64>,
    /// Seeds of systems that take a minute and more for each and stand beside the program: Nym, and the idealised stream.
    #[arg(long)]
    slow_seeds: Option<u64>,
    /// A small run with wide bounds.
    #[arg(long)]
    quick: bool,
    /// Only systems whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// No systems whose name contains this.
    #[arg(long)]
    without: Option<String>,
    /// Only this many people, instead of 100 and 1,000.
    #[arg(long)]
    clients: Option<u32>,
    /// The same evenings for all systems, without days and what is asked of days.
    #[arg(long)]
    evenings: bool,
    /// So many whole days, the same for all systems, of the program too, with what is asked of days.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=7))]
    #[arg(conflicts_with_all = ["evenings", "quick", "warm_up", "hours", "stores"])]
    days: Option<u32>,
    /// Hours of an evening before the first that is looked at, in place of one for a hundred people and none for a thousand: without
    /// them sessions only begin, and read sets are not full.
    #[arg(long)]
    warm_up: Option<u32>,
    /// Hours of an evening that are looked at, in place of two for a hundred people and one for a thousand.
    #[arg(long)]
    hours: Option<u32>,
    /// Sittings of a person and day, of evenings and of the same days for all.
    #[arg(long, default_value_t = SITTINGS)]
    sittings: f64,
    /// The pace of the program's clients: fast, desk, phone or thrift.
    #[arg(long, default_value = "desk", value_parser = pace)]
    pace: Pace,
    /// Keeps in this directory what each seed of a day or an evening gives, and goes on from what is there: for campaigns that are
    /// stopped and begun again.
    #[arg(long, conflicts_with = "stores")]
    keep: Option<PathBuf>,
    /// The program that gave what is kept, where this one differs from it only in what it makes of it: nothing is run.
    #[arg(long, requires = "keep")]
    kept_by: Option<PathBuf>,
    /// Only what stores learn, sign by sign, of evenings in which people talk much.
    #[arg(long)]
    stores: bool,
    /// Only what a contact that writes every minute learns.
    #[arg(long, conflicts_with_all = ["keep", "stores", "docs"])]
    probes: bool,
    /// The same as `--stores`, where each program whose device is awake ends and starts again at the beginning of the first hour that is looked at.
    #[arg(long, requires = "stores")]
    restart: bool,
    /// Writes `leakage.md`, or of the same days for all systems `leakage-days.md`, and its pictures in this directory.
    #[arg(long)]
    docs: Option<PathBuf>,
}

fn pace(name: &str) -> Result<Pace, String> {
    Pace::from_name(name).ok_or_else(|| "fast, desk, phone or thrift".to_owned())
}

fn systems(program: Xchat) -> Vec<Box<dyn System>> {
    vec![
        Box::new(Direct),
        Box::new(TwoHop),
        Box::new(ThreeHop),
        Box::new(Nym),
        Box::new(Ideal::default()),
        Box::new(program),
    ]
}

/// Of more people than this a seed is ten times as much, in computing and in pairs.
const FEW: u32 = 100;

/// Sittings of a person and day, and days, of the models.
const FEW_SITTINGS: f64 = 4.0;

/// So many hours after all programs have started their decoys are there.
const LATER: u32 = 2;

/// Seeds of a day of the program.
const DAYS_SEEDS: u64 = 20;
const MODEL_DAYS: u32 = 3;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match (args.stores, args.probes) {
        (true, _) => stores(&args),
        (_, true) => Ok(probes(&args)),
        _ => campaign(&args),
    };
    done.unwrap_or_else(|why| {
        eprintln!("sim: {why}");
        ExitCode::FAILURE
    })
}

fn campaign(args: &Args) -> Result<ExitCode, String> {
    let kept = args.keep.as_deref().map(|directory| {
        Kept::new(directory, args.kept_by.as_deref())
            .map_err(|why| format!("{}: {why}", directory.display()))
    });
    let kept = kept.transpose()?;
    let sizes =
        if args.quick { vec![40] } else { args.clients.map_or(vec![100, 1_000], |n| vec![n]) };
    let is_later = args.days.is_some() || args.warm_up.is_some_and(|hours| hours >= LATER);
    let bounds = args.bounds(is_later);
    let (mut all, mut extents, mut names, mut told, mut faults) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut systems = systems(args.program());
    if args.is_plain() {
        systems.push(Box::new(args.program_of_days()));
    }
    for system in systems {
        if !args.wants(system.as_ref()) {
            continue;
        }
        let mut is_named = false;
        for &clients in &sizes {
            let Some(extent) = args.extent(system.as_ref(), clients) else { continue };
            if !std::mem::replace(&mut is_named, true) {
                names.push((system.name(), system.about()));
            }
            let begun = std::time::Instant::now();
            let mut say = |what: &str| eprintln!("sim: {what}");
            let found = measure(system.as_ref(), extent, kept.as_ref(), &mut say)
                .map_err(|why| format!("what is kept: {why}"))?;
            eprintln!("sim: {}: {:.0} s", system.name(), begun.elapsed().as_secs_f64());
            let Measured { findings, signs } = found;
            let is_later = extent.limits.warm_up >= LATER;
            faults.extend(broken(system.expectation(), &findings, args.bounds(is_later)));
            all.push((system.expectation(), findings));
            extents.push((system.name(), extent));
            if system.expectation() == Expectation::Hides && !signs.is_empty() {
                told.push((system.name(), clients, signs));
            }
        }
    }
    print!("{}", report::table(&all, bounds));
    for (system, clients, signs) in &told {
        print!("\n{}", report::signs(system, *clients, signs));
    }
    if let Some(docs) = &args.docs {
        let report = report::Report {
            command: args.command(),
            has_days: args.days.is_some(),
            systems: &names,
            extents: &extents,
            all: &all,
            signs: &told,
            bounds,
        };
        write(
            docs,
            report::name(args.days.is_some()),
            &report::page(&report),
            report::pictures(&all),
        )
        .map_err(|why| format!("{}: {why}", docs.display()))?;
    }
    for fault in &faults {
        eprintln!("BOUND NOT MET: {fault}");
    }
    let met = faults.is_empty() && !all.is_empty();
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Args {
    /// What gives the same again, on any machine: without what is only this one's.
    fn command(&self) -> String {
        let mut command = String::from("./x sim");
        let numbers = [
            ("days", self.days.map(u64::from)),
            ("clients", self.clients.map(u64::from)),
            ("seeds", self.seeds),
            ("slow-seeds", self.slow_seeds),
            ("warm-up", self.warm_up.map(u64::from)),
            ("hours", self.hours.map(u64::from)),
        ];
        let flags = [("quick", self.quick), ("evenings", self.evenings)];
        for (name, _) in flags.iter().filter(|one| one.1) {
            command.push_str(&format!(" --{name}"));
        }
        for (name, number) in numbers {
            command.extend(number.map(|number| format!(" --{name} {number}")));
        }
        for (name, part) in [("only", &self.only), ("without", &self.without)] {
            command.extend(part.iter().map(|part| format!(" --{name} {part}")));
        }
        if self.pace != Pace::default() {
            command.push_str(&format!(" --pace {}", self.pace.name()));
        }
        if self.sittings != SITTINGS {
            command.push_str(&format!(" --sittings {}", self.sittings));
        }
        command + " --docs docs"
    }

    fn program(&self) -> Xchat {
        Xchat { pace: self.pace, ..Xchat::default() }
    }

    /// What must be true, of runs of which the first hours after a start are looked at or not.
    fn bounds(&self, is_later: bool) -> Bounds {
        match (self.quick, is_later) {
            (true, _) => QUICK,
            (false, true) => FULL.after_hours(),
            (false, false) => FULL,
        }
    }

    /// Each system by what it takes to say something of it: the program also by a day at the pace of phones.
    fn is_plain(&self) -> bool {
        self.days.is_none() && !self.evenings && !self.quick && self.pace != Pace::Phone
    }

    /// The program, of which a day is looked at too: packets of a day at another pace are five times as many.
    fn program_of_days(&self) -> Xchat {
        Xchat { pace: Pace::Phone, ..Xchat::default() }
    }

    fn wants(&self, system: &dyn System) -> bool {
        let has = |part: &String| system.name().contains(part.as_str());
        self.only.as_ref().is_none_or(has) && !self.without.as_ref().is_some_and(has)
    }

    fn evening(&self, clients: u32, seeds: u64) -> Extent {
        let (hours, warm_up) = if clients > FEW { (1, 0) } else { (2, 1) };
        let (hours, warm_up) = (self.hours.unwrap_or(hours), self.warm_up.unwrap_or(warm_up));
        Extent::evening(clients, seeds, hours, warm_up, self.sittings)
    }

    fn seeds_of(&self, system: &dyn System, clients: u32) -> u64 {
        let slow = [Nym.name(), Ideal::default().name()].contains(&system.name());
        // Of fewer, an interval of a hundred people is wider than the bounds.
        let seeds = self.seeds.unwrap_or(if clients > FEW { 20 } else { 44 });
        self.slow_seeds.filter(|_| slow).unwrap_or(seeds)
    }

    /// How much of a system is run at a size; nothing, if it is not.
    fn extent(&self, system: &dyn System, clients: u32) -> Option<Extent> {
        if self.quick {
            return Some(Extent::quick(12));
        }
        // 55 packets a second of a thousand people are more than a day of computing.
        let is_heavy = system.name() == Nym.name();
        if is_heavy && clients > FEW {
            return None;
        }
        let seeds = self.seeds_of(system, clients);
        if let Some(days) = self.days {
            return Some(Extent::days(clients, seeds, days, self.sittings));
        }
        if self.is_plain() && system.name() == self.program_of_days().name() {
            let seeds = self.seeds.unwrap_or(DAYS_SEEDS);
            return (clients <= FEW).then(|| Extent::days(clients, seeds, 1, self.sittings));
        }
        // An hour of a hundred clients of the program itself takes the better part of a minute: evenings, in which people
        // talk much, and a day at the pace of phones, in place of days.
        if self.evenings || system.name() == self.program().name() {
            return Some(self.evening(clients, seeds));
        }
        let days = if is_heavy || clients > FEW { 1 } else { MODEL_DAYS };
        Some(Extent::days(clients, seeds, days, FEW_SITTINGS))
    }
}

fn stores(args: &Args) -> Result<ExitCode, String> {
    let clients = args.clients.unwrap_or(40);
    let extent = args.evening(clients, args.seeds.unwrap_or(44));
    let mut systems = systems(args.program());
    if args.restart {
        // Of models no program can end.
        let restart_hour = Some(extent.limits.warm_up);
        systems = vec![Box::new(Xchat { restart_hour, ..args.program() })];
    }
    for system in systems.iter().filter(|system| system.has_stores()) {
        if !args.wants(system.as_ref()) {
            continue;
        }
        let found = campaign::stores(system.as_ref(), extent, &mut |what| eprintln!("sim: {what}"));
        let restarted = if args.restart { ", programs started again" } else { "" };
        let name = format!("{}{restarted}", system.name());
        print!("{}", report::signs(&name, clients, &found.signs));
        print!("{}", report::followed(&name, clients, &found.followed));
    }
    Ok(ExitCode::SUCCESS)
}

fn probes(args: &Args) -> ExitCode {
    for system in systems(args.program()) {
        if !args.wants(system.as_ref()) {
            continue;
        }
        let clients = args.clients.unwrap_or(FEW);
        let extent = args.evening(clients, args.seeds_of(system.as_ref(), clients));
        let found = campaign::probes(system.as_ref(), extent, &mut |what| eprintln!("sim: {what}"));
        print!("{}", report::probed(system.name(), clients, &found));
    }
    ExitCode::SUCCESS
}

fn write(
    docs: &Path,
    name: &str,
    page: &str,
    pictures: Vec<(&str, String)>,
) -> std::io::Result<()> {
    let images = docs.join("images").join(name);
    std::fs::create_dir_all(&images)?;
    for (file, picture) in pictures {
        std::fs::write(images.join(file), picture)?;
    }
    std::fs::write(docs.join(name).with_extension("md"), page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_the_page_gives_the_same_and_names_no_place() {
        let given = "sim --evenings --warm-up 0 --seeds 44 --slow-seeds 4 --without ideal --sittings 4 --keep /a/b --docs /c";
        let command = Args::parse_from(given.split(' ')).command();
        assert_eq!(
            command,
            "./x sim --evenings --seeds 44 --slow-seeds 4 --warm-up 0 --without ideal --sittings 4 --docs docs"
        );
        let again = Args::parse_from(command.split(' ').skip(1));
        assert_eq!(again.command(), command);
        let days = "./x sim --days 1 --clients 100 --seeds 20 --pace phone --docs docs";
        assert_eq!(Args::parse_from(days.split(' ').skip(1)).command(), days);
        for wrong in ["sim --days 1 --evenings", "sim --days 0", "sim --pace slow"] {
            assert!(Args::try_parse_from(wrong.split(' ')).is_err(), "{wrong}");
        }
    }
}
