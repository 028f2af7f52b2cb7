//! Where the nodes of a local network listen: on one loopback address, or each on an address of its own.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::str::FromStr;

use rand_core::OsRng;
use xchat_base::random;

use crate::failure::{Failure, exit};

/// Below the ports that the system hands to whoever asks for any (from 32768 on): a client must not
/// sit on a node's port when that starts again.
const PORTS: std::ops::Range<u16> = 10_240..32_768;

/// A block of IPv4 addresses, `10.77.0.0/24`, of which each node gets one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BindRange {
    first: u32,
    bits: u32,
}

impl BindRange {
    /// The address of the node at this place of the plan; `None` past the end. The first and the last address of
    /// a block are not a host's.
    fn nth(self, index: usize) -> Option<IpAddr> {
        let hosts = (1u64 << self.bits).saturating_sub(2);
        let index = u32::try_from(index).ok().filter(|index| u64::from(*index) < hosts)?;
        Some(Ipv4Addr::from(self.first + 1 + index).into())
    }

    pub(super) fn contains(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => {
                u64::from(u32::from(address)) >> self.bits == u64::from(self.first) >> self.bits
            }
            IpAddr::V6(_) => false,
        }
    }
}

impl FromStr for BindRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a block of addresses such as 127.1.0.0/24 is expected";
        let (address, length) = text.split_once('/').ok_or(WANTED)?;
        let first = u32::from(address.parse::<Ipv4Addr>().map_err(|_| WANTED)?);
        let length = length.parse::<u32>().ok().filter(|length| (8..=30).contains(length));
        let bits = 32 - length.ok_or("a block of /8 to /30 is expected")?;
        if first.trailing_zeros() < bits {
            return Err("the block must begin at its first address");
        }
        Ok(Self { first, bits })
    }
}

/// Hands out addresses that nobody uses.
#[derive(Default)]
pub(super) struct Addresses {
    given: BTreeSet<SocketAddr>,
}

impl Addresses {
    /// Addresses that are not handed out again.
    pub(super) fn without(given: impl Iterator<Item = SocketAddr>) -> Self {
        Self { given: given.collect() }
    }

    /// For the node at this place of the plan.
    pub(super) fn of_node(
        &mut self,
        index: usize,
        range: Option<BindRange>,
    ) -> Result<SocketAddr, Failure> {
        let Some(range) = range else { return self.free(Ipv4Addr::LOCALHOST.into()) };
        let ip = range.nth(index).ok_or_else(|| {
            let text = "the network has more nodes than the range has addresses";
            Failure::new(exit::INVALID, "bind_range", text)
        })?;
        self.free(ip)
    }

    /// A free port of an address.
    pub(super) fn free(&mut self, ip: IpAddr) -> Result<SocketAddr, Failure> {
        const TRIES: usize = 1_000;
        for _ in 0..TRIES {
            let port = PORTS.start + random::index(&mut OsRng, PORTS.len()) as u16;
            let address = SocketAddr::new(ip, port);
            if !self.given.contains(&address) && !is_taken(address) {
                self.given.insert(address);
                return Ok(address);
            }
        }
        let text = format!("no free port was found on {ip}");
        Err(Failure::new(exit::UNAVAILABLE, "no_port", text))
    }
}

/// Whether somebody else's program listens there. An address that is not this machine's may be one of the place where
/// the node will run (`--runner`): the node says so itself, if not.
pub(super) fn is_taken(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_err_and(|error| error.kind() != ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_gives_each_node_an_address_and_ends() {
        let range: BindRange = "10.77.0.0/29".parse().expect("a range");
        let nth = |index| range.nth(index).map(|ip| ip.to_string());
        assert_eq!(nth(0).as_deref(), Some("10.77.0.1"));
        assert_eq!(nth(5).as_deref(), Some("10.77.0.6"));
        assert_eq!(nth(6), None);
        assert!(range.contains(IpAddr::from([10, 77, 0, 6])));
        assert!(!range.contains(IpAddr::from([10, 77, 0, 8])));
        for wrong in ["10.77.0.0", "10.77.0.1/29", "10.77.0.0/31", "10.77.0.0/0", "::/64", "x/24"] {
            assert!(wrong.parse::<BindRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_foreign_address_is_not_taken() {
        // TEST-NET-1 (RFC 5737) is nobody's.
        assert!(!is_taken(SocketAddr::from(([192, 0, 2, 1], 4010))));
        let here = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        assert!(is_taken(here.local_addr().expect("bound")));
    }
}
