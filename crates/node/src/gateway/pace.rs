//! A session is held to the pace that its hello named.
//!
//! The meter is a token bucket in the form of the generic cell rate algorithm (ITU-T I.371): one time,
//! *due*, which every packet moves on by the packet's share of time; a packet that leaves it too far
//! ahead of the present came too fast.

use std::time::Duration;

use xchat_base::Timestamp;
use xchat_directory::Parameters;
use xchat_sphinx::{Pace, SessionToken};

/// A session may send so much faster than its pace in the long run: 5/4. Exactly at its pace an
/// honest stream, which is random, would be refused some day however much slack it had.
const MARGIN: (u32, u32) = (5, 4);

/// Packets that a session may be ahead at once. An honest stream gets further ahead with a
/// probability below 10^-18 for each packet, and so below 10^-9 in a month even at the fastest rate a
/// document can fix (the test below; `spec/06-packets.md`, 6.8).
pub const SLACK: u32 = 100;

/// And as many as its rate gives in this time: what a link or a machine has held up comes at once.
/// A link that is silent for eight seconds is over.
pub const STALL: Duration = Duration::from_secs(10);

/// Packets beyond that are dropped and counted; after so many of them the session ends.
pub const MAX_EXCESS: u32 = 32;

/// A session from which no packet has come for so long, or for [`SILENT_GAPS`] of its mean gaps if that is longer,
/// is over: a seat is for those who use it. A client that is there sends whatever its owner does.
pub const SILENCE: Duration = Duration::from_secs(120);

/// An honest stream, which is random, is silent for so many mean gaps with a probability of e^-40 before each packet.
pub const SILENT_GAPS: u32 = 40;

/// Documents are asked for every 30 s at most; twice as often is allowed, and a few at once.
const DOCUMENT_INTERVAL: Duration = Duration::from_secs(15);
/// See [`DOCUMENT_INTERVAL`].
const DOCUMENT_SLACK: u32 = 8;

/// Earlier documents that clients may still use; far more than are valid at once.
const MAX_EARLIER: usize = 8;

/// What is to be done with something that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in its time.
    Pass,
    /// It is too early: drop it.
    Drop,
    /// Too much was too early: end the session.
    End,
}

/// How far ahead of its time something is.
#[derive(Debug, Clone, Copy)]
struct Meter {
    due: Timestamp,
}

impl Meter {
    fn take(
        &mut self,
        now: Timestamp,
        interval: Duration,
        slack: Duration,
        excess: u32,
    ) -> Verdict {
        self.due = self.due.max(now) + interval;
        let ahead = self.due.since(now);
        if ahead <= slack {
            Verdict::Pass
        } else if ahead <= slack + interval * excess {
            Verdict::Drop
        } else {
            Verdict::End
        }
    }
}

/// A session as far as its pace goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    pub(super) pace: Pace,
    pub(super) token: SessionToken,
    packets: Meter,
    documents: Meter,
    /// When its last packet came.
    heard: Timestamp,
    /// Whether one has come since the session began or was resumed.
    spoke: bool,
}

impl Session {
    pub(super) fn new(pace: Pace, token: SessionToken, now: Timestamp) -> Self {
        Self {
            pace,
            token,
            packets: Meter { due: now },
            documents: Meter { due: now },
            heard: now,
            spoke: false,
        }
    }

    /// Whether nothing has come for so long that nobody can be there; `gap` as in [`Self::packet`].
    pub(super) fn is_silent(&self, gap: Duration, now: Timestamp) -> bool {
        now.since(self.heard) > SILENCE.max(gap * SILENT_GAPS)
    }

    /// Whether its seat is worth keeping when its link is lost: one in which nothing came is held for the seat alone.
    pub(super) fn has_spoken(&self) -> bool {
        self.spoke
    }

    /// It goes on over another link, under another token. The meter goes on where it was: a lost link is no reason for
    /// a burst.
    pub(super) fn resume(&mut self, token: SessionToken, now: Timestamp) {
        self.token = token;
        self.spoke = false;
        self.hear(now);
    }

    /// As if a packet had come.
    pub(super) fn hear(&mut self, now: Timestamp) {
        self.heard = now;
    }

