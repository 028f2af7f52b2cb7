//! Plays hostile clients, a hostile gateway, mix and store, and a hostile contact against a real local
//! network (`xchat net up`, every node its own process), while two honest people talk through it.
//!
//! ```text
//!   clients ───▶ gateway-1   mix-1-1, mix-1-2   mix-2-1   mix-3-1, mix-3-2   store-1, 2, 3    honest
//!                gateway-2                      mix-2-2                      store-4          taken
//! ```
//!
//! It takes the places of three nodes with their real keys, counts every attempt, and looks for what
//! was taken although it must not be: by what comes back to it, by boxes whose fate is known, by
//! what the honest people have got. It ends with status 1 if anything was, or if a message was lost.
//!
//! What it is not: it does not measure what an observer learns (that is the simulator's part), and it
//! does not sign lies with a taken store's key: of three stores two are assumed to be honest
//! (spec/01), and one that answers `Stored` and forgets is found out by its signature, not prevented.

mod beat;
mod client;
mod contact;
mod control;
mod gateway;
mod mix;
mod place;
mod replica;
mod report;
mod session;
mod store;
mod tally;
mod view;
mod visitor;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::mpsc;
use xchat_testkit::{Direction, Ground, Listening, Person, Taken};

use beat::Beat;
use control::Control;
use place::Place;
use tally::Tally;
use view::{Dice, View};

/// Frames and links that wait for the attacker in a taken place.
const WAITING: usize = 512;

/// Hostile clients that stay, and people at the door.
const INTRUDERS: u64 = 12;
const LOITERERS: u64 = 2;

/// The places that are taken.
const TAKEN: [&str; 3] = ["gateway-2", "mix-2-2", "store-4"];

/// Seconds between two messages of each honest person.
const TALK_EVERY: Duration = Duration::from_secs(1);

