//! A client's transport behind a gateway that says anything.

use std::net::Ipv4Addr;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::{Secret, Timestamp, Wire};
use xchat_pigeonhole::{Lane, Ticket};
use xchat_simnet::network::{Founded, Shape, found};
use xchat_sphinx::work::{ChallengeSeed, Search};
use xchat_sphinx::{
    Challenge, ClientFrame, GatewayFrame, LinkKey, PACKET_LEN, Packet, Puzzle, RefusalCode,
    SessionToken,
};
use xchat_transport::{Command, Effect, Event, Input, Pace, Transport, Urgency};

use crate::parsers::{NOW, id};
use crate::{Bytes, Target};

pub(crate) const TRANSPORT: Target =
    Target { name: "transport", body: transport, seeds, tries: 200 };

/// Boxes that an input can name.
const BOXES: u8 = 8;

struct Watched {
    core: Transport,
    rng: ChaCha20Rng,
    now: Timestamp,
    /// The gateway that it wants a link to, or has.
    wants: Option<xchat_directory::NodeId>,
    online: bool,
    /// The work that it asked for last.
    puzzle: Option<Puzzle>,
    /// Packets that it sent: a gateway knows them.
    sent: Vec<Packet>,
    wake_at: Option<Timestamp>,
    asked: usize,
    document: Vec<u8>,
}

fn start() -> Watched {
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let Founded { root, document, .. } = found(&Shape::default(), NOW, &mut rng);
    let bytes = document.signed().to_wire();
    let started = Transport::new(root, document, Pace::Desk, None, NOW, &mut rng);
    let (core, effects) = started.expect("nothing stored");
    let mut watched = Watched {
        core,
        rng,
        now: NOW,
        wants: None,
        online: false,
        puzzle: None,
        sent: Vec::new(),
        wake_at: None,
        asked: 0,
        document: bytes,
    };
    watched.carry_out(effects);
    watched
}

