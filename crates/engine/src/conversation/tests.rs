//! What a member can do against the protocol, and what comes of it.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use xchat_base::random::Rng;
use xchat_base::{Timestamp, Wire};
use xchat_e2ee::PendingMember;
use xchat_pigeonhole::{Dated, Handed, RunPointer, Ticket};

use super::*;
use crate::api::{Content, Effect, Recalled};
use crate::record::{Batch, Record, kind};

/// Two conversations with each other, and the boxes between them.
pub(super) struct Pair {
    pub(super) rng: ChaCha20Rng,
    pub(super) now: Timestamp,
    pub(super) sides: [Conversation; 2],
    pub(super) boxes: BTreeMap<BoxId, SealedBox>,
    pub(super) followed: [Vec<BoxId>; 2],
    events: [Vec<Event>; 2],
    rows: u64,
    held: Option<Vec<Effect>>,
}

impl Pair {
    pub(super) fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let now = Timestamp::from_secs(1_800_000_000);
        let (member, key_package) = PendingMember::generate(&mut rng).expect("keys");
        let (ours, welcome) = Group::create(&mut rng, &key_package).expect("a group");
        let theirs = Group::join(member, &welcome).expect("joined");
        let mut effects = Vec::new();
        let sides = [ours, theirs].map(|group| {
            let id = ConversationId::random(&mut rng);
            let mut turn = Turn::new(now, &mut rng, 1);
            let founding = Founding { id, group, name: "peer".into(), invitation: [0; 32] };
            let mut conversation = Conversation::found(&mut turn, founding);
            conversation.resume(&mut turn);
            effects.push(turn.finish(None).0);
            conversation
        });
        let mut pair = Self {
            rng,
            now,
            sides,
            boxes: BTreeMap::new(),
            followed: Default::default(),
            events: Default::default(),
            rows: 1,
            held: None,
        };
        for (who, effects) in effects.into_iter().enumerate() {
            pair.carry_out(who, effects);
        }
        pair
    }

    pub(super) fn act<T>(
        &mut self,
        who: usize,
        act: impl FnOnce(&mut Conversation, &mut Turn<'_>) -> T,
    ) -> T {
        let mut turn = Turn::new(self.now, &mut self.rng, self.rows);
        let result = act(&mut self.sides[who], &mut turn);
        self.sides[who].save(&mut turn);
        let (effects, rows) = turn.finish(None);
        self.rows = rows;
        self.carry_out(who, effects);
        result
    }

    /// Keeps the effects of what is done back.
    pub(super) fn hold(&mut self, act: impl FnOnce(&mut Self)) -> Vec<Effect> {
        self.held = Some(Vec::new());
        act(self);
        self.held.take().unwrap_or_default()
    }

    /// Every operation is answered at once.
    pub(super) fn carry_out(&mut self, who: usize, effects: Vec<Effect>) {
        if let Some(held) = &mut self.held {
            return held.extend(effects);
        }
        for effect in effects {
            match effect {
                Effect::Write(boxed, _) => {
                    let id = boxed.id();
                    let outcome = self.put(boxed);
                    self.act(who, |side, turn| side.written(turn, id, outcome));
                }
                Effect::Read(id) => {
                    let found = self.boxes.get(&id).cloned();
                    let outcome = found.map_or(ReadOutcome::Empty, ReadOutcome::Found);
                    self.act(who, |side, turn| side.read(turn, id, outcome));
                }
                Effect::Follow(id, ..) => match self.boxes.get(&id).cloned() {
                    Some(boxed) => self.act(who, |side, turn| side.arrived(turn, boxed)),
                    None if self.followed[who].contains(&id) => {}
                    None => self.followed[who].push(id),
                },
                Effect::Event(event) => self.events[who].push(event),
                Effect::Recall { after, .. } => {
                    let rows = self.events[who].iter().filter_map(|event| match event {
                        Event::Message(row) if row.direction == crate::api::Direction::Out => {
                            Some(row.clone())
                        }
                        _ => None,
                    });
                    let rows = rows.filter(|row| row.number > after).collect();
                    let recalled = Recalled { rows, older: 0, unnumbered: 0 };
                    self.act(who, |side, turn| side.recalled(turn, recalled));
                }
                _ => {}
            }
        }
    }

    /// Writes a box and hands it to whoever follows it.
    pub(super) fn put(&mut self, boxed: SealedBox) -> WriteOutcome {
        let id = boxed.id();
        let before = self.boxes.entry(id).or_insert_with(|| boxed.clone()).clone();
        if before != boxed {
            return WriteOutcome::Exists(before);
        }
        for who in [0, 1] {
            if let Some(at) = self.followed[who].iter().position(|known| *known == id) {
                self.followed[who].swap_remove(at);
                let boxed = boxed.clone();
                self.act(who, |side, turn| side.arrived(turn, boxed));
            }
        }
        WriteOutcome::Stored
    }

    /// Says something, with so many tickets for the other side; what the box takes of those that this side holds.
    fn send_with(&mut self, who: usize, tickets: Vec<Dated>) -> Option<Ticket> {
        let mut tickets = Some(tickets);
        let mut hand_out = move |_, most, _: &mut Rng| {
            let tickets: Vec<_> = tickets.take().unwrap_or_default();
            assert!(tickets.len() <= most);
            Handed { only: false, tickets }
        };
        let mut turn = Turn::new(self.now, &mut self.rng, self.rows).with_tickets(&mut hand_out);
        self.sides[who].send_text(&mut turn, "hello".to_owned());
        self.sides[who].save(&mut turn);
        let (effects, rows) = turn.finish(None);
        self.rows = rows;
        let taken = effects.iter().find_map(|effect| match effect {
            Effect::Write(_, ticket) => Some(ticket.clone()),
            _ => None,
        });
        self.carry_out(who, effects);
        taken.expect("one box")
    }

    pub(super) fn send(&mut self, who: usize, text: &str) {
        self.act(who, |side, turn| side.send_text(turn, text.to_owned()));
    }

    /// A batch of our own making, in the next box of our lane.
    fn slip_in(&mut self, who: usize, records: Vec<Record>) {
        self.act(who, |side, turn| side.seal(turn, records));
    }

    pub(super) fn texts(&self, who: usize) -> Vec<String> {
        let texts = self.events[who].iter().filter_map(|event| match event {
            Event::Message(row) if row.direction == crate::api::Direction::In => {
                Some(match &row.content {
                    Content::Text(text) => text.clone(),
                    Content::Unknown { kind, .. } => format!("unknown {kind}"),
                    Content::Notice(notice) => format!("{notice:?}"),
                })
            }
            _ => None,
        });
        texts.collect()
    }

    pub(super) fn alerts(&self, who: usize) -> Vec<Alert> {
        let alerts = self.events[who].iter().filter_map(|event| match event {
            Event::Alert { alert, .. } => Some(*alert),
            _ => None,
        });
        alerts.collect()
    }

    pub(super) fn talk_until_epoch(&mut self, epoch: u64) {
        for n in 0..200 {
            self.send(0, &format!("filling {n}"));
            self.act(1, |side, turn| side.timer(turn));
            if self.sides.iter().all(|side| side.epoch.number >= epoch) {
                return;
            }
        }
        unreachable!("the epoch never changed");
    }
}

