//! What the operator's line carries: how many packets all sessions together may send.
//!
//! A session's rate is known when it begins and is held to (see `pace`), so the sum over all sessions is
//! what they can take at most. Nothing is shaped or delayed: whoever does not fit is not let in.

use xchat_base::Timestamp;
use xchat_directory::Parameters;
use xchat_sphinx::Pace;

use super::pace::{Rates, interval};

/// The seconds in which packets are counted here: paces are slow, and whole numbers add up exactly.
const SECONDS: u128 = 1_000;

/// How much of a line is promised to sessions. In packets of clients in 1,000 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineLoad {
    /// What the sessions that there are may send.
    pub used: u64,
    /// What all may.
    pub most: u64,
    /// What a newcomer of the fastest pace may. Newcomers name their pace after their work: to have
    /// nobody work for nothing, there is room for the fastest or for nobody.
    pub next: u64,
}

impl LineLoad {
    /// Whether newcomers are turned away.
    pub fn is_full(&self) -> bool {
        self.used.saturating_add(self.next) > self.most
    }
}

/// The sessions by pace, and the operator's bound.
#[derive(Debug, Default)]
pub(super) struct Line {
    most: Option<u64>,
    sessions: [u64; Pace::ALL.len()],
}

impl Line {
    pub(super) fn limit(&mut self, packets: u64) {
        self.most = Some(packets);
    }

    pub(super) fn enter(&mut self, pace: Pace) {
        self.sessions[place(pace)] += 1;
    }

    pub(super) fn leave(&mut self, pace: Pace) {
        let sessions = &mut self.sessions[place(pace)];
        *sessions = sessions.saturating_sub(1);
    }

    /// By the documents that are valid: a network that changes its rates changes what sessions take, also
    /// of those that there are. `None` without a bound.
    pub(super) fn load(
        &self,
        rates: &Rates,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Option<LineLoad> {
        let most = self.most?;
        let packets = Pace::ALL.map(|pace| packets(rates, pace, parameters, now));
        let each = self.sessions.iter().zip(packets);
        let used = each
            .fold(0u64, |sum, (count, packets)| sum.saturating_add(count.saturating_mul(packets)));
        Some(LineLoad { used, most, next: packets.into_iter().max().unwrap_or_default() })
    }
}

fn place(pace: Pace) -> usize {
    Pace::ALL.iter().position(|other| *other == pace).unwrap_or_default()
}

/// What a session of this pace may send in the long run: a quarter more than an honest one does.
fn packets(rates: &Rates, pace: Pace, parameters: &Parameters, now: Timestamp) -> u64 {
    let interval = interval(rates.gap(pace, parameters, now)).as_micros().max(1);
    u64::try_from((SECONDS * 1_000_000).div_ceil(interval)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn load(line: &Line, parameters: &Parameters) -> LineLoad {
        line.load(&Rates::default(), parameters, NOW).expect("it has a bound")
    }

    #[test]
    fn sessions_take_what_their_pace_may_send_and_give_it_back() {
        let mut line = Line::default();
        let parameters = Parameters::default();
        assert_eq!(line.load(&Rates::default(), &parameters, NOW), None);
        line.limit(20_000);
        line.enter(Pace::Fast);
        line.enter(Pace::Desk);
        line.enter(Pace::Desk);
        line.enter(Pace::Thrift);
        // Four, one and a thirtieth packets a second, and a quarter more.
        let used = 5_000 + 2 * 1_250 + 42;
        assert_eq!(load(&line, &parameters), LineLoad { used, most: 20_000, next: 5_000 });
        line.leave(Pace::Fast);
        assert_eq!(load(&line, &parameters).used, used - 5_000);
    }

    #[test]
    fn it_is_full_when_the_fastest_no_longer_fits() {
        let mut line = Line::default();
        line.limit(10_000);
        let parameters = Parameters::default();
        line.enter(Pace::Fast);
        assert!(!load(&line, &parameters).is_full());
        line.enter(Pace::Thrift);
        assert!(load(&line, &parameters).is_full());
    }

    #[test]
    fn a_rate_that_the_document_fixes_counts_for_every_pace() {
        let mut line = Line::default();
        line.limit(1_000_000);
        line.enter(Pace::Thrift);
        let parameters = Parameters { pace_override: Some(50_000), ..Parameters::default() };
        let load = load(&line, &parameters);
        assert_eq!((load.used, load.next), (62_500, 62_500));
    }
}
