//! Clients: their links to gateways, and what their devices want.

use std::time::Duration;

use xchat_directory::NodeId;
use xchat_node::gateway::SessionId;
use xchat_sphinx::frame::CLIENT_PACKET_FRAME_LEN;
use xchat_sphinx::work::Search;
use xchat_sphinx::{LinkKey, Proof};

use super::{Client, Event, Session, Stream, Who, World, stream};
use crate::core::In;
use crate::person::Want;
use crate::seen::{FrameId, Kind, Online, Party};
use crate::talker::Network;

/// What a proof of work takes a device.
const SOLVING: Duration = Duration::from_millis(75);

impl World {
    pub(super) fn seat_client(&mut self, who: Who) -> u32 {
        let number = u32::try_from(self.clients.len()).expect("fewer than four billion clients");
        self.clients.push(Client {
            who,
            session: None,
            wake: None,
            asleep: false,
            rng: stream(self.seed, &Stream::Client(number)),
            weather: stream(self.seed, &Stream::ClientLinks(number)),
        });
        number
    }

    /// A device goes to sleep, as by its lid: the link is gone, nothing is done, and memory is kept.
    pub fn sleep(&mut self, client: u32) {
        self.end_session(client);
        self.clients[client as usize].asleep = true;
        self.arm(client);
    }

    /// A device that slept is awake.
    pub fn rouse(&mut self, client: u32) {
        let number = client;
        let client = &mut self.clients[number as usize];
        if !std::mem::take(&mut client.asleep) {
            return;
        }
        match client.who {
            Who::Person(_) => self.tell_transport(number, xchat_transport::Input::Offline),
            Who::Talker(place) => {
                // What it was told since it was switched on for the first time, it has stored.
                let (root, document, format) = (&self.root, &self.founding, self.format);
                let (rng, talker) = (&mut client.rng, &mut self.talkers[place]);
                let wants = talker.rouse(Network { root, document, format }, self.now, rng);
                self.serve(number, wants);
            }
        }
    }

    /// Whether a client's device is awake.
    pub fn is_awake(&self, client: u32) -> bool {
        !self.clients[client as usize].asleep
    }

    /// Whether a client has a link to a gateway.
    pub fn is_linked(&self, client: u32) -> bool {
        let session = self.clients[client as usize].session;
        session.and_then(|session| self.sessions.get(&session)?.since).is_some()
    }

    pub(super) fn wake_client(&mut self, number: u32) {
        let client = &mut self.clients[number as usize];
        if client.asleep || client.wake.is_none_or(|at| at > self.now) {
            return;
        }
        client.wake = None;
        let wants = match client.who {
            Who::Person(place) => self.people[place].wake(self.now, &mut client.rng),
            Who::Talker(place) => self.talkers[place].wake(self.now, &mut client.rng),
        };
        self.serve(number, wants);
    }

    pub(super) fn tell_transport(&mut self, number: u32, input: xchat_transport::Input) {
        let client = &mut self.clients[number as usize];
        let wants = match client.who {
            Who::Person(place) => self.people[place].network(input, self.now, &mut client.rng),
            Who::Talker(place) => self.talkers[place].network(input, self.now, &mut client.rng),
        };
        self.serve(number, wants);
    }

    /// Carries out what a client's device wants, and sees to its next waking.
    pub(super) fn serve(&mut self, client: u32, wants: Vec<Want>) {
        for want in wants {
            match want {
                Want::Connect(gateway) => self.connect(client, &gateway),
                Want::Disconnect => self.end_session(client),
                Want::Solve(puzzle) => {
                    let Some(session) = self.clients[client as usize].session else { continue };
                    if let Some(proof) = Search::new(puzzle).finish() {
                        let solved = Event::Solved { session, proof: Box::new(proof) };
                        self.agenda.plan(self.now + SOLVING, solved);
                    }
                }
                Want::Send(frame) => self.send_up(client, frame),
                Want::SendAt(frame, at) => {
                    if let Some(session) = self.clients[client as usize].session {
                        self.agenda.plan(at, Event::Slot { session, bytes: frame });
                    }
                }
            }
        }
        self.collect_news(client);
        self.arm(client);
    }

