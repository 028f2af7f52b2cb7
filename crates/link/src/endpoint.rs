//! An endpoint: one key, its sockets, and the links dialled from and taken by it.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iroh::endpoint::{
    BindError, ConnectOptions, Connection, Incoming, NetReportConfig, PortmapperConfig,
    QuicTransportConfig, presets,
};
use iroh::{EndpointAddr, PublicKey, RelayMode, SecretKey, TransportAddr};
use tokio::select;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use xchat_base::{Rng, Secret, identifier};

use crate::error::{CloseReason, LinkError};
use crate::handshake::{self, LINK_VERSION};
use crate::link::Link;
use crate::quic;
use crate::sources::{Arrivals, Handshakes, Source};

/// A handshake that takes so long may never end. The listener has every dialler prove its address (a Retry), and noq takes the
/// connection id for that from the 2^24 that it draws for connections too, without a look at those in use: 40 for each link that is
/// up (noq-proto 1.4.0, `Endpoint::retry` and `ConnectionIndex::get`). What is sent to one in use goes to that link, which drops it, and
/// the dialler hears nothing: one in forty of a gateway with 10,000 sessions.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Links that stand ready and were not taken by [`Endpoint::accept`] yet.
const MAX_WAITING: usize = 64;

/// A peer that has not finished its handshake by then is let go.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Peers are told of the end and have so long to confirm it: iroh gives up after three probe timeouts, some
/// three seconds.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often it is looked whether an address is free.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The tasks of a closed endpoint have nothing left to wait for.
const LAST_TASKS: Duration = Duration::from_secs(1);

identifier!(
    /// An endpoint's Ed25519 public key: what a peer must prove to hold.
    PeerId,
    32
);

/// An endpoint's private key: a node's for as long as the node lives, a client's for one session.
#[derive(Clone)]
pub struct LinkSecret(Secret<32>);

impl LinkSecret {
    /// A fresh one.
    pub fn random(rng: &mut Rng) -> Self {
        Self(Secret::random(rng))
    }

    /// The Ed25519 seed a node keeps in its key file.
    pub fn from_seed(seed: Secret<32>) -> Self {
        Self(seed)
    }

    /// The public key of it.
    pub fn id(&self) -> PeerId {
        PeerId::from_bytes(*self.key().public().as_bytes())
    }

    fn key(&self) -> SecretKey {
        SecretKey::from_bytes(self.0.expose())
    }
}

impl std::fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkSecret")
    }
}

/// What an endpoint is made from.
#[derive(Debug)]
pub struct LinkConfig {
    /// Who it is.
    pub secret: LinkSecret,
    /// Where it listens and sends from; port 0 takes a free one. At most one per address family.
    pub bind: Vec<SocketAddr>,
    /// The protocols it takes links for; empty for one that only dials.
    pub accept: Vec<Vec<u8>>,
}

impl LinkConfig {
    /// For an endpoint that takes links at one address.
    pub fn listening(secret: LinkSecret, bind: SocketAddr, accept: &[&[u8]]) -> Self {
        let accept = accept.iter().map(|alpn| alpn.to_vec()).collect();
        Self { secret, bind: vec![bind], accept }
    }

    /// For an endpoint that only dials these addresses.
    ///
    /// It is bound to the very addresses from which the system reaches them, not to all of the
    /// machine's: QUIC's NAT traversal tells a peer every address an endpoint is bound to, and the
    /// peer would learn the home network behind a VPN. Nothing is sent by this.
    pub fn towards(secret: LinkSecret, peers: &[SocketAddr]) -> Self {
        let mut bind: Vec<SocketAddr> = Vec::new();
        for peer in peers {
            let same_family = |have: &SocketAddr| have.is_ipv4() == peer.is_ipv4();
            if bind.iter().any(same_family) {
                continue;
            }
            bind.extend(source_address(peer).map(|ip| SocketAddr::new(ip, 0)));
        }
        if bind.is_empty() {
            // No route right now: dialling will say so.
            bind.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0));
        }
        Self { secret, bind, accept: Vec::new() }
    }
}

