//! A talker: the production transport under the production conversations, and no MLS. What a person's device
//! asks of the network it asks for too, at the same times; what it says is filler.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use xchat_base::random::Rng;
use xchat_base::{Secret, Timestamp};
use xchat_directory::{Root, VerifiedDocument};
use xchat_engine::{Content, ConversationId, Direction, Effect, Event, Input, MessageState, Talk};
use xchat_pigeonhole::{BoxId, Handed};
use xchat_sphinx::{CollectorSession, PacketFormat};
use xchat_transport::{Command, DecoyLanes, Pace, Said, Transport};

use crate::disk::Disk;
use crate::person::{Want, told, wanted};
use crate::plain::PlainGroup;

/// Hexadecimal digits of a message's number, with which its text begins.
const NUMBER_LEN: usize = 16;

/// What is to be done, in order: as in a client's driver, all that follows from one input comes before what follows from that.
enum Step {
    Talk(Input),
    Transport(Command),
}

/// Something became of what was said, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Its writer knows that it cannot be lost.
    Stored(u64),
    /// Its reader has it.
    Arrived(u64),
    /// Its writer knows that.
    Receipted(u64),
    /// A box is written for a client, as the so many-th.
    Wrote(BoxId, u32, u32),
    /// A collector session is used.
    Uses(CollectorSession),
}

/// One conversation, and when it wants to be woken.
struct Side {
    talk: Talk<PlainGroup>,
    disk: Disk,
    /// The other one's client.
    with: u32,
    /// Boxes written so far.
    written: u32,
    wake: Option<Timestamp>,
    /// What was said and is not known to be stored: its number by its row.
    saying: BTreeMap<u64, u64>,
    /// What was said and not receipted.
    unreceipted: BTreeMap<u64, u64>,
}

impl Side {
    const fn new(with: u32, talk: Talk<PlainGroup>, disk: Disk) -> Self {
        Self {
            talk,
            disk,
            with,
            written: 0,
            wake: None,
            saying: BTreeMap::new(),
            unreceipted: BTreeMap::new(),
        }
    }
}

/// The conversation of this number.
pub(crate) fn id(number: usize) -> ConversationId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(number as u64).to_be_bytes());
    ConversationId::from_bytes(id)
}

/// What a transport calls the conversation of this number.
const fn talk(number: usize) -> u64 {
    number as u64
}

/// Tickets of a transport, if there is one already.
fn hand_out(
    transport: &mut Option<Transport>,
    number: usize,
    now: Timestamp,
) -> impl FnMut(ConversationId, usize, &mut Rng) -> Handed {
    move |_, most, rng| match transport {
        Some(transport) => transport.hand_out(talk(number), most, now, rng),
        None => Handed::default(),
    }
}

/// What a program is given of the network when it starts.
#[derive(Clone, Copy)]
pub(crate) struct Network<'a> {
    pub(crate) root: &'a Root,
    pub(crate) document: &'a VerifiedDocument,
    pub(crate) format: &'static dyn PacketFormat,
}

/// One talker.
pub struct Talker {
    pace: Pace,
    decoys: DecoyLanes,
    /// None before the device was first switched on.
    transport: Option<Transport>,
    transport_wake: Option<Timestamp>,
    /// What the transport has stored of its gateways.
    pins: Option<Vec<u8>>,
    /// What was asked of the transport before there was one.
    orders: Vec<Command>,
    sides: Vec<Side>,
    news: Vec<News>,
    /// What was said before there was a transport.
    said: Vec<Said>,
    /// It has conversations from before its device is switched on for the first time.
    remembers: bool,
    /// Boxes whose write was asked for: asked for again, they are no news.
    wrote: BTreeSet<BoxId>,
    /// Collector sessions in use.
    sessions: Vec<CollectorSession>,
}

impl Talker {
    /// A talker whose device is off.
    pub(crate) fn new(pace: Pace, decoys: DecoyLanes) -> Self {
        Self {
            pace,
            decoys,
            transport: None,
            transport_wake: None,
            pins: None,
            orders: Vec::new(),
            sides: Vec::new(),
            news: Vec::new(),
            said: Vec::new(),
            remembers: false,
            wrote: BTreeSet::new(),
            sessions: Vec::new(),
        }
    }

