//! Inviting: our side of a one-time invitation (spec/05).
//!
//! ```text
//! Publishing ──bundle stored──► Open ──accept box──► Reading ──run read, joined──► a conversation
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xchat_base::{Secret, Timestamp, Wire};
use xchat_e2ee::{AcceptEntry, Bundle, Group, InvitationLink, Meeting, PendingMember};
use xchat_pigeonhole::outcome::{ReadOutcome, WriteOutcome};
use xchat_pigeonhole::{BoxId, Lane, MAX_CONTENT_LEN, RunPointer, RunReader, SealedBox};

use crate::api::{
    CommandError, ConversationId, Event, InvitationFailure, InvitationId, InvitationState,
    OpenInvitation, Profile, Response, Urgency,
};
use crate::conversation::{Conversation, Founding, LoadError};
use crate::keys;
use crate::turn::Turn;

/// How long an invitation may be accepted (design 4.3). Boxes live two days longer.
pub(crate) const INVITATION_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// Boxes of a bundle: a constant, so that a reader asks for all at once. A bundle has about 2.8 KB.
pub(crate) const BUNDLE_BOXES: u16 = 3;

/// What the inviter writes into the accept box when the invitation's time is over.
pub(crate) const CLOSED: &[u8] = b"closed";

/// Boxes of one meeting: five for a pair's Welcome and hello. More is refused, or whoever has a link
/// could fill the read queue that all conversations share.
const MAX_MEETING_BOXES: usize = 16;

/// One invitation of ours.
pub(crate) struct Invitation {
    id: InvitationId,
    link: InvitationLink,
    member: PendingMember,
    created_at: Timestamp,
    stage: Stage,
    /// Who waits for the link; nobody after a restart.
    tag: Option<u64>,
}

enum Stage {
    Publishing {
        left: BTreeMap<BoxId, SealedBox>,
    },
    Open,
    /// Its time is over, or it was taken back: the accept box is being closed, unless somebody was
    /// there before.
    Closing {
        closed: SealedBox,
    },
    Reading {
        reader: RunReader,
    },
}

/// What became of an invitation in one turn.
pub(crate) enum Step {
    /// It goes on.
    Waiting,
    /// It ended, with or without a conversation.
    Ended(Option<Box<Conversation>>),
}

#[derive(Serialize, Deserialize)]
struct Stored {
    link: String,
    member: Vec<u8>,
    created_at: Timestamp,
    /// The bundle's boxes that may not be stored yet; empty once all are.
    publishing: Vec<SealedBox>,
    /// The accepted run, once known.
    run: Option<Vec<u8>>,
    /// The box that closes the invitation, once it is to end.
    closed: Option<SealedBox>,
}

impl Wire for Stored {
    const FORMAT: &'static str = "stored invitation";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 64 * 1024;
}

impl Invitation {
    /// Makes an invitation and starts to publish its bundle.
    pub(crate) fn create(
        turn: &mut Turn<'_>,
        profile: &Profile,
        tag: u64,
    ) -> Result<Self, CommandError> {
        let (member, key_package) = PendingMember::generate(turn.rng)
            .map_err(|_| CommandError::Internal("key package generation"))?;
        let bundle = Bundle { name: profile.name.clone(), key_package };
        let link = InvitationLink {
            network: profile.network.clone(),
            network_id: profile.network_id,
            secret: Secret::random(turn.rng),
            bundle_hash: bundle.hash(),
        };
        let left = seal_bundle(turn, &link, &bundle.to_wire())?;
        for boxed in left.values() {
            turn.write(boxed.clone());
        }
        let invitation = Self {
            id: InvitationId::random(turn.rng),
            link,
            member,
            created_at: turn.now,
            stage: Stage::Publishing { left },
            tag: Some(tag),
        };
        invitation.save(turn);
        invitation.tell(turn, InvitationState::Making);
        Ok(invitation)
    }