/// Plays a hostile crowd against a local network while two people talk.
#[derive(Parser)]
struct Args {
    /// The program under attack.
    #[arg(long)]
    xchat: PathBuf,
    /// How long.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Attempts a second, at most.
    #[arg(long, default_value_t = 2_500)]
    rate: u32,
    /// Packets a second of every client.
    #[arg(long, default_value_t = 20)]
    pace: u32,
    /// What the attackers' dice begin with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the report goes, in Markdown.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// What all attackers share.
pub(crate) struct Attack {
    pub(crate) view: View,
    pub(crate) control: Control,
    pub(crate) tally: Tally,
    pub(crate) beat: Beat,
    pace: u32,
}

impl Attack {
    /// The mean gap between two packets of a client.
    pub(crate) fn packet_gap(&self) -> Duration {
        Duration::from_secs(1) / self.pace.max(1)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let outcome = runtime.block_on(run(&args));
    print!("{}", outcome.text());
    if let Some(path) = &args.report {
        std::fs::write(path, outcome.page()).expect("the report can be written");
    }
    if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Two gateways, two mixes a layer, four stores.
fn ground(args: &Args) -> Ground {
    let rate = args.pace.to_string();
    let shape = ["--gateways", "2", "--mixes-per-layer", "2", "--stores", "4", "--mix-delay", "2"];
    // Without padding, which would hold the attackers back more than the nodes.
    Ground::up(&args.xchat, &[&shape[..], &["--rate", &rate, "--link-rate", "0"]].concat())
}

/// Everything, from an empty directory to the figures.
async fn run(args: &Args) -> report::Outcome {
    let ground = ground(args);
    let mut dice = Dice::seed_from_u64(args.seed);
    let alice = Person::new(&ground, "alice");
    let bob = Person::new(&ground, "bob");
    bob.ok(&["accept", &alice.invite()]);
    alice.ok(&["contacts", "--wait", "bob"]);
    let talk = Talk { alice: &alice, bob: &bob };

    say("two people in contact; they talk for a while in peace");
    let honest_view = View::new(ground.document(), &[]);
    let control = Control::write(&mut dice, &honest_view).await;
    let link = alice.invite();
    let contact = contact::Contact::accept(&mut dice, &honest_view, &link).await;
    alice.ok(&["contacts", "--wait", contact::NAME]);
    let quiet = Duration::from_secs(args.seconds.clamp(10, 60));
    let peace = tokio::task::block_in_place(|| talk.talk("in peace", quiet).account());
    let memory_before = ground.memory();

    let places = TAKEN.map(|name| ground.take(name));
    let ids = [places[0].node.id, places[1].node.id, places[2].node.id];
    let attack = Arc::new(Attack {
        view: View::new(ground.document(), &ids),
        control,
        tally: Tally::default(),
        beat: Beat::new(args.rate),
        pace: args.pace,
    });
    say("three places taken; the attack begins");
    let counters_before = ground.counters(&TAKEN);
    let started = Instant::now();
    let attackers = unleash(&attack, places, contact, args.seed).await;
    let seconds = Duration::from_secs(args.seconds);
    let visits = {
        let attack = Arc::clone(&attack);
        let visitor = tokio::task::block_in_place(|| visitor::find(&ground, &attack));
        tokio::task::spawn_blocking(move || {
            visitor::come_and_go(&visitor, &attack);
            visitor
        })
    };
    let said = tokio::task::block_in_place(|| talk.talk("under attack", seconds));
    let lasted = started.elapsed();
    attack.beat.end();
    let visitor = visits.await.expect("the visitor ends with the attack");
    for attacker in attackers {
        let ended = tokio::time::timeout(Duration::from_secs(60), attacker).await;
        assert!(matches!(ended, Ok(Ok(()))), "an attacker ended badly: {ended:?}");
    }
    let under_attack = tokio::task::block_in_place(|| said.account());

    say("the attack is over; what is left of it");
    let mut faults = attack.control.check(&mut dice, &attack.view).await;
    faults.extend(left_out(&attack, lasted));
    faults.extend(tokio::task::block_in_place(|| harm_seen(&ground, &[&alice, &bob, &visitor])));
    report::Outcome {
        seconds: lasted,
        rate: args.rate,
        attempts: tally::KINDS.iter().map(|(kind, ..)| attack.tally.of(*kind)).collect(),
        all: attack.tally.all(),
        peace,
        under_attack,
        memory_before,
        memory_after: ground.memory(),
        counters: report::difference(&counters_before, &ground.counters(&TAKEN)),
        faults,
    }
}

/// Starts every attacker. Those that only answer go on until the process ends; the others are
/// returned, and end with the attack.
async fn unleash(
    attack: &Arc<Attack>,
    places: [Taken; 3],
    contact: contact::Contact,
    seed: u64,
) -> Vec<tokio::task::JoinHandle<()>> {
    let mut number = seed << 16;
    let mut dice = || {
        number += 1;
        Dice::seed_from_u64(number)
    };
    let [gateway, mix, store] = places;
    let (frames_to_gateway, mut to_gateway) = mpsc::channel(WAITING);
    let (clients, at_gateway) = mpsc::channel(WAITING);
    let occupied = "a taken node's address is free";
    let _gateway = Place::occupy(gateway, frames_to_gateway, clients).await.expect(occupied);
    tokio::spawn(async move { while to_gateway.recv().await.is_some() {} });
    tokio::spawn(gateway::deceive(Arc::clone(attack), at_gateway, dice()));

    let (frames, through_mix) = mpsc::channel(WAITING);
    let mix = Place::occupy(mix, frames, mpsc::channel(1).0).await.expect(occupied);
    tokio::spawn(mix::tamper(Arc::clone(attack), Arc::clone(&mix), through_mix, dice()));

    let (frames, at_store) = mpsc::channel(WAITING);
    let store = Place::occupy(store, frames, mpsc::channel(1).0).await.expect(occupied);
    tokio::spawn(store::answer(Arc::clone(attack), Arc::clone(&store), at_store, dice()));

    let mut attackers = vec![
        tokio::spawn(contact.pester(Arc::clone(attack), dice())),
        tokio::spawn(mix::assail(Arc::clone(attack), Arc::clone(&mix), dice())),
        tokio::spawn(mix::break_links(Arc::clone(attack), Arc::clone(&mix), dice())),
        tokio::spawn(mix::assail(Arc::clone(attack), mix, dice())),
        tokio::spawn(store::assail(Arc::clone(attack), Arc::clone(&store), dice())),
        tokio::spawn(store::assail(Arc::clone(attack), store, dice())),
        tokio::spawn(mix::pose_as_a_node(Arc::clone(attack), dice())),
    ];
    attackers
        .extend((0..INTRUDERS).map(|_| tokio::spawn(client::intrude(Arc::clone(attack), dice()))));
    attackers
        .extend((0..LOITERERS).map(|_| tokio::spawn(client::loiter(Arc::clone(attack), dice()))));
    attackers
}

/// Two people who write to each other, one line a second each.
struct Talk<'a> {
    alice: &'a Person,
    bob: &'a Person,
}

impl Talk<'_> {
    fn talk(&self, about: &str, time: Duration) -> Said {
        let at = [self.bob.listen(), self.alice.listen()];
        let mut lines = [Vec::new(), Vec::new()];
        let start = Instant::now();
        for number in 0.. {
            // One line for each beat of the clock, whatever the last one took.
            let next = TALK_EVERY * number;
            if next >= time {
                break;
            }
            std::thread::sleep(next.saturating_sub(start.elapsed()));
            let speakers = [(self.alice, "bob"), (self.bob, "alice")];
            for (lines, (from, to)) in lines.iter_mut().zip(speakers) {
                let text = format!("{about}, {number}");
                if from.send(to, &text) {
                    lines.push(text);
                }
            }
        }
        std::thread::sleep(time.saturating_sub(start.elapsed()));
        Said { at, lines }
    }
}

/// What was said, and where it is to arrive.
struct Said {
    at: [Listening; 2],
    lines: [Vec<String>; 2],
}

impl Said {
    /// Waits until it has arrived.
    fn account(&self) -> [Direction; 2] {
        [0, 1].map(|n| self.at[n].account(&self.lines[n]))
    }
}

/// In an attack of some length every kind must have had its turn: a table with a row of nothing shows nothing.
fn left_out(attack: &Attack, lasted: Duration) -> Vec<String> {
    if lasted < Duration::from_secs(60) {
        return Vec::new();
    }
    let untried = tally::KINDS.iter().filter(|(kind, ..)| attack.tally.of(*kind).0 == 0);
    untried.map(|(_, who, what)| format!("never tried: {who}, {what}")).collect()
}

/// What the honest can see of harm: panics, nodes that are gone, words that nobody said.
fn harm_seen(ground: &Ground, people: &[&Person]) -> Vec<String> {
    let mut faults = Vec::new();
    for node in ground.nodes() {
        if !TAKEN.contains(&node.name.as_str()) && node.pid.is_none() {
            faults.push(format!("{} does not run any more", node.name));
        }
    }
    for person in people {
        if person.log().contains("panicked") {
            faults.push("an app has panicked".to_owned());
        }
    }
    for line in people[0].ok(&["read", contact::NAME, "--limit", "0"]) {
        let text = line["text"].as_str().unwrap_or_default();
        if !text.is_empty() {
            faults.push(format!("words that nobody wrote are shown: {text:?}"));
        }
    }
    faults
}

fn say(what: &str) {
    eprintln!("attack: {what}");
}
