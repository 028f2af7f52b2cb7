//! The session with a gateway: making it, greeting, losing it, and the documents that come over it.

use core::net::IpAddr;
use core::time::Duration;

use xchat_base::{Rng, Secret, Timestamp, Wire};
use xchat_directory::NodeId;
use xchat_sphinx::work::MAX_EFFORT;
use xchat_sphinx::{
    Challenge, ClientFrame, GatewayFrame, LinkKey, Proof, Puzzle, RefusalCode, SessionToken,
};

use super::Transport;
use crate::api::Effect;
use crate::attempts::Attempts;
use crate::routes::Session;
use crate::status::{GatewayState, Trouble};

/// A gateway that has not welcomed us by then does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A proof of work that is not found by then is given up, whatever time the gateway leaves.
const MAX_PROVING: Duration = Duration::from_secs(60);

/// After this long offline a collector may have dropped what came: all registrations are made anew.
const SHORT_BREAK: Duration = Duration::from_secs(60);

/// A gateway keeps the seat of a lost link for this long (6.8).
const RESUME_FOR: Duration = Duration::from_secs(120);

/// A gateway through which no packet of ours has come back for so many times that an answer may take,
/// and for so many slots, is left for the other one.
const SILENT_ANSWERS: u32 = 2;
/// See [`SILENT_ANSWERS`].
const SILENT_SLOTS: u32 = 24;

/// A timer that comes so late says that the device slept.
const SLEPT: Duration = Duration::from_secs(2);

/// Documents are asked for at least this often, at most this often.
const DOCUMENT_PERIODS: (Duration, Duration) =
    (Duration::from_secs(30), Duration::from_secs(60 * 60));

/// The link to a gateway.
pub(super) enum Link {
    /// Nothing to be done before that.
    Waiting { until: Timestamp },
    /// The driver makes it.
    Connecting { gateway: NodeId, deadline: Timestamp },
    /// It is up, and the gateway is to speak: first its challenge, then its welcome.
    Greeting { gateway: NodeId, deadline: Timestamp, greeting: Greeting, session: Box<Session> },
    /// The driver searches for the proof of work.
    Proving { gateway: NodeId, deadline: Timestamp, puzzle: Box<Puzzle>, session: Box<Session> },
    /// We were welcomed: slots run.
    Online {
        gateway: NodeId,
        since: Timestamp,
        heard: Heard,
        token: SessionToken,
        session: Box<Session>,
    },
}

/// A session whose link was lost.
pub(super) struct Resumable {
    gateway: NodeId,
    token: SessionToken,
    from: Option<IpAddr>,
    until: Timestamp,
}

/// What has come back of our packets. Rubbish, and packets that nobody asked for, do not count: a
/// gateway can make as many of those as it likes, and keep a client that takes them for life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    /// When the last did; before that, when we were welcomed.
    pub(super) last: Timestamp,
    /// Whether any did in this session.
    pub(super) any: bool,
}

/// What is expected of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeting {
    /// A challenge for this key of ours.
    Challenge(LinkKey),
    /// To be welcomed at once, for the token of the session before; or a challenge for this key of ours.
    Resumed(LinkKey),
    /// To be welcomed.
    Welcome,
}

impl Transport {
    pub(super) fn gateway_state(&self) -> GatewayState {
        let (failed, trouble) = (self.attempts.failed(), self.attempts.trouble());
        match &self.link {
            Link::Online { gateway, since, .. } => {
                GatewayState::Online { gateway: *gateway, since: *since }
            }
            Link::Proving { gateway, puzzle, .. } => {
                GatewayState::Proving { gateway: *gateway, attempts: puzzle.challenge().attempts() }
            }
            Link::Connecting { gateway, .. } | Link::Greeting { gateway, .. } => {
                GatewayState::Connecting { gateway: *gateway, failed, trouble, retry_at: None }
            }
            Link::Waiting { until } => match self.guards.choose(failed, |_| true) {
                Some(gateway) => {
                    GatewayState::Connecting { gateway, failed, trouble, retry_at: Some(*until) }
                }
                None => GatewayState::None,
            },
        }
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        match &self.link {
            Link::Waiting { until } => Some(*until),
            Link::Connecting { deadline, .. }
            | Link::Greeting { deadline, .. }
            | Link::Proving { deadline, .. } => Some(*deadline),
            Link::Online { .. } => Some(
                self.clock.wake().map_or(self.ask_document_at, |s| s.min(self.ask_document_at)),
            ),
        }
    }

