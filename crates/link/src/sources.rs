//! How many handshakes each source may have under way: one machine must not take all that there are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iroh::endpoint::IncomingAddr;

/// Handshakes under way at once, of all sources. Each costs about a millisecond of CPU and 100 KiB;
/// what comes beyond is refused at its first packet.
pub(crate) const MAX_HANDSHAKES: usize = 128;

/// And of one source: half of them. Many people may sit behind one address, and a handshake takes
/// milliseconds: this is some thousand new links a second.
pub(crate) const MAX_HANDSHAKES_OF_A_SOURCE: usize = 64;

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
    fn a_customer_has_one_source_however_many_addresses() {
        assert_eq!(source("2001:db8:1:1ff::1"), source("2001:db8:1:100:2::2"));
        assert_ne!(source("2001:db8:1:1ff::1"), source("2001:db8:1:200::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }
}
