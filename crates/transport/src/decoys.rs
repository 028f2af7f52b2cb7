//! Decoys: conversations in which both sides are this client, so that what stores are asked does not tell how many
//! conversations there are behind it, nor which box belongs to one.
//!
//! A decoy does to the network what a conversation does ([`talk`]); when something is said, [`crate::rhythm`] draws. All
//! of it goes the way of the owner's own operations, through the same queues and slots.
//!
//! Decoys fill what the owner's boxes leave of the read set, and make room at once.

mod kept;
mod lane;
mod past;
mod side;
mod talk;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::BTreeMap;

use xchat_base::{CodecError, Rng, Timestamp, random};
use xchat_pigeonhole::BoxId;

use self::kept::Kept;
pub use self::kept::KeptDecoys;

use self::talk::{Ask, Happened, Reads, Talk, Wrote};
use crate::api::{Command, DecoyLanes};
use crate::follows::READ_SET;
use crate::habits::{Habits, Said};
use crate::rhythm::{Life, Most, Rhythm};
use crate::tickets::{self, Tickets};

/// Places of the read set that a decoy takes: the next boxes of each of its lanes.
const TAKEN: usize = 2 * talk::REGISTERED;

/// Lines a day of all of them together, where the whole read set is theirs and nothing is known of the owner's: of a dozen sittings.
const LINES_A_DAY: f64 = 500.0;

/// The same where that is known: as many as the owner's, in these bounds. Those who talk much would otherwise be hidden among few, and
/// whoever counts what comes for a client would find those who talk little by it.
const LINES_BY_HABIT: (f64, f64) = (250.0, 1_000.0);

/// Of so many slots one line at most: it takes about two boxes, each of which is written, looked after, registered and read, so one
/// slot in four. Their owner waits for the others.
const SLOTS_OF_A_LINE: f64 = 33.0;

/// Tickets that go with one box: a conversation's box holds so many beside a line.
const MOST_AT_ONCE: usize = 8;

/// So often they are told how the owner talks now.
const TOLD_EVERY: Duration = Duration::from_secs(3600);

/// After a start of the program one with a past goes on in so many slots at most: it registers two boxes and looks at its commit lane at
/// first, and three quarters of the slots are left to collects, by which the owner hears what was said.
const RESUMED_EVERY: u32 = 12;

/// All of them.
pub(crate) struct Decoys {
    kept: Kept,
    /// Places of the read set that they take: not all that is followed is registered.
    taken: usize,
    /// Whose box each is that is followed, and which of the two reads it.
    followed: BTreeMap<BoxId, (u32, usize)>,
    /// Whose box each is that is being written, and what it is; also of decoys that are gone.
    written: BTreeMap<BoxId, (u32, Wrote)>,
    /// The same of boxes that are being read, for whatever: what is asked for twice is read once.
    read: BTreeMap<BoxId, Vec<(u32, Reads)>>,
    /// What has ended since they were tended last: at most what was asked for.
    happened: Vec<(Timestamp, u32, Happened)>,
    /// Boxes that new ones may still follow.
    credit: f64,
    kind: DecoyLanes,
    /// There never were any: they are to be given a past.
    new: bool,
    /// Slots until the next one with a past may go on.
    pause: u32,
    /// When they were told last how the owner talks.
    told: Timestamp,
    /// What was kept last says something else than what there is.
    unsaved: bool,
}

/// What a client has for decoys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Means {
    /// Places of the read set that are left by the owner's boxes.
    pub(crate) room: usize,
    /// Boxes that new ones earn in each slot.
    pub(crate) share: f64,
    /// Slots of a day.
    pub(crate) slots_a_day: f64,
}

impl Means {
    /// Lines that the slots carry, at most.
    fn lines_a_day(&self) -> f64 {
        self.slots_a_day / SLOTS_OF_A_LINE
    }
}

