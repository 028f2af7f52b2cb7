//! The slot budget of spec 8.8: what following conversations takes of a client's stream, and how soon it notices what is said in one.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use xchat_base::random;
use xchat_transparent::Transparent;
use xchat_transport::Pace;

use crate::links::Links;
use crate::network::Shape;
use crate::seen::{Observer, Said};
use crate::world::World;

/// Friends who say something, one after the other, in conversations that are at rest.
const SPEAK: usize = 20;

/// What is measured with nothing said, at phones and slower: the time in which commit and rejoin lanes are looked into once.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What there is about a client with so many conversations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Shares of all slots that registrations take, of tickets too.
    pub registrations: f64,
    /// The same of reads: looks, which take no slot that anything else needs, and those of commit and rejoin lanes.
    pub reads: f64,
    /// Seconds until something is there that is said in a conversation at rest, by somebody at the same pace: half of all, and the slowest
    /// of twenty.
    pub noticed: [f64; 2],
}

/// When what was said has arrived.
#[derive(Default)]
struct Heard(Vec<f64>);

impl Observer for Heard {
    fn said(&mut self, said: &Said) {
        let arrived = said.arrived.expect("told when it has arrived");
        self.0.push(arrived.since(said.at).as_secs_f64());
    }
}

/// Of a client at this pace with so many conversations: with nothing said, once its read set is full, and then with friends who say
/// something one by one.
///
/// # Panics
/// When something does not arrive.
pub fn budget(pace: Pace, conversations: usize) -> Budget {
    let shape = Shape { pace: None, ..Shape::default() };
    let mut world = World::with_format(7, &shape, Links::good(), &Transparent);
    let client = world.add_talker(pace);
    let friends: Vec<_> = (0u64..)
        .take(conversations)
        .map(|number| {
            let friend = world.add_talker(pace);
            let since = world.now - Duration::from_secs(7_200 + 120 * number);
            (friend, world.acquaint([client, friend], since, true))
        })
        .collect();
    let heard = Rc::new(RefCell::new(Heard::default()));
    world.observe(Box::new(Rc::clone(&heard)), &BTreeSet::new());

    // The friends' devices are off: what nodes are asked for, one client asks for.
    world.rouse(client);
    let slots = |count: u32| pace.mean_gap() * count;
    world.run_for(slots(1_800).max(Duration::from_secs(2 * 3_600)));
    let before = world.totals();
    world.run_for(if pace.mean_gap() < Duration::from_secs(5) { slots(3_600) } else { DAY });
    let done = world.totals().since(&before);
    assert_eq!(done.refused, 0);
    let share = |count: u64| count as f64 / done.packets_up as f64;

    let speak = SPEAK.min(conversations);
    for turn in 0..speak {
        let (friend, pair) = &friends[turn * conversations / speak];
        world.rouse(*friend);
        let pause = slots(100).mul_f64(1.0 + random::unit(&mut world.rng));
        world.run_for(pause);
        world.say(pair, 1, 40);
        world.run_until("it is noticed", slots(10_000), |world| world.unfinished() == 0);
        // Until the receipt is there, too.
        world.run_for(slots(30));
        world.sleep(*friend);
    }
    let mut noticed = heard.borrow().0.clone();
    noticed.sort_by(f64::total_cmp);
    let at = |of: f64| noticed[(noticed.len() as f64 * of) as usize];
    Budget {
        registrations: share(done.registers),
        reads: share(done.reads),
        noticed: [at(0.5), at(0.95)],
    }
}