    /// Switches the device on for the first time; later, tells it that its link is gone.
    pub(crate) fn rouse(
        &mut self,
        network: Network<'_>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<Want> {
        if self.transport.is_some() {
            return self.network(xchat_transport::Input::Offline, now, rng);
        }
        if self.remembers {
            // What conversations have asked for they ask for again.
            self.orders.clear();
            return self.restart(network, now, rng);
        }
        let mut wants = Vec::new();
        self.start(network, now, rng, &mut wants);
        let orders = std::mem::take(&mut self.orders).into_iter().map(Step::Transport);
        self.work(orders.collect(), now, rng, &mut wants);
        wants
    }

    /// The program ends, as by kill -9, and starts again with what it has stored.
    pub(crate) fn restart(
        &mut self,
        network: Network<'_>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<Want> {
        let mut wants = Vec::new();
        self.start(network, now, rng, &mut wants);
        for number in 0..self.sides.len() {
            let side = &mut self.sides[number];
            let (talk, effects) = Talk::load(id(number), side.disk.stored(), now, rng)
                .expect("what a conversation stored, it loads");
            (side.talk, side.wake) = (talk, None);
            self.carry_out_talk(number, effects, now, rng, &mut wants);
        }
        wants
    }

    /// A transport that goes on from what the last one has stored.
    fn start(
        &mut self,
        network: Network<'_>,
        now: Timestamp,
        rng: &mut Rng,
        wants: &mut Vec<Want>,
    ) {
        let Network { root, document, format } = network;
        let (root, document) = (root.clone(), document.clone());
        let pins = self.pins.as_deref();
        let (transport, first) = Transport::new(root, document, self.pace, pins, now, rng)
            .expect("what a transport stored, it reads");
        let mut transport = transport.with_format(format);
        if let Some(before) = &self.transport {
            let kept = before.kept_decoys();
            transport.resume_decoys(kept.as_bytes()).expect("what a transport stored, it reads");
        }
        transport.set_decoy_lanes(self.decoys);
        let mut said = std::mem::take(&mut self.said);
        said.sort_by_key(|said| said.at);
        said.into_iter().for_each(|said| transport.said(said, said.at));
        (self.transport, self.transport_wake) = (Some(transport), None);
        self.carry_out_transport(first, now, rng, wants);
    }

    /// The epoch of the network document that it goes by; none before the device was first switched on.
    pub fn document_epoch(&self) -> Option<u64> {
        self.transport.as_ref().map(|transport| transport.document().epoch)
    }

    /// Takes up a conversation with the client that has the same secret and the other leaf; its number here.
    pub(crate) fn meet(
        &mut self,
        with: u32,
        secret: Secret<32>,
        leaf: u32,
        since: Timestamp,
        now: Timestamp,
        rng: &mut Rng,
    ) -> (usize, Vec<Want>) {
        let number = self.free();
        let group = PlainGroup::new(secret, leaf);
        let (talk, effects) = Talk::found(id(number), group, since, now, rng);
        self.sides.push(Side::new(with, talk, Disk::default()));
        let mut wants = Vec::new();
        self.carry_out_talk(number, effects, now, rng, &mut wants);
        (number, wants)
    }

    /// Has this of a conversation with this client from before its device is switched on, under the number that is free.
    /// What was said, and whether by this one, tells its transport how it talks.
    pub(crate) fn remember(
        &mut self,
        with: u32,
        disk: Disk,
        said: &[(Timestamp, bool)],
        now: Timestamp,
        rng: &mut Rng,
    ) {
        assert!(self.transport.is_none(), "before its device is switched on");
        let talk = talk(self.free());
        self.said.extend(said.iter().map(|&(at, is_own)| Said { talk, at, is_own }));
        let (talk, _) = Talk::load(id(self.free()), disk.stored(), now, rng)
            .expect("what a conversation stored, it loads");
        // Until the program starts, which loads it again, nothing comes of it.
        self.sides.push(Side::new(with, talk, disk));
        self.remembers = true;
    }

