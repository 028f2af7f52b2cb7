//! Accepting: the other side of a one-time invitation (spec/05).
//!
//! ```text
//! Checking ──bundle read──► Publishing ──run stored──► Claiming ──accept box ours──► a conversation
//! ```
//!
//! The accept box is the last step, so a crash before it burns nothing: what was sealed is on disk
//! and written again, and nobody else can tell that anything began.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xchat_base::Wire;
use xchat_e2ee::{AcceptEntry, Group, InvitationLink, Meeting};
use xchat_pigeonhole::outcome::{ReadOutcome, WriteOutcome};
use xchat_pigeonhole::{BoxId, Lane, RunPointer, SealedBox};

use crate::api::{CommandError, ConversationId, Event, Profile, Response};
use crate::conversation::{Conversation, Founding, LoadError, clean_name};
use crate::invite::{BUNDLE_BOXES, CLOSED, open_bundle};
use crate::keys;
use crate::record::{self, Batch};
use crate::turn::Turn;

/// An acceptance under way.
pub(crate) struct Acceptance {
    id: ConversationId,
    link: InvitationLink,
    stage: Stage,
    tag: Option<u64>,
}

enum Stage {
    /// Is it still free, and what does it hold?
    Checking { free: bool, bundle: BTreeMap<BoxId, SealedBox> },
    /// The group stands; the Welcome's run is being stored.
    Publishing { group: Group, name: String, run: BTreeMap<BoxId, SealedBox>, claim: SealedBox },
    /// The accept box is being written.
    Claiming { group: Group, name: String, claim: SealedBox },
}

/// What became of an acceptance in one turn.
pub(crate) enum Step {
    /// It goes on.
    Waiting,
    /// It ended; an error was told already.
    Ended(Option<Box<Conversation>>),
}

#[derive(Serialize, Deserialize)]
struct Stored {
    link: String,
    name: String,
    /// Boxes of the run that may not be stored yet; empty once all are.
    run: Vec<SealedBox>,
    claim: SealedBox,
}

impl Wire for Stored {
    const FORMAT: &'static str = "stored acceptance";
    const VERSION: u8 = 1;
    const MAX_LEN: usize = 64 * 1024;
}

impl Acceptance {
    /// Starts to look at an invitation.
    pub(crate) fn start(turn: &mut Turn<'_>, link: InvitationLink, tag: u64) -> Self {
        let stage = Stage::Checking { free: false, bundle: BTreeMap::new() };
        let id = ConversationId::random(turn.rng);
        let acceptance = Self { id, link, stage, tag: Some(tag) };
        turn.read(acceptance.accept_box());
        for id in acceptance.bundle_boxes() {
            turn.read(id);
        }
        acceptance
    }

