//! What handles ask of the driver.

use tokio::sync::oneshot;
use xchat_base::Timestamp;
use xchat_engine::{
    Command as EngineCommand, CommandError, ConversationId, Input as EngineInput, InvitationId,
    LoadError, MAX_TEXT_LEN, MessageState, Response as EngineResponse,
};
use xchat_transport::Status as TransportStatus;

use super::{ClockState, Driver, MAX_WAITING_CALLERS, State, WaitingCaller};
use crate::api::pace::message_seconds;
use crate::api::status::{collector_word, millis};
use crate::api::{
    Command, Contact, Conversation, Crowd, DocumentStatus, Event, Face, Found, Invitation, Message,
    PaceChoice, PaceStatus, Queued, Response, Status,
};
use crate::error::{Error, ErrorKind};
use crate::events::Subscription;
use crate::store::{Seen, Store, StoredMessage, Words};

/// Rows that one reading of the history gives.
const PAGE: u32 = 256;

type Reply<T> = oneshot::Sender<T>;

/// Where a command's answer goes.
type Answer = Reply<Result<Response, Error>>;

/// What a handle can ask.
pub(crate) enum Request {
    Command { command: Command, reply: Answer },
    Wait { id: u64, state: MessageState, reply: Reply<Result<MessageState, Error>> },
    Subscribe { reply: Reply<Subscription> },
    MessagesAfter { id: u64, reply: Reply<Result<Vec<StoredMessage>, Error>> },
    ChangedAfter { seq: u64, reply: Reply<Result<Changed, Error>> },
    LastIdAt { seq: u64, reply: Reply<Result<u64, Error>> },
    Stop { reply: Reply<()> },
}

/// Rows that have changed, and the last row that there is.
pub(crate) struct Changed {
    pub(crate) rows: Vec<StoredMessage>,
    pub(crate) last_id: u64,
}

/// What is to be done with the engine's answer.
pub(super) enum Pending {
    /// Hand it over.
    Reply(Answer),
    /// Hand over the contact as it is afterwards.
    Verified { conversation: ConversationId, verified: bool, reply: Answer },
    /// Take the list of contacts.
    Contacts,
}

/// What the engine says when it cannot load what is stored.
pub(super) fn load_error(error: &LoadError) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the stored conversations cannot be read: {error}"))
}

impl Driver {
    // A reply that nobody waits for any more is dropped, here and below.
    pub(super) fn request(&mut self, request: Request) {
        match request {
            Request::Command { command, reply } => self.command(command, reply),
            Request::Wait { id, state, reply } => self.wait(id, state, reply),
            Request::Subscribe { reply } => {
                let live = self.events.subscribe();
                // While the store cannot be read, nothing is read from it for the subscriber either.
                let last_id = self.read(|store| Ok(store.last_id()?)).unwrap_or(u64::MAX);
                let _ = reply.send(Subscription { live, seq: self.seq, last_id });
            }
            Request::MessagesAfter { id, reply } => {
                let _ = reply.send(self.read(|store| Ok(store.messages_after(id, PAGE)?)));
            }
            Request::ChangedAfter { seq, reply } => {
                let changed = self.read(|store| {
                    let rows = store.changed_after(seq, PAGE)?;
                    Ok(Changed { rows, last_id: store.last_id()? })
                });
                let _ = reply.send(changed);
            }
            Request::LastIdAt { seq, reply } => {
                let _ = reply.send(self.read(|store| Ok(store.last_id_at(seq)?)));
            }
            // `run` takes it before it comes here.
            Request::Stop { .. } => {}
        }
    }

    fn read<T>(&self, query: impl FnOnce(&Store) -> Result<T, Error>) -> Result<T, Error> {
        match &self.state {
            State::Running { store, .. } => query(store),
            State::Halted { why, kind, .. } => Err(Error::new(*kind, why.message.clone())),
        }
    }

