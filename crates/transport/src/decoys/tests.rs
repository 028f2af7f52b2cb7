//! Decoys alone: what they ask for is done at once.

use std::collections::BTreeSet;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use xchat_directory::NodeId;
use xchat_pigeonhole::{Dated, SealedBox, Ticket};
use xchat_sphinx::CollectorSession;

use super::*;
use crate::follows::Standing;
use crate::rhythm::Most;

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
const ROOM: usize = READ_SET;

/// Of a client with a slot a second.
fn means(room: usize, share: f64) -> Means {
    Means { room, share, slots_a_day: 24.0 * 3600.0 }
}

struct Client {
    decoys: Decoys,
    tickets: Tickets,
    /// Boxes written with a ticket, and without.
    told: (u32, u32),
    rng: ChaCha20Rng,
    now: Timestamp,
    followed: BTreeSet<BoxId>,
    /// What has come since the program started.
    had: BTreeSet<BoxId>,
    boxes: BTreeMap<BoxId, SealedBox>,
    /// What was kept, and what before that.
    kept: [Option<KeptDecoys>; 2],
    reads: u64,
    /// What is under way, where the network takes its time.
    under_way: Vec<Command>,
}

impl Client {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let decoys = Decoys::new(&mut rng);
        let (followed, boxes) = (BTreeSet::new(), BTreeMap::new());
        Self {
            decoys,
            tickets: Tickets::default(),
            told: (0, 0),
            rng,
            now: T0,
            followed,
            had: BTreeSet::new(),
            boxes,
            kept: [None, None],
            reads: 0,
            under_way: Vec::new(),
        }
    }

    /// The program dies, and starts again with what was kept last, or with what was kept before that.
    fn restart(&mut self, off: Duration, behind: usize) {
        let Some(kept) = &self.kept[behind] else { return };
        self.decoys = Decoys::restored(kept.as_bytes()).expect("what it has kept itself");
        self.followed.clear();
        self.had.clear();
        self.now = self.now + off;
        // What was under way has come to its store, or not.
        for command in core::mem::take(&mut self.under_way) {
            if let Command::Write { boxed, .. } = command
                && random::index(&mut self.rng, 2) == 0
            {
                self.store(boxed);
            }
        }
    }

    /// How often the keys of those there are were renewed at most.
    fn epoch(&self) -> u64 {
        self.decoys.kept.talks.values().map(Talk::epoch).max().unwrap_or(0)
    }

    fn store(&mut self, boxed: SealedBox) {
        let before = self.boxes.insert(boxed.id(), boxed.clone());
        assert!(before.is_none_or(|before| before == boxed), "two things in one box");
    }

    fn arrive(&mut self, id: BoxId) {
        if self.followed.remove(&id) {
            assert!(self.decoys.arrived(&id, self.now), "a decoy's");
            self.had.insert(id);
        }
    }

    fn tend(&mut self, means: Means, is_idle: bool) -> Vec<Command> {
        self.decoys.tend(means, is_idle, &mut self.tickets, self.now, &mut self.rng)
    }

    /// One slot, in which everything that is asked for is done, and what is written arrives.
    fn slot(&mut self, room: usize, gap: Duration, share: f64) {
        self.slow_slot(room, gap, share, 1.0);
    }

    /// One slot, in which each thing that is under way ends with this probability.
    fn slow_slot(&mut self, room: usize, gap: Duration, share: f64, ends: f64) {
        self.now = self.now + gap;
        let is_idle = self.under_way.is_empty();
        let mut commands = self.tend(means(room, share), is_idle);
        if self.decoys.take_unsaved() {
            let kept = self.decoys.kept();
            let [last, before] = &mut self.kept;
            *before = last.replace(kept);
        }
        // What ends a command leads to the next in the slot after.
        let mut there = Vec::new();
        for command in commands.drain(..) {
            if let Command::Write { ticket, .. } = &command {
                let (with, without) = &mut self.told;
                *if ticket.is_some() { with } else { without } += 1;
                // By the transport, when it comes.
                ticket.iter().for_each(|ticket| {
                    self.tickets.used(&ticket.tell().id, BoxId::from_bytes([1; 32]))
                });
            }
            match command {
                Command::Follow { id, .. } => {
                    assert!(!self.had.contains(&id), "it has come already");
                    self.followed.insert(id);
                    // It may have been written before the program started.
                    there.extend(self.boxes.contains_key(&id).then_some(id));
                }
                Command::Unfollow { id } => assert!(self.followed.remove(&id), "was followed"),
                // Asked for again, it is one read.
                Command::Read { id } => {
                    let is_same = |other: &Command| matches!(other, Command::Read { id: other } if *other == id);
                    if !self.under_way.iter().any(is_same) {
                        self.under_way.push(Command::Read { id });
                    }
                }
                write => self.under_way.push(write),
            }
        }
        for id in there {
            self.arrive(id);
        }
        for command in core::mem::take(&mut self.under_way) {
            if random::unit(&mut self.rng) >= ends {
                self.under_way.push(command);
                continue;
            }
            match command {
                Command::Write { boxed, .. } => {
                    let id = boxed.id();
                    assert!(self.decoys.own(&id));
                    self.store(boxed);
                    assert!(self.decoys.ended_write(&id, self.now), "a decoy's");
                    self.arrive(id);
                }
                Command::Read { id } => {
                    self.reads += 1;
                    let found = self.boxes.contains_key(&id);
                    assert!(self.decoys.ended_read(&id, found, self.now), "a decoy's");
                    if found {
                        self.arrive(id);
                    }
                }
                Command::Follow { .. } | Command::Unfollow { .. } => unreachable!("done at once"),
            }
        }
        assert_eq!(self.decoys.followed(), self.followed.len());
        assert!(self.decoys.taken <= room);
        let taken: usize = self.decoys.kept.talks.values().map(Talk::taken).sum();
        assert_eq!(self.decoys.taken, taken);
    }
}

