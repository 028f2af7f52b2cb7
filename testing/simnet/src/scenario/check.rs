//! What makes sense in a scenario.

use xchat_directory::document::MAX_NODES;
use xchat_node::gateway::MAX_SESSIONS;

use super::{Contacts, Days, Scenario, ScenarioError, Spread, Talk, rhythm};

/// A run of a month is longer than anything we wait for.
const MAX_MINUTES: f64 = 31.0 * 24.0 * 60.0;

/// Hop keys overlap by as long as one comes after another: for at least twice as long as a registration lives, which is two hours. At
/// most the month that a run lasts.
const LEAST_KEY_HOURS: f64 = 4.0;
const MOST_KEY_HOURS: f64 = 31.0 * 24.0;

type Checked = Result<(), ScenarioError>;

fn invalid(field: &'static str, why: impl Into<String>) -> Checked {
    Err(ScenarioError::Invalid { field, why: why.into() })
}

fn within(field: &'static str, value: f64, least: f64, most: f64) -> Checked {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    invalid(field, format!("{value} is not between {least} and {most}"))
}

fn share(field: &'static str, value: f64) -> Checked {
    within(field, value, 0.0, 1.0)
}

impl Scenario {
    pub(super) fn check(&self) -> Checked {
        let (run, network, links) = (&self.run, &self.network, &self.links);
        within("run.minutes", run.minutes, 0.1, MAX_MINUTES)?;
        within("run.warm_up_minutes", run.warm_up_minutes, 0.0, run.minutes)?;
        let nodes = network.gateways + 3 * network.mixes_per_layer + network.stores;
        if nodes > MAX_NODES {
            return invalid(
                "network",
                format!("{nodes} nodes; a document lists {MAX_NODES} at most"),
            );
        }
        if network.gateways == 0 || network.mixes_per_layer == 0 || network.stores < 4 {
            return invalid(
                "network",
                "a network has a gateway, a mix in each layer, and four stores: the three of a box and a collector",
            );
        }
        within("network.mix_delay_ms", network.mix_delay_ms, 0.0, 10_000.0)?;
        share("network.hostile", network.hostile)?;
        share("network.dropping", network.dropping)?;
        share("network.doubling", network.doubling)?;
        if let Some(hours) = network.new_hop_keys_every_h {
            within("network.new_hop_keys_every_h", hours.into(), LEAST_KEY_HOURS, MOST_KEY_HOURS)?;
        }
        within("links.delay_ms", links.delay_ms, 0.0, 1_000.0)?;
        within("links.jitter_ms", links.jitter_ms, 0.0, 1_000.0)?;
        share("links.loss", links.loss)?;
        within("links.client_delay_ms", links.client_delay_ms, 0.0, 1_000.0)?;
        within("links.client_jitter_ms", links.client_jitter_ms, 0.0, 1_000.0)?;
        self.check_clients()?;
        check_talks(&self.talk, &self.contacts)?;
        self.days.as_ref().map_or(Ok(()), check_days)
    }

    fn check_clients(&self) -> Checked {
        let (count, known) = (self.clients.count, self.contacts.per_client);
        // Everybody may end up at one gateway, since each has a second one to fall back to.
        let places = self.network.gateways * MAX_SESSIONS;
        if count < 2 || count as usize > places {
            return invalid("clients.count", format!("{count} is not between 2 and {places}"));
        }
        within("clients.join_within_s", self.clients.join_within_s, 0.0, self.run.minutes * 60.0)?;
        if known >= count {
            return invalid("contacts.per_client", "there are not so many others");
        }
        if !(u64::from(count) * u64::from(known)).is_multiple_of(2) {
            return invalid("contacts.per_client", "with an odd number of clients it must be even");
        }
        share("contacts.talking", self.contacts.talking)
    }
}

fn check_talks(talks: &[Talk], contacts: &Contacts) -> Checked {
    if contacts.talking > 0.0 && contacts.per_client > 0 && talks.is_empty() {
        return invalid("talk", "some are to talk, and nothing says how");
    }
    for talk in talks {
        check_talk(talk)?;
    }
    let sum: f64 = talks.iter().map(|talk| talk.share).sum();
    if !talks.is_empty() && (sum - 1.0).abs() > 1e-6 {
        return invalid("talk.share", format!("the shares add up to {sum}, not to 1"));
    }
    Ok(())
}

