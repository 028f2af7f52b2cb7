//! Pairs of endpoints in one process, over real sockets on loopback.

use bytes::Bytes;
use noq::crypto::rustls::HandshakeData;
use rustls::NamedGroup;
use rustls::crypto::aws_lc_rs;

use super::*;
use crate::link::MAX_FRAME;

const ALPN: &[u8] = b"/xchat/test/1";
const SOON: Duration = Duration::from_secs(10);

fn secret(seed: u8) -> LinkSecret {
    LinkSecret::from_seed(Secret::new([seed; 32]))
}

fn loopback() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)
}

async fn listener(seed: u8) -> Endpoint {
    Endpoint::bind(LinkConfig::listening(secret(seed), loopback(), &[ALPN])).await.expect("binds")
}

async fn dialler(seed: u8, to: &Endpoint) -> Endpoint {
    let config = LinkConfig::towards(secret(seed), &to.local_addresses());
    Endpoint::bind(config).await.expect("binds")
}

async fn pair() -> (Endpoint, Endpoint, Link, Link) {
    let server = listener(1).await;
    let client = dialler(2, &server).await;
    let addresses = server.local_addresses();
    let (dialled, taken) =
        tokio::join!(client.connect(server.id(), &addresses, ALPN, SOON), server.accept());
    (server, client, dialled.expect("connects"), taken.expect("accepts"))
}

#[tokio::test]
async fn frames_pass_both_ways_and_both_ends_know_each_other() {
    let (server, client, dialled, taken) = pair().await;
    assert_eq!(dialled.peer_id(), server.id());
    assert_eq!(taken.peer_id(), client.id());
    assert_eq!((dialled.alpn(), taken.alpn()), (ALPN, ALPN));
    assert_eq!(client.local_addresses()[0].ip(), IpAddr::from(Ipv4Addr::LOCALHOST));

    let (mut to_server, mut from_server) = dialled.split();
    let (mut to_client, mut from_client) = taken.split();
    for frame in [Bytes::new(), Bytes::from_static(b"one"), Bytes::from(vec![7; MAX_FRAME])] {
        to_server.send(frame.clone()).await.expect("sends");
        assert_eq!(from_client.recv().await, Ok(Some(frame.clone())));
        to_client.send(frame.clone()).await.expect("sends");
        assert_eq!(from_server.recv().await, Ok(Some(frame)));
    }
    let (finished, end) = tokio::join!(to_server.finish(), from_client.recv());
    assert_eq!((finished, end), (Ok(()), Ok(None)));
}

/// The connection ids of a long header (RFC 9000, 17.2): the sender's is the second one. None of a short header.
fn sender_of(packet: &[u8]) -> Option<Vec<u8>> {
    let (&first, rest) = packet.split_first()?;
    let (&receiver_len, rest) = rest.get(4..)?.split_first()?;
    let (&sender_len, rest) = rest.get(receiver_len.into()..)?.split_first()?;
    let sender = rest.get(..sender_len.into())?;
    (first & 0x80 != 0).then(|| sender.to_vec())
}

/// Dials over a relay that lets nothing of a handshake pass for which this does not hold, by whether it is the first one and whether there
/// is a second one; how long it takes until both ends have the link.
async fn dial_through(passes: fn(bool, bool) -> bool) -> Duration {
    let server = listener(1).await;
    let client = dialler(2, &server).await;
    let between = tokio::net::UdpSocket::bind(loopback()).await.expect("binds");
    let (addresses, to) = ([between.local_addr().expect("bound")], server.local_addresses()[0]);
    let relay = tokio::spawn(async move {
        let (mut packet, mut dialler) = ([0; 65_536], None);
        let mut senders = Vec::new();
        while let Ok((len, from)) = between.recv_from(&mut packet).await {
            let packet = &packet[..len];
            if from == to {
                let _ = between.send_to(packet, dialler.expect("has spoken first")).await;
                continue;
            }
            dialler = Some(from);
            if let Some(sender) = sender_of(packet) {
                if !senders.contains(&sender) {
                    senders.push(sender.clone());
                }
                if !passes(senders[0] == sender, senders.len() > 1) {
                    continue;
                }
            }
            let _ = between.send_to(packet, to).await;
        }
    });
    let begun = Instant::now();
    let (dialled, taken) =
        tokio::join!(client.connect(server.id(), &addresses, ALPN, SOON), server.accept());
    let took = begun.elapsed();
    assert_eq!(dialled.as_ref().expect("connects").peer_id(), server.id());
    assert_eq!(taken.expect("accepts").peer_id(), client.id());
    let another = timeout(Duration::from_millis(200), server.accept()).await;
    assert!(another.is_err(), "one link of the two");
    relay.abort();
    took
}

