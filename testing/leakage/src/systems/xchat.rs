//! The program itself: the production cores of clients, gateways, mixes and stores, on the virtual time of
//! `testing/simnet`. Packets are transparent (`docs/adr/0008-packets-as-a-value.md`), everything else is what ships.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::time::Duration;

use xchat_base::Timestamp;
use xchat_simnet::network::Shape;
use xchat_simnet::seen::{self, Insight as Inner, Receipted, Said, Uses, Wrote};
use xchat_simnet::{Acquaintance, DecoyLanes, Links, Past, Renewal, Transparent, World};
use xchat_transport::Pace;

use super::{Boxed, Expectation, Ideal, System, Truth};
use crate::dice::Dice;
use crate::record::{
    Asked, Cast, HOUR, Heard, Inside, Insight, Kind, Micros, Observer, Part, Party, Seen,
};
use crate::traffic::{Earlier, Traffic};

/// What is seen is handed on so often, in virtual time: what waits meanwhile is all that is kept.
const HANDED_ON: Micros = 10_000_000;

/// Runs of so many hours have their keys renewed.
const DAY: u32 = 24;

/// Letters of a message.
const LETTERS: usize = 60;

/// The stream of dice for when programs start again.
const RESTARTS: u64 = 121;

/// Programs that start again do so within so long: not all at one moment, or it would be a crowd.
const RESTARTED_WITHIN: Micros = HOUR / 6;

/// Bytes for each client, and for each hour of a client: what nodes remember of packets, and what is seen.
const MEMORY: u64 = 1_600_000;

/// How much the links of a network carry beside what its clients send: cells for so many times that.
const SPARE: u32 = 3;

/// The program, with parts of it left out to see whether they are missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Xchat {
    /// The pace of all clients.
    pub pace: Pace,
    /// What clients write besides.
    pub decoys: DecoyLanes,
    /// Whether links between nodes are padded.
    pub link_padding: bool,
    /// Milliseconds that a mix holds a packet on average; none: by the size of the crowd.
    pub mix_delay_ms: Option<u32>,
    /// At the beginning of this hour each program ends and starts again whose device is awake.
    pub restart_hour: Option<u32>,
}

impl Default for Xchat {
    fn default() -> Self {
        let decoys = DecoyLanes::People;
        Self {
            pace: Pace::Desk,
            decoys,
            link_padding: true,
            mix_delay_ms: None,
            restart_hour: None,
        }
    }
}

impl Xchat {
    fn shape(self, clients: u32, hours: u32) -> Shape {
        let design = Ideal::default();
        let by_crowd = design.delay_at(clients, self.pace.slots_per_second());
        let by_crowd = Duration::from_secs_f64(by_crowd);
        Shape {
            gateways: 2,
            mixes_per_layer: usize::from(Ideal::mixes(clients)),
            stores: 6,
            pace: None,
            mix_delay: self.mix_delay_ms.map_or(by_crowd, |ms| Duration::from_millis(ms.into())),
            // As often as `xchat net up` does; evenings have one set of keys.
            renewal: (hours >= DAY).then_some(Renewal::SHIPPED),
        }
    }

    /// When which program starts again.
    fn restarts(self, clients: u32, seed: u64) -> Vec<(Micros, Act)> {
        let Some(hour) = self.restart_hour else { return Vec::new() };
        let mut dice = Dice::new(seed, RESTARTS);
        let mut at = || u64::from(hour) * HOUR + dice.index(RESTARTED_WITHIN as usize) as Micros;
        (0..clients).map(|client| (at(), Act::Restart(client))).collect()
    }

    /// The busiest links go from a gateway to a mix of the first layer, or from mix to mix.
    fn cells(self, clients: u32) -> u32 {
        if !self.link_padding {
            return 0;
        }
        let mixes = u32::from(Ideal::mixes(clients));
        let busiest = (clients / (2 * mixes)).max(2 * clients / (mixes * mixes));
        (SPARE * busiest).clamp(100, 1_000)
    }
}

