//! The session with a gateway: making it, greeting, losing it, and the documents that come over it.

use core::time::Duration;

use xchat_base::{Rng, Secret, Timestamp, Wire};
use xchat_directory::NodeId;
use xchat_sphinx::{ClientFrame, GatewayFrame};

use super::Transport;
use crate::api::Effect;
use crate::routes::Session;
use crate::status::GatewayState;

/// A gateway that has not welcomed us by then does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The wait before the first new attempt; it doubles with every second one (once round the guards).
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait before a new attempt.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// After this long offline a collector may have dropped what came: all registrations are made anew.
const SHORT_BREAK: Duration = Duration::from_secs(60);

/// A gateway through which nothing has come for this long (or [`SILENT_SLOTS`], if that is longer) is left for the
/// other one.
const SILENT_FOR: Duration = Duration::from_secs(60);
/// See [`SILENT_FOR`].
const SILENT_SLOTS: u32 = 24;

/// Documents are asked for at least this often, at most this often.
const DOCUMENT_PERIODS: (Duration, Duration) =
    (Duration::from_secs(30), Duration::from_secs(60 * 60));

/// The link to a gateway.
pub(super) enum Link {
    /// Nothing to be done before that.
    Waiting { until: Timestamp },
    /// The driver makes it.
    Connecting { gateway: NodeId, deadline: Timestamp },
    /// It is up, and we said hello.
    Greeting { gateway: NodeId, deadline: Timestamp, session: Box<Session> },
    /// We were welcomed: slots run.
    Online { gateway: NodeId, since: Timestamp, last_heard: Timestamp, session: Box<Session> },
}

impl Transport {
    pub(super) fn gateway_state(&self) -> GatewayState {
        match &self.link {
            Link::Online { gateway, since, .. } => {
                GatewayState::Online { gateway: *gateway, since: *since }
            }
            Link::Connecting { gateway, .. } | Link::Greeting { gateway, .. } => {
                GatewayState::Connecting { gateway: *gateway, failed: self.failed }
            }
            Link::Waiting { .. } => match self.guards.choose(self.failed) {
                Some(gateway) => GatewayState::Connecting { gateway, failed: self.failed },
                None => GatewayState::None,
            },
        }
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        match &self.link {
            Link::Waiting { until } => Some(*until),
            Link::Connecting { deadline, .. } | Link::Greeting { deadline, .. } => Some(*deadline),
            Link::Online { .. } => Some(
                self.clock.next().map_or(self.ask_document_at, |s| s.min(self.ask_document_at)),
            ),
        }
    }

    pub(super) fn link_timer(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Effect>) {
        match &self.link {
            Link::Waiting { until } if *until <= now => self.connect(now, rng, out),
            Link::Connecting { deadline, .. } | Link::Greeting { deadline, .. }
                if *deadline <= now =>
            {
                self.leave(now, out);
            }
            Link::Online { last_heard, .. } => {
                if now.since(*last_heard) > SILENT_FOR.max(self.mean_gap() * SILENT_SLOTS) {
                    self.leave(now, out);
                } else if self.ask_document_at <= now {
                    self.ask_document(now, out);
                }
            }
            _ => {}
        }
    }

    fn connect(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Effect>) {
        let chosen = self.guards.choose(self.failed).and_then(|id| self.document.node(&id));
        let Some(gateway) = chosen else {
            // Only a new document can help, and only the driver can bring one.
            self.link = Link::Waiting { until: now + RETRY_MAX };
            return;
        };
        out.push(Effect::Connect {
            gateway: gateway.id,
            addresses: gateway.addresses.clone(),
            session: Secret::random(rng),
        });
        self.link = Link::Connecting { gateway: gateway.id, deadline: now + CONNECT_TIMEOUT };
    }