#[test]
fn rubbish_in_the_commit_lane_is_skipped_by_both_alike() {
    let mut pair = Pair::new();
    for rubbish in [&b"no entry at all"[..], b""] {
        let keys = pair.sides[0].epoch.commits.keys();
        let boxed = keys.seal(&mut pair.rng, rubbish).expect("short");
        pair.boxes.insert(boxed.id(), boxed);
        // Each notices it with the next message that it checks.
        pair.send(0, "one");
        pair.send(1, "two");
    }
    assert_eq!(pair.sides.each_ref().map(|side| side.epoch.commits.index()), [2, 2]);
    pair.talk_until_epoch(2);
    pair.send(1, "after");
    assert_eq!(pair.texts(0), ["two", "two", "after"]);
    assert_eq!(pair.alerts(0).len(), 2);
}

#[test]
fn an_entry_whose_run_is_missing_is_void_for_everybody_for_ever() {
    let mut pair = Pair::new();
    let (pointer, run) = RunPointer::seal(&mut pair.rng, &[7; 3_000]).expect("short");
    let entry = epoch::tests::entry(&pointer);
    let keys = pair.sides[0].epoch.commits.keys();
    let boxed = keys.seal(&mut pair.rng, &entry).expect("short");
    pair.boxes.insert(boxed.id(), boxed);
    pair.send(0, "one");
    assert_eq!(pair.sides[0].epoch.commits.index(), 1);
    // The cheat writes the run now: too late, the boxes are taken.
    let late = run.into_iter().filter(|boxed| !pair.boxes.contains_key(&boxed.id())).count();
    assert!(late < 3, "at least one box of the run was filled by the reader");
    pair.send(1, "two");
    assert_eq!(pair.sides[1].epoch.commits.index(), 1);
    pair.talk_until_epoch(2);
}

