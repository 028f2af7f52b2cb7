//! A hostile contact: somebody who was invited, and then writes what no app would write.

use std::sync::Arc;

use rand_core::RngCore;
use xchat_base::{Wire, random};
use xchat_e2ee::{AcceptEntry, Group, InvitationLink, Meeting};
use xchat_pigeonhole::{Answer, BoxKeys, Lane, MAX_CONTENT_LEN, Op, RunPointer, SealedBox, Ticket};
use xchat_testkit::give_up;

use crate::Attack;
use crate::control::{Asker, replica};
use crate::tally::Kind;
use crate::view::{Dice, View};

/// Boxes that hold an invitation's bundle (spec/05, 5.2).
const BUNDLE_BOXES: u16 = 3;

/// Entries in the commit lane that are none: fewer than the number at which the conversation is
/// given up, which is an insider's right and harms only the two.
const COMMIT_ENTRIES: u32 = 48;

/// The name by which the honest person knows it.
pub(crate) const NAME: &str = "mallory";

/// A contact of somebody honest, with the keys of the first epoch.
pub(crate) struct Contact {
    link: InvitationLink,
    group: Group,
    own: Lane,
    commits: Lane,
}

impl Contact {
    /// Accepts an invitation as an app does.
    pub(crate) async fn accept(dice: &mut Dice, view: &View, link: &str) -> Self {
        let link: InvitationLink = link.parse().expect("an invitation link");
        let mut asker = Asker::open(dice, view).await;
        let bundle_lane = Lane::new(link.bundle_lane_secret());
        let mut padded = Vec::new();
        for ahead in 0..BUNDLE_BOXES {
            let keys = bundle_lane.peek(ahead);
            padded.extend(read(dice, view, &mut asker, &keys).await);
        }
        let len = usize::from(u16::from_be_bytes([padded[0], padded[1]]));
        let bundle = link.check_bundle(&padded[2..2 + len]).expect("the bundle of the link");
        let (mut group, welcome) = Group::create(dice, &bundle.key_package).expect("a good one");
        let hello = group.encrypt(dice, &batch(1, 1, &profile())).expect("it is short");
        let meeting = Meeting { welcome, hello }.to_wire();
        let (pointer, run) = RunPointer::seal(dice, &meeting).expect("a few boxes");
        for boxed in run {
            write(dice, view, &mut asker, boxed).await;
        }
        let entry = AcceptEntry { run: pointer.to_bytes().to_vec() }.to_wire();
        let accept = Lane::new(link.accept_lane_secret()).keys();
        let claim = accept.seal(dice, &entry).expect("it is short");
        write(dice, view, &mut asker, claim).await;
        let leaf = group.own_leaf().to_be_bytes();
        let own = Lane::new(group.export("lane", &leaf));
        let commits = Lane::new(group.export("commit lane", &[]));
        Self { link, group, own, commits }
    }

    /// Goes on for as long as the attack lasts.
    pub(crate) async fn pester(mut self, attack: Arc<Attack>, mut dice: Dice) {
        let mut asker = Asker::open(&mut dice, &attack.view).await;
        let mut commits_left = COMMIT_ENTRIES;
        let mut seq = 2;
        while attack.beat.next().await {
            match dice.next_u32() % 4 {
                0 => self.accept_again(&attack, &mut dice, &mut asker).await,
                1 if commits_left > 0 => {
                    commits_left -= 1;
                    self.false_commit(&attack, &mut dice, &mut asker).await;
                }
                _ => self.rubbish_in_lane(&attack, &mut dice, &mut asker, &mut seq).await,
            }
        }
    }

    async fn accept_again(&mut self, attack: &Attack, dice: &mut Dice, asker: &mut Asker) {
        attack.tally.tried(Kind::LinkUsedTwice);
        let secret = random::bytes::<{ xchat_pigeonhole::run::RUN_POINTER_LEN }>(dice);
        let entry = AcceptEntry { run: secret.to_vec() }.to_wire();
        let accept = Lane::new(self.link.accept_lane_secret()).keys();
        let boxed = accept.seal(dice, &entry).expect("it is short");
        if let Some(Answer::Stored) = put(attack, dice, asker, boxed).await {
            attack.tally.wrong(Kind::LinkUsedTwice, "it was accepted a second time");
        }
    }

