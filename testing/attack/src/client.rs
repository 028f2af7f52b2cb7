//! Hostile clients: at the gateway's door, and through it at the mixes and stores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand_core::RngCore;
use tokio::time::Instant;
use xchat_base::{Wire, random};
use xchat_directory::{Descriptor, NodeId};
use xchat_pigeonhole::{Answer, BoxId, Op, SealedBox, Ticket};
use xchat_sphinx::frame::CLIENT_PACKET_FRAME_LEN;
use xchat_sphinx::work::SHARES;
use xchat_sphinx::{
    ClientFrame, GatewayFrame, HopAddress, NodeTag, PACKET_LEN, PAYLOAD_LEN, Pace, Packet, Proof,
    ReplyTag, SessionToken, SurbId,
};
use xchat_testkit::tag;

use crate::Attack;
use crate::control::replica;
use crate::session::{Arrived, Session, believed, dial};
use crate::tally::Kind;
use crate::view::{Dice, rubbish};

/// The part of a packet that says where it goes.
pub(crate) const HEADER_LEN: usize = PACKET_LEN - PAYLOAD_LEN;

/// Sessions are replaced after so many attempts, so that opening is tried all the time too.
const ATTEMPTS_A_SESSION: u32 = 400;

/// A client that stays below its pace, so that it lives long enough to do harm elsewhere.
pub(crate) async fn intrude(attack: Arc<Attack>, mut dice: Dice) {
    while !attack.beat.is_over() {
        let gateway = attack.view.any(&mut dice, Descriptor::is_gateway).expect("one is honest");
        let gateway = gateway.clone();
        let Some(session) = Session::open(&mut dice, &gateway).await else {
            // Full, or busy with our like: that is what it should say. It counts as one attempt.
            if !attack.beat.next().await {
                return;
            }
            continue;
        };
        Intruder { attack: &attack, session, expected: BTreeMap::new() }.run(&mut dice).await;
    }
}

/// What an answer would show.
#[derive(Clone, Copy)]
enum Expected {
    AtMostOnce(Kind),
    Never(Kind),
    NotStored(Kind),
    Refused(Kind),
    NoItem(Kind),
}

struct Intruder<'a> {
    attack: &'a Attack,
    session: Session,
    expected: BTreeMap<SurbId, Expected>,
}