fn check_talk(talk: &Talk) -> Checked {
    share("talk.share", talk.share)?;
    let sessions = (talk.sessions_per_hour, talk.messages, talk.gap_s, talk.turn, talk.letters);
    match (&talk.rhythm, sessions) {
        (Some(name), (None, None, None, None, None)) => match rhythm::named(name) {
            Some(_) => Ok(()),
            None => {
                let names = rhythm::NAMES.join(", ");
                invalid("talk.rhythm", format!("none is called \"{name}\": there are {names}"))
            }
        },
        (None, (Some(often), Some(messages), Some(gap), Some(turn), Some(letters))) => {
            within("talk.sessions_per_hour", often, 0.001, 1_000.0)?;
            check_spread("talk.messages", &messages, 1.0, 10_000.0)?;
            check_spread("talk.gap_s", &gap, 0.1, 86_400.0)?;
            share("talk.turn", turn)?;
            check_spread("talk.letters", &letters, 1.0, 8_000.0)
        }
        _ => invalid(
            "talk",
            "has either a rhythm, or all of sessions_per_hour, messages, gap_s, turn and letters",
        ),
    }
}

fn check_spread(field: &'static str, spread: &Spread, least: f64, most: f64) -> Checked {
    within(field, spread.median, least, most)?;
    within(field, spread.sigma, 0.0, 3.0)
}

fn check_days(days: &Days) -> Checked {
    within("days.begins_hour", days.begins_hour, 0.0, 24.0)?;
    within("days.up_hour", days.up_hour, 0.0, 24.0)?;
    within("days.down_hour", days.down_hour, 0.0, 24.0)?;
    let between = (days.down_hour - days.up_hour).min(24.0 - (days.down_hour - days.up_hour));
    if between <= 3.0 * days.spread_hours {
        return invalid(
            "days.spread_hours",
            "days and nights must last longer than three times that",
        );
    }
    within("days.spread_hours", days.spread_hours, 0.0, 8.0)?;
    within("days.naps", days.naps, 0.0, 100.0)?;
    check_spread("days.nap_minutes", &days.nap_minutes, 1.0, 600.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../scenarios/desk-100.toml");

    fn refused(from: &str, to: &str) -> String {
        assert_eq!(GOOD.matches(from).count(), 1, "{from}");
        match Scenario::from_toml(&GOOD.replace(from, to)) {
            Ok(_) => panic!("{to} was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn all_shipped_scenarios_are_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut seen = 0;
        for file in std::fs::read_dir(folder).expect("it is there").flatten() {
            if file.path().extension().is_some_and(|extension| extension == "toml") {
                let text = std::fs::read_to_string(file.path()).expect("a text");
                let read = Scenario::from_toml(&text);
                assert!(read.is_ok(), "{}: {:?}", file.path().display(), read.err());
                seen += 1;
            }
        }
        assert!(seen >= 3, "{seen} scenarios");
    }

    #[test]
    fn mistakes_are_named() {
        for (from, to, named) in [
            ("count = 100", "count = 100\nspeed = 3", "speed"),
            ("count = 100", "", "count"),
            ("count = 100", "count = 100000", "clients.count: 100000 is not between 2 and 20000"),
            ("\"desk\"", "\"warp\"", "no pace is called \"warp\": there are fast, desk"),
            ("share = 1.0", "share = 0.9", "talk.share: the shares add up to 0.9, not to 1"),
            ("stores = 6", "stores = 3", "four stores"),
            ("per_client = 3", "per_client = 100", "contacts.per_client"),
            ("turn = 0.6", "turn = 1.5", "talk.turn: 1.5 is not between 0 and 1"),
            ("turn = 0.6", "rhythm = \"evening\"", "talk: has either a rhythm"),
            ("minutes = 60.0", "minutes = nan", "run.minutes"),
        ] {
            let error = refused(from, to);
            assert!(error.contains(named), "{to}: {error}");
        }
    }
}
