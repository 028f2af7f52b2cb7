//! Our side of a rejoin: a request, and the answer to it.

use std::time::Duration;

use xchat_base::{Timestamp, Wire, random};
use xchat_e2ee::Meeting;
use zeroize::Zeroizing;

use super::entry::{Request, RequestBody};
use super::stage::Stage;
use super::{Adoption, Place, Post};
use crate::api::{Alert, Notice};
use crate::conversation::{Conversation, EpochGroup};
use crate::record::{Batch, MAX_TOLD_SEQ, Taken, kind};
use crate::turn::Turn;

/// A request that nobody has answered is made anew after this: its boxes live two days longer.
const REQUEST_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// A request of ours.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) struct Asking {
    pub(super) id: [u8; 16],
    /// The private side of our key package, in its stored form.
    pub(super) member: Zeroizing<Vec<u8>>,
    pub(super) asked_at: Timestamp,
    pub(super) post: Post,
}

impl Asking {
    pub(super) fn until(&self) -> Timestamp {
        self.asked_at + REQUEST_LIFETIME
    }

    pub(super) fn request(&self, side: u32) -> Request {
        Request::new(side, self.id, &self.post.pointer.to_bytes())
    }
}

impl<G: EpochGroup> Conversation<G> {
    /// Asks the other side for a new group.
    pub(super) fn ask(&mut self, turn: &mut Turn<'_>) {
        let Ok((member, key_package)) = G::pending(turn.rng) else {
            return self.alert(turn, Alert::Unreadable);
        };
        let body = RequestBody { key_package, taken: self.taken() }.to_wire();
        let Some(post) = Post::seal(self, turn, &body) else {
            return self.alert(turn, Alert::Unreadable);
        };
        let id = random::bytes(turn.rng);
        let member = Zeroizing::new(member);
        self.rejoin.stage = Stage::Asking(Asking { id, member, asked_at: turn.now, post });
        self.save_stage(turn);
    }

    /// The answer to our request is here; without one, or with one that does not fit, we ask again.
    pub(super) fn answer_read(&mut self, turn: &mut Turn<'_>, value: Option<&[u8]>, next: Place) {
        let Stage::Asking(asking) = &self.rejoin.stage else { return };
        let joined = value.and_then(|bytes| join(&asking.member, bytes));
        match joined {
            Some((group, taken)) => {
                let fresh = Adoption { next, notice: Notice::WeRejoined };
                self.adopt(turn, group, taken, fresh);
            }
            None => {
                self.drop_stage(turn);
                self.rejoin.last = turn.now;
                self.must_rejoin(turn);
            }
        }
    }
}

fn join<G: EpochGroup>(member: &[u8], bytes: &[u8]) -> Option<(G, Taken)> {
    let meeting = Meeting::from_wire(bytes).ok()?;
    let mut group = G::join(member, &meeting.welcome).ok()?;
    let (_, hello) = group.decrypt(&meeting.hello).ok()?;
    let batch = Batch::from_wire(&hello).ok()?;
    let record = batch.records.iter().find(|record| record.kind == kind::TAKEN)?;
    let taken = Taken::from_wire(&record.body).ok().filter(|taken| taken.seq <= MAX_TOLD_SEQ)?;
    Some((group, taken))
}