    fn command(&mut self, command: Command, reply: Answer) {
        match self.engine_command(command) {
            Ok(Asked::Engine(command, pending)) => self.ask_engine(command, pending(reply)),
            Ok(Asked::FromDraft(conversation, text, face)) => {
                self.sending = Some((conversation, face));
                let command = EngineCommand::Send { conversation, text };
                self.ask_engine(command, Pending::Reply(reply));
                // It was refused, and the draft stays.
                self.sending = None;
            }
            Ok(Asked::Answered(response)) => drop(reply.send(Ok(response))),
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn engine_command(&mut self, command: Command) -> Result<Asked, Error> {
        let plain = |command| Asked::Engine(command, Box::new(Pending::Reply));
        if matches!(command, Command::Status) {
            let now = self.now();
            let status = self.status(&self.transport.status(now), now);
            return Ok(Asked::Answered(Response::Status(Box::new(status))));
        }
        self.read(|_| Ok(()))?;
        Ok(match command {
            Command::Invite => {
                self.check_clock()?;
                plain(EngineCommand::Invite)
            }
            Command::Invitations => plain(EngineCommand::Invitations),
            Command::Withdraw { invitation } => {
                let invitation =
                    InvitationId::from_hex(&invitation).ok_or(CommandError::UnknownInvitation)?;
                plain(EngineCommand::Withdraw { invitation })
            }
            Command::Accept { link } => plain(EngineCommand::Accept { link }),
            Command::Contacts => {
                let contacts = self.contacts.values().cloned().collect();
                Asked::Answered(Response::Contacts { contacts })
            }
            Command::SafetyNumber { contact } => {
                let conversation = self.contact(&contact)?.conversation;
                plain(EngineCommand::SafetyNumber { conversation })
            }
            Command::SetVerified { contact, verified } => {
                let conversation = self.contact(&contact)?.conversation;
                let command = EngineCommand::SetVerified { conversation, verified };
                let pending = move |reply| Pending::Verified { conversation, verified, reply };
                Asked::Engine(command, Box::new(pending))
            }
            // The handle waits for more by itself.
            Command::Send { contact, text, wait: _, from_draft } => {
                let conversation = self.contact(&contact)?.conversation;
                match from_draft {
                    Some(face) => Asked::FromDraft(conversation, text, face),
                    None => plain(EngineCommand::Send { conversation, text }),
                }
            }
            Command::SetDraft { contact, text, face } => {
                let contact = self.contact(&contact)?.clone();
                self.set_draft(&contact, text, face)?;
                Asked::Answered(Response::Done {})
            }
            Command::Search { words, contact, before, limit } => {
                let words = Words::new(&words)
                    .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))?;
                Asked::Answered(self.search(&words, contact, before, limit)?)
            }
            Command::Messages { contact, before, after, limit } => {
                let conversation =
                    contact.map(|name| self.contact(&name)).transpose()?.map(|c| c.conversation);
                let limit = limit.unwrap_or(Command::DEFAULT_MESSAGES).min(Command::MAX_MESSAGES);
                let before = before.unwrap_or(u64::MAX);
                let rows = self.read(|store| {
                    Ok(match after {
                        Some(after) => {
                            store.messages_between(conversation, after, before, limit)?
                        }
                        None => store.messages_before(conversation, before, limit)?,
                    })
                })?;
                let messages = rows.into_iter().map(|stored| stored.row.into()).collect();
                Asked::Answered(Response::Messages { messages })
            }
            Command::Conversations => {
                Asked::Answered(Response::Conversations { conversations: self.conversations()? })
            }
            Command::MarkRead { contact, up_to } => {
                let contact = self.contact(&contact)?.clone();
                self.mark_read(&contact, up_to)?;
                Asked::Answered(Response::Done {})
            }
            // Answered above.
            Command::Status => return Err(Error::new(ErrorKind::Internal, "unreachable")),
        })
    }

    fn conversations(&self) -> Result<Vec<Conversation>, Error> {
        let shown = |contact: &Contact| {
            self.read(|store| {
                let last = store.last_message(contact.conversation)?;
                let unread = store.seen(contact.conversation)?.unread;
                let last = last.map(|stored| Message::from(stored.row));
                let draft = store.draft(contact.conversation)?;
                Ok(Conversation { contact: contact.clone(), last, unread, draft })
            })
        };
        let mut all: Vec<_> = self.contacts.values().map(shown).collect::<Result<_, _>>()?;
        let newest = |shown: &Conversation| shown.last.as_ref().map(|last| last.id);
        all.sort_by_key(|shown| std::cmp::Reverse(newest(shown)));
        Ok(all)
    }

    /// On the disk before anybody is told, like everything else.
    fn mark_read(&mut self, contact: &Contact, up_to: u64) -> Result<(), Error> {
        let conversation = contact.conversation;
        let State::Running { store, .. } = &mut self.state else { return self.read(|_| Ok(())) };
        match store.mark_read(conversation, up_to) {
            Ok(None) => {}
            Ok(Some(Seen { up_to, unread })) => {
                let contact = contact.contact;
                self.tell(Event::Read { conversation, contact, up_to, unread });
            }
            Err(error) => {
                self.halt(error);
                return self.read(|_| Ok(()));
            }
        }
        Ok(())
    }

