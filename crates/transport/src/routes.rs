//! Packets for the mixes: routes, delays and reply tags.

use core::net::IpAddr;
use core::time::Duration;

use xchat_base::{Rng, Timestamp, Wire, random};
use xchat_directory::descriptor::LAYERS;
use xchat_directory::{Descriptor, NodeId, OperatorId, VerifiedDocument, random_route};
use xchat_pigeonhole::{Op, Request};
use xchat_sphinx::{
    CollectorSession, Delays, DeliveryBlock, Hop, HopAddress, HopKey, HopSecret, NodeTag, Packet,
    PacketFormat, ReplyKey, ReplyTag, Route, SurbId, TAG_POOL,
};

/// One session with a gateway: its keys and names are used in no other.
pub(crate) struct Session {
    secret: HopSecret,
    gateway: NodeTag,
    operator: OperatorId,
    from: Option<IpAddr>,
    /// Announced and not spent: [`TAG_POOL`] of them.
    tags: Vec<ReplyTag>,
}

/// A packet ready to leave.
pub(crate) struct Built {
    pub(crate) announce: ReplyTag,
    pub(crate) first_hop: NodeTag,
    pub(crate) packet: Packet,
    pub(crate) key: ReplyKey,
    /// The mixes on its way out and back.
    pub(crate) way: Vec<NodeId>,
}

/// What a packet is built with.
pub(crate) struct Routes<'a> {
    pub(crate) document: &'a VerifiedDocument,
    pub(crate) format: &'static dyn PacketFormat,
    pub(crate) session: &'a mut Session,
    /// Whose mixes are to be avoided, where there are others.
    pub(crate) avoided: Vec<OperatorId>,
    pub(crate) now: Timestamp,
}

impl Session {
    /// A new session with its first tags, to be announced in the hello.
    pub(crate) fn new(gateway: &Descriptor, from: Option<IpAddr>, rng: &mut Rng) -> Self {
        Self {
            secret: HopSecret::random(rng),
            gateway: tag(gateway),
            operator: gateway.operator,
            from,
            tags: (0..TAG_POOL).map(|_| ReplyTag::random(rng)).collect(),
        }
    }

    pub(crate) fn secret(&self) -> &HopSecret {
        &self.secret
    }

    /// The address from which its link goes.
    pub(crate) fn from(&self) -> Option<IpAddr> {
        self.from
    }

    pub(crate) fn tags(&self) -> &[ReplyTag] {
        &self.tags
    }
}

impl<'a> Routes<'a> {
    /// A request to a store, with a reply block over three other mixes where there is a choice.
    pub(crate) fn request(&mut self, store: &NodeId, op: Op, rng: &mut Rng) -> Option<Built> {
        let document = self.document;
        let store = document.node(store)?;
        let ends = [store.operator, self.session.operator];
        let out = self.mixes(&ends, rng)?;
        let others = [ends.as_slice(), &out.map(|mix| mix.operator)].concat();
        let avoid = if has_choice(document) { others.as_slice() } else { &ends };
        let back = self.mixes(avoid, rng).or_else(|| random_route(rng, document, &ends))?;

        let route = self.route(&out, node_hop(store, self.now)?)?;
        let spent = random::index(rng, self.session.tags.len());
        let reply_route = self.route(&back, self.own_hop(spent)?)?;
        let (delays, reply_delays) = (self.delays(rng), self.delays(rng));
        let (block, key) = self.format.reply_block(rng, &reply_route, &reply_delays).ok()?;
        let request = Request { reply: block.as_bytes().to_vec(), op };
        let packet = self.format.build(rng, &route, &delays, &request.to_wire()).ok()?;
        let announce = self.spend(spent, rng);
        let way = out.iter().chain(&back).map(|mix| mix.id).collect();
        Some(Built { announce, first_hop: route[0].address.node_tag(), packet, key, way })
    }

    /// A packet to ourselves.
    pub(crate) fn looped(&mut self, rng: &mut Rng) -> Option<Built> {
        let mixes = self.mixes(&[self.session.operator], rng)?;
        let spent = random::index(rng, self.session.tags.len());
        let route = self.route(&mixes, self.own_hop(spent)?)?;
        let delays = self.delays(rng);
        let (first, packet, key) = self.format.loop_packet(rng, &route, &delays).ok()?;
        let announce = self.spend(spent, rng);
        let way = mixes.map(|mix| mix.id).to_vec();
        Some(Built { announce, first_hop: first.node_tag(), packet, key, way })
    }

    /// A delivery block from a store to a collector, and the mixes on its way.
    pub(crate) fn delivery(
        &self,
        from: &NodeId,
        collector: &NodeId,
        session: CollectorSession,
        id: SurbId,
        rng: &mut Rng,
    ) -> Option<(DeliveryBlock, [NodeId; 3])> {
        let (from, collector) = (self.document.node(from)?, self.document.node(collector)?);
        let mixes = self.mixes(&[from.operator, collector.operator], rng)?;
        let route = self.route(&mixes, node_hop(collector, self.now)?)?;
        let delays = self.delays(rng);
        let block = self.format.delivery_block(rng, &route, &delays, session, id).ok()?;
        Some((block, mixes.map(|mix| mix.id)))
    }

    /// A mix of each layer, of operators other than those at the ends; those that are to be avoided only where there is
    /// no other route.
    fn mixes(&self, ends: &[OperatorId], rng: &mut Rng) -> Option<[&'a Descriptor; 3]> {
        let document = self.document;
        let good = [ends, &self.avoided].concat();
        random_route(rng, document, &good).or_else(|| random_route(rng, document, ends))
    }

    fn route(&self, mixes: &[&Descriptor; 3], last: Hop) -> Option<Route> {
        let [a, b, c] = mixes.map(|mix| node_hop(mix, self.now));
        Some([a?, b?, c?, last])
    }

    /// Exponential, drawn by the sender: what a mix does to one packet says nothing about the next.
    fn delays(&self, rng: &mut Rng) -> Delays {
        let mean = self.document.parameters.mix_delay;
        let mut draw = || random::exponential(rng, mean);
        [draw(), draw(), draw(), Duration::ZERO]
    }

    fn own_hop(&self, spent: usize) -> Option<Hop> {
        let tag = *self.session.tags.get(spent)?;
        let address = HopAddress::client(self.session.gateway, tag);
        Some(Hop { address, key: self.session.secret.public() })
    }

    /// The tag is used; a fresh one takes its place in the pool and is announced with the packet.
    fn spend(&mut self, spent: usize, rng: &mut Rng) -> ReplyTag {
        let fresh = ReplyTag::random(rng);
        if let Some(place) = self.session.tags.get_mut(spent) {
            *place = fresh;
        }
        fresh
    }
}

/// Whether the way back can keep off the mixes of the way out. With two mixes in a layer it must not: when one of
/// them is down, every packet would meet it on one way or the other.
fn has_choice(document: &VerifiedDocument) -> bool {
    (1..=LAYERS).all(|layer| document.mixes(layer).count() > 2)
}

fn node_hop(node: &Descriptor, now: Timestamp) -> Option<Hop> {
    let key = HopKey::from_bytes(node.hop_key(now)?);
    Some(Hop { address: HopAddress::node(tag(node)), key })
}

fn tag(node: &Descriptor) -> NodeTag {
    NodeTag::from_bytes(node.tag())
}
