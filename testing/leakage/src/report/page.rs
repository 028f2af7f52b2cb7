//! `docs/leakage.md`.

use std::fmt::Write;

use crate::bounds::{Bounds, WORKS};
use crate::campaign::{Extent, Findings};
use crate::systems::Expectation;

use super::{adversaries, pictures, table};

/// The page. `systems` are names and what they are, in the order of the findings.
pub fn page(
    systems: &[(&str, &str)],
    extents: &[Extent],
    all: &[(Expectation, Findings)],
    bounds: Bounds,
    measured_xchat: bool,
) -> String {
    let mut page = String::from(INTRODUCTION);
    let _ = writeln!(page, "\n## Systems\n");
    if !measured_xchat {
        page.push_str(NOT_YET);
    }
    for (name, about) in systems {
        let _ = writeln!(page, "- **{name}**: {about}.");
    }
    page.push_str("\nSizes of the runs:\n\n");
    for extent in extents {
        let _ = writeln!(
            page,
            "- {} people, {} seeds of {} h, at most {} pairs a class, window and seed, {} hours of single people a seed; {} \
             longer runs of {} h.",
            extent.clients,
            extent.seeds,
            extent.hours,
            extent.limits.pairs,
            extent.limits.people,
            extent.long.0,
            extent.long.1,
        );
    }
    page.push_str(NOT_ALL);
    let _ = writeln!(page, "\n## Adversaries\n");
    for (name, sees) in adversaries() {
        let _ = writeln!(page, "- **{name}**. {sees}");
    }
    let _ = writeln!(page, "\n{ATTACKS}");
    let _ = writeln!(
        page,
        "## Findings\n\nBounds: of a system that is to hide who talks to whom the upper end of the interval must be at most \
         {} (AUC) and {} (correlation, either sign) for the observer of every link and for the gateway. Baselines that hide \
         nothing must reach {WORKS} at the lower end, or the attack is broken.\n",
        bounds.auc, bounds.correlation,
    );
    for (file, _) in pictures(all) {
        let _ = writeln!(page, "![{file}](images/leakage/{file})\n");
    }
    page.push_str(&table(all, bounds));
    page
}

const INTRODUCTION: &str = "# Leakage

What somebody who looks on can learn of who talks to whom, how often and when. `./x sim` writes this page anew; the code is in
`testing/leakage`. The same people, the same days and the same attacks are put to every system, on virtual time.

An attack is trained on some runs and judged on others. **AUC** is how likely it ranks a pair that talks above one that does not: 0.5 is
guessing, 1 is knowing. Figures are followed by their 95 % interval, by drawing seeds anew.
";

const NOT_YET: &str = "The program itself is **not** among the systems of this page yet. The row of the idealised stream is a model
of its design without its code: it shows what the attacks find by chance, not what the program leaks.

";

const NOT_ALL: &str = "
Of Nym there are windows of 1 h and long runs of 24 h only, and no thousand people: at 55 packets a second that would be hundreds of thousands of millions of frames.
";

const ATTACKS: &str = "## Attacks

- **Who talks to whom.** A sample is two people and a window. Positive: at least ten messages each way. Negative: of the same run and window,
  one of the two replaced by somebody who writes and gets as much (a factor of 1.6 at most), to and from others, and is online together with the first for as long (a tenth
  of the window at most). Features: correlations of what one sends with what the other gets, at bins from 0.25 s to 5 min and lags up to half a minute; of what both send; of
  what both get; of what both send and do not get back; and whatever the adversary makes of what its nodes see. Ridge regression or a random forest, whichever does
  better on training seeds.
- **How much.** The number of messages that one person writes and gets in an hour, estimated from that person's traffic.
- **Who else could it be.** The adversary is told that somebody got a message at a moment and weighs all senders by how long messages take in this
  system; and the other way round. Entropy of what it is left with.
- **Disclosure over days.** Whoever gets more than usual when one person sends, summed up over days. Rounds: messages that the person had sent when
  somebody whom it writes to led for good.
- **Which boxes belong together**, **which boxes are real**: of stores only.
- **Presence alone.** Pairs that know each other against pairs that do not, by when they are online; these are not matched. In this traffic people do not come
  online because of one another, so it shows nothing; of people who do, no system hides it.
";
