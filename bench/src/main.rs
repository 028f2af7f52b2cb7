//! Measures the program that ships, beside peers that run in the same minutes on the same machine.
//!
//! ```text
//!   xchat-bench --xchat target/release/xchat [NAME…] [--report bench/README.md]
//! ```
//!
//! Costs are CPU time, taken from `/proc`: a busy machine makes them slower to get, not larger. Delays are wall-clock, and are
//! compared within one run only. What misses its aim, or is further from the simulator than it may be, ends the program with an error, once
//! all is measured and written.

mod boxes;
mod cpu;
mod delivery;
mod history;
mod idle;
mod packets;
mod prosody;
mod report;
mod sizes;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use report::Row;

/// Measures the program that ships.
#[derive(Parser)]
struct Args {
    /// The program, as it is built for people.
    #[arg(long)]
    xchat: PathBuf,
    /// Which of packets, boxes, delivery, prosody, idle, history, sizes; all of them if none is named.
    names: Vec<String>,
    /// Where the table goes, in Markdown.
    #[arg(long)]
    report: Option<PathBuf>,
}

type Bench = fn(&Args) -> Vec<Row>;

const BENCHES: [(&str, Bench); 7] = [
    ("packets", packets::run),
    ("boxes", boxes::run),
    ("delivery", delivery::run),
    ("prosody", prosody::run),
    ("idle", idle::run),
    ("history", history::run),
    ("sizes", sizes::run),
];

fn main() -> ExitCode {
    let args = Args::parse();
    report::calibrate(packets::unwrapping());
    let mut rows = Vec::new();
    for (name, bench) in BENCHES {
        if args.names.is_empty() || args.names.iter().any(|wanted| wanted == name) {
            eprintln!("bench: {name}");
            let more = bench(&args);
            more.iter().for_each(|row| println!("{}", row.line()));
            rows.extend(more);
        }
    }
    if let Some(path) = &args.report {
        std::fs::write(path, report::page(&rows)).expect("the report can be written");
    }
    let mut missed = rows.iter().filter(|row| row.is_missed()).peekable();
    let code = if missed.peek().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    missed.for_each(|row| eprintln!("MISSED: {}", row.line()));
    code
}
