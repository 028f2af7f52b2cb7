//! `docs/leakage.md` and `docs/leakage-days.md`.

use std::fmt::Write;

use crate::bounds::{Bounds, WORKS, broken};
use crate::campaign::{Extent, Findings, Sign};
use crate::systems::Expectation;

use super::{adversaries, pictures, signs, table};

/// Everything that is on the page.
pub struct Report<'a> {
    /// What it was called with, to do it again.
    pub command: String,
    /// Whether it is of whole days, the same for all systems.
    pub has_days: bool,
    /// Names of the systems and what they are, in the order of the findings.
    pub systems: &'a [(&'static str, &'static str)],
    /// How much of each was run: with its name.
    pub extents: &'a [(&'static str, Extent)],
    /// The findings.
    pub all: &'a [(Expectation, Findings)],
    /// What stores learn, sign by sign, with system and people.
    pub signs: &'a [(&'static str, u32, Vec<Sign>)],
    /// What must be true.
    pub bounds: Bounds,
}

/// The page's name, without an ending.
pub const fn name(has_days: bool) -> &'static str {
    if has_days { "leakage-days" } else { "leakage" }
}

/// The page.
pub fn page(report: &Report<'_>) -> String {
    let name = name(report.has_days);
    let mut page = if report.has_days {
        format!("{OF_DAYS}\n{TERMS}\n")
    } else {
        format!("{INTRODUCTION}\n{TERMS}\n{PLAINLY}\n")
    };
    let _ = writeln!(page, "## How to repeat it\n\n```sh\n{}\n```\n\n{REPEAT}", report.command);
    page.push_str("Sizes of these runs:\n\n");
    for (name, extent) in report.extents {
        let _ = writeln!(page, "- {name}: {}", size(extent));
    }
    let _ = writeln!(page, "\n## Bounds\n");
    let _ = writeln!(
        page,
        "Of a system that is to hide who talks to whom the upper end of the interval must be at most {} (AUC) and {} \
         (correlation, either sign) for the observer of every link and for the gateway. Baselines that hide nothing must reach \
         {WORKS} at the lower end, or the attack is broken. {} All else is reported without a bound. Of too little every attack learns nothing: with fewer \
         than {} seeds, {} pairs of each class and {} hours of somebody no bound counts as met (TOO FEW).\n",
        report.bounds.auc,
        report.bounds.correlation,
        of_stores(report.bounds),
        report.bounds.least.seeds,
        report.bounds.least.pairs,
        report.bounds.least.hours,
    );
    page.push_str(&unmet(report));
    let _ = writeln!(page, "{NOTHING}");
    let _ = writeln!(page, "## Findings\n");
    for (file, _) in pictures(report.all) {
        let _ = writeln!(page, "![{file}](images/{name}/{file})\n");
    }
    page.push_str(&table(report.all, report.bounds));
    page.push('\n');
    if !report.signs.is_empty() {
        let _ = writeln!(page, "## What stores go by\n\n{SIGNS}");
        for (system, clients, all) in report.signs {
            page.push_str(&signs(system, *clients, all));
        }
    }
    let _ = writeln!(page, "## Systems\n");
    for (name, about) in report.systems {
        let _ = writeln!(page, "- **{name}**: {about}.");
    }
    let _ = writeln!(page, "\n## Adversaries\n");
    for (name, sees) in adversaries() {
        let _ = writeln!(page, "- **{name}**. {sees}");
    }
    let _ = writeln!(page, "\n{ATTACKS}");
    page
}

fn size(extent: &Extent) -> String {
    let Extent { clients, seeds, hours, first_hour, sessions_a_day, limits, .. } = extent;
    let before = match limits.warm_up {
        0 => "from the first moment".to_owned(),
        hours => format!("after {hours} h in which nothing is looked at"),
    };
    let more = if extent.has_days() { ", and as many evenings with probes, of 5 h" } else { "" };
    format!(
        "{clients} people, {seeds} seeds of {hours} h from {first_hour}:00 on, {before}, {sessions_a_day} sittings a person and day, at most {} pairs a \
         class, window and seed{more}.",
        limits.pairs
    )
}