    fn arm(&mut self, number: u32) {
        let client = &mut self.clients[number as usize];
        let next = match client.who {
            _ if client.asleep => None,
            Who::Person(place) => self.people[place].next_wake(),
            Who::Talker(place) => self.talkers[place].next_wake(),
        };
        if client.wake != next {
            client.wake = next;
            if let Some(at) = next {
                self.agenda.plan(at.max(self.now), Event::WakeClient(number));
            }
        }
    }

    fn connect(&mut self, number: u32, gateway: &NodeId) {
        self.end_session(number);
        let Some(gateway) = self.places.get(gateway).copied() else { return };
        self.sessions_made += 1;
        let id = SessionId::new(self.sessions_made);
        let client = &mut self.clients[number as usize];
        client.session = Some(id);
        let key = LinkKey::random(&mut client.rng);
        let (up, down) = (self.now, self.now);
        let session = Session { client: number, gateway, key, since: None, up, down };
        self.sessions.insert(id, session);
        self.agenda.plan(self.now + self.links.client_delay, Event::Opened { session: id });
    }

    fn send_up(&mut self, number: u32, bytes: Vec<u8>) {
        let client = &mut self.clients[number as usize];
        let Some(id) = client.session else { return };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let at = self.links.travel_in_order(self.now, &mut session.up, &mut client.weather);
        let gateway = session.gateway;
        let kind =
            if bytes.len() == CLIENT_PACKET_FRAME_LEN { Kind::Client } else { Kind::Control };
        let frame = self.leaves(Party::Client(number), Party::Node(gateway), bytes.len(), kind);
        self.agenda.plan(at, Event::Up { session: id, frame, bytes });
    }

    /// The slot of a packet has come; without the session for which it was made nobody wants it.
    pub(super) fn slot(&mut self, session: SessionId, bytes: Vec<u8>) {
        let client = self.sessions.get(&session).map(|session| session.client);
        if let Some(client) =
            client.filter(|client| self.clients[*client as usize].session == Some(session))
        {
            self.send_up(client, bytes);
        }
    }

    /// A gateway's frame sets out to its client.
    pub(super) fn towards_client(&mut self, id: SessionId, bytes: Vec<u8>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let weather = &mut self.clients[session.client as usize].weather;
        let at = self.links.travel_in_order(self.now, &mut session.down, weather);
        self.agenda.plan(at, Event::Down { session: id, bytes });
    }

    pub(super) fn opened(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.since = Some(self.now);
        let (client, place, link) = (session.client, session.gateway, session.key);
        self.at_node(place, In::Opened { session: id, link });
        let gateway = self.seats[usize::from(place)].id;
        self.tell_transport(client, xchat_transport::Input::Online { gateway, link, from: None });
    }

    pub(super) fn solved(&mut self, session: SessionId, proof: Proof) {
        if let Some(client) = self.sessions.get(&session).map(|session| session.client) {
            self.tell_transport(client, xchat_transport::Input::Solved(proof));
        }
    }

    pub(super) fn up(&mut self, id: SessionId, frame: FrameId, bytes: Vec<u8>) {
        if let Some(session) = self.sessions.get(&id) {
            self.at_gateway(session.gateway, session.client, id, frame, bytes);
        }
    }

    pub(super) fn down(&mut self, session: SessionId, bytes: Vec<u8>) {
        if let Some(client) = self.sessions.get(&session).map(|session| session.client) {
            self.tell_transport(client, xchat_transport::Input::Frame(bytes));
        }
    }

    /// The client's link ends, and its gateway hears of it.
    pub(super) fn end_session(&mut self, client: u32) {
        let Some(id) = self.clients[client as usize].session else { return };
        if let Some(gateway) = self.forget_session(id) {
            self.at_node(gateway, In::Closed { session: id });
        }
    }

    pub(super) fn closed_by_gateway(&mut self, id: SessionId) {
        let Some(client) = self.sessions.get(&id).map(|session| session.client) else { return };
        self.forget_session(id);
        self.tell_transport(client, xchat_transport::Input::Offline);
    }

    /// Its gateway, if it was there.
    fn forget_session(&mut self, id: SessionId) -> Option<u16> {
        let session = self.sessions.remove(&id)?;
        self.clients[session.client as usize].session = None;
        if let Some(from) = session.since {
            let online = Online { client: session.client, from, until: self.now };
            self.observer.online(&online);
        }
        Some(session.gateway)
    }
}