    /// Only acceptances that have sealed something are kept; a mere look leaves nothing behind.
    pub(crate) fn load(
        id: ConversationId,
        value: &[u8],
        mls: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, LoadError> {
        let stored = Stored::from_wire(value)?;
        let link = stored.link.parse().map_err(|_| LoadError::Incomplete("link"))?;
        let group = Group::load(mls)?;
        let (name, claim) = (stored.name, stored.claim);
        let stage = if stored.run.is_empty() {
            Stage::Claiming { group, name, claim }
        } else {
            let run = stored.run.into_iter().map(|boxed| (boxed.id(), boxed)).collect();
            Stage::Publishing { group, name, run, claim }
        };
        Ok(Self { id, link, stage, tag: None })
    }

    /// After a restart: asks again for what is under way.
    pub(crate) fn resume(&self, turn: &mut Turn<'_>) {
        match &self.stage {
            Stage::Checking { .. } => {}
            Stage::Publishing { run, .. } => {
                for boxed in run.values() {
                    turn.write(boxed.clone());
                }
            }
            Stage::Claiming { claim, .. } => turn.write(claim.clone()),
        }
    }

    pub(crate) fn bundle_hash(&self) -> &[u8; 32] {
        &self.link.bundle_hash
    }

    /// The person asked again: the newer question gets the answer.
    pub(crate) fn ask_again(&mut self, turn: &mut Turn<'_>, tag: u64) {
        if let Some(older) = self.tag.replace(tag) {
            turn.done(older, Err(CommandError::Internal("asked again by a newer command")));
        }
    }

    pub(crate) fn owns(&self, id: &BoxId) -> bool {
        match &self.stage {
            Stage::Checking { .. } => {
                *id == self.accept_box() || self.bundle_boxes().any(|known| known == *id)
            }
            Stage::Publishing { run, .. } => run.contains_key(id),
            Stage::Claiming { claim, .. } => claim.id() == *id,
        }
    }

    /// A box of the invitation was read.
    pub(crate) fn read(
        &mut self,
        turn: &mut Turn<'_>,
        profile: &Profile,
        id: BoxId,
        outcome: ReadOutcome,
    ) -> Step {
        let accept_box = self.accept_box();
        let Stage::Checking { free, bundle } = &mut self.stage else { return Step::Waiting };
        match outcome {
            ReadOutcome::Empty if id == accept_box => *free = true,
            ReadOutcome::Found(boxed) if id == accept_box => {
                let error = self.taken_by(&boxed);
                return self.fail(turn, error);
            }
            ReadOutcome::Found(boxed) => {
                bundle.insert(id, boxed);
            }
            ReadOutcome::Empty | ReadOutcome::Expired => {
                return self.fail(turn, CommandError::InvitationExpired);
            }
        }
        if !*free || bundle.len() < usize::from(BUNDLE_BOXES) {
            return Step::Waiting;
        }
        match self.prepare(turn, profile) {
            Ok(()) => Step::Waiting,
            Err(error) => self.fail(turn, error),
        }
    }

    /// Makes the group, and seals the Welcome's run and the accept box.
    fn prepare(&mut self, turn: &mut Turn<'_>, profile: &Profile) -> Result<(), CommandError> {
        let Stage::Checking { bundle, .. } = &self.stage else { return Ok(()) };
        let forged = CommandError::InvitationForged;
        let bytes = open_bundle(&self.link, bundle).ok_or(forged.clone())?;
        let bundle = self.link.check_bundle(&bytes).map_err(|_| forged.clone())?;
        let (mut group, welcome) =
            Group::create(turn.rng, &bundle.key_package).map_err(|_| forged)?;
        let own_name = record::Profile { name: profile.name.clone() }.to_wire();
        let records = record::split(1, record::kind::PROFILE, &own_name);
        let hello = group
            .encrypt(turn.rng, &Batch { records }.to_wire())
            .map_err(|_| CommandError::Internal("the hello cannot be encrypted"))?;
        let meeting = Meeting { welcome, hello }.to_wire();
        let (pointer, boxes) = RunPointer::seal(turn.rng, &meeting)
            .map_err(|_| CommandError::Internal("a Welcome larger than a run"))?;
        let entry = AcceptEntry { run: pointer.to_bytes().to_vec() }.to_wire();
        let claim = Lane::new(self.link.accept_lane_secret())
            .keys()
            .seal(turn.rng, &entry)
            .map_err(|_| CommandError::Internal("an accept entry larger than a box"))?;
        let run: BTreeMap<_, _> = boxes.into_iter().map(|boxed| (boxed.id(), boxed)).collect();
        for boxed in run.values() {
            turn.write(boxed.clone());
        }
        turn.save_group(self.id, &mut group);
        let name = clean_name(&bundle.name);
        self.stage = Stage::Publishing { group, name, run, claim };
        self.save(turn);
        Ok(())
    }

    /// One of our boxes was decided.
    pub(crate) fn written(
        mut self,
        turn: &mut Turn<'_>,
        id: BoxId,
        outcome: WriteOutcome,
    ) -> (Option<Self>, Step) {
        match self.stage {
            Stage::Publishing { group, name, mut run, claim } => {
                if outcome == WriteOutcome::Expired {
                    // Off for so long in the middle of it that boxes of the run are gone.
                    self.stage = Stage::Publishing { group, name, run, claim };
                    let step = self.fail(turn, CommandError::InvitationExpired);
                    return (None, step);
                }
                // The run's secret is fresh, so the value there is ours.
                run.remove(&id);
                self.stage = if run.is_empty() {
                    turn.write(claim.clone());
                    Stage::Claiming { group, name, claim }
                } else {
                    Stage::Publishing { group, name, run, claim }
                };
                self.save(turn);
                (Some(self), Step::Waiting)
            }
            Stage::Claiming { group, name, claim } => match outcome {
                WriteOutcome::Stored => {
                    let founding =
                        Founding { id: self.id, group, name, invitation: self.link.bundle_hash };
                    let conversation = won(turn, founding, self.tag);
                    turn.delete(keys::acceptance(self.id));
                    (None, Step::Ended(Some(Box::new(conversation))))
                }
                WriteOutcome::Exists(_) | WriteOutcome::Expired => {
                    self.stage = Stage::Claiming { group, name, claim };
                    let error = match &outcome {
                        WriteOutcome::Exists(other) => self.taken_by(other),
                        _ => CommandError::InvitationExpired,
                    };
                    let step = self.fail(turn, error);
                    (None, step)
                }
            },
            Stage::Checking { .. } => (Some(self), Step::Waiting),
        }
    }

    fn fail(&mut self, turn: &mut Turn<'_>, error: CommandError) -> Step {
        if !matches!(self.stage, Stage::Checking { .. }) {
            turn.delete(keys::acceptance(self.id));
            turn.delete_prefix(keys::conversation(self.id));
        }
        match self.tag.take() {
            Some(tag) => turn.done(tag, Err(error)),
            None => turn.event(Event::AcceptFailed { error }),
        }
        Step::Ended(None)
    }

    /// Why the accept box is not ours: another person's acceptance, or the inviter has closed it.
    fn taken_by(&self, boxed: &SealedBox) -> CommandError {
        let opened = Lane::new(self.link.accept_lane_secret()).keys().open(boxed);
        if opened.is_ok_and(|bytes| bytes == CLOSED) {
            CommandError::InvitationExpired
        } else {
            CommandError::InvitationUsed
        }
    }

    fn accept_box(&self) -> BoxId {
        Lane::new(self.link.accept_lane_secret()).keys().id()
    }

    fn bundle_boxes(&self) -> impl Iterator<Item = BoxId> + use<> {
        let lane = Lane::new(self.link.bundle_lane_secret());
        (0..BUNDLE_BOXES).map(move |ahead| lane.peek(ahead).id())
    }

    fn save(&self, turn: &mut Turn<'_>) {
        let (name, run, claim) = match &self.stage {
            Stage::Checking { .. } => return,
            Stage::Publishing { name, run, claim, .. } => {
                (name, run.values().cloned().collect(), claim)
            }
            Stage::Claiming { name, claim, .. } => (name, Vec::new(), claim),
        };
        let (link, name, claim) = (self.link.to_string(), name.clone(), claim.clone());
        turn.put_wire(keys::acceptance(self.id), &Stored { link, name, run, claim });
    }
}

/// The accept box is ours: the conversation begins.
fn won(turn: &mut Turn<'_>, founding: Founding, tag: Option<u64>) -> Conversation {
    let mut conversation = Conversation::found(turn, founding);
    // The hello in the Welcome's run was our first record.
    conversation.skip_hello();
    conversation.name_if_unnamed(turn);
    conversation.resume(turn);
    if let Some(tag) = tag {
        turn.done(tag, Ok(Response::Contact(conversation.contact())));
    }
    conversation
}
