//! One table of everything.

use crate::attack::chain::{By, Followed, WITHIN};
use crate::bounds::{Bounds, Verdict, bound};
use crate::campaign::{Attack, Figure, Finding, Findings, Sign};
use crate::record::SECOND;
use crate::stats::Interval;
use crate::systems::Expectation;

use super::attack_name;

const HEAD: [&str; 11] = [
    "system",
    "people",
    "adversary",
    "attack",
    "AUC or correlation",
    "bound",
    "bits left",
    "rounds",
    "GB a month",
    "median s",
    "95 % s",
];

/// The table, in Markdown that can be read in a terminal too: one line for each system, adversary and attack.
pub fn table(all: &[(Expectation, Findings)], bounds: Bounds) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    for (expectation, findings) in all {
        rows.push(cost_row(findings));
        rows.extend(findings.lines.iter().map(|line| row(*expectation, findings, line, bounds)));
    }
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; 11]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|");
    let mut text = format!("{}\n|{rule}|\n", line(&rows[0]));
    for row in &rows[1..] {
        text.push_str(&line(row));
        text.push('\n');
    }
    text
}

/// What stores learn, sign by sign.
pub fn signs(system: &str, clients: u32, all: &[Sign]) -> String {
    let mut text = format!(
        "{system}, {clients} people\n\n| adversary | attack | sign | AUC |\n|---|---|---|---|\n"
    );
    for Sign { adversary, attack, sign, auc, samples } in all {
        let (attack, sign) = (attack_name(*attack), sign.unwrap_or("**all together**"));
        text.push_str(&format!(
            "| {adversary} | {attack} | {sign} | {} |\n",
            with_count(auc, *samples, "a class")
        ));
    }
    text.push('\n');
    text
}

/// What a contact that probes learns, as a row of a table.
pub fn probed(system: &str, clients: u32, found: &Finding) -> String {
    let figure = match &found.figure {
        Figure::Auc(interval, samples) | Figure::Correlation(interval, samples) => {
            with_count(interval, *samples, "hours")
        }
        other => format!("{other:?}"),
    };
    let (who, what) = (found.adversary, attack_name(found.attack));
    format!("| {system} | {clients} | {who} | {what} | {figure} |\n")
}

/// How well stores follow a lane from box to box.
pub fn followed(system: &str, clients: u32, all: &[(&'static str, Followed)]) -> String {
    let mut text = format!(
        "{system}, {clients} people: the next box of a lane, where it is written within {} min, among those of other people's lanes written meanwhile\n\n\
         | adversary | goes by | the next box | best guess right | guesses, median | of | boxes |\n|---|---|---|---|---|---|---|\n",
        WITHIN / SECOND / 60
    );
    for (adversary, Followed { by, awaited, right, rank, count }) in all {
        let by = match by {
            By::Time => "the time alone",
            By::Everything => "everything",
        };
        let next = match awaited {
            None => "any",
            Some(true) => "looked at or registered before it was written",
            Some(false) => "neither",
        };
        let [value, low, high] =
            [right.value, right.low, right.high].map(|share| format!("{:.1}", 100.0 * share));
        let (rank, among) = rank;
        text.push_str(&format!(
            "| {adversary} | {by} | {next} | {value} % [{low}, {high}] | {rank:.0} | {among:.0} | {count} |\n"
        ));
    }
    text.push('\n');
    text
}

fn cost_row(findings: &Findings) -> [String; 11] {
    let mut row: [String; 11] = Default::default();
    row[0] = findings.system.into();
    row[1] = findings.clients.to_string();
    row[2] = "(what it costs)".into();
    row[8] = format!("{:.2}", findings.cost.bytes_a_month / 1e9);
    row[9] = format!("{:.2}", findings.cost.latency.0);
    row[10] = format!("{:.2}", findings.cost.latency.1);
    row
}

fn row(
    expectation: Expectation,
    findings: &Findings,
    line: &Finding,
    bounds: Bounds,
) -> [String; 11] {
    let mut row: [String; 11] = Default::default();
    row[0] = findings.system.into();
    row[1] = findings.clients.to_string();
    row[2] = line.adversary.into();
    row[3] = attack_name(line.attack);
    match &line.figure {
        Figure::Auc(interval, samples) => row[4] = with_count(interval, *samples, "a class"),
        Figure::Correlation(interval, samples) => {
            let each = if line.attack == Attack::Activity { "minutes" } else { "hours" };
            row[4] = with_count(interval, *samples, each);
        }
        Figure::Bits(unsure) => {
            let all = f64::from(findings.clients - 1).log2();
            row[6] = format!(
                "sender {:.2}, receiver {:.2} of {all:.2}; right {:.0} % and {:.0} %",
                unsure.sender,
                unsure.receiver,
                100.0 * unsure.sender_right,
                100.0 * unsure.receiver_right,
            );
        }
        Figure::Left(bits, right) => {
            let all = f64::from(findings.clients).log2();
            row[6] = format!("{bits:.2} of {all:.2}, right {:.0} %", 100.0 * right);
        }
        Figure::Rounds { median, found, targets, by_luck } => {
            let median = median.map_or("none".into(), |rounds| rounds.to_string());
            row[7] = format!("{median} ({found} of {targets} found; {by_luck} by luck)");
        }
    }
    if let Some((limit, verdict)) = bound(expectation, line, findings.seeds, bounds) {
        let word = match verdict {
            Verdict::Met => "met",
            Verdict::Passed => "PASSED",
            Verdict::TooFew => "TOO FEW",
        };
        row[5] = format!("{limit} {word}");
    }
    row
}

fn with_count(interval: &Interval, samples: usize, of: &str) -> String {
    let Interval { value, low, high } = interval;
    if samples == 0 {
        // Certain by what it sees, not by what was measured.
        return format!("{value:.3}");
    }
    format!("{value:.3} [{low:.3}, {high:.3}], {samples} {of}")
}
