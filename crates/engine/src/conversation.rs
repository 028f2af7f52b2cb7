//! One conversation: an MLS group whose messages lie in lanes of boxes (spec/04).
//!
//! The parts: [`outbox`] keeps what we said until it cannot be lost, [`own_lane`] puts it into boxes,
//! [`inbox`] reads the others' lanes, [`epoch`] moves everybody to new keys without losing anything,
//! [`proof`] finds out whether what was loaded is still the newest, [`rejoin`] comes back if not.

mod epoch;
mod group;
mod held;
mod inbox;
#[cfg(feature = "mutations")]
mod model;
mod mutation;
mod outbox;
mod own_lane;
mod proof;
mod rejoin;
mod stored;
mod talk;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use xchat_base::random::Rng;
use xchat_base::{Timestamp, random};
use xchat_e2ee::Group;
use xchat_pigeonhole::outcome::{ReadOutcome, WriteOutcome};
use xchat_pigeonhole::{BoxId, SealedBox};
use zeroize::Zeroizing;

use self::epoch::Epoch;
pub use self::group::EpochGroup;
use self::held::Held;
use self::inbox::Incoming;
pub(crate) use self::inbox::clean_name;
#[cfg(feature = "mutations")]
pub use self::model::{Side, SideInput, commit_entry};
#[cfg(feature = "mutations")]
pub use self::mutation::Mutation;
use self::outbox::Outbox;
use self::proof::Proof;
use self::rejoin::Rejoin;
pub use self::stored::LoadError;
pub(crate) use self::stored::Parts;
pub use self::talk::Talk;
use crate::api::{Alert, Contact, ContactId, ConversationId, Event, MessageState};
use crate::turn::Turn;

/// How often the commit lane is looked at although nothing points there: the authority behind the
/// "epoch ended" record, which is only a hint and can be lost with its writer's device. Times a factor drawn each time ([`spread`]).
const COMMIT_CHECK_PERIOD: Duration = Duration::from_secs(12 * 3600);

/// How often the rejoin lanes are looked into: their next boxes are followed besides. Times a factor as well.
const REJOIN_CHECK_PERIOD: Duration = Duration::from_secs(24 * 3600);

/// A period times a random factor from one half to three halves: what a program reads of all its conversations in one moment, each time
/// that the period is over, stores would know to belong together.
fn spread(period: Duration, rng: &mut Rng) -> Duration {
    period.mul_f64(0.5 + random::unit(rng))
}

/// What a box of this conversation is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A box of our own lane, by index.
    Own(u64),
    /// A box of a lane that we read: which lane, which index.
    Peer(usize, u64),
    /// The commit lane's next entry.
    Commit,
    /// A box of our own commit's run.
    OwnRun,
    /// The next box of our own lane, read to prove that our state is the newest.
    OwnNext,
    /// The next box of a rejoin lane, by its window.
    Rejoin(u64),
    /// A box of the run of our own request or answer in the rejoin lane.
    RejoinRun,
}

/// What a new conversation starts from.
pub(crate) struct Founding<G = Group> {
    pub(crate) id: ConversationId,
    pub(crate) group: G,
    pub(crate) name: String,
    /// The invitation's bundle hash: a link is used once.
    pub(crate) invitation: [u8; 32],
}

/// One conversation.
#[cfg_attr(feature = "mutations", derive(Clone))]
pub(crate) struct Conversation<G = Group> {
    id: ConversationId,
    contact: ContactId,
    name: String,
    verified: bool,
    invitation: [u8; 32],
    /// Somebody has rejoined since the safety numbers were compared.
    rejoined: bool,
    rejoin: Rejoin<G>,
    proof: Proof,
    /// When the network was last known to be as we are.
    synced: Timestamp,
    /// Numbers given out up to this one are surely ours: a later life of this device, if there was
    /// one, may have given those behind it to other records. None once a box that we sealed since
    /// was stored.
    doubt: Option<u64>,
    /// A receipt for numbers that are in doubt; 0 for none.
    early_receipt: u64,
    /// After a rejoin: what we said after this number is to be taken from the history.
    recalling: Option<u64>,
    group: G,
    outbox: Outbox,
    held: Held,
    /// Per sender leaf.
    incoming: BTreeMap<u32, Incoming>,
    epoch: Epoch,
    ids: BTreeMap<BoxId, Purpose>,
    next_check: Timestamp,
    next_rejoin_check: Timestamp,
    last_activity: Timestamp,
    /// When we last acknowledged something; not kept.
    receipted_at: Timestamp,
    dirty: bool,
    #[cfg(feature = "mutations")]
    mutation: Option<Mutation>,
    /// A model's: its disk is never an older one, and nobody rejoins.
    #[cfg(feature = "mutations")]
    modelled: bool,
}