#[test]
fn they_fill_what_is_left_and_make_room_at_once() {
    let mut client = Client::new(1);
    let second = Duration::from_secs(1);
    // A registration each in fourteen slots: as slowly as the read set is renewed.
    for _ in 0..3_600 {
        client.slot(ROOM, second, READ_SET as f64 / 3_600.0);
    }
    let full = client.decoys.taken;
    assert!(full > READ_SET - 6, "{full}");
    client.slot(75, second, 0.0);
    client.slot(0, second, 0.0);
    assert_eq!(client.followed.len(), 0);
    assert!(!client.decoys.own(&BoxId::from_bytes([0; 32])));
}

/// Or many of them would renew theirs in the first hours, which conversations do not.
#[test]
fn the_keys_of_a_new_clients_decoys_are_of_any_age() {
    let mut client = Client::new(15);
    client.slot(ROOM, Duration::from_secs(1), 0.0);
    let hours = |talk: &Talk| client.now.since(talk.since()).as_secs() / 3_600;
    let Kept { talks, waiting, .. } = &client.decoys.kept;
    let ages: Vec<_> = talks.values().chain(waiting.values()).map(hours).collect();
    let soon = ages.iter().filter(|age| (21..24).contains(*age)).count();
    assert!(ages.len() > 25 && soon <= ages.len() / 4, "{soon} of {ages:?}");
    assert!(
        ages.iter().filter(|age| **age < 21).count() > 2,
        "they did it in that day too: {ages:?}"
    );
}

/// Some are drawn that talk much: without the bound one client in twenty has twice as much.
#[test]
fn together_they_talk_no_more_than_a_slow_pace_carries() {
    for seed in 100..160 {
        let mut client = Client::new(seed);
        for _ in 0..3_600 {
            client.slot(ROOM, Duration::from_secs(1), READ_SET as f64 / 3_600.0);
        }
        let talks = &client.decoys.kept.talks;
        let all: f64 = talks.values().map(|talk| talk.rhythm().lines_a_day()).sum();
        // Each has a little, also when nothing is left.
        assert!(talks.len() > 25 && all < LINES_A_DAY + 5.0, "{all} by {}", talks.len());
    }
}

