//! The table.

use std::fmt::Write;
use std::process::Command;
use std::sync::OnceLock;

/// What one unwrapping by `sphinx-packet` takes on the machine for which the aims were set, in microseconds.
const UNWRAPPING: f64 = 88.0;

/// How far a figure of real processes may be from the simulator's.
const AGREES_WITHIN: f64 = 0.15;

/// How much slower this machine is, by the same measure.
static SLOWER: OnceLock<f64> = OnceLock::new();

/// Sets what one unwrapping takes here, once, before any row.
pub(crate) fn calibrate(micros: f64) {
    SLOWER.get_or_init(|| micros / UNWRAPPING);
}

/// How much slower this machine is than the one for which the aims were set.
fn slower() -> f64 {
    *SLOWER.get().expect("calibrated at the start")
}

/// One figure.
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// How much, in `unit`.
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// What it should reach, and whether more is better.
    pub(crate) aim: Option<Aim>,
    /// The same of a peer of this run, in the same unit.
    pub(crate) peer: Option<(&'static str, f64)>,
    /// How far the two may be apart.
    apart: Option<f64>,
    /// Whether a missed aim is told only.
    told_only: bool,
}

/// What a figure should reach.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Aim {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            value,
            unit,
            aim: None,
            peer: None,
            apart: None,
            told_only: false,
        }
    }

    pub(crate) fn at_most(self, aim: f64) -> Self {
        Self { aim: Some(Aim::AtMost(aim)), ..self }
    }

    /// What the processor's speed decides: the aim is scaled to this machine.
    pub(crate) fn at_most_of_cpu(self, aim: f64) -> Self {
        self.at_most(aim * slower())
    }

    /// As [`Self::at_most_of_cpu`].
    pub(crate) fn at_least_of_cpu(self, aim: f64) -> Self {
        Self { aim: Some(Aim::AtLeast(aim / slower())), ..self }
    }

    /// Its aim is a wish: missing it is told on the page, and no error.
    pub(crate) fn told_only(self) -> Self {
        Self { told_only: true, ..self }
    }

    pub(crate) fn beside(self, peer: &'static str, value: f64) -> Self {
        Self { peer: Some((peer, value)), ..self }
    }

    /// What the simulator says of the same, which should agree.
    pub(crate) fn beside_simulated(self, value: f64) -> Self {
        Self { apart: Some(AGREES_WITHIN), ..self.beside("simulator", value) }
    }

    /// Whether it misses its aim, or is too far from the simulator.
    pub(crate) fn is_missed(&self) -> bool {
        let missed = self.aim.is_some_and(|aim| !aim.is_met(self.value));
        missed && !self.told_only || self.is_apart()
    }

    fn is_apart(&self) -> bool {
        // What cannot be compared does not agree.
        let agrees = |most: f64, value: f64| (self.value / value - 1.0).abs() <= most;
        let too_far = |most: f64| self.peer.is_some_and(|(_, value)| !agrees(most, value));
        self.apart.is_some_and(too_far)
    }

    fn cells(&self) -> [String; 4] {
        let aim = self.aim.map(|aim| {
            let text = match aim {
                Aim::AtMost(most) => format!("≤ {}", number(most)),
                Aim::AtLeast(least) => format!("≥ {}", number(least)),
            };
            if aim.is_met(self.value) { text } else { format!("{text} **missed**") }
        });
        let peer = self.peer.map(|(name, value)| {
            let ratio = self.value / value;
            let mark = if self.is_apart() { " **apart**" } else { "" };
            format!("{name}: {}, ratio {}{mark}", number(value), number(ratio))
        });
        [
            self.what.clone(),
            format!("{} {}", number(self.value), self.unit),
            aim.unwrap_or_default(),
            peer.unwrap_or_default(),
        ]
    }

    pub(crate) fn line(&self) -> String {
        let [what, value, aim, peer] = self.cells();
        format!("{what:64} {value:>18}  {aim:24} {peer}")
    }
}

/// Three digits, as far as there are that many before the point.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        large if large >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// `bench/README.md`.
pub(crate) fn page(rows: &[Row]) -> String {
    let mut page = include_str!("page.md").to_owned();
    let said = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let date = said("date", &["-u", "+%Y-%m-%d"]).unwrap_or_default();
    let rustc = said("rustc", &["--version"]).unwrap_or_default();
    let _ = writeln!(page, "**{date}**, {}, {rustc}. Factor: {:.2}.\n", machine(), slower());
    page += "| what | measured | aim | peer of the same run |\n|---|---:|---|---|\n";
    for row in rows {
        let _ = writeln!(page, "| {} |", row.cells().join(" | "));
    }
    page
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    let model =
        model.map_or("an unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: u64 = total.and_then(|rest| rest.trim().split(' ').next()?.parse().ok()).unwrap_or(0);
    format!("{cores} cores of {model}, {} GiB", kib / (1 << 20))
}
