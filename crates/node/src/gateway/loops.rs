//! A gateway's own loops: packets through one mix of each layer back to itself, at its own times. They look to mixes
//! like its clients' loops, so whoever drops, delays or alters packets, or goes on keeping those of others from a mix
//! to find out where some go (n−1 attacks), does it to these too, and the gateway notices (after Loopix, section 4.2.2).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use xchat_base::{Rng, Timestamp, random};
use xchat_directory::descriptor::LAYERS;
use xchat_directory::mix_health::{Memory, MixHealth};
use xchat_directory::{Descriptor, NodeId, VerifiedDocument, random_route};
use xchat_sphinx::{
    Hop, HopAddress, HopKey, HopSecret, NodeTag, Packet, PacketFormat, ReplyKey, ReplyTag, Route,
    Sphinx, Unwrapped,
};

/// Mean time between two loops; the times are a Poisson process.
pub const LOOP_GAP: Duration = Duration::from_secs(1);

/// A loop that is not back so long after the sum of its delays is lost: what links and queues may take.
pub const LOOP_SLACK: Duration = Duration::from_secs(3);

/// Loops under way at most; with more, none leaves.
pub const MAX_LOOPS: usize = 256;

/// A gateway that wakes so much later than it wanted to was not there itself: what it missed says nothing.
const ASLEEP: Duration = Duration::from_secs(5);

/// Loops that are back and still known, so that one that comes twice is noticed.
const MAX_BACK: usize = 256;

/// Recent loops by which a share of losses is judged, and not before there are so many: while a network starts, nodes have
/// no links yet.
const RECENT: usize = 64;

/// From this share of lost loops on, the operator is told.
const ALARM: f64 = 0.25;

/// What the loops have shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoopReport {
    /// Mixes that are taken for silent, or for dropping packets.
    pub failing: Vec<NodeId>,
    /// Whether a quarter and more of the recent ones was lost, whoever is to blame.
    pub losing: bool,
}

/// What has happened to them since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LoopCounts {
    pub(super) sent: u64,
    pub(super) back: u64,
    pub(super) lost: u64,
}

/// What a packet that came is to the loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// A loop is back.
    Back,
    /// The same mix has sent it before: it alone knows the tag.
    Again,
    /// Somebody else's, or a loop that was given up.
    NoLoop,
}

struct UnderWay {
    key: ReplyKey,
    way: [NodeId; LAYERS as usize],
    due: Timestamp,
}

pub(super) struct Loops {
    pub(super) format: &'static dyn PacketFormat,
    pub(super) counts: LoopCounts,
    own: NodeId,
    /// Their last hop. No other packet is made for it, and it ends with the process.
    secret: Option<HopSecret>,
    under_way: BTreeMap<ReplyTag, UnderWay>,
    /// The last that came back, and which mix sent them; at most [`MAX_BACK`].
    back: VecDeque<(ReplyTag, NodeId)>,
    health: MixHealth,
    recent: VecDeque<bool>,
    next: Option<Timestamp>,
}

impl Loops {
    pub(super) fn new(own: NodeId) -> Self {
        Self {
            format: &Sphinx,
            counts: LoopCounts::default(),
            own,
            secret: None,
            under_way: BTreeMap::new(),
            back: VecDeque::new(),
            health: MixHealth::new(Memory::SHORT),
            recent: VecDeque::new(),
            next: None,
        }
    }

    /// From now on, if not before.
    pub(super) fn begin(&mut self, now: Timestamp, rng: &mut Rng) {
        self.next.get_or_insert_with(|| now + random::exponential(rng, LOOP_GAP));
    }