impl Intruder<'_> {
    async fn run(&mut self, dice: &mut Dice) {
        // Three quarters of the pace that the document gives to all.
        let gap = self.attack.packet_gap().mul_f64(1.35);
        let mut next = Instant::now();
        for _ in 0..ATTEMPTS_A_SESSION {
            tokio::time::sleep_until(next).await;
            next = Instant::now() + gap;
            if !self.attack.beat.next().await || !self.attempt(dice).await {
                break;
            }
            self.watch();
            if self.expected.len() > 2_048 {
                self.expected.clear();
            }
        }
        self.farewell(dice).await;
        // Late echoes would be lost with the session.
        while let Some(arrived) = self.session.next(Duration::from_millis(500)).await {
            self.judge(arrived);
        }
    }

    /// One attempt; false if the session is over.
    async fn attempt(&mut self, dice: &mut Dice) -> bool {
        match dice.next_u32() % 16 {
            0..=3 => self.changed_header(dice).await,
            4..=5 => self.changed_payload(dice).await,
            6..=8 => self.replay(dice).await,
            9 => self.request_of_rubbish(dice).await,
            10..=11 => self.forged_box(dice).await,
            12 => self.second_value(dice).await,
            13 => self.wrong_placement(dice).await,
            14 => self.wrong_store(dice).await,
            _ => self.guessed_collect(dice).await,
        }
    }

    async fn changed_header(&mut self, dice: &mut Dice) -> bool {
        self.attack.tally.tried(Kind::ClientHeader);
        let (first, packet, id) = self.session.loop_packet(dice, &self.attack.view);
        self.expected.insert(id, Expected::Never(Kind::ClientHeader));
        let mut bytes = packet.as_bytes().to_vec();
        let at = random::index(dice, HEADER_LEN);
        // The highest bit of an X25519 group element means nothing (RFC 7748, 5).
        let bit = random::index(dice, if at == 31 { 7 } else { 8 });
        bytes[at] ^= 1 << bit;
        self.send(dice, first, &bytes).await
    }

    async fn changed_payload(&mut self, dice: &mut Dice) -> bool {
        self.attack.tally.tried(Kind::ClientPayload);
        let (first, packet, id) = self.session.loop_packet(dice, &self.attack.view);
        self.expected.insert(id, Expected::Never(Kind::ClientPayload));
        let mut bytes = packet.as_bytes().to_vec();
        let at = HEADER_LEN + random::index(dice, PACKET_LEN - HEADER_LEN);
        bytes[at] ^= 1 << random::index(dice, 8);
        self.send(dice, first, &bytes).await
    }

    async fn replay(&mut self, dice: &mut Dice) -> bool {
        let (first, packet, id) = self.session.loop_packet(dice, &self.attack.view);
        self.expected.insert(id, Expected::AtMostOnce(Kind::ClientReplay));
        for again in 0..4 {
            if again > 0 {
                self.attack.tally.tried(Kind::ClientReplay);
                tokio::time::sleep(self.attack.packet_gap()).await;
            }
            if !self.session.send_packet(dice, first, packet.clone()).await {
                return false;
            }
        }
        true
    }

    async fn request_of_rubbish(&mut self, dice: &mut Dice) -> bool {
        self.attack.tally.tried(Kind::RequestBytes);
        let store = self.honest_store(dice);
        let message = rubbish(dice, xchat_sphinx::MESSAGE_LEN);
        self.session.send_message(dice, &self.attack.view, &store, &message).await
    }

    async fn forged_box(&mut self, dice: &mut Dice) -> bool {
        let control = &self.attack.control;
        let draw = random::index(dice, 1 << 16);
        let honest = control.kept(draw);
        let mut bytes = honest.to_bytes();
        if draw.is_multiple_of(2) {
            // A box that nobody has written.
            bytes[..BoxId::LEN].copy_from_slice(control.free(draw).as_bytes());
        }
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let boxed = SealedBox::from_bytes(&bytes).expect("of a box's length");
        self.write(dice, boxed, Kind::RequestForgedBox).await
    }

    async fn second_value(&mut self, dice: &mut Dice) -> bool {
        let draw = random::index(dice, 1 << 16);
        let boxed = self.attack.control.second_value(dice, draw);
        self.write(dice, boxed, Kind::RequestSecondValue).await
    }

    async fn write(&mut self, dice: &mut Dice, boxed: SealedBox, kind: Kind) -> bool {
        self.attack.tally.tried(kind);
        let view = &self.attack.view;
        let store = replica(view, &boxed.id(), random::index(dice, 2)).clone();
        let op = Op::Write {
            placement: view.placement(),
            boxed,
            tell: Ticket::from_bytes([9; 16]).tell(),
        };
        self.ask(dice, &store, op, Expected::NotStored(kind)).await
    }

    async fn wrong_placement(&mut self, dice: &mut Dice) -> bool {
        self.attack.tally.tried(Kind::RequestWrongPlacement);
        let id = self.attack.control.kept(random::index(dice, 1 << 16)).id();
        let store = replica(&self.attack.view, &id, 0).clone();
        let placement = self.attack.view.placement() ^ (1 + dice.next_u32() % 0xffff);
        let expected = Expected::Refused(Kind::RequestWrongPlacement);
        self.ask(dice, &store, Op::Read { placement, id }, expected).await
    }

    async fn wrong_store(&mut self, dice: &mut Dice) -> bool {
        let view = &self.attack.view;
        let id = self.attack.control.kept(random::index(dice, 1 << 16)).id();
        let replicas = view.document.replicas(id.as_bytes());
        let other = view.any(dice, |d| d.is_store() && !replicas.contains(&d.id));
        // With the attacker's store among the four, some boxes are on all honest ones.
        let Some(store) = other.cloned() else { return true };
        self.attack.tally.tried(Kind::RequestNotReplica);
        let op = Op::Read { placement: view.placement(), id };
        self.ask(dice, &store, op, Expected::Refused(Kind::RequestNotReplica)).await
    }

    async fn guessed_collect(&mut self, dice: &mut Dice) -> bool {
        self.attack.tally.tried(Kind::CollectGuessed);
        let store = self.honest_store(dice);
        let op = Op::Collect { session: random::bytes(dice) };
        self.ask(dice, &store, op, Expected::NoItem(Kind::CollectGuessed)).await
    }

    async fn ask(
        &mut self,
        dice: &mut Dice,
        store: &Descriptor,
        op: Op,
        expected: Expected,
    ) -> bool {
        match self.session.ask(dice, &self.attack.view, store, op).await {
            Some(id) => {
                self.expected.insert(id, expected);
                true
            }
            None => false,
        }
    }

    /// What ends a session: one of these, last.
    async fn farewell(&mut self, dice: &mut Dice) {
        let tally = &self.attack.tally;
        match dice.next_u32() % 3 {
            0 => {
                tally.tried(Kind::ClientFrame);
                let frame = rubbish(dice, CLIENT_PACKET_FRAME_LEN + 64);
                self.session.send(frame).await;
            }
            1 => {
                tally.tried(Kind::ClientWrongMix);
                let (_, packet, id) = self.session.loop_packet(dice, &self.attack.view);
                self.expected.insert(id, Expected::Never(Kind::ClientWrongMix));
                let second = self.attack.view.any(dice, |d| d.is_mix_of(2)).map(|d| tag(&d.id));
                let to = second.filter(|_| dice.next_u32() & 1 == 0);
                let to = to.unwrap_or_else(|| NodeTag::random(dice));
                self.session.send_packet(dice, HopAddress::node(to), packet).await;
            }
            _ => {
                for _ in 0..200 {
                    tally.tried(Kind::ClientTooFast);
                    let (first, packet, _) = self.session.loop_packet(dice, &self.attack.view);
                    if !self.session.send_packet(dice, first, packet).await {
                        return;
                    }
                }
            }
        }
    }

    fn honest_store(&self, dice: &mut Dice) -> Descriptor {
        self.attack.view.any(dice, Descriptor::is_store).expect("some are honest").clone()
    }

    async fn send(&mut self, dice: &mut Dice, first: HopAddress, bytes: &[u8]) -> bool {
        let packet = Packet::from_bytes(bytes).expect("of a packet's length");
        self.session.send_packet(dice, first, packet).await
    }

    fn watch(&mut self) {
        while let Some(arrived) = self.session.arrived() {
            self.judge(arrived);
        }
    }

    fn judge(&self, arrived: Arrived) {
        let Arrived::Reply { id, times, store, about, message } = arrived else { return };
        let Some(expected) = self.expected.get(&id) else { return };
        judge(self.attack, *expected, times, store, about, &message);
    }
}