#[test]
fn an_entry_of_no_boxes_or_of_far_too_many_is_invalid() {
    let mut pair = Pair::new();
    for len in [0, (epoch::MAX_COMMIT_BOXES + 1) * xchat_pigeonhole::MAX_CONTENT_LEN] {
        let (pointer, _) = RunPointer::seal(&mut pair.rng, &vec![7; len]).expect("fits a run");
        let keys = pair.sides[0].epoch.commits.keys();
        let boxed = keys.seal(&mut pair.rng, &epoch::tests::entry(&pointer)).expect("short");
        pair.boxes.insert(boxed.id(), boxed);
        pair.send(0, "one");
        pair.send(1, "two");
    }
    assert_eq!(pair.sides.each_ref().map(|side| side.epoch.commits.index()), [2, 2]);
    pair.talk_until_epoch(2);
}

/// The other member takes the slot of the first of two boxes that are out: nothing is lost.
#[test]
fn what_a_taken_slot_displaced_goes_further_on() {
    let mut pair = Pair::new();
    let foreign = pair.sides[0].epoch.own.keys();
    let foreign = foreign.seal(&mut pair.rng, b"mine now").expect("short");
    let out = pair.hold(|pair| {
        pair.send(0, "first");
        pair.send(0, "second");
    });
    pair.put(foreign);
    pair.carry_out(0, out);
    let mut texts = pair.texts(1);
    texts.sort();
    assert_eq!(texts, ["first", "second"]);
    assert!(pair.sides[0].outbox.records.is_empty(), "all is confirmed");
}

#[test]
fn a_taken_slot_with_nothing_of_ours_in_it_is_passed() {
    let mut pair = Pair::new();
    let foreign = pair.sides[0].epoch.own.keys();
    let foreign = foreign.seal(&mut pair.rng, b"mine now").expect("short");
    let hint = Record { seq: 0, kind: kind::EPOCH_ENDED, more: false, body: Vec::new() };
    let out = pair.hold(|pair| pair.slip_in(0, vec![hint]));
    pair.put(foreign);
    pair.carry_out(0, out);
    pair.send(0, "after");
    assert_eq!(pair.texts(1), ["after"]);
    assert!(pair.sides[0].outbox.records.is_empty(), "all is confirmed");
}