/// What noq does with a dialler whose connection id is taken: nothing of it comes to its handshake, whatever is said again.
#[tokio::test]
async fn a_handshake_that_stalls_is_begun_again_beside() {
    assert!(dial_through(|is_first, _| !is_first).await >= AGAIN_AFTER);
}

#[tokio::test]
async fn a_handshake_that_is_slow_goes_on_beside_the_second_one() {
    assert!(
        dial_through(|is_first, is_second_there| is_first && is_second_there).await >= AGAIN_AFTER
    );
}

/// The listener may be full when the second one comes.
#[tokio::test]
async fn both_may_be_slow() {
    assert!(dial_through(|_, is_second_there| is_second_there).await >= AGAIN_AFTER);
}

#[tokio::test]
async fn the_key_exchange_is_hybrid_post_quantum() {
    let (_server, _client, dialled, taken) = pair().await;
    for link in [&dialled, &taken] {
        let data = link.connection.handshake_data().expect("the handshake is over");
        let data = data.downcast::<HandshakeData>().expect("rustls");
        assert_eq!(data.negotiated_key_exchange_group, Some(NamedGroup::X25519MLKEM768));
    }
}

#[tokio::test]
async fn a_peer_without_post_quantum_key_exchange_is_refused() {
    let server = listener(1).await;
    let mut classical = aws_lc_rs::default_provider();
    classical.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let old = iroh::Endpoint::builder(presets::Minimal)
        .crypto_provider(Arc::new(classical))
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr(loopback())
        .expect("an address")
        .bind()
        .await
        .expect("binds");
    let id = PublicKey::from_bytes(server.id().as_bytes()).expect("a key");
    let target = server.local_addresses().into_iter().map(TransportAddr::Ip);
    let refused = old.connect(EndpointAddr::from_parts(id, target), ALPN).await;
    let error = LinkError::dialling(refused.expect_err("must not connect"), ALPN);
    assert_eq!(error, LinkError::NotPostQuantum);
}

#[tokio::test]
async fn whoever_does_not_hold_the_expected_key_is_refused() {
    let server = listener(1).await;
    let client = dialler(2, &server).await;
    let expected = secret(9).id();
    let error = client.connect(expected, &server.local_addresses(), ALPN, SOON).await;
    assert_eq!(error.expect_err("must not connect"), LinkError::WrongPeer);
}

#[tokio::test]
async fn another_protocol_or_another_version_of_it_is_named() {
    let server = listener(1).await;
    let client = dialler(2, &server).await;
    let error =
        client.connect(server.id(), &server.local_addresses(), b"/xchat/test/2", SOON).await;
    let error = error.expect_err("must not connect");
    assert_eq!(error, LinkError::ProtocolRefused { protocol: "/xchat/test/2".into() });
    assert_eq!(error.to_string(), "the peer does not speak /xchat/test/2");
}

#[tokio::test]
async fn another_version_of_the_link_format_is_named_on_both_sides() {
    let server = listener(1).await;
    let client = dialler(2, &server).await;
    let id = PublicKey::from_bytes(server.id().as_bytes()).expect("a key");
    let target = server.local_addresses().into_iter().map(TransportAddr::Ip);
    let connection =
        client.inner.connect(EndpointAddr::from_parts(id, target), ALPN).await.expect("connects");
    let error = handshake::dial(&connection, 2).await.expect_err("version 2 is not spoken here");
    assert!(
        matches!(error, LinkError::Version { got: 1, want: 2 })
            || error == LinkError::Closed(CloseReason::Version),
        "{error}"
    );
}

#[tokio::test]
async fn an_oversized_frame_is_not_sent_and_closes_the_link_if_announced() {
    let (_server, _client, dialled, taken) = pair().await;
    let (mut to_server, mut from_server) = dialled.split();
    let (_to_client, mut from_client) = taken.split();
    let too_big = Bytes::from(vec![0; MAX_FRAME + 1]);
    let refused = LinkError::FrameTooBig { len: MAX_FRAME + 1, max: MAX_FRAME };
    assert_eq!(to_server.send(too_big).await, Err(refused.clone()));

    to_server.send(Bytes::from_static(b"still fine")).await.expect("sends");
    assert_eq!(from_client.recv().await, Ok(Some(Bytes::from_static(b"still fine"))));

    to_server.announce_for_tests(MAX_FRAME as u32 + 1).await;
    assert_eq!(from_client.recv().await, Err(refused));
    assert_eq!(from_server.recv().await, Err(LinkError::Closed(CloseReason::BadFrame)));
}

