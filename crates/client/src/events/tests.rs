use tempfile::TempDir;
use xchat_engine::{
    Change, ContactId, Content, ConversationId, Direction, MessageRow, MessageState,
};

use super::*;
use crate::network::fixture::{Authority, now};
use crate::{Cost, NewProfile, Pace, Passphrase, Profile};

fn row(id: u64) -> MessageRow {
    MessageRow {
        id,
        conversation: ConversationId::from_bytes([1; 16]),
        contact: ContactId::from_bytes([1; 8]),
        direction: Direction::Out,
        content: Content::Text(format!("text {id}")),
        sent_at: id,
        state: MessageState::Waiting,
        number: id,
    }
}

/// A client whose history has `messages` rows, of which the first is stored since.
fn client(messages: u64) -> (TempDir, Client) {
    client_with(messages, &[1])
}

/// A client whose history has `messages` rows, of which these are stored since, one after the other.
fn client_with(messages: u64, stored: &[u64]) -> (TempDir, Client) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("alice");
    let passphrase = Passphrase::new("pass");
    let new = NewProfile {
        name: "Alice".to_owned(),
        network: Authority::new().first(now() + std::time::Duration::from_secs(86_400)).to_json(),
        network_path: None,
        pace: Pace::Desk,
        cost: Cost::dangerously_cheap(),
    };
    Profile::create(&path, &new, &passphrase).expect("makes a profile");
    let mut profile = Profile::open(&path, &passphrase).expect("opens");
    let rows: Vec<Change> = (1..=messages).map(|id| Change::Message(row(id))).collect();
    profile.store.apply(&rows).expect("applies");
    let state = MessageState::Stored;
    let stored: Vec<_> = stored.iter().map(|id| Change::MessageState { id: *id, state }).collect();
    profile.store.apply(&stored).expect("applies");
    (dir, Client::start(profile).expect("starts"))
}

/// What the stream says about messages until it ends: ids, with `!` for a mere change of state.
async fn told(mut events: Events) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(event) = events.next().await.expect("events") {
        match event.event {
            Event::Message(message) => told.push(message.id.to_string()),
            Event::MessageState { id, .. } => told.push(format!("{id}!")),
            _ => {}
        }
    }
    told
}

fn ids(range: impl Iterator<Item = u64>) -> Vec<String> {
    range.map(|id| id.to_string()).collect()
}

#[tokio::test]
async fn history_comes_first_and_whole() {
    let (_dir, client) = client(600);
    let mut events = client.events(From::Message(3)).await.expect("a stream");
    for id in 4..=600 {
        match events.next().await.expect("events").expect("more messages").event {
            Event::Message(message) => assert_eq!(message.id, id),
            other => panic!("not a message: {other:?}"),
        }
    }
    let now = client.events(From::Now).await.expect("a stream");
    client.stop().await;
    assert_eq!(told(events).await, Vec::<String>::new());
    assert_eq!(told(now).await, Vec::<String>::new());
}

#[tokio::test]
async fn after_a_change_come_new_messages_and_old_ones_that_moved_on() {
    let (_dir, client) = client(10);
    let mut events = client.events(From::Change(8)).await.expect("a stream");
    let mut told = Vec::new();
    for _ in 0..3 {
        let event = events.next().await.expect("events").expect("three changes");
        told.push((event.seq, matches!(event.event, Event::Message(_))));
    }
    assert_eq!(told, [(0, true), (0, true), (11, false)]);
    client.stop().await;
}

/// A stream over a hand-made live channel, of which the store of [`client`] with ten messages knows more than the channel says.
fn over(client: &Client, from: From, room: usize) -> (broadcast::Sender<Numbered>, Events) {
    over_of(client, from, room, (11, 10))
}

/// The same, begun after this change of any store.
fn over_at(
    client: &Client,
    from: From,
    room: usize,
    seq: u64,
) -> (broadcast::Sender<Numbered>, Events) {
    over_of(client, from, room, (seq, u64::MAX))
}

fn over_of(
    client: &Client,
    from: From,
    room: usize,
    (seq, last_id): (u64, u64),
) -> (broadcast::Sender<Numbered>, Events) {
    let (sender, live) = broadcast::channel(room);
    let events = Events::new(client.clone(), from, Subscription { live, seq, last_id });
    (sender, events)
}

