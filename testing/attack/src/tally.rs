//! What was tried, and what of it was taken although it must not be.

use std::sync::atomic::{AtomicU64, Ordering};

/// One kind of attempt. The text says what is tried and what must not come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    StrangerAsNode,
    ClientSilent,
    ClientFirstFrame,
    ClientFrame,
    ClientWrongMix,
    ClientTooFast,
    ClientHeader,
    ClientPayload,
    ClientReplay,
    RequestBytes,
    RequestForgedBox,
    RequestSecondValue,
    RequestWrongPlacement,
    RequestNotReplica,
    CollectGuessed,
    MixFrame,
    NodeCell,
    MixHeader,
    MixReplay,
    MixWrongLayer,
    MixForgedTag,
    MixTampers,
    StoreFrame,
    StoreMessage,
    StoreForgedValue,
    StoreExpires,
    StoreAnswers,
    GatewayLies,
    LinkUsedTwice,
    ContactLane,
    ContactCommit,
}

/// Every kind, its role and its sentence, in the order of the report.
pub(crate) const KINDS: &[(Kind, &str, &str)] = &[
    (
        Kind::StrangerAsNode,
        "stranger",
        "poses as a node of the network: a link under a key that is not listed, frames on it",
    ),
    (
        Kind::ClientSilent,
        "client",
        "opens a link and says nothing, or only the first bytes of something",
    ),
    (
        Kind::ClientFirstFrame,
        "client",
        "opens with rubbish, a changed Hello, a packet before Hello, a proof that is none, or a made-up token of a session",
    ),
    (Kind::ClientFrame, "client", "rubbish and changed frames in an open session"),
    (
        Kind::ClientWrongMix,
        "client",
        "a packet for a first mix that does not exist or is of another layer",
    ),
    (Kind::ClientTooFast, "client", "more packets than the session's pace allows"),
    (
        Kind::ClientHeader,
        "client",
        "packets with one bit of the header changed: must not come back",
    ),
    (
        Kind::ClientPayload,
        "client",
        "packets with one bit of the payload changed: must not come back readable",
    ),
    (Kind::ClientReplay, "client", "the same packet again: must come back once at most"),
    (Kind::RequestBytes, "client", "random bytes as a request to a store"),
    (
        Kind::RequestForgedBox,
        "client",
        "a write of a box that is not signed by its key: must not be stored",
    ),
    (
        Kind::RequestSecondValue,
        "client",
        "a second, well signed value for a box that has one: must not be stored",
    ),
    (
        Kind::RequestWrongPlacement,
        "client",
        "a read by a placement that is not served: must be refused",
    ),
    (
        Kind::RequestNotReplica,
        "client",
        "a read at a store that does not keep the box: must be refused",
    ),
    (Kind::CollectGuessed, "client", "a collect for a guessed session: must bring nothing"),
    (Kind::MixFrame, "mix", "rubbish, and frames of a wrong length or version, to every node"),
    (
        Kind::NodeCell,
        "mix",
        "cells of a wrong length, or that announce a frame longer than any: must end the link",
    ),
    (Kind::MixHeader, "mix", "packets with one bit of the header changed, to the next layer"),
    (
        Kind::MixReplay,
        "mix",
        "a packet again that the next layer has seen: must come back once at most",
    ),
    (Kind::MixWrongLayer, "mix", "good packets to nodes of a wrong layer: must not come back"),
    (
        Kind::MixForgedTag,
        "mix",
        "reply tags for a gateway, from a mix that is not of the last layer",
    ),
    (Kind::MixTampers, "mix", "what honest people send through it: dropped, changed, sent twice"),
    (Kind::StoreFrame, "store", "rubbish to other stores and to the first layer"),
    (
        Kind::StoreMessage,
        "store",
        "messages of the register out of order, with ballots, incarnations and placements that are not its own",
    ),
    (
        Kind::StoreForgedValue,
        "store",
        "values that are not signed by the box's key, as accepted and as chosen",
    ),
    (Kind::StoreExpires, "store", "says that boxes in use, and boxes not yet used, have expired"),
    (
        Kind::StoreAnswers,
        "store",
        "answers to honest requests: silence, rubbish, unsigned, signed by another key, about another box",
    ),
    (
        Kind::GatewayLies,
        "gateway",
        "to clients that dial it: rubbish, forged documents, packets nobody asked for, silence, refusals",
    ),
    (
        Kind::LinkUsedTwice,
        "contact",
        "accepts an invitation that was accepted before: must be refused",
    ),
    (Kind::ContactLane, "contact", "rubbish, replays and unknown records in its own lane"),
    (
        Kind::ContactCommit,
        "contact",
        "rubbish in the commit lane: commits that are none, runs that are not there",
    ),
];

/// Counts by kind.
#[derive(Default)]
pub(crate) struct Tally {
    counts: [Count; KINDS.len()],
}

#[derive(Default)]
struct Count {
    tried: AtomicU64,
    wrong: AtomicU64,
}

impl Tally {
    /// One attempt was made.
    pub(crate) fn tried(&self, kind: Kind) {
        self.count(kind).tried.fetch_add(1, Ordering::Relaxed);
    }

    /// An attempt had the effect that it must not have.
    pub(crate) fn wrong(&self, kind: Kind, what: &str) {
        self.count(kind).wrong.fetch_add(1, Ordering::Relaxed);
        eprintln!("attack: WRONG {kind:?}: {what}");
    }

    /// Attempts of one kind, and how many had an effect.
    pub(crate) fn of(&self, kind: Kind) -> (u64, u64) {
        let count = self.count(kind);
        (count.tried.load(Ordering::Relaxed), count.wrong.load(Ordering::Relaxed))
    }

    /// Attempts of all kinds, and how many had an effect.
    pub(crate) fn all(&self) -> (u64, u64) {
        KINDS.iter().map(|(kind, ..)| self.of(*kind)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }

    fn count(&self, kind: Kind) -> &Count {
        &self.counts[kind as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_row() {
        for (row, (kind, ..)) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, row);
        }
    }
}
