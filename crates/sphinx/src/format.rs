//! Packets as a boundary: what makes and opens them, as one value.

use xchat_base::Rng;

use crate::address::{CollectorSession, HopAddress, SurbId};
use crate::key::HopSecret;
use crate::packet::{BuildError, Delays, Packet, Route};
use crate::surb::{DeliveryBlock, ReplyBlock, ReplyKey};
use crate::unwrap::{Processed, SealedReply, UnwrapError};

/// What makes packets and opens them.
///
/// [`Sphinx`] is the only one in any program that ships, and what every core begins with. The cores name
/// it as a value because a simulation of a thousand people spends all its time in X25519: it hands
/// them another one, of its own, with which the same seed gives the same schedule. For that an implementation
/// draws from `rng` exactly what [`Sphinx`] draws. See `docs/adr/0008-packets-as-a-value.md`.
pub trait PacketFormat: Sync {
    /// See [`crate::build`].
    ///
    /// # Errors
    /// As there.
    fn build(
        &self,
        rng: &mut Rng,
        route: &Route,
        delays: &Delays,
        message: &[u8],
    ) -> Result<Packet, BuildError>;

    /// See [`crate::reply_block`].
    ///
    /// # Errors
    /// As there.
    fn reply_block(
        &self,
        rng: &mut Rng,
        route: &Route,
        delays: &Delays,
    ) -> Result<(ReplyBlock, ReplyKey), BuildError>;

    /// See [`crate::delivery_block`].
    ///
    /// # Errors
    /// As there.
    fn delivery_block(
        &self,
        rng: &mut Rng,
        route: &Route,
        delays: &Delays,
        session: CollectorSession,
        id: SurbId,
    ) -> Result<DeliveryBlock, BuildError>;

    /// See [`ReplyBlock::use_for`].
    ///
    /// # Errors
    /// As there.
    fn reply(&self, block: ReplyBlock, message: &[u8]) -> Result<(HopAddress, Packet), BuildError>;

    /// See [`DeliveryBlock::use_for`].
    ///
    /// # Errors
    /// As there.
    fn deliver(
        &self,
        block: DeliveryBlock,
        message: &[u8],
    ) -> Result<(HopAddress, Packet), BuildError>;

    /// See [`crate::unwrap()`].
    ///
    /// # Errors
    /// As there.
    fn unwrap(&self, secret: &HopSecret, packet: &Packet) -> Result<Processed, UnwrapError>;

    /// See [`ReplyKey::recover`].
    ///
    /// # Errors
    /// As there.
    fn recover(&self, key: &ReplyKey, sealed: SealedReply) -> Result<Vec<u8>, UnwrapError>;

    /// See [`crate::loop_packet`].
    ///
    /// # Errors
    /// As there.
    fn loop_packet(
        &self,
        rng: &mut Rng,
        route: &Route,
        delays: &Delays,
    ) -> Result<(HopAddress, Packet, ReplyKey), BuildError> {
        let (block, key) = self.reply_block(rng, route, delays)?;
        let (first, packet) = self.reply(block, &[])?;
        Ok((first, packet, key))
    }
}

/// The packets of every network: this crate's functions, as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sphinx;

impl PacketFormat for Sphinx {
    fn build(
        &self,
        rng: &mut Rng,
        route: &Route,
        delays: &Delays,
        message: &[u8],
    ) -> Result<Packet, BuildError> {
        crate::build(rng, route, delays, message)
    }

    fn reply_block(
        &self,
        rng: &mut Rng,
        route: &Route,
        delays: &Delays,
    ) -> Result<(ReplyBlock, ReplyKey), BuildError> {
        crate::reply_block(rng, route, delays)
    }

    fn delivery_block(
        &self,
        rng: &mut Rng,
        route: &Route,
        delays: &Delays,
        session: CollectorSession,
        id: SurbId,
    ) -> Result<DeliveryBlock, BuildError> {
        crate::delivery_block(rng, route, delays, session, id)
    }

    fn reply(&self, block: ReplyBlock, message: &[u8]) -> Result<(HopAddress, Packet), BuildError> {
        block.use_for(message)
    }

    fn deliver(
        &self,
        block: DeliveryBlock,
        message: &[u8],
    ) -> Result<(HopAddress, Packet), BuildError> {
        block.use_for(message)
    }

    fn unwrap(&self, secret: &HopSecret, packet: &Packet) -> Result<Processed, UnwrapError> {
        crate::unwrap(secret, packet)
    }

    fn recover(&self, key: &ReplyKey, sealed: SealedReply) -> Result<Vec<u8>, UnwrapError> {
        key.recover(sealed)
    }
}
