//! The gateway's core in the common shape.

use xchat_base::{Rng, Timestamp};
use xchat_node::directory::NodeId;
use xchat_node::gateway::{Effect, Gateway, Input as GatewayInput};

use super::{Act, Input, Kind, Role, RoleStatus, counters};
use crate::config::kbit_per_s;
use crate::control::{LineStatus, Load, LoopStatus};

pub(crate) struct GatewayRole(pub(crate) Gateway);

impl Role for GatewayRole {
    fn handle(&mut self, input: Input, now: Timestamp, rng: &mut Rng) -> Vec<Act> {
        let input = match input {
            Input::Frame { kind: Kind::Packet, from, bytes } => {
                GatewayInput::NodeFrame { from, bytes }
            }
            Input::ClientOpened { session, link } => GatewayInput::ClientOpened { session, link },
            Input::ClientFrame { session, bytes } => GatewayInput::ClientFrame { session, bytes },
            Input::ClientClosed(session) => GatewayInput::ClientClosed { session },
            Input::ClientLost(session) => GatewayInput::ClientLost { session },
            Input::Document(document) => GatewayInput::Document(document),
            Input::Timer => GatewayInput::Timer,
            // Not a hop, not a replica.
            Input::Frame { kind: Kind::Replica, .. } | Input::AddSecret(_) => return Vec::new(),
        };
        self.0.handle(input, now, rng).into_iter().filter_map(act).collect()
    }

    fn status(&self, now: Timestamp) -> RoleStatus {
        let counters = counters!(self.0.counters(); to_mixes, to_clients, unknown_tag, refused_tags,
            unknown_peer, unknown_mix, malformed, welcomed, resumed, refused_busy, refused_too_fast, over_pace,
            refused_proof, refused_silent, refused_idle, documents, refused_documents, sessions, kept, opening, tags, loops,
            loops_back, loops_lost, replays, refused_peer);
        let load = self.0.load(now);
        let load = Load::Gateway {
            sessions: load.sessions as u64,
            max_sessions: load.max_sessions as u64,
            full: load.is_full(),
            proof_attempts: load.proof_attempts,
            line: load.line.map(|line| LineStatus {
                kbit_per_s: kbit_per_s(line.used),
                max_kbit_per_s: kbit_per_s(line.most),
            }),
        };
        let report = self.0.loop_report();
        let loops = Some(LoopStatus {
            failing_mixes: report.failing.iter().map(NodeId::to_hex).collect(),
            losing: report.losing,
        });
        let repeating = self.0.repeating(now);
        RoleStatus { catching_up: false, table: None, load: Some(load), loops, repeating, counters }
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
