//! One link and its two halves.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use iroh::endpoint::{Connection, RecvStream, SendStream};

use crate::endpoint::PeerId;
use crate::error::{CloseReason, LinkError};

/// No frame is longer. The longest the protocol has is a network document of a few hundred nodes.
pub const MAX_FRAME: usize = 64 * 1024;

/// The length before each frame: four bytes, big-endian.
const PREFIX: usize = 4;

/// How much is taken from the stream at once.
const READ_CHUNK: usize = 32 * 1024;

/// An established link. Dropping it, or both of its halves, closes it.
#[derive(Debug)]
pub struct Link {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
}

impl Link {
    /// Who is at the other end, proven by the handshake.
    pub fn peer_id(&self) -> PeerId {
        PeerId::from_bytes(*self.connection.remote_id().as_bytes())
    }

    /// The protocol both agreed on.
    pub fn alpn(&self) -> &[u8] {
        self.connection.alpn()
    }

    /// Closes it and tells the peer why.
    pub fn close(self, reason: CloseReason) {
        self.connection.close(reason.code(), b"");
    }

    /// The two halves, for two tasks.
    pub fn split(self) -> (LinkSender, LinkReceiver) {
        let sender = LinkSender {
            connection: self.connection.clone(),
            send: self.send,
            unsent: BytesMut::new(),
        };
        let receiver =
            LinkReceiver { connection: self.connection, recv: self.recv, unread: BytesMut::new() };
        (sender, receiver)
    }
}

/// The sending half.
#[derive(Debug)]
pub struct LinkSender {
    connection: Connection,
    send: SendStream,
    unsent: BytesMut,
}

impl LinkSender {
    /// Sends one frame; waits while the peer does not read, so memory stays bounded.
    ///
    /// If the future is dropped while it waits, the frame is either sent whole with the next call or
    /// not at all: the stream never carries half a frame.
    ///
    /// # Errors
    /// [`LinkError::FrameTooBig`] (nothing was sent), or why the link has ended.
    pub async fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        if frame.len() > MAX_FRAME {
            return Err(LinkError::FrameTooBig { len: frame.len(), max: MAX_FRAME });
        }
        self.flush().await?;
        self.unsent.reserve(PREFIX + frame.len());
        self.unsent.put_u32(frame.len() as u32);
        self.unsent.put_slice(&frame);
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), LinkError> {
        while !self.unsent.is_empty() {
            let sent = self.send.write(&self.unsent).await?;
            self.unsent.advance(sent);
        }
        Ok(())
    }

    /// Announces a frame without sending one, as no honest peer does.
    #[cfg(test)]
    pub(crate) async fn announce_for_tests(&mut self, len: u32) {
        self.unsent.put_u32(len);
        self.flush().await.expect("the link is up");
    }

    /// Says that no more frames come, waits until the peer has all of them, and leaves the receiving
    /// half usable.
    ///
    /// # Errors
    /// Why the link has ended before everything was there.
    pub async fn finish(mut self) -> Result<(), LinkError> {
        self.flush().await?;
        self.send.finish().map_err(|_| LinkError::ClosedHere)?;
        match self.send.stopped().await {
            Ok(_) => Ok(()),
            Err(_) => Err(self.connection.close_reason().map_or(LinkError::ClosedHere, Into::into)),
        }
    }

    /// Closes the whole link and tells the peer why.
    pub fn close(self, reason: CloseReason) {
        self.connection.close(reason.code(), b"");
    }
}

/// The receiving half.
#[derive(Debug)]
pub struct LinkReceiver {
    connection: Connection,
    recv: RecvStream,
    unread: BytesMut,
}

impl LinkReceiver {
    /// The next frame; `None` after the peer has finished. Dropping the future loses nothing, so it
    /// may stand in a `select!`.
    ///
    /// # Errors
    /// [`LinkError::FrameTooBig`] (the link is closed then), or why it has ended.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, LinkError> {
        loop {
            match take_frame(&mut self.unread) {
                Ok(Some(frame)) => return Ok(Some(frame)),
                Ok(None) => {}
                Err(error) => {
                    self.connection.close(CloseReason::BadFrame.code(), b"");
                    return Err(error);
                }
            }
            match self.recv.read_chunk(READ_CHUNK).await? {
                Some(chunk) => self.unread.extend_from_slice(&chunk),
                None if self.unread.is_empty() => return Ok(None),
                None => return Err(LinkError::CutShort),
            }
        }
    }

    /// A whole frame that is here already, without waiting.
    ///
    /// # Errors
    /// As [`LinkReceiver::recv`].
    pub fn ready(&mut self) -> Result<Option<Bytes>, LinkError> {
        take_frame(&mut self.unread)
    }

    /// Closes the whole link and tells the peer why.
    pub fn close(self, reason: CloseReason) {
        self.connection.close(reason.code(), b"");
    }
}

fn take_frame(unread: &mut BytesMut) -> Result<Option<Bytes>, LinkError> {
    let Some(prefix) = unread.first_chunk::<PREFIX>() else { return Ok(None) };
    let len = u32::from_be_bytes(*prefix) as usize;
    // Refused by its announcement: nothing that long is ever collected.
    if len > MAX_FRAME {
        return Err(LinkError::FrameTooBig { len, max: MAX_FRAME });
    }
    if unread.len() < PREFIX + len {
        return Ok(None);
    }
    unread.advance(PREFIX);
    Ok(Some(unread.split_to(len).freeze()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_is_refused_by_its_announcement_alone() {
        let mut unread = BytesMut::from(&(MAX_FRAME as u32 + 1).to_be_bytes()[..]);
        assert_eq!(
            take_frame(&mut unread),
            Err(LinkError::FrameTooBig { len: MAX_FRAME + 1, max: MAX_FRAME })
        );
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8),
            cuts in prop::collection::vec(1usize..40, 1..40),
        ) {
            let mut wire = BytesMut::new();
            for frame in &frames {
                wire.put_u32(frame.len() as u32);
                wire.put_slice(frame);
            }
            let mut unread = BytesMut::new();
            let mut got = Vec::new();
            let mut cuts = cuts.iter().cycle();
            while !wire.is_empty() {
                let cut = (*cuts.next().expect("cycles")).min(wire.len());
                unread.extend_from_slice(&wire.split_to(cut));
                while let Some(frame) = take_frame(&mut unread).expect("own frames") {
                    got.push(frame.to_vec());
                }
            }
            prop_assert_eq!(got, frames);
            prop_assert!(unread.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut unread = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take_frame(&mut unread) {}
        }
    }
}