#[tokio::test]
async fn a_close_carries_its_reason() {
    let (_server, _client, dialled, taken) = pair().await;
    taken.close(CloseReason::Refused);
    let (_sender, mut receiver) = dialled.split();
    assert_eq!(receiver.recv().await, Err(LinkError::Closed(CloseReason::Refused)));
}

#[tokio::test]
async fn a_closed_endpoint_takes_no_more_links() {
    let (server, client, dialled, _taken) = pair().await;
    let (_sender, mut receiver) = dialled.split();
    let (_, ended) = tokio::join!(server.close(), receiver.recv());
    assert!(ended.is_err());
    assert!(server.accept().await.is_none());
    client.close().await;
}

/// Below the ports that the system gives to whoever asks for any, so that no other test sits on it.
fn fixed_address() -> SocketAddr {
    let first = std::process::id() % 20_000;
    let ports = (0..20_000).map(|n| 10_240 + (first + n) as u16 % 20_000);
    let mut addresses = ports.map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    addresses.find(|address| UdpSocket::bind(address).is_ok()).expect("one is free")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_of_a_closed_endpoint_can_be_waited_for() {
    let address = fixed_address();
    let addresses = [address];
    for round in 0..5 {
        let config = LinkConfig::listening(secret(1), address, &[ALPN]);
        let server = Endpoint::bind(config).await.expect("binds");
        let client = dialler(2, &server).await;
        let (dialled, taken) =
            tokio::join!(client.connect(server.id(), &addresses, ALPN, SOON), server.accept());
        // One more that is on its way.
        let on_its_way = client.connect(server.id(), &addresses, ALPN, SOON);
        let (_, ()) = tokio::join!(on_its_way, async {
            drop((dialled, taken));
            server.close().await;
        });
        drop(server);
        assert!(wait_until_free(&addresses, Duration::from_secs(2)).await, "round {round}");
        client.close().await;
    }
}

#[tokio::test]
async fn nobody_there_is_a_timeout() {
    let server = listener(1).await;
    let (id, addresses) = (server.id(), server.local_addresses());
    server.close().await;
    drop(server);
    let client = Endpoint::bind(LinkConfig::towards(secret(2), &addresses)).await.expect("binds");
    let error = client.connect(id, &addresses, ALPN, Duration::from_millis(300)).await;
    assert_eq!(error.expect_err("nobody there"), LinkError::TimedOut);
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let server = listener(1).await;
    let taken = server.local_addresses()[0];
    let error = Endpoint::bind(LinkConfig::listening(secret(2), taken, &[ALPN])).await;
    let error = error.expect_err("the port is taken");
    assert!(matches!(error, LinkError::Bind { address, .. } if address == taken), "{error}");
}

#[tokio::test]
async fn a_peer_that_does_not_read_stalls_the_sender_within_a_bound() {
    let (_server, _client, dialled, taken) = pair().await;
    let (mut sender, _receiver) = dialled.split();
    let mut accepted = 0usize;
    // Windows of 256 KiB on both sides: the sender must stall well before 1 MiB.
    while accepted < 64 {
        let frame = Bytes::from(vec![1; 16 * 1024]);
        if timeout(Duration::from_millis(500), sender.send(frame)).await.is_err() {
            break;
        }
        accepted += 1;
    }
    assert!((8..64).contains(&accepted), "{accepted} frames of 16 KiB");
    // What was cut off in the middle is completed, not garbled.
    let (_, mut reader) = taken.split();
    let reading = async {
        for _ in 0..accepted + 1 {
            let frame = reader.recv().await.expect("alive").expect("a frame");
            assert!(frame.iter().all(|byte| *byte == 1) && frame.len() == 16 * 1024);
        }
        assert_eq!(reader.recv().await, Ok(Some(Bytes::from_static(b"last"))));
    };
    let (sent, ()) = tokio::join!(sender.send(Bytes::from_static(b"last")), reading);
    sent.expect("the peer reads again");
}