    /// A packet came; `gap` is what the pace gives on this network.
    pub(super) fn packet(&mut self, gap: Duration, now: Timestamp) -> Verdict {
        self.hear(now);
        self.spoke = true;
        let interval = interval(gap);
        self.packets.take(now, interval, interval * SLACK + STALL, MAX_EXCESS)
    }

    /// A document was asked for.
    pub(super) fn document(&mut self, now: Timestamp) -> Verdict {
        self.documents.take(now, DOCUMENT_INTERVAL, DOCUMENT_INTERVAL * DOCUMENT_SLACK, 0)
    }
}

/// The time that a packet stands for.
pub(super) fn interval(gap: Duration) -> Duration {
    let (over, under) = MARGIN;
    gap * under / over
}

/// Rates that documents fix. A client may use an earlier document until that ends.
#[derive(Default)]
pub(super) struct Rates {
    earlier: Vec<(Parameters, Timestamp)>,
}

impl Rates {
    /// A document gives way to a newer one.
    pub(super) fn replaced(&mut self, parameters: Parameters, until: Timestamp, now: Timestamp) {
        self.earlier.retain(|(_, until)| *until > now);
        if self.earlier.len() >= MAX_EARLIER {
            self.earlier.remove(0);
        }
        self.earlier.push((parameters, until));
    }

    /// The shortest gap that a valid document gives a pace.
    pub(super) fn gap(&self, pace: Pace, current: &Parameters, now: Timestamp) -> Duration {
        self.gaps(pace, now).fold(current.mean_gap(pace.mean_gap()), Duration::min)
    }

    /// The longest.
    pub(super) fn longest_gap(&self, pace: Pace, current: &Parameters, now: Timestamp) -> Duration {
        self.gaps(pace, now).fold(current.mean_gap(pace.mean_gap()), Duration::max)
    }

    fn gaps(&self, pace: Pace, now: Timestamp) -> impl Iterator<Item = Duration> {
        let valid = self.earlier.iter().filter(move |(_, until)| *until > now);
        valid.map(move |(parameters, _)| parameters.mean_gap(pace.mean_gap()))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    use xchat_base::random;

    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000_000);
    const TOKEN: SessionToken = SessionToken::from_bytes([1; 32]);
    const MONTH_SECS: f64 = 30.0 * 86_400.0;

    /// Every pace, and the fastest rate that a document may fix.
    fn gaps() -> Vec<Duration> {
        let fastest = Duration::from_secs_f64(1_000.0 / f64::from(Parameters::MAX_PACE));
        Pace::ALL.into_iter().map(Pace::mean_gap).chain([fastest]).collect()
    }

    /// Lundberg's bound for a queue that is served at a fixed rate: a Poisson stream of rate L, whose
    /// every packet brings work for the time s, finds more than x of it waiting with a probability of
    /// at most exp(-x·η), where L·(exp(η·s) - 1) = η.
    fn log_of_too_far_ahead(packets: f64) -> f64 {
        let load = f64::from(MARGIN.1) / f64::from(MARGIN.0);
        // θ = η·s, by bisection.
        let (mut low, mut high) = (1e-6, 10.0f64);
        for _ in 0..200 {
            let theta = f64::midpoint(low, high);
            if load * (theta.exp() - 1.0) < theta { low = theta } else { high = theta }
        }
        -packets * low
    }

    #[test]
    fn an_honest_stream_is_refused_less_than_once_in_a_billion_months() {
        for gap in gaps() {
            let packets_a_month = MONTH_SECS / gap.as_secs_f64();
            // Without the slack for stalls, which comes on top.
            let each = log_of_too_far_ahead(f64::from(SLACK - 1));
            let month = (each + packets_a_month.ln()).exp();
            assert!(month < 1e-9, "{gap:?}: {month:e}");
        }
        assert!(log_of_too_far_ahead(f64::from(SLACK - 1)).exp() < 1e-18);
    }

