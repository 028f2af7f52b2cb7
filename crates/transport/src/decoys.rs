//! Decoy lanes: private lanes that the client writes and reads itself, so that what stores are asked does not tell
//! how many conversations there are behind it, nor which box belongs to one.
//!
//! A decoy lane does to the network what a conversation does (spec 04): its next eight boxes are followed while it is
//! in use and two while it rests, a line is a write, an acknowledged write is followed by a read of a box that stays
//! empty (the commit lane's next), a box that arrives makes room for the one after the last. All of it goes the way
//! of the owner's own operations, through the same queues and slots.
//!
//! Decoys fill what the owner's boxes leave of the read set, and make room at once.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use xchat_base::{Rng, Secret, Timestamp, random};
use xchat_pigeonhole::{BoxId, Lane};

use crate::api::{Command, DecoyLanes, Urgency};
use crate::rhythm::Rhythm;

/// Boxes followed ahead of a lane in use, and of one at rest; as in `xchat-engine`.
const AHEAD: (u16, u16) = (8, 2);

/// A lane rests after so long without a line; as in `xchat-engine`.
const ACTIVE_FOR: Duration = Duration::from_secs(3600);

/// Boxes of one lane written but not acknowledged; what comes meanwhile goes into the next; as in `xchat-engine`.
const MAX_UNACKNOWLEDGED: usize = 2;

/// One lane, and both who write and who read it.
struct Decoy {
    /// The writer's place: the next box to be written.
    writing: Lane,
    /// The reader's place: the next box that has not arrived.
    reading: Lane,
    /// Boxes that are followed and have not arrived, by their place in the lane.
    standing: BTreeMap<u64, BoxId>,
    /// Boxes before this place were followed.
    followed: u64,
    /// What is read after an acknowledgement; nobody ever writes it.
    commit: BoxId,
    rhythm: Rhythm,
    next_line: Timestamp,
    last_line: Option<Timestamp>,
    unacknowledged: usize,
}

/// All of them.
pub(crate) struct Decoys {
    lanes: BTreeMap<u32, Decoy>,
    /// Whose box each is that is followed.
    followed: BTreeMap<BoxId, u32>,
    /// Whose box each is that is being written; also of lanes that are gone.
    written: BTreeMap<BoxId, u32>,
    /// Boxes that are being read; also of lanes that are gone.
    read: BTreeSet<BoxId>,
    /// Lanes of which a box has arrived since they were tended last.
    stirred: BTreeSet<u32>,
    next: u32,
    /// When the day is busiest of whoever these lanes are supposed to be.
    noon: Duration,
    /// Boxes that new lanes may still follow.
    credit: f64,
    kind: DecoyLanes,
    /// Lines written so far.
    #[cfg(test)]
    pub(crate) lines: u64,
}