fn judge(
    attack: &Attack,
    expected: Expected,
    times: u32,
    store: Option<NodeId>,
    about: Option<BoxId>,
    message: &[u8],
) {
    let answer = || believed(store, about, message);
    match expected {
        Expected::AtMostOnce(kind) if times > 1 => attack.tally.wrong(kind, "it came back again"),
        Expected::AtMostOnce(_) => {}
        Expected::Never(kind) => attack.tally.wrong(kind, "it came back"),
        Expected::NotStored(kind) => {
            if let Some(Answer::Stored) = answer() {
                attack.tally.wrong(kind, "it was stored");
            }
        }
        Expected::Refused(kind) => {
            if let Some(answer @ (Answer::Found(_) | Answer::Empty)) = answer() {
                attack.tally.wrong(kind, &format!("{answer:?}"));
            }
        }
        Expected::NoItem(kind) => {
            if let Some(Answer::Item { .. }) = answer() {
                attack.tally.wrong(kind, "somebody's item");
            }
        }
    }
}

/// Somebody at the door who never becomes a client.
pub(crate) async fn loiter(attack: Arc<Attack>, mut dice: Dice) {
    // Links that say nothing are kept open; the gateway has to let them go.
    let mut silent = std::collections::VecDeque::new();
    while attack.beat.next().await {
        let gateway = attack.view.any(&mut dice, Descriptor::is_gateway).expect("one is honest");
        let Ok((endpoint, link)) = dial(&mut dice, gateway).await else {
            attack.tally.tried(Kind::ClientSilent);
            continue;
        };
        if dice.next_u32() & 3 == 0 {
            attack.tally.tried(Kind::ClientSilent);
            silent.push_back((endpoint, link));
            if silent.len() > 64 {
                silent.pop_front();
            }
            continue;
        }
        attack.tally.tried(Kind::ClientFirstFrame);
        let (mut sender, mut receiver) = link.split();
        let frame = first_frame(&mut dice);
        // Half of them ask for a session first, as they must, and then do not do the work.
        if dice.next_u32() & 1 == 0
            && sender.send(ClientFrame::Open.to_wire().into()).await.is_err()
        {
            continue;
        }
        if sender.send(frame.into()).await.is_err() {
            continue;
        }
        let end = Instant::now() + Duration::from_secs(2);
        while let Ok(Ok(Some(frame))) = tokio::time::timeout_at(end, receiver.recv()).await {
            if matches!(GatewayFrame::from_wire(&frame), Ok(GatewayFrame::Welcome { .. })) {
                attack.tally.wrong(Kind::ClientFirstFrame, "it was welcomed");
            }
        }
    }
}

/// Anything but a good Hello.
fn first_frame(dice: &mut Dice) -> Vec<u8> {
    let tags = (0..16).map(|_| ReplyTag::random(dice)).collect();
    // The numbers of a proof that was not searched for.
    let proof = Proof::from_numbers([(); SHARES].map(|()| random::bytes(dice)));
    let hello = ClientFrame::Hello { pace: Pace::Fast, tags, proof }.to_wire();
    match dice.next_u32() % 7 {
        0 => rubbish(dice, 4096),
        1 => hello[..random::index(dice, hello.len())].to_vec(),
        2 => [hello.as_slice(), &[0]].concat(),
        3 => {
            // More tags than a pool has.
            let mut bytes = hello;
            bytes[3] = 17 + (dice.next_u32() % 200) as u8;
            bytes
        }
        4 => hello,
        5 => {
            // Somebody else's seat, if the token were one.
            let tags = vec![ReplyTag::random(dice)];
            ClientFrame::Resume { token: SessionToken::random(dice), tags }.to_wire()
        }
        _ => {
            let mut packet = vec![0; PACKET_LEN];
            dice.fill_bytes(&mut packet);
            let packet = Packet::from_bytes(&packet).expect("of a packet's length");
            let announce = ReplyTag::random(dice);
            let first_hop = NodeTag::random(dice);
            ClientFrame::Packet { announce, first_hop, packet }.to_wire()
        }
    }
}
