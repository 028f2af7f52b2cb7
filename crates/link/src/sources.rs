//! How many handshakes each source may have under way, and how many links it may make: one machine must not
//! take all that there are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use iroh::endpoint::IncomingAddr;

/// Handshakes under way at once, of all sources. Each costs about a millisecond of CPU and 100 KiB;
/// what comes beyond is refused at its first packet.
pub(crate) const MAX_HANDSHAKES: usize = 128;

/// And of one source: half of them. Many people may sit behind one address, and a handshake takes
/// milliseconds.
pub(crate) const MAX_HANDSHAKES_OF_A_SOURCE: usize = 64;

/// New links a second in the long run, and how many may come at once. What iroh keeps of a peer whose link is gone
/// stays for a minute (its `ACTOR_MAX_IDLE_TIMEOUT`), 10 KB each: 17,000 of them at most. A gateway that starts again
/// has its ten thousand clients back within a minute.
pub(crate) const LINKS: Rate = Rate { each: Duration::from_micros(1_000_000 / 256), burst: 2_048 };

/// And of one source: 1,200 peers remembered at most. Many may share an address; they come one after the other.
pub(crate) const LINKS_OF_A_SOURCE: Rate =
    Rate { each: Duration::from_micros(1_000_000 / 16), burst: 256 };

/// Sources remembered before those are forgotten that have not come lately. Each has used up some of [`LINKS`], so
/// no more than 6,200 are remembered for a reason.
const MAX_SOURCES: usize = 8_192;

/// Where a packet came from, as far as addresses tell networks apart: an IPv4 address, or the 56 bits
/// of IPv6 that one customer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source(u128);

impl Source {
    pub(crate) fn of(address: &IncomingAddr) -> Self {
        match address {
            IncomingAddr::Ip(address) => Self::of_ip(address.ip()),
            // There are no relays here.
            _ => Self(0),
        }
    }

    fn of_ip(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(u32::from(v4).into()),
            IpAddr::V6(v6) => Self(u128::from(v6) >> 72 << 72),
        }
    }
}

/// So many in the long run, and a few at once: the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    each: Duration,
    burst: u32,
}

impl Rate {
    /// The time that is used up after one more; `None` if that is too far ahead.
    fn after(self, used: Option<Instant>, now: Instant) -> Option<Instant> {
        let used = used.map_or(now, |used| used.max(now)) + self.each;
        (used <= now + self.each * self.burst).then_some(used)
    }
}

/// Links as they come.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    all: Option<Instant>,
    sources: BTreeMap<Source, Instant>,
}

impl Arrivals {
    /// Whether one more may come now. What is refused uses up nothing.
    pub(crate) fn admit(&mut self, source: Source, now: Instant) -> bool {
        let Some(all) = LINKS.after(self.all, now) else { return false };
        let used = self.sources.get(&source).copied();
        let Some(used) = LINKS_OF_A_SOURCE.after(used, now) else { return false };
        if self.sources.len() >= MAX_SOURCES {
            self.sources.retain(|_, used| *used > now);
        }
        self.all = Some(all);
        self.sources.insert(source, used);
        true
    }
}

/// Handshakes under way. Nothing of a source stays when its last one is over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handshakes(Arc<Mutex<BTreeMap<Source, usize>>>);

impl Handshakes {
    /// A place for one more, or `None`.
    pub(crate) fn begin(&self, source: Source) -> Option<Handshake> {
        let mut under_way = self.lock();
        let of_source = under_way.get(&source).copied().unwrap_or(0);
        if of_source >= MAX_HANDSHAKES_OF_A_SOURCE
            || under_way.values().sum::<usize>() >= MAX_HANDSHAKES
        {
            return None;
        }
        under_way.insert(source, of_source + 1);
        Some(Handshake { all: self.clone(), source })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Source, usize>> {
        // Nothing under the lock can leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One handshake's place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Handshake {
    all: Handshakes,
    source: Source,
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut under_way = self.all.lock();
        match under_way.get_mut(&self.source) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                under_way.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::of_ip(text.parse().expect("an address"))
    }

    #[test]
    fn one_source_gets_half_and_all_get_no_more_than_there_are() {
        let handshakes = Handshakes::default();
        let (one, two) = (source("192.0.2.1"), source("192.0.2.2"));
        let begin = |source| {
            std::iter::from_fn(|| handshakes.begin(source)).take(1_000).collect::<Vec<_>>()
        };
        let of_one = begin(one);
        assert_eq!(of_one.len(), MAX_HANDSHAKES_OF_A_SOURCE);
        let of_two = begin(two);
        assert_eq!(of_two.len(), MAX_HANDSHAKES - MAX_HANDSHAKES_OF_A_SOURCE);
        assert!(handshakes.begin(source("192.0.2.3")).is_none());
        drop(of_one);
        let place = handshakes.begin(one).expect("there is room again");
        drop((place, of_two));
        assert!(handshakes.lock().is_empty());
    }

    #[test]
    fn links_of_a_source_and_of_all_come_at_a_rate() {
        let mut arrivals = Arrivals::default();
        let now = Instant::now();
        let mut count = |source: Source, now: Instant, tries: u32| {
            (0..tries).filter(|_| arrivals.admit(source, now)).count() as u32
        };
        let one = source("192.0.2.1");
        assert_eq!(count(one, now, 1_000), LINKS_OF_A_SOURCE.burst);
        assert_eq!(count(source("192.0.2.2"), now, 1), 1, "another is not held to it");
        assert_eq!(count(one, now + Duration::from_secs(1), 1_000), 16, "what a second gives");
        let later = now + Duration::from_secs(100);
        let from_many = |count: &mut dyn FnMut(Source, Instant, u32) -> u32| -> u32 {
            (0..40).map(|n| count(Source(n << 72), later, 100)).sum()
        };
        assert_eq!(from_many(&mut count), LINKS.burst);
    }

    #[test]
    fn sources_are_forgotten_and_never_more_than_can_have_come() {
        let mut arrivals = Arrivals::default();
        let start = Instant::now();
        // As fast as they may, each from elsewhere, for two minutes.
        let mut most = 0;
        for n in 0..u128::from(LINKS.burst) + 120 * 256 {
            let now = start + LINKS.each * u32::try_from(n).expect("small");
            assert!(arrivals.admit(Source(n), now), "{n}");
            most = most.max(arrivals.sources.len());
        }
        assert!(most <= MAX_SOURCES, "{most}");
    }

    #[test]
    fn a_customer_has_one_source_however_many_addresses() {
        assert_eq!(source("2001:db8:1:1ff::1"), source("2001:db8:1:100:2::2"));
        assert_ne!(source("2001:db8:1:1ff::1"), source("2001:db8:1:200::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }
}