impl System for Xchat {
    fn name(&self) -> &'static str {
        match self.pace {
            Pace::Fast => "xchat, fast",
            Pace::Desk => "xchat",
            Pace::Phone => "xchat, phone",
            Pace::Thrift => "xchat, thrift",
        }
    }

    fn about(&self) -> &'static str {
        "the code of this project: the cores of clients and nodes that ship; at `desk`, one packet a second, where no other pace is named"
    }

    fn expectation(&self) -> Expectation {
        Expectation::Hides
    }

    fn has_stores(&self) -> bool {
        true
    }

    fn memory(&self, clients: u32, hours: u32) -> u64 {
        MEMORY * u64::from(clients) * u64::from(1 + hours)
    }

    fn run(&self, traffic: &Traffic, seed: u64, observer: &mut dyn Observer) -> Truth {
        let clients = traffic.shape.clients;
        let (shape, cells) = (self.shape(clients, traffic.shape.hours), self.cells(clients));
        let links = Links { cells, ..Links::good() };
        let mut world = World::with_format(seed, &shape, links, &Transparent);
        world.set_decoy_lanes(self.decoys);
        for _ in 0..clients {
            world.add_talker(self.pace);
        }
        let begin = world.now;
        let earlier = traffic.earlier(seed);
        let known = |(&(a, b), earlier): (&(u32, u32), &Earlier)| {
            world.acquaint_again([a, b], &past(begin, earlier), true)
        };
        let known: Vec<Acquaintance> = traffic.contacts.iter().zip(&earlier).map(known).collect();

        let cast = world.cast();
        observer.cast(&Cast {
            nodes: cast.nodes.iter().map(|node| part(node.part)).collect(),
            clients,
            mix_delay_secs: shape.mix_delay.as_secs_f64(),
            way_secs: way(&links),
        });
        let insiders = observer.has_insiders();
        let hostile: BTreeSet<u16> =
            if insiders { (0..cast.nodes.len() as u16).collect() } else { BTreeSet::new() };
        let tape = Rc::new(RefCell::new(Tape::default()));
        world.observe(Box::new(Rc::clone(&tape)), &hostile);
        let mut play = Play { world, begin, tape, observer, truth: Truth::default(), odd: 0 };
        play.truth.delivered = vec![None; traffic.messages.len()];
        play.truth.receipted = vec![None; traffic.messages.len()];
        play.live(traffic, &known, &self.restarts(clients, seed));
        play.truth
    }
}

/// What two have behind them at this moment.
fn past(begin: Timestamp, earlier: &Earlier) -> Past {
    let before = |micros| begin - Duration::from_micros(micros);
    let lines = |said: &[(Micros, bool)]| {
        said.iter().map(|(at, is_other)| (before(*at), usize::from(*is_other))).collect()
    };
    let since = before(earlier.known_for);
    Past { since, before: lines(&earlier.before), said: lines(&earlier.said) }
}

/// From a client over three mixes to a store: its own link and four between nodes, on each of which a frame may wait
/// for the next cell.
fn way(links: &Links) -> (f64, f64) {
    let gap = if links.cells == 0 { 0.0 } else { 1.0 / f64::from(links.cells) };
    let shortest = links.client_delay + links.delay * 4;
    let longest = shortest + links.client_jitter + links.jitter * 4;
    (shortest.as_secs_f64(), longest.as_secs_f64() + 4.0 * gap)
}

const fn part(part: seen::Part) -> Part {
    match part {
        seen::Part::Gateway => Part::Gateway,
        seen::Part::Mix(layer) => Part::Mix(layer),
        seen::Part::Store => Part::Store,
    }
}

/// What was seen and not handed on yet.
#[derive(Default)]
struct Tape {
    seen: Vec<seen::Seen>,
    inside: Vec<Inner>,
    wrote: Vec<Wrote>,
    uses: Vec<Uses>,
    said: Vec<Said>,
    receipted: Vec<Receipted>,
}

impl seen::Observer for Tape {
    fn seen(&mut self, seen: &seen::Seen) {
        self.seen.push(*seen);
    }

    fn inside(&mut self, insight: &Inner) {
        self.inside.push(*insight);
    }

    fn wrote(&mut self, wrote: &Wrote) {
        self.wrote.push(*wrote);
    }

    fn uses(&mut self, uses: &Uses) {
        self.uses.push(*uses);
    }

    fn said(&mut self, said: &Said) {
        self.said.push(*said);
    }

    fn receipted(&mut self, receipted: &Receipted) {
        self.receipted.push(*receipted);
    }
}

/// What is to be done next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Rouse(u32),
    Sleep(u32),
    Restart(u32),
    HandOn,
}

struct Play<'a> {
    world: World,
    begin: Timestamp,
    tape: Rc<RefCell<Tape>>,
    observer: &'a mut dyn Observer,
    truth: Truth,
    /// Boxes of decoys seen so far.
    odd: u32,
}