    pub(super) fn link_timer(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Effect>) {
        match &self.link {
            Link::Waiting { until } if *until <= now => self.connect(now, rng, out),
            Link::Connecting { deadline, .. } if *deadline <= now => {
                self.leave(Trouble::Unreachable, now, out);
            }
            Link::Greeting { deadline, .. } if *deadline <= now => {
                self.leave(Trouble::NoAnswer, now, out);
            }
            Link::Proving { deadline, puzzle, .. } if *deadline <= now => {
                let attempts = puzzle.challenge().attempts();
                self.leave(Trouble::WorkTooSlow { attempts }, now, out);
            }
            Link::Online { heard, .. } => {
                let patience =
                    (self.reply_timeout() * SILENT_ANSWERS).max(self.mean_gap() * SILENT_SLOTS);
                if now.since(heard.last) > patience {
                    self.leave(Trouble::Silent, now, out);
                } else if self.ask_document_at <= now {
                    self.ask_document(now, out);
                }
            }
            _ => {}
        }
    }

    fn connect(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Effect>) {
        let gateway = match self.attempts.next(&self.guards, now) {
            Ok(gateway) => gateway,
            Err(until) => {
                self.link = Link::Waiting { until };
                return;
            }
        };
        let Some(descriptor) = self.document.node(&gateway) else {
            // Does not happen: the guards are of this document.
            self.link = Link::Waiting { until: now + MAX_PROVING };
            return;
        };
        let addresses = descriptor.addresses.clone();
        out.push(Effect::Connect { gateway, addresses, session: Secret::random(rng) });
        self.link = Link::Connecting { gateway, deadline: now + CONNECT_TIMEOUT };
    }

    pub(super) fn link_up(
        &mut self,
        gateway: NodeId,
        link: LinkKey,
        from: Option<IpAddr>,
        now: Timestamp,
        rng: &mut Rng,
        out: &mut Vec<Effect>,
    ) {
        let expected = matches!(&self.link, Link::Connecting { gateway: g, .. } if *g == gateway);
        let Some(descriptor) = self.document.node(&gateway).filter(|_| expected) else {
            return;
        };
        let session = Box::new(Session::new(descriptor, from, rng));
        // Kept until it is over or there is a newer one: this link may break before the gateway has seen the token.
        let goes_on = |old: &&Resumable| {
            old.gateway == gateway && old.from.is_some() && old.from == from && now < old.until
        };
        let (frame, greeting) = match self.resumable.as_ref().filter(goes_on) {
            Some(Resumable { token, .. }) => {
                let tags = session.tags().to_vec();
                (ClientFrame::Resume { token: *token, tags }, Greeting::Resumed(link))
            }
            None => (ClientFrame::Open, Greeting::Challenge(link)),
        };
        out.push(Effect::Send(frame.to_wire()));
        self.link = Link::Greeting { gateway, deadline: now + CONNECT_TIMEOUT, greeting, session };
    }

    fn challenged(&mut self, challenge: Challenge, now: Timestamp, out: &mut Vec<Effect>) {
        let before = core::mem::replace(&mut self.link, Link::Waiting { until: now });
        let Link::Greeting {
            gateway,
            greeting: Greeting::Challenge(own) | Greeting::Resumed(own),
            session,
            ..
        } = before
        else {
            self.link = before;
            self.measure.refused_answers += 1;
            return;
        };
        let puzzle = Puzzle::new(&LinkKey::from_bytes(*gateway.as_bytes()), &own, challenge);
        let left = Duration::from_secs(challenge.within_secs.into());
        let (deadline, puzzle) = (now + left.min(MAX_PROVING), Box::new(puzzle));
        if challenge.effort <= MAX_EFFORT {
            out.push(Effect::Solve(Puzzle::clone(&puzzle)));
        }
        self.link = Link::Proving { gateway, deadline, puzzle, session };
        if challenge.effort > MAX_EFFORT {
            self.leave(Trouble::WorkTooHard { attempts: challenge.attempts() }, now, out);
        }
    }

    pub(super) fn solved(&mut self, proof: &Proof, now: Timestamp, out: &mut Vec<Effect>) {
        let before = core::mem::replace(&mut self.link, Link::Waiting { until: now });
        match before {
            Link::Proving { gateway, puzzle, session, .. } if puzzle.is_solved_by(proof) => {
                let tags = session.tags().to_vec();
                let hello = ClientFrame::Hello { pace: self.pace, tags, proof: *proof };
                out.push(Effect::Send(hello.to_wire()));
                let (deadline, greeting) = (now + CONNECT_TIMEOUT, Greeting::Welcome);
                self.link = Link::Greeting { gateway, deadline, greeting, session };
            }
            // Of a link that is gone.
            _ => self.link = before,
        }
    }

