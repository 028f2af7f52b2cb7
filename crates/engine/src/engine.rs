//! The engine: commands to conversations, boxes to their owners.

use std::collections::BTreeMap;

use xchat_base::Timestamp;
use xchat_base::random::Rng;
use xchat_e2ee::InvitationLink;
use xchat_pigeonhole::outcome::{ReadOutcome, WriteOutcome};
use xchat_pigeonhole::{BoxId, SealedBox};

use crate::accept::{self, Acceptance};
use crate::api::{
    Command, CommandError, Contact, ConversationId, Effect, HandOut, Input, InvitationId,
    MAX_CONVERSATIONS, MAX_OPEN_INVITATIONS, MAX_TEXT_LEN, OpenInvitation, Profile, Response,
};
use crate::conversation::{Conversation, LoadError, Parts};
use crate::invite::{self, Invitation};
use crate::keys::{self, Key};
use crate::turn::Turn;

/// A person's conversations, as one state machine.
pub struct Engine {
    profile: Profile,
    conversations: BTreeMap<ConversationId, Conversation>,
    invitations: Vec<Invitation>,
    acceptances: Vec<Acceptance>,
    next_row: u64,
}

impl Engine {
    /// Builds the engine from everything that [`Effect::Persist`] ever stored (nothing, for a new
    /// profile), and asks again for all that was under way.
    ///
    /// # Errors
    /// [`LoadError`]: the stored state is damaged or of another version.
    pub fn load(
        profile: Profile,
        state: Vec<(Vec<u8>, Vec<u8>)>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<Effect>), LoadError> {
        let mut engine = Self {
            profile,
            conversations: BTreeMap::new(),
            invitations: Vec::new(),
            acceptances: Vec::new(),
            next_row: 1,
        };
        engine.fill(state, now)?;
        let mut turn = Turn::new(now, rng, engine.next_row);
        for invitation in &engine.invitations {
            invitation.resume(&mut turn);
        }
        for acceptance in &engine.acceptances {
            acceptance.resume(&mut turn);
        }
        for conversation in engine.conversations.values_mut() {
            conversation.resume(&mut turn);
        }
        let effects = engine.finish(turn);
        Ok((engine, effects))
    }

