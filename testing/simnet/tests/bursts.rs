//! Cover survives sleep and reconnects: whatever waits, packets leave one by one as always.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use xchat_simnet::seen::{Kind, Observer, Party, Seen};
use xchat_simnet::{Links, Shape, Transparent, World};
use xchat_transport::Pace;

/// When packets of one client leave, in microseconds.
struct Leaving(u32, Vec<u64>);

impl Observer for Leaving {
    fn seen(&mut self, seen: &Seen) {
        if seen.kind == Kind::Client && seen.from == Party::Client(self.0) {
            self.1.push(seen.at_micros);
        }
    }
}

/// At `desk` the packets of any ten seconds are ten on average: more than 32 come once in ten million such spells.
const SPELL: u64 = 10_000_000;
const MOST: usize = 32;

#[test]
fn a_device_that_sleeps_and_wakes_sends_no_faster_for_what_waits() {
    let shape = Shape { pace: None, ..Shape::default() };
    let mut world = World::with_format(3, &shape, Links::good(), &Transparent);
    let [client, friend] = [0, 1].map(|_| world.add_talker(Pace::Desk));
    let pair = world.acquaint([client, friend], world.now, true);
    let leaving = Rc::new(RefCell::new(Leaving(client, Vec::new())));
    world.observe(Box::new(Rc::clone(&leaving)), &BTreeSet::new());
    [client, friend].iter().for_each(|client| world.rouse(*client));
    world.run_for(Duration::from_secs(1_800));

    // Naps within which a session is resumed, and longer ones after which all registrations are made anew; much is said to it
    // meanwhile, and it has much to say.
    let mut awake = Duration::ZERO;
    let mut sent = 0;
    for nap in [20, 90, 600, 3_600, 30, 7_200] {
        world.sleep(client);
        let before = leaving.borrow().1.len();
        for _ in 0..30 {
            world.say(&pair, 1, 200);
            world.say(&pair, 0, 200);
            world.run_for(Duration::from_secs(nap) / 30);
        }
        assert_eq!(leaving.borrow().1.len(), before, "it sleeps");
        world.rouse(client);
        let span = Duration::from_secs(1_200);
        world.run_for(span);
        awake += span;
        sent += leaving.borrow().1.len() - before;
    }
    world.run_for(Duration::from_secs(1_800));
    assert_eq!(world.unfinished(), 0, "all has arrived");

    let times = &leaving.borrow().1;
    let most = times
        .iter()
        .enumerate()
        .map(|(first, &at)| times[first..].iter().take_while(|&&later| later < at + SPELL).count());
    let most = most.max().expect("packets");
    println!("{sent} packets in {awake:?} awake, {most} in ten seconds at most");
    assert!(most <= MOST, "{most} packets in ten seconds");
    // A second between two, on average, less the moments in which the link comes up: three deviations of as many.
    let wanted = awake.as_secs_f64();
    let off = 3.0 * wanted.sqrt();
    assert!(((wanted * 0.97 - off)..(wanted + off)).contains(&(sent as f64)), "{sent} packets");
}