fn live(seq: u64, id: u64) -> Numbered {
    Numbered { seq, event: Event::Message(row(id).into()) }
}

#[tokio::test]
async fn what_history_has_told_is_not_told_again() {
    let (_dir, client) = client(10);
    let (sender, events) = over_at(&client, From::Message(7), 16, 9);
    // Written between the subscription and the reading of the history: it is in both.
    sender.send(live(10, 10)).expect("a receiver");
    sender.send(live(12, 11)).expect("a receiver");
    drop(sender);
    let mut expected = ids(8..=10);
    expected.extend(["1!".to_owned(), "11".to_owned()]);
    assert_eq!(told(events).await, expected);
    client.stop().await;
}

/// Everything was written, and the first message stored, between the subscription and the reading of the history.
#[tokio::test]
async fn what_history_has_told_as_it_stands_is_not_told_as_a_change() {
    let (_dir, client) = client(10);
    let (sender, events) = over_at(&client, From::Message(0), 1, 4);
    drop(sender);
    assert_eq!(told(events).await, ids(1..=10));
    client.stop().await;
}

#[tokio::test]
async fn who_is_cut_off_in_the_history_gets_the_rest_of_it_and_what_moved_on() {
    let (_dir, client) = client(10);
    // The first seven were told when nothing had changed after change 10: then message 1 was stored.
    let (sender, events) = over(&client, From::History { message: 7, change: 10 }, 16);
    drop(sender);
    let mut expected = ids(8..=10);
    expected.push("1!".to_owned());
    assert_eq!(told(events).await, expected);
    client.stop().await;
}

#[tokio::test]
async fn a_stream_says_where_it_begins() {
    let (_dir, client) = client(10);
    let begins = async |from| client.events(from).await.expect("a stream").seq();
    assert_eq!((begins(From::Now).await, begins(From::Message(3)).await), (11, 11));
    assert_eq!(begins(From::Change(4)).await, 4);
    client.stop().await;
}

/// As a page says that has seen another profile at the same address.
#[tokio::test]
async fn a_change_that_never_was_keeps_nothing_back() {
    let (_dir, client) = client(10);
    let (message, change) = (1_000, 1_000);
    for from in [From::Change(change), From::Message(message), From::History { message, change }] {
        let (sender, events) = over(&client, from, 16);
        assert_eq!(events.seq(), 11);
        sender.send(live(12, 11)).expect("a receiver");
        drop(sender);
        assert_eq!(told(events).await, ids(11..=11), "{from:?}");
    }
    client.stop().await;
}

#[tokio::test]
async fn a_slow_receiver_gets_from_the_store_what_the_buffer_lost() {
    let (_dir, client) = client(10);
    let (sender, events) = over_at(&client, From::Now, 2, 4);
    for id in 5..=10 {
        sender.send(live(id, id)).expect("a receiver");
    }
    drop(sender);
    // Messages 5 to 10 and the change of message 1, each once.
    let mut expected = ids(5..=10);
    expected.push("1!".to_owned());
    assert_eq!(told(events).await, expected);
    client.stop().await;
}

#[tokio::test]
async fn what_moves_on_after_the_history_has_told_it_is_told_as_a_change() {
    let (_dir, client) = client(10);
    for (told_after, expected) in [(1, vec!["1!".to_owned()]), (11, Vec::new())] {
        let (sender, mut events) = over_at(&client, From::Message(10), 1, 10);
        drop(sender);
        events.may_move_on.insert(1, told_after);
        assert_eq!(told(events).await, expected, "told after change {told_after}");
    }
    client.stop().await;
}

/// What is about no message waits while the store is read.
#[tokio::test]
async fn numbers_do_not_go_back() {
    let (_dir, client) = client(10);
    let (sender, mut events) = over_at(&client, From::Change(8), 16, 9);
    sender.send(Numbered { seq: 9, event: Event::Stopping }).expect("a receiver");
    drop(sender);
    let mut numbers = Vec::new();
    while let Some(event) = events.next().await.expect("events") {
        numbers.push(event.seq);
    }
    assert_eq!(numbers, [0, 0, 11, 11]);
    client.stop().await;
}