    fn search(
        &self,
        words: &Words,
        contact: Option<String>,
        before: Option<u64>,
        limit: Option<u32>,
    ) -> Result<Response, Error> {
        let conversation =
            contact.map(|name| self.contact(&name)).transpose()?.map(|c| c.conversation);
        let limit = limit.unwrap_or(Command::MAX_FOUND).min(Command::MAX_FOUND);
        let before = before.unwrap_or(u64::MAX);
        let hits = self.read(|store| Ok(store.search(words, conversation, before, limit)?))?;
        let more = hits.len() == limit as usize;
        Ok(Response::Found { found: hits.into_iter().map(Found::from).collect(), more })
    }

    /// On the disk before anybody is told.
    fn set_draft(&mut self, contact: &Contact, text: String, face: Face) -> Result<(), Error> {
        let conversation = contact.conversation;
        if text.len() > MAX_TEXT_LEN {
            let length = text.len();
            let message =
                format!("a draft has at most {MAX_TEXT_LEN} bytes, this one has {length}");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let is_new = self.read(|store| Ok(store.draft(conversation)?))?.is_none();
        let full = self.read(|store| Ok(store.draft_count()? >= Command::MAX_DRAFTS))?;
        if is_new && full && !text.is_empty() {
            return Err(Error::new(ErrorKind::TooMany, "too many conversations have a draft"));
        }
        let State::Running { store, .. } = &mut self.state else { return self.read(|_| Ok(())) };
        match store.set_draft(conversation, &text) {
            Ok(false) => {}
            Ok(true) => {
                let contact = contact.contact;
                self.tell(Event::Draft { conversation, contact, text, face });
            }
            Err(error) => {
                self.halt(error);
                return self.read(|_| Ok(()));
            }
        }
        Ok(())
    }

    /// The draft that was being sent is none any more.
    pub(super) fn draft_is_sent(&mut self) {
        let Some((conversation, face)) = self.sending.take() else { return };
        if let Some(contact) = self.contacts.get(&conversation) {
            let (contact, text) = (contact.contact, String::new());
            self.tell(Event::Draft { conversation, contact, text, face });
        }
    }

    /// An invitation made by a clock that is behind would end as soon as the clock is right.
    fn check_clock(&mut self) -> Result<(), Error> {
        let now = self.now();
        if self.clock_state(now) != ClockState::Behind {
            return Ok(());
        }
        let message = "this device's clock is behind the network's";
        Err(Error::new(ErrorKind::ClockWrong, message))
    }

    fn ask_engine(&mut self, command: EngineCommand, pending: Pending) {
        self.next_tag += 1;
        let tag = self.next_tag;
        self.pending.insert(tag, pending);
        self.engine_input(EngineInput::Command { tag, command });
    }

    /// The contact that a person means.
    fn contact(&self, named: &str) -> Result<&Contact, Error> {
        let by_id = |contact: &&Contact| {
            contact.contact.to_hex() == named || contact.conversation.to_hex() == named
        };
        if let Some(contact) = self.contacts.values().find(by_id) {
            return Ok(contact);
        }
        let mut by_name = self.contacts.values().filter(|contact| contact.name == named);
        match (by_name.next(), by_name.next()) {
            (Some(contact), None) => Ok(contact),
            (Some(_), Some(_)) => {
                let message = format!("several contacts are called “{named}”");
                Err(Error::new(ErrorKind::Ambiguous, message))
            }
            (None, _) => {
                let message = format!("there is no contact “{named}”");
                Err(Error::new(ErrorKind::NotFound, message))
            }
        }
    }

    /// Asks the engine for all contacts; what changes later comes as events.
    pub(super) fn refresh_contacts(&mut self) {
        self.ask_engine(EngineCommand::Contacts, Pending::Contacts);
    }

    pub(super) fn done(&mut self, tag: u64, result: Result<EngineResponse, CommandError>) {
        let Some(pending) = self.pending.remove(&tag) else { return };
        match pending {
            Pending::Reply(reply) => drop(reply.send(response(result))),
            Pending::Verified { conversation, verified, reply } => {
                let contact = self.contacts.get(&conversation).cloned();
                let answer = result.map_err(Error::from).and_then(|_| match contact {
                    Some(contact) => {
                        let rejoined = contact.rejoined && !verified;
                        Ok(Response::Contact(Contact { verified, rejoined, ..contact }))
                    }
                    None => Err(Error::new(ErrorKind::Internal, "the contact is gone")),
                });
                let _ = reply.send(answer);
            }
            Pending::Contacts => {
                if let Ok(EngineResponse::Contacts(contacts)) = result {
                    let named = contacts.into_iter().map(|c| (c.conversation, c.into()));
                    self.contacts = named.collect();
                }
            }
        }
    }

    fn wait(&mut self, id: u64, state: MessageState, reply: Reply<Result<MessageState, Error>>) {
        let row = self.read(|store| Ok(store.message(id)?));
        let answer = match row {
            Ok(Some(stored)) if stored.row.state >= state => Ok(stored.row.state),
            Ok(Some(_)) => {
                self.waiting.retain(|caller| !caller.reply.is_closed());
                if self.waiting.len() < MAX_WAITING_CALLERS {
                    self.waiting.push(WaitingCaller { id, state, reply });
                    return;
                }
                Err(Error::new(ErrorKind::TooMany, "too many callers wait for messages"))
            }
            Ok(None) => Err(Error::new(ErrorKind::NotFound, "there is no such message")),
            Err(error) => Err(error),
        };
        let _ = reply.send(answer);
    }

    /// The engine that had these commands is gone; what it had committed goes on after the reload.
    pub(super) fn refuse_pending(&mut self) {
        let State::Halted { why, kind, .. } = &self.state else { return };
        let error = || Error::new(*kind, why.message.clone());
        for (_, pending) in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Reply(reply) | Pending::Verified { reply, .. } => {
                    drop(reply.send(Err(error())));
                }
                Pending::Contacts => {}
            }
        }
        for caller in std::mem::take(&mut self.waiting) {
            let _ = caller.reply.send(Err(error()));
        }
    }

    pub(super) fn status(&self, transport: &TransportStatus, now: Timestamp) -> Status {
        let messages = self.read(|store| Ok(store.waiting()?)).unwrap_or(0);
        let document = self.transport.document();
        let parameters = &document.parameters;
        Status {
            name: self.settings.name.clone(),
            network: self.engine_profile.network.clone(),
            network_id: xchat_base::id::hex(&self.engine_profile.network_id),
            online: transport.gateway.into(),
            pace: PaceStatus {
                name: transport.pace.name().to_owned(),
                packets_per_second: transport.slots_per_second,
                bytes_per_month: transport.bytes_per_month,
                message_seconds: message_seconds(transport.pace, parameters),
            },
            paces: PaceChoice::all(parameters),
            crowd: Crowd::of(document),
            queued: Queued {
                messages,
                writes: transport.queued_writes,
                reads: transport.queued_reads,
            },
            followed: transport.followed,
            registered: transport.registered,
            collector: collector_word(transport.collector).to_owned(),
            loop_loss: transport.loop_loss,
            losing: transport.losing,
            avoided_mixes: transport.avoided_mixes,
            avoided_stores: transport.avoided_stores,
            round_trip_ms: transport.round_trip_ms,
            refused_answers: transport.refused_answers,
            late_slots: transport.late_slots,
            stores_busy: transport.stores_busy,
            document: DocumentStatus {
                epoch: transport.document_epoch,
                valid_until: transport.document_valid_until.as_millis(),
                expired: transport.document_valid_until <= now,
                box_lifetime_ms: millis(parameters.box_lifetime),
            },
            rejoining: self.contacts.values().filter(|contact| contact.rejoining).count(),
            clock: self.clock_state(now),
            halted: match &self.state {
                State::Halted { why, .. } => Some(why.clone()),
                State::Running { .. } => None,
            },
        }
    }
}

/// What becomes of a command.
enum Asked {
    Engine(EngineCommand, Box<dyn FnOnce(Answer) -> Pending>),
    /// A text to send that was a conversation's draft.
    FromDraft(ConversationId, String, Face),
    Answered(Response),
}

fn response(result: Result<EngineResponse, CommandError>) -> Result<Response, Error> {
    Ok(match result? {
        EngineResponse::Link(link) => Response::Link { link },
        EngineResponse::Contact(contact) => Response::Contact(contact.into()),
        EngineResponse::Invitations(open) => {
            Response::Invitations { invitations: open.into_iter().map(Invitation::from).collect() }
        }
        EngineResponse::Ok => Response::Done {},
        EngineResponse::Message { id, state } => Response::Sent { id, state },
        EngineResponse::Contacts(contacts) => {
            Response::Contacts { contacts: contacts.into_iter().map(Contact::from).collect() }
        }
        EngineResponse::SafetyNumber { digits } => Response::SafetyNumber { safety_number: digits },
        _ => return Err(Error::new(ErrorKind::Internal, "an answer of an unknown kind")),
    })
}
