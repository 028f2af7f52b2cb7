//! What people do: who knows whom, who is online when, and every message of a run.
//!
//! It is the same for every system that is measured. Nothing in it depends on a system, so a system that
//! makes people wait is measured with people who do not mind.

mod presence;
mod talk;

use std::collections::BTreeSet;

use crate::dice::Dice;
use crate::record::{HOUR, Micros};

pub use presence::{Span, overlap};
pub use talk::{Earlier, Rhythm};

/// Each purpose has a random stream of its own, so that a change in one does not move the others.
#[derive(Clone, Copy)]
enum Stream {
    Contacts = 1,
    Presence,
    Talk,
    Earlier,
}

/// How large a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// How many people.
    pub clients: u32,
    /// How long, in hours.
    pub hours: u32,
    /// The hour of the day at which it begins.
    pub first_hour: u32,
    /// Conversations (sittings of two people) that a person takes part in, a day.
    pub sessions_a_day: f64,
    /// How many others a person knows, on average.
    pub contacts: f64,
}

impl Shape {
    /// People who talk a lot: some 80 messages written a person and day, so that there are enough pairs with ten
    /// each way in an hour.
    pub fn talkative(clients: u32, hours: u32) -> Self {
        Self { clients, hours, first_hour: 0, sessions_a_day: 4.0, contacts: 6.0 }
    }
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// When it is written.
    pub at: Micros,
    /// By whom.
    pub from: u32,
    /// To whom.
    pub to: u32,
}

/// What people do in one run.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// How large it is.
    pub shape: Shape,
    /// Who knows whom: the lower number first, sorted.
    pub contacts: Vec<(u32, u32)>,
    /// When each client is online: sorted, apart from one another.
    pub online: Vec<Vec<Span>>,
    /// Every message, sorted by time.
    pub messages: Vec<Message>,
    /// How close those who know each other are, in the same order; only ratios matter.
    pub closeness: Vec<f64>,
}

impl Traffic {
    /// What people do in the run of this seed.
    pub fn new(shape: Shape, seed: u64) -> Self {
        let contacts = contacts(shape, &mut Dice::new(seed, Stream::Contacts as u64));
        let online = presence::presence(shape, &mut Dice::new(seed, Stream::Presence as u64));
        let mut dice = Dice::new(seed, Stream::Talk as u64);
        let closeness = talk::closeness(&contacts, &mut dice);
        let messages = talk::messages(shape, &contacts, &closeness, &online, &mut dice);
        Self { shape, contacts, online, messages, closeness }
    }

    /// What all who know each other have said before the run, in the same order.
    pub fn earlier(&self, seed: u64) -> Vec<Earlier> {
        let mut dice = Dice::new(seed, Stream::Earlier as u64);
        let all: f64 = self.closeness.iter().sum();
        let sittings = f64::from(self.shape.clients) * self.shape.sessions_a_day / 2.0;
        // A run has as much for each hour as if its hours were like all others: so had the same hours of the days before.
        let sittings = sittings / talk::busyness(self.shape);
        let often = self.closeness.iter().map(|close| sittings * close / all);
        often.map(|often| talk::earlier(self.shape, often, &mut dice)).collect()
    }

    /// The end of the run.
    pub fn end(&self) -> Micros {
        u64::from(self.shape.hours) * HOUR
    }

    /// Whether two know each other.
    pub fn know(&self, a: u32, b: u32) -> bool {
        self.contacts.binary_search(&(a.min(b), a.max(b))).is_ok()
    }

    /// Whether a client is online at a moment.
    pub fn is_online(&self, client: u32, at: Micros) -> bool {
        presence::contains(&self.online[client as usize], at)
    }

    /// The first moment from `at` on at which a client is online; none if it does not come any more.
    pub fn online_from(&self, client: u32, at: Micros) -> Option<Micros> {
        let spans = &self.online[client as usize];
        spans.iter().find(|span| span.until > at).map(|span| span.from.max(at))
    }

    /// The messages of a stretch of time.
    pub fn between(&self, from: Micros, until: Micros) -> &[Message] {
        let start = self.messages.partition_point(|message| message.at < from);
        let end = self.messages.partition_point(|message| message.at < until);
        &self.messages[start..end]
    }
}

