//! Tickets: a writer names a registration that its reader made for something else, and the store of the box has the store of
//! the registration deliver to it (spec 03, 3.8).

use xchat_base::{Rng, Timestamp, Wire};
use xchat_pigeonhole::delivery::DELIVERY_LEN;
use xchat_pigeonhole::register::BoxTable;
use xchat_pigeonhole::{Answer, SealedBox, SignedAnswer, Tell, Told};
use xchat_sphinx::{DeliveryBlock, HopAddress, Packet, PacketFormat};

use super::{Effect, Store};

impl<T: BoxTable> Store<T> {
    /// A box stands that somebody wants told about. Told twice, because its writer did not hear that it stands, is
    /// delivered once.
    pub(super) fn tell(
        &mut self,
        boxed: SealedBox,
        tell: &Tell,
        now: Timestamp,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        let Some(to) = self.document.replicas(tell.id.as_bytes()).first().copied() else { return };
        let id = boxed.id();
        let signed = SignedAnswer::sign(&self.answer_key, id, Answer::Found(boxed), now);
        let Ok(sealed) = tell.key.seal(rng, &tell.bound_to(), &signed) else { return };
        let told = Told { id: tell.id, sealed };
        self.counters.tells += 1;
        if to == self.id {
            self.told(&told, now, effects);
        } else {
            effects.push(Effect::ToReplica { to, bytes: told.to_wire() });
        }
    }

    /// Another store has a delivery for whoever has registered for this. Each registration is told once by others, and stands for what
    /// this store learns itself: what others say of its boxes does not use them up.
    pub(super) fn told(&mut self, told: &Told, now: Timestamp, effects: &mut Vec<Effect>) {
        if told.sealed.len() != DELIVERY_LEN {
            self.counters.unreadable += 1;
            return;
        }
        let format = self.hop.format;
        for block in self.registrations.tell(&told.id, now) {
            let Some(built) = told_packet(format, &block, &told.sealed) else {
                self.counters.bad_reply_block += 1;
                continue;
            };
            if self.send(built, effects) {
                self.counters.deliveries_sent += 1;
            }
        }
    }
}

fn told_packet(
    format: &dyn PacketFormat,
    block: &[u8],
    sealed: &[u8],
) -> Option<(HopAddress, Packet)> {
    format.deliver(DeliveryBlock::from_bytes(block).ok()?, sealed).ok()
}