    pub(super) fn link_up(
        &mut self,
        gateway: NodeId,
        now: Timestamp,
        rng: &mut Rng,
        out: &mut Vec<Effect>,
    ) {
        let expected = matches!(&self.link, Link::Connecting { gateway: g, .. } if *g == gateway);
        let Some(descriptor) = self.document.node(&gateway).filter(|_| expected) else {
            return;
        };
        let session = Box::new(Session::new(descriptor, rng));
        out.push(Effect::Send(ClientFrame::Hello { tags: session.tags().to_vec() }.to_wire()));
        self.link = Link::Greeting { gateway, deadline: now + CONNECT_TIMEOUT, session };
    }

    fn welcomed(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let before = core::mem::replace(&mut self.link, Link::Waiting { until: now });
        let Link::Greeting { gateway, session, .. } = before else {
            self.link = before;
            return;
        };
        self.link = Link::Online { gateway, since: now, last_heard: now, session };
        self.failed = 0;
        if self.offline_since.take().is_some_and(|since| now.since(since) > SHORT_BREAK) {
            self.collectors = crate::collectors::Collectors::new();
            self.follows.retain_standing(|_, _| false);
        }
        self.clock.start(now, self.mean_gap());
        self.ask_document(now, out);
    }

    /// The link is gone by itself.
    pub(super) fn link_down(&mut self, now: Timestamp) {
        let worked = match &self.link {
            Link::Waiting { .. } => return,
            Link::Online { .. } => true,
            Link::Connecting { .. } | Link::Greeting { .. } => false,
        };
        self.close(worked, now);
    }

    /// We give the link up.
    pub(super) fn leave(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        out.push(Effect::Disconnect);
        self.close(false, now);
    }

    /// No answer will come any more; what was asked is kept, and asked again in the next session.
    fn close(&mut self, worked: bool, now: Timestamp) {
        if matches!(self.link, Link::Online { .. }) {
            self.offline_since = Some(now);
            self.follows.collect_lost(now);
        }
        self.failed = if worked { 0 } else { self.failed.saturating_add(1) };
        self.clock.stop();
        self.outstanding.clear();
        self.writes.all_unanswered();
        self.reads.all_unanswered();
        self.follows.all_unanswered();
        let doubled = RETRY_FIRST * (1 << (self.failed / 2).min(6));
        let wait = doubled.min(RETRY_MAX).mul_f64(self.clock.jitter());
        self.link = Link::Waiting { until: now + wait };
    }

    pub(super) fn frame(
        &mut self,
        bytes: &[u8],
        now: Timestamp,
        rng: &mut Rng,
        out: &mut Vec<Effect>,
    ) {
        if matches!(self.link, Link::Waiting { .. } | Link::Connecting { .. }) {
            return; // From a link that we have given up.
        }
        match GatewayFrame::from_wire(bytes) {
            Ok(GatewayFrame::Welcome { .. }) => self.welcomed(now, out),
            Ok(GatewayFrame::Packet(packet)) => self.packet(&packet, now, out),
            Ok(GatewayFrame::Document(Some(bytes))) => {
                if self.adopt_bytes(&bytes, now, rng, out).is_err() {
                    self.measure.refused_answers += 1;
                }
            }
            Ok(GatewayFrame::Document(None)) => {}
            Ok(GatewayFrame::Refused(_)) => self.leave(now, out),
            Err(_) => self.measure.refused_answers += 1,
        }
    }

    /// Asks for a newer document: when welcomed, and then on a schedule that the present document alone
    /// decides.
    fn ask_document(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let newer_than = self.document.epoch;
        out.push(Effect::Send(ClientFrame::GetDocument { newer_than }.to_wire()));
        self.ask_document_at = now + self.document_period();
    }

    /// Eight times in a document's life, within bounds.
    pub(super) fn document_period(&self) -> Duration {
        let life = self.document.valid_until.since(self.document.valid_from);
        let (shortest, longest) = DOCUMENT_PERIODS;
        (life / 8).clamp(shortest, longest)
    }
}
