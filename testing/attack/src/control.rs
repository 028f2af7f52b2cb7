//! Boxes whose fate is known: some were written before the attack, some must stay empty.

use std::time::Duration;

use xchat_base::Secret;
use xchat_directory::Descriptor;
use xchat_pigeonhole::{Answer, BoxId, Lane, Op, SealedBox, Ticket};
use xchat_testkit::give_up;

use crate::session::{Arrived, Session, believed};
use crate::view::{Dice, View};

/// Boxes of each sort.
const BOXES: u16 = 24;

/// How long an answer may take, and how often a question is put again: mixes may drop packets.
const PATIENCE: Duration = Duration::from_secs(5);
const TRIES: u32 = 20;

/// A lane whose first half is written.
pub(crate) struct Control {
    lane: Lane,
    kept: Vec<SealedBox>,
}

impl Control {
    /// Writes the first half, as a client that waits for each answer.
    pub(crate) async fn write(dice: &mut Dice, view: &View) -> Self {
        let lane = Lane::new(Secret::random(dice));
        let mut kept = Vec::new();
        let mut asker = Asker::open(dice, view).await;
        for number in 0..BOXES {
            let content = format!("control box {number}");
            let boxed = lane.peek(number).seal(dice, content.as_bytes()).expect("it is short");
            let store = replica(view, &boxed.id(), 0);
            let op = Op::Write {
                placement: view.placement(),
                boxed: boxed.clone(),
                tell: Ticket::from_bytes([9; 16]).tell(),
            };
            match asker.answer(dice, view, store, op).await {
                Some(Answer::Stored) => kept.push(boxed),
                other => give_up(&format!("a control box was answered with {other:?}")),
            }
        }
        Self { lane, kept }
    }

    /// One that is written.
    pub(crate) fn kept(&self, draw: usize) -> &SealedBox {
        &self.kept[draw % self.kept.len()]
    }

    /// Another value for one that is written, well sealed and signed.
    pub(crate) fn second_value(&self, dice: &mut Dice, draw: usize) -> SealedBox {
        let number = u16::try_from(draw % self.kept.len()).expect("a few");
        self.lane.peek(number).seal(dice, b"another value").expect("it is short")
    }

    /// One that is not written, and must not be.
    pub(crate) fn free(&self, draw: usize) -> BoxId {
        let number = u16::try_from(draw % usize::from(BOXES)).expect("a few");
        self.lane.peek(BOXES + number).id()
    }

    /// Reads them all, at each of their honest stores: what does not hold, in words.
    pub(crate) async fn check(&self, dice: &mut Dice, view: &View) -> Vec<String> {
        let mut faults = Vec::new();
        let mut asker = Asker::open(dice, view).await;
        let ids = (0..2 * BOXES).map(|number| self.lane.peek(number).id());
        for (number, id) in ids.enumerate() {
            for rank in 0..honest_replicas(view, &id).len() {
                let store = replica(view, &id, rank);
                let op = Op::Read { placement: view.placement(), id };
                let answer = asker.answer(dice, view, store, op).await;
                let good = match (self.kept.get(number), &answer) {
                    (Some(boxed), Some(Answer::Found(found))) => boxed == found,
                    (None, Some(Answer::Empty)) => true,
                    _ => false,
                };
                if !good {
                    let kind = if number < self.kept.len() { "written" } else { "free" };
                    faults.push(format!("{kind} box {number} at its store {rank}: {answer:?}"));
                }
            }
        }
        faults
    }
}

fn honest_replicas(view: &View, id: &BoxId) -> Vec<xchat_directory::NodeId> {
    let replicas = view.document.replicas(id.as_bytes());
    replicas.into_iter().filter(|node| !view.is_taken(node)).collect()
}

/// One of a box's honest stores.
pub(crate) fn replica<'a>(view: &'a View, id: &BoxId, rank: usize) -> &'a Descriptor {
    let honest = honest_replicas(view, id);
    let chosen = honest.get(rank % honest.len()).expect("two of three are honest");
    view.document.node(chosen).expect("replicas are listed")
}

/// Asks one thing at a time, again until it is answered.
pub(crate) struct Asker {
    session: Session,
}

impl Asker {
    pub(crate) async fn open(dice: &mut Dice, view: &View) -> Self {
        Self { session: open(dice, view).await }
    }

    /// The answer, or `None` if there was none but refusals.
    pub(crate) async fn answer(
        &mut self,
        dice: &mut Dice,
        view: &View,
        store: &Descriptor,
        op: Op,
    ) -> Option<Answer> {
        for _ in 0..TRIES {
            let Some(id) = self.session.ask(dice, view, store, op.clone()).await else {
                self.session = open(dice, view).await;
                continue;
            };
            match self.reply_to(id).await {
                Some(Answer::Refused(_)) | None => {}
                answer => return answer,
            }
        }
        None
    }

    async fn reply_to(&mut self, question: xchat_sphinx::SurbId) -> Option<Answer> {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            match self.session.next(left).await? {
                Arrived::Reply { id, store, about, message, .. } if id == question => {
                    return believed(store, about, &message);
                }
                _ => {}
            }
        }
    }
}

/// A session with an honest gateway; asked for until it is had, since others ask too.
async fn open(dice: &mut Dice, view: &View) -> Session {
    for _ in 0..TRIES {
        let gateway = view.any(dice, Descriptor::is_gateway).expect("there is one").clone();
        if let Some(session) = Session::open(dice, &gateway).await {
            return session;
        }
    }
    give_up("no gateway takes a session")
}