impl Play<'_> {
    fn live(&mut self, traffic: &Traffic, known: &[Acquaintance], restarts: &[(Micros, Act)]) {
        let mut acts: BinaryHeap<_> = restarts.iter().copied().map(Reverse).collect();
        for (client, spans) in (0..).zip(&traffic.online) {
            for span in spans {
                acts.push(Reverse((span.from, Act::Rouse(client))));
                acts.push(Reverse((span.until, Act::Sleep(client))));
            }
        }
        let mut at = HANDED_ON;
        while at <= traffic.end() {
            acts.push(Reverse((at, Act::HandOn)));
            at += HANDED_ON;
        }
        let mut next = 0;
        while let Some(Reverse((at, act))) = acts.pop() {
            while let Some(message) = traffic.messages.get(next).filter(|message| message.at < at) {
                self.world.run_to(self.begin + Duration::from_micros(message.at));
                let pair = (message.from.min(message.to), message.from.max(message.to));
                let place = traffic.contacts.binary_search(&pair).expect("they know each other");
                let who = usize::from(message.from > message.to);
                // Numbers count what is said from 0, so they are those of the messages.
                self.world.say(&known[place], who, LETTERS);
                next += 1;
            }
            self.world.run_to(self.begin + Duration::from_micros(at));
            match act {
                Act::Rouse(client) => self.world.rouse(client),
                Act::Sleep(client) => self.world.sleep(client),
                Act::Restart(client) => self.world.restart(client),
                Act::HandOn => {
                    self.hand_on();
                    if at % HOUR == 0 {
                        self.observer.until(at);
                    }
                }
            }
        }
        self.world.finish();
        self.hand_on();
        self.observer.until(traffic.end());
    }

    fn hand_on(&mut self) {
        let tape = std::mem::take(&mut *self.tape.borrow_mut());
        for Wrote { id, from, to, number } in tape.wrote {
            let boxed = Boxed { lane: (from, to), number, decoy: false };
            self.truth.boxes.insert(short(id.as_bytes()), boxed);
        }
        for Uses { client, session } in tape.uses {
            self.observer.truth_of_session(short(session.as_bytes()), client);
        }
        for said in tape.said {
            let came = said.arrived.map(|at| at.since(self.begin).as_micros() as Micros);
            self.truth.delivered[said.number as usize] = came;
        }
        for Receipted { number, at } in tape.receipted {
            let at = at.since(self.begin).as_micros() as Micros;
            self.truth.receipted[number as usize] = Some(at);
        }
        for one in tape.seen {
            let at_micros = self.since(one.at_micros);
            let (from, to) = (party(one.from), party(one.to));
            let kind = match one.kind {
                seen::Kind::Client => Kind::Client,
                seen::Kind::Packet => Kind::Packet,
                seen::Kind::Replica => Kind::Replica,
                seen::Kind::Control => Kind::Control,
            };
            self.observer.seen(&Seen { at_micros, from, to, bytes: one.bytes, kind });
        }
        for one in tape.inside {
            self.insight(&one);
        }
    }

    fn insight(&mut self, one: &Inner) {
        let inside = match one.inside {
            seen::Inside::Mixed { to, came_micros, came, left, .. } => Inside::Mixed {
                to: party(to),
                came_micros: self.since(came_micros),
                came: came.0,
                left: left.0,
            },
            seen::Inside::Request { asked, .. } => Inside::Request(match asked {
                seen::Asked::Write { id, told } => Asked::Write {
                    id: self.written(short(id.as_bytes())),
                    told: short(told.as_bytes()),
                },
                seen::Asked::Read(id) => Asked::Read(short(id.as_bytes())),
                seen::Asked::Register { id, lifetime_secs } => {
                    Asked::Register { id: short(id.as_bytes()), lifetime_secs }
                }
                seen::Asked::Collect { session, item } => {
                    Asked::Collect { session: short(session.as_bytes()), item }
                }
            }),
            seen::Inside::Heard { from, what } => {
                let what = match what {
                    seen::Heard::Keep(id) => Heard::Keep(short(id.as_bytes())),
                    seen::Heard::Query(id) => Heard::Query(short(id.as_bytes())),
                    seen::Heard::Told(id) => Heard::Told(short(id.as_bytes())),
                };
                Inside::Heard { from, what }
            }
            seen::Inside::Item { session, .. } => {
                Inside::Item { session: short(session.as_bytes()) }
            }
            seen::Inside::Up { client, left, .. } => Inside::Up { client, left: left.0 },
            // What joins a request to its answer, or a gateway's other two sides, its frames show too.
            seen::Inside::Down { .. }
            | seen::Inside::Answer { .. }
            | seen::Inside::Delivery { .. } => return,
        };
        let at_micros = self.since(one.at_micros);
        self.observer.inside(&Insight { at_micros, node: one.node, inside });
    }

    /// A box that no conversation wrote is a decoy's; which lane's, nobody says, so it has no neighbours.
    fn written(&mut self, id: u64) -> u64 {
        let odd = &mut self.odd;
        self.truth.boxes.entry(id).or_insert_with(|| {
            *odd += 2;
            Boxed { lane: (u32::MAX, u32::MAX), number: *odd, decoy: true }
        });
        id
    }

    fn since(&self, at_micros: u64) -> Micros {
        at_micros - self.begin.as_micros()
    }
}

const fn party(party: seen::Party) -> Party {
    match party {
        seen::Party::Client(number) => Party::Client(number),
        seen::Party::Node(place) => Party::Node(place),
    }
}

/// A number in place of a random identifier.
fn short(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
