//! Rhythms: lists of messages as two people might exchange them, to be replayed.

/// One message of a rhythm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beat {
    /// Seconds since the one before it.
    pub gap_s: f64,
    /// Whose it is, 0 or 1.
    pub who: usize,
    /// Its length.
    pub letters: usize,
}

/// The rhythms that there are.
pub(crate) const NAMES: [&str; 1] = ["evening"];

/// The rhythm of this name.
pub(crate) fn named(name: &str) -> Option<Vec<Beat>> {
    let text = match name {
        "evening" => include_str!("../../scenarios/rhythms/evening.txt"),
        _ => return None,
    };
    Some(text.lines().filter_map(beat).collect())
}

/// `gap who letters`; a line that begins with `#` says something else.
fn beat(line: &str) -> Option<Beat> {
    if line.starts_with('#') || line.is_empty() {
        return None;
    }
    let mut fields = line.split_whitespace();
    let gap_s = fields.next()?.parse().ok()?;
    let who = match fields.next()? {
        "a" => 0,
        "b" => 1,
        _ => return None,
    };
    let letters = fields.next()?.parse().ok()?;
    Some(Beat { gap_s, who, letters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_every_rhythm_is_a_beat_and_a_round_is_a_day() {
        for name in NAMES {
            let beats = named(name).expect("it is shipped");
            let round: f64 = beats.iter().map(|beat| beat.gap_s).sum();
            assert!((round - 86_400.0).abs() < 1.0, "{name}: {round} s");
            assert!(beats.iter().any(|beat| beat.who == 1) && beats.len() > 50, "{name}");
        }
        let lines = include_str!("../../scenarios/rhythms/evening.txt").lines();
        let beats = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
        assert_eq!(beats.count(), named("evening").expect("shipped").len());
    }
}