    pub(crate) fn load(id: InvitationId, value: &[u8]) -> Result<Self, LoadError> {
        let stored = Stored::from_wire(value)?;
        let link = stored.link.parse().map_err(|_| LoadError::Incomplete("link"))?;
        let member = PendingMember::from_stored(&stored.member)
            .map_err(|_| LoadError::Incomplete("init keys"))?;
        let stage = if let Some(run) = stored.run {
            let pointer = RunPointer::from_bytes(&run).map_err(|_| LoadError::Incomplete("run"))?;
            Stage::Reading { reader: RunReader::new(pointer) }
        } else if let Some(closed) = stored.closed {
            Stage::Closing { closed }
        } else if stored.publishing.is_empty() {
            Stage::Open
        } else {
            let left = stored.publishing.into_iter().map(|boxed| (boxed.id(), boxed)).collect();
            Stage::Publishing { left }
        };
        Ok(Self { id, link, member, created_at: stored.created_at, stage, tag: None })
    }

    /// After a restart: asks again for what is under way.
    pub(crate) fn resume(&self, turn: &mut Turn<'_>) {
        match &self.stage {
            Stage::Publishing { left } => {
                for boxed in left.values() {
                    turn.write(boxed.clone());
                }
            }
            Stage::Open => turn.follow(self.accept_box(), Urgency::Resting),
            Stage::Closing { closed } => turn.write(closed.clone()),
            Stage::Reading { reader } => {
                for id in reader.missing() {
                    turn.read(id);
                }
            }
        }
    }

    pub(crate) fn id(&self) -> InvitationId {
        self.id
    }

    /// As a person sees it; none once it was accepted, or is to end.
    pub(crate) fn open(&self) -> Option<OpenInvitation> {
        let link = match self.stage {
            Stage::Publishing { .. } => None,
            // The link is in the store in any case: the accept box's keys are made from it.
            Stage::Open => Some(self.link.to_string()),
            Stage::Closing { .. } | Stage::Reading { .. } => return None,
        };
        let (made_at, expires_at) = (self.created_at, self.created_at + INVITATION_LIFETIME);
        Some(OpenInvitation { invitation: self.id, link, made_at, expires_at })
    }

    pub(crate) fn bundle_hash(&self) -> &[u8; 32] {
        &self.link.bundle_hash
    }

    /// When [`Self::expire`] is due; never for one that was accepted or is being closed.
    pub(crate) fn expires_at(&self) -> Timestamp {
        match self.stage {
            Stage::Publishing { .. } | Stage::Open => self.created_at + INVITATION_LIFETIME,
            Stage::Closing { .. } | Stage::Reading { .. } => Timestamp::MAX,
        }
    }

    pub(crate) fn owns(&self, id: &BoxId) -> bool {
        match &self.stage {
            Stage::Publishing { left } => left.contains_key(id),
            Stage::Open | Stage::Closing { .. } => *id == self.accept_box(),
            Stage::Reading { reader } => reader.missing().contains(id),
        }
    }

    /// A box of ours was decided.
    pub(crate) fn written(
        &mut self,
        turn: &mut Turn<'_>,
        id: BoxId,
        outcome: &WriteOutcome,
    ) -> Step {
        match (&mut self.stage, outcome) {
            (Stage::Publishing { left }, _) => {
                left.remove(&id);
                self.publish_progress(turn);
                Step::Waiting
            }
            (Stage::Closing { .. }, WriteOutcome::Exists(accepted)) => {
                self.stage = Stage::Open;
                self.arrived(turn, accepted)
            }
            (Stage::Closing { .. }, WriteOutcome::Stored | WriteOutcome::Expired) => {
                let over = self.created_at + INVITATION_LIFETIME <= turn.now;
                let reason =
                    if over { InvitationFailure::Expired } else { InvitationFailure::Withdrawn };
                self.failed(turn, reason)
            }
            (Stage::Open | Stage::Reading { .. }, _) => Step::Waiting,
        }
    }

