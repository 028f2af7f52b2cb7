//! Bounded queues of frames between the core and the tasks that own a link.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// Frames that wait for one link. When it is full the oldest goes: what is newest is most likely to
/// be still of use, and everything that matters is retried end to end.
#[derive(Debug)]
pub(crate) struct FrameQueue {
    bound: usize,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Bytes>,
    dropped: u64,
    closed: bool,
}

impl FrameQueue {
    /// An empty queue for at most `bound` frames.
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound, state: Mutex::default(), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can leave it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a frame; drops and counts the oldest when it is full.
    pub(crate) fn push(&self, frame: Bytes) {
        let mut state = self.state();
        if state.closed {
            state.dropped += 1;
            return;
        }
        if state.frames.len() >= self.bound {
            state.frames.pop_front();
            state.dropped += 1;
        }
        state.frames.push_back(frame);
        drop(state);
        self.changed.notify_one();
    }

    /// The next frame; `None` once it is closed and empty. One consumer; dropping the future loses
    /// nothing.
    pub(crate) async fn pop(&self) -> Option<Bytes> {
        loop {
            {
                let mut state = self.state();
                if let Some(frame) = state.frames.pop_front() {
                    return Some(frame);
                }
                if state.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// The next frame, if one is there.
    pub(crate) fn try_pop(&self) -> Option<Bytes> {
        self.state().frames.pop_front()
    }

    /// Waits until a frame is there. One consumer.
    pub(crate) async fn filled(&self) {
        while self.state().frames.is_empty() {
            self.changed.notified().await;
        }
    }

    /// Takes no more frames; those in it are still handed out.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// Whether nothing is taken any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// How many frames were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.state().dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_is_dropped_and_counted() {
        let queue = FrameQueue::new(2);
        for n in 0..5u8 {
            queue.push(Bytes::copy_from_slice(&[n]));
        }
        assert_eq!(queue.dropped(), 3);
        queue.close();
        queue.push(Bytes::from_static(b"late"));
        assert_eq!(queue.pop().await.as_deref(), Some(&[3][..]));
        assert_eq!(queue.pop().await.as_deref(), Some(&[4][..]));
        assert_eq!((queue.pop().await, queue.dropped()), (None, 4));
    }
}
