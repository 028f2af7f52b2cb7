//! How QUIC and TLS are set: what the protocol fixes and nobody can turn.

use std::sync::Arc;
use std::time::Duration;

use iroh::endpoint::{IdleTimeout, QuicTransportConfig, VarInt};
use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// How long a silent peer is believed in, and how often an idle link says that it is there: three
/// chances before the time is up.
pub(crate) struct Patience {
    idle: Duration,
    heartbeat: Duration,
}

/// For links of clients, whose networks drop out for moments.
pub(crate) const CLIENT: Patience =
    Patience { idle: Duration::from_secs(8), heartbeat: Duration::from_secs(2) };

/// For links between nodes: a node that was killed says nothing, and until that is noticed packets
/// go nowhere.
pub(crate) const NODE: Patience =
    Patience { idle: Duration::from_secs(3), heartbeat: Duration::from_millis(900) };

/// What one link may have in flight in either direction: the memory that a peer that does not read
/// costs. About a hundred packets; a link between nodes needs bandwidth × delay, 256 KiB carry
/// 5 MB/s over 50 ms.
const WINDOW: u32 = 256 * 1024;

/// The key exchange of this protocol version: X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem), TLS 1.3
/// only. There is no fallback, hence nothing to downgrade to.
pub(crate) fn crypto_provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    provider.cipher_suites.retain(|suite| suite.tls13().is_some());
    Arc::new(provider)
}

/// One stream a connection, small windows, no datagrams.
pub(crate) fn transport(patience: &Patience) -> QuicTransportConfig {
    let idle = IdleTimeout::try_from(patience.idle).expect("seconds fit into a QUIC varint");
    QuicTransportConfig::builder()
        .max_idle_timeout(Some(idle))
        .default_path_max_idle_timeout(patience.idle)
        .keep_alive_interval(patience.heartbeat)
        .default_path_keep_alive_interval(patience.heartbeat)
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(u64::from(WINDOW))
        .datagram_receive_buffer_size(None)
        // What a peer says about our address is of no use here, and ours is none of its business.
        .send_observed_address_reports(false)
        .receive_observed_address_reports(false)
        .build()
}
