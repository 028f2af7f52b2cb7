//! Decoys: conversations in which both sides are this client, so that what stores are asked does not tell how many
//! conversations there are behind it, nor which box belongs to one.
//!
//! A decoy does to the network what a conversation does ([`talk`]); when something is said, [`crate::rhythm`] draws. All
//! of it goes the way of the owner's own operations, through the same queues and slots.
//!
//! Decoys fill what the owner's boxes leave of the read set, and make room at once.

mod talk;

use core::time::Duration;
use std::collections::BTreeMap;

use xchat_base::{Rng, Timestamp, random};
use xchat_pigeonhole::BoxId;

use self::talk::{AHEAD, Ask, Happened, Reads, Talk, Wrote};
use crate::api::{Command, DecoyLanes};
use crate::follows::READ_SET;
use crate::rhythm::Rhythm;

/// Places of the read set that a decoy takes when both of its lanes are in use, and when both rest.
const TAKEN: (usize, usize) =
    (2 * talk::taken(AHEAD.0 as usize), 2 * talk::taken(AHEAD.1 as usize));

/// Sittings a day of all of them together, at most, where the whole read set is theirs: some are drawn that talk much, and several
/// of those would fill the slots of a slow pace.
const SITTINGS_A_DAY: f64 = 12.0;

/// All of them.
pub(crate) struct Decoys {
    talks: BTreeMap<u32, Talk>,
    /// Places of the read set that they take: not all that is followed is registered.
    taken: usize,
    /// Whose box each is that is followed.
    followed: BTreeMap<BoxId, u32>,
    /// Whose box each is that is being written, and what it is; also of decoys that are gone.
    written: BTreeMap<BoxId, (u32, Wrote)>,
    /// The same of boxes that are being read.
    read: BTreeMap<BoxId, (u32, Reads)>,
    /// What has ended since they were tended last: at most what was asked for.
    happened: Vec<(u32, Happened)>,
    next: u32,
    /// When the day is busiest of whoever they are supposed to be.
    noon: Duration,
    /// Boxes that new ones may still follow.
    credit: f64,
    kind: DecoyLanes,
}

impl Decoys {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let noon = Duration::from_secs_f64(random::unit(rng) * 24.0 * 3600.0);
        Self {
            talks: BTreeMap::new(),
            taken: 0,
            followed: BTreeMap::new(),
            written: BTreeMap::new(),
            read: BTreeMap::new(),
            happened: Vec::new(),
            next: 0,
            noon,
            credit: 0.0,
            kind: DecoyLanes::People,
        }
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

    /// Whether a box is followed by a decoy.
    pub(crate) fn follows(&self, id: &BoxId) -> bool {
        self.followed.contains_key(id)
    }

    /// Boxes that are followed.
    pub(crate) fn followed(&self) -> usize {
        self.followed.len()
    }

