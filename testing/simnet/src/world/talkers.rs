//! Talkers: thousands of people without engines, and the truth about what they say.

use xchat_base::{Secret, Timestamp};
use xchat_transport::Pace;

use super::{Stream, Who, World, stream};
use crate::past::Past;
use crate::seen::{Pair, Receipted, Said, Uses, Wrote};
use crate::talker::{Network, News, Talker, id};

/// A conversation of two talkers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquaintance {
    /// The two clients.
    pub clients: [u32; 2],
    /// The conversation's number at each of them.
    sides: [usize; 2],
}

impl World {
    /// A new talker, asleep; its client.
    pub fn add_talker(&mut self, pace: Pace) -> u32 {
        let client = self.seat_client(Who::Talker(self.talkers.len()));
        self.talkers.push(Talker::new(pace, self.decoys));
        self.clients[client as usize].asleep = true;
        client
    }

    /// Two talkers know each other since this moment, and have said nothing. `talks` is for the cast.
    ///
    /// # Panics
    /// If one of the clients is not a talker.
    pub fn acquaint(&mut self, clients: [u32; 2], since: Timestamp, talks: bool) -> Acquaintance {
        let secret = Secret::random(&mut self.pair(clients, talks));
        let sides = [0u32, 1].map(|leaf| {
            let (client, with) = (clients[leaf as usize], clients[1 - leaf as usize]);
            let (now, secret) = (self.now, secret.clone());
            let (talker, rng) = self.talker_mut(client);
            let (side, wants) = talker.meet(with, secret, leaf, since, now, rng);
            self.serve(client, wants);
            side
        });
        Acquaintance { clients, sides }
    }

    /// The same of two who have talked before, whose programs start when their devices are switched on.
    ///
    /// # Panics
    /// If one of the clients is not a talker, or is switched on already.
    pub fn acquaint_again(&mut self, clients: [u32; 2], past: &Past, talks: bool) -> Acquaintance {
        let (mut rng, now) = (self.pair(clients, talks), self.now);
        let secret = Secret::random(&mut rng);
        let ids = clients.map(|client| id(self.talker(client).free()));
        let disks = past.stored(ids, &secret, now, &mut rng);
        let mut sides = [0; 2];
        for (who, disk) in disks.into_iter().enumerate() {
            let (talker, rng) = self.talker_mut(clients[who]);
            sides[who] = talker.free();
            let all = past.before.iter().chain(&past.said);
            let said: Vec<_> = all.map(|&(at, by)| (at, by == who)).collect();
            talker.remember(clients[1 - who], disk, &said, now, rng);
        }
        Acquaintance { clients, sides }
    }

    /// Notes two who know each other; the randomness that is theirs.
    fn pair(&mut self, clients: [u32; 2], talks: bool) -> rand_chacha::ChaCha20Rng {
        let number = u32::try_from(self.pairs.len()).expect("fewer than four billion pairs");
        self.pairs.push(Pair { clients, talks });
        stream(self.seed, &Stream::Pair(number))
    }

    /// A talker's program ends and starts again, if its device is awake: a device that sleeps has ended nothing.
    ///
    /// # Panics
    /// If it is a person's.
    pub fn restart(&mut self, client: u32) {
        let Who::Talker(place) = self.clients[client as usize].who else {
            unreachable!("client {client} is a person's")
        };
        if !self.is_awake(client) {
            return;
        }
        self.end_session(client);
        // What it was told since, it has stored.
        let (root, document, format) = (&self.root, &self.founding, self.format);
        let (network, rng) =
            (Network { root, document, format }, &mut self.clients[client as usize].rng);
        let wants = self.talkers[place].restart(network, self.now, rng);
        self.serve(client, wants);
    }

    /// The number of what is said next.
    pub const fn next_number(&self) -> u64 {
        self.said
    }

    /// One of two (0 or 1) says something of this length to the other; its number.
    pub fn say(&mut self, between: &Acquaintance, who: usize, length: usize) -> u64 {
        let (client, side) = (between.clients[who], between.sides[who]);
        let (number, at) = (self.said, self.now);
        self.said += 1;
        let to = between.clients[1 - who];
        let said = Said { number, from: client, to, at, stored: None, arrived: None };
        self.saying.insert(number, said);
        let (talker, rng) = self.talker_mut(client);
        let wants = talker.say(side, number, length, at, rng);
        self.serve(client, wants);
        number
    }

    /// The talker at a client.
    ///
    /// # Panics
    /// If it is a person's.
    pub fn talker(&self, client: u32) -> &Talker {
        match self.clients[client as usize].who {
            Who::Talker(place) => &self.talkers[place],
            Who::Person(_) => unreachable!("client {client} is a person's"),
        }
    }

    /// How much of what was said has not arrived, or is not known to be stored.
    pub fn unfinished(&self) -> usize {
        self.saying.len()
    }

    fn talker_mut(&mut self, client: u32) -> (&mut Talker, &mut rand_chacha::ChaCha20Rng) {
        let client = &mut self.clients[client as usize];
        match client.who {
            Who::Talker(place) => (&mut self.talkers[place], &mut client.rng),
            Who::Person(_) => unreachable!("people are not scripted as talkers"),
        }
    }

    /// What a talker has learnt of messages becomes the truth.
    pub(super) fn collect_news(&mut self, client: u32) {
        let Who::Talker(place) = self.clients[client as usize].who else { return };
        for news in self.talkers[place].news() {
            let number = match news {
                News::Stored(number) | News::Arrived(number) => number,
                News::Receipted(number) => {
                    self.observer.receipted(&Receipted { number, at: self.now });
                    continue;
                }
                News::Wrote(id, to, number) => {
                    self.observer.wrote(&Wrote { id, from: client, to, number });
                    continue;
                }
                News::Uses(session) => {
                    self.observer.uses(&Uses { client, session });
                    continue;
                }
            };
            self.heard += u64::from(matches!(news, News::Arrived(_)));
            let Some(said) = self.saying.get_mut(&number) else { continue };
            if matches!(news, News::Stored(_)) {
                said.stored = Some(self.now);
            } else {
                said.arrived = Some(self.now);
            }
            if said.stored.is_some() && said.arrived.is_some() {
                let said = *said;
                self.saying.remove(&number);
                self.observer.said(&said);
            }
        }
    }
}