    /// When it wants to be asked next.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.under_way.values().map(|one| one.due).chain(self.next).min()
    }

    pub(super) fn report(&self, document: &VerifiedDocument) -> LoopReport {
        let lost = self.recent.iter().filter(|lost| **lost).count();
        let losing = self.recent.len() >= RECENT && lost as f64 >= ALARM * RECENT as f64;
        let mixes = (1..=LAYERS).flat_map(|layer| document.mixes(layer)).map(|mix| mix.id);
        let failing = mixes.filter(|mix| self.health.failing(mix, document).is_some()).collect();
        LoopReport { failing, losing }
    }

    pub(super) fn follow(&mut self, document: &VerifiedDocument) {
        self.health.follow_document(document);
    }

    /// Takes the late ones for lost, and makes the next one when its time has come: its first hop, and the packet.
    pub(super) fn turn(
        &mut self,
        document: &VerifiedDocument,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Option<(NodeId, Packet)> {
        let next = self.next().filter(|next| *next <= now)?;
        let slept = now.since(next) > ASLEEP;
        let late: Vec<_> =
            self.under_way.iter().filter(|(_, one)| one.due <= now).map(|(tag, _)| *tag).collect();
        for tag in late {
            if let Some(one) = self.under_way.remove(&tag).filter(|_| !slept) {
                self.judge(&one, true, document);
            }
        }
        if slept || document.is_expired(now) {
            self.recent.clear();
        }
        let due = self.next.is_some_and(|next| next <= now);
        if due {
            self.next = Some(now + random::exponential(rng, LOOP_GAP));
        }
        let may = due && !document.is_expired(now) && self.under_way.len() < MAX_LOOPS;
        if may { self.make(document, now, rng) } else { None }
    }

    /// A packet with this tag came back from this mix of the last layer; whether it is a loop's.
    pub(super) fn came(
        &mut self,
        from: &NodeId,
        tag: &ReplyTag,
        packet: &Packet,
        document: &VerifiedDocument,
    ) -> Came {
        let Some(one) = self.under_way.remove(tag) else {
            let again = self.back.contains(&(*tag, *from));
            return if again { Came::Again } else { Came::NoLoop };
        };
        if self.back.len() >= MAX_BACK {
            self.back.pop_front();
        }
        self.back.push_back((*tag, *from));
        let opened = self.secret.as_ref().and_then(|own| self.format.unwrap(own, packet).ok());
        let whole = match opened.map(|processed| processed.unwrapped) {
            Some(Unwrapped::Reply { id, payload }) => {
                id == one.key.id() && self.format.recover(&one.key, payload).is_ok()
            }
            _ => false,
        };
        // One that was altered is as good as lost, and the alteration marks it for whoever looks: a tagging attack.
        self.judge(&one, !whole, document);
        Came::Back
    }

    fn judge(&mut self, one: &UnderWay, lost: bool, document: &VerifiedDocument) {
        // Loops go on through mixes that are known to fail; what is lost there says nothing about the others. With two of
        // them on the way it says nothing about either: one that is well again would be blamed for the other for ever.
        let fails = |mix: &&NodeId| self.health.failing(mix, document).is_some();
        let failing: Vec<_> = one.way.iter().filter(fails).copied().collect();
        if lost {
            self.counts.lost += 1;
            self.health.lost(match failing.len() {
                0 => &one.way,
                1 => &failing,
                _ => &[],
            });
        } else {
            self.counts.back += 1;
            match failing.len() {
                0 | 1 => self.health.answered(&one.way),
                _ => self.health.answered_in_doubt(&one.way),
            }
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(lost);
    }

    fn make(
        &mut self,
        document: &VerifiedDocument,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Option<(NodeId, Packet)> {
        let operator = document.node(&self.own)?.operator;
        let mixes = random_route(rng, document, &[operator])?;
        let [a, b, c] = mixes.map(|mix| hop(mix, now));
        let secret = self.secret.get_or_insert_with(|| HopSecret::random(rng));
        let tag = ReplyTag::random(rng);
        let address = HopAddress::client(NodeTag::from_bytes(self.own.tag()), tag);
        let route: Route = [a?, b?, c?, Hop { address, key: secret.public() }];
        let mean = document.parameters.mix_delay;
        let mut draw = || random::exponential(rng, mean);
        let delays = [draw(), draw(), draw(), Duration::ZERO];
        let (_, packet, key) = self.format.loop_packet(rng, &route, &delays).ok()?;
        let due = now + delays.iter().sum() + LOOP_SLACK;
        let way = mixes.map(|mix| mix.id);
        self.under_way.insert(tag, UnderWay { key, way, due });
        self.counts.sent += 1;
        Some((way[0], packet))
    }
}

fn hop(node: &Descriptor, now: Timestamp) -> Option<Hop> {
    let key = HopKey::from_bytes(node.hop_key(now)?);
    Some(Hop { address: HopAddress::node(NodeTag::from_bytes(node.tag())), key })
}
