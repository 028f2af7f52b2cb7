//! The specification's page of parameters says what the code does.

use std::time::Duration;

use crate::hop::{KEY_GRACE, MAX_HOP_SECRETS, MAX_REPLAY_TAGS, TagPrint};
use crate::repeats::{MAX_REPEATED_LOOPS, MAX_REPEATS, REPEATING_FOR};
use crate::{gateway, mix, store};

const PAGE: &str = include_str!("../../../../spec/09-parameters.md");

/// With commas between thousands, as the page has it.
fn number(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn seconds(span: Duration) -> String {
    format!("{} s", number(usize::try_from(span.as_secs()).expect("not so long")))
}

#[test]
fn every_bound_of_the_nodes_stands_in_the_specification() {
    let bounds = [
        ("MAX_REPLAY_TAGS", number(MAX_REPLAY_TAGS)),
        ("TagPrint", format!("{} bytes", TagPrint::LEN)),
        ("MAX_REPEATS", number(MAX_REPEATS as usize)),
        ("MAX_REPEATED_LOOPS", number(MAX_REPEATED_LOOPS as usize)),
        ("REPEATING_FOR", seconds(REPEATING_FOR)),
        ("KEY_GRACE", seconds(KEY_GRACE)),
        ("MAX_HOP_SECRETS", number(MAX_HOP_SECRETS)),
        ("MAX_DELAYED", number(mix::MAX_DELAYED)),
        ("MIN_DELAY_LIMIT", seconds(mix::MIN_DELAY_LIMIT)),
        ("MAX_LATENESS", seconds(mix::MAX_LATENESS)),
        ("MAX_SESSIONS", number(gateway::MAX_SESSIONS)),
        ("MAX_OPENING", number(gateway::MAX_OPENING)),
        ("CHALLENGE_LIFETIME", seconds(gateway::CHALLENGE_LIFETIME)),
        ("RESUME_FOR", seconds(gateway::RESUME_FOR)),
        ("LOOP_GAP", seconds(gateway::LOOP_GAP)),
        ("LOOP_SLACK", seconds(gateway::LOOP_SLACK)),
        ("MAX_LOOPS", number(gateway::MAX_LOOPS)),
        ("BASE_EFFORT", number(gateway::BASE_EFFORT as usize)),
        ("MAX_RAISE", number(gateway::MAX_RAISE as usize)),
        ("SLACK", number(gateway::SLACK as usize)),
        ("STALL", seconds(gateway::STALL)),
        ("MAX_EXCESS", number(gateway::MAX_EXCESS as usize)),
        ("MAX_EFFORT", number(xchat_sphinx::work::MAX_EFFORT as usize)),
        ("MAX_SESSION_TAGS", number(xchat_sphinx::frame::MAX_SESSION_TAGS)),
        ("MAX_OPERATIONS", number(xchat_pigeonhole::register::MAX_OPERATIONS)),
        ("MAX_OPERATIONS_PER_BOX", number(xchat_pigeonhole::register::MAX_OPERATIONS_PER_BOX)),
        ("MAX_UNSETTLED", number(xchat_pigeonhole::register::MAX_UNSETTLED)),
        ("OP_TIMEOUT", seconds(xchat_pigeonhole::register::OP_TIMEOUT)),
        ("SETTLE_AFTER", seconds(xchat_pigeonhole::register::SETTLE_AFTER)),
        ("MAX_REGISTRATIONS", number(store::MAX_REGISTRATIONS)),
        ("MAX_REGISTRATIONS_PER_BOX", number(store::MAX_REGISTRATIONS_PER_BOX)),
        ("MAX_REGISTRATION_LIFETIME", seconds(store::MAX_REGISTRATION_LIFETIME)),
        ("MAX_COLLECTOR_SESSIONS", number(store::MAX_COLLECTOR_SESSIONS)),
        ("MAX_ITEMS_PER_SESSION", number(store::MAX_ITEMS_PER_SESSION)),
        ("MAX_ITEMS", number(store::MAX_ITEMS)),
        ("SWEEP_EVERY", seconds(store::SWEEP_EVERY)),
    ];
    for (name, value) in bounds {
        let row = format!("| `{name}` | {value} |");
        assert!(PAGE.contains(&row), "spec/09-parameters.md lacks: {row}");
    }
    let cut = format!("{} means (`MAX_DELAY_MEANS`)", mix::MAX_DELAY_MEANS);
    assert!(PAGE.contains(&cut));
}