/// The address the system would send from; connecting a datagram socket sends nothing.
fn source_address(peer: &SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// One key and its sockets. Cloning gives another handle to the same endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    inner: iroh::Endpoint,
    /// For links that it dials. The shorter patience of the two ends holds, so a node's gateway does
    /// not hurry its clients.
    dial: QuicTransportConfig,
    incoming: Arc<Mutex<mpsc::Receiver<Link>>>,
    /// Takes links, if any are taken; holds the sockets for as long as it runs.
    taking: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Endpoint {
    /// Opens the sockets and starts taking links.
    ///
    /// # Errors
    /// [`LinkError::Bind`] if an address is taken or not ours.
    pub async fn bind(config: LinkConfig) -> Result<Self, LinkError> {
        let LinkConfig { secret, bind, accept } = config;
        let accepts = !accept.is_empty();
        let mut builder = iroh::Endpoint::builder(presets::Empty)
            .crypto_provider(quic::crypto_provider())
            .secret_key(secret.key())
            .relay_mode(RelayMode::Disabled)
            .clear_address_lookup()
            .clear_ip_transports()
            .net_report_config(NetReportConfig::minimal())
            .portmapper_config(PortmapperConfig::Disabled)
            .transport_config(quic::transport(&quic::CLIENT))
            .alpns(accept);
        for address in &bind {
            builder = builder
                .bind_addr(*address)
                .map_err(|error| LinkError::Setup { reason: error.to_string() })?;
        }
        let inner = builder.bind().await.map_err(|error| bind_error(error, &bind))?;
        let (links, incoming) = mpsc::channel(MAX_WAITING);
        let taking = accepts.then(|| tokio::spawn(take_links(inner.clone(), links)));
        // Who takes links is a node, and dials nodes.
        let patience = if accepts { quic::NODE } else { quic::CLIENT };
        let dial = quic::transport(&patience);
        let (incoming, taking) = (Arc::new(Mutex::new(incoming)), Arc::new(Mutex::new(taking)));
        Ok(Self { inner, dial, incoming, taking })
    }

    /// Its public key.
    pub fn id(&self) -> PeerId {
        PeerId::from_bytes(*self.inner.id().as_bytes())
    }

    /// Where it really listens.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.inner.bound_sockets()
    }

    /// Dials a peer at the given addresses, all at once, and agrees on a protocol. If the peer has not been reached after [`AGAIN_AFTER`], it
    /// is dialled once more beside.
    ///
    /// # Errors
    /// Everything that keeps a link from being made.
    pub async fn connect(
        &self,
        peer: PeerId,
        addresses: &[SocketAddr],
        alpn: &[u8],
        within: Duration,
    ) -> Result<Link, LinkError> {
        let id = PublicKey::from_bytes(peer.as_bytes())
            .map_err(|_| LinkError::Dial("the peer's key is no Ed25519 public key"))?;
        if addresses.is_empty() {
            return Err(LinkError::Dial("no address is known for the peer"));
        }
        let target = EndpointAddr::from_parts(id, addresses.iter().copied().map(TransportAddr::Ip));
        let dialling = async {
            let connection = self.dial_twice(target, alpn).await?;
            // On one of them only: of two links from one peer the listener would keep the newer.
            let (send, recv) = handshake::dial(&connection, LINK_VERSION).await?;
            Ok(Link { connection, send, recv })
        };
        timeout(within, dialling).await.unwrap_or(Err(LinkError::TimedOut))
    }

    /// The connection that is there first; if neither comes about, why the first one did not.
    async fn dial_twice(&self, target: EndpointAddr, alpn: &[u8]) -> Result<Connection, LinkError> {
        let mut first = pin!(self.dial(target.clone(), alpn));
        if let Ok(done) = timeout(AGAIN_AFTER, &mut first).await {
            return done;
        }
        let mut second = pin!(self.dial(target, alpn));
        select! {
            done = &mut first => match done {
                Err(error) => second.await.map_err(|_| error),
                connection => connection,
            },
            done = &mut second => match done {
                Err(_) => first.await,
                connection => connection,
            },
        }
    }

    async fn dial(&self, target: EndpointAddr, alpn: &[u8]) -> Result<Connection, LinkError> {
        let options = ConnectOptions::new().with_transport_config(self.dial.clone());
        let connecting = self.inner.connect_with_opts(target, alpn, options).await;
        let connecting = connecting.map_err(|error| LinkError::dialling(error.into(), alpn))?;
        connecting.await.map_err(|error| LinkError::dialling(error.into(), alpn))
    }

    /// The next link a peer has made; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Link> {
        self.incoming.lock().await.recv().await
    }

    /// Closes every link and the sockets; waits (six seconds at most) until peers know and nothing of its own
    /// runs any more. Its addresses are free again soon after nobody holds a handle to it, or a link
    /// ([`wait_until_free`]).
    pub async fn close(&self) {
        let _ = timeout(FAREWELL, self.inner.close()).await;
        let Some(mut taking) = self.taking.lock().await.take() else { return };
        if timeout(LAST_TASKS, &mut taking).await.is_err() {
            taking.abort();
            let _ = taking.await;
        }
    }
}

