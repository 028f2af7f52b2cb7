//! What was said, what was accepted, what has arrived: the one truth that senders, listeners and the schedule share.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::plan::{NAMES, PEOPLE};

/// Nothing arrives and nothing is accepted for so long, on the slowest machine: then something is lost.
const STALL: Duration = Duration::from_secs(150);

/// So many messages of a person may be on their way while nothing is wrong.
const WINDOW: usize = 24;

/// The ledger of a schedule.
pub(crate) struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
}

/// Messages from one person to another.
#[derive(Debug, Default)]
pub(crate) struct Direction {
    /// Of how many the sending was begun; they are numbered from 0.
    pub(crate) begun: usize,
    /// How many must be begun in all.
    quota: usize,
    /// Numbers that the sender's daemon has accepted.
    pub(crate) accepted: Vec<usize>,
    /// Numbers in the sender's history, by id, with their state: as `listen` tells.
    sent: BTreeMap<u64, (usize, String)>,
    /// Numbers that the recipient has, by any of their `listen`s.
    pub(crate) arrived: BTreeSet<usize>,
    /// Numbers in the order in which the recipient's present `listen` told them.
    told: Vec<usize>,
}

impl Direction {
    /// Everything accepted, and everything in the sender's history, is told once at the other side and known to be
    /// there. (What was not accepted may be in the history all the same, and then arrives.)
    fn is_settled(&self) -> bool {
        let history: BTreeSet<_> = self.sent.values().map(|(number, _)| *number).collect();
        self.begun == self.quota
            && self.missing().is_empty()
            && history == self.arrived
            && self.sent.len() == history.len()
            && self.told.len() == history.len()
            && self.undelivered() == 0
    }

    /// On its way.
    fn missing(&self) -> BTreeSet<usize> {
        let history = self.sent.values().map(|(number, _)| number);
        let wanted = self.accepted.iter().chain(history);
        wanted.filter(|number| !self.arrived.contains(number)).copied().collect()
    }

    fn undelivered(&self) -> usize {
        self.sent.values().filter(|(_, state)| state != "delivered").count()
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) directions: [[Direction; PEOPLE]; PEOPLE],
    pub(crate) accepted: usize,
    pub(crate) arrived: usize,
    /// Messages that each person's present `listen` has told whole.
    whole: [BTreeSet<u64>; PEOPLE],
    /// Any change at all: what the watchdog looks at.
    events: usize,
    /// Messages that each person may have on their way beyond [`WINDOW`], so that sending goes on in a fault.
    grant: [usize; PEOPLE],
    /// Who is kept from taking part by the fault of the moment: what is on its way to them is in nobody's way.
    kept: [bool; PEOPLE],
    /// Whose sending rests.
    pub(crate) away: [bool; PEOPLE],
    /// A send of this person may fail: so many have, and so many may.
    pub(crate) failed: [usize; PEOPLE],
    pub(crate) may_fail: [usize; PEOPLE],
    /// What must not have happened.
    pub(crate) problems: Vec<String>,
    pub(crate) over: bool,
}

impl State {
    /// Whether everybody has begun everything that they have to say, but for those who are kept from it.
    pub(crate) fn all_begun(&self, kept: &[usize]) -> bool {
        let free = (0..PEOPLE).filter(|who| !kept.contains(who));
        free.flat_map(|who| &self.directions[who])
            .all(|direction| direction.begun == direction.quota)
    }

    pub(crate) fn all_settled(&self) -> bool {
        self.directions.iter().flatten().all(Direction::is_settled)
    }

    /// Whether nothing is on its way between people of whom none is kept from it.
    pub(crate) fn nothing_to_come(&self, kept: &[usize]) -> bool {
        let free = |who: &usize| !kept.contains(who);
        (0..PEOPLE).filter(free).all(|from| {
            (0..PEOPLE).filter(free).all(|to| {
                let direction = &self.directions[from][to];
                direction.begun == direction.quota && direction.missing().is_empty()
            })
        })
    }

    fn on_the_way(&self, from: usize) -> usize {
        let directions = self.directions[from].iter().zip(self.kept).filter(|(_, kept)| !kept);
        directions.map(|(direction, _)| direction.missing().len()).sum()
    }

    fn problem(&mut self, text: String) {
        // The first ones say what happened.
        if self.problems.len() < 20 {
            self.problems.push(text);
        }
    }

    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for (from, to) in pairs() {
            let direction = &self.directions[from][to];
            let _ = writeln!(
                text,
                "  {} to {}: {} begun, {} accepted, {} arrived, {} not delivered; missing {:?}",
                NAMES[from],
                NAMES[to],
                direction.begun,
                direction.accepted.len(),
                direction.arrived.len(),
                direction.undelivered(),
                direction.missing(),
            );
        }
        text
    }
}

/// All ordered pairs of people.
pub(crate) fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..PEOPLE).flat_map(|from| (0..PEOPLE).filter(move |to| *to != from).map(move |to| (from, to)))
}