    /// The number of the next conversation.
    pub(crate) fn free(&self) -> usize {
        self.sides.len()
    }

    /// Says something of this length (at least that of its number) in this conversation.
    pub(crate) fn say(
        &mut self,
        side: usize,
        number: u64,
        length: usize,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<Want> {
        let text = format!("{number:0NUMBER_LEN$x}{:.<1$}", "", length.saturating_sub(NUMBER_LEN));
        let mut tickets = hand_out(&mut self.transport, side, now);
        let (row, effects) = self.sides[side].talk.say(text, now, rng, &mut tickets);
        drop(tickets);
        self.sides[side].saying.insert(row, number);
        self.sides[side].unreceipted.insert(row, number);
        let mut wants = Vec::new();
        self.carry_out_talk(side, effects, now, rng, &mut wants);
        wants
    }

    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        let sides = self.sides.iter().filter_map(|side| side.wake).min();
        [self.transport_wake, sides].into_iter().flatten().min()
    }

    pub(crate) fn wake(&mut self, now: Timestamp, rng: &mut Rng) -> Vec<Want> {
        let mut wants = Vec::new();
        if self.transport_wake.is_some_and(|at| at <= now) {
            self.transport_wake = None;
            wants = self.network(xchat_transport::Input::Timer, now, rng);
        }
        for number in 0..self.sides.len() {
            let side = &mut self.sides[number];
            if side.wake.is_some_and(|at| at <= now) {
                side.wake = None;
                let mut tickets = hand_out(&mut self.transport, number, now);
                let effects = side.talk.handle(Input::Timer, now, rng, &mut tickets);
                drop(tickets);
                self.carry_out_talk(number, effects, now, rng, &mut wants);
            }
        }
        wants
    }