impl Decoys {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let noon = Duration::from_secs_f64(random::unit(rng) * 24.0 * 3600.0);
        let (talks, waiting) = (BTreeMap::new(), BTreeMap::new());
        let habits = Habits::default();
        Self::of(Kept { talks, waiting, next: 0, noon, habits }, true)
    }

    const fn of(kept: Kept, new: bool) -> Self {
        Self {
            kept,
            taken: 0,
            followed: BTreeMap::new(),
            written: BTreeMap::new(),
            read: BTreeMap::new(),
            happened: Vec::new(),
            credit: 0.0,
            kind: DecoyLanes::People,
            new,
            pause: 0,
            told: Timestamp::ZERO,
            unsaved: false,
        }
    }

    /// Those of an earlier run of the program, from what [`Self::kept`] gave then. They go on when the client is online.
    ///
    /// # Errors
    /// [`CodecError`]: of another version, or damaged.
    pub(crate) fn restored(bytes: &[u8]) -> Result<Self, CodecError> {
        Ok(Self::of(Kept::read(bytes)?, false))
    }

    /// Whether what is to be kept has changed since this was asked last.
    pub(crate) fn take_unsaved(&mut self) -> bool {
        core::mem::take(&mut self.unsaved)
    }

    /// What is to be kept.
    pub(crate) fn kept(&self) -> KeptDecoys {
        KeptDecoys::of(&self.kept)
    }

    /// Those there are go on as they began.
    pub(crate) fn set_kind(&mut self, kind: DecoyLanes) {
        self.kind = kind;
    }

    /// Whether a box is of a decoy.
    pub(crate) fn own(&self, id: &BoxId) -> bool {
        self.followed.contains_key(id)
            || self.written.contains_key(id)
            || self.read.contains_key(id)
    }

    /// The talk in which a box is followed, if it is a decoy's.
    pub(crate) fn follower(&self, id: &BoxId) -> Option<tickets::Talk> {
        let (key, reader) = self.followed.get(id)?;
        Some(tickets::Talk::Decoy(*key, *reader))
    }

    /// Boxes that are followed.
    pub(crate) fn followed(&self) -> usize {
        self.followed.len()
    }

    /// The owner has said something, or was told something. It is kept with what is kept next, within an hour online: a program that
    /// dies before forgets a few lines.
    pub(crate) fn note(&mut self, said: Said, now: Timestamp) {
        self.kept.habits.note(said, now);
    }

    /// What is to be done now, with these means. In each slot of a client
    /// that is online new decoys earn their share of boxes, so that they come no faster than registrations are renewed. One with a past
    /// goes on where nothing else is to be done.
    pub(crate) fn tend(
        &mut self,
        means: Means,
        is_idle: bool,
        tickets: &mut Tickets,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<Command> {
        let room = if self.kind == DecoyLanes::None { 0 } else { means.room };
        let means = Means { room, ..means };
        // Also when the clock was set back.
        let is_old = now < self.told || now.since(self.told) >= TOLD_EVERY;
        if is_old {
            self.kept.habits.fade(now);
        }
        if core::mem::take(&mut self.new) {
            self.make_up_a_day(means, now, rng);
        }
        if is_old {
            self.told = now;
            self.tell(means, now, rng);
        }
        let mut asks = Vec::new();
        self.pause = self.pause.saturating_sub(1);
        if is_idle && self.pause == 0 {
            self.resume(room, now, rng, &mut asks);
        }
        self.live(means, now, rng, &mut asks);
        self.unsaved |= !asks.is_empty();
        asks.into_iter()
            .filter_map(|(key, ask)| self.carry_out(key, ask, tickets, now, rng))
            .collect()
    }

    /// Whether some with a past have not gone on yet.
    pub(crate) fn are_waiting(&self) -> bool {
        self.new || !self.kept.waiting.is_empty()
    }

    /// What they ask for at this time.
    fn live(&mut self, means: Means, now: Timestamp, rng: &mut Rng, out: &mut Vec<(u32, Ask)>) {
        let Means { room, share, .. } = means;
        let mut happened = core::mem::take(&mut self.happened);
        // Who reads a lane to its end has read what was found there.
        happened.sort_by_key(|(at, _, what)| (*at, !matches!(what, Happened::Arrived(_))));
        for (at, key, happened) in happened {
            self.with(key, out, |talk, asks| {
                // What was due before it is said before it.
                talk.tick(at, rng, asks);
                talk.handle(happened, at, rng, asks);
            });
        }
        self.make_room(room, out);
        self.credit = (self.credit + share).min(TAKEN as f64);
        let has_room = self.kept.waiting.is_empty() && self.taken + TAKEN <= room;
        if has_room && self.credit >= TAKEN as f64 {
            self.credit -= TAKEN as f64;
            self.begin(means, now, rng, out);
        }
        let due = self.kept.talks.iter().filter(|(_, talk)| talk.wake() <= now);
        for key in due.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.with(key, out, |talk, asks| talk.tick(now, rng, asks));
        }
    }

    /// A write has ended; whether it was one of a decoy's.
    pub(crate) fn ended_write(&mut self, id: &BoxId, now: Timestamp) -> bool {
        let ended = self.written.remove(id);
        self.happened.extend(ended.map(|(key, what)| (now, key, Happened::Written(what))));
        ended.is_some()
    }

    /// A read has ended, and has found something or not; whether it was one of a decoy's.
    pub(crate) fn ended_read(&mut self, id: &BoxId, found: bool, now: Timestamp) -> bool {
        let ended = self.read.remove(id);
        let happened = |(key, what): &(u32, Reads)| (now, *key, Happened::Read(*what, found));
        self.happened.extend(ended.iter().flatten().map(happened));
        ended.is_some()
    }

    /// A followed box has arrived; whether it is one of a decoy's.
    pub(crate) fn arrived(&mut self, id: &BoxId, now: Timestamp) -> bool {
        let arrived = self.followed.remove(id);
        self.happened.extend(arrived.map(|(key, _)| (now, key, Happened::Arrived(*id))));
        arrived.is_some()
    }

    /// One of those with a past goes on, any of them, if there is room.
    fn resume(&mut self, room: usize, now: Timestamp, rng: &mut Rng, out: &mut Vec<(u32, Ask)>) {
        if self.taken + TAKEN > room {
            return;
        }
        let nth = random::index(rng, self.kept.waiting.len());
        let key = self.kept.waiting.keys().nth(nth).copied();
        if let Some((key, mut talk)) = key.and_then(|key| self.kept.waiting.remove_entry(&key)) {
            self.pause = RESUMED_EVERY;
            let mut asks = Vec::new();
            talk.resume(now, rng, &mut asks);
            self.add(key, talk, asks, out);
        }
    }

    /// Tells all how the owner talks now. The oldest say what they want of the lines that there are, the others what is left.
    fn tell(&mut self, means: Means, now: Timestamp, rng: &mut Rng) {
        let mut left = self.lines_a_day(means);
        let mut carried = means.lines_a_day();
        let Kept { talks, waiting, habits, noon, .. } = &mut self.kept;
        let mut all: Vec<_> = waiting.iter_mut().chain(talks).collect();
        all.sort_by_key(|(key, _)| **key);
        for (_, talk) in all {
            let most = Most { on_average: left, at_once: carried };
            talk.change(|rhythm| inform(rhythm, habits, *noon, most), now, rng);
            left -= talk.rhythm().lines_a_day();
            carried -= talk.rhythm().lines_a_day_at_once();
        }
        self.unsaved = true;
    }

    /// Of all of them together, at most.
    fn lines_a_day(&self, means: Means) -> f64 {
        let (fewest, most) = LINES_BY_HABIT;
        let habits = &self.kept.habits;
        let (trust, own) = (habits.trust(), habits.lines_a_day().clamp(fewest, most));
        let wanted = LINES_A_DAY + trust * (own - LINES_A_DAY);
        (wanted * means.room as f64 / READ_SET as f64).min(means.lines_a_day())
    }

    fn begin(&mut self, means: Means, now: Timestamp, rng: &mut Rng, out: &mut Vec<(u32, Ask)>) {
        let key = self.kept.next;
        self.kept.next = key.wrapping_add(1);
        let talking = |much: fn(&Rhythm) -> f64| -> f64 {
            self.kept.talks.values().map(|talk| much(talk.rhythm())).sum()
        };
        let most = Most {
            on_average: self.lines_a_day(means) - talking(Rhythm::lines_a_day),
            at_once: means.lines_a_day() - talking(Rhythm::lines_a_day_at_once),
        };
        let Kept { habits, noon, .. } = &self.kept;
        let mut rhythm = match self.kind {
            DecoyLanes::Poisson => Rhythm::poisson(*noon, rng),
            _ => Rhythm::new(*noon, rng),
        };
        inform(&mut rhythm, habits, *noon, most);
        let mut asks = Vec::new();
        let talk = Talk::new(rhythm, now, rng, &mut asks);
        self.add(key, talk, asks, out);
    }

    fn add(&mut self, key: u32, talk: Talk, asks: Vec<Ask>, out: &mut Vec<(u32, Ask)>) {
        self.taken += talk.taken();
        self.kept.talks.insert(key, talk);
        out.extend(asks.into_iter().map(|ask| (key, ask)));
    }

    /// The youngest go first: the others are in use.
    fn make_room(&mut self, room: usize, out: &mut Vec<(u32, Ask)>) {
        while self.taken > room {
            let Some((key, talk)) = self.kept.talks.pop_last() else { return };
            self.taken -= talk.taken();
            out.extend(talk.standing().map(|id| (key, Ask::Unfollow(*id))));
        }
    }

    fn with(
        &mut self,
        key: u32,
        out: &mut Vec<(u32, Ask)>,
        act: impl FnOnce(&mut Talk, &mut Vec<Ask>),
    ) {
        let mut asks = Vec::new();
        if let Some(talk) = self.kept.talks.get_mut(&key) {
            self.unsaved = true;
            let before = talk.taken();
            act(talk, &mut asks);
            self.taken = self.taken - before + talk.taken();
        }
        out.extend(asks.into_iter().map(|ask| (key, ask)));
    }

    fn carry_out(
        &mut self,
        key: u32,
        ask: Ask,
        tickets: &mut Tickets,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Option<Command> {
        let command = match ask {
            Ask::Write(place, what) => {
                let boxed = place.sealed();
                self.written.insert(boxed.id(), (key, what));
                let talk = self.kept.talks.get_mut(&key);
                let ticket = talk.and_then(|talk| {
                    if let Wrote::Own(side, _, place) = what {
                        let to = tickets::Talk::Decoy(key, side);
                        talk.hand(side, place, || tickets.hand_out(to, MOST_AT_ONCE, now, rng));
                    }
                    talk.take_ticket(what, now)
                });
                Command::Write { boxed, ticket }
            }
            Ask::Read(id, what) => {
                self.read.entry(id).or_default().push((key, what));
                Command::Read { id }
            }
            Ask::Follow(id, urgency, reader) => {
                let talk = self.kept.talks.get(&key)?;
                // It may have come in the same slot as the one before it.
                talk.standing().find(|standing| **standing == id)?;
                self.followed.insert(id, (key, reader));
                Command::Follow { id, urgency, talk: None }
            }
            Ask::Unfollow(id) => {
                self.followed.remove(&id)?;
                Command::Unfollow { id }
            }
        };
        Some(command)
    }
}

/// A rhythm becomes that of one of the owner's conversations, or of people of whom nothing is known but the hours, with so many lines at most.
fn inform(rhythm: &mut Rhythm, habits: &Habits, noon: Duration, most: Most) {
    let usual = rhythm.usual(noon);
    let (rank, doubt) = (rhythm.rank(), rhythm.doubt());
    let trusts = doubt < habits.trust();
    let life = trusts.then(|| habits.life(rank, doubt, usual.manner)).flatten().unwrap_or(usual);
    rhythm.live_by(Life { manner: habits.at_hours(life.manner), ..life }, most);
}

/// What tests look at.
#[cfg(test)]
impl Decoys {
    /// Lines written so far by those there are.
    pub(crate) fn lines(&self) -> u64 {
        self.kept.talks.values().map(|talk| talk.lines).sum()
    }
}
