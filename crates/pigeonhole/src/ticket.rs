//! Tickets: how a reader hears of a box that it has not registered for. It has registered for something else, at a time of
//! its own, and told the writer what; the writer has the store of the box say so there.

use core::fmt;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xchat_base::id::{bytes_as_tuple, tuple_as_bytes};
use xchat_base::{Rng, Secret, Timestamp, Wire, kdf};

use crate::boxes::BoxId;
use crate::delivery::{DELIVERY_LEN, DeliveryKey};

/// Bytes of a ticket: it is good for one item, and for hours.
pub const TICKET_LEN: usize = 16;

/// A ticket, as its reader hands it to a writer. Whoever has it can have one item sent to the reader's collector.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket(Secret<TICKET_LEN>);

impl Ticket {
    /// A fresh one.
    pub fn random(rng: &mut Rng) -> Self {
        Self(Secret::random(rng))
    }

    /// From raw bytes.
    pub fn from_bytes(bytes: [u8; TICKET_LEN]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The raw bytes; secret.
    pub fn expose(&self) -> &[u8; TICKET_LEN] {
        self.0.expose()
    }

    /// What its reader registers for, and its writer hands to a store together with a box.
    pub fn tell(&self) -> Tell {
        let seed = kdf::derive(self.expose(), "ticket id", b"");
        // A key as those of boxes are: half of all other bytes are none, and a store could tell.
        let id = SigningKey::from_bytes(seed.expose()).verifying_key().to_bytes();
        let key = kdf::derive(self.expose(), "ticket sealing", b"");
        Tell { id: BoxId::from_bytes(id), key: DeliveryKey::from_bytes(*key.expose()) }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

impl Serialize for Ticket {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        bytes_as_tuple(self.expose(), s)
    }
}

impl<'de> Deserialize<'de> for Ticket {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        tuple_as_bytes(d).map(Self::from_bytes)
    }
}

/// A ticket, and until when it is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dated {
    /// The ticket.
    pub ticket: Ticket,
    /// When the store at which its reader has registered forgets that.
    pub until: Timestamp,
}

/// Tickets as their reader hands them out together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// Those before are used or void.
    pub only: bool,
    /// The tickets.
    pub tickets: Vec<Dated>,
}

/// What a store does with a box when it stands: it seals its answer with the key and has it delivered to whoever has
/// registered for the id, at the first of the id's replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tell {
    /// What the reader has registered for; no box is ever written there.
    pub id: BoxId,
    /// Seals the delivery: the store at which the reader has registered learns nothing of it.
    pub key: DeliveryKey,
}

impl Tell {
    /// For whoever has nobody to tell: stores do not see it.
    pub fn nobody(rng: &mut Rng) -> Self {
        Ticket::random(rng).tell()
    }

    /// What the delivery is bound to, in place of the identifier of a registration, which only the other store knows.
    pub fn bound_to(&self) -> [u8; 16] {
        let mut id = [0; 16];
        id.copy_from_slice(&self.id.as_bytes()[..16]);
        id
    }
}

/// From the store of a box to the store at which its reader has registered: deliver this there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What the reader has registered for.
    pub id: BoxId,
    /// The sealed delivery, [`DELIVERY_LEN`] bytes.
    pub sealed: Vec<u8>,
}

impl Wire for Told {
    const FORMAT: &'static str = "told delivery";
    const VERSION: u8 = 3;
    /// With the length in two bytes.
    const MAX_LEN: usize = 32 + 2 + DELIVERY_LEN + 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{AnswerKey, SignedAnswer};
    use crate::request::Answer;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn what_is_told_is_opened_by_who_has_the_ticket() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let ticket = Ticket::random(&mut rng);
        let tell = ticket.tell();
        assert_eq!(tell, Ticket::from_bytes(*ticket.expose()).tell(), "the same each time");
        assert_ne!(tell.id, Ticket::random(&mut rng).tell().id);
        let store = AnswerKey::from_seed(&Secret::new([1; 32]));
        let signed = SignedAnswer::sign(&store, tell.id, Answer::Expired, Timestamp::MAX);
        let sealed = tell.key.seal(&mut rng, &tell.bound_to(), &signed).expect("it fits");
        let told = Told { id: tell.id, sealed };
        let read = Told::from_wire(&told.to_wire()).expect("reads");
        assert_eq!(read, told);
        assert_eq!(tell.key.open(&tell.bound_to(), &read.sealed), Ok(signed));
    }

    #[test]
    fn it_looks_like_a_box_to_a_store() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for _ in 0..32 {
            let id = Ticket::random(&mut rng).tell().id;
            assert!(ed25519_dalek::VerifyingKey::from_bytes(id.as_bytes()).is_ok());
        }
    }

    #[test]
    fn neither_ticket_nor_key_is_printed() {
        let ticket = Ticket::from_bytes([0xee; TICKET_LEN]);
        assert_eq!(format!("{ticket:?}"), "Ticket");
        let shown = format!("{:?}", ticket.tell());
        assert!(shown.ends_with("key: DeliveryKey }"), "{shown}");
    }
}