#[test]
fn a_commit_lane_full_of_rubbish_costs_the_group_and_no_message() {
    let mut pair = Pair::new();
    let mut lane = pair.sides[0].epoch.commits.clone();
    for _ in 0..=epoch::tests::MAX_INVALID_ENTRIES {
        let boxed = lane.keys().seal(&mut pair.rng, b"rubbish").expect("short");
        pair.boxes.insert(boxed.id(), boxed);
        lane.advance();
    }
    pair.send(0, "kept, not lost");
    assert_eq!(pair.texts(1), ["kept, not lost", "TheyRejoined"]);
    assert_eq!(pair.texts(0), ["WeRejoined"]);
    assert!(pair.sides[0].outbox.records.is_empty(), "what was said is confirmed in the new group");
}

#[test]
fn a_box_of_rubbish_in_a_lane_is_skipped() {
    let mut pair = Pair::new();
    let keys = pair.sides[0].epoch.own.keys();
    let boxed = keys.seal(&mut pair.rng, b"not an MLS message").expect("short");
    pair.put(boxed);
    assert_eq!(pair.alerts(1), [Alert::Unreadable]);
    // The writer finds the slot taken, and goes one further.
    pair.send(0, "hello");
    assert_eq!(pair.texts(1), ["hello"]);
    assert_eq!(pair.alerts(0), [Alert::Unreadable]);
    assert!(pair.sides[0].outbox.records.is_empty(), "confirmed all the same");
}

#[test]
fn a_jump_in_the_numbers_is_shown_and_a_repetition_is_not() {
    let mut pair = Pair::new();
    let text = |seq, text: &str| {
        let body = crate::record::Text { sent_at: 1, text: text.into() }.to_wire();
        Record { seq, kind: kind::TEXT, more: false, body }
    };
    pair.slip_in(0, vec![text(1, "first")]);
    pair.slip_in(0, vec![text(1, "first again"), text(2, "second")]);
    pair.slip_in(0, vec![text(9, "ninth")]);
    assert_eq!(pair.texts(1), ["first", "second", "ninth"]);
    assert_eq!(pair.alerts(1), [Alert::Missed]);
}

#[test]
fn what_is_not_known_is_kept_and_what_does_not_parse_is_skipped() {
    let mut pair = Pair::new();
    let record = |seq, kind, body: &[u8]| Record { seq, kind, more: false, body: body.to_vec() };
    pair.slip_in(0, vec![record(1, 99, b"from the future")]);
    pair.slip_in(0, vec![record(2, kind::TEXT, &[200, 1, 2])]);
    pair.slip_in(0, vec![record(3, kind::RECEIPT, b"rubbish"), record(4, kind::PROFILE, b"")]);
    assert_eq!(pair.texts(1), ["unknown 99", &format!("unknown {}", kind::TEXT)]);
    let message = pair.sides[0].group.encrypt(&mut pair.rng, b"no batch").expect("encrypts");
    pair.act(1, |side, turn| side.take_message(turn, &message));
    assert_eq!(pair.alerts(1), [Alert::Unreadable]);
}

#[test]
fn a_record_that_never_ends_is_cut_off_at_its_bound() {
    let mut pair = Pair::new();
    for seq in 1..=12 {
        let body = vec![b'x'; 1_000];
        pair.slip_in(0, vec![Record { seq, kind: kind::TEXT, more: true, body }]);
    }
    let partial = pair.sides[1].incoming.values().map(|incoming| incoming.partial.len()).max();
    assert!(partial.expect("a sender") <= crate::record::MAX_RECORD_LEN);
    assert_eq!(pair.alerts(1), [Alert::Unreadable]);
}

#[test]
fn a_receipt_for_what_was_never_said_changes_nothing() {
    let mut pair = Pair::new();
    let body = crate::record::Receipt { up_to: u64::MAX }.to_wire();
    pair.slip_in(1, vec![Record { seq: 1, kind: kind::RECEIPT, more: false, body }]);
    pair.send(0, "hello");
    assert_eq!(pair.texts(1), ["hello"]);
    assert!(
        !pair.events[0].iter().any(|event| matches!(
            event,
            Event::MessageState { state: MessageState::Delivered, .. }
        ))
    );
}

