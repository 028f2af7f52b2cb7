//! What stands in the rejoin lane, and in the runs that it points to.

use serde::{Deserialize, Serialize};
use xchat_base::Wire;
use xchat_e2ee::invitation::MAX_KEY_PACKAGE_LEN;
use xchat_pigeonhole::RunPointer;

use crate::record::{MAX_TOLD_SEQ, Taken};

/// Boxes of one request: two. More is refused, or one contact could fill the read queue.
const MAX_REQUEST_BOXES: usize = 4;

/// Boxes of one answer: five. See [`MAX_REQUEST_BOXES`].
const MAX_ANSWER_BOXES: usize = 16;

/// One entry of the rejoin lane.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entry {
    /// "I cannot go on: make us a new group."
    Request {
        side: u32,
        id: [u8; 16],
        /// [`RunPointer`] to a [`RequestBody`].
        run: Vec<u8>,
    },
    /// "Here it is."
    Answer {
        side: u32,
        /// The request's id.
        to: [u8; 16],
        /// [`RunPointer`] to a `Meeting`.
        run: Vec<u8>,
    },
}

impl Wire for Entry {
    const FORMAT: &'static str = "rejoin entry";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 128;
}

impl Entry {
    /// The run of an answer; `None` if it cannot be one.
    pub(super) fn answer_run(run: &[u8]) -> Option<RunPointer> {
        pointer(run, MAX_ANSWER_BOXES)
    }
}

fn pointer(run: &[u8], most: usize) -> Option<RunPointer> {
    let pointer = RunPointer::from_bytes(run).ok()?;
    (1..=most).contains(&pointer.box_count()).then_some(pointer)
}

/// What a request leads to.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RequestBody {
    /// An MLS KeyPackage message.
    pub(super) key_package: Vec<u8>,
    /// How far the one who asks has read the other.
    pub(super) taken: Taken,
}

impl Wire for RequestBody {
    const FORMAT: &'static str = "rejoin request";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = MAX_KEY_PACKAGE_LEN + 64;
}

impl RequestBody {
    /// Reads one; `None` for what no honest program writes.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        Self::from_wire(bytes).ok().filter(|body| body.taken.seq <= MAX_TOLD_SEQ)
    }
}

/// A request that stands in the lane.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) struct Request {
    pub(super) side: u32,
    pub(super) id: [u8; 16],
    pub(super) run: Option<RunPointer>,
    /// What it leads to, once read.
    pub(super) body: Option<RequestBody>,
}

impl Request {
    pub(super) fn new(side: u32, id: [u8; 16], run: &[u8]) -> Self {
        Self { side, id, run: pointer(run, MAX_REQUEST_BOXES), body: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Entry::from_wire(&bytes);
            let _ = RequestBody::read(&bytes);
            let _ = Request::new(0, [0; 16], &bytes);
        }
    }

    #[test]
    fn an_entry_fits_its_bound_and_a_request_that_counts_too_far_is_none() {
        let entry = Entry::Request { side: u32::MAX, id: [255; 16], run: vec![255; 68] };
        assert!(Entry::from_wire(&entry.to_wire()).is_ok_and(|read| read == entry));
        let body = |seq| {
            let taken = Taken { seq, digest: [0; 16] };
            RequestBody { key_package: vec![1; 2_700], taken }.to_wire()
        };
        assert!(RequestBody::read(&body(MAX_TOLD_SEQ)).is_some());
        assert!(RequestBody::read(&body(MAX_TOLD_SEQ + 1)).is_none());
    }
}