impl Decoys {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let noon = Duration::from_secs_f64(random::unit(rng) * 24.0 * 3600.0);
        Self {
            lanes: BTreeMap::new(),
            followed: BTreeMap::new(),
            written: BTreeMap::new(),
            read: BTreeSet::new(),
            stirred: BTreeSet::new(),
            next: 0,
            noon,
            credit: 0.0,
            kind: DecoyLanes::People,
            #[cfg(test)]
            lines: 0,
        }
    }

    /// Those there are go on as they began.
    pub(crate) fn set_kind(&mut self, kind: DecoyLanes) {
        self.kind = kind;
    }

    /// Whether a box is of a decoy lane.
    pub(crate) fn own(&self, id: &BoxId) -> bool {
        self.followed.contains_key(id) || self.written.contains_key(id) || self.read.contains(id)
    }

    /// Boxes that are followed.
    pub(crate) fn followed(&self) -> usize {
        self.followed.len()
    }

    /// What is to be done now, where `room` boxes of the read set are left by the owner's. In each slot of a client
    /// that is online new lanes earn `share` boxes, so that they come no faster than registrations are renewed.
    pub(crate) fn tend(
        &mut self,
        room: usize,
        share: f64,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Vec<Command> {
        let mut out = Vec::new();
        for key in std::mem::take(&mut self.stirred) {
            self.read_on(key, now, &mut out);
        }
        let room = if self.kind == DecoyLanes::None { 0 } else { room };
        self.make_room(room, &mut out);
        self.credit = (self.credit + share).min(f64::from(AHEAD.0));
        let (active, resting) = AHEAD;
        if self.credit >= f64::from(resting) && self.followed() + usize::from(active) <= room {
            self.credit -= f64::from(resting);
            self.begin(now, rng, &mut out);
        }
        let due: Vec<u32> = self
            .lanes
            .iter()
            .filter(|(_, decoy)| decoy.next_line <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            self.write(key, now, rng, &mut out);
        }
        // A lane that has come into use follows more than before.
        self.make_room(room, &mut out);
        out
    }

    /// A write has ended. If it was one of a decoy's, what the decoy does next; `None` if it was the owner's.
    pub(crate) fn ended_write(&mut self, id: &BoxId) -> Option<Vec<Command>> {
        let key = self.written.remove(id)?;
        let Some(decoy) = self.lanes.get_mut(&key) else { return Some(Vec::new()) };
        decoy.unacknowledged -= 1;
        self.read.insert(decoy.commit);
        Some(vec![Command::Read { id: decoy.commit }])
    }

    /// A read has ended; whether it was one of a decoy's.
    pub(crate) fn ended_read(&mut self, id: &BoxId) -> bool {
        self.read.remove(id)
    }

    /// A followed box has arrived; whether it is one of a decoy's.
    pub(crate) fn arrived(&mut self, id: &BoxId) -> bool {
        let Some(key) = self.followed.remove(id) else { return false };
        if let Some(decoy) = self.lanes.get_mut(&key) {
            decoy.standing.retain(|_, followed| followed != id);
            self.stirred.insert(key);
        }
        true
    }

    fn read_on(&mut self, key: u32, now: Timestamp, out: &mut Vec<Command>) {
        if let Some(decoy) = self.lanes.get_mut(&key) {
            decoy.read_on();
            decoy.look_ahead(key, now, &mut self.followed, out);
        }
    }

    /// The lanes that were begun last go first: the others are in use.
    fn make_room(&mut self, room: usize, out: &mut Vec<Command>) {
        while self.followed() > room {
            let Some((_, decoy)) = self.lanes.pop_last() else { return };
            for id in decoy.standing.into_values() {
                self.followed.remove(&id);
                out.push(Command::Unfollow { id });
            }
        }
    }

    fn begin(&mut self, now: Timestamp, rng: &mut Rng, out: &mut Vec<Command>) {
        let key = self.next;
        self.next = self.next.wrapping_add(1);
        let mut rhythm = match self.kind {
            DecoyLanes::Poisson => Rhythm::poisson(rng),
            _ => Rhythm::new(self.noon, rng),
        };
        let commit = Lane::new(Secret::random(rng)).keys().id();
        let next_line = rhythm.next(now, rng);
        let lane = Lane::new(Secret::random(rng));
        let mut decoy = Decoy {
            reading: lane.clone(),
            writing: lane,
            standing: BTreeMap::new(),
            followed: 0,
            commit,
            rhythm,
            next_line,
            last_line: None,
            unacknowledged: 0,
        };
        decoy.look_ahead(key, now, &mut self.followed, out);
        self.lanes.insert(key, decoy);
    }

    fn write(&mut self, key: u32, now: Timestamp, rng: &mut Rng, out: &mut Vec<Command>) {
        let Some(decoy) = self.lanes.get_mut(&key) else { return };
        // A line that was due while the device slept is written now, once, as whatever its owner typed.
        decoy.next_line = decoy.rhythm.next(now, rng);
        decoy.last_line = Some(now);
        if decoy.unacknowledged >= MAX_UNACKNOWLEDGED {
            return;
        }
        // What is sealed is padded to one length, whatever is in it.
        let Ok(boxed) = decoy.writing.keys().seal(rng, &[]) else { return };
        decoy.writing.advance();
        decoy.unacknowledged += 1;
        #[cfg(test)]
        {
            self.lines += 1;
        }
        self.written.insert(boxed.id(), key);
        out.push(Command::Write { boxed });
        decoy.look_ahead(key, now, &mut self.followed, out);
    }
}

impl Decoy {
    /// Passes the boxes that have arrived, up to the first that has not.
    fn read_on(&mut self) {
        while self.reading.index() < self.followed
            && !self.standing.contains_key(&self.reading.index())
        {
            self.reading.advance();
        }
    }