impl Conversation {
    pub(crate) fn safety_number(&self) -> String {
        self.group.safety_number().to_string()
    }
}

impl<G: EpochGroup> Conversation<G> {
    /// Starts a conversation in its group's first common epoch.
    pub(crate) fn found(turn: &mut Turn<'_>, founding: Founding<G>) -> Self {
        let Founding { id, group, name, invitation } = founding;
        let rejoin = Rejoin::new(group.export("rejoin", b""), group.own_leaf());
        let epoch = Epoch::enter(&group, turn.now);
        let mut conversation = Self {
            id,
            contact: ContactId::random(turn.rng),
            name,
            verified: false,
            invitation,
            rejoined: false,
            rejoin,
            proof: Proof::BEGIN,
            synced: turn.now,
            doubt: None,
            early_receipt: 0,
            recalling: None,
            group,
            outbox: Outbox::default(),
            held: Held::default(),
            incoming: BTreeMap::new(),
            epoch,
            ids: BTreeMap::new(),
            next_check: turn.now + spread(COMMIT_CHECK_PERIOD, turn.rng),
            next_rejoin_check: turn.now + spread(REJOIN_CHECK_PERIOD, turn.rng),
            last_activity: turn.now,
            receipted_at: Timestamp::ZERO,
            dirty: true,
            #[cfg(feature = "mutations")]
            mutation: None,
            #[cfg(feature = "mutations")]
            modelled: false,
        };
        turn.save_group(id, &mut conversation.group);
        conversation
    }

    /// Asks for all boxes that this conversation waits for: at its start and after each restart.
    pub(crate) fn resume(&mut self, turn: &mut Turn<'_>) {
        if !self.is_modelled() {
            self.doubt.get_or_insert(self.outbox.last_seq);
        }
        self.resume_flights(turn);
        self.follow_lanes(turn);
        self.prove(turn);
        self.resume_epoch(turn);
        self.resume_rejoin(turn);
        self.next_check = self.next_look(COMMIT_CHECK_PERIOD, turn);
        self.next_rejoin_check = self.next_look(REJOIN_CHECK_PERIOD, turn);
        self.pump(turn);
    }

    /// The accepter's first record travelled beside the Welcome.
    pub(crate) fn skip_hello(&mut self) {
        self.outbox.last_seq = 1;
        self.outbox.sealed_up_to = 1;
    }

    /// The contact is complete; who gave no name gets one made from their id.
    pub(crate) fn name_if_unnamed(&mut self, turn: &mut Turn<'_>) {
        if self.name.is_empty() {
            self.name = format!("contact-{}", &self.contact.to_hex()[..4]);
        }
        turn.event(Event::Contact(self.contact()));
    }

    /// The person's view.
    pub(crate) fn contact(&self) -> Contact {
        Contact {
            contact: self.contact,
            name: self.name.clone(),
            conversation: self.id,
            verified: self.verified,
            rejoined: self.rejoined,
            rejoining: self.rejoin.is_rejoining(),
        }
    }

    pub(crate) fn invitation(&self) -> &[u8; 32] {
        &self.invitation
    }

    pub(crate) fn set_verified(&mut self, turn: &mut Turn<'_>, verified: bool) {
        self.verified = verified;
        self.rejoined &= !verified;
        self.dirty = true;
        turn.event(Event::Contact(self.contact()));
    }

    /// Puts a text into the outbox.
    pub(crate) fn send_text(&mut self, turn: &mut Turn<'_>, text: String) -> (u64, MessageState) {
        // It goes into the same box.
        self.queue_receipt(turn, |_| true);
        let sent = self.queue_text(turn, text);
        self.last_activity = turn.now;
        self.pump(turn);
        sent
    }

