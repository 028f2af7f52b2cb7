//! The keys of what the engine keeps: one letter for the kind, the owner's id, then the part.

use crate::api::ConversationId;

/// What a stored key belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The next free row id.
    NextRow,
    /// A part of a conversation.
    Conversation(ConversationId, Part),
    /// An invitation of ours.
    Invitation([u8; 16]),
    /// An acceptance under way.
    Acceptance(ConversationId),
}

/// A part of a conversation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The conversation's own state.
    State,
    /// A key of OpenMLS' storage.
    Mls(Vec<u8>),
    /// A record of the outbox, by sequence number.
    Outgoing(u64),
    /// A sealed box of our own lane, by index.
    Flight(u64),
    /// A record that waits for its receipt, by sequence number.
    Unreceipted(u64),
    /// A sealed box of our own commit: its run, by number, then its entry.
    Commit(u64),
    /// What is under way in the rejoin lane: its state, then the boxes of its run, by number.
    Rejoin(u64),
    /// A key of OpenMLS' storage, of the group that a rejoin has made and that has not won yet.
    NextMls(Vec<u8>),
    /// The tickets that the other side has handed to us.
    Tickets,
}

pub(crate) fn next_row() -> Vec<u8> {
    b"r".to_vec()
}

/// The prefix of all parts of a conversation.
pub(crate) fn conversation(id: ConversationId) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), None, &[])
}

pub(crate) fn state(id: ConversationId) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b's'), &[])
}

pub(crate) fn mls(id: ConversationId, key: &[u8]) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b'm'), key)
}

pub(crate) fn outgoing(id: ConversationId, seq: u64) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b'o'), &seq.to_be_bytes())
}

pub(crate) fn flight(id: ConversationId, index: u64) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b'f'), &index.to_be_bytes())
}

/// The prefix of all flights.
pub(crate) fn flights(id: ConversationId) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b'f'), &[])
}

pub(crate) fn unreceipted(id: ConversationId, seq: u64) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b'u'), &seq.to_be_bytes())
}

pub(crate) fn commit(id: ConversationId, number: u64) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b'k'), &number.to_be_bytes())
}

/// The prefix of our own commit's boxes.
pub(crate) fn commits(id: ConversationId) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b'k'), &[])
}

pub(crate) fn rejoin(id: ConversationId, number: u64) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b'j'), &number.to_be_bytes())
}

/// The prefix of all that is under way in the rejoin lane.
pub(crate) fn rejoins(id: ConversationId) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b'j'), &[])
}

/// The prefix of the group's parts.
pub(crate) fn group(id: ConversationId) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b'm'), &[])
}

pub(crate) fn next_mls(id: ConversationId, key: &[u8]) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b'n'), key)
}

/// The prefix of the next group's parts.
pub(crate) fn next_group(id: ConversationId) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b'n'), &[])
}

/// The tickets that the other side has handed to us.
pub(crate) fn tickets(id: ConversationId) -> Vec<u8> {
    prefixed(b'c', id.as_bytes(), Some(b't'), &[])
}

pub(crate) fn invitation(id: &[u8; 16]) -> Vec<u8> {
    prefixed(b'i', id, None, &[])
}

pub(crate) fn acceptance(id: ConversationId) -> Vec<u8> {
    prefixed(b'a', id.as_bytes(), None, &[])
}

/// Reads a key; `None` for one that this version does not know.
pub(crate) fn parse(key: &[u8]) -> Option<Key> {
    let (&kind, rest) = key.split_first()?;
    if kind == b'r' {
        return rest.is_empty().then_some(Key::NextRow);
    }
    let (id, rest) = rest.split_first_chunk::<16>()?;
    match kind {
        b'i' => rest.is_empty().then_some(Key::Invitation(*id)),
        b'a' => rest.is_empty().then_some(Key::Acceptance(ConversationId::from_bytes(*id))),
        b'c' => {
            let (&part, rest) = rest.split_first()?;
            let number = || Some(u64::from_be_bytes(rest.try_into().ok()?));
            let part = match part {
                b's' => Part::State,
                b'm' => Part::Mls(rest.to_vec()),
                b'o' => Part::Outgoing(number()?),
                b'f' => Part::Flight(number()?),
                b'u' => Part::Unreceipted(number()?),
                b'k' => Part::Commit(number()?),
                b'j' => Part::Rejoin(number()?),
                b'n' => Part::NextMls(rest.to_vec()),
                b't' => Part::Tickets,
                _ => return None,
            };
            Some(Key::Conversation(ConversationId::from_bytes(*id), part))
        }
        _ => None,
    }
}

fn prefixed(kind: u8, id: &[u8; 16], part: Option<u8>, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(18 + rest.len());
    key.push(kind);
    key.extend_from_slice(id);
    key.extend(part);
    key.extend_from_slice(rest);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_parses_to_what_it_was_made_from() {
        let id = ConversationId::from_bytes([9; 16]);
        let of = |part| Some(Key::Conversation(id, part));
        assert_eq!(parse(&next_row()), Some(Key::NextRow));
        assert_eq!(parse(&state(id)), of(Part::State));
        assert_eq!(parse(&mls(id, b"tree")), of(Part::Mls(b"tree".to_vec())));
        assert_eq!(parse(&outgoing(id, 3)), of(Part::Outgoing(3)));
        assert_eq!(parse(&flight(id, 4)), of(Part::Flight(4)));
        assert_eq!(parse(&unreceipted(id, 5)), of(Part::Unreceipted(5)));
        assert_eq!(parse(&commit(id, 6)), of(Part::Commit(6)));
        assert_eq!(parse(&rejoin(id, 7)), of(Part::Rejoin(7)));
        assert_eq!(parse(&next_mls(id, b"tree")), of(Part::NextMls(b"tree".to_vec())));
        assert_eq!(parse(&tickets(id)), of(Part::Tickets));
        assert_eq!(parse(&invitation(&[1; 16])), Some(Key::Invitation([1; 16])));
        assert_eq!(parse(&acceptance(id)), Some(Key::Acceptance(id)));
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"z123"), None);
    }
}