    /// Follows as many boxes ahead of the reader as the lane's use wants.
    fn look_ahead(
        &mut self,
        key: u32,
        now: Timestamp,
        followed: &mut BTreeMap<BoxId, u32>,
        out: &mut Vec<Command>,
    ) {
        let active = self.last_line.is_some_and(|last| now.since(last) < ACTIVE_FOR);
        let (window, urgency) =
            if active { (AHEAD.0, Urgency::Active) } else { (AHEAD.1, Urgency::Resting) };
        let next = self.reading.index();
        for place in self.followed.max(next)..next + u64::from(window) {
            // Within the window, so it fits.
            let id = self.reading.peek((place - next) as u16).id();
            self.standing.insert(place, id);
            followed.insert(id, key);
            out.push(Command::Follow { id, urgency });
            self.followed = place + 1;
        }
    }
}

#[cfg(test)]
mod tests {
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
        writes: Vec<Timestamp>,
        reads: u64,
    }

    impl Client {
        fn new(seed: u64) -> Self {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let decoys = Decoys::new(&mut rng);
            let (followed, writes) = (BTreeSet::new(), Vec::new());
            Self { decoys, rng, now: T0, followed, writes, reads: 0 }
        }

        /// One slot, in which everything that is asked for is done, and what is written arrives.
        fn slot(&mut self, room: usize, gap: Duration, share: f64) {
            self.now = self.now + gap;
            let mut commands = self.decoys.tend(room, share, self.now, &mut self.rng);
            while let Some(command) = commands.pop() {
                match command {
                    Command::Follow { id, .. } => {
                        assert!(self.followed.insert(id), "followed once")
                    }
                    Command::Unfollow { id } => assert!(self.followed.remove(&id), "was followed"),
                    Command::Write { boxed } => {
                        let id = boxed.id();
                        self.writes.push(self.now);
                        assert!(self.decoys.own(&id));
                        commands.extend(self.decoys.ended_write(&id).expect("a decoy's"));
                        if self.followed.remove(&id) {
                            assert!(self.decoys.arrived(&id), "a decoy's");
                        }
                    }
                    Command::Read { id } => {
                        self.reads += 1;
                        assert!(self.decoys.ended_read(&id), "a decoy's");
                    }
                }
            }
            assert_eq!(self.decoys.followed(), self.followed.len());
            assert!(self.followed.len() <= room);
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
        let full = client.followed.len();
        assert!(full > 200, "{full}");
        client.slot(100, second, 0.0);
        assert!(client.followed.len() <= 100);
        client.slot(0, second, 0.0);
        assert_eq!(client.followed.len(), 0);
        assert!(!client.decoys.own(&BoxId::from_bytes([0; 32])));
    }

    /// The slot budget of section 8.8: what decoys write, read and follow, beyond renewals.
    #[test]
    fn they_take_a_small_share_of_the_slots_and_each_write_has_its_read() {
        let mut client = Client::new(2);
        let days = 7;
        for _ in 0..days * 24 * 360 {
            client.slot(ROOM, Duration::from_secs(10), 1.0);
        }
        let writes = client.writes.len() as f64 / f64::from(days * 24);
        println!("{writes:.1} writes an hour by {} lanes", client.decoys.lanes.len());
        assert!((3.0..30.0).contains(&writes), "{writes} an hour");
        assert_eq!(client.reads, client.writes.len() as u64);
    }

    #[test]
    fn a_lane_in_use_has_eight_boxes_ahead_and_a_resting_one_two() {
        let mut client = Client::new(3);
        while client.writes.is_empty() {
            client.slot(8, Duration::from_secs(60), 8.0);
            if client.writes.is_empty() {
                assert_eq!(client.followed.len(), 2, "one lane fits, at rest");
            }
        }
        client.slot(8, Duration::from_secs(1), 0.0);
        assert_eq!(client.followed.len(), 8);
    }

    #[test]
    fn what_was_under_way_when_a_lane_went_is_still_nobody_elses() {
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
        assert_eq!(decoys.ended_write(&id).map(|next| next.len()), Some(0));
        assert!(decoys.ended_write(&id).is_none(), "and ends once");
    }
}