/// What stores must not tell.
fn of_stores(bounds: Bounds) -> String {
    let mut text = String::new();
    if let Some(limit) = bounds.decoys_of_one {
        let _ =
            write!(text, "One store must not tell real boxes from decoys better than {limit}. ");
    }
    if let Some(limit) = bounds.chains {
        let _ = write!(
            text,
            "Which boxes belong together all stores tell with less than {limit}, or a change has made it worse: it is to be less."
        );
    }
    text
}

/// Which bounds are not met, and what that means.
fn unmet(report: &Report<'_>) -> String {
    let faults: Vec<String> = report
        .all
        .iter()
        .flat_map(|(expectation, findings)| broken(*expectation, findings, report.bounds))
        .collect();
    if faults.is_empty() {
        return "All bounds are met.\n\n".to_owned();
    }
    let mut text = String::from("**Not met in these runs** (the program ends with an error):\n\n");
    for fault in faults {
        let _ = writeln!(text, "- {fault}");
    }
    let _ = writeln!(text, "\n{UNMET}");
    text
}

const INTRODUCTION: &str = "# Leakage

What somebody who looks on can learn of who talks to whom, how often and when. `./x sim` writes this page anew; the code is in
`testing/leakage`. The same people and the same attacks are put to every system, on virtual time. [Whole days](leakage-days.md) have a page of their own.
";

const OF_DAYS: &str = "# Leakage, of whole days

What [leakage](leakage.md) says in plain words and measures of evenings, of whole days: the same people from one midnight to another, pairs also in windows of a day, and attacks that are asked of days. `./x sim --days 1 --docs docs` writes this page anew; the code is in `testing/leakage`.
The program's nodes renew their hop keys as often as those of `xchat net up`, and nothing is judged by the three hours before the first midnight, in which most programs start.

At the paces of phones a message takes half a minute and more. What is asked of windows of an hour looks a minute and a half ahead, and what is asked of a minute looks at that minute only: there the windows of a day say more.
";

const TERMS: &str = "An attack is trained on some runs and judged on others. **AUC** is how likely it ranks a pair that talks above one that does not: 0.5 is
guessing, 1 is knowing. AUC and correlations are followed by their 95 % interval, by drawing seeds anew.
";

const PLAINLY: &str = "## In plain words

**What is hidden.** Your provider, your gateway, and somebody who watches every link see a steady stream from your device, and that it is there. They do
not see with whom you talk, how often, when, or whether you talk at all: the program sends the same packets at the same moments whether you do or not, so there is nothing in
them to find. An attack that finds something there has found a fault of the program, and this page fails.

**What is not hidden.**

- That you use it, and from when to when. Over months, people who are only ever online together stand out; no cover hides that.
- From a store: that a box is written and when, who asks for it how often (no name, no address), and by that something of how busy an anonymous lane is. Decoys make
  it guess which boxes are real and which belong together. How well it guesses stands below; it still does not know whose they are.
- From a collector: when something arrives for an anonymous session of a few hours.
- From nodes that work together: more with each that joins. All three mixes of a route, the gateway and the store together follow a packet; one honest mix breaks the
  trace as far as its crowd allows. Gateway and collectors of different operators who compare notes learn when you get something; a gateway with stores learns who may have written
  and read what. Whoever runs every node sees what the server of an ordinary messenger sees, except contents.
- From a contact: what you say to them, and when your receipts come.

**What the figures do not say.** They hold for the people of this simulation, who talk much, and have talked like that, at the same hours, for five days when it begins. Decoys live by what their owner's conversations were like lately: in the first days of a client, and of
people who change their ways, a store can tell more than is measured here. Loss, sleep of devices and failing nodes are played in other tests.
";

const REPEAT: &str = "One seed gives one run, on every machine. `./x sim` without arguments measures at full length (a hundred and a thousand people,
days for the models, evenings and, at the pace of phones, a day for the program) and takes hours; the sizes on this page are those of the command above. `--evenings` gives all systems the same evenings, `--days 1` the same whole days, with what is asked of days. `--stores` prints what stores go by, and nothing else. A small version with
wider bounds and seeds of its own runs in `./x test`, with the program (`tests/cores.rs`) and with the design's model (`tests/mutations.rs`), together with the mutations. Of the model each part is taken away,
and must be missed: cover, the collector, the mixes' delay, decoys, their rhythm, padded links; of the program the last four, since it has no code for the others to be without.
";

