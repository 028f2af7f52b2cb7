//! The other side of a rejoin: reading what they left behind, and a new group for both.

use xchat_base::Wire;
use xchat_e2ee::Meeting;

use super::entry::RequestBody;
use super::stage::Stage;
use super::{Adoption, Place, Post};
use crate::api::{Alert, Notice};
use crate::conversation::{Conversation, EpochGroup};
use crate::keys;
use crate::record::{Batch, Record, Taken, kind};
use crate::turn::Turn;

/// An answer of ours.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(super) struct Answering<G> {
    /// The request's id.
    pub(super) to: [u8; 16],
    /// How far they have read us.
    pub(super) taken: Taken,
    /// The group that begins if our answer is the first.
    pub(super) group: G,
    pub(super) post: Post,
}

impl<G: EpochGroup> Conversation<G> {
    /// Moves a request of theirs on: read it, read all that they wrote in the old group, answer.
    pub(super) fn work_on_request(&mut self, turn: &mut Turn<'_>) {
        let Some(request) = self.rejoin.their_request() else { return };
        if request.body.is_some() {
            return self.leave_group(turn);
        }
        if self.rejoin.reading.is_some() {
            return;
        }
        match request.run.clone() {
            Some(pointer) => self.read_request(turn, pointer),
            None => self.refuse_request(turn),
        }
    }

    pub(super) fn request_read(&mut self, turn: &mut Turn<'_>, value: Option<&[u8]>) {
        match value.and_then(RequestBody::read) {
            Some(body) => {
                if let Some(open) = &mut self.rejoin.open {
                    open.body = Some(body);
                }
            }
            None => self.refuse_request(turn),
        }
    }

    fn refuse_request(&mut self, turn: &mut Turn<'_>) {
        self.rejoin.open = None;
        self.alert(turn, Alert::Unreadable);
    }

    pub(super) fn answer(&mut self, turn: &mut Turn<'_>) {
        let Some(request) = self.rejoin.their_request() else { return };
        let (to, Some(body)) = (request.id, request.body.clone()) else { return };
        let Ok((mut group, welcome)) = G::create(turn.rng, &body.key_package) else {
            return self.refuse_request(turn);
        };
        let taken = self.taken().to_wire();
        let record = Record { seq: 0, kind: kind::TAKEN, more: false, body: taken };
        let hello = group.encrypt(turn.rng, &Batch { records: vec![record] }.to_wire());
        let Ok(hello) = hello else { return self.refuse_request(turn) };
        let meeting = Meeting { welcome, hello }.to_wire();
        let Some(post) = Post::seal(self, turn, &meeting) else { return self.refuse_request(turn) };
        for (key, value) in group.take_all() {
            turn.put(keys::next_mls(self.id, &key), value);
        }
        self.rejoin.stage = Stage::Answering(Answering { to, taken: body.taken, group, post });
        self.save_stage(turn);
    }

    /// Our answer is the first: the new group is the conversation's.
    pub(super) fn answer_won(&mut self, turn: &mut Turn<'_>, next: Place) {
        let stage = std::mem::replace(&mut self.rejoin.stage, Stage::Idle);
        if let Stage::Answering(Answering { group, taken, .. }) = stage {
            let fresh = Adoption { next, notice: Notice::TheyRejoined };
            self.adopt(turn, group, taken, fresh);
        }
    }
}