/// Stores would tell them by how often two sit down, how long, how fast.
#[test]
fn they_live_as_their_owner_does() {
    let mut client = Client::new(12);
    let lines = |client: &Client| {
        client.decoys.kept.talks.values().map(|talk| talk.rhythm().lines_a_day()).sum::<f64>()
    };
    let busiest = |client: &Client| {
        client
            .decoys
            .kept
            .talks
            .values()
            .map(|talk| talk.rhythm().sittings_a_day())
            .fold(0.0, f64::max)
    };
    // With each of three friends the owner talks eight times a day, forty lines at a time.
    for (n, line) in (0..7 * 24u64).flat_map(|n| (0..40).map(move |line| (n, line))) {
        let at = T0 + Duration::from_secs(n * 3_600 + line * 20);
        client.decoys.note(Said { talk: n % 3, at, is_own: line % 2 == 0 }, at);
    }
    client.now = T0 + Duration::from_secs(7 * 86_400);
    let slot = |client: &mut Client| client.slot(ROOM, Duration::from_secs(3), 0.2);
    (0..1_200).for_each(|_| slot(&mut client));
    let (all, one) = (lines(&client), busiest(&client));
    assert!((900.0..1_001.0).contains(&all), "{all} lines for 960 a day");
    assert!((6.0..10.0).contains(&one), "{one} sittings for 8 a day");
    // What they learned they know after a start.
    client.restart(Duration::from_secs(60), 0);
    (0..1_200).for_each(|_| slot(&mut client));
    assert!((900.0..1_001.0).contains(&lines(&client)), "{} lines", lines(&client));
    // Whose owner says nothing any more live as people do of whom nothing is known, those that there are too.
    client.now = client.now + Duration::from_secs(60 * 86_400);
    // A week of it in each hour.
    (0..10 * 1_300).for_each(|_| slot(&mut client));
    assert_eq!(client.decoys.kept.habits.trust(), 0.0);
    let (all, kept) = (lines(&client), &client.decoys.kept);
    assert!(all < LINES_A_DAY + 5.0, "{all} lines");
    let usual = |talk: &Talk| talk.rhythm().usual(kept.noon).sittings_a_day;
    let live_as_usual = kept.talks.values().filter(|talk| {
        (talk.rhythm().sittings_a_day() / usual(talk).max(0.001) - 1.0).abs() < 1e-6
    });
    assert!(
        live_as_usual.count() + 4 > kept.talks.len(),
        "but for those for whom no lines are left"
    );
}

/// Whoever talks to the owner without pause must not fill the owner's slots by it.
#[test]
fn decoys_say_no_more_than_a_pace_carries() {
    for (room, slots_a_day) in [(READ_SET, 86_400.0), (130, 17_280.0), (22, 2_880.0)] {
        let mut client = Client::new(13);
        // Sittings of two hundred lines each, and with everybody.
        for n in 0..40_000u64 {
            let at = T0 + Duration::from_secs(n * 3 + n / 200 * 700);
            client.decoys.note(Said { talk: n / 200 % 5, at, is_own: n % 2 == 0 }, at);
            client.now = at;
        }
        let means = Means { room, share: 1.0, slots_a_day };
        for _ in 0..1_000 {
            client.now = client.now + Duration::from_secs(10);
            client.tend(means, true);
        }
        let all: f64 =
            client.decoys.kept.talks.values().map(|talk| talk.rhythm().lines_a_day()).sum();
        let most = (1_000.0 * room as f64 / READ_SET as f64).min(slots_a_day / 33.0);
        // Each has a little, also when nothing is left.
        assert!(all > most / 2.0 && all < most + 25.0, "{all} lines a day of {most}");
    }
}

/// Lines are said when they are due and not when a slot comes, or a talk would be slower than those of people by a slot for each line.
#[test]
fn a_talk_goes_on_as_fast_with_few_slots_as_with_many() {
    let lines = |gap: u64| {
        let (mut rng, mut now, mut asks) = (ChaCha20Rng::seed_from_u64(14), T0, Vec::new());
        let mut rhythm = Rhythm::new(Duration::ZERO, &mut rng);
        let life = Life { sittings_a_day: 12.0, ..rhythm.usual(Duration::ZERO) };
        rhythm.live_by(life, Most::NONE);
        let mut talk = Talk::new(rhythm, now, &mut rng, &mut asks);
        let mut within = 0;
        while talk.lines < 4_000 {
            let before = (now, talk.lines);
            now = talk.wake().max(now) + Duration::from_millis(gap);
            talk.tick(now, &mut rng, &mut asks);
            let said = now.since(before.0) < Duration::from_secs(300);
            within += if said { now.since(before.0).as_millis() } else { 0 };
            asks.clear();
        }
        within as f64 / talk.lines as f64
    };
    let (many, few) = (lines(1), lines(8_000));
    assert!((few / many - 1.0).abs() < 0.15, "{few} ms a line, {many} with many slots");
}

