//! The observer of every link.

use crate::record::{Cast, HOUR, Kind, Party, Seen};
use crate::signals::{Curve, FINE, SECONDS};

use super::coupling::{Expected, Way};
use super::{Hour, Lens};

/// See [`Lens::sees`].
#[derive(Debug, Default)]
pub struct EveryLink {
    way: Way,
    /// Bins since the start of the run in which one store began to tell another something.
    copies: Vec<u64>,
    /// When each link between stores was last in use, for telling beginnings from what follows.
    last: std::collections::BTreeMap<(Party, Party), u64>,
}

/// Microseconds of quiet on a link between stores after which something new begins.
const QUIET: u64 = 200_000;

impl Lens for EveryLink {
    fn name(&self) -> &'static str {
        "observer of every link"
    }

    fn sees(&self) -> &'static str {
        "Every frame on every link, with its time, its length and its two ends: those between clients and their \
         nodes, and those between nodes. Who is online, from when to when. Where links between nodes are padded it is told of none of their \
         cells, whose times were fixed when the link came up (that those of real nodes are as regular under load as at rest is tested on \
         real links); where they are not, and show when boxes are copied, it weighs whose packets may have been at a store just then. It runs no \
         node and opens nothing."
    }

    fn cast(&mut self, cast: &Cast) {
        self.way = Way::new(cast.mix_delay_secs, cast.way_secs);
    }

    fn between_nodes(&mut self, seen: &Seen) {
        if seen.kind != Kind::Replica {
            return;
        }
        let link = (seen.from.min(seen.to), seen.from.max(seen.to));
        let last = self.last.insert(link, seen.at_micros);
        // The same copy's answer, or its other half, is not another one.
        if last.is_none_or(|last| seen.at_micros.abs_diff(last) > QUIET) {
            self.copies.push(seen.at_micros / (HOUR / FINE as u64));
        }
    }

    fn enrich(&mut self, hour: &mut Hour) {
        let start = u64::from(hour.number) * FINE as u64;
        let here = start..start + FINE as u64;
        let (now, later): (Vec<u64>, Vec<u64>) =
            self.copies.iter().partition(|bin| here.contains(bin));
        self.copies = later.into_iter().filter(|&bin| bin >= here.end).collect();
        if now.is_empty() {
            return;
        }
        let events: Vec<usize> = now.into_iter().map(|bin| (bin - start) as usize).collect();
        let counts = hour.clients.iter().map(|(client, (counts, _))| (*client, counts));
        let expected = Expected::new(counts, self.way);
        for (client, (_, signals)) in &mut hour.clients {
            let weighted = expected.weighted(*client, &events);
            signals.wrote = Some(Curve::from_seconds(weighted, &[true; SECONDS]));
        }
    }
}