    fn publish_progress(&mut self, turn: &mut Turn<'_>) {
        let Stage::Publishing { left } = &self.stage else { return };
        if left.is_empty() {
            self.stage = Stage::Open;
            self.save(turn);
            turn.follow(self.accept_box(), Urgency::Resting);
            self.tell(turn, InvitationState::Open);
            if let Some(tag) = self.tag.take() {
                turn.done(tag, Ok(Response::Link(self.link.to_string())));
            }
        }
    }

    /// Somebody wrote the accept box.
    pub(crate) fn arrived(&mut self, turn: &mut Turn<'_>, boxed: &SealedBox) -> Step {
        match &self.stage {
            Stage::Open => {}
            // Closed by ourselves, or accepted at the last moment.
            Stage::Closing { closed } if closed != boxed => {}
            _ => return Step::Waiting,
        }
        let opened = Lane::new(self.link.accept_lane_secret()).keys().open(boxed).ok();
        let pointer = opened
            .and_then(|bytes| AcceptEntry::from_wire(&bytes).ok())
            .and_then(|entry| RunPointer::from_bytes(&entry.run).ok());
        let pointer = pointer.filter(|run| (1..=MAX_MEETING_BOXES).contains(&run.box_count()));
        let Some(pointer) = pointer else { return self.spoiled(turn) };
        let reader = RunReader::new(pointer.clone());
        for id in reader.missing() {
            turn.read(id);
        }
        self.stage = Stage::Reading { reader };
        self.save_with(turn, Vec::new(), Some(pointer.to_bytes().to_vec()));
        self.tell(turn, InvitationState::Accepted);
        Step::Waiting
    }

    /// A box of the accepted run was read.
    pub(crate) fn read(&mut self, turn: &mut Turn<'_>, outcome: ReadOutcome) -> Step {
        let Stage::Reading { reader } = &mut self.stage else { return Step::Waiting };
        // The accepter stores the run before the accept box, so it is there or never will be.
        let ReadOutcome::Found(boxed) = outcome else { return self.spoiled(turn) };
        if reader.add(&boxed).is_err() {
            return self.spoiled(turn);
        }
        match reader.value() {
            Ok(None) => Step::Waiting,
            Ok(Some(bytes)) => self.meet(turn, &bytes),
            Err(_) => self.spoiled(turn),
        }
    }

    fn meet(&mut self, turn: &mut Turn<'_>, bytes: &[u8]) -> Step {
        let joined = Meeting::from_wire(bytes).ok().and_then(|meeting| {
            let member = PendingMember::from_stored(&self.member.to_stored()).ok()?;
            let group = Group::join(member, &meeting.welcome).ok()?;
            Some((group, meeting.hello))
        });
        let Some((group, hello)) = joined else { return self.spoiled(turn) };
        let id = ConversationId::random(turn.rng);
        let founding =
            Founding { id, group, name: String::new(), invitation: self.link.bundle_hash };
        let mut conversation = Conversation::found(turn, founding);
        conversation.take_message(turn, &hello);
        conversation.name_if_unnamed(turn);
        conversation.resume(turn);
        // The init keys go with the invitation: forward secrecy begins here.
        self.delete(turn);
        Step::Ended(Some(Box::new(conversation)))
    }

    /// Its time is over. We may have been offline when it was accepted, so the accept box is asked:
    /// it is closed with a box of our own, and whoever comes late learns so; if somebody was there
    /// before, their acceptance stands.
    pub(crate) fn expire(&mut self, turn: &mut Turn<'_>) {
        self.close(turn);
    }

    /// Its owner takes it back: as if its time were over. One whose link nobody has seen is simply
    /// dropped.
    pub(crate) fn withdraw(&mut self, turn: &mut Turn<'_>) -> Result<Step, CommandError> {
        match self.stage {
            Stage::Publishing { .. } => {
                if let Some(tag) = self.tag.take() {
                    turn.done(tag, Err(CommandError::InvitationWithdrawn));
                }
                Ok(self.failed(turn, InvitationFailure::Withdrawn))
            }
            Stage::Open => {
                self.close(turn);
                Ok(Step::Waiting)
            }
            Stage::Closing { .. } | Stage::Reading { .. } => Err(CommandError::UnknownInvitation),
        }
    }

