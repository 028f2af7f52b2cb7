//! The first byte each way: the link format's version.
//!
//! The dialler opens the stream and says its version; a stream of QUIC does not exist for the other
//! side before something was written. The acceptor answers with its own, so that a dial has only
//! succeeded when the other side has really taken the link.

use iroh::endpoint::{Connection, RecvStream, SendStream};

use crate::error::{CloseReason, LinkError};

/// The version of the link format: length-delimited frames on one stream.
pub(crate) const LINK_VERSION: u8 = 1;

pub(crate) async fn dial(
    connection: &Connection,
    version: u8,
) -> Result<(SendStream, RecvStream), LinkError> {
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(&[version]).await?;
    check(connection, &mut recv, version).await?;
    Ok((send, recv))
}

pub(crate) async fn answer(
    connection: &Connection,
    version: u8,
) -> Result<(SendStream, RecvStream), LinkError> {
    let (mut send, mut recv) = connection.accept_bi().await?;
    // Ours goes out first, so that a peer of another version can say what it met.
    send.write_all(&[version]).await?;
    check(connection, &mut recv, version).await?;
    Ok((send, recv))
}

async fn check(connection: &Connection, recv: &mut RecvStream, want: u8) -> Result<(), LinkError> {
    let mut got = [0u8];
    match recv.read(&mut got).await? {
        Some(1) if got[0] == want => Ok(()),
        Some(1) => {
            connection.close(CloseReason::Version.code(), b"");
            Err(LinkError::Version { got: got[0], want })
        }
        _ => Err(LinkError::CutShort),
    }
}
