//! Single-use reply blocks: routes that somebody else may send one packet along.

use core::fmt;

use sphinx_packet::header::delays::Delay;
use sphinx_packet::payload::Payload;
use sphinx_packet::route::{Destination, Node};
use sphinx_packet::{SURB, SURBMaterial, SurbReplyRecovery};
use xchat_base::{Rng, random};
use zeroize::Zeroizing;

use crate::address::{CollectorSession, HopAddress, SurbId};
use crate::geometry::{
    DELIVERY_BLOCK_LEN, HEADER_LEN, PAYLOAD_LEN, REPLY_BLOCK_LEN, REPLY_KEY_LEN,
};
use crate::packet::{
    BuildError, Delays, Packet, REPLY, Route, VERSION, check_message, check_session, destination,
    initial_secret, sphinx_delays, sphinx_route,
};
use crate::unwrap::{SealedReply, UnwrapError};

/// A route back to its creator. Whoever holds it can send one packet and learns only the first mix.
///
/// It hands out the last hop's payload key seed alone: the payload changes at every mix in a way that
/// its user cannot predict, so user and last mix together cannot recognise it. Only the creator,
/// with the [`ReplyKey`], reads what was sent.
pub struct ReplyBlock(Box<[u8; REPLY_BLOCK_LEN]>);

/// A route to a collector, used by a store for one delivery. It hands out every hop's payload key
/// seed, so the collector, which holds no [`ReplyKey`], reads what was sent; its user therefore seals
/// the message first. Why: `docs/adr/0002-delivery-blocks.md`.
pub struct DeliveryBlock(Box<[u8; DELIVERY_BLOCK_LEN]>);

/// What the creator of a [`ReplyBlock`] keeps to read the reply; wiped on drop.
pub struct ReplyKey(SurbReplyRecovery);

/// Makes a reply block along `route`, whose last hop is the caller: its address is
/// [`HopAddress::client`] with a fresh reply tag, its key the session's.
///
/// # Errors
/// [`BuildError::Sphinx`], a bug.
pub fn reply_block(
    rng: &mut Rng,
    route: &Route,
    delays: &Delays,
) -> Result<(ReplyBlock, ReplyKey), BuildError> {
    let id = fresh_id(rng);
    let (surb, recovery) = recoverable(rng, route, delays, destination(REPLY, *id.as_bytes()))?;
    let block = fixed(&Zeroizing::new(surb.to_bytes()))?;
    Ok((ReplyBlock(block), ReplyKey(recovery)))
}

/// Makes a delivery block along `route`, whose last hop is the collector. It will see the message
/// under `session` and `id`.
///
/// # Errors
/// [`BuildError::Reserved`] when `session` or `id` is one that means something else.
pub fn delivery_block(
    rng: &mut Rng,
    route: &Route,
    delays: &Delays,
    session: CollectorSession,
    id: SurbId,
) -> Result<DeliveryBlock, BuildError> {
    check_session(session, id)?;
    let to = destination(*session.as_bytes(), *id.as_bytes());
    let (surb, recovery) = recoverable(rng, route, delays, to)?;
    // A reply block with all seeds in place of the last: what the library's older version makes, but
    // under the version that all other packets carry.
    let (surb, keys) = (Zeroizing::new(surb.to_bytes()), Zeroizing::new(recovery.to_bytes()));
    let (head, seeds) = (surb.get(..HEADER_LEN + 32), keys.get(16..));
    let (head, seeds) = head.zip(seeds).ok_or(BuildError::Sphinx)?;
    Ok(DeliveryBlock(fixed(&Zeroizing::new([head, seeds].concat()))?))
}

/// A packet from the caller through three mixes to itself: cover, and a probe whether the mixes do
/// their work. It is a reply block used at once, so it comes back as a reply does.
///
/// # Errors
/// [`BuildError::Sphinx`], a bug.
pub fn loop_packet(
    rng: &mut Rng,
    route: &Route,
    delays: &Delays,
) -> Result<(HopAddress, Packet, ReplyKey), BuildError> {
    let (block, key) = reply_block(rng, route, delays)?;
    let (first, packet) = block.use_for(&[])?;
    Ok((first, packet, key))
}