    fn close(&mut self, turn: &mut Turn<'_>) {
        let keys = Lane::new(self.link.accept_lane_secret()).keys();
        let closed = keys.seal(turn.rng, CLOSED).expect("a word is smaller than a box");
        turn.unfollow(closed.id());
        turn.write(closed.clone());
        self.stage = Stage::Closing { closed };
        self.save(turn);
        self.tell(turn, InvitationState::Closing);
    }

    fn spoiled(&self, turn: &mut Turn<'_>) -> Step {
        self.failed(turn, InvitationFailure::Spoiled)
    }

    fn failed(&self, turn: &mut Turn<'_>, reason: InvitationFailure) -> Step {
        self.delete(turn);
        self.tell(turn, InvitationState::Failed(reason));
        turn.event(Event::InvitationFailed { reason });
        Step::Ended(None)
    }

    fn tell(&self, turn: &mut Turn<'_>, state: InvitationState) {
        turn.event(Event::Invitation { invitation: self.id, state });
    }

    fn accept_box(&self) -> BoxId {
        Lane::new(self.link.accept_lane_secret()).keys().id()
    }

    fn delete(&self, turn: &mut Turn<'_>) {
        turn.delete(keys::invitation(self.id.as_bytes()));
    }

    fn save(&self, turn: &mut Turn<'_>) {
        let publishing = match &self.stage {
            Stage::Publishing { left } => left.values().cloned().collect(),
            Stage::Open | Stage::Closing { .. } | Stage::Reading { .. } => Vec::new(),
        };
        self.save_with(turn, publishing, None);
    }

    fn save_with(&self, turn: &mut Turn<'_>, publishing: Vec<SealedBox>, run: Option<Vec<u8>>) {
        let stored = Stored {
            link: self.link.to_string(),
            member: self.member.to_stored().to_vec(),
            created_at: self.created_at,
            publishing,
            run,
            closed: match &self.stage {
                Stage::Closing { closed } => Some(closed.clone()),
                _ => None,
            },
        };
        turn.put_wire(keys::invitation(self.id.as_bytes()), &stored);
    }
}

/// The bundle's boxes: its length in two bytes, itself, zeros, over [`BUNDLE_BOXES`] boxes.
fn seal_bundle(
    turn: &mut Turn<'_>,
    link: &InvitationLink,
    bundle: &[u8],
) -> Result<BTreeMap<BoxId, SealedBox>, CommandError> {
    const TOO_LONG: CommandError = CommandError::Internal("a bundle larger than its boxes");
    let len = u16::try_from(bundle.len()).map_err(|_| TOO_LONG)?;
    let mut padded = len.to_be_bytes().to_vec();
    padded.extend_from_slice(bundle);
    let capacity = usize::from(BUNDLE_BOXES) * MAX_CONTENT_LEN;
    if padded.len() > capacity {
        return Err(TOO_LONG);
    }
    padded.resize(capacity, 0);
    let lane = Lane::new(link.bundle_lane_secret());
    let mut boxes = BTreeMap::new();
    for (ahead, part) in (0..BUNDLE_BOXES).zip(padded.chunks(MAX_CONTENT_LEN)) {
        let boxed = lane.peek(ahead).seal(turn.rng, part).map_err(|_| TOO_LONG)?;
        boxes.insert(boxed.id(), boxed);
    }
    Ok(boxes)
}

/// Undoes [`seal_bundle`]; `None` if the boxes hold anything else.
pub(crate) fn open_bundle(
    link: &InvitationLink,
    boxes: &BTreeMap<BoxId, SealedBox>,
) -> Option<Vec<u8>> {
    let lane = Lane::new(link.bundle_lane_secret());
    let mut padded = Vec::new();
    for ahead in 0..BUNDLE_BOXES {
        let keys = lane.peek(ahead);
        padded.extend(keys.open(boxes.get(&keys.id())?).ok()?);
    }
    let (len, rest) = padded.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*len))).map(<[u8]>::to_vec)
}