    #[test]
    fn an_honest_stream_passes_whole() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for gap in gaps() {
            let mut session = Session::new(Pace::Desk, TOKEN, T0);
            let mut now = T0;
            for packet in 0..300_000 {
                now = now + random::exponential(&mut rng, gap);
                assert_eq!(session.packet(gap, now), Verdict::Pass, "{gap:?}, {packet}");
            }
        }
    }

    #[test]
    fn what_a_link_has_held_up_may_come_at_once() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        for gap in gaps() {
            let mut session = Session::new(Pace::Desk, TOKEN, T0);
            let (mut sent, mut now) = (T0, T0);
            for _ in 0..10_000 {
                sent = sent + random::exponential(&mut rng, gap);
                // The link is stuck for eight seconds of every minute.
                let stuck = sent.as_micros() % 60_000_000 < 8_000_000;
                let released = sent.as_micros() - sent.as_micros() % 60_000_000 + 8_000_000;
                now = if stuck { Timestamp::from_micros(released) } else { now.max(sent) };
                assert_eq!(session.packet(gap, now), Verdict::Pass, "{gap:?}");
            }
        }
    }

    #[test]
    fn whoever_goes_on_too_fast_is_warned_by_drops_and_then_let_go() {
        let gap = Pace::Desk.mean_gap();
        let mut session = Session::new(Pace::Desk, TOKEN, T0);
        let verdicts: Vec<_> = (0..200).map(|_| session.packet(gap, T0)).collect();
        let count = |verdict| verdicts.iter().filter(|v| **v == verdict).count();
        // 100 of slack, and what ten seconds give at 5/4 of the pace.
        assert_eq!((count(Verdict::Pass), count(Verdict::Drop)), (112, MAX_EXCESS as usize));
        assert!(verdicts.is_sorted_by_key(|v| *v as u8), "pass, drop, end: in this order");
    }

    #[test]
    fn twice_the_pace_ends_in_minutes_and_a_little_more_never() {
        let gap = Pace::Desk.mean_gap();
        let run = |every: Duration| {
            let mut session = Session::new(Pace::Desk, TOKEN, T0);
            let sent = (1..100_000u32).find(|n| {
                let now = T0 + every * *n;
                session.packet(gap, now) == Verdict::End
            });
            sent.map(|n| every * n)
        };
        assert_eq!(run(gap * 4 / 5), None);
        let ended = run(gap / 2).expect("ends");
        assert!(ended < Duration::from_secs(240), "{ended:?}");
    }

    #[test]
    fn a_session_is_over_when_an_honest_one_would_long_have_spoken() {
        for (pace, silence) in [(Pace::Fast, 120), (Pace::Phone, 200), (Pace::Thrift, 1_200)] {
            let gap = pace.mean_gap();
            let mut session = Session::new(pace, TOKEN, T0);
            let spoken = T0 + Duration::from_secs(7);
            session.packet(gap, spoken);
            let after = |secs| spoken + Duration::from_secs(secs);
            assert!(!session.is_silent(gap, after(silence)), "{pace:?}");
            assert!(session.is_silent(gap, after(silence + 1)), "{pace:?}");
        }
    }

    #[test]
    fn documents_may_be_asked_for_as_often_as_clients_do_and_not_in_a_flood() {
        let mut session = Session::new(Pace::Desk, TOKEN, T0);
        for n in 0..1_000u32 {
            assert_eq!(session.document(T0 + Duration::from_secs(30) * n), Verdict::Pass);
        }
        let later = T0 + Duration::from_secs(60_000);
        let passed = (0..20).filter(|_| session.document(later) == Verdict::Pass).count();
        assert_eq!(passed, DOCUMENT_SLACK as usize);
    }

    #[test]
    fn a_rate_holds_until_the_document_that_gave_it_ends() {
        let with = |pace_override| Parameters { pace_override, ..Parameters::default() };
        let (fast, slow) = (with(Some(50_000)), with(Some(1_000)));
        let mut rates = Rates::default();
        let until = T0 + Duration::from_secs(100);
        rates.replaced(fast, until, T0);
        assert_eq!(rates.gap(Pace::Desk, &slow, T0), Duration::from_millis(20));
        assert_eq!(rates.gap(Pace::Desk, &slow, until), Duration::from_secs(1));
        for n in 0..100 {
            rates.replaced(with(None), until + Duration::from_secs(n), T0);
        }
        assert_eq!(rates.earlier.len(), MAX_EARLIER);
    }
}
