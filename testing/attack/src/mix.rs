//! A hostile mix of the second layer: what it sends of its own, and what it does with what it gets.

use std::sync::Arc;
use std::time::Duration;

use rand_core::RngCore;
use tokio::sync::mpsc;
use xchat_base::random;
use xchat_directory::Descriptor;
use xchat_link::PeerId;
use xchat_server::clock;
use xchat_server::node::cells::CELL_LEN;
use xchat_sphinx::frame::{NODE_FRAME_LEN, PACKET_ALPN};
use xchat_sphinx::{
    Hop, HopAddress, NodeFrame, PACKET_LEN, Packet, ReplyTag, Route, SurbId, Unwrapped,
    loop_packet, unwrap,
};
use xchat_testkit::{hop, tag};

use crate::Attack;
use crate::client::HEADER_LEN;
use crate::place::{Frame, Place, named};
use crate::session::{Arrived, Session, stranger};
use crate::tally::Kind;
use crate::view::{Dice, flipped, rubbish};

/// Packets sent by way of honest nodes before the session is made anew.
const ATTEMPTS_A_SESSION: u32 = 2_000;

/// The longest that a packet is held: the sender's wish, within reason.
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// Sends what no mix may send.
pub(crate) async fn assail(attack: Arc<Attack>, place: Arc<Place>, mut dice: Dice) {
    while !attack.beat.is_over() {
        let gateway = attack.view.any(&mut dice, Descriptor::is_gateway).expect("one is honest");
        let gateway = gateway.clone();
        let Some(session) = Session::open(&mut dice, &gateway).await else {
            if !attack.beat.next().await {
                return;
            }
            continue;
        };
        let mut assailant =
            Assailant { attack: &attack, place: &place, gateway, session, loops: Vec::new() };
        assailant.run(&mut dice).await;
    }
}

/// A loop of ours, and how often it may come back.
struct Sent {
    id: SurbId,
    kind: Kind,
    allowed: u32,
}

struct Assailant<'a> {
    attack: &'a Attack,
    place: &'a Place,
    gateway: Descriptor,
    session: Session,
    loops: Vec<Sent>,
}

