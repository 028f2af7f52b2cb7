//! What a run came to.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::core::Totals;
use crate::seen::{Cast, Insight, Observer, Online, Receipted, Said, Seen, Uses, Wrote};
use crate::world::World;

/// Hands everything on to the observer, and keeps what the report needs.
pub(super) struct Ledger {
    observer: Box<dyn Observer>,
    clients: u32,
    said: u64,
    arrived: u64,
    stored: u64,
    /// From the mouth to the other's history, in milliseconds.
    took: Vec<u32>,
}

impl Ledger {
    pub(super) fn new(observer: Box<dyn Observer>) -> Self {
        Self { observer, clients: 0, said: 0, arrived: 0, stored: 0, took: Vec::new() }
    }

    pub(super) fn report(&self, world: &World, lasted: Duration, unfinished: usize) -> Report {
        let mut took = self.took.clone();
        took.sort_unstable();
        let at = |percent: usize| {
            let place = (took.len() * percent / 100).min(took.len().saturating_sub(1));
            took.get(place).map(|millis| Duration::from_millis(u64::from(*millis)))
        };
        Report {
            lasted,
            clients: self.clients,
            events: world.events,
            frames: world.frames,
            lost: world.lost,
            dropped: world.dropped,
            doubled: world.doubled,
            repeating: world.repeating(),
            said: self.said,
            stored: self.stored,
            arrived: self.arrived,
            unfinished: unfinished as u64,
            median: at(50),
            ninety_five: at(95),
            totals: world.totals(),
        }
    }
}

impl Observer for Ledger {
    fn cast(&mut self, cast: &Cast) {
        self.clients = cast.clients;
        self.observer.cast(cast);
    }

    fn seen(&mut self, seen: &Seen) {
        self.observer.seen(seen);
    }

    fn inside(&mut self, insight: &Insight) {
        self.observer.inside(insight);
    }

    fn said(&mut self, said: &Said) {
        self.said += 1;
        self.stored += u64::from(said.stored.is_some());
        if let Some(arrived) = said.arrived {
            self.arrived += 1;
            let took = arrived.since(said.at).as_millis();
            self.took.push(u32::try_from(took).unwrap_or(u32::MAX));
        }
        self.observer.said(said);
    }

    fn receipted(&mut self, receipted: &Receipted) {
        self.observer.receipted(receipted);
    }

    fn online(&mut self, online: &Online) {
        self.observer.online(online);
    }

    fn wrote(&mut self, wrote: &Wrote) {
        self.observer.wrote(wrote);
    }

    fn uses(&mut self, uses: &Uses) {
        self.observer.uses(uses);
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Virtual time.
    pub lasted: Duration,
    /// Clients.
    pub clients: u32,
    /// Events of the agenda.
    pub events: u64,
    /// Frames that were sent.
    pub frames: u64,
    /// Frames that were lost.
    pub lost: u64,
    /// Packets that hostile nodes did not pass on.
    pub dropped: u64,
    /// Packets that hostile nodes passed on twice.
    pub doubled: u64,
    /// The nodes of which others say at the end that they do.
    pub repeating: BTreeSet<u16>,
    /// Messages that were said.
    pub said: u64,
    /// Of these, known by their writer to be safe.
    pub stored: u64,
    /// Of these, in their reader's history.
    pub arrived: u64,
    /// Of these, not both at the end.
    pub unfinished: u64,
    /// From the mouth to the other's history; half of what arrived took less. None if nothing did.
    pub median: Option<Duration>,
    /// 95 % took less.
    pub ninety_five: Option<Duration>,
    /// What the nodes did.
    pub totals: Totals,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = |took: Option<Duration>| {
            took.map_or("-".to_owned(), |took| format!("{:.2} s", took.as_secs_f64()))
        };
        let Totals { writes, reads, registers, collects, deliveries, .. } = self.totals;
        writeln!(f, "clients       {}", self.clients)?;
        writeln!(f, "virtual time  {:.1} min", self.lasted.as_secs_f64() / 60.0)?;
        writeln!(f, "events        {}", self.events)?;
        let Self { frames, lost, dropped, doubled, .. } = self;
        writeln!(f, "frames        {frames}, {lost} lost, {dropped} dropped, {doubled} doubled")?;
        writeln!(
            f,
            "packets       {} from clients, {} to clients",
            self.totals.packets_up, self.totals.packets_down
        )?;
        writeln!(
            f,
            "requests      {writes} writes, {reads} reads, {registers} registrations, {collects} collects, {} refused",
            self.totals.refused
        )?;
        writeln!(f, "deliveries    {deliveries} sent, {} kept", self.totals.items)?;
        writeln!(
            f,
            "messages      {} said, {} stored, {} arrived",
            self.said, self.stored, self.arrived
        )?;
        writeln!(f, "delivery      median {}, 95 % {}", took(self.median), took(self.ninety_five))?;
        write!(
            f,
            "dropped       {} at bounds, {} otherwise",
            self.totals.over_bounds, self.totals.dropped
        )
    }
}
