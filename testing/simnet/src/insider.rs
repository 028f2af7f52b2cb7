//! What a hostile node sees inside: it opens what comes with its own key a second time, beside its core, and knows
//! again what it sends on. It does nothing else: these nodes are curious, and follow the protocol.

use std::collections::BTreeMap;
use std::time::Duration;

use xchat_base::{Timestamp, Wire};
use xchat_pigeonhole::register::Glance;
use xchat_pigeonhole::{BoxId, Op, Request, Told};
use xchat_sphinx::frame::NODE_FRAME_LEN;
use xchat_sphinx::{
    CollectorSession, HopSecret, NodeFrame, PACKET_LEN, Packet, PacketFormat, Unwrapped,
};

use crate::network::again;
use crate::seen::{Asked, FrameId, Heard, Inside, Party};

/// A packet is known again by its first bytes: they are different for every packet, before and behind each hop,
/// and those of a block are those of the packet that is sent along it.
type Mark = [u8; 16];

/// Where the packet begins in a frame between nodes.
const PACKET_AT: usize = NODE_FRAME_LEN - PACKET_LEN;

/// A packet that is not sent on by then never is, and a request is not answered any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(500);

/// After so much has come, what is too old is forgotten.
const SWEEP_AFTER: usize = 1 << 14;

/// What the node knows about a packet that it is going to send.
enum Coming {
    Mixed { from: Party, came_micros: u64, came: FrameId },
    Answer { came: FrameId },
    Delivery { id: BoxId },
}

/// The memory of one hostile node.
pub(crate) struct Insider {
    format: &'static dyn PacketFormat,
    /// Of all its hop keys, also of those whose time is over; none for a gateway. The one that the last packet was for comes first.
    secrets: Vec<HopSecret>,
    coming: BTreeMap<Mark, (Timestamp, Coming)>,
    since_sweep: usize,
}

impl Insider {
    pub(crate) fn new(format: &'static dyn PacketFormat, secrets: Vec<HopSecret>) -> Self {
        Self { format, secrets, coming: BTreeMap::new(), since_sweep: 0 }
    }

    /// One more hop key.
    pub(crate) fn add(&mut self, secret: &HopSecret) {
        self.secrets.push(again(secret));
    }

    fn open(&mut self, packet: &Packet) -> Option<Unwrapped> {
        let open = |secret| self.format.unwrap(secret, packet).ok();
        let (at, opened) =
            self.secrets.iter().enumerate().find_map(|(at, secret)| Some((at, open(secret)?)))?;
        self.secrets.swap(0, at);
        Some(opened.unwrapped)
    }

    /// A frame came on a packet link.
    pub(crate) fn came(
        &mut self,
        from: Party,
        frame: FrameId,
        bytes: &[u8],
        now: Timestamp,
    ) -> Option<Inside> {
        let packet = NodeFrame::from_bytes(bytes).ok()?.packet;
        match self.open(&packet)? {
            Unwrapped::Forward { packet, .. } => {
                let (came_micros, until) = (now.as_micros(), now + FORGOTTEN_AFTER);
                let coming = Coming::Mixed { from, came_micros, came: frame };
                self.expect(packet.as_bytes(), until, now, coming);
                None
            }
            Unwrapped::Request { message } => self.request(frame, &message, now),
            Unwrapped::Delivery { session, .. } => Some(Inside::Item { session, came: frame }),
            Unwrapped::Reply { .. } => None,
        }
    }

    /// A frame came on a replica link from the node at this place.
    pub(crate) fn heard(from: u16, bytes: &[u8]) -> Option<Inside> {
        let what = if bytes.first() == Some(&Told::VERSION) {
            Heard::Told(Told::from_wire(bytes).ok()?.id)
        } else {
            match Glance::at(bytes).ok()? {
                Glance { id, proposes: true, .. } => Heard::Keep(id),
                Glance { id, asks: true, .. } => Heard::Query(id),
                Glance { .. } => return None,
            }
        };
        Some(Inside::Heard { from, what })
    }

    fn request(&mut self, came: FrameId, message: &[u8], now: Timestamp) -> Option<Inside> {
        let Request { reply, op } = Request::from_wire(message).ok()?;
        self.expect(&reply, now + FORGOTTEN_AFTER, now, Coming::Answer { came });
        let asked = match op {
            Op::Write { boxed, tell, .. } => Asked::Write { id: boxed.id(), told: tell.id },
            Op::Read { id, .. } => Asked::Read(id),
            Op::Register { id, delivery, lifetime_secs, .. } => {
                let until = now + Duration::from_secs(lifetime_secs.into());
                self.expect(&delivery, until, now, Coming::Delivery { id });
                Asked::Register { id, lifetime_secs }
            }
            // Whether there was an item, the collector knows when it has answered.
            Op::Collect { session } => {
                Asked::Collect { session: CollectorSession::from_bytes(session), item: false }
            }
            _ => return None,
        };
        Some(Inside::Request { asked, came })
    }

    /// A frame leaves on a packet link.
    pub(crate) fn left(&mut self, to: Party, frame: FrameId, bytes: &[u8]) -> Option<Inside> {
        let mark: Mark = bytes.get(PACKET_AT..PACKET_AT + 16)?.try_into().ok()?;
        let (_, coming) = self.coming.remove(&mark)?;
        Some(match coming {
            Coming::Mixed { from, came_micros, came } => {
                Inside::Mixed { from, to, came_micros, came, left: frame }
            }
            Coming::Answer { came } => Inside::Answer { came, left: frame },
            Coming::Delivery { id } => Inside::Delivery { id, left: frame },
        })
    }

    fn expect(&mut self, packet: &[u8], until: Timestamp, now: Timestamp, coming: Coming) {
        self.since_sweep += 1;
        if self.since_sweep >= SWEEP_AFTER {
            self.since_sweep = 0;
            self.coming.retain(|_, (until, _)| *until > now);
        }
        if let Some(Ok(mark)) = packet.get(..16).map(Mark::try_from) {
            self.coming.insert(mark, (until, coming));
        }
    }
}
