//! The gateway's core in the common shape.

use xchat_base::{Rng, Timestamp};
use xchat_node::gateway::{Effect, Gateway, Input as GatewayInput};

use super::{Act, Input, Kind, Role, RoleStatus, counters};

pub(crate) struct GatewayRole(pub(crate) Gateway);

impl Role for GatewayRole {
    fn handle(&mut self, input: Input, now: Timestamp, rng: &mut Rng) -> Vec<Act> {
        let input = match input {
            Input::Frame { kind: Kind::Packet, from, bytes } => {
                GatewayInput::NodeFrame { from, bytes }
            }
            Input::ClientOpened(session) => GatewayInput::ClientOpened { session },
            Input::ClientFrame { session, bytes } => GatewayInput::ClientFrame { session, bytes },
            Input::ClientClosed(session) => GatewayInput::ClientClosed { session },
            Input::Document(document) => GatewayInput::Document(document),
            Input::Timer => GatewayInput::Timer,
            // Not a hop, not a replica.
            Input::Frame { kind: Kind::Replica, .. } | Input::AddSecret(_) => return Vec::new(),
        };
        self.0.handle(input, now, rng).into_iter().filter_map(act).collect()
    }

    fn status(&self) -> RoleStatus {
        let counters = counters!(self.0.counters(); to_mixes, to_clients, unknown_tag, refused_tags,
            unknown_peer, unknown_mix, malformed, full, documents, refused_documents, sessions, tags);
        RoleStatus { catching_up: false, counters }
    }
}

fn act(effect: Effect) -> Option<Act> {
    Some(match effect {
        Effect::ToClient { session, bytes } => Act::ToClient { session, bytes },
        Effect::ToNode { to, bytes } => Act::Send { kind: Kind::Packet, to, bytes },
        Effect::CloseClient { session, .. } => Act::CloseClient(session),
        Effect::WakeAt(at) => Act::WakeAt(at),
        _ => return None,
    })
}