    /// Whether a box belongs to this conversation now.
    pub(crate) fn owns(&self, id: &BoxId) -> bool {
        self.ids.contains_key(id) || self.epoch.run_ids.contains(id) || self.rejoin.owns(id)
    }

    /// One of our writes was decided.
    pub(crate) fn written(&mut self, turn: &mut Turn<'_>, id: BoxId, outcome: WriteOutcome) {
        if self.epoch.run_ids.contains(&id) {
            self.void_written(turn, id, outcome.clone());
        }
        match self.ids.get(&id).copied() {
            Some(Purpose::Own(index)) => self.own_box_written(turn, index, outcome),
            Some(Purpose::OwnRun) => self.own_run_written(turn, id, &outcome),
            Some(Purpose::Commit) => self.own_entry_written(turn, outcome),
            Some(Purpose::Rejoin(window)) => self.rejoin_box_written(turn, window, id, outcome),
            Some(Purpose::RejoinRun) => self.rejoin_run_written(turn, id, &outcome),
            Some(Purpose::Peer(..) | Purpose::OwnNext) | None => {}
        }
        self.pump(turn);
    }

    /// One of our reads was answered.
    pub(crate) fn read(&mut self, turn: &mut Turn<'_>, id: BoxId, outcome: ReadOutcome) {
        if self.epoch.run_ids.contains(&id) {
            self.run_read(turn, id, outcome.clone());
        }
        if self.rejoin.owns(&id) {
            self.rejoin_run_read(turn, id, outcome.clone());
        }
        match self.ids.get(&id).copied() {
            Some(Purpose::Peer(lane, index)) => self.drain_read(turn, lane, index, outcome),
            Some(Purpose::Commit) => self.commit_read(turn, outcome),
            Some(Purpose::OwnNext) => self.own_next_read(turn, &outcome),
            Some(Purpose::Rejoin(window)) => self.rejoin_box_read(turn, window, id, outcome),
            Some(Purpose::Own(_) | Purpose::OwnRun | Purpose::RejoinRun) | None => {}
        }
        self.pump(turn);
    }

    /// A followed box was written.
    pub(crate) fn arrived(&mut self, turn: &mut Turn<'_>, boxed: SealedBox) {
        let id = boxed.id();
        match self.ids.get(&id).copied() {
            Some(Purpose::Peer(lane, index)) => self.box_arrived(turn, lane, index, boxed),
            Some(Purpose::Rejoin(window)) => {
                self.rejoin_box_read(turn, window, id, ReadOutcome::Found(boxed));
            }
            _ => {}
        }
        self.pump(turn);
    }

    /// What is due by the clock: receipts, the look at the commit lane, the renewal of keys.
    pub(crate) fn timer(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        self.queue_receipt(turn, |due| due <= now);
        if turn.now >= self.next_check {
            self.next_check = self.next_look(COMMIT_CHECK_PERIOD, turn);
            self.check_commit_lane(turn);
        }
        if turn.now >= self.next_rejoin_check {
            self.next_rejoin_check = self.next_look(REJOIN_CHECK_PERIOD, turn);
            self.look_for_rejoin(turn);
        }
        self.pump(turn);
    }

    /// When something that is looked into now is next looked into.
    fn next_look(&self, period: Duration, turn: &mut Turn<'_>) -> Timestamp {
        // In a model every draw would be a state of its own.
        let period = if self.is_modelled() { period } else { spread(period, turn.rng) };
        turn.now + period
    }

    /// When [`Self::timer`] wants to be called next.
    pub(crate) fn next_wake(&self, now: Timestamp) -> Timestamp {
        let due = [self.receipt_due(), self.rejoin.wake(now)];
        due.into_iter().flatten().fold(self.next_check.min(self.next_rejoin_check), Timestamp::min)
    }

    /// Keeps the conversation's own state if this turn changed it. Call once, at the turn's end.
    pub(crate) fn save(&mut self, turn: &mut Turn<'_>) {
        turn.save_group(self.id, &mut self.group);
        self.save_held(turn);
        if std::mem::take(&mut self.dirty) {
            let state = Zeroizing::new(self.to_stored());
            turn.put(crate::keys::state(self.id), state.to_vec());
        }
    }

    fn alert(&self, turn: &mut Turn<'_>, alert: Alert) {
        turn.event(Event::Alert { conversation: self.id, alert });
    }
}
