//! The mix's core in the common shape.

use xchat_base::{Rng, Timestamp};
use xchat_node::mix::{Effect, Input as MixInput, Mix};

use super::{Act, Input, Kind, Role, RoleStatus, counters};

pub(crate) struct MixRole(Mix);

impl MixRole {
    /// Takes over a mix and what it wanted when it started.
    pub(crate) fn new(mix: Mix, effects: Vec<Effect>) -> (Self, Vec<Act>) {
        (Self(mix), effects.into_iter().filter_map(act).collect())
    }
}

impl Role for MixRole {
    fn handle(&mut self, input: Input, now: Timestamp, rng: &mut Rng) -> Vec<Act> {
        let input = match input {
            Input::Frame { kind: Kind::Packet, from, bytes } => MixInput::NodeFrame { from, bytes },
            Input::Document(document) => MixInput::Document(document),
            Input::AddSecret(secret) => MixInput::AddSecret(secret),
            Input::Timer => MixInput::Timer,
            // No clients, not a replica.
            _ => return Vec::new(),
        };
        self.0.handle(input, now, rng).into_iter().filter_map(act).collect()
    }

    fn status(&self, now: Timestamp) -> RoleStatus {
        let counters = counters!(self.0.counters(); received, forwarded, unknown_peer, unreadable,
            replays, refused_peer, cache_full, bad_next_hop, delay_too_long, queue_full, late, refused_documents,
            waiting, remembered);
        let repeating = self.0.repeating(now);
        RoleStatus { catching_up: false, table: None, load: None, loops: None, repeating, counters }
    }
}

fn act(effect: Effect) -> Option<Act> {
    Some(match effect {
        Effect::RememberTags { key, tags } => Act::Remember { key, tags },
        Effect::ForgetKey { key } => Act::ForgetKey(key),
        Effect::ToNode { to, bytes } => Act::Send { kind: Kind::Packet, to, bytes },
        Effect::WakeAt(at) => Act::WakeAt(at),
        _ => return None,
    })
}