/// As when the disk failed between a commit and the telling of it: the next event shows that there was something.
#[tokio::test]
async fn what_was_stored_and_never_told_is_read_from_the_store() {
    let (_dir, client) = client(10);
    let (conversation, state) = (row(1).conversation, MessageState::Stored);
    let of_message = Event::MessageState { id: 1, conversation, state };
    for (event, more) in [(of_message, false), (Event::Stopping, true)] {
        let (sender, mut events) = over_at(&client, From::Now, 16, 9);
        sender.send(Numbered { seq: 11, event }).expect("a receiver");
        drop(sender);
        if more {
            let first = events.next().await.expect("events").expect("what was said");
            assert_eq!((first.seq, first.event), (9, Event::Stopping));
        }
        assert_eq!(told(events).await, ["10", "1!"]);
    }
    client.stop().await;
}

/// What it says last lies before all that was not read.
#[tokio::test]
async fn a_client_that_stops_while_somebody_catches_up_is_caught_up_with_later() {
    let (_dir, client) = client(600);
    let mut events = client.events(From::Change(7)).await.expect("a stream");
    events.next().await.expect("events").expect("the first of a page");
    client.stop().await;
    let (mut last, mut messages) = (None, 1);
    while let Some(Numbered { seq, event }) = events.next().await.expect("events") {
        messages += usize::from(matches!(event, Event::Message(_)));
        assert!(seq <= 7, "{seq}");
        last = Some(event);
    }
    assert_eq!((last, messages, events.seq()), (Some(Event::Stopping), 256, 7));
}

/// What a receiver knows.
struct Receiver {
    messages: Vec<u64>,
    /// Changes of messages that it was never told of.
    strange: Vec<u64>,
    change: u64,
}

impl Receiver {
    /// One that was told of all until this change, when rows and changes had the same numbers.
    fn at(change: u64) -> Self {
        Self { messages: (1..=change).collect(), strange: Vec::new(), change }
    }

    fn take(&mut self, Numbered { seq, event }: Numbered) {
        match event {
            Event::Message(message) => self.messages.push(message.id),
            Event::MessageState { id, .. } if !self.messages.contains(&id) => self.strange.push(id),
            _ => {}
        }
        self.change = self.change.max(seq);
    }

    /// Goes on, for so many events at most; how many there were.
    async fn follow(&mut self, client: &Client, from: From, events: usize) -> usize {
        let (sender, mut stream) = over_at(client, from, 1, u64::MAX);
        // The next event about no message says how far it is, if no change does.
        sender.send(Numbered { seq: 0, event: Event::Stopping }).expect("a receiver");
        drop(sender);
        let mut taken = 0;
        while taken < events
            && let Some(event) = stream.next().await.expect("events")
        {
            self.take(event);
            taken += 1;
        }
        taken
    }
}

/// Own messages move on in another order than they were written in, and there are more of them than a page holds.
#[tokio::test]
async fn whoever_is_cut_off_anywhere_learns_everything_by_going_on() {
    const MESSAGES: u64 = 300;
    let moved: Vec<u64> = (1..=MESSAGES).rev().step_by(7).chain([3, 299]).collect();
    let last = MESSAGES + moved.len() as u64;
    let (_dir, client) = client_with(MESSAGES, &moved);
    for begin in [0, 40, 299] {
        let whole = Receiver::at(begin).follow(&client, From::Change(begin), usize::MAX).await;
        for cut in [0, 1, 100, 255, 256, 257, whole.saturating_sub(20), whole - 1, whole] {
            for both in [false, true] {
                let mut receiver = Receiver::at(begin);
                receiver.follow(&client, From::Change(begin), cut).await;
                let (change, message) = (receiver.change, receiver.messages.last().copied());
                let from = match message.filter(|_| both) {
                    Some(message) => From::History { message, change },
                    None => From::Change(change),
                };
                receiver.follow(&client, from, usize::MAX).await;
                let what = format!("from {begin}, cut after {cut}, then {from:?}");
                assert_eq!(receiver.strange, Vec::<u64>::new(), "{what}");
                assert_eq!(receiver.change, last, "{what}");
                if !both {
                    receiver.messages.sort_unstable();
                    receiver.messages.dedup();
                }
                assert_eq!(receiver.messages, (1..=MESSAGES).collect::<Vec<_>>(), "{what}");
            }
        }
    }
    client.stop().await;
}