/// The message of this number: mostly short, now and then longer than a box.
pub(crate) fn text(from: usize, to: usize, number: usize) -> String {
    let short = format!("{number} from {} to {}", NAMES[from], NAMES[to]);
    if number % 25 == 7 { format!("{short} {}", "and so on ".repeat(400)) } else { short }
}

fn number(text: &str) -> Option<usize> {
    text.split_once(' ')?.0.parse().ok()
}

impl Ledger {
    pub(crate) fn new(messages: usize) -> Self {
        let mut state = State::default();
        for (n, (from, to)) in pairs().enumerate() {
            state.directions[from][to].quota = messages / 6 + usize::from(n < messages % 6);
        }
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked fails the schedule by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.events += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until something holds.
    ///
    /// # Errors
    /// Something went wrong meanwhile, or nothing at all happens any more.
    pub(crate) fn wait(&self, what: &str, holds: impl Fn(&State) -> bool) -> Result<(), String> {
        let mut state = self.lock();
        loop {
            if !state.problems.is_empty() {
                return Err(state.problems.join("\n"));
            }
            if holds(&state) {
                return Ok(());
            }
            let before = state.events;
            let (next, waited) = self
                .changed
                .wait_timeout_while(state, STALL, |state| state.events == before)
                .unwrap_or_else(PoisonError::into_inner);
            state = next;
            if waited.timed_out() {
                let state = state.describe();
                return Err(format!("waiting until {what}: nothing happens any more\n{state}"));
            }
        }
    }

    /// These people cannot take part from now on; nobody, when the fault is mended.
    pub(crate) fn keep(&self, kept: &[usize]) {
        self.change(|state| state.kept = std::array::from_fn(|who| kept.contains(&who)));
    }

    /// Each person may send so many more, whatever arrives.
    pub(crate) fn grant(&self, count: usize) {
        self.change(|state| {
            state.grant =
                std::array::from_fn(|who| state.on_the_way(who).saturating_sub(WINDOW) + count);
        });
    }

    /// Everybody waits again for what is on its way.
    pub(crate) fn end_grant(&self) {
        self.change(|state| state.grant = [0; PEOPLE]);
    }

    /// The next message that this person has to send: to whom, and its number. `None` at the end.
    pub(crate) fn next(&self, from: usize) -> Option<(usize, usize)> {
        let mut state = self.lock();
        loop {
            let left = |state: &State| {
                let mine = state.directions[from].iter().enumerate();
                mine.filter(|(_, direction)| direction.begun < direction.quota)
                    .min_by_key(|(_, direction)| direction.begun)
                    .map(|(to, _)| to)
            };
            let to = left(&state)?;
            if state.over {
                return None;
            }
            if !state.away[from] && state.on_the_way(from) < WINDOW + state.grant[from] {
                let direction = &mut state.directions[from][to];
                direction.begun += 1;
                return Some((to, direction.begun - 1));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A person's `listen` begins anew, with their first message.
    pub(crate) fn listens_anew(&self, who: usize) {
        self.change(|state| {
            state.whole[who].clear();
            for directions in &mut state.directions {
                directions[who].told.clear();
            }
        });
    }

    /// A person's `listen` has come to its end, which only a fault may bring about.
    pub(crate) fn listen_ended(&self, who: usize) {
        self.change(|state| {
            if !state.away[who] && !state.over {
                state.problem(format!("{}'s listen has ended by itself", NAMES[who]));
            }
        });
    }

    /// What `send` has answered.
    pub(crate) fn sent(&self, from: usize, to: usize, number: usize, answer: Result<u64, String>) {
        self.change(|state| match answer {
            Ok(id) => {
                state.accepted += 1;
                let direction = &mut state.directions[from][to];
                direction.accepted.push(number);
                // `listen` may have told it before.
                direction.sent.entry(id).or_insert((number, String::new()));
            }
            // Its daemon was killed before it answered, or does not move.
            Err(code) if ["stopped", "locked"].contains(&code.as_str()) => {
                state.failed[from] += 1;
                if state.failed[from] > state.may_fail[from] {
                    state.problem(format!(
                        "a send of {} failed with nothing wrong: {code}",
                        NAMES[from]
                    ));
                }
            }
            Err(code) => state.problem(format!("a send of {} failed: {code}", NAMES[from])),
        });
    }

    /// A line of somebody's `listen`; `other` is whose conversation it is.
    pub(crate) fn told(&self, who: usize, other: usize, event: &Value) {
        let id = event["id"].as_u64().unwrap_or_default();
        let state_name = event["state"].as_str().unwrap_or_default().to_owned();
        self.change(|state| match (event["event"].as_str(), event["direction"].as_str()) {
            (Some("message"), direction) => {
                let content = event["text"].as_str().unwrap_or_default();
                let incoming = direction == Some("in");
                let (from, to) = if incoming { (other, who) } else { (who, other) };
                let Some(number) = number(content).filter(|n| text(from, to, *n) == content) else {
                    return state
                        .problem(format!("{} sees what nobody wrote: {content}", NAMES[who]));
                };
                if !state.whole[who].insert(id) {
                    state.problem(format!("{}'s listen tells message {id} twice", NAMES[who]));
                }
                let direction = &mut state.directions[from][to];
                if !incoming {
                    direction.sent.insert(id, (number, state_name));
                    return;
                }
                let last = direction.told.last().copied();
                direction.told.push(number);
                state.arrived += usize::from(direction.arrived.insert(number));
                if last.is_some_and(|last| last >= number) {
                    let pair = format!("{} to {}", NAMES[from], NAMES[to]);
                    state.problem(format!("{pair}: message {number} came after {last:?}"));
                }
            }
            (Some("message_state"), _) => match state.directions[who][other].sent.get_mut(&id) {
                Some((_, known)) => *known = state_name,
                None => state.problem(format!("{} hears of a message {id} never told", NAMES[who])),
            },
            _ => {}
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ALICE: usize = 0;
    const BOB: usize = 1;

    fn incoming(number: usize) -> Value {
        json!({ "event": "message", "id": 10 + number, "direction": "in", "text": text(ALICE, BOB, number) })
    }

    fn outgoing(id: u64, number: usize, state: &str) -> Value {
        let text = text(ALICE, BOB, number);
        json!({ "event": "message", "id": id, "direction": "out", "text": text, "state": state })
    }

    fn problems(events: &[Value]) -> usize {
        let ledger = Ledger::new(12);
        for event in events {
            let (who, other) = if event["direction"] == "in" { (BOB, ALICE) } else { (ALICE, BOB) };
            ledger.told(who, other, event);
        }
        ledger.lock().problems.len()
    }

    #[test]
    fn what_comes_twice_or_out_of_order_or_from_nowhere_is_a_problem() {
        assert_eq!(problems(&[incoming(0), incoming(1), incoming(7)]), 0);
        let mut again = incoming(0);
        again["id"] = json!(99);
        assert_eq!(problems(&[incoming(0), again]), 1);
        assert_eq!(problems(&[outgoing(5, 0, "waiting"), outgoing(5, 0, "stored")]), 1);
        assert_eq!(problems(&[incoming(1), incoming(0)]), 1);
        let forged = json!({ "event": "message", "id": 1, "direction": "in", "text": "1 from bob to carol" });
        assert_eq!(problems(&[forged]), 1);
    }

    /// One message that was accepted: lost, then arrived, then known to have.
    #[test]
    fn what_was_accepted_is_waited_for_until_it_is_there_and_known_to_be() {
        let ledger = Ledger::new(1);
        assert_eq!(ledger.next(ALICE), Some((BOB, 0)));
        ledger.sent(ALICE, BOB, 0, Ok(5));
        ledger.told(ALICE, BOB, &outgoing(5, 0, "waiting"));
        assert!(!ledger.lock().nothing_to_come(&[]) && !ledger.lock().all_settled());
        ledger.told(BOB, ALICE, &incoming(0));
        assert!(ledger.lock().nothing_to_come(&[]) && !ledger.lock().all_settled());
        let delivered = json!({ "event": "message_state", "id": 5, "state": "delivered" });
        ledger.told(ALICE, BOB, &delivered);
        assert!(ledger.lock().all_settled());
    }

    /// A send without an answer may have taken place: if its message is in the history, it has to arrive.
    #[test]
    fn what_is_in_the_history_is_waited_for_whatever_send_has_said() {
        let ledger = Ledger::new(1);
        ledger.change(|state| state.may_fail[ALICE] = 1);
        assert_eq!(ledger.next(ALICE), Some((BOB, 0)));
        ledger.sent(ALICE, BOB, 0, Err("stopped".to_owned()));
        assert!(ledger.lock().all_settled(), "it never was");
        ledger.told(ALICE, BOB, &outgoing(5, 0, "delivered"));
        assert!(!ledger.lock().all_settled());
        ledger.told(BOB, ALICE, &incoming(0));
        assert!(ledger.lock().all_settled() && ledger.lock().problems.is_empty());
    }

    /// Bob cannot take part, and more is on its way to him than a window holds.
    #[test]
    fn whoever_cannot_take_part_keeps_nobody_from_talking_to_others() {
        let ledger = Ledger::new(600);
        ledger.keep(&[BOB]);
        for id in 0..2 * WINDOW as u64 + 4 {
            assert_eq!(ledger.lock().on_the_way(ALICE), 0, "or the next one would wait");
            let (to, number) = ledger.next(ALICE).expect("there is more to say");
            ledger.sent(ALICE, to, number, Ok(id));
            if to != BOB {
                ledger.change(|state| {
                    state.directions[ALICE][to].arrived.insert(number);
                });
            }
        }
        ledger.keep(&[]);
        assert!(ledger.lock().on_the_way(ALICE) > WINDOW);
    }

    #[test]
    fn a_send_that_fails_while_nothing_is_wrong_is_a_problem() {
        let ledger = Ledger::new(1);
        ledger.next(ALICE);
        ledger.sent(ALICE, BOB, 0, Err("stopped".to_owned()));
        assert_eq!(ledger.lock().problems.len(), 1);
    }
}