impl Assailant<'_> {
    async fn run(&mut self, dice: &mut Dice) {
        for _ in 0..ATTEMPTS_A_SESSION {
            if !self.attack.beat.next().await {
                break;
            }
            self.attempt(dice).await;
            while let Some(arrived) = self.session.arrived() {
                self.judge(&arrived);
            }
        }
        while let Some(arrived) = self.session.next(Duration::from_millis(500)).await {
            self.judge(&arrived);
        }
    }

    async fn attempt(&mut self, dice: &mut Dice) {
        match dice.next_u32() % 32 {
            0..=11 => self.frame(dice).await,
            12..=21 => self.header(dice).await,
            22 => self.replay(dice).await,
            23..=27 => self.wrong_layer(dice).await,
            _ => self.forged_tag(dice).await,
        }
    }

    async fn frame(&mut self, dice: &mut Dice) {
        let Some(to) = self.attack.view.any(dice, |_| true).cloned() else { return };
        self.attack.tally.tried(Kind::MixFrame);
        let mut frame = match dice.next_u32() & 3 {
            0 => rubbish(dice, NODE_FRAME_LEN + 64),
            1 => vec![1; NODE_FRAME_LEN - 1],
            _ => vec![0; NODE_FRAME_LEN],
        };
        if frame.len() == NODE_FRAME_LEN {
            dice.fill_bytes(&mut frame);
            frame[0] = 1;
        }
        self.place.send(&to, PACKET_ALPN, frame).await;
    }

    /// A packet that is good at the third layer, with one bit changed.
    async fn header(&mut self, dice: &mut Dice) {
        let Some((to, packet, id)) = self.third_layer(dice) else { return };
        self.attack.tally.tried(Kind::MixHeader);
        self.note(id, Kind::MixHeader, 0);
        let mut bytes = flipped(dice, packet.as_bytes(), 0, HEADER_LEN);
        // The one bit that X25519 ignores (RFC 7748, 5).
        if bytes[31] ^ packet.as_bytes()[31] == 0x80 {
            bytes[32] ^= 1;
        }
        let packet = Packet::from_bytes(&bytes).expect("of a packet's length");
        self.place.send(&to, PACKET_ALPN, NodeFrame::to_node(packet).to_bytes()).await;
    }

    async fn replay(&mut self, dice: &mut Dice) {
        let Some((to, packet, id)) = self.third_layer(dice) else { return };
        self.note(id, Kind::MixReplay, 1);
        let frame = NodeFrame::to_node(packet).to_bytes();
        for again in 0..12 {
            if again > 0 {
                if !self.attack.beat.next().await {
                    return;
                }
                self.attack.tally.tried(Kind::MixReplay);
            }
            self.place.send(&to, PACKET_ALPN, frame.clone()).await;
        }
        // An honest loop announces a tag for the one that was spent.
        let (first, packet, _) = self.session.loop_packet(dice, &self.attack.view);
        self.session.send_packet(dice, first, packet).await;
    }

    /// A packet that its first mix could open, from somebody who is not before it.
    async fn wrong_layer(&mut self, dice: &mut Dice) {
        self.attack.tally.tried(Kind::MixWrongLayer);
        let (first, packet, id) = self.session.loop_packet(dice, &self.attack.view);
        self.note(id, Kind::MixWrongLayer, 0);
        let Some(to) = named(&self.attack.view, &first.node_tag()).cloned() else { return };
        self.place.send(&to, PACKET_ALPN, NodeFrame::to_node(packet).to_bytes()).await;
    }

    /// A packet with three layers off and a tag that the gateway knows, not from the last layer.
    async fn forged_tag(&mut self, dice: &mut Dice) {
        let own = self.own_hop();
        let last = self.session.own_hop(dice);
        let reply_tag = last.address.reply_tag().unwrap_or(ReplyTag::NONE);
        let Some((packet, id)) = self.peeled(dice, [own, own, own, last], 3) else { return };
        self.attack.tally.tried(Kind::MixForgedTag);
        self.note(id, Kind::MixForgedTag, 0);
        let frame = NodeFrame { tag: reply_tag, packet }.to_bytes();
        self.place.send(&self.gateway, PACKET_ALPN, frame).await;
    }

    fn third_layer(&mut self, dice: &mut Dice) -> Option<(Descriptor, Packet, SurbId)> {
        let to = self.attack.view.any(dice, |d| d.is_mix_of(3))?.clone();
        let own = self.own_hop();
        let last = self.session.own_hop(dice);
        let route = [own, own, hop(&to), last];
        let (packet, id) = self.peeled(dice, route, 2)?;
        Some((to, packet, id))
    }

    /// A loop over our own place, with our layers off.
    fn peeled(&mut self, dice: &mut Dice, route: Route, layers: u32) -> Option<(Packet, SurbId)> {
        let delays = self.attack.view.delays(dice);
        let (_, mut packet, key) = loop_packet(dice, &route, &delays).ok()?;
        let secret = self.place.taken.hop(&self.attack.view.document, clock::now());
        for _ in 0..layers {
            let Unwrapped::Forward { packet: next, .. } = unwrap(secret, &packet).ok()?.unwrapped
            else {
                return None;
            };
            packet = next;
        }
        Some((packet, self.session.expect_reply(key, None, None)))
    }

    fn own_hop(&self) -> Hop {
        let key = self.place.taken.hop(&self.attack.view.document, clock::now()).public();
        Hop { address: HopAddress::node(tag(&self.place.taken.node.id)), key }
    }

    fn note(&mut self, id: SurbId, kind: Kind, allowed: u32) {
        if self.loops.len() > 4_096 {
            self.loops.drain(..2_048);
        }
        self.loops.push(Sent { id, kind, allowed });
    }

    fn judge(&self, arrived: &Arrived) {
        let Arrived::Reply { id, times, .. } = arrived else { return };
        if let Some(sent) = self.loops.iter().rev().find(|sent| sent.id == *id)
            && *times > sent.allowed
        {
            self.attack.tally.wrong(sent.kind, &format!("it came back, {times} times"));
        }
    }
}

