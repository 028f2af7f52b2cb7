//! What came of it, for a terminal and for `docs/attack.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use xchat_testkit::Direction;

use crate::tally::KINDS;

/// Figures of one run.
pub(crate) struct Outcome {
    pub(crate) seconds: Duration,
    pub(crate) rate: u32,
    /// Tried and wrongly taken, in the order of [`KINDS`].
    pub(crate) attempts: Vec<(u64, u64)>,
    pub(crate) all: (u64, u64),
    pub(crate) peace: [Direction; 2],
    pub(crate) under_attack: [Direction; 2],
    /// Resident and highest, in KiB.
    pub(crate) memory_before: BTreeMap<String, (u64, u64)>,
    pub(crate) memory_after: BTreeMap<String, (u64, u64)>,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) faults: Vec<String>,
}

/// What was counted between two moments.
pub(crate) fn difference(
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    let grown = |(name, count): (&String, &u64)| {
        let before = before.get(name).copied().unwrap_or(0);
        (*count > before).then(|| (name.clone(), count - before))
    };
    after.iter().filter_map(grown).collect()
}

impl Outcome {
    fn lost(&self) -> u64 {
        self.directions().map(|d| d.lost + d.twice + d.out_of_order).sum()
    }

    fn directions(&self) -> impl Iterator<Item = &Direction> {
        self.peace.iter().chain(&self.under_attack)
    }

    /// Nothing was taken wrongly, and nothing lost.
    pub(crate) fn is_good(&self) -> bool {
        self.all.1 == 0 && self.lost() == 0 && self.faults.is_empty() && self.all.0 > 0
    }

    fn a_second(&self) -> f64 {
        self.all.0 as f64 / self.seconds.as_secs_f64().max(0.001)
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}", self.table());
        let _ = writeln!(out, "{}", self.talk());
        let _ = writeln!(out, "{}", self.memory());
        for fault in &self.faults {
            let _ = writeln!(out, "FAULT: {fault}");
        }
        let _ = writeln!(
            out,
            "{} attempts in {:.0} s, {:.0} a second; {} taken wrongly, {} messages lost, doubled or out of order, {} faults",
            self.all.0,
            self.seconds.as_secs_f64(),
            self.a_second(),
            self.all.1,
            self.lost(),
            self.faults.len(),
        );
        out
    }

    /// The page of the documentation.
    pub(crate) fn page(&self) -> String {
        let mut out = String::from(include_str!("page.md"));
        let verdict = format!(
            "**{} attempts in {:.0} seconds, {:.0} a second** (asked for: at most {}). Taken wrongly: **{}**. Messages of the two people that were lost, came twice or out of order: **{}**. Other faults: **{}**.\n",
            self.all.0,
            self.seconds.as_secs_f64(),
            self.a_second(),
            self.rate,
            self.all.1,
            self.lost(),
            self.faults.len(),
        );
        for part in [verdict, self.table(), self.talk(), self.memory(), self.counted()] {
            out.push('\n');
            out.push_str(&part);
        }
        for fault in &self.faults {
            let _ = writeln!(out, "\nFault: {fault}");
        }
        out
    }

    fn table(&self) -> String {
        let mut out = String::from("| who | what | tried | taken |\n|---|---|---:|---:|\n");
        for ((_, who, what), (tried, wrong)) in KINDS.iter().zip(&self.attempts) {
            let _ = writeln!(out, "| {who} | {what} | {tried} | {wrong} |");
        }
        out
    }

    fn talk(&self) -> String {
        let mut out = String::from(
            "| two people talk | sent | lost | twice | out of order | median | 95 % | longest |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        for (when, directions) in [("in peace", &self.peace), ("under attack", &self.under_attack)]
        {
            let sum = |of: fn(&Direction) -> u64| directions.iter().map(of).sum::<u64>();
            let mut delays: Vec<_> =
                directions.iter().flat_map(|d| d.delays.iter().copied()).collect();
            delays.sort();
            let at = |share: f64| {
                let index = (delays.len() as f64 * share) as usize;
                delays.get(index.min(delays.len().saturating_sub(1))).copied().unwrap_or_default()
            };
            let _ = writeln!(
                out,
                "| {when} | {} | {} | {} | {} | {:.2} s | {:.2} s | {:.2} s |",
                sum(|d| d.sent),
                sum(|d| d.lost),
                sum(|d| d.twice),
                sum(|d| d.out_of_order),
                at(0.5).as_secs_f64(),
                at(0.95).as_secs_f64(),
                at(1.0).as_secs_f64(),
            );
        }
        out
    }

    fn memory(&self) -> String {
        let mut out =
            String::from("| node | resident before | after | highest |\n|---|---:|---:|---:|\n");
        let mib = |kib: u64| kib as f64 / 1024.0;
        for (name, (after, highest)) in &self.memory_after {
            let before = self.memory_before.get(name).map_or(0, |(resident, _)| *resident);
            let _ = writeln!(
                out,
                "| {name} | {:.0} MiB | {:.0} MiB | {:.0} MiB |",
                mib(before),
                mib(*after),
                mib(*highest),
            );
        }
        out
    }

    fn counted(&self) -> String {
        let list: Vec<_> =
            self.counters.iter().map(|(name, count)| format!("`{name}` {count}")).collect();
        format!("What the honest nodes counted meanwhile, added up: {}.\n", list.join(", "))
    }
}