/// With few slots events wait for the next one: what was due before them has been said before them.
#[test]
fn a_line_takes_no_receipt_along_for_what_came_after_it() {
    let mut client = Client::new(16);
    while client.decoys.kept.talks.is_empty() {
        client.slot(8, Duration::from_secs(1), 8.0);
    }
    let key = *client.decoys.kept.talks.keys().next().expect("one");
    let next = client.decoys.kept.talks[&key].next_line();
    // Between two slots a line becomes due, and after that a line of the other side's arrives.
    let writer = client.decoys.kept.talks[&key].next_side();
    let talk = client.decoys.kept.talks.get_mut(&key).expect("there");
    let (mut asks, later) = (Vec::new(), next + Duration::from_secs(20));
    let place = talk.say_for(1 - writer, next - Duration::from_secs(5), &mut client.rng, &mut asks);
    client.decoys.happened.push((later, key, Happened::Arrived(place)));
    client.decoys.live(means(8, 0.0), later, &mut client.rng, &mut Vec::new());
    let written = client.decoys.kept.talks[&key].last_written(writer);
    assert_eq!(written, Some((true, false)), "a text and no receipt");
}

/// A line that was due while the device slept is said then, also if the owner's habits have changed meanwhile.
#[test]
fn what_is_due_is_said_whatever_has_changed() {
    let (mut rng, mut asks) = (ChaCha20Rng::seed_from_u64(15), Vec::new());
    let mut rhythm = Rhythm::new(Duration::ZERO, &mut rng);
    let life = Life { sittings_a_day: 12.0, ..rhythm.usual(Duration::ZERO) };
    rhythm.live_by(life, Most::NONE);
    let mut talk = Talk::new(rhythm, T0, &mut rng, &mut asks);
    let late = talk.next_line() + Duration::from_secs(7_200);
    let other = Life { sittings_a_day: 3.0, ..life };
    talk.change(|rhythm| rhythm.live_by(other, Most::NONE), late, &mut rng);
    talk.tick(late, &mut rng, &mut asks);
    assert_eq!(talk.lines, 1, "once");
    let next = talk.next_line();
    assert!(next > late);
    talk.change(|rhythm| rhythm.live_by(life, Most::NONE), late, &mut rng);
    assert!(talk.next_line() > late);
}

/// The slot budget of section 8.8: what decoys write, read and follow, beyond renewals.
#[test]
fn they_take_a_small_share_of_the_slots_and_each_write_has_its_read() {
    let (days, clients) = (7u32, 4u32);
    let (mut writes, mut reads, mut checks) = (0.0, 0.0, 0.0);
    let hours = f64::from(clients * days * 24);
    for seed in 0..clients {
        let mut client = Client::new(seed.into());
        for _ in 0..days * 24 * 1_200 {
            client.slot(ROOM, Duration::from_secs(3), 1.0);
        }
        writes += client.boxes.len() as f64 / hours;
        reads += client.reads as f64 / hours;
        // Each commit lane, every twelve hours, by both sides.
        checks += 2.0 * client.decoys.kept.talks.len() as f64 / 12.0 / f64::from(clients);
    }
    println!(
        "{writes:.1} writes, {reads:.1} reads an hour, {checks:.1} of them at the commit lanes"
    );
    assert!((10.0..60.0).contains(&writes), "{writes} an hour");
    let after_writes = reads - checks;
    assert!((0.5..1.2).contains(&(after_writes / writes)), "{reads} reads for {writes} writes");
}

#[test]
fn lanes_in_use_have_sixteen_boxes_ahead_and_resting_ones_three() {
    let mut client = Client::new(3);
    while client.boxes.is_empty() {
        client.slot(8, Duration::from_secs(60), 8.0);
        if client.boxes.is_empty() {
            assert_eq!(client.followed.len(), 6, "one fits, at rest");
        }
    }
    // The reader's lane comes into use with what arrives, the writer's with the receipt.
    for _ in 0..20 {
        client.slot(8, Duration::from_secs(1), 0.0);
    }
    assert_eq!(client.followed.len(), 32);
}