/// Waits until the addresses of an endpoint that was closed and dropped can be bound again, and no longer than
/// `within`; whether they can. The sockets are closed by a thread of their own (netwatch), so that a drop alone says
/// nothing of when.
pub async fn wait_until_free(addresses: &[SocketAddr], within: Duration) -> bool {
    let in_use = |error: &std::io::Error| error.kind() == ErrorKind::AddrInUse;
    let taken =
        |address: &SocketAddr| UdpSocket::bind(address).err().is_some_and(|error| in_use(&error));
    let free = || !addresses.iter().any(taken);
    let waiting = async {
        while !free() {
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(within, waiting).await.is_ok()
}

fn bind_error(error: BindError, bind: &[SocketAddr]) -> LinkError {
    match (error, bind.first()) {
        (BindError::Sockets { source, .. }, Some(address)) => {
            LinkError::Bind { address: *address, reason: source.to_string() }
        }
        (error, _) => LinkError::Setup { reason: error.to_string() },
    }
}

/// Runs until the endpoint is closed.
async fn take_links(endpoint: iroh::Endpoint, links: mpsc::Sender<Link>) {
    let handshakes = Handshakes::default();
    let mut arrivals = Arrivals::default();
    let mut taking = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while taking.try_join_next().is_some() {}
        // A round trip proves the source address (RFC 9000, 8.1.2) before a key exchange is
        // computed for it. It also lets a refusal be heard: noq sends none to an unproven address.
        if !incoming.remote_addr_validated() {
            // Fails for a validated address only.
            let _ = incoming.retry();
            continue;
        }
        let source = Source::of(&incoming.remote_addr());
        let place = handshakes.begin(source).filter(|_| arrivals.admit(source, Instant::now()));
        let Some(place) = place else {
            incoming.refuse();
            continue;
        };
        let links = links.clone();
        taking.spawn(async move {
            // A failed handshake is the peer's affair and says nothing worth keeping.
            if let Ok(Ok(link)) = timeout(HANDSHAKE_TIMEOUT, take_link(incoming)).await
                && let Err(error) = links.try_send(link)
            {
                error.into_inner().close(CloseReason::Busy);
            }
            drop(place);
        });
    }
    // Each holds a part of the endpoint.
    taking.shutdown().await;
}

async fn take_link(incoming: Incoming) -> Result<Link, LinkError> {
    let connection = incoming.await?;
    let (send, recv) = handshake::answer(&connection, LINK_VERSION).await?;
    Ok(Link { connection, send, recv })
}

#[cfg(test)]
mod tests;
