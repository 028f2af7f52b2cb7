//! The production cores as a system among the others: messages come, links tell what they may, boxes are what they are.

use std::collections::BTreeSet;

use xchat_leakage::record::{Asked, Cast, Inside, Insight, Kind, Observer, Seen};
use xchat_leakage::systems::{Boxed, System, Truth, Xchat};
use xchat_leakage::traffic::{Shape, Traffic};

#[derive(Default)]
struct Counts {
    nodes: usize,
    client: u64,
    between: u64,
    written: u64,
    sessions: u64,
    /// Packets that left gateways, and how many of them came to a mix.
    up: BTreeSet<u64>,
    mixed: u64,
}

impl Observer for Counts {
    fn cast(&mut self, cast: &Cast) {
        self.nodes = cast.nodes.len();
    }

    fn has_insiders(&self) -> bool {
        true
    }

    fn seen(&mut self, seen: &Seen) {
        match seen.kind {
            Kind::Client | Kind::Control => self.client += 1,
            Kind::Packet | Kind::Replica => self.between += 1,
        }
    }

    fn inside(&mut self, insight: &Insight) {
        match insight.inside {
            Inside::Request(Asked::Write { .. }) => self.written += 1,
            Inside::Up { left, .. } => {
                self.up.insert(left);
            }
            Inside::Mixed { came, .. } => self.mixed += u64::from(self.up.remove(&came)),
            _ => {}
        }
    }

    fn truth_of_session(&mut self, _session: u64, _client: u32) {
        self.sessions += 1;
    }
}

/// An evening hour of a few who talk much.
fn traffic() -> Traffic {
    let shape = Shape { first_hour: 19, sessions_a_day: 24.0, ..Shape::talkative(12, 1) };
    Traffic::new(shape, 3)
}

fn run(system: Xchat) -> (Counts, Truth) {
    let mut counts = Counts::default();
    let truth = system.run(&traffic(), 1, &mut counts);
    (counts, truth)
}

#[test]
fn messages_come_and_of_padded_links_nothing_is_told() {
    let traffic = traffic();
    let (counts, truth) = run(Xchat::default());
    assert_eq!(counts.nodes, 2 + 3 * 2 + 6);
    assert!(traffic.messages.len() > 40, "{} messages", traffic.messages.len());
    let came = truth.delivered.iter().filter(|came| came.is_some()).count();
    assert!(came * 10 >= traffic.messages.len() * 7, "{came} of {}", traffic.messages.len());
    for (message, came) in traffic.messages.iter().zip(&truth.delivered) {
        assert!(came.is_none_or(|came| came > message.at));
    }
    assert_eq!(counts.between, 0);
    assert!(counts.client > 10_000);
    assert!(counts.sessions >= 8, "whose sessions they are is known: {}", counts.sessions);
    let (decoys, real): (Vec<&Boxed>, Vec<&Boxed>) =
        truth.boxes.values().partition(|boxed| boxed.decoy);
    assert!(real.len() >= came / 3 && !decoys.is_empty(), "{} and {}", real.len(), decoys.len());
    // By that a packet is followed from its client on, by whoever owns all mixes.
    assert!(
        counts.mixed > 10_000 && counts.up.len() < 100,
        "{} and {}",
        counts.mixed,
        counts.up.len()
    );
    assert!(counts.written as usize >= truth.boxes.len() / 2);
}

#[test]
fn without_padding_and_decoys_links_and_boxes_tell() {
    let bare =
        Xchat { decoys: xchat_simnet::DecoyLanes::None, link_padding: false, ..Xchat::default() };
    let (counts, truth) = run(bare);
    assert!(counts.between > 50_000);
    assert!(truth.boxes.values().all(|boxed| !boxed.decoy));
}