#[test]
fn a_text_has_its_receipt_and_a_long_talk_renews_its_keys() {
    let mut client = Client::new(5);
    client.slot(8, Duration::from_secs(3), 8.0);
    let (begun, said) = (client.epoch(), client.decoys.lines() as usize);
    for _ in 0..400_000 {
        client.slot(8, Duration::from_secs(3), 8.0);
        if client.epoch() > begun + 3 {
            break;
        }
    }
    assert!(client.epoch() > begun + 3, "{} epochs", client.epoch());
    let lines = client.decoys.lines() as usize - said;
    // A box for nearly each line and each receipt, and six and a marker for each change of keys.
    assert!(client.boxes.len() > lines * 5 / 4, "{} boxes, {lines}", client.boxes.len());
}

/// Who has written a box looks whether the epoch has ended, and reads the run at once if it has: with two people that is sooner than
/// what the other one says of it comes, and stores see when a run is read.
#[test]
fn an_entry_is_found_by_a_look_before_the_marker_comes() {
    let (mut rng, mut now, mut asks) = (ChaCha20Rng::seed_from_u64(11), T0, Vec::new());
    let rhythm = Rhythm::new(Duration::ZERO, &mut rng);
    let mut talk = Talk::new(rhythm, now, &mut rng, &mut asks);
    let (mut stands, mut by, mut marker, mut run_read) = (false, 0, None, 0);
    while run_read < 3 {
        let asked = core::mem::take(&mut asks);
        if asked.is_empty() {
            now = talk.wake().max(now);
            talk.tick(now, &mut rng, &mut asks);
        }
        for ask in asked {
            let (happened, arrived) = match ask {
                // The marker, which does not come any more.
                Ask::Write(place, Wrote::Own(side, ..)) if stands && side == by => {
                    assert!(marker.is_none(), "nothing after it");
                    marker = Some(place.id());
                    continue;
                }
                Ask::Write(place, what) => {
                    if matches!(what, Wrote::Entry) {
                        (stands, by) = (true, talk.renews().expect("somebody does"));
                    }
                    (Happened::Written(what), Some(place.id()))
                }
                Ask::Read(_, what) => {
                    run_read += usize::from(matches!(what, Reads::Run));
                    (Happened::Read(what, stands), None)
                }
                Ask::Follow(..) | Ask::Unfollow(_) => continue,
            };
            talk.handle(happened, now, &mut rng, &mut asks);
            if let Some(id) = arrived {
                talk.handle(Happened::Arrived(id), now, &mut rng, &mut asks);
            }
        }
        assert!(talk.lines < 10_000 && talk.epoch() < 2, "{} lines", talk.lines);
    }
    assert!(
        marker.is_some_and(|marker| talk.standing().any(|id| *id == marker)),
        "still waited for"
    );
}

/// Stores would tell decoys by the start of a program, if real boxes were followed before and after it and decoys' not.
#[test]
fn a_program_that_starts_again_follows_the_same_boxes() {
    for seed in 0..20 {
        let mut client = Client::new(seed);
        for _ in 0..4 * 1_200 {
            client.slot(ROOM, Duration::from_secs(3), 0.2);
        }
        let front = |client: &Client| {
            let fronts = client.decoys.kept.talks.values().flat_map(Talk::fronts);
            fronts.collect::<BTreeSet<_>>()
        };
        let (before, talks) = (front(&client), client.decoys.kept.talks.len());
        client.restart(Duration::from_secs(8 * 3_600), 0);
        // One after the other, or the owner would have to wait.
        client.slot(ROOM, Duration::from_secs(1), 0.0);
        assert_eq!(client.decoys.kept.talks.len(), 1, "seed {seed}");
        for _ in 0..RESUMED_EVERY as usize * talks {
            client.slot(ROOM, Duration::from_secs(1), 0.0);
        }
        let again = client.followed.intersection(&before).count();
        let gone_on = client.decoys.kept.talks.len();
        // The last few wait for room: one of those before them has come into use, and follows more.
        assert!(gone_on + 5 > talks, "seed {seed}: {gone_on} of {talks}");
        assert!(again > 2 * gone_on - 10, "seed {seed}: {again} of {}", before.len());
        let said = client.decoys.lines();
        assert!(said < 40, "seed {seed}: nobody waited for the start to say {said} lines");
    }
}