    async fn false_commit(&mut self, attack: &Attack, dice: &mut Dice, asker: &mut Asker) {
        attack.tally.tried(Kind::ContactCommit);
        let content = match dice.next_u32() % 3 {
            0 => crate::view::rubbish(dice, MAX_CONTENT_LEN),
            1 => {
                // The pointer of a run that nobody has written.
                let (pointer, _) = RunPointer::seal(dice, &[0; 3_000]).expect("a few boxes");
                [&[1], &pointer.to_bytes()[..]].concat()
            }
            _ => {
                // A run that is there, and no commit.
                let value = crate::view::rubbish(dice, MAX_CONTENT_LEN);
                let (pointer, run) = RunPointer::seal(dice, &value).expect("a box or two");
                for boxed in run {
                    put(attack, dice, asker, boxed).await;
                }
                [&[1], &pointer.to_bytes()[..]].concat()
            }
        };
        let boxed = self.commits.keys().seal(dice, &content).expect("it fits");
        if put(attack, dice, asker, boxed).await.is_some() {
            self.commits.advance();
        }
    }

    async fn rubbish_in_lane(
        &mut self,
        attack: &Attack,
        dice: &mut Dice,
        asker: &mut Asker,
        seq: &mut u64,
    ) {
        attack.tally.tried(Kind::ContactLane);
        let content = match dice.next_u32() % 6 {
            0 => crate::view::rubbish(dice, MAX_CONTENT_LEN),
            // A message of the group that holds no batch.
            1 => {
                let text = crate::view::rubbish(dice, 1_000);
                self.encrypt(dice, &text)
            }
            // A text whose body is none.
            2 => self.record(dice, seq, 2, &[1, 0xff, 0xff, 0xff]),
            // A text that is not in UTF-8.
            3 => self.record(dice, seq, 2, &[1, 0, 4, 0xff, 0xfe, 0xfd, 0xfc]),
            // A record that was sent before.
            4 => {
                let again = batch(1, 1, &profile());
                self.encrypt(dice, &again)
            }
            // A receipt for what was never sent.
            _ => self.record(dice, seq, 3, &[1, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        };
        let boxed = self.own.keys().seal(dice, &content).expect("it fits");
        if put(attack, dice, asker, boxed).await.is_some() {
            self.own.advance();
        }
    }

    fn record(&mut self, dice: &mut Dice, seq: &mut u64, kind: u16, body: &[u8]) -> Vec<u8> {
        let bytes = batch(*seq, kind, body);
        *seq += 1;
        self.encrypt(dice, &bytes)
    }

    fn encrypt(&mut self, dice: &mut Dice, plaintext: &[u8]) -> Vec<u8> {
        let message = self.group.encrypt(dice, plaintext).expect("the group is whole");
        let _ = self.group.take_changes();
        message
    }
}

/// A batch of one record, by hand (spec/04, 4.7).
fn batch(seq: u64, kind: u16, body: &[u8]) -> Vec<u8> {
    let mut out = vec![1, 1];
    let mut put = |mut n: u64| {
        while n > 0x7f {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
    };
    put(seq);
    put(kind.into());
    put(0);
    put(body.len() as u64);
    out.extend(body);
    out
}

fn profile() -> Vec<u8> {
    [&[1, NAME.len() as u8], NAME.as_bytes()].concat()
}

async fn read(dice: &mut Dice, view: &View, asker: &mut Asker, keys: &BoxKeys) -> Vec<u8> {
    let id = keys.id();
    let op = Op::Read { placement: view.placement(), id };
    match asker.answer(dice, view, replica(view, &id, 0), op).await {
        Some(Answer::Found(boxed)) => keys.open(&boxed).expect("sealed by the inviter"),
        other => give_up(&format!("the bundle is not there: {other:?}")),
    }
}

async fn write(dice: &mut Dice, view: &View, asker: &mut Asker, boxed: SealedBox) {
    let store = replica(view, &boxed.id(), 0);
    let op =
        Op::Write { placement: view.placement(), boxed, tell: Ticket::from_bytes([9; 16]).tell() };
    match asker.answer(dice, view, store, op).await {
        Some(Answer::Stored) => {}
        other => give_up(&format!("the invitation cannot be accepted: {other:?}")),
    }
}

async fn put(
    attack: &Attack,
    dice: &mut Dice,
    asker: &mut Asker,
    boxed: SealedBox,
) -> Option<Answer> {
    let view = &attack.view;
    let store = replica(view, &boxed.id(), random::index(dice, 2));
    let op =
        Op::Write { placement: view.placement(), boxed, tell: Ticket::from_bytes([9; 16]).tell() };
    asker.answer(dice, view, store, op).await
}