/// Handles what others send through it: most goes on, some is dropped, changed or sent twice.
pub(crate) async fn tamper(
    attack: Arc<Attack>,
    place: Arc<Place>,
    mut frames: mpsc::Receiver<Frame>,
    mut dice: Dice,
) {
    while let Some(frame) = frames.recv().await {
        let Ok(NodeFrame { packet, .. }) = NodeFrame::from_bytes(&frame.bytes) else { continue };
        let opened = place.taken.hops.iter().find_map(|secret| unwrap(secret, &packet).ok());
        let Some(Unwrapped::Forward { next, delay, packet }) = opened.map(|o| o.unwrapped) else {
            continue;
        };
        let harm = random::index(&mut dice, 10);
        if harm < 4 {
            attack.tally.tried(Kind::MixTampers);
        }
        let mut copies = vec![packet];
        match harm {
            0 => copies.clear(),
            1 => copies = vec![changed(&mut dice, &copies[0])],
            2 => copies.push(copies[0].clone()),
            3 => copies.insert(0, changed(&mut dice, &copies[0])),
            _ => {}
        }
        let Some(to) = named(&attack.view, &next.node_tag()).cloned() else { continue };
        let place = Arc::clone(&place);
        tokio::spawn(async move {
            tokio::time::sleep(delay.min(LONGEST_DELAY)).await;
            for packet in copies {
                place.send(&to, PACKET_ALPN, NodeFrame::to_node(packet).to_bytes()).await;
            }
        });
    }
}

/// A payload changed: a tag by which a colluding hop might know the packet again.
fn changed(dice: &mut Dice, packet: &Packet) -> Packet {
    let bytes = flipped(dice, packet.as_bytes(), HEADER_LEN, PACKET_LEN);
    Packet::from_bytes(&bytes).expect("of a packet's length")
}

/// What comes between two attempts to break a link: each costs the mix the link that it had.
const LINK_STANDS: Duration = Duration::from_secs(3);

/// Sends the next layer what is no cell.
pub(crate) async fn break_links(attack: Arc<Attack>, place: Arc<Place>, mut dice: Dice) {
    while attack.beat.next().await {
        let next_layer = |node: &Descriptor| node.is_mix_of(3);
        let to = attack.view.any(&mut dice, next_layer).expect("one is honest").clone();
        let mut cell = vec![0xff; CELL_LEN];
        if dice.next_u32() & 1 == 0 {
            cell.truncate(dice.next_u32() as usize % CELL_LEN);
        }
        attack.tally.tried(Kind::NodeCell);
        if !place.break_a_link(&to, PACKET_ALPN, cell).await {
            attack.tally.wrong(Kind::NodeCell, "the link was kept");
        }
        tokio::time::sleep(LINK_STANDS).await;
    }
}

/// Dials nodes under keys that no document lists.
pub(crate) async fn pose_as_a_node(attack: Arc<Attack>, mut dice: Dice) {
    while attack.beat.next().await {
        attack.tally.tried(Kind::StrangerAsNode);
        let to = attack.view.any(&mut dice, |_| true).expect("there are honest nodes").clone();
        let Ok(endpoint) = stranger(&mut dice).await else { continue };
        let peer = PeerId::from_bytes(*to.id.as_bytes());
        let alpn = if to.is_store() && dice.next_u32() & 1 == 0 {
            xchat_sphinx::frame::REPLICA_ALPN
        } else {
            PACKET_ALPN
        };
        let patience = Duration::from_secs(20);
        let Ok(link) = endpoint.connect(peer, &to.addresses, alpn, patience).await else {
            continue;
        };
        let (mut sender, mut receiver) = link.split();
        let mut frame = vec![1; NODE_FRAME_LEN];
        dice.fill_bytes(&mut frame[1..]);
        // The link may be closed already; then this fails, as it should.
        let _ = sender.send(frame.into()).await;
        match tokio::time::timeout(patience, receiver.recv()).await {
            Ok(Ok(Some(_))) => attack.tally.wrong(Kind::StrangerAsNode, "it was answered"),
            Err(_) => attack.tally.wrong(Kind::StrangerAsNode, "the link was kept"),
            Ok(Ok(None) | Err(_)) => {}
        }
    }
}
