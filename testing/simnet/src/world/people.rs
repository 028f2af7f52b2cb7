//! People with engines: what a script has them do.

use std::collections::BTreeSet;
use std::time::Duration;

use xchat_engine::{Command, CommandError, Contact, ConversationId, Response};
use xchat_transport::Pace;

use super::{Who, World};
use crate::person::{Device, Person};

impl World {
    /// A new person, online.
    pub fn add(&mut self, name: &str) -> usize {
        self.add_at(name, Pace::Desk)
    }

    /// Adds somebody whose device has this pace.
    pub fn add_at(&mut self, name: &str, pace: Pace) -> usize {
        let place = self.people.len();
        let client = self.seat_client(Who::Person(place));
        let (root, document) = (self.root.clone(), self.document.clone());
        let device = Device { pace, decoys: self.decoys };
        self.people.push(Person::new(name, client, root, document, self.format, device));
        self.start(place);
        place
    }

    /// Starts a person's app.
    pub fn start(&mut self, who: usize) {
        let client = self.people[who].client;
        let rng = &mut self.clients[client as usize].rng;
        let wants = self.people[who].start(self.now, rng);
        self.serve(client, wants);
    }

    /// Ends a person's app, as by kill -9.
    pub fn stop(&mut self, who: usize) {
        self.people[who].stop();
        self.end_session(self.people[who].client);
    }

    /// Gives a command to a person's app; the tag of its answer.
    pub fn command(&mut self, who: usize, command: Command) -> u64 {
        self.tags += 1;
        let (tag, client) = (self.tags, self.people[who].client);
        let rng = &mut self.clients[client as usize].rng;
        let wants = self.people[who].command(tag, command, self.now, rng);
        self.serve(client, wants);
        tag
    }

    /// The answer of a command, once it comes.
    ///
    /// # Errors
    /// The command's own.
    pub fn answer(&mut self, who: usize, tag: u64) -> Result<Response, CommandError> {
        self.run_until("an answer", self.patience(who), |world| {
            world.people[who].done.contains_key(&tag)
        });
        self.people[who].done.remove(&tag).expect("just seen")
    }

    /// Ten minutes, and where slots are few a hundred of them.
    fn patience(&self, who: usize) -> Duration {
        (self.people[who].pace().mean_gap() * 100).max(Duration::from_secs(600))
    }

    /// Two people meet; their conversations.
    ///
    /// # Panics
    /// When they do not: a test has failed.
    pub fn meet(&mut self, inviter: usize, accepter: usize) -> [ConversationId; 2] {
        let tag = self.command(inviter, Command::Invite);
        let link = match self.answer(inviter, tag) {
            Ok(Response::Link(link)) => link,
            other => unreachable!("invite: {other:?}"),
        };
        let known = |person: &Person| -> BTreeSet<_> {
            person.contacts().iter().map(|contact| contact.conversation).collect()
        };
        let before = known(&self.people[inviter]);
        let tag = self.command(accepter, Command::Accept { link });
        let theirs: Contact = match self.answer(accepter, tag) {
            Ok(Response::Contact(contact)) => contact,
            other => unreachable!("accept: {other:?}"),
        };
        let patience = self.patience(inviter).max(self.patience(accepter));
        self.run_until("the inviter's contact", patience, |world| {
            known(&world.people[inviter]).len() > before.len()
        });
        let after = known(&self.people[inviter]);
        let ours = after.difference(&before).next().expect("just seen");
        [*ours, theirs.conversation]
    }

    /// Sends a text.
    pub fn send(&mut self, who: usize, conversation: ConversationId, text: &str) {
        self.command(who, Command::Send { conversation, text: text.to_owned() });
    }
}