    pub(crate) fn network(
        &mut self,
        input: xchat_transport::Input,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<Want> {
        let mut wants = Vec::new();
        if let Some(transport) = &mut self.transport {
            let effects = transport.handle(input, now, rng);
            let sessions = transport.collector_sessions();
            if sessions != self.sessions {
                let new = sessions.iter().filter(|session| !self.sessions.contains(session));
                self.news.extend(new.map(|session| News::Uses(*session)));
                self.sessions = sessions;
            }
            self.carry_out_transport(effects, now, rng, &mut wants);
        }
        wants
    }

    /// What has become of messages since it was asked last.
    pub(crate) fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// The transport's view of things, once there is one.
    pub fn status(&self, now: Timestamp) -> Option<xchat_transport::Status> {
        self.transport.as_ref().map(|transport| transport.status(now))
    }

    /// The epoch of each conversation.
    pub fn epochs(&self) -> Vec<u64> {
        self.sides.iter().map(|side| side.talk.epoch()).collect()
    }

    fn carry_out_talk(
        &mut self,
        number: usize,
        effects: Vec<Effect>,
        now: Timestamp,
        rng: &mut Rng,
        wants: &mut Vec<Want>,
    ) {
        let mut steps = VecDeque::new();
        self.talk_effects(number, effects, now, &mut steps);
        self.work(steps, now, rng, wants);
    }

    fn carry_out_transport(
        &mut self,
        effects: Vec<xchat_transport::Effect>,
        now: Timestamp,
        rng: &mut Rng,
        wants: &mut Vec<Want>,
    ) {
        let mut steps = VecDeque::new();
        self.transport_effects(effects, wants, &mut steps);
        self.work(steps, now, rng, wants);
    }

    fn work(
        &mut self,
        mut steps: VecDeque<Step>,
        now: Timestamp,
        rng: &mut Rng,
        wants: &mut Vec<Want>,
    ) {
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Talk(input) => {
                    let Some(number) = self.whose(&input) else { continue };
                    let mut tickets = hand_out(&mut self.transport, number, now);
                    let effects = self.sides[number].talk.handle(input, now, rng, &mut tickets);
                    drop(tickets);
                    self.talk_effects(number, effects, now, &mut steps);
                }
                Step::Transport(order) => {
                    let Some(transport) = &mut self.transport else {
                        self.orders.push(order);
                        continue;
                    };
                    let input = xchat_transport::Input::Command(order);
                    let effects = transport.handle(input, now, rng);
                    self.transport_effects(effects, wants, &mut steps);
                }
            }
        }
    }

    fn whose(&self, input: &Input) -> Option<usize> {
        let id = match input {
            Input::Written { id, .. } | Input::Read { id, .. } => *id,
            Input::Arrived(boxed) => boxed.id(),
            _ => return None,
        };
        self.sides.iter().position(|side| side.talk.owns(&id))
    }

    fn talk_effects(
        &mut self,
        number: usize,
        effects: Vec<Effect>,
        now: Timestamp,
        steps: &mut VecDeque<Step>,
    ) {
        for effect in effects {
            let order = match effect {
                Effect::Write(boxed, ticket) => {
                    if self.wrote.insert(boxed.id()) {
                        let side = &mut self.sides[number];
                        self.news.push(News::Wrote(boxed.id(), side.with, side.written));
                        side.written += 1;
                    }
                    Command::Write { boxed, ticket }
                }
                Effect::Read(id) => Command::Read { id },
                Effect::Follow(id, urgency, told) => {
                    let urgency = wanted(urgency);
                    Command::Follow { id, urgency, talk: told.map(|_| talk(number)) }
                }
                Effect::Unfollow(id) => Command::Unfollow { id },
                Effect::WakeAt(at) => {
                    self.sides[number].wake = Some(at);
                    continue;
                }
                Effect::Event(event) => {
                    self.note(number, event, now);
                    continue;
                }
                Effect::Persist(changes) => {
                    self.sides[number].disk.store(changes);
                    continue;
                }
                // Only who has to rejoin asks for the history, which is the world's.
                Effect::Recall { .. } | Effect::Done { .. } => continue,
            };
            steps.push_back(Step::Transport(order));
        }
    }

    fn note(&mut self, number: usize, event: Event, now: Timestamp) {
        if let Event::Message(row) = &event {
            let (at, is_own) =
                (Timestamp::from_millis(row.sent_at), row.direction == Direction::Out);
            let said = Said { talk: talk(number), at, is_own };
            match &mut self.transport {
                Some(transport) => transport.said(said, now),
                None => self.said.push(said),
            }
        }
        match event {
            Event::Message(row) if row.direction == Direction::In => {
                let Content::Text(text) = row.content else { return };
                let said = text.get(..NUMBER_LEN).map(|digits| u64::from_str_radix(digits, 16));
                if let Some(Ok(said)) = said {
                    self.news.push(News::Arrived(said));
                }
            }
            Event::MessageState { id, state: MessageState::Stored, .. } => {
                let said = self.sides[number].saying.remove(&id);
                self.news.extend(said.map(News::Stored));
            }
            Event::MessageState { id, state: MessageState::Delivered, .. } => {
                let said = self.sides[number].unreceipted.remove(&id);
                self.news.extend(said.map(News::Receipted));
            }
            _ => {}
        }
    }

    fn transport_effects(
        &mut self,
        effects: Vec<xchat_transport::Effect>,
        wants: &mut Vec<Want>,
        steps: &mut VecDeque<Step>,
    ) {
        use xchat_transport::Effect;
        for effect in effects {
            match effect {
                Effect::Connect { gateway, .. } => wants.push(Want::Connect(gateway)),
                Effect::Disconnect => wants.push(Want::Disconnect),
                Effect::Send(frame) => wants.push(Want::Send(frame)),
                Effect::Packet { frame, at } => wants.push(Want::SendAt(frame, at)),
                Effect::Solve(puzzle) => wants.push(Want::Solve(puzzle)),
                Effect::WakeAt(at) => self.transport_wake = Some(at),
                Effect::Persist(pins) => self.pins = Some(pins),
                Effect::Event(event) => {
                    steps.extend(told(event).map(Step::Talk));
                }
                _ => {}
            }
        }
    }
}