    /// What is to be done now, where `room` places of the read set are left by the owner's. In each slot of a client
    /// that is online new decoys earn `share` boxes, so that they come no faster than registrations are renewed.
    pub(crate) fn tend(
        &mut self,
        room: usize,
        share: f64,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<Command> {
        let mut out = Vec::new();
        for (key, happened) in core::mem::take(&mut self.happened) {
            self.with(key, &mut out, |talk, asks| talk.handle(happened, now, rng, asks));
        }
        let room = if self.kind == DecoyLanes::None { 0 } else { room };
        self.make_room(room, &mut out);
        let (active, resting) = TAKEN;
        self.credit = (self.credit + share).min(active as f64);
        if self.credit >= resting as f64 && self.taken + active <= room {
            self.credit -= resting as f64;
            self.begin(room, now, rng, &mut out);
        }
        let due = self.talks.iter().filter(|(_, talk)| talk.wake() <= now).map(|(key, _)| *key);
        for key in due.collect::<Vec<_>>() {
            self.with(key, &mut out, |talk, asks| talk.tick(now, rng, asks));
        }
        // One that has come into use follows more than before.
        self.make_room(room, &mut out);
        out
    }

    /// A write has ended; whether it was one of a decoy's.
    pub(crate) fn ended_write(&mut self, id: &BoxId) -> bool {
        let ended = self.written.remove(id);
        self.happened.extend(ended.map(|(key, what)| (key, Happened::Written(what))));
        ended.is_some()
    }

    /// A read has ended; whether it was one of a decoy's.
    pub(crate) fn ended_read(&mut self, id: &BoxId) -> bool {
        let ended = self.read.remove(id);
        self.happened.extend(ended.map(|(key, what)| (key, Happened::Read(what))));
        ended.is_some()
    }

    /// A followed box has arrived; whether it is one of a decoy's.
    pub(crate) fn arrived(&mut self, id: &BoxId) -> bool {
        let arrived = self.followed.remove(id);
        self.happened.extend(arrived.map(|key| (key, Happened::Arrived(*id))));
        arrived.is_some()
    }

    fn begin(&mut self, room: usize, now: Timestamp, rng: &mut Rng, out: &mut Vec<Command>) {
        let key = self.next;
        self.next = self.next.wrapping_add(1);
        let talking: f64 = self.talks.values().map(Talk::sittings_a_day).sum();
        let left = SITTINGS_A_DAY * room as f64 / READ_SET as f64 - talking;
        let rhythm = match self.kind {
            DecoyLanes::Poisson => Rhythm::poisson(rng),
            _ => Rhythm::new(self.noon, rng),
        };
        let rhythm = rhythm.at_most(left);
        let mut asks = Vec::new();
        let talk = Talk::new(rhythm, now, rng, &mut asks);
        self.taken += talk.taken();
        self.talks.insert(key, talk);
        self.carry_out(key, asks, out);
    }

    /// The youngest go first: the others are in use.
    fn make_room(&mut self, room: usize, out: &mut Vec<Command>) {
        while self.taken > room {
            let Some((_, talk)) = self.talks.pop_last() else { return };
            self.taken -= talk.taken();
            for id in talk.standing() {
                self.followed.remove(id);
                out.push(Command::Unfollow { id: *id });
            }
        }
    }

    fn with(
        &mut self,
        key: u32,
        out: &mut Vec<Command>,
        act: impl FnOnce(&mut Talk, &mut Vec<Ask>),
    ) {
        let mut asks = Vec::new();
        if let Some(talk) = self.talks.get_mut(&key) {
            let before = talk.taken();
            act(talk, &mut asks);
            self.taken = self.taken - before + talk.taken();
        }
        self.carry_out(key, asks, out);
    }

    fn carry_out(&mut self, key: u32, asks: Vec<Ask>, out: &mut Vec<Command>) {
        for ask in asks {
            out.push(match ask {
                Ask::Write(boxed, what) => {
                    self.written.insert(boxed.id(), (key, what));
                    Command::Write { boxed }
                }
                Ask::Read(id, what) => {
                    self.read.insert(id, (key, what));
                    Command::Read { id }
                }
                Ask::Follow(id, urgency) => {
                    self.followed.insert(id, key);
                    Command::Follow { id, urgency }
                }
                Ask::Unfollow(id) => {
                    self.followed.remove(&id);
                    Command::Unfollow { id }
                }
            });
        }
    }
}

/// What tests look at.
#[cfg(test)]
impl Decoys {
    /// Lines written so far by those there are.
    pub(crate) fn lines(&self) -> u64 {
        self.talks.values().map(|talk| talk.lines).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
    const ROOM: usize = 256;

    struct Client {
        decoys: Decoys,
        rng: ChaCha20Rng,
        now: Timestamp,
        followed: BTreeSet<BoxId>,
        boxes: BTreeSet<BoxId>,
        reads: u64,
    }

    impl Client {
        fn new(seed: u64) -> Self {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let decoys = Decoys::new(&mut rng);
            let (followed, boxes) = (BTreeSet::new(), BTreeSet::new());
            Self { decoys, rng, now: T0, followed, boxes, reads: 0 }
        }

        /// One slot, in which everything that is asked for is done, and what is written arrives.
        fn slot(&mut self, room: usize, gap: Duration, share: f64) {
            self.now = self.now + gap;
            let mut commands = self.decoys.tend(room, share, self.now, &mut self.rng);
            // What ends a command leads to the next in the slot after.
            let mut arrived = Vec::new();
            for command in commands.drain(..) {
                match command {
                    Command::Follow { id, .. } => {
                        self.followed.insert(id);
                    }
                    Command::Unfollow { id } => assert!(self.followed.remove(&id), "was followed"),
                    Command::Write { boxed } => {
                        let id = boxed.id();
                        assert!(self.boxes.insert(id), "written once");
                        assert!(self.decoys.own(&id));
                        assert!(self.decoys.ended_write(&id), "a decoy's");
                        arrived.push(id);
                    }
                    Command::Read { id } => {
                        self.reads += 1;
                        assert!(self.decoys.ended_read(&id), "a decoy's");
                    }
                }
            }
            for id in arrived {
                if self.followed.remove(&id) {
                    assert!(self.decoys.arrived(&id), "a decoy's");
                }
            }
            assert_eq!(self.decoys.followed(), self.followed.len());
            assert!(self.decoys.taken <= room);
            let taken: usize = self.decoys.talks.values().map(Talk::taken).sum();
            assert_eq!(self.decoys.taken, taken);
        }
    }

    #[test]
    fn they_fill_what_is_left_and_make_room_at_once() {
        let mut client = Client::new(1);
        let second = Duration::from_secs(1);
        // A registration each in fourteen slots: as slowly as the read set is renewed.
        for _ in 0..3_600 {
            client.slot(ROOM, second, 256.0 / 3_600.0);
        }
        let full = client.decoys.taken;
        assert!(full > 200, "{full}");
        client.slot(100, second, 0.0);
        client.slot(0, second, 0.0);
        assert_eq!(client.followed.len(), 0);
        assert!(!client.decoys.own(&BoxId::from_bytes([0; 32])));
    }

    /// Some are drawn that talk much: without the bound one client in twenty has twice as much.
    #[test]
    fn together_they_talk_no_more_than_a_slow_pace_carries() {
        for seed in 100..160 {
            let mut client = Client::new(seed);
            for _ in 0..3_600 {
                client.slot(ROOM, Duration::from_secs(1), 256.0 / 3_600.0);
            }
            let talks = &client.decoys.talks;
            let all: f64 = talks.values().map(Talk::sittings_a_day).sum();
            // Each has a little, also when nothing is left.
            assert!(talks.len() > 40 && all < SITTINGS_A_DAY + 0.1, "{all} by {}", talks.len());
        }
    }

    /// The slot budget of section 8.8: what decoys write, read and follow, beyond renewals.
    #[test]
    fn they_take_a_small_share_of_the_slots_and_each_write_has_its_read() {
        let mut client = Client::new(2);
        let days = 7;
        for _ in 0..days * 24 * 1_200 {
            client.slot(ROOM, Duration::from_secs(3), 1.0);
        }
        let hours = f64::from(days * 24);
        let writes = client.boxes.len() as f64 / hours;
        let reads = client.reads as f64 / hours;
        println!("{writes:.1} writes, {reads:.1} reads an hour by {}", client.decoys.talks.len());
        assert!((10.0..60.0).contains(&writes), "{writes} an hour");
        // Beside the look at each commit lane every six hours.
        let after_writes = reads - client.decoys.talks.len() as f64 / 6.0;
        assert!((0.5..1.2).contains(&(after_writes / writes)), "{reads} reads for {writes} writes");
    }

    #[test]
    fn lanes_in_use_have_sixteen_boxes_ahead_and_resting_ones_two() {
        let mut client = Client::new(3);
        while client.boxes.is_empty() {
            client.slot(18, Duration::from_secs(60), 8.0);
            if client.boxes.is_empty() {
                assert_eq!(client.followed.len(), 4, "one fits, at rest");
            }
        }
        // The reader's lane comes into use with what arrives, the writer's with the receipt.
        for _ in 0..20 {
            client.slot(18, Duration::from_secs(1), 0.0);
        }
        assert_eq!(client.followed.len(), 32);
    }

    #[test]
    fn a_text_has_its_receipt_and_a_long_talk_renews_its_keys() {
        let mut client = Client::new(5);
        let mut epochs = 0;
        for _ in 0..400_000 {
            client.slot(18, Duration::from_secs(3), 8.0);
            epochs = client.decoys.talks.values().map(|talk| talk.epoch()).max().unwrap_or(0);
            if epochs > 3 {
                break;
            }
        }
        assert!(epochs > 3, "{epochs} epochs");
        let lines = client.decoys.lines() as usize;
        // A box for nearly each line and each receipt, and six and a marker for each change of keys.
        assert!(client.boxes.len() > lines * 5 / 4, "{} boxes, {lines}", client.boxes.len());
    }

    #[test]
    fn what_was_under_way_when_a_decoy_went_is_still_nobody_elses() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let mut decoys = Decoys::new(&mut rng);
        let (mut now, mut written) = (T0, None);
        while written.is_none() {
            now = now + Duration::from_secs(60);
            for command in decoys.tend(ROOM, 8.0, now, &mut rng) {
                if let Command::Write { boxed } = command {
                    written = Some(boxed.id());
                }
            }
        }
        let id = written.expect("just written");
        decoys.tend(0, 0.0, now, &mut rng);
        assert!(decoys.own(&id));
        assert!(decoys.ended_write(&id), "still a decoy's");
        assert!(!decoys.ended_write(&id), "and ends once");
        assert!(decoys.tend(0, 0.0, now, &mut rng).is_empty(), "nothing follows from it");
    }
}