/// Killed at any moment, and also when the last that was to be kept was not: nothing is written over, and all goes on.
#[test]
fn a_program_may_die_at_any_moment() {
    for (seed, behind) in [(5, 0), (5, 1), (8, 0), (8, 1)] {
        let mut client = Client::new(seed);
        client.slot(36, Duration::from_secs(3), 8.0);
        let begun = client.epoch();
        for slot in 0..400_000 {
            client.slow_slot(36, Duration::from_secs(3), 8.0, 0.3);
            // Where anything is under way, and once in a while.
            let is_busy = !client.under_way.is_empty() && random::index(&mut client.rng, 12) == 0;
            if is_busy || slot % 997 == 0 {
                client.restart(Duration::from_secs(2), behind);
            }
            if client.epoch() > begun + 3 {
                break;
            }
        }
        let (epoch, boxes) = (client.epoch(), client.boxes.len());
        assert!(epoch > begun + 3, "seed {seed}, {behind} behind: {epoch}, {boxes} boxes");
    }
}

#[test]
fn what_is_not_decoys_is_refused() {
    let mut client = Client::new(6);
    while client.boxes.is_empty() {
        client.slot(8, Duration::from_secs(60), 8.0);
    }
    let kept = client.kept[0].clone().expect("kept");
    let mut bytes = kept.as_bytes().to_vec();
    assert!(Decoys::restored(&bytes[..bytes.len() - 1]).is_err(), "cut short");
    for at in 0..bytes.len() {
        let whole = bytes[at];
        for bit in 0..8 {
            bytes[at] = whole ^ 1 << bit;
            // Refused, or decoys of some kind: but never a panic.
            if let Ok(mut decoys) = Decoys::restored(&bytes) {
                decoys.tend(means(8, 1.0), true, &mut client.tickets, client.now, &mut client.rng);
            }
        }
        bytes[at] = whole;
    }
    bytes[0] += 1;
    assert!(matches!(Decoys::restored(&bytes), Err(CodecError::Version { .. })));
}

#[test]
fn what_was_under_way_when_a_decoy_went_is_still_nobody_elses() {
    let (mut rng, mut tickets) = (ChaCha20Rng::seed_from_u64(4), Tickets::default());
    let mut decoys = Decoys::new(&mut rng);
    let (mut now, mut written) = (T0, None);
    while written.is_none() {
        now = now + Duration::from_secs(60);
        for command in decoys.tend(means(ROOM, 8.0), true, &mut tickets, now, &mut rng) {
            if let Command::Write { boxed, .. } = command {
                written = Some(boxed.id());
            }
        }
    }
    let id = written.expect("just written");
    decoys.tend(means(0, 0.0), true, &mut tickets, now, &mut rng);
    assert!(decoys.own(&id));
    assert!(decoys.ended_write(&id, now), "still a decoy's");
    assert!(!decoys.ended_write(&id, now), "and ends once");
    assert!(
        decoys.tend(means(0, 0.0), true, &mut tickets, now, &mut rng).is_empty(),
        "nothing follows from it"
    );
}

/// Stores see tickets of conversations, and would see that decoys have none.
#[test]
fn what_they_write_is_told_of_by_tickets_of_their_own() {
    let mut client = Client::new(17);
    let until = T0 + Duration::from_secs(30 * 86_400);
    let standing = Standing {
        store: NodeId::from_bytes([1; 32]),
        session: CollectorSession::from_bytes([1; 32]),
        mixes: [2, 3, 4].map(|n| NodeId::from_bytes([n; 32])),
        renew_at: until,
        until,
    };
    for _ in 0..2_000 {
        let ticket = Ticket::random(&mut client.rng);
        let id = ticket.tell().id;
        client.tickets.asking(ticket, id);
        client.tickets.registered(&id, standing);
    }
    for _ in 0..36 * 1_200 {
        client.slot(ROOM, Duration::from_secs(3), 0.2);
    }
    let (with, without) = client.told;
    assert!(with > 3 * without && with > 50, "{with} with tickets, {without} without");
    // What had no answer is written again with the same ticket.
    let talk = client.decoys.kept.talks.values_mut().next().expect("one");
    let what = Wrote::Own(0, 0, 1_000_000);
    talk.give(0, Dated { ticket: Ticket::from_bytes([7; 16]), until });
    talk.give(0, Dated { ticket: Ticket::from_bytes([8; 16]), until });
    let first = talk.take_ticket(what, client.now);
    assert_eq!(first, Some(Ticket::from_bytes([8; 16])));
    assert_eq!(talk.take_ticket(what, client.now), first);
}