#[test]
fn one_who_was_away_for_longer_than_boxes_live_comes_back() {
    let mut pair = Pair::new();
    let next = pair.sides[1].epoch.reads[0].lane.keys().id();
    let out = pair.hold(|pair| {
        pair.act(1, |side, turn| side.read(turn, next, ReadOutcome::Expired));
        pair.send(1, "kept");
    });
    assert!(pair.sides[1].contact().rejoining);
    assert_eq!(pair.sides[1].outbox.records.len(), 1, "nothing goes out from an old state");
    assert!(pair.sides[1].epoch.flights.is_empty());
    let before = pair.sides.each_ref().map(|side| side.safety_number());
    pair.carry_out(1, out);
    assert_eq!(pair.texts(0), ["TheyRejoined", "kept"]);
    let after = pair.sides.each_ref().map(|side| side.safety_number());
    assert!(after[0] == after[1] && after[0] != before[0]);
    assert!(pair.sides.iter().all(|side| side.contact().rejoined && !side.contact().rejoining));
}

#[test]
fn names_cannot_imitate() {
    assert_eq!(clean_name("  alice\u{202e}\n "), "alice");
    assert_eq!(clean_name("a\u{200b}lice"), "alice");
    assert_eq!(clean_name(&"x".repeat(500)).len(), crate::api::MAX_NAME_CHARS);
}

/// The largest batch in an MLS message fits a box, also late in an epoch.
#[test]
fn the_largest_batch_fits_a_box() {
    let mut pair = Pair::new();
    for _ in 0..300 {
        pair.sides[0].group.encrypt(&mut pair.rng, b"x").expect("encrypts");
    }
    let body = vec![7; crate::record::MAX_BATCH_LEN - 12];
    let record = Record { seq: 1, kind: 7, more: false, body };
    let batch = Batch { records: vec![record] }.to_wire();
    assert!(batch.len() + 8 >= crate::record::MAX_BATCH_LEN);
    let message = pair.sides[0].group.encrypt(&mut pair.rng, &batch).expect("encrypts");
    println!("{} bytes of batch make {} bytes of message", batch.len(), message.len());
    assert!(message.len() <= xchat_pigeonhole::MAX_CONTENT_LEN);
}

fn dated(pair: &Pair, n: u8) -> Dated {
    let until = pair.now + Duration::from_secs(3_600);
    Dated { ticket: Ticket::from_bytes([n; 16]), until }
}

/// What one side is told, the other's boxes are delivered by: each ticket once, also if a box is written again after a crash.
#[test]
fn tickets_go_with_what_is_said_and_come_back_with_the_answer() {
    let mut pair = Pair::new();
    assert_eq!(pair.send_with(0, vec![dated(&pair, 1), dated(&pair, 2)]), None);
    assert_eq!(pair.send_with(1, vec![dated(&pair, 3)]), Some(Ticket::from_bytes([2; 16])));
    assert_eq!(pair.send_with(0, vec![]), Some(Ticket::from_bytes([3; 16])));
    assert_eq!(pair.send_with(0, vec![]), None, "there is none left");
    assert_eq!(pair.send_with(1, vec![]), Some(Ticket::from_bytes([1; 16])));
    // What is stored of a box on its way has its ticket.
    let boxed = pair.boxes.values().next().expect("some").clone();
    for ticket in [None, Some(Ticket::from_bytes([4; 16]))] {
        let flight = own_lane::Flight {
            boxed: boxed.clone(),
            last_seq: 9,
            acknowledged: false,
            ticket: ticket.clone(),
        };
        let mut stored = flight.to_stored();
        let read = stored::load_flight(&stored).expect("reads");
        assert!(read.boxed == boxed && read.last_seq == 9 && read.ticket == ticket);
        stored.push(0);
        assert!(stored::load_flight(&stored).is_err());
    }
}
