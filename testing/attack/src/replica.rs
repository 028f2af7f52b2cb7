//! Messages between replicas, written by hand from the specification (spec/03, 3.9): the production
//! crate makes only good ones.

use rand_core::RngCore;
use xchat_base::random;
use xchat_pigeonhole::BoxId;

use crate::view::{Dice, rubbish};

/// A message's head.
pub(crate) struct Head {
    pub(crate) placement: u32,
    pub(crate) incarnation: [u8; 16],
    pub(crate) id: BoxId,
    pub(crate) attempt: u64,
}

/// A ballot: placement, round, rank.
#[derive(Clone, Copy)]
pub(crate) struct Ballot(pub(crate) u32, pub(crate) u32, pub(crate) u8);

impl Head {
    /// Reads the head of a message; what follows it is the body.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&1, rest) = bytes.split_first()? else { return None };
        let (placement, rest) = number(rest)?;
        let (incarnation, rest) = rest.split_first_chunk::<16>()?;
        let (id, rest) = rest.split_first_chunk::<32>()?;
        let (attempt, rest) = number(rest)?;
        let head = Self {
            placement: u32::try_from(placement).ok()?,
            incarnation: *incarnation,
            id: BoxId::from_bytes(*id),
            attempt,
        };
        Some((head, rest))
    }

    /// The message with this body.
    pub(crate) fn with(&self, body: &[u8]) -> Vec<u8> {
        let mut out = vec![1];
        put(&mut out, self.placement.into());
        out.extend(self.incarnation);
        out.extend(self.id.as_bytes());
        put(&mut out, self.attempt);
        out.extend(body);
        out
    }
}

/// What a body says. The boxes are whatever bytes they are.
pub(crate) enum Body<'a> {
    Prepare(Ballot),
    Accept(Ballot, &'a [u8]),
    Decided(Ballot),
    State(Option<(Ballot, &'a [u8])>),
    Promise(Option<(Ballot, &'a [u8])>),
    Accepted,
    Preempted(Ballot),
    /// With the time until which it can be read.
    Chosen(&'a [u8], u64),
    Expired,
}

impl Body<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Prepare(b) => tagged(&mut out, 1, Some(*b), &[]),
            Self::Accept(b, value) => tagged(&mut out, 2, Some(*b), value),
            Self::Decided(b) => tagged(&mut out, 3, Some(*b), &[]),
            Self::State(held) => holding(&mut out, 4, *held),
            Self::Promise(held) => holding(&mut out, 5, *held),
            Self::Accepted => out.push(6),
            Self::Preempted(b) => tagged(&mut out, 7, Some(*b), &[]),
            Self::Chosen(value, until) => {
                tagged(&mut out, 8, None, value);
                put(&mut out, *until);
            }
            Self::Expired => out.push(9),
        }
        out
    }
}

/// A message about whole tables, well begun and badly ended (3.9).
pub(crate) fn about_tables(dice: &mut Dice, head: &Head) -> Vec<u8> {
    let mut out = vec![2];
    put(&mut out, head.placement.into());
    out.extend(head.incarnation);
    put(&mut out, head.attempt);
    out.push((dice.next_u32() % 6) as u8);
    out.extend(rubbish(dice, 1_024));
    out
}

/// Any ballot: of any placement near the one in force, any round, any rank.
pub(crate) fn any_ballot(dice: &mut Dice, placement: u32) -> Ballot {
    let placement = placement.wrapping_add(dice.next_u32() % 3).wrapping_sub(1);
    let round = match dice.next_u32() % 3 {
        0 => 0,
        1 => dice.next_u32() % 2_048,
        _ => dice.next_u32(),
    };
    Ballot(placement, round, random::index(dice, 5) as u8)
}

fn tagged(out: &mut Vec<u8>, tag: u8, ballot: Option<Ballot>, value: &[u8]) {
    out.push(tag);
    if let Some(Ballot(placement, round, rank)) = ballot {
        put(out, placement.into());
        put(out, round.into());
        out.push(rank);
    }
    out.extend(value);
}

fn holding(out: &mut Vec<u8>, tag: u8, held: Option<(Ballot, &[u8])>) {
    out.push(tag);
    match held {
        None => out.push(0),
        Some((Ballot(placement, round, rank), value)) => {
            out.push(1);
            put(out, placement.into());
            put(out, round.into());
            out.push(rank);
            out.extend(value);
        }
    }
}

/// Unsigned LEB128.
fn put(out: &mut Vec<u8>, mut n: u64) {
    while n > 0x7f {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut n = 0u64;
    for (i, byte) in bytes.iter().enumerate().take(10) {
        n |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((n, &bytes[i + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_production_crate_reads_what_is_written_here() {
        let head = Head {
            placement: 300,
            incarnation: [7; 16],
            id: BoxId::from_bytes([9; 32]),
            attempt: u64::MAX,
        };
        let ballot = Ballot(300, 1 << 20, 2);
        let bodies = [
            Body::Prepare(ballot),
            Body::Decided(ballot),
            Body::State(None),
            Body::Promise(None),
            Body::Accepted,
            Body::Preempted(ballot),
            Body::Expired,
        ];
        for body in bodies {
            let bytes = head.with(&body.bytes());
            let message = xchat_pigeonhole::register::ReplicaMessage::from_wire(&bytes);
            let message = message.expect("well formed");
            assert_eq!((message.box_id(), message.to_wire()), (&head.id, bytes.clone()));
            let (read, rest) = Head::read(&bytes).expect("its own");
            assert_eq!((read.placement, read.attempt, rest), (300, u64::MAX, &body.bytes()[..]));
        }
        let boxed = [3; xchat_pigeonhole::SEALED_BOX_LEN];
        for body in [Body::Accept(ballot, &boxed), Body::Chosen(&boxed, 1)] {
            let bytes = head.with(&body.bytes());
            // Readable, but not believed: nobody has signed it.
            let error = xchat_pigeonhole::register::ReplicaMessage::from_wire(&bytes);
            let error = error.expect_err("not signed").to_string();
            assert!(error.contains("another box") || error.contains("signature"), "{error}");
        }
    }
}