/// A graph in which everybody knows at least one, friends of friends are friends more often than chance has it,
/// and some know many.
fn contacts(shape: Shape, dice: &mut Dice) -> Vec<(u32, u32)> {
    let clients = shape.clients as usize;
    let mut friends: Vec<Vec<u32>> = vec![Vec::new(); clients];
    let mut edges = BTreeSet::new();
    let mut join = |a: u32, b: u32, friends: &mut Vec<Vec<u32>>| {
        if a != b && edges.insert((a.min(b), a.max(b))) {
            friends[a as usize].push(b);
            friends[b as usize].push(a);
        }
    };
    for client in 0..shape.clients {
        let wanted = (dice.lognormal(0.8, 0.6) * shape.contacts / 2.0).round().clamp(1.0, 30.0);
        for _ in 0..wanted as usize {
            let known = &friends[client as usize];
            let via = known.get(dice.index(known.len())).copied();
            let other = match via {
                Some(via) if dice.chance(0.3) => {
                    let theirs = &friends[via as usize];
                    theirs[dice.index(theirs.len())]
                }
                _ => dice.index(clients) as u32,
            };
            join(client, other, &mut friends);
        }
    }
    edges.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_run() {
        let shape = Shape::talkative(30, 24);
        let (one, two) = (Traffic::new(shape, 5), Traffic::new(shape, 5));
        assert_eq!(one.messages, two.messages);
        assert_eq!(one.online, two.online);
        assert_ne!(one.messages, Traffic::new(shape, 6).messages);
    }

    /// In the order of time, since they have had their keys, and some of it less than an hour ago.
    #[test]
    fn people_have_talked_before() {
        let evening = Shape { first_hour: 19, ..Shape::talkative(60, 2) };
        let traffic = Traffic::new(Shape { sessions_a_day: 24.0, ..evening }, 3);
        let all = traffic.earlier(3);
        assert_eq!(all, traffic.earlier(3));
        assert_eq!(all.len(), traffic.contacts.len());
        for earlier in &all {
            let is_later = |two: &[(Micros, bool)]| two[0].0 >= two[1].0;
            let lines: Vec<_> = earlier.before.iter().chain(&earlier.said).copied().collect();
            assert!(lines.windows(2).all(is_later));
            assert!(earlier.said.iter().all(|(before, _)| *before < earlier.known_for));
            assert!(earlier.before.iter().all(|(before, _)| *before >= earlier.known_for));
        }
        let share = |is: &dyn Fn(&Earlier) -> bool| {
            all.iter().filter(|one| is(one)).count() as f64 / all.len() as f64
        };
        let lately = share(&|one| one.said.last().is_some_and(|(before, _)| *before < HOUR));
        let much = share(&|one| one.said.len() >= 25);
        assert!((0.1..0.5).contains(&lately) && (0.3..0.6).contains(&much), "{lately}, {much}");
    }

    #[test]
    fn everybody_knows_somebody_and_writes_to_contacts_only() {
        let traffic = Traffic::new(Shape::talkative(50, 24), 1);
        for client in 0..50 {
            assert!(traffic.contacts.iter().any(|&(a, b)| a == client || b == client));
        }
        assert!(traffic.messages.iter().all(|m| traffic.know(m.from, m.to)));
        assert!(traffic.messages.iter().all(|m| traffic.is_online(m.from, m.at)));
        assert!(traffic.messages.is_sorted_by_key(|m| m.at));
    }

    #[test]
    fn people_write_tens_of_messages_a_day_in_bursts() {
        let traffic = Traffic::new(Shape::talkative(100, 24), 1);
        let a_person = traffic.messages.len() as f64 / 100.0;
        assert!((30.0..200.0).contains(&a_person), "{a_person}");
        // Half of the gaps between a pair's messages are short, although a day is long.
        let mut gaps: Vec<Micros> = Vec::new();
        for &(a, b) in &traffic.contacts {
            let times =
                traffic.messages.iter().filter(|m| (m.from.min(m.to), m.from.max(m.to)) == (a, b));
            let times: Vec<_> = times.map(|m| m.at).collect();
            gaps.extend(times.windows(2).map(|w| w[1] - w[0]));
        }
        gaps.sort_unstable();
        assert!(gaps[gaps.len() / 2] < 40 * crate::record::SECOND);
    }
}