impl ReplyBlock {
    /// Takes bytes for a reply block; any of the right length may be one.
    ///
    /// # Errors
    /// [`BuildError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BuildError> {
        fixed(bytes).map(Self)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; REPLY_BLOCK_LEN] {
        &self.0
    }

    /// Makes the packet and says where it goes first.
    ///
    /// # Errors
    /// [`BuildError::MessageTooLong`].
    pub fn use_for(self, message: &[u8]) -> Result<(HopAddress, Packet), BuildError> {
        use_surb(self.0.as_slice(), message)
    }
}

impl DeliveryBlock {
    /// Takes bytes for a delivery block; any of the right length may be one.
    ///
    /// # Errors
    /// [`BuildError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BuildError> {
        fixed(bytes).map(Self)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; DELIVERY_BLOCK_LEN] {
        &self.0
    }

    /// Makes the packet and says where it goes first.
    ///
    /// # Errors
    /// [`BuildError::MessageTooLong`].
    pub fn use_for(self, message: &[u8]) -> Result<(HopAddress, Packet), BuildError> {
        use_surb(self.0.as_slice(), message)
    }
}

impl ReplyKey {
    /// The identifier that [`crate::Unwrapped::Reply`] will show.
    pub fn id(&self) -> SurbId {
        SurbId::from_bytes(*self.0.identifier())
    }

    /// From its bytes: identifier ‖ seeds in the order of the route.
    ///
    /// # Errors
    /// [`BuildError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BuildError> {
        let length = BuildError::Length { got: bytes.len(), want: REPLY_KEY_LEN };
        if bytes.len() != REPLY_KEY_LEN {
            return Err(length);
        }
        SurbReplyRecovery::from_bytes(bytes).map(Self).map_err(|_| length)
    }

    #[cfg(test)]
    pub(crate) fn recovery_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Reads a reply.
    ///
    /// # Errors
    /// [`UnwrapError::Payload`]: changed on its way, or sent along another block.
    pub fn recover(&self, sealed: SealedReply) -> Result<Vec<u8>, UnwrapError> {
        let payload = Payload::from_bytes(sealed.as_bytes()).map_err(|_| UnwrapError::Payload)?;
        self.0.recover_plaintext(payload).map_err(|_| UnwrapError::Payload)
    }
}

fn recoverable(
    rng: &mut Rng,
    route: &Route,
    delays: &Delays,
    to: Destination,
) -> Result<(SURB, SurbReplyRecovery), BuildError> {
    let (nodes, waits): (Vec<Node>, Vec<Delay>) = (sphinx_route(route), sphinx_delays(delays));
    let material = SURBMaterial::new(nodes, waits, to, VERSION);
    SURB::new_recoverable(initial_secret(rng), material).map_err(|_| BuildError::Sphinx)
}

fn use_surb(block: &[u8], message: &[u8]) -> Result<(HopAddress, Packet), BuildError> {
    check_message(message)?;
    let surb = SURB::from_bytes(block).map_err(|_| BuildError::Sphinx)?;
    let (packet, first) = surb.use_surb(message, PAYLOAD_LEN).map_err(|_| BuildError::Sphinx)?;
    Ok((HopAddress::from_sphinx(first), Packet::from_sphinx(&packet)?))
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<Box<[u8; N]>, BuildError> {
    let array: &[u8; N] =
        bytes.try_into().map_err(|_| BuildError::Length { got: bytes.len(), want: N })?;
    Ok(Box::new(*array))
}

fn fresh_id(rng: &mut Rng) -> SurbId {
    loop {
        let bytes: [u8; 16] = random::bytes(rng);
        if bytes != [0; 16] {
            return SurbId::from_bytes(bytes);
        }
    }
}

impl Drop for ReplyBlock {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.0.as_mut_slice());
    }
}

impl Drop for DeliveryBlock {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.0.as_mut_slice());
    }
}

impl fmt::Debug for ReplyBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyBlock")
    }
}

impl fmt::Debug for DeliveryBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeliveryBlock")
    }
}

impl fmt::Debug for ReplyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyKey")
    }
}