impl Watched {
    fn handle(&mut self, input: Input) {
        let effects = self.core.handle(input, self.now, &mut self.rng);
        self.carry_out(effects);
        let status = self.core.status(self.now);
        assert!(status.queued_writes + status.queued_reads + status.followed <= self.asked);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Connect { gateway, .. } => {
                    self.wants = Some(gateway);
                    self.online = false;
                }
                Effect::Disconnect => {
                    self.wants = None;
                    self.online = false;
                }
                Effect::Send(bytes) => {
                    let frame = ClientFrame::from_wire(&bytes).expect("a gateway can read it");
                    assert!(self.online, "a frame without a link");
                    assert!(
                        !matches!(frame, ClientFrame::Packet { .. }),
                        "a packet without its slot"
                    );
                }
                Effect::Packet { frame, at } => {
                    let frame = ClientFrame::from_wire(&frame).expect("a gateway can read it");
                    assert!(self.online, "a frame without a link");
                    assert!(at >= self.now, "a slot of the past");
                    if let ClientFrame::Packet { packet, .. } = frame {
                        self.sent.push(packet);
                    }
                }
                Effect::Solve(puzzle) => self.puzzle = Some(puzzle),
                // A gateway cannot make an answer or a delivery: only stores and readers can.
                Effect::Event(Event::Written { .. } | Event::Read { .. } | Event::Arrived(_)) => {
                    unreachable!("nothing was answered")
                }
                Effect::WakeAt(at) => self.wake_at = Some(at),
                _ => {}
            }
        }
    }

    fn act(&mut self, input: &mut Bytes<'_>) {
        let what = input.u8();
        match what % 14 {
            0 => self.command(input),
            1 => {
                if let (Some(gateway), false) = (self.wants, self.online) {
                    self.online = true;
                    let from = Some(Ipv4Addr::new(127, 0, 0, input.u8() % 2).into());
                    let link = LinkKey::from_bytes([1; 32]);
                    self.handle(Input::Online { gateway, link, from });
                }
            }
            2 => {
                self.online = false;
                self.wants = None;
                self.handle(Input::Offline);
            }
            3 => {
                let session = SessionToken::from_bytes([input.u8(); 32]);
                self.frame(GatewayFrame::Welcome { session }.to_wire());
            }
            4 => {
                let packet = match input.u8() {
                    n if n < 128 || self.sent.is_empty() => [n; PACKET_LEN].to_vec(),
                    n => input.edit(self.sent[usize::from(n) % self.sent.len()].as_bytes()),
                };
                let packet = Packet::from_bytes(&packet).expect("the length is right");
                self.frame(GatewayFrame::Packet(packet).to_wire());
            }
            5 => {
                let document = input.edit(&self.document);
                self.frame(GatewayFrame::Document(Some(document)).to_wire());
            }
            6 => {
                let code = RefusalCode::from(input.u8());
                let retry_after_secs = input.u16();
                self.frame(GatewayFrame::Refused { code, retry_after_secs }.to_wire());
            }
            8 => {
                let seed = ChallengeSeed::from_bytes([input.u8(); 32]);
                // Any effort may be asked for; what a driver would work on is little here.
                let effort = if what < 200 { u32::from(input.u8() % 8) } else { u32::MAX };
                let within_secs = input.u16();
                let challenge = Challenge { seed, effort, within_secs };
                self.frame(GatewayFrame::Challenge(challenge).to_wire());
            }
            9 => {
                let easy = |puzzle: &Puzzle| puzzle.challenge().effort < 8;
                let solved = self.puzzle.clone().filter(easy);
                if let Some(proof) = solved.and_then(|puzzle| Search::new(puzzle).finish()) {
                    self.handle(Input::Solved(proof));
                }
            }
            10 => {
                self.online = false;
                self.wants = None;
                self.handle(Input::TurnedAway);
            }
            7 => self.frame(input.long().to_vec()),
            _ => {
                let wait = Duration::from_millis(u64::from(input.u16()));
                let due = self.wake_at.filter(|_| what >= 128);
                self.now = due.unwrap_or(self.now + wait).max(self.now);
                self.handle(Input::Timer);
            }
        }
    }

    fn frame(&mut self, bytes: Vec<u8>) {
        if self.online {
            self.handle(Input::Frame(bytes));
        }
    }

    fn command(&mut self, input: &mut Bytes<'_>) {
        let (what, n) = (input.u8(), input.u8() % BOXES);
        self.asked += 1;
        let command = match what % 7 {
            0 => {
                let keys = Lane::new(Secret::new([n; 32])).keys();
                let boxed = keys.seal(&mut self.rng, &[what]).expect("short");
                let ticket = (n % 2 == 0).then(|| Ticket::from_bytes([n; 16]));
                Command::Write { boxed, ticket }
            }
            1 => Command::Read { id: id(n) },
            2 => Command::Unfollow { id: id(n) },
            3 => Command::Follow {
                id: id(n),
                urgency: Urgency::Active(n % 2),
                talk: Some((n % 4).into()),
            },
            4 => {
                Command::Follow { id: id(n), urgency: Urgency::Resting, talk: Some((n % 4).into()) }
            }
            5 => {
                Command::Follow { id: id(n), urgency: Urgency::Seldom, talk: Some((n % 4).into()) }
            }
            _ => Command::Follow {
                id: id(n),
                urgency: Urgency::Ahead(n % 9),
                talk: Some((n % 4).into()),
            },
        };
        self.handle(Input::Command(command));
    }
}

fn transport(input: &[u8]) {
    let mut input = Bytes::new(input);
    let mut watched = start();
    while !input.is_empty() {
        watched.act(&mut input);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    // 139 is a slot, 125 a second.
    let slots = |n: usize| [139u8, 0, 0].repeat(n);
    let begin = [
        125u8, 3, 232, 1, 8, 5, 4, 0, 60, 9, 3, 7, 0, 0, 1, 0, 3, 2, 0, 1, 3, 139, 0, 0, 139, 0, 0,
    ];
    vec![
        [&begin[..], &slots(20)].concat(),
        [&begin[..], &slots(6), &[4, 200, 1, 0, 9, 255, 5, 0, 6, 1, 0, 2], &slots(6)].concat(),
        [
            &begin[..],
            &[2, 125, 255, 255, 1, 8, 5, 4, 0, 60, 9, 3, 1, 7, 0, 3, 1, 2, 3, 10, 125, 255, 255],
            &slots(4),
        ]
        .concat(),
    ]
}