    /// Takes one input and gives the batch of effects that follows from it. `tickets` is asked for those that go with what is written;
    /// [`crate::no_tickets`] has none, and everything arrives without, later.
    pub fn handle<'a>(
        &mut self,
        input: Input,
        now: Timestamp,
        rng: &'a mut Rng,
        tickets: &'a mut HandOut<'a>,
    ) -> Vec<Effect> {
        let mut turn = Turn::new(now, rng, self.next_row).with_tickets(tickets);
        match input {
            Input::Command { tag, command } => self.command(&mut turn, tag, command),
            Input::Written { id, outcome } => self.written(&mut turn, id, outcome),
            Input::Read { id, outcome } => self.read(&mut turn, id, outcome),
            Input::Arrived(boxed) => self.arrived(&mut turn, boxed),
            Input::Recalled { conversation, recalled } => {
                if let Some(conversation) = self.conversations.get_mut(&conversation) {
                    conversation.recalled(&mut turn, recalled);
                }
            }
            Input::Timer => self.timer(&mut turn),
        }
        self.finish(turn)
    }

    /// All contacts.
    pub fn contacts(&self) -> Vec<Contact> {
        self.conversations.values().map(Conversation::contact).collect()
    }

    fn fill(&mut self, state: Vec<(Vec<u8>, Vec<u8>)>, now: Timestamp) -> Result<(), LoadError> {
        let mut parts: BTreeMap<ConversationId, Parts> = BTreeMap::new();
        let mut acceptances = Vec::new();
        for (key, value) in state {
            match keys::parse(&key).ok_or(LoadError::Incomplete("an unknown key"))? {
                Key::NextRow => {
                    let row = value.try_into().map_err(|_| LoadError::Incomplete("row counter"))?;
                    self.next_row = u64::from_be_bytes(row);
                }
                Key::Invitation(id) => {
                    let id = InvitationId::from_bytes(id);
                    self.invitations.push(Invitation::load(id, &value)?);
                }
                Key::Acceptance(id) => acceptances.push((id, value)),
                Key::Conversation(id, part) => {
                    parts.entry(id).or_default().add(part, value);
                }
            }
        }
        for (id, value) in acceptances {
            let mls = parts.remove(&id).ok_or(LoadError::Incomplete("an acceptance's group"))?.mls;
            self.acceptances.push(Acceptance::load(id, &value, mls)?);
        }
        for (id, parts) in parts {
            self.conversations.insert(id, Conversation::load(id, parts, now)?);
        }
        Ok(())
    }

    fn finish(&mut self, mut turn: Turn<'_>) -> Vec<Effect> {
        let mut wake_at: Option<Timestamp> = None;
        let mut earlier = |at: Timestamp| wake_at = Some(wake_at.map_or(at, |w| w.min(at)));
        for conversation in self.conversations.values_mut() {
            conversation.save(&mut turn);
            earlier(conversation.next_wake(turn.now));
        }
        for invitation in &self.invitations {
            earlier(invitation.expires_at());
        }
        let (effects, next_row) = turn.finish(wake_at);
        self.next_row = next_row;
        effects
    }

    fn command(&mut self, turn: &mut Turn<'_>, tag: u64, command: Command) {
        let result = match command {
            Command::Invite => match self.invite(turn, tag) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Command::Invitations => Ok(Response::Invitations(self.open_invitations())),
            Command::Withdraw { invitation } => self.withdraw(turn, invitation),
            Command::Accept { link } => match self.accept(turn, tag, &link) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Command::Send { conversation, text } => self.send(turn, conversation, text),
            Command::Contacts => Ok(Response::Contacts(self.contacts())),
            Command::SafetyNumber { conversation } => self
                .conversation(conversation)
                .map(|conversation| conversation.safety_number())
                .map(|digits| Response::SafetyNumber { digits }),
            Command::SetVerified { conversation, verified } => self
                .conversation(conversation)
                .map(|conversation| conversation.set_verified(turn, verified))
                .map(|()| Response::Ok),
        };
        turn.done(tag, result);
    }

    fn conversation(&mut self, id: ConversationId) -> Result<&mut Conversation, CommandError> {
        self.conversations.get_mut(&id).ok_or(CommandError::UnknownConversation)
    }

    fn invite(&mut self, turn: &mut Turn<'_>, tag: u64) -> Result<(), CommandError> {
        if self.invitations.len() >= MAX_OPEN_INVITATIONS {
            return Err(CommandError::TooMany("open invitations"));
        }
        self.room()?;
        self.invitations.push(Invitation::create(turn, &self.profile, tag)?);
        Ok(())
    }

    fn open_invitations(&self) -> Vec<OpenInvitation> {
        let mut open: Vec<_> = self.invitations.iter().filter_map(Invitation::open).collect();
        open.sort_by_key(|invitation| (invitation.made_at, invitation.invitation));
        open
    }

    fn withdraw(
        &mut self,
        turn: &mut Turn<'_>,
        invitation: InvitationId,
    ) -> Result<Response, CommandError> {
        let at = self.invitations.iter().position(|known| known.id() == invitation);
        let at = at.ok_or(CommandError::UnknownInvitation)?;
        let step = self.invitations[at].withdraw(turn)?;
        self.invitation_step(at, step);
        Ok(Response::Ok)
    }

    fn room(&self) -> Result<(), CommandError> {
        let taken = self.conversations.len() + self.acceptances.len();
        if taken >= MAX_CONVERSATIONS {
            return Err(CommandError::TooMany("conversations"));
        }
        Ok(())
    }

    fn accept(&mut self, turn: &mut Turn<'_>, tag: u64, link: &str) -> Result<(), CommandError> {
        let link: InvitationLink =
            link.parse().map_err(|error| CommandError::InvalidLink(format!("{error}")))?;
        if link.network_id != self.profile.network_id {
            return Err(CommandError::OtherNetwork {
                theirs: link.network,
                ours: self.profile.network.clone(),
            });
        }
        let hash = link.bundle_hash;
        if self.invitations.iter().any(|invitation| *invitation.bundle_hash() == hash) {
            return Err(CommandError::OwnInvitation);
        }
        if self.conversations.values().any(|conversation| *conversation.invitation() == hash) {
            return Err(CommandError::InvitationUsed);
        }
        let under_way = self.acceptances.iter_mut().find(|known| *known.bundle_hash() == hash);
        if let Some(acceptance) = under_way {
            acceptance.ask_again(turn, tag);
            return Ok(());
        }
        if self.acceptances.len() >= MAX_OPEN_INVITATIONS {
            return Err(CommandError::TooMany("acceptances under way"));
        }
        self.room()?;
        self.acceptances.push(Acceptance::start(turn, link, tag));
        Ok(())
    }

    fn send(
        &mut self,
        turn: &mut Turn<'_>,
        conversation: ConversationId,
        text: String,
    ) -> Result<Response, CommandError> {
        if text.is_empty() || text.len() > MAX_TEXT_LEN {
            return Err(CommandError::TextLength(text.len()));
        }
        let (id, state) = self.conversation(conversation)?.send_text(turn, text);
        Ok(Response::Message { id, state })
    }

    fn written(&mut self, turn: &mut Turn<'_>, id: BoxId, outcome: WriteOutcome) {
        if let Some(conversation) = self.conversations.values_mut().find(|c| c.owns(&id)) {
            conversation.written(turn, id, outcome);
        } else if let Some(at) = self.invitations.iter().position(|i| i.owns(&id)) {
            let step = self.invitations[at].written(turn, id, &outcome);
            self.invitation_step(at, step);
        } else if let Some(at) = self.acceptances.iter().position(|a| a.owns(&id)) {
            let acceptance = self.acceptances.swap_remove(at);
            let (acceptance, step) = acceptance.written(turn, id, outcome);
            self.acceptances.extend(acceptance);
            if let accept::Step::Ended(Some(conversation)) = step {
                self.add(*conversation);
            }
        }
    }

    fn read(&mut self, turn: &mut Turn<'_>, id: BoxId, outcome: ReadOutcome) {
        if let Some(conversation) = self.conversations.values_mut().find(|c| c.owns(&id)) {
            conversation.read(turn, id, outcome);
        } else if let Some(at) = self.invitations.iter().position(|i| i.owns(&id)) {
            let step = self.invitations[at].read(turn, outcome);
            self.invitation_step(at, step);
        } else if let Some(at) = self.acceptances.iter().position(|a| a.owns(&id)) {
            let step = self.acceptances[at].read(turn, &self.profile, id, outcome);
            if matches!(step, accept::Step::Ended(_)) {
                self.acceptances.swap_remove(at);
            }
        }
    }

    fn arrived(&mut self, turn: &mut Turn<'_>, boxed: SealedBox) {
        let id = boxed.id();
        if let Some(conversation) = self.conversations.values_mut().find(|c| c.owns(&id)) {
            conversation.arrived(turn, boxed);
        } else if let Some(at) = self.invitations.iter().position(|i| i.owns(&id)) {
            let step = self.invitations[at].arrived(turn, &boxed);
            self.invitation_step(at, step);
        }
    }

    fn invitation_step(&mut self, at: usize, step: invite::Step) {
        if let invite::Step::Ended(conversation) = step {
            self.invitations.swap_remove(at);
            if let Some(conversation) = conversation {
                self.add(*conversation);
            }
        }
    }

    fn add(&mut self, conversation: Conversation) {
        self.conversations.insert(conversation.contact().conversation, conversation);
    }

    fn timer(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        for invitation in &mut self.invitations {
            if invitation.expires_at() <= now {
                invitation.expire(turn);
            }
        }
        for conversation in self.conversations.values_mut() {
            conversation.timer(turn);
        }
    }
}
