//! Plays a scenario: who goes online and offline when, and who says what to whom.

mod contacts;
mod day;
mod draws;
mod report;
mod talk;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::time::Duration;

use xchat_base::random::Rng;
use xchat_base::{Timestamp, random};
use xchat_sphinx::PacketFormat;

use crate::scenario::Scenario;
use crate::seen::Observer;
use crate::world::{Acquaintance, Stream, World, stream};
use day::Device;
use report::Ledger;
use talk::Conversation;

pub use report::Report;

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    /// A device wakes up or goes to sleep.
    Device(u32),
    /// Something is said in a conversation.
    Talk(u32),
}

/// For how long two have known each other when a run begins: longer than a lane counts as in use after its last message,
/// and each pair for a time of its own, or all would look at their commit lanes at one moment of the run.
fn rested(rng: &mut Rng) -> Duration {
    let (least, spread) = (Duration::from_secs(2 * 3_600), Duration::from_secs(4 * 3_600));
    least + spread.mul_f64(random::unit(rng))
}

/// Plays a scenario from beginning to end. One seed, scenario and format give one run; the observer does not
/// change it.
pub fn play(
    scenario: &Scenario,
    seed: u64,
    format: &'static dyn PacketFormat,
    observer: Box<dyn Observer>,
) -> Report {
    let mut play = Play::new(scenario, seed, format, observer);
    play.run();
    play.report()
}

struct Play {
    world: World,
    ledger: Rc<RefCell<Ledger>>,
    begin: Timestamp,
    end: Timestamp,
    devices: Vec<Device>,
    talks: Vec<(Acquaintance, Conversation)>,
    /// Both to be ordered by number at one moment.
    acts: BinaryHeap<Reverse<(Timestamp, Act)>>,
}

impl Play {
    fn new(
        scenario: &Scenario,
        seed: u64,
        format: &'static dyn PacketFormat,
        observer: Box<dyn Observer>,
    ) -> Self {
        let mut world = World::with_format(seed, &scenario.shape(), scenario.links(), format);
        let begin = world.now;
        let end = begin + scenario.duration();
        let mut acts = BinaryHeap::new();

        let mut devices = Vec::new();
        for client in 0..scenario.clients.count {
            world.add_talker(scenario.clients.pace);
            let rng = stream(seed, &Stream::Days(client));
            let mut device = Device::new(scenario, begin, rng);
            acts.push(Reverse((device.next(), Act::Device(client))));
            devices.push(device);
        }

        let pairs = contacts::draw(scenario, &mut stream(seed, &Stream::Contacts));
        let mut known_for = stream(seed, &Stream::Met);
        let mut talks = Vec::new();
        for (number, (clients, class)) in (0u32..).zip(pairs) {
            let since = begin - rested(&mut known_for);
            let known = world.acquaint(clients, since, class.is_some());
            let Some(class) = class else { continue };
            let rng = stream(seed, &Stream::Talk(number));
            let (talk, first) =
                Conversation::new(&scenario.talk[class], begin + scenario.warm_up(), rng);
            acts.push(Reverse((first, Act::Talk(talks.len() as u32))));
            talks.push((known, talk));
        }

        let hostile = hostile_nodes(scenario, &mut world);
        world.set_hostile(&hostile, scenario.network.dropping, scenario.network.doubling);
        let ledger = Rc::new(RefCell::new(Ledger::new(observer)));
        world.observe(Box::new(Rc::clone(&ledger)), &hostile);
        Self { world, ledger, begin, end, devices, talks, acts }
    }

    fn run(&mut self) {
        while let Some(Reverse((at, act))) = self.acts.pop() {
            if at >= self.end {
                break;
            }
            self.world.run_to(at);
            let next = match act {
                Act::Device(client) => {
                    let device = &mut self.devices[client as usize];
                    if device.turn() {
                        self.world.rouse(client);
                    } else {
                        self.world.sleep(client);
                    }
                    device.next()
                }
                Act::Talk(number) => self.talk(number as usize),
            };
            self.acts.push(Reverse((next, act)));
        }
        self.world.run_to(self.end);
    }

    /// Says the next thing, if its speaker's device is awake; when the one after it is due.
    fn talk(&mut self, number: usize) -> Timestamp {
        let (known, talk) = &mut self.talks[number];
        let said = talk.next();
        if self.world.is_awake(known.clients[said.who]) {
            self.world.say(known, said.who, said.letters);
            talk.after(self.world.now)
        } else {
            talk.broken_off(self.world.now)
        }
    }

    fn report(mut self) -> Report {
        let unfinished = self.world.unfinished();
        self.world.finish();
        let ledger = self.ledger.borrow();
        ledger.report(&self.world, self.world.now.since(self.begin), unfinished)
    }
}

/// So large a share of the nodes, drawn at random whatever they are for.
fn hostile_nodes(scenario: &Scenario, world: &mut World) -> BTreeSet<u16> {
    let all = world.cast().nodes.len();
    let wanted = (scenario.network.hostile * all as f64).round() as usize;
    let mut left: Vec<u16> = (0..all as u16).collect();
    (0..wanted).map(|_| left.swap_remove(random::index(&mut world.rng, left.len()))).collect()
}