const NOTHING: &str = "**How sure that is.** An attack that finds nothing gives figures around 0.5, or around zero, on either side. A correlation of what was learned on other runs scatters half again as much as one of
independent numbers: of nothing at all, with as many features, by 0.02 (one deviation) at 4,000 hours and by 0.01 at 14,000, and seldom also well below zero, where what some runs seem to teach is wrong for the others.
";

const UNMET: &str = "Where it says too little, more seeds are needed. An interval that is wider than the bound is a matter of seeds: its centre says what more of them would show. A centre beyond the bound is a leak, and its line in the
table says where.
";

const SIGNS: &str = "How well each thing that a store sees would do alone; with everything together, its guess is the line at the top of each attack. Aimed at is 0.53 for both.

**Chains are above it, and this is why.** In a talk a reader registers for nothing: its writer names tickets, which were registered before and at other times ([ADR 12](adr/0012-tickets.md)). The first three boxes of a sitting are registered as ever, which neither box of another lane nor a later one
of the same lane is, unless its writer still has tickets of the last one; a client that talks for long has used up its older tickets, so the ages of those that its boxes are told by are more alike; and a box that is looked at before it is written was first looked at when the one before it had come ([ADR 13](adr/0013-looks.md)).

**What that is worth to somebody who follows a lane** is another question. These figures are of two boxes that were written at the same time, one of which is the next one of a lane. Whoever follows a lane has to name the next one among all that were written soon after, and the one after that; `--stores` says how often
the best guess is right, and how often by the times alone.

**A store alone** is each of a run's six stores, of which each keeps half of all boxes.

**Decoys** live as their owner does, outlive the program, and renew their keys as people do ([ADR 10](adr/0010-decoys-by-habit.md)). What is left: a decoy's two people are online at the same times and use the same slots, and after a start of all programs at one moment, as in these
runs, conversations are there at once and decoys within some minutes.
";

const ATTACKS: &str = "## Attacks

- **Who talks to whom.** A sample is two people and a window. Positive: at least ten messages each way. Negative: of the same run and window,
  one of the two replaced by somebody who writes and gets as much (a factor of 1.6 at most), to and from others, and is online together with the first for as long (a tenth
  of the window at most). Features: correlations of what one sends with what the other gets, at bins from 0.25 s to 5 min and lags up to a minute and a half (in windows of a day three minutes); of what both send; of
  what both get; of what both send and do not get back; and whatever the adversary makes of what its nodes see. Ridge regression or a random forest, whichever does
  better on training seeds.
- **How much.** The number of messages that one person writes and gets in an hour, estimated from that person's traffic. People are compared with others of the same hour and run.
- **How much all say, by the minute.** What all write together, estimated from how many frames leave clients and are sent between nodes, beyond how many people are online, which no cover hides, and
  beyond what is so in that minute of every run: in the first one all connect, and hardly anybody has spoken yet.
- **Who else could it be.** The adversary is told that somebody got a message at a moment and weighs all senders by how long messages take in this
  system; and the other way round. Entropy of what it is left with. Asked is about messages that came within two minutes. Of days only.
- **Disclosure over days.** Whoever gets more than usual when one person sends, within a quarter of a minute and within two, or gets more than it sends whenever that one sends more than it gets, summed up hour by hour. Rounds: messages that the person had sent when
  somebody whom it writes to led for good; by luck: how many would be found among as many strangers. Of days only.
- **Which boxes belong together**, **which boxes are real**: of stores only. Ridge regression, a random forest or boosted trees, whichever does better on training seeds.
- **The next box of a lane** (`--stores`): of all boxes of other people's lanes that were written within 15 min after one, and the next one of its own, the likeliest; by the time between the two alone, and by everything, in whichever of three ways is right most often. From one box to the
  next, without what is known of those before.
- **Presence alone.** Pairs that know each other against pairs that do not, by when they are online; these are not matched. Of days only. In this traffic people do not come
  online because of one another, so it shows nothing; of people who do, no system hides it.
";