    fn welcomed(&mut self, token: SessionToken, now: Timestamp, out: &mut Vec<Effect>) {
        let before = core::mem::replace(&mut self.link, Link::Waiting { until: now });
        let Link::Greeting {
            gateway,
            greeting: Greeting::Welcome | Greeting::Resumed(_),
            session,
            ..
        } = before
        else {
            self.link = before;
            return;
        };
        self.resumable = None;
        // Whether it is worth anything, the first packet that comes back will tell.
        let heard = Heard { last: now, any: false };
        self.link = Link::Online { gateway, since: now, heard, token, session };
        if self.offline_since.take().is_some_and(|since| now.since(since) > SHORT_BREAK) {
            self.collectors = crate::collectors::Collectors::new();
            self.retain_registrations(|_| false);
            self.tickets.unsettle(now);
        }
        self.clock.start(now, self.mean_gap());
        self.ask_document(now, out);
    }

    /// Whoever was not there itself has heard nothing, and blames nobody for it. That the link has ended meanwhile, the
    /// driver finds out.
    pub(super) fn notice_sleep(&mut self, now: Timestamp) {
        let slept = self.last_wake.is_some_and(|wake| now.since(wake) > SLEPT);
        if let Link::Online { heard, .. } = &mut self.link
            && slept
        {
            heard.last = now;
        }
    }

    /// One of our packets has come back as it should.
    pub(super) fn heard(&mut self, now: Timestamp) {
        if let Link::Online { heard, .. } = &mut self.link {
            heard.last = now;
            if !core::mem::replace(&mut heard.any, true) {
                self.attempts.succeeded();
            }
        }
    }

    /// The link is gone by itself, or could not be made.
    pub(super) fn link_down(&mut self, trouble: Trouble, now: Timestamp) {
        if let Link::Online { gateway, token, session, .. } = &self.link {
            let (gateway, token, from) = (*gateway, *token, session.from());
            self.resumable = Some(Resumable { gateway, token, from, until: now + RESUME_FOR });
        }
        match &self.link {
            Link::Waiting { .. } => {}
            Link::Online { heard: Heard { any: true, .. }, .. } => self.close(None, now),
            Link::Online { .. } => self.close(Some(Trouble::Silent), now),
            Link::Connecting { .. } => self.close(Some(trouble), now),
            // It was there, and nobody has said why it is not any more.
            Link::Greeting { .. } | Link::Proving { .. } => {
                let trouble = match trouble {
                    Trouble::Unreachable => Trouble::NoAnswer,
                    told => told,
                };
                self.close(Some(trouble), now);
            }
        }
    }

    /// We give the link up.
    pub(super) fn leave(&mut self, trouble: Trouble, now: Timestamp, out: &mut Vec<Effect>) {
        out.push(Effect::Disconnect);
        self.close(Some(trouble), now);
    }

    fn refused(&mut self, code: RefusalCode, after: u16, now: Timestamp, out: &mut Vec<Effect>) {
        let trouble = match code {
            RefusalCode::Busy => Trouble::Busy { retry_after: Duration::from_secs(after.into()) },
            code => Trouble::Refused(code),
        };
        self.leave(trouble, now, out);
    }

    /// No answer will come any more; what was asked is kept, and asked again in the next session.
    fn close(&mut self, trouble: Option<Trouble>, now: Timestamp) {
        let gateway = match &self.link {
            Link::Waiting { .. } => return,
            Link::Connecting { gateway, .. }
            | Link::Greeting { gateway, .. }
            | Link::Proving { gateway, .. }
            | Link::Online { gateway, .. } => *gateway,
        };
        if matches!(self.link, Link::Online { .. }) {
            self.offline_since = Some(now);
            self.follows.collect_lost(now);
        }
        self.clock.stop();
        self.outstanding.clear();
        self.droppers.clear();
        self.writes.all_unanswered();
        self.reads.all_unanswered();
        self.follows.all_unanswered();
        self.tickets.all_failed();
        let wait = match trouble {
            Some(trouble) => self.attempts.fail(gateway, trouble, now, || self.clock.jitter()),
            None => Attempts::after_session(self.clock.jitter()),
        };
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
            Ok(GatewayFrame::Challenge(challenge)) => self.challenged(challenge, now, out),
            Ok(GatewayFrame::Welcome { session }) => self.welcomed(session, now, out),
            Ok(GatewayFrame::Packet(packet)) => self.packet(&packet, now, out),
            Ok(GatewayFrame::Document(Some(bytes))) => {
                if self.adopt_bytes(&bytes, now, rng, out).is_err() {
                    self.measure.refused_answers += 1;
                }
            }
            Ok(GatewayFrame::Document(None)) => {}
            Ok(GatewayFrame::Refused { code, retry_after_secs }) => {
                self.refused(code, retry_after_secs, now, out);
            }
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
